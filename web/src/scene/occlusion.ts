/**
 * Contact shade in corners and under things, from the picture's own depth: scalable ambient
 * obscurance (McGuire, Mara, Luebke: Scalable Ambient Obscurance, HPG 2012, equation 7).
 *
 * The scene is drawn once, in its final colours, into a picture with depth; the shade is worked out
 * at half its size and laid over it, smoothed along surfaces. Two more draw calls.
 */

import {
  DepthTexture,
  LinearFilter,
  Matrix4,
  Mesh,
  NearestFilter,
  OrthographicCamera,
  PlaneGeometry,
  RedFormat,
  RGBAFormat,
  ShaderMaterial,
  SRGBColorSpace,
  UnsignedByteType,
  UnsignedIntType,
  Vector2,
  WebGLRenderTarget,
} from "three";
import type { PerspectiveCamera, Scene, WebGLRenderer } from "three";

const FLAT = "varying vec2 vAt; void main() { vAt = uv; gl_Position = vec4(position.xy, 0.0, 1.0); }";

const SHADE = `
  varying vec2 vAt;
  uniform sampler2D depth; uniform vec2 texel; uniform mat4 viewFromClip;
  uniform float radius_m, pixelsPerM, strength;
  const int N = 11;
  // Of the very texel that is read: between two of them the surface would seem to be stepped.
  vec3 placeAt(vec2 at) {
    at = (floor(at / texel) + 0.5) * texel;
    vec4 clip = vec4(vec3(at, texture2D(depth, at).r) * 2.0 - 1.0, 1.0);
    vec4 place = viewFromClip * clip;
    return place.xyz / place.w;
  }
  // The shorter of two ways: across an edge the other one would leave the surface.
  vec3 along(vec3 here, vec3 a, vec3 b) {
    return abs(a.z - here.z) < abs(b.z - here.z) ? here - a : b - here;
  }
  void main() {
    if (texture2D(depth, vAt).r >= 0.99999) { gl_FragColor = vec4(1.0); return; }
    vec3 here = placeAt(vAt);
    vec3 dx = along(here, placeAt(vAt - vec2(texel.x, 0.0)), placeAt(vAt + vec2(texel.x, 0.0)));
    vec3 dy = along(here, placeAt(vAt - vec2(0.0, texel.y)), placeAt(vAt + vec2(0.0, texel.y)));
    vec3 up = normalize(cross(dx, dy));
    float reach = clamp(radius_m * pixelsPerM / -here.z, 2.0, 96.0);
    // Interleaved gradient noise (Jimenez 2014) turns the spiral from pixel to pixel.
    float turn = 6.2831853 * fract(52.9829189 * fract(dot(gl_FragCoord.xy, vec2(0.06711056, 0.00583715))));
    float r2 = radius_m * radius_m;
    float bias = 0.0015 * -here.z;
    float sum = 0.0;
    for (int i = 0; i < N; i++) {
      float part = (float(i) + 0.5) / float(N);
      float angle = part * 43.982297 + turn;
      vec3 way = placeAt(vAt + vec2(cos(angle), sin(angle)) * part * reach * texel) - here;
      float d2 = dot(way, way);
      float f = max(r2 - d2, 0.0);
      sum += f * f * f * max((dot(way, up) - bias) / (0.01 * r2 + d2), 0.0);
    }
    float shade = max(0.0, 1.0 - sum * strength * 5.0 * radius_m / (r2 * r2 * r2 * float(N)));
    gl_FragColor = vec4(mix(1.0, shade, clamp((reach - 2.0) / 6.0, 0.0, 1.0)));
  }`;

const LAID_OVER = `
  varying vec2 vAt;
  uniform sampler2D picture, depth, shade; uniform vec2 texel, range;
  float away(vec2 at) {
    float z = texture2D(depth, at).r * 2.0 - 1.0;
    return 2.0 * range.x * range.y / (range.y + range.x - z * (range.y - range.x));
  }
  void main() {
    float here = away(vAt);
    float sum = 0.0, weights = 0.0;
    for (int y = -1; y <= 2; y++) for (int x = -1; x <= 2; x++) {
      vec2 at = vAt + (vec2(float(x), float(y)) - 0.5) * texel;
      float weight = 1.0 / (1e-3 + abs(away(at) - here) / here);
      sum += texture2D(shade, at).r * weight;
      weights += weight;
    }
    gl_FragColor = vec4(texture2D(picture, vAt).rgb * (sum / weights), 1.0);
  }`;

