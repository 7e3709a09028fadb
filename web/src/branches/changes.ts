// What is changed in the branch: the selected twin, what is assumed, parameters and sheets; and how
// each change is taken back.

import { labelText, unitText } from "../format.ts";
import type { Id } from "../mirror.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { button, emptyState, h, setText } from "../panels/dom.ts";
import { valueText } from "../panels/values.ts";
import { type BranchChange, Kind, type PointType, type Property, type Sheet } from "../protocol.ts";
import { kindText, openSheet } from "../sheets/dialog.ts";
import { t } from "../words.ts";
import type { Part } from "./inside.ts";
import { momentOf } from "./state.ts";
import type { BranchStore } from "./store.ts";

type Edit = Record<string, unknown> & { "@": string };

export class ChangesPart implements Part {
  readonly element = h("div", { class: "branch-part scroll", tabIndex: -1 });
  private readonly twinPlace = h("div", {});
  private readonly parameterPlace = h("div", {});
  private readonly sheetPlace = h("div", {});
  private readonly changePlace = h("div", {});
  private shownTwin = "";
  private shownParameters = "";
  private shownSheets = "";
  private shownChanges = "";
  private askedAt = "";
  private isDirty = false;

  constructor(
    private readonly context: Context,
    private readonly store: BranchStore,
  ) {
    const { mirror, pulse } = context;
    this.element.append(this.twinPlace, this.parameterPlace, this.sheetPlace, this.changePlace);
    mirror.on("selection", () => {
      this.isDirty = false;
      pulse.mark(this);
    });
    for (const what of ["structure", "sheets", "branch"] as const) mirror.on(what, () => pulse.mark(this));
    store.on(() => pulse.mark(this));
  }

  paint(): void {
    const { mirror } = this.context;
    const branch = this.store.shown;
    if (this.element.hidden || mirror.branch === null || branch === undefined) return;
    const id = mirror.selected;
    const twin = id === null ? undefined : mirror.twins.get(id);
    const shownTwin = JSON.stringify([mirror.branch, id, branch.may_change, twin]);
    if (shownTwin !== this.shownTwin && !(this.isDirty && this.shownTwin.startsWith(JSON.stringify([mirror.branch, id]).slice(0, -1)))) {
      this.shownTwin = shownTwin;
      this.isDirty = false;
      this.twinPlace.replaceChildren(this.twinForm(id, branch.may_change));
    }
    const shownParameters = JSON.stringify([branch.id, branch.parameters, branch.may_change]);
    if (shownParameters !== this.shownParameters) {
      this.shownParameters = shownParameters;
      this.parameterPlace.replaceChildren(this.parameterList(branch.parameters, branch.may_change));
    }
    const sheets = mirror.sheetKinds().flatMap((kind) => mirror.sheets(kind));
    const shownSheets = JSON.stringify([branch.may_change, sheets]);
    if (shownSheets !== this.shownSheets) {
      this.shownSheets = shownSheets;
      this.sheetPlace.replaceChildren(this.sheetList(sheets, branch.may_change));
    }
    const asked = `${branch.id} ${branch.position} ${branch.changes}`;
    if (asked !== this.askedAt) {
      this.askedAt = asked;
      void this.askChanges(branch.id, branch.may_change);
    }
  }

  // --- the selected twin -----------------------------------------------------------------------

