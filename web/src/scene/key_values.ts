/** The few values of a twin that its label shows: what state it is in, how fast, how full. */

import { Kind } from "../protocol.ts";
import type { Mirror } from "../mirror.ts";

export interface KeyValue {
  key: string;
  value: string;
  severity: 0 | 1 | 2;
}

const KEY_VALUES = 4;
const KEY_NAMES = [/state$|status$|mode$/i, /^speed$|rate$/i, /level|pressure|temperature/i, /power|current/i];

export function keyValues(mirror: Mirror, ordinal: number): KeyValue[] {
  const twin = mirror.twinAt(ordinal);
  if (twin === undefined) return [];
  const rank = (handle: number): number => {
    const type = mirror.pointType(handle);
    const kind = type.kind ?? Kind.FLOAT;
    if (kind >= Kind.ARRAY) return 9;
    const known = KEY_NAMES.findIndex((word) => word.test(type.name));
    if (known >= 0) return known * 0.1;
    return kind === Kind.ENUM ? 2 : kind === Kind.FLOAT ? 3 : kind === Kind.TEXT ? 5 : 4;
  };
  return [...mirror.handlesOf(twin.id)]
    .map((handle) => ({ handle, rank: rank(handle) }))
    .filter((point) => point.rank < 9)
    .sort((a, b) => a.rank - b.rank || a.handle - b.handle)
    .slice(0, KEY_VALUES)
    .map(({ handle }) => ({
      key: shortName(mirror.pointType(handle).name),
      value: `${mirror.format(handle)} ${mirror.unit(handle)}`.trim(),
      severity: mirror.severity(handle),
    }));
}

function shortName(name: string): string {
  const last = name.slice(name.lastIndexOf("/") + 1);
  const words = last.replace(/[_-]+/g, " ").replace(/([a-z\d])([A-Z])/g, "$1 $2");
  return words.charAt(0).toUpperCase() + words.slice(1).toLowerCase();
}
