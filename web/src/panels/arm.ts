// Arming: who allows writing one point or operation, and within which limits.

import { labelText, numberText, unitText } from "../format.ts";
import type { Arm, Id } from "../mirror.ts";
import { RestError } from "../mirror.ts";
import type { PointType } from "../protocol.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, h, openDialog } from "./dom.ts";
import { t } from "../words.ts";

const ARMING_ROLES = new Set(["owner", "engineer", "admin"]);

/** Whether this person may be offered to arm at all; the server's guard decides for itself. */
export function mayArm(context: Pick<Context, "mirror">): boolean {
  return context.mirror.principal.roles.some((role) => ARMING_ROLES.has(role));
}

/** The dialog that arms, changes or disarms. `type` is null for an operation. */
export function openArmDialog(context: Context, twin: Id, name: string, type: PointType | null): void {
  const { mirror } = context;
  const arm = mirror.armed(twin, name);
  const unit = unitText(type?.unit ?? "");
  const number = (label: string, value: number | null | undefined, hint: string): { field: HTMLElement; input: HTMLInputElement } => {
    const input = h("input", {
      class: "input num",
      attrs: { type: "number", step: "any", value: value ?? undefined, placeholder: t("no limit"), "aria-label": label },
    });
    return {
      input,
      field: h(
        "div",
        { class: "field" },
        h("span", { class: "field-label" }, label),
        h("div", { class: "input-unit" }, input, unit && h("span", { class: "unit" }, unit)),
        hint && h("span", { class: "hint" }, hint),
      ),
    };
  };
  const low = number(t("Lowest value"), arm ? arm.low : type?.low, "");
  const high = number(t("Highest value"), arm ? arm.high : type?.high, "");
  const step = number(t("Largest step"), arm?.max_step, t("Against what the source last reported."));
  const interval = h("input", {
    class: "input num",
    attrs: { type: "number", min: 0, step: "any", value: (arm?.min_interval_ms ?? 0) / 1000, "aria-label": t("Shortest time between commands, in seconds") },
  });
  const confirm = h("input", { attrs: { type: "checkbox" } });
  confirm.checked = arm?.must_confirm ?? false;
  const reason = h("input", { class: "input", attrs: { type: "text", placeholder: t("Why? It goes into the log."), "aria-label": t("Reason") } });
  const error = h("p", { class: "error-line", role: "alert", hidden: true });
  const range =
    type && (type.low != null || type.high != null)
      ? t("The source gives {low} to {high} {unit}.", {
        low: type.low == null ? "…" : numberText(type.low),
        high: type.high == null ? "…" : numberText(type.high),
        unit,
      })
      : "";
  const body = h(
    "form",
    {
      class: "form",
      on: {
        submit: (event) => {
          event.preventDefault();
          void save();
        },
      },
    },
    h(
      "p",
      { class: "dim" },
      `${mirror.nameOf(twin)} · ${labelText(name)}. `,
      type ? t("Commands outside these limits are refused before anything is sent.") : t("The operation can be called from this page once it is armed."),
    ),
    type && range && h("p", { class: "dimmer" }, range),
    type && h("div", { class: "form-row" }, low.field, high.field),
    type && step.field,
    h(
      "div",
      { class: "field" },
      h("span", { class: "field-label" }, t("Shortest time between commands")),
      h("div", { class: "input-unit" }, interval, h("span", { class: "unit" }, "s")),
    ),
    h("label", { class: "check" }, confirm, t("Ask for a second yes before each command")),
    h("div", { class: "field" }, h("span", { class: "field-label" }, t("Reason")), reason),
    error,
    h("button", { class: "visually-hidden", attrs: { type: "submit", tabindex: -1, "aria-hidden": "true" } }, t("Save")),
  );
  const fail = (problem: unknown): void => {
    error.hidden = false;
    error.textContent = problem instanceof RestError && problem.mend ? `${problem.message} ${problem.mend}` : reasonOf(problem);
    saveButton.disabled = false;
  };
  const value = (input: HTMLInputElement): number | null => (input.value.trim() === "" ? null : Number(input.value));
  const save = async (): Promise<void> => {
    saveButton.disabled = true;
    error.hidden = true;
    const wanted: Arm = {
      twin,
      name,
      low: type ? value(low.input) : null,
      high: type ? value(high.input) : null,
      max_step: type ? value(step.input) : null,
      min_interval_ms: Math.round((value(interval) ?? 0) * 1000),
      must_confirm: confirm.checked,
      ...(arm?.excludes ? { excludes: arm.excludes } : {}),
      ...(arm?.only_while ? { only_while: arm.only_while } : {}),
    };
    try {
      await mirror.rest.post("arms", { arm: wanted, reason: reason.value });
      dialog.close();
      context.toast({ tone: "good", title: t("{name} is armed", { name: labelText(name) }), detail: mirror.nameOf(twin) });
    } catch (problem) {
      fail(problem);
    }
  };
  const disarm = async (): Promise<void> => {
    try {
      await mirror.rest.delete("arms", { twin, name });
      dialog.close();
      context.toast({ tone: "plain", title: t("{name} is read-only again", { name: labelText(name) }), detail: mirror.nameOf(twin) });
    } catch (problem) {
      fail(problem);
    }
  };
  const saveButton = button(arm ? t("Save limits") : t("Arm"), () => void save(), "primary", "unlock");
  const footer = [
    ...(arm ? [button(t("Disarm"), () => void disarm(), "danger", "lock")] : []),
    h("span", { class: "grow" }),
    button(t("Cancel"), () => dialog.close(), "quiet"),
    saveButton,
  ];
  const dialog = openDialog(t(arm ? "Limits of {name}" : "Arm {name}", { name: labelText(name) }), body, footer);
}
