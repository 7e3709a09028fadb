// How numbers, units, ages and times read on the page. Knows no twin and no DOM.

const NARROW_SPACE = "\u202f";
const MINUS = "\u2212";
/** What stands for a value that is not there. */
export const NONE = "–";

/** UCUM code -> what people write. Codes that read well as they are (kW, bar, mm) are not listed. */
const UNITS: Readonly<Record<string, string>> = {
  Cel: "°C",
  "[degF]": "°F",
  deg: "°",
  "'": "′",
  "''": "″",
  Ohm: "Ω",
  kOhm: "kΩ",
  um: "µm",
  us: "µs",
  uA: "µA",
  uV: "µV",
  "[ppm]": "ppm",
  "[ppb]": "ppb",
  "[pH]": "pH",
  "[in_i]": "in",
  "[ft_i]": "ft",
  "[psi]": "psi",
  "[gal_us]": "gal",
  a: "year",
  d: "d",
  mo: "month",
  "1": "",
  "10*3": "×10³",
  "10*6": "×10⁶",
  "m[H2O]": "mH₂O",
  "mm[Hg]": "mmHg",
};

const SUPERSCRIPT: Readonly<Record<string, string>> = {
  "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸", "9": "⁹",
};

const unitTexts = new Map<string, string>();

/** A UCUM unit as people write it: `m3/h` → `m³/h`, `Cel` → `°C`, `{bottles}/h` → `bottles/h`. */
export function unitText(ucum: string): string {
  let text = unitTexts.get(ucum);
  if (text === undefined) {
    text = ucum
      .split(/([./])/)
      .map((part) => (part === "." ? "·" : part === "/" ? "/" : unitAtom(part)))
      .join("");
    if (text.startsWith("/")) text = `1${text}`;
    if (text === "kW·h") text = "kWh";
    else if (text === "W·h") text = "Wh";
    else if (text === "MW·h") text = "MWh";
    unitTexts.set(ucum, text);
  }
  return text;
}

function unitAtom(atom: string): string {
  const known = UNITS[atom];
  if (known !== undefined) return known;
  const annotated = /^(.*)\{([^}]*)\}$/.exec(atom);
  if (annotated) return annotated[1] ? unitAtom(annotated[1]) : annotated[2]!.replace(/_/g, " ");
  const power = /^([A-Za-z%[\]_']+)([-+]?\d+)$/.exec(atom);
  if (power) {
    const base = UNITS[power[1]!] ?? power[1]!;
    return base + [...power[2]!.replace("+", "")].map((digit) => SUPERSCRIPT[digit] ?? digit).join("");
  }
  return atom;
}

/** Digits after the point that a scale of this span deserves: about a thousand steps. */
export function decimalsFor(span: number): number {
  if (!(span > 0) || !Number.isFinite(span)) return 2;
  return Math.max(0, Math.min(6, 3 - Math.ceil(Math.log10(span) - 1e-9)));
}

/** A number for reading: grouped thousands, a true minus, as many digits as mean something. */
export function numberText(value: number, decimals?: number): string {
  if (Number.isNaN(value)) return NONE;
  if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e9 || size < 1e-4)) {
    const [mantissa, exponent] = value.toExponential(3).split("e");
    const power = [...exponent!.replace("+", "")].map((digit) => SUPERSCRIPT[digit] ?? digit).join("");
    return `${mantissa!.replace("-", MINUS)}×10${power}`;
  }
  const digits = decimals ?? significantDecimals(size);
  const [whole, fraction] = size.toFixed(digits).split(".");
  const grouped =
    whole!.length > 4 ? whole!.replace(/\B(?=(\d{3})+$)/g, NARROW_SPACE) : whole!;
  const text = fraction ? `${grouped}.${fraction}` : grouped;
  return value < 0 && Number(size.toFixed(digits)) !== 0 ? MINUS + text : text;
}

function significantDecimals(size: number): number {
  if (size === 0 || Number.isInteger(size)) return 0;
  return Math.max(0, Math.min(6, 3 - Math.floor(Math.log10(size))));
}

/** A count, short: `1 204`, `12.4 k`, `3.1 M`. */
export function countText(count: number): string {
  if (count < 10_000) return numberText(Math.round(count), 0);
  if (count < 1e6) return `${trim(count / 1e3)}${NARROW_SPACE}k`;
  if (count < 1e9) return `${trim(count / 1e6)}${NARROW_SPACE}M`;
  return `${trim(count / 1e9)}${NARROW_SPACE}G`;
}

