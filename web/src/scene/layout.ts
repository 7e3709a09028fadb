/**
 * Where twins stand that nobody placed: worked out from their relations alone.
 *
 * A twin with parts becomes a platform that carries them. Parts that feed each other are laid
 * out as a layered flow from left to right (longest path, then barycentres: Sugiyama et al.,
 * 1981); the rest is packed in rows. Twins that have a pose stay where they are, and what
 * belongs to them is set down in front of them. Same input, same result; time grows as n log n.
 *
 * Knows numbers only: no twin, no three.js.
 */

import { fold, forward, GAP_M, longestPaths, mean, shelves } from "./packing.ts";
import type { Block } from "./packing.ts";

export const Place = {
  None: 0,
  /** A small plate with a body on it. */
  Plate: 1,
  /** A platform that carries its parts. */
  Platform: 2,
  /** A mat on the floor around parts that have poses of their own. */
  Zone: 3,
  /** Has a pose. */
  Posed: 4,
} as const;

export interface LayoutInput {
  n: number;
  /** Index of the twin that each is part of, or -1. */
  parent: Int32Array;
  /** Footprint of each as a plate, metres: w, d alternating. */
  footprint: Float32Array;
  /** Bounds of posed twins: x0, z0, x1, z1 each; NaN where a twin has no pose. */
  posed: Float32Array;
  /** Source and target of each flow, alternating. */
  feeds: Int32Array;
  /** Twins with the same number are set side by side where nothing else orders them. */
  group: Int32Array;
  /** How many points each has: a platform keeps a strip free for its own. */
  strip: Float32Array;
}

export interface Layout {
  place: Uint8Array;
  /** Centre, and the height of the top on which bodies stand. */
  x: Float32Array;
  z: Float32Array;
  top: Float32Array;
  w: Float32Array;
  d: Float32Array;
  thickness: Float32Array;
  depth: Uint8Array;
  /** Whether the twin carries others. */
  carries: Uint8Array;
}

const PAD_M = 0.55;
const TITLE_M = 0.85;
const PLATE_M = 0.08;
const PLATFORM_M = 0.16;
const MAT_M = 0.03;

export function layOut(input: LayoutInput): Layout {
  return new Plan(input).result();
}

class Plan {
  readonly #in: LayoutInput;
  readonly #out: Layout;
  readonly #children: number[][];
  readonly #roots: number[] = [];
  /** Whether a twin or anything of its parts has a pose. */
  readonly #holdsPosed: Uint8Array;
  readonly #blocks: (Block | null)[];
  /** Bounds on the floor of what is placed already: x0, z0, x1, z1. */
  readonly #bounds: Float64Array;
  readonly #flows: Map<number, [number, number][]>;

