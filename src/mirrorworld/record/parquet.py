"""The compacted past: Parquet files by day, sorted by (point, time), and their roll-ups.

A manifest lists the files that count; it is replaced in one step, so a reader sees the past
before or after a compaction and never between. Any program that reads Parquet can read the
files where they lie; docs/record-format.md has the columns.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from mirrorworld.record.arrow import pa, pq
from mirrorworld.record.codec import CODEC
from mirrorworld.record.files import Files, write_whole
from mirrorworld.record.segments import CorruptRecordError
from mirrorworld.record.tail import AsOf
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Series

DAY_NS: Final = 86_400_000_000_000
ROW_GROUP_ROWS: Final = 1 << 16
OPEN_FILES: Final = 64
MANIFEST_VERSION: Final = 1

STEPS_NS: Final = {"1m": 60_000_000_000, "1h": 3_600_000_000_000, "1d": DAY_NS}


@functools.cache
def sample_schema() -> pa.Schema:
    """Of `number` (floats), `integer` (integers, booleans, codes) and `payload` (text, arrays,
    blobs) one is set. Times are UTC."""
    return pa.schema(
        [
            ("point", pa.uint32()),
            ("time", pa.timestamp("ns")),
            ("number", pa.float64()),
            ("integer", pa.int64()),
            ("payload", pa.binary()),
            ("quality", pa.uint32()),
            ("sequence", pa.int64()),
        ]
    )


@functools.cache
def rollup_schema() -> pa.Schema:
    """One row a point and step; after late data there may be several, which `merge_rollups`
    joins."""
    return pa.schema(
        [
            ("point", pa.uint32()),
            ("time", pa.timestamp("ns")),
            ("count", pa.int64()),
            ("min", pa.float64()),
            ("max", pa.float64()),
            ("mean", pa.float64()),
            ("first", pa.float64()),
            ("last", pa.float64()),
            ("first_time", pa.timestamp("ns")),
            ("last_time", pa.timestamp("ns")),
        ]
    )


class FileEntry(msgspec.Struct, frozen=True):
    """One Parquet file of the past."""

    path: str
    """Below the history directory."""
    day: int
    """Days since 1970, of its source times."""
    rows: int
    point_min: int
    point_max: int
    time_min: int
    time_max: int
    size_bytes: int
    step: str = ""
    """Of a roll-up; empty for samples."""


class Manifest(msgspec.Struct, frozen=True):
    """Which files count, and what is no longer kept."""

    version: int = MANIFEST_VERSION
    through: int = 0
    """Number of the last segment whose samples are in the files."""
    through_sequence: int = 0
    first_segment: int = 0
    """Segments of the log with a lower number are no longer kept."""
    files: tuple[FileEntry, ...] = ()
    raw_from_ns: int = -(1 << 63)
    """Samples before this are no longer kept (retention); roll-ups may be."""
    rollups_from_ns: int = -(1 << 63)
    dropped_rows: int = 0
    dropped_files: int = 0
    dropped_segments: int = 0

    def samples(self) -> list[FileEntry]:
        """The files of samples."""
        return [f for f in self.files if not f.step]

    def rollups(self, step: str) -> list[FileEntry]:
        """The files of roll-ups of a step."""
        return [f for f in self.files if f.step == step]


@dataclass(frozen=True, slots=True)
class Rollup:
    """Numbers of a point by step; columns of equal length. Bad samples do not count."""

    time_ns: NDArray[np.int64]
    """When each step begins."""
    count: NDArray[np.int64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    mean: NDArray[np.float64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    first_ns: NDArray[np.int64]
    last_ns: NDArray[np.int64]


class Compacted:
    """Reads the history directory. Any thread."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._manifest = Manifest()
        self._stamp: tuple[int, int] | None = None
        self._open: OrderedDict[str, pq.ParquetFile] = OrderedDict()

    def manifest(self) -> Manifest:
        """What counts now.

        Raises:
            CorruptRecordError: the manifest is damaged or of a newer version.
        """
        path = self.directory / "manifest.json"
        try:
            stat = path.stat()
            with self._lock:
                if (stat.st_mtime_ns, stat.st_ino) == self._stamp:
                    return self._manifest
            manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
        except FileNotFoundError:
            return Manifest()
        except msgspec.MsgspecError as error:
            raise CorruptRecordError(
                f"{path} is damaged: {error}. Remove {self.directory}: it is made anew from the"
                f" log as far as that is kept"
            ) from error
        if manifest.version > MANIFEST_VERSION:
            raise CorruptRecordError(
                f"{path} has version {manifest.version}; this version reads up to"
                f" {MANIFEST_VERSION}. Upgrade mirrorworld"
            )
        with self._lock:
            self._manifest, self._stamp = manifest, (stat.st_mtime_ns, stat.st_ino)
            known = {f.path for f in manifest.files}
            for name in [n for n in self._open if n not in known]:
                del self._open[name]
        return manifest

    def read(
        self, manifest: Manifest, point: int, kind: Kind, start_ns: int, end_ns: int
    ) -> Series:
        """Samples of a point with start <= source time < end, file by file."""
        column = _column_of(kind)
        times, cells, qualities, sequences = [], [], [], []
        heap: list[bytes] = []
        heap_bytes = 0
        for entry in _overlapping(manifest.samples(), point, start_ns, end_ns):
            for table in self._point(entry, point, start_ns, end_ns, column):
                times.append(table["time"])
                qualities.append(table["quality"])
                sequences.append(table["sequence"])
                if column == "payload":
                    payloads: list[bytes] = table["payload"]
                    lengths = np.array([len(p) for p in payloads], np.int64)
                    starts = np.cumsum(lengths) - lengths + heap_bytes
                    cells.append(starts << 32 | lengths)
                    heap.extend(payloads)
                    heap_bytes += int(lengths.sum())
                else:
                    cells.append(table[column].view(np.int64))
        if not times:
            nothing = np.empty(0, np.int64)
            return Series(nothing, nothing, np.empty(0, np.uint32), nothing)
        return Series(
            np.concatenate(times),
            np.concatenate(cells),
            np.concatenate(qualities),
            np.concatenate(sequences),
            b"".join(heap),
        )

    def rollup(self, manifest: Manifest, point: int, step: str, start_ns: int, end_ns: int) -> Any:
        """Roll-ups of a point, as a table of `rollup_schema`; several rows a step are possible."""
        parts: list[pa.Table] = []
        for entry in _overlapping(manifest.rollups(step), point, start_ns, end_ns):
            for table in self._groups(entry, point, rollup_schema().names):
                times = _i64(table["time"])
                inside = (times >= start_ns) & (times < end_ns)
                parts.append(table.filter(pa.array(inside)))
        return pa.concat_tables(parts) if parts else rollup_schema().empty_table()

    def apply_latest(
        self, manifest: Manifest, limit_ns: int, kinds: NDArray[np.uint8], columns: AsOf
    ) -> None:
        """Moves columns by handle on by all samples that are not later than a time."""
        entries = sorted(manifest.samples(), key=lambda f: -f.time_max)
        n = len(columns.cell)
        for entry in entries:
            if entry.time_min > limit_ns:
                continue
            oldest = columns.source_ns[entry.point_min : entry.point_max + 1]
            if len(oldest) and oldest.min() > entry.time_max:
                continue
            file = self._file(entry)
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                point = table["point"].to_numpy()
                keep = point < n
                cell = _cells(table, kinds[np.minimum(point, n - 1)])
                CODEC.latest(
                    np.ascontiguousarray(point[keep]),
                    np.ascontiguousarray(cell[keep]),
                    np.ascontiguousarray(table["quality"].to_numpy()[keep]),
                    np.ascontiguousarray(_i64(table["time"])[keep]),
                    limit_ns,
                    columns.cell,
                    columns.source_ns,
                    columns.quality,
                )

    def _point(
        self, entry: FileEntry, point: int, start_ns: int, end_ns: int, column: str
    ) -> Iterable[dict[str, Any]]:
        names = ["point", "time", column, "quality", "sequence"]
        for table in self._groups(entry, point, names):
            times = _i64(table["time"])
            low, high = np.searchsorted(times, (start_ns, end_ns))
            if low == high:
                continue
            rows = table.slice(low, high - low)
            values = rows[column]
            yield {
                "time": times[low:high],
                "quality": rows["quality"].to_numpy(),
                "sequence": rows["sequence"].to_numpy(),
                column: values.to_pylist() if column == "payload" else values.to_numpy(),
            }

    def _groups(self, entry: FileEntry, point: int, names: Sequence[str]) -> Iterable[pa.Table]:
        """The rows of a point, by row group; sorted by time within each."""
        file = self._file(entry)
        for group in range(file.num_row_groups):
            statistics = file.metadata.row_group(group).column(0).statistics
            if statistics is not None and not statistics.min <= point <= statistics.max:
                continue
            table = file.read_row_group(group, columns=list(names), use_threads=False)
            low, high = np.searchsorted(table["point"].to_numpy(), (point, point + 1))
            if low < high:
                yield table.slice(low, high - low)

    def _file(self, entry: FileEntry) -> pq.ParquetFile:
        with self._lock:
            file = self._open.pop(entry.path, None)
        if file is None:
            file = pq.ParquetFile(self.directory / entry.path, memory_map=True)
        with self._lock:
            self._open[entry.path] = file
            while len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)
        return file


