/** What is selected, hovered or pointed out: its outline, its relations as arcs, its soft glow. */

import type { Scene } from "three";
import type { Id, Mirror } from "../mirror.ts";
import { Outline } from "./outline.ts";
import type { Palette } from "./palette.ts";
import { Pipes } from "./pipes.ts";
import type { Population } from "./population.ts";
import { Channel } from "./twin_state.ts";
import type { TwinStates } from "./twin_state.ts";

/** How bright what was looked for glows, and what is related to it. */
const GLOW = { result: 255, related: 170 } as const;

export class Chosen {
  readonly outline = new Outline();
  readonly #mirror: Mirror;
  readonly #states: TwinStates;
  readonly #scene: Scene;
  #links: Pipes | null = null;
  #glowing: number[] = [];

  constructor(mirror: Mirror, states: TwinStates, scene: Scene) {
    this.#mirror = mirror;
    this.#states = states;
    this.#scene = scene;
  }

  /** Ordinals of what is selected and of what is hovered; -1: nothing. */
  get selected(): number {
    return this.#ordinal(this.#mirror.selected);
  }

  get hovered(): number {
    return this.#ordinal(this.#mirror.hovered);
  }

  #ordinal(id: Id | null): number {
    return id === null ? -1 : this.#mirror.ordinal(id);
  }

  setTheme({ accent, hover }: Palette): void {
    this.outline.setColors(accent, hover);
  }

  takeSelection(population: Population | null, { flow, flowLight, power, accent }: Palette): void {
    const { selected } = this.#mirror;
    this.outline.select(this.selected < 0 ? [] : population?.shapes(this.selected) ?? []);
    this.#links?.mesh.removeFromParent();
    this.#links?.dispose();
    this.#links = null;
    if (selected === null || population === null) return;
    this.#links = new Pipes(population.links(selected));
    this.#links.setColors(flow, flowLight, power, accent);
    this.#scene.add(this.#links.mesh);
  }

  takeHover(population: Population | null): void {
    const isSame = this.#mirror.hovered === this.#mirror.selected;
    this.outline.hover(this.hovered < 0 || isSame ? [] : population?.shapes(this.hovered) ?? []);
  }

  /** A soft glow on twins, in place of the one before. */
  highlight(ids: Iterable<Id>, kind: keyof typeof GLOW): void {
    for (const ordinal of this.#glowing) this.#states.set(ordinal, Channel.Highlight, 0);
    this.#glowing = [...ids].map((id) => this.#mirror.ordinal(id)).filter((ordinal) => ordinal >= 0);
    for (const ordinal of this.#glowing) this.#states.set(ordinal, Channel.Highlight, GLOW[kind]);
  }

  /** Light runs along the arcs; true where there are any. */
  update(time_s: number): boolean {
    this.#links?.setTime(time_s);
    return (this.#links?.count ?? 0) > 0;
  }
}
