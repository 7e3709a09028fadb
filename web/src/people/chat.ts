// What people write to each other in a meeting: plain text, the latest below, never markup.

import { h, iconButton } from "../panels/dom.ts";
import { clockText } from "../format.ts";
import { MEET_CHAT_MAX } from "../protocol.ts";
import { t } from "../words.ts";
import { colourOf } from "./colours.ts";
import type { Meeting, Said } from "./meeting.ts";

const SHOWN_MAX = 200;
const UNKEPT = t("What is written here is kept by nobody, unless all agree to a recording.");

export class Chat {
  readonly element: HTMLElement;
  readonly input: HTMLInputElement;
  readonly #log = h("ol", { class: "people-log", role: "log", tabIndex: 0, attrs: { "aria-label": t("Chat") } });
  readonly #none = h("li", { class: "people-log-none hint" }, UNKEPT);

  constructor(meeting: Meeting) {
    this.input = h("input", { class: "input grow", attrs: { type: "text", maxlength: MEET_CHAT_MAX, autocomplete: "off", "aria-label": t("Write to all here"), placeholder: t("Write to all here") } });
    const form = h(
      "form",
      {
        class: "people-write",
        on: {
          submit: (event) => {
            event.preventDefault();
            const text = this.input.value.trim();
            if (text !== "" && meeting.send({ "@": "Say", text })) this.input.value = "";
          },
        },
      },
      this.input,
      iconButton("send", t("Send"), () => form.requestSubmit()),
    );
    form.querySelector("button")!.type = "button";
    this.element = h("div", { class: "people-chat" }, this.#log, form);
    meeting.on("entered", ({ chat }) => {
      this.#log.replaceChildren(...(chat.length === 0 ? [this.#none] : chat.map((said) => lineOf(said, meeting.me))));
      this.#toEnd();
    });
    meeting.on("recording", ({ now }) => (this.#none.textContent = now?.state === "on" ? t("What is written here is recorded.") : UNKEPT));
    meeting.on("chat", (said) => {
      const isAtEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 60;
      this.#none.remove();
      this.#log.append(lineOf(said, meeting.me));
      while (this.#log.childElementCount > SHOWN_MAX) this.#log.firstElementChild!.remove();
      if (isAtEnd || said.by === meeting.me) this.#toEnd();
    });
  }

  #toEnd(): void {
    this.#log.scrollTop = this.#log.scrollHeight;
  }
}

function lineOf({ by, name, text, at_ms }: Said, me: number): HTMLElement {
  return h(
    "li",
    { class: by === me ? "people-said mine" : "people-said" },
    h("span", { class: "people-said-head" }, h("b", { attrs: { style: `--person: ${colourOf(by)}` } }, name), h("time", { class: "num" }, clockText(at_ms))),
    h("span", { class: "people-said-text" }, text),
  );
}
