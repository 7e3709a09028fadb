"""Recorded tables: CSV (any separator, gz, zst) and Parquet as columns.

What a table means, its layout, is found in `recording_look.py`; by that, `read` gives its rows as
columns. Everything goes through pyarrow; no row is ever a Python object. Refuses to know sinks
and clocks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pacsv
import pyarrow.parquet as papq
from numpy.typing import NDArray

from mirrorworld.connectors import guesses
from mirrorworld.connectors.recording_times import TimeColumn, as_text, times
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import SourceError

pc: Any = pyarrow.compute  # its functions are made at import, out of sight of type checkers

CSV_SUFFIXES: Final = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz", ".csv.zst")
PARQUET_SUFFIXES: Final = (".parquet", ".pq")
SUFFIXES: Final = (*CSV_SUFFIXES, *PARQUET_SUFFIXES)

BLOCK_BYTES: Final = 4 << 20
SORT_LIMIT_ROWS: Final = 20_000_000
BLANKS: Final = ["", "NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "None", "-", "#N/A"]
"""What stands for "no value": such a cell is no sample."""


@dataclass(frozen=True, slots=True)
class SignalColumn:
    """A column that becomes a point."""

    column: str
    point: str
    kind: Kind
    unit: str
    has_comma: bool = False
    """Whether decimals are written with a comma."""


@dataclass(slots=True)
class Layout:
    """What a file means."""

    path: Path
    time: TimeColumn
    entity: str
    """Name of the column that tells things apart; "" if the file is about one."""
    entities: tuple[str, ...]
    signals: tuple[SignalColumn, ...]
    n_rows: int
    first_ns: int
    last_ns: int
    is_sorted: bool
    step_ns: int
    """Between one time and the next, typically."""
    guessed: str
    n_untimed: int = 0
    n_ambiguous: int = 0
    n_broken: int = 0
    first_values: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """By entity: the first row of it, by column."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A stretch of rows as columns, blank cells masked."""

    start: int
    """Number of the first row."""
    time_ns: NDArray[np.int64]
    entity: NDArray[np.int64]
    """Index into the layout's entities; 0 where there is only one."""
    values: tuple[pa.Array, ...]
    """By signal, of type double, int64, bool or large_string; null where blank."""

    def __len__(self) -> int:
        return len(self.time_ns)

    def take(self, start: int, stop: int) -> Rows:
        """Rows from `start` to before `stop`, counted within these."""
        return Rows(
            self.start + start,
            self.time_ns[start:stop],
            self.entity[start:stop],
            tuple(value.slice(start, stop - start) for value in self.values),
        )


@dataclass(frozen=True, slots=True)
class Hints:
    """What a person says about a file; empty: guess."""

    time: str = ""
    entity: str = ""
    """`-`: the file is about one thing."""
    separator: str = ""
    zone: str = "UTC"
    interval_s: float = 0.0
    """With it, rows of a file without times are that far apart, from 1970 on."""


# --- opening --------------------------------------------------------------------------------


def files_at(path: Path) -> list[Path]:
    """The tables at a path: itself, or those in a folder.

    Raises:
        SourceError: there is none.
    """
    if path.is_dir():
        found = sorted(
            p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(SUFFIXES)
        )
        if not found:
            raise SourceError(f"{path}: no table in this folder ({', '.join(SUFFIXES)})")
        return found
    if not path.exists():
        raise SourceError(
            f"{path}: no such file; check the path, relative ones start at {Path.cwd()}"
        )
    if not path.name.lower().endswith(SUFFIXES):
        raise SourceError(f"{path}: not a kind of table that is known ({', '.join(SUFFIXES)})")
    return [path]


