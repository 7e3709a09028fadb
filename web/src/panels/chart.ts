// The drawing of trends: uPlot with time pan and zoom, an axis per unit, shading where values are not good.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

import { numberText, unitText } from "../format.ts";
import { Kind, type PointType } from "../protocol.ts";
import type { Mark } from "./marks.ts";
import type { Samples } from "./series.ts";
import { tickText, timeTicks } from "./timeaxis.ts";
import { isStepped } from "./values.ts";

/** One line of the chart. */
export interface Line {
  handle: number;
  type: PointType;
  /** CSS variable of its colour. */
  colour: string;
  samples: Samples;
  /** Up to where the last value may be drawn on: sources report changes only. */
  holdUntil_ms: number;
}

export interface Span {
  start_ms: number;
  end_ms: number;
}

const AXES_AT_MOST = 4;

interface ChartEvents {
  /** The person moved or zoomed; `isDone` once the hand is off. */
  onSpan(span: Span): void;
  onFit(): void;
  onCursor(at_ms: number | null): void;
}

export class Chart {
  private plot: uPlot | null = null;
  private lines: readonly Line[] = [];
  private span: Span = { start_ms: 0, end_ms: 1 };
  private marks: readonly Mark[] = [];
  private shownAt_ms: number | null = null;
  private key = "";
  private colours = new Map<string, string>();

  constructor(
    private readonly host: HTMLElement,
    private readonly events: ChartEvents,
    /** Whether hands move and zoom it; else wheel and touch go on to what it stands in. */
    private readonly isHandled = true,
  ) {
    new ResizeObserver(() => this.resize()).observe(host);
    if (isHandled) host.addEventListener("keydown", (event) => this.onKey(event));
  }

  get width(): number {
    return Math.max(100, this.host.clientWidth);
  }

  /** Colours are read anew after a change of theme. */
  forgetColours(): void {
    this.colours.clear();
    this.key = "";
  }

  draw(lines: readonly Line[], span: Span, marks: readonly Mark[], shownAt_ms: number | null): void {
    this.lines = lines;
    this.span = span;
    this.marks = marks;
    this.shownAt_ms = shownAt_ms;
    if (this.host.clientWidth === 0 || this.host.clientHeight === 0) return;
    const key = lines.map((line) => `${line.handle} ${line.colour} ${scaleOf(line)}`).join("|");
    if (key !== this.key || !this.plot) {
      this.key = key;
      this.plot?.destroy();
      this.plot = new uPlot(this.options(), this.data(), this.host);
      if (this.isHandled) this.bind(this.plot);
    } else {
      this.plot.batch(() => {
        this.plot!.setData(this.data(), false);
        this.plot!.setScale("x", { min: span.start_ms, max: span.end_ms });
      });
    }
  }

  destroy(): void {
    this.plot?.destroy();
    this.plot = null;
    this.key = "";
  }

  private resize(): void {
    if (!this.plot || this.host.clientWidth === 0) return;
    this.plot.setSize({ width: this.host.clientWidth, height: this.host.clientHeight });
  }

  private colour(name: string): string {
    let value = this.colours.get(name);
    if (value === undefined) {
      value = getComputedStyle(document.documentElement).getPropertyValue(name).trim() || "gray";
      this.colours.set(name, value);
    }
    return value;
  }

  /** All lines over one column of times. A line's own gaps are null, others' times are skipped. */
  private data(): uPlot.AlignedData {
    if (this.lines.length === 0) return [[]];
    const { start_ms, end_ms } = this.span;
    const margin = end_ms - start_ms;
    const tables = this.lines.map((line): uPlot.AlignedData => {
      const { t, v } = line.samples;
      const gap_ms = silenceOf(t);
      const times: number[] = [];
      const values: (number | null)[] = [];
      for (let i = 0; i < t.length; i++) {
        if (t[i + 1] !== undefined && t[i + 1]! < start_ms - margin) continue;
        if (t[i]! > end_ms + margin) break;
        // After a silence the source reports a change: until then the value stood.
        const before = times.at(-1);
        if (before !== undefined && t[i]! - before > gap_ms) {
          times.push(t[i]! - 1);
          values.push(values.at(-1) ?? null);
        }
        times.push(t[i]!);
        values.push(Number.isNaN(v[i]!) ? null : v[i]!);
      }
      const last = times.at(-1);
      if (last !== undefined && line.holdUntil_ms > last) {
        times.push(line.holdUntil_ms);
        values.push(values.at(-1) ?? null);
      }
      return [times, values];
    });
    return uPlot.join(tables);
  }

