// The panel in which a tour is made: look at something, record a step, write what is to be said.

import type { Act } from "../acts.ts";
import { clockText, dayText, durationText } from "../format.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { afterPress, button, emptyState, h, iconButton, openDialog, segmented, setText } from "../panels/dom.ts";
import { openName } from "../boards/dialogs.ts";
import type { SheetStore } from "../sheets.ts";
import { t } from "../words.ts";
import type { Arrival } from "./arrival.ts";
import { adding, changing, durationOf, moving, removing, type Step, telling, type Tour } from "./model.ts";
import type { TourPlayer } from "./player.ts";
import { capture } from "./steps.ts";

export class TourEditor {
  readonly element: HTMLElement;
  name: string | null = null;
  private readonly title = h("strong", { class: "grow clip" });
  private readonly list = h("ol", { class: "tour-steps" });
  private readonly said = h("p", { class: "visually-hidden", role: "status" });
  private readonly undo = iconButton("undo", t("Undo the last change of mine"), () => void this.takeBack(), "small");
  private openId: string | null = null;
  private shown = "";

  constructor(
    private readonly context: Context,
    private readonly store: SheetStore<Tour>,
    private readonly arrival: Arrival,
    private readonly player: TourPlayer,
  ) {
    this.element = h(
      "section",
      { class: "tour-editor", hidden: true, attrs: { "aria-label": t("Edit the tour") } },
      h("div", { class: "tour-editor-head" }, this.title, this.undo, iconButton("play", t("Play the tour"), () => this.play(0), "small"), iconButton("more", t("More about this tour"), () => this.more(), "small"), iconButton("close", t("Close the editor"), () => this.close(), "small")),
      this.list,
      h("div", { class: "tour-editor-foot" }, button(t("Record a step here"), () => void this.record(), "primary", "camera"), h("p", { class: "dim" }, t("Camera, selection, time, branch and colours as they are now."))),
      this.said,
    );
    document.body.append(this.element);
    store.on(() => afterPress(() => this.paint()));
  }

  open(name: string): void {
    this.name = name;
    this.openId = null;
    this.element.hidden = false;
    document.documentElement.toggleAttribute("data-tour-editor", true);
    this.paint(true);
    this.element.querySelector<HTMLElement>(".tour-editor-foot .button")?.focus({ preventScroll: true });
  }

  close(): void {
    this.name = null;
    this.element.hidden = true;
    document.documentElement.toggleAttribute("data-tour-editor", false);
  }

  private get tour(): Tour | null {
    return this.name === null ? null : (this.store.shown(this.name)?.value ?? null);
  }

