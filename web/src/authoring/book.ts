/** Notes and tasks as the page knows them: read from the documents, and changed in them. */

import * as Y from "yjs";
import type { Note, Photo, Reply, Stroke, Task } from "../protocol.ts";
import type { AuthorLine } from "./line.ts";

export interface NoteRef {
  readonly twin: string;
  readonly id: string;
  readonly note: Note;
}

export interface TaskRef {
  readonly twin: string;
  readonly id: string;
  readonly task: Task;
}

export const TASK_STATES = ["open", "doing", "done", "dropped"] as const;
export type TaskState = (typeof TASK_STATES)[number];
export const TEXT_MAX = 20_000;

type Part = "strokes" | "photos" | "replies";

export class Book {
  readonly #line: AuthorLine;
  readonly #nowMs: () => number;
  /** Plain forms by twin, until the document changes. */
  readonly #notes = new Map<string, NoteRef[]>();
  readonly #tasks = new Map<string, TaskRef[]>();

  constructor(line: AuthorLine, nowMs: () => number) {
    this.#line = line;
    this.#nowMs = nowMs;
  }

  forget(twin: string): void {
    this.#notes.delete(twin);
    this.#tasks.delete(twin);
  }

  notesOf(twin: string): readonly NoteRef[] {
    return this.#of(twin, "notes", this.#notes, (id, plain) => ({ twin, id, note: plain as Note }));
  }

  tasksOf(twin: string): readonly TaskRef[] {
    return this.#of(twin, "tasks", this.#tasks, (id, plain) => ({ twin, id, task: plain as Task }));
  }

  /** All notes, the latest first. */
  notes(): NoteRef[] {
    return [...this.#line.twins()].flatMap((twin) => this.notesOf(twin)).sort((a, b) => b.note.created - a.note.created);
  }

  tasks(): TaskRef[] {
    return [...this.#line.twins()].flatMap((twin) => this.tasksOf(twin)).sort((a, b) => b.task.created - a.task.created);
  }

  note(twin: string, id: string): NoteRef | undefined {
    return this.notesOf(twin).find((each) => each.id === id);
  }

  /** Whether one may take something away: one's own. Engineers may take away more; see `remove`. */
  isMine(entry: { author: string }): boolean {
    return entry.author === this.#line.me;
  }

  addNote(twin: string, at: readonly [number, number, number], text = ""): string {
    const id = newId();
    const note = new Y.Map<unknown>();
    this.#line.change(twin, () => {
      for (const [key, value] of Object.entries({ ...this.#signed(), at: at.map((x) => Math.round(x * 1000) / 1000), is_done: false })) note.set(key, value);
      note.set("text", new Y.Text(text));
      for (const part of ["strokes", "photos", "replies"]) note.set(part, new Y.Map());
      this.#line.map(twin, "notes").set(id, note);
    });
    return id;
  }

  /** The shared text of a note, to be typed in. */
  text(twin: string, id: string): Y.Text | null {
    const text = this.#entry(twin, "notes", id)?.get("text");
    return text instanceof Y.Text ? text : null;
  }

  /** Types: puts a text in place of another, letter by letter where they differ. */
  type(twin: string, text: Y.Text, typed: string): void {
    const before = text.toString();
    if (before === typed) return;
    let start = 0;
    const shorter = Math.min(before.length, typed.length);
    while (start < shorter && before[start] === typed[start]) start++;
    if (start > 0 && isHalf(before.charCodeAt(start - 1))) start--; // never between two halves of one letter
    let end = 0;
    while (end < shorter - start && before[before.length - 1 - end] === typed[typed.length - 1 - end]) end++;
    if (end > 0 && !isHalf(before.charCodeAt(before.length - 1 - end)) && isLowHalf(before.charCodeAt(before.length - end))) end--;
    this.#line.change(twin, () => {
      if (before.length - end > start) text.delete(start, before.length - end - start);
      if (typed.length - end > start) text.insert(start, typed.slice(start, typed.length - end));
    });
  }

  setDone(twin: string, id: string, isDone: boolean): void {
    this.#line.change(twin, () => this.#entry(twin, "notes", id)?.set("is_done", isDone));
  }

  addStroke(twin: string, id: string, points: readonly number[], colour: number): void {
    this.#add(twin, id, "strokes", { ...this.#signed(), colour, points: [...points] } satisfies Stroke);
  }

  addPhoto(twin: string, id: string, sha256: string, name: string): void {
    this.#add(twin, id, "photos", { ...this.#signed(), sha256, name } satisfies Photo);
  }

  addReply(twin: string, id: string, text: string): void {
    this.#add(twin, id, "replies", { ...this.#signed(), text } satisfies Reply);
  }

  removePart(twin: string, id: string, part: Part, key: string, author: string): void {
    const parts = this.#entry(twin, "notes", id)?.get(part);
    if (parts instanceof Y.Map) this.#line.change(twin, () => parts.delete(key), author !== this.#line.me);
  }

  addTask(twin: string, title: string, note = ""): string {
    const id = newId();
    const task = new Y.Map<unknown>();
    this.#line.change(twin, () => {
      for (const [key, value] of Object.entries({ ...this.#signed(), title, owner: "", state: "open", due: "", note })) task.set(key, value);
      this.#line.map(twin, "tasks").set(id, task);
    });
    return id;
  }

  setTask(twin: string, id: string, said: Partial<Pick<Task, "title" | "owner" | "state" | "due">>): void {
    const task = this.#entry(twin, "tasks", id);
    if (task === undefined) return;
    this.#line.change(twin, () => {
      for (const [key, value] of Object.entries(said)) if (task.get(key) !== value) task.set(key, value);
    });
  }

  /** Takes a note or a task away. One's own comes back by undo; what others wrote does not. */
  remove(twin: string, root: "notes" | "tasks", id: string): void {
    const author = this.#entry(twin, root, id)?.get("author");
    this.#line.change(twin, () => this.#line.map(twin, root).delete(id), author !== this.#line.me);
  }

  #signed(): { author: string; created: number } {
    return { author: this.#line.me, created: Math.round(this.#nowMs()) };
  }

  #entry(twin: string, root: "notes" | "tasks", id: string): Y.Map<unknown> | undefined {
    const entry = this.#line.map(twin, root).get(id);
    return entry instanceof Y.Map ? entry : undefined;
  }

  #add(twin: string, id: string, part: Part, value: Stroke | Photo | Reply): void {
    const parts = this.#entry(twin, "notes", id)?.get(part);
    if (parts instanceof Y.Map) this.#line.change(twin, () => parts.set(newId(), value));
  }

  #of<T>(twin: string, root: "notes" | "tasks", kept: Map<string, T[]>, make: (id: string, plain: unknown) => T): readonly T[] {
    let found = kept.get(twin);
    if (found === undefined) {
      found = this.#line.has(twin) ? Object.entries(this.#line.map(twin, root).toJSON()).map(([id, plain]) => make(id, plain)) : [];
      kept.set(twin, found);
    }
    return found;
  }
}

/** 72 bits of chance, in letters that are safe everywhere. */
function newId(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(9)))).replaceAll("+", "-").replaceAll("/", "_");
}

const isHalf = (code: number): boolean => code >= 0xd800 && code < 0xdc00;
const isLowHalf = (code: number): boolean => code >= 0xdc00 && code < 0xe000;
