"""Register maps: what a good one declares, what a bad one is told, and files that mean harm."""

from __future__ import annotations

import re
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorworld import marked_yaml
from mirrorworld.connectors import register_map, s7
from mirrorworld.connectors.host import Host, HostOptions
from mirrorworld.connectors.modbus import DIALECT, Modbus, ModbusOptions
from mirrorworld.connectors.options import read_options
from mirrorworld.connectors.register_map import Dialect, RegisterMap, read_map
from mirrorworld.connectors.register_plan import Limits, merge, split
from mirrorworld.connectors.register_values import Columns, Field, encode, order
from mirrorworld.connectors.s7 import S7, S7Options
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import SourceConfig, SourceError
from mirrorworld.world.world import World


def read(path: Path, text: str, points_max: int = 1000) -> RegisterMap:
    path.write_text(text)
    return read_map(path, "plc", DIALECT, points_max=points_max, period_ms=1000)


PLANT = """
# The meters of hall 2.
defaults: {table: holding, type: f32, period_ms: 500}
points:
  heartbeat: {address: 0, type: u16}
twins:
  hall 2/meter1:
    name: Main meter
    type: Meter
    unit_id: 3
    points: &meter
      power: {address: 0, unit: kW, range: [0, 100], description: Active power}
      energy: {address: 2, type: u32, scale: 0.1, unit: kW.h, semantic_id: "0173-1#02-AAO123"}
      state: {address: 4, type: u16, labels: {0: off, 1: on}, period_ms: 5000}
  hall 2/meter2:
    type: Meter
    unit_id: 4
    base: 1000
    points: *meter
"""


def test_a_map_declares_twins_types_and_points(tmp_path: Path):
    found = read(tmp_path / "map.yaml", PLANT)
    where = {p.place: (p.field.area, p.field.start, p.period_ms) for p in found.points}
    assert where["plc.heartbeat"] == ((1, "holding"), 0, 500)
    assert where["plc/hall%202/meter1.energy"] == ((3, "holding"), 2, 500)
    assert where["plc/hall%202/meter2.state"] == ((4, "holding"), 1004, 5000)
    twins = {twin.id: twin for twin in found.twins}
    assert twins["plc/hall%202/meter1"].name.best() == "Main meter"
    assert twins["plc/hall%202"].name.best() == "hall 2"
    (meter,) = [t for t in found.types if t.name.best() == "Meter"]
    assert twins["plc/hall%202/meter2"].type == meter.id
    points = {p.name: p for p in meter.points}
    assert (points["power"].low, points["power"].high, points["power"].unit) == (0, 100, "kW")
    assert points["energy"].kind is Kind.FLOAT
    assert points["energy"].semantic_ids == ("0173-1#02-AAO123",)
    assert points["state"].labels == ((0, "off"), (1, "on"))
    related = {(r.source, r.target) for r in found.relations}
    assert ("plc/hall%202/meter1", "plc/hall%202") in related and ("plc/hall%202", "plc") in related
    world = World("w")
    from mirrorworld.world.changes import Change, Origin, OriginKind

    world.apply(Change(found.edits, Origin(OriginKind.MEASURED, "plc"), 1, "plc"))
    assert len(world.handles((p.twin, p.point.name) for p in found.points)) == 7


