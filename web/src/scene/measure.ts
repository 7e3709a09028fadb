/** A distance between two places that somebody clicks; near a corner or an edge, exactly there. */

import { BufferAttribute, BufferGeometry, Group, LineBasicMaterial, LineSegments, Points, PointsMaterial, Vector3 } from "three";
import type { Box3, Color, PerspectiveCamera } from "three";
import { onCanvas } from "./canvas_places.ts";

/** So near to a corner, in CSS pixels, the pointer means it. */
const SNAP_PX = 14;
const NO_PLACE = new Vector3(NaN, NaN, NaN);

export interface MeasureMeans {
  canvas: HTMLCanvasElement;
  camera: PerspectiveCamera;
  /** Where a place of the window is in the scene, and the box of what is there; null: nothing is. */
  placeAt(clientX: number, clientY: number): { place: Vector3; box: Box3 | null } | null;
  /** Says a length as the page's language does. */
  say(metres: number): string;
}

export class Measure {
  readonly group = new Group();
  readonly #means: MeasureMeans;
  readonly #label = document.createElement("div");
  readonly #line = new LineSegments(new BufferGeometry(), new LineBasicMaterial({ depthTest: false, transparent: true, fog: false, toneMapped: false }));
  readonly #ends = new Points(new BufferGeometry(), new PointsMaterial({ size: 9, sizeAttenuation: false, depthTest: false, transparent: true, fog: false, toneMapped: false }));
  #isOn = false;
  #from: Vector3 | null = null;
  #to: Vector3 | null = null;
  /** Whether the second place was clicked, or only pointed at. */
  #isDone = false;

  constructor(root: HTMLElement, means: MeasureMeans) {
    this.#means = means;
    this.#label.className = "measure-label";
    this.#label.setAttribute("role", "status");
    this.#label.hidden = true;
    root.append(this.#label);
    for (const [object, n] of [[this.#line, 6], [this.#ends, 2]] as const) {
      object.geometry.setAttribute("position", new BufferAttribute(new Float32Array(n * 3), 3));
      object.frustumCulled = false;
      object.renderOrder = 9;
      this.group.add(object);
    }
    this.group.visible = false;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Begins to measure, or ends it and forgets what was measured. */
  set(isOn: boolean): void {
    this.#isOn = isOn;
    this.#from = this.#to = null;
    this.#isDone = false;
    this.#means.canvas.classList.toggle("measuring", isOn);
    this.#draw();
  }

  /** What was measured: metres in all and along the axes; null: nothing yet. */
  get result(): { distance_m: number; dx_m: number; dy_m: number; dz_m: number } | null {
    if (this.#from === null || this.#to === null) return null;
    const way = this.#to.clone().sub(this.#from);
    return { distance_m: way.length(), dx_m: way.x, dy_m: way.y, dz_m: way.z };
  }

  setColor(color: Color): void {
    this.#line.material.color.copy(color);
    this.#ends.material.color.copy(color);
  }

  /** The pointer is over a place: the line follows it until the second click. */
  point(clientX: number, clientY: number): void {
    if (!this.#isOn || this.#from === null || this.#isDone) return;
    this.#to = this.#snapped(clientX, clientY);
    this.#draw();
  }

  click(clientX: number, clientY: number): void {
    const place = this.#snapped(clientX, clientY);
    if (place === null) return;
    if (this.#from === null || this.#isDone) {
      [this.#from, this.#to, this.#isDone] = [place, null, false];
    } else [this.#to, this.#isDone] = [place, true];
    this.#draw();
  }

  #snapped(clientX: number, clientY: number): Vector3 | null {
    const { canvas, camera } = this.#means;
    const found = this.#means.placeAt(clientX, clientY);
    if (found === null || found.box === null) return found?.place ?? null;
    const rect = canvas.getBoundingClientRect();
    let best: Vector3 | null = null;
    let least = SNAP_PX;
    for (const corner of snapPlaces(found.box)) {
      const at = onCanvas(corner, canvas, camera);
      if (at === null) continue;
      const away = Math.hypot(at.x - (clientX - rect.left), at.y - (clientY - rect.top));
      if (away < least) [least, best] = [away, corner];
    }
    return best ?? found.place;
  }

  #draw(): void {
    const [from, to] = [this.#from, this.#to];
    this.group.visible = from !== null;
    if (from !== null) {
      const end = to ?? from;
      // The way itself, and the three ways along the axes that it is made of.
      const [a, b] = [new Vector3(end.x, from.y, from.z), new Vector3(end.x, from.y, end.z)];
      write(this.#line.geometry, [from, end, ...(to === null ? [from, from, from, from] : [a, b, b, end])]);
      write(this.#ends.geometry, [from, to ?? NO_PLACE]);
    }
    const result = this.result;
    this.#label.hidden = result === null;
    if (result !== null) {
      const { say } = this.#means;
      const text = `${say(result.distance_m)}\nx ${say(result.dx_m)} · y ${say(result.dy_m)} · z ${say(result.dz_m)}`;
      if (this.#label.textContent !== text) this.#label.textContent = text;
    }
    this.place();
  }

  /** The text goes with the middle of the way. */
  place(): void {
    if (this.#from === null || this.#to === null) return;
    const at = onCanvas(this.#from.clone().lerp(this.#to, 0.5), this.#means.canvas, this.#means.camera);
    this.#label.style.visibility = at === null ? "hidden" : "visible";
    if (at !== null) this.#label.style.transform = `translate(${at.x.toFixed(1)}px, ${(at.y - 8).toFixed(1)}px) translate(-50%, -100%)`;
  }
}

/** The corners of a box and the middles of its edges. */
export function snapPlaces({ min, max }: Box3): Vector3[] {
  const places: Vector3[] = [];
  const on = [(a: number): number => a, (a: number, b: number): number => (a + b) / 2, (_: number, b: number): number => b];
  for (const [i, x] of on.entries())
    for (const [j, y] of on.entries())
      for (const [k, z] of on.entries())
        if ([i, j, k].filter((each) => each === 1).length <= 1) places.push(new Vector3(x(min.x, max.x), y(min.y, max.y), z(min.z, max.z)));
  return places;
}

function write(geometry: BufferGeometry, places: readonly Vector3[]): void {
  const attribute = geometry.getAttribute("position") as BufferAttribute;
  places.forEach((place, i) => attribute.setXYZ(i, place.x, place.y, place.z));
  attribute.needsUpdate = true;
}
