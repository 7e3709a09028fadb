// The owner's page: who may come in and what they may do, what is open, and what was done.

import { ageText, momentText } from "../format.ts";
import type { AuditLine, AuditPage, Grant, Invitation, InvitationsPage, People, Person, SessionsPage, TokensPage } from "../protocol.ts";
import { apiUrl } from "../rest.ts";
import { t } from "../words.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, copyText, emptyState, h, iconButton, openDialog, segmented, setText } from "./dom.ts";
import { icon } from "./icons.ts";
import { partField } from "./part.ts";

/** Roles with what they are called, the least first. */
export const ROLES: readonly (readonly [string, string])[] = [["viewer", t("viewer")], ["operator", t("operator")], ["engineer", t("engineer")], ["owner", t("owner")]];
const NAMES = new Map(ROLES);
const PAGE = 100;
const ASK_AFTER_MS = 300;

type Tab = "people" | "invitations" | "sessions" | "tokens" | "audit";

/** A choice of roles. */
export function roleSelect(label: string): HTMLSelectElement {
  return h("select", { class: "select", attrs: { "aria-label": label } }, ...ROLES.map(([role, name]) => h("option", { attrs: { value: role } }, name)));
}

/** A grant as a person reads it. */
export function grantText(grant: Grant): string {
  return `${NAMES.get(grant.role) ?? grant.role}${grant.subtree ? ` · ${grant.subtree}` : ""}`;
}

