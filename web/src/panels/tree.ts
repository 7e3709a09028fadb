// The twins as a tree, by what they are part of or by type. Draws only the rows in sight.

import type { Id } from "../mirror.ts";
import { countText } from "../format.ts";
import { Choosing } from "./choosing.ts";
import type { Context } from "./context.ts";
import { beginning } from "./discovered.ts";
import { h, iconButton, segmented, setAttr, setText } from "./dom.ts";
import { mayEdit } from "./edit.ts";
import { icon, setIcon } from "./icons.ts";
import { openMapping } from "./mapping.ts";
import type { Painter } from "./pulse.ts";
import { Standing } from "./standing.ts";
import { t } from "../words.ts";

const ROW_PX = 28;
/** Rows drawn beyond the visible ones, so that scrolling shows no gaps. */
const SPARE_ROWS = 6;
/** Without a choice by the person, the tree opens itself until it has about this many rows. */
const OPEN_ROWS = 40;

/** A row: a twin's id, or a type's with this before it. */
const NATURAL = new Intl.Collator(undefined, { numeric: true });
const TYPE = "type\0";

interface RowView {
  element: HTMLElement;
  twist: HTMLElement;
  name: HTMLElement;
  kind: HTMLElement;
  alarm: SVGSVGElement;
  quality: HTMLElement;
  shown: string;
}

export class Tree implements Painter {
  private readonly list: HTMLElement;
  private readonly space: HTMLElement;
  private readonly foot: HTMLElement;
  private readonly empty: HTMLElement;
  private readonly beginning: { element: HTMLElement; paint(): void };
  /** In place of rows until the world has come. */
  private readonly waiting = h("div", { class: "tree-waiting", attrs: { "aria-hidden": "true" } });
  private readonly pool: RowView[] = [];
  private readonly open = new Set<string>();
  private keys: string[] = [];
  private levels: number[] = [];
  private rowOf = new Map<string, number>();
  private byType = new Map<Id, Id[]>();
  private mode: "parts" | "types" = "parts";
  private active = "";
  private isStructureStale = true;
  private areRowsStale = true;
  private hasOpened = false;
  private readonly modes: { element: HTMLElement; set(choice: "parts" | "types"): void };
  private typed = "";
  private typedAt = 0;
  private selectTimer = 0;
  private stateAt = -Infinity;
  private isStateStale = true;
  private readonly standing: Standing;
  private readonly choosing: Choosing;
  private readonly mapping: HTMLButtonElement;

  constructor(
    host: HTMLElement,
    private readonly context: Context,
    onClose: () => void,
  ) {
    const { mirror, pulse } = context;
    this.standing = new Standing(mirror);
    this.choosing = new Choosing(context, () => pulse.mark(this));
    this.mapping = iconButton("tag", t("Mapping: many twins at once"), () => openMapping(context, mirror.selected === null ? [] : [mirror.selected]));
    this.mapping.hidden = true;
    this.modes = segmented(
      t("Group twins by"),
      [
        ["parts", t("Parts")],
        ["types", t("Types")],
      ] as const,
      "parts",
      (choice) => {
        this.mode = choice;
        this.areRowsStale = true;
        this.isStateStale = true;
        this.stateAt = -Infinity;
        pulse.mark(this);
      },
    );
    this.space = h("div", { class: "tree-space", role: "presentation" });
    this.list = h(
      "div",
      {
        class: "tree scroll",
        role: "tree",
        tabIndex: 0,
        attrs: { "aria-label": t("Twins"), "aria-multiselectable": "true" },
        on: {
          scroll: () => this.drawRows(),
          keydown: (event) => this.onKey(event),
          pointerleave: () => mirror.hover(null),
          focus: () => {
            if (!this.rowOf.has(this.active)) this.active = this.keys[0] ?? "";
            this.drawRows();
          },
        },
      },
      this.space,
    );
    this.beginning = beginning(context);
    this.empty = this.beginning.element;
    this.empty.hidden = true;
    for (const [indent, width] of [[0, 42], [16, 54], [32, 36], [32, 44], [32, 30], [32, 48], [32, 40]] as const) {
      const bar = h("div", { class: "skeleton" });
      bar.style.marginLeft = `${indent}px`;
      bar.style.width = `${width}%`;
      this.waiting.append(bar);
    }
    this.foot = h("div", { class: "tree-foot num" });
    host.append(
      h(
        "div",
        { class: "panel-head" },
        h("h2", { class: "grow" }, t("Twins")),
        this.modes.element,
        this.mapping,
        iconButton("minus", t("Collapse all"), () => {
          this.open.clear();
          this.areRowsStale = true;
          pulse.mark(this);
        }),
        iconButton("close", t("Close"), onClose, "only-sheet"),
      ),
      this.waiting,
      this.empty,
      this.list,
      this.choosing.bar,
      this.foot,
    );
    mirror.on("structure", () => {
      this.waiting.remove();
      this.isStructureStale = true;
      pulse.mark(this);
    });
    mirror.on("selection", () => this.reveal(mirror.selected));
    mirror.on("hover", () => pulse.mark(this));
    mirror.on("values", () => this.markState());
    mirror.on("events", () => this.markState());
    mirror.on("time", () => this.markState());
    new ResizeObserver(() => this.drawRows()).observe(this.list);
    pulse.tick(this);
    pulse.mark(this);
  }

