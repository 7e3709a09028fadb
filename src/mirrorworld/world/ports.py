"""The doors of a world: what a connector, a model, a format, a record and a guard must offer.

A wing implements one of these and is found by name behind an entry-point group. Each has a
contract in `mirrorworld.testing` that every implementation runs.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world.changes import (
    Change,
    Command,
    Edits,
    Event,
    OriginKind,
    Position,
)
from mirrorworld.world.frames import Frame, Handles
from mirrorworld.world.model import Scalar, Twin, TwinType

if TYPE_CHECKING:
    from mirrorworld.world.world import Snapshot, World


# --- connectors -----------------------------------------------------------------------------


class SourceError(Exception):
    """A source cannot be used as asked. The message names the place and the mend."""


class Sink(Protocol):
    """What a connector hands its changes to. All times are UTC nanoseconds.

    A connector's declarations and samples pass the guard and the world, reach the record, and
    only then count as acknowledged: a source that waits for an acknowledgement (MQTT PUBACK)
    gets it after `durable` has returned. The queue behind it is bounded: `push` waits when it
    is full, and that wait is the back-pressure a connector passes on to its source.
    """

    def now_ns(self) -> int:
        """The time at which things are received here."""
        ...

    async def declare(self, edits: Edits) -> None:
        """Declares types, twins, points and relations; returns when they are applied.

        Declaring what is so already changes nothing, so a connector may declare everything at
        each start.

        Raises:
            ValueError: an edit was refused; the message names the twin and the reason.
        """
        ...

    def handles(self, points: Iterable[tuple[str, str]]) -> Handles:
        """Handles of (twin id, point name); raises KeyError that names an unknown one."""
        ...

    async def push(
        self,
        frame: Frame,
        *,
        incarnation: int = 0,
        source_seq: int = -1,
        origin: OriginKind = OriginKind.MEASURED,
    ) -> int:
        """Hands over samples; returns a ticket for `durable`. Waits while the queue is full."""
        ...

    async def durable(self, ticket: int) -> None:
        """Returns when everything up to the ticket is on disk.

        Raises:
            OSError: the record could not be written; nothing of it may be acknowledged.
        """
        ...

    async def event(self, event: Event, *, incarnation: int = 0, source_seq: int = -1) -> None:
        """Reports that something happened: the source was lost, its clock jumped, an alarm.

        Numbered, it is recognised when it is sent again, as samples are.
        """
        ...

    def count(self, what: str, n: int = 1) -> None:
        """Counts something the connector dropped or refused, by name; shown in page and metrics."""
        ...


@runtime_checkable
class KnowsLatest(Protocol):
    """A sink may be this too: it can say up to where it knows a point, also from before the
    connector's start, so that a connector can ask its source for what came after."""

    def latest_ns(self, handles: Handles) -> NDArray[np.int64]:
        """Source time of the latest sample of each point; negative where there is none."""
        ...


@runtime_checkable
class KnowsNumbers(Protocol):
    """A sink may be this too: it can say up to which number the world has what the source sent,
    so that a connector whose source keeps its past asks for what is lacking."""

    def numbered(self) -> dict[int, int]:
        """Incarnation -> the highest `source_seq` of it, by when the incarnation was first seen.
        Of more than eight incarnations the first seen are forgotten."""
        ...


class LinkState(enum.Enum):
    """How a connector stands with its source."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"
    """Was live, is being tried again."""
    REFUSED = "refused"
    """Cannot be used until someone acts: login, certificate, address. The detail says what."""
    ENDED = "ended"
    """A recording that has been played to its end."""


@dataclass(frozen=True, slots=True)
class Link:
    """A connector's standing, for page, CLI and metrics."""

    state: LinkState
    detail: str = ""
    since_ns: int = 0


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """What a connector is told: where, as whom, and options by the connector's own names.

    Secrets arrive here resolved; they are never written to the log.
    """

    url: str
    name: str
    """Short and unique in the world; the prefix of its twins' ids and its name in origins."""
    options: Mapping[str, Scalar] = field(default_factory=dict[str, Scalar])
    username: str = ""
    password: str = field(default="", repr=False)
    state_dir: Path | None = None
    """Where the connector may remember things (trusted certificates); None: nowhere."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `discover` saw: a twin it would make, and how that was guessed."""

    twin: Twin
    type: TwinType | None
    guessed: str
    sample_values: tuple[tuple[str, Scalar], ...] = ()