export class Occlusion {
  readonly #picture: WebGLRenderTarget;
  readonly #shade = new WebGLRenderTarget(4, 4, { format: RedFormat, type: UnsignedByteType, depthBuffer: false, minFilter: LinearFilter, magFilter: LinearFilter });
  readonly #flat = new OrthographicCamera(-1, 1, 1, -1, 0, 1);
  readonly #shading: Mesh<PlaneGeometry, ShaderMaterial>;
  readonly #laying: Mesh<PlaneGeometry, ShaderMaterial>;
  readonly #size = new Vector2();

  constructor() {
    const picture = new WebGLRenderTarget(4, 4, { format: RGBAFormat, type: UnsignedByteType, colorSpace: SRGBColorSpace, samples: 4 });
    // Written as the screen is: tones mapped and encoded by the materials, not by the hardware too.
    (picture as WebGLRenderTarget & { isXRRenderTarget: boolean }).isXRRenderTarget = true;
    picture.texture.internalFormat = "RGBA8";
    picture.depthTexture = new DepthTexture(4, 4, UnsignedIntType);
    picture.depthTexture.minFilter = picture.depthTexture.magFilter = NearestFilter;
    this.#picture = picture;
    const depth = { value: picture.depthTexture };
    this.#shading = flat(SHADE, {
      depth,
      texel: { value: new Vector2() },
      viewFromClip: { value: new Matrix4() },
      radius_m: { value: 1 },
      pixelsPerM: { value: 1 },
      strength: { value: 1 },
    });
    this.#laying = flat(LAID_OVER, {
      depth,
      picture: { value: picture.texture },
      shade: { value: this.#shade.texture },
      texel: { value: new Vector2() },
      range: { value: new Vector2() },
    });
  }

  /**
   * Draws the scene with its contact shade to the canvas.
   *
   * @param radius_m how far things shade each other
   * @param strength 0 none, 1 as light would do it
   */
  render(renderer: WebGLRenderer, scene: Scene, camera: PerspectiveCamera, radius_m: number, strength: number): void {
    renderer.getDrawingBufferSize(this.#size);
    const { x: w, y: h } = this.#size;
    if (this.#picture.width !== w || this.#picture.height !== h) {
      this.#picture.setSize(w, h);
      this.#shade.setSize(Math.ceil(w / 2), Math.ceil(h / 2));
    }
    renderer.setRenderTarget(this.#picture);
    renderer.render(scene, camera);
    const shading = this.#shading.material.uniforms;
    (shading["texel"]!.value as Vector2).set(1 / w, 1 / h);
    (shading["viewFromClip"]!.value as Matrix4).copy(camera.projectionMatrixInverse);
    shading["radius_m"]!.value = radius_m;
    shading["pixelsPerM"]!.value = (h / 2) * camera.projectionMatrix.elements[5]!;
    shading["strength"]!.value = strength;
    renderer.setRenderTarget(this.#shade);
    renderer.render(this.#shading, this.#flat);
    const laying = this.#laying.material.uniforms;
    (laying["texel"]!.value as Vector2).set(2 / w, 2 / h);
    (laying["range"]!.value as Vector2).set(camera.near, camera.far);
    renderer.setRenderTarget(null);
    renderer.render(this.#laying, this.#flat);
  }

  dispose(): void {
    this.#picture.depthTexture?.dispose();
    this.#picture.dispose();
    this.#shade.dispose();
    for (const mesh of [this.#shading, this.#laying]) {
      mesh.geometry.dispose();
      mesh.material.dispose();
    }
  }
}

function flat(fragmentShader: string, uniforms: ShaderMaterial["uniforms"]): Mesh<PlaneGeometry, ShaderMaterial> {
  const material = new ShaderMaterial({ vertexShader: FLAT, fragmentShader, uniforms, depthTest: false, depthWrite: false });
  const mesh = new Mesh(new PlaneGeometry(2, 2), material);
  mesh.frustumCulled = false;
  return mesh;
}
