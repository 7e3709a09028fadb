/** The bar of the arranging mode: what can be done by pointer, for those who do not know the keys. */

import type { Mirror } from "../mirror.ts";
import { button, h, openDialog, setText } from "../panels/dom.ts";
import { t } from "../words.ts";
import type { Arranging } from "./arranging.ts";
import type { Alignment } from "./snapping.ts";

const GRIDS = [0, 0.1, 0.25, 0.5, 1] as const;

export class ArrangeBar {
  readonly element: HTMLElement;
  readonly #hint = h("p", { class: "arrange-hint", role: "status" });
  readonly #acting: HTMLElement[];
  readonly #align: HTMLSelectElement;
  readonly #arranging: Arranging;
  readonly #mirror: Mirror;

  constructor(mirror: Mirror, arranging: Arranging) {
    this.#mirror = mirror;
    this.#arranging = arranging;
    const ways: readonly (readonly [Alignment, string])[] = [
      ["left", t("Left edges")],
      ["centre x", t("Middles, left to right")],
      ["right", t("Right edges")],
      ["back", t("Back edges")],
      ["centre z", t("Middles, back to front")],
      ["front", t("Front edges")],
    ];
    this.#align = h(
      "select",
      {
        class: "input",
        attrs: { "aria-label": t("Line up") },
        on: {
          change: () => {
            if (this.#align.value !== "") arranging.alignAll(this.#align.value as Alignment);
            this.#align.value = "";
          },
        },
      },
      h("option", { attrs: { value: "" } }, t("Line up")),
      ...ways.map(([value, label]) => h("option", { attrs: { value } }, label)),
    );
    const grid = h(
      "select",
      { class: "input", attrs: { "aria-label": t("Grid") }, on: { change: () => (arranging.grid_m = Number(grid.value)) } },
      ...GRIDS.map((size) => h("option", { attrs: { value: size, selected: size === arranging.grid_m } }, size === 0 ? t("no grid") : `${size} m`)),
    );
    const turn = button(t("Turn"), () => arranging.turn(15), "plain", "redo");
    turn.title = t("Turn by 15° (R, Shift+R)");
    const end = button(t("Delete"), () => arranging.end(), "danger");
    this.#acting = [turn, end];
    this.element = h(
      "section",
      { class: "arrange-bar", hidden: true, attrs: { "aria-label": t("Arrange") } },
      this.#hint,
      h("div", { class: "arrange-acts" }, button(t("Place…"), () => this.#openLibrary(), "plain", "plus"), turn, this.#align, grid, end, button(t("Undo"), () => void arranging.undo(), "plain", "undo"), button(t("History"), () => arranging.openHistory(), "plain", "clock"), button(t("Finish"), () => arranging.stop(), "primary")),
    );
    mirror.on("selection", () => this.paint());
  }

  paint(): void {
    const { chosen, placing, isOn } = this.#arranging;
    this.element.hidden = !isOn;
    for (const each of this.#acting) (each as HTMLButtonElement).disabled = chosen.length === 0;
    this.#align.disabled = chosen.length < 2;
    const said =
      placing !== null
        ? t("Click where the new {type} is to stand; Escape leaves it.", { type: this.#mirror.typeName(placing) })
        : chosen.length === 0
          ? t("Select a twin, then drag it; Shift adds more.")
          : chosen.length === 1
            ? t("{name}: drag it, arrows move it, R turns it, Delete ends it.", { name: this.#mirror.nameOf(chosen[0]!) })
            : t("{n} twins: drag them, line them up.", { n: chosen.length });
    setText(this.#hint, said);
  }

  /** The library: the types of the world, those that look like something first. */
  #openLibrary(): void {
    const count = new Map<string, number>();
    for (const twin of this.#mirror.twins.values()) if (twin.type) count.set(twin.type, (count.get(twin.type) ?? 0) + 1);
    const types = [...this.#mirror.types.values()].sort((a, b) => Number((b.geometry ?? "") !== "") - Number((a.geometry ?? "") !== "") || (count.get(b.id) ?? 0) - (count.get(a.id) ?? 0));
    const choose = (id: string): void => {
      dialog.close();
      this.#arranging.placing = id;
      this.paint();
    };
    const list = h(
      "ul",
      { class: "arrange-library" },
      ...types.slice(0, 500).map((type) => h("li", {}, h("button", { attrs: { type: "button" }, on: { click: () => choose(type.id) } }, h("b", {}, this.#mirror.typeName(type.id)), h("span", {}, t("{n} here", { n: count.get(type.id) ?? 0 }))))),
    );
    const dialog = openDialog(t("Place something new"), types.length > 0 ? list : h("p", {}, t("This world has no types yet.")), []);
  }
}
