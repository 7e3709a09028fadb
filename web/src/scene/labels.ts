/**
 * Names over twins: few, crisp, never on top of each other. Ordinary text, so that it stays sharp.
 *
 * Which twins get one is decided a few times a second, by weight and nearness; where they are is
 * updated in every frame. Knows no twin: it is told names and places.
 */

import { Matrix4, Vector3 } from "three";
import type { PerspectiveCamera } from "three";

const PHONE_MAX = 18;
const CHOOSE_MS = 140;
const CELL_PX = 26;

/** Where labels may be, by ordinal; weight 0: never. */
export interface Anchors {
  n: number;
  x: Float32Array;
  y: Float32Array;
  z: Float32Array;
  weight: Float32Array;
  /** Size of the thing, metres: small things far away need no name. */
  size: Float32Array;
}

export interface LabelTexts {
  name(ordinal: number): string;
  /** Key values, best first: name, value with unit, severity of its quality. */
  values(ordinal: number): { key: string; value: string; severity: 0 | 1 | 2 }[];
  alarm(ordinal: number): number;
  /** A word that the label always shows; "": none. */
  note(ordinal: number): string;
  /** A CSS colour for it; "": as notes are. */
  noteColour(ordinal: number): string;
}

interface Label {
  root: HTMLDivElement;
  name: HTMLDivElement;
  note: HTMLDivElement;
  values: HTMLDivElement;
  ordinal: number;
  text: string;
  /** Size as drawn, of labels that show values. */
  w: number;
  h: number;
}

export class Labels {
  isOn = true;
  /** How many at most. */
  max = 56;
  readonly #root: HTMLElement;
  readonly #texts: LabelTexts;
  readonly #free: Label[] = [];
  readonly #shown = new Map<number, Label>();
  #anchors: Anchors | null = null;
  #insets = { left: 0, right: 0, top: 0, bottom: 0 };
  #selected = -1;
  #hovered = -1;
  #chosenMs = -Infinity;
  #isStale = true;
  readonly #view = new Matrix4();
  readonly #point = new Vector3();

  constructor(root: HTMLElement, texts: LabelTexts) {
    this.#root = root;
    this.#texts = texts;
  }

