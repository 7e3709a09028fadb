// Tours as values: read from a sheet, changed by small acts that can be done again on a newer one.

import { type Act, ActRefused, freshId } from "../acts.ts";
import { type CameraAt, TOUR_STEPS_MAX } from "../protocol.ts";

export const KIND = "tour";
export const VERSION = 1;

/** One look at the world, all said. See `protocol/tours.py`. */
export interface Step {
  readonly id: string;
  readonly title: string;
  readonly text: string;
  readonly camera: CameraAt | null;
  readonly mode: string;
  readonly twin: string;
  readonly highlights: readonly string[];
  readonly look: string;
  readonly branch: string;
  readonly at_ms: number;
  readonly ago_s: number;
  readonly speed: number;
  readonly duration_s: number;
}

export interface Tour {
  readonly description: string;
  readonly steps: readonly Step[];
  readonly isEndless: boolean;
}

export const NO_STEP: Readonly<Omit<Step, "id">> = {
  title: "", text: "", camera: null, mode: "", twin: "", highlights: [], look: "", branch: "", at_ms: 0, ago_s: 0, speed: 0, duration_s: 0,
};

/** Words a minute that people read at ease (Brysbaert 2019: 238 silent, 183 aloud). */
const WORDS_PER_MINUTE = 180;
const SHORTEST_S = 4;
/** What a picture needs beside its words: to get there, and to look around. */
const LOOK_S = 2.5;

/** The tour of a sheet's body; throws with words for a person if this page cannot show it. */
export function read(body: string): Tour {
  const plain: unknown = JSON.parse(body);
  if (typeof plain !== "object" || plain === null) throw new Error("an object was expected");
  const { version, description = "", steps = [], is_endless = false } = plain as Record<string, unknown>;
  if (version !== VERSION) throw new Error(`version ${String(version)}; this page reads version ${VERSION}`);
  if (!Array.isArray(steps)) throw new Error("steps: a list was expected");
  if (steps.length > TOUR_STEPS_MAX) throw new Error(`${steps.length} steps; a tour has at most ${TOUR_STEPS_MAX}`);
  return { description: String(description), isEndless: is_endless === true, steps: steps.map((step: Partial<Step>) => ({ id: "", ...NO_STEP, ...step })) };
}

/** Defaults are left out, as everywhere in the log. */
export function written(tour: Tour): string {
  const steps = tour.steps.map((step) =>
    Object.fromEntries(Object.entries(step).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify((NO_STEP as Record<string, unknown>)[name]))),
  );
  return JSON.stringify({ version: VERSION, ...(tour.description && { description: tour.description }), ...(tour.isEndless && { is_endless: true }), steps });
}

/** Seconds that a step lasts when the tour plays by itself. */
export function durationOf(step: Step): number {
  if (step.duration_s > 0) return step.duration_s;
  const words = `${step.title} ${step.text}`.trim().split(/\s+/).filter(Boolean).length;
  return Math.max(SHORTEST_S, LOOK_S + (words / WORDS_PER_MINUTE) * 60);
}

// --- acts ------------------------------------------------------------------------------------

/** A step after another one, or at the end where that one is gone. */
export function adding(step: Omit<Step, "id">, after: string | null): { id: string; act: Act<Tour> } {
  const made: Step = { ...step, id: freshId() };
  const act = (tour: Tour): Tour => {
    if (tour.steps.length >= TOUR_STEPS_MAX) throw new ActRefused(`${TOUR_STEPS_MAX} steps at most`);
    const at = tour.steps.findIndex(({ id }) => id === after);
    const place = at < 0 ? tour.steps.length : at + 1;
    return { ...tour, steps: [...tour.steps.slice(0, place), made, ...tour.steps.slice(place)] };
  };
  return { id: made.id, act };
}

/** Says some of a step anew; what else others have changed of it stays. */
export function changing(id: string, change: Partial<Step>): Act<Tour> {
  return (tour) => {
    if (!tour.steps.some((step) => step.id === id)) throw new ActRefused();
    return { ...tour, steps: tour.steps.map((step) => (step.id === id ? { ...step, ...change, id } : step)) };
  };
}

/** A step up (−1) or down (+1). */
export function moving(id: string, by: number): Act<Tour> {
  return (tour) => {
    const from = tour.steps.findIndex((step) => step.id === id);
    if (from < 0) throw new ActRefused();
    const steps = [...tour.steps];
    const [step] = steps.splice(from, 1);
    steps.splice(Math.min(Math.max(from + by, 0), steps.length), 0, step!);
    return { ...tour, steps };
  };
}

export function removing(id: string): Act<Tour> {
  return (tour) => ({ ...tour, steps: tour.steps.filter((step) => step.id !== id) });
}

/** Says something about the tour as a whole. */
export function telling(change: Partial<Omit<Tour, "steps">>): Act<Tour> {
  return (tour) => ({ ...tour, ...change });
}
