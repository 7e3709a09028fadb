"""`world.yaml`: round trips of everything that a world may hold, and files that are refused."""

from __future__ import annotations

import contextlib
import difflib
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirrorworld.standards.world_yaml import WorldYaml, read_text, write
from mirrorworld.testing.formats import check_format
from mirrorworld.world import changes as c
from mirrorworld.world import model as m
from mirrorworld.world.ports import SourceConfig
from mirrorworld.world.world import World

BY = c.Origin(c.OriginKind.AUTHORED, "test")


def made(*edits: c.Edit, name: str = "w") -> World:
    world = World(name)
    world.apply(c.Change(c.Edits(edits), BY, 1))
    return world


def again(world: World, text: str, tmp_path: Path) -> World:
    """A fresh world that the text was brought into."""
    path = tmp_path / "again.world.yaml"
    path.write_text(text, encoding="utf-8")
    edits, _ = WorldYaml().import_(path)
    found = World(world.id)
    found.apply(c.Change(edits, BY, 1))
    return found


def full_world() -> World:
    """A world that uses every field of the model."""
    every = m.PointType(
        "flow", m.Kind.FLOAT, "m3/h", 0.0, 99.5, ("0173-1#02-AAB#1",), (), True,
        m.Text((("en", "how much"), ("de", "wie viel"))),
    )  # fmt: skip
    kinds = tuple(m.PointType(f"of {kind.name}", kind) for kind in m.Kind)
    labels = m.PointType("mode", m.Kind.ENUM, labels=((0, "off"), (1, "on: slowly"), (-1, "no")))
    half = (m.PointType("low", low=-1.5), m.PointType("high", high=1e300), m.PointType("", low=0.0))
    ptype = m.PropertyType(
        "Mass", "xs:double", "kg", ("urn:a", "urn:b"), True,
        (m.PropertyType("inner"), m.PropertyType("typed", "xs:string")), m.Text.of("what # it: is"),
    )  # fmt: skip
    machine = m.TwinType(
        "urn:mw:Machine", m.Text.of("Machine"), (), (ptype,), (every, *kinds, labels, *half[:2]),
        (m.OperationType("purge", half, (labels,), ("urn:purge",), m.Text.of("Purges")),
         m.OperationType("stop")),
        (m.RelationType("feeds", "urn:mw:Machine", 1, 3, (ptype,), ("urn:feeds",)),
         m.RelationType("is near", max_count=0)),
        (), ("urn:machine",), "asset:machine", m.Text((("", "A machine"), ("de", "Maschine"))),
    )  # fmt: skip
    pair = m.TwinType(
        "Pair", extends=("urn:mw:Machine",), components=(("left", "Part"), ("r", "Part"))
    )
    part = m.TwinType("Part", points=(m.PointType("wear", unit="%"),))
    values: tuple[m.Property, ...] = (
        m.Property("none"), m.Property("yes", True), m.Property("int", 12),
        m.Property("text", "12"),
        m.Property("float", 12.0), m.Property("small", 5e-324), m.Property("large", 1e16),
        m.Property("big", 1 << 70), m.Property("inf", float("-inf")), m.Property("empty", ""),
        m.Property("words", m.Text((("en", "red"), ("de", "rot")))),
        m.Property("no words", m.Text()),
        m.Property("ref", m.Ref("urn:other")),
        m.Property("blob", m.Blob("ab" * 32, "image/png", 12, "plate.png")),
        m.Property("list", (1, 2.5, "x", None, False)), m.Property("no list", ()),
        m.Property("mixed", ((1, 2), ("a",))),  # pyright: ignore[reportArgumentType]
        m.Property("tree", (m.Property("a", (m.Property("b", 1, unit="mm"),)), m.Property("c"))),
        m.Property("rows", (m.Property("", 1), m.Property("", (m.Property("x", "y"),)))),
        m.Property("lines", "first: line\n  second # line\n\nlast\n"),
        m.Property("said", 1, "xs:int", "K", ("urn:t",), (m.Property("at", "2024-01-01"),)),
        m.Property("odd unit", 1, unit="pieces per box"),
    )  # fmt: skip
    pump = m.Twin(
        "hall/pump 1: left", "Pair", m.Text((("en", "Pump"), ("de", "Pumpe"), ("", "P"))), values,
        (m.PointType("own", m.Kind.TEXT), m.PointType("odd", unit="no unit")),
        (m.OperationType("start"),), m.Pose(1.0, -0.25, 1e-7, 0.5, 0.5, -0.5, 0.5),
        "blob:" + "0" * 64,
    )  # fmt: skip
    turned = m.Twin("hall/turned", pose=m.Pose(0.0, 0.0, 3.0, 0.0, 2**-0.5, 0.0, 2**-0.5))
    return made(
        c.PutType(machine), c.PutType(part), c.PutType(pair),
        c.PutTwin(m.Twin("hall", name=m.Text.of("Hall"))),
        c.PutPoints("hall", (m.PointType("light", m.Kind.BOOL),)), c.PutTwin(pump),
        c.PutTwin(turned),
        c.PutTwin(m.Twin("yes")), c.PutTwin(m.Twin("12")),
        c.PutTypeOf("12", "Part"), c.PutTwin(m.Twin("ü - <b>\\\"'\u2028")),
        c.PutRelation(m.Relation("part_of", pump.id, "hall")),
        c.PutRelation(m.Relation("urn:near", "hall", "12", "second", (m.Property("since", 2024),))),
        c.PutRelation(m.Relation("urn:near", "hall", "12")),
        c.PutName("hall", m.Text.of("Hall 2", "en")), c.PutPose("hall", m.Pose(1.0), "asset:hall"),
        c.PutProperty("hall", m.Property("area", 12.5, unit="m2")),
        c.PutPointAbout(pump.id, "flow", "l/min", 1.0, 2.0, ("urn:f",), ((1, "x"),),
                        m.Text.of("d")),
        c.PutPointAbout(pump.id, "own", ""),
        c.PutSheet(m.Sheet("rule", "high",
                           '{"applies":{"type":"Part"},"alarm":{"when":"wear > 1"}}')),
        c.PutSheet(m.Sheet("board", "a: b", '{"tiles":[{"x":0,"y":1.5},[],{},null]}')),
        c.PutSheet(m.Sheet("note", "text", "no JSON\nat all")),
        c.PutSheet(m.Sheet("note", "n", "12")),
        c.Arm(pump.id, "flow", 0.0, 5.0, 1.0, 200, (("hall", "light"),),
              (("hall", "light", 1.0),), True),
        name="full: world",
    )  # fmt: skip


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_format(WorldYaml(), tmp_path)