  private twinForm(id: Id | null, mayChange: boolean): HTMLElement {
    const { mirror } = this.context;
    const twin = id === null ? undefined : mirror.twins.get(id);
    if (id === null || twin === undefined) return emptyState("focus", t("Nothing selected"), t("Choose a twin in the scene or by search to change it in this branch."));
    if (!mayChange) return h("p", { class: "branch-said dim" }, t("Only its author changes this branch. Make a branch of it to try something else."));
    const rows: HTMLElement[] = [];
    const read: (() => { edits: Edit[]; values: { point: string; value: unknown }[] })[] = [];
    const field = (label: string, control: HTMLElement, unit = ""): HTMLElement =>
      h("label", { class: "branch-field" }, h("span", { class: "clip", title: label }, label), h("span", { class: "input-unit" }, control, unit && h("span", { class: "unit" }, unitText(unit))));
    const number = (value: number | null, label: string): HTMLInputElement =>
      h("input", { class: "input num", attrs: { type: "number", step: "any", value: value === null ? "" : String(value), "aria-label": label } });

    const pose = twin.pose;
    const axes = (["x_m", "y_m", "z_m"] as const).map((axis) => number(round(pose?.[axis] ?? 0), t("{axis} in metres", { axis: axis[0]! })));
    const heading = number(round(headingOf(pose)), t("Heading in degrees"));
    const place = h("div", { class: "branch-place" }, ...axes.map((input, i) => h("label", {}, h("span", {}, ["x", "y", "z"][i]!), input)), h("label", {}, h("span", {}, "°"), heading));
    rows.push(h("div", { class: "branch-group" }, h("h4", {}, t("Place, m and degrees")), place));
    read.push(() => {
      const values = [...axes, heading];
      if (!values.some(differs)) return { edits: [], values: [] };
      const [x_m, y_m, z_m] = axes.map((input) => input.valueAsNumber || 0);
      const turned = differs(heading) ? turnOf(heading.valueAsNumber || 0) : { qx: pose?.qx, qy: pose?.qy, qz: pose?.qz, qw: pose?.qw };
      return { edits: [{ "@": "PutPose", twin: id, pose: { ...pose, x_m, y_m, z_m, ...turned } }], values: [] };
    });

    const scalars = (twin.properties ?? []).filter(isScalar).slice(0, 24);
    if (scalars.length > 0) {
      const group = h("div", { class: "branch-group" }, h("h4", {}, t("Properties")));
      for (const property of scalars) {
        const isNumber = typeof property.value === "number";
        const label = labelText(property.name);
        const input = isNumber ? number(property.value as number, label) : h("input", { class: "input", attrs: { value: String(property.value ?? ""), "aria-label": label } });
        group.append(field(label, input, property.unit ?? ""));
        read.push(() => ({ edits: differs(input) ? [{ "@": "PutProperty", twin: id, property: { ...property, value: isNumber ? input.valueAsNumber : input.value } }] : [], values: [] }));
      }
      rows.push(group);
    }

    const points = mirror.pointsOf(id).filter(({ type }) => (type.kind ?? Kind.FLOAT) <= Kind.TEXT && type.kind !== Kind.ARRAY).slice(0, 40);
    if (points.length > 0) {
      const group = h("div", { class: "branch-group" }, h("h4", {}, t("Assumed values")));
      for (const { handle, name, type } of points) {
        const editor = assumeField(type, labelText(name), valueText(mirror, handle));
        group.append(field(labelText(name), editor.element, type.unit ?? ""));
        read.push(() => {
          const value = editor.read();
          return { edits: [], values: value === undefined ? [] : [{ point: `${id}.${name}`, value }] };
        });
      }
      rows.push(group);
    }

    const failed = h("p", { class: "error-line", role: "alert" });
    const done = h("p", { class: "branch-done dim", role: "status" });
    const save = async (): Promise<void> => {
      const { api } = this.store;
      const branch = mirror.branch!;
      const said = read.map((each) => each());
      const edits = said.flatMap((each) => each.edits);
      const values = said.flatMap((each) => each.values);
      setText(failed, "");
      if (edits.length + values.length === 0) {
        setText(failed, t("Nothing is otherwise yet."));
        return;
      }
      try {
        if (edits.length > 0) await api.edit(branch, edits);
        if (values.length > 0) await api.assume(branch, { values: values.map((each) => ({ ...each, unit: "" })) });
        this.isDirty = false;
        this.shownTwin = "";
        setText(done, t("Changed in the branch."));
        await this.store.refresh();
      } catch (error) {
        setText(failed, reasonOf(error));
      }
    };
    return h(
      "form",
      { class: "branch-form", attrs: { "aria-label": t("Change {name}", { name: mirror.nameOf(id) }) }, on: { submit: (event) => { event.preventDefault(); void save(); }, input: () => (this.isDirty = true) } },
      h("h3", { class: "clip" }, mirror.nameOf(id)),
      ...rows,
      failed,
      done,
      h("div", { class: "branch-save" }, button(t("Change in the branch"), () => void save(), "primary")),
      h("input", { hidden: true, attrs: { type: "submit" } }),
    );
  }

