"""What a mapping would change, row by row, and that its edits do just that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mirrorworld.mapping.book import parse, read
from mirrorworld.mapping.plan import BY_HAND, KEPT, NOT_CONVERTED, Plan, Row
from mirrorworld.world.changes import (
    Change,
    Edit,
    Edits,
    Origin,
    OriginKind,
    PutName,
    PutPointAbout,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.model import Kind, PointType, Pose, Property, Relation, Sheet, Twin, TwinType
from mirrorworld.world.undoing import undone
from mirrorworld.world.world import World

PERSON, SOURCE = Origin(OriginKind.AUTHORED, "ada"), Origin(OriginKind.MEASURED, "plc")
POINTS = (
    PointType("motor_temp", unit="K", low=0, high=400),
    PointType("state", Kind.ENUM),
    PointType("order", Kind.TEXT),
)


def plant(n: int = 3) -> World:
    world = World("w")
    twins = [PutTwin(Twin(f"plant/hall{i % 2}/P{i}", "Thing")) for i in range(1, n + 1)]
    places = [PutTwin(Twin(name)) for name in ("plant", "plant/hall0", "plant/hall1")]
    parts = [PutRelation(Relation("part_of", each.twin.id, "plant")) for each in twins]
    do(world, PutType(TwinType("Thing", points=POINTS)), *places, *twins, *parts, origin=SOURCE)
    return world


def do(world: World, *edits: Edit, origin: Origin = PERSON) -> None:
    world.apply(Change(Edits(edits), origin, 1))


def plan(world: World, set_: dict[str, Any], id_: str = "plant/{hall}/P{n:int}", **more: Any):
    body = json.dumps({"where": {"id": id_}, "set": set_, **more})
    return Plan(world.structure, parse(body)).worked()


def test_twins_are_named_typed_and_numbered() -> None:
    world = plant()
    told = {
        "name": "Pump {n:02}",
        "type": "Pump",
        "serial_number": "S-{hall}-{n}",
        "properties": {"was": "{leaf}"},
    }
    found = plan(world, told)
    assert found.matched == 3
    assert found.rows[0][:5] == ("plant/hall1/P1", "name", "", "", "Pump 01")
    assert found.rows[1].note == "no such type is described yet"
    do(world, *found.edits())
    twin = world.structure.twins["plant/hall0/P2"]
    assert (twin.name.best(), twin.type) == ("Pump 02", "Pump")
    assert {p.name: p.value for p in twin.properties} == {
        "serial_number": "S-hall0-2",
        "was": "P2",
    }
    again = plan(world, told)
    assert again.rows == [], "what is so already is not said again"


def test_points_get_units_ranges_and_meanings() -> None:
    world = plant(1)
    points = [
        {"name": "*_temp", "unit": "Cel", "low": -10, "semantic_id": "urn:temp:{n}"},
        {"name": "motor*", "description": "Winding of {leaf}", "unit": "[degF]"},
        {"name": "state", "labels": {"1": "on", "0": "off"}},
        {"name": "order", "unit": "K", "high": 3},
    ]
    found = plan(world, {"points": points})
    rows = {(row.what, row.of): row for row in found.rows}
    assert rows["unit", "motor_temp"][3:6] == ("K", "[degF]", NOT_CONVERTED)
    assert rows["range", "motor_temp"].after == "-10 – 400"
    assert rows["labels", "state"].after == "0 off, 1 on"
    for what in ("unit", "range"):
        assert rows[what, "order"].is_left_out and "text" in rows[what, "order"].note
    do(world, *found.edits())
    temp, state, order = (p.type for p in world.structure.points_of("plant/hall1/P1"))
    assert (temp.unit, temp.low, temp.high) == ("[degF]", -10, 400)
    assert temp.semantic_ids == ("urn:temp:1",)
    assert temp.description.best() == "Winding of P1"
    assert state.labels == ((0, "off"), (1, "on"))
    assert order == POINTS[2]


def test_what_was_said_of_a_point_before_stays_said() -> None:
    world = plant(1)
    do(world, PutPointAbout("plant/hall1/P1", "motor_temp", high=90.0))
    (row,) = plan(world, {"points": [{"name": "*", "semantic_id": "urn:x"}]}, "**/P1").rows[:1]
    assert row.note == BY_HAND
    do(world, *row.edits)
    point = world.structure.points_of("plant/hall1/P1")[0].type
    assert (point.high, point.semantic_ids) == (90.0, ("urn:x",))


def test_a_part_moves_to_its_new_whole() -> None:
    world = plant()
    told = {"relations": [{"kind": "part_of", "to": "plant/{hall}"}, {"kind": "feeds", "to": "no"}]}
    found = plan(world, told)
    assert [(r.before, r.after, r.is_left_out) for r in found.rows[:2]] == [
        ("plant", "plant/hall1", False),
        ("", "no", True),
    ]
    assert found.waiting == ["plant/hall1/P1", "plant/hall0/P2", "plant/hall1/P3"]
    do(world, *found.edits())
    parts = [r.source for r in world.structure.relations_to("plant/hall1")]
    assert parts == ["plant/hall1/P1", "plant/hall1/P3"]
    assert not list(world.structure.relations_to("plant"))


def test_relations_go_the_other_way_too() -> None:
    world = plant(2)
    found = plan(world, {"relations": [{"kind": "feeds", "from": "plant/{hall}"}]})
    do(world, *found.edits())
    assert {r.target for r in world.structure.relations_from("plant/hall1")} == {"plant/hall1/P1"}


def test_what_would_be_a_ring_is_left_out() -> None:
    world = plant(2)
    told = {"relations": [{"kind": "part_of", "to": "plant/hall0/P2"}]}
    found = plan(world, told, "plant/{x}/P{n:int}")
    assert [r.is_left_out for r in found.rows] == [False, True]
    assert "itself" in found.rows[1].note
    swap = plan(world, {"relations": [{"kind": "part_of", "to": "plant/hall1/P1"}]}, "plant")
    assert swap.rows[0].is_left_out, "plant has P1 as a part"


def test_twins_are_placed_in_rows() -> None:
    world = plant(5)
    grid = {"start": [10, 0, 0], "step": [2, 0, 0], "per_row": 2, "row_step": [0, 0, 3]}
    do(world, *plan(world, {"place": grid}).edits())
    found = [world.structure.twins[f"plant/hall{i % 2}/P{i}"].pose for i in range(1, 6)]
    assert [(p.x_m, p.z_m) for p in found if p] == [(10, 0), (12, 0), (10, 3), (12, 3), (10, 6)]
    do(world, *plan(world, {"place": {**grid, "per_row": 0, "by": "n"}}).edits())
    assert world.structure.twins["plant/hall1/P5"].pose == Pose(20.0)


def test_conflicts_are_said() -> None:
    world = plant()
    do(world, PutName("plant/hall1/P1", parse_text("Ada's")))
    rows = plan(world, {"name": "Pump", "serial_number": "1"}).rows
    notes = [row.note for row in rows]
    assert notes[0] == BY_HAND
    assert notes[2] == notes[3] == "plant/hall1/P1 is given the same"
    kept = plan(world, {"name": "Pump"}, keep_said=True)
    assert (kept.rows[0].note, kept.rows[0].is_left_out) == (KEPT, True)
    assert len(kept.edits()) == 2


def parse_text(text: str) -> Any:
    from mirrorworld.world.model import Text

    return Text.of(text)


def test_patterns_over_names_and_types_and_what_one_may() -> None:
    world = plant()
    do(world, PutName("plant/hall0/P2", parse_text("Feed water 2")))
    body = {"where": {"type": "Th*", "name": "Feed {what} *"}, "set": {"serial_number": "{what}"}}
    mapping = parse(json.dumps(body))
    assert [r.after for r in Plan(world.structure, mapping).worked().rows] == ["water"]
    blind = Plan(world.structure, mapping, sees=lambda twin: not twin.endswith("P2")).worked()
    bound = Plan(world.structure, mapping, may_edit=lambda _: False).worked()
    assert (blind.matched, bound.matched, blind.rows, bound.rows) == (0, 0, [], [])


def test_a_property_keeps_what_is_said_about_it() -> None:
    world = plant(1)
    old = Property("serial_number", "x", semantic_ids=("urn:serial",))
    do(world, PutTwin(Twin("plant/hall1/P1", "Thing", properties=(old,))), origin=SOURCE)
    do(world, *plan(world, {"serial_number": "y"}).edits())
    (found,) = world.structure.twins["plant/hall1/P1"].properties
    assert (found.value, found.semantic_ids) == ("y", ("urn:serial",))


def test_all_of_it_is_taken_back_at_once() -> None:
    world = plant()
    before = world.structure.fork()
    told = {
        "name": "N{n}",
        "type": "T",
        "serial_number": "{n}",
        "place": {"step": [1, 0, 0]},
        "relations": [{"kind": "part_of", "to": "plant/{hall}"}, {"kind": "feeds", "to": "plant"}],
        "points": [{"name": "*temp", "unit": "Cel"}],
    }
    edits = Edits(plan(world, told).edits())
    world.structure.apply(edits)
    after = world.structure.fork()
    do(world, *undone(before, after, world.structure, edits))
    assert world.structure.twins == before.twins
    assert world.structure.relations == before.relations
    assert world.structure.points_of("plant/hall1/P1") == before.points_of("plant/hall1/P1")


def test_others_get_their_turn() -> None:
    world = plant(5_000)
    found = Plan(world.structure, parse('{"where": {"id": "**"}, "set": {"name": "x {leaf}"}}'))
    turns = 0
    for _ in found.work():
        turns += 1
        if turns == 1:
            do(world, PutName("plant", parse_text("meanwhile")))
        assert found.is_stale
    assert turns == 3


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("[", "not JSON"),
        ("[]", "an object was expected"),
        ('{"where": {}, "set": {"name": "x"}}', "say for which twins"),
        ('{"where": {"id": "*"}}', "set: an object was expected"),
        ('{"where": {"id": "*"}, "set": {}}', "say what to set"),
        ('{"where": {"id": "*"}, "set": {"nme": "x"}}', "'nme' is not known; there are name"),
        ('{"where": {"id": "*"}, "set": {"name": "{n}"}}', "captured by no pattern"),
        ('{"where": {"id": "{n}", "name": "{n}"}, "set": {"name": "x"}}', "{n} is taken"),
        ('{"where": {"id": "{id}"}, "set": {"name": "x"}}', "{id} is taken"),
        (
            '{"where": {"id": "*"}, "set": {"points": [{"name": "*", "unit": "mBar"}]}}',
            r"points\[0\].unit: unit 'mBar' is not UCUM; did you mean 'mbar'",
        ),
        ('{"where": {"id": "*"}, "set": {"points": [{"name": "*"}]}}', "say what of them"),
        (
            '{"where": {"id": "*"}, "set": {"points": [{"name": "*", "low": 2, "high": 1}]}}',
            "is empty",
        ),
        ('{"where": {"id": "*"}, "set": {"points": [{"name": "*", "low": NaN}]}}', "a number"),
        ('{"where": {"id": "*"}, "set": {"relations": [{"kind": "feeds"}]}}', '"to" or "from"'),
        ('{"where": {"id": "*"}, "set": {"place": {"start": [1, 2]}}}', "three numbers"),
        ('{"where": {"id": "*"}, "set": {"place": {"by": "n"}}}', "captured by no pattern"),
        ('{"where": {"id": "*"}, "set": {"place": {"per_row": -1}}}', "whole number"),
        ('{"where": {"id": "*"}, "set": {"name": "x"}, "new_twins": 1}', "true or false"),
    ],
)
def test_what_is_no_mapping_is_refused_with_its_place(body: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(Sheet("mapping", "pumps", body))


def test_what_needs_a_number_and_has_none_is_left_out() -> None:
    world = plant(1)
    row: Row = plan(world, {"name": "P {hall:02}"}).rows[0]
    assert (row.is_left_out, row.note) == (True, "{hall} is 'hall1', which is no number")
