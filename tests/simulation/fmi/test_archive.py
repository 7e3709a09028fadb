"""An FMU is a stranger's file: what is read of it without running it, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import random
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mirrorworld.simulation.fmi import archive
from mirrorworld.simulation.fmi.allowed import NAME, AllowList
from mirrorworld.simulation.fmi.archive import FmiError, platform_folder, unpack
from mirrorworld.simulation.fmi.description import BaseUnit, Sort, UnitDescription, describe
from mirrorworld.simulation.fmi.graph import Connection, Wiring
from mirrorworld.simulation.fmi.ports import Port
from mirrorworld.simulation.fmi.quantities import Quantity, linear, quantity, quantity_of
from mirrorworld.units import UnitError
from tests.simulation.fmi.built import MODELS, Var, description


def fmu(path: Path, text: str | bytes | None = None, **entries: bytes) -> Path:
    """An archive with a model description and whatever else."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        if text is not None:
            made.writestr("modelDescription.xml", text)
        for name, data in entries.items():
            made.writestr(name, data)
    return path


def test_a_description_is_read_without_its_code(tmp_path: Path) -> None:
    variables = (*MODELS["Mass"], Var("text", 9, "parameter", "String", start="a b"))
    text = description("Mass", "2.0", variables, {"canInterpolateInputs": True})
    path = fmu(tmp_path / "m.fmu", text, **{"binaries/win64/Mass.dll": b"no library at all"})
    said = describe(path)
    assert (said.version, said.name, said.platforms) == ("2.0", "Mass", ("win64",))
    force, x, _, m, word = said.variables
    assert (force.causality, force.unit, force.start, force.sort) == (
        "input",
        "N",
        (0.0,),
        Sort.FLOAT,
    )
    assert (m.causality, m.start, word.start_text) == ("parameter", (1.0,), "a b")
    assert said.feedthrough == {"x": (), "v": ()}
    can = said.co_simulation
    assert can is not None
    assert can.can_save and can.can_vary_step and can.can_interpolate and not can.has_event_mode
    assert quantity_of(said, x) == Quantity("m")
    assert len(said.sha256) == 64


def test_a_description_of_fmi_3_has_arrays_and_events(tmp_path: Path) -> None:
    text = """<fmiModelDescription fmiVersion="3.0" modelName="A" instantiationToken="t">
      <CoSimulation modelIdentifier="A" hasEventMode="true" canGetAndSetFMUState="true"
        mightReturnEarlyFromDoStep="true" fixedInternalStepSize="0.01"/>
      <TypeDefinitions><Float64Type name="Bar" unit="bar" min="0"/></TypeDefinitions>
      <ModelVariables>
        <Float64 name="time" valueReference="0" causality="independent"/>
        <UInt64 name="n" valueReference="1" causality="structuralParameter" start="2"/>
        <Float64 name="a" valueReference="2" causality="input" declaredType="Bar"
          start="1 2 3 4 5 6">
          <Dimension valueReference="1"/><Dimension start="3"/></Float64>
        <Boolean name="b" valueReference="3" causality="output"/>
        <String name="s" valueReference="4" causality="parameter"><Start value="hello"/></String>
        <Clock name="c" valueReference="5" causality="output" intervalVariability="triggered"/>
      </ModelVariables>
      <ModelStructure><Output valueReference="3" dependencies="2"/></ModelStructure>
    </fmiModelDescription>"""
    said = describe(fmu(tmp_path / "a.fmu", text))
    a = said.variable("a")
    assert (a.size, a.start, a.unit, a.low) == (6, (1, 2, 3, 4, 5, 6), "bar", 0.0)
    assert said.variable("s").start_text == "hello"
    assert said.variable("c").sort is Sort.OTHER
    assert said.feedthrough == {"b": ("a",)}
    can = said.co_simulation
    assert can is not None
    assert (can.has_event_mode, can.can_return_early, can.fixed_step_s) == (True, True, 0.01)


