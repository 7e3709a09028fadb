"""The loop that reads adapters' lines, compiled by numba where it is installed.

It reads what is plain (an ISO time, pairs of known keys and plain values) and leaves every other
line whole to `shdr_lines.py`, which holds the same rules in plain Python; the tests run both on
the same input. A number is read here only if that is exact: at most 2^53 as an integer and a
power of ten up to 22, where one division is rounded as by `float` (Clinger 1990).
"""

# numba has no type stubs; the typed face of this loop is `shdr_lines.ShdrReader`.
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

FLOAT, TEXT, ENUM, ARRAY = int(Kind.FLOAT), int(Kind.TEXT), int(Kind.ENUM), int(Kind.ARRAY)
BAD_NO_DATA = quality.BAD_NO_DATA
NAN_BITS = int(np.float64(np.nan).view(np.int64))
POWERS = 10.0 ** np.arange(23)
UNAVAILABLE = np.frombuffer(b"UNAVAILABLE", np.uint8)
DAYS_BEFORE = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], np.int64)
DAYS_IN = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
NONE = -1
BAD_TIME = -(1 << 63)

if njit is not None:

    @njit(cache=True, nogil=True)
    def _hash(data, start, end, scope):
        value = np.uint64(0xCBF29CE484222325) ^ (np.uint64(scope) * np.uint64(0x9E3779B97F4A7C15))
        for i in range(start, end):
            value = (value ^ np.uint64(data[i])) * np.uint64(0x100000001B3)
        return value ^ (value >> np.uint64(29))

    @njit(cache=True, nogil=True)
    def insert(names, offsets, scopes, targets, table):
        """Fills `table` (entry + 1 by slot, 0 for empty) with names `offsets[i]:offsets[i+1]`."""
        mask = np.uint64(len(table) - 1)
        for i in range(len(scopes)):
            at = np.int64(_hash(names, offsets[i], offsets[i + 1], scopes[i]) & mask)
            while table[at] != 0:
                at = (at + 1) & (len(table) - 1)
            table[at] = i + 1

    @njit(cache=True, nogil=True)
    def _find(data, start, end, scope, names, offsets, scopes, targets, table):
        mask = len(table) - 1
        at = np.int64(_hash(data, start, end, scope) & np.uint64(mask))
        n = end - start
        while table[at] != 0:
            i = table[at] - 1
            first = offsets[i]
            if scopes[i] == scope and offsets[i + 1] - first == n:
                same = True
                for j in range(n):
                    if names[first + j] != data[start + j]:
                        same = False
                        break
                if same:
                    return targets[i]
            at = (at + 1) & mask
        return NONE

    @njit(cache=True, nogil=True)
    def _two(data, at):
        a, b = np.int64(data[at]) - 48, np.int64(data[at + 1]) - 48
        if a < 0 or a > 9 or b < 0 or b > 9:
            return -1
        return a * 10 + b

    @njit(cache=True, nogil=True)
    def _time(data, start, end, reads_naive):
        """Nanoseconds of `2022-08-08T13:51:34.7167146Z`; BAD_TIME for all else."""
        if end - start < 19 or end - start > 40:
            return BAD_TIME
        high, low = _two(data, start), _two(data, start + 2)
        month, day = _two(data, start + 5), _two(data, start + 8)
        hour, minute, second = (
            _two(data, start + 11),
            _two(data, start + 14),
            _two(data, start + 17),
        )
        if high < 19 or low < 0 or month < 1 or month > 12 or day < 1:
            return BAD_TIME
        if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
            return BAD_TIME
        if (
            data[start + 4] != 45
            or data[start + 7] != 45
            or data[start + 10] != 84
            or data[start + 13] != 58
            or data[start + 16] != 58
        ):
            return BAD_TIME
        year = high * 100 + low
        if year < 1970 or year > 2115:
            return BAD_TIME
        leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
        if day > DAYS_IN[month - 1] + (1 if month == 2 and leap else 0):
            return BAD_TIME
        before = year - 1
        days = (
            (year - 1970) * 365
            + (before // 4 - before // 100 + before // 400)
            - (1969 // 4 - 1969 // 100 + 1969 // 400)
            + DAYS_BEFORE[month - 1]
            + (1 if month > 2 and leap else 0)
            + day
            - 1
        )
        at = start + 19
        fraction, digits = np.int64(0), 0
        if at < end and data[at] == 46:
            at += 1
            first = at
            while at < end and data[at] >= 48 and data[at] <= 57:
                if digits < 9:
                    fraction = fraction * 10 + (np.int64(data[at]) - 48)
                    digits += 1
                at += 1
            if at == first:
                return BAD_TIME
        while digits < 9:
            fraction *= 10
            digits += 1
        if at < end:
            if data[at] != 90 or at + 1 != end:
                return BAD_TIME
        elif not reads_naive:
            return BAD_TIME
        seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
        return seconds * 1_000_000_000 + fraction

    @njit(cache=True, nogil=True)
    def _number(data, start, end, out):
        """Writes a plain decimal number; False where plain Python has to look."""
        at = start
        is_negative = False
        if at < end and (data[at] == 45 or data[at] == 43):
            is_negative = data[at] == 45
            at += 1
        mantissa, places, digits = np.int64(0), 0, 0
        has_point = False
        while at < end:
            c = np.int64(data[at])
            if c >= 48 and c <= 57:
                if mantissa > 900719925474098:
                    return False
                mantissa = mantissa * 10 + (c - 48)
                digits += 1
                if has_point:
                    places += 1
            elif c == 46 and not has_point:
                has_point = True
            else:
                return False
            at += 1
        if digits == 0 or places > 22:
            return False
        value = np.float64(mantissa) / POWERS[places]
        out[0] = -value if is_negative else value
        return True

    @njit(cache=True, nogil=True)
    def scan(
        data, reads_naive, names, offsets, scopes, targets, table,
        kinds, handles, point, bits, codes, source_ns, lines, heap, others, number,
    ):  # fmt: skip
        """Reads whole lines of `data`.

        Returns:
            (rows, bytes of heap, lines left to others): `others` holds (line, start, end).
        """
        n, used, left, line = 0, 0, 0, 0
        at, size = 0, len(data)
        while at < size:
            start = at
            while at < size and data[at] != 10:
                at += 1
            end = at
            at += 1
            if end > start and data[end - 1] == 13:
                end -= 1
            if end == start:
                line += 1
                continue
            row, heap_at = n, used
            bar = start
            while bar < end and data[bar] != 124:
                bar += 1
            ns = _time(data, start, bar, reads_naive)
            plain = ns != BAD_TIME and bar < end
            while plain and bar < end:
                key = bar + 1
                bar = key
                while bar < end and data[bar] != 124:
                    bar += 1
                item = _find(data, key, bar, 0, names, offsets, scopes, targets, table)
                if item == NONE or bar >= end:
                    plain = False
                    break
                value = bar + 1
                bar = value
                is_plain = True
                while bar < end and data[bar] != 124:
                    if data[bar] >= 127 or data[bar] < 32 or data[bar] == 92:
                        is_plain = False
                    bar += 1
                length = bar - value
                if not is_plain or length > 65535 or (length and data[value] == 34):
                    plain = False
                    break
                kind = kinds[item]
                point[n], source_ns[n], lines[n], codes[n] = handles[item], ns, line, 0
                missing = length == 11
                if missing:
                    for j in range(11):
                        if data[value + j] != UNAVAILABLE[j]:
                            missing = False
                            break
                if kind == FLOAT:
                    if missing or length == 0:
                        bits[n], codes[n] = NAN_BITS, BAD_NO_DATA
                    elif _number(data, value, bar, number):
                        bits[n] = number.view(np.int64)[0]
                    else:
                        plain = False
                        break
                elif kind == TEXT:
                    if missing:
                        codes[n] = BAD_NO_DATA
                        length = 0
                    elif length == 11 and (data[value] | 32) == 117:
                        plain = False  # perhaps UNAVAILABLE in small letters
                        break
                    bits[n] = np.int64(used) << 32 | np.int64(length)
                    for j in range(length):
                        heap[used + j] = data[value + j]
                    used += length
                elif kind == ENUM:
                    if missing or length == 0:
                        bits[n], codes[n] = 0, BAD_NO_DATA
                    else:
                        code = _find(
                            data, value, bar, item + 1, names, offsets, scopes, targets, table
                        )
                        if code == NONE:
                            plain = False
                            break
                        bits[n] = code
                elif kind == ARRAY:
                    # One byte for the kind of number, then eight for each (world/frames.py).
                    first_heap = used
                    heap[used] = 0
                    used += 1
                    word = value
                    if missing or length == 0:
                        codes[n], word = BAD_NO_DATA, bar
                    while word < bar:
                        if data[word] == 32:
                            word += 1
                            continue
                        stop = word
                        while stop < bar and data[stop] != 32:
                            stop += 1
                        if not _number(data, word, stop, number):
                            plain = False
                            break
                        raw = number.view(np.uint8)
                        for j in range(8):
                            heap[used + j] = raw[j]
                        used += 8
                        word = stop
                    if not plain:
                        break
                    bits[n] = np.int64(first_heap) << 32 | np.int64(used - first_heap)
                else:
                    plain = False
                    break
                n += 1
            if not plain:
                n, used = row, heap_at
                others[left, 0], others[left, 1], others[left, 2] = line, start, end
                left += 1
            line += 1
        return n, used, left