def one(fields: str) -> str:
    return f"points:\n  ok: {{address: 1}}\n  p: {fields}\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (one("{address: 70000}"), "line 3: plc.p: address: 70000 is not from 0 to 65535"),
        (one("{address: 0107}"), "line 3: plc.p: address: '0107' is no whole number"),
        (one("{}"), "line 3: plc.p: address is missing"),
        (one("{address: 1, typ: u16}"), "no field 'typ'; did you mean 'type'?"),
        (one("{address: 1, type: F32}"), "did you mean 'f32'?"),
        (
            one("{address: 1, unit: mBar}"),
            "line 3: plc.p: unit 'mBar' is not UCUM; did you mean 'mbar'",
        ),
        (one("{address: 1, scale: 0}"), "scale is 0"),
        (one("{address: 1, scale: .nan}"), "scale"),
        (one("{address: 1, scale: 1e999}"), "not finite"),
        (one("{address: 1, range: [5, 1]}"), "range: 5 is not below 1"),
        (one("{address: 1, range: 5}"), "range is a list of two numbers"),
        (one("{address: 1, unit_id: 300}"), "unit_id: 300 is not from 0 to 255"),
        (one("{address: 1, bit: 3}"), "bit is for type bool"),
        (one("{address: 1, type: bool}"), "bit is missing"),
        (one("{address: 1, type: bool, bit: 16}"), "bit: 16 is not from 0 to 15"),
        (one("{address: 1, type: bool, bit: 1, scale: 2}"), "scale and offset are for numbers"),
        (one("{address: 1, type: text}"), "length is missing"),
        (one("{address: 1, type: text, length: 126}"), "length: 126 is not from 1 to 125"),
        (one("{address: 65535, type: u32}"), "end beyond 65535"),
        (one("{address: 1, table: coils}"), "did you mean 'coil'?"),
        (one("{table: coil, address: 1, type: u16}"), "type: a coil is a bool; leave type out"),
        (one("{table: coil, address: 1, bit: 1}"), "bit: a coil is one bit already"),
        (one("{register: 50001}"), "no register number"),
        (one("{register: 40000}"), "begin at 1"),
        (one("{register: 40001, address: 0}"), "leave one of them out"),
        (one("{address: 1, writable: perhaps}"), "neither true nor false"),
        (one("{address: 1, period_ms: 1}"), "period_ms: 1 is not from 10"),
        (one("{address: 1, labels: [a, b]}"), "labels is a mapping"),
        (one("{address: 1, labels: {x: a}}"), "'x' is no whole number"),
        (one("7"), "plc.p is '7'; a mapping is wanted"),
        ("points: [1, 2]", "points of plc is a list; a mapping is wanted"),
        ("twins: {../../etc: {points: {p: {address: 1}}}}", "cannot name a twin"),
        ("twins: {a: {pionts: {}}}", "did you mean 'points'?"),
        ("", "it names no points"),
        ("points: {a: {address: 1}, a: {address: 2}}", "'a' stands already in line 1"),
        ("points: {a: {address: 1}", "this is no YAML"),
        ("points: {a: !!python/name:os.system {address: 1}}", "is not read; leave it out"),
        ("points: {a: *b}", "names nothing that stands above"),
        ("<<: *x\npoints: {}", "line 1"),
        ("- a", "the map is a list"),
        ("[[[[[[[[[[[[[[[[", "nested deeper than 8 levels"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_mend(tmp_path: Path, text: str, wanted: str):
    with pytest.raises(SourceError) as told:
        read(tmp_path / "map.yaml", text)
    assert wanted in str(told.value)
    assert "map.yaml" in str(told.value) and "option map" in str(told.value)


def test_all_errors_are_told_at_once_up_to_a_limit(tmp_path: Path):
    lines = [f"  p{n}: {{address: {70_000 + n}}}" for n in range(30)]
    with pytest.raises(SourceError) as told:
        read(tmp_path / "map.yaml", "points:\n" + "\n".join(lines))
    assert "line 2: " in str(told.value) and "line 13: " in str(told.value)
    assert "and 18 more" in str(told.value)


def test_a_huge_map_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = [f"  p{n}: {{address: {n}}}" for n in range(50)]
    with pytest.raises(SourceError, match="more than max_points=20 points"):
        read(tmp_path / "map.yaml", "points:\n" + "\n".join(lines), points_max=20)
    monkeypatch.setattr(register_map, "FILE_BYTES_MAX", 1000)
    with pytest.raises(SourceError, match="split it"):
        read(tmp_path / "map.yaml", "#" * 1001)
    monkeypatch.setattr(marked_yaml, "NODES_MAX", 100)
    with pytest.raises(SourceError, match="more than 100 entries"):
        read(tmp_path / "map.yaml", "points: {" + ",".join(f"a{n}" for n in range(50)) + "}")


def test_aliases_do_not_multiply(tmp_path: Path):
    """A thousand twins of a thousand points, in a few lines: refused, and small all the while."""
    points = ", ".join(f"p{n}: {{address: {n}}}" for n in range(1000))
    twins = "\n".join(f"  t{n}: {{points: *all}}" for n in range(1000))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="more than max_points"):
            read(
                tmp_path / "map.yaml", f"twins:\n  t: {{points: &all {{{points}}}}}\n{twins}", 5000
            )
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


def test_what_is_no_text_or_not_there_is_told(tmp_path: Path):
    path = tmp_path / "map.yaml"
    for raw in (b"\xff\xfe\x00", b"points: {a: \x00}", bytes(range(256))):
        path.write_bytes(raw)
        with pytest.raises(SourceError, match=r"option map: .*map\.yaml"):
            read_map(path, "plc", DIALECT, points_max=10, period_ms=1000)
    for name, why in (("absent.yaml", "cannot be read"), ("passwd", "is no map")):
        with pytest.raises(SourceError, match=why) as told:
            read_map(tmp_path / name, "plc", DIALECT, points_max=10, period_ms=1000)
        assert "map" in str(told.value)


