/**
 * Where the room that somebody really stands in lies in the world: place, turn and scale.
 *
 * Room metres are those of the headset, floor at 0; world metres those of the scene. At a scale of
 * 40 the visitor is a giant and the world a model on a table. Knows no hands and no panels.
 */

import { Group, MathUtils, PerspectiveCamera, Quaternion, Vector3 } from "three";

const UP = new Vector3(0, 1, 0);
const AHEAD = new Vector3(0, 0, -1);
/** From where one looks who sits, lifted to the height of who stands. */
const STANDING_EYES_M = 1.65;
/** Where there is no floor to be found, as high as most hold their heads. */
const WITHOUT_FLOOR_M = 1.6;

export class Rig {
  /** Carries everything that is in the room: eyes, hands, panels. */
  readonly room = new Group();
  readonly eyes = new PerspectiveCamera(80, 1, 0.05, 4000);
  /** World metres in one metre of the room. */
  scale = 1;
  yaw = 0;
  /** The head in the room, and in the world. */
  readonly headInRoom = new Vector3(0, STANDING_EYES_M, 0);
  readonly head = new Vector3();
  readonly headTurn = new Quaternion();
  /** Whether the headset has told where it is since the visit began. */
  hasHead = false;
  /** Height of the floor one stands on, in the world. */
  #floor_m = 0;
  #lift_m = 0;
  readonly #inverse = new Vector3();
  readonly #scratch = new Vector3();
  readonly #scratch2 = new Vector3();
  readonly #turned = new Quaternion();

  constructor() {
    this.room.add(this.eyes);
    this.room.matrixAutoUpdate = true;
  }

  /** Takes where the head is, from the matrix of a viewer's pose in the room. */
  takeHead(matrix: Float32Array): void {
    this.headInRoom.set(matrix[12]!, matrix[13]!, matrix[14]!);
    this.hasHead = true;
  }

  // --- room and world ----------------------------------------------------------------------------

  toWorld(inRoom: Vector3, out: Vector3): Vector3 {
    return out.copy(inRoom).multiplyScalar(this.scale).applyAxisAngle(UP, this.yaw).add(this.room.position);
  }

  toRoom(inWorld: Vector3, out: Vector3): Vector3 {
    return out.copy(inWorld).sub(this.room.position).applyAxisAngle(UP, -this.yaw).divideScalar(this.scale);
  }

  /** How something that is turned in the room is turned in the world; good until the next call. */
  turnToWorld(inRoom: Quaternion): Quaternion {
    return this.#turned.copy(this.room.quaternion).multiply(inRoom);
  }

  /** Whether one stands in the world at its own size. */
  get isLifeSize(): boolean {
    return this.scale === 1;
  }

  get floor_m(): number {
    return this.#floor_m;
  }

  /** Compass direction in which the head looks, in the world: turns round y, 0 is −z. */
  get headYaw(): number {
    const way = this.#scratch.copy(AHEAD).applyQuaternion(this.headTurn);
    return Math.atan2(-way.x, -way.z);
  }

  // --- moving ------------------------------------------------------------------------------------

  /** Stands with the head over a place, the floor at its height, at life size. */
  standAt(place: Vector3): void {
    this.scale = 1;
    this.#floor_m = place.y;
    this.#lay();
    this.toWorld(this.#inverse.set(this.headInRoom.x, 0, this.headInRoom.z), this.#scratch);
    this.room.position.x += place.x - this.#scratch.x;
    this.room.position.z += place.z - this.#scratch.z;
    this.#done();
  }

  /** Turns so that the head, as it is held now, looks along a compass direction. */
  face(yaw: number): void {
    this.turn(MathUtils.euclideanModulo(yaw - this.headYaw + Math.PI, 2 * Math.PI) - Math.PI);
  }

  /** Turns round the head. */
  turn(angle: number): void {
    const around = this.toWorld(this.headInRoom, this.#scratch2);
    this.room.position.sub(around).applyAxisAngle(UP, angle).add(around);
    this.yaw += angle;
    this.#done();
  }

  /** Moves by world metres on the floor. */
  move(x_m: number, z_m: number): void {
    this.room.position.x += x_m;
    this.room.position.z += z_m;
    this.#done();
  }

  /** Scale and turn such that a place of the room lies on a place of the world. */
  pin(inRoom: Vector3, inWorld: Vector3, scale: number, yaw: number): void {
    this.scale = scale;
    this.yaw = yaw;
    this.room.position.set(0, 0, 0);
    this.toWorld(inRoom, this.#scratch);
    this.room.position.copy(inWorld).sub(this.#scratch);
    this.#floor_m = this.room.position.y;
    this.#done();
  }

  /** Lifts who sits to the height of who stands; without a floor of the headset's own, everybody. */
  setSeat(isSeated: boolean, hasFloor: boolean): void {
    this.#lift_m = isSeated ? Math.max(0, STANDING_EYES_M - this.headInRoom.y) : hasFloor ? 0 : WITHOUT_FLOOR_M;
    if (!this.isLifeSize) return;
    this.#lay();
    this.#done();
  }

  #lay(): void {
    this.room.position.y = this.#floor_m + this.#lift_m * this.scale;
  }

  #done(): void {
    this.room.rotation.y = this.yaw;
    this.room.scale.setScalar(this.scale);
    this.room.updateMatrixWorld(true);
    this.toWorld(this.headInRoom, this.head);
  }

  /** What is seen from afar stays sharp: eyes have their own metres. */
  setReach(far_m: number): void {
    this.eyes.far = Math.max(far_m / this.scale, 20);
  }

  /**
   * Puts the page's camera where the eyes are, so that whatever goes by it (what is near, what is
   * named, who stands where) goes by who wears the headset.
   */
  carry(camera: PerspectiveCamera): void {
    this.eyes.matrixWorld.decompose(this.head, this.headTurn, this.#scratch);
    camera.position.copy(this.head);
    camera.quaternion.copy(this.headTurn);
    camera.fov = this.eyes.fov;
    camera.aspect = this.eyes.projectionMatrix.elements[5]! / this.eyes.projectionMatrix.elements[0]!;
    camera.projectionMatrix.copy(this.eyes.projectionMatrix);
    camera.projectionMatrixInverse.copy(this.eyes.projectionMatrixInverse);
    camera.updateMatrixWorld(true);
  }

  /** Where the head looks, flat, in the room: for what hangs before it. */
  aheadInRoom(out: Vector3): Vector3 {
    out.copy(AHEAD).applyQuaternion(this.headTurn).applyAxisAngle(UP, -this.yaw);
    out.y = 0;
    return out.lengthSq() < 1e-6 ? out.copy(AHEAD) : out.normalize();
  }
}
