// Points by what they and their twins are called. Looked for on the page: the server's index knows twins.

import { labelText } from "../format.ts";
import type { Mirror, PointType } from "../mirror.ts";

/** Points looked through for each letter typed; a larger world is searched by twin. */
const LOOKED_AT = 250_000;
/** So many times as many as are wanted are found before the closest of them are chosen. */
const LOOKED_BEYOND = 8;

/** Handles of points whose name has the last word of `query`, and whose twin has the words before. */
export function findPoints(mirror: Mirror, query: string, most: number, fits: (type: PointType) => boolean = () => true): number[] {
  const wanted = query.toLowerCase();
  const words = wanted.split(/[\s.]+/).filter(Boolean);
  const last = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  // Points share a few types: each is compared once.
  const known = new Map<PointType, boolean>();
  const matches = (type: PointType): boolean => {
    let is = known.get(type);
    if (is === undefined) {
      is = fits(type) && (type.name.toLowerCase().includes(last) || labelText(type.name).toLowerCase().includes(wanted));
      known.set(type, is);
    }
    return is;
  };
  // What is called exactly so comes before what has it in its name.
  const closeness = (type: PointType): number => {
    const name = labelText(type.name).toLowerCase();
    return name === wanted || name === last || type.name.toLowerCase() === last ? 0 : name.startsWith(last) ? 1 : 2;
  };
  // A twin's points share its name: it is read and compared once.
  const places = new Map<number, string | null>();
  const placeOf = (ordinal: number): string | null => {
    let place = places.get(ordinal);
    if (place === undefined) {
      const id = mirror.twinAt(ordinal)?.id;
      place = id === undefined || !mirror.twins.has(id) ? null : `${id} ${mirror.nameOf(id)}`.toLowerCase();
      places.set(ordinal, place);
    }
    return place;
  };
  const found: number[] = [];
  for (let handle = 0; handle < Math.min(mirror.nPoints, LOOKED_AT) && found.length < most * LOOKED_BEYOND; handle++) {
    const type = mirror.pointType(handle);
    if (!matches(type)) continue;
    const place = placeOf(mirror.pointTwin[handle]!);
    if (place === null) continue;
    if (before.every((word) => place.includes(word) || type.name.toLowerCase().includes(word))) found.push(handle);
  }
  const near = new Map(found.map((handle) => [handle, closeness(mirror.pointType(handle))]));
  return found.sort((a, b) => near.get(a)! - near.get(b)! || a - b).slice(0, most);
}
