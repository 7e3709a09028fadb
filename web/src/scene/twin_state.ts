/**
 * How a twin looks at the moment, as one texel: highlighted, stale, in alarm, dimmed.
 *
 * Every material of the scene that shows twins is patched to read that texel by the twin's
 * ordinal, so a change of state costs four bytes and no draw call, whatever draws the twin. A
 * second texture has a byte a twin: its place on the colours of a heat layer, while one is shown.
 */

import {
  ClampToEdgeWrapping,
  Color,
  DataTexture,
  LinearFilter,
  NearestFilter,
  RedFormat,
  RGBAFormat,
  UnsignedByteType,
} from "three";
import { heatColours, N_COLOURS } from "../heat/colours.ts";
import type { IUniform, Material, WebGLProgramParametersWithUniforms } from "three";
import type { Palette } from "./palette.ts";

export const TWINS_PER_ROW = 256;

export const enum Channel {
  /** 0…255: strength of the glow. */
  Highlight = 0,
  /** 0 good, 128 uncertain, 255 bad. */
  Stale = 1,
  /** 0 none, 64 information, 128 low, 192 medium, 255 high. */
  Alarm = 2,
  /** 0…254: how far it is faded into the background; 255: not drawn, since its inside is. */
  Dim = 3,
}

type Shader = WebGLProgramParametersWithUniforms;
type Patch = (shader: Shader) => void;

export class TwinStates {
  readonly uniforms: Record<string, IUniform> = {
    twinStates: { value: null },
    pulse: { value: 0 },
    highlightColor: { value: new Color() },
    alarmColors: { value: [new Color(), new Color(), new Color(), new Color()] },
    staleColor: { value: new Color() },
    badColor: { value: new Color() },
    twinHeat: { value: null },
    heatColors: { value: heatTexture(heatColours()) },
    /** 1: a heat layer is shown. */
    isHeat: { value: 0 },
    /** 0 no; 1 shells let samples of a pixel through; 2: pixels, where there are no samples. */
    isXRay: { value: 0 },
    shellColor: { value: new Color() },
    cutColor: { value: new Color() },
  };
  #heat = new Uint8Array(TWINS_PER_ROW);
  #heatTexture: DataTexture;
  /** What colours stand in place of the scale of heat; null: that. */
  #colours: Uint8Array | null = null;
  #texels = new Uint8Array(TWINS_PER_ROW * 4);
  #texture: DataTexture;

  constructor() {
    this.#texture = this.#make();
    this.#heatTexture = this.#makeHeat();
  }

  setTheme({ related, uncertain, bad, shell, cut, alarm }: Palette): void {
    const colours = { highlightColor: related, staleColor: uncertain, badColor: bad, shellColor: shell, cutColor: cut };
    for (const [name, colour] of Object.entries(colours)) this.uniforms[name]!.value.copy(colour);
    alarm.forEach((colour, i) => this.uniforms["alarmColors"]!.value[i].copy(colour));
  }

