"""A line's model from twins: what each is, where its numbers come from, what is said when not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mirrorworld.simulation.flow import reference
from mirrorworld.simulation.flow import sheet as sheets
from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.from_world import OUTPUT, SUPPLY, from_world
from mirrorworld.simulation.flow.model import Buffer, Conveyor, FlowError, Station
from mirrorworld.world.changes import (
    Change,
    Edit,
    Edits,
    Origin,
    OriginKind,
    PutProperty,
    PutRelation,
    PutSheet,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import frame
from mirrorworld.world.model import (
    FEEDS,
    Kind,
    PointType,
    Property,
    Relation,
    Sheet,
    Twin,
    TwinType,
)
from mirrorworld.world.world import World

STATES = ((2, "Stopped"), (5, "Suspended"), (6, "Execute"), (9, "Aborted"), (11, "Held"))


def put(world: World, *edits: Edit) -> World:
    world.apply(Change(Edits(edits), Origin(OriginKind.AUTHORED, "test"), 1))
    return world


def flow(name: str = "line", **body: Any) -> PutSheet:
    return PutSheet(Sheet("flow", name, json.dumps(body)))


def saw_and_mill() -> World:
    saw = (Property("CycleTime", 0.5, unit="min"), Property("mtbf", 2.0, unit="h"))
    return put(
        World("works"),
        PutType(TwinType("t#MachineType", points=(PointType("State", Kind.ENUM, labels=STATES),))),
        PutType(TwinType("t#BufferType")),
        PutTwin(
            Twin("w/saw", "t#MachineType", properties=(*saw, Property("mttr", 6.0, unit="min")))
        ),
        PutTwin(Twin("w/rack", "t#BufferType", properties=(Property("capacity", 4),))),
        PutTwin(
            Twin(
                "w/mill",
                "t#MachineType",
                points=(PointType("Speed", unit="/h"), PointType("SpeedSetpoint", unit="/min")),
            )
        ),
        PutRelation(Relation(FEEDS, "w/saw", "w/rack")),
        PutRelation(Relation(FEEDS, "w/rack", "w/mill")),
    )


def set_point(world: World, per_min: float) -> None:
    handle = world.structure.handle("w/mill", "SpeedSetpoint")
    samples = frame([handle], [per_min], [world.n_points and world.position.sequence + 1])
    world.apply(Change(samples, Origin(OriginKind.MEASURED, "plc"), 2))


def with_set_point() -> World:
    world = saw_and_mill()
    set_point(world, 4.0)
    return world


def test_twins_become_nodes_in_the_order_of_the_flow() -> None:
    drawn = from_world(with_set_point())
    assert [node.name for node in drawn.model.nodes] == [SUPPLY, "saw", "rack", "mill", OUTPUT]
    saw, rack, mill = (drawn.model.node(name) for name in ("saw", "rack", "mill"))
    assert isinstance(saw, Station) and isinstance(rack, Buffer) and isinstance(mill, Station)
    assert saw.process.mean() == pytest.approx(30.0)
    assert saw.breakdowns[0].between.mean() == pytest.approx(7200.0)
    assert saw.breakdowns[0].repair.mean() == pytest.approx(360.0)
    assert rack.capacity == 4
    assert mill.process.mean() == pytest.approx(15.0)
    assert drawn.nodes["rack"] == "w/rack"
    by = {(ground.twin, ground.what): ground.by for ground in drawn.grounds}
    assert by["w/saw", "cycle"] == "property" and by["w/mill", "cycle"] == "point"
    assert by["w/mill", "stops"] == "assumed"
    assert all(ground.mend for ground in drawn.assumed)


def test_it_runs() -> None:
    model = from_world(with_set_point()).model
    result = reference.run(model, seed=1, replications=1, horizon_s=36_000)
    # Saw: a part in 30 s, down 5 % of the time.
    assert result.throughput_per_s[0] * 3600 == pytest.approx(114, rel=0.06)


def test_what_is_missing_is_named_with_a_mend() -> None:
    with pytest.raises(FlowError, match=r"w/mill: no cycle time; fit .* cycle_time"):
        from_world(saw_and_mill())
    with pytest.raises(FlowError, match="no twin feeds another: relate them"):
        from_world(World("empty"))
    with pytest.raises(FlowError, match="there is no twin 'w/sew'"):
        from_world(put(with_set_point(), flow(twins={"w/sew": {"cycle": 3}})))
    ring = put(with_set_point(), PutRelation(Relation(FEEDS, "w/mill", "w/saw")))
    with pytest.raises(FlowError, match="nothing comes from outside"):
        from_world(ring)


def test_units_are_checked() -> None:
    world = put(with_set_point(), PutProperty("w/saw", Property("CycleTime", 30.0, unit="kg")))
    with pytest.raises(FlowError, match=r"w/saw.CycleTime: unit 'kg' does not fit"):
        from_world(world)
    world = put(with_set_point(), PutProperty("w/saw", Property("CycleTime", -1.0)))
    with pytest.raises(FlowError, match="cannot be"):
        from_world(world)


def test_an_engineers_sheet_stands_above_properties() -> None:
    said = {
        "w/saw": {"cycle": {"kind": "uniform", "parameters": [10, 20]}, "servers": 2, "scrap": 0.1},
        "w/rack": {"length_m": 6.0, "speed_m_s": 0.2, "capacity": 12},
    }
    drawn = from_world(put(with_set_point(), flow(twins=said, demand_per_h=100)))
    saw, rack = drawn.model.node("saw"), drawn.model.node("rack")
    assert isinstance(saw, Station) and isinstance(rack, Conveyor)
    assert (saw.process.mean(), saw.servers, saw.scrap) == (15.0, 2, 0.1)
    assert (rack.capacity, rack.travel_s) == (12, pytest.approx(30.0))
    assert drawn.model.node(SUPPLY).interarrival == Distribution.constant(36.0)  # pyright: ignore


FITTED = {
    "w/saw": {"cycle": 33.0, "stops": [], "at": {"property cycletime": 30.0}},
    "w/mill": {
        "cycle": 18.0,
        "stops": [{"name": "held", "between": 900, "repair": 30}],
        "at": {"SpeedSetpoint": 4.0 / 60},
    },
}


def test_what_was_fitted_moves_with_set_points_and_properties() -> None:
    world = put(with_set_point(), flow("fitted", twins=FITTED))
    before = from_world(world)
    assert before.model.stations[0].process.mean() == pytest.approx(33.0)
    assert before.model.stations[1].process.mean() == pytest.approx(18.0)
    branch = put(
        world.branch("faster"), PutProperty("w/saw", Property("CycleTime", 0.4, unit="min"))
    )
    set_point(branch, 5.0)
    after = from_world(branch)
    assert after.model.stations[0].process.mean() == pytest.approx(33.0 * 0.8)
    assert after.model.stations[1].process.mean() == pytest.approx(18.0 / 1.25)
    assert after.model.stations[1].breakdowns[0].repair.mean() == 30.0
    put(branch, PutProperty("w/mill", Property("mttr", 10.0)))
    assert from_world(branch).model.stations[1].breakdowns[0].repair.mean() == pytest.approx(10.0)
    # A rack that was not fitted takes what the branch gives it.
    put(branch, PutProperty("w/rack", Property("capacity", 9)))
    assert from_world(branch).model.node("rack").capacity == 9  # pyright: ignore


def test_a_scenario_goes_over_everything() -> None:
    world = put(with_set_point(), flow("fitted", twins=FITTED))
    given = {"mill.repair_factor": 0.5, "w/saw.rate_factor": 1.1, "rack.capacity_factor": 2}
    body = json.dumps({**given, "demand_per_h": 90, "of another model": "x"})
    put(world, PutSheet(Sheet("scenario", "parameters", body)))
    model = from_world(world).model
    saw, mill = model.stations
    assert saw.process.mean() == pytest.approx(30.0)
    assert mill.breakdowns[0].repair.mean() == pytest.approx(15.0)
    assert model.node("rack").capacity == 8  # pyright: ignore
    put(world, PutSheet(Sheet("scenario", "parameters", '{"sow.rate_factor": 2}')))
    with pytest.raises(ValueError, match="'sow': there is no such twin"):
        from_world(world)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"twins": {"a": {"cycle": 0}}}, r"flow 'x': a.cycle: it is 0"),
        ({"twins": {"a": {"role": "robot"}}}, "give one of machine, conveyor"),
        ({"twins": {"a": {"cycle": {"kind": "gama", "parameters": [1, 2]}}}}, "no distribution"),
        ({"twins": {"a": {"scrap": 1.5}}}, "share from 0 to 1"),
        ({"twins": {"a": {"cycl": 3}}}, "unknown field `cycl`"),
        (
            {"twins": {"a": {"stops": [{"name": "s", "between": 0, "repair": 3}]}}},
            "give a number above 0",
        ),
        ({"demand_per_h": 0}, "demand_per_h is 0"),
        ({"twins": {"a": {"rate_factor": -2}}}, "above 0"),
    ],
)
def test_a_sheet_that_makes_no_sense_is_refused(body: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sheets.read(Sheet("flow", "x", json.dumps(body)))
