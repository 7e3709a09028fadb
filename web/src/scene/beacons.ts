/** A pulsing light over every twin in alarm, seen from anywhere. One draw call for all. */

import {
  AdditiveBlending,
  BufferAttribute,
  Color,
  DoubleSide,
  InstancedBufferAttribute,
  InstancedBufferGeometry,
  Mesh,
  NormalBlending,
  ShaderMaterial,
} from "three";
import type { Mode } from "../style/theme.ts";

const CAPACITY = 512;
const SIDES = 28;

export interface Beacon {
  x: number;
  /** Height of the floor under the twin, and of its top. */
  foot: number;
  top: number;
  z: number;
  radius_m: number;
  severity: number;
}

export class Beacons {
  readonly mesh: Mesh<InstancedBufferGeometry, ShaderMaterial>;
  readonly #place = new Float32Array(CAPACITY * 4);
  readonly #look = new Float32Array(CAPACITY * 2);

  constructor() {
    const geometry = beaconGeometry();
    geometry.setAttribute("aPlace", new InstancedBufferAttribute(this.#place, 4));
    geometry.setAttribute("aLook", new InstancedBufferAttribute(this.#look, 2));
    geometry.instanceCount = 0;
    this.mesh = new Mesh(
      geometry,
      new ShaderMaterial({
        transparent: true,
        depthWrite: false,
        side: DoubleSide,
        uniforms: {
          time: { value: 0 },
          strength: { value: 1 },
          colors: { value: [new Color(), new Color(), new Color(), new Color()] },
        },
        vertexShader: `
          attribute float part; attribute vec4 aPlace; attribute vec2 aLook;
          uniform float time; uniform vec3 colors[4];
          varying vec3 vColor; varying vec2 vAt; flat varying float vPart;
          void main() {
            float wave = fract(time * 0.55);
            vPart = part;
            vColor = colors[int(aLook.y + 0.5)];
            vec3 place = aPlace.xyz;
            if (part < 0.5) {                  // the beam: a cone of light that widens upwards
              float h = aPlace.w - aPlace.y + 2.6;
              float r = aLook.x * mix(0.22, 0.34, position.y);
              place += vec3(position.x * r, position.y * h, position.z * r);
              vAt = vec2(position.y, 0.0);
            } else {                           // the ring that runs outwards on the floor
              float r = aLook.x * mix(0.75, 1.9, part < 1.5 ? wave : fract(wave + 0.5));
              place += vec3(position.x * r * mix(0.9, 1.0, position.y), 0.03, position.z * r * mix(0.9, 1.0, position.y));
              vAt = vec2(position.y, part < 1.5 ? wave : fract(wave + 0.5));
            }
            gl_Position = projectionMatrix * viewMatrix * vec4(place, 1.0);
          }`,
        fragmentShader: `
          uniform float strength; uniform float time;
          varying vec3 vColor; varying vec2 vAt; flat varying float vPart;
          void main() {
            float beat = 0.62 + 0.38 * sin(time * 4.4);
            float alpha = vPart < 0.5
              ? pow(1.0 - vAt.x, 1.6) * 0.34 * beat
              : (1.0 - vAt.y) * smoothstep(0.0, 0.35, vAt.x) * (1.0 - smoothstep(0.65, 1.0, vAt.x)) * 0.85;
            gl_FragColor = vec4(vColor, alpha * strength);
            #include <tonemapping_fragment>
            #include <colorspace_fragment>
          }`,
      }),
    );
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = 6;
    this.mesh.visible = false;
  }

  get count(): number {
    return this.mesh.geometry.instanceCount;
  }

  set(beacons: readonly Beacon[]): void {
    const n = Math.min(beacons.length, CAPACITY);
    for (let i = 0; i < n; i++) {
      const b = beacons[i]!;
      this.#place.set([b.x, b.foot, b.z, b.top], i * 4);
      this.#look.set([b.radius_m, Math.max(0, Math.min(3, b.severity))], i * 2);
    }
    const geometry = this.mesh.geometry;
    geometry.getAttribute("aPlace").needsUpdate = true;
    geometry.getAttribute("aLook").needsUpdate = true;
    geometry.instanceCount = n;
    this.mesh.visible = n > 0;
  }

  setTheme(mode: Mode, colors: readonly Color[]): void {
    const material = this.mesh.material;
    colors.forEach((color, i) => (material.uniforms["colors"]!.value as Color[])[i]!.copy(color));
    // Light adds to a dark room; before a bright sky it has to cover.
    material.blending = mode === "dark" ? AdditiveBlending : NormalBlending;
    material.uniforms["strength"]!.value = mode === "dark" ? 1 : 1.25;
    material.needsUpdate = true;
  }

  setTime(time_s: number): void {
    this.mesh.material.uniforms["time"]!.value = time_s;
  }
}

/** A cylinder without ends (part 0), and two flat rings (parts 1 and 2). */
function beaconGeometry(): InstancedBufferGeometry {
  const position: number[] = [];
  const part: number[] = [];
  const index: number[] = [];
  for (const p of [0, 1, 2]) {
    const start = position.length / 3;
    for (let i = 0; i <= SIDES; i++) {
      const angle = (i / SIDES) * 2 * Math.PI;
      for (const y of [0, 1]) {
        position.push(Math.cos(angle), y, Math.sin(angle));
        part.push(p);
      }
      if (i === SIDES) continue;
      const a = start + i * 2;
      index.push(a, a + 1, a + 2, a + 1, a + 3, a + 2);
    }
  }
  const geometry = new InstancedBufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(new Float32Array(position), 3));
  geometry.setAttribute("part", new BufferAttribute(new Float32Array(part), 1));
  geometry.setIndex(index);
  return geometry;
}
