// Written by `python -m mirrorworld.protocol.typescript`. Do not edit.

export const STREAM_PATH = "/api/stream";
export const PROTOCOL_VERSION = 1;
export const FILE_BYTES_MAX = 268435456;
export const RATE_HZ_DEFAULT = 20;
export const RATE_HZ_MAX = 60;
export const HEADER_BYTES = 32;
export const FRAME_SNAPSHOT = 1;
export const FRAME_DELTA = 2;
export const FRAME_AS_OF = 3;
export const FLAG_WHOLE = 1;
export const FLAG_MORE = 2;
export const NO_TIME = -2147483648;
export const MEETING_VERSION = 1;
export const POSE_HZ = 10;
export const MEET_NAME_MAX = 40;
export const MEET_CHAT_MAX = 1000;
export const MEET_REASON_MAX = 200;
export const CLOSE_ELSEWHERE = 4409;
export const CLOSE_PUT_OUT = 4410;
export const CLOSE_FLOOD = 4429;
export const MESH_MAX = 8;
export const VOICE_SLOTS = 6;
export const POSE = 1;
export const POSES = 2;
export const POSES_HEADER_BYTES = 16;
export const POSE_LEFT = 1;
export const POSE_RIGHT = 2;
export const POSE_POINTER = 4;
export const POSE_UNIT = 32767;
export const POSE_MM_MAX = 1000000000;
export const QUALITY_GOOD = 0;
export const QUALITY_UNCERTAIN = 1073741824;
export const QUALITY_BAD = 2147483648;
export const BOARD_COLUMNS = 12;
export const BOARD_TILES_MAX = 200;
export const BOARD_TILE_ROWS_MAX = 40;
export const BOARD_POINTS_MAX = 8;
export const LOOK_COLOURS = ["blue", "sky", "green", "yellow", "orange", "vermilion", "purple", "grey"] as const;
export const LOOK_MARKS = ["", "✓", "●", "◆", "▲", "■", "▼", "✕"] as const;
export const LOOK_SHOWS = ["colour", "badge", "lamp"] as const;
export const LOOK_RULES_MAX = 24;
export const LOOK_BANDS_MAX = 8;
export const TOUR_STEPS_MAX = 100;
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
  /** What twins of the type look like: `asset:NAME`, a stored glTF file `blob:SHA256` (both may go on with `?scale=0.001&up=z`), or "" for a plain body. */
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

/** What people wrote down for the world as a whole: a rule, a board, a plan of shifts. `body` is JSON text that the room of that kind reads; the kernel keeps it as it is. */
export interface Sheet {
  kind: string;
  name: string;
  body?: string;
}

