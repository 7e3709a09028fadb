/**
 * All twins that look like one asset: instanced, moved by their own points.
 *
 * A machine's phase is integrated from its speed in between samples, so that it turns smoothly
 * however seldom values come.
 */

import {
  DynamicDrawUsage,
  InstancedBufferAttribute,
  InstancedMesh,
  Matrix4,
  MeshDepthMaterial,
  MeshPhysicalMaterial,
  Quaternion,
  RGBADepthPacking,
  Vector3,
} from "three";
import type { MeshStandardMaterial, WebGLProgramParametersWithUniforms } from "three";
import { isGlass } from "./asset_model.ts";
import type { AssetModel, Drive, Part } from "./asset_model.ts";
import { Glide } from "./glide.ts";
import type { TwinStates } from "./twin_state.ts";

/** How far beside the middle of their way vehicles may be. */
const LANES_M = 2.6;

/** How quickly what follows a value goes to it. */
const FOLLOW_PER_S = 7;

export interface Member {
  ordinal: number;
  matrix: Matrix4;
}

/** Where fleets read values: by ordinal of the twin and name of the point. NaN: none. */
export type ReadPoint = (ordinal: number, point: string) => number;

interface Drawn {
  part: Part;
  mesh: InstancedMesh;
  /** How far lit, or how far the texture has moved. */
  extra: InstancedBufferAttribute | null;
}

export class Fleet {
  readonly model: AssetModel;
  readonly members: readonly Member[];
  readonly meshes: InstancedMesh[] = [];
  readonly #drawn: Drawn[] = [];
  /** Slots passed since the beginning, per member. */
  readonly phase: Float64Array;
  /** Metres that belts have run, per member. */
  readonly #run: Float64Array;
  /** Where each member is on its way, of those that drive. */
  readonly #glides: Glide[] = [];
  /** Members that have left the place where they were, since somebody looked. */
  readonly gone = new Set<number>();
  readonly #joint: Matrix4[];
  readonly #world = new Matrix4();
  readonly #move = new Matrix4();
  readonly #turn = new Quaternion();
  readonly #scale = new Vector3();

  constructor(model: AssetModel, members: readonly Member[], states: TwinStates) {
    this.model = model;
    this.members = members;
    this.phase = new Float64Array(members.length);
    this.#run = new Float64Array(members.length);
    this.#joint = model.joints.map(() => new Matrix4());
    if (model.place !== null)
      for (const { matrix } of members) {
        const { elements: e } = matrix;
        this.#glides.push(new Glide(e[12]!, e[14]!, Math.atan2(-e[2]!, e[0]!), model.place.speed_m_s));
      }
    const twins = new Float32Array(members.map((member) => member.ordinal));
    for (const part of model.parts) this.#addPart(part, twins, states);
    members.forEach((_, i) => this.#place(i));
    for (const mesh of this.meshes) {
      mesh.computeBoundingSphere();
      // What drives, swings or slides may be where its bounds at rest are not.
      if (model.place !== null || model.joints.some(({ drive }) => drive?.kind === "turn" || drive?.kind === "slide")) mesh.frustumCulled = false;
    }
  }

  get isMoving(): boolean {
    return this.model.place !== null || this.model.joints.length > 0 || this.model.parts.some((p) => p.lamp !== null || p.scroll !== null);
  }

  /** Takes values and moves on by `dt_s`; true if anything moves. */
  update(read: ReadPoint, dt_s: number, states: (ordinal: number) => boolean): boolean {
    let moved = false;
    this.members.forEach((member, i) => {
      moved = this.#advance(i, member, read, dt_s, states(member.ordinal), false) || moved;
    });
    return moved;
  }

  /** Shows all as its points say, without a way there: time stands still, or nothing is to move. */
  put(read: ReadPoint): boolean {
    let moved = false;
    this.members.forEach((member, i) => {
      moved = this.#advance(i, member, read, 0, false, true) || moved;
    });
    return moved;
  }

  #drive(i: number, member: Member, read: ReadPoint, dt_s: number, isAtOnce: boolean): boolean {
    const { place } = this.model;
    const glide = this.#glides[i];
    if (place === null || glide === undefined) return false;
    // Beside each other where they wait at one place, and where they meet.
    const aside = (((i * 0.618) % 1) - 0.5) * LANES_M;
    const isThere = glide.report(read(member.ordinal, place.x) + aside, read(member.ordinal, place.z) + aside, isAtOnce);
    if (!glide.step(dt_s) && !(isAtOnce && isThere)) return false;
    member.matrix.makeRotationY(glide.yaw).setPosition(glide.x, member.matrix.elements[13]!, glide.z);
    this.gone.add(i);
    this.#place(i, read, true);
    return true;
  }

  dispose(): void {
    for (const { mesh } of this.#drawn) {
      (mesh.material as MeshStandardMaterial).dispose();
      mesh.geometry.dispose();
      mesh.customDepthMaterial?.dispose();
      mesh.dispose();
    }
  }

