// Visual rules: which look colours the scene, its legend, and the way to edit it. Follows live and past
// alike; what it costs is worked out once for each batch of values.

import "./looks.css";

import { address } from "../address.ts";
import { openName } from "../boards/dialogs.ts";
import { countText, labelText, numberText, unitText } from "../format.ts";
import { cssOf as heatCss } from "../heat/colours.ts";
import type { Id, Mirror } from "../mirror.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { button, emptyState, h, iconButton, setText } from "../panels/dom.ts";
import { mayEdit } from "../panels/edit.ts";
import { icon } from "../panels/icons.ts";
import type { Conversion } from "../protocol.ts";
import type { Badge } from "../scene/api.ts";
import type { WorldScene } from "../scene/scene.ts";
import { type SheetKind, SheetStore } from "../sheets.ts";
import { t } from "../words.ts";
import { LookEditor } from "./editor.ts";
import { Lamps } from "./lamps.ts";
import { bandAt, isRamp, KIND, type Look, read, type Rule, written } from "./model.ts";
import { COLOURS, type Complaint, cssOf, Paint, type Plant } from "./paint.ts";

const LOOKS: SheetKind<Look> = { kind: KIND, read, written, made: t("look made"), renamed: t("look renamed"), deleted: t("look deleted") };
const OWNER = "look";
const WRITE_MS = 250;

export class Looks {
  /** The way to the looks, for the tools of the scene. */
  readonly button: HTMLButtonElement;
  readonly element: HTMLElement;
  readonly store: SheetStore<Look>;
  /** Name of the look that colours the scene; null: none. */
  shown: string | null = null;
  isOpen = false;
  paint: Paint | null = null;
  /** Milliseconds that the last batch took. */
  cost_ms = 0;
  readonly editor: LookEditor;
  private readonly choice = h("select", { class: "input heat-choice", attrs: { "aria-label": t("Which look") }, on: { change: () => this.show(this.choice.value || null) } });
  private readonly legend = h("ol", { class: "look-legend" });
  private readonly foot = h("div", { class: "look-foot" });
  private readonly lamps = new Lamps();
  private removeLamps: (() => void) | null = null;
  private readonly conversions = new Map<string, { scale: number; offset: number } | string | null>();
  private readonly asked = new Set<Promise<void>>();
  private preview: Look | null = null;
  private timer = 0;
  private written = "";

  constructor(private readonly context: Context) {
    const { mirror, scene, pulse } = context;
    this.store = new SheetStore(mirror, LOOKS);
    this.button = iconButton("look", t("Visual rules: colours by type and value"), () => this.toggle());
    this.editor = new LookEditor(context, this);
    this.element = h(
      "section",
      { class: "heat-panel look-panel", hidden: true, attrs: { "aria-label": t("Visual rules") } },
      h("div", { class: "heat-head" }, this.choice, iconButton("close", t("Close the visual rules"), () => this.toggle(false), "small")),
      this.legend,
      this.editor.element,
      this.foot,
    );
    document.body.append(this.element);
    this.store.on(() => this.rebuild());
    mirror.on("structure", () => this.rebuild());
    mirror.on("values", () => this.take());
    mirror.on("hover", () => this.writeSoon());
    mirror.on("selection", () => this.writeSoon());
    scene.onBuilt(() => this.rebuild());
    scene.onHeat((owner) => owner !== OWNER && this.shown !== null && this.clear(false));
    void pulse;
  }

  toggle(isOpen = !this.isOpen): void {
    this.isOpen = isOpen;
    this.element.hidden = !isOpen;
    this.button.setAttribute("aria-pressed", String(isOpen));
    document.documentElement.toggleAttribute("data-looks", isOpen);
    if (!isOpen) this.editor.close();
    else if (this.shown === null) {
      const first = this.store.names()[0];
      if (first !== undefined) this.show(first);
    }
    this.writeNow();
  }

