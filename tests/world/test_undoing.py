"""Undo leads back to how it was, and stands back where others have been since."""

from __future__ import annotations

import pytest

from mirrorworld.world.changes import (
    Change,
    DropTwin,
    Edit,
    Edits,
    Origin,
    OriginKind,
    PutGeometry,
    PutName,
    PutPointAbout,
    PutPose,
    PutProperty,
    PutRelation,
    PutTwin,
    PutTypeOf,
)
from mirrorworld.world.model import PointType, Pose, Property, Relation, Text, Twin
from mirrorworld.world.undoing import undone
from mirrorworld.world.world import World


def apply(world: World, *edits: Edit) -> None:
    world.apply(Change(Edits(edits), Origin(OriginKind.AUTHORED, "ada"), 1))


def plant() -> World:
    world = World("w")
    apply(world, PutTwin(Twin("a", points=(PointType("p"),))), PutTwin(Twin("b")))
    apply(world, PutName("a", Text.of("Pump")), PutRelation(Relation("feeds", "a", "b")))
    return world


@pytest.mark.parametrize(
    "edits",
    [
        (PutName("a", Text.of("Tank")), PutName("a", Text.of("Silo"))),
        (PutName("b", Text.of("Tank")), PutPose("b", Pose(1, 0, 2))),
        (PutGeometry("b", "asset:tank"), PutGeometry("b", "asset:silo")),
        (
            PutTypeOf("a", "Pump"),
            PutPointAbout("a", "p", "mbar"),
            PutProperty("a", Property("x", 1)),
        ),
        (PutTwin(Twin("group")), PutRelation(Relation("part_of", "a", "group"))),
        (DropTwin("a"),),
    ],
)
def test_undo_leads_back(edits: tuple[Edit, ...]) -> None:
    world = plant()
    before = World.from_snapshot(world.snapshot()).structure
    apply(world, *edits)
    after = World.from_snapshot(world.snapshot()).structure
    apply(world, *undone(before, after, world.structure, Edits(edits)))
    assert world.structure.twins == before.twins
    assert world.structure.relations == before.relations
    assert list(world.structure.overlays()) == list(before.overlays())
    assert world.structure.points_of("a") == before.points_of("a")


def test_what_somebody_changed_since_is_left_alone() -> None:
    world = plant()
    before = World.from_snapshot(world.snapshot()).structure
    mine = Edits((PutName("a", Text.of("Tank")),))
    apply(world, *mine.edits)
    after = World.from_snapshot(world.snapshot()).structure
    apply(world, PutName("a", Text.of("Silo")))
    with pytest.raises(ValueError, match="a: its name was changed again since"):
        undone(before, after, world.structure, mine)
