// What is around and could be mirrored, as the server last said: asked for now and then, by those who may add it.

import type { Mirror } from "../mirror.ts";
import { RestError } from "../mirror.ts";
import type { DiscoveredList, DiscoveredThing } from "../protocol.ts";

const WATCHED_MS = 5_000;
const ELSE_MS = 60_000;

export class Around {
  things: readonly DiscoveredThing[] = [];
  /** off, here or network; empty until the server has said. */
  reach = "";
  failures: Readonly<Record<string, string>> = {};
  private readonly listeners = new Set<() => void>();
  private watchers = 0;
  private timer = 0;
  private isStarted = false;
  private shown = "";

  constructor(private readonly mirror: Mirror) {
    mirror.on("link", ({ state }) => {
      if (state === "live" && !this.isStarted) void this.ask();
    });
    mirror.on("structure", () => {
      // A page that leads on from nothing looks more often.
      if (this.isStarted && mirror.twins.size === 0) this.schedule();
    });
  }

  /** Things that nobody has decided about yet. */
  get fresh(): DiscoveredThing[] {
    return this.things.filter((thing) => thing.state === "new");
  }

  on(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Someone looks at the list: it is asked for more often until the returned function is called. */
  watch(): () => void {
    this.watchers += 1;
    void this.ask();
    return () => {
      this.watchers -= 1;
    };
  }

  async ask(): Promise<void> {
    if (!this.mirror.principal.roles.includes("owner")) {
      this.isStarted = true;
      return;
    }
    this.isStarted = true;
    try {
      const list = await this.mirror.rest.get<DiscoveredList>("discovered", { ignored: true });
      this.reach = list.reach;
      this.failures = list.failures;
      const shown = JSON.stringify(list.things.map((thing) => ({ ...thing, seen_ns: 0 })));
      if (shown !== this.shown) {
        this.shown = shown;
        this.things = list.things;
      }
      for (const listener of this.listeners) listener();
    } catch (error) {
      if (error instanceof RestError && (error.status === 403 || error.status === 404)) return;
    }
    this.schedule();
  }

  private schedule(): void {
    window.clearTimeout(this.timer);
    if (this.reach === "off") return;
    const isWatched = this.watchers > 0 || this.mirror.twins.size === 0;
    this.timer = window.setTimeout(() => void this.ask(), isWatched ? WATCHED_MS : ELSE_MS);
  }
}