def test_every_field_comes_back(tmp_path: Path) -> None:
    world = full_world()
    text, carried = write(world.id, world.structure)
    assert carried.lost == ()
    back = again(world, text, tmp_path)
    world.apply(c.Change(c.Edits((c.Disarm("hall/pump 1: left", "flow"),)), BY, 2))
    assert back.structure.twins == world.structure.twins
    assert back.state_hash() == world.state_hash()
    assert write(back.id, back.structure)[0] == write(world.id, world.structure)[0]
    plain = yaml.safe_load(text)  # what others read with YAML 1.1 is the same
    assert plain["twins"]["hall"]["name"] == {"en": "Hall 2"}
    assert plain["sheets"]["rule"]["high"] == json.loads(
        world.structure.sheets["rule", "high"].body
    )
    assert set(plain["twins"]) == set(world.structure.twins)


# --- anything that a world may hold ---------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "yes",
        "12",
        "12:30",
        "2024-01-01",
        "a: b",
        "- x",
        "null",
        "x\ny\n",
        " \n ",
        "0x1f",
        "#",
        "1e5",
    ]
)
ID = TEXT.filter(lambda t: t and not any(x in t for x in "\n\r\t\0"))
NAME = TEXT.filter(bool)
FLOAT = st.floats(allow_nan=False)
WORDS = st.dictionaries(st.sampled_from(["", "en", "de", "fr-CH"]), TEXT).map(
    lambda d: m.Text(tuple(d.items()))
)
SCALAR = st.none() | st.booleans() | st.integers() | FLOAT | TEXT
MEANS = st.lists(TEXT, max_size=2).map(tuple)
LEAF = SCALAR | WORDS | st.builds(m.Ref, TEXT) | st.lists(SCALAR, max_size=3).map(tuple)


