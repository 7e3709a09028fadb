// What each machine did over the run of a branch: a bar a machine, from its own record.

import { clockText, dayText, durationText, labelText } from "../format.ts";
import type { Id, Mirror } from "../mirror.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { emptyState, h, openDialog } from "../panels/dom.ts";
import { tickText, timeTicks } from "../panels/timeaxis.ts";
import { Kind } from "../protocol.ts";
import { t } from "../words.ts";
import { percentText } from "./kpis.ts";
import { type Condition, conditionOf, stretches } from "./stretches.ts";

const ROWS_MAX = 60;
const CHANGES_MAX = 4000;
const STATE = /state$|status$|mode$/i;

const NAMES: Readonly<Record<Condition, string>> = {
  running: t("running"),
  down: t("down"),
  delayed: t("waiting"),
  planned: t("off"),
  unknown: t("not known"),
};

/** Points that say what a machine does, of the twins below `within`. */
function statePoints(mirror: Mirror): { twin: Id; handle: number }[] {
  const found: { twin: Id; handle: number }[] = [];
  for (const twin of mirror.twins.keys()) {
    const point = mirror.pointsOf(twin).find(({ name, type }) => (type.kind === Kind.ENUM || (type.labels?.length ?? 0) > 0) && STATE.test(name));
    if (point !== undefined) found.push({ twin, handle: point.handle });
    if (found.length === ROWS_MAX) break;
  }
  return found;
}

/** The dialog with the bars from `start_ms` to `end_ms` of the branch that is shown. */
export function openGantt(context: Context, start_ms: number, end_ms: number): void {
  const { mirror } = context;
  const place = h("div", { class: "gantt-place" });
  const control = new AbortController();
  const dialog = openDialog(t("What the machines did"), place, [], { wide: true, onClose: () => control.abort() });
  dialog.element.classList.add("compare");
  const points = statePoints(mirror);
  if (points.length === 0 || !(end_ms > start_ms)) {
    place.append(emptyState("clock", t("Nothing to draw"), t("No machine has a point for its state, or the branch has not run yet.")));
    return;
  }
  const at = (time_ms: number): string => `${((time_ms - start_ms) / (end_ms - start_ms)) * 100}%`;
  const fill = async (): Promise<void> => {
    const history = await context.series.history(points.map(({ handle }) => handle), start_ms, end_ms, CHANGES_MAX, control.signal);
    if (control.signal.aborted) return;
    const { ticks, step } = timeTicks(start_ms, end_ms, 6);
    const axis = h("div", { class: "gantt-hours", attrs: { "aria-hidden": "true" } }, ...ticks.map((tick) => {
      const mark = h("span", {}, tickText(tick, step));
      mark.style.left = at(tick);
      return mark;
    }));
    place.replaceChildren(
      h("p", { class: "dim num" }, t("{start} to {end}, {span}", { start: `${dayText(start_ms)} ${clockText(start_ms)}`, end: clockText(end_ms), span: durationText(end_ms - start_ms) })),
      h("div", { class: "legend-key" }, ...Object.entries(NAMES).map(([condition, name]) => h("span", {}, h("span", { class: "gantt" }, h("i", { class: condition })), name))),
      h("div", { class: "gantt-rows" }, ...points.flatMap((point) => {
        const samples = history.get(point.handle);
        return samples === undefined ? [] : row(point, samples);
      }), h("span", {}), axis, h("span", {})),
    );
  };
  const row = ({ twin, handle }: { twin: Id; handle: number }, samples: { t: number[]; v: number[] }): HTMLElement[] => {
    const labels = mirror.pointType(handle).labels ?? [];
    const named = (value: number): string => labels.find(([code]) => code === value)?.[1] ?? "";
    const parts = stretches(samples.t, samples.v, start_ms, end_ms);
    const spent = new Map<string, number>();
    for (const part of parts) spent.set(named(part.value), (spent.get(named(part.value)) ?? 0) + part.end_ms - part.start_ms);
    const shares = [...spent].sort((a, b) => b[1] - a[1]).map(([name, span]) => `${labelText(name) || "–"} ${percentText(span / (end_ms - start_ms))}`);
    const bar = h("div", { class: "gantt", role: "img", attrs: { "aria-label": `${mirror.nameOf(twin)}: ${shares.join(", ")}` } });
    for (const part of parts) {
      const piece = h("i", { class: conditionOf(named(part.value)), title: `${named(part.value)} ${clockText(part.start_ms)}–${clockText(part.end_ms)}` });
      piece.style.left = at(part.start_ms);
      piece.style.width = `${((part.end_ms - part.start_ms) / (end_ms - start_ms)) * 100}%`;
      bar.append(piece);
    }
    const name = h("button", { class: "diff-about clip", attrs: { type: "button" }, on: { click: () => { dialog.close(); context.goTo(twin, true); } } }, mirror.nameOf(twin));
    return [name, bar, h("small", { class: "num dim clip", title: shares.join(", ") }, shares[0] ?? "")];
  };
  fill().catch((error: unknown) => {
    if (!control.signal.aborted) place.replaceChildren(h("p", { class: "form-error", role: "alert" }, reasonOf(error)));
  });
}
