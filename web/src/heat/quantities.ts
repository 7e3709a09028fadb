/**
 * Quantities: what many points measure in common, by a point's name and unit. As columns, made
 * once for each state of the structure. Knows no DOM and no scene.
 */

import type { Mirror } from "../mirror.ts";
import { Kind } from "../protocol.ts";
import type { PointType } from "../protocol.ts";

export interface Quantity {
  /** Names it over reloads: name and unit. */
  key: string;
  name: string;
  unit: string;
  handles: Uint32Array;
  /** Ordinals of the handles' twins. */
  twins: Int32Array;
}

export function quantityKey(name: string, unit: string): string {
  return `${name}\0${unit}`;
}

export class Quantities {
  /** Most points first. */
  readonly all: readonly Quantity[];
  readonly #byKey = new Map<string, Quantity>();

  constructor(mirror: Pick<Mirror, "nPoints" | "pointType" | "pointTwin" | "twinAt">) {
    const n = mirror.nPoints;
    // Twins that are alike share the objects that describe their points: keys are made for few.
    const codeOf = new Map<PointType, number>();
    const codes = new Map<string, number>();
    const found: { name: string; unit: string; n: number }[] = [];
    const code = new Int32Array(n).fill(-1);
    const isAlive: (boolean | undefined)[] = [];
    for (let h = 0; h < n; h++) {
      const twin = mirror.pointTwin[h]!;
      if (!(isAlive[twin] ??= mirror.twinAt(twin) !== undefined)) continue;
      const type = mirror.pointType(h);
      let c = codeOf.get(type);
      if (c === undefined) {
        const kind = type.kind ?? Kind.FLOAT;
        const isNumber = (kind === Kind.FLOAT || kind === Kind.INT) && !type.labels?.length && type.name !== "";
        const key = quantityKey(type.name, type.unit ?? "");
        c = isNumber ? codes.get(key) ?? codes.size : -1;
        if (c === codes.size) {
          codes.set(key, c);
          found.push({ name: type.name, unit: type.unit ?? "", n: 0 });
        }
        codeOf.set(type, c);
      }
      code[h] = c;
      if (c >= 0) found[c]!.n += 1;
    }
    const all = found.map(({ name, unit, n }) => ({
      key: quantityKey(name, unit), name, unit, handles: new Uint32Array(n), twins: new Int32Array(n),
    }));
    const filled = new Int32Array(all.length);
    for (let h = 0; h < n; h++) {
      const c = code[h]!;
      if (c < 0) continue;
      const at = filled[c]!++;
      all[c]!.handles[at] = h;
      all[c]!.twins[at] = mirror.pointTwin[h]!;
    }
    for (const each of all) this.#byKey.set(each.key, each);
    this.all = all.sort((a, b) => b.handles.length - a.handles.length || a.name.localeCompare(b.name));
  }

  get(key: string): Quantity | undefined {
    return this.#byKey.get(key);
  }
}
