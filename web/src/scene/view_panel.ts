/** How the scene is seen: how fine it is drawn, cuts through it, a tape measure, an x-ray. */

import "./view_panel.css";

import { button, h, iconButton, segmented, setText } from "../panels/dom.ts";
import { numberText } from "../format.ts";
import { t } from "../words.ts";
import type { Asked } from "./quality.ts";
import { storeQuality } from "./quality.ts";
import type { WorldScene } from "./scene.ts";
import { AXES } from "./section.ts";
import type { Axis } from "./section.ts";

const STEPS = 200;
export const AXIS_NAMES: Readonly<Record<Axis, string>> = { x: t("Across (x)"), y: t("Height (y)"), z: t("Along (z)") };

const RUNG_WORDS: Readonly<Record<string, string>> = { least: t("very low"), low: t("low"), medium: t("medium"), good: t("good"), high: t("high") };

export class ViewPanel {
  isOpen = false;
  onToggle: () => void = () => {};
  readonly element: HTMLElement;
  readonly #scene: WorldScene;
  readonly #said = h("p", { class: "view-said" });
  readonly #rows = new Map<Axis, { on: HTMLInputElement; at: HTMLInputElement; flip: HTMLButtonElement; value: HTMLElement }>();
  readonly #measure: HTMLButtonElement;
  readonly #xray: HTMLButtonElement;
  readonly #quality: { element: HTMLElement };

  constructor(scene: WorldScene) {
    this.#scene = scene;
    this.#quality = segmented<Asked>(
      t("Picture"),
      [["auto", t("Auto")], ["low", t("Low")], ["medium", t("Medium")], ["high", t("High")]],
      scene.stage.asked,
      (asked) => {
        storeQuality(asked);
        scene.stage.ask(asked);
      },
    );
    this.#measure = button(t("Measure (M)"), () => scene.switches.setMeasuring(!scene.switches.measure.isOn));
    this.#xray = button(t("X-ray (X)"), () => scene.switches.setXRay(!scene.switches.xray.isOn));
    const cuts = AXES.map((axis) => this.#row(axis));
    this.element = h(
      "section",
      { class: "view-panel", hidden: true, attrs: { "aria-label": t("View") } },
      h("div", { class: "view-head" }, h("h2", {}, t("View")), iconButton("close", t("Close"), () => this.toggle(), "small")),
      h("div", { class: "view-part" }, h("h3", {}, t("Picture")), this.#quality.element, this.#said),
      h("div", { class: "view-part" }, h("h3", {}, t("Cut (C)")), ...cuts),
      h("div", { class: "view-acts" }, this.#measure, this.#xray),
    );
    document.body.append(this.element);
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.toggle());
    scene.onView = () => this.show();
    this.show();
  }

  toggle(): void {
    this.isOpen = !this.isOpen;
    this.element.hidden = !this.isOpen;
    this.show();
    this.onToggle();
  }

  #row(axis: Axis): HTMLElement {
    const change = (): void => {
      const cut = on.checked ? { at: Number(at.value) / STEPS, isFlipped: flip.getAttribute("aria-pressed") === "true" } : null;
      this.#scene.switches.setCut(axis, cut);
    };
    const on = h("input", { attrs: { type: "checkbox", "aria-label": AXIS_NAMES[axis] }, on: { change } });
    const at = h("input", {
      class: "view-at",
      attrs: { type: "range", min: "0", max: String(STEPS), value: axis === "y" ? "140" : "100", "aria-label": t("Where it is cut, {axis}", { axis: AXIS_NAMES[axis] }) },
      on: { input: () => ((on.checked = true), change()) },
    });
    const flip = button(t("Other side"), () => {
      flip.setAttribute("aria-pressed", String(flip.getAttribute("aria-pressed") !== "true"));
      change();
    }, "quiet");
    flip.setAttribute("aria-pressed", "false");
    const value = h("span", { class: "view-value num" });
    this.#rows.set(axis, { on, at, flip, value });
    return h("div", { class: "view-cut" }, h("label", {}, on, AXIS_NAMES[axis]), value, at, flip);
  }

  /** Writes what is so now. */
  show(): void {
    if (!this.isOpen) return;
    const { stage, switches } = this.#scene;
    const { section, measure, xray } = switches;
    const fps = numberText(Math.round(stage.fps));
    setText(this.#said, stage.asked === "auto" ? t("Now {rung}, as fast as this machine allows: {fps} pictures a second while you move", { rung: RUNG_WORDS[stage.rung.name] ?? stage.rung.name, fps }) : t("Kept so on this device"));
    for (const [axis, { on, at, flip, value }] of this.#rows) {
      const cut = section.cut(axis);
      on.checked = cut !== null;
      flip.hidden = cut === null;
      setText(value, cut === null ? "" : `${numberText(section.metres(axis), 2)} m`);
      if (cut === null) continue;
      at.value = String(Math.round(cut.at * STEPS));
      flip.setAttribute("aria-pressed", String(cut.isFlipped));
    }
    this.#measure.setAttribute("aria-pressed", String(measure.isOn));
    this.#xray.setAttribute("aria-pressed", String(xray.isOn));
  }
}
