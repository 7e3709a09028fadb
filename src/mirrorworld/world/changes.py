"""Changes: what a log is made of. Each gets one position in its record's sequence.

Everything here is immutable and has a plain form (dicts, lists, scalars) that formats, the
record and the wire share; see `plain.py`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from mirrorworld.world.frames import Frame
from mirrorworld.world.model import (
    PointType,
    Pose,
    Property,
    Relation,
    Scalar,
    Sheet,
    Text,
    Twin,
    TwinType,
)


class OriginKind(enum.IntEnum):
    """How a value came to be."""

    MEASURED = 0
    INFERRED = 1
    SIMULATED = 2
    DESIRED = 3
    AUTHORED = 4


@dataclass(frozen=True, slots=True)
class Origin:
    """How a change came to be, and by whom: a source's name, a model's, a person's."""

    kind: OriginKind
    by: str


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a record. The epoch grows with every opening for writing; so does no sequence
    ever repeat with another content."""

    epoch: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.sequence}"

    @staticmethod
    def parse(text: str) -> Position:
        """The position written as `epoch:sequence`."""
        epoch, colon, sequence = text.partition(":")
        if not (colon and epoch.isdigit() and sequence.isdigit()):
            raise ValueError(f"'{text}' is not a position; one reads like '1:4711'")
        return Position(int(epoch), int(sequence))


# --- edits of structure ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutType:
    """Adds or replaces a type. Twins of it gain new points; points are never taken away."""

    type: TwinType


@dataclass(frozen=True, slots=True)
class PutTwin:
    """Adds a twin, or replaces what its source says of it.

    What was said of the twin by the smaller edits below stays on top, so that a source which
    declares its twins anew at each start undoes nobody's work.
    """

    twin: Twin


@dataclass(frozen=True, slots=True)
class DropTwin:
    """Ends a twin and its relations. Its points keep their handles and their past."""

    id: str


@dataclass(frozen=True, slots=True)
class PutPoints:
    """Adds points to a twin, or replaces their description (not their kind)."""

    twin: str
    points: tuple[PointType, ...]


@dataclass(frozen=True, slots=True)
class PutProperty:
    """Sets one top-level property of a twin. Holds over what its source says."""

    twin: str
    property: Property


@dataclass(frozen=True, slots=True)
class DropProperty:
    """Removes one top-level property of a twin."""

    twin: str
    name: str


@dataclass(frozen=True, slots=True)
class PutName:
    """Names a twin. Holds over what its source calls it."""

    twin: str
    name: Text


@dataclass(frozen=True, slots=True)
class PutPose:
    """Places a twin and gives it a look. Holds over what its source says."""

    twin: str
    pose: Pose
    geometry: str = ""


@dataclass(frozen=True, slots=True)
class PutGeometry:
    """Says what a twin looks like, wherever it stands. Holds over what its source says, and over
    what was said with its place; "" is the look of its type, or a plain body."""

    twin: str
    geometry: str


@dataclass(frozen=True, slots=True)
class PutTypeOf:
    """Says of what type a twin is. Holds over what its source says.

    It gains the type's points; where its source describes one of the same name, that holds.
    """

    twin: str
    type: str


@dataclass(frozen=True, slots=True)
class PutPointAbout:
    """Says what a point means. Holds over what its source says; None leaves that to the source.

    A unit is an annotation: "what the source sends is mbar". No value is ever converted by it.
    """

    twin: str
    point: str
    unit: str | None = None
    """UCUM."""
    low: float | None = None
    high: float | None = None
    semantic_ids: tuple[str, ...] | None = None
    labels: tuple[tuple[int, str], ...] | None = None
    description: Text | None = None


@dataclass(frozen=True, slots=True)
class Unsay:
    """Takes back what one of the smaller edits said of a twin: its source's word holds again.

    `what` is the name of that edit (`PutName`, `PutPose`, `PutGeometry`, `PutTypeOf`,
    `PutProperty`, `PutPoints` or `PutPointAbout`), `name` that of the property or point. With
    `DropRelation` and `kind<TAB>target<TAB>name` a relation may be declared again.
    """

    twin: str
    what: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class PutRelation:
    """Adds a relation or replaces its attributes."""

    relation: Relation


@dataclass(frozen=True, slots=True)
class DropRelation:
    """Ends a relation. Ended by a person it stays so, however often a source declares it, until
    a person puts it again."""

    kind: str
    source: str
    target: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Arm:
    """Allows commands to one point or operation of a twin, within interlocks.

    Nothing of a source is ever written unless an engineer has armed it by name.
    """

    twin: str
    name: str
    """Of the point or the operation."""
    low: float | None = None
    high: float | None = None
    max_step: float | None = None
    """Largest change against the source's last report that one command may ask for."""
    min_interval_ms: int = 0
    """Shortest time between two commands (with `max_step`: the rate of change)."""
    excludes: tuple[tuple[str, str], ...] = ()
    """(twin, name) of what may not have an open command at the same time."""
    only_while: tuple[tuple[str, str, float], ...] = ()
    """(twin, point, value): conditions on other points; all must be good and equal."""
    must_confirm: bool = False
    """Whether the person must say yes a second time."""


