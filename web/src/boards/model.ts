// Boards as values: read from a sheet, changed by small acts that can be done again on a newer one.

import { BOARD_TILES_MAX, type PointAt, type Tile } from "../protocol.ts";
import { type Act as ActOn, ActRefused, freshId } from "../acts.ts";
import { freePlace, settled } from "./grid.ts";

export type { PointAt, Tile };
export type TileKind = Tile["@"];

export const KIND = "board";
export const VERSION = 1;

export interface Board {
  tiles: readonly Tile[];
}

/** One step of composing. */
export type Act = ActOn<Board>;

/** Size that a new tile has, by kind. */
export const SIZES: Readonly<Record<TileKind, readonly [number, number]>> = {
  ValueTile: [3, 4],
  GaugeTile: [3, 3],
  StateTile: [3, 3],
  TrendTile: [6, 7],
  TableTile: [6, 7],
  AlarmsTile: [6, 6],
  SceneTile: [6, 9],
  TextTile: [3, 3],
};

const KINDS = new Set<string>(Object.keys(SIZES));

/** The board of a sheet's body; throws with words for a person if this page cannot show it. */
export function read(body: string): Board {
  const plain: unknown = JSON.parse(body);
  if (typeof plain !== "object" || plain === null) throw new Error("an object was expected");
  const { version, tiles = [] } = plain as { version?: unknown; tiles?: unknown };
  if (version !== VERSION) throw new Error(`version ${String(version)}; this page reads version ${VERSION}`);
  if (!Array.isArray(tiles)) throw new Error("tiles: a list was expected");
  for (const tile of tiles as { "@"?: unknown }[]) {
    if (!KINDS.has(String(tile?.["@"]))) throw new Error(`a tile of kind ${String(tile?.["@"])} is not known here`);
  }
  return { tiles: settled(tiles as Tile[]) };
}

export function written(board: Board): string {
  return JSON.stringify({ version: VERSION, tiles: board.tiles });
}

type Without<T> = T extends unknown ? Omit<T, "id" | "x" | "y" | "w" | "h"> & { w?: number; h?: number } : never;
/** A tile that has no place yet. */
export type NewTile = Without<Tile>;

/** Tiles at the next free places. Where the board is full, throws. */
export function adding(tiles: readonly NewTile[]): Act {
  const made = tiles.map((tile) => ({ ...tile, id: freshId() }));
  return (board) => {
    if (board.tiles.length + made.length > BOARD_TILES_MAX) throw new ActRefused(`${BOARD_TILES_MAX} tiles at most`);
    const all = [...board.tiles];
    for (const tile of made) {
      const [w, h] = SIZES[tile["@"]];
      const size = { w: tile.w ?? w, h: tile.h ?? h };
      all.push({ ...tile, ...size, ...freePlace(all, size.w, size.h) } as Tile);
    }
    return { tiles: settled(all) };
  };
}

/** Puts a tile in the place of one that was `was` when the person began; another's change of it stays. */
export function changing(was: Tile, next: Tile): Act {
  return (board) => {
    expectUntouched(board, was);
    return { tiles: settled(board.tiles.map((tile) => (tile.id === was.id ? { ...next, x: tile.x, y: tile.y, w: tile.w, h: tile.h } : tile))) };
  };
}

/** Moves or resizes a tile; what else others have changed of it stays. */
export function placing(id: string, place: { x: number; y: number; w: number; h: number }, fromY: number): Act {
  return (board) => {
    if (!board.tiles.some((tile) => tile.id === id)) throw new ActRefused();
    return { tiles: settled(board.tiles.map((tile) => (tile.id === id ? { ...tile, ...place } : tile)), { id, fromY }) };
  };
}

export function removing(was: Tile): Act {
  return (board) => {
    expectUntouched(board, was);
    return { tiles: settled(board.tiles.filter((tile) => tile.id !== was.id)) };
  };
}

function expectUntouched(board: Board, was: Tile): void {
  const now = board.tiles.find((tile) => tile.id === was.id);
  if (now === undefined || content(now) !== content(was)) throw new ActRefused();
}

/** What a tile shows, wherever it stands. */
export function content(tile: Tile): string {
  const { x: _x, y: _y, w: _w, h: _h, ...rest } = tile;
  return JSON.stringify(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)));
}
