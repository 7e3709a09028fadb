/**
 * Cuts taken hold of in the scene: on each a handle that a pointer or a finger drags along its axis,
 * and arrow keys move. It stands at the edge of the cut that is nearest to the eye, off the panels.
 */

import { MathUtils, Vector3 } from "three";
import type { PerspectiveCamera } from "three";
import { t } from "../words.ts";
import { onCanvas } from "./canvas_places.ts";
import { AXES, type Axis, type Cut, type Section } from "./section.ts";

/** So far from the edges of what is free a handle stays, in CSS pixels. */
const MARGIN_PX = 34;
/** Two handles are no closer than that, so that each can be taken hold of. */
const APART_PX = 44;
/** An axis that is seen nearly end on is dragged upwards in its place. */
const END_ON = 0.2;
const NAMES: Readonly<Record<Axis, string>> = { x: t("Across (x)"), y: t("Height (y)"), z: t("Along (z)") };
const AXIS: Readonly<Record<Axis, Vector3>> = { x: new Vector3(1, 0, 0), y: new Vector3(0, 1, 0), z: new Vector3(0, 0, 1) };

export interface CutMeans {
  canvas: HTMLCanvasElement;
  camera: PerspectiveCamera;
  section: Section;
  /** What one looks at. */
  target(): Vector3;
  /** What panels cover: left, right, top, bottom, in CSS pixels. */
  insets(): readonly [number, number, number, number];
  say(metres: number): string;
  set(axis: Axis, cut: Cut | null): void;
}

interface Handle {
  element: HTMLElement;
  value: HTMLElement;
  /** Where it stands on the cut. */
  at: Vector3;
  /** Where it is dragged to, also beyond the ends; null: it is not held. */
  held_m: number | null;
}

export class CutHandles {
  /** Beside the labels, not among them: these are hidden from screen readers. */
  readonly host = document.createElement("div");
  readonly #means: CutMeans;
  readonly #handles = new Map<Axis, Handle>();

  constructor(means: CutMeans) {
    this.#means = means;
    this.host.className = "cut-handles";
    for (const axis of AXES) this.#handles.set(axis, this.#make(axis));
  }

