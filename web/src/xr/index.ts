/**
 * The way into a headset: a button where the browser offers one, what to expect, and plain words
 * where it fails. The rest of this room is loaded when somebody goes in.
 */

import "./xr.css";

import type { Authoring } from "../authoring/index.ts";
import { button, h, openDialog, segmented } from "../panels/dom.ts";
import type { Mirror } from "../mirror.ts";
import type { WorldScene } from "../scene/scene.ts";
import type { Tours } from "../tours/index.ts";
import { t } from "../words.ts";
import { comfort, setComfort } from "./comfort.ts";
import type { HeatPanel } from "../heat/panel.ts";
import type { Company } from "./company.ts";
import type { Mode, Visit } from "./session.ts";

const OPTIONAL = ["local-floor", "hand-tracking"];
const OPTIONAL_AR = [...OPTIONAL, "hit-test", "anchors", "dom-overlay"];
const GOGGLES = ["M3.5 8.5h17v8a2 2 0 0 1-2 2h-3.2l-1.8-2.6h-3L8.7 18.5H5.5a2 2 0 0 1-2-2z", "M3.5 8.5 6 5.5h12l2.5 3"];

export class Headset {
  /** The visit under way; null: nobody wears a headset. */
  visit: Visit | null = null;
  /** What this browser can do. */
  modes: Mode[] = [];
  readonly #mirror: Mirror;
  readonly #scene: WorldScene;
  readonly #tools: HTMLElement;
  readonly #heat: HeatPanel | null;
  /** Who else is here, and what one can do about it; null: nobody can be. */
  company: Company | null = null;
  /** Notes to be read and written; null: there are none. */
  authoring: Authoring | null = null;
  /** Tours to be played; null: there are none. */
  tours: Tours | null = null;
  #button: HTMLButtonElement | null = null;
  #isEntering = false;
  /** Why the last try failed; "": it did not. */
  trouble = "";

