/**
 * Totals of quantities over all that a twin has, feeds or powers: columns by relation, made once
 * for each state of the structure, and summed up from the mirror's values when asked.
 *
 * The same rules as `GET /api/totals`: transitive, without the twin itself; a sum leaves out what
 * is part of a twin that says the same itself. Units are kept apart here; the server converts.
 */

import type { Mirror } from "../mirror.ts";
import type { Quantities, Quantity } from "./quantities.ts";

export interface Total {
  quantity: Quantity;
  n: number;
  nWithout: number;
  mean: number;
  min: number;
  max: number;
  minHandle: number;
  maxHandle: number;
  /** NaN where adding makes no sense. */
  sum: number;
  nSummed: number;
}

type Structure = Pick<Mirror, "nOrdinals" | "ordinal" | "relations" | "twinAt">;

const PART_OF = "part_of";
const NESTED_MAX = 16;
/** Powers, energies, masses, volumes, flows, currents and counts, as UCUM spells them. */
const ADDITIVE =
  /^([kMGmu]?(W|VA|V\.A|var|J)(\{.*\})?|[kMGm]?(W|V\.A|VA)\.h(\{.*\})?|[kmu]?g|t|m3|[mckh]?[lL]|[kmu]?A|A\.h|mol|(m3|[mh]?[lL]|k?g|t)\/(s|min|h|d))$/;

/** Whether what parts say in a unit adds up to what the whole would say. */
export function addsUp(unit: string): boolean {
  return unit.startsWith("{") || ADDITIVE.test(unit);
}

/** Relations of one kind as a list of targets for each source. */
class Edges {
  readonly #start: Int32Array;
  readonly #to: Int32Array;

  constructor(n: number, from: readonly number[], to: readonly number[]) {
    this.#start = new Int32Array(n + 1);
    for (const f of from) this.#start[f + 1]! += 1;
    for (let i = 0; i < n; i++) this.#start[i + 1]! += this.#start[i]!;
    const next = this.#start.slice();
    this.#to = new Int32Array(to.length);
    from.forEach((f, i) => (this.#to[next[f]!++] = to[i]!));
  }

  /** Adds to `reached` all that can be reached from what is in `queue`. */
  reach(queue: number[], reached: Uint8Array): number[] {
    for (let i = 0; i < queue.length; i++)
      for (let k = this.#start[queue[i]!]!; k < this.#start[queue[i]! + 1]!; k++) {
        const to = this.#to[k]!;
        if (reached[to]) continue;
        reached[to] = 1;
        queue.push(to);
      }
    return queue;
  }
}

export class TotalsIndex {
  readonly #quantities: Quantities;
  readonly #edges = new Map<string, Edges>();
  readonly #parent: Int32Array;
  readonly #says: Uint8Array;

  constructor(structure: Structure, quantities: Quantities) {
    this.#quantities = quantities;
    const n = structure.nOrdinals;
    this.#parent = new Int32Array(n).fill(-1);
    this.#says = new Uint8Array(n);
    const ends = new Map<string, [number[], number[]]>();
    for (const { kind, source, target } of structure.relations.values()) {
      const from = structure.ordinal(source);
      const to = structure.ordinal(target);
      if (from < 0 || to < 0) continue;
      let pair = ends.get(kind);
      if (pair === undefined) ends.set(kind, (pair = [[], []]));
      // Parts point at their whole; what is asked for is the way down.
      if (kind === PART_OF) {
        pair[0].push(to);
        pair[1].push(from);
        if (this.#parent[from]! < 0 && from !== to) this.#parent[from] = to;
      } else {
        pair[0].push(from);
        pair[1].push(to);
      }
    }
    for (const [kind, [from, to]] of ends) this.#edges.set(kind, new Edges(n, from, to));
  }

  /** Ordinals of all that a relation leads to from a twin, with all parts of that. */
  members(ordinal: number, relation: string): Int32Array {
    const parts = this.#edges.get(PART_OF);
    const reached = new Uint8Array(this.#parent.length);
    const first = this.#edges.get(relation)?.reach([ordinal], reached) ?? [ordinal];
    let found = first.slice(1);
    if (relation !== PART_OF && parts !== undefined) found = parts.reach(found, reached);
    return Int32Array.from(found.filter((o) => o !== ordinal));
  }

  /** Which relations lead anywhere from a twin. */
  relations(ordinal: number, asked: readonly string[]): string[] {
    return asked.filter((kind) => this.members(ordinal, kind).length > 0);
  }

  /** Totals of all quantities of some twins; of most points first. */
  totals(members: Int32Array, values: Float32Array, quality: Uint8Array): Total[] {
    const inside = new Uint8Array(this.#parent.length);
    for (const ordinal of members) inside[ordinal] = 1;
    const found: Total[] = [];
    for (const quantity of this.#quantities.all) {
      const total = this.#total(quantity, inside, values, quality);
      if (total !== null) found.push(total);
    }
    return found.sort((a, b) => b.n + b.nWithout - a.n - a.nWithout);
  }

  #total(quantity: Quantity, inside: Uint8Array, values: Float32Array, quality: Uint8Array): Total | null {
    const { handles, twins, unit } = quantity;
    const total: Total = {
      quantity, n: 0, nWithout: 0, mean: NaN, min: Infinity, max: -Infinity, minHandle: -1, maxHandle: -1, sum: NaN, nSummed: 0,
    };
    const rows: number[] = [];
    let all = 0;
    for (let i = 0; i < handles.length; i++) {
      if (!inside[twins[i]!]) continue;
      const h = handles[i]!;
      const v = values[h]!;
      if (v !== v || quality[h]! > 1) {
        total.nWithout += 1;
        continue;
      }
      rows.push(i);
      all += v;
      if (v < total.min) [total.min, total.minHandle] = [v, h];
      if (v > total.max) [total.max, total.maxHandle] = [v, h];
    }
    total.n = rows.length;
    if (total.n + total.nWithout === 0) return null;
    if (total.n === 0) return { ...total, min: NaN, max: NaN };
    total.mean = all / total.n;
    if (!addsUp(unit)) return total;
    const says = this.#says;
    for (const i of rows) says[twins[i]!] = 1;
    let sum = 0;
    for (const i of rows) {
      let at = this.#parent[twins[i]!]!;
      let depth = 0;
      while (at >= 0 && depth++ < NESTED_MAX && !says[at]) at = this.#parent[at]!;
      if (at >= 0 && depth <= NESTED_MAX && says[at]) continue;
      sum += values[handles[i]!]!;
      total.nSummed += 1;
    }
    for (const i of rows) says[twins[i]!] = 0;
    total.sum = sum;
    return total;
  }
}
