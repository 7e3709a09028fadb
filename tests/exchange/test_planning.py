"""What a file changes in a world that is: only that, over nobody's work, told by its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirrorworld.exchange.planning import Plan, plan, taken
from mirrorworld.live.wording import words
from mirrorworld.standards.world_yaml import WorldText, read_text, write
from mirrorworld.testing.formats import canonical_world
from mirrorworld.world import changes as c
from mirrorworld.world import model as m
from mirrorworld.world.undoing import undone
from mirrorworld.world.world import World

BY = c.Origin(c.OriginKind.AUTHORED, "test")
OF_LINE = c.Origin(c.OriginKind.MEASURED, "line")


def text(body: str) -> WorldText:
    return read_text(f"mirrorworld: 1\n{body}", "world.yaml")


def planned(world: World, body: str, before: str | None = None, **more: bool) -> Plan:
    old = None if before is None else text(before)
    trial = world.structure.fork()
    return plan(text(body), trial, "world.yaml", before=old, **more)


def brought_in(world: World, body: str, before: str | None = None) -> Plan:
    found = planned(world, body, before)
    world.apply(c.Change(found.edits("import"), BY, 2))
    return found


def edit(world: World, *edits: c.Edit) -> None:
    world.apply(c.Change(c.Edits(edits), BY, 3))


def line(world: World, name: str = "PRS-7", points: tuple[m.PointType, ...] = ()) -> None:
    """What the source `line` declares."""
    twins = (m.Twin("line"), m.Twin("line/press", "Press", m.Text.of(name), points=points))
    press = c.PutType(m.TwinType("Press", m.Text.of(f"type of {name}")))
    edits = c.Edits((press, *map(c.PutTwin, twins)))
    world.apply(c.Change(edits, OF_LINE, 1, "line"))


def test_a_world_s_own_file_changes_nothing_in_it() -> None:
    world = canonical_world()
    own = read_text(write(world.id, world.structure)[0], "own")
    found = plan(own, world.structure.fork(), "own")
    assert (found.steps, found.waiting, found.lost) == ([], [], [])


def test_only_what_differs_is_changed_and_that_can_be_undone() -> None:
    world = World("w")
    brought_in(world, "twins:\n  hall: {name: Hall, properties: {area: 12, floor: 1}}\n  b: {}")
    edit(world, c.PutSheet(m.Sheet("note", "n", '{"a": 1}')))
    before = world.structure.fork()
    body = (
        "twins:\n  hall:\n    name: Halle\n    properties: {area: 12, gate: 2}\n    at: [1, 0, 0]"
    )
    found = brought_in(world, f"{body}\n  new: {{}}\nsheets: {{note: {{n: {{a: 1}}}}}}")
    told = [(*words(step.edit), step.is_new, step.line) for step in found.steps]
    assert told == [
        ("name", "hall", "Halle", False, 3),
        ("place", "hall", "1, 0, 0 m", False, 3),
        ("property", "hall", "gate", False, 3),
        ("twin", "new", "", True, 7),
    ]
    assert world.structure.twins["hall"].property("floor") is not None, "an import removes nothing"
    now = world.structure
    edit(world, *undone(before, now.fork(), now, found.edits("import")))
    assert world.structure.twins == before.twins


def test_over_a_source_only_what_people_said_is_said_again() -> None:
    world = World("plant")
    line(world)
    edit(world, c.PutName("line/press", m.Text.of("Press")), c.PutTwin(m.Twin("hall")))
    edit(world, c.PutRelation(m.Relation("located_in", "line/press", "hall")))
    body = write("plant", world.structure, known=["line"])[0].partition("\n")[2]
    later = World("plant")
    line(later, "PRS-8", (m.PointType("force"),))
    found = plan(read_text(body, "f"), later.structure.fork(), "f")
    later.apply(c.Change(found.edits("import"), BY, 2))
    assert [words(step.edit)[0] for step in found.steps] == ["twin", "name", "relation"]
    declared = later.structure.declared_at(later.structure.ordinal("line/press"))
    assert declared.name == m.Text.of("PRS-8") and len(declared.points) == 1
    assert later.structure.types["Press"].name == m.Text.of("type of PRS-8")
    assert later.structure.twins["line/press"].name == m.Text.of("Press")
    line(later, "PRS-9")  # and the source goes on saying its own
    assert later.structure.twins["line/press"].name == m.Text.of("Press")


def test_what_is_said_of_twins_that_have_not_come_waits() -> None:
    world = World("w")
    body = """
twins: {hall: {}}
said:
  line/press:
    name: Press
    about: {force: {unit: kN}}
    relations: {part_of: hall}
"""
    found = brought_in(world, body)
    assert [words(one.edit)[:2] for one in found.waiting] == [
        ("name", "line/press"),
        ("point", "line/press"),
        ("relation", "line/press"),
    ]
    line(world)
    found = brought_in(world, body)
    assert [words(one.edit)[:2] for one in found.waiting] == [("point", "line/press")]
    line(world, points=(m.PointType("force", unit="N"),))
    assert brought_in(world, body).waiting == []
    assert world.structure.points_of("line/press")[0].type.unit == "kN"


BEFORE = """
twins:
  hall: {name: Hall, properties: {area: 1}}
  gone: {}
  kept: {name: Kept}
  hall/a: {relations: {part_of: hall, feeds: hall}}
