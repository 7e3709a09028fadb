// A field for a part of the world: a twin and what is below it, chosen by name or typed as an id.

import type { Context } from "./context.ts";
import { h } from "./dom.ts";
import { t } from "../words.ts";

const LISTED_AT_MOST = 500;
let lists = 0;

/** An input for a twin's id, with those that have parts to choose from; empty means everywhere. */
export function partField(context: Pick<Context, "mirror">, label: string, value = ""): { element: HTMLElement; input: HTMLInputElement } {
  const { mirror } = context;
  const id = `parts-${++lists}`;
  const options: HTMLElement[] = [];
  for (const twin of mirror.twins.keys()) {
    if (options.length >= LISTED_AT_MOST) break;
    if (mirror.children(twin).length > 0) options.push(h("option", { attrs: { value: twin, label: mirror.nameOf(twin) } }));
  }
  const input = h("input", {
    class: "input",
    attrs: { type: "text", list: id, maxlength: 2000, value, placeholder: t("everywhere"), "aria-label": label, autocomplete: "off", spellcheck: "false" },
  });
  return { element: h("span", { class: "part-field" }, input, h("datalist", { id }, ...options)), input };
}
