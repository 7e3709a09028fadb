/**
 * The documents of twins in this page, and the line on which they are kept equal to the server's.
 *
 * What one writes is here at once, goes out in small batches, and is kept on this machine until the
 * server says that it is durable: nothing is lost while the line is. Knows Yjs and the protocol;
 * knows no DOM and no scene.
 */

import * as Y from "yjs";
import type { AuthorAnswer, AuthorMessage, Moves, Moving } from "../protocol.ts";
import { apiUrl } from "../rest.ts";

/** Where a change comes from: typed here, typed here on something of others, or heard. */
export const MINE = "mine";
export const MINE_OF_OTHERS = "mine of others";
const HEARD = "heard";

const BATCH_MS = 80;
const BACKOFF_MS = [300, 800, 2000, 5000];
const KEPT_CHARACTERS_MAX = 2_000_000;
/** Without an answer for so long what was sent is taken for lost, and the line is begun anew. */
const PATIENCE_MS = 15_000;
/** What one holds in arranging is said so often, and again while it is held still. */
const HOLD_MS = 100;
const STILL_HELD_MS = 2_000;
const HELD_MAX = 64;
const NOTHING = 2; // bytes of an update that says nothing

export type LineState = "closed" | "connecting" | "live" | "lost" | "refused";

interface Held {
  doc: Y.Doc;
  undo: Y.UndoManager;
  /** Typed and not sent yet. */
  unsent: Uint8Array[];
  /** Sent and not answered yet: when, by number. */
  open: Map<number, number>;
}

export interface LineTold {
  /** A document has changed. */
  changed(twin: string): void;
  state(state: LineState): void;
  /** What somebody else holds in arranging. */
  moves(moves: Moves): void;
  /** The server did not take something; the page has gone back to what the server has. */
  refused(twin: string, detail: string, mend: string): void;
}

export class AuthorLine {
  state: LineState = "closed";
  me = "";
  mayWrite = false;
  readonly #told: LineTold;
  readonly #held = new Map<string, Held>();
  /** Twins in the order in which one wrote about them, and took that back: what is undone next. */
  readonly #order: string[] = [];
  readonly #redone: string[] = [];
  readonly #key: string;
  #socket: WebSocket | null = null;
  #hasBegun = false;
  #number = 0;
  #failures = 0;
  #retry = 0;
  #batch = 0;
  #inHand: Moving = { twins: [], dx_m: 0, dz_m: 0, is_arranging: false };
  #isHandNew = false;
  #holdTimer = 0;

