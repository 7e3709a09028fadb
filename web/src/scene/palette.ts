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
  /** How dark contact shade is: 1 as light would do it. */
  occlusion: number;
  /** What is seen through, and what a cut lays open. */
  shell: Color;
  cut: Color;
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
    zenith: c("#070c12"),
    sky: c("#122030"),
    horizon: c("#2c4053"),
    glow: c("#7d6a55"),
    ground: c("#10161d"),
    floor: c("#2f3a46"),
    floorLine: c("#7f97ac"),
    sun: c("#ffe6c8"),
    sunIntensity: 2.3,
    ambientIntensity: 0.35,
    environmentIntensity: 0.55,
    exposure: 1.1,
    occlusion: 1.25,
    shell: c("#9fc4dd"),
    cut: c("#3d7ea3"),
    platform: [c("#445362"), c("#4d5d6c"), c("#566776"), c("#5f7080")],
    plate: c("#6d7d8b"),
    zone: c("#3a4855"),
    trim: c("#2a3138"),
    title: "#b7c9d8",
    accent: c("#57c7f2"),
    hover: c("#e8f4fb"),
    related: c("#7fd6c2"),
    tag: c("#4fa6cb"),
    tagBase: c("#26313b"),
    flow: c("#748899"),
    flowLight: c("#7fd8f7"),
    power: c("#caa15a"),
    uncertain: c("#e3b341"),
    bad: c("#f2605c"),
    alarm: [c("#7fb6e6"), c("#f3dc5a"), c("#ffa435"), c("#ff4a4a")],
    shade: 0.66,
  },
  light: {
    zenith: c("#6f9cc4"),
    sky: c("#a9c6dd"),
    horizon: c("#dde7ee"),
    glow: c("#ffedd2"),
    ground: c("#b8c2ca"),
    floor: c("#b7c0c8"),
    floorLine: c("#6f8292"),
    sun: c("#fff0da"),
    sunIntensity: 2.7,
    ambientIntensity: 0.25,
    environmentIntensity: 0.42,
    exposure: 1.0,
    occlusion: 1,
    shell: c("#5c7f99"),
    cut: c("#5aa3cd"),
    platform: [c("#cfd6dc"), c("#d9dfe4"), c("#e2e7ea"), c("#e9edf0")],
    plate: c("#f0f2f4"),
    zone: c("#c5cdd4"),
    trim: c("#5a646d"),
    title: "#42525f",
    accent: c("#0a84c1"),
    hover: c("#ffffff"),
    related: c("#128a74"),
    tag: c("#2c86b4"),
    tagBase: c("#aab6bf"),
    flow: c("#8d9ca8"),
    flowLight: c("#2fa4de"),
    power: c("#c08a2e"),
    uncertain: c("#d99a12"),
    bad: c("#d93a35"),
    alarm: [c("#3f86c4"), c("#d8b80a"), c("#ef8a10"), c("#e53131")],
    shade: 0.5,
  },
};

/** Twins of one type share a colour; the set is calm, so that alarms stand out. */
const TYPE_COLORS = [
  "#587f9e", "#4f8d88", "#728c62", "#a78f5a", "#a47453", "#7f6a8a", "#626d99", "#74828c",
  "#468372", "#96695f", "#7f8452", "#557489",
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
