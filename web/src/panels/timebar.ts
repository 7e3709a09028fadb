// Time from the beginning of the record to now: drag into the past, play it, come back.

import { theme } from "../style/theme.ts";
import { clockText, dayText, durationText, momentText } from "../format.ts";
import type { WorldInfo } from "../protocol.ts";
import type { Context } from "./context.ts";
import { h, iconButton, segmented, setAttr, setText } from "./dom.ts";
import { setIcon } from "./icons.ts";
import { marksOf } from "./marks.ts";
import type { Painter } from "./pulse.ts";
import { tickText, timeTicks } from "./timeaxis.ts";
import { t } from "../words.ts";

/** Nearer to now than this part of the bar is now. */
const LIVE_PX = 7;
const SHORTEST_MS = 10_000;
const SEEK_EVERY_MS = 120;
const FIRST_AGAIN_MS = 5000;

export class TimeBar implements Painter {
  readonly element: HTMLElement;
  private readonly track: HTMLElement;
  private readonly canvas = h("canvas", { class: "time-canvas", attrs: { "aria-hidden": "true" } });
  private readonly handle = h("div", { class: "time-handle", attrs: { "aria-hidden": "true" } });
  private readonly tip = h("div", { class: "time-tip num", hidden: true, attrs: { "aria-hidden": "true" } });
  private readonly playButton: HTMLButtonElement;
  private readonly speeds;
  private readonly live: HTMLButtonElement;
  private readonly liveWord = h("span", {}, t("Live"));
  private readonly now = h("span", { class: "time-now num" });
  /** What the bar shows; null: the whole record to now. */
  private view: { start_ms: number; end_ms: number } | null = null;
  private speed = 1;
  private seekTimer = 0;
  private seekTo: number | null = null;
  private isDragging = false;
  private firstAskedAt = -Infinity;
  private first_ms = 0;
  private drawn = "";

  constructor(
    private readonly context: Context,
    tabs: HTMLElement,
  ) {
    const { mirror, pulse } = context;
    this.playButton = iconButton("pause", t("Pause  Space"), () => this.playPause());
    this.speeds = segmented(t("Speed"), [["1", "1×"], ["10", "10×"], ["60", "60×"]] as const, "1", (choice) => {
      this.speed = Number(choice);
      if (!mirror.time.live) mirror.seek(mirror.viewMs(), this.speed);
    });
    this.live = h(
      "button",
      { class: "live-button", attrs: { type: "button" }, on: { click: () => this.goLive() } },
      h("span", { class: "dot live" }),
      this.liveWord,
    );
    this.track = h(
      "div",
      {
        class: "time-track",
        role: "slider",
        tabIndex: 0,
        attrs: { "aria-label": t("Time"), "aria-valuemin": 0, "aria-valuemax": 1000 },
        on: {
          pointerdown: (event) => this.onDown(event),
          pointermove: (event) => this.onMove(event),
          pointerup: (event) => {
            this.onUp();
            if (event.pointerType === "touch") this.tip.hidden = true;
          },
          pointercancel: () => this.onUp(),
          pointerleave: () => (this.tip.hidden = true),
          keydown: (event) => this.onKey(event),
          dblclick: () => this.showAll(),
        },
      },
      this.canvas,
      this.handle,
      this.tip,
    );
    this.track.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.element = h(
      "div",
      { class: "time-bar", role: "group", attrs: { "aria-label": t("Time") } },
      tabs,
      h("div", { class: "time-play" }, this.playButton, this.speeds.element),
      this.track,
      this.now,
      this.live,
    );
    mirror.on("time", () => pulse.mark(this));
    mirror.on("branch", () => {
      this.first_ms = 0;
      this.firstAskedAt = -Infinity;
      this.view = null;
    });
    mirror.on("values", () => mirror.time.live || pulse.mark(this));
    mirror.on("events", () => pulse.mark(this));
    mirror.on("commands", () => pulse.mark(this));
    mirror.on("link", () => pulse.mark(this));
    theme.on(() => {
      this.drawn = "";
      pulse.mark(this);
    });
    new ResizeObserver(() => pulse.mark(this)).observe(this.track);
    pulse.tick(this);
    pulse.mark(this);
  }

