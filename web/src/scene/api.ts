/** What the rest of the page may ask of the scene. */

import type { Ray } from "three";
import type { Body, Hit, SceneLayer } from "./layers.ts";
import type { OtherTwin } from "./other.ts";

/** "map": from straight above, north up, hardly any perspective. */
export type CameraMode = "orbit" | "walk" | "map";

export interface SceneStats {
  /** Of the last frame, shadows and outline included. */
  draw_calls: number;
  triangles: number;
  /** Milliseconds of the page's own work per frame, values taken in included: a running mean. */
  js_ms: number;
  /** Milliseconds that handing the frame to WebGL took; software GL waits in here. */
  draw_ms: number;
  /** Milliseconds that the last building of the scene from structure took. */
  build_ms: number;
  fps: number;
  /** Twins drawn by instancing. */
  instances: number;
  /** Points drawn as live bars. */
  tags: number;
  pixel_ratio: number;
  quality: string;
  frames: number;
}

/** Where one stands and what one looks at, in metres, y upwards. */
export interface CameraPlace {
  position: [number, number, number];
  target: [number, number, number];
}

/** Somebody in a headset: where they are, and how they are taken elsewhere, by jumps alone. */
export interface Wearer {
  /** Head, hands and pointer, in the scene's metres; good until the next picture. */
  body(): Body;
  /** Is set down where a camera stands, or where what it looks at is seen from the ground. */
  show(place: CameraPlace): void;
  goTo(id: string): void;
  /** Is set down beside somebody, looking the way they look. */
  join(body: Body): void;
}

export interface Badge {
  text: string;
  colour: string;
}

export interface SceneApi {
  readonly mode: CameraMode;
  readonly labels: boolean;
  /** Who wears a headset; null: nobody does, and cameras are free to move. */
  readonly wearer: Wearer | null;
  /** Flies to a twin. Selecting alone does not move the camera. */
  focus(id: string, options?: { fast?: boolean }): void;
  home(options?: { fast?: boolean }): void;
  /** Why what a twin looks like cannot be drawn, so that a plain body stands for it; "": it can. */
  brokenLook(id: string): string;
  /** Tells once of each geometry that cannot be drawn. */
  onBroken(listener: (geometry: string, reason: string) => void): void;
  setMode(mode: CameraMode): void;
  setLabels(on: boolean): void;
  /** A soft glow on twins, in place of the one before; none: cleared. */
  highlight(ids: Iterable<string>, kind?: "related" | "result"): void;
  /** Colours twins by the byte of each ordinal: 0 nothing is known, else 1…255; null: as they are.
   * `colours` are 256 times RGBA in place of the scale of heat. */
  setHeat(levels: Uint8Array | null, owner?: string, colours?: Uint8Array): void;
  /** A word on the name of twins, by ordinal, in a CSS colour; null: none. */
  setBadges(badges: ReadonlyMap<number, Badge> | null): void;
  /** Tells who colours the scene from now on: whoever did so before has to close. */
  onHeat(listener: (owner: string) => void): void;
  /** Shows what is otherwise in another world beside this one; null: nothing of it. */
  showOther(twins: readonly OtherTwin[] | null, of?: "branch" | "plant"): void;
  /** By ordinal: 1 where a twin has a body of its own to be coloured, 2 where other bodies stand on
   * it, as on a quarter: values of its parts are shown by them. Ground has none. */
  bodies(): Uint8Array;
  /** Tells when what stands in the scene was built anew. */
  onBuilt(listener: () => void): void;
  /** A PNG of the scene, without the panels. */
  screenshot(): Promise<Blob>;
  /** Draws what another room brings, until the function that comes back is called. */
  addLayer(layer: SceneLayer): () => void;
  /** The twin that a ray meets first, and where. */
  hit(ray: Ray): Hit;
  /** What others may see of who looks at the scene: in a headset head and hands, else the camera. */
  body(): Body;
  /** Asks for a picture soon: something of a layer has changed. */
  invalidate(): void;
  stats(): SceneStats;
  /** Draws in `host` from now on; null: behind the whole page again. */
  place(host: HTMLElement | null): void;
  /** Draws nothing and follows no values while it is out of sight. */
  rest(isResting: boolean): void;
  camera(): CameraPlace;
  /** Goes to a place: at once unless flown, and in the mode that is named, else round about. Who wears
   * a headset is set down there. */
  setCamera(place: CameraPlace, options?: { mode?: CameraMode; isFlown?: boolean }): void;
}
