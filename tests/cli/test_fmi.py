"""`mirrorworld fmu`: described, refused, allowed, run, exported."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mirrorworld.cli import app
from tests.simulation.fmi.built import build, needs_compiler

MODEL = """
class Doubler:
    inputs = {"a": (1.0, "m")}
    outputs = {"b": "m"}
    parameters = {"factor": (2.0, "1")}

    def __init__(self, factor):
        self.factor = factor

    def step(self, time_s, step_s, inputs):
        return {"b": self.factor * inputs["a"]}
"""


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRRORWORLD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def fmu(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["fmu", *arguments])


@needs_compiler
def test_a_unit_is_described_refused_allowed_and_run(tmp_path: Path) -> None:
    path = build(tmp_path, "Mass")
    said = fmu("describe", str(path)).output
    assert "Mass: FMI 2.0" in said
    assert "saves its state, takes steps of any length" in said
    assert [row.split()[1] for row in said.splitlines() if "input" in row] == ["force"]
    refused = fmu("run", str(path))
    assert refused.exit_code == 1
    assert f"mirrorworld fmu allow {path} --dir {tmp_path / 'home' / 'fmi'}" in refused.output
    assert fmu("allow", str(path)).exit_code == 0
    run = ("run", str(path), "--stop", "2", "--step", "0.5", "--set", "force=3", "--set", "m=2")
    done = fmu(*run, "--out", "rows.csv")
    assert done.exit_code == 0, done.output
    assert "4 steps to t = 2 s" in done.output
    rows = list(csv.DictReader((tmp_path / "rows.csv").read_text().splitlines()))
    assert [float(row["unit.x"]) for row in rows] == pytest.approx([0, 0.6875, 1.75, 3.1875, 5.0])
    assert fmu("allow", "--take-back", str(path)).exit_code == 0
    assert fmu(*run).exit_code == 1


@needs_compiler
def test_a_system_tells_of_its_bonds_and_of_units_that_end(tmp_path: Path) -> None:
    paths = [build(tmp_path, model) for model in ("Mass", "Spring", "Bad")]
    for path in paths:
        fmu("allow", str(path))
    system = {
        "units": {
            "mass": {"fmu": paths[0].name},
            "spring": {"fmu": paths[1].name},
            "bad": {"fmu": paths[2].name, "parameters": {"how": 1, "at": 0.5}},
        },
        "connections": [["mass.v", "spring.speed"], ["spring.force", "mass.force"]],
        "bonds": [{
            "name": "rod", "a_flow": "spring.speed", "a_effort": "spring.force",
            "b_flow": "mass.v", "b_effort": "mass.force",
        }],
        "step_s": 0.01,
    }  # fmt: skip
    (tmp_path / "s.json").write_text(json.dumps(system))
    done = fmu("run", "s.json", "--stop", "1", "--out", "-")
    assert done.exit_code == 1
    assert "unit 'bad' ended at t = 0.49 s: its process died of SIGSEGV" in done.output
    assert "bond 'rod': residual up to" in done.output
    last = done.stdout.splitlines()[101].split(",")
    assert float(last[2]) == pytest.approx((1 + math.cos(math.sqrt(2))) / 2, rel=2e-2)


def test_a_model_in_python_goes_out_and_comes_back(tmp_path: Path) -> None:
    (tmp_path / "doubling.py").write_text(MODEL)
    made = fmu("export", "doubling:Doubler", "--out", "out")
    assert made.exit_code == 0, made.output
    sys.modules.pop("doubling")
    assert fmu("allow", "out/Doubler.fmu").exit_code == 0
    done = fmu("run", "out/Doubler.fmu", "--stop", "1", "--set", "a=4", "--out", "r.csv")
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text().splitlines()))
    assert float(rows[-1]["unit.b"]) == 8.0
    for bad, message in (
        ("doubling", "does not read like module:Class"),
        ("nowhere:Doubler", "cannot be imported"),
    ):
        said = fmu("export", bad)
        assert said.exit_code == 1
        assert message in said.output


def test_what_is_no_unit_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.fmu").write_text("no")
    for command in (["describe", "no.fmu"], ["allow", "no.fmu"], ["run", "no.fmu"]):
        said = fmu(*command)
        assert said.exit_code == 1
        assert "not an FMU" in said.output
    assert "give VARIABLE=NUMBER" in fmu("run", "no.fmu", "--set", "x").output
