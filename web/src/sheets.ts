// What people wrote down for the world as a whole, of one kind (boards, tours, looks): read from its
// sheets, written as authored edits that overwrite nobody.
//
// An act is shown at once and sent in turn. If somebody else was quicker the server says so (409);
// the act is then done again on the board as it is now, or refused with words.

import type { Edited, Sheet, SheetsPage } from "./protocol.ts";
import { type Act, ActRefused } from "./acts.ts";
import { type Mirror, RestError } from "./mirror.ts";
import { t } from "./words.ts";

/** How one kind of sheet is read and written, and what the log says of making one. */
export interface SheetKind<T> {
  readonly kind: string;
  /** Throws with words for a person if this page cannot show it. */
  read(body: string): T;
  written(value: T): string;
  readonly made: string;
  readonly renamed: string;
  readonly deleted: string;
}

const TRIES = 4;
/** How long what was saved is shown from memory at most, until the stream brings it. */
const HOLD_MS = 3000;

export interface Shown<T> {
  value: T | null;
  /** Why it cannot be shown; "": it can. */
  error: string;
}

interface Draft {
  body: string;
  timer: number;
}

export class SheetStore<T> {
  private readonly drafts = new Map<string, Draft>();
  private readonly queues = new Map<string, Promise<unknown>>();
  /** What this page has done to each, latest last: positions that can be taken back. */
  private readonly done = new Map<string, string[]>();
  private readonly listeners = new Set<() => void>();
  private readonly parsed = new Map<string, { body: string; shown: Shown<T> }>();

  constructor(
    private readonly mirror: Mirror,
    private readonly of: SheetKind<T>,
  ) {
    mirror.on("sheets", ({ keys }) => {
      for (const [name, draft] of this.drafts) if (this.kept(name) === draft.body && !this.waiting.get(name)?.length) this.forget(name);
      if (keys === null || [...keys].some((key) => key.startsWith(`${of.kind}/`))) this.tell();
    });
  }

  on(listener: () => void): void {
    this.listeners.add(listener);
  }

  names(): string[] {
    return this.mirror.sheets(this.of.kind).map((sheet) => sheet.name);
  }

  has(name: string): boolean {
    return this.kept(name) !== null;
  }

  /** What it says as it is, with what is on its way; null: there is none of that name. */
  shown(name: string): Shown<T> | null {
    const body = this.drafts.get(name)?.body ?? this.kept(name);
    if (body === null) return null;
    const known = this.parsed.get(name);
    if (known?.body === body) return known.shown;
    let shown: Shown<T>;
    try {
      shown = { value: this.of.read(body), error: "" };
    } catch (error) {
      shown = { value: null, error: error instanceof Error ? error.message : String(error) };
    }
    this.parsed.set(name, { body, shown });
    return shown;
  }

  canUndo(name: string): boolean {
    return (this.done.get(name)?.length ?? 0) > 0;
  }

  // --- writing -------------------------------------------------------------------------------

  /** Makes one. Rejects if there is one of that name. */
  async create(name: string, value: T): Promise<void> {
    const body = this.of.written(value);
    const position = await this.post([this.put(name, body)], this.of.made, [{ name, body: null }]);
    this.hold(name, body);
    this.done.set(name, [position]);
    this.tell();
  }

  async rename(name: string, to: string): Promise<void> {
    const body = this.kept(name);
    if (body === null) throw new Error(t("It is not there any more."));
    await this.post([this.put(to, body), { "@": "DropSheet", kind: this.of.kind, name }], this.of.renamed, [{ name, body }, { name: to, body: null }]);
    this.hold(to, body);
    this.tell();
  }

  async drop(name: string): Promise<string> {
    const body = this.kept(name);
    if (body === null) throw new Error(t("It is not there any more."));
    return this.post([{ "@": "DropSheet", kind: this.of.kind, name }], this.of.deleted, [{ name, body }]);
  }

  /** Does an act and saves it. Rejects with words for a person if it could not be done. */
  act(name: string, act: Act<T>, reason: string): Promise<void> {
    const before = this.shown(name)?.value;
    if (before === null || before === undefined) return Promise.reject(new Error(t("It is not there any more.")));
    let next: string;
    try {
      next = this.of.written(act(before));
    } catch (error) {
      return Promise.reject(refusal(error));
    }
    if (next === this.of.written(before)) return Promise.resolve();
    const acts = this.waiting.get(name) ?? [];
    this.waiting.set(name, [...acts, act]);
    this.hold(name, next, false);
    this.tell();
    const earlier = this.queues.get(name) ?? Promise.resolve();
    const queue = earlier.catch(() => undefined).then(() => this.save(name, act, reason));
    this.queues.set(name, queue);
    return queue;
  }

