/**
 * The one WebSocket of the page: it connects, resumes where it was, and comes back by itself.
 *
 * Knows the protocol's messages and frames, and nothing of what they are about.
 */

import { decodeFrame, PROTOCOL_VERSION, RATE_HZ_DEFAULT } from "./protocol.ts";
import type { ClientMessage, ServerMessage, ValueFrame } from "./protocol.ts";

export type LinkState = "connecting" | "live" | "reconnecting" | "refused";

export interface StreamListener {
  link(state: LinkState, detail: string): void;
  message(message: ServerMessage): void;
  frame(frame: ValueFrame): void;
  /** Where to go on after a reconnect; null: from nothing. */
  position(): string | null;
}

const BACKOFF_MS = [250, 500, 1000, 2000, 4000, 8000];
/** Without a word for this long the line is tried with a ping, and given up after as long again. */
const SILENCE_MS = 8000;
const CLOSE_LOGIN = 4401;
/** Codes that say as those of HTTP why this stream is not to be had, 4404 for one that is not there. */
const CLOSE_REFUSED: readonly [number, number] = [4400, 4499];

export class Stream {
  readonly #listener: StreamListener;
  readonly #url: string;
  #socket: WebSocket | null = null;
  #failures = 0;
  #timer = 0;
  #watchdog = 0;
  #heardMs = 0;
  #isClosed = false;
  #hasRefused = false;
  readonly #ended = new AbortController();

  constructor(url: URL, listener: StreamListener) {
    const address = new URL(url);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.#url = address.href;
    this.#listener = listener;
    // A machine that comes back to the network need not wait for the next try.
    window.addEventListener("online", () => this.#soon(0), { signal: this.#ended.signal });
  }

  get isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  open(): void {
    this.#isClosed = false;
    this.#connect();
  }

  /** Ends it for good. */
  close(): void {
    this.#isClosed = true;
    this.#ended.abort();
    window.clearTimeout(this.#timer);
    window.clearInterval(this.#watchdog);
    this.#socket?.close(1000);
  }

  /** Lets go of the line without leave; the stream comes back as after any loss. */
  drop(): void {
    this.#socket?.close(4000, "dropped");
  }

  /** Sends a message; false if there is no line now. */
  send(message: ClientMessage): boolean {
    if (!this.isOpen) return false;
    this.#socket!.send(JSON.stringify(message));
    return true;
  }

  #connect(): void {
    this.#listener.link(this.#failures === 0 ? "connecting" : "reconnecting", "");
    const socket = new WebSocket(this.#url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => {
      this.#heardMs = performance.now();
      this.send({
        "@": "Hello",
        resume: this.#listener.position(),
        rate_hz: RATE_HZ_DEFAULT,
        watch: null,
      });
      window.clearInterval(this.#watchdog);
      this.#watchdog = window.setInterval(() => this.#watch(), SILENCE_MS / 2);
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (socket === this.#socket) this.#receive(event.data);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#lost(event.code, event.reason);
    };
  }

  #receive(data: string | ArrayBuffer): void {
    this.#heardMs = performance.now();
    if (typeof data !== "string") {
      this.#listener.frame(decodeFrame(data));
      return;
    }
    const message = JSON.parse(data) as ServerMessage;
    if (message["@"] === "Welcome") {
      if (message.protocol !== PROTOCOL_VERSION) {
        this.#refuse("The server has another version than this page. Reload the page.");
        return;
      }
      this.#failures = 0;
      this.#listener.link("live", "");
    }
    this.#listener.message(message);
  }

  #lost(code: number, reason: string): void {
    window.clearInterval(this.#watchdog);
    if (this.#isClosed || this.#hasRefused) return;
    if (code === CLOSE_LOGIN) {
      this.#refuse("Not logged in. Open the address that the server printed when it started.");
      return;
    }
    if (code >= CLOSE_REFUSED[0] && code <= CLOSE_REFUSED[1]) {
      this.#refuse(reason);
      return;
    }
    const wait = BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)]!;
    this.#failures += 1;
    this.#listener.link("reconnecting", reason || "The line to the server was lost.");
    this.#soon(wait);
  }

  #refuse(detail: string): void {
    this.#hasRefused = true;
    this.#listener.link("refused", detail);
    this.#socket?.close(1000);
  }

  #soon(wait_ms: number): void {
    if (this.#isClosed || this.#hasRefused) return;
    if (this.#socket !== null && this.#socket.readyState <= WebSocket.OPEN) return;
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#connect(), wait_ms);
  }

  #watch(): void {
    const silence = performance.now() - this.#heardMs;
    if (silence > 2 * SILENCE_MS) this.#socket?.close(4000, "silence");
    else if (silence > SILENCE_MS) this.send({ "@": "Ping", id: 0 });
  }
}
