/** Pointer and keys on the scene: hover, select, fly, switch. Moving the camera is the rig's. */

import type { Mirror } from "../mirror.ts";
import type { SceneApi } from "./api.ts";
import type { ViewSwitches } from "./view_switches.ts";

interface Reach {
  /** Ordinal of the twin at a place of the window; -1: none. */
  pick(clientX: number, clientY: number): number;
  /** Asks for a frame. */
  wake(): void;
  /** The tape measure of them takes clicks while it is out. */
  readonly switches: ViewSwitches;
}

export class Hands {
  readonly #canvas: HTMLCanvasElement;
  readonly #mirror: Mirror;
  readonly #scene: SceneApi;
  readonly #reach: Reach;
  #pointer: { x: number; y: number } | null = null;
  #pressed: { x: number; y: number } | null = null;

  constructor(canvas: HTMLCanvasElement, mirror: Mirror, scene: SceneApi, reach: Reach) {
    this.#canvas = canvas;
    this.#mirror = mirror;
    this.#scene = scene;
    this.#reach = reach;
    canvas.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch" || event.buttons !== 0) return;
      this.#pointer = { x: event.clientX, y: event.clientY };
      this.#reach.wake();
    });
    canvas.addEventListener("pointerleave", () => {
      this.#pointer = null;
      this.#mirror.hover(null);
    });
    canvas.addEventListener("pointerdown", (event) => {
      canvas.focus({ preventScroll: true });
      this.#pressed = event.isPrimary && event.button === 0 ? { x: event.clientX, y: event.clientY } : null;
    });
    canvas.addEventListener("pointerup", (event) => {
      const from = this.#pressed;
      this.#pressed = null;
      if (from === null || Math.hypot(event.clientX - from.x, event.clientY - from.y) > 6) return;
      if (this.#reach.switches.measure.isOn) {
        this.#reach.switches.measure.click(event.clientX, event.clientY);
        this.#reach.wake();
        return;
      }
      const ordinal = this.#reach.pick(event.clientX, event.clientY);
      this.#mirror.select(ordinal < 0 ? null : this.#mirror.twinAt(ordinal)?.id ?? null);
    });
    canvas.addEventListener("dblclick", (event) => {
      if (this.#reach.switches.measure.isOn) return;
      const ordinal = this.#reach.pick(event.clientX, event.clientY);
      const id = this.#mirror.twinAt(ordinal)?.id;
      if (id !== undefined) this.#scene.focus(id);
    });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("visibilitychange", () => this.#reach.wake());
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { selected } = this.#mirror;
    switch (event.key) {
      case "f":
      case "F":
      case "Enter":
        if (selected !== null) this.#scene.focus(selected);
        break;
      case "h":
      case "H":
      case "Home":
        this.#scene.home();
        break;
      case "1":
        this.#scene.setMode("orbit");
        break;
      case "2":
        this.#scene.setMode("walk");
        break;
      case "3":
        this.#scene.setMode(this.#scene.mode === "map" ? "orbit" : "map");
        break;
      case "l":
      case "L":
        this.#scene.setLabels(!this.#scene.labels);
        break;
      case "m":
      case "M":
        this.#reach.switches.setMeasuring(!this.#reach.switches.measure.isOn);
        break;
      case "x":
      case "X":
        this.#reach.switches.setXRay(!this.#reach.switches.xray.isOn);
        break;
      case "c":
      case "C":
        this.#reach.switches.toggleCut();
        break;
      case "Escape":
        if (this.#reach.switches.measure.isOn) this.#reach.switches.setMeasuring(false);
        else this.#mirror.select(null);
        break;
      case "PageDown":
      case "PageUp":
        this.#cycle(event.key === "PageDown" ? 1 : -1);
        break;
      default:
        return;
    }
    event.preventDefault();
  }

  /** Selects the next or the one before, in the order of the tree. */
  #cycle(step: number): void {
    const mirror = this.#mirror;
    const n = mirror.nOrdinals;
    let at = mirror.selected === null ? (step > 0 ? -1 : n) : mirror.ordinal(mirror.selected);
    for (let tries = 0; tries < n; tries++) {
      at = (at + step + n) % n;
      const twin = mirror.twinAt(at);
      if (twin === undefined) continue;
      mirror.select(twin.id);
      this.#scene.focus(twin.id);
      this.#canvas.setAttribute("aria-label", `3D scene of the plant; selected: ${mirror.nameOf(twin.id)}`);
      return;
    }
  }

  /** Looks what is under the pointer, once a frame at most. */
  hoverPointer(): void {
    if (this.#pointer === null) return;
    const { x, y } = this.#pointer;
    this.#pointer = null;
    this.#reach.switches.measure.point(x, y);
    const id = this.#mirror.twinAt(this.#reach.pick(x, y))?.id ?? null;
    this.#mirror.hover(id);
  }
}
