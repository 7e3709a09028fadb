/**
 * Notes in the scene: a pin for each, drawn lines on their parts; pins that are close on the screen
 * become one with a number.
 *
 * Pins are buttons over the picture, so that they are reached by keyboard and read by screen readers.
 */

import { Group, Vector3 } from "three";
import type { PerspectiveCamera } from "three";
import { Line2 } from "three/addons/lines/Line2.js";
import { LineGeometry } from "three/addons/lines/LineGeometry.js";
import { LineMaterial } from "three/addons/lines/LineMaterial.js";
import type { Mirror } from "../mirror.ts";
import { h, setAttr, setText } from "../panels/dom.ts";
import { icon } from "../panels/icons.ts";
import type { SceneLayer } from "../scene/layers.ts";
import { t } from "../words.ts";
import type { Book, NoteRef } from "./book.ts";
import { type DrawnScene, frameOf } from "./frames.ts";

const CLOSE_PX = 30;
const PINS_MAX = 150;
const FAR_M = 400;
/** As the tokens of series name them; the first is for what must be seen. */
export const COLOURS = ["#f2726f", "#e3b341", "#5fc795", "#57c7f2", "#c79bf2", "#e9eef3"];

interface Placed {
  ref: NoteRef;
  at: Vector3;
}

export class Pins implements SceneLayer {
  readonly object = new Group();
  /** Where the line goes that is being drawn. */
  readonly pen = new Group();
  readonly #strokes = new Group();
  readonly #mirror: Mirror;
  readonly #scene: DrawnScene;
  readonly #book: Book;
  readonly #host = h("div", { class: "author-pins" });
  readonly #buttons: HTMLButtonElement[] = [];
  #placed: Placed[] = [];
  #isStale = true;
  #view = "";
  #chosen = "";
  #isHidden = false;
  onChoose: (refs: readonly NoteRef[]) => void = () => {};

  constructor(mirror: Mirror, scene: DrawnScene, book: Book) {
    this.#mirror = mirror;
    this.#scene = scene;
    this.#book = book;
    this.object.add(this.#strokes, this.pen);
    document.getElementById("labels")!.after(this.#host);
  }

  /** Something of the notes, or of where twins are, has changed. */
  refresh(): void {
    this.#isStale = true;
    this.#scene.invalidate();
  }

  set chosen(id: string) {
    this.#chosen = id;
    this.#view = "";
    this.#scene.invalidate();
  }

  set hidden(isHidden: boolean) {
    this.#isHidden = isHidden;
    this.object.visible = !isHidden;
    this.#host.hidden = isHidden;
    this.#scene.invalidate();
  }

  update(_dt_s: number, _nowMs: number, camera: PerspectiveCamera): boolean {
    if (this.#isStale) this.#place();
    this.#isStale = false;
    if (this.#isHidden) return false;
    const canvas = document.getElementById("scene")!.getBoundingClientRect();
    const view = [...camera.matrixWorld.elements.map((x) => x.toFixed(3)), camera.fov.toFixed(2), canvas.width, canvas.height].join();
    if (view === this.#view) return false;
    this.#view = view;
    this.#lay(camera, canvas);
    return false;
  }

  #place(): void {
    this.#view = "";
    this.#placed = [];
    for (const line of this.#strokes.children as Line2[]) line.geometry.dispose();
    this.#strokes.clear();
    for (const ref of this.#book.notes()) {
      const frame = frameOf(this.#mirror, this.#scene, ref.twin);
      if (frame === null) continue;
      const [x = 0, y = 0, z = 0] = ref.note.at;
      this.#placed.push({ ref, at: new Vector3(x, y, z).applyMatrix4(frame) });
      for (const stroke of Object.values(ref.note.strokes ?? {})) this.#strokes.add(strokeLine(stroke.points, stroke.colour, frame, ref.note.at));
    }
  }

  #lay(camera: PerspectiveCamera, canvas: DOMRect): void {
    const groups: { x: number; y: number; refs: NoteRef[] }[] = [];
    const eye = camera.getWorldPosition(new Vector3());
    for (const { ref, at } of this.#placed) {
      if (ref.note.is_done && ref.id !== this.#chosen) continue;
      const seen = at.clone().project(camera);
      if (seen.z > 1 || Math.abs(seen.x) > 1 || Math.abs(seen.y) > 1 || at.distanceTo(eye) > FAR_M) continue;
      const x = ((seen.x + 1) / 2) * canvas.width;
      const y = ((1 - seen.y) / 2) * canvas.height;
      const near = groups.find((group) => Math.abs(group.x - x) < CLOSE_PX && Math.abs(group.y - y) < CLOSE_PX);
      if (near !== undefined) near.refs.push(ref);
      else if (groups.length < PINS_MAX) groups.push({ x, y, refs: [ref] });
    }
    while (this.#buttons.length < groups.length) this.#addButton();
    for (const [i, button] of this.#buttons.entries()) {
      const group = groups[i];
      button.hidden = group === undefined;
      if (group === undefined) continue;
      const first = group.refs[0]!;
      button.style.transform = `translate(${group.x.toFixed(1)}px, ${group.y.toFixed(1)}px)`;
      const excerpt = first.note.text.split("\n")[0]!.slice(0, 80);
      const label = group.refs.length > 1 ? t("{n} notes", { n: group.refs.length }) : `${t("Note on {twin}", { twin: this.#mirror.nameOf(first.twin) })}: ${excerpt}`;
      setAttr(button, "aria-label", label);
      button.title = label;
      setText(button.lastElementChild!, group.refs.length > 1 ? String(group.refs.length) : "");
      button.classList.toggle("chosen", group.refs.some((ref) => ref.id === this.#chosen));
      button.onclick = () => this.onChoose(group.refs);
    }
  }

  #addButton(): void {
    const button = h("button", { class: "author-pin", attrs: { type: "button" } }, icon("note"), h("span", { class: "num" }));
    this.#buttons.push(button);
    this.#host.append(button);
  }
}

/** A line drawn on a part, in the scene. */
export function strokeLine(points: readonly number[], colour: number, frame: { elements: ArrayLike<number> }, at: readonly number[]): Line2 {
  const [x0 = 0, y0 = 0, z0 = 0] = at;
  const place: number[] = [];
  for (let i = 0; i + 2 < points.length; i += 3) place.push(x0 + points[i]! / 1000, y0 + points[i + 1]! / 1000, z0 + points[i + 2]! / 1000);
  if (place.length === 3) place.push(place[0]! + 0.004, place[1]!, place[2]!);
  const line = new Line2(new LineGeometry().setPositions(place), materialOf(colour));
  line.matrixAutoUpdate = false;
  line.matrix.fromArray(Array.from(frame.elements));
  line.renderOrder = 15;
  return line;
}

const materials = new Map<number, LineMaterial>();

function materialOf(colour: number): LineMaterial {
  let material = materials.get(colour);
  if (material === undefined) {
    material = new LineMaterial({ color: COLOURS[colour] ?? COLOURS[0], linewidth: 3.5, toneMapped: false, polygonOffset: true, polygonOffsetFactor: -4, polygonOffsetUnits: -4 });
    materials.set(colour, material);
  }
  return material;
}
