/**
 * Live points as small bars: a texel each, not an object. All of them are one draw call.
 *
 * The texture holds, by handle, the value before, the value now (both 0…255 of the point's
 * range), the quality and the kind. A change costs four bytes; the shader moves the bar.
 */

import {
  BoxGeometry,
  Color,
  DataTexture,
  DynamicDrawUsage,
  InstancedBufferAttribute,
  InstancedBufferGeometry,
  Mesh,
  NearestFilter,
  RGBAFormat,
  ShaderMaterial,
  UniformsLib,
  UniformsUtils,
  UnsignedByteType,
} from "three";

import { Crowd } from "./crowd.ts";
import { cuttable } from "./section.ts";

const PER_ROW = 512;
export const BAR_M = 0.12;
export const BAR_PITCH_M = 0.18;
export const BAR_HEIGHT_M = 0.5;

/** What the texture is kept from: the mirror's columns and its points' ranges. */
export interface TagSource {
  nPoints: number;
  value: Float32Array;
  quality: Uint8Array;
  /** Lowest and highest value of a point, where its type says them. */
  range(handle: number): [number, number] | null;
}

export interface Tag {
  handle: number;
  x: number;
  y: number;
  z: number;
  isLamp: boolean;
  /** 1: as wide as BAR_M. */
  scale: number;
}

export class TagTexture {
  readonly uniforms = {
    tagTexels: { value: null as DataTexture | null },
    tagMix: { value: 1 },
  };
  #texels = new Uint8Array(0);
  #low = new Float32Array(0);
  #high = new Float32Array(0);
  #isFixed = new Uint8Array(0);
  #moved: Uint32Array = new Uint32Array(0);
  #startMs = 0;
  #lengthMs = 0;
  #lastMs = 0;

