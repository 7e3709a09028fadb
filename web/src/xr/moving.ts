/** How the visitor gets about: set down elsewhere by an arc, walking and turning by stick, and by the hands on a model. */

import { Vector3 } from "three";
import type { Ray } from "three";
import type { Hit } from "../scene/layers.ts";
import type { Arc } from "./arc.ts";
import type { Comfort } from "./comfort.ts";
import { groundAt } from "./entering.ts";
import type { Hand } from "./input.ts";
import type { Rig } from "./rig.ts";
import type { Table } from "./table.ts";
import type { Veil } from "./veil.ts";

const SNAP = Math.PI / 6;
const TURN_S = 1.7;
const WALK_M_S = 2;
const STICK_ON = 0.6;
const STICK_OFF = 0.3;

export interface Pointed {
  ray: Ray;
  distance_m: number;
  /** Whether the ray met a twin there. */
  isOnTwin: boolean;
}

export class Moving {
  /** One is being moved smoothly: edges go dark, for who wants that. */
  isMoved = false;
  /** Called when the hands take the visitor elsewhere, and not somebody else or the menu. */
  onOwnMove: () => void = () => {};
  /** Called when somebody stands elsewhere. */
  onStand: () => void = () => {};
  readonly #rig: Rig;
  readonly #veil: Veil;
  readonly #arc: Arc;
  readonly #table: Table;
  readonly #meets: (ray: Ray) => Hit;
  /** Hands that throw the arc by stick, and by a held trigger. */
  #byStick: Hand | null = null;
  #byTrigger: Hand | null = null;
  #isCut = false;
  readonly #way = new Vector3();
  readonly #from = new Vector3();
  readonly #landing = new Vector3();

  constructor(rig: Rig, veil: Veil, arc: Arc, table: Table, meets: (ray: Ray) => Hit) {
    this.#rig = rig;
    this.#veil = veil;
    this.#arc = arc;
    this.#table = table;
    this.#meets = meets;
  }

