/**
 * Things that stand in thousands: only what is in view is drawn, and what is far away coarsely.
 *
 * Instances are sorted into cells on the floor. Before a picture each cell is looked at once: out of
 * view, or so near that it is worth a level of detail. The instances of a level lie together in its
 * buffers, so each level is one draw call however many cells it has. Buffers are written cell by
 * cell, as runs of memory, with cells a little out of view, and stay as they are until what is in
 * view lacks a cell, or one is too coarse. What all cells together would draw is held to a budget of
 * triangles. Knows no twin.
 */

import { DynamicDrawUsage, Frustum, InstancedBufferAttribute, InstancedMesh, Matrix4, Sphere, Vector3 } from "three";
import type { BufferGeometry, Camera, Material, Object3D } from "three";

/** Instances of a cell, about: few enough to be culled finely, many enough to be copied quickly. */
const PER_CELL = 64;
/** Triangles of all crowds together; the rest of a picture has as much again. */
export const BUDGET = 380_000;
/** Cells out of view by so many of their own radius are written too: who turns finds them there. */
const MARGIN = 2.5;
/** A cell stays as it is drawn until it is seen so much larger or smaller than its level is for. */
const SLACK = 1.3;
/** How much coarser a next try is, where the budget does not hold. */
const COARSER = 1.4;
const TRIES = 14;

export interface Level {
  mesh: Object3D;
  /** Buffers of as many instances as there are, in the order of the columns. */
  attributes: readonly InstancedBufferAttribute[];
  setCount(n: number): void;
  /** Of one instance. */
  triangles: number;
  /** Drawn where a thing is at least so large on the screen, in pixels. */
  from_px: number;
}

const around = new Sphere();

interface Cell {
  sphere: Sphere;
  from: number;
  to: number;
}

/** How somebody looks at the crowd. */
export class View {
  readonly frustum = new Frustum();
  readonly eye = new Vector3();
  /** Pixels that a metre takes at a distance of one. */
  pixelsPerM = 1;
  readonly #matrix = new Matrix4();

  /** @param camera one whose frustum holds both eyes, where there are two */
  set(camera: Camera, height_px: number): this {
    this.frustum.setFromProjectionMatrix(this.#matrix.multiplyMatrices(camera.projectionMatrix, camera.matrixWorldInverse));
    this.eye.setFromMatrixPosition(camera.matrixWorld);
    this.pixelsPerM = (height_px / 2) * camera.projectionMatrix.elements[5]!;
    return this;
  }
}

/** One kind of thing in many places. */
export class Crowd {
  readonly levels: readonly Level[];
  readonly #columns: Float32Array[];
  readonly #cells: Cell[] = [];
  readonly #size_m: number;
  /** Of each cell now and next: the level it is drawn at; beyond the last one: not at all. */
  #now: Int8Array;
  #next: Int8Array;
  /** What is drawn now lacks something that is in view. */
  #isDue = false;

  /**
   * @param places x, y, z of each instance, metres
   * @param size_m how large one is, to be seen
   * @param columns what the buffers of each level hold of all instances
   * @param levels the finest first
   */
  constructor(places: Float32Array, size_m: number, columns: readonly { data: Float32Array; size: number }[], levels: readonly Level[]) {
    this.levels = levels;
    this.#size_m = size_m;
    const n = places.length / 3;
    const { order, starts } = cellsOf(places);
    this.#columns = columns.map(({ data, size }) => {
      const sorted = new Float32Array(data.length);
      for (let i = 0; i < n; i++) sorted.set(data.subarray(order[i]! * size, (order[i]! + 1) * size), i * size);
      return sorted;
    });
    for (let k = 0; k + 1 < starts.length; k++) {
      const [from, to] = [starts[k]!, starts[k + 1]!];
      const points: Vector3[] = [];
      for (let i = from; i < to; i++) points.push(new Vector3().fromArray(places, order[i]! * 3));
      const sphere = new Sphere().setFromPoints(points);
      sphere.radius += size_m;
      this.#cells.push({ sphere, from, to });
    }
    this.#now = new Int8Array(this.#cells.length).fill(levels.length);
    this.#next = new Int8Array(this.#cells.length);
  }

  /** Looks at each cell; gives the triangles that would be drawn. @param coarser 1: as wished */
  choose(view: View, coarser: number): number {
    let triangles = 0;
    this.#isDue = false;
    this.#cells.forEach(({ sphere, from, to }, k) => {
      const now = this.#now[k]!;
      let level = this.levels.length;
      around.center.copy(sphere.center);
      around.radius = sphere.radius * MARGIN;
      if (view.frustum.intersectsSphere(around)) {
        const away = Math.max(view.eye.distanceTo(sphere.center) - sphere.radius, 0.1);
        const px = (this.#size_m * view.pixelsPerM) / away;
        level = this.#levelAt(px / coarser);
        const isGood = now >= this.#levelAt((px / coarser) * SLACK) && now <= this.#levelAt(px / coarser / SLACK);
        this.#isDue ||= !isGood && view.frustum.intersectsSphere(sphere);
      }
      this.#next[k] = level;
      triangles += (to - from) * (this.levels[level]?.triangles ?? 0);
    });
    return triangles;
  }

  /** The finest level for things of a size on the screen; beyond the last one: not to be seen. */
  #levelAt(px: number): number {
    const level = this.levels.findIndex(({ from_px }) => px >= from_px);
    return level < 0 ? this.levels.length : level;
  }

  /** Whether what is drawn now lacks something that is in view. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** Writes what was chosen into the buffers. */
  write(): void {
    this.levels.forEach((level, index) => this.#writeLevel(level, index));
    [this.#now, this.#next] = [this.#next, this.#now];
  }

  #writeLevel(level: Level, index: number): void {
    const isSame = this.#next.every((each, k) => (each === index) === (this.#now[k] === index));
    if (isSame) return;
    let n = 0;
    this.#cells.forEach(({ from, to }, k) => {
      if (this.#next[k] !== index) return;
      this.#columns.forEach((column, c) => {
        const { array, itemSize } = level.attributes[c]!;
        array.set(column.subarray(from * itemSize, to * itemSize), n * itemSize);
      });
      n += to - from;
    });
    for (const attribute of level.attributes) {
      attribute.clearUpdateRanges();
      attribute.addUpdateRange(0, n * attribute.itemSize);
      attribute.needsUpdate = true;
    }
    level.setCount(n);
    level.mesh.visible = n > 0;
  }
}

