// The few buttons of voice: joining it, the microphone, a menu; and the same in small while the panel of
// people is closed.

import "./voice.css";

import { button, h, iconButton, isTyping, popover, setAttr, setText } from "../panels/dom.ts";
import { icon, type IconName } from "../panels/icons.ts";
import { t } from "../words.ts";
import type { Meeting } from "./meeting.ts";
import type { Voice, VoiceTrouble } from "./voice.ts";

const TROUBLE: Readonly<Record<VoiceTrouble, string>> = {
  "": "",
  "no-webrtc": t("This browser has no WebRTC: voice is not to be had here. The chat is."),
  insecure: t("Browsers give the microphone only to pages over HTTPS or on this machine. You hear the others."),
  refused: t("The microphone is not allowed for this page. You hear the others; to speak, allow it in the browser's address bar and press the microphone."),
  "no-microphone": t("There is no microphone. You hear the others."),
  busy: t("Another program holds the microphone. You hear the others; close it and press the microphone."),
  full: t("As many people as may be are in voice here. Who runs this server can let in more: pip install 'mirrorworld[voice]'."),
  forwarder: t("The server forwards no voices right now; it is tried again."),
};
const METER_MS = 100;

/** The controls for the panel; puts the small ones and the key V on the page. */
export function voiceControls(voice: Voice, meeting: Meeting, rows: HTMLElement): HTMLElement {
  const join = button(t("Join with voice"), () => void voice.join(), "plain", "mic");
  const trouble = h("p", { class: "voice-trouble", role: "status", hidden: true });
  const bar = new Bar(voice);
  const gear = iconButton("sliders", t("Voice settings"), () => undefined);
  const menu = new Menu(voice, meeting);
  popover(gear, menu.element, () => void menu.fill());
  const leave = button(t("Leave voice"), () => voice.leave(), "quiet");
  const inside = h("div", { class: "voice-inside", hidden: true }, bar.element, gear, leave);
  const element = h("div", { class: "voice" }, join, inside, trouble);

  const small = new Bar(voice);
  const who = h("span", { class: "voice-who clip", attrs: { "aria-hidden": "true" } });
  const pill = h("div", { class: "voice-pill", role: "group", hidden: true, attrs: { "aria-label": t("Voice") } }, small.element, who);
  document.body.append(pill);

  const paint = (): void => {
    const isIn = voice.state !== "out";
    join.hidden = isIn;
    inside.hidden = !isIn;
    setText(trouble, TROUBLE[voice.trouble]);
    trouble.hidden = voice.trouble === "";
    pill.hidden = !isIn;
    bar.paint();
    small.paint();
    const speaking = isIn ? voice.people().filter((id) => voice.isSpeaking(id)) : [];
    for (const row of rows.querySelectorAll<HTMLElement>("[data-person]")) {
      const id = Number(row.dataset["person"]);
      row.classList.toggle("speaking", speaking.includes(id));
      row.classList.toggle("in-voice", isIn && voice.people().includes(id));
    }
    const others = speaking.filter((id) => id !== meeting.me).map((id) => meeting.people().get(id)?.name ?? "");
    setText(who, others.slice(0, 2).join(", ") + (others.length > 2 ? ` +${others.length - 2}` : ""));
  };
  voice.on(paint);
  meeting.on("people", () => voice.state !== "out" && requestAnimationFrame(paint));
  window.setInterval(() => {
    if (voice.state !== "in") return;
    const level = voice.ears?.own?.read() ?? 0;
    bar.meter(level);
    small.meter(level);
  }, METER_MS);
  watchKey(voice);
  paint();
  return element;
}

/** The microphone's button, its level, and the one to hold while one talks. */
class Bar {
  readonly element: HTMLElement;
  readonly #voice: Voice;
  readonly #mic: HTMLButtonElement;
  readonly #hold: HTMLButtonElement;
  readonly #level = h("span", { class: "voice-level", attrs: { "aria-hidden": "true" } });
  #icon: IconName | null = null;