@runtime_checkable
class Connector(Protocol):
    """Brings changes in from one source, and carries desired values out to it.

    A connector class also has `schemes: tuple[str, ...]`, the URL schemes that it serves, and is
    constructed with a SourceConfig. It is read-only until the command road calls `write`.
    """

    schemes: tuple[str, ...]
    link: Link

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """Looks at the source gently and says what it would mirror. Declares nothing."""
        ...

    async def run(self, sink: Sink) -> None:
        """Mirrors the source until cancelled, through its vanishing and return.

        Raises:
            SourceError: it can never work as configured (bad URL, bad option).
        """
        ...

    async def write(self, command: Command) -> Command:
        """Sends a durable, unexpired command to the source now.

        Returns the command as SENT when the source took it, or REFUSED or FAILED with the
        source's reason in `detail`; for operations CONFIRMED with `results`. It never retries.
        """
        ...


@runtime_checkable
class KeepsConditions(Protocol):
    """A connector may be this too: its source keeps alarms of its own (IEC 62541-9), and who
    acknowledges one here has acknowledged it when the source says so."""

    def keeps_condition(self, event_id: str) -> bool:
        """Whether the event is a condition that the source keeps, and not one made here."""
        ...

    async def acknowledge(self, event: Event, comment: str) -> None:
        """Tells the source, once. The source's own report follows as an event.

        Raises:
            SourceError: the source cannot be told or did not take it; the message says why.
        """
        ...


# --- what is around --------------------------------------------------------------------------


class Reach(enum.Enum):
    """How far finders may look for what could be mirrored."""

    OFF = "off"
    HERE = "here"
    """This computer, its loopback, and the sources that are mirrored already."""
    NETWORK = "network"
    """Also what announces itself on the networks that this computer is in."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something that a finder has seen and that could be mirrored. Nobody has been asked yet.

    All texts come from strangers: they are bounded by whoever takes sightings, and are only ever
    shown as text.
    """

    key: str
    """The same each time that the same thing is seen, and the finder's own."""
    url: str
    """What a source would be given; "" if only a person can say."""
    name: str
    """What it calls itself."""
    what: str
    """What kind of thing it is, in a word or two: "OPC UA server"."""
    guessed: str
    """How that is known."""
    detail: str = ""
    """More that it says of itself, as `name=value` lines."""
    needs_login: bool = False
    """Whether it is known that it takes nobody without a user name."""
    options: tuple[tuple[str, Scalar], ...] = ()
    """Options that the source would be given."""
    lasts_s: float = 0.0
    """For how long it counts without being seen again; 0: until it is withdrawn."""


class Surroundings(Protocol):
    """What a finder may know and whom it tells."""

    @property
    def reach(self) -> Reach:
        """How far it may look."""
        ...

    @property
    def inbox(self) -> Path | None:
        """Where recordings are dropped; None: nowhere."""
        ...

    def mirrored(self) -> Sequence[SourceConfig]:
        """The sources that are mirrored now, with their logins."""
        ...

    def report(self, sighting: Sighting) -> None:
        """Something was seen, again or for the first time."""
        ...

    def withdraw(self, key: str) -> None:
        """It has said that it goes."""
        ...

    def count(self, what: str, n: int = 1) -> None:
        """Counts what was left out, by name; shown in page and metrics."""
        ...


class Finder(Protocol):
    """Notices what could be mirrored. It listens, and asks only who offers to tell of others;
    it never tries addresses."""

    name: str

    async def run(self, around: Surroundings) -> None:
        """Reports what it sees until cancelled. Returns at once where it can see nothing.

        Raises:
            SourceError: it cannot work here; the message says what is missing.
        """
        ...


# --- what a person is told of a connector ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class OptionAbout:
    """One option of a connector, as a form shows it."""

    name: str
    label: str
    kind: str = "text"
    """text, number, boolean or choice."""
    default: Scalar = ""
    hint: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConnectorAbout:
    """A connector as a person meets it. A connector class may have one as `about`."""

    title: str
    example: str
    """An address that reads as those of this connector do."""
    hint: str = ""
    options: tuple[OptionAbout, ...] = ()
    takes_login: bool = True


# --- models ---------------------------------------------------------------------------------


class Model(Protocol):
    """Thinks over a world: simulation with its own clock, analytics on the world's."""

    name: str
    origin: OriginKind

    def step(self, view: World, until_ns: int) -> Iterable[Change]:
        """The changes that the model adds up to `until_ns`. It applies nothing itself."""
        ...


# --- formats --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Carried:
    """The report of an import or export: what went over, and what could not and why."""

    twins: int = 0
    types: int = 0
    relations: int = 0
    lost: tuple[tuple[str, str], ...] = ()
    """(place, what was lost and why)."""


class Format(Protocol):
    """World <-> file of a standard."""

    name: str
    suffixes: tuple[str, ...]

    def import_(self, path: Path) -> tuple[Edits, Carried]:
        """The edits that would bring the file's content into a world. Fetches nothing."""
        ...

    def export(self, world: World, path: Path) -> Carried:
        """Writes a world's structure and latest values."""
        ...


