"""The past of a branch: its parent's until the fork, its own since. It implements what the kernel
asks of a record that is only read."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from mirrorworld.record.history import History, downsample, joined, ordered
from mirrorworld.record.log import Log
from mirrorworld.record.tail import NEVER, AsOf, apply_until, fresh
from mirrorworld.world.changes import Change, Position
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Record, Series
from mirrorworld.world.world import Snapshot, World


class Own(Protocol):
    """What is read of a branch here."""

    @property
    def world(self) -> World: ...
    @property
    def base(self) -> World: ...
    @property
    def log(self) -> Log: ...
    @property
    def history(self) -> History: ...
    @property
    def at_ns(self) -> int: ...


class BranchRecord:
    """The record of a branch, for reading."""

    def __init__(self, own: Own, parent: Callable[[], Record]) -> None:
        self._own, self._parent = own, parent

    @property
    def first_ns(self) -> int:
        """Earliest source time of a sample that is kept; 0: none, or not known."""
        return int(getattr(self._parent(), "first_ns", 0))

    @property
    def epoch(self) -> int:
        """0: it is only read."""
        return 0

    @property
    def wants_keyframe(self) -> bool:
        """Never: the fork is where it is read from."""
        return False

    def append(self, change: Change) -> None:
        """Not here: a branch is changed through `Branch.take`."""
        raise PermissionError("the past of a branch is only read")

    def commit(self) -> Position:
        """Nothing waits here."""
        return self._own.log.durable

    def keyframe(self, snapshot: Snapshot) -> None:
        """None is kept."""

    def close(self) -> None:
        """The branch closes its log itself."""

    def replay(self) -> Iterator[Snapshot | Change]:
        """The world at the fork, then what was changed since."""
        yield self._own.base.snapshot()
        yield from self._own.log.changes(self._fork)

    @property
    def _fork(self) -> int:
        return self._own.base.position.sequence

    def read(self, point: int, start_ns: int, end_ns: int, max_rows: int | None = None) -> Series:
        """See Record."""
        base = self._own.base
        series = _NOTHING
        if point < base.n_points:
            series = self._parent().read(point, start_ns, end_ns)
            known = series.sequence <= self._fork
            if not known.all():
                series = dataclasses.replace(
                    series,
                    source_ns=series.source_ns[known],
                    cell=series.cell[known],
                    quality=series.quality[known],
                    sequence=series.sequence[known],
                )
        world = self._own.world
        if not 0 <= point < world.n_points:
            raise KeyError(f"no point has the handle {point}; the branch has {world.n_points}")
        kind = Kind(int(world.kinds[point]))
        kept_from = series.kept_from_ns
        own = self._own.history.read(point, kind, start_ns, end_ns, None)
        series = ordered(joined(series, own), kept_from)
        if max_rows is None or len(series.source_ns) <= max_rows:
            return series
        return downsample(series, kind, max_rows)

    def as_of(self, position: Position) -> Snapshot:
        """See Record."""
        if position.sequence <= self._fork:
            return self._parent().as_of(position)
        then = World.from_snapshot(self._own.base.snapshot())
        for change in self._own.log.changes(self._fork):
            if change.position is None or change.position.sequence > position.sequence:
                break
            then.replay(change)
        return dataclasses.replace(then.snapshot(), position=position)

    def as_of_time(self, source_ns: int) -> AsOf:
        """See Record."""
        world, base = self._own.world, self._own.base
        columns = fresh(world.n_points)
        n = base.n_points
        if source_ns >= self._own.at_ns:
            now = base.read(np.arange(n, dtype=np.uint32))
            columns.cell[:n], columns.quality[:n] = now.cell, now.quality
            columns.source_ns[:n] = np.where(now.changed >= 0, now.source_ns, NEVER)
        else:
            cell, at_ns, quality = self._parent().as_of_time(source_ns)
            n = min(n, len(cell))
            columns.cell[:n], columns.quality[:n] = cell[:n], quality[:n]
            columns.source_ns[:n] = np.where(at_ns[:n] == 0, NEVER, at_ns[:n])
        kinds = world.kinds.copy()
        apply_until(self._own.log.view(), self._fork, source_ns, kinds, columns)
        columns.source_ns[columns.source_ns == NEVER] = 0
        return columns

    def changes(
        self, after: Position, limit: int = 10_000, *, frames: bool = True
    ) -> Iterator[Change]:
        """See Record."""
        fork = self._fork
        yield from itertools.islice(self._changes(after, fork, limit, frames=frames), limit)

    def _changes(self, after: Position, fork: int, limit: int, *, frames: bool) -> Iterator[Change]:
        if after.sequence < fork:
            for change in self._parent().changes(after, limit, frames=frames):
                if change.position is not None and change.position.sequence > fork:
                    break
                yield change
        yield from self._own.log.changes(max(after.sequence, fork), frames=frames)


_NOTHING = Series(
    np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint32), np.empty(0, np.int64)
)