  #addPart(part: Part, twins: Float32Array, states: TwinStates): void {
    const n = this.members.length;
    const geometry = part.geometry.clone();
    geometry.setAttribute("aTwin", new InstancedBufferAttribute(twins, 1));
    const material = part.material.clone();
    let extra: InstancedBufferAttribute | null = null;
    if (part.lamp !== null || part.scroll !== null) {
      extra = new InstancedBufferAttribute(new Float32Array(n), 1).setUsage(DynamicDrawUsage);
      geometry.setAttribute("aExtra", extra);
    }
    const isMerged = geometry.getAttribute("aSurface") !== undefined;
    if (part.lamp !== null) {
      material.emissive.copy(part.lamp.color);
      material.emissiveIntensity = 1;
      states.patch(material, "lamp", litByExtra);
    } else if (part.scroll !== null) {
      states.patch(material, part.scroll.axis.x > 0.5 ? "scroll-u" : "scroll-v", part.scroll.axis.x > 0.5 ? scrolledU : scrolledV);
    } else if (isMerged) states.patch(material, "merged", withSurface);
    else states.patch(material, "asset");
    const glass = isGlass(material);
    if (material instanceof MeshPhysicalMaterial && material.transmission > 0) {
      // Transmission would draw the whole scene twice; thin glass looks as good blended.
      material.transmission = 0;
      material.transparent = true;
      material.opacity = Math.min(material.opacity, 0.34);
    }
    if (glass) {
      material.depthWrite = false;
      material.envMapIntensity = 1.6;
    }
    const mesh = new InstancedMesh(geometry, material, n);
    if (part.joint >= 0) mesh.instanceMatrix.setUsage(DynamicDrawUsage);
    mesh.castShadow = !glass;
    mesh.receiveShadow = true;
    mesh.renderOrder = glass ? 3 : 0;
    mesh.userData["part"] = part;
    this.meshes.push(mesh);
    this.#drawn.push({ part, mesh, extra });
  }

  #advance(i: number, member: Member, read: ReadPoint, dt_s: number, isStale: boolean, isAtOnce: boolean): boolean {
    let moved = false;
    const speeds = new Map<string, number>();
    const speed = (point: string): number => {
      let value = speeds.get(point);
      if (value === undefined) {
        value = read(member.ordinal, point);
        speeds.set(point, (value = Number.isFinite(value) && !isStale ? value : 0));
      }
      return value;
    };
    const { joints } = this.model;
    const turning = joints.find((j) => j.drive?.kind === "rotate" || j.drive?.kind === "stroke")?.drive;
    if (turning !== undefined && turning !== null) {
      const perSecond = speed(turning.point) / 3600;
      if (perSecond !== 0) {
        this.phase[i] = this.phase[i]! + perSecond * dt_s;
        moved = true;
      }
    }
    for (const { part, extra } of this.#drawn) {
      if (extra === null) continue;
      if (part.scroll !== null) {
        const metres = (speed(part.scroll.point) / 60) * dt_s;
        if (metres !== 0) {
          this.#run[i] = this.#run[i]! + metres;
          moved = true;
        }
        extra.setX(i, (this.#run[i]! * part.scroll.amount) % 1);
        extra.needsUpdate = true;
      } else if (part.lamp !== null) {
        const isOn = part.lamp.on.has(read(member.ordinal, part.lamp.point));
        const lit = !isOn ? 0 : part.lamp.blinks ? 2 : 1;
        if (extra.getX(i) !== lit) {
          extra.setX(i, lit);
          extra.needsUpdate = true;
          moved = true;
        }
        if (lit === 2) moved = true;
      }
    }
    moved = this.#followValues(member, read, isAtOnce ? Infinity : dt_s) || moved;
    if (moved) this.#place(i, read);
    return this.#drive(i, member, read, isStale ? 0 : dt_s, isAtOnce) || moved;
  }

  /** What each joint that follows a value shows, by ordinal and joint: two may read one point. */
  readonly #shown = new Map<string, number>();

  /** Levels, hinges and slides go to where their values are; true while they do. */
  #followValues(member: Member, read: ReadPoint, dt_s: number): boolean {
    let changed = false;
    for (const [j, { drive }] of this.model.joints.entries()) {
      if (drive === null || (drive.kind !== "scale" && drive.kind !== "turn" && drive.kind !== "slide")) continue;
      const key = `${member.ordinal} ${j}`;
      const value = Math.min(Math.max(read(member.ordinal, drive.point), drive.low), drive.high);
      const before = this.#shown.get(key);
      if (before === value || Number.isNaN(value)) continue;
      const left = value - (before ?? value);
      // So near that nobody sees it: there.
      const isThere = before === undefined || Math.abs(left) < 1e-3 * Math.max(1, Math.abs(value));
      this.#shown.set(key, isThere ? value : before + left * (1 - Math.exp(-dt_s * FOLLOW_PER_S)));
      changed = true;
    }
    return changed;
  }

  /** Sets the matrices of one member's parts. */
  #place(i: number, read?: ReadPoint, isAll = read === undefined): void {
    const member = this.members[i]!;
    this.model.joints.forEach((joint, j) => {
      const matrix = this.#joint[j]!;
      if (joint.parent >= 0) matrix.multiplyMatrices(this.#joint[joint.parent]!, joint.rest);
      else matrix.multiplyMatrices(member.matrix, joint.rest);
      if (joint.drive !== null) matrix.multiply(this.#moveOf(joint.drive, j, i, member));
    });
    for (const { part, mesh } of this.#drawn) {
      if (part.joint < 0 && !isAll) continue; // What stands still is placed once.
      this.#world.copy(part.joint < 0 ? member.matrix : this.#joint[part.joint]!);
      mesh.setMatrixAt(i, this.#world);
      if (!mesh.frustumCulled) mesh.boundingSphere = null; // A ray has to look anew.
      mesh.instanceMatrix.needsUpdate = true;
    }
  }

  #moveOf(drive: Drive, j: number, i: number, member: Member): Matrix4 {
    const phase = this.phase[i]!;
    switch (drive.kind) {
      case "rotate":
        return this.#move.makeRotationFromQuaternion(
          this.#turn.setFromAxisAngle(drive.axis, (phase * drive.amount) % (2 * Math.PI)),
        );
      case "stroke": {
        const way = drive.amount * (0.5 - 0.5 * Math.cos((2 * Math.PI * phase) / drive.every));
        return this.#move.makeTranslation(drive.axis.x * way, drive.axis.y * way, drive.axis.z * way);
      }
      case "scale": {
        const value = this.#shown.get(`${member.ordinal} ${j}`) ?? NaN;
        const part = Number.isFinite(value) ? Math.min(Math.max(value / drive.amount, 0.001), 1.2) : 1;
        this.#scale.set(1, 1, 1).addScaledVector(drive.axis, part - 1);
        return this.#move.makeScale(this.#scale.x, this.#scale.y, this.#scale.z);
      }
      case "turn": {
        const value = this.#shown.get(`${member.ordinal} ${j}`) ?? 0;
        return this.#move.makeRotationFromQuaternion(this.#turn.setFromAxisAngle(drive.axis, value * drive.amount));
      }
      case "slide": {
        const way = (this.#shown.get(`${member.ordinal} ${j}`) ?? 0) * drive.amount;
        return this.#move.makeTranslation(drive.axis.x * way, drive.axis.y * way, drive.axis.z * way);
      }
      default:
        return this.#move.identity();
    }
  }
}

