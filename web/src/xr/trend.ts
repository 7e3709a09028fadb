/** The last minutes of one point as a line on a panel: from the record, continued by what arrives. */

import { labelText, numberText } from "../format.ts";
import type { Mirror } from "../mirror.ts";
import { SeriesStore } from "../panels/series.ts";
import type { Samples } from "../panels/series.ts";
import { isPlottable, isStepped, unitOf, valueText } from "../panels/values.ts";
import { t } from "../words.ts";
import { FONT, paint, toneColor } from "./pen.ts";
import type { Line } from "./slate.ts";

const SPAN_MS = 5 * 60_000;
const ROWS = 240;
const HEIGHT_PX = 210;

export class Trend {
  /** Which point is shown; −1: none. */
  handle = -1;
  readonly #mirror: Mirror;
  readonly #series: SeriesStore;
  #samples: Samples = { t: [], v: [], q: [] };
  #abort: AbortController | null = null;
  #isAsked = false;
  readonly #offs: (() => void)[] = [];

  constructor(mirror: Mirror) {
    this.#mirror = mirror;
    this.#series = new SeriesStore(mirror);
    this.#offs.push(
      mirror.on("time", () => this.#ask()),
      mirror.on("branch", () => this.choose(-1)),
      mirror.on("structure", () => this.handle >= mirror.nPoints && this.choose(-1)),
    );
  }

  choose(handle: number): void {
    if (handle === this.handle) return;
    if (this.handle >= 0) this.#series.unwatch(this.handle);
    this.handle = handle;
    if (handle >= 0) this.#series.watch(handle);
    this.#ask();
  }

  /** The first point of a twin that a line says something about. */
  chooseOf(handles: readonly number[]): void {
    this.choose(handles.find((handle) => isPlottable(this.#mirror.pointType(handle))) ?? -1);
  }

  #ask(): void {
    this.#abort?.abort();
    this.#samples = { t: [], v: [], q: [] };
    this.#isAsked = false;
    const { handle } = this;
    if (handle < 0) return;
    const { signal } = (this.#abort = new AbortController());
    const end_ms = this.#mirror.viewMs();
    this.#series.stretch([handle], end_ms - SPAN_MS, end_ms, ROWS, signal).then(
      (found) => {
        if (signal.aborted) return;
        this.#samples = found.get(handle) ?? { t: [], v: [], q: [] };
        this.#isAsked = true;
      },
      () => (this.#isAsked = true), // Without the record it begins with what arrives now.
    );
  }

  /** What a panel shows of it. */
  lines(): Line[] {
    const { handle } = this;
    const mirror = this.#mirror;
    if (handle < 0) return [{ kind: "text", text: t("Point at something and press the trigger: the point you choose there is drawn here."), tone: "dim" }];
    if (mirror.time.live) this.#series.goOn(handle, this.#samples);
    const end_ms = mirror.viewMs();
    const last = this.#samples.t.at(-1) ?? 0;
    const { name, twin } = mirror.pointRef(handle);
    return [
      { kind: "value", name: labelText(name), value: `${valueText(mirror, handle)} ${unitOf(mirror, handle)}`.trim(), note: t("{twin}, the last 5 minutes", { twin: mirror.nameOf(twin) }) },
      {
        kind: "picture",
        key: `trend ${handle} ${this.#samples.t.length} ${last} ${Math.round(end_ms / 1000)} ${this.#isAsked}`,
        height_px: HEIGHT_PX,
        draw: (pen, width, height) => drawTrend(pen, this.#samples, end_ms - SPAN_MS, end_ms, width, height, isStepped(mirror.pointType(handle))),
      },
    ];
  }

  close(): void {
    this.choose(-1);
    for (const off of this.#offs.splice(0)) off();
  }
}

/** A line with its extremes beside it. */
function drawTrend(pen: CanvasRenderingContext2D, { t: times, v }: Samples, start_ms: number, end_ms: number, width: number, height: number, isSteps: boolean): void {
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < v.length; i++) {
    const value = v[i]!;
    const isSeen = times[i]! <= end_ms && (times[i]! >= start_ms || (times[i + 1] ?? Infinity) > start_ms);
    if (!isSeen || Number.isNaN(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  pen.font = `450 20px ${FONT}`;
  if (!(high >= low)) {
    paint(pen, t("No values in this time."), 0, height / 2, "dim");
    return;
  }
  const edge = 26;
  const isFlat = high === low;
  const x = (ms: number): number => Math.max(0, Math.min(1, (ms - start_ms) / (end_ms - start_ms))) * width;
  const y = (value: number): number => (isFlat ? height / 2 : height - edge - ((value - low) / (high - low)) * (height - 2 * edge));
  pen.strokeStyle = "rgba(140, 165, 185, 0.25)";
  pen.lineWidth = 1;
  for (const at of isFlat ? [low] : [low, high]) {
    pen.beginPath();
    pen.moveTo(0, y(at));
    pen.lineTo(width, y(at));
    pen.stroke();
  }
  pen.strokeStyle = toneColor("accent");
  pen.lineWidth = 3;
  pen.lineJoin = "round";
  pen.beginPath();
  let isDown = false;
  let lastY = 0;
  for (let i = 0; i < v.length && times[i]! <= end_ms; i++) {
    if ((times[i + 1] ?? Infinity) < start_ms) continue;
    if (Number.isNaN(v[i]!)) {
      isDown = false;
      continue;
    }
    const at = y(v[i]!);
    if (!isDown) pen.moveTo(x(times[i]!), at);
    else {
      if (isSteps) pen.lineTo(x(times[i]!), lastY);
      pen.lineTo(x(times[i]!), at);
    }
    isDown = true;
    lastY = at;
  }
  if (isDown) pen.lineTo(x(end_ms), lastY); // The last value holds until another comes.
  pen.stroke();
  paint(pen, numberText(high), 0, (isFlat ? y(low) : y(high)) - 7, "dim");
  if (!isFlat) paint(pen, numberText(low), 0, y(low) + 22, "dim");
}
