/**
 * A glTF asset made ready to be drawn many times: few meshes, and the joints that data moves.
 *
 * What a node does is told by its extras: `drives` (rotate, stroke, scroll, turn, slide, place), `lamp`, `shows`.
 * Everything else that stands still is merged into one mesh per kind of material.
 */

import {
  Box3,
  BufferAttribute,
  BufferGeometry,
  Color,
  DoubleSide,
  FrontSide,
  InstancedMesh,
  Matrix4,
  Mesh,
  MeshPhysicalMaterial,
  MeshStandardMaterial,
  Object3D,
  Vector3,
} from "three";
import type { Material, MeshBasicMaterial } from "three";
import { mergeGeometries } from "three/examples/jsm/utils/BufferGeometryUtils.js";

export interface Drive {
  point: string;
  kind: "rotate" | "scroll" | "stroke" | "scale" | "turn" | "slide";
  axis: Vector3;
  /** Radians per slot, texture lengths per metre, metres, the value at full size; of what follows a
   * value, radians or metres for each unit of it. */
  amount: number;
  /** Slots per stroke. */
  every: number;
  /** What follows a value follows it between these. */
  low: number;
  high: number;
}

export interface Lamp {
  point: string;
  on: ReadonlySet<number>;
  blinks: boolean;
  color: Color;
}

export interface Joint {
  parent: number;
  rest: Matrix4;
  drive: Drive | null;
}

export interface Part {
  /** -1: stands still. */
  joint: number;
  geometry: BufferGeometry;
  material: MeshStandardMaterial;
  lamp: Lamp | null;
  scroll: Drive | null;
}

/** The whole goes where its points say, metres in the scene. */
export interface Drives {
  x: string;
  z: string;
  speed_m_s: number;
}

export interface AssetModel {
  name: string;
  /** null: it stays where it was put. */
  place: Drives | null;
  parts: Part[];
  joints: Joint[];
  bounds: Box3;
}

interface Extras {
  drives?: { point: string; kind: string; axis?: number[] | string; per_bottle?: number; per_metre?: number; length?: number; bottles?: number; x?: string; z?: string; speed?: number; per?: number; low?: number; high?: number };
  shows?: { point: string; kind: string; axis?: string; full?: number };
  lamp?: { point: string; on: number[]; blink?: boolean };
  colour?: string;
  color?: string;
}

export function readModel(name: string, root: Object3D): AssetModel {
  root.updateMatrixWorld(true);
  const joints: Joint[] = [];
  const still = new Map<string, { joint: number; meshes: { geometry: BufferGeometry; material: MeshStandardMaterial }[] }>();
  const parts: Part[] = [];
  const bounds = new Box3();
  let place: Drives | null = null;

  const visit = (node: Object3D, joint: number, matrix: Matrix4, lamp: Lamp | null, scroll: Drive | null) => {
    const extras = node.userData as Extras;
    const drive = readDrive(extras);
    place ??= readPlace(extras);
    let local = matrix.clone().multiply(node.matrix);
    if (drive !== null && drive.kind !== "scroll") {
      joints.push({ parent: joint, rest: local, drive });
      joint = joints.length - 1;
      local = new Matrix4();
    }
    lamp = readLamp(extras) ?? lamp;
    scroll = drive?.kind === "scroll" ? drive : scroll;
    if (node instanceof Mesh) {
      const material = standard(node.material as Material);
      // As floats, since quantised places (KHR_mesh_quantization) leave their range when they are moved.
      const geometry = placed(node, local);
      if (lamp !== null || scroll !== null || material.map !== null || material.transparent) {
        parts.push({ joint, geometry, material: material.clone(), lamp, scroll });
      } else {
        const key = `${joint}|${material.side === DoubleSide}`;
        const found = still.get(key) ?? { joint, meshes: [] };
        found.meshes.push({ geometry, material });
        still.set(key, found);
      }
    }
    for (const child of node.children) visit(child, joint, local, lamp, scroll);
  };
  visit(root, -1, new Matrix4(), null, null);
  for (const { joint, meshes } of still.values()) parts.push(mergeStill(joint, meshes));
  for (const part of parts) {
    part.geometry.computeBoundingBox();
    const box = part.geometry.boundingBox!.clone();
    for (let j = part.joint; j >= 0; j = joints[j]!.parent) box.applyMatrix4(joints[j]!.rest);
    bounds.union(box);
  }
  if (bounds.isEmpty()) bounds.set(new Vector3(-0.5, 0, -0.5), new Vector3(0.5, 1, 0.5));
  return { name, place, parts, joints, bounds };
}

/** The material as one that is lit, which the fleet's are: what is unlit in a file is so too. */
function standard(material: Material): MeshStandardMaterial {
  if (material instanceof MeshStandardMaterial) return material;
  const { color, map } = material as MeshBasicMaterial;
  const { side, transparent, opacity, alphaTest, name } = material;
  return new MeshStandardMaterial({ color: color ?? 0xffffff, map: map ?? null, side, transparent, opacity, alphaTest, name, roughness: 1, metalness: 0 });
}

/**
 * One mesh of many: colours become vertex colours, roughness and metalness a vertex attribute
 * that the fleet's materials read, so that materials need no draw call of their own.
 */
