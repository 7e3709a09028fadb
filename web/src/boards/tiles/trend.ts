// Points over time, up to the time that is shown.

import { clockText, dayText, durationText, unitText } from "../../format.ts";
import { Chart, type Line, type Span } from "../../panels/chart.ts";
import { reasonOf } from "../../panels/context.ts";
import { h, setAttr, setText } from "../../panels/dom.ts";
import { marksOf } from "../../panels/marks.ts";
import { firstAfter, type Samples } from "../../panels/series.ts";
import { isPlottable, SEVERITIES, valueOf, valueText } from "../../panels/values.ts";
import { theme } from "../../style/theme.ts";
import { t } from "../../words.ts";
import type { Tile } from "../model.ts";
import { handleOf, type Means, notShown, pointLabel, setClass, type TileView } from "./tile.ts";

type TrendTile = Extract<Tile, { "@": "TrendTile" }>;
const SAMPLES_AT_MOST = 6_000;
const AFTER_SEEK_MS = 300;

interface Row {
  handle: number;
  colour: string;
  samples: Samples;
  value: HTMLElement;
}

class TrendView implements TileView {
  readonly element: HTMLElement;
  readonly title = t("Trend");
  readonly sub: string;
  readonly twin = "";
  private readonly rows: Row[];
  private readonly place: HTMLElement;
  private readonly note = h("div", { class: "chart-note", role: "status", hidden: true });
  private readonly readout = h("div", { class: "readout num", hidden: true });
  private readonly chart: Chart;
  private readonly offs: (() => void)[];
  private window: Span = { start_ms: 0, end_ms: 1 };
  private drawnAt = -Infinity;
  private cursor_ms: number | null = null;
  private asked = new AbortController();
  private timer = 0;
  private isLoaded = false;

