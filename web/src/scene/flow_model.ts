/**
 * Where the pieces on a line are: integrated from the plant's own counters and speeds.
 *
 * The plant counts exactly what enters and leaves each machine and belt; in between, pieces
 * move as belts and carousels carry them. Counters always win: what drifts is pulled back.
 * Knows no three.js and no mirror.
 */

export interface SegmentSpec {
  name: string;
  kind: "machine" | "conveyor" | "buffer" | "cartons";
  length: number;
  pitch: number;
  /** Pockets between infeed and outfeed, of a machine that turns. */
  slots?: number;
}

/** What the plant says of a segment now; NaN: it says nothing. */
export interface SegmentReading {
  /** Pieces that have ever entered and left. */
  entered: number;
  left: number;
  inside: number;
  /** Metres per second of a belt; slots per second of a machine that turns. */
  speed: number;
  isBackedUp: boolean;
}

/** Tolerated difference between drawn and counted pieces before they are set anew. */
const DRIFT = 4;

export class Segment {
  readonly spec: SegmentSpec;
  /** Way of each piece from the start, metres; the foremost first. Of belts. */
  readonly way: number[] = [];
  /** Whether each pocket holds a piece; of machines that turn. */
  readonly pockets: Uint8Array;
  phase = 0;
  #entered = NaN;
  #left = NaN;
  #waiting = 0;
  #owed = 0;

  constructor(spec: SegmentSpec) {
    this.spec = spec;
    this.pockets = new Uint8Array(spec.slots ?? 0);
  }

  get count(): number {
    if (this.pockets.length === 0) return this.way.length;
    return this.pockets.reduce((sum, full) => sum + full, 0);
  }

  /** Sets the pieces that the plant counts inside, spread as they stand. */
  fill(reading: SegmentReading): void {
    const { length, pitch } = this.spec;
    this.#entered = reading.entered;
    this.#left = reading.left;
    this.#waiting = this.#owed = 0;
    const n = Number.isFinite(reading.inside) ? Math.max(0, Math.round(reading.inside)) : 0;
    this.way.length = 0;
    if (this.pockets.length > 0) {
      const held = Math.min(n, this.pockets.length);
      // Even spacing; the k-th piece sits in pocket floor(k · pockets / pieces).
      this.pockets.fill(0);
      for (let k = 0; k < held; k++) this.pockets[Math.floor((k * this.pockets.length) / held)] = 1;
      return;
    }
    const room = Math.max(1, Math.floor(length / pitch) + 1);
    const held = Math.min(n, room);
    const step = reading.isBackedUp ? pitch : Math.max(pitch, length / Math.max(held, 1));
    const front = reading.isBackedUp ? length : length - step / 2;
    for (let k = 0; k < held; k++) this.way.push(Math.max(front - k * step, 0));
  }

  /**
   * Moves on by `dt_s`; true if anything moved.
   *
   * @param phase slots that the machine has turned in all; a belt does without.
   */
  step(dt_s: number, reading: SegmentReading, phase: number): boolean {
    if (Number.isNaN(this.#entered) || Number.isNaN(this.#left)) {
      this.fill(reading);
      this.phase = phase;
      return true;
    }
    return this.pockets.length > 0 ? this.#turn(reading, phase) : this.#convey(dt_s, reading);
  }

  #turn(reading: SegmentReading, phase: number): boolean {
    const turned = Math.floor(phase) - Math.floor(this.phase);
    const moved = phase !== this.phase;
    this.phase = phase;
    if (turned < 0 || turned > this.pockets.length) {
      this.fill(reading);
      return true;
    }
    for (let i = 0; i < turned; i++) {
      this.pockets.copyWithin(1, 0);
      const isDue = reading.entered > this.#entered;
      this.pockets[0] = isDue ? 1 : 0;
      if (isDue) this.#entered += 1;
    }
    const lag = reading.entered - this.#entered;
    if (lag > DRIFT * 2 || lag < 0 || Math.abs(this.count - reading.inside) > Math.max(DRIFT, this.pockets.length * 0.3)) {
      this.fill(reading);
      return true;
    }
    return moved;
  }

  #convey(dt_s: number, reading: SegmentReading): boolean {
    const { length, pitch } = this.spec;
    const { way } = this;
    if (Number.isFinite(reading.entered)) {
      this.#waiting += reading.entered - this.#entered;
      this.#entered = reading.entered;
    }
    if (Number.isFinite(reading.left)) {
      this.#owed += reading.left - this.#left;
      this.#left = reading.left;
    }
    const counted = way.length + this.#waiting - this.#owed;
    const allowed = Math.max(DRIFT, reading.inside * 0.12);
    if (this.#waiting < 0 || this.#owed < 0 || this.#waiting > 40 || this.#owed > 40 || Math.abs(counted - reading.inside) > allowed) {
      this.fill(reading);
      return true;
    }
    let moved = false;
    // What is owed to the next machine hurries a little, so that it is there when it is counted.
    const hurry = this.#owed > 2 ? 1.6 : 1;
    const step = reading.speed * hurry * dt_s;
    let limit = length;
    if (step > 0)
      for (let k = 0; k < way.length; k++) {
        const to = Math.min(way[k]! + step, Math.max(limit, way[k]!));
        if (to !== way[k]) moved = true;
        way[k] = to;
        limit = to - pitch;
      }
    while (this.#owed > 0 && way.length > 0 && way[0]! >= length - 0.01) {
      way.shift();
      this.#owed -= 1;
      moved = true;
    }
    while (this.#waiting > 0 && (way.length === 0 || way[way.length - 1]! >= pitch)) {
      way.push(0);
      this.#waiting -= 1;
      moved = true;
    }
    return moved;
  }
}

/** A curve in space that can be asked for the place at a way, in constant time. */
export class Curve {
  readonly length: number;
  readonly #step: number;
  readonly #points: Float32Array;

  constructor(points: readonly (readonly number[])[], step_m = 0.02) {
    const ways = [0];
    for (let i = 1; i < points.length; i++) {
      const [a, b] = [points[i - 1]!, points[i]!];
      ways.push(ways[i - 1]! + Math.hypot(b[0]! - a[0]!, b[1]! - a[1]!, b[2]! - a[2]!));
    }
    this.length = ways[ways.length - 1]!;
    const n = Math.max(2, Math.ceil(this.length / step_m) + 1);
    this.#step = this.length / (n - 1);
    this.#points = new Float32Array(n * 3);
    let k = 0;
    for (let i = 0; i < n; i++) {
      const way = i * this.#step;
      while (k < ways.length - 2 && ways[k + 1]! < way) k += 1;
      const span = ways[k + 1]! - ways[k]!;
      const t = span > 0 ? Math.min((way - ways[k]!) / span, 1) : 0;
      for (let axis = 0; axis < 3; axis++)
        this.#points[i * 3 + axis] = points[k]![axis]! + (points[k + 1]![axis]! - points[k]![axis]!) * t;
    }
  }

  /** Writes the place at `way` metres to `out` from `at` on; gives the heading, radians about y. */
  place(way: number, out: Float32Array, at: number): number {
    const n = this.#points.length / 3;
    const f = Math.min(Math.max(way / this.#step, 0), n - 1.0001);
    const i = Math.floor(f);
    const t = f - i;
    const p = this.#points;
    const [a, b] = [i * 3, i * 3 + 3];
    for (let axis = 0; axis < 3; axis++) out[at + axis] = p[a + axis]! + (p[b + axis]! - p[a + axis]!) * t;
    return Math.atan2(-(p[b + 2]! - p[a + 2]!), p[b]! - p[a]!);
  }
}
