/**
 * The menu on the wrist: what a mouse reaches in the page, a hand reaches here. The trend of the
 * chosen point, time, alarms, twins by their place, colours by value, branches, people, comfort.
 */

import { GhostView } from "../branches/ghost.ts";
import { BranchStore } from "../branches/store.ts";
import { clockText, labelText, whenText } from "../format.ts";
import { type Id, type Mirror, text } from "../mirror.ts";
import { quantityText } from "../heat/panel.ts";
import type { HeatPanel } from "../heat/panel.ts";
import { storeOf } from "../heat/store.ts";
import { acknowledge } from "../panels/alarms.ts";
import { isOpen, stateName, wishText } from "../panels/steps.ts";
import type { SceneApi } from "../scene/api.ts";
import { theme } from "../style/theme.ts";
import { t } from "../words.ts";
import { comfort, setComfort } from "./comfort.ts";
import type { Company } from "./company.ts";
import type { Cutting } from "./cutting.ts";
import type { Guide } from "./guide.ts";
import { paint, rounded, severityTone } from "./pen.ts";
import type { Line, Press } from "./slate.ts";
import type { Trend } from "./trend.ts";

export type Page = "home" | "time" | "alarms" | "twins" | "look" | "branches" | "commands" | "people" | "tours" | "cut" | "comfort" | "help";

export interface MenuActs {
  select(id: Id): void;
  goTo(id: Id): void;
  home(): void;
  /** Model on a table, or life size. */
  toggleTable(): void;
  isOnTable(): boolean;
  /** Puts it elsewhere in the real room; null: this is no room to put it in. */
  replace: (() => void) | null;
  leave(): void;
  /** Finds a twin by typing. */
  search(): void;
  tell(words: string): void;
}

/** What the pages of the menu show. */
export interface MenuMeans {
  heat: HeatPanel | null;
  trend: Trend;
  company: Company | null;
  guide: Guide;
  cutting: Cutting;
}

const ROWS = 5;
const BAR_PX = 70;
const MIN_MS = 60_000;

export class Menu {
  page: Page = "home";
  readonly #mirror: Mirror;
  readonly #acts: MenuActs;
  readonly #heat: HeatPanel | null;
  readonly #trend: Trend;
  readonly #company: Company | null;
  readonly #guide: Guide;
  readonly #cutting: Cutting;
  readonly #branches: BranchStore;
  readonly #ghost: GhostView;
  #unwatch: (() => void) | null = null;
  #from = 0;
  #parent: Id | null = null;
  /** Whose ways are shown, of the people; 0: nobody's. */
  #person = 0;

  constructor(mirror: Mirror, scene: SceneApi, { heat, trend, company, guide, cutting }: MenuMeans, acts: MenuActs) {
    this.#mirror = mirror;
    this.#heat = heat;
    this.#trend = trend;
    this.#company = company;
    this.#guide = guide;
    this.#cutting = cutting;
    this.#acts = acts;
    this.#branches = new BranchStore(mirror);
    this.#ghost = new GhostView(mirror, scene, () => {});
  }

  open(page: Page): void {
    this.page = page;
    this.#from = 0;
    this.#unwatch?.();
    if (page !== "cut") this.#cutting.letGo();
    this.#unwatch = page === "branches" ? this.#branches.watch() : null;
  }

  close(): void {
    this.open("home");
    this.#ghost.hide();
  }

  lines(): Line[] {
    switch (this.page) {
      case "home": return this.#home();
      case "time": return this.#time();
      case "alarms": return this.#alarms();
      case "twins": return this.#twins();
      case "look": return this.#look();
      case "branches": return this.#branchLines();
      case "commands": return this.#commands();
      case "people": return this.#people();
      case "cut": return [...this.#title(t("Cut")), ...this.#cutting.lines(), this.#back()];
      case "tours": return this.#tours();
      case "comfort": return this.#comfort();
      case "help": return this.#help();
    }
  }

  #to(label: string, page: Page, extra: Partial<Press> = {}): Press {
    return { label, act: () => this.open(page), ...extra };
  }

