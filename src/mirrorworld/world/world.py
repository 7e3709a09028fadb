"""A world: applies changes in order and answers for what they add up to.

One writer. Nothing here waits, reads a clock or touches a file; the record makes a world last,
`live` makes it move.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world.changes import (
    Applied,
    Change,
    Command,
    Edit,
    Edits,
    Event,
    Origin,
    OriginKind,
    Position,
    PutType,
    Tally,
    Writing,
)
from mirrorworld.world.compiled import DUPLICATE, HAS_NUMBA, LATEST, REFUSED
from mirrorworld.world.frames import Cells, Frame, Handles, Qualities, SampleValue, Times, decode
from mirrorworld.world.layers import layered
from mirrorworld.world.model import Kind, PointType, Relation, Twin, TwinType
from mirrorworld.world.plain import to_plain
from mirrorworld.world.query import Index, Page, Query
from mirrorworld.world.state import Columns, State
from mirrorworld.world.structure import Structure, without_collecting

SKEW_NS: Final = 60_000_000_000
"""How far ahead of arrival a time stamp may be before it is counted as being in the future."""

INCARNATIONS_KEPT: Final = 8
STRUCTURE_CHANGES_KEPT: Final = 10_000
COMMANDS_KEPT: Final = 1_000
EVENTS_KEPT: Final = 10_000
_SHARED: Final = ("origins", "_origin_index", "events", "writings", "_heap", "_sources")
"""What a branch shares with its parent until either writes to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All of a world at one position: what a record keeps now and then, and an as-of gives."""

    world: str
    position: Position
    types: tuple[TwinType, ...]
    twins: tuple[Twin, ...]
    """By ordinal, as their sources declared them, dropped ones included."""
    dropped: tuple[int, ...]
    overlays: tuple[Edit, ...]
    """What was said over the declarations."""
    relations: tuple[Relation, ...]
    arms: tuple[Edit, ...]
    point_types: tuple[PointType, ...]
    """Distinct ones."""
    point_twin: NDArray[np.int32]
    """By handle: ordinal of its twin."""
    point_type: NDArray[np.int32]
    """By handle: index into `point_types`."""
    cell: Cells
    quality: Qualities
    source_ns: Times
    received_ns: Times
    changed: NDArray[np.int64]
    origin: NDArray[np.uint16]
    heap: dict[int, bytes]
    """By handle: latest value of points of variable size."""
    origins: tuple[Origin, ...]
    sources: tuple[tuple[str, int, int], ...]
    """(source, incarnation, highest source_seq), oldest first."""
    events: tuple[Event, ...]
    commands: tuple[Command, ...]
    writings: tuple[tuple[str, tuple[bytes, ...]], ...] = ()
    """(twin, updates of its document in order)."""

    @property
    def columns(self) -> Columns:
        """The six columns of latest samples."""
        return Columns(
            self.cell, self.quality, self.source_ns, self.received_ns, self.changed, self.origin
        )


_Structure = tuple[
    tuple[TwinType, ...],
    tuple[Twin, ...],
    tuple[int, ...],
    tuple[Edit, ...],
    tuple[Relation, ...],
    tuple[Edit, ...],
    tuple[PointType, ...],
    NDArray[np.int32],
    NDArray[np.int32],
]
"""A snapshot's fields from `types` to `point_type`."""


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """What a subscription has not seen yet. Of each point only the latest value."""

    position: Position
    handles: Handles
    columns: Columns
    changes: tuple[Change, ...] | None
    """Changes other than samples and writings, in order; None: too long ago, take a fresh
    snapshot."""


@dataclass(slots=True)
class Subscription:
    """A cursor over a world. It costs the writer nothing; reading costs one pass over the points.

    The latest wins: who reads seldom gets fewer, newer values. Every change is in the record.
    """

    world: World
    handles: Handles | None
    cursor: Position | None

    def read(self) -> Delta:
        """What changed since the last read."""
        delta = self.world.delta(self.cursor, self.handles)
        self.cursor = delta.position
        return delta