  focus(): void {
    this.list.focus();
  }

  /** Groups by type and opens one type's twins. */
  showType(type: Id): void {
    this.mode = "types";
    this.modes.set("types");
    this.isStateStale = true;
    this.stateAt = -Infinity;
    this.open.add(TYPE + type);
    this.active = TYPE + type;
    this.areRowsStale = true;
    this.wantsScroll = true;
    this.context.pulse.mark(this);
  }

  /** Opens the way to a twin, scrolls to it and makes it the active row. */
  reveal(id: Id | null): void {
    if (id !== null) {
      if (this.mode === "types") this.open.add(TYPE + (this.context.mirror.twins.get(id)?.type ?? ""));
      else {
        let parent = this.context.mirror.parent(id);
        for (let depth = 0; parent !== undefined && depth < 64; depth++) {
          if (!this.open.has(parent)) this.areRowsStale = true;
          this.open.add(parent);
          parent = this.context.mirror.parent(parent);
        }
      }
      if (this.mode === "types") this.areRowsStale = true;
      if (this.active !== id) {
        this.active = id;
        this.wantsScroll = true;
      }
    }
    this.context.pulse.mark(this);
  }
  private wantsScroll = false;

  paint(): void {
    if (this.isStructureStale) {
      this.isStructureStale = false;
      this.indexStructure();
    }
    if (this.areRowsStale) {
      this.areRowsStale = false;
      this.flatten();
    }
    const now = performance.now();
    if (this.isStateStale && now - this.stateAt > 900) {
      this.isStateStale = false;
      this.stateAt = now;
      this.standing.weigh(this.mode === "types" ? this.byType : null);
    }
    if (this.wantsScroll) {
      this.wantsScroll = false;
      this.scrollTo(this.active);
    }
    this.drawRows();
  }

  private markState(): void {
    this.isStateStale = true;
    if (performance.now() - this.stateAt > 900) this.context.pulse.mark(this);
  }

  // --- what the rows are ---------------------------------------------------------------------

  private indexStructure(): void {
    const { mirror } = this.context;
    this.byType = new Map();
    for (const [id, twin] of mirror.twins) {
      const type = twin.type ?? "";
      const members = this.byType.get(type);
      if (members) members.push(id);
      else this.byType.set(type, [id]);
    }
    this.standing.index();
    this.mapping.hidden = !mayEdit(this.context);
    this.isStateStale = true;
    this.stateAt = -Infinity;
    this.areRowsStale = true;
    if (!this.hasOpened && mirror.twins.size > 0) {
      this.hasOpened = true;
      this.openFirst();
    }
    this.empty.hidden = mirror.twins.size > 0 || this.waiting.isConnected;
    if (!this.empty.hidden) this.beginning.paint();
    this.list.hidden = mirror.twins.size === 0;
    this.foot.hidden = mirror.twins.size === 0;
    setText(this.foot, t("{twins} twins · {points} points", { twins: countText(mirror.twins.size), points: countText(mirror.nPoints) }));
  }

  private openFirst(): void {
    const { mirror } = this.context;
    let level: readonly Id[] = mirror.roots();
    let rows = level.length;
    while (level.length > 0) {
      const below = level.flatMap((id) => mirror.children(id) as Id[]);
      if (rows + below.length > OPEN_ROWS) break;
      for (const id of level) if (mirror.children(id).length > 0) this.open.add(id);
      rows += below.length;
      level = below;
    }
  }

