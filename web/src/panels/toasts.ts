// Short messages that come and go. The slot is a live region: screen readers say them.

import type { Toast } from "./context.ts";
import { h, iconButton } from "./dom.ts";
import { icon, type IconName } from "./icons.ts";
import { t } from "../words.ts";

const SHOWN_MS = 5000;
/** What can still be done from a message needs time to be read and reached. */
const SHOWN_WITH_ACTION_MS = 12_000;
const AT_MOST = 4;

export class Toasts {
  constructor(private readonly host: HTMLElement) {}

  show(toast: Toast): void {
    const severity = /^sev-(\d)$/.exec(toast.tone)?.[1];
    const name: IconName | null = severity
      ? (`alarm-${severity}` as IconName)
      : toast.tone === "good" ? "check" : toast.tone === "bad" ? "alarm-2" : toast.tone === "uncertain" ? "info" : null;
    const close = (): void => element.remove();
    const element = h(
      "div",
      { class: `toast ${toast.tone}`, role: severity === "3" ? "alert" : undefined },
      name && h("span", { class: `toast-icon ${toast.tone === "bad" ? "sev-3" : toast.tone}` }, icon(name, name.startsWith("alarm") ? "alarm" : "")),
      h("div", { class: "toast-words" }, h("strong", {}, toast.title), toast.detail && h("span", { class: "dim" }, toast.detail)),
      toast.action &&
        h("button", { class: "button", attrs: { type: "button" }, on: { click: () => {
          toast.action!.run();
          close();
        } } }, toast.action.label),
      iconButton("close", t("Close"), close, "small"),
    );
    this.host.append(element);
    while (this.host.childElementCount > AT_MOST) this.host.firstElementChild!.remove();
    if (toast.isSticky) return;
    // Time stands still while someone reads it or reaches for it.
    let left_ms = toast.action ? SHOWN_WITH_ACTION_MS : SHOWN_MS;
    const timer = setInterval(() => {
      if (!element.isConnected) clearInterval(timer);
      else if (!element.matches(":hover, :focus-within") && (left_ms -= 500) <= 0) {
        clearInterval(timer);
        close();
      }
    }, 500);
  }
}
