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

type Meets = (ray: Ray) => Hit;

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