  /** Makes room for `n` twins. */
  reserve(n: number): void {
    const rows = Math.max(1, Math.ceil(n / TWINS_PER_ROW));
    if (rows * TWINS_PER_ROW * 4 <= this.#texels.length) return;
    const texels = new Uint8Array(Math.max(rows, 2 * (this.#texels.length / 4 / TWINS_PER_ROW)) * TWINS_PER_ROW * 4);
    texels.set(this.#texels);
    this.#texels = texels;
    this.#texture.dispose();
    this.#texture = this.#make();
    const heat = new Uint8Array(texels.length / 4);
    heat.set(this.#heat);
    this.#heat = heat;
    this.#heatTexture.dispose();
    this.#heatTexture = this.#makeHeat();
  }

  /** Shows a heat layer: by ordinal 0 where nothing is known, else 1…255; null: none. `colours` are
   * 256 times RGBA in place of the scale of heat. */
  setHeat(levels: Uint8Array | null, colours: Uint8Array | null = null): void {
    this.uniforms["isHeat"]!.value = levels === null ? 0 : 1;
    if (levels === null) return;
    if (colours !== this.#colours) {
      this.#colours = colours;
      this.uniforms["heatColors"]!.value.dispose();
      this.uniforms["heatColors"]!.value = heatTexture(colours ?? heatColours());
    }
    this.#heat.fill(0);
    this.#heat.set(levels.subarray(0, this.#heat.length));
    this.#heatTexture.needsUpdate = true;
  }

  get isHeat(): boolean {
    return this.uniforms["isHeat"]!.value === 1;
  }

  /** What the heat layer says of a twin: 0 nothing, else 1…255. */
  heat(ordinal: number): number {
    return this.uniforms["isHeat"]!.value ? this.#heat[ordinal] ?? 0 : 0;
  }

  set(ordinal: number, channel: Channel, value: number): boolean {
    const at = ordinal * 4 + channel;
    if (ordinal < 0 || at >= this.#texels.length || this.#texels[at] === value) return false;
    this.#texels[at] = value;
    this.#texture.needsUpdate = true;
    return true;
  }

  get(ordinal: number, channel: Channel): number {
    return this.#texels[ordinal * 4 + channel] ?? 0;
  }

  /** Sets a channel of all twins. */
  fill(channel: Channel, value: number): void {
    for (let at = channel as number; at < this.#texels.length; at += 4) this.#texels[at] = value;
    this.#texture.needsUpdate = true;
  }

  /**
   * Has a lit material show its twin's state; instances say which twin by the attribute `aTwin`.
   * A patch of the caller's own runs after it.
   */
  patch<M extends Material>(material: M, key = "", more?: Patch): M {
    material.onBeforeCompile = (shader) => {
      Object.assign(shader.uniforms, this.uniforms);
      patchVertex(shader);
      patchFragment(shader);
      more?.(shader);
    };
    material.customProgramCacheKey = () => `twin:${key}`;
    return material;
  }

  #make(): DataTexture {
    const rows = this.#texels.length / 4 / TWINS_PER_ROW;
    const texture = new DataTexture(this.#texels, TWINS_PER_ROW, rows, RGBAFormat, UnsignedByteType);
    texture.minFilter = texture.magFilter = NearestFilter;
    texture.needsUpdate = true;
    this.uniforms["twinStates"]!.value = texture;
    return texture;
  }

  #makeHeat(): DataTexture {
    const rows = this.#heat.length / TWINS_PER_ROW;
    const texture = new DataTexture(this.#heat, TWINS_PER_ROW, rows, RedFormat, UnsignedByteType);
    texture.minFilter = texture.magFilter = NearestFilter;
    texture.needsUpdate = true;
    this.uniforms["twinHeat"]!.value = texture;
    return texture;
  }
}

/** The colours as they are written to the screen: no light and no tone changes them. */
function heatTexture(colours: Uint8Array): DataTexture {
  const texture = new DataTexture(colours, N_COLOURS, 1, RGBAFormat, UnsignedByteType);
  texture.minFilter = texture.magFilter = LinearFilter;
  texture.wrapS = ClampToEdgeWrapping;
  texture.needsUpdate = true;
  return texture;
}

function patchVertex(shader: Shader): void {
  shader.vertexShader = shader.vertexShader
    .replace(
      "#include <common>",
      `#include <common>
      attribute float aTwin;
      uniform sampler2D twinStates;
      uniform sampler2D twinHeat;
      flat varying vec4 vTwin;
      flat varying float vHeat;
      varying vec3 vPlace;`,
    )
    .replace(
      "#include <project_vertex>",
      `#include <project_vertex>
      {
        int twin = int(aTwin + 0.5);
        vTwin = aTwin < -0.5 ? vec4(0.0) : texelFetch(twinStates, ivec2(twin % ${TWINS_PER_ROW}, twin / ${TWINS_PER_ROW}), 0);
        vHeat = aTwin < -0.5 ? 0.0 : texelFetch(twinHeat, ivec2(twin % ${TWINS_PER_ROW}, twin / ${TWINS_PER_ROW}), 0).r;
        vec4 place = vec4(transformed, 1.0);
        #ifdef USE_INSTANCING
          place = instanceMatrix * place;
        #endif
        vPlace = (modelMatrix * place).xyz;
      }`,
    );
}

function patchFragment(shader: Shader): void {
  shader.fragmentShader = shader.fragmentShader
    .replace(
      "#include <common>",
      `#include <common>
      flat varying vec4 vTwin;
      flat varying float vHeat;
      varying vec3 vPlace;
      uniform float isHeat;
      uniform float isXRay;
      uniform vec3 shellColor;
      uniform vec3 cutColor;
      uniform sampler2D heatColors;
      uniform float pulse;
      uniform vec3 highlightColor;
      uniform vec3 staleColor;
      uniform vec3 badColor;
      uniform vec3 alarmColors[4];`,
    )
    .replace(
      "#include <color_fragment>",
      `#include <color_fragment>
      {
        if (vTwin.a > 0.998) discard;
        // What is not known for sure loses its colour and is hatched.
        float grey = dot(diffuseColor.rgb, vec3(0.3, 0.59, 0.11));
        diffuseColor.rgb = mix(diffuseColor.rgb, vec3(grey), min(vTwin.g * 1.5, 0.9));
        float across = fract((vPlace.x + vPlace.y + vPlace.z) * 2.6);
        float width = fwidth((vPlace.x + vPlace.y + vPlace.z) * 2.6);
        float hatch = smoothstep(0.0, width * 1.5, abs(across - 0.5) - 0.28);
        hatch *= 1.0 - smoothstep(0.25, 0.6, width);
        vec3 ink = mix(staleColor, badColor, step(0.75, vTwin.g));
        diffuseColor.rgb = mix(diffuseColor.rgb, mix(diffuseColor.rgb * 0.72, ink, 0.22), hatch * step(0.25, vTwin.g));
        diffuseColor.rgb = mix(diffuseColor.rgb, vec3(grey) * 0.8, vTwin.a * 0.7);
      }`,
    )
    .replace(
      "#include <emissivemap_fragment>",
      `#include <emissivemap_fragment>
      totalEmissiveRadiance += highlightColor * vTwin.r * 0.34;
      if (vTwin.b > 0.6) {
        vec3 alarmColor = vTwin.b > 0.9 ? alarmColors[3] : alarmColors[2];
        totalEmissiveRadiance += alarmColor * (0.04 + 0.1 * pulse);
      }`,
    )
    .replace(
      "#include <dithering_fragment>",
      `#include <dithering_fragment>
      #ifdef CAPPED
        if (!gl_FrontFacing) gl_FragColor.rgb = cutColor;
      #endif
      if (isXRay > 0.5 && vTwin.a > 0.99) {
        vec3 outward = normalize(cross(dFdx(vPlace), dFdy(vPlace)));
        float edge = 1.0 - abs(dot(outward, normalize(cameraPosition - vPlace)));
        gl_FragColor = vec4(mix(gl_FragColor.rgb, shellColor, 0.75), 0.26 + 0.5 * edge * edge * edge);
        ivec2 cell = ivec2(gl_FragCoord.xy) & 3;
        float grain = (float((cell.x * 5 + cell.y * 11 + (cell.x ^ cell.y) * 3) & 15) + 0.5) / 16.0;
        if (isXRay > 1.5 && gl_FragColor.a < grain) discard;
      }
      if (isHeat > 0.5) {
        // After light and tone, so that what lies flat has the very colour of the legend; walls
        // are a little darker by where they face, so that things keep their form.
        float luma = dot(gl_FragColor.rgb, vec3(0.3, 0.59, 0.11));
        if (vHeat > 0.5 / 255.0) {
          vec3 facing = normalize(cross(dFdx(vPlace), dFdy(vPlace)));
          float shade = mix(0.8 + 0.07 * facing.x, 1.0, smoothstep(0.3, 0.9, abs(facing.y)));
          float relief = clamp(0.86 + 0.28 * luma, 0.86, 1.04);
          vec3 heat = texture2D(heatColors, vec2((vHeat * 255.0 - 0.5) / 255.0, 0.5)).rgb;
          gl_FragColor.rgb = heat * shade * mix(relief, 1.0, smoothstep(0.9, 1.0, abs(facing.y)));
        } else gl_FragColor.rgb = mix(gl_FragColor.rgb, vec3(luma), 0.82);
      }`,
    );
}
