// Says over its source what a point means: unit, range, semantic id, states. A field left empty
// leaves that to the source, whose own word stands in it in grey.

import { labelText, numberText } from "../format.ts";
import { text } from "../mirror.ts";
import { Kind, type PointType } from "../protocol.ts";
import { t } from "../words.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, h, openDialog } from "./dom.ts";
import { type Edit, say } from "./edit.ts";
import { saidOfPoint, whoWords } from "./said.ts";

const SUGGESTED = /did you mean '([^']+)'/;

interface About {
  unit?: string | null;
  low?: number | null;
  high?: number | null;
  semantic_ids?: string[] | null;
  labels?: [number, string][] | null;
  description?: Record<string, string> | null;
}

/** The dialog that edits one point. */
export async function openPointEdit(context: Context, handle: number): Promise<void> {
  const { mirror } = context;
  const { twin, name, type } = mirror.pointRef(handle);
  let row;
  try {
    row = await saidOfPoint(context, twin, name);
  } catch (error) {
    context.toast({ tone: "bad", title: t("Not opened"), detail: reasonOf(error) });
    return;
  }
  const said = (row?.said ?? {}) as About;
  const source: PointType = row?.source ?? type;
  const kind = type.kind ?? Kind.FLOAT;
  const rows: HTMLElement[] = [];
  const field = <K extends "input" | "textarea">(tag: K, label: string, value: string, placeholder: string, attrs: Record<string, string> = {}): HTMLElementTagNameMap[K] => {
    const input = h(tag, { class: "input", attrs: { placeholder, spellcheck: "false", autocomplete: "off", ...attrs } });
    input.value = input.defaultValue = value;
    rows.push(h("label", { class: "field" }, h("span", { class: "field-label" }, label), input));
    return input;
  };
  const hasUnit = kind <= Kind.INT || kind === Kind.ARRAY;
  const hasRange = kind <= Kind.INT || kind === Kind.ENUM;
  const hasStates = kind === Kind.INT || kind === Kind.BOOL || kind === Kind.ENUM;
  const unit = hasUnit ? field("input", t("Unit (UCUM)"), said.unit ?? "", source.unit || t("none"), { class: "input mono", maxlength: "64" }) : null;
  const limit = (label: string, value: number | null | undefined, of: number | null | undefined): HTMLInputElement =>
    field("input", label, value == null ? "" : String(value), of == null ? t("open") : numberText(of), { type: "number", step: "any" });
  const low = hasRange ? limit(t("Range from"), said.low, source.low) : null;
  const high = hasRange ? limit(t("Range to"), said.high, source.high) : null;
  if (low && high) rows.splice(-2, 2, h("div", { class: "form-row" }, ...rows.slice(-2)));
  const meaning = field("input", t("Semantic id"), (said.semantic_ids ?? []).join(" "), source.semantic_ids?.join(" ") || t("none"), { maxlength: "1000" });
  const description = field("input", t("Meaning"), said.description ? text(said.description) : "", text(source.description) || t("none"), { maxlength: "500" });
  const states = hasStates ? field("textarea", t("States, one a line: 0 off"), lines(said.labels), lines(source.labels) || t("none"), { rows: "3" }) : null;
  const failed = h("p", { class: "form-error", role: "alert" });

  const edits = (): Edit[] => {
    const about: About = {};
    if (unit?.value.trim()) about.unit = unit.value.trim();
    if (low?.value) about.low = low.valueAsNumber;
    if (high?.value) about.high = high.valueAsNumber;
    const ids = meaning.value.split(/\s+/).filter(Boolean);
    if (ids.length > 0) about.semantic_ids = ids;
    const words = description.value.trim();
    if (words) about.description = said.description && text(said.description) === words ? said.description : { "": words };
    if (states?.value.trim()) about.labels = labels(states.value);
    if (Object.keys(about).length === 0) return row ? [unsay] : [];
    return [{ "@": "PutPointAbout", twin, point: name, ...about }];
  };
  const unsay: Edit = { "@": "Unsay", twin, what: "PutPointAbout", name };
  const send = async (said: readonly Edit[]): Promise<void> => {
    if (said.length === 0) return dialog.close();
    try {
      await say(context, said, `${twin}.${name}`);
      dialog.close();
    } catch (error) {
      const reason = reasonOf(error);
      const better = SUGGESTED.exec(reason)?.[1];
      failed.replaceChildren(reason, ...(better && unit ? [" ", button(t("Use {unit}", { unit: better }), () => {
        unit.value = better;
        failed.replaceChildren();
        unit.focus();
      }, "plain")] : []));
    }
  };
  const save = (): void => {
    try {
      void send(edits());
    } catch (error) {
      failed.textContent = reasonOf(error);
    }
  };
  const form = h(
    "form",
    { class: "form", on: { submit: (event) => { event.preventDefault(); save(); } } },
    h("p", { class: "dimmer" }, row ? t("Said over its source {who}.", { who: whoWords(context, row) }) : t("Grey is what the source says. What you leave empty stays so.")),
    ...rows,
    hasUnit && h("p", { class: "hint dimmer" }, t("The unit says what the source sends; no value is converted.")),
    failed,
    h("input", { hidden: true, attrs: { type: "submit" } }),
  );
  const back = row && button(t("As the source says"), () => void send([unsay]), "plain", "undo");
  const dialog = openDialog(t("Edit {name}", { name: labelText(name) }), form, [
    ...(back ? [back] : []),
    h("span", { class: "grow" }),
    button(t("Save"), save, "primary"),
  ]);
  (unit ?? meaning).focus();
}

function lines(labels: readonly (readonly [number, string])[] | null | undefined): string {
  return (labels ?? []).map(([code, label]) => `${code} ${label}`).join("\n");
}

/** The states that lines spell: a whole number, then its word. */
function labels(spelt: string): [number, string][] {
  return spelt
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .map((line) => {
      const match = /^(-?\d{1,15})[\s:=]+(.+)$/.exec(line);
      if (!match) throw new Error(t("“{line}” is no state: write its number, then its word, as in 0 off", { line }));
      return [Number(match[1]), match[2]!];
    });
}
