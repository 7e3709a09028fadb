/** From places on the canvas to rays in the scene, and back. */

import { Raycaster, Vector2, Vector3 } from "three";
import type { Box3, PerspectiveCamera, Ray } from "three";

/** The ray from the eye through a place of the window. */
export function rayAt(canvas: HTMLCanvasElement, camera: PerspectiveCamera, clientX: number, clientY: number): Ray {
  const rect = canvas.getBoundingClientRect();
  const at = new Vector2(((clientX - rect.left) / rect.width) * 2 - 1, 1 - ((clientY - rect.top) / rect.height) * 2);
  const caster = new Raycaster();
  camera.updateMatrixWorld();
  caster.setFromCamera(at, camera);
  return caster.ray;
}

/** Where a place of the scene is on the canvas, in CSS pixels; null: behind the eye. */
export function onCanvas(place: Vector3, canvas: HTMLCanvasElement, camera: PerspectiveCamera): { x: number; y: number } | null {
  const point = place.clone().project(camera);
  if (point.z > 1) return null;
  return { x: (point.x * 0.5 + 0.5) * canvas.clientWidth, y: (0.5 - point.y * 0.5) * canvas.clientHeight };
}

/** The middle of a box. */
export function middleOf(box: Box3): Vector3 {
  return box.getCenter(new Vector3());
}
