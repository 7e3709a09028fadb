/** What there is in the world: types, twins, relations, points. Built from Structure messages alone. */

import type {
  Arm,
  OperationType,
  PointType,
  Relation,
  Sheet,
  Structure,
  Text,
  Twin,
  TwinType,
} from "./protocol.ts";
import { labelText, shortId } from "./format.ts";

export type Id = string;

export interface PointRef {
  handle: number;
  twin: Id;
  name: string;
  type: PointType;
}

/** A text in the page's language, else without one, else in English, else in any. */
export function text(value: Text | undefined, fallback = ""): string {
  if (value === undefined) return fallback;
  const own = navigator.language;
  for (const tag of [own, own.split("-")[0]!, "", "en"]) {
    const found = value[tag];
    if (found) return found;
  }
  for (const tag in value) if (tag !== "@" && value[tag]) return value[tag];
  return fallback;
}

const NO_POINT: PointType = { name: "" };
const NOTHING: readonly never[] = [];

export class WorldStructure {
  readonly types = new Map<Id, TwinType>();
  readonly twins = new Map<Id, Twin>();
  readonly relations = new Map<string, Relation>();
  readonly arms = new Map<string, Arm>();
  /** What people wrote down for the world as a whole, by `kind/name`. */
  readonly sheets = new Map<string, Sheet>();
  nPoints = 0;
  /** Ordinal of each point's twin, by handle. */
  pointTwin = new Int32Array(0);

  readonly #byOrdinal: (Twin | undefined)[] = [];
  readonly #ordinals = new Map<Id, number>();
  #pointTypes: (PointType | undefined)[] = [];
  readonly #handlesOf = new Map<number, number[]>();
  readonly #from = new Map<Id, Relation[]>();
  readonly #to = new Map<Id, Relation[]>();
  #children: Map<Id, Id[]> | null = null;
  #parents = new Map<Id, Id>();
  #roots: Id[] = [];

  /** Takes a message; gives the twins that it touches, or null if all is new. */
  apply(message: Structure): Set<Id> | null {
    const touched = new Set<Id>();
    if (message.reset) this.#clear();
    this.#children = null;
    for (const key of message.relations_dropped) {
      this.#dropRelation(relationKey(key));
      touched.add(key.source).add(key.target);
    }
    for (const key of message.sheets_dropped) this.sheets.delete(`${key.kind}/${key.name}`);
    for (const sheet of message.sheets) this.sheets.set(`${sheet.kind}/${sheet.name}`, sheet);
    for (const key of message.arms_dropped) {
      this.arms.delete(armKey(key.twin, key.name));
      touched.add(key.twin);
    }
    for (const type of message.types) this.types.set(type.id, type);
    for (const { ordinal, twin } of message.twins) {
      const before = this.#byOrdinal[ordinal];
      if (before !== undefined && before.id !== twin?.id) {
        touched.add(before.id);
        this.twins.delete(before.id);
        this.#ordinals.delete(before.id);
      }
      this.#byOrdinal[ordinal] = twin ?? undefined;
      if (twin === null) continue;
      this.twins.set(twin.id, twin);
      this.#ordinals.set(twin.id, ordinal);
      touched.add(twin.id);
    }
    for (const relation of message.relations) {
      const key = relationKey(relation);
      this.#dropRelation(key);
      this.relations.set(key, relation);
      push(this.#from, relation.source, relation);
      push(this.#to, relation.target, relation);
      touched.add(relation.source).add(relation.target);
    }
    for (const arm of message.arms) {
      this.arms.set(armKey(arm.twin, arm.name), arm);
      touched.add(arm.twin);
    }
    this.#addPoints(message, touched);
    return message.reset || message.types.length > 0 ? null : touched;
  }

  // --- twins -----------------------------------------------------------------------------

  /** One more than the highest ordinal. */
  get nOrdinals(): number {
    return this.#byOrdinal.length;
  }

  ordinal(id: Id): number {
    return this.#ordinals.get(id) ?? -1;
  }

  twinAt(ordinal: number): Twin | undefined {
    return this.#byOrdinal[ordinal];
  }

  nameOf(id: Id): string {
    return text(this.twins.get(id)?.name) || labelText(shortId(id));
  }

  typeName(typeId: Id): string {
    return text(this.types.get(typeId)?.name) || labelText(shortId(typeId));
  }

  /** A type and all that it extends, nearest first. */
  typeChain(typeId: Id): TwinType[] {
    const chain: TwinType[] = [];
    const seen = new Set<Id>();
    const queue = [typeId];
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      const type = this.types.get(id);
      if (type === undefined || seen.has(id)) continue;
      seen.add(id);
      chain.push(type);
      queue.push(...(type.extends ?? []));
    }
    return chain;
  }

  geometryOf(id: Id): string {
    const twin = this.twins.get(id);
    if (twin?.geometry) return twin.geometry;
    return this.typeChain(twin?.type ?? "").find((type) => type.geometry)?.geometry ?? "";
  }

  operationsOf(id: Id): OperationType[] {
    const twin = this.twins.get(id);
    if (twin === undefined) return [];
    const found = new Map<string, OperationType>();
    for (const operation of twin.operations ?? []) found.set(operation.name, operation);
    for (const type of this.typeChain(twin.type ?? ""))
      for (const operation of type.operations ?? [])
        if (!found.has(operation.name)) found.set(operation.name, operation);
    return [...found.values()];
  }

  armed(id: Id, name: string): Arm | undefined {
    return this.arms.get(armKey(id, name));
  }

  // --- relations -------------------------------------------------------------------------

  from(id: Id): readonly Relation[] {
    return this.#from.get(id) ?? NOTHING;
  }

  to(id: Id): readonly Relation[] {
    return this.#to.get(id) ?? NOTHING;
  }

  parent(id: Id): Id | undefined {
    this.#nest();
    return this.#parents.get(id);
  }

  children(id: Id): readonly Id[] {
    return this.#nest().get(id) ?? NOTHING;
  }

  roots(): readonly Id[] {
    this.#nest();
    return this.#roots;
  }

  #nest(): Map<Id, Id[]> {
    if (this.#children !== null) return this.#children;
    const children = new Map<Id, Id[]>();
    this.#parents = new Map();
    this.#roots = [];
    for (const twin of this.#byOrdinal) {
      if (twin === undefined) continue;
      const parent = this.#holder(twin.id);
      if (parent === undefined) this.#roots.push(twin.id);
      else {
        this.#parents.set(twin.id, parent);
        push(children, parent, twin.id);
      }
    }
    this.#children = children;
    return children;
  }

  #holder(id: Id): Id | undefined {
    for (const kind of ["part_of", "located_in"])
      for (const relation of this.from(id))
        if (relation.kind === kind && relation.target !== id && this.twins.has(relation.target))
          return relation.target;
    return undefined;
  }

