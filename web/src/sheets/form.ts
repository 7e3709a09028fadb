// A form made of a schema: what sheets hold is filled in, not written as text.
//
// A field edits its part of one plain value in place and says when it did. It knows no sheet: what
// names are to choose from, the caller says.

import { labelText } from "../format.ts";
import { button, h, iconButton } from "../panels/dom.ts";
import { language, t } from "../words.ts";
import { type Format, emptyOf, isDefault, isSimple, resolved, type Schema } from "./schema.ts";

/** What there is to choose from. */
export interface Choices {
  twins(): readonly string[];
  points(twin: string): readonly string[];
  /** Code and words of an enum point. */
  labels(twin: string, point: string): readonly (readonly [number, string])[];
  sheets(kind: string): readonly string[];
}

type Record_ = Record<string, unknown>;

const WORDS: Readonly<Record<string, string>> = {
  after_min: t("Wait for late data, minutes"),
  ask_from_s: t("Ask about stops longer than, seconds"),
  breaks: t("Breaks"),
  cause: t("Point of the cause"),
  code: t("Code"),
  counts_as: t("Counts as"),
  days: t("Days"),
  delayed: t("States in which it waits for others"),
  end: t("Ends"),
  forms: t("Files"),
  good: t("Point that counts good items"),
  keep: t("Reports to keep"),
  language: t("Language"),
  mail: t("Mail it to"),
  name: t("Name"),
  plan: t("Shift plan"),
  rate_per_h: t("Items an hour at full speed"),
  reasons: t("Reasons"),
  rejected: t("Point that counts rejects"),
  running: t("States in which it works"),
  shifts: t("Shifts"),
  start: t("Begins"),
  state: t("Point of its state"),
  subtree: t("Only this part of the world"),
  time_zone: t("Time zone"),
  twin: t("Twin"),
};
/** One of each list, for its button. */
const ONE: Readonly<Record<string, string>> = {
  breaks: t("Add a break"),
  mail: t("Add an address"),
  reasons: t("Add a reason"),
  shifts: t("Add a shift"),
};

const NAMES_MAX = 2000;
let lists = 0;

export class Form {
  readonly element = h("div", { class: "form sheet-form" });
  /** What has to be looked up again when a name was chosen; the rest of the form stays as it is. */
  private readonly dependents: (() => void)[] = [];

  constructor(
    private readonly root: Schema,
    /** Edited in place. */
    readonly value: Record_,
    private readonly choices: Choices,
    private readonly onChange: () => void,
  ) {
    this.draw();
  }

  private draw(): void {
    this.dependents.length = 0;
    this.element.replaceChildren(...this.fields(resolved(this.root, this.root), this.value, [this.value]));
  }

  private changed(isOther = false): void {
    if (isOther) this.draw();
    this.onChange();
  }

  /** The fields of an object; `within` are those around it, the nearest last. */
  private fields(schema: Schema, value: Record_, within: readonly Record_[]): HTMLElement[] {
    const names = Object.entries(schema.properties ?? {});
    const made: HTMLElement[] = [];
    for (const [name, each] of names) {
      const isNeeded = schema.required?.includes(name) ?? false;
      if (isNeeded && value[name] === undefined) value[name] = emptyOf(each, this.root);
      const set = (next: unknown): void => {
        // What says no more than is taken anyway is left out, so that the sheet stays short.
        if (!isNeeded && isDefault(next, each, this.root)) delete value[name];
        else value[name] = next;
      };
      made.push(this.field(name, each, value[name] ?? emptyOf(each, this.root), set, within));
    }
    return made;
  }

