/**
 * Being together: one time and branch for all, one's camera on another's way, and one's own way and
 * back. Joins meeting, mirror and scene; knows no DOM but the canvas that is moved by hand.
 *
 * Who moves time, where nobody presents, moves it for all; where somebody does, they go their own
 * way by it. Who moves the camera lets go of whom they follow.
 */

import { Object3D, Quaternion, Vector3 } from "three";
import type { PerspectiveCamera } from "three";
import type { Mirror } from "../mirror.ts";
import type { SceneApi, Wearer } from "../scene/api.ts";
import type { Body, SceneLayer } from "../scene/layers.ts";
import type { Meeting, Moment } from "./meeting.ts";

/** Two moments of the past that play and lie closer than this are one. */
const SAME_MS = 1500;
/** While somebody drags the time, others are told this often. */
const TELL_MS = 100;
const AHEAD_M = 6;
/** How far beside somebody one arrives. */
const BESIDE_M = 1.3;
/** Who wears a headset is set down beside whom they follow once those are further away than this, have
 * rested for a while or are away for long, and are elsewhere than at the jump before. */
const AWAY_M = 4;
const REST_M = 0.5;
const REST_MS = 1000;
const AWAY_MS = 5000;
/** A press that moves no further than this is a click, and lets go of nobody. */
const HELD_PX = 6;

export class Together implements SceneLayer {
  readonly object = new Object3D();
  /** Called whenever something of it has changed. */
  onChange: () => void = () => {};
  /** A branch that the others look at cannot be shown here. */
  onNoBranch: () => void = () => {};
  /** Somebody wants one to come, who does not follow them. */
  onAsked: (by: number) => void = () => {};
  isOwnWay = false;
  /** Whom one chose to follow; 0: nobody. */
  #followed = 0;
  /** One looks around freely, though somebody presents. */
  #isFree = false;
  #isApplying = false;
  #agreed: Moment | null = null;
  #tellTimer = 0;
  #toldLeader = 0;
  #hasLookedThrough = false;
  /** Of whom somebody in a headset follows: where they last came to rest and when, since when they are
   * away, and where they were at the last jump. */
  #trail = { at: new Vector3(Infinity, 0, 0), restMs: 0, awayMs: 0, jumped: null as Vector3 | null };
  readonly #meeting: Meeting;
  readonly #mirror: Mirror;
  readonly #scene: SceneApi;