  /** Forgets everything and reads all points anew. */
  reset(source: TagSource): void {
    const n = source.nPoints;
    const rows = Math.max(1, Math.ceil(n / PER_ROW));
    if (rows * PER_ROW * 4 > this.#texels.length) {
      this.#texels = new Uint8Array(rows * PER_ROW * 4);
      this.#low = new Float32Array(rows * PER_ROW);
      this.#high = new Float32Array(rows * PER_ROW);
      this.#isFixed = new Uint8Array(rows * PER_ROW);
      this.uniforms.tagTexels.value?.dispose();
      const texture = new DataTexture(this.#texels, PER_ROW, rows, RGBAFormat, UnsignedByteType);
      texture.minFilter = texture.magFilter = NearestFilter;
      this.uniforms.tagTexels.value = texture;
    }
    for (let h = 0; h < n; h++) {
      const range = source.range(h);
      this.#isFixed[h] = range === null ? 0 : 1;
      this.#low[h] = range === null ? Infinity : range[0];
      this.#high[h] = range === null ? -Infinity : range[1];
    }
    this.#moved = new Uint32Array(0);
    this.update(source, null, 0);
  }

  /** Takes new values of some points, or of all. */
  update(source: TagSource, handles: Uint32Array | null, nowMs: number): void {
    const texels = this.#texels;
    for (const h of this.#moved) texels[h * 4] = texels[h * 4 + 1]!;
    const n = handles === null ? source.nPoints : handles.length;
    const { value, quality } = source;
    const low = this.#low;
    const high = this.#high;
    for (let i = 0; i < n; i++) {
      const h = handles === null ? i : handles[i]!;
      if (h >= low.length) continue;
      const v = value[h]!;
      const at = h * 4;
      texels[at + 2] = quality[h]! * 127;
      if (v !== v) {
        texels[at + 1] = 0;
        continue;
      }
      if (!this.#isFixed[h]) {
        if (v < low[h]!) low[h] = v;
        if (v > high[h]!) high[h] = v;
      }
      const span = high[h]! - low[h]!;
      const part = span > 0 ? (v - low[h]!) / span : 0.5;
      texels[at + 1] = part <= 0 ? 0 : part >= 1 ? 255 : (part * 255) | 0;
      if (handles === null) texels[at] = texels[at + 1]!;
    }
    this.#moved = handles ?? new Uint32Array(0);
    // Bars take as long to move as the next values will take to come, but not long.
    const since = nowMs - this.#lastMs;
    this.#lengthMs = Math.min(Math.max(since, 30), 400);
    this.#lastMs = this.#startMs = nowMs;
    this.uniforms.tagMix.value = handles === null ? 1 : 0;
    this.uniforms.tagTexels.value!.needsUpdate = true;
  }

  texel(handle: number): number[] {
    return Array.from(this.#texels.subarray(handle * 4, handle * 4 + 4));
  }

  /** Lets bars move on; true while they do. */
  tick(nowMs: number): boolean {
    if (this.uniforms.tagMix.value >= 1) return false;
    this.uniforms.tagMix.value = Math.min((nowMs - this.#startMs) / this.#lengthMs, 1);
    return true;
  }
}

/** Narrower than this on the screen, a bar is not drawn: nobody would see how high it is. */
const BAR_FROM_PX = 1.1;

export class Tags {
  readonly mesh: Mesh<InstancedBufferGeometry, ShaderMaterial>;
  readonly count: number;
  readonly crowd: Crowd;

  constructor(tags: readonly Tag[], texture: TagTexture) {
    const n = (this.count = tags.length);
    const [places, columns, handles] = [3, 4, 1].map((size) => new Float32Array(n * size)) as [Float32Array, Float32Array, Float32Array];
    tags.forEach((tag, i) => {
      places.set([tag.x, tag.y, tag.z], i * 3);
      columns.set([tag.x, tag.y, tag.z, tag.isLamp ? -tag.scale : tag.scale], i * 4);
      handles[i] = tag.handle;
    });
    const box = new BoxGeometry(BAR_M, 1, BAR_M).translate(0, 0.5, 0);
    const geometry = new InstancedBufferGeometry();
    geometry.setAttribute("position", box.getAttribute("position"));
    geometry.setAttribute("normal", box.getAttribute("normal"));
    // The underside is never seen: its six indices (fourth face) are left out.
    const index = Array.from(box.index!.array);
    geometry.setIndex([...index.slice(0, 18), ...index.slice(24)]);
    const attributes = [4, 1].map((size) => new InstancedBufferAttribute(new Float32Array(n * size), size).setUsage(DynamicDrawUsage));
    geometry.setAttribute("aPlace", attributes[0]!);
    geometry.setAttribute("aHandle", attributes[1]!);
    geometry.instanceCount = 0;
    this.mesh = new Mesh(geometry, makeMaterial(texture));
    this.mesh.frustumCulled = this.mesh.visible = false;
    const level = {
      mesh: this.mesh,
      attributes,
      setCount: (count: number): void => {
        geometry.instanceCount = count;
      },
      triangles: 10,
      from_px: BAR_FROM_PX,
    };
    this.crowd = new Crowd(places, BAR_M, [{ data: columns, size: 4 }, { data: handles, size: 1 }], [level]);
  }

  setColors(bar: Color, base: Color, uncertain: Color, bad: Color): void {
    const uniforms = this.mesh.material.uniforms;
    (uniforms["barColor"]!.value as Color).copy(bar);
    (uniforms["baseColor"]!.value as Color).copy(base);
    (uniforms["uncertainColor"]!.value as Color).copy(uncertain);
    (uniforms["badColor"]!.value as Color).copy(bad);
  }

  dispose(): void {
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }
}

function makeMaterial(texture: TagTexture): ShaderMaterial {
  const material = new ShaderMaterial({
    fog: true,
    uniforms: UniformsUtils.merge([
      UniformsLib.fog,
      {
        barColor: { value: new Color() },
        baseColor: { value: new Color() },
        uncertainColor: { value: new Color() },
        badColor: { value: new Color() },
      },
    ]),
    vertexShader: `
      #include <common>
      #include <fog_pars_vertex>
      attribute vec4 aPlace;
      attribute float aHandle;
      uniform sampler2D tagTexels;
      uniform float tagMix;
      varying vec3 vSide; varying float vUp; varying float vHeight; flat varying vec3 vTag;
      void main() {
        int handle = int(aHandle + 0.5);
        vec4 texel = texelFetch(tagTexels, ivec2(handle % ${PER_ROW}, handle / ${PER_ROW}), 0);
        float part = mix(texel.r, texel.g, smoothstep(0.0, 1.0, tagMix));
        bool isLamp = aPlace.w < 0.0;
        float scale = abs(aPlace.w);
        float height = isLamp ? 0.05 : 0.02 + part * ${BAR_HEIGHT_M.toFixed(2)};
        vec3 place = vec3(position.x, position.y * height, position.z) * scale + aPlace.xyz;
        vSide = normal;
        vUp = position.y * height;
        vHeight = height;
        vTag = vec3(part, texel.b, isLamp ? 1.0 : 0.0);
        vec4 mvPosition = viewMatrix * vec4(place, 1.0);
        gl_Position = projectionMatrix * mvPosition;
        #include <fog_vertex>
      }`,
    fragmentShader: `
      #include <common>
      #include <fog_pars_fragment>
      varying vec3 vSide; varying float vUp; varying float vHeight; flat varying vec3 vTag;
      uniform vec3 barColor, baseColor, uncertainColor, badColor;
      void main() {
        vec3 color = vTag.y > 0.75 ? badColor : (vTag.y > 0.25 ? uncertainColor : barColor);
        float light = 0.62 + 0.38 * max(vSide.y, 0.0) + 0.16 * vSide.z - 0.1 * abs(vSide.x);
        if (vTag.z > 0.5) {
          color = mix(baseColor, color * 1.25, vTag.x > 0.01 || vTag.y > 0.25 ? 0.35 + 0.65 * vTag.x : 0.0);
        } else {
          color = mix(mix(baseColor, color, 0.55), color, smoothstep(0.0, 0.3, vUp));
          color *= 1.0 + 0.5 * step(0.5, vSide.y) * vTag.x;
        }
        if (vTag.y > 0.25) color *= 0.7 + 0.3 * step(0.5, fract(vUp * 28.0));
        gl_FragColor = vec4(color * light, 1.0);
        #include <tonemapping_fragment>
        #include <colorspace_fragment>
        #include <fog_fragment>
      }`,
  });
  Object.assign(material.uniforms, texture.uniforms);
  return cuttable(material);
}