type Shader = WebGLProgramParametersWithUniforms;

function litByExtra(shader: Shader): void {
  withExtra(shader);
  shader.fragmentShader = shader.fragmentShader
    .replace("#include <common>", "#include <common>\nflat varying float vExtra;")
    .replace(
      "#include <emissivemap_fragment>",
      `#include <emissivemap_fragment>
      float lit = vExtra < 0.5 ? 0.03 : (vExtra < 1.5 ? 1.0 : step(0.5, pulse));
      totalEmissiveRadiance = emissive * lit * 2.2;`,
    );
}

function withExtra(shader: Shader): void {
  shader.vertexShader = shader.vertexShader
    .replace("#include <common>", "#include <common>\nattribute float aExtra;\nflat varying float vExtra;")
    .replace("#include <begin_vertex>", "#include <begin_vertex>\nvExtra = aExtra;");
}

function scrolled(shader: Shader, axis: "x" | "y"): void {
  shader.vertexShader = shader.vertexShader
    .replace("#include <common>", "#include <common>\nattribute float aExtra;")
    .replace(
      "#include <uv_vertex>",
      `#include <uv_vertex>
      #ifdef USE_MAP
        vMapUv.${axis} -= aExtra;
      #endif`,
    );
}

function scrolledU(shader: Shader): void {
  scrolled(shader, "x");
}

function scrolledV(shader: Shader): void {
  scrolled(shader, "y");
}

/** Roughness, metalness and glow come per vertex: see mergeStill. */
function withSurface(shader: Shader): void {
  shader.vertexShader = shader.vertexShader
    .replace("#include <common>", "#include <common>\nattribute vec3 aSurface;\nvarying vec3 vSurface;")
    .replace("#include <begin_vertex>", "#include <begin_vertex>\nvSurface = aSurface;");
  shader.fragmentShader = shader.fragmentShader
    .replace("#include <common>", "#include <common>\nvarying vec3 vSurface;")
    .replace("#include <roughnessmap_fragment>", "float roughnessFactor = max(vSurface.x, 0.06);")
    .replace("#include <metalnessmap_fragment>", "float metalnessFactor = vSurface.y;")
    .replace(
      "#include <emissivemap_fragment>",
      "#include <emissivemap_fragment>\ntotalEmissiveRadiance += diffuseColor.rgb * vSurface.z;",
    );
}

/** A depth material that draws what the other does, for things bent in the vertex shader. */
export function depthLike(patch: (shader: Shader) => void): MeshDepthMaterial {
  const depth = new MeshDepthMaterial({ depthPacking: RGBADepthPacking });
  depth.onBeforeCompile = patch;
  return depth;
}
