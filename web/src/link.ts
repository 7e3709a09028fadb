/**
 * What an address of the page says: a place, a moment, what is selected, and what lies open.
 *
 * Read and written here alone, so that whatever can be sent to somebody is sent in one way. Only the
 * names below are read, and only they are written: no secret of an address gets into a link.
 * Knows no DOM and no world: whether what is named is there is for the reader of a link to say.
 */

export type LinkMode = "orbit" | "walk" | "map";

/** Where one stands and what one looks at, in the scene's metres, y upwards. */
export interface LinkCamera {
  position: [number, number, number];
  target: [number, number, number];
}

export interface Link {
  /** Id of the twin that is selected. */
  twin: string | null;
  camera: LinkCamera | null;
  mode: LinkMode;
  /** Unix milliseconds of the moment that is shown; null: live. */
  at_ms: number | null;
  /** Seconds of the past that pass in a second; 0: it stands still. */
  speed: number;
  branch: string | null;
  board: string | null;
  isKiosk: boolean;
  /** Name of the panel that lies open. */
  open: string | null;
  /** Name of the visual rules that colour the scene. */
  look: string | null;
  tour: string | null;
  /** Step of the tour, from 1. */
  step: number;
  /** Only the scene, for the page of somebody else. */
  isEmbedded: boolean;
}

export const NO_LINK: Readonly<Link> = {
  twin: null, camera: null, mode: "orbit", at_ms: null, speed: 0, branch: null, board: null, isKiosk: false,
  open: null, look: null, tour: null, step: 1, isEmbedded: false,
};

/** What of an address could not be taken: its name, and what it says. */
export interface Fault {
  name: string;
  said: string;
}

const NAME_LENGTH_MAX = 1000;
const METRES_MAX = 1e7;
const SPEED_MAX = 1000;
const STEPS_MAX = 1000;
const OWN = ["twin", "cam", "mode", "at", "speed", "branch", "board", "kiosk", "open", "look", "tour", "step", "embed"] as const;
/** A moment with its offset: what has none means another moment at each reader's place. */
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)$/;

/** What an address says, and what in it means nothing. */
export function read(address: string): { link: Link; faults: Fault[] } {
  const given = new URL(address).searchParams;
  const link: Link = { ...NO_LINK };
  const faults: Fault[] = [];
  const take = (name: (typeof OWN)[number], put: (said: string) => boolean): void => {
    const said = given.get(name);
    if (said === null || said === "") return;
    if (said.length > NAME_LENGTH_MAX || !put(said)) faults.push({ name, said: said.slice(0, 60) });
  };
  const name = (key: "twin" | "branch" | "board" | "open" | "look" | "tour"): void =>
    take(key, (said) => ((link[key] = said), true));
  for (const key of ["twin", "branch", "board", "open", "look", "tour"] as const) name(key);
  take("cam", (said) => (link.camera = cameraOf(said)) !== null);
  take("mode", (said) => {
    if (said !== "walk" && said !== "map" && said !== "orbit") return false;
    link.mode = said;
    return true;
  });
  take("at", (said) => {
    const at_ms = MOMENT.test(said) ? Date.parse(said) : NaN;
    if (!(at_ms > 0)) return false;
    link.at_ms = at_ms;
    return true;
  });
  take("speed", (said) => {
    const speed = Number(said);
    if (!(speed >= 0 && speed <= SPEED_MAX)) return false;
    link.speed = speed;
    return true;
  });
  take("step", (said) => {
    const step = Number(said);
    if (!(Number.isInteger(step) && step >= 1 && step <= STEPS_MAX)) return false;
    link.step = step;
    return true;
  });
  link.isKiosk = link.board !== null && given.has("kiosk");
  link.isEmbedded = given.has("embed") && given.get("embed") !== "0";
  return { link, faults };
}

/** The address `base` with what a link says in place of what it said; other names stay as they are. */
export function within(base: string, link: Link): string {
  const url = new URL(base);
  for (const name of OWN) url.searchParams.delete(name);
  const said = queryOf(link);
  const kept = url.searchParams.toString();
  url.search = [kept, said].filter(Boolean).join("&");
  return url.href;
}

/** A link for somebody else: the page's own address and nothing but what the link says. */
export function written(base: string, link: Link): string {
  const url = new URL(base);
  url.search = queryOf(link);
  url.hash = "";
  url.username = url.password = "";
  return url.href;
}

function queryOf(link: Link): string {
  const said: [string, string | null][] = [
    ["branch", link.branch],
    ["board", link.board],
    ["twin", link.twin],
    ["at", link.at_ms === null ? null : new Date(link.at_ms).toISOString()],
    ["speed", link.at_ms === null || link.speed === 0 ? null : String(link.speed)],
    ["cam", link.camera === null ? null : cameraText(link.camera)],
    ["mode", link.mode === "orbit" ? null : link.mode],
    ["look", link.look],
    ["open", link.open],
    ["tour", link.tour],
    ["step", link.tour === null || link.step === 1 ? null : String(link.step)],
    ["embed", link.isEmbedded ? "1" : null],
  ];
  const words = said.filter(([, value]) => value !== null).map(([name, value]) => `${name}=${plain(value!)}`);
  if (link.board !== null && link.isKiosk) words.push("kiosk");
  return words.join("&");
}

/** Encoded, but for what a query may hold as it is: people read these addresses. */
function plain(value: string): string {
  return encodeURIComponent(value).replace(/%(2F|3A|2C|40)/g, (code) => decodeURIComponent(code)).replace(/%20/g, "+");
}

/** Six metres, to the centimetre: position, then target. */
function cameraText({ position, target }: LinkCamera): string {
  return [...position, ...target].map((metres) => String(Math.round(metres * 100) / 100 + 0)).join(",");
}

function cameraOf(said: string): LinkCamera | null {
  const words = said.split(",");
  const metres = words.map((word) => (/^-?\d+(\.\d+)?$/.test(word) ? Number(word) : NaN));
  if (metres.length !== 6 || !metres.every((each) => Math.abs(each) <= METRES_MAX)) return null;
  const [px, py, pz, tx, ty, tz] = metres as [number, number, number, number, number, number];
  if (Math.hypot(px - tx, py - ty, pz - tz) < 0.01) return null; // one cannot look at where one stands
  return { position: [px, py, pz], target: [tx, ty, tz] };
}
