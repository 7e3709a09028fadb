"""The record's figures: appending, size on disk, as-of, downsampling; DuckDB and SQLite beside.

The **signal mix** is frozen: figures of different versions are comparable only while it stays
as it is. Of every ten points (n is the scan, N a normal and P a Poisson draw by seed):

- four drift slowly: round(b + w(n), 2) with w a random walk of N(0, 0.004) a scan;
- two are a noisy 12-bit ADC: clip(round(m + N(0, 3)), 0, 4095), one in counts (integer), one
  in volts (counts x 0.0025);
- two change seldom: a boolean, and a setpoint in steps of 0.5; each with p = 0.002 a scan;
- one counts up: an integer by P(2) in half of the twins, an energy by 0.001 x P(5) in the rest;
- one is noise to the last bit: N(0, 1) as float32 in half of the twins, as float64 in the rest.

A scan is one frame per controller of 1,000 points, stamped once, at a whole millisecond near
each second; a sample is bad with p = 0.0005 and stays so for that scan.
"""

from __future__ import annotations

import csv
import gzip
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.record import Store, compaction, open_record, restore
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, Position, PutTwin
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind, PointType, Twin
from mirrorworld.world.world import World

START_NS: Final = 1_790_000_000_000_000_000
SECOND_NS: Final = 1_000_000_000
CONTROLLER_POINTS: Final = 1_000
_MEASURED: Final = Origin(OriginKind.MEASURED, "bench")
_BAD: Final = 0x8031_0000
_KINDS: Final = (
    *(Kind.FLOAT,) * 4,
    Kind.INT,
    Kind.FLOAT,
    Kind.BOOL,
    Kind.FLOAT,
    Kind.INT,
    Kind.FLOAT,
)


