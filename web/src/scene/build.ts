/**
 * From the mirror's structure to lists of what stands where: plates, bodies, members of fleets,
 * bars, pipes, names. Nothing here is given to the GPU yet.
 */

import { Box3, Color, Matrix4, Quaternion, Vector3 } from "three";
import { Kind } from "../protocol.ts";
import type { Mirror, Twin } from "../mirror.ts";
import type { AssetLibrary } from "./asset_library.ts";
import type { AssetModel } from "./asset_model.ts";
import { FORM_SIZE, formFor } from "./bodies.ts";
import type { Body, Form } from "./bodies.ts";
import type { Shade, Title } from "./decals.ts";
import type { Member } from "./fleet.ts";
import type { Anchors } from "./labels.ts";
import { layOut, Place } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { assetName } from "./look.ts";
import { hash, typeColor } from "./palette.ts";
import type { Palette } from "./palette.ts";
import { arcPipe, flowPipe, PipeLook, rowPipe } from "./pipes.ts";
import type { Pipe } from "./pipes.ts";
import type { Plate } from "./plates.ts";
import { BAR_PITCH_M } from "./tags.ts";
import type { Tag, TagTexture } from "./tags.ts";
import type { TwinStates } from "./twin_state.ts";

/** Beyond this many, only flows are drawn of all relations. */
const POWER_PIPES_MAX = 400;
const PIPES_MAX = 12_000;
/** Bars before a machine are smaller than those on plates: the machine is what is looked at. */
const MAT_SCALE = 0.6;
/** Larger things are no solid block: a shade over all their bounds would darken free floor. */
const SHADE_M2_MAX = 22;
/** Beside what is larger than this, bars could not be seen: buildings have none. */
const BARS_M_MAX = 25;
/** A world of more twins does not lay out what is inside of a thing that has a look of its own, and
 * none what is inside of a building: rooms are in it, not in a row before it. */
const LAID_OUT_MAX = 1_500;

/** Relations that say where a twin belongs: shown by nesting, not by pipes. */
export const NESTING = new Set(["part_of", "located_in"]);

export interface BuildMeans {
  mirror: Mirror;
  library: AssetLibrary;
  states: TwinStates;
  tagTexture: TagTexture;
  palette: Palette;
}

/** One building of a population: everything as plain lists, before it is given to the GPU. */
export class Build {
  readonly plates: { plate: Plate }[] = [];
  /** Plates that only carry the bars of a twin that has geometry. */
  readonly mats = new Set<Plate>();
  readonly bodies: Body[] = [];
  readonly members = new Map<AssetModel, Member[]>();
  readonly pipes: Pipe[] = [];
  readonly tags: Tag[] = [];
  readonly titles: Title[] = [];
  readonly shades: Shade[] = [];
  readonly boundsOf = new Map<number, Box3>();
  readonly hits: { ordinal: number; box: Box3 }[] = [];
  readonly grounds = new Set<number>();
  readonly anchors: Anchors;

  readonly #means: BuildMeans;
  readonly #missing: Set<string>;
  /** Ordinals of all twins; every array below is by index in this list. */
  readonly #ordinals: number[] = [];
  readonly #indexOf = new Map<number, number>();
  /** Twins that are inside of another and not shown, with the one that is. */
  readonly insideOf = new Map<number, number>();
  readonly #numeric: number[][] = [];
  readonly #forms: Form[] = [];
  readonly #models: (AssetModel | null)[] = [];
  readonly #poses: (Matrix4 | null)[] = [];
  /** Indices of those that show what a twin looks like among the parts that it carries. */
  readonly #standIns = new Set<number>();
  #layout!: Layout;

