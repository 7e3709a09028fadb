/** A turn around the world, drawn frame after frame: what it costs the page, for `bench scene`. */

import { ArrayCamera, PerspectiveCamera, Vector4 } from "three";
import type { WebGLRenderer } from "three";

export interface Trial {
  /** Milliseconds of each frame: the page's own work and three's, WebGL's calls included. */
  ms: number[];
  /** The most of any frame; of both eyes together, and their shadows. */
  draw_calls: number;
  triangles: number;
}

/** Half of the distance between the eyes. */
const HALF_M = 0.032;

/**
 * A camera of two eyes, as WebXR's is: what one eye or the other sees is in its frustum.
 *
 * @param like where it stands and how it looks
 */
export function twoEyes(like: PerspectiveCamera, renderer: WebGLRenderer): ArrayCamera {
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