  update(dt_s: number, hands: readonly [Hand, Hand], comfort: Comfort, pointed: (hand: Hand) => Pointed, isBusy: boolean): void {
    this.isMoved = false;
    const pointing = hands[comfort.pointing === "left" ? 0 : 1];
    for (const hand of hands) {
      const walks = comfort.move === "walk" && hand !== pointing;
      if (walks && this.#rig.isLifeSize) this.#walk(hand, dt_s);
      else {
        this.#turn(hand, dt_s, comfort);
        if (!isBusy) this.#throwByStick(hand);
      }
    }
    if (this.#rig.isLifeSize) this.#table.hold(null, null);
    else this.#holdModel(hands);
    const thrower = this.#byStick ?? this.#byTrigger;
    if (thrower === null || !thrower.isTracked) this.#arc.hide();
    else this.#show(thrower, pointed(thrower));
    if (thrower !== null && !thrower.isTracked) this.#byStick = this.#byTrigger = null;
  }

  // --- the arc ---------------------------------------------------------------------------------------

  /** The trigger is held where nothing is to be pressed. */
  holds(hand: Hand): void {
    if (this.#rig.isLifeSize) this.#byTrigger = hand;
  }

  letsGo(hand: Hand): void {
    if (hand !== this.#byTrigger) return;
    this.#byTrigger = null;
    this.#land();
  }

  #throwByStick(hand: Hand): void {
    if (hand.stickY < -STICK_ON && this.#byStick === null && Math.abs(hand.stickX) < STICK_ON) this.#byStick = hand;
    else if (hand === this.#byStick && hand.stickY > -STICK_OFF) {
      this.#byStick = null;
      this.#land();
    }
  }

  #show(hand: Hand, { ray, distance_m, isOnTwin }: Pointed): void {
    const rig = this.#rig;
    if (rig.isLifeSize) {
      rig.toWorld(hand.from, this.#from);
      this.#way.copy(hand.way).applyQuaternion(rig.room.quaternion);
      this.#arc.throw(this.#from, this.#way, rig.floor_m, (x, z) => groundAt(this.#meets, x, z, rig.floor_m));
      return;
    }
    if (!isOnTwin) {
      this.#arc.hide();
      return;
    }
    ray.at(distance_m, this.#landing);
    this.#arc.mark(this.#landing, rig.scale);
  }

  #land(): void {
    if (!this.#arc.isSure) return;
    this.onOwnMove();
    const place = this.#arc.landing.clone();
    if (!this.#rig.isLifeSize) this.stepIn(place);
    else this.stand(place, null);
  }

  /** Is set down at a place, looking along a compass direction; null: as before. */
  stand(place: Vector3, yaw: number | null): void {
    this.#veil.blink(() => {
      this.#table.hide();
      this.#rig.standAt(place);
      if (yaw !== null) this.#rig.face(yaw);
      this.onStand();
    });
  }

  /** From the model into the plant: a free place nearest to the one that was pointed at. */
  stepIn(place: Vector3): void {
    const out = place.clone();
    for (let i = 0; i < 48; i++) {
      // Round and round, further out each time.
      const angle = i * 2.4;
      const away_m = Math.sqrt(i) * 0.7;
      const x = place.x + Math.cos(angle) * away_m;
      const z = place.z + Math.sin(angle) * away_m;
      const ground_m = groundAt(this.#meets, x, z, 0);
      if (Number.isNaN(ground_m)) continue;
      this.stand(out.set(x, ground_m, z), Math.atan2(x - place.x, z - place.z));
      return;
    }
    this.stand(out.setY(0), null);
  }

  // --- sticks ----------------------------------------------------------------------------------------

  #turn(hand: Hand, dt_s: number, comfort: Comfort): void {
    if (this.#byStick === hand) return;
    if (comfort.turn === "smooth") {
      if (hand.stickX === 0) return;
      this.#rig.turn(-hand.stickX * TURN_S * dt_s);
      this.isMoved = comfort.hasVignette;
      return;
    }
    const isNew = Math.abs(hand.stickX) > STICK_ON && Math.abs(hand.wasStickX) <= STICK_ON;
    if (isNew && Math.abs(hand.stickY) < STICK_ON) this.#rig.turn(-Math.sign(hand.stickX) * SNAP);
  }

  #walk(hand: Hand, dt_s: number): void {
    if (hand.stickX === 0 && hand.stickY === 0) return;
    const rig = this.#rig;
    const yaw = rig.headYaw;
    const step = WALK_M_S * dt_s;
    const x = (Math.cos(yaw) * hand.stickX + Math.sin(yaw) * hand.stickY) * step;
    const z = (-Math.sin(yaw) * hand.stickX + Math.cos(yaw) * hand.stickY) * step;
    const ground_m = groundAt(this.#meets, rig.head.x + x, rig.head.z + z, rig.floor_m);
    if (Number.isNaN(ground_m)) {
      if (!this.#isCut) hand.tap(0.4, 30); // A machine is in the way.
      this.#isCut = true;
      return;
    }
    this.#isCut = false;
    this.onOwnMove();
    rig.move(x, z);
    if (Math.abs(ground_m - rig.floor_m) > 0.02) rig.standAt(this.#landing.set(rig.head.x, ground_m, rig.head.z));
    this.isMoved = true;
  }

  // --- hands on the model ----------------------------------------------------------------------------

  /** Hands that hold the model: a grip, or a trigger held where nothing is to be pressed. */
  readonly gripping = new Set<Hand>();

  #holdModel(hands: readonly [Hand, Hand]): void {
    let first: Hand | null = null;
    let second: Hand | null = null;
    for (const hand of hands) {
      const holds = hand.isTracked && this.gripping.has(hand);
      if (!holds) continue;
      if (first === null) first = hand;
      else second = hand;
    }
    this.#table.hold(first, second);
  }
}
