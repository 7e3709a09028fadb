// All commands of the world, open and recent, with their roads.

import { clockText, whenText } from "../format.ts";
import type { Command } from "../mirror.ts";
import { type Context } from "./context.ts";
import { emptyState, h } from "./dom.ts";
import type { Painter } from "./pulse.ts";
import { type CommandTimes, isOpen, stepper, wishText } from "./steps.ts";
import { t } from "../words.ts";

const ROWS_AT_MOST = 200;

export class CommandPanel implements Painter {
  readonly element: HTMLElement;
  readonly tools = h("div", { class: "dock-tools" });
  private readonly place = h("div", { class: "list scroll", tabIndex: -1 });
  private isStale = true;

  constructor(
    private readonly context: Context,
    private readonly times: CommandTimes,
  ) {
    this.element = h("div", { class: "dock-panel", attrs: { "aria-label": t("Commands") } }, this.place);
    const restyle = (): void => {
      this.isStale = true;
      context.pulse.mark(this);
    };
    context.mirror.on("commands", restyle);
    context.mirror.on("structure", restyle);
    context.pulse.mark(this);
  }

  static open(context: Context): number {
    let n = 0;
    for (const command of context.mirror.commands.values()) if (isOpen(command)) n += 1;
    return n;
  }

  paint(): void {
    if (!this.isStale) return;
    this.isStale = false;
    const { mirror } = this.context;
    const commands = [...mirror.commands.values()]
      .sort((a, b) => (b.requested_ns ?? 0) - (a.requested_ns ?? 0))
      .slice(0, ROWS_AT_MOST);
    if (commands.length === 0) {
      this.place.replaceChildren(
        emptyState("send", t("Nothing has been asked of the plant"), t("Sources are read-only. Arm a writable point in a twin's details, and what is asked of it is kept here, step by step.")),
      );
      return;
    }
    const now_ms = mirror.nowMs();
    this.place.replaceChildren(
      h("div", { class: "list-rows", role: "list" }, ...commands.map((command) => this.row(command, now_ms))),
    );
  }

  private row(command: Command, now_ms: number): HTMLElement {
    const { mirror } = this.context;
    const at_ms = (command.requested_ns ?? 0) / 1e6;
    return h(
      "div",
      { class: "list-row command-row", role: "listitem", attrs: { "data-command": command.id } },
      h(
        "button",
        { class: "list-main", attrs: { type: "button" }, on: { click: () => this.context.goTo(command.twin) } },
        h("span", { class: "list-time num dim" }, whenText(at_ms, now_ms) || clockText(at_ms)),
        h(
          "span",
          { class: "command-wish" },
          h("span", { class: "clip num" }, wishText(mirror, command)),
          h("span", { class: "clip dim" }, mirror.twins.has(command.twin) ? mirror.nameOf(command.twin) : command.twin),
        ),
        h("span", { class: "command-by" }, h("span", { class: "clip" }, command.by || t("unknown")), h("span", { class: "clip dim", title: command.reason ?? "" }, command.reason ?? "")),
      ),
      stepper(command, this.times),
    );
  }
}
