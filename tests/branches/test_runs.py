"""Runs in processes of their own: what they make is seen and kept, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.branches.models_for_tests import install
from tests.branches.serving import Served, served


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        install(tmp_path_factory.mktemp("models"), patch)
        with served(tmp_path_factory.mktemp("line")) as running:
            yield running


def start(here: Served, model: str, options: dict | None = None, **asked: Any) -> str:
    branch = here.branch(model, is_shared=True)
    models = [{"name": model, "options": options or {}}]
    here.ask("PUT", f"/branches/{branch}", json={"models": models})
    here.ask("POST", f"/branches/{branch}/run", json=asked)
    return branch


def until(here: Served, branch: str, *states: str) -> dict:
    end = time.monotonic() + 300  # a process starts, on a machine that may be busy
    while True:
        run = here.ask("GET", f"/branches/{branch}")["run"]
        if run["state"] in states:
            return run
        assert time.monotonic() < end and run["state"] != "failed", run
        time.sleep(0.05)


def levels(here: Served, branch: str) -> list[float]:
    found = here.ask(
        "GET", f"/branches/{branch}/world/history", params={"point": "line1/filler.level"}
    )
    return found["series"][0]["value"][10:]


def test_a_run_makes_its_changes_and_ends(here: Served):
    live = here.mirror.world.state_hash()
    branch = start(here, "counter", {"by": 2.0}, duration_s=5.0)
    run = until(here, branch, "ended")
    assert (run["changes"], run["samples"]) == (5, 5)
    assert levels(here, branch) == [2.0, 4.0, 6.0, 8.0, 10.0]
    at_ns = here.ask("GET", f"/branches/{branch}")["at_ns"]
    assert run["now_ns"] == at_ns + 5_000_000_000
    assert here.mirror.world.state_hash() == live
    rows = here.ask("GET", f"/branches/{branch}/diff")["rows"]
    assert [(r["about"], r["after"], r["origin"]) for r in rows] == [
        ("line1/filler", "10", "simulated")
    ]
    here.ask("POST", f"/branches/{branch}/run", json={"duration_s": 2.0})
    run = until(here, branch, "ended")
    assert run["now_ns"] == at_ns + 7_000_000_000


def test_the_seed_of_a_run_reaches_its_models(here: Served):
    thrown = []
    for seed in (5, 5, 6):
        branch = start(here, "dice", duration_s=4.0, seed=seed)
        until(here, branch, "ended")
        thrown.append(levels(here, branch))
    assert len(thrown[0]) == 4
    assert thrown[0] == thrown[1] != thrown[2]


def test_paused_stepped_and_stopped(here: Served):
    branch = start(here, "counter", is_paused=True)
    until(here, branch, "paused")
    assert levels(here, branch) == []
    here.ask("POST", f"/branches/{branch}/control", json={"act": "step"})
    _wait(lambda: levels(here, branch) == [1.0])
    here.ask("POST", f"/branches/{branch}/control", json={"act": "step", "duration_s": 3.0})
    _wait(lambda: levels(here, branch) == [1.0, 2.0, 3.0, 4.0])
    until(here, branch, "paused")
    here.ask("POST", f"/branches/{branch}/control", json={"act": "speed", "speed": 20.0})
    here.ask("POST", f"/branches/{branch}/control", json={"act": "resume"})
    _wait(lambda: len(levels(here, branch)) >= 8)
    state = here.ask("POST", f"/branches/{branch}/control", json={"act": "stop"})
    assert state["state"] == "idle"
    answer = here.client.post(f"/api/branches/{branch}/control", json={"act": "pause"})
    assert answer.status_code == 422 and "does not run" in answer.json()["detail"]


def _wait(is_so: Any) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_people_change_a_branch_while_it_runs(here: Served):
    branch = start(here, "demand", speed=20.0)
    _wait(lambda: -1.0 in levels(here, branch))
    here.ask("POST", f"/branches/{branch}/values", json={"parameters": {"demand": 7}})
    _wait(lambda: 7.0 in levels(here, branch))
    here.ask("POST", f"/branches/{branch}/control", json={"act": "stop"})


@pytest.mark.parametrize(
    ("model", "words", "kept"),
    [
        ("broken", "ZeroDivisionError", 2),
        ("nan", "line1/filler.level is nan", 2),
        ("metric", "takes line1/filler.level to be in 'm'", 0),
        ("commander", "has no way to a plant", 0),
    ],
)
def test_a_bad_model_is_named_and_what_came_before_is_kept(
    here: Served, model: str, words: str, kept: int
):
    branch = start(here, model, duration_s=10.0)
    end = time.monotonic() + 300  # a process starts, on a machine that may be busy
    while (run := here.ask("GET", f"/branches/{branch}")["run"])["state"] != "failed":
        assert time.monotonic() < end, run
        time.sleep(0.05)
    assert words in run["detail"] and model in run["detail"]
    assert len(levels(here, branch)) == kept
    assert not here.mirror.world.commands


def test_a_model_that_never_ends_and_one_that_eats_memory_are_stopped(here: Served):
    branches = [
        start(here, "endless", duration_s=10.0, time_limit_s=4.0),
        start(here, "glutton", duration_s=10.0),
    ]
    runs = []
    for branch in branches:
        end = time.monotonic() + 300  # a process starts, on a machine that may be busy
        while (run := here.ask("GET", f"/branches/{branch}")["run"])["state"] != "failed":
            assert time.monotonic() < end, run
            time.sleep(0.05)
        runs.append(run["detail"])
    assert "model endless did not come back" in runs[0]
    assert "glutton used up the" in runs[1]
    assert levels(here, branches[0]) == [1.0, 2.0]


def test_a_killed_run_is_named_and_can_be_run_on(here: Served):
    branch = start(here, "counter", speed=20.0)
    _wait(lambda: len(levels(here, branch)) >= 3)
    os.kill(here.do(_pid(here, branch)), signal.SIGKILL)
    end = time.monotonic() + 30
    while (run := here.ask("GET", f"/branches/{branch}")["run"])["state"] != "failed":
        assert time.monotonic() < end, run
        time.sleep(0.05)
    assert "SIGKILL" in run["detail"]
    n = len(levels(here, branch))
    assert n >= 3
    here.ask("POST", f"/branches/{branch}/run", json={"duration_s": 2.0})
    until(here, branch, "ended")
    assert len(levels(here, branch)) == n + 2


async def _pid(here: Served, branch: str) -> int:
    from mirrorworld.branches.room import room_of

    running = room_of(here.mirror).runs.of(branch)
    assert running is not None and running.process is not None
    return running.process.pid


def test_what_really_happened_goes_on_in_a_past_branch(here: Served):
    changes = here.ask("GET", "/changes", params={"limit": 10_000})["changes"]
    position = changes[5]["position"]
    branch = here.branch("past", at=position)
    here.ask(
        "POST",
        f"/branches/{branch}/values",
        json={"values": [{"point": "line1/capper.speed", "value": 300}]},
    )
    here.ask("PUT", f"/branches/{branch}", json={"models": [{"name": "replay"}]})
    here.ask("POST", f"/branches/{branch}/run", json={"duration_s": 400.0, "step_s": 30.0})
    until(here, branch, "ended")
    assert here.value(branch, "line1/filler.speed") == 109.0
    assert here.value(branch, "line1/filler.order") == "A-9"
    assert here.value(branch, "line1/capper.speed") == 300.0
    rows = here.ask("GET", f"/branches/{branch}/diff", params={"against": "live"})["rows"]
    assert {(r["about"], r["name"]) for r in rows} == {("line1/capper", "speed")}


def test_a_trend_goes_on_as_it_went(here: Served):
    changes = here.ask("GET", "/changes", params={"limit": 10_000})["changes"]
    branch = here.branch("trend", at=changes[9]["position"])
    models = [{"name": "trend", "options": {"points": "line1/filler.speed"}}]
    here.ask("PUT", f"/branches/{branch}", json={"models": models})
    here.ask("POST", f"/branches/{branch}/run", json={"duration_s": 600.0, "step_s": 60.0})
    until(here, branch, "ended")
    assert here.value(branch, "line1/filler.speed") == pytest.approx(117.0, abs=0.01)


def evaluated(here: Served, branch: str, **asked: Any) -> dict:
    one = here.ask("POST", f"/branches/{branch}/evaluations", json={"evaluator": "noisy", **asked})
    end = time.monotonic() + 300  # a process starts, on a machine that may be busy
    while one["state"] in ("waiting", "running"):
        assert time.monotonic() < end
        time.sleep(0.05)
        one = here.ask("GET", f"/branches/{branch}/evaluations/{one['id']}")
    return one


def test_branches_are_compared_by_figures_with_intervals(here: Served):
    base, fast = here.branch("as it is"), here.branch("faster")
    here.ask(
        "POST",
        f"/branches/{fast}/values",
        json={"values": [{"point": "line1/filler.speed", "value": 111.0}]},
    )
    for branch in (base, fast):
        one = evaluated(here, branch, replications=20, seed=7)
        assert one["state"] == "done" and one["is_current"] and one["kpis"][0]["n"] == 20
    told = here.ask("GET", "/branches/compare", params={"branch": [base, fast]})
    assert told["baseline"] == base and told["evaluator"] == "noisy" and not told["missing"]
    row = told["rows"][0]
    assert (row["name"], row["unit"], row["better"]) == ("throughput", "/min", "higher")
    cell = row["cells"][1]
    assert cell["is_paired"] and cell["difference"] == pytest.approx(2.0)
    assert cell["probability_better"] == 1.0
    waste = told["rows"][1]["cells"][1]
    assert waste["difference"] == pytest.approx(-0.5) and waste["probability_better"] == 1.0
    evaluated(here, fast, replications=20, seed=8)
    cell = here.ask("GET", "/branches/compare", params={"branch": [base, fast]})["rows"][0][
        "cells"
    ][1]
    assert not cell["is_paired"] and cell["difference_low"] < 2.0 < cell["difference_high"]
    assert 0 < cell["probability_better"] < 1


def test_an_evaluation_is_cancelled_or_fails_and_keeps_what_was_found(here: Served):
    branch = here.branch("slow")
    asked = {"evaluator": "noisy", "options": {"wait_s": 0.3}, "replications": 100}
    one = here.ask("POST", f"/branches/{branch}/evaluations", json=asked)
    path = f"/branches/{branch}/evaluations/{one['id']}"
    _wait(lambda: here.ask("GET", path)["kpis"])
    told = here.ask("POST", f"{path}/cancel")
    assert told["state"] == "cancelled" and 0 < told["kpis"][0]["n"] < 100
    failed = evaluated(here, branch, options={"fails_at": 5, "wait_s": 0.25})
    assert failed["state"] == "failed" and "ZeroDivisionError: no line" in failed["detail"]
    assert 0 < failed["kpis"][0]["n"] <= 5
    late = evaluated(here, branch, options={"wait_s": 60.0}, time_limit_s=3.0)
    assert late["state"] == "failed" and "evaluator noisy did not come back" in late["detail"]
    here.ask("DELETE", path)
    assert here.client.get(f"/api{path}").status_code == 404


def test_options_and_names_are_checked(here: Served):
    branch = here.branch()

    def no(method: str, path: str, body: dict, words: str) -> None:
        answer = here.client.request(method, f"/api/branches/{branch}{path}", json=body)
        assert answer.status_code in (404, 422) and words in answer.text, answer.text

    no("PUT", "", {"models": [{"name": "replai"}]}, "replay")
    no("PUT", "", {"models": [{"name": "counter", "options": {"buy": 1}}]}, "by")
    no("PUT", "", {"models": [{"name": "counter", "options": {"by": "x"}}]}, "give one like 1.0")
    no("POST", "/run", {}, "no model to run with")
    no("POST", "/evaluations", {"evaluator": "nosy"}, "noisy")
    no("POST", "/evaluations", {"evaluator": "noisy", "replications": 0}, "replications")


def test_a_run_is_seen_and_figures_are_there_after_a_restart(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
):
    with pytest.MonkeyPatch.context() as patch:
        install(tmp_path_factory.mktemp("more"), patch)
        with served(tmp_path) as here:
            branch = start(here, "counter", duration_s=3.0)
            until(here, branch, "ended")
            evaluated(here, branch, replications=2)
            running = start(here, "counter", speed=20.0)
            _wait(lambda: len(levels(here, running)) >= 2)
        with served(tmp_path) as here:
            assert levels(here, branch) == [1.0, 2.0, 3.0]
            found = here.ask("GET", f"/branches/{branch}/evaluations")["evaluations"]
            assert [f["state"] for f in found] == ["done"]
            run = here.ask("GET", f"/branches/{running}")["run"]
            assert run["state"] == "failed" and "was stopped while it ran" in run["detail"]
            n = len(levels(here, running))
            here.ask("POST", f"/branches/{running}/run", json={"duration_s": 1.0})
            until(here, running, "ended")
            assert len(levels(here, running)) == n + 1
