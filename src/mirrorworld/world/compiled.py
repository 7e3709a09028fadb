"""The kernel's inner loops, compiled by numba where it is installed.

`state.py` holds the same rules in numpy, and the tests run
both on the same input. Nothing here allocates or knows a Python object.
"""

# numba has no type stubs; the typed face of these loops is `state.py`.
# pyright: basic

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from numba import njit
except ImportError:  # the `compiled` extra is not installed
    njit = None

HAS_NUMBA = njit is not None

# What became of a row.
REFUSED, LATE, LATEST, DUPLICATE = 0, 1, 2, 3
# Where each count stands in the array of counts.
ACCEPTED, LATE_ROWS, DUPLICATES, UNKNOWN, NAN, RANGE, FUTURE = range(7)
N_COUNTS = 7
# What the marks of fingerprints say: how many there are, and how many are in the tables.
YOUNG, INDEXED, OLD, OLD_INDEXED = range(4)
N_MARKS = 4

PAGE_BITS = 8
PAGE = 1 << PAGE_BITS

_GOOD_BITS = np.uint32(0xC000_0000)


def _mix(point: Any, source_ns: Any, cell: Any, quality: Any) -> Any:
    """64 bits that tell samples apart (the finaliser of splitmix64 over each field)."""
    h = np.uint64(point) * np.uint64(0x9E3779B97F4A7C15)
    for part in (np.uint64(source_ns), np.uint64(cell), np.uint64(quality)):
        h ^= part
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h ^= h >> np.uint64(31)
    return h if h != 0 else np.uint64(1)


def _find(table: Any, h: Any) -> Any:
    """The slot of a fingerprint in an open-addressed table, or of the free place for it."""
    mask = np.uint64(len(table) - 1)
    at = h & mask
    while table[at] != 0 and table[at] != h:
        at = (at + np.uint64(1)) & mask
    return at


def _put_all(table: Any, fingers: Any) -> None:
    """Puts fingerprints into a table that has room for them."""
    for row in range(len(fingers)):
        table[_find(table, fingers[row])] = fingers[row]


def _apply_rows(
    point: Any,
    cell: Any,
    value: Any,
    quality: Any,
    source_ns: Any,
    received_ns: int,
    sequence: int,
    origin: int,
    skew_ns: int,
    kinds: Any,
    low: Any,
    high: Any,
    pages: Any,
    to_cell: Any,
    to_quality: Any,
    to_source_ns: Any,
    to_received_ns: Any,
    to_changed: Any,
    to_origin: Any,
    is_numbered: bool,
    highest_ns: Any,
    young: Any,
    old: Any,
    young_table: Any,
    old_table: Any,
    marks: Any,
    fate: Any,
    new_quality: Any,
    counts: Any,
) -> int:
    """Applies samples to the columns; returns how many rows were done.

    `value` is `cell` seen as float64. From `highest_ns` to `marks` they are those of
    `Fingerprints`. Where the source numbers nothing it stops early when there is no more room for
    fingerprints, or no table where one is needed: the caller does that and goes on from there.
    """
    n_points = len(kinds)
    for row in range(len(point)):
        p = point[row]
        if p >= n_points:
            fate[row] = REFUSED
            counts[UNKNOWN] += 1
            continue
        is_new = is_numbered or source_ns[row] > highest_ns[p]
        if not is_numbered:
            if marks[YOUNG] >= len(young):
                return row
            if not is_new and (
                not len(young_table) or not len(old_table) or marks[OLD_INDEXED] < marks[OLD]
            ):
                return row
        q = quality[row]
        kind = kinds[p]
        if kind <= 1:
            v = value[row] if kind == 0 else float(cell[row])
            if q & _GOOD_BITS == 0:
                if v != v:
                    q = np.uint32(0x809B_0000)
                    counts[NAN] += 1
                elif v < low[p] or v > high[p]:
                    q = np.uint32(0x4094_0000)
                    counts[RANGE] += 1
        new_quality[row] = q
        if not is_numbered:
            h = _mix(p, source_ns[row], cell[row], q)
            if is_new:
                highest_ns[p] = source_ns[row]
            else:
                if marks[INDEXED] < marks[YOUNG]:
                    _put_all(young_table, young[marks[INDEXED] : marks[YOUNG]])
                    marks[INDEXED] = marks[YOUNG]
                if young_table[_find(young_table, h)] == h or old_table[_find(old_table, h)] == h:
                    fate[row] = DUPLICATE
                    counts[DUPLICATES] += 1
                    continue
            young[marks[YOUNG]] = h
            marks[YOUNG] += 1
        i = (pages[p >> PAGE_BITS] << PAGE_BITS) | (p & (PAGE - 1))
        stamped = source_ns[row]
        if (
            not is_numbered
            and stamped == to_source_ns[i]
            and cell[row] == to_cell[i]
            and q == to_quality[i]
        ):
            # The latest may have come numbered, and so not be among the fingerprints.
            fate[row] = DUPLICATE
            counts[DUPLICATES] += 1
            continue
        counts[ACCEPTED] += 1
        if stamped > received_ns:
            if stamped - received_ns > skew_ns:
                counts[FUTURE] += 1
            stamped = received_ns
        if stamped < min(to_source_ns[i], to_received_ns[i]):
            fate[row] = LATE
            counts[LATE_ROWS] += 1
            continue
        fate[row] = LATEST
        to_cell[i] = cell[row]
        to_quality[i] = q
        to_source_ns[i] = source_ns[row]
        to_received_ns[i] = received_ns
        to_changed[i] = sequence
        to_origin[i] = origin
    return len(point)


