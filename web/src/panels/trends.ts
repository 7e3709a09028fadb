// Trends: several points over time, live and past. History from the record, continued by the stream.

import { theme } from "../style/theme.ts";
import { clockText, dayText, labelText, unitText } from "../format.ts";
import { Chart, type Line, type Span } from "./chart.ts";
import { type Context, POINT_DRAG, reasonOf, remembered, type Trended } from "./context.ts";
import { button, emptyState, h, iconButton, segmented, setAttr, setText } from "./dom.ts";
import { openExport } from "./export.ts";
import { type Mark, marksOf } from "./marks.ts";
import type { Painter } from "./pulse.ts";
import { firstAfter, type Samples, type SeriesStore } from "./series.ts";
import { isPlottable, valueOf, valueText } from "./values.ts";
import { t } from "../words.ts";

const LINES_AT_MOST = 8;
const SPANS = [["1", "1 min"], ["5", "5 min"], ["15", "15 min"], ["60", "1 h"], ["480", "8 h"], ["1440", "24 h"], ["all", t("All")]] as const;
/** History is loaded this much beyond what is shown, so that small moves need no new request. */
const MARGIN = 0.35;
/** Looked closer than this into what was loaded: its downsampling shows, load it finer. */
const FINER_FROM = 2.6;
/** Beyond this many samples the past part is loaded anew, downsampled. */
const SAMPLES_AT_MOST = 12_000;

interface Trend {
  handle: number;
  /** `twin\0point`: what it is, whatever its handle. */
  name: string;
  colour: string;
  samples: Samples;
  row: LegendRow;
}

interface LegendRow {
  element: HTMLElement;
  value: HTMLElement;
  unit: HTMLElement;
}

export class TrendPanel implements Painter, Trended {
  readonly element: HTMLElement;
  readonly tools: HTMLElement;
  private readonly trends: Trend[] = [];
  private readonly listeners = new Set<() => void>();
  private readonly chart: Chart;
  private readonly chartPlace = h("div", {
    class: "chart",
    tabIndex: 0,
    role: "img",
    attrs: { "aria-label": t("Trend. Arrow keys move, plus and minus zoom, 0 fits.") },
  });
  private readonly legend = h("div", { class: "legend scroll", role: "list", attrs: { "aria-label": t("Points in the trend") } });
  private readonly readout = h("div", { class: "readout num", hidden: true });
  private readonly note = h("div", { class: "chart-note", role: "status", hidden: true });
  private readonly empty: HTMLElement;
  private readonly liveButton: HTMLButtonElement;
  private readonly exportButton: HTMLButtonElement;
  private readonly spans;
  private readonly kept;
  private span_ms = 5 * 60_000;
  private isWhole = false;
  private isFollowing = true;
  private window: Span = { start_ms: 0, end_ms: 1 };
  private loaded: (Span & { isToNow: boolean }) | null = null;
  private loadTimer = 0;
  private request: AbortController | null = null;
  private cursor_ms: number | null = null;
  private drawnAt = -Infinity;
  private isRestored = false;

  constructor(
    private readonly context: Context,
    private readonly series: SeriesStore,
  ) {
    const { mirror, pulse } = context;
    this.kept = remembered<string[]>("trends", []);
    this.chart = new Chart(this.chartPlace, {
      onSpan: (span) => this.moveTo(span),
      onFit: () => this.fit(),
      onCursor: (at_ms) => {
        this.cursor_ms = at_ms;
        this.paintLegend();
      },
    });
    this.spans = segmented(t("Length of time"), SPANS, "5", (choice) => this.setSpan(choice));
    this.spans.element.classList.add("span-choice");
    this.liveButton = button(t("Back to live"), () => this.follow(), "primary", "clock");
    this.liveButton.hidden = true;
    // What is selected can be exported too, with nothing in the trend.
    this.exportButton = iconButton("download", t("Export…"), () => openExport(context, this.trends.map((trend) => trend.handle), this.window));
    this.tools = h(
      "div",
      { class: "dock-tools" },
      this.spans.element,
      this.liveButton,
      h("span", { class: "grow" }),
      iconButton("fit", t("Fit to what there is"), () => this.fit()),
      this.exportButton,
      iconButton("close", t("Remove all points"), () => {
        for (const trend of [...this.trends]) this.toggle(trend.handle);
      }),
    );
    this.empty = emptyState("trend", t("No points in the trend"), t("Open a point in a twin's details and add it, or drag it here."));
    this.element = h(
      "div",
      { class: "dock-panel trend-panel" },
      this.legend,
      h("div", { class: "chart-place" }, this.chartPlace, this.readout, this.note),
      this.empty,
    );
    series.on(() => pulse.mark(this));
    mirror.on("structure", () => {
      this.dropStrangers();
      if (!this.isRestored && mirror.nPoints > 0) this.restore();
      pulse.mark(this);
    });
    mirror.on("time", () => {
      this.isFollowing = true;
      this.reload(200);
      pulse.mark(this);
    });
    mirror.on("events", () => pulse.mark(this));
    mirror.on("commands", () => pulse.mark(this));
    theme.on(() => {
      this.chart.forgetColours();
      this.drawnAt = -Infinity;
      pulse.mark(this);
    });
    pulse.tick(this);
    this.arrange();
  }

