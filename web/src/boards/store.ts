// The boards of the world: read from its sheets, written as authored edits that overwrite nobody.
//
// An act is shown at once and sent in turn. If somebody else was quicker the server says so (409);
// the act is then done again on the board as it is now, or refused with words.

import type { Edited, Sheet, SheetsPage } from "../protocol.ts";
import { type Mirror, RestError } from "../mirror.ts";
import { t } from "../words.ts";
import { type Act, ActRefused, type Board, KIND, read, written } from "./model.ts";

const TRIES = 4;
/** How long what was saved is shown from memory at most, until the stream brings it. */
const HOLD_MS = 3000;

export interface Shown {
  board: Board | null;
  /** Why it cannot be shown; "": it can. */
  error: string;
}

interface Draft {
  body: string;
  timer: number;
}

export class BoardStore {
  private readonly drafts = new Map<string, Draft>();
  private readonly queues = new Map<string, Promise<unknown>>();
  /** What this page has done to each board, latest last: positions that can be taken back. */
  private readonly done = new Map<string, string[]>();
  private readonly listeners = new Set<() => void>();
  private readonly parsed = new Map<string, { body: string; shown: Shown }>();

  constructor(private readonly mirror: Mirror) {
    mirror.on("sheets", ({ keys }) => {
      for (const [name, draft] of this.drafts) if (this.kept(name) === draft.body && !this.waiting.get(name)?.length) this.forget(name);
      if (keys === null || [...keys].some((key) => key.startsWith(`${KIND}/`))) this.tell();
    });
  }

  on(listener: () => void): void {
    this.listeners.add(listener);
  }

  names(): string[] {
    return this.mirror.sheets(KIND).map((sheet) => sheet.name);
  }

  has(name: string): boolean {
    return this.kept(name) !== null;
  }

  /** The board as it is, with what is on its way; null: there is none of that name. */
  shown(name: string): Shown | null {
    const body = this.drafts.get(name)?.body ?? this.kept(name);
    if (body === null) return null;
    const known = this.parsed.get(name);
    if (known?.body === body) return known.shown;
    let shown: Shown;
    try {
      shown = { board: read(body), error: "" };
    } catch (error) {
      shown = { board: null, error: error instanceof Error ? error.message : String(error) };
    }
    this.parsed.set(name, { body, shown });
    return shown;
  }

  canUndo(name: string): boolean {
    return (this.done.get(name)?.length ?? 0) > 0;
  }

  // --- writing -------------------------------------------------------------------------------

  /** Makes a board. Rejects if there is one of that name. */
  async create(name: string, board: Board): Promise<void> {
    const body = written(board);
    const position = await this.post([put(name, body)], t("board made"), [{ name, body: null }]);
    this.hold(name, body);
    this.done.set(name, [position]);
    this.tell();
  }

  async rename(name: string, to: string): Promise<void> {
    const body = this.kept(name);
    if (body === null) throw new Error(t("It is not there any more."));
    await this.post([put(to, body), { "@": "DropSheet", kind: KIND, name }], t("board renamed"), [{ name, body }, { name: to, body: null }]);
    this.hold(to, body);
    this.tell();
  }

  async drop(name: string): Promise<string> {
    const body = this.kept(name);
    if (body === null) throw new Error(t("It is not there any more."));
    return this.post([{ "@": "DropSheet", kind: KIND, name }], t("board deleted"), [{ name, body }]);
  }

  /** Does an act and saves it. Rejects with words for a person if it could not be done. */
  act(name: string, act: Act, reason: string): Promise<void> {
    const before = this.shown(name)?.board;
    if (!before) return Promise.reject(new Error(t("It is not there any more.")));
    let next: string;
    try {
      next = written(act(before));
    } catch (error) {
      return Promise.reject(refusal(error));
    }
    if (next === written(before)) return Promise.resolve();
    const acts = this.waiting.get(name) ?? [];
    this.waiting.set(name, [...acts, act]);
    this.hold(name, next, false);
    this.tell();
    const earlier = this.queues.get(name) ?? Promise.resolve();
    const queue = earlier.catch(() => undefined).then(() => this.save(name, act, reason));
    this.queues.set(name, queue);
    return queue;
  }

  private async save(name: string, act: Act, reason: string): Promise<void> {
    let base = this.acked.get(name) ?? this.kept(name);
    for (let tries = 1; ; tries++) {
      try {
        if (base === null) throw new ActRefused(t("It is not there any more."));
        const body = written(act(read(base)));
        if (body !== base) {
          const position = await this.post([put(name, body)], reason, [{ name, body: base }]);
          this.done.set(name, [...(this.done.get(name) ?? []), position].slice(-50));
        }
        this.settle(name, act, body);
        return;
      } catch (error) {
        if (!(error instanceof RestError && error.status === 409) || tries >= TRIES) {
          this.settle(name, act, null);
          throw refusal(error);
        }
        const page = await this.mirror.rest.get<SheetsPage>("sheets", { kind: KIND });
        base = page.sheets.find((sheet) => sheet.name === name)?.body ?? null;
      }
    }
  }

  /** An act is done (the board is now `body`) or given up (null); what is shown follows. */
  private settle(name: string, act: Act, body: string | null): void {
    const rest = (this.waiting.get(name) ?? []).filter((each) => each !== act);
    this.waiting.set(name, rest);
    if (body !== null) this.acked.set(name, body);
    const base = body ?? this.acked.get(name) ?? this.kept(name);
    if (base === null || (body === null && rest.length === 0)) this.forget(name);
    else {
      let board = read(base);
      for (const each of rest) {
        try {
          board = each(board);
        } catch {
          // It will be refused with words when its turn comes.
        }
      }
      this.hold(name, rest.length > 0 ? written(board) : base, rest.length === 0);
      if (rest.length === 0 && this.kept(name) === base) this.forget(name);
    }
    this.tell();
  }

  /** Acts that are shown but not saved yet. */
  private readonly waiting = new Map<string, readonly Act[]>();
  /** Bodies that the server has said yes to, newer perhaps than what the stream has brought. */
  private readonly acked = new Map<string, string>();

  /** Takes this page's latest act on a board back. */
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

  /** Takes back what was done at a position, as the deleting of a board. */
  async takeBack(position: string): Promise<void> {
    await this.mirror.rest.post("undo", {}, { position });
  }

  // --- helpers -------------------------------------------------------------------------------

  private kept(name: string): string | null {
    return this.sheet(name)?.body ?? (this.sheet(name) ? "{}" : null);
  }

  private sheet(name: string): Sheet | undefined {
    return this.mirror.sheets(KIND).find((sheet) => sheet.name === name);
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
    const based_on = known.map((each) => ({ kind: KIND, ...each }));
    return (await this.mirror.rest.post<Edited>("edits", { edits, reason, based_on })).position;
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}

function put(name: string, body: string): object {
  return { "@": "PutSheet", sheet: { kind: KIND, name, body } };
}

function refusal(error: unknown): Error {
  if (error instanceof ActRefused) return new Error(error.message || t("Somebody has changed this tile meanwhile. Look at it as it is now, then do it again."));
  return error instanceof Error ? error : new Error(String(error));
}
