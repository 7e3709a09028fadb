/** Notes and tasks of a page, once they are wanted: line, book, pins, panel and drawing together. */

import type { Mirror } from "../mirror.ts";
import { reasonOf } from "../panels/context.ts";
import { Toasts } from "../panels/toasts.ts";
import type { SceneApi } from "../scene/api.ts";
import { t } from "../words.ts";
import { ArrangeBar } from "./arrange_bar.ts";
import { Arranging } from "./arranging.ts";
import { Book, type NoteRef } from "./book.ts";
import { Drawing } from "./drawing.ts";
import { above, drawn } from "./frames.ts";
import { AuthorLine } from "./line.ts";
import { Movers } from "./movers.ts";
import { AuthorPanel } from "./panel.ts";
import { Pins } from "./pins.ts";

export class AuthorRoom {
  readonly line: AuthorLine;
  readonly book: Book;
  readonly panel: AuthorPanel;
  readonly pins: Pins | null;
  readonly drawing: Drawing | null;
  readonly arranging: Arranging | null;
  readonly movers: Movers | null;
  readonly #mirror: Mirror;
  readonly #scene: SceneApi;
  /** Told when the panel has opened or closed, and when what one may do has changed. */
  onChange: () => void = () => {};
  /** Told, beside the page's own toast, why something was not written. */
  onRefused: (words: string) => void = () => {};

  constructor(mirror: Mirror, scene: SceneApi) {
    this.#mirror = mirror;
    this.#scene = scene;
    const toasts = new Toasts(document.getElementById("toasts")!);
    this.line = new AuthorLine(mirror.world, mirror.principal.id, {
      changed: (twin) => {
        this.book.forget(twin);
        this.refresh();
      },
      moves: (moves) => this.movers?.take(moves),
      state: (state) => {
        if (state !== "live") this.movers?.clear();
        this.panel.refresh();
        this.onChange();
      },
      refused: (_twin, detail, mend) => {
        const why = mend ? `${detail}; ${mend}` : detail;
        toasts.show({ tone: "bad", title: t("Not written"), detail: why });
        this.onRefused(`${t("Not written")}: ${why}`);
      },
    });
    this.book = new Book(this.line, () => mirror.nowMs());
    const solid = drawn(scene);
    this.pins = solid === null ? null : new Pins(mirror, solid, this.book);
    this.drawing = solid === null ? null : new Drawing(mirror, solid, this.pins!.pen);
    const { drawing } = this;
    this.panel = new AuthorPanel(mirror, this.book, this.line, {
      choose: (refs) => this.choose(refs),
      draw: drawing === null ? null : (ref, colour) => drawing.draw(ref, colour, (points) => this.book.addStroke(ref.twin, ref.id, points, colour())),
      endDrawing: () => drawing?.end(),
      get isDrawing() {
        return drawing?.isOn === true;
      },
      failed: (error) => toasts.show({ tone: "bad", title: t("Not written"), detail: reasonOf(error) }),
      goTo: (ref) => {
        mirror.select(ref.twin);
        scene.focus(ref.twin);
      },
      placeNote: () => this.placeNote(),
      close: () => this.open(false),
    });
    document.body.append(this.panel.element);
    this.movers = solid === null ? null : new Movers(mirror, solid);
    if (this.movers !== null) scene.addLayer(this.movers);
    this.arranging = solid === null ? null : new Arranging(mirror, solid, toasts);
    if (this.arranging !== null) {
      const { arranging } = this;
      const bar = new ArrangeBar(mirror, arranging);
      document.body.append(bar.element);
      let wasOn = false;
      arranging.onHold = (twins, dx_m, dz_m) => this.line.hold(twins, dx_m, dz_m, arranging.isOn);
      arranging.onChange = () => {
        bar.paint();
        if (arranging.isOn !== wasOn) {
          wasOn = arranging.isOn;
          if (wasOn) this.begin();
          this.line.hold([], 0, 0, wasOn);
        }
        this.onChange();
      };
    }
    if (drawing !== null) drawing.onEnd = () => this.panel.refresh();
    if (this.pins !== null) {
      scene.addLayer(this.pins);
      this.pins.onChoose = (refs) => this.choose(refs);
    }
    scene.onBuilt(() => this.pins?.refresh());
    mirror.on("structure", () => this.refresh());
  }

  /** Opens the line to the notes, once there is something to be seen or written. */
  begin(): void {
    if (this.line.state === "closed") this.line.connect();
  }

  refresh(): void {
    this.pins?.refresh();
    this.panel.refresh();
  }

  open(isOpen: boolean): void {
    if (isOpen) {
      this.begin();
      this.panel.open();
    } else {
      this.drawing?.end();
      this.panel.close();
      if (this.pins !== null) this.pins.chosen = "";
    }
    this.onChange();
  }

  choose(refs: readonly NoteRef[]): void {
    const [first] = refs;
    if (first !== undefined && refs.length === 1) this.#mirror.select(first.twin);
    if (this.pins !== null) this.pins.chosen = refs.length === 1 ? (first?.id ?? "") : "";
    this.panel.showNotes(refs);
    this.onChange();
  }

  /** The next click in the scene says where the new note is; without a scene it is the selected twin. */
  placeNote(): void {
    const make = (twin: string, at: [number, number, number]): void => {
      const id = this.book.addNote(twin, at);
      const ref = this.book.note(twin, id);
      if (ref !== undefined) this.choose([ref]);
    };
    const selected = this.#mirror.selected;
    if (this.drawing === null) {
      if (selected !== null) make(selected, above(this.#mirror, drawn(this.#scene), selected));
      return;
    }
    if (this.drawing.isOn) {
      // Asked for again, by keyboard for instance: then it is the selected twin.
      this.drawing.end();
      if (selected !== null) make(selected, above(this.#mirror, drawn(this.#scene), selected));
      return;
    }
    this.drawing.place(make);
  }
}
