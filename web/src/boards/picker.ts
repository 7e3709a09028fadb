// Fields that find points and twins as one types, and hold what was chosen.

import type { Id, Mirror, PointType } from "../mirror.ts";
import { h, iconButton, setAttr } from "../panels/dom.ts";
import { findPoints } from "../panels/find_points.ts";
import { t } from "../words.ts";
import type { PointAt } from "./model.ts";
import { pointLabel } from "./tiles/tile.ts";

const SHOWN = 8;

interface Choice<T> {
  value: T;
  label: string;
  where: string;
}

interface Options<T> {
  label: string;
  placeholder: string;
  most: number;
  find(query: string): Choice<T>[];
  describe(value: T): Choice<T>;
  onChange(): void;
}

let pickers = 0;

/** A combobox (ARIA 1.2) with what was chosen below it. */
export class Picker<T> {
  readonly element: HTMLElement;
  chosen: T[];
  private readonly input: HTMLInputElement;
  private readonly list: HTMLElement;
  private readonly held = h("div", { class: "picked", role: "list" });
  private readonly id = `pick-${++pickers}`;
  private results: Choice<T>[] = [];
  private active = 0;

  constructor(
    private readonly options: Options<T>,
    chosen: readonly T[],
  ) {
    this.chosen = [...chosen];
    this.input = h("input", {
      class: "input",
      role: "combobox",
      attrs: { type: "search", placeholder: options.placeholder, "aria-label": options.label, "aria-expanded": "false", "aria-controls": this.id, "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false" },
      on: {
        input: () => this.search(),
        focus: () => this.search(),
        blur: () => window.setTimeout(() => this.close(), 120),
        keydown: (event) => this.onKey(event),
      },
    });
    this.list = h("div", { class: "pick-list scroll", id: this.id, role: "listbox", hidden: true, attrs: { "aria-label": t("Results") } });
    // A click must not take the focus first, or the list would close under it.
    this.list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.element = h("div", { class: "picker" }, this.input, this.list, this.held);
    this.show();
  }

  set(values: readonly T[]): void {
    this.chosen = [...values];
    this.show();
  }

  private search(): void {
    this.results = this.options.find(this.input.value.trim());
    this.list.replaceChildren(
      ...this.results.map((result, i) =>
        h(
          "div",
          { class: "search-row", id: `${this.id}-${i}`, role: "option", on: { click: () => this.choose(i), pointermove: () => this.mark(i) } },
          h("span", { class: "clip" }, result.label),
          h("span", { class: "where clip" }, result.where),
        ),
      ),
      ...(this.results.length === 0 ? [h("p", { class: "empty-hint search-group" }, t("Nothing is called “{query}”.", { query: this.input.value }))] : []),
    );
    this.list.hidden = false;
    setAttr(this.input, "aria-expanded", "true");
    this.mark(0);
  }

  private mark(i: number): void {
    this.active = i;
    this.list.querySelectorAll("[role=option]").forEach((row, at) => setAttr(row, "aria-selected", String(at === i)));
    setAttr(this.input, "aria-activedescendant", this.results.length > 0 ? `${this.id}-${i}` : null);
  }

  private close(): void {
    this.list.hidden = true;
    setAttr(this.input, "aria-expanded", "false");
    setAttr(this.input, "aria-activedescendant", null);
  }

  private choose(i: number): void {
    const result = this.results[i];
    if (!result) return;
    const key = JSON.stringify(result.value);
    if (this.options.most === 1) this.chosen = [result.value];
    else if (this.chosen.length < this.options.most && !this.chosen.some((each) => JSON.stringify(each) === key)) this.chosen.push(result.value);
    this.input.value = "";
    this.close();
    this.show();
    this.options.onChange();
  }

  private show(): void {
    this.held.replaceChildren(
      ...this.chosen.map((value, i) => {
        const { label, where } = this.options.describe(value);
        return h(
          "div",
          { class: "picked-row", role: "listitem" },
          h("span", { class: "clip" }, label),
          h("span", { class: "clip dimmer" }, where),
          iconButton("close", t("Remove {point} of {twin}", { point: label, twin: where }), () => {
            this.chosen.splice(i, 1);
            this.show();
            this.options.onChange();
            this.input.focus();
          }, "small"),
        );
      }),
    );
    this.held.hidden = this.chosen.length === 0;
  }

  private onKey(event: KeyboardEvent): void {
    const n = this.results.length;
    if (event.key === "ArrowDown" && n > 0) this.mark((this.active + 1) % n);
    else if (event.key === "ArrowUp" && n > 0) this.mark((this.active - 1 + n) % n);
    else if (event.key === "Enter" && !this.list.hidden && n > 0) this.choose(this.active);
    else if (event.key === "Escape" && !this.list.hidden) this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.list.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }
}

export function pointPicker(mirror: Mirror, most: number, fits: (type: PointType) => boolean, chosen: readonly PointAt[], onChange: () => void): Picker<PointAt> {
  const describe = (at: PointAt): Choice<PointAt> => ({ value: at, label: pointLabel(at.point), where: mirror.twins.has(at.twin) ? mirror.nameOf(at.twin) : at.twin });
  return new Picker<PointAt>(
    {
      label: most === 1 ? t("Point") : t("Points"),
      placeholder: t("Find a point: “filler level”"),
      most,
      find: (query) => {
        // Nothing typed yet: what the person looks at comes first.
        const own = query === "" && mirror.selected !== null ? mirror.pointsOf(mirror.selected).filter(({ type }) => fits(type)).map(({ handle }) => handle) : [];
        const found = own.length > 0 ? own.slice(0, SHOWN) : findPoints(mirror, query, SHOWN, fits);
        return found.map((handle) => {
          const { twin, name } = mirror.pointRef(handle);
          return describe({ twin, point: name });
        });
      },
      describe,
      onChange,
    },
    chosen,
  );
}

export function twinPicker(mirror: Mirror, label: string, chosen: Id, onChange: () => void): Picker<Id> {
  const describe = (id: Id): Choice<Id> => ({ value: id, label: mirror.twins.has(id) ? mirror.nameOf(id) : id, where: id });
  return new Picker<Id>(
    {
      label,
      placeholder: t("Find a twin; empty: the whole plant"),
      most: 1,
      find: (query) => {
        const wanted = query.toLowerCase();
        const found: Id[] = [];
        for (const id of wanted === "" ? [...mirror.roots(), ...(mirror.selected ? [mirror.selected] : [])] : mirror.twins.keys()) {
          if (found.length >= SHOWN) break;
          if (mirror.nameOf(id).toLowerCase().includes(wanted) || id.toLowerCase().includes(wanted)) found.push(id);
        }
        return [...new Set(found)].map(describe);
      },
      describe,
      onChange,
    },
    chosen ? [chosen] : [],
  );
}

