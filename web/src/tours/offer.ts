/** Gives a text to be sent on: to the clipboard, or to be copied by hand where the browser allows none. */

import type { Context } from "../panels/context.ts";
import { copyText, h, openDialog } from "../panels/dom.ts";
import { t } from "../words.ts";

export async function offerLink(context: Pick<Context, "toast">, link: string): Promise<void> {
  if (await copyText(link)) context.toast({ tone: "plain", title: t("Link copied"), detail: link });
  else offerByHand(t("Copy the link"), link);
}

/** The text in a field, selected. */
export function offerByHand(title: string, text: string): void {
  const field = h("textarea", { class: "input mono offer-text", attrs: { readonly: true, rows: 4, "aria-label": title } });
  field.value = text;
  openDialog(title, h("div", { class: "form" }, h("p", {}, t("The browser gave no access to the clipboard. The text is selected: copy it with Ctrl C, or hold it on a phone.")), field));
  field.focus();
  field.select();
}
