/**
 * The colours of heat layers: violet over blue and green to yellow, lighter with every step.
 *
 * Worked out in OKLab (B. Ottosson 2020), in which equal steps look equal: lightness rises evenly,
 * so that the order is seen by people of any colour vision, and in print.
 */

export const N_COLOURS = 256;

/** Hue in degrees and chroma along the way, at equal distances. */
const WAY = [
  [312, 0.115], [296, 0.14], [274, 0.13], [245, 0.105], [215, 0.095], [185, 0.1], [158, 0.13], [132, 0.165], [108, 0.175],
] as const;
const DARKEST = 0.3;
const LIGHTEST = 0.92;

/** sRGB bytes, four to a colour. */
export function heatColours(): Uint8Array {
  const bytes = new Uint8Array(N_COLOURS * 4);
  for (let i = 0; i < N_COLOURS; i++) bytes.set([...heatColour(i / (N_COLOURS - 1)), 255], i * 4);
  return bytes;
}

/** sRGB of a place from 0 to 1. */
export function heatColour(part: number): [number, number, number] {
  const at = Math.min(Math.max(part, 0), 1) * (WAY.length - 1);
  const i = Math.min(Math.floor(at), WAY.length - 2);
  const [hue0, chroma0] = WAY[i]!;
  const [hue1, chroma1] = WAY[i + 1]!;
  const t = at - i;
  const hue = ((hue0 + (hue1 - hue0) * t) * Math.PI) / 180;
  const lightness = DARKEST + (LIGHTEST - DARKEST) * Math.min(Math.max(part, 0), 1);
  let chroma = chroma0 + (chroma1 - chroma0) * t;
  // What no screen can show loses chroma, not lightness.
  for (let k = 0; k < 24; k++, chroma *= 0.96) {
    const rgb = linearRgb(lightness, chroma * Math.cos(hue), chroma * Math.sin(hue));
    if (rgb.every((c) => c >= -0.001 && c <= 1.001)) return rgb.map(encoded) as [number, number, number];
  }
  return linearRgb(lightness, 0, 0).map(encoded) as [number, number, number];
}

export function cssOf(part: number): string {
  return `rgb(${heatColour(part).join(" ")})`;
}

/** OKLab to linear sRGB. */
function linearRgb(l: number, a: number, b: number): number[] {
  const long = (l + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const medium = (l - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const short = (l - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
    -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
    -0.0041960863 * long - 0.7034186147 * medium + 1.707614701 * short,
  ];
}

function encoded(linear: number): number {
  const c = Math.min(Math.max(linear, 0), 1);
  return Math.round(255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055));
}