  private field(name: string, schema: Schema, value: unknown, set: (next: unknown) => void, within: readonly Record_[]): HTMLElement {
    const found = resolved(schema, this.root);
    const title = WORDS[name] ?? labelText(name);
    const put = (next: unknown, isOther = false): void => {
      set(next);
      this.changed(isOther);
    };
    if (found.format === "weekdays") return this.chosen(title, weekdays(), value as number[], put);
    if (found.format === "labels") return this.labels(title, found, put, within.at(-1)!, name);
    if (!isSimple(schema, this.root)) return this.text(title, value, put);
    if (found.type === "array") {
      const items = found.items ? resolved(found.items, this.root) : null;
      if (items?.enum !== undefined && items.enum.every((one) => typeof one === "string")) {
        return this.chosen(title, items.enum.map((one) => [one, labelText(String(one))] as const), value as string[], put);
      }
      if (found.prefixItems === undefined) return this.list(name, title, found.items || {}, value as unknown[], put, within);
      return this.tuple(title, found.prefixItems, value as unknown[], put);
    }
    if (found.type === "object") {
      return h("fieldset", { class: "sheet-part" }, h("legend", {}, title), ...this.fields(found, value as Record_, [...within, value as Record_]));
    }
    return h("label", { class: "field" }, h("span", { class: "field-label" }, title), ...this.input(found, value, put, within));
  }

  private input(schema: Schema, value: unknown, put: (next: unknown, isOther?: boolean) => void, within: readonly Record_[]): HTMLElement[] {
    if (schema.enum !== undefined) {
      const input = h("select", { class: "select" }, ...schema.enum.map((one) => h("option", { attrs: { value: String(one), selected: one === value } }, one === "" ? "–" : labelText(String(one)))));
      input.addEventListener("change", () => put(schema.enum![input.selectedIndex]));
      return [input];
    }
    if (schema.type === "boolean") {
      const input = h("input", { attrs: { type: "checkbox", checked: value === true } });
      input.addEventListener("change", () => put(input.checked));
      return [input];
    }
    if (schema.type === "integer" || schema.type === "number") {
      const input = h("input", { class: "input", attrs: { type: "number", step: schema.type === "integer" ? "1" : "any", value: value === null || value === undefined || value === "" ? "" : String(value) } });
      input.addEventListener("input", () => put(input.value === "" ? null : input.valueAsNumber));
      return [input];
    }
    const isWords = schema.format === "words" && typeof value === "object" && value !== null;
    const shown = isWords ? String((value as Record<string, string>)[language] ?? Object.values(value as object)[0] ?? "") : String(value ?? "");
    const input = h("input", { class: "input", attrs: { type: schema.format === "time" ? "time" : schema.format === "email" ? "email" : "text", value: shown, maxlength: "400", spellcheck: "false" } });
    input.addEventListener("input", () => put(isWords ? { ...(value as object), [language]: input.value } : input.value));
    if (this.names(schema.format, schema.of, within) === null) return [input];
    const list = h("datalist", { id: `sheet-names-${++lists}` });
    input.setAttribute("list", list.id);
    // What there is to choose from may hang on another field, so it is looked up when it is wanted.
    input.addEventListener("focus", () => {
      const names = this.names(schema.format, schema.of, within) ?? [];
      list.replaceChildren(...names.slice(0, NAMES_MAX).map((one) => h("option", { attrs: { value: one } })));
    });
    input.addEventListener("change", () => this.dependents.forEach((look) => look()));
    return [input, list];
  }

  /** The states of a point; as numbers where it has no words for them. */
  private labels(title: string, schema: Schema, put: (next: unknown) => void, holder: Record_, name: string): HTMLElement {
    const place = h("div", {});
    const look = (): void => {
      const labels = this.choices.labels(String(holder["twin"] ?? ""), String(holder[schema.of ?? ""] ?? ""));
      const value = (holder[name] ?? []) as number[];
      const known = new Set(labels.map(([code]) => code));
      const all = [...labels, ...value.filter((code) => !known.has(code)).map((code) => [code, String(code)] as const)];
      place.replaceChildren(all.length > 0 ? this.chosen(title, all, value, put) : this.text(title, value, put));
    };
    this.dependents.push(look);
    look();
    return place;
  }