  private async act(act: Act<Tour>, reason: string): Promise<boolean> {
    if (this.name === null) return false;
    try {
      await this.store.act(this.name, act, reason);
      this.undo.disabled = !this.store.canUndo(this.name);
      return true;
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("Not saved"), detail: reasonOf(error) });
      this.paint(true);
      return false;
    }
  }

  private async record(): Promise<void> {
    const { id, act } = adding(capture(this.context, this.arrival), this.openId);
    this.openId = id;
    if (!(await this.act(act, t("step recorded")))) return;
    setText(this.said, t("Step recorded"));
    const row = this.list.querySelector<HTMLElement>(`[data-step="${id}"]`);
    row?.scrollIntoView({ block: "nearest" });
    row?.querySelector<HTMLElement>("textarea")?.focus({ preventScroll: true });
  }

  private async takeBack(): Promise<void> {
    if (this.name === null) return;
    try {
      await this.store.undo(this.name);
      setText(this.said, t("Taken back"));
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("Not taken back"), detail: reasonOf(error) });
    }
  }

  private play(index: number): void {
    if (this.name !== null && this.tour !== null) this.player.open(this.name, this.tour, index);
  }

  private more(): void {
    const { name, tour } = this;
    if (name === null || tour === null) return;
    const description = h("textarea", { class: "input", attrs: { rows: 3, maxlength: 2000, "aria-label": t("What it is about") }, on: { change: () => void this.act(telling({ description: description.value }), t("tour changed")) } });
    description.value = tour.description;
    const endless = h("input", { attrs: { type: "checkbox", checked: tour.isEndless }, on: { change: () => void this.act(telling({ isEndless: endless.checked }), t("tour changed")) } });
    const leave = (act: () => void) => (): void => {
      dialog.close();
      act();
    };
    const body = h(
      "div",
      { class: "form" },
      h("label", { class: "field" }, h("span", {}, t("What it is about")), description),
      h("label", { class: "check-row" }, endless, h("span", {}, t("Begins again by itself, as on a wall"))),
      button(t("Rename…"), leave(() => openName(t("Rename…"), name, t("Rename"), async (to) => {
        if (to === name) return;
        await this.store.rename(name, to);
        this.player.close();
        this.open(to);
      })), "plain", "authored"),
      button(t("Delete"), leave(() => void this.remove(name)), "danger", "close"),
      h("p", { class: "hint dim" }, t("Whoever changes the tour is in the log, and what was before stays there.")),
    );
    const dialog = openDialog(name, body);
  }

  private async remove(name: string): Promise<void> {
    try {
      const position = await this.store.drop(name);
      this.close();
      this.player.close();
      this.context.toast({ tone: "plain", title: t("Tour deleted"), detail: name, action: { label: t("Undo"), run: () => void this.store.takeBack(position).catch((error: unknown) => this.context.toast({ tone: "bad", title: t("Not taken back"), detail: reasonOf(error) })) } });
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("Not deleted"), detail: reasonOf(error) });
    }
  }

  // --- the list ----------------------------------------------------------------------------------

  private paint(isForced = false): void {
    const { name, tour } = this;
    if (name === null) return;
    if (tour === null) {
      if (!this.store.has(name)) this.close();
      return;
    }
    setText(this.title, name);
    this.undo.disabled = !this.store.canUndo(name);
    const key = JSON.stringify([tour, this.openId]);
    // What somebody is typing stays under their hands; it is saved when they leave the field.
    if (!isForced && (key === this.shown || this.list.contains(document.activeElement) && document.activeElement?.matches("textarea, input"))) {
      if (key !== this.shown) document.activeElement?.addEventListener("blur", () => afterPress(() => setTimeout(() => this.paint())), { once: true });
      return;
    }
    this.shown = key;
    const focused = this.list.contains(document.activeElement) ? [document.activeElement?.closest<HTMLElement>("[data-step]")?.dataset["step"], document.activeElement?.getAttribute("aria-label")] : null;
    this.list.replaceChildren(...tour.steps.map((step, i) => this.row(step, i, tour.steps.length)));
    if (tour.steps.length === 0) this.list.append(h("li", {}, emptyState("tour", t("No step yet"), t("Go to a place, select a thing, choose a moment; then record it as a step and write what is to be said."))));
    if (focused?.[0]) this.list.querySelector<HTMLElement>(`[data-step="${focused[0]}"] [aria-label="${CSS.escape(focused[1] ?? "")}"]`)?.focus({ preventScroll: true });
    if (this.player.name === name) this.player.refresh(tour);
  }

  private row(step: Step, i: number, n: number): HTMLElement {
    const isOpen = step.id === this.openId;
    const toggle = h(
      "button",
      { class: "tour-step-head", attrs: { type: "button", "aria-expanded": String(isOpen) }, on: { click: () => {
        this.openId = isOpen ? null : step.id;
        this.paint(true);
        if (!isOpen) this.play(i);
      } } },
      h("b", { class: "num" }, String(i + 1)),
      h("span", { class: "clip grow" }, step.title || step.text || t("Step without words")),
      h("small", { class: "dimmer num" }, durationText(durationOf(step) * 1000)),
    );
    return h("li", { class: isOpen ? "tour-step open" : "tour-step", attrs: { "data-step": step.id } }, toggle, isOpen && this.form(step, i, n));
  }

  private form(step: Step, i: number, n: number): HTMLElement {
    const save = (change: Partial<Step>): void => void this.act(changing(step.id, change), t("step changed"));
    const title = h("input", { class: "input", attrs: { value: step.title, maxlength: 120, placeholder: t("Title"), "aria-label": t("Title") }, on: { change: () => save({ title: title.value.trim() }) } });
    const text = h("textarea", { class: "input", attrs: { rows: 4, maxlength: 2000, placeholder: t("What is to be said"), "aria-label": t("What is to be said") }, on: { change: () => save({ text: text.value.trim() }) } });
    text.value = step.text;
    const duration = h("input", { class: "input num", attrs: { type: "number", min: 0, max: 600, step: 1, value: step.duration_s || "", placeholder: durationOf(step).toFixed(0), "aria-label": t("Seconds, when it plays by itself") }, on: { change: () => save({ duration_s: Number.isFinite(duration.valueAsNumber) ? Math.min(Math.max(duration.valueAsNumber, 0), 600) : 0 }) } });
    const up = iconButton("up", t("Earlier"), () => void this.act(moving(step.id, -1), t("step moved")), "small");
    const down = iconButton("down", t("Later"), () => void this.act(moving(step.id, 1), t("step moved")), "small");
    up.disabled = i === 0;
    down.disabled = i === n - 1;
    return h(
      "div",
      { class: "tour-step-form" },
      title,
      text,
      this.what(step, save),
      h("div", { class: "tour-step-row" },
        button(t("Take this view"), () => {
          const { title: _, ...view } = capture(this.context, this.arrival);
          save({ ...view, highlights: step.highlights });
        }, "plain", "camera"),
        this.glow(step, save),
        h("label", { class: "tour-seconds" }, duration, "s"),
        h("span", { class: "grow" }),
        up,
        down,
        iconButton("close", t("Remove this step"), () => void this.act(removing(step.id), t("step removed")), "small"),
      ),
    );
  }

  /** What the step shows, in words; a moment of the past is that one, or so long before whenever it is played. */
  private what(step: Step, save: (change: Partial<Step>) => void): HTMLElement {
    const { mirror } = this.context;
    const told = [
      step.twin && mirror.nameOf(step.twin),
      step.branch && t("Branch"),
      step.look && step.look,
      step.highlights.length > 0 && t("{n} glow", { n: step.highlights.length }),
      step.at_ms > 0 ? `${dayText(step.at_ms)} ${clockText(step.at_ms)}` : step.ago_s > 0 ? t("{time} before now", { time: durationText(step.ago_s * 1000) }) : t("Live"),
    ].filter(Boolean);
    const element = h("div", { class: "tour-step-what" }, h("span", { class: "dim" }, told.join(" · ")));
    if (step.at_ms > 0 || step.ago_s > 0) {
      const when = segmented<"at" | "ago">(t("Which moment"), [["at", t("This moment")], ["ago", t("So long ago")]], step.at_ms > 0 ? "at" : "ago", (choice) => {
        const now_ms = mirror.nowMs();
        if (choice === "ago" && step.at_ms > 0) save({ at_ms: 0, ago_s: Math.max(Math.round((now_ms - step.at_ms) / 1000), 1) });
        if (choice === "at" && step.ago_s > 0) save({ at_ms: Math.round(now_ms - step.ago_s * 1000), ago_s: 0 });
      });
      element.append(when.element);
    }
    return element;
  }

  private glow(step: Step, save: (change: Partial<Step>) => void): HTMLElement {
    const { selected } = this.context.mirror;
    const isIn = selected !== null && step.highlights.includes(selected);
    const words = selected === null && step.highlights.length > 0 ? t("No glow") : isIn ? t("Let it not glow") : t("Let it glow");
    const each = button(words, () => {
      const now = this.context.mirror.selected;
      if (now === null) save({ highlights: [] });
      else save({ highlights: step.highlights.includes(now) ? step.highlights.filter((id) => id !== now) : [...step.highlights, now] });
    });
    each.title = t("What is selected is marked in the scene while this step is shown");
    return each;
  }
}
