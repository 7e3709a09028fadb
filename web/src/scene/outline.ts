/**
 * A line around what is selected or hovered, of even width whatever its shape.
 *
 * The chosen things alone are drawn flat into a mask; then the mask's edge is drawn over the
 * picture. Costs nothing while nothing is chosen.
 *
 * For two eyes the mask is laid out as their picture is, side by side, and the line is a part of the
 * scene: it is drawn with all else, for each eye from its own half.
 */

import {
  ArrayCamera,
  BufferGeometry,
  Color,
  DoubleSide,
  Group,
  LinearFilter,
  Matrix4,
  Mesh,
  MeshBasicMaterial,
  OrthographicCamera,
  PlaneGeometry,
  Scene,
  ShaderMaterial,
  Vector2,
  WebGLRenderTarget,
} from "three";
import type { Camera, WebGLRenderer } from "three";

export interface Shape {
  geometry: BufferGeometry;
  matrix: Matrix4;
  /** Whether the geometry was made for the outline alone, and goes with it. */
  isOwn?: boolean;
}

/** In a headset the mask is this much coarser than the picture: a line of one degree's tenth needs no more. */
const EYES_PART = 0.5;
/** How wide the line is for eyes, as a part of the height of their picture. */
const EYES_WIDTH = 1 / 550;

export class Outline {
  /** The line for who wears a headset; a part of the scene, and seen only while `prepareEyes` says so. */
  readonly inEyes: Mesh<PlaneGeometry, ShaderMaterial>;
  readonly #mask = new Scene();
  readonly #selected = new Group();
  readonly #hovered = new Group();
  readonly #target = new WebGLRenderTarget(4, 4, { samples: 4, minFilter: LinearFilter, magFilter: LinearFilter });
  readonly #selectedInk = new MeshBasicMaterial({ color: 0xff0000, side: DoubleSide, fog: false, toneMapped: false });
  readonly #hoveredInk = new MeshBasicMaterial({ color: 0x00ff00, side: DoubleSide, fog: false, toneMapped: false });
  readonly #over = new Scene();
  readonly #flat = new OrthographicCamera(-1, 1, 1, -1, 0, 1);
  readonly #material: ShaderMaterial;
  readonly #size = new Vector2();
  readonly #eyes = new ArrayCamera();
  readonly #eyesTarget = new WebGLRenderTarget(4, 4, { minFilter: LinearFilter, magFilter: LinearFilter });

