"""What the REST routes take and give. The stream's messages use some of the same shapes.

Times that end in `_ns` are UTC nanoseconds since 1970. A JavaScript number holds them to
256 ns; whoever needs more reads them from the JSON text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from mirrorworld.protocol.shape import Plain
from mirrorworld.world import changes, model

LEAST_ROWS = 8
"""The fewest rows that history may be downsampled to: ends and extremes need as many."""

AnyScalar = None | bool | int | float | str
AnyValue = None | bool | int | float | str | list[float]

Arm = Annotated[dict[str, Any], Plain(changes.Arm)]
Command = Annotated[dict[str, Any], Plain(changes.Command)]
Edit = Annotated[dict[str, Any], Plain(changes.Edit)]
Event = Annotated[dict[str, Any], Plain(changes.Event)]
Blob = Annotated[dict[str, Any], Plain(model.Blob)]
OperationType = Annotated[dict[str, Any], Plain(model.OperationType)]
PointType = Annotated[dict[str, Any], Plain(model.PointType)]
Relation = Annotated[dict[str, Any], Plain(model.Relation)]
Sheet = Annotated[dict[str, Any], Plain(model.Sheet)]
Text = Annotated[dict[str, str], Plain(model.Text)]
Twin = Annotated[dict[str, Any], Plain(model.Twin)]
TwinType = Annotated[dict[str, Any], Plain(model.TwinType)]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request was not done. Every error of every route has this shape."""

    detail: str
    """What is wrong, in one sentence."""
    place: str = ""
    """Where: the field, the twin, the file."""
    mend: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class Who:
    """The principal that a session speaks for."""

    id: str
    roles: list[str]


@dataclass(frozen=True, slots=True)
class WorldInfo:
    """A world at a glance."""

    id: str
    position: str
    """`epoch:sequence` of the latest change."""
    durable: str
    """Up to where the record is on disk."""
    twins: int
    points: int
    types: int
    relations: int
    active_events: int
    open_commands: int
    now_ns: int
    version: str
    principal: Who
    first_ns: int = 0
    """Source time from which history may be asked; 0: nothing yet."""
    rows: int = 0
    """Samples accepted since the world was opened."""
    features: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TwinRow:
    """A twin in a list."""

    id: str
    ordinal: int
    type: str
    name: Text
    points: int
    part_of: str = ""


@dataclass(frozen=True, slots=True)
class TwinsPage:
    """Some of the twins that a query finds, in a stable order."""

    twins: list[TwinRow]
    cursor: str | None
    """Give it back to get the next page; null: this was the last."""
    total: int | None = None
    """How many there are in all, where it is known without counting."""


@dataclass(frozen=True, slots=True)
class PointValue:
    """The latest value of a point, exactly, and where it came from."""

    id: str
    """`twin.point`."""
    twin: str
    name: str
    handle: int
    kind: int
    """`Kind`: 0 float, 1 int, 2 bool, 3 enum, 4 text, 5 array, 6 blob."""
    unit: str
    value: AnyValue
    """Null: no value yet, not a number, or a blob."""
    label: str
    """For enums, what the code means; for integers beyond 2^53, all digits; else empty."""
    quality: int
    """OPC UA status code (IEC 62541-4 §7.39)."""
    quality_name: str
    severity: str
    """good, uncertain or bad."""
    source_ns: int
    """When the source says it was so; 0: never."""
    received_ns: int
    sequence: int
    """Place in the log of the change that brought it."""
    origin: str
    """measured, inferred, simulated, desired or authored."""
    by: str
    """The source, model or person it comes from."""


@dataclass(frozen=True, slots=True)
class PointsPage:
    """Latest values of some points."""

    points: list[PointValue]
    position: str
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class PointDetail:
    """All about one point of a twin."""

    value: PointValue
    type: PointType
    arm: Arm | None = None
    """Within which interlocks it may be commanded; null: read-only."""


@dataclass(frozen=True, slots=True)
class OperationDetail:
    """All about one operation of a twin."""

    type: OperationType
    arm: Arm | None = None


@dataclass(frozen=True, slots=True)
class Dependent:
    """A twin that would feel it if this one failed, and by what way."""

    twin: TwinRow
    by: str
    """The relation of the last step: feeds, powers, controls, depends_on, part_of."""
    steps: int


@dataclass(frozen=True, slots=True)
class TwinDetail:
    """Everything known of a twin."""

    twin: Twin
    ordinal: int
    type: TwinType | None
    points: list[PointDetail]
    operations: list[OperationDetail]
    relations_out: list[Relation]
    relations_in: list[Relation]
    path: list[TwinRow]
    """What it is part of, outermost first."""
    dependents: list[Dependent]
    """Nearest first; at most 200."""
    commands: list[Command]
    """Open and recent ones, latest first."""
    events: list[Event]
    source: str = ""
    """Name of the source that declares it; empty: authored."""
    position: str = ""


@dataclass(frozen=True, slots=True)
class RelationsPage:
    """Some of the relations, in the order in which they were added."""

    relations: list[Relation]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class PointSeries:
    """History of one point in columns, ordered by source time."""

    point: str
    kind: int
    unit: str
    source_ns: list[int]
    value: list[AnyValue]
    quality: list[int]
    sequence: list[int]