  #title(words: string): Line[] {
    return [{ kind: "title", text: words }];
  }

  #back(...more: Press[]): Line {
    return { kind: "buttons", buttons: [this.#to(t("Menu"), "home"), ...more] };
  }

  /** A window of a long list, with what turns its pages. */
  #paged<T>(all: readonly T[], rows: number): { shown: readonly T[]; turn: Press[] } {
    if (this.#from >= all.length) this.#from = 0;
    const turn: Press[] = all.length <= rows ? [] : [
      { label: "‹", isOff: this.#from === 0, act: () => void (this.#from = Math.max(0, this.#from - rows)) },
      { label: "›", isOff: this.#from + rows >= all.length, act: () => void (this.#from += rows) },
    ];
    return { shown: all.slice(this.#from, this.#from + rows), turn };
  }

  #home(): Line[] {
    const mirror = this.#mirror;
    const alarms = mirror.alarms();
    const nNew = alarms.filter((event) => !event.is_acknowledged).length;
    const acts = this.#acts;
    return [
      { kind: "title", text: mirror.world || "Mirrorworld", note: this.#timeWords() },
      ...this.#trend.lines(),
      ...this.#led(),
      { kind: "buttons", buttons: [
        this.#to(nNew > 0 ? t("Alarms ({n})", { n: nNew }) : t("Alarms"), "alarms", nNew > 0 ? { tone: severityTone(alarms[0]?.severity ?? 0) } : {}),
        this.#to(t("Time"), "time"), this.#to(t("Twins"), "twins"),
      ] },
      { kind: "buttons", buttons: [this.#to(t("Look"), "look"), this.#to(t("Branches"), "branches"), this.#to(t("Commands"), "commands")] },
      { kind: "buttons", buttons: [
        { label: acts.isOnTable() ? t("Life size") : t("On a table"), act: () => acts.toggleTable() },
        ...(acts.replace === null ? [{ label: t("Whole plant"), act: () => acts.home() }] : [{ label: t("Place again"), act: acts.replace }]),
      ] },
      { kind: "buttons", buttons: [{ label: t("Search"), act: () => acts.search() }, this.#to(t("People"), "people"), this.#to(t("Tours"), "tours")] },
      { kind: "buttons", buttons: [this.#to(t("Cut"), "cut"), this.#to(t("Comfort"), "comfort"), this.#to(t("Help"), "help")] },
      { kind: "buttons", buttons: [{ label: t("Leave"), hold_ms: 500, act: () => acts.leave() }] },
    ];
  }

  /** What somebody else does with one's place, and the way out of it, before all else. */
  #led(): Line[] {
    const standing = this.#company?.standing();
    if (!standing?.words) return [];
    return [{ kind: "text", text: standing.words, tone: "accent" }, ...(standing.presses.length > 0 ? [{ kind: "buttons" as const, buttons: standing.presses }] : [])];
  }

  // --- time ------------------------------------------------------------------------------------------

  #timeWords(): string {
    const mirror = this.#mirror;
    if (mirror.link.state !== "live") return t("No line to the server; it comes back by itself.");
    if (mirror.time.live) return t("Live  {time}", { time: clockText(Math.floor(mirror.nowMs() / 1000) * 1000) });
    const words = whenText(Math.floor(mirror.viewMs() / 1000) * 1000, mirror.nowMs());
    return mirror.time.speed > 0 ? t("Past  {time}, {speed}×", { time: words, speed: mirror.time.speed }) : t("Past  {time}, stands", { time: words });
  }

  #time(): Line[] {
    const mirror = this.#mirror;
    const { time } = mirror;
    const first = mirror.firstMs;
    const now = mirror.nowMs();
    const at = mirror.viewMs();
    const part = first > 0 && now > first ? Math.max(0, Math.min(1, (at - first) / (now - first))) : 1;
    const hasPast = first > 0;
    const to = (ms: number): void => {
      if (ms >= now - 1000) mirror.seek(null);
      else mirror.seek(Math.max(first, ms), 0);
    };
    const step = (label: string, ms: number): Press => ({ label, isOff: !hasPast || (time.live && ms > 0), act: () => to(at + ms) });
    const play = (speed: number): Press => ({ label: `${speed}×`, isOff: time.live, isOn: !time.live && time.speed === speed, act: () => mirror.seek(mirror.viewMs(), speed) });
    return [
      { kind: "title", text: t("Time"), note: this.#timeWords() },
      ...(hasPast ? [{
        kind: "picture" as const,
        key: `scrub ${Math.round(part * 500)} ${whenText(first, now)}`,
        height_px: BAR_PX,
        draw: (pen: CanvasRenderingContext2D, width: number, height: number): void => {
          rounded(pen, 0, height / 2 - 8, width, 16, 8, "#263543", null);
          rounded(pen, 0, height / 2 - 8, Math.max(16, width * part), 16, 8, time.live ? "#5fd39a" : "#e3b341", null);
          pen.beginPath();
          pen.arc(Math.max(14, Math.min(width - 14, width * part)), height / 2, 14, 0, 2 * Math.PI);
          pen.fillStyle = "#eef4f8";
          pen.fill();
          pen.font = "450 20px system-ui";
          paint(pen, whenText(first, now), 0, height - 1, "dim");
        },
        press: (across: number) => to(first + across * (now - first)),
      }] : [{ kind: "text" as const, text: t("There is no past to look at."), tone: "dim" as const }]),
      { kind: "buttons", buttons: [step(t("−10 min"), -10 * MIN_MS), step(t("−1 min"), -MIN_MS), step(t("+1 min"), MIN_MS), step(t("+10 min"), 10 * MIN_MS)] },
      { kind: "buttons", buttons: [
        { label: t("Stop here"), isOff: !hasPast, isOn: !time.live && time.speed === 0, act: () => mirror.seek(mirror.viewMs(), 0) },
        play(1), play(10), play(60),
      ] },
      this.#back({ label: t("Live"), isOn: time.live, tone: "good", act: () => mirror.seek(null) }),
    ];
  }

  // --- lists -----------------------------------------------------------------------------------------

  #alarms(): Line[] {
    const mirror = this.#mirror;
    const alarms = mirror.alarms();
    const { shown, turn } = this.#paged(alarms, 4);
    const lines = this.#title(t("Alarms"));
    if (alarms.length === 0) lines.push({ kind: "text", text: t("No active alarms"), tone: "dim" });
    const context = { mirror, toast: ({ title, detail }: { title: string; detail?: string }) => this.#acts.tell([title, detail].filter(Boolean).join(": ")) };
    for (const event of shown) {
      lines.push({
        kind: "value", name: mirror.twins.has(event.twin) ? mirror.nameOf(event.twin) : event.twin,
        value: whenText((event.source_ns ?? 0) / 1e6, mirror.nowMs()), note: text(event.message) || labelText(event.kind), tone: severityTone(event.severity ?? 0),
        press: { label: event.id, act: () => this.#acts.select(event.twin) },
      });
      lines.push({ kind: "buttons", buttons: [
        { label: event.is_acknowledged ? t("acknowledged") : t("Acknowledge"), isOff: event.is_acknowledged ?? false, act: () => void acknowledge(context, event.id) },
        { label: t("Go there"), act: () => this.#acts.goTo(event.twin) },
      ] });
    }
    lines.push(this.#back(...turn));
    return lines;
  }

  #twins(): Line[] {
    const mirror = this.#mirror;
    if (this.#parent !== null && !mirror.twins.has(this.#parent)) this.#parent = null;
    const all = this.#parent === null ? mirror.roots() : mirror.children(this.#parent);
    const { shown, turn } = this.#paged(all, ROWS + 2);
    const parent = this.#parent;
    const lines = this.#title(parent === null ? t("Twins") : mirror.nameOf(parent));
    for (const id of shown) {
      const n = mirror.children(id).length;
      const severity = mirror.alarmOf(id);
      lines.push({
        kind: "value", name: mirror.nameOf(id), value: n > 0 ? `${n} ›` : "", ...(severity > 0 ? { tone: severityTone(severity) } : {}),
        press: { label: id, isOn: id === mirror.selected, act: () => (n > 0 ? this.#into(id) : this.#acts.select(id)) },
      });
    }
    if (parent !== null)
      lines.push({ kind: "buttons", buttons: [
        { label: t("Up"), act: () => this.#into(mirror.parent(parent) ?? null) },
        { label: t("Choose"), act: () => this.#acts.select(parent) },
        { label: t("Go there"), act: () => this.#acts.goTo(parent) },
      ] });
    lines.push(this.#back(...turn));
    return lines;
  }

  #into(id: Id | null): void {
    this.#parent = id;
    this.#from = 0;
  }

  #commands(): Line[] {
    const mirror = this.#mirror;
    const all = [...mirror.commands.values()].sort((a, b) => (b.requested_ns ?? 0) - (a.requested_ns ?? 0));
    const { shown, turn } = this.#paged(all, ROWS);
    const lines = this.#title(t("Commands"));
    if (all.length === 0) lines.push({ kind: "text", text: t("Nothing has been asked of the plant"), tone: "dim" });
    for (const command of shown)
      lines.push({
        kind: "value", name: wishText(mirror, command), value: stateName(command),
        note: `${mirror.twins.has(command.twin) ? mirror.nameOf(command.twin) : command.twin}  ·  ${command.by ?? ""}  ·  ${whenText((command.requested_ns ?? 0) / 1e6, mirror.nowMs())}`,
        tone: isOpen(command) ? "accent" : (command.state ?? 0) > 2 ? "bad" : "plain",
        press: { label: command.id, act: () => this.#acts.select(command.twin) },
      });
    lines.push(this.#back(...turn));
    return lines;
  }

  // --- how it looks ----------------------------------------------------------------------------------

  #look(): Line[] {
    const heat = this.#heat;
    const lines = this.#title(t("Look"));
    lines.push({ kind: "buttons", buttons: [
      { label: t("Names"), isOn: comfort().hasNames, act: () => setComfort({ hasNames: !comfort().hasNames }) },
      { label: theme.mode === "dark" ? t("Light") : t("Dark"), act: () => theme.set(theme.mode === "dark" ? "light" : "dark") },
      ...(heat === null ? [] : [{ label: t("Heat layer"), isOn: heat.isOpen, act: () => heat.toggle() }]),
    ] });
    const { shown, turn } = this.#paged(storeOf(this.#mirror).quantities.all, ROWS);
    if (heat !== null)
      for (const quantity of shown)
        lines.push({
          kind: "value", name: quantityText(quantity), value: String(quantity.handles.length),
          press: { label: quantity.name, act: () => heat.show(quantity.key) },
        });
    lines.push(this.#back(...turn));
    return lines;
  }

  #branchLines(): Line[] {
    const mirror = this.#mirror;
    const { page, failure } = this.#branches;
    const lines = this.#title(t("Branches"));
    const all = page?.branches ?? [];
    const { shown, turn } = this.#paged(all, ROWS);
    lines.push({ kind: "value", name: t("The plant itself"), value: mirror.branch === null ? t("shown") : "", press: { label: "world", isOn: mirror.branch === null, act: () => mirror.show(null) } });
    for (const branch of shown)
      lines.push({
        kind: "value", name: branch.name, value: mirror.branch === branch.id ? t("shown") : branch.run.state === "running" ? t("runs") : "",
        press: { label: branch.id, isOn: mirror.branch === branch.id, act: () => mirror.show(branch.id) },
      });
    if (failure !== null) lines.push({ kind: "text", text: t("The branches could not be had."), tone: "bad" });
    else if (page !== null && all.length === 0) lines.push({ kind: "text", text: t("There is no branch."), tone: "dim" });
    const other = mirror.branch === null ? shown[0]?.id : null;
    if (other !== undefined)
      lines.push({ kind: "buttons", buttons: [{
        label: other === null ? t("The plant beside it") : t("{name} beside it", { name: this.#branches.nameOf(other) }),
        isOn: this.#ghost.isOn, act: () => (this.#ghost.isOn ? this.#ghost.hide() : this.#ghost.show(other)),
      }] });
    lines.push(this.#back(...turn));
    return lines;
  }

  // --- people, comfort, help -------------------------------------------------------------------------

  #people(): Line[] {
    const lines = this.#title(t("People"));
    const company = this.#company;
    const all = company?.others() ?? [];
    const { shown, turn } = this.#paged(all, ROWS);
    if (all.length === 0) lines.push({ kind: "text", text: t("Nobody else is here."), tone: "dim" });
    for (const { id, name, note, presses } of shown) {
      const isOpen = id === this.#person;
      lines.push({ kind: "value", name, value: note, press: { label: name, isOn: isOpen, act: () => void (this.#person = isOpen ? 0 : id) } });
      if (isOpen) lines.push({ kind: "buttons", buttons: presses });
    }
    if (shown.length > 0) lines.push({ kind: "text", text: t("Press a name to stand beside them, to follow them, or to have them come."), tone: "dim" });
    lines.push(...this.#led());
    const presses = company?.presses() ?? [];
    for (let i = 0; i < presses.length; i += 3) lines.push({ kind: "buttons", buttons: presses.slice(i, i + 3) });
    lines.push(this.#back(...turn));
    return lines;
  }

  #tours(): Line[] {
    const guide = this.#guide;
    const all = guide.names();
    const { shown, turn } = this.#paged(all, ROWS);
    const lines = this.#title(t("Tours"));
    if (all.length === 0) lines.push({ kind: "text", text: t("There is no tour. They are made in the page."), tone: "dim" });
    for (const name of shown) lines.push({ kind: "value", name, value: "", press: { label: name, act: () => guide.play(name) } });
    lines.push(this.#back(...turn, ...(guide.isOn ? [{ label: t("End the tour"), act: () => guide.close() }] : [])));
    return lines;
  }

  #comfort(): Line[] {
    const now = comfort();
    const choice = <K extends keyof ReturnType<typeof comfort>>(key: K, value: ReturnType<typeof comfort>[K], label: string): Press => ({
      label, isOn: now[key] === value, act: () => setComfort({ [key]: value }),
    });
    return [
      ...this.#title(t("Comfort")),
      { kind: "buttons", buttons: [choice("move", "teleport", t("Teleport")), choice("move", "walk", t("Walk by stick"))] },
      { kind: "buttons", buttons: [choice("turn", "snap", t("Turn in steps")), choice("turn", "smooth", t("Turn smoothly"))] },
      { kind: "buttons", buttons: [choice("hasVignette", true, t("Dark edges")), choice("hasVignette", false, t("Open view"))] },
      { kind: "buttons", buttons: [choice("isSeated", false, t("I stand")), choice("isSeated", true, t("I sit"))] },
      { kind: "buttons", buttons: [choice("pointing", "left", t("Left hand points")), choice("pointing", "right", t("Right hand points"))] },
      { kind: "buttons", buttons: [choice("rate", "calm", t("72 pictures a second")), choice("rate", "fast", t("As many as it can"))] },
      this.#back(),
    ];
  }

  #help(): Line[] {
    return [
      ...this.#title(t("Help")),
      { kind: "text", text: t("Point and press the trigger, or pinch: choose what is there, or press a button.") },
      { kind: "text", text: t("Hold it: an arc shows where you will stand; let go to be there. The stick forward does the same.") },
      { kind: "text", text: t("Stick to the side: turn. The grip, or a pinch on a panel: take it along.") },
      { kind: "text", text: t("On a table: grip to move the plant, both hands to turn and scale it.") },
      { kind: "text", text: t("Y or B, or a look at your palm: this menu.") },
      { kind: "text", text: t("Search and notes are typed on a panel; layouts and files are for the page."), tone: "dim" },
      this.#back(),
    ];
  }
}
