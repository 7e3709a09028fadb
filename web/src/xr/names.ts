/**
 * Names over the twins that are seen largest, for both eyes: one texture and one draw call for all.
 *
 * Which twins get one is found out bit by bit, so that a city of twins costs no picture.
 */

import { CanvasTexture, DoubleSide, InstancedBufferAttribute, InstancedBufferGeometry, Mesh, PlaneGeometry, ShaderMaterial, SRGBColorSpace, Vector3 } from "three";
import type { Mirror } from "../mirror.ts";
import type { WorldScene } from "../scene/scene.ts";
import { clip, COLORS, FONT, paint, rounded, severityTone } from "./pen.ts";

const COLUMNS = 2;
const ROWS = 12;
const N = COLUMNS * ROWS;
const W = 512;
const H = 80;
/** Twins looked at in one picture. */
const SLICE = 400;
/** Seen smaller than this, in radians, a thing has no name. */
const SMALLEST = 0.035;

interface Candidate {
  ordinal: number;
  score: number;
}

export class Names {
  readonly mesh: Mesh<InstancedBufferGeometry, ShaderMaterial>;
  readonly #mirror: Mirror;
  readonly #scene: WorldScene;
  readonly #pen: CanvasRenderingContext2D;
  readonly #texture: CanvasTexture;
  readonly #place = new InstancedBufferAttribute(new Float32Array(N * 3), 3);
  readonly #slot = new InstancedBufferAttribute(new Float32Array(N), 1);
  /** What is written in each slot of the texture: `ordinal name severity`; "": nothing. */
  readonly #written = new Array<string>(N).fill("");
  #found: Candidate[] = [];
  #next = 0;
  readonly #at = new Vector3();

