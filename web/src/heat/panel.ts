/**
 * The heat layer: which quantity colours the scene, and its legend. Follows live and past alike.
 *
 * Values are worked out once for each batch of the mirror and cost one small texture; the legend is
 * written a few times a second, whatever comes.
 */

import "./heat.css";

import { h, iconButton, button, segmented, setText } from "../panels/dom.ts";
import { remembered } from "../panels/context.ts";
import { countText, labelText, numberText, unitText } from "../format.ts";
import type { Id, Mirror } from "../mirror.ts";
import type { SceneApi } from "../scene/api.ts";
import { theme } from "../style/theme.ts";
import { t } from "../words.ts";
import { cssOf } from "./colours.ts";
import { Field, roundRange } from "./field.ts";
import type { Ground, Meeting } from "./field.ts";
import type { Quantity } from "./quantities.ts";
import { storeOf } from "./store.ts";

const BINS = 36;
const WRITE_MS = 250;
/** While time goes on, an automatic range is looked at again this seldom: colours must hold still. */
const RANGE_MS = 10_000;

/** A quantity as people read it in a list. */
export function quantityText(quantity: Quantity): string {
  const unit = unitText(quantity.unit);
  return `${labelText(quantity.name)}${unit ? `, ${unit}` : ""}`;
}

export class HeatPanel {
  isOpen = false;
  onToggle: () => void = () => {};
  readonly element: HTMLElement;
  readonly #mirror: Mirror;
  readonly #scene: SceneApi;
  readonly #choice = h("select", { class: "input heat-choice", attrs: { "aria-label": t("Quantity that colours the scene") }, on: { change: () => this.#choose(this.#choice.value) } });
  readonly #canvas = h("canvas", { class: "heat-scale", role: "img", attrs: { "aria-label": t("Heat layer") } });
  readonly #marker = h("span", { class: "heat-marker", hidden: true, attrs: { "aria-hidden": "true" } }, h("span"));
  readonly #low = this.#bound(t("Lowest of the range"));
  readonly #high = this.#bound(t("Highest of the range"));
  readonly #auto = button(t("Auto"), () => this.#setAuto(true), "quiet");
  readonly #lowest = h("button", { class: "heat-end", hidden: true, attrs: { type: "button" }, on: { click: () => this.#go(this.#ends[0]) } });
  readonly #highest = h("button", { class: "heat-end", hidden: true, attrs: { type: "button" }, on: { click: () => this.#go(this.#ends[1]) } });
  readonly #said = h("p", { class: "heat-said num" });
  readonly #stored = remembered<string>("heat.quantity", "");
  readonly #meeting = remembered<Meeting>("heat.meeting", "mean");
  #field: Field | null = null;
  #range: [number, number] = [0, 1];
  #isAuto = true;
  #rangedMs = -Infinity;
  #writeTimer = 0;
  #ends: [number, number] = [-1, -1];
  #isListed = false;
  /** Milliseconds that the last batch took. */
  costMs = 0;

