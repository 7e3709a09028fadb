// Who is here: oneself, one's sessions, passkeys and tokens, the language; and the way to people.

import { ageText, momentText } from "../format.ts";
import type { Me, PasskeysPage, SessionsPage, TokenMade, TokensPage } from "../protocol.ts";
import { LANGUAGES, language, speak, t } from "../words.ts";
import { deviceText, grantText, openAccess, roleSelect, rows } from "./access.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, h, openDialog, setText } from "./dom.ts";
import { partField } from "./part.ts";

const LASTS: readonly (readonly [number, string])[] = [[1, t("1 day")], [30, t("30 days")], [90, t("90 days")], [365, t("1 year")]];

/** The dialog of one's own account. */
export function openAccount(context: Context): void {
  const { rest } = context.mirror;
  const body = h("div", { class: "form account" });
  const failed = h("p", { class: "form-error", role: "alert" });
  const tongue = h("select", { class: "select", attrs: { "aria-label": t("Language") } }, ...Object.entries(LANGUAGES).map(([tag, name]) => h("option", { attrs: { value: tag, lang: tag } }, name)));
  tongue.value = language;
  tongue.addEventListener("change", () => {
    if (!speak(tongue.value)) context.toast({ tone: "uncertain", title: t("The browser lets this page remember nothing"), detail: t("Choose the language in the browser's own settings.") });
  });
  const leave = async (): Promise<void> => {
    await rest.delete("session").catch(() => undefined);
    location.assign("/");
  };
  const people = button(t("People and access…"), () => {
    dialog.close();
    openAccess(context);
  }, "plain", "people");
  people.hidden = true;
  const dialog = openDialog(t("Account"), body, [
    people,
    h("span", { class: "grow" }),
    button(t("Sign out"), () => void leave(), "danger"),
  ], { wide: true });
  const act = (doing: Promise<unknown>): void => {
    setText(failed, "");
    doing.then(() => fill(), (error: unknown) => setText(failed, reasonOf(error)));
  };

  const fill = async (): Promise<void> => {
    const me = await rest.get<Me>("session");
    const hasAccount = me.name !== "owner";
    const none = { passkeys: [] } as PasskeysPage;
    const [sessions, tokens, passkeys] = await Promise.all([
      rest.get<SessionsPage>("sessions"),
      rest.get<TokensPage>("tokens"),
      hasAccount ? rest.get<PasskeysPage>("passkeys") : none,
    ]);
    const now_ms = context.mirror.nowMs();
    people.hidden = !me.is_owner;
    body.replaceChildren(
      h("p", {}, h("strong", {}, me.name), " ", h("span", { class: "dim" }, me.grants.map(grantText).join(", "))),
      h("label", { class: "field" }, h("span", { class: "field-label" }, t("Language")), tongue),
      h("section", {}, h("h3", {}, t("Open sessions")), rows(t("Open sessions"), sessions.sessions.map((session) =>
        h("li", {},
          h("span", { class: "grow clip", title: session.device }, `${deviceText(session.device)} · ${session.address}`),
          h("span", { class: "dim num", title: momentText(session.seen_ns / 1e6) }, session.is_this ? t("this one") : ageText(now_ms - session.seen_ns / 1e6)),
          session.is_this ? null : button(t("End"), () => act(rest.delete(`sessions/${session.id}`)), "quiet"),
        )), t("Nobody is signed in."))),
      ...(hasAccount ? [passwordSection(), passkeySection(passkeys), tokenSection(tokens)] : []),
      failed,
    );
  };

  const passwordSection = (): HTMLElement => {
    const now = h("input", { class: "input", attrs: { type: "password", autocomplete: "current-password", placeholder: t("present password"), "aria-label": t("Present password") } });
    const next = h("input", { class: "input", attrs: { type: "password", autocomplete: "new-password", minlength: 12, maxlength: 256, placeholder: t("new password, 12 characters or more"), "aria-label": t("New password") } });
    const change = async (): Promise<void> => {
      setText(failed, "");
      await rest.post("password", { password: now.value, new_password: next.value });
      location.assign("/"); // all sessions have ended, this one too
    };
    return h("section", {}, h("h3", {}, t("Password")), h("details", { class: "more" }, h("summary", {}, t("Choose another one")),
      h("form", { class: "form", on: { submit: (event) => {
        event.preventDefault();
        change().catch((error: unknown) => setText(failed, reasonOf(error)));
      } } }, now, next, h("p", { class: "dim" }, t("You then sign in again, everywhere.")), h("div", { class: "account-row" }, h("button", { class: "button plain", attrs: { type: "submit" } }, h("span", {}, t("Change password")))))));
  };

  const passkeySection = (passkeys: PasskeysPage): HTMLElement => {
    const label = h("input", { class: "input", attrs: { type: "text", maxlength: "64", placeholder: t("which device"), "aria-label": t("Device") } });
    const can = typeof PublicKeyCredential !== "undefined" && "parseCreationOptionsFromJSON" in PublicKeyCredential;
    const add = async (): Promise<void> => {
      setText(failed, "");
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await rest.post("passkeys/options"));
      const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential | null;
      if (made === null) return;
      await rest.post("passkeys", made.toJSON(), { label: label.value.trim() || t("this device") });
      await fill();
    };
    return h("section", {}, h("h3", {}, t("Passkeys")),
      rows(t("Passkeys"), passkeys.passkeys.map((key) => h("li", {},
        h("span", { class: "grow clip" }, key.label),
        h("span", { class: "dim num" }, t("since {time}", { time: momentText(key.created_ns / 1e6).slice(0, 10) })),
        button(t("Remove"), () => act(rest.delete(`passkeys/${encodeURIComponent(key.id)}`)), "quiet"),
      )), can ? t("None yet. With one you sign in by fingerprint, face or PIN of the device.") : t("This browser makes none here: passkeys need a page that is reached by a name and trusted.")),
      can && h("div", { class: "account-row" }, label, button(t("Add a passkey"), () => { add().catch((error: unknown) => setText(failed, reasonOf(error))); }, "plain", "lock")),
    );
  };

  const tokenSection = (tokens: TokensPage): HTMLElement => {
    const label = h("input", { class: "input", attrs: { type: "text", maxlength: "64", placeholder: t("what it is for"), "aria-label": t("Label") } });
    const role = roleSelect(t("Role"));
    const part = partField(context, t("Part"));
    const lasts = h("select", { class: "select", attrs: { "aria-label": t("Holds for") } }, ...LASTS.map(([days, name]) => h("option", { attrs: { value: days } }, name)));
    lasts.value = "90";
    const made = h("p", { class: "mono account-secret", role: "status" });
    const make = async (): Promise<void> => {
      setText(failed, "");
      const grants = [{ role: role.value, subtree: part.input.value.trim() }];
      const answer = await rest.post<TokenMade>("tokens", { label: label.value.trim(), grants, lasts_days: Number(lasts.value) });
      await fill();
      body.querySelector(".account-secret")!.textContent = t("Shown this once: {token}", { token: answer.token });
    };
    return h("section", {}, h("h3", {}, t("Tokens of programs")),
      rows(t("Tokens of programs"), tokens.tokens.map((token) =>
        h("li", {},
          h("strong", {}, token.label),
          h("span", { class: "grow clip dim" }, token.grants.map(grantText).join(", ")),
          h("span", { class: "dim num" }, t("until {time}", { time: momentText(token.expires_ns / 1e6).slice(0, 10) })),
          button(t("Revoke"), () => act(rest.delete(`tokens/${token.id}`)), "quiet"),
        )), t("None. A token lets a program in, with no more than you may do yourself.")),
      h("div", { class: "account-row" }, label, role),
      h("div", { class: "account-row" }, part.element, lasts, button(t("Make token"), () => { make().catch((error: unknown) => setText(failed, reasonOf(error))); }, "plain", "plus")),
      made,
    );
  };

  fill().catch((error: unknown) => {
    body.replaceChildren(h("p", { class: "form-error", role: "alert" }, reasonOf(error)));
  });
}
