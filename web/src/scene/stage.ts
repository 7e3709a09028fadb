/**
 * Where the scene plays: renderer, sky, sun, floor, shadows, and how much of it the machine can do.
 *
 * The sky is a gradient of our own, and the light that things reflect is a small studio rendered
 * once into a prefiltered environment: nothing is loaded. Knows no twin.
 */

import {
  BackSide,
  BoxGeometry,
  CircleGeometry,
  Color,
  DirectionalLight,
  DoubleSide,
  Fog,
  HemisphereLight,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  NeutralToneMapping,
  PCFShadowMap,
  PerspectiveCamera,
  PMREMGenerator,
  Scene,
  ShaderMaterial,
  SphereGeometry,
  Vector3,
  WebGLRenderer,
} from "three";
import type { Texture, WebGLRenderTarget } from "three";
import type { Mode } from "../style/theme.ts";
import { PALETTES } from "./palette.ts";
import type { Palette } from "./palette.ts";

export type Quality = "low" | "medium" | "high";

interface Means {
  pixelRatio: number;
  shadowSize: number;
}

const MEANS: Record<Quality, Means> = {
  low: { pixelRatio: 1, shadowSize: 0 },
  medium: { pixelRatio: 1.5, shadowSize: 1024 },
  high: { pixelRatio: 2, shadowSize: 2048 },
};
const LADDER: Quality[] = ["low", "medium", "high"];

/** Towards the sun, from anywhere. */
const SUN = new Vector3(-0.52, 0.78, 0.46).normalize();

