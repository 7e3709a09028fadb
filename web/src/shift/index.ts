// The shift at work: how effective its units are, where their time went, why they stood, and its reports.

import "./shift.css";

import { durationText } from "../format.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { button, emptyState, h, openDialog, segmented, setText } from "../panels/dom.ts";
import type { KeptReports, LossRow, ShiftFigures, ShiftRow, ShiftsPage, StopRow, StopsPage, UnitRow } from "../protocol.ts";
import { apiUrl } from "../rest.ts";
import { language, t } from "../words.ts";
import { setUp } from "./setup.ts";
import { type Clock, reasonChooser, stopList } from "./stops.ts";

type View = "units" | "stops" | "reports" | "setup";

/** The address that opens the shift at once, for a phone's home screen. */
export const HASH = "#shift";
const AGAIN_MS = 15_000;

const CONDITIONS: readonly (readonly [string, string])[] = [
  ["running", t("running")],
  ["down", t("down")],
  ["delayed", t("waiting")],
  ["setup", t("set-up")],
  ["planned", t("planned stop")],
  ["unknown", t("not known")],
];

/** Opens the dialog of the shift. */
export function openShift(context: Context, first: View = "units"): void {
  const { rest } = context.mirror;
  const place = h("div", { class: "shift-view" });
  const choice = h("select", { class: "select", attrs: { "aria-label": t("Which shift") } });
  const asked = h("span", { class: "badge", hidden: true });
  let view: View = first;
  let page: ShiftsPage | null = null;
  let isChoosing = false;
  let isOver = false;
  let round = 0;

  const tabs = segmented(t("Show"), [["units", t("Units")], ["stops", t("Stops")], ["reports", t("Reports")], ["setup", t("Set up")]] as const, first, (next) => {
    view = next;
    isChoosing = false;
    told.hidden = true;
    void fill();
  });
  tabs.element.children[1]!.append(" ", asked);
  choice.addEventListener("change", () => {
    isChoosing = false;
    void fill();
  });
  // Toasts would lie behind the dialog.
  const told = h("div", { class: "shift-told", role: "status", hidden: true });
  const tell = (what: string, undo?: () => void): void => {
    told.hidden = false;
    told.replaceChildren(h("span", { class: "grow" }, what), undo ? button(t("Undo"), undo, "plain") : "");
  };
  const body = h("div", { class: "shift-body" }, h("div", { class: "shift-head" }, choice, tabs.element), told, place);
  const dialog = openDialog(t("Shift"), body, [], {
    wide: true,
    onClose: () => {
      isOver = true;
      clearInterval(timer);
      unwatch();
      if (location.hash === HASH) history.replaceState(null, "", location.pathname + location.search);
    },
  });
  dialog.element.classList.add("shift");
  const unwatch = context.mirror.on("sheets", () => {
    if (view === "setup" && !isOver) void fill();
  });
  const timer = setInterval(() => {
    if (!isChoosing && (view === "units" || view === "stops") && choice.value === "current" && !document.hidden) void fill();
  }, AGAIN_MS);

  const clock = (): Clock => {
    const form = new Intl.DateTimeFormat(language, { timeZone: page?.time_zone ?? "UTC", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    return (time_ns) => form.format(time_ns / 1e6);
  };

  const fill = async (): Promise<void> => {
    const mine = ++round;
    if (view === "setup") {
      // What is kept comes back by the stream, a moment after it was answered.
      place.replaceChildren(...setUp(context, () => (page = null)));
      return;
    }
    try {
      if (page === null) {
        page = await rest.get<ShiftsPage>("shifts");
        choice.replaceChildren(...page.shifts.map((shift) => option(shift, page!)));
      }
      const shift = choice.value || "last";
      const [figures, stops] = await Promise.all([
        rest.get<ShiftFigures>("effectiveness", { shift, language }),
        rest.get<StopsPage>("stops", { shift, language }),
      ]);
      const kept = view === "reports" ? await rest.get<KeptReports>("reports") : null;
      if (mine !== round || isOver || isChoosing) return;
      const open = stops.stops.filter((stop) => stop.is_unexplained).length;
      asked.hidden = open === 0;
      setText(asked, String(open));
      asked.title = t(open === 1 ? "{n} stop without a reason" : "{n} stops without a reason", { n: open });
      const scroll = body.scrollTop;
      place.replaceChildren(...(kept ? reports(kept, shift, clock()) : view === "stops" ? [stopList(stops.stops, clock(), (stop) => void choose(stop)), stops.is_cut && note()].filter((each) => each !== false) : units(figures)));
      body.scrollTop = scroll;
    } catch (error) {
      if (mine === round && !isOver) place.replaceChildren(h("p", { class: "form-error", role: "alert" }, reasonOf(error)));
    }
  };

  const note = (): HTMLElement => h("p", { class: "dim" }, t("There are more stops than are shown here."));

  const choose = async (stop: StopRow): Promise<void> => {
    isChoosing = true;
    try {
      told.hidden = true;
      const done = (): void => {
        isChoosing = false;
        if (!isOver) void fill();
      };
      const chooser = await reasonChooser(context, stop, clock(), done, tell);
      place.replaceChildren(chooser);
      body.scrollTop = 0;
      chooser.querySelector<HTMLElement>(".reason")?.focus({ preventScroll: true });
    } catch (error) {
      isChoosing = false;
      place.replaceChildren(h("p", { class: "form-error", role: "alert" }, reasonOf(error)));
    }
  };

  const units = (figures: ShiftFigures): HTMLElement[] => {
    if (figures.units.length === 0) {
      return [emptyState("clock", t("No work units yet"), t("A unit is a twin with a point for its state and one that counts good items. Set it up if its points have other names."))];
    }
    const stopsOf = (): void => {
      view = "stops";
      tabs.set("stops");
      void fill();
    };
    return [
      h("div", { class: "legend-key" }, ...CONDITIONS.map(([condition, name]) => h("span", {}, h("span", { class: "gantt" }, h("i", { class: condition })), name))),
      ...figures.units.map((unit) => unitCard(unit, figures, clock(), stopsOf)),
      ...losses(figures.losses),
    ];
  };

  const reports = (kept: KeptReports, shift: string, at: Clock): HTMLElement[] => [
    h("p", {}, t("Effectiveness after ISO 22400-2, time lost by reason, stops, alarms and commands.")),
    h(
      "div",
      { class: "shift-links" },
      h("strong", { class: "grow" }, t("The shift chosen above, as it is known now")),
      link("html", `reports/shift.html`, t("Open as a page"), { shift }),
      link("pdf", `reports/shift.pdf`, t("Open as PDF"), { shift }),
    ),
    h("h3", { class: "part" }, t("Written at the end of shifts")),
    kept.reports.length === 0
      ? emptyState("document", t("None yet"), t("Set it up, and they are written, kept and mailed after each shift."))
      : h("ul", { class: "stop-list" }, ...kept.reports.slice(0, 60).map((report) =>
          h("li", { class: "shift-links" },
            h("span", { class: "grow" }, h("strong", {}, report.shift), ` ${dayOf(report.end_ns)} ${at(report.start_ns)}–${at(report.end_ns)} `, h("span", { class: "dim" }, report.forms.length === 0 ? report.mailed : "")),
            ...report.forms.map((form) => link(form, `reports/kept/${encodeURIComponent(report.id)}.${form}`, form === "pdf" ? t("Open as PDF") : t("Open as a page"))),
          ))),
  ];

  const dayOf = (time_ns: number): string =>
    new Intl.DateTimeFormat(language, { timeZone: page?.time_zone ?? "UTC", dateStyle: "medium" }).format(time_ns / 1e6);

  void fill();
}

/** Opens the shift where the address asks for it, now and whenever it changes to that. */
export function openShiftByAddress(context: Context): void {
  const look = (): void => {
    if (location.hash === HASH && !document.querySelector("dialog.shift")) openShift(context, "stops");
  };
  window.addEventListener("hashchange", look);
  look();
}

function option(shift: ShiftRow, page: ShiftsPage): HTMLOptionElement {
  const day = new Intl.DateTimeFormat(language, { timeZone: page.time_zone, weekday: "short", day: "2-digit", month: "2-digit" }).format(shift.start_ns / 1e6);
  const time = new Intl.DateTimeFormat(language, { timeZone: page.time_zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const name = `${shift.name} · ${day} ${time.format(shift.start_ns / 1e6)}–${time.format(shift.end_ns / 1e6)}`;
  return h("option", { attrs: { value: shift.is_current ? "current" : String(shift.start_ns) } }, shift.is_current ? t("Now: {shift}", { shift: name }) : name);
}

function link(form: string, path: string, label: string, parameters: Record<string, string> = {}): HTMLAnchorElement {
  const href = apiUrl(path, path.startsWith("reports/shift") ? { ...parameters, language: language === "de" ? "de" : "en" } : {}).href;
  return h("a", { class: "button plain", attrs: { href, target: "_blank", rel: "noopener", "data-form": form } }, label);
}

function percent(share: number | null): string {
  return share === null ? "–" : new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 }).format(share);
}

/** One unit: its OEE and the three factors, its time as a bar, what it made. */
function unitCard(unit: UnitRow, figures: ShiftFigures, clock: Clock, stops: () => void): HTMLElement {
  const count = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  const factors: readonly (readonly [string, number | null])[] = [
    [t("Availability"), unit.availability],
    [t("Effectiveness"), unit.effectiveness],
    [t("Quality ratio"), unit.quality_ratio],
  ];
  return h(
    "section",
    { class: "unit", attrs: { "data-unit": unit.twin, "aria-label": unit.name } },
    h("h3", {}, h("span", { class: "grow" }, unit.name), unit.is_rate_guessed && h("span", { class: "chip", title: t("The planned rate is guessed from the range of the speed; a sheet of kind oee sets it.") }, t("rate guessed"))),
    h("div", { class: "unit-oee" }, h("b", {}, percent(unit.oee)), h("span", { class: "dim" }, "OEE")),
    h("div", { class: "unit-factors" }, ...factors.flatMap(([name, share]) => {
      const fill = h("i");
      fill.style.width = `${Math.min(1, share ?? 0) * 100}%`;
      return [h("span", { class: "dim" }, name), h("div", { class: "unit-track" }, fill), h("span", { class: "num" }, percent(share))];
    })),
    h("div", { class: "unit-gantt" }, ...gantt(unit, figures, clock)),
    h(
      "div",
      { class: "unit-counts num" },
      h("span", {}, t("{n} good", { n: count.format(unit.good) })),
      h("span", {}, t("{n} rejected", { n: count.format(unit.rejected) })),
      h("span", {}, t("stood {duration}", { duration: durationText((unit.adot_s + unit.adet_s + unit.aust_s) * 1000) })),
      unit.unexplained > 0 && button(t(unit.unexplained === 1 ? "{n} stop without a reason" : "{n} stops without a reason", { n: unit.unexplained }), stops, "plain"),
    ),
  );
}

function gantt(unit: UnitRow, { shift, until_ns }: ShiftFigures, clock: Clock): HTMLElement[] {
  const whole = shift.end_ns - shift.start_ns;
  const at = (time_ns: number): string => `${((time_ns - shift.start_ns) / whole) * 100}%`;
  const spent = CONDITIONS.map(([condition, name]) => {
    const seconds = unit.timeline.filter((each) => each.condition === condition).reduce((sum, each) => sum + (each.end_ns - each.start_ns) / 1e9, 0);
    return seconds > 0 ? `${name} ${durationText(seconds * 1000)}` : "";
  }).filter(Boolean);
  const bar = h("div", { class: "gantt", role: "img", attrs: { "aria-label": spent.join(", ") } });
  for (const stretch of unit.timeline) {
    const part = h("i", { class: stretch.condition, title: `${CONDITIONS.find(([condition]) => condition === stretch.condition)?.[1] ?? ""} ${clock(stretch.start_ns)}–${clock(stretch.end_ns)}` });
    part.style.left = at(stretch.start_ns);
    part.style.width = `${((stretch.end_ns - stretch.start_ns) / whole) * 100}%`;
    bar.append(part);
  }
  if (until_ns < shift.end_ns) {
    const now = h("i", { class: "now" });
    now.style.left = at(until_ns);
    bar.append(now);
  }
  const hours = h("div", { class: "gantt-hours", attrs: { "aria-hidden": "true" } });
  for (let i = 0; i <= 4; i++) {
    const mark = h("span", {}, clock(shift.start_ns + (whole * i) / 4));
    mark.style.left = `${i * 25}%`;
    hours.append(mark);
  }
  return [bar, hours];
}

/** Time lost by reason, the longest first. */
function losses(rows: readonly LossRow[]): HTMLElement[] {
  if (rows.length === 0) return [];
  const longest = rows[0]!.seconds || 1;
  return [
    h("h3", { class: "part" }, t("Time lost by reason")),
    h("dl", { class: "losses" }, ...rows.slice(0, 12).flatMap((row) => {
      const bar = h("div", { class: "bar" });
      bar.style.width = `${(row.seconds / longest) * 100}%`;
      return [h("dt", {}, row.reason || t("no reason given")), h("dd", {}, bar), h("dd", { class: "num dim" }, `${durationText(row.seconds * 1000)} · ${row.times}×`)];
    })),
  ];
}
