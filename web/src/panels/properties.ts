// Properties as they were given: nested, in languages, with units and what they mean.

import { bytesText, labelText, numberText, unitText } from "../format.ts";
import { text } from "../mirror.ts";
import type { Blob as StoredBlob, Property, Ref } from "../protocol.ts";
import type { Context } from "./context.ts";
import { h } from "./dom.ts";
import { icon } from "./icons.ts";
import { t } from "../words.ts";

/** A list of properties, collections as parts that open. */
export function propertyList(context: Context, properties: readonly Property[], depth = 0): HTMLElement {
  const list = h("div", { class: "props" });
  properties.forEach((property, i) => list.append(propertyRow(context, property, i, depth)));
  return list;
}

function propertyRow(context: Context, property: Property, index: number, depth: number): HTMLElement {
  const label = property.name ? labelText(property.name) : String(index + 1);
  const children = nested(property);
  if (children) {
    return h(
      "details",
      { class: "prop-nest", attrs: { open: depth === 0 && children.length <= 8 } },
      h(
        "summary",
        { title: property.name },
        icon("chevron"),
        label,
        h("span", { class: "dimmer num" }, String(children.length)),
        semantic(property),
      ),
      propertyList(context, children, depth + 1),
    );
  }
  const value = h("span", { class: "prop-value num" }, ...valueNodes(context, property));
  if (property.unit) value.append(" ", h("span", { class: "unit" }, unitText(property.unit)));
  const mark = semantic(property);
  if (mark) value.append(mark);
  for (const attribute of property.attributes ?? []) {
    value.append(h("div", { class: "dimmer" }, `${labelText(attribute.name)}: ${plainText(attribute)}`));
  }
  return h("div", { class: "prop" }, h("span", { class: "prop-name", title: property.name }, label), value);
}

function semantic(property: Property): HTMLElement | null {
  if (!property.semantic_ids?.length) return null;
  return h("abbr", { class: "prop-semantic", title: t("Means {ids}", { ids: property.semantic_ids.join(", ") }) }, "◈");
}

function nested(property: Property): Property[] | null {
  const { value } = property;
  if (!Array.isArray(value) || value.length === 0) return null;
  const first: unknown = value[0];
  return typeof first === "object" && first !== null ? (value as Property[]) : null;
}

function valueNodes(context: Context, property: Property): (Node | string)[] {
  const { value } = property;
  if (isRef(value)) return [reference(context, value.iri)];
  if (isBlob(value)) return [`${value.name || t("file")} · ${value.media_type ?? "application/octet-stream"} · ${bytesText(value.size_bytes ?? 0)}`];
  if (typeof value === "string" && /^https?:\/\//.test(value)) return [reference(context, value)];
  if (isText(value)) {
    const languages = Object.entries(value).filter(([tag]) => tag !== "@");
    if (languages.length <= 1) return [text(value)];
    return languages.map(([tag, words]) =>
      h("div", {}, tag && h("span", { class: "prop-lang" }, tag), words),
    );
  }
  return [plainText(property)];
}

/** A link to another twin, or outward; outward ones open apart and get no handle on this page. */
export function reference(context: Context, iri: string, label = iri): HTMLElement {
  const { mirror } = context;
  if (mirror.twins.has(iri)) {
    return h("button", { class: "link", attrs: { type: "button" }, on: { click: () => context.goTo(iri) } }, mirror.nameOf(iri));
  }
  if (/^https?:\/\//.test(iri)) {
    return h("a", { class: "link", title: iri, attrs: { href: iri, target: "_blank", rel: "noopener noreferrer" } }, label);
  }
  return h("span", {}, iri);
}

/** A property's value as one text. */
export function plainText(property: Property): string {
  const { value } = property;
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "number") return numberText(value, (/\.(\d+)$/.exec(String(value))?.[1] ?? "").length); // as given
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value;
  if (isRef(value)) return value.iri;
  if (isBlob(value)) return value.name || value.sha256.slice(0, 12);
  if (Array.isArray(value)) {
    const items = value as readonly unknown[];
    return items.length === 0 ? "none" : items.map((item) => (typeof item === "object" && item ? plainText(item as Property) : String(item))).join(", ");
  }
  return text(value as Record<string, string>);
}

/** All leaves of a property tree with their path. */
export function* leaves(properties: readonly Property[], path = ""): Generator<[string, Property]> {
  for (const property of properties) {
    const here = path ? `${path}/${property.name}` : property.name;
    const children = nested(property);
    if (children) yield* leaves(children, here);
    else yield [here, property];
  }
}

function isRef(value: unknown): value is { "@": "Ref" } & Ref {
  return typeof value === "object" && value !== null && (value as { "@"?: string })["@"] === "Ref";
}

export function isBlob(value: unknown): value is { "@": "Blob" } & StoredBlob {
  return typeof value === "object" && value !== null && (value as { "@"?: string })["@"] === "Blob";
}

function isText(value: unknown): value is Record<string, string> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isRef(value) && !isBlob(value);
}

/** What identifies a thing to people: label → how its property is usually called. */
const IDENTITY: readonly (readonly [string, RegExp])[] = [
  [t("Serial number"), /^(serial([ _]?(number|no|nr))?|serial_?id|sn)$/i],
  [t("Manufacturer"), /^(manufacturer([ _]?name)?|vendor|maker|brand)$/i],
  [t("Model"), /^(model([ _]?(number|name))?|product[ _]?(designation|type|family)|manufacturer[ _]?product[ _]?designation|order[ _]?(code|number)|article[ _]?(number|no)|catalogue?[ _]?number|part[ _]?number)$/i],
  [t("Asset id"), /^(asset[ _]?(id|number|tag)|inventory[ _]?(number|no)|global[ _]?asset[ _]?id|tag)$/i],
  [t("Built"), /^(year[ _]?of[ _]?construction|date[ _]?of[ _]?manufacture|built|year|construction[ _]?year)$/i],
  [t("Software"), /^((software|firmware)[ _]?(version|revision)?|version)$/i],
  [t("Location"), /^(location|place|area|room)$/i],
];
const FUNCTION = /^(function|description|purpose|role|designation)$/i;

/** Identification and function, found among a twin's properties by their names. */
export function identityOf(properties: readonly Property[]): { facts: [string, Property][]; purpose: string } {
  const facts: [string, Property][] = [];
  let purpose = "";
  const all = [...leaves(properties)].map(([, property]) => ({
    name: property.name.replace(/([a-z])([A-Z])/g, "$1_$2"),
    property,
  }));
  for (const [label, pattern] of IDENTITY) {
    const match = all.find(({ name }) => pattern.test(name));
    if (match) facts.push([label, match.property]);
    else if (label === t("Serial number")) facts.push([label, { name: "", value: t("not given") }]);
  }
  const match = all.find(({ name }) => FUNCTION.test(name));
  if (match) purpose = plainText(match.property);
  return { facts, purpose };
}
