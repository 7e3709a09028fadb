/**
 * Bodies for twins that have no geometry: a few calm forms, chosen by what the type is called.
 *
 * One draw call per form. A band on each body lights up with the twin's state.
 */

import {
  BoxGeometry,
  BufferAttribute,
  BufferGeometry,
  Color,
  ConeGeometry,
  CylinderGeometry,
  LatheGeometry,
  Matrix4,
  MeshStandardMaterial,
  Quaternion,
  TorusGeometry,
  Vector2,
  Vector3,
} from "three";
import type { InstancedMesh } from "three";
import { mergeGeometries } from "three/examples/jsm/utils/BufferGeometryUtils.js";
import { RoundedBoxGeometry } from "three/examples/jsm/geometries/RoundedBoxGeometry.js";
import { Crowd, instancedLevel } from "./crowd.ts";
import type { TwinStates } from "./twin_state.ts";

export type Form =
  | "cabinet" | "tank" | "pump" | "sensor" | "meter" | "hub" | "conveyor" | "turbine" | "valve" | "building";

/** Width, height, depth of each form, metres. */
export const FORM_SIZE: Record<Form, [number, number, number]> = {
  cabinet: [0.9, 1.3, 0.66],
  tank: [0.92, 1.55, 0.92],
  pump: [1.1, 0.72, 0.6],
  sensor: [0.3, 0.95, 0.3],
  meter: [0.5, 1.0, 0.42],
  hub: [0.84, 0.5, 0.84],
  conveyor: [1.5, 0.62, 0.56],
  turbine: [2.4, 4.6, 0.9],
  valve: [0.62, 0.8, 0.42],
  building: [1.3, 1.1, 1.0],
};

const WORDS: [RegExp, Form][] = [
  [/turbine|windkraft|\bwtg\b|eolien/i, "turbine"],
  [/tank|silo|vessel|boiler|reactor|reservoir|bowl|hopper|drum/i, "tank"],
  [/pump|compressor|motor|drive|fan|blower|engine|spindle/i, "pump"],
  [/valve|damper|actuator|cylinder/i, "valve"],
  [/meter|gauge|counter|energy|power/i, "meter"],
  [/convey|belt|\brail|feeder/i, "conveyor"],
  [/sensor|probe|transmitter|thermo|pressure|vibration|accelero|level|temp|flow/i, "sensor"],
  [/building|hall|room|floor|site|plant|area|zone/i, "building"],
  [/server|gateway|node|edge|controller|plc|device|system|computer/i, "hub"],
  [/machine|station|cell|robot|press|mill|lathe|cnc|oven|mixer|filler|capper|packer/i, "cabinet"],
];

/** By the type's name before the twin's own: "Line controller" is a controller. */
export function formFor(type: string, name: string, nPoints: number): Form {
  const find = (text: string): Form | undefined => WORDS.find(([word]) => word.test(text))?.[1];
  const byType = find(type);
  // "Device" says little: what the twin is called may say more.
  const form = byType === undefined || byType === "hub" ? find(name) ?? byType : byType;
  if (form !== undefined) return form;
  if (nPoints === 0) return "hub";
  return nPoints <= 2 ? "sensor" : "cabinet";
}

export interface Body {
  ordinal: number;
  form: Form;
  matrix: Matrix4;
  color: Color;
}

/** Where a body is at least so large on the screen, it is drawn in all detail, or as its plain form; else as a block. */
const FINE_PX = 64;
const PLAIN_PX = 16;

export class Bodies {
  readonly meshes: InstancedMesh[] = [];
  readonly crowds: Crowd[] = [];

  constructor(bodies: readonly Body[], states: TwinStates) {
    const byForm = new Map<Form, Body[]>();
    for (const body of bodies) {
      const list = byForm.get(body.form);
      if (list === undefined) byForm.set(body.form, [body]);
      else list.push(body);
    }
    if (byForm.size === 0) return;
    const material = bodyMaterial(states);
    for (const [form, list] of byForm) this.#add(form, list, material);
  }

