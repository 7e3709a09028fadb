// The board that is open, its bar and its link; and the list of all boards in the bar above.

import "./boards.css";

import { address } from "../address.ts";
import { clockText, dayText } from "../format.ts";
import * as links from "../link.ts";
import type { Id, Mirror } from "../mirror.ts";
import { type Context, POINT_DRAG, reasonOf } from "../panels/context.ts";
import { button, emptyState, h, iconButton, openDialog, popover, setAttr, setText } from "../panels/dom.ts";
import { mayEdit } from "../panels/edit.ts";
import { offerLink } from "../tours/offer.ts";
import { icon } from "../panels/icons.ts";
import type { Painter } from "../panels/pulse.ts";
import { isPlottable, isStepped } from "../panels/values.ts";
import { type SheetKind, SheetStore, type Shown } from "../sheets.ts";
import { t } from "../words.ts";
import { Composer } from "./compose.ts";
import { openName, openTile } from "./dialogs.ts";
import { type Act, adding, type Board, changing, content, KIND, type NewTile, placing, read, removing, type Tile, written } from "./model.ts";
import { freeName, suggestForTwin, suggestForType, typeTitle } from "./suggest.ts";
import { BoardView } from "./view.ts";

const BOARDS: SheetKind<Board> = { kind: KIND, read, written, made: t("board made"), renamed: t("board renamed"), deleted: t("board deleted") };
/** What the grid has above and below its tiles. */
const PADDING_PX = 18;

export class Boards implements Painter {
  /** The way to the boards, for the bar above. */
  readonly button: HTMLButtonElement;
  private readonly store: SheetStore<Board>;
  private readonly view: BoardView;
  private readonly composer: Composer;
  private readonly title = h("h1", { class: "board-title clip" });
  private readonly clock = h("span", { class: "board-clock num" });
  private readonly bar = h("div", { class: "board-bar" });
  private readonly scroller = h("div", { class: "board-scroll", tabIndex: -1 });
  private readonly state = h("div", { class: "board-state" });
  private readonly said = h("p", { class: "visually-hidden", role: "status", attrs: { "aria-live": "assertive" } });
  private readonly element: HTMLElement;
  private readonly list = h("div", { role: "dialog", attrs: { "aria-label": t("Boards") } });
  private readonly listPopover: { close(): void; isOpen(): boolean };
  private current: string | null = null;
  private isKiosk = false;
  private isComposing = false;
  private isReady = false;
  private wasShown = "";
  private lock: { release(): Promise<void> } | null = null;

  constructor(
    private readonly context: Context,
    private readonly onChange: () => void,
  ) {
    const { mirror, pulse, scene } = context;
    this.store = new SheetStore(mirror, BOARDS);
    this.view = new BoardView(context, this.scroller, { settings: (tile) => this.openSettings(tile), remove: (tile) => this.remove(tile) });
    this.composer = new Composer(this.view, this.scroller, {
      board: () => this.board,
      place: (id, place, fromY) => void this.act(placing(id, place, fromY), t("tile moved")),
      settings: (tile) => this.openSettings(tile),
      remove: (tile) => this.remove(tile),
      leave: () => this.compose(false),
      say: (words) => setText(this.said, words),
    });
    this.scroller.append(this.view.grid, this.state);
    this.element = h("main", { id: "board", hidden: true }, h("header", { class: "board-head" }, this.title, this.clock, this.bar), this.scroller, this.said);
    document.body.insertBefore(this.element, document.getElementById("top"));
    this.button = iconButton("board", t("Boards"), () => undefined, "boards-button");
    this.listPopover = popover(this.button, this.list, () => this.buildList());
    this.store.on(() => pulse.mark(this));
    mirror.on("structure", () => {
      this.isReady = true;
      pulse.mark(this);
    });
    mirror.on("sheets", () => pulse.mark(this));
    for (const what of ["time", "link"] as const) mirror.on(what, () => pulse.mark(this));
    pulse.tick(this);
    address.on(() => this.followLink());
    document.addEventListener("keydown", (event) => this.onKey(event));
    this.acceptDrops();
    new ResizeObserver(() => this.fit()).observe(this.scroller);
    if (address.link.board !== null) scene.rest(true);
    this.followLink();
  }

  get isOpen(): boolean {
    return this.current !== null;
  }

  private get board(): Board | null {
    return this.current === null ? null : (this.store.shown(this.current)?.value ?? null);
  }

  // --- opening and linking -----------------------------------------------------------------------

  open(name: string | null, isKiosk = false): void {
    if (name !== this.current || isKiosk !== this.isKiosk) address.go({ board: name, isKiosk });
  }