def properties(values: st.SearchStrategy, name: st.SearchStrategy) -> st.SearchStrategy:
    return st.builds(m.Property, name, values, TEXT, TEXT, MEANS)


def unique(strategy: st.SearchStrategy, size: int = 3) -> st.SearchStrategy:
    return st.lists(strategy, max_size=size, unique_by=lambda x: x.name).map(tuple)


PROPERTY = st.recursive(
    properties(LEAF, TEXT),
    lambda inner: st.builds(
        m.Property,
        TEXT,
        st.lists(inner, max_size=3).map(tuple),
        st.just(""),
        TEXT,
        MEANS,
        st.lists(inner, max_size=2).map(tuple),
    ),
    max_leaves=6,
)
LIMITS = st.none() | FLOAT
LABELS = st.dictionaries(st.integers(-9, 9), TEXT, max_size=2).map(lambda d: tuple(d.items()))
POINT = st.builds(
    m.PointType, NAME, st.sampled_from(m.Kind), TEXT | st.just("bar"), st.none(), LIMITS, MEANS,
    LABELS, st.booleans(), WORDS,
)  # fmt: skip
OPERATION = st.builds(
    m.OperationType, TEXT, unique(POINT), st.lists(POINT, max_size=2).map(tuple), MEANS, WORDS
)
POSE = st.builds(m.Pose, *[FLOAT] * 7)
TWIN = st.builds(
    m.Twin, ID, st.sampled_from(["", "T", "U"]), WORDS, st.lists(PROPERTY, max_size=3).map(tuple),
    unique(POINT), st.lists(OPERATION, max_size=2).map(tuple), st.none() | POSE, TEXT,
)  # fmt: skip
PROPERTY_TYPE = st.builds(
    m.PropertyType, TEXT, TEXT, TEXT, MEANS, st.booleans(), st.just(()), WORDS
)
RELATION_TYPE = st.builds(
    m.RelationType, TEXT, TEXT, st.integers(0, 5), st.none() | st.integers(0, 5), st.just(()), MEANS
)
TYPE = st.builds(
    m.TwinType, st.sampled_from(["T", "U"]), WORDS, st.just(()),
    st.lists(PROPERTY_TYPE, max_size=2).map(tuple), unique(POINT),
    st.lists(OPERATION, max_size=1).map(tuple), st.lists(RELATION_TYPE, max_size=2).map(tuple),
    st.just(()), MEANS, TEXT, WORDS,
)  # fmt: skip
JSON = st.recursive(
    SCALAR.filter(lambda v: v != float("inf") and v != float("-inf")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
SHEET = st.builds(
    m.Sheet, NAME, NAME,
    JSON.map(lambda v: json.dumps(v, ensure_ascii=False, separators=(",", ":"))) | TEXT,
)  # fmt: skip


@st.composite
def edits(draw: st.DrawFn) -> list[c.Edit]:
    twins = draw(st.lists(TWIN, max_size=3, unique_by=lambda t: t.id))
    ids = [twin.id for twin in twins]
    found: list[c.Edit] = [c.PutType(t) for t in draw(st.lists(TYPE, max_size=2))]
    found += map(c.PutTwin, twins)
    if ids:
        one = st.sampled_from(ids)
        relation = st.builds(
            m.Relation, NAME, one, one, TEXT, st.lists(PROPERTY, max_size=2).map(tuple)
        )
        found += map(c.PutRelation, draw(st.lists(relation, max_size=3)))
        said = (
            st.builds(c.PutName, one, WORDS)
            | st.builds(c.PutPose, one, POSE, TEXT)
            | st.builds(c.PutGeometry, one, TEXT)
            | st.builds(c.PutProperty, one, PROPERTY.filter(lambda p: p.name))
            | st.builds(c.DropProperty, one, NAME)
        )
        found += draw(st.lists(said, max_size=4))
    return [*found, *map(c.PutSheet, draw(st.lists(SHEET, max_size=2)))]


@pytest.mark.timeout(300)
@given(edits())
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_written_reads_back_the_same(tmp_path: Path, some: list[c.Edit]) -> None:
    world = World("w")
    for edit in some:
        try:
            world.apply(c.Change(c.Edits((edit,)), BY, 1))
        except ValueError:
            continue  # no world has it, so no file need carry it
    text, carried = write("w", world.structure)
    back = again(world, text, tmp_path)
    assert carried.lost == ()
    assert back.structure.twins == world.structure.twins, text
    for key, sheet in world.structure.sheets.items():
        assert same_json(back.structure.sheets[key].body, sheet.body), text
    assert back.structure.relations == world.structure.relations
    assert write("w", back.structure)[0] == text
    if all(back.structure.sheets[k] == s for k, s in world.structure.sheets.items()):
        assert back.state_hash() == world.state_hash(), text


def same_json(one: str, other: str) -> bool:
    """Whether two bodies say the same: a sheet is written as YAML, not as the text that it was."""
    if one == other:
        return True
    return json.loads(one) == json.loads(other)


# --- files that are refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begins with 'mirrorworld: 1'"),
        ("[]", "begins with 'mirrorworld: 1'"),
        ("mirrorworld: 2", "line 1, column 14: this reads version 1"),
        ("mirrorworld: 1\ntwin:\n  a: {}", "line 2, column 1: .*did you mean 'twins'"),
        ("mirrorworld: 1\ntwins:\n  a: {nmae: x}", "line 3, column 7: .*did you mean 'name'"),
        ("mirrorworld: 1\ntwins:\n  a: {name: [x]}", "line 3, column 13: a text, or .*got a list"),
        ("mirrorworld: 1\ntwins:\n  a: {at: [1, 2]}", "line 3, column 11: .*metres"),
        (
            "mirrorworld: 1\ntwins:\n  a: {at: [1, 2, up]}",
            "column 18: a number was expected, got 'up'",
        ),
        ("mirrorworld: 1\ntwins:\n  a: {turned_deg: 90}", "give 'at' too"),
        (
            "mirrorworld: 1\ntwins:\n  a:\n    points:\n      p: {unit: mBar}",
            "line 5, column 17: unit 'mBar' is not UCUM; did you mean 'mbar'",
        ),
        ("mirrorworld: 1\ntypes:\n  a: {points: {p: flot}}", "column 19: .*did you mean 'float'"),
        ("mirrorworld: 1\ntypes:\n  a: {points: {p: {range: [2, 1]}}}", "column 27: .*is empty"),
        ("mirrorworld: 1\ntypes:\n  a: {points: [{kind: int}]}", "a point needs a name"),
        ("mirrorworld: 1\ntypes:\n  a: {extends: a}", "column 16: a type cannot extend itself"),
        (
            "mirrorworld: 1\ntwins:\n  a: {}\n  a: {}",
            "line 4, column 3: 'a' stands already in line 3",
        ),
        ("mirrorworld: 1\ntwins:\n  a: {relations: {feeds: [{name: x}]}}", "leads nowhere"),
        ("mirrorworld: 1\nsources:\n  a b: x.csv", "cannot name a source"),
        ("mirrorworld: 1\nsources:\n  a: {options: {}}", "needs a url"),
        ("mirrorworld: 1\narms:\n  a: {p: {lwo: 1}}", "line 3, column 10: .*no 'lwo'"),
        ("mirrorworld: 1\ntwins: {a: {properties: {x: {value: 1, ref: y}}}}", "one of the two"),
        ("mirrorworld: 1\ntwins: {a: {properties: {x: {plain: {'@': Nope}}}}}", "expected a dict"),
        ("mirrorworld: 1\n---\nmirrorworld: 1", "second one"),
        ("mirrorworld: !!python/object:os.system 1", "the tag .* is not read"),
        ("mirrorworld: 1\nworld: &a [*a]", "line 2, column 8: anchors and aliases"),
        ("mirrorworld: 1\nworld: *a", "anchors and aliases"),
        ("mirrorworld: 1\ntwins: {a", "line 3, column 1: this is no YAML"),
        ("mirrorworld: 1\nworld: \0", "this is no YAML"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)^world.yaml: .*{message}"):
        read_text(text, "world.yaml")


def bomb() -> str:
    """Ten to the ninth entries in ten lines, for a reader that follows aliases."""
    rows = ["mirrorworld: 1", "sheets:", "  k:", "    a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"    a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (bomb(), "anchors and aliases"),
        ("mirrorworld: 1\nsheets: {k: {a: " + "[" * 100_000, "nested deeper than"),
        ("mirrorworld: 1\nsheets: {k: {a: " + "{a: " * 100_000, "nested deeper than"),
        ("mirrorworld: 1\nworld: " + "- " * 100_000, "no YAML|nested deeper"),
        ("mirrorworld: 1\ntwins: {a: {at: [0, 0, " + "9" * 100_000 + "]}}", "more than 400 digits"),
        ("mirrorworld: 1\ntwins: {a: {at: [0, 0, 1e999999999999]}}", ""),
        ("? " * 50_000, "a key is a text"),
    ],
)
def test_hostile_files_end_soon(text: str, message: str) -> None:
    """The test's own time limit is the bound; each takes a moment."""
    if message:
        with pytest.raises(ValueError, match=message):
            read_text(text, "world.yaml")
    else:
        read_text(text, "world.yaml")


@given(st.text(alphabet="{}[]&*:,-#!|>%@`'\" \n\tab01.", max_size=120))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, f"mirrorworld: 1\ntwins:\n  a:\n    properties: {text}"):
        try:
            read_text(whole, "x.yaml")
        except ValueError as error:
            assert str(error).startswith("x.yaml: ")