  // --- parameters and sheets -------------------------------------------------------------------

  private parameterList(parameters: Record<string, unknown>, mayChange: boolean): HTMLElement {
    const failed = h("p", { class: "error-line", role: "alert" });
    const put = async (name: string, value: unknown): Promise<void> => {
      setText(failed, "");
      try {
        await this.store.api.assume(this.context.mirror.branch!, { parameters: { [name]: value } });
        await this.store.refresh();
      } catch (error) {
        setText(failed, reasonOf(error));
      }
    };
    const rows = Object.entries(parameters).map(([name, value]) => {
      const input = h("input", { class: "input num", attrs: { value: typeof value === "string" ? value : JSON.stringify(value), "aria-label": name, disabled: !mayChange } });
      input.addEventListener("change", () => void put(name, parsed(input.value)));
      return h("div", { class: "branch-field" }, h("span", { class: "clip", title: name }, labelText(name)), h("span", { class: "input-unit" }, input, mayChange && button(t("Remove"), () => void put(name, null), "quiet")));
    });
    const name = h("input", { class: "input", attrs: { placeholder: t("Name, such as demand"), "aria-label": t("Name of the parameter"), maxlength: "100" } });
    const value = h("input", { class: "input num", attrs: { placeholder: t("Value"), "aria-label": t("Value of the parameter") } });
    const form = h(
      "form",
      { class: "branch-add", on: { submit: (event) => { event.preventDefault(); if (name.value.trim()) void put(name.value.trim(), parsed(value.value)); } } },
      name, value, h("button", { class: "button plain", attrs: { type: "submit" } }, t("Set")),
    );
    return this.section(t("Parameters"), rows.length, h("div", {}, ...rows, mayChange && form, failed), rows.length > 0);
  }

  private sheetList(sheets: readonly Sheet[], mayChange: boolean): HTMLElement {
    const rows = sheets.map((sheet) =>
      h("div", { class: "branch-row" }, h("span", { class: "grow clip" }, sheet.name, h("span", { class: "dim" }, ` ${kindText(sheet.kind)}`)), mayChange && button(t("Change…"), () => this.openSheet(sheet), "quiet")),
    );
    const add = mayChange && button(t("Add a sheet…"), () => this.openSheet({ kind: "shift_plan", name: "", body: "" }), "quiet", "plus");
    return this.section(t("Shifts and other sheets"), rows.length, h("div", {}, ...rows, add), false);
  }

  private openSheet(sheet: Sheet): void {
    const send = async (edit: Edit): Promise<void> => {
      await this.store.api.edit(this.context.mirror.branch!, [edit]);
      await this.store.refresh();
    };
    const title = sheet.name === "" ? t("New sheet in the branch") : t("{name} in the branch", { name: sheet.name });
    void openSheet(this.context, sheet, title, t("Change in the branch"), send);
  }

  // --- what was changed ------------------------------------------------------------------------

  private async askChanges(id: string, mayChange: boolean): Promise<void> {
    try {
      const { changes } = await this.store.api.changes(id);
      if (this.context.mirror.branch !== id) return;
      const shown = JSON.stringify([changes, mayChange]);
      if (shown === this.shownChanges) return;
      this.shownChanges = shown;
      this.changePlace.replaceChildren(this.changeList(changes, mayChange));
    } catch (error) {
      this.shownChanges = "";
      this.askedAt = "";
      this.changePlace.replaceChildren(h("p", { class: "error-line", role: "alert" }, reasonOf(error)));
    }
  }