  /** Shows what the address says. */
  private followLink(): void {
    const { board: name, isKiosk } = address.link;
    const isOther = name !== this.current;
    this.current = name;
    this.isKiosk = isKiosk;
    if (isOther) {
      this.compose(false);
      this.view.clear();
      this.wasShown = "";
      this.scroller.scrollTop = 0;
      this.context.scene.rest(name !== null);
    }
    this.element.hidden = name === null;
    if (name === null) delete document.documentElement.dataset["board"];
    else document.documentElement.dataset["board"] = name;
    document.documentElement.toggleAttribute("data-kiosk", this.isKiosk);
    void this.keepAwake(this.isKiosk);
    this.fit();
    this.buildBar();
    this.onChange();
    this.context.pulse.mark(this);
  }

  private fit(): void {
    this.view.stretch(this.isKiosk ? this.scroller.clientHeight - PADDING_PX : null);
  }

  /** A wall screen must not fall asleep; where the browser grants no lock, it is as it was. */
  private async keepAwake(isOn: boolean): Promise<void> {
    try {
      if (isOn && this.lock === null && "wakeLock" in navigator) this.lock = await navigator.wakeLock.request("screen");
      else if (!isOn) {
        await this.lock?.release();
        this.lock = null;
      }
    } catch {
      this.lock = null;
    }
  }

  // --- painting ----------------------------------------------------------------------------------

  paint(): void {
    if (this.current === null) return;
    const { mirror } = this.context;
    setText(this.title, this.current);
    const view_ms = mirror.viewMs();
    const day = dayText(view_ms);
    setText(this.clock, `${mirror.time.live ? "" : `${t("PAST")} `}${day === dayText(mirror.nowMs()) && mirror.time.live ? "" : `${day} `}${clockText(view_ms)}`);
    const shown = this.isReady ? this.store.shown(this.current) : null;
    if (shown?.value && !this.composer.isMoving) {
      const key = JSON.stringify(shown.value);
      if (key !== this.wasShown) {
        this.wasShown = key;
        this.view.show(shown.value);
        this.fit();
        this.composer.dress();
        this.buildBar();
      }
    }
    this.paintState(shown);
  }

  private paintState(shown: Shown<Board> | null): void {
    const isEmpty = shown?.value?.tiles.length === 0;
    const what = !this.isReady ? "wait" : shown === null ? "none" : shown.error ? `bad ${shown.error}` : isEmpty ? `empty ${this.isComposing}` : "";
    if (this.state.dataset["what"] === what) return;
    this.state.dataset["what"] = what;
    this.state.hidden = what === "";
    if (what === "") return;
    if (what === "none" || shown?.error) {
      this.view.clear();
      this.wasShown = "";
      this.buildBar();
    }
    const may = mayEdit(this.context);
    this.state.replaceChildren(
      what === "wait"
        ? h("p", { class: "dim" }, t("Waiting for the world…"))
        : shown === null
          ? emptyState("board", t("There is no board “{name}”", { name: this.current! }), t("It may have been renamed or deleted."), button(t("Back to the world"), () => this.open(null)))
          : shown.error
            ? emptyState("board", t("This board cannot be shown"), shown.error)
            : emptyState("board", t("An empty board"), t("Tiles show values, trends, tables, alarms and the scene. Points may be dragged here, too."), may && button(t("Add a tile"), () => this.openAdd(), "primary", "plus")),
    );
  }

  private buildBar(): void {
    const name = this.current;
    if (name === null) return;
    const has = this.board !== null;
    const may = mayEdit(this.context) && has;
    if (this.isComposing && may) {
      const undo = iconButton("undo", t("Undo the last change of mine"), () => void this.undo());
      undo.disabled = !this.store.canUndo(name);
      this.bar.replaceChildren(
        button(t("Add a tile"), () => this.openAdd(), "plain", "plus"),
        undo,
        button(t("Done"), () => this.compose(false), "primary", "check"),
      );
      return;
    }
    const copy = iconButton("link", t("Copy the link to this board"), () => void this.copyLink());
    const kiosk = iconButton("expand", this.isKiosk ? t("Leave the wall screen") : t("Wall screen: only the board"), () => this.open(name, !this.isKiosk), "kiosk-button");
    if (this.isKiosk) {
      this.bar.replaceChildren(kiosk);
      return;
    }
    const more = iconButton("more", t("More about this board"), () => this.openMore());
    this.bar.replaceChildren(
      ...[
        may && button(t("Edit"), () => this.compose(true), "plain", "authored"),
        has && copy,
        has && kiosk,
        may && more,
        iconButton("close", t("Close the board"), () => this.open(null)),
      ].filter((each) => each !== false),
    );
  }

