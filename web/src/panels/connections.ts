// What a twin is joined to, both ways, and what would feel it if it failed.

import { labelText } from "../format.ts";
import type { Id, Relation } from "../mirror.ts";
import type { Dependent, Property } from "../protocol.ts";
import type { Context } from "./context.ts";
import { h, iconButton } from "./dom.ts";
import { icon, type IconName } from "./icons.ts";
import { plainText } from "./properties.ts";
import { t } from "../words.ts";

/** Relation → how it reads from its source, and from its target. */
export const RELATION_WORDS: Readonly<Record<string, readonly [string, string, IconName]>> = {
  part_of: [t("Part of"), t("Parts"), "tree"],
  feeds: [t("Feeds"), t("Fed by"), "flow"],
  powers: [t("Powers"), t("Powered by"), "power"],
  controls: [t("Controls"), t("Controlled by"), "command"],
  depends_on: [t("Depends on"), t("Needed by"), "shield"],
  located_in: [t("Located in"), t("Contains"), "cube"],
  supplies: [t("Supplies"), t("Supplied by"), "flow"],
};

/** Along these, trouble travels from source to target; along the second from target to source. */
const DOWNSTREAM = new Set(["feeds", "powers", "controls", "supplies"]);
const UPSTREAM = new Set(["depends_on"]);

const ROWS_AT_ONCE = 12;

/** The groups of relations of a twin, or null if it has none. */
export function connectionGroups(context: Context, id: Id, onEnd?: (relation: Relation) => void): HTMLElement | null {
  const { mirror } = context;
  const groups = new Map<string, { icon: IconName; links: [Id, HTMLElement | null, Relation][] }>();
  const put = (label: string, iconName: IconName, other: Id, relation: Relation): void => {
    const group = groups.get(label) ?? { icon: iconName, links: [] };
    group.links.push([other, said(relation.properties), relation]);
    groups.set(label, group);
  };
  for (const relation of mirror.from(id)) {
    const words = RELATION_WORDS[relation.kind];
    put(words?.[0] ?? labelText(relation.kind), words?.[2] ?? "flow", relation.target, relation);
  }
  for (const relation of mirror.to(id)) {
    const words = RELATION_WORDS[relation.kind];
    put(words?.[1] ?? t("{relation} (from)", { relation: labelText(relation.kind) }), words?.[2] ?? "flow", relation.source, relation);
  }
  if (groups.size === 0) return null;
  const element = h("div", {});
  for (const [label, group] of groups) {
    const list = h("div", { class: "links-group" });
    list.append(
      h("div", { class: "links-kind" }, icon(group.icon), label, group.links.length > 1 && h("span", { class: "num" }, String(group.links.length))),
    );
    const rows = group.links.map(([other, attributes, relation]) => {
      const row = twinLink(context, other);
      if (onEnd) {
        const name = t("End: {relation} {name}", { relation: label, name: mirror.nameOf(other) });
        const end = iconButton("close", name, () => onEnd(relation), "small");
        return h("div", { class: "link-row" }, attributes ? h("div", { class: "grow" }, row, attributes) : row, end);
      }
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
        h("span", { class: "step", title: t(dependent.steps === 1 ? "{n} step away" : "{n} steps away", { n: dependent.steps }) }, String(dependent.steps)),
        t("by “{relation}”", { relation: RELATION_WORDS[dependent.by]?.[0] ?? labelText(dependent.by) }),
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
    t("Show {n} more", { n: rest.length }),
  );
  list.append(more);
}
