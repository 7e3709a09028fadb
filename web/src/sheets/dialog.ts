// The dialog of one sheet: a form where its kind has one, its text for everything else.

import "./sheets.css";

import { labelText } from "../format.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { button, h, openDialog, segmented, setText } from "../panels/dom.ts";
import type { Sheet } from "../protocol.ts";
import { t } from "../words.ts";
import { type Choices, Form } from "./form.ts";
import { emptyOf, type Schema } from "./schema.ts";

type Edit = Record<string, unknown> & { "@": string };
type Way = "form" | "text";

const KINDS: Readonly<Record<string, string>> = {
  downtime_reasons: t("Reasons of stops"),
  oee: t("Unit whose effectiveness is asked for"),
  report_schedule: t("Reports after each shift"),
  shift_plan: t("Shift plan"),
};

/** What a kind of sheet is called. */
export function kindText(kind: string): string {
  return KINDS[kind] ?? labelText(kind);
}

/** Opens a sheet; one without a name is new. `send` keeps an edit, where it belongs. */
export async function openSheet(
  context: Context,
  sheet: Sheet,
  title: string,
  saveWord: string,
  send: (edit: Edit) => Promise<unknown>,
): Promise<void> {
  const { mirror } = context;
  const { forms } = await mirror.rest.get<{ forms: Record<string, Schema> }>("sheet-forms").catch(() => ({ forms: {} as Record<string, Schema> }));
  const isNew = sheet.name === "";
  const kinds = [...new Set([...Object.keys(forms), ...mirror.sheetKinds(), sheet.kind])];
  const kind = h("select", { class: "select" }, ...kinds.map((one) => h("option", { attrs: { value: one, selected: one === sheet.kind } }, kindText(one))));
  const name = h("input", { class: "input", attrs: { value: sheet.name, maxlength: "100" } });
  const text = h("textarea", { class: "input mono sheet-text", attrs: { rows: "16", spellcheck: "false", "aria-label": t("Text of the sheet") } });
  text.value = pretty(sheet.body ?? "");
  const place = h("div", {});
  const failed = h("p", { class: "form-error", role: "alert" });
  let form: Form | null = null;
  let way: Way = "form";

  const draw = (): void => {
    const schema = forms[kind.value];
    form = null;
    tabs.element.hidden = schema === undefined;
    if (schema === undefined || way === "text") return place.replaceChildren(text);
    try {
      const value = (text.value.trim() === "" ? emptyOf(schema, schema) : JSON.parse(text.value)) as Record<string, unknown>;
      form = new Form(schema, value, choices(context), () => (text.value = pretty(JSON.stringify(value))));
      place.replaceChildren(form.element);
      setText(failed, "");
    } catch {
      // What is no JSON is shown as it is, so that nothing of it is lost.
      way = "text";
      tabs.set(way);
      place.replaceChildren(text);
      setText(failed, t("This is no JSON"));
    }
  };
  const tabs = segmented(t("Show"), [["form", t("Fill in")], ["text", t("Text")]] as const, way, (next) => {
    way = next;
    draw();
  });
  kind.addEventListener("change", () => {
    text.value = "";
    draw();
  });
  const keep = async (edit: Edit): Promise<void> => {
    try {
      await send(edit);
      dialog.close();
    } catch (error) {
      setText(failed, reasonOf(error));
    }
  };
  const save = (): void => {
    if (name.value.trim() === "") {
      setText(failed, t("Give it a name."));
      name.focus();
      return;
    }
    const body = form === null ? text.value : JSON.stringify(form.value);
    void keep({ "@": "PutSheet", sheet: { kind: kind.value, name: name.value.trim(), body } });
  };
  const head = isNew && h("div", { class: "form-row" }, h("label", { class: "field" }, h("span", { class: "field-label" }, t("Kind")), kind), h("label", { class: "field" }, h("span", { class: "field-label" }, t("Name")), name));
  const dialog = openDialog(title, h("div", { class: "form" }, head, tabs.element, place, failed), [
    ...(isNew ? [] : [button(t("Take it away"), () => void keep({ "@": "DropSheet", kind: sheet.kind, name: sheet.name }), "danger")]),
    h("span", { class: "grow" }),
    button(saveWord, save, "primary"),
  ], { wide: true });
  draw();
  (isNew ? name : place.querySelector<HTMLElement>("input, select, textarea"))?.focus();
}

function choices({ mirror }: Context): Choices {
  const points = (twin: string) => (mirror.twins.has(twin) ? mirror.pointsOf(twin) : []);
  return {
    twins: () => [...mirror.twins.keys()],
    points: (twin) => points(twin).map((one) => one.name),
    labels: (twin, point) => points(twin).find((one) => one.name === point)?.type.labels ?? [],
    sheets: (kind) => mirror.sheets(kind).map((one) => one.name),
  };
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
