/** Where somebody was, so that they glide instead of jump: shown a little late, between two poses. */

import type { Body, Pose } from "../scene/layers.ts";

type Vec3 = Pose["position"];

/** Poses are shown this much later than they were taken: one may be late without a jump. */
export const DELAY_MS = 150;
/** Between poses that lie further apart somebody has jumped, or stood still. */
const JUMP_M = 12;
const REST_MS = 600;
const KEPT = 8;

export class Track {
  #poses: { atMs: number; body: Body }[] = [];

  /** The newest pose; times may come late, not in disorder. */
  put(atMs: number, body: Body): void {
    const last = this.#poses.at(-1);
    if (last !== undefined && atMs <= last.atMs) {
      if (atMs > last.atMs - 1) this.#poses[this.#poses.length - 1] = { atMs: last.atMs, body };
      return;
    }
    // Who stood still until now begins to move now, not since the last pose.
    if (last !== undefined && atMs - last.atMs > REST_MS) this.#poses.push({ atMs: atMs - 100, body: last.body });
    this.#poses.push({ atMs, body });
    if (this.#poses.length > KEPT) this.#poses.splice(0, this.#poses.length - KEPT);
  }

  /** The latest that was heard; null: nothing yet. */
  get latest(): Body | null {
    return this.#poses.at(-1)?.body ?? null;
  }

  /** Whether there is more to come than `at` shows at that time. */
  isMoving(atMs: number): boolean {
    return this.#poses.length > 1 && this.#poses.at(-1)!.atMs > atMs;
  }

  at(atMs: number): Body | null {
    const poses = this.#poses;
    if (poses.length === 0) return null;
    let i = poses.length - 1;
    while (i > 0 && poses[i - 1]!.atMs > atMs) i--;
    const to = poses[i]!;
    const from = poses[i - 1];
    if (from === undefined || atMs >= to.atMs) return to.body;
    const part = Math.max(0, Math.min(1, (atMs - from.atMs) / (to.atMs - from.atMs)));
    if (distance(from.body.head.position, to.body.head.position) > JUMP_M) return part < 1 ? from.body : to.body;
    return between(from.body, to.body, part);
  }
}

function between(a: Body, b: Body, part: number): Body {
  const pose = (from: Pose | null, to: Pose | null): Pose | null => (from === null || to === null ? to : mixPose(from, to, part));
  return {
    head: mixPose(a.head, b.head, part),
    left: pose(a.left, b.left),
    right: pose(a.right, b.right),
    pointer: a.pointer === null || b.pointer === null ? b.pointer : { from: mix(a.pointer.from, b.pointer.from, part), to: mix(a.pointer.to, b.pointer.to, part) },
  };
}

function mixPose(a: Pose, b: Pose, part: number): Pose {
  return { position: mix(a.position, b.position, part), rotation: turn(a.rotation, b.rotation, part) };
}

function mix(a: Vec3, b: Vec3, part: number): Vec3 {
  return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part];
}

/** A tenth of a second apart, straight between two turns is as good as along the arc. */
function turn(a: Pose["rotation"], b: Pose["rotation"], part: number): Pose["rotation"] {
  const sign = a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3] < 0 ? -1 : 1;
  const mixed = a.map((value, i) => value + (sign * b[i]! - value) * part);
  const length = Math.hypot(...mixed) || 1;
  return mixed.map((value) => value / length) as Pose["rotation"];
}

function distance(a: Vec3, b: Vec3): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}
