/**
 * A recorded meeting, played again: people stand where they stood, the world shows what they looked
 * at, and what they wrote stands beside it. Only for who is in no meeting: time is one's own here.
 */

import { Group } from "three";
import type { PerspectiveCamera } from "three";
import { clockText } from "../format.ts";
import type { Mirror } from "../mirror.ts";
import { button, h, iconButton, setAttr, setText } from "../panels/dom.ts";
import { icon } from "../panels/icons.ts";
import type { MeetingRecordingDetail } from "../protocol.ts";
import { apiUrl } from "../rest.ts";
import type { SceneApi } from "../scene/api.ts";
import type { Body, SceneLayer } from "../scene/layers.ts";
import { t } from "../words.ts";
import { Avatars, type Gathering } from "./avatars.ts";
import { colourOf } from "./colours.ts";
import type { Person } from "./meeting.ts";
import { decodePoses } from "./poses.ts";
import { Track } from "./track.ts";

/** So much of the poses is asked for at once; the server gives no more. */
const WINDOW_MS = 60_000;
/** Tracks know this much of what is to come, to glide there. */
const AHEAD_MS = 250;

interface Step {
  readonly id: number;
  readonly atMs: number;
  readonly body: Body;
}

export class Playback implements Gathering, SceneLayer {
  readonly me = 0;
  readonly place: string;
  readonly object = new Group();
  readonly element: HTMLElement;
  isPlaying = false;
  /** Where it is, by the clock of the recording (Unix ms). */
  atMs: number;
  readonly avatars: Avatars;
  readonly #detail: MeetingRecordingDetail;
  readonly #mirror: Mirror;
  readonly #scene: SceneApi;
  readonly #remove: () => void;
  readonly #onClose: () => void;
  readonly #people = new Map<number, Person>();
  #tracks = new Map<number, Track>();
  #steps: Step[] = [];
  #next = 0;
  /** Up to where poses were asked for; what is asked for now is of this turn. */
  #untilMs = 0;
  #turn = 0;
  #isAsking = false;
  #moment = -1;
  #lines = -1;
  #lastMs = 0;
  readonly #play = button(t("Play"), () => (this.isPlaying ? this.pause() : this.play()), "plain", "play");
  readonly #slider: HTMLInputElement;
  readonly #clock = h("time", { class: "num" });
  readonly #chat = h("ol", { class: "people-log", role: "log", tabIndex: 0, attrs: { "aria-label": t("Chat") } });
  readonly #why = h("p", { class: "error-line", role: "alert", hidden: true });

