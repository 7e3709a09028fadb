// One point: as a big number, as a bar against its range, as a state.

import { numberText, unitText } from "../../format.ts";
import { Kind } from "../../protocol.ts";
import { h, setAttr, setText } from "../../panels/dom.ts";
import { drawSpark } from "../../panels/spark.ts";
import { isNumeric, isPlottable, isStepped, SEVERITIES, unitOf, valueText } from "../../panels/values.ts";
import { t } from "../../words.ts";
import type { Limit } from "../limits.ts";
import type { Tile } from "../model.ts";
import { PAST_MS } from "../past.ts";
import { type Means, notShown, pointLabel, setClass, StandingLine, type TileView, handleOf } from "./tile.ts";

type Of<K extends Tile["@"]> = Extract<Tile, { "@": K }>;
const SPARK_EVERY_MS = 900;

/** What tiles of one point have in common: whose it is, and how it stands. */
abstract class PointView {
  readonly element = h("div", { class: "tile-point" });
  readonly title: string;
  readonly sub: string;
  readonly twin: string;
  readonly handles: readonly number[];
  protected readonly standing: StandingLine;

  constructor(
    protected readonly means: Means,
    protected readonly handle: number,
  ) {
    const { mirror } = means.context;
    const point = mirror.pointRef(handle);
    this.title = pointLabel(point.name);
    this.sub = mirror.nameOf(point.twin);
    this.twin = point.twin;
    this.handles = [handle];
    this.standing = new StandingLine(mirror, handle);
  }

  protected get hasValue(): boolean {
    return this.means.context.mirror.timeMs[this.handle]! > 0;
  }

  protected limits(): readonly Limit[] {
    return isNumeric(this.means.context.mirror.pointType(this.handle)) ? this.means.limits.of(this.handle) : [];
  }

  /** Beyond an alarm limit: which; beyond the range: said by the colour of doubt. */
  protected judgement(): string {
    const { mirror } = this.means.context;
    if (!this.hasValue) return "none";
    const severity = mirror.severity(this.handle);
    if (severity > 0) return SEVERITIES[severity];
    const value = mirror.value[this.handle]!;
    const worst = this.means.limits.severityAt(this.limits(), value);
    if (worst > 0) return `beyond sev-${worst}`;
    const { low, high } = mirror.pointType(this.handle);
    return (low != null && value < low) || (high != null && value > high) ? "uncertain" : "good";
  }
}

class ValueView extends PointView implements TileView {
  private readonly figure = h("span", { class: "figure" });
  private readonly unit = h("span", { class: "tile-unit" });
  private readonly value = h("div", { class: "tile-value" }, this.figure, this.unit);
  private readonly spark: HTMLCanvasElement | null = null;
  private drawnAt = -Infinity;

  constructor(means: Means, handle: number, withSpark: boolean) {
    super(means, handle);
    if (withSpark && isPlottable(means.context.mirror.pointType(handle))) {
      this.spark = h("canvas", { class: "tile-spark", attrs: { "aria-hidden": "true" } });
      means.past.use(handle);
    }
    this.element.append(this.value, this.standing.element, ...(this.spark ? [this.spark] : []));
  }

  paint(): void {
    const { mirror } = this.means.context;
    const type = mirror.pointType(this.handle);
    setText(this.figure, valueText(mirror, this.handle));
    setText(this.unit, this.hasValue ? unitOf(mirror, this.handle) : "");
    const isWords = (type.kind ?? Kind.FLOAT) >= Kind.BOOL;
    setClass(this.value, `tile-value ${isWords ? "words " : ""}${this.judgement()}`);
    this.standing.paint();
  }

  draw(): void {
    const now = performance.now();
    if (!this.spark || now - this.drawnAt < SPARK_EVERY_MS) return;
    this.drawnAt = now;
    const { mirror } = this.means.context;
    const type = mirror.pointType(this.handle);
    const end_ms = mirror.viewMs();
    drawSpark(this.spark, this.means.past.of(this.handle), end_ms - PAST_MS, end_ms, isStepped(type));
  }

  close(): void {
    if (this.spark) this.means.past.leave(this.handle);
  }
}

class GaugeView extends PointView implements TileView {
  private readonly figure = h("span", { class: "figure" });
  private readonly unit = h("span", { class: "tile-unit" });
  private readonly value = h("div", { class: "tile-value" }, this.figure, this.unit);
  private readonly fill = h("i");
  private readonly marks = h("span", { class: "gauge-limits" });
  private readonly bar = h("div", { class: "gauge-bar", role: "meter" }, this.fill, this.marks);
  private readonly ends = h("div", { class: "gauge-ends num" });
  private shown = "";

  constructor(means: Means, handle: number) {
    super(means, handle);
    this.element.append(this.value, this.bar, this.ends, this.standing.element);
    setAttr(this.bar, "aria-label", `${this.title}, ${this.sub}`);
  }

  paint(): void {
    const { mirror } = this.means.context;
    setText(this.figure, valueText(mirror, this.handle));
    setText(this.unit, this.hasValue ? unitOf(mirror, this.handle) : "");
    const judgement = this.judgement();
    setClass(this.value, `tile-value ${judgement}`);
    setClass(this.bar, `gauge-bar ${judgement}`);
    this.standing.paint();
    const limits = this.limits();
    const range = rangeOf(mirror.pointType(this.handle), limits);
    this.bar.hidden = range === null;
    const shown = `${range?.join(" ")} ${limits.map((each) => `${each.at} ${each.severity}`).join(" ")}`;
    if (shown !== this.shown) {
      this.shown = shown;
      this.drawScale(range, limits);
    }
    if (range === null) return;
    const [low, high] = range;
    const value = mirror.value[this.handle]!;
    const place = this.hasValue ? Math.max(0, Math.min(1, (value - low) / (high - low))) : 0;
    const transform = `scaleX(${place.toFixed(3)})`;
    if (this.fill.style.transform !== transform) this.fill.style.transform = transform;
    setAttr(this.bar, "aria-valuenow", this.hasValue ? String(Math.max(low, Math.min(high, value))) : null);
  }

