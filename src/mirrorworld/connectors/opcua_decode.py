"""DataChangeNotifications of OPC UA as columns: the bytes of a PublishResponse, no object a point.

The same rules stand here twice: in plain Python, and as a loop that numba compiles where it is
installed and warm. The tests run both on the same bytes. Layouts are those of OPC UA Binary
(OPC 10000-6 §5.2); which service answers what is OPC 10000-4 §5.14.5 and §7.25.

Knows bytes, handles and kinds. Refuses to know sockets and asyncua: a value that is neither a
number nor a boolean is only measured and left for the caller, as its place in the bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.connectors import opcua_compiled
from mirrorworld.connectors.opcua_compiled import (
    ABSENT,
    BOOL,
    ENUM,
    EPOCH_TICKS,
    FLOAT,
    HAS_NUMBA,
    INT,
    NAN_CELL,
    NO_TIME,
    OVERFLOW,
    SLOW,
    TEXT,
    TICKS_MAX,
    TOO_LARGE,
    UNKNOWN_ITEM,
    WRONG_TYPE,
)
from mirrorworld.world.quality import BAD_NO_DATA

COUNT_NAMES: Final = ("wrong_type", "unknown_item", "beyond_int64", "queue_overflow")
"""What the counts are called, in their order."""

# Bytes of a scalar by type id; 0 where the size varies.
_SIZES: Final = np.zeros(64, np.int64)
for _type, _size in enumerate((0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 0, 8, 16, 0, 0, 0, 0, 4)):
    _SIZES[_type] = _size


class DecodeError(ValueError):
    """The bytes are not what they claim to be."""


@dataclass(slots=True)
class Columns:
    """Room for what is decoded: filled from the front, reused for every message."""

    point: NDArray[np.uint32]
    cell: NDArray[np.int64]
    quality: NDArray[np.uint32]
    source_ns: NDArray[np.int64]
    slow_item: NDArray[np.uint32]
    slow_at: NDArray[np.int64]
    counts: NDArray[np.int64]

    @staticmethod
    def of(capacity: int) -> Columns:
        """Room for `capacity` samples."""
        return Columns(
            np.empty(capacity, np.uint32),
            np.empty(capacity, np.int64),
            np.empty(capacity, np.uint32),
            np.empty(capacity, np.int64),
            np.empty(capacity, np.uint32),
            np.empty(capacity, np.int64),
            np.zeros(len(COUNT_NAMES), np.int64),
        )


@dataclass(slots=True)
class Items:
    """What is known of the monitored items, by client handle (0, 1, 2 …)."""

    point: NDArray[np.uint32]
    """The world's handle."""
    kind: NDArray[np.uint8]
    """Kind of the point."""
    last_cell: NDArray[np.int64]
    last_quality: NDArray[np.uint32]
    last_ns: NDArray[np.int64]
    """Latest value, quality and source time of numbers; `NO_TIME` if none came yet."""

    @staticmethod
    def of(point: NDArray[np.uint32], kind: NDArray[np.uint8]) -> Items:
        """Items of which nothing has been heard yet."""
        n = len(point)
        return Items(
            point,
            kind,
            np.zeros(n, np.int64),
            np.zeros(n, np.uint32),
            np.full(n, NO_TIME, np.int64),
        )


@dataclass(frozen=True, slots=True)
class Notification:
    """One NotificationMessage, its data changes still in bytes."""

    subscription: int
    sequence: int
    publish_ns: int
    more: bool
    available: tuple[int, ...]
    """Sequence numbers that the server still keeps."""
    changes: tuple[tuple[int, int, int], ...]
    """(start, end, count) of each list of monitored items in the bytes."""
    status: int
    """Of a StatusChangeNotification; 0 if there is none."""
    is_keep_alive: bool
    events: tuple[tuple[int, int], ...] = ()
    """(start, end) of each list of event fields in the bytes."""


def notification(data: bytes, at: int) -> Notification:
    """The frame of a PublishResponse; `at` is where its parameters begin, after the header.

    Raises:
        DecodeError: it is cut short or not a PublishResponse.
    """
    try:
        (subscription,) = _U32.unpack_from(data, at)
        at += 4
        (n,) = _I32.unpack_from(data, at)
        at += 4
        if n > (len(data) - at) // 4:
            raise DecodeError("a list is longer than the message")
        available = struct.unpack_from(f"<{max(n, 0)}I", data, at)
        at += 4 * max(n, 0)
        more = data[at] != 0
        return message(data, at + 1, subscription, more, available)
    except (struct.error, IndexError) as error:
        raise DecodeError("a PublishResponse is cut short") from error


