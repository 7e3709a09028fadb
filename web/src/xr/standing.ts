/**
 * Where the visitor is set down: before what the page showed, before a twin, at a stop of a tour, beside
 * somebody. Always by one jump through black; the view is never moved otherwise.
 */

import { Quaternion, Vector3 } from "three";
import type { Id, Mirror } from "../mirror.ts";
import type { CameraPlace } from "../scene/api.ts";
import type { Body } from "../scene/layers.ts";
import type { WorldScene } from "../scene/scene.ts";
import { t } from "../words.ts";
import { floorUnder, placeBefore, placeBeside } from "./entering.ts";
import type { Meets } from "./entering.ts";
import type { Moving } from "./moving.ts";
import type { Rig } from "./rig.ts";

export class Standing {
  /** Somebody chose themselves where to stand: they follow nobody any longer. */
  onOwnWay: () => void = () => {};
  readonly #rig: Rig;
  readonly #moving: Moving;
  readonly #mirror: Mirror;
  readonly #scene: WorldScene;
  readonly #before: CameraPlace;
  /** In a real room the plant was set down somewhere, and the visitor stays where they are. */
  readonly #isRoom: boolean;
  readonly #tell: (words: string) => void;
  readonly #meets: Meets;

  constructor(rig: Rig, moving: Moving, mirror: Mirror, scene: WorldScene, isRoom: boolean, tell: (words: string) => void) {
    this.#rig = rig;
    this.#moving = moving;
    this.#mirror = mirror;
    this.#scene = scene;
    this.#before = scene.camera();
    this.#isRoom = isRoom;
    this.#tell = tell;
    this.#meets = (ray) => scene.hit(ray);
  }

  /** Before what was looked at on the page. */
  entry(): { place: Vector3; yaw: number } {
    const { position, target } = this.#before;
    const { selected } = this.#mirror;
    const box = selected === null ? null : this.#scene.boundsOf(selected) ?? null;
    return placeBefore(this.#meets, new Vector3(...position), new Vector3(...target), box);
  }

  home(): void {
    this.onOwnWay();
    const { place, yaw } = this.entry();
    this.#moving.stand(place, yaw);
  }

  /** Before a twin, at life size. */
  goTo(id: Id): void {
    const box = this.#scene.boundsOf(id);
    if (box === undefined) {
      this.#tell(t("{name} has no place of its own.", { name: this.#mirror.nameOf(id) }));
      return;
    }
    this.onOwnWay();
    this.#mirror.select(id);
    const { place, yaw } = placeBefore(this.#meets, this.#rig.head, box.getCenter(new Vector3()), box);
    this.#moving.stand(place, yaw);
  }

  /** Where a camera stands if a person could, else on the ground before what it looks at. */
  show({ position, target }: CameraPlace): void {
    if (this.#isRoom) return;
    const eye = new Vector3(...position);
    const at = new Vector3(...target);
    const floor_m = floorUnder(this.#meets, eye);
    if (Number.isNaN(floor_m)) {
      const { place, yaw } = placeBefore(this.#meets, eye, at, null);
      this.#moving.stand(place, yaw);
    } else this.#moving.stand(eye.setY(floor_m), Math.atan2(position[0] - target[0], position[2] - target[2]));
  }

  join({ head }: Body): void {
    if (this.#isRoom) {
      this.#tell(t("In a real room you stay where you are."));
      return;
    }
    const ahead = new Vector3(0, 0, -1).applyQuaternion(new Quaternion(...head.rotation));
    const { place, yaw } = placeBeside(this.#meets, new Vector3(...head.position), ahead);
    this.#moving.stand(place, yaw);
  }
}