  private drawScale(range: readonly [number, number] | null, limits: readonly Limit[]): void {
    if (range === null) {
      this.ends.replaceChildren(h("span", {}, t("no range known")));
      return;
    }
    const [low, high] = range;
    const unit = unitText(this.means.context.mirror.pointType(this.handle).unit ?? "");
    setAttr(this.bar, "aria-valuemin", String(low));
    setAttr(this.bar, "aria-valuemax", String(high));
    this.ends.replaceChildren(h("span", {}, numberText(low)), h("span", {}, `${numberText(high)} ${unit}`));
    this.marks.replaceChildren(
      ...limits.map(({ at, severity, side }) => {
        const mark = h("i", {
          class: `sev-${severity}`,
          title: side === "above" ? t("Alarm above {limit}", { limit: `${numberText(at)} ${unit}` }) : t("Alarm below {limit}", { limit: `${numberText(at)} ${unit}` }),
        });
        mark.style.left = `${Math.max(0, Math.min(100, ((at - low) / (high - low)) * 100))}%`;
        return mark;
      }),
    );
  }

  close(): void {}
}

/** From where to where a bar goes: the point's range, else what its alarm limits tell of it. */
function rangeOf(type: { low?: number | null; high?: number | null }, limits: readonly Limit[]): readonly [number, number] | null {
  const ats = limits.map((limit) => limit.at);
  const low = type.low ?? Math.min(0, ...ats);
  const high = type.high ?? (ats.length > 0 ? Math.max(...ats) * 1.25 : Number.NaN);
  return high > low ? [low, high] : null;
}

/** How a state is to be taken, by what its label says: calm unless it is abnormal. */
export function moodOf(label: string): "running" | "waiting" | "wrong" | "other" {
  const word = label.toLowerCase();
  if (/fault|error|abort|alarm|trip|fail|emergency|störung|fehler/.test(word)) return "wrong";
  if (/\b(execute|executing|run|running|producing|production|active|auto|open|on|ok|normal)\b/.test(word)) return "running";
  if (/idle|stop|hold|held|suspend|block|starv|wait|clean|maint|setup|change|off|clos/.test(word)) return "waiting";
  return "other";
}

class StateView extends PointView implements TileView {
  private readonly word = h("span", { class: "state-word clip" });
  private readonly dot = h("i", { class: "state-dot" });
  private readonly state = h("div", { class: "tile-state" }, this.dot, this.word);
  private readonly ribbon = h("canvas", { class: "state-ribbon", attrs: { "aria-hidden": "true" } });
  private drawnAt = -Infinity;

  constructor(means: Means, handle: number) {
    super(means, handle);
    means.past.use(handle);
    this.element.append(this.state, this.standing.element, this.ribbon);
  }

  paint(): void {
    const { mirror } = this.means.context;
    const label = valueText(mirror, this.handle);
    setText(this.word, label);
    const severity = mirror.severity(this.handle);
    setClass(this.state, `tile-state ${this.hasValue ? `${moodOf(label)} ${SEVERITIES[severity]}` : "none"}`);
    this.standing.paint();
  }

  /** The states of the last minutes, one after the other. */
  draw(): void {
    const now = performance.now();
    if (now - this.drawnAt < SPARK_EVERY_MS) return;
    this.drawnAt = now;
    const { mirror } = this.means.context;
    const canvas = this.ribbon;
    const width = canvas.clientWidth;
    if (width === 0) return;
    const height = canvas.clientHeight;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const pen = canvas.getContext("2d");
    if (!pen) return;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const style = getComputedStyle(canvas);
    const { t: times, v } = this.means.past.of(this.handle);
    const end_ms = mirror.viewMs();
    const start_ms = end_ms - PAST_MS;
    const type = mirror.pointType(this.handle);
    const x = (time: number): number => Math.max(0, ((time - start_ms) / PAST_MS) * width);
    for (let i = 0, next = 1; i < times.length; i = next) {
      if (times[i]! > end_ms) break;
      for (next = i + 1; next < times.length && v[next] === v[i]; ) next += 1;
      const until = Math.min(end_ms, times[next] ?? end_ms);
      if (until < start_ms || Number.isNaN(v[i]!)) continue;
      const label = type.kind === Kind.BOOL ? (v[i] ? "on" : "off") : (type.labels?.find(([code]) => code === v[i])?.[1] ?? "");
      const mood = moodOf(label);
      pen.fillStyle = style.getPropertyValue(`--mood-${mood}`);
      pen.globalAlpha = mood === "running" ? 0.5 : 1; // what runs well stays calm
      pen.fillRect(x(times[i]!), 0, Math.max(0.75, x(until) - x(times[i]!)), height);
    }
  }

  close(): void {
    this.means.past.leave(this.handle);
  }
}

export function pointView(means: Means, tile: Of<"ValueTile"> | Of<"GaugeTile"> | Of<"StateTile">): TileView {
  const { mirror } = means.context;
  const handle = handleOf(mirror, tile.point);
  if (handle < 0) return notShown(`${tile.point.twin}.${tile.point.point}`);
  const type = mirror.pointType(handle);
  if (tile["@"] === "GaugeTile" && isNumeric(type)) return new GaugeView(means, handle);
  if (tile["@"] === "StateTile" && isPlottable(type)) return new StateView(means, handle);
  return new ValueView(means, handle, tile["@"] === "ValueTile" && (tile.spark ?? true));
}
