"""The past of a record: ranges of one point, and all points as of a position or a time.

What is compacted is read from Parquet, the rest from the log; together they are every sample
once. Nothing here writes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.record.arrow import pa
from mirrorworld.record.blocks import Samples
from mirrorworld.record.codec import CODEC
from mirrorworld.record.keyframes import Keyframes
from mirrorworld.record.log import Log
from mirrorworld.record.parquet import STEPS_NS, Compacted, Rollup, merge_rollups
from mirrorworld.record.rollups import roll_up
from mirrorworld.record.segments import Segment
from mirrorworld.record.tail import (
    NEVER,
    AsOf,
    Tail,
    apply_until,
    fresh,
    heap_rows,
    heap_starts,
    samples,
    with_digests,
)
from mirrorworld.world.changes import Change, Edits, Position
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Series
from mirrorworld.world.state import Columns
from mirrorworld.world.structure import Structure
from mirrorworld.world.world import INCARNATIONS_KEPT, Snapshot, World

MINMAX_RATIO: Final = 4
"""How many candidates MinMaxLTTB keeps for each sample that is asked for."""


class History:
    """Reads what a log and its compacted files hold."""

    def __init__(self, world: str, log: Log, keyframes: Keyframes, compacted: Compacted) -> None:
        self._world = world
        self._log = log
        self._keyframes = keyframes
        self._compacted = compacted
        self._tail = Tail()

    def segments(self) -> list[Segment]:
        """The log's segments as far as they are kept: a retention may have dropped the first."""
        self._log.forget_below(self._compacted.manifest().first_segment)
        return self._log.view()

    # --- one point ---

    def read(
        self, point: int, kind: Kind, start_ns: int, end_ns: int, max_rows: int | None
    ) -> Series:
        """See Record.read."""
        series = self._read(point, kind, start_ns, end_ns)
        if max_rows is None or len(series.source_ns) <= max_rows:
            return series
        return downsample(series, kind, max_rows)

    def _read(self, point: int, kind: Kind, start_ns: int, end_ns: int) -> Series:
        for _ in range(3):
            manifest = self._compacted.manifest()
            try:
                old = self._compacted.read(manifest, point, kind, start_ns, end_ns)
                segments = [s for s in self.segments() if s.number > manifest.through]
                new = self._tail.read(segments, point, start_ns, end_ns, kind.is_heap)
            except FileNotFoundError:
                # A compaction or a retention has just replaced what was listed.
                if self._compacted.manifest() == manifest:
                    raise
                continue
            gone = manifest.raw_from_ns if start_ns < manifest.raw_from_ns else None
            return ordered(joined(old, new), gone)
        raise OSError(f"{self._log.directory}: the files change faster than they can be read")

    def rollup(self, point: int, kind: Kind, step: str, start_ns: int, end_ns: int) -> Rollup:
        """Roll-ups of a point for the steps that begin in a range.

        Raises:
            ValueError: there is no such step, or the point is no number.
        """
        if step not in STEPS_NS:
            raise ValueError(f"no roll-ups by '{step}'; there are {', '.join(STEPS_NS)}")
        if kind.is_heap:
            raise ValueError(f"point {point} is of kind {kind.name}; only numbers have roll-ups")
        step_ns = STEPS_NS[step]
        start_ns, end_ns = -(-start_ns // step_ns) * step_ns, -(-end_ns // step_ns) * step_ns
        manifest = self._compacted.manifest()
        table = self._compacted.rollup(manifest, point, step, start_ns, end_ns)
        segments = [s for s in self.segments() if s.number > manifest.through]
        tail = ordered(self._tail.read(segments, point, start_ns, end_ns, False))
        fresh_part = roll_up(point, kind, tail, step_ns)
        return merge_rollups(pa.concat_tables([table, fresh_part]))

    # --- all points ---

    def as_of_time(self, source_ns: int, kinds: NDArray[np.uint8]) -> AsOf:
        """See Record.as_of_time."""
        segments = self.segments()
        columns = fresh(len(kinds))
        after = 0
        for position in reversed(self._keyframes.positions()):
            # Every sample before it is at most as late as its point's: all are known by then.
            if self._keyframes.source_ns_max(position) <= source_ns:
                cell, quality, at_ns, changed = self._keyframes.columns(
                    position, ("cell", "quality", "source_ns", "changed")
                )
                n = len(cell)
                columns.cell[:n] = cell
                columns.source_ns[:n] = np.where(changed >= 0, at_ns, NEVER)
                columns.quality[:n] = quality
                after = position.sequence
                break
        if segments and segments[0].first > after + 1:
            manifest = self._compacted.manifest()
            columns = fresh(len(kinds))
            self._compacted.apply_latest(manifest, source_ns, kinds, columns)
            segments = [s for s in segments if s.number > manifest.through]
            after = 0
        apply_until(segments, after, source_ns, kinds, columns)
        columns.source_ns[columns.source_ns == NEVER] = 0
        return columns

    def as_of(self, position: Position) -> Snapshot:
        """See Record.as_of.

        Raises:
            LookupError: the log does not reach back that far.
        """
        snapshot = self._keyframes.latest(before=position.sequence)
        start = snapshot.position.sequence if snapshot is not None else 0
        segments = self.segments()
        if segments and segments[0].first > start + 1:
            raise LookupError(
                f"the world at {position} is no longer kept: the log begins with change"
                f" {segments[0].first} (retention); as of a source time it can still be asked for"
            )
        segments = [s for s in segments if s.last > start and s.first <= position.sequence]
        others = list(self._others(start, position.sequence))
        if snapshot is not None and not others:
            return _moved_on(snapshot, segments, position)
        world = World.from_snapshot(snapshot) if snapshot is not None else World(self._world)
        for change in self._log.changes(start):
            if change.position is None or change.position.sequence > position.sequence:
                break
            world.replay(change)
        return dataclasses.replace(world.snapshot(), position=position)

    def structure(self) -> Structure:
        """Types, twins and points as the last durable change left them."""
        snapshot = self._keyframes.latest()
        if snapshot is None:
            world = World(self._world)
            start = 0
        else:
            world = World.from_snapshot(snapshot)
            start = snapshot.position.sequence
        for change in self._log.changes(start, frames=False):
            if isinstance(change.body, Edits):
                world.replay(change)
        return world.structure

    def _others(self, after: int, until: int) -> Iterator[Change]:
        for change in self._log.changes(after, frames=False):
            if change.position is not None and change.position.sequence > until:
                return
            yield change


def joined(old: Series, new: Series) -> Series:
    """The samples of both."""
    if not len(new.source_ns):
        return old
    if not len(old.source_ns):
        return new
    moved = new.cell + (len(old.heap) << 32) if new.heap else new.cell
    return Series(
        np.concatenate((old.source_ns, new.source_ns)),
        np.concatenate((old.cell, moved)),
        np.concatenate((old.quality, new.quality)),
        np.concatenate((old.sequence, new.sequence)),
        old.heap + new.heap,
    )


def ordered(series: Series, gone_before_ns: int | None = None) -> Series:
    """By source time and, where times are equal, by sequence."""
    times, sequences = series.source_ns, series.sequence
    n = len(times)
    rising = (times[1:] > times[:-1]) | (
        (times[1:] == times[:-1]) & (sequences[1:] >= sequences[:-1])
    )
    gone = gone_before_ns if gone_before_ns is not None else series.kept_from_ns
    if n < 2 or rising.all():
        return dataclasses.replace(series, kept_from_ns=gone)
    order = np.lexsort((sequences, times))
    return Series(
        times[order], series.cell[order], series.quality[order], sequences[order], series.heap, gone
    )


def downsample(series: Series, kind: Kind, max_rows: int) -> Series:
    """At most `max_rows` samples of a longer series, its extremes and its ends among them.

    Numbers by MinMaxLTTB (Van Der Donckt et al., arXiv:2305.00332), to which the smallest and
    the largest are added; values without an order by taking the first of each stretch.
    """
    if max_rows < 8:
        raise ValueError(f"{max_rows} samples cannot show a series; ask for 8 or more")
    n = len(series.source_ns)
    value: NDArray[Any] = series.cell
    if kind is Kind.FLOAT:
        value = series.cell.view(np.float64)
    if kind.is_heap or not np.isfinite(value).any():
        rows = np.linspace(0, n - 1, max_rows).astype(np.int64)
    else:
        from tsdownsample import MinMaxLTTBDownsampler

        # What is no number is left out; a gap shows as such, since its neighbours are there.
        finite = np.flatnonzero(np.isfinite(value))
        extremes = finite[[int(np.argmin(value[finite])), int(np.argmax(value[finite]))]]
        holes = np.flatnonzero(~np.isfinite(value))[: max_rows // 4]
        room = max_rows - 4 - len(holes)
        chosen = finite
        if len(finite) > room:
            picked = MinMaxLTTBDownsampler().downsample(
                np.ascontiguousarray(series.source_ns[finite]),
                np.ascontiguousarray(value[finite], np.float64),
                n_out=room,
                minmax_ratio=MINMAX_RATIO,
            )
            chosen = finite[picked.astype(np.int64)]
        rows = np.unique(np.concatenate((chosen, extremes, holes, [0, n - 1])))
    return Series(
        series.source_ns[rows],
        series.cell[rows],
        series.quality[rows],
        series.sequence[rows],
        series.heap,
        series.kept_from_ns,
    )


def _moved_on(snapshot: Snapshot, segments: list[Segment], position: Position) -> Snapshot:
    """A snapshot moved on by samples alone, without building the world around it."""
    kinds = np.array([int(t.kind) for t in snapshot.point_types], np.uint8)[snapshot.point_type]
    columns = snapshot.columns.each(np.copy)
    heap = dict(snapshot.heap)
    origins = {origin: i for i, origin in enumerate(snapshot.origins)}
    sources: dict[str, dict[int, int]] = {}
    for source, incarnation, high in snapshot.sources:
        sources.setdefault(source, {})[incarnation] = high
    after = snapshot.position.sequence
    for _, block in samples(segments, after=after, until=position.sequence):
        first, end = np.searchsorted(block.sequence, (after + 1, position.sequence + 1))
        mapped = np.array([origins.setdefault(o, len(origins)) for o in block.origins], np.uint16)
        codes = mapped[block.origin]
        _note_sources(block, range(first, end), sources)
        cell = block.cell
        if block.heap:
            cell = with_digests(block, kinds)
            _keep_heap(block, int(first), int(end), kinds, columns, heap)
        CODEC.known(
            block.point,
            cell,
            block.quality,
            block.source_ns,
            block.rows,
            block.received_ns,
            block.sequence,
            codes,
            first,
            end,
            *columns,
        )
    return dataclasses.replace(
        snapshot,
        position=position,
        **columns._asdict(),
        heap=heap,
        origins=tuple(origins),
        sources=tuple((s, i, high) for s, seen in sources.items() for i, high in seen.items()),
    )


def _note_sources(block: Samples, changes: range, sources: dict[str, dict[int, int]]) -> None:
    """How far each numbered source has come, as the world keeps it."""
    for i in changes:
        if block.source_seq[i] >= 0:
            seen = sources.setdefault(block.sources[int(block.source[i])], {})
            seen[int(block.incarnation[i])] = int(block.source_seq[i])
            if len(seen) > INCARNATIONS_KEPT:
                del seen[next(iter(seen))]


def _keep_heap(
    block: Samples,
    first: int,
    end: int,
    kinds: NDArray[np.uint8],
    columns: Columns,
    heap: dict[int, bytes],
) -> None:
    """Keeps the payloads that are the latest of their points; the columns follow after."""
    starts = heap_starts(block)
    of_change = np.repeat(np.arange(len(block.rows)), block.rows)
    best: dict[int, int] = {}
    for row in heap_rows(block, kinds).tolist():
        change = int(of_change[row])
        if not first <= change < end:
            continue
        handle = int(block.point[row])
        arrived = min(int(block.source_ns[row]), int(block.received_ns[change]))
        had = best.get(handle)
        if had is None:
            had = min(int(columns.source_ns[handle]), int(columns.received_ns[handle]))
        if arrived >= had:
            best[handle] = arrived
            start = int(block.cell[row] >> 32) + int(starts[row])
            heap[handle] = block.heap[start : start + int(block.cell[row] & 0xFFFF_FFFF)]