  // --- what others do with it ------------------------------------------------------------------

  playPause(): void {
    const { mirror } = this.context;
    if (mirror.time.live) {
      if (this.hasPast) mirror.seek(mirror.nowMs(), 0);
    } else if (mirror.time.speed > 0) mirror.seek(mirror.viewMs(), 0);
    else mirror.seek(mirror.viewMs(), this.speed);
  }

  step(direction: 1 | -1): void {
    const { start_ms, end_ms } = this.range();
    this.jump(this.context.mirror.viewMs() + (direction * (end_ms - start_ms)) / 100);
  }

  goLive(): void {
    this.seekTo = null;
    clearTimeout(this.seekTimer);
    this.seekTimer = 0;
    this.context.mirror.seek(null);
  }

  private showAll(): void {
    this.view = null;
    this.context.pulse.mark(this);
  }

  // --- time --------------------------------------------------------------------------------------

  private get hasPast(): boolean {
    return this.first_ms > 0 && this.first_ms < this.context.mirror.nowMs() - 1000;
  }

  private range(): { start_ms: number; end_ms: number } {
    const now_ms = this.context.mirror.nowMs();
    if (this.view) return this.view;
    const start_ms = this.first_ms > 0 ? Math.min(this.first_ms, now_ms - SHORTEST_MS) : now_ms - 60_000;
    return { start_ms, end_ms: now_ms };
  }

  private place(time_ms: number): number {
    const { start_ms, end_ms } = this.range();
    return (time_ms - start_ms) / (end_ms - start_ms);
  }

  private timeAt(event: PointerEvent | WheelEvent): number {
    const box = this.track.getBoundingClientRect();
    const { start_ms, end_ms } = this.range();
    const at = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    return start_ms + at * (end_ms - start_ms);
  }

  private jump(time_ms: number): void {
    const { mirror } = this.context;
    const now_ms = mirror.nowMs();
    const { start_ms, end_ms } = this.range();
    const nearNow = ((end_ms - start_ms) / Math.max(1, this.track.clientWidth)) * LIVE_PX;
    if (time_ms >= now_ms - nearNow) {
      this.goLive();
      return;
    }
    this.seekTo = Math.max(time_ms, this.first_ms);
    if (this.seekTimer) return; // the last wish within the time counts
    this.sendSeek();
    this.seekTimer = window.setTimeout(() => {
      this.seekTimer = 0;
      this.sendSeek();
    }, SEEK_EVERY_MS);
  }

  private sendSeek(): void {
    if (this.seekTo === null) return;
    const { mirror } = this.context;
    const speed = mirror.time.live || this.isDragging ? 0 : mirror.time.speed;
    mirror.seek(this.seekTo, speed);
    this.seekTo = null;
  }

  // --- hands -------------------------------------------------------------------------------------

  private onDown(event: PointerEvent): void {
    if (event.button !== 0 || !this.hasPast) return;
    this.isDragging = true;
    this.track.setPointerCapture(event.pointerId);
    this.track.classList.add("dragging");
    this.jump(this.timeAt(event));
  }

  private onMove(event: PointerEvent): void {
    const at = this.timeAt(event);
    const { start_ms, end_ms } = this.range();
    this.tip.hidden = !this.hasPast;
    const reach_ms = ((end_ms - start_ms) / this.track.clientWidth) * 5;
    const near = marksOf(this.context.mirror, at - reach_ms, at + reach_ms, null).slice(0, 2);
    setText(this.tip, [this.clock(at), ...near.map((mark) => mark.label)].join("  ·  "));
    this.tip.style.left = `${this.place(at) * 100}%`;
    if (this.isDragging) this.jump(at);
  }

  private onUp(): void {
    if (!this.isDragging) return;
    this.isDragging = false;
    this.track.classList.remove("dragging");
    this.context.pulse.mark(this);
  }

