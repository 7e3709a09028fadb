// The card of a tour that is played: its words, the way on and back, by itself or by hand, aloud.

import { address } from "../address.ts";
import type { Context } from "../panels/context.ts";
import { remembered } from "../panels/context.ts";
import { h, iconButton, isTyping, setAttr, setText } from "../panels/dom.ts";
import { setIcon } from "../panels/icons.ts";
import { language, t } from "../words.ts";
import { durationOf, type Tour } from "./model.ts";
import { goTo } from "./steps.ts";

/** What a tour shows now, for another way of showing it. */
export interface Stop {
  name: string;
  /** From 0, of `n`. */
  index: number;
  n: number;
  title: string;
  text: string;
  /** What of it could not be shown. */
  missing: string;
  hasBack: boolean;
  hasNext: boolean;
}

export class TourPlayer {
  readonly element: HTMLElement;
  name: string | null = null;
  /** From 0. */
  index = 0;
  private tour: Tour | null = null;
  private readonly title = h("h2", { class: "tour-title", tabIndex: -1 });
  private readonly text = h("p", { class: "tour-text" });
  private readonly missing = h("p", { class: "tour-missing", hidden: true });
  private readonly count = h("span", { class: "tour-count num" });
  private readonly words: HTMLElement;
  private readonly back = iconButton("chevron", t("Back  Page Up"), () => this.step(-1), "tour-back");
  private readonly next = iconButton("chevron", t("Next  Page Down"), () => this.step(1));
  private readonly play = iconButton("play", t("Play by itself"), () => this.setPlaying(!this.isPlaying));
  private readonly speak = iconButton("speak", t("Read aloud"), () => this.setSpeaking(!this.isSpeaking.get()));
  private readonly bar = h("i", { attrs: { "aria-hidden": "true" } });
  private readonly isSpeaking = remembered("tour.speaks", false);
  private isPlaying = false;
  private isSpoken = true;
  private isRead = true;
  private timer = 0;
  private going: AbortController | null = null;

  constructor(
    private readonly context: Context,
    private readonly onChange: () => void,
  ) {
    this.words = h("div", { class: "tour-words", role: "status" }, this.count, this.title, this.text, this.missing);
    this.element = h(
      "section",
      { class: "tour-card", hidden: true, attrs: { "aria-label": t("Tour") } },
      h("div", { class: "tour-progress" }, this.bar),
      this.words,
      h("div", { class: "tour-acts" }, this.back, this.play, this.next, h("span", { class: "grow" }), this.speak, iconButton("close", t("End the tour"), () => this.close())),
    );
    setAttr(this.speak, "aria-pressed", String(this.isSpeaking.get()));
    this.speak.hidden = !("speechSynthesis" in window);
    document.body.append(this.element);
    // Who takes hold of the scene wants to look around: the tour waits.
    document.getElementById("scene")?.addEventListener("pointerdown", () => this.setPlaying(false));
    document.addEventListener("keydown", (event) => this.onKey(event));
    window.addEventListener("pagehide", () => this.hush());
  }

  get isOn(): boolean {
    return this.name !== null;
  }

  /** What is shown now; null: no tour is played. */
  get stop(): Stop | null {
    const { tour, index, name } = this;
    if (tour === null || name === null) return null;
    const step = tour.steps[index];
    const n = tour.steps.length;
    return {
      name, index, n,
      title: step?.title || (step === undefined ? t("This tour has no steps yet") : ""),
      text: step?.text ?? tour.description,
      missing: this.missing.hidden ? "" : this.missing.textContent ?? "",
      hasBack: index > 0,
      hasNext: index < n - 1 || (tour.isEndless && n > 0),
    };
  }

  /** Plays a tour from a step on (from 0). */
  open(name: string, tour: Tour, index: number, isPlaying = false): void {
    const isNew = name !== this.name;
    this.name = name;
    this.tour = tour;
    this.element.hidden = false;
    document.documentElement.toggleAttribute("data-tour", true);
    this.index = Math.min(Math.max(index, 0), Math.max(tour.steps.length - 1, 0));
    const change = { tour: name, step: this.index + 1 };
    if (isNew && address.link.tour !== name) address.go(change);
    else address.update(change);
    this.isPlaying = isPlaying;
    void this.show();
    if (isNew) this.title.focus({ preventScroll: true });
    this.onChange();
  }

  /** The tour has become another one while it is played. */
  refresh(tour: Tour): void {
    const id = this.tour?.steps[this.index]?.id;
    this.tour = tour;
    const at = tour.steps.findIndex((step) => step.id === id);
    this.index = at >= 0 ? at : Math.min(this.index, Math.max(tour.steps.length - 1, 0));
    this.paint();
  }

