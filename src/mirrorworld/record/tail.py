"""Reading samples out of the log itself: what is not compacted yet, and the world as it was.

A block's values depend on the blocks before it in its chain, but a point's only on those that
hold the point. So one point is read without decoding the others, and blocks without it are
passed over; which they are is remembered.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mirrorworld.record import blocks
from mirrorworld.record.codec import CODEC
from mirrorworld.record.log import read_samples
from mirrorworld.record.segments import (
    BlockKind,
    BlockRef,
    Segment,
    corrupt,
    read_payload,
)
from mirrorworld.record.vectorised import restore_cells
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Series
from mirrorworld.world.quality import BAD_WAITING

PRESENCE_BYTES: Final = 32 << 20
"""How much is remembered of which points are in which blocks."""

NEVER: Final = -(1 << 63)


class AsOf(NamedTuple):
    """What was true at a time, by handle. For points of variable size the cell is the hash of
    the content that the world uses too."""

    cell: NDArray[np.int64]
    source_ns: NDArray[np.int64]
    quality: NDArray[np.uint32]


class Tail:
    """Reads points out of segments."""

    def __init__(self) -> None:
        self._presence: OrderedDict[tuple[int, int], NDArray[np.uint8]] = OrderedDict()
        self._presence_bytes = 0
        self._lock = threading.Lock()

    def read(
        self, segments: Iterable[Segment], point: int, start_ns: int, end_ns: int, is_heap: bool
    ) -> Series:
        """Samples of a point with start <= source time < end, in order of sequence."""
        parts: list[blocks.Picked] = []
        for segment in segments:
            for chain in chains(segment.blocks):
                wanted = [
                    i
                    for i, ref in enumerate(chain)
                    if ref.source_ns_min < end_ns
                    and ref.source_ns_max >= start_ns
                    and self._has(segment, ref, point)
                ]
                if wanted:
                    parts += self._read_chain(segment, chain[: wanted[-1] + 1], point)
        return _series(parts, start_ns, end_ns, is_heap)

    def _read_chain(
        self, segment: Segment, chain: list[BlockRef], point: int
    ) -> Iterator[blocks.Picked]:
        state = blocks.PointState()
        for ref in chain:
            if ref.is_anchor or self._has(segment, ref, point):
                payload = read_payload(segment.path, ref)
                try:
                    yield blocks.pick(payload, state, point, is_anchor=ref.is_anchor)
                except ValueError as error:
                    raise corrupt(
                        segment.path, ref.offset, ref.first, ref.last, str(error)
                    ) from error

    def _has(self, segment: Segment, ref: BlockRef, point: int) -> bool:
        """Whether a point has samples in a block."""
        if point >= ref.points_end:
            return False
        key = (segment.number, ref.offset)
        with self._lock:
            bits = self._presence.get(key)
            if bits is not None:
                self._presence.move_to_end(key)
        if bits is None:
            handles = blocks.handles(read_payload(segment.path, ref))
            present = np.zeros(ref.points_end, bool)
            present[handles] = True
            bits = np.packbits(present)
            with self._lock:
                self._presence[key] = bits
                self._presence_bytes += len(bits)
                while self._presence_bytes > PRESENCE_BYTES:
                    self._presence_bytes -= len(self._presence.popitem(last=False)[1])
        return bool(bits[point >> 3] >> (7 - (point & 7)) & 1)


def chains(refs: list[BlockRef]) -> Iterator[list[BlockRef]]:
    """The blocks of samples, chain by chain."""
    chain: list[BlockRef] = []
    for ref in refs:
        if ref.kind != BlockKind.SAMPLES:
            continue
        if ref.is_anchor and chain:
            yield chain
            chain = []
        chain.append(ref)
    if chain:
        yield chain


def samples(
    segments: Iterable[Segment],
    *,
    after: int = -1,
    until: int | None = None,
    wants: Callable[[BlockRef], bool] = lambda ref: True,
) -> Iterator[tuple[BlockRef, blocks.Samples]]:
    """Whole blocks of samples with changes after a sequence and not after another.

    Of each chain only the blocks up to the last one that is wanted are decoded.
    """
    for segment in segments:
        if segment.last <= after or (until is not None and segment.first > until):
            continue
        for chain in chains(segment.blocks):
            wanted = [
                i
                for i, ref in enumerate(chain)
                if ref.last > after and (until is None or ref.first <= until) and wants(ref)
            ]
            if not wanted:
                continue
            state = blocks.PointState()
            chosen = set(wanted)
            for i, ref in enumerate(chain[: wanted[-1] + 1]):
                block = read_samples(segment, ref, state)
                if i in chosen:
                    yield ref, block


def apply_until(
    segments: Iterable[Segment],
    after: int,
    limit_ns: int,
    kinds: NDArray[np.uint8],
    columns: AsOf,
) -> None:
    """Moves columns on by all samples with a sequence above `after` that are not later than a
    time; samples before `after` may be applied again.

    Where the times of a chain's points only rise, the state after its blocks is all that is
    needed, and no row is looked at on its own.
    """
    for segment in segments:
        if segment.last <= after:
            continue
        for chain in chains(segment.blocks):
            wanted = [
                i
                for i, ref in enumerate(chain)
                if ref.last > after and ref.rows and ref.source_ns_min <= limit_ns
            ]
            if wanted:
                chosen = chain[: wanted[-1] + 1]
                if not _apply_rising(segment, chosen, limit_ns, kinds, columns):
                    state = blocks.PointState()
                    for ref in chosen:
                        apply_latest(read_samples(segment, ref, state), columns, limit_ns, kinds)


def _apply_rising(
    segment: Segment,
    chain: list[BlockRef],
    limit_ns: int,
    kinds: NDArray[np.uint8],
    columns: AsOf,
) -> bool:
    """False if some point's times went back: then the chain has to be read row by row."""
    state = blocks.PointState()
    n = max(len(kinds), *(ref.points_end for ref in chain))
    is_odd, odd_cell = np.full(n, 2, np.uint8), np.empty(n, np.int64)
    for ref in chain:
        payload = read_payload(segment.path, ref)
        is_whole = ref.source_ns_max <= limit_ns and not blocks.has_heap(payload)
        if not is_whole:
            _take_over(state, is_odd, odd_cell, columns)
            is_odd[:] = 2
        if not is_whole and ref.source_ns_min <= limit_ns:
            apply_latest(read_samples(segment, ref, state), columns, limit_ns, kinds)
            continue
        try:
            is_rising = blocks.advance(
                payload,
                state,
                is_odd,
                odd_cell,
                is_anchor=ref.is_anchor,
                points_end=ref.points_end,
            )
        except ValueError as error:
            raise corrupt(segment.path, ref.offset, ref.first, ref.last, str(error)) from error
        if not is_whole:
            is_odd[:] = 2
        elif not is_rising:
            return False
    _take_over(state, is_odd, odd_cell, columns)
    return True


