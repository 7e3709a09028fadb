/** How the states of runs, evaluations and plans are called, and moments as people read them. */

import { clockText, dayText } from "../format.ts";
import { t } from "../words.ts";

/** Of a run. */
export const STATES: Readonly<Record<string, string>> = {
  idle: t("never run"),
  starting: t("starting"),
  running: t("running"),
  paused: t("paused"),
  ended: t("has run"),
  failed: t("failed"),
};

/** A moment as people read it: the day only where it is another. */
export function momentOf(time_ns: number, now_ms: number): string {
  const at_ms = time_ns / 1e6;
  return dayText(at_ms) === dayText(now_ms) ? clockText(at_ms) : `${dayText(at_ms)} ${clockText(at_ms)}`;
}

/** Of an evaluation. */
export const EVALUATED: Readonly<Record<string, string>> = {
  waiting: t("waiting"),
  running: t("running"),
  done: t("done"),
  cancelled: t("cancelled"),
  failed: t("failed"),
};

/** Of a plan. */
export const PLANNED: Readonly<Record<string, string>> = {
  proposed: t("waits for approval"),
  approved: t("approved"),
  executing: t("being carried out"),
  applied: t("applied"),
  "rolled back": t("rolled back"),
  failed: t("failed"),
  rejected: t("rejected"),
};

/** Of a step of a plan. */
export const STEPPED: Readonly<Record<string, string>> = {
  waiting: t("waiting"),
  sent: t("sent"),
  confirmed: t("confirmed"),
  refused: t("refused"),
  failed: t("failed"),
  expired: t("no answer in time"),
  "rolled back": t("rolled back"),
  stuck: t("could not be rolled back"),
  open: t("open"),
  done: t("done"),
};
