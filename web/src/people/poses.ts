/** Poses as bytes; protocol/poses.py says which. Knows numbers only. */

import { POSE, POSE_LEFT, POSE_MM_MAX, POSE_POINTER, POSE_RIGHT, POSE_UNIT, POSES, POSES_HEADER_BYTES } from "../protocol.ts";
import type { Body, Pose } from "../scene/layers.ts";

/** One's own record. */
export function encodePose(body: Body): ArrayBuffer {
  const { head, left, right, pointer } = body;
  const has = (left ? POSE_LEFT : 0) | (right ? POSE_RIGHT : 0) | (pointer ? POSE_POINTER : 0);
  const buffer = new ArrayBuffer(4 + 20 * (1 + (left ? 1 : 0) + (right ? 1 : 0)) + (pointer ? 24 : 0));
  const view = new DataView(buffer);
  view.setUint8(0, POSE);
  view.setUint8(1, has);
  let at = 4;
  const place = (xyz: readonly number[]): void => {
    for (const metres of xyz) {
      view.setInt32(at, millimetres(metres), true);
      at += 4;
    }
  };
  for (const pose of [head, left, right]) {
    if (pose === null) continue;
    place(pose.position);
    for (const part of pose.rotation) {
      view.setInt16(at, Math.round(Math.max(-1, Math.min(1, part || 0)) * POSE_UNIT), true);
      at += 2;
    }
  }
  if (pointer !== null) {
    place(pointer.from);
    place(pointer.to);
  }
  return buffer;
}

function millimetres(metres: number): number {
  return Number.isNaN(metres) ? 0 : Math.round(Math.max(-POSE_MM_MAX, Math.min(POSE_MM_MAX, metres * 1000)));
}

/** Whether two records say the same to a centimetre and half a degree: then nothing need be sent. */
export function isStill(before: Body | null, now: Body): boolean {
  if (before === null) return false;
  const near = (a: readonly number[], b: readonly number[], by: number): boolean => a.every((value, i) => Math.abs(value - b[i]!) < by);
  const same = (a: Pose | null, b: Pose | null): boolean =>
    a === null || b === null ? a === b : near(a.position, b.position, 0.01) && near(a.rotation, b.rotation, 0.004);
  const way = before.pointer;
  const isWayStill = way === null || now.pointer === null ? way === now.pointer : near(way.to, now.pointer.to, 0.02) && near(way.from, now.pointer.from, 0.02);
  return isWayStill && same(before.head, now.head) && same(before.left, now.left) && same(before.right, now.right);
}

/** What a room tells: calls `take` for each who moved. Throws a RangeError if it is no whole frame. */
export function decodePoses(buffer: ArrayBuffer, take: (id: number, atMs: number, body: Body) => void): void {
  const head = new DataView(buffer);
  if (buffer.byteLength < POSES_HEADER_BYTES || head.getUint8(0) !== POSES) throw new RangeError("this is no frame of poses");
  const n = head.getUint16(2, true);
  const nowMs = head.getFloat64(8, true);
  let at = POSES_HEADER_BYTES;
  const skip = (bytes: number): number => {
    const from = at;
    at += (bytes + 3) & ~3;
    return from;
  };
  const id = new Uint16Array(buffer, skip(2 * n), n);
  const age = new Uint16Array(buffer, skip(2 * n), n);
  const has = new Uint8Array(buffer, skip(n), n);
  const count = (bit: number): number => has.reduce((sum, each) => sum + (each & bit ? 1 : 0), 0);
  const counts = [n, count(POSE_LEFT), count(POSE_RIGHT), count(POSE_POINTER)] as const;
  const places = [...counts, counts[3]].map((rows) => new Int32Array(buffer, skip(12 * rows), 3 * rows));
  const turns = counts.slice(0, 3).map((rows) => new Int16Array(buffer, skip(8 * rows), 4 * rows));
  if (at !== buffer.byteLength) throw new RangeError(`a frame of ${n} poses does not have ${buffer.byteLength} bytes`);
  const place = (column: number, row: number): [number, number, number] => {
    const from = places[column]!;
    return [from[3 * row]! / 1000, from[3 * row + 1]! / 1000, from[3 * row + 2]! / 1000];
  };
  const pose = (column: number, row: number): Pose => {
    const from = turns[column]!;
    const parts = [from[4 * row]!, from[4 * row + 1]!, from[4 * row + 2]!, from[4 * row + 3]!] as const;
    const length = Math.hypot(...parts) || 1;
    const rotation: Pose["rotation"] = parts.every((part) => part === 0) ? [0, 0, 0, 1] : [parts[0] / length, parts[1] / length, parts[2] / length, parts[3] / length];
    return { position: place(column, row), rotation };
  };
  const next = [0, 0, 0, 0];
  for (let row = 0; row < n; row++) {
    const flags = has[row]!;
    const body: Body = {
      head: pose(0, row),
      left: flags & POSE_LEFT ? pose(1, next[1]!++) : null,
      right: flags & POSE_RIGHT ? pose(2, next[2]!++) : null,
      pointer: flags & POSE_POINTER ? { from: place(3, next[3]!), to: place(4, next[3]!++) } : null,
    };
    take(id[row]!, nowMs - age[row]!, body);
  }
}
