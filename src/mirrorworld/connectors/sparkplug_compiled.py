"""The loops that read Sparkplug DATA messages, compiled by numba where it is installed.

`sparkplug_decode.py` holds the same rules in plain Python, and the tests run both on the same
input. Nothing here allocates or knows a Python object.
"""

# numba has no type stubs; the typed face of these loops is `sparkplug_decode.DataDecoder`.
# pyright: basic

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mirrorworld.world import quality
from mirrorworld.world.model import Kind

njit: Any
try:
    from numba import njit
except ImportError:  # the `compiled` extra is not installed
    njit = None

HAS_NUMBA: Final = njit is not None

# What became of a metric.
TAKEN, UNKNOWN, MISFIT, COMPLEX = 0, 1, 2, 3

TIME_LIMIT_MS: Final = 1 << 43
"""Times from the year 2248 on are no times, and would not fit 64 bits of nanoseconds later."""

FLOAT, TEXT = int(Kind.FLOAT), int(Kind.TEXT)
BAD_NO_DATA = quality.BAD_NO_DATA
NAN_BITS = int(np.float64(np.nan).view(np.int64))


if njit is not None:

    @njit(cache=True, nogil=True)
    def name_hash(data, start, end):
        """FNV-1a of 64 bits."""
        value = np.uint64(0xCBF29CE484222325)
        for i in range(start, end):
            value = (value ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
        return value

    @njit(cache=True, nogil=True)
    def _place(key, scope, mask):
        mixed = (key ^ (np.uint64(scope) << np.uint64(40))) * np.uint64(0x9E3779B97F4A7C15)
        return np.int64((mixed >> np.uint64(20)) & np.uint64(mask))

    @njit(cache=True, nogil=True)
    def insert(keys, scopes, slots, table, table_scopes, table_slots):
        """Puts keys into the table; one that is there gets its new slot."""
        mask = len(table) - 1
        for i in range(len(keys)):
            at = _place(keys[i], scopes[i], mask)
            while table_scopes[at] != -1 and not (
                table_scopes[at] == scopes[i] and table[at] == keys[i]
            ):
                at = (at + 1) & mask
            table[at] = keys[i]
            table_scopes[at] = scopes[i]
            table_slots[at] = slots[i]

    @njit(cache=True, nogil=True)
    def _find(key, scope, tables):
        table, scopes, slots = tables
        mask = len(table) - 1
        at = _place(key, scope, mask)
        while scopes[at] != -1:
            if scopes[at] == scope and table[at] == key:
                return slots[at]
            at = (at + 1) & mask
        return np.int32(-1)

    @njit(cache=True, nogil=True)
    def _varint(data, at, end):
        """(value, where it ends or -1)."""
        value = np.uint64(0)
        shift = np.uint64(0)
        while at < end:
            byte = data[at]
            at += 1
            value |= np.uint64(byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
            shift += np.uint64(7)
            if shift > np.uint64(63):
                break
        return value, -1

    @njit(cache=True, nogil=True)
    def _skip(data, at, end, wire):
        """(where a field's value begins, where it ends or -1)."""
        if wire == 0:
            _, stop = _varint(data, at, end)
            return at, stop
        size = np.uint64(0)
        if wire == 2:
            size, at = _varint(data, at, end)
            if at < 0:
                return at, -1
        elif wire == 1:
            size = np.uint64(8)
        elif wire == 5:
            size = np.uint64(4)
        else:
            return at, -1
        if size > np.uint64(end - at):
            return at, -1
        return at, at + np.int64(size)

    @njit(cache=True, nogil=True)
    def scan_messages(data, ends, sequence, time_ms, is_malformed):
        """How many metrics there are; fills in what is known of each message."""
        total = 0
        at = 0
        for i in range(len(ends)):
            end = ends[i]
            while at < end:
                key = data[at]
                if key == 0x12:  # field 2, LENGTH: a metric
                    size, start = _varint(data, at + 1, end)
                    if start < 0 or size > np.uint64(end - start):
                        is_malformed[i] = True
                        break
                    total += 1
                    at = start + np.int64(size)
                elif key in (0x08, 0x18):
                    value, at = _varint(data, at + 1, end)
                    if at < 0:
                        is_malformed[i] = True
                        break
                    if key == 0x18:
                        sequence[i] = np.int64(value & np.uint64(0x7FFFFFFF))
                    elif value < np.uint64(TIME_LIMIT_MS):
                        time_ms[i] = np.int64(value)
                else:
                    tag, start = _varint(data, at, end)
                    if start < 0:
                        is_malformed[i] = True
                        break
                    _, at = _skip(data, start, end, np.int64(tag & np.uint64(7)))
                    if at < 0:
                        is_malformed[i] = True
                        break
            at = end
        return total

    @njit(cache=True, nogil=True)
    def _whole(raw, datatype, carrier):
        """(value, whether it fits); the rules are those of `sparkplug_payload.whole`."""
        bits = 64
        if datatype in (1, 5):
            bits = 8
        elif datatype in (2, 6):
            bits = 16
        elif datatype in (3, 7):
            bits = 32
        if datatype > 4:
            if bits < 64 and raw >> np.uint64(bits):
                return np.int64(0), False
            if raw >> np.uint64(63):
                return np.int64(0), False
            return np.int64(raw), True
        if bits == 64:
            return np.int64(raw), True
        half = np.int64(1) << (bits - 1)
        if raw >> np.uint64(bits) == 0:
            value = np.int64(raw)
            if value >= half:
                value -= np.int64(1) << bits
            return value, True
        signed = np.int64(raw)
        if carrier == 10 and raw >> np.uint64(32) == 0:
            wide = np.int64(1) << 32
            if signed >= wide - half:
                return signed - wide, True
        if signed < 0 and signed >= -half:
            return signed, True
        return np.int64(0), False

    @njit(cache=True, nogil=True)
    def decode_messages(data, ends, time_ms, alias_scopes, name_scopes, tables, slots, out):
        """Metrics to columns; returns (how many rows, how many bytes of heap)."""
        kinds, datatypes = slots
        slot, fate, cell, codes, source_ns, message, span, heap, is_malformed = out
        bits = np.empty(1, np.uint64)
        as_single = bits.view(np.float32)
        double = np.empty(1, np.float64)
        double_bits = double.view(np.int64)
        n = 0
        used = 0
        begin = 0
        for i in range(len(ends)):
            end = ends[i]
            if is_malformed[i]:
                begin = end
                continue
            first_row = n
            first_used = used
            message_ms = np.uint64(time_ms[i])
            at = begin
            while at < end:
                if data[at] == 0x12:
                    size_, inner = _varint(data, at + 1, end)
                    stop = inner + np.int64(size_)
                    at = stop
                else:
                    tag, start = _varint(data, at, end)
                    inner, stop = _skip(data, start, end, np.int64(tag & np.uint64(7)))
                    at = stop
                    if tag != np.uint64(18):
                        continue
                alias = np.uint64(0)
                has_alias = False
                name_start = np.int64(-1)
                name_end = np.int64(-1)
                own_ms = message_ms
                datatype = np.uint64(0)
                is_null = False
                has_properties = False
                carrier = 0
                raw = np.uint64(0)
                text_start = np.int64(0)
                text_end = np.int64(0)
                p = inner
                is_whole = True
                while p < stop:
                    byte = data[p]
                    if byte < 0x80:
                        number = np.int64(byte >> 3)
                        wire = np.int64(byte & 7)
                        q = p + 1
                    else:
                        tag, q = _varint(data, p, stop)
                        if q < 0:
                            is_whole = False
                            break
                        number = np.int64(tag >> np.uint64(3))
                        wire = np.int64(tag & np.uint64(7))
                    if wire == 0:
                        if q < stop and data[q] < 0x80:
                            value = np.uint64(data[q])
                            p = q + 1
                        else:
                            value, p = _varint(data, q, stop)
                            if p < 0:
                                is_whole = False
                                break
                        if number == 2:
                            alias = value
                            has_alias = True
                        elif number == 3:
                            own_ms = value
                        elif number == 4:
                            datatype = value
                        elif number == 7:
                            is_null = value != np.uint64(0)
                        elif number in (10, 11, 14):
                            carrier = number
                            raw = value
                    elif wire == 1 and number == 13 and stop - q >= 8:
                        carrier = 13
                        raw = (
                            np.uint64(data[q])
                            | np.uint64(data[q + 1]) << np.uint64(8)
                            | np.uint64(data[q + 2]) << np.uint64(16)
                            | np.uint64(data[q + 3]) << np.uint64(24)
                            | np.uint64(data[q + 4]) << np.uint64(32)
                            | np.uint64(data[q + 5]) << np.uint64(40)
                            | np.uint64(data[q + 6]) << np.uint64(48)
                            | np.uint64(data[q + 7]) << np.uint64(56)
                        )
                        p = q + 8
                    else:
                        q, p = _skip(data, q, stop, wire)
                        if p < 0:
                            is_whole = False
                            break
                        if wire == 2:
                            if number == 1:
                                name_start = q
                                name_end = p
                            elif number == 9:
                                has_properties = True
                            elif number == 15:
                                carrier = 15
                                text_start = q
                                text_end = p
                            elif 16 <= number <= 19:
                                carrier = number
                        elif wire == 5 and number == 12:
                            carrier = 12
                            raw = (
                                np.uint64(data[q])
                                | np.uint64(data[q + 1]) << np.uint64(8)
                                | np.uint64(data[q + 2]) << np.uint64(16)
                                | np.uint64(data[q + 3]) << np.uint64(24)
                            )
                if not is_whole:
                    is_malformed[i] = True
                    break
                found = np.int32(-1)
                if has_alias:
                    found = _find(alias, alias_scopes[i] * 2, tables)
                if found < 0 and name_end > name_start:
                    hashed = name_hash(data, name_start, name_end)
                    found = _find(hashed, name_scopes[i] * 2 + 1, tables)
                slot[n] = found
                fate[n] = TAKEN
                cell[n] = 0
                codes[n] = 0
                message[n] = i
                span[n, 0] = inner
                span[n, 1] = stop
                source_ns[n] = 0
                if own_ms < np.uint64(TIME_LIMIT_MS):
                    source_ns[n] = np.int64(own_ms) * 1_000_000
                if found < 0:
                    fate[n] = UNKNOWN
                    n += 1
                    continue
                kind = kinds[found]
                known = datatypes[found]
                if has_properties or known < 1 or known > 15:
                    fate[n] = COMPLEX
                elif datatype != np.uint64(0) and datatype != np.uint64(known):
                    fate[n] = MISFIT
                elif is_null:
                    codes[n] = BAD_NO_DATA
                    if kind == FLOAT:
                        cell[n] = NAN_BITS
                    elif kind == TEXT:
                        cell[n] = np.int64(used) << 32
                elif known in (12, 14, 15):
                    if carrier != 15:
                        fate[n] = MISFIT
                    else:
                        size = text_end - text_start
                        cell[n] = (np.int64(used) << 32) | size
                        for b in range(size):
                            heap[used + b] = data[text_start + b]
                        used += size
                elif known in (9, 10):
                    if carrier == 12:
                        bits[0] = raw
                        double[0] = as_single[0]
                        cell[n] = double_bits[0]
                    elif carrier == 13:
                        cell[n] = np.int64(raw)
                    else:
                        fate[n] = MISFIT
                elif known == 11:
                    if carrier != 14:
                        fate[n] = MISFIT
                    else:
                        cell[n] = np.int64(raw != 0)
                elif carrier in (10, 11):
                    value_, fits = _whole(raw, known, carrier)
                    if not fits:
                        fate[n] = MISFIT
                    elif kind == FLOAT:
                        double[0] = np.float64(value_)
                        cell[n] = double_bits[0]
                    else:
                        cell[n] = value_
                else:
                    fate[n] = MISFIT
                n += 1
            if is_malformed[i]:
                n = first_row
                used = first_used
            begin = end
        return n, used
