/** How loaded stations are, among the figures of an evaluation. Knows names and numbers alone. */

import type { Id, Mirror } from "../mirror.ts";
import type { KpiRow } from "../protocol.ts";

/** One station's load after an evaluation. */
export interface Load {
  twin: Id;
  /** What part of the time it is in which condition, and how much the line gains by it. */
  shares: Readonly<Record<string, number>>;
}

export const CONDITIONS = ["busy", "blocked", "starved", "down", "critical"] as const;
export type Condition = (typeof CONDITIONS)[number];
const WORDS: readonly (readonly [Condition, RegExp])[] = [
  ["busy", /busy|utili[sz]ation|working/i],
  ["blocked", /block/i],
  ["starved", /starv/i],
  ["down", /\bdown|broken|failed/i],
  ["critical", /critical|sensitiv|bottleneck/i],
];

/** Loads of stations among figures that are named after twins, such as `line/filler.busy` or `blocked, line/filler`. */
export function loadsOf(mirror: Pick<Mirror, "twins" | "nameOf">, kpis: readonly Pick<KpiRow, "name" | "mean">[]): Load[] {
  return sorted(mirror, kpis).loads;
}

/** Loads of stations, and the figures that are none. */
export function sorted<K extends Pick<KpiRow, "name" | "mean">>(mirror: Pick<Mirror, "twins" | "nameOf">, kpis: readonly K[]): { loads: Load[]; others: K[] } {
  const others: K[] = [];
  const byTwin = new Map<Id, Record<string, number>>();
  const ends = new Map<string, Id>();
  for (const id of mirror.twins.keys()) {
    ends.set(id.slice(id.lastIndexOf("/") + 1).toLowerCase(), id);
    ends.set(mirror.nameOf(id).toLowerCase(), id);
  }
  for (const kpi of kpis) {
    const { name, mean } = kpi;
    const condition = WORDS.find(([, word]) => word.test(name))?.[0];
    const twin = condition === undefined ? undefined : twinIn(name, mirror, ends);
    if (condition === undefined || twin === undefined) {
      others.push(kpi);
      continue;
    }
    if (mean === null) continue;
    const shares = byTwin.get(twin) ?? {};
    shares[condition] = mean;
    byTwin.set(twin, shares);
  }
  return { loads: [...byTwin].map(([twin, shares]) => ({ twin, shares })), others };
}

function twinIn(name: string, mirror: Pick<Mirror, "twins">, ends: ReadonlyMap<string, Id>): Id | undefined {
  for (const part of [name, ...name.split(/[.:,\s]+/)]) {
    const cut = part.includes(".") ? part.slice(0, part.lastIndexOf(".")) : part;
    if (mirror.twins.has(cut)) return cut;
    const found = ends.get(cut.toLowerCase());
    if (found !== undefined) return found;
  }
  return undefined;
}
