/**
 * In what condition each twin is: stale or bad by the quality of its points, in alarm by its
 * events. Kept by counting what changes, so that only changes cost anything.
 */

import { MathUtils, Vector3 } from "three";
import type { Box3 } from "three";
import type { Id, Mirror } from "../mirror.ts";
import type { Beacon } from "./beacons.ts";
import { Channel } from "./twin_state.ts";
import type { TwinStates } from "./twin_state.ts";

export class Conditions {
  readonly #mirror: Mirror;
  readonly #states: TwinStates;
  /** Of each twin: its points, and how many of them are doubtful and bad. */
  #badPoints = new Int32Array(0);
  #lastQuality = new Uint8Array(0);

  constructor(mirror: Mirror, states: TwinStates) {
    this.#mirror = mirror;
    this.#states = states;
  }

  /** Takes the qualities of some points, or counts all anew. */
  takeQualities(handles: Uint32Array | null): void {
    const { nPoints, quality, timeMs, pointTwin, nOrdinals } = this.#mirror;
    if (this.#lastQuality.length < nPoints || this.#badPoints.length < nOrdinals || handles === null) {
      this.#lastQuality = new Uint8Array(Math.max(nPoints, quality.length));
      this.#badPoints = new Int32Array(nOrdinals * 3);
      for (let h = 0; h < nPoints; h++) this.#badPoints[pointTwin[h]! * 3] = (this.#badPoints[pointTwin[h]! * 3] ?? 0) + 1;
      handles = null;
    }
    const touched = new Set<number>();
    const n = handles === null ? nPoints : handles.length;
    if (handles === null) for (let twin = 0; twin < nOrdinals; twin++) touched.add(twin);
    for (let i = 0; i < n; i++) {
      const h = handles === null ? i : handles[i]!;
      // A point that has never had a value says nothing yet: doubtful, not bad.
      const now = timeMs[h] !== timeMs[h] ? 1 : quality[h]!;
      const was = this.#lastQuality[h]!;
      if (now === was) continue;
      const twin = pointTwin[h]! * 3;
      this.#lastQuality[h] = now;
      if (was > 0) this.#badPoints[twin + was] = this.#badPoints[twin + was]! - 1;
      if (now > 0) this.#badPoints[twin + now] = this.#badPoints[twin + now]! + 1;
      touched.add(twin / 3);
    }
    for (const twin of touched) {
      const [all, doubtful, bad] = this.#badPoints.subarray(twin * 3, twin * 3 + 3) as unknown as [number, number, number];
      const stale = bad * 2 > all ? 255 : (bad + doubtful) * 2 > all ? 128 : 0;
      this.#states.set(twin, Channel.Stale, stale);
    }
  }

  /** Marks twins in alarm; gives a beacon for each that has a place. */
  takeAlarms(boundsOf: (ordinal: number) => Box3 | undefined): Beacon[] {
    const mirror = this.#mirror;
    this.#states.fill(Channel.Alarm, 0);
    const beacons: Beacon[] = [];
    const seen = new Set<Id>();
    for (const event of mirror.alarms()) {
      if (seen.has(event.twin)) continue;
      seen.add(event.twin);
      const ordinal = mirror.ordinal(event.twin);
      const box = boundsOf(ordinal);
      if (box === undefined) continue;
      const severity = event.severity ?? 0;
      this.#states.set(ordinal, Channel.Alarm, [64, 128, 192, 255][severity]!);
      const size = box.getSize(new Vector3());
      const middle = box.getCenter(new Vector3());
      beacons.push({
        x: middle.x,
        z: middle.z,
        foot: Math.max(box.min.y, 0),
        top: box.max.y,
        radius_m: MathUtils.clamp(Math.max(size.x, size.z) * 0.55, 0.5, 2.6),
        severity,
      });
    }
    return beacons;
  }
}
