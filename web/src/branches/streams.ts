/** What goes where in a line, among the figures of an evaluation. Knows names and amounts alone. */

import type { KpiRow } from "../protocol.ts";

export interface Stream {
  source: string;
  /** "": thrown away at its source. */
  target: string;
  kind: Kind;
  /** Parts an hour. */
  amount: number;
}
export type Kind = "flow" | "scrap" | "rework";

const NAME = /^(flow|scrap|rework), (.+)$/;

/** The streams among figures (`flow, a → b`; `scrap, a`), and the figures that are none. */
export function streamsOf<K extends Pick<KpiRow, "name" | "mean">>(kpis: readonly K[]): { streams: Stream[]; others: K[] } {
  const streams: Stream[] = [];
  const others: K[] = [];
  for (const kpi of kpis) {
    const found = NAME.exec(kpi.name);
    const [source = "", target = ""] = found?.[2]?.split(" → ") ?? [];
    if (found === null || (found[1] === "flow" && target === "")) others.push(kpi);
    else streams.push({ source, target, kind: found[1] as Kind, amount: kpi.mean ?? 0 });
  }
  return { streams, others };
}

/** How far from the beginning each place is: the longest way there that never leads back. */
export function columns(streams: readonly Stream[]): Map<string, number> {
  const names = [...new Set(streams.flatMap(({ source, target }) => (target ? [source, target] : [source])))];
  const after = new Map(names.map((name) => [name, [] as string[]]));
  const onward = [...streams].sort((a, b) => Number(a.kind === "rework") - Number(b.kind === "rework"));
  for (const { source, target } of onward) if (target) after.get(source)!.push(target);
  const forward = new Map(names.map((name) => [name, [] as string[]]));
  const walked = new Map<string, "now" | "done">();
  const order: string[] = [];
  const fed = new Set([...after.values()].flat());
  for (const start of [...names].sort((a, b) => Number(fed.has(a)) - Number(fed.has(b)))) {
    // Not by recursion: lines are long.
    const todo = walked.has(start) ? [] : [{ name: start, next: 0 }];
    if (todo.length > 0) walked.set(start, "now");
    while (todo.length > 0) {
      const top = todo[todo.length - 1]!;
      const target = after.get(top.name)![top.next++];
      if (target === undefined) {
        walked.set(top.name, "done");
        order.push(top.name);
        todo.pop();
      } else if (walked.get(target) !== "now") {
        forward.get(top.name)!.push(target);
        if (walked.has(target)) continue;
        walked.set(target, "now");
        todo.push({ name: target, next: 0 });
      }
    }
  }
  const found = new Map(names.map((name) => [name, 0]));
  for (const name of order.reverse()) for (const target of forward.get(name)!) found.set(target, Math.max(found.get(target)!, found.get(name)! + 1));
  return found;
}
