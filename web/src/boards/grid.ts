// Where tiles stand on a board: twelve columns, rows without end. Knows numbers, no tile and no DOM.

export const COLUMNS = 12;
export const ROWS_HIGHEST = 40;

export interface Cell {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
}

export function overlaps(a: Cell, b: Cell): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

/** The cell as it fits on the board. */
export function fitted<T extends Cell>(cell: T): T {
  const w = clamp(cell.w, 1, COLUMNS);
  return { ...cell, w, h: clamp(cell.h, 1, ROWS_HIGHEST), x: clamp(cell.x, 0, COLUMNS - w), y: Math.max(0, Math.round(cell.y)) };
}

/**
 * All cells as they come to stand: none over another, none with a hole above it.
 *
 * A cell that a person moves (`moved`, from row `fromY`) changes places with one in its way once it
 * is over that one's middle; what it does not pass makes way downwards.
 */
export function settled<T extends Cell>(cells: readonly T[], moved: { id: string; fromY: number } | null = null): T[] {
  const all = cells.map(fitted);
  const order = all.filter((cell) => cell.id !== moved?.id).sort((a, b) => a.y - b.y || a.x - b.x);
  const mover = moved ? all.find((cell) => cell.id === moved.id) : undefined;
  if (moved && mover) {
    const goesDown = mover.y > moved.fromY;
    let at = 0;
    order.forEach((other, i) => {
      const middle = other.y + other.h / 2;
      const isAbove = areInLine(mover, other) ? (goesDown ? mover.y + mover.h > middle : mover.y >= middle) : other.y < mover.y;
      if (isAbove) at = i + 1;
    });
    order.splice(at, 0, mover);
  }
  const placed: T[] = [];
  for (const cell of order) {
    const y = Math.max(0, ...placed.filter((each) => areInLine(each, cell)).map((each) => each.y + each.h));
    placed.push({ ...cell, y });
  }
  return placed.sort((a, b) => a.y - b.y || a.x - b.x);
}

/** Whether two share a column. */
function areInLine(a: Cell, b: Cell): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w;
}

/** The highest, then leftmost place where a cell of this size fits. */
export function freePlace(cells: readonly Cell[], w: number, h: number): { x: number; y: number } {
  for (let y = 0; ; y++)
    for (let x = 0; x + w <= COLUMNS; x++)
      if (blocker(cells, { id: "", x, y, w, h }) === undefined) return { x, y };
}

function blocker<T extends Cell>(cells: readonly T[], cell: Cell): T | undefined {
  return cells.find((each) => overlaps(each, cell));
}

function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, Math.round(value)));
}