  constructor(mirror: Mirror, scene: WorldScene, tools: HTMLElement, heat: HeatPanel | null) {
    this.#mirror = mirror;
    this.#scene = scene;
    this.#tools = tools;
    this.#heat = heat;
    const { xr } = navigator;
    if (xr === undefined) return;
    void this.#look(xr);
    xr.addEventListener?.("devicechange", () => void this.#look(xr));
  }

  async #look(xr: XRSystem): Promise<void> {
    const offers = await Promise.all(
      (["immersive-vr", "immersive-ar"] as const).map(async (mode) =>
        (await xr.isSessionSupported(mode).catch(() => false)) ? mode : null),
    );
    this.modes = offers.filter((mode) => mode !== null);
    if (this.modes.length > 0 && this.#button === null) this.#tools.append((this.#button = this.#makeButton()));
    else if (this.modes.length === 0) {
      this.#button?.remove();
      this.#button = null;
    }
  }

  #makeButton(): HTMLButtonElement {
    const title = this.modes.includes("immersive-vr") ? t("Enter VR…") : t("Enter AR…");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    for (const d of GOGGLES) {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", d);
      svg.append(path);
    }
    const element = h("button", { title, attrs: { type: "button", "aria-label": title, "aria-haspopup": "dialog" }, on: { click: () => this.#open() } });
    element.append(svg);
    return element;
  }

  /** Ways in, and how one likes to move. */
  #open(): void {
    const told = h("p", { class: "xr-trouble", role: "alert" }, this.trouble);
    const enter = (mode: Mode, label: string, kind: "primary" | "plain"): HTMLElement | null =>
      this.modes.includes(mode) ? button(label, () => void go(mode), kind) : null;
    const go = async (mode: Mode): Promise<void> => {
      if (await this.enter(mode)) dialog.close();
      else told.textContent = this.trouble;
    };
    const now = comfort();
    const field = (label: string, control: HTMLElement): HTMLElement => h("div", { class: "xr-field" }, h("span", { class: "field-label" }, label), control);
    const choice = <T extends string>(label: string, choices: readonly (readonly [T, string])[], chosen: T, set: (value: T) => void): HTMLElement =>
      field(label, segmented(label, choices, chosen, set).element);
    const yesNo = (label: string, chosen: boolean, set: (value: boolean) => void): HTMLElement =>
      choice(label, [["yes", t("Yes")], ["no", t("No")]], chosen ? "yes" : "no", (value) => set(value === "yes"));
    const body = h(
      "div",
      { class: "form xr-form" },
      h("p", { class: "dim" }, t("Walk through the plant in its own size, or set it on a table. What a mouse does, a controller or a bare hand does too; the menu is on your wrist.")),
      choice(t("Moving"), [["teleport", t("Teleport")], ["walk", t("Walk by stick")]], now.move, (move) => setComfort({ move })),
      choice(t("Turning"), [["snap", t("In steps")], ["smooth", t("Smoothly")]], now.turn, (turn) => setComfort({ turn })),
      yesNo(t("Dark edges while moving"), now.hasVignette, (hasVignette) => setComfort({ hasVignette })),
      yesNo(t("I sit"), now.isSeated, (isSeated) => setComfort({ isSeated })),
      choice(t("Hand that points"), [["left", t("Left")], ["right", t("Right")]], now.pointing, (pointing) => setComfort({ pointing })),
      choice(t("Pictures a second"), [["calm", "72"], ["fast", t("As many as it can")]], now.rate, (rate) => setComfort({ rate })),
      told,
    );
    const dialog = openDialog(t("Headset"), body, [
      h("span", { class: "grow" }),
      enter("immersive-ar", t("Enter AR"), this.modes.length === 1 ? "primary" : "plain"),
      enter("immersive-vr", t("Enter VR"), "primary"),
    ].filter((each) => each !== null));
  }

  /** What lies over the camera's picture on a phone, where no hand carries the menu. */
  #makeOverlay(): HTMLElement {
    const root = h(
      "div",
      { class: "xr-overlay" },
      button(t("Menu"), () => this.visit?.desk.toggleMenu(), "plain"),
      button(t("Leave"), () => void this.visit?.leave(), "plain"),
    );
    // A tap on a button is not one into the room.
    for (const each of root.children) each.addEventListener("beforexrselect", (event) => event.preventDefault());
    document.body.append(root);
    return root;
  }

  /** Goes in; false where it could not be done, and `trouble` says why. */
  async enter(mode: Mode): Promise<boolean> {
    const { xr } = navigator;
    if (this.visit !== null || this.#isEntering || xr === undefined) return false;
    this.#isEntering = true;
    this.trouble = "";
    // Asked for at once: the browser grants it to a click only.
    const overlay = mode === "immersive-ar" ? this.#makeOverlay() : null;
    const asked = xr.requestSession(mode, {
      optionalFeatures: overlay === null ? OPTIONAL : OPTIONAL_AR,
      ...(overlay === null ? {} : { domOverlay: { root: overlay } }),
    });
    try {
      const [session, { Visit }] = await Promise.all([asked, import("./session.ts")]);
      const visit = new Visit(mode, session, { mirror: this.#mirror, scene: this.#scene, heat: this.#heat, company: this.company, tours: this.tours, authoring: this.authoring });
      visit.onEnd = () => {
        this.visit = null;
        overlay?.remove();
      };
      this.visit = visit;
      await visit.start();
      return true;
    } catch (error) {
      this.visit = null;
      overlay?.remove();
      this.trouble = reason(error);
      void asked.then((session) => session.end()).catch(() => {}); // Where it began all the same, nobody is left in it.
      return false;
    } finally {
      this.#isEntering = false;
    }
  }
}

/** Why no session came, for people. */
function reason(error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return t("The headset was not allowed. Allow this page to use virtual reality, and open it by https.");
  if (name === "NotSupportedError") return t("This headset cannot do that.");
  if (name === "InvalidStateError") return t("Another page is in the headset. Close it there first.");
  return t("The headset did not start: {reason}", { reason: error instanceof Error ? error.message : String(error) });
}

export function mountXr(mirror: Mirror, scene: WorldScene, tools: HTMLElement, heat: HeatPanel | null = null): Headset {
  return new Headset(mirror, scene, tools, heat);
}
