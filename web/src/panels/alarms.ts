// Conditions of the plant: a list by urgency, acknowledging, and a toast for what is new and urgent.

import { ageText, labelText, momentText, whenText } from "../format.ts";
import { RestError, text, type WorldEvent } from "../mirror.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, emptyState, h, segmented, setText } from "./dom.ts";
import { icon, type IconName } from "./icons.ts";
import type { Painter } from "./pulse.ts";

const SEVERITY_NAMES = ["Info", "Low", "Medium", "High"] as const;
const TOAST_FROM = 3;
const ROWS_AT_MOST = 400;

/** Tells the server that a person has seen a condition. */
export async function acknowledge(context: Context, id: string): Promise<void> {
  try {
    await context.mirror.rest.post(`events/${encodeURIComponent(id)}/acknowledge`, { comment: "" });
  } catch (error) {
    const mend = error instanceof RestError ? error.mend : "";
    context.toast({ tone: "bad", title: "Not acknowledged", detail: `${reasonOf(error)} ${mend}`.trim() });
  }
}

export class AlarmPanel implements Painter {
  readonly element: HTMLElement;
  readonly tools: HTMLElement;
  private readonly rows = h("div", { class: "list-rows", role: "list" });
  private readonly place = h("div", { class: "list scroll", tabIndex: -1 });
  private readonly all: HTMLButtonElement;
  private readonly pastNote = h("span", { class: "dim clip", hidden: true }, "These are the conditions of now, not of the time that is shown.");
  private show: "active" | "all" = "active";
  private ages: [HTMLElement, number][] = [];
  private isStale = true;
  private known: Set<string> | null = null;

  constructor(private readonly context: Context) {
    const { mirror, pulse } = context;
    const choice = segmented("Which conditions", [["active", "Active"], ["all", "All"]] as const, "active", (which) => {
      this.show = which;
      this.isStale = true;
      pulse.mark(this);
    });
    this.all = button("Acknowledge all", () => {
      for (const event of this.listed()) if (event.is_active && !event.is_acknowledged) void acknowledge(context, event.id);
    }, "quiet", "check");
    this.tools = h("div", { class: "dock-tools" }, choice.element, this.pastNote, h("span", { class: "grow" }), this.all);
    mirror.on("time", (time) => (this.pastNote.hidden = time.live));
    this.element = h("div", { class: "dock-panel", attrs: { "aria-label": "Alarms" } }, this.place);
    mirror.on("events", ({ ids }) => {
      this.isStale = true;
      this.announce(ids);
      pulse.mark(this);
    });
    mirror.on("structure", () => {
      this.isStale = true;
      pulse.mark(this);
    });
    pulse.tick(this);
  }

  /** Active conditions that nobody has acknowledged, and the worst severity among them. */
  static unseen(context: Context): { count: number; worst: number } {
    let count = 0;
    let worst = -1;
    for (const event of context.mirror.alarms()) {
      if (event.is_acknowledged) continue;
      count += 1;
      worst = Math.max(worst, event.severity ?? 0);
    }
    return { count, worst };
  }

  paint(): void {
    if (this.element.offsetParent === null && !this.isStale) return;
    if (this.isStale) {
      this.isStale = false;
      this.build();
    }
    const now_ms = this.context.mirror.nowMs();
    for (const [element, at_ms] of this.ages) setText(element, ageText(now_ms - at_ms));
  }

  private listed(): WorldEvent[] {
    const { mirror } = this.context;
    if (this.show === "active") return mirror.alarms();
    return [...mirror.events.values()].sort((a, b) => (b.source_ns ?? 0) - (a.source_ns ?? 0)).slice(0, ROWS_AT_MOST);
  }

  private build(): void {
    const { mirror } = this.context;
    const events = this.listed();
    this.ages = [];
    this.all.disabled = !events.some((event) => event.is_active && !event.is_acknowledged);
    if (events.length === 0) {
      this.place.replaceChildren(
        this.show === "active"
          ? emptyState("check", "No active alarms", "Conditions that the sources raise appear here, the most urgent first.")
          : emptyState("bell", "Nothing has happened yet", "Alarms, state changes and lost sources are kept here."),
      );
      return;
    }
    const now_ms = mirror.nowMs();
    this.rows.replaceChildren(...events.slice(0, ROWS_AT_MOST).map((event) => this.row(event, now_ms)));
    if (this.rows.parentElement !== this.place) this.place.replaceChildren(this.rows);
  }

  private row(event: WorldEvent, now_ms: number): HTMLElement {
    const { mirror } = this.context;
    const severity = event.severity ?? 0;
    const at_ms = (event.source_ns ?? 0) / 1e6;
    const age = h("span", { class: "num dim age" }, ageText(now_ms - at_ms));
    this.ages.push([age, at_ms]);
    const state = !event.is_active ? "over" : event.is_acknowledged ? "acknowledged" : "active";
    return h(
      "div",
      { class: `list-row alarm-row ${state}`, role: "listitem", attrs: { "data-event": event.id } },
      h(
        "button",
        {
          class: "list-main",
          attrs: { type: "button", "aria-label": `${SEVERITY_NAMES[severity]} alarm, ${state}: ${text(event.message)}, ${mirror.nameOf(event.twin)}` },
          on: { click: () => this.context.goTo(event.twin, true) },
        },
        h("span", { class: `list-icon sev-${severity}`, title: SEVERITY_NAMES[severity] }, icon(`alarm-${severity}` as IconName, "alarm")),
        h("span", { class: "list-words clip" }, text(event.message) || labelText(event.kind)),
        h("span", { class: "list-twin clip dim" }, mirror.twins.has(event.twin) ? mirror.nameOf(event.twin) : event.twin),
        h("span", { class: "list-time num dim", title: momentText(at_ms) }, whenText(at_ms, now_ms)),
        age,
      ),
      state === "active"
        ? button("Acknowledge", () => void acknowledge(this.context, event.id), "plain")
        : h("span", { class: "chip" }, state),
    );
  }

  /** A toast for urgent conditions that were not there before; none for what was there on arrival. */
  private announce(ids: Set<string> | null): void {
    const { mirror } = this.context;
    if (this.known === null || ids === null) {
      this.known = new Set([...mirror.events.values()].filter((event) => event.is_active).map((event) => event.id));
      return;
    }
    for (const id of ids) {
      const event = mirror.events.get(id);
      if (!event?.is_active) {
        this.known.delete(id);
        continue;
      }
      if (this.known.has(id)) continue;
      this.known.add(id);
      const severity = event.severity ?? 0;
      if (severity < TOAST_FROM || event.is_acknowledged) continue;
      this.context.toast({
        tone: `sev-${severity}`,
        title: text(event.message) || labelText(event.kind),
        detail: mirror.nameOf(event.twin),
        action: { label: "Show", run: () => this.context.goTo(event.twin, true) },
        isSticky: true,
      });
    }
  }
}
