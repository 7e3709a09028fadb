/**
 * One quantity as one number for each body of the scene, and as a byte of its range.
 *
 * A twin without a body passes its number to the nearest twin that it is part of and that has one;
 * what has none above (a zone that is only drawn) to the bodies of its parts. A body that nothing
 * says a number of itself shows that of all its parts. Where many meet, it is their mean or the
 * highest, as is chosen. Knows columns only.
 */

import type { Quantity } from "./quantities.ts";

export type Meeting = "mean" | "max";

/** What it is made from. */
export interface Ground {
  nOrdinals: number;
  /** 1: the twin of this ordinal has a body that can be coloured; 2: only by what it says itself. */
  hasBody: Uint8Array;
  /** Ordinal of what a twin is part of; -1: nothing. */
  parent(ordinal: number): number;
  children(ordinal: number): readonly number[];
}

const DEPTH_MAX = 16;
const PARTS_MAX = 4_000;

export class Field {
  readonly quantity: Quantity;
  /** By ordinal; NaN: nothing is known. */
  value: Float64Array;
  /** Ordinals that have a number now. */
  n = 0;
  /** By row: which handle, and which body takes its number. */
  readonly #handles: Uint32Array;
  readonly #bodies: Int32Array;
  /** Rows from here on speak of parts: they count where the body has nothing of its own. */
  readonly #firstOfParts: number;
  readonly #count: Uint32Array;
  readonly #isOwn: Uint8Array;
  readonly #level: Uint8Array;

  constructor(quantity: Quantity, ground: Ground) {
    this.quantity = quantity;
    const handles: number[] = [];
    const bodies: number[] = [];
    const homes = new Map<number, number[]>();
    for (let i = 0; i < quantity.handles.length; i++) {
      const twin = quantity.twins[i]!;
      let home = homes.get(twin);
      if (home === undefined) homes.set(twin, (home = homeOf(twin, ground)));
      for (const body of home) {
        handles.push(quantity.handles[i]!);
        bodies.push(body);
      }
    }
    this.#firstOfParts = handles.length;
    const above = new Map<number, number[]>();
    for (let i = 0; i < this.#firstOfParts; i++) {
      let list = above.get(bodies[i]!);
      if (list === undefined) above.set(bodies[i]!, (list = bodiesAbove(bodies[i]!, ground)));
      for (const body of list) {
        handles.push(handles[i]!);
        bodies.push(body);
      }
    }
    this.#handles = Uint32Array.from(handles);
    this.#bodies = Int32Array.from(bodies);
    this.value = new Float64Array(ground.nOrdinals).fill(NaN);
    this.#count = new Uint32Array(ground.nOrdinals);
    this.#isOwn = new Uint8Array(ground.nOrdinals);
    this.#level = new Uint8Array(ground.nOrdinals);
  }

  /** Works out the numbers anew from the mirror's columns. */
  take(values: Float32Array, quality: Uint8Array, meeting: Meeting): void {
    const { value } = this;
    const count = this.#count;
    value.fill(NaN);
    count.fill(0);
    const isOwn = this.#isOwn.fill(0);
    this.n = 0;
    for (let i = 0; i < this.#handles.length; i++) {
      const h = this.#handles[i]!;
      const v = values[h]!;
      if (v !== v || quality[h]! > 1) continue;
      const body = this.#bodies[i]!;
      if (i < this.#firstOfParts) isOwn[body] = 1;
      else if (isOwn[body]) continue;
      const before = count[body]!;
      count[body] = before + 1;
      if (before === 0) {
        value[body] = v;
        this.n += 1;
      } else if (meeting === "max") value[body] = Math.max(value[body]!, v);
      else value[body]! += v;
    }
    if (meeting === "mean")
      for (let i = 0; i < count.length; i++) if (count[i]! > 1) value[i]! /= count[i]!;
  }

  /**
   * The range that all but the outermost fiftieth of the points lie in, and nothing far beyond the
   * middle half (Tukey's fences), on round numbers; null: nothing is known. A body counts as often
   * as values meet in it, so that a few things of another kind do not take the colours.
   */
  range(): [number, number] | null {
    const found: number[] = [];
    let all = 0;
    for (let i = 0; i < this.value.length; i++) {
      if (this.#count[i] === 0) continue;
      found.push(i);
      all += this.#count[i]!;
    }
    if (found.length === 0) return null;
    found.sort((a, b) => this.value[a]! - this.value[b]!);
    const at = (part: number): number => {
      let passed = 0;
      for (const i of found) {
        passed += this.#count[i]!;
        if (passed >= part * all) return this.value[i]!;
      }
      return this.value[found.at(-1)!]!;
    };
    const [low, quarter, threeQuarters, high] = [at(0.02), at(0.25), at(0.75), at(0.98)];
    const reach = 1.5 * (threeQuarters - quarter);
    return reach === 0 ? roundRange(low, high) : roundRange(Math.max(low, quarter - reach), Math.min(high, threeQuarters + reach));
  }

  /** By ordinal: 0 where nothing is known, else 1…255 over the range. */
  levels(low: number, high: number): Uint8Array {
    const span = high - low;
    for (let i = 0; i < this.value.length; i++) {
      const v = this.value[i]!;
      const part = span > 0 ? (v - low) / span : 0.5;
      this.#level[i] = v !== v ? 0 : 1 + Math.round(254 * Math.min(Math.max(part, 0), 1));
    }
    return this.#level;
  }
}

/** Ordinals of the bodies that show what a twin says: its own, that of what it is part of, or its parts'. */
export function homeOf(twin: number, ground: Ground): number[] {
  let at = twin;
  for (let depth = 0; at >= 0 && depth < DEPTH_MAX; depth++) {
    if (ground.hasBody[at] === 1 || (ground.hasBody[at] === 2 && at === twin)) return [at];
    at = ground.parent(at);
  }
  const found: number[] = [];
  const queue = [...ground.children(twin)];
  for (let i = 0; i < queue.length && i < PARTS_MAX; i++) {
    if (ground.hasBody[queue[i]!]) found.push(queue[i]!);
    else queue.push(...ground.children(queue[i]!));
  }
  return found;
}

function bodiesAbove(body: number, ground: Ground): number[] {
  const found: number[] = [];
  let at = ground.parent(body);
  for (let depth = 0; at >= 0 && depth < DEPTH_MAX; depth++) {
    if (ground.hasBody[at] === 1) found.push(at);
    at = ground.parent(at);
  }
  return found;
}

/** A range on round numbers that holds both. */
export function roundRange(low: number, high: number): [number, number] {
  if (!(high > low)) {
    const half = Math.max(Math.abs(low) * 0.05, 0.5);
    return roundRange(low - half, low + half);
  }
  const raw = (high - low) / 8;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((s) => s * power >= raw) ?? 10);
  return [tidy(Math.floor(low / step + 1e-9) * step), tidy(Math.ceil(high / step - 1e-9) * step)];
}

function tidy(value: number): number {
  return Number(value.toPrecision(12));
}
