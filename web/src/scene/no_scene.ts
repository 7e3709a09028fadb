/** Stands in for the scene where the browser cannot draw one, and says so. */

import type { Mirror } from "../mirror.ts";
import { t } from "../words.ts";
import type { CameraMode, CameraPlace, SceneApi, SceneStats } from "./api.ts";
import { NO_HIT } from "./layers.ts";
import type { Body, Hit } from "./layers.ts";

export class NoScene implements SceneApi {
  readonly mode: CameraMode = "orbit";
  readonly labels = false;
  readonly wearer = null;
  readonly #notice: HTMLElement;

  constructor(canvas: HTMLCanvasElement, mirror: Mirror) {
    const notice = document.createElement("p");
    notice.className = "no-scene";
    notice.setAttribute("role", "status");
    notice.textContent = t(
      "This browser draws no 3D: WebGL 2 is missing or switched off. Switch on hardware acceleration, or use a current browser. Everything else on this page works.",
    );
    canvas.replaceWith(notice);
    this.#notice = notice;
    mirror.on("structure", () => (document.documentElement.dataset["ready"] = "true"));
  }

  place(host: HTMLElement | null): void {
    (host ?? document.body).prepend(this.#notice);
  }

  rest(isResting: boolean): void {
    this.#notice.hidden = isResting;
  }

  camera(): CameraPlace {
    return { position: [0, 1, 1], target: [0, 0, 0] };
  }

  setCamera(): void {}
  focus(): void {}
  home(): void {}
  setMode(): void {}
  onBroken(): void {}

  brokenLook(): string {
    return "";
  }

  setLabels(): void {}
  highlight(): void {}
  setHeat(): void {}
  setBadges(): void {}
  onHeat(): void {}
  showOther(): void {}
  onBuilt(): void {}
  invalidate(): void {}

  addLayer(): () => void {
    return () => {};
  }

  hit(): Hit {
    return NO_HIT;
  }

  body(): Body {
    return { head: { position: [0, 1.6, 1], rotation: [0, 0, 0, 1] }, left: null, right: null, pointer: null };
  }

  bodies(): Uint8Array {
    return new Uint8Array(0);
  }

  screenshot(): Promise<Blob> {
    return Promise.reject(new Error("this browser draws no 3D"));
  }

  stats(): SceneStats {
    return {
      draw_calls: 0,
      triangles: 0,
      js_ms: 0,
      draw_ms: 0,
      build_ms: 0,
      fps: 0,
      instances: 0,
      tags: 0,
      pixel_ratio: 0,
      quality: "none",
      frames: 0,
    };
  }
}