  #add(form: Form, bodies: readonly Body[], material: MeshStandardMaterial): void {
    const n = bodies.length;
    const [places, matrices, colors, twins] = [3, 16, 3, 1].map((size) => new Float32Array(n * size)) as [Float32Array, Float32Array, Float32Array, Float32Array];
    bodies.forEach((body, i) => {
      body.matrix.toArray(matrices, i * 16);
      places.set(matrices.subarray(i * 16 + 12, i * 16 + 15), i * 3);
      body.color.toArray(colors, i * 3);
      twins[i] = body.ordinal;
    });
    const shapes = [[formGeometry(form), FINE_PX], [formGeometry(form, true), PLAIN_PX], [blockGeometry(form), 0]] as const;
    const levels = shapes.map(([geometry, from_px]) => instancedLevel(geometry.clone(), material, n, [["aTwin", 1]], from_px));
    this.meshes.push(...levels.map(({ mesh }) => mesh));
    const columns = [{ data: matrices, size: 16 }, { data: colors, size: 3 }, { data: twins, size: 1 }];
    this.crowds.push(new Crowd(places, Math.max(...FORM_SIZE[form]) * 1.4, columns, levels));
  }

  dispose(): void {
    for (const mesh of this.meshes) {
      mesh.geometry.dispose();
      (mesh.material as MeshStandardMaterial).dispose();
      mesh.dispose();
    }
  }
}

function bodyMaterial(states: TwinStates): MeshStandardMaterial {
  return states.patch(
    new MeshStandardMaterial({ roughness: 0.36, metalness: 0.2, vertexColors: true }),
    "body",
    (shader) => {
      shader.vertexShader = shader.vertexShader
        .replace("#include <common>", "#include <common>\nattribute float aLamp;\nvarying float vLamp;")
        .replace("#include <begin_vertex>", "#include <begin_vertex>\nvLamp = aLamp;")
        // Trim keeps its own colour: only what is white in the geometry takes the type's.
        .replace(
          "#include <color_vertex>",
          `vColor.xyz = vec3(1.0);
          #ifdef USE_INSTANCING_COLOR
            vColor.xyz = mix(color, color * instanceColor, step(0.9, min(color.r, color.g)));
          #endif`,
        );
      shader.fragmentShader = shader.fragmentShader
        .replace("#include <common>", "#include <common>\nvarying float vLamp;")
        .replace(
          "#include <emissivemap_fragment>",
          `#include <emissivemap_fragment>
          {
            vec3 lamp = vec3(0.32, 0.85, 0.78);
            if (vTwin.g > 0.75) lamp = badColor * 0.9; else if (vTwin.g > 0.25) lamp = staleColor;
            if (vTwin.b > 0.9) lamp = alarmColors[3] * (0.5 + pulse);
            else if (vTwin.b > 0.6) lamp = alarmColors[2] * (0.5 + pulse);
            totalEmissiveRadiance += lamp * vLamp * (1.0 - vTwin.a);
          }`,
        );
    },
  );
}

// --- forms ----------------------------------------------------------------------------------

const BODY = new Color(1, 1, 1);
const TRIM = new Color(0.16, 0.18, 0.2);
const STEEL = new Color(0.62, 0.66, 0.7);
const GLASS = new Color(0.06, 0.08, 0.1);

const cache = new Map<string, BufferGeometry>();
/** Whether a form is being made to be seen from afar: fewer corners. */
let isCoarse = false;

/** Foot at y = 0, front towards +z. */
export function formGeometry(form: Form, coarse = false): BufferGeometry {
  const key = `${form} ${coarse}`;
  let geometry = cache.get(key);
  if (geometry === undefined) {
    isCoarse = coarse;
    geometry = mergeGeometries(FORMS[form]())!;
    cache.set(key, geometry);
  }
  return geometry;
}

