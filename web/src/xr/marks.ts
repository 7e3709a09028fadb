/** Brackets round what is chosen and what is pointed at, seen by both eyes. */

import { BufferGeometry, Float32BufferAttribute, Group, LineBasicMaterial, LineSegments } from "three";
import type { Box3 } from "three";

const CORNER = 0.26;

/** A box of half size 1, drawn at its corners only. */
function corners(): BufferGeometry {
  const at: number[] = [];
  for (const x of [-1, 1])
    for (const y of [-1, 1])
      for (const z of [-1, 1])
        for (const [dx, dy, dz] of [[1, 0, 0], [0, 1, 0], [0, 0, 1]] as const)
          at.push(x, y, z, x - x * dx * CORNER * 2, y - y * dy * CORNER * 2, z - z * dz * CORNER * 2);
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new Float32BufferAttribute(at, 3));
  return geometry;
}

export class Marks {
  readonly object = new Group();
  readonly #geometry = corners();
  readonly #chosen = this.#make(0x57c7f2, 1);
  readonly #pointed = this.#make(0xffffff, 0.7);

  #make(color: number, opacity: number): LineSegments<BufferGeometry, LineBasicMaterial> {
    const lines = new LineSegments(this.#geometry, new LineBasicMaterial({ color, opacity, transparent: true, depthTest: false, toneMapped: false, fog: false }));
    lines.renderOrder = 20;
    lines.frustumCulled = false;
    lines.visible = false;
    this.object.add(lines);
    return lines;
  }

  /** `undefined`: nothing has a place there. */
  show(chosen: Box3 | undefined, pointed: Box3 | undefined): void {
    this.#lay(this.#chosen, chosen, 1.03);
    this.#lay(this.#pointed, pointed === chosen ? undefined : pointed, 1.015);
  }

  #lay(lines: LineSegments, box: Box3 | undefined, grown: number): void {
    lines.visible = box !== undefined;
    if (box === undefined) return;
    box.getCenter(lines.position);
    box.getSize(lines.scale).multiplyScalar(grown / 2);
  }

  dispose(): void {
    this.#geometry.dispose();
    this.#chosen.material.dispose();
    this.#pointed.material.dispose();
    this.object.removeFromParent();
  }
}