  close(): void {
    if (this.name === null) return;
    this.name = this.tour = null;
    this.going?.abort();
    this.hush();
    clearTimeout(this.timer);
    this.isPlaying = false;
    this.element.hidden = true;
    document.documentElement.toggleAttribute("data-tour", false);
    this.context.scene.highlight([]);
    this.context.looks.show(null);
    address.update({ tour: null, step: 1 });
    this.onChange();
  }

  step(by: number): void {
    const { tour } = this;
    if (tour === null || tour.steps.length === 0) return;
    const to = this.index + by;
    if (to >= tour.steps.length && !(this.isPlaying && tour.isEndless)) {
      this.setPlaying(false);
      return;
    }
    this.index = (to + tour.steps.length) % tour.steps.length;
    if (to < 0) this.index = 0;
    address.update({ step: this.index + 1 });
    void this.show();
    this.onChange();
  }

  setPlaying(isPlaying: boolean): void {
    if (isPlaying === this.isPlaying || this.tour === null) return;
    this.isPlaying = isPlaying;
    if (isPlaying && this.index === this.tour.steps.length - 1) this.index = -1;
    if (isPlaying && this.index < 0) this.step(1);
    else if (isPlaying) this.wait();
    else {
      clearTimeout(this.timer);
      this.hush();
    }
    this.paint();
  }

  private setSpeaking(isOn: boolean): void {
    this.isSpeaking.set(isOn);
    setAttr(this.speak, "aria-pressed", String(isOn));
    if (isOn) this.say();
    else this.hush();
  }

  private async show(): Promise<void> {
    const step = this.tour?.steps[this.index];
    this.going?.abort();
    this.paint();
    if (step === undefined) return;
    const going = (this.going = new AbortController());
    this.wait();
    if (this.isSpeaking.get()) this.say();
    const missing = await goTo(this.context, step, going.signal);
    if (going.signal.aborted) return;
    this.missing.hidden = missing.length === 0;
    setText(this.missing, missing.join(" "));
  }

  private paint(): void {
    const { stop } = this;
    if (stop === null) return;
    const { name, index, n, title, text } = stop;
    setText(this.count, n === 0 ? name : t("{name} · step {i} of {n}", { name, i: index + 1, n }));
    setText(this.title, title);
    setText(this.text, text);
    this.title.hidden = title === "";
    this.missing.hidden = true;
    this.back.disabled = !stop.hasBack;
    this.next.disabled = !stop.hasNext;
    this.play.disabled = n < 2;
    const label = this.isPlaying ? t("Pause the tour") : t("Play by itself");
    setIcon(this.play.querySelector("svg")!, this.isPlaying ? "pause" : "play");
    setAttr(this.play, "aria-label", label);
    this.play.title = label;
    this.bar.style.width = `${n === 0 ? 0 : ((index + 1) / n) * 100}%`;
  }

  // --- by itself, and aloud -----------------------------------------------------------------------

  private wait(): void {
    clearTimeout(this.timer);
    const step = this.tour?.steps[this.index];
    if (!this.isPlaying || step === undefined) return;
    this.isRead = false;
    this.timer = window.setTimeout(() => {
      this.isRead = true;
      this.onIfDone();
    }, durationOf(step) * 1000);
  }

  /** On to the next when it was shown long enough, and said to its end. */
  private onIfDone(): void {
    if (this.isPlaying && this.isRead && this.isSpoken) this.step(1);
  }

  private say(): void {
    this.hush();
    const step = this.tour?.steps[this.index];
    const words = step === undefined ? "" : [step.title, step.text].filter(Boolean).join(". ");
    if (words === "" || !("speechSynthesis" in window)) return;
    const said = new SpeechSynthesisUtterance(words);
    said.lang = language;
    this.isSpoken = false;
    const end = (): void => {
      if (this.isSpoken) return;
      this.isSpoken = true;
      this.onIfDone();
    };
    said.addEventListener("end", end);
    said.addEventListener("error", end); // no voice on this machine: the words stand there
    speechSynthesis.speak(said);
  }

  private hush(): void {
    this.isSpoken = true;
    if ("speechSynthesis" in window) speechSynthesis.cancel();
  }

  private onKey(event: KeyboardEvent): void {
    if (!this.isOn || event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || document.querySelector("dialog[open]")) return;
    const isInside = event.target instanceof Node && this.element.contains(event.target);
    if (event.key === "PageDown" || (isInside && event.key === "ArrowRight")) this.step(1);
    else if (event.key === "PageUp" || (isInside && event.key === "ArrowLeft")) this.step(-1);
    else if (event.key === "Escape" && isInside) this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