  constructor(means: BuildMeans, missing: Set<string>) {
    this.#means = means;
    this.#missing = missing;
    const n = means.mirror.nOrdinals;
    this.anchors = {
      n,
      x: new Float32Array(n),
      y: new Float32Array(n),
      z: new Float32Array(n),
      weight: new Float32Array(n),
      size: new Float32Array(n),
    };
    this.#collect();
    this.#lay();
    // Platforms first, outermost first: what lies on them is drawn and named after them.
    for (let i = 0; i < this.#ordinals.length; i++) this.#stand(i);
    for (const [ordinal, holder] of this.insideOf) this.#standInside(ordinal, holder);
    this.#relate();
    this.titles.sort((a, b) => b.height_m - a.height_m);
  }

  // --- what there is -----------------------------------------------------------------------

  #collect(): void {
    const { mirror } = this.#means;
    const isLarge = mirror.nTwins > LAID_OUT_MAX;
    for (let ordinal = 0; ordinal < mirror.nOrdinals; ordinal++) {
      const twin = mirror.twinAt(ordinal);
      if (twin === undefined) continue;
      const holder = this.#shownHolder(twin, isLarge);
      if (holder >= 0) {
        this.insideOf.set(ordinal, holder);
        continue;
      }
      this.#indexOf.set(ordinal, this.#ordinals.length);
      this.#ordinals.push(ordinal);
      const handles = mirror.handlesOf(twin.id);
      this.#numeric.push(handles.filter((h) => (mirror.pointType(h).kind ?? Kind.FLOAT) <= Kind.ENUM));
      this.#forms.push(formFor(`${twin.type ?? ""} ${mirror.typeName(twin.type ?? "")}`, mirror.nameOf(twin.id), handles.length));
      const name = assetName(mirror.geometryOf(twin.id));
      const model = name ? this.#means.library.get(name) : null;
      if (model === undefined) this.#missing.add(name);
      const carries = mirror.children(twin.id).length > 0;
      // A pose without a look, of a twin with parts: the parts show where it is.
      const pose = name === "" && carries ? null : poseMatrix(twin);
      const isStoodFor = model != null && carries && pose === null;
      this.#models.push(isStoodFor ? null : model ?? null);
      this.#poses.push(pose);
      if (isStoodFor) this.#standIn(ordinal, model);
    }
  }