@given(st.text(alphabet="{}[]&*:,-#!|>%@`'\" \n\tab01.", max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read_or_refused(text: str):
    try:
        marked_yaml.read(text)
    except marked_yaml.MarkedError as error:
        assert str(error)


@pytest.mark.parametrize(("page", "dialect"), [("modbus", DIALECT), ("s7", s7.DIALECT)])
def test_the_maps_of_the_guide_are_read(tmp_path: Path, page: str, dialect: Dialect) -> None:
    text = (Path(__file__).parents[2] / "docs" / "guide" / f"{page}.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        path = tmp_path / "map.yaml"
        path.write_text(block)
        found = read_map(path, "plc", dialect, points_max=100, period_ms=1000)
        assert len(found.points) >= 5


@pytest.mark.parametrize("cls", [Modbus, S7, Host])
def test_what_a_form_shows_of_a_connector_is_so(cls: type) -> None:
    """Every option that a form offers is one, with that default; the example is an address."""
    chosen = {"modbus": ModbusOptions, "s7": S7Options, "host": HostOptions}[cls.schemes[0]]
    given = {option.name: option.default for option in cls.about.options}
    assert read_options(chosen, given, "x") == chosen()
    connector = cls(SourceConfig(cls.about.example, "x"))
    assert connector._settings()


# --- values and plans


NUMBERS = {"<u2": 2, "<i2": 2, "<u4": 4, "<i4": 4, "<u8": 8, "<i8": 8, "<f4": 4, "<f8": 8}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(NUMBERS)), st.booleans(), st.booleans(), st.integers(0, 1000)
        ),
        min_size=1,
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_what_is_encoded_is_decoded(kinds: list[tuple[str, bool, bool, int]], random) -> None:
    import numpy as np

    fields: list[Field] = []
    of_kind: list[Kind] = []
    wanted: list[float | int] = []
    memory = bytearray()
    for dtype, words_big, bytes_big, _ in kinds:
        size = NUMBERS[dtype]
        places = order(size, item_bytes=2, words_big=words_big, bytes_big=bytes_big)
        fields.append(Field("a", len(memory) // 2, size // 2, dtype, places))
        kind = Kind.FLOAT if "f" in dtype else Kind.INT
        if kind is Kind.FLOAT:
            value = float(np.float32(random.uniform(-1e6, 1e6)))
        else:
            limits = np.iinfo(np.dtype(dtype))
            value = random.randint(int(limits.min), min(int(limits.max), 2**63 - 1))
        memory += encode(fields[-1], kind, value)
        of_kind.append(kind)
        wanted.append(value)
    columns = Columns(fields, of_kind, 0, 2)
    cells, quality = np.zeros(len(fields), np.int64), np.zeros(len(fields), np.uint32)
    columns.decode(bytes(memory), cells, quality, {})
    for row, i in enumerate(columns.rows):
        got = cells[row : row + 1]
        assert (got.view(np.float64)[0] if of_kind[i] is Kind.FLOAT else got[0]) == wanted[i]


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 4)), min_size=1, max_size=60),
    st.integers(4, 125),
    st.integers(0, 30),
)
@settings(max_examples=100, deadline=None)
def test_a_plan_covers_every_point_within_the_limits(
    places: list[tuple[int, int]], items_max: int, gap_max: int
) -> None:
    points = [
        SimpleNamespace(
            field=Field("a", start, size, "<u2", (1, 0)), point=SimpleNamespace(kind=Kind.INT)
        )
        for start, size in places
    ]
    limits = Limits(items_max, gap_max, 2)
    blocks = merge(points, range(len(points)), lambda _: limits)  # type: ignore[arg-type]
    assert sorted(i for block in blocks for i in block.points) == list(range(len(points)))
    while blocks:
        block = blocks.pop()
        assert block.count <= items_max
        for i in block.points:
            one = points[i].field
            assert block.start <= one.start and one.start + one.size <= block.start + block.count
        parts = split(points, block, limits)  # type: ignore[arg-type]
        if parts is not None:
            assert sorted(parts[0].points + parts[1].points) == sorted(block.points)
            assert all(len(part.points) < len(block.points) for part in parts)
            blocks += parts
