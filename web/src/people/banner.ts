// What one has to know of the meeting wherever one looks: that it is recorded, whom one follows, that
// one goes one's own way, that the line is lost. With the way out of each.

import { button, h, setText } from "../panels/dom.ts";
import { t } from "../words.ts";
import type { Meeting } from "./meeting.ts";
import { standOf } from "./recording.ts";
import type { Together } from "./together.ts";

export class MeetingBanner {
  readonly element = h("div", { class: "people-banner", role: "status", hidden: true });
  readonly #recorded = h("span", { class: "people-recorded" });
  readonly #words = h("span", { class: "clip" });
  readonly #acts = h("span", { class: "people-banner-acts" });
  readonly #meeting: Meeting;
  readonly #together: Together;
  #shown = "";

  constructor(meeting: Meeting, together: Together) {
    this.#meeting = meeting;
    this.#together = together;
    this.element.append(this.#recorded, this.#words, this.#acts);
  }

  paint(): void {
    const [kind, words, acts] = standingOf(this.#meeting, this.#together);
    const recorded = this.#meeting.isIn ? standOf(this.#meeting) : "";
    this.element.hidden = kind === "" && recorded === "";
    const shown = `${kind}\0${words}\0${recorded}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#recorded.replaceChildren(...(recorded === "" ? [] : [h("span", { class: "clip" }, recorded), ...this.#stop()]));
    this.element.dataset["recording"] = this.#meeting.recording?.state ?? "";
    this.element.dataset["kind"] = kind;
    setText(this.#words, words);
    this.#acts.replaceChildren(...acts.map(([label, act]) => button(label, act)));
  }

  /** Who is asked has an answer to give instead. */
  #stop(): HTMLElement[] {
    const { recording, me } = this.#meeting;
    if (recording?.state === "asking" && recording.by !== me) return [];
    return [button(recording?.state === "asking" ? t("Take the question back") : t("Stop recording"), () => this.#meeting.send({ "@": "StopRecording" }))];
  }
}

/** What there is to know: its kind, "" for nothing; the words; and the ways out of it. */
export function standingOf(meeting: Meeting, together: Together): [kind: string, words: string, acts: [string, () => void][]] {
  const nameOf = (id: number): string => meeting.people().get(id)?.name ?? "";
  if (meeting.state === "lost") return ["lost", t("The line to the meeting is lost. Trying again by itself."), []];
  if (!meeting.isIn) return ["", "", []];
  if (together.isOwnWay) return ["own", t("You go your own way"), [[t("Come back"), () => together.comeBack()]]];
  const { leader } = together;
  const own: [string, () => void] = [t("Own way"), () => together.goOwnWay()];
  if (leader !== 0 && leader === meeting.presenter) return ["led", t("{name} presents; you look along", { name: nameOf(leader) }), [[t("Look around"), () => together.letGo()], own]];
  if (leader !== 0) return ["led", t("You follow {name}", { name: nameOf(leader) }), [[t("Follow no longer"), () => together.letGo()]]];
  if (together.isFree) return ["free", t("{name} presents; you look around", { name: nameOf(meeting.presenter) }), [[t("Look along"), () => together.follow(meeting.presenter)], own]];
  if (meeting.presenter === meeting.me && meeting.me !== 0) {
    const following = [...meeting.people().values()].filter((each) => each.follows === meeting.me).length;
    return ["presenting", t(following === 1 ? "You present; one looks along" : "You present; {n} look along", { n: following }), [[t("Stop"), () => together.present(false)]]];
  }
  return ["", "", []];
}
