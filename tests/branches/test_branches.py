"""Branches over REST: made, changed, taken back, compared with their parent, restarted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.branches.serving import SECOND, START, Served, served


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("line")) as running:
        yield running


def faster(here: Served, branch: str) -> None:
    here.ask(
        "POST",
        f"/branches/{branch}/values",
        json={
            "values": [{"point": "line1/filler.speed", "value": 4.0, "unit": "/s"}],
            "parameters": {"demand_per_h": 14000},
            "reason": "spring",
        },
    )


def test_a_change_shows_in_the_branch_and_nowhere_else(here: Served):
    branch = here.branch("faster filler")
    before = here.mirror.world.state_hash()
    faster(here, branch)
    edits = {
        "edits": [
            {"@": "PutProperty", "twin": "line1/filler", "property": {"name": "c", "value": 1.1}},
            {"@": "PutPose", "twin": "line1/capper", "pose": {"x_m": 9.0}},
        ]
    }
    here.ask("POST", f"/branches/{branch}/edits", json=edits)
    assert here.value(branch, "line1/filler.speed") == 240.0
    assert here.value("", "line1/filler.speed") == 109.0
    assert here.mirror.world.state_hash() == before
    rows = here.ask("GET", f"/branches/{branch}/diff")["rows"]
    told = {(r["what"], r["about"], r["name"]): (r["before"], r["after"]) for r in rows}
    assert told == {
        ("place", "line1/capper", ""): ("2, 0, 0", "9, 0, 0"),
        ("property", "line1/filler", "c"): ("", "1.1"),
        ("parameter", "", "demand_per_h"): ("", "14000"),
        ("value", "line1/filler", "speed"): ("109", "240"),
    }
    said = here.ask("GET", f"/branches/{branch}/changes")["changes"]
    assert [c["reason"] for c in said] == ["spring", "spring", ""]
    assert said[0]["words"] == ["line1/filler.speed = 240 /min"]
    assert here.ask("GET", f"/branches/{branch}")["parameters"] == {"demand_per_h": 14000}


def test_changes_are_taken_back_one_by_one(here: Served):
    branch = here.branch()
    faster(here, branch)
    here.ask(
        "POST",
        f"/branches/{branch}/values",
        json={"values": [{"point": "line1/filler.order", "value": "B-1"}]},
    )
    here.ask("POST", f"/branches/{branch}/undo")
    assert here.value(branch, "line1/filler.order") == "A-9"
    here.ask("POST", f"/branches/{branch}/undo")
    assert here.ask("GET", f"/branches/{branch}")["parameters"] == {}
    here.ask("POST", f"/branches/{branch}/undo")
    assert here.value(branch, "line1/filler.speed") == 109.0
    assert here.ask("GET", f"/branches/{branch}/diff")["total"] == 0
    answer = here.client.post(f"/api/branches/{branch}/undo")
    assert answer.status_code == 404


def test_what_was_changed_again_is_not_taken_back(here: Served):
    branch = here.branch()
    faster(here, branch)
    first = here.ask("GET", f"/branches/{branch}/changes")["changes"][0]["position"]
    faster(here, branch)
    answer = here.client.post(f"/api/branches/{branch}/undo", params={"position": first})
    assert answer.status_code == 422
    assert "line1/filler.speed: was changed again since" in answer.json()["detail"]


def test_a_past_moment_by_position_and_by_time(here: Served):
    record = here.mirror.record
    fifth = list(record.changes(record.as_of(here.mirror.durable).position.parse("0:0")))[5]
    branch = here.branch(at=str(fifth.position))
    assert here.value(branch, "line1/filler.speed") == 104.0
    assert here.ask("GET", f"/branches/{branch}")["at_ns"] == fifth.received_ns
    by_time = here.branch(at=str(START + 6 * 60 * SECOND + 5))
    assert here.value(by_time, "line1/filler.speed") == 106.0
    assert here.value(by_time, "line1/filler.order") == "A-6"
    faster(here, by_time)
    assert here.value(by_time, "line1/filler.speed") == 240.0
    history = here.ask(
        "GET", f"/branches/{branch}/world/history", params={"point": "line1/filler.speed"}
    )
    assert history["series"][0]["value"] == [100.0, 101.0, 102.0, 103.0, 104.0]


def test_a_branch_of_a_branch(here: Served):
    first = here.branch("first")
    faster(here, first)
    second = here.branch("second", parent=first)
    here.ask(
        "POST",
        f"/branches/{second}/values",
        json={"values": [{"point": "line1/capper.speed", "value": 200}]},
    )
    rows = here.ask("GET", f"/branches/{second}/diff")["rows"]
    assert [(r["about"], r["after"]) for r in rows] == [("line1/capper", "200")]
    rows = here.ask("GET", f"/branches/{second}/diff", params={"against": first})["rows"]
    assert [(r["about"], r["after"]) for r in rows] == [("line1/capper", "200")]
    answer = here.client.delete(f"/api/branches/{first}")
    assert answer.status_code == 422 and "second" in answer.json()["detail"]


def test_all_is_there_after_a_restart(tmp_path: Path):
    with served(tmp_path) as here:
        branch = here.branch("kept", note="why", is_shared=True)
        faster(here, branch)
        inner = here.branch("inner", parent=branch)
        by_time = here.branch("then", at=str(START + 6 * 60 * SECOND + 5))
        faster(here, by_time)
        gone = here.branch("gone")
        faster(here, gone)
        here.ask("DELETE", f"/branches/{gone}")
        hashes = [here.do(_hash(here, b)) for b in (branch, inner, by_time)]
    with served(tmp_path) as here:
        again = {b["name"]: b for b in here.ask("GET", "/branches")["branches"]}
        assert set(again) == {"kept", "inner", "then"}
        assert again["kept"]["is_shared"] and again["kept"]["note"] == "why"
        assert [here.do(_hash(here, b)) for b in (branch, inner, by_time)] == hashes
        here.ask("POST", f"/branches/{branch}/undo")
        assert here.ask("GET", f"/branches/{branch}")["changes"] == 3


async def _hash(here: Served, branch: str) -> str:
    from mirrorworld.branches.room import room_of

    return (await room_of(here.mirror).book.opened(branch)).world.state_hash()


def test_what_makes_no_sense_is_said(here: Served):
    branch = here.branch()

    def no(path: str, body: dict, status: int, words: str) -> None:
        answer = here.client.post(f"/api/branches{path}", json=body)
        assert answer.status_code == status and words in answer.json()["detail"], answer.text

    no("", {"name": ""}, 422, "cannot name a branch")
    no("", {"name": "x", "at": "9:99999"}, 422, "is not written yet")
    no("", {"name": "x", "parent": "b-000000000000"}, 404, "no branch")
    values = f"/{branch}/values"
    no(values, {"values": [{"point": "line1/mixer.speed", "value": 1}]}, 404, "no point")
    no(values, {"values": [{"point": "line1/filler.speed", "value": 1, "unit": "kg"}]}, 422, "kg")
    no(values, {"values": [{"point": "line1/filler.speed", "value": 900}]}, 422, "range")
    no(values, {"values": [{"point": "line1/filler.state", "value": "off-ish"}]}, 422, "none of")
    no(values, {"parameters": {"a": [1]}}, 422, "no number")


def test_a_head_that_was_broken_off_harms_no_other(tmp_path: Path):
    with served(tmp_path) as here:
        first = here.branch("first")
    journal = tmp_path / "branches" / "new.log"
    with served(tmp_path) as here:
        second = here.branch("second")
    data = journal.read_bytes()
    journal.write_bytes(data + data[:40])
    with served(tmp_path) as here:
        assert {b["id"] for b in here.ask("GET", "/branches")["branches"]} == {first, second}


def test_a_branch_goes_out_and_comes_in_as_one_file(here: Served):
    branch = here.branch("out", is_shared=True)
    faster(here, branch)
    file = here.client.get(f"/api/branches/{branch}/export").content
    answer = here.client.post(
        "/api/branches/import", content=file, headers={"Content-Type": "application/octet-stream"}
    )
    assert answer.status_code == 201, answer.text
    again = answer.json()
    assert again["name"] == "out" and again["id"] != branch and again["changes"] == 2
    here.ask("DELETE", f"/branches/{branch}")
    assert here.value(again["id"], "line1/filler.speed") == 240.0
    history = here.ask(
        "GET", f"/branches/{again['id']}/world/history", params={"point": "line1/filler.speed"}
    )
    assert history["series"][0]["value"][-1] == 240.0
    here.ask("POST", f"/branches/{again['id']}/undo")
    for bad in (b"", b"no zip", file[:500], file.replace(b'"world": "line"', b'"world": "lime"')):
        answer = here.client.post("/api/branches/import", content=bad)
        assert answer.status_code == 422, answer.text