  // --- points ----------------------------------------------------------------------------

  pointType(handle: number): PointType {
    return this.#pointTypes[handle] ?? NO_POINT;
  }

  pointRef(handle: number): PointRef {
    const type = this.pointType(handle);
    const twin = this.#byOrdinal[this.pointTwin[handle] ?? -1]?.id ?? "";
    return { handle, twin, name: type.name, type };
  }

  handlesOf(id: Id): readonly number[] {
    return this.#handlesOf.get(this.ordinal(id)) ?? NOTHING;
  }

  pointsOf(id: Id): readonly PointRef[] {
    return this.handlesOf(id).map((handle) => this.pointRef(handle));
  }

  handle(id: Id, name: string): number {
    for (const handle of this.handlesOf(id)) if (this.pointType(handle).name === name) return handle;
    return -1;
  }

  #addPoints(message: Structure, touched: Set<Id>): void {
    const { handle, twin, type } = message.points;
    let n = this.nPoints;
    for (const h of handle) if (h >= n) n = h + 1;
    if (n > this.pointTwin.length) {
      const grown = new Int32Array(Math.max(n, this.pointTwin.length * 2)).fill(-1);
      grown.set(this.pointTwin);
      this.pointTwin = grown;
    }
    this.nPoints = n;
    for (let i = 0; i < handle.length; i++) {
      const h = handle[i]!;
      const isNew = this.#pointTypes[h] === undefined;
      this.#pointTypes[h] = message.point_types[type[i]!];
      this.pointTwin[h] = twin[i]!;
      if (isNew) push(this.#handlesOf, twin[i]!, h);
      const id = this.#byOrdinal[twin[i]!]?.id;
      if (id !== undefined) touched.add(id);
    }
  }

  #dropRelation(key: string): void {
    const relation = this.relations.get(key);
    if (relation === undefined) return;
    this.relations.delete(key);
    remove(this.#from, relation.source, relation);
    remove(this.#to, relation.target, relation);
  }

  #clear(): void {
    this.types.clear();
    this.twins.clear();
    this.relations.clear();
    this.arms.clear();
    this.sheets.clear();
    this.nPoints = 0;
    this.pointTwin.fill(-1);
    this.#byOrdinal.length = 0;
    this.#ordinals.clear();
    this.#pointTypes = [];
    this.#handlesOf.clear();
    this.#from.clear();
    this.#to.clear();
  }
}

export function relationKey(key: Pick<Relation, "kind" | "source" | "target" | "name">): string {
  return [key.kind, key.source, key.target, key.name ?? ""].join("\0");
}

export function armKey(twin: Id, name: string): string {
  return `${twin}\0${name}`;
}

function push<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

function remove<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  const at = list?.indexOf(value) ?? -1;
  if (at >= 0) list!.splice(at, 1);
}
