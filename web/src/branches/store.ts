/** The branches that the person may see, kept up to date while somebody looks at them. No DOM. */

import type { Mirror } from "../mirror.ts";
import type { Branch, BranchesPage } from "../protocol.ts";
import { BranchApi } from "./api.ts";

const CALM_MS = 4000;
/** While something runs, its state is asked this often. */
const BUSY_MS = 700;

export class BranchStore {
  readonly api: BranchApi;
  page: BranchesPage | null = null;
  /** Why the list could not be had; null: it could. */
  failure: unknown = null;
  readonly #mirror: Mirror;
  readonly #listeners = new Set<() => void>();
  #watchers = 0;
  #timer = 0;
  #shown = "";
  #round = 0;

  constructor(mirror: Mirror) {
    this.#mirror = mirror;
    this.api = new BranchApi(mirror.rest);
    mirror.on("branch", () => void this.refresh());
    mirror.on("link", ({ state }) => {
      if (state === "live" && this.#isWanted) void this.refresh();
    });
  }

  on(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Keeps the list up to date until the returned function is called. */
  watch(): () => void {
    this.#watchers += 1;
    void this.refresh();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#watchers -= 1;
    };
  }

  get(id: string | null): Branch | undefined {
    return this.page?.branches.find((branch) => branch.id === id);
  }

  /** The branch that is shown. */
  get shown(): Branch | undefined {
    return this.get(this.#mirror.branch);
  }

  nameOf(id: string | null): string {
    return this.get(id)?.name ?? id ?? "";
  }

  get #isWanted(): boolean {
    return this.#watchers > 0 || this.#mirror.branch !== null;
  }

  async refresh(): Promise<void> {
    window.clearTimeout(this.#timer);
    const round = ++this.#round;
    try {
      const page = await this.api.list();
      if (round !== this.#round) return;
      this.page = page;
      const now_ns = this.shown?.run.now_ns ?? 0;
      if (now_ns > 0) this.#mirror.takeClock(now_ns / 1e6);
      this.failure = null;
    } catch (error) {
      if (round !== this.#round) return;
      this.failure = error;
    }
    const shown = JSON.stringify([this.page, String(this.failure ?? "")]);
    if (shown !== this.#shown) {
      this.#shown = shown;
      for (const listener of this.#listeners) listener();
    }
    this.#again();
  }

  #again(): void {
    window.clearTimeout(this.#timer);
    if (!this.#isWanted) return;
    const isBusy = this.page?.branches.some(({ run }) => run.state === "running" || run.state === "starting") ?? false;
    this.#timer = window.setTimeout(() => (document.hidden ? this.#again() : void this.refresh()), isBusy ? BUSY_MS : CALM_MS);
  }
}
