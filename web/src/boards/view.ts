// A board on the page: its tiles on the grid, painted when what they show has changed and they are in sight.

import type { Mirror } from "../mirror.ts";
import type { Context } from "../panels/context.ts";
import { h, iconButton, setAttr, setText } from "../panels/dom.ts";
import type { Painter } from "../panels/pulse.ts";
import { t } from "../words.ts";
import { Limits } from "./limits.ts";
import { type Board, content, type Tile } from "./model.ts";
import { Past } from "./past.ts";
import { alarmsView, sceneView, textView } from "./tiles/others.ts";
import { tableView, twinsOf } from "./tiles/table.ts";
import { handleOf, type Means, type TileView } from "./tiles/tile.ts";
import { trendView } from "./tiles/trend.ts";
import { pointView } from "./tiles/value.ts";

/** Between these a row may be on a wall screen; beyond, the board scrolls or ends above the edge. */
const ROW_LOWEST_PX = 24;
const ROW_HIGHEST_PX = 110;

/** A tile with all that stands around it. */
export interface Frame {
  tile: Tile;
  /** What it shows, resolved: another key is another view. */
  key: string;
  view: TileView;
  readonly element: HTMLElement;
  readonly title: HTMLButtonElement;
  readonly sub: HTMLElement;
  readonly body: HTMLElement;
  isSeen: boolean;
  isDirty: boolean;
}

/** What composing does with tiles; the view knows only that there are such buttons. */
export interface TileHands {
  settings(tile: Tile): void;
  remove(tile: Tile): void;
}

export class BoardView implements Painter {
  readonly grid = h("div", { class: "board-grid" });
  readonly frames = new Map<string, Frame>();
  private means: Means | null = null;
  private board: Board = { tiles: [] };
  private byHandle = new Map<number, Frame[]>();
  /** One byte a point: whether any tile shows it. Most of what changes is on no tile. */
  private watched = new Uint8Array(0);
  private isStale = false;
  private readonly sight: IntersectionObserver;
  private readonly limits: Limits;

  constructor(
    private readonly context: Context,
    scroller: HTMLElement,
    private readonly hands: TileHands,
  ) {
    const { mirror, pulse } = context;
    this.limits = new Limits(mirror);
    this.sight = new IntersectionObserver((entries) => this.onSight(entries), { root: scroller, rootMargin: "60px" });
    mirror.on("values", ({ handles }) => this.take(handles));
    mirror.on("structure", () => this.rework());
    for (const what of ["events", "time", "sheets", "link"] as const) mirror.on(what, () => this.markAll());
    // Ages count on even if no value comes.
    pulse.tick({ paint: () => this.markAll() });
  }

  /** Shows a board; tiles that stay are kept as they are. */
  show(board: Board): void {
    this.board = board;
    this.means ??= { context: this.context, limits: this.limits, past: new Past(this.context, () => this.markAll()) };
    const kept = new Set(board.tiles.map((tile) => tile.id));
    for (const [id, frame] of this.frames) {
      if (kept.has(id)) continue;
      this.drop(frame);
      this.frames.delete(id);
    }
    for (const tile of board.tiles) {
      const key = `${content(tile)}\0${resolved(this.context.mirror, tile)}`;
      const frame = this.frames.get(tile.id);
      if (!frame) this.frames.set(tile.id, this.makeFrame(tile, key));
      else {
        frame.tile = tile;
        if (frame.key !== key) this.remake(frame, key);
      }
    }
    this.place(board.tiles);
    this.index();
    this.markAll();
  }

  /** Puts tiles where they are to stand, without anything else. */
  place(tiles: readonly Tile[]): void {
    const { activeElement } = document;
    let before: Element | null = null;
    for (const tile of tiles) {
      const frame = this.frames.get(tile.id);
      if (!frame) continue;
      const { style } = frame.element;
      for (const name of ["x", "y", "w", "h"] as const) {
        const value = String(tile[name]);
        if (style.getPropertyValue(`--${name}`) !== value) style.setProperty(`--${name}`, value);
      }
      // In one column the order of the elements is the order on the page. Moving one takes its focus.
      const next: Element | null = before === null ? this.grid.firstElementChild : before.nextElementSibling;
      if (next !== frame.element && !frame.element.contains(activeElement)) this.grid.insertBefore(frame.element, next);
      before = frame.element;
    }
  }

  /** Rows as high as fill the screen, so that a wall shows the whole board; null: as they are. */
  stretch(height_px: number | null): void {
    const rows = Math.max(0, ...this.board.tiles.map((tile) => tile.y + tile.h));
    const gap = parseFloat(getComputedStyle(this.grid).rowGap) || 0;
    const row_px = height_px === null || rows === 0 ? null : Math.max(ROW_LOWEST_PX, Math.min(ROW_HIGHEST_PX, (height_px + gap) / rows - gap));
    if (row_px === null) this.grid.style.removeProperty("--row");
    else this.grid.style.setProperty("--row", `${row_px.toFixed(2)}px`);
  }

  clear(): void {
    for (const frame of this.frames.values()) this.drop(frame);
    this.frames.clear();
    this.byHandle.clear();
    this.watched = new Uint8Array(0);
    this.board = { tiles: [] };
    this.means?.past.close();
    this.means = null;
  }

  paint(): void {
    if (this.means === null) return;
    if (this.isStale) {
      this.isStale = false;
      this.show(this.board);
    }
    const due = [...this.frames.values()].filter((frame) => frame.isDirty && frame.isSeen);
    for (const frame of due) {
      frame.isDirty = false;
      frame.view.paint();
    }
    for (const { view } of due) view.draw?.();
  }

