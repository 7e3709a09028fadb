/**
 * What stands in the scene: what was built of the mirror's structure, given to the GPU.
 *
 * Built as a whole when structure changes (tens of milliseconds at ten thousand twins); values
 * never pass through here.
 */

import { Box3, Color, Group, Matrix4, Ray, Raycaster, Vector3 } from "three";
import type { Id } from "../mirror.ts";
import { Areas } from "./areas.ts";
import type { AssetModel } from "./asset_model.ts";
import { Bodies, formGeometry } from "./bodies.ts";
import type { Body } from "./bodies.ts";
import { Build, NESTING } from "./build.ts";
import type { BuildMeans } from "./build.ts";
import type { Crowd } from "./crowd.ts";
import { Shades, Titles } from "./decals.ts";
import { Fleet } from "./fleet.ts";
import { Interior } from "./interior.ts";
import type { Anchors } from "./labels.ts";
import { NO_HIT } from "./layers.ts";
import type { Hit } from "./layers.ts";
import type { Shape } from "./outline.ts";
import type { Palette } from "./palette.ts";
import { arcPipe, PipeLook, Pipes } from "./pipes.ts";
import type { Pipe } from "./pipes.ts";
import { Plates, solidPlate } from "./plates.ts";
import type { Plate } from "./plates.ts";
import { Tags } from "./tags.ts";
import { Channel } from "./twin_state.ts";

const SIZE = new Vector3();

export class Population {
  readonly group = new Group();
  readonly bounds = new Box3();
  readonly anchors: Anchors;
  readonly fleets: Fleet[] = [];
  readonly pipes: Pipes;
  readonly tags: Tags;
  readonly titles: Titles;
  readonly shades: Shades;
  readonly areas: Areas;
  /** What is drawn as finely as it is seen. */
  readonly crowds: readonly Crowd[];
  /** Of the one thing whose inside is drawn. */
  interior: Interior | null = null;
  /** Assets that are wanted and not yet here. */
  readonly missing = new Set<string>();
  nInstances = 0;
  /** Whether a twin's geometry is the ground on which the others stand. */
  hasGround = false;

  readonly #grounds: ReadonlySet<number>;
  readonly #plates: Plates | null;
  readonly #bodies: Bodies;
  readonly #plateOf = new Map<number, Plate>();
  readonly #bodyOf = new Map<number, Body>();
  readonly #assetOf = new Map<number, { model: AssetModel; matrix: Matrix4 }>();
  readonly #boundsOf = new Map<number, Box3>();
  /** Boxes to be hit: six numbers each, and whose they are. */
  readonly #hitBoxes: Float32Array;
  readonly #hitTwins: Int32Array;
  readonly #means: BuildMeans;
  /** Twins that are inside of another, with the one that stands for them. */
  readonly #insideOf: ReadonlyMap<number, number>;
  readonly #holders: ReadonlySet<number>;

