/**
 * Relations as tubes: what feeds what, what powers what. One draw call for all of them.
 *
 * Each instance is four control points of a cubic Bezier curve; the tube is bent in the vertex
 * shader, and light runs along it in the fragment shader. Nothing is recomputed while it flows.
 */

import {
  BufferAttribute,
  Color,
  DoubleSide,
  InstancedBufferAttribute,
  InstancedBufferGeometry,
  Mesh,
  ShaderMaterial,
  UniformsLib,
  UniformsUtils,
  Vector3,
} from "three";

import { cuttable } from "./section.ts";

export const enum PipeLook {
  Flow = 0,
  Power = 1,
  /** A thin arc that stands out: the relations of what is selected. */
  Link = 2,
}

export interface Pipe {
  from: Vector3;
  leave: Vector3;
  arrive: Vector3;
  to: Vector3;
  radius_m: number;
  look: PipeLook;
}

const SIDES = 8;

export class Pipes {
  readonly mesh: Mesh<InstancedBufferGeometry, ShaderMaterial>;
  readonly count: number;

  constructor(pipes: readonly Pipe[], steps = 28) {
    this.count = pipes.length;
    const n = pipes.length;
    const columns = [new Float32Array(n * 3), new Float32Array(n * 3), new Float32Array(n * 3), new Float32Array(n * 3)];
    const look = new Float32Array(n * 3);
    pipes.forEach((pipe, i) => {
      [pipe.from, pipe.leave, pipe.arrive, pipe.to].forEach((p, k) => p.toArray(columns[k]!, i * 3));
      look.set([pipe.radius_m, pipe.look, curveLength(pipe)], i * 3);
    });
    const geometry = tubeGeometry(steps);
    geometry.instanceCount = n;
    columns.forEach((column, k) => geometry.setAttribute(`p${k}`, new InstancedBufferAttribute(column, 3)));
    geometry.setAttribute("look", new InstancedBufferAttribute(look, 3));
    this.mesh = new Mesh(geometry, makeMaterial());
    this.mesh.frustumCulled = false;
    this.mesh.visible = n > 0;
  }

  setColors(flow: Color, light: Color, power: Color, link: Color): void {
    const uniforms = this.mesh.material.uniforms;
    (uniforms["flowColor"]!.value as Color).copy(flow);
    (uniforms["lightColor"]!.value as Color).copy(light);
    (uniforms["powerColor"]!.value as Color).copy(power);
    (uniforms["linkColor"]!.value as Color).copy(link);
  }

  setTime(time_s: number): void {
    this.mesh.material.uniforms["time"]!.value = time_s;
  }

  dispose(): void {
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }
}

/** A curve that leaves to the right and arrives from the left, over what is between. */
export function flowPipe(from: Vector3, to: Vector3, look: PipeLook, radius_m: number): Pipe {
  const dx = to.x - from.x;
  const dz = to.z - from.z;
  const flat = Math.hypot(dx, dz);
  const reach = Math.min(Math.max(flat * 0.42, 0.5), 4);
  const rise = look === PipeLook.Flow ? (flat > 6 || dx < 0 ? Math.min(flat * 0.12, 1.6) : 0) : flat * 0.16 + 0.3;
  return {
    from,
    leave: new Vector3(from.x + reach, from.y + rise * 1.3, from.z),
    arrive: new Vector3(to.x - reach, to.y + rise * 1.3, to.z),
    to,
    radius_m,
    look,
  };
}

/** A curve from the front of one to the back of another in the next row of a folded flow. */
export function rowPipe(from: Vector3, to: Vector3, look: PipeLook, radius_m: number): Pipe {
  const reach = Math.sign(to.z - from.z) * Math.max(Math.abs(to.z - from.z) * 0.6, 0.4);
  return {
    from,
    leave: new Vector3(from.x, from.y + 0.1, from.z + reach),
    arrive: new Vector3(to.x, to.y + 0.1, to.z - reach),
    to,
    radius_m,
    look,
  };
}

/** An arc that rises from one and comes down on the other. */
export function arcPipe(from: Vector3, to: Vector3, look: PipeLook, radius_m: number): Pipe {
  const flat = Math.hypot(to.x - from.x, to.z - from.z);
  const rise = 0.7 + flat * 0.24;
  return {
    from,
    leave: from.clone().lerp(to, 0.15).setY(from.y + rise),
    arrive: to.clone().lerp(from, 0.15).setY(to.y + rise),
    to,
    radius_m,
    look,
  };
}

