// People in the page: the meeting, what others look like in the scene, the panel, and being together.
// Nothing is opened until one joins.

import "./people.css";

import type { Box3 } from "three";
import type { Mirror } from "../mirror.ts";
import { h } from "../panels/dom.ts";
import { Toasts } from "../panels/toasts.ts";
import type { SceneApi } from "../scene/api.ts";
import { t } from "../words.ts";
import { Avatars } from "./avatars.ts";
import { MeetingBanner } from "./banner.ts";
import { mirrorHash } from "./hash.ts";
import { Meeting } from "./meeting.ts";
import { PeoplePanel } from "./panel.ts";
import { Playback } from "./playback.ts";
import { RecordingQuestion, standOf, whyEnded } from "./recording.ts";
import { Selections } from "./selections.ts";
import { Together } from "./together.ts";
import { Voice } from "./voice.ts";
import { voiceControls } from "./voice_controls.ts";

const LINK = "meet";
/** Where and by which name this tab was in a meeting, for when it is loaded again. */
const AGAIN = "mirrorworld.meeting.again";
const SAID_MAX = 140;

/** What the rest of the page may ask of people. */
export interface People {
  readonly meeting: Meeting;
  readonly together: Together;
  readonly panel: PeoplePanel;
  readonly voice: Voice;
  /** What others look like; null until one joins. */
  readonly avatars: Avatars | null;
  /** What others have selected; null until one joins. */
  readonly selections: Selections | null;
  /** What is played of a recording; null: nothing. */
  readonly playback: Playback | null;
  /** A number for all that this page shows of the world. */
  hash(): string;
}