  private childrenOf(key: string): readonly string[] {
    if (key.startsWith(TYPE)) return this.byType.get(key.slice(TYPE.length)) ?? [];
    return this.mode === "types" ? [] : this.context.mirror.children(key);
  }

  /** Parts of one type by the numbers in their names, as floors are; others as they were declared,
      as machines stand along a line. */
  private inOrder(ids: readonly string[]): readonly string[] {
    const { mirror } = this.context;
    const type = mirror.twins.get(ids[0] ?? "")?.type;
    if (ids.length < 2 || ids.some((id) => mirror.twins.get(id)?.type !== type)) return ids;
    return ids
      .map((id) => [mirror.nameOf(id), id] as const)
      .sort((a, b) => NATURAL.compare(a[0], b[0]))
      .map(([, id]) => id);
  }

  private flatten(): void {
    const { mirror } = this.context;
    const keys: string[] = [];
    const levels: number[] = [];
    const roots =
      this.mode === "parts"
        ? this.inOrder(mirror.roots())
        : [...this.byType.keys()]
            .sort((a, b) => NATURAL.compare(mirror.typeName(a), mirror.typeName(b)))
            .map((type) => TYPE + type);
    const stack: [string, number][] = [];
    for (let i = roots.length - 1; i >= 0; i--) stack.push([roots[i]!, 1]);
    while (stack.length > 0) {
      const [key, level] = stack.pop()!;
      keys.push(key);
      levels.push(level);
      if (this.open.has(key)) {
        // All twins of a type may be thousands, and are shown as they came.
        const below = this.mode === "parts" ? this.inOrder(this.childrenOf(key)) : this.childrenOf(key);
        for (let i = below.length - 1; i >= 0; i--) stack.push([below[i]!, level + 1]);
      }
    }
    this.keys = keys;
    this.levels = levels;
    this.rowOf = new Map(keys.map((key, row) => [key, row]));
    this.space.style.height = `${keys.length * ROW_PX + 8}px`;
    for (const view of this.pool) view.shown = "";
  }

  // --- drawing -------------------------------------------------------------------------------

  private drawRows(): void {
    const height = this.list.clientHeight;
    if (height === 0) return;
    const first = Math.max(0, Math.floor(this.list.scrollTop / ROW_PX) - SPARE_ROWS);
    const last = Math.min(this.keys.length, Math.ceil((this.list.scrollTop + height) / ROW_PX) + SPARE_ROWS);
    while (this.pool.length < last - first) this.pool.push(this.makeRow());
    const size = this.pool.length;
    const used = new Set<number>();
    for (let row = first; row < last; row++) {
      used.add(row % size);
      this.drawRow(this.pool[row % size]!, row);
    }
    this.pool.forEach((view, i) => {
      view.element.hidden = !used.has(i);
    });
    const active = this.rowOf.get(this.active);
    setAttr(
      this.list,
      "aria-activedescendant",
      active !== undefined && active >= first && active < last ? this.pool[active % size]!.element.id : null,
    );
  }

  private drawRow(view: RowView, row: number): void {
    const { mirror } = this.context;
    const key = this.keys[row]!;
    const isType = key.startsWith(TYPE);
    const { element } = view;
    const shown = `${row}\0${key}`;
    if (view.shown !== shown) {
      view.shown = shown;
      element.style.transform = `translateY(${row * ROW_PX + 4}px)`;
      element.style.paddingLeft = `${(this.levels[row]! - 1) * 14}px`;
      element.dataset["key"] = key;
      setAttr(element, "aria-level", String(this.levels[row]));
      const below = this.childrenOf(key).length;
      setAttr(element, "aria-expanded", below > 0 ? String(this.open.has(key)) : null);
      if (isType) {
        const type = key.slice(TYPE.length);
        setText(view.name, type === "" ? t("No type") : mirror.typeName(type));
        setText(view.kind, countText(below));
      } else {
        const name = mirror.nameOf(key);
        const type = mirror.twins.get(key)?.type ?? "";
        setText(view.name, name);
        setText(view.kind, type === "" || this.mode === "types" ? "" : mirror.typeName(type));
        element.title = name === key ? key : `${name}\n${key}`;
      }
      element.classList.toggle("group", isType);
    }
    element.classList.toggle("selected", key === mirror.selected);
    element.classList.toggle("chosen", this.choosing.has(key));
    element.classList.toggle("active", key === this.active);
    element.classList.toggle("hovered", key === mirror.hovered);
    setAttr(element, "aria-selected", String(key === mirror.selected || this.choosing.has(key)));
    setAttr(element, "draggable", !isType && mayEdit(this.context) ? "true" : null);
    this.drawState(view, key, isType);
  }

