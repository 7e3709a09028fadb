// Sources: adding what is around or what has an address, what one asks of a person, and letting it go.

import { RestError, type Source } from "../mirror.ts";
import type { Pending } from "../protocol.ts";
import { t } from "../words.ts";
import { AddressForm } from "./addressform.ts";
import { type Context, reasonOf } from "./context.ts";
import { DiscoveredList } from "./discovered.ts";
import { button, h, openDialog, setText } from "./dom.ts";
import { icon } from "./icons.ts";

function wordsOf(error: unknown): string {
  return error instanceof RestError && error.mend ? `${error.message} ${error.mend}` : reasonOf(error);
}

/** The dialog: what is around, or an address → what it would be → mirrored. `key` opens a thing. */
export function openSourceDialog(context: Context, key?: string): void {
  const form = new AddressForm(context, () => dialog.close());
  // While a discovered thing is being added, the other way to add one is out of the way.
  const list = new DiscoveredList(context, () => dialog.close(), (isOpen) => {
    form.element.hidden = form.addButton.hidden = isOpen;
  });
  const body = h("div", { class: "form" }, list.element, form.element);
  const dialog = openDialog(
    t("Add a source"),
    body,
    [h("span", { class: "grow" }), button(t("Cancel"), () => dialog.close(), "quiet"), form.addButton],
    { wide: true, onClose: () => list.close() },
  );
  if (key === undefined || !list.open(key)) form.focus();
}

/** What a source waits for a person to decide: whether a certificate is the right one. */
export function pendingPrompt(context: Context, source: Source, pending: Pending): HTMLElement {
  const error = h("p", { class: "error-line", role: "alert", hidden: true });
  const trust = button(t("It is the same: trust it"), () => {
    trust.disabled = true;
    context.mirror.rest
      .post(`sources/${encodeURIComponent(source.name)}/trust`, { fingerprint: pending.fingerprint })
      .then(() => context.toast({ tone: "good", title: t("Certificate of {name} is trusted", { name: source.name }), detail: t("Connecting again.") }))
      .catch((problemSeen: unknown) => {
        trust.disabled = false;
        error.hidden = false;
        setText(error, wordsOf(problemSeen));
      });
  }, "primary", "shield");
  trust.dataset["key"] = `trust ${source.name}`;
  return h(
    "div",
    { class: "pending" },
    h("div", { class: "pending-title" }, icon("shield"), t("A certificate that is not known here")),
    h("div", { class: "dim" }, pending.subject || pending.detail),
    h("div", { class: "fingerprint" }, pending.fingerprint),
    h("p", { class: "dim" }, t("Compare the fingerprint with the one that the server itself shows. If they differ, someone else may be answering.")),
    error,
    h("div", {}, trust),
  );
}

/** Stops mirroring; twins and their past stay. */
export function removeSource(context: Context, name: string): void {
  const dialog = openDialog(
    t("Stop mirroring {name}?", { name }),
    h("div", { class: "form" }, h("p", { class: "dim" }, t("Its twins and their past stay in the record; no new values come. It can be added again at any time."))),
    [
      h("span", { class: "grow" }),
      button(t("Cancel"), () => dialog.close(), "quiet"),
      button(t("Stop mirroring"), () => {
        context.mirror.rest
          .delete(`sources/${encodeURIComponent(name)}`)
          .catch((error: unknown) => context.toast({ tone: "bad", title: t("Still mirrored"), detail: wordsOf(error) }));
        dialog.close();
      }, "primary"),
    ],
  );
}
