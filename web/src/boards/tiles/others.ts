// Tiles that show no points: alarms, the scene, words.

import { ageText, labelText, momentText } from "../../format.ts";
import { text } from "../../mirror.ts";
import { acknowledge } from "../../panels/alarms.ts";
import { h, setText } from "../../panels/dom.ts";
import { icon, type IconName } from "../../panels/icons.ts";
import { button } from "../../panels/dom.ts";
import { t } from "../../words.ts";
import { isBelow } from "../limits.ts";
import type { Tile } from "../model.ts";
import { type Means, notShown, type TileView } from "./tile.ts";

const ROWS_AT_MOST = 100;

class AlarmsView implements TileView {
  readonly element = h("div", { class: "tile-alarms scroll", tabIndex: 0 });
  readonly title = t("Alarms");
  readonly sub: string;
  readonly twin: string;
  readonly handles = [];
  private ages: [HTMLElement, number][] = [];
  private shown = "\0";

  constructor(
    private readonly means: Means,
    private readonly subtree: string,
    private readonly severity: number,
  ) {
    this.sub = subtree ? means.context.mirror.nameOf(subtree) : "";
    this.twin = subtree;
    this.element.setAttribute("aria-label", this.title);
    this.element.setAttribute("role", "region");
  }

  paint(): void {
    const { mirror } = this.means.context;
    const events = mirror.alarms().filter((event) => (event.severity ?? 0) >= this.severity && (this.subtree === "" || isBelow(mirror, event.twin, this.subtree)));
    const shown = `${mirror.time.live}${events.map((event) => `${event.id}\0${event.severity}\0${event.is_acknowledged}\0${event.is_active}\0${text(event.message)}`).join("\u0001")}`;
    if (shown !== this.shown) {
      this.shown = shown;
      this.build(events.slice(0, ROWS_AT_MOST), events.length - ROWS_AT_MOST);
    }
    const now_ms = mirror.nowMs();
    for (const [element, at_ms] of this.ages) setText(element, ageText(now_ms - at_ms));
  }

  private build(events: ReturnType<Means["context"]["mirror"]["alarms"]>, more: number): void {
    const { context } = this.means;
    const { mirror } = context;
    this.ages = [];
    const rows = events.map((event) => {
      const severity = event.severity ?? 0;
      const at_ms = (event.source_ns ?? 0) / 1e6;
      const age = h("span", { class: "num dim age", title: momentText(at_ms) });
      this.ages.push([age, at_ms]);
      const words = text(event.message) || labelText(event.kind);
      return h(
        "div",
        { class: `tile-alarm ${event.is_acknowledged ? "acknowledged" : ""}`, role: "listitem", attrs: { "data-event": event.id } },
        h("span", { class: `sev-${severity}` }, icon(`alarm-${severity}` as IconName, "alarm")),
        h("button", { class: "tile-alarm-words", title: words, attrs: { type: "button" }, on: { click: () => context.goTo(event.twin, true) } }, h("span", { class: "clip" }, words), h("small", { class: "clip dim" }, mirror.nameOf(event.twin))),
        age,
        event.is_acknowledged ? h("span", { class: "chip" }, t("acknowledged")) : button(t("Acknowledge"), () => void acknowledge(context, event.id), "plain"),
      );
    });
    const note = mirror.time.live ? null : h("p", { class: "tile-note" }, t("These are the conditions of now, not of the time that is shown."));
    const rest = more > 0 ? h("p", { class: "tile-note" }, t("{n} more", { n: more })) : null;
    const list = rows.length > 0 ? h("div", { role: "list" }, ...rows) : h("p", { class: "tile-empty" }, icon("check"), t("No active alarms"));
    this.element.replaceChildren(...[note, list, rest].filter((each) => each !== null));
  }

  close(): void {}
}

type SceneTile = Extract<Tile, { "@": "SceneTile" }>;

class SceneView implements TileView {
  readonly element = h("div", { class: "tile-scene" });
  readonly title = t("Scene");
  readonly sub: string;
  readonly twin: string;
  readonly handles = [];

  constructor(
    private readonly means: Means,
    tile: SceneTile,
  ) {
    const { scene, mirror } = means.context;
    this.twin = tile.focus ?? "";
    this.sub = this.twin ? mirror.nameOf(this.twin) : "";
    this.element.append(
      h("div", { class: "tile-scene-tools" }, button(t("Reset view"), () => this.look(tile, false), "quiet", "focus")),
    );
    scene.place(this.element);
    // The canvas has the tile's size once the tile is on the page.
    requestAnimationFrame(() => this.element.isConnected && this.look(tile, true));
  }

  private look(tile: SceneTile, fast: boolean): void {
    const { scene } = this.means.context;
    if (tile.camera) scene.setCamera(tile.camera);
    else if (tile.focus) scene.focus(tile.focus, { fast });
    else scene.home({ fast });
  }

  paint(): void {}

  see(isSeen: boolean): void {
    this.means.context.scene.rest(!isSeen);
  }

  close(): void {
    this.means.context.scene.rest(true);
    this.means.context.scene.place(null);
  }
}

export function alarmsView(means: Means, tile: Extract<Tile, { "@": "AlarmsTile" }>): TileView {
  const { mirror } = means.context;
  const subtree = tile.subtree ?? "";
  if (subtree && !mirror.twins.has(subtree)) return notShown(subtree);
  return new AlarmsView(means, subtree, tile.severity ?? 1);
}

export function sceneView(means: Means, tile: SceneTile): TileView {
  if (tile.focus && !means.context.mirror.twins.has(tile.focus)) return notShown(tile.focus);
  return new SceneView(means, tile);
}

export function textView(tile: Extract<Tile, { "@": "TextTile" }>): TileView {
  return {
    element: h("div", { class: "tile-text scroll", tabIndex: 0 }, tile.text ?? ""),
    title: "",
    sub: "",
    twin: "",
    handles: [],
    paint: () => undefined,
    close: () => undefined,
  };
}
