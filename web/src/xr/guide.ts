/** A tour as a panel in the room: the words of a stop, on, back and the end. Who plays it is the page's own player. */

import type { Tours } from "../tours/index.ts";
import { t } from "../words.ts";
import type { Line, Press } from "./slate.ts";

/** Letters of a stop's text that one reads on one page of the panel. */
const LETTERS = 520;

export class Guide {
  readonly #tours: Tours | null;
  #part = 0;
  #at = "";

  constructor(tours: Tours | null) {
    this.#tours = tours;
  }

  get isOn(): boolean {
    return this.#tours?.player.stop != null;
  }

  names(): readonly string[] {
    return this.#tours?.names() ?? [];
  }

  play(name: string): void {
    this.#tours?.play(name);
  }

  close(): void {
    this.#tours?.player.close();
  }

  lines(): Line[] {
    const player = this.#tours?.player;
    const stop = player?.stop;
    if (player === undefined || stop == null) return [];
    const { name, index, n, title, text, missing } = stop;
    const at = `${name} ${index}`;
    if (at !== this.#at) this.#part = 0;
    this.#at = at;
    const parts = partsOf(text);
    const more: Press[] = parts.length > 1 ? [{ label: t("Read on ({part} of {parts})", { part: this.#part + 1, parts: parts.length }), act: () => void (this.#part = (this.#part + 1) % parts.length) }] : [];
    const lines: Line[] = [
      { kind: "title", text: title || name, note: n === 0 ? name : t("{name} · step {i} of {n}", { name, i: index + 1, n }) },
      { kind: "text", text: parts[this.#part] ?? "" },
    ];
    if (missing) lines.push({ kind: "text", text: missing, tone: "uncertain" });
    if (more.length > 0) lines.push({ kind: "buttons", buttons: more });
    lines.push({ kind: "buttons", buttons: [
      { label: t("Back"), isOff: !stop.hasBack, act: () => player.step(-1) },
      { label: t("Next"), isOff: !stop.hasNext, tone: "accent", act: () => player.step(1) },
      { label: t("End"), act: () => player.close() },
    ] });
    return lines;
  }
}

/** A text in pages, cut where words end. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  let part = "";
  for (const word of text.split(/\s+/)) {
    if (part !== "" && part.length + word.length >= LETTERS) {
      parts.push(part);
      part = "";
    }
    part += part === "" ? word : ` ${word}`;
  }
  return [...parts, part];
}
