// What a trend shows, at full resolution, as a CSV file: one row a sample, times in ISO 8601.

import { momentText } from "../format.ts";
import type { Span } from "./chart.ts";
import { type Context, reasonOf } from "./context.ts";
import { h } from "./dom.ts";
import type { SeriesStore } from "./series.ts";

const ROWS_AT_MOST = 200_000;
const QUALITIES = ["good", "uncertain", "bad"] as const;

/** Asks the record for the points' samples and hands them to the browser to save. */
export async function exportCsv(
  context: Context,
  series: SeriesStore,
  handles: readonly number[],
  { start_ms, end_ms }: Span,
): Promise<void> {
  const { mirror } = context;
  try {
    const found = await series.history(handles, start_ms, end_ms, ROWS_AT_MOST);
    const rows = ["time,point,value,unit,quality"];
    for (const [handle, samples] of found) {
      const { twin, name, type } = mirror.pointRef(handle);
      const point = field(`${twin}.${name}`);
      const unit = field(type.unit ?? "");
      for (let i = 0; i < samples.t.length; i++) {
        if (samples.t[i]! < start_ms) continue;
        const value = Number.isNaN(samples.v[i]!) ? "" : String(samples.v[i]);
        rows.push(`${new Date(samples.t[i]!).toISOString()},${point},${value},${unit},${QUALITIES[samples.q[i]!]}`);
      }
    }
    const address = URL.createObjectURL(new Blob([`${rows.join("\n")}\n`], { type: "text/csv" }));
    const name = `${mirror.world || "trend"} ${momentText(start_ms).slice(0, 19).replace(/:/g, "-")}.csv`;
    const link = h("a", { attrs: { href: address, download: name } });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  } catch (error) {
    context.toast({ tone: "bad", title: "Nothing was exported", detail: reasonOf(error) });
  }
}

/** A CSV field; one that a spreadsheet would take for a formula is kept text. */
function field(text: string): string {
  const safe = /^[=+\-@\t]/.test(text) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}