  private options(): uPlot.Options {
    const scales: uPlot.Scales = { x: { time: true, auto: false, min: this.span.start_ms, max: this.span.end_ms } };
    const axes: uPlot.Axis[] = [this.timeAxis()];
    const seen = new Map<string, number>();
    for (const line of this.lines) {
      const scale = scaleOf(line);
      if (seen.has(scale)) continue;
      seen.set(scale, seen.size);
      scales[scale] = { auto: true, range: (_plot, low, high) => rangeOf(line.type, low, high) };
      if (seen.size <= AXES_AT_MOST) axes.push(this.valueAxis(line, seen.size));
    }
    if (this.lines.length === 0) axes.push({ show: false });
    const stepped = uPlot.paths.stepped!({ align: 1 });
    const linear = uPlot.paths.linear!();
    return {
      width: this.host.clientWidth,
      height: this.host.clientHeight,
      ms: 1,
      padding: [10, seen.size > 1 ? 4 : 14, 0, 4],
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: this.isHandled, y: false, setScale: false },
        points: { size: 7, width: 1.5 },
        focus: { prox: 24 },
      },
      focus: { alpha: 0.45 },
      select: { show: true, left: 0, top: 0, width: 0, height: 0 },
      scales,
      axes,
      series: [
        {},
        ...this.lines.map(
          (line): uPlot.Series => ({
            scale: scaleOf(line),
            stroke: this.colour(line.colour),
            width: 1.5,
            points: { show: false },
            paths: isStepped(line.type) || line.type.is_writable ? stepped : linear,
            spanGaps: false,
          }),
        ),
      ],
      hooks: {
        drawClear: [(plot) => this.shadeQuality(plot)],
        draw: [(plot) => this.drawMarks(plot)],
        setCursor: [
          (plot) => {
            const left = plot.cursor.left ?? -1;
            this.events.onCursor(left < 0 ? null : plot.posToVal(left, "x"));
          },
        ],
        setSelect: [
          (plot) => {
            const { left, width } = plot.select;
            if (width > 4) {
              this.events.onSpan({ start_ms: plot.posToVal(left, "x"), end_ms: plot.posToVal(left + width, "x") });
            }
            plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    };
  }

  private font(): string {
    return `10.5px "Inter Variable", ${getComputedStyle(document.documentElement).getPropertyValue("--font") || "sans-serif"}`;
  }

  private timeAxis(): uPlot.Axis {
    let step = 1000;
    return {
      stroke: this.colour("--text-3"),
      font: this.font(),
      size: 26,
      gap: 4,
      grid: { stroke: this.colour("--line"), width: 1 },
      ticks: { show: false },
      splits: (plot, _axis, low, high) => {
        const found = timeTicks(low, high, Math.max(2, Math.floor(plot.bbox.width / uPlot.pxRatio / 92)));
        step = found.step;
        return found.ticks;
      },
      values: (_plot, splits) => splits.map((at) => tickText(at, step)),
    };
  }

  private valueAxis(line: Line, place: number): uPlot.Axis {
    const labels = line.type.labels;
    const isState = isStepped(line.type);
    const unit = unitText(line.type.unit ?? "");
    return {
      scale: scaleOf(line),
      side: place === 1 ? 3 : 1,
      // An axis of one line wears the line's colour: which belongs to which needs no looking up.
      stroke: this.colour(this.lines.filter((each) => scaleOf(each) === scaleOf(line)).length === 1 ? line.colour : "--text-3"),
      font: this.font(),
      size: (_plot, values) => 18 + Math.max(0, ...(values ?? []).map((each) => (each ?? "").length)) * 6.2,
      gap: 5,
      grid: place === 1 ? { stroke: this.colour("--line"), width: 1 } : { show: false },
      ticks: { show: false },
      ...(isState
        ? {
            splits: (_plot: uPlot, _axis: number, low: number, high: number): number[] => {
              const codes = line.type.kind === Kind.BOOL ? [0, 1] : (labels ?? []).map(([code]) => code);
              return codes.filter((code) => code >= low && code <= high).sort((a, b) => a - b);
            },
            values: (_plot: uPlot, splits: number[]): string[] =>
              splits.map((code) =>
                line.type.kind === Kind.BOOL ? (code ? "yes" : "no") : (labels?.find(([each]) => each === code)?.[1] ?? String(code)),
              ),
          }
        : {
            space: 28,
            values: (_plot: uPlot, splits: number[]): string[] => {
              const step = Math.abs((splits[1] ?? 0) - (splits[0] ?? 0));
              const decimals = step > 0 ? Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9))) : undefined;
              return splits.map((value, i) => {
                const figure = numberText(value, decimals);
                return i === splits.length - 1 && unit ? `${figure} ${unit}` : figure;
              });
            },
          }),
    };
  }

  /** A veil where any line is uncertain or bad, and a strip below that says which line. */
  private shadeQuality(plot: uPlot): void {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const strip = 3 * uPlot.pxRatio;
    this.lines.forEach((line, row) => {
      const { t, q } = line.samples;
      for (let i = 0; i < t.length; ) {
        const quality = q[i]!;
        let end = i + 1;
        while (end < t.length && q[end] === quality) end += 1;
        if (quality > 0) {
          const until = end < t.length ? t[end]! : Math.max(line.holdUntil_ms, t[end - 1]!);
          if (until >= this.span.start_ms && t[i]! <= this.span.end_ms) {
            const left = plot.valToPos(t[i]!, "x", true);
            const width = Math.max(uPlot.pxRatio, plot.valToPos(until, "x", true) - left);
            ctx.fillStyle = this.colour(quality === 2 ? "--bad" : "--uncertain");
            ctx.globalAlpha = 0.09;
            ctx.fillRect(left, bbox.top, width, bbox.height);
            ctx.fillStyle = this.colour(line.colour);
            ctx.globalAlpha = 0.9;
            ctx.fillRect(left, bbox.top + bbox.height - strip * (row + 1), width, strip - uPlot.pxRatio);
          }
        }
        i = end;
      }
    });
    ctx.restore();
  }

  /** Commands and conditions as fine uprights with a flag; the time that is shown as a line. */
  private drawMarks(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 8 * ratio, bbox.width, bbox.height + 8 * ratio);
    ctx.clip();
    for (const mark of this.marks) {
      const x = Math.round(plot.valToPos(mark.at_ms, "x", true)) + 0.5;
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      const colour = this.colour(
        mark.kind === "command" ? "--origin-desired" : ["--alarm-info", "--alarm-low", "--alarm-medium", "--alarm-high"][mark.severity]!,
      );
      ctx.strokeStyle = ctx.fillStyle = colour;
      ctx.globalAlpha = 0.55;
      ctx.lineWidth = ratio;
      ctx.setLineDash([2 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.globalAlpha = 1;
      ctx.beginPath();
      if (mark.kind === "command") ctx.arc(x, bbox.top - 3 * ratio, 3 * ratio, 0, 2 * Math.PI);
      else {
        ctx.moveTo(x - 4 * ratio, bbox.top - 6 * ratio);
        ctx.lineTo(x + 4 * ratio, bbox.top - 6 * ratio);
        ctx.lineTo(x, bbox.top + ratio);
      }
      ctx.fill();
    }
    if (this.shownAt_ms !== null) {
      const x = Math.round(plot.valToPos(this.shownAt_ms, "x", true)) + 0.5;
      ctx.strokeStyle = this.colour("--accent");
      ctx.lineWidth = 1.5 * ratio;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top - 8 * ratio);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  // --- hands ---------------------------------------------------------------------------------

  private bind(plot: uPlot): void {
    const { over } = plot;
    over.style.touchAction = "pan-y";
    over.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const { start_ms, end_ms } = this.span;
        const span = end_ms - start_ms;
        const isPan = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
        if (isPan) {
          const by = ((event.deltaX || event.deltaY) / over.clientWidth) * span;
          this.events.onSpan({ start_ms: start_ms + by, end_ms: end_ms + by });
        } else {
          const at = (event.clientX - over.getBoundingClientRect().left) / over.clientWidth;
          this.zoom(Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * 0.0022), at);
        }
      },
      { passive: false },
    );
    over.addEventListener("dblclick", () => this.events.onFit());
    // One hand moves, two pinch. Shift and drag is uPlot's own choice of a stretch.
    const hands = new Map<number, number>();
    over.addEventListener(
      "mousedown",
      (event) => {
        if (!event.shiftKey && event.button === 0) event.stopImmediatePropagation();
      },
      { capture: true },
    );
    over.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.shiftKey) return;
      hands.set(event.pointerId, event.clientX);
      over.setPointerCapture(event.pointerId);
      over.classList.add("panning");
    });
    over.addEventListener("pointermove", (event) => {
      const before = hands.get(event.pointerId);
      if (before === undefined) return;
      const { start_ms, end_ms } = this.span;
      const span = end_ms - start_ms;
      const others = [...hands].filter(([id]) => id !== event.pointerId);
      hands.set(event.pointerId, event.clientX);
      if (others.length > 0) {
        const other = others[0]![1];
        const wide = Math.abs(event.clientX - other);
        const was = Math.abs(before - other);
        const at = ((event.clientX + other) / 2 - over.getBoundingClientRect().left) / over.clientWidth;
        if (wide > 8 && was > 8) this.zoom(was / wide, at);
      } else if (event.clientX !== before) {
        const by = ((before - event.clientX) / over.clientWidth) * span;
        this.events.onSpan({ start_ms: start_ms + by, end_ms: end_ms + by });
      }
    });
    const off = (event: PointerEvent): void => {
      hands.delete(event.pointerId);
      if (hands.size === 0) over.classList.remove("panning");
    };
    over.addEventListener("pointerup", off);
    over.addEventListener("pointercancel", off);
  }

  private zoom(by: number, at: number): void {
    const { start_ms, end_ms } = this.span;
    const span = end_ms - start_ms;
    const wanted = Math.max(500, Math.min(span * by, 20 * 365 * 86_400_000));
    const middle = start_ms + span * at;
    this.events.onSpan({ start_ms: middle - wanted * at, end_ms: middle + wanted * (1 - at) });
  }

  private onKey(event: KeyboardEvent): void {
    const { start_ms, end_ms } = this.span;
    const by = (end_ms - start_ms) * 0.1;
    switch (event.key) {
      case "ArrowLeft": this.events.onSpan({ start_ms: start_ms - by, end_ms: end_ms - by }); break;
      case "ArrowRight": this.events.onSpan({ start_ms: start_ms + by, end_ms: end_ms + by }); break;
      case "+": case "=": this.zoom(0.7, 0.5); break;
      case "-": case "−": this.zoom(1 / 0.7, 0.5); break;
      case "0": this.events.onFit(); break;
      default: return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

/** The shortest time without a sample that means "nothing has changed", for a line that is otherwise dense. */
function silenceOf(t: readonly number[]): number {
  if (t.length < 4) return 0;
  const every = Math.max(1, Math.floor(t.length / 200));
  const steps: number[] = [];
  for (let i = every; i < t.length; i += every) steps.push((t[i]! - t[i - every]!) / every);
  steps.sort((a, b) => a - b);
  return Math.max(2000, steps[Math.floor(steps.length / 2)]! * 8);
}

/** Lines of one unit share an axis; states have one each. */
function scaleOf(line: Line): string {
  return isStepped(line.type) ? `state ${line.handle}` : `unit ${line.type.unit ?? ""}`;
}

function rangeOf(type: PointType, low: number | null, high: number | null): [number, number] {
  if (type.kind === Kind.BOOL) return [-0.15, 1.35];
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) {
    return type.low != null && type.high != null ? [type.low, type.high] : [0, 1];
  }
  if (type.kind === Kind.ENUM) return [low - 0.5, high + 0.5];
  const room = high - low || Math.abs(high) * 0.02 || 1;
  return [low - room * 0.08, high + room * 0.12];
}
