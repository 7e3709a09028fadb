/**
 * The panels in the room: the menu on the wrist, what is chosen before the eyes, and the name of what
 * is pointed at. They follow the mirror a few times a second, and are drawn only when they say
 * something else.
 */

import { BufferAttribute, BufferGeometry, Group, Line as ThreeLine, LineBasicMaterial, Matrix4, Vector3 } from "three";
import { keyValues } from "../scene/key_values.ts";
import type { Mirror } from "../mirror.ts";
import { comfort } from "./comfort.ts";
import type { Guide } from "./guide.ts";
import type { Hand } from "./input.ts";
import type { Inspect } from "./inspect.ts";
import type { Menu } from "./menu.ts";
import type { Rig } from "./rig.ts";
import { severityTone } from "./pen.ts";
import { Slate } from "./slate.ts";
import type { Line } from "./slate.ts";
import type { Typing } from "./typing.ts";

const EVERY_MS = 250;
const UP = new Vector3(0, 1, 0);
const GLANCE_COS = Math.cos((20 * Math.PI) / 180);
const GLANCE_OFF_COS = Math.cos((38 * Math.PI) / 180);
const GLANCE_M = 0.55;
const GLANCE_MS = 350;
const SAID_MS = 6000;
const TAG_VALUES = 3;

export class Desk {
  readonly object = new Group();
  readonly menu = new Slate("menu", 0.25);
  readonly inspect = new Slate("inspect", 0.44);
  readonly tag = new Slate("tag", 0.26, true);
  /** The words of a tour. */
  readonly tour = new Slate("tour", 0.44);
  readonly keys = new Slate("keys", 0.46);
  /** What a ray can meet. */
  readonly slates: readonly Slate[] = [this.menu, this.inspect, this.tour, this.keys];
  /** The menu was asked for, beyond a glance. */
  isMenuOpen = false;
  readonly #rig: Rig;
  readonly #mirror: Mirror;
  readonly #menuPages: Menu;
  readonly #inspected: Inspect;
  readonly #guide: Guide;
  readonly #typing: Typing;
  readonly #loose = new Set<Slate>();
  readonly #leader: ThreeLine<BufferGeometry, LineBasicMaterial>;
  readonly #leaderAt = new Float32Array(6);
  #shownMs = -Infinity;
  #taggedAs: string | null = null;
  #glancedMs = 0;
  #said = "";
  #saidMs = -Infinity;
  readonly #matrix = new Matrix4();
  readonly #scratch = new Vector3();
  readonly #scratch2 = new Vector3();

