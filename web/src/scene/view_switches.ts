/**
 * How one looks into what stands there: cut open, as thin shells, with a tape measure laid along it.
 *
 * Knows what each switch asks of materials, shadows and shades, and has it done. Knows no twin but by
 * what a ray meets, and neither builds nor draws; what was built anew is told by `renew`.
 */

import { Plane, Vector3 } from "three";
import type { Box3, Object3D, Ray } from "three";
import { numberText } from "../format.ts";
import type { Mirror } from "../mirror.ts";
import type { CameraRig } from "./camera.ts";
import { rayAt } from "./canvas_places.ts";
import { CutHandles } from "./cut_handles.ts";
import type { Hit } from "./layers.ts";
import { Measure } from "./measure.ts";
import type { Palette } from "./palette.ts";
import { AXES, Section } from "./section.ts";
import type { Axis, Cut } from "./section.ts";
import type { Stage } from "./stage.ts";
import type { TwinStates } from "./twin_state.ts";
import { XRay } from "./xray.ts";

const FLOOR = new Plane(new Vector3(0, 1, 0), 0);

export interface ViewMeans {
  canvas: HTMLCanvasElement;
  labels: HTMLElement;
  mirror: Mirror;
  states: TwinStates;
  stage: Stage;
  rig: CameraRig;
  /** What panels cover: left, right, top, bottom, in CSS pixels. */
  insets(): readonly [number, number, number, number];
  /** What of the scene can be cut open and seen through. */
  roots(): readonly Object3D[];
  hit(ray: Ray): Hit;
  boundsOf(ordinal: number): Box3 | undefined;
  /** Asks for a picture. */
  wake(): void;
  /** What is seen is elsewhere now, as when the camera moves: labels and handles follow. */
  moved(): void;
  /** A switch was set. */
  changed(): void;
}

export class ViewSwitches {
  readonly section = new Section();
  readonly xray: XRay;
  readonly measure: Measure;
  readonly #handles: CutHandles;
  readonly #means: ViewMeans;

  constructor(means: ViewMeans) {
    this.#means = means;
    const { canvas, labels, rig, stage } = means;
    const say = (metres: number): string => `${numberText(metres, 2)} m`;
    this.xray = new XRay(means.mirror, means.states, stage.renderer.getContextAttributes()?.antialias === true);
    this.measure = new Measure(labels, { canvas, camera: rig.camera, placeAt: (x, y) => this.#placeAt(x, y), say });
    this.#handles = new CutHandles({
      canvas,
      camera: rig.camera,
      section: this.section,
      target: () => rig.target(),
      insets: () => means.insets(),
      say,
      set: (axis, cut) => this.setCut(axis, cut),
    });
    labels.after(this.#handles.host);
    stage.renderer.localClippingEnabled = true;
    stage.scene.add(this.section.group, this.measure.group);
  }

  /** Where the handles of cuts are; it goes where the canvas goes. */
  get host(): HTMLElement {
    return this.#handles.host;
  }

  /** Cuts the scene open along an axis; null: no longer. */
  setCut(axis: Axis, cut: Cut | null): void {
    // One key ends all cuts.
    if (cut === null && axis === "y" && this.section.cut("y") === null) for (const each of AXES) this.section.set(each, null);
    else if (cut !== null && this.section.cut(axis) !== null) {
      // Materials know of it already: only the plane moves.
      this.section.set(axis, cut);
      this.#means.stage.renderer.shadowMap.needsUpdate = true;
      this.#means.moved();
      this.#means.changed();
      return;
    } else this.section.set(axis, cut);
    this.#apply();
  }

  /** Moves a cut that there is, for as long as a hand moves it: nothing else is told. `setCut` ends it. */
  moveCut(axis: Axis, at: number): void {
    const cut = this.section.cut(axis);
    if (cut === null) return;
    this.section.set(axis, { ...cut, at });
    this.#means.moved();
  }

  toggleCut(): void {
    this.setCut("y", this.section.isOn ? null : { at: 0.6, isFlipped: false });
  }

  setXRay(isOn: boolean): void {
    this.xray.isOn = isOn;
    this.#apply();
  }

  setMeasuring(isOn: boolean): void {
    this.measure.set(isOn);
    this.#means.wake();
    this.#means.changed();
  }

  /** Something was built since: it is cut and seen through as all else is. */
  renew(): void {
    if (this.section.isOn || this.xray.isOn) this.#apply();
  }

  /** Shade from neighbours is wrong where one looks through them, and on colours that say a quantity. */
  shade(): void {
    this.#means.stage.hasOcclusion = !this.xray.isOn && !this.#means.states.isHeat;
  }

  /** Other things are selected: they are spared. */
  takeSelection(): void {
    if (this.xray.isOn) this.xray.update();
  }

  setTheme({ accent }: Palette): void {
    this.section.setColor(accent);
    this.measure.setColor(accent);
  }

  /** Puts texts and handles where they belong in this picture. */
  place(hasMoved: boolean): void {
    if (this.measure.isOn) this.measure.place();
    if (hasMoved) this.#handles.update();
  }

  /** Cuts and shells are a matter of materials: those that are new have to be told. */
  #apply(): void {
    const { stage } = this.#means;
    for (const root of this.#means.roots()) {
      this.section.apply(root);
      this.xray.apply(root);
    }
    this.xray.update();
    this.shade();
    stage.renderer.shadowMap.needsUpdate = true;
    this.#means.moved();
    this.#means.changed();
  }

  /** What is at a place of the window, for measuring: a twin's surface, else the floor. */
  #placeAt(clientX: number, clientY: number): { place: Vector3; box: Box3 | null } | null {
    const { canvas, rig, hit, boundsOf } = this.#means;
    const ray = rayAt(canvas, rig.camera, clientX, clientY);
    const { ordinal, distance_m } = hit(ray);
    if (ordinal >= 0) return { place: ray.at(distance_m, new Vector3()), box: boundsOf(ordinal) ?? null };
    const place = ray.intersectPlane(FLOOR, new Vector3());
    return place === null ? null : { place, box: null };
  }
}
