/**
 * A meeting as this page knows it: who is here and where, what they say and look at, and the line
 * to the server, which comes back by itself.
 *
 * Knows the protocol and no DOM. Poses are told ten times a second while one moves; those of others
 * are shown a little late, so that they glide (`track.ts`).
 */

import { CLOSE_PUT_OUT, MEETING_VERSION, POSE_HZ } from "../protocol.ts";
import type { Attendee, Entered, MeetClientMessage, MeetServerMessage, Moment, RecordingNow, Said } from "../protocol.ts";
import { apiUrl } from "../rest.ts";
import type { Body } from "../scene/layers.ts";
import { decodePoses, encodePose, isStill } from "./poses.ts";
import { DELAY_MS, Track } from "./track.ts";

export type { Moment, Said } from "../protocol.ts";

/** Somebody in the meeting. */
export interface Person extends Attendee {
  /** Where they are now; null: not heard yet. Of others, as it is shown. */
  readonly body: Body | null;
}

/** How it stands with the line. */
export type MeetingState = "out" | "joining" | "in" | "lost" | "ended";

export interface MeetingTold {
  /** People came, went or changed; ids of those who did. */
  people: { put: readonly number[]; gone: readonly number[] };
  /** Somebody moved. */
  poses: { ids: readonly number[] };
  signal: { from: number; kind: string; data: string };
  chat: Said;
  /** The line, or one's own place in the meeting. */
  state: { state: MeetingState; detail: string };
  /** Another room: all that is going on in it is known now. */
  entered: Entered;
  moment: Moment;
  presenting: { id: number };
  /** How it stands with the recording of this room; null: there is none any more. */
  recording: { now: RecordingNow | null; before: RecordingNow | null; ended: string };
  brought: { by: number; is_now: boolean };
  refusal: { detail: string; place: string; mend: string };
}

type Listener<K extends keyof MeetingTold> = (told: MeetingTold[K]) => void;

const BACKOFF_MS = [250, 500, 1000, 2000, 4000];
const SILENCE_MS = 6000;
const CHAT_KEPT = 200;
const KEY = "mirrorworld.meeting";

class Known implements Person {
  readonly track = new Track();
  id = 0;
  name = "";
  account = "";
  role = "";
  place = "";
  selected = "";
  is_muted = false;
  hand = 0;
  is_away = false;
  is_own_way = false;
  follows = 0;
  readonly #meeting: Meeting;

  constructor(meeting: Meeting) {
    this.#meeting = meeting;
  }

