// Moments worth a mark on a time axis: commands and conditions.

import { labelText } from "../format.ts";
import { type Id, type Mirror, text } from "../mirror.ts";
import { stateName, wishText } from "./steps.ts";
import { t } from "../words.ts";

export interface Mark {
  at_ms: number;
  kind: "command" | "event";
  /** 0 … 3 for events; commands have -1. */
  severity: number;
  label: string;
  twin: Id;
}

/** Marks between two times, in order; only of `twins` if given. */
export function marksOf(mirror: Mirror, start_ms: number, end_ms: number, twins: ReadonlySet<Id> | null): Mark[] {
  const marks: Mark[] = [];
  for (const event of mirror.events.values()) {
    const at_ms = (event.source_ns ?? 0) / 1e6;
    if (at_ms < start_ms || at_ms > end_ms || (twins && !twins.has(event.twin))) continue;
    marks.push({
      at_ms,
      kind: "event",
      severity: event.severity ?? 0,
      label: `${text(event.message) || labelText(event.kind)}${event.is_active ? "" : ` ${t("(over)")}`}`,
      twin: event.twin,
    });
  }
  for (const command of mirror.commands.values()) {
    const at_ms = (command.requested_ns ?? 0) / 1e6;
    if (at_ms < start_ms || at_ms > end_ms || (twins && !twins.has(command.twin))) continue;
    marks.push({
      at_ms,
      kind: "command",
      severity: -1,
      label: `${wishText(mirror, command)}: ${stateName(command).toLowerCase()}`,
      twin: command.twin,
    });
  }
  return marks.sort((a, b) => a.at_ms - b.at_ms);
}