function mergeStill(
  joint: number,
  meshes: { geometry: BufferGeometry; material: MeshStandardMaterial }[],
): Part {
  const side = meshes[0]!.material.side === DoubleSide ? DoubleSide : FrontSide;
  const geometries = meshes.map(({ geometry: source, material }) => {
    const geometry = source.index ? source.toNonIndexed() : source;
    if (geometry.getAttribute("normal") === undefined) geometry.computeVertexNormals();
    const n = geometry.getAttribute("position").count;
    const own = geometry.getAttribute("color") as BufferAttribute | undefined;
    const colors = new Float32Array(n * 3);
    const surface = new Float32Array(n * 3);
    const glow = Math.min(1, material.emissive.r + material.emissive.g + material.emissive.b) * material.emissiveIntensity;
    const color = glow > 0.01 ? material.emissive : material.color;
    for (let i = 0; i < n; i++) {
      colors[i * 3] = color.r * (own && glow <= 0.01 ? own.getX(i) : 1);
      colors[i * 3 + 1] = color.g * (own && glow <= 0.01 ? own.getY(i) : 1);
      colors[i * 3 + 2] = color.b * (own && glow <= 0.01 ? own.getZ(i) : 1);
      surface[i * 3] = material.roughness;
      surface[i * 3 + 1] = material.metalness;
      surface[i * 3 + 2] = glow;
    }
    for (const attribute of Object.keys(geometry.attributes))
      if (attribute !== "position" && attribute !== "normal") geometry.deleteAttribute(attribute);
    geometry.setAttribute("color", new BufferAttribute(colors, 3));
    geometry.setAttribute("aSurface", new BufferAttribute(surface, 3));
    return geometry;
  });
  const geometry = mergeGeometries(geometries);
  const material = new MeshStandardMaterial({ vertexColors: true, roughness: 1, metalness: 1, side });
  return { joint, geometry, material, lamp: null, scroll: null };
}

/** The geometry of a node where it stands, as often as it stands there (EXT_mesh_gpu_instancing). */
function placed(node: Mesh, matrix: Matrix4): BufferGeometry {
  const geometry = plainFloats(node.geometry as BufferGeometry);
  if (!(node instanceof InstancedMesh)) return geometry.applyMatrix4(matrix);
  const each = new Matrix4();
  const copies = Array.from({ length: node.count }, (_, i) => {
    node.getMatrixAt(i, each);
    return geometry.clone().applyMatrix4(each.premultiply(matrix));
  });
  return mergeGeometries(copies) ?? geometry;
}

/** What is drawn of a geometry, with quantised or interleaved attributes as plain floats. */
function plainFloats(source: BufferGeometry): BufferGeometry {
  const geometry = new BufferGeometry();
  geometry.setIndex(source.index);
  for (const name of ["position", "normal", "uv", "uv1", "color"]) {
    const from = source.getAttribute(name) as BufferAttribute | undefined;
    if (from === undefined) continue;
    const n = from.itemSize;
    const to = new Float32Array(from.count * n);
    for (let i = 0; i < from.count; i++) for (let k = 0; k < n; k++) to[i * n + k] = from.getComponent(i, k);
    geometry.setAttribute(name, new BufferAttribute(to, n));
  }
  return geometry;
}

const FREE = { low: -Infinity, high: Infinity };

function readDrive(extras: Extras): Drive | null {
  const { drives, shows } = extras;
  if (shows !== undefined)
    return { point: shows.point, kind: "scale", axis: readAxis(shows.axis ?? "y"), amount: shows.full || 100, every: 1, ...FREE };
  if (drives === undefined) return null;
  const axis = readAxis(drives.axis ?? "y");
  switch (drives.kind) {
    case "rotate":
      return { point: drives.point, kind: "rotate", axis, amount: drives.per_bottle ?? 0.5, every: 1, ...FREE };
    case "stroke":
      return { point: drives.point, kind: "stroke", axis, amount: drives.length ?? 0.1, every: drives.bottles ?? 1, ...FREE };
    case "scroll":
      return { point: drives.point, kind: "scroll", axis: readAxis(drives.axis === "v" ? "y" : "x"), amount: drives.per_metre ?? 1, every: 1, ...FREE };
    case "turn":
    case "slide":
      return { point: drives.point, kind: drives.kind, axis, amount: drives.per ?? 1, every: 1, low: drives.low ?? -Infinity, high: drives.high ?? Infinity };
    default:
      return null; // A newer asset may know more; what it does not know it leaves still.
  }
}

function readPlace({ drives }: Extras): Drives | null {
  if (drives?.kind !== "place" || typeof drives.x !== "string" || typeof drives.z !== "string") return null;
  return { x: drives.x, z: drives.z, speed_m_s: drives.speed !== undefined && drives.speed > 0 ? drives.speed : 1 };
}

function readAxis(axis: number[] | string): Vector3 {
  if (typeof axis !== "string") return new Vector3(axis[0], axis[1], axis[2]).normalize();
  return axis === "x" ? new Vector3(1, 0, 0) : axis === "z" ? new Vector3(0, 0, 1) : new Vector3(0, 1, 0);
}

function readLamp(extras: Extras): Lamp | null {
  const { lamp } = extras;
  if (lamp === undefined) return null;
  const color = new Color(extras.colour ?? extras.color ?? "#ffffff");
  return { point: lamp.point, on: new Set(lamp.on), blinks: lamp.blink === true, color };
}

export function isGlass(material: MeshStandardMaterial): boolean {
  return material.transparent || (material instanceof MeshPhysicalMaterial && material.transmission > 0);
}