  constructor(means: BuildMeans) {
    this.#means = means;
    const build = new Build(means, this.missing);
    const plates = build.plates.map(({ plate }) => plate);
    for (const plate of plates) {
      const isFirst = !this.#plateOf.has(plate.ordinal); // the platform, before what stands on it
      if (isFirst && !build.mats.has(plate)) this.#plateOf.set(plate.ordinal, plate);
    }
    for (const body of build.bodies) this.#bodyOf.set(body.ordinal, body);
    this.#plates = plates.length > 0 ? new Plates(plates, means.states) : null;
    this.#bodies = new Bodies(build.bodies, means.states);
    for (const [model, members] of build.members) {
      const fleet = new Fleet(model, members, means.states);
      this.fleets.push(fleet);
      for (const { ordinal, matrix } of members) this.#assetOf.set(ordinal, { model, matrix });
      this.group.add(...fleet.meshes);
    }
    this.pipes = new Pipes(build.pipes, build.pipes.length > 1500 ? 14 : 28);
    this.tags = new Tags(build.tags, means.tagTexture);
    this.titles = new Titles(build.titles);
    this.shades = new Shades(build.shades);
    if (this.#plates) this.group.add(...this.#plates.meshes);
    if (this.#bodies.meshes.length > 0) this.group.add(...this.#bodies.meshes);
    this.group.add(this.shades.mesh, this.titles.mesh, this.pipes.mesh, this.tags.mesh);
    this.crowds = [...(this.#plates?.crowds ?? []), ...this.#bodies.crowds, this.tags.crowd];
    this.anchors = build.anchors;
    this.hasGround = build.grounds.size > 0;
    this.#grounds = build.grounds;
    this.#insideOf = build.insideOf;
    this.#holders = new Set([...build.insideOf.values()].filter((ordinal) => !build.grounds.has(ordinal)));
    this.areas = new Areas(means.mirror, means.states);
    if (this.areas.mesh !== null) this.group.add(this.areas.mesh);
    for (const [ordinal, box] of build.boundsOf) {
      this.#boundsOf.set(ordinal, box);
      if (!build.grounds.has(ordinal)) this.bounds.union(box);
    }
    if (this.bounds.isEmpty())
      for (const ordinal of build.grounds) this.bounds.union(build.boundsOf.get(ordinal)!);
    this.nInstances = plates.length + build.bodies.length + [...build.members.values()].reduce((n, m) => n + m.length, 0);
    this.#hitBoxes = new Float32Array(build.hits.length * 6);
    this.#hitTwins = new Int32Array(build.hits.length);
    build.hits.forEach(({ ordinal, box }, i) => {
      this.#hitTwins[i] = ordinal;
      this.#hitBoxes.set([...box.min.toArray(), ...box.max.toArray()], i * 6);
    });
    this.setTheme(means.palette);
  }

  setTheme(palette: Palette): void {
    this.pipes.setColors(palette.flow, palette.flowLight, palette.power, palette.accent);
    this.tags.setColors(palette.tag, palette.tagBase, palette.uncertain, palette.bad);
    this.titles.setInk(new Color(palette.title));
    this.shades.mesh.material.uniforms["shade"]!.value = palette.shade;
  }

  dispose(): void {
    this.group.removeFromParent();
    this.#plates?.dispose();
    this.#bodies.dispose();
    for (const fleet of this.fleets) fleet.dispose();
    this.pipes.dispose();
    this.tags.dispose();
    this.titles.dispose();
    this.shades.dispose();
    this.areas.dispose();
    this.open(-1);
  }

  /**
   * The thing whose inside is to be drawn: what is selected, unless it is far away, else what is nearest; -1: none.
   *
   * @param selected ordinal; -1: nothing
   * @param isMap seen from above through a long lens: what counts is how large things are seen
   */
  holderSeen(selected: number, eye: Vector3, isMap: boolean): number {
    const holder = this.#holderOf(selected);
    const box = this.boundsOf(holder);
    const isFar = box !== undefined && box.distanceToPoint(eye) > box.getSize(SIZE).length() * (isMap ? 30 : 6);
    return holder < 0 || isFar ? this.#nearestHolder(eye, isMap ? 5 : 0.9) : holder;
  }

  /** What stands for a twin and has an inside to be drawn: itself, or what it is in; -1: nothing. */
  #holderOf(ordinal: number): number {
    const holder = this.#holders.has(ordinal) ? ordinal : this.#insideOf.get(ordinal) ?? -1;
    return this.#holders.has(holder) ? holder : -1;
  }

  /** The thing with an inside that is nearest, seen from a place, within `reach` of its own size; -1. */
  #nearestHolder(place: Vector3, reach: number): number {
    let best = -1;
    let least = reach;
    for (const ordinal of this.#holders) {
      const box = this.#boundsOf.get(ordinal);
      if (box === undefined) continue;
      const away = box.distanceToPoint(place) / Math.max(box.getSize(SIZE).length(), 1);
      if (away < least) [least, best] = [away, ordinal];
    }
    return best;
  }

  /** Draws the inside of a thing in its place, and no longer that of the one before; -1: of none. */
  open(holder: number): boolean {
    if (holder === (this.interior?.holder ?? -1)) return false;
    const { mirror, states, palette } = this.#means;
    const before = this.interior;
    if (before !== null) {
      states.set(before.holder, Channel.Dim, 0);
      const box = this.#boundsOf.get(before.holder);
      for (const { ordinal } of before.cells) if (box !== undefined) this.#put(ordinal, box, 0, 1);
      before.dispose();
      this.interior = null;
    }
    const asset = this.#assetOf.get(holder);
    if (asset === undefined) return true;
    const interior = new Interior(mirror, states, palette, holder, asset.model.bounds, asset.matrix);
    if (interior.cells.length === 0) {
      interior.dispose();
      return true;
    }
    this.interior = interior;
    states.set(holder, Channel.Dim, 255);
    for (const cell of interior.cells) {
      const box = interior.boundsOf(cell);
      const size = box.getSize(SIZE);
      this.#put(cell.ordinal, box, size.y > 1 ? 1 : 0, Math.min(size.x, size.z));
    }
    this.group.add(interior.mesh);
    return true;
  }

  #put(ordinal: number, box: Box3, weight: number, size: number): void {
    this.#boundsOf.set(ordinal, box);
    const { anchors } = this;
    [anchors.x[ordinal], anchors.y[ordinal], anchors.z[ordinal]] = [(box.min.x + box.max.x) / 2, box.max.y + 0.2, (box.min.z + box.max.z) / 2];
    anchors.weight[ordinal] = weight;
    anchors.size[ordinal] = size;
  }

  /** Takes over where vehicles have gone: they are hit, named and bounded there. */
  follow(fleet: Fleet): void {
    for (const i of fleet.gone) {
      const { ordinal, matrix } = fleet.members[i]!;
      const box = fleet.model.bounds.clone().applyMatrix4(matrix);
      this.#put(ordinal, box, 1.2, Math.max(box.max.x - box.min.x, box.max.z - box.min.z));
      const at = this.#hitTwins.indexOf(ordinal);
      if (at >= 0) this.#hitBoxes.set([...box.min.toArray(), ...box.max.toArray()], at * 6);
    }
    fleet.gone.clear();
  }

  /** By ordinal: 1 where a twin has a body of its own, 2 where things stand on that; ground has none. */
  bodies(n: number): Uint8Array {
    const has = new Uint8Array(n);
    const { mirror } = this.#means;
    for (const bodies of [this.#plateOf, this.#bodyOf, this.#assetOf, this.areas.members])
      for (const ordinal of bodies.keys()) has[ordinal] = 1;
    for (const cell of this.interior?.cells ?? []) has[cell.ordinal] = 1;
    for (const ordinal of this.#assetOf.keys()) {
      const above = mirror.parent(mirror.twinAt(ordinal)?.id ?? "");
      const holder = above === undefined ? -1 : mirror.ordinal(above);
      if (this.#assetOf.has(holder)) has[holder] = 2;
    }
    for (const ordinal of this.#grounds) has[ordinal] = 0;
    return has;
  }

  /** The matrix that a twin's body or asset is drawn with. */
  placeOf(ordinal: number): Matrix4 | undefined {
    return (this.#assetOf.get(ordinal) ?? this.#bodyOf.get(ordinal))?.matrix;
  }

  boundsOf(ordinal: number): Box3 | undefined {
    return this.#boundsOf.get(ordinal);
  }

  /** Where a twin stands; of one that has no place of its own, where its parts are. */
  boundsBelow(id: Id, depth = 0): Box3 {
    const { mirror } = this.#means;
    const own = this.boundsOf(mirror.ordinal(id));
    const box = own === undefined ? new Box3() : own.clone();
    if (own === undefined && depth < 8) for (const child of mirror.children(id)) box.union(this.boundsBelow(child, depth + 1));
    return box;
  }

  /** What a twin looks like, for its outline. */
  shapes(ordinal: number): Shape[] {
    const shapes: Shape[] = [];
    const identity = new Matrix4();
    const body = this.#bodyOf.get(ordinal);
    const asset = this.#assetOf.get(ordinal);
    const plate = this.#plateOf.get(ordinal);
    if (body) shapes.push({ geometry: formGeometry(body.form), matrix: body.matrix });
    if (asset)
      for (const part of asset.model.parts) {
        const matrix = asset.matrix.clone();
        const chain: number[] = [];
        for (let j = part.joint; j >= 0; j = asset.model.joints[j]!.parent) chain.unshift(j);
        for (const j of chain) matrix.multiply(asset.model.joints[j]!.rest);
        shapes.push({ geometry: part.geometry, matrix });
      }
    if (plate) shapes.push({ geometry: solidPlate(plate), matrix: identity, isOwn: true });
    return shapes;
  }

  /**
   * The twin that a ray meets first and how far along it, in metres; ordinal -1: none.
   *
   * @param range the part of the ray where something is drawn
   */
  hit(ray: Ray, range: readonly [number, number] = [0, Infinity]): Hit {
    const inside = this.interior?.hit(ray) ?? NO_HIT;
    if (inside.ordinal >= 0 && inside.distance_m >= range[0] && inside.distance_m <= range[1]) return inside;
    const { origin, direction } = ray;
    const inverse = [1 / direction.x, 1 / direction.y, 1 / direction.z];
    const from = [origin.x, origin.y, origin.z];
    const boxes = this.#hitBoxes;
    const found: { at: number; ordinal: number }[] = [];
    for (let i = 0; i < this.#hitTwins.length; i++) {
      let [near, far] = range;
      for (let axis = 0; axis < 3; axis++) {
        const a = (boxes[i * 6 + axis]! - from[axis]!) * inverse[axis]!;
        const b = (boxes[i * 6 + 3 + axis]! - from[axis]!) * inverse[axis]!;
        near = Math.max(near, Math.min(a, b));
        far = Math.min(far, Math.max(a, b));
      }
      if (near <= far && this.#hitTwins[i] !== this.interior?.holder) found.push({ at: near, ordinal: this.#hitTwins[i]! });
    }
    found.sort((a, b) => a.at - b.at);
    let best = -1;
    let bestAt = Infinity;
    for (const { at, ordinal } of found) {
      if (at > bestAt) break;
      const asset = this.#assetOf.get(ordinal);
      const exact = asset === undefined ? at : this.#hitAsset(ray, asset.model, asset.matrix, range);
      if (exact < bestAt) {
        bestAt = exact;
        best = ordinal;
      }
    }
    return best < 0 ? NO_HIT : { ordinal: best, distance_m: bestAt };
  }

  #hitAsset(ray: Ray, model: AssetModel, matrix: Matrix4, [near, far]: readonly [number, number]): number {
    const caster = new Raycaster(ray.origin, ray.direction, near, Math.max(near, far));
    const fleet = this.fleets.find((f) => f.model === model);
    let best = Infinity;
    if (fleet === undefined) return best;
    const index = fleet.members.findIndex((member) => member.matrix === matrix);
    for (const mesh of fleet.meshes)
      for (const hit of caster.intersectObject(mesh, false))
        if (hit.instanceId === index && hit.distance < best) best = hit.distance;
    return best;
  }

  /** Arcs from a twin to all that it is related to. */
  links(id: Id): Pipe[] {
    const { mirror } = this.#means;
    const pipes: Pipe[] = [];
    const at = this.#crown(mirror.ordinal(id));
    if (at === null) return pipes;
    for (const [relations, isOut] of [[mirror.from(id), true], [mirror.to(id), false]] as const)
      for (const relation of relations) {
        if (NESTING.has(relation.kind) || pipes.length >= 64) continue;
        const other = this.#crown(mirror.ordinal(isOut ? relation.target : relation.source));
        if (other === null || other.distanceTo(at) < 0.1) continue;
        pipes.push(arcPipe(isOut ? at : other, isOut ? other : at, PipeLook.Link, 0.028));
      }
    return pipes;
  }

  #crown(ordinal: number): Vector3 | null {
    const box = this.#boundsOf.get(ordinal);
    if (box === undefined) return null;
    return new Vector3((box.min.x + box.max.x) / 2, box.max.y + 0.06, (box.min.z + box.max.z) / 2);
  }
}
