"""The loop of `opcua_decode.py` for numba: the same rules as its plain loop, over arrays.

Without numba these functions are ordinary Python, and nobody calls them: the plain loop is
faster then. Bounds are checked by hand before every read; nothing here allocates.
"""

# numba has no type stubs; the typed face of the loop is `opcua_decode.decode_items`.
# pyright: basic

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mirrorworld.world.model import Kind
from mirrorworld.world.quality import BAD_NO_DATA

try:
    from numba import njit
except ImportError:  # the `compiled` extra is not installed
    njit = None

HAS_NUMBA: Final = njit is not None

NO_TIME: Final = -(1 << 63)
"""Source time of a sample for which the server gave none."""

EPOCH_TICKS: Final = 116_444_736_000_000_000
"""1970 in units of 100 ns since 1601 (OPC 10000-6 §5.2.2.5)."""

TICKS_MAX: Final = 92_233_720_368_547_758
"""The largest number of ticks whose nanoseconds fit 64 bits."""

# Where each count stands in the array of counts.
WRONG_TYPE, UNKNOWN_ITEM, TOO_LARGE, OVERFLOW = range(4)

# What one value turned out to be, if it is not a number.
SLOW: Final = -1  # of variable size: the caller decodes it
ABSENT: Final = -2  # there is none

FLOAT, INT, BOOL, ENUM, TEXT = (int(Kind[k]) for k in ("FLOAT", "INT", "BOOL", "ENUM", "TEXT"))
NAN_CELL: Final = int(np.float64(np.nan).view(np.int64))


def _ns(ticks: Any) -> Any:
    if ticks <= 0:
        return np.int64(NO_TIME)
    ticks -= np.int64(EPOCH_TICKS)
    if ticks > TICKS_MAX:
        ticks = np.int64(TICKS_MAX)
    if ticks < -TICKS_MAX:
        ticks = np.int64(-TICKS_MAX)
    return ticks * np.int64(100)


def past_bytes(data: Any, at: Any, end: int) -> Any:
    """The place after a length and so many bytes; -1 if that is beyond the end."""
    if at < 0 or at + 4 > end:
        return -1
    length = data[at : at + 4].view(np.int32)[0]
    if length < 0:
        return at + 4
    return at + 4 + length if at + 4 + length <= end else -1


def past_node_id(data: Any, at: Any, end: int) -> Any:
    """The place after a NodeId or an ExpandedNodeId; -1 if malformed."""
    if at < 0 or at >= end:
        return -1
    encoding = data[at]
    form = encoding & 63
    if form == 0:
        at += 2
    elif form == 1:
        at += 4
    elif form == 2:
        at += 7
    elif form == 4:
        at += 19
    elif form in (3, 5):
        at = past_bytes(data, at + 3, end)
    else:
        return -1
    if encoding & 128:
        at = past_bytes(data, at, end)
    if encoding & 64 and at >= 0:
        at += 4
    return at


def past_value(data: Any, at: Any, end: int, wire: Any, sizes: Any) -> Any:
    """The place after a scalar of a type; -1 if malformed, -2 if it needs the plain loop."""
    if at < 0 or at > end:
        return -1
    if sizes[wire] > 0:
        at += sizes[wire]
    elif wire in (12, 15, 16):
        at = past_bytes(data, at, end)
    elif wire in (17, 18):
        at = past_node_id(data, at, end)
    elif wire == 20:
        at = past_bytes(data, at + 2, end)
    elif wire == 21:
        if at >= end:
            return -1
        mask = data[at]
        at += 1
        if mask & 1:
            at = past_bytes(data, at, end)
        if mask & 2:
            at = past_bytes(data, at, end)
    elif wire == 22:
        at = past_node_id(data, at, end)
        if at < 0 or at >= end:
            return -1
        has_body = data[at]
        at += 1
        if has_body != 0:
            at = past_bytes(data, at, end)
    elif wire != 0:
        return -2
    return at if at <= end else -1