const BROWSERS: readonly (readonly [RegExp, string])[] = [[/OculusBrowser/, "Quest"], [/Edg\//, "Edge"], [/Firefox\//, "Firefox"], [/(Chrome|Chromium|CriOS)\//, "Chrome"], [/Safari\//, "Safari"]];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [[/Android/, "Android"], [/iPhone|iPad/, "iOS"], [/Windows/, "Windows"], [/Mac OS X/, "macOS"], [/Linux/, "Linux"]];

/** What a device says of itself, in two words; what is not known is shown as it is. */
export function deviceText(device: string): string {
  const browser = BROWSERS.find(([pattern]) => pattern.test(device))?.[1];
  const system = SYSTEMS.find(([pattern]) => pattern.test(device))?.[1];
  return browser ? [browser, system].filter(Boolean).join(" · ") : device.slice(0, 40) || "–";
}

/** A list of rows, or that there are none. */
export function rows(label: string, items: readonly HTMLElement[], none: string): HTMLElement {
  return items.length > 0 ? h("ul", { class: "account-list", attrs: { "aria-label": label } }, ...items) : h("p", { class: "dim" }, none);
}

/** The dialog of people, what they may do, and what they did. For owners. */
export function openAccess(context: Context): void {
  const { rest } = context.mirror;
  const place = h("div", { class: "access-place" });
  const failed = h("p", { class: "form-error", role: "alert" });
  const tabs = segmented<Tab>(t("What to look at"), [
    ["people", t("People")],
    ["invitations", t("Invitations")],
    ["sessions", t("Sessions")],
    ["tokens", t("Tokens")],
    ["audit", t("Audit trail")],
  ], "people", (tab) => open(tab));
  const body = h("div", { class: "form access" }, tabs.element, failed, place);
  openDialog(t("People and access"), body, [], { wide: true });
  let shown: Tab = "people";

  const act = (doing: Promise<unknown>): void => {
    setText(failed, "");
    doing.then(() => open(shown), (error: unknown) => setText(failed, reasonOf(error)));
  };
  const now_ms = (): number => context.mirror.nowMs();
  const path = (person: Person): string => `people/${encodeURIComponent(person.name)}`;

  const people = async (): Promise<HTMLElement[]> => {
    const found = (await rest.get<People>("people")).people;
    return [rows(t("People"), found.map(personRow), t("Nobody has an account yet: invite somebody.")), await invite()];
  };

  const personRow = (person: Person): HTMLElement => {
    const set = (grants: readonly Grant[]): void => act(rest.patch(path(person), { grants }));
    const role = roleSelect(t("Role"));
    const part = partField(context, t("Part"));
    const grants = h("ul", { class: "grants" }, ...person.grants.map((grant) =>
      h("li", { class: "chip" }, grantText(grant), iconButton("close", t("Withdraw {grant} of {name}", { grant: grantText(grant), name: person.name }), () => set(person.grants.filter((each) => each !== grant)), "small"))));
    return h("li", { class: "person", attrs: { "data-person": person.name } },
      h("details", {},
        h("summary", {}, icon("chevron"), h("strong", {}, person.name), h("span", { class: "dim clip" }, person.is_disabled ? t("shut") : person.grants.map(grantText).join(", ") || t("nothing"))),
        h("div", { class: "form" },
          grants,
          h("div", { class: "account-row" }, role, part.element, button(t("Grant"), () => set([...person.grants, { role: role.value, subtree: part.input.value.trim() }]), "plain", "plus")),
          h("div", { class: "account-row" },
            h("span", { class: "grow dim" }, t("since {time}", { time: momentText(person.created_ns / 1e6).slice(0, 10) })),
            button(person.is_disabled ? t("Open again") : t("Shut"), () => act(rest.patch(path(person), { is_disabled: !person.is_disabled })), "quiet"),
            button(t("Remove"), (event) => sure(event.currentTarget as HTMLButtonElement, () => act(rest.delete(path(person)))), "danger"),
          ),
        ),
      ),
    );
  };

  const invite = async (): Promise<HTMLElement> => {
    const role = roleSelect(t("Role"));
    const part = partField(context, t("Part"));
    const link = h("p", { class: "mono account-link", role: "status" });
    const make = async (): Promise<void> => {
      setText(failed, "");
      const made = await rest.post<Invitation>("invitations", { grant: { role: role.value, subtree: part.input.value.trim() } });
      const address = new URL(made.path, location.origin).href;
      link.replaceChildren(address, " ", button(t("Copy"), () => void copyText(address).then((done) => context.toast({ tone: done ? "good" : "uncertain", title: done ? t("Copied") : t("Not copied: select the link instead") })), "quiet", "copy"));
    };
    return h("section", {}, h("h3", {}, t("Invite somebody")),
      h("div", { class: "account-row" }, role, part.element, button(t("Invite"), () => { make().catch((error: unknown) => setText(failed, reasonOf(error))); }, "plain", "people")),
      h("p", { class: "dim" }, t("The link makes one account, once, within three days.")), link);
  };

  const invitations = async (): Promise<HTMLElement[]> => {
    const found = (await rest.get<InvitationsPage>("invitations")).invitations;
    return [rows(t("Invitations"), found.map((each) => h("li", {},
      h("span", { class: "grow clip" }, grantText(each.grant)),
      h("span", { class: "dim" }, t("by {name}, until {time}", { name: each.by, time: momentText(each.expires_ns / 1e6).slice(0, 16) })),
      button(t("Take back"), () => act(rest.delete(`invitations/${each.id}`)), "quiet"),
    )), t("No invitation is open.")), await invite()];
  };

  const sessions = async (): Promise<HTMLElement[]> => {
    const found = (await rest.get<SessionsPage>("sessions", { all: true })).sessions;
    return [rows(t("Sessions"), found.map((each) => h("li", {},
      h("strong", {}, each.name),
      h("span", { class: "grow clip dim", title: each.device }, `${deviceText(each.device)} · ${each.address} · ${wayText(each.way)}`),
      h("span", { class: "dim num", title: momentText(each.seen_ns / 1e6) }, each.is_this ? t("this one") : ageText(now_ms() - each.seen_ns / 1e6)),
      each.is_this ? null : button(t("End"), () => act(rest.delete(`sessions/${each.id}`)), "quiet"),
    )), t("Nobody is signed in."))];
  };

  const tokens = async (): Promise<HTMLElement[]> => {
    const found = (await rest.get<TokensPage>("tokens", { all: true })).tokens;
    return [rows(t("Tokens"), found.map((each) => h("li", {},
      h("strong", {}, `${each.owner}/${each.label}`),
      h("span", { class: "grow clip dim" }, each.grants.map(grantText).join(", ")),
      h("span", { class: "dim num" }, t("until {time}", { time: momentText(each.expires_ns / 1e6).slice(0, 10) })),
      button(t("Revoke"), () => act(rest.delete(`tokens/${each.id}`)), "quiet"),
    )), t("No program has a token. Each person makes their own under Account."))];
  };

  const audit = async (): Promise<HTMLElement[]> => {
    const filter = h("input", { class: "input", attrs: { type: "search", maxlength: 200, placeholder: t("name, act, address …"), "aria-label": t("Only lines with") } });
    const list = h("tbody");
    const state = h("span", { class: "dim", role: "status" });
    const more = button(t("Older"), () => void load().catch(complain), "quiet", "down");
    const table = h("a", { class: "button plain", attrs: { download: "audit.csv" } }, h("span", {}, t("Save as CSV")));
    const complain = (error: unknown): void => setText(failed, reasonOf(error));
    let before = 0;
    let asked = 0;
    const load = async (): Promise<void> => {
      const number = ++asked;
      const page = await rest.get<AuditPage>("audit", { limit: PAGE, before: before || null, text: filter.value.trim() || null });
      if (number !== asked) return;
      if (!before) setText(state, page.is_whole ? t("The chain is whole.") : t("A line was changed or taken away!"));
      state.classList.toggle("form-error", !page.is_whole);
      list.append(...page.lines.map(auditRow));
      if (list.childElementCount === 0) list.append(h("tr", {}, h("td", { class: "dim", attrs: { colspan: 5 } }, t("Nothing fits."))));
      before = page.before ?? 0;
      more.hidden = before === 0;
    };
    const begin = (): void => {
      before = 0;
      list.replaceChildren();
      table.href = apiUrl("audit.csv", { text: filter.value.trim() || null }).href;
      void load().catch(complain);
    };
    let timer = 0;
    filter.addEventListener("input", () => {
      window.clearTimeout(timer);
      timer = window.setTimeout(begin, ASK_AFTER_MS);
    });
    begin();
    return [
      h("div", { class: "account-row" }, filter, table),
      h("div", { class: "audit-scroll", tabIndex: 0, role: "region", attrs: { "aria-label": t("Audit trail") } },
        h("table", { class: "audit" }, h("thead", {}, h("tr", {}, ...[t("When"), t("Who"), t("What"), "", t("From")].map((name) => h("th", { attrs: { scope: "col" } }, name)))), list)),
      h("div", { class: "account-row" }, state, h("span", { class: "grow" }), more),
    ];
  };

  const auditRow = (line: AuditLine): HTMLElement => h("tr", { class: line.what.endsWith("refused") ? "refused" : "" },
    h("td", { class: "num", title: momentText(line.at_ns / 1e6) }, momentText(line.at_ns / 1e6).slice(0, 19)),
    h("td", {}, line.who || "–"), h("td", {}, auditWord(line.what)), h("td", { class: "dim audit-detail" }, line.detail), h("td", { class: "num dim" }, line.address));

  const shows: Record<Tab, () => Promise<HTMLElement[]>> = { people, invitations, sessions, tokens, audit };
  const open = (tab: Tab): void => {
    shown = tab;
    const openNow = new Set([...place.querySelectorAll<HTMLElement>("[data-person]")].filter((each) => each.querySelector("details")?.open).map((each) => each.dataset["person"]));
    shows[tab]().then(
      (parts) => {
        if (shown !== tab) return;
        place.replaceChildren(...parts);
        for (const each of place.querySelectorAll<HTMLElement>("[data-person]")) each.querySelector("details")!.open = openNow.has(each.dataset["person"]);
      },
      (error: unknown) => place.replaceChildren(emptyState("lock", t("Not for you"), reasonOf(error))),
    );
  };
  open("people");
}

/** Asks for a second press before something that cannot be taken back. */
function sure(pressed: HTMLButtonElement, act: () => void): void {
  if (pressed.dataset["sure"] === "1") {
    act();
    return;
  }
  pressed.dataset["sure"] = "1";
  const label = pressed.querySelector("span")!;
  const before = label.textContent;
  label.textContent = t("Yes, remove");
  window.setTimeout(() => {
    delete pressed.dataset["sure"];
    label.textContent = before;
  }, 4000);
}

const WAYS: Readonly<Record<string, string>> = { password: t("by password"), passkey: t("by passkey"), invitation: t("by invitation"), "owner's token": t("by the owner's token") };

function wayText(way: string): string {
  return WAYS[way] ?? way;
}

const AUDIT_WORDS: Readonly<Record<string, string>> = {
  "account made": t("account made"), "password set": t("password set"), "account shut": t("account shut"), "account opened": t("account opened"),
  "account removed": t("account removed"), granted: t("granted"), "sign-in refused": t("sign-in refused"), "signed in": t("signed in"),
  "session ended": t("session ended"), "token made": t("token made"), "token revoked": t("token revoked"), invited: t("invited"),
  "invitation withdrawn": t("invitation withdrawn"), "passkey added": t("passkey added"), "passkey removed": t("passkey removed"),
  "provider joined": t("provider joined"), command: t("command"), armed: t("armed"), disarmed: t("disarmed"),
};

function auditWord(what: string): string {
  return AUDIT_WORDS[what] ?? what;
}
