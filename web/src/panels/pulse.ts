// One clock for all panels: at most ten times a second, in an animation frame, only what is marked.

/** Something that can bring its own part of the page up to date. */
export interface Painter {
  paint(): void;
}

const INTERVAL_MS = 100;

/** Gathers what has changed and paints it together. */
export class Pulse {
  private readonly marked = new Set<Painter>();
  private readonly ticking = new Set<Painter>();
  private lastMs = -Infinity;
  private isArmed = false;

  constructor() {
    // Ages count on even if no value comes.
    setInterval(() => {
      for (const painter of this.ticking) this.mark(painter);
    }, 1000);
  }

  /** Asks for `painter` to be painted soon. Cheap; call it as often as things change. */
  mark(painter: Painter): void {
    this.marked.add(painter);
    if (this.isArmed) return;
    this.isArmed = true;
    const wait_ms = Math.max(0, INTERVAL_MS - (performance.now() - this.lastMs));
    if (wait_ms < 4) requestAnimationFrame(this.run);
    else setTimeout(() => requestAnimationFrame(this.run), wait_ms);
  }

  /** Has `painter` painted once a second as well, for what ages. */
  tick(painter: Painter): void {
    this.ticking.add(painter);
  }

  private readonly run = (): void => {
    this.isArmed = false;
    this.lastMs = performance.now();
    const painters = [...this.marked];
    this.marked.clear();
    for (const painter of painters) {
      try {
        painter.paint();
      } catch (error) {
        console.error("a panel could not be painted", error); // the others go on
      }
    }
  };
}
