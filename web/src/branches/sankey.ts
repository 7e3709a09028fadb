/**
 * What goes where in a line: a Sankey diagram of its ways, and the same as a table.
 * Streams come from the left and go to the right; what leads back goes below. Knows names and amounts alone.
 */

import { numberText } from "../format.ts";
import { h } from "../panels/dom.ts";
import { t } from "../words.ts";
import { svg } from "./plots.ts";
import { columns, type Kind, type Stream } from "./streams.ts";

const KINDS: Readonly<Record<Kind, string>> = { flow: t("goes on"), scrap: t("scrap"), rework: t("rework") };

const ALONG = 118;
const BAR = 12;
const BROAD = 110;
const APART = 46;

interface Ribbon extends Stream {
  broad: number;
  y1: number;
  y2: number;
}
interface Place {
  name: string;
  column: number;
  high: number;
  x: number;
  y: number;
  out: Ribbon[];
  into: Ribbon[];
}

function sum(ribbons: readonly Ribbon[]): number {
  return ribbons.reduce((all, { amount }) => all + amount, 0);
}

/** The diagram; what it says is in its label and its ways' titles. */
export function sankey(all: readonly Stream[], label: string): SVGSVGElement {
  const streams = all.filter(({ amount }) => amount > 0);
  const places = new Map<string, Place>([...columns(streams)].map(([name, column]) => [name, { name, column, high: 0, x: 0, y: 0, out: [], into: [] }]));
  const most = Math.max(...streams.map(({ amount }) => amount), Number.MIN_VALUE);
  for (const stream of streams) {
    const ribbon = { ...stream, broad: Math.max(1, (stream.amount / most) * BROAD), y1: 0, y2: 0 };
    places.get(stream.source)!.out.push(ribbon);
    places.get(stream.target)?.into.push(ribbon);
  }
  const isBack = ({ source, target }: Stream): boolean => target !== "" && places.get(target)!.column <= places.get(source)!.column;
  const broadOf = (ribbons: readonly Ribbon[]): number => ribbons.reduce((broad, ribbon) => broad + ribbon.broad, 0);
  const byColumn: Place[][] = [];
  const rank = (place: Place): number => (place.out.some(isBack) ? 2 : Number(place.into.length > 0 && place.into.every(({ kind }) => kind === "scrap")));
  for (const place of [...places.values()].sort((a, b) => rank(a) - rank(b))) {
    place.high = Math.max(BAR, broadOf(place.out), broadOf(place.into));
    (byColumn[place.column] ??= []).push(place);
  }
  const talls = byColumn.map((column) => column.reduce((tall, { high }) => tall + high + APART, 0));
  const tallest = Math.max(0, ...talls);
  byColumn.forEach((column, at) => {
    let y = APART + (tallest - talls[at]!) / 2;
    for (const place of column) {
      place.x = 48 + ALONG * at;
      place.y = y;
      y += place.high + APART;
    }
  });
  const last = (ribbon: Ribbon): number => Number(ribbon.target === "" || isBack(ribbon));
  for (const place of places.values()) {
    let y = place.y;
    for (const ribbon of [...place.out].sort((a, b) => last(a) - last(b) || (places.get(a.target)?.y ?? 0) - (places.get(b.target)?.y ?? 0))) {
      ribbon.y1 = y;
      y += ribbon.broad;
    }
    y = place.y;
    for (const ribbon of [...place.into].sort((a, b) => last(a) - last(b) || places.get(a.source)!.y - places.get(b.source)!.y)) {
      ribbon.y2 = y;
      y += ribbon.broad;
    }
  }
  let below = tallest + 12;
  const picture = svg("svg", { class: "sankey", role: "img", "aria-label": label });
  for (const place of places.values())
    for (const ribbon of place.out) {
      const x1 = place.x + BAR;
      const target = places.get(ribbon.target);
      let d: string;
      if (target === undefined) d = fallen(x1, ribbon);
      else if (isBack(ribbon)) {
        d = looped(x1, target.x, below, ribbon);
        below += ribbon.broad + 10;
      } else d = crossing(x1, target.x, ribbon);
      picture.append(svg("path", { d, class: `sankey-${ribbon.kind}` }, svg("title", {}, streamText(ribbon))));
    }
  for (const { name, x, y, high, out, into } of places.values())
    picture.append(
      svg("rect", { x, y, width: BAR, height: high, rx: 2, class: "sankey-place" }),
      svg("text", { x: x + BAR / 2, y: y - 18, class: "plot-name over", "text-anchor": "middle" }, name.length > 16 ? `${name.slice(0, 15)}…` : name, svg("title", {}, name)),
      svg("text", { x: x + BAR / 2, y: y - 5, class: "plot-mark over", "text-anchor": "middle" }, numberText(Math.max(sum(out), sum(into)), 0)),
    );
  const width = 108 + ALONG * Math.max(0, byColumn.length - 1);
  const height = below + (streams.some(({ target }) => target === "") ? 24 : 8);
  for (const [key, value] of Object.entries({ viewBox: `0 0 ${width} ${height}`, width, height })) picture.setAttribute(key, String(value));
  return picture;
}

