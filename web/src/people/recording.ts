// Recording a meeting, as one sees it: the question, the sign while it runs, and what was recorded.
// Nothing is agreed to by chance: the question takes no focus, and no key answers it.

import { clockText, dayText } from "../format.ts";
import type { Mirror } from "../mirror.ts";
import { triedOn } from "../panels/context.ts";
import { button, h, iconButton, openDialog, setText } from "../panels/dom.ts";
import { icon } from "../panels/icons.ts";
import type { MeetingRecording, MeetingRecordingDetail, MeetingRecordingsPage } from "../protocol.ts";
import { MEET_REASON_MAX } from "../protocol.ts";
import { apiUrl } from "../rest.ts";
import { t } from "../words.ts";
import type { Meeting } from "./meeting.ts";

const WHY_ENDED: Readonly<Record<string, string>> = {
  "not agreed": t("Somebody does not agree."),
  "no answer": t("Somebody did not answer in time."),
  stopped: t("It was stopped."),
  "all left": t("All had left."),
  "too long": t("It had become as long as it may."),
  "too large": t("It had become as large as it may."),
  deleted: t("It was deleted."),
  disk: t("The server's disk does not take it."),
  "server stopped": t("The server stopped."),
};

/** Why a recording ended, to be read. */
export const whyEnded = (detail: string): string => WHY_ENDED[detail] ?? detail;

/** Whether this person is asked, and has not answered. */
export const isAsked = (meeting: Meeting): boolean => meeting.recording?.waits_for.includes(meeting.me) ?? false;

/** How it stands, in one sentence; "": there is no recording. */
export function standOf(meeting: Meeting): string {
  const { recording } = meeting;
  if (recording === null) return "";
  if (recording.state === "asking") return t("{name} asks to record this meeting. Nothing is kept yet.", { name: recording.by_name });
  if (recording.state === "paused") return t("The recording waits: somebody has come and is asked. Nothing is kept meanwhile.");
  return t("This meeting is being recorded, since {time}.", { time: clockText(recording.since_ms) });
}

/** The question, for who has to answer it. */
export class RecordingQuestion {
  readonly element = h("section", { class: "people-question", role: "alertdialog", hidden: true, attrs: { "aria-labelledby": "people-question-head", "aria-describedby": "people-question-what" } });
  readonly #left = h("span", { class: "num dim" });
  readonly #meeting: Meeting;
  #shown = "";

