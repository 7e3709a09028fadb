/**
 * What others look like in the scene: a head that looks where they look, shoulders, hands as far as
 * they have them, the ray that they point with, and their name.
 *
 * All heads are one draw call, as are shoulders, hands and rays. Who is far away is drawn larger, so
 * that they are found; who stands where one stands oneself is not drawn.
 */

import {
  BufferAttribute,
  BufferGeometry,
  Color,
  DynamicDrawUsage,
  Group,
  InstancedMesh,
  LatheGeometry,
  LineBasicMaterial,
  LineSegments,
  Matrix4,
  MeshStandardMaterial,
  Quaternion,
  SphereGeometry,
  Vector2,
  Vector3,
} from "three";
import type { PerspectiveCamera } from "three";
import { mergeGeometries } from "three/addons/utils/BufferGeometryUtils.js";
import type { Pose, SceneLayer } from "../scene/layers.ts";
import { hueOf } from "./colours.ts";
import type { MeetingTold, Person } from "./meeting.ts";
import { tagOf, type Tag } from "./tags.ts";

const NEAR_M = 0.75;
/** Beyond this they grow with the distance. */
const TRUE_SIZE_M = 12;
const SCALE_MAX = 40;
const NAMES_MAX = 48;
const ROOM = 64;

/** People to be drawn: of a meeting, or of one that was recorded. */
export interface Gathering {
  /** Who is not drawn: oneself. */
  readonly me: number;
  readonly place: string;
  people(): ReadonlyMap<number, Person>;
  isMoving(): boolean;
  on(what: "people", listener: (told: MeetingTold["people"]) => void): () => void;
}

export class Avatars implements SceneLayer {
  readonly object = new Group();
  readonly #meeting: Gathering;
  readonly #head: Bodies;
  readonly #bust: Bodies;
  readonly #hand: Bodies;
  readonly #rays = new Rays();
  readonly #names = new Map<number, { tag: Tag; said: string }>();
  /** Whose eyes one looks through. */
  hidden = 0;

