/**
 * The bottles and cartons on the line: as many, and as fast, as the plant's counters say.
 *
 * A line is described by a `path.json` beside its assets. Places are one array that all parts
 * of a bottle (glass, liquid, cap, label) share, so a thousand bottles are a few draw calls.
 */

import {
  BufferAttribute,
  BufferGeometry,
  DynamicDrawUsage,
  Group,
  InstancedBufferAttribute,
  InstancedBufferGeometry,
  Matrix4,
  Mesh,
  MeshStandardMaterial,
} from "three";
import type { Camera, Object3D, WebGLProgramParametersWithUniforms } from "three";
import type { Id, Mirror } from "../mirror.ts";
import { isGlass } from "./asset_model.ts";
import type { AssetLibrary } from "./asset_library.ts";
import { depthLike } from "./fleet.ts";
import type { Fleet } from "./fleet.ts";
import { Curve, Segment } from "./flow_model.ts";
import type { SegmentReading, SegmentSpec } from "./flow_model.ts";

interface PathSegment extends SegmentSpec {
  twin: string;
  asset: string;
  carries: "bottle" | "carton";
  points: number[][];
}

interface PathDocument {
  bottle: { asset: string; asset_low: string };
  carton: { asset: string };
  segments: PathSegment[];
}

interface Track {
  spec: PathSegment;
  segment: Segment;
  curve: Curve;
  twin: Id;
  ordinal: number;
  fleet: Fleet | null;
  member: number;
  ownPhase: number;
  /** How far bottles have come when they enter: 0 empty, 1 filled, 2 capped, 3 labelled. */
  stage: number;
  handles: { entered: number; left: number; inside: number; speed: number; backup: number };
}

/** What a machine does to a bottle that passes it. */
const WORKS: [RegExp, number][] = [[/fill/i, 1], [/capp/i, 2], [/label/i, 3]];
const CAPACITY = 4096;
const NEAR_M = 7;
const NEAR_MAX = 160;
const BELT_M_PER_BOTTLE = 0.2;

export class Bottles {
  readonly group = new Group();
  readonly #library: AssetLibrary;
  readonly #mirror: Mirror;
  /** Near the camera, in all their detail; and all the others. */
  readonly #near = new Swarm();
  readonly #far = new Swarm();
  readonly #cartons = new Swarm();
  readonly #camera: Camera;
  #tracks: Track[] = [];
  #loadedFor = "";
  #document: PathDocument | null = null;
  #isDue = true;

  constructor(library: AssetLibrary, mirror: Mirror, camera: Camera) {
    this.#library = library;
    this.#camera = camera;
    this.#mirror = mirror;
    this.group.add(this.#near.group, this.#far.group, this.#cartons.group);
  }

  /** Looks for a line among the assets, and ties its segments to twins. */
  setStructure(fleets: readonly Fleet[]): void {
    // Only where machines turn or belts run there may be a line with bottles on it.
    const working = fleets.find(({ model }) => model.name.includes("/") && (model.joints.length > 0 || model.parts.some(({ scroll }) => scroll !== null)));
    const folder = working?.model.name.split("/")[0];
    if (folder !== undefined && folder !== this.#loadedFor) {
      this.#loadedFor = folder;
      void this.#load(folder);
    }
    this.#fleets = fleets;
    this.#tie();
  }

  #fleets: readonly Fleet[] = [];
  /** Called when the line has been loaded. */
  onLoad: () => void = () => {};

  async #load(folder: string): Promise<void> {
    try {
      const document = await this.#mirror.rest.get<PathDocument>(`assets/${folder}/path.json`);
      const name = (asset: string): string => (asset.includes("/") ? asset : `${folder}/${asset}`);
      const [bottle, low, carton] = await Promise.all([
        this.#library.loadScene(name(document.bottle.asset)),
        this.#library.loadScene(name(document.bottle.asset_low)),
        this.#library.loadScene(name(document.carton.asset)),
      ]);
      if (bottle) this.#near.setLook(bottle);
      if (low ?? bottle) this.#far.setLook((low ?? bottle)!);
      if (carton) this.#cartons.setLook(carton);
      this.#document = document;
      this.#tie();
      this.onLoad();
    } catch (error) {
      console.info(`scene: no bottles: ${folder} has no path.json`, error);
    }
  }

