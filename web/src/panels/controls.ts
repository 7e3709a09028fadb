// What can be asked of the real thing: armed points and operations of one twin.

import { decimalsFor, labelText, numberText, unitText } from "../format.ts";
import { type Command, type Id, type OperationType, type PointRef, text } from "../mirror.ts";
import { Kind, type PointType, type Scalar } from "../protocol.ts";
import { mayArm, openArmDialog } from "./arm.ts";
import { latest, request } from "./asking.ts";
import type { Context } from "./context.ts";
import { button, h, iconButton, openDialog, setText } from "./dom.ts";
import { icon } from "./icons.ts";
import { type CommandTimes, stepper } from "./steps.ts";
import { isNumeric, valueText } from "./values.ts";
import { t } from "../words.ts";

/** The controls of a twin. Rebuilt when what is armed changes, painted as values move. */
export class Controls {
  readonly element = h("div", {});
  private readonly points: PointControl[] = [];
  private readonly roads: { operation: string; place: HTMLElement }[] = [];
  readonly isEmpty: boolean;

  constructor(
    private readonly context: Context,
    private readonly times: CommandTimes,
    private readonly twin: Id,
  ) {
    const { mirror } = context;
    if (mirror.branch !== null) {
      this.isEmpty = mirror.operationsOf(twin).length === 0 && !mirror.pointsOf(twin).some(({ type }) => type.is_writable);
      this.element.append(h("p", { class: "dim control-none" }, t("A branch has no way to the plant: nothing can be asked of it here. Change values in the panel of branches instead.")));
      return;
    }
    const writable = mirror.pointsOf(twin).filter((point) => point.type.is_writable || mirror.armed(twin, point.name));
    const operations = mirror.operationsOf(twin);
    this.isEmpty = writable.length === 0 && operations.length === 0;
    for (const point of writable) {
      if (!mirror.armed(twin, point.name)) continue;
      const control = new PointControl(context, times, point);
      this.points.push(control);
      this.element.append(control.element);
    }
    if (operations.length > 0) this.element.append(this.operationButtons(operations));
    const locked = writable.filter((point) => !mirror.armed(twin, point.name));
    if (locked.length > 0) this.element.append(this.lockedList(locked));
    this.paint();
  }

  paint(): void {
    for (const control of this.points) control.paint();
    for (const { operation, place } of this.roads) {
      showRoad(place, latest(this.context.mirror, this.twin, (c) => c.operation === operation), this.times);
    }
  }

  private operationButtons(operations: readonly OperationType[]): HTMLElement {
    const { mirror } = this.context;
    const row = h("div", { class: "operations" });
    const element = h("div", {}, row);
    for (const operation of operations) {
      const arm = mirror.armed(this.twin, operation.name);
      const label = labelText(operation.name);
      const each = button(
        label,
        () => {
          if (!arm) openArmDialog(this.context, this.twin, operation.name, null);
          else this.call(operation, arm.must_confirm ?? false);
        },
        "plain",
        arm ? "send" : "lock",
      );
      each.title = text(operation.description) || (arm ? label : t("{name} is read-only until it is armed", { name: label }));
      if (!arm) {
        each.classList.add("quiet");
        each.disabled = !mayArm(this.context);
      }
      row.append(each);
      const place = h("div", { class: "control-road", hidden: true });
      this.roads.push({ operation: operation.name, place });
      element.append(place);
    }
    return element;
  }

  private lockedList(points: readonly PointRef[]): HTMLElement {
    const may = mayArm(this.context);
    const list = h("div", {});
    for (const point of points) {
      list.append(
        h(
          "div",
          { class: "control control-locked" },
          icon("lock", "small"),
          h("span", { class: "grow clip" }, labelText(point.name)),
          may
            ? button(t("Arm…"), () => openArmDialog(this.context, this.twin, point.name, point.type), "quiet")
            : h("span", {}, t("read-only")),
        ),
      );
    }
    return list;
  }

