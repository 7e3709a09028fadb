"""Times of recorded tables: how a column writes them, and what they are in UTC.

Whole columns at once, through pyarrow. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from mirrorworld.connectors import guesses

pc: Any = pyarrow.compute  # its functions are made at import, out of sight of type checkers

_FORMATS: Final = (
    ("%d.%m.%Y %H:%M:%S", "day first, with points"),
    ("%d.%m.%Y %H:%M", "day first, with points"),
    ("%d/%m/%Y %H:%M:%S", "day first"),
    ("%d/%m/%Y %H:%M", "day first"),
    ("%m/%d/%Y %H:%M:%S", "month first: as day first it would not fit"),
    ("%m/%d/%Y %H:%M", "month first: as day first it would not fit"),
    ("%Y/%m/%d %H:%M:%S", "year first"),
    ("%Y/%m/%d %H:%M", "year first"),
    ("%d-%m-%Y %H:%M:%S", "day first"),
    ("%d-%m-%Y %H:%M", "day first"),
    ("%Y%m%d%H%M%S", "digits only"),
    ("%d/%m/%y %H:%M:%S", "day first, year of two digits"),
    ("%d/%m/%y %H:%M", "day first, year of two digits"),
    ("%d/%m/%y %H", "day first, year of two digits, full hours"),
    ("%m/%d/%y %H:%M", "month first, year of two digits: as day first it would not fit"),
    ("%d.%m.%y %H:%M:%S", "day first, year of two digits"),
    ("%d.%m.%y %H:%M", "day first, year of two digits"),
    ("%d.%m.%Y", "a date, day first"),
    ("%d/%m/%Y", "a date, day first"),
    ("%m/%d/%Y", "a date, month first: as day first it would not fit"),
)
CLOCK_PARTS: Final = ("year", "month", "day", "hour", "minute", "second")


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """Where a row's time stands and how it is written."""

    columns: tuple[str, ...]
    how: str
    """`iso`, `iso zone`, `epoch`, `typed`, `parts`, or a strptime format."""
    guessed: str


# --- how they are written


def how_written(column: pa.Array, *, epoch: bool) -> tuple[str, str] | None:
    """(how a column's times are written, in words), or None if it holds none."""
    type_ = column.type
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return "typed", f"of type {type_}"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_):
        if not epoch:
            return None
        ns = guesses.epoch_ns(np.asarray(pc.drop_null(column)))
        return ("epoch", "seconds or parts of them since 1970") if _most(ns) else None
    if not (pa.types.is_string(type_) or pa.types.is_large_string(type_)):
        return None
    texts = pc.drop_null(column)
    if not len(texts):
        return None
    texts = texts.slice(0, 2_000)
    for how, words in (("iso zone", "ISO 8601 with offset"), ("iso", "ISO 8601, local")):
        if _parses(texts, how):
            return how, words
    for form, words in _FORMATS:
        if _parses(texts, form):
            return form, f"{form}: {words}"
    if epoch:
        numbers = cast_text(texts, pa.float64())
        if numbers is not None and _most(guesses.epoch_ns(np.asarray(numbers))):
            return "epoch", "seconds or parts of them since 1970"
    return None


def _most(ns: NDArray[np.int64]) -> bool:
    return len(ns) > 0 and bool((ns != guesses.NO_TIME).mean() > 0.9)


def _parses(texts: pa.Array, how: str) -> bool:
    """Whether nearly all are times written so."""
    if how.startswith("iso"):
        digits = pc.match_substring_regex(texts, r"^\s*\d{4}-\d\d-\d\d")
        if pc.sum(digits).as_py() < 0.98 * len(texts):
            return False
        found = iso_stamps(texts, how)
    else:
        found = pc.strptime(texts, format=how, unit="s", error_is_null=True)
    if found.null_count > 0.02 * len(texts):
        return False
    # A year of two digits read as one of four would be in antiquity.
    years = pc.year(pc.drop_null(found))
    return len(years) > 0 and pc.min(years).as_py() >= 1900 and pc.max(years).as_py() < 2200


def iso_stamps(texts: pa.Array, how: str) -> pa.Array:
    """Times of ISO texts; null for what is none."""
    texts = pc.utf8_trim_whitespace(texts)
    wanted = pa.timestamp("ns", tz="UTC") if how == "iso zone" else pa.timestamp("ns")
    try:
        return pc.cast(texts, wanted)
    except pa.ArrowInvalid:
        pass
    zone = pc.match_substring_regex(texts, r"(Z|z|[+-]\d\d(:?\d\d)?)\s*$")
    clock = pc.match_substring_regex(texts, r"\d\d:\d\d")
    fits = pc.and_(zone, clock) if how == "iso zone" else pc.invert(pc.and_(zone, clock))
    fits = pc.and_(
        fits,
        pc.match_substring_regex(
            texts, r"^\d{4}-\d\d-\d\d([T ]\d\d(:\d\d(:\d\d([.]\d{1,9})?)?)?)?"
        ),
    )
    kept = pc.if_else(fits, texts, pa.scalar(None, texts.type))
    try:
        return pc.cast(kept, wanted)
    except pa.ArrowInvalid:
        return pa.nulls(len(texts), wanted)


