/**
 * A vehicle between the places that it reports: it goes from one to the next, in their order, at its
 * own pace, and hurries where it has fallen behind. Knows numbers only.
 */

/** Further than this in one report is no drive: the vehicle was set down there, or time was. */
const JUMP_M = 250;
/** What is due is caught up with within this time. */
const LATE_S = 12;
const DUE_MAX = 12;

export class Glide {
  x: number;
  z: number;
  /** Radians about y from x towards −z. */
  yaw: number;
  readonly #speed_m_s: number;
  #due: [number, number][] = [];
  #hasReport = false;

  constructor(x: number, z: number, yaw: number, speed_m_s: number) {
    this.x = x;
    this.z = z;
    this.yaw = yaw;
    this.#speed_m_s = speed_m_s;
  }

  /** The vehicle says where it is; `isAtOnce`: it is shown there without a drive. */
  report(x: number, z: number, isAtOnce = false): boolean {
    if (!Number.isFinite(x) || !Number.isFinite(z)) return false;
    const [lastX, lastZ] = this.#due.at(-1) ?? [this.x, this.z];
    if (lastX === x && lastZ === z && !isAtOnce) return false;
    const isJump = isAtOnce || !this.#hasReport || Math.hypot(x - lastX, z - lastZ) > JUMP_M || this.#due.length >= DUE_MAX;
    this.#hasReport = true;
    if (!isJump) {
      this.#due.push([x, z]);
      return true;
    }
    const isThere = this.x === x && this.z === z && this.#due.length === 0;
    [this.x, this.z, this.#due] = [x, z, []];
    return !isThere;
  }

  /** Goes on by `dt_s`; true if it moved. */
  step(dt_s: number): boolean {
    if (this.#due.length === 0 || dt_s <= 0) return false;
    let left = 0;
    let [x, z] = [this.x, this.z];
    for (const [toX, toZ] of this.#due) {
      left += Math.hypot(toX - x, toZ - z);
      [x, z] = [toX, toZ];
    }
    let way = Math.max(this.#speed_m_s, left / LATE_S) * dt_s;
    for (let next = this.#due[0]; next !== undefined && way > 0; next = this.#due[0]) {
      const [dx, dz] = [next[0] - this.x, next[1] - this.z];
      const away = Math.hypot(dx, dz);
      if (away > 1e-6) this.yaw = Math.atan2(-dz, dx);
      if (away > way) {
        this.x += (dx * way) / away;
        this.z += (dz * way) / away;
        return true;
      }
      [this.x, this.z] = next;
      this.#due.shift();
      way -= away;
    }
    return true;
  }
}
