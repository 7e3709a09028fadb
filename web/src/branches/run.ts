// Runs the branch: with which models, how fast, how long; and how the run stands.

import { countText, durationText } from "../format.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { button, h, segmented, setText } from "../panels/dom.ts";
import { icon } from "../panels/icons.ts";
import type { AttachedModel, Branch, ModelRow, RunState } from "../protocol.ts";
import { t } from "../words.ts";
import { openGantt } from "./gantt.ts";
import type { Part } from "./inside.ts";
import { type OptionFields, optionFields } from "./options.ts";
import { momentOf, STATES } from "./state.ts";
import type { BranchStore } from "./store.ts";

const SPEEDS = [["1", "1×"], ["10", "10×"], ["60", "60×"], ["600", "600×"], ["0", t("Fastest")]] as const;
type Speed = (typeof SPEEDS)[number][0];

export class RunPart implements Part {
  readonly element = h("div", { class: "branch-part scroll", tabIndex: -1 });
  private readonly state = h("div", { class: "run-state", role: "status" });
  private readonly bar = h("progress", { class: "run-bar", attrs: { max: 1, "aria-label": t("Progress of the run") } });
  private readonly problem = h("p", { class: "run-problem", role: "alert", hidden: true });
  private readonly acts = h("div", { class: "run-acts" });
  private readonly failed = h("p", { class: "error-line", role: "alert" });
  private readonly gantt = button(t("What the machines did…"), () => {
    const branch = this.store.shown;
    if (branch !== undefined) openGantt(this.context, branch.at_ns / 1e6, branch.run.now_ns / 1e6);
  }, "plain", "gantt");
  private readonly modelPlace = h("div", {});
  private readonly hours = h("input", { class: "input num", attrs: { type: "number", min: "0", step: "any", value: "1", "aria-label": t("How long, in hours of the branch") } });
  private readonly endless = h("input", { attrs: { type: "checkbox" } });
  private readonly step = h("input", { class: "input num", attrs: { type: "number", min: "0.001", step: "any", value: "1", "aria-label": t("Step of the models in seconds") } });
  private readonly seed = h("input", { class: "input num", attrs: { type: "number", step: "1", value: "1", "aria-label": t("Seed of chance") } });
  private speed: Speed = "60";
  private fields = new Map<string, { check: HTMLInputElement; options: OptionFields }>();
  private shownModels = "";
  private shownActs = "";
  /** The branch whose run was started paused. */
  private held = "";
  /** The clock when the run that is going on was first seen, to tell how far it is. */
  private began: { branch: string; until_ns: number; from_ns: number } | null = null;

  constructor(
    private readonly context: Context,
    private readonly store: BranchStore,
  ) {
    const speeds = segmented(t("Speed"), SPEEDS, this.speed, (choice) => {
      this.speed = choice;
      const run = store.shown?.run;
      if (run !== undefined && (run.state === "running" || run.state === "paused")) void this.act(() => store.api.control(this.id, { act: "speed", speed: Number(choice) }));
    });
    this.endless.addEventListener("change", () => (this.hours.disabled = this.endless.checked));
    this.element.append(
      h("div", { class: "run-head" }, this.state, this.bar, this.problem, this.acts, this.gantt, this.failed),
      h("div", { class: "branch-group" }, h("h4", {}, t("Speed")), speeds.element),
      h("div", { class: "branch-group" }, h("h4", {}, t("How long")),
        h("label", { class: "branch-field" }, h("span", {}, t("Hours of the branch")), this.hours),
        h("label", { class: "check" }, this.endless, t("until it is stopped")),
      ),
      h("div", { class: "branch-group" }, h("h4", {}, t("Models")), this.modelPlace),
      h("details", { class: "branch-section" }, h("summary", {}, t("More")),
        h("label", { class: "branch-field" }, h("span", {}, t("Step, s")), this.step),
        h("label", { class: "branch-field" }, h("span", {}, t("Seed")), this.seed),
      ),
    );
    store.on(() => context.pulse.mark(this));
    context.mirror.on("branch", () => context.pulse.mark(this));
  }

  private get id(): string {
    return this.context.mirror.branch ?? "";
  }

  paint(): void {
    const branch = this.store.shown;
    if (this.element.hidden || branch === undefined) return;
    this.paintState(branch);
    this.paintModels(branch, this.store.page?.models ?? []);
  }

