/**
 * The page's copy of the world: structure, latest values, events and commands, and what the
 * person looks at. Snapshot and changes give the same copy as a fresh snapshot, at any moment.
 *
 * Everything else on the page reads this and listens to it. Knows no DOM and no 3D.
 */

import { Columns } from "./columns.ts";
import { decimalsFor, NONE, numberText, unitText } from "./format.ts";
import { FRAME_AS_OF, Kind, originOf } from "./protocol.ts";
import type {
  Arm,
  Command,
  Event as WorldEvent,
  OperationType,
  OriginKind,
  PointType,
  PointValue,
  Relation,
  Sheet,
  ServerMessage,
  Source,
  Sources,
  Structure,
  Twin,
  TwinType,
  ValueFrame,
  Who,
  WorldInfo,
} from "./protocol.ts";
import { apiUrl, Rest } from "./rest.ts";
import { Stream } from "./stream.ts";
import type { LinkState } from "./stream.ts";
import { armKey, relationKey, text, WorldStructure } from "./structure.ts";
import type { Id, PointRef } from "./structure.ts";

export { armKey, relationKey, text };
export { RestError } from "./rest.ts";
export type { Rest } from "./rest.ts";
export type {
  Arm,
  Command,
  Id,
  LinkState,
  OperationType,
  PointRef,
  PointType,
  PointValue,
  Relation,
  Source,
  Twin,
  TwinType,
  Who,
  WorldEvent,
};

export type Time = { live: true } | { live: false; atMs: number; speed: number };

/** What listeners are told. */
export interface Told {
  link: { state: LinkState; detail: string; sinceMs: number };
  /** Twins that were touched; null: everything is new. */
  structure: { twins: Set<Id> | null };
  /** What people wrote down, by `kind/name`; null: everything is new. */
  sheets: { keys: Set<string> | null };
  /** Points that changed since the last animation frame; null: all. */
  values: { handles: Uint32Array | null };
  events: { ids: Set<string> | null };
  commands: { ids: Set<string> | null };
  sources: Sources;
  time: Time;
  /** Another branch is shown from now on, or the world itself; its structure follows. */
  branch: { id: Id | null };
  selection: { id: Id | null; before: Id | null };
  hover: { id: Id | null; before: Id | null };
  refusal: { detail: string; place: string; mend: string };
}

type Listener<T> = (told: T) => void;
const EXACT_TIMEOUT_MS = 5000;

export class Mirror {
  readonly rest = new Rest();
  link: Told["link"] = { state: "connecting", detail: "", sinceMs: Date.now() };
  world = "";
  position: string | null = null;
  principal: Who = { id: "", roles: [] };
  features: readonly string[] = [];
  /** Source time from which there is a past to look at; 0: none yet. */
  firstMs = 0;
  readonly events = new Map<string, WorldEvent>();
  readonly commands = new Map<string, Command>();
  sources: readonly Source[] = [];
  /** Samples accepted, viewers, durable position: the last word of the server on itself. */
  standing: Sources | null = null;
  time: Time = { live: true };
  /** Which branch of the world is shown; null: the world itself. */
  branch: Id | null = null;
  /** Calls before the next picture. In a headset the page's own pictures stand still: it puts its own here. */
  beforePicture: (act: () => void) => void = (act) => void requestAnimationFrame(act);

  readonly #structure = new WorldStructure();
  readonly #columns = new Columns();
  readonly #listeners = new Map<keyof Told, Set<Listener<never>>>();
  #stream: Stream;
  #isOpen = false;
  /** Up to where everything is here for certain, the texts that follow a frame included. */
  #resume: string | null = null;
  #clockOffsetMs = 0;
  #branchMs = 0;
  #timeBaseMs = 0;
  #timeAtMs = 0;
  #isFrameAsked = false;
  #isValuesDue = false;
  #structureDue: Set<Id> | null | undefined = undefined;
  #sheetsDue: Set<string> | null = new Set();
  /** Whether there was more than sheets in what came: they alone move nothing in the plant. */
  #isPlantDue = false;
  #selected: Id | null = null;
  #hovered: Id | null = null;
  #alarmOf: Map<Id, number> | null = null;
  #exactId = 0;
  readonly #exactWaiting = new Map<number, (values: PointValue[]) => void>();