  constructor(meeting: Meeting, mirror: Mirror, scene: SceneApi) {
    this.#meeting = meeting;
    this.#mirror = mirror;
    this.#scene = scene;
    meeting.on("entered", ({ moment }) => this.#enter(moment));
    meeting.on("moment", (moment) => {
      this.#agreed = moment;
      if (!this.isOwnWay) this.#apply(moment);
    });
    meeting.on("presenting", () => {
      this.#isFree = false;
      this.#lead();
    });
    meeting.on("people", ({ put }) => {
      if (put.includes(this.leader)) this.#takeSelection();
      if (this.#followed !== 0 && meeting.people().get(this.#followed)?.place !== meeting.place) this.#followed = 0;
      this.#lead();
    });
    meeting.on("poses", ({ ids }) => ids.includes(this.leader) && scene.invalidate());
    meeting.on("brought", ({ by, is_now }) => (is_now ? this.goTo(by) : this.onAsked(by)));
    meeting.on("state", ({ state }) => {
      if (state === "out" || state === "ended") {
        this.isOwnWay = this.#isFree = false;
        this.#followed = this.#toldLeader = 0;
        this.#agreed = null;
        this.onChange();
      }
    });
    mirror.on("time", () => this.#timeMoved());
    mirror.on("branch", () => this.#timeMoved());
    mirror.on("link", ({ state }) => {
      if (state !== "refused" || mirror.branch === null || mirror.branch !== this.#agreed?.branch || this.isOwnWay) return;
      this.goOwnWay();
      mirror.show(null);
      this.onNoBranch();
    });
    this.#watchHands();
  }

  /** Through whose eyes one looks; 0: one's own. */
  get leader(): number {
    const { presenter, me, isIn } = this.#meeting;
    if (!isIn) return 0;
    if (this.#followed !== 0) return this.#followed;
    return presenter !== 0 && presenter !== me && !this.isOwnWay && !this.#isFree ? presenter : 0;
  }

  /** One sees what the leader sees, and so not the leader; in a headset one stands beside them. */
  get looksThroughThem(): boolean {
    return this.leader !== 0 && this.#scene.wearer === null;
  }

  /** Somebody presents, and one could look through their eyes again. */
  get isFree(): boolean {
    const { presenter, me } = this.#meeting;
    return presenter !== 0 && presenter !== me && !this.isOwnWay && this.leader === 0;
  }

  follow(id: number): void {
    this.#followed = id === this.#meeting.me ? 0 : id;
    if (id === this.#meeting.presenter) this.#isFree = false;
    this.#lead();
  }

  /** Lets go of whom one follows; time stays shared. */
  letGo(): void {
    if (this.leader === 0) return;
    this.#followed = 0;
    this.#isFree = this.#meeting.presenter !== 0;
    this.#lead();
  }

  goOwnWay(): void {
    if (this.isOwnWay) return;
    this.isOwnWay = true;
    this.#followed = 0;
    this.#meeting.stand({ is_own_way: true });
    this.#lead();
  }

  /** Back to the meeting's time and branch, and to who presents. */
  comeBack(): void {
    this.isOwnWay = this.#isFree = false;
    this.#meeting.stand({ is_own_way: false });
    if (this.#agreed !== null) this.#apply(this.#agreed);
    this.#lead();
  }

  present(isOn: boolean): void {
    if (isOn) this.comeBack();
    this.#followed = 0;
    this.#meeting.send({ "@": "Present", is_on: isOn });
  }

  /** Stands beside somebody, and looks where they look. */
  goTo(id: number): void {
    const body = this.#meeting.latest(id);
    if (body === null) return;
    if (this.#scene.wearer !== null) {
      this.#scene.wearer.join(body);
      return;
    }
    const { position, ahead } = eyesOf(body);
    const side = new Vector3(-ahead.z, 0, ahead.x);
    if (side.lengthSq() < 1e-6) side.set(1, 0, 0);
    position.addScaledVector(side.normalize(), BESIDE_M);
    const target = position.clone().addScaledVector(ahead, AHEAD_M);
    this.#scene.setCamera({ position: position.toArray(), target: target.toArray() }, { isFlown: true });
  }

  /** Looks through the leader's eyes. */
  update(_dt_s: number, nowMs: number, camera: PerspectiveCamera): boolean {
    if (this.looksThroughThem !== this.#hasLookedThrough) {
      this.#hasLookedThrough = this.looksThroughThem;
      this.onChange();
    }
    const person = this.#meeting.people().get(this.leader);
    const body = person?.body ?? null;
    if (body === null) return false;
    const { wearer } = this.#scene;
    if (wearer !== null) {
      this.#jumpAfter(wearer, body, nowMs);
      return this.#meeting.isMoving();
    }
    const { position, ahead } = eyesOf(body);
    const turn = new Quaternion(...body.head.rotation);
    if (camera.position.distanceToSquared(position) > 1e-6 || camera.quaternion.angleTo(turn) > 1e-3) {
      const target = position.clone().addScaledVector(ahead, AHEAD_M);
      this.#scene.setCamera({ position: position.toArray(), target: target.toArray() });
      camera.position.copy(position);
      camera.quaternion.copy(turn);
      camera.updateMatrixWorld();
    }
    return this.#meeting.isMoving();
  }

  /** Never a view that is moved under somebody: one jump, when whom they follow has got away. */
  #jumpAfter(wearer: Wearer, body: Body, nowMs: number): void {
    const trail = this.#trail;
    const at = new Vector3(...body.head.position);
    const own = wearer.body().head.position;
    if (trail.at.distanceTo(at) > REST_M) {
      trail.at.copy(at);
      trail.restMs = nowMs;
    }
    const isAway = Math.hypot(at.x - own[0], at.z - own[2]) > AWAY_M && (trail.jumped === null || trail.jumped.distanceTo(at) > REST_M);
    if (!isAway) {
      trail.awayMs = nowMs;
      return;
    }
    if (nowMs - trail.restMs < REST_MS && nowMs - trail.awayMs < AWAY_MS) return;
    trail.jumped = at;
    wearer.join(body);
  }

  // --- time --------------------------------------------------------------------------------

  #enter(moment: Moment): void {
    this.#agreed = moment;
    this.#isFree = false;
    this.#followed = 0;
    this.#toldLeader = 0;
    this.#meeting.stand({ selected: this.#mirror.selected ?? "", is_own_way: this.isOwnWay });
    // Who comes first brings what they look at.
    if (moment.by === 0) this.#timeMoved();
    else if (!this.isOwnWay) this.#apply(moment);
    this.#lead();
    this.#takeSelection();
  }

  #timeMoved(): void {
    const { isIn, presenter, me } = this.#meeting;
    if (!isIn || this.isOwnWay || this.#isApplying || this.#agreed === null || this.#isShown(this.#agreed)) return;
    if (presenter !== 0 && presenter !== me) {
      this.goOwnWay();
      return;
    }
    if (this.#tellTimer === 0) this.#tellTimer = window.setTimeout(() => this.#tellMoment(), TELL_MS);
  }

  #tellMoment(): void {
    this.#tellTimer = 0;
    const { isIn, presenter, me } = this.#meeting;
    if (!isIn || this.isOwnWay || (presenter !== 0 && presenter !== me)) return;
    const { time } = this.#mirror;
    const branch = this.#mirror.branch ?? "";
    const shown = time.live ? { source_ms: null, speed: 0, branch } : { source_ms: time.speed === 0 ? time.atMs : this.#mirror.viewMs(), speed: time.speed, branch };
    this.#agreed = { ...shown, by: me, at_ms: this.#meeting.nowMs() };
    this.#meeting.send({ "@": "SetMoment", ...shown });
  }

  /** The time of the past that a moment has come to by now. */
  #reached(moment: Moment): number {
    return (moment.source_ms ?? 0) + moment.speed * Math.max(0, this.#meeting.nowMs() - moment.at_ms);
  }

  #isShown(moment: Moment): boolean {
    const { time, branch } = this.#mirror;
    if ((branch ?? "") !== moment.branch) return false;
    if (time.live || moment.source_ms === null) return time.live && moment.source_ms === null;
    if (time.speed !== moment.speed) return false;
    return moment.speed === 0 ? time.atMs === moment.source_ms : Math.abs(this.#mirror.viewMs() - this.#reached(moment)) < SAME_MS * moment.speed;
  }

  #apply(moment: Moment): void {
    window.clearTimeout(this.#tellTimer);
    this.#tellTimer = 0;
    if (this.#isShown(moment)) return;
    this.#isApplying = true;
    try {
      this.#mirror.show(moment.branch || null);
      if (moment.source_ms !== null) this.#mirror.seek(this.#reached(moment), moment.speed);
      else if (!this.#mirror.time.live) this.#mirror.seek(null);
    } finally {
      this.#isApplying = false;
    }
  }

  // --- whom one follows ----------------------------------------------------------------------

  #lead(): void {
    const { leader } = this;
    if (leader !== this.#toldLeader) {
      this.#toldLeader = leader;
      this.#trail.jumped = null;
      this.#meeting.stand({ follows: leader });
      this.#takeSelection();
    }
    this.#scene.invalidate();
    this.onChange();
  }

  #takeSelection(): void {
    const { presenter, me } = this.#meeting;
    if (presenter === 0 || presenter === me || this.isOwnWay) return;
    this.#mirror.select(this.#meeting.people().get(presenter)?.selected || null);
  }

  #watchHands(): void {
    const canvas = document.getElementById("scene");
    if (canvas === null) return;
    let from: { x: number; y: number } | null = null;
    canvas.addEventListener("pointerdown", ({ clientX, clientY }) => (from = { x: clientX, y: clientY }));
    canvas.addEventListener("pointerup", () => (from = null));
    canvas.addEventListener("pointermove", ({ clientX, clientY, buttons }) => {
      if (buttons !== 0 && from !== null && Math.hypot(clientX - from.x, clientY - from.y) > HELD_PX) this.letGo();
    });
    canvas.addEventListener("wheel", () => this.letGo(), { passive: true });
    canvas.addEventListener("keydown", ({ code }) => /^(Key[WASD]|Arrow\w+|Equal|Minus)$/.test(code) && this.letGo());
  }
}

function eyesOf(body: Body): { position: Vector3; ahead: Vector3 } {
  const ahead = new Vector3(0, 0, -1).applyQuaternion(new Quaternion(...body.head.rotation));
  return { position: new Vector3(...body.head.position), ahead };
}