  /** The nearest thing with a look that a twin without place and look is inside of; -1: none. */
  #shownHolder(twin: Twin, isLarge: boolean): number {
    const { mirror, library } = this.#means;
    if (twin.pose != null || assetName(mirror.geometryOf(twin.id)) !== "") return -1;
    let above = mirror.parent(twin.id);
    for (let depth = 0; above !== undefined && depth < 16; depth++) {
      const asset = assetName(mirror.geometryOf(above));
      if (mirror.twins.get(above)?.pose != null && asset !== "") {
        const size = library.get(asset)?.bounds.getSize(new Vector3());
        const isBuilding = size !== undefined && Math.max(size.x, size.z) > BARS_M_MAX;
        // A hall in which things have places of their own is seen from inside.
        const isHall = mirror.children(above).some((id) => mirror.twins.get(id)?.pose != null);
        return (isLarge || isBuilding) && !isHall ? mirror.ordinal(above) : -1;
      }
      above = mirror.parent(above);
    }
    return -1;
  }

  /** A look without a place, of a twin with parts: it stands among them. */
  #standIn(ordinal: number, model: AssetModel): void {
    this.#standIns.add(this.#ordinals.length);
    this.#ordinals.push(ordinal);
    this.#numeric.push([]);
    this.#forms.push(this.#forms.at(-1)!);
    this.#models.push(model);
    this.#poses.push(null);
  }

  #twin(i: number): Twin {
    return this.#means.mirror.twinAt(this.#ordinals[i]!)!;
  }

  // --- where it goes -----------------------------------------------------------------------

  #lay(): void {
    const { mirror } = this.#means;
    const n = this.#ordinals.length;
    const parent = new Int32Array(n).fill(-1);
    const footprint = new Float32Array(n * 2);
    const posed = new Float32Array(n * 4).fill(NaN);
    const group = new Int32Array(n);
    const strip = new Float32Array(n);
    for (let i = 0; i < n; i++) {
      const twin = this.#twin(i);
      const above = this.#standIns.has(i) ? twin.id : mirror.parent(twin.id);
      if (above !== undefined) parent[i] = this.#indexOf.get(mirror.ordinal(above)) ?? -1;
      footprint.set(this.#footprint(i), i * 2);
      group[i] = hash(twin.type ?? "") | 0;
      const k = this.#numeric[i]!.length;
      strip[i] = k > 0 ? Math.ceil(k / 14) * BAR_PITCH_M + 0.2 : 0;
    }
    const boxes = this.#poses.map((_, i) => this.#posedBox(i));
    this.#findGrounds(boxes);
    const all = new Box3();
    for (const box of boxes) if (box !== null) all.union(box);
    if (!all.isEmpty()) this.#labelled_m = Math.max(5, all.getSize(new Vector3()).length() * 0.03);
    boxes.forEach((box, i) => {
      if (box === null) return;
      const isGround = this.grounds.has(this.#ordinals[i]!);
      const middle = box.getCenter(new Vector3());
      posed.set(
        isGround ? [middle.x, middle.z, middle.x, middle.z] : [box.min.x, box.min.z, box.max.x, box.max.z],
        i * 4,
      );
    });
    const feeds: number[] = [];
    for (const relation of mirror.relations.values()) {
      if (relation.kind !== "feeds") continue;
      const a = this.#indexOf.get(mirror.ordinal(relation.source));
      const b = this.#indexOf.get(mirror.ordinal(relation.target));
      if (a !== undefined && b !== undefined) feeds.push(a, b);
    }
    this.#layout = layOut({ n, parent, footprint, posed, feeds: Int32Array.from(feeds), group, strip });
  }

  /** Up to what size a thing is the more worth a name: a twentieth of the world, but a machine's at least. */
  #labelled_m = 5;

  /** A geometry that reaches round most others (a hall, a site) is ground, not a thing among them. */
  #findGrounds(boxes: (Box3 | null)[]): void {
    const placed = boxes.filter((box) => box !== null).length;
    if (placed < 3) return;
    const middle = new Vector3();
    boxes.forEach((box, i) => {
      if (box === null || this.#models[i] === null) return;
      let inside = 0;
      for (const other of boxes) {
        if (other === null || other === box) continue;
        other.getCenter(middle);
        if (middle.x > box.min.x && middle.x < box.max.x && middle.z > box.min.z && middle.z < box.max.z) inside += 1;
      }
      if (inside > (placed - 1) * 0.5) this.grounds.add(this.#ordinals[i]!);
    });
  }

  #posedBox(i: number): Box3 | null {
    const pose = this.#poses[i];
    if (pose == null) return null;
    const model = this.#models[i];
    const [w, h, d] = FORM_SIZE[this.#forms[i]!];
    const box = model
      ? model.bounds.clone()
      : new Box3(new Vector3(-w / 2, 0, -d / 2), new Vector3(w / 2, h, d / 2));
    return box.applyMatrix4(pose);
  }

  #bars(n: number): { columns: number; rows: number } {
    const columns = Math.min(n, Math.max(6, Math.min(32, Math.ceil(Math.sqrt(n * 2.4)))));
    return { columns, rows: n === 0 ? 0 : Math.ceil(n / columns) };
  }

  #footprint(i: number): [number, number] {
    const { columns, rows } = this.#bars(this.#numeric[i]!.length);
    const model = this.#models[i];
    const size = model ? model.bounds.getSize(new Vector3()) : null;
    const [bodyW, , bodyD] = size ? [size.x, size.y, size.z] : FORM_SIZE[this.#forms[i]!];
    const w = Math.max(1.7, columns * BAR_PITCH_M + 0.34, bodyW + 0.5);
    return [w, bodyD + 0.6 + (rows > 0 ? rows * BAR_PITCH_M + 0.16 : 0)];
  }

  // --- how it stands -------------------------------------------------------------------------

  #stand(i: number): void {
    const whole = this.#standIns.has(i) ? this.boundsOf.get(this.#ordinals[i]!) : undefined;
    this.#standOn(i);
    if (whole !== undefined) this.boundsOf.get(this.#ordinals[i]!)!.union(whole);
  }

  #standOn(i: number): void {
    switch (this.#layout.place[i]) {
      case Place.Plate:
        this.#standOnPlate(i);
        break;
      case Place.Platform:
      case Place.Zone:
        this.#standAsPlatform(i);
        break;
      case Place.Posed:
        this.#standPosed(i);
        break;
    }
  }

  #standOnPlate(i: number): void {
    const { x, z, top, w, d } = this.#layout;
    const ordinal = this.#ordinals[i]!;
    const box = this.#plate(i, 0.16, this.#means.palette.plate);
    const bars = this.#numeric[i]!;
    const { columns, rows } = this.#bars(bars.length);
    const room = rows > 0 ? rows * BAR_PITCH_M + 0.16 : 0;
    const bodyZ = z[i]! - d[i]! / 2 + (d[i]! - room) / 2;
    const place = new Matrix4();
    const model = this.#models[i];
    let height: number;
    if (model) {
      const middle = model.bounds.getCenter(new Vector3());
      place.makeTranslation(x[i]! - middle.x, top[i]! - model.bounds.min.y, bodyZ - middle.z);
      height = model.bounds.max.y - model.bounds.min.y;
      this.#member(model, ordinal, place);
      const drawn = this.boundsOf.get(ordinal)!;
      this.hits.push({ ordinal, box: drawn });
      box.union(drawn);
    } else {
      const form = this.#forms[i]!;
      const [bw, bh, bd] = FORM_SIZE[form];
      const scale = Math.min(Math.max(w[i]! / 1.9, 1), 1.7);
      place.makeTranslation(x[i]!, top[i]!, bodyZ).scale(new Vector3(scale, scale, scale));
      height = bh * scale;
      this.bodies.push({ ordinal, form, matrix: place, color: typeColor(this.#twin(i).type ?? "") });
      this.shades.push({ x: x[i]!, y: top[i]! + 0.004, z: bodyZ, w: bw * scale, d: bd * scale, soft_m: 0.22, strength: 0.9 });
      const half = new Vector3((bw * scale) / 2, 0, (bd * scale) / 2);
      const foot = new Vector3(x[i]!, top[i]!, bodyZ);
      const body = new Box3(foot.clone().sub(half), foot.clone().add(half).setY(top[i]! + height));
      this.hits.push({ ordinal, box: body });
      box.union(body);
    }
    this.#barRows(bars, columns, x[i]!, top[i]!, z[i]! + d[i]! / 2 - room / 2 - 0.06, rows);
    this.boundsOf.set(ordinal, box);
    this.#anchor(ordinal, x[i]!, top[i]! + height + 0.1, bodyZ, 1, w[i]!);
  }

  #standAsPlatform(i: number): void {
    const { x, z, top, w, d, depth, place } = this.#layout;
    const { mirror, palette } = this.#means;
    const ordinal = this.#ordinals[i]!;
    const isZone = place[i] === Place.Zone;
    const level = Math.min(depth[i]!, palette.platform.length - 1);
    // On ground that a twin brings, a zone is its name on the floor and no more.
    const isBare = isZone && this.grounds.size > 0;
    const box = isBare ? this.#zoneBox(i) : this.#plate(i, isZone ? 0.5 : 0.3, isZone ? palette.zone : palette.platform[level]!);
    if (!isZone && depth[i] === 0)
      this.shades.push({ x: x[i]!, y: 0.006, z: z[i]!, w: w[i]!, d: d[i]!, soft_m: 0.9, strength: 0.75 });
    const size = Math.min(Math.max(w[i]! * 0.045, 0.52), 1.3 - Math.min(depth[i]!, 3) * 0.22);
    const front = z[i]! + d[i]! / 2;
    if (!isBare) this.titles.push({
      text: mirror.nameOf(this.#twin(i).id),
      x: x[i]! - w[i]! / 2 + 0.32,
      y: top[i]! + 0.006,
      z: front - 0.12 - size / 2,
      height_m: Math.min(size, 0.8),
      room_m: w[i]! - 0.7,
    });
    const bars = this.#numeric[i]!;
    if (bars.length > 0) {
      const columns = Math.max(14, Math.min(bars.length, Math.floor((w[i]! - 0.8) / BAR_PITCH_M)));
      const rows = Math.ceil(bars.length / columns);
      this.#barRows(bars, Math.min(columns, bars.length), x[i]!, top[i]!, front - 0.95 - (rows * BAR_PITCH_M) / 2, rows);
    }
    this.boundsOf.set(ordinal, box);
    // Its name is written on it: it gets a label only when it is looked at.
    this.#anchor(ordinal, x[i]!, top[i]! + 0.3, front - 0.3, 0, Math.min(w[i]!, 6));
  }

  #standPosed(i: number): void {
    const ordinal = this.#ordinals[i]!;
    const pose = this.#poses[i]!;
    const box = this.#posedBox(i)!;
    const model = this.#models[i];
    const isGround = this.grounds.has(ordinal);
    if (model) this.#member(model, ordinal, pose);
    else {
      const form = this.#forms[i]!;
      this.bodies.push({ ordinal, form, matrix: pose, color: typeColor(this.#twin(i).type ?? "") });
    }
    if (!isGround) this.hits.push({ ordinal, box });
    this.boundsOf.set(ordinal, box.clone());
    const middle = box.getCenter(new Vector3());
    const size = box.getSize(new Vector3());
    if (isGround) return;
    if (model?.place) {
      // What drives away leaves neither shade nor bars behind.
      this.#anchor(ordinal, middle.x, box.max.y + 0.22, middle.z, 1.2, Math.max(size.x, size.z));
      return;
    }
    if (box.min.y < 0.3 && size.x * size.z < SHADE_M2_MAX)
      this.shades.push({ x: middle.x, y: 0.012, z: middle.z, w: size.x * 0.94, d: size.z * 0.9, soft_m: 0.4, strength: 0.55 });
    this.#matOfBars(i, pose, box);
    this.#anchor(ordinal, middle.x, box.max.y + 0.22, middle.z, 1.2, Math.min(Math.max(size.x, size.z), this.#labelled_m));
  }

  /** What is inside of a thing is found where that thing is, and named when it is looked at. */
  #standInside(ordinal: number, holder: number): void {
    const box = this.boundsOf.get(holder);
    if (box === undefined) return;
    this.boundsOf.set(ordinal, box);
    const middle = box.getCenter(new Vector3());
    this.#anchor(ordinal, middle.x, box.max.y + 0.22, middle.z, 0, 1);
  }

  /** The bars of a twin with geometry stand on a small mat before it. */
  #matOfBars(i: number, pose: Matrix4, box: Box3): void {
    const bars = this.#numeric[i]!;
    const size = box.getSize(new Vector3());
    if (bars.length === 0 || Math.max(size.x, size.z) > BARS_M_MAX) return;
    const model = this.#models[i];
    const reach = (model ? model.bounds.max.z : FORM_SIZE[this.#forms[i]!][2] / 2) + 0.3;
    const at = new Vector3(0, 0, reach).applyMatrix4(pose);
    const { columns, rows } = this.#bars(bars.length);
    const w = columns * BAR_PITCH_M * MAT_SCALE + 0.1;
    const d = rows * BAR_PITCH_M * MAT_SCALE + 0.1;
    const top = Math.max(box.min.y, 0) + 0.035;
    const plate: Plate = {
      ordinal: this.#ordinals[i]!,
      x: at.x, top, z: at.z, w, d, thickness: 0.03, radius: 0.06,
      color: this.#means.palette.plate,
    };
    this.plates.push({ plate });
    this.mats.add(plate);
    this.#barRows(bars, columns, at.x, top, at.z, rows, MAT_SCALE);
    const half = new Vector3(w / 2, 0, d / 2);
    const foot = new Vector3(at.x, top, at.z);
    this.hits.push({
      ordinal: this.#ordinals[i]!,
      box: new Box3(foot.clone().sub(half).setY(top - 0.04), foot.clone().add(half)),
    });
  }

  #plate(i: number, radius: number, color: Color): Box3 {
    const { x, z, top, w, d, thickness } = this.#layout;
    const plate: Plate = {
      ordinal: this.#ordinals[i]!,
      x: x[i]!,
      top: top[i]!,
      z: z[i]!,
      w: w[i]!,
      d: d[i]!,
      thickness: thickness[i]!,
      radius,
      color,
    };
    this.plates.push({ plate });
    const box = new Box3(
      new Vector3(plate.x - plate.w / 2, plate.top - plate.thickness, plate.z - plate.d / 2),
      new Vector3(plate.x + plate.w / 2, plate.top, plate.z + plate.d / 2),
    );
    this.hits.push({ ordinal: plate.ordinal, box: box.clone() });
    return box;
  }

  #zoneBox(i: number): Box3 {
    const { x, z, w, d, top } = this.#layout;
    return new Box3(
      new Vector3(x[i]! - w[i]! / 2, 0, z[i]! - d[i]! / 2),
      new Vector3(x[i]! + w[i]! / 2, top[i]!, z[i]! + d[i]! / 2),
    );
  }

  #member(model: AssetModel, ordinal: number, matrix: Matrix4): void {
    const members = this.members.get(model);
    const member = { ordinal, matrix };
    if (members === undefined) this.members.set(model, [member]);
    else members.push(member);
    const box = model.bounds.clone().applyMatrix4(matrix);
    this.boundsOf.set(ordinal, box);
  }

  #barRows(bars: number[], columns: number, x: number, y: number, z: number, rows: number, scale = 1): void {
    const { mirror } = this.#means;
    bars.forEach((handle, k) => {
      const kind = mirror.pointType(handle).kind ?? Kind.FLOAT;
      this.tags.push({
        handle,
        x: x + ((k % columns) - (columns - 1) / 2) * BAR_PITCH_M * scale,
        y,
        z: z + (Math.floor(k / columns) - (rows - 1) / 2) * BAR_PITCH_M * scale,
        isLamp: kind === Kind.BOOL,
        scale,
      });
    });
  }

  #anchor(ordinal: number, x: number, y: number, z: number, weight: number, size: number): void {
    this.anchors.x[ordinal] = x;
    this.anchors.y[ordinal] = y;
    this.anchors.z[ordinal] = z;
    this.anchors.weight[ordinal] = weight;
    this.anchors.size[ordinal] = size;
  }

  // --- what connects it ------------------------------------------------------------------------

  #relate(): void {
    const { mirror } = this.#means;
    const relations = mirror.relations;
    const withPower = relations.size < POWER_PIPES_MAX * 4;
    let nPower = 0;
    for (const relation of relations.values()) {
      if (NESTING.has(relation.kind) || this.pipes.length >= PIPES_MAX) continue;
      const a = this.#indexOf.get(mirror.ordinal(relation.source));
      const b = this.#indexOf.get(mirror.ordinal(relation.target));
      if (a === undefined || b === undefined || a === b) continue;
      const isPosed = this.#layout.place[a] === Place.Posed && this.#layout.place[b] === Place.Posed;
      if (isPosed) continue; // Their geometry shows how they are connected; arcs come with selection.
      if (relation.kind === "feeds") {
        this.pipes.push(this.#flow(a, b));
      } else if (withPower && relation.kind === "powers" && nPower++ < POWER_PIPES_MAX) {
        this.pipes.push(arcPipe(this.#crown(a), this.#crown(b), PipeLook.Power, 0.02));
      }
    }
  }

  #flow(a: number, b: number): Pipe {
    const { x, z, w, d, top } = this.#layout;
    const isBelow = x[b]! - w[b]! / 2 < x[a]! + w[a]! / 2 && Math.abs(z[b]! - z[a]!) > (d[a]! + d[b]!) / 2;
    if (!isBelow) return flowPipe(this.#port(a, 1), this.#port(b, -1), PipeLook.Flow, 0.055);
    const way = Math.sign(z[b]! - z[a]!);
    const from = new Vector3(x[a]!, top[a]! + 0.06, z[a]! + (way * d[a]!) / 2);
    const to = new Vector3(x[b]!, top[b]! + 0.06, z[b]! - (way * d[b]!) / 2);
    return rowPipe(from, to, PipeLook.Flow, 0.055);
  }

  /** Where pipes leave (1: right) or arrive (-1: left). */
  #port(i: number, side: number): Vector3 {
    const { x, z, top, w, place } = this.#layout;
    const lift = place[i] === Place.Plate ? 0.3 : 0.06;
    return new Vector3(x[i]! + (side * w[i]!) / 2 - side * (place[i] === Place.Plate ? 0.12 : 0), top[i]! + lift, z[i]!);
  }

  #crown(i: number): Vector3 {
    const ordinal = this.#ordinals[i]!;
    const { x, y, z } = this.anchors;
    return new Vector3(x[ordinal], y[ordinal]! - 0.1, z[ordinal]);
  }
}

/** Where a twin says that it stands; null: it says nothing. */
export function poseMatrix(twin: Twin): Matrix4 | null {
  const { pose } = twin;
  if (pose == null) return null;
  const turn = new Quaternion(pose.qx ?? 0, pose.qy ?? 0, pose.qz ?? 0, pose.qw ?? 1).normalize();
  return new Matrix4().compose(
    new Vector3(pose.x_m ?? 0, pose.y_m ?? 0, pose.z_m ?? 0),
    turn,
    new Vector3(1, 1, 1),
  );
}
