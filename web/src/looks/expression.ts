/**
 * What a rule looks at: a point, or arithmetic over points of one twin, for many twins at once.
 *
 *     PowerIn - PowerOut            max(Temperature, "Bearing temperature") * 1.8 + 32
 *
 * Compiled once to steps over columns; a sample makes no object. Knows no twin and no unit.
 */

export interface Compiled {
  /** Names of points, in the order in which their columns are given. */
  readonly points: readonly string[];
  /** Whether it is a point alone, whose unit is then known. */
  readonly isPlain: boolean;
  /** Works out `out` from one column a point, all of its length; NaN where nothing is known. */
  run(columns: readonly Float64Array[], out: Float64Array): void;
}

export class ExpressionError extends Error {}

const LENGTH_MAX = 300;
const DEPTH_MAX = 40;
const TOKEN = /\s*(?:(\d+(?:\.\d+)?(?:e[+-]?\d+)?)|"([^"]{1,200})"|([\p{L}_][\p{L}\p{N}_.:-]*[\p{L}\p{N}_]|[\p{L}_])|([-+*/(),]))/uy;
const CALLS: Readonly<Record<string, readonly [n: number, act: (a: number, b: number) => number]>> = {
  min: [2, Math.min], max: [2, Math.max], abs: [1, Math.abs], sqrt: [1, Math.sqrt],
};
const SIGNS: Readonly<Record<string, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b, "-": (a, b) => a - b, "*": (a, b) => a * b, "/": (a, b) => a / b,
};

/** A step over whole columns: a column, a number, or an act on what lies on the stack. */
type Step = { column: number } | { number: number } | { act: (a: number, b: number) => number; n: number };
interface Token {
  kind: "number" | "name" | "quoted" | "sign";
  text: string;
}

/** Throws ExpressionError with the place where it is none. */
export function compile(text: string): Compiled {
  const tokens = tokensOf(text);
  const points: string[] = [];
  const steps: Step[] = [];
  let at = 0;
  let depth = 0;
  const peek = (sign: string): boolean => tokens[at]?.kind === "sign" && tokens[at]!.text === sign;
  const take = (sign: string): void => {
    if (!peek(sign)) throw new ExpressionError(`'${sign}' was expected ${tokens[at] ? `before '${tokens[at]!.text}'` : "at the end"}`);
    at += 1;
  };
  const point = (name: string): void => {
    let column = points.indexOf(name);
    if (column < 0) column = points.push(name) - 1;
    steps.push({ column });
  };
  const sum = (): void => {
    if (++depth > DEPTH_MAX) throw new ExpressionError("it is nested too deeply");
    product();
    while (peek("+") || peek("-")) {
      const act = SIGNS[tokens[at++]!.text]!;
      product();
      steps.push({ act, n: 2 });
    }
    depth -= 1;
  };
  const product = (): void => {
    factor();
    while (peek("*") || peek("/")) {
      const act = SIGNS[tokens[at++]!.text]!;
      factor();
      steps.push({ act, n: 2 });
    }
  };
  const factor = (): void => {
    const token = tokens[at++];
    if (token === undefined) throw new ExpressionError("it ends too early");
    if (token.kind === "number") steps.push({ number: Number(token.text) });
    else if (token.kind === "quoted") point(token.text);
    else if (token.kind === "name") {
      const call = CALLS[token.text];
      if (call === undefined || !peek("(")) return point(token.text);
      take("(");
      for (let i = 0; i < call[0]; i++) {
        if (i > 0) take(",");
        sum();
      }
      take(")");
      steps.push({ act: call[1], n: call[0] });
    } else if (token.text === "(") {
      sum();
      take(")");
    } else if (token.text === "-") {
      if (++depth > DEPTH_MAX) throw new ExpressionError("it is nested too deeply");
      steps.push({ number: 0 });
      factor();
      steps.push({ act: SIGNS["-"]!, n: 2 });
      depth -= 1;
    } else throw new ExpressionError(`'${token.text}' stands where a point or a number was expected`);
  };
  sum();
  if (at < tokens.length) throw new ExpressionError(`'${tokens[at]!.text}' was not expected`);
  if (points.length === 0) throw new ExpressionError("it names no point");
  return { points, isPlain: steps.length === 1, run: (columns, out) => run(steps, columns, out) };
}

function tokensOf(text: string): Token[] {
  if (text.length > LENGTH_MAX) throw new ExpressionError(`${text.length} characters; ${LENGTH_MAX} at most`);
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = text.trimEnd().length;
  for (let at = 0; at < end; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(text);
    if (match === null) throw new ExpressionError(`'${text.slice(at).trim().slice(0, 12)}' cannot be read`);
    const [, number, quoted, name, sign] = match;
    found.push(number !== undefined ? { kind: "number", text: number } : quoted !== undefined ? { kind: "quoted", text: quoted } : name !== undefined ? { kind: "name", text: name } : { kind: "sign", text: sign! });
  }
  return found;
}

/** Stacks of columns are kept between runs: nothing is made while values come. */
const stack: Float64Array[] = [];

function run(steps: readonly Step[], columns: readonly Float64Array[], out: Float64Array): void {
  const n = out.length;
  let top = 0;
  const place = (): Float64Array => {
    let column = stack[top];
    if (column === undefined || column.length < n) stack[top] = column = new Float64Array(n);
    top += 1;
    return column;
  };
  for (const step of steps) {
    if ("column" in step) {
      const from = columns[step.column]!;
      const to = place();
      for (let i = 0; i < n; i++) to[i] = from[i]!;
    } else if ("number" in step) place().fill(step.number, 0, n);
    else {
      const { act } = step;
      if (step.n === 2) top -= 1;
      const a = stack[top - 1]!;
      const b = stack[top] ?? a;
      for (let i = 0; i < n; i++) a[i] = act(a[i]!, b[i]!);
    }
  }
  const result = stack[0]!;
  for (let i = 0; i < n; i++) out[i] = result[i]!;
}
