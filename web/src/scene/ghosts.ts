/**
 * Twins as they are in another world beside the one that is shown: translucent where they stand
 * there, with a line to where they stand here. Costs nothing while there are none.
 */

import {
  BufferAttribute,
  BufferGeometry,
  Color,
  Group,
  InstancedBufferAttribute,
  InstancedMesh,
  LineSegments,
  Matrix4,
  ShaderMaterial,
  Vector3,
} from "three";
import type { Mode } from "../style/theme.ts";
import type { Shape } from "./outline.ts";

/** How a twin differs there: where it stands, what state it is in, what it measures. */
export type Difference = "place" | "state" | "value" | "new" | "gone";

export interface Ghost {
  shapes: readonly Shape[];
  difference: Difference;
  /** From where it stands here to where it stands there; null: it stands where it stood. */
  way: [Vector3, Vector3] | null;
}

const STRENGTH: Readonly<Record<Difference, number>> = { place: 1, new: 1, gone: 0.75, state: 0.85, value: 0.3 };
/** What is of a branch is violet on the whole page, what is of the plant blue. */
const COLOURS: Readonly<Record<Of, Readonly<Record<Mode, string>>>> = {
  branch: { dark: "#c79bf2", light: "#7a4bc4" },
  plant: { dark: "#57c7f2", light: "#0878ae" },
};
export type Of = "branch" | "plant";

export class Ghosts {
  readonly group = new Group();
  readonly #material = new ShaderMaterial({
    transparent: true,
    polygonOffset: true,
    polygonOffsetFactor: -2,
    polygonOffsetUnits: -2,
    uniforms: { color: { value: new Color() } },
    vertexShader: `
      attribute float aStrength;
      varying float vStrength; varying vec3 vNormal; varying vec3 vToEye;
      void main() {
        vec4 place = modelMatrix * instanceMatrix * vec4(position, 1.0);
        vNormal = normalize(mat3(modelMatrix) * mat3(instanceMatrix) * normal);
        vToEye = cameraPosition - place.xyz;
        vStrength = aStrength;
        gl_Position = projectionMatrix * viewMatrix * place;
      }`,
    fragmentShader: `
      uniform vec3 color;
      varying float vStrength; varying vec3 vNormal; varying vec3 vToEye;
      void main() {
        float rim = 1.0 - abs(dot(normalize(vNormal), normalize(vToEye)));
        float alpha = vStrength * mix(0.34, 0.9, rim * rim);
        gl_FragColor = vec4(color * (0.72 + 0.45 * rim), alpha);
        #include <colorspace_fragment>
      }`,
  });
  readonly #ways = new ShaderMaterial({
    transparent: true,
    depthTest: false,
    uniforms: { color: this.#material.uniforms["color"]! },
    vertexShader: `
      attribute float along; varying float vAlong;
      void main() { vAlong = along; gl_Position = projectionMatrix * viewMatrix * vec4(position, 1.0); }`,
    fragmentShader: `
      uniform vec3 color; varying float vAlong;
      void main() {
        if (fract(vAlong * 1.6) > 0.6) discard;
        gl_FragColor = vec4(color, 0.95);
        #include <colorspace_fragment>
      }`,
  });

  constructor() {
    this.group.renderOrder = 5;
  }

  get count(): number {
    return this.group.children.length;
  }

  setTheme(mode: Mode, of: Of): void {
    this.setColour(COLOURS[of][mode]);
  }

  /** For what is neither of a branch nor of the plant. */
  setColour(colour: string | Color): void {
    (this.#material.uniforms["color"]!.value as Color).set(colour);
  }

  /** Shows these in place of those before. */
  set(ghosts: readonly Ghost[]): void {
    this.clear();
    const byGeometry = new Map<BufferGeometry, { matrix: Matrix4; strength: number; isOwn: boolean }[]>();
    for (const { shapes, difference } of ghosts)
      for (const { geometry, matrix, isOwn } of shapes) {
        const list = byGeometry.get(geometry);
        const one = { matrix, strength: STRENGTH[difference], isOwn: isOwn === true };
        if (list === undefined) byGeometry.set(geometry, [one]);
        else list.push(one);
      }
    for (const [geometry, list] of byGeometry) {
      const mesh = new InstancedMesh(withStrength(geometry, list.map((one) => one.strength)), this.#material, list.length);
      mesh.userData["own"] = list[0]!.isOwn ? geometry : null;
      mesh.frustumCulled = false;
      mesh.renderOrder = 5;
      list.forEach(({ matrix }, i) => mesh.setMatrixAt(i, matrix));
      this.group.add(mesh);
    }
    const ways = ghosts.map((ghost) => ghost.way).filter((way) => way !== null);
    if (ways.length > 0) this.group.add(this.#lines(ways));
  }

  clear(): void {
    for (const child of this.group.children) {
      const mesh = child as InstancedMesh | LineSegments;
      if (mesh instanceof InstancedMesh) unshare(mesh.geometry);
      mesh.geometry.dispose();
      (mesh.userData["own"] as BufferGeometry | null | undefined)?.dispose();
      if (mesh instanceof InstancedMesh) mesh.dispose();
    }
    this.group.clear();
  }

  #lines(ways: readonly [Vector3, Vector3][]): LineSegments {
    const geometry = new BufferGeometry();
    const place = new Float32Array(ways.length * 6);
    const along = new Float32Array(ways.length * 2);
    ways.forEach(([from, to], i) => {
      place.set([...from.toArray(), ...to.toArray()], i * 6);
      along.set([0, from.distanceTo(to)], i * 2);
    });
    geometry.setAttribute("position", new BufferAttribute(place, 3));
    geometry.setAttribute("along", new BufferAttribute(along, 1));
    const lines = new LineSegments(geometry, this.#ways);
    lines.frustumCulled = false;
    lines.renderOrder = 6;
    return lines;
  }
}

/** The same buffers, with how strongly each instance is drawn. */
function withStrength(geometry: BufferGeometry, strengths: readonly number[]): BufferGeometry {
  const copy = new BufferGeometry();
  copy.setAttribute("position", geometry.getAttribute("position"));
  if (geometry.hasAttribute("normal")) copy.setAttribute("normal", geometry.getAttribute("normal"));
  copy.setIndex(geometry.getIndex());
  copy.setAttribute("aStrength", new InstancedBufferAttribute(Float32Array.from(strengths), 1));
  return copy;
}

/** Lets go of the buffers that belong to what stands in the scene, so that they are not freed. */
function unshare(copy: BufferGeometry): void {
  copy.deleteAttribute("position").deleteAttribute("normal");
  copy.setIndex(null);
}