def message(
    data: bytes, at: int, subscription: int, more: bool = False, available: tuple[int, ...] = ()
) -> Notification:
    """The frame of the NotificationMessage that begins at `at` (also Republish answers one)."""
    try:
        sequence, ticks, n = struct.unpack_from("<Iqi", data, at)
        at += 16
        changes: list[tuple[int, int, int]] = []
        events: list[tuple[int, int]] = []
        status = 0
        for _ in range(max(n, 0)):
            type_id, at = _type_id(data, at)
            has_body = data[at]
            at += 1
            if has_body != 1:
                continue
            (length,) = _I32.unpack_from(data, at)
            at += 4
            end = at + max(length, 0)
            if end > len(data):
                raise DecodeError("a notification is longer than its message")
            if type_id == 811:  # DataChangeNotification_Encoding_DefaultBinary
                (count,) = _I32.unpack_from(data, at)
                changes.append((at + 4, end, max(count, 0)))
            elif type_id == 916:  # EventNotificationList_Encoding_DefaultBinary
                events.append((at, end))
            elif type_id == 820:  # StatusChangeNotification_Encoding_DefaultBinary
                (status,) = _U32.unpack_from(data, at)
            at = end
    except (struct.error, IndexError) as error:
        raise DecodeError("a NotificationMessage is cut short") from error
    return Notification(
        subscription, sequence, to_ns(ticks), more, available, tuple(changes), status, n <= 0,
        tuple(events),
    )  # fmt: skip


def to_ns(ticks: int) -> int:
    """UTC nanoseconds since 1970 of an OPC UA DateTime; 0 or less is "no time"."""
    if ticks <= 0:
        return NO_TIME
    return min(max((ticks - EPOCH_TICKS), -TICKS_MAX), TICKS_MAX) * 100


def decode_items(
    data: bytes, start: int, end: int, count: int, items: Items, out: Columns, n: int, m: int
) -> tuple[int, int]:
    """Decodes one list of MonitoredItemNotifications into `out`, from row `n` and slow row `m`.

    Numbers and booleans become rows; what a number becomes depends on its point's kind. Values
    of variable size become slow rows: (item, place of its DataValue). Rows that cannot be
    carried are counted. Source times default to the server's, then to `NO_TIME`.

    Returns:
        (rows, slow rows) filled so far.

    Raises:
        DecodeError: the bytes end before the list does, or are no OPC UA.
    """
    if count > (end - start) // 5:
        raise DecodeError("a list of changes is longer than its message")
    if n + count > len(out.point) or m + count > len(out.slow_item):
        raise DecodeError("there is no room for so many changes")
    if not _warm:
        return decode_plain(data, start, end, count, items, out, n, m)
    counts = out.counts.copy()
    rows, slow_rows, at = opcua_compiled.decode(
        np.frombuffer(data, np.uint8),
        start,
        end,
        count,
        items.point,
        items.kind,
        items.last_cell,
        items.last_quality,
        items.last_ns,
        out.point,
        out.cell,
        out.cell.view(np.float64),
        out.quality,
        out.source_ns,
        out.slow_item,
        out.slow_at,
        out.counts,
        n,
        m,
        _SIZES,
    )
    if at == -2:  # something nested that only the plain loop walks through
        out.counts[:] = counts
        return decode_plain(data, start, end, count, items, out, n, m)
    if at < 0:
        raise DecodeError("a DataChangeNotification is malformed")
    return rows, slow_rows


_warm = False


def is_warm() -> bool:
    """Whether the compiled loop is ready."""
    return _warm


def warm() -> None:
    """Compiles the loop, or loads it from numba's cache; takes a second or two the first time.

    Runs in a worker thread: until it has returned, the plain loop is used.
    """
    global _warm
    if _warm or not HAS_NUMBA:
        return
    items = Items.of(np.zeros(1, np.uint32), np.zeros(1, np.uint8))
    out = Columns.of(1)
    opcua_compiled.decode(
        np.frombuffer(bytes(8), np.uint8), 0, 8, 0, items.point, items.kind, items.last_cell,
        items.last_quality, items.last_ns, out.point, out.cell, out.cell.view(np.float64),
        out.quality, out.source_ns,
        out.slow_item, out.slow_at, out.counts, 0, 0, _SIZES,
    )  # fmt: skip
    _warm = True


# --- the plain loop -------------------------------------------------------------------------

