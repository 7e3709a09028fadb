// Many twins at once: a pattern over ids, names or types, what to set, and what that would change,
// shown before anything is said. Kept ones can be applied again, and work for twins that come later.

import { countText } from "../format.ts";
import type { Id } from "../mirror.ts";
import type { KeptMapping, MappingDone, MappingPreview, MappingRow, MappingsPage } from "../protocol.ts";
import { t } from "../words.ts";
import { RELATION_WORDS } from "./connections.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, h, iconButton, openDialog, setText } from "./dom.ts";
import { told } from "./edit.ts";
import { icon } from "./icons.ts";
import { guessPattern } from "./patterns.ts";

const TRY_AFTER_MS = 300;
const ROWS = 60;

const WHAT: Readonly<Record<string, string>> = {
  name: t("Name"),
  type: t("Type"),
  serial_number: t("Serial number"),
  property: t("Property"),
  place: t("Place"),
  relation: t("Relation"),
  unit: t("Unit"),
  range: t("Range"),
  semantic_id: t("Semantic id"),
  description: t("Meaning"),
  labels: t("States"),
};

type Plain = Record<string, unknown>;

interface Part {
  element: HTMLElement;
  /** What the fields say; null: nothing. */
  read(): Plain | null;
}

/** Opens the dialog; `twins` suggest a pattern. */
export function openMapping(context: Context, twins: readonly Id[]): void {
  new MappingDialog(context, twins);
}

class MappingDialog {
  private readonly where: Record<"id" | "name" | "type", HTMLInputElement>;
  private readonly texts: Record<"name" | "type" | "serial_number", HTMLInputElement>;
  private readonly place: Record<"start" | "step" | "per_row" | "row_step" | "by", HTMLInputElement>;
  private points: Part[] = [];
  private relations: Part[] = [];
  private readonly pointsPlace = h("div", { class: "map-parts" });
  private readonly relationsPlace = h("div", { class: "map-parts" });
  private readonly keepSaid: HTMLInputElement;
  private readonly newTwins: HTMLInputElement;
  private readonly keptAs: HTMLInputElement;
  private readonly sum = h("p", { class: "map-sum", role: "status", attrs: { "aria-live": "polite" } });
  private readonly rows = h("tbody", {});
  private readonly table: HTMLElement;
  private readonly more: HTMLButtonElement;
  private readonly keptPlace = h("div", { class: "map-kept" });
  private readonly applyButton: HTMLButtonElement;
  private readonly dialog: { element: HTMLDialogElement; close(): void };
  private readonly sections: Record<"points" | "relations" | "place", HTMLDetailsElement>;
  /** What the fields cannot show of a mapping that was opened: it is kept as it is. */
  private rest: Plain = {};
  private timer = 0;
  private request = 0;
  private next: number | null = null;

