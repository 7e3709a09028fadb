/** Where one would be set down: a thrown arc, and a ring on the floor that says yes or no. */

import { BufferAttribute, BufferGeometry, Color, DoubleSide, DynamicDrawUsage, Group, Line, LineBasicMaterial, Mesh, MeshBasicMaterial, RingGeometry, Vector3 } from "three";

const N = 28;
const THROW_M_S = 9;
const FALL_M_S2 = 9.8;
const STEP_S = 0.075;
const YES = new Color(0x57c7f2);
const NO = new Color(0xf2605c);

export class Arc {
  readonly object = new Group();
  /** Where it lands, in the world; only while `isSure`. */
  readonly landing = new Vector3();
  isSure = false;
  readonly #points = new Float32Array(N * 3);
  readonly #line: Line<BufferGeometry, LineBasicMaterial>;
  readonly #ring: Mesh<RingGeometry, MeshBasicMaterial>;
  readonly #at = new Vector3();
  readonly #speed = new Vector3();

  constructor() {
    const geometry = new BufferGeometry();
    const positions = new BufferAttribute(this.#points, 3);
    positions.setUsage(DynamicDrawUsage);
    geometry.setAttribute("position", positions);
    this.#line = new Line(geometry, new LineBasicMaterial({ color: YES, transparent: true, opacity: 0.85, toneMapped: false, fog: false }));
    this.#ring = new Mesh(
      new RingGeometry(0.24, 0.34, 48),
      new MeshBasicMaterial({ color: YES, transparent: true, opacity: 0.85, side: DoubleSide, toneMapped: false, fog: false, depthTest: false }),
    );
    this.#ring.rotation.x = -Math.PI / 2;
    this.#ring.renderOrder = 39;
    this.#line.frustumCulled = this.#ring.frustumCulled = false;
    this.object.add(this.#line, this.#ring);
    this.object.visible = false;
  }

  /**
   * Throws from a place of the world, and looks where that comes down.
   *
   * @param floor_m height of the floor that one stands on
   * @param ground what is there at a place: its height, NaN where one cannot stand
   */
  throw(from: Vector3, way: Vector3, floor_m: number, ground: (x: number, z: number) => number): void {
    const at = this.#at.copy(from);
    const speed = this.#speed.copy(way).multiplyScalar(THROW_M_S);
    let n = 0;
    let isDown = false;
    for (; n < N; n++) {
      at.toArray(this.#points, n * 3);
      if (at.y <= floor_m) {
        isDown = true;
        break;
      }
      at.addScaledVector(speed, STEP_S);
      speed.y -= FALL_M_S2 * STEP_S;
    }
    if (isDown && n > 0) {
      // Back along the last stretch, to where it met the floor.
      const y0 = this.#points[n * 3 - 2]!;
      const part = (y0 - floor_m) / Math.max(y0 - at.y, 1e-6);
      const x0 = this.#points[n * 3 - 3]!;
      const z0 = this.#points[n * 3 - 1]!;
      at.set(x0 + (at.x - x0) * part, floor_m, z0 + (at.z - z0) * part);
      at.toArray(this.#points, n * 3);
    }
    const height_m = isDown ? ground(at.x, at.z) : NaN;
    this.isSure = !Number.isNaN(height_m);
    if (this.isSure) this.landing.set(at.x, height_m, at.z);
    const { geometry, material } = this.#line;
    geometry.setDrawRange(0, Math.min(n + 1, N));
    geometry.getAttribute("position").needsUpdate = true;
    material.color = this.#ring.material.color = this.isSure ? YES : NO;
    this.#ring.visible = isDown;
    this.#ring.position.set(at.x, (this.isSure ? height_m : floor_m) + 0.03, at.z);
    this.object.visible = true;
  }

  /** Marks a place of a model on a table. */
  mark(place: Vector3, scale: number): void {
    this.landing.copy(place);
    this.isSure = true;
    this.#line.geometry.setDrawRange(0, 0);
    this.#ring.visible = this.object.visible = true;
    this.#ring.material.color = YES;
    this.#ring.position.copy(place);
    this.#ring.scale.setScalar(Math.max(1, scale * 0.05));
  }

  hide(): void {
    this.object.visible = this.isSure = false;
    this.#ring.scale.setScalar(1);
  }

  dispose(): void {
    this.#line.geometry.dispose();
    this.#line.material.dispose();
    this.#ring.geometry.dispose();
    this.#ring.material.dispose();
    this.object.removeFromParent();
  }
}
