// Who said what of a twin over its source, and what the source says of its points.

import { whenText } from "../format.ts";
import type { Id } from "../mirror.ts";
import type { SaidPage, SaidRow } from "../protocol.ts";
import type { Context } from "./context.ts";
import { t } from "../words.ts";

/** What people said of a twin, as the server knows it now. */
export async function saidOf(context: Context, twin: Id): Promise<SaidRow[]> {
  return (await context.mirror.rest.get<SaidPage>("said", { twin })).said;
}

/** What was said of one point; undefined: nothing. */
export async function saidOfPoint(context: Context, twin: Id, name: string): Promise<SaidRow | undefined> {
  return (await saidOf(context, twin)).find((row) => row.what === "PutPointAbout" && row.name === name);
}

/** Who said it, when and why, where that is not too long ago to be known here. */
export function whoWords(context: Context, row: SaidRow): string {
  if (!row.by) return t("by a person");
  const when = whenText(row.at_ns / 1e6, context.mirror.nowMs());
  const why = row.reason ? ` (${row.reason})` : "";
  return `${t("by {name}, {time}", { name: row.by, time: when })}${why}`;
}
