/** The latest value of every point, as columns by handle. No object per value. */

import { NO_TIME, severityOf } from "./protocol.ts";
import type { TextAt, ValueFrame } from "./protocol.ts";

export class Columns {
  /** NaN: no number. */
  value = new Float32Array(0);
  /** 0 good, 1 uncertain, 2 bad. */
  quality = new Uint8Array(0);
  /** As sent; see originOf, detailOf. */
  status = new Uint8Array(0);
  /** Source time, Unix milliseconds; NaN: never had a value. */
  timeMs = new Float64Array(0);
  /** What is no number: texts and arrays. */
  readonly texts = new Map<number, string | number[]>();

  #isMarked = new Uint8Array(0);
  #marked = new Uint32Array(0);
  #nMarked = 0;
  #isAllMarked = false;

  /** Makes room for points; those that are new wait for a first value. */
  reserve(n: number): void {
    const have = this.value.length;
    if (n <= have) return;
    const room = Math.max(n, have * 2, 256);
    this.value = grown(this.value, new Float32Array(room).fill(NaN));
    this.quality = grown(this.quality, new Uint8Array(room).fill(2));
    this.status = grown(this.status, new Uint8Array(room).fill(2 << 6));
    this.timeMs = grown(this.timeMs, new Float64Array(room).fill(NaN));
    this.#isMarked = grown(this.#isMarked, new Uint8Array(room));
    this.#marked = grown(this.#marked, new Uint32Array(room));
  }

  clear(): void {
    this.value.fill(NaN);
    this.quality.fill(2);
    this.status.fill(2 << 6);
    this.timeMs.fill(NaN);
    this.texts.clear();
    this.#isAllMarked = true;
  }

  apply(frame: ValueFrame): void {
    const { handle, value, status, ageMs, baseMs } = frame;
    const n = handle.length;
    const whole = Math.floor(baseMs); // ages count from it: two pages then have the same time of a value
    for (let i = 0; i < n; i++) {
      const h = handle[i]!;
      if (h >= this.value.length) this.reserve(h + 1);
      this.value[h] = value[i]!;
      this.status[h] = status[i]!;
      this.quality[h] = Math.min(severityOf(status[i]!), 2);
      this.timeMs[h] = ageMs[i] === NO_TIME ? NaN : whole + ageMs[i]!;
      this.#mark(h);
    }
  }

  applyTexts(values: readonly TextAt[]): void {
    for (const { handle, value, is_left_out } of values) {
      this.reserve(handle + 1);
      if (is_left_out) this.texts.set(handle, "…");
      else if (value === null) this.texts.delete(handle);
      else this.texts.set(handle, Array.isArray(value) ? value : String(value));
      this.#mark(handle);
    }
  }

  /** The points that changed since the last call, each once: a copy, or null for all. */
  takeMarked(): Uint32Array | null {
    const isAll = this.#isAllMarked;
    const marked = this.#marked.slice(0, this.#nMarked);
    for (const h of marked) this.#isMarked[h] = 0;
    this.#nMarked = 0;
    this.#isAllMarked = false;
    return isAll ? null : marked;
  }

  #mark(handle: number): void {
    if (this.#isMarked[handle]) return;
    this.#isMarked[handle] = 1;
    this.#marked[this.#nMarked++] = handle;
  }
}

function grown<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
