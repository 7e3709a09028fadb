// A first board for a twin or a type: what its points are tells what is worth a tile.

import { freshId } from "../acts.ts";
import { type Id, type Mirror, text } from "../mirror.ts";
import { Kind, type PointType } from "../protocol.ts";
import { t } from "../words.ts";
import { settled } from "./grid.ts";
import { type Board, type PointAt, type Tile } from "./model.ts";
import { twinsOf } from "./tiles/table.ts";

const FIGURES = 4;
const LINES = 4;
const COLUMNS_OF_TABLE = 5;

/** How much a point tells at a glance; 0: nothing. */
export function weightOf(type: PointType): number {
  const kind = type.kind ?? Kind.FLOAT;
  if (kind > Kind.ENUM) return 0;
  if (kind === Kind.ENUM) return 9;
  if (kind === Kind.BOOL) return 2;
  let weight = kind === Kind.FLOAT ? 5 : 3;
  if (type.low != null && type.high != null) weight += 2;
  if (type.unit) weight += 1;
  // What one wishes for tells less than what is.
  return type.is_writable ? weight - 4 : weight;
}

/** Names of the points of a twin that tell most, best first. */
function telling(mirror: Mirror, twin: Id): { name: string; type: PointType }[] {
  return mirror
    .pointsOf(twin)
    .map(({ name, type }) => ({ name, type, weight: weightOf(type) }))
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight);
}

class Builder {
  readonly tiles: Tile[] = [];
  private x = 0;
  private y = 0;
  private rowHeight = 0;

  add(tile: { "@": Tile["@"] } & Record<string, unknown>, w: number, h: number): void {
    if (this.x + w > 12) this.newRow();
    this.tiles.push({ ...tile, id: freshId(), x: this.x, y: this.y, w, h } as Tile);
    this.x += w;
    this.rowHeight = Math.max(this.rowHeight, h);
  }

  newRow(): void {
    this.y += this.rowHeight;
    this.x = this.rowHeight = 0;
  }

  board(): Board {
    return { tiles: settled(this.tiles) };
  }
}

/** A board about one twin and what is part of it. */
export function suggestForTwin(mirror: Mirror, twin: Id): Board {
  const build = new Builder();
  const own = telling(mirror, twin);
  const at = (id: Id, point: string): PointAt => ({ twin: id, point });
  // A whole that says little itself is told by its parts.
  const parts = mirror.children(twin).filter((child) => telling(mirror, child).length > 0);
  const figures: { at: PointAt; type: PointType }[] = own.slice(0, FIGURES).map(({ name, type }) => ({ at: at(twin, name), type }));
  for (const part of parts) {
    if (figures.length >= FIGURES) break;
    const [best] = telling(mirror, part);
    if (best) figures.push({ at: at(part, best.name), type: best.type });
  }
  for (const { at: point, type } of figures) build.add(figureTile(point, type), 12 / Math.max(2, figures.length), 4);
  build.newRow();
  const numbers = own.filter(({ type }) => (type.kind ?? Kind.FLOAT) <= Kind.INT && type.kind !== Kind.INT).slice(0, LINES);
  const lines = numbers.length > 0 ? numbers.map(({ name }) => at(twin, name)) : figures.filter(({ type }) => (type.kind ?? Kind.FLOAT) === Kind.FLOAT).map((each) => each.at);
  if (lines.length > 0) build.add({ "@": "TrendTile", points: lines }, 8, 8);
  build.add({ "@": "AlarmsTile", subtree: twin }, lines.length > 0 ? 4 : 12, lines.length > 0 ? 8 : 5);
  build.newRow();
  const table = partsTable(mirror, twin, parts);
  build.add({ "@": "SceneTile", focus: twin }, table ? 5 : 12, 9);
  if (table) build.add(table, 7, 9);
  return build.board();
}

/** A board about all twins of a type. */
export function suggestForType(mirror: Mirror, type: Id): Board {
  const build = new Builder();
  const twins = twinsOf(mirror, type, "");
  const names = columnsOf(mirror, twins);
  const [first] = names.map((name) => twins.find((twin) => mirror.handle(twin, name) >= 0 && (mirror.pointType(mirror.handle(twin, name)).kind ?? Kind.FLOAT) === Kind.FLOAT) && name).filter(Boolean);
  if (names.length > 0) build.add({ "@": "TableTile", type, points: names }, 7, 9);
  build.add({ "@": "AlarmsTile" }, names.length > 0 ? 5 : 12, 9);
  build.newRow();
  if (first) build.add({ "@": "TrendTile", points: twins.filter((twin) => mirror.handle(twin, first) >= 0).slice(0, 8).map((twin) => ({ twin, point: first })) }, 12, 7);
  return build.board();
}

function figureTile(point: PointAt, type: PointType): { "@": Tile["@"] } & Record<string, unknown> {
  const kind = type.kind ?? Kind.FLOAT;
  if (kind === Kind.ENUM || kind === Kind.BOOL) return { "@": "StateTile", point };
  const isShare = kind === Kind.FLOAT && type.low != null && type.high != null && type.unit === "%";
  return { "@": isShare ? "GaugeTile" : "ValueTile", point };
}

/** Parts of the commonest type as rows, if there are a few of one. */
function partsTable(mirror: Mirror, whole: Id, parts: readonly Id[]): ({ "@": "TableTile" } & Record<string, unknown>) | null {
  if (parts.length < 2) return null;
  const count = new Map<Id, number>();
  for (const part of parts) for (const type of mirror.typeChain(mirror.twins.get(part)?.type ?? "")) count.set(type.id, (count.get(type.id) ?? 0) + 1);
  const [common] = [...count].sort((a, b) => b[1] - a[1]);
  if (!common || common[1] < 2) return null;
  const points = columnsOf(mirror, parts.filter((part) => mirror.typeChain(mirror.twins.get(part)?.type ?? "").some((type) => type.id === common[0])));
  return points.length > 0 ? { "@": "TableTile", type: common[0], subtree: whole, points } : null;
}

/** Points that most of these twins have, the telling ones first. */
function columnsOf(mirror: Mirror, twins: readonly Id[]): string[] {
  const weights = new Map<string, number>();
  for (const twin of twins.slice(0, 50)) for (const { name, type } of telling(mirror, twin)) weights.set(name, (weights.get(name) ?? 0) + weightOf(type));
  return [...weights].sort((a, b) => b[1] - a[1]).slice(0, COLUMNS_OF_TABLE).map(([name]) => name);
}

/** A name for a board that is not taken. */
export function freeName(wish: string, taken: readonly string[]): string {
  const base = (wish.trim() || t("Board")).slice(0, 70);
  let name = base;
  for (let n = 2; taken.includes(name); n += 1) name = `${base} ${n}`;
  return name;
}

export function typeTitle(mirror: Mirror, type: Id): string {
  return text(mirror.types.get(type)?.name) || mirror.typeName(type);
}
