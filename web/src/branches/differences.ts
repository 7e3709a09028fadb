/**
 * What is otherwise between two worlds that are looked at: twins that stand elsewhere, states and
 * values that differ. Reads two mirrors; knows no DOM and no 3D.
 */

import type { Mirror } from "../mirror.ts";
import { Kind } from "../protocol.ts";
import type { OtherTwin } from "../scene/other.ts";
import { labelText } from "../format.ts";

/** A number that differs by less than this part of its range, or of itself, is the same. */
const SAME_SHARE = 0.01;
const SAME_M = 0.005;
const SAME_TURN = 1e-3;
/** Of twins that differ by values alone, this many are shown: those that differ most. */
const VALUES_SHOWN = 150;
const NOTED_POINTS = 2;

type Side = Pick<Mirror, "twins" | "ordinal" | "handlesOf" | "handle" | "pointType" | "value" | "texts" | "geometryOf" | "format" | "unit">;

export interface Counted {
  place: number;
  state: number;
  value: number;
  new: number;
  gone: number;
}

export interface Found {
  twins: OtherTwin[];
  counted: Counted;
}

/** Points that are in both worlds, as pairs of handles, by twin; looked up once for a structure. */
export class Pairs {
  readonly here: Int32Array;
  readonly there: Int32Array;
  readonly ordinal: Int32Array;

  constructor(here: Side, there: Side) {
    const pairs: number[] = [];
    for (const id of here.twins.keys()) {
      if (!there.twins.has(id)) continue;
      const ordinal = here.ordinal(id);
      const isSame = there.ordinal(id) === ordinal; // a branch keeps handles; then nothing has to be looked up
      for (const handle of here.handlesOf(id)) {
        const { name } = here.pointType(handle);
        const other = isSame && there.pointType(handle).name === name && there.handlesOf(id).includes(handle) ? handle : there.handle(id, name);
        if (other >= 0) pairs.push(handle, other, ordinal);
      }
    }
    const n = pairs.length / 3;
    this.here = new Int32Array(n);
    this.there = new Int32Array(n);
    this.ordinal = new Int32Array(n);
    for (let i = 0; i < n; i++) [this.here[i], this.there[i], this.ordinal[i]] = [pairs[i * 3]!, pairs[i * 3 + 1]!, pairs[i * 3 + 2]!];
  }
}

interface Differing {
  handle: number;
  other: number;
  isState: boolean;
  share: number;
}

/** How a value differs: 0 it does not, else by what part of its range; states and texts count as 1. */
export function shareOf(here: Side, there: Side, handle: number, other: number): { share: number; isState: boolean } {
  const type = here.pointType(handle);
  const kind = type.kind ?? Kind.FLOAT;
  if (kind === Kind.TEXT) {
    const [a, b] = [here.texts.get(handle), there.texts.get(other)];
    return { share: a !== b && a !== undefined && b !== undefined ? 1 : 0, isState: true };
  }
  if (kind > Kind.TEXT) return { share: 0, isState: false };
  const a = here.value[handle] ?? NaN;
  const b = there.value[other] ?? NaN;
  if (a === b || Number.isNaN(a) || Number.isNaN(b)) return { share: 0, isState: false };
  if (kind === Kind.ENUM || kind === Kind.BOOL || type.labels?.length) return { share: 1, isState: true };
  const range = type.low != null && type.high != null && type.high > type.low ? type.high - type.low : Math.max(Math.abs(a), Math.abs(b));
  const share = Math.abs(a - b) / range;
  return { share: share < SAME_SHARE ? 0 : share, isState: false };
}

/**
 * Everything that is otherwise. `isHereBranch` turns the notes round, so that they always read
 * from the plant to the branch.
 */
export function differences(here: Side, there: Side, pairs: Pairs, isHereBranch: boolean): Found {
  const byTwin = new Map<number, Differing[]>();
  for (let i = 0; i < pairs.here.length; i++) {
    const handle = pairs.here[i]!;
    const other = pairs.there[i]!;
    // Most are equal numbers: they are passed over without a call.
    if (here.value[handle] === there.value[other] && here.pointType(handle).kind !== Kind.TEXT) continue;
    const { share, isState } = shareOf(here, there, handle, other);
    if (share === 0) continue;
    const list = byTwin.get(pairs.ordinal[i]!);
    const one = { handle, other, isState, share };
    if (list === undefined) byTwin.set(pairs.ordinal[i]!, [one]);
    else list.push(one);
  }
  const counted: Counted = { place: 0, state: 0, value: 0, new: 0, gone: 0 };
  const twins: OtherTwin[] = [];
  const byValue: (OtherTwin & { share: number })[] = [];
  for (const [id, twin] of here.twins) {
    const ordinal = here.ordinal(id);
    const other = there.twins.get(id);
    if (other === undefined) {
      counted.gone += 1;
      twins.push({ ordinal, difference: "gone", twin: null, geometry: "", note: "" });
      continue;
    }
    const differing = byTwin.get(ordinal) ?? [];
    const isMoved = hasMoved(twin.pose, other.pose);
    if (!isMoved && differing.length === 0) continue;
    differing.sort((a, b) => Number(b.isState) - Number(a.isState) || b.share - a.share || a.handle - b.handle);
    const note = differing.slice(0, NOTED_POINTS).map((one) => noteOf(here, there, one, isHereBranch)).join("\n");
    const isState = differing[0]?.isState ?? false;
    const difference = isMoved ? "place" : isState ? "state" : "value";
    counted[difference] += 1;
    const one: OtherTwin = { ordinal, difference, twin: other, geometry: "", note };
    if (difference === "value") byValue.push({ ...one, share: differing[0]!.share });
    else twins.push(one);
  }
  for (const [id, twin] of there.twins) {
    if (here.twins.has(id)) continue;
    counted.new += 1;
    twins.push({ ordinal: -1, difference: "new", twin, geometry: there.geometryOf(id), note: "" });
  }
  byValue.sort((a, b) => b.share - a.share || a.ordinal - b.ordinal);
  for (const { share: _, ...one } of byValue.slice(0, VALUES_SHOWN)) twins.push(one);
  return { twins, counted };
}

function noteOf(here: Side, there: Side, { handle, other }: Differing, isHereBranch: boolean): string {
  const unit = here.unit(handle);
  const [live, branch] = isHereBranch ? [there.format(other), here.format(handle)] : [here.format(handle), there.format(other)];
  return `${labelText(here.pointType(handle).name)} ${live} → ${branch}${unit ? ` ${unit}` : ""}`;
}

type Place = { x_m?: number; y_m?: number; z_m?: number; qx?: number; qy?: number; qz?: number; qw?: number } | null | undefined;

function hasMoved(a: Place, b: Place): boolean {
  if (a == null || b == null) return (a == null) !== (b == null);
  const far = Math.hypot((a.x_m ?? 0) - (b.x_m ?? 0), (a.y_m ?? 0) - (b.y_m ?? 0), (a.z_m ?? 0) - (b.z_m ?? 0));
  const turn = Math.abs((a.qx ?? 0) * (b.qx ?? 0) + (a.qy ?? 0) * (b.qy ?? 0) + (a.qz ?? 0) * (b.qz ?? 0) + (a.qw ?? 1) * (b.qw ?? 1));
  return far > SAME_M || 1 - turn > SAME_TURN;
}
