/**
 * Where a link leads, and what the link to here would be. Whatever of a link cannot be followed is
 * said in plain words and left out; the rest is followed.
 */

import { address } from "../address.ts";
import { clockText, dayText } from "../format.ts";
import { NO_LINK, read, written } from "../link.ts";
import type { Fault, Link, LinkCamera } from "../link.ts";
import type { Context, View } from "../panels/context.ts";
import { NoScene } from "../scene/no_scene.ts";
import { t } from "../words.ts";

const EVERY_MS = 1000;
const SOON_MS = 250;
const VIEWS: readonly View[] = ["tree", "branches", "inspector", "trends", "alarms", "commands"];

export class Arrival {
  /** Called with a link when it was followed, for what lies beside the panels; returns complaints. */
  readonly more: ((link: Link) => string[])[] = [];
  #isThere = false;
  /** Whether the person has done anything yet: before, the camera stands where the scene put it. */
  #isTouched = false;
  #isComing = true;
  #start: LinkCamera | null = null;
  #timer = 0;

  constructor(private readonly context: Context) {
    const { mirror } = context;
    address.follow(() => (this.#isThere ? this.#shown() : {}));
    address.on((link, way) => {
      if (way === "go") return;
      if (link.branch === mirror.branch && this.#isThere) this.follow(link, []);
      else this.#isThere = false;
    });
    mirror.on("structure", () => this.#arrive());
    for (const what of ["selection", "time"] as const) mirror.on(what, () => this.#soon());
    for (const what of ["pointerdown", "keydown", "wheel"] as const)
      window.addEventListener(what, () => (this.#isTouched = true), { capture: true, passive: true });
    window.setInterval(() => document.hidden || this.#keep(), EVERY_MS);
  }

  /** The link to what is shown now, for somebody else. With `isMoment` it leads to this moment, live or not. */
  here(isMoment = false): string {
    const { mirror } = this.context;
    const link: Link = { ...NO_LINK, ...pick(address.link), ...this.#shown(), camera: this.camera(), open: this.context.opened };
    if (isMoment && mirror.time.live) link.at_ms = Math.floor(mirror.nowMs());
    return written(document.baseURI, link);
  }

  /** Where the camera stands; null: no scene is in sight. */
  camera(): LinkCamera | null {
    const isInSight = !(this.context.scene instanceof NoScene) && address.link.board === null;
    return isInSight ? rounded(this.context.scene.camera()) : null;
  }

  /** Goes where a link leads. */
  follow(link: Link, faults: readonly Fault[], isFlown = false): void {
    const { mirror, scene } = this.context;
    const said = faults.map(({ name, said: what }) => t("“{what}” means nothing here.", { what: `${name}=${what}` }));
    said.push(...this.#followTime(link));
    const hasTwin = link.twin !== null && mirror.twins.has(link.twin);
    if (link.twin !== null && !hasTwin) said.push(t("There is no twin “{id}” here, or none that you may see.", { id: link.twin }));
    mirror.select(hasTwin ? link.twin : null);
    if (link.camera !== null) scene.setCamera(link.camera, { mode: link.mode, isFlown });
    else if (link.mode !== scene.mode && link.mode !== "orbit") scene.setMode(link.mode);
    else if (hasTwin) scene.focus(link.twin!, { fast: !isFlown });
    if (link.open !== null) {
      const view = VIEWS.find((each) => each === link.open);
      if (view !== undefined) this.context.show(view);
      else said.push(t("There is no panel “{name}”.", { name: link.open }));
    }
    for (const follow of this.more) said.push(...follow(link));
    if (said.length > 0) this.context.toast({ tone: "uncertain", title: t("Not all of this link could be followed"), detail: said.join(" "), isSticky: true });
  }

  #arrive(): void {
    const { mirror } = this.context;
    if (this.#isThere || mirror.branch !== address.link.branch) return;
    const { link, faults } = read(location.href);
    this.#isThere = true;
    const says = written(document.baseURI, link) !== written(document.baseURI, NO_LINK) || faults.length > 0;
    if (says) this.follow(link, this.#isComing ? faults : []);
    this.#isTouched ||= link.camera !== null;
    this.#isComing = false;
  }

  #followTime(link: Link): string[] {
    const { mirror } = this.context;
    const { at_ms } = link;
    if (at_ms === null) {
      if (!mirror.time.live) mirror.seek(null);
      return [];
    }
    const momentOf = (ms: number): string => `${dayText(ms)} ${clockText(ms)}`;
    if (at_ms > mirror.nowMs() + 1000) return [t("{time} has not come yet.", { time: momentOf(at_ms) })];
    if (mirror.firstMs === 0) return [t("Nothing is recorded here yet, so there is no past to look at.")];
    if (at_ms < mirror.firstMs) return [t("Nothing was recorded at {time}: the record begins at {first}.", { time: momentOf(at_ms), first: momentOf(mirror.firstMs) })];
    mirror.seek(Math.min(at_ms, mirror.nowMs()), link.speed);
    return [];
  }

  /** What the address is to say of what is shown; what has an owner of its own says so itself. */
  #shown(): Partial<Link> {
    const { mirror, scene } = this.context;
    const { time } = mirror;
    const camera = this.camera();
    if (!this.#isTouched) this.#start = camera;
    const isMoved = JSON.stringify(camera) !== JSON.stringify(this.#start);
    return {
      twin: mirror.selected,
      at_ms: time.live ? null : Math.floor(time.speed === 0 ? time.atMs : mirror.viewMs()),
      speed: time.live ? 0 : time.speed,
      mode: scene.mode,
      camera: isMoved || scene.mode === "walk" ? camera : null,
      open: null,
    };
  }

  #soon(): void {
    this.#timer ||= window.setTimeout(() => this.#keep(), SOON_MS);
  }

  #keep(): void {
    clearTimeout(this.#timer);
    this.#timer = 0;
    address.update();
  }
}

/** Of the address, what somebody who is sent a link wants as well. */
function pick({ branch, board, look }: Link): Partial<Link> {
  return { branch, board, look };
}

function rounded({ position, target }: LinkCamera): LinkCamera {
  const cm = (metres: number): number => Math.round(metres * 100) / 100 + 0;
  return { position: position.map(cm) as LinkCamera["position"], target: target.map(cm) as LinkCamera["target"] };
}
