/** The scene's colours in both themes. Panels take theirs from style/tokens.css. */

import { Color } from "three";
import type { Mode } from "../style/theme.ts";

export interface Palette {
  zenith: Color;
  sky: Color;
  horizon: Color;
  glow: Color;
  ground: Color;
  floor: Color;
  floorLine: Color;
  sun: Color;
  sunIntensity: number;
  ambientIntensity: number;
  environmentIntensity: number;
  exposure: number;
  platform: Color[];
  plate: Color;
  zone: Color;
  trim: Color;
  title: string;
  accent: Color;
  hover: Color;
  related: Color;
  tag: Color;
  tagBase: Color;
  flow: Color;
  flowLight: Color;
  power: Color;
  uncertain: Color;
  bad: Color;
  /** By severity: information, low, medium, high. */
  alarm: Color[];
  shade: number;
}

const c = (hex: string) => new Color(hex);

export const PALETTES: Record<Mode, Palette> = {
  dark: {
    zenith: c("#060a10"),
    sky: c("#0d1724"),
    horizon: c("#1d2b3b"),
    glow: c("#3b5d7d"),
    ground: c("#0b1017"),
    floor: c("#1a222c"),
    floorLine: c("#5c7a96"),
    sun: c("#dfeaff"),
    sunIntensity: 2.1,
    ambientIntensity: 0.32,
    environmentIntensity: 0.62,
    exposure: 1.05,
    platform: [c("#26313d"), c("#2d3945"), c("#35424f"), c("#3c4a58")],
    plate: c("#46545f"),
    zone: c("#232d38"),
    trim: c("#2a3138"),
    title: "#9fb2c4",
    accent: c("#57c7f2"),
    hover: c("#e8f4fb"),
    related: c("#7fd6c2"),
    tag: c("#7fd8f7"),
    tagBase: c("#1b242d"),
    flow: c("#5d7488"),
    flowLight: c("#7fd8f7"),
    power: c("#caa15a"),
    uncertain: c("#e3b341"),
    bad: c("#f2605c"),
    alarm: [c("#7fb6e6"), c("#f3dc5a"), c("#ffa435"), c("#ff4a4a")],
    shade: 0.62,
  },
  light: {
    zenith: c("#8fb4d6"),
    sky: c("#bcd3e6"),
    horizon: c("#e9eff3"),
    glow: c("#fff6e6"),
    ground: c("#c3ccd3"),
    floor: c("#cfd6dc"),
    floorLine: c("#8fa0ae"),
    sun: c("#fff3df"),
    sunIntensity: 2.9,
    ambientIntensity: 0.35,
    environmentIntensity: 0.78,
    exposure: 0.98,
    platform: [c("#dfe4e8"), c("#e6eaed"), c("#edf0f2"), c("#f2f4f5")],
    plate: c("#f7f8f9"),
    zone: c("#d6dde2"),
    trim: c("#5a646d"),
    title: "#4c5d6c",
    accent: c("#0a84c1"),
    hover: c("#ffffff"),
    related: c("#128a74"),
    tag: c("#1389c4"),
    tagBase: c("#c3ccd4"),
    flow: c("#9fb0bd"),
    flowLight: c("#1389c4"),
    power: c("#c08a2e"),
    uncertain: c("#d99a12"),
    bad: c("#d93a35"),
    alarm: [c("#3f86c4"), c("#d8b80a"), c("#ef8a10"), c("#e53131")],
    shade: 0.42,
  },
};

/** Twins of one type share a colour; the set is calm, so that alarms stand out. */
const TYPE_COLORS = [
  "#5f87a8", "#5d9a94", "#7f9a6b", "#b39a62", "#b3805f", "#94718f", "#6d78a8", "#7d8a94",
  "#4f8f7d", "#a8776f", "#8a8f5a", "#5f7f9a",
].map(c);

/** FNV-1a, 32 bits: small, and the same on every machine. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h ^= text.charCodeAt(i);
    h = Math.imul(h, 0x01000193);
  }
  return h >>> 0;
}

export function typeColor(type: string): Color {
  return TYPE_COLORS[hash(type) % TYPE_COLORS.length]!;
}