/** A box of a form's size, without its underside. */
function blockGeometry(form: Form): BufferGeometry {
  const [w, h, d] = FORM_SIZE[form];
  const box = new BoxGeometry(w * 0.9, h * 0.94, d * 0.9);
  box.setIndex([...Array.from(box.index!.array).slice(0, 18), ...Array.from(box.index!.array).slice(24)]);
  return part(box, BODY, [0, h * 0.47, 0]);
}

function cylinder(top: number, bottom: number, height: number, sides: number): BufferGeometry {
  return new CylinderGeometry(top, bottom, height, isCoarse ? Math.max(5, Math.round(sides / 3)) : sides);
}

function rounded(w: number, h: number, d: number, steps: number, radius: number): BufferGeometry {
  return isCoarse ? new BoxGeometry(w, h, d) : new RoundedBoxGeometry(w, h, d, steps, radius);
}

function ring(radius: number, tube: number, around: number, along: number): BufferGeometry {
  return isCoarse ? new TorusGeometry(radius, tube, 3, 12) : new TorusGeometry(radius, tube, around, along);
}


const FORMS: Record<Form, () => BufferGeometry[]> = {
  cabinet: () => [
    part(new BoxGeometry(0.82, 0.1, 0.58), TRIM, [0, 0.05, 0]),
    part(rounded(0.9, 1.16, 0.66, 3, 0.05), BODY, [0, 0.68, 0]),
    part(rounded(0.66, 0.4, 0.03, 2, 0.02), GLASS, [0, 0.93, 0.33]),
    part(new BoxGeometry(0.66, 0.03, 0.02), BODY, [0, 0.64, 0.335], 1),
    part(new BoxGeometry(0.7, 0.04, 0.46), TRIM, [0, 1.28, 0]),
    part(cylinder(0.018, 0.018, 0.3, 8), STEEL, [0.28, 0.42, 0.35]),
  ],
  tank: () => {
    const profile = [
      [0.001, 0.24], [0.3, 0.27], [0.43, 0.36], [0.46, 0.48], [0.46, 1.2], [0.43, 1.32], [0.3, 1.42], [0.1, 1.46], [0.001, 1.46],
    ].map(([r, y]) => new Vector2(r, y));
    const legs = [0, 1, 2].map((i) => {
      const angle = (i * 2 * Math.PI) / 3 + 0.5;
      return part(cylinder(0.035, 0.035, 0.4, 8), STEEL, [Math.cos(angle) * 0.34, 0.2, Math.sin(angle) * 0.34]);
    });
    return [
      part(new LatheGeometry(profile, isCoarse ? 12 : 36), BODY, [0, 0, 0]),
      part(ring(0.462, 0.014, 6, 40), STEEL, [0, 1.16, 0], 0, [Math.PI / 2, 0, 0]),
      part(ring(0.463, 0.016, 6, 40), BODY, [0, 0.56, 0], 1, [Math.PI / 2, 0, 0]),
      part(cylinder(0.13, 0.13, 0.07, 20), TRIM, [0, 1.48, 0]),
      part(cylinder(0.04, 0.04, 0.16, 10), STEEL, [0.24, 1.47, 0]),
      ...legs,
    ];
  },
  pump: () => [
    part(rounded(1.06, 0.1, 0.5, 2, 0.03), TRIM, [0, 0.05, 0]),
    part(cylinder(0.22, 0.22, 0.56, 28), BODY, [-0.2, 0.38, 0], 0, [0, 0, Math.PI / 2]),
    ...[-0.36, -0.26, -0.16, -0.06].map((x) =>
      part(cylinder(0.235, 0.235, 0.03, 28), BODY, [x, 0.38, 0], 0, [0, 0, Math.PI / 2]),
    ),
    part(cylinder(0.19, 0.19, 0.06, 24), TRIM, [-0.51, 0.38, 0], 0, [0, 0, Math.PI / 2]),
    part(cylinder(0.1, 0.1, 0.14, 16), STEEL, [0.14, 0.38, 0], 0, [0, 0, Math.PI / 2]),
    part(cylinder(0.27, 0.27, 0.2, 32), STEEL, [0.32, 0.38, 0], 0, [0, 0, Math.PI / 2]),
    part(cylinder(0.09, 0.09, 0.34, 18), STEEL, [0.32, 0.58, 0.1]),
    part(cylinder(0.13, 0.13, 0.04, 18), TRIM, [0.32, 0.74, 0.1]),
    part(ring(0.222, 0.012, 6, 30), BODY, [0.02, 0.38, 0], 1, [0, Math.PI / 2, 0]),
    part(new BoxGeometry(0.2, 0.2, 0.16), BODY, [-0.2, 0.62, 0]),
    part(new BoxGeometry(0.5, 0.14, 0.26), TRIM, [-0.2, 0.14, 0]),
  ],
  sensor: () => [
    part(cylinder(0.14, 0.15, 0.04, 20), TRIM, [0, 0.02, 0]),
    part(cylinder(0.026, 0.026, 0.66, 12), STEEL, [0, 0.36, 0]),
    part(cylinder(0.12, 0.12, 0.17, 24), BODY, [0, 0.76, 0]),
    part(cylinder(0.085, 0.085, 0.03, 24), GLASS, [0, 0.76, 0.115], 0, [Math.PI / 2, 0, 0]),
    part(ring(0.1, 0.012, 6, 24), BODY, [0, 0.76, 0.115], 1),
    part(cylinder(0.06, 0.1, 0.06, 20), TRIM, [0, 0.875, 0]),
  ],
  meter: () => [
    part(cylinder(0.17, 0.2, 0.05, 24), TRIM, [0, 0.025, 0]),
    part(rounded(0.12, 0.56, 0.1, 2, 0.03), STEEL, [0, 0.32, -0.02]),
    part(rounded(0.46, 0.42, 0.18, 3, 0.07), BODY, [0, 0.76, 0]),
    part(cylinder(0.15, 0.15, 0.02, 32), GLASS, [0, 0.77, 0.09], 0, [Math.PI / 2, 0, 0]),
    part(ring(0.158, 0.012, 6, 36), BODY, [0, 0.77, 0.1], 1),
    part(new BoxGeometry(0.012, 0.11, 0.012), STEEL, [0.03, 0.8, 0.105], 0, [0, 0, -0.6]),
  ],
  hub: () => [
    part(cylinder(0.42, 0.44, 0.06, 6), TRIM, [0, 0.03, 0]),
    part(cylinder(0.36, 0.39, 0.3, 6), BODY, [0, 0.21, 0]),
    part(cylinder(0.372, 0.372, 0.025, 6), BODY, [0, 0.37, 0], 1),
    part(cylinder(0.3, 0.36, 0.08, 6), BODY, [0, 0.42, 0]),
    part(cylinder(0.12, 0.12, 0.03, 6), TRIM, [0, 0.47, 0]),
  ],
  conveyor: () => [
    part(rounded(1.5, 0.1, 0.5, 2, 0.04), GLASS, [0, 0.54, 0]),
    part(new BoxGeometry(1.46, 0.12, 0.035), BODY, [0, 0.55, 0.26]),
    part(new BoxGeometry(1.46, 0.12, 0.035), BODY, [0, 0.55, -0.26]),
    part(new BoxGeometry(1.2, 0.018, 0.01), BODY, [0, 0.55, 0.28], 1),
    ...[-0.6, 0, 0.6].flatMap((x) => [
      part(new BoxGeometry(0.05, 0.5, 0.05), STEEL, [x, 0.25, 0.22]),
      part(new BoxGeometry(0.05, 0.5, 0.05), STEEL, [x, 0.25, -0.22]),
    ]),
    part(new BoxGeometry(0.24, 0.2, 0.2), TRIM, [0.45, 0.4, 0]),
  ],
  turbine: () => [
    part(cylinder(0.3, 0.34, 0.08, 28), TRIM, [0, 0.04, 0]),
    part(cylinder(0.07, 0.17, 3.4, 28), BODY, [0, 1.74, 0]),
    part(rounded(0.28, 0.26, 0.74, 3, 0.09), BODY, [0, 3.5, -0.06]),
    part(new ConeGeometry(0.11, 0.2, isCoarse ? 6 : 20), BODY, [0, 3.5, 0.42], 0, [Math.PI / 2, 0, 0]),
    part(ring(0.172, 0.014, 6, 28), BODY, [0, 0.14, 0], 1, [Math.PI / 2, 0, 0]),
    ...[0, 1, 2].map((i) => {
      const blade = new BoxGeometry(0.1, 1.05, 0.03);
      const position = blade.getAttribute("position") as BufferAttribute;
      for (let v = 0; v < position.count; v++)
        if (position.getY(v) > 0) position.setX(v, position.getX(v) * 0.3);
      blade.translate(0, 0.55, 0);
      return part(blade, BODY, [0, 3.5, 0.38], 0, [0, 0, 0.35 + (i * 2 * Math.PI) / 3]);
    }),
  ],
  valve: () => [
    part(cylinder(0.1, 0.1, 0.6, 20), STEEL, [0, 0.3, 0], 0, [0, 0, Math.PI / 2]),
    part(cylinder(0.17, 0.17, 0.05, 20), TRIM, [-0.28, 0.3, 0], 0, [0, 0, Math.PI / 2]),
    part(cylinder(0.17, 0.17, 0.05, 20), TRIM, [0.28, 0.3, 0], 0, [0, 0, Math.PI / 2]),
    part(rounded(0.26, 0.26, 0.26, 3, 0.08), BODY, [0, 0.3, 0]),
    part(cylinder(0.05, 0.06, 0.2, 16), STEEL, [0, 0.5, 0]),
    part(rounded(0.34, 0.22, 0.28, 3, 0.06), BODY, [0, 0.68, 0]),
    part(new BoxGeometry(0.345, 0.02, 0.285), BODY, [0, 0.6, 0], 1),
    part(new BoxGeometry(0.3, 0.2, 0.2), TRIM, [0, 0.1, 0]),
  ],
  building: () => [
    part(new BoxGeometry(1.3, 0.06, 1.0), TRIM, [0, 0.03, 0]),
    part(rounded(1.24, 0.86, 0.94, 2, 0.03), BODY, [0, 0.48, 0]),
    part(rounded(1.0, 0.16, 0.7, 2, 0.03), BODY, [0, 0.98, 0]),
    part(new BoxGeometry(1.1, 0.12, 0.02), GLASS, [0, 0.62, 0.472]),
    part(new BoxGeometry(1.1, 0.02, 0.02), BODY, [0, 0.5, 0.474], 1),
    part(new BoxGeometry(0.3, 0.34, 0.02), GLASS, [0.3, 0.24, 0.472]),
  ],
};

/** A piece of a form: moved, and painted as a whole. */
function part(
  source: BufferGeometry,
  color: Color,
  at: [number, number, number],
  lamp = 0,
  turn: [number, number, number] = [0, 0, 0],
): BufferGeometry {
  const geometry = source.index ? source.toNonIndexed() : source;
  const turned = new Quaternion();
  const matrix = new Matrix4().makeRotationZ(turn[2]);
  matrix.premultiply(new Matrix4().makeRotationY(turn[1])).premultiply(new Matrix4().makeRotationX(turn[0]));
  turned.setFromRotationMatrix(matrix);
  geometry.applyMatrix4(new Matrix4().compose(new Vector3(...at), turned, new Vector3(1, 1, 1)));
  for (const name of Object.keys(geometry.attributes))
    if (name !== "position" && name !== "normal") geometry.deleteAttribute(name);
  const n = geometry.getAttribute("position").count;
  const colors = new Float32Array(n * 3);
  for (let i = 0; i < n; i++) color.toArray(colors, i * 3);
  geometry.setAttribute("color", new BufferAttribute(colors, 3));
  geometry.setAttribute("aLamp", new BufferAttribute(new Float32Array(n).fill(lamp), 1));
  return geometry;
}
