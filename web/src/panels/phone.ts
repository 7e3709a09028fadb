// How a phone, a tablet or a headset gets here: pictures to scan, the fingerprint to compare, steps.

import type { Invitation, Me, Reach } from "../protocol.ts";
import { apiUrl } from "../rest.ts";
import { language, t } from "../words.ts";
import { ROLES } from "./access.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, copyText, emptyState, h, openDialog, setText } from "./dom.ts";
import { partField } from "./part.ts";

/** A picture of an address, drawn by the server. */
function picture(address: string, parameters: Record<string, string | number | boolean>): HTMLElement {
  return h("figure", { class: "qr" }, h("img", { attrs: { src: apiUrl("reach/qr.svg", parameters).href, alt: t("QR code of {address}", { address }), width: 184, height: 184 } }), h("figcaption", { class: "mono" }, address));
}

/** The dialog that brings another device here. */
export function openPhone(context: Context): void {
  const { rest } = context.mirror;
  const body = h("div", { class: "form phone-way" });
  const dialog = openDialog(t("On a phone or headset"), body, [], { wide: true });
  const fill = async (): Promise<void> => {
    // The steps come in the page's language, which may be another than the browser's.
    const answer = await fetch(apiUrl("reach"), { headers: { Accept: "application/json", "Accept-Language": language }, credentials: "same-origin" });
    if (!answer.ok) throw new Error(t("The server answered {status}", { status: answer.status }));
    const reach = (await answer.json()) as Reach;
    const me = await rest.get<Me>("session");
    if (reach.addresses.length === 0) {
      body.replaceChildren(
        emptyState("lock", t("Only this computer is served"), t("Start it so that others are served too; accounts and encryption are set up in the same step:")),
        h("p", { class: "mono center" }, `mirrorworld up --world ${context.mirror.world} --host 0.0.0.0`),
      );
      return;
    }
    const address = reach.addresses[0]!;
    const plain = reach.plain[0];
    body.replaceChildren(
      ...(reach.has_authority
        ? [
            h("section", {},
              h("h3", {}, t("1. Trust this world, once")),
              h("div", { class: "qr-row" },
                plain ? picture(plain, { plain: true }) : picture(`${address}/api/authority.pem`, { path: "/api/authority.pem" }),
                h("div", { class: "qr-words" },
                  h("p", {}, plain ? t("Scan it with the device. The page that opens has the certificate and the steps; it comes without encryption, so compare the fingerprint there with this one:") : t("Scan it with the device, go on past the warning, and compare the fingerprint of what you get with this one:")),
                  h("p", { class: "mono fingerprint" }, reach.fingerprint),
                  h("div", { class: "steps-by-system" }, ...reach.steps.map((step) => h("details", {}, h("summary", {}, step.system), h("ol", {}, ...step.lines.map((line) => h("li", {}, line)))))),
                ),
              ),
            ),
          ]
        : []),
      h("section", {},
        h("h3", {}, reach.has_authority ? t("2. Come in") : t("Come in")),
        h("div", { class: "qr-row" },
          picture(address, {}),
          h("div", { class: "qr-words" },
            h("p", {}, t("Scan it and sign in with your account. The device must be on the same network.")),
            reach.addresses.length > 1 && h("p", { class: "dim" }, t("Also reached at:"), " ", h("span", { class: "mono" }, reach.addresses.slice(1).join("  "))),
            me.is_owner && invitation(),
          ),
        ),
      ),
    );
  };

  const invitation = (): HTMLElement => {
    const role = h("select", { class: "select", attrs: { "aria-label": t("Role") } }, ...ROLES.map(([key, name]) => h("option", { attrs: { value: key } }, name)));
    const part = partField(context, t("Part"));
    const shown = h("div", { role: "status" });
    const failed = h("p", { class: "form-error", role: "alert" });
    const invite = async (): Promise<void> => {
      setText(failed, "");
      const made = await rest.post<Invitation>("invitations", { grant: { role: role.value, subtree: part.input.value.trim() } });
      const reach = await rest.get<Reach>("reach");
      const link = `${reach.addresses[0]}${made.path}`;
      shown.replaceChildren(
        picture(link, { path: made.path }),
        h("p", { class: "dim" }, t("One person makes an account with it, once, within three days."), " ", button(t("Copy"), () => void copyText(link).then((done) => context.toast({ tone: done ? "good" : "uncertain", title: done ? t("Copied") : t("Not copied: select the link instead") })), "quiet", "copy")),
      );
    };
    return h("details", { class: "invite" },
      h("summary", {}, t("For somebody without an account: an invitation")),
      h("div", { class: "account-row" }, role, part.element, button(t("Invite"), () => { invite().catch((error: unknown) => setText(failed, reasonOf(error))); }, "plain", "people")),
      failed,
      shown,
    );
  };

  fill().catch((error: unknown) => {
    body.replaceChildren(h("p", { class: "form-error", role: "alert" }, reasonOf(error)));
    void dialog;
  });
}
