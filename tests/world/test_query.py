"""Queries: each filter, their combination, paging, and that edits are found at once."""

from __future__ import annotations

import random

import pytest

from mirrorworld.world.changes import (
    Change,
    DropTwin,
    Edit,
    Edits,
    Origin,
    OriginKind,
    PutName,
    PutPose,
    PutProperty,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.model import Pose, Property, Relation, Text, Twin, TwinType
from mirrorworld.world.query import Query
from mirrorworld.world.world import World

ORIGIN = Origin(OriginKind.AUTHORED, "tester")


def edit(world: World, *edits: Edit) -> None:
    world.apply(Change(Edits(edits), ORIGIN, 1))


@pytest.fixture
def world() -> World:
    made = World("w")
    edit(
        made,
        PutType(TwinType("Machine", Text.of("Maschine", "de"))),
        PutType(TwinType("Pump", extends=("Machine",))),
        PutTwin(Twin("hall")),
        *(
            PutTwin(
                Twin(
                    f"hall/p{i}",
                    "Pump" if i % 2 else "Machine",
                    Text.of(f"Pump {i}"),
                    (Property("power", float(i), unit="kW"), Property("maker", "AB"[i % 2])),
                    pose=Pose(float(i), 0.0, -float(i)),
                )
            )
            for i in range(10)
        ),
        *(PutRelation(Relation("part_of", f"hall/p{i}", "hall")) for i in range(10)),
        *(PutRelation(Relation("feeds", f"hall/p{i}", f"hall/p{i + 1}")) for i in range(9)),
    )
    return made


def found(world: World, **filters: object) -> list[str]:
    page = world.query(Query(**filters), 1000)  # pyright: ignore[reportArgumentType]
    return [twin.removeprefix("hall/") for twin in page.twins]


def test_by_type_with_subtypes(world: World) -> None:
    assert found(world, types=("Pump",)) == ["p1", "p3", "p5", "p7", "p9"]
    assert len(found(world, types=("Machine",))) == 10
    assert found(world, types=("Nothing",)) == []


def test_by_text_whatever_its_case_and_wherever_it_stands(world: World) -> None:
    assert found(world, text="PUMP 3") == ["p3"]
    assert len(found(world, text="maschine")) == 5
    assert found(world, text="p3", types=("Pump",)) == ["p3"]
    assert found(world, text="3 maschine") == []
    assert found(world, text="4 maschine") == ["p4"]
    assert found(world, text=" \n") == found(world)


def test_by_property(world: World) -> None:
    assert found(world, properties=(("power", ">", 7),)) == ["p8", "p9"]
    assert found(world, properties=(("maker", "==", "B"), ("power", "<=", 3.0))) == ["p1", "p3"]
    assert found(world, properties=(("maker", "!=", "B"), ("power", ">=", 8))) == ["p8"]
    assert found(world, properties=(("maker", "==", None),)) == ["hall"]
    with pytest.raises(ValueError, match="'~' compares nothing"):
        found(world, properties=(("power", "~", 1),))


def test_by_relation_path(world: World) -> None:
    assert found(world, related=(("feeds",), "hall/p3")) == ["p2"]
    assert found(world, related=(("^feeds",), "hall/p3")) == ["p4"]
    assert found(world, related=(("feeds", "feeds"), "hall/p3")) == ["p1"]
    assert found(world, related=(("feeds*",), "hall/p3")) == ["p0", "p1", "p2", "p3"]
    assert len(found(world, related=(("feeds", "part_of"), "hall"))) == 9
    with pytest.raises(ValueError, match="no such twin"):
        found(world, related=(("feeds",), "nowhere"))


def test_by_place(world: World) -> None:
    assert found(world, box=(2, -1, -4, 9, 1, 0)) == ["p2", "p3", "p4"]


def test_pages_join_to_the_whole_and_a_twin_added_meanwhile_is_not_missed(world: World) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        page = world.query(Query(types=("Machine",)), 3, cursor)
        assert page.total is not None
        seen += page.twins
        if len(seen) == 6:
            edit(world, PutTwin(Twin("hall/new", "Pump")), DropTwin("hall/p0"))
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [*(f"hall/p{i}" for i in range(10)), "hall/new"]
    with pytest.raises(ValueError, match="not a cursor"):
        world.query(Query(), 3, "soon")
    with pytest.raises(ValueError, match="limit 0"):
        world.query(Query(), 0)


def test_what_was_edited_is_found_and_what_it_was_is_not(world: World) -> None:
    assert found(world, text="valve") == []
    assert found(world, properties=(("maker", "==", "C"),)) == []
    edit(
        world,
        PutName("hall/p4", Text.of("Valve")),
        PutProperty("hall/p4", Property("maker", "C")),
        PutPose("hall/p4", Pose(100, 0, 0)),
    )
    assert found(world, text="valve") == ["p4"]
    assert found(world, properties=(("maker", "==", "C"),)) == ["p4"]
    assert found(world, box=(99, -1, -1, 101, 1, 1)) == ["p4"]
    assert "p4" not in found(world, text="pump 4")


@pytest.mark.parametrize("seed", range(6))
def test_text_search_equals_looking_at_every_twin(seed: int) -> None:
    rng = random.Random(seed)
    world = World("w")
    for step in range(60):
        i = rng.randrange(9000)
        edit(world, PutTwin(Twin(f"a{i}", rng.choice("XY"), Text.of(rng.choice("uvw") * 2))))
        if step % 5 == 0:
            edit(world, DropTwin(rng.choice(list(world.structure.twins))))
        needle = rng.choice(("a1", "uu", "9", "x", "vv"))
        twins = world.structure.twins.values()
        expected = {t.id for t in twins if needle in f"{t.id} {t.name.best()} {t.type}".casefold()}
        assert set(world.query(Query(text=needle), 1000).twins) == expected
