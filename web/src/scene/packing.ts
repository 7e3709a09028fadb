/** Setting blocks side by side: rows, folded flows, columns by longest path. Knows numbers only. */

export const GAP_M = 0.42;
const FLOW_GAP_M = 1.25;
const ASPECT = 1.7;
/** A shorter flow stays in one row: it is read at a glance. */
const FOLD_FROM_M = 22;

export interface Block {
  w: number;
  d: number;
  /** Twin, and its centre from the block's near left corner. */
  items: { twin: number; x: number; z: number }[];
}

/** Packs blocks in rows whose total is about `ASPECT` times as wide as deep. */
export function shelves(blocks: Block[], gap: number, isCentred = false): Block {
  if (blocks.length === 0) return { w: 0, d: 0, items: [] };
  if (blocks.length === 1) return blocks[0]!;
  let area = 0;
  let widest = 0;
  for (const block of blocks) {
    area += (block.w + gap) * (block.d + gap);
    widest = Math.max(widest, block.w);
  }
  const limit = Math.max(widest, Math.sqrt(area * ASPECT));
  const rows: { blocks: Block[]; w: number; d: number }[] = [];
  for (const block of blocks) {
    const row = rows[rows.length - 1];
    if (row === undefined || row.w + gap + block.w > limit + 1e-6) {
      rows.push({ blocks: [block], w: block.w, d: block.d });
    } else {
      row.blocks.push(block);
      row.w += gap + block.w;
      row.d = Math.max(row.d, block.d);
    }
  }
  const width = Math.max(...rows.map((row) => row.w));
  const items: Block["items"] = [];
  let z = 0;
  for (const row of rows) {
    let x = isCentred ? (width - row.w) / 2 : 0;
    for (const block of row.blocks) {
      for (const item of block.items) items.push({ twin: item.twin, x: x + item.x, z: z + item.z });
      x += block.w + gap;
    }
    z += row.d + gap;
  }
  return { w: width, d: z - gap, items };
}

/**
 * Sets columns of a flow side by side; one that would be far wider than deep is folded into
 * rows, each read from left to right like a text.
 */
export function fold(columns: Block[]): Block {
  const width = columns.reduce((sum, column) => sum + column.w + FLOW_GAP_M, -FLOW_GAP_M);
  const depth = Math.max(...columns.map((column) => column.d)) + 2 * GAP_M;
  const isLong = width > FOLD_FROM_M;
  const nRows = isLong ? Math.max(1, Math.round(Math.sqrt(width / depth / (ASPECT * 0.7)))) : 1;
  const limit = Math.max(width / nRows + 1, ...columns.map((column) => column.w));
  const rows: Block[] = [];
  let row: Block[] = [];
  let used = 0;
  const close = (): void => {
    const deepest = Math.max(...row.map((column) => column.d));
    const items: Block["items"] = [];
    let x = 0;
    for (const column of row) {
      for (const item of column.items)
        items.push({ twin: item.twin, x: x + item.x, z: (deepest - column.d) / 2 + item.z });
      x += column.w + FLOW_GAP_M;
    }
    rows.push({ w: x - FLOW_GAP_M, d: deepest, items });
    row = [];
    used = 0;
  };
  for (const column of columns) {
    if (row.length > 0 && used + column.w > limit) close();
    row.push(column);
    used += column.w + FLOW_GAP_M;
  }
  close();
  const items: Block["items"] = [];
  let z = 0;
  for (const block of rows) {
    for (const item of block.items) items.push({ twin: item.twin, x: item.x, z: z + item.z });
    z += block.d + 2 * GAP_M;
  }
  return { w: Math.max(...rows.map((block) => block.w)), d: z - 2 * GAP_M, items };
}

/** The edges without those that close a circle (found depth first, from the lowest index). */
export function forward(twins: number[], edges: [number, number][]): [number, number][] {
  const after = new Map<number, number[]>();
  for (const [a, b] of edges) {
    const list = after.get(a);
    if (list === undefined) after.set(a, [b]);
    else if (!list.includes(b)) list.push(b);
  }
  const entered = new Set(edges.map(([, b]) => b));
  const starts = [...twins.filter((t) => !entered.has(t)), ...twins];
  const state = new Map<number, 1 | 2>();
  const kept: [number, number][] = [];
  for (const start of starts) {
    if (state.has(start)) continue;
    state.set(start, 1);
    const stack: [number, number][] = [[start, 0]];
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const next = after.get(top[0])?.[top[1]++];
      if (next === undefined) {
        state.set(top[0], 2);
        stack.pop();
      } else if (state.get(next) !== 1) {
        kept.push([top[0], next]);
        if (!state.has(next)) {
          state.set(next, 1);
          stack.push([next, 0]);
        }
      }
    }
  }
  return kept;
}

/** Column of each twin: the longest way to it. Sources move up to just before what they feed. */
export function longestPaths(
  twins: number[],
  after: Map<number, number[]>,
  before: Map<number, number[]>,
): Map<number, number> {
  const waiting = new Map(twins.map((t) => [t, before.get(t)!.length]));
  const layer = new Map(twins.map((t) => [t, 0]));
  const ready = twins.filter((t) => waiting.get(t) === 0);
  for (let i = 0; i < ready.length; i++) {
    for (const next of after.get(ready[i]!)!) {
      layer.set(next, Math.max(layer.get(next)!, layer.get(ready[i]!)! + 1));
      waiting.set(next, waiting.get(next)! - 1);
      if (waiting.get(next) === 0) ready.push(next);
    }
  }
  for (const twin of ready) {
    if (before.get(twin)!.length > 0 || after.get(twin)!.length === 0) continue;
    layer.set(twin, Math.min(...after.get(twin)!.map((t) => layer.get(t)!)) - 1);
  }
  return layer;
}

export function mean(twins: number[], at: Map<number, number>): number | undefined {
  if (twins.length === 0) return undefined;
  return twins.reduce((sum, t) => sum + at.get(t)!, 0) / twins.length;
}