  // --- which points --------------------------------------------------------------------------

  has(handle: number): boolean {
    return this.trends.some((trend) => trend.handle === handle);
  }

  add(handle: number): void {
    if (!this.has(handle)) this.toggle(handle);
  }

  toggle(handle: number): void {
    const at = this.trends.findIndex((trend) => trend.handle === handle);
    if (at >= 0) {
      this.trends[at]!.row.element.remove();
      this.trends.splice(at, 1);
      this.series.unwatch(handle);
    } else {
      if (handle < 0 || handle >= this.context.mirror.nPoints || !isPlottable(this.context.mirror.pointType(handle))) return;
      if (this.trends.length >= LINES_AT_MOST) {
        this.context.toast({ tone: "plain", title: t("A trend shows {n} points at most", { n: LINES_AT_MOST }), detail: t("Remove one of them first.") });
        return;
      }
      const used = new Set(this.trends.map((trend) => trend.colour));
      let n = 1;
      while (used.has(`--series-${n}`)) n += 1;
      const colour = `--series-${n}`;
      this.series.watch(handle);
      this.trends.push({ handle, name: this.pointName(handle), colour, samples: { t: [], v: [], q: [] }, row: this.legendRow(handle, colour) });
      this.reload(0);
    }
    if (this.isRestored) this.kept.set(this.trends.map((trend) => trend.name));
    this.arrange();
    this.drawnAt = -Infinity;
    this.context.pulse.mark(this);
    for (const listener of this.listeners) listener();
  }

  on(listener: () => void): void {
    this.listeners.add(listener);
  }

  /** Points may be dropped here from elsewhere on the page. */
  acceptDrops(place: HTMLElement): void {
    place.addEventListener("dragover", (event) => {
      if (event.dataTransfer?.types.includes(POINT_DRAG)) event.preventDefault();
    });
    place.addEventListener("drop", (event) => {
      const handle = Number(event.dataTransfer?.getData(POINT_DRAG) || NaN);
      if (!Number.isInteger(handle)) return;
      event.preventDefault();
      this.add(handle);
      this.context.show("trends");
    });
  }

  /** Another world may answer after a new connection: handles that mean something else go. */
  private dropStrangers(): void {
    const { mirror } = this.context;
    for (const trend of [...this.trends]) {
      const [twin, point] = trend.name.split("\0");
      if (mirror.handle(twin!, point!) === trend.handle) continue;
      this.isRestored = false;
      this.toggle(trend.handle);
    }
  }

  private restore(): void {
    this.isRestored = true;
    for (const name of this.kept.get().slice(0, LINES_AT_MOST)) {
      const [twin, point] = name.split("\0");
      const handle = this.context.mirror.handle(twin!, point!);
      if (handle >= 0) this.add(handle);
    }
  }

  private pointName(handle: number): string {
    const { twin, name } = this.context.mirror.pointRef(handle);
    return `${twin}\0${name}`;
  }

  private arrange(): void {
    const isEmpty = this.trends.length === 0;
    this.empty.hidden = !isEmpty;
    this.legend.hidden = isEmpty;
    this.chartPlace.parentElement!.hidden = isEmpty;
    for (const each of this.tools.querySelectorAll("button")) if (each !== this.liveButton && each !== this.exportButton) each.disabled = isEmpty;
    if (isEmpty) this.chart.destroy();
  }

