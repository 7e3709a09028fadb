/** Setting the plant down in a real room: where a ray meets what is really there, and staying put. */

import { DoubleSide, Mesh, MeshBasicMaterial, RingGeometry, Vector3 } from "three";
import type { Hand } from "./input.ts";
import type { Rig } from "./rig.ts";

/** Beyond what the eyes reach: until it is set down, the plant is not there. */
const OUT_OF_SIGHT = new Vector3(0, 1e5, 0);
const STRAYED_M = 0.001;

export class Placing {
  /** A place is being looked for. */
  isOpen = true;
  readonly ring: Mesh<RingGeometry, MeshBasicMaterial>;
  /** Where it would be, in the room. */
  readonly at = new Vector3();
  hasPlace = false;
  readonly #session: XRSession;
  readonly #rig: Rig;
  #source: XRHitTestSource | null = null;
  #isAsked = false;
  #askedFor: XRInputSource | null = null;
  #hit: XRHitTestResult | null = null;
  #anchor: XRAnchor | null = null;
  readonly #anchored = new Vector3();
  readonly #scratch = new Vector3();
  readonly #scratch2 = new Vector3();

  constructor(session: XRSession, rig: Rig) {
    this.#session = session;
    this.#rig = rig;
    this.ring = new Mesh(
      new RingGeometry(0.11, 0.14, 48).rotateX(-Math.PI / 2),
      new MeshBasicMaterial({ color: 0x57c7f2, transparent: true, opacity: 0.9, side: DoubleSide, toneMapped: false, fog: false }),
    );
    this.ring.visible = false;
  }

  /** Looks for a place, and takes the plant out of sight until there is one. */
  open(): void {
    this.isOpen = true;
    this.#drop();
    this.#rig.pin(this.#scratch.set(0, 0, 0), OUT_OF_SIGHT, 1, this.#rig.yaw);
  }

  /** It was set down here. */
  close(): void {
    this.isOpen = false;
    this.ring.visible = false;
    this.#anchored.copy(this.at);
    // Where the headset can hold on to the place, the plant stays there though the room is understood better.
    void this.#hit?.createAnchor?.()?.then((anchor) => (this.#anchor = anchor ?? null), () => {});
  }

  /** Somebody moved it by hand: it is not held where it was. */
  release(): void {
    this.#drop();
  }

  #drop(): void {
    this.#anchor?.delete();
    this.#anchor = null;
  }

  update(frame: XRFrame, space: XRReferenceSpace, hand: Hand): void {
    if (!this.isOpen) {
      this.#follow(frame, space);
      return;
    }
    const pointer = hand.source?.targetRayMode === "tracked-pointer" ? hand.source : null;
    if (!this.#isAsked || pointer !== this.#askedFor) this.#ask(pointer);
    this.hasPlace = this.#look(frame, space, hand);
    this.ring.visible = this.hasPlace;
    this.ring.position.copy(this.at);
    this.ring.position.y += 0.005;
  }

  #ask(pointer: XRInputSource | null): void {
    this.#isAsked = true;
    this.#askedFor = pointer;
    this.#source?.cancel();
    this.#source = null;
    if (this.#session.requestHitTestSource === undefined) return;
    const asked = async (): Promise<XRHitTestSource | undefined> => {
      const space = pointer?.targetRaySpace ?? (await this.#session.requestReferenceSpace("viewer"));
      return this.#session.requestHitTestSource?.({ space });
    };
    // Refused: the floor that the headset stands on will do.
    asked().then((source) => void (this.#source = source ?? null), () => {});
  }

  #look(frame: XRFrame, space: XRReferenceSpace, hand: Hand): boolean {
    if (this.#source !== null) {
      this.#hit = frame.getHitTestResults(this.#source)[0] ?? null;
      const pose = this.#hit?.getPose(space);
      if (pose == null) return false;
      const { x, y, z } = pose.transform.position;
      this.at.set(x, y, z);
      return true;
    }
    this.#hit = null;
    const from = hand.isTracked ? hand.from : this.#rig.headInRoom;
    const way = hand.isTracked ? hand.way : this.#scratch.set(0, -0.6, 0).add(this.#rig.aheadInRoom(this.#scratch2)).normalize();
    if (way.y > -0.05) return false;
    this.at.copy(from).addScaledVector(way, -from.y / way.y);
    return true;
  }

  /** What holds it in place has moved: it goes along. */
  #follow(frame: XRFrame, space: XRReferenceSpace): void {
    if (this.#anchor === null) return;
    const pose = frame.getPose(this.#anchor.anchorSpace, space);
    if (pose == null) return;
    const { x, y, z } = pose.transform.position;
    const now = this.#scratch.set(x, y, z);
    if (now.distanceTo(this.#anchored) < STRAYED_M) return;
    const inWorld = this.#rig.toWorld(this.#anchored, this.#scratch2);
    this.#anchored.copy(now);
    this.#rig.pin(this.#anchored, inWorld, this.#rig.scale, this.#rig.yaw);
  }

  dispose(): void {
    this.#source?.cancel();
    this.#drop();
    this.ring.geometry.dispose();
    this.ring.material.dispose();
    this.ring.removeFromParent();
  }
}
