/** Putting a note on a part, and drawing on it: what the pointer does in the scene meanwhile. */

import { Matrix4, Vector3 } from "three";
import type { Object3D } from "three";
import type { Line2 } from "three/addons/lines/Line2.js";
import type { Id, Mirror } from "../mirror.ts";
import type { NoteRef } from "./book.ts";
import { type DrawnScene, frameOf, touched } from "./frames.ts";
import { strokeLine } from "./pins.ts";

const POINTS_MAX = 2_000;
const STEP_PX = 3;

export class Drawing {
  readonly #mirror: Mirror;
  readonly #scene: DrawnScene;
  readonly #layer: Object3D;
  readonly #canvas = document.getElementById("scene") as HTMLCanvasElement;
  #ending: AbortController | null = null;
  /** Told when a mode ends, however it does. */
  onEnd: () => void = () => {};

  /** `layer`: where the line goes that is being drawn. */
  constructor(mirror: Mirror, scene: DrawnScene, layer: Object3D) {
    this.#mirror = mirror;
    this.#scene = scene;
    this.#layer = layer;
  }

  get isOn(): boolean {
    return this.#ending !== null;
  }

  end(): void {
    if (this.#ending === null) return;
    this.#ending.abort();
    this.#ending = null;
    delete document.documentElement.dataset["authoring"];
    this.onEnd();
  }

  /** The next click on a part says where. */
  place(put: (id: Id, at: [number, number, number]) => void): void {
    const signal = this.#begin("place");
    this.#take("pointerdown", signal, (event) => {
      const found = touched(this.#mirror, this.#scene, this.#canvas, event);
      const frame = found === null ? null : frameOf(this.#mirror, this.#scene, found.id);
      if (found === null || frame === null) return;
      this.end();
      put(found.id, found.at.applyMatrix4(frame.invert()).toArray());
    });
  }

  /** Strokes on the part of a note, until it is ended. */
  draw(ref: NoteRef, colour: () => number, done: (points: number[]) => void): void {
    const signal = this.#begin("draw");
    let line: Line2 | null = null;
    let points: number[] = [];
    let last: [number, number] = [0, 0];
    const show = (): void => {
      line?.removeFromParent();
      line?.geometry.dispose();
      const frame = frameOf(this.#mirror, this.#scene, ref.twin);
      line = frame === null || points.length === 0 ? null : strokeLine(points, colour(), frame, ref.note.at);
      if (line !== null) this.#layer.add(line);
      this.#scene.invalidate();
    };
    const take = (event: PointerEvent): void => {
      const found = touched(this.#mirror, this.#scene, this.#canvas, event);
      const frame = frameOf(this.#mirror, this.#scene, ref.twin);
      if (found === null || frame === null || points.length >= 3 * POINTS_MAX) return;
      const [x = 0, y = 0, z = 0] = ref.note.at;
      const at = found.at.applyMatrix4(new Matrix4().copy(frame).invert()).sub(new Vector3(x, y, z)).multiplyScalar(1000);
      points.push(...at.toArray().map(Math.round));
      last = [event.clientX, event.clientY];
      show();
    };
    let isDown = false;
    this.#take("pointerdown", signal, (event) => {
      if (event.button !== 0) return;
      isDown = true;
      points = [];
      this.#canvas.setPointerCapture(event.pointerId);
      take(event);
    });
    this.#take("pointermove", signal, (event) => {
      if (isDown && Math.hypot(event.clientX - last[0], event.clientY - last[1]) >= STEP_PX) take(event);
    });
    const up = (): void => {
      if (isDown && points.length > 0) done(points);
      isDown = false;
      points = [];
      show();
    };
    this.#take("pointerup", signal, up);
    this.#take("pointercancel", signal, up);
    signal.addEventListener("abort", () => {
      points = [];
      show();
    });
  }

  #begin(mode: "place" | "draw"): AbortSignal {
    this.end();
    this.#ending = new AbortController();
    const { signal } = this.#ending;
    document.documentElement.dataset["authoring"] = mode;
    window.addEventListener(
      "keydown",
      (event) => {
        if (event.key !== "Escape") return;
        event.stopPropagation();
        event.preventDefault();
        this.end();
      },
      { signal, capture: true },
    );
    return signal;
  }

  /** Before the camera hears of it. */
  #take(name: "pointerdown" | "pointermove" | "pointerup" | "pointercancel", signal: AbortSignal, act: (event: PointerEvent) => void): void {
    window.addEventListener(
      name,
      (event) => {
        if (event.target !== this.#canvas || !event.isPrimary) return;
        event.stopPropagation();
        act(event);
      },
      { signal, capture: true },
    );
  }
}
