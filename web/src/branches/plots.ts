/**
 * Plots of samples, as SVG in the page: means with their intervals, and each replication as a dot.
 * What a plot says is in its label too. Knows numbers and names, and no branch.
 */

import { numberText } from "../format.ts";

const SVG = "http://www.w3.org/2000/svg";

export interface Sampled {
  name: string;
  values: readonly number[];
  mean: number | null;
  low: number | null;
  high: number | null;
}

const ROW = 34;
const LEFT = 132;
const RIGHT = 16;
const WIDTH = 560;
const TOP = 8;
const FOOT = 26;

/** A node of SVG with its attributes. */
export function svg<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Record<string, string | number>, ...children: (Node | string)[]): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Round marks of an axis over a range. */
export function marks(low: number, high: number, wanted = 5): number[] {
  // What differs by less than numbers can tell has one mark.
  if (!(high - low > Math.max(Math.abs(low), Math.abs(high)) * 1e-9)) return [low];
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= raw * 0.999) ?? power * 10;
  const found: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** Rows of an interval and its dots over one common axis. `zero` draws where nothing differs. */
export function intervalPlot(rows: readonly Sampled[], unit: string, label: string, zero: boolean = false): SVGSVGElement {
  const numbers = rows.flatMap((row) => [...row.values, row.mean, row.low, row.high]).filter((value): value is number => value !== null && Number.isFinite(value));
  if (zero) numbers.push(0);
  let low = Math.min(...numbers);
  let high = Math.max(...numbers);
  const spread = high - low;
  const size = Math.max(Math.abs(low), Math.abs(high));
  const room = spread > size * 1e-6 ? spread * 0.06 : size * 0.01 || 1; // all alike: in the middle of some room
  low -= room;
  high += room;
  const height = TOP + rows.length * ROW + FOOT;
  const x = (value: number): number => LEFT + ((value - low) / (high - low)) * (WIDTH - LEFT - RIGHT);
  const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "plot", role: "img", "aria-label": label });
  const axis = TOP + rows.length * ROW;
  for (const mark of marks(low, high)) {
    plot.append(
      svg("line", { x1: x(mark), x2: x(mark), y1: TOP, y2: axis, class: "plot-grid" }),
      svg("text", { x: x(mark), y: axis + 15, class: "plot-mark", "text-anchor": "middle" }, numberText(mark)),
    );
  }
  if (zero) plot.append(svg("line", { x1: x(0), x2: x(0), y1: TOP, y2: axis, class: "plot-zero" }));
  if (unit) plot.append(svg("text", { x: LEFT - 10, y: axis + 15, class: "plot-mark", "text-anchor": "end" }, unit));
  rows.forEach((row, i) => {
    const y = TOP + i * ROW + ROW / 2;
    const series = `var(--series-${(i % 8) + 1})`;
    plot.append(svg("text", { x: LEFT - 10, y: y + 4, class: "plot-name", "text-anchor": "end" }, cut(row.name, 19)));
    row.values.forEach((value, k) => {
      // Spread by their number, so that equal ones are told apart and the picture is the same each time.
      const dot = svg("circle", { cx: x(value), cy: y + (((k * 7) % 11) - 5) * 1.7, r: 2.4, class: "plot-dot" });
      dot.style.fill = series;
      plot.append(dot);
    });
    if (row.low !== null && row.high !== null) {
      const line = svg("path", { d: `M${x(row.low)} ${y}H${x(row.high)}M${x(row.low)} ${y - 6}v12M${x(row.high)} ${y - 6}v12`, class: "plot-interval" });
      line.style.stroke = series;
      plot.append(line);
    }
    if (row.mean !== null) {
      const mean = svg("path", { d: `M${x(row.mean)} ${y - 6.5}l6 6.5-6 6.5-6-6.5z`, class: "plot-mean" });
      mean.style.fill = series;
      plot.append(mean);
    }
  });
  return plot;
}

function cut(text: string, n: number): string {
  return text.length <= n ? text : `${text.slice(0, n - 1)}…`;
}