  private drawState(view: RowView, key: string, isType: boolean): void {
    const { alarm, quality, isOwnAlarm, isOwnQuality } = isType
      ? this.standing.ofType(key.slice(TYPE.length))
      : this.standing.of(key);
    view.alarm.toggleAttribute("hidden", alarm < 0);
    if (alarm >= 0) {
      setIcon(view.alarm, `alarm-${alarm as 0 | 1 | 2 | 3}`);
      view.alarm.setAttribute("class", `icon alarm sev-${alarm}${isOwnAlarm ? "" : " inherited"}`);
    }
    view.quality.hidden = quality === 0;
    view.quality.className = `tree-quality ${quality === 2 ? "bad" : "uncertain"}${isOwnQuality ? "" : " inherited"}`;
    const words = [
      alarm >= 0 ? `${["information", "low", "medium", "high"][alarm]} alarm` : "",
      quality > 0 ? t(quality === 2 ? "bad values" : "uncertain values") : "",
    ].filter(Boolean);
    const label = `${view.name.textContent}${words.length ? `, ${words.join(", ")}` : ""}`;
    setAttr(view.element, "aria-label", label);
  }

  private makeRow(): RowView {
    const twist = h("span", { class: "tree-twist" }, icon("chevron"));
    const name = h("span", { class: "tree-name clip" });
    const kind = h("span", { class: "tree-kind clip num" });
    const alarm = icon("alarm-0", "alarm");
    const quality = h("span", { class: "tree-quality" });
    const fly = iconButton("focus", t("Fly there"), (event) => {
      event.stopPropagation();
      const key = element.dataset["key"]!;
      if (!key.startsWith(TYPE)) this.context.goTo(key, true);
    }, "small tree-fly");
    fly.tabIndex = -1;
    const element: HTMLElement = h(
      "div",
      {
        class: "tree-row",
        id: `tree-row-${this.pool.length}`,
        role: "treeitem",
        on: {
          click: (event) => {
            const key = element.dataset["key"]!;
            this.active = key;
            if (twist.contains(event.target as Node) || key.startsWith(TYPE)) this.toggle(key);
            else if ((event.ctrlKey || event.metaKey) && mayEdit(this.context)) this.choosing.toggle(key);
            else if (event.shiftKey && mayEdit(this.context)) this.choosing.extend(key, this.keys);
            else {
              this.choosing.begin(key);
              this.context.goTo(key);
            }
            this.context.pulse.mark(this);
          },
          dblclick: () => {
            const key = element.dataset["key"]!;
            if (!key.startsWith(TYPE)) this.context.goTo(key, true);
          },
          pointerenter: () => {
            const key = element.dataset["key"]!;
            if (!key.startsWith(TYPE)) this.context.mirror.hover(key);
          },
        },
      },
      twist,
      name,
      kind,
      fly,
      h("span", { class: "tree-state" }, alarm, quality),
    );
    this.choosing.makeDraggable(element, () => {
      const key = element.dataset["key"]!;
      return key.startsWith(TYPE) ? null : key;
    });
    this.space.append(element);
    return { element, twist, name, kind, alarm, quality, shown: "" };
  }

  private toggle(key: string, isOpen = !this.open.has(key)): void {
    if (isOpen) this.open.add(key);
    else this.open.delete(key);
    this.areRowsStale = true;
    this.context.pulse.mark(this);
  }

  private scrollTo(key: string): void {
    const row = this.rowOf.get(key);
    if (row === undefined) return;
    const top = row * ROW_PX;
    const { scrollTop, clientHeight } = this.list;
    if (top < scrollTop) this.list.scrollTop = top - ROW_PX * 2;
    else if (top + ROW_PX > scrollTop + clientHeight) this.list.scrollTop = top + ROW_PX * 3 - clientHeight;
  }

