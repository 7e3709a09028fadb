"""The history of points as CSV or Parquet, piece by piece: memory stays bounded however long it is.

Point by point, each in the order of time; every sample at full resolution.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from mirrorworld.operations.shifts import zone_of
from mirrorworld.protocol.series import values_of
from mirrorworld.world.frames import decode_array
from mirrorworld.world.model import Kind, PointType, point_id
from mirrorworld.world.ports import Record, Series
from mirrorworld.world.quality import name as quality_name
from mirrorworld.world.structure import Structure

if TYPE_CHECKING:
    import pyarrow as pa

Named = Sequence[tuple[int, str, PointType]]
"""Handle, twin and type of each point."""

FIRST_PIECE_NS: Final = 600_000_000_000
LONGEST_PIECE_NS: Final = 30 * 86_400_000_000_000
SHORTEST_PIECE_NS: Final = 1_000_000_000
PIECE_ROWS: Final = 200_000
"""What is read at a time is made longer or shorter, so that it has about as many samples."""
ROW_GROUP_ROWS: Final = 100_000
FORMS: Final = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_HEADS: Final = ("time", "point", "value", "unit", "quality")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def history_csv(
    record: Record, points: Named, start_ns: int, end_ns: int, zone: ZoneInfo
) -> Iterator[str]:
    """CSV with a row for each sample; times are ISO 8601 in a zone."""
    yield _lines([_HEADS])
    for handle, twin, kind in points:
        name, unit = text_cell(point_id(twin, kind.name)), text_cell(kind.unit)
        for series in _pieces(record, handle, start_ns, end_ns):
            names = {int(q): quality_name(int(q)) for q in np.unique(series.quality)}
            yield _lines(
                (
                    iso_text(time_ns, zone),
                    name,
                    text_cell(value) if isinstance(value, str) else value,
                    unit,
                    names[quality],
                )
                for time_ns, value, quality in zip(
                    series.source_ns.tolist(),
                    values_of(kind.kind, series),
                    series.quality.tolist(),
                    strict=True,
                )
            )


def history_parquet(record: Record, points: Named, start_ns: int, end_ns: int) -> Iterator[bytes]:
    """Parquet with a row for each sample: point, time (UTC, ns), value, integer, text, array, unit,
    quality (OPC UA status code), quality_name.

    `value` has numbers, whole ones and yes/no (1, 0) too; `integer` those exactly.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [
            ("point", pa.string()),
            ("time", pa.timestamp("ns", "UTC")),
            ("value", pa.float64()),
            ("integer", pa.int64()),
            ("text", pa.string()),
            ("array", pa.list_(pa.float64())),
            ("unit", pa.string()),
            ("quality", pa.uint32()),
            ("quality_name", pa.string()),
        ]
    )
    sink = _Sink()
    waiting: list[pa.Table] = []
    with pq.ParquetWriter(pa.PythonFile(sink, "w"), schema, compression="zstd") as writer:
        for handle, twin, kind in points:
            for series in _pieces(record, handle, start_ns, end_ns):
                waiting.append(_table(schema, point_id(twin, kind.name), kind, series))
                if sum(table.num_rows for table in waiting) >= ROW_GROUP_ROWS:
                    writer.write_table(pa.concat_tables(waiting), ROW_GROUP_ROWS)
                    waiting.clear()
                    yield sink.taken()
        if waiting:
            writer.write_table(pa.concat_tables(waiting), ROW_GROUP_ROWS)
    yield sink.taken()