def cast_text(texts: pa.Array, type_: pa.DataType) -> pa.Array | None:
    """Texts as another type; None if one of them is not of it."""
    try:
        return pc.cast(pc.utf8_trim_whitespace(texts), type_)
    except pa.ArrowInvalid:
        return None


def as_text(column: pa.Array) -> pa.Array:
    """A column of any type as text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column if pa.types.is_string(column.type) else pc.cast(column, pa.string())


# --- times ----------------------------------------------------------------------------------


def times(
    batch: pa.RecordBatch, time: TimeColumn, zone: str, interval_s: float = 0.0, start: int = 0
) -> tuple[NDArray[np.int64], int]:
    """(UTC nanoseconds of each row, how many were ambiguous local times).

    Local times that occur twice when clocks go back are taken as the first; those that clocks
    going forward leave out are moved forward. `NO_TIME` where there is none.
    """
    if time.how == "rows":
        step_ns = round(interval_s * 1e9)
        return np.arange(start, start + batch.num_rows, dtype=np.int64) * step_ns, 0
    if time.how == "parts":
        return _localise(_of_parts(batch, time.columns), zone)
    column = batch.column(time.columns[0])
    if time.how == "epoch":
        if pa.types.is_string(column.type):
            whole = cast_text(column, pa.int64())
            column = whole if whole is not None else cast_text(column, pa.float64())
            if column is None:
                return np.full(batch.num_rows, guesses.NO_TIME, np.int64), 0
        filled = np.asarray(pc.fill_null(column, 0))
        return guesses.epoch_ns(filled), 0
    if time.how == "typed":
        own = getattr(column.type, "tz", None)
        stamps = pc.cast(column, pa.timestamp("ns", tz=own), safe=False)
        return (_numbers(stamps), 0) if own else _localise(stamps, zone)
    if time.how == "date and clock":
        clock = pc.replace_substring_regex(
            batch.column(time.columns[1]), r"^\s*(\d{1,2})[.](\d\d)[.]?(\d\d)?", r"\1:\2:\3"
        )
        clock = pc.replace_substring_regex(clock, r":$", "")
        clock = pc.utf8_trim_whitespace(pc.replace_substring_regex(clock, r"^\s*(\d):", r"0\1:"))
        date = pc.utf8_trim_whitespace(batch.column(time.columns[0]))
        column = pc.binary_join_element_wise(date, clock, " ")
        how = how_written(column, epoch=False)
        if how is None:
            return np.full(batch.num_rows, guesses.NO_TIME, np.int64), 0
        time = TimeColumn(time.columns, how[0], "")
    if time.how == "iso zone":
        return _numbers(iso_stamps(column, time.how)), 0
    if time.how == "iso":
        return _localise(iso_stamps(column, time.how), zone)
    texts = pc.utf8_trim_whitespace(column)
    stamps = pc.strptime(texts, format=time.how, unit="ns", error_is_null=True)
    return _localise(stamps, zone)


def _of_parts(batch: pa.RecordBatch, columns: tuple[str, ...]) -> pa.Array:
    """Local times of columns year, month, day …"""
    by_name = {guesses.bare(name): name for name in columns}
    parts: list[NDArray[np.int64]] = []
    for part, default in zip(CLOCK_PARTS, (1970, 1, 1, 0, 0, 0), strict=True):
        if part in by_name:
            column = batch.column(by_name[part])
            numbers = cast_text(as_text(column), pa.float64())
            parts.append(np.nan_to_num(np.asarray(numbers), nan=default).astype(np.int64))
        else:
            parts.append(np.full(batch.num_rows, default, np.int64))
    year, month, day, hour, minute, second = parts
    months = (year - 1970) * 12 + month - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    seconds = days.astype("datetime64[s]").astype(np.int64) + hour * 3600 + minute * 60 + second
    return pa.array(seconds * 1_000_000_000, pa.timestamp("ns"))


def _localise(stamps: pa.Array, zone: str) -> tuple[NDArray[np.int64], int]:
    if zone == "UTC":
        return _numbers(stamps), 0
    first = pc.assume_timezone(stamps, zone, ambiguous="earliest", nonexistent="latest")
    last = pc.assume_timezone(stamps, zone, ambiguous="latest", nonexistent="latest")
    early, late = _numbers(first), _numbers(last)
    return early, int((early != late).sum())


def _numbers(stamps: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.cast(stamps, pa.int64()), guesses.NO_TIME))
