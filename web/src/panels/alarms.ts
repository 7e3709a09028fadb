// Conditions of the plant: a list by urgency, acknowledging, and a toast for what is new and urgent.

import { ageText, labelText, momentText, whenText } from "../format.ts";
import { RestError, text, type WorldEvent } from "../mirror.ts";
import { idPath } from "../rest.ts";
import { type Context, reasonOf } from "./context.ts";
import { button, emptyState, h, iconButton, openDialog, segmented, setText } from "./dom.ts";
import { icon, type IconName } from "./icons.ts";
import { BackgroundNotices, openNotices } from "./notices.ts";
import type { Painter } from "./pulse.ts";
import { t } from "../words.ts";

const SEVERITY_NAMES = [t("Info"), t("Low"), t("Medium"), t("High")] as const;
const TOAST_FROM = 3;
const ROWS_AT_MOST = 400;

/** Tells the server that a person has seen a condition. */
export async function acknowledge(context: Pick<Context, "mirror" | "toast">, id: string): Promise<void> {
  try {
    await context.mirror.rest.post(`events/${idPath(id)}/acknowledge`, { comment: "" });
  } catch (error) {
    const mend = error instanceof RestError ? error.mend : "";
    context.toast({ tone: "bad", title: t("Not acknowledged"), detail: `${reasonOf(error)} ${mend}`.trim() });
  }
}

/** Whether nobody is called: shelved, out of service, or suppressed in a flood. */
export function isAside(event: WorldEvent, now_ms: number): boolean {
  return (event.is_out_of_service ?? false) || (event.is_suppressed ?? false) || (event.shelved_until_ns ?? 0) / 1e6 > now_ms;
}

/** What is said of an alarm beside its message: where it stands after ISA-18.2. */
function standing(event: WorldEvent, now_ms: number): string {
  if (event.is_out_of_service) return t("out of service");
  if ((event.shelved_until_ns ?? 0) / 1e6 > now_ms) return t("shelved until {time}", { time: whenText(event.shelved_until_ns! / 1e6, now_ms) });
  if (event.is_suppressed) return t("suppressed");
  if (event.is_active) return event.is_acknowledged ? t("acknowledged") : t("active");
  return event.is_latched ? t("latched") : t("over");
}

async function putBack(context: Context, event: WorldEvent): Promise<void> {
  try {
    await context.mirror.rest.post(`events/${idPath(event.id)}/${event.is_out_of_service ? "in-service" : "unshelve"}`, {});
  } catch (error) {
    context.toast({ tone: "bad", title: t("Not put back"), detail: reasonOf(error) });
  }
}

const SHELF: readonly (readonly [number, string])[] = [[900, t("15 minutes")], [3_600, t("1 hour")], [28_800, t("8 hours")], [86_400, t("1 day")]];

/** Asks for how long an alarm is to call nobody, and why. */
function openShelf(context: Context, event: WorldEvent): void {
  const reason = h("input", { class: "input", attrs: { type: "text", maxlength: "200", placeholder: t("Why? It goes into the log."), "aria-label": t("Reason") } });
  const failed = h("p", { class: "form-error", role: "alert" });
  const shelve = async (duration_s: number): Promise<void> => {
    try {
      await context.mirror.rest.post(`events/${idPath(event.id)}/shelve`, { duration_s, reason: reason.value });
      dialog.close();
    } catch (error) {
      failed.textContent = reasonOf(error);
    }
  };
  const body = h(
    "div",
    { class: "form" },
    h("p", {}, text(event.message) || labelText(event.kind)),
    h("label", { class: "field" }, h("span", { class: "field-label" }, t("Reason")), reason),
    h("div", { class: "shelf-times" }, ...SHELF.map(([seconds, label]) => button(label, () => void shelve(seconds), "plain", "clock"))),
    failed,
  );
  const dialog = openDialog(t("Shelve alarm"), body, [h("span", { class: "grow" }), button(t("Cancel"), () => dialog.close(), "quiet")]);
}

