// The figures of the branch: an evaluator is asked for them over many replications.

import { type Context, reasonOf } from "../panels/context.ts";
import { button, emptyState, h, openDialog, setText } from "../panels/dom.ts";
import type { Evaluation, KpiRow, ModelRow } from "../protocol.ts";
import { t } from "../words.ts";
import { BottleneckMap } from "./bottleneck.ts";
import { openCompare } from "./compare.ts";
import type { Part } from "./inside.ts";
import { kpiName, kpiPlot, kpiTable, loadTable, present } from "./kpis.ts";
import { sorted } from "./loads.ts";
import { whatGoesWhere } from "./sankey.ts";
import { type OptionFields, optionFields } from "./options.ts";
import { EVALUATED } from "./state.ts";
import type { BranchStore } from "./store.ts";
import { streamsOf } from "./streams.ts";

const BUSY_MS = 700;

export class FiguresPart implements Part {
  readonly element = h("div", { class: "branch-part scroll", tabIndex: -1 });
  private readonly form = h("div", {});
  private readonly list = h("div", { class: "evaluations" });
  private readonly failed = h("p", { class: "error-line", role: "alert" });
  private readonly map: BottleneckMap;
  private shownForm = "";
  private shownList = "";
  private of = "";
  private timer = 0;
  private options: OptionFields | null = null;

  constructor(
    private readonly context: Context,
    private readonly store: BranchStore,
  ) {
    this.map = new BottleneckMap(context);
    this.element.append(this.form, this.failed, this.list);
    store.on(() => context.pulse.mark(this));
    context.mirror.on("branch", () => context.pulse.mark(this));
  }

  paint(): void {
    const branch = this.store.shown;
    if (this.element.hidden || branch === undefined) return;
    const evaluators = this.store.page?.evaluators ?? [];
    const shown = JSON.stringify([branch.id, evaluators]);
    if (shown !== this.shownForm) {
      this.shownForm = shown;
      this.form.replaceChildren(this.askForm(evaluators));
    }
    const of = `${branch.id} ${branch.evaluations} ${branch.position}`;
    if (of !== this.of) {
      this.of = of;
      void this.fill();
    }
  }

  private askForm(evaluators: readonly ModelRow[]): HTMLElement {
    if (evaluators.length === 0) return emptyState("gauge", t("No evaluators"), t("This installation finds no figures of branches; the guide says how an evaluator is written."));
    const choice = h("select", { class: "select", attrs: { "aria-label": t("Evaluator") } }, ...evaluators.map(({ name }) => h("option", { attrs: { value: name } }, name)));
    const about = h("p", { class: "hint dim" });
    const place = h("div", {});
    const fit = (): void => {
      const chosen = evaluators.find(({ name }) => name === choice.value)!;
      setText(about, chosen.description);
      this.options = optionFields(chosen);
      place.replaceChildren(this.options.element);
    };
    choice.addEventListener("change", fit);
    fit();
    const runs = h("input", { class: "input num", attrs: { type: "number", min: "1", max: "10000", step: "1", value: "30" } });
    const seed = h("input", { class: "input num", attrs: { type: "number", step: "1", value: "1" } });
    const ask = async (): Promise<void> => {
      setText(this.failed, "");
      try {
        await this.store.api.evaluate(this.context.mirror.branch!, { evaluator: choice.value, options: this.options?.read() ?? {}, replications: runs.valueAsNumber || 1, seed: seed.valueAsNumber || 1 });
      } catch (error) {
        setText(this.failed, reasonOf(error));
      }
      await this.fill();
    };
    return h(
      "form",
      { class: "branch-group", on: { submit: (event) => { event.preventDefault(); void ask(); } } },
      choice,
      about,
      place,
      h("label", { class: "branch-field" }, h("span", {}, t("Replications")), runs),
      h("label", { class: "branch-field", title: t("Branches evaluated with the same seed are compared in pairs.") }, h("span", {}, t("Seed")), seed),
      h("div", { class: "run-acts" }, button(t("Evaluate"), () => void ask(), "primary", "play"), button(t("Compare…"), () => openCompare(this.context, this.store, this.context.mirror.branch === null ? [] : [this.context.mirror.branch]), "plain", "table")),
      h("input", { hidden: true, attrs: { type: "submit" } }),
    );
  }

