/** From samples of a state to stretches of time in it. Knows numbers and words alone. */

export type Condition = "running" | "down" | "delayed" | "planned" | "unknown";

export interface Stretch {
  value: number;
  start_ms: number;
  end_ms: number;
}

const WORDS: readonly (readonly [Condition, RegExp])[] = [
  ["down", /abort|fail|fault|down|error|alarm|break/i],
  ["delayed", /suspend|held|hold|block|starv|wait|idle|jam|full|empty/i],
  ["planned", /stop|off|clean|set ?up|maint|paus/i],
  ["running", /execut|run|busy|work|produc|auto|on\b|active/i],
];

/** What kind of state a label names. */
export function conditionOf(label: string): Condition {
  return WORDS.find(([, word]) => word.test(label))?.[0] ?? "unknown";
}

/** Stretches of equal values within a time; before the first sample nothing is known. */
export function stretches(times_ms: readonly number[], values: readonly number[], start_ms: number, end_ms: number): Stretch[] {
  const found: Stretch[] = [];
  for (let i = 0; i < times_ms.length; i++) {
    const from = Math.max(times_ms[i]!, start_ms);
    const to = Math.min(times_ms[i + 1] ?? end_ms, end_ms);
    const value = values[i]!;
    if (!(to > from) || Number.isNaN(value)) continue;
    const last = found.at(-1);
    if (last !== undefined && last.value === value && last.end_ms === from) last.end_ms = to;
    else found.push({ value, start_ms: from, end_ms: to });
  }
  return found;
}
