// The alarm limits of a point, as rules say them: `level > 80 %` for this twin, its type or what it is part of.
//
// Reads the plain comparisons only, in the point's own unit; what else a rule says stays the server's.

import type { Id, Mirror } from "../mirror.ts";
import type { Sheet } from "../protocol.ts";

export interface Limit {
  /** Beyond it in this direction the alarm is raised. */
  side: "above" | "below";
  at: number;
  /** Whether it is raised at the limit itself: `>=`. */
  isInclusive: boolean;
  /** 1 low, 2 medium, 3 high. */
  severity: number;
}

interface Rule {
  point: string;
  unit: string;
  type: string;
  subtree: string;
  twins: readonly string[] | null;
  limit: Limit;
}

const COMPARISON = /^\s*(?:'([^']+)'|([A-Za-z_]\w*))\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(?:'([^']+)'|(\S+))?\s*$/;
const NONE: readonly Limit[] = [];

/** Knows the limits of all points; reads the rules anew when they have changed. */
export class Limits {
  private readonly mirror: Mirror;
  private rules: Rule[] | null = null;

  constructor(mirror: Mirror) {
    this.mirror = mirror;
    mirror.on("sheets", () => (this.rules = null));
  }

  of(handle: number): readonly Limit[] {
    const { mirror } = this;
    const { twin, name, type } = mirror.pointRef(handle);
    this.rules ??= mirror.sheets("rule").flatMap(ruleOf);
    const found = this.rules.filter((rule) => rule.point === name && (rule.unit === "" || rule.unit === (type.unit ?? "")) && this.applies(rule, twin));
    return found.length === 0 ? NONE : found.map((rule) => rule.limit).sort((a, b) => a.at - b.at);
  }

  /** The severity of the worst limit that a value is beyond; 0: of none. */
  severityAt(limits: readonly Limit[], value: number): number {
    let worst = 0;
    for (const { side, at, isInclusive, severity } of limits)
      if ((side === "above" ? value > at : value < at) || (isInclusive && value === at)) worst = Math.max(worst, severity);
    return worst;
  }

  private applies(rule: Rule, twin: Id): boolean {
    const { mirror } = this;
    if (rule.twins !== null && !rule.twins.includes(twin)) return false;
    if (rule.type !== "" && !mirror.typeChain(mirror.twins.get(twin)?.type ?? "").some((type) => type.id === rule.type)) return false;
    return rule.subtree === "" || isBelow(mirror, twin, rule.subtree);
  }
}

/** Whether a twin is another one, below it by its id, or part of it. */
export function isBelow(mirror: Mirror, twin: Id, whole: Id): boolean {
  if (twin.startsWith(`${whole}/`)) return true;
  let at: Id | undefined = twin;
  for (let steps = 0; at !== undefined && steps < 64; steps++) {
    if (at === whole) return true;
    at = mirror.parent(at);
  }
  return false;
}

function ruleOf(sheet: Sheet): Rule[] {
  try {
    const plain = JSON.parse(sheet.body ?? "{}") as {
      applies?: { type?: string; subtree?: string; twins?: string[] };
      alarm?: { when?: string; severity?: number };
      is_enabled?: boolean;
    };
    const match = COMPARISON.exec(plain.alarm?.when ?? "");
    if (!match || plain.is_enabled === false) return [];
    const applies = plain.applies ?? {};
    return [
      {
        point: match[1] ?? match[2]!,
        unit: match[5] ?? match[6] ?? "",
        type: applies.type ?? "",
        subtree: applies.subtree ?? "",
        twins: applies.twins && applies.twins.length > 0 ? applies.twins : null,
        limit: { side: match[3]!.startsWith(">") ? "above" : "below", at: Number(match[4]), isInclusive: match[3]!.endsWith("="), severity: plain.alarm?.severity ?? 2 },
      },
    ];
  } catch {
    return []; // the server says what is wrong of a rule
  }
}
