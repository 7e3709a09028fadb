/** A picture of the scene as it stands: its names on it, and below, if wanted, what it is a picture of. */

import type { Context } from "../panels/context.ts";
import { clockText, dayText, unitText } from "../format.ts";
import { t } from "../words.ts";

const STRIP_PX = 44;

export interface Caption {
  title: string;
  detail: string;
}

/** What is said below: world and branch, moment, selection. */
export function captionOf({ mirror }: Context): Caption {
  const at_ms = mirror.viewMs();
  const world = mirror.world.replace(/_/g, " ");
  const zone = new Date(at_ms).getTimezoneOffset();
  const offset = `UTC${zone > 0 ? "−" : "+"}${Math.abs(zone) / 60}`;
  const { selected } = mirror;
  const first = selected === null ? undefined : mirror.handlesOf(selected).find((handle) => !Number.isNaN(mirror.value[handle] ?? NaN));
  const value = first === undefined ? "" : ` · ${mirror.pointRef(first).name} ${mirror.format(first)} ${unitText(mirror.pointType(first).unit ?? "")}`.trimEnd();
  return {
    title: [world, mirror.branch === null ? "" : t("Branch"), selected === null ? "" : mirror.nameOf(selected)].filter(Boolean).join(" · ") + value,
    detail: `${dayText(at_ms)} ${clockText(at_ms)} ${offset}${mirror.time.live ? "" : ` · ${t("PAST")}`}`,
  };
}

/** A PNG of the scene. Rejects where the browser draws none. */
export async function pictureOf(context: Context, hasCaption: boolean): Promise<Blob> {
  const scene = await createImageBitmap(await context.scene.screenshot());
  const canvas = document.getElementById("scene") as HTMLCanvasElement;
  const ratio = scene.width / Math.max(canvas.clientWidth, 1);
  const strip = hasCaption ? Math.round(STRIP_PX * ratio) : 0;
  const sheet = document.createElement("canvas");
  sheet.width = scene.width;
  sheet.height = scene.height + strip;
  const pen = sheet.getContext("2d");
  if (pen === null) throw new Error("the browser draws no picture");
  pen.drawImage(scene, 0, 0);
  scene.close();
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  pen.font = `550 ${11 * ratio}px ${colour("--font")}`;
  drawLabels(pen, canvas, ratio, colour("--surface-solid"), colour("--text"));
  if (hasCaption) {
    const { title, detail } = captionOf(context);
    pen.fillStyle = colour("--surface-solid");
    pen.fillRect(0, scene.height || sheet.height - strip, sheet.width, strip);
    const middle = sheet.height - strip / 2;
    const pad = 16 * ratio;
    pen.textBaseline = "middle";
    pen.font = `450 ${13 * ratio}px ${colour("--font")}`;
    const detailWidth = pen.measureText(detail).width;
    pen.fillStyle = colour("--text-2");
    pen.fillText(detail, sheet.width - pad - detailWidth, middle);
    pen.font = `620 ${14 * ratio}px ${colour("--font")}`;
    pen.fillStyle = colour("--text");
    pen.fillText(title, pad, middle, Math.max(sheet.width - detailWidth - 3 * pad, 1));
  }
  return new Promise((resolve, reject) => sheet.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("no picture"))), "image/png"));
}

/** Names that stand over the scene are the page's, not the scene's: drawn anew where they stand. */
function drawLabels(pen: CanvasRenderingContext2D, canvas: HTMLCanvasElement, ratio: number, ground: string, ink: string): void {
  const origin = canvas.getBoundingClientRect();
  pen.textBaseline = "middle";
  for (const label of document.querySelectorAll<HTMLElement>("#labels .label.shown")) {
    const name = label.querySelector(".name")?.textContent ?? "";
    const at = label.getBoundingClientRect();
    if (name === "" || at.width === 0) continue;
    const [x, y, height] = [(at.left - origin.left) * ratio, (at.top - origin.top) * ratio, 22 * ratio];
    const width = pen.measureText(name).width + 15 * ratio;
    pen.globalAlpha = 0.85;
    pen.fillStyle = ground;
    pen.beginPath();
    pen.roundRect(x, y, width, height, 7 * ratio);
    pen.fill();
    pen.globalAlpha = 1;
    pen.fillStyle = ink;
    pen.fillText(name, x + 7.5 * ratio, y + height / 2);
  }
}

/** Saves it under a name that says which world and when. */
export function save(context: Context, picture: Blob): string {
  const moment = new Date(context.mirror.viewMs()).toISOString().slice(0, 19).replace(/[:T]/g, "-");
  const name = `${context.mirror.world || "mirrorworld"}-${moment}.png`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(picture);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return name;
}