def write_manifest(directory: Path, manifest: Manifest, files: Files) -> None:
    """Makes a manifest the one that counts, in one step."""
    write_whole(
        files, directory / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest))
    )


def sample_table(
    point: NDArray[np.uint32],
    time: NDArray[np.int64],
    cell: NDArray[np.int64],
    quality: NDArray[np.uint32],
    sequence: NDArray[np.int64],
    kind: NDArray[np.uint8],
    payloads: Sequence[bytes],
) -> pa.Table:
    """A table of `sample_schema`. `payloads` are those of the rows whose kind is of variable
    size, in the order of rows."""
    is_float = kind == Kind.FLOAT
    is_heap = kind >= Kind.TEXT
    content: pa.Array
    if is_heap.any():
        everything: list[bytes | None] = [None] * len(point)
        for row, payload in zip(np.flatnonzero(is_heap).tolist(), payloads, strict=True):
            everything[row] = payload
        content = pa.array(everything, pa.binary())
    else:
        content = pa.nulls(len(point), pa.binary())
    # Arrow takes a mask of what is null; NaN stays NaN, to the last bit.
    return pa.table(
        [
            pa.array(point),
            pa.array(time).view(pa.timestamp("ns")),
            pa.array(cell.view(np.float64), mask=~is_float, from_pandas=False),
            pa.array(cell, mask=is_float | is_heap),
            content,
            pa.array(quality),
            pa.array(sequence),
        ],
        schema=sample_schema(),
    )


def writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer with the encodings that suit sorted samples."""
    integers = [
        f.name for f in schema if pa.types.is_integer(f.type) or pa.types.is_timestamp(f.type)
    ]
    integers = [name for name in integers if name not in ("point", "quality")]
    floats = [f.name for f in schema if pa.types.is_floating(f.type)]
    # Arrow's stubs know fewer forms of its options than Arrow does.
    options: dict[str, Any] = {
        "use_dictionary": ["point", "quality", *(n for n in ("payload",) if n in schema.names)],
        "write_statistics": ["point", "time"],
    }
    return pq.ParquetWriter(
        path,
        schema,
        version="2.6",
        compression="zstd",
        compression_level=3,
        column_encoding=dict.fromkeys(integers, "DELTA_BINARY_PACKED")
        | dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),
        data_page_size=1 << 20,
        write_page_index=True,
        store_schema=False,
        **options,
    )


def merge_rollups(table: pa.Table) -> Rollup:
    """Roll-ups of one point, one row a step."""
    time, first_ns, last_ns = (_i64(table[n]) for n in ("time", "first_time", "last_time"))
    order = np.lexsort((first_ns, time))
    time, first_ns, last_ns = time[order], first_ns[order], last_ns[order]
    value = {
        n: table[n].to_numpy()[order] for n in ("count", "min", "max", "mean", "first", "last")
    }
    return rollup_of_parts(time, first_ns, last_ns, value)


def rollup_of_parts(
    step: NDArray[np.int64],
    first_ns: NDArray[np.int64],
    last_ns: NDArray[np.int64],
    value: dict[str, NDArray[Any]],
) -> Rollup:
    """One row a step of parts that are sorted by (step, first time)."""
    if not len(step):
        empty, numbers = np.empty(0, np.int64), np.empty(0)
        return Rollup(empty, empty, numbers, numbers, numbers, numbers, numbers, empty, empty)
    starts = np.flatnonzero(np.append(True, step[1:] != step[:-1]))
    count = np.add.reduceat(value["count"], starts)
    latest = np.maximum.reduceat(last_ns, starts)
    sizes = np.diff(np.append(starts, len(step)))
    is_latest = last_ns == np.repeat(latest, sizes)
    # Of several parts that end at the same time the last one counts.
    rows = np.arange(len(step))
    last_row = np.maximum.reduceat(np.where(is_latest, rows, -1), starts)
    return Rollup(
        step[starts],
        count,
        np.minimum.reduceat(value["min"], starts),
        np.maximum.reduceat(value["max"], starts),
        np.add.reduceat(value["mean"] * value["count"], starts) / count,
        value["first"][starts],
        value["last"][last_row],
        first_ns[starts],
        latest,
    )


def _overlapping(
    entries: list[FileEntry], point: int, start_ns: int, end_ns: int
) -> list[FileEntry]:
    return [
        f
        for f in entries
        if f.point_min <= point <= f.point_max and f.time_min < end_ns and f.time_max >= start_ns
    ]


def _column_of(kind: Kind) -> str:
    if kind.is_heap:
        return "payload"
    return "number" if kind is Kind.FLOAT else "integer"


def _cells(table: pa.Table, kind: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Cells of a table; hashes for points of variable size."""
    cell = np.array(table["integer"].combine_chunks().fill_null(0).to_numpy(zero_copy_only=False))
    is_float = kind == Kind.FLOAT
    if is_float.any():
        number = table["number"].combine_chunks().fill_null(0.0).to_numpy(zero_copy_only=False)
        cell[is_float] = np.ascontiguousarray(number).view(np.int64)[is_float]
    for row in np.flatnonzero(kind >= Kind.TEXT).tolist():
        payload = table["payload"][row].as_py() or b""
        digest = hashlib.blake2b(payload, digest_size=8).digest()
        cell[row] = int.from_bytes(digest, "little", signed=True)
    return cell


def _i64(column: Any) -> NDArray[np.int64]:
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return chunk.view(pa.int64()).to_numpy()