# --- layers, sources, files in git ----------------------------------------------------------


def mirrored() -> World:
    """A world of a source `line`, over which people have said something."""
    world = World("plant")
    press = m.TwinType("Press", points=(m.PointType("force", unit="kN"),))
    declared = c.Edits(
        (
            c.PutType(press),
            c.PutTwin(m.Twin("line", name=m.Text.of("LINE_01"))),
            c.PutTwin(m.Twin("line/press", "Press", m.Text.of("PRS-7"))),
            c.PutRelation(m.Relation("part_of", "line/press", "line")),
        )
    )
    world.apply(c.Change(declared, c.Origin(c.OriginKind.MEASURED, "line"), 1, "line"))
    said = c.Edits(
        (
            c.PutTwin(m.Twin("hall")),
            c.PutName("line/press", m.Text.of("Press", "en")),
            c.PutPointAbout("line/press", "force", unit="N"),
            c.PutRelation(m.Relation("located_in", "line", "hall")),
        )
    )
    world.apply(c.Change(said, BY, 2))
    return world


SOURCE = SourceConfig(
    "mqtt://user:open-sesame@broker:1883/a?token=open-sesame&qos=1",
    "line",
    {"map": "/etc/other/map.yaml", "client_secret": "open-sesame", "speed": 2},
    password="open-sesame",
)