  private onKey(event: KeyboardEvent): void {
    if (event.key !== "Escape" || event.defaultPrevented || this.current === null || document.querySelector("dialog[open]")) return;
    if (this.isComposing) this.compose(false);
    else if (this.isKiosk) this.open(this.current, false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // --- composing ---------------------------------------------------------------------------------

  private compose(isOn: boolean): void {
    if (isOn === this.isComposing) return;
    this.isComposing = isOn;
    this.element.classList.toggle("composing", isOn);
    this.composer.setOn(isOn);
    setText(this.said, isOn ? t("Editing the board. Tab goes from tile to tile.") : t("The board is as you left it."));
    this.buildBar();
    this.context.pulse.mark(this);
  }

  private async act(act: Act, reason: string): Promise<boolean> {
    if (this.current === null) return false;
    const name = this.current;
    try {
      await this.store.act(name, act, reason);
      this.buildBar();
      return true;
    } catch (error) {
      this.wasShown = "";
      this.context.toast({ tone: "bad", title: t("Not saved"), detail: reasonOf(error) });
      this.context.pulse.mark(this);
      return false;
    }
  }

  private openAdd(): void {
    openTile(this.context, null, this.hasScene(), (tile) => void this.add([tile]));
  }

  private hasScene(): boolean {
    return this.board?.tiles.some((tile) => tile["@"] === "SceneTile") ?? false;
  }

  private async add(tiles: readonly NewTile[]): Promise<void> {
    const before = new Set(this.board?.tiles.map((tile) => tile.id));
    this.compose(true);
    if (!(await this.act(adding(tiles), t("tile added")))) return;
    const made = this.board?.tiles.find((tile) => !before.has(tile.id));
    const element = made && this.view.frames.get(made.id)?.element;
    element?.scrollIntoView({ block: "nearest" });
    element?.focus({ preventScroll: true });
  }

  private openSettings(tile: Tile): void {
    const others = this.board?.tiles.some((each) => each["@"] === "SceneTile" && each.id !== tile.id) ?? false;
    openTile(this.context, tile, others, (next) => {
      const changed = { ...next, id: tile.id, x: tile.x, y: tile.y, w: tile.w, h: tile.h } as Tile;
      if (content(changed) !== content(tile)) void this.act(changing(tile, changed), t("tile changed"));
    });
  }

  private remove(tile: Tile): void {
    void this.act(removing(tile), t("tile removed")).then((done) => {
      if (!done) return;
      this.context.toast({ tone: "plain", title: t("Tile removed"), action: { label: t("Undo"), run: () => void this.undo() } });
      this.scroller.focus({ preventScroll: true });
    });
  }

  private async undo(): Promise<void> {
    if (this.current === null) return;
    try {
      await this.store.undo(this.current);
      setText(this.said, t("Taken back"));
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("Not taken back"), detail: reasonOf(error) });
    }
    this.buildBar();
  }

  // --- points from elsewhere -----------------------------------------------------------------------

  /** Puts a point on the open board; where none is open, asks on which. */
  addPoint(handle: number): void {
    const tile = tileFor(this.context.mirror, handle);
    if (this.current !== null && this.board !== null) {
      void this.add([tile]);
      return;
    }
    const names = this.store.names();
    const to = (name: string): void => {
      dialog.close();
      this.open(name);
      void this.add([tile]);
    };
    const body = h(
      "div",
      { class: "form" },
      h("div", { class: "board-list" }, ...names.map((name) => h("button", { class: "twin-link", attrs: { type: "button" }, on: { click: () => to(name) } }, icon("board", "dim"), h("span", { class: "clip" }, name)))),
      button(t("New board…"), () => {
        dialog.close();
        this.openNew({ tiles: [] }, freeName("", names), [tile]);
      }, "plain", "plus"),
    );
    const dialog = openDialog(t("Add to which board?"), body);
  }

  private acceptDrops(): void {
    const isPoint = (event: DragEvent): boolean => (event.dataTransfer?.types.includes(POINT_DRAG) ?? false) && mayEdit(this.context) && this.board !== null;
    this.element.addEventListener("dragover", (event) => {
      if (!isPoint(event)) return;
      event.preventDefault();
      this.element.classList.add("dropping");
    });
    for (const what of ["dragleave", "drop"] as const) this.element.addEventListener(what, () => this.element.classList.remove("dropping"));
    this.element.addEventListener("drop", (event) => {
      if (!isPoint(event)) return;
      const handle = Number(event.dataTransfer?.getData(POINT_DRAG) || NaN);
      if (!Number.isInteger(handle)) return;
      event.preventDefault();
      void this.add([tileFor(this.context.mirror, handle)]);
    });
  }

