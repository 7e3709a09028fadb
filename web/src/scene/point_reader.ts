/** How the scene reads the mirror's values: by twin and name, and as columns with ranges. */

import { Kind } from "../protocol.ts";
import type { Mirror } from "../mirror.ts";
import type { TagSource } from "./tags.ts";

const UNKNOWN = -2;

/** What the bars are drawn from: the columns, and each point's range. */
export function tagSource(mirror: Mirror): TagSource {
  return {
    nPoints: mirror.nPoints,
    value: mirror.value,
    quality: mirror.quality,
    range: (handle: number): [number, number] | null => {
      const type = mirror.pointType(handle);
      if (type.kind === Kind.BOOL) return [0, 1];
      if (type.labels?.length) {
        const codes = type.labels.map(([code]) => code);
        return [Math.min(0, ...codes), Math.max(1, ...codes)];
      }
      return type.low != null && type.high != null && type.high > type.low ? [type.low, type.high] : null;
    },
  };
}

export class PointReader {
  readonly #mirror: Mirror;
  readonly #handlesByPoint = new Map<string, Int32Array>();

  constructor(mirror: Mirror) {
    this.#mirror = mirror;
  }

  /** Structure has changed: handles are looked up anew. */
  forget(): void {
    this.#handlesByPoint.clear();
  }

  /** Value of a twin's point; which handle that is, is looked up once. NaN: no such point. */
  read(ordinal: number, point: string): number {
    let handles = this.#handlesByPoint.get(point);
    if (handles === undefined) {
      handles = new Int32Array(this.#mirror.nOrdinals).fill(UNKNOWN);
      this.#handlesByPoint.set(point, handles);
    }
    let handle = handles[ordinal] ?? -1;
    if (handle === UNKNOWN) {
      const twin = this.#mirror.twinAt(ordinal);
      handle = twin === undefined ? -1 : this.#mirror.handle(twin.id, point);
      handles[ordinal] = handle;
    }
    return handle < 0 ? NaN : this.#mirror.value[handle]!;
  }
}
