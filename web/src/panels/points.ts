// Points with their values: each row answers where from, how old, how good, in what unit.

import { ageText, labelText, momentText, numberText, qualityText, unitText } from "../format.ts";
import { text } from "../mirror.ts";
import { type AsOf, Kind, type PointType, type PointValue } from "../protocol.ts";
import { type Context, POINT_DRAG, reasonOf } from "./context.ts";
import { button, copyText, h, setAttr, setText } from "./dom.ts";
import { icon, setIcon } from "./icons.ts";
import { nanoseconds, type Samples } from "./series.ts";
import { drawSpark } from "./spark.ts";
import {
  isPlottable,
  isStepped,
  originOfPoint,
  placeInRange,
  qualityWords,
  SEVERITIES,
  unitOf,
  valueText,
} from "./values.ts";
import { t } from "../words.ts";
import { mayEdit } from "./edit.ts";
import { openPointEdit } from "./pointedit.ts";
import { openRule } from "./rule.ts";
import { saidOfPoint, whoWords } from "./said.ts";

const SPARK_MS = 5 * 60_000;
const SPARK_ROWS = 56;
/** More points of one twin than this are shown on request only. */
const POINTS_AT_ONCE = 120;
/** A value this old is worth a second look, if its source reports changes only or not. */
const OLD_MS = 60_000;

/** Pinned points, by `twin\0name`, as another panel keeps them. */
export interface Pins {
  has(handle: number): boolean;
  toggle(handle: number): void;
}

/** Rows of points, painted only while in sight. */
export class PointList {
  readonly element = h("div", { class: "points" });
  private rows: PointRow[] = [];
  private readonly rowByElement = new WeakMap<Element, PointRow>();
  private readonly sight: IntersectionObserver;
  private sparkAt = -Infinity;
  private request = 0;

  constructor(
    private readonly context: Context,
    scroller: HTMLElement,
    private readonly pins: Pins,
    private readonly withTwin: boolean,
  ) {
    this.sight = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          const row = this.rowByElement.get(entry.target);
          if (row) row.isInSight = entry.isIntersecting;
        }
        this.paint();
      },
      { root: scroller, rootMargin: "80px" },
    );
  }

  /** Shows these points; rows of points that stay are kept as they are. */
  show(handles: readonly number[]): void {
    const before = new Map(this.rows.map((row) => [row.handle, row]));
    const shown = handles.slice(0, POINTS_AT_ONCE);
    this.rows = shown.map((handle) => before.get(handle) ?? this.makeRow(handle));
    const kept = new Set(this.rows);
    for (const row of before.values()) {
      if (kept.has(row)) continue;
      this.sight.unobserve(row.element);
      this.context.series.unwatch(row.handle);
    }
    const children: Node[] = [];
    let group = "";
    for (const row of this.rows) {
      const name = this.context.mirror.pointRef(row.handle).name;
      const slash = name.lastIndexOf("/");
      const next = slash > 0 && !this.withTwin ? name.slice(0, slash) : "";
      if (next !== group) {
        group = next;
        if (group) children.push(h("div", { class: "point-group" }, group.split("/").map(labelText).join(" / ")));
      }
      children.push(row.element);
    }
    const rest = handles.length - shown.length;
    if (rest > 0) {
      children.push(h("p", { class: "empty-hint links-more" }, t("{n} more: name them in the field above.", { n: rest })));
    }
    this.element.replaceChildren(...children);
    this.sparkAt = -Infinity;
    void this.loadSparks();
  }

  clear(): void {
    this.show([]);
  }

  paint(): void {
    const now = performance.now();
    const withSpark = now - this.sparkAt > 950;
    if (withSpark) this.sparkAt = now;
    for (const row of this.rows) if (row.isInSight) row.paint(withSpark);
  }

  /** The past moved: what was loaded for the small lines does not fit any more. */
  reload(): void {
    void this.loadSparks();
  }

  private makeRow(handle: number): PointRow {
    const row = new PointRow(handle, this.context, this.pins, this.withTwin);
    this.rowByElement.set(row.element, row);
    this.sight.observe(row.element);
    this.context.series.watch(handle);
    return row;
  }

  private async loadSparks(): Promise<void> {
    const { mirror, series } = this.context;
    const request = ++this.request;
    const handles = this.rows
      .map((row) => row.handle)
      .filter((handle) => isPlottable(mirror.pointType(handle)))
      .slice(0, 60);
    if (handles.length === 0) return;
    const end_ms = mirror.viewMs();
    try {
      const found = await series.history(handles, end_ms - SPARK_MS, end_ms, SPARK_ROWS);
      if (request !== this.request) return;
      for (const row of this.rows) row.past = found.get(row.handle) ?? null;
      this.sparkAt = -Infinity;
      this.paint();
    } catch {
      // The rows are whole without their small lines; the trend says what is wrong when asked.
    }
  }
}

