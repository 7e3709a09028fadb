// An alarm, or a point that is worked out, made from a point: fields for the common case, the
// expression itself for all others, and what it would say now before anything is kept.

import { labelText } from "../format.ts";
import type { Id } from "../mirror.ts";
import type { PointType, RulePreview } from "../protocol.ts";
import { Kind } from "../protocol.ts";
import { t } from "../words.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, h, openDialog } from "./dom.ts";

const TRY_AFTER_MS = 350;
const ROWS_SHOWN = 6;

/** How a point is written in an expression. */
function written(point: string): string {
  return /^[A-Za-z_]\w*$/.test(point) ? point : `'${point}'`;
}

/** How a unit is written behind a number: one that begins with a sign stands in quotes. */
function unitWritten(unit: string | undefined): string {
  if (!unit) return "";
  return /^[A-Za-z%°µ[][\w%[\]']*([./][\w%[\]']+)*$/.test(unit) ? ` ${unit}` : ` '${unit}'`;
}

/** Asks for an alarm on a point of a twin, and keeps it. */
export function openRule(context: Context, twin: Id, type: PointType): void {
  const { mirror } = context;
  const twinType = mirror.twins.get(twin)?.type ?? "";
  const field = (label: string, input: HTMLElement, hint = ""): HTMLElement =>
    h("label", { class: "field" }, h("span", { class: "field-label" }, label), input, hint ? h("span", { class: "hint" }, hint) : null);
  const number = (value: string, label: string): HTMLInputElement =>
    h("input", { class: "input num", attrs: { type: "number", step: "any", min: label === t("Limit") ? undefined : 0, value, "aria-label": label } });
  const isNumber = (type.kind ?? Kind.FLOAT) <= Kind.INT;
  const side = h(
    "select",
    { class: "select", attrs: { "aria-label": t("When") } },
    h("option", { attrs: { value: ">" } }, t("is above")),
    h("option", { attrs: { value: "<" } }, t("is below")),
  );
  const limit = number(String(type.high ?? ""), t("Limit"));
  const delay = number("0", t("After how many seconds"));
  const margin = number("0", t("Margin"));
  const severity = h(
    "select",
    { class: "select", attrs: { "aria-label": t("Priority") } },
    ...[t("High"), t("Medium"), t("Low")].map((name, i) => h("option", { attrs: { value: 3 - i } }, name)),
  );
  severity.value = "2";
  const scope = h(
    "select",
    { class: "select", attrs: { "aria-label": t("For") } },
    h("option", { attrs: { value: "one" } }, t("only {name}", { name: mirror.nameOf(twin) })),
    twinType ? h("option", { attrs: { value: "all" } }, t("every {type}", { type: mirror.typeName(twinType) })) : null,
  );
  const message = h("input", { class: "input", attrs: { type: "text", maxlength: "200", value: `${labelText(type.name)}: {value}`, "aria-label": t("Message") } });
  const when = h("textarea", { class: "input mono", attrs: { rows: 2, "aria-label": t("Expression"), spellcheck: "false" } });
  const told = h("div", { class: "rule-told", role: "status", attrs: { "aria-live": "polite" } });
  let isOwnText = !isNumber;

  const compose = (): void => {
    if (!isOwnText) when.value = `${written(type.name)} ${side.value} ${limit.value || "0"}${unitWritten(type.unit)}`;
  };
  if (!isNumber) {
    const state = type.labels?.at(-1)?.[1];
    when.value = (type.kind === Kind.ENUM && state) ? `${written(type.name)} == "${state}"` : written(type.name);
  }
  const body = (): string => {
    const hysteresis = !isOwnText && Number(margin.value) > 0 ? `${margin.value}${unitWritten(type.unit)}` : undefined;
    return JSON.stringify({
      applies: scope.value === "all" ? { type: twinType } : { twins: [twin] },
      alarm: { when: when.value, severity: Number(severity.value), message: message.value, on_delay_s: Number(delay.value) || 0, hysteresis },
    });
  };

  let timer = 0;
  const tryIt = (): void => {
    compose();
    window.clearTimeout(timer);
    timer = window.setTimeout(() => void look(), TRY_AFTER_MS);
  };
  const look = async (): Promise<void> => {
    try {
      const found = await mirror.rest.post<RulePreview>("rules/preview", { body: body() });
      save.disabled = found.instances === 0;
      told.replaceChildren(
        h("p", {}, t("{n} twins; it would be raised now for {active}", { n: found.instances, active: found.active })),
        ...found.troubles.map((trouble) => h("p", { class: "form-error" }, trouble)),
        h("ul", {}, ...found.rows.slice(0, ROWS_SHOWN).map((row) => h("li", {}, `${row.name || row.twin}: ${row.value === null ? t("not known now") : row.value ? t("would be raised") : t("all well")}`))),
      );
    } catch (error) {
      save.disabled = true;
      told.replaceChildren(h("p", { class: "form-error", role: "alert" }, reasonOf(error)));
    }
  };
  const keep = async (): Promise<void> => {
    save.disabled = true;
    const name = `${mirror.nameOf(twin)}-${type.name}`.replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/^[-.]+/, "").slice(0, 48) || "alarm";
    const taken = new Set(mirror.sheets("rule").map((sheet) => sheet.name));
    let free = name;
    for (let n = 2; taken.has(free); n += 1) free = `${name}-${n}`;
    try {
      await mirror.rest.put(`rules/${encodeURIComponent(free)}`, { body: body(), reason: t("made on the page") });
      dialog.close();
      context.toast({ tone: "good", title: t("Alarm set"), detail: free });
    } catch (error) {
      save.disabled = false;
      told.replaceChildren(h("p", { class: "form-error", role: "alert" }, reasonOf(error)));
    }
  };
  when.addEventListener("input", () => {
    isOwnText = true;
    tryIt();
  });
  for (const input of [side, limit, delay, margin, severity, scope]) input.addEventListener("input", tryIt);
  const save = button(t("Set alarm"), () => void keep(), "primary", "bell");
  const simple = isNumber
    ? [
        field(t("When"), h("div", { class: "row" }, h("span", {}, labelText(type.name)), side, limit, h("span", { class: "unit" }, type.unit ?? ""))),
        field(t("Margin"), margin, t("So far back it must be before it is over")),
      ]
    : [];
  const content = h(
    "div",
    { class: "form" },
    ...simple,
    field(t("After how many seconds"), delay),
    field(t("For"), scope),
    field(t("Priority"), severity),
    field(t("Message"), message, t("{value} and {name} are filled in", { value: "{value}", name: "{name}" })),
    h("details", { attrs: { open: !isNumber } }, h("summary", {}, t("Expression")), when),
    told,
  );
  const dialog = openDialog(t("Alarm when…"), content, [h("span", { class: "grow" }), button(t("Cancel"), () => dialog.close(), "quiet"), save]);
  tryIt();
}
