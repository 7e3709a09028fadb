// The panel of a meeting: joining, who is here, what one can do, and the chat. And the button to it.

import type { Mirror } from "../mirror.ts";
import { MEET_NAME_MAX } from "../protocol.ts";
import type { MeetingRecordingDetail } from "../protocol.ts";
import { button, h, iconButton, setAttr, setText } from "../panels/dom.ts";
import { icon } from "../panels/icons.ts";
import { t } from "../words.ts";
import { Chat } from "./chat.ts";
import { openLinks } from "./links.ts";
import type { Meeting } from "./meeting.ts";
import { askRecording, openRecordings, standOf } from "./recording.ts";
import { PeopleRows } from "./rows.ts";
import type { Together } from "./together.ts";

const NAME = "mirrorworld.meeting.name";

export class PeoplePanel {
  readonly element: HTMLElement;
  /** The way to the panel, for the bar above. */
  readonly button: HTMLButtonElement;
  /** Where voice puts what belongs to it. */
  readonly voice = h("div", { class: "people-voice" });
  readonly chat: Chat;
  readonly #meeting: Meeting;
  readonly #together: Together;
  readonly #mirror: Mirror;
  readonly #rows: PeopleRows;
  readonly #count = h("span", { class: "num" });
  readonly #place = h("span", { class: "chip people-place clip" });
  readonly #hint = h("p", { class: "hint" });
  readonly #why = h("p", { class: "error-line", role: "alert", hidden: true });
  readonly #name: HTMLInputElement;
  readonly #outside: HTMLFormElement;
  readonly #inside: HTMLElement;
  readonly #hand: HTMLButtonElement;
  readonly #present: HTMLButtonElement;
  readonly #way: HTMLButtonElement;
  readonly #bring: HTMLButtonElement;
  readonly #room: HTMLButtonElement;
  readonly #invite: HTMLButtonElement;
  readonly #record: HTMLButtonElement;
  readonly #recorded = h("p", { class: "people-recorded", hidden: true });
  readonly #badge = h("span", { class: "badge", hidden: true });
  /** Plays what was recorded. */
  onPlay: (detail: MeetingRecordingDetail) => void = () => {};
  #unread = 0;
  #isAsked = false;

