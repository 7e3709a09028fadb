// Ticks of a time axis: round local times, with the day where it changes.

import { dayText } from "../format.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const STEPS = [
  SECOND / 10, SECOND / 5, SECOND / 2,
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
  DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
] as const;

/** The finest round step that gives at most `count` ticks. */
export function timeStep(span_ms: number, count: number): number {
  return STEPS.find((step) => span_ms / step <= count) ?? STEPS[STEPS.length - 1]!;
}

/**
 * Round local times within the stretch. Clocks are put forward and back: steps up to an hour go on
 * through it, longer ones keep to round hours and midnights of the wall clock.
 */
export function timeTicks(start_ms: number, end_ms: number, count: number): { ticks: number[]; step: number } {
  const step = timeStep(end_ms - start_ms, count);
  const every = step <= HOUR ? evenTicks(start_ms, end_ms, step) : wallTicks(start_ms, end_ms, step);
  return { ticks: [...every], step };
}

function* evenTicks(start_ms: number, end_ms: number, step: number): Generator<number> {
  const zone = new Date(start_ms).getTimezoneOffset() * MINUTE;
  for (let at = Math.ceil((start_ms - zone) / step) * step + zone; at <= end_ms; at += step) yield at;
}

function* wallTicks(start_ms: number, end_ms: number, step: number): Generator<number> {
  const start = new Date(start_ms);
  const days = Math.max(1, Math.round(step / DAY));
  const hours = step < DAY ? step / HOUR : 24;
  // Counted from one origin, so that the same midnights are chosen wherever the stretch begins.
  const number = Math.floor(Date.UTC(start.getFullYear(), start.getMonth(), start.getDate()) / DAY);
  let last = -Infinity;
  for (let day = -(((number % days) + days) % days); ; day += days) {
    for (let hour = 0; hour < 24; hour += hours) {
      const at = new Date(start.getFullYear(), start.getMonth(), start.getDate() + day, hour).getTime();
      if (at > end_ms) return;
      if (at >= start_ms && at > last) yield (last = at);
    }
  }
}

/** The label of a tick: as fine as its step, the day at midnight. */
export function tickText(at_ms: number, step_ms: number): string {
  const at = new Date(at_ms);
  const two = (n: number): string => String(n).padStart(2, "0");
  if (step_ms >= DAY || (at.getHours() === 0 && at.getMinutes() === 0 && at.getSeconds() === 0)) return dayText(at_ms);
  const minutes = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (step_ms >= MINUTE) return minutes;
  const seconds = `${minutes}:${two(at.getSeconds())}`;
  return step_ms >= SECOND ? seconds : `${seconds}.${Math.floor(at.getMilliseconds() / 100)}`;
}
