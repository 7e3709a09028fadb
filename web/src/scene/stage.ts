/**
 * Where the scene plays: renderer, sun, shadows, floor, and how much of it the machine can do.
 * Knows no twin.
 */

import {
  ACESFilmicToneMapping,
  Color,
  DirectionalLight,
  Fog,
  HemisphereLight,
  Mesh,
  PCFShadowMap,
  PerspectiveCamera,
  PMREMGenerator,
  Scene,
  Vector3,
  WebGLRenderer,
} from "three";
import type { MeshBasicMaterial, Texture, WebGLRenderTarget } from "three";
import type { Mode } from "../style/theme.ts";
import { Occlusion } from "./occlusion.ts";
import { PALETTES } from "./palette.ts";
import type { Palette } from "./palette.ts";
import { Ladder } from "./quality.ts";
import type { Asked, Rung } from "./quality.ts";
import { makeDome, makeFloor, makeStudio, SUN } from "./surroundings.ts";

export class Stage {
  readonly renderer: WebGLRenderer;
  readonly scene = new Scene();
  readonly camera = new PerspectiveCamera(38, 1, 0.1, 4000);
  /** What is drawn through: the camera, or the eyes of who wears a headset. */
  eyes = this.camera;
  palette: Palette = PALETTES.dark;
  readonly #ladder: Ladder;
  #occlusion: Occlusion | null = null;
  /** Off while colours are to be read off a scale. */
  hasOcclusion = true;
  /** Called when another rung of the ladder is stood on. */
  onQuality: () => void = () => {};
  readonly #sun = new DirectionalLight();
  readonly #hemisphere = new HemisphereLight();
  readonly #dome: ReturnType<typeof makeDome>;
  readonly #floor: ReturnType<typeof makeFloor>;
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
  #hasFloor = true;
  #hasGround = false;
  #frameMs = 16;

  /** Whether pictures are computed without a graphics processor: every one is dear then. */
  readonly isSoftware: boolean;

  constructor(canvas: HTMLCanvasElement, asked: Asked) {
    this.isSoftware = isSoftwareDrawn();
    this.#ladder = new Ladder(asked, this.isSoftware);
    const antialias = asked === "auto" ? !this.isSoftware : asked !== "low";
    this.renderer = new WebGLRenderer({ canvas, antialias, powerPreference: "high-performance" });
    this.renderer.toneMapping = ACESFilmicToneMapping;
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
    this.#applyRung();
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
    this.#occlusion = null;
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
    this.#floor.visible = has && this.#hasFloor;
  }

  /** Sky and floor around the world: a model on a table, and one in a real room, go without. */
  setSurroundings(hasSky: boolean, hasFloor: boolean): void {
    this.#dome.visible = hasSky;
    this.#hasFloor = hasFloor;
    this.setHaze(this.#hasHaze);
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
    if (this.renderer.xr.isPresenting) return false; // The headset says how large its pictures are.
    const canvas = this.renderer.domElement;
    const w = canvas.clientWidth || window.innerWidth;
    const h = canvas.clientHeight || window.innerHeight;
    const ratio = Math.min(window.devicePixelRatio || 1, this.rung.pixelRatio);
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

  get rung(): Rung {
    return this.#ladder.rung;
  }

  /** What the person asked for. */
  get asked(): Asked {
    return this.#ladder.asked;
  }

  /** Takes what the person asks for. */
  ask(asked: Asked): void {
    this.#ladder.ask(asked);
    this.#applyRung();
  }

  #applyRung(): void {
    const { shadowSize } = this.rung;
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
    if (!this.rung.hasOcclusion) {
      this.#occlusion?.dispose();
      this.#occlusion = null;
    }
    this.#shadowRadius = 0;
    this.resize();
    this.onQuality();
  }

  /** Takes the time between two frames that followed each other at once. */
  measure(frameMs: number): void {
    this.#frameMs += (frameMs - this.#frameMs) * 0.1;
    // A headset has its own size of picture, and its own beat.
    if (!this.renderer.xr.isPresenting && this.#ladder.measure(frameMs)) this.#applyRung();
  }

  /** Draws the scene to the canvas, or to the eyes of a headset. */
  draw(away_m: number): void {
    const { renderer, scene, camera } = this;
    if (!this.rung.hasOcclusion || !this.hasOcclusion || renderer.xr.isPresenting) {
      renderer.render(scene, renderer.xr.isPresenting ? this.eyes : camera);
      return;
    }
    this.#occlusion ??= new Occlusion();
    const radius_m = Math.min(Math.max(away_m * 0.025, 0.35), 5);
    this.#occlusion.render(renderer, scene, camera, radius_m, this.palette.occlusion);
  }

  get fps(): number {
    return 1000 / this.#frameMs;
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
