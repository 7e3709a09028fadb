// Samples as a file: CSV for a spreadsheet, Parquet for programs; of the trend, of a twin, of what is below it.

import { momentText } from "../format.ts";
import type { Id } from "../mirror.ts";
import { apiUrl } from "../rest.ts";
import { t } from "../words.ts";
import type { Span } from "./chart.ts";
import type { Context } from "./context.ts";
import { button, h, openDialog, segmented, setText } from "./dom.ts";

const POINTS_AT_MOST = 1_000;
const FORMS = [["csv", t("CSV, for a spreadsheet")], ["parquet", t("Parquet, for programs")]] as const;

/** Of which points: by name, and all points of twins. */
interface Choice {
  key: string;
  label: string;
  points: string[];
  twins: Id[];
}

/** A time for a field of local time, to the second. */
function local(time_ms: number): string {
  const at = new Date(time_ms - new Date(time_ms).getTimezoneOffset() * 60_000);
  return at.toISOString().slice(0, 19);
}

/** Asks of which points, of what time and in which form, and has the server send every sample. */
export function openExport(context: Context, trended: readonly number[], { start_ms, end_ms }: Span): void {
  const { mirror } = context;
  const selected = mirror.selected;
  let form: "csv" | "parquet" = "csv";
  /** A twin and all that is part of it. */
  const whole = (id: Id, found = new Set<Id>()): Set<Id> => {
    if (!found.has(id)) {
      found.add(id);
      for (const child of mirror.children(id)) whole(child, found);
    }
    return found;
  };
  const named = trended.map((handle) => mirror.pointRef(handle)).map(({ twin, name }) => `${twin}.${name}`);
  const choices: Choice[] = [{ key: "trend", label: t("The points of the trend"), points: named, twins: [] }];
  if (selected !== null) {
    const name = mirror.nameOf(selected);
    choices.push({ key: "twin", label: t("All points of {name}", { name }), points: [], twins: [selected] });
    if (mirror.children(selected).length > 0) choices.push({ key: "below", label: t("{name} and all that is part of it", { name }), points: [], twins: [...whole(selected)] });
  }
  const which = h("select", { class: "select", attrs: { "aria-label": t("Of what") } }, ...choices.map(({ key, label }) => h("option", { attrs: { value: key } }, label)));
  if (trended.length === 0 && choices.length > 1) which.value = "twin";
  const start = h("input", { class: "input", attrs: { type: "datetime-local", step: 1, value: local(start_ms), "aria-label": t("From") } });
  const end = h("input", { class: "input", attrs: { type: "datetime-local", step: 1, value: local(end_ms), "aria-label": t("To") } });
  const told = h("p", { class: "dim", role: "status" });
  const forms = segmented(t("Form"), FORMS, form, (next) => (form = next));
  const field = (label: string, input: HTMLElement): HTMLElement => h("label", { class: "field" }, h("span", { class: "field-label" }, label), input);
  const chosen = (): Choice => choices.find(({ key }) => key === which.value)!;
  const look = (): void => {
    const { points, twins } = chosen();
    const n = points.length + twins.reduce((sum, id) => sum + mirror.handlesOf(id).length, 0);
    const isBackwards = !(new Date(start.value) < new Date(end.value));
    save.disabled = n === 0 || n > POINTS_AT_MOST || isBackwards;
    setText(told, isBackwards ? t("The end is before the beginning.") : n > POINTS_AT_MOST ? t("{n} points; at most {most} go into one file.", { n, most: POINTS_AT_MOST }) : t("{n} points, every sample of them", { n }));
  };
  const send = (): void => {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
    const from = new Date(start.value);
    const href = apiUrl(`export/history.${form}`, { point: chosen().points, twin: chosen().twins.filter((id) => mirror.handlesOf(id).length > 0), start: from.toISOString(), end: new Date(end.value).toISOString(), zone }).href;
    const name = `${mirror.world || "history"} ${momentText(from.getTime()).slice(0, 19).replace(/:/g, "-")}.${form}`;
    const link = h("a", { attrs: { href, download: name } });
    document.body.append(link);
    link.click();
    link.remove();
    dialog.close();
  };
  const save = button(t("Export"), send, "primary", "download");
  for (const input of [which, start, end]) input.addEventListener("input", look);
  const body = h("div", { class: "form" }, field(t("Of what"), which), h("div", { class: "form-row" }, field(t("From"), start), field(t("To"), end)), h("div", { class: "field" }, h("span", { class: "field-label" }, t("Form")), forms.element), told);
  const dialog = openDialog(t("Export samples"), body, [h("span", { class: "grow" }), button(t("Cancel"), () => dialog.close(), "quiet"), save]);
  look();
}
