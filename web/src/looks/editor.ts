// The form in which a look is made: rules in the order in which they count, shown in the scene while
// they are typed, saved when a field is left.

import type { Act } from "../acts.ts";
import { openName } from "../boards/dialogs.ts";
import { labelText } from "../format.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { afterPress, button, h, iconButton, segmented, setText } from "../panels/dom.ts";
import { LOOK_BANDS_MAX, LOOK_COLOURS, LOOK_MARKS, LOOK_SHOWS } from "../protocol.ts";
import { t } from "../words.ts";
import type { Looks } from "./index.ts";
import { complaintText } from "./index.ts";
import { adding, type Band, changing, isRamp, type Look, moving, removing, type Rule } from "./model.ts";
import { cssOf, Paint } from "./paint.ts";

const COLOUR_WORDS: Readonly<Record<string, string>> = {
  blue: t("blue"), sky: t("sky blue"), green: t("green"), yellow: t("yellow"), orange: t("orange"), vermilion: t("vermilion"), purple: t("purple"), grey: t("grey"),
};
const SHOW_WORDS: Readonly<Record<string, string>> = { colour: t("its body"), badge: t("a word on its name"), lamp: t("a lamp above it") };

export class LookEditor {
  readonly element = h("div", { class: "look-editor", hidden: true });
  isOpen = false;
  private name = "";
  private openId: string | null = null;
  private shown = "";

  constructor(
    private readonly context: Context,
    private readonly looks: Looks,
  ) {
    looks.store.on(() => afterPress(() => this.build()));
  }

  open(name: string): void {
    this.name = name;
    this.isOpen = true;
    this.element.hidden = false;
    this.openId = this.look?.rules[0]?.id ?? null;
    this.build(true);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.element.hidden = true;
    this.looks.edited();
  }

  private get look(): Look | null {
    return this.looks.store.shown(this.name)?.value ?? null;
  }