/** A level of instanced meshes; its columns are matrices, colours, and attributes of the geometry by name and size. */
export function instancedLevel(geometry: BufferGeometry, material: Material, n: number, more: readonly (readonly [string, number])[], from_px: number): Level & { mesh: InstancedMesh } {
  const mesh = new InstancedMesh(geometry, material, n);
  mesh.instanceColor = new InstancedBufferAttribute(new Float32Array(n * 3), 3);
  const attributes = [mesh.instanceMatrix, mesh.instanceColor];
  for (const [name, size] of more) {
    const attribute = new InstancedBufferAttribute(new Float32Array(n * size), size);
    geometry.setAttribute(name, attribute);
    attributes.push(attribute);
  }
  for (const attribute of attributes) attribute.setUsage(DynamicDrawUsage);
  mesh.castShadow = mesh.receiveShadow = true;
  mesh.frustumCulled = mesh.visible = false;
  const triangles = (geometry.index?.count ?? geometry.getAttribute("position").count) / 3;
  const setCount = (count: number): void => {
    mesh.count = count;
  };
  return { mesh, attributes, setCount, triangles, from_px };
}

/** Chooses and writes all crowds, within the budget; true if anything is drawn otherwise now. */
export function chooseAll(crowds: readonly Crowd[], view: View, detail: number, budget = BUDGET): boolean {
  let coarser = detail;
  for (let i = 0; i < TRIES; i++, coarser *= COARSER) {
    let triangles = 0;
    for (const crowd of crowds) triangles += crowd.choose(view, coarser);
    if (triangles <= budget) break;
  }
  const isDue = crowds.some((crowd) => crowd.isDue);
  // All together, or what was chosen coarsely for the sake of one would be too much with the others.
  if (isDue) for (const crowd of crowds) crowd.write();
  return isDue;
}

/** Instances in the order of their cells, and where each cell begins; one more: the end of all. */
function cellsOf(places: Float32Array): { order: Uint32Array; starts: number[] } {
  const n = places.length / 3;
  let [x0, x1, z0, z1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < n; i++) {
    const [x, z] = [places[i * 3]!, places[i * 3 + 2]!];
    [x0, x1, z0, z1] = [Math.min(x0, x), Math.max(x1, x), Math.min(z0, z), Math.max(z1, z)];
  }
  const side = Math.max(Math.sqrt((Math.max(x1 - x0, 1) * Math.max(z1 - z0, 1) * PER_CELL) / Math.max(n, 1)), 1);
  const columns = Math.floor(Math.max(x1 - x0, 0) / side) + 1;
  const cell = new Uint32Array(n);
  for (let i = 0; i < n; i++)
    cell[i] = Math.floor((places[i * 3 + 2]! - z0) / side) * columns + Math.floor((places[i * 3]! - x0) / side);
  const order = Uint32Array.from({ length: n }, (_, i) => i).sort((a, b) => cell[a]! - cell[b]! || a - b);
  const starts: number[] = [];
  order.forEach((i, at) => {
    if (at === 0 || cell[i] !== cell[order[at - 1]!]) starts.push(at);
  });
  starts.push(n);
  return { order, starts };
}
