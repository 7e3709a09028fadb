/**
 * Voice in a meeting: joining it, one's microphone, and the voices of others from where they stand.
 *
 * Nothing is asked of the browser and no line is opened before `join`. Straight lines between few
 * people, the server's forwarder between many (`voice_lines.ts`); how it sounds is `voice_graph.ts`.
 */

import { Ray, Vector3 } from "three";
import { remembered } from "../panels/context.ts";
import { VOICE_SLOTS } from "../protocol.ts";
import type { MeetClientMessage, VoiceClientMessage, VoiceRoster, VoiceServerMessage } from "../protocol.ts";
import type { SceneApi } from "../scene/api.ts";
import type { Meeting } from "./meeting.ts";
import { Ears, type Heard } from "./voice_graph.ts";
import { Forwarded, Straight, type LineSaid, type LineState } from "./voice_lines.ts";
import { HEARD_MAX, seenFrom, treatments, wallsBetween, type Treatment } from "./voice_place.ts";

/** How it stands with voice. */
export type VoiceState = "out" | "joining" | "in";
/** The microphone: none (one hears only), open, muted, or open while one presses. */
export type Microphone = "none" | "open" | "muted" | "press";
/** Why there is no voice, or no microphone. */
export type VoiceTrouble = "" | "no-webrtc" | "insecure" | "refused" | "no-microphone" | "busy" | "full" | "forwarder";

const TICK_MS = 50;
/** A voice's walls are counted this many at a tick: rays cost. */
const WALLS_A_TICK = 1;
/** Of signals of a meeting that are about voice. */
const KIND = "voice";

export class Voice {
  state: VoiceState = "out";
  microphone: Microphone = "none";
  trouble: VoiceTrouble = "";
  /** Whether one presses to talk right now. */
  isPressed = false;
  isPressToTalk: boolean;
  /** Voices come from where people stand; else all are equally loud. */
  isPlaced: boolean;
  /** Straight lines, or by way of the server. */
  way: "straight" | "forwarded" = "straight";
  /** How many may be in voice here. */
  limit = 0;
  ears: Ears | null = null;
  readonly #meeting: Meeting;
  readonly #scene: SceneApi;
  readonly #listeners = new Set<() => void>();
  readonly #straight = new Map<number, Straight>();
  readonly #volumes = new Map<number, number>();
  readonly #walls = new Map<number, number>();
  readonly #stored = { press: remembered<boolean>("voice.press", false), placed: remembered<boolean>("voice.placed", true), input: remembered<string>("voice.input", ""), output: remembered<string>("voice.output", "") };
  #roster: VoiceRoster | null = null;
  #forwarded: { line: Forwarded; epoch: number } | null = null;
  #slots: number[] = [];
  #stream: MediaStream | null = null;
  #treatments = new Map<number, Treatment>();
  #timer = 0;
  #turn = 0;
  #retry = 0;
  #speaking = "";
  #asked = 0;
  /** Tells this joining from others of the same person. */
  #page = "";

  constructor(meeting: Meeting, scene: SceneApi) {
    this.#meeting = meeting;
    this.#scene = scene;
    this.isPressToTalk = this.#stored.press.get();
    this.isPlaced = this.#stored.placed.get();
    meeting.on("signal", ({ from, kind, data }) => {
      if (kind !== KIND || this.state === "out") return;
      if (from === 0) this.#hear(data);
      else this.#hearPerson(from, data);
    });
    meeting.on("state", ({ state }) => {
      if (state === "out" || state === "ended") this.leave();
      // The server may have forgotten us while the line was lost.
      else if (state === "in" && this.state !== "out") this.#enter();
    });
    meeting.on("entered", () => {
      if (this.state !== "out") this.#enter();
    });
  }

