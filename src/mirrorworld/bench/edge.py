"""A site that was cut off catches up while it is live.

An edge of its own process (`mirrorworld.edge`) mirrors a plant that puts columns over Zenoh, and
has an hour in its record that the centre lacks. The centre, in this process, has a record on disk.
Both meet over the loopback. The rate is rows that were missed over the wall time until the last of
them is durable; a latency is that from the plant's time stamp to the sample's place in the
centre's world, live, while it catches up. Edge, plant and centre share the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import psutil

from mirrorworld.edge import Edge, EdgeSource
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.pipeline import Pipeline, SourceSink
from mirrorworld.plane.site import Site
from mirrorworld.record.store import open_record, restore
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin
from mirrorworld.world.frames import frame
from mirrorworld.world.model import PointType, Twin
from mirrorworld.world.ports import SourceConfig

DEADLINE_S: Final = 600.0


def run(
    points: int = 1_000, rate_hz: float = 10.0, missed_s: int = 3_600, after_s: float = 10.0
) -> dict[str, Any]:
    """Figures: `catchup_rows_per_s`, `live_latency_ms_p50`, `_p99`, `rss_mb`, `rss_mb_max`.

    Args:
        points, rate_hz: of the plant, live.
        missed_s: for how long the record goes back that the centre lacks, at a sample a second of
            each point.
        after_s: how long it is followed after it has caught up, for the latency without a past.
    """
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), points, rate_hz, missed_s, after_s))


async def _measure(
    folder: Path, points: int, rate_hz: float, missed_s: int, after_s: float
) -> dict[str, Any]:
    _fill(folder / "edge" / "record", points, missed_s)
    plant_port, centre_port = _free_port(), _free_port()
    record = open_record(folder / "centre", "centre", compacts=False)
    pipeline = Pipeline(restore(record), record, RoleGuard())
    pipeline.start()
    sink = _Timing(pipeline, "north")
    connector = Site(
        SourceConfig(f"site://127.0.0.1:{centre_port}/north", "north", {"listen": True})
    )
    running = asyncio.create_task(connector.run(sink))
    source = EdgeSource(
        "mirrorworld.connectors.zenoh:Zenoh",
        f"zenoh://127.0.0.1:{plant_port}",
        "plant",
        {"listen": True},
    )
    edge = Edge("north", str(folder / "edge"), "127.0.0.1", centre_port, [source])
    edge_process = _start(edge)
    plant = subprocess.Popen(
        [sys.executable, "-m", "mirrorworld.bench.edge_putter", f"tcp/127.0.0.1:{plant_port}",
         str(points), str(rate_hz)]
    )  # fmt: skip
    missed = points * missed_s
    try:
        cpu = psutil.Process(edge_process.pid)
        await _until(lambda: sink.past_rows > 0 or running.done())
        started_s, cpu_s = time.monotonic(), sum(os.times()[:2])
        edge_cpu_s = sum(cpu.cpu_times()[:2])
        await _until(lambda: sink.past_rows >= missed or running.done())
        await pipeline.until_durable(pipeline.world.position.sequence)
        wall_s, cpu_s = time.monotonic() - started_s, sum(os.times()[:2]) - cpu_s
        edge_cpu_s = sum(cpu.cpu_times()[:2]) - edge_cpu_s
        while_caught_up = np.array(sink.latencies_ms)
        sink.latencies_ms.clear()
        await asyncio.sleep(after_s)
        after = np.array(sink.latencies_ms)
        rss_mb = cpu.memory_info().rss / 1e6
        status = Path(f"/proc/{edge_process.pid}/status")
        rss_mb_max = _high_water_mb(status) if status.exists() else rss_mb
        if running.done():
            running.result()
    finally:
        for process in (plant, edge_process):
            process.terminate()
            process.wait(60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pipeline.stop()
    return {
        "catchup_rows_per_s": round(missed / wall_s),
        "catchup_rows": missed,
        "catchup_s": round(wall_s, 2),
        "centre_cpu_s": round(cpu_s, 2),
        "edge_cpu_s": round(edge_cpu_s, 2),
        "live_latency_ms_p50": _percentile(while_caught_up, 50),
        "live_latency_ms_p99": _percentile(while_caught_up, 99),
        "live_samples": len(while_caught_up) * points,
        "live_latency_after_ms_p50": _percentile(after, 50),
        "live_latency_after_ms_p99": _percentile(after, 99),
        "doubled": sink.tally.duplicate,
        "rss_mb": round(rss_mb, 1),
        "rss_mb_max": round(rss_mb_max, 1),
        "points": points,
        "rate_hz": rate_hz,
        "load_1min": round(os.getloadavg()[0], 1),
    }


class _Timing(SourceSink):
    """A sink that notes how old live samples are when they are in the world."""

    def __init__(self, pipeline: Pipeline, source: str) -> None:
        super().__init__(pipeline, source, has_live_clock=False)
        self.past_rows = 0
        self.latencies_ms: list[float] = []
        self._started_ns = time.time_ns()

    async def push(self, frame: Any, **named: Any) -> int:
        """See Sink."""
        ticket = await super().push(frame, **named)
        live = frame.source_ns > self._started_ns
        self.past_rows += int(np.count_nonzero(~live))
        if live.any():
            # One number for each time stamp: a frame may hold several of the plant's messages.
            now_ns = time.time_ns()
            self.latencies_ms += ((now_ns - np.unique(frame.source_ns[live])) / 1e6).tolist()
        return ticket


def _fill(directory: Path, points: int, missed_s: int) -> None:
    """A record with the past that the centre lacks."""
    directory.parent.mkdir(parents=True)
    record = open_record(directory, "north", compacts=False)
    world = restore(record)
    origin = Origin(OriginKind.MEASURED, "before")
    declared = tuple(PointType(f"p{i}") for i in range(points))
    start_ns = time.time_ns() - missed_s * 1_000_000_000 - 60_000_000_000

    def take(change: Change) -> None:
        placed = world.apply(change).change
        assert placed is not None
        record.append(placed)

    take(Change(Edits((PutTwin(Twin("before", points=declared)),)), origin, start_ns, "before"))
    handles = world.handles([("before", point.name) for point in declared])
    rng = np.random.default_rng(2)
    value = rng.normal(20, 1, points)
    for second in range(missed_s):
        value += rng.normal(0, 0.01, points)
        time_ns = start_ns + second * 1_000_000_000
        body = frame(handles, value.astype(np.float32).astype(np.float64), time_ns)
        take(Change(body, origin, time_ns, "before", 1, second))
        if second % 50 == 49:
            record.commit()
    record.commit()
    record.keyframe(world.snapshot())
    record.close()


def _start(edge: Edge) -> subprocess.Popen[bytes]:
    reading, writing = os.pipe()
    os.write(writing, msgspec.json.encode(edge))
    os.close(writing)
    command = [sys.executable, "-m", "mirrorworld.edge", str(reading)]
    process = subprocess.Popen(command, pass_fds=(reading,), stdout=subprocess.DEVNULL)
    os.close(reading)
    return process


def _percentile(values: np.ndarray, q: float) -> float | None:
    return round(float(np.percentile(values, q)), 1) if len(values) else None


def _high_water_mb(status: Path) -> float:
    (line,) = [x for x in status.read_text().splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def _until(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the bench did not come to its end in ten minutes")
        await asyncio.sleep(0.01)
