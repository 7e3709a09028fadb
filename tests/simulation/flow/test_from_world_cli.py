"""`mirrorworld flow` over a world in a directory: tables and JSON, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mirrorworld
from mirrorworld.cli import app
from mirrorworld.client import NotFoundError
from mirrorworld.world.changes import PutRelation, PutSheet, PutTwin
from mirrorworld.world.model import FEEDS, Relation, Sheet, Twin

LINE = {
    "twins": {
        "hall/saw": {"cycle": 20.0},
        "hall/mill": {"cycle": 15.0, "stops": [{"name": "jam", "between": 300, "repair": 150}]},
    }
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with mirrorworld.open(tmp_path / "works", create=True) as world:
        world.edit(
            PutTwin(Twin("hall/saw")),
            PutTwin(Twin("hall/mill")),
            PutRelation(Relation(FEEDS, "hall/saw", "hall/mill")),
            PutSheet(Sheet("flow", "line", json.dumps(LINE))),
        )
    return tmp_path / "works"


def said(*words: str) -> str:
    result = CliRunner().invoke(app, ["flow", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_line_is_shown_with_what_it_stands_on(place: Path) -> None:
    told = json.loads(said("show", "works", "--dir", str(place), "--json"))
    assert [node["name"] for node in told["nodes"]] == ["supply", "saw", "mill", "output"]
    assert ["saw", "mill"] in told["links"]
    assert {(g["twin"], g["by"]) for g in told["grounds"]} >= {("hall/mill", "sheet")}
    assert "supply → saw → mill → output" in said("show", "works", "--dir", str(place))


def test_what_ifs_are_compared_pair_by_pair(place: Path) -> None:
    quick = ("--dir", str(place), "--hours", "4", "-n", "6", "--json")
    change = ("--set", "mill.repair_factor=0.1", "--set", "saw.rate_factor=1.001")
    base, repairs, saw = json.loads(said("whatif", "works", *quick, *change))
    # Mill: 240 an hour, up two thirds of its time, or 20/21; the saw makes 180.
    assert base["throughput_per_h"] == pytest.approx(150, rel=0.15)
    assert repairs["gain_low"] > 5 and repairs["p_better"] > 0.99
    assert abs(saw["gain_per_h"]) < repairs["gain_per_h"] / 5
    figures = json.loads(said("run", "works", *quick))
    assert figures[0]["name"] == "throughput"
    assert figures[0]["mean"] == pytest.approx(base["throughput_per_h"])


def test_a_run_is_drawn_as_what_goes_where(place: Path, tmp_path: Path) -> None:
    picture = tmp_path / "pictures" / "works.svg"
    told = said(
        "run",
        "works",
        "--dir",
        str(place),
        "--hours",
        "2",
        "-n",
        "2",
        "--json",
        "--svg",
        str(picture),
    )
    # The file's name goes to standard error, which is among it here.
    names = [figure["name"] for figure in json.loads(told.splitlines()[-1])]
    assert names[-3:] == ["flow, saw → mill", "flow, supply → saw", "flow, mill → output"]
    assert "saw → mill" in picture.read_text(encoding="utf-8")


def test_a_notebook_has_the_line_with_the_figures_of_the_command_line(place: Path) -> None:
    line = mirrorworld.flow(place)
    assert "supply → saw → mill → output" in repr(line) and "hall/mill" in line._repr_html_()
    base = line.run(hours=4, replications=6)
    quick = ("--dir", str(place), "--hours", "4", "-n", "6", "--json")
    told = {figure["name"]: figure for figure in json.loads(said("run", "works", *quick))}
    assert {name: one.mean for name, one in base.figures.items()} == pytest.approx(
        {name: figure["mean"] for name, figure in told.items()}
    )
    quicker = line.whatif("mill.repair_factor=0.5").whatif("mill.failure_factor=0.5")
    assert quicker.change == "mill.repair_factor=0.5,mill.failure_factor=0.5"
    better = quicker.run(hours=4, replications=6)
    assert better.compare(base).difference.low > 5 and "6 runs" in repr(better)
    shares = base.bottlenecks
    assert set(shares) == {"saw", "mill"} and sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert base.sankey().startswith("<svg")
    with pytest.raises(ValueError, match="2 or more"):
        line.run(replications=1)
    with pytest.raises(NotFoundError):
        mirrorworld.flow(place / "nowhere")


def test_figures_say_what_speaks_against_the_fit_that_they_stand_on(place: Path) -> None:
    verdict = "The model does not hold: 7 % too much."
    fitted = {
        "twins": {"hall/saw": {"cycle": 19.0}},
        "period": {"start_ns": 1, "end_ns": 2},
        "checked": {
            "holds": False,
            "verdict": verdict,
            "drifted": ["hall/saw, until jam: oftener"],
        },
    }
    with mirrorworld.open(place, writable=True) as world:
        world.edit(PutSheet(Sheet("flow", "fitted", json.dumps(fitted))))
    quick = ("--dir", str(place), "--hours", "1", "-n", "2")
    change = ("--set", "mill.repair_factor=0.1")
    for words in (("run", "works", *quick), ("whatif", "works", *quick, *change)):
        told = " ".join(said(*words).split())
        assert f"Careful, check of the fit: {verdict}" in told
        assert "Careful, drift: hall/saw, until jam: oftener" in told
    base, _ = json.loads(said("whatif", "works", *quick, *change, "--json"))
    assert len(base["doubts"]) == 2


def test_what_cannot_be_is_refused_with_a_mend(place: Path) -> None:
    for change, mend in (
        ("mil.rate_factor=2", "there is no such twin"),
        ("mill.speed=2", "rate_factor"),
        ("mill.rate_factor=x", "is no number"),
        ("mill.rate_factor=0", "above 0"),
    ):
        words = ["flow", "whatif", "works", "--dir", str(place), "--set", change]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 1
        assert mend in " ".join(result.output.split())