  on(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // --- what one does -------------------------------------------------------------------------

  /** Joins with one's microphone; where there is none, hears only, and says why. */
  async join(): Promise<void> {
    if (this.state !== "out" || !this.#meeting.isIn) return;
    if (typeof RTCPeerConnection === "undefined" || typeof AudioContext === "undefined") {
      this.trouble = "no-webrtc";
      this.#tell();
      return;
    }
    this.state = "joining";
    this.trouble = "";
    this.ears = new Ears();
    this.#page = crypto.getRandomValues(new Uint32Array(2)).join("-");
    const asked = ++this.#asked;
    this.#tell();
    await this.#open(this.#stored.input.get());
    if (asked !== this.#asked) return; // left while the browser asked
    if (this.#stored.output.get() !== "") void this.ears.setDevice(this.#stored.output.get()).catch(() => undefined);
    this.state = "in";
    this.#enter();
    this.#timer = window.setInterval(() => this.#tick(), TICK_MS);
    this.#tell();
  }

  leave(): void {
    this.#asked += 1;
    if (this.state === "out") return;
    this.state = "out";
    window.clearInterval(this.#timer);
    window.clearTimeout(this.#retry);
    this.#meeting.send(toServer({ "@": "VoiceLeave" }));
    this.#hangUp();
    this.#stop();
    this.ears?.close();
    this.ears = null;
    this.#roster = null;
    this.#treatments.clear();
    this.#walls.clear();
    if (this.microphone !== "none") this.#meeting.stand({ is_muted: false });
    this.microphone = "none";
    this.trouble = "";
    this.isPressed = false;
    this.#tell();
  }

  /** Mutes the microphone or opens it again; where there was none, asks for one once more. */
  async toggleMute(): Promise<void> {
    if (this.state !== "in") return;
    if (this.microphone === "none") {
      await this.#open(this.#stored.input.get());
      for (const line of this.#lines()) line.setTrack(this.#track);
    } else this.#set(this.microphone === "muted" ? (this.isPressToTalk ? "press" : "open") : "muted");
    this.#tell();
  }

  setPressToTalk(isOn: boolean): void {
    this.isPressToTalk = isOn;
    this.#stored.press.set(isOn);
    if (this.microphone !== "none") this.#set(isOn ? "press" : "open");
    this.#tell();
  }

  /** Talks while it is pressed. */
  press(isPressed: boolean): void {
    if (this.isPressed === isPressed || this.microphone !== "press") return;
    this.isPressed = isPressed;
    this.#set("press");
    this.#tell();
  }

  setPlaced(isPlaced: boolean): void {
    this.isPlaced = isPlaced;
    this.#stored.placed.set(isPlaced);
    this.#tell();
  }

  /** How loud one hears a person, 0 to 2; 1 is as they speak. */
  setVolume(id: number, volume: number): void {
    this.#volumes.set(id, Math.min(Math.max(volume, 0), 2));
  }

  volume(id: number): number {
    return this.#volumes.get(id) ?? 1;
  }

  get input(): string {
    return this.#stored.input.get();
  }

  get output(): string {
    return this.#stored.output.get();
  }

  /** Speaks into another microphone from now on; "": the usual one. */
  async setInput(id: string): Promise<void> {
    this.#stored.input.set(id);
    if (this.state !== "in") return;
    await this.#open(id);
    for (const line of this.#lines()) line.setTrack(this.#track);
    this.#tell();
  }

  async setOutput(id: string): Promise<void> {
    this.#stored.output.set(id);
    await this.ears?.setDevice(id);
  }

  // --- what is known -------------------------------------------------------------------------

  /** Who is in voice in this room, oneself too. */
  people(): readonly number[] {
    return this.#roster?.people.map(({ id }) => id) ?? [];
  }

  isSpeaking(id: number): boolean {
    if (id === this.#meeting.me) return (this.ears?.own?.isSpeaking ?? false) && this.#isOpen;
    return this.ears?.heard.get(id)?.level.isSpeaking ?? false;
  }

  /** How the line to a person is; null: there is none. */
  lineTo(id: number): LineState | null {
    return this.way === "forwarded" ? (this.#forwarded?.line.state ?? null) : (this.#straight.get(id)?.state ?? null);
  }

  /** How a person is heard, for tests and the curious. */
  heardAs(id: number): Pick<Heard, "treatment" | "walls" | "seen"> | null {
    return this.ears?.heard.get(id) ?? null;
  }

  // --- the microphone ------------------------------------------------------------------------

  get #isOpen(): boolean {
    return this.microphone === "open" || (this.microphone === "press" && this.isPressed);
  }

  get #track(): MediaStreamTrack | null {
    return this.#stream?.getAudioTracks()[0] ?? null;
  }

  async #open(deviceId: string): Promise<void> {
    this.#stop();
    const { mediaDevices } = navigator as { mediaDevices?: MediaDevices };
    if (mediaDevices === undefined) {
      this.#without(window.isSecureContext ? "no-webrtc" : "insecure");
      return;
    }
    const asked = this.#asked;
    const wanted: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
    if (deviceId !== "") wanted.deviceId = { ideal: deviceId };
    try {
      const stream = await mediaDevices.getUserMedia({ audio: wanted });
      if (asked !== this.#asked || this.ears === null) {
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      this.#stream = stream;
    } catch (error) {
      const name = error instanceof Error ? error.name : "";
      this.#without(name === "NotAllowedError" || name === "SecurityError" ? "refused" : name === "NotReadableError" || name === "AbortError" ? "busy" : "no-microphone");
      return;
    }
    this.trouble = "";
    this.ears.watchOwn(this.#stream);
    const track = this.#track!;
    track.onended = () => {
      this.#without("no-microphone"); // it was pulled out
      for (const line of this.#lines()) line.setTrack(null);
      this.#tell();
    };
    this.#set(this.microphone === "muted" ? "muted" : this.isPressToTalk ? "press" : "open");
  }

  #without(trouble: VoiceTrouble): void {
    this.#stop();
    this.trouble = trouble;
    this.microphone = "none";
    if (this.#meeting.isIn) this.#meeting.stand({ is_muted: true });
  }

  #set(microphone: Microphone): void {
    this.microphone = microphone;
    if (microphone !== "press") this.isPressed = false;
    const track = this.#track;
    if (track !== null) track.enabled = this.#isOpen;
    this.#meeting.stand({ is_muted: microphone === "muted" });
  }

  #stop(): void {
    this.ears?.watchOwn(null);
    for (const track of this.#stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.#stream = null;
  }

  // --- lines ---------------------------------------------------------------------------------

  #enter(): void {
    if (this.state === "in") this.#meeting.send(toServer({ "@": "VoiceJoin", page: this.#page }));
  }

  #lines(): Iterable<{ setTrack(track: MediaStreamTrack | null): void }> {
    return this.#forwarded === null ? this.#straight.values() : [this.#forwarded.line];
  }

  #hangUp(): void {
    for (const id of [...this.#straight.keys()]) this.#drop(id);
    this.#forwarded?.line.close();
    this.#forwarded = null;
    for (const id of [...(this.ears?.heard.keys() ?? [])]) this.ears!.drop(id);
    this.#slots = [];
  }

  #drop(id: number): void {
    this.#straight.get(id)?.close();
    this.#straight.delete(id);
    this.ears?.drop(id);
  }

  /** What the server says about voice. */
  #hear(data: string): void {
    const message = read(data);
    switch (message?.["@"]) {
      case "VoiceRoster":
        this.#roster = message;
        this.limit = message.limit;
        if (this.trouble === "full" || this.trouble === "forwarder") this.trouble = "";
        if (this.way !== message.way) {
          this.#hangUp();
          this.way = message.way as "straight" | "forwarded";
        }
        if (this.way === "straight") this.#connect();
        else if (this.#forwarded?.epoch !== message.epoch) this.#connectForwarder(message.epoch);
        break;
      case "VoiceAnswer":
        if (this.#forwarded?.epoch === message.epoch) void this.#forwarded.line.answer(message.sdp).catch((error: unknown) => console.warn("voice: the forwarder's answer", error));
        break;
      case "VoiceSlots":
        this.#takeSlots(message.slots);
        break;
      case "VoiceRefused":
        if (message.why === "full") {
          this.leave();
          this.trouble = "full";
        } else {
          this.trouble = "forwarder";
          this.#again();
        }
        break;
    }
    this.#tell();
  }

  /** Straight lines to all who are in, and to no others. */
  #connect(): void {
    const roster = this.#roster!;
    const { me } = this.#meeting;
    const own = roster.people.find(({ id }) => id === me);
    if (own === undefined) return; // we are told again once the server knows us
    const wanted = new Map(roster.people.filter(({ id }) => id !== me).map(({ id, join }) => [id, [own.join, join].sort((a, b) => a - b).join("-")]));
    for (const [id, line] of [...this.#straight]) if (wanted.get(id) !== line.session) this.#drop(id);
    for (const [id, session] of wanted) {
      if (this.#straight.has(id)) continue;
      const line = new Straight(
        session,
        me < id,
        roster.ice.map(({ urls, username, credential }) => (username === "" ? { urls } : { urls, username, credential })),
        this.#track,
        (said) => this.#meeting.send({ "@": "Signal", to: id, kind: KIND, data: JSON.stringify(said) }),
        { heard: (stream) => this.ears?.hear(id, stream), changed: () => this.#tell() },
      );
      this.#straight.set(id, line);
    }
  }

  /** What another page says of the line between us; what is of an older line is not heard. */
  #hearPerson(from: number, data: string): void {
    let said: LineSaid;
    try {
      said = JSON.parse(data) as LineSaid;
    } catch {
      return;
    }
    const line = this.#straight.get(from);
    if (line !== undefined && line.session === said.session) void line.take(said);
  }

  #connectForwarder(epoch: number): void {
    this.#forwarded?.line.close();
    for (const id of [...(this.ears?.heard.keys() ?? [])]) this.ears!.drop(id);
    this.#slots = [];
    const line = new Forwarded(
      VOICE_SLOTS,
      this.#track,
      (sdp) => this.#meeting.send(toServer({ "@": "VoiceOffer", sdp, epoch })),
      () => this.#again(),
    );
    this.#forwarded = { line, epoch };
  }

  /** The forwarder is lost: asks for the roster after a while, and by it for another line. */
  #again(): void {
    this.#forwarded?.line.close();
    this.#forwarded = null;
    window.clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => this.#enter(), 1000 + Math.random() * 1000);
  }

  #takeSlots(slots: readonly number[]): void {
    const { ears } = this;
    if (this.#forwarded === null || ears === null) return;
    for (const id of this.#slots) if (id !== 0 && !slots.includes(id)) ears.drop(id);
    slots.forEach((id, i) => {
      const stream = this.#forwarded!.line.slots[i];
      if (id !== 0 && stream !== undefined) ears.hear(id, stream);
    });
    this.#slots = [...slots];
  }

  // --- where voices come from ----------------------------------------------------------------

  #tick(): void {
    const { ears } = this;
    if (ears === null) return;
    if (ears.context.state === "suspended") void ears.context.resume();
    const head = this.#scene.body().head;
    const people = this.#meeting.people();
    const distances = new Map<number, number>();
    for (const id of ears.heard.keys()) {
      const at = people.get(id)?.body?.head.position;
      distances.set(id, at === undefined ? 0 : Math.hypot(at[0] - head.position[0], at[1] - head.position[1], at[2] - head.position[2]));
    }
    this.#treatments = treatments(distances, this.#treatments);
    this.#countWalls(head.position);
    for (const [id, heard] of ears.heard) {
      heard.level.read();
      const place = people.get(id)?.body?.head.position;
      // Who has not said yet where they are is heard from in front.
      const seen: [number, number, number] = place === undefined ? [0, 0, -1] : seenFrom(head, place);
      if (this.isPlaced) heard.place(seen, this.#treatments.get(id) ?? "silent", this.#walls.get(id) ?? 0, this.volume(id));
      else heard.place(null, "plain", 0, this.volume(id));
    }
    ears.own?.read();
    this.#tellSpeaking();
  }

  #countWalls(head: readonly number[]): void {
    const near = [...this.#treatments].filter(([, treatment]) => treatment !== "silent").slice(0, HEARD_MAX);
    const ray = new Ray();
    const hit = (origin: readonly number[], direction: readonly number[]): ReturnType<SceneApi["hit"]> =>
      this.#scene.hit(ray.set(new Vector3(...origin), new Vector3(...direction)));
    for (let i = 0; i < Math.min(WALLS_A_TICK, near.length); i++) {
      const [id] = near[this.#turn++ % near.length]!;
      const place = this.#meeting.people().get(id)?.body?.head.position;
      this.#walls.set(id, place === undefined ? 0 : wallsBetween(head, place, hit));
    }
  }

  #tellSpeaking(): void {
    const speaking = this.people().filter((id) => this.isSpeaking(id)).join();
    if (speaking === this.#speaking) return;
    this.#speaking = speaking;
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function toServer(message: VoiceClientMessage): MeetClientMessage {
  return { "@": "Signal", to: 0, kind: KIND, data: JSON.stringify(message) };
}

/** Null: not understood. */
function read(data: string): VoiceServerMessage | null {
  try {
    return JSON.parse(data) as VoiceServerMessage;
  } catch {
    return null;
  }
}
