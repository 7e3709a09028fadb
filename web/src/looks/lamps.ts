/** Lamps above twins, in the colours of their rules: one instanced sphere, drawn whatever the light. */

import { Color, InstancedMesh, Matrix4, MeshBasicMaterial, SphereGeometry, type Box3 } from "three";
import type { SceneLayer } from "../scene/layers.ts";

const ROOM = 64;

export class Lamps implements SceneLayer {
  object = make(ROOM);
  readonly #matrix = new Matrix4();
  readonly #colour = new Color();

  /** Sets all anew; where a twin stands is asked of `boundsOf`. Returns whether `object` was made anew. */
  set(lamps: readonly { ordinal: number; css: string }[], boundsOf: (ordinal: number) => Box3 | undefined): boolean {
    const before = this.object;
    if (lamps.length > before.instanceMatrix.count) this.object = make(2 * lamps.length);
    let n = 0;
    for (const { ordinal, css } of lamps) {
      const box = boundsOf(ordinal);
      if (box === undefined) continue;
      const size = Math.min(Math.max(Math.cbrt((box.max.x - box.min.x) * (box.max.y - box.min.y) * (box.max.z - box.min.z)) * 0.09, 0.05), 0.35);
      this.#matrix.makeScale(size, size, size).setPosition((box.min.x + box.max.x) / 2, box.max.y + size * 1.6, (box.min.z + box.max.z) / 2);
      this.object.setMatrixAt(n, this.#matrix);
      this.object.setColorAt(n++, this.#colour.setStyle(css));
    }
    this.object.count = n;
    this.object.instanceMatrix.needsUpdate = true;
    if (this.object.instanceColor !== null) this.object.instanceColor.needsUpdate = true;
    if (before === this.object) return false;
    before.dispose();
    return true;
  }
}

function make(room: number): InstancedMesh {
  const mesh = new InstancedMesh(new SphereGeometry(1, 16, 12), new MeshBasicMaterial({ toneMapped: false }), room);
  mesh.count = 0;
  mesh.frustumCulled = false;
  mesh.castShadow = mesh.receiveShadow = false;
  return mesh;
}
