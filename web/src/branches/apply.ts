// From what differs in the branch to the plant: a plan of desired values and tasks, approved by who
// may, carried out step by step, and rolled back where a step fails.

import { labelText, numberText, unitText } from "../format.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { button, h, iconButton, segmented, setText } from "../panels/dom.ts";
import type { BranchDiff, DiffRow, Plan, PlanStep } from "../protocol.ts";
import { t } from "../words.ts";
import type { Part } from "./inside.ts";
import { momentOf, PLANNED, STEPPED } from "./state.ts";
import type { BranchStore } from "./store.ts";

const BUSY_MS = 700;
const ROWS_SHOWN = 200;
const CALLS_MAX = 20;

export class ApplyPart implements Part {
  readonly element = h("div", { class: "branch-part scroll", tabIndex: -1 });
  private readonly diffPlace = h("div", {});
  private readonly planPlace = h("div", {});
  private readonly failed = h("p", { class: "error-line", role: "alert" });
  private readonly reason = h("input", { class: "input", attrs: { maxlength: "500", placeholder: t("Why this is to be done"), "aria-label": t("Reason") } });
  private readonly make: HTMLElement;
  private against: "fork" | "live" = "fork";
  private of = "";
  private shownDiff = "";
  private shownPlans = "";
  private timer = 0;
  private readonly call = h("select", { class: "select", attrs: { "aria-label": t("Operation to be called after the values are set") } });
  private readonly called = h("ul", { class: "grants" });
  private calls: { twin: string; operation: string }[] = [];
  private areCallsStale = true;

  constructor(
    private readonly context: Context,
    private readonly store: BranchStore,
  ) {
    const against = segmented(t("Compared with"), [["fork", t("where it began")], ["live", t("the plant now")]] as const, this.against, (choice) => {
      this.against = choice;
      this.of = "";
      this.paint();
    });
    this.call.addEventListener("change", () => {
      const [twin, operation] = this.call.value.split("\0");
      if (twin && operation && this.calls.length < CALLS_MAX) this.calls.push({ twin, operation });
      this.paintCalls();
    });
    for (const what of ["structure", "branch"] as const) context.mirror.on(what, () => (this.areCallsStale = true));
    this.make = h("div", { class: "branch-group" }, this.reason, this.called, this.call, h("div", { class: "run-acts" }, button(t("Make a plan"), () => void this.plan(), "primary", "command")), h("p", { class: "hint dim" }, t("Values that are armed become commands, everything else a task for people. Nothing is done before the plan is approved.")));
    this.element.append(h("div", { class: "branch-group" }, h("h4", {}, t("Differences")), against.element, this.diffPlace), this.make, this.failed, this.planPlace);
    store.on(() => context.pulse.mark(this));
    context.mirror.on("branch", () => context.pulse.mark(this));
  }

  paint(): void {
    const branch = this.store.shown;
    if (this.element.hidden || branch === undefined) return;
    this.make.hidden = !branch.may_change;
    if (this.areCallsStale) {
      this.areCallsStale = false;
      this.calls = [];
      this.paintCalls();
    }
    const of = `${branch.id} ${branch.changes} ${this.against} ${branch.run.state}`;
    if (of === this.of) return;
    this.of = of;
    void this.fillDiff(branch.id);
    void this.fillPlans();
  }

  private async fillDiff(id: string): Promise<void> {
    try {
      const diff = await this.store.api.diff(id, this.against);
      if (this.context.mirror.branch !== id) return;
      const shown = JSON.stringify(diff);
      if (shown === this.shownDiff) return;
      this.shownDiff = shown;
      this.diffPlace.replaceChildren(this.diffList(diff));
    } catch (error) {
      this.of = this.shownDiff = "";
      this.diffPlace.replaceChildren(h("p", { class: "error-line", role: "alert" }, reasonOf(error)));
    }
  }

  private diffList({ rows, total }: BranchDiff): HTMLElement {
    if (total === 0) return h("p", { class: "dim branch-said" }, t("Nothing differs."));
    return h(
      "div",
      {},
      h("ul", { class: "diff" }, ...rows.slice(0, ROWS_SHOWN).map((row) => this.diffRow(row))),
      total > Math.min(rows.length, ROWS_SHOWN) && h("p", { class: "dim" }, t("and {n} more", { n: total - Math.min(rows.length, ROWS_SHOWN) })),
    );
  }

  private diffRow(row: DiffRow): HTMLElement {
    const { mirror } = this.context;
    const about = row.about ? (mirror.twins.has(row.about) ? mirror.nameOf(row.about) : row.about) : t("the world");
    const what = row.name ? labelText(row.name) : DIFFERS[row.what] ?? row.what;
    const unit = row.unit ? ` ${unitText(row.unit)}` : "";
    return h(
      "li",
      { attrs: { "data-what": row.what } },
      h("button", { class: "diff-about clip", attrs: { type: "button", disabled: !mirror.twins.has(row.about) }, on: { click: () => this.context.goTo(row.about, true) } }, about),
      h("span", { class: "diff-what" }, what, row.origin === "simulated" && h("span", { class: "chip" }, t("simulated"))),
      h("span", { class: "diff-change num" }, h("del", {}, row.before || t("not there")), " → ", h("ins", {}, row.after || t("not there")), unit),
    );
  }

