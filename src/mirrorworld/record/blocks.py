"""Blocks of samples: many frames as compressed columns, and back, bit for bit.

A block's numbers are differences from what its points had before, so a writer and a reader
each carry a `PointState` along a chain of blocks. A chain begins with an **anchor**, a block
before which the state is forgotten. Knows no file; docs/record-format.md has the layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from mirrorworld.record.codec import CODEC
from mirrorworld.record.container import (
    ROW_COLUMNS,
    Container,
    open_container,
    pack,
    steps_of,
    sums_of,
    unfold,
)
from mirrorworld.record.vectorised import MODE_UNSET, UNITS_NS, restore_cells
from mirrorworld.world.changes import Change, Origin, OriginKind, Position
from mirrorworld.world.frames import Frame

COMPRESSION_LEVEL: Final = 1


class PointState:
    """What the points of a chain had last: needed to write or read its next block."""

    def __init__(self) -> None:
        self.base_ns = 0
        self.rows = 0
        """Rows since the anchor."""
        self.span_ns: tuple[int, int] = (0, 0)
        """Earliest and latest source time of the block written last."""
        self.last = np.zeros(0, np.int64)
        self.mode = np.zeros(0, np.uint8)
        self.quality = np.zeros(0, np.uint32)
        self.time = np.zeros(0, np.int64)

    def reset(self, base_ns: int) -> None:
        """Forgets everything, as an anchor says."""
        self.base_ns = base_ns
        self.rows = 0
        self.last[:] = 0
        self.mode[:] = MODE_UNSET
        self.quality[:] = 0
        self.time[:] = base_ns

    def hold(self, n: int) -> None:
        """Makes room for handles below `n`."""
        have = len(self.last)
        if n <= have:
            return
        more = max(n, have + have // 2, 1024) - have
        self.last = np.concatenate((self.last, np.zeros(more, np.int64)))
        self.mode = np.concatenate((self.mode, np.full(more, MODE_UNSET, np.uint8)))
        self.quality = np.concatenate((self.quality, np.zeros(more, np.uint32)))
        self.time = np.concatenate((self.time, np.full(more, self.base_ns, np.int64)))

    @property
    def points(self) -> int:
        """How many points the chain has seen."""
        return int(np.count_nonzero(self.mode != MODE_UNSET))


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The rows of a block, and the table of the changes that they came in."""

    point: NDArray[np.uint32]
    cell: NDArray[np.int64]
    """Heap cells count from the start of their own change's heap."""
    quality: NDArray[np.uint32]
    source_ns: NDArray[np.int64]
    heap: bytes
    epoch: int
    sequence: NDArray[np.int64]
    """From here on one entry for each change."""
    origin: NDArray[np.int64]
    source: NDArray[np.int64]
    incarnation: NDArray[np.int64]
    source_seq: NDArray[np.int64]
    received_ns: NDArray[np.int64]
    rows: NDArray[np.int64]
    heap_bytes: NDArray[np.int64]
    origins: tuple[Origin, ...]
    sources: tuple[str, ...]

    def changes(self) -> Iterator[Change]:
        """The changes, one by one; their frames share the block's memory."""
        row_ends = np.cumsum(self.rows)
        heap_ends = np.cumsum(self.heap_bytes)
        for i in range(len(self.rows)):
            end, heap_end = int(row_ends[i]), int(heap_ends[i])
            start, heap_start = end - int(self.rows[i]), heap_end - int(self.heap_bytes[i])
            yield Change(
                Frame(
                    self.point[start:end],
                    self.cell[start:end],
                    self.quality[start:end],
                    self.source_ns[start:end],
                    self.heap[heap_start:heap_end],
                ),
                self.origins[int(self.origin[i])],
                int(self.received_ns[i]),
                self.sources[int(self.source[i])],
                int(self.incarnation[i]),
                int(self.source_seq[i]),
                Position(self.epoch, int(self.sequence[i])),
            )


