"""Any moment of a day of a city: how long it takes to see all points as they then were.

The record is that of 200,000 points for 24 hours with a mean of 0.02 changes a second each: some
change often and most seldom (their rates are drawn from an exponential distribution), by small
steps of two decimals. By default a tenth of the changes is written, over the same points and hours.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from mirrorworld.record import Store, open_record, restore
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, Position, PutTwin, PutType
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import PointType, Twin, TwinType

START_NS: Final = 1_790_000_000_000_000_000
SECOND_NS: Final = 1_000_000_000
RATE_HZ: Final = 0.02
GATEWAYS: Final = 4
POINTS_PER_TWIN: Final = 100
COMMIT_S: Final = 60
PLANT: Final = Origin(OriginKind.MEASURED, "plant")


def run(
    points: int = 200_000, hours: float = 24.0, share: float = 0.1, moments: int = 40
) -> dict[str, Any]:
    """Figures: `asof_ms` (95th percentile, wall), and what stands beside; `bytes_per_row`.

    Args:
        share: of the changes; 1.0 writes all 346 million, which takes some minutes.
        moments: how many are asked for, drawn over the whole day in no order.
    """
    with tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name:
        directory = Path(name) / "record"
        started = time.process_time()
        with open_record(directory, "city", compacts=False) as store:
            rows, log_bytes = _write(store, points, int(hours * 3600), share)
            keyframes = len(store.keyframes.positions())
            keyframe_bytes = _size(directory / "keyframes")
        writing_s = time.process_time() - started
        with open_record(directory, read_only=True) as store:
            figures = _scrub(store, hours, moments, rows / points / (hours * 3600))
    return {
        "points": points,
        "hours": hours,
        "rows": rows,
        **figures,
        "bytes_per_row": round(log_bytes / rows, 2),
        "keyframe_bytes_per_row": round(keyframe_bytes / rows, 2),
        "keyframes": keyframes,
        "writing_cpu_s": round(writing_s, 1),
    }


def _write(store: Store, points: int, seconds: int, share: float) -> tuple[int, int]:
    """Lets the city live; returns the rows and the bytes that the log took for them."""
    random = np.random.default_rng(11)
    world = restore(store)
    names = tuple(PointType(f"p{i:03}") for i in range(POINTS_PER_TWIN))
    edits: list[Any] = [PutType(TwinType("Room", points=names))]
    edits += [PutTwin(Twin(f"city/room{i}", "Room")) for i in range(points // POINTS_PER_TWIN)]
    declared = world.apply(Change(Edits(tuple(edits)), PLANT, START_NS)).change
    assert declared is not None
    store.append(declared)
    store.commit()
    before = _size(store.directory / "log")
    value = np.round(random.uniform(0, 100, points), 2)
    rates = random.exponential(1.0, points)
    chances = np.cumsum(rates / rates.sum())
    sequence, rows = world.position.sequence, 0
    per_gateway = points // GATEWAYS
    for second in range(seconds):
        # The first second says how every point stands; then they change as they do.
        n = points if second == 0 else int(random.poisson(points * RATE_HZ * share))
        drawn = np.arange(points) if second == 0 else np.unique(
            np.searchsorted(chances, random.random(n))
        )  # fmt: skip
        drawn = np.minimum(drawn, points - 1)
        value[drawn] = np.round(value[drawn] + random.normal(0, 0.05, len(drawn)), 2)
        for gateway in range(GATEWAYS):
            ours = drawn[drawn // per_gateway == gateway].astype(np.uint32)
            if not len(ours):
                continue
            at_ns = START_NS + second * SECOND_NS + gateway * 1_000_000
            body = Frame(
                ours,
                value[ours].view(np.int64),
                np.zeros(len(ours), np.uint32),
                np.full(len(ours), at_ns),
            )
            sequence += 1
            rows += len(ours)
            change = Change(
                body, PLANT, at_ns + 5_000_000, f"gateway{gateway}", 1, second,
                Position(store.epoch, sequence),
            )  # fmt: skip
            world.replay(change)
            store.append(change)
        if second % COMMIT_S == 0:
            store.commit()
            if store.wants_keyframe:
                store.keyframe(world.snapshot())
    store.commit()
    return rows, _size(store.directory / "log") - before


def _scrub(store: Store, hours: float, moments: int, rate_hz: float) -> dict[str, Any]:
    """Asks for moments in no order. The first call, which loads what is compiled, is apart."""
    random = np.random.default_rng(12)
    asked = START_NS + (random.random(moments + 1) * hours * 3600 * 1e9).astype(np.int64)
    wall: list[float] = []
    cpu: list[float] = []
    for at_ns in asked.tolist():
        began, used = time.perf_counter(), time.process_time()
        columns = store.as_of_time(at_ns)
        wall.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.process_time() - used) * 1e3)
        if int(columns.source_ns.max()) > at_ns or int(columns.source_ns.min()) == 0:
            raise RuntimeError("the past is not what it was: a sample of later, or none at all")
    return {
        "moments": moments,
        "changes_per_point_s": round(rate_hz, 4),
        "asof_ms": round(float(np.percentile(wall[1:], 95)), 1),
        "asof_median_ms": round(float(np.median(wall[1:])), 1),
        "asof_max_ms": round(max(wall[1:]), 1),
        "asof_cpu_ms": round(float(np.median(cpu[1:])), 1),
        "first_ms": round(wall[0], 1),
    }


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())
