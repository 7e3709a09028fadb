// How a point's latest value is said: figure, unit, quality, origin, age.

import { decimalsFor, numberText, unitText } from "../format.ts";
import type { Mirror } from "../mirror.ts";
import { detailOf, Kind, originOf, type PointType } from "../protocol.ts";
import type { IconName } from "./icons.ts";
import { t } from "../words.ts";

const QUALITY_WORDS: Readonly<Record<string, string>> = {
  "": "",
  last_usable: t("last usable value"),
  out_of_range: t("outside its range"),
  waiting: t("waiting for data"),
  no_communication: t("no communication"),
  not_a_number: t("not a number"),
  wrong_type: t("wrong type"),
  other: t("see details"),
};

/** How values came to be, in the order of `OriginKind`. */
export const ORIGINS = ["measured", "inferred", "simulated", "desired", "authored"] as const;
export type OriginName = (typeof ORIGINS)[number];

export const SEVERITIES = ["good", "uncertain", "bad"] as const;

export function isNumeric(type: PointType): boolean {
  const kind = type.kind ?? Kind.FLOAT;
  return kind === Kind.FLOAT || kind === Kind.INT;
}

/** Whether a line of it over time says something: numbers, states, switches. */
export function isPlottable(type: PointType): boolean {
  return (type.kind ?? Kind.FLOAT) <= Kind.ENUM;
}

/** Whether it jumps from state to state instead of moving. */
export function isStepped(type: PointType): boolean {
  const kind = type.kind ?? Kind.FLOAT;
  return kind === Kind.BOOL || kind === Kind.ENUM;
}

/** The value that a number has for a person, without unit. */
export function valueOf(type: PointType, value: number): string {
  const kind = type.kind ?? Kind.FLOAT;
  if (kind === Kind.BOOL) return Number.isNaN(value) ? "–" : value !== 0 ? t("yes") : t("no");
  if (kind === Kind.ENUM) {
    return type.labels?.find(([code]) => code === value)?.[1] ?? numberText(value, 0);
  }
  if (kind === Kind.INT) return numberText(value, 0);
  const span = type.low != null && type.high != null ? type.high - type.low : 0;
  return numberText(value, span > 0 ? decimalsFor(span) : undefined);
}

/** The latest value of a point as text, without unit. */
export function valueText(mirror: Mirror, handle: number): string {
  const type = mirror.pointType(handle);
  if (!isPlottable(type)) return mirror.format(handle);
  if (!(mirror.timeMs[handle]! > 0)) return "–";
  return valueOf(type, mirror.value[handle]!);
}

export function unitOf(mirror: Mirror, handle: number): string {
  return unitText(mirror.pointType(handle).unit ?? "");
}

export function originOfPoint(mirror: Mirror, handle: number): OriginName {
  return ORIGINS[originOf(mirror.status[handle] ?? 0)] ?? "measured";
}

export function originIcon(origin: OriginName): IconName {
  return origin;
}

/** What is wrong with a value, in words; empty while it is good. */
export function qualityWords(mirror: Mirror, handle: number): string {
  const severity = mirror.severity(handle);
  if (severity === 0) return "";
  return QUALITY_WORDS[detailOf(mirror.status[handle] ?? 0)] || SEVERITIES[severity];
}

/** 0 … 1 within the point's range; null where it has none or no value. */
export function placeInRange(mirror: Mirror, handle: number): number | null {
  const { low, high } = mirror.pointType(handle);
  const value = mirror.value[handle]!;
  if (low == null || high == null || !(high > low) || Number.isNaN(value)) return null;
  return (value - low) / (high - low);
}
