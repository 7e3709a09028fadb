"""Values as columns of bytes: what a viewer gets of many points at once.

A frame is a header of 32 bytes and four columns of n rows, little-endian:

    0  u8   kind       1 snapshot, 2 delta, 3 as-of
    1  u8   flags      bit 0: whole (a point that it does not hold has no value)
                       bit 1: more (the next frame belongs to the same moment; only the last
                       one's position may be resumed from)
    2  u16  zero
    4  u32  n
    8  u64  sequence   with epoch: the position up to which this tells everything
    16 f64  base_ms    Unix time that the ages are relative to
    24 u32  epoch
    28 u32  zero
    32 u32[n]  handle
       f32[n]  value   numbers, bools 0/1, enum codes; NaN: no number (texts travel beside)
       u8[n]   status  padded to 4 bytes; see `status`
       i32[n]  age_ms  source time - base_ms, clamped; NO_TIME: the point never had a value

This is the quantisation that the view declares (law 1): float32, milliseconds, and eight bits
of quality and origin. Exact values are asked for by name.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world import quality as codes
from mirrorworld.world.model import Kind
from mirrorworld.world.state import NEVER_NS

HEADER: Final = struct.Struct("<BBHIQdII")
HEADER_BYTES: Final = HEADER.size

SNAPSHOT: Final = 1
DELTA: Final = 2
AS_OF: Final = 3

WHOLE: Final = 1
MORE: Final = 2

NO_TIME: Final = -(1 << 31)
AGE_LIMIT_MS: Final = (1 << 31) - 1

ROWS_MAX: Final = 1 << 18
"""Longest frame that the server sends; more rows travel in frames marked `more`."""

DETAILS: Final = (
    "",
    "last_usable",
    "out_of_range",
    "waiting",
    "no_communication",
    "not_a_number",
    "wrong_type",
    "other",
)
"""What the lowest three bits of a status say about a quality that is not plainly good."""

_DETAIL_OF: Final = (
    (codes.UNCERTAIN_LAST_USABLE, 1),
    (codes.UNCERTAIN_RANGE, 2),
    (codes.BAD_WAITING, 3),
    (codes.BAD_NO_COMMUNICATION, 4),
    (codes.BAD_NO_DATA, 5),
    (codes.BAD_TYPE, 6),
)


def _status_table() -> NDArray[np.uint8]:
    """Status without origin, by the upper 16 bits of a quality."""
    upper = np.arange(1 << 16, dtype=np.uint32)
    severity = np.minimum(upper >> 14, 2)
    detail = np.where((upper & 0x3FFF) == 0, 0, 7)
    for code, number in _DETAIL_OF:
        detail[code >> 16] = number
    return (severity << 6 | detail).astype(np.uint8)


_STATUS: Final = _status_table()


def status(quality: NDArray[np.uint32], origin_kind: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Eight bits a row: severity (2, 0 good 1 uncertain 2 bad), origin kind (3), detail (3)."""
    return _STATUS[quality >> 16] | (origin_kind << np.uint8(3))


def numbers(cell: NDArray[np.int64], kind: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Cells as float32. Text, arrays and blobs are NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        value = cell.view(np.float64).astype(np.float32)
        whole = (kind >= Kind.INT) & (kind <= Kind.ENUM)
        value[whole] = cell[whole].astype(np.float32)
    value[kind >= Kind.TEXT] = np.nan
    return value


def ages(source_ns: NDArray[np.int64], base_ms: float) -> NDArray[np.int32]:
    """Source times relative to `base_ms`, in whole milliseconds."""
    age = (source_ns // 1_000_000) - int(base_ms)
    age = np.clip(age, -AGE_LIMIT_MS, AGE_LIMIT_MS).astype(np.int32)
    age[(source_ns == 0) | (source_ns == NEVER_NS)] = NO_TIME
    return age


def encode(
    kind: int,
    handle: NDArray[np.uint32],
    value: NDArray[np.float32],
    status: NDArray[np.uint8],
    age_ms: NDArray[np.int32],
    *,
    sequence: int,
    epoch: int,
    base_ms: float,
    flags: int = 0,
) -> bytes:
    """One frame."""
    n = len(handle)
    return b"".join(
        (
            HEADER.pack(kind, flags, 0, n, sequence, base_ms, epoch, 0),
            handle.tobytes(),
            value.tobytes(),
            status.tobytes(),
            bytes(-n % 4),
            age_ms.tobytes(),
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class ValueFrame:
    """A frame as it was read. Columns are read-only views of the bytes."""

    kind: int
    flags: int
    sequence: int
    epoch: int
    base_ms: float
    handle: NDArray[np.uint32]
    value: NDArray[np.float32]
    status: NDArray[np.uint8]
    age_ms: NDArray[np.int32]

    @property
    def source_ms(self) -> NDArray[np.float64]:
        """Source times in Unix milliseconds; NaN where a point never had a value."""
        times = np.floor(self.base_ms) + self.age_ms
        return np.where(self.age_ms == NO_TIME, np.nan, times)


def decode(data: bytes) -> ValueFrame:
    """Reads a frame.

    Raises:
        ValueError: the bytes are no whole frame.
    """
    if len(data) < HEADER_BYTES:
        raise ValueError(f"a value frame has {HEADER_BYTES} bytes of header, this has {len(data)}")
    kind, flags, _, n, sequence, base_ms, epoch, _ = HEADER.unpack_from(data)
    padded = n + -n % 4
    if len(data) != HEADER_BYTES + 12 * n + padded:
        raise ValueError(f"a value frame of {n} rows does not have {len(data)} bytes")
    at = HEADER_BYTES
    handle = np.frombuffer(data, np.uint32, n, at)
    value = np.frombuffer(data, np.float32, n, at + 4 * n)
    state = np.frombuffer(data, np.uint8, n, at + 8 * n)
    age_ms = np.frombuffer(data, np.int32, n, at + 8 * n + padded)
    return ValueFrame(kind, flags, sequence, epoch, base_ms, handle, value, state, age_ms)