@dataclass(frozen=True, slots=True)
class History:
    """History of some points over one stretch of source time."""

    start_ns: int
    end_ns: int
    is_downsampled: bool
    """Whether `max_rows` left something out (the extremes stay)."""
    series: list[PointSeries]


@dataclass(frozen=True, slots=True)
class AsOf:
    """Values as they were known at a position, or were true at a source time."""

    position: str | None
    time_ns: int | None
    points: list[PointValue]


@dataclass(frozen=True, slots=True)
class SheetKnown:
    """A sheet as the author of edits knew it."""

    kind: str
    name: str
    body: str | None = None
    """Null: there was none of that name."""


@dataclass(frozen=True, slots=True)
class EditRequest:
    """Edits that take effect together or not at all."""

    edits: list[Edit]
    reason: str = ""
    based_on: list[SheetKnown] = field(default_factory=list)
    """Sheets as they were when the person began; if somebody has changed one since, nothing is
    done and the answer is 409."""


@dataclass(frozen=True, slots=True)
class EditMessage:
    """A request on `/api/edits/stream`; its answer carries the same id."""

    id: int
    edits: list[Edit]
    reason: str = ""
    based_on: list[SheetKnown] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EditAnswer:
    """Where the edits of a message now stand, durable; or why they were not made."""

    id: int
    """-1: the message could not be read."""
    position: str
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """Where in the log the edits now stand."""

    position: str


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """A desired value of a point, or the call of an operation; one of the two."""

    twin: str
    point: str = ""
    operation: str = ""
    value: AnyScalar = None
    unit: str = ""
    """UCUM unit of `value`; empty: the point's own. One that does not fit is refused."""
    arguments: dict[str, AnyScalar] = field(default_factory=dict)
    reason: str = ""
    timeout_ms: int = 10_000
    is_confirmed: bool = False
    """The person has said yes a second time (asked for where `must_confirm` is set)."""


@dataclass(frozen=True, slots=True)
class ArmRequest:
    """Makes a point or operation writable within interlocks; sent again it replaces them."""

    arm: Arm
    reason: str = ""


FILE_BYTES_MAX = 256 << 20
"""Of one attached file."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that was sent and is durable."""

    blob: Blob
    """What a property refers to it by."""
    position: str | None = None
    """Of the edit that attached it; null: none was asked for."""


@dataclass(frozen=True, slots=True)
class AcknowledgeRequest:
    """A person has seen an event."""

    comment: str = ""


@dataclass(frozen=True, slots=True)
class EventsPage:
    """Conditions, latest first."""

    events: list[Event]
    total: int


@dataclass(frozen=True, slots=True)
class CommandsPage:
    """Open and recent commands, latest first."""

    commands: list[Command]


@dataclass(frozen=True, slots=True)
class Pending:
    """Something that a source needs a person to decide: a certificate to trust."""

    fingerprint: str
    subject: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One source of the world, how it stands, and what became of what it sent."""

    name: str
    url: str
    connector: str
    state: str
    """connecting, live, lost, refused or ended."""
    detail: str
    since_ns: int
    tally: dict[str, int]
    """accepted, late, duplicate, unknown, not_a_number, out_of_range, future."""
    counts: dict[str, int]
    """What the connector itself dropped or refused, by its own names."""
    pending: list[Pending]


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """A source to mirror from now on, or to look at."""

    url: str
    name: str = ""
    """Short and unique; empty: made from the URL."""
    options: dict[str, AnyScalar] = field(default_factory=dict)
    username: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class TrustRequest:
    """The fingerprint that the person compared and trusts."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class FoundTwin:
    """One thing that a look at a source saw."""

    twin: Twin
    type: TwinType | None
    guessed: str
    """How the twin was guessed."""
    sample_values: dict[str, AnyScalar]


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a source would be mirrored as. Nothing was declared."""

    url: str
    findings: list[FoundTwin]


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change of the log. Samples are in columns."""

    position: str
    source: str
    origin: str
    by: str
    received_ns: int
    body: Annotated[dict[str, Any], Plain(changes.Edits | changes.Command | changes.Event)] | None
    """Edits, a command or an event; null: samples."""
    points: list[str] = field(default_factory=list)
    values: list[AnyValue] = field(default_factory=list)
    source_ns: list[int] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """Durable changes after a position, in order and without gaps."""

    changes: list[ChangeRow]
    after: str
    """Ask from here next."""
    is_end: bool
    """Whether this was all that is durable now."""


@dataclass(frozen=True, slots=True)
class SheetsPage:
    """What people wrote down for the world as a whole."""

    sheets: list[Sheet]


@dataclass(frozen=True, slots=True)
class SheetForms:
    """What sheets of each kind hold, as JSON schemas (draft 2020-12)."""

    forms: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WorldFile:
    """A world's structure as a readable file: what a person would write by hand."""

    world: str
    position: str
    types: list[TwinType]
    twins: list[Twin]
    relations: list[Relation]
    arms: list[Arm]
