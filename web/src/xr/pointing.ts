/**
 * What the rays of both hands meet, and what a trigger, a pinch or a grip does there: panels first,
 * then the world. Holding the trigger on nothing that can be pressed throws the arc.
 *
 * The world is asked by one ray at a time, every other picture: that is the dear part.
 */

import { Matrix4, Quaternion, Ray, Vector3 } from "three";
import type { Id, Mirror } from "../mirror.ts";
import type { WorldScene } from "../scene/scene.ts";
import type { Glove } from "./gloves.ts";
import type { Hand } from "./input.ts";
import type { Rig } from "./rig.ts";
import type { Slate } from "./slate.ts";

/** A press that lasts longer throws the arc, or takes hold of the model. Where pictures come slowly it
 * also has to be seen for a while: a slow machine must not make a long press of a short one. */
const LONG_MS = 350;
const LONG_PICTURES = 10;
const HELD_PICTURES = 20;
const NOTHING_M = 40;
/** What is put where one points lies so far before the surface, and is seen. */
const BEFORE_M = 0.012;
/** A scrubbed bar follows a held trigger this often. */
const DRAG_MS = 120;

/** What one hand is at. */
class Aim {
  readonly ray = new Ray();
  slate: Slate | null = null;
  area = -1;
  across = 0;
  /** Along the ray, in the world. */
  distance_m = NOTHING_M;
  twin: Id | null = null;
  /** Where a trigger went down; null: it is not down. */
  pressed: { slate: Slate | null; area: number; label: string; atMs: number; nSeen: number; isDone: boolean; draggedMs: number } | null = null;
  /** A panel that is carried, and how it lies in the hand. */
  carried: Slate | null = null;
  readonly lies = new Matrix4();
}

export interface PointingActs {
  /** The trigger was short, and not on a panel. `place`: where the ray met it, a little before its surface. */
  choose(id: Id | null, place: Vector3): void;
  /** The trigger is held, not on a panel. */
  holds(hand: Hand): void;
  /** It is let go of after it was held. */
  letsGo(hand: Hand): void;
  /** A panel is taken from where it was. */
  takes(slate: Slate): void;
}

export class Pointing {
  readonly left = new Aim();
  readonly right = new Aim();
  readonly #rig: Rig;
  readonly #scene: WorldScene;
  readonly #mirror: Mirror;
  readonly #slates: readonly Slate[];
  readonly #acts: PointingActs;
  #turn = 0;
  /** The hand whose ray meets the world: the one that pressed last. */
  #active: Hand | null = null;
  readonly #matrix = new Matrix4();
  readonly #scale = new Vector3();
  readonly #rotation = new Quaternion();

  constructor(rig: Rig, scene: WorldScene, mirror: Mirror, slates: readonly Slate[], acts: PointingActs) {
    this.#rig = rig;
    this.#scene = scene;
    this.#mirror = mirror;
    this.#slates = slates;
    this.#acts = acts;
  }

  aim(hand: Hand): Aim {
    return hand.side === "left" ? this.left : this.right;
  }

  /** The hand that points into the world. */
  get active(): Hand | null {
    return this.#active;
  }