function crossing(x1: number, x2: number, { y1, y2, broad }: Ribbon): string {
  const m = (x1 + x2) / 2;
  return `M${x1} ${y1}C${m} ${y1} ${m} ${y2} ${x2} ${y2}v${broad}C${m} ${y2 + broad} ${m} ${y1 + broad} ${x1} ${y1 + broad}z`;
}

function looped(x1: number, x2: number, below: number, { y1, y2, broad }: Ribbon): string {
  const far = 8 + broad;
  const foot = below + broad;
  return (
    `M${x1} ${y1}C${x1 + far} ${y1} ${x1 + far} ${foot} ${x1} ${foot}H${x2}C${x2 - far} ${foot} ${x2 - far} ${y2} ${x2} ${y2}` +
    `v${broad}C${x2 - 8} ${y2 + broad} ${x2 - 8} ${below} ${x2} ${below}H${x1}C${x1 + 8} ${below} ${x1 + 8} ${y1 + broad} ${x1} ${y1 + broad}z`
  );
}

function fallen(x: number, { y1, broad }: Ribbon): string {
  const far = x + 10 + broad;
  const foot = y1 + broad + 22;
  return `M${x} ${y1}C${far} ${y1} ${far} ${y1 + broad} ${far} ${foot}l${-broad / 2} 7l${-broad / 2} -7C${x + 10} ${y1 + broad} ${x + 10} ${y1 + broad} ${x} ${y1 + broad}z`;
}

function streamText({ source, target, kind, amount }: Stream): string {
  const where = target ? `${source} → ${target}` : t("thrown away at {place}", { place: source });
  return `${where}${kind === "flow" || !target ? "" : `, ${KINDS[kind]}`}: ${numberText(amount, 0)}/h`;
}

/** The diagram with its legend, and the same as a table for those who do not see it. */
export function whatGoesWhere(streams: readonly Stream[]): HTMLElement {
  const kinds = (Object.keys(KINDS) as Kind[]).filter((kind) => streams.some((stream) => stream.kind === kind && stream.amount > 0));
  const label = t("{n} ways of parts; the table below says the same.", { n: streams.length });
  return h(
    "div",
    { class: "gantt-place" },
    kinds.length > 1 && h("div", { class: "legend-key" }, ...kinds.map((kind) => h("span", {}, h("i", { class: `sankey-key sankey-${kind}` }), KINDS[kind]))),
    h("div", { class: "compare-scroll sankey-scroll", tabIndex: 0, role: "region", attrs: { "aria-label": t("What goes where") } }, sankey(streams, label)),
    h("div", { class: "kpi-scroll", tabIndex: 0, role: "region", attrs: { "aria-label": t("Ways") } },
      h("table", { class: "kpi-table" },
        h("thead", {}, h("tr", {}, ...[t("Out of"), t("Into"), t("Kind")].map((name) => h("th", { attrs: { scope: "col" } }, name)), h("th", { class: "num", attrs: { scope: "col" } }, t("Parts an hour")))),
        h("tbody", {}, ...streams.map(({ source, target, kind, amount }) => h("tr", {}, h("th", { attrs: { scope: "row" } }, source), h("td", {}, target || t("thrown away")), h("td", {}, KINDS[kind]), h("td", { class: "num" }, numberText(amount))))),
      ),
    ),
  );
}