@dataclass(slots=True)
class Table:
    """A file as batches of columns: CSV's all text, Parquet's as typed there."""

    path: Path
    names: list[str]
    encoding: str = "utf8"
    separator: str = ","
    has_header: bool = True
    n_broken: int = 0

    @property
    def is_parquet(self) -> bool:
        return self.path.name.lower().endswith(PARQUET_SUFFIXES)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, in order."""
        if self.is_parquet:
            for batch in papq.ParquetFile(self.path).iter_batches(batch_size=65_536):
                yield pa.RecordBatch.from_arrays(batch.columns, names=self.names)
            return
        self.n_broken = 0

        def broken(_: Any) -> str:
            self.n_broken += 1
            return "skip"

        with pa.input_stream(str(self.path), compression="detect") as stream:
            reader = pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(
                    column_names=self.names,
                    skip_rows=1 if self.has_header else 0,
                    encoding=self.encoding,
                    block_size=BLOCK_BYTES,
                    use_threads=False,
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=self.separator, invalid_row_handler=broken
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(self.names, pa.string()),
                    null_values=BLANKS,
                    strings_can_be_null=True,
                ),
            )
            yield from reader


def open_table(path: Path, hints: Hints) -> Table:
    """A file's columns, separator, encoding and heading, from its first lines.

    Raises:
        SourceError: it is empty.
    """
    if path.name.lower().endswith(PARQUET_SUFFIXES):
        names = [str(name) for name in papq.ParquetFile(path).schema_arrow.names]
        return Table(path, _unique(names))
    with pa.input_stream(str(path), compression="detect") as stream:
        head = stream.read(1 << 16)
    if not head.strip():
        raise SourceError(f"{path}: the file is empty")
    encoding = "utf8"
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            encoding = "cp1252"
        text = head.decode(encoding, errors="replace").lstrip("\ufeff")
    lines = text.splitlines()[:50]
    if len(head) == 1 << 16 and len(lines) > 1:
        lines = lines[:-1]
    separator = hints.separator or _separator(lines)
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=separator))
    first = rows[0]
    has_header = not any(_is_value(cell) for cell in first)
    names = [cell.strip() for cell in first] if has_header else [""] * len(first)
    names = [name or f"column_{i + 1}" for i, name in enumerate(names)]
    return Table(path, _unique(names), encoding, separator, has_header)


def _separator(lines: list[str]) -> str:
    """The one that cuts every line into the same number of parts, and into most."""
    best, most = ",", 0
    for separator in (";", "\t", ",", "|"):
        rows = csv.reader(io.StringIO("\n".join(lines)), delimiter=separator)
        counts = [len(row) for row in rows if row]
        is_even = bool(counts) and counts.count(counts[0]) >= 0.9 * len(counts)
        if is_even and counts[0] > max(1, most):
            best, most = separator, counts[0]
    return best


def _is_value(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return guesses.iso_ns(cell) is not None
    return True


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    out: list[str] = []
    for name in names:
        n = seen[name] = seen.get(name, 0) + 1
        out.append(name if n == 1 else f"{name} ({n})")
    return out


# --- reading --------------------------------------------------------------------------------


def read(layout: Layout, hints: Hints) -> Iterator[Rows]:
    """The rows of a file, in order of time where the file can be sorted in memory, else as they
    stand. The same file always gives the same rows under the same numbers.

    Raises:
        SourceError: the file has changed since it was looked at.
    """
    try:
        if layout.is_sorted or layout.n_rows > SORT_LIMIT_ROWS:
            yield from _read(layout, hints)
            return
        parts = list(_read(layout, hints))
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise SourceError(f"{layout.path}: has changed while it was read: {error}") from error
    time_ns = np.concatenate([part.time_ns for part in parts])
    order = np.argsort(time_ns, kind="stable")
    entity = np.concatenate([part.entity for part in parts])
    columns = [
        pa.concat_arrays([part.values[i] for part in parts]) for i in range(len(layout.signals))
    ]
    for start in range(0, len(order), 65_536):
        rows = order[start : start + 65_536]
        taken = tuple(column.take(pa.array(rows)) for column in columns)
        yield Rows(start, time_ns[rows], entity[rows], taken)


def _read(layout: Layout, hints: Hints) -> Iterator[Rows]:
    table = open_table(layout.path, hints)
    index = pa.array(list(layout.entities))
    start = 0
    for batch in table.batches():
        ns, _ = times(batch, layout.time, hints.zone, hints.interval_s, start)
        if layout.entity:
            names = pc.fill_null(as_text(batch.column(layout.entity)), "")
            entity = np.asarray(pc.fill_null(pc.index_in(names, index), 0)).astype(np.int64)
        else:
            entity = np.zeros(batch.num_rows, np.int64)
        values = tuple(_values(batch.column(s.column), s) for s in layout.signals)
        yield Rows(start, ns, entity, values)
        start += batch.num_rows


_ARROW: Final = {
    Kind.FLOAT: pa.float64(),
    Kind.INT: pa.int64(),
    Kind.BOOL: pa.bool_(),
    Kind.TEXT: pa.large_string(),
}


def _values(column: pa.Array, signal: SignalColumn) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if is_text and signal.kind is not Kind.TEXT:
        if signal.has_comma:
            column = pc.replace_substring(column, ",", ".")
        column = pc.utf8_trim_whitespace(column)
    elif signal.kind is Kind.TEXT and not is_text:
        column = pc.cast(column, pa.string())
    return pc.cast(column, _ARROW[signal.kind], safe=False if not is_text else None)
