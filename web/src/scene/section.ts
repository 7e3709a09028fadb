/**
 * Cuts through the scene: along each axis one plane, beyond which nothing is drawn or hit.
 *
 * What is cut open shows its inside in one flat ink, as a drawing's section does.
 */

import { BufferGeometry, DoubleSide, FrontSide, Group, LineBasicMaterial, LineLoop, Material, Mesh, Plane, Vector3 } from "three";
import type { Box3, Color, Object3D, Ray, ShaderMaterial } from "three";

export type Axis = "x" | "y" | "z";
export const AXES: readonly Axis[] = ["x", "y", "z"];

/** Where a cut is. */
export interface Cut {
  /** 0…1 of the world's extent along the axis. */
  at: number;
  /** Whether the lower side is taken away, in place of the upper. */
  isFlipped: boolean;
}

export class Section {
  readonly group = new Group();
  readonly #cuts = new Map<Axis, Cut>();
  readonly #planes = new Map<Axis, Plane>();
  readonly #ink = new LineBasicMaterial({ transparent: true, opacity: 0.9, depthTest: false, fog: false, toneMapped: false });
  /** Shared by all materials: planes that move need nothing told. */
  readonly #active: Plane[] = [];
  #bounds: Box3 | null = null;

  get isOn(): boolean {
    return this.#cuts.size > 0;
  }

  /** From where to where the world reaches, and cuts can be; null: nothing is there. */
  get extent(): Box3 | null {
    return this.#bounds;
  }

  cut(axis: Axis): Cut | null {
    return this.#cuts.get(axis) ?? null;
  }

  /** Where a cut is, in metres along its axis; NaN: nowhere. */
  metres(axis: Axis): number {
    const cut = this.#cuts.get(axis);
    const bounds = this.#bounds;
    return cut === undefined || bounds === null ? NaN : bounds.min[axis] + (bounds.max[axis] - bounds.min[axis]) * cut.at;
  }

  /** How far the world reaches along an axis, metres; 0: there is none. */
  reach(axis: Axis): number {
    return this.#bounds === null ? 0 : this.#bounds.max[axis] - this.#bounds.min[axis];
  }

  /** Cuts along an axis; null: no longer. */
  set(axis: Axis, cut: Cut | null): void {
    if (cut === null) this.#cuts.delete(axis);
    else this.#cuts.set(axis, cut);
    this.#place();
  }

  setExtent(bounds: Box3): void {
    this.#bounds = bounds.isEmpty() ? null : bounds.clone().expandByScalar(0.05);
    this.#place();
  }

  setColor(color: Color): void {
    this.#ink.color.copy(color);
  }

  /** Has everything below an object cut, or whole again; needed after each building and switching. */
  apply(root: Object3D): void {
    root.traverse((node) => {
      if (!(node instanceof Mesh)) return;
      for (const material of [node.material].flat() as Material[]) this.#applyTo(material);
    });
  }

  #applyTo(material: Material): void {
    const { isOn } = this;
    material.clippingPlanes = isOn ? this.#active : null;
    material.clipShadows = isOn;
    // Backs of closed bodies are what a cut lays open; sheets that have two faces stay as they are.
    const isCapped = material.defines?.["CAPPED"] !== undefined;
    if (isOn === isCapped || (isOn && material.side !== FrontSide)) return;
    material.side = isOn ? DoubleSide : FrontSide;
    material.shadowSide = isOn ? FrontSide : null;
    material.defines ??= {};
    if (isOn) material.defines["CAPPED"] = "";
    else delete material.defines["CAPPED"];
    material.needsUpdate = true;
  }

  /** Between which distances along a ray something is drawn. */
  range({ origin, direction }: Ray): [number, number] {
    let near = 0;
    let far = Infinity;
    for (const { normal, constant } of this.#active) {
      const speed = normal.dot(direction);
      const away = -(normal.dot(origin) + constant);
      if (Math.abs(speed) < 1e-9) {
        if (away > 0) far = -1;
      } else if (speed > 0) near = Math.max(near, away / speed);
      else far = Math.min(far, away / speed);
    }
    return [near, far];
  }

  #place(): void {
    for (const child of this.group.children) (child as LineLoop).geometry.dispose();
    this.group.clear();
    this.#active.length = 0;
    const bounds = this.#bounds;
    if (bounds === null) return;
    for (const [axis, { isFlipped }] of this.#cuts) {
      const at = this.metres(axis);
      const plane = this.#planes.get(axis) ?? new Plane();
      this.#planes.set(axis, plane);
      const sign = isFlipped ? 1 : -1;
      plane.normal.set(0, 0, 0)[axis] = sign;
      plane.constant = -sign * at;
      this.#active.push(plane);
      const [u, v] = AXES.filter((other) => other !== axis) as [Axis, Axis];
      const corners = [[0, 0], [1, 0], [1, 1], [0, 1]].map(([a, b]) => {
        const corner = new Vector3();
        corner[axis] = at;
        corner[u] = a ? bounds.max[u] : bounds.min[u];
        corner[v] = b ? bounds.max[v] : bounds.min[v];
        return corner;
      });
      const line = new LineLoop(new BufferGeometry().setFromPoints(corners), this.#ink);
      line.renderOrder = 8;
      this.group.add(line);
    }
  }
}

/** Has a shader of our own cut too; its vertex shader knows `mvPosition` where its `main` ends. */
export function cuttable<M extends ShaderMaterial>(material: M): M {
  const end = (shader: string, at: string): string => shader.replace(/\}\s*$/, `${at}\n}`);
  const before = (shader: string, what: string): string => shader.replace("void main() {", `${what}\nvoid main() {`);
  material.clipping = true;
  material.vertexShader = end(before(material.vertexShader, "#include <clipping_planes_pars_vertex>"), "#include <clipping_planes_vertex>");
  material.fragmentShader = before(material.fragmentShader, "#include <clipping_planes_pars_fragment>").replace("void main() {", "void main() {\n#include <clipping_planes_fragment>");
  return material;
}
