"""What people say of a twin holds over its source, and can be taken back to the letter."""

from __future__ import annotations

import pytest

from mirrorworld.world.changes import (
    Change,
    Edit,
    Edits,
    Origin,
    OriginKind,
    PutGeometry,
    PutPointAbout,
    PutPose,
    PutTwin,
    PutType,
    PutTypeOf,
    Unsay,
)
from mirrorworld.world.model import Kind, PointType, Pose, Twin, TwinType
from mirrorworld.world.world import World

AUTHOR = Origin(OriginKind.AUTHORED, "tester")
PRESSURE = PointType("p", unit="bar", low=0.0, high=10.0)


def apply(world: World, *edits: Edit) -> None:
    world.apply(Change(Edits(edits), AUTHOR, 1))


def plant() -> World:
    world = World("w")
    apply(
        world,
        PutType(TwinType("Thing")),
        PutType(TwinType("Pump", points=(PointType("speed"), PointType("p", Kind.INT)))),
        PutTwin(Twin("t", "Thing", points=(PRESSURE,))),
    )
    return world


def test_a_unit_that_people_gave_holds_over_what_the_source_says_anew() -> None:
    world = plant()
    apply(world, PutPointAbout("t", "p", "mbar", high=2000.0))
    source_says = PointType("p", unit="bar", low=1.0, high=12.0)
    apply(world, PutTwin(Twin("t", "Thing", points=(source_says,))))
    (point,) = world.structure.points_of("t")
    assert (point.type.unit, point.type.low, point.type.high) == ("mbar", 1.0, 2000.0)
    assert world.structure.high.tolist() == [2000.0]
    later = World.from_snapshot(world.snapshot())
    for each in (world, later):
        apply(each, Unsay("t", "PutPointAbout", "p"))
        assert each.structure.points_of("t")[0].type == source_says
        assert each.structure.high.tolist() == [12.0]
    assert later.state_hash() == world.state_hash()


def test_a_said_type_gives_its_points_and_the_source_describes_its_own() -> None:
    world = plant()
    apply(world, PutTypeOf("t", "Pump"))
    assert world.structure.twins["t"].type == "Pump"
    assert [p.name for p in world.structure.points_of("t")] == ["p", "speed"]
    assert world.structure.points_of("t")[0].type == PRESSURE
    apply(world, PutType(TwinType("Thing", points=(PointType("late"),))))
    assert "late" in [p.name for p in world.structure.points_of("t")]
    apply(world, Unsay("t", "PutTypeOf"))
    assert world.structure.twins["t"].type == "Thing"
    assert world.structure.of_type("Pump") == []


def test_an_empty_range_is_refused_and_leaves_nothing() -> None:
    world = plant()
    before = world.state_hash()
    with pytest.raises(ValueError, match=r"t\.p: range from 20\.0 to 10\.0 is empty"):
        apply(world, PutPointAbout("t", "p", low=20.0))
    assert world.state_hash() == before
    assert world.structure.said("t") == {}


def test_what_nobody_said_cannot_be_taken_back() -> None:
    world = plant()
    at = world.position
    apply(world, Unsay("t", "PutName"))
    assert world.position == at
    with pytest.raises(ValueError, match="says nothing of a twin"):
        apply(world, Unsay("t", "DropTwin"))


def test_what_was_said_holds_in_a_snapshot_that_the_source_has_since_contradicted() -> None:
    world = plant()
    apply(world, PutPointAbout("t", "p", high=5.0))
    apply(world, PutTwin(Twin("t", "Thing", points=(PointType("p", low=8.0),))))
    later = World.from_snapshot(world.snapshot())
    assert later.state_hash() == world.state_hash()
    assert later.structure.said("t") == world.structure.said("t")


def test_a_look_that_people_gave_holds_wherever_the_twin_is_moved() -> None:
    world = plant()
    apply(world, PutGeometry("t", "asset:mine"), PutPose("t", Pose(1, 0, 2), "asset:other"))
    apply(world, PutPose("t", Pose(3, 0, 4)), PutTwin(Twin("t", "Thing", geometry="asset:source")))
    later = World.from_snapshot(world.snapshot())
    for each in (world, later):
        twin = each.structure.twins["t"]
        assert (twin.pose, twin.geometry) == (Pose(3, 0, 4), "asset:mine")
        apply(each, PutGeometry("t", ""))
        assert each.structure.twins["t"].geometry == "", "a plain body, over what its source says"
        apply(each, Unsay("t", "PutGeometry"))
        assert each.structure.twins["t"].geometry == "asset:source"
    assert later.state_hash() == world.state_hash()
