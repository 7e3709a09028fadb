/**
 * What a panel says of the twin that is chosen: alarms, values with unit, quality and age, and what
 * can be asked of the plant there. Asking is done by holding a button; the road of the command is
 * shown until the plant has confirmed it, or it ended otherwise.
 */

import { ageText, decimalsFor, labelText, numberText, unitText, whenText } from "../format.ts";
import { type Command, type Id, type Mirror, type OperationType, type PointRef, text } from "../mirror.ts";
import { acknowledge } from "../panels/alarms.ts";
import { latest, request } from "../panels/asking.ts";
import { mayArm } from "../panels/arm.ts";
import { isOpen, stateName, wishText } from "../panels/steps.ts";
import { isNumeric, isPlottable, qualityWords, unitOf, valueOf, valueText } from "../panels/values.ts";
import { CommandState, Kind } from "../protocol.ts";
import type { Scalar } from "../protocol.ts";
import { t } from "../words.ts";
import type { Notes } from "./notes.ts";
import { severityTone } from "./pen.ts";
import type { Tone } from "./pen.ts";
import type { Line, Press } from "./slate.ts";

const HOLD_MS = 900;
const VALUES_A_PAGE = 6;
const ALARMS_MAX = 2;
const REPLIES_MAX = 3;
/** Letters of a note that the panel has room for; the rest is in the page. */
const NOTE_LETTERS = 600;

/** A point and the value wanted for it, or an operation and what it is given. */
type Asking = { point: PointRef; wish: number } | { operation: OperationType; given: Map<string, number> };

/** What the panel asks of the visit. */
export interface InspectActs {
  goTo(id: Id): void;
  close(): void;
  /** Opens the keys for a note about the twin that is chosen. */
  writeNote(id: Id): void;
  tell(words: string): void;
}

export class Inspect {
  /** Which point the trend on the wrist shows. */
  onPoint: (handle: number) => void = () => {};
  readonly #mirror: Mirror;
  readonly #notes: Notes;
  readonly #acts: InspectActs;
  #page = 0;
  /** What is being asked for: a point, an operation, or nothing yet. */
  #asking: Asking | null = null;
  #isAskOpen = false;
  #areNotesOpen = false;
  #chosen = -1;
  /** Why the last request was not taken. */
  #problem = "";

  constructor(mirror: Mirror, notes: Notes, acts: InspectActs) {
    this.#mirror = mirror;
    this.#notes = notes;
    this.#acts = acts;
  }

  /** Another twin is looked at: from the beginning. */
  reset(): void {
    this.#page = 0;
    this.#asking = null;
    this.#isAskOpen = this.#areNotesOpen = false;
    this.#problem = "";
    this.#chosen = -1;
  }

