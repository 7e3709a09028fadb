/**
 * Areas on the ground that belong to twins without a body: coloured while a heat layer is shown.
 *
 * A twin has one where it has a property `sector`: a piece of a ring round the world's middle, by
 * `inner_radius`, `outer_radius` in metres and `from_bearing`, `to_bearing` in degrees clockwise
 * from north (north is -z). All of them are one draw call.
 */

import { BufferAttribute, BufferGeometry, DoubleSide, Mesh, MeshBasicMaterial } from "three";
import type { Mirror, Twin } from "../mirror.ts";
import type { TwinStates } from "./twin_state.ts";

const LIFT_M = 0.6;
const STEP_DEG = 2;

export class Areas {
  readonly mesh: Mesh<BufferGeometry, MeshBasicMaterial> | null = null;
  /** Ordinals of the twins that have one. */
  readonly members = new Set<number>();

  constructor(mirror: Mirror, states: TwinStates) {
    const position: number[] = [];
    const twins: number[] = [];
    const index: number[] = [];
    for (let ordinal = 0; ordinal < mirror.nOrdinals; ordinal++) {
      const sector = sectorOf(mirror.twinAt(ordinal));
      if (sector === null) continue;
      this.members.add(ordinal);
      const [inner, outer, from, to] = sector;
      const steps = Math.max(1, Math.ceil((to - from) / STEP_DEG));
      for (let i = 0; i <= steps; i++) {
        const angle = ((from + ((to - from) * i) / steps) * Math.PI) / 180;
        for (const radius of [inner, outer]) position.push(radius * Math.sin(angle), LIFT_M, -radius * Math.cos(angle));
        twins.push(ordinal, ordinal);
        const at = position.length / 3;
        if (i > 0) index.push(at - 4, at - 3, at - 2, at - 2, at - 3, at - 1);
      }
    }
    if (this.members.size === 0) return;
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(new Float32Array(position), 3));
    geometry.setAttribute("aTwin", new BufferAttribute(new Float32Array(twins), 1));
    geometry.setIndex(index);
    const material = states.patch(
      new MeshBasicMaterial({ transparent: true, opacity: 0.72, depthWrite: false, side: DoubleSide }),
      "area",
      (shader) => {
        shader.fragmentShader = shader.fragmentShader.replace(
          "#include <color_fragment>",
          "if (vHeat < 0.5 / 255.0) discard;\n#include <color_fragment>",
        );
      },
    );
    this.mesh = new Mesh(geometry, material);
    this.mesh.visible = false;
    this.mesh.renderOrder = 1;
  }

  show(isShown: boolean): void {
    if (this.mesh !== null) this.mesh.visible = isShown;
  }

  dispose(): void {
    this.mesh?.geometry.dispose();
    this.mesh?.material.dispose();
  }
}

function sectorOf(twin: Twin | undefined): [number, number, number, number] | null {
  const value = twin?.properties?.find((each) => each.name === "sector")?.value;
  if (!Array.isArray(value)) return null;
  const number = (name: string): number => {
    for (const each of value)
      if (typeof each === "object" && each !== null && "name" in each && each.name === name) return Number(each.value);
    return NaN;
  };
  const found = [number("inner_radius"), number("outer_radius"), number("from_bearing"), number("to_bearing")] as const;
  const [inner, outer, from, to] = found;
  const isOne = found.every(Number.isFinite) && inner >= 0 && outer > inner && outer < 1e6 && to > from && to - from <= 360;
  return isOne ? [inner, outer, from, to] : null;
}
