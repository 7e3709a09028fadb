// Says at every moment that what is shown is a branch and not the plant: in words, in colour, in the
// title; with what its clock says, and the way out.

import { clockText, dayText } from "../format.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { button, h, iconButton, setAttr, setText } from "../panels/dom.ts";
import { icon, setIcon } from "../panels/icons.ts";
import type { Painter } from "../panels/pulse.ts";
import { t } from "../words.ts";
import type { GhostView } from "./ghost.ts";
import { STATES } from "./state.ts";
import type { BranchStore } from "./store.ts";

export class Banner implements Painter {
  private readonly name = h("b", { class: "clip" });
  private readonly clock = h("span", { class: "num branch-clock" });
  private readonly play: HTMLButtonElement;
  private readonly ghostButton: HTMLButtonElement;
  private readonly element: HTMLElement;

  constructor(
    private readonly context: Context,
    private readonly store: BranchStore,
    private readonly ghost: GhostView,
    openPanel: () => void,
  ) {
    const { mirror } = context;
    this.play = iconButton("pause", t("Pause the run"), () => void this.toggle(), "small");
    this.ghostButton = iconButton("ghost", t("Show the plant as a ghost"), () => (ghost.isOn ? ghost.hide() : ghost.show(null)), "small");
    this.element = h(
      "section",
      { class: "branch-banner", hidden: true, attrs: { "aria-label": t("Branch") } },
      h("button", { class: "branch-banner-name", attrs: { type: "button" }, title: t("What can be done in this branch"), on: { click: openPanel } }, icon("branch"), h("span", { class: "dim" }, t("Branch")), this.name, h("span", { class: "branch-not" }, t("not the plant"))),
      this.clock,
      this.play,
      this.ghostButton,
      button(t("Leave"), () => mirror.show(null), "plain"),
    );
    document.body.append(this.element, h("div", { class: "visually-hidden", role: "status", id: "branch-said" }));
    mirror.on("branch", ({ id }) => {
      const root = document.documentElement;
      if (id === null) delete root.dataset["branch"];
      else root.dataset["branch"] = id;
      setText(document.getElementById("branch-said")!, id === null ? t("You see the plant again.") : t("You see a branch, not the plant."));
      context.pulse.mark(this);
    });
    store.on(() => context.pulse.mark(this));
    context.pulse.tick(this);
  }

  paint(): void {
    const { mirror } = this.context;
    const { branch } = mirror;
    this.element.hidden = branch === null;
    if (branch === null) return;
    const shown = this.store.shown;
    setText(this.name, this.store.nameOf(branch));
    const view_ms = mirror.viewMs();
    const state = shown?.run.state ?? "";
    const isRunning = state === "running" || state === "starting";
    setText(this.clock, `${dayText(view_ms)} ${clockText(view_ms)}${state && state !== "idle" ? ` · ${STATES[state] ?? state}` : ""}`);
    this.play.hidden = !(isRunning || state === "paused") || !shown?.may_change;
    setIcon(this.play.querySelector("svg")!, isRunning ? "pause" : "play");
    const label = isRunning ? t("Pause the run") : t("Let the run go on");
    setAttr(this.play, "aria-label", label);
    this.play.title = label;
    setAttr(this.ghostButton, "aria-pressed", String(this.ghost.isOn));
    const ghost = this.ghost.isOn ? t("Hide the ghost of the plant") : t("Show the plant as a ghost");
    setAttr(this.ghostButton, "aria-label", ghost);
    this.ghostButton.title = ghost;
  }

  private async toggle(): Promise<void> {
    const branch = this.store.shown;
    if (branch === undefined) return;
    try {
      await this.store.api.control(branch.id, { act: branch.run.state === "paused" ? "resume" : "pause" });
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("Not done"), detail: reasonOf(error) });
    }
    await this.store.refresh();
  }
}