  private changeList(changes: readonly BranchChange[], mayChange: boolean): HTMLElement {
    const now_ms = this.context.mirror.nowMs();
    const failed = h("p", { class: "error-line", role: "alert" });
    const undo = async (position: string): Promise<void> => {
      setText(failed, "");
      try {
        await this.store.api.undo(this.context.mirror.branch!, position);
        this.shownTwin = this.askedAt = "";
        await this.store.refresh();
      } catch (error) {
        setText(failed, reasonOf(error));
      }
    };
    const rows = [...changes].reverse().map((change) =>
      h(
        "li",
        { class: change.is_undone ? "branch-change undone" : "branch-change" },
        h("div", { class: "grow" }, ...change.words.slice(0, 6).map((line) => h("div", {}, line)), change.words.length > 6 && h("div", { class: "dim" }, t("and {n} more", { n: change.words.length - 6 })), h("small", { class: "dim" }, `${change.by} · ${momentOf(change.made_ns, now_ms)}${change.reason ? ` · ${change.reason}` : ""}${change.is_undone ? ` · ${t("taken back")}` : ""}`)),
        mayChange && !change.is_undone && button(t("Undo"), () => void undo(change.position), "quiet", "undo"),
      ),
    );
    return this.section(t("What was changed"), changes.filter((change) => !change.is_undone).length, h("div", {}, rows.length === 0 ? h("p", { class: "dim branch-said" }, t("Nothing yet.")) : h("ul", { class: "branch-changes" }, ...rows), failed), true);
  }

  private section(title: string, count: number, content: HTMLElement, isOpen: boolean): HTMLElement {
    return h("details", { class: "branch-section", attrs: { open: isOpen } }, h("summary", {}, title, count > 0 && h("span", { class: "count num" }, String(count))), content);
  }
}

function isScalar({ value }: Property): boolean {
  return typeof value === "number" || typeof value === "string";
}

function differs(input: HTMLInputElement): boolean {
  return input.value !== input.defaultValue;
}

/** A field for a value to be assumed; what is there now stands in it in grey. */
function assumeField(type: PointType, label: string, now: string): { element: HTMLElement; read(): unknown } {
  const kind = type.kind ?? Kind.FLOAT;
  const labels = kind === Kind.BOOL ? ([[0, t("no")], [1, t("yes")]] as [number, string][]) : (type.labels ?? []);
  if (kind === Kind.BOOL || kind === Kind.ENUM || labels.length > 0) {
    const select = h("select", { class: "select", attrs: { "aria-label": label } }, h("option", { attrs: { value: "" } }, t("as it is: {value}", { value: now })));
    for (const [code, name] of labels) select.append(h("option", { attrs: { value: code } }, name));
    return { element: select, read: () => (select.value === "" ? undefined : kind === Kind.BOOL ? select.value === "1" : Number(select.value)) };
  }
  const isText = kind === Kind.TEXT;
  const input = h("input", { class: "input num", attrs: { type: isText ? "text" : "number", step: kind === Kind.INT ? 1 : "any", placeholder: now, "aria-label": label } });
  return { element: input, read: () => (input.value === "" ? undefined : isText ? input.value : input.valueAsNumber) };
}

/** Text that people typed for a parameter: JSON where it is some, else the text itself. */
function parsed(typed: string): unknown {
  try {
    return JSON.parse(typed);
  } catch {
    return typed;
  }
}

/** Degrees about the vertical. */
function headingOf(pose: { qx?: number; qy?: number; qz?: number; qw?: number } | null | undefined): number {
  if (pose == null) return 0;
  const { qx = 0, qy = 0, qz = 0, qw = 1 } = pose;
  return (Math.atan2(2 * (qw * qy + qx * qz), 1 - 2 * (qy * qy + qx * qx)) * 180) / Math.PI;
}

function turnOf(degrees: number): { qx: number; qy: number; qz: number; qw: number } {
  const half = (degrees * Math.PI) / 360;
  return { qx: 0, qy: Math.sin(half), qz: 0, qw: Math.cos(half) };
}

function round(value: number): number {
  return Number(value.toFixed(3));
}