  // --- what changed ----------------------------------------------------------------------------

  private take(handles: Uint32Array | null): void {
    if (this.means === null) return;
    if (handles === null) {
      this.markAll();
      return;
    }
    let isAny = false;
    for (let i = 0; i < handles.length; i++) {
      const handle = handles[i]!;
      if (this.watched[handle] !== 1) continue;
      for (const frame of this.byHandle.get(handle)!) frame.isDirty = true;
      isAny = true;
    }
    if (isAny) this.context.pulse.mark(this);
  }

  private markAll(): void {
    if (this.means === null) return;
    for (const frame of this.frames.values()) frame.isDirty = true;
    this.context.pulse.mark(this);
  }

  private rework(): void {
    if (this.means === null) return;
    this.isStale = true;
    this.context.pulse.mark(this);
  }

  private index(): void {
    this.byHandle.clear();
    this.watched = new Uint8Array(this.context.mirror.nPoints);
    for (const frame of this.frames.values())
      for (const handle of frame.view.handles) {
        this.watched[handle] = 1;
        const known = this.byHandle.get(handle);
        if (known) known.push(frame);
        else this.byHandle.set(handle, [frame]);
      }
  }

  private onSight(entries: readonly IntersectionObserverEntry[]): void {
    for (const entry of entries) {
      const frame = this.frames.get((entry.target as HTMLElement).dataset["tile"] ?? "");
      if (!frame || frame.element !== entry.target) continue;
      frame.isSeen = entry.isIntersecting;
      frame.view.see?.(frame.isSeen);
    }
    this.context.pulse.mark(this);
  }

  // --- frames ----------------------------------------------------------------------------------

  private makeFrame(tile: Tile, key: string): Frame {
    const title = h("button", { class: "tile-title clip", attrs: { type: "button" } });
    const sub = h("span", { class: "tile-sub clip" });
    const body = h("div", { class: "tile-body" });
    const tools = h(
      "span",
      { class: "tile-tools" },
      iconButton("authored", t("Settings of this tile"), () => this.hands.settings(frame.tile), "small"),
      iconButton("close", t("Remove this tile"), () => this.hands.remove(frame.tile), "small"),
    );
    const element = h(
      "section",
      { class: "tile", role: "group", attrs: { "data-tile": tile.id, "data-kind": tile["@"] } },
      h("header", { class: "tile-head" }, title, sub, tools),
      body,
      h("div", { class: "tile-cover", attrs: { "aria-hidden": "true" } }),
      h("div", { class: "tile-grip", attrs: { "aria-hidden": "true" } }),
    );
    const frame: Frame = { tile, key, view: this.makeView(tile), element, title, sub, body, isSeen: false, isDirty: true };
    title.addEventListener("click", () => {
      if (frame.view.twin) this.context.goTo(frame.view.twin);
    });
    this.fill(frame);
    this.sight.observe(element);
    return frame;
  }

  private remake(frame: Frame, key: string): void {
    frame.view.close();
    frame.key = key;
    frame.view = this.makeView(frame.tile);
    frame.view.see?.(frame.isSeen);
    this.fill(frame);
  }

  private fill(frame: Frame): void {
    const { view, tile } = frame;
    const title = tile.title || view.title;
    setText(frame.title, title);
    frame.title.disabled = view.twin === "";
    setText(frame.sub, tile.title ? [view.title, view.sub].filter(Boolean).join(" · ") : view.sub);
    setAttr(frame.element, "aria-label", [title, view.sub].filter(Boolean).join(", ") || t("Text"));
    frame.element.dataset["kind"] = tile["@"];
    frame.element.classList.toggle("untitled", title === "");
    frame.body.replaceChildren(view.element);
    frame.isDirty = true;
  }

  private drop(frame: Frame): void {
    this.sight.unobserve(frame.element);
    frame.view.close();
    frame.element.remove();
  }

  private makeView(tile: Tile): TileView {
    const means = this.means!;
    switch (tile["@"]) {
      case "TrendTile": return trendView(means, tile);
      case "TableTile": return tableView(means, tile);
      case "AlarmsTile": return alarmsView(means, tile);
      case "SceneTile": return sceneView(means, tile);
      case "TextTile": return textView(tile);
      default: return pointView(means, tile);
    }
  }
}

/** What the names in a tile mean now: handles, types, names of twins. */
function resolved(mirror: Mirror, tile: Tile): string {
  const point = (twin: string, name: string): string => {
    const handle = handleOf(mirror, { twin, point: name });
    return handle < 0 ? "-" : `${handle} ${mirror.nameOf(twin)} ${JSON.stringify(mirror.pointType(handle))}`;
  };
  const twin = (id: string): string => (id && mirror.twins.has(id) ? mirror.nameOf(id) : "-");
  switch (tile["@"]) {
    case "TrendTile": return tile.points.map((each) => point(each.twin, each.point)).join("\0");
    case "TableTile": {
      const twins = twinsOf(mirror, tile.type ?? "", tile.subtree ?? "");
      return `${twin(tile.subtree ?? "")}\0${twins.map((id) => `${id} ${mirror.nameOf(id)} ${mirror.handle(id, tile.points[0]!)}`).join("\0")}`;
    }
    case "AlarmsTile": return twin(tile.subtree ?? "");
    case "SceneTile": return twin(tile.focus ?? "");
    case "TextTile": return "";
    default: return point(tile.point.twin, tile.point.point);
  }
}
