/**
 * The inside of one thing that is near: its floors as slabs, their rooms as boxes, one draw call.
 *
 * What a building has inside is not drawn for all of a site: this is the level of detail of the
 * one that is looked at. Where floors and rooms really are nobody has said, so that they are laid
 * out within the building's own bounds, floor by floor, in the order of their declaration.
 */

import { Box3, BoxGeometry, Color, InstancedBufferAttribute, InstancedMesh, Matrix4, MeshStandardMaterial, Quaternion, Ray, Vector3 } from "three";
import type { Id, Mirror } from "../mirror.ts";
import { NO_HIT } from "./layers.ts";
import type { Hit } from "./layers.ts";
import type { Palette } from "./palette.ts";
import type { TwinStates } from "./twin_state.ts";

const ROOMS_MAX = 4_000;
const FLOOR_M = 3.4;
/** Floors stand apart, so that one looks in between them. */
const SPREAD = 1.5;
const SLAB_M = 0.22;
const ROOM_HEIGHT = 0.5;

interface Cell {
  ordinal: number;
  /** In the holder's own frame. */
  box: Box3;
}

export class Interior {
  readonly mesh: InstancedMesh<BoxGeometry, MeshStandardMaterial>;
  readonly cells: readonly Cell[];
  readonly #matrix: Matrix4;
  readonly #inverse: Matrix4;

  /** `bounds` are the holder's in its own frame, `matrix` brings them to the world. */
  constructor(
    mirror: Mirror,
    states: TwinStates,
    palette: Palette,
    readonly holder: number,
    bounds: Box3,
    matrix: Matrix4,
  ) {
    this.#matrix = matrix;
    this.#inverse = matrix.clone().invert();
    this.cells = layOut(mirror, mirror.twinAt(holder)?.id ?? "", bounds);
    const geometry = new BoxGeometry(1, 1, 1);
    const twins = new Float32Array(this.cells.map((cell) => cell.ordinal));
    geometry.setAttribute("aTwin", new InstancedBufferAttribute(twins, 1));
    const material = states.patch(new MeshStandardMaterial({ roughness: 0.7 }), "interior");
    this.mesh = new InstancedMesh(geometry, material, this.cells.length);
    const local = new Matrix4();
    const slab = new Color().copy(palette.platform[0]!);
    const room = new Color().copy(palette.plate);
    this.cells.forEach(({ box }, i) => {
      const size = box.getSize(new Vector3());
      local.compose(box.getCenter(new Vector3()), new Quaternion(), size).premultiply(matrix);
      this.mesh.setMatrixAt(i, local);
      this.mesh.setColorAt(i, size.y > SLAB_M * 1.5 ? room : slab);
    });
    this.mesh.castShadow = this.mesh.receiveShadow = true;
    this.mesh.frustumCulled = false;
  }

  /** Where a cell stands in the world. */
  boundsOf(cell: Cell): Box3 {
    return cell.box.clone().applyMatrix4(this.#matrix);
  }

  /** The room or floor that a ray meets first, and how far along it; ordinal -1: none. */
  hit(ray: Ray): Hit {
    const own = ray.clone().applyMatrix4(this.#inverse);
    const at = new Vector3();
    let best = -1;
    let nearest = Infinity;
    for (const { ordinal, box } of this.cells) {
      if (own.intersectBox(box, at) === null) continue;
      const far = at.distanceToSquared(own.origin);
      if (far < nearest) [nearest, best] = [far, ordinal];
    }
    if (best < 0) return NO_HIT;
    // The cells may be drawn at another scale than the world: the way is told in the world's metres.
    own.at(Math.sqrt(nearest), at).applyMatrix4(this.#matrix);
    return { ordinal: best, distance_m: at.distanceTo(ray.origin) };
  }

  dispose(): void {
    this.mesh.removeFromParent();
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
    this.mesh.dispose();
  }
}

function layOut(mirror: Mirror, holder: Id, bounds: Box3): Cell[] {
  const children = mirror.children(holder).filter((id) => mirror.twins.get(id)?.pose == null);
  const floors = children.filter((id) => mirror.children(id).length > 0);
  const levels: { floor: Id | null; rooms: readonly Id[] }[] = floors.map((floor) => ({ floor, rooms: mirror.children(floor) }));
  const loose = children.filter((id) => mirror.children(id).length === 0);
  if (floors.length === 0 && loose.length > 0) levels.push({ floor: null, rooms: loose });
  const size = bounds.getSize(new Vector3());
  const pitch = Math.max(size.y / Math.max(levels.length, 1), FLOOR_M) * SPREAD;
  const cells: Cell[] = [];
  levels.forEach(({ floor, rooms }, level) => {
    const foot = bounds.min.y + level * pitch + 0.3;
    if (floor !== null) {
      const top = foot + SLAB_M;
      cells.push({ ordinal: mirror.ordinal(floor), box: new Box3(new Vector3(bounds.min.x, foot, bounds.min.z), new Vector3(bounds.max.x, top, bounds.max.z)) });
    }
    const columns = Math.max(1, Math.ceil(Math.sqrt((rooms.length * size.x) / Math.max(size.z, 0.1))));
    const rows = Math.ceil(rooms.length / columns);
    rooms.forEach((id, k) => {
      if (cells.length >= ROOMS_MAX) return;
      // The last row is as wide as the others, however few are in it.
      const row = Math.floor(k / columns);
      const inRow = row === rows - 1 ? rooms.length - row * columns : columns;
      const w = size.x / inRow;
      const d = size.z / rows;
      const x = bounds.min.x + (k % columns) * w;
      const z = bounds.min.z + row * d;
      const gap = Math.min(w, d) * 0.05;
      cells.push({
        ordinal: mirror.ordinal(id),
        box: new Box3(
          new Vector3(x + gap, foot + SLAB_M, z + gap),
          new Vector3(x + w - gap, foot + SLAB_M + Math.max(pitch / SPREAD, FLOOR_M) * ROOM_HEIGHT, z + d - gap),
        ),
      });
    });
  });
  return cells;
}
