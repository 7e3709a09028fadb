/**
 * A panel that hangs in the room: lines of text, values, buttons and charts on one canvas.
 *
 * It is told what to show and draws only when that differs from what it shows. What can be pressed
 * is known by place, so that a ray can meet it. Knows no twin and no plant.
 */

import { CanvasTexture, Group, LinearFilter, LinearMipmapLinearFilter, Matrix4, Mesh, MeshBasicMaterial, PlaneGeometry, Ray, SRGBColorSpace, Vector3 } from "three";
import { clip, COLORS, FONT, paint, rounded, wrap } from "./pen.ts";
import type { Tone } from "./pen.ts";

export interface Press {
  label: string;
  act(): void;
  /** It is held for so long before it acts: what cannot be undone is not done by a slip. */
  hold_ms?: number;
  isOn?: boolean;
  isOff?: boolean;
  tone?: Tone;
}

export type Line =
  | { kind: "title"; text: string; note?: string; tone?: Tone }
  | { kind: "text"; text: string; tone?: Tone }
  | { kind: "value"; name: string; value: string; note?: string; tone?: Tone; press?: Press }
  | { kind: "buttons"; buttons: readonly Press[] }
  /** `key` tells whether it has changed; 0 … 1 across where it is pressed. */
  | { kind: "picture"; key: string; height_px: number; draw(pen: CanvasRenderingContext2D, width: number, height: number): void; press?(across: number): void };

/** A place that can be pressed, in pixels of the canvas. */
interface Area {
  x: number;
  y: number;
  w: number;
  h: number;
  press: Press | null;
  across: ((part: number) => void) | null;
}

export interface SlateHit {
  /** Along the ray, in the ray's own metres; infinite: the ray does not meet it. */
  distance_m: number;
  /** Which area; −1: none, but the panel itself. */
  area: number;
  across: number;
}

const W = 720;
const H_MAX = 1120;
const PAD = 28;
const GAP = 10;

export class Slate {
  readonly object = new Group();
  /** Called by what it shows: asks for what to show now. */
  readonly name: string;
  readonly #width_m: number;
  readonly #canvas = document.createElement("canvas");
  readonly #pen: CanvasRenderingContext2D;
  readonly #texture: CanvasTexture;
  readonly #face: Mesh<PlaneGeometry, MeshBasicMaterial>;
  readonly #glow: Mesh<PlaneGeometry, MeshBasicMaterial>;
  readonly #bar: Mesh<PlaneGeometry, MeshBasicMaterial>;
  #areas: Area[] = [];
  #lines: readonly Line[] = [];
  #shown = "";
  #height_px = 1;
  #hovered = -1;
  /** How often it was drawn: what stands still costs nothing. */
  nDrawn = 0;
  readonly #inverse = new Matrix4();
  readonly #ray = new Ray();
  readonly #hit: SlateHit = { distance_m: Infinity, area: -1, across: 0 };
  readonly #point = new Vector3();

