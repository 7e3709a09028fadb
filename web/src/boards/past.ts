// The last minutes of the points on a board, asked for together and continued by what arrives.

import type { Context } from "../panels/context.ts";
import type { Samples } from "../panels/series.ts";

export const PAST_MS = 15 * 60_000;
const ROWS = 160;
const GATHER_MS = 60;
const AFTER_SEEK_MS = 300;
const AT_ONCE = 40;
/** Beyond this many samples the past part is loaded anew, downsampled. */
const SAMPLES_AT_MOST = 2_000;

interface Strand {
  users: number;
  samples: Samples;
}

/** Strands of samples by handle, shared by the tiles that draw the same point. */
export class Past {
  private readonly strands = new Map<number, Strand>();
  private readonly wanted = new Set<number>();
  private timer = 0;
  private asked = new AbortController();
  private readonly off: () => void;

  constructor(
    private readonly context: Context,
    private readonly onNew: () => void,
  ) {
    this.off = context.mirror.on("time", () => this.reload());
  }

  use(handle: number): void {
    const known = this.strands.get(handle);
    if (known) {
      known.users += 1;
      return;
    }
    this.strands.set(handle, { users: 1, samples: { t: [], v: [], q: [] } });
    this.context.series.watch(handle);
    this.want([handle], GATHER_MS);
  }

  leave(handle: number): void {
    const strand = this.strands.get(handle);
    if (!strand || --strand.users > 0) return;
    this.strands.delete(handle);
    this.wanted.delete(handle);
    this.context.series.unwatch(handle);
  }

  /** Samples up to the time that is shown. */
  of(handle: number): Samples {
    const strand = this.strands.get(handle);
    if (!strand) return { t: [], v: [], q: [] };
    if (this.context.mirror.time.live) this.context.series.goOn(handle, strand.samples);
    if (strand.samples.t.length > SAMPLES_AT_MOST) this.want([handle], GATHER_MS);
    return strand.samples;
  }

  close(): void {
    this.off();
    this.asked.abort();
    clearTimeout(this.timer);
    for (const handle of this.strands.keys()) this.context.series.unwatch(handle);
    this.strands.clear();
  }

  private reload(): void {
    this.asked.abort();
    this.asked = new AbortController();
    this.want(this.strands.keys(), AFTER_SEEK_MS);
  }

  private want(handles: Iterable<number>, after_ms: number): void {
    for (const handle of handles) this.wanted.add(handle);
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.load(), after_ms);
  }

  private async load(): Promise<void> {
    const { signal } = this.asked;
    const handles = [...this.wanted].filter((handle) => this.strands.has(handle));
    this.wanted.clear();
    for (let i = 0; i < handles.length; i += AT_ONCE) {
      const some = handles.slice(i, i + AT_ONCE);
      const end_ms = this.context.mirror.viewMs();
      try {
        const found = await this.context.series.stretch(some, end_ms - PAST_MS, end_ms + 1, ROWS, signal);
        if (signal.aborted) return;
        for (const [handle, samples] of found) {
          const strand = this.strands.get(handle);
          if (strand) strand.samples = samples;
        }
        this.onNew();
      } catch {
        // The tiles are whole without their small lines; a trend says what is wrong.
      }
    }
  }
}
