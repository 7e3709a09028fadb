/**
 * Rounded plates of any size in one draw call: what twins without a place of their own stand on.
 *
 * The geometry is cut in nine like a picture frame: corners keep their radius, whatever the size.
 */

import {
  BufferAttribute,
  BufferGeometry,
  Color,
  Matrix4,
  MeshDepthMaterial,
  MeshStandardMaterial,
  RGBADepthPacking,
} from "three";
import type { InstancedMesh, WebGLProgramParametersWithUniforms } from "three";
import { Crowd, instancedLevel } from "./crowd.ts";
import type { TwinStates } from "./twin_state.ts";

const CORNER_STEPS = 6;
const BEVEL_M = 0.022;

export interface Plate {
  ordinal: number;
  x: number;
  /** Height of the top side. */
  top: number;
  z: number;
  w: number;
  d: number;
  thickness: number;
  radius: number;
  color: Color;
}

/** Platforms, which carry others, are large and few: they are always drawn in all detail. */
const LARGE_M = 6;
const FINE_PX = 70;
const PLAIN_PX = 14;

export class Plates {
  readonly meshes: InstancedMesh[] = [];
  readonly crowds: Crowd[] = [];
  readonly #depth = new MeshDepthMaterial({ depthPacking: RGBADepthPacking });

  constructor(plates: readonly Plate[], states: TwinStates) {
    this.#depth.onBeforeCompile = stretch;
    const material = states.patch(new MeshStandardMaterial({ roughness: 0.5, metalness: 0.05 }), "plate", stretch);
    const large = plates.filter(({ w, d }) => Math.max(w, d) >= LARGE_M);
    const small = plates.filter(({ w, d }) => Math.max(w, d) < LARGE_M);
    this.#add(large, material, [[plateGeometry(CORNER_STEPS), 0]]);
    this.#add(small, material, [[plateGeometry(CORNER_STEPS), FINE_PX], [plateGeometry(1), PLAIN_PX], [topGeometry(), 0]]);
  }

  #add(plates: readonly Plate[], material: MeshStandardMaterial, shapes: readonly (readonly [BufferGeometry, number])[]): void {
    const n = plates.length;
    if (n === 0) return;
    const [places, matrices, colors, sizes, twins] = [3, 16, 3, 4, 1].map((size) => new Float32Array(n * size)) as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array];
    const matrix = new Matrix4();
    let size_m = 1;
    plates.forEach((plate, i) => {
      places.set([plate.x, plate.top, plate.z], i * 3);
      matrix.makeTranslation(plate.x, plate.top, plate.z).toArray(matrices, i * 16);
      plate.color.toArray(colors, i * 3);
      sizes.set([plate.w / 2, plate.d / 2, plate.thickness, plate.radius], i * 4);
      twins[i] = plate.ordinal;
      size_m = Math.max(size_m, plate.w, plate.d);
    });
    const levels = shapes.map(([geometry, from_px]) => instancedLevel(geometry, material, n, [["aPlate", 4], ["aTwin", 1]], from_px));
    for (const { mesh } of levels) mesh.customDepthMaterial = this.#depth;
    this.meshes.push(...levels.map(({ mesh }) => mesh));
    const columns = [{ data: matrices, size: 16 }, { data: colors, size: 3 }, { data: sizes, size: 4 }, { data: twins, size: 1 }];
    this.crowds.push(new Crowd(places, size_m, columns, levels));
  }

  dispose(): void {
    for (const mesh of this.meshes) {
      mesh.geometry.dispose();
      (mesh.material as MeshStandardMaterial).dispose();
      mesh.dispose();
    }
    this.#depth.dispose();
  }
}

