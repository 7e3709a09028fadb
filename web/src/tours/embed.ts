// The world within the page of another site: the dialog that gives the snippet, and the page itself,
// which is the scene, a thin legend and the way to the whole.

import { clockText, dayText } from "../format.ts";
import { read, written } from "../link.ts";
import type { Mirror } from "../mirror.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { button, copyText, h, openDialog, setText } from "../panels/dom.ts";
import type { EmbedKey, EmbedSites, Me } from "../protocol.ts";
import type { SceneApi } from "../scene/api.ts";
import { t } from "../words.ts";
import type { Arrival } from "./arrival.ts";
import { offerByHand } from "./offer.ts";

/** What to put into the other page, for a key's path. */
function snippetOf(path: string, here: string, title: string): string {
  const frame = new URL(path, document.baseURI);
  const link = { ...read(here).link, isEmbedded: true, open: null, board: null };
  const said = new URL(written(document.baseURI, link)).searchParams;
  for (const [name, value] of said) frame.searchParams.set(name, value);
  const escaped = (text: string): string => text.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
  return `<iframe src="${escaped(frame.href)}" title="${escaped(title)}" width="800" height="450" style="border:0" loading="lazy" allow="fullscreen"></iframe>`;
}

export function openEmbed(context: Context, arrival: Arrival): void {
  const { mirror } = context;
  const here = arrival.here();
  const body = h("div", { class: "form" }, h("p", { class: "dim" }, t("Waiting for it…")));
  openDialog(t("Show it within another page"), body, [], { wide: true });
  void fill().catch((error: unknown) => body.replaceChildren(h("p", { class: "error-line", role: "alert" }, reasonOf(error))));

  async function fill(): Promise<void> {
    const [{ sites }, me] = await Promise.all([mirror.rest.get<EmbedSites>("embed/sites"), mirror.rest.get<Me>("session")]);
    const field = h("textarea", { class: "input mono", attrs: { rows: 3, spellcheck: "false", placeholder: "https://intranet.example", "aria-label": t("Sites that may show it, one a line") } });
    field.value = sites.join("\n");
    const failed = h("p", { class: "error-line", role: "alert" });
    const made = h("div", { class: "form", attrs: { "aria-live": "polite" } });
    const save = async (): Promise<void> => {
      failed.textContent = "";
      try {
        const named = field.value.split(/\s+/).filter(Boolean);
        const now = await mirror.rest.put<EmbedSites>("embed/sites", { sites: named });
        field.value = now.sites.join("\n");
        context.toast({ tone: "good", title: now.sites.length === 0 ? t("No other site may show it") : t("These sites may show it now") });
      } catch (error) {
        failed.textContent = reasonOf(error);
      }
    };
    const make = async (): Promise<void> => {
      failed.textContent = "";
      try {
        if (field.value.split(/\s+/).filter(Boolean).join() !== sites.join()) await save();
        const { path } = await mirror.rest.post<EmbedKey>("embed/keys", {});
        const snippet = snippetOf(path, here, mirror.world);
        const code = h("textarea", { class: "input mono", attrs: { readonly: true, rows: 5, "aria-label": t("Snippet for the other page") } });
        code.value = snippet;
        made.replaceChildren(code, button(t("Copy the snippet"), async () => {
          if (await copyText(snippet)) context.toast({ tone: "plain", title: t("Snippet copied") });
          else offerByHand(t("Copy the snippet"), snippet);
        }, "plain", "copy"), h("p", { class: "hint dim" }, t("Whoever sees that page may look at this world there, and do nothing. The key in it holds for 31 days; among the links of people it can be taken back before.")));
        code.focus();
        code.select();
      } catch (error) {
        failed.textContent = reasonOf(error);
      }
    };
    const isSecure = location.protocol === "https:" || /^(127\.|localhost$|\[::1\]$)/.test(location.hostname);
    body.replaceChildren(
      h("p", {}, t("A frame with the scene as it is now, without panels, for an intranet, a wall or a report.")),
      ...(me.is_owner
        ? [h("label", { class: "field" }, h("span", {}, t("Sites that may show it, one a line")), field), h("div", { class: "report-row" }, button(t("Save the sites"), () => void save(), "plain"), button(t("Make a snippet"), () => void make(), "primary"))]
        : [h("p", {}, sites.length === 0 ? t("No other site may show this world; its owner can allow one.") : t("These sites may show it: {sites}. Its owner makes the snippets.", { sites: sites.join(", ") }))]),
      failed,
      made,
      ...(isSecure ? [] : [h("p", { class: "hint dim" }, t("Browsers let a frame in only over HTTPS: open this page by its https:// address first."))]),
    );
  }
}

/** Builds the embedded page: nothing on it can change the world. */
export function mountEmbedded(mirror: Mirror, scene: SceneApi): void {
  document.documentElement.toggleAttribute("data-embed", true);
  const { link } = read(location.href);
  const world = h("strong", { class: "clip" });
  const moment = h("span", { class: "num" });
  const whole = h("a", { class: "embed-whole", attrs: { target: "_blank", rel: "noopener" } }, t("Open the whole page"));
  whole.href = written(document.baseURI, { ...link, isEmbedded: false });
  const state = h("span", { class: "embed-state", role: "status" });
  document.body.append(h("footer", { class: "embed-foot" }, world, moment, state, h("span", { class: "grow" }), whole));
  const paint = (): void => {
    setText(world, mirror.world.replace(/_/g, " "));
    const at_ms = mirror.viewMs();
    setText(moment, mirror.time.live ? clockText(at_ms) : `${t("PAST")} ${dayText(at_ms)} ${clockText(at_ms)}`);
    const { state: line } = mirror.link;
    setText(state, line === "live" ? "" : line === "connecting" ? t("connecting") : t("The connection is lost; trying again."));
  };
  window.setInterval(paint, 1000);
  mirror.on("link", paint);
  mirror.on("selection", ({ id }) => (whole.href = written(document.baseURI, { ...link, isEmbedded: false, twin: id ?? null })));
  let isThere = false;
  mirror.on("structure", () => {
    paint();
    if (isThere) return;
    isThere = true;
    if (link.at_ms !== null && mirror.firstMs > 0 && link.at_ms >= mirror.firstMs) mirror.seek(link.at_ms, link.speed);
    if (link.twin !== null) mirror.select(link.twin);
    if (link.camera !== null) scene.setCamera(link.camera, { mode: link.mode });
    else if (link.twin !== null) scene.focus(link.twin, { fast: true });
  });
  mirror.show(link.branch);
}