def encode(
    changes: Sequence[Change],
    state: PointState,
    *,
    is_anchor: bool,
    codec: Any = CODEC,
    compressor: zstandard.ZstdCompressor | None = None,
) -> bytes:
    """The payload of a block of changes whose bodies are frames; moves the state on, whose
    `span_ns` then has the earliest and the latest source time of the block."""
    compressor = compressor or zstandard.ZstdCompressor(level=COMPRESSION_LEVEL)
    frames: list[Frame] = [_frame(change) for change in changes]
    if len(frames) == 1:
        (only,) = frames
        point, cell, quality, time = only.point, only.cell, only.quality, only.source_ns
    else:
        point = np.concatenate([f.point for f in frames])
        cell = np.concatenate([f.cell for f in frames])
        quality = np.concatenate([f.quality for f in frames])
        time = np.concatenate([f.source_ns for f in frames])
    n = len(point)
    base_ns = int(time[0]) if n else 0
    state.span_ns = (int(time.min()), int(time.max())) if n else (0, 0)
    if is_anchor:
        state.reset(base_ns)
    state.hold(int(point.max()) + 1 if n else 0)
    point, cell = np.ascontiguousarray(point), np.ascontiguousarray(cell)

    moded, modes, exceptions, value = codec.settle(point, cell, state.last, state.mode)
    by_handle, by_value, by_quality, by_row, by_point = codec.residuals(
        point,
        value,
        quality,
        time,
        exceptions,
        base_ns,
        state.last,
        state.quality,
        state.time,
    )
    state.rows += n
    is_time_by_row = _is_by_row(by_row, by_point, codec)
    unit, by_time = codec.scale(by_row if is_time_by_row else by_point)

    origins: dict[Origin, int] = {}
    sources: dict[str, int] = {}
    table = np.array(
        [
            (
                change.position.sequence if change.position else 0,
                origins.setdefault(change.origin, len(origins)),
                sources.setdefault(change.source, len(sources)),
                change.incarnation,
                change.source_seq,
                change.received_ns,
                len(frame),
                len(frame.heap),
            )
            for change, frame in zip(changes, frames, strict=True)
        ],
        np.int64,
    ).T
    first = [int(value) for value in table[:, 0]]
    columns: list[NDArray[np.uint64]] = []
    columns += [steps_of(column, first[i], i == 0) for i, column in enumerate(table)]
    columns += [steps_of(moded.astype(np.int64), 0), modes.astype(np.uint64)]
    columns += [steps_of(exceptions, 0), cell[exceptions].view(np.uint64)]

    counts: list[list[int]] = []
    streams: list[Any] = []
    split = [codec.split(np.ascontiguousarray(column)) for column in columns]
    for i, (symbols, classes, planes) in enumerate(
        (by_handle, by_value, by_quality, by_time, *split)
    ):
        streams.append(symbols)
        if len(planes):
            counts.append([i, *(int(c) for c in classes)])
            streams.append(planes)
    heap = b"".join(frame.heap for frame in frames)
    if heap:
        streams.append(np.frombuffer(heap, np.uint8))
    packed, sizes = pack(streams, compressor)
    head = msgspec.msgpack.encode(
        (
            len(changes),
            n,
            base_ns,
            is_time_by_row,
            unit,
            first,
            [(int(o.kind), o.by) for o in origins],
            list(sources),
            len(moded),
            len(exceptions),
            len(heap),
            counts,
            sizes,
        )
    )
    return len(head).to_bytes(4, "little") + head + packed