HEAD = '<fmiModelDescription fmiVersion="2.0" modelName="m" guid="g"><CoSimulation modelIdentifier='


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "document type"),
        ("<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]><a>&c;</a>", "document type"),
        ("<a/>", "no fmiModelDescription"),
        ("<fmiModelDescription fmiVersion='1.0'/>", "versions 2 and 3"),
        ("<fmiModelDescription fmiVersion='2.0'>", "not well formed"),
        ("<fmiModelDescription fmiVersion='2.0'>" + "<a>" * 100, "nested too deep"),
        (HEAD + '"../../evil"/></fmiModelDescription>', "names no library"),
        (
            HEAD + '"m"/><ModelVariables><ScalarVariable name="x" valueReference="0">'
            '<Real start="1e999"/></ScalarVariable></ModelVariables></fmiModelDescription>',
            "start of variable 'x' is '1e999', no number",
        ),
        (
            HEAD + '"m"/><ModelVariables><ScalarVariable name="x" valueReference="no">'
            "<Real/></ScalarVariable></ModelVariables></fmiModelDescription>",
            "no whole number",
        ),
        (
            HEAD + '"m"/><ModelStructure><Outputs><Unknown index="9"/></Outputs></ModelStructure>'
            "</fmiModelDescription>",
            "speaks of variable 9: none",
        ),
        (
            '<fmiModelDescription fmiVersion="3.0"><ModelVariables><Float64 name="x"'
            ' valueReference="0"><Dimension start="1000000"/><Dimension start="1000000"/></Float64>'
            "</ModelVariables></fmiModelDescription>",
            "would hold 1000000000000 values",
        ),
    ],
)
def test_a_hostile_description_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(FmiError, match=why):
        describe(fmu(tmp_path / "m.fmu", text))


def test_a_huge_description_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "DESCRIPTION_BYTES_MAX", 100_000)
    path = fmu(tmp_path / "m.fmu", b"<a>" + b" " * 1_000_000)
    with pytest.raises(FmiError, match="more than 100000 bytes"):
        describe(path)


