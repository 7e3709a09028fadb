// A figure over its replications as text, and the plots of some.

import { labelText, numberText, unitText } from "../format.ts";
import { h } from "../panels/dom.ts";
import type { Id, Mirror } from "../mirror.ts";
import type { KpiRow } from "../protocol.ts";
import { t } from "../words.ts";
import { type Condition, CONDITIONS, type Load } from "./loads.ts";
import { intervalPlot, type Sampled } from "./plots.ts";

/** How conditions of stations are called. */
export const LOADED: Readonly<Record<Condition, string>> = { busy: t("Busy"), blocked: t("Blocked"), starved: t("Starved"), down: t("Down"), critical: t("Critical") };

type Named = Pick<Mirror, "twins" | "nameOf">;

function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A figure's name as people read it; one that is named after a twin or its point (`twin.point`, `blocked, twin`), by its name. */
export function kpiName(name: string, mirror: Named): string {
  const dot = name.lastIndexOf(".");
  const twin = name.slice(0, dot);
  if (dot > 0 && mirror.twins.has(twin)) return `${mirror.nameOf(twin)}: ${labelText(name.slice(dot + 1))}`;
  const comma = name.lastIndexOf(", ");
  const about = name.slice(comma + 2);
  if (comma > 0 && mirror.twins.has(about)) return `${mirror.nameOf(about)}: ${labelText(name.slice(0, comma))}`;
  return capital(labelText(name));
}

export function withUnit(value: number | null, unit: string): string {
  return value === null ? "–" : `${numberText(value)}${unit ? ` ${unitText(unit)}` : ""}`;
}

/** The 95 % interval of a mean. */
export function intervalText(low: number | null, high: number | null): string {
  return low === null || high === null ? t("no interval") : t("{low} to {high}", { low: numberText(low), high: numberText(high) });
}

export function percentText(share: number | null): string {
  return share === null ? "–" : `${numberText(share * 100, share > 0.001 && share < 0.999 ? 1 : 0)} %`;
}

/** How loaded each station is, a row a station: shares of time. */
export function loadTable(mirror: Named, loads: readonly Load[], onChoose: (twin: Id) => void): HTMLElement {
  const has = CONDITIONS.filter((condition) => loads.some(({ shares }) => shares[condition] !== undefined));
  const most = Math.max(...loads.map(({ shares }) => shares["critical"] ?? 0));
  return h(
    "table",
    { class: "kpi-table" },
    h("thead", {}, h("tr", {}, h("th", { attrs: { scope: "col" } }, t("Station")), ...has.map((condition) => h("th", { attrs: { scope: "col" } }, LOADED[condition])))),
    h(
      "tbody",
      {},
      ...loads.map(({ twin, shares }) =>
        h("tr", {}, h("th", { attrs: { scope: "row" } }, h("button", { class: "kpi-name", attrs: { type: "button" }, on: { click: () => onChoose(twin) } }, mirror.nameOf(twin))), ...has.map((condition) => {
          const share = shares[condition];
          const isMost = condition === "critical" && share === most && most >= 0.01;
          return h("td", { class: isMost ? "num bottleneck-most" : "num", title: isMost ? t("The bottleneck") : "" }, percentText(share ?? null));
        })),
      ),
    ),
  );
}

/** A table of one evaluation's figures; a click on one plots it. */
export function kpiTable(mirror: Named, kpis: readonly KpiRow[], onPlot: (kpi: KpiRow) => void): HTMLElement {
  return h(
    "table",
    { class: "kpi-table" },
    h("thead", {}, h("tr", {}, h("th", { attrs: { scope: "col" } }, t("Figure")), h("th", { attrs: { scope: "col" } }, t("Mean")), h("th", { attrs: { scope: "col" } }, t("95 % interval")))),
    h(
      "tbody",
      {},
      ...kpis.map((kpi) =>
        h(
          "tr",
          {},
          h("th", { attrs: { scope: "row" } }, h("button", { class: "kpi-name", attrs: { type: "button" }, title: t("Show each replication"), on: { click: () => onPlot(kpi) } }, kpiName(kpi.name, mirror))),
          h("td", { class: "num" }, withUnit(kpi.mean, kpi.unit)),
          h("td", { class: "num dim" }, kpi.n < 2 ? t("one run") : intervalText(kpi.low, kpi.high)),
        ),
      ),
    ),
  );
}

/** What a plot of means says, in words. */
export function plotWords(name: string, rows: readonly Sampled[], unit: string): string {
  return `${name}: ${rows.map((row) => t("{name} {mean}, 95 % interval {interval}, {n} runs", { name: row.name, mean: withUnit(row.mean, unit), interval: intervalText(row.low, row.high), n: row.values.length })).join("; ")}`;
}

/** A figure of several branches as a plot with its title. */
export function kpiPlot(name: string, unit: string, rows: readonly Sampled[]): HTMLElement {
  const shown = rows.filter((row) => row.mean !== null);
  if (shown.length === 0) return h("p", { class: "dim" }, t("No figures to plot."));
  return h("figure", { class: "plot-figure" }, h("figcaption", {}, name), intervalPlot(shown, unitText(unit), plotWords(name, shown, unit)));
}

/** Values of replications without those that gave none. */
export function present(values: readonly (number | null)[]): number[] {
  return values.filter((value): value is number => value !== null && Number.isFinite(value));
}
