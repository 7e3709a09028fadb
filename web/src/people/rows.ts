// The people who are here, one row each: who, what role, where, and what one can do with them.

import { h, iconButton, setAttr, setText } from "../panels/dom.ts";
import { icon } from "../panels/icons.ts";
import { t } from "../words.ts";
import { colourOf } from "./colours.ts";
import type { Meeting, Person } from "./meeting.ts";
import type { Together } from "./together.ts";

const ROLES: Readonly<Record<string, string>> = { owner: t("owner"), engineer: t("engineer"), operator: t("operator"), viewer: t("viewer") };

export class PeopleRows {
  readonly element = h("ul", { class: "people-rows", attrs: { "aria-label": t("People here") } });
  readonly #rows = new Map<number, Row>();
  readonly #meeting: Meeting;
  readonly #together: Together;
  readonly #nameOf: (twin: string) => string;

  /** `nameOf`: what a twin is called. */
  constructor(meeting: Meeting, together: Together, nameOf: (twin: string) => string) {
    this.#meeting = meeting;
    this.#together = together;
    this.#nameOf = nameOf;
  }

  paint(): void {
    const { me } = this.#meeting;
    const people = [...this.#meeting.people().values()].sort(
      (a, b) => Number(b.id === me) - Number(a.id === me) || (a.hand || Infinity) - (b.hand || Infinity) || a.name.localeCompare(b.name) || a.id - b.id,
    );
    for (const [id, row] of [...this.#rows]) {
      if (this.#meeting.people().has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    people.forEach((person, i) => {
      let row = this.#rows.get(person.id);
      if (row === undefined) this.#rows.set(person.id, (row = new Row(person.id, this.#meeting, this.#together)));
      row.paint(person, this.#nameOf);
      // Moved only if it must be: what has the focus keeps it.
      if (this.element.children[i] !== row.element) this.element.insertBefore(row.element, this.element.children[i] ?? null);
    });
  }
}

class Row {
  readonly element: HTMLLIElement;
  readonly #name = h("strong", { class: "clip" });
  readonly #about = h("small", { class: "clip" });
  readonly #hand = h("span", { class: "people-mark hand num", hidden: true });
  readonly #muted = h("span", { class: "people-mark", hidden: true, title: t("Muted") }, icon("muted"));
  readonly #follow: HTMLButtonElement;
  readonly #acts: HTMLElement;
  readonly #out: HTMLButtonElement;
  readonly #meeting: Meeting;
  readonly #together: Together;

  constructor(id: number, meeting: Meeting, together: Together) {
    this.#meeting = meeting;
    this.#together = together;
    this.#follow = iconButton("eye", t("Follow"), () => together.follow(together.leader === id ? 0 : id), "small");
    this.#out = iconButton("close", t("Put out of the meeting"), () => meeting.send({ "@": "PutOut", id }), "small");
    this.#acts = h(
      "span",
      { class: "people-acts" },
      iconButton("focus", t("Go to"), () => this.#visit(id), "small"),
      this.#follow,
      iconButton("send", t("Bring here"), () => meeting.send({ "@": "Bring", to: [id] }), "small"),
      this.#out,
    );
    this.element = h(
      "li",
      { class: "people-row", attrs: { "data-person": id } },
      h("span", { class: "people-dot", attrs: { "aria-hidden": "true", style: `--person: ${colourOf(id)}` } }),
      h("span", { class: "people-who grow" }, this.#name, this.#about),
      this.#hand,
      this.#muted,
      this.#acts,
    );
  }

  #visit(id: number): void {
    const place = this.#meeting.people().get(id)?.place ?? "";
    if (place !== this.#meeting.place) this.#meeting.send({ "@": "Go", place });
    else this.#together.goTo(id);
  }

  paint(person: Person, nameOf: (twin: string) => string): void {
    const { me, place, presenter, isModerator } = this.#meeting;
    const isMe = person.id === me;
    const isHere = person.place === place;
    setText(this.#name, isMe ? t("{name} (you)", { name: person.name }) : person.name);
    const followed = this.#meeting.people().get(person.follows)?.name;
    const words = [
      person.account === "" ? t("guest, {role}", { role: ROLES[person.role] ?? person.role }) : ROLES[person.role] ?? person.role,
      person.id === presenter && t("presents"),
      person.is_away && t("away"),
      !isHere && (person.place === "" ? t("in the whole world") : t("at {place}", { place: nameOf(person.place) })),
      person.is_own_way && t("own way"),
      followed !== undefined && t("follows {name}", { name: followed }),
    ].filter(Boolean);
    setText(this.#about, words.join(" · "));
    this.#about.title = person.account !== "" && person.account !== person.name ? t("Account {name}", { name: person.account }) : "";
    this.#hand.hidden = person.hand === 0;
    if (person.hand > 0) this.#hand.replaceChildren(icon("hand"), String(person.hand));
    setAttr(this.#hand, "aria-label", t("Hand raised, number {n}", { n: person.hand }));
    setAttr(this.#hand, "role", "img");
    this.#muted.hidden = !person.is_muted;
    this.element.classList.toggle("away", person.is_away);
    this.#acts.hidden = isMe;
    const isLed = this.#together.leader === person.id;
    this.#follow.disabled = !isHere;
    setAttr(this.#follow, "aria-pressed", String(isLed));
    this.#follow.title = isLed ? t("Follow no longer") : t("Follow");
    for (const button of this.#acts.querySelectorAll("button")) setAttr(button, "aria-label", `${button.title}: ${person.name}`);
    this.#out.hidden = !isModerator;
  }
}