  private onWheel(event: WheelEvent): void {
    if (!this.hasPast) return;
    event.preventDefault();
    const now_ms = this.context.mirror.nowMs();
    const { start_ms, end_ms } = this.range();
    const span = end_ms - start_ms;
    const isPan = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (isPan) {
      const by = ((event.deltaX || event.deltaY) / this.track.clientWidth) * span;
      this.setView(start_ms + by, end_ms + by, now_ms);
    } else this.zoom(Math.exp(Math.max(-120, Math.min(120, event.deltaY)) * 0.0022), this.timeAt(event));
  }

  private zoom(by: number, around_ms: number): void {
    const { start_ms, end_ms } = this.range();
    const span = end_ms - start_ms;
    const wanted = Math.max(SHORTEST_MS, span * by);
    const at = (around_ms - start_ms) / span;
    this.setView(around_ms - wanted * at, around_ms + wanted * (1 - at), this.context.mirror.nowMs());
  }

  private setView(start_ms: number, end_ms: number, now_ms: number): void {
    const span = end_ms - start_ms;
    const whole = now_ms - this.first_ms;
    if (span >= whole) this.view = null;
    else {
      const end = Math.min(now_ms, Math.max(end_ms, this.first_ms + span));
      this.view = { start_ms: end - span, end_ms: end };
    }
    this.drawn = "";
    this.context.pulse.mark(this);
  }

