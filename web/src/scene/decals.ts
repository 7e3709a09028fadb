/** What lies flat: soft shade under things, names written on platforms. A draw call each. */

import {
  CanvasTexture,
  Color,
  InstancedBufferAttribute,
  InstancedBufferGeometry,
  LinearFilter,
  LinearMipmapLinearFilter,
  Mesh,
  PlaneGeometry,
  ShaderMaterial,
  UniformsLib,
  UniformsUtils,
} from "three";

import { cuttable } from "./section.ts";

/** A soft dark patch, as things that stand close to a floor leave it there. */
export interface Shade {
  x: number;
  y: number;
  z: number;
  w: number;
  d: number;
  /** How far the softness reaches beyond the thing. */
  soft_m: number;
  strength: number;
}

export class Shades {
  readonly mesh: Mesh<InstancedBufferGeometry, ShaderMaterial>;

  constructor(shades: readonly Shade[]) {
    const place = new Float32Array(shades.length * 4);
    const size = new Float32Array(shades.length * 4);
    shades.forEach((s, i) => {
      place.set([s.x, s.y, s.z, s.strength], i * 4);
      size.set([s.w / 2, s.d / 2, s.soft_m, 0], i * 4);
    });
    const geometry = flatGeometry(shades.length);
    geometry.setAttribute("aPlace", new InstancedBufferAttribute(place, 4));
    geometry.setAttribute("aSize", new InstancedBufferAttribute(size, 4));
    const material = new ShaderMaterial({
      transparent: true,
      depthWrite: false,
      polygonOffset: true,
      polygonOffsetFactor: -1,
      polygonOffsetUnits: -1,
      uniforms: { shade: { value: 0.5 } },
      vertexShader: `
        attribute vec4 aPlace; attribute vec4 aSize;
        varying vec2 vAt; flat varying vec4 vShade;
        void main() {
          vec2 reach = aSize.xy + aSize.z;
          vAt = position.xy * 2.0 * reach;
          vShade = vec4(aSize.xyz, aPlace.w);
          vec3 place = aPlace.xyz + vec3(vAt.x, 0.0, -vAt.y);
          vec4 mvPosition = viewMatrix * vec4(place, 1.0);
          gl_Position = projectionMatrix * mvPosition;
        }`,
      fragmentShader: `
        uniform float shade;
        varying vec2 vAt; flat varying vec4 vShade;
        void main() {
          vec2 out_ = max(abs(vAt) - vShade.xy * 0.86, 0.0) / (vShade.z + vShade.xy * 0.14);
          float near = 1.0 - clamp(length(out_), 0.0, 1.0);
          gl_FragColor = vec4(0.0, 0.01, 0.02, near * near * shade * vShade.w);
        }`,
    });
    this.mesh = new Mesh(geometry, cuttable(material));
    this.mesh.frustumCulled = false;
    this.mesh.visible = shades.length > 0;
    this.mesh.renderOrder = 1;
  }

  dispose(): void {
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }
}

/** A name along the near edge of a platform: its left end, its height, how wide it may get. */
export interface Title {
  text: string;
  x: number;
  y: number;
  z: number;
  height_m: number;
  room_m: number;
}

const ATLAS = 2048;
const ROW = 72;
const FONT_PX = 44;

export class Titles {
  readonly mesh: Mesh<InstancedBufferGeometry, ShaderMaterial>;
  /** Texts that found no room in the atlas. */
  readonly nLeftOut: number;

