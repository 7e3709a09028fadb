// Hands on the tiles of a board: moving and resizing by mouse, touch and keys, said aloud as it happens.

import { setAttr } from "../panels/dom.ts";
import { t } from "../words.ts";
import { COLUMNS, fitted, settled } from "./grid.ts";
import type { Board, Tile } from "./model.ts";
import type { BoardView, Frame } from "./view.ts";

type Place = { x: number; y: number; w: number; h: number };

interface Wishes {
  board(): Board | null;
  place(id: string, place: Place, fromY: number): void;
  settings(tile: Tile): void;
  remove(tile: Tile): void;
  leave(): void;
  say(words: string): void;
}

const NUDGED_MS = 500;
const EDGE_PX = 48;

interface Grasp {
  id: string;
  isResize: boolean;
  start: Tile;
  startX: number;
  startY: number;
  scrolled: number;
  place: Place;
}

export class Composer {
  private isOn = false;
  private grasp: Grasp | null = null;
  private nudge: { id: string; place: Place; fromY: number; timer: number } | null = null;
  /** In one column there are no places to move to. */
  private readonly isNarrow = (): boolean => getComputedStyle(this.view.grid).gridTemplateColumns.split(" ").length < COLUMNS;

  constructor(
    private readonly view: BoardView,
    private readonly scroller: HTMLElement,
    private readonly wishes: Wishes,
  ) {
    const { grid } = view;
    grid.addEventListener("pointerdown", (event) => this.onDown(event));
    grid.addEventListener("pointermove", (event) => this.onMove(event));
    grid.addEventListener("pointerup", () => this.onUp(true));
    grid.addEventListener("pointercancel", () => this.onUp(false));
    grid.addEventListener("keydown", (event) => this.onKey(event));
    grid.addEventListener("focusout", () => this.commitNudge());
  }

  get isMoving(): boolean {
    return this.grasp !== null || this.nudge !== null;
  }

  setOn(isOn: boolean): void {
    this.isOn = isOn;
    if (!isOn) this.commitNudge();
    this.dress();
  }

  /** Gives tiles what they need to be moved; called again when there are new ones. */
  dress(): void {
    for (const { element, tile } of this.view.frames.values()) {
      setAttr(element, "tabindex", this.isOn ? "0" : null);
      setAttr(element, "aria-roledescription", this.isOn ? t("tile") : null);
      setAttr(element, "aria-description", this.isOn ? `${placeText(tile)}. ${t("Arrow keys move, with Shift they resize, Enter opens settings, Delete removes.")}` : null);
    }
  }

  // --- pointer ---------------------------------------------------------------------------------

  private onDown(event: PointerEvent): void {
    if (!this.isOn || event.button !== 0 || !(event.target instanceof Element) || this.isNarrow()) return;
    const frame = this.frameAt(event.target);
    if (!frame || event.target.closest("button:not(.tile-title), a, input")) return;
    const isResize = event.target.closest(".tile-grip") !== null;
    // A finger on the body of a tile scrolls the board; its head and its corner are for moving.
    if (event.pointerType === "touch" && !isResize && !event.target.closest(".tile-head")) return;
    this.commitNudge();
    const tile = this.wishes.board()?.tiles.find((each) => each.id === frame.tile.id);
    if (!tile) return;
    event.preventDefault();
    frame.element.focus({ preventScroll: true });
    this.view.grid.setPointerCapture(event.pointerId);
    const { x, y, w, h } = tile;
    this.grasp = { id: tile.id, isResize, start: tile, startX: event.clientX, startY: event.clientY, scrolled: this.scroller.scrollTop, place: { x, y, w, h } };
    frame.element.classList.add(isResize ? "resizing" : "moving");
  }

  private onMove(event: PointerEvent): void {
    const { grasp } = this;
    if (!grasp) return;
    const box = this.scroller.getBoundingClientRect();
    if (event.clientY > box.bottom - EDGE_PX) this.scroller.scrollTop += 12;
    else if (event.clientY < box.top + EDGE_PX) this.scroller.scrollTop -= 12;
    const cell = this.cellSize();
    const dx = Math.round((event.clientX - grasp.startX) / cell.w);
    const dy = Math.round((event.clientY - grasp.startY + this.scroller.scrollTop - grasp.scrolled) / cell.h);
    const { x, y, w, h } = grasp.start;
    const wish = grasp.isResize ? { x, y, w: Math.min(w + dx, COLUMNS - x), h: h + dy } : { x: x + dx, y: y + dy, w, h };
    const { id: _id, ...place } = fitted({ id: grasp.id, ...wish });
    if (isSame(place, grasp.place)) return;
    grasp.place = place;
    this.preview(grasp.id, place, grasp.start.y);
  }

