// Joins twins and parts them again: one relation from the inspector, many into one whole.

import { labelText } from "../format.ts";
import type { Id, Relation } from "../mirror.ts";
import { t } from "../words.ts";
import { RELATION_WORDS } from "./connections.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, h, openDialog } from "./dom.ts";
import { type Edit, say } from "./edit.ts";
import { twinPicker } from "./twinpicker.ts";

const PART_OF = "part_of";
const OTHER = "";

/** The edits that make twins parts of one whole: what they were part of gives way. */
export function intoEdits(context: Context, twins: readonly Id[], whole: Id): Edit[] {
  const edits: Edit[] = [];
  for (const twin of twins) {
    if (twin === whole) continue;
    const now = context.mirror.from(twin).filter((relation) => relation.kind === PART_OF);
    if (now.some((relation) => relation.target === whole)) continue;
    edits.push(...now.map(dropped), { "@": "PutRelation", relation: { kind: PART_OF, source: twin, target: whole } });
  }
  return edits;
}

/** Makes twins parts of another. */
export async function moveInto(context: Context, twins: readonly Id[], whole: Id): Promise<void> {
  const edits = intoEdits(context, twins, whole);
  if (edits.length === 0) return;
  const name = context.mirror.nameOf(whole);
  const words = twins.length === 1 ? t("{name} is part of {whole}", { name: context.mirror.nameOf(twins[0]!), whole: name }) : t("{n} twins are part of {whole}", { n: twins.length, whole: name });
  try {
    await say(context, edits, words);
  } catch (error) {
    context.toast({ tone: "bad", title: t("Not moved"), detail: reasonOf(error) });
  }
}

/** Asks of what twins are to be part. */
export function openMoveInto(context: Context, twins: readonly Id[], onDone: () => void): void {
  const failed = h("p", { class: "form-error", role: "alert" });
  const save = async (): Promise<void> => {
    const whole = picker.chosen();
    if (whole === null) {
      picker.focus();
      return;
    }
    dialog.close();
    await moveInto(context, twins, whole);
    onDone();
  };
  const picker = twinPicker(context, t("Part of"), new Set(twins));
  const body = h("form", { class: "form", on: { submit: (event) => { event.preventDefault(); void save(); } } },
    h("p", { class: "dimmer" }, t("{n} twins become part of this one.", { n: twins.length })),
    picker.element, failed);
  const dialog = openDialog(t("Part of…"), body, [h("span", { class: "grow" }), button(t("Save"), () => void save(), "primary")]);
  picker.focus();
}

/** Ends a relation; a source that declares it again does not bring it back. */
export async function endRelation(context: Context, relation: Relation): Promise<void> {
  const { mirror } = context;
  const words = RELATION_WORDS[relation.kind]?.[0] ?? labelText(relation.kind);
  try {
    await say(context, [dropped(relation)], t("Ended: {source} – {relation} – {target}", { source: mirror.nameOf(relation.source), relation: words, target: mirror.nameOf(relation.target) }));
  } catch (error) {
    context.toast({ tone: "bad", title: t("Not ended"), detail: reasonOf(error) });
  }
}

function dropped(relation: Relation): Edit {
  return { "@": "DropRelation", kind: relation.kind, source: relation.source, target: relation.target, name: relation.name ?? "" };
}

