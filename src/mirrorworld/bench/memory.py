"""What a point and a twin cost in memory, in a process that has nothing else to do.

Measured as the growth of the resident set (and of nothing that is shared) of a fresh process, after
its world was declared, every point has had two values, and one subscriber has read them all.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from typing import Any, Final

import numpy as np
import psutil

from mirrorworld.world.changes import (
    Change,
    Edits,
    Origin,
    OriginKind,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import frame
from mirrorworld.world.model import PointType, Property, Relation, Text, Twin, TwinType
from mirrorworld.world.query import Query
from mirrorworld.world.world import World

START_NS: Final = 1_790_000_000_000_000_000
POINTS_PER_TWIN: Final = 20
PLANT: Final = Origin(OriginKind.MEASURED, "plant")


def run(points: int = 200_000, twins: int = 100_000) -> dict[str, Any]:
    """Figures: `bytes_per_point` (of twins with 20 points of their type each, the twins with them),
    `bytes_per_twin` (with name, three properties and a relation, found by a query, no points)."""
    of_points = _apart("points", points)
    of_twins = _apart("twins", twins)
    return {
        "points": points,
        "bytes_per_point": round(of_points["bytes"] / points, 1),
        "twins": twins,
        "bytes_per_twin": round(of_twins["bytes"] / twins, 1),
        "empty_mb": round(of_points["before"] / 1e6, 1),
    }


def _apart(what: str, n: int) -> dict[str, int]:
    """Measures in a process of its own."""
    command = [sys.executable, "-m", "mirrorworld.bench.memory", what, str(n)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout)


def _measure(what: str, n: int) -> dict[str, int]:
    """Growth of this process by a world of so many points or twins."""
    _fill(World("warm"), what, 200)  # loads what is compiled
    before = _resident()
    world = World("city")
    _fill(world, what, n)
    after = _resident()
    assert world.structure.twins
    return {"before": before, "bytes": after - before}


def _fill(world: World, what: str, n: int) -> None:
    if what == "points":
        names = tuple(PointType(f"p{i}", unit="Cel") for i in range(POINTS_PER_TWIN))
        edits: list[Any] = [PutType(TwinType("Room", points=names))]
        edits += [
            PutTwin(Twin(f"city/building{i // 100}/room{i}", "Room"))
            for i in range(n // POINTS_PER_TWIN)
        ]
        _apply(world, edits)
        subscription = world.subscribe()
        handles = np.arange(world.n_points, dtype=np.uint32)
        for step in range(2):
            values = handles * 0.25 + step
            rows = frame(handles, values, START_NS + step)
            world.apply(Change(rows, PLANT, START_NS + step, "plant", 1, step))
            subscription.read()
        return
    edits = [PutType(TwinType("Pump"))]
    for i in range(n):
        about = (
            Property("serial", f"SN{i:07d}"),
            Property("maker", ("Nordwerk", "Aqualine", "Teknos")[i % 3]),
            Property("power", float(i % 500), unit="kW"),
        )
        area = f"site/area{i // 100}"
        id_ = area if i % 100 == 0 else f"{area}/pump{i}"
        edits.append(PutTwin(Twin(id_, "Pump", Text.of(f"Pump {i}"), about)))
        if i % 100:
            edits.append(PutRelation(Relation("part_of", id_, area)))
    _apply(world, edits)
    world.query(Query(types=("Pump",), text="pump 17"))


def _apply(world: World, edits: list[Any]) -> None:
    for start in range(0, len(edits), 10_000):
        world.apply(Change(Edits(tuple(edits[start : start + 10_000])), PLANT, START_NS))


def _resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_full_info().uss)


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]))))