  private onUp(isDone: boolean): void {
    const { grasp } = this;
    if (!grasp) return;
    this.grasp = null;
    this.view.frames.get(grasp.id)?.element.classList.remove("moving", "resizing");
    const { x, y, w, h } = grasp.start;
    if (isDone && !isSame(grasp.place, { x, y, w, h })) this.wishes.place(grasp.id, grasp.place, y);
    else this.view.place(this.wishes.board()?.tiles ?? []);
  }

  /** How far it is from one cell to the next, in CSS pixels. */
  private cellSize(): { w: number; h: number } {
    const style = getComputedStyle(this.view.grid);
    const gap = parseFloat(style.columnGap) || 0;
    const inner = this.view.grid.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    return { w: (inner + gap) / COLUMNS, h: parseFloat(style.gridAutoRows) + gap };
  }

  // --- keys ------------------------------------------------------------------------------------

  private onKey(event: KeyboardEvent): void {
    if (!this.isOn || !(event.target instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.altKey) return;
    const frame = this.view.frames.get(event.target.dataset["tile"] ?? "");
    if (!frame) return; // on something within the tile
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) this.step(frame, step[0]!, step[1]!, event.shiftKey);
    else if (event.key === "Enter") this.wishes.settings(frame.tile);
    else if (event.key === "Delete" || event.key === "Backspace") this.wishes.remove(frame.tile);
    else if (event.key === "Escape") this.wishes.leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private step(frame: Frame, dx: number, dy: number, isResize: boolean): void {
    const board = this.wishes.board();
    const tile = board?.tiles.find((each) => each.id === frame.tile.id);
    if (!board || !tile || this.isNarrow()) return;
    if (this.nudge && this.nudge.id !== tile.id) this.commitNudge();
    const fromY = this.nudge?.fromY ?? tile.y;
    const from = this.nudge?.place ?? tile;
    const before = JSON.stringify(this.arranged(tile.id, from, fromY));
    // A step that changes nothing, since what is below must first be passed, is made a longer one.
    for (let reach = 1; reach <= 40; reach++) {
      const [byX, byY] = [dx * reach, dy * reach];
      const wish = isResize ? { ...pick(from), w: Math.min(from.w + byX, COLUMNS - from.x), h: from.h + byY } : { ...pick(from), x: from.x + byX, y: from.y + byY };
      const { id: _id, ...place } = fitted({ id: tile.id, ...wish });
      const after = this.arranged(tile.id, place, fromY);
      const own = after.find((each) => each.id === tile.id)!;
      if (JSON.stringify(after) !== before) {
        clearTimeout(this.nudge?.timer);
        this.nudge = { id: tile.id, place, fromY, timer: window.setTimeout(() => this.commitNudge(), NUDGED_MS) };
        this.view.place(after);
        frame.element.scrollIntoView({ block: "nearest" });
        this.wishes.say(placeText(own));
        return;
      }
      if (isResize || dx !== 0) break;
    }
    this.wishes.say(t("It goes no further."));
  }

  private commitNudge(): void {
    const { nudge } = this;
    if (!nudge) return;
    clearTimeout(nudge.timer);
    this.nudge = null;
    this.wishes.place(nudge.id, nudge.place, nudge.fromY);
  }

  // --- both ------------------------------------------------------------------------------------

  private arranged(id: string, place: Place, fromY: number): Tile[] {
    const tiles = this.wishes.board()?.tiles ?? [];
    return settled(tiles.map((tile) => (tile.id === id ? { ...tile, ...pick(place) } : tile)), { id, fromY });
  }

  private preview(id: string, place: Place, fromY: number): void {
    this.view.place(this.arranged(id, place, fromY));
  }

  private frameAt(target: Element): Frame | undefined {
    return this.view.frames.get((target.closest(".tile") as HTMLElement | null)?.dataset["tile"] ?? "");
  }
}

function pick({ x, y, w, h }: Place): Place {
  return { x, y, w, h };
}

function isSame(a: Place, b: Place): boolean {
  return a.x === b.x && a.y === b.y && a.w === b.w && a.h === b.h;
}

/** Where a tile stands, for people who do not see it. */
export function placeText({ x, y, w, h }: Place): string {
  return t("Column {x}, row {y}, {w} wide, {h} high", { x: x + 1, y: y + 1, w, h });
}