def decode(
    data: Any,
    start: int,
    end: int,
    count: int,
    item_point: Any,
    item_kind: Any,
    last_cell: Any,
    last_quality: Any,
    last_ns: Any,
    out_point: Any,
    out_cell: Any,
    out_float: Any,
    out_quality: Any,
    out_ns: Any,
    slow_item: Any,
    slow_at: Any,
    counts: Any,
    n: int,
    m: int,
    sizes: Any,
) -> Any:
    """As `decode_plain`; the third number is the place after the list, or -1 if malformed."""
    at = start
    for _ in range(count):
        if at + 5 > end:
            return n, m, -1
        item = np.int64(data[at : at + 4].view(np.uint32)[0])
        at += 4
        begin = at
        mask = data[at]
        at += 1
        what = ABSENT
        wire = 0
        value_at = at
        if mask & 1:
            if at >= end:
                return n, m, -1
            encoding = data[at]
            wire = np.int64(encoding & 63)
            at += 1
            value_at = at
            if encoding & 192:
                what = SLOW
                if encoding & 128:
                    if at + 4 > end:
                        return n, m, -1
                    length = np.int64(data[at : at + 4].view(np.int32)[0])
                    at += 4
                    if length > end - at:
                        return n, m, -1
                    if sizes[wire] > 0:
                        if length > 0:
                            at += length * sizes[wire]
                    else:
                        for _i in range(length):
                            at = past_value(data, at, end, wire, sizes)
                            if at < 0:
                                return n, m, at
                else:
                    at = past_value(data, at, end, wire, sizes)
                    if at < 0:
                        return n, m, at
                if encoding & 64:
                    if at + 4 > end:
                        return n, m, -1
                    length = np.int64(data[at : at + 4].view(np.int32)[0])
                    at += 4
                    if length > 0:
                        at += 4 * length
                if at > end:
                    return n, m, -1
            elif sizes[wire] > 0 and wire != 14:
                what = wire
                at += sizes[wire]
            elif wire != 0:
                what = SLOW
                at = past_value(data, at, end, wire, sizes)
                if at < 0:
                    return n, m, at
        need = 0
        if mask & 2:
            need += 4
        if mask & 4:
            need += 8
        if mask & 16:
            need += 2
        if mask & 8:
            need += 8
        if mask & 32:
            need += 2
        if at + need > end:
            return n, m, -1
        status = np.uint32(0)
        if mask & 2:
            status = data[at : at + 4].view(np.uint32)[0]
            at += 4
        source_ns = np.int64(NO_TIME)
        if mask & 4:
            source_ns = _ns(data[at : at + 8].view(np.int64)[0])
            at += 8
        if mask & 16:
            if source_ns != NO_TIME:
                source_ns += min(np.int64(data[at : at + 2].view(np.uint16)[0]), 9999) // 100
            at += 2
        if mask & 8:
            if source_ns == NO_TIME:
                source_ns = _ns(data[at : at + 8].view(np.int64)[0])
            at += 8
        if mask & 32:
            at += 2
        if item >= len(item_point):
            counts[UNKNOWN_ITEM] += 1
            continue
        if status & np.uint32(0x480) == np.uint32(0x480):
            counts[OVERFLOW] += 1
        kind = item_kind[item]
        if what == SLOW or kind >= TEXT:
            slow_item[m] = item
            slow_at[m] = begin
            m += 1
            continue
        if what == ABSENT:
            if kind == FLOAT:
                out_cell[n] = NAN_CELL
            else:
                out_cell[n] = 0
            if status >> np.uint32(30) == 0:
                status = np.uint32(BAD_NO_DATA)
        else:
            # The integer value; floats are read where they are needed.
            if wire == 1:
                whole = np.int64(data[value_at] != 0)
            elif wire == 2:
                whole = np.int64(data[value_at : value_at + 1].view(np.int8)[0])
            elif wire == 3:
                whole = np.int64(data[value_at])
            elif wire == 4:
                whole = np.int64(data[value_at : value_at + 2].view(np.int16)[0])
            elif wire == 5:
                whole = np.int64(data[value_at : value_at + 2].view(np.uint16)[0])
            elif wire == 6:
                whole = np.int64(data[value_at : value_at + 4].view(np.int32)[0])
            elif wire in (7, 19):
                whole = np.int64(data[value_at : value_at + 4].view(np.uint32)[0])
            elif wire == 10:
                whole = np.int64(0)
            else:
                whole = data[value_at : value_at + 8].view(np.int64)[0]
            if kind == FLOAT and wire == 11:
                out_cell[n] = whole
            elif kind == FLOAT and wire == 10:
                out_float[n] = np.float64(data[value_at : value_at + 4].view(np.float32)[0])
            elif kind == FLOAT and wire == 9:
                out_float[n] = np.float64(data[value_at : value_at + 8].view(np.uint64)[0])
            elif kind == FLOAT and wire >= 2 and wire <= 8:
                out_float[n] = np.float64(whole)
            elif kind == BOOL and wire == 1:
                out_cell[n] = whole
            elif kind in (INT, ENUM) and wire >= 2 and wire <= 9:
                if wire == 9 and whole < 0:
                    counts[TOO_LARGE] += 1
                    continue
                out_cell[n] = whole
            elif kind == INT and wire == 13:
                whole = _ns(whole)
                out_cell[n] = 0 if whole == NO_TIME else whole
            elif kind == INT and wire == 19:
                out_cell[n] = whole
            else:
                counts[WRONG_TYPE] += 1
                continue
            last_cell[item] = out_cell[n]
            last_quality[item] = status
            if source_ns > last_ns[item]:
                last_ns[item] = source_ns
        out_point[n] = item_point[item]
        out_quality[n] = status
        out_ns[n] = source_ns
        n += 1
    return n, m, at


if njit is not None:
    _compile = njit(cache=True, nogil=True)
    _ns = _compile(_ns)
    past_bytes = _compile(past_bytes)
    past_node_id = _compile(past_node_id)
    past_value = _compile(past_value)
    decode = _compile(decode)
