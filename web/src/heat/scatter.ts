/**
 * A scatter plot on a canvas: dots, round axes, a line, and the dot nearest to the pointer.
 * Knows numbers and labels; no world. What it shows is told in words beside it by who uses it.
 */

import { h, setText } from "../panels/dom.ts";
import { numberText } from "../format.ts";
import { roundRange } from "./field.ts";
import { t } from "../words.ts";

export interface Scattered {
  xs: readonly number[];
  ys: readonly number[];
  xLabel: string;
  yLabel: string;
  /** y = slope · x + intercept; null: none. */
  line: { slope: number; intercept: number } | null;
  /** What a dot is. */
  name(i: number): string;
}

const LEFT = 58;
const BOTTOM = 40;
const MARGIN = 12;
const NEAR_PX = 18;

export class Scatter {
  readonly element: HTMLElement;
  onChoose: (i: number) => void = () => {};
  readonly #canvas = h("canvas", { class: "scatter-canvas", role: "img", attrs: { "aria-label": t("Correlation") } });
  readonly #tip = h("div", { class: "scatter-tip num", hidden: true });
  #shown: Scattered | null = null;
  #x: [number, number] = [0, 1];
  #y: [number, number] = [0, 1];
  #near = -1;

  constructor() {
    this.element = h("div", { class: "scatter" }, this.#canvas, this.#tip);
    new ResizeObserver(() => this.draw()).observe(this.#canvas);
    this.#canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.#canvas.addEventListener("pointerleave", () => this.#mark(-1));
    this.#canvas.addEventListener("click", () => this.#near >= 0 && this.onChoose(this.#near));
  }

  show(shown: Scattered, summary: string): void {
    this.#shown = shown;
    this.#x = roundRange(...ends(shown.xs));
    this.#y = roundRange(...ends(shown.ys));
    this.#canvas.setAttribute("aria-label", summary);
    this.#mark(-1);
    this.draw();
  }

  draw(): void {
    const shown = this.#shown;
    const pen = this.#canvas.getContext("2d");
    if (shown === null || pen === null) return;
    const ratio = Math.min(window.devicePixelRatio, 2);
    const w = this.#canvas.clientWidth;
    const height = this.#canvas.clientHeight;
    if (w === 0) return;
    this.#canvas.width = w * ratio;
    this.#canvas.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(this.#canvas);
    const ink = (name: string): string => style.getPropertyValue(name);
    pen.font = `11px ${style.fontFamily}`;
    this.#drawAxes(pen, w, height, ink);
    const isMany = shown.xs.length > 600;
    pen.fillStyle = ink("--accent");
    pen.globalAlpha = isMany ? 0.35 : 0.7;
    const radius = isMany ? 2 : 3.4;
    for (let i = 0; i < shown.xs.length; i++) {
      const [px, py] = this.#place(shown.xs[i]!, shown.ys[i]!, w, height);
      pen.beginPath();
      pen.arc(px, py, radius, 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
    if (shown.line !== null) this.#drawLine(pen, shown.line, w, height, ink("--series-2"));
    if (this.#near >= 0) {
      const [px, py] = this.#place(shown.xs[this.#near]!, shown.ys[this.#near]!, w, height);
      pen.strokeStyle = ink("--text");
      pen.lineWidth = 1.6;
      pen.beginPath();
      pen.arc(px, py, 6, 0, 7);
      pen.stroke();
    }
  }

  #drawAxes(pen: CanvasRenderingContext2D, w: number, height: number, ink: (name: string) => string): void {
    const shown = this.#shown!;
    pen.strokeStyle = ink("--line");
    pen.fillStyle = ink("--text-2");
    pen.lineWidth = 1;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const across = ticks(...this.#x);
    const upwards = ticks(...this.#y);
    for (const tick of across) {
      const [px] = this.#place(tick, 0, w, height);
      line(pen, px, MARGIN, px, height - BOTTOM);
      pen.fillText(numberText(tick, decimalsOf(across)), px, height - BOTTOM + 6);
    }
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const tick of upwards) {
      const [, py] = this.#place(0, tick, w, height);
      line(pen, LEFT, py, w - MARGIN, py);
      pen.fillText(numberText(tick, decimalsOf(upwards)), LEFT - 6, py);
    }
    pen.fillStyle = ink("--text");
    pen.textAlign = "center";
    pen.textBaseline = "bottom";
    pen.fillText(shown.xLabel, (LEFT + w - MARGIN) / 2, height - 3, w - LEFT - MARGIN);
    pen.save();
    pen.translate(3, (MARGIN + height - BOTTOM) / 2);
    pen.rotate(-Math.PI / 2);
    pen.textBaseline = "top";
    pen.fillText(shown.yLabel, 0, 0, height - BOTTOM - MARGIN);
    pen.restore();
  }

  #drawLine(pen: CanvasRenderingContext2D, { slope, intercept }: { slope: number; intercept: number }, w: number, height: number, color: string): void {
    const [x0, x1] = this.#x;
    pen.save();
    pen.beginPath();
    pen.rect(LEFT, MARGIN, w - LEFT - MARGIN, height - BOTTOM - MARGIN);
    pen.clip();
    pen.strokeStyle = color;
    pen.lineWidth = 2;
    line(pen, ...this.#place(x0, slope * x0 + intercept, w, height), ...this.#place(x1, slope * x1 + intercept, w, height));
    pen.restore();
  }

  #place(x: number, y: number, w: number, height: number): [number, number] {
    const [x0, x1] = this.#x;
    const [y0, y1] = this.#y;
    return [
      LEFT + ((x - x0) / (x1 - x0)) * (w - LEFT - MARGIN),
      height - BOTTOM - ((y - y0) / (y1 - y0)) * (height - BOTTOM - MARGIN),
    ];
  }

  #point(event: PointerEvent): void {
    const shown = this.#shown;
    if (shown === null) return;
    const w = this.#canvas.clientWidth;
    const height = this.#canvas.clientHeight;
    let near = -1;
    let least = NEAR_PX ** 2;
    for (let i = 0; i < shown.xs.length; i++) {
      const [px, py] = this.#place(shown.xs[i]!, shown.ys[i]!, w, height);
      const far = (px - event.offsetX) ** 2 + (py - event.offsetY) ** 2;
      if (far < least) [least, near] = [far, i];
    }
    this.#mark(near);
  }

  #mark(near: number): void {
    if (near === this.#near) return;
    this.#near = near;
    this.#tip.hidden = near < 0;
    const shown = this.#shown;
    if (near >= 0 && shown !== null) {
      setText(this.#tip, `${shown.name(near)} · ${numberText(shown.xs[near]!)} · ${numberText(shown.ys[near]!)}`);
      this.#canvas.style.cursor = "pointer";
    } else this.#canvas.style.cursor = "";
    this.draw();
  }
}

function ends(values: readonly number[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return values.length === 0 ? [0, 1] : [low, high];
}

/** Round places between two round ends, some five of them. */
function ticks(low: number, high: number): number[] {
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((s) => s * power >= raw * 0.999) ?? 10);
  const found: number[] = [];
  for (let tick = Math.ceil(low / step - 1e-6) * step; tick <= high + step * 1e-6; tick += step) found.push(Number(tick.toPrecision(12)));
  return found;
}

/** As many digits as tell neighbouring ticks apart. */
function decimalsOf(found: readonly number[]): number {
  const step = found.length > 1 ? found[1]! - found[0]! : 1;
  return Math.min(Math.max(0, -Math.floor(Math.log10(step) + 1e-6)), 8);
}

function line(pen: CanvasRenderingContext2D, x0: number, y0: number, x1: number, y1: number): void {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}
