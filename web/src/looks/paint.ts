/**
 * A look worked out on the columns of the mirror: a byte of colour, a rule and a value for each twin.
 *
 * The first rule of a look that a twin fits, and for which it has a value, counts. What has no body
 * of its own colours what heat colours for it (`heat/field.ts`); where several of one rule meet in a
 * body, the highest counts. Knows columns and structure; refuses to know the page.
 */

import { heatColour } from "../heat/colours.ts";
import { homeOf, type Ground } from "../heat/field.ts";
import { LOOK_COLOURS } from "../protocol.ts";
import { compile, type Compiled } from "./expression.ts";
import { bandAt, type Colour, fault, isRamp, type Look, RGB, type Rule } from "./model.ts";

/** Texels of the ramp; behind them three for each colour, so that the middle one is itself. */
const RAMP = 225;
const RULES_NONE = 255;

/** 256 times RGBA: the ramp, then the colours of bands. */
export const COLOURS: Uint8Array = colours();

/** What is asked of the structure: twins of a type and a pattern, and their points. */
export interface Plant extends Ground {
  /** Ordinals of twins that are of a type or of one that extends it ("": any), and fit a pattern. */
  twinsOf(type: string, pattern: string): Int32Array;
  hasType(type: string): boolean;
  /** −1: the twin has no such point. */
  handle(ordinal: number, point: string): number;
  unit(handle: number): string;
  /** How values of a unit read in another; null: not known yet; a text: why they do not fit. */
  conversion(from: string, to: string): { scale: number; offset: number } | string | null;
}

/** Why a rule shows nothing: what is not there, by name. */
export interface Complaint {
  what: "type" | "point" | "unit" | "value" | "rule";
  name: string;
  why: string;
}

class Bound {
  readonly rule: Rule;
  readonly compiled: Compiled;
  /** One for each row. */
  readonly twins: Int32Array;
  readonly value: Float64Array;
  readonly #handles: Int32Array[];
  readonly #columns: Float64Array[];
  readonly #scale: Float64Array;
  readonly #offset: Float64Array;

