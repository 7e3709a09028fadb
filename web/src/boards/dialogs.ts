// What is asked of a person while composing: which tile, with what; how a board is called.

import { BOARD_POINTS_MAX } from "../protocol.ts";
import { type Id, type Mirror, text } from "../mirror.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { button, h, openDialog, setAttr } from "../panels/dom.ts";
import { icon, type IconName } from "../panels/icons.ts";
import { isNumeric, isPlottable, isStepped } from "../panels/values.ts";
import { t } from "../words.ts";
import type { NewTile, Tile, TileKind } from "./model.ts";
import { Picker, pointPicker, twinPicker } from "./picker.ts";
import { weightOf } from "./suggest.ts";
import { pointLabel } from "./tiles/tile.ts";
import { twinsOf } from "./tiles/table.ts";

export const KINDS: readonly (readonly [TileKind, IconName, string, string])[] = [
  ["ValueTile", "measured", t("Value"), t("One point as a big number")],
  ["GaugeTile", "gauge", t("Gauge"), t("One point against its range and limits")],
  ["StateTile", "power", t("State"), t("What something is doing, and did")],
  ["TrendTile", "trend", t("Trend"), t("Up to eight points over time")],
  ["TableTile", "table", t("Table"), t("Every twin of a kind, side by side")],
  ["AlarmsTile", "bell", t("Alarms"), t("What is wrong now, the worst first")],
  ["SceneTile", "cube", t("Scene"), t("The plant in 3D, from where you choose")],
  ["TextTile", "document", t("Text"), t("Words of your own")],
];

const SPANS: readonly (readonly [number, string])[] = [[300, "5 min"], [900, "15 min"], [3_600, "1 h"], [28_800, "8 h"], [86_400, "24 h"], [604_800, t("7 days")]];

interface Form {
  element: HTMLElement;
  /** The tile as it is filled in; null: something is missing. */
  read(): NewTile | null;
}

/** Asks for a tile; with `tile` its settings are changed, else a new one is made. */
export function openTile(context: Context, tile: Tile | null, hasScene: boolean, done: (next: NewTile) => void): void {
  let kind: TileKind = tile?.["@"] ?? "ValueTile";
  const title = h("input", { class: "input", attrs: { type: "text", maxlength: 120, value: tile?.title ?? "", placeholder: t("As the tile says by itself"), "aria-label": t("Title") } });
  const place = h("div", { class: "form" });
  let form: Form;
  const check = (): void => {
    save.disabled = form.read() === null;
  };
  const choose = (next: TileKind): void => {
    kind = next;
    form = formOf(context, kind, tile && tile["@"] === kind ? tile : null, check);
    place.replaceChildren(form.element);
    for (const each of kinds.querySelectorAll("button")) setAttr(each, "aria-pressed", String(each.dataset["kind"] === kind));
    check();
  };
  const kinds = h("div", { class: "tile-kinds", role: "group", attrs: { "aria-label": t("Kind of tile") } });
  for (const [each, sign, label, hint] of KINDS) {
    const isTaken = each === "SceneTile" && hasScene;
    kinds.append(
      h(
        "button",
        { class: "tile-kind", title: isTaken ? t("There is one scene on a board") : hint, attrs: { type: "button", "data-kind": each, disabled: isTaken }, on: { click: () => choose(each) } },
        icon(sign),
        h("strong", {}, label),
        h("small", {}, hint),
      ),
    );
  }
  const finish = (): void => {
    const next = form.read();
    if (next === null) return;
    dialog.close();
    done({ ...next, title: title.value.trim() });
  };
  const save = button(tile ? t("Save") : t("Add"), finish, "primary", tile ? "check" : "plus");
  const body = h("form", { class: "form", on: { submit: (event) => { event.preventDefault(); finish(); } } }, tile ? null : kinds, place, field(t("Title"), title));
  const dialog = openDialog(tile ? t("Settings of this tile") : t("Add a tile"), body, [h("span", { class: "grow" }), button(t("Cancel"), () => dialog.close(), "quiet"), save], { wide: !tile });
  choose(kind);
  (place.querySelector<HTMLElement>("input, textarea, select") ?? title).focus();
}