class SignalMix:
    """The published mix, scan by scan."""

    def __init__(self, n_points: int, seed: int = 1) -> None:
        """`n_points` is a multiple of 20."""
        self._random = np.random.default_rng(seed)
        tens = n_points // 10
        r = self._random
        self._drift = np.round(r.uniform(-20, 150, (tens, 4)), 2)
        self._mean = r.uniform(200, 3900, (tens, 2))
        self._flag = r.integers(0, 2, tens)
        self._setpoint = r.integers(0, 200, tens) * 0.5
        self._count = r.integers(0, 1_000_000, tens)
        self.n_points = n_points
        self._n = 0

    def scan(self) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.int64]]:
        """(cells, qualities, source times) of all points at the next scan."""
        r, tens = self._random, self.n_points // 10
        cell = np.empty((tens, 10), np.int64)
        self._drift += r.normal(0, 0.004, self._drift.shape)
        cell[:, :4] = np.round(self._drift, 2).view(np.int64)
        counts = np.clip(np.round(self._mean + r.normal(0, 3, (tens, 2))), 0, 4095)
        cell[:, 4] = counts[:, 0].astype(np.int64)
        cell[:, 5] = np.round(counts[:, 1] * 0.0025, 4).view(np.int64)
        self._flag ^= r.random(tens) < 0.002
        cell[:, 6] = self._flag
        moved = r.random(tens) < 0.002
        self._setpoint[moved] = r.integers(0, 200, int(moved.sum())) * 0.5
        cell[:, 7] = self._setpoint.view(np.int64)
        odd = np.arange(tens) % 2 == 1
        self._count += np.where(odd, r.poisson(5, tens), r.poisson(2, tens))
        energy = np.round(self._count * 0.001, 3).view(np.int64)
        cell[:, 8] = np.where(odd, energy, self._count)
        noise = r.normal(0, 1, tens)
        single = noise.astype(np.float32).astype(np.float64)
        cell[:, 9] = np.where(odd, noise, single).view(np.int64)
        quality = np.where(r.random(self.n_points) < 0.0005, _BAD, 0).astype(np.uint32)
        frames = -(-self.n_points // CONTROLLER_POINTS)
        stamps = START_NS + self._n * SECOND_NS + r.integers(0, 40, frames) * 1_000_000
        self._n += 1
        times = np.repeat(stamps, CONTROLLER_POINTS)[: self.n_points]
        return cell.reshape(-1), quality, times

    def changes(self, sequence: int, epoch: int = 1) -> list[Change]:
        """The next scan as changes from a sequence on, one frame a controller."""
        cell, quality, times = self.scan()
        point = np.arange(self.n_points, dtype=np.uint32)
        made: list[Change] = []
        for at in range(0, self.n_points, CONTROLLER_POINTS):
            rows = slice(at, at + CONTROLLER_POINTS)
            body = Frame(point[rows], cell[rows], quality[rows], times[rows])
            received = int(times[at]) + 7_000_000
            source = f"controller{at // CONTROLLER_POINTS}"
            place = Position(epoch, sequence + len(made))
            made.append(Change(body, _MEASURED, received, source, 1, self._n, place))
        return made

    def declared(self, epoch: int = 1) -> Change:
        """The change that declares the mix's twins."""
        names = [PointType(f"p{i}", kind) for i, kind in enumerate(_KINDS)]
        even = (*names[:9], PointType("p9", Kind.FLOAT))
        odd = (*names[:8], PointType("p8", Kind.FLOAT), names[9])
        twins = tuple(
            PutTwin(Twin(f"twin{i}", points=odd if i % 2 else even))
            for i in range(self.n_points // 10)
        )
        return Change(Edits(twins), _MEASURED, START_NS, position=Position(epoch, 1))


def run(
    *,
    points: int = 200_000,
    scans: int = 60,
    skab: str = "../shared/data/skab",
    peers: bool = True,
) -> dict[str, Any]:
    """Measures the record; returns one JSON-able object.

    Times are CPU time, wall time where the name says so.
    `bytes_per_row` counts the files of the log (`log/*.mwlog`: samples, tables of changes,
    headers and checksums), without the one block that declares the twins; what keyframes and
    the Parquet made of the same samples take is said beside it and is not in it.

    Args:
        points: how many points the mix has; a multiple of 20.
        scans: how many samples each gets.
        skab: directory of the SKAB data set; left out where it is absent.
        peers: whether DuckDB and SQLite are measured beside.
    """
    with tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name:
        directory = Path(name)
        _warm(directory / "warm")
        result: dict[str, Any] = {"points": points, "scans": scans}
        result |= _mix(directory / "mix", points, scans)
        result |= _one_day(directory / "day")
        result |= _skab(directory / "skab", Path(skab))
        if peers:
            result["peers"] = {
                "duckdb": _duckdb(directory / "peer.duckdb", points),
                "sqlite": _sqlite(directory / "peer.sqlite", points),
            }
    return result


def _mix(directory: Path, points: int, scans: int) -> dict[str, Any]:
    """Appends and commits the mix scan by scan; then as-of, replay and compaction of it."""
    mix = SignalMix(points)
    with open_record(directory, "bench", compacts=False) as store:
        world = restore(store)
        store.append(_accepted(world, mix.declared(store.epoch)))
        store.commit()
        overhead = _bytes(store.directory / "log")
        store.keyframe(world.snapshot())
        first_keyframes = _bytes(store.directory / "keyframes")
        cpu = wall = 0.0
        sequence = world.position.sequence + 1
        for _ in range(scans):
            made = mix.changes(sequence, store.epoch)
            sequence += len(made)
            cpu_start, wall_start = time.process_time(), time.perf_counter()
            for change in made:
                store.append(change)
            store.commit()
            cpu += time.process_time() - cpu_start
            wall += time.perf_counter() - wall_start
            for change in made:
                world.replay(change)
            if store.wants_keyframe:
                store.keyframe(world.snapshot())
        rows = points * scans
        size = _bytes(store.directory / "log") - overhead
        keyframes = _bytes(store.directory / "keyframes") - first_keyframes
        figures = _as_of(store, rows, scans) | _replay(store, rows)
        store.log.roll()
        start = time.process_time()
        compaction.compact(store.directory)
        compacting = time.process_time() - start
        manifest = store.compacted.manifest()
        parquet = sum(f.size_bytes for f in manifest.samples())
    return {
        "rows": rows,
        "rows_per_cpu_s": round(rows / cpu),
        "rows_per_wall_s": round(rows / wall),
        "bytes_per_row": round(size / rows, 3),
        "keyframe_bytes_per_row": round(keyframes / rows, 3),
        "parquet_bytes_per_row": round(parquet / rows, 3),
        "compaction_rows_per_cpu_s": round(rows / compacting),
        **figures,
    }


def _as_of(store: Store, rows: int, scans: int) -> dict[str, Any]:
    """As-of all points, at times and positions spread over the history, out of the log."""
    sequences = store.position.sequence - 2
    times = [START_NS + int((i + 0.5) / 12 * scans * SECOND_NS) for i in range(12)]
    positions = [Position(store.epoch, 3 + int((i + 0.5) / 6 * sequences)) for i in range(6)]
    store.as_of(positions[0])
    by_time = [_timed(lambda t=t: store.as_of_time(t)) for t in times]
    by_position = [_timed(lambda p=p: store.as_of(p)) for p in positions]
    return {
        "asof_ms": _median(cpu for cpu, _ in by_time),
        "asof_worst_ms": round(max(cpu for cpu, _ in by_time), 1),
        "asof_wall_ms": _median(wall for _, wall in by_time),
        "asof_position_ms": _median(cpu for cpu, _ in by_position),
    }


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """(CPU, wall) milliseconds of a call."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000


def _median(values: Iterable[float]) -> float:
    return round(float(np.median(list(values))), 1)


def _replay(store: Store, rows: int) -> dict[str, Any]:
    """Reading the whole log back, to changes."""
    start = time.process_time()
    read = sum(len(c.body) for c in store.log.changes(0) if isinstance(c.body, Frame))
    return {"replay_rows_per_cpu_s": round(read / (time.process_time() - start))}


def _one_day(directory: Path) -> dict[str, Any]:
    """One of 20 points for a day, a sample a second, to 1,000 rows."""
    n_points, rows = 20, 86_400
    random = np.random.default_rng(5)
    point = np.tile(np.arange(n_points, dtype=np.uint32), rows)
    value = np.round(20 + np.cumsum(random.normal(0, 0.02, (rows, n_points)), axis=0), 2)
    times = np.repeat(START_NS + np.arange(rows, dtype=np.int64) * SECOND_NS, n_points)
    twin = Twin("t", points=tuple(PointType(f"p{i}") for i in range(n_points)))
    with open_record(directory, "day", compacts=False) as store:
        world = restore(store)
        edits = Change(Edits((PutTwin(twin),)), _MEASURED, START_NS)
        store.append(_accepted(world, edits))
        for i, at in enumerate(range(0, len(point), 72_000)):
            part = slice(at, at + 72_000)
            body = Frame(
                point[part],
                np.ascontiguousarray(value).reshape(-1)[part].view(np.int64),
                np.zeros(72_000, np.uint32),
                times[part],
            )
            place = Position(store.epoch, 2 + i)
            store.append(Change(body, _MEASURED, START_NS + rows * SECOND_NS, "s", 1, i, place))
            store.commit()
        store.kinds_of = lambda: world.kinds

        def read() -> None:
            few = store.read(7, START_NS, START_NS + rows * SECOND_NS, max_rows=1000)
            assert 500 < len(few.cell) <= 1000

        read()
        from_log = [_timed(read) for _ in range(10)]
        store.log.roll()
        compaction.compact(store.directory)
        read()
        from_parquet = [_timed(read) for _ in range(10)]
    return {
        "downsample_ms": _median(cpu for cpu, _ in from_parquet),
        "downsample_wall_ms": _median(wall for _, wall in from_parquet),
        "downsample_from_log_ms": _median(cpu for cpu, _ in from_log),
    }


# --- SKAB -----------------------------------------------------------------------------------


def _skab(directory: Path, data: Path) -> dict[str, Any]:
    """Every value of every row of the data set is a sample; a row is a change, as it would be
    when it arrives live. All columns count, also the two of labels."""
    files = sorted(data.rglob("*.csv*"))
    if not files:
        return {"skab_bytes_per_row": None, "skab": f"no data set in {data}"}
    sequence = samples = 0
    with open_record(directory, "skab", compacts=False) as store:
        world = restore(store)
        columns = _skab_columns(files)
        twin = Twin("testbed", points=tuple(PointType(name) for name in columns))
        store.append(_accepted(world, Change(Edits((PutTwin(twin),)), _MEASURED, START_NS)))
        store.commit()
        overhead = _bytes(store.directory / "log")
        sequence = world.position.sequence
        for names, times, values in map(_read_skab, files):
            point = np.array([columns[name] for name in names], np.uint32)
            for row in range(len(times)):
                sequence += 1
                samples += len(point)
                body = Frame(
                    point,
                    values[row].view(np.int64),
                    np.zeros(len(point), np.uint32),
                    np.full(len(point), times[row]),
                )
                received = int(times[row]) + 3_000_000 + sequence * 7919 % 1_000_000
                place = Position(store.epoch, sequence)
                store.append(Change(body, _MEASURED, received, "skab", 1, sequence, place))
                if sequence % 1000 == 0:
                    store.commit()
        store.commit()
        size = _bytes(store.directory / "log") - overhead
        store.log.roll()
        compaction.compact(store.directory)
        parquet = sum(f.size_bytes for f in store.compacted.manifest().samples())
    return {
        "skab_bytes_per_row": round(size / samples, 3),
        "skab_parquet_bytes_per_row": round(parquet / samples, 3),
        "skab_samples": samples,
        "skab_csv_bytes_per_row": round(sum(_text_size(f) for f in files) / samples, 3),
    }


def _read_skab(path: Path) -> tuple[list[str], NDArray[np.int64], NDArray[np.float64]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as text:
        reader = csv.reader(text, delimiter=";")
        names = next(reader)[1:]
        rows = list(reader)
    times = np.array([row[0].replace(" ", "T") for row in rows], "datetime64[ns]").astype(np.int64)
    return names, times, np.array([[float(cell) for cell in row[1:]] for row in rows])


def _skab_columns(files: list[Path]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for path in files:
        for name in _read_skab(path)[0]:
            columns.setdefault(name, len(columns))
    return columns


def _text_size(path: Path) -> int:
    return len(gzip.decompress(path.read_bytes())) if path.suffix == ".gz" else path.stat().st_size


# --- peers ----------------------------------------------------------------------------------


def _duckdb(path: Path, points: int) -> dict[str, Any]:
    """The same mix into a DuckDB table from Arrow, a transaction a scan; CPU of all its threads,
    of which it gets one."""
    try:
        import duckdb
        import pyarrow as pa
    except ImportError:
        return {"left out": "duckdb is not installed"}
    mix, scans = SignalMix(points), 10
    handles = pa.array(np.arange(points, dtype=np.uint32))
    cpu = 0.0
    with duckdb.connect(str(path), config={"threads": 1}) as db:
        db.execute("CREATE TABLE s (point UINTEGER, time BIGINT, cell BIGINT, quality UINTEGER)")
        for _ in range(scans):
            cell, quality, times = mix.scan()
            batch = pa.table({"point": handles, "time": times, "cell": cell, "quality": quality})
            start = time.process_time()
            db.register("batch", batch)
            db.execute("INSERT INTO s SELECT * FROM batch")
            cpu += time.process_time() - start
        start = time.process_time()
        db.execute("CHECKPOINT")
        cpu += time.process_time() - start
    return _rates(points * scans, cpu, path)


def _sqlite(path: Path, points: int) -> dict[str, Any]:
    """A part of the mix into an SQLite table with WAL, a transaction a scan."""
    mix, part, scans = SignalMix(points), min(points, 50_000), 4
    cpu = 0.0
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE s (point INTEGER, time INTEGER, cell INTEGER, quality INTEGER)")
    for _ in range(scans):
        cell, quality, times = mix.scan()
        columns = (
            range(part),
            times[:part].tolist(),
            cell[:part].tolist(),
            quality[:part].tolist(),
        )
        start = time.process_time()
        with db:
            db.executemany("INSERT INTO s VALUES (?, ?, ?, ?)", zip(*columns, strict=True))
        cpu += time.process_time() - start
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return _rates(part * scans, cpu, path)


def _rates(rows: int, cpu_s: float, path: Path) -> dict[str, Any]:
    return {
        "rows": rows,
        "rows_per_cpu_s": round(rows / cpu_s),
        "bytes_per_row": round(path.stat().st_size / rows, 3),
    }


# --- helpers --------------------------------------------------------------------------------


def _accepted(world: World, change: Change) -> Change:
    accepted = world.apply(change).change
    assert accepted is not None
    return accepted


def _warm(directory: Path) -> None:
    """Compiles the loops, which is done once per machine and cached."""
    mix = SignalMix(2_000)
    with open_record(directory, "warm", compacts=False) as store:
        world = restore(store)
        store.append(_accepted(world, mix.declared(store.epoch)))
        store.commit()
        store.keyframe(world.snapshot())
        for _ in range(3):
            for change in mix.changes(world.position.sequence + 1, store.epoch):
                store.append(_accepted(world, change))
            store.commit()
        store.as_of_time(START_NS + SECOND_NS)
        store.as_of(store.position)
        store.read(4, START_NS, START_NS + 10 * SECOND_NS)


def _bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())