said:
  line/press: {name: Press, at: [1, 0, 0]}
sheets:
  note: {gone: 1, kept: 2}
"""
AFTER = """
twins:
  hall: {name: Hall}
  hall/a: {relations: {part_of: hall}}
said:
  line/press: {at: [1, 0, 0]}
sheets:
  other: {x: 1}
"""


def test_what_has_gone_from_the_file_is_taken_back_unless_it_was_changed() -> None:
    world = World("w")
    line(world)
    brought_in(world, BEFORE)
    edit(world, c.PutName("kept", m.Text.of("Mine")), c.PutSheet(m.Sheet("note", "kept", "3")))
    edit(world, c.PutName("hall", m.Text.of("My hall")), c.PutTwin(m.Twin("mine")))
    found = brought_in(world, AFTER, BEFORE)
    structure = world.structure
    assert set(structure.twins) == {"line", "line/press", "hall", "kept", "hall/a", "mine"}
    assert structure.twins["hall"].name == m.Text.of("My hall"), "the file said nothing new of it"
    assert structure.twins["hall"].property("area") is None
    assert structure.twins["line/press"].name == m.Text.of("PRS-7")
    assert structure.twins["line/press"].pose == m.Pose(1.0)
    assert [key[0] for key in structure.relations] == ["part_of"]
    assert set(structure.sheets) == {("note", "kept"), ("other", "x")}
    assert [place for place, _ in found.lost] == ["twin kept Kept", "sheet note kept"]


def test_arms_are_a_person_s_unless_asked_for() -> None:
    world = World("w")
    body = "twins: {a: {points: {p: float}}}\narms: {a: {p: {low: 0, high: 5}}}"
    found = planned(world, body)
    assert [why for _, why in found.lost] == ["1 points and operations: a person arms them here"]
    assert not any(isinstance(step.edit, c.Arm) for step in found.steps)
    found = planned(world, body, with_arms=True)
    assert found.steps[-1].edit == c.Arm("a", "p", 0.0, 5.0) and found.lost == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "sheets:\n  rule:\n    high: {applies: {type: P}, alarm: {when: 'a >'}}",
            r"line 4, column 5: rule high: alarm\.when",
        ),
        ("twins: {a: {points: {p: float}}, b: {}}", "line 2, column 9: a.p: is INT, cannot"),
        ("types: {T: {components: {x: T}}}\ntwins: {t: {type: T}}", "contains itself"),
    ],
)
def test_what_the_world_refuses_is_told_by_its_line(body: str, message: str) -> None:
    world = World("w")
    edit(world, c.PutTwin(m.Twin("a", points=(m.PointType("p", m.Kind.INT),))))
    before = world.state_hash()
    with pytest.raises(ValueError, match=f"^world.yaml: .*{message}"):
        planned(world, body)
    assert world.state_hash() == before


def test_a_file_in_a_world_that_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "world.yaml"
    path.write_text("mirrorworld: 1\nsources: {x: x.csv}\ntwins: {a: {}}\nsaid: {x/y: {name: z}}")
    edits, carried = taken(path, World("w"))
    assert len(edits.edits) == 1 and carried.twins == 1
    assert [place.removeprefix(f"{path}: ") for place, _ in carried.lost] == ["line 4", "source x"]


def test_a_sheet_that_says_the_same_is_left_alone() -> None:
    world = World("w")
    edit(world, c.PutSheet(m.Sheet("note", "n", json.dumps({"b": [1, 2.0], "a": None}, indent=3))))
    assert planned(world, "sheets: {note: {n: {a: null, b: [1, 2.0]}}}").steps == []
    assert len(planned(world, "sheets: {note: {n: {a: null, b: [1, 3]}}}").steps) == 1


def test_relations_that_people_ended_and_looks_go_along() -> None:
    relation = m.Relation("part_of", "line/press", "line")

    def declare(world: World) -> None:
        line(world)
        world.apply(c.Change(c.Edits((c.PutRelation(relation),)), OF_LINE, 1, "line"))

    world, other = World("w"), World("w")
    declare(world)
    edit(world, c.DropRelation(*relation.key), c.PutGeometry("line/press", "asset:press"))
    body = write("w", world.structure, known=["line"])[0]
    assert "    ended:\n      part_of: line\n" in body
    declare(other)
    filed = read_text(body, "world.yaml")
    other.apply(c.Change(plan(filed, other.structure.fork(), "f").edits("import"), BY, 2))
    declare(other)
    assert relation.key not in other.structure.relations, "it stays ended"
    assert other.structure.twins["line/press"].geometry == "asset:press"
    assert write("w", other.structure, known=["line"])[0] == body
    bare = read_text(body.replace("    ended:\n      part_of: line\n", "").replace(
        "    looks: asset:press\n", "    name: P\n"), "world.yaml")  # fmt: skip
    back = plan(bare, other.structure.fork(), "f", before=filed).edits("import")
    other.apply(c.Change(back, BY, 3))
    declare(other)
    assert relation.key in other.structure.relations
    assert other.structure.twins["line/press"].geometry == ""