  get body(): Body | null {
    if (this.id === this.#meeting.me) return this.#meeting.ownBody;
    return this.track.at(this.#meeting.nowMs() - DELAY_MS);
  }
}

export class Meeting {
  me = 0;
  state: MeetingState = "out";
  /** Why it is as it is, to be read. */
  detail = "";
  isModerator = false;
  /** One may ask the others for a recording. */
  mayRecord = false;
  /** Asked for, running or waiting; null: neither. */
  recording: RecordingNow | null = null;
  place = "";
  presenter = 0;
  moment: Moment = { source_ms: null, speed: 0, branch: "", by: 0, at_ms: 0 };
  readonly chat: Said[] = [];
  /** Where one is now, as others are told. */
  ownBody: Body | null = null;
  readonly #people = new Map<number, Known>();
  readonly #listeners = new Map<keyof MeetingTold, Set<Listener<never>>>();
  #socket: WebSocket | null = null;
  #name = "";
  #failures = 0;
  #retry = 0;
  #beat = 0;
  #heardMs = 0;
  #offsetMs = 0;
  #sentBody: Body | null = null;

  /** Says where one is; asked ten times a second while one is in a meeting. */
  where: () => Body | null = () => null;

  constructor() {
    window.addEventListener("online", () => this.#soon(0));
    // A page that goes says so: others need not wait for it. One that is shown again comes back.
    window.addEventListener("pagehide", () => this.#socket?.close(1000));
    window.addEventListener("pageshow", (event) => event.persisted && this.#soon(0));
  }

  people(): ReadonlyMap<number, Person> {
    return this.#people;
  }

  get self(): Person | null {
    return this.#people.get(this.me) ?? null;
  }

  get isIn(): boolean {
    return this.state === "in";
  }

  /** The server's clock, Unix milliseconds. */
  nowMs(): number {
    return Date.now() + this.#offsetMs;
  }

  /** What was last heard of where somebody is; `body` of a person is what is shown. */
  latest(id: number): Body | null {
    return this.#people.get(id)?.track.latest ?? null;
  }

  /** Whether somebody in this room is about to be drawn elsewhere than now. */
  isMoving(): boolean {
    const at = this.nowMs() - DELAY_MS;
    for (const person of this.#people.values()) if (person.place === this.place && person.track.isMoving(at)) return true;
    return false;
  }

  /** Joins, by the name that one has or chose; with no name as one's account is called. */
  join(name = "", place = ""): void {
    if (this.state !== "out" && this.state !== "ended") return;
    this.#name = name;
    this.place = place;
    this.#failures = 0;
    this.#connect();
  }

  /** Goes for good. */
  leave(): void {
    this.send({ "@": "Leave" });
    this.#end("out", "");
  }

  send(message: MeetClientMessage): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  /** Says what is new about oneself. */
  stand(stance: Partial<Pick<Attendee, "name" | "selected" | "is_muted" | "is_own_way" | "follows">> & { is_hand_raised?: boolean }): void {
    const silent = { name: null, selected: null, is_muted: null, is_hand_raised: null, is_own_way: null, follows: null };
    if (stance.name !== undefined) this.#name = stance.name;
    this.send({ "@": "Stance", ...silent, ...stance });
  }

  /** Cuts the line as a failing network would; it comes back by itself. */
  dropLine(): void {
    this.#socket?.close(4000, "dropped");
  }

  on<K extends keyof MeetingTold>(what: K, listener: Listener<K>): () => void {
    let listeners = this.#listeners.get(what);
    if (listeners === undefined) this.#listeners.set(what, (listeners = new Set()));
    listeners.add(listener as Listener<never>);
    return () => listeners.delete(listener as Listener<never>);
  }

  #tell<K extends keyof MeetingTold>(what: K, told: MeetingTold[K]): void {
    for (const listener of this.#listeners.get(what) ?? []) {
      try {
        (listener as Listener<K>)(told);
      } catch (error) {
        console.error(`meeting: a listener of '${what}' failed`, error);
      }
    }
  }

  // --- the line ----------------------------------------------------------------------------

  #connect(): void {
    const url = apiUrl("meet");
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#set(this.#failures > 0 || this.me !== 0 ? "lost" : "joining", "");
    socket.onopen = () => {
      this.#heardMs = performance.now();
      this.#sentBody = null;
      this.send({ "@": "Join", name: this.#name, key: ownKey(), place: this.place, id: this.me });
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (socket === this.#socket) this.#receive(event.data);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#lost(event.code, event.reason);
    };
  }

  #lost(code: number, reason: string): void {
    window.clearInterval(this.#beat);
    this.#socket = null;
    if (this.state === "out" || this.state === "ended") return;
    // Codes that say as those of HTTP why this meeting is not to be had.
    if (code >= 4400 && code <= 4499) {
      if (code === CLOSE_PUT_OUT) renewKey();
      this.#end("ended", reason);
      return;
    }
    this.#set("lost", "");
    this.#soon(BACKOFF_MS[Math.min(this.#failures++, BACKOFF_MS.length - 1)]!);
  }

  #soon(wait_ms: number): void {
    if (this.state !== "lost" || this.#socket !== null) return;
    window.clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => this.state === "lost" && this.#socket === null && this.#connect(), wait_ms);
  }

  #end(state: "out" | "ended", detail: string): void {
    window.clearInterval(this.#beat);
    window.clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
    const gone = [...this.#people.keys()];
    this.#people.clear();
    this.chat.length = 0;
    this.me = this.presenter = 0;
    this.#record(null, "");
    this.#tell("people", { put: [], gone });
    this.#set(state, detail);
  }

  #set(state: MeetingState, detail: string): void {
    if (state === this.state && detail === this.detail) return;
    this.state = state;
    this.detail = detail;
    this.#tell("state", { state, detail });
  }

  /** Ten times a second: says where one is if one has moved, and looks whether the line lives. */
  #tick(): void {
    const silence_ms = performance.now() - this.#heardMs;
    if (silence_ms > 2 * SILENCE_MS) this.#socket?.close(4000, "silence");
    else if (silence_ms > SILENCE_MS) this.send({ "@": "Ping", id: 0 });
    if (!this.isIn || this.#socket?.readyState !== WebSocket.OPEN) return;
    const body = this.where();
    if (body === null || isStill(this.#sentBody, body)) return;
    this.ownBody = this.#sentBody = body;
    this.#socket.send(encodePose(body));
  }

  // --- what comes in -------------------------------------------------------------------------

  #receive(data: string | ArrayBuffer): void {
    this.#heardMs = performance.now();
    if (typeof data !== "string") {
      this.#receivePoses(data);
      return;
    }
    const message = JSON.parse(data) as MeetServerMessage;
    switch (message["@"]) {
      case "Joined":
        if (message.version !== MEETING_VERSION) {
          this.#end("ended", "The server has another version than this page. Reload the page.");
          return;
        }
        this.me = message.id;
        this.isModerator = message.is_moderator;
        this.mayRecord = message.may_record;
        this.#offsetMs = message.now_ms - Date.now();
        this.#failures = 0;
        this.#attend(message.people, [...this.#people.keys()].filter((id) => !message.people.some((each) => each.id === id)));
        window.clearInterval(this.#beat);
        this.#beat = window.setInterval(() => this.#tick(), 1000 / POSE_HZ);
        this.#set("in", "");
        break;
      case "Attendance":
        this.#attend(message.put, message.gone);
        break;
      case "Entered":
        this.place = message.place;
        this.moment = message.moment;
        this.presenter = message.presenter;
        this.chat.splice(0, Infinity, ...message.chat);
        this.#sentBody = null;
        this.#record(null, "");
        this.#tell("entered", message);
        break;
      case "Said":
        this.chat.push(message);
        if (this.chat.length > CHAT_KEPT) this.chat.shift();
        this.#tell("chat", message);
        break;
      case "Moment":
        this.moment = message;
        this.#tell("moment", message);
        break;
      case "Presenting":
        this.presenter = message.id;
        this.#tell("presenting", { id: message.id });
        break;
      case "Brought":
        this.#tell("brought", message);
        break;
      case "RecordingNow":
        this.#record(message.state === "ended" ? null : message, message.detail);
        break;
      case "Signalled":
        this.#tell("signal", { from: message.by, kind: message.kind, data: message.data });
        break;
      case "Refusal":
        this.#tell("refusal", message);
        break;
      case "Pong":
        break;
    }
  }

  #record(now: RecordingNow | null, ended: string): void {
    const before = this.recording;
    if (before === now) return;
    this.recording = now;
    this.#tell("recording", { now, before, ended });
  }

  #attend(put: readonly Attendee[], gone: readonly number[]): void {
    for (const id of gone) this.#people.delete(id);
    for (const each of put) {
      let person = this.#people.get(each.id);
      if (person === undefined) this.#people.set(each.id, (person = new Known(this)));
      Object.assign(person, each);
    }
    this.#tell("people", { put: put.map(({ id }) => id), gone });
  }

  #receivePoses(data: ArrayBuffer): void {
    const ids: number[] = [];
    decodePoses(data, (id, atMs, body) => {
      if (id === this.me) return;
      this.#people.get(id)?.track.put(atMs, body);
      ids.push(id);
    });
    if (ids.length > 0) this.#tell("poses", { ids });
  }
}

let key = "";

/** By which the server knows this page again after a loss or a reload; another tab is another person. */
function ownKey(): string {
  try {
    key ||= sessionStorage.getItem(KEY) ?? "";
  } catch {
    // Storage may be forbidden: then a reload is another person.
  }
  return key || renewKey();
}

function renewKey(): string {
  key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    // See above.
  }
  return key;
}
