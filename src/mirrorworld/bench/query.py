"""How long a page of a query takes over many twins, and how long opening such a world takes."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from mirrorworld.record import open_record
from mirrorworld.record.store import restore
from mirrorworld.world.changes import (
    Change,
    Edits,
    Origin,
    OriginKind,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.model import PointType, Property, Relation, Text, Twin, TwinType
from mirrorworld.world.query import Query
from mirrorworld.world.world import World

ORIGIN = Origin(OriginKind.AUTHORED, "bench")
KINDS = ("Pump", "Tank", "Valve", "Motor", "Sensor")
MAKERS = ("Nordwerk", "Aqualine", "Teknos")


def run(twins: int = 100_000, queries: int = 300, limit: int = 100) -> dict[str, Any]:
    """Figures: `p95_ms` over typed, text, property, place and two-hop queries (pages of `limit`),
    each kind's own, `last_over_first_page`, and `open_s` from a record with a keyframe."""
    world, log = built(twins)
    rng = random.Random(1)
    world.query(Query(text="warm"), 1)
    times: dict[str, list[float]] = {}
    for number in range(queries):
        kind, query = _query(rng, twins, number)
        started = time.perf_counter()
        world.query(query, limit)
        times.setdefault(kind, []).append((time.perf_counter() - started) * 1e3)
    everything = [t for of_kind in times.values() for t in of_kind]
    return {
        "twins": twins,
        "relations": len(world.structure.relations),
        "points": world.n_points,
        "p95_ms": _p95(everything),
        "p95_ms_by_kind": {kind: _p95(of_kind) for kind, of_kind in times.items()},
        "max_ms": max(everything),
        **_paging(world, limit),
        **_opening(world, log),
    }


def built(twins: int) -> tuple[World, list[Change]]:
    """Areas of 100 twins; each twin is part of its area and feeds the next one."""
    world = World("bench")
    types = [
        TwinType(kind, Text.of(kind, "en"), points=(PointType("value"), PointType("state")))
        for kind in KINDS
    ]
    edits: list[Any] = [PutType(t) for t in types]
    for i in range(twins):
        area = f"site/area{i // 100}"
        id_ = area if i % 100 == 0 else f"{area}/{KINDS[i % 5].lower()}{i}"
        serial = Property("serial", f"SN{i * 7919 % 1_000_003:07d}")
        properties = (
            serial,
            Property("maker", MAKERS[i % 3]),
            Property("power", float(i % 500), unit="kW"),
        )
        edits.append(PutTwin(Twin(id_, KINDS[i % 5], Text.of(f"{KINDS[i % 5]} {i}"), properties)))
        if i % 100:
            edits.append(PutRelation(Relation("part_of", id_, area)))
            if i % 100 > 1:
                before = f"{area}/{KINDS[(i - 1) % 5].lower()}{i - 1}"
                edits.append(PutRelation(Relation("feeds", before, id_)))
    log: list[Change] = []
    for start in range(0, len(edits), 10_000):
        part = Edits(tuple(edits[start : start + 10_000]))
        change = world.apply(Change(part, ORIGIN, start)).change
        if change is not None:
            log.append(change)
    return world, log


def _query(rng: random.Random, twins: int, number: int) -> tuple[str, Query]:
    i = rng.randrange(twins)
    area = f"site/area{i // 100}"
    match number % 6:
        case 0:
            return "type", Query(types=(rng.choice(KINDS),))
        case 1:
            return "text", Query(text=f"sn{i * 7919 % 1_000_003:07d}")
        case 2:
            return "text and type", Query(types=(rng.choice(KINDS),), text=str(i))
        case 3:
            value = float(rng.randrange(500))
            return "property", Query(
                properties=(("maker", "==", rng.choice(MAKERS)), ("power", ">", value))
            )
        case 4:
            return "two hops", Query(related=(("feeds", "part_of"), area))
        case _:
            return "typed two hops", Query(
                types=(rng.choice(KINDS),), related=(("^feeds", "part_of"), area)
            )


def _paging(world: World, limit: int) -> dict[str, Any]:
    """First against last page of a query that finds a fifth of the twins; medians of runs."""
    query = Query(types=("Pump",))
    first: list[float] = []
    last: list[float] = []
    for _ in range(5):
        cursor: str | None = None
        page_ms: list[float] = []
        while True:
            started = time.perf_counter()
            page = world.query(query, limit, cursor)
            page_ms.append((time.perf_counter() - started) * 1e3)
            cursor = page.cursor
            if cursor is None:
                break
        first.append(statistics.median(page_ms[:5]))
        last.append(statistics.median(page_ms[-5:]))
    return {
        "pages": len(page_ms),
        "first_page_ms": statistics.median(first),
        "last_page_ms": statistics.median(last),
        "last_over_first_page": statistics.median(last) / statistics.median(first),
    }


def _opening(world: World, log: list[Change]) -> dict[str, Any]:
    """Wall and CPU time from closed files to a world that has answered a query."""
    with tempfile.TemporaryDirectory() as folder:
        record = open_record(Path(folder), world.id)
        for change in log:
            record.append(change)
        record.keyframe(world.snapshot())
        record.close()
        wall, cpu = time.perf_counter(), time.process_time()
        record = open_record(Path(folder), world.id)
        opened = restore(record)
        opened.query(Query(types=("Pump",)), 10)
        figures = {
            "open_s": time.perf_counter() - wall,
            "open_cpu_s": time.process_time() - cpu,
            "opened_twins": len(opened.structure.twins),
        }
        record.close()
    return figures


def _p95(values: list[float]) -> float:
    return sorted(values)[int(0.95 * (len(values) - 1))]
