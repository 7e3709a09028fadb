/**
 * Seeing through the plant: all but what is selected is drawn as a thin shell, and the parts of
 * what is selected as they are.
 */

import { Mesh } from "three";
import type { Material, Object3D } from "three";
import type { Id, Mirror } from "../mirror.ts";
import { Channel } from "./twin_state.ts";
import type { TwinStates } from "./twin_state.ts";

/** Of the channel that dims: drawn as a shell. One more would be not drawn at all. */
const SHELL = 254;

export class XRay {
  readonly #mirror: Mirror;
  readonly #states: TwinStates;
  readonly #way: number;
  isOn = false;

  /** @param hasSamples whether a pixel has several samples, of which a shell lets some through */
  constructor(mirror: Mirror, states: TwinStates, hasSamples: boolean) {
    this.#mirror = mirror;
    this.#states = states;
    this.#way = hasSamples ? 1 : 2;
  }

  /** Follows what is selected; costs a byte a twin. */
  update(): void {
    const { nOrdinals, selected } = this.#mirror;
    const spared = new Set<number>();
    if (this.isOn && selected !== null) this.#spare(selected, spared);
    for (let ordinal = 0; ordinal < nOrdinals; ordinal++) {
      const now = this.#states.get(ordinal, Channel.Dim);
      if (now > SHELL) continue; // Its inside is drawn in its place.
      this.#states.set(ordinal, Channel.Dim, this.isOn && !spared.has(ordinal) ? SHELL : 0);
    }
    this.#states.uniforms["isXRay"]!.value = this.isOn ? this.#way : 0;
  }

  /** Shells let some samples of each pixel through, so that nothing has to be sorted. */
  apply(root: Object3D): void {
    root.traverse((node) => {
      if (!(node instanceof Mesh) || node.geometry.getAttribute("aTwin") === undefined) return;
      for (const material of [node.material].flat() as Material[]) {
        if (material.transparent || material.alphaToCoverage === this.isOn) continue;
        material.alphaToCoverage = this.isOn;
        material.needsUpdate = true;
      }
    });
  }

  #spare(id: Id, spared: Set<number>): void {
    const due = [id];
    for (let next = due.pop(); next !== undefined; next = due.pop()) {
      const ordinal = this.#mirror.ordinal(next);
      if (ordinal < 0 || spared.has(ordinal)) continue;
      spared.add(ordinal);
      due.push(...this.#mirror.children(next));
    }
  }
}