  /** Colours the scene by a look; null: as it is. Returns why not, for a person. */
  show(name: string | null): string[] {
    if (name === null) {
      this.clear(true);
      return [];
    }
    const shown = this.store.shown(name);
    if (shown === null) return [t("There is no look “{name}”.", { name })];
    if (shown.value === null) return [t("The look “{name}” cannot be shown: {why}.", { name, why: shown.error })];
    this.shown = name;
    if (!this.isOpen) this.toggle(true);
    address.update({ look: name });
    this.rebuild();
    return [];
  }

  /** Shows rules that are not saved yet; null: what is saved. */
  try(look: Look | null): void {
    this.preview = look;
    this.rebuild();
  }

  private clear(clearsScene: boolean): void {
    const was = this.shown;
    this.shown = null;
    this.paint = null;
    this.preview = null;
    this.removeLamps?.();
    this.removeLamps = null;
    this.context.scene.setBadges(null);
    if (was !== null && clearsScene) this.context.scene.setHeat(null);
    if (was !== null) address.update({ look: null });
    this.editor.close();
    if (this.isOpen && was !== null) this.toggle(false);
  }

  // --- values ------------------------------------------------------------------------------------

  private get look(): Look | null {
    return this.shown === null ? null : (this.preview ?? this.store.shown(this.shown)?.value ?? null);
  }

  private rebuild(): void {
    const { look } = this;
    if (this.shown !== null && look === null && this.context.mirror.nTwins > 0) this.clear(true);
    this.paint = look === null ? null : new Paint(look, this.plant());
    this.take();
    this.writeNow();
  }

  private take(): void {
    const { paint } = this;
    const { mirror, scene } = this.context;
    if (paint === null) return;
    const start = performance.now();
    paint.take(mirror.value, mirror.quality);
    scene.setHeat(paint.level, OWNER, COLOURS);
    this.cost_ms = performance.now() - start;
    this.writeSoon();
  }

  /** Words and lamps follow a few times a second: nobody reads faster. */
  private mark(paint: Paint): void {
    const { mirror, scene } = this.context;
    const badges = new Map<number, Badge>();
    const lamps: { ordinal: number; css: string }[] = [];
    for (let ordinal = 0; ordinal < paint.ruleOf.length; ordinal++) {
      const rule = paint.look.rules[paint.ruleOf[ordinal]!];
      if (rule === undefined || !(rule.shows.includes("badge") || rule.shows.includes("lamp"))) continue;
      const css = paint.cssAt(ordinal);
      if (rule.shows.includes("badge")) badges.set(ordinal, { text: this.badgeText(rule, paint.value[ordinal]!), colour: "" });
      if (rule.shows.includes("lamp")) lamps.push({ ordinal, css });
    }
    scene.setBadges(badges.size > 0 ? badges : null);
    const boundsOf = (scene as Partial<WorldScene>).boundsOf;
    const isNew = this.lamps.set(lamps, (ordinal) => (boundsOf === undefined ? undefined : boundsOf.call(scene as WorldScene, mirror.twinAt(ordinal)?.id ?? "")));
    if (isNew || (lamps.length === 0) !== (this.removeLamps === null)) {
      this.removeLamps?.();
      this.removeLamps = lamps.length > 0 ? scene.addLayer(this.lamps) : null;
    }
    scene.invalidate();
  }

  private badgeText(rule: Rule, value: number): string {
    const unit = unitText(rule.unit || this.unitOf(rule));
    const figure = `${numberText(value)}${unit ? ` ${unit}` : ""}`;
    if (isRamp(rule)) return figure;
    const { mark, word } = rule.bands[bandAt(rule, value)]!;
    return [mark, word, figure].filter(Boolean).join(" ");
  }