def test_a_source_s_word_and_people_s_stand_apart() -> None:
    world = mirrored()
    text, _ = write(world.id, world.structure, [SOURCE])
    plain = yaml.safe_load(text)
    assert plain["twins"] == {"hall": {}}
    assert plain["said"] == {
        "line": {"relations": {"located_in": "hall"}},
        "line/press": {"name": {"en": "Press"}, "about": {"force": {"unit": "N"}}},
    }
    assert plain["declared"]["twins"]["line/press"] == {
        "type": "Press",
        "name": "PRS-7",
        "relations": {"part_of": "line"},
    }
    assert set(plain["declared"]["types"]) == {"Press"} and "types" not in plain


def test_layers_come_back_as_they_were(tmp_path: Path) -> None:
    world = mirrored()
    back = again(world, write(world.id, world.structure, [SOURCE])[0], tmp_path)
    assert back.structure.twins == world.structure.twins
    assert back.structure.relations == world.structure.relations
    for twin in ("line", "line/press"):
        ordinals = (back.structure.ordinal(twin), world.structure.ordinal(twin))
        declared = back.structure.declared_at(ordinals[0])
        assert declared == world.structure.declared_at(ordinals[1])
        assert back.structure.said(twin) == world.structure.said(twin)


def test_no_secret_is_written() -> None:
    world = mirrored()
    text, carried = write(world.id, world.structure, [SOURCE])
    assert "open-sesame" not in text
    source = yaml.safe_load(text)["sources"]["line"]
    assert source == {
        "url": "mqtt://broker:1883/a?qos=1",
        "username": "user",
        "password": "${LINE_PASSWORD}",
        "options": {
            "client_secret": "${LINE_CLIENT_SECRET}",
            "map": "/etc/other/map.yaml",
            "speed": 2,
        },
    }
    told = [f"{place}: {why}" for place, why in carried.lost]
    assert len(told) == 4 and any("LINE_PASSWORD" in each for each in told)


