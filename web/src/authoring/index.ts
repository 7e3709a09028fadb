// Authoring in the page: the button to notes and tasks, and their room, which is loaded when there
// is something to be seen or somebody wants to write.

import "./authoring.css";

import type { Mirror } from "../mirror.ts";
import { h, isTyping, setAttr } from "../panels/dom.ts";
import { icon } from "../panels/icons.ts";
import type { SceneApi } from "../scene/api.ts";
import { t } from "../words.ts";
import { drawn } from "./frames.ts";
import type { AuthorRoom } from "./room.ts";

/** What the rest of the page may ask of authoring. */
export interface Authoring {
  /** Null until it is wanted. */
  readonly room: AuthorRoom | null;
  /** Loads it. */
  enter(): Promise<AuthorRoom>;
}

export function mountAuthoring(mirror: Mirror, scene: SceneApi, tools: HTMLElement): Authoring {
  let room: AuthorRoom | null = null;
  let entering: Promise<AuthorRoom> | null = null;
  const button = h(
    "button",
    { class: "author-button", title: t("Notes and tasks (N)"), attrs: { type: "button", "aria-label": t("Notes and tasks (N)"), "aria-expanded": "false", "aria-controls": "authoring" }, on: { click: () => void toggle() } },
    icon("note"),
  );
  const arrange = h(
    "button",
    { class: "author-arrange", title: t("Arrange the plant (E)"), hidden: true, attrs: { type: "button", "aria-label": t("Arrange the plant (E)"), "aria-pressed": "false" }, on: { click: () => void toggleArranging() } },
    icon("move"),
  );
  tools.append(button, arrange);
  const mark = (): void => {
    setAttr(button, "aria-expanded", String(room?.panel.isOpen === true));
    setAttr(arrange, "aria-pressed", String(room?.arranging?.isOn === true));
  };
  // Who may only look sees nothing of it; the server decides in the end.
  const mayArrange = (): boolean => drawn(scene) !== null && mirror.principal.roles.some((role) => role === "owner" || role === "engineer");
  mirror.on("structure", () => (arrange.hidden = !mayArrange()));
  const enter = (): Promise<AuthorRoom> =>
    (entering ??= import("./room.ts").then(({ AuthorRoom }) => {
      room = new AuthorRoom(mirror, scene);
      room.onChange = mark;
      return room;
    }));
  const toggle = async (): Promise<void> => {
    const here = await enter();
    here.open(!here.panel.isOpen);
  };
  const toggleArranging = async (): Promise<void> => {
    if (!mayArrange()) return;
    const { arranging } = await enter();
    if (arranging?.isOn) arranging.stop();
    else arranging?.start();
  };
  mirror.on("sources", ({ written, arranging }) => {
    if (written + arranging > 0 && room?.line.state !== "live") void enter().then((here) => here.begin());
  });
  window.addEventListener("keydown", (event) => {
    if ((event.key !== "n" && event.key !== "e") || event.ctrlKey || event.metaKey || event.altKey || isTyping(event) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    void (event.key === "n" ? toggle() : toggleArranging());
  });
  return {
    get room() {
      return room;
    },
    enter,
  };
}
