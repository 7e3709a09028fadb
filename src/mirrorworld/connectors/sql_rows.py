"""Rows to frames: a page's columns become columns of samples, each value once.

NULL in a wide row is no sample: it says nothing of the point. In the long form it is a sample
without a value (BadNoData), since the row speaks of that point and no other.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from mirrorworld.connectors.guesses import NO_TIME, epoch_ns, iso_ns
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind
from mirrorworld.world.quality import BAD_NO_DATA

Count = Callable[[str, int], None]
Times = NDArray[np.int64]

TEXT_MAX: Final = 65_536
"""Longest text of a sample; what is longer is cut and counted."""

NO_POINT: Final = 0xFFFF_FFFF
"""Handle of points that were one too many."""

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def times_ns(values: Sequence[Any], zone: ZoneInfo, now_ns: int, count: Count) -> Times:
    """UTC nanoseconds of a column of times; where one cannot be read, the time of reading."""
    out = np.full(len(values), NO_TIME, np.int64)
    moments: list[int] = []
    numbers: list[int] = []
    for i, value in enumerate(values):
        if isinstance(value, datetime.date):
            moments.append(i)
        elif isinstance(value, str):
            ns = iso_ns(value, zone)
            if ns is not None:
                out[i] = ns
        elif isinstance(value, bool) or value is None:
            pass
        else:
            numbers.append(i)
    if moments:
        naive = [_as_utc(values[i], zone).replace(tzinfo=None) for i in moments]
        out[moments] = np.array(naive, "datetime64[us]").astype(np.int64) * 1000
    if numbers:
        column = [values[i] for i in numbers]
        whole = all(isinstance(v, int) and -(1 << 63) <= v < 1 << 63 for v in column)
        dtype = np.int64 if whole else np.float64
        out[numbers] = epoch_ns(np.array([v if whole else float(v) for v in column], dtype))
    untimed = out == NO_TIME
    if untimed.any():
        count("row_without_time", int(untimed.sum()))
        out[untimed] = now_ns
    return out


def _as_utc(value: Any, zone: ZoneInfo) -> datetime.datetime:
    """A date or time in UTC; where it names no zone, it is of `zone`."""
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day, tzinfo=zone)
    if value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    return value.astimezone(datetime.UTC)


class Samples:
    """Samples of a page, column by column, until they are one frame in the rows' order."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._row: list[NDArray[np.int64]] = []
        self._point: list[NDArray[np.uint32]] = []
        self._cell: list[NDArray[np.int64]] = []
        self._quality: list[NDArray[np.uint32]] = []
        self._heap = bytearray()

    def add(
        self, values: Sequence[Any], kind: Kind, points: NDArray[np.uint32], *, keeps_null: bool
    ) -> None:
        """Adds a column: the value of each row, and the handle of its point."""
        cell, is_good = self._cells(values, kind)
        null = np.fromiter((v is None for v in values), np.bool_, len(values))
        kept = (is_good | null) if keeps_null else is_good & ~null
        kept &= points != NO_POINT
        rows = np.flatnonzero(kept)
        self._row.append(rows)
        self._point.append(points[rows])
        self._cell.append(cell[rows])
        self._quality.append(np.where(null[rows], BAD_NO_DATA, 0).astype(np.uint32))
        wrong = int((~is_good & ~null).sum())
        if wrong:
            self._count("wrong_type", wrong)

    def build(self, times: Times) -> Frame:
        """The frame; samples of one row stand together."""
        row = np.concatenate(self._row) if self._row else np.empty(0, np.int64)
        order = np.argsort(row, kind="stable")

        def column(parts: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
            return (np.concatenate(parts) if parts else np.empty(0))[order].astype(dtype)

        return Frame(
            column(self._point, np.uint32),
            column(self._cell, np.int64),
            column(self._quality, np.uint32),
            times[row[order]],
            bytes(self._heap),
        )

    def _cells(
        self, values: Sequence[Any], kind: Kind
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(cells, which of them are a value of the kind)."""
        if kind is Kind.FLOAT:
            try:
                numbers = np.array(values, np.float64)  # None becomes NaN
                return numbers.view(np.int64), np.ones(len(values), np.bool_)
            except (TypeError, ValueError, OverflowError):
                pass
        read: Callable[[Any], int | None] = {
            Kind.FLOAT: _float_cell,
            Kind.BOOL: _bool_cell,
            Kind.TEXT: self._text_cell,
        }.get(kind, _int_cell)
        cells = [read(v) if v is not None else _EMPTY[kind] for v in values]
        good = np.fromiter((c is not None for c in cells), np.bool_, len(cells))
        return np.array([c or 0 for c in cells], np.int64), good

    def _text_cell(self, value: Any) -> int | None:
        text = value if isinstance(value, str) else _as_text(value)
        if text is None:
            return None
        if len(text) > TEXT_MAX:
            self._count("text_cut", 1)
            text = text[:TEXT_MAX]
        payload = text.encode(errors="replace")
        at = len(self._heap)
        self._heap += payload
        return at << 32 | len(payload)


_NAN: Final = int(np.float64(math.nan).view(np.int64))
_EMPTY: Final = {Kind.FLOAT: _NAN, Kind.INT: 0, Kind.BOOL: 0, Kind.TEXT: 0}


def _float_cell(value: Any) -> int | None:
    try:
        return int(np.float64(float(value)).view(np.int64))
    except (TypeError, ValueError, OverflowError):
        return None


def _int_cell(value: Any) -> int | None:
    if isinstance(value, datetime.date):
        at = _as_utc(value, ZoneInfo("UTC"))
        return (at - _EPOCH) // datetime.timedelta(microseconds=1) * 1000
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number == value and -(1 << 63) <= number < 1 << 63 else None


def _bool_cell(value: Any) -> int | None:
    return int(value) if value in (0, 1) else None


def _as_text(value: Any) -> str | None:
    if isinstance(value, bytes | memoryview):
        return None
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
