"""What a branch costs: made, durable, on a world of many points; and what a thousand that are open
in one process take of its memory.

The world is kept on a disk and runs as `mirrorworld up` runs it, without a page. `create_ms` is
wall time, with the head of the branch on the disk; the fork alone is `fork_ms`. Memory is what the
process grows by (resident, not shared), a branch.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from mirrorworld.branches.room import Room
from mirrorworld.live.guard import OWNER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.world.changes import (
    Change,
    Edits,
    Origin,
    OriginKind,
    PutProperty,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import frame
from mirrorworld.world.model import Kind, PointType, Pose, Property, Relation, Text, Twin, TwinType
from mirrorworld.world.world import World

START_NS: Final = 1_790_000_000_000_000_000
POINTS_PER_TWIN: Final = 10
PLANT: Final = Origin(OriginKind.MEASURED, "plant")
KIM: Final = principal("kim", OWNER)


def run(points: int = 200_000, open: int = 1_000) -> dict[str, Any]:
    """Figures: `points`, `create_ms` (median), `create_ms_max`, `fork_ms`, `bytes` (a branch in
    which a value was assumed and a property set), `bytes_unchanged`, `open` (how many were)."""
    task = [sys.executable, "-m", "mirrorworld.bench.branch", str(points), str(open)]
    done = subprocess.run(task, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"bench branch ended with {done.returncode}: {done.stderr[-1000:]}")
    return json.loads(done.stdout.splitlines()[-1])


async def measure(points: int, n: int) -> dict[str, Any]:
    """The figures, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        _make(directory, points)
        record = open_record(directory / "record", compacts=False)
        mirror = Mirror(restore(record), record, {})
        await mirror.start()
        room = Room(mirror, directory / "branches")
        world = mirror.world
        forks_ms: list[float] = []
        for _ in range(20):
            began = time.perf_counter()
            world.branch("fork")
            forks_ms.append((time.perf_counter() - began) * 1e3)
        handles = np.flatnonzero(world.kinds == Kind.FLOAT).astype(np.uint32)
        await room.book.make(name="first", author="kim")  # what is loaded once is not counted
        before = _resident()
        made_ms: list[float] = []
        branches: list[str] = []
        for i in range(n):
            began = time.perf_counter()
            branch = await room.book.make(name=f"b{i}", author="kim")
            made_ms.append((time.perf_counter() - began) * 1e3)
            branches.append(branch.head.id)
        unchanged = (_resident() - before) / n
        for i, branch_id in enumerate(branches):
            twin, kind = world.point(int(handles[i * 97 % len(handles)]))
            async with room.changing(branch_id) as branch:
                branch.assume("kim", [(twin, kind.name, 1.0, "")])
                branch.author("kim", Edits((PutProperty(twin, Property("speed", float(i))),)))
        changed = (_resident() - before) / n
        is_so = sum(len(e.opened.made) == 2 for e in room.book if e.opened is not None)
        figures = {
            "points": world.n_points,
            "twins": len(world.structure.twins),
            "create_ms": round(statistics.median(made_ms), 3),
            "create_ms_p99": round(float(np.quantile(made_ms, 0.99)), 3),
            "create_ms_max": round(max(made_ms), 3),
            "fork_ms": round(statistics.median(forks_ms), 3),
            "bytes": round(changed),
            "bytes_unchanged": round(unchanged),
            "open": is_so,
            "on_disk_bytes": round(_on_disk(directory / "branches") / (n + 1)),
        }
        await room.close()
        await mirror.stop()
        return figures


def _make(directory: Path, points: int) -> None:
    """A kept world: machines in a row, each with ten points, all of them with a value."""
    with open_record(directory / "record", "bench", create=True, compacts=False) as record:
        world = World("bench", epoch=record.epoch)
        kinds = tuple(PointType(f"p{i}", Kind.FLOAT, "Cel") for i in range(POINTS_PER_TWIN - 1))
        machine = TwinType("Machine", points=(*kinds, PointType("order", Kind.TEXT)))
        n = points // POINTS_PER_TWIN
        twins = (
            Twin(
                f"hall/m{i}", "Machine", Text.of(f"Machine {i}"),
                (Property("serial_number", f"S-{i}"),), pose=Pose(x_m=float(i)),
            )
            for i in range(n)
        )  # fmt: skip
        feeds = (
            PutRelation(Relation("feeds", f"hall/m{i}", f"hall/m{i + 1}")) for i in range(n - 1)
        )
        handles = np.flatnonzero(np.arange(n * POINTS_PER_TWIN) % POINTS_PER_TWIN != 9)
        values = np.random.default_rng(1).normal(20.0, 5.0, len(handles))
        for body in (
            Edits((PutType(machine), *map(PutTwin, twins))),
            Edits(tuple(feeds)),
            frame(handles, values, START_NS),
        ):
            placed = world.apply(Change(body, PLANT, START_NS, "plant")).change
            assert placed is not None
            record.append(placed)
        record.commit()


def _resident() -> int:
    gc.collect()
    memory = psutil.Process().memory_info()
    return memory.rss - getattr(memory, "shared", 0)


def _on_disk(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(int(sys.argv[1]), int(sys.argv[2])))))