  /** `isAlwaysSeen`: nothing that stands in between hides it. */
  constructor(name: string, width_m: number, isAlwaysSeen = false) {
    this.name = name;
    this.#width_m = width_m;
    this.#canvas.width = W;
    this.#canvas.height = H_MAX;
    const pen = this.#canvas.getContext("2d");
    if (pen === null) throw new Error("this browser draws no text on a canvas");
    this.#pen = pen;
    this.#texture = new CanvasTexture(this.#canvas);
    this.#texture.colorSpace = SRGBColorSpace;
    this.#texture.anisotropy = 4;
    this.#texture.minFilter = LinearMipmapLinearFilter;
    this.#texture.magFilter = LinearFilter;
    const flat = new PlaneGeometry(1, 1);
    const plain = (color: number, opacity: number): MeshBasicMaterial =>
      new MeshBasicMaterial({ color, opacity, transparent: true, toneMapped: false, fog: false, depthWrite: false });
    this.#face = new Mesh(flat, new MeshBasicMaterial({ map: this.#texture, transparent: true, toneMapped: false, fog: false, alphaTest: 0.02, depthTest: !isAlwaysSeen }));
    this.#glow = new Mesh(flat, plain(0xffffff, 0.14));
    this.#bar = new Mesh(flat, plain(0x57c7f2, 0.55));
    this.#face.renderOrder = 30;
    this.#glow.renderOrder = this.#bar.renderOrder = 31;
    this.#glow.visible = this.#bar.visible = false;
    this.object.add(this.#face, this.#glow, this.#bar);
    this.object.visible = false;
  }

  get isShown(): boolean {
    return this.object.visible;
  }

  get height_m(): number {
    return (this.#height_px / W) * this.#width_m;
  }

  /** Shows lines; draws only if they say something else than before. */
  show(lines: readonly Line[]): void {
    this.#lines = lines;
    const said = JSON.stringify(lines);
    const isNew = said !== this.#shown;
    this.#shown = said;
    if (isNew) this.#draw();
    else this.#lay(false); // What a press does may be another, though it looks the same.
  }

  /** All that is written on it, for tests. */
  said(): string {
    const words: string[] = [];
    for (const line of this.#lines) {
      if (line.kind === "buttons") words.push(line.buttons.map(({ label, isOn, isOff }) => `[${label}${isOn ? " *" : ""}${isOff ? " -" : ""}]`).join(" "));
      else if (line.kind === "value") words.push([line.name, line.value, line.note].filter(Boolean).join(" "));
      else if (line.kind === "picture") words.push(`(${line.key})`);
      else words.push([line.text, line.kind === "title" ? line.note : ""].filter(Boolean).join(" "));
    }
    return words.join("\n");
  }

  /** Where a button is, in the world; null: there is none of that name. */
  place(label: string, out: Vector3): Vector3 | null {
    const area = this.#areas.find(({ press }) => press?.label === label);
    if (area === undefined) return null;
    this.#middle(area, out);
    return this.object.localToWorld(out);
  }

  /** The name of what can be pressed at a place; "": nothing. */
  labelOf(at: number): string {
    return this.#areas[at]?.press?.label ?? "";
  }

  // --- rays ----------------------------------------------------------------------------------------

  /** Where a ray of the world meets it. The answer is good until the next call. */
  meets(ray: Ray): SlateHit {
    const hit = this.#hit;
    hit.distance_m = Infinity;
    hit.area = -1;
    if (!this.object.visible) return hit;
    this.#ray.copy(ray).applyMatrix4(this.#inverse.copy(this.object.matrixWorld).invert());
    const { origin, direction } = this.#ray;
    if (direction.z >= -1e-6 || origin.z <= 0) return hit; // From behind it is nothing.
    const along = -origin.z / direction.z;
    const point = this.#point.copy(direction).multiplyScalar(along).add(origin);
    const x = (point.x / this.#width_m + 0.5) * W;
    const y = (0.5 - point.y / this.height_m) * this.#height_px;
    if (x < 0 || x > W || y < 0 || y > this.#height_px) return hit;
    point.applyMatrix4(this.object.matrixWorld);
    hit.distance_m = point.distanceTo(ray.origin);
    hit.area = this.#areas.findIndex((area) => x >= area.x && x <= area.x + area.w && y >= area.y && y <= area.y + area.h);
    const area = this.#areas[hit.area];
    hit.across = area === undefined ? 0 : (x - area.x) / area.w;
    return hit;
  }

  /** Lights up what would be pressed; −1: nothing. True if that is another than before. */
  hover(at: number): boolean {
    if (at === this.#hovered) return false;
    this.#hovered = at;
    const area = this.#areas[at];
    this.#glow.visible = area !== undefined && area.press?.isOff !== true;
    if (area !== undefined) this.#lie(this.#glow, area, 1);
    return this.#glow.visible;
  }

  /** How long a place has to be held; 0: a press is enough. Undefined: nothing can be pressed there. */
  holdOf(at: number): number | undefined {
    const area = this.#areas[at];
    if (area === undefined || area.press?.isOff === true) return undefined;
    return area.press?.hold_ms ?? 0;
  }

  /** Whether it matters where along it it is pressed, so that it can be dragged. */
  isBar(at: number): boolean {
    return this.#areas[at]?.across != null;
  }

  /** How far holding has come, 0 … 1. */
  setHeld(at: number, part: number): void {
    const area = this.#areas[at];
    this.#bar.visible = area !== undefined && part > 0;
    if (area !== undefined && part > 0) this.#lie(this.#bar, area, part);
  }

  press(at: number, across: number): void {
    const area = this.#areas[at];
    if (area === undefined || area.press?.isOff === true) return;
    if (area.across !== null) area.across(across);
    else area.press?.act();
  }

  #middle(area: Area, out: Vector3): Vector3 {
    const scale = this.#width_m / W;
    return out.set((area.x + area.w / 2 - W / 2) * scale, (this.#height_px / 2 - area.y - area.h / 2) * scale, 0);
  }

  #lie(mesh: Mesh, area: Area, part: number): void {
    const scale = this.#width_m / W;
    this.#middle(area, mesh.position);
    mesh.position.x -= (area.w * (1 - part) * scale) / 2;
    mesh.position.z = 0.002;
    mesh.scale.set(area.w * part * scale, area.h * scale, 1);
  }

  // --- drawing -------------------------------------------------------------------------------------

  #draw(): void {
    const pen = this.#pen;
    this.#height_px = Math.min(this.#lay(false) + PAD, H_MAX);
    pen.clearRect(0, 0, W, H_MAX);
    rounded(pen, 1, 1, W - 2, this.#height_px - 2, 26, COLORS.back, COLORS.edge);
    this.#lay(true);
    this.nDrawn += 1;
    this.#texture.needsUpdate = true;
    const part = this.#height_px / H_MAX;
    this.#texture.repeat.set(1, part);
    this.#texture.offset.set(0, 1 - part);
    this.#face.scale.set(this.#width_m, this.height_m, 1);
    this.#hovered = -1;
    this.#glow.visible = false;
  }

  /** Lays lines out from top to bottom; returns where they end. */
  #lay(isDrawn: boolean): number {
    const areas: Area[] = [];
    let y = PAD;
    for (const line of this.#lines) {
      if (y > H_MAX - PAD * 2) break; // Whoever shows more than fits gives it in pages.
      switch (line.kind) {
        case "title":
          y = this.#title(line, y, isDrawn);
          break;
        case "text":
          y = this.#text(line, y, isDrawn);
          break;
        case "value":
          y = this.#value(line, y, isDrawn, areas);
          break;
        case "buttons":
          y = this.#buttons(line.buttons, y, isDrawn, areas);
          break;
        case "picture":
          y = this.#picture(line, y, isDrawn, areas);
          break;
      }
    }
    this.#areas = areas;
    return y;
  }

  #title(line: Extract<Line, { kind: "title" }>, y: number, isDrawn: boolean): number {
    const pen = this.#pen;
    if (isDrawn) {
      pen.font = `650 36px ${FONT}`;
      paint(pen, clip(pen, line.text, W - PAD * 2), PAD, y + 34, line.tone ?? "plain");
      if (line.note) {
        pen.font = `450 24px ${FONT}`;
        paint(pen, clip(pen, line.note, W - PAD * 2), PAD, y + 68, "dim");
      }
    }
    return y + (line.note ? 84 : 50) + GAP;
  }

  #text(line: Extract<Line, { kind: "text" }>, y: number, isDrawn: boolean): number {
    const pen = this.#pen;
    pen.font = `450 26px ${FONT}`;
    const rows = wrap(pen, line.text, W - PAD * 2);
    if (isDrawn) rows.forEach((row, i) => paint(pen, row, PAD, y + 26 + i * 34, line.tone ?? "plain"));
    return y + rows.length * 34 + GAP;
  }

  #value(line: Extract<Line, { kind: "value" }>, y: number, isDrawn: boolean, areas: Area[]): number {
    const pen = this.#pen;
    const h = line.note ? 78 : 52;
    const { press } = line;
    if (isDrawn) {
      if (press?.isOn) rounded(pen, PAD - 14, y, W - PAD * 2 + 28, h, 12, COLORS.chosen, null);
      pen.font = `620 30px ${FONT}`;
      const room = pen.measureText(line.value).width;
      const least = Math.min(room, W * 0.55);
      pen.textAlign = "right";
      paint(pen, clip(pen, line.value, W * 0.55), W - PAD, y + 36, line.tone ?? "plain");
      pen.textAlign = "left";
      pen.font = `450 26px ${FONT}`;
      paint(pen, clip(pen, line.name, W - PAD * 2 - least - 20), PAD, y + 35, "soft");
      if (line.note) {
        pen.font = `450 21px ${FONT}`;
        paint(pen, clip(pen, line.note, W - PAD * 2), PAD, y + 64, line.tone === undefined || line.tone === "plain" ? "dim" : line.tone);
      }
      pen.fillStyle = COLORS.line;
      pen.fillRect(PAD, y + h + GAP / 2 - 1, W - PAD * 2, 1);
    }
    if (press !== undefined) areas.push({ x: PAD - 14, y, w: W - PAD * 2 + 28, h, press, across: null });
    return y + h + GAP;
  }

  #buttons(buttons: readonly Press[], y: number, isDrawn: boolean, areas: Area[]): number {
    const pen = this.#pen;
    const h = 64;
    const w = (W - PAD * 2 - GAP * (buttons.length - 1)) / Math.max(buttons.length, 1);
    buttons.forEach((press, i) => {
      const x = PAD + i * (w + GAP);
      areas.push({ x, y, w, h, press, across: null });
      if (!isDrawn) return;
      const back = press.isOff ? COLORS.off : press.isOn ? COLORS.on : press.hold_ms ? COLORS.hold : COLORS.button;
      rounded(pen, x, y, w, h, 14, back, press.hold_ms && !press.isOff ? COLORS.accent : null);
      pen.font = `560 26px ${FONT}`;
      pen.textAlign = "center";
      paint(pen, clip(pen, press.label, w - 16), x + w / 2, y + 41, press.isOff ? "dim" : press.tone ?? "plain");
      pen.textAlign = "left";
    });
    return y + h + GAP;
  }

  #picture(line: Extract<Line, { kind: "picture" }>, y: number, isDrawn: boolean, areas: Area[]): number {
    const pen = this.#pen;
    if (isDrawn) {
      pen.save();
      pen.translate(PAD, y);
      line.draw(pen, W - PAD * 2, line.height_px);
      pen.restore();
    }
    if (line.press !== undefined) {
      const label = line.key.split(" ")[0] ?? "";
      areas.push({ x: PAD, y, w: W - PAD * 2, h: line.height_px, press: { label, act: () => {} }, across: line.press });
    }
    return y + line.height_px + GAP;
  }

  dispose(): void {
    this.#texture.dispose();
    this.#face.geometry.dispose();
    for (const mesh of [this.#face, this.#glow, this.#bar]) mesh.material.dispose();
    this.object.removeFromParent();
  }
}

