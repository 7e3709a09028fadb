/**
 * The plant as a model: laid on a table, taken by one hand or by two, and back to life size.
 *
 * It is the visitor who is scaled, not the world. Places are kept under the hands: what was taken
 * hold of stays there.
 */

import { Box3, CircleGeometry, CylinderGeometry, Group, Mesh, MeshBasicMaterial, MeshStandardMaterial, Vector3 } from "three";
import type { Hand } from "./input.ts";
import type { Rig } from "./rig.ts";

const TABLE_M = 0.78;
const MODEL_M = 1.15;
const AWAY_M = 0.95;
const SCALE_MIN = 2;
const SCALE_MAX = 3000;

export class Table {
  readonly tray = new Group();
  /** What one stands on beside the table, in the room. */
  readonly floor = new Mesh(
    new CircleGeometry(2.2, 64).rotateX(-Math.PI / 2),
    new MeshBasicMaterial({ color: 0x5b6c7b, transparent: true, opacity: 0.5, toneMapped: false, fog: false, depthWrite: false }),
  );
  readonly #rig: Rig;
  readonly #middle = new Vector3();
  #width_m = 10;
  /** What is held: places of the world under one hand, or under two. */
  #held: { a: Vector3; b: Vector3 | null; scale: number; yaw: number } | null = null;
  readonly #plate: Mesh<CylinderGeometry, MeshStandardMaterial>;
  readonly #foot: Mesh<CylinderGeometry, MeshStandardMaterial>;
  readonly #at = new Vector3();
  readonly #scratch = new Vector3();
  readonly #scratch2 = new Vector3();

  constructor(rig: Rig) {
    this.#rig = rig;
    const wood = new MeshStandardMaterial({ color: 0x39434d, roughness: 0.6, metalness: 0.1, fog: false });
    this.#plate = new Mesh(new CylinderGeometry(1, 0.985, 1, 72), wood);
    this.#foot = new Mesh(new CylinderGeometry(0.07, 0.2, 1, 32), wood);
    this.tray.add(this.#plate, this.#foot);
    this.tray.visible = this.floor.visible = false;
  }

  /** Learns how large the plant is, from where its twins are. */
  setWorld(boxes: Iterable<Box3 | undefined>): void {
    const bounds = new Box3();
    for (const box of boxes) if (box !== undefined) bounds.union(box);
    if (bounds.isEmpty()) return;
    bounds.getCenter(this.#middle);
    this.#middle.y = Math.max(0, bounds.min.y);
    this.#width_m = Math.max(Math.hypot(bounds.max.x - bounds.min.x, bounds.max.z - bounds.min.z), 1);
  }

  /** The scale at which the whole plant fits a table. */
  get scale(): number {
    return Math.min(Math.max(this.#width_m / MODEL_M, SCALE_MIN), SCALE_MAX);
  }

  get isHeld(): boolean {
    return this.#held !== null;
  }

  /** Lays the plant on a table before the visitor. */
  layBefore(hasFoot: boolean): void {
    const rig = this.#rig;
    const at = rig.aheadInRoom(this.#at).multiplyScalar(AWAY_M);
    at.x += rig.headInRoom.x;
    at.z += rig.headInRoom.z;
    // Who sits, or stands low, has the table before the chest, not before the eyes.
    at.y = Math.min(TABLE_M, rig.headInRoom.y - 0.5);
    this.layAt(at, hasFoot);
  }

  /** Lays the plant with its middle on a place of the room, as it is turned now. */
  layAt(inRoom: Vector3, hasFoot: boolean): void {
    this.#rig.pin(inRoom, this.#middle, this.scale, this.#rig.yaw);
    this.#show(inRoom, hasFoot);
  }

  /** Life size, the plant's middle on a place of the room: in a real hall. */
  standAt(inRoom: Vector3): void {
    this.#rig.pin(inRoom, this.#middle, 1, this.#rig.yaw);
    this.hide();
  }

  hide(): void {
    this.tray.visible = this.floor.visible = false;
    this.#held = null;
  }

  #show(inRoom: Vector3, hasFoot: boolean): void {
    const s = this.#rig.scale;
    this.tray.visible = true;
    this.tray.position.copy(this.#middle);
    this.#plate.scale.set(this.#width_m * 0.53, 0.024 * s, this.#width_m * 0.53);
    this.#plate.position.y = -0.0135 * s - 0.02;
    this.#foot.visible = this.floor.visible = hasFoot;
    this.floor.position.set(this.#rig.headInRoom.x, 0.001, this.#rig.headInRoom.z);
    const height = Math.max(inRoom.y - 0.024, 0.05) * s;
    this.#foot.scale.set(s, height, s);
    this.#foot.position.y = -0.024 * s - height / 2;
  }

  // --- hands on ------------------------------------------------------------------------------------

  /** Moves the model with the hands that hold it; null: that hand does not. */
  hold(first: Hand | null, second: Hand | null): void {
    const rig = this.#rig;
    if (first === null) {
      if (this.#held !== null) this.#foot.visible = false; // It is where somebody put it: in the air.
      this.#held = null;
      return;
    }
    const held = this.#held;
    if (held === null || (held.b === null) !== (second === null)) {
      this.#held = {
        a: rig.toWorld(first.palm, new Vector3()),
        b: second === null ? null : rig.toWorld(second.palm, new Vector3()),
        scale: rig.scale,
        yaw: rig.yaw,
      };
      return;
    }
    if (second === null || held.b === null) {
      rig.pin(first.palm, held.a, rig.scale, rig.yaw);
      return;
    }
    const inRoom = this.#scratch.subVectors(second.palm, first.palm);
    const inWorld = this.#scratch2.subVectors(held.b, held.a);
    const scale = Math.min(Math.max(inWorld.length() / Math.max(inRoom.length(), 0.02), SCALE_MIN), SCALE_MAX);
    const yaw = Math.atan2(inWorld.x, inWorld.z) - Math.atan2(inRoom.x, inRoom.z);
    // The middle between both hands stays the middle between both places.
    const middle = this.#at.addVectors(first.palm, second.palm).multiplyScalar(0.5);
    const place = this.#scratch.addVectors(held.a, held.b).multiplyScalar(0.5);
    rig.pin(middle, place, scale, yaw);
  }

  dispose(): void {
    this.#plate.geometry.dispose();
    this.#foot.geometry.dispose();
    this.#plate.material.dispose();
    this.floor.geometry.dispose();
    this.floor.material.dispose();
    this.tray.removeFromParent();
  }
}
