/**
 * A second world beside the one that is shown: a branch beside the plant, or the plant beside a
 * branch. A line to the server of its own, while it is on; nothing at all while it is off.
 */

import { type Id, Mirror } from "../mirror.ts";
import type { SceneApi } from "../scene/api.ts";
import { type Counted, differences, Pairs } from "./differences.ts";

const EVERY_MS = 500;

export class GhostView {
  /** Which world is beside the one shown: a branch, null the plant; undefined: none. */
  of: Id | null | undefined = undefined;
  counted: Counted | null = null;
  /** Milliseconds that the last comparison took. */
  costMs = 0;
  readonly #mirror: Mirror;
  readonly #scene: SceneApi;
  readonly #onChange: () => void;
  #other: Mirror | null = null;
  #pairs: Pairs | null = null;
  #isStale = false;
  #timer = 0;
  #offs: (() => void)[] = [];

  constructor(mirror: Mirror, scene: SceneApi, onChange: () => void) {
    this.#mirror = mirror;
    this.#scene = scene;
    this.#onChange = onChange;
    // What is shown beside is not shown beside itself.
    mirror.on("branch", () => this.hide());
  }

  get isOn(): boolean {
    return this.of !== undefined;
  }

  show(of: Id | null): void {
    if (of === this.of || of === this.#mirror.branch) return;
    this.hide();
    this.of = of;
    const other = (this.#other = new Mirror(of));
    const renew = (): void => {
      this.#pairs = null;
      this.#isStale = true;
    };
    const stale = (): void => void (this.#isStale = true);
    for (const each of [this.#mirror, other])
      this.#offs.push(each.on("structure", renew), each.on("values", stale), each.on("time", stale));
    other.open();
    this.#timer = window.setInterval(() => this.#look(), EVERY_MS);
    this.#onChange();
  }

  hide(): void {
    if (!this.isOn) return;
    this.of = undefined;
    this.counted = null;
    window.clearInterval(this.#timer);
    for (const off of this.#offs.splice(0)) off();
    this.#other?.close();
    this.#other = this.#pairs = null;
    this.#scene.showOther(null);
    this.#onChange();
  }

  #look(): void {
    const other = this.#other;
    if (other === null || !this.#isStale || document.hidden || other.nTwins === 0 || this.#mirror.nTwins === 0) return;
    this.#isStale = false;
    const start = performance.now();
    // While one looks at the past, the other world stands for no moment of it.
    if (!this.#mirror.time.live) this.#scene.showOther(null);
    else {
      this.#pairs ??= new Pairs(this.#mirror, other);
      const found = differences(this.#mirror, other, this.#pairs, this.#mirror.branch !== null);
      this.counted = found.counted;
      this.#scene.showOther(found.twins, this.of === null ? "plant" : "branch");
    }
    this.costMs = performance.now() - start;
    this.#onChange();
  }
}
