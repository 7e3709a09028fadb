// Twins as rows, chosen points as columns: every pump, all that is below a line. Sorted by what one clicks.

import { unitText } from "../../format.ts";
import type { Id, Mirror } from "../../mirror.ts";
import { h, setAttr, setText } from "../../panels/dom.ts";
import { icon, setIcon } from "../../panels/icons.ts";
import { isNumeric, SEVERITIES, unitOf, valueText } from "../../panels/values.ts";
import { t } from "../../words.ts";
import type { Tile } from "../model.ts";
import { type Means, notShown, pointLabel, setClass, type TileView } from "./tile.ts";

export type TableTile = Extract<Tile, { "@": "TableTile" }>;
/** A table is for looking at: more rows than these are counted, not shown. */
const ROWS_AT_MOST = 300;
const SORT_EVERY_MS = 1000;

interface Cell {
  handle: number;
  element: HTMLElement;
  text: HTMLElement;
  /** What was painted, to leave alone what has not changed. */
  value: number;
  at_ms: number;
  quality: number;
}

interface Row {
  twin: Id;
  name: string;
  element: HTMLElement;
  alarm: SVGSVGElement;
  cells: Cell[];
}

/** Twins of a type (or one that extends it) at or below a twin, by name. */
export function twinsOf(mirror: Mirror, type: Id, subtree: Id): Id[] {
  const found: Id[] = [];
  const isOfType = new Map<Id, boolean>([["", type === ""]]);
  const take = (id: Id): void => {
    const own = mirror.twins.get(id)?.type ?? "";
    let fits = isOfType.get(own);
    if (fits === undefined) isOfType.set(own, (fits = type === "" || mirror.typeChain(own).some((each) => each.id === type)));
    if (fits) found.push(id);
  };
  if (subtree === "") for (const id of mirror.twins.keys()) take(id);
  else if (mirror.twins.has(subtree)) {
    const seen = new Set<Id>([subtree]);
    const stack = [subtree];
    while (stack.length > 0) {
      const id = stack.pop()!;
      take(id);
      for (const child of mirror.children(id)) {
        if (seen.has(child)) continue;
        seen.add(child);
        stack.push(child);
      }
    }
  }
  return found;
}

class TableView implements TileView {
  readonly element: HTMLElement;
  readonly title: string;
  readonly sub: string;
  readonly twin = "";
  readonly handles: number[] = [];
  private readonly rows: Row[] = [];
  private readonly body = h("tbody", {});
  private readonly heads: HTMLElement[] = [];
  private sortedAt = -Infinity;
  private order = "";

  constructor(
    private readonly means: Means,
    private readonly tile: TableTile,
    twins: readonly Id[],
    private sort: string,
    private isDescending: boolean,
  ) {
    const { mirror } = means.context;
    const type = tile.type ?? "";
    this.title = type ? t("Every {type}", { type: mirror.typeName(type) }) : t("Table");
    this.sub = tile.subtree ? mirror.nameOf(tile.subtree) : "";
    const shown = twins.slice(0, ROWS_AT_MOST);
    const isNumber = tile.points.map(() => true);
    for (const twin of shown) {
      const row = this.makeRow(twin);
      this.rows.push(row);
      row.cells.forEach((cell, i) => {
        if (cell.handle < 0) return;
        this.handles.push(cell.handle);
        if (!isNumeric(mirror.pointType(cell.handle))) isNumber[i] = false;
      });
    }
    const head = h("tr", {}, this.head("", t("Name"), false));
    tile.points.forEach((point, i) => {
      const first = this.rows.map((row) => row.cells[i]!.handle).find((handle) => handle >= 0);
      const unit = first === undefined ? "" : unitText(mirror.pointType(first).unit ?? "");
      head.append(this.head(point, pointLabel(point), isNumber[i]!, unit));
      if (!isNumber[i]) for (const row of this.rows) row.cells[i]!.element.classList.add("words");
    });
    this.element = h(
      "div",
      { class: "tile-table scroll", tabIndex: 0, role: "region", attrs: { "aria-label": this.title } },
      h("table", {}, h("thead", {}, head), this.body),
    );
    if (twins.length > shown.length) this.element.append(h("p", { class: "empty-hint links-more" }, t("{n} more: choose a smaller part of the plant.", { n: twins.length - shown.length })));
    if (twins.length === 0) this.element.append(h("p", { class: "tile-empty" }, t("No such twins are shown to you.")));
    this.markHeads();
  }

  private head(point: string, label: string, isNumber: boolean, unit = ""): HTMLElement {
    const sign = h("span", { class: "sort-sign", attrs: { "aria-hidden": "true" } });
    const element = h(
      "th",
      { class: isNumber ? "num" : "", attrs: { scope: "col", "data-sort": point } },
      h("button", { attrs: { type: "button" }, on: { click: () => this.sortBy(point) } }, label, unit && h("span", { class: "dimmer" }, ` ${unit}`), sign),
    );
    this.heads.push(element);
    return element;
  }