  #make(axis: Axis): Handle {
    const element = document.createElement("div");
    element.className = "cut-handle";
    element.hidden = true;
    element.tabIndex = 0;
    element.setAttribute("role", "slider");
    element.setAttribute("aria-label", t("Move the cut, {axis}", { axis: NAMES[axis] }));
    element.setAttribute("aria-orientation", axis === "y" ? "vertical" : "horizontal");
    element.title = t("Drag it, or use the arrow keys; Delete ends the cut.");
    const arrows = document.createElement("span");
    arrows.className = "cut-arrows";
    const value = document.createElement("span");
    value.className = "cut-value num";
    element.append(arrows, value);
    this.host.append(element);
    const handle: Handle = { element, value, at: new Vector3(), held_m: null };
    let last = { x: 0, y: 0 };
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || handle.held_m !== null) return;
      event.preventDefault();
      event.stopPropagation();
      element.focus({ preventScroll: true });
      element.setPointerCapture(event.pointerId);
      element.classList.add("held");
      handle.held_m = this.#means.section.metres(axis);
      last = { x: event.clientX, y: event.clientY };
    });
    element.addEventListener("pointermove", (event) => {
      if (handle.held_m === null) return;
      const way = this.#perMetre(axis, handle.at);
      handle.held_m += ((event.clientX - last.x) * way.x + (event.clientY - last.y) * way.y) / (way.x ** 2 + way.y ** 2);
      last = { x: event.clientX, y: event.clientY };
      this.#move(axis, handle.held_m);
    });
    const drop = (): void => {
      handle.held_m = null;
      element.classList.remove("held");
      this.update();
    };
    element.addEventListener("pointerup", drop);
    element.addEventListener("pointercancel", drop);
    element.addEventListener("keydown", (event) => this.#key(event, axis));
    return handle;
  }

  /** CSS pixels that a metre along an axis is long at a place, as it is seen. */
  #perMetre(axis: Axis, at: Vector3): { x: number; y: number } {
    const { canvas, camera } = this.#means;
    const away = Math.max(0.1, camera.getWorldPosition(new Vector3()).distanceTo(at));
    const across = canvas.clientHeight / (2 * away * Math.tan(MathUtils.degToRad(camera.fov) / 2));
    const short_m = 20 / across;
    const from = onCanvas(at, canvas, camera);
    const to = onCanvas(at.clone().addScaledVector(AXIS[axis], short_m), canvas, camera);
    const way = from === null || to === null ? { x: 0, y: 0 } : { x: (to.x - from.x) / short_m, y: (to.y - from.y) / short_m };
    return Math.hypot(way.x, way.y) < END_ON * across ? { x: 0, y: -across } : way;
  }

  #move(axis: Axis, metres: number): void {
    const { section } = this.#means;
    const { extent } = section;
    const cut = section.cut(axis);
    if (extent === null || cut === null) return;
    const at = MathUtils.clamp((metres - extent.min[axis]) / (extent.max[axis] - extent.min[axis]), 0, 1);
    this.#means.set(axis, { ...cut, at });
  }

  #key(event: KeyboardEvent, axis: Axis): void {
    const cut = this.#means.section.cut(axis);
    if (cut === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 0.001 : 0.01;
    const to = new Map<string, number>([
      ["ArrowUp", cut.at + step], ["ArrowRight", cut.at + step], ["PageUp", cut.at + 0.1], ["End", 1],
      ["ArrowDown", cut.at - step], ["ArrowLeft", cut.at - step], ["PageDown", cut.at - 0.1], ["Home", 0],
    ]).get(event.key);
    if (to !== undefined) this.#means.set(axis, { ...cut, at: MathUtils.clamp(to, 0, 1) });
    else if (event.key === "Delete") this.#means.set(axis, null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Puts the handles where their cuts are now. */
  update(): void {
    const { section, canvas, camera, say } = this.#means;
    const { extent } = section;
    const taken: { x: number; y: number }[] = [];
    // The one that is held first: the others make room for it.
    for (const [axis, handle] of [...this.#handles].sort(([, a], [, b]) => Number(b.held_m !== null) - Number(a.held_m !== null))) {
      const { element, value } = handle;
      const metres = section.metres(axis);
      element.hidden = !Number.isFinite(metres) || extent === null;
      if (element.hidden) {
        handle.held_m = null;
        continue;
      }
      // While it is held it stays on its line, wherever the nearest edge is by then.
      if (handle.held_m === null) handle.at.copy(this.#stand(axis, metres, taken));
      else handle.at[axis] = metres;
      const place = onCanvas(handle.at, canvas, camera);
      element.style.visibility = place === null ? "hidden" : "visible";
      if (place === null) continue;
      const [left, right, top, bottom] = this.#free();
      const x = MathUtils.clamp(place.x, left, Math.max(left, right));
      const y = MathUtils.clamp(place.y, top, Math.max(top, bottom));
      taken.push({ x, y });
      const way = this.#perMetre(axis, handle.at);
      element.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`;
      element.style.setProperty("--way", `${((Math.atan2(way.x, -way.y) * 180) / Math.PI).toFixed(1)}deg`);
      const text = say(metres);
      if (value.textContent === text) continue;
      value.textContent = text;
      element.setAttribute("aria-valuenow", metres.toFixed(3));
      element.setAttribute("aria-valuemin", extent!.min[axis].toFixed(3));
      element.setAttribute("aria-valuemax", extent!.max[axis].toFixed(3));
      element.setAttribute("aria-valuetext", text);
    }
  }

  /** What is free of panels, inside a margin: left, right, top, bottom. */
  #free(): [number, number, number, number] {
    const { canvas } = this.#means;
    const [left, right, top, bottom] = this.#means.insets();
    return [left + MARGIN_PX, canvas.clientWidth - right - MARGIN_PX, top + MARGIN_PX, canvas.clientHeight - bottom - MARGIN_PX];
  }

  /** The middle of the edge that is nearest to the eye, seen, and free of other handles; else what one looks at, on the cut. */
  #stand(axis: Axis, metres: number, taken: readonly { x: number; y: number }[]): Vector3 {
    const { section, canvas, camera, target } = this.#means;
    const { min, max } = section.extent!;
    const eye = camera.getWorldPosition(new Vector3());
    const [left, right, top, bottom] = this.#free();
    const middle = min.clone().add(max).multiplyScalar(0.5).setComponent(AXES.indexOf(axis), metres);
    let best: Vector3 | null = null;
    let least = Infinity;
    for (const other of AXES.filter((each) => each !== axis))
      for (const end of [min[other], max[other]]) {
        const edge = middle.clone().setComponent(AXES.indexOf(other), end);
        const seen = onCanvas(edge, canvas, camera);
        const away = edge.distanceTo(eye);
        if (seen === null || away >= least || seen.x < left || seen.x > right || seen.y < top || seen.y > bottom) continue;
        if (taken.some(({ x, y }) => Math.hypot(x - seen.x, y - seen.y) < APART_PX)) continue;
        [best, least] = [edge, away];
      }
    return best ?? target().clamp(min, max).setComponent(AXES.indexOf(axis), metres);
  }
}
