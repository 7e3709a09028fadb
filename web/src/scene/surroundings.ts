/** What is around a world: the sky, the floor, and the studio whose light things reflect. Nothing is loaded. */

import { BackSide, BoxGeometry, CircleGeometry, Color, DoubleSide, Mesh, MeshBasicMaterial, MeshStandardMaterial, Scene, ShaderMaterial, SphereGeometry, Vector3 } from "three";
import type { Mode } from "../style/theme.ts";

/** Towards the sun, from anywhere. */
export const SUN = new Vector3(-0.52, 0.78, 0.46).normalize();

/** The sky: a gradient of our own, with a glow where the sun is. */
export function makeDome(): Mesh<SphereGeometry, ShaderMaterial> {
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

/** The floor that a world without ground of its own stands on: polished slabs with a fine grid, to the haze. */
export function makeFloor(uniforms: Record<string, { value: unknown }>): Mesh<CircleGeometry, MeshStandardMaterial> {
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
        float near = exp(-pow(distance(vFloor.xz, middle.xz) / fadeM * 2.2, 2.0));
        float grid = max(lines(1.0, 0.003) * 0.05, lines(5.0, 0.006) * 0.12) * near;
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
export function makeStudio(mode: Mode): Scene {
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
