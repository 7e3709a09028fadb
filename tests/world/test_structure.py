"""Types, twins, points, relations and arms: what edits do, and what they refuse."""

from __future__ import annotations

import dataclasses

import pytest

from mirrorworld.world.changes import (
    Arm,
    Change,
    DropProperty,
    DropRelation,
    DropTwin,
    Edit,
    Edits,
    Origin,
    OriginKind,
    PutName,
    PutPoints,
    PutPose,
    PutProperty,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.model import (
    Kind,
    OperationType,
    PointType,
    Pose,
    Property,
    Ref,
    Relation,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.plain import from_plain, from_tagged, to_plain
from mirrorworld.world.world import World

ORIGIN = Origin(OriginKind.AUTHORED, "tester")
LEVEL, FLOW = PointType("level", unit="%"), PointType("flow", unit="L/min")


def edit(world: World, *edits: Edit) -> tuple[Edit, ...]:
    applied = world.apply(Change(Edits(edits), ORIGIN, 1))
    if applied.change is None:
        return ()
    assert isinstance(applied.change.body, Edits)
    return applied.change.body.edits


@pytest.fixture
def world() -> World:
    made = World("w")
    edit(
        made,
        PutType(TwinType("Vessel", points=(LEVEL,))),
        PutType(
            TwinType(
                "Tank",
                extends=("Vessel",),
                points=(FLOW,),
                components=(("drive", "Motor"),),
                operations=(OperationType("empty"),),
            )
        ),
        PutType(TwinType("Motor", points=(PointType("speed", unit="1/min"),))),
        PutTwin(Twin("site")),
        PutTwin(Twin("site/tank", "Tank", properties=(Property("maker", "Aqualine"),))),
    )
    return made


def names(world: World, twin: str) -> list[str]:
    return [point.name for point in world.structure.points_of(twin)]


def test_a_twin_has_the_points_of_its_type_of_supertypes_and_of_components(world: World) -> None:
    assert names(world, "site/tank") == ["flow", "drive/speed", "level"]


def test_a_type_that_gains_a_point_gives_it_to_its_twins(world: World) -> None:
    before = world.structure.handle("site/tank", "level")
    edit(world, PutType(TwinType("Vessel", points=(LEVEL, PointType("pressure")))))
    assert names(world, "site/tank") == ["flow", "drive/speed", "level", "pressure"]
    assert world.structure.handle("site/tank", "level") == before


def test_what_is_so_already_changes_nothing(world: World) -> None:
    position = world.position
    assert edit(world, PutTwin(Twin("site")), PutType(TwinType("Vessel", points=(LEVEL,)))) == ()
    assert world.position == position


def test_a_source_that_declares_anew_undoes_nobodys_work(world: World) -> None:
    declared = world.structure.twins["site/tank"]
    pose = Pose(1, 2, 3)
    edit(
        world,
        PutName("site/tank", Text((("en", "Main tank"), ("de", "Haupttank")))),
        PutPose("site/tank", pose, "asset:tank"),
        PutProperty("site/tank", Property("maker", "Nordwerk")),
        PutPoints("site/tank", (PointType("note", Kind.TEXT),)),
    )
    edit(world, PutTwin(dataclasses.replace(declared, name=Text.of("T1"))))
    tank = world.structure.twins["site/tank"]
    assert (tank.pose, tank.geometry) == (pose, "asset:tank")
    assert tank.name.best("de") == "Haupttank"
    maker = tank.property("maker")
    assert maker is not None
    assert maker.value == "Nordwerk"
    assert "note" in names(world, "site/tank")


def test_a_dropped_twin_takes_its_relations_and_arms_but_keeps_its_handles(world: World) -> None:
    edit(
        world,
        PutRelation(Relation("part_of", "site/tank", "site")),
        Arm("site/tank", "level"),
        Arm("site/tank", "empty"),
    )
    handle = world.structure.handle("site/tank", "level")
    edit(world, DropTwin("site/tank"))
    assert "site/tank" not in world.structure.twins
    assert not world.structure.relations
    assert not world.structure.arms
    assert world.point(handle) == ("site/tank", LEVEL)
    edit(world, PutTwin(Twin("site/tank", "Tank")))
    assert world.structure.handle("site/tank", "level") == handle
    assert world.structure.twins["site/tank"].property("maker") is None


def test_edits_are_refused_together(world: World) -> None:
    before = world.state_hash()
    with pytest.raises(ValueError, match="no twin 'site/pump'"):
        edit(
            world,
            PutTwin(Twin("site/new", "Tank")),
            PutRelation(Relation("feeds", "site/new", "site/pump")),
        )
    assert world.state_hash() == before
    assert world.n_points == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (PutTwin(Twin("")), "IRI without control characters"),
        (PutTwin(Twin("a\nb")), "IRI without control characters"),
        (PutType(TwinType("")), "needs an id"),
        (PutType(TwinType("A", extends=("A",))), "cannot extend itself"),
        (PutType(TwinType("B", points=(LEVEL, LEVEL))), "two points are called 'level'"),
        (PutTwin(Twin("x", points=(PointType("p", low=2, high=1),))), "from 2 to 1 is empty"),
        (PutPoints("site/tank", (PointType("level", Kind.TEXT),)), "is FLOAT, cannot become TEXT"),
        (PutProperty("nowhere", Property("a", 1)), "nowhere: no such twin"),
        (PutProperty("site", Property("", 1)), "needs a name"),
        (PutRelation(Relation("", "site", "site/tank")), "needs a kind"),
        (Arm("site", "level"), "no point or operation 'level'"),
    ],
)
def test_a_foolish_edit_is_refused_by_name(world: World, wrong: Edit, message: str) -> None:
    before = world.state_hash()
    with pytest.raises(ValueError, match=message):
        edit(world, wrong)
    assert world.state_hash() == before