function trim(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, "");
}

/** A size in bytes, in steps of 1024. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  while (bytes >= 1024 && step < units.length - 1) {
    bytes /= 1024;
    step += 1;
  }
  return `${step === 0 ? bytes : trim(bytes)} ${units[step]}`;
}

/** How long ago, in the one unit that matters: `now`, `4 s`, `12 min`, `3 h`, `6 d`. */
export function ageText(age_ms: number): string {
  if (!Number.isFinite(age_ms)) return NONE;
  if (age_ms < -1500) return `in ${durationText(-age_ms)}`;
  if (age_ms < 1000) return "now";
  return durationText(age_ms);
}

/** A length of time in one unit, or two where the second still says something. */
export function durationText(duration_ms: number): string {
  const s = duration_ms / 1000;
  if (s < 1) return `${Math.max(0, Math.round(duration_ms))} ms`;
  if (s < 60) return `${Math.floor(s)} s`;
  const min = Math.floor(s / 60);
  if (min < 10 && Math.floor(s % 60) > 0) return `${min} min ${Math.floor(s % 60)} s`;
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 10 && min % 60 > 0) return `${h} h ${min % 60} min`;
  if (h < 48) return `${h} h`;
  return `${Math.floor(h / 24)} d`;
}

const two = (n: number): string => String(n).padStart(2, "0");

/**
 * The time of day, local: `14:03:27`, with tenths of a second if asked. In the hour that comes
 * twice when clocks are put back, the zone says which of the two it is: `02:30:00 +01:00`.
 */
export function clockText(time_ms: number, withTenths = false): string {
  const at = new Date(time_ms);
  if (Number.isNaN(at.getTime())) return NONE;
  const text = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const tenths = withTenths ? `.${Math.floor(at.getMilliseconds() / 100)}` : "";
  return `${text}${tenths}${comesTwice(at) ? ` ${zoneText(at)}` : ""}`;
}

/** Whether the wall clock shows this time twice. Clocks are put back by an hour, or half of one. */
function comesTwice(at: Date): boolean {
  const offset = at.getTimezoneOffset();
  return [-60, -30, 30, 60].some(
    (minutes) => new Date(at.getTime() + minutes * 60_000).getTimezoneOffset() - offset === minutes,
  );
}

function zoneText(at: Date): string {
  const minutes = -at.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const of = Math.abs(minutes);
  return `${minutes < 0 ? MINUS : "+"}${two(Math.floor(of / 60))}:${two(of % 60)}`;
}

/** The day, local, as ISO 8601. */
export function dayText(time_ms: number): string {
  const at = new Date(time_ms);
  if (Number.isNaN(at.getTime())) return NONE;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** Time with its day unless that is today. */
export function whenText(time_ms: number, now_ms: number): string {
  const day = dayText(time_ms);
  return day === dayText(now_ms) ? clockText(time_ms) : `${day} ${clockText(time_ms)}`;
}

/** The whole moment with its zone, for tooltips. */
export function momentText(time_ms: number): string {
  const at = new Date(time_ms);
  if (Number.isNaN(at.getTime())) return NONE;
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${dayText(time_ms)} ${clock}.${String(at.getMilliseconds()).padStart(3, "0")} ${zoneText(at)}`;
}

/** `serialNumber`, `serial_number`, `SerialNumber` → `Serial number`; words of one's own stay. */
export function labelText(name: string): string {
  if (/\s/.test(name)) return name;
  const words = name
    .replace(/[_-]+/g, " ")
    .replace(/([a-z\d])([A-Z])/g, "$1 $2")
    .replace(/([a-z])(\d)/g, "$1 $2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .trim()
    .split(" ")
    .map((word, i) => (/^[A-Z\d]{2,}$/.test(word) ? word : i === 0 ? word : word.toLowerCase()));
  const text = words.join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `UncertainLastUsableValue` → `Uncertain: last usable value`. */
export function qualityText(name: string): string {
  const match = /^(Good|Uncertain|Bad)(.+)$/.exec(name);
  if (!match) return name;
  return match[2]!.startsWith("0x") ? `${match[1]} (${match[2]})` : `${match[1]}: ${labelText(match[2]!).toLowerCase()}`;
}

/** The last part of an id: `plant/line1/filler` → `filler`. */
export function shortId(id: string): string {
  const cut = Math.max(id.lastIndexOf("/"), id.lastIndexOf("#"), id.lastIndexOf(":"));
  return cut >= 0 && cut < id.length - 1 ? id.slice(cut + 1) : id;
}
