/**
 * What other rooms of the page put into the scene, and what they learn from it.
 *
 * Everything is in the scene's metres: x to the right, y upwards, z towards the viewer; orientation
 * is a unit quaternion (x, y, z, w) that takes −z to where one looks.
 */

import type { Object3D, PerspectiveCamera } from "three";

export interface Pose {
  position: [number, number, number];
  rotation: [number, number, number, number];
}

/** What of a visitor others can see. */
export interface Body {
  head: Pose;
  left: Pose | null;
  right: Pose | null;
  /** From where to where somebody points; null: nobody does. */
  pointer: { from: [number, number, number]; to: [number, number, number] } | null;
}

/** Objects that another room draws in the scene. */
export interface SceneLayer {
  readonly object: Object3D;
  /** Called before each picture; true while it moves, so that the next picture is wanted too. */
  update?(dt_s: number, nowMs: number, camera: PerspectiveCamera): boolean;
}

/** Where a ray met something; ordinal −1: nothing, and then the distance is infinite. */
export interface Hit {
  readonly ordinal: number;
  readonly distance_m: number;
}

export const NO_HIT: Hit = { ordinal: -1, distance_m: Infinity };