  private names(format: Format | undefined, of: string | undefined, within: readonly Record_[]): readonly string[] | null {
    switch (format) {
      case "twin":
        return this.choices.twins();
      case "point":
        return this.choices.points(String(within.at(-1)?.[of ?? ""] ?? ""));
      case "sheet":
        return this.choices.sheets(of ?? "");
      case "time-zone":
        return Intl.supportedValuesOf("timeZone");
      default:
        return null;
    }
  }

  /** Some of a few, each to be ticked. */
  private chosen<T extends string | number>(title: string, all: readonly (readonly [T, string])[], value: readonly T[], put: (next: unknown) => void): HTMLElement {
    const some = new Set(value ?? []);
    const boxes = all.map(([code, words]) => {
      const box = h("input", { attrs: { type: "checkbox", checked: some.has(code) } });
      box.addEventListener("change", () => {
        if (box.checked) some.add(code);
        else some.delete(code);
        put(all.map(([one]) => one).filter((one) => some.has(one)));
      });
      return h("label", { class: "sheet-tick" }, box, words);
    });
    return h("fieldset", { class: "sheet-ticks" }, h("legend", { class: "field-label" }, title), ...boxes);
  }

  /** A pair, such as the begin and the end of a break. */
  private tuple(title: string, parts: readonly Schema[], value: unknown[], put: (next: unknown) => void): HTMLElement {
    const own = [...value];
    const inputs = parts.flatMap((part, i) => [
      i > 0 ? h("span", { class: "dim" }, "–") : null,
      ...this.input(resolved(part, this.root), own[i], (next) => {
        own[i] = next;
        put([...own]);
      }, []),
    ]);
    for (const input of inputs) input?.setAttribute("aria-label", title);
    return h("div", { class: "sheet-pair" }, ...inputs);
  }

  private list(name: string, title: string, items: Schema, value: readonly unknown[] | null, put: (next: unknown, isOther?: boolean) => void, within: readonly Record_[]): HTMLElement {
    const all = [...(value ?? [])];
    const found = resolved(items, this.root);
    const rows = all.map((one, i) => {
      const away = iconButton("close", t("Take it away"), () => put(all.filter((_, j) => j !== i), true), "small");
      const set = (next: unknown): void => {
        all[i] = next;
        put([...all]);
      };
      if (found.type !== "object") {
        const [input, ...more] = found.prefixItems ? [this.tuple(title, found.prefixItems, one as unknown[], set)] : this.input(found, one, set, within);
        if (!found.prefixItems) input!.setAttribute("aria-label", title);
        return h("div", { class: "sheet-row" }, input!, ...more, away);
      }
      const inside = this.fields(found, one as Record_, [...within, one as Record_]);
      // A field changes its object in place, so that the list only has to say so.
      const part = h("fieldset", { class: "sheet-part" }, h("legend", {}, `${i + 1}`), h("div", { class: "sheet-away" }, away), ...inside);
      part.addEventListener("input", () => set(all[i]));
      return part;
    });
    const more = button(ONE[name] ?? t("Add one"), () => put([...all, emptyOf(items, this.root)], true), "quiet", "plus");
    return h("fieldset", { class: "sheet-list" }, h("legend", { class: "field-label" }, title), ...rows, more);
  }

  /** What no field can show is written as JSON. */
  private text(title: string, value: unknown, put: (next: unknown) => void): HTMLElement {
    const input = h("textarea", { class: "input mono", attrs: { rows: "3", spellcheck: "false" } });
    input.value = JSON.stringify(value);
    input.addEventListener("input", () => {
      try {
        put(JSON.parse(input.value));
        input.setCustomValidity("");
      } catch {
        input.setCustomValidity(t("This is no JSON"));
      }
    });
    return h("label", { class: "field" }, h("span", { class: "field-label" }, title), input);
  }
}

function weekdays(): readonly (readonly [number, string])[] {
  const form = new Intl.DateTimeFormat(language, { weekday: "short", timeZone: "UTC" });
  return [0, 1, 2, 3, 4, 5, 6].map((day) => [day, form.format(new Date(Date.UTC(2024, 0, 1 + day)))] as const);
}