export class Stage {
  readonly renderer: WebGLRenderer;
  readonly scene = new Scene();
  readonly camera = new PerspectiveCamera(38, 1, 0.1, 4000);
  palette: Palette = PALETTES.dark;
  quality: Quality = "high";
  isQualityFixed = false;
  readonly #sun = new DirectionalLight();
  readonly #hemisphere = new HemisphereLight();
  readonly #dome: Mesh<SphereGeometry, ShaderMaterial>;
  readonly #floor: Mesh<CircleGeometry, MeshStandardMaterial>;
  readonly #floorUniforms = {
    lineColor: { value: new Color() },
    fadeM: { value: 60 },
    middle: { value: new Vector3() },
  };
  readonly #environments = new Map<Mode, WebGLRenderTarget>();
  readonly #shadowMiddle = new Vector3();
  #shadowRadius = 0;
  #radius_m = 12;
  #hasHaze = true;
  #hasGround = false;
  #slowFrames = 0;
  #fastFrames = 0;
  #frameMs = 16;

  /** Whether pictures are computed without a graphics processor: every one is dear then. */
  readonly isSoftware: boolean;

  /** `quality`: what the person asked for; null: what the machine can do. */
  constructor(canvas: HTMLCanvasElement, quality: Quality | null) {
    this.isSoftware = isSoftwareDrawn();
    const antialias = quality === null ? !this.isSoftware : quality !== "low";
    this.renderer = new WebGLRenderer({ canvas, antialias, powerPreference: "high-performance" });
    this.isQualityFixed = quality !== null;
    this.renderer.toneMapping = NeutralToneMapping;
    this.renderer.shadowMap.enabled = true;
    this.renderer.shadowMap.type = PCFShadowMap;
    this.renderer.shadowMap.autoUpdate = false;
    this.renderer.info.autoReset = false;
    this.scene.fog = new Fog(0, 60, 400);
    this.#dome = makeDome();
    this.#floor = makeFloor(this.#floorUniforms);
    const shadow = this.#sun.shadow;
    this.#sun.castShadow = true;
    shadow.bias = -0.00035;
    shadow.normalBias = 0.03;
    shadow.radius = 3.5;
    this.scene.add(this.#dome, this.#floor, this.#sun, this.#sun.target, this.#hemisphere);
    this.setQuality(quality ?? (this.isSoftware ? "low" : "high"));
  }

  // --- looks -----------------------------------------------------------------------------

  setTheme(mode: Mode): void {
    const palette = PALETTES[mode];
    this.palette = palette;
    const uniforms = this.#dome.material.uniforms;
    (uniforms["zenith"]!.value as Color).copy(palette.zenith);
    (uniforms["sky"]!.value as Color).copy(palette.sky);
    (uniforms["horizon"]!.value as Color).copy(palette.horizon);
    (uniforms["glow"]!.value as Color).copy(palette.glow);
    (uniforms["ground"]!.value as Color).copy(palette.ground);
    (this.scene.fog as Fog).color.copy(palette.horizon);
    this.#floor.material.color.copy(palette.floor);
    this.#floorUniforms.lineColor.value.copy(palette.floorLine);
    this.#sun.color.copy(palette.sun);
    this.#sun.intensity = palette.sunIntensity;
    this.#hemisphere.color.copy(palette.sky).lerp(new Color(0xffffff), 0.4);
    this.#hemisphere.groundColor.copy(palette.ground);
    this.#hemisphere.intensity = palette.ambientIntensity;
    this.renderer.toneMappingExposure = palette.exposure;
    this.scene.environment = this.#environment(mode);
    this.scene.environmentIntensity = palette.environmentIntensity;
    this.renderer.shadowMap.needsUpdate = true;
  }

  #environment(mode: Mode): Texture {
    let target = this.#environments.get(mode);
    if (target === undefined) {
      const generator = new PMREMGenerator(this.renderer);
      const studio = makeStudio(mode);
      target = generator.fromScene(studio, 0.035);
      generator.dispose();
      studio.traverse((node) => {
        if (node instanceof Mesh) {
          node.geometry.dispose();
          (node.material as MeshBasicMaterial).dispose();
        }
      });
      this.#environments.set(mode, target);
    }
    return target.texture;
  }

  /** The graphics processor has lost everything: what was rendered once is rendered anew. */
  forget(): void {
    this.#environments.clear();
    this.#shadowRadius = 0;
  }

  /** Fits fog, floor and far plane to a world that lies within `radius_m` of `middle`. */
  setExtent(middle: Vector3, radius_m: number): void {
    const r = Math.max(radius_m, 12);
    this.#radius_m = r;
    this.setHaze(this.#hasHaze);
    this.camera.far = Math.max(r * 14, 600);
    this.camera.updateProjectionMatrix();
    this.#dome.scale.setScalar(this.camera.far * 0.9);
    this.#floor.scale.setScalar(r * 8);
    this.#floor.position.setX(middle.x).setZ(middle.z);
    this.setGround(this.#hasGround);
    this.#floorUniforms.fadeM.value = r * 3.2;
    this.#floorUniforms.middle.value.copy(middle).setY(0);
  }

  /** Whether what is far away fades: a map shows all of it alike. */
  setHaze(has: boolean): void {
    this.#hasHaze = has;
    const fog = this.scene.fog as Fog;
    fog.near = this.#radius_m * (has ? 2.2 : 200);
    fog.far = this.#radius_m * (has ? 9 : 900);
    // From straight above the grid of the floor would be nothing but noise.
    this.#floor.visible = has;
  }

  /** Whether a twin brings the ground: the floor then lies lower, out of its way as it is seen
   * from as far as the world is wide. */
  setGround(has: boolean): void {
    this.#hasGround = has;
    this.#floor.position.y = has ? -0.03 - Math.max(0, this.#radius_m - 40) * 0.002 : 0;
  }

  /** Fits the sun's shadow to what is looked at, in steps, so that its edges do not crawl. */
  fitShadow(middle: Vector3, radius_m: number): void {
    if (!this.renderer.shadowMap.enabled) return;
    const radius = 2 ** (Math.ceil(Math.log2(Math.max(radius_m, 4)) * 2) / 2);
    const step = radius / 8;
    const x = Math.round(middle.x / step) * step;
    const z = Math.round(middle.z / step) * step;
    const isSame = radius === this.#shadowRadius && x === this.#shadowMiddle.x && z === this.#shadowMiddle.z;
    if (isSame) return;
    this.#shadowRadius = radius;
    this.#shadowMiddle.set(x, 0, z);
    const camera = this.#sun.shadow.camera;
    camera.left = camera.bottom = -radius;
    camera.right = camera.top = radius;
    camera.near = 0.5;
    camera.far = radius * 5;
    camera.updateProjectionMatrix();
    this.#sun.target.position.copy(this.#shadowMiddle);
    this.#sun.position.copy(SUN).multiplyScalar(radius * 2.4).add(this.#shadowMiddle);
    this.#sun.target.updateMatrixWorld();
    this.renderer.shadowMap.needsUpdate = true;
  }

  /** The sky goes with the camera, so that nobody gets near it. */
  follow(): void {
    this.#dome.position.copy(this.camera.position);
    // Who is high up has nothing before their eyes, and depth is the finer for it: without this,
    // what lies flat on the ground of a city would flicker.
    const near = Math.min(Math.max(this.camera.position.y * 0.02 - 0.1, 0.1), this.#radius_m * 0.01);
    if (Math.abs(near - this.camera.near) > this.camera.near * 0.1) {
      this.camera.near = Math.max(near, 0.1);
      this.camera.updateProjectionMatrix();
    }
  }

  // --- size and quality --------------------------------------------------------------------

  resize(): boolean {
    const canvas = this.renderer.domElement;
    const w = canvas.clientWidth || window.innerWidth;
    const h = canvas.clientHeight || window.innerHeight;
    const ratio = Math.min(window.devicePixelRatio || 1, MEANS[this.quality].pixelRatio);
    if (
      canvas.width === Math.floor(w * ratio) &&
      canvas.height === Math.floor(h * ratio) &&
      this.renderer.getPixelRatio() === ratio
    )
      return false;
    this.renderer.setPixelRatio(ratio);
    this.renderer.setSize(w, h, false);
    this.camera.aspect = w / h;
    this.camera.updateProjectionMatrix();
    return true;
  }

  setQuality(quality: Quality): void {
    this.quality = quality;
    const { shadowSize } = MEANS[quality];
    const hasShadows = shadowSize > 0;
    if (this.renderer.shadowMap.enabled !== hasShadows || this.#sun.castShadow !== hasShadows) {
      this.renderer.shadowMap.enabled = hasShadows;
      this.#sun.castShadow = hasShadows;
      this.scene.traverse((node) => {
        if (node instanceof Mesh) for (const m of [node.material].flat()) m.needsUpdate = true;
      });
    }
    const shadow = this.#sun.shadow;
    if (hasShadows && shadow.mapSize.x !== shadowSize) {
      shadow.mapSize.setScalar(shadowSize);
      shadow.map?.dispose();
      shadow.map = null;
    }
    this.#shadowRadius = 0;
    this.resize();
  }

  /**
   * Takes the time between two frames that followed each other at once, and steps down when
   * most of them are slow, or up when all of them have been fast for long.
   */
  measure(frameMs: number): boolean {
    if (frameMs > 500) return false; // The page slept.
    this.#frameMs += (frameMs - this.#frameMs) * 0.1;
    if (this.isQualityFixed) return false;
    this.#slowFrames = frameMs > 34 ? this.#slowFrames + 1 : Math.max(0, this.#slowFrames - 1);
    this.#fastFrames = frameMs < 14 ? this.#fastFrames + 1 : 0;
    const at = LADDER.indexOf(this.quality);
    if (this.#slowFrames > 24 && at > 0) return this.#step(LADDER[at - 1]!);
    if (this.#fastFrames > 600 && at < LADDER.length - 1) return this.#step(LADDER[at + 1]!);
    return false;
  }

  get fps(): number {
    return 1000 / this.#frameMs;
  }

  #step(quality: Quality): boolean {
    this.#slowFrames = this.#fastFrames = 0;
    this.setQuality(quality);
    return true;
  }
}

/** Asks a canvas of its own who draws; its context is let go of at once. */
function isSoftwareDrawn(): boolean {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (gl === null) return false;
  const asked = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(asked ? asked.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}

function makeDome(): Mesh<SphereGeometry, ShaderMaterial> {
  const material = new ShaderMaterial({
    side: BackSide,
    depthWrite: false,
    fog: false,
    uniforms: {
      zenith: { value: new Color() },
      sky: { value: new Color() },
      horizon: { value: new Color() },
      glow: { value: new Color() },
      ground: { value: new Color() },
      sunward: { value: SUN },
    },
    vertexShader: `
      varying vec3 vWay;
      void main() {
        vWay = position;
        gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
        gl_Position.z = gl_Position.w * 0.99999;
      }`,
    fragmentShader: `
      #include <common>
      #include <dithering_pars_fragment>
      varying vec3 vWay;
      uniform vec3 zenith, sky, horizon, glow, ground, sunward;
      void main() {
        vec3 way = normalize(vWay);
        float up = way.y;
        vec3 color = mix(horizon, sky, smoothstep(0.0, 0.22, up));
        color = mix(color, zenith, smoothstep(0.12, 0.8, up));
        color = mix(color, ground, smoothstep(-0.08, -0.6, up));
        float near = max(dot(normalize(vec3(way.x, 0.0, way.z)), normalize(vec3(sunward.x, 0.0, sunward.z))), 0.0);
        color += glow * 0.28 * pow(near, 3.0) * exp(-abs(up) * 7.0);
        gl_FragColor = vec4(color, 1.0);
        #include <tonemapping_fragment>
        #include <colorspace_fragment>
        #include <dithering_fragment>
      }`,
    dithering: true,
  });
  const dome = new Mesh(new SphereGeometry(1, 48, 24), material);
  dome.frustumCulled = false;
  dome.renderOrder = -10;
  return dome;
}

function makeFloor(uniforms: Record<string, { value: unknown }>): Mesh<CircleGeometry, MeshStandardMaterial> {
  const material = new MeshStandardMaterial({ roughness: 0.42, metalness: 0.08, transparent: true, fog: false, side: DoubleSide });
  material.onBeforeCompile = (shader) => {
    Object.assign(shader.uniforms, uniforms);
    shader.vertexShader = shader.vertexShader
      .replace("#include <common>", "#include <common>\nvarying vec3 vFloor;")
      .replace(
        "#include <project_vertex>",
        "#include <project_vertex>\nvFloor = (modelMatrix * vec4(transformed, 1.0)).xyz;",
      );
    shader.fragmentShader = shader.fragmentShader
      .replace(
        "#include <common>",
        `#include <common>
        varying vec3 vFloor;
        uniform vec3 lineColor;
        uniform float fadeM;
        uniform vec3 middle;
        float lines(float step_m, float width_m) {
          vec2 at = vFloor.xz / step_m;
          vec2 blur = fwidth(at);
          vec2 away = abs(fract(at - 0.5) - 0.5);
          vec2 line = 1.0 - smoothstep(vec2(width_m / step_m), vec2(width_m / step_m) + blur * 1.5, away);
          line *= 1.0 - smoothstep(0.2, 0.6, blur);
          return max(line.x, line.y);
        }`,
      )
      .replace(
        "#include <color_fragment>",
        `#include <color_fragment>
        float grid = max(lines(1.0, 0.003) * 0.07, lines(5.0, 0.008) * 0.16);
        diffuseColor.rgb = mix(diffuseColor.rgb, lineColor, grid);
        float pool = distance(vFloor.xz, middle.xz) / fadeM;
        diffuseColor.rgb *= 0.72 + 0.5 * exp(-pool * pool * 7.0);
        diffuseColor.a = 1.0 - smoothstep(fadeM * 0.45, fadeM, distance(vFloor.xz, middle.xz));`,
      )
      .replace(
        "#include <roughnessmap_fragment>",
        `#include <roughnessmap_fragment>
        // Polished slabs, each a little different.
        vec2 slab = floor(vFloor.xz / 5.0);
        float grain = fract(sin(dot(slab, vec2(12.9898, 78.233))) * 43758.5453);
        roughnessFactor *= 0.86 + 0.28 * grain;`,
      );
  };
  const floor = new Mesh(new CircleGeometry(1, 96), material);
  floor.rotation.x = -Math.PI / 2;
  floor.receiveShadow = true;
  floor.renderOrder = -5;
  return floor;
}

/** A photographer's studio: a soft sky, a large key light, strips for edges, a floor that returns light. */
function makeStudio(mode: Mode): Scene {
  const studio = new Scene();
  const dark = mode === "dark";
  const sky = new Mesh(
    new SphereGeometry(50, 32, 16),
    new ShaderMaterial({
      side: BackSide,
      uniforms: {
        up: { value: new Color(dark ? "#3d5369" : "#dcebf8") },
        level: { value: new Color(dark ? "#8298ab" : "#fbfdff") },
        down: { value: new Color(dark ? "#20272e" : "#a9b1b8") },
      },
      vertexShader: "varying vec3 vWay; void main() { vWay = position; gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0); }",
      fragmentShader: `
        varying vec3 vWay; uniform vec3 up, level, down;
        void main() {
          float y = normalize(vWay).y;
          gl_FragColor = vec4(y > 0.0 ? mix(level, up, pow(y, 0.6)) : mix(level, down, pow(-y, 0.4)), 1.0);
        }`,
    }),
  );
  studio.add(sky);
  const lamp = (color: string, power: number, size: [number, number], at: [number, number, number]) => {
    const material = new MeshBasicMaterial({ color: new Color(color).multiplyScalar(power) });
    const mesh = new Mesh(new BoxGeometry(size[0], size[1], 0.1), material);
    mesh.position.set(...at);
    mesh.lookAt(0, 0, 0);
    studio.add(mesh);
  };
  lamp("#fff4e2", dark ? 9 : 12, [16, 12], [-18, 22, 14]);
  lamp("#bfdcff", dark ? 6 : 7, [6, 26], [26, 12, -6]);
  lamp("#ffffff", dark ? 3.5 : 6, [30, 5], [0, 26, -16]);
  lamp("#9fd0ff", dark ? 3 : 3, [4, 18], [-26, 8, -16]);
  return studio;
}