class World:
    """Twins, their structure and their latest values, at one position of one log."""

    def __init__(self, id: str, *, epoch: int = 1, compiled: bool | None = None) -> None:
        """An empty world.

        Args:
            compiled: whether the numba loops are used; None: if they are there.
        """
        self.id = id
        self.position = Position(epoch, 0)
        self.received_ns = 0
        """When the latest change came, by the clock of who applied it."""
        self.epoch_start = 0
        """Sequence at which this epoch began: what an earlier epoch saw after it may never have
        become durable."""
        self.parent: tuple[str, Position] | None = None
        self.structure = Structure()
        self.state = State(use_compiled=HAS_NUMBA if compiled is None else compiled)
        self.origins: list[Origin] = []
        self.events: dict[str, Event] = {}
        self.commands: dict[str, Command] = {}
        self.writings: dict[str, tuple[bytes, ...]] = {}
        """By twin: the updates of its document since it was last put into one."""
        self.tallies: dict[str, Tally] = {}
        self._origin_index: dict[Origin, int] = {}
        self._heap: dict[int, bytes] = {}
        self._sources: dict[str, dict[int, int]] = {}
        self._recent: deque[Change] = deque(maxlen=STRUCTURE_CHANGES_KEPT)
        self._recent_from = 0
        self._index = Index(self.structure)
        self._structure_made: tuple[int, _Structure] | None = None
        self._shared: set[str] = set()
        """Names of tables that branches use too: copied before they are written to."""
        self._is_fork = False

    # --- reading ---

    @property
    def epoch(self) -> int:
        """Which opening of the record this is."""
        return self.position.epoch

    @property
    def kinds(self) -> NDArray[np.uint8]:
        """Kind of each point, by handle."""
        return self.structure.kinds

    @property
    def n_points(self) -> int:
        """How many points there are; handles are below it."""
        return self.structure.n_points

    def handles(self, points: Iterable[tuple[str, str]]) -> Handles:
        """Handles of (twin id, point name); KeyError names an unknown one."""
        return self.structure.handles(points)

    def point(self, handle: int) -> tuple[str, PointType]:
        """(twin id, point type) of a handle."""
        return self.structure.point(handle)

    def read(self, handles: Handles) -> Columns:
        """Latest samples of some points."""
        return self.state.read(handles)

    def heap(self, handle: int) -> bytes:
        """Latest bytes of a point of variable size; empty before the first."""
        return self._heap.get(handle, b"")

    def value(self, handle: int) -> SampleValue | None:
        """Latest value of a point as a Python value; None before the first."""
        one = self.state.read(np.array([handle], np.uint32))
        if one.changed[0] < 0:
            return None
        kind = Kind(int(self.kinds[handle]))
        return decode(kind, self.heap(handle) if kind.is_heap else int(one.cell[0]))

    def query(self, query: Query, limit: int = 100, cursor: str | None = None) -> Page:
        """A page of the twins that a query finds."""
        return self._index.query(query, limit, cursor)

    def reached(self, path: tuple[str, ...], twin: str) -> NDArray[np.bool_]:
        """By ordinal: the living twins from which a relation path leads to a twin. ValueError
        where the path is none, or there is no such twin."""
        return self._index.reached(path, twin)

    def subscribe(
        self, handles: Handles | None = None, after: Position | None = None
    ) -> Subscription:
        """A cursor over some points (None: all), from a position on (None: everything is new)."""
        return Subscription(self, handles, after)

    def delta(self, after: Position | None, handles: Handles | None = None) -> Delta:
        """What is new after a position; see Delta."""
        sequence = after.sequence if after is not None and self._is_ours(after) else -1
        changed = self.state.changed_after(sequence)
        if handles is not None:
            changed = np.intersect1d(changed, handles)
        columns = self.state.read(changed)
        return Delta(self.position, changed, columns, self.changes_after(after))

    def changes_after(self, after: Position | None) -> tuple[Change, ...] | None:
        """Changes other than samples and writings after a position, in order; None: it is too long
        ago, or no position of this world, so that only a fresh snapshot tells everything.

        What people write comes letter by letter and would crowd out the edits; who follows it
        compares with `writings`, whose updates may be taken in again without harm."""
        if after is None or not self._is_ours(after) or after.sequence < self._recent_from:
            return None
        # From the end, since readers come often and are seldom far behind.
        later = takewhile(lambda c: _sequence(c) > after.sequence, reversed(self._recent))
        return tuple(later)[::-1]

    def recent(self) -> tuple[Change, ...]:
        """The changes other than samples and writings that are at hand, oldest first."""
        return tuple(self._recent)

    def _is_ours(self, position: Position) -> bool:
        if position.epoch == self.epoch:
            return position.sequence <= self.position.sequence
        return position.epoch == self.epoch - 1 and position.sequence <= self.epoch_start

    # --- changing ---

    def apply(self, change: Change) -> Applied:
        """Applies a change at the next position.

        Returns what was new of it; repeated and refused samples are counted, not kept.

        Raises:
            ValueError: an edit, a command or an event was refused, and nothing has changed.
        """
        if change.source_seq >= 0 and self._is_repeated(change):
            n = len(change.body) if isinstance(change.body, Frame) else 0
            tally = Tally(duplicate=n)
            self._tally(change.source).add(tally)
            return Applied(None, tally)
        position = Position(self.epoch, self.position.sequence + 1)
        tally = Tally()
        match change.body:
            case Frame():
                body, tally = self._apply_frame(change, change.body, position)
            case Edits():
                body = self._apply_edits(change.body, change.origin)
            case Command():
                body = self._apply_command(change.body)
            case Event():
                body = self._apply_event(change.body)
            case Writing():
                body = self._apply_writing(change.body)
        if body is None:
            return Applied(None, tally)
        if change.source_seq >= 0:
            # Only of what enters the log: replaying it must lead to the same.
            self._note_source(change)
        self.position = position
        self.received_ns = change.received_ns
        placed = Change(
            body, change.origin, change.received_ns, change.source, change.incarnation,
            change.source_seq, position,
        )  # fmt: skip
        if not isinstance(body, Frame | Writing):
            self._note_recent(placed)
        return Applied(placed, tally)

    def replay(self, change: Change) -> None:
        """Applies a change that a record gives back, at the position that it has.

        It was accepted once and is not checked for repetition again, so that the same log always
        leads to the same state.
        """
        position = change.position
        if position is None or position.sequence <= self.position.sequence:
            raise ValueError(f"cannot replay {position} after {self.position}")
        match change.body:
            case Frame():
                self._apply_frame(change, change.body, position, is_replayed=True)
            case Edits():
                self._apply_edits(change.body, change.origin)
            case Command():
                self._apply_command(change.body)
            case Event():
                self._apply_event(change.body)
            case Writing():
                self._apply_writing(change.body)
        if change.source_seq >= 0:
            self._note_source(change)
        self.position = Position(self.epoch, position.sequence)
        if not isinstance(change.body, Frame | Writing):
            self._note_recent(change)

    def remember(self, frame: Frame) -> None:
        """Takes note of accepted samples from before a snapshot, of sources that number nothing,
        so that they are recognised if they are sent again."""
        identity, _ = self._identity(frame)
        self.state.fingerprints.remember(dataclasses.replace(frame, cell=identity))

    def numbered(self, source: str) -> dict[int, int]:
        """What is known of a source that numbers what it sends: incarnation -> highest number."""
        return dict(self._sources.get(source, {}))

    def begin_epoch(self, epoch: int) -> None:
        """Starts a new epoch: the record was opened for writing."""
        if epoch <= self.epoch:
            raise ValueError(f"epoch {epoch} does not follow {self.epoch}")
        self.epoch_start = self.position.sequence
        self.position = Position(epoch, self.position.sequence)

    def branch(self, id: str) -> World:
        """A world that starts as this one is now and goes its own way.

        It holds only what differs: pages of values and the tables of everything else are shared
        until either of the two writes to them. It has no way to a plant.
        """
        other = World(id, compiled=self.state.use_compiled)
        other.position, other.epoch_start = self.position, self.position.sequence
        other.parent = (self.id, self.position)
        other.structure = self.structure.fork()
        other._index = Index(other.structure)
        other.state = self.state.fork()
        for name in _SHARED:
            setattr(other, name, getattr(self, name))
        self._shared, other._shared = set(_SHARED), set(_SHARED)
        other._is_fork = True
        other._structure_made = self._structure_made
        other._recent_from = self.position.sequence
        return other

    def _own(self, name: str) -> Any:
        """A table that branches may share, to be written to."""
        table = getattr(self, name)
        if name in self._shared:
            self._shared.discard(name)
            if isinstance(table, list):
                table = table.copy()  # pyright: ignore[reportUnknownVariableType]
            else:
                table = layered(table) if self._is_fork else dict(table)
            setattr(self, name, table)
        return table  # pyright: ignore[reportUnknownVariableType]

    def _apply_frame(
        self, change: Change, frame: Frame, position: Position, *, is_replayed: bool = False
    ) -> tuple[Frame | None, Tally]:
        n_origins = len(self.origins)
        identity, in_heap = self._identity(frame)
        seen = frame if in_heap is None else dataclasses.replace(frame, cell=identity)
        fate, quality, tally = self.state.apply(
            seen,
            kinds=self.structure.kinds,
            low=self.structure.low,
            high=self.structure.high,
            received_ns=change.received_ns,
            sequence=position.sequence,
            origin=self._origin(change.origin),
            skew_ns=SKEW_NS,
            is_numbered=change.source_seq >= 0 or is_replayed,
        )
        if is_replayed and change.source_seq < 0:
            self.state.fingerprints.remember(dataclasses.replace(seen, quality=quality))
        if in_heap is not None:
            heap: dict[int, bytes] = self._own("_heap")
            for row in in_heap[fate[in_heap] == LATEST].tolist():
                heap[int(frame.point[row])] = frame.heap_at(row)
        self._tally(change.source).add(tally)
        if not tally.accepted:
            # Nothing of it enters the log, so nothing of it may stay here either.
            for origin in self.origins[n_origins:]:
                del self._origin_index[origin]
            if len(self.origins) > n_origins:
                del self.origins[n_origins:]
            return None, tally
        kept = Frame(frame.point, frame.cell, quality, frame.source_ns, frame.heap)
        if tally.accepted < len(frame):
            kept = kept.take((fate != REFUSED) & (fate != DUPLICATE))
        return kept, tally

    def _identity(self, frame: Frame) -> tuple[Cells, NDArray[np.intp] | None]:
        """Cells by which samples are told apart, and the rows whose value is in the heap.

        Where a payload lies in a heap says nothing of it, so there a hash stands for it.
        """
        if not self.structure.has_heap:
            return frame.cell, None
        kinds = self.structure.kinds
        known = np.minimum(frame.point, len(kinds) - 1)
        in_heap = np.flatnonzero((kinds[known] >= Kind.TEXT) & (frame.point < len(kinds)))
        if not len(in_heap):
            return frame.cell, None
        end = (frame.cell[in_heap] >> 32) + (frame.cell[in_heap] & 0xFFFF_FFFF)
        if np.any(frame.cell[in_heap] < 0) or np.any(end > len(frame.heap)):
            raise ValueError("a sample points outside its frame's heap: the frame is damaged")
        identity = frame.cell.copy()
        for row in in_heap.tolist():
            digest = hashlib.blake2b(frame.heap_at(row), digest_size=8).digest()
            identity[row] = int.from_bytes(digest, "little", signed=True)
        return identity, in_heap

    def _apply_edits(self, edits: Edits, origin: Origin) -> Edits | None:
        is_by_person = origin.kind == OriginKind.AUTHORED
        effective = self.structure.apply(edits, is_by_person=is_by_person)
        if not effective:
            return None
        self.state.grow(self.structure.n_points)
        if len(effective) == len(edits.edits):
            return edits
        return dataclasses.replace(edits, edits=effective)

    def _apply_command(self, command: Command) -> Command | None:
        old = self.commands.get(command.id)
        if old == command:
            return None
        if self.parent is not None:
            raise ValueError(f"{self.id} is a branch: it has no way to a plant")
        if command.twin not in self.structure.twins:
            raise ValueError(f"{command.twin}: no such twin")
        if old is not None and (old.state.is_final or command.state < old.state):
            raise ValueError(
                f"command {command.id} is {old.state.name.lower()}; it cannot become"
                f" {command.state.name.lower()}"
            )
        self.commands[command.id] = command
        if len(self.commands) > COMMANDS_KEPT:
            ended = next((c.id for c in self.commands.values() if c.state.is_final), None)
            if ended is not None:
                del self.commands[ended]
        return command

    def _apply_event(self, event: Event) -> Event | None:
        if not event.id:
            raise ValueError(f"{event.twin}: an event needs an id")
        if self.events.get(event.id) == event:
            return None
        events: dict[str, Event] = self._own("events")
        events.pop(event.id, None)
        events[event.id] = event
        if len(events) > EVENTS_KEPT:
            over = next((e.id for e in events.values() if not e.is_active), None)
            del events[over if over is not None else next(iter(events))]
        return event

    def _apply_writing(self, writing: Writing) -> Writing | None:
        twin = writing.twin
        if twin not in self.structure.twins:
            raise ValueError(f"{twin}: no such twin")
        before = self.writings.get(twin, ())
        if writing.update in before and not writing.is_whole:
            return None
        if not writing.update and (not writing.is_whole or not before):
            return None
        writings: dict[str, tuple[bytes, ...]] = self._own("writings")
        if not writing.update:
            del writings[twin]
        else:
            writings[twin] = (*(() if writing.is_whole else before), writing.update)
        return writing

    def _is_repeated(self, change: Change) -> bool:
        return change.source_seq <= self._sources.get(change.source, {}).get(change.incarnation, -1)

    def _note_source(self, change: Change) -> None:
        sources: dict[str, dict[int, int]] = self._sources
        if "_sources" in self._shared:
            self._shared.discard("_sources")
            sources = self._sources = {name: dict(seen) for name, seen in sources.items()}
        seen = sources.setdefault(change.source, {})
        seen[change.incarnation] = change.source_seq
        if len(seen) > INCARNATIONS_KEPT:
            del seen[next(iter(seen))]

    def _note_recent(self, change: Change) -> None:
        if len(self._recent) == STRUCTURE_CHANGES_KEPT:
            self._recent_from = _sequence(self._recent[0])
        self._recent.append(change)

    def _origin(self, origin: Origin) -> int:
        index = self._origin_index.get(origin)
        if index is None:
            if len(self.origins) == 1 << 16:
                raise ValueError(
                    f"no more than {1 << 16} origins in a world; '{origin.by}' is one more"
                )
            index = len(self.origins)
            self._own("_origin_index")[origin] = index
            self._own("origins").append(origin)
        return index

    def _tally(self, source: str) -> Tally:
        return self.tallies.setdefault(source, Tally())

    # --- snapshots ---

    def snapshot(self) -> Snapshot:
        """All of the world as it is now."""
        return Snapshot(
            self.id,
            self.position,
            *self._structure_now(),
            *self.state.read(np.arange(self.n_points, dtype=np.uint32)),
            heap=dict(self._heap),
            origins=tuple(self.origins),
            sources=tuple(
                (source, incarnation, high)
                for source, seen in self._sources.items()
                for incarnation, high in seen.items()
            ),
            events=tuple(self.events.values()),
            commands=tuple(self.commands.values()),
            writings=tuple(self.writings.items()),
        )

    def _structure_now(self) -> _Structure:
        """From `types` to `point_type` of a snapshot; made once for each state of the structure,
        as it costs some tenths of a second where there are 200,000 points."""
        structure = self.structure
        made = self._structure_made
        if made is None or made[0] != structure.version:
            # Most points of a type share one object, which is found faster than its equal is.
            distinct: dict[PointType, int] = {}
            codes: dict[int, int] = {}
            types = structure.described()
            for point in types:
                if id(point) not in codes:
                    codes[id(point)] = distinct.setdefault(point, len(distinct))
            ordinals = range(structure.n_ordinals)
            now: _Structure = (
                tuple(structure.types.values()),
                tuple(structure.declared_at(o) for o in ordinals),
                tuple(o for o in ordinals if structure.twin_at(o) is None),
                tuple(structure.overlays()),
                tuple(structure.relations.values()),
                tuple(structure.arms.values()),
                tuple(distinct),
                structure.point_columns()[0],
                np.fromiter((codes[id(point)] for point in types), np.int32, len(types)),
            )
            self._structure_made = made = structure.version, now
        return made[1]

    @staticmethod
    def from_snapshot(snapshot: Snapshot, *, compiled: bool | None = None) -> World:
        """The world that a snapshot was taken of."""
        world = World(snapshot.world, epoch=snapshot.position.epoch, compiled=compiled)
        world.position = snapshot.position
        world.epoch_start = world._recent_from = snapshot.position.sequence
        structure = world.structure
        structure.apply(Edits(tuple(PutType(t) for t in snapshot.types)))
        indexes: list[int] = snapshot.point_type.tolist()
        point_types = [snapshot.point_types[i] for i in indexes]
        with without_collecting():
            structure.restore(
                snapshot.twins,
                snapshot.dropped,
                snapshot.relations,
                snapshot.point_twin,
                point_types,
            )
        structure.say_again(snapshot.overlays)
        structure.apply(Edits(snapshot.arms))
        world.state.restore(snapshot.columns)
        world._heap = dict(snapshot.heap)
        for origin in snapshot.origins:
            world._origin(origin)
        for source, incarnation, high in snapshot.sources:
            world._sources.setdefault(source, {})[incarnation] = high
        world.events = {event.id: event for event in snapshot.events}
        world.commands = {command.id: command for command in snapshot.commands}
        world.writings = dict(snapshot.writings)
        return world

    def state_hash(self) -> str:
        """A hash of all that the log adds up to; equal logs give equal hashes."""
        digest = hashlib.blake2b(digest_size=16)
        for part in self._canonical():
            digest.update(json.dumps(part, sort_keys=True, ensure_ascii=False).encode())
        point_twin, _ = self.structure.point_columns()
        columns = self.state.read(np.arange(self.n_points, dtype=np.uint32))
        for column in (point_twin, self.kinds, *columns):
            digest.update(column.tobytes())
        for handle in sorted(self._heap):
            digest.update(b"%d:%d:" % (handle, len(self._heap[handle])))
            digest.update(self._heap[handle])
        return digest.hexdigest()

    def _canonical(self) -> Iterator[object]:
        structure = self.structure
        yield [to_plain(structure.types[key]) for key in sorted(structure.types)]
        for ordinal in range(structure.n_ordinals):
            yield to_plain(structure.twin_at(ordinal) or structure.declared_at(ordinal).id)
        _, types = structure.point_columns()
        yield [[t.name, t.unit, t.low, t.high] for t in types]
        yield [to_plain(structure.relations[key]) for key in sorted(structure.relations)]
        yield [to_plain(structure.arms[key]) for key in sorted(structure.arms)]
        yield [to_plain(structure.sheets[key]) for key in sorted(structure.sheets)]
        yield [to_plain(origin) for origin in self.origins]
        yield sorted([s, i, h] for s, seen in self._sources.items() for i, h in seen.items())
        yield [to_plain(self.events[key]) for key in sorted(self.events)]
        yield [to_plain(self.commands[key]) for key in sorted(self.commands)]
        if self.writings:  # worlds in which nobody wrote hash as they always did
            yield [[twin, to_plain(self.writings[twin])] for twin in sorted(self.writings)]


def _sequence(change: Change) -> int:
    return change.position.sequence if change.position else -1


__all__ = ["Delta", "Snapshot", "Subscription", "World"]
