/**
 * Arranging the plant in the scene: the selected twins are dragged over the floor, moved by arrow
 * keys, turned, lined up, ended; new ones are put down. What is let go of is an edit of structure
 * with its author, and is taken back by them alone.
 */

import { Box3, Box3Helper, Color, Group, Line, LineBasicMaterial, BufferGeometry, Plane, Vector3 } from "three";
import type { Id, Mirror } from "../mirror.ts";
import { reasonOf } from "../panels/context.ts";
import { isTyping } from "../panels/dom.ts";
import type { Edit } from "../panels/edit.ts";
import type { Toasts } from "../panels/toasts.ts";
import type { Edited } from "../protocol.ts";
import { t } from "../words.ts";
import { type DrawnScene, rayAt } from "./frames.ts";
import { openLayoutHistory } from "./history.ts";
import { ended, moved, placed, turned } from "./moves.ts";
import { align, type Alignment, type Rect, snap } from "./snapping.ts";

const REACH_PX = 12;
const DRAG_PX = 4;
const NEIGHBOURS_MAX = 400;
const SETTLE_MS = 700;
const GUIDE_M = 200;

export class Arranging {
  readonly #mirror: Mirror;
  readonly #scene: DrawnScene;
  readonly #toasts: Toasts;
  readonly #canvas = document.getElementById("scene") as HTMLCanvasElement;
  readonly #layer = { object: new Group() };
  readonly #more = new Set<Id>();
  #ending: AbortController | null = null;
  #remove: (() => void) | null = null;
  #type: Id | null = null;
  #pending = { dx: 0, dz: 0 };
  #settling = 0;
  #isSaving = false;
  grid_m = 0.5;
  onChange: () => void = () => {};
  /** Told what is held, and how far from where it stands; nothing: it was let go. */
  onHold: (twins: readonly Id[], dx_m: number, dz_m: number) => void = () => {};