  private makeRow(twin: Id): Row {
    const { mirror } = this.means.context;
    const alarm = icon("alarm-0", "alarm");
    const name = mirror.nameOf(twin);
    const cells = this.tile.points.map((point): Cell => {
      const text = h("span", {}, "–");
      return { handle: mirror.handle(twin, point), element: h("td", { class: "none" }, text), text, value: NaN, at_ms: NaN, quality: -1 };
    });
    const element = h(
      "tr",
      {},
      h("th", { attrs: { scope: "row" } }, h("button", { class: "table-name", title: twin, attrs: { type: "button" }, on: { click: () => this.means.context.goTo(twin) } }, alarm, h("span", { class: "clip" }, name))),
      ...cells.map((cell) => cell.element),
    );
    return { twin, name, element, alarm, cells };
  }

  private sortBy(point: string): void {
    this.isDescending = this.sort === point ? !this.isDescending : point !== "";
    this.sort = point;
    this.sortedAt = -Infinity;
    this.markHeads();
    this.paint();
  }

  private markHeads(): void {
    for (const head of this.heads) {
      const isIt = head.dataset["sort"] === this.sort;
      setAttr(head, "aria-sort", isIt ? (this.isDescending ? "descending" : "ascending") : null);
      setText(head.querySelector(".sort-sign")!, isIt ? (this.isDescending ? "↓" : "↑") : "");
    }
  }

  paint(): void {
    const { mirror } = this.means.context;
    for (const row of this.rows) {
      const alarm = mirror.alarmOf(row.twin);
      setClass(row.alarm, `icon alarm sev-${alarm}`);
      if (alarm > 0) setIcon(row.alarm, `alarm-${alarm as 1 | 2 | 3}`);
      for (const cell of row.cells) this.paintCell(cell);
    }
    const now = performance.now();
    if (now - this.sortedAt < SORT_EVERY_MS) return;
    this.sortedAt = now;
    this.arrange();
  }

  private paintCell(cell: Cell): void {
    const { handle } = cell;
    if (handle < 0) return;
    const { mirror } = this.means.context;
    const at_ms = mirror.timeMs[handle]!;
    const quality = mirror.severity(handle);
    const value = mirror.value[handle]!;
    if (Object.is(at_ms, cell.at_ms) && Object.is(value, cell.value) && quality === cell.quality) return;
    Object.assign(cell, { at_ms, value, quality });
    setText(cell.text, valueText(mirror, handle));
    const worst = quality === 0 && isNumeric(mirror.pointType(handle)) ? this.means.limits.severityAt(this.means.limits.of(handle), value) : 0;
    const isWords = cell.element.classList.contains("words") ? "words " : "";
    setClass(cell.element, `${isWords}${!(at_ms > 0) ? "none" : worst > 0 ? `beyond sev-${worst}` : SEVERITIES[quality]}`);
    setAttr(cell.element, "title", quality > 0 ? `${valueText(mirror, handle)} ${unitOf(mirror, handle)}: ${t(SEVERITIES[quality])}` : null);
  }

  private arrange(): void {
    const at = this.tile.points.indexOf(this.sort);
    const turn = this.isDescending ? -1 : 1;
    const byName = (a: Row, b: Row): number => a.name.localeCompare(b.name, undefined, { numeric: true });
    const sorted = [...this.rows].sort((a, b) => {
      if (at < 0) return byName(a, b) * turn;
      const [one, other] = [a.cells[at]!.value, b.cells[at]!.value];
      // What has no value comes last, whichever way one sorts.
      if (Number.isNaN(one) || Number.isNaN(other)) return Number(Number.isNaN(one)) - Number(Number.isNaN(other)) || byName(a, b);
      return (one - other) * turn || byName(a, b);
    });
    const order = sorted.map((row) => row.twin).join("\0");
    if (order === this.order) return;
    this.order = order;
    this.body.append(...sorted.map((row) => row.element));
  }

  close(): void {}
}

export function tableView(means: Means, tile: TableTile): TileView {
  const { mirror } = means.context;
  if (tile.subtree && !mirror.twins.has(tile.subtree)) return notShown(tile.subtree);
  const twins = twinsOf(mirror, tile.type ?? "", tile.subtree ?? "").filter((twin) => tile.points.some((point) => mirror.handle(twin, point) >= 0));
  twins.sort((a, b) => mirror.nameOf(a).localeCompare(mirror.nameOf(b), undefined, { numeric: true }));
  return new TableView(means, tile, twins, tile.sort ?? "", tile.is_descending ?? false);
}
