// Choosing several twins in the tree, and what may be done with them: grouped, moved, mapped.

import type { Id } from "../mirror.ts";
import { t } from "../words.ts";
import type { Context } from "./context.ts";
import { button, h, iconButton, setText } from "./dom.ts";
import { openMapping } from "./mapping.ts";
import { moveInto, openGroup, openMoveInto } from "./relate.ts";

/** What twins are while they are dragged: their ids, one a line. */
const TWIN_DRAG = "text/x-twins";

/** The twins that a person has chosen in a list of rows. */
export class Choosing {
  readonly chosen = new Set<Id>();
  /** Says how many are chosen and offers what may be done; hidden below two. */
  readonly bar: HTMLElement;
  private readonly count = h("span", { class: "grow num", role: "status" });
  private anchor: Id | null = null;

  constructor(
    private readonly context: Context,
    private readonly onChange: () => void,
  ) {
    const twins = (): Id[] => [...this.chosen].filter((id) => context.mirror.twins.has(id));
    this.bar = h(
      "div",
      { class: "choosing", role: "toolbar", hidden: true, attrs: { "aria-label": t("Chosen twins") } },
      this.count,
      button(t("Group…"), () => openGroup(context, twins(), () => this.clear())),
      button(t("Part of…"), () => openMoveInto(context, twins(), () => this.clear())),
      button(t("Map…"), () => openMapping(context, twins())),
      iconButton("close", t("Choose none"), () => this.clear(), "small"),
    );
  }

  has(id: Id): boolean {
    return this.chosen.has(id);
  }

  /** Begins anew with one twin, as the place from which a range goes. */
  begin(id: Id): void {
    this.anchor = id;
    if (this.chosen.size > 0) this.clear();
  }

  toggle(id: Id): void {
    if (this.chosen.size === 0 && this.anchor !== null && this.anchor !== id) this.chosen.add(this.anchor);
    if (!this.chosen.delete(id)) this.chosen.add(id);
    this.anchor = id;
    this.changed();
  }

  /** Chooses all twins from where it began to another, in the order of the rows. */
  extend(id: Id, rows: readonly Id[]): void {
    const from = this.anchor === null ? -1 : rows.indexOf(this.anchor);
    const to = rows.indexOf(id);
    if (from < 0 || to < 0) {
      this.toggle(id);
      return;
    }
    this.chosen.clear();
    for (const each of rows.slice(Math.min(from, to), Math.max(from, to) + 1)) if (this.context.mirror.twins.has(each)) this.chosen.add(each);
    this.changed();
  }

  clear(): void {
    this.chosen.clear();
    this.changed();
  }

  private changed(): void {
    this.bar.hidden = this.chosen.size < 2;
    setText(this.count, t("{n} chosen", { n: this.chosen.size }));
    this.onChange();
  }

  /** Lets a row be dragged onto another twin, to become a part of it. */
  makeDraggable(row: HTMLElement, twinOf: () => Id | null): void {
    row.addEventListener("dragstart", (event) => {
      const id = twinOf();
      if (id === null || !event.dataTransfer) return event.preventDefault();
      const twins = this.chosen.has(id) ? [...this.chosen] : [id];
      event.dataTransfer.setData(TWIN_DRAG, twins.join("\n"));
      event.dataTransfer.setData("text/plain", twins.join("\n"));
      event.dataTransfer.effectAllowed = "move";
    });
    const over = (event: DragEvent, isOver: boolean): void => {
      if (!event.dataTransfer?.types.includes(TWIN_DRAG)) return;
      if (isOver && twinOf() !== null) event.preventDefault();
      row.classList.toggle("drop", isOver && twinOf() !== null);
    };
    row.addEventListener("dragover", (event) => over(event, true));
    row.addEventListener("dragleave", (event) => over(event, false));
    row.addEventListener("dragend", () => row.classList.remove("drop"));
    row.addEventListener("drop", (event) => {
      row.classList.remove("drop");
      const dragged = event.dataTransfer?.getData(TWIN_DRAG) ?? "";
      const whole = twinOf();
      if (dragged === "" || whole === null) return;
      event.preventDefault();
      const twins = dragged.split("\n").filter((id) => id !== whole && this.context.mirror.twins.has(id));
      if (twins.length > 0) void moveInto(this.context, twins, whole).then(() => this.clear());
    });
  }
}
