// Written by `python -m mirrorworld.protocol.typescript`. Do not edit.

export const STREAM_PATH = "/api/stream";
export const PROTOCOL_VERSION = 1;
export const RATE_HZ_DEFAULT = 20;
export const RATE_HZ_MAX = 60;
export const HEADER_BYTES = 32;
export const FRAME_SNAPSHOT = 1;
export const FRAME_DELTA = 2;
export const FRAME_AS_OF = 3;
export const FLAG_WHOLE = 1;
export const FLAG_MORE = 2;
export const NO_TIME = -2147483648;
export const QUALITY_GOOD = 0;
export const QUALITY_UNCERTAIN = 1073741824;
export const QUALITY_BAD = 2147483648;
export const STATUS_DETAILS = ["", "last_usable", "out_of_range", "waiting", "no_communication", "not_a_number", "wrong_type", "other"] as const;

export const Kind = { FLOAT: 0, INT: 1, BOOL: 2, ENUM: 3, TEXT: 4, ARRAY: 5, BLOB: 6 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export const OriginKind = { MEASURED: 0, INFERRED: 1, SIMULATED: 2, DESIRED: 3, AUTHORED: 4 } as const;
export type OriginKind = (typeof OriginKind)[keyof typeof OriginKind];

export const CommandState = { REQUESTED: 0, SENT: 1, CONFIRMED: 2, REFUSED: 3, EXPIRED: 4, FAILED: 5 } as const;
export type CommandState = (typeof CommandState)[keyof typeof CommandState];

export const Severity = { INFO: 0, LOW: 1, MEDIUM: 2, HIGH: 3 } as const;
export type Severity = (typeof Severity)[keyof typeof Severity];

/** BCP 47 tag -> text; the tag "" is no language given. */
export type Text = Record<string, string>;
export type Scalar = null | boolean | number | string;

/** The first message of a session. */
export interface Hello {
  /** Position (`epoch:sequence`) up to which the page has everything; null: it has nothing. */
  resume: string | null;
  /** How often it wants deltas at most; above 60 is 60. */
  rate_hz: number;
  /** Handles of the points that it wants values of; null: all. */
  watch: number[] | null;
}

/** Wants the values of other points from now on. The server answers with a snapshot of them. */
export interface Watch {
  /** Handles; null: all. */
  points: number[] | null;
}

/** Wants to see the past (`source_ms`, `speed`) or the present again (null). */
export interface Seek {
  /** Source time in Unix milliseconds; null: live. */
  source_ms: number | null;
  /** 0: stand still; 1: as fast as it was; at most 3600. */
  speed: number;
}

/** Wants the exact values of a few points (at most 1000), with origin and quality. */
export interface AskExact {
  /** Comes back in the answer. */
  id: number;
  points: number[];
}

/** Is the server there? It answers Pong with the same id. */
export interface Ping {
  id: number;
}

/** The principal that a session speaks for. */
export interface Who {
  id: string;
  roles: string[];
}

/** The session is open. */
export interface Welcome {
  protocol: number;
  world: string;
  position: string;
  /** The server's clock, to tell the age of values by. */
  now_ms: number;
  principal: Who;
  rate_hz: number;
  /** True: only what changed since `resume` follows. False: drop what you have. */
  is_resumed: boolean;
  /** Source time from which Seek makes sense; 0: nothing recorded yet. */
  first_ms: number;
  features: string[];
}

/** A property that twins of a type are expected to have. */
export interface PropertyType {
  name: string;
  datatype?: string;
  unit?: string;
  semantic_ids?: string[];
  required?: boolean;
  children?: PropertyType[];
  description?: Text;
}

/** One live signal: its kind, unit (UCUM), range and meaning. */
export interface PointType {
  name: string;
  kind?: Kind;
  unit?: string;
  low?: number | null;
  high?: number | null;
  semantic_ids?: string[];
  /** For enums: code -> label. */
  labels?: [number, string][];
  /** The source says that it can be written. Writing also needs the point to be armed. */
  is_writable?: boolean;
  description?: Text;
}

/** Something that the real thing can be asked to do. Arguments are described like points. */
export interface OperationType {
  name: string;
  inputs?: PointType[];
  outputs?: PointType[];
  semantic_ids?: string[];
  description?: Text;
}

/** A relation that twins of a type may have, with the attributes that it may carry. */
export interface RelationType {
  name: string;
  target_type?: string;
  min_count?: number;
  max_count?: number | null;
  properties?: PropertyType[];
  semantic_ids?: string[];
}

/** What twins of a kind have in common. `extends` are ids of other types, nearest first. `components` are parts that every twin of the type has: name -> type id. Their points are declared on the twin itself as `component/point`. */
export interface TwinType {
  id: string;
  name?: Text;
  extends?: string[];
  properties?: PropertyType[];
  points?: PointType[];
  operations?: OperationType[];
  relations?: RelationType[];
  components?: [string, string][];
  semantic_ids?: string[];
  /** What twins of the type look like: `asset:NAME`, `blob:SHA256` or "" for a plain body. */
  geometry?: string;
  description?: Text;
}

/** A property's value; what is not a scalar says what it is under "@". */
export type Value =
  | Scalar
  | ({ "@": "Text" } & Text)
  | ({ "@": "Ref" } & Ref)
  | ({ "@": "Blob" } & Blob)
  | ({ "@": "Property" } & Property)[]
  | Scalar[];

/** A reference to something by IRI: another twin, a concept, a document elsewhere. */
export interface Ref {
  iri: string;
}

/** A stored blob by content: `sha256` in hex, media type, size. */
export interface Blob {
  sha256: string;
  media_type?: string;
  size_bytes?: number;
  name?: string;
}

/** One slowly changing fact: a name, a value, and what is said about it. A value that is a tuple of properties is a nested collection; children with the empty name are a list, in order. `attributes` are statements about the property itself (NGSI-LD property of a property, AAS qualifier, WoT form, USD metadata). */
export interface Property {
  name: string;
  value?: Value;
  /** The source standard's own type name (`xs:double`, `token`), where it says more. */
  datatype?: string;
  /** UCUM. */
  unit?: string;
  semantic_ids?: string[];
  attributes?: Property[];
}

/** Where a twin stands: world_from_twin, metres, right-handed, y up; unit quaternion. */
export interface Pose {
  x_m?: number;
  y_m?: number;
  z_m?: number;
  qx?: number;
  qy?: number;
  qz?: number;
  qw?: number;
}

/** One identified thing. `id` is an IRI (relative ones are resolved against the world's). */
export interface Twin {
  id: string;
  type?: string;
  name?: Text;
  properties?: Property[];
  /** Points of this twin beyond those of its type. */
  points?: PointType[];
  operations?: OperationType[];
  pose?: Pose | null;
  /** Overrides the type's geometry where it is not empty. */
  geometry?: string;
}

/** A twin and its ordinal, a small integer that stays its own. `twin` null: it has ended, and its relations and arms with it. */
export interface TwinAt {
  ordinal: number;
  twin: Twin | null;
}

/** A typed edge between twins, with attributes of its own. Two relations are the same if `kind`, `source`, `target` and `name` are; `name` tells parallel edges apart and is usually empty. */
export interface Relation {
  kind: string;
  source: string;
  target: string;
  name?: string;
  properties?: Property[];
}

/** What identifies a relation. */
export interface RelationKey {
  kind: string;
  source: string;
  target: string;
  name: string;
}

/** Points in columns of equal length; `type` is an index into the message's `point_types`. */
export interface PointTable {
  handle: number[];
  /** Ordinal of the twin. */
  twin: number[];
  type: number[];
}

/** Allows commands to one point or operation of a twin, within interlocks. Nothing of a source is ever written unless an engineer has armed it by name. */
export interface Arm {
  twin: string;
  /** Of the point or the operation. */
  name: string;
  low?: number | null;
  high?: number | null;
  /** Largest change against the source's last report that one command may ask for. */
  max_step?: number | null;
  /** Shortest time between two commands (with `max_step`: the rate of change). */
  min_interval_ms?: number;
  /** (twin, name) of what may not have an open command at the same time. */
  excludes?: [string, string][];
  /** (twin, point, value): conditions on other points; all must be good and equal. */
  only_while?: [string, string, number][];
  /** Whether the person must say yes a second time. */
  must_confirm?: boolean;
}

/** What identifies an arm. */
export interface ArmKey {
  twin: string;
  name: string;
}

/** Types, twins, relations, points and arms, whole (in parts, `reset` in the first) or what changed. Applied in order: what is dropped first, then what is put. */
export interface Structure {
  position: string;
  /** Forget all structure and values before this. */
  reset: boolean;
  part: number;
  /** The page is complete when `part` is `parts - 1`. */
  parts: number;
  types: TwinType[];
  twins: TwinAt[];
  relations: Relation[];
  relations_dropped: RelationKey[];
  point_types: PointType[];
  points: PointTable;
  arms: Arm[];
  arms_dropped: ArmKey[];
}

/** Something that happened: an alarm raised or gone, a state change, a source lost. Events with the same `id` are one condition; the latest tells whether it is active. */
export interface Event {
  id: string;
  twin: string;
  kind: string;
  message: Text;
  severity?: Severity;
  is_active?: boolean;
  is_acknowledged?: boolean;
  source_ns?: number;
  properties?: Property[];
}

/** Conditions that are new or changed; the latest under an id replaces what was before. */
export interface Events {
  events: Event[];
  reset: boolean;
}

/** A desired value of a point, or a call of an operation, and how far it has come. Each step of a command is a change of its own that carries the whole command. */
export interface Command {
  id: string;
  twin: string;
  point?: string;
  operation?: string;
  value?: Scalar;
  arguments?: [string, Scalar][];
  by?: string;
  reason?: string;
  requested_ns?: number;
  timeout_ms?: number;
  state?: CommandState;
  /** Why it was refused, failed or expired; what the source reported. */
  detail?: string;
  results?: [string, Scalar][];
  /** When the state was reached. */
  decided_ns?: number;
}

/** Commands that are new or have moved on; the latest under an id replaces the earlier. */
export interface Commands {
  commands: Command[];
  reset: boolean;
}

/** Something that a source needs a person to decide: a certificate to trust. */
export interface Pending {
  fingerprint: string;
  subject: string;
  detail: string;
}

/** One source of the world, how it stands, and what became of what it sent. */
export interface Source {
  name: string;
  url: string;
  connector: string;
  /** connecting, live, lost, refused or ended. */
  state: string;
  detail: string;
  since_ns: number;
  /** accepted, late, duplicate, unknown, not_a_number, out_of_range, future. */
  tally: Record<string, number>;
  /** What the connector itself dropped or refused, by its own names. */
  counts: Record<string, number>;
  pending: Pending[];
}

/** All sources as they stand; sent when something in it changed, at most once a second. */
export interface Sources {
  sources: Source[];
  position: string;
  durable: string;
  viewers: number;
  /** Samples accepted since the world was opened; two of these tell samples per second. */
  rows: number;
}

/** The value of a text, array or blob point. `is_left_out`: too long to send unasked. */
export interface TextAt {
  handle: number;
  value: null | boolean | number | string | number[];
  is_left_out: boolean;
}

/** Values that are no numbers. Comes right before the binary frame of the same sequence, which has their status and age and ends the moment. */
export interface Texts {
  sequence: number;
  values: TextAt[];
}

/** The latest value of a point, exactly, and where it came from. */
export interface PointValue {
  /** `twin.point`. */
  id: string;
  twin: string;
  name: string;
  handle: number;
  /** `Kind`: 0 float, 1 int, 2 bool, 3 enum, 4 text, 5 array, 6 blob. */
  kind: number;
  unit: string;
  /** Null: no value yet, not a number, or a blob. */
  value: null | boolean | number | string | number[];
  /** For enums, what the code means; for integers beyond 2^53, all digits; else empty. */
  label: string;
  /** OPC UA status code (IEC 62541-4 §7.39). */
  quality: number;
  quality_name: string;
  /** good, uncertain or bad. */
  severity: string;
  /** When the source says it was so; 0: never. */
  source_ns: number;
  received_ns: number;
  /** Place in the log of the change that brought it. */
  sequence: number;
  /** measured, inferred, simulated, desired or authored. */
  origin: string;
  /** The source, model or person it comes from. */
  by: string;
}

/** The answer to AskExact. */
export interface Exact {
  id: number;
  values: PointValue[];
}

/** What this viewer looks at now. Frames of kind as-of follow, or a snapshot of the present. */
export interface Sought {
  /** null: live again. */
  source_ms: number | null;
  speed: number;
}

/** The answer to Ping. */
export interface Pong {
  id: number;
  now_ms: number;
}

/** A message of the page's could not be followed. The session goes on. */
export interface Refusal {
  detail: string;
  place: string;
  mend: string;
}

/** Why a request was not done. Every error of every route has this shape. */
export interface Problem {
  /** What is wrong, in one sentence. */
  detail: string;
  /** Where: the field, the twin, the file. */
  place: string;
  /** What to do about it. */
  mend: string;
}

/** A world at a glance. */
export interface WorldInfo {
  id: string;
  /** `epoch:sequence` of the latest change. */
  position: string;
  /** Up to where the record is on disk. */
  durable: string;
  twins: number;
  points: number;
  types: number;
  relations: number;
  active_events: number;
  open_commands: number;
  now_ns: number;
  version: string;
  principal: Who;
  /** Source time from which history may be asked; 0: nothing yet. */
  first_ns: number;
  /** Samples accepted since the world was opened. */
  rows: number;
  features: string[];
}

/** A twin in a list. */
export interface TwinRow {
  id: string;
  ordinal: number;
  type: string;
  name: Text;
  points: number;
  part_of: string;
}

/** Some of the twins that a query finds, in a stable order. */
export interface TwinsPage {
  twins: TwinRow[];
  /** Give it back to get the next page; null: this was the last. */
  cursor: string | null;
  /** How many there are in all, where it is known without counting. */
  total: number | null;
}

/** Latest values of some points. */
export interface PointsPage {
  points: PointValue[];
  position: string;
  cursor: string | null;
}

/** All about one point of a twin. */
export interface PointDetail {
  value: PointValue;
  type: PointType;
  /** Within which interlocks it may be commanded; null: read-only. */
  arm: Arm | null;
}

/** All about one operation of a twin. */
export interface OperationDetail {
  type: OperationType;
  arm: Arm | null;
}

/** A twin that would feel it if this one failed, and by what way. */
export interface Dependent {
  twin: TwinRow;
  /** The relation of the last step: feeds, powers, controls, depends_on, part_of. */
  by: string;
  steps: number;
}

/** Everything known of a twin. */
export interface TwinDetail {
  twin: Twin;
  ordinal: number;
  type: TwinType | null;
  points: PointDetail[];
  operations: OperationDetail[];
  relations_out: Relation[];
  relations_in: Relation[];
  /** What it is part of, outermost first. */
  path: TwinRow[];
  /** Nearest first; at most 200. */
  dependents: Dependent[];
  /** Open and recent ones, latest first. */
  commands: Command[];
  events: Event[];
  /** Name of the source that declares it; empty: authored. */
  source: string;
  position: string;
}

/** Some of the relations, in the order in which they were added. */
export interface RelationsPage {
  relations: Relation[];
  cursor: string | null;
}

/** History of one point in columns, ordered by source time. */
export interface PointSeries {
  point: string;
  kind: number;
  unit: string;
  source_ns: number[];
  value: (null | boolean | number | string | number[])[];
  quality: number[];
  sequence: number[];
}

/** History of some points over one stretch of source time. */
export interface History {
  start_ns: number;
  end_ns: number;
  /** Whether `max_rows` left something out (the extremes stay). */
  is_downsampled: boolean;
  series: PointSeries[];
}

/** Values as they were known at a position, or were true at a source time. */
export interface AsOf {
  position: string | null;
  time_ns: number | null;
  points: PointValue[];
}

/** Adds or replaces a type. Twins of it gain new points; points are never taken away. */
export interface PutType {
  type: TwinType;
}

/** Adds a twin, or replaces what its source says of it. What was said of the twin by the smaller edits below stays on top, so that a source which declares its twins anew at each start undoes nobody's work. */
export interface PutTwin {
  twin: Twin;
}

/** Ends a twin and its relations. Its points keep their handles and their past. */
export interface DropTwin {
  id: string;
}

/** Adds points to a twin, or replaces their description (not their kind). */
export interface PutPoints {
  twin: string;
  points: PointType[];
}

/** Sets one top-level property of a twin. Holds over what its source says. */
export interface PutProperty {
  twin: string;
  property: Property;
}

/** Removes one top-level property of a twin. */
export interface DropProperty {
  twin: string;
  name: string;
}

/** Names a twin. Holds over what its source calls it. */
export interface PutName {
  twin: string;
  name: Text;
}

/** Places a twin and gives it a look. Holds over what its source says. */
export interface PutPose {
  twin: string;
  pose: Pose;
  geometry?: string;
}

/** Adds a relation or replaces its attributes. */
export interface PutRelation {
  relation: Relation;
}

/** Ends a relation. */
export interface DropRelation {
  kind: string;
  source: string;
  target: string;
  name?: string;
}

/** Makes a point or an operation read-only again. */
export interface Disarm {
  twin: string;
  name: string;
}

/** Edits that take effect together or not at all. */
export interface EditRequest {
  edits: ({ "@": "PutType" } & PutType) | ({ "@": "PutTwin" } & PutTwin) | ({ "@": "DropTwin" } & DropTwin) | ({ "@": "PutPoints" } & PutPoints) | ({ "@": "PutProperty" } & PutProperty) | ({ "@": "DropProperty" } & DropProperty) | ({ "@": "PutName" } & PutName) | ({ "@": "PutPose" } & PutPose) | ({ "@": "PutRelation" } & PutRelation) | ({ "@": "DropRelation" } & DropRelation) | ({ "@": "Arm" } & Arm) | ({ "@": "Disarm" } & Disarm)[];
  reason: string;
}

/** Where in the log the edits now stand. */
export interface Edited {
  position: string;
}

/** A desired value of a point, or the call of an operation; one of the two. */
export interface CommandRequest {
  twin: string;
  point: string;
  operation: string;
  value: null | boolean | number | string;
  /** UCUM unit of `value`; empty: the point's own. One that does not fit is refused. */
  unit: string;
  arguments: Record<string, null | boolean | number | string>;
  reason: string;
  timeout_ms: number;
  /** The person has said yes a second time (asked for where `must_confirm` is set). */
  is_confirmed: boolean;
}

/** Makes a point or operation writable within interlocks; sent again it replaces them. */
export interface ArmRequest {
  arm: Arm;
  reason: string;
}

/** A person has seen an event. */
export interface AcknowledgeRequest {
  comment: string;
}

/** Conditions, latest first. */
export interface EventsPage {
  events: Event[];
  total: number;
}

/** Open and recent commands, latest first. */
export interface CommandsPage {
  commands: Command[];
}

/** A source to mirror from now on, or to look at. */
export interface SourceRequest {
  url: string;
  /** Short and unique; empty: made from the URL. */
  name: string;
  options: Record<string, null | boolean | number | string>;
  username: string;
  password: string;
}

/** The fingerprint that the person compared and trusts. */
export interface TrustRequest {
  fingerprint: string;
}

/** One thing that a look at a source saw. */
export interface FoundTwin {
  twin: Twin;
  type: TwinType | null;
  /** How the twin was guessed. */
  guessed: string;
  sample_values: Record<string, null | boolean | number | string>;
}

/** What a source would be mirrored as. Nothing was declared. */
export interface Discovery {
  url: string;
  findings: FoundTwin[];
}

/** Edits that take effect together or, if one is refused, not at all. */
export interface Edits {
  edits: ({ "@": "PutType" } & PutType) | ({ "@": "PutTwin" } & PutTwin) | ({ "@": "DropTwin" } & DropTwin) | ({ "@": "PutPoints" } & PutPoints) | ({ "@": "PutProperty" } & PutProperty) | ({ "@": "DropProperty" } & DropProperty) | ({ "@": "PutName" } & PutName) | ({ "@": "PutPose" } & PutPose) | ({ "@": "PutRelation" } & PutRelation) | ({ "@": "DropRelation" } & DropRelation) | ({ "@": "Arm" } & Arm) | ({ "@": "Disarm" } & Disarm)[];
  reason?: string;
}

/** One change of the log. Samples are in columns. */
export interface ChangeRow {
  position: string;
  source: string;
  origin: string;
  by: string;
  received_ns: number;
  /** Edits, a command or an event; null: samples. */
  body: ({ "@": "Edits" } & Edits) | ({ "@": "Command" } & Command) | ({ "@": "Event" } & Event) | null;
  points: string[];
  values: (null | boolean | number | string | number[])[];
  source_ns: number[];
  quality: number[];
}

/** Durable changes after a position, in order and without gaps. */
export interface ChangesPage {
  changes: ChangeRow[];
  /** Ask from here next. */
  after: string;
  /** Whether this was all that is durable now. */
  is_end: boolean;
}

/** A world's structure as a readable file: what a person would write by hand. */
export interface WorldFile {
  world: string;
  position: string;
  types: TwinType[];
  twins: Twin[];
  relations: Relation[];
  arms: Arm[];
}

export type ClientMessage =
  | ({ "@": "Hello" } & Hello)
  | ({ "@": "Watch" } & Watch)
  | ({ "@": "Seek" } & Seek)
  | ({ "@": "AskExact" } & AskExact)
  | ({ "@": "Ping" } & Ping);

export type ServerMessage =
  | ({ "@": "Welcome" } & Welcome)
  | ({ "@": "Structure" } & Structure)
  | ({ "@": "Events" } & Events)
  | ({ "@": "Commands" } & Commands)
  | ({ "@": "Sources" } & Sources)
  | ({ "@": "Texts" } & Texts)
  | ({ "@": "Exact" } & Exact)
  | ({ "@": "Sought" } & Sought)
  | ({ "@": "Pong" } & Pong)
  | ({ "@": "Refusal" } & Refusal);

export interface ValueFrame {
  kind: number;
  isWhole: boolean;
  hasMore: boolean;
  sequence: number;
  epoch: number;
  baseMs: number;
  handle: Uint32Array;
  /** NaN: no number. */
  value: Float32Array;
  /** See severityOf, originOf, detailOf. */
  status: Uint8Array;
  /** Source time - baseMs; NO_TIME: the point never had a value. */
  ageMs: Int32Array;
}

/** Views of the buffer, nothing is copied. Throws a RangeError if the buffer is no whole frame. */
export function decodeFrame(buffer: ArrayBuffer): ValueFrame {
  const head = new DataView(buffer);
  const n = head.getUint32(4, true);
  const padded = (n + 3) & ~3;
  if (buffer.byteLength !== HEADER_BYTES + 12 * n + padded) {
    throw new RangeError(`a value frame of ${n} rows does not have ${buffer.byteLength} bytes`);
  }
  const flags = head.getUint8(1);
  return {
    kind: head.getUint8(0),
    isWhole: (flags & FLAG_WHOLE) !== 0,
    hasMore: (flags & FLAG_MORE) !== 0,
    sequence: Number(head.getBigUint64(8, true)),
    epoch: head.getUint32(24, true),
    baseMs: head.getFloat64(16, true),
    handle: new Uint32Array(buffer, HEADER_BYTES, n),
    value: new Float32Array(buffer, HEADER_BYTES + 4 * n, n),
    status: new Uint8Array(buffer, HEADER_BYTES + 8 * n, n),
    ageMs: new Int32Array(buffer, HEADER_BYTES + 8 * n + padded, n),
  };
}

/** 0 good, 1 uncertain, 2 bad. */
export const severityOf = (status: number): number => status >> 6;
export const originOf = (status: number): OriginKind => ((status >> 3) & 7) as OriginKind;
export const detailOf = (status: number): (typeof STATUS_DETAILS)[number] =>
  STATUS_DETAILS[status & 7] as (typeof STATUS_DETAILS)[number];