  private legendRow(handle: number, colour: string): LegendRow {
    const { mirror } = this.context;
    const { twin, name } = mirror.pointRef(handle);
    const value = h("span", { class: "legend-value num" });
    const unit = h("span", { class: "legend-unit dim" });
    const swatch = h("i", { class: "legend-swatch" });
    swatch.style.background = `var(${colour})`;
    const element = h(
      "div",
      { class: "legend-row", role: "listitem", attrs: { "data-handle": handle } },
      swatch,
      h(
        "button",
        { class: "legend-name", attrs: { type: "button" }, title: `${twin}.${name}`, on: { click: () => this.context.goTo(twin) } },
        h("span", { class: "clip" }, labelText(name)),
        h("span", { class: "clip dimmer" }, mirror.nameOf(twin)),
      ),
      h("span", { class: "legend-figure" }, value, unit),
      iconButton("close", t("Remove {point} of {twin}", { point: labelText(name), twin: mirror.nameOf(twin) }), () => this.toggle(handle), "small"),
    );
    this.legend.append(element);
    return { element, value, unit };
  }

  // --- which time ----------------------------------------------------------------------------

  private setSpan(choice: string): void {
    this.isWhole = choice === "all";
    if (!this.isWhole) this.span_ms = Number(choice) * 60_000;
    this.isFollowing = true;
    this.settle();
  }

  private follow(): void {
    this.isFollowing = true;
    if (!this.context.mirror.time.live) this.context.mirror.seek(null);
    this.settle();
  }

  private settle(): void {
    this.updateWindow();
    this.ensureLoaded();
    this.drawnAt = -Infinity;
    this.context.pulse.mark(this);
  }

  private fit(): void {
    const { mirror } = this.context;
    let first = Infinity;
    for (const trend of this.trends) first = Math.min(first, trend.samples.t[0] ?? Infinity);
    const start = Number.isFinite(first) && !this.isFollowing ? Math.max(first, mirror.firstMs) : mirror.firstMs;
    this.spans.set("all");
    this.isWhole = true;
    this.isFollowing = true;
    if (start > 0) this.window = { start_ms: start, end_ms: mirror.viewMs() };
    this.settle();
  }

  private moveTo(span: Span): void {
    const { mirror } = this.context;
    const now_ms = mirror.nowMs();
    let { start_ms, end_ms } = span;
    const length = end_ms - start_ms;
    if (start_ms > now_ms - length * 0.05) {
      start_ms = now_ms - length * 0.05;
      end_ms = start_ms + length;
    }
    this.window = { start_ms, end_ms };
    this.span_ms = length;
    this.isWhole = false;
    // Zooming at the live end keeps following; moving into the past does not.
    this.isFollowing = mirror.time.live && end_ms >= now_ms && this.isFollowing;
    this.spans.set(this.isFollowing ? (String(Math.round(length / 60_000)) as "1") : ("" as "1"));
    this.ensureLoaded();
    this.drawnAt = -Infinity;
    this.context.pulse.mark(this);
  }

  private updateWindow(): void {
    if (!this.isFollowing) return;
    const { mirror } = this.context;
    const end_ms = mirror.viewMs();
    if (this.isWhole) {
      const start_ms = mirror.firstMs > 0 ? mirror.firstMs : end_ms - this.span_ms;
      this.window = { start_ms: Math.min(start_ms, end_ms - 10_000), end_ms };
    } else this.window = { start_ms: end_ms - this.span_ms, end_ms };
    // What happened after the moment that is shown stays in sight, as a quarter of the picture.
    if (!mirror.time.live) {
      const rest = Math.min((this.window.end_ms - this.window.start_ms) / 3, Math.max(0, mirror.nowMs() - end_ms));
      this.window = { start_ms: this.window.start_ms, end_ms: end_ms + rest };
    }
  }

  // --- loading -------------------------------------------------------------------------------

  private ensureLoaded(): void {
    const { start_ms, end_ms } = this.window;
    const length = end_ms - start_ms;
    const { loaded } = this;
    if (!loaded) {
      this.reload(0);
      return;
    }
    const isWithin = start_ms >= loaded.start_ms && (loaded.isToNow || end_ms <= loaded.end_ms);
    const loadedEnd = loaded.isToNow ? this.context.mirror.nowMs() : loaded.end_ms;
    const isCoarse = (loadedEnd - loaded.start_ms) / length > FINER_FROM;
    const isHeavy = this.trends.some((trend) => trend.samples.t.length > SAMPLES_AT_MOST);
    if (!isWithin || isCoarse || isHeavy) this.reload(140);
  }

  private reload(delay_ms: number): void {
    if (this.trends.length === 0) return;
    clearTimeout(this.loadTimer);
    this.loadTimer = window.setTimeout(() => void this.load(), delay_ms);
  }

