// A few minutes of one point as a line the size of a word.

import type { Samples } from "./series.ts";

/** Draws `samples` between two times; colour is the canvas element's own text colour. */
export function drawSpark(
  canvas: HTMLCanvasElement,
  samples: Samples,
  start_ms: number,
  end_ms: number,
  isStepped: boolean,
): void {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (width === 0) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  if (!pen) return;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const { t, v } = samples;
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < t.length; i++) {
    const value = v[i]!;
    if (Number.isNaN(value) || t[i]! > end_ms) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(high >= low)) return;
  const isFlat = high === low;
  const x = (time: number): number => Math.max(0, ((time - start_ms) / (end_ms - start_ms)) * (width - 3)) + 0.5;
  const y = (value: number): number =>
    isFlat ? height / 2 : height - 3 - ((value - low) / (high - low)) * (height - 6);
  pen.strokeStyle = getComputedStyle(canvas).color;
  pen.lineWidth = 1.2;
  pen.lineJoin = "round";
  pen.beginPath();
  let isDown = false;
  let lastY = 0;
  for (let i = 0; i < t.length; i++) {
    if (t[i]! > end_ms) break;
    if (t[i + 1] !== undefined && t[i + 1]! < start_ms) continue;
    const value = v[i]!;
    if (Number.isNaN(value)) {
      isDown = false;
      continue;
    }
    const px = x(t[i]!);
    const py = y(value);
    if (!isDown) pen.moveTo(px, py);
    else {
      if (isStepped) pen.lineTo(px, lastY);
      pen.lineTo(px, py);
    }
    isDown = true;
    lastY = py;
  }
  if (isDown) pen.lineTo(x(end_ms), lastY); // sources report changes only: the last value holds
  pen.stroke();
  if (isDown) {
    pen.fillStyle = pen.strokeStyle;
    pen.beginPath();
    pen.arc(x(end_ms), lastY, 1.7, 0, 2 * Math.PI);
    pen.fill();
  }
}
