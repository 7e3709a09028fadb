"""What a branch asks of its line: figures that pair, and twins that move as the model does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mirrorworld.simulation.flow import reference
from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.evaluator import Flow
from mirrorworld.simulation.flow.model import Breakdown, Station
from mirrorworld.simulation.flow.model import line as flow_line
from mirrorworld.simulation.flow.play import Play, rejected
from mirrorworld.world.changes import (
    Change,
    Edits,
    Origin,
    OriginKind,
    PutRelation,
    PutSheet,
    PutTwin,
)
from mirrorworld.world.frames import frame
from mirrorworld.world.model import FEEDS, Kind, PointType, Relation, Sheet, Twin
from mirrorworld.world.world import World

STATES = ((2, "Stopped"), (5, "Suspended"), (6, "Execute"), (9, "Aborted"))
MACHINE = (
    PointType("State", Kind.ENUM, labels=STATES),
    PointType("Speed", unit="/min"),
    PointType("PartsIn", Kind.INT),
    PointType("PartsOut", Kind.INT),
)
LINE = {
    "twins": {
        "press": {"cycle": 10.0, "busy_w": 5000.0, "stops": []},
        "rack": {"role": "buffer", "capacity": 5},
        "oven": {"cycle": 12.0, "stops": [{"name": "jam", "between": 600, "repair": 120}]},
    },
    "carbon_kg_per_kwh": 0.4,
}


def line() -> World:
    world = World("works")
    edits = Edits(
        (
            PutTwin(Twin("press", points=MACHINE)),
            PutTwin(Twin("rack", points=(PointType("Content", Kind.INT),))),
            PutTwin(Twin("oven", points=MACHINE)),
            PutRelation(Relation(FEEDS, "press", "rack")),
            PutRelation(Relation(FEEDS, "rack", "oven")),
            PutSheet(Sheet("flow", "line", json.dumps(LINE))),
        )
    )
    world.apply(Change(edits, Origin(OriginKind.AUTHORED, "test"), 1))
    return world


def scenario(world: World, **given: float) -> World:
    branch = world.branch("b")
    sheet = PutSheet(Sheet("scenario", "parameters", json.dumps(given)))
    branch.apply(Change(Edits((sheet,)), Origin(OriginKind.AUTHORED, "test"), 1))
    return branch


def test_figures_of_branches_pair() -> None:
    world, heard = line(), []

    def progress(share: float, kpis: object = ()) -> None:
        heard.append(share)

    asked = Flow(horizon_h=8.0, warm_up_h=1.0)
    base = asked.evaluate(world, replications=10, seed=3, progress=progress)
    faster = scenario(world, **{"oven.repair_factor": 0.5})
    better = asked.evaluate(faster, replications=10, seed=3, progress=progress)
    assert [k.name for k in base] == [k.name for k in better]
    assert heard[9] == 1.0
    first, second = base[0].values, better[0].values
    # Oven: 300 an hour, up 5/6 of the time, or 10/11.
    assert first.mean() == pytest.approx(250, rel=0.03)
    assert second.mean() == pytest.approx(300 * 10 / 11, rel=0.03)
    assert np.all(second > first)
    by = {k.name: k.values.mean() for k in base}
    assert by["critical share, oven"] > 0.9 > by["critical share, press"]
    # 10 s at 5 kW for each part.
    assert by["energy per part"] == pytest.approx(10 * 5000 / 3600, rel=0.02)
    assert by["carbon per part"] == pytest.approx(0.4 * by["energy per part"], rel=1e-6)
    assert by["down, oven"] == pytest.approx(1 / 6, abs=0.03)


def test_a_world_without_a_line_says_so() -> None:
    with pytest.raises(ValueError, match="no twin feeds another"):
        Flow().evaluate(World("none"), replications=1, seed=1, progress=lambda share, kpis=(): None)


def test_twins_move_as_the_model_does() -> None:
    world = line().branch("played")
    handle = world.structure.handle("press", "PartsOut")
    world.apply(Change(frame([handle], [1000], [1]), Origin(OriginKind.MEASURED, "plc"), 1))
    model, second = Play(), 1_000_000_000
    model.draw_from(2)
    start = 1_700_000_000 * second
    states: dict[str, set[int]] = {"press": set(), "oven": set()}

    def value(twin: str, point: str) -> float:
        found = world.value(world.structure.handle(twin, point))
        assert isinstance(found, int | float)
        return found

    for at in range(0, 3600, 5):
        for change in model.step(world, start + at * second):
            assert change.origin.kind is OriginKind.SIMULATED
            tally = world.apply(change).tally
            assert tally.accepted == len(change.body) and not tally.unknown  # pyright: ignore
        for twin in states:
            states[twin].add(int(value(twin, "State")))
        # Nothing is lost between two machines.
        out, came, held = (
            value("press", "PartsOut"),
            value("oven", "PartsIn"),
            value("rack", "Content"),
        )
        assert out - 1000 - came == pytest.approx(held, abs=1)
        assert value("oven", "Speed") in (0.0, 5.0)
    assert states["oven"] >= {6, 9}
    assert states["press"] >= {5, 6}
    assert value("oven", "PartsOut") == pytest.approx(250, rel=0.15)


def test_the_same_seed_plays_the_same() -> None:
    played = []
    for steps, seed in ((7, 5), (400, 5), (7, 6)):
        world, model = line().branch("b"), Play()
        model.draw_from(seed)
        for at in np.linspace(0, 2000, steps).astype(int).tolist():
            for change in model.step(world, (10**9 + at) * 10**9):
                world.apply(change)
        points = [("press", "PartsOut"), ("oven", "PartsOut"), ("rack", "Content")]
        played.append([world.value(world.structure.handle(*p)) for p in points])
    assert played[0] == played[1] != played[2]


def test_rejects_are_seen_in_a_trace() -> None:
    stations = (
        Station("saw", Distribution.exponential(2), scrap=0.2, servers=2),
        Station(
            "mill",
            Distribution.exponential(1),
            scrap=0.1,
            breakdowns=(Breakdown("b", Distribution.exponential(9), Distribution.exponential(3)),),
        ),
    )
    model = flow_line("rejects", stations, (2,))
    found = reference.run(model, seed=3, horizon_s=400, trace_rows=10_000)
    assert found.trace is not None
    is_reject = rejected(found.trace)
    by_node = [int(is_reject[found.trace.node == i].sum()) for i in range(len(model.nodes))]
    assert by_node == found.scrapped_at[0].tolist() and found.scrapped[0] > 40
