"""Compaction: closed segments of the log become Parquet by day. A process of its own.

    python -m mirrorworld.record.compaction DIRECTORY

Segments are read one after the other; their samples are sorted by (point, time) and written to
new files, with roll-ups beside; the manifest is replaced last. So whatever moment it is broken
off at, the files that count are whole, and what was left over is swept away by the next run.
Late samples become further files of their day, which are merged when there are many.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from mirrorworld.record import retention
from mirrorworld.record.arrow import pa, pq
from mirrorworld.record.blocks import Samples
from mirrorworld.record.files import Files
from mirrorworld.record.lock import Lock, WorldInUseError
from mirrorworld.record.parquet import (
    DAY_NS,
    ROW_GROUP_ROWS,
    STEPS_NS,
    FileEntry,
    Manifest,
    rollup_schema,
    sample_schema,
    sample_table,
    write_manifest,
    writer,
)
from mirrorworld.record.rollups import coarser, of_samples
from mirrorworld.record.segments import Segment
from mirrorworld.record.tail import heap_rows, heap_starts, row_sequences, samples
from mirrorworld.world.model import Kind
from mirrorworld.world.structure import Structure

BATCH_ROWS: Final = 1 << 22
"""So many samples are sorted at once: about 200 MB of memory."""

MERGE_FILES: Final = 8
"""A day with more files than this is merged."""

MERGED_ROWS: Final = 1 << 26
"""Files of so many rows are not merged again."""

NICENESS: Final = 15


@dataclass(slots=True)
class Compaction:
    """What a run did."""

    segments: int = 0
    rows: int = 0
    files: int = 0
    merged: int = 0
    dropped_files: int = 0
    dropped_segments: int = 0


@dataclass(slots=True)
class _Batch:
    """Samples that wait to be sorted."""

    point: list[NDArray[np.uint32]] = field(default_factory=list)
    time: list[NDArray[np.int64]] = field(default_factory=list)
    cell: list[NDArray[np.int64]] = field(default_factory=list)
    quality: list[NDArray[np.uint32]] = field(default_factory=list)
    sequence: list[NDArray[np.int64]] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    rows: int = 0

    def add(self, block: Samples, kinds: NDArray[np.uint8]) -> None:
        cell = block.cell
        at = heap_rows(block, kinds)
        if len(at):
            cell = cell.copy()
            starts = heap_starts(block)
            for row in at.tolist():
                start, length = (
                    int(cell[row] >> 32) + int(starts[row]),
                    int(cell[row]) & 0xFFFF_FFFF,
                )
                cell[row] = len(self.payloads)
                self.payloads.append(block.heap[start : start + length])
        self.point.append(block.point)
        self.time.append(block.source_ns)
        self.cell.append(cell)
        self.quality.append(block.quality)
        self.sequence.append(row_sequences(block))
        self.rows += len(cell)

    def sorted(self, kinds: NDArray[np.uint8]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """(day, columns sorted by point, time and sequence) for each day."""
        columns = {
            name: np.concatenate(getattr(self, name))
            for name in ("point", "time", "cell", "quality", "sequence")
        }
        days = columns["time"] // DAY_NS
        for day in np.unique(days).tolist():
            part = columns
            if days.min() != days.max():
                rows = np.flatnonzero(days == day)
                part = {name: column[rows] for name, column in columns.items()}
            order = _order(part["point"], part["time"])
            part = {name: column[order] for name, column in part.items()}
            point = part["point"]
            known = point < len(kinds)
            kind = np.where(known, kinds[np.where(known, point, 0)], Kind.INT)
            part["kind"] = kind.astype(np.uint8)
            yield day, part


def compact(directory: Path, *, files: Files | None = None) -> Compaction:
    """Compacts what is closed and not compacted yet, merges, and keeps to the retention policy.

    Raises:
        WorldInUseError: another compaction of the record is running.
        CorruptRecordError: the log is damaged.
    """
    from mirrorworld.record.store import open_record

    files = files or Files()
    history = directory / "history"
    files.make_directory(history)
    lock = Lock(history / "lock", f"the compaction of {directory}")
    try:
        with open_record(directory, read_only=True) as record:
            done = Compaction()
            manifest = record.compacted.manifest()
            _sweep(history, manifest, files)
            closed = [s for s in record.log.view() if s.is_sealed and s.number > manifest.through]
            structure = record.history.structure() if closed else None
            for segment in closed:
                assert structure is not None
                made = _compact_segment(history, segment, structure.kinds, files, done)
                manifest = msgspec.structs.replace(
                    manifest,
                    through=segment.number,
                    through_sequence=segment.last,
                    files=(*manifest.files, *made),
                )
                _write_points(history, structure, files)
                write_manifest(history, manifest, files)
                done.segments += 1
            manifest = _merge_days(history, manifest, files, done)
            manifest = retention.enforce(record, manifest, files, done)
            _sweep(history, manifest, files)
            return done
    finally:
        lock.close()


def _compact_segment(
    history: Path, segment: Segment, kinds: NDArray[np.uint8], files: Files, done: Compaction
) -> list[FileEntry]:
    made: list[FileEntry] = []
    batch = _Batch()
    number = 0

    def flush() -> None:
        nonlocal batch, number
        for day, part in batch.sorted(kinds):
            name = f"{segment.number:012d}-{number:04d}.parquet"
            number += 1
            made.extend(_write_day(history, name, day, part, batch.payloads, files))
        batch = _Batch()

    for _, block in samples([segment], wants=lambda ref: ref.rows > 0):
        batch.add(block, kinds)
        done.rows += len(block.point)
        if batch.rows >= BATCH_ROWS:
            flush()
    if batch.rows:
        flush()
    done.files += len(made)
    return made


def _write_day(
    history: Path,
    name: str,
    day: int,
    part: dict[str, NDArray[Any]],
    payloads: Sequence[bytes],
    files: Files,
) -> list[FileEntry]:
    kind = part["kind"]
    ours = [payloads[i] for i in part["cell"][kind >= Kind.TEXT].tolist()]
    table = sample_table(
        part["point"],
        part["time"],
        part["cell"],
        part["quality"],
        part["sequence"],
        kind,
        ours,
    )
    made = [
        _write(
            history, f"samples/{day_folder(day)}/{name}", day, [table], sample_schema(), "", files
        )
    ]
    rolled = of_samples(part, STEPS_NS["1m"])
    for step, step_ns in STEPS_NS.items():
        rolled = coarser(rolled, step_ns)
        if len(rolled):
            path = f"rollups/{step}/{day_folder(day)}/{name}"
            made.append(_write(history, path, day, [rolled], rollup_schema(), step, files))
    return made


def _write(
    history: Path,
    name: str,
    day: int,
    tables: Sequence[pa.Table] | Iterator[pa.Table],
    schema: pa.Schema,
    step: str,
    files: Files,
) -> FileEntry:
    """Writes one Parquet file, whole and synced; it counts once the manifest lists it."""
    path = history / name
    files.make_directory(path.parent)
    rows = 0
    points: list[int] = []
    times: list[int] = []
    with writer(path, schema) as out:
        for table in tables:
            point = table["point"].to_numpy()
            time = table["time"].combine_chunks().view(pa.int64()).to_numpy()
            points += (int(point[0]), int(point[-1]))
            times += (int(time.min()), int(time.max()))
            rows += len(point)
            out.write_table(table, row_group_size=ROW_GROUP_ROWS)
    files.sync_file(path)
    files.sync_directory(path.parent)
    size = path.stat().st_size
    return FileEntry(name, day, rows, min(points), max(points), min(times), max(times), size, step)


def _merge_days(history: Path, manifest: Manifest, files: Files, done: Compaction) -> Manifest:
    """Merges the files of days that have many, day by day."""
    groups: dict[tuple[int, str], list[FileEntry]] = {}
    for entry in manifest.files:
        if entry.rows < MERGED_ROWS:
            groups.setdefault((entry.day, entry.step), []).append(entry)
    for (day, step), entries in sorted(groups.items()):
        if len(entries) <= MERGE_FILES:
            continue
        entries.sort(key=lambda f: f.path)
        stem = Path(entries[0].path)
        until = Path(entries[-1].path).stem
        name = str(stem.with_name(f"{stem.stem.split('+')[0]}+{until.split('+')[-1]}.parquet"))
        schema = rollup_schema() if step else sample_schema()
        tables = _merged([history / f.path for f in entries], schema)
        made = _write(history, name, day, tables, schema, step, files)
        gone = {f.path for f in entries}
        kept = tuple(f for f in manifest.files if f.path not in gone)
        manifest = msgspec.structs.replace(manifest, files=(*kept, made))
        write_manifest(history, manifest, files)
        done.merged += len(entries)
    return manifest


def _merged(paths: list[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of sorted files in one order, a range of points at a time."""
    inputs = [pq.ParquetFile(path) for path in paths]
    groups: list[tuple[int, int, int, int, int]] = []
    for i, file in enumerate(inputs):
        for group in range(file.num_row_groups):
            meta = file.metadata.row_group(group)
            span = meta.column(0).statistics
            groups.append((span.min, span.max, i, group, meta.num_rows))
    order = ["point", "time"] + (["sequence"] if "sequence" in schema.names else ["first_time"])
    for low, high in _ranges(groups):
        parts: list[pa.Table] = []
        for first, last, i, group, _ in groups:
            if last < low or first >= high:
                continue
            table = inputs[i].read_row_group(group)
            start, end = np.searchsorted(table["point"].to_numpy(), (low, high))
            parts.append(table.slice(start, end - start))
        table = pa.concat_tables(parts).select(schema.names).cast(schema)
        if len(table):
            yield table.sort_by([(name, "ascending") for name in order])