  constructor(meeting: Meeting, together: Together, mirror: Mirror) {
    this.#meeting = meeting;
    this.#together = together;
    this.#mirror = mirror;
    this.chat = new Chat(meeting);
    this.#rows = new PeopleRows(meeting, together, (twin) => (mirror.twins.has(twin) ? mirror.nameOf(twin) : twin));
    this.button = h(
      "button",
      { class: "top-pill people-button", attrs: { type: "button", "aria-expanded": "false", "aria-controls": "people" }, on: { click: () => this.open(!this.isOpen) } },
      icon("people"),
      this.#count,
      this.#badge,
    );
    this.#name = h("input", { class: "input", attrs: { type: "text", maxlength: MEET_NAME_MAX, autocomplete: "nickname", "aria-label": t("Your name in the meeting") } });
    this.#outside = h(
      "form",
      {
        class: "people-join",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.join();
          },
        },
      },
      this.#hint,
      this.#why,
      h("label", { class: "field" }, h("span", {}, t("Your name")), this.#name),
      h("button", { class: "button primary", attrs: { type: "submit" } }, icon("people"), h("span", {}, t("Join"))),
    );
    const toggle = (name: Parameters<typeof icon>[0], label: string, act: () => void): HTMLButtonElement => button(label, act, "plain", name);
    this.#hand = toggle("hand", t("Raise hand"), () => meeting.stand({ is_hand_raised: (meeting.self?.hand ?? 0) === 0 }));
    this.#present = toggle("present", t("Present"), () => together.present(meeting.presenter !== meeting.me));
    this.#way = toggle("branch", t("Own way"), () => (together.isOwnWay ? together.comeBack() : together.goOwnWay()));
    this.#bring = toggle("send", t("Bring all here"), () => meeting.send({ "@": "Bring", to: [] }));
    this.#room = toggle("cube", t("Meet here"), () => this.#changeRoom());
    this.#invite = toggle("link", t("Link for guests"), () => openLinks(mirror, meeting.place));
    this.#record = toggle("record", t("Record"), () => (meeting.recording === null ? askRecording(meeting) : void meeting.send({ "@": "StopRecording" })));
    this.#inside = h(
      "div",
      { class: "people-inside", hidden: true },
      this.#recorded,
      this.voice,
      this.#rows.element,
      h("div", { class: "people-do", role: "group", attrs: { "aria-label": t("In this meeting") } }, this.#hand, this.#present, this.#way, this.#bring, this.#room, this.#invite, this.#record, button(t("Leave"), () => this.leave(), "plain", "leave")),
      this.chat.element,
    );
    this.element = h(
      "section",
      { class: "people-panel", id: "people", hidden: true, attrs: { "aria-label": t("People") } },
      h("header", { class: "people-head" }, h("h2", {}, t("People")), this.#place, h("span", { class: "grow" }), iconButton("record", t("Recordings of meetings"), () => openRecordings(mirror, meeting.state === "out" || meeting.state === "ended" ? (detail) => this.onPlay(detail) : null)), iconButton("close", t("Close"), () => this.open(false))),
      this.#outside,
      this.#inside,
    );
    this.element.addEventListener("keydown", (event) => {
      event.stopPropagation(); // the page's one-key shortcuts stay out of what one writes
      if (event.key === "Escape") {
        this.open(false);
        this.button.focus();
      }
    });
    for (const what of ["people", "state", "entered", "presenting", "recording"] as const) meeting.on(what, () => this.mark());
    meeting.on("chat", ({ by }) => {
      if (by !== meeting.me && !this.isOpen) this.#unread += 1;
      this.mark();
    });
    for (const what of ["sources", "selection", "link"] as const) mirror.on(what, () => this.mark());
    this.mark();
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  open(isOpen: boolean): void {
    if (isOpen === this.isOpen) return;
    this.element.hidden = !isOpen;
    document.documentElement.toggleAttribute("data-people", isOpen);
    setAttr(this.button, "aria-expanded", String(isOpen));
    if (isOpen) {
      this.#unread = 0;
      if (this.#name.value === "") this.#name.value = rememberedName();
      this.#paint();
      (this.#meeting.isIn ? this.chat.input : this.#name).focus({ preventScroll: true });
    } else this.mark();
  }

  join(): void {
    const name = this.#name.value.trim();
    rememberName(name);
    this.#meeting.join(name, this.#meeting.place);
  }

  leave(): void {
    this.#meeting.leave();
    this.open(false);
  }

  /** Paints with the next picture. */
  mark(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    requestAnimationFrame(() => {
      this.#isAsked = false;
      this.#paint();
    });
  }

  #changeRoom(): void {
    const { selected } = this.#mirror;
    this.#meeting.send({ "@": "Go", place: this.#meeting.place === "" || (selected !== null && selected !== this.#meeting.place) ? selected ?? "" : "" });
  }

  #paint(): void {
    const meeting = this.#meeting;
    const { standing, principal } = this.#mirror;
    const inMeeting = meeting.state === "in" || meeting.state === "lost" ? meeting.people().size : standing?.people ?? 0;
    const viewers = standing?.viewers ?? 0;
    this.button.classList.toggle("live", meeting.isIn);
    this.button.classList.toggle("warn", meeting.state === "lost");
    setText(this.#count, String(meeting.isIn || inMeeting > 0 ? inMeeting : viewers > 1 ? viewers : ""));
    const label = meeting.isIn
      ? t("People: {n} in the meeting", { n: inMeeting })
      : inMeeting > 0
        ? t("{n} meet here now: join them", { n: inMeeting })
        : viewers > 1
          ? t("{n} people look at this world: meet them", { n: viewers })
          : t("People: meet in this world");
    this.button.title = label;
    setAttr(this.button, "aria-label", this.#unread > 0 ? `${label}, ${t("{n} new lines of chat", { n: this.#unread })}` : label);
    this.#badge.hidden = this.#unread === 0;
    setText(this.#badge, this.#unread > 99 ? "99+" : String(this.#unread));
    if (!this.isOpen) return;
    const isInside = meeting.state === "in" || meeting.state === "lost";
    this.#outside.hidden = isInside;
    this.#inside.hidden = !isInside;
    this.#place.hidden = !isInside;
    const nameOf = (twin: string): string => (twin === "" ? t("the whole world") : this.#mirror.twins.has(twin) ? this.#mirror.nameOf(twin) : twin);
    setText(this.#place, nameOf(meeting.place));
    if (!isInside) {
      this.#name.placeholder = principal.id.startsWith("~") ? t("as you said at the door") : principal.id;
      setText(this.#hint, `${label}. ${t("Others then see your name, where you are and what you select, as you see them. Nothing of it is kept, unless all agree to a recording.")}`);
      this.#why.hidden = meeting.detail === "";
      setText(this.#why, meeting.detail);
      return;
    }
    this.#rows.paint();
    const self = meeting.self;
    setAttr(this.#hand, "aria-pressed", String((self?.hand ?? 0) > 0));
    setText(this.#hand.lastElementChild!, (self?.hand ?? 0) > 0 ? t("Lower hand") : t("Raise hand"));
    const isPresenting = meeting.presenter !== 0 && meeting.presenter === meeting.me;
    setAttr(this.#present, "aria-pressed", String(isPresenting));
    setText(this.#present.lastElementChild!, isPresenting ? t("Stop presenting") : t("Present"));
    this.#present.disabled = meeting.presenter !== 0 && !isPresenting && !meeting.isModerator;
    setAttr(this.#way, "aria-pressed", String(this.#together.isOwnWay));
    setText(this.#way.lastElementChild!, this.#together.isOwnWay ? t("Come back") : t("Own way"));
    const { selected } = this.#mirror;
    const goesBack = meeting.place !== "" && (selected === null || selected === meeting.place);
    this.#room.hidden = selected === null && meeting.place === "";
    setText(this.#room.lastElementChild!, goesBack ? t("To the whole world") : t("Meet at {name}", { name: nameOf(selected ?? "") }));
    this.#bring.hidden = meeting.people().size < 2;
    this.#invite.hidden = !meeting.isModerator;
    const { recording } = meeting;
    this.#record.hidden = recording === null ? !meeting.mayRecord : recording.state === "asking" && recording.by !== meeting.me;
    setAttr(this.#record, "aria-pressed", String(recording !== null));
    setText(this.#record.lastElementChild!, recording === null ? t("Record") : recording.state === "asking" ? t("Take the question back") : t("Stop recording"));
    this.#recorded.hidden = recording === null;
    this.#recorded.dataset["state"] = recording?.state ?? "";
    setText(this.#recorded, standOf(meeting));
  }
}

function rememberedName(): string {
  try {
    return localStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

function rememberName(name: string): void {
  try {
    localStorage.setItem(NAME, name);
  } catch {
    // Forbidden: asked again the next time.
  }
}
