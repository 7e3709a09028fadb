/** A pattern over ids that fits some twins, guessed from what their ids have in common. Knows no DOM. */

/** The pattern; "" where the ids have too little in common. */
export function guessPattern(ids: readonly string[]): string {
  const [first, ...others] = ids.map((id) => id.split("/"));
  if (!first) return "";
  if (others.length === 0) return [...first.slice(0, -1).map(escaped), numbered(first.at(-1)!)].join("/");
  if (others.some((steps) => steps.length !== first.length)) return "";
  let n = 0;
  return first
    .map((step, i) => {
      const steps = [step, ...others.map((other) => other[i]!)];
      if (steps.every((each) => each === step)) return escaped(step);
      let head = common(steps);
      const tail = reversed(common(steps.map((each) => reversed(each.slice(head.length)))));
      const middles = steps.map((each) => each.slice(head.length, each.length - tail.length));
      // Digits that happen to be the same belong to the number.
      const digits = /\d+$/.exec(head)?.[0] ?? "";
      if (middles.every((middle) => /^\d*$/.test(middle)) && steps.every((each) => /^\d+/.test(each.slice(head.length - digits.length)))) {
        head = head.slice(0, head.length - digits.length);
        if (/^\d/.test(tail)) return `${escaped(head)}*`;
        n += 1;
        return `${escaped(head)}{n${n > 1 ? n : ""}:int}${escaped(tail)}`;
      }
      return `${escaped(head)}*${escaped(tail)}`;
    })
    .join("/");
}

function numbered(step: string): string {
  const match = /^(.*?)(\d+)$/.exec(step);
  return match ? `${escaped(match[1]!)}{n:int}` : escaped(step);
}

function common(words: readonly string[]): string {
  const [first = "", ...others] = words;
  let n = 0;
  while (n < first.length && others.every((other) => other[n] === first[n])) n += 1;
  return first.slice(0, n);
}

function reversed(word: string): string {
  return [...word].reverse().join("");
}

function escaped(literal: string): string {
  return literal.replace(/[\\*?{}]/g, "\\$&");
}