  private async act(act: Act<Look>, reason: string): Promise<void> {
    this.looks.try(null);
    try {
      await this.looks.store.act(this.name, act, reason);
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("Not saved"), detail: reasonOf(error) });
      this.build(true);
    }
  }

  private build(isForced = false): void {
    const { look } = this;
    if (!this.isOpen || look === null) return;
    const key = JSON.stringify([look, this.openId]);
    if (!isForced && key === this.shown) return;
    // What is being typed stays under the person's hands.
    const active = document.activeElement;
    const label = this.element.contains(active) ? active?.getAttribute("aria-label") : null;
    const typed = label && active instanceof HTMLInputElement && active.type !== "checkbox" && active.value !== active.defaultValue ? active.value : null;
    this.shown = key;
    const undo = iconButton("undo", t("Undo the last change of mine"), () => void this.looks.store.undo(this.name).catch((error: unknown) => this.context.toast({ tone: "bad", title: t("Not taken back"), detail: reasonOf(error) })), "small");
    undo.disabled = !this.looks.store.canUndo(this.name);
    this.element.replaceChildren(
      h("ol", { class: "look-rules" }, ...look.rules.map((rule, i) => this.row(rule, i, look.rules.length))),
      h("p", { class: "hint dim" }, t("The first rule that something fits counts.")),
      h("div", { class: "look-foot" },
        button(t("Add a rule"), () => this.add(), "plain", "plus"),
        undo,
        h("span", { class: "grow" }),
        iconButton("authored", t("Rename…"), () => this.rename(), "small"),
        iconButton("close", t("Delete this look"), () => void this.remove(), "small"),
        button(t("Done"), () => this.close(), "primary", "check"),
      ),
    );
    const next = label ? this.element.querySelector<HTMLElement>(`[aria-label="${CSS.escape(label)}"]`) : null;
    if (typed !== null && next instanceof HTMLInputElement) {
      next.value = typed;
      // The browser tells of no change that it has not seen being typed.
      next.addEventListener("blur", () => next.dispatchEvent(new Event("change")), { once: true });
    }
    next?.focus({ preventScroll: true });
  }

  /** A rule about what is selected, else about the type of most twins that say a number. */
  private add(): void {
    const { mirror } = this.context;
    const type = (mirror.selected === null ? undefined : mirror.twins.get(mirror.selected)?.type) ?? "";
    const point = this.pointsOf(type)[0];
    const low = point?.low ?? 0;
    const high = point?.high ?? 100;
    const { id, act } = adding({
      type, value: point === undefined ? "" : quoted(point.name), unit: point?.unit ?? "",
      bands: [
        { above: low, colour: "green", mark: "✓", word: t("calm") },
        { above: low + (high - low) * 0.6, colour: "yellow", mark: "◆", word: t("raised") },
        { above: low + (high - low) * 0.8, colour: "vermilion", mark: "▲", word: t("high") },
      ],
    });
    this.openId = id;
    void this.act(act, t("rule added"));
  }

  private pointsOf(type: string): { name: string; unit?: string; low?: number | null; high?: number | null }[] {
    const { mirror } = this.context;
    const found = new Map<string, { name: string; unit?: string; low?: number | null; high?: number | null }>();
    for (const each of type === "" ? mirror.types.values() : mirror.typeChain(type))
      for (const point of each.points ?? []) if ((point.kind ?? 0) <= 1 && !found.has(point.name)) found.set(point.name, point);
    return [...found.values()];
  }

  private rename(): void {
    openName(t("Rename…"), this.name, t("Rename"), async (to) => {
      if (to === this.name) return;
      await this.looks.store.rename(this.name, to);
      this.name = to;
      this.looks.show(to);
    });
  }

  private async remove(): Promise<void> {
    const { name } = this;
    try {
      const position = await this.looks.store.drop(name);
      this.close();
      this.looks.show(null);
      this.context.toast({ tone: "plain", title: t("Look deleted"), detail: name, action: { label: t("Undo"), run: () => void this.looks.store.takeBack(position) } });
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("Not deleted"), detail: reasonOf(error) });
    }
  }

  // --- one rule ----------------------------------------------------------------------------------

  private row(rule: Rule, i: number, n: number): HTMLElement {
    const isOpen = rule.id === this.openId;
    const toggle = h("button", { class: "tour-step-head", attrs: { type: "button", "aria-expanded": String(isOpen) }, on: { click: () => {
      this.openId = isOpen ? null : rule.id;
      this.build(true);
    } } }, h("b", { class: "num" }, String(i + 1)), h("span", { class: "clip grow" }, rule.title || this.looks.titleOf(rule)));
    const up = iconButton("up", t("Counts earlier"), () => void this.act(moving(rule.id, -1), t("rule moved")), "small");
    const down = iconButton("down", t("Counts later"), () => void this.act(moving(rule.id, 1), t("rule moved")), "small");
    up.disabled = i === 0;
    down.disabled = i === n - 1;
    return h("li", { class: isOpen ? "tour-step open" : "tour-step" }, h("div", { class: "look-rule-head" }, toggle, up, down, iconButton("close", t("Remove this rule"), () => void this.act(removing(rule.id), t("rule removed")), "small")), isOpen && this.form(rule));
  }

  private form(rule: Rule): HTMLElement {
    const { mirror } = this.context;
    const failed = h("p", { class: "error-line", role: "alert" });
    /** Types and units that are not there are refused by name, before they are saved. */
    const faultOf = (next: Rule): string => {
      const [complaints] = new Paint({ rules: [next] }, this.looks.plant()).complaints;
      return complaints!.map(complaintText).join(" ");
    };
    // What was refused waits here until it is whole with what else is said.
    let draft: Partial<Rule> = {};
    const preview = (change: Partial<Rule>): void => {
      const { look } = this;
      const next = { ...rule, ...draft, ...change };
      setText(failed, faultOf(next));
      if (look !== null) this.looks.try({ rules: look.rules.map((each) => (each.id === rule.id ? next : each)) });
    };
    const save = (change: Partial<Rule>): void => {
      draft = { ...draft, ...change };
      faultOf({ ...rule, ...draft }); // asks how units convert, where nobody has yet
      void this.looks.told().then(() => {
        const fault = faultOf({ ...rule, ...draft });
        setText(failed, fault);
        if (fault !== "") preview({});
        else void this.act(changing(rule.id, draft), t("rule changed"));
      });
    };
    const title = h("input", { class: "input", attrs: { value: rule.title, maxlength: 120, placeholder: this.looks.titleOf(rule), "aria-label": t("Title") }, on: { change: () => save({ title: title.value.trim() }) } });
    const types = [...mirror.types.keys()].sort((a, b) => mirror.typeName(a).localeCompare(mirror.typeName(b)));
    const type = h("select", { class: "input", attrs: { "aria-label": t("Of which type") }, on: { change: () => save({ type: type.value }) } }, h("option", { attrs: { value: "" } }, t("Of any type")), ...types.map((id) => h("option", { attrs: { value: id } }, mirror.typeName(id))));
    if (rule.type !== "" && !mirror.types.has(rule.type)) type.append(h("option", { attrs: { value: rule.type } }, rule.type));
    type.value = rule.type;
    const pattern = h("input", { class: "input mono", attrs: { value: rule.pattern, placeholder: "line1/**", "aria-label": t("Only twins whose id fits") , spellcheck: "false" }, on: { change: () => save({ pattern: pattern.value.trim() }) } });
    const listId = `look-points-${rule.id}`;
    const list = h("datalist", { id: listId }, ...this.pointsOf(rule.type).map((point) => h("option", { attrs: { value: quoted(point.name), label: labelText(point.name) } })));
    const value = h("input", { class: "input mono", attrs: { value: rule.value, list: listId, placeholder: "Vibration", "aria-label": t("By which value"), spellcheck: "false" }, on: { change: () => save({ value: value.value.trim(), ...this.fitted(rule, value.value.trim()) }) } });
    const unit = h("input", { class: "input mono", attrs: { value: rule.unit, placeholder: this.looks.unitOf(rule) || "1", "aria-label": t("In which unit (UCUM)"), spellcheck: "false" }, on: { change: () => save({ unit: unit.value.trim() }) } });
    const how = segmented<"bands" | "ramp">(t("How it is coloured"), [["bands", t("Bands")], ["ramp", t("Ramp")]], isRamp(rule) ? "ramp" : "bands", (choice) => {
      const [low, high] = [rule.bands[0]?.above ?? rule.low, rule.bands.at(-1)?.above ?? rule.high];
      if (choice === "ramp" && !isRamp(rule)) save({ bands: [], low, high: high > low ? high : low + 1 });
      if (choice === "bands" && isRamp(rule)) save({ low: 0, high: 0, bands: [{ above: rule.low, colour: "green", mark: "✓", word: "" }, { above: rule.high, colour: "vermilion", mark: "▲", word: "" }] });
    });
    const shows = h("fieldset", { class: "look-shows" }, h("legend", {}, t("It shows by")), ...LOOK_SHOWS.map((each) => {
      const box = h("input", { attrs: { type: "checkbox", checked: rule.shows.includes(each) }, on: { change: () => save({ shows: LOOK_SHOWS.filter((one) => (one === each ? box.checked : rule.shows.includes(one))) }) } });
      return h("label", {}, box, SHOW_WORDS[each]!);
    }));
    return h("div", { class: "tour-step-form" }, title, h("div", { class: "look-pair" }, type, pattern), h("div", { class: "look-pair wide" }, value, unit, list), how.element, ...(isRamp(rule) ? [this.ramp(rule, preview, save)] : [this.bands(rule, () => draft.bands ?? rule.bands, preview, save)]), shows, failed);
  }

  /** Unit and limits for another point: the same parts of its range. */
  private fitted(rule: Rule, value: string): Partial<Rule> {
    const named = (text: string): string => text.replace(/^"(.*)"$/, "$1");
    const points = this.pointsOf(rule.type);
    const before = points.find(({ name }) => name === named(rule.value));
    const point = points.find(({ name }) => name === named(value));
    const unit = point?.unit ?? "";
    if (point === undefined || unit === rule.unit) return {};
    const [low, high] = [point.low ?? 0, point.high ?? 100];
    const [from, to] = [before?.low ?? 0, before?.high ?? 100];
    const place = (limit: number): number => Number((low + ((limit - from) / (to - from || 1)) * (high - low)).toPrecision(4));
    return isRamp(rule) ? { unit, low, high } : { unit, bands: rule.bands.map((band) => ({ ...band, above: place(band.above) })) };
  }

  private ramp(rule: Rule, preview: (change: Partial<Rule>) => void, save: (change: Partial<Rule>) => void): HTMLElement {
    const bound = (label: string, at: "low" | "high"): HTMLInputElement => {
      const input: HTMLInputElement = h("input", { class: "input num", attrs: { type: "number", step: "any", value: rule[at], "aria-label": label }, on: {
        input: () => Number.isFinite(input.valueAsNumber) && preview({ [at]: input.valueAsNumber }),
        change: () => Number.isFinite(input.valueAsNumber) && save({ [at]: input.valueAsNumber }),
      } });
      return input;
    };
    return h("div", { class: "look-pair" }, bound(t("Lowest of the range"), "low"), bound(t("Highest of the range"), "high"));
  }

  /** `now`: the bands with what was said since the form was made, for the next change to build on. */
  private bands(rule: Rule, now: () => readonly Band[], preview: (change: Partial<Rule>) => void, save: (change: Partial<Rule>) => void): HTMLElement {
    const replaced = (i: number, change: Partial<Band>): { bands: Band[] } => ({ bands: now().map((band, at) => (at === i ? { ...band, ...change } : band)) });
    const rows = rule.bands.map((band, i) => {
      const nth = { n: i + 1 };
      const above = h("input", { class: "input num", attrs: { type: "number", step: "any", value: band.above, "aria-label": t("Limit of band {n}", nth) }, on: {
        input: () => Number.isFinite(above.valueAsNumber) && preview(replaced(i, { above: above.valueAsNumber })),
        change: () => Number.isFinite(above.valueAsNumber) && save(replaced(i, { above: above.valueAsNumber })),
      } });
      const swatch = h("i", { class: "look-swatch", attrs: { style: `background:${cssOf(band.colour)}`, "aria-hidden": "true" } });
      const colour = h("select", { class: "input", attrs: { "aria-label": t("Colour of band {n}", nth) }, on: { change: () => save(replaced(i, { colour: colour.value })) } }, ...LOOK_COLOURS.map((each) => h("option", { attrs: { value: each } }, COLOUR_WORDS[each]!)));
      colour.value = band.colour;
      const mark = h("select", { class: "input look-mark-choice", attrs: { "aria-label": t("Mark of band {n}", nth) }, on: { change: () => save(replaced(i, { mark: mark.value })) } }, ...LOOK_MARKS.map((each) => h("option", { attrs: { value: each } }, each || "–")));
      mark.value = band.mark;
      const word = h("input", { class: "input", attrs: { value: band.word, maxlength: 24, placeholder: t("Word"), "aria-label": t("Word of band {n}", nth) }, on: { change: () => save(replaced(i, { word: word.value.trim() })) } });
      const gone = iconButton("minus", t("Remove band {n}", nth), () => save({ bands: rule.bands.filter((_, at) => at !== i) }), "small");
      gone.disabled = rule.bands.length < 2;
      return h("div", { class: "look-band-row" }, above, swatch, colour, mark, word, gone);
    });
    const more = button(t("Add a band"), () => {
      const last = rule.bands.at(-1);
      const step = rule.bands.length > 1 ? last!.above - rule.bands.at(-2)!.above : 1;
      save({ bands: [...rule.bands, { above: (last?.above ?? 0) + step, colour: LOOK_COLOURS[rule.bands.length % LOOK_COLOURS.length]!, mark: "■", word: "" }] });
    }, "quiet", "plus");
    more.disabled = rule.bands.length >= LOOK_BANDS_MAX;
    return h("div", { class: "look-bands" }, ...rows, more);
  }
}

/** A point's name as an expression has it. */
function quoted(name: string): string {
  return /^[\p{L}_][\p{L}\p{N}_.:]*$/u.test(name) ? name : `"${name}"`;
}
