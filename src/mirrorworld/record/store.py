"""A record on disk: what `open_record` gives. It implements the kernel's Record port.

One thread appends (the event loop), one at a time commits, any may read. What is read is what is
durable. The layout of the directory is in docs/record-format.md.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.record.blobs import Blobs
from mirrorworld.record.files import Files
from mirrorworld.record.history import History
from mirrorworld.record.keyframes import Keyframes
from mirrorworld.record.lock import Lock, WorldInUseError
from mirrorworld.record.log import Log, Lost
from mirrorworld.record.migrations import read_description, upgrade, write_description
from mirrorworld.record.parquet import Compacted, Rollup
from mirrorworld.record.retention import Retention, forget_oldest, write_policy
from mirrorworld.record.segments import FORMAT_VERSION, CorruptRecordError
from mirrorworld.record.supervisor import Compactor
from mirrorworld.record.tail import AsOf
from mirrorworld.world.changes import Change, Edits, Position
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Series
from mirrorworld.world.structure import without_collecting
from mirrorworld.world.world import Snapshot, World

_LOG: Final = logging.getLogger(__name__)

REMEMBERED_ROWS: Final = 1_000_000
"""Of sources that number nothing, so many samples before a keyframe are remembered at least, so
that what is sent again after a restart is recognised."""

KEYFRAME_ROWS_MIN: Final = 2 << 20
KEYFRAME_ROWS_PER_POINT: Final = 10
KEYFRAME_CHANGES: Final = 100_000
KEYFRAME_EDITS_MIN: Final = 20_000
KEYFRAME_POINTS_PER_EDIT: Final = 2
"""After so many rows, changes or edits a keyframe is due. Any moment is reached from the one before
it, at some 50 ns a row where points change in no order: this is what bounds scrubbing. An edit is
replayed in some 30 us, in which a keyframe takes in two points."""


class UnknownWorldError(Exception):
    """There is no record where one was expected."""


def open_record(
    path: str | os.PathLike[str],
    world: str = "",
    *,
    create: bool = True,
    read_only: bool = False,
    salvage: bool = False,
    files: Files | None = None,
    segment_bytes: int | None = None,
    compacts: bool = True,
) -> Store:
    """Opens the record of a world; makes one where there is none.

    Args:
        path: the record's directory.
        world: the world's id; needed to make a record, otherwise checked if given.
        create: whether a record may be made.
        read_only: for other processes: takes no lock, mends nothing, begins no epoch.
        salvage: go on without damaged parts of the log and list them in `lost`; their files
            are kept as `*.damaged`.
        segment_bytes: at what size a segment of the log is closed.
        compacts: whether closed segments are compacted, in a process beside.

    Raises:
        UnknownWorldError: no record is there, and none may be made.
        WorldInUseError: it is open for writing elsewhere; the message names the process.
        CorruptRecordError: acknowledged bytes are damaged, or a newer version wrote them.
    """
    directory = Path(path)
    files = files or Files()
    description = read_description(directory)
    if description is None:
        if read_only or not create:
            raise UnknownWorldError(_unknown(directory))
        if any(directory.glob("log/*.mwlog")):
            raise CorruptRecordError(
                f"{directory / 'record.json'} is missing beside a log; restore it from a backup"
            )
        files.make_directory(directory)
    lock = None if read_only else Lock(directory / "lock", str(directory))
    try:
        if description is None:
            description = {
                "format": "mirrorworld record",
                "version": FORMAT_VERSION,
                "world": world or directory.name,
                "record": uuid.uuid4().hex,
            }
            write_description(directory, description, files)
        elif read_only and description.get("version") != FORMAT_VERSION:
            raise CorruptRecordError(
                f"{directory} has format version {description.get('version')}; open it for"
                f" writing once to bring it to version {FORMAT_VERSION}"
            )
        else:
            description = upgrade(directory, description, files)
        if world and description["world"] != world:
            raise UnknownWorldError(
                f"{directory} holds the world '{description['world']}', not '{world}'"
            )
        return Store(directory, description, files, lock, salvage, segment_bytes, compacts)
    except BaseException:
        if lock is not None:
            lock.close()
        raise


def world_in(path: str | os.PathLike[str]) -> str:
    """The id of the world whose record is in a directory; "" if none is there."""
    description = read_description(Path(path))
    return "" if description is None else str(description.get("world", ""))


class Store:
    """The record of one world."""

    def __init__(
        self,
        directory: Path,
        description: dict[str, Any],
        files: Files,
        lock: Lock | None,
        salvage: bool,
        segment_bytes: int | None,
        compacts: bool,
    ) -> None:
        """Use `open_record`."""
        self.directory = directory
        self.world: str = description["world"]
        self.id: str = description["record"]
        """Which record this is, in hex; never the same again."""
        self.files = files
        self.blobs = Blobs(directory / "blobs", files)
        self.keyframes = Keyframes(directory / "keyframes", files)
        self.kinds_of: Callable[[], NDArray[np.uint8]] | None = None
        """Gives the kinds of points by handle; `restore` sets it to the world's."""
        self._lock = lock
        lost = [Lost(**entry) for entry in description.get("lost", [])]
        sizes = {} if segment_bytes is None else {"segment_bytes": segment_bytes}
        self.log = Log(
            directory / "log", bytes.fromhex(description["record"]), files=files, lost=lost, **sizes
        )
        if lock is None:
            self.log.open_for_reading()
        else:
            newest = max(self.keyframes.positions(), default=Position(0, 0))
            self.log.open_for_writing(
                least_epoch=newest.epoch, least_sequence=newest.sequence, salvage=salvage
            )
            if self.log.lost != lost:
                description["lost"] = [asdict(entry) for entry in self.log.lost]
                write_description(directory, description, files)
        self.compacted = Compacted(directory / "history")
        self.history = History(self.world, self.log, self.keyframes, self.compacted)
        self.compactor = Compactor(directory)
        if lock is not None and compacts:
            self.log.on_closed = self._on_closed
        self._rows_since_keyframe = 0
        self._changes_since_keyframe = 0
        self._edits_since_keyframe = 0

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what was found ---

    @property
    def kept_from(self) -> int:
        """Sequence of the first change that the log still has, or will have."""
        segments = self.history.segments()
        return segments[0].first if segments else self.position.sequence + 1

    @property
    def epoch(self) -> int:
        """Of this opening; 0 if the record is only read."""
        return self.log.epoch

    @property
    def position(self) -> Position:
        """Up to where everything is durable."""
        return self.log.durable

    @property
    def reports(self) -> tuple[str, ...]:
        """What was mended when the record was opened, in words for people."""
        return tuple(self.log.reports)

    @property
    def lost(self) -> tuple[Lost, ...]:
        """What damage has cost, over the record's whole life."""
        return tuple(self.log.lost)

    @property
    def failure(self) -> str:
        """Why the record takes nothing more; empty while all is well."""
        return self.log.failure

    # --- writing ---

    def append(self, change: Change) -> None:
        """See Record."""
        self.log.append(change)
        if isinstance(change.body, Frame):
            self._rows_since_keyframe += len(change.body)
        elif isinstance(change.body, Edits):
            self._edits_since_keyframe += len(change.body.edits)
        self._changes_since_keyframe += 1

    def commit(self) -> Position:
        """See Record."""
        return self.log.commit()

    def compact(self) -> bool:
        """Starts a compaction in a process of its own; False if one runs already."""
        return self.compactor.start()

    def retain(self, policy: Retention) -> None:
        """Sets how long the past is kept; the next compaction keeps to it."""
        write_policy(self.directory, policy, self.files)

    @property
    def log_bytes(self) -> int:
        """How much of the disk the log takes."""
        return sum(segment.size for segment in self.log.view())

    def forget(self, keep_bytes: int) -> int:
        """Lets go of the oldest closed segments, compacted or not, until the log takes no more
        than so much; the last sequence that went, 0 if none did.

        What the latest keyframe needs stays: where that is too much, the next commit takes one.
        """
        gone = forget_oldest(self, keep_bytes, self.files)
        if self.log_bytes > keep_bytes:
            self._changes_since_keyframe = KEYFRAME_CHANGES
        return gone

    @property
    def wants_keyframe(self) -> bool:
        """Whether so much has come since the last keyframe that it is time for another."""
        rows, edits = KEYFRAME_ROWS_MIN, KEYFRAME_EDITS_MIN
        if self.kinds_of is not None:
            points = len(self.kinds_of())
            rows = max(rows, KEYFRAME_ROWS_PER_POINT * points)
            edits = max(edits, points // KEYFRAME_POINTS_PER_EDIT)
        return (
            self._rows_since_keyframe >= rows
            or self._changes_since_keyframe >= KEYFRAME_CHANGES
            or self._edits_since_keyframe >= edits
        )

    def keyframe(self, snapshot: Snapshot) -> None:
        """See Record. Slow for large worlds; call it where waiting is no harm.

        Raises:
            ValueError: the snapshot is of another world, or of changes that were not appended.
        """
        if snapshot.world != self.world:
            raise ValueError(f"a snapshot of '{snapshot.world}' is no keyframe of '{self.world}'")
        if snapshot.position.sequence > self.position.sequence:
            self.commit()
        if snapshot.position.sequence > self.position.sequence:
            raise ValueError(
                f"a snapshot at {snapshot.position} is ahead of the record at {self.position}:"
                f" append its changes first"
            )
        self.log.request_anchor()
        self._rows_since_keyframe = self._changes_since_keyframe = 0
        self._edits_since_keyframe = 0
        self.keyframes.write(snapshot)

    def close(self) -> None:
        """See Record."""
        try:
            self.log.close()
        finally:
            self.compactor.close()
            if self._lock is not None:
                self._lock.close()

    # --- reading ---

    def replay(self) -> Iterator[Snapshot | Change]:
        """See Record.

        Raises:
            CorruptRecordError: no keyframe can be read that reaches to where the log begins.
        """
        snapshot = self.keyframes.latest(before=self.position.sequence)
        start = snapshot.position.sequence if snapshot is not None else 0
        self._check_reach(start)
        if snapshot is not None:
            yield snapshot
        yield from self.log.changes(start)

    def recent(
        self, before: Position, rows: int = REMEMBERED_ROWS
    ) -> Iterator[tuple[Change, Frame]]:
        """Samples of sources that number nothing, the last `rows` (and some more) up to a
        position, in order: for `World.remember`."""
        start = before.sequence
        found = 0
        for segment in reversed(self.history.segments()):
            for block in reversed(segment.blocks):
                if block.rows and block.first <= before.sequence and found < rows:
                    found += block.rows
                    start = block.first - 1
        for change in self.log.changes(start):
            if change.position is None or change.position.sequence > before.sequence:
                return
            if isinstance(change.body, Frame) and change.source_seq < 0:
                yield change, change.body

    def changes(
        self, after: Position, limit: int = 10_000, *, frames: bool = True
    ) -> Iterator[Change]:
        """See Record.

        Raises:
            LookupError: the position is one that never became durable, or its successors are
                no longer in the log.
        """
        self._check_known(after)
        self._check_reach(after.sequence)
        for i, change in enumerate(self.log.changes(after.sequence, frames=frames)):
            if i == limit:
                return
            yield change

    @property
    def first_ns(self) -> int:
        """Earliest source time of a sample that is kept; 0: there is none."""
        manifest = self.compacted.manifest()
        files = (entry.time_min for entry in manifest.samples())
        segments = (s for s in self.log.view() if s.number > manifest.through)
        blocks = (b.source_ns_min for s in segments for b in s.blocks if b.rows)
        return max(0, min((*files, *blocks), default=0))

    def read(self, point: int, start_ns: int, end_ns: int, max_rows: int | None = None) -> Series:
        """See Record. `kept_from_ns` says if the range reaches beyond what is kept."""
        return self.history.read(point, self._kind(point), start_ns, end_ns, max_rows)

    def rollup(self, point: int, step: str, start_ns: int, end_ns: int) -> Rollup:
        """Count, extremes, mean, first and last of a number by step (`1m`, `1h`, `1d`), for
        the steps that begin in a range of source time."""
        return self.history.rollup(point, self._kind(point), step, start_ns, end_ns)

    def as_of(self, position: Position) -> Snapshot:
        """See Record.

        Raises:
            LookupError: the log does not reach back that far, or not up to there.
        """
        self._check_known(position)
        return self.history.as_of(position)

    def as_of_time(self, source_ns: int) -> AsOf:
        """See Record."""
        return self.history.as_of_time(source_ns, self._kinds())

    def _kinds(self) -> NDArray[np.uint8]:
        if self.kinds_of is None:
            kinds = self.history.structure().kinds
            if self._lock is not None:
                return kinds
            self.kinds_of = lambda: kinds
        return self.kinds_of()

    def _kind(self, point: int) -> Kind:
        kinds = self._kinds()
        if not 0 <= point < len(kinds):
            raise KeyError(f"no point has the handle {point}; the world has {len(kinds)}")
        return Kind(int(kinds[point]))

    def _on_closed(self) -> None:
        try:
            self.compactor.start()
        except OSError as error:
            _LOG.warning("%s: compaction could not be started: %s", self.directory, error)

    def _check_known(self, position: Position) -> None:
        end = 0
        for segment in self.history.segments():
            if segment.epoch <= position.epoch:
                end = segment.last
        newest = self.position
        if position.sequence > end and position.epoch < newest.epoch:
            raise LookupError(
                f"position {position} never became durable: epoch {position.epoch} ended at {end}."
                f" Take a fresh snapshot"
            )
        if position.epoch > max(newest.epoch, self.epoch):
            raise LookupError(f"position {position} is ahead of the record at {newest}")

    def _check_reach(self, after: int) -> None:
        segments = self.history.segments()
        if segments and segments[0].first > after + 1:
            raise LookupError(
                f"{self.directory}: the log begins with change {segments[0].first}; change"
                f" {after + 1} is no longer kept (retention)"
            )


def restore(
    record: Store, *, compiled: bool | None = None, remembered_rows: int = REMEMBERED_ROWS
) -> World:
    """The world of a record, as it was when the last durable change had been applied.

    If the record is open for writing, the world is in its new epoch, and knows enough of the
    past to recognise what sources send again.

    Args:
        remembered_rows: of sources that number nothing, so many samples at least, at 16 bytes each,
            and 48 once one of them repeats itself.

    Raises:
        CorruptRecordError: changes do not follow from each other, though each is whole.
    """
    with without_collecting():
        try:
            world = _restored(record, compiled, remembered_rows)
        except ValueError as error:
            raise CorruptRecordError(
                f"{record.directory}: what stands in the log does not follow from what stands"
                f" before it ({error}). Restore it from a backup"
            ) from error
    record.kinds_of = lambda: world.kinds
    return world


def _restored(record: Store, compiled: bool | None, remembered_rows: int) -> World:
    world: World | None = None
    for part in record.replay():
        if isinstance(part, Snapshot):
            world = World.from_snapshot(part, compiled=compiled)
            world.state.fingerprints.rows_max = remembered_rows
            for _, frame in record.recent(part.position, remembered_rows):
                world.remember(frame)
            continue
        if world is None:
            world = World(record.world, compiled=compiled)
            world.state.fingerprints.rows_max = remembered_rows
        world.replay(part)
    if world is None:
        world = World(record.world, epoch=record.epoch or 1, compiled=compiled)
        world.state.fingerprints.rows_max = remembered_rows
        return world
    if record.epoch > world.epoch:
        world.begin_epoch(record.epoch)
    return world


def _unknown(directory: Path) -> str:
    parent = directory.parent
    others: list[str] = []
    if parent.is_dir():
        others = sorted(p.parent.name for p in parent.glob("*/record.json"))
    here = f"; {parent} has: {', '.join(others[:10])}" if others else ""
    return f"no world is kept in {directory}{here}"


__all__ = [
    "CorruptRecordError",
    "Store",
    "UnknownWorldError",
    "WorldInUseError",
    "open_record",
    "restore",
]
