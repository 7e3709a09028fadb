// A command's road: requested → sent → confirmed, or where and why it ended.

import { clockText, durationText, labelText, numberText, unitText } from "../format.ts";
import type { Command, Mirror } from "../mirror.ts";
import { CommandState } from "../protocol.ts";
import { h } from "./dom.ts";
import { icon } from "./icons.ts";
import { valueOf } from "./values.ts";
import { t } from "../words.ts";

const NAMES = [t("Requested"), t("Sent"), t("Confirmed"), t("Refused"), t("Expired"), t("Failed")] as const;

/** When each command reached each state, as far as this page has seen it. */
export class CommandTimes {
  private readonly times = new Map<string, Map<number, number>>();

  constructor(mirror: Mirror) {
    mirror.on("commands", () => {
      for (const command of mirror.commands.values()) this.see(command);
      if (this.times.size > 2000) {
        for (const id of this.times.keys()) if (!mirror.commands.has(id)) this.times.delete(id);
      }
    });
  }

  see(command: Command): void {
    const states = this.times.get(command.id) ?? new Map<number, number>();
    this.times.set(command.id, states);
    states.set(CommandState.REQUESTED, (command.requested_ns ?? 0) / 1e6);
    const state = command.state ?? 0;
    if (state > 0 && command.decided_ns) states.set(state, command.decided_ns / 1e6);
  }

  at(id: string, state: number): number | undefined {
    return this.times.get(id)?.get(state);
  }
}

/** Whether a command is still on its way. */
export function isOpen(command: Command): boolean {
  return (command.state ?? 0) < CommandState.CONFIRMED;
}

export function stateName(command: Command): string {
  return NAMES[command.state ?? 0];
}

/** What a command asks for, in one line. */
export function wishText(mirror: Mirror, command: Command): string {
  if (command.operation) {
    const given = (command.arguments ?? []).map(([name, value]) => `${name} ${String(value)}`).join(", ");
    return `${labelText(command.operation)}${given ? ` (${given})` : ""}`;
  }
  const handle = mirror.handle(command.twin, command.point ?? "");
  const type = handle >= 0 ? mirror.pointType(handle) : null;
  const { value } = command;
  const figure =
    typeof value === "number" || typeof value === "boolean"
      ? type ? valueOf(type, Number(value)) : numberText(Number(value))
      : String(value ?? "–");
  return `${labelText(command.point ?? "")} → ${figure} ${type ? unitText(type.unit ?? "") : ""}`.trim();
}

/** The road drawn as steps with their times, and the reason where it ended badly. */
export function stepper(command: Command, times: CommandTimes): HTMLElement {
  times.see(command);
  const state = command.state ?? 0;
  const isBad = state > CommandState.CONFIRMED;
  const wasSent = state === CommandState.SENT || state === CommandState.CONFIRMED || times.at(command.id, CommandState.SENT) !== undefined;
  const requested_ms = (command.requested_ns ?? 0) / 1e6;
  const list = h("ol", { class: "steps", attrs: { "aria-label": t("Command: {state}", { state: stateName(command) }) } });
  const step = (label: string, kind: "done" | "now" | "waiting" | "bad", at_ms: number | undefined, isFirst = false): void => {
    const when =
      at_ms === undefined ? "" : isFirst ? clockText(at_ms) : `+${durationText(Math.max(0, at_ms - requested_ms))}`;
    list.append(
      h(
        "li",
        { class: `step-${kind}`, attrs: { "aria-current": kind === "now" ? "step" : undefined } },
        h("span", { class: "step-mark" }, kind === "done" ? icon("check") : kind === "bad" ? icon("close") : null),
        h("span", { class: "step-name" }, label),
        h("span", { class: "step-time num" }, when),
      ),
    );
  };
  step(t("Requested"), state === 0 ? "now" : "done", requested_ms, true);
  if (!isBad || wasSent) {
    step(t("Sent"), state === CommandState.SENT ? "now" : wasSent ? "done" : "waiting", times.at(command.id, CommandState.SENT));
  }
  if (isBad) step(NAMES[state], "bad", times.at(command.id, state));
  else step(t("Confirmed"), state === CommandState.CONFIRMED ? "done" : "waiting", times.at(command.id, CommandState.CONFIRMED));
  const element = h("div", { class: "road", attrs: { "data-state": NAMES[state].toLowerCase() } }, list);
  if (command.detail) element.append(h("p", { class: isBad ? "road-detail bad" : "road-detail" }, command.detail));
  if (command.results?.length) {
    element.append(h("p", { class: "road-detail" }, command.results.map(([name, value]) => `${name}: ${String(value)}`).join(", ")));
  }
  return element;
}
