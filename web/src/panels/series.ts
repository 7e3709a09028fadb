// Samples of single points over time: history from the record, continued by what arrives live.

import type { Mirror } from "../mirror.ts";
import type { AsOf, History } from "../protocol.ts";

/** Columns of one point, ordered by source time. `v` is NaN where there is no number. */
export interface Samples {
  t: number[];
  v: number[];
  /** 0 good, 1 uncertain, 2 bad. */
  q: Uint8Array | number[];
}

/** One of them. */
export interface Sample {
  at_ms: number;
  value: number;
  quality: number;
}

/** How many live samples are kept of a watched point, so that history and live overlap. */
const RING_LIMIT = 6000;

interface Ring {
  watchers: number;
  t: number[];
  v: number[];
  q: number[];
}

/** Collects live samples of watched points, and asks the record for older ones. */
export class SeriesStore {
  private readonly rings = new Map<number, Ring>();
  private readonly listeners = new Set<() => void>();

  constructor(private readonly mirror: Mirror) {
    mirror.on("values", () => this.collect());
    mirror.on("time", () => this.forget());
    mirror.on("structure", () => this.collect());
  }

  /** Calls back when a watched point has a new sample. */
  on(listener: () => void): void {
    this.listeners.add(listener);
  }

  /** Collects live samples of a point until `unwatch` is called as often. */
  watch(handle: number): void {
    const ring = this.rings.get(handle);
    if (ring) ring.watchers += 1;
    else {
      const fresh: Ring = { watchers: 1, t: [], v: [], q: [] };
      this.rings.set(handle, fresh);
      this.take(handle, fresh);
    }
  }

  unwatch(handle: number): void {
    const ring = this.rings.get(handle);
    if (ring && --ring.watchers <= 0) this.rings.delete(handle);
  }

  /** Live samples after `after_ms`, in order. */
  live(handle: number, after_ms: number): Samples {
    const ring = this.rings.get(handle);
    if (!ring) return { t: [], v: [], q: [] };
    const start = firstAfter(ring.t, after_ms);
    return { t: ring.t.slice(start), v: ring.v.slice(start), q: ring.q.slice(start) };
  }

  /**
   * Samples of points from the record, at most `max_rows` each with their extremes kept.
   * Each starts with the last sample before the stretch where the record gives one.
   */
  async history(
    handles: readonly number[],
    start_ms: number,
    end_ms: number,
    max_rows: number,
    signal?: AbortSignal,
  ): Promise<Map<number, Samples>> {
    const found = new Map<number, Samples>();
    const byName = new Map<string, number>();
    for (const handle of handles) {
      const point = this.mirror.pointRef(handle);
      byName.set(`${point.twin}.${point.name}`, handle);
    }
    if (byName.size === 0) return found;
    const answer = await this.mirror.rest.get<History>("history", {
      point: [...byName.keys()],
      start: nanoseconds(start_ms),
      end: nanoseconds(end_ms),
      max_rows: Math.max(8, Math.round(max_rows)),
    });
    if (signal?.aborted) return found;
    for (const series of answer.series) {
      const handle = byName.get(series.point);
      if (handle === undefined) continue;
      const n = series.source_ns.length;
      const t = new Array<number>(n);
      const v = new Array<number>(n);
      const q = new Uint8Array(n);
      for (let i = 0; i < n; i++) {
        t[i] = series.source_ns[i]! / 1e6;
        const value = series.value[i];
        v[i] = typeof value === "number" ? value : typeof value === "boolean" ? Number(value) : NaN;
        q[i] = Math.min(2, series.quality[i]! >>> 30);
      }
      found.set(handle, { t, v, q });
    }
    return found;
  }

  /** The last value before a time: what a point that seldom changes has all along. */
  async before(handles: readonly number[], at_ms: number): Promise<Map<number, Sample>> {
    const found = new Map<number, Sample>();
    const { mirror } = this;
    if (at_ms <= mirror.firstMs || handles.length === 0) return found;
    try {
      const names = handles.map((handle) => {
        const { twin, name } = mirror.pointRef(handle);
        return `${twin}.${name}`;
      });
      const answer = await mirror.rest.get<AsOf>("asof", { time: nanoseconds(at_ms), point: names });
      for (const point of answer.points) {
        if (!point.source_ns || (typeof point.value !== "number" && typeof point.value !== "boolean")) continue;
        found.set(point.handle, { at_ms: point.source_ns / 1e6, value: Number(point.value), quality: Math.min(2, point.quality >>> 30) });
      }
    } catch {
      // The lines begin with their first sample instead.
    }
    return found;
  }

  /** History with what held before it began: each line reaches from edge to edge. */
  async stretch(handles: readonly number[], start_ms: number, end_ms: number, max_rows: number, signal?: AbortSignal): Promise<Map<number, Samples>> {
    const [found, before] = await Promise.all([this.history(handles, start_ms, end_ms, max_rows, signal), this.before(handles, start_ms)]);
    for (const handle of handles) {
      const samples = found.get(handle) ?? { t: [], v: [], q: [] };
      const first = before.get(handle);
      if (first && (samples.t.length === 0 || samples.t[0]! > first.at_ms)) {
        samples.t.unshift(Math.min(first.at_ms, start_ms));
        samples.v.unshift(first.value);
        samples.q = [first.quality, ...samples.q];
      }
      found.set(handle, samples);
    }
    return found;
  }

  /** Continues samples by what has arrived live since; whether there was any. */
  goOn(handle: number, samples: Samples): boolean {
    const live = this.live(handle, samples.t.at(-1) ?? -Infinity);
    if (live.t.length === 0) return false;
    const q = Array.isArray(samples.q) ? samples.q : Array.from(samples.q);
    samples.t.push(...live.t);
    samples.v.push(...live.v);
    q.push(...live.q);
    samples.q = q;
    return true;
  }

  private collect(): void {
    let isNew = false;
    for (const [handle, ring] of this.rings) isNew = this.take(handle, ring) || isNew;
    if (isNew) for (const listener of this.listeners) listener();
  }

  private take(handle: number, ring: Ring): boolean {
    const t = this.mirror.timeMs[handle];
    if (t === undefined || !(t > 0)) return false;
    const last = ring.t.at(-1);
    if (last !== undefined && t <= last) return false;
    ring.t.push(t);
    ring.v.push(this.mirror.value[handle]!);
    ring.q.push(this.mirror.severity(handle));
    if (ring.t.length > RING_LIMIT) {
      ring.t.splice(0, RING_LIMIT / 4);
      ring.v.splice(0, RING_LIMIT / 4);
      ring.q.splice(0, RING_LIMIT / 4);
    }
    return true;
  }

  /** Looking at another time: what was collected does not continue it. */
  private forget(): void {
    for (const ring of this.rings.values()) {
      ring.t.length = ring.v.length = ring.q.length = 0;
    }
    for (const listener of this.listeners) listener();
  }
}

/** Index of the first time after `after_ms` in an ordered column. */
export function firstAfter(t: readonly number[], after_ms: number): number {
  let low = 0;
  let high = t.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (t[middle]! > after_ms) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Milliseconds as whole nanoseconds in text: beyond what a double can hold exactly. */
export function nanoseconds(time_ms: number): string {
  return `${Math.round(time_ms)}000000`;
}