_I32: Final = struct.Struct("<i")
_U32: Final = struct.Struct("<I")
_SCALARS: Final = {
    1: struct.Struct("<?"),
    2: struct.Struct("<b"),
    3: struct.Struct("<B"),
    4: struct.Struct("<h"),
    5: struct.Struct("<H"),
    6: struct.Struct("<i"),
    7: struct.Struct("<I"),
    8: struct.Struct("<q"),
    9: struct.Struct("<Q"),
    10: struct.Struct("<f"),
    11: struct.Struct("<d"),
    13: struct.Struct("<q"),
    19: struct.Struct("<I"),
}


def decode_plain(
    data: bytes, start: int, end: int, count: int, items: Items, out: Columns, n: int, m: int
) -> tuple[int, int]:
    """`decode_items` without numba."""
    data = data[:end]
    at = start
    try:
        for _ in range(count):
            (item,) = _U32.unpack_from(data, at)
            begin = at = at + 4
            mask = data[at]
            at += 1
            what, value, wire = ABSENT, 0, 0
            if mask & 1:
                wire = data[at]
                scalar = _SCALARS.get(wire)
                if scalar is not None:
                    (value,) = scalar.unpack_from(data, at + 1)
                    at += 1 + scalar.size
                    what = wire
                elif wire == 0:
                    at += 1
                else:
                    at = skip_variant(data, at)
                    what = SLOW
            status = 0
            if mask & 2:
                (status,) = _U32.unpack_from(data, at)
                at += 4
            source_ns = server_ns = NO_TIME
            if mask & 4:
                source_ns = to_ns(struct.unpack_from("<q", data, at)[0])
                at += 8
            if mask & 16:
                if source_ns != NO_TIME:
                    source_ns += min(struct.unpack_from("<H", data, at)[0], 9999) // 100
                at += 2
            if mask & 8:
                server_ns = to_ns(struct.unpack_from("<q", data, at)[0])
                at += 8
            if mask & 32:
                at += 2
            if at > end:
                raise DecodeError("a DataChangeNotification is cut short")
            if source_ns == NO_TIME:
                source_ns = server_ns
            if item >= len(items.point):
                out.counts[UNKNOWN_ITEM] += 1
                continue
            if status & 0x480 == 0x480:
                out.counts[OVERFLOW] += 1
            kind = int(items.kind[item])
            if what == SLOW or kind >= TEXT:
                out.slow_item[m], out.slow_at[m] = item, begin
                m += 1
                continue
            if what == ABSENT:
                cell = NAN_CELL if kind == FLOAT else 0
                if status >> 30 == 0:
                    status = BAD_NO_DATA
            elif kind == FLOAT and 2 <= wire <= 11:
                cell = int(np.float64(value).view(np.int64))
            elif (kind == BOOL and wire == 1) or (kind in (INT, ENUM) and 2 <= wire <= 8):
                cell = int(value)
            elif kind in (INT, ENUM) and wire == 9:
                if value >= 1 << 63:
                    out.counts[TOO_LARGE] += 1
                    continue
                cell = value
            elif kind == INT and wire == 13:
                cell = to_ns(value)
                cell = 0 if cell == NO_TIME else cell
            elif kind == INT and wire == 19:
                cell = value
            else:
                out.counts[WRONG_TYPE] += 1
                continue
            out.point[n] = items.point[item]
            out.cell[n] = cell
            out.quality[n] = status
            out.source_ns[n] = source_ns
            if what != ABSENT:
                items.last_cell[item] = cell
                items.last_quality[item] = status
                items.last_ns[item] = max(int(items.last_ns[item]), source_ns)
            n += 1
    except (struct.error, IndexError) as error:
        raise DecodeError("a DataChangeNotification is cut short") from error
    return n, m


def data_value(data: bytes, at: int) -> tuple[int, int, int, int]:
    """Place of the Variant (-1 if there is none), status, source time, and the place after it.

    The source time is the server's where the source gave none, else `NO_TIME`.

    Raises:
        DecodeError: it is cut short.
    """
    try:
        mask = data[at]
        at += 1
        variant = -1
        if mask & 1:
            variant, at = at, skip_variant(data, at)
        status, source_ns, server_ns = 0, NO_TIME, NO_TIME
        if mask & 2:
            (status,) = _U32.unpack_from(data, at)
            at += 4
        if mask & 4:
            source_ns = to_ns(struct.unpack_from("<q", data, at)[0])
            at += 8
        if mask & 16:
            if source_ns != NO_TIME:
                source_ns += min(struct.unpack_from("<H", data, at)[0], 9999) // 100
            at += 2
        if mask & 8:
            server_ns = to_ns(struct.unpack_from("<q", data, at)[0])
            at += 8
        if mask & 32:
            at += 2
    except (struct.error, IndexError) as error:
        raise DecodeError("a DataValue is cut short") from error
    if at > len(data):
        raise DecodeError("a DataValue is cut short")
    return variant, status, source_ns if source_ns != NO_TIME else server_ns, at