  constructor(rig: Rig, mirror: Mirror, menu: Menu, inspect: Inspect, guide: Guide, typing: Typing) {
    this.#rig = rig;
    this.#mirror = mirror;
    this.#menuPages = menu;
    this.#inspected = inspect;
    this.#guide = guide;
    this.#typing = typing;
    const line = new BufferGeometry();
    line.setAttribute("position", new BufferAttribute(this.#leaderAt, 3));
    this.#leader = new ThreeLine(line, new LineBasicMaterial({ color: 0x57c7f2, transparent: true, opacity: 0.55, toneMapped: false, fog: false }));
    this.#leader.frustumCulled = false;
    this.object.add(...[...this.slates, this.tag].map(({ object }) => object), this.#leader);
  }

  /** Words that everybody who wears the headset should read, for a while. */
  tell(words: string): void {
    this.#said = words;
    this.#saidMs = performance.now();
    this.#shownMs = -Infinity;
  }

  /** A panel was taken by a hand: it stays where it is put. */
  loosen(slate: Slate): void {
    this.#loose.add(slate);
  }

  // --- what is chosen --------------------------------------------------------------------------------

  /** Opens the panel of what is chosen, before the eyes and on the way to it. */
  openInspect(twin: Vector3 | null): void {
    this.#inspected.reset();
    const wasOpen = this.inspect.isShown;
    this.inspect.object.visible = true;
    this.#shownMs = -Infinity;
    if (!wasOpen || !this.#loose.has(this.inspect)) this.#hangInspect(twin);
  }

  #hangInspect(twin: Vector3 | null): void {
    if (this.#guide.isOn) {
      // Beside the words of the tour, wherever it is that they speak of.
      this.#hangBefore(this.inspect, 0.78, 0.08, 0.3);
      return;
    }
    const rig = this.#rig;
    const way = this.#scratch;
    if (twin === null) rig.aheadInRoom(way);
    else rig.toRoom(twin, way).sub(rig.headInRoom);
    const away_m = Math.max(0.5, Math.min(0.8, way.length() * 0.8));
    way.y = 0;
    if (way.lengthSq() < 1e-4) rig.aheadInRoom(way);
    way.normalize();
    const { object } = this.inspect;
    // Beside the way to it, so that it does not hide what it tells of, and away from the menu.
    const side = this.#scratch2.crossVectors(way, UP).multiplyScalar(comfort().pointing === "right" ? 0.27 : -0.27);
    object.position.copy(rig.headInRoom).addScaledVector(way, away_m).add(side);
    object.position.y -= 0.1;
    this.#faceHead(object);
  }

  closeInspect(): void {
    this.inspect.object.visible = false;
    this.#loose.delete(this.inspect);
  }

  #faceHead(object: { position: Vector3; quaternion: { setFromRotationMatrix(matrix: Matrix4): unknown } }): void {
    object.quaternion.setFromRotationMatrix(this.#matrix.lookAt(this.#rig.headInRoom, object.position, UP));
  }

  // --- every picture ---------------------------------------------------------------------------------

  /** `hand`: the one that carries the menu. `at`: where something is pointed at, in the room; null: nothing. */
  update(nowMs: number, hand: Hand, wasPressed: boolean, at: Vector3 | null, chosen: Vector3 | null): void {
    this.#wear(hand, nowMs);
    this.#hang(at);
    this.#lead(chosen);
    this.#showTour();
    this.#showKeys();
    if (!wasPressed && nowMs - this.#shownMs < EVERY_MS) return;
    this.#shownMs = nowMs;
    this.refresh();
  }

  toggleMenu(): void {
    this.isMenuOpen = !this.isMenuOpen;
    this.#loose.delete(this.menu);
    if (!this.isMenuOpen) this.#menuPages.close();
    this.menu.object.visible = this.isMenuOpen;
    this.#shownMs = -Infinity;
    // Where no hand can carry it, it hangs before the eyes.
    this.#hangBefore(this.menu, 0.6, 0.12, 0);
  }

  /** Hangs a panel before the eyes: so far away, so far below them, and so far to the side of the hand that points. */
  #hangBefore({ object }: Slate, away_m: number, down_m: number, side_m: number): void {
    const rig = this.#rig;
    const ahead = rig.aheadInRoom(this.#scratch);
    const side = this.#scratch2.crossVectors(ahead, UP).multiplyScalar(comfort().pointing === "right" ? side_m : -side_m);
    object.position.copy(rig.headInRoom).addScaledVector(ahead, away_m).add(side);
    object.position.y -= down_m;
    this.#faceHead(object);
  }

  /** One stands elsewhere: what hangs by the way to something hangs by the new way to it. */
  reseat(chosen: Vector3 | null): void {
    if (this.inspect.isShown && !this.#loose.has(this.inspect)) this.#hangInspect(chosen);
    if (this.tour.isShown && !this.#loose.has(this.tour)) this.#hangTour();
  }

  /** The words of a tour come with it and go with it; they hang away from what is chosen. */
  #showTour(): void {
    const { isOn } = this.#guide;
    if (isOn === this.tour.isShown) return;
    this.tour.object.visible = isOn;
    if (isOn) this.#hangTour();
    else this.#loose.delete(this.tour);
  }

  /** Keys are there while something is typed for. */
  #showKeys(): void {
    const { isOn } = this.#typing;
    if (isOn === this.keys.isShown) return;
    this.keys.object.visible = isOn;
    if (isOn) {
      this.keys.show(this.#typing.lines());
      this.#hangBefore(this.keys, 0.55, 0.3, 0);
    }
    else this.#loose.delete(this.keys);
  }

  #hangTour(): void {
    this.#hangBefore(this.tour, 0.72, 0.16, -0.34);
  }

  /** Says again what is shown, if it is another thing now. */
  refresh(): void {
    const said: Line[] = performance.now() - this.#saidMs < SAID_MS ? [{ kind: "text", text: this.#said, tone: "uncertain" }] : [];
    if (this.menu.isShown) this.menu.show([...said, ...this.#menuPages.lines()]);
    if (this.inspect.isShown) this.inspect.show([...said, ...this.#inspected.lines()]);
    if (this.keys.isShown) this.#sayKeys();
    if (this.tour.isShown) this.tour.show([...said, ...this.#guide.lines()]);
    if (this.tag.isShown) this.tag.show(this.#tagLines());
  }

  /** What is found, and a text that grows, push the upper edge: keys stay under the finger. */
  #sayKeys(): void {
    const before_m = this.keys.height_m;
    this.keys.show(this.#typing.lines());
    this.keys.object.translateY((this.keys.height_m - before_m) / 2);
  }

  /** The menu lies over the wrist, and turns to the eyes; a glance at the hand shows it too. */
  #wear(hand: Hand, nowMs: number): void {
    const rig = this.#rig;
    const isWorn = hand.isTracked && (hand.hasGrip || hand.hasJoints);
    if (isWorn && !this.isMenuOpen) {
      const way = this.#scratch.copy(hand.palm).sub(rig.headInRoom);
      const away_m = way.length();
      const ahead = this.#scratch2.set(0, 0, -1).applyQuaternion(rig.eyes.quaternion);
      const cos = away_m < 1e-3 ? 0 : way.dot(ahead) / away_m;
      const isGlanced = away_m < GLANCE_M && cos > (this.menu.isShown ? GLANCE_OFF_COS : GLANCE_COS);
      if (!isGlanced) this.#glancedMs = nowMs;
      const isShown = isGlanced && nowMs - this.#glancedMs > (this.menu.isShown ? -1 : GLANCE_MS);
      if (isShown && !this.menu.isShown) this.#shownMs = -Infinity;
      this.menu.object.visible = isShown;
    } else if (!isWorn && !this.isMenuOpen) this.menu.object.visible = false;
    if (!this.menu.isShown || !isWorn || this.#loose.has(this.menu)) return;
    const { object } = this.menu;
    object.position.copy(hand.palm);
    object.position.y += 0.07 + this.menu.height_m / 2;
    this.#faceHead(object);
  }

  /** The name of what is pointed at, over the place, as large as it has to be there. */
  #hang(at: Vector3 | null): void {
    const { hovered, selected } = this.#mirror;
    const { object } = this.tag;
    const isShown = at !== null && hovered !== null && (hovered !== selected || !this.inspect.isShown);
    if (isShown && !object.visible) this.#shownMs = -Infinity;
    object.visible = isShown;
    if (at === null || !isShown) return;
    const head = this.#rig.headInRoom;
    object.position.copy(at).lerp(head, 0.06);
    const away_m = Math.max(0.3, object.position.distanceTo(head));
    object.scale.setScalar(Math.min(away_m, 25));
    object.position.y += 0.1 * away_m;
    this.#faceHead(object);
    if (this.#taggedAs !== hovered) {
      this.#taggedAs = hovered;
      this.tag.show(this.#tagLines());
    }
  }

  #tagLines(): Line[] {
    const mirror = this.#mirror;
    const id = mirror.hovered;
    if (id === null) return [];
    const severity = mirror.alarmOf(id);
    const lines: Line[] = [{ kind: "title", text: mirror.nameOf(id), ...(severity > 0 ? { tone: severityTone(severity) } : {}) }];
    for (const { key, value, severity: quality } of keyValues(mirror, mirror.ordinal(id)).slice(0, TAG_VALUES))
      lines.push({ kind: "value", name: key, value, tone: quality === 2 ? "bad" : quality === 1 ? "uncertain" : "plain" });
    return lines;
  }

  /** A thread from the panel to what it tells of. */
  #lead(chosen: Vector3 | null): void {
    this.#leader.visible = chosen !== null && this.inspect.isShown;
    if (chosen === null || !this.#leader.visible) return;
    const { position } = this.inspect.object;
    this.#leaderAt[0] = position.x;
    this.#leaderAt[1] = position.y - this.inspect.height_m / 2;
    this.#leaderAt[2] = position.z;
    this.#rig.toRoom(chosen, this.#scratch).toArray(this.#leaderAt, 3);
    this.#leader.geometry.getAttribute("position").needsUpdate = true;
  }

  dispose(): void {
    for (const slate of [...this.slates, this.tag]) slate.dispose();
    this.#leader.geometry.dispose();
    this.#leader.material.dispose();
    this.object.removeFromParent();
  }
}