  constructor(
    private readonly context: Context,
    twins: readonly Id[],
  ) {
    const changed = (): void => this.changed();
    const input = (placeholder: string, label: string, attrs: Record<string, string> = {}): HTMLInputElement =>
      h("input", { class: "input mono", attrs: { placeholder, "aria-label": label, spellcheck: "false", autocomplete: "off", maxlength: "500", ...attrs }, on: { input: changed } });
    const field = (label: string, element: HTMLElement, hint = ""): HTMLElement =>
      h("label", { class: "field" }, h("span", { class: "field-label" }, label), element, hint && h("span", { class: "hint" }, hint));
    const types = h("datalist", { id: "map-types" }, ...[...context.mirror.types.keys()].map((type) => h("option", { attrs: { value: type } }, context.mirror.typeName(type))));
    this.where = {
      id: input("plant/*/Pump{n}", t("Id")),
      name: input("*", t("Name of the twins")),
      type: input("*", t("Type of the twins"), { list: "map-types" }),
    };
    this.where.id.value = guessPattern(twins);
    this.texts = {
      name: input("Pump {n}", t("New name")),
      type: input("Pump", t("New type"), { list: "map-types" }),
      serial_number: input("P-{n:04}", t("New serial number")),
    };
    this.place = {
      start: input("0, 0, 0", t("Start in metres")),
      step: input("2, 0, 0", t("Step in metres")),
      per_row: input("10", t("Twins in a row"), { type: "number", min: "0" }),
      row_step: input("0, 0, 3", t("Step to the next row")),
      by: input("n", t("Counted by")),
    };
    const check = (label: string): [HTMLInputElement, HTMLElement] => {
      const box = h("input", { attrs: { type: "checkbox" }, on: { change: changed } });
      return [box, h("label", { class: "check-row" }, box, h("span", {}, label))];
    };
    const [keepSaid, keepRow] = check(t("Leave alone what a person has said"));
    const [newTwins, newRow] = check(t("Also for twins that come later"));
    this.keepSaid = keepSaid;
    this.newTwins = newTwins;
    this.keptAs = input("pumps", t("Keep as"), { maxlength: "64" });
    this.sections = {
      points: this.section(t("Points"), this.pointsPlace, t("Add points"), () => this.addPoint()),
      relations: this.section(t("Relations"), this.relationsPlace, t("Add a relation"), () => this.addRelation()),
      place: h(
        "details",
        { class: "more" },
        h("summary", {}, icon("chevron"), t("Place")),
        h(
          "div",
          { class: "form" },
          h("div", { class: "map-three" }, field(t("Start in metres"), this.place.start), field(t("Step in metres"), this.place.step), field(t("Counted by"), this.place.by, t("a capture; empty: one after the other"))),
          h("div", { class: "form-row" }, field(t("Twins in a row"), this.place.per_row), field(t("Step to the next row"), this.place.row_step)),
        ),
      ),
    };
    this.more = button(t("Show more"), () => void this.look(this.next ?? 0), "plain");
    this.more.hidden = true;
    this.table = h(
      "div",
      { class: "map-table scroll", hidden: true, tabIndex: 0, role: "region", attrs: { "aria-label": t("What would change") } },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...[t("Twin"), t("What"), t("Now"), t("Then")].map((title) => h("th", { attrs: { scope: "col" } }, title)))),
        this.rows,
      ),
      this.more,
    );
    this.applyButton = button(t("Apply"), () => void this.apply(), "primary");
    this.applyButton.disabled = true;
    const body = h(
      "div",
      { class: "form map" },
      this.keptPlace,
      h("h3", { class: "section-title" }, t("Which twins")),
      field(t("Id"), this.where.id, t("* is any part of a step, ** any steps, {n} takes what stands there, {n:int} a number", { n: "{n}" })),
      h("div", { class: "form-row" }, field(t("Name"), this.where.name), field(t("Type"), this.where.type)),
      h("h3", { class: "section-title" }, t("What to set")),
      h("div", { class: "map-three" }, field(t("Name"), this.texts.name), field(t("Type"), this.texts.type), field(t("Serial number"), this.texts.serial_number)),
      this.sections.points,
      this.sections.relations,
      this.sections.place,
      h("h3", { class: "section-title" }, t("What would change")),
      this.sum,
      this.table,
      h("div", { class: "map-flags" }, keepRow, newRow, field(t("Keep as"), this.keptAs)),
      types,
    );
    this.dialog = openDialog(t("Mapping"), body, [h("span", { class: "grow" }), this.applyButton], { wide: true });
    this.dialog.element.classList.add("mapping");
    void this.showKept();
    this.changed();
    (this.where.id.value ? this.texts.name : this.where.id).focus();
  }

  private section(title: string, place: HTMLElement, label: string, add: () => void): HTMLDetailsElement {
    return h("details", { class: "more" }, h("summary", {}, icon("chevron"), title), h("div", { class: "form" }, place, h("div", {}, button(label, add, "plain", "plus"))));
  }

  // --- parts ---------------------------------------------------------------------------------

  private part(place: HTMLElement, parts: Part[], label: string, inputs: readonly HTMLElement[], read: () => Plain | null): void {
    const remove = iconButton("close", label, () => {
      parts.splice(parts.indexOf(part), 1);
      part.element.remove();
      this.changed();
    }, "small");
    const labelled = inputs.map((input) =>
      input.matches("datalist") ? input : h("label", { class: "field" }, h("span", { class: "field-label" }, input.getAttribute("aria-label") ?? ""), input),
    );
    const part: Part = { element: h("div", { class: "map-part" }, ...labelled, remove), read };
    parts.push(part);
    place.append(part.element);
  }

  private small(placeholder: string, label: string, value: unknown, attrs: Record<string, string> = {}): HTMLInputElement {
    const made = h("input", { class: "input mono", attrs: { placeholder, "aria-label": label, title: label, spellcheck: "false", autocomplete: "off", ...attrs }, on: { input: () => this.changed() } });
    made.value = value === undefined || value === null ? "" : String(value);
    return made;
  }

  private addPoint(from: Plain = {}): void {
    const name = this.small("*temp*", t("Points named"), from["name"]);
    const unit = this.small("Cel", t("Unit (UCUM)"), from["unit"]);
    const low = this.small("0", t("Range from"), from["low"], { type: "number", step: "any" });
    const high = this.small("120", t("Range to"), from["high"], { type: "number", step: "any" });
    const meaning = this.small("0173-1#02-…", t("Semantic id"), from["semantic_id"]);
    const { description, labels } = from;
    this.part(this.pointsPlace, this.points, t("Remove these points"), [name, unit, low, high, meaning], () => {
      const told: Plain = { description, labels };
      if (unit.value.trim()) told["unit"] = unit.value.trim();
      if (low.value) told["low"] = low.valueAsNumber;
      if (high.value) told["high"] = high.valueAsNumber;
      if (meaning.value.trim()) told["semantic_id"] = meaning.value.trim();
      return Object.values(told).some((value) => value !== undefined) ? { name: name.value.trim() || "*", ...told } : null;
    });
    this.sections.points.open = true;
    if (Object.keys(from).length === 0) name.focus();
  }

  private addRelation(from: Plain = {}): void {
    const kinds = h("datalist", { id: `map-kinds-${this.relations.length}` }, ...Object.entries(RELATION_WORDS).map(([kind, [out]]) => h("option", { attrs: { value: kind } }, out)));
    const kind = this.small("part_of", t("Relation"), from["kind"] ?? "part_of", { list: kinds.id });
    const way = h("select", { class: "select", attrs: { "aria-label": t("Direction") }, on: { change: () => this.changed() } },
      h("option", { attrs: { value: "to" } }, t("to")), h("option", { attrs: { value: "from" } }, t("from")));
    if (from["from"] !== undefined) way.value = "from";
    const other = this.small("plant/{hall}", t("Id of the other twin"), from["to"] ?? from["from"]);
    this.part(this.relationsPlace, this.relations, t("Remove this relation"), [kind, way, other, kinds], () =>
      other.value.trim() ? { kind: kind.value.trim(), [way.value]: other.value.trim() } : null,
    );
    this.sections.relations.open = true;
    if (Object.keys(from).length === 0) other.focus();
  }

  // --- what the fields say -------------------------------------------------------------------

  private body(): string | null {
    const where: Plain = {};
    for (const [key, { value }] of Object.entries(this.where)) if (value.trim()) where[key] = value.trim();
    const set: Plain = { ...this.rest };
    for (const [key, { value }] of Object.entries(this.texts)) if (value.trim()) set[key] = value.trim();
    const points = this.points.map((part) => part.read()).filter((told) => told !== null);
    const relations = this.relations.map((part) => part.read()).filter((told) => told !== null);
    if (points.length > 0) set["points"] = points;
    if (relations.length > 0) set["relations"] = relations;
    const { start, step, per_row, row_step, by } = this.place;
    if (start.value.trim() || step.value.trim()) {
      const place: Plain = { start: metres(start.value), step: metres(step.value) };
      if (per_row.value) place["per_row"] = per_row.valueAsNumber;
      if (row_step.value.trim()) place["row_step"] = metres(row_step.value);
      if (by.value.trim()) place["by"] = by.value.trim();
      set["place"] = place;
    }
    if (Object.keys(where).length === 0 || Object.keys(set).length === 0) return null;
    const mapping: Plain = { where, set };
    if (this.keepSaid.checked) mapping["keep_said"] = true;
    if (this.newTwins.checked) mapping["new_twins"] = true;
    return JSON.stringify(mapping);
  }

  private changed(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.look(0), TRY_AFTER_MS);
  }

  private async look(offset: number): Promise<void> {
    const body = this.body();
    const request = ++this.request;
    if (body === null) {
      this.table.hidden = true;
      this.applyButton.disabled = true;
      this.sum.className = "map-sum dimmer";
      setText(this.sum, t("Say which twins, and what to set."));
      return;
    }
    try {
      const found = await this.context.mirror.rest.post<MappingPreview>("mapping/preview", { body, offset, limit: ROWS });
      if (request !== this.request) return;
      this.show(found, offset);
    } catch (error) {
      if (request !== this.request) return;
      this.table.hidden = true;
      this.applyButton.disabled = true;
      this.sum.className = "map-sum form-error";
      setText(this.sum, reasonOf(error).replace(/^mapping: /, ""));
    }
  }

  private show(found: MappingPreview, offset: number): void {
    const notes = [
      t(found.twins === 1 ? "{n} twin fits" : "{n} twins fit", { n: countText(found.twins) }),
      t(found.changes === 1 ? "{n} change" : "{n} changes", { n: countText(found.changes) }),
      found.left_out > 0 ? t("{n} left out", { n: countText(found.left_out) }) : "",
      found.noted > found.left_out ? t("{n} to look at", { n: countText(found.noted - found.left_out) }) : "",
    ];
    this.sum.className = "map-sum";
    setText(this.sum, notes.filter(Boolean).join(" · "));
    const rows = found.rows.map((row) => this.row(row));
    if (offset === 0) this.rows.replaceChildren(...rows);
    else this.rows.append(...rows);
    this.next = found.next;
    this.more.hidden = found.next === null;
    this.table.hidden = found.rows.length === 0 && offset === 0;
    this.applyButton.disabled = found.changes === 0 && !(this.newTwins.checked && found.twins >= 0);
    setText(this.applyButton.lastElementChild!, found.changes > 0 ? t("Apply {n}", { n: countText(found.changes) }) : t("Apply"));
  }

  private row(row: MappingRow): HTMLElement {
    const what = WHAT[row.what] ?? row.what;
    const of = row.what === "relation" ? (RELATION_WORDS[row.of]?.[0] ?? row.of) : row.of;
    const label = row.what === "relation" ? of : of ? `${what} · ${of}` : what;
    return h(
      "tr",
      { class: row.is_left_out ? "left-out" : "" },
      h("td", { title: row.twin }, h("span", { class: "map-twin" }, row.name || row.twin), row.name && h("span", { class: "mono dimmer map-twin" }, row.twin)),
      h("td", {}, label),
      h("td", { class: "dimmer" }, row.before || "–"),
      h("td", {}, h("span", { class: "map-after" }, row.after || "–"), row.note && h("span", { class: `map-note${row.is_left_out ? " bad" : ""}` }, row.is_left_out ? `${t("left out")}: ${row.note}` : row.note)),
    );
  }

  // --- doing it ------------------------------------------------------------------------------

  private async apply(): Promise<void> {
    const body = this.body();
    if (body === null) return;
    const name = this.keptAs.value.trim();
    if (this.newTwins.checked && name === "") {
      this.sum.className = "map-sum form-error";
      setText(this.sum, t("Give it a name to keep it under: it works on for twins that come later."));
      this.keptAs.focus();
      return;
    }
    this.applyButton.disabled = true;
    try {
      const done = await this.context.mirror.rest.post<MappingDone>("mapping", { body, name, reason: "" });
      this.dialog.close();
      told(this.context, this.doneWords(done), done.position);
    } catch (error) {
      this.applyButton.disabled = false;
      this.sum.className = "map-sum form-error";
      setText(this.sum, reasonOf(error));
    }
  }

  private doneWords(done: MappingDone): string {
    const words = t(done.changes === 1 ? "{n} change" : "{n} changes", { n: countText(done.changes) });
    return done.left_out > 0 ? `${words} · ${t("{n} left out", { n: countText(done.left_out) })}` : words;
  }

  private async showKept(): Promise<void> {
    const { rest } = this.context.mirror;
    let kept: KeptMapping[];
    try {
      kept = (await rest.get<MappingsPage>("mapping")).mappings;
    } catch {
      return; // who may not see what is kept may still map their own part
    }
    const act = async (work: () => Promise<void>): Promise<void> => {
      try {
        await work();
      } catch (error) {
        this.context.toast({ tone: "bad", title: t("Not done"), detail: reasonOf(error) });
      }
      await this.showKept();
    };
    this.keptPlace.hidden = kept.length === 0;
    this.keptPlace.replaceChildren(
      h("h3", { class: "section-title" }, t("Kept")),
      ...kept.map((mapping) =>
        h(
          "div",
          { class: "map-kept-row" },
          h("span", { class: "grow" }, h("strong", {}, mapping.name), mapping.trouble ? h("span", { class: "form-error" }, mapping.trouble) : h("span", { class: "dimmer" }, keptWords(mapping))),
          button(t("Open"), () => this.load(mapping), "quiet"),
          button(t("Apply again"), () => void act(async () => {
            const done = await rest.post<MappingDone>(`mapping/${encodeURIComponent(mapping.name)}/apply`);
            told(this.context, `${mapping.name}: ${this.doneWords(done)}`, done.position);
          }), "plain"),
          iconButton("close", t("Keep {name} no longer", { name: mapping.name }), () => void act(async () => {
            await rest.delete(`mapping/${encodeURIComponent(mapping.name)}`);
          }), "small"),
        ),
      ),
    );
  }

  private load(mapping: KeptMapping): void {
    let plain: Plain;
    try {
      plain = JSON.parse(mapping.body) as Plain;
    } catch {
      return;
    }
    const where = (plain["where"] ?? {}) as Plain;
    const { name, type, serial_number, points, relations, place, ...rest } = (plain["set"] ?? {}) as Plain;
    for (const key of ["id", "name", "type"] as const) this.where[key].value = String(where[key] ?? "");
    this.texts.name.value = String(name ?? "");
    this.texts.type.value = String(type ?? "");
    this.texts.serial_number.value = String(serial_number ?? "");
    this.rest = rest;
    this.points = [];
    this.relations = [];
    this.pointsPlace.replaceChildren();
    this.relationsPlace.replaceChildren();
    for (const point of (points ?? []) as Plain[]) this.addPoint(point);
    for (const relation of (relations ?? []) as Plain[]) this.addRelation(relation);
    const at = (place ?? {}) as Plain;
    for (const key of ["start", "step", "row_step"] as const) this.place[key].value = Array.isArray(at[key]) ? (at[key] as number[]).join(", ") : "";
    this.place.per_row.value = String(at["per_row"] ?? "");
    this.place.by.value = String(at["by"] ?? "");
    this.sections.place.open = place !== undefined;
    this.keepSaid.checked = plain["keep_said"] === true;
    this.newTwins.checked = plain["new_twins"] === true;
    this.keptAs.value = mapping.name;
    this.changed();
  }
}

function keptWords(mapping: KeptMapping): string {
  try {
    const { where, new_twins } = JSON.parse(mapping.body) as { where?: Record<string, string>; new_twins?: boolean };
    const pattern = Object.values(where ?? {}).join(", ");
    return new_twins ? ` ${pattern} · ${t("also later twins")}` : ` ${pattern}`;
  } catch {
    return "";
  }
}

/** Three numbers in metres, as they are written with commas or spaces between. */
function metres(written: string): (number | string)[] {
  const parts = written.split(/[,;\s]+/).filter(Boolean);
  return parts.length === 0 ? [0, 0, 0] : parts.map((part) => (Number.isFinite(Number(part)) ? Number(part) : part));
}