  setAnchors(anchors: Anchors): void {
    this.#anchors = anchors;
    for (const label of this.#shown.values()) label.text = "";
    this.#isStale = true;
    this.#chosenMs = -Infinity;
  }

  setFocus(selected: number, hovered: number): void {
    if (selected === this.#selected && hovered === this.#hovered) return;
    this.#selected = selected;
    this.#hovered = hovered;
    this.#isStale = true;
    this.#chosenMs = -Infinity;
  }

  /** What panels cover, in CSS pixels: labels with values keep out of there. */
  setInsets(left: number, right: number, top: number, bottom: number): void {
    this.#insets = { left, right, top, bottom };
  }

  /** Values or alarms have changed: what is shown of them is written anew. */
  refresh(): void {
    for (const label of this.#shown.values()) this.#write(label);
  }

  /** Puts labels where they belong; true if another frame is wanted for it. */
  update(camera: PerspectiveCamera, w: number, h: number, nowMs: number, hasMoved: boolean): boolean {
    const anchors = this.#anchors;
    if (anchors === null) return false;
    this.#isStale ||= hasMoved;
    this.#view.multiplyMatrices(camera.projectionMatrix, camera.matrixWorldInverse);
    if (this.#isStale && nowMs - this.#chosenMs > CHOOSE_MS) {
      this.#choose(anchors, camera, w, h);
      this.#chosenMs = nowMs;
      this.#isStale = false;
    }
    for (const [ordinal, label] of this.#shown) this.#place(label, anchors, ordinal, w, h);
    return this.#isStale;
  }

  #choose(anchors: Anchors, camera: PerspectiveCamera, w: number, h: number): void {
    const scale = h / (2 * Math.tan((camera.fov * Math.PI) / 360));
    const candidates: { ordinal: number; x: number; y: number; score: number }[] = [];
    const e = this.#view.elements;
    const isPhone = w < 720;
    for (let i = 0; i < anchors.n; i++) {
      const isFocus = i === this.#selected || i === this.#hovered;
      const hasNote = this.#texts.note(i) !== "";
      if (!isFocus && !hasNote && (!this.isOn || anchors.weight[i]! <= 0)) continue;
      const x = anchors.x[i]!;
      const y = anchors.y[i]!;
      const z = anchors.z[i]!;
      const cw = e[3]! * x + e[7]! * y + e[11]! * z + e[15]!;
      if (cw < 0.3) continue;
      const sx = ((e[0]! * x + e[4]! * y + e[8]! * z + e[12]!) / cw) * 0.5 + 0.5;
      const sy = 0.5 - ((e[1]! * x + e[5]! * y + e[9]! * z + e[13]!) / cw) * 0.5;
      if (sx < -0.02 || sx > 1.02 || sy < -0.02 || sy > 1.02) continue;
      const size_px = (anchors.size[i]! * scale) / cw;
      const isAlarm = this.#texts.alarm(i) > 0;
      if (!isFocus && !isAlarm && !hasNote && size_px < (isPhone ? 46 : 34)) continue;
      const score =
        (i === this.#selected ? 1e9 : i === this.#hovered ? 5e8 : 0) +
        (isAlarm ? 1e6 : 0) +
        (hasNote ? 1e5 : 0) +
        (this.#shown.has(i) ? 1.25 : 1) * anchors.weight[i]! * size_px;
      candidates.push({ ordinal: i, x: sx * w, y: sy * h, score });
    }
    candidates.sort((a, b) => b.score - a.score || a.ordinal - b.ordinal);
    const taken = new Set<number>();
    const columns = Math.ceil(w / CELL_PX) + 2;
    const keep = new Set<number>();
    for (const candidate of candidates) {
      if (keep.size >= (isPhone ? Math.min(PHONE_MAX, this.max) : this.max)) break;
      const isFocus = candidate.ordinal === this.#selected || candidate.ordinal === this.#hovered;
      const note = this.#texts.note(candidate.ordinal);
      const rows = (isFocus ? 1 + Math.min(this.#texts.values(candidate.ordinal).length, 4) : 1) + (note === "" ? 0 : note.split("\n").length);
      const letters = Math.max(this.#texts.name(candidate.ordinal).length, ...note.split("\n").map((line) => line.length));
      const halfW = isFocus ? 90 : Math.min(letters * 3.5 + 12, 130);
      const x0 = Math.floor((candidate.x - halfW) / CELL_PX);
      const x1 = Math.floor((candidate.x + halfW) / CELL_PX);
      const y1 = Math.floor(candidate.y / CELL_PX);
      const y0 = y1 - rows;
      const cells: number[] = [];
      for (let cy = y0; cy <= y1; cy++) for (let cx = x0; cx <= x1; cx++) cells.push(cy * columns + cx);
      if (!isFocus && cells.some((cell) => taken.has(cell))) continue;
      for (const cell of cells) taken.add(cell);
      keep.add(candidate.ordinal);
    }
    for (const [ordinal, label] of this.#shown) {
      if (keep.has(ordinal)) continue;
      label.root.classList.remove("shown", "full", "selected");
      this.#shown.delete(ordinal);
      this.#free.push(label);
    }
    for (const ordinal of keep) {
      let label = this.#shown.get(ordinal);
      if (label === undefined) {
        label = this.#free.pop() ?? this.#make();
        label.ordinal = ordinal;
        label.text = "";
        this.#shown.set(ordinal, label);
      }
      this.#write(label);
      label.root.classList.add("shown");
    }
  }

  #write(label: Label): void {
    const { ordinal, root } = label;
    const isSelected = ordinal === this.#selected;
    const isFull = isSelected || ordinal === this.#hovered;
    root.classList.toggle("full", isFull);
    root.classList.toggle("selected", isSelected);
    const alarm = String(this.#texts.alarm(ordinal));
    if (root.dataset["alarm"] !== alarm) root.dataset["alarm"] = alarm;
    if (label.text === "") {
      label.text = this.#texts.name(ordinal);
      label.name.textContent = label.text;
    }
    const note = this.#texts.note(ordinal);
    setText(label.note, note);
    label.note.hidden = note === "";
    if (note !== "") label.note.style.color = this.#texts.noteColour(ordinal);
    root.classList.toggle("noted", note !== "");
    if (!isFull) return;
    const values = this.#texts.values(ordinal).slice(0, 4);
    while (label.values.children.length > values.length * 2) label.values.lastChild!.remove();
    while (label.values.children.length < values.length * 2) {
      const span = document.createElement("span");
      span.className = label.values.children.length % 2 === 0 ? "key" : "value";
      label.values.append(span);
    }
    values.forEach(({ key, value, severity }, i) => {
      setText(label.values.children[i * 2]!, key);
      const node = label.values.children[i * 2 + 1]!;
      setText(node, value);
      const name = severity === 2 ? "value bad" : severity === 1 ? "value uncertain" : "value";
      if (node.className !== name) node.className = name;
    });
    label.w = root.offsetWidth;
    label.h = root.offsetHeight;
  }

  #place(label: Label, anchors: Anchors, ordinal: number, w: number, h: number): void {
    this.#point.set(anchors.x[ordinal]!, anchors.y[ordinal]!, anchors.z[ordinal]!).applyMatrix4(this.#view);
    const isBehind = this.#point.z > 1 || this.#point.z < -1;
    let x = (this.#point.x * 0.5 + 0.5) * w;
    let y = (0.5 - this.#point.y * 0.5) * h;
    if (ordinal === this.#selected || ordinal === this.#hovered) {
      const { left, right, top, bottom } = this.#insets;
      const isNear = x > left - label.w && x < w - right + label.w;
      if (isNear) x = Math.min(Math.max(x, left + label.w / 2 + 8), w - right - label.w / 2 - 8);
      if (y < h - bottom + label.h) y = Math.min(Math.max(y, top + label.h + 14), h - bottom - 8);
    }
    label.root.style.visibility = isBehind ? "hidden" : "visible";
    label.root.style.transform = `translate(${x.toFixed(1)}px, ${(y - 6).toFixed(1)}px) translate(-50%, -100%)`;
  }

  #make(): Label {
    const root = document.createElement("div");
    const name = document.createElement("div");
    const note = document.createElement("div");
    const values = document.createElement("div");
    note.className = "note";
    root.className = "label";
    name.className = "name";
    values.className = "values";
    root.append(name, note, values);
    this.#root.append(root);
    return { root, name, note, values, ordinal: -1, text: "", w: 0, h: 0 };
  }
}

function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}
