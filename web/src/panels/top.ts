// The bar above: which world, how its sources stand, what time is shown, who else looks, what is wrong.

import { theme } from "../style/theme.ts";
import { clockText, countText, dayText, durationText, numberText } from "../format.ts";
import type { Id, Source } from "../mirror.ts";
import { AlarmPanel } from "./alarms.ts";
import type { Context } from "./context.ts";
import { button, emptyState, h, iconButton, popover, setAttr, setText } from "./dom.ts";
import { setIcon } from "./icons.ts";
import type { Painter } from "./pulse.ts";
import { openAccount } from "./account.ts";
import { openPhone } from "./phone.ts";
import { openShift } from "../shift/index.ts";
import { Search } from "./search.ts";
import { openSourceDialog, pendingPrompt, removeSource } from "./sources.ts";
import { t } from "../words.ts";
import { openWorldFile } from "./worldfile.ts";

const SVG = "http://www.w3.org/2000/svg";
const STATE_WORDS: Readonly<Record<string, string>> = {
  connecting: t("connecting"),
  live: t("live"),
  lost: t("lost, trying again"),
  refused: t("needs you"),
  ended: t("played to its end"),
};

export class TopBar implements Painter {
  readonly search: Search;
  private readonly world = h("span", { class: "brand-world clip" });
  private readonly sourcesPill: HTMLButtonElement;
  private readonly dots = h("span", { class: "dots", attrs: { "aria-hidden": "true" } });
  /** How many things around nobody has decided about. */
  private readonly found = h("span", { class: "badge found", hidden: true });
  private readonly sourcesText = h("span", { class: "num" });
  private readonly timePill: HTMLButtonElement;
  private readonly timeDot = h("span", { class: "dot live" });
  private readonly timeText = h("span", { class: "num" });
  private readonly bell: HTMLButtonElement;
  private readonly badge = h("span", { class: "badge", hidden: true });
  private readonly themeButton: HTMLButtonElement;
  private readonly sourcePanel = h("div", { role: "dialog", attrs: { "aria-label": t("Sources") } });
  private readonly sourcePopover: { close(): void; isOpen(): boolean };
  private readonly banner: HTMLElement;
  private readonly rates = new Map<string, { accepted: number; at_ms: number; perS: number }>();
  private sourcesShown = "";
  private lostAt_ms: number | null = null;

  constructor(
    host: HTMLElement,
    private readonly context: Context,
    layout: { toggle(which: "left" | "right" | "dock"): void; showType(type: Id): void; boards: HTMLElement; branches: HTMLElement; show: HTMLElement },
  ) {
    const { mirror, pulse } = context;
    this.search = new Search(context, layout.showType);
    this.sourcesPill = h("button", { class: "top-pill", attrs: { type: "button" } }, this.dots, this.sourcesText, this.found);
    context.around.on(() => pulse.mark(this));
    this.timePill = h(
      "button",
      { class: "time-pill", attrs: { type: "button" }, on: { click: () => mirror.time.live || mirror.seek(null) } },
      this.timeDot,
      this.timeText,
    );
    this.bell = iconButton("bell", t("Alarms"), () => context.show("alarms"), "count-button");
    this.bell.append(this.badge);
    this.themeButton = iconButton("moon", t("Theme"), () => {
      theme.set(theme.mode === "dark" ? "light" : "dark");
    });
    theme.on(() => pulse.mark(this));
    host.append(
      h(
        "div",
        { class: "top-side" },
        h("div", { class: "brand" }, mark(), h("span", { class: "brand-name" }, "Mirrorworld"), this.world),
        this.sourcesPill,
      ),
      this.search.element,
      h(
        "div",
        { class: "top-side end" },
        this.timePill,
        this.bell,
        layout.boards,
        layout.branches,
        layout.show,
        h("span", { class: "top-toggles" },
          iconButton("panel", t("Tree of twins  ["), () => layout.toggle("left")),
          iconButton("trend", t("Trends and lists  B"), () => layout.toggle("dock")),
          iconButton("right", t("Details  ]"), () => layout.toggle("right")),
        ),
        this.themeButton,
        iconButton("person", t("Account"), () => openAccount(context)),
        iconButton("phone", t("On a phone…"), () => openPhone(context), "only-wide"),
        iconButton("document", t("Shift"), () => openShift(context), "only-wide"),
        iconButton("download", t("The world as a file"), () => openWorldFile(context), "only-wide"),
        iconButton("help", t("Keys and help  ?"), () => context.openHelp(), "only-wide"),
      ),
    );
    this.sourcePopover = popover(this.sourcesPill, this.sourcePanel, () => this.buildSources());
    this.banner = h("div", { class: "link-banner", role: "status", hidden: true });
    document.body.append(this.banner);
    for (const what of ["link", "sources", "events", "time", "structure"] as const) mirror.on(what, () => pulse.mark(this));
    mirror.on("sources", () => this.measure());
    pulse.tick(this);
    pulse.mark(this);
  }