def _remember_rows(
    point: Any,
    cell: Any,
    quality: Any,
    source_ns: Any,
    highest_ns: Any,
    young: Any,
    marks: Any,
) -> int:
    """Takes note of rows; returns how many were done before there was no more room."""
    for row in range(len(point)):
        if marks[YOUNG] >= len(young):
            return row
        p = point[row]
        young[marks[YOUNG]] = _mix(p, source_ns[row], cell[row], quality[row])
        marks[YOUNG] += 1
        highest_ns[p] = max(highest_ns[p], source_ns[row])
    return len(point)


def _changed_after(pages: Any, changed: Any, n_points: int, after: int, out: Any) -> int:
    """Writes the handles whose latest value changed after a sequence; returns how many."""
    n = 0
    for page in range(len(pages)):
        first = pages[page] << PAGE_BITS
        for k in range(min(PAGE, n_points - (page << PAGE_BITS))):
            if changed[first + k] > after:
                out[n] = (page << PAGE_BITS) + k
                n += 1
    return n


def _read_rows(
    pages: Any,
    handles: Any,
    cell: Any,
    quality: Any,
    source_ns: Any,
    received_ns: Any,
    changed: Any,
    origin: Any,
    out_cell: Any,
    out_quality: Any,
    out_source_ns: Any,
    out_received_ns: Any,
    out_changed: Any,
    out_origin: Any,
) -> None:
    """Gathers the columns of some points in one pass."""
    for row in range(len(handles)):
        p = handles[row]
        i = (pages[p >> PAGE_BITS] << PAGE_BITS) | (p & (PAGE - 1))
        out_cell[row] = cell[i]
        out_quality[row] = quality[i]
        out_source_ns[row] = source_ns[i]
        out_received_ns[row] = received_ns[i]
        out_changed[row] = changed[i]
        out_origin[row] = origin[i]


if njit is not None:
    _compile = njit(cache=True, nogil=True)
    _mix = njit(cache=True, nogil=True, inline="always")(_mix)
    _find = _compile(_find)
    put_all = _put_all = _compile(_put_all)
    apply_rows = _compile(_apply_rows)
    remember_rows = _compile(_remember_rows)
    changed_after = _compile(_changed_after)
    read_rows = _compile(_read_rows)
else:
    put_all, apply_rows, remember_rows = _put_all, _apply_rows, _remember_rows
    changed_after, read_rows = _changed_after, _read_rows