/** What identifies a sheet. */
export interface SheetKey {
  kind: string;
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
  sheets: Sheet[];
  sheets_dropped: SheetKey[];
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
  /** Set aside by a person until then (ISA-18.2 §11.7); 0: not. */
  shelved_until_ns?: number;
  /** Set aside by design, as in a flood (§11.8). */
  is_suppressed?: boolean;
  /** Set aside for maintenance until a person puts it back (§11.9). */
  is_out_of_service?: boolean;
  /** Its cause is gone, and it stays until a person has acknowledged it (§10.5). */
  is_latched?: boolean;
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
  /** Who is in a meeting now. */
  people: number;
  /** Samples accepted since the world was opened; two of these tell samples per second. */
  rows: number;
  /** Twins about which somebody wrote notes or tasks. */
  written: number;
  /** Pages on which somebody arranges the plant now. */
  arranging: number;
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

/** An answer to a note. */
export interface Reply {
  author: string;
  /** Unix milliseconds, by the author's clock; the log has the server's. */
  created: number;
  text: string;
}

/** A line drawn on a part. */
export interface Stroke {
  author: string;
  created: number;
  /** 0, 1, … 5: one of the page's. A CRDT knows no whole numbers. */
  colour: number;
  /** x, y, z after another in whole millimetres, from the note's place, in the twin's frame. */
  points: number[];
}

/** A picture that was taken; the file itself is at `/api/blobs/SHA256`. */
export interface Photo {
  author: string;
  created: number;
  sha256: string;
  name: string;
}

/** What somebody wrote or drew on a twin. */
export interface Note {
  author: string;
  created: number;
  /** x, y, z in metres in the twin's own frame, y up, so that the note follows the part. */
  at: number[];
  text: string;
  strokes: Record<string, Stroke>;
  photos: Record<string, Photo>;
  replies: Record<string, Reply>;
  is_done: boolean;
}

/** Something to be done about a twin. */
export interface Task {
  author: string;
  created: number;
  title: string;
  /** Who does it; "": nobody yet. */
  owner: string;
  /** One of TASK_STATES. */
  state: string;
  /** A date, 2026-11-30. */
  due: string;
  /** The id of the note that it is about. */
  note: string;
}

/** A note with where it is. */
export interface NoteRow {
  twin: string;
  id: string;
  note: Note;
}

/** A task with where it is. */
export interface TaskRow {
  twin: string;
  id: string;
  task: Task;
}

/** Notes, the latest first. */
export interface NotesPage {
  notes: NoteRow[];
  /** Whether there are more than were asked for. */
  is_cut: boolean;
}

/** Tasks, the latest first. */
export interface TasksPage {
  tasks: TaskRow[];
  is_cut: boolean;
}

/** One step of the history of a twin's notes. */
export interface Written {
  position: string;
  by: string;
  at_ms: number;
  /** What changed, a line for each thing. */
  said: string[];
}

/** The history of a twin's notes, the latest first. */
export interface WrittenPage {
  rows: Written[];
}

/** One edit of where things stand. */
export interface LayoutStep {
  position: string;
  by: string;
  at_ms: number;
  /** placed, moved, turned, deleted, or `took back`. */
  said: string;
  /** The first of them, those that were meant before their parts. */
  twins: string[];
  n_twins: number;
  reason: string;
  /** Somebody took it back since. */
  is_undone: boolean;
  /** It is one's own, and young enough to be taken back. */
  may_undo: boolean;
}

/** Edits of where things stand, the latest first. */
export interface LayoutPage {
  rows: LayoutStep[];
}

/** An update of a twin's document, by REST. */
export interface WriteRequest {
  twin: string;
  /** Base64. */
  update: string;
}

/** The first message. */
export interface Begin {
  /** By twin: the state vector of the document that the page holds. */
  states: Record<string, string>;
}

/** An update of a twin's document. */
export interface Write {
  /** Comes back in the answer. */
  id: number;
  twin: string;
  update: string;
}

/** What the person holds in arranging, and how far from where it stands. Said again every few seconds while it is held. */
export interface Moving {
  /** None: nothing is held. */
  twins: string[];
  dx_m: number;
  dz_m: number;
  /** False: the person no longer arranges. */
  is_arranging: boolean;
}

/** Every Document has been sent. */
export interface Began {
  /** Whose name new notes have to bear. */
  me: string;
  /** Whether one may write about anything at all. */
  may_write: boolean;
}

/** What a page lacks of a twin's document, and what of it the server has. */
export interface Document {
  twin: string;
  update: string;
  state: string;
}

/** Somebody else's update; it is durable. */
export interface Wrote {
  twin: string;
  update: string;
  by: string;
}

/** A Write is durable. */
export interface Took {
  id: number;
  position: string;
}

/** A Write was refused: the page has to begin anew with that document. */
export interface NotTaken {
  id: number;
  twin: string;
  detail: string;
  mend: string;
  /** Nothing is wrong with it, but something before it never came: what the page holds is sent again once it has begun anew. */
  lacks: boolean;
}

/** A document is no more, or no more shown: the page has to forget it. */
export interface Gone {
  twin: string;
}

/** What somebody else holds, of what one sees; none: they let go, or are gone. */
export interface Moves {
  /** Tells apart who arranges: one person may on two pages. */
  page: number;
  by: string;
  twins: string[];
  dx_m: number;
  dz_m: number;
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

/** A sheet as the author of edits knew it. */
export interface SheetKnown {
  kind: string;
  name: string;
  /** Null: there was none of that name. */
  body: string | null;
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

/** Says what a twin looks like, wherever it stands. Holds over what its source says, and over what was said with its place; "" is the look of its type, or a plain body. */
export interface PutGeometry {
  twin: string;
  geometry: string;
}

/** Says of what type a twin is. Holds over what its source says. It gains the type's points; where its source describes one of the same name, that holds. */
export interface PutTypeOf {
  twin: string;
  type: string;
}

/** Says what a point means. Holds over what its source says; None leaves that to the source. A unit is an annotation: "what the source sends is mbar". No value is ever converted by it. */
export interface PutPointAbout {
  twin: string;
  point: string;
  /** UCUM. */
  unit?: string | null;
  low?: number | null;
  high?: number | null;
  semantic_ids?: string[] | null;
  labels?: [number, string][] | null;
  description?: Text | null;
}

/** Takes back what one of the smaller edits said of a twin: its source's word holds again. `what` is the name of that edit (`PutName`, `PutPose`, `PutGeometry`, `PutTypeOf`, `PutProperty`, `PutPoints` or `PutPointAbout`), `name` that of the property or point. With `DropRelation` and `kind<TAB>target<TAB>name` a relation may be declared again. */
export interface Unsay {
  twin: string;
  what: string;
  name?: string;
}

/** Adds a relation or replaces its attributes. */
export interface PutRelation {
  relation: Relation;
}

/** Ends a relation. Ended by a person it stays so, however often a source declares it, until a person puts it again. */
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

/** Adds or replaces a sheet. */
export interface PutSheet {
  sheet: Sheet;
}

/** Ends a sheet. The log still has it. */
export interface DropSheet {
  kind: string;
  name: string;
}

/** Edits that take effect together or not at all. */
export interface EditRequest {
  edits: (({ "@": "PutType" } & PutType) | ({ "@": "PutTwin" } & PutTwin) | ({ "@": "DropTwin" } & DropTwin) | ({ "@": "PutPoints" } & PutPoints) | ({ "@": "PutProperty" } & PutProperty) | ({ "@": "DropProperty" } & DropProperty) | ({ "@": "PutName" } & PutName) | ({ "@": "PutPose" } & PutPose) | ({ "@": "PutGeometry" } & PutGeometry) | ({ "@": "PutTypeOf" } & PutTypeOf) | ({ "@": "PutPointAbout" } & PutPointAbout) | ({ "@": "Unsay" } & Unsay) | ({ "@": "PutRelation" } & PutRelation) | ({ "@": "DropRelation" } & DropRelation) | ({ "@": "Arm" } & Arm) | ({ "@": "Disarm" } & Disarm) | ({ "@": "PutSheet" } & PutSheet) | ({ "@": "DropSheet" } & DropSheet))[];
  reason: string;
  /** Sheets as they were when the person began; if somebody has changed one since, nothing is done and the answer is 409. */
  based_on: SheetKnown[];
}

/** A request on `/api/edits/stream`; its answer carries the same id. */
export interface EditMessage {
  id: number;
  edits: (({ "@": "PutType" } & PutType) | ({ "@": "PutTwin" } & PutTwin) | ({ "@": "DropTwin" } & DropTwin) | ({ "@": "PutPoints" } & PutPoints) | ({ "@": "PutProperty" } & PutProperty) | ({ "@": "DropProperty" } & DropProperty) | ({ "@": "PutName" } & PutName) | ({ "@": "PutPose" } & PutPose) | ({ "@": "PutGeometry" } & PutGeometry) | ({ "@": "PutTypeOf" } & PutTypeOf) | ({ "@": "PutPointAbout" } & PutPointAbout) | ({ "@": "Unsay" } & Unsay) | ({ "@": "PutRelation" } & PutRelation) | ({ "@": "DropRelation" } & DropRelation) | ({ "@": "Arm" } & Arm) | ({ "@": "Disarm" } & Disarm) | ({ "@": "PutSheet" } & PutSheet) | ({ "@": "DropSheet" } & DropSheet))[];
  reason: string;
  based_on: SheetKnown[];
}

/** Where the edits of a message now stand, durable; or why they were not made. */
export interface EditAnswer {
  /** -1: the message could not be read. */
  id: number;
  position: string;
  problem: Problem | null;
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

/** A file that was sent and is durable. */
export interface Attached {
  /** What a property refers to it by. */
  blob: Blob;
  /** Of the edit that attached it; null: none was asked for. */
  position: string | null;
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
  edits: (({ "@": "PutType" } & PutType) | ({ "@": "PutTwin" } & PutTwin) | ({ "@": "DropTwin" } & DropTwin) | ({ "@": "PutPoints" } & PutPoints) | ({ "@": "PutProperty" } & PutProperty) | ({ "@": "DropProperty" } & DropProperty) | ({ "@": "PutName" } & PutName) | ({ "@": "PutPose" } & PutPose) | ({ "@": "PutGeometry" } & PutGeometry) | ({ "@": "PutTypeOf" } & PutTypeOf) | ({ "@": "PutPointAbout" } & PutPointAbout) | ({ "@": "Unsay" } & Unsay) | ({ "@": "PutRelation" } & PutRelation) | ({ "@": "DropRelation" } & DropRelation) | ({ "@": "Arm" } & Arm) | ({ "@": "Disarm" } & Disarm) | ({ "@": "PutSheet" } & PutSheet) | ({ "@": "DropSheet" } & DropSheet))[];
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

/** What people wrote down for the world as a whole. */
export interface SheetsPage {
  sheets: Sheet[];
}

/** What sheets of each kind hold, as JSON schemas (draft 2020-12). */
export interface SheetForms {
  forms: Record<string, unknown>;
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

/** Something around that could be mirrored. Its texts come from strangers. */
export interface DiscoveredThing {
  key: string;
  /** new, added or ignored. */
  state: string;
  /** Empty: only a person can say how it is reached. */
  url: string;
  name: string;
  what: string;
  /** How it is known, by each of the ways in which it was seen. */
  guessed: string[];
  /** What it says of itself, as lines. */
  detail: string;
  needs_login: boolean;
  first_ns: number;
  seen_ns: number;
  /** For the source, if the person names none. */
  suggested_name: string;
  /** The source that mirrors it; empty: none. */
  added_as: string;
}

/** What is around now, new things first. */
export interface DiscoveredList {
  /** off, here (this computer and what is mirrored) or network. */
  reach: string;
  things: DiscoveredThing[];
  /** What was left out, by name. */
  counts: Record<string, number>;
  /** Why a finder does not look, by its name. */
  failures: Record<string, string>;
}

/** What a person says of a thing that they add. */
export interface AddRequest {
  /** Short and unique name of the source; empty: made from what the thing calls itself. */
  source: string;
  /** Where it is, if it does not say so itself. */
  url: string;
  /** What people here call it; empty: as it calls itself. */
  name: string;
  /** BCP 47 tag of the name. */
  language: string;
  /** Id of the twin that it is part of. */
  part_of: string;
  /** Where it stands in the scene. */
  pose: Pose | null;
  options: Record<string, null | boolean | number | string>;
  username: string;
  password: string;
}

/** A recording that was taken into the world's inbox. */
export interface Kept {
  /** What a source is given to play it. */
  url: string;
  size_bytes: number;
}

/** One option of a connector, as a form shows it. */
export interface ConnectorOption {
  name: string;
  label: string;
  /** text, number, boolean or choice. */
  kind: string;
  default: null | boolean | number | string;
  hint: string;
  choices: string[];
}

/** A connector that is installed here. */
export interface ConnectorInfo {
  schemes: string[];
  title: string;
  example: string;
  hint: string;
  takes_login: boolean;
  options: ConnectorOption[];
}

/** A role, everywhere or only on a twin and what is below it. */
export interface Grant {
  /** viewer, operator, engineer or owner. */
  role: string;
  /** Id of the twin; empty: the whole world. */
  subtree: string;
}

/** Who the session or token speaks for. */
export interface Me {
  name: string;
  grants: Grant[];
  session: string;
  is_owner: boolean;
}

/** An account. */
export interface Person {
  name: string;
  is_disabled: boolean;
  has_password: boolean;
  created_ns: number;
  grants: Grant[];
}

/** All accounts. */
export interface People {
  people: Person[];
}

/** An account to be made. */
export interface PersonRequest {
  name: string;
  password: string;
  grants: Grant[];
}

/** What is to be changed of an account; what is null stays. */
export interface PersonChange {
  grants: Grant[] | null;
  password: string | null;
  is_disabled: boolean | null;
}

/** A new password of one's own. */
export interface PasswordRequest {
  password: string;
  new_password: string;
}

/** A session that is open somewhere. */
export interface OpenSession {
  id: string;
  name: string;
  device: string;
  address: string;
  way: string;
  created_ns: number;
  seen_ns: number;
  is_this: boolean;
}

/** Open sessions, latest used first. */
export interface SessionsPage {
  sessions: OpenSession[];
}

/** A program's token, without what opens. */
export interface Token {
  id: string;
  owner: string;
  label: string;
  created_ns: number;
  expires_ns: number;
  grants: Grant[];
}

/** Tokens in the order of their making. */
export interface TokensPage {
  tokens: Token[];
}

/** A token to be made; it can do no more than who makes it. */
export interface TokenRequest {
  label: string;
  grants: Grant[];
  lasts_days: number;
}

/** A new token. It is shown this once. */
export interface TokenMade {
  token: string;
}

/** An invitation for one person. */
export interface InvitationRequest {
  grant: Grant;
  lasts_hours: number;
}

/** A link that makes one account. It is shown this once. */
export interface Invitation {
  /** Below the server's address. */
  path: string;
}

/** An invitation that nobody has used yet, without what opens. */
export interface OpenInvitation {
  id: string;
  grant: Grant;
  by: string;
  expires_ns: number;
}

/** Invitations that are open, those that end first before. */
export interface InvitationsPage {
  invitations: OpenInvitation[];
}

/** One line of the audit trail. */
export interface AuditLine {
  number: number;
  at_ns: number;
  who: string;
  what: string;
  detail: string;
  address: string;
}

/** The audit trail, latest first. */
export interface AuditPage {
  lines: AuditLine[];
  /** Whether every line follows from the one before it, as of the first page. */
  is_whole: boolean;
  /** Ask for the next page with this; 0: there is none. */
  before: number;
}

/** A provider that vouches for people. */
export interface Way {
  name: string;
  label: string;
}

/** How one can sign in, besides name and password. */
export interface Ways {
  providers: Way[];
}

/** A passkey on some device. */
export interface Passkey {
  id: string;
  label: string;
  created_ns: number;
}

/** Passkeys of an account. */
export interface PasskeysPage {
  passkeys: Passkey[];
}

/** What to do on one kind of device, so that it trusts the world's authority. */
export interface TrustSteps {
  system: string;
  lines: string[];
}

/** How another device gets here; without addresses only this machine is served. */
export interface Reach {
  /** Of the page, the most useful first. */
  addresses: string[];
  /** Of the plain door, where the authority is to be had before it is trusted. */
  plain: string[];
  /** SHA-256 of the authority, or of the operator's own certificate. */
  fingerprint: string;
  /** Whether devices must be made to trust the world's own authority. */
  has_authority: boolean;
  steps: TrustSteps[];
}

/** Which other sites may show this world within a page of theirs: `https://intranet.example`. */
export interface EmbedSites {
  sites: string[];
}

/** What a frame in another page is to show. */
export interface EmbedKeyRequest {
  lasts_days: number;
  /** Only this twin and what is below it; empty: all. */
  subtree: string;
}

/** Where a frame leads; shown this once. `DELETE /api/meet/links/{id}` takes it back. */
export interface EmbedKey {
  id: string;
  path: string;
}

/** A rule as it is written down, and how it does. */
export interface RuleRow {
  name: string;
  /** JSON, as docs/guide/alarms.md describes it. */
  body: string;
  instances: number;
  /** What does not work of it, in words. */
  troubles: string[];
}

/** All rules. */
export interface RulesPage {
  rules: RuleRow[];
}

/** A rule to be kept, or to be tried. */
export interface RuleRequest {
  /** JSON: {"applies": {"type": "Pump"}, "alarm": {"when": "pressure > 6 bar"}} */
  body: string;
  reason: string;
}

/** What a rule would say of one twin now. */
export interface PreviewRow {
  twin: string;
  name: string;
  /** Null: not known now. */
  value: number | boolean | null;
}

/** What a rule would do; nothing was changed. */
export interface RulePreview {
  instances: number;
  /** Of an alarm: for how many twins it would be raised now. */
  active: number;
  /** alarm or derived. */
  kind: string;
  /** Of a derived point. */
  unit: string;
  /** At most 100. */
  rows: PreviewRow[];
  troubles: string[];
}

/** For how long nobody is to be called. */
export interface ShelveRequest {
  /** Up to 7 days. */
  duration_s: number;
  reason: string;
}

/** Why. */
export interface ReasonRequest {
  reason: string;
}

/** A shift on a day. Its times are those of the plan's clock, as UTC nanoseconds. */
export interface ShiftRow {
  name: string;
  start_ns: number;
  end_ns: number;
  /** [start_ns, end_ns] of each. */
  breaks: number[][];
  is_current: boolean;
}

/** The shift that works now, if one does, and those before it, latest first. */
export interface ShiftsPage {
  /** Name of the plan; empty: nobody planned, and three shifts around the clock are taken. */
  plan: string;
  plans: string[];
  time_zone: string;
  shifts: ShiftRow[];
}

/** A stretch of a unit's planned time. */
export interface StretchRow {
  start_ns: number;
  end_ns: number;
  /** running, delayed, down, setup, planned or unknown. */
  condition: string;
}

/** A stretch in which a unit did not run, and why. */
export interface StopRow {
  twin: string;
  name: string;
  start_ns: number;
  end_ns: number;
  /** It stands now. */
  is_open: boolean;
  /** As what it counts: delayed, down, setup, planned or unknown. */
  condition: string;
  /** What the machine was in, in its own word. */
  state: string;
  /** What the machine said of it. */
  cause: string;
  /** Somebody should say why. */
  is_unexplained: boolean;
  /** Code of what a person said; empty: nobody has. */
  reason: string;
  reason_name: string;
  comment: string;
  by: string;
  said_ns: number;
  /** By this it is taken back. */
  said_id: string;
}

/** Time lost for one reason. */
export interface LossRow {
  /** In words; empty: neither a person nor the machine gave one. */
  reason: string;
  seconds: number;
  times: number;
}

/** One work unit's shift in the elements and indices of ISO 22400-2; null: cannot be had. */
export interface UnitRow {
  twin: string;
  name: string;
  oee: number | null;
  availability: number | null;
  effectiveness: number | null;
  quality_ratio: number | null;
  pbt_s: number;
  apt_s: number;
  adet_s: number;
  adot_s: number;
  aust_s: number;
  pdot_s: number;
  unknown_s: number;
  good: number;
  rejected: number;
  is_rate_guessed: boolean;
  /** How many stops somebody should explain. */
  unexplained: number;
  /** In order; what is too short to be seen is joined to its neighbour. */
  timeline: StretchRow[];
  /** The longest first. */
  losses: LossRow[];
}

/** What the units did in a shift; of one that is not over, so far. */
export interface ShiftFigures {
  shift: ShiftRow;
  until_ns: number;
  units: UnitRow[];
  /** Of all units together. */
  losses: LossRow[];
}

/** Stops of a shift, latest first. */
export interface StopsPage {
  shift: ShiftRow;
  stops: StopRow[];
  /** There are more; ask for one unit. */
  is_cut: boolean;
}

/** A reason to choose. */
export interface ReasonRow {
  /** With those above it: `breakdown/mechanical`. */
  code: string;
  name: string;
  /** down, delayed, setup or planned. */
  counts_as: string;
  below: ReasonRow[];
}

/** The reasons that there are for a unit. */
export interface ReasonsPage {
  reasons: ReasonRow[];
  /** Stops shorter than this are not asked about. */
  ask_from_s: number;
}

/** Why a unit stood for a time. What is said later of the same time counts. */
export interface SayRequest {
  twin: string;
  start_ns: number;
  /** Null: until it runs again. */
  end_ns: number | null;
  /** Code of a reason of the unit's tree. */
  reason: string;
  comment: string;
}

/** What was said, durable. */
export interface SaidAnswer {
  id: string;
  twin: string;
  start_ns: number;
  end_ns: number | null;
  reason: string;
  comment: string;
  by: string;
}

/** A report that was written at the end of a shift. */
export interface KeptReport {
  id: string;
  schedule: string;
  shift: string;
  start_ns: number;
  end_ns: number;
  made_ns: number;
  /** html, pdf. */
  forms: string[];
  /** To how many it went, or why it did not; empty: nobody is to get it. */
  mailed: string;
}

/** The reports that are kept, latest first. */
export interface KeptReports {
  reports: KeptReport[];
}

/** One SELECT. */
export interface SqlRequest {
  sql: string;
  /** At most so many come back. */
  rows: number;
  /** After so long it is ended. */
  time_s: number;
}

/** A mapping to be tried, or to be applied and kept. */
export interface MappingRequest {
  /** JSON, as docs/guide/mapping.md describes it. */
  body: string;
  /** Under which it is kept; empty: it is applied once and not kept. */
  name: string;
  reason: string;
  /** Of a preview: how many rows are passed over. */
  offset: number;
  /** Of a preview: how many rows are wanted, 1 to 1000. */
  limit: number;
  /** Of a preview: only rows with something that a person should know. */
  only_noted: boolean;
}

/** One thing that would be said of one twin. */
export interface MappingRow {
  twin: string;
  /** The twin's name as it is now. */
  name: string;
  /** name, type, serial_number, property, place, relation, unit, range, semantic_id, description or labels. */
  what: string;
  /** Name of the property or point, kind of the relation; else empty. */
  of: string;
  before: string;
  after: string;
  /** A conflict, or why it is left out. */
  note: string;
  is_left_out: boolean;
}

/** What a mapping would do; nothing was changed. */
export interface MappingPreview {
  /** How many fit the patterns. */
  twins: number;
  changes: number;
  left_out: number;
  noted: number;
  rows: MappingRow[];
  /** Offset of the next page; null: this was the last. */
  next: number | null;
}

/** A mapping was applied. */
export interface MappingDone {
  position: string;
  changes: number;
  left_out: number;
}

/** A mapping that is kept. */
export interface KeptMapping {
  name: string;
  body: string;
  /** Why it cannot be read. */
  trouble: string;
}

/** All mappings that are kept. */
export interface MappingsPage {
  mappings: KeptMapping[];
}

/** Something that a person said of a twin over its source. */
export interface SaidRow {
  /** The edit that said it: PutName, PutPointAbout … */
  what: string;
  /** Of the property or point; else empty. */
  name: string;
  /** The edit in its plain form. */
  said: Record<string, unknown>;
  /** Who said it; empty: too long ago to be at hand. */
  by: string;
  at_ns: number;
  reason: string;
  /** Of a point: what its source says of it. */
  source: PointType | null;
}

/** What people said of a twin over its source. */
export interface SaidPage {
  said: SaidRow[];
}

/** A world file as text. */
export interface ImportRequest {
  text: string;
  /** Why; it stands in the log. */
  reason: string;
}

/** One thing that would change. Texts come from the file. */
export interface ImportRow {
  /** type, twin, name, place, look, type of, property, point, relation, sheet or arm. */
  what: string;
  about: string;
  detail: string;
  /** new, changed or gone. */
  verb: string;
  /** In the file. */
  line: number;
}

/** Something of a file that is not made so. */
export interface ImportLeft {
  place: string;
  why: string;
}

/** What a file would change. */
export interface ImportPreview {
  total: number;
  /** By what changes. */
  counts: Record<string, number>;
  /** The first of them. */
  rows: ImportRow[];
  left: ImportLeft[];
}

/** What a file changed. */
export interface Imported {
  position: string;
  changed: number;
  left: ImportLeft[];
}

/** One quantity over the twins that were asked for. */
export interface Total {
  name: string;
  unit: string;
  /** Points with a number that is not bad. */
  n: number;
  /** Points that have none. */
  n_without: number;
  /** Points of another unit that fits; their numbers were converted. */
  n_converted: number;
  mean: number | null;
  min: number | null;
  max: number | null;
  /** Where the lowest is, as `twin.point`; "" where there is none. */
  min_point: string;
  max_point: string;
  /** None where adding makes no sense: temperatures, levels, shares. */
  sum: number | null;
  /** Points in the sum: what is part of a twin that says the same itself is left out. */
  n_summed: number;
}

/** Quantities over all twins that a relation leads to. */
export interface Totals {
  twin: string;
  relation: string;
  position: string;
  /** How many there are. */
  twins: number;
  /** By name, then unit. Units that do not fit each other are kept apart. */
  totals: Total[];
}

/** One of the two things that are set against each other. */
export interface Axis {
  /** `twin.point`, or the name of a quantity. */
  name: string;
  unit: string;
}

/** How two things vary together. */
export interface Correlation {
  /** `time`: two points, a dot for each step. `twin`: two quantities, a dot for each twin. */
  by: string;
  x: Axis;
  y: Axis;
  start_ns: number;
  end_ns: number;
  /** Dots on which the figures rest. */
  n: number;
  /** None where one of the two stands still, or there are fewer than three dots. */
  pearson: number | null;
  spearman: number | null;
  /** Of the line of least squares: y = slope · x + intercept. */
  slope: number | null;
  intercept: number | null;
  /** By time: between dots. By twin: between the instants of which the means are taken. */
  step_s: number;
  /** By time: y was read so much later than x. */
  lag_s: number;
  /** The lag at which Pearson's coefficient is farthest from 0. */
  best_lag_s: number | null;
  lags_s: number[];
  lag_pearson: (number | null)[];
  /** Whether time or rows ran out before all that was asked was read. */
  is_reduced: boolean;
  /** At most as many dots as were asked for, evenly taken; the figures rest on all. */
  xs: number[];
  ys: number[];
  /** By twin: of each dot. */
  twins: string[];
  /** By time: of each dot. */
  times_ms: number[];
}

/** value_in_to = value_in_from * scale + offset. */
export interface Conversion {
  scale: number;
  offset: number;
}

/** One option of a model or an evaluator. */
export interface OptionRow {
  name: string;
  description: string;
  default: string | number | boolean | null;
  /** UCUM. */
  unit: string;
}

/** A model that a branch may run with, or an evaluator that may be asked of it. */
export interface ModelRow {
  name: string;
  description: string;
  options: OptionRow[];
}

/** A model of a branch, with the options that it is run with. */
export interface AttachedModel {
  name: string;
  options: Record<string, unknown>;
}

/** How the run of a branch stands. */
export interface RunState {
  /** idle (never ran, or was stopped), starting, running, paused, ended or failed. */
  state: string;
  /** The branch's own clock. */
  now_ns: number;
  until_ns: number | null;
  /** Seconds of the branch's clock for each of ours; 0: as fast as it goes. */
  speed: number;
  /** Why it failed, which model and where; or what it waits for. */
  detail: string;
  /** How many the models have made so far. */
  changes: number;
  samples: number;
}

/** A branch and how it stands. */
export interface Branch {
  id: string;
  name: string;
  author: string;
  /** Id of the branch that it was made from; empty: the live world. */
  parent: string;
  /** The fork's position in the parent, `epoch:sequence`. */
  at: string;
  /** The time of the fork; there the branch's clock begins. */
  at_ns: number;
  made_ns: number;
  /** Whether others see it; else only its author does. */
  is_shared: boolean;
  /** Whether you may change, run, rename, share and discard it. */
  may_change: boolean;
  note: string;
  /** Where the branch's own log stands. */
  position: string;
  /** How many changes people have made in it. */
  changes: number;
  points: number;
  /** Scenario parameters that its models and evaluators read, such as demand. */
  parameters: Record<string, unknown>;
  models: AttachedModel[];
  run: RunState;
  evaluations: number;
  /** On disk. */
  size_bytes: number;
  /** Why it cannot be opened, if it cannot. */
  problem: string;
}

/** The branches that you may see, latest first, and what they may be run with. */
export interface BranchesPage {
  branches: Branch[];
  models: ModelRow[];
  evaluators: ModelRow[];
  branches_max: number;
}

/** A new branch. */
export interface BranchRequest {
  name: string;
  /** Id of a branch; empty: the live world. */
  parent: string;
  /** From where: a position `1:4711` as it was known then, or an ISO 8601 time as it is known now; empty: from now. */
  at: string;
  is_shared: boolean;
  note: string;
}

/** What is to be otherwise about a branch; null: as it is. */
export interface BranchPatch {
  name: string | null;
  is_shared: boolean | null;
  note: string | null;
  models: AttachedModel[] | null;
}

/** A value that is taken for given in a branch. */
export interface AssumedValue {
  /** `twin.point`. */
  point: string;
  value: unknown;
  /** UCUM; empty: the point's own. */
  unit: string;
}

/** Values and scenario parameters that hold in a branch from now on. */
export interface AssumeRequest {
  values: AssumedValue[];
  /** By name; null takes one away. */
  parameters: Record<string, unknown>;
  reason: string;
}

/** One change that a person made in a branch. */
export interface BranchChange {
  /** By it the change is taken back. */
  position: string;
  by: string;
  made_ns: number;
  reason: string;
  /** What it changed, a line for each thing. */
  words: string[];
  is_undone: boolean;
}

/** The changes that people made in a branch, in order. */
export interface BranchChanges {
  changes: BranchChange[];
}

/** One thing that differs. */
export interface DiffRow {
  /** twin, type, name, place, look, type of, property, point, relation, arm, sheet, parameter or value. */
  what: string;
  /** The twin, or what else it is about; empty: the world. */
  about: string;
  /** Of the property, point, sheet or parameter. */
  name: string;
  /** In what it is compared with; empty: not there. */
  before: string;
  after: string;
  unit: string;
  /** Of a value: authored (a person assumed it) or simulated. */
  origin: string;
}

/** What differs in a branch from another, or from where it was forked. */
export interface BranchDiff {
  branch: string;
  /** Id of the other branch, `fork` (the parent as it was) or `live`. */
  against: string;
  total: number;
  /** The first of them: what people changed, then values. */
  rows: DiffRow[];
}

/** How a branch is to be run from where its clock stands. */
export interface RunRequest {
  /** By the branch's clock; null: until it is stopped. */
  duration_s: number | null;
  /** Seconds of the branch's clock for each of ours; 0: as fast as it goes. */
  speed: number;
  /** By how much models are stepped. */
  step_s: number;
  /** Start it paused, to be stepped. */
  is_paused: boolean;
  /** Of the models that draw by chance: the same run again, or another. */
  seed: number;
  /** Of ours; then it is stopped, and what was obtained is kept. */
  time_limit_s: number;
}

/** What a run is to do. */
export interface ControlRequest {
  /** pause, resume, step, speed or stop. */
  act: string;
  /** Of a step; null: to the next change. */
  duration_s: number | null;
  speed: number | null;
}

/** Figures to be found for a branch. */
export interface EvaluationRequest {
  evaluator: string;
  options: Record<string, unknown>;
  replications: number;
  /** Branches evaluated with the same seed are compared in pairs. */
  seed: number;
  time_limit_s: number;
}

/** One figure of an evaluation over its replications. */
export interface KpiRow {
  name: string;
  /** UCUM. */
  unit: string;
  /** higher or lower. */
  better: string;
  n: number;
  mean: number | null;
  /** Of the 95 % interval of the mean (Student's t); null: fewer than two replications. */
  low: number | null;
  high: number | null;
  values: (number | null)[];
}

/** An evaluation of a branch and how far it is. */
export interface Evaluation {
  id: string;
  branch: string;
  evaluator: string;
  options: Record<string, unknown>;
  replications: number;
  seed: number;
  /** waiting, running, done, cancelled or failed. What was found before it ended is kept. */
  state: string;
  /** 0 to 1. */
  progress: number;
  detail: string;
  by: string;
  made_ns: number;
  /** Of the branch when it was asked for. */
  position: string;
  /** Whether the branch is still as it was then. */
  is_current: boolean;
  kpis: KpiRow[];
}

/** The evaluations of a branch, latest first. */
export interface EvaluationsPage {
  evaluations: Evaluation[];
}

/** One branch's figure beside the baseline's. */
export interface ComparedCell {
  branch: string;
  evaluation: string;
  n: number;
  mean: number | null;
  low: number | null;
  high: number | null;
  /** From the baseline; null for the baseline itself. */
  difference: number | null;
  difference_low: number | null;
  difference_high: number | null;
  /** Same seed and as many replications: differences are taken one by one. */
  is_paired: boolean;
  /** That its mean is better than the baseline's, after what was sampled. */
  probability_better: number | null;
}

/** One figure over all branches compared. */
export interface ComparedRow {
  name: string;
  unit: string;
  better: string;
  cells: ComparedCell[];
}

/** Branches beside each other by the latest evaluations of them. */
export interface Comparison {
  baseline: string;
  evaluator: string;
  branches: string[];
  rows: ComparedRow[];
  /** Branches without such an evaluation. */
  missing: string[];
}

/** An operation that a plan is to call, after its values are set. */
export interface PlannedCall {
  twin: string;
  operation: string;
  arguments: Record<string, unknown>;
}

/** Make a plan of what differs in a branch. */
export interface PlanRequest {
  reason: string;
  calls: PlannedCall[];
  /** How long each step may take to be confirmed by its source. */
  timeout_s: number;
}

/** One step of a plan: a desired value or a call that the machine carries out, or a task. */
export interface PlanStep {
  number: number;
  /** value (desired, of a writable and armed point), call (of an armed operation) or task. */
  kind: string;
  /** The twin; empty: the world. */
  about: string;
  /** Of the point or operation; of a task, of what is to be changed. */
  name: string;
  words: string;
  before: unknown;
  after: unknown;
  unit: string;
  /** waiting, sent, confirmed, refused, failed, expired, rolled back, stuck (was confirmed and could not be taken back), open or done (tasks). */
  state: string;
  detail: string;
  /** Id of the command; `/api/commands/{id}` tells of it. */
  command: string;
  arguments: Record<string, unknown>;
}

/** The differences of a branch as steps in the real world. */
export interface Plan {
  id: string;
  branch: string;
  branch_name: string;
  author: string;
  reason: string;
  made_ns: number;
  /** proposed, approved, executing, applied, rolled back, failed, or rejected. */
  state: string;
  approved_by: string;
  approved_ns: number;
  detail: string;
  steps: PlanStep[];
  may_approve: boolean;
  /** Whether somebody else than the author has to approve it. */
  needs_other: boolean;
}

/** Plans, latest first. */
export interface PlansPage {
  plans: Plan[];
}

/** What is to become of a plan. */
export interface PlanAct {
  /** approve, reject, execute or done (a task). */
  act: string;
  /** Number of the task that is done. */
  step: number | null;
  comment: string;
}

/** The first message of a line. */
export interface Join {
  /** How they are to be called; "": as their account is. */
  name: string;
  /** Made by the page, 16 to 64 characters: who comes again with it is the same person. */
  key: string;
  /** The twin whose room they enter; "": the whole world's. */
  place: string;
  /** The number that they had, wanted again after the server was started anew. */
  id: number;
}

/** What is new about oneself; null: as it was. */
export interface Stance {
  name: string | null;
  /** The twin that is selected; "": none. */
  selected: string | null;
  is_muted: boolean | null;
  is_hand_raised: boolean | null;
  /** Does not follow the meeting's time, branch and presenter for now. */
  is_own_way: boolean | null;
  /** Whose camera theirs follows; 0: nobody's. */
  follows: number | null;
}

/** Moves to the room of a twin; "": that of the whole world. */
export interface Go {
  place: string;
}

/** A line of chat, plain text. */
export interface Say {
  text: string;
}

/** Asks others to come; who follows comes at once. */
export interface Bring {
  /** Empty: all in the room. */
  to: number[];
}

/** Begins or ends to present: all who have no own way follow. */
export interface Present {
  is_on: boolean;
}

/** Shows another moment or branch to all who have no own way. */
export interface SetMoment {
  /** Source time, Unix milliseconds; null: live. */
  source_ms: number | null;
  speed: number;
  /** "": the world itself. */
  branch: string;
}

/** What two pages agree on between each other, as voice; carried as it is. */
export interface Signal {
  /** A person of the same room; 0: the server's own forwarder, if there is one. */
  to: number;
  kind: string;
  data: string;
}

/** Puts a person out; for moderators. */
export interface PutOut {
  id: number;
}

/** Asks all in the room whether it may be recorded; for who may write here, guests excepted. Who asks has agreed. */
export interface AskRecording {
  reason: string;
}

/** One's own answer. Who says nothing until it is due has not agreed. */
export interface AnswerRecording {
  /** Of `RecordingNow`: an answer to another question is none. */
  id: string;
  is_agreed: boolean;
}

/** Ends the recording, or takes back the question; anybody in the room may. */
export interface StopRecording {
}

/** Goes for good. A line that is only lost is waited for a while. */
export interface Leave {
}

/** A person who is here. */
export interface Attendee {
  id: number;
  name: string;
  /** By which they were let in; "": a guest. */
  account: string;
  role: string;
  place: string;
  /** "": nothing, or nothing that who is told may see. */
  selected: string;
  is_muted: boolean;
  /** Place in the row of raised hands, from 1; 0: not raised. */
  hand: number;
  /** Their line is lost, and waited for. */
  is_away: boolean;
  is_own_way: boolean;
  follows: number;
}

/** What the room looks at: since `at_ms` of the server's clock, this time at this speed. */
export interface Moment {
  source_ms: number | null;
  speed: number;
  branch: string;
  /** Who chose it; 0: nobody yet. */
  by: number;
  at_ms: number;
}

/** A line of chat. */
export interface Said {
  number: number;
  by: number;
  name: string;
  text: string;
  at_ms: number;
}

/** The room that one is in now, with all that is going on in it. */
export interface Entered {
  place: string;
  moment: Moment;
  presenter: number;
  chat: Said[];
}

/** The line is open. Entered follows, then poses. */
export interface Joined {
  version: number;
  id: number;
  name: string;
  now_ms: number;
  is_moderator: boolean;
  /** All who are here, in whatever room; oneself too. */
  people: Attendee[];
  /** One may ask the others for a recording. */
  may_record: boolean;
}

/** Who is new or changed, and who has left. */
export interface Attendance {
  put: Attendee[];
  gone: number[];
}

/** Who presents in this room; 0: nobody. */
export interface Presenting {
  id: number;
}

/** Somebody asks one to come. */
export interface Brought {
  by: number;
  /** One follows them: no question is needed. */
  is_now: boolean;
}

/** How it stands with the recording of this room; told to all in it whenever that changes. What is kept from then on: names, poses, chat, raised hands and the moment that is shown; no voices. Only while `state` is "on". */
export interface RecordingNow {
  /** "asking": nothing is kept yet. "on". "paused": somebody has come and is asked; nothing is kept meanwhile. "ended": `detail` says why. */
  state: string;
  id: string;
  /** Who asked for it. */
  by: number;
  by_name: string;
  reason: string;
  /** When the first who has not answered has said no, by the server's clock; 0: none is asked. */
  due_ms: number;
  /** Who has yet to answer. */
  waits_for: number[];
  /** Since when something is kept; 0: nothing is. */
  since_ms: number;
  /** After so many it is deleted by itself. */
  days: number;
  /** Why it ended: "not agreed", "no answer", "stopped", "all left", "too long", "too large", "deleted", "disk". Never who: a no is nobody's to explain. */
  detail: string;
}

/** What another page said to this one. */
export interface Signalled {
  by: number;
  kind: string;
  data: string;
}

/** A link by which others join as guests, with a name that they are asked for. */
export interface GuestLinkRequest {
  role: string;
  /** The part of the world that they may see; "": all of it. */
  subtree: string;
  /** The twin whose room it leads to. */
  place: string;
  lasts_hours: number;
}

/** The link, told this once. */
export interface GuestLinkMade {
  id: string;
  /** Below the server's address. */
  path: string;
}

/** A link that is open. */
export interface GuestLink {
  id: string;
  role: string;
  subtree: string;
  place: string;
  by: string;
  expires_ns: number;
  /** How many came by it. */
  guests: number;
}

/** Links that are open. */
export interface GuestLinksPage {
  links: GuestLink[];
}

/** What goes on now, without names. */
export interface MeetingNow {
  people: number;
  rooms: number;
  /** What was taken, limited and dropped since the server started. */
  counts: Record<string, number>;
}

/** Somebody in a recording, who agreed to it. */
export interface RecordedPerson {
  /** By which the recording tells them apart, from 1. */
  number: number;
  name: string;
  /** "": a guest. */
  account: string;
  agreed_ms: number;
  /** null: they were there to the end. */
  left_ms: number | null;
}

/** A meeting that was recorded. */
export interface MeetingRecording {
  id: string;
  /** The twin whose room it was; "": the whole world's. */
  place: string;
  reason: string;
  /** Number of who asked for it. */
  by: number;
  began_ms: number;
  /** So far, while it is on. */
  ended_ms: number;
  /** Why it ended, as in `RecordingNow`, or "server stopped"; "": it is on. */
  detail: string;
  /** When it is deleted by itself. */
  deleted_ms: number;
  bytes: number;
  people: RecordedPerson[];
}

/** Recordings, the latest first. */
export interface MeetingRecordingsPage {
  recordings: MeetingRecording[];
}

/** What somebody called themselves from then on. */
export interface RecordedName {
  at_ms: number;
  person: number;
  name: string;
}

/** A line of chat. */
export interface RecordedChat {
  at_ms: number;
  person: number;
  text: string;
}

/** A hand that was raised or taken down. */
export interface RecordedHand {
  at_ms: number;
  person: number;
  is_raised: boolean;
}

/** What the room looked at from then on; see `Moment`. */
export interface RecordedMoment {
  at_ms: number;
  /** Who chose it; 0: somebody who was gone before the recording began, or nobody. */
  person: number;
  source_ms: number | null;
  speed: number;
  branch: string;
}

/** Nothing was kept in between: somebody had come and was asked. */
export interface RecordedPause {
  at_ms: number;
  until_ms: number;
}

/** All of a recording but its poses, each list by time. */
export interface MeetingRecordingDetail {
  recording: MeetingRecording;
  names: RecordedName[];
  chat: RecordedChat[];
  hands: RecordedHand[];
  moments: RecordedMoment[];
  pauses: RecordedPause[];
}

/** Wants to hear, and perhaps to speak. */
export interface VoiceJoin {
  /** Made anew by each joining: who says it again is still in, and their lines stay. */
  page: string;
}

/** Hears and speaks no more. */
export interface VoiceLeave {
}

/** Offers a line to the forwarder. */
export interface VoiceOffer {
  sdp: string;
  /** Which forwarder it is for, as the roster said. */
  epoch: number;
}

/** Somebody who hears. */
export interface VoicePerson {
  id: number;
  /** Counts how often anybody joined: who comes again has another. */
  join: number;
}

/** A server that helps two sides to find each other, named by the owner of the world. */
export interface IceServer {
  urls: string;
  username: string;
  credential: string;
}

/** Who is in voice in this room, and how they hear each other. */
export interface VoiceRoster {
  /** straight, or forwarded. */
  way: string;
  /** Of the forwarder; another one wants new offers. */
  epoch: number;
  people: VoicePerson[];
  /** How many there may be. */
  limit: number;
  ice: IceServer[];
}

/** There is no voice for this person now. */
export interface VoiceRefused {
  /** full: as many as may be are in already. forwarder: it cannot be reached. */
  why: string;
}

/** The forwarder's answer to an offer. */
export interface VoiceAnswer {
  sdp: string;
  epoch: number;
}

/** Who speaks in which slot from now on; 0: nobody. */
export interface VoiceSlots {
  slots: number[];
}

/** A point by name: it means the same after its source was declared anew. */
export interface PointAt {
  twin: string;
  point: string;
}

/** A point as a big number, with its unit, quality and age. */
export interface ValueTile {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  title?: string;
  point: PointAt;
  /** Whether the last minutes are drawn below. */
  spark?: boolean;
}

/** A point as a bar against its range and its alarm limits. */
export interface GaugeTile {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  title?: string;
  point: PointAt;
}

/** A point that is one of a few states, as a word and a colour. */
export interface StateTile {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  title?: string;
  point: PointAt;
}

/** Points over time. */
export interface TrendTile {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  title?: string;
  points: PointAt[];
  span_s?: number;
}

/** Twins as rows, chosen points as columns: those of a type, below a twin, or both. */
export interface TableTile {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  title?: string;
  /** Names of points, in the order of the columns. */
  points: string[];
  /** Id of a type; twins of types that extend it too. */
  type?: string;
  /** Id of a twin; it and what is below it. */
  subtree?: string;
  /** Name of a point; empty: by the twins' names. */
  sort?: string;
  is_descending?: boolean;
}

/** Active alarms, the most urgent first. */
export interface AlarmsTile {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  title?: string;
  subtree?: string;
  /** The least that is listed: 1 low, 2 medium, 3 high. */
  severity?: number;
}

/** Where one stands in the scene and what one looks at, in metres, y upwards. */
export interface CameraAt {
  position: [number, number, number];
  target: [number, number, number];
}

/** The 3D scene, seen from a saved place or flown to a twin. One on a board. */
export interface SceneTile {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  title?: string;
  focus?: string;
  camera?: CameraAt | null;
}

/** Words, as they are written: no markup. */
export interface TextTile {
  id: string;
  x: number;
  y: number;
  w: number;
  h: number;
  title?: string;
  text?: string;
}

/** A board as it is written down. */
export interface Board {
  tiles?: (({ "@": "ValueTile" } & ValueTile) | ({ "@": "GaugeTile" } & GaugeTile) | ({ "@": "StateTile" } & StateTile) | ({ "@": "TrendTile" } & TrendTile) | ({ "@": "TableTile" } & TableTile) | ({ "@": "AlarmsTile" } & AlarmsTile) | ({ "@": "SceneTile" } & SceneTile) | ({ "@": "TextTile" } & TextTile))[];
  version?: number;
}

/** One look at the world, with words. */
export interface TourStep {
  /** Stays the step's own, so that two people can work on one tour. */
  id: string;
  title?: string;
  /** Words, as they are written: no markup. */
  text?: string;
  /** None: it flies to the twin, or stays where it is. */
  camera?: CameraAt | null;
  /** How one is there: orbit, walk or map; empty: orbit. */
  mode?: string;
  /** Id of the twin that is selected. */
  twin?: string;
  /** Ids of twins that glow. */
  highlights?: string[];
  /** Name of the visual rules that colour the scene. */
  look?: string;
  /** Id of the branch that is shown; empty: the world itself. */
  branch?: string;
  /** Moment that is shown, Unix milliseconds; 0: now, or as `ago_s` says. */
  at_ms?: number;
  /** Seconds before now, for what is told of whatever has been lately. */
  ago_s?: number;
  /** Seconds of the past that pass in a second; 0: it stands still. */
  speed?: number;
  /** How long it lasts when it plays by itself; 0: as long as its words take to be read. */
  duration_s?: number;
}

/** A tour as it is written down. */
export interface Tour {
  description?: string;
  steps?: TourStep[];
  /** Whether it begins again after its last step when it plays by itself, as on a wall. */
  is_endless?: boolean;
  version?: number;
}

/** From a limit up to the next: one colour, one mark, one word. */
export interface Band {
  /** In the rule's unit; the lowest band holds what is below it as well. */
  above: number;
  colour: string;
  mark?: string;
  word?: string;
}

/** How twins of a type look by a value: over a ramp from low to high, or in bands. */
export interface VisualRule {
  id: string;
  title?: string;
  /** Id of a type; twins of types that extend it too. Empty: of any type. */
  type?: string;
  /** Ids of twins, `*` for anything within a part, `**` over parts; empty: all. */
  pattern?: string;
  /** Name of a point, or an expression over points of the twin: `PowerIn - PowerOut`. */
  value?: string;
  /** UCUM, of the limits below; empty: as the point says. */
  unit?: string;
  low?: number;
  /** Ends of the ramp; both 0: bands. */
  high?: number;
  bands?: Band[];
  /** colour: its body; badge: a word on its name; lamp: a lamp above it. */
  shows?: string[];
}

/** Rules, the one that counts first. */
export interface Look {
  rules?: VisualRule[];
  version?: number;
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

export type MeetClientMessage =
  | ({ "@": "Join" } & Join)
  | ({ "@": "Stance" } & Stance)
  | ({ "@": "Go" } & Go)
  | ({ "@": "Say" } & Say)
  | ({ "@": "Bring" } & Bring)
  | ({ "@": "Present" } & Present)
  | ({ "@": "SetMoment" } & SetMoment)
  | ({ "@": "Signal" } & Signal)
  | ({ "@": "PutOut" } & PutOut)
  | ({ "@": "AskRecording" } & AskRecording)
  | ({ "@": "AnswerRecording" } & AnswerRecording)
  | ({ "@": "StopRecording" } & StopRecording)
  | ({ "@": "Leave" } & Leave)
  | ({ "@": "Ping" } & Ping);

export type MeetServerMessage =
  | ({ "@": "Joined" } & Joined)
  | ({ "@": "Entered" } & Entered)
  | ({ "@": "Attendance" } & Attendance)
  | ({ "@": "Said" } & Said)
  | ({ "@": "Moment" } & Moment)
  | ({ "@": "Presenting" } & Presenting)
  | ({ "@": "Brought" } & Brought)
  | ({ "@": "RecordingNow" } & RecordingNow)
  | ({ "@": "Signalled" } & Signalled)
  | ({ "@": "Pong" } & Pong)
  | ({ "@": "Refusal" } & Refusal);

export type VoiceClientMessage =
  | ({ "@": "VoiceJoin" } & VoiceJoin)
  | ({ "@": "VoiceLeave" } & VoiceLeave)
  | ({ "@": "VoiceOffer" } & VoiceOffer);

export type VoiceServerMessage =
  | ({ "@": "VoiceRoster" } & VoiceRoster)
  | ({ "@": "VoiceRefused" } & VoiceRefused)
  | ({ "@": "VoiceAnswer" } & VoiceAnswer)
  | ({ "@": "VoiceSlots" } & VoiceSlots);

export type AuthorMessage =
  | ({ "@": "Begin" } & Begin)
  | ({ "@": "Write" } & Write)
  | ({ "@": "Moving" } & Moving);

export type AuthorAnswer =
  | ({ "@": "Began" } & Began)
  | ({ "@": "Document" } & Document)
  | ({ "@": "Wrote" } & Wrote)
  | ({ "@": "Took" } & Took)
  | ({ "@": "NotTaken" } & NotTaken)
  | ({ "@": "Gone" } & Gone)
  | ({ "@": "Moves" } & Moves);

export type Tile =
  | ({ "@": "ValueTile" } & ValueTile)
  | ({ "@": "GaugeTile" } & GaugeTile)
  | ({ "@": "StateTile" } & StateTile)
  | ({ "@": "TrendTile" } & TrendTile)
  | ({ "@": "TableTile" } & TableTile)
  | ({ "@": "AlarmsTile" } & AlarmsTile)
  | ({ "@": "SceneTile" } & SceneTile)
  | ({ "@": "TextTile" } & TextTile);

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
  /** Source time - whole milliseconds of baseMs; NO_TIME: the point never had a value. */
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