  constructor(voice: Voice) {
    this.#voice = voice;
    this.#mic = h("button", { class: "voice-mic", attrs: { type: "button" }, on: { click: () => void voice.toggleMute() } });
    this.#hold = h("button", { class: "voice-hold", attrs: { type: "button" } }, t("Hold to talk"));
    const press = (isPressed: boolean) => (event: Event): void => {
      if (event instanceof KeyboardEvent && ![" ", "Enter"].includes(event.key)) return;
      event.preventDefault();
      voice.press(isPressed);
    };
    this.#hold.addEventListener("pointerdown", press(true));
    for (const end of ["pointerup", "pointercancel", "pointerleave", "blur", "keyup"]) this.#hold.addEventListener(end, press(false));
    this.#hold.addEventListener("keydown", press(true));
    this.#hold.addEventListener("contextmenu", (event) => event.preventDefault());
    this.element = h("div", { class: "voice-bar" }, this.#mic, this.#hold);
  }

  paint(): void {
    const { microphone, state, isPressed } = this.#voice;
    const name: IconName = microphone === "none" ? "ear" : microphone === "muted" ? "muted" : "mic";
    const label = state === "joining" ? t("The browser asks for the microphone…") : microphone === "none" ? t("You hear only: ask for the microphone") : microphone === "muted" ? t("Muted: open the microphone") : t("Mute the microphone");
    if (name !== this.#icon) {
      this.#icon = name;
      this.#mic.replaceChildren(this.#level, icon(name));
    }
    this.#mic.dataset["state"] = state === "joining" ? "joining" : microphone;
    this.#mic.disabled = state === "joining";
    this.#mic.title = label;
    setAttr(this.#mic, "aria-label", label);
    setAttr(this.#mic, "aria-pressed", String(microphone === "muted"));
    this.#hold.hidden = microphone !== "press";
    setAttr(this.#hold, "aria-pressed", String(isPressed));
  }

  /** @param level root mean square, of 1 */
  meter(level: number): void {
    // 50 dB of range, as meters of speech have.
    const part = Math.min(Math.max(1 + Math.log10(Math.max(level, 1e-5)) / 2.5, 0), 1);
    const { microphone, isPressed } = this.#voice;
    const isOpen = microphone === "open" || (microphone === "press" && isPressed);
    this.#level.style.setProperty("--level", isOpen ? part.toFixed(2) : "0");
  }
}

/** Devices, how one talks, and how loud each person is. */
class Menu {
  readonly element: HTMLElement;
  readonly #voice: Voice;
  readonly #meeting: Meeting;
  readonly #input = h("select", { class: "input", attrs: { "aria-label": t("Microphone") } });
  readonly #output = h("select", { class: "input", attrs: { "aria-label": t("Played on") } });
  readonly #press = h("input", { attrs: { type: "checkbox" } });
  readonly #placed = h("input", { attrs: { type: "checkbox" } });
  readonly #people = h("div", { class: "voice-people" });
  readonly #outputField: HTMLElement;

  constructor(voice: Voice, meeting: Meeting) {
    this.#voice = voice;
    this.#meeting = meeting;
    this.#input.addEventListener("change", () => void voice.setInput(this.#input.value));
    this.#output.addEventListener("change", () => void voice.setOutput(this.#output.value));
    this.#press.addEventListener("change", () => voice.setPressToTalk(this.#press.checked));
    this.#placed.addEventListener("change", () => voice.setPlaced(this.#placed.checked));
    this.#outputField = h("label", { class: "field" }, h("span", {}, t("Played on")), this.#output);
    this.element = h(
      "div",
      { class: "voice-menu", role: "dialog", attrs: { "aria-label": t("Voice settings") } },
      h("label", { class: "field" }, h("span", {}, t("Microphone")), this.#input),
      this.#outputField,
      button(t("Test: left, then right"), () => voice.ears?.test(), "quiet", "play"),
      h("label", { class: "voice-check" }, this.#press, h("span", {}, t("Talk only while V is held"))),
      h("label", { class: "voice-check" }, this.#placed, h("span", {}, t("Voices come from where people stand"))),
      this.#people,
    );
    // Keys of the page stay out of the menu.
    this.element.addEventListener("keydown", (event) => event.key !== "Escape" && event.stopPropagation());
  }

  async fill(): Promise<void> {
    const { ears } = this.#voice;
    this.#press.checked = this.#voice.isPressToTalk;
    this.#placed.checked = this.#voice.isPlaced;
    this.#outputField.hidden = ears === null || !("setSinkId" in ears.context);
    this.#fillPeople();
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    fill(this.#input, devices.filter(({ kind }) => kind === "audioinput"), this.#voice.input);
    fill(this.#output, devices.filter(({ kind }) => kind === "audiooutput"), this.#voice.output);
  }

  #fillPeople(): void {
    const others = this.#voice.people().filter((id) => id !== this.#meeting.me);
    this.#people.replaceChildren(
      ...others.map((id) => {
        const name = this.#meeting.people().get(id)?.name ?? t("Somebody");
        const range = h("input", { attrs: { type: "range", min: 0, max: 200, step: 5, "aria-label": t("How loud {name} is", { name }) } });
        range.value = String(Math.round(this.#voice.volume(id) * 100));
        range.addEventListener("input", () => this.#voice.setVolume(id, Number(range.value) / 100));
        return h("label", { class: "voice-person" }, h("span", { class: "clip" }, name), range);
      }),
    );
  }
}

function fill(select: HTMLSelectElement, devices: readonly MediaDeviceInfo[], chosen: string): void {
  const options = devices.filter(({ deviceId }) => deviceId !== "" && deviceId !== "default").map((each, i) => new Option(each.label || t("Device {n}", { n: i + 1 }), each.deviceId));
  select.replaceChildren(new Option(t("The usual one"), ""), ...options);
  select.value = chosen;
  if (select.selectedIndex < 0) select.value = "";
}

/** V: talks while it is held, else mutes and opens. */
function watchKey(voice: Voice): void {
  window.addEventListener(
    "keydown",
    (event) => {
      if (event.code !== "KeyV" || event.repeat || event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || voice.state !== "in") return;
      event.preventDefault();
      if (voice.microphone === "press") voice.press(true);
      else void voice.toggleMute();
    },
    true,
  );
  window.addEventListener("keyup", (event) => event.code === "KeyV" && voice.press(false), true);
  // A key that is let go elsewhere is not heard of here.
  window.addEventListener("blur", () => voice.press(false));
}