  constructor(
    private readonly means: Means,
    readonly handles: readonly number[],
    private readonly span_ms: number,
    missing: number,
  ) {
    const { mirror, series } = means.context;
    const twins = new Set(handles.map((handle) => mirror.pointRef(handle).twin));
    this.sub = [twins.size === 1 ? mirror.nameOf([...twins][0]!) : "", durationText(span_ms)].filter(Boolean).join(" · ");
    this.rows = handles.map((handle, i) => {
      series.watch(handle);
      return { handle, colour: `--series-${i + 1}`, samples: { t: [], v: [], q: [] }, value: h("span", { class: "legend-value num" }) };
    });
    const legend = h("div", { class: "tile-legend", role: "list" });
    for (const { handle, colour, value } of this.rows) {
      const point = mirror.pointRef(handle);
      const swatch = h("i", { class: "legend-swatch" });
      swatch.style.background = `var(${colour})`;
      const name = twins.size === 1 ? pointLabel(point.name) : `${mirror.nameOf(point.twin)} · ${pointLabel(point.name)}`;
      legend.append(
        h(
          "button",
          { class: "tile-legend-row", role: "listitem", title: `${point.twin}.${point.name}`, attrs: { type: "button" }, on: { click: () => means.context.goTo(point.twin) } },
          swatch,
          h("span", { class: "clip" }, name),
          value,
          h("span", { class: "dim" }, unitText(point.type.unit ?? "")),
        ),
      );
    }
    if (missing > 0) legend.append(h("span", { class: "dimmer" }, t("{n} not shown to you", { n: missing })));
    this.place = h("div", { class: "chart", role: "img" });
    this.element = h("div", { class: "tile-trend" }, h("div", { class: "chart-place" }, this.place, this.readout, this.note), legend);
    this.chart = new Chart(this.place, { onSpan: () => undefined, onFit: () => undefined, onCursor: (at_ms) => this.point(at_ms) }, false);
    const again = (): void => {
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => void this.load(), AFTER_SEEK_MS);
    };
    this.offs = [
      mirror.on("time", again),
      theme.on(() => {
        this.chart.forgetColours();
        this.drawnAt = -Infinity;
      }),
    ];
  }

  paint(): void {
    if (!this.isLoaded) {
      this.isLoaded = true;
      void this.load();
    }
    const { mirror, series } = this.means.context;
    for (const { handle, samples } of this.rows) {
      if (mirror.time.live) series.goOn(handle, samples);
      if (samples.t.length > SAMPLES_AT_MOST) this.isLoaded = false; // loaded anew, downsampled
    }
    this.paintLegend();
  }

  draw(): void {
    const { mirror } = this.means.context;
    // One pixel's worth of time is the shortest step that anyone could see.
    const step_ms = Math.max(200, Math.min(2000, this.span_ms / this.chart.width));
    const now = performance.now();
    if (now - this.drawnAt < step_ms) return;
    this.drawnAt = now;
    const end_ms = mirror.viewMs();
    this.window = { start_ms: end_ms - this.span_ms, end_ms };
    const isFollowing = mirror.time.live && mirror.link.state === "live";
    const lines: Line[] = this.rows.map(({ handle, colour, samples }) => ({ handle, type: mirror.pointType(handle), colour, samples, holdUntil_ms: isFollowing ? end_ms : 0 }));
    const twins = new Set(this.handles.map((handle) => mirror.pointRef(handle).twin));
    this.chart.draw(lines, this.window, marksOf(mirror, this.window.start_ms, end_ms, twins), null);
    setAttr(this.place, "aria-label", t("Trend of {n} points from {start} to {end}.", { n: this.rows.length, start: clockText(this.window.start_ms), end: clockText(end_ms) }));
  }

  private point(at_ms: number | null): void {
    this.cursor_ms = at_ms;
    this.paintLegend();
  }

  private paintLegend(): void {
    const { mirror } = this.means.context;
    const at = this.cursor_ms;
    this.readout.hidden = at === null;
    if (at !== null) setText(this.readout, `${dayText(at) === dayText(mirror.nowMs()) ? "" : `${dayText(at)} `}${clockText(at)}`);
    for (const { handle, samples, value } of this.rows) {
      let severity: 0 | 1 | 2 = mirror.severity(handle);
      if (at === null) setText(value, valueText(mirror, handle));
      else {
        const i = firstAfter(samples.t, at) - 1;
        severity = (i >= 0 ? samples.q[i]! : 0) as 0 | 1 | 2;
        setText(value, i >= 0 ? valueOf(mirror.pointType(handle), samples.v[i]!) : "–");
      }
      setClass(value, `legend-value num ${severity > 0 ? SEVERITIES[severity] : ""}`);
    }
  }

  private async load(): Promise<void> {
    this.asked.abort();
    const control = (this.asked = new AbortController());
    const { mirror, series, pulse } = this.means.context;
    const end_ms = mirror.viewMs();
    const rows = Math.max(200, this.chart.width * 2);
    try {
      const found = await series.stretch(this.handles, end_ms - this.span_ms, end_ms + 1, rows, control.signal);
      if (control.signal.aborted) return;
      for (const row of this.rows) row.samples = found.get(row.handle) ?? { t: [], v: [], q: [] };
      this.note.hidden = true;
    } catch (error) {
      if (control.signal.aborted) return;
      this.note.hidden = false;
      setText(this.note, t("The past could not be read: {reason}", { reason: reasonOf(error) }));
    }
    this.drawnAt = -Infinity;
    pulse.mark({ paint: () => this.draw() });
  }

  close(): void {
    clearTimeout(this.timer);
    this.asked.abort();
    for (const off of this.offs) off();
    for (const { handle } of this.rows) this.means.context.series.unwatch(handle);
    this.chart.destroy();
  }
}

export function trendView(means: Means, tile: TrendTile): TileView {
  const { mirror } = means.context;
  const handles = tile.points.map((point) => handleOf(mirror, point)).filter((handle) => handle >= 0 && isPlottable(mirror.pointType(handle)));
  if (handles.length === 0) return notShown(t("Trend"));
  return new TrendView(means, handles, (tile.span_s ?? 900) * 1000, tile.points.length - handles.length);
}