  /** Calls an operation: at once where it takes nothing and asks for no second yes. */
  private call(operation: OperationType, mustConfirm: boolean): void {
    const inputs = operation.inputs ?? [];
    if (inputs.length === 0 && !mustConfirm) {
      void ask(this.context, { twin: this.twin, operation: operation.name, is_confirmed: false });
      return;
    }
    const { mirror } = this.context;
    const fields = inputs.map((input) => ({ input, editor: editorFor(input, null) }));
    const reason = h("input", { class: "input", attrs: { type: "text", placeholder: t("Why? It goes into the log."), "aria-label": t("Reason") } });
    const error = h("p", { class: "error-line", role: "alert", hidden: true });
    const body = h(
      "div",
      { class: "form" },
      text(operation.description) && h("p", { class: "dim" }, text(operation.description)),
      ...fields.map(({ input, editor }) =>
        h(
          "div",
          { class: "field" },
          h("span", { class: "field-label" }, labelText(input.name)),
          h("div", { class: "input-unit" }, editor.element, input.unit ? h("span", { class: "unit" }, unitText(input.unit)) : null),
          h("span", { class: "hint" }, text(input.description)),
        ),
      ),
      h("div", { class: "field" }, h("span", { class: "field-label" }, t("Reason")), reason),
      error,
    );
    const send = async (): Promise<void> => {
      go.disabled = true;
      const problem = await ask(this.context, {
        twin: this.twin,
        operation: operation.name,
        arguments: Object.fromEntries(fields.map(({ input, editor }) => [input.name, editor.read()])),
        reason: reason.value,
        is_confirmed: mustConfirm,
      }, false);
      go.disabled = false;
      if (problem) {
        error.hidden = false;
        setText(error, problem);
      } else dialog.close();
    };
    const go = button(labelText(operation.name), () => void send(), "primary", "send");
    const dialog = openDialog(`${labelText(operation.name)} · ${mirror.nameOf(this.twin)}`, body, [
      h("span", { class: "grow" }),
      button(t("Cancel"), () => dialog.close(), "quiet"),
      go,
    ]);
  }
}

interface Editor {
  element: HTMLElement;
  read(): Scalar;
  set(value: number): void;
  on(listener: () => void): void;
}

/** The field that fits a point's kind. */
function editorFor(type: PointType, start: number | null): Editor {
  const kind = type.kind ?? Kind.FLOAT;
  const label = labelText(type.name);
  if (kind === Kind.ENUM || kind === Kind.BOOL) {
    const choices = kind === Kind.BOOL ? ([[0, t("no")], [1, t("yes")]] as [number, string][]) : (type.labels ?? []);
    const select = h("select", { class: "select", attrs: { "aria-label": label } });
    for (const [code, name] of choices) select.append(h("option", { attrs: { value: code } }, name));
    if (start !== null) select.value = String(start);
    return {
      element: select,
      read: () => (kind === Kind.BOOL ? select.value === "1" : Number(select.value)),
      set: (value) => (select.value = String(value)),
      on: (listener) => select.addEventListener("input", listener),
    };
  }
  const isText = kind === Kind.TEXT;
  const input = h("input", {
    class: "input num",
    attrs: { type: isText ? "text" : "number", step: kind === Kind.INT ? 1 : "any", "aria-label": label, value: start ?? undefined },
  });
  return {
    element: input,
    read: () => (isText ? input.value : input.value.trim() === "" ? null : Number(input.value)),
    set: (value) => (input.value = String(value)),
    on: (listener) => input.addEventListener("input", listener),
  };
}

/** One armed point: its value now, the field and slider to ask for another, and the last request's road. */
class PointControl {
  readonly element: HTMLElement;
  private readonly now = h("span", { class: "now num" });
  private readonly road = h("div", { class: "control-road", hidden: true });
  private readonly error = h("p", { class: "error-line", role: "alert", hidden: true });
  private readonly reason = h("input", { class: "input", attrs: { type: "text", placeholder: t("Reason (goes into the log)"), "aria-label": t("Reason") } });
  private readonly editor: Editor;
  private readonly confirmPlace = h("div", { hidden: true });
  private readonly set: HTMLButtonElement;