  constructor(meeting: Gathering) {
    this.#meeting = meeting;
    this.#head = new Bodies(headShape());
    this.#bust = new Bodies(bustShape());
    this.#hand = new Bodies(handShape());
    this.object.name = "people";
    this.object.add(this.#head.group, this.#bust.group, this.#hand.group, this.#rays.lines);
    meeting.on("people", ({ put, gone }) => {
      for (const id of [...put, ...gone]) this.#forgetName(id, gone.includes(id));
    });
  }

  /** How many are drawn now. */
  get count(): number {
    return this.#head.count;
  }

  update(_dt_s: number, _nowMs: number, camera: PerspectiveCamera): boolean {
    for (const each of [this.#head, this.#bust, this.#hand, this.#rays]) each.begin();
    const eye = camera.getWorldPosition(EYE);
    const named: { person: Person; at: Vector3; distance: number; scale: number }[] = [];
    const meeting = this.#meeting;
    for (const person of meeting.people().values()) {
      if (person.id === meeting.me || person.id === this.hidden || person.place !== meeting.place) continue;
      const body = person.body;
      if (body === null) continue;
      // Who looks through another's eyes stands where that one stands; who wears a headset has hands, and
      // stands beside them.
      if (person.follows !== 0 && body.left === null && body.right === null) continue;
      const at = new Vector3(...body.head.position);
      const distance = at.distanceTo(eye);
      if (distance < NEAR_M) continue;
      const scale = Math.min(SCALE_MAX, Math.max(1, distance / TRUE_SIZE_M));
      const colour = COLOUR.setHSL(hueOf(person.id) / 360, person.is_away ? 0.08 : 0.55, person.is_away ? 0.4 : 0.56);
      this.#head.put(body.head, scale, colour);
      this.#bust.put({ position: body.head.position, rotation: upright(body.head.rotation) }, scale, colour);
      for (const hand of [body.left, body.right]) if (hand !== null) this.#hand.put(hand, scale, colour);
      if (body.pointer !== null) this.#rays.put(body.pointer.from, body.pointer.to, colour);
      named.push({ person, at, distance, scale });
    }
    for (const each of [this.#head, this.#bust, this.#hand, this.#rays]) each.end();
    this.#putNames(named);
    return meeting.isMoving();
  }

  dispose(): void {
    for (const id of [...this.#names.keys()]) this.#forgetName(id, true);
    for (const each of [this.#head, this.#bust, this.#hand, this.#rays]) each.dispose();
  }

  #putNames(named: { person: Person; at: Vector3; distance: number; scale: number }[]): void {
    named.sort((a, b) => a.distance - b.distance);
    for (const { tag } of this.#names.values()) tag.sprite.visible = false;
    for (const { person, at, distance, scale } of named.slice(0, NAMES_MAX)) {
      let name = this.#names.get(person.id);
      if (name === undefined || name.said !== saidOf(person)) {
        this.#forgetName(person.id, true);
        this.#names.set(person.id, (name = { tag: tagOf(person.name, person.id, person.is_away, person.hand), said: saidOf(person) }));
        this.object.add(name.tag.sprite);
      }
      const { sprite } = name.tag;
      const height = name.tag.fit(distance);
      sprite.visible = true;
      sprite.position.copy(at).setY(at.y + 0.19 * scale + height * 0.6);
    }
  }

  #forgetName(id: number, isForGood: boolean): void {
    const name = this.#names.get(id);
    const person = this.#meeting.people().get(id);
    if (name === undefined || (!isForGood && person !== undefined && saidOf(person) === name.said)) return;
    name.tag.dispose();
    this.#names.delete(id);
  }
}

const EYE = new Vector3();
const COLOUR = new Color();

/** Only the turn about the vertical: shoulders stay level. */
function upright([x, y, z, w]: Pose["rotation"]): Pose["rotation"] {
  const yaw = Math.atan2(2 * (w * y + x * z), 1 - 2 * (y * y + x * x));
  return [0, Math.sin(yaw / 2), 0, Math.cos(yaw / 2)];
}

/** Many bodies of one shape, each in its colour. */
class Bodies {
  readonly group = new Group();
  count = 0;
  readonly #shape: BufferGeometry;
  readonly #material = new MeshStandardMaterial({ vertexColors: true, roughness: 0.55, metalness: 0, emissive: 0xffffff, emissiveIntensity: 0.05 });
  #mesh: InstancedMesh;
  readonly #matrix = new Matrix4();
  readonly #turn = new Quaternion();
  readonly #place = new Vector3();
  readonly #size = new Vector3();

  constructor(shape: BufferGeometry) {
    this.#shape = shape;
    this.#mesh = this.#make(ROOM);
  }

  #make(room: number): InstancedMesh {
    const mesh = new InstancedMesh(this.#shape, this.#material, room);
    mesh.instanceMatrix.setUsage(DynamicDrawUsage);
    mesh.frustumCulled = false;
    mesh.count = 0;
    this.group.add(mesh);
    return mesh;
  }

  begin(): void {
    this.count = 0;
  }

  put(pose: Pose, scale: number, colour: Color): void {
    if (this.count === this.#mesh.instanceMatrix.count) {
      const before = this.#mesh;
      this.#mesh = this.#make(before.instanceMatrix.count * 2);
      for (let i = 0; i < this.count; i++) {
        before.getMatrixAt(i, this.#matrix);
        this.#mesh.setMatrixAt(i, this.#matrix);
        before.getColorAt(i, TAKEN);
        this.#mesh.setColorAt(i, TAKEN);
      }
      before.removeFromParent();
      before.dispose();
    }
    this.#matrix.compose(this.#place.set(...pose.position), this.#turn.set(...pose.rotation), this.#size.setScalar(scale));
    this.#mesh.setMatrixAt(this.count, this.#matrix);
    this.#mesh.setColorAt(this.count, colour);
    this.count += 1;
  }

  end(): void {
    this.#mesh.count = this.count;
    this.#mesh.visible = this.count > 0;
    this.#mesh.instanceMatrix.needsUpdate = true;
    if (this.#mesh.instanceColor !== null) this.#mesh.instanceColor.needsUpdate = true;
  }

  dispose(): void {
    this.#mesh.dispose();
    this.#shape.dispose();
    this.#material.dispose();
  }
}

const TAKEN = new Color();

/** The rays that people point with. */
class Rays {
  readonly lines: LineSegments<BufferGeometry, LineBasicMaterial>;
  #places = new Float32Array(ROOM * 6);
  #colours = new Float32Array(ROOM * 6);
  #count = 0;

  constructor() {
    this.lines = new LineSegments(new BufferGeometry(), new LineBasicMaterial({ vertexColors: true, transparent: true, opacity: 0.85 }));
    this.lines.frustumCulled = false;
  }

  begin(): void {
    this.#count = 0;
  }

  put(from: readonly number[], to: readonly number[], colour: Color): void {
    if (6 * (this.#count + 1) > this.#places.length) {
      this.#places = grown(this.#places);
      this.#colours = grown(this.#colours);
    }
    this.#places.set([...from, ...to], 6 * this.#count);
    this.#colours.set([colour.r, colour.g, colour.b, colour.r, colour.g, colour.b], 6 * this.#count);
    this.#count += 1;
  }

  end(): void {
    this.lines.visible = this.#count > 0;
    if (this.#count === 0) return;
    const { geometry } = this.lines;
    const have = geometry.getAttribute("position") as BufferAttribute | undefined;
    if (have?.array !== this.#places) {
      geometry.setAttribute("position", new BufferAttribute(this.#places, 3).setUsage(DynamicDrawUsage));
      geometry.setAttribute("color", new BufferAttribute(this.#colours, 3).setUsage(DynamicDrawUsage));
    }
    for (const attribute of ["position", "color"]) geometry.getAttribute(attribute).needsUpdate = true;
    geometry.setDrawRange(0, 2 * this.#count);
  }

  dispose(): void {
    this.lines.geometry.dispose();
    this.lines.material.dispose();
  }
}

function grown(from: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const to = new Float32Array(from.length * 2);
  to.set(from);
  return to;
}

function saidOf(person: Person): string {
  return `${person.name}\0${person.hand}\0${person.is_away}`;
}

// --- shapes, in metres; −z is ahead, the origin between the eyes -------------------------------

function painted(shape: BufferGeometry, shade: number): BufferGeometry {
  const flat = shape.index === null ? shape : shape.toNonIndexed();
  const count = flat.getAttribute("position").count;
  flat.setAttribute("color", new BufferAttribute(new Float32Array(3 * count).fill(shade), 3));
  flat.deleteAttribute("uv");
  return flat;
}

function headShape(): BufferGeometry {
  const skull = painted(new SphereGeometry(0.125, 22, 16).scale(0.9, 1.12, 1).translate(0, 0.01, 0.03), 1);
  const visor = painted(new SphereGeometry(0.1, 20, 10, 0, Math.PI * 2, Math.PI * 0.34, Math.PI * 0.32).scale(0.98, 0.92, 0.9).translate(0, 0.012, -0.016), 0.1);
  const ears = [-1, 1].map((side) => painted(new SphereGeometry(0.034, 12, 8).scale(0.5, 1, 1).translate(side * 0.113, 0.005, 0.035), 0.55));
  return mergeGeometries([skull, visor, ...ears])!;
}

function bustShape(): BufferGeometry {
  const outline = [[0, -0.08], [0.048, -0.085], [0.055, -0.185], [0.17, -0.24], [0.2, -0.29], [0.19, -0.42], [0.13, -0.56], [0, -0.6]] as const;
  return painted(new LatheGeometry(outline.map(([x, y]) => new Vector2(x, y)).reverse(), 24).scale(1, 1, 0.62).translate(0, 0, 0.03), 0.72);
}

function handShape(): BufferGeometry {
  const palm = painted(new SphereGeometry(0.045, 14, 10).scale(0.75, 0.5, 1), 0.95);
  const thumb = painted(new SphereGeometry(0.018, 8, 6).scale(0.9, 0.8, 1.6).translate(0, 0.012, -0.045), 0.95);
  return mergeGeometries([palm, thumb])!;
}
