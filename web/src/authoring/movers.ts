/**
 * What others hold while they arrange the plant: its shape, see-through, where they hold it, with
 * their name. Of the moment: gone when they let go, leave, or say nothing for a while.
 */

import { Box3, Color, Group, Vector3 } from "three";
import type { PerspectiveCamera } from "three";
import type { Mirror } from "../mirror.ts";
import { h } from "../panels/dom.ts";
import { colourOf, hueOf } from "../people/colours.ts";
import type { Moves } from "../protocol.ts";
import { onCanvas } from "../scene/canvas_places.ts";
import { Ghosts } from "../scene/ghosts.ts";
import type { SceneLayer } from "../scene/layers.ts";
import type { DrawnScene } from "./frames.ts";
import { withParts } from "./moves.ts";

/** The server lets go of what is held without a word earlier than that. */
const LASTS_MS = 8_000;
const PARTS_MAX = 200;
/** So much of the way that is left is gone in this time. */
const SETTLE_S = 0.07;
const THERE_M = 0.002;

interface Mover {
  twins: readonly string[];
  /** Where they stood when they were taken up: once they stand elsewhere, the move is done. */
  poses: string;
  ghosts: Ghosts;
  top: Vector3;
  to: Vector3;
  label: HTMLElement;
  heard: number;
}

export class Movers implements SceneLayer {
  readonly object = new Group();
  readonly #mirror: Mirror;
  readonly #scene: DrawnScene;
  readonly #host = h("div", { class: "author-movers" });
  readonly #movers = new Map<number, Mover>();

  constructor(mirror: Mirror, scene: DrawnScene) {
    this.#mirror = mirror;
    this.#scene = scene;
    document.getElementById("labels")!.after(this.#host);
    window.setInterval(() => this.#forgetOld(), 1_000);
    mirror.on("structure", () => this.#forgetDone());
  }

  /** Who holds something: what, and how far from where it stands, in metres. */
  get held(): { by: string; twins: readonly string[]; dx_m: number; dz_m: number }[] {
    return [...this.#movers.values()].map(({ label, twins, to }) => ({ by: label.textContent ?? "", twins, dx_m: to.x, dz_m: to.z }));
  }

  take({ page, by, twins, dx_m, dz_m }: Moves): void {
    const known = this.#movers.get(page);
    if (known !== undefined && known.twins.join("\n") !== twins.join("\n")) this.#end(page);
    if (twins.length > 0) {
      const mover = this.#movers.get(page) ?? this.#begin(page, by, twins);
      mover.to.set(dx_m, 0, dz_m);
      mover.heard = performance.now();
    }
    this.#scene.invalidate();
  }

  /** The line is lost: who held what is not known. */
  clear(): void {
    for (const page of [...this.#movers.keys()]) this.#end(page);
  }

  update(dt_s: number, _nowMs: number, camera: PerspectiveCamera): boolean {
    let isMoving = false;
    const canvas = document.getElementById("scene") as HTMLCanvasElement;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (const { ghosts, to, top, label } of this.#movers.values()) {
      const at = ghosts.group.position;
      at.lerp(to, isCalm || at.distanceTo(to) < THERE_M ? 1 : 1 - Math.exp(-dt_s / SETTLE_S));
      isMoving ||= at.distanceTo(to) > 0;
      const place = onCanvas(top.clone().add(at), canvas, camera);
      label.style.visibility = place === null ? "hidden" : "visible";
      if (place !== null) label.style.transform = `translate(${place.x.toFixed(1)}px, ${place.y.toFixed(1)}px) translate(-50%, -100%)`;
    }
    return isMoving;
  }

  #begin(page: number, by: string, twins: readonly string[]): Mover {
    const ghosts = new Ghosts();
    const colour = colourOf(page);
    ghosts.setColour(new Color().setHSL(hueOf(page) / 360, 0.62, 0.5));
    const parts = [...new Set(twins.flatMap((id) => withParts(this.#mirror, id)))].slice(0, PARTS_MAX);
    ghosts.set(parts.map((id) => ({ shapes: this.#scene.shapesOf(id), difference: "place", way: null })));
    const box = new Box3();
    for (const id of twins) box.union(this.#scene.boundsOf(id) ?? new Box3());
    const label = h("span", { class: "author-mover" }, by);
    label.style.setProperty("--person", colour);
    this.#host.append(label);
    this.object.add(ghosts.group);
    const top = box.isEmpty() ? new Vector3() : box.getCenter(new Vector3()).setY(box.max.y);
    const mover = { twins, poses: this.#poses(twins), ghosts, top, to: new Vector3(), label, heard: 0 };
    this.#movers.set(page, mover);
    return mover;
  }

  #end(page: number): void {
    const mover = this.#movers.get(page);
    if (mover === undefined) return;
    mover.ghosts.clear();
    mover.ghosts.group.removeFromParent();
    mover.label.remove();
    this.#movers.delete(page);
    this.#scene.invalidate();
  }

  #poses(twins: readonly string[]): string {
    return JSON.stringify(twins.map((id) => this.#mirror.twins.get(id)?.pose ?? null));
  }

  #forgetDone(): void {
    for (const [page, { twins, poses }] of this.#movers) if (poses !== this.#poses(twins)) this.#end(page);
  }

  #forgetOld(): void {
    const since = performance.now() - LASTS_MS;
    for (const [page, { heard }] of this.#movers) if (heard < since) this.#end(page);
  }
}
