"""Frames: samples as columns. No Python object per sample, ever.

A sample is (point handle, cell, quality, source time). The cell is 8 bytes: the bits of a
float64, an int64, a bool (0/1), an enum code, or for kinds of variable size
`offset << 32 | length` into the frame's heap. Point handles are small integers that a world
gives to its points; `Sink.handles` and `World.handles` translate names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirrorworld.world.model import Kind

Handles = NDArray[np.uint32]
Cells = NDArray[np.int64]
Qualities = NDArray[np.uint32]
Times = NDArray[np.int64]

SampleValue = float | int | bool | str | bytes | NDArray[np.generic]

ARRAY_DTYPES: Final = tuple(np.dtype(code) for code in ("<f8", "<f4", "<i8", "<i4", "<i2", "|u1"))
"""An array value in the heap is one byte, its index here, then the numbers."""

HEAP_LIMIT_BYTES: Final = 1 << 31


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """`n` samples. All columns have length `n`; times are UTC nanoseconds since 1970."""

    point: Handles
    cell: Cells
    quality: Qualities
    source_ns: Times
    heap: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        n = len(self.point)
        for name, dtype in _COLUMNS:
            column = getattr(self, name)
            if column.dtype != dtype or column.shape != (n,):
                raise ValueError(
                    f"frame column '{name}' is {column.dtype}{column.shape},"
                    f" expected {np.dtype(dtype)}({n},)"
                )

    def __len__(self) -> int:
        return len(self.point)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Frame:
        """The frame of the chosen rows, by index or mask; it shares the heap."""
        return Frame(
            self.point[rows], self.cell[rows], self.quality[rows], self.source_ns[rows], self.heap
        )

    def heap_at(self, row: int) -> bytes:
        """The heap bytes of a row whose point is of variable size."""
        cell = int(self.cell[row])
        start, length = cell >> 32, cell & 0xFFFF_FFFF
        return self.heap[start : start + length]


_COLUMNS: Final = (
    ("point", np.uint32),
    ("cell", np.int64),
    ("quality", np.uint32),
    ("source_ns", np.int64),
)


def frame(
    point: ArrayLike,
    value: ArrayLike,
    source_ns: ArrayLike,
    quality: ArrayLike = 0,
) -> Frame:
    """A frame of numbers: floats become float64 cells, ints and bools int64 cells.

    Args:
        point: handles, shape (n,).
        value: shape (n,); its dtype must fit the points' kinds (float or not).
        source_ns: shape (n,) or one time for all.
        quality: shape (n,) or one code for all.
    """
    handles = np.ascontiguousarray(point, dtype=np.uint32)
    return Frame(
        handles,
        cells(value),
        np.ascontiguousarray(np.broadcast_to(np.asarray(quality, np.uint32), handles.shape)),
        np.ascontiguousarray(np.broadcast_to(np.asarray(source_ns, np.int64), handles.shape)),
    )


def cells(value: ArrayLike) -> Cells:
    """The cells of an array of numbers: bits of float64, or int64."""
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return np.ascontiguousarray(array, dtype=np.float64).view(np.int64)
    if array.dtype.kind in "iub":
        return np.ascontiguousarray(array, dtype=np.int64)
    raise TypeError(f"values of dtype {array.dtype} have no cells; use FrameBuilder for text")


class FrameBuilder:
    """Collects samples one by one: for slow sources and mixed kinds. Not for hot paths."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int]] = []
        self._heap = bytearray()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def heap_bytes(self) -> int:
        """How large the heap has become; a frame's may not pass `HEAP_LIMIT_BYTES`."""
        return len(self._heap)

    def add(
        self, point: int, kind: Kind, value: SampleValue | None, source_ns: int, quality: int = 0
    ) -> None:
        """Adds a sample.

        Raises:
            TypeError: the value is not of the point's kind (its message says both).
        """
        payload = encode(kind, value)
        if isinstance(payload, bytes):
            offset = len(self._heap)
            self._heap += payload
            payload = offset << 32 | len(payload)
        self._rows.append((point, payload, quality, source_ns))

    def build(self) -> Frame:
        """The frame of all samples so far; the builder is empty afterwards."""
        if self._rows:
            point, cell, quality, source_ns = zip(*self._rows, strict=True)
        else:
            point = cell = quality = source_ns = ()
        built = Frame(
            np.array(point, np.uint32),
            np.array(cell, np.int64),
            np.array(quality, np.uint32),
            np.array(source_ns, np.int64),
            bytes(self._heap),
        )
        self._rows.clear()
        self._heap.clear()
        return built


