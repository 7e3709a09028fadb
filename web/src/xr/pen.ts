/** How panels in the room are written: colours, type, lines that fit. Dark, whatever the page's theme. */

export type Tone = "plain" | "soft" | "dim" | "accent" | "good" | "uncertain" | "bad" | "sev-0" | "sev-1" | "sev-2" | "sev-3";

export const FONT = '"Inter Variable", system-ui, sans-serif';

export const COLORS = {
  back: "rgba(16, 23, 31, 0.97)",
  edge: "rgba(120, 150, 175, 0.45)",
  line: "rgba(120, 150, 175, 0.16)",
  button: "#263543",
  on: "#1d5f80",
  off: "#1a232c",
  hold: "#17475f",
  chosen: "rgba(87, 199, 242, 0.18)",
  accent: "#57c7f2",
} as const;

const TONES: Record<Tone, string> = {
  plain: "#eef4f8",
  soft: "#c3d1dc",
  dim: "#8fa2b2",
  accent: "#57c7f2",
  good: "#5fd39a",
  uncertain: "#e3b341",
  bad: "#f2726f",
  "sev-0": "#7fb6e6",
  "sev-1": "#f3dc5a",
  "sev-2": "#ffa435",
  "sev-3": "#ff6b66",
};

export function toneColor(tone: Tone): string {
  return TONES[tone];
}

/** The tone of an alarm of a severity. */
export function severityTone(severity: number): Tone {
  return (["sev-0", "sev-1", "sev-2", "sev-3"] as const)[Math.max(0, Math.min(3, severity))]!;
}

export function paint(pen: CanvasRenderingContext2D, text: string, x: number, y: number, tone: Tone): void {
  pen.fillStyle = TONES[tone];
  pen.fillText(text, x, y);
}

export function rounded(pen: CanvasRenderingContext2D, x: number, y: number, w: number, h: number, r: number, fill: string, edge: string | null): void {
  pen.beginPath();
  pen.roundRect(x, y, w, h, r);
  pen.fillStyle = fill;
  pen.fill();
  if (edge === null) return;
  pen.strokeStyle = edge;
  pen.lineWidth = 2;
  pen.stroke();
}

/** As much of a text as fits, with an ellipsis where it is cut. */
export function clip(pen: CanvasRenderingContext2D, text: string, width: number): string {
  if (pen.measureText(text).width <= width) return text;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (pen.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}

const ROWS_MAX = 8;

/** A text in rows that fit, eight at most. */
export function wrap(pen: CanvasRenderingContext2D, text: string, width: number): string[] {
  const rows: string[] = [];
  let row = "";
  for (const word of text.split(/\s+/)) {
    const longer = row === "" ? word : `${row} ${word}`;
    if (row === "" || pen.measureText(longer).width <= width) row = longer;
    else {
      rows.push(clip(pen, row, width));
      row = word;
    }
  }
  rows.push(clip(pen, row, width));
  return rows.slice(0, ROWS_MAX);
}