@pytest.mark.parametrize(
    "name", ["../../outside", "/tmp/outside", "resources/../../outside", "C:/outside", "a\\b"]
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = fmu(tmp_path / "m.fmu", description("Mass", "2.0", MODELS["Mass"], {}), **{name: b"x"})
    with pytest.raises(FmiError, match=r"leads out|backslash"):
        describe(path)
    with pytest.raises(FmiError):
        unpack(path, tmp_path / "into", "linux64")
    assert not (tmp_path / "outside").exists()


def test_links_doubles_and_what_is_no_archive(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("resources/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.fmu", "w") as made:
        made.writestr("modelDescription.xml", "<a/>")
        made.writestr(link, "/etc/passwd")
    with pytest.raises(FmiError, match="is a link"):
        describe(tmp_path / "link.fmu")
    with pytest.warns(UserWarning), zipfile.ZipFile(tmp_path / "two.fmu", "w") as made:
        made.writestr("modelDescription.xml", "<a/>")
        made.writestr("modelDescription.xml", "<b/>")
    with pytest.raises(FmiError, match="two entries are called"):
        describe(tmp_path / "two.fmu")
    (tmp_path / "no.fmu").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(FmiError, match="not an FMU"):
        describe(tmp_path / "no.fmu")
    with pytest.raises(FmiError, match=r"no modelDescription\.xml"):
        describe(fmu(tmp_path / "empty.fmu", a=b""))
    with pytest.raises(FmiError, match="No such file"):
        describe(tmp_path / "none.fmu")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "UNPACKED_BYTES_MAX", 1 << 20)
    path = fmu(tmp_path / "m.fmu", "<a/>", **{"resources/bomb": bytes(16 << 20)})
    assert path.stat().st_size < 100_000
    with pytest.raises(FmiError, match="unpacks to far more"):
        unpack(path, tmp_path / "into", platform_folder("2.0"))
    assert (tmp_path / "into" / "resources" / "bomb").stat().st_size <= 1 << 20


def test_damage_within_an_entry_is_named(tmp_path: Path) -> None:
    path = fmu(tmp_path / "m.fmu", "<a/>", **{"resources/data": os.urandom(10_000)})
    data = bytearray(path.read_bytes())
    data[5_000] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(FmiError, match="'resources/data' cannot be unpacked"):
        unpack(path, tmp_path / "into", "linux64")


def test_the_list_of_what_may_run(tmp_path: Path) -> None:
    one, two = fmu(tmp_path / "one.fmu", "<a/>"), fmu(tmp_path / "two.fmu", "<b/>")
    here = AllowList(tmp_path / "fmi")
    assert here.entries() == {}
    sha256 = here.allow(one, by="owner", at="2026-01-01T00:00:00Z")
    here.require(sha256, one)
    with pytest.raises(FmiError, match="nobody has allowed"):
        here.require(archive.sha256_of(two), two)
    assert here.path.stat().st_mode & 0o777 == 0o600
    here.path.chmod(0o666)
    with pytest.raises(FmiError, match="chmod go-w mends it"):
        here.require(sha256, one)
    here.path.chmod(0o600)
    assert here.forget(sha256) and not here.forget(sha256)
    (tmp_path / "fmi" / NAME).write_text(json.dumps(["not", "a", "list"]))
    with pytest.raises(FmiError, match="damaged"):
        here.entries()


@pytest.mark.parametrize(
    ("name", "base", "expected"),
    [
        ("bar", None, Quantity("bar")),
        ("degC", BaseUnit((("K", 1),), 1.0, 273.15), Quantity("Cel", shown="degC")),
        # Its maker calls degrees so; the definition tells that no coulombs are meant.
        ("C", BaseUnit((("K", 1),), 1.0, 273.15), Quantity("K", 1.0, 273.15, shown="C")),
        ("furlong", BaseUnit((("m", 1),), 201.168), Quantity("m", 201.168, shown="furlong")),
        ("W/(m2.K)", BaseUnit((("kg", 1), ("s", -3), ("K", -1))), Quantity("W/(m2.K)")),
        ("quux", None, None),
    ],
)
def test_what_a_unit_means(name: str, base: BaseUnit | None, expected: Quantity | None) -> None:
    assert quantity(name, base) == expected


def test_quantities_are_converted_or_refused() -> None:
    celsius = Quantity("K", 1.0, 273.15, shown="C")
    assert linear(celsius, Quantity("Cel"), "x") == pytest.approx((1.0, 0.0))
    assert linear(Quantity("[degF]"), celsius, "x") == pytest.approx((5 / 9, -160 / 9))
    furlong = Quantity("m", 201.168)
    assert linear(Quantity("km"), furlong, "x") == pytest.approx((1000 / 201.168, 0.0))
    assert linear(furlong, None, "x") == (1.0, 0.0)
    with pytest.raises(UnitError, match=r"a\.b: unit 'rad/s' does not fit '/min'"):
        linear(Quantity("rad/s"), Quantity("/min"), "a.b")


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_done_to_a_unit_it_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(description("Mass", "3.0", MODELS["Mass"], {}).encode())
    for _ in range(chance.randrange(1, 6)):
        at, n = chance.randrange(len(data)), chance.randrange(1, 30)
        piece = data[at : at + n] if chance.random() < 0.5 else bytes(chance.randbytes(n % 4))
        data[at : at + chance.randrange(30)] = piece * chance.randrange(3)
    path = fmu(tmp_path / "m.fmu", bytes(data), **{"binaries/x86_64-linux/Mass.so": b""})
    if seed % 2:
        whole = bytearray(path.read_bytes())
        for _ in range(3):
            whole[chance.randrange(len(whole))] = chance.randrange(256)
        path.write_bytes(whole)
    with contextlib.suppress(FmiError):
        said = describe(path)
        for variable in said.variables:
            quantity_of(said, variable)


def test_a_large_unit_is_read_and_wired_in_little_time(tmp_path: Path) -> None:
    """Many outputs that say nothing of what they depend on, and many inputs."""
    inputs = [Var(f"u{k}", k, "input", start="0") for k in range(5_000)]
    outputs = [Var(f"y{k}", 5_000 + k, "output", depends=None) for k in range(5_000)]
    text = description("Large", "2.0", (*inputs, *outputs), {})
    said = describe(fmu(tmp_path / "l.fmu", text))
    unit = Described(said)
    wiring = Wiring([unit], [Connection(f"large.y{k}", f"large.u{k}") for k in range(1_000)])
    assert len(wiring.loops()) == 1
    assert len(wiring.loops()[0]) == 2


class Described:
    """As much of a coupled unit as its wiring asks for."""

    def __init__(self, said: UnitDescription) -> None:
        self.name = "large"
        self.inputs = [Port(v.name) for v in said.of("input")]
        self.outputs = [Port(v.name) for v in said.of("output")]
        self.feedthrough = said.feedthrough

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)