def _ranges(groups: list[tuple[int, int, int, int, int]]) -> Iterator[tuple[int, int]]:
    """Ranges of points [low, high) of not many more than BATCH_ROWS rows each."""
    low = min(first for first, *_ in groups)
    rows = 0
    for first, _, _, _, n in sorted(groups):
        if rows + n > BATCH_ROWS and first > low:
            yield low, first
            low, rows = first, 0
        rows += n
    yield low, 1 << 32


def _write_points(history: Path, structure: Structure, files: Files) -> None:
    """Names of handles, for programs that read the files without this library."""
    point_twin, types = structure.point_columns()
    table = pa.table(
        {
            "point": pa.array(np.arange(len(types), dtype=np.uint32)),
            "twin": [structure.declared_at(int(t)).id for t in point_twin],
            "name": [t.name for t in types],
            "kind": [t.kind.name.lower() for t in types],
            "unit": [t.unit for t in types],
        }
    )
    temporary = history / "points.parquet.part"
    pq.write_table(table, temporary, compression="zstd")
    files.sync_file(temporary)
    files.replace(temporary, history / "points.parquet")
    files.sync_directory(history)


def _sweep(history: Path, manifest: Manifest, files: Files) -> None:
    """Removes what no manifest lists: leftovers of a run that was broken off, merged files."""
    known = {history / f.path for f in manifest.files} | {history / "points.parquet"}
    for path in (*history.rglob("*.parquet"), *history.rglob("*.part")):
        if path not in known:
            files.remove(path)
    for folder in sorted(history.rglob("day=*")):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _order(point: NDArray[np.uint32], time: NDArray[np.int64]) -> NDArray[np.intp]:
    """Rows by (point, time); rows of equal point and time stay as they came."""
    order = np.argsort(point, kind="stable")
    p, t = point[order], time[order]
    if ((p[1:] == p[:-1]) & (t[1:] < t[:-1])).any():
        return np.lexsort((time, point))
    return order


def day_folder(day: int) -> str:
    """The folder of a day, in the form that Hive, DuckDB and Spark take for a partition."""
    return f"day={np.datetime64(day, 'D')}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The process: compacts one record and ends."""
    parser = argparse.ArgumentParser(prog="mirrorworld.record.compaction")
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args(arguments).directory
    with contextlib.suppress(AttributeError, OSError):
        os.nice(NICENESS)
    pa.set_cpu_count(1)
    try:
        done = compact(directory)
    except WorldInUseError as error:
        print(error, file=sys.stderr)
        return 3
    print(done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
