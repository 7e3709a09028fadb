/**
 * Where something that is moved comes to rest: on a grid, or with an edge or its middle in line with
 * a neighbour's. Knows rectangles on the floor in metres, and nothing else.
 */

export interface Rect {
  x0: number;
  z0: number;
  x1: number;
  z1: number;
}

export interface Snapped {
  dx: number;
  dz: number;
  /** What it is in line with: lines on the floor, x or z, to be shown. */
  guides: { axis: "x" | "z"; at: number }[];
}

/** A move of `moved` by about (dx, dz); the nearest line of a neighbour within reach wins over the grid. */
export function snap(moved: Rect, dx: number, dz: number, neighbours: readonly Rect[], grid_m: number, reach_m: number): Snapped {
  const guides: Snapped["guides"] = [];
  const along = (axis: "x" | "z", by: number): number => {
    const own = lines(moved, axis).map((line) => line + by);
    let best: { off: number; at: number } | null = null;
    for (const each of neighbours) {
      if (!isNear(moved, each, axis, dx, dz)) continue;
      for (const at of lines(each, axis)) {
        for (const line of own) {
          const off = at - line;
          if (Math.abs(off) <= reach_m && (best === null || Math.abs(off) < Math.abs(best.off))) best = { off, at };
        }
      }
    }
    if (best !== null) {
      guides.push({ axis, at: best.at });
      return by + best.off;
    }
    if (grid_m <= 0) return by;
    // The middle comes to rest on the grid, wherever it was before.
    const middle = lines(moved, axis)[1]!;
    return Math.round((middle + by) / grid_m) * grid_m - middle;
  };
  return { dx: along("x", dx), dz: along("z", dz), guides };
}

export type Alignment = "left" | "centre x" | "right" | "back" | "centre z" | "front";

/** How far each has to go to be in line with the first. */
export function align(rects: readonly Rect[], how: Alignment): { dx: number; dz: number }[] {
  const axis = how === "left" || how === "right" || how === "centre x" ? "x" : "z";
  const which = how === "left" || how === "back" ? 0 : how === "right" || how === "front" ? 2 : 1;
  const goal = lines(rects[0]!, axis)[which]!;
  return rects.map((rect) => {
    const by = goal - lines(rect, axis)[which]!;
    return axis === "x" ? { dx: by, dz: 0 } : { dx: 0, dz: by };
  });
}

/** Low edge, middle, high edge. */
function lines(rect: Rect, axis: "x" | "z"): [number, number, number] {
  const [low, high] = axis === "x" ? [rect.x0, rect.x1] : [rect.z0, rect.z1];
  return [low, (low + high) / 2, high];
}

/** Whether a neighbour is close enough along the other axis for being in line to mean anything. */
function isNear(moved: Rect, other: Rect, axis: "x" | "z", dx: number, dz: number): boolean {
  const [low, high, by, from, to] = axis === "x" ? [moved.z0, moved.z1, dz, other.z0, other.z1] : [moved.x0, moved.x1, dx, other.x0, other.x1];
  const reach = 2 * Math.max(high - low, to - from);
  return low + by - reach <= to && high + by + reach >= from;
}