def _take_over(
    state: blocks.PointState,
    is_odd: NDArray[np.uint8],
    odd_cell: NDArray[np.int64],
    columns: AsOf,
) -> None:
    """Puts each point's last sample into the columns where it is not older."""
    n = min(len(columns.cell), len(state.last))
    newer = (is_odd[:n] != 2) & (state.time[:n] >= columns.source_ns[:n])
    cell = np.where(is_odd[:n] == 1, odd_cell[:n], restore_cells(state.mode[:n], state.last[:n]))
    np.copyto(columns.cell[:n], cell, where=newer)
    np.copyto(columns.source_ns[:n], state.time[:n], where=newer)
    np.copyto(columns.quality[:n], state.quality[:n], where=newer)


def apply_latest(
    block: blocks.Samples,
    columns: AsOf,
    limit_ns: int,
    kinds: NDArray[np.uint8],
    rows: slice = slice(None),
) -> None:
    """Moves columns on by the samples of a block that are not later than a time."""
    cell = block.cell
    if block.heap:
        cell = with_digests(block, kinds)
    CODEC.latest(
        block.point[rows],
        cell[rows],
        block.quality[rows],
        block.source_ns[rows],
        limit_ns,
        columns.cell,
        columns.source_ns,
        columns.quality,
    )


def fresh(n_points: int) -> AsOf:
    """Columns of points without a sample, before anything is applied to them."""
    return AsOf(
        np.zeros(n_points, np.int64),
        np.full(n_points, NEVER, np.int64),
        np.full(n_points, BAD_WAITING, np.uint32),
    )


def heap_rows(block: blocks.Samples, kinds: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The rows of a block whose points are of variable size."""
    known = block.point < len(kinds)
    return np.flatnonzero(known & (kinds[np.where(known, block.point, 0)] >= Kind.TEXT))


def heap_starts(block: blocks.Samples) -> NDArray[np.int64]:
    """For each row, where its change's heap begins in the block's."""
    starts = np.cumsum(block.heap_bytes) - block.heap_bytes
    return np.repeat(starts, block.rows)


def with_digests(block: blocks.Samples, kinds: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Cells of a block, with a hash of the content for points of variable size."""
    cell = block.cell.copy()
    starts = heap_starts(block)
    for row in heap_rows(block, kinds).tolist():
        start, length = (cell[row] >> 32) + starts[row], cell[row] & 0xFFFF_FFFF
        content = block.heap[int(start) : int(start + length)]
        digest = hashlib.blake2b(content, digest_size=8).digest()
        cell[row] = int.from_bytes(digest, "little", signed=True)
    return cell


def row_sequences(block: blocks.Samples) -> NDArray[np.int64]:
    """For each row, the sequence of its change."""
    return np.repeat(block.sequence, block.rows)


def _series(parts: list[blocks.Picked], start_ns: int, end_ns: int, is_heap: bool) -> Series:
    times, cells, qualities, sequences = [], [], [], []
    heap = bytearray()
    for part in parts:
        inside = (part.source_ns >= start_ns) & (part.source_ns < end_ns)
        if not inside.any():
            continue
        cell = part.cell[inside]
        if is_heap:
            content = part.heap()
            starts = part.heap_start[inside]
            for row in range(len(cell)):
                start, length = (
                    int(cell[row] >> 32) + int(starts[row]),
                    int(cell[row] & 0xFFFF_FFFF),
                )
                cell[row] = len(heap) << 32 | length
                heap += content[start : start + length]
        times.append(part.source_ns[inside])
        cells.append(cell)
        qualities.append(part.quality[inside])
        sequences.append(part.sequence[inside])
    if not times:
        nothing = np.empty(0, np.int64)
        return Series(nothing, nothing, np.empty(0, np.uint32), nothing)
    return Series(
        np.concatenate(times),
        np.concatenate(cells),
        np.concatenate(qualities),
        np.concatenate(sequences),
        bytes(heap),
    )
