/**
 * The page's own address: the one place that reads and changes it, and tells who follows it.
 *
 * What the page shows meanwhile (a selection, a moment, a place of the camera) goes into it by
 * `follow`, so that to load the page again, or to copy what stands in the browser's bar, leads here.
 */

import { read, within } from "./link.ts";
import type { Link } from "./link.ts";

/** `go`: somebody led somewhere else; `back`: the person went back or forth. */
export type Way = "go" | "back";

const listeners = new Set<(link: Link, way: Way) => void>();
let shown: () => Partial<Link> = () => ({});

export const address = {
  /** What it says now. */
  get link(): Link {
    return read(location.href).link;
  },

  /** Somewhere else: the way back leads here again. */
  go(change: Partial<Link>): void {
    address.update();
    const next = within(location.href, { ...address.link, ...change });
    if (next === location.href) return;
    history.pushState(null, "", next);
    tell("go");
  },

  /** Still here: the address says what has become of it, and what it is told beside. */
  update(change: Partial<Link> = {}): void {
    const next = within(location.href, { ...address.link, ...shown(), ...change });
    if (next !== location.href) history.replaceState(null, "", next);
  },

  /** What the page shows beside what the address was told of. */
  follow(view: () => Partial<Link>): void {
    shown = view;
  },

  /** Calls `listener` when it has become another: by `go`, or by the way back and forth. */
  on(listener: (link: Link, way: Way) => void): void {
    if (listeners.size === 0) window.addEventListener("popstate", () => tell("back"));
    listeners.add(listener);
  },
};

function tell(way: Way): void {
  for (const listener of listeners) listener(address.link, way);
}