  paint(): void {
    const { mirror } = this.context;
    setText(this.world, mirror.world.replace(/_/g, " "));
    document.title = this.titleText();
    this.paintSources();
    this.paintTime();
    this.paintLink();
    const { count, worst } = AlarmPanel.unseen(this.context);
    this.badge.hidden = count === 0;
    this.badge.className = `badge sev-${worst}`;
    setText(this.badge, count > 99 ? "99+" : String(count));
    const label = count === 0 ? t("Alarms: none to acknowledge") : t("Alarms: {n} to acknowledge", { n: count });
    setAttr(this.bell, "aria-label", label);
    this.bell.title = label;
    setIcon(this.themeButton.querySelector("svg")!, theme.mode === "dark" ? "sun" : "moon");
    const themeLabel = theme.mode === "dark" ? t("Light theme  T") : t("Dark theme  T");
    setAttr(this.themeButton, "aria-label", themeLabel);
    this.themeButton.title = themeLabel;
  }

  private titleText(): string {
    const { mirror } = this.context;
    const { count } = AlarmPanel.unseen(this.context);
    const branch = mirror.branch === null ? "" : `${t("Branch")} · `;
    const board = document.documentElement.dataset["board"];
    return `${branch}${count > 0 ? `(${count}) ` : ""}${board ? `${board} · ` : ""}${mirror.world ? `${mirror.world.replace(/_/g, " ")} · ` : ""}Mirrorworld`;
  }

  private paintTime(): void {
    const { mirror } = this.context;
    const isLive = mirror.time.live;
    const isLinked = mirror.link.state === "live";
    document.documentElement.dataset["time"] = isLive ? "live" : "past";
    this.timePill.classList.toggle("past", !isLive);
    this.timePill.classList.toggle("lost", isLive && !isLinked);
    this.timeDot.hidden = !isLive;
    this.timeDot.className = `dot ${isLinked ? "live" : mirror.link.state}`;
    const view_ms = mirror.viewMs();
    setText(
      this.timeText,
      isLive
        ? isLinked ? (mirror.branch === null ? "LIVE" : t("BRANCH")) : mirror.link.state === "refused" ? t("REFUSED") : t("RECONNECTING")
        : `${t("PAST")}  ${dayText(view_ms) === dayText(mirror.nowMs()) ? "" : `${dayText(view_ms)} `}${clockText(view_ms)}`,
    );
    const label = isLive ? (mirror.branch === null ? t("You see the present") : t("You see a branch, not the plant")) : t("You see the past. Back to live");
    setAttr(this.timePill, "aria-label", label);
    this.timePill.title = label;
    this.timePill.disabled = isLive;
  }

  private paintLink(): void {
    const { link } = this.context.mirror;
    // Since the line was lost, however many tries there were.
    if (link.state === "live") this.lostAt_ms = null;
    else this.lostAt_ms ??= Date.now();
    const lost_ms = this.lostAt_ms === null ? 0 : Date.now() - this.lostAt_ms;
    const isDown = link.state === "refused" || (link.state !== "live" && lost_ms > 1500);
    document.documentElement.dataset["link"] = isDown ? "down" : "up";
    this.banner.hidden = !isDown;
    if (!isDown) {
      this.banner.replaceChildren();
      return;
    }
    const [title, hint] =
      link.state === "refused"
        ? [t("The server refused this page"), link.detail || t("Open the address that `mirrorworld up` printed, with its token.")]
        : link.state === "connecting"
          ? [t("Connecting to the server"), link.detail]
          : [t("No line to the server"), `${t("What you see is {duration} old. Trying again by itself.", { duration: durationText(lost_ms) })}${link.detail ? ` ${link.detail}` : ""}`];
    const shown = `${title}\0${hint}`;
    if (this.banner.dataset["shown"] === shown) return;
    this.banner.dataset["shown"] = shown;
    this.banner.replaceChildren(
      h("span", { class: `dot ${link.state === "refused" ? "refused" : "reconnecting"}` }),
      h("span", {}, title, hint && h("small", { attrs: { "aria-hidden": link.state !== "refused" && "true" } }, hint)),
    );
  }

  // --- sources -------------------------------------------------------------------------------

  private measure(): void {
    const now_ms = performance.now();
    for (const source of this.context.mirror.sources) {
      const accepted = source.tally["accepted"] ?? 0;
      const before = this.rates.get(source.name);
      if (!before) this.rates.set(source.name, { accepted, at_ms: now_ms, perS: 0 });
      else if (now_ms - before.at_ms > 400) {
        const perS = Math.max(0, ((accepted - before.accepted) / (now_ms - before.at_ms)) * 1000);
        this.rates.set(source.name, { accepted, at_ms: now_ms, perS: before.perS === 0 ? perS : before.perS * 0.6 + perS * 0.4 });
      }
    }
  }