function field(label: string, input: HTMLElement, hint = ""): HTMLElement {
  return h("div", { class: "field" }, h("span", { class: "field-label" }, label), input, hint ? h("span", { class: "hint" }, hint) : null);
}

function formOf(context: Context, kind: TileKind, tile: Tile | null, onChange: () => void): Form {
  const { mirror } = context;
  switch (kind) {
    case "ValueTile": case "GaugeTile": case "StateTile": {
      const fits = kind === "GaugeTile" ? isNumeric : kind === "StateTile" ? isStepped : () => true;
      const known = tile as Extract<Tile, { "@": "ValueTile" }> | null;
      const picker = pointPicker(mirror, 1, fits, known ? [known.point] : [], onChange);
      const spark = h("input", { attrs: { type: "checkbox", checked: known?.spark ?? true } });
      return {
        element: h("div", { class: "form" }, field(t("Point"), picker.element), kind === "ValueTile" ? h("label", { class: "check" }, spark, t("Draw the last 15 minutes")) : null),
        read: () => {
          const [point] = picker.chosen;
          if (!point) return null;
          return kind === "ValueTile" ? { "@": kind, point, spark: spark.checked } : { "@": kind, point };
        },
      };
    }
    case "TrendTile": {
      const known = tile as Extract<Tile, { "@": "TrendTile" }> | null;
      const picker = pointPicker(mirror, BOARD_POINTS_MAX, isPlottable, known?.points ?? [], onChange);
      const span = select(t("Time span"), SPANS.map(([seconds, label]) => [String(seconds), label] as const), String(known?.span_s ?? 900));
      return {
        element: h("div", { class: "form" }, field(t("Points"), picker.element, t("Up to {n}", { n: BOARD_POINTS_MAX })), field(t("Time span"), span)),
        read: () => (picker.chosen.length > 0 ? { "@": kind, points: picker.chosen, span_s: Number(span.value) } : null),
      };
    }
    case "TableTile": return tableForm(mirror, tile as Extract<Tile, { "@": "TableTile" }> | null, onChange);
    case "AlarmsTile": {
      const known = tile as Extract<Tile, { "@": "AlarmsTile" }> | null;
      const subtree = twinPicker(mirror, t("Part of the plant"), known?.subtree ?? "", onChange);
      const severity = select(t("From priority"), [["1", t("Low")], ["2", t("Medium")], ["3", t("High")]], String(known?.severity ?? 1));
      return {
        element: h("div", { class: "form" }, field(t("Part of the plant"), subtree.element), field(t("From priority"), severity)),
        read: () => ({ "@": kind, subtree: subtree.chosen[0] ?? "", severity: Number(severity.value) }),
      };
    }
    case "SceneTile": {
      const known = tile as Extract<Tile, { "@": "SceneTile" }> | null;
      const focus = twinPicker(mirror, t("Twin to look at"), known?.focus ?? "", onChange);
      const keep = h("input", { attrs: { type: "checkbox", checked: known ? known.camera != null : false } });
      return {
        element: h("div", { class: "form" }, field(t("Twin to look at"), focus.element), h("label", { class: "check" }, keep, t("From where I look at the scene right now"))),
        read: () => ({ "@": kind, focus: focus.chosen[0] ?? "", camera: keep.checked ? rounded(context.scene.camera()) : null }),
      };
    }
    case "TextTile": {
      const known = tile as Extract<Tile, { "@": "TextTile" }> | null;
      const words = h("textarea", { class: "input", attrs: { rows: 6, maxlength: 4000, "aria-label": t("Text") }, on: { input: onChange } });
      words.value = known?.text ?? "";
      return { element: field(t("Text"), words), read: () => (words.value.trim() ? { "@": kind, text: words.value } : null) };
    }
  }
}