  private onKey(event: KeyboardEvent): void {
    const { mirror } = this.context;
    const { start_ms, end_ms } = this.range();
    const step = (end_ms - start_ms) / (event.shiftKey ? 10 : 100);
    switch (event.key) {
      case "ArrowLeft": case "ArrowDown": this.jump(mirror.viewMs() - step); break;
      case "ArrowRight": case "ArrowUp": this.jump(mirror.viewMs() + step); break;
      case "PageUp": this.jump(mirror.viewMs() + step * 10); break;
      case "PageDown": this.jump(mirror.viewMs() - step * 10); break;
      case "Home": this.jump(Math.max(start_ms, this.first_ms)); break;
      case "End": this.goLive(); break;
      case "+": case "=": this.zoom(0.6, mirror.viewMs()); break;
      case "-": this.zoom(1 / 0.6, mirror.viewMs()); break;
      default: return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  // --- painting ------------------------------------------------------------------------------------

  paint(): void {
    const { mirror } = this.context;
    this.askFirst();
    const isLive = mirror.time.live;
    const now_ms = mirror.nowMs();
    const view_ms = mirror.viewMs();
    // Caught up with the present while playing.
    if (!isLive && mirror.time.speed > 0 && view_ms >= now_ms - 400) this.goLive();
    this.keepInView(view_ms, now_ms, isLive);
    const place = Math.max(0, Math.min(1, this.place(view_ms)));
    this.handle.style.left = `${(place * 100).toFixed(3)}%`;
    this.element.classList.toggle("past", !isLive);
    this.element.classList.toggle("no-past", !this.hasPast);
    this.live.classList.toggle("on", isLive);
    setAttr(this.live, "aria-pressed", String(isLive));
    this.live.disabled = isLive;
    const latest = mirror.branch === null ? t("Live") : t("Latest");
    setText(this.liveWord, latest);
    setAttr(this.live, "aria-label", latest); // on a phone the word is not drawn
    const isMoving = isLive || (mirror.time.live === false && mirror.time.speed > 0);
    setIcon(this.playButton.querySelector("svg")!, isMoving ? "pause" : "play");
    const label = isLive ? t("Hold this moment  Space") : isMoving ? t("Pause  Space") : t("Play on  Space");
    setAttr(this.playButton, "aria-label", label);
    this.playButton.title = label;
    this.playButton.disabled = !this.hasPast;
    setText(this.now, this.clock(view_ms));
    this.now.title = isLive ? momentText(view_ms) : t("{moment}, {duration} ago", { moment: momentText(view_ms), duration: durationText(now_ms - view_ms) });
    setAttr(this.track, "aria-valuenow", String(Math.round(place * 1000)));
    setAttr(this.track, "aria-valuetext", isLive ? t("live") : t("{moment}, {duration} ago", { moment: this.clock(view_ms), duration: durationText(now_ms - view_ms) }));
    this.drawTrack();
  }

  /** A zoomed bar goes along with what is shown. */
  private keepInView(view_ms: number, now_ms: number, isLive: boolean): void {
    if (!this.view || this.isDragging) return;
    const { start_ms, end_ms } = this.view;
    const span = end_ms - start_ms;
    if (isLive && end_ms > now_ms - span * 0.2) this.view = { start_ms: now_ms - span, end_ms: now_ms };
    else if (view_ms < start_ms || view_ms > end_ms) {
      const end = Math.min(now_ms, view_ms + span / 2);
      this.view = { start_ms: end - span, end_ms: end };
    }
  }

  private clock(time_ms: number): string {
    return dayText(time_ms) === dayText(this.context.mirror.nowMs()) ? clockText(time_ms) : `${dayText(time_ms)} ${clockText(time_ms)}`;
  }

  /** The record's beginning comes with the welcome; where there was none yet, it is asked again. */
  private askFirst(): void {
    const { mirror } = this.context;
    if (mirror.firstMs > 0) this.first_ms = mirror.firstMs;
    if (this.first_ms > 0 || mirror.link.state !== "live") return;
    const now = performance.now();
    if (now - this.firstAskedAt < FIRST_AGAIN_MS) return;
    this.firstAskedAt = now;
    mirror.rest
      .get<WorldInfo>("world")
      .then((world) => {
        if (world.first_ns > 0) this.first_ms = world.first_ns / 1e6;
        this.context.pulse.mark(this);
      })
      .catch(() => undefined); // asked again soon
  }

  private drawTrack(): void {
    const width = this.track.clientWidth;
    const height = this.track.clientHeight;
    if (width === 0) return;
    const { mirror } = this.context;
    const { start_ms, end_ms } = this.range();
    const view_ms = mirror.viewMs();
    const marks = marksOf(mirror, start_ms, end_ms, null);
    const pixel_ms = (end_ms - start_ms) / width;
    const drawn = `${Math.floor(start_ms / pixel_ms)} ${Math.floor(end_ms / pixel_ms)} ${Math.floor(view_ms / pixel_ms)} ${width} ${marks.length} ${theme.mode}`;
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const pen = this.canvas.getContext("2d");
    if (!pen) return;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(name).trim();
    const x = (time: number): number => ((time - start_ms) / (end_ms - start_ms)) * width;
    const middle = height - 13;
    pen.fillStyle = colour("--line-strong");
    pen.fillRect(0, middle - 1, width, 2);
    pen.fillStyle = mirror.time.live ? colour("--text-3") : colour("--accent");
    pen.fillRect(0, middle - 1, Math.max(0, x(view_ms)), 2);
    // Ticks
    const { ticks, step } = timeTicks(start_ms, end_ms, Math.max(2, Math.floor(width / 96)));
    pen.font = `10px "Inter Variable", sans-serif`;
    pen.textAlign = "center";
    for (const tick of ticks) {
      const at = Math.round(x(tick)) + 0.5;
      if (at < 22 || at > width - 22) continue;
      pen.fillStyle = colour("--line-strong");
      pen.fillRect(at - 0.5, middle - 4, 1, 8);
      pen.fillStyle = colour("--text-3");
      pen.fillText(tickText(tick, step), at, 9);
    }
    // How much happened when: one column a few pixels wide, the worst of it gives the colour.
    const bin = 4;
    const columns = new Map<number, { n: number; severity: number; commands: number }>();
    for (const mark of marks) {
      const column = Math.floor(x(mark.at_ms) / bin);
      const found = columns.get(column) ?? { n: 0, severity: -1, commands: 0 };
      found.n += 1;
      if (mark.kind === "command") found.commands += 1;
      else found.severity = Math.max(found.severity, mark.severity);
      columns.set(column, found);
    }
    for (const [column, { n, severity, commands }] of columns) {
      pen.fillStyle = colour(severity >= 0 ? ["--alarm-info", "--alarm-low", "--alarm-medium", "--alarm-high"][severity]! : "--origin-desired");
      pen.globalAlpha = severity >= 2 || commands > 0 ? 1 : 0.65;
      const tall = Math.min(8, 3 + Math.log2(n) * 1.5);
      pen.fillRect(column * bin + 0.5, middle + 4, bin - 1, tall);
    }
    pen.globalAlpha = 1;
  }
}