  /** The unit of the points that a rule looks at, where it is a point alone. */
  unitOf(rule: Rule): string {
    const { mirror } = this.context;
    const name = rule.value.trim().replace(/^"(.*)"$/, "$1");
    for (const type of rule.type === "" ? mirror.types.values() : mirror.typeChain(rule.type)) {
      const point = type.points?.find((each) => each.name === name);
      if (point !== undefined) return point.unit ?? "";
    }
    return "";
  }

  plant(): Plant {
    const { mirror } = this.context;
    const idOf = (ordinal: number): Id => mirror.twinAt(ordinal)?.id ?? "";
    const ordinal = (id: Id | undefined): number => (id === undefined ? -1 : mirror.ordinal(id));
    return {
      nOrdinals: mirror.nOrdinals,
      hasBody: this.context.scene.bodies(),
      parent: (at) => ordinal(mirror.parent(idOf(at))),
      children: (at) => mirror.children(idOf(at)).map((id) => mirror.ordinal(id)),
      twinsOf: (type, pattern) => twinsOf(mirror, type, pattern),
      hasType: (type) => mirror.types.has(type),
      handle: (at, point) => mirror.handle(idOf(at), point),
      unit: (handle) => mirror.pointType(handle).unit ?? "",
      conversion: (from, to) => this.conversion(from, to),
    };
  }

  /** When all that was asked about units is answered. */
  async told(): Promise<void> {
    await Promise.all(this.asked);
  }

  private conversion(from: string, to: string): { scale: number; offset: number } | string | null {
    const key = `${from}\0${to}`;
    if (!this.conversions.has(key)) {
      this.conversions.set(key, null);
      const asked = this.context.mirror.rest
        .ofWorld<Conversion>("units/conversion", { from, to })
        .then((found) => this.conversions.set(key, found), (error: unknown) => this.conversions.set(key, reasonOf(error)))
        .then(() => {
          this.asked.delete(asked);
          this.rebuild();
        });
      this.asked.add(asked);
    }
    return this.conversions.get(key) ?? null;
  }

  // --- the legend --------------------------------------------------------------------------------

  private writeSoon(): void {
    this.timer ||= window.setTimeout(() => {
      this.timer = 0;
      if (this.paint !== null) this.mark(this.paint);
      this.writeNow();
    }, WRITE_MS);
  }

  private writeNow(): void {
    if (!this.isOpen) return;
    const names = this.store.names();
    const key = names.join("\n") + `\0${this.shown ?? ""}`;
    if (key !== this.written) {
      this.written = key;
      this.choice.replaceChildren(h("option", { attrs: { value: "" } }, t("No look: as it is")), ...names.map((name) => h("option", { attrs: { value: name } }, name)));
      this.choice.value = this.shown ?? "";
      const may = mayEdit(this.context);
      this.foot.replaceChildren(
        ...(may && this.shown !== null && !this.editor.isOpen ? [button(t("Edit"), () => this.openEditor(), "plain", "authored")] : []),
        ...(may ? [button(t("New look…"), () => this.make(), "plain", "plus")] : []),
      );
    }
    this.legend.hidden = this.editor.isOpen;
    if (this.editor.isOpen) return;
    const { paint } = this;
    if (paint === null) {
      if (this.legend.dataset["of"] !== "none") this.legend.replaceChildren(h("li", {}, emptyState("look", t("No look yet"), t("A look says how things of a type are shown by their values: hot pumps in orange, full tanks with a word."))));
      this.legend.dataset["of"] = "none";
      return;
    }
    if (this.legend.dataset["of"] !== JSON.stringify([paint.look, paint.complaints])) {
      this.legend.dataset["of"] = JSON.stringify([paint.look, paint.complaints]);
      this.legend.replaceChildren(...paint.look.rules.map((rule, i) => this.ruleRow(rule, paint.complaints[i]!)));
    }
    paint.counts.forEach((counts, r) => counts.forEach((n, b) => {
      const cell = this.legend.children[r]?.querySelector(`[data-band="${b}"]`);
      if (cell) setText(cell, countText(n));
    }));
  }

