"""`mirrorworld experiment`: what people type, and what they are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from mirrorworld.cli import app
from mirrorworld.cli.experiment_words import factor_of, limits_of, options_of
from mirrorworld.simulation.experiments.space import Categorical, Continuous, Integer, SpaceError

OBJECTIVES = "tests.simulation.experiments.objectives:"
BOWL = ("-f", "x=0.0..1.0", "-f", "n=1..20", "--where", "here")


def told(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["experiment", *map(str, words)])
    assert done.exit_code == status, done.output + done.stderr
    return done.output + done.stderr


def asked(*words: str, status: int = 0) -> Any:
    return json.loads(told(*words, "--json", status=status))


def test_factors_limits_and_options_as_people_write_them() -> None:
    assert factor_of("buffer=1..8") == Integer("buffer", 1, 8)
    assert factor_of("buffer = 0..9/4") == Integer("buffer", 0, 9, step=3)
    assert factor_of("speed=0.5..2/4 m/s") == Continuous("speed", 0.5, 2, "m/s", 4)
    assert factor_of("rule=fifo, edd") == Categorical("rule", ("fifo", "edd"))
    for text in ("buffer", "buffer=1...8", "buffer=x", "buffer=0..9/3"):
        with pytest.raises(SpaceError, match="buffer"):
            factor_of(text)
    assert limits_of(["a b <= 3", "a b>=1.5", "c >= -2"]) == {"a b": (1.5, 3), "c": (-2, None)}
    with pytest.raises(ValueError, match="no limit"):
        limits_of(["a < 3"])
    assert options_of(["a=3", "b=x"]) == {"a": 3, "b": "x"}


def test_a_sweep_and_what_it_shows_afterwards(tmp_path: Path) -> None:
    folder = str(tmp_path / "sweep")
    space = tmp_path / "space.yaml"
    space.write_text(
        "factors:\n  n: {low: 1, high: 12, integer: true}\nconstraints: ['n < 5 or n > 7']\n"
    )
    made = asked(
        "sweep", OBJECTIVES + "trouble", "--space", str(space), "--out", folder, "--where", "here",
        "--sort", "-value", "--rows", "2",
    )  # fmt: skip
    assert made["counts"] == {"ok": 6, "failed": 2, "not_finite": 1}
    assert [row["value"] for row in made["rows"]] == [12.0, 11.0]
    assert made["complete"]
    shown = told("show", folder, "--rows", "3")
    assert "3 of 9 rows" in shown
    assert "failed: n=2: RuntimeError: the model deadlocks" in shown
    assert "no figure 'cost'; there are value" in told("show", folder, "--sort", "cost", status=1)


def test_screening_and_sensitivity_are_drawn_and_told(tmp_path: Path) -> None:
    svg = tmp_path / "effects.svg"
    found = asked(
        "screen", OBJECTIVES + "bowl", *BOWL, "--figure", "cost", "--svg", str(svg)
    )  # fmt: skip
    assert found["factors"][0]["factor"] == "n"
    assert found["factors"][0]["effect"] == pytest.approx(19)
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    folder = str(tmp_path / "sobol")
    words = ("sensitivity", OBJECTIVES + "bowl", *BOWL, "--figure", "cost", "--base", "64")
    split = asked(*words, "--out", folder)
    assert split["factors"][0]["factor"] == "n"
    assert split["factors"][0]["first"] == pytest.approx(1, abs=0.05)
    assert asked("show", folder, "--figure", "cost")["factors"] == split["factors"]
    assert "elementary" in told(
        "screen", OBJECTIVES + "bowl", *BOWL, "--figure", "yield", "--by", "morris", "--svg",
        str(svg),
    ) + svg.read_text()  # fmt: skip


def test_searches_with_and_without_derivatives(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="optuna (extra `experiments`) is not installed")
    climbed = asked(
        "optimise", OBJECTIVES + "bowl", *BOWL, "--by", "gradient", "--maximise", "yield",
        "--starts", "3", "--svg", str(tmp_path / "climb.svg"),
    )  # fmt: skip
    assert climbed["design"]["n"] == 4
    folder = str(tmp_path / "front")
    words = (
        "optimise", OBJECTIVES + "bowl", *BOWL, "--maximise", "yield", "--minimise", "cost",
        "--limit", "cost <= 6", "--evaluations", "40", "--out", folder,
    )  # fmt: skip
    front = asked(*words, "--svg", str(tmp_path / "front.svg"))
    assert front["evaluated"] == 40
    assert all(row["cost"] <= 6 for row in front["front"])
    assert asked("resume", folder, "--where", "here")["front"] == front["front"]
    assert "one figure" in told(*words, "--by", "gradient", status=1)
    chosen = asked("select", folder, "--figure", "yield", "--least-difference", "0.01",
                   "--where", "here")  # fmt: skip
    assert all(one["x"] + one["n"] <= 6 for one in chosen["designs"]), "the limit holds here too"
    for name in ("climb", "front"):
        assert ElementTree.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")


def test_the_best_of_a_sweep_is_selected_with_confidence(tmp_path: Path) -> None:
    folder = str(tmp_path / "sweep")
    asked(
        "sweep", OBJECTIVES + "bowl", "-f", "x=0.0..1.0/5", "-f", "n=1..8", "--where", "here",
        "--out", folder,
    )  # fmt: skip
    words = ("select", folder, "--figure", "yield", "--where", "here", "--least-difference")
    made = asked(*words, "0.001")
    assert made["design"] == {"x": 0.25, "n": 4}
    assert (made["guaranteed"], made["probability"]) == (True, 0.95)
    assert len(made["designs"]) == 5
    assert "correct with probability 0.95 at least" in told(*words, "0.001")
    assert "above 0" in told(*words, "0", status=1)


def test_schedules_are_proven_or_explained(tmp_path: Path) -> None:
    pytest.importorskip("ortools", reason="OR-tools (extra `experiments`) are not installed")
    file, svg = tmp_path / "shop.yaml", tmp_path / "gantt.svg"
    file.write_text(
        "unit: h\nmachines: {saw: {open: [[0, 8], [16, 24]]}, press: }\njobs:\n"
        "  A: {operations: [{takes: {saw: 6}}, {takes: {press: 2}}]}\n"
        "  B: {operations: [{takes: {saw: 4, press: 9}}], due: 20}\n"
    )
    made = asked("schedule", str(file), "--svg", str(svg))
    assert (made["status"], made["value"], made["gap"]) == ("optimal", 11, 0)
    assert made["rows"]["machine"].count("press") == 2
    assert "saw is closed 8 … 1" in svg.read_text()
    assert "optimal: makespan 11 h, bound 11" in told("schedule", str(file))
    refused = asked("schedule", str(file), "--not-after", "10", status=2)
    assert "to be over at 10 and would be at 11" in refused["why"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sweep", "x:y", "-f", "n=1..2"), "No module named 'x'"),
        (("sweep", OBJECTIVES + "bowl"), "--factor 'buffer=1..8'"),
        (
            ("sweep", OBJECTIVES + "bowl", *(f"-ff{i}=1..1000" for i in range(4))),
            "1,000,000,000,000 designs",
        ),
        (("sweep", OBJECTIVES + "bowl", *BOWL), "'x' has endlessly many values"),
        (("optimise", OBJECTIVES + "bowl", *BOWL), "--maximise FIGURE"),
        (("resume", "nowhere"), "nowhere holds no experiment"),
        (("schedule", "nowhere.yaml"), "No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(words: tuple[str, ...], says: str) -> None:
    text = told(*words, status=1)
    assert says in text
    assert "Traceback" not in text


@pytest.mark.skipif(os.name != "posix", reason="there is no such signal")
def test_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "slow"
    command = [  # in a group of its own, as a terminal's is
        sys.executable, "-c", "from mirrorworld.cli import main; main()",
        "experiment", "sweep", OBJECTIVES + "slow", "-f", "n=1..150",
        "--out", str(folder), "--workers", "1",
    ]  # fmt: skip
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(folder.glob("parts/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "stopped; go on with: mirrorworld experiment resume" in said
    before = asked("show", str(folder))
    assert not before["complete"]
    assert before["counts"]["ok"] > 0
    after = asked("resume", str(folder), "--workers", "2")
    assert after["counts"] == {"ok": 150}