  private paintSources(): void {
    const { sources } = this.context.mirror;
    const states = sources.map((source) => source.state).join(" ");
    if (this.dots.dataset["states"] !== states) {
      this.dots.dataset["states"] = states;
      this.dots.replaceChildren(...sources.slice(0, 8).map((source) => h("span", { class: `dot ${source.state}` })));
    }
    const pending = sources.filter((source) => source.pending.length > 0 || source.state === "refused").length;
    const lost = sources.filter((source) => source.state === "lost").length;
    const words =
      sources.length === 0
        ? t("Add a source")
        : pending > 0
          ? t(pending === 1 ? "{n} source needs you" : "{n} sources need you", { n: pending })
          : lost > 0
            ? t("{n} of {all} lost", { n: lost, all: sources.length })
            : t(sources.length === 1 ? "{n} source" : "{n} sources", { n: sources.length });
    setText(this.sourcesText, words);
    this.sourcesPill.classList.toggle("bad", pending > 0);
    this.sourcesPill.classList.toggle("warn", pending === 0 && lost > 0);
    const fresh = this.context.around.fresh.length;
    this.found.hidden = fresh === 0;
    setText(this.found, fresh > 99 ? "99+" : String(fresh));
    this.found.title = t("{n} discovered", { n: fresh });
    setAttr(this.sourcesPill, "aria-label", `${t("Sources")}: ${words}${fresh > 0 ? `, ${t("{n} discovered", { n: fresh })}` : ""}`);
    if (this.sourcePopover.isOpen()) this.buildSources();
  }

  private buildSources(): void {
    const { mirror } = this.context;
    // Rebuilt only if something in it differs: a click in it must hit what it was aimed at.
    const fresh = this.context.around.fresh;
    const shown = JSON.stringify([mirror.sources, fresh.length]) + Math.floor(mirror.nowMs() / 5000);
    if (shown === this.sourcesShown && this.sourcePanel.childElementCount > 0) return;
    this.sourcesShown = shown;
    const focused = document.activeElement instanceof HTMLElement && this.sourcePanel.contains(document.activeElement) ? document.activeElement.dataset["key"] : undefined;
    const add = button(t("Add a source"), () => {
      this.sourcePopover.close();
      openSourceDialog(this.context);
    }, "plain", "plus");
    add.dataset["key"] = "add";
    this.sourcePanel.replaceChildren(
      ...(mirror.sources.length === 0
        ? [emptyState("plug", t("No sources yet"), t("OPC UA, MQTT, Sparkplug B or a recording: give its address, and see what it would be mirrored as."))]
        : mirror.sources.map((source) => this.sourceRow(source))),
      h(
        "div",
        { class: "popover-foot num" },
        h("span", { class: "grow" }, fresh.length > 0 ? t("{n} discovered", { n: fresh.length }) : mirror.standing ? t("{n} samples since the start", { n: countText(mirror.standing.rows) }) : ""),
        add,
      ),
    );
    if (focused) this.sourcePanel.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  private sourceRow(source: Source): HTMLElement {
    const now_ms = this.context.mirror.nowMs();
    const rate = this.rates.get(source.name)?.perS ?? 0;
    const counts = h("div", { class: "source-counts num" });
    const count = (label: string, n: number, isOdd: boolean): void => {
      if (n > 0 || !isOdd) counts.append(h("span", { class: isOdd ? "odd" : "" }, h("b", {}, countText(n)), ` ${label}`));
    };
    count("samples", source.tally["accepted"] ?? 0, false);
    counts.append(h("span", {}, h("b", {}, numberText(rate, rate < 10 ? 1 : 0)), " /s"));
    const words: Record<string, string> = { not_a_number: t("not a number"), out_of_range: t("out of range"), future: t("from the future"), unknown: t("unknown point") };
    for (const [name, n] of Object.entries(source.tally)) if (name !== "accepted") count(words[name] ?? name, n, true);
    for (const [name, n] of Object.entries(source.counts)) count(name.replace(/_/g, " "), n, true);
    const since = source.since_ns > 0 ? ` ${t("for {duration}", { duration: durationText(Math.max(0, now_ms - source.since_ns / 1e6)) })}` : "";
    const remove = iconButton("close", t("Remove {name}", { name: source.name }), () => removeSource(this.context, source.name), "small");
    remove.dataset["key"] = `remove ${source.name}`;
    return h(
      "div",
      { class: "source", attrs: { "data-source": source.name } },
      h(
        "div",
        { class: "source-head" },
        h("span", { class: `dot ${source.state}` }),
        h("strong", { class: "clip" }, source.name),
        h("span", { class: "chip" }, source.connector),
        h("span", { class: "dim grow num" }, `${STATE_WORDS[source.state] ?? source.state}${since}`),
        remove,
      ),
      h("div", { class: "mono source-url clip", title: source.url }, source.url),
      source.detail && h("div", { class: `source-detail ${source.state}` }, source.detail),
      counts,
      ...source.pending.map((pending) => pendingPrompt(this.context, source, pending)),
    );
  }
}

/** The house's mark: a thing and its mirror image. */
function mark(): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "brand-mark");
  svg.setAttribute("aria-hidden", "true");
  for (const [d, opacity] of [["M10 1.5l7.2 4.1L10 9.7 2.8 5.6z", "1"], ["M10 18.5l7.2-4.1L10 10.3l-7.2 4.1z", "0.42"]] as const) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    path.setAttribute("fill", "currentColor");
    path.setAttribute("opacity", opacity);
    svg.append(path);
  }
  return svg;
}
