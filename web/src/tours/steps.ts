// A step of a tour and the page: what of the present makes a step, and how the page goes to one.

import type { Mirror } from "../mirror.ts";
import type { Context } from "../panels/context.ts";
import { t } from "../words.ts";
import type { Arrival } from "./arrival.ts";
import { NO_STEP, type Step } from "./model.ts";

/** A branch that does not come within this time is not there, or not for this person. */
const BRANCH_MS = 20_000;

/** What is shown now, as a step: camera, selection, moment, branch, colours. */
export function capture(context: Context, arrival: Arrival): Omit<Step, "id"> {
  const { mirror, scene } = context;
  const { time, selected } = mirror;
  return {
    ...NO_STEP,
    title: selected === null ? "" : mirror.nameOf(selected),
    camera: arrival.camera(),
    mode: scene.mode === "orbit" ? "" : scene.mode,
    twin: selected ?? "",
    branch: mirror.branch ?? "",
    look: context.looks.shown ?? "",
    at_ms: time.live ? 0 : Math.floor(time.speed === 0 ? time.atMs : mirror.viewMs()),
    speed: time.live ? 0 : time.speed,
  };
}

/** Goes to a step; comes back with what of it could not be shown. Given up when `signal` says so. */
export async function goTo(context: Context, step: Step, signal: AbortSignal): Promise<string[]> {
  const { mirror, scene } = context;
  const said: string[] = [];
  const branch = step.branch || null;
  if (branch !== mirror.branch) {
    mirror.show(branch);
    const isThere = await structureOf(mirror, signal);
    if (signal.aborted) return [];
    if (!isThere || mirror.branch !== branch) said.push(t("The branch of this step is not there."));
  }
  said.push(...goToMoment(mirror, step));
  const missing = [step.twin, ...step.highlights].filter((id) => id !== "" && !mirror.twins.has(id));
  if (missing.length > 0) said.push(t("Not here, or not yours to see: {names}.", { names: missing.slice(0, 3).join(", ") }));
  mirror.select(mirror.twins.has(step.twin) ? step.twin : null);
  scene.highlight(step.highlights.filter((id) => mirror.twins.has(id)));
  if (context.looks.shown !== (step.look || null)) said.push(...context.looks.show(step.look || null));
  const mode = step.mode === "walk" || step.mode === "map" ? step.mode : "orbit";
  if (step.camera !== null) scene.setCamera({ position: [...step.camera.position], target: [...step.camera.target] }, { mode, isFlown: true });
  else if (mirror.twins.has(step.twin)) scene.focus(step.twin);
  return said;
}

function goToMoment(mirror: Mirror, step: Step): string[] {
  const wanted = step.at_ms > 0 ? step.at_ms : step.ago_s > 0 ? mirror.nowMs() - step.ago_s * 1000 : null;
  if (wanted === null) {
    if (!mirror.time.live) mirror.seek(null);
    return [];
  }
  const isThere = mirror.firstMs > 0 && wanted >= mirror.firstMs && wanted <= mirror.nowMs();
  if (isThere) mirror.seek(wanted, step.speed);
  else if (!mirror.time.live) mirror.seek(null);
  return isThere ? [] : [t("The moment of this step is not recorded here: you see the present.")];
}

function structureOf(mirror: Mirror, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isThere: boolean): void => {
      clearTimeout(timer);
      off();
      resolve(isThere);
    };
    const off = mirror.on("structure", () => end(true));
    const timer = setTimeout(() => end(false), BRANCH_MS);
    signal.addEventListener("abort", () => end(false), { once: true });
  });
}