  /** Operations that are armed and take nothing may be called after the values are set. */
  private paintCalls(): void {
    const { mirror } = this.context;
    const armed = [...mirror.arms.values()].filter(({ twin, name }) => mirror.operationsOf(twin).some((each) => each.name === name && (each.inputs ?? []).length === 0));
    this.call.hidden = armed.length === 0;
    this.call.replaceChildren(h("option", { attrs: { value: "" } }, t("Then call…")), ...armed.map(({ twin, name }) => h("option", { attrs: { value: `${twin}\0${name}` } }, `${mirror.nameOf(twin)}: ${labelText(name)}`)));
    this.called.replaceChildren(
      ...this.calls.map((call, i) =>
        h("li", { class: "chip" }, `${mirror.nameOf(call.twin)}: ${labelText(call.operation)}`, iconButton("close", t("Do not call {name}", { name: labelText(call.operation) }), () => {
          this.calls.splice(i, 1);
          this.paintCalls();
        }, "small")),
      ),
    );
  }

  // --- plans -----------------------------------------------------------------------------------

  private async plan(): Promise<void> {
    setText(this.failed, "");
    try {
      await this.store.api.plan(this.context.mirror.branch!, { reason: this.reason.value.trim(), calls: this.calls.map(({ twin, operation }) => ({ twin, operation, arguments: {} })) });
      this.reason.value = "";
      this.calls = [];
      this.paintCalls();
    } catch (error) {
      setText(this.failed, reasonOf(error));
    }
    await this.fillPlans();
  }

  private async fillPlans(): Promise<void> {
    window.clearTimeout(this.timer);
    const id = this.context.mirror.branch;
    if (id === null) return;
    try {
      const { plans } = await this.store.api.plans();
      if (this.context.mirror.branch !== id) return;
      const mine = plans.filter((plan) => plan.branch === id);
      const shown = JSON.stringify(mine);
      if (shown !== this.shownPlans) {
        this.shownPlans = shown;
        this.planPlace.replaceChildren(...mine.map((plan, i) => this.planCard(plan, i === 0)));
      }
      if (mine.some(({ state }) => state === "executing")) this.timer = window.setTimeout(() => void this.fillPlans(), BUSY_MS);
    } catch (error) {
      setText(this.failed, reasonOf(error));
    }
  }

  private planCard(plan: Plan, isOpen: boolean): HTMLElement {
    const act = (name: string, step: number | null = null): void => {
      setText(this.failed, "");
      this.store.api.act(plan.id, { act: name, step }).then(
        () => this.fillPlans(),
        (error: unknown) => {
          setText(this.failed, reasonOf(error));
          void this.fillPlans();
        },
      );
    };
    const commands = plan.steps.filter(({ kind }) => kind !== "task").length;
    const acts: HTMLElement[] = [];
    if (plan.state === "proposed" && plan.may_approve) acts.push(button(t("Approve"), () => act("approve"), "primary", "check"), button(t("Reject"), () => act("reject"), "plain"));
    if (plan.state === "approved" && commands > 0) acts.push(button(t(commands === 1 ? "Carry out {n} command" : "Carry out {n} commands", { n: commands }), () => act("execute"), "primary", "send"));
    return h(
      "details",
      { class: "branch-section plan", attrs: { open: isOpen, "data-plan": plan.id } },
      h("summary", {}, h("span", { class: "grow clip" }, plan.reason || t("Plan")), h("span", { class: `chip plan-${plan.state.replace(" ", "-")}` }, PLANNED[plan.state] ?? plan.state)),
      h("p", { class: "hint dim" }, t("by {author}, {moment}", { author: plan.author, moment: momentOf(plan.made_ns, this.context.mirror.nowMs()) }), plan.approved_by && ` · ${t("approved by {name}", { name: plan.approved_by })}`),
      plan.detail && h("p", { class: plan.state === "failed" || plan.state === "rolled back" ? "error-line" : "hint dim", role: "status" }, plan.detail),
      h("ol", { class: "plan-steps" }, ...plan.steps.map((step) => this.step(step, () => act("done", step.number)))),
      plan.state === "proposed" && !plan.may_approve && h("p", { class: "hint dim" }, plan.needs_other ? t("Somebody else has to approve it.") : t("Your role does not approve plans.")),
      acts.length > 0 && h("div", { class: "run-acts" }, ...acts),
    );
  }

  private step(step: PlanStep, done: () => void): HTMLElement {
    const { mirror } = this.context;
    const about = mirror.twins.has(step.about) ? mirror.nameOf(step.about) : step.about;
    const isTask = step.kind === "task";
    const unit = step.unit ? ` ${unitText(step.unit)}` : "";
    return h(
      "li",
      { class: `plan-step is-${step.state.replace(" ", "-")}`, attrs: { "data-step": step.number } },
      h("span", { class: "plan-mark", attrs: { "aria-hidden": "true" } }),
      h("div", { class: "grow" },
        h("div", {}, h("b", {}, isTask ? t("Task") : step.kind === "call" ? t("Call") : t("Desired value")), " ", isTask ? step.words : `${about}: ${labelText(step.name)}`),
        step.kind === "value" && h("div", { class: "num" }, t("{before} → {after}", { before: shownValue(step.before), after: `${shownValue(step.after)}${unit}` })),
        h("small", { class: "dim" }, `${STEPPED[step.state] ?? step.state}${step.detail ? ` · ${step.detail}` : ""}`),
      ),
      isTask && step.state === "open" && button(t("Done"), done, "plain"),
    );
  }
}

const DIFFERS: Readonly<Record<string, string>> = {
  twin: t("twin"),
  type: t("type"),
  name: t("name"),
  place: t("place"),
  look: t("look"),
  "type of": t("type of it"),
  relation: t("relation"),
  arm: t("arm"),
};

function shownValue(value: unknown): string {
  if (value === null || value === undefined || value === "") return "–";
  return typeof value === "number" ? numberText(value) : typeof value === "object" ? JSON.stringify(value) : String(value);
}