  // --- all boards ----------------------------------------------------------------------------------

  private buildList(): void {
    const { mirror } = this.context;
    const names = this.store.names();
    const may = mayEdit(this.context);
    const go = (act: () => void) => (): void => {
      this.listPopover.close();
      act();
    };
    const rows = names.map((name) => {
      const row = h("button", { class: "twin-link", attrs: { type: "button" }, on: { click: go(() => this.open(name)) } }, icon("board", "dim"), h("span", { class: "clip" }, name));
      setAttr(row, "aria-current", name === this.current ? "page" : null);
      return row;
    });
    const { selected } = mirror;
    const type = selected === null ? "" : (mirror.twins.get(selected)?.type ?? "");
    const [root] = mirror.roots();
    const about = selected ?? root;
    this.list.replaceChildren(
      h("div", { class: "board-list scroll" }, ...(rows.length > 0 ? rows : [h("p", { class: "empty-hint board-hint" }, t("A board shows what you choose of the plant on one page, and has a link of its own."))])),
      may
        ? h(
            "div",
            { class: "board-makers" },
            about !== undefined && button(t("Suggest one about {name}", { name: mirror.nameOf(about) }), go(() => this.suggest(mirror.nameOf(about), suggestForTwin(mirror, about))), "plain", "inferred"),
            type !== "" && button(t("Suggest one about every {type}", { type: typeTitle(mirror, type) }), go(() => this.suggest(typeTitle(mirror, type), suggestForType(mirror, type))), "plain", "inferred"),
            button(t("New board…"), go(() => this.openNew({ tiles: [] }, freeName("", names), [])), "plain", "plus"),
            this.current !== null && button(t("Back to the world"), go(() => this.open(null)), "quiet", "cube"),
          )
        : this.current !== null
          ? h("div", { class: "board-makers" }, button(t("Back to the world"), go(() => this.open(null)), "quiet", "cube"))
          : "",
    );
  }

  private suggest(name: string, board: Board): void {
    const free = freeName(name, this.store.names());
    this.store
      .create(free, board)
      .then(() => this.open(free))
      .catch((error: unknown) => this.context.toast({ tone: "bad", title: t("Not saved"), detail: reasonOf(error) }));
  }

  private openNew(board: Board, start: string, tiles: readonly NewTile[]): void {
    openName(t("New board"), start, t("Make it"), async (name) => {
      await this.store.create(name, board);
      this.open(name);
      this.compose(true);
      if (tiles.length > 0) await this.add(tiles);
    });
  }

  private openMore(): void {
    const name = this.current;
    if (name === null) return;
    const close = (act: () => void) => (): void => {
      dialog.close();
      act();
    };
    const body = h(
      "div",
      { class: "form board-more" },
      button(t("Rename…"), close(() => this.openRename(name)), "plain", "authored"),
      button(t("Duplicate…"), close(() => this.openDuplicate(name)), "plain", "copy"),
      button(t("Delete"), close(() => void this.remove_(name)), "danger", "close"),
      h("p", { class: "hint dim" }, t("Whoever changes the board is in the log, and what was before stays there.")),
    );
    const dialog = openDialog(name, body);
  }

  private openRename(name: string): void {
    openName(t("Rename…"), name, t("Rename"), async (to) => {
      if (to === name) return;
      await this.store.rename(name, to);
      this.open(to);
      this.context.toast({ tone: "plain", title: t("Renamed"), detail: t("Links to the old name lead nowhere now.") });
    });
  }

  private openDuplicate(name: string): void {
    const board = this.board;
    if (board) this.openNew(board, freeName(name, this.store.names()), []);
  }

  private async remove_(name: string): Promise<void> {
    try {
      const position = await this.store.drop(name);
      this.open(null);
      this.context.toast({
        tone: "plain",
        title: t("Board deleted"),
        detail: name,
        action: { label: t("Undo"), run: () => void this.store.takeBack(position).then(() => this.open(name), (error: unknown) => this.context.toast({ tone: "bad", title: t("Not taken back"), detail: reasonOf(error) })) },
      });
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("Not deleted"), detail: reasonOf(error) });
    }
  }

  private async copyLink(): Promise<void> {
    await offerLink(this.context, links.written(document.baseURI, { ...links.NO_LINK, board: this.current }));
  }
}

/** The tile that suits a point. */
function tileFor(mirror: Mirror, handle: number): NewTile {
  const { twin, name, type } = mirror.pointRef(handle);
  const point: { twin: Id; point: string } = { twin, point: name };
  return isStepped(type) ? { "@": "StateTile", point } : { "@": "ValueTile", point, spark: isPlottable(type) };
}