  private ruleRow(rule: Rule, complaints: readonly Complaint[]): HTMLElement {
    const unit = unitText(rule.unit || this.unitOf(rule));
    const bands = isRamp(rule)
      ? [h("div", { class: "look-band" }, h("i", { class: "look-ramp", attrs: { style: `background:linear-gradient(90deg, ${Array.from({ length: 9 }, (_, i) => heatCss(i / 8)).join(", ")})` } }), h("span", { class: "num grow" }, `${numberText(rule.low)} … ${numberText(rule.high)} ${unit}`), h("b", { class: "num", attrs: { "data-band": 0 } }, "0"))]
      : rule.bands.map((band, b) =>
          h("div", { class: "look-band" },
            h("i", { attrs: { style: `background:${cssOf(band.colour)}` } }),
            h("span", { class: "look-mark", attrs: { "aria-hidden": "true" } }, band.mark),
            h("span", { class: "clip grow" }, band.word || band.colour),
            h("span", { class: "num dim" }, b === 0 ? `< ${numberText(rule.bands[1]?.above ?? Infinity)} ${unit}` : `≥ ${numberText(band.above)} ${unit}`),
            h("b", { class: "num", attrs: { "data-band": b } }, "0"),
          ),
        );
    return h("li", {}, h("strong", { class: "clip" }, rule.title || this.titleOf(rule)), ...complaints.map((each) => h("p", { class: "look-complaint" }, icon("info"), h("span", {}, complaintText(each)))), ...bands);
  }

  titleOf(rule: Rule): string {
    const { mirror } = this.context;
    const of = rule.type === "" ? rule.pattern || t("Everything") : mirror.typeName(rule.type);
    return t("{type} by {value}", { type: of, value: labelText(rule.value) });
  }

  private openEditor(): void {
    if (this.shown === null) return;
    this.written = "";
    this.editor.open(this.shown);
    this.writeNow();
  }

  /** The editor has closed: the legend is shown again. */
  edited(): void {
    this.written = "";
    this.preview = null;
    if (this.shown !== null) this.rebuild();
    this.writeNow();
  }

  private make(): void {
    openName(t("New look"), "", t("Make it"), async (name) => {
      await this.store.create(name, { rules: [] });
      this.show(name);
      this.openEditor();
    });
  }
}

/** What is wrong of a rule, by name. */
export function complaintText({ what, name, why }: Complaint): string {
  switch (what) {
    case "type": return t("There is no type “{name}” in this world.", { name });
    case "point": return why === "" ? t("Nothing has a point “{name}”.", { name }) : t("Type “{type}” has no point “{name}”.", { type: why, name });
    case "unit": return t("Unit “{name}”: {why}", { name, why });
    case "value": return t("“{name}” cannot be worked out: {why}.", { name, why });
    default: return name === "value" ? t("Say which value it goes by.") : name === "bands" ? t("Give it a band, or a ramp.") : t("The limits must go upwards.");
  }
}

function twinsOf(mirror: Mirror, type: Id, pattern: string): Int32Array {
  const fits = patternOf(pattern);
  const isOf = new Map<Id, boolean>();
  const found: number[] = [];
  for (const twin of mirror.twins.values()) {
    const own = twin.type ?? "";
    let isOne = type === "" || isOf.get(own);
    if (isOne === undefined) isOf.set(own, (isOne = mirror.typeChain(own).some((each) => each.id === type)));
    if (isOne && fits(twin.id)) found.push(mirror.ordinal(twin.id));
  }
  return Int32Array.from(found);
}

/** `*` is anything within a part of an id, `**` over parts, as in mappings. */
function patternOf(pattern: string): (id: string) => boolean {
  if (pattern === "") return () => true;
  const text = pattern.split(/(\*\*|\*)/).map((part) => (part === "**" ? ".*" : part === "*" ? "[^/]*" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))).join("");
  const regex = new RegExp(`^${text}$`, "u");
  return (id) => regex.test(id);
}