/** Asks for a relation of a twin, either way. */
export function openRelate(context: Context, id: Id): void {
  const { mirror } = context;
  const kinds = Object.entries(RELATION_WORDS);
  const known = new Set(kinds.map(([kind]) => kind));
  for (const relation of mirror.relations.values()) {
    if (known.has(relation.kind) || known.size > 40) continue;
    known.add(relation.kind);
    kinds.push([relation.kind, [labelText(relation.kind), t("{relation} (from)", { relation: labelText(relation.kind) }), "flow"]]);
  }
  const choice = h(
    "select",
    { class: "select", attrs: { "aria-label": t("Relation") }, on: { change: () => arrange() } },
    ...kinds.flatMap(([kind, [out, in_]]) => [
      h("option", { attrs: { value: `>${kind}` } }, out),
      h("option", { attrs: { value: `<${kind}` } }, in_),
    ]),
    h("option", { attrs: { value: OTHER } }, t("Another…")),
  );
  const own = h("input", { class: "input mono", attrs: { maxlength: "200", placeholder: "cools", "aria-label": t("Kind of relation"), spellcheck: "false" } });
  const ownField = h("label", { class: "field", hidden: true }, h("span", { class: "field-label" }, t("Kind of relation")), own);
  const hint = h("p", { class: "dimmer" });
  const failed = h("p", { class: "form-error", role: "alert" });
  const picker = twinPicker(context, t("Twin"), new Set([id]), () => arrange());
  const arrange = (): void => {
    ownField.hidden = choice.value !== OTHER;
    const moved = choice.value === ">part_of" ? id : choice.value === "<part_of" ? picker.chosen() : null;
    const whole = moved === null ? undefined : mirror.parent(moved);
    hint.textContent = moved !== null && whole !== undefined ? t("{name} is part of {whole} now; that gives way.", { name: mirror.nameOf(moved), whole: mirror.nameOf(whole) }) : "";
  };
  const save = async (): Promise<void> => {
    const other = picker.chosen();
    if (other === null) {
      picker.focus();
      return;
    }
    const isOut = !choice.value.startsWith("<");
    const kind = choice.value === OTHER ? own.value.trim() : choice.value.slice(1);
    if (kind === "") {
      own.focus();
      return;
    }
    const [source, target] = isOut ? [id, other] : [other, id];
    const edits: Edit[] = kind === PART_OF ? intoEdits(context, [source], target) : [{ "@": "PutRelation", relation: { kind, source, target } }];
    if (edits.length === 0) return dialog.close();
    try {
      await say(context, edits, `${mirror.nameOf(source)} – ${RELATION_WORDS[kind]?.[0] ?? labelText(kind)} – ${mirror.nameOf(target)}`);
      dialog.close();
    } catch (error) {
      failed.textContent = reasonOf(error);
    }
  };
  const body = h(
    "form",
    { class: "form relate", on: { submit: (event) => { event.preventDefault(); void save(); } } },
    h("label", { class: "field" }, h("span", { class: "field-label" }, mirror.nameOf(id)), choice),
    ownField,
    h("div", { class: "field" }, h("span", { class: "field-label" }, t("Twin")), picker.element),
    hint,
    failed,
    h("input", { hidden: true, attrs: { type: "submit" } }),
  );
  const dialog = openDialog(t("Relate {name}", { name: mirror.nameOf(id) }), body, [h("span", { class: "grow" }), button(t("Save"), () => void save(), "primary")]);
  arrange();
  choice.focus();
}

/** Makes a new twin and puts the chosen ones into it. */
export function openGroup(context: Context, twins: readonly Id[], onDone: () => void): void {
  const { mirror } = context;
  const types = h("datalist", { id: "group-types" }, ...[...mirror.types.keys()].map((type) => h("option", { attrs: { value: type } }, mirror.typeName(type))));
  const name = h("input", { class: "input", attrs: { maxlength: "200", required: true }, on: { input: () => { if (!isOwnId) id.value = freeId(name.value); } } });
  const type = h("input", { class: "input", attrs: { list: "group-types", maxlength: "500" } });
  const id = h("input", { class: "input mono", attrs: { maxlength: "500", spellcheck: "false" }, on: { input: () => { isOwnId = true; } } });
  let isOwnId = false;
  const freeId = (from: string): Id => {
    const slug = from.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "group";
    let free = slug;
    for (let n = 2; mirror.twins.has(free); n += 1) free = `${slug}-${n}`;
    return free;
  };
  const wholes = new Set(twins.map((twin) => mirror.parent(twin)));
  const [whole] = wholes;
  const failed = h("p", { class: "form-error", role: "alert" });
  const save = async (): Promise<void> => {
    const called = name.value.trim();
    if (called === "") {
      name.focus();
      return;
    }
    const group = id.value.trim() || freeId(called);
    if (mirror.twins.has(group)) {
      failed.textContent = t("There is a twin “{id}” already; give another id.", { id: group });
      return;
    }
    const edits: Edit[] = [{ "@": "PutTwin", twin: { id: group, type: type.value.trim(), name: { "": called } } }, ...intoEdits(context, twins, group)];
    if (wholes.size === 1 && whole !== undefined) edits.push({ "@": "PutRelation", relation: { kind: PART_OF, source: group, target: whole } });
    try {
      await say(context, edits, t("{name} with {n} parts", { name: called, n: twins.length }));
    } catch (error) {
      failed.textContent = reasonOf(error);
      return;
    }
    dialog.close();
    onDone();
  };
  const field = (label: string, input: HTMLElement): HTMLElement => h("label", { class: "field" }, h("span", { class: "field-label" }, label), input);
  const shown = twins.slice(0, 4).map((twin) => mirror.nameOf(twin)).join(", ");
  const body = h(
    "form",
    { class: "form", on: { submit: (event) => { event.preventDefault(); void save(); } } },
    h("p", { class: "dimmer" }, twins.length > 4 ? t("{names} and {n} more become its parts.", { names: shown, n: twins.length - 4 }) : t("{names} become its parts.", { names: shown })),
    field(t("Name"), name),
    field(t("Type"), type),
    field(t("Id"), id),
    types,
    failed,
    h("input", { hidden: true, attrs: { type: "submit" } }),
  );
  const dialog = openDialog(t("Group {n} twins", { n: twins.length }), body, [h("span", { class: "grow" }), button(t("Group"), () => void save(), "primary")]);
  name.focus();
}