  private async fill(): Promise<void> {
    window.clearTimeout(this.timer);
    const id = this.context.mirror.branch;
    if (id === null) return;
    try {
      const { evaluations } = await this.store.api.evaluations(id);
      if (this.context.mirror.branch !== id) return;
      const shown = JSON.stringify([id, evaluations]);
      if (shown !== this.shownList) {
        this.shownList = shown;
        const scroll = this.element.scrollTop;
        this.list.replaceChildren(...evaluations.map((evaluation, i) => this.card(evaluation, i === 0)));
        this.element.scrollTop = scroll;
      }
      if (evaluations.some(({ state }) => state === "running" || state === "waiting")) this.timer = window.setTimeout(() => void this.fill(), BUSY_MS);
    } catch (error) {
      setText(this.failed, reasonOf(error));
    }
  }

  private card(evaluation: Evaluation, isOpen: boolean): HTMLElement {
    const isBusy = evaluation.state === "running" || evaluation.state === "waiting";
    const cancel = (): void => {
      this.store.api.cancel(evaluation.branch, evaluation.id).then(() => this.fill(), (error: unknown) => setText(this.failed, reasonOf(error)));
    };
    const bar = h("progress", { class: "run-bar", attrs: { max: 1, "aria-label": t("Progress of the evaluation") } });
    bar.value = evaluation.progress;
    const { streams, others: figures } = streamsOf(evaluation.kpis);
    const { loads, others } = sorted(this.context.mirror, figures);
    return h(
      "details",
      { class: "branch-section evaluation", attrs: { open: isOpen, "data-evaluation": evaluation.id } },
      h("summary", {}, h("span", { class: "grow clip" }, evaluation.evaluator), h("span", { class: "dim num" }, t("{n} runs", { n: evaluation.replications })), h("span", { class: `chip run-${evaluation.state}` }, EVALUATED[evaluation.state] ?? evaluation.state)),
      isBusy && h("div", { class: "evaluation-busy" }, bar, button(t("Cancel"), cancel, "quiet")),
      evaluation.detail && h("p", { class: evaluation.state === "failed" ? "error-line" : "hint dim", role: evaluation.state === "failed" ? "alert" : "note" }, evaluation.detail),
      !isBusy && !evaluation.is_current && h("p", { class: "hint warn" }, t("The branch was changed since: evaluate it anew for figures of what it is now.")),
      evaluation.kpis.length > 0 && h("div", { class: "kpi-scroll", tabIndex: 0, role: "region", attrs: { "aria-label": t("Figures") } }, kpiTable(this.context.mirror, others, (kpi) => openKpi(kpi, kpiName(kpi.name, this.context.mirror), this.store.nameOf(evaluation.branch)))),
      loads.length > 0 && h("div", { class: "kpi-scroll", tabIndex: 0, role: "region", attrs: { "aria-label": t("Stations") } }, loadTable(this.context.mirror, loads, (twin) => this.context.goTo(twin, true))),
      h("div", { class: "run-acts" },
        streams.length > 0 && button(t("What goes where…"), () => openDialog(t("What goes where"), whatGoesWhere(streams), [], { wide: true }).element.classList.add("compare"), "plain", "flow"),
        loads.length > 0 && button(t("Bottleneck map in the scene"), () => this.map.show(loads), "plain", "gauge"),
        !isBusy && this.store.shown?.may_change && button(t("Forget"), () => void this.store.api.forget(evaluation.branch, evaluation.id).then(() => this.fill(), (error: unknown) => setText(this.failed, reasonOf(error))), "quiet"),
      ),
    );
  }
}

/** One figure with a dot for each replication. */
function openKpi(kpi: KpiRow, name: string, branch: string): void {
  openDialog(branch, h("div", {}, kpiPlot(name, kpi.unit, [{ name: branch, values: present(kpi.values), mean: kpi.mean, low: kpi.low, high: kpi.high }])), [], { wide: true });
}
