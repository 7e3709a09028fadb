// Fields for the options of a model or an evaluator, as the server describes them.

import { labelText, unitText } from "../format.ts";
import { h } from "../panels/dom.ts";
import type { ModelRow } from "../protocol.ts";

export interface OptionFields {
  element: HTMLElement;
  /** What was said, without what was left as it is. */
  read(): Record<string, unknown>;
}

/** Fields for all options; `given` stands in them, and what nobody gave stands in grey. */
export function optionFields(model: ModelRow, given: Record<string, unknown> = {}): OptionFields {
  const read: (() => [string, unknown] | null)[] = [];
  const element = h("div", { class: "branch-options" });
  for (const option of model.options) {
    const label = labelText(option.unit ? option.name.replace(new RegExp(`_${option.unit.replace(/\W/g, "")}$`), "") : option.name);
    const start = given[option.name];
    if (typeof option.default === "boolean") {
      const check = h("input", { attrs: { type: "checkbox", checked: (start ?? option.default) === true } });
      element.append(h("label", { class: "check", title: option.description }, check, label));
      read.push(() => (check.checked === option.default ? null : [option.name, check.checked]));
      continue;
    }
    const isNumber = typeof option.default === "number" || typeof start === "number";
    const input = h("input", { class: "input num", attrs: { type: isNumber ? "number" : "text", step: "any", placeholder: option.default == null ? "" : String(option.default), value: start === undefined ? "" : String(start), "aria-label": label } });
    element.append(h("label", { class: "branch-field", title: option.description }, h("span", { class: "clip" }, label), h("span", { class: "input-unit" }, input, option.unit ? h("span", { class: "unit" }, unitText(option.unit)) : null)));
    read.push(() => (input.value.trim() === "" ? null : [option.name, isNumber ? input.valueAsNumber : input.value.trim()]));
  }
  return { element, read: () => Object.fromEntries(read.map((each) => each()).filter((each) => each !== null)) };
}
