// Visual rules as values: read from a sheet, changed by small acts that can be done again on a newer one.

import { type Act, ActRefused, freshId } from "../acts.ts";
import { type Band as PlainBand, LOOK_BANDS_MAX, LOOK_COLOURS, LOOK_RULES_MAX, type VisualRule } from "../protocol.ts";

export const KIND = "look";
export const VERSION = 1;
export type Colour = (typeof LOOK_COLOURS)[number];
export type Shows = "colour" | "badge" | "lamp";

export interface Band extends Required<PlainBand> {}
export interface Rule extends Readonly<Required<Omit<VisualRule, "bands" | "shows">>> {
  readonly bands: readonly Band[];
  readonly shows: readonly string[];
}

export interface Look {
  readonly rules: readonly Rule[];
}

/** sRGB after Okabe and Ito (2008), which people of any colour vision tell apart. */
export const RGB: Readonly<Record<Colour, readonly [number, number, number]>> = {
  blue: [0, 114, 178], sky: [86, 180, 233], green: [0, 158, 115], yellow: [240, 228, 66],
  orange: [230, 159, 0], vermilion: [213, 94, 0], purple: [204, 121, 167], grey: [140, 140, 140],
};

const NO_RULE: Omit<Rule, "id"> = { title: "", type: "", pattern: "", value: "", unit: "", low: 0, high: 0, bands: [], shows: ["colour"] };

/** The look of a sheet's body; throws with words for a person if this page cannot show it. */
export function read(body: string): Look {
  const plain: unknown = JSON.parse(body);
  if (typeof plain !== "object" || plain === null) throw new Error("an object was expected");
  const { version, rules = [] } = plain as Record<string, unknown>;
  if (version !== VERSION) throw new Error(`version ${String(version)}; this page reads version ${VERSION}`);
  if (!Array.isArray(rules)) throw new Error("rules: a list was expected");
  return {
    rules: rules.map((rule: Partial<VisualRule>) => ({
      ...NO_RULE, id: "", ...rule, bands: (rule.bands ?? []).map((band) => ({ mark: "", word: "", ...band })),
    })),
  };
}

/** Defaults are left out, as everywhere in the log. */
export function written(look: Look): string {
  const differs = ([name, value]: [string, unknown]): boolean => JSON.stringify(value) !== JSON.stringify((NO_RULE as Record<string, unknown>)[name]);
  const tidy = (band: Band): object => Object.fromEntries(Object.entries(band).filter(([, value]) => value !== ""));
  return JSON.stringify({
    version: VERSION,
    rules: look.rules.map((rule) => Object.fromEntries(Object.entries({ ...rule, bands: rule.bands.map(tidy) }).filter(differs))),
  });
}

export function isRamp(rule: Rule): boolean {
  return rule.low !== 0 || rule.high !== 0;
}

/** Which band holds a value. */
export function bandAt(rule: Rule, value: number): number {
  let at = 0;
  for (let i = 1; i < rule.bands.length; i++) if (value >= rule.bands[i]!.above) at = i;
  return at;
}

/** What is wrong of a rule as it stands by itself, in words; "": nothing. */
export function fault(rule: Rule): string {
  if (rule.value.trim() === "") return "value";
  if (isRamp(rule)) return rule.low < rule.high ? "" : "ramp";
  if (rule.bands.length === 0) return "bands";
  return rule.bands.every((band, i) => Number.isFinite(band.above) && (i === 0 || band.above > rule.bands[i - 1]!.above)) ? "" : "order";
}

// --- acts ------------------------------------------------------------------------------------

export function adding(rule: Partial<Rule>): { id: string; act: Act<Look> } {
  const made: Rule = { ...NO_RULE, ...rule, id: freshId() };
  return {
    id: made.id,
    act: (look) => {
      if (look.rules.length >= LOOK_RULES_MAX) throw new ActRefused(`${LOOK_RULES_MAX} rules at most`);
      return { rules: [...look.rules, made] };
    },
  };
}

export function changing(id: string, change: Partial<Rule>): Act<Look> {
  return (look) => {
    if (!look.rules.some((rule) => rule.id === id)) throw new ActRefused();
    return { rules: look.rules.map((rule) => (rule.id === id ? { ...rule, ...change, id, bands: (change.bands ?? rule.bands).slice(0, LOOK_BANDS_MAX) } : rule)) };
  };
}

/** Earlier (−1) or later (+1): the first that fits counts. */
export function moving(id: string, by: number): Act<Look> {
  return (look) => {
    const from = look.rules.findIndex((rule) => rule.id === id);
    if (from < 0) throw new ActRefused();
    const rules = [...look.rules];
    const [rule] = rules.splice(from, 1);
    rules.splice(Math.min(Math.max(from + by, 0), rules.length), 0, rule!);
    return { rules };
  };
}

export function removing(id: string): Act<Look> {
  return (look) => ({ rules: look.rules.filter((rule) => rule.id !== id) });
}
