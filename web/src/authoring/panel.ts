/** The panel of notes and tasks: the lists, one note with all that is on it, and undo. */

import type { Mirror } from "../mirror.ts";
import { button, h, iconButton, segmented, setAttr, setText } from "../panels/dom.ts";
import { icon } from "../panels/icons.ts";
import { t } from "../words.ts";
import type { Book, NoteRef } from "./book.ts";
import type { AuthorLine } from "./line.ts";
import { NoteView, type NoteActs, when } from "./note_view.ts";
import { TaskBoard } from "./tasks.ts";

type Tab = "notes" | "tasks";

export interface PanelActs extends NoteActs {
  /** Begins to put a new note somewhere in the scene, or on the twin that is selected. */
  placeNote(): void;
  close(): void;
}

export class AuthorPanel {
  readonly element: HTMLElement;
  readonly #mirror: Mirror;
  readonly #book: Book;
  readonly #line: AuthorLine;
  readonly #acts: PanelActs;
  readonly #body = h("div", { class: "author-body" });
  readonly #state = h("p", { class: "author-state", role: "status", hidden: true });
  readonly #undo: HTMLButtonElement;
  readonly #redo: HTMLButtonElement;
  readonly #add: HTMLButtonElement;
  readonly #tabs: { element: HTMLElement; set(tab: Tab): void };
  readonly #board: TaskBoard;
  #view: NoteView | null = null;
  #tab: Tab = "notes";
  #only: ReadonlySet<string> | null = null;
  #isDue = false;

  constructor(mirror: Mirror, book: Book, line: AuthorLine, acts: PanelActs) {
    this.#mirror = mirror;
    this.#book = book;
    this.#line = line;
    this.#acts = acts;
    this.#board = new TaskBoard(mirror, book, line, acts);
    this.#undo = iconButton("undo", t("Take my last change back (Ctrl+Z)"), () => this.undo());
    this.#redo = iconButton("redo", t("Do it again (Ctrl+Shift+Z)"), () => this.redo());
    this.#add = button(t("New note"), () => (this.#tab === "notes" ? acts.placeNote() : this.#board.add()), "primary", "plus");
    this.#tabs = segmented<Tab>(t("What is shown"), [["notes", t("Notes")], ["tasks", t("Tasks")]], "notes", (tab) => this.show(tab));
    this.element = h(
      "aside",
      { class: "author-panel", id: "authoring", hidden: true, attrs: { "aria-label": t("Notes and tasks") }, on: { keydown: (event) => this.#key(event) } },
      h("div", { class: "author-head" }, this.#tabs.element, h("span", { class: "grow" }), this.#undo, this.#redo, iconButton("close", t("Close"), () => acts.close())),
      this.#state,
      this.#body,
      h("div", { class: "author-foot" }, this.#add),
    );
    mirror.on("selection", () => this.refresh());
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  get shown(): NoteRef | null {
    return this.#view?.ref ?? null;
  }

  open(): void {
    this.element.hidden = false;
    this.#build();
  }

  close(): void {
    this.#leave();
    this.element.hidden = true;
  }

  show(tab: Tab): void {
    this.#leave();
    this.#only = null;
    this.#tab = tab;
    this.#tabs.set(tab);
    this.#build();
  }

  /** One note, or those of a pin that stands for several. */
  showNotes(refs: readonly { twin: string; id: string }[]): void {
    this.#tab = "notes";
    this.#tabs.set("notes");
    this.#leave();
    this.#only = refs.length > 1 ? new Set(refs.map((ref) => ref.id)) : null;
    const [first] = refs;
    if (refs.length === 1 && first !== undefined) {
      this.#view = new NoteView(this.#mirror, this.#book, this.#line, this.#acts, first, () => this.show("notes"));
    }
    this.open();
    this.#view?.focus();
  }

  /** Something has changed; many changes at once are one painting. */
  refresh(): void {
    if (this.#isDue || !this.isOpen) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      if (this.isOpen) this.#build();
    });
  }

  undo(): void {
    this.#line.undo();
    this.refresh();
  }

  redo(): void {
    this.#line.redo();
    this.refresh();
  }

  #leave(): void {
    this.#view?.close();
    this.#view = null;
  }

  #key(event: KeyboardEvent): void {
    if (event.key === "Escape") {
      event.stopPropagation();
      if (this.#view !== null) this.show("notes");
      else this.#acts.close();
    }
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    event.preventDefault();
    event.shiftKey ? this.redo() : this.undo();
  }

  #build(): void {
    const { state, open, mayWrite } = this.#line;
    this.#undo.disabled = !this.#line.canUndo;
    this.#redo.disabled = !this.#line.canRedo;
    this.#undo.hidden = this.#redo.hidden = this.#add.hidden = !mayWrite;
    setText(this.#add.lastElementChild!, this.#tab === "notes" ? t("New note") : t("New task"));
    const said = state === "lost" ? (open > 0 ? t("No line to the server: what you write is kept here and sent later.") : t("No line to the server: you see what was here last.")) : "";
    this.#state.hidden = said === "";
    setText(this.#state, said);
    setAttr(this.element, "data-open", String(open));
    if (this.#view !== null) {
      if (!this.#view.refresh()) {
        this.#leave();
        this.#build();
      } else if (this.#body.firstElementChild !== this.#view.element) this.#body.replaceChildren(this.#view.element);
      return;
    }
    if (this.#tab === "tasks") {
      this.#board.refresh();
      if (this.#body.firstElementChild !== this.#board.element) this.#body.replaceChildren(this.#board.element);
      return;
    }
    this.#body.replaceChildren(this.#list());
  }

  #list(): HTMLElement {
    const selected = this.#mirror.selected;
    const all = this.#book.notes().filter((ref) => this.#only === null || this.#only.has(ref.id));
    const notes = [...all.filter((ref) => ref.twin === selected), ...all.filter((ref) => ref.twin !== selected)];
    if (notes.length === 0) {
      return h("div", { class: "author-none" }, icon("note"), h("p", {}, t("Nobody has written anything yet.")), h("p", { class: "hint" }, this.#line.mayWrite ? t("New note, then a click on a part: the note stays there and follows it.") : t("Who may write here: operators, engineers and the owner.")));
    }
    return h("ul", { class: "author-list" }, ...notes.slice(0, 300).map((ref) => this.#row(ref)));
  }

  #row(ref: NoteRef): HTMLElement {
    const { note } = ref;
    const parts = [
      Object.keys(note.photos ?? {}).length > 0 && t("{n} photos", { n: Object.keys(note.photos ?? {}).length }),
      Object.keys(note.strokes ?? {}).length > 0 && t("drawn on"),
      Object.keys(note.replies ?? {}).length > 0 && t("{n} replies", { n: Object.keys(note.replies ?? {}).length }),
    ].filter(Boolean);
    return h(
      "li",
      {},
      h(
        "button",
        { class: `author-row${note.is_done ? " done" : ""}${ref.twin === this.#mirror.selected ? " here" : ""}`, attrs: { type: "button" }, on: { click: () => this.#acts.choose([ref]) } },
        h("span", { class: "author-row-text" }, note.text.trim() || t("(no text)")),
        h("span", { class: "author-row-about" }, h("b", {}, this.#mirror.nameOf(ref.twin)), ` · ${note.author} · ${when(note.created)}`, parts.length > 0 && ` · ${parts.join(", ")}`),
      ),
    );
  }
}