class PointRow {
  readonly element: HTMLElement;
  isInSight = false;
  past: Samples | null = null;
  private readonly origin = h("span", { class: "point-origin" });
  private readonly originIcon = icon("measured");
  private readonly figure = h("span", { class: "figure" });
  private readonly unit = h("span", { class: "unit" });
  private readonly value: HTMLElement;
  private readonly age = h("span", { class: "age num" });
  private readonly quality = h("span", { class: "quality" });
  private readonly range: HTMLElement;
  private readonly rangeFill = h("i");
  private readonly spark = h("canvas", { class: "point-spark", attrs: { "aria-hidden": "true" } });
  private readonly row: HTMLButtonElement;
  private readonly name: string;
  private more: PointMore | null = null;

  constructor(
    readonly handle: number,
    private readonly context: Context,
    private readonly pins: Pins,
    withTwin: boolean,
  ) {
    const { mirror } = context;
    const point = mirror.pointRef(handle);
    const own = labelText(point.name.slice(point.name.lastIndexOf("/") + 1));
    this.name = withTwin ? `${mirror.nameOf(point.twin)} · ${own}` : own;
    const description = text(point.type.description);
    this.origin.append(this.originIcon);
    this.value = h("span", { class: "point-value" }, this.figure, this.unit);
    this.range = h("span", { class: "point-range", hidden: true, attrs: { "aria-hidden": "true" } }, this.rangeFill);
    this.row = h(
      "button",
      {
        class: "point-row",
        attrs: { type: "button", "aria-expanded": "false" },
        title: description || point.name,
        on: { click: () => this.toggle() },
      },
      this.origin,
      h(
        "span",
        { class: "grow" },
        h("span", { class: "point-name clip" }, this.name),
        h("span", { class: "point-meta" }, this.age, this.quality),
        this.range,
      ),
      this.spark,
      this.value,
    );
    const name = `${point.twin}.${point.name}`;
    this.element = h("div", { class: "point", attrs: { "data-point": name, draggable: isPlottable(point.type) ? "true" : undefined } }, this.row);
    this.element.addEventListener("dragstart", (event) => {
      event.dataTransfer?.setData(POINT_DRAG, String(handle));
      event.dataTransfer?.setData("text/plain", name);
    });
    this.paint(false);
  }

