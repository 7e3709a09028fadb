// What every tile on a board is to the board: a body, the points it shows, and a way to paint it.

import { ageText, labelText } from "../../format.ts";
import type { Mirror } from "../../mirror.ts";
import type { Context } from "../../panels/context.ts";
import { h, setText } from "../../panels/dom.ts";
import { icon, setIcon } from "../../panels/icons.ts";
import { originOfPoint, qualityWords, SEVERITIES } from "../../panels/values.ts";
import { t } from "../../words.ts";
import type { Limits } from "../limits.ts";
import type { PointAt } from "../model.ts";
import type { Past } from "../past.ts";

/** What tiles share. */
export interface Means {
  readonly context: Context;
  readonly limits: Limits;
  readonly past: Past;
}

export interface TileView {
  readonly element: HTMLElement;
  /** What the tile says of itself if nobody gave it a title. */
  readonly title: string;
  readonly sub: string;
  /** Twin that its title leads to; "": none. */
  readonly twin: string;
  /** Points whose values it shows: it is painted when one of them changes. */
  readonly handles: readonly number[];
  /** Says what is new in words. Reads no sizes, so that a hundred tiles cost one layout. */
  paint(): void;
  /** Draws what needs its size, once all have said theirs. */
  draw?(): void;
  /** Comes into sight or goes out of it. */
  see?(isSeen: boolean): void;
  close(): void;
}

/** -1: there is no such point for this person. */
export function handleOf(mirror: Mirror, { twin, point }: PointAt): number {
  return mirror.twins.has(twin) ? mirror.handle(twin, point) : -1;
}

/** The last part of a point's name, as people read it. */
export function pointLabel(name: string): string {
  return labelText(name.slice(name.lastIndexOf("/") + 1));
}

/** Stands for what is not there for this person: it has ended, or they may not see it. */
export function notShown(what: string, hint = t("It is not there, or you have no right to see it.")): TileView {
  return {
    element: h("div", { class: "tile-absent", title: what }, icon("lock"), h("p", {}, t("Not shown to you")), h("small", {}, hint)),
    title: what,
    sub: "",
    twin: "",
    handles: [],
    paint: () => undefined,
    close: () => undefined,
  };
}

/** How old, how good and where from: the line below a value. */
export class StandingLine {
  readonly element: HTMLElement;
  private readonly age = h("span", { class: "age num" });
  private readonly quality = h("span", { class: "quality" });
  private readonly sign = icon("measured", "small");

  constructor(
    private readonly mirror: Mirror,
    private readonly handle: number,
  ) {
    this.element = h("div", { class: "tile-standing" }, this.sign, this.age, this.quality);
  }

  paint(): void {
    const { mirror, handle } = this;
    const hasValue = mirror.timeMs[handle]! > 0;
    const severity = mirror.severity(handle);
    const origin = originOfPoint(mirror, handle);
    setIcon(this.sign, origin);
    setClass(this.sign, `icon small origin ${origin}`);
    setText(this.age, hasValue ? ageText(mirror.ageMs(handle)) : t("no value yet"));
    setText(this.quality, hasValue ? qualityWords(mirror, handle) : "");
    const className = `tile-standing ${hasValue ? SEVERITIES[severity] : ""}`;
    setClass(this.element, className);
  }
}

export function setClass(element: Element, name: string): void {
  if (element.getAttribute("class") !== name) element.setAttribute("class", name);
}
