/** Cuts by hand: on and off along each axis, and the plane moved by a grip in the air or by the stick. */

import { Vector3 } from "three";
import { numberText } from "../format.ts";
import { AXES } from "../scene/section.ts";
import type { Axis } from "../scene/section.ts";
import { AXIS_NAMES } from "../scene/view_panel.ts";
import type { ViewSwitches } from "../scene/view_switches.ts";
import { t } from "../words.ts";
import type { Hand } from "./input.ts";
import type { Rig } from "./rig.ts";
import type { Line, Press } from "./slate.ts";

const START = 0.6;
const STEP = 0.05;
/** With an arm's length the plane goes through all of it, however large the plant. */
const REACH_M = 0.8;
const STICK_A_S = 0.25;

export class Cutting {
  readonly #switches: ViewSwitches;
  readonly #rig: Rig;
  #axis: Axis = "y";
  /** Grip and stick belong to the plane. */
  #isInHand = false;
  #grip: { hand: Hand; from: number; at: number } | null = null;
  #isMoving = false;
  readonly #palm = new Vector3();

  constructor(switches: ViewSwitches, rig: Rig) {
    this.#switches = switches;
    this.#rig = rig;
  }

  /** Whether grip and stick move the plane now, and nothing else. */
  get isInHand(): boolean {
    return this.#isInHand && this.#switches.section.cut(this.#axis) !== null;
  }

  /** Lets go of the plane; cuts stay. */
  letGo(): void {
    this.#isInHand = false;
    this.#grip = null;
    this.#settle();
  }

  /** @param free hands that are not at a panel; @param pointing the one whose stick counts */
  update(dt_s: number, free: readonly Hand[], pointing: Hand): void {
    const cut = this.#switches.section.cut(this.#axis);
    if (!this.isInHand || cut === null) return;
    const hand = free.find((each) => each.isTracked && each.isSqueezed) ?? null;
    if (hand === null) this.#grip = null;
    else if (this.#grip?.hand !== hand) {
      this.#grip = { hand, from: this.#along(hand), at: cut.at };
      hand.tap(0.4, 20);
    }
    const extent_m = this.#switches.section.reach(this.#axis);
    if (this.#grip !== null && extent_m > 0) {
      const gain = Math.max(1, extent_m / (REACH_M * this.#rig.scale));
      this.#move(this.#grip.at + ((this.#along(this.#grip.hand) - this.#grip.from) * gain) / extent_m);
    } else if (pointing.stickY !== 0) this.#move(cut.at - pointing.stickY * STICK_A_S * dt_s);
    else this.#settle();
  }

  #along(hand: Hand): number {
    return this.#rig.toWorld(hand.palm, this.#palm)[this.#axis];
  }

  #move(at: number): void {
    this.#isMoving = true;
    this.#switches.moveCut(this.#axis, Math.min(1, Math.max(0, at)));
  }

  /** It stands still: shadows and the page's own panel are told once. */
  #settle(): void {
    if (!this.#isMoving) return;
    this.#isMoving = false;
    this.#switches.setCut(this.#axis, this.#switches.section.cut(this.#axis));
  }

  lines(): Line[] {
    const { section } = this.#switches;
    const cut = section.cut(this.#axis);
    const choose = (axis: Axis): Press => ({
      label: AXIS_NAMES[axis], isOn: axis === this.#axis, ...(section.cut(axis) === null ? {} : { tone: "accent" as const }),
      act: () => {
        this.letGo();
        this.#axis = axis;
      },
    });
    const step = (label: string, by: number): Press => ({ label, isOff: cut === null, act: () => cut !== null && this.#switches.setCut(this.#axis, { ...cut, at: Math.min(1, Math.max(0, cut.at + by)) }) });
    const lines: Line[] = [
      { kind: "buttons", buttons: AXES.map(choose) },
      { kind: "value", name: AXIS_NAMES[this.#axis], value: cut === null ? t("whole") : `${numberText(section.metres(this.#axis), 2)} m` },
      { kind: "buttons", buttons: [
        { label: cut === null ? t("Cut here") : t("Cut no longer"), isOn: cut !== null, act: () => this.#toggle() },
        { label: t("Other side"), isOff: cut === null, act: () => cut !== null && this.#switches.setCut(this.#axis, { ...cut, isFlipped: !cut.isFlipped }) },
      ] },
      { kind: "buttons", buttons: [step("−", -STEP), { label: t("By hand"), isOn: this.isInHand, isOff: cut === null, act: () => (this.isInHand ? this.letGo() : void (this.#isInHand = true)) }, step("+", STEP)] },
    ];
    if (this.isInHand) lines.push({ kind: "text", text: t("Grip in the air and move your hand, or push the stick: the plane goes along."), tone: "dim" });
    if (section.isOn) lines.push({ kind: "buttons", buttons: [{ label: t("All whole again"), act: () => this.#clear() }] });
    return lines;
  }

  #toggle(): void {
    const isCut = this.#switches.section.cut(this.#axis) !== null;
    this.letGo();
    this.#switches.setCut(this.#axis, isCut ? null : { at: START, isFlipped: false });
  }

  #clear(): void {
    this.letGo();
    for (const axis of AXES) if (this.#switches.section.cut(axis) !== null) this.#switches.setCut(axis, null);
  }
}