  constructor(input: LayoutInput) {
    const n = input.n;
    this.#in = input;
    this.#out = {
      place: new Uint8Array(n),
      x: new Float32Array(n),
      z: new Float32Array(n),
      top: new Float32Array(n),
      w: new Float32Array(n),
      d: new Float32Array(n),
      thickness: new Float32Array(n),
      depth: new Uint8Array(n),
      carries: new Uint8Array(n),
    };
    this.#children = Array.from({ length: n }, () => []);
    this.#holdsPosed = new Uint8Array(n);
    this.#blocks = new Array<Block | null>(n).fill(null);
    this.#bounds = new Float64Array(n * 4).fill(NaN);
    this.#linkParents();
    this.#flows = this.#liftFlows();
  }

  result(): Layout {
    const loose: number[] = [];
    const bounds = emptyBounds();
    for (const root of this.#roots) {
      this.#size(root);
      if (this.#holdsPosed[root]) {
        this.#settlePosed(root);
        grow(bounds, this.#bounds.subarray(root * 4, root * 4 + 4));
      } else loose.push(root);
    }
    const block = this.#arrange(-1, loose, 2.4 * GAP_M);
    const free = bounds[0]! > bounds[2]!;
    const x0 = free ? -block.w / 2 : (bounds[0]! + bounds[2]!) / 2 - block.w / 2;
    const z0 = free ? -block.d / 2 : bounds[3]! + 3;
    this.#setDown(block, x0, z0, 0);
    return this.#out;
  }

  // --- structure -------------------------------------------------------------------------

  /** Children of each, with every circle of parents cut at its lowest index. */
  #linkParents(): void {
    const { n, parent, posed } = this.#in;
    const state = new Uint8Array(n);
    const up = Int32Array.from(parent);
    for (let start = 0; start < n; start++) {
      const path: number[] = [];
      let at = start;
      while (at >= 0 && state[at] === 0) {
        state[at] = 1;
        path.push(at);
        at = up[at]!;
      }
      if (at >= 0 && state[at] === 1) up[at] = -1;
      for (const twin of path) state[twin] = 2;
    }
    for (let twin = 0; twin < n; twin++) {
      const above = up[twin]!;
      if (above < 0) this.#roots.push(twin);
      else this.#children[above]!.push(twin);
    }
    this.#parent = up;
    for (let twin = 0; twin < n; twin++) {
      if (Number.isNaN(posed[twin * 4]!)) continue;
      for (let at = twin; at >= 0 && !this.#holdsPosed[at]; at = up[at]!) this.#holdsPosed[at] = 1;
    }
    for (const root of this.#roots) this.#setDepth(root, 0);
  }

  #parent!: Int32Array;

  #setDepth(root: number, depth: number): void {
    const stack: [number, number][] = [[root, depth]];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const [twin, level] = next;
      this.#out.depth[twin] = Math.min(level, 255);
      for (const child of this.#children[twin]!) stack.push([child, level + 1]);
    }
  }

  /** Each flow as an edge between children of the nearest twin that holds both ends. */
  #liftFlows(): Map<number, [number, number][]> {
    const flows = new Map<number, [number, number][]>();
    const { feeds } = this.#in;
    const { depth } = this.#out;
    for (let i = 0; i + 1 < feeds.length; i += 2) {
      let a = feeds[i]!;
      let b = feeds[i + 1]!;
      if (a === b) continue;
      while (depth[a]! > depth[b]!) a = this.#parent[a]!;
      while (depth[b]! > depth[a]!) b = this.#parent[b]!;
      while (a !== b && this.#parent[a] !== this.#parent[b]) {
        a = this.#parent[a]!;
        b = this.#parent[b]!;
      }
      if (a === b) continue; // One end is part of the other: nothing to order.
      const holder = this.#parent[a]!;
      const edges = flows.get(holder);
      if (edges === undefined) flows.set(holder, [[a, b]]);
      else edges.push([a, b]);
    }
    return flows;
  }

  // --- sizes, inside out -------------------------------------------------------------------

  #size(root: number): void {
    const order = [root];
    for (let i = 0; i < order.length; i++) order.push(...this.#children[order[i]!]!);
    for (let i = order.length - 1; i >= 0; i--) this.#sizeOne(order[i]!);
  }

  #sizeOne(twin: number): void {
    const out = this.#out;
    const children = this.#children[twin]!;
    const loose = children.filter((child) => !this.#holdsPosed[child]);
    if (children.length > 0) out.carries[twin] = 1;
    if (!Number.isNaN(this.#in.posed[twin * 4]!)) out.place[twin] = Place.Posed;
    else if (this.#holdsPosed[twin]) out.place[twin] = Place.Zone;
    else out.place[twin] = children.length > 0 ? Place.Platform : Place.Plate;
    if (loose.length > 0) this.#blocks[twin] = this.#arrange(twin, loose, GAP_M);
    if (out.place[twin] === Place.Plate) {
      out.w[twin] = this.#in.footprint[twin * 2]!;
      out.d[twin] = this.#in.footprint[twin * 2 + 1]!;
      out.thickness[twin] = PLATE_M;
    } else if (out.place[twin] === Place.Platform) {
      const block = this.#blocks[twin]!;
      out.w[twin] = Math.max(block.w + 2 * PAD_M, 3);
      out.d[twin] = block.d + PAD_M + TITLE_M + this.#in.strip[twin]!;
      out.thickness[twin] = PLATFORM_M;
    }
  }

  /** Sets twins of known size in one block: flows first, then the rest in rows. */
  #arrange(holder: number, twins: number[], gap: number): Block {
    const edges = this.#flows.get(holder) ?? [];
    const inside = new Set(twins);
    const kept = edges.filter(([a, b]) => inside.has(a) && inside.has(b));
    const flowing = new Set(kept.flat());
    const blocks: Block[] = this.#components(kept).map((part) => this.#flow(part, kept));
    const { group, n } = this.#in;
    const { carries } = this.#out;
    const first = new Map<number, number>();
    for (const twin of twins) if (!first.has(group[twin]!)) first.set(group[twin]!, twin);
    const rank = (twin: number) => (carries[twin] ? 0 : n) + first.get(group[twin]!)!;
    const rest = twins
      .filter((twin) => !flowing.has(twin))
      .sort((a, b) => rank(a) - rank(b) || a - b)
      .map((twin) => this.#single(twin));
    if (blocks.length === 0) return shelves(rest, gap);
    const uniform = rest.length > 3 ? [shelves(rest, gap)] : rest;
    return shelves([...blocks, ...uniform], Math.max(gap, GAP_M * 2), true);
  }

  #single(twin: number): Block {
    const w = this.#out.w[twin]!;
    const d = this.#out.d[twin]!;
    return { w, d, items: [{ twin, x: w / 2, z: d / 2 }] };
  }

  #components(edges: [number, number][]): number[][] {
    const root = new Map<number, number>();
    const find = (twin: number): number => {
      let at = twin;
      while (root.get(at)! !== at) at = root.get(at)!;
      root.set(twin, at);
      return at;
    };
    for (const [a, b] of edges) {
      if (!root.has(a)) root.set(a, a);
      if (!root.has(b)) root.set(b, b);
      const [ra, rb] = [find(a), find(b)];
      if (ra !== rb) root.set(Math.max(ra, rb), Math.min(ra, rb));
    }
    const parts = new Map<number, number[]>();
    for (const twin of [...root.keys()].sort((a, b) => a - b)) {
      const key = find(twin);
      const part = parts.get(key);
      if (part === undefined) parts.set(key, [twin]);
      else part.push(twin);
    }
    return [...parts.values()];
  }

  /** One connected flow as columns from left to right. */
  #flow(twins: number[], edges: [number, number][]): Block {
    const inside = new Set(twins);
    const after = new Map<number, number[]>(twins.map((t) => [t, []]));
    const before = new Map<number, number[]>(twins.map((t) => [t, []]));
    for (const [a, b] of forward(twins, edges.filter(([a]) => inside.has(a)))) {
      after.get(a)!.push(b);
      before.get(b)!.push(a);
    }
    const layer = longestPaths(twins, after, before);
    const columns: number[][] = [];
    for (const twin of twins) (columns[layer.get(twin)!] ??= []).push(twin);
    const at = new Map<number, number>();
    const number = () => columns.forEach((c) => c.forEach((t, i) => at.set(t, i - (c.length - 1) / 2)));
    number();
    for (let sweep = 0; sweep < 4; sweep++) {
      const near = sweep % 2 === 0 ? before : after;
      const order = sweep % 2 === 0 ? columns : [...columns].reverse();
      for (const column of order) {
        const weight = new Map(column.map((t) => [t, mean(near.get(t)!, at) ?? at.get(t)!]));
        column.sort((a, b) => weight.get(a)! - weight.get(b)! || a - b);
        column.forEach((t, i) => at.set(t, i - (column.length - 1) / 2));
      }
    }
    const { w, d } = this.#out;
    const stacks: Block[] = columns.map((column) => {
      const width = Math.max(...column.map((t) => w[t]!));
      const items: Block["items"] = [];
      let z = 0;
      for (const twin of column) {
        items.push({ twin, x: width / 2, z: z + d[twin]! / 2 });
        z += d[twin]! + GAP_M;
      }
      return { w: width, d: z - GAP_M, items };
    });
    return fold(stacks);
  }

  // --- places, outside in ------------------------------------------------------------------

  #setDown(block: Block, x0: number, z0: number, floor: number): void {
    const out = this.#out;
    const todo = [{ block, x0, z0, floor }];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      for (const { twin, x, z } of next.block.items) {
        out.x[twin] = next.x0 + x;
        out.z[twin] = next.z0 + z;
        out.top[twin] = next.floor + out.thickness[twin]!;
        const inner = this.#blocks[twin];
        if (inner == null) continue;
        todo.push({
          block: inner,
          x0: out.x[twin]! - inner.w / 2,
          z0: out.z[twin]! - out.d[twin]! / 2 + PAD_M,
          floor: out.top[twin]!,
        });
      }
    }
  }

  /** Places what belongs to posed twins, and draws zones around them. */
  #settlePosed(twin: number): void {
    const out = this.#out;
    const bounds = emptyBounds();
    const pose = this.#in.posed.subarray(twin * 4, twin * 4 + 4);
    if (out.place[twin] === Place.Posed) {
      grow(bounds, pose);
      out.x[twin] = (pose[0]! + pose[2]!) / 2;
      out.z[twin] = (pose[1]! + pose[3]!) / 2;
      out.w[twin] = pose[2]! - pose[0]!;
      out.d[twin] = pose[3]! - pose[1]!;
    }
    for (const child of this.#children[twin]!) {
      if (!this.#holdsPosed[child]) continue;
      this.#settlePosed(child);
      grow(bounds, this.#bounds.subarray(child * 4, child * 4 + 4));
    }
    const block = this.#blocks[twin];
    if (block != null) {
      const x0 = (bounds[0]! + bounds[2]!) / 2 - block.w / 2;
      const z0 = bounds[3]! + 0.6;
      this.#setDown(block, x0, z0, MAT_M * 2);
      grow(bounds, [x0, z0, x0 + block.w, z0 + block.d]);
    }
    if (out.place[twin] === Place.Zone) {
      const x0 = bounds[0]! - 2 * PAD_M;
      const z0 = bounds[1]! - 2 * PAD_M;
      const x1 = bounds[2]! + 2 * PAD_M;
      const z1 = bounds[3]! + PAD_M + TITLE_M + this.#in.strip[twin]!;
      out.x[twin] = (x0 + x1) / 2;
      out.z[twin] = (z0 + z1) / 2;
      out.w[twin] = x1 - x0;
      out.d[twin] = z1 - z0;
      out.thickness[twin] = MAT_M;
      out.top[twin] = Math.min(MAT_M * (1 + out.depth[twin]! * 0.4), MAT_M * 2);
      grow(bounds, [x0, z0, x1, z1]);
    }
    this.#bounds.set(bounds, twin * 4);
  }
}

function emptyBounds(): Float64Array {
  return Float64Array.of(Infinity, Infinity, -Infinity, -Infinity);
}

function grow(bounds: Float64Array, other: ArrayLike<number>): void {
  if (Number.isNaN(other[0]!)) return;
  bounds[0] = Math.min(bounds[0]!, other[0]!);
  bounds[1] = Math.min(bounds[1]!, other[1]!);
  bounds[2] = Math.max(bounds[2]!, other[2]!);
  bounds[3] = Math.max(bounds[3]!, other[3]!);
}
