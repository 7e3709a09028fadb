/** Where one stands on entering the world, and whether there is room for a person. Knows no headset. */

import { Box3, Ray, Vector3 } from "three";
import type { Hit } from "../scene/layers.ts";

const HEAD_M = 2.2;
/** What one can step on to. */
const STEP_M = 0.6;
const NEAR_M = 1.6;
const STEPS = 60;
const STRIDE_M = 0.75;
const DOWN = new Vector3(0, -1, 0);

/** Where the eyes of who stands are, over their floor; and who holds them higher does not stand. */
const EYES_M = 1.6;
const EYES_MAX_M = 2.6;
const BESIDE_M = 1.3;

export type Meets = (ray: Ray) => Hit;

const ray = new Ray(new Vector3(), DOWN.clone());

/** The height of the ground at a place for who comes from about `floor_m`; NaN: something stands there. */
export function groundAt(meets: Meets, x: number, z: number, floor_m: number): number {
  ray.origin.set(x, floor_m + HEAD_M, z);
  ray.direction.copy(DOWN);
  const { distance_m } = meets(ray);
  if (!Number.isFinite(distance_m)) return Math.min(floor_m, 0);
  const height_m = floor_m + HEAD_M - distance_m;
  return height_m - floor_m > STEP_M ? NaN : height_m;
}

/**
 * A free place before what was looked at, on the side that it was looked at from.
 *
 * @param box what is to be seen from near; null: `target` alone
 * @returns the place, floor included, and the compass direction towards the target
 */
export function placeBefore(meets: Meets, eye: Vector3, target: Vector3, box: Box3 | null): { place: Vector3; yaw: number } {
  const middle = box === null ? target.clone() : box.getCenter(new Vector3());
  const way = new Vector3(eye.x - middle.x, 0, eye.z - middle.z);
  if (way.lengthSq() < 1e-6) way.set(0, 0, 1);
  way.normalize();
  const yaw = Math.atan2(way.x, way.z);
  const half = box === null ? 0 : Math.hypot(box.max.x - box.min.x, box.max.z - box.min.z) / 2;
  // Of what was seen as a whole, a whole is to be seen again.
  const away_m = box === null ? Math.min(Math.max(eye.distanceTo(target) * 0.55, 2.6), 12) : Math.min(half, 6) + NEAR_M;
  const place = new Vector3();
  for (let i = 0; i < STEPS; i++) {
    place.copy(middle).addScaledVector(way, away_m + i * STRIDE_M);
    const ground_m = groundAt(meets, place.x, place.z, 0);
    if (Number.isNaN(ground_m)) continue;
    place.y = ground_m;
    return { place, yaw };
  }
  place.y = 0;
  return { place, yaw };
}

/** The floor that somebody stands on whose eyes are there; NaN: they float, or are inside of something. */
export function floorUnder(meets: Meets, eye: Vector3): number {
  const floor_m = groundAt(meets, eye.x, eye.z, Math.max(0, eye.y - EYES_M));
  return eye.y - floor_m < EYES_MAX_M ? floor_m : NaN;
}

/**
 * A free place beside somebody: to their right, else to their left, else behind them, else further out.
 * Under who floats it is the ground.
 *
 * @param ahead where they look
 * @returns the place, floor included, and the compass direction in which they look
 */
export function placeBeside(meets: Meets, eye: Vector3, ahead: Vector3): { place: Vector3; yaw: number } {
  const yaw = Math.atan2(-ahead.x, -ahead.z);
  const own_m = floorUnder(meets, eye);
  const floor_m = Number.isNaN(own_m) ? 0 : own_m;
  const place = new Vector3();
  for (let i = 0; i < STEPS; i++) {
    const turn = yaw + [-Math.PI / 2, Math.PI / 2, Math.PI, -Math.PI / 4, Math.PI / 4][i % 5]!;
    const away_m = BESIDE_M + Math.floor(i / 5) * STRIDE_M;
    place.set(eye.x - Math.sin(turn) * away_m, 0, eye.z - Math.cos(turn) * away_m);
    place.y = groundAt(meets, place.x, place.z, floor_m);
    if (!Number.isNaN(place.y)) return { place, yaw };
  }
  return { place: place.set(eye.x, floor_m, eye.z), yaw };
}