  constructor(branch: Id | null = null) {
    this.branch = branch;
    this.#stream = this.#makeStream();
  }

  #makeStream(): Stream {
    const { branch } = this;
    this.rest.branch = branch;
    // What is still under way on a stream that was left must not mix with what came after.
    const ifCurrent = <T extends unknown[]>(act: (...told: T) => void) => (...told: T): void => {
      if (stream === this.#stream) act(...told);
    };
    const stream: Stream = new Stream(apiUrl(branch === null ? "stream" : `branches/${encodeURIComponent(branch)}/stream`), {
      link: ifCurrent((state: LinkState, detail: string) => this.#setLink(state, detail)),
      message: ifCurrent((message: ServerMessage) => this.#receive(message)),
      frame: ifCurrent((frame: ValueFrame) => this.#receiveFrame(frame)),
      position: () => this.#resume,
    });
    return stream;
  }

  open(): void {
    this.#isOpen = true;
    this.#stream.open();
  }

  /** Shows a branch in place of what was shown; null: the world itself. What was known is kept
   * until the other has come, so that the page does not blink. */
  show(branch: Id | null): void {
    if (branch === this.branch) return;
    this.#stream.close();
    this.branch = branch;
    this.position = this.#resume = null;
    this.firstMs = 0;
    this.#structureDue = undefined;
    this.#setTime(null, 0);
    this.#stream = this.#makeStream();
    this.#tell("branch", { id: branch });
    if (this.#isOpen) this.#stream.open();
  }

  close(): void {
    this.#stream.close();
  }

  /** Cuts the line as a failing network would; it comes back by itself. */
  dropLine(): void {
    this.#stream.drop();
  }

  /** The server's clock now, Unix milliseconds; of a branch its own, which stands while it does not run. */
  nowMs(): number {
    return this.branch === null ? Date.now() + this.#clockOffsetMs : this.#branchMs;
  }

  /** The server says what its clock says, or that of the branch. */
  takeClock(now_ms: number): void {
    if (this.branch === null) this.#clockOffsetMs = now_ms - Date.now();
    else this.#branchMs = now_ms;
  }

  // --- structure -------------------------------------------------------------------------

  get types(): ReadonlyMap<Id, TwinType> {
    return this.#structure.types;
  }
  get twins(): ReadonlyMap<Id, Twin> {
    return this.#structure.twins;
  }
  get relations(): ReadonlyMap<string, Relation> {
    return this.#structure.relations;
  }
  /** What people wrote down for the world as a whole, of one kind, in the order of their names. */
  sheets(kind: string): Sheet[] {
    const found = [...this.#structure.sheets.values()].filter((sheet) => sheet.kind === kind);
    return found.sort((a, b) => a.name.localeCompare(b.name));
  }

  /** The kinds of what people wrote down. */
  sheetKinds(): string[] {
    return [...new Set([...this.#structure.sheets.values()].map((sheet) => sheet.kind))].sort();
  }

  get arms(): ReadonlyMap<string, Arm> {
    return this.#structure.arms;
  }
  /** One more than the highest ordinal: the size of what is indexed by ordinal. */
  get nOrdinals(): number {
    return this.#structure.nOrdinals;
  }
  get nTwins(): number {
    return this.#structure.twins.size;
  }
  get nPoints(): number {
    return this.#structure.nPoints;
  }
  get pointTwin(): Int32Array {
    return this.#structure.pointTwin;
  }
  ordinal(id: Id): number {
    return this.#structure.ordinal(id);
  }
  twinAt(ordinal: number): Twin | undefined {
    return this.#structure.twinAt(ordinal);
  }
  nameOf(id: Id): string {
    return this.#structure.nameOf(id);
  }
  typeName(typeId: Id): string {
    return this.#structure.typeName(typeId);
  }
  typeChain(typeId: Id): TwinType[] {
    return this.#structure.typeChain(typeId);
  }
  geometryOf(id: Id): string {
    return this.#structure.geometryOf(id);
  }
  operationsOf(id: Id): OperationType[] {
    return this.#structure.operationsOf(id);
  }
  armed(id: Id, name: string): Arm | undefined {
    return this.#structure.armed(id, name);
  }
  parent(id: Id): Id | undefined {
    return this.#structure.parent(id);
  }
  children(id: Id): readonly Id[] {
    return this.#structure.children(id);
  }
  roots(): readonly Id[] {
    return this.#structure.roots();
  }
  from(id: Id): readonly Relation[] {
    return this.#structure.from(id);
  }
  to(id: Id): readonly Relation[] {
    return this.#structure.to(id);
  }
  pointType(handle: number): PointType {
    return this.#structure.pointType(handle);
  }
  pointRef(handle: number): PointRef {
    return this.#structure.pointRef(handle);
  }
  handlesOf(id: Id): readonly number[] {
    return this.#structure.handlesOf(id);
  }
  pointsOf(id: Id): readonly PointRef[] {
    return this.#structure.pointsOf(id);
  }
  /** -1: the twin has no such point. */
  handle(id: Id, name: string): number {
    return this.#structure.handle(id, name);
  }

  // --- values ----------------------------------------------------------------------------
  // The arrays are replaced by larger ones when points are added: read them anew each time.

  get value(): Float32Array {
    return this.#columns.value;
  }
  get quality(): Uint8Array {
    return this.#columns.quality;
  }
  /** As sent: severityOf, originOf and detailOf of protocol.ts read it. */
  get status(): Uint8Array {
    return this.#columns.status;
  }
  get timeMs(): Float64Array {
    return this.#columns.timeMs;
  }
  get texts(): ReadonlyMap<number, string | number[]> {
    return this.#columns.texts;
  }

  severity(handle: number): 0 | 1 | 2 {
    return (this.#columns.quality[handle] ?? 2) as 0 | 1 | 2;
  }

  origin(handle: number): OriginKind {
    return originOf(this.#columns.status[handle] ?? 0);
  }

  /** How old a value is at the time that is shown; NaN: there is none. */
  ageMs(handle: number): number {
    return this.viewMs() - (this.#columns.timeMs[handle] ?? NaN);
  }

  /** The value as people read it, without its unit. */
  format(handle: number): string {
    const type = this.pointType(handle);
    const kind = type.kind ?? Kind.FLOAT;
    if (kind >= Kind.TEXT) {
      const value = this.#columns.texts.get(handle);
      if (value === undefined) return kind === Kind.BLOB ? "(blob)" : NONE;
      return Array.isArray(value) ? `${value.length} numbers` : value || NONE;
    }
    const value = this.#columns.value[handle] ?? NaN;
    if (Number.isNaN(value) || Number.isNaN(this.#columns.timeMs[handle] ?? NaN)) return NONE;
    if (kind === Kind.ENUM || type.labels?.length) {
      const label = type.labels?.find(([code]) => code === value);
      if (label !== undefined) return label[1];
    }
    if (kind === Kind.BOOL) return value ? "yes" : "no";
    if (kind !== Kind.FLOAT) return numberText(value, 0);
    if (type.low != null && type.high != null)
      return numberText(value, decimalsFor(type.high - type.low));
    return numberText(value);
  }

  unit(handle: number): string {
    return unitText(this.pointType(handle).unit ?? "");
  }

  /** The value with all its digits, its origin and its times. Rejects if no answer comes. */
  async exact(handle: number): Promise<PointValue> {
    const [value] = await this.exactAll([handle]);
    if (value === undefined) throw new Error(`point ${handle} has no exact value`);
    return value;
  }

  exactAll(handles: readonly number[]): Promise<PointValue[]> {
    const id = ++this.#exactId;
    if (!this.#stream.send({ "@": "AskExact", id, points: [...handles] }))
      return Promise.reject(new Error("no line to the server"));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#exactWaiting.delete(id);
        reject(new Error("the server did not answer in time"));
      }, EXACT_TIMEOUT_MS);
      this.#exactWaiting.set(id, (values) => {
        clearTimeout(timer);
        resolve(values);
      });
    });
  }

  // --- events ----------------------------------------------------------------------------

  /** Active conditions worth a look (not mere information): severest first, then latest. */
  alarms(): WorldEvent[] {
    return [...this.events.values()]
      .filter(isAlarm)
      .sort(
        (a, b) =>
          (b.severity ?? 0) - (a.severity ?? 0) || (b.source_ns ?? 0) - (a.source_ns ?? 0),
      );
  }

  /** The severest active condition of a twin; -1: none. */
  alarmOf(id: Id): number {
    if (this.#alarmOf === null) {
      this.#alarmOf = new Map();
      for (const event of this.events.values())
        if (isAlarm(event))
          this.#alarmOf.set(
            event.twin,
            Math.max(this.#alarmOf.get(event.twin) ?? -1, event.severity ?? 0),
          );
    }
    return this.#alarmOf.get(id) ?? -1;
  }

  // --- time ------------------------------------------------------------------------------

  /** Shows the world as it was; null: live again. At a speed other than 0 time moves on. */
  seek(atMs: number | null, speed = 0): void {
    this.#stream.send({ "@": "Seek", source_ms: atMs, speed });
    this.#setTime(atMs, speed);
  }

  /** The time that is shown. */
  viewMs(): number {
    if (this.time.live) return this.nowMs();
    const passed = (performance.now() - this.#timeAtMs) * this.time.speed;
    return Math.min(this.#timeBaseMs + passed, this.nowMs());
  }

  // --- what the person looks at ------------------------------------------------------------

  get selected(): Id | null {
    return this.#selected;
  }

  select(id: Id | null): void {
    const before = this.#selected;
    const next = id !== null && this.twins.has(id) ? id : null;
    if (next === before) return;
    this.#selected = next;
    this.#tell("selection", { id: next, before });
  }

  get hovered(): Id | null {
    return this.#hovered;
  }

  hover(id: Id | null): void {
    const before = this.#hovered;
    if (id === before) return;
    this.#hovered = id;
    this.#tell("hover", { id, before });
  }

  // --- listening -------------------------------------------------------------------------

  /** Calls `listener` at each change until the returned function is called. */
  on<K extends keyof Told>(what: K, listener: Listener<Told[K]>): () => void {
    let listeners = this.#listeners.get(what);
    if (listeners === undefined) this.#listeners.set(what, (listeners = new Set()));
    listeners.add(listener as Listener<never>);
    return () => listeners.delete(listener as Listener<never>);
  }

  #tell<K extends keyof Told>(what: K, told: Told[K]): void {
    for (const listener of this.#listeners.get(what) ?? []) {
      try {
        (listener as Listener<Told[K]>)(told);
      } catch (error) {
        // One part of the page that fails must not keep the others from what is new.
        console.error(`mirror: a listener of '${what}' failed`, error);
      }
    }
  }

  // --- what comes in -----------------------------------------------------------------------

  #setLink(state: LinkState, detail: string): void {
    if (this.link.state === state && this.link.detail === detail) return;
    this.link = { state, detail, sinceMs: Date.now() };
    this.#tell("link", this.link);
  }

  #receive(message: ServerMessage): void {
    switch (message["@"]) {
      case "Welcome":
        if (this.branch === null) this.world = message.world;
        else if (this.world === "") void this.#askName();
        this.principal = message.principal;
        this.features = message.features;
        this.firstMs = message.first_ms;
        this.takeClock(message.now_ms);
        if (!this.time.live) this.seek(this.viewMs(), this.time.speed);
        break;
      case "Structure":
        this.#receiveStructure(message);
        break;
      case "Texts":
        this.#columns.applyTexts(message.values);
        this.#valuesDue();
        break;
      case "Events": {
        if (message.reset) this.events.clear();
        for (const event of message.events) this.events.set(event.id, event);
        this.#alarmOf = null;
        const ids = message.reset ? null : new Set(message.events.map((event) => event.id));
        this.#tell("events", { ids });
        break;
      }
      case "Commands": {
        if (message.reset) this.commands.clear();
        for (const command of message.commands) this.commands.set(command.id, command);
        const ids = message.reset ? null : new Set(message.commands.map((command) => command.id));
        this.#tell("commands", { ids });
        break;
      }
      case "Sources":
        this.sources = message.sources;
        this.standing = message;
        this.#tell("sources", message);
        break;
      case "Sought":
        this.#setTime(message.source_ms, message.speed);
        break;
      case "Exact":
        this.#exactWaiting.get(message.id)?.(message.values);
        this.#exactWaiting.delete(message.id);
        break;
      case "Pong":
        this.takeClock(message.now_ms);
        break;
      case "Refusal":
        console.warn(`mirror: refused: ${message.detail}`, message.place, message.mend);
        this.#tell("refusal", message);
        break;
    }
  }

  /** A branch says its own name; what the world is called is asked of the world. */
  async #askName(): Promise<void> {
    try {
      this.world = (await this.rest.ofWorld<WorldInfo>("world")).id;
    } catch {
      this.world = ""; // asked again with the next welcome
    }
  }

  #receiveStructure(message: Structure): void {
    if (message.reset) {
      this.#columns.clear();
      this.position = this.#resume = null;
    }
    const touched = this.#structure.apply(message);
    this.#columns.reserve(this.#structure.nPoints);
    if (this.#structureDue === undefined) this.#structureDue = touched;
    else if (this.#structureDue !== null && touched !== null)
      for (const id of touched) this.#structureDue.add(id);
    else this.#structureDue = null;
    if (message.reset) this.#sheetsDue = null;
    for (const { kind, name } of [...message.sheets, ...message.sheets_dropped]) this.#sheetsDue?.add(`${kind}/${name}`);
    this.#isPlantDue ||= isOfPlant(message);
    if (message.part < message.parts - 1) return;
    const twins = this.#structureDue;
    this.#structureDue = undefined;
    if (this.#selected !== null && !this.twins.has(this.#selected)) this.select(null);
    if (this.#hovered !== null && !this.twins.has(this.#hovered)) this.hover(null);
    const keys = this.#sheetsDue;
    const isPlant = this.#isPlantDue;
    this.#sheetsDue = new Set();
    this.#isPlantDue = false;
    if (isPlant) this.#tell("structure", { twins });
    if (keys === null || keys.size > 0) this.#tell("sheets", { keys });
  }

  #receiveFrame(frame: ValueFrame): void {
    const isPast = frame.kind === FRAME_AS_OF;
    // A frame that was on its way when the person went to the past, or came back, is of no use.
    if (isPast === this.time.live) return;
    if (!isPast && !frame.hasMore) {
      this.#resume = this.position; // Not yet this one: its texts may still be on their way.
      this.position = `${frame.epoch}:${frame.sequence}`;
    }
    if (isPast) {
      this.#timeBaseMs = frame.baseMs;
      this.#timeAtMs = performance.now();
    } else if (this.branch !== null) this.takeClock(frame.baseMs);
    this.#columns.apply(frame);
    this.#valuesDue();
  }

  #setTime(atMs: number | null, speed: number): void {
    this.#timeAtMs = performance.now();
    this.#timeBaseMs = atMs ?? 0;
    this.time = atMs === null ? { live: true } : { live: false, atMs, speed };
    this.#tell("time", this.time);
  }

  /** Values are told once per animation frame, however many frames of data came. */
  #valuesDue(): void {
    this.#isValuesDue = true;
    if (this.#isFrameAsked) return;
    this.#isFrameAsked = true;
    this.beforePicture(() => {
      this.#isFrameAsked = false;
      if (!this.#isValuesDue) return;
      this.#isValuesDue = false;
      const handles = this.#columns.takeMarked();
      if (handles === null || handles.length > 0) this.#tell("values", { handles });
    });
  }
}

/** Whether a message tells of twins, types, relations, points or arms, and not of sheets alone. */
function isOfPlant(message: Structure): boolean {
  const { reset, types, twins, relations, relations_dropped, points, arms, arms_dropped } = message;
  const told = [types, twins, relations, relations_dropped, points.handle, arms, arms_dropped];
  return reset || told.some((rows) => rows.length > 0);
}

function isAlarm(event: WorldEvent): boolean {
  const isThere = event.is_active === true || event.is_latched === true;
  const isAside = event.is_out_of_service === true || event.is_suppressed === true || (event.shelved_until_ns ?? 0) / 1e6 > Date.now();
  return isThere && !isAside && (event.severity ?? 0) > 0;
}

