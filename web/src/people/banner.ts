// What one has to know of the meeting wherever one looks: whom one follows, that one goes one's own
// way, that the line is lost. With the way out of each.

import { button, h, setText } from "../panels/dom.ts";
import { t } from "../words.ts";
import type { Meeting } from "./meeting.ts";
import type { Together } from "./together.ts";

export class MeetingBanner {
  readonly element = h("div", { class: "people-banner", role: "status", hidden: true });
  readonly #words = h("span", { class: "clip" });
  readonly #acts = h("span", { class: "people-banner-acts" });
  readonly #meeting: Meeting;
  readonly #together: Together;
  #shown = "";

  constructor(meeting: Meeting, together: Together) {
    this.#meeting = meeting;
    this.#together = together;
    this.element.append(this.#words, this.#acts);
  }

  paint(): void {
    const [kind, words, acts] = standingOf(this.#meeting, this.#together);
    this.element.hidden = kind === "";
    const shown = `${kind}\0${words}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.element.dataset["kind"] = kind;
    setText(this.#words, words);
    this.#acts.replaceChildren(...acts.map(([label, act]) => button(label, act)));
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
