/**
 * How much of the scene a machine can draw: a ladder, climbed and left by measured frame times.
 *
 * Steps down are quick and steps up are slow, and a rung that was too much is tried again only
 * after twice the time: the picture does not go back and forth. Knows no renderer.
 */

export type Quality = "low" | "medium" | "high";
/** What a person asks for; "auto": what the machine can do. */
export type Asked = Quality | "auto";

export interface Rung {
  name: string;
  /** Pixels drawn for one of the canvas, at most; below one the picture is stretched. */
  pixelRatio: number;
  /** Texels of the sun's shadow along a side; 0: none. */
  shadowSize: number;
  /** While things move, every how many pictures their shadows are drawn anew. */
  shadowEvery: number;
  /** Whether corners and joints are darkened by what stands around them. */
  hasOcclusion: boolean;
  /** Names over twins, at most. */
  labels: number;
  /** How large things must be seen to be drawn in all detail, relative to the usual. */
  detail: number;
}

export const RUNGS: readonly Rung[] = [
  { name: "least", pixelRatio: 0.7, shadowSize: 0, shadowEvery: 1, hasOcclusion: false, labels: 18, detail: 2 },
  { name: "low", pixelRatio: 1, shadowSize: 0, shadowEvery: 1, hasOcclusion: false, labels: 40, detail: 1.5 },
  { name: "medium", pixelRatio: 1.25, shadowSize: 1024, shadowEvery: 4, hasOcclusion: false, labels: 56, detail: 1 },
  { name: "good", pixelRatio: 1.5, shadowSize: 2048, shadowEvery: 2, hasOcclusion: false, labels: 56, detail: 1 },
  { name: "high", pixelRatio: 2, shadowSize: 2048, shadowEvery: 2, hasOcclusion: true, labels: 56, detail: 0.7 },
];

const FIXED: Readonly<Record<Quality, number>> = { low: 1, medium: 2, high: 4 };
/** So many frames are looked at together: half of them slow is too slow. */
const WINDOW = 40;
/** Slower than this (30 a second) is seen. */
const SLOW_MS = 34;
/** As fast as a display of 60 a second goes, with some room for its jitter. */
const FAST_MS = 19;
const PATIENCE_MS = 8_000;
const PATIENCE_MAX_MS = 8 * 60_000;
/** A rung that is left within this time was too much. */
const TRIAL_MS = 20_000;

export class Ladder {
  #asked: Asked;
  #at: number;
  readonly #start: number;
  #slow = 0;
  #n = 0;
  #fastMs = 0;
  #onRungMs = 0;
  #patienceMs = PATIENCE_MS;
  #hasClimbed = false;

  /** @param isSoftware pictures are computed without a graphics processor: every one is dear */
  constructor(asked: Asked, isSoftware: boolean) {
    this.#start = isSoftware ? 1 : 3;
    this.#asked = asked;
    this.#at = asked === "auto" ? this.#start : FIXED[asked];
  }

  get asked(): Asked {
    return this.#asked;
  }

  get rung(): Rung {
    return RUNGS[this.#at]!;
  }

  ask(asked: Asked): void {
    this.#asked = asked;
    this.#patienceMs = PATIENCE_MS;
    this.#go(asked === "auto" ? this.#start : FIXED[asked], false);
  }

  /** Takes the time between two frames that followed each other at once; true: on another rung. */
  measure(frameMs: number): boolean {
    if (this.#asked !== "auto") return false;
    this.#onRungMs += frameMs;
    this.#n += 1;
    if (frameMs > SLOW_MS) this.#slow += 1;
    // One late frame among many is the browser's, not the picture's.
    this.#fastMs = frameMs < FAST_MS ? this.#fastMs + frameMs : Math.max(0, this.#fastMs - frameMs * 4);
    if (this.#n >= WINDOW) {
      const isSlow = this.#slow * 2 > this.#n;
      this.#n = this.#slow = 0;
      if (isSlow && this.#at > 0) {
        if (this.#hasClimbed && this.#onRungMs < TRIAL_MS) this.#patienceMs = Math.min(this.#patienceMs * 2, PATIENCE_MAX_MS);
        return this.#go(this.#at - 1, false);
      }
    }
    if (this.#fastMs > this.#patienceMs && this.#at < RUNGS.length - 1) return this.#go(this.#at + 1, true);
    return false;
  }

  #go(at: number, isClimbing: boolean): true {
    this.#at = at;
    this.#hasClimbed = isClimbing;
    this.#n = this.#slow = this.#fastMs = this.#onRungMs = 0;
    return true;
  }
}

const STORED = "mirrorworld.quality";

export function isAsked(text: string | null): text is Asked {
  return text === "auto" || text === "low" || text === "medium" || text === "high";
}

/** What this person asked for last; storage may be forbidden, as in private windows. */
export function storedQuality(): Asked {
  try {
    const stored = localStorage.getItem(STORED);
    return isAsked(stored) ? stored : "auto";
  } catch {
    return "auto";
  }
}

export function storeQuality(asked: Asked): void {
  try {
    localStorage.setItem(STORED, asked);
  } catch {
    // The choice still holds for this page.
  }
}