def test_files_beside_the_file_are_named_from_there(tmp_path: Path) -> None:
    source = SourceConfig(str(tmp_path / "data" / "a.csv"), "line", {"map": str(tmp_path / "m")})
    text, _ = write("w", World("w").structure, [source], folder=tmp_path)
    assert yaml.safe_load(text)["sources"]["line"] == {"url": "data/a.csv", "options": {"map": "m"}}


BY_HAND = """\
# Our hall.
mirrorworld: 1
world: plant   # as the sign says

types:
  Pump: {points: {flow: {unit: l/min}}}   # short, by hand

twins:
  # the old hall
  hall:
    name: "Hall"      # quoted, though it need not be

  hall/b: {type: Pump}
  # hall/x: {}   (not yet)

  # the one that leaks
  hall/a:
    type: Pump
    at: [1.0, 0, 0]

sheets:
  note:
    # read this
    one: "keep"
    two: old
"""


def kept_in(path: Path) -> World:
    world = World("plant")
    edits, _ = WorldYaml().import_(path)
    world.apply(c.Change(edits, BY, 1))
    return world


def test_an_export_over_a_file_changes_only_what_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "world.yaml"
    path.write_text(BY_HAND)
    world = kept_in(path)
    WorldYaml().export(world, path)
    assert path.read_text() == BY_HAND
    edits = (
        c.PutName("hall/a", m.Text.of("Leaky")),
        c.DropTwin("hall/b"),
        c.PutTwin(m.Twin("hall/c", "Pump")),
        c.PutSheet(m.Sheet("note", "two", '"new"')),
        c.PutSheet(m.Sheet("plan", "x", "[1]")),
    )
    world.apply(c.Change(c.Edits(edits), BY, 2))
    WorldYaml().export(world, path)
    changed = list(difflib.unified_diff(BY_HAND.split("\n"), path.read_text().split("\n"), n=0))
    assert [line for line in changed[2:] if line[0] in "+-" and line.strip("+-")] == [
        "-  hall/b: {type: Pump}",
        "-    at: [1.0, 0, 0]",
        "+    name: Leaky",
        "+    at: [1, 0, 0]",
        "+  hall/c:",
        "+    type: Pump",
        "-    two: old",
        "+    two: new",
        "+  plan:",
        "+    x: [1]",
    ]
    assert kept_in(path).structure.twins == world.structure.twins


@pytest.mark.parametrize("old", ["", "[]", "mirrorworld: 1\ntwins: {a: {}, b: {}}\n", "a: {", "\0"])
def test_over_something_else_it_is_written_whole(tmp_path: Path, old: str) -> None:
    path = tmp_path / "world.yaml"
    path.write_text(old)
    world = made(c.PutTwin(m.Twin("a")), c.PutTwin(m.Twin("c")))
    WorldYaml().export(world, path)
    assert path.read_text() == write("w", world.structure)[0]


@pytest.mark.timeout(300)
@given(edits(), edits())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_over_any_older_file_the_new_world_is_what_it_says(
    tmp_path: Path, some: list[c.Edit], more: list[c.Edit]
) -> None:
    path = tmp_path / "over.world.yaml"
    path.unlink(missing_ok=True)
    world = World("w")
    for several in (some, more):
        for edit in several:
            with contextlib.suppress(ValueError):
                world.apply(c.Change(c.Edits((edit,)), BY, 1))
        WorldYaml().export(world, path)
    twins = kept_in(path).structure.twins
    assert twins == world.structure.twins


def test_the_file_of_the_guide_is_read() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "guide" / "world-file.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 1
    found = read_text(blocks[0], "guide")
    assert set(found.sources) == {"line", "shift"} and len(found.entries) == 5