  private async save(name: string, act: Act<T>, reason: string): Promise<void> {
    let base = this.acked.get(name) ?? this.kept(name);
    for (let tries = 1; ; tries++) {
      try {
        if (base === null) throw new ActRefused(t("It is not there any more."));
        const body = this.of.written(act(this.of.read(base)));
        if (body !== base) {
          const position = await this.post([this.put(name, body)], reason, [{ name, body: base }]);
          this.done.set(name, [...(this.done.get(name) ?? []), position].slice(-50));
        }
        this.settle(name, act, body);
        return;
      } catch (error) {
        if (!(error instanceof RestError && error.status === 409) || tries >= TRIES) {
          this.settle(name, act, null);
          throw refusal(error);
        }
        const page = await this.mirror.rest.get<SheetsPage>("sheets", { kind: this.of.kind });
        base = page.sheets.find((sheet) => sheet.name === name)?.body ?? null;
      }
    }
  }

  /** An act is done (the sheet is now `body`) or given up (null); what is shown follows. */
  private settle(name: string, act: Act<T>, body: string | null): void {
    const rest = (this.waiting.get(name) ?? []).filter((each) => each !== act);
    this.waiting.set(name, rest);
    if (body !== null) this.acked.set(name, body);
    const base = body ?? this.acked.get(name) ?? this.kept(name);
    if (base === null || (body === null && rest.length === 0)) this.forget(name);
    else {
      let value = this.of.read(base);
      for (const each of rest) {
        try {
          value = each(value);
        } catch {
          // It will be refused with words when its turn comes.
        }
      }
      this.hold(name, rest.length > 0 ? this.of.written(value) : base, rest.length === 0);
      if (rest.length === 0 && this.kept(name) === base) this.forget(name);
    }
    this.tell();
  }

  /** Acts that are shown but not saved yet. */
  private readonly waiting = new Map<string, readonly Act<T>[]>();
  /** Bodies that the server has said yes to, newer perhaps than what the stream has brought. */
  private readonly acked = new Map<string, string>();

  /** Takes this page's latest act on one back. */
  async undo(name: string): Promise<void> {
    const stack = this.done.get(name) ?? [];
    const position = stack.at(-1);
    if (position === undefined) return;
    await this.queues.get(name);
    await this.mirror.rest.post("undo", {}, { position });
    this.done.set(name, stack.slice(0, -1));
    this.acked.delete(name);
    this.forget(name);
    this.tell();
  }

  /** Takes back what was done at a position, as the deleting of one. */
  async takeBack(position: string): Promise<void> {
    await this.mirror.rest.post("undo", {}, { position });
  }

  // --- helpers -------------------------------------------------------------------------------

  private kept(name: string): string | null {
    return this.sheet(name)?.body ?? (this.sheet(name) ? "{}" : null);
  }

  private sheet(name: string): Sheet | undefined {
    return this.mirror.sheets(this.of.kind).find((sheet) => sheet.name === name);
  }

  private hold(name: string, body: string, isSaved = true): void {
    clearTimeout(this.drafts.get(name)?.timer);
    const drop = (): void => {
      this.forget(name);
      this.tell();
    };
    const timer = isSaved ? window.setTimeout(drop, HOLD_MS) : 0;
    this.drafts.set(name, { body, timer });
  }

  private forget(name: string): void {
    clearTimeout(this.drafts.get(name)?.timer);
    this.drafts.delete(name);
    this.acked.delete(name);
  }

  private async post(edits: readonly object[], reason: string, known: readonly { name: string; body: string | null }[]): Promise<string> {
    const based_on = known.map((each) => ({ kind: this.of.kind, ...each }));
    return (await this.mirror.rest.post<Edited>("edits", { edits, reason, based_on })).position;
  }

  private put(name: string, body: string): object {
    return { "@": "PutSheet", sheet: { kind: this.of.kind, name, body } };
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

function refusal(error: unknown): Error {
  if (error instanceof ActRefused) return new Error(error.message || t("Somebody has changed this meanwhile. Look at it as it is now, then do it again."));
  return error instanceof Error ? error : new Error(String(error));
}
