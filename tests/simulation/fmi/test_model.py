"""FMUs as a model of a world: points in, points out, units checked, failures told."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mirrorworld.branches.doors import about, check
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.model import FmiModel, fmi
from mirrorworld.testing.models import check_model
from mirrorworld.units import UnitError
from mirrorworld.world import quality
from mirrorworld.world.changes import Change, Edits, Event, Origin, OriginKind, PutTwin, PutType
from mirrorworld.world.frames import Frame, frame
from mirrorworld.world.model import Kind, PointType, Property, Twin, TwinType
from mirrorworld.world.world import World
from tests.simulation.fmi.built import MODELS, allowed, build, needs_compiler

pytestmark = needs_compiler

S = 1_000_000_000
START = 1_700_000_000 * S


@pytest.fixture
def world() -> World:
    """A cart with a force in kN, and what is known of it in units of its own."""
    points = (
        PointType("force", unit="kN"),
        PointType("speed", unit="km/h"),
        PointType("place", unit="mm"),
        PointType("count", Kind.INT),
        PointType("pressure", unit="Pa"),
    )
    cart = Twin("line.1/cart", "Cart", properties=(Property("mass", 2.0, unit="t"),))
    world = World("w")
    edits = Edits((PutType(TwinType("Cart", points=points)), PutTwin(cart)))
    world.apply(Change(edits, Origin(OriginKind.MEASURED, "plant"), START))
    put(world, "force", 1.0, START)
    return world


def put(world: World, point: str, value: float, at_ns: int) -> None:
    handles = world.handles([("line.1/cart", point)])
    sample = frame(handles, np.array([value]), at_ns)
    world.apply(Change(sample, Origin(OriginKind.MEASURED, "plant"), at_ns))


def value(world: World, point: str) -> float:
    found = world.value(int(world.handles([("line.1/cart", point)])[0]))
    assert isinstance(found, float | int)
    return found


def go_on(model: FmiModel, world: World, until_ns: int) -> list[Change]:
    changes = list(model.step(world, until_ns))
    for change in changes:
        world.apply(change)
    return changes


OPTIONS = {
    "fmu": "Mass2.fmu",
    "input.force": "line.1/cart.force",
    "input.m": "line.1/cart.mass",
    "output.v": "line.1/cart.speed",
    "output.x": "line.1/cart.place",
    "step_s": 0.1,
    "name": "cart",
}


@pytest.fixture
def model(tmp_path: Path) -> Iterator[FmiModel]:
    path = build(tmp_path, "Mass")
    allowed(tmp_path, path)
    options = {key: OPTIONS[key] for key in OPTIONS if key != "input.m"}
    made = FmiModel({**options, "parameter.m": 2000.0}, tmp_path)
    yield made
    made.close()


def test_it_keeps_the_contract_of_models(world: World, model: FmiModel) -> None:
    assert check_model(model, world, START) == 1
    assert check_model(model, world, START + S) == 1


def test_points_go_in_and_out_in_their_own_units(world: World, model: FmiModel) -> None:
    go_on(model, world, START)
    (change,) = go_on(model, world, START + 2 * S)
    assert isinstance(change.body, Frame)
    assert len(change.body) == 2 * 20
    # 1 kN on 2 t from 1 m/s: after 2 s 2 m/s and 3 m.
    assert value(world, "speed") == pytest.approx(2.0 * 3.6)
    assert value(world, "place") == pytest.approx(3000.0)
    assert change.origin == Origin(OriginKind.SIMULATED, "cart")
    put(world, "force", 0.0, START + 2 * S)
    go_on(model, world, START + 3 * S)
    assert value(world, "speed") == pytest.approx(2.0 * 3.6)


def test_how_often_it_is_asked_changes_nothing(world: World, model: FmiModel) -> None:
    for until_ns in (START, START + S // 3, START + S // 2, START + 2 * S, START + 2 * S + 7):
        go_on(model, world, until_ns)
    assert value(world, "place") == pytest.approx(3000.0)


def test_a_property_feeds_an_input(world: World, tmp_path: Path) -> None:
    made = [v for v in MODELS["Gain"] if v.name != "u"]
    gain = next(v for v in MODELS["Gain"] if v.name == "u")
    variables = (dataclasses.replace(gain, unit="kg"), *made)
    path = build(tmp_path, "Gain", variables=variables)
    allowed(tmp_path, path)
    options = {"fmu": path.name, "input.u": "line.1/cart.mass", "output.y": "line.1/cart.place"}
    with_unit = FmiModel(options, tmp_path)
    go_on(with_unit, world, START)
    assert value(world, "place") == pytest.approx(2000.0)
    with_unit.close()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"output.v": "line.1/cart.pressure"}, UnitError, "\'m/s\' does not fit \'Pa\'"),
        ({"output.v": "line.1/cart.sped"}, FmiError, "no such point; the twin has force"),
        ({"output.v": "line.1/cart.count"}, FmiError, "not shown by a point of kind int"),
        ({"input.force": "line.2/cart.force"}, FmiError, "no twin has that id"),
        ({"input.force": "line.1/cart.weight"}, FmiError, "nor a property 'weight'"),
        ({"output.w": "line.1/cart.speed"}, FmiError, r"no unit has the output 'unit\.w'"),
        ({"output.x": "line.1/cart.speed"}, UnitError, "'m' does not fit 'km/h'"),
    ],
)  # fmt: skip
def test_what_contradicts_the_world_is_refused_by_name(
    world: World, tmp_path: Path, change: dict[str, str], error: type[Exception], message: str
) -> None:
    allowed(tmp_path, build(tmp_path, "Mass"))
    options = {key: OPTIONS[key] for key in OPTIONS if key != "input.m"} | change
    made = FmiModel(options, tmp_path)
    with pytest.raises(error, match=message):
        made.step(world, START)
    made.close()


def test_a_unit_that_fails_leaves_its_last_value_and_an_event(world: World, tmp_path: Path) -> None:
    allowed(tmp_path, build(tmp_path, "Bad"))
    options = {"fmu": "Bad2.fmu", "output.y": "line.1/cart.place", "parameter.how": 1}
    model = FmiModel({**options, "parameter.at": 0.5, "name": "bad"}, tmp_path)
    go_on(model, world, START)
    changes = go_on(model, world, START + S)
    events = [c.body for c in changes if isinstance(c.body, Event)]
    assert [e.is_active for e in events] == [True]
    assert "unit 'unit' ended at t = 0.4 s" in events[0].message.best()
    assert "SIGSEGV" in events[0].message.best()
    assert value(world, "place") == pytest.approx(0.4)
    one = world.read(world.handles([("line.1/cart", "place")]))
    assert int(one.quality[0]) == quality.UNCERTAIN_LAST_USABLE
    assert go_on(model, world, START + 2 * S) == []
    model.close()


def test_a_system_in_a_file_and_the_door(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "fmi"
    folder.mkdir()
    paths = [build(folder, name) for name in ("Mass", "Spring")]
    allowed(folder, *paths)
    system = {
        "units": {"mass": {"fmu": "Mass2.fmu"}, "spring": {"fmu": "Spring2.fmu"}},
        "connections": [["mass.v", "spring.speed"], ["spring.force", "mass.force"]],
        "bonds": [{
            "name": "spring", "a_flow": "spring.speed", "a_effort": "spring.force",
            "b_flow": "mass.v", "b_effort": "mass.force", "tolerance": 1e-6,
        }],
        "to_world": {"mass.v": "line.1/cart.speed"},
        "step_s": 0.01,
    }  # fmt: skip
    (folder / "masses.json").write_text(json.dumps(system))
    monkeypatch.setenv("MIRRORWORLD_HOME", str(tmp_path))
    model = fmi(system="masses.json")
    assert model.name == "masses"
    go_on(model, world, START)
    changes = go_on(model, world, START + S)
    exact = (1 + math.cos(math.sqrt(2))) / 2
    assert value(world, "speed") == pytest.approx(exact * 3.6, rel=2e-2)
    told = [c.body.message.best() for c in changes if isinstance(c.body, Event)]
    assert ["bond 'spring': residual up to" in text for text in told] == [True]
    again = [c for c in go_on(model, world, START + 2 * S) if isinstance(c.body, Event)]
    assert again == []
    model.close()
    with pytest.raises(FmiError, match="leads out of"):
        fmi(system="../masses.json")
    (folder / "masses.json").chmod(0o666)
    with pytest.raises(FmiError, match="chmod o-w mends it"):
        fmi(system="masses.json")
    for change, message in (
        ({"stepp_s": 1}, "'stepp_s' is unknown; did you mean 'step_s'"),
        ({"step_s": -1}, "step_s: -1; give a number above 0"),
        ({"order": "gauss"}, "there are jacobi, gauss_seidel"),
        ({"connections": [["mass.v"]]}, "is no pair like"),
        ({"units": {"a": {"fmu": "x", "python": "y:Z"}}}, "give its file as fmu"),
    ):
        (folder / "bad.json").write_text(json.dumps(system | change))
        with pytest.raises(FmiError, match=message):
            fmi(system="bad.json")


def test_the_door_shows_its_options() -> None:
    row = about("fmi", fmi)
    assert [(option.name, option.unit) for option in row.options] == [
        ("system", ""),
        ("start_s", "s"),
    ]
    check(row, {"system": "pump.json", "start_s": 3})
    with pytest.raises(FmiError, match="name a file in the folder fmi"):
        fmi()


def test_an_input_beyond_its_range_is_told_once(world: World, tmp_path: Path) -> None:
    force, *others = MODELS["Mass"]
    force = dataclasses.replace(force, extra=" min='0' max='500'")
    allowed(tmp_path, build(tmp_path, "Mass", variables=(force, *others)))
    options = {key: OPTIONS[key] for key in OPTIONS if key != "input.m"}
    model = FmiModel(options, tmp_path)
    told = [c.body.message.best() for c in go_on(model, world, START) if isinstance(c.body, Event)]
    assert told == [
        "input 'unit.force' is beyond what its unit is made for: 1000, not within 0.0 … 500.0"
    ]
    assert not [c for c in go_on(model, world, START + S) if isinstance(c.body, Event)]
    model.close()
