/** Where a note is: from a twin's own frame to the scene's and back, so that it follows the part. */

import { Matrix4, PerspectiveCamera, Raycaster, Vector2, Vector3 } from "three";
import type { Box3, Ray } from "three";
import type { Id, Mirror } from "../mirror.ts";
import { poseMatrix } from "../scene/build.ts";
import type { SceneApi } from "../scene/api.ts";
import type { Shape } from "../scene/outline.ts";

/** A scene that is drawn, and what is drawn of it where. */
export interface DrawnScene extends SceneApi {
  boundsOf(id: Id): Box3 | undefined;
  shapesOf(id: Id): Shape[];
  readonly rig: { readonly camera: PerspectiveCamera };
}

/** The scene if it is drawn; null where the browser draws no 3D. */
export function drawn(scene: SceneApi): DrawnScene | null {
  return "boundsOf" in scene && "rig" in scene ? (scene as DrawnScene) : null;
}

/** scene_from_twin: the pose of a twin that has one, else where it was put, turned as the scene. */
export function frameOf(mirror: Mirror, scene: DrawnScene, id: Id): Matrix4 | null {
  const twin = mirror.twins.get(id);
  if (twin === undefined) return null;
  const pose = poseMatrix(twin);
  if (pose !== null) return pose;
  const box = scene.boundsOf(id);
  if (box !== undefined && !box.isEmpty()) {
    const middle = box.getCenter(new Vector3());
    return new Matrix4().makeTranslation(middle.x, box.min.y, middle.z);
  }
  const whole = mirror.parent(id);
  return whole === undefined ? null : frameOf(mirror, scene, whole);
}

/** A place above a twin's body, in its own frame: where a note goes that was not put anywhere. */
export function above(mirror: Mirror, scene: DrawnScene | null, id: Id): [number, number, number] {
  const frame = scene === null ? null : frameOf(mirror, scene, id);
  const box = scene?.boundsOf(id);
  if (frame === null || box === undefined) return [0, 1, 0];
  const middle = box.getCenter(new Vector3()).setY(box.max.y);
  return middle.applyMatrix4(frame.invert()).toArray();
}

const caster = new Raycaster();

/** The ray from the eye through a place of the window. */
export function rayAt(scene: DrawnScene, canvas: HTMLElement, clientX: number, clientY: number): Ray {
  const box = canvas.getBoundingClientRect();
  const at = new Vector2(((clientX - box.left) / box.width) * 2 - 1, 1 - ((clientY - box.top) / box.height) * 2);
  caster.setFromCamera(at, scene.rig.camera);
  return caster.ray;
}

/** What is at a place of the window: a twin, and where on it; null: nothing. */
export function touched(mirror: Mirror, scene: DrawnScene, canvas: HTMLElement, event: PointerEvent): { id: Id; at: Vector3 } | null {
  const ray = rayAt(scene, canvas, event.clientX, event.clientY);
  const hit = scene.hit(ray);
  const twin = hit.ordinal < 0 ? undefined : mirror.twinAt(hit.ordinal);
  if (twin === undefined) return null;
  // A little before the surface, so that what is drawn there is seen.
  return { id: twin.id, at: ray.at(Math.max(0, hit.distance_m - 0.012), new Vector3()) };
}
