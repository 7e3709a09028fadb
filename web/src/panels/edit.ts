// Says over a twin's source what a person knows better: name, type, serial number, place.

import { type Id, text } from "../mirror.ts";
import type { Edited } from "../protocol.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, h, openDialog } from "./dom.ts";
import { t } from "../words.ts";

export type Edit = Record<string, unknown> & { "@": string };

const MAY_EDIT = ["owner", "engineer"];

/** Whether the person may say something over the sources. The server decides in the end. */
export function mayEdit(context: Context): boolean {
  return context.mirror.principal.roles.some((role) => MAY_EDIT.includes(role));
}

/** The dialog that edits one twin; what was not touched is not said. */
export function openEdit(context: Context, id: Id): void {
  const { mirror } = context;
  const twin = mirror.twins.get(id);
  if (!twin) return;
  const serial = twin.properties?.find((property) => property.name === "serial_number");
  const types = h("datalist", { id: "edit-types" }, ...[...mirror.types.keys()].map((type) => h("option", { attrs: { value: type } }, mirror.typeName(type))));
  const rows: HTMLElement[] = [];
  const field = (label: string, value: string, attrs: Record<string, string> = {}): HTMLInputElement => {
    const input = h("input", { class: "input", attrs: { value, ...attrs } });
    rows.push(h("label", { class: "field" }, h("span", {}, label), input));
    return input;
  };
  const name = field(t("Name"), text(twin.name), { maxlength: "200" });
  const type = field(t("Type"), twin.type ?? "", { list: "edit-types", maxlength: "500" });
  const number = field(t("Serial number"), String(serial?.value ?? ""), { maxlength: "200" });
  const place = (["x_m", "y_m", "z_m"] as const).map((axis) =>
    field(t("{axis} in metres", { axis: axis[0]! }), String(twin.pose?.[axis] ?? 0), { type: "number", step: "0.1" }),
  );
  const edits = (): Edit[] => {
    const found: Edit[] = [];
    const differs = (input: HTMLInputElement): boolean => input.value !== input.defaultValue;
    if (differs(name)) found.push(name.value.trim() ? { "@": "PutName", twin: id, name: { "": name.value.trim() } } : { "@": "Unsay", twin: id, what: "PutName" });
    if (differs(type)) found.push({ "@": "PutTypeOf", twin: id, type: type.value.trim() });
    if (differs(number)) found.push({ "@": "PutProperty", twin: id, property: { ...serial, name: "serial_number", value: number.value.trim() } });
    if (place.some(differs)) {
      const [x_m, y_m, z_m] = place.map((input) => input.valueAsNumber || 0);
      found.push({ "@": "PutPose", twin: id, pose: { ...twin.pose, x_m, y_m, z_m } });
    }
    return found;
  };
  const failed = h("p", { class: "form-error", role: "alert" });
  const save = async (): Promise<void> => {
    const said = edits();
    if (said.length === 0) return dialog.close();
    try {
      await say(context, said, id);
    } catch (error) {
      failed.textContent = reasonOf(error);
      return;
    }
    dialog.close();
  };
  const form = h("form", { on: { submit: (event) => { event.preventDefault(); void save(); } } }, ...rows, types, failed);
  const dialog = openDialog(t("Edit {name}", { name: mirror.nameOf(id) }), form, [button(t("Save"), () => void save(), "primary")]);
  name.focus();
}

/** Says something as one change, and offers to take it back. Rejects with the server's own words. */
export async function say(context: Context, edits: readonly Edit[], detail: string, reason = ""): Promise<void> {
  const { position } = await context.mirror.rest.post<Edited>("edits", { edits, reason });
  told(context, detail, position);
}

/** Tells that something was said, and offers to take it back. */
export function told(context: Context, detail: string, position: string): void {
  context.toast({ tone: "good", title: t("Saved"), detail, action: { label: t("Undo"), run: () => void undo(context, position) } });
}

/** Takes edits of the person back: those at a position, else the latest. */
export async function undo(context: Context, position?: string): Promise<void> {
  try {
    await context.mirror.rest.post("undo", {}, { position });
    context.toast({ tone: "plain", title: t("Taken back") });
  } catch (error) {
    context.toast({ tone: "bad", title: t("Not taken back"), detail: reasonOf(error) });
  }
}