  constructor() {
    this.#mask.add(this.#hovered, this.#selected);
    this.#eyes.matrixWorldAutoUpdate = false;
    this.#material = this.#makeInk(this.#target, false);
    const sheet = new PlaneGeometry(2, 2);
    this.inEyes = new Mesh(sheet, this.#makeInk(this.#eyesTarget, true));
    this.inEyes.frustumCulled = this.inEyes.visible = false;
    this.inEyes.renderOrder = 25; // Over the plant, under the panels.
    this.#over.add(new Mesh(sheet, this.#material));
    for (const child of this.#over.children) child.frustumCulled = false;
  }

  #makeInk(mask: WebGLRenderTarget, isForEyes: boolean): ShaderMaterial {
    return new ShaderMaterial({
      transparent: true,
      depthTest: false,
      depthWrite: false,
      fog: false,
      uniforms: {
        mask: { value: mask.texture },
        texel: { value: new Vector2() },
        width: { value: 2 },
        /** Pixels of the whole picture, and how much of its width an eye has. */
        frame: { value: new Vector2(1, 1) },
        share: { value: 1 },
        selectedColor: { value: new Color() },
        hoveredColor: { value: new Color() },
      },
      defines: isForEyes ? { EYES: "" } : {},
      vertexShader: "varying vec2 vAt; void main() { vAt = uv; gl_Position = vec4(position.xy, 0.0, 1.0); }",
      fragmentShader: `
        varying vec2 vAt;
        uniform sampler2D mask; uniform vec2 texel, frame; uniform float width, share;
        uniform vec3 selectedColor, hoveredColor;
        vec2 own(vec2 place, vec2 at) {
          #ifdef EYES
            // What the other eye sees is none of this one's business.
            float left = floor(at.x / share) * share;
            place.x = clamp(place.x, left + texel.x, left + share - texel.x);
          #endif
          return texture2D(mask, place).rg;
        }
        void main() {
          #ifdef EYES
            vec2 at = gl_FragCoord.xy / frame;
          #else
            vec2 at = vAt;
          #endif
          vec2 here = own(at, at);
          vec2 around = vec2(0.0);
          vec2 far = vec2(0.0);
          for (int i = 0; i < 12; i++) {
            float angle = float(i) * 0.5235988;
            vec2 way = vec2(cos(angle), sin(angle)) * texel;
            around = max(around, own(at + way * width, at));
            far += own(at + way * width * 3.2, at);
          }
          vec2 line = clamp(around - here, 0.0, 1.0);
          vec2 glow = clamp(far / 12.0 * (1.0 - here), 0.0, 1.0);
          float selected = max(line.r, glow.r * 0.55);
          float hovered = max(line.g * 0.75, glow.g * 0.2);
          float inside = here.r * 0.05;
          float alpha = max(max(selected, hovered), inside);
          if (alpha < 0.004) discard;
          vec3 color = mix(hoveredColor, selectedColor, step(hovered, max(selected, inside)));
          gl_FragColor = vec4(color, alpha);
          #include <colorspace_fragment>
        }`,
    });
  }

  get isEmpty(): boolean {
    return this.#selected.children.length === 0 && this.#hovered.children.length === 0;
  }

  setColors(selected: Color, hovered: Color): void {
    for (const { uniforms } of [this.#material, this.inEyes.material]) {
      (uniforms["selectedColor"]!.value as Color).copy(selected);
      (uniforms["hoveredColor"]!.value as Color).copy(hovered);
    }
  }

  select(shapes: readonly Shape[]): void {
    fill(this.#selected, shapes, this.#selectedInk);
  }

  hover(shapes: readonly Shape[]): void {
    fill(this.#hovered, shapes, this.#hoveredInk);
  }

  /** Draws over the finished picture. */
  render(renderer: WebGLRenderer, camera: Camera): void {
    if (this.isEmpty) return;
    renderer.getDrawingBufferSize(this.#size);
    if (this.#target.width !== this.#size.x || this.#target.height !== this.#size.y)
      this.#target.setSize(this.#size.x, this.#size.y);
    (this.#material.uniforms["texel"]!.value as Vector2).set(1 / this.#size.x, 1 / this.#size.y);
    this.#material.uniforms["width"]!.value = 1.6 * renderer.getPixelRatio();
    renderer.setRenderTarget(this.#target);
    renderer.setClearColor(0x000000, 0);
    renderer.clear();
    renderer.render(this.#mask, camera);
    renderer.setRenderTarget(null);
    const autoClear = renderer.autoClear;
    renderer.autoClear = false;
    renderer.render(this.#over, this.#flat);
    renderer.autoClear = autoClear;
  }

  /**
   * Draws the mask for who wears a headset, before the picture itself is drawn.
   *
   * @param both the eyes as the renderer knows them, brought up to date; null: nobody wears one
   */
  prepareEyes(renderer: WebGLRenderer, both: ArrayCamera | null): void {
    const shown = renderer.getRenderTarget();
    this.inEyes.visible = both !== null && shown !== null && !this.isEmpty;
    if (both === null || shown === null || !this.inEyes.visible) return;
    const target = this.#eyesTarget;
    const [w, h] = [Math.ceil(shown.width * EYES_PART), Math.ceil(shown.height * EYES_PART)];
    if (target.width !== w || target.height !== h) target.setSize(w, h);
    const { uniforms } = this.inEyes.material;
    (uniforms["frame"]!.value as Vector2).set(shown.width, shown.height);
    (uniforms["texel"]!.value as Vector2).set(1 / w, 1 / h);
    uniforms["share"]!.value = 1 / both.cameras.length;
    uniforms["width"]!.value = Math.max(1, h * EYES_WIDTH);
    const eyes = this.#eyes;
    eyes.cameras = both.cameras;
    eyes.matrixWorldInverse.copy(both.matrixWorldInverse);
    eyes.projectionMatrix.copy(both.projectionMatrix);
    for (const { viewport } of eyes.cameras) viewport?.multiplyScalar(EYES_PART);
    // As a plain picture: the renderer would put the headset's own eyes and target in their place.
    const { xr } = renderer;
    xr.enabled = false;
    renderer.setRenderTarget(target);
    renderer.setClearColor(0x000000, 0);
    renderer.clear();
    renderer.render(this.#mask, eyes);
    renderer.setRenderTarget(shown);
    xr.enabled = true;
    for (const { viewport } of eyes.cameras) viewport?.divideScalar(EYES_PART);
  }
}

function fill(group: Group, shapes: readonly Shape[], ink: MeshBasicMaterial): void {
  for (const child of group.children) {
    const mesh = child as Mesh;
    if (mesh.userData["isOwn"]) mesh.geometry.dispose();
  }
  group.clear();
  for (const shape of shapes) {
    const mesh = new Mesh(shape.geometry, ink);
    mesh.matrixAutoUpdate = false;
    mesh.matrix.copy(shape.matrix);
    mesh.userData["isOwn"] = shape.isOwn === true;
    group.add(mesh);
  }
}