  update(hands: readonly [Hand, Hand], pointing: Hand, nowMs: number): void {
    this.#turn += 1;
    if (this.#active === null || !this.#active.isTracked) this.#active = pointing.isTracked ? pointing : hands.find((hand) => hand.isTracked) ?? null;
    for (const hand of hands) if (hand.hasJustPressed) this.#active = hand;
    for (const hand of hands) this.#look(hand, hand === this.#active && (this.#turn % 2 === 0 || hand.hasJustPressed));
    this.#light(hands);
    for (const hand of hands) this.#press(hand, nowMs);
    for (const hand of hands) this.#carry(hand);
  }

  // --- looking -------------------------------------------------------------------------------------

  #look(hand: Hand, meetsWorld: boolean): void {
    const aim = this.aim(hand);
    if (!hand.isTracked) {
      aim.slate = null;
      aim.twin = null;
      aim.pressed = aim.carried = null;
      return;
    }
    const { ray } = aim;
    this.#rig.toWorld(hand.from, ray.origin);
    ray.direction.copy(hand.way).applyQuaternion(this.#rig.room.quaternion);
    aim.slate = null;
    aim.area = -1;
    let nearest_m = Infinity;
    for (const slate of this.#slates) {
      if (this.left.carried === slate || this.right.carried === slate) continue;
      const hit = slate.meets(ray);
      if (hit.distance_m >= nearest_m) continue;
      nearest_m = hit.distance_m;
      aim.slate = slate;
      aim.area = hit.area;
      aim.across = hit.across;
    }
    if (aim.slate !== null) {
      aim.distance_m = nearest_m;
      aim.twin = null;
      return;
    }
    if (hand !== this.#active) {
      aim.distance_m = NOTHING_M;
      aim.twin = null;
      return;
    }
    if (!meetsWorld) return;
    const hit = this.#scene.hit(ray);
    aim.twin = this.#mirror.twinAt(hit.ordinal)?.id ?? null;
    aim.distance_m = Math.min(hit.distance_m, NOTHING_M * this.#rig.scale);
  }

  /** Lights what would be pressed, and tells the mirror what is pointed at. */
  #light(hands: readonly [Hand, Hand]): void {
    for (const slate of this.#slates) {
      let area = -1;
      let by: Hand | null = null;
      for (const hand of hands) {
        const aim = this.aim(hand);
        if (aim.slate === slate && aim.area >= 0) [area, by] = [aim.area, hand];
      }
      if (slate.hover(area)) by?.tap(0.15, 8);
    }
    const twin = this.#active === null ? null : this.aim(this.#active).twin;
    if (twin !== this.#mirror.hovered) {
      this.#mirror.hover(twin);
      if (twin !== null) this.#active?.tap(0.2, 10);
    }
  }

  // --- pressing ------------------------------------------------------------------------------------

  #press(hand: Hand, nowMs: number): void {
    const aim = this.aim(hand);
    if (hand.hasJustPressed && hand.isTracked) {
      aim.pressed = { slate: aim.slate, area: aim.area, label: aim.slate?.labelOf(aim.area) ?? "", atMs: nowMs, nSeen: 0, isDone: false, draggedMs: nowMs };
      const { slate, area } = aim;
      if (slate !== null && area < 0) this.#take(hand, slate); // A pinch on a panel's face takes it along.
      else if (slate !== null && slate.holdOf(area) === 0) {
        hand.tap(0.5, 18);
        slate.press(area, aim.across);
        aim.pressed.isDone = true;
      }
    }
    const { pressed } = aim;
    if (pressed === null) return;
    if (hand.isPressed) this.#hold(hand, aim, nowMs);
    else {
      pressed.slate?.setHeld(-1, 0);
      if (aim.carried !== null && !hand.isSqueezed) aim.carried = null;
      if (pressed.slate === null && hand.hasJustReleased) {
        if (this.isLong(hand, nowMs)) this.#acts.letsGo(hand);
        else this.#acts.choose(aim.twin, aim.ray.at(Math.max(0, aim.distance_m - BEFORE_M), new Vector3()));
      }
      aim.pressed = null;
    }
  }

  #hold(hand: Hand, aim: Aim, nowMs: number): void {
    const pressed = aim.pressed!;
    const { slate, area } = pressed;
    pressed.nSeen += 1;
    if (slate === null) {
      if (this.isLong(hand, nowMs)) this.#acts.holds(hand);
      return;
    }
    // Who slips off begins anew; so does who holds on to a place where another button came to lie.
    if (aim.slate !== slate || aim.area !== area || slate.labelOf(area) !== pressed.label) {
      slate.setHeld(-1, 0);
      pressed.atMs = nowMs;
      pressed.nSeen = 0;
      return;
    }
    const hold_ms = slate.holdOf(area) ?? 0;
    if (hold_ms === 0) {
      if (slate.isBar(area) && nowMs - pressed.draggedMs > DRAG_MS) {
        pressed.draggedMs = nowMs;
        slate.press(area, aim.across);
      }
      return;
    }
    if (pressed.isDone) return;
    const part = Math.min((nowMs - pressed.atMs) / hold_ms, pressed.nSeen / HELD_PICTURES, 1);
    slate.setHeld(area, part);
    if (part < 1) return;
    pressed.isDone = true;
    slate.setHeld(-1, 0);
    hand.tap(0.9, 60);
    slate.press(area, aim.across);
  }

  /** Whether a trigger has been held, not on a panel, for longer than a tap. */
  isLong(hand: Hand, nowMs: number): boolean {
    const { pressed } = this.aim(hand);
    return pressed !== null && pressed.slate === null && nowMs - pressed.atMs >= LONG_MS && pressed.nSeen >= LONG_PICTURES;
  }

  // --- carrying panels -----------------------------------------------------------------------------

  #take(hand: Hand, slate: Slate): void {
    const aim = this.aim(hand);
    this.#acts.takes(slate);
    aim.carried = slate;
    aim.lies.copy(hand.aim).invert().multiply(slate.object.matrix);
    hand.tap(0.4, 20);
  }

  #carry(hand: Hand): void {
    const aim = this.aim(hand);
    if (hand.hasJustSqueezed && aim.slate !== null) this.#take(hand, aim.slate);
    if (aim.carried === null) return;
    if (!hand.isSqueezed && !hand.isPressed) {
      aim.carried = null;
      return;
    }
    const { object } = aim.carried;
    this.#matrix.copy(hand.aim).multiply(aim.lies).decompose(object.position, this.#rotation, this.#scale);
    object.quaternion.copy(this.#rotation);
  }

  // --- what is drawn of it -------------------------------------------------------------------------

  draw(glove: Glove, hand: Hand, isShown: boolean): void {
    const aim = this.aim(hand);
    const hasDot = aim.slate !== null || aim.twin !== null;
    glove.update(hand, aim.distance_m / this.#rig.scale, hasDot, isShown);
  }
}