export function mountPeople(mirror: Mirror, scene: SceneApi): People {
  const meeting = new Meeting();
  meeting.where = () => scene.body();
  const together = new Together(meeting, mirror, scene);
  const panel = new PeoplePanel(meeting, together, mirror);
  const voice = new Voice(meeting, scene);
  panel.voice.append(voiceControls(voice, meeting, panel.element));
  const banner = new MeetingBanner(meeting, together);
  const toasts = new Toasts(document.getElementById("toasts")!);
  const spoken = h("div", { class: "people-spoken", attrs: { "aria-live": "polite" } });
  const question = new RecordingQuestion(meeting);
  document.body.append(panel.element, banner.element, question.element, spoken);
  document.querySelector("#top .time-pill")?.after(panel.button);
  const nameOf = (id: number): string => meeting.people().get(id)?.name ?? t("Somebody");
  const boundsOf = (twin: string): Box3 | undefined => ("boundsOf" in scene ? (scene as { boundsOf(id: string): Box3 | undefined }).boundsOf(twin) : undefined);

  let avatars: Avatars | null = null;
  let selections: Selections | null = null;
  let remove: (() => void)[] = [];
  const show = (isIn: boolean): void => {
    if (isIn === remove.length > 0) return;
    for (const each of remove) each();
    remove = [];
    if (!isIn) return;
    avatars ??= new Avatars(meeting);
    selections ??= new Selections(meeting, boundsOf);
    remove = [avatars, selections, together].map((layer) => scene.addLayer(layer));
  };

  let playback: Playback | null = null;
  panel.onPlay = (detail) => {
    playback?.close();
    panel.open(false);
    playback = new Playback(detail, mirror, scene, () => (playback = null));
  };
  meeting.on("state", ({ state, detail }) => {
    if (state !== "out" && state !== "ended") playback?.close();
    question.paint();
    show(state === "in" || state === "lost");
    banner.paint();
    if (state === "in") keepAgain(meeting);
    if (state === "out" || state === "ended") forgetAgain();
    if (state === "ended") {
      toasts.show({ tone: "uncertain", title: t("You are no longer in the meeting"), detail });
      writeLink(null);
    }
    if (state === "out") writeLink(null);
  });
  together.onChange = () => {
    if (avatars !== null) avatars.hidden = together.looksThroughThem ? together.leader : 0;
    banner.paint();
    panel.mark();
  };
  together.onNoBranch = () => toasts.show({ tone: "uncertain", title: t("The others look at a branch that is not yours to see"), detail: t("You go your own way until you come back.") });
  together.onAsked = (by) =>
    toasts.show({ tone: "plain", title: t("{name} asks you to come", { name: nameOf(by) }), action: { label: t("Go there"), run: () => together.goTo(by) } });

  const known = new Map<number, string>();
  meeting.on("people", ({ put, gone }) => {
    const came = put.filter((id) => !known.has(id));
    const isFirst = known.size === 0;
    const words = gone.filter((id) => known.has(id) && id !== meeting.me).map((id) => t("{name} has left", { name: known.get(id)! }));
    for (const id of gone) known.delete(id);
    for (const id of put) known.set(id, nameOf(id));
    if (!isFirst) words.push(...came.filter((id) => id !== meeting.me).map((id) => t("{name} is here", { name: nameOf(id) })));
    if (words.length > 0) spoken.textContent = words.slice(0, 5).join(". ");
    banner.paint();
    scene.invalidate();
  });
  meeting.on("presenting", () => banner.paint());
  meeting.on("recording", ({ now, before, ended }) => {
    question.paint();
    banner.paint();
    if (now !== null) spoken.textContent = `${standOf(meeting)}${question.element.hidden ? "" : ` ${t("You are asked whether you agree.")}`}`;
    if (ended === "") return;
    const title = (before?.since_ms ?? 0) > 0 ? t("Nothing is recorded any more.") : t("This meeting is not recorded.");
    spoken.textContent = `${title} ${whyEnded(ended)}`;
    toasts.show({ tone: "plain", title, detail: whyEnded(ended) });
  });
  meeting.on("entered", () => {
    keepAgain(meeting);
    writeLink(meeting.place);
    banner.paint();
    scene.invalidate();
  });
  meeting.on("chat", ({ by, name, text }) => {
    if (by === meeting.me || panel.isOpen) return;
    const detail = text.length > SAID_MAX ? `${text.slice(0, SAID_MAX)}…` : text;
    toasts.show({ tone: "plain", title: name, detail, action: { label: t("Answer"), run: () => panel.open(true) } });
  });
  meeting.on("refusal", ({ detail, mend }) => toasts.show({ tone: "uncertain", title: detail, detail: mend }));
  meeting.on("poses", () => scene.invalidate());
  mirror.on("selection", ({ id }) => meeting.stand({ selected: id ?? "" }));
  scene.onBuilt(() => selections?.refresh());
  window.addEventListener("keydown", (event) => {
    const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select, [contenteditable]");
    if (event.key !== "p" || event.ctrlKey || event.metaKey || event.altKey || isTyping || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    panel.open(!panel.isOpen);
  });
  comeAgain(meeting, panel, mirror);
  return {
    meeting,
    together,
    panel,
    voice,
    get avatars() {
      return avatars;
    },
    get playback() {
      return playback;
    },
    get selections() {
      return selections;
    },
    hash: () => mirrorHash(mirror),
  };
}

/** A link to a meeting joins it, and so does a page that was in one when it was loaded again. */
function comeAgain(meeting: Meeting, panel: PeoplePanel, mirror: Mirror): void {
  let again: { name: string; place: string } | null = null;
  try {
    again = JSON.parse(sessionStorage.getItem(AGAIN) ?? "null") as { name: string; place: string } | null;
  } catch {
    // Forbidden or unreadable: then one joins by hand.
  }
  const linked = new URL(location.href).searchParams.get(LINK);
  if (again !== null) meeting.join(again.name, again.place);
  else if (linked !== null) {
    meeting.place = linked;
    panel.open(true);
    // Guests have said their name at the door, and come to meet.
    const stop = mirror.on("link", ({ state }) => {
      if (state !== "live") return;
      stop();
      if (mirror.principal.id.startsWith("~")) meeting.join("", linked);
    });
  }
}

function keepAgain(meeting: Meeting): void {
  try {
    sessionStorage.setItem(AGAIN, JSON.stringify({ name: meeting.self?.name ?? "", place: meeting.place }));
  } catch {
    // Forbidden: then a page that is loaded again joins by hand.
  }
}

function forgetAgain(): void {
  try {
    sessionStorage.removeItem(AGAIN);
  } catch {
    // See above.
  }
}

/** The address says in which room one is, so that it can be sent to somebody. */
function writeLink(place: string | null): void {
  const url = new URL(location.href);
  if (place === url.searchParams.get(LINK)) return;
  if (place === null) url.searchParams.delete(LINK);
  else url.searchParams.set(LINK, place);
  history.replaceState(history.state, "", url);
}
