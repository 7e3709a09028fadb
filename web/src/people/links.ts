// Links by which others join as guests: made, copied, listed and taken back by who may invite.

import type { Mirror } from "../mirror.ts";
import type { GuestLink, GuestLinkMade, GuestLinksPage } from "../protocol.ts";
import { button, copyText, h, iconButton, openDialog, setText } from "../panels/dom.ts";
import { triedOn } from "../panels/context.ts";
import { clockText, dayText } from "../format.ts";
import { t } from "../words.ts";

const ROLES = [
  ["viewer", t("may look")],
  ["operator", t("may look, acknowledge and give commands")],
] as const;
const HOURS = [
  [1, t("1 hour")],
  [8, t("8 hours")],
  [24, t("a day")],
  [168, t("a week")],
] as const;

export function openLinks(mirror: Mirror, place: string): void {
  const role = h("select", { class: "select", attrs: { "aria-label": t("What guests may do") } }, ...ROLES.map(([value, text]) => h("option", { attrs: { value } }, text)));
  const hours = h("select", { class: "select", attrs: { "aria-label": t("How long the link holds") } }, ...HOURS.map(([value, text]) => h("option", { attrs: { value, selected: value === 8 } }, text)));
  const error = h("p", { class: "error-line", role: "alert", hidden: true });
  const tried = triedOn(error);
  const link = h("input", { class: "input mono grow", attrs: { readonly: true, "aria-label": t("The link") } });
  const copied = h("p", { class: "hint", role: "status" });
  const made = h("div", { class: "people-link-made", hidden: true }, h("div", { class: "people-link-row" }, link, button(t("Copy"), () => void copy(), "plain", "copy")), copied);
  const open = h("ul", { class: "people-links" });
  const body = h(
    "div",
    { class: "form people-link-form" },
    h("p", { class: "hint" }, t("Whoever opens the link is asked for a name and joins this meeting. It can be taken back, and they are out.")),
    h("label", { class: "field" }, h("span", {}, t("Guests")), role),
    h("label", { class: "field" }, h("span", {}, t("Holds for")), hours),
    button(t("Make a link"), () => void make(), "primary", "link"),
    error,
    made,
    open,
  );
  openDialog(t("Link for guests"), body);
  void list();

  async function make(): Promise<void> {
    const answer = await tried(() => mirror.rest.post<GuestLinkMade>("meet/links", { role: role.value, place, lasts_hours: Number(hours.value) }));
    if (answer === null) return;
    link.value = new URL(answer.path.replace(/^\//, ""), document.baseURI).href;
    made.hidden = false;
    link.select();
    await list();
  }

  async function copy(): Promise<void> {
    setText(copied, (await copyText(link.value)) ? t("Copied.") : t("The browser gives no clipboard here; copy the link by hand."));
    link.select();
  }

  async function list(): Promise<void> {
    const page = await tried(() => mirror.rest.get<GuestLinksPage>("meet/links"));
    if (page !== null) open.replaceChildren(...page.links.map(rowOf));
  }

  function rowOf(each: GuestLink): HTMLElement {
    const until = each.expires_ns / 1e6;
    const words = [each.role, each.place !== "" && mirror.nameOf(each.place), t("until {time}", { time: `${dayText(until)} ${clockText(until)}` }), t("{n} came", { n: each.guests })].filter(Boolean);
    const take = async (): Promise<void> => {
      await tried(() => mirror.rest.delete(`meet/links/${encodeURIComponent(each.id)}`));
      await list();
    };
    return h("li", {}, h("span", { class: "grow" }, words.join(" · ")), iconButton("close", t("Take back"), () => void take(), "small"));
  }
}
