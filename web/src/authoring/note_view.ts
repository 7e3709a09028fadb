/** One note: its text, photos, drawing, replies, and what one can do with it. */

import type { Mirror } from "../mirror.ts";
import { button, h, iconButton, setAttr, setText } from "../panels/dom.ts";
import type { Attached } from "../protocol.ts";
import { apiUrl } from "../rest.ts";
import { t } from "../words.ts";
import { type Book, type NoteRef, TEXT_MAX } from "./book.ts";
import { openHistory } from "./history.ts";
import type { AuthorLine } from "./line.ts";
import { COLOURS } from "./pins.ts";
import { bindText, noteArea } from "./typing.ts";

const PHOTO_KINDS = "image/png,image/jpeg,image/webp";
const PHOTO_EDGE_PX = 2048;

export interface NoteActs {
  choose(refs: readonly NoteRef[]): void;
  /** Draws on the note's part until that is ended; null: it cannot be drawn here. */
  draw: ((ref: NoteRef, colour: () => number) => void) | null;
  endDrawing(): void;
  readonly isDrawing: boolean;
  failed(error: unknown): void;
  /** Flies to where the note is. */
  goTo(ref: NoteRef): void;
}

/** When something was written, as short as it can be said. */
export function when(ms: number): string {
  const then = new Date(ms);
  const isToday = then.toDateString() === new Date().toDateString();
  return then.toLocaleString(undefined, isToday ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

export class NoteView {
  readonly element: HTMLElement;
  readonly #book: Book;
  readonly #line: AuthorLine;
  readonly #acts: NoteActs;
  readonly #mirror: Mirror;
  readonly #area = noteArea(t("What is to be said about it?"), TEXT_MAX);
  readonly #about = h("p", { class: "author-about" });
  readonly #photos = h("div", { class: "author-photos" });
  readonly #replies = h("ol", { class: "author-replies" });
  readonly #tools = h("div", { class: "author-tools" });
  readonly #pens = h("div", { class: "author-pens", role: "group", hidden: true, attrs: { "aria-label": t("Colour") } });
  readonly #acting = h("div", { class: "author-acts" });
  readonly #reply: HTMLFormElement;
  readonly #letGo: () => void;
  #colour = 0;
  #progress = h("span", { class: "hint" });

  constructor(mirror: Mirror, book: Book, line: AuthorLine, acts: NoteActs, private readonly at: { twin: string; id: string }, back: () => void) {
    this.#mirror = mirror;
    this.#book = book;
    this.#line = line;
    this.#acts = acts;
    const { twin, id } = at;
    const text = book.text(twin, id);
    this.#letGo = text === null ? () => {} : bindText(this.#area, text, (typed) => book.type(twin, text, typed));
    this.#area.readOnly = !line.mayWrite;
    const answer = h("input", { class: "input", attrs: { type: "text", maxlength: 2_000, "aria-label": t("Reply"), placeholder: t("Reply") }, on: { keydown: (event) => event.stopPropagation() } });
    this.#reply = h(
      "form",
      {
        class: "author-reply",
        hidden: !line.mayWrite,
        on: {
          submit: (event) => {
            event.preventDefault();
            if (answer.value.trim() !== "") book.addReply(twin, id, answer.value.trim());
            answer.value = "";
          },
        },
      },
      answer,
      iconButton("send", t("Send the reply"), () => this.#reply.requestSubmit()),
    );
    this.element = h(
      "article",
      { class: "author-note" },
      h("div", { class: "author-note-head" }, iconButton("chevron", t("Back to all notes"), back, "back"), this.#about),
      this.#area,
      this.#photos,
      this.#tools,
      this.#pens,
      this.#replies,
      this.#reply,
      this.#acting,
    );
    this.#buildTools();
  }

  get ref(): NoteRef | null {
    return this.#book.note(this.at.twin, this.at.id) ?? null;
  }

  focus(): void {
    if (this.#line.mayWrite && this.#area.value === "") this.#area.focus();
  }

  close(): void {
    this.#acts.endDrawing();
    this.#letGo();
  }

  /** Shows it as it is now; false: it is no more. */
  refresh(): boolean {
    const { ref } = this;
    if (ref === null) return false;
    const { note } = ref;
    this.#about.replaceChildren(h("button", { class: "author-twin", attrs: { type: "button" }, on: { click: () => this.#acts.goTo(ref) } }, this.#mirror.nameOf(ref.twin)), h("span", {}, ` · ${note.author} · ${when(note.created)}`));
    this.#paintPhotos(ref);
    this.#paintReplies(ref);
    this.#paintActs(ref);
    this.#pens.hidden = !this.#acts.isDrawing;
    for (const [i, pen] of [...this.#pens.children].entries()) setAttr(pen, "aria-pressed", String(i === this.#colour));
    this.#tools.hidden = !this.#line.mayWrite;
    return true;
  }

  #buildTools(): void {
    const file = (capture: boolean): HTMLInputElement => {
      const input = h("input", { hidden: true, attrs: { type: "file", accept: PHOTO_KINDS, capture: capture ? "environment" : undefined }, on: { change: () => void this.#send(input) } });
      return input;
    };
    const pick = file(false);
    const shoot = file(true);
    const isPhone = matchMedia("(pointer: coarse)").matches;
    this.#tools.append(button(t("Photo"), () => pick.click(), "plain", "plus"), pick, shoot);
    if (isPhone) this.#tools.append(button(t("Camera"), () => shoot.click(), "plain", "camera"));
    const { draw } = this.#acts;
    if (draw !== null) {
      this.#tools.append(
        button(t("Draw on it"), () => {
          const { ref } = this;
          if (this.#acts.isDrawing || ref === null) this.#acts.endDrawing();
          else draw(ref, () => this.#colour);
          this.refresh();
        }, "plain", "authored"),
      );
    }
    this.#tools.append(this.#progress);
    for (const [i, colour] of COLOURS.entries()) {
      const pen = h("button", { class: "author-pen", attrs: { type: "button", "aria-label": t("Colour {n}", { n: i + 1 }) }, on: { click: () => { this.#colour = i; this.refresh(); } } });
      pen.style.setProperty("--pen", colour);
      this.#pens.append(pen);
    }
    this.#pens.append(h("span", { class: "hint" }, t("Draw with the pointer; Escape ends it.")));
  }

  async #send(input: HTMLInputElement): Promise<void> {
    const [file] = input.files ?? [];
    input.value = "";
    if (file === undefined) return;
    const { twin, id } = this.at;
    try {
      const photo = await smaller(file);
      const { blob } = await this.#mirror.rest.send<Attached>("blobs", { twin, name: file.name, as: "note" }, photo, (part) => setText(this.#progress, `${Math.round(part * 100)} %`));
      this.#book.addPhoto(twin, id, blob.sha256, file.name.slice(0, 200));
    } catch (error) {
      this.#acts.failed(error);
    }
    setText(this.#progress, "");
  }

  #paintPhotos(ref: NoteRef): void {
    const photos = Object.entries(ref.note.photos ?? {});
    const key = photos.map(([id]) => id).join();
    if (this.#photos.dataset["key"] === key) return;
    this.#photos.dataset["key"] = key;
    this.#photos.replaceChildren(
      ...photos.map(([id, photo]) => {
        const address = apiUrl(`blobs/${photo.sha256}`).href;
        const alt = photo.name || t("Photo by {name}", { name: photo.author });
        return h(
          "figure",
          {},
          h("a", { attrs: { href: address, target: "_blank", rel: "noopener" } }, h("img", { attrs: { src: address, alt, loading: "lazy" } })),
          this.#mayTakeAway(photo.author) && iconButton("close", t("Take the photo off"), () => this.#book.removePart(ref.twin, ref.id, "photos", id, photo.author), "small"),
        );
      }),
    );
  }

  #paintReplies(ref: NoteRef): void {
    const replies = Object.entries(ref.note.replies ?? {}).sort((a, b) => a[1].created - b[1].created);
    const key = replies.map(([id]) => id).join();
    if (this.#replies.dataset["key"] === key) return;
    this.#replies.dataset["key"] = key;
    this.#replies.replaceChildren(
      ...replies.map(([id, reply]) =>
        h(
          "li",
          {},
          h("span", { class: "author-row-about" }, h("b", {}, reply.author), ` · ${when(reply.created)}`),
          this.#mayTakeAway(reply.author) && iconButton("close", t("Take the reply back"), () => this.#book.removePart(ref.twin, ref.id, "replies", id, reply.author), "small"),
          h("p", {}, reply.text),
        ),
      ),
    );
  }

  #paintActs(ref: NoteRef): void {
    const { note, twin, id } = ref;
    const strokes = Object.entries(note.strokes ?? {}).filter(([, stroke]) => this.#mayTakeAway(stroke.author));
    const mayWrite = this.#line.mayWrite;
    this.#acting.replaceChildren(
      ...[
        mayWrite && button(note.is_done ? t("Open again") : t("Done"), () => this.#book.setDone(twin, id, note.is_done !== true), "plain", "check"),
        mayWrite && button(t("Make a task"), () => this.#book.addTask(twin, note.text.split("\n")[0]!.slice(0, 200) || t("Task"), id), "plain", "task"),
        strokes.length > 0 && button(t("Wipe the drawing"), () => { for (const [key, stroke] of strokes) this.#book.removePart(twin, id, "strokes", key, stroke.author); }, "quiet"),
        button(t("History"), () => openHistory(this.#mirror, twin), "quiet", "clock"),
        mayWrite && this.#mayTakeAway(note.author) && button(t("Delete"), () => this.#book.remove(twin, "notes", id), "danger"),
      ].filter((each): each is HTMLButtonElement => each instanceof HTMLElement),
    );
  }

  #mayTakeAway(author: string): boolean {
    return author === this.#line.me || this.#mirror.principal.roles.some((role) => role === "owner" || role === "engineer");
  }
}

/** A photo no larger than is looked at; what cannot be made smaller is sent as it is. */
async function smaller(file: File): Promise<Blob> {
  if (file.size < 700_000) return file;
  try {
    const picture = await createImageBitmap(file);
    const scale = Math.min(1, PHOTO_EDGE_PX / Math.max(picture.width, picture.height));
    const canvas = h("canvas", { attrs: { width: Math.round(picture.width * scale), height: Math.round(picture.height * scale) } });
    canvas.getContext("2d")!.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const made = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.85));
    return made !== null && made.size < file.size ? made : file;
  } catch {
    return file;
  }
}
