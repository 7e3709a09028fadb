/** Tasks in columns by their state: title, owner, date; a change is everybody's at once. */

import type { Mirror } from "../mirror.ts";
import { h, iconButton } from "../panels/dom.ts";
import { t } from "../words.ts";
import { type Book, TASK_STATES, type TaskRef, type TaskState } from "./book.ts";
import type { AuthorLine } from "./line.ts";
import { type NoteActs, when } from "./note_view.ts";

export class TaskBoard {
  readonly element = h("div", { class: "author-board" });
  readonly #mirror: Mirror;
  readonly #book: Book;
  readonly #line: AuthorLine;
  readonly #acts: NoteActs;
  #added = "";

  constructor(mirror: Mirror, book: Book, line: AuthorLine, acts: NoteActs) {
    this.#mirror = mirror;
    this.#book = book;
    this.#line = line;
    this.#acts = acts;
  }

  /** A new task about the twin that is selected, else about the first of the world. */
  add(): void {
    const twin = this.#mirror.selected ?? this.#mirror.roots()[0];
    if (twin === undefined) return;
    this.#added = this.#book.addTask(twin, "");
    this.refresh();
  }

  refresh(): void {
    const focused = document.activeElement;
    // Where somebody types nothing is built anew under their hands.
    if (focused instanceof HTMLInputElement && this.element.contains(focused) && this.#added === "") return;
    const tasks = this.#book.tasks();
    const columns = TASK_STATES.filter((state) => state !== "dropped" || tasks.some(({ task }) => task.state === "dropped"));
    this.element.replaceChildren(
      ...columns.map((state) => {
        const here = tasks.filter(({ task }) => (task.state ?? "open") === state);
        return h("section", { class: "author-column" }, h("h3", {}, stateName(state), h("span", { class: "num" }, String(here.length))), h("ul", {}, ...here.map((ref) => this.#card(ref))));
      }),
    );
    if (tasks.length === 0) this.element.append(h("p", { class: "hint" }, t("A task is about a part: select one, then New task.")));
    const added = this.element.querySelector<HTMLInputElement>(`[data-task="${this.#added}"] input`);
    if (this.#added !== "" && added !== null) added.focus();
    this.#added = "";
  }

  #card({ twin, id, task }: TaskRef): HTMLElement {
    const isFixed = !this.#line.mayWrite;
    const field = (name: "title" | "owner" | "due", label: string, type = "text"): HTMLInputElement =>
      h("input", {
        class: `input author-${name}`,
        attrs: { type, value: task[name] ?? "", maxlength: 300, "aria-label": label, placeholder: label, readonly: isFixed },
        on: {
          change: (event) => this.#book.setTask(twin, id, { [name]: (event.currentTarget as HTMLInputElement).value.trim() }),
          blur: () => requestAnimationFrame(() => this.refresh()),
          keydown: (event) => {
            event.stopPropagation();
            if (event.key === "Enter") (event.currentTarget as HTMLElement).blur();
          },
        },
      });
    const state = h(
      "select",
      { class: "input author-task-state", attrs: { "aria-label": t("State"), disabled: isFixed }, on: { change: (event) => this.#book.setTask(twin, id, { state: (event.currentTarget as HTMLSelectElement).value as TaskState }) } },
      ...TASK_STATES.map((each) => h("option", { attrs: { value: each, selected: each === (task.state ?? "open") } }, stateName(each))),
    );
    const note = task.note ? this.#book.note(twin, task.note) : undefined;
    return h(
      "li",
      { class: "author-card", attrs: { "data-task": id } },
      field("title", t("What is to be done")),
      h(
        "div",
        { class: "author-card-about" },
        h("button", { class: "author-twin", attrs: { type: "button" }, on: { click: () => (note === undefined ? this.#mirror.select(twin) : this.#acts.choose([note])) } }, this.#mirror.nameOf(twin)),
        h("span", {}, `${task.author} · ${when(task.created)}`),
      ),
      h("div", { class: "author-card-fields" }, state, field("owner", t("Who does it")), field("due", t("Due"), "date"), !isFixed && iconButton("close", t("Delete the task"), () => this.#book.remove(twin, "tasks", id), "small")),
    );
  }
}

export function stateName(state: TaskState): string {
  return { open: t("Open"), doing: t("In work"), done: t("Done"), dropped: t("Dropped") }[state];
}