def write(
    record: Record, points: Named, start_ns: int, end_ns: int, path: Path, zone: str = "UTC"
) -> None:
    """Writes the history of points to a file, in the form that its name ends in.

    Raises:
        ValueError: it ends in neither `.csv` nor `.parquet`, or there is no such zone.
    """
    form = path.suffix.removeprefix(".")
    if form not in FORMS:
        raise ValueError(f"{path}: no such form; let it end in .csv or .parquet")
    with_zone = zone_of(zone, "zone")
    new = path.with_name(f".{path.name}.part")
    try:
        with new.open("wb") as file:
            if form == "csv":
                for text in history_csv(record, points, start_ns, end_ns, with_zone):
                    file.write(text.encode())
            else:
                for piece in history_parquet(record, points, start_ns, end_ns):
                    file.write(piece)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def chosen(structure: Structure, points: Iterable[str], twins: Iterable[str]) -> Named:
    """Points by name (`twin.point`), and all points of twins.

    Raises:
        KeyError: there is no such point or twin; the message names it.
    """
    found: dict[int, tuple[int, str, PointType]] = {}
    for name in points:
        at = len(name)
        while (at := name.rfind(".", 0, at)) >= 0 and name[:at] not in structure.twins:
            pass
        if at < 0:
            raise KeyError(f"{name}: no such point; one is written twin.point")
        handle = structure.handle(name[:at], name[at + 1 :])
        found[handle] = (handle, *structure.point(handle))
    for twin in twins:
        if twin not in structure.twins:
            raise KeyError(f"{twin}: there is no such twin")
        for point in structure.points_of(twin):
            found[point.handle] = (point.handle, twin, point.type)
    return list(found.values())


def _table(schema: pa.Schema, name: str, kind: PointType, series: Series) -> pa.Table:
    import pyarrow as pa

    rows = len(series.cell)
    none = {f.name: pa.nulls(rows, f.type) for f in schema}
    quality = pa.array(series.quality)
    codes = pa.array(series.quality).dictionary_encode()
    names = pa.array([quality_name(int(q)) for q in codes.dictionary.to_pylist()], pa.string())
    column: dict[str, Any] = {
        **none,
        "point": pa.array([name]).take(pa.array(np.zeros(rows, np.int64))),
        "time": pa.array(series.source_ns).cast(pa.timestamp("ns", "UTC")),
        "unit": pa.array([kind.unit]).take(pa.array(np.zeros(rows, np.int64))),
        "quality": quality,
        "quality_name": names.take(codes.indices),
    }
    if kind.kind is Kind.FLOAT:
        column["value"] = pa.array(series.cell.view(np.float64))
    elif not kind.kind.is_heap:
        column["integer"] = pa.array(series.cell)
        column["value"] = pa.array(series.cell.astype(np.float64))
    elif kind.kind is Kind.ARRAY:
        arrays = [np.asarray(decode_array(p), np.float64) if p else None for p in _payloads(series)]
        column["array"] = pa.array(arrays, schema.field("array").type)
    elif kind.kind is Kind.TEXT:
        texts = [payload.decode(errors="replace") for payload in _payloads(series)]
        column["text"] = pa.array(texts, pa.string())
    else:  # a blob is told by its digest
        column["text"] = pa.array([p.hex() for p in _payloads(series)], pa.string())
    return pa.table(column, schema=schema)


def _payloads(series: Series) -> Iterator[bytes]:
    for cell in series.cell.tolist():
        yield series.heap[cell >> 32 : (cell >> 32) + (cell & 0xFFFF_FFFF)]


def _pieces(record: Record, handle: int, start_ns: int, end_ns: int) -> Iterator[Series]:
    """The samples of a point in pieces that are not empty."""
    at, length = start_ns, FIRST_PIECE_NS
    while at < end_ns:
        until = min(at + length, end_ns)
        series = record.read(handle, at, until)
        at = until
        rows = len(series.cell)
        if rows:
            yield series
        grown = length * PIECE_ROWS // rows if rows else LONGEST_PIECE_NS
        length = max(SHORTEST_PIECE_NS, min(grown, length * 8, LONGEST_PIECE_NS))


class _Sink(io.RawIOBase):
    """A file that is taken away piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def text_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def iso_text(time_ns: int, zone: ZoneInfo) -> str:
    """A time to the nanosecond, with its offset from UTC."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, zone)
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest:09d}{offset[:3]}:{offset[3:5]}"


def _lines(rows: object) -> str:
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\r\n").writerows(rows)  # pyright: ignore[reportArgumentType]
    return lines.getvalue()