  paint(withSpark: boolean): void {
    const { mirror, trends } = this.context;
    const { handle } = this;
    const type = mirror.pointType(handle);
    const severity = mirror.severity(handle);
    const hasValue = mirror.timeMs[handle]! > 0;
    const figure = valueText(mirror, handle);
    const unit = hasValue ? unitOf(mirror, handle) : "";
    setText(this.figure, figure);
    setText(this.unit, unit);
    const kind = type.kind ?? Kind.FLOAT;
    this.figure.className = kind >= Kind.BOOL ? "figure words clip" : "figure";
    this.value.className = `point-value clip ${hasValue ? SEVERITIES[severity] : "none"}`;
    const origin = originOfPoint(mirror, handle);
    setIcon(this.originIcon, origin);
    this.origin.className = `point-origin ${origin}`;
    const origins = t(origin);
    if (this.origin.title !== origins) this.origin.title = origins;
    const age_ms = mirror.ageMs(handle);
    setText(this.age, hasValue ? ageText(age_ms) : t("no value yet"));
    this.age.classList.toggle("old", age_ms > OLD_MS);
    const words = hasValue ? qualityWords(mirror, handle) : "";
    setText(this.quality, words);
    this.quality.className = severity === 2 ? "quality bad" : "quality";
    const place = isPlottable(type) && hasValue ? placeInRange(mirror, handle) : null;
    this.range.hidden = place === null;
    if (place !== null) {
      this.rangeFill.style.transform = `scaleX(${Math.max(0, Math.min(1, place)).toFixed(3)})`;
      this.range.classList.toggle("out", place < 0 || place > 1);
    }
    setAttr(
      this.row,
      "aria-label",
      `${this.name}: ${figure} ${unit}, ${origins}, ${hasValue ? ageText(age_ms) : t("no value yet")}${words ? `, ${words}` : ""}`,
    );
    this.element.classList.toggle("trended", trends.has(handle));
    if (withSpark) this.drawSpark(type);
    if (this.more && this.more.type !== type) this.showMore(); // it is described otherwise now
    this.more?.paint();
  }

  private drawSpark(type: Parameters<typeof isPlottable>[0]): void {
    if (!isPlottable(type)) return;
    const end_ms = this.context.mirror.viewMs();
    const start_ms = end_ms - SPARK_MS;
    const past = this.past ?? { t: [], v: [], q: [] };
    const live = this.context.series.live(this.handle, past.t.at(-1) ?? start_ms);
    const samples = live.t.length === 0 ? past : { t: [...past.t, ...live.t], v: [...past.v, ...live.v], q: [] };
    if (live.t.length > 600 && past.t.length > 0) this.past = trimmed(samples, start_ms);
    drawSpark(this.spark, samples, start_ms, end_ms, isStepped(type));
  }

  private toggle(): void {
    if (this.more) {
      this.more.element.remove();
      this.more = null;
    } else this.showMore();
    setAttr(this.row, "aria-expanded", String(this.more !== null));
  }

  private showMore(): void {
    this.more?.element.remove();
    this.more = new PointMore(this.handle, this.context, this.pins);
    this.element.append(this.more.element);
  }
}

/** What is said of a point beyond its row: exact value, times, origin, meaning; and what to do with it. */
class PointMore {
  readonly element: HTMLElement;
  readonly type: PointType;
  private readonly facts = new Map<string, HTMLElement>();
  private readonly trend: HTMLButtonElement;
  private askedAt = -Infinity;
  private isAsking = false;

