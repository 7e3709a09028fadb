/**
 * A line around what is selected or hovered, of even width whatever its shape.
 *
 * The chosen things alone are drawn flat into a mask; then the mask's edge is drawn over the
 * picture. Costs nothing while nothing is chosen.
 */

import {
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

export class Outline {
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

  constructor() {
    this.#mask.add(this.#hovered, this.#selected);
    this.#material = new ShaderMaterial({
      transparent: true,
      depthTest: false,
      depthWrite: false,
      uniforms: {
        mask: { value: this.#target.texture },
        texel: { value: new Vector2() },
        width: { value: 2 },
        selectedColor: { value: new Color() },
        hoveredColor: { value: new Color() },
      },
      vertexShader: "varying vec2 vAt; void main() { vAt = uv; gl_Position = vec4(position.xy, 0.0, 1.0); }",
      fragmentShader: `
        varying vec2 vAt;
        uniform sampler2D mask; uniform vec2 texel; uniform float width;
        uniform vec3 selectedColor, hoveredColor;
        void main() {
          vec2 here = texture2D(mask, vAt).rg;
          vec2 around = vec2(0.0);
          vec2 far = vec2(0.0);
          for (int i = 0; i < 12; i++) {
            float angle = float(i) * 0.5235988;
            vec2 way = vec2(cos(angle), sin(angle)) * texel;
            around = max(around, texture2D(mask, vAt + way * width).rg);
            far += texture2D(mask, vAt + way * width * 3.2).rg;
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
    this.#over.add(new Mesh(new PlaneGeometry(2, 2), this.#material));
    for (const child of this.#over.children) child.frustumCulled = false;
  }

  get isEmpty(): boolean {
    return this.#selected.children.length === 0 && this.#hovered.children.length === 0;
  }

  setColors(selected: Color, hovered: Color): void {
    (this.#material.uniforms["selectedColor"]!.value as Color).copy(selected);
    (this.#material.uniforms["hoveredColor"]!.value as Color).copy(hovered);
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
