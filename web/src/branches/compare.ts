// Branches beside each other: what each figure is, how it differs from the first, and how sure that is.

import { type Context, reasonOf } from "../panels/context.ts";
import { button, emptyState, h, openDialog, setText } from "../panels/dom.ts";
import { numberText } from "../format.ts";
import type { ComparedCell, Comparison, Evaluation } from "../protocol.ts";
import { t } from "../words.ts";
import { intervalText, kpiName, kpiPlot, percentText, present, withUnit } from "./kpis.ts";
import { sorted } from "./loads.ts";
import { streamsOf } from "./streams.ts";
import type { BranchStore } from "./store.ts";

const BUSY_MS = 700;
const PLOTTED = 6;

/** Opens the comparison, of the branches that are given or of all. */
export function openCompare(context: Context, store: BranchStore, first: readonly string[]): void {
  const chosen = new Set(first);
  const evaluators = store.page?.evaluators ?? [];
  const place = h("div", { class: "compare-place" });
  const picks = h("div", { class: "compare-picks", role: "group", attrs: { "aria-label": t("Branches compared") } });
  const baseline = h("select", { class: "select", attrs: { "aria-label": t("Compared with") } });
  const evaluator = h("select", { class: "select", attrs: { "aria-label": t("Evaluator") } }, ...evaluators.map(({ name }) => h("option", { attrs: { value: name } }, name)));
  const runs = h("input", { class: "input num compare-runs", attrs: { type: "number", min: "2", max: "10000", step: "1", value: "30", "aria-label": t("Replications") } });
  const busy = h("div", { class: "compare-busy", role: "status" });
  const failed = h("p", { class: "form-error", role: "alert" });
  let isOver = false;
  let round = 0;
  let timer = 0;

  const order = (): string[] => {
    const ids = [...chosen];
    return ids.includes(baseline.value) ? [baseline.value, ...ids.filter((id) => id !== baseline.value)] : ids;
  };

  const fillPicks = (): void => {
    picks.replaceChildren(
      ...(store.page?.branches ?? []).map((branch) => {
        const check = h("input", { attrs: { type: "checkbox", checked: chosen.has(branch.id) } });
        check.addEventListener("change", () => {
          if (check.checked) chosen.add(branch.id);
          else chosen.delete(branch.id);
          fillBaseline();
          void fill();
        });
        return h("label", { class: "check" }, check, branch.name);
      }),
    );
    fillBaseline();
  };

  const fillBaseline = (): void => {
    const before = baseline.value;
    baseline.replaceChildren(...[...chosen].map((id) => h("option", { attrs: { value: id } }, store.nameOf(id))));
    if (chosen.has(before)) baseline.value = before;
  };

  /** Asks for figures of all that have none of what they are now, with the same seed. */
  const evaluate = async (): Promise<void> => {
    setText(failed, "");
    try {
      for (const id of order()) await store.api.evaluate(id, { evaluator: evaluator.value, replications: runs.valueAsNumber || 30, seed: 1 });
    } catch (error) {
      setText(failed, reasonOf(error));
    }
    await fill();
  };

  const fill = async (): Promise<void> => {
    window.clearTimeout(timer);
    const mine = ++round;
    const ids = order();
    if (ids.length === 0 || evaluators.length === 0) {
      place.replaceChildren(evaluators.length === 0 ? emptyState("gauge", t("No evaluators"), t("This installation finds no figures of branches; the guide says how an evaluator is written.")) : emptyState("table", t("Choose branches"), t("Those that are ticked are compared with the first.")));
      return;
    }
    try {
      const latest = new Map<string, Evaluation>();
      const running: Evaluation[] = [];
      for (const id of ids) {
        const { evaluations } = await store.api.evaluations(id);
        const mineOf = evaluations.filter((each) => each.evaluator === evaluator.value);
        running.push(...mineOf.filter(({ state }) => state === "running" || state === "waiting"));
        const done = mineOf.find(({ kpis, state }) => state === "done" && kpis.length > 0);
        if (done !== undefined) latest.set(id, done);
      }
      const comparison = latest.size > 0 ? await store.api.compare(ids, evaluator.value) : null;
      if (mine !== round || isOver) return;
      showBusy(running);
      place.replaceChildren(...(comparison === null ? [emptyState("gauge", t("No figures yet"), t("Evaluate the branches to compare them."))] : parts(comparison, latest)));
      if (running.length > 0) timer = window.setTimeout(() => void fill(), BUSY_MS);
    } catch (error) {
      if (mine === round && !isOver) setText(failed, reasonOf(error));
    }
  };

  const showBusy = (running: readonly Evaluation[]): void => {
    busy.replaceChildren(
      ...running.map((each) => {
        const bar = h("progress", { class: "run-bar", attrs: { max: 1, "aria-label": t("Progress of {name}", { name: store.nameOf(each.branch) }) } });
        bar.value = each.progress;
        return h("div", { class: "evaluation-busy" }, h("span", { class: "clip" }, store.nameOf(each.branch)), bar, button(t("Cancel"), () => void store.api.cancel(each.branch, each.id).then(fill, (error: unknown) => setText(failed, reasonOf(error))), "quiet"));
      }),
    );
  };

  const parts = (comparison: Comparison, latest: ReadonlyMap<string, Evaluation>): HTMLElement[] => {
    const { branches, rows, missing } = comparison;
    const named = rows.map((row) => ({ ...row, mean: 0 }));
    const general = sorted(context.mirror, streamsOf(named).others).others;
    const ofStations = named.filter((row) => !general.includes(row));
    const shown: HTMLElement[] = [];
    if (missing.length > 0) shown.push(h("p", { class: "hint warn" }, t("Without figures yet: {names}.", { names: missing.map((id) => store.nameOf(id)).join(", ") })));
    const old = [...latest.values()].filter((each) => !each.is_current);
    if (old.length > 0) shown.push(h("p", { class: "hint warn" }, t("Changed since they were evaluated: {names}.", { names: old.map((each) => store.nameOf(each.branch)).join(", ") })));
    shown.push(
      h(
        "div",
        { class: "compare-scroll", tabIndex: 0, role: "region", attrs: { "aria-label": t("Figures of the branches") } },
        h(
          "table",
          { class: "kpi-table compare-table" },
          h("thead", {}, h("tr", {}, h("th", { attrs: { scope: "col" } }, t("Figure")), ...branches.map((id) => h("th", { attrs: { scope: "col" } }, store.nameOf(id), id === comparison.baseline && h("small", { class: "dim" }, t("compared with")))))),
          h(
            "tbody",
            {},
            ...[...general, ...ofStations].map((row, i) =>
              h("tr", { class: i >= general.length ? "of-station" : "" }, h("th", { attrs: { scope: "row" } }, kpiName(row.name, context.mirror), h("small", { class: "dim" }, row.better === "lower" ? t("lower is better") : t("higher is better"))), ...branches.map((id) => cell(row.cells.find((each) => each.branch === id), row.unit, row.better))),
            ),
          ),
        ),
      ),
    );
    const plotted = general.slice(0, PLOTTED).map((row) =>
      kpiPlot(kpiName(row.name, context.mirror), row.unit, branches.map((id) => {
        const found = row.cells.find((each) => each.branch === id);
        const kpi = latest.get(id)?.kpis.find((each) => each.name === row.name);
        return { name: store.nameOf(id), values: present(kpi?.values ?? []), mean: found?.mean ?? null, low: found?.low ?? null, high: found?.high ?? null };
      })),
    );
    shown.push(h("div", { class: "compare-plots" }, ...plotted));
    return shown;
  };

  evaluator.addEventListener("change", () => void fill());
  baseline.addEventListener("change", () => void fill());
  if (chosen.size === 0) for (const branch of store.page?.branches.slice(0, 4) ?? []) chosen.add(branch.id);
  fillPicks();
  const body = h(
    "div",
    { class: "compare-body" },
    picks,
    h("div", { class: "compare-head" }, h("label", {}, h("span", { class: "dim" }, t("Compared with")), baseline), h("label", {}, h("span", { class: "dim" }, t("Evaluator")), evaluator), h("label", {}, h("span", { class: "dim" }, t("Replications")), runs), button(t("Evaluate all"), () => void evaluate(), "primary", "play")),
    busy,
    failed,
    place,
  );
  const unwatch = store.watch();
  const dialog = openDialog(t("Compare branches"), body, [], {
    wide: true,
    onClose: () => {
      isOver = true;
      window.clearTimeout(timer);
      unwatch();
    },
  });
  dialog.element.classList.add("compare");
  void fill();
}

function cell(found: ComparedCell | undefined, unit: string, better: string): HTMLElement {
  if (found === undefined || found.mean === null) return h("td", { class: "dim" }, "–");
  const difference = found.difference;
  const isBetter = difference !== null && difference !== 0 && (difference > 0) === (better !== "lower");
  const isSure = found.difference_low !== null && found.difference_high !== null && found.difference_low > 0 === found.difference_high > 0;
  return h(
    "td",
    { class: "num" },
    h("b", {}, withUnit(found.mean, unit)),
    h("small", { class: "dim" }, found.n < 2 ? t("one run") : intervalText(found.low, found.high)),
    difference !== null &&
      h("small", { class: isSure ? (isBetter ? "better" : "worse") : "dim" }, `${difference > 0 ? "+" : ""}${numberText(difference)} (${intervalText(found.difference_low, found.difference_high)})${found.is_paired ? "" : ` ${t("not paired")}`}`),
    found.probability_better !== null && h("small", { class: "dim" }, t("better with {share}", { share: percentText(found.probability_better) })),
  );
}
