/** When the browser tells a person of an alarm. Knows settings and clock times, no DOM. */

import type { Event as WorldEvent } from "./protocol.ts";

/** What one person wants to be told of on this device. */
export interface Notices {
  isOn: boolean;
  minSeverity: number;
  /** Id of a twin: only what is of it or below it; "": everything. */
  subtree: string;
  /** Quiet hours by this device's clock, "22:00"; the same at both ends: none. */
  quietFrom: string;
  quietTo: string;
  /** What is told even then. */
  quietBut: number;
}

export const NOTICES_AT_FIRST: Notices = { isOn: false, minSeverity: 2, subtree: "", quietFrom: "22:00", quietTo: "22:00", quietBut: 3 };

function minutesOf(time: string): number {
  const [hours, minutes] = time.split(":");
  return Number(hours) * 60 + Number(minutes);
}

/** Whether a minute of the day lies in quiet hours; they may reach over midnight. */
export function isQuiet(settings: Notices, minute: number): boolean {
  const from = minutesOf(settings.quietFrom);
  const to = minutesOf(settings.quietTo);
  if (!(from >= 0 && to >= 0) || from === to) return false;
  return from < to ? from <= minute && minute < to : minute >= from || minute < to;
}

/** Whether somebody is to be called: as ISA-18.2 has it, what is new and nobody has set aside. */
export function callsNow(event: WorldEvent, now_ms: number): boolean {
  if (event.is_out_of_service || event.is_suppressed || (event.shelved_until_ns ?? 0) / 1e6 > now_ms) return false;
  return event.is_active ? !(event.is_acknowledged ?? false) : (event.is_latched ?? false);
}

/** Whether an alarm is told, at a minute of the day. */
export function isWanted(settings: Notices, event: WorldEvent, minute: number): boolean {
  const severity = event.severity ?? 0;
  if (!settings.isOn || severity < settings.minSeverity) return false;
  const { subtree } = settings;
  if (subtree && event.twin !== subtree && !event.twin.startsWith(`${subtree}/`)) return false;
  return !isQuiet(settings, minute) || severity >= settings.quietBut;
}
