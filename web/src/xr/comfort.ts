/** How somebody likes to move and stand in a headset; kept on this machine, in and out of VR. */

import { remembered } from "../panels/context.ts";

export interface Comfort {
  /** The stick of the other hand walks, or all moving is by teleport. */
  move: "teleport" | "walk";
  turn: "snap" | "smooth";
  /** Darkens the edges of the view while one is moved. */
  hasVignette: boolean;
  /** Who sits sees from the height of who stands. */
  isSeated: boolean;
  /** The hand that points; the menu is on the other. */
  pointing: "left" | "right";
  /** Names over twins. */
  hasNames: boolean;
  /** Pictures a second that are asked for, where the headset lets one choose. */
  rate: "calm" | "fast";
}

const DEFAULTS: Comfort = {
  move: "teleport",
  turn: "snap",
  hasVignette: true,
  isSeated: false,
  pointing: "right",
  hasNames: true,
  rate: "calm",
};

const kept = remembered<Partial<Comfort>>("xr.comfort", {});
const listeners = new Set<() => void>();
let current: Comfort = { ...DEFAULTS, ...kept.get() };

/** What holds now. */
export function comfort(): Readonly<Comfort> {
  return current;
}

export function setComfort(change: Partial<Comfort>): void {
  current = { ...current, ...change };
  kept.set(current);
  for (const listener of listeners) listener();
}

/** Calls `listener` at each change, until the returned function is called. */
export function onComfort(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