  #tie(): void {
    const mirror = this.#mirror;
    this.#tracks = [];
    this.#isDue = true;
    let stage = 0;
    for (const spec of this.#document?.segments ?? []) {
      const twin = mirror.twins.has(spec.twin) ? spec.twin : this.#find(spec.name);
      const work = WORKS.find(([word]) => word.test(spec.name))?.[1];
      const entering = stage;
      if (work !== undefined && spec.kind === "machine") stage = Math.max(stage, work);
      if (twin === undefined) continue;
      const ordinal = mirror.ordinal(twin);
      const fleet = this.#fleets.find((f) => f.members.some((m) => m.ordinal === ordinal)) ?? null;
      const handle = (...names: string[]): number =>
        names.map((name) => mirror.handle(twin, name)).find((h) => h >= 0) ?? -1;
      const curve = new Curve(spec.points);
      this.#tracks.push({
        spec,
        segment: new Segment(spec),
        curve,
        twin,
        ordinal,
        fleet,
        member: fleet?.members.findIndex((m) => m.ordinal === ordinal) ?? -1,
        ownPhase: 0,
        stage: entering,
        handles: {
          entered: handle("BottlesIn", "CartonsIn"),
          left: handle("BottlesOut", "CartonsOut"),
          inside: handle("Bottles", "BottlesInside", "Cartons"),
          speed: handle("Speed"),
          backup: handle("Backup"),
        },
      });
    }
  }

  #find(name: string): Id | undefined {
    for (const id of this.#mirror.twins.keys()) if (id === name || id.endsWith(`/${name}`)) return id;
    return undefined;
  }

  /** Forgets where pieces are; they are set anew from what the plant says. */
  reset(): void {
    this.#isDue = true;
  }

  /** Shows pieces where they stand, without moving them; true if something had to be set. */
  settle(): boolean {
    if (!this.#isDue || this.#tracks.length === 0) return false;
    for (const track of this.#tracks) track.segment.fill(this.#read(track));
    this.#isDue = false;
    this.#draw();
    return true;
  }

  update(dt_s: number): boolean {
    if (this.#tracks.length === 0) return false;
    if (this.#isDue) return this.settle();
    let moved = false;
    for (const track of this.#tracks) {
      const reading = this.#read(track);
      let phase = 0;
      if (track.segment.pockets.length > 0) {
        track.ownPhase += reading.speed * dt_s;
        phase = track.fleet?.model.joints.length ? track.fleet.phase[track.member]! : track.ownPhase;
      }
      moved = track.segment.step(dt_s, reading, phase) || moved;
    }
    if (moved) this.#draw();
    return moved;
  }

  counts(): Record<string, number> {
    return Object.fromEntries(this.#tracks.map((track) => [track.spec.name, track.segment.count]));
  }

  #read(track: Track): SegmentReading {
    const { value, quality } = this.#mirror;
    const { handles, spec } = track;
    const read = (handle: number): number => (handle < 0 ? NaN : value[handle]!);
    const isGood = handles.speed >= 0 && quality[handles.speed] === 0;
    const said = isGood ? read(handles.speed) : 0;
    const speed = Number.isFinite(said) ? said : 0;
    const isBelt = spec.kind !== "machine";
    return {
      entered: read(handles.entered),
      left: read(handles.left),
      inside: read(handles.inside),
      speed: isBelt ? speed / 60 : (speed / 3600) * (spec.slots ? 1 : BELT_M_PER_BOTTLE),
      isBackedUp: read(handles.backup) === 1,
    };
  }

  #draw(): void {
    for (const swarm of [this.#near, this.#far, this.#cartons]) swarm.begin();
    const eye = this.#camera.position;
    for (const { segment, curve, spec, stage } of this.#tracks) {
      const isCarton = spec.carries === "carton";
      const work = WORKS.find(([word]) => word.test(spec.name) && spec.kind === "machine")?.[1];
      const put = (way: number): void => {
        const part = way / curve.length;
        let look = stage;
        if (work === 1) look = Math.max(look, Math.min(Math.max((part - 0.2) / 0.6, 0), 1));
        else if (work !== undefined && part > 0.55) look = Math.max(look, work);
        const yaw = curve.place(way, this.#at, 0);
        const [x, y, z] = this.#at as unknown as [number, number, number];
        const isNear =
          (x - eye.x) ** 2 + (y - eye.y) ** 2 + (z - eye.z) ** 2 < NEAR_M ** 2 && this.#near.count < NEAR_MAX;
        (isCarton ? this.#cartons : isNear ? this.#near : this.#far).add(this.#at, yaw, look);
      };
      if (segment.pockets.length > 0) {
        const between = segment.phase - Math.floor(segment.phase);
        segment.pockets.forEach((full, j) => {
          if (full) put((j + between) * spec.pitch);
        });
      } else for (const way of segment.way) put(way);
    }
    for (const swarm of [this.#near, this.#far, this.#cartons]) swarm.end();
  }

  readonly #at = new Float32Array(3);
}

/** Many of one thing: its parts share one attribute of places. */
class Swarm {
  readonly group = new Group();
  readonly #place = new Float32Array(CAPACITY * 4);
  readonly #look = new Float32Array(CAPACITY);
  readonly #placeAttribute = new InstancedBufferAttribute(this.#place, 4).setUsage(DynamicDrawUsage);
  readonly #lookAttribute = new InstancedBufferAttribute(this.#look, 1).setUsage(DynamicDrawUsage);
  readonly #geometries: InstancedBufferGeometry[] = [];
  #n = 0;

  setLook(root: Object3D): void {
    root.updateMatrixWorld(true);
    root.traverse((node) => {
      if (node instanceof Mesh) this.#addPart(node as Mesh<BufferGeometry, MeshStandardMaterial>);
    });
  }

  begin(): void {
    this.#n = 0;
  }

  get count(): number {
    return this.#n;
  }

  add(place: Float32Array, yaw: number, look: number): void {
    if (this.#n >= CAPACITY) return;
    this.#place.set(place, this.#n * 4);
    this.#place[this.#n * 4 + 3] = yaw;
    this.#look[this.#n] = look;
    this.#n += 1;
  }

  end(): void {
    for (const geometry of this.#geometries) geometry.instanceCount = this.#n;
    this.#placeAttribute.clearUpdateRanges();
    this.#placeAttribute.addUpdateRange(0, this.#n * 4);
    this.#placeAttribute.needsUpdate = true;
    this.#lookAttribute.clearUpdateRanges();
    this.#lookAttribute.addUpdateRange(0, this.#n);
    this.#lookAttribute.needsUpdate = true;
  }

  #addPart(node: Mesh<BufferGeometry, MeshStandardMaterial>): void {
    const source = node.geometry.clone().applyMatrix4(node.matrixWorld);
    const geometry = new InstancedBufferGeometry();
    for (const [name, attribute] of Object.entries(source.attributes))
      geometry.setAttribute(name, attribute as BufferAttribute);
    geometry.setIndex(source.index);
    geometry.setAttribute("aPlace", this.#placeAttribute);
    geometry.setAttribute("aLook", this.#lookAttribute);
    geometry.instanceCount = 0;
    const name = `${node.name} ${node.parent?.name ?? ""}`;
    const [stage, fills] = /liquid/i.test(name) ? [0, 1] : /cap/i.test(name) ? [2, 0] : /label/i.test(name) ? [3, 0] : [-1, 0];
    source.computeBoundingBox();
    const foot = source.boundingBox!.min.y;
    const patch = (shader: WebGLProgramParametersWithUniforms): void => standing(shader, stage!, fills === 1, foot);
    const material = node.material.clone();
    // What is nearly opaque is drawn opaque: blending hundreds of liquids would order them wrongly.
    const glass = isGlass(material) && material.opacity < 0.6;
    if ("transmission" in material) (material as { transmission: number }).transmission = 0;
    material.transparent = glass;
    material.depthWrite = !glass;
    if (glass) {
      material.opacity = 0.42;
      material.envMapIntensity = 2.2;
    } else material.opacity = 1;
    material.onBeforeCompile = patch;
    material.customProgramCacheKey = () => `bottle:${stage}:${fills}:${foot}`;
    const mesh = new Mesh(geometry, material);
    mesh.frustumCulled = false;
    mesh.castShadow = true;
    mesh.receiveShadow = !glass;
    mesh.renderOrder = glass ? 4 : 0;
    mesh.customDepthMaterial = depthLike(patch);
    mesh.matrixAutoUpdate = false;
    mesh.matrix.copy(new Matrix4());
    this.#geometries.push(geometry);
    this.group.add(mesh);
  }
}

/** Turns and moves a piece to its place, or folds it away where the bottle has no such part yet. */
function standing(shader: WebGLProgramParametersWithUniforms, stage: number, fills: boolean, foot: number): void {
  const shown = fills
    ? `transformed.y = ${foot.toFixed(4)} + (transformed.y - ${foot.toFixed(4)}) * clamp(aLook, 0.0, 1.0);
       if (aLook < 0.01) transformed = vec3(0.0);`
    : stage > 0
      ? `if (aLook < ${(stage - 0.5).toFixed(1)}) transformed = vec3(0.0);`
      : "";
  shader.vertexShader = shader.vertexShader
    .replace("#include <common>", "#include <common>\nattribute vec4 aPlace;\nattribute float aLook;")
    .replace(
      "#include <beginnormal_vertex>",
      `float turnC = cos(aPlace.w); float turnS = sin(aPlace.w);
      mat3 turn = mat3(turnC, 0.0, -turnS, 0.0, 1.0, 0.0, turnS, 0.0, turnC);
      vec3 objectNormal = turn * normal;
      #ifdef USE_TANGENT
        vec3 objectTangent = vec3(tangent.xyz);
      #endif`,
    )
    .replace(
      "#include <begin_vertex>",
      `float turnC2 = cos(aPlace.w); float turnS2 = sin(aPlace.w);
      vec3 transformed = position;
      ${shown}
      transformed = mat3(turnC2, 0.0, -turnS2, 0.0, 1.0, 0.0, turnS2, 0.0, turnC2) * transformed + aPlace.xyz;`,
    );
}
