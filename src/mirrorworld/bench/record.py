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
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.record.store import Store, open_record
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, Position, PutTwin
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind, PointType, Twin

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
    scans: int = 40,
    skab: str = "/work/shared/data/skab",
    peers: bool = True,
    **_: Any,
) -> dict[str, Any]:
    """Measures the record; returns one JSON-able object.

    Args:
        points: how many points the mix has.
        scans: how many samples each gets.
        skab: directory of the SKAB data set; skipped where it is absent.
        peers: whether DuckDB and SQLite are measured beside.
    """
    with tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name:
        directory = Path(name)
        result: dict[str, Any] = {"points": points, "scans": scans}
        result |= _append(directory / "mix", points, scans)
    return result


def _append(directory: Path, points: int, scans: int) -> dict[str, Any]:
    mix = SignalMix(points)
    _warm(directory.with_name("warm"))
    sequence = 2
    cpu = wall = 0.0
    with open_record(directory, "bench") as store:
        store.append(mix.declared(store.epoch))
        store.commit()
        declared = _log_bytes(store)
        for _ in range(scans):
            made = mix.changes(sequence, store.epoch)
            sequence += len(made)
            cpu_start, wall_start = time.process_time(), time.perf_counter()
            for change in made:
                store.append(change)
            store.commit()
            cpu += time.process_time() - cpu_start
            wall += time.perf_counter() - wall_start
        rows = points * scans
        size = _log_bytes(store) - declared
    return {
        "rows": rows,
        "rows_per_cpu_s": round(rows / cpu),
        "rows_per_wall_s": round(rows / wall),
        "bytes_per_row": round(size / rows, 3),
    }


def _warm(directory: Path) -> None:
    """Compiles the loops, which is done once per machine and cached."""
    mix = SignalMix(2_000)
    with open_record(directory, "warm") as store:
        sequence = 1
        for _ in range(3):
            for change in mix.changes(sequence, store.epoch):
                store.append(change)
                sequence += 1
            store.commit()
        list(store.changes(Position(store.epoch, 0)))


def _log_bytes(store: Store) -> int:
    return sum(path.stat().st_size for path in (store.directory / "log").iterdir())