function tableForm(mirror: Mirror, known: Extract<Tile, { "@": "TableTile" }> | null, onChange: () => void): Form {
  const count = new Map<Id, number>();
  for (const twin of mirror.twins.values()) for (const type of mirror.typeChain(twin.type ?? "")) count.set(type.id, (count.get(type.id) ?? 0) + 1);
  const types = [...count].sort((a, b) => b[1] - a[1]).map(([id, n]) => [id, `${text(mirror.types.get(id)?.name) || id} (${n})`] as const);
  const type = select(t("Type"), [["", t("any type")], ...types], known?.type ?? types[0]?.[0] ?? "");
  const points = h("div", { class: "checks", role: "group", attrs: { "aria-label": t("Columns") } });
  let chosen = [...(known?.points ?? [])];
  const subtree: Picker<Id> = twinPicker(mirror, t("Part of the plant"), known?.subtree ?? "", () => fill());
  const fill = (): void => {
    const names = new Map<string, number>();
    for (const twin of twinsOf(mirror, type.value, subtree.chosen[0] ?? "").slice(0, 100))
      for (const { name, type: point } of mirror.pointsOf(twin)) names.set(name, Math.max(names.get(name) ?? 0, weightOf(point)));
    for (const name of chosen) if (!names.has(name) && known?.points.includes(name)) names.set(name, 0);
    const sorted = [...names].sort((a, b) => b[1] - a[1]).map(([name]) => name);
    chosen = chosen.filter((name) => names.has(name));
    if (chosen.length === 0) chosen = sorted.filter((name) => names.get(name)! > 0).slice(0, 4);
    points.replaceChildren(
      ...sorted.slice(0, 60).map((name) => {
        const box = h("input", { attrs: { type: "checkbox", checked: chosen.includes(name) }, on: { change: () => {
          chosen = box.checked ? [...chosen, name].slice(0, BOARD_POINTS_MAX) : chosen.filter((each) => each !== name);
          box.checked = chosen.includes(name);
          onChange();
        } } });
        return h("label", { class: "check" }, box, pointLabel(name));
      }),
    );
    onChange();
  };
  type.addEventListener("input", fill);
  const form: Form = {
    element: h("div", { class: "form" }, field(t("Type"), type), field(t("Part of the plant"), subtree.element), field(t("Columns"), points)),
    read: () => (chosen.length > 0 && (type.value || subtree.chosen[0]) ? { "@": "TableTile", type: type.value, subtree: subtree.chosen[0] ?? "", points: chosen, sort: known?.sort ?? "", is_descending: known?.is_descending ?? false } : null),
  };
  queueMicrotask(fill);
  return form;
}

function select(label: string, choices: readonly (readonly [string, string])[], chosen: string): HTMLSelectElement {
  const element = h("select", { class: "select", attrs: { "aria-label": label } }, ...choices.map(([value, words]) => h("option", { attrs: { value } }, words)));
  element.value = chosen;
  return element;
}

function rounded(place: ReturnType<Context["scene"]["camera"]>): ReturnType<Context["scene"]["camera"]> {
  const round = ([x, y, z]: [number, number, number]): [number, number, number] => [Math.round(x * 100) / 100, Math.round(y * 100) / 100, Math.round(z * 100) / 100];
  return { position: round(place.position), target: round(place.target) };
}

/** Asks for a board's name; `done` may reject, and then says why. */
export function openName(title: string, start: string, label: string, done: (name: string) => Promise<void>): void {
  const name = h("input", { class: "input", attrs: { type: "text", maxlength: 80, value: start, "aria-label": t("Name"), required: true } });
  const failed = h("p", { class: "error-line", role: "alert" });
  const finish = async (): Promise<void> => {
    const wanted = name.value.trim();
    if (!wanted) return;
    go.disabled = true;
    try {
      await done(wanted);
      dialog.close();
    } catch (error) {
      failed.textContent = reasonOf(error);
    } finally {
      go.disabled = false;
    }
  };
  const go = button(label, () => void finish(), "primary");
  const body = h("form", { class: "form", on: { submit: (event) => { event.preventDefault(); void finish(); } } }, field(t("Name"), name), failed);
  const dialog = openDialog(title, body, [h("span", { class: "grow" }), button(t("Cancel"), () => dialog.close(), "quiet"), go]);
  name.select();
}