  constructor(mirror: Mirror, scene: SceneApi) {
    this.#mirror = mirror;
    this.#scene = scene;
    const meeting = segmented<Meeting>(
      t("Where several values meet in one body"),
      [["mean", t("Mean")], ["max", t("Highest")]],
      this.#meeting.get(),
      (choice) => {
        this.#meeting.set(choice);
        this.#take(true);
      },
    );
    this.element = h(
      "section",
      { class: "heat-panel", hidden: true, attrs: { "aria-label": t("Heat layer") } },
      h("div", { class: "heat-head" }, this.#choice, iconButton("close", t("Close the heat layer"), () => this.toggle(), "small")),
      h("div", { class: "heat-scale-place" }, this.#canvas, this.#marker),
      h("div", { class: "heat-bounds" }, this.#low, this.#auto, this.#high),
      h("div", { class: "heat-ends" }, this.#lowest, this.#highest),
      h("div", { class: "heat-foot" }, this.#said, meeting.element),
    );
    document.body.append(this.element);
    mirror.on("structure", () => this.#rebuild());
    mirror.on("values", () => this.#take(false));
    mirror.on("time", () => (this.#rangedMs = -Infinity));
    mirror.on("hover", () => this.#write());
    mirror.on("selection", () => this.#write());
    scene.onBuilt(() => this.#rebuild());
    scene.onHeat((owner) => owner !== "heat" && this.isOpen && this.toggle(false));
    theme.on(() => this.#write());
    new ResizeObserver(() => this.#write()).observe(this.#canvas);
  }

  /** Opens or closes it; the scene keeps its colours where another layer has taken its place. */
  toggle(clears = true): void {
    this.isOpen = !this.isOpen;
    this.element.hidden = !this.isOpen;
    document.documentElement.toggleAttribute("data-heat", this.isOpen);
    if (this.isOpen) this.#rebuild();
    else {
      this.#field = null;
      if (clears) this.#scene.setHeat(null);
    }
    this.onToggle();
  }

  /** Shows a quantity, by name and unit. */
  show(key: string): void {
    this.#stored.set(key);
    if (!this.isOpen) this.toggle();
    else this.#rebuild();
  }

  #choose(key: string): void {
    this.#stored.set(key);
    this.#isAuto = true;
    this.#rangedMs = -Infinity;
    this.#rebuild();
  }

  // --- values ----------------------------------------------------------------------------------

  #rebuild(): void {
    if (!this.isOpen) {
      this.#isListed = false;
      return;
    }
    const { quantities } = storeOf(this.#mirror);
    const all = quantities.all;
    const chosen = quantities.get(this.#stored.get()) ?? firstShown(all);
    this.#list(all, chosen?.key ?? "");
    if (chosen === undefined) {
      this.#field = null;
      this.#scene.setHeat(null);
      setText(this.#said, t("No point of this world is a number."));
      return;
    }
    if (this.#field?.quantity.key !== chosen.key) this.#rangedMs = -Infinity;
    this.#field = new Field(chosen, this.#ground());
    this.#take(false);
  }

  #ground(): Ground {
    const mirror = this.#mirror;
    const ordinal = (id: Id | undefined): number => (id === undefined ? -1 : mirror.ordinal(id));
    const idOf = (at: number): Id => mirror.twinAt(at)?.id ?? "";
    return {
      nOrdinals: mirror.nOrdinals,
      hasBody: this.#scene.bodies(),
      parent: (at) => ordinal(mirror.parent(idOf(at))),
      children: (at) => mirror.children(idOf(at)).map((id) => mirror.ordinal(id)),
    };
  }

  #take(isNewRange: boolean): void {
    const field = this.#field;
    if (field === null || !this.isOpen) return;
    const start = performance.now();
    field.take(this.#mirror.value, this.#mirror.quality, this.#meeting.get());
    if (this.#isAuto && (isNewRange || start - this.#rangedMs > RANGE_MS)) {
      const range = field.range();
      if (range !== null) {
        this.#range = range;
        this.#rangedMs = start;
      }
    }
    this.#paint();
    this.costMs = performance.now() - start;
  }

  #paint(): void {
    this.#scene.setHeat(this.#field!.levels(...this.#range));
    this.#write();
  }

  #setAuto(isAuto: boolean): void {
    this.#isAuto = isAuto;
    this.#take(isAuto);
  }

  // --- the legend ------------------------------------------------------------------------------

  #list(all: readonly Quantity[], chosen: string): void {
    if (!this.#isListed || this.#choice.options.length !== all.length) {
      this.#isListed = true;
      this.#choice.replaceChildren(
        ...all.map((each) => h("option", { attrs: { value: each.key } }, `${quantityText(each)} · ${t("{n} points", { n: countText(each.handles.length) })}`)),
      );
    }
    this.#choice.value = chosen;
  }

  #bound(label: string): HTMLInputElement {
    return h("input", {
      class: "input num heat-bound",
      attrs: { type: "number", step: "any", "aria-label": label },
      on: {
        change: () => this.#takeBounds(),
        keydown: (event) => event.key === "Enter" && this.#takeBounds(),
      },
    });
  }

  #takeBounds(): void {
    // The legend is written a moment after the colours: a bound that is not there yet stays as it is.
    const [low, high] = [this.#low, this.#high].map(({ valueAsNumber }, i) => (Number.isFinite(valueAsNumber) ? valueAsNumber : this.#range[i]!)) as [number, number];
    this.#isAuto = false;
    this.#range = high > low ? [low, high] : roundRange(low, low);
    this.#take(false);
  }

  #write(): void {
    if (this.#writeTimer !== 0 || !this.isOpen) return;
    this.#writeTimer = window.setTimeout(() => {
      this.#writeTimer = 0;
      this.#writeNow();
    }, WRITE_MS);
  }

  #writeNow(): void {
    const field = this.#field;
    if (field === null || !this.isOpen) return;
    const [low, high] = this.#range;
    for (const [input, value] of [[this.#low, low], [this.#high, high]] as const)
      if (document.activeElement !== input) input.value = String(value);
    this.#auto.setAttribute("aria-pressed", String(this.#isAuto));
    this.#drawScale(field);
    this.#writeEnds(field);
    this.#writeMarker(field);
  }

  #writeEnds(field: Field): void {
    let lowest = -1;
    let highest = -1;
    for (let i = 0; i < field.value.length; i++) {
      const v = field.value[i]!;
      if (v !== v) continue;
      if (lowest < 0 || v < field.value[lowest]!) lowest = i;
      if (highest < 0 || v > field.value[highest]!) highest = i;
    }
    this.#ends = [lowest, highest];
    for (const [element, at, word] of [[this.#lowest, lowest, t("Lowest")], [this.#highest, highest, t("Highest")]] as const) {
      element.hidden = at < 0;
      if (at < 0) continue;
      element.replaceChildren(
        h("small", {}, word),
        h("b", { class: "num" }, this.#number(field.value[at]!)),
        h("span", { class: "clip" }, this.#nameAt(at)),
      );
    }
    const { handles } = field.quantity;
    setText(this.#said, field.n === 0 ? t("Nothing in the scene has such a value.") : t("{n} coloured of {points} points", { n: countText(field.n), points: countText(handles.length) }));
    this.#canvas.setAttribute(
      "aria-label",
      field.n === 0
        ? t("Nothing in the scene has such a value.")
        : t("{quantity}: colours from {low} to {high}, {n} things; lowest {lowest}, highest {highest}", {
            quantity: quantityText(field.quantity), low: this.#number(this.#range[0]), high: this.#number(this.#range[1]), n: field.n,
            lowest: this.#nameAt(lowest), highest: this.#nameAt(highest),
          }),
    );
  }

  /** Where on the scale what is pointed at, or selected, stands. */
  #writeMarker(field: Field): void {
    const id = this.#mirror.hovered ?? this.#mirror.selected;
    let at = id === null ? -1 : this.#mirror.ordinal(id);
    let above = id ?? undefined;
    while (above !== undefined && at >= 0 && Number.isNaN(field.value[at] ?? NaN)) {
      above = this.#mirror.parent(above);
      at = above === undefined ? -1 : this.#mirror.ordinal(above);
    }
    const value = field.value[at] ?? NaN;
    this.#marker.hidden = Number.isNaN(value);
    if (Number.isNaN(value)) return;
    const part = Math.min(Math.max((value - this.#range[0]) / (this.#range[1] - this.#range[0]), 0), 1);
    this.#marker.style.left = `${part * 100}%`;
    this.#marker.dataset["side"] = part > 0.5 ? "left" : "right";
    setText(this.#marker.firstElementChild!, `${this.#nameAt(at)} ${this.#number(value)}`);
  }

  /** How many bodies have which value, in the colours of the scale. */
  #drawScale(field: Field): void {
    const ratio = Math.min(window.devicePixelRatio, 2);
    const w = Math.round(this.#canvas.clientWidth * ratio);
    const height = Math.round(this.#canvas.clientHeight * ratio);
    if (w === 0 || height === 0) return;
    if (this.#canvas.width !== w) this.#canvas.width = w;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    const pen = this.#canvas.getContext("2d");
    if (pen === null) return;
    pen.clearRect(0, 0, w, height);
    const bar = Math.round(10 * ratio);
    const gradient = pen.createLinearGradient(0, 0, w, 0);
    for (let i = 0; i <= 32; i++) gradient.addColorStop(i / 32, cssOf(i / 32));
    pen.fillStyle = gradient;
    pen.fillRect(0, height - bar, w, bar);
    const counts = new Float64Array(BINS);
    const [low, high] = this.#range;
    for (const v of field.value) {
      if (v !== v) continue;
      const bin = Math.floor(((v - low) / (high - low)) * BINS);
      counts[Math.min(Math.max(bin, 0), BINS - 1)]! += 1;
    }
    const most = Math.max(...counts, 1);
    const gap = ratio;
    const room = height - bar - 3 * ratio;
    counts.forEach((count, i) => {
      if (count === 0) return;
      const tall = Math.max(Math.sqrt(count / most) * room, 2 * ratio);
      pen.fillStyle = cssOf((i + 0.5) / BINS);
      pen.fillRect((i / BINS) * w + gap / 2, height - bar - 2 * ratio - tall, w / BINS - gap, tall);
    });
  }

  #number(value: number): string {
    const unit = unitText(this.#field?.quantity.unit ?? "");
    return `${numberText(value)}${unit ? ` ${unit}` : ""}`;
  }

  #nameAt(ordinal: number): string {
    const twin = this.#mirror.twinAt(ordinal);
    return twin === undefined ? "" : this.#mirror.nameOf(twin.id);
  }

  #go(ordinal: number): void {
    const id = this.#mirror.twinAt(ordinal)?.id;
    if (id === undefined) return;
    this.#mirror.select(id);
    this.#scene.focus(id);
  }
}

/** What is shown before anybody has chosen: a temperature if there is one, else what most points measure. */
function firstShown(all: readonly Quantity[]): Quantity | undefined {
  return all.find((each) => /^temperature$/i.test(each.name)) ?? all[0];
}