  constructor(mirror: Mirror, scene: DrawnScene, toasts: Toasts) {
    this.#mirror = mirror;
    this.#scene = scene;
    this.#toasts = toasts;
    mirror.on("selection", () => {
      if (this.isOn) this.#paint();
    });
    mirror.on("structure", () => {
      if (this.isOn && this.#settling === 0) this.#paint();
    });
  }

  get isOn(): boolean {
    return this.#ending !== null;
  }

  /** The twins that are arranged, the one that was selected first in front. */
  get chosen(): Id[] {
    const first = this.#mirror.selected;
    return [...(first === null ? [] : [first]), ...[...this.#more].filter((id) => id !== first && this.#mirror.twins.has(id))];
  }

  /** The type that the next click puts down; null: none. */
  get placing(): Id | null {
    return this.#type;
  }

  set placing(type: Id | null) {
    this.#type = type;
    this.#mark();
    this.onChange();
  }

  start(): void {
    if (this.isOn) return;
    this.#ending = new AbortController();
    const { signal } = this.#ending;
    this.#remove = this.#scene.addLayer(this.#layer);
    const options = { signal, capture: true };
    window.addEventListener("pointerdown", (event) => this.#press(event, signal), options);
    window.addEventListener("keydown", (event) => this.#key(event), options);
    this.#mark();
    this.#paint();
    this.onChange();
  }

  stop(): void {
    this.#settle();
    this.#ending?.abort();
    this.#ending = null;
    this.#remove?.();
    this.#type = null;
    this.#more.clear();
    delete document.documentElement.dataset["arranging"];
    this.#clear();
    this.onChange();
  }

  // --- what one can do -----------------------------------------------------------------------

  turn(degrees: number): void {
    void this.#save(turned(this.#mirror, this.#scene, this.chosen, degrees), t("turned in the scene"));
  }

  alignAll(how: Alignment): void {
    const ids = this.chosen.filter((id) => this.#rect(id) !== null);
    if (ids.length < 2) return;
    const by = align(ids.map((id) => this.#rect(id)!), how);
    void this.#save(moved(this.#mirror, this.#scene, ids, (id) => by[ids.indexOf(id)]!), t("lined up in the scene"));
  }

  end(): void {
    const edits = ended(this.#mirror, this.chosen);
    this.#more.clear();
    void this.#save(edits, t("deleted in the scene"));
  }

  /** Who arranged what; what is shown is selected, and what is taken back is told. */
  openHistory(): void {
    this.#settle();
    const show = (twins: readonly Id[]): void => {
      const [first, ...others] = twins;
      if (first === undefined) return;
      this.#more.clear();
      for (const id of others) this.#more.add(id);
      this.#mirror.select(first);
      this.#scene.focus(first);
      this.#paint();
      this.onChange();
    };
    openLayoutHistory(this.#mirror, show, () => this.#toasts.show({ tone: "plain", title: t("Taken back") }));
  }

  /** Takes the person's own latest edits back. */
  async undo(): Promise<void> {
    this.#settle();
    try {
      await this.#mirror.rest.post("undo", {});
      this.#toasts.show({ tone: "plain", title: t("Taken back") });
    } catch (error) {
      this.#toasts.show({ tone: "bad", title: t("Not taken back"), detail: reasonOf(error) });
    }
  }

  async #save(edits: Edit[], reason: string): Promise<void> {
    if (edits.length === 0) return;
    this.#isSaving = true;
    try {
      const { position } = await this.#mirror.rest.post<Edited>("edits", { edits, reason });
      const undo = (): void => void this.#mirror.rest.post("undo", {}, { position }).catch((error: unknown) => this.#toasts.show({ tone: "bad", title: t("Not taken back"), detail: reasonOf(error) }));
      this.#toasts.show({ tone: "good", title: t("Saved"), detail: reason, action: { label: t("Undo"), run: undo } });
    } catch (error) {
      this.#toasts.show({ tone: "bad", title: t("Not saved"), detail: reasonOf(error) });
    }
    this.#isSaving = false;
    this.onHold([], 0, 0); // until then others see it where it is to be
    this.#paint();
    this.onChange();
  }

  // --- the pointer ---------------------------------------------------------------------------

  #press(event: PointerEvent, signal: AbortSignal): void {
    if (event.target !== this.#canvas || event.button !== 0 || !event.isPrimary) return;
    const ray = rayAt(this.#scene, this.#canvas, event.clientX, event.clientY);
    if (this.#type !== null) {
      event.stopPropagation();
      this.#put(this.#type, event);
      return;
    }
    const hit = this.#scene.hit(ray);
    const id = hit.ordinal < 0 ? null : (this.#mirror.twinAt(hit.ordinal)?.id ?? null);
    if (id === null) return;
    if (event.shiftKey) {
      event.stopPropagation();
      if (!this.#more.delete(id)) this.#more.add(id);
      this.#paint();
      this.onChange();
      return;
    }
    if (!this.chosen.includes(id)) {
      this.#more.clear();
      return; // a click selects it; what is selected can be dragged
    }
    event.stopPropagation();
    this.#settle();
    this.#drag(event, ray.at(hit.distance_m, new Vector3()), signal);
  }

  #drag(down: PointerEvent, from: Vector3, signal: AbortSignal): void {
    const floor = new Plane(new Vector3(0, 1, 0), -from.y);
    const ids = this.chosen;
    const rect = this.#whole(ids);
    const neighbours = this.#neighbours(ids);
    const until = new AbortController();
    signal.addEventListener("abort", () => until.abort());
    let by = { dx: 0, dz: 0 };
    let hasMoved = false;
    this.#canvas.setPointerCapture(down.pointerId);
    const options = { signal: until.signal, capture: true };
    window.addEventListener(
      "pointermove",
      (event) => {
        event.stopPropagation();
        hasMoved ||= Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) > DRAG_PX;
        const at = rayAt(this.#scene, this.#canvas, event.clientX, event.clientY).intersectPlane(floor, new Vector3());
        if (!hasMoved || at === null || rect === null) return;
        const reach_m = (this.#scene.rig.camera.position.distanceTo(at) * REACH_PX) / this.#canvas.clientHeight;
        const snapped = snap(rect, at.x - from.x, at.z - from.z, event.altKey ? [] : neighbours, event.altKey ? 0 : this.grid_m, reach_m);
        by = snapped;
        this.onHold(ids, by.dx, by.dz);
        this.#paint(by, snapped.guides);
      },
      options,
    );
    const drop = (isDone: boolean) => (event: Event): void => {
      event.stopPropagation();
      until.abort();
      if (isDone && hasMoved && (by.dx !== 0 || by.dz !== 0)) void this.#save(moved(this.#mirror, this.#scene, ids, () => by), t("moved in the scene"));
      else {
        this.onHold([], 0, 0);
        this.#paint();
      }
    };
    window.addEventListener("pointerup", drop(true), options);
    window.addEventListener("pointercancel", drop(false), options);
    window.addEventListener("keydown", (event) => event.key === "Escape" && drop(false)(event), options);
  }

  #put(type: Id, event: PointerEvent): void {
    const ray = rayAt(this.#scene, this.#canvas, event.clientX, event.clientY);
    const hit = this.#scene.hit(ray);
    const at = Number.isFinite(hit.distance_m) ? ray.at(hit.distance_m, new Vector3()) : ray.intersectPlane(new Plane(new Vector3(0, 1, 0), 0), new Vector3());
    if (at === null) return;
    if (this.grid_m > 0) at.set(Math.round(at.x / this.grid_m) * this.grid_m, at.y, Math.round(at.z / this.grid_m) * this.grid_m);
    const { id, edits } = placed(this.#mirror, type, at, this.#mirror.selected);
    this.placing = null;
    const stop = this.#mirror.on("structure", () => {
      if (!this.#mirror.twins.has(id)) return;
      stop();
      this.#mirror.select(id);
    });
    void this.#save(edits, t("placed in the scene"));
  }

  // --- the keyboard --------------------------------------------------------------------------

  #key(event: KeyboardEvent): void {
    if (isTyping(event) || document.querySelector("dialog[open]")) return;
    const isCommand = event.ctrlKey || event.metaKey;
    const step = (event.shiftKey ? 0.1 : 1) * (this.grid_m || 0.5);
    const acts: Record<string, () => void> = isCommand
      ? { z: () => void this.undo() }
      : {
          ArrowLeft: () => this.#nudge(-step, 0),
          ArrowRight: () => this.#nudge(step, 0),
          ArrowUp: () => this.#nudge(0, -step),
          ArrowDown: () => this.#nudge(0, step),
          r: () => this.turn(15),
          R: () => this.turn(-15),
          Delete: () => this.end(),
          Escape: () => (this.#type !== null ? (this.placing = null) : this.stop()),
          Enter: () => this.#settle(),
        };
    const act = acts[event.key];
    const isOnControl = event.target instanceof HTMLElement && event.target.closest("[role=tree], [role=slider], select, [role=tablist]") !== null;
    if (act === undefined || event.altKey || isOnControl || (event.key === "Enter" && this.#settling === 0)) return;
    if (event.key !== "Escape" && !isCommand && this.chosen.length === 0) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  /** Several presses of an arrow are one move. */
  #nudge(dx: number, dz: number): void {
    this.#pending.dx += dx;
    this.#pending.dz += dz;
    this.onHold(this.chosen, this.#pending.dx, this.#pending.dz);
    this.#paint(this.#pending);
    window.clearTimeout(this.#settling);
    this.#settling = window.setTimeout(() => this.#settle(), SETTLE_MS);
  }

  #settle(): void {
    window.clearTimeout(this.#settling);
    this.#settling = 0;
    const by = this.#pending;
    this.#pending = { dx: 0, dz: 0 };
    if (by.dx !== 0 || by.dz !== 0) void this.#save(moved(this.#mirror, this.#scene, this.chosen, () => by), t("moved in the scene"));
    else this.onHold([], 0, 0);
  }

  // --- what is shown -------------------------------------------------------------------------

  #mark(): void {
    document.documentElement.dataset["arranging"] = this.#type === null ? "move" : "place";
  }

  #rect(id: Id): Rect | null {
    const box = this.#scene.boundsOf(id);
    return box === undefined || box.isEmpty() ? null : { x0: box.min.x, z0: box.min.z, x1: box.max.x, z1: box.max.z };
  }

  #whole(ids: readonly Id[]): Rect | null {
    const box = new Box3();
    for (const id of ids) box.union(this.#scene.boundsOf(id) ?? new Box3());
    return box.isEmpty() ? null : { x0: box.min.x, z0: box.min.z, x1: box.max.x, z1: box.max.z };
  }

  /** What one can line up with: what is part of the same whole, and that. */
  #neighbours(ids: readonly Id[]): Rect[] {
    const first = ids[0];
    if (first === undefined) return [];
    const whole = this.#mirror.parent(first);
    const beside = whole === undefined ? this.#mirror.roots() : [whole, ...this.#mirror.children(whole)];
    return beside
      .filter((id) => !ids.includes(id))
      .slice(0, NEIGHBOURS_MAX)
      .map((id) => this.#rect(id))
      .filter((rect): rect is Rect => rect !== null);
  }

  #clear(): void {
    for (const each of this.#layer.object.children as (Line | Box3Helper)[]) {
      each.geometry.dispose();
    }
    this.#layer.object.clear();
    this.#scene.invalidate();
  }

  /** Frames round what is chosen, where it would be. */
  #paint(by: { dx: number; dz: number } = { dx: 0, dz: 0 }, guides: readonly { axis: "x" | "z"; at: number }[] = []): void {
    this.#clear();
    if (this.#isSaving) return;
    const accent = new Color(getComputedStyle(document.documentElement).getPropertyValue("--accent").trim() || "#57c7f2");
    let floor = 0;
    for (const id of this.chosen) {
      const box = this.#scene.boundsOf(id)?.clone();
      if (box === undefined || box.isEmpty()) continue;
      floor = box.min.y + 0.02;
      box.translate(new Vector3(by.dx, 0, by.dz));
      this.#layer.object.add(new Box3Helper(box.expandByScalar(0.02), accent));
    }
    for (const { axis, at } of guides) {
      const ends = axis === "x" ? [new Vector3(at, floor, -GUIDE_M), new Vector3(at, floor, GUIDE_M)] : [new Vector3(-GUIDE_M, floor, at), new Vector3(GUIDE_M, floor, at)];
      this.#layer.object.add(new Line(new BufferGeometry().setFromPoints(ends), new LineBasicMaterial({ color: accent, transparent: true, opacity: 0.7 })));
    }
    this.#scene.invalidate();
  }
}