  private async load(): Promise<void> {
    const { mirror } = this.context;
    this.updateWindow();
    this.request?.abort();
    const control = new AbortController();
    this.request = control;
    const length = this.window.end_ms - this.window.start_ms;
    const now_ms = mirror.nowMs();
    const start_ms = this.window.start_ms - length * MARGIN;
    const wantedEnd = this.window.end_ms + length * MARGIN;
    const isToNow = wantedEnd >= now_ms - 2000;
    const end_ms = isToNow ? now_ms + 1000 : wantedEnd;
    const handles = this.trends.map((trend) => trend.handle);
    this.loaded = { start_ms, end_ms, isToNow }; // asked for: not again at each frame
    try {
      const rows = this.chart.width * 2 * (1 + 2 * MARGIN);
      const found = await this.series.stretch(handles, start_ms, end_ms, rows, control.signal);
      if (control.signal.aborted) return;
      for (const trend of this.trends) trend.samples = found.get(trend.handle) ?? { t: [], v: [], q: [] };
      this.note.hidden = true;
    } catch (error) {
      if (control.signal.aborted) return;
      this.note.hidden = false;
      setText(this.note, t("The past could not be read: {reason}", { reason: reasonOf(error) }));
      this.loaded = { start_ms: -Infinity, end_ms: Infinity, isToNow: true }; // live goes on; a move asks again
    }
    this.drawnAt = -Infinity;
    this.context.pulse.mark(this);
  }

  // --- painting ------------------------------------------------------------------------------

  paint(): void {
    if (this.trends.length === 0 || this.element.offsetParent === null) return;
    this.takeLive();
    this.paintLegend();
    // One pixel's worth of time is the shortest step that anyone could see.
    const step_ms = Math.max(90, Math.min(1000, (this.window.end_ms - this.window.start_ms) / this.chart.width));
    const now = performance.now();
    if (now - this.drawnAt < step_ms) return;
    this.drawnAt = now;
    this.updateWindow();
    if (this.isFollowing) this.ensureLoaded();
    const { mirror } = this.context;
    const edge_ms = mirror.nowMs();
    const lines: Line[] = this.trends.map((trend) => ({
      handle: trend.handle,
      type: mirror.pointType(trend.handle),
      colour: trend.colour,
      samples: trend.samples,
      holdUntil_ms: mirror.time.live && mirror.link.state === "live" ? edge_ms : 0,
    }));
    const isLive = mirror.time.live;
    this.chart.draw(lines, this.window, this.marks(), isLive ? null : mirror.viewMs());
    this.liveButton.hidden = this.isFollowing && isLive;
    setAttr(this.chartPlace, "aria-label", t("Trend of {n} points from {start} to {end}. Arrow keys move, plus and minus zoom, 0 fits.", {
      n: this.trends.length,
      start: clockText(this.window.start_ms),
      end: clockText(this.window.end_ms),
    }));
  }

  private marks(): Mark[] {
    const { mirror } = this.context;
    const twins = new Set<string>();
    for (const trend of this.trends) {
      const { twin } = mirror.pointRef(trend.handle);
      twins.add(twin);
    }
    return marksOf(mirror, this.window.start_ms, this.window.end_ms, twins);
  }

  /** Continues the loaded past by what has arrived since. */
  private takeLive(): void {
    const { mirror } = this.context;
    if (!mirror.time.live || !this.loaded?.isToNow) return;
    for (const { handle, samples } of this.trends) this.series.goOn(handle, samples);
  }

  private paintLegend(): void {
    const { mirror } = this.context;
    const at = this.cursor_ms;
    this.readout.hidden = at === null;
    if (at !== null) {
      const near = this.marks().filter((mark) => Math.abs(mark.at_ms - at) < ((this.window.end_ms - this.window.start_ms) / this.chart.width) * 7);
      const isToday = dayText(at) === dayText(mirror.nowMs());
      setText(this.readout, [`${isToday ? "" : `${dayText(at)} `}${clockText(at, this.window.end_ms - this.window.start_ms < 120_000)}`, ...near.map((mark) => mark.label)].join("   "));
    }
    for (const { handle, row, samples } of this.trends) {
      const type = mirror.pointType(handle);
      let quality: number = mirror.severity(handle);
      if (at === null) setText(row.value, valueText(mirror, handle));
      else {
        const i = firstAfter(samples.t, at) - 1;
        quality = i >= 0 ? samples.q[i]! : 0;
        setText(row.value, i >= 0 ? valueOf(type, samples.v[i]!) : "–");
      }
      setText(row.unit, unitText(type.unit ?? ""));
      row.value.className = `legend-value num ${["", "uncertain", "bad"][quality]}`;
    }
  }
}
