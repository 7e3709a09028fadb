"""Branches by the command line, of a world that does not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mirrorworld.cli import app
from tests.branches.models_for_tests import install
from tests.branches.serving import make


def test_made_set_run_compared_and_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "models"
    folder.mkdir()
    install(folder, monkeypatch)
    directory = tmp_path / "line"
    make(directory)

    def do(command: str, *arguments: str, fails: bool = False) -> str:
        words = ["branch", command, "line", *arguments, "--dir", str(directory)]
        result = CliRunner().invoke(app, words)
        assert (result.exit_code != 0) == fails, result.output
        return result.output

    base, fast = do("new", "base").strip(), do("new", "fast", "--at", "1:6").strip()
    do("set", "fast", "line1/filler.speed=240", "demand=7", "--reason", "trial")
    rows = json.loads(do("diff", "fast", "--json"))
    assert {(r["name"], r["before"], r["after"]) for r in rows} == {
        ("speed", "104", "240"),
        ("demand", "", "7"),
    }
    ran = json.loads(do("run", "fast", "--for", "2", "--model", "demand"))
    assert ran["state"] == "ended" and ran["samples"] == 2
    for name in ("base", fast):
        figures = json.loads(do("evaluate", name, "noisy", "--replications", "3"))
        assert figures["state"] == "done"
    told = json.loads(do("compare", "base", "fast", "--json"))
    assert told["baseline"] == base and told["rows"][0]["cells"][1]["difference"] > 100
    assert "throughput" in do("compare", "base", "fast")
    assert "proposed" in do("apply", "fast")
    file = tmp_path / "fast.mwbranch"
    do("export", "fast", str(file))
    again = do("import", str(file)).strip()
    assert "are called 'fast'" in do("discard", "fast", fails=True)
    do("discard", again)
    do("undo", "fast")
    shown = json.loads(do("show", "fast"))
    assert shown["branch"]["parameters"] == {} and len(shown["changes"]) == 3
    listed = json.loads(do("list", "--json"))
    assert [b["name"] for b in listed] == ["fast", "base"]
    assert "there is no branch 'slow'" in do("discard", "slow", fails=True)