/** The top of a plate alone, as two triangles. */
function topGeometry(): BufferGeometry {
  const corners = [[1, 1], [1, -1], [-1, -1], [-1, 1]] as const;
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(new Float32Array(corners.flatMap(([x, z]) => [x, 2, z])), 3));
  geometry.setAttribute("normal", new BufferAttribute(new Float32Array([0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0]), 3));
  geometry.setAttribute("corner", new BufferAttribute(new Float32Array(corners.flat()), 2));
  geometry.setIndex([0, 1, 2, 0, 2, 3]);
  return geometry;
}

/** One plate as an ordinary geometry, for outlines. */
export function solidPlate(plate: Plate): BufferGeometry {
  const geometry = plateGeometry(CORNER_STEPS);
  const position = geometry.getAttribute("position") as BufferAttribute;
  const corner = geometry.getAttribute("corner") as BufferAttribute;
  const r = Math.min(plate.radius, plate.w / 2, plate.d / 2);
  for (let i = 0; i < position.count; i++) {
    const ring = position.getY(i);
    const reach = ring > 1.5 ? r - BEVEL_M : r;
    position.setXYZ(
      i,
      plate.x + corner.getX(i) * (plate.w / 2 - r) + position.getX(i) * reach,
      plate.top - (ring < 0.5 ? plate.thickness : ring < 1.5 ? BEVEL_M : 0),
      plate.z + corner.getY(i) * (plate.d / 2 - r) + position.getZ(i) * reach,
    );
  }
  return geometry;
}

/** Positions hold the way from a corner's centre (x, z) and the ring (y: 0 foot, 1 edge, 2 top). */
function plateGeometry(steps: number): BufferGeometry {
  const position: number[] = [];
  const normal: number[] = [];
  const corner: number[] = [];
  const index: number[] = [];
  const around: [number, number, number, number][] = [];
  const corners = [[1, 1], [-1, 1], [-1, -1], [1, -1]] as const;
  corners.forEach(([cx, cz], quarter) => {
    for (let i = 0; i <= steps; i++) {
      const angle = ((quarter + i / steps) * Math.PI) / 2;
      around.push([Math.cos(angle), Math.sin(angle), cx, cz]);
    }
  });
  const n = around.length;
  for (const ring of [0, 1, 2])
    for (const [x, z, cx, cz] of around) {
      position.push(x, ring, z);
      normal.push(ring === 2 ? 0 : x, ring === 2 ? 1 : 0, ring === 2 ? 0 : z);
      corner.push(cx, cz);
    }
  for (const ring of [0, 1])
    for (let i = 0; i < n; i++) {
      const j = (i + 1) % n;
      const [a, b, c, d] = [ring * n + i, ring * n + j, (ring + 1) * n + j, (ring + 1) * n + i];
      index.push(a, c, b, a, d, c);
    }
  const middle = position.length / 3;
  position.push(0, 2, 0);
  normal.push(0, 1, 0);
  corner.push(0, 0);
  for (let i = 0; i < n; i++) index.push(middle, 2 * n + ((i + 1) % n), 2 * n + i);
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(new Float32Array(position), 3));
  geometry.setAttribute("normal", new BufferAttribute(new Float32Array(normal), 3));
  geometry.setAttribute("corner", new BufferAttribute(new Float32Array(corner), 2));
  geometry.setIndex(index);
  return geometry;
}

function stretch(shader: WebGLProgramParametersWithUniforms): void {
  shader.vertexShader = shader.vertexShader
    .replace(
      "#include <common>",
      `#include <common>
      attribute vec4 aPlate;
      attribute vec2 corner;`,
    )
    .replace(
      "#include <begin_vertex>",
      `float cornerR = min(aPlate.w, min(aPlate.x, aPlate.y));
      float reach = position.y > 1.5 ? cornerR - ${BEVEL_M} : cornerR;
      vec3 transformed = vec3(
        corner.x * (aPlate.x - cornerR) + position.x * reach,
        position.y < 0.5 ? -aPlate.z : (position.y < 1.5 ? -${BEVEL_M} : 0.0),
        corner.y * (aPlate.y - cornerR) + position.z * reach);`,
    );
}