  constructor(
    private readonly context: Context,
    private readonly times: CommandTimes,
    private readonly point: PointRef,
  ) {
    const { mirror } = context;
    const { type, twin, name } = point;
    const arm = mirror.armed(twin, name)!;
    const unit = unitText(type.unit ?? "");
    const current = mirror.value[point.handle]!;
    this.editor = editorFor(type, Number.isNaN(current) ? null : current);
    this.set = button(t("Set"), () => this.ask(arm.must_confirm ?? false), "primary");
    const low = arm.low ?? type.low ?? null;
    const high = arm.high ?? type.high ?? null;
    const hasRange = isNumeric(type) && low !== null && high !== null && high > low;
    const line = h("div", { class: hasRange ? "control-set" : "control-set no-slider" });
    if (hasRange) {
      const decimals = type.kind === Kind.INT ? 0 : decimalsFor(high - low);
      const slider = h("input", {
        attrs: { type: "range", min: low, max: high, step: 10 ** -decimals, "aria-label": t("{name}, {low} to {high} {unit}", { name: labelText(name), low: numberText(low), high: numberText(high), unit }) },
        on: { input: () => this.editor.set(Number(slider.value)) },
      });
      slider.value = String(current);
      this.editor.on(() => (slider.value = String(this.editor.read())));
      line.append(slider);
    }
    line.append(h("span", { class: "input-unit" }, this.editor.element, unit && h("span", { class: "unit" }, unit)), this.set);
    this.editor.element.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.ask(arm.must_confirm ?? false);
    });
    const limits = [
      hasRange ? t("{low} to {high} {unit}", { low: numberText(low), high: numberText(high), unit }) : "",
      arm.max_step != null ? t("steps of {step} at most", { step: numberText(arm.max_step) }) : "",
      arm.min_interval_ms ? t("every {seconds} s at most", { seconds: numberText(arm.min_interval_ms / 1000) }) : "",
    ].filter(Boolean);
    this.element = h(
      "div",
      { class: "control", attrs: { "data-control": `${twin}.${name}` } },
      h(
        "div",
        { class: "control-head" },
        icon("unlock", "small dim"),
        h("span", { class: "name clip" }, labelText(name)),
        this.now,
        mayArm(context) ? iconButton("shield", t("Limits"), () => openArmDialog(context, twin, name, type), "small") : null,
      ),
      line,
      limits.length > 0 && h("div", { class: "control-limits num" }, limits.join(" · ")),
      this.reason,
      this.confirmPlace,
      this.error,
      this.road,
    );
  }

  paint(): void {
    const { mirror } = this.context;
    setText(this.now, t("now {value}", { value: `${valueText(mirror, this.point.handle)} ${mirror.unit(this.point.handle)}` }));
    const command = latest(this.context.mirror, this.point.twin, (c) => c.point === this.point.name);
    showRoad(this.road, command, this.times);
    const isPast = !mirror.time.live;
    this.set.disabled = isPast;
    this.set.title = isPast ? t("You are looking at the past; go live to ask for anything") : "";
  }

  private ask(mustConfirm: boolean): void {
    const value = this.editor.read();
    this.error.hidden = true;
    if (value === null || (typeof value === "number" && Number.isNaN(value))) {
      this.error.hidden = false;
      setText(this.error, t("Enter a value."));
      return;
    }
    if (!mustConfirm) {
      void this.send(value, false);
      return;
    }
    const { mirror } = this.context;
    const unit = mirror.unit(this.point.handle);
    const close = (): void => {
      this.confirmPlace.hidden = true;
      this.confirmPlace.replaceChildren();
      this.set.hidden = false;
      this.set.focus();
    };
    const yes = button(t("Yes, send it"), () => {
      close();
      void this.send(value, true);
    }, "primary");
    this.confirmPlace.replaceChildren(
      h(
        "div",
        { class: "control-confirm", role: "group", attrs: { "aria-label": t("Confirm the command") } },
        h("p", {}, t("Set {point} of {twin} from {value} to ", {
          point: labelText(this.point.name),
          twin: mirror.nameOf(this.point.twin),
          value: valueText(mirror, this.point.handle),
        }), h("strong", { class: "num" }, `${typeof value === "number" ? numberText(value) : String(value)} ${unit}`), "?"),
        h("div", { class: "row" }, button(t("Cancel"), close, "quiet"), yes),
      ),
    );
    this.confirmPlace.hidden = false;
    this.set.hidden = true;
    yes.focus();
  }

  private async send(value: Scalar, isConfirmed: boolean): Promise<void> {
    this.set.disabled = true;
    const problem = await ask(this.context, {
      twin: this.point.twin,
      point: this.point.name,
      value,
      reason: this.reason.value,
      is_confirmed: isConfirmed,
    }, false);
    this.set.disabled = false;
    if (problem) {
      this.error.hidden = false;
      setText(this.error, problem);
    } else this.reason.value = "";
  }
}

/** Sends a request; what was not taken is told, and said by a toast if asked. */
async function ask(context: Context, body: Record<string, unknown>, withToast = true): Promise<string> {
  const words = await request(context.mirror, body);
  if (words && withToast) context.toast({ tone: "bad", title: t("The command was not taken"), detail: words });
  return words;
}

function showRoad(place: HTMLElement, command: Command | null, times: CommandTimes): void {
  const shown = command ? `${command.id}\0${command.state ?? 0}\0${command.detail ?? ""}` : "";
  if (place.dataset["shown"] === shown) return;
  place.dataset["shown"] = shown;
  place.hidden = command === null;
  place.replaceChildren(...(command ? [stepper(command, times)] : []));
}
