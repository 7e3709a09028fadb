// What a twin is joined to, both ways, and what would feel it if it failed.

import { labelText } from "../format.ts";
import type { Id } from "../mirror.ts";
import type { Dependent, Property } from "../protocol.ts";
import type { Context } from "./context.ts";
import { h } from "./dom.ts";
import { icon, type IconName } from "./icons.ts";
import { plainText } from "./properties.ts";

/** Relation → how it reads from its source, and from its target. */
const WORDS: Readonly<Record<string, readonly [string, string, IconName]>> = {
  part_of: ["Part of", "Parts", "tree"],
  feeds: ["Feeds", "Fed by", "flow"],
  powers: ["Powers", "Powered by", "power"],
  controls: ["Controls", "Controlled by", "command"],
  depends_on: ["Depends on", "Needed by", "shield"],
  located_in: ["Located in", "Contains", "cube"],
  supplies: ["Supplies", "Supplied by", "flow"],
};

/** Along these, trouble travels from source to target; along the second from target to source. */
const DOWNSTREAM = new Set(["feeds", "powers", "controls", "supplies"]);
const UPSTREAM = new Set(["depends_on"]);

const ROWS_AT_ONCE = 12;

/** The groups of relations of a twin, or null if it has none. */
export function connectionGroups(context: Context, id: Id): HTMLElement | null {
  const { mirror } = context;
  const groups = new Map<string, { icon: IconName; links: [Id, HTMLElement | null][] }>();
  const put = (label: string, iconName: IconName, other: Id, attributes: HTMLElement | null): void => {
    const group = groups.get(label) ?? { icon: iconName, links: [] };
    group.links.push([other, attributes]);
    groups.set(label, group);
  };
  for (const relation of mirror.from(id)) {
    const words = WORDS[relation.kind];
    put(words?.[0] ?? labelText(relation.kind), words?.[2] ?? "flow", relation.target, said(relation.properties));
  }
  for (const relation of mirror.to(id)) {
    const words = WORDS[relation.kind];
    put(words?.[1] ?? `${labelText(relation.kind)} (from)`, words?.[2] ?? "flow", relation.source, said(relation.properties));
  }
  if (groups.size === 0) return null;
  const element = h("div", {});
  for (const [label, group] of groups) {
    const list = h("div", { class: "links-group" });
    list.append(
      h("div", { class: "links-kind" }, icon(group.icon), label, group.links.length > 1 && h("span", { class: "num" }, String(group.links.length))),
    );
    const rows = group.links.map(([other, attributes]) => {
      const row = twinLink(context, other);
      return attributes ? h("div", {}, row, attributes) : row;
    });
    appendSome(list, rows);
    element.append(list);
  }
  return element;
}

function said(properties: readonly Property[] | undefined): HTMLElement | null {
  if (!properties?.length) return null;
  const words = properties.map((property) => `${labelText(property.name).toLowerCase()} ${plainText(property)}`);
  return h("div", { class: "links-said dimmer" }, words.join(" · "));
}

/** A row that leads to another twin; the scene shows which while the pointer is on it. */
export function twinLink(context: Context, id: Id, before: HTMLElement | null = null, kind?: string): HTMLElement {
  const { mirror } = context;
  const type = mirror.twins.get(id)?.type;
  return h(
    "button",
    {
      class: "twin-link",
      attrs: { type: "button" },
      title: id,
      on: {
        click: () => context.goTo(id),
        dblclick: () => context.goTo(id, true),
        pointerenter: () => mirror.hover(id),
        pointerleave: () => mirror.hover(null),
      },
    },
    before,
    h("span", { class: "clip" }, mirror.nameOf(id)),
    h("span", { class: "kind clip" }, kind ?? (type ? mirror.typeName(type) : "")),
  );
}

/** Twins that would feel it, nearest first, by the way that trouble travels. */
export function dependentsOf(context: Context, id: Id, limit = 200): Dependent[] {
  const { mirror } = context;
  const found: Dependent[] = [];
  const seen = new Set<Id>([id]);
  let front: Id[] = [id];
  for (let steps = 1; front.length > 0 && found.length < limit; steps++) {
    const next: Id[] = [];
    const reach = (twin: Id, by: string): void => {
      if (seen.has(twin) || found.length >= limit || !mirror.twins.has(twin)) return;
      seen.add(twin);
      next.push(twin);
      const { type = "", name = {} } = mirror.twins.get(twin)!;
      found.push({ twin: { id: twin, ordinal: mirror.ordinal(twin), type, name, points: 0, part_of: "" }, by, steps });
    };
    for (const each of front) {
      for (const relation of mirror.from(each)) if (DOWNSTREAM.has(relation.kind)) reach(relation.target, relation.kind);
      for (const relation of mirror.to(each)) if (UPSTREAM.has(relation.kind)) reach(relation.source, relation.kind);
    }
    front = next;
  }
  return found;
}

/** The list of dependents: how many steps away, and by what. */
export function dependentList(context: Context, dependents: readonly Dependent[]): HTMLElement {
  const list = h("div", { class: "links-group" });
  appendSome(
    list,
    dependents.map((dependent) =>
      twinLink(
        context,
        dependent.twin.id,
        h("span", { class: "step", title: `${dependent.steps} ${dependent.steps === 1 ? "step" : "steps"} away` }, String(dependent.steps)),
        `by ${(WORDS[dependent.by]?.[0] ?? labelText(dependent.by)).toLowerCase()}`,
      ),
    ),
  );
  return list;
}

function appendSome(list: HTMLElement, rows: readonly HTMLElement[]): void {
  list.append(...rows.slice(0, ROWS_AT_ONCE));
  const rest = rows.slice(ROWS_AT_ONCE);
  if (rest.length === 0) return;
  const more = h(
    "button",
    { class: "link links-more", attrs: { type: "button" }, on: { click: () => more.replaceWith(...rest) } },
    `Show ${rest.length} more`,
  );
  list.append(more);
}