export class AlarmPanel implements Painter {
  readonly element: HTMLElement;
  readonly tools: HTMLElement;
  private readonly rows = h("div", { class: "list-rows", role: "list" });
  private readonly place = h("div", { class: "list scroll", tabIndex: -1 });
  private readonly all: HTMLButtonElement;
  private readonly pastNote = h("span", { class: "dim clip", hidden: true }, t("These are the conditions of now, not of the time that is shown."));
  private show: "active" | "aside" | "all" = "active";
  private ages: [HTMLElement, number][] = [];
  private isStale = true;
  private known: Set<string> | null = null;

  constructor(private readonly context: Context) {
    const { mirror, pulse } = context;
    const choice = segmented(t("Which conditions"), [["active", t("Active")], ["aside", t("Set aside")], ["all", t("All")]] as const, "active", (which) => {
      this.show = which;
      this.isStale = true;
      pulse.mark(this);
    });
    this.all = button(t("Acknowledge all"), () => {
      for (const event of this.listed()) if (event.is_active && !event.is_acknowledged) void acknowledge(context, event.id);
    }, "quiet", "check");
    const notices = new BackgroundNotices(context);
    const notify = iconButton("bell", t("Notifications…"), () => openNotices(context, notices));
    this.tools = h("div", { class: "dock-tools" }, choice.element, this.pastNote, h("span", { class: "grow" }), notify, this.all);
    mirror.on("time", (time) => (this.pastNote.hidden = time.live));
    this.element = h("div", { class: "dock-panel", attrs: { "aria-label": t("Alarms") } }, this.place);
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
    if (this.show === "aside") return [...mirror.events.values()].filter((event) => isAside(event, mirror.nowMs()));
    // Why a unit stood is told where the shift is, not among what happened by itself.
    const told = [...mirror.events.values()].filter((event) => event.kind !== "downtime_reason");
    return told.sort((a, b) => (b.source_ns ?? 0) - (a.source_ns ?? 0)).slice(0, ROWS_AT_MOST);
  }

  private build(): void {
    const { mirror } = this.context;
    const events = this.listed();
    this.ages = [];
    this.all.disabled = !events.some((event) => event.is_active && !event.is_acknowledged);
    if (events.length === 0) {
      this.place.replaceChildren(
        this.show === "active"
          ? emptyState("check", t("No active alarms"), t("Conditions that the sources raise appear here, the most urgent first."))
          : emptyState("bell", t("Nothing has happened yet"), t("Alarms, state changes and lost sources are kept here.")),
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
    const calls = !isAside(event, now_ms) && !event.is_acknowledged && ((event.is_active ?? false) || (event.is_latched ?? false));
    const state = calls ? "active" : event.is_active ? "acknowledged" : "over";
    return h(
      "div",
      { class: `list-row alarm-row ${state}`, role: "listitem", attrs: { "data-event": event.id } },
      h(
        "button",
        {
          class: "list-main",
          attrs: { type: "button", "aria-label": t("{severity} alarm, {state}: {message}, {twin}", { severity: SEVERITY_NAMES[severity]!, state: standing(event, now_ms), message: text(event.message), twin: mirror.nameOf(event.twin) }) },
          on: { click: () => this.context.goTo(event.twin, true) },
        },
        h("span", { class: `list-icon sev-${severity}`, title: SEVERITY_NAMES[severity] }, icon(`alarm-${severity}` as IconName, "alarm")),
        h("span", { class: "list-words clip" }, text(event.message) || labelText(event.kind)),
        h("span", { class: "list-twin clip dim" }, mirror.twins.has(event.twin) ? mirror.nameOf(event.twin) : event.twin),
        h("span", { class: "list-time num dim", title: momentText(at_ms) }, whenText(at_ms, now_ms)),
        age,
      ),
      state === "active"
        ? button(t("Acknowledge"), () => void acknowledge(this.context, event.id), "plain")
        : h("span", { class: "chip" }, standing(event, now_ms)),
      isAside(event, now_ms)
        ? button(t("Take off the shelf"), () => void putBack(this.context, event), "quiet")
        : event.is_active || event.is_latched
          ? button(t("Shelve…"), () => openShelf(this.context, event), "quiet")
          : null,
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
        action: { label: t("Show"), run: () => this.context.goTo(event.twin, true) },
        isSticky: true,
      });
    }
  }
}