def encode(kind: Kind, value: SampleValue | None) -> int | bytes:
    """One value as a cell, or as heap bytes for kinds of variable size. None is an empty value.

    Raises:
        TypeError: the value is not of `kind`.
    """
    match kind:
        case Kind.FLOAT:
            if value is None:
                value = math.nan
            if isinstance(value, float | int | np.floating | np.integer):
                return int(np.float64(value).view(np.int64))
        case Kind.INT | Kind.BOOL | Kind.ENUM:
            if value is None:
                return 0
            if isinstance(value, int | np.integer | np.bool_):
                if not -(1 << 63) <= int(value) < 1 << 63:
                    raise TypeError(f"{value} does not fit 64 bits")
                return int(value)
        case Kind.TEXT:
            if value is None:
                return b""
            if isinstance(value, str):
                return value.encode()
        case Kind.ARRAY:
            if value is None:
                return b"\0"
            if isinstance(value, np.ndarray):
                return encode_array(value)
        case Kind.BLOB:
            if value is None:
                return b""
            if isinstance(value, bytes):
                return value
    raise TypeError(f"{type(value).__name__} {value!r:.40} is not a value of kind {kind.name}")


def decode(kind: Kind, payload: int | bytes) -> SampleValue | None:
    """The Python value of a cell (an int) or of heap bytes."""
    if isinstance(payload, bytes):
        if kind is Kind.TEXT:
            return payload.decode(errors="replace")
        if kind is Kind.ARRAY:
            return decode_array(payload)
        return payload
    if kind is Kind.FLOAT:
        return float(np.int64(payload).view(np.float64))
    if kind is Kind.BOOL:
        return payload != 0
    return payload


def encode_array(array: NDArray[np.generic]) -> bytes:
    """A one-dimensional array of numbers as heap bytes (waveform, spectrum)."""
    if array.ndim != 1 or array.dtype.kind not in "fiub":
        raise TypeError(
            f"an array value is one-dimensional numbers, not {array.dtype}{array.shape}"
        )
    if array.dtype not in ARRAY_DTYPES:
        array = array.astype(np.float64 if array.dtype.kind == "f" else np.int64)
    return bytes((ARRAY_DTYPES.index(array.dtype),)) + array.tobytes()


def decode_array(payload: bytes) -> NDArray[np.generic]:
    """The array of heap bytes; read-only."""
    if not payload or payload[0] >= len(ARRAY_DTYPES):
        raise ValueError("not an array value")
    return np.frombuffer(payload, ARRAY_DTYPES[payload[0]], offset=1)


def concatenate(frames: Sequence[Frame], kinds: NDArray[np.uint8]) -> Frame:
    """One frame of many, in order. `kinds[handle]` is each point's kind: heap cells are moved."""
    if not frames:
        return frame([], np.empty(0, np.int64), 0)
    if len(frames) == 1:
        return frames[0]
    parts: list[Cells] = []
    heap = bytearray()
    for part in frames:
        moved = part.cell
        if part.heap:
            in_heap = kinds[part.point] >= Kind.TEXT
            moved = np.where(in_heap, moved + (len(heap) << 32), moved)
            heap += part.heap
        parts.append(moved)
    return Frame(
        np.concatenate([f.point for f in frames]),
        np.concatenate(parts),
        np.concatenate([f.quality for f in frames]),
        np.concatenate([f.source_ns for f in frames]),
        bytes(heap),
    )


def rows(
    frame: Frame, kinds: NDArray[np.uint8]
) -> Iterator[tuple[int, SampleValue | None, int, int]]:
    """(handle, value, quality, source_ns) one by one: for display and tests."""
    for row in range(len(frame)):
        kind = Kind(int(kinds[frame.point[row]]))
        payload = frame.heap_at(row) if kind.is_heap else int(frame.cell[row])
        yield (
            int(frame.point[row]),
            decode(kind, payload),
            int(frame.quality[row]),
            int(frame.source_ns[row]),
        )
