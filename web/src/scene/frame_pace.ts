/**
 * When a picture is drawn, and what it cost: at once where somebody acts, seldom where only the
 * plant itself moves, never where nothing does. In a headset the device itself asks for pictures.
 *
 * Knows nothing of what is drawn.
 */

/** While nothing but the plant itself moves, this many pictures a second are enough. */
const AMBIENT_MS = 1000 / 32;
/** Without a graphics processor the plant moves in steps, and the machine has time for the rest. */
const AMBIENT_SOFTWARE_MS = 400;
/** Of a running mean: how much the newest counts. */
const NEWEST = 0.1;
/** A longer gap is no slow frame: the page slept. */
const SLEPT_MS = 500;

export class FramePace {
  readonly #frame: (nowMs: number) => void;
  readonly #isSoftware: boolean;
  #isAsked = false;
  #isWanted = true;
  #isDriven = false;
  #isResting = false;
  #timer = 0;
  #lastMs = 0;
  #drawnMs = 0;
  #valuesMs = 0;
  /** Pictures drawn so far. */
  nFrames = 0;
  /** Milliseconds of the page's own work per frame, values taken in included: a running mean. */
  jsMs = 0;
  /** Milliseconds that handing a frame to WebGL takes: a running mean. */
  drawMs = 0;

  constructor(isSoftware: boolean, frame: (nowMs: number) => void) {
    this.#isSoftware = isSoftware;
    this.#frame = frame;
  }

  /** Something was done that wants a picture at once. */
  invalidate(): void {
    this.#isWanted = true;
    this.ask();
  }

  /** The plant has moved: a picture soon. */
  ask(): void {
    if (this.#isAsked || this.#isDriven || this.#isResting || document.hidden) return;
    this.#isAsked = true;
    requestAnimationFrame((nowMs) => {
      this.#isAsked = false;
      if (!this.#isDriven) this.#frame(nowMs);
    });
  }

  /** While true nobody looks: pictures are not asked for. */
  rest(isResting: boolean): void {
    this.#isResting = isResting;
  }

  /** While true somebody else calls for every frame, as a headset does; else this asks for them. */
  drive(isDriven: boolean): void {
    this.#isDriven = isDriven;
    if (!isDriven) this.invalidate();
  }

  get isDriven(): boolean {
    return this.#isDriven;
  }

  /** The next frame counts as wanted by somebody: it is not put off. */
  want(): void {
    this.#isWanted = true;
  }

  /**
   * Whether a frame is to be drawn now; one that nobody waits for is put off.
   *
   * @returns seconds since the last one, one at most, and how long the one before took to be shown,
   * where it followed at once; null: not now
   */
  begin(nowMs: number): { dt_s: number; frameMs: number | null } | null {
    const isAmbient = !this.#isWanted && !this.#isDriven;
    const rest = this.#isSoftware ? AMBIENT_SOFTWARE_MS : Math.max(AMBIENT_MS, this.drawMs * 4);
    const wait_ms = rest - (nowMs - this.#drawnMs);
    if (isAmbient && wait_ms > 0) {
      if (wait_ms < 24) this.ask();
      else if (this.#timer === 0) {
        this.#timer = window.setTimeout(() => {
          this.#timer = 0;
          this.ask();
        }, wait_ms);
      }
      return null;
    }
    const sinceMs = nowMs - this.#lastMs;
    this.#lastMs = this.#drawnMs = nowMs;
    this.#isWanted = false;
    return { dt_s: Math.min(sinceMs / 1000, 1), frameMs: sinceMs < SLEPT_MS && !isAmbient ? sinceMs : null };
  }

  /** Values were taken in between two frames. */
  tookValues(ms: number): void {
    this.#valuesMs += ms;
  }

  /** A frame is done: the page's own work and WebGL's; `isUsual` false leaves it out of the means. */
  end(jsMs: number, drawMs: number, isUsual: boolean): void {
    if (isUsual) {
      this.jsMs += (jsMs + this.#valuesMs - this.jsMs) * NEWEST;
      this.drawMs += (drawMs - this.drawMs) * NEWEST;
    }
    this.#valuesMs = 0;
    this.nFrames += 1;
  }
}
