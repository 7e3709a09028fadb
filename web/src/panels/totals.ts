// What all parts of a twin say together, or all that it feeds or powers: live, or as it was then.

import { countText, labelText, numberText, unitText } from "../format.ts";
import { storeOf } from "../heat/store.ts";
import type { Total } from "../heat/totals.ts";
import type { Id } from "../mirror.ts";
import type { Context } from "./context.ts";
import { h, segmented, setText } from "./dom.ts";
import { t } from "../words.ts";

const RELATIONS = ["part_of", "feeds", "powers"] as const;
const SHOWN_FIRST = 8;
const REST_MS = 400;

interface Row {
  element: HTMLElement;
  main: HTMLElement;
  rest: HTMLElement;
}

export class TotalsPart {
  readonly element: HTMLElement;
  readonly isEmpty: boolean;
  private readonly list = h("div", { class: "totals-list" });
  private readonly said = h("p", { class: "dimmer totals-said num" });
  private readonly more = h("button", { class: "button quiet", attrs: { type: "button" }, on: { click: () => this.showAll() } });
  private readonly rows = new Map<string, Row>();
  private relation: string;
  private members: Int32Array;
  private isAll = false;
  private paintedMs = -Infinity;

  constructor(
    private readonly context: Context,
    private readonly id: Id,
  ) {
    const { mirror } = context;
    // Most twins have no parts: nothing is indexed for them.
    const candidates = RELATIONS.filter((kind) => (kind === "part_of" ? mirror.to(id) : mirror.from(id)).some((relation) => relation.kind === kind));
    const index = candidates.length > 0 ? storeOf(mirror).totals : null;
    const found = index?.relations(mirror.ordinal(id), candidates) ?? [];
    this.relation = found[0] ?? "";
    this.members = index && this.relation ? index.members(mirror.ordinal(id), this.relation) : new Int32Array(0);
    this.isEmpty = this.members.length === 0;
    const words: Record<string, string> = { part_of: t("Parts"), feeds: t("What it feeds"), powers: t("What it powers") };
    const choice = segmented(t("Totals over"), found.map((kind) => [kind, words[kind] ?? kind] as const), this.relation, (kind) => {
      this.relation = kind;
      this.members = storeOf(mirror).totals.members(mirror.ordinal(this.id), kind);
      this.rows.clear();
      this.list.replaceChildren();
      this.paintedMs = -Infinity;
      this.paint();
    });
    this.element = h("div", { class: "totals" }, found.length > 1 && choice.element, this.said, this.list, this.more);
    if (!this.isEmpty) this.paint();
  }

  paint(): void {
    const now = performance.now();
    if (this.isEmpty || now - this.paintedMs < REST_MS) return;
    const { mirror } = this.context;
    const totals = storeOf(mirror).totals.totals(this.members, mirror.value, mirror.quality);
    const shown = this.isAll ? totals : ranked(totals).slice(0, SHOWN_FIRST);
    setText(this.said, t("{twins} twins, {n} quantities", { twins: countText(this.members.length), n: countText(totals.length) }));
    this.more.hidden = this.isAll || totals.length <= SHOWN_FIRST;
    setText(this.more, t("All {n} quantities", { n: totals.length }));
    for (const total of shown) this.write(total);
    // What it costs to sum up a site is given back before it is summed up again.
    this.paintedMs = performance.now() + (performance.now() - now) * 8;
  }

  private showAll(): void {
    this.isAll = true;
    this.rows.clear();
    this.list.replaceChildren();
    this.paintedMs = -Infinity;
    this.paint();
  }

  private write(total: Total): void {
    const { quantity } = total;
    let row = this.rows.get(quantity.key);
    if (row === undefined) {
      const main = h("b", { class: "num" });
      const rest = h("small", { class: "num dimmer" });
      row = { main, rest, element: h("div", { class: "totals-row" }, h("span", { class: "clip" }, labelText(quantity.name)), main, rest) };
      this.rows.set(quantity.key, row);
      this.list.append(row.element);
    }
    const unit = unitText(quantity.unit);
    const number = (value: number): string => numberText(value);
    const isSum = !Number.isNaN(total.sum);
    setText(row.main, total.n === 0 ? "–" : `${isSum ? "Σ" : "⌀"} ${number(isSum ? total.sum : total.mean)} ${unit}`.trim());
    const parts = [
      isSum && t("mean {value}", { value: number(total.mean) }),
      t("{low} to {high}", { low: number(total.min), high: number(total.max) }),
      isSum && total.nSummed < total.n
        ? t("{n} of {all} added, the others are within them", { n: countText(total.nSummed), all: countText(total.n) })
        : t("of {n}", { n: countText(total.n) }),
      total.nWithout > 0 && t("{n} without a value", { n: countText(total.nWithout) }),
    ].filter(Boolean);
    setText(row.rest, total.n === 0 ? t("{n} without a value", { n: countText(total.nWithout) }) : parts.join(" · "));
  }
}

/** What adds up first, then what most points say. */
function ranked(totals: readonly Total[]): Total[] {
  const weight = (total: Total): number => (Number.isNaN(total.sum) ? 0 : 1);
  return [...totals].sort((a, b) => weight(b) - weight(a) || b.n - a.n);
}
