"""Plans of a branch made so in a real plant: a process of its own, reached by OPC UA, whose own
server is the witness. The world is then killed, and everything acknowledged is there again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.conftest import run, up  # noqa: F401
from tests.e2e.running import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FILLER, CAPPER = "plant/Line1/Filler", "plant/Line1/Capper"
PASSWORD = "a long sentence of a person 7"


def ask(world: Running, method: str, path: str, body: Any = None, client: Any = None) -> Any:
    answer = (client or world.client).request(method, f"/api/{path}", json=body)
    assert answer.status_code < 400, (path, answer.status_code, answer.text)
    return answer.json() if answer.content else None


def branch_with(world: Running, values: dict[str, float], **more: Any) -> str:
    branch = ask(world, "POST", "branches", {"name": "other setpoints", **more})["id"]
    for point, value in values.items():
        ask(
            world,
            "POST",
            f"branches/{branch}/values",
            {"values": [{"point": point, "value": value}]},
        )
    return branch


def over(world: Running, plan: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = world.get(f"plans/{plan}")
        return found if found["state"] not in ("proposed", "approved", "executing") else None

    return world.until("the plan is over", look, 60)


def in_plant(world: Running, machine: str, name: str) -> Any:
    from asyncua.sync import Client

    with Client(world.source("plant")["url"]) as client:
        index = client.get_namespace_index("urn:example:bottling-line")
        path = ["0:Objects", f"{index}:Line1", f"{index}:{machine}", f"{index}:{name}"]
        return client.nodes.root.get_child(path).read_value()


def test_a_plan_is_made_so_in_the_plant_or_taken_back(up: Any, tmp_path: Path):  # noqa: F811
    world: Running = up("--world", "bottling_line")
    world.until_source("plant", "live")
    fill, torque = f"{FILLER}.FillVolumeSetpoint", f"{CAPPER}.TorqueSetpoint"
    world.until("armed", lambda: any(a for a in world.get("export")["arms"]), 60)
    world.until("known", lambda: world.value(torque) is not None and world.value(fill), 60)
    was = {fill: world.value(fill), torque: world.value(torque)}
    people = {}
    for role in ("viewer", "engineer"):
        made = {"name": f"{role}-kim", "password": PASSWORD, "grants": [{"role": role}]}
        assert world.post("people", made).status_code == 201
        client = httpx.Client(base_url=world.url, headers={"X-Mirrorworld": "1"}, timeout=60)
        entered = {"name": made["name"], "password": PASSWORD}
        assert client.post("/api/session", json=entered).status_code == 204
        people[role] = client

    # Applied: two desired values, and a task for what only people can do.
    wanted = {fill: was[fill] + 1.0, torque: round(was[torque] + 0.1, 3)}
    branch = branch_with(world, wanted, is_shared=True)
    staffed = {"name": "operators", "value": 2}
    edit = {"edits": [{"@": "PutProperty", "twin": CAPPER, "property": staffed}]}
    ask(world, "POST", f"branches/{branch}/edits", edit)
    assert people["viewer"].get(f"/api/branches/{branch}").json()["may_change"] is False
    for path, body in (
        ("branches", {"name": "x"}),
        (f"branches/{branch}/values", {"values": [{"point": fill, "value": 500.0}]}),
        (f"branches/{branch}/plans", {}),
        (f"branches/{branch}/run", {}),
    ):
        assert people["viewer"].post(f"/api/{path}", json=body).status_code == 403, path
    plan = ask(world, "POST", f"branches/{branch}/plans", {"reason": "trial"})
    assert [s["kind"] for s in plan["steps"]] == ["value", "value", "task"], plan
    assert (
        plan["state"] == "proposed" and in_plant(world, "Capper", "TorqueSetpoint") == was[torque]
    )
    act = f"plans/{plan['id']}"
    assert people["viewer"].post(f"/api/{act}", json={"act": "approve"}).status_code == 403
    early = world.post(act, {"act": "execute"})
    assert early.status_code == 422 and "only an approved one" in early.json()["detail"]
    rules = {"kind": "plan_rules", "name": "approval", "body": '{"needs_other": true}'}
    world.post("edits", {"edits": [{"@": "PutSheet", "sheet": rules}]}).raise_for_status()
    own = world.post(act, {"act": "approve"})
    assert own.status_code == 403 and "somebody else" in own.json()["detail"]
    ask(world, "POST", act, {"act": "approve"}, people["engineer"])
    ask(world, "POST", act, {"act": "execute"}, people["engineer"])
    done = over(world, plan["id"])
    assert done["state"] == "applied", done
    assert [s["state"] for s in done["steps"]] == ["confirmed", "confirmed", "open"]
    assert in_plant(world, "Filler", "FillVolumeSetpoint") == wanted[fill]
    assert in_plant(world, "Capper", "TorqueSetpoint") == pytest.approx(wanted[torque])
    ask(world, "POST", act, {"act": "done", "step": 3}, people["engineer"])
    sheets = world.get("sheets", kind="branch_plan")["sheets"]
    assert any(s["name"] == plan["id"] and '"state":"applied"' in s["body"] for s in sheets)

    # Rolled back: the second is beyond what it is armed for, so the first is set back.
    time.sleep(1.1)  # the capper is armed for one command a second
    refused = branch_with(world, {torque: was[torque], fill: 503.9}, is_shared=True)
    plan = ask(world, "POST", f"branches/{refused}/plans", {})
    act = f"plans/{plan['id']}"
    ask(world, "POST", act, {"act": "approve"}, people["engineer"])
    ask(world, "POST", act, {"act": "execute"}, people["engineer"])
    done = over(world, plan["id"])
    assert done["state"] == "rolled back", done
    assert [s["state"] for s in done["steps"]] == ["rolled back", "refused"]
    assert "armed step" in done["detail"]
    assert in_plant(world, "Capper", "TorqueSetpoint") == pytest.approx(wanted[torque])

    # Killed: whatever was acknowledged is there again, and nothing runs on alone.
    ask(world, "PUT", f"branches/{refused}", {"models": [{"name": "trend"}]})
    ask(world, "POST", f"branches/{refused}/run", {"speed": 1.0})
    going = ("running",)
    world.until("it runs", lambda: world.get(f"branches/{refused}")["run"]["state"] in going, 60)
    runners = [
        child
        for child in psutil.Process(world.process.pid).children(recursive=True)
        if "mirrorworld.branches.runner" in child.cmdline()
    ]
    assert len(runners) == 1
    world.kill()
    psutil.wait_procs(runners, timeout=20)
    assert not runners[0].is_running()
    again: Running = up("--world", "bottling_line")
    assert again.get(f"plans/{plan['id']}")["state"] == "rolled back"
    ended = again.get(f"branches/{refused}")["run"]
    assert ended["state"] == "failed" and "was stopped while it ran" in ended["detail"]
    said = again.get(f"branches/{branch}/changes")["changes"]
    assert len(said) == 3
    values = again.client.get(
        f"/api/branches/{branch}/world/points", params={"id": [fill, torque]}
    ).json()["points"]
    assert [v["value"] for v in values] == [wanted[fill], wanted[torque]]
    assert again.stop() == 0
    for client in people.values():
        client.close()