# --- records --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Series:
    """History of one point, ordered by source time. Columns of equal length."""

    source_ns: NDArray[np.int64]
    cell: NDArray[np.int64]
    quality: NDArray[np.uint32]
    sequence: NDArray[np.int64]
    """Where in the log each sample came."""
    heap: bytes = b""
    kept_from_ns: int | None = None
    """If the range began earlier: before this, samples are no longer kept (retention)."""


class Record(Protocol):
    """The durable log of one world, and its past."""

    def append(self, change: Change) -> None:
        """Takes an applied change (it has a position) for the next write. Does not wait."""
        ...

    def commit(self) -> Position:
        """Writes everything appended so far and fsyncs; returns up to where it is durable.

        Raises:
            OSError: the disk refused. Nothing since the last commit is durable; the record
                refuses further appends until it is opened again.
        """
        ...

    def replay(self) -> Iterator[Snapshot | Change]:
        """On opening: at most one snapshot first, then every later change in order."""
        ...

    @property
    def epoch(self) -> int:
        """Which opening for writing this is."""
        ...

    @property
    def wants_keyframe(self) -> bool:
        """Whether so much has come since the last keyframe that it is time for another."""
        ...

    def keyframe(self, snapshot: Snapshot) -> None:
        """Keeps a snapshot in the log, so that opening and as-of need not read from the start."""
        ...

    def changes(
        self, after: Position, limit: int = 10_000, *, frames: bool = True
    ) -> Iterator[Change]:
        """Durable changes after a position, in order; without `frames` those of samples are left
        out, which is much quicker."""
        ...

    def read(self, point: int, start_ns: int, end_ns: int, max_rows: int | None = None) -> Series:
        """Samples of a point with start_ns <= source time < end_ns.

        With `max_rows` (8 or more), downsampled so that the extremes stay (MinMaxLTTB).
        """
        ...

    def as_of(self, position: Position) -> Snapshot:
        """The world as it was known at a position."""
        ...

    def as_of_time(
        self, source_ns: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]:
        """What was true at a source time, for all points: (cell, source_ns, quality) by handle.

        Late samples count. Points without a sample by then have source_ns 0 and quality
        BadWaitingForInitialData.
        """
        ...

    def close(self) -> None:
        """Commits and lets go of the files."""
        ...


class Arriving(Protocol):
    """A blob while it comes; used from one thread at a time."""

    @property
    def path(self) -> Path:
        """Where what has come so far can be read, once `sync` has returned."""
        ...

    @property
    def size_bytes(self) -> int:
        """How much has come."""
        ...

    def write(self, part: bytes) -> None:
        """Takes the next part; OSError if the disk refuses."""
        ...

    def sync(self) -> None:
        """Makes what has come durable under no name yet, and takes no more."""
        ...

    def keep(self) -> str:
        """Gives it its name, its SHA-256 in hex, and returns that; durable on return."""
        ...

    def discard(self) -> None:
        """Leaves nothing of it, if it was not kept."""
        ...


class BlobStore(Protocol):
    """Files beside a log, each named after its content and kept once."""

    def receive(self) -> Arriving:
        """A new blob, to be written part by part."""
        ...

    def path(self, sha256: str) -> Path:
        """Where a blob lies, or would; ValueError if that is no name of one."""
        ...

    @property
    def total_bytes(self) -> int:
        """How much all of them take."""
        ...


# --- guards ---------------------------------------------------------------------------------


class Action(enum.Enum):
    """What a principal may want to do."""

    READ = "read"
    DECLARE = "declare"
    """Add structure and samples as a source."""
    EDIT = "edit"
    """Authored edits."""
    COMMAND = "command"
    ARM = "arm"
    """Make points writable, or not."""
    ACKNOWLEDGE = "acknowledge"
    WRITE = "write about"
    """Notes, drawings and tasks; they change nothing of the twin."""
    ADMINISTER = "administer"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: a person, a source, a model, a partner."""

    id: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """A guard's answer; `reason` says why not, and what would be needed."""

    allowed: bool
    reason: str = ""


class Guard(Protocol):
    """May this principal do this, to that, for this purpose, now?"""

    def may(self, who: Principal, action: Action, twin: str, purpose: str, now_ns: int) -> Decision:
        """Decides. Asked before anything is applied and before anything is shown."""
        ...


__all__ = [
    "Action",
    "Arriving",
    "BlobStore",
    "Carried",
    "Connector",
    "ConnectorAbout",
    "Decision",
    "Finder",
    "Finding",
    "Format",
    "Guard",
    "KeepsConditions",
    "KnowsLatest",
    "KnowsNumbers",
    "Link",
    "LinkState",
    "Model",
    "OptionAbout",
    "Principal",
    "Reach",
    "Record",
    "Series",
    "Sighting",
    "Sink",
    "SourceConfig",
    "SourceError",
    "Surroundings",
]