  constructor(detail: MeetingRecordingDetail, mirror: Mirror, scene: SceneApi, onClose: () => void) {
    const { recording } = detail;
    this.#detail = detail;
    this.#mirror = mirror;
    this.#scene = scene;
    this.#onClose = onClose;
    this.place = recording.place;
    this.atMs = recording.began_ms;
    this.#slider = h("input", {
      class: "grow",
      attrs: { type: "range", min: 0, max: Math.max(1, Math.ceil(recording.ended_ms - recording.began_ms)), step: 100, value: 0, "aria-label": t("Where it is") },
      on: { input: () => this.seek(recording.began_ms + Number(this.#slider.value)) },
    });
    this.element = h(
      "section",
      { class: "people-player", attrs: { "aria-label": t("A recorded meeting") } },
      h("header", {}, icon("record"), h("strong", { class: "clip grow" }, recording.reason), iconButton("close", t("Close"), () => this.close(), "small")),
      this.#chat,
      this.#why,
      h("div", { class: "people-player-acts" }, this.#play, this.#slider, this.#clock),
    );
    this.element.addEventListener("keydown", (event) => event.stopPropagation());
    document.body.append(this.element);
    this.avatars = new Avatars(this);
    this.object.add(this.avatars.object);
    this.#remove = scene.addLayer(this);
    this.seek(this.atMs);
  }

  // --- as a meeting is looked at by avatars -------------------------------------------------

  people(): ReadonlyMap<number, Person> {
    return this.#people;
  }

  isMoving(): boolean {
    return this.isPlaying;
  }

  on(): () => void {
    return () => {};
  }

  // --- playing ---------------------------------------------------------------------------------

  play(): void {
    const { began_ms, ended_ms } = this.#detail.recording;
    if (this.atMs >= ended_ms) this.seek(began_ms);
    this.isPlaying = true;
    this.#lastMs = performance.now();
    this.#showMoment(true);
    this.#paint();
    this.#scene.invalidate();
  }

  pause(): void {
    this.isPlaying = false;
    this.#showMoment(true);
    this.#paint();
  }

  seek(atMs: number): void {
    const { began_ms, ended_ms } = this.#detail.recording;
    this.atMs = Math.max(began_ms, Math.min(ended_ms, atMs));
    this.#turn += 1;
    this.#isAsking = false;
    this.#tracks = new Map();
    this.#people.clear();
    this.#steps = [];
    this.#next = 0;
    this.#untilMs = this.atMs;
    this.#showMoment(true);
    this.#ask();
    this.#paint();
  }

  close(): void {
    this.#turn += 1;
    this.#remove();
    this.avatars.dispose();
    this.element.remove();
    this.#mirror.show(null);
    this.#mirror.seek(null);
    this.#onClose();
  }

  update(dt_s: number, nowMs: number, camera: PerspectiveCamera): boolean {
    if (this.isPlaying) {
      const now = performance.now();
      // While poses are on their way, time waits for them.
      if (!this.#isAsking || this.atMs + AHEAD_MS < this.#untilMs) this.atMs += now - this.#lastMs;
      this.#lastMs = now;
      const { ended_ms } = this.#detail.recording;
      if (this.atMs >= ended_ms) {
        this.atMs = ended_ms;
        this.pause();
      }
      this.#ask();
      this.#showMoment(false);
      this.#paint();
    }
    this.#stand();
    this.avatars.update(dt_s, nowMs, camera);
    return this.isPlaying;
  }

  /** Gives each their place of now. */
  #stand(): void {
    for (; this.#next < this.#steps.length && this.#steps[this.#next]!.atMs <= this.atMs + AHEAD_MS; this.#next++) {
      const { id, atMs, body } = this.#steps[this.#next]!;
      let track = this.#tracks.get(id);
      if (track === undefined) this.#tracks.set(id, (track = new Track()));
      track.put(atMs, body);
    }
    this.#people.clear();
    for (const { number, name, account, left_ms } of this.#detail.recording.people) {
      const body = this.#tracks.get(number)?.at(this.atMs) ?? null;
      if (body === null || (left_ms !== null && this.atMs > left_ms)) continue;
      const hand = this.#detail.hands.findLast((each) => each.person === number && each.at_ms <= this.atMs)?.is_raised ? 1 : 0;
      this.#people.set(number, { id: number, name: this.#nameOf(number) || name, account, role: "", place: this.place, selected: "", is_muted: false, hand, is_away: false, is_own_way: false, follows: 0, body });
    }
  }

  #nameOf(number: number): string {
    const { names, recording } = this.#detail;
    return names.findLast((each) => each.person === number && each.at_ms <= this.atMs)?.name ?? recording.people.find((each) => each.number === number)?.name ?? "";
  }

  /** Asks for the next poses before they are needed. */
  #ask(): void {
    const { id, ended_ms } = this.#detail.recording;
    if (this.#isAsking || this.#untilMs > ended_ms || this.#untilMs - this.atMs > WINDOW_MS / 2) return;
    const turn = this.#turn;
    const from = this.#untilMs;
    this.#isAsking = true;
    void this.#frames(id, from).then(
      (steps) => {
        if (turn !== this.#turn) return;
        this.#steps = [...this.#steps.slice(this.#next), ...steps];
        this.#next = 0;
        this.#untilMs = from + WINDOW_MS;
        this.#isAsking = false;
        this.#lastMs = performance.now();
        this.#scene.invalidate();
      },
      () => {
        if (turn !== this.#turn) return;
        this.#why.hidden = false;
        setText(this.#why, t("The recording is not there any more, or the server cannot be reached."));
        this.pause();
      },
    );
  }

  async #frames(id: string, from: number): Promise<Step[]> {
    const answer = await fetch(apiUrl(`meet/recordings/${encodeURIComponent(id)}/frames`, { from_ms: from }));
    if (!answer.ok) throw new Error(String(answer.status));
    const buffer = await answer.arrayBuffer();
    const view = new DataView(buffer);
    const steps: Step[] = [];
    for (let at = 0; at < buffer.byteLength; ) {
      const length = view.getUint32(at, true);
      decodePoses(buffer.slice(at + 4, at + 4 + length), (person, atMs, body) => steps.push({ id: person, atMs, body }));
      at += 4 + length;
    }
    return steps.sort((a, b) => a.atMs - b.atMs);
  }

  /** The world as those in the meeting saw it. */
  #showMoment(isAnew: boolean): void {
    const { moments } = this.#detail;
    const index = moments.findLastIndex(({ at_ms }) => at_ms <= this.atMs);
    if (index === this.#moment && !isAnew) return;
    this.#moment = index;
    const moment = moments[index];
    this.#mirror.show(moment?.branch || null);
    // Who looked at the present then saw what is the past of that time now.
    if (moment === undefined || moment.source_ms === null) this.#mirror.seek(this.atMs, this.isPlaying ? 1 : 0);
    else this.#mirror.seek(moment.source_ms + moment.speed * (this.atMs - moment.at_ms), this.isPlaying ? moment.speed : 0);
  }

  #paint(): void {
    this.#slider.value = String(this.atMs - this.#detail.recording.began_ms);
    setAttr(this.#slider, "aria-valuetext", clockText(this.atMs));
    setText(this.#clock, clockText(this.atMs));
    setText(this.#play.lastElementChild!, this.isPlaying ? t("Pause") : t("Play"));
    this.#play.firstElementChild!.replaceWith(icon(this.isPlaying ? "pause" : "play"));
    const said = this.#detail.chat.filter(({ at_ms }) => at_ms <= this.atMs);
    if (said.length === this.#lines) return;
    this.#lines = said.length;
    this.#chat.replaceChildren(
      ...said.map(({ person, text, at_ms }) =>
        h(
          "li",
          { class: "people-said" },
          h("span", { class: "people-said-head" }, h("b", { attrs: { style: `--person: ${colourOf(person)}` } }, this.#nameOf(person)), h("time", { class: "num" }, clockText(at_ms))),
          h("span", { class: "people-said-text" }, text),
        ),
      ),
    );
    this.#chat.scrollTop = this.#chat.scrollHeight;
  }
}
