/** A turn around the world, drawn frame after frame: what it costs the page, for `bench scene`. */

import { ArrayCamera, PerspectiveCamera, Vector2, Vector3, Vector4 } from "three";
import type { Box3, Camera, WebGLRenderer } from "three";
import type { CameraRig } from "./camera.ts";
import { middleOf } from "./canvas_places.ts";
import type { Stage } from "./stage.ts";

export interface Trial {
  /** Milliseconds of each frame: the page's own work and three's, WebGL's calls included. */
  ms: number[];
  /** The most of any frame; of both eyes together, and their shadows. */
  draw_calls: number;
  triangles: number;
}

/** A scene that is tried: what is done for each of its frames. */
export interface Tried {
  stage: Stage;
  rig: CameraRig;
  /** Of all there is. */
  bounds: Box3;
  advance(dt_s: number, nowMs: number): void;
  /** Says what of the crowds a camera sees, for two eyes; `draw` does so itself. */
  choose(camera: Camera): void;
  /** One picture for one eye, and its labels. */
  draw(nowMs: number): void;
}

/** Half of the distance between the eyes. */
const HALF_M = 0.032;

/**
 * Draws `n` frames of a turn around all there is, and says what each cost. The camera stands where it
 * stood when that is done.
 *
 * @param isStereo for two eyes, as in a headset
 * @param near how far away, relative to where all is seen
 */
export function goRound({ stage, rig, bounds, ...tried }: Tried, n: number, isStereo: boolean, near: number): Trial {
  const middle = middleOf(bounds);
  const away = Math.max(bounds.getSize(new Vector3()).length(), 10) * near;
  const place = rig.camera.position.clone();
  const found: Trial = { ms: [], draw_calls: 0, triangles: 0 };
  for (let i = 0; i < n; i++) {
    const angle = (i / n) * 2 * Math.PI;
    const start = performance.now();
    rig.camera.position.set(middle.x + Math.cos(angle) * away, middle.y + away * 0.4, middle.z + Math.sin(angle) * away);
    rig.camera.lookAt(middle);
    rig.camera.updateMatrixWorld();
    tried.advance(1 / 60, start);
    stage.renderer.info.reset();
    if (isStereo) {
      const eyes = twoEyes(rig.camera, stage.renderer);
      tried.choose(eyes);
      stage.renderer.render(stage.scene, eyes);
    } else tried.draw(start);
    found.ms.push(performance.now() - start);
    found.draw_calls = Math.max(found.draw_calls, stage.renderer.info.render.calls);
    found.triangles = Math.max(found.triangles, stage.renderer.info.render.triangles);
  }
  rig.camera.position.copy(place);
  // The last eye's part of the canvas would be the next picture's.
  const { x, y } = stage.renderer.getSize(new Vector2());
  stage.renderer.setViewport(0, 0, x, y);
  return found;
}

/**
 * A camera of two eyes, as WebXR's is: what one eye or the other sees is in its frustum.
 *
 * @param like where it stands and how it looks
 */
function twoEyes(like: PerspectiveCamera, renderer: WebGLRenderer): ArrayCamera {
  const { width, height } = renderer.domElement;
  const eyes = [-HALF_M, HALF_M].map((x, i) => {
    const eye = new PerspectiveCamera(95, width / 2 / height, like.near, like.far) as PerspectiveCamera & { viewport: Vector4 };
    eye.viewport = new Vector4((i * width) / 2, 0, width / 2, height);
    eye.matrixWorld.copy(like.matrixWorld);
    eye.matrixWorld.elements[12]! += x * like.matrixWorld.elements[0]!;
    eye.matrixWorld.elements[13]! += x * like.matrixWorld.elements[1]!;
    eye.matrixWorld.elements[14]! += x * like.matrixWorld.elements[2]!;
    eye.matrixWorldInverse.copy(eye.matrixWorld).invert();
    return eye;
  });
  const both = new ArrayCamera(eyes);
  both.fov = 100;
  both.aspect = width / 2 / height;
  both.near = like.near;
  both.far = like.far;
  both.updateProjectionMatrix();
  both.matrixAutoUpdate = both.matrixWorldAutoUpdate = false;
  both.matrixWorld.copy(like.matrixWorld);
  both.matrixWorldInverse.copy(like.matrixWorld).invert();
  return both;
}