  constructor(world: string, person: string, told: LineTold) {
    this.#told = told;
    this.me = person;
    this.#key = `mirrorworld.unsent.${world}.${person}`;
    window.addEventListener("online", () => this.#soon(0));
    window.addEventListener("pagehide", () => this.#keep());
    window.setInterval(() => this.#watch(), PATIENCE_MS / 3);
    window.setInterval(() => this.#inHand.twins.length > 0 && this.#sayHand(), STILL_HELD_MS);
  }

  /** Twins with a document. */
  twins(): Iterable<string> {
    return this.#held.keys();
  }

  has(twin: string): boolean {
    return this.#held.has(twin);
  }

  map(twin: string, root: "notes" | "tasks"): Y.Map<unknown> {
    return this.#hold(twin).doc.getMap(root);
  }

  /** Changes a document as one step that can be undone; `ofOthers`: it is not to be. */
  change(twin: string, act: () => void, ofOthers = false): void {
    this.#hold(twin).doc.transact(act, ofOthers ? MINE_OF_OTHERS : MINE);
  }

  /** How many batches are not known to be durable. */
  get open(): number {
    let n = 0;
    for (const held of this.#held.values()) n += held.open.size + (held.unsent.length > 0 ? 1 : 0);
    return n;
  }

  get canUndo(): boolean {
    return this.#order.some((twin) => this.#held.get(twin)?.undo.canUndo());
  }

  get canRedo(): boolean {
    return [...this.#held.values()].some((held) => held.undo.canRedo());
  }

  /** Takes one's own latest step back; the twin that it was about. */
  undo(): string | null {
    for (let twin = this.#order.pop(); twin !== undefined; twin = this.#order.pop()) {
      const undo = this.#held.get(twin)?.undo;
      if (undo?.canUndo()) {
        undo.undo();
        this.#redone.push(twin);
        return twin;
      }
    }
    return null;
  }

  /** Does again what was taken back last; the twin that it was about. */
  redo(): string | null {
    for (let twin = this.#redone.pop(); twin !== undefined; twin = this.#redone.pop()) {
      const undo = this.#held.get(twin)?.undo;
      if (undo?.canRedo()) {
        undo.redo();
        return twin;
      }
    }
    return null;
  }

  connect(): void {
    if (this.state === "closed") this.#restore();
    if (this.#socket === null) this.#connect();
  }

  /** Cuts the line as a failing network would; it comes back by itself. */
  drop(): void {
    this.#socket?.close(4000, "dropped");
  }

  /** Shows others what one holds in arranging, and how far from where it stands; it is kept nowhere. */
  hold(twins: readonly string[], dx_m = 0, dz_m = 0, isArranging = true): void {
    this.#inHand = { twins: twins.slice(0, HELD_MAX), dx_m, dz_m, is_arranging: isArranging };
    this.#isHandNew = true;
    if (this.#holdTimer === 0) this.#sayHand();
  }

  #sayHand(): void {
    if (!this.#hasBegun) return;
    this.#isHandNew = false;
    this.#say({ "@": "Moving", ...this.#inHand });
    window.clearTimeout(this.#holdTimer);
    this.#holdTimer = window.setTimeout(() => {
      this.#holdTimer = 0;
      if (this.#isHandNew) this.#sayHand();
    }, HOLD_MS);
  }

  // --- documents -----------------------------------------------------------------------------

  #hold(twin: string): Held {
    const known = this.#held.get(twin);
    if (known !== undefined) return known;
    const doc = new Y.Doc();
    const undo = new Y.UndoManager([doc.getMap("notes"), doc.getMap("tasks")], { trackedOrigins: new Set([MINE]), captureTimeout: 700 });
    undo.on("stack-item-added", ({ type }: { type: string }) => {
      if (type === "undo") this.#order.push(twin);
    });
    const held: Held = { doc, undo, unsent: [], open: new Map() };
    this.#held.set(twin, held);
    doc.on("update", (update: Uint8Array, origin: unknown) => {
      if (origin !== HEARD) {
        held.unsent.push(update);
        this.#sendSoon();
      }
      this.#told.changed(twin);
    });
    return held;
  }

  #forget(twin: string): void {
    const held = this.#held.get(twin);
    if (held === undefined) return;
    held.undo.destroy();
    held.doc.destroy();
    this.#held.delete(twin);
    this.#told.changed(twin);
  }

  // --- the line ------------------------------------------------------------------------------

  #setState(state: LineState): void {
    if (state === this.state) return;
    this.state = state;
    this.#told.state(state);
  }

  #connect(): void {
    const url = apiUrl("author");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#hasBegun = false;
    this.#setState(this.#failures === 0 ? "connecting" : "lost");
    socket.onopen = () => {
      const states: Record<string, string> = {};
      for (const [twin, { doc }] of this.#held) states[twin] = toBase64(Y.encodeStateVector(doc));
      this.#say({ "@": "Begin", states });
    };
    socket.onmessage = (event: MessageEvent<string>) => {
      if (socket === this.#socket) this.#receive(JSON.parse(event.data) as AuthorAnswer);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#lost(event.code);
    };
  }

  #lost(code: number): void {
    this.#hasBegun = false;
    this.#socket = null;
    this.#keep();
    if (code === 4401 || code === 4403) {
      this.#setState("refused");
      return;
    }
    this.#setState("lost");
    this.#soon(BACKOFF_MS[Math.min(this.#failures++, BACKOFF_MS.length - 1)]!);
  }

  #soon(wait_ms: number): void {
    if (this.#socket !== null || this.state === "closed" || this.state === "refused") return;
    window.clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => this.#socket === null && this.#connect(), wait_ms);
  }

  #watch(): void {
    const since = performance.now() - PATIENCE_MS;
    if (this.#hasBegun && [...this.#held.values()].some(({ open }) => [...open.values()].some((sent) => sent < since))) this.drop();
  }

  #say(message: AuthorMessage): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #receive(message: AuthorAnswer): void {
    switch (message["@"]) {
      case "Document": {
        const held = this.#hold(message.twin);
        Y.applyUpdate(held.doc, fromBase64(message.update), HEARD);
        if (held.unsent.length + held.open.size === 0) break;
        // What was open when the line was lost may be there or not: what lacks there goes again.
        held.open.clear();
        held.unsent = [];
        const lacking = Y.encodeStateAsUpdate(held.doc, fromBase64(message.state));
        if (lacking.length > NOTHING) this.#write(message.twin, held, lacking);
        break;
      }
      case "Wrote":
        Y.applyUpdate(this.#hold(message.twin).doc, fromBase64(message.update), HEARD);
        break;
      case "Began":
        this.me = message.me;
        this.mayWrite = message.may_write;
        this.#hasBegun = true;
        this.#failures = 0;
        this.#setState("live");
        this.#send();
        if (this.#inHand.is_arranging) this.#sayHand();
        break;
      case "Moves":
        this.#told.moves(message);
        break;
      case "Took":
        for (const held of this.#held.values()) held.open.delete(message.id);
        if (this.open === 0) this.#keep();
        this.#told.state(this.state);
        break;
      case "NotTaken": {
        if (!message.lacks) {
          this.#told.refused(message.twin, message.detail, message.mend);
          if (message.twin === "") break;
          this.#forget(message.twin);
        }
        this.#keep();
        this.#failures = 0;
        this.drop(); // and begin anew: the document comes as the server has it
        break;
      }
      case "Gone":
        this.#forget(message.twin);
        break;
    }
  }

  #sendSoon(): void {
    this.#batch ||= window.setTimeout(() => {
      this.#batch = 0;
      if (this.#hasBegun) this.#send();
      else this.#keep();
    }, BATCH_MS);
  }

  #send(): void {
    for (const [twin, held] of this.#held) {
      if (held.unsent.length === 0) continue;
      const update = held.unsent.length === 1 ? held.unsent[0]! : Y.mergeUpdates(held.unsent);
      held.unsent = [];
      this.#write(twin, held, update);
    }
    this.#told.state(this.state);
  }

  #write(twin: string, held: Held, update: Uint8Array): void {
    const id = ++this.#number;
    held.open.set(id, performance.now());
    this.#say({ "@": "Write", id, twin, update: toBase64(update) });
  }

  // --- kept on this machine ------------------------------------------------------------------

  /** Keeps what the server may not have. Documents whole, since an update alone may not fit. */
  #keep(): void {
    const kept: Record<string, string> = {};
    let size = 0;
    for (const [twin, held] of this.#held) {
      if (held.unsent.length + held.open.size === 0) continue;
      const text = toBase64(Y.encodeStateAsUpdate(held.doc));
      size += text.length;
      if (size <= KEPT_CHARACTERS_MAX) kept[twin] = text;
    }
    try {
      if (size === 0) localStorage.removeItem(this.#key);
      else localStorage.setItem(this.#key, JSON.stringify(kept));
    } catch {
      // Forbidden or full: it lasts as long as the page.
    }
  }

  #restore(): void {
    try {
      const kept = JSON.parse(localStorage.getItem(this.#key) ?? "{}") as Record<string, string>;
      for (const [twin, text] of Object.entries(kept)) {
        const held = this.#hold(twin);
        Y.applyUpdate(held.doc, fromBase64(text), HEARD);
        held.open.set(0, performance.now());
      }
    } catch {
      // Not readable: what was kept is given up.
    }
  }
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(text);
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