  constructor(
    private readonly handle: number,
    private readonly context: Context,
    pins: Pins,
  ) {
    const { mirror, trends } = context;
    const { type, twin, name } = mirror.pointRef(handle);
    this.type = type;
    const list = h("dl", { class: "facts" });
    const fact = (label: string, value = ""): void => {
      const dd = h("dd", { class: "num" }, value);
      this.facts.set(label, dd);
      list.append(h("dt", {}, label), dd);
    };
    const description = text(type.description);
    if (description) fact(t("Meaning"), description);
    fact(t("Value"));
    fact(t("Quality"));
    fact(t("Origin"));
    fact(t("Source time"));
    fact(t("Received"));
    if (type.low != null || type.high != null) {
      const unit = unitText(type.unit ?? "");
      fact(t("Range"), t("{low} to {high} {unit}", {
        low: type.low == null ? "…" : numberText(type.low),
        high: type.high == null ? "…" : numberText(type.high),
        unit,
      }));
    }
    if (type.labels?.length) fact(t("States"), type.labels.map(([code, label]) => `${code} ${label}`).join(", "));
    if (type.semantic_ids?.length) fact(t("Semantic id"), type.semantic_ids.join("\n"));
    fact(t("Point"), `${twin}.${name}`);
    void saidOfPoint(context, twin, name).then((row) => {
      if (row) fact(t("Said over its source"), whoWords(context, row));
    }, () => undefined);
    this.trend = button("", () => {
      trends.toggle(handle);
      if (trends.has(handle)) context.show("trends");
      this.paint();
    }, "plain", "trend");
    this.trend.hidden = !isPlottable(type);
    const pin = button(pins.has(handle) ? t("Unpin") : t("Pin"), () => {
      pins.toggle(handle);
      setText(pin.lastElementChild!, pins.has(handle) ? t("Unpin") : t("Pin"));
    }, "plain", "pin");
    const copy = button(t("Copy name"), () => {
      void copyText(`${twin}.${name}`).then((done) =>
        context.toast({ tone: "plain", title: done ? t("Copied") : t("The browser gave no access to the clipboard") }),
      );
    }, "plain", "copy");
    const board = mayEdit(context) && button(t("Add to board…"), () => context.boards.addPoint(handle), "plain", "board");
    const edit = mayEdit(context) && button(t("Edit…"), () => void openPointEdit(context, handle), "plain", "authored");
    const alarm = mayEdit(context) && button(t("Alarm when…"), () => openRule(context, twin, type), "plain", "bell");
    this.element = h("div", { class: "point-more" }, h("div", { class: "point-tools" }, this.trend, pin, copy, edit, board, alarm), list);
    this.paint();
  }

  paint(): void {
    setText(this.trend.lastElementChild!, this.context.trends.has(this.handle) ? t("Remove from trend") : t("Add to trend"));
    const now = performance.now();
    if (this.isAsking || now - this.askedAt < 950) return;
    this.askedAt = now;
    this.isAsking = true;
    const { mirror } = this.context;
    const ask = mirror.time.live ? mirror.exact(this.handle) : this.exactThen(mirror.viewMs());
    ask
      .then((exact) => this.fill(exact))
      .catch((error: unknown) => setText(this.facts.get(t("Value"))!, reasonOf(error)))
      .finally(() => {
        this.isAsking = false;
      });
  }

  /** The exact value at a time in the past. */
  private async exactThen(at_ms: number): Promise<PointValue> {
    const { mirror } = this.context;
    const { twin, name } = mirror.pointRef(this.handle);
    const answer = await mirror.rest.get<AsOf>("asof", { time: nanoseconds(at_ms), point: `${twin}.${name}` });
    const [value] = answer.points;
    if (!value) throw new Error(t("nothing was known of it then"));
    return value;
  }

  private fill(exact: PointValue): void {
    const set = (label: string, value: string): void => setText(this.facts.get(label)!, value);
    const value =
      exact.value === null
        ? t("none")
        : Array.isArray(exact.value)
          ? t("{n} numbers", { n: exact.value.length })
          : exact.label
            ? `${exact.label} (${String(exact.value)})`
            : `${String(exact.value)} ${unitText(exact.unit)}`;
    set(t("Value"), value);
    set(t("Quality"), `${qualityText(exact.quality_name)} · 0x${exact.quality.toString(16).toUpperCase().padStart(8, "0")}`);
    set(t("Origin"), exact.by ? t("{origin} by {name}", { origin: t(exact.origin), name: exact.by }) : t(exact.origin));
    set(t("Source time"), exact.source_ns ? momentText(exact.source_ns / 1e6) : t("never"));
    const delay_ms = (exact.received_ns - exact.source_ns) / 1e6;
    set(
      t("Received"),
      exact.received_ns ? `${momentText(exact.received_ns / 1e6)} (${delay_ms >= 0 ? "+" : "−"}${numberText(Math.abs(delay_ms), 0)} ms)` : t("never"),
    );
  }
}

function trimmed(samples: Samples, start_ms: number): Samples {
  let first = 0;
  while (first < samples.t.length - 1 && samples.t[first + 1]! < start_ms) first += 1;
  return { t: samples.t.slice(first), v: samples.v.slice(first), q: [] };
}
