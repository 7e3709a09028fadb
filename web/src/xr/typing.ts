/**
 * Typing in the room: a panel of keys that rays press one by one, and what it is typed for: finding a
 * twin, or a note about one. Knows no hands and no places.
 */

import type { Id, Mirror } from "../mirror.ts";
import { namedLike } from "../panels/search.ts";
import type { TwinsPage } from "../protocol.ts";
import { language, t } from "../words.ts";
import type { Line, Press } from "./slate.ts";

const ROWS = language === "de" ? ["qwertzuiopü", "asdfghjklöä", "yxcvbnm,.-ß"] : ["qwertyuiop", "asdfghjkl", "zxcvbnm,.-'"];
const DIGITS = "1234567890";
const MARKS = ["!?%&/()=+*", "@#€$°²³µ§~", "<>[]{}|_\"'", ";:"];
const FOUND = 4;
const ASK_AFTER_MS = 200;
const LENGTH_MAX = 2000;
/** As much of what is typed as is seen at once. */
const SEEN = 220;

/** What is typed for. */
type For = { what: "search" } | { what: "note"; about: string; write(text: string): void };

export interface TypingActs {
  goTo(id: Id): void;
  close(): void;
}

export class Typing {
  text = "";
  readonly #mirror: Mirror;
  readonly #acts: TypingActs;
  #for: For | null = null;
  #isShifted = false;
  #hasMarks = false;
  #found: readonly Id[] = [];
  #timer = 0;
  #asked: AbortController | null = null;

  constructor(mirror: Mirror, acts: TypingActs) {
    this.#mirror = mirror;
    this.#acts = acts;
  }

  get isOn(): boolean {
    return this.#for !== null;
  }

  search(): void {
    this.#open({ what: "search" });
  }

  note(about: string, write: (text: string) => void): void {
    this.#open({ what: "note", about, write });
    this.#isShifted = true;
  }

  #open(what: For): void {
    this.close();
    this.#for = what;
  }

  close(): void {
    this.#for = null;
    this.text = "";
    this.#found = [];
    this.#isShifted = this.#hasMarks = false;
    window.clearTimeout(this.#timer);
    this.#asked?.abort();
  }

  lines(): Line[] {
    const wanted = this.#for;
    if (wanted === null) return [];
    const seen = this.text.length > SEEN ? `…${this.text.slice(-SEEN)}` : this.text;
    const lines: Line[] = [
      { kind: "title", text: wanted.what === "search" ? t("Search") : t("A note about {name}", { name: wanted.about }) },
      { kind: "text", text: `${seen}|`, tone: "accent" },
    ];
    if (wanted.what === "search") lines.push(...this.#results());
    lines.push(...this.#keys(wanted));
    return lines;
  }

  #results(): Line[] {
    if (this.text.trim() === "") return [{ kind: "text", text: t("Type some of a name; a press on what is found takes you there."), tone: "dim" }];
    if (this.#found.length === 0) return [{ kind: "text", text: t("Nothing is called “{query}”.", { query: this.text.trim() }), tone: "dim" }];
    return this.#found.map((id) => ({ kind: "value", name: this.#mirror.nameOf(id), value: id, press: { label: id, act: () => this.#go(id) } }));
  }

  #go(id: Id): void {
    this.#acts.close();
    this.#acts.goTo(id);
  }

  #keys(wanted: For): Line[] {
    const key = (letter: string): Press => ({ label: letter, act: () => this.#type(letter) });
    const rows = this.#hasMarks ? MARKS : [DIGITS, ...ROWS];
    const shown = rows.map((row): Line => ({ kind: "buttons", buttons: [...(this.#isShifted && !this.#hasMarks ? upper(row) : row)].map(key) }));
    const last: Press[] = [
      { label: "⇧", isOn: this.#isShifted, act: () => void (this.#isShifted = !this.#isShifted) },
      { label: this.#hasMarks ? "abc" : "?!#", isOn: this.#hasMarks, act: () => void (this.#hasMarks = !this.#hasMarks) },
      { label: t("Space"), act: () => this.#type(" ") },
      { label: "⌫", isOff: this.text === "", act: () => this.#set([...this.text].slice(0, -1).join("")) },
    ];
    const ends: Press[] = [{ label: t("Cancel"), act: () => this.#acts.close() }];
    if (wanted.what === "note")
      ends.push({ label: t("New line"), act: () => this.#type("\n") }, { label: t("Write it"), tone: "accent", isOff: this.text.trim() === "", act: () => this.#write(wanted.write) });
    else ends.push({ label: t("Clear"), isOff: this.text === "", act: () => this.#set("") });
    return [...shown, { kind: "buttons", buttons: last }, { kind: "buttons", buttons: ends }];
  }

  #write(write: (text: string) => void): void {
    const text = this.text.trim();
    this.#acts.close();
    write(text);
  }

  #type(letters: string): void {
    this.#set((this.text + letters).slice(0, LENGTH_MAX));
    this.#isShifted = this.#for?.what === "note" && /(^|[.!?]\s|\n)$/.test(this.text);
  }

  #set(text: string): void {
    this.text = text;
    if (this.#for?.what !== "search") return;
    const query = text.trim();
    window.clearTimeout(this.#timer);
    this.#asked?.abort();
    this.#found = query === "" ? [] : namedLike(this.#mirror, query).slice(0, FOUND);
    if (query !== "") this.#timer = window.setTimeout(() => void this.#ask(query), ASK_AFTER_MS);
  }

  /** The server's index knows texts beyond names; without a line what the page has must do. */
  async #ask(query: string): Promise<void> {
    const { signal } = (this.#asked = new AbortController());
    try {
      const page = await this.#mirror.rest.get<TwinsPage>("twins", { text: query, limit: FOUND }, signal);
      if (signal.aborted) return;
      const ids = page.twins.map(({ id }) => id).filter((id) => this.#mirror.twins.has(id));
      this.#found = [...new Set([...ids, ...this.#found])].slice(0, FOUND);
    } catch {
      // Names are found all the same.
    }
  }
}

/** In capitals; a letter that has none of its own length stays. */
function upper(row: string): string {
  return [...row].map((letter) => (letter.toUpperCase().length === 1 ? letter.toUpperCase() : letter)).join("");
}
