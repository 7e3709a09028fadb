/** What the rest of the page may ask of the scene. */

export type CameraMode = "orbit" | "walk";

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

export interface SceneApi {
  readonly mode: CameraMode;
  readonly labels: boolean;
  /** Flies to a twin. Selecting alone does not move the camera. */
  focus(id: string, options?: { fast?: boolean }): void;
  home(options?: { fast?: boolean }): void;
  setMode(mode: CameraMode): void;
  setLabels(on: boolean): void;
  /** A soft glow on twins, in place of the one before; none: cleared. */
  highlight(ids: Iterable<string>, kind?: "related" | "result"): void;
  /** A PNG of the scene, without the panels. */
  screenshot(): Promise<Blob>;
  stats(): SceneStats;
}