@dataclass(frozen=True, slots=True)
class Disarm:
    """Makes a point or an operation read-only again."""

    twin: str
    name: str


@dataclass(frozen=True, slots=True)
class PutSheet:
    """Adds or replaces a sheet."""

    sheet: Sheet


@dataclass(frozen=True, slots=True)
class DropSheet:
    """Ends a sheet. The log still has it."""

    kind: str
    name: str


Edit = (
    PutType
    | PutTwin
    | DropTwin
    | PutPoints
    | PutProperty
    | DropProperty
    | PutName
    | PutPose
    | PutGeometry
    | PutTypeOf
    | PutPointAbout
    | Unsay
    | PutRelation
    | DropRelation
    | Arm
    | Disarm
    | PutSheet
    | DropSheet
)


@dataclass(frozen=True, slots=True)
class Edits:
    """Edits that take effect together or, if one is refused, not at all."""

    edits: tuple[Edit, ...]
    reason: str = ""


# --- commands and events --------------------------------------------------------------------


class CommandState(enum.IntEnum):
    """Where a command is on its road. The last four are ends."""

    REQUESTED = 0
    SENT = 1
    CONFIRMED = 2
    REFUSED = 3
    EXPIRED = 4
    FAILED = 5

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to the command."""
        return self >= CommandState.CONFIRMED


@dataclass(frozen=True, slots=True)
class Command:
    """A desired value of a point, or a call of an operation, and how far it has come.

    Each step of a command is a change of its own that carries the whole command.
    """

    id: str
    twin: str
    point: str = ""
    operation: str = ""
    value: Scalar = None
    arguments: tuple[tuple[str, Scalar], ...] = ()
    by: str = ""
    reason: str = ""
    requested_ns: int = 0
    timeout_ms: int = 10_000
    state: CommandState = CommandState.REQUESTED
    detail: str = ""
    """Why it was refused, failed or expired; what the source reported."""
    results: tuple[tuple[str, Scalar], ...] = ()
    decided_ns: int = 0
    """When the state was reached."""

    @property
    def expires_ns(self) -> int:
        """After this it is never sent."""
        return self.requested_ns + self.timeout_ms * 1_000_000


class Severity(enum.IntEnum):
    """How urgent an event is (the ranges of IEC 62541-9 §5.5.2 in four steps)."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: an alarm raised or gone, a state change, a source lost.

    Events with the same `id` are one condition; the latest tells whether it is active.
    """

    id: str
    twin: str
    kind: str
    message: Text
    severity: Severity = Severity.INFO
    is_active: bool = False
    is_acknowledged: bool = False
    source_ns: int = 0
    properties: tuple[Property, ...] = ()
    shelved_until_ns: int = 0
    """Set aside by a person until then (ISA-18.2 §11.7); 0: not."""
    is_suppressed: bool = False
    """Set aside by design, as in a flood (§11.8)."""
    is_out_of_service: bool = False
    """Set aside for maintenance until a person puts it back (§11.9)."""
    is_latched: bool = False
    """Its cause is gone, and it stays until a person has acknowledged it (§10.5)."""


@dataclass(frozen=True, slots=True)
class Writing:
    """What somebody wrote or drew about a twin: one update of a document that many write at once.

    The document is a CRDT (Yjs, update format v1), whose updates add up to the same in any order.
    The world keeps them as they came and reads none of them; `mirrorworld.authoring` does.
    """

    twin: str
    update: bytes
    is_whole: bool = False
    """Whether it takes the place of all that was written about the twin before, since it holds
    it. Without any bytes it erases the document."""


# --- the change -----------------------------------------------------------------------------

Body = Frame | Edits | Command | Event | Writing


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One entry of a log.

    A source that numbers what it sends is recognised by (source, incarnation, source_seq) when
    it sends again; where `source_seq` is -1, samples are recognised by identical (point, source
    time, value, quality).
    """

    body: Body
    origin: Origin
    received_ns: int
    source: str = ""
    incarnation: int = 0
    source_seq: int = -1
    position: Position | None = None


@dataclass(slots=True)
class Tally:
    """What became of samples; added up per source and shown. Nothing is dropped uncounted."""

    accepted: int = 0
    late: int = 0
    """Accepted, older than what the point already had: in the record, not the latest value."""
    duplicate: int = 0
    unknown: int = 0
    """Refused: no such point."""
    not_a_number: int = 0
    """Accepted with quality BadNoData."""
    out_of_range: int = 0
    """Accepted with quality UncertainEngineeringUnitsExceeded."""
    future: int = 0
    """Accepted; stamped later than it was received, beyond the allowed skew."""

    def add(self, other: Tally) -> None:
        """Adds the counts of another."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """What `World.apply` did: the change as accepted and placed, or None if nothing was new."""

    change: Change | None
    tally: Tally = field(default_factory=Tally)