  private paintState({ id, run, at_ns, may_change }: Branch): void {
    this.gantt.hidden = run.samples === 0 && run.now_ns <= at_ns;
    const { mirror } = this.context;
    const isRunning = run.state === "running" || run.state === "starting";
    const ran_ns = Math.max(0, run.now_ns - at_ns);
    setText(this.state, t("{state} · {clock} · {span} after the fork", { state: STATES[run.state] ?? run.state, clock: momentOf(run.now_ns, mirror.nowMs()), span: durationText(ran_ns / 1e6) }) + (run.samples > 0 ? ` · ${t("{n} samples", { n: countText(run.samples) })}` : ""));
    this.paintBar(id, run, isRunning);
    this.problem.hidden = run.detail === "";
    this.problem.classList.toggle("bad", run.state === "failed");
    setText(this.problem, run.detail);
    // A run that was started paused says that it starts until its first step.
    const isHeld = run.state === "paused" || (run.state === "starting" && this.held === id);
    const shown = JSON.stringify([run.state, isHeld, may_change]);
    if (shown === this.shownActs) return;
    this.shownActs = shown;
    const { api } = this.store;
    const focused = this.acts.contains(document.activeElement);
    const acts: HTMLButtonElement[] = [];
    if (may_change) {
      if (isHeld)
        acts.push(
          button(t("Go on"), () => {
            this.held = "";
            void this.act(() => api.control(this.id, { act: "resume" }));
          }, "primary", "play"),
          button(t("Step"), () => void this.act(() => api.control(this.id, { act: "step", duration_s: this.step.valueAsNumber || 1 })), "plain"),
          button(t("Stop"), () => void this.act(() => api.control(this.id, { act: "stop" })), "plain"),
        );
      else if (isRunning)
        acts.push(
          button(t("Pause"), () => void this.act(() => api.control(this.id, { act: "pause" })), "primary", "pause"),
          button(t("Stop"), () => void this.act(() => api.control(this.id, { act: "stop" })), "plain"),
        );
      else
        acts.push(
          button(t("Run"), () => void this.start(false), "primary", "play"),
          button(t("Start paused"), () => void this.start(true), "plain"),
        );
    }
    this.acts.replaceChildren(...acts);
    if (focused) acts[0]?.focus({ preventScroll: true });
  }

  private paintBar(id: string, run: RunState, isRunning: boolean): void {
    const isOn = isRunning || run.state === "paused";
    this.bar.hidden = !isOn;
    if (!isOn) {
      this.began = null;
      return;
    }
    if (run.until_ns === null || run.until_ns === undefined) {
      this.bar.removeAttribute("value");
      return;
    }
    if (this.began?.branch !== id || this.began.until_ns !== run.until_ns) this.began = { branch: id, until_ns: run.until_ns, from_ns: run.now_ns };
    this.bar.value = Math.min(1, (run.now_ns - this.began.from_ns) / Math.max(1, run.until_ns - this.began.from_ns));
  }

  private paintModels(branch: Branch, models: readonly ModelRow[]): void {
    const shown = JSON.stringify([branch.id, models, branch.models, branch.may_change]);
    if (shown === this.shownModels) return;
    this.shownModels = shown;
    this.fields.clear();
    if (models.length === 0) {
      this.modelPlace.replaceChildren(h("p", { class: "dim" }, t("This installation has no models; the guide says how one is written.")));
      return;
    }
    this.modelPlace.replaceChildren(
      ...models.map((model) => {
        const attached = branch.models.find(({ name }) => name === model.name);
        const check = h("input", { attrs: { type: "checkbox", checked: attached !== undefined, disabled: !branch.may_change, "aria-label": model.name } });
        const options = optionFields(model, attached?.options);
        this.fields.set(model.name, { check, options });
        return h("details", { class: "branch-model" }, h("summary", {}, check, h("span", { class: "grow" }, h("b", {}, model.name), h("small", { class: "dim" }, model.description)), model.options.length > 0 && icon("down", "small")), options.element);
      }),
    );
  }

  private async start(isPaused: boolean): Promise<void> {
    const models: AttachedModel[] = [];
    for (const [name, { check, options }] of this.fields) if (check.checked) models.push({ name, options: options.read() });
    const hours = this.hours.valueAsNumber;
    this.held = isPaused ? this.id : "";
    await this.act(async () => {
      await this.store.api.patch(this.id, { models });
      await this.store.api.run(this.id, {
        duration_s: this.endless.checked || !(hours > 0) ? null : hours * 3600,
        speed: Number(this.speed),
        step_s: this.step.valueAsNumber > 0 ? this.step.valueAsNumber : 1,
        seed: this.seed.valueAsNumber || 1,
        is_paused: isPaused,
      });
    });
  }

  private async act(what: () => Promise<unknown>): Promise<void> {
    setText(this.failed, "");
    try {
      await what();
    } catch (error) {
      setText(this.failed, reasonOf(error));
    }
    await this.store.refresh();
  }
}