function curveLength(pipe: Pipe): number {
  const chord = pipe.from.distanceTo(pipe.to);
  const around = pipe.from.distanceTo(pipe.leave) + pipe.leave.distanceTo(pipe.arrive) + pipe.arrive.distanceTo(pipe.to);
  return (chord + around) / 2;
}

/** x: along (0…1), y and z: across. */
function tubeGeometry(steps: number): InstancedBufferGeometry {
  const position = new Float32Array((steps + 1) * (SIDES + 1) * 3);
  const index: number[] = [];
  let at = 0;
  for (let i = 0; i <= steps; i++)
    for (let j = 0; j <= SIDES; j++) {
      const angle = (j / SIDES) * 2 * Math.PI;
      position.set([i / steps, Math.cos(angle), Math.sin(angle)], at);
      at += 3;
      if (i === steps || j === SIDES) continue;
      const a = i * (SIDES + 1) + j;
      const b = a + SIDES + 1;
      index.push(a, b, a + 1, b, b + 1, a + 1);
    }
  const geometry = new InstancedBufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(position, 3));
  geometry.setIndex(index);
  return geometry;
}

function makeMaterial(): ShaderMaterial {
  return cuttable(new ShaderMaterial({
    fog: true,
    side: DoubleSide,
    uniforms: UniformsUtils.merge([
      UniformsLib.fog,
      {
        time: { value: 0 },
        flowColor: { value: new Color() },
        lightColor: { value: new Color() },
        powerColor: { value: new Color() },
        linkColor: { value: new Color() },
      },
    ]),
    vertexShader: `
      #include <common>
      #include <fog_pars_vertex>
      attribute vec3 p0; attribute vec3 p1; attribute vec3 p2; attribute vec3 p3;
      attribute vec3 look;
      varying vec3 vNormalWorld; varying vec3 vAway; varying float vAlong; flat varying vec2 vLook;
      void main() {
        float t = position.x; float u = 1.0 - t;
        vec3 at = u * u * u * p0 + 3.0 * u * u * t * p1 + 3.0 * u * t * t * p2 + t * t * t * p3;
        vec3 way = 3.0 * u * u * (p1 - p0) + 6.0 * u * t * (p2 - p1) + 3.0 * t * t * (p3 - p2);
        way = normalize(way + vec3(1e-5, 0.0, 0.0));
        vec3 side = normalize(cross(abs(way.y) > 0.99 ? vec3(1.0, 0.0, 0.0) : vec3(0.0, 1.0, 0.0), way));
        vec3 up = cross(way, side);
        vec3 across = side * position.y + up * position.z;
        vec3 place = at + across * look.x;
        vNormalWorld = across;
        vAway = cameraPosition - place;
        vAlong = t * look.z;
        vLook = look.yz;
        vec4 mvPosition = viewMatrix * vec4(place, 1.0);
        gl_Position = projectionMatrix * mvPosition;
        #include <fog_vertex>
      }`,
    fragmentShader: `
      #include <common>
      #include <fog_pars_fragment>
      varying vec3 vNormalWorld; varying vec3 vAway; varying float vAlong; flat varying vec2 vLook;
      uniform float time; uniform vec3 flowColor, lightColor, powerColor, linkColor;
      void main() {
        vec3 normal = normalize(vNormalWorld);
        vec3 away = normalize(vAway);
        vec3 base = vLook.x < 0.5 ? flowColor : (vLook.x < 1.5 ? powerColor : linkColor);
        float sun = 0.45 + 0.55 * clamp(dot(normal, vec3(-0.45, 0.8, 0.4)), 0.0, 1.0);
        float shine = pow(max(dot(normal, normalize(away + vec3(-0.45, 0.8, 0.4))), 0.0), 40.0);
        float edge = pow(1.0 - abs(dot(normal, away)), 3.0);
        vec3 color = base * sun + shine * 0.35 + edge * base * 0.35;
        float pitch = vLook.x < 0.5 ? 1.1 : 0.8;
        float wave = fract(vAlong / pitch - time * 0.9);
        float dash = smoothstep(0.62, 0.9, wave) * (1.0 - smoothstep(0.94, 1.0, wave));
        vec3 light = vLook.x < 0.5 ? lightColor : (vLook.x < 1.5 ? powerColor * 1.6 : linkColor * 1.6);
        color += light * dash * 0.75;
        if (vLook.x > 1.5) color = mix(color, base * 1.15 + light * dash * 0.6, 0.6);
        gl_FragColor = vec4(color, 1.0);
        #include <tonemapping_fragment>
        #include <colorspace_fragment>
        #include <fog_fragment>
      }`,
  }));
}