  constructor(mirror: Mirror, scene: WorldScene) {
    this.#mirror = mirror;
    this.#scene = scene;
    const canvas = document.createElement("canvas");
    canvas.width = W * COLUMNS;
    canvas.height = H * ROWS;
    this.#pen = canvas.getContext("2d")!;
    this.#texture = new CanvasTexture(canvas);
    this.#texture.colorSpace = SRGBColorSpace;
    this.#texture.anisotropy = 4;
    const plane = new PlaneGeometry(1, H / W);
    const geometry = new InstancedBufferGeometry();
    geometry.index = plane.index;
    geometry.setAttribute("position", plane.getAttribute("position"));
    geometry.setAttribute("uv", plane.getAttribute("uv"));
    geometry.setAttribute("aPlace", this.#place);
    geometry.setAttribute("aSlot", this.#slot);
    geometry.instanceCount = 0;
    this.mesh = new Mesh(
      geometry,
      new ShaderMaterial({
        transparent: true,
        depthWrite: false,
        side: DoubleSide,
        uniforms: { names: { value: this.#texture } },
        vertexShader: `
          attribute vec3 aPlace; attribute float aSlot;
          varying vec2 vAt;
          void main() {
            vec4 seen = viewMatrix * vec4(aPlace, 1.0);
            // As large as it has to be there, and a little nearer than what it names.
            float size = clamp(-seen.z, 0.4, 60.0) * 0.17;
            seen.xy += (position.xy + vec2(0.0, 0.5 * ${(H / W).toFixed(4)})) * size;
            seen.z *= 0.985;
            vec2 cell = vec2(mod(aSlot, ${COLUMNS.toFixed(1)}), floor(aSlot / ${COLUMNS.toFixed(1)}));
            vAt = vec2((cell.x + uv.x) / ${COLUMNS.toFixed(1)}, 1.0 - (cell.y + 1.0 - uv.y) / ${ROWS.toFixed(1)});
            gl_Position = projectionMatrix * seen;
          }`,
        fragmentShader: `
          uniform sampler2D names;
          varying vec2 vAt;
          void main() {
            gl_FragColor = texture2D(names, vAt);
            if (gl_FragColor.a < 0.02) discard;
            #include <colorspace_fragment>
          }`,
      }),
    );
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = 18;
  }

  /** Looks at some more twins from where the head is; when it has been round, names are put up anew. */
  update(head: Vector3, isOn: boolean): void {
    this.mesh.visible = isOn;
    if (!isOn) return;
    const n = this.#mirror.nOrdinals;
    const end = Math.min(this.#next + SLICE, n);
    for (let ordinal = this.#next; ordinal < end; ordinal++) this.#weigh(ordinal, head);
    this.#next = end;
    if (end < n) return;
    this.#next = 0;
    this.#putUp();
    this.#found = [];
  }

  #weigh(ordinal: number, head: Vector3): void {
    const twin = this.#mirror.twinAt(ordinal);
    const box = twin === undefined ? undefined : this.#scene.boundsOf(twin.id);
    if (twin === undefined || box === undefined) return;
    const height_m = box.max.y - box.min.y;
    // Ground, halls and zones are stood in, not looked at.
    if (height_m < 0.35 || box.containsPoint(head)) return;
    const away_m = box.distanceToPoint(head);
    const size = Math.min(Math.max(box.max.x - box.min.x, height_m, box.max.z - box.min.z), 8) / Math.max(away_m, 0.5);
    const isAlarm = this.#mirror.alarmOf(twin.id) > 0;
    if (size < SMALLEST && !isAlarm) return;
    const score = size + (isAlarm ? 10 : 0);
    if (this.#found.length >= N && score <= this.#found[N - 1]!.score) return;
    this.#found.push({ ordinal, score });
    this.#found.sort((a, b) => b.score - a.score);
    this.#found.length = Math.min(this.#found.length, N);
  }

  #putUp(): void {
    const mirror = this.#mirror;
    let isNew = false;
    const wanted = this.#found.map(({ ordinal }) => {
      const { id } = mirror.twinAt(ordinal)!;
      return { id, key: `${ordinal} ${mirror.nameOf(id)} ${mirror.alarmOf(id)}` };
    });
    const keys = new Set(wanted.map(({ key }) => key));
    const free: number[] = [];
    this.#written.forEach((key, slot) => keys.has(key) || free.push(slot));
    let i = 0;
    for (const { id, key } of wanted) {
      const box = this.#scene.boundsOf(id);
      if (box === undefined) continue;
      let slot = this.#written.indexOf(key);
      if (slot < 0) {
        slot = free.pop()!;
        this.#written[slot] = key;
        this.#write(slot, mirror.nameOf(id), mirror.alarmOf(id));
        isNew = true;
      }
      box.getCenter(this.#at);
      this.#place.setXYZ(i, this.#at.x, box.max.y + 0.08, this.#at.z);
      this.#slot.setX(i, slot);
      i += 1;
    }
    this.mesh.geometry.instanceCount = i;
    this.#place.needsUpdate = this.#slot.needsUpdate = true;
    if (isNew) this.#texture.needsUpdate = true;
  }

  #write(slot: number, name: string, severity: number): void {
    const pen = this.#pen;
    const x = (slot % COLUMNS) * W;
    const y = Math.floor(slot / COLUMNS) * H;
    pen.clearRect(x, y, W, H);
    pen.font = `560 40px ${FONT}`;
    pen.textAlign = "center";
    const said = clip(pen, name, W - 60);
    const width = pen.measureText(said).width + 40;
    rounded(pen, x + (W - width) / 2, y + 8, width, H - 16, 20, COLORS.back, severity > 0 ? COLORS.edge : null);
    paint(pen, said, x + W / 2, y + 54, severity > 0 ? severityTone(severity) : "soft");
  }

  /** What is named now, for tests. */
  said(): string[] {
    return this.#written.filter((key) => key !== "").map((key) => key.split(" ").slice(1, -1).join(" "));
  }

  dispose(): void {
    this.#texture.dispose();
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
    this.mesh.removeFromParent();
  }
}