def decode(
    payload: bytes | memoryview,
    state: PointState,
    *,
    epoch: int,
    is_anchor: bool,
    points_end: int | None = None,
    codec: Any = CODEC,
) -> Samples:
    """The samples of a block's payload; moves the state on.

    Args:
        points_end: one more than the highest handle, where it is known.

    Raises:
        ValueError: the payload is not one that `encode` made.
    """
    block = open_container(payload)
    n, n_changes = block.n_rows, block.n_changes
    if is_anchor:
        state.reset(block.base_ns)
    arguments = _prepare(block, state, points_end, codec)
    table = block.table(codec)
    point, cell, quality, time = codec.restore(
        *arguments, state.last, state.mode, state.quality, state.time
    )
    state.rows += n
    if int(table[6].sum()) != n or len(table[0]) != n_changes:
        raise ValueError("the table of changes does not add up to the rows of the block")
    sequence, origin, source, incarnation, source_seq, received_ns, rows, heap_bytes = table
    return Samples(
        point,
        cell,
        quality,
        time,
        block.heap(),
        epoch,
        sequence,
        origin,
        source,
        incarnation,
        source_seq,
        received_ns,
        rows,
        heap_bytes,
        tuple(Origin(OriginKind(kind), by) for kind, by in block.origins),
        tuple(block.sources),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Picked:
    """The samples of one point in a block, in order."""

    source_ns: NDArray[np.int64]
    cell: NDArray[np.int64]
    quality: NDArray[np.uint32]
    sequence: NDArray[np.int64]
    heap_start: NDArray[np.int64]
    """Where the heap of the change begins that each sample came in."""
    heap: Callable[[], bytes]


def handles(payload: bytes | memoryview, codec: Any = CODEC) -> NDArray[np.uint32]:
    """Only the handle column of a block."""
    block = open_container(payload)
    return codec.handles(block.column(0, block.n_rows, codec))


def pick(
    payload: bytes | memoryview,
    state: PointState,
    point: int,
    *,
    is_anchor: bool,
    codec: Any = CODEC,
) -> Picked:
    """The samples of one point. The state must have seen every earlier block of the chain that
    holds the point, and the chain's anchor; of other points it learns nothing.

    Raises:
        ValueError: the payload is not one that `encode` made.
    """
    block = open_container(payload)
    if is_anchor:
        state.reset(block.base_ns)
    state.hold(point + 1)
    n, n_changes = block.n_rows, block.n_changes
    moded = sums_of(block.column(12, block.lengths()[12], codec), 0)
    (at,) = np.nonzero(moded == point)
    if len(at):
        modes = block.column(13, len(moded), codec).astype(np.uint8)
        codec.remode(np.array([point], np.uint32), modes[at], state.last, state.mode)
    rows = np.flatnonzero(codec.handles(block.column(0, n, codec)) == point)

    if block.is_time_by_row:
        # Each time is the sum of all steps before it, so it is found without the point's past.
        unit = np.int64(UNITS_NS[block.unit])
        steps = block.column(3, n, codec)
        time = sums_of(steps, 0)[rows] * unit + np.int64(block.base_ns)
    else:
        steps = unfold(block.pick(3, rows, codec)) * np.int64(UNITS_NS[block.unit])
        time = np.cumsum(steps) + state.time[point]
    quality = np.bitwise_xor.accumulate(block.pick(2, rows, codec).astype(np.uint32))
    quality ^= state.quality[point]
    value = np.cumsum(unfold(block.pick(1, rows, codec))) + state.last[point]
    if len(rows):
        state.time[point], state.quality[point] = time[-1], quality[-1]
        state.last[point] = value[-1]
    cell = restore_cells(np.full(len(rows), state.mode[point]), value)
    n_exceptions = block.lengths()[14]
    if n_exceptions:
        exceptions = sums_of(block.column(14, n_exceptions, codec), 0)
        odd = np.isin(rows, exceptions)
        if odd.any():
            kept = block.column(15, n_exceptions, codec).view(np.int64)
            cell[odd] = kept[np.searchsorted(exceptions, rows[odd])]
    sequence = sums_of(block.column(4, n_changes, codec), block.first[0], 1)
    in_change = sums_of(block.column(10, n_changes, codec), block.first[6])
    heap_bytes = sums_of(block.column(11, n_changes, codec), block.first[7])
    change = np.searchsorted(np.cumsum(in_change), rows, side="right")
    heap_start = (np.cumsum(heap_bytes) - heap_bytes)[change]
    return Picked(time, cell, quality, sequence[change], heap_start, block.heap)


def advance(
    payload: bytes | memoryview,
    state: PointState,
    is_odd: NDArray[np.uint8],
    odd_cell: NDArray[np.int64],
    *,
    is_anchor: bool,
    points_end: int,
    codec: Any = CODEC,
) -> bool:
    """Moves the state on without giving the samples; see `vectorised.advance`."""
    block = open_container(payload)
    if is_anchor:
        state.reset(block.base_ns)
    arguments = _prepare(block, state, points_end, codec)
    state.rows += block.n_rows
    columns = (state.last, state.mode, state.quality, state.time)
    return bool(codec.advance(*arguments, *columns, is_odd, odd_cell))


def has_heap(payload: bytes | memoryview) -> bool:
    """Whether a block has values of variable size."""
    return open_container(payload).has_heap


def _prepare(
    block: Container, state: PointState, points_end: int | None, codec: Any
) -> tuple[Any, ...]:
    """Makes the state fit for a block's rows; the first arguments of `restore`."""
    n = block.n_rows
    if points_end is None:
        points_end = int(codec.handles(block.column(0, n, codec)).max()) + 1 if n else 0
    state.hold(points_end)
    n_modes, n_exceptions = block.lengths()[12], block.lengths()[14]
    if n_modes:
        moded = sums_of(block.column(12, n_modes, codec), 0).astype(np.uint32)
        modes = block.column(13, n_modes, codec).astype(np.uint8)
        codec.remode(moded, modes, state.last, state.mode)
    return (
        *(block.parts(i) for i in range(ROW_COLUMNS)),
        block.is_time_by_row,
        int(UNITS_NS[block.unit]),
        block.base_ns,
        sums_of(block.column(14, n_exceptions, codec), 0),
        block.column(15, n_exceptions, codec).view(np.int64),
    )


def _is_by_row(by_row: NDArray[np.int64], by_point: NDArray[np.int64], codec: Any) -> bool:
    """Whether times are better kept against the row before than against the point before."""
    if np.count_nonzero(by_row) * 8 <= len(by_row):
        return True
    return bool(codec.cost(by_row) <= codec.cost(by_point))


def _frame(change: Change) -> Frame:
    assert isinstance(change.body, Frame)
    return change.body