  constructor(meeting: Meeting) {
    this.#meeting = meeting;
    window.setInterval(() => this.#count(), 1000);
  }

  paint(): void {
    const { recording } = this.#meeting;
    const id = recording !== null && this.#meeting.isIn && isAsked(this.#meeting) ? recording.id : "";
    this.element.hidden = id === "";
    if (id === this.#shown) return;
    this.#shown = id;
    if (recording === null || id === "") return;
    const answer = (is_agreed: boolean): void => void this.#meeting.send({ "@": "AnswerRecording", id, is_agreed });
    this.element.replaceChildren(
      h("h2", { id: "people-question-head" }, icon("record"), t("May this meeting be recorded?")),
      h(
        "div",
        { id: "people-question-what" },
        h("p", {}, t("{name} asks: {reason}", { name: recording.by_name, reason: recording.reason })),
        h("p", {}, t("Kept from then on: the names, where each stands, looks and points, the chat, raised hands and the moment that is shown. Voices are not recorded.")),
        h("p", {}, t("Whoever is in it, and the owner of this world, can see and delete it. After {n} days it is deleted by itself. Anybody can stop it at any time.", { n: recording.days })),
        h("p", { class: "dim" }, t("It begins only if all agree. Without an answer it is a no.")),
      ),
      h("div", { class: "people-question-acts" }, this.#left, button(t("I do not agree"), () => answer(false)), button(t("I agree"), () => answer(true))),
    );
    this.#count();
  }

  #count(): void {
    const { recording } = this.#meeting;
    if (recording === null || this.element.hidden) return;
    setText(this.#left, t("{n} s left", { n: Math.max(0, Math.round((recording.due_ms - this.#meeting.nowMs()) / 1000)) }));
  }
}

/** Asks for a reason, and then all in the room. */
export function askRecording(meeting: Meeting): void {
  const reason = h("input", { class: "input", attrs: { type: "text", maxlength: MEET_REASON_MAX, required: true, "aria-label": t("What it is for") } });
  const form = h(
    "form",
    {
      class: "form",
      on: {
        submit: (event) => {
          event.preventDefault();
          const said = reason.value.trim();
          if (said !== "" && meeting.send({ "@": "AskRecording", reason: said })) dialog.close();
        },
      },
    },
    h("p", { class: "hint" }, t("Everybody here is asked, and who comes later too. It begins once all have agreed; one no, or no answer, and nothing is kept.")),
    h("label", { class: "field" }, h("span", {}, t("What it is for")), reason),
    h("button", { class: "button primary", attrs: { type: "submit" } }, icon("record"), h("span", {}, t("Ask all"))),
  );
  const dialog = openDialog(t("Record this meeting"), form);
  reason.focus();
}

/** What was recorded, of what one was in: to be played, saved and deleted. `play` is null for who is
 * in a meeting: its time is that of all. */
export function openRecordings(mirror: Mirror, play: ((detail: MeetingRecordingDetail) => void) | null): void {
  const error = h("p", { class: "error-line", role: "alert", hidden: true });
  const tried = triedOn(error);
  const list = h("ul", { class: "people-links people-recordings" });
  const none = h("p", { class: "hint", hidden: true }, t("There is no recording of a meeting that you were in."));
  const dialog = openDialog(t("Recordings of meetings"), h("div", { class: "form" }, h("p", { class: "hint" }, t("Whoever was in a meeting can delete its recording, for all.")), none, error, list), [], { wide: true });
  void fill();

  async function fill(): Promise<void> {
    const page = await tried(() => mirror.rest.get<MeetingRecordingsPage>("meet/recordings"));
    if (page === null) return;
    none.hidden = page.recordings.length > 0;
    list.replaceChildren(...page.recordings.map(rowOf));
  }

  function rowOf(each: MeetingRecording): HTMLElement {
    const when = `${dayText(each.began_ms)} ${clockText(each.began_ms)}–${clockText(each.ended_ms)}`;
    const about = [
      [...new Set(each.people.map(({ name }) => name))].join(", "),
      each.place !== "" && mirror.nameOf(each.place),
      each.detail === "" ? t("is running") : whyEnded(each.detail),
      t("kept until {day}", { day: dayText(each.deleted_ms) }),
    ].filter(Boolean);
    const path = `meet/recordings/${encodeURIComponent(each.id)}`;
    const save = (to: string, name: string, label: string): HTMLElement => h("a", { class: "button plain", attrs: { href: apiUrl(to).href, download: name } }, icon("download"), h("span", {}, label));
    const remove = iconButton("close", t("Delete for all"), () => {
      // Asked once more in place: what is deleted does not come back.
      const sure = button(t("Delete for all"), () => void tried(() => mirror.rest.delete(path)).then(fill), "danger");
      remove.replaceWith(sure);
      sure.focus();
    });
    const start = button(t("Play"), () => void tried(() => mirror.rest.get<MeetingRecordingDetail>(path)).then((detail) => {
      if (detail === null || play === null) return;
      dialog.close();
      play(detail);
    }), "plain", "play");
    start.disabled = play === null || each.detail === "";
    start.title = play === null ? t("Leave the meeting first: its time is that of all.") : "";
    return h(
      "li",
      {},
      h("span", { class: "grow people-who" }, h("strong", {}, `${when} · ${each.reason}`), h("small", {}, about.join(" · "))),
      start,
      save(path, `meeting-${each.id}.json`, t("What was said")),
      save(`${path}/poses`, `meeting-${each.id}.arrows`, t("Poses")),
      remove,
    );
  }
}
