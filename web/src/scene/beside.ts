/**
 * Another world beside the one that is shown: bodies where they stand there, and on labels a word on
 * what is otherwise. Knows neither which world that is, nor how it was compared.
 */

import type { Group } from "three";
import type { Mode } from "../style/theme.ts";
import type { AssetLibrary } from "./asset_library.ts";
import { Ghosts, type Of } from "./ghosts.ts";
import { ghostsOf } from "./other.ts";
import type { OtherTwin } from "./other.ts";
import type { Population } from "./population.ts";

export class Beside {
  readonly #ghosts = new Ghosts();
  readonly #library: AssetLibrary;
  #of: Of = "branch";
  #others: readonly OtherTwin[] = [];
  #notes = new Map<number, string>();

  constructor(library: AssetLibrary) {
    this.#library = library;
  }

  get group(): Group {
    return this.#ghosts.group;
  }

  get isEmpty(): boolean {
    return this.#others.length === 0;
  }

  /** How many bodies of the other world are drawn, and how many labels tell of it. */
  get counts(): { drawn: number; noted: number } {
    return { drawn: this.#ghosts.count, noted: this.#notes.size };
  }

  /** What the label of a twin says of the other world; undefined: nothing. */
  note(ordinal: number): string | undefined {
    return this.#notes.get(ordinal);
  }

  show(others: readonly OtherTwin[], of: Of, mode: Mode): void {
    this.#others = others;
    this.#of = of;
    this.setTheme(mode);
    this.#notes = new Map(others.filter(({ note }) => note !== "").map(({ ordinal, note }) => [ordinal, note]));
  }

  /** Draws it, beside what stands in the scene now; null: nothing does yet. */
  draw(population: Population | null): void {
    if (this.#others.length === 0 || population === null) this.#ghosts.clear();
    else this.#ghosts.set(ghostsOf(this.#others, population, this.#library));
  }

  setTheme(mode: Mode): void {
    this.#ghosts.setTheme(mode, this.#of);
  }
}