  // --- keys (ARIA tree pattern) --------------------------------------------------------------

  private onKey(event: KeyboardEvent): void {
    if (event.altKey) return;
    if (this.areRowsStale) {
      this.areRowsStale = false; // keys may come faster than pictures
      this.flatten();
    }
    const row = this.rowOf.get(this.active) ?? 0;
    const key = this.keys[row];
    if (key === undefined) return;
    if (this.chooseByKey(event, key, row)) return;
    if (event.ctrlKey || event.metaKey) return;
    const hasChildren = this.childrenOf(key).length > 0;
    let to = row;
    switch (event.key) {
      case "ArrowDown": to = row + 1; break;
      case "ArrowUp": to = row - 1; break;
      case "Home": to = 0; break;
      case "End": to = this.keys.length - 1; break;
      case "PageDown": to = row + Math.floor(this.list.clientHeight / ROW_PX) - 1; break;
      case "PageUp": to = row - Math.floor(this.list.clientHeight / ROW_PX) + 1; break;
      case "ArrowRight":
        if (hasChildren && !this.open.has(key)) this.toggle(key, true);
        else if (hasChildren) to = row + 1;
        break;
      case "ArrowLeft":
        if (this.open.has(key)) this.toggle(key, false);
        else while (to > 0 && this.levels[to]! >= this.levels[row]!) to -= 1;
        break;
      case "Enter":
        if (key.startsWith(TYPE)) this.toggle(key);
        else this.context.goTo(key, true);
        break;
      case " ":
        if (key.startsWith(TYPE)) this.toggle(key);
        else this.context.goTo(key);
        break;
      case "*": {
        const level = this.levels[row]!;
        for (let i = 0; i < this.keys.length; i++) {
          if (this.levels[i] === level && this.childrenOf(this.keys[i]!).length > 0) this.open.add(this.keys[i]!);
        }
        this.areRowsStale = true;
        break;
      }
      default:
        if (event.key.length !== 1 || event.key === "/" || event.key === "?") return;
        to = this.typeAhead(event.key, row);
    }
    event.preventDefault();
    event.stopPropagation();
    this.moveTo(Math.max(0, Math.min(this.keys.length - 1, to)), row);
  }

  /** Shift and an arrow extends the choice, ctrl and space adds to it or takes off it, escape ends it. */
  private chooseByKey(event: KeyboardEvent, key: string, row: number): boolean {
    if (!mayEdit(this.context)) return false;
    if (event.key === " " && (event.ctrlKey || event.metaKey) && !key.startsWith(TYPE)) this.choosing.toggle(key);
    else if (event.key === "Escape" && this.choosing.chosen.size > 0) this.choosing.clear();
    else if (event.shiftKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const next = this.keys[row + (event.key === "ArrowDown" ? 1 : -1)];
      if (next === undefined || next.startsWith(TYPE)) return false;
      if (this.choosing.chosen.size === 0) this.choosing.begin(key);
      this.choosing.extend(next, this.keys);
      this.active = next;
      this.scrollTo(next);
      this.drawRows();
    } else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  private moveTo(to: number, from: number): void {
    if (to !== from) {
      const key = this.keys[to]!;
      this.active = key;
      this.scrollTo(key);
      // Selection follows, once the person rests on a row.
      clearTimeout(this.selectTimer);
      if (!key.startsWith(TYPE)) {
        this.selectTimer = window.setTimeout(() => this.context.mirror.select(key), 140);
      }
    }
    this.context.pulse.mark(this);
    this.drawRows();
  }

  private typeAhead(letter: string, row: number): number {
    const now = performance.now();
    this.typed = now - this.typedAt < 700 ? this.typed + letter.toLowerCase() : letter.toLowerCase();
    this.typedAt = now;
    const start = this.typed.length > 1 ? row : row + 1;
    for (let i = 0; i < this.keys.length; i++) {
      const at = (start + i) % this.keys.length;
      const key = this.keys[at]!;
      const name = key.startsWith(TYPE)
        ? this.context.mirror.typeName(key.slice(TYPE.length))
        : this.context.mirror.nameOf(key);
      if (name.toLowerCase().startsWith(this.typed)) return at;
    }
    return row;
  }
}