def test_components_that_contain_themselves_are_refused(world: World) -> None:
    loop = TwinType("Loop", components=(("inner", "Loop2"),))
    edit(world, PutType(loop), PutType(TwinType("Loop2", components=(("inner", "Loop"),))))
    with pytest.raises(ValueError, match="contains itself"):
        edit(world, PutTwin(Twin("x", "Loop")))


def test_relations_carry_attributes_and_parallel_ones_have_names(world: World) -> None:
    since = Property("since", "2024-05-01", datatype="xs:date")
    edit(
        world,
        PutRelation(Relation("feeds", "site", "site/tank", "a", (since,))),
        PutRelation(Relation("feeds", "site", "site/tank", "b")),
    )
    assert [r.name for r in world.structure.relations_from("site")] == ["a", "b"]
    assert next(world.structure.relations_to("site/tank")).properties == (since,)
    edit(world, DropRelation("feeds", "site", "site/tank", "a"))
    assert [r.name for r in world.structure.relations_from("site")] == ["b"]


def test_nested_properties_lists_languages_and_statements_about_them() -> None:
    nameplate = Property(
        "Nameplate",
        (
            Property(
                "Address",
                (Property("Street", Text((("de", "Weg 1"), ("en", "Way 1")))),),
                semantic_ids=("0173-1#02-AAQ837#005",),
            ),
            Property("Markings", (Property("", (Property("Name", "CE"),)), Property("", ()))),
            Property("Torque", 3.5, "xs:double", "N.m", attributes=(Property("tolerance", 0.1),)),
            Property("Document", Ref("urn:doc:1")),
        ),
    )
    twin = Twin("x", properties=(nameplate, Property("empty", None)))
    assert from_plain(Twin, to_plain(twin)) == twin
    found = twin.property("Nameplate/Address/Street")
    assert found is not None
    assert isinstance(found.value, Text)
    assert found.value.best("en") == "Way 1"
    edited = from_tagged(to_plain(PutProperty("x", nameplate), tagged=True))
    assert edited == PutProperty("x", nameplate)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"id": 7}, "Twin.id: expected str, got 7"),
        ({}, "Twin: Twin needs id"),
        ({"id": "x", "colour": 1}, "Twin has no 'colour'; it has id"),
        ({"id": "x", "pose": {"x_m": "far"}}, "Twin.pose.x_m: expected float or int"),
        (
            {"id": "x", "points": [{"name": "p", "kind": "speed"}]},
            r"points\[0\].kind: expected one",
        ),
        (
            {"id": "x", "properties": [{"name": "p", "value": {"@": "Nope"}}]},
            "expected a dict with",
        ),
        ({"id": "x", "name": {"en": 3}}, "Twin.name: expected a text"),
    ],
)
def test_a_wrong_plain_form_is_named_by_its_place(plain: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_plain(Twin, plain)


def test_dropping_a_property_holds_over_the_declaration(world: World) -> None:
    edit(world, DropProperty("site/tank", "maker"))
    assert world.structure.twins["site/tank"].property("maker") is None
    edit(world, PutTwin(Twin("site/tank", "Tank", properties=(Property("maker", "Other"),))))
    assert world.structure.twins["site/tank"].property("maker") is None
