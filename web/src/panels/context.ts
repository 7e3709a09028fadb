// What panels share: the mirror, the scene, one clock, and ways to bring each other forward.

import type { Id, Mirror } from "../mirror.ts";
import type { SceneApi } from "../scene/api.ts";
import type { Around } from "./around.ts";
import type { Pulse } from "./pulse.ts";
import type { SeriesStore } from "./series.ts";
import { setText } from "./dom.ts";

/** Parts of the page that can be brought forward. */
export type View = "tree" | "branches" | "inspector" | "trends" | "alarms" | "commands";

/** A message that shows itself for a while. */
export interface Toast {
  tone: "plain" | "good" | "uncertain" | "bad" | "sev-0" | "sev-1" | "sev-2" | "sev-3";
  title: string;
  detail?: string;
  action?: { label: string; run(): void };
  /** Stays until closed. */
  isSticky?: boolean;
}

export interface Context {
  readonly mirror: Mirror;
  readonly scene: SceneApi;
  readonly pulse: Pulse;
  readonly series: SeriesStore;
  /** Opens a panel, or the sheet of it on a phone. */
  show(view: View): void;
  /** The panel that lies open beside what always does; null: none. */
  readonly opened: View | null;
  toast(toast: Toast): void;
  /** Selects a twin, shows it in the inspector and, if asked, flies there. */
  goTo(id: Id, fly?: boolean): void;
  readonly trends: Trended;
  /** What is around and could be mirrored. */
  readonly around: Around;
  /** Opens the dialog that adds sources, with the form of a discovered thing if one is named. */
  openSources(key?: string): void;
  openHelp(): void;
  /** Boards, as other panels see them. */
  readonly boards: { addPoint(handle: number): void };
  /** Visual rules: which of them colour the scene, and others in their place; `show` says why not. */
  readonly looks: { readonly shown: string | null; show(name: string | null): string[] };
}

/** Which points are in the trend, as other panels see it. */
export interface Trended {
  has(handle: number): boolean;
  toggle(handle: number): void;
  add(handle: number): void;
  on(listener: () => void): void;
}

/** What a point is while it is dragged from one panel to another: its handle. */
export const POINT_DRAG = "text/x-point";

/** The server's own words for what went wrong, for a person. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error && error.message) return error.message;
  return String(error);
}

/** Does what may fail, and says on a line of the dialog why it did: null then. */
export function triedOn(error: HTMLElement): <T>(what: () => Promise<T>) => Promise<T | null> {
  return async (what) => {
    try {
      error.hidden = true;
      return await what();
    } catch (failure) {
      error.hidden = false;
      setText(error, reasonOf(failure));
      return null;
    }
  };
}

/** Something remembered on this machine for this world; without storage it lasts as long as the page. */
export function remembered<T>(key: string, fallback: T): { get(): T; set(value: T): void } {
  const name = `mirrorworld.${key}`;
  let current = fallback;
  try {
    const stored = localStorage.getItem(name);
    if (stored !== null) current = JSON.parse(stored) as T;
  } catch {
    // Unreadable or forbidden: the fallback holds.
  }
  return {
    get: () => current,
    set: (value: T) => {
      current = value;
      try {
        localStorage.setItem(name, JSON.stringify(value));
      } catch {
        // Forbidden: remembered for this page only.
      }
    },
  };
}
