"""Branches by the Python client: the same calls on a server and in one's own process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mirrorworld
from mirrorworld.client import ClientError, NotAllowedError, NotFoundError, World
from mirrorworld.world.changes import PutProperty
from mirrorworld.world.model import Property
from tests.branches.models_for_tests import install
from tests.branches.serving import TOKEN, make, served

SPEED = "line1/filler.speed"


@pytest.fixture(params=["server", "own"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path / "models"
        folder.mkdir()
        install(folder, patch)
        directory = tmp_path / "line"
        if request.param == "own":
            make(directory)
            with mirrorworld.open(directory, writable=True) as opened:
                yield opened
        else:
            with served(directory) as here, mirrorworld.connect(here.url, TOKEN) as connected:
                yield connected


def test_from_a_question_to_an_answer(world: World, tmp_path: Path):
    base, fast = world.branch("as it is"), world.branch("faster filler", shared=True)
    fast.put({SPEED: 4.0}, unit="/s", reason="trial")
    fast.set(demand=12.5)
    fast.edit(PutProperty("line1/filler", Property("cycle_time", 0.25, unit="s")))
    assert fast.read(SPEED)[SPEED].value == 240.0 and world.read(SPEED)[SPEED].value == 109.0
    assert {(r.what, r.name) for r in fast.diff()} == {
        ("value", "speed"),
        ("parameter", "demand"),
        ("property", "cycle_time"),
    }
    assert [r.name for r in fast.diff(base)] == [r.name for r in fast.diff()]
    assert [c.reason for c in fast.changes()] == ["trial", "", ""]
    fast.undo()
    assert fast.parameters == {"demand": 12.5} and len(fast.diff()) == 2
    for branch in (base, fast):
        assert branch.evaluate("noisy", replications=5, noise=1.0).state == "done"
    told = base.compare(fast)
    assert told.rows[0].cells[1].difference == pytest.approx(131.0)
    fast.attach("demand")
    assert fast.run(3.0).state == "ended"
    assert fast.history("line1/filler.level")[0].value[-1] == 12.5
    fast.attach("broken")
    with pytest.raises(ClientError, match="ZeroDivisionError"):
        fast.run(9.0)
    fast.rename("quick")
    assert {b.name for b in world.branches()} == {"as it is", "quick"}
    again = world.import_branch(fast.export(tmp_path / "quick.mwbranch"))
    assert again.read(SPEED)[SPEED].value == 240.0
    plan = fast.plan("trial")
    assert [(s.kind, s.name) for s in plan] == [("value", "speed"), ("task", "demand")]
    assert plan.approve().state == "approved"
    with pytest.raises(ClientError, match="rolled back: step 1 was refused"):
        plan.execute()
    assert [p.state for p in world.plans()] == ["rolled back"]
    base.discard()
    with pytest.raises(NotFoundError, match="no branch"):
        base.about
    past = world.branch("then", at="1:6")
    assert past.read(SPEED)[SPEED].value == 104.0


def test_who_only_reads_keeps_no_branches(tmp_path: Path):
    make(tmp_path)
    with (
        mirrorworld.open(tmp_path) as world,
        pytest.raises(NotAllowedError, match="writable=True"),
    ):
        world.branches()
