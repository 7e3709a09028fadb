"""The container of a block of samples: its head, and its columns as compressed streams.

Streams are decompressed when they are asked for, so a reader of one column pays for one.
docs/record-format.md has the layout.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

SEPARATE_BYTES: Final = 2048
"""Streams from this size on are compressed each for itself; the others together."""

ROW_COLUMNS: Final = 4
CHANGE_COLUMNS: Final = 8


class _Own(threading.local):
    """What each thread has for itself: making a decompressor takes as long as using it does."""

    def __init__(self) -> None:
        self.expander = zstandard.ZstdDecompressor()


_own: Final = _Own()

_NO_COUNTS: Final = np.zeros(8, np.int64)
_NO_BYTES: Final = np.empty(0, np.uint8)


class _Head(msgspec.Struct, array_like=True):
    n_changes: int
    n_rows: int
    base_ns: int
    is_time_by_row: bool
    unit: int
    first: list[int]
    origins: list[tuple[int, str]]
    sources: list[str]
    n_modes: int
    n_exceptions: int
    n_heap: int
    counts: list[list[int]]
    sizes: list[int]


_HEAD = msgspec.msgpack.Decoder(_Head)


class Container:
    """An opened payload: streams are decompressed when they are asked for."""

    def __init__(self, head: _Head, packed: memoryview) -> None:
        self.n_changes, self.n_rows = head.n_changes, head.n_rows
        self.base_ns, self.is_time_by_row, self.unit = head.base_ns, head.is_time_by_row, head.unit
        self.first, self.origins, self.sources = head.first, head.origins, head.sources
        self.has_heap = head.n_heap > 0
        self._head = head
        self._counts = {entry[0]: np.array(entry[1:], np.int64) for entry in head.counts}
        self._packed = packed
        self._places: dict[tuple[int, bool], tuple[int, int, int]] = {}
        self._together: memoryview | None = None
        self._locate()

    def lengths(self) -> list[int]:
        """How many numbers each column has."""
        head = self._head
        return (
            [head.n_rows] * ROW_COLUMNS
            + [head.n_changes] * CHANGE_COLUMNS
            + [head.n_modes] * 2
            + [head.n_exceptions] * 2
        )

    @property
    def expanded_bytes(self) -> int:
        """How much memory all streams take; ValueError if one says less than nothing. For who
        reads blocks of others: no stream ever expands to more than it says here."""
        sizes = [raw for _, raw in self._streams()]
        if min(sizes, default=0) < 0 or any((c < 0).any() for c in self._counts.values()):
            raise ValueError("a stream of less than nothing")
        return sum(sizes)

    def _locate(self) -> None:
        """Where each stream lies: (start, stored, raw), start -1 - k for the k-th byte of the
        part that is compressed together."""
        at = together = 0
        sizes = iter(self._head.sizes)
        for key, raw in self._streams():
            if raw >= SEPARATE_BYTES:
                stored = next(sizes)
                self._places[key] = (at, stored, raw)
                at += stored
            else:
                self._places[key] = (-1 - together, raw, raw)
                together += raw
        self._together_place = (at, next(sizes), together)

    def _streams(self) -> Iterator[tuple[tuple[int, bool], int]]:
        for i, length in enumerate(self.lengths()):
            yield (i, False), length
            if i in self._counts:
                classes = self._counts[i]
                yield (i, True), int((classes * np.arange(1, 9)).sum())
        if self._head.n_heap:
            yield (-1, False), self._head.n_heap

    def stream(self, key: tuple[int, bool]) -> NDArray[np.uint8]:
        start, stored, raw = self._places[key]
        if start < 0:
            if self._together is None:
                at, size, total = self._together_place
                self._together = memoryview(_expand(self._packed[at : at + size], total))
            return np.frombuffer(self._together, np.uint8, raw, -1 - start)
        return np.frombuffer(_expand(self._packed[start : start + stored], raw), np.uint8)

    def column(self, i: int, length: int, codec: Any) -> NDArray[np.uint64]:
        symbols = self.stream((i, False))
        if i not in self._counts:
            return symbols.astype(np.uint64)
        return codec.join(symbols, self._counts[i], self.stream((i, True)))

    def parts(self, i: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint8]]:
        """A column as `split` gave it."""
        symbols = self.stream((i, False))
        if i not in self._counts:
            return symbols, _NO_COUNTS, _NO_BYTES
        return symbols, self._counts[i], self.stream((i, True))

    def table(self, codec: Any) -> list[NDArray[np.int64]]:
        """The columns of the table of changes."""
        return [
            sums_of(self.column(ROW_COLUMNS + i, self.n_changes, codec), self.first[i], i == 0)
            for i in range(CHANGE_COLUMNS)
        ]

    def pick(self, i: int, rows: NDArray[np.int64], codec: Any) -> NDArray[np.uint64]:
        symbols = self.stream((i, False))
        if i not in self._counts:
            return symbols[rows].astype(np.uint64)
        return codec.pick(symbols, self._counts[i], self.stream((i, True)), rows)

    def heap(self) -> bytes:
        return self.stream((-1, False)).tobytes() if self._head.n_heap else b""


def open_container(payload: bytes | memoryview) -> Container:
    """The container of a payload; ValueError if it is none."""
    view = memoryview(payload)
    size = int.from_bytes(view[:4], "little")
    try:
        head = _HEAD.decode(view[4 : 4 + size])
        return Container(head, view[4 + size :])
    except (msgspec.MsgspecError, StopIteration) as error:
        raise ValueError(f"not a block of samples: {error}") from error


def pack(streams: list[Any], compressor: zstandard.ZstdCompressor) -> tuple[bytes, list[int]]:
    """Streams as bytes, and their stored sizes: the large ones, then the others as one."""
    parts: list[bytes] = []
    sizes: list[int] = []
    together: list[bytes] = []
    for stream in streams:
        if len(stream) >= SEPARATE_BYTES:
            part = _shrink(stream, compressor)
            parts.append(part)
            sizes.append(len(part))
        else:
            together.append(stream.tobytes())
    part = _shrink(b"".join(together), compressor)
    parts.append(part)
    sizes.append(len(part))
    return b"".join(parts), sizes


def _shrink(data: Any, compressor: zstandard.ZstdCompressor) -> bytes:
    raw = bytes(data) if len(data) < 64 else data
    if len(raw) < 64:
        return raw
    packed = compressor.compress(raw)
    return packed if len(packed) < len(raw) else bytes(raw)


def _expand(data: memoryview, raw: int) -> bytes | memoryview:
    """A stream as long as it was before is not compressed."""
    if len(data) == raw:
        return data
    try:
        # `max_output_size` bounds nothing where a frame says its own size.
        if zstandard.frame_content_size(data) not in (-1, raw):
            raise ValueError("a stream of the block is not as long as the block says")
        return _own.expander.decompress(data, max_output_size=raw)
    except zstandard.ZstdError as error:
        raise ValueError(f"a stream of the block does not decompress: {error}") from error


def steps_of(column: NDArray[np.int64], start: int, expected: int = 0) -> NDArray[np.uint64]:
    """Differences to the number before, less what is expected; the first one's to `start`."""
    steps = np.diff(column, prepend=np.int64(start - expected)) - np.int64(expected)
    return ((steps << 1) ^ (steps >> 63)).view(np.uint64)


def sums_of(column: NDArray[np.uint64], start: int, expected: int = 0) -> NDArray[np.int64]:
    """The numbers whose differences `steps_of` took."""
    return np.cumsum(unfold(column) + np.int64(expected)) + np.int64(start - expected)


def unfold(column: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Signed numbers of zigzag ones."""
    return (column >> np.uint64(1)).view(np.int64) ^ -(column & np.uint64(1)).view(np.int64)