  constructor(rule: Rule, compiled: Compiled, plant: Plant, complaints: Complaint[]) {
    this.rule = rule;
    this.compiled = compiled;
    const all = plant.twinsOf(rule.type, rule.pattern);
    const rows = all.filter((ordinal) => compiled.points.every((point) => plant.handle(ordinal, point) >= 0));
    for (const point of compiled.points)
      if (all.length > 0 && !all.some((ordinal) => plant.handle(ordinal, point) >= 0)) complaints.push({ what: "point", name: point, why: rule.type });
    this.twins = Int32Array.from(rows);
    const n = rows.length;
    this.value = new Float64Array(n);
    this.#handles = compiled.points.map((point) => Int32Array.from(rows, (ordinal) => plant.handle(ordinal, point)));
    this.#columns = compiled.points.map(() => new Float64Array(n));
    this.#scale = new Float64Array(n).fill(1);
    this.#offset = new Float64Array(n);
    if (rule.unit === "" || !compiled.isPlain) return;
    const told = new Set<string>();
    for (let i = 0; i < n; i++) {
      const from = plant.unit(this.#handles[0]![i]!);
      const into = from === rule.unit ? { scale: 1, offset: 0 } : plant.conversion(from, rule.unit);
      if (typeof into === "string" && !told.has(from)) {
        told.add(from);
        complaints.push({ what: "unit", name: rule.unit, why: into });
      }
      this.#scale[i] = into === null || typeof into === "string" ? NaN : into.scale;
      this.#offset[i] = into === null || typeof into === "string" ? 0 : into.offset;
    }
  }

  take(values: Float32Array, quality: Uint8Array): void {
    const n = this.twins.length;
    for (let k = 0; k < this.#columns.length; k++) {
      const column = this.#columns[k]!;
      const handles = this.#handles[k]!;
      for (let i = 0; i < n; i++) {
        const h = handles[i]!;
        column[i] = quality[h]! > 1 ? NaN : values[h]!;
      }
    }
    this.compiled.run(this.#columns, this.value);
    for (let i = 0; i < n; i++) this.value[i] = this.value[i]! * this.#scale[i]! + this.#offset[i]!;
  }
}

export class Paint {
  readonly look: Look;
  /** By ordinal: 0 where no rule counts, else a place in COLOURS. */
  readonly level: Uint8Array;
  /** By ordinal: which rule counts for the twin; 255: none. */
  readonly ruleOf: Uint8Array;
  /** By ordinal, in the unit of its rule; NaN: none counts. */
  readonly value: Float64Array;
  /** Twins that show each band of each rule (a ramp has one). */
  readonly counts: readonly Uint32Array[];
  readonly complaints: readonly (readonly Complaint[])[];
  readonly #bound: readonly (Bound | null)[];
  readonly #homes = new Map<number, readonly number[]>();
  readonly #strength: Float64Array;

  constructor(look: Look, plant: Plant) {
    this.look = look;
    const n = plant.nOrdinals;
    this.level = new Uint8Array(n);
    this.ruleOf = new Uint8Array(n);
    this.value = new Float64Array(n);
    this.#strength = new Float64Array(n);
    const complaints: Complaint[][] = [];
    this.#bound = look.rules.map((rule) => {
      const own: Complaint[] = [];
      complaints.push(own);
      if (rule.type !== "" && !plant.hasType(rule.type)) own.push({ what: "type", name: rule.type, why: "" });
      if (fault(rule) !== "") own.push({ what: "rule", name: fault(rule), why: "" });
      if (own.length > 0) return null;
      try {
        return new Bound(rule, compile(rule.value), plant, own);
      } catch (error) {
        own.push({ what: "value", name: rule.value, why: error instanceof Error ? error.message : String(error) });
        return null;
      }
    });
    this.complaints = complaints;
    this.counts = look.rules.map((rule) => new Uint32Array(Math.max(rule.bands.length, 1)));
    for (const bound of this.#bound) for (const twin of bound?.twins ?? []) if (!this.#homes.has(twin)) this.#homes.set(twin, homeOf(twin, plant));
  }

  /** Works all out anew from the mirror's columns. */
  take(values: Float32Array, quality: Uint8Array): void {
    const { level, ruleOf, value } = this;
    const strength = this.#strength.fill(-Infinity);
    level.fill(0);
    ruleOf.fill(RULES_NONE);
    value.fill(NaN);
    for (let r = 0; r < this.#bound.length; r++) {
      const bound = this.#bound[r];
      this.counts[r]!.fill(0);
      if (bound === null || bound === undefined) continue;
      bound.take(values, quality);
      const { rule, twins } = bound;
      const hasRamp = isRamp(rule);
      const paints = rule.shows.includes("colour");
      for (let i = 0; i < twins.length; i++) {
        const v = bound.value[i]!;
        const twin = twins[i]!;
        if (v !== v || ruleOf[twin] !== RULES_NONE) continue;
        ruleOf[twin] = r;
        value[twin] = v;
        const band = hasRamp ? 0 : bandAt(rule, v);
        this.counts[r]![band]! += 1;
        if (!paints) continue;
        const part = hasRamp ? (v - rule.low) / (rule.high - rule.low) : 0;
        const byte = hasRamp ? rampByte(part) : colourByte(rule.bands[band]!.colour);
        const rank = hasRamp ? part : band;
        for (const body of this.#homes.get(twin)!) {
          const own = level[body] === 0 || strength[body]! < rank - r * 1e6;
          if (!own) continue;
          level[body] = byte;
          strength[body] = rank - r * 1e6;
        }
      }
    }
  }

  /** The colour that a twin's value has by its rule, as CSS; "": none. */
  cssAt(ordinal: number): string {
    const rule = this.look.rules[this.ruleOf[ordinal] ?? RULES_NONE];
    if (rule === undefined) return "";
    const v = this.value[ordinal]!;
    if (isRamp(rule)) return `rgb(${heatColour((v - rule.low) / (rule.high - rule.low)).join(" ")})`;
    return cssOf(rule.bands[bandAt(rule, v)]!.colour);
  }
}

export function cssOf(colour: string): string {
  return `rgb(${(RGB[colour as Colour] ?? RGB.grey).join(" ")})`;
}

function rampByte(part: number): number {
  return 1 + Math.round((RAMP - 2) * Math.min(Math.max(part, 0), 1));
}

/** A byte of the upper half reads the texel of its own number: the middle of three that are alike. */
function colourByte(colour: string): number {
  return RAMP + 1 + 3 * Math.max(LOOK_COLOURS.indexOf(colour as Colour), 0);
}

function colours(): Uint8Array {
  const bytes = new Uint8Array(256 * 4).fill(255);
  for (let i = 0; i < 256; i++) {
    const colour = LOOK_COLOURS[Math.min(Math.floor((i - RAMP) / 3), LOOK_COLOURS.length - 1)];
    const rgb = i < RAMP ? heatColour(i / (RAMP - 1)) : RGB[colour!];
    bytes.set(rgb, i * 4);
  }
  return bytes;
}
