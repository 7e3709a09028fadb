/**
 * Where a voice comes from and how much of it arrives: directions, distances, walls, and who is near
 * enough to be heard at all. Pure arithmetic; knows no audio and no page.
 *
 * Everything is in the scene's metres: x right, y up, z towards the viewer.
 */

import type { Hit, Pose } from "../scene/layers.ts";

type Vector = [number, number, number];

/** Within this distance a voice has its full loudness, m. */
const NEAR_M = 2.5;
/** From here on it fades, and at the second it is gone, m. */
const FADE_M = [70, 110] as const;
/** More than four HRTF panners stop phones from keeping up. */
export const HRTF_MAX = 4;
/** Voices beyond the nearest of these are silent. */
export const HEARD_MAX = 8;
/** Nobody takes the place of somebody nearer by less than this part of the way. */
const STICKS = 0.85;
/** What is counted at most: more walls do not muffle more. */
export const WALLS_MAX = 3;
const CASTS_MAX = 14;

/** How a panner treats a voice. */
export type Treatment = "hrtf" | "plain" | "silent";

/** A place as seen from a head: x to its right, y above it, z behind it. */
export function seenFrom(head: Pose, place: readonly number[]): Vector {
  const [x, y, z, w] = head.rotation;
  // Turns by the inverse of the head's rotation: the conjugate of the unit quaternion.
  const a = place[0]! - head.position[0];
  const b = place[1]! - head.position[1];
  const c = place[2]! - head.position[2];
  const tx = 2 * (c * y - b * z);
  const ty = 2 * (a * z - c * x);
  const tz = 2 * (b * x - a * y);
  return [a - w * tx + (y * tz - z * ty), b - w * ty + (z * tx - x * tz), c - w * tz + (x * ty - y * tx)];
}

/** How loud a voice is at a distance: the inverse law of open space, and nothing far away. */
export function loudnessAt(distance_m: number): number {
  const [from, to] = FADE_M;
  const fade = Math.min(Math.max((to - distance_m) / (to - from), 0), 1);
  return (fade * NEAR_M) / Math.max(distance_m, NEAR_M);
}

/** What walls leave of a voice: a factor, and above which frequency nothing comes through, Hz. */
export function through(walls: number): { gain: number; cutoff_hz: number } {
  const n = Math.min(Math.max(walls, 0), WALLS_MAX);
  return { gain: 0.62 ** n, cutoff_hz: n === 0 ? 20_000 : 1_400 / 2 ** (n - 1) };
}

/**
 * How many things stand between two places, at most `WALLS_MAX`.
 *
 * @param hit What a ray meets first; from inside of a thing that is the thing itself, at 0 m.
 */
export function wallsBetween(
  from: readonly number[],
  to: readonly number[],
  hit: (origin: Vector, direction: Vector) => Hit,
): number {
  const way = [to[0]! - from[0]!, to[1]! - from[1]!, to[2]! - from[2]!];
  const length = Math.hypot(...way);
  if (!(length > 0.3)) return 0;
  const direction = way.map((part) => part / length) as Vector;
  const met = new Set<number>();
  let around = -1;
  const step = Math.max(length / CASTS_MAX, 0.2);
  for (let at = 0, cast = 0; cast < CASTS_MAX && at < length && met.size < WALLS_MAX; cast++) {
    const origin = direction.map((part, axis) => from[axis]! + part * at) as Vector;
    const { ordinal, distance_m } = hit(origin, direction);
    if (ordinal < 0 || at + distance_m > length) break;
    // Who stands within a thing's box, as in a hall, is not walled off by it.
    if (at === 0 && distance_m === 0) around = ordinal;
    if (ordinal !== around) met.add(ordinal);
    at += distance_m + step;
  }
  return met.size;
}

/**
 * Who is heard how: the nearest by HRTF, the next ones left and right, the others not.
 *
 * @param before How it was: who is about as near as another keeps their place, so that two people at
 *   the same distance do not swap with every step.
 */
export function treatments(
  distances: ReadonlyMap<number, number>,
  before: ReadonlyMap<number, Treatment>,
): Map<number, Treatment> {
  const worth: Record<Treatment, number> = { hrtf: STICKS, plain: 1, silent: 1 / STICKS };
  const ranked = [...distances].map(([id, distance]) => ({ id, distance, key: distance * worth[before.get(id) ?? "plain"] }));
  ranked.sort((a, b) => a.key - b.key || a.id - b.id);
  return new Map(
    ranked.map(({ id, distance }, rank) => {
      const isHeard = rank < HEARD_MAX && loudnessAt(distance) > 0;
      return [id, !isHeard ? "silent" : rank < HRTF_MAX ? "hrtf" : "plain"];
    }),
  );
}