ARRAYS: Final = {
    1: np.dtype("|u1"),
    2: np.dtype("|i1"),
    3: np.dtype("|u1"),
    4: np.dtype("<i2"),
    5: np.dtype("<u2"),
    6: np.dtype("<i4"),
    7: np.dtype("<u4"),
    8: np.dtype("<i8"),
    9: np.dtype("<u8"),
    10: np.dtype("<f4"),
    11: np.dtype("<f8"),
}
"""Numbers of an array by built-in type."""


def numbers(data: bytes, at: int) -> NDArray[np.generic] | None:
    """The array of numbers in the Variant at `at`, flat; None if it is something else."""
    encoding = data[at]
    dtype = ARRAYS.get(encoding & 63)
    if dtype is None or not encoding & 128 or at + 5 > len(data):
        return None
    (length,) = _I32.unpack_from(data, at + 1)
    if max(length, 0) * dtype.itemsize > len(data) - at - 5:
        raise DecodeError("an array is longer than its message")
    return np.frombuffer(data, dtype, max(length, 0), at + 5)


def skip_variant(data: bytes, at: int, depth: int = 0) -> int:
    """The place after the Variant at `at`."""
    encoding = data[at]
    wire = encoding & 63
    at += 1
    if not encoding & 128:
        return _skip_value(data, at, wire, depth)
    (length,) = _I32.unpack_from(data, at)
    at += 4
    size = int(_SIZES[wire])
    if length > len(data) - at:
        raise DecodeError("an array is longer than its message")
    if size:
        at += max(length, 0) * size
    else:
        for _ in range(max(length, 0)):
            at = _skip_value(data, at, wire, depth)
    if encoding & 64:
        (length,) = _I32.unpack_from(data, at)
        at += 4 + 4 * max(length, 0)
    if at > len(data):
        raise DecodeError("a value is longer than its message")
    return at


def skip_data_value(data: bytes, at: int, depth: int = 0) -> int:
    """The place after the DataValue at `at`."""
    mask = data[at]
    at += 1
    if mask & 1:
        at = skip_variant(data, at, depth + 1)
    for bit, size in ((2, 4), (4, 8), (16, 2), (8, 8), (32, 2)):
        if mask & bit:
            at += size
    return at


def _skip_value(data: bytes, at: int, wire: int, depth: int) -> int:
    size = int(_SIZES[wire])
    if size:
        at += size
    elif wire in (12, 15, 16):
        at = _skip_bytes(data, at)
    elif wire in (17, 18):
        encoding = data[at]
        _, at = _type_id(data, at)
        if encoding & 128:
            at = _skip_bytes(data, at)
        if encoding & 64:
            at += 4
    elif wire == 20:
        at = _skip_bytes(data, at + 2)
    elif wire == 21:
        mask = data[at]
        at += 1
        for bit in (1, 2):
            if mask & bit:
                at = _skip_bytes(data, at)
    elif wire == 22:
        _, at = _type_id(data, at)
        has_body = data[at]
        at += 1
        if has_body:
            at = _skip_bytes(data, at)
    elif wire in (23, 24) and depth < 8:
        at = (skip_data_value if wire == 23 else skip_variant)(data, at, depth + 1)
    elif wire != 0:
        raise DecodeError(f"type {wire} cannot be read inside a value")
    if at > len(data):
        raise DecodeError("a value is longer than its message")
    return at


def _skip_bytes(data: bytes, at: int) -> int:
    (length,) = _I32.unpack_from(data, at)
    return at + 4 + max(length, 0)


def _type_id(data: bytes, at: int) -> tuple[int, int]:
    """(numeric identifier in namespace 0, or -1; the place after the NodeId)."""
    encoding = data[at] & 63
    if encoding == 0:
        return data[at + 1], at + 2
    if encoding == 1:
        identifier = int.from_bytes(data[at + 2 : at + 4], "little")
        return (identifier if data[at + 1] == 0 else -1), at + 4
    if encoding == 2:
        namespace, identifier = struct.unpack_from("<HI", data, at + 1)
        return (identifier if namespace == 0 else -1), at + 7
    if encoding in (3, 5):
        return -1, _skip_bytes(data, at + 3)
    if encoding == 4:
        return -1, at + 19
    raise DecodeError(f"encoding {encoding} of a NodeId is unknown")
