// What the shift stands on, to be filled in: plans, units, reasons, reports.

import { mayEdit } from "../panels/edit.ts";
import type { Context } from "../panels/context.ts";
import { button, h } from "../panels/dom.ts";
import { kindText, openSheet } from "../sheets/dialog.ts";
import { t } from "../words.ts";

const KINDS = ["shift_plan", "oee", "downtime_reasons", "report_schedule"] as const;

/** The sheets of the shift, each with the way to its form; `onChange` is called when one is kept. */
export function setUp(context: Context, onChange: () => void): HTMLElement[] {
  const { mirror } = context;
  const send = async (edit: Record<string, unknown>): Promise<void> => {
    await mirror.rest.post("edits", { edits: [edit], reason: t("Set-up of the shift") });
    onChange();
  };
  const may = mayEdit(context);
  return KINDS.map((kind) => {
    const rows = mirror.sheets(kind).map((sheet) =>
      h("li", { class: "shift-links" }, h("strong", { class: "grow" }, sheet.name), may && button(t("Change…"), () => void openSheet(context, sheet, sheet.name, t("Keep"), send), "plain")),
    );
    const add = may && button(t("Add…"), () => void openSheet(context, { kind, name: "", body: "" }, kindText(kind), t("Keep"), send), "quiet", "plus");
    return h("section", {}, h("h3", { class: "part" }, kindText(kind)), rows.length > 0 ? h("ul", { class: "stop-list" }, ...rows) : h("p", { class: "dim" }, t("None is written down; the usual is taken.")), add);
  });
}
