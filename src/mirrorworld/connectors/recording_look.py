"""What a recorded table means: its time, the things it is about, and the kind of each column.

A pass over the whole file: what the first rows suggest, all rows have to bear out. Kinds are
decided by whole columns, so no value ever turns out not to fit.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from mirrorworld.connectors import guesses
from mirrorworld.connectors.recording_file import Hints, Layout, SignalColumn, Table, open_table
from mirrorworld.connectors.recording_times import (
    CLOCK_PARTS,
    TimeColumn,
    as_text,
    cast_text,
    how_written,
    times,
)
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import SourceError

pc: Any = pyarrow.compute  # its functions are made at import, out of sight of type checkers

LOOK_ROWS: Final = 20_000
"""How many rows are looked at for guesses that the whole file then has to bear out."""
ENTITIES_MAX: Final = 5_000

_TIME_WORDS: Final = re.compile(r"time|date|datum|zeit|stamp|epoch", re.IGNORECASE)
_ENTITY_WORDS: Final = re.compile(
    r"name|id$|^id|unit|asset|machine|turbine|station|device|sensor|tag|equip|line|building|meter"
    r"|pump|vehicle|engine|robot|cell|zone|room|channel|node|code|entity|item",
    re.IGNORECASE,
)


def look(path: Path, hints: Hints) -> Layout:
    """What a file means, from a pass over all of it.

    Raises:
        SourceError: it cannot be read, or no time is found in it; the message names the mend.
    """
    try:
        return _look(path, hints)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError, csv.Error) as error:
        raise SourceError(f"{path}: cannot be read as a table: {error}") from error


def _look(path: Path, hints: Hints) -> Layout:
    table = open_table(path, hints)
    head = _head(table)
    if not head.num_rows:
        raise SourceError(f"{path}: there are no rows in it")
    time = _find_time(head, hints, path)
    time_head, _ = times(head, time, hints.zone, hints.interval_s)
    others = [name for name in table.names if name not in time.columns]
    entity, why_entity = _find_entity(head, others, time_head, hints, path)
    signals_from = [name for name in others if name != entity]
    progress = {name: _Progress() for name in signals_from}
    entities: dict[str, None] = {}
    n_rows = n_untimed = n_ambiguous = 0
    first_ns, last_ns, previous = 2**63 - 1, -(2**63), -(2**63)
    is_sorted = True
    for batch in table.batches():
        ns, ambiguous = times(batch, time, hints.zone, hints.interval_s, n_rows)
        n_rows += len(ns)
        n_ambiguous += ambiguous
        known = ns[ns != guesses.NO_TIME]
        n_untimed += len(ns) - len(known)
        if len(known):
            first_ns, last_ns = min(first_ns, int(known.min())), max(last_ns, int(known.max()))
            is_sorted &= bool(known[0] >= previous and (np.diff(known) >= 0).all())
            previous = int(known[-1])
        for name, one in progress.items():
            one.look(batch.column(name))
        if entity:
            for value in pc.unique(as_text(batch.column(entity))).to_pylist():
                entities.setdefault(value or "", None)
            if len(entities) > ENTITIES_MAX:
                raise SourceError(
                    f"{path}: column '{entity}' has more than {ENTITIES_MAX} values, too many for"
                    " twins; set the option entity to another column, or to '-'"
                )
    if first_ns > last_ns:
        raise SourceError(f"{path}: no row has a time in {' and '.join(time.columns)}")
    signals = _signals(signals_from, progress)
    distinct = np.unique(time_head[time_head != guesses.NO_TIME])
    step_ns = int(np.median(np.diff(distinct))) if len(distinct) > 1 else 1_000_000_000
    guessed = f"time is {time.guessed}; {why_entity}"
    if not table.is_parquet:
        guessed += f"; columns are separated by {table.separator!r}"
        guessed += "" if table.has_header else "; the first line is no heading"
    values = _first_values(head, signals_from, entity)
    return Layout(
        path,
        time,
        entity,
        tuple(entities) or ("",),
        signals,
        n_rows,
        first_ns,
        last_ns,
        is_sorted,
        step_ns,
        guessed,
        n_untimed,
        n_ambiguous,
        table.n_broken,
        values,
    )


def _first_values(head: pa.RecordBatch, names: list[str], entity: str) -> dict[str, dict[str, Any]]:
    """The first row of each entity among the first rows, by column."""
    first = {"": 0}
    if entity:
        codes = as_text(head.column(entity)).dictionary_encode()
        index = np.asarray(codes.indices.fill_null(-1))
        known, where = np.unique(index, return_index=True)
        first = {
            codes.dictionary[int(code)].as_py(): int(row)
            for code, row in zip(known, where, strict=True)
            if code >= 0
        }
    return {
        value: {name: head.column(name)[row].as_py() for name in names}
        for value, row in first.items()
    }


def _head(table: Table) -> pa.RecordBatch:
    """The first rows."""
    for batch in table.batches():
        return batch.slice(0, LOOK_ROWS)
    return pa.RecordBatch.from_arrays(
        [pa.array([], pa.string()) for _ in table.names], names=table.names
    )


def _find_time(head: pa.RecordBatch, hints: Hints, path: Path) -> TimeColumn:
    names = head.schema.names
    if hints.time:
        if hints.time not in names:
            raise SourceError(
                f"{path}: option time: no column '{hints.time}'; there are {', '.join(names)}"
            )
        how = how_written(head.column(hints.time), epoch=True)
        if how is None:
            raise SourceError(f"{path}: option time: '{hints.time}' holds no times that are known")
        return TimeColumn((hints.time,), how[0], f"column '{hints.time}', as was said ({how[1]})")
    named = [n for n in names if guesses.is_time_name(n)]
    named += [n for n in names if n not in named and _TIME_WORDS.search(n)]
    for name in (*named, *(n for n in names if n not in named)):
        how = how_written(head.column(name), epoch=name in named)
        if how is None:
            continue
        if how[0] in ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y") or (
            how[0] == "iso" and _has_no_clock(head.column(name))
        ):
            clock = _clock_beside(head, name)
            if clock is not None:
                guess = f"columns '{name}' and '{clock}' together"
                return TimeColumn((name, clock), "date and clock", guess)
        return TimeColumn((name,), how[0], f"column '{name}' ({how[1]})")
    parts = {guesses.bare(n): n for n in names}
    found = [parts[p] for p in CLOCK_PARTS if p in parts]
    if len(found) >= 3 and all(p in parts for p in ("year", "month", "day")):
        return TimeColumn(tuple(found), "parts", f"columns {', '.join(found)} together")
    if hints.interval_s > 0:
        return TimeColumn((), "rows", f"row number times {hints.interval_s:g} s, as was said")
    raise SourceError(
        f"{path}: no column holds times; name it with the option time, or say with interval_s how"
        f" far apart rows are. Columns are {', '.join(names[:20])}"
    )


def _has_no_clock(column: pa.Array) -> bool:
    texts = pc.drop_null(column)
    if not pa.types.is_string(texts.type):
        return False
    return not pc.any(pc.match_substring(texts, ":")).as_py()


def _clock_beside(head: pa.RecordBatch, date: str) -> str | None:
    """A column of times of day, beside one of dates."""
    for name in head.schema.names:
        column = head.column(name)
        if name == date or not pa.types.is_string(column.type):
            continue
        texts = pc.drop_null(column)
        if len(texts):
            fits = pc.match_substring_regex(texts, r"^\s*\d{1,2}[:.]\d\d([:.]\d\d([.,]\d+)?)?\s*$")
            is_named = bool(_TIME_WORDS.search(name) or "hour" in name.lower())
            if is_named and pc.sum(fits).as_py() > 0.98 * len(texts):
                return name
    return None


def _find_entity(
    head: pa.RecordBatch, names: list[str], ns: NDArray[np.int64], hints: Hints, path: Path
) -> tuple[str, str]:
    """(column that tells things apart or "", why)."""
    if hints.entity == "-":
        return "", "the rows are about one thing, as was said"
    if hints.entity:
        if hints.entity not in names:
            raise SourceError(
                f"{path}: option entity: no column '{hints.entity}'; there are {', '.join(names)}"
            )
        return hints.entity, f"each value of '{hints.entity}' is a thing, as was said"
    n = len(ns)
    repeated = n - len(np.unique(ns))
    if repeated < 0.2 * n:
        sorted_apart = _runs_apart(head, names, ns)
        if sorted_apart:
            return sorted_apart, f"each value of '{sorted_apart}' is a thing: it starts time anew"
        return "", "the rows are about one thing: their times hardly repeat"
    best, best_left = "", 0.1 * repeated
    for name in names:
        column = head.column(name)
        texts = as_text(column) if not pa.types.is_floating(column.type) else None
        if texts is None:
            continue
        codes = texts.dictionary_encode()
        n_values = len(codes.dictionary)
        if not 2 <= n_values <= min(ENTITIES_MAX, max(2, n // 4)):
            continue
        is_number = cast_text(codes.dictionary, pa.float64()) is not None
        if is_number and not _ENTITY_WORDS.search(name):
            continue
        index = np.asarray(codes.indices.fill_null(0)).astype(np.int64)
        pairs = np.unique(np.stack([ns, index]), axis=1).shape[1]
        if n - pairs < best_left:
            best, best_left = name, n - pairs
    if best:
        return best, f"each value of '{best}' is a thing: with it, times hardly repeat"
    return "", "the rows are about one thing: no column tells more apart"


def _runs_apart(head: pa.RecordBatch, names: list[str], ns: NDArray[np.int64]) -> str:
    """A text column that changes exactly where time jumps back: one thing after another."""
    back = np.flatnonzero(np.diff(ns) < 0) + 1
    if not len(back) or len(back) > 1_000:
        return ""
    for name in names:
        column = head.column(name)
        if pa.types.is_floating(column.type) or not _ENTITY_WORDS.search(name):
            continue
        codes = as_text(column).dictionary_encode()
        index = np.asarray(codes.indices.fill_null(0))
        if set(back.tolist()) <= set((np.flatnonzero(np.diff(index)) + 1).tolist()):
            return name
    return ""


class _Progress:
    """Which kinds a column can still have, batch by batch."""

    def __init__(self) -> None:
        self.kinds = [Kind.BOOL, Kind.INT, Kind.FLOAT]
        self.has_comma = False
        self.has_values = False
        self.is_typed = False

    def look(self, column: pa.Array) -> None:
        """Rules out what a batch of the column is not."""
        type_ = column.type
        if not (pa.types.is_string(type_) or pa.types.is_large_string(type_)):
            self._look_typed(column)
            return
        texts = pc.drop_null(column)
        if not len(texts):
            return
        self.has_values = True
        if Kind.BOOL in self.kinds:
            lower = pc.utf8_lower(texts)
            is_word = pc.is_in(lower, pa.array(["true", "false"]))
            if not pc.all(is_word).as_py():
                self.kinds.remove(Kind.BOOL)
        if Kind.INT in self.kinds and (
            cast_text(texts, pa.int64()) is None
            # 007 is a name, not a number.
            or pc.any(pc.match_substring_regex(texts, r"^-?0\d")).as_py()
        ):
            self.kinds.remove(Kind.INT)
        if Kind.FLOAT in self.kinds:
            if not self.has_comma and cast_text(texts, pa.float64()) is not None:
                if pc.any(pc.match_substring_regex(texts, r"^-?0\d")).as_py():
                    self.kinds.remove(Kind.FLOAT)
            elif cast_text(pc.replace_substring(texts, ",", "."), pa.float64()) is not None:
                self.has_comma = True
            else:
                self.kinds.remove(Kind.FLOAT)

    def _look_typed(self, column: pa.Array) -> None:
        type_ = column.type
        self.is_typed = True
        self.has_values |= column.null_count < len(column)
        if pa.types.is_boolean(type_):
            self.kinds = [Kind.BOOL]
        elif pa.types.is_integer(type_) and not pa.types.is_uint64(type_):
            self.kinds = [Kind.INT]
        elif pa.types.is_floating(type_) or pa.types.is_decimal(type_) or pa.types.is_uint64(type_):
            self.kinds = [Kind.FLOAT]
        else:
            self.kinds = []

    @property
    def kind(self) -> Kind:
        """The narrowest kind that all values have."""
        if not self.has_values and not self.is_typed:
            return Kind.FLOAT
        return self.kinds[0] if self.kinds else Kind.TEXT


def _signals(names: list[str], progress: dict[str, _Progress]) -> tuple[SignalColumn, ...]:
    shorts = {name: guesses.unit_of_name(name) for name in names}
    short_names = [short for short, _ in shorts.values()]
    out: list[SignalColumn] = []
    for name in names:
        short, unit = shorts[name]
        kind = progress[name].kind
        point = short if short_names.count(short) == 1 else name
        unit = unit if kind in (Kind.FLOAT, Kind.INT) else ""
        out.append(SignalColumn(name, point, kind, unit, progress[name].has_comma))
    return tuple(out)