  /** Names come in the order of their weight: what is last may find no room. */
  constructor(titles: readonly Title[]) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = ATLAS;
    const pen = canvas.getContext("2d")!;
    const family = getComputedStyle(document.documentElement).getPropertyValue("--font") || "sans-serif";
    pen.font = `600 ${FONT_PX}px ${family}`;
    pen.letterSpacing = "1px";
    pen.textBaseline = "middle";
    pen.fillStyle = "#fff";
    const place: number[] = [];
    const rect: number[] = [];
    let x = 0;
    let row = 0;
    let nLeftOut = 0;
    for (const title of titles) {
      const text = shorten(pen, title.text, Math.min(ATLAS - 16, (title.room_m / title.height_m) * ROW));
      const w = Math.ceil(pen.measureText(text).width) + 12;
      if (x + w > ATLAS) {
        x = 0;
        row += 1;
      }
      if ((row + 1) * ROW > ATLAS) {
        nLeftOut += 1;
        continue;
      }
      pen.fillText(text, x + 6, row * ROW + ROW / 2);
      const width_m = (w / ROW) * title.height_m;
      place.push(title.x + width_m / 2, title.y, title.z, 0);
      rect.push(x / ATLAS, 1 - ((row + 1) * ROW) / ATLAS, w / ATLAS, ROW / ATLAS, width_m, title.height_m);
      x += w;
    }
    this.nLeftOut = nLeftOut;
    const n = place.length / 4;
    const texture = new CanvasTexture(canvas);
    texture.generateMipmaps = true;
    texture.minFilter = LinearMipmapLinearFilter;
    texture.magFilter = LinearFilter;
    texture.anisotropy = 8;
    const rects = new Float32Array(n * 4);
    const sizes = new Float32Array(n * 2);
    for (let i = 0; i < n; i++) {
      rects.set(rect.slice(i * 6, i * 6 + 4), i * 4);
      sizes.set(rect.slice(i * 6 + 4, i * 6 + 6), i * 2);
    }
    const geometry = flatGeometry(n);
    geometry.setAttribute("aPlace", new InstancedBufferAttribute(new Float32Array(place), 4));
    geometry.setAttribute("aRect", new InstancedBufferAttribute(rects, 4));
    geometry.setAttribute("aSize", new InstancedBufferAttribute(sizes, 2));
    const material = new ShaderMaterial({
      transparent: true,
      depthWrite: false,
      polygonOffset: true,
      polygonOffsetFactor: -2,
      polygonOffsetUnits: -2,
      fog: true,
      uniforms: UniformsUtils.merge([
        UniformsLib.fog,
        { atlas: { value: null }, ink: { value: new Color() } },
      ]),
      vertexShader: `
        #include <fog_pars_vertex>
        attribute vec4 aPlace; attribute vec4 aRect; attribute vec2 aSize;
        varying vec2 vAt;
        void main() {
          vAt = aRect.xy + uv * aRect.zw;
          vec3 place = aPlace.xyz + vec3(position.x * aSize.x, 0.0, -position.y * aSize.y);
          vec4 mvPosition = viewMatrix * vec4(place, 1.0);
          gl_Position = projectionMatrix * mvPosition;
          #include <fog_vertex>
        }`,
      fragmentShader: `
        #include <fog_pars_fragment>
        uniform sampler2D atlas; uniform vec3 ink;
        varying vec2 vAt;
        void main() {
          gl_FragColor = vec4(ink, texture2D(atlas, vAt).a * 0.92);
          #include <tonemapping_fragment>
          #include <colorspace_fragment>
          #include <fog_fragment>
        }`,
    });
    material.uniforms["atlas"]!.value = texture;
    this.mesh = new Mesh(geometry, cuttable(material));
    this.mesh.frustumCulled = false;
    this.mesh.visible = n > 0;
    this.mesh.renderOrder = 2;
  }

  setInk(ink: Color): void {
    (this.mesh.material.uniforms["ink"]!.value as Color).copy(ink);
  }

  dispose(): void {
    (this.mesh.material.uniforms["atlas"]!.value as CanvasTexture).dispose();
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }
}

function shorten(pen: CanvasRenderingContext2D, text: string, room_px: number): string {
  if (pen.measureText(text).width <= room_px) return text;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if (pen.measureText(`${text.slice(0, mid)}…`).width <= room_px) low = mid;
    else high = mid - 1;
  }
  return `${text.slice(0, low).trimEnd()}…`;
}

function flatGeometry(n: number): InstancedBufferGeometry {
  const plane = new PlaneGeometry(1, 1);
  const geometry = new InstancedBufferGeometry();
  geometry.setAttribute("position", plane.getAttribute("position"));
  geometry.setAttribute("uv", plane.getAttribute("uv"));
  geometry.setIndex(plane.index);
  geometry.instanceCount = n;
  return geometry;
}