  lines(): Line[] {
    const mirror = this.#mirror;
    const id = mirror.selected;
    const twin = id === null ? undefined : mirror.twins.get(id);
    if (id === null || twin === undefined) return [{ kind: "text", text: t("Nothing is chosen."), tone: "dim" }];
    const lines: Line[] = [{ kind: "title", text: mirror.nameOf(id), note: [twin.type ? mirror.typeName(twin.type) : "", id].filter(Boolean).join("  ·  ") }];
    if (!mirror.time.live) lines.push({ kind: "text", text: t("You look at the past."), tone: "uncertain" });
    if (this.#isAskOpen) lines.push(...this.#askLines(id));
    else if (this.#areNotesOpen) lines.push(...this.#noteLines(id));
    else lines.push(...this.#alarmLines(id), ...this.#valueLines(id));
    return lines;
  }

  #alarmLines(id: Id): Line[] {
    const lines: Line[] = [];
    const alarms = this.#mirror.alarms().filter((event) => event.twin === id);
    for (const event of alarms.slice(0, ALARMS_MAX)) {
      lines.push({ kind: "text", text: text(event.message) || labelText(event.kind), tone: severityTone(event.severity ?? 0) });
      if (event.is_acknowledged) continue;
      const context = { mirror: this.#mirror, toast: ({ title, detail }: { title: string; detail?: string }) => this.#acts.tell([title, detail].filter(Boolean).join(": ")) };
      lines.push({ kind: "buttons", buttons: [{ label: t("Acknowledge"), act: () => void acknowledge(context, event.id) }] });
    }
    return lines;
  }

  #valueLines(id: Id): Line[] {
    const mirror = this.#mirror;
    const handles = mirror.handlesOf(id);
    const pages = Math.max(1, Math.ceil(handles.length / VALUES_A_PAGE));
    this.#page = Math.min(this.#page, pages - 1);
    const lines: Line[] = handles.slice(this.#page * VALUES_A_PAGE, (this.#page + 1) * VALUES_A_PAGE).map((handle) => this.#valueLine(handle));
    if (handles.length === 0) lines.push({ kind: "text", text: t("It has no points."), tone: "dim" });
    const page = (step: number): void => void (this.#page = (this.#page + step + pages) % pages);
    if (pages > 1) lines.push({ kind: "buttons", buttons: [{ label: "‹", act: () => page(-1) }, { label: t("{page} of {pages}", { page: this.#page + 1, pages }), act: () => page(1) }, { label: "›", act: () => page(1) }] });
    const buttons: Press[] = [{ label: t("Go there"), act: () => this.#acts.goTo(id) }];
    if (mirror.branch === null && this.#controls(id).n > 0) buttons.push({ label: t("Ask for…"), act: () => void (this.#isAskOpen = true), tone: "accent" });
    buttons.push({ label: t("Close"), act: () => this.#acts.close() });
    lines.push({ kind: "buttons", buttons });
    if (this.#notes.isThere) {
      const n = this.#notes.of(id).length;
      const notes: Press[] = n === 0 ? [] : [{ label: t("Notes ({n})", { n }), act: () => this.#showNotes(true) }];
      lines.push({ kind: "buttons", buttons: [...notes, { label: t("Write a note"), act: () => this.#acts.writeNote(id) }] });
    }
    return lines;
  }

  // --- notes -----------------------------------------------------------------------------------------

  #showNotes(areOpen: boolean): void {
    this.#areNotesOpen = areOpen;
    this.#page = 0;
  }

  /** One note at a time, with what was answered to it. */
  #noteLines(id: Id): Line[] {
    const all = this.#notes.of(id);
    const n = all.length;
    this.#page = Math.min(this.#page, Math.max(0, n - 1));
    const ref = all[this.#page];
    const lines: Line[] = [];
    if (ref === undefined) lines.push({ kind: "text", text: t("There is no note about it."), tone: "dim" });
    else {
      const { note } = ref;
      lines.push({ kind: "value", name: note.author, value: whenText(note.created, this.#mirror.nowMs()) }, { kind: "text", text: cut(note.text) || t("(drawn, no words)") });
      const replies = Object.values(note.replies ?? {}).sort((a, b) => a.created - b.created).slice(-REPLIES_MAX);
      for (const reply of replies) lines.push({ kind: "text", text: `${reply.author}: ${cut(reply.text)}`, tone: "soft" });
    }
    const page = (step: number): void => void (this.#page = (this.#page + step + n) % n);
    if (n > 1) lines.push({ kind: "buttons", buttons: [{ label: "‹", act: () => page(-1) }, { label: t("{page} of {pages}", { page: this.#page + 1, pages: n }), act: () => page(1) }, { label: "›", act: () => page(1) }] });
    lines.push({ kind: "buttons", buttons: [{ label: t("Back"), act: () => this.#showNotes(false) }, { label: t("Write a note"), act: () => this.#acts.writeNote(id) }, { label: t("Close"), act: () => this.#acts.close() }] });
    return lines;
  }

  #valueLine(handle: number): Line {
    const mirror = this.#mirror;
    const severity = mirror.severity(handle);
    const age = ageText(mirror.ageMs(handle));
    const quality = qualityWords(mirror, handle);
    const tone: Tone = severity === 2 ? "bad" : severity === 1 ? "uncertain" : "plain";
    return {
      kind: "value",
      name: labelText(mirror.pointType(handle).name),
      value: `${valueText(mirror, handle)} ${unitOf(mirror, handle)}`.trim(),
      note: [quality, age === "now" || age === "–" ? "" : t("{age} old", { age })].filter(Boolean).join("  ·  "),
      tone,
      ...(isPlottable(mirror.pointType(handle))
        ? { press: { label: mirror.pointType(handle).name, isOn: handle === this.#chosen, act: () => this.#choose(handle) } }
        : {}),
    };
  }

  #choose(handle: number): void {
    this.#chosen = handle;
    this.onPoint(handle);
  }

  // --- asking the plant ------------------------------------------------------------------------------

  /** What may be asked of a twin, and what is not armed. */
  #controls(id: Id): { points: PointRef[]; operations: OperationType[]; n: number; nLocked: number } {
    const mirror = this.#mirror;
    const writable = mirror.pointsOf(id).filter((point) => (point.type.is_writable || mirror.armed(id, point.name)) && (point.type.kind ?? Kind.FLOAT) <= Kind.ENUM);
    const operations = mirror.operationsOf(id);
    const points = writable.filter((point) => mirror.armed(id, point.name));
    const called = operations.filter((operation) => mirror.armed(id, operation.name));
    return { points, operations: called, n: writable.length + operations.length, nLocked: writable.length + operations.length - points.length - called.length };
  }

  #askLines(id: Id): Line[] {
    const mirror = this.#mirror;
    const back: Press = { label: t("Back"), act: () => this.#back() };
    const lines: Line[] = [];
    if (this.#asking === null) {
      const { points, operations, nLocked } = this.#controls(id);
      for (const point of points)
        lines.push({
          kind: "value", name: labelText(point.name), value: `${valueText(mirror, point.handle)} ${mirror.unit(point.handle)}`.trim(), tone: "accent",
          press: { label: point.name, act: () => this.#open({ point, wish: this.#start(point) }) },
        });
      for (const operation of operations)
        lines.push({ kind: "buttons", buttons: [{ label: labelText(operation.name), act: () => this.#open({ operation, given: new Map() }), tone: "accent" }] });
      if (nLocked > 0)
        lines.push({ kind: "text", text: mayArm({ mirror }) ? t("{n} more are read-only. Arm them in the page first.", { n: nLocked }) : t("{n} more are read-only for you.", { n: nLocked }), tone: "dim" });
    } else if ("point" in this.#asking) lines.push(...this.#pointLines(id, this.#asking));
    else lines.push(...this.#operationLines(id, this.#asking));
    if (this.#problem) lines.push({ kind: "text", text: this.#problem, tone: "bad" });
    const asking = this.#asking;
    lines.push(...this.#roadLines(latest(mirror, id, (command) => asking === null || ("point" in asking ? command.point === asking.point.name : command.operation === asking.operation.name))));
    lines.push({ kind: "buttons", buttons: [back, { label: t("Close"), act: () => this.#acts.close() }] });
    return lines;
  }

  #open(asking: Asking): void {
    this.#asking = asking;
    this.#problem = "";
  }

  #back(): void {
    if (this.#asking === null) this.#isAskOpen = false;
    this.#asking = null;
    this.#problem = "";
  }

  #start(point: PointRef): number {
    const now = this.#mirror.value[point.handle]!;
    return Number.isNaN(now) ? this.#range(point).low ?? 0 : now;
  }

  /** The limits of the arm, else those that the source gives. */
  #range({ twin, name, type }: PointRef): { low: number | null; high: number | null } {
    const arm = this.#mirror.armed(twin, name);
    return { low: arm?.low ?? type.low ?? null, high: arm?.high ?? type.high ?? null };
  }

  #pointLines(id: Id, asking: Extract<Asking, { point: PointRef }>): Line[] {
    const mirror = this.#mirror;
    const { point } = asking;
    const { type } = point;
    const { low, high } = this.#range(point);
    const unit = unitText(type.unit ?? "");
    const lines: Line[] = [
      { kind: "value", name: t("{name} now", { name: labelText(point.name) }), value: `${valueText(mirror, point.handle)} ${unit}`.trim() },
      { kind: "value", name: t("Asked for"), value: `${valueOf(type, asking.wish)} ${unit}`.trim(), tone: "accent" },
    ];
    lines.push(...this.#choiceLines(type, asking.wish, low, high, (wish) => (asking.wish = wish)));
    if (low !== null && high !== null && isNumeric(type)) lines.push({ kind: "text", text: t("{low} to {high} {unit}", { low: numberText(low), high: numberText(high), unit }), tone: "dim" });
    const value: Scalar = type.kind === Kind.BOOL ? asking.wish !== 0 : asking.wish;
    lines.push(this.#sendLine(() => ({ twin: id, point: point.name, value })));
    return lines;
  }

  /** Buttons that lead to another value: steps for numbers, each by its name for states. */
  #choiceLines(type: PointRef["type"], wish: number, low: number | null, high: number | null, set: (wish: number) => void): Line[] {
    const kind = type.kind ?? Kind.FLOAT;
    if (kind === Kind.BOOL || kind === Kind.ENUM) {
      const choices = kind === Kind.BOOL ? ([[0, t("no")], [1, t("yes")]] as [number, string][]) : type.labels ?? [];
      const rows: Line[] = [];
      for (let i = 0; i < Math.min(choices.length, 12); i += 3)
        rows.push({ kind: "buttons", buttons: choices.slice(i, i + 3).map(([code, label]) => ({ label, isOn: code === wish, act: () => set(code) })) });
      return rows;
    }
    const span = low !== null && high !== null && high > low ? high - low : Math.max(Math.abs(wish), 1);
    const decimals = kind === Kind.INT ? 0 : decimalsFor(span);
    const fine = Math.max(10 ** Math.floor(Math.log10(span / 50)), kind === Kind.INT ? 1 : 0);
    const by = (step: number): void => set(Number(Math.min(high ?? Infinity, Math.max(low ?? -Infinity, wish + step)).toFixed(Math.min(decimals + 1, 12))));
    const button = (step: number): Press => ({ label: `${step < 0 ? "−" : "+"}${numberText(Math.abs(step))}`, act: () => by(step) });
    return [{ kind: "buttons", buttons: [button(-fine * 10), button(-fine), button(fine), button(fine * 10)] }];
  }

  #operationLines(id: Id, asking: Extract<Asking, { operation: OperationType }>): Line[] {
    const { operation, given } = asking;
    const lines: Line[] = [{ kind: "text", text: text(operation.description) || labelText(operation.name) }];
    for (const input of (operation.inputs ?? []).slice(0, 3)) {
      const kind = input.kind ?? Kind.FLOAT;
      if (kind > Kind.ENUM) {
        lines.push({ kind: "text", text: t("{name} is a text: call this in the page.", { name: labelText(input.name) }), tone: "uncertain" });
        continue;
      }
      const wish = given.get(input.name) ?? input.labels?.[0]?.[0] ?? input.low ?? 0;
      given.set(input.name, wish);
      lines.push({ kind: "value", name: labelText(input.name), value: `${valueOf(input, wish)} ${unitText(input.unit ?? "")}`.trim(), tone: "accent" });
      lines.push(...this.#choiceLines(input, wish, input.low ?? null, input.high ?? null, (next) => given.set(input.name, next)));
    }
    const isWhole = (operation.inputs ?? []).every((input) => (input.kind ?? Kind.FLOAT) <= Kind.ENUM) && (operation.inputs ?? []).length <= 3;
    const value = (name: string): Scalar => ((operation.inputs ?? []).find((input) => input.name === name)?.kind === Kind.BOOL ? given.get(name) !== 0 : given.get(name)!);
    lines.push(this.#sendLine(() => ({ twin: id, operation: operation.name, arguments: Object.fromEntries([...given.keys()].map((name) => [name, value(name)])) }), !isWhole));
    return lines;
  }

  #sendLine(body: () => Record<string, unknown>, isOff = false): Line {
    const isPast = !this.#mirror.time.live;
    return {
      kind: "buttons",
      buttons: [{
        label: isPast ? t("Go live to ask for anything") : t("Hold to send"),
        hold_ms: HOLD_MS,
        isOff: isPast || isOff,
        act: () => void this.#send(body()),
      }],
    };
  }

  async #send(body: Record<string, unknown>): Promise<void> {
    this.#problem = "";
    // Held for a second: that is the second yes that some arms ask for.
    this.#problem = await request(this.#mirror, { ...body, reason: t("from a headset"), is_confirmed: true });
  }

  #roadLines(command: Command | null): Line[] {
    if (command === null) return [];
    const state = command.state ?? 0;
    const tone: Tone = state === CommandState.CONFIRMED ? "good" : state > CommandState.CONFIRMED ? "bad" : "accent";
    const words = `${wishText(this.#mirror, command)}: ${stateName(command)}${isOpen(command) ? "…" : ""}`;
    const lines: Line[] = [{ kind: "text", text: words, tone }];
    if (command.detail) lines.push({ kind: "text", text: command.detail, tone: state > CommandState.CONFIRMED ? "bad" : "dim" });
    return lines;
  }
}

function cut(words: string): string {
  return words.length > NOTE_LETTERS ? `${words.slice(0, NOTE_LETTERS)}…` : words;
}
