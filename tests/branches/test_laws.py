"""The laws that hold for every branch: law 1 over its stream, law 9, and who sees and may what."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from mirrorworld.branches.room import room_of
from mirrorworld.live.guard import OWNER, RoleGuard, principal
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from mirrorworld.world.changes import Change, Command, Origin, OriginKind
from tests.branches.models_for_tests import install
from tests.branches.serving import TOKEN, Served, served
from tests.server.stand_in import Copy, truth


@pytest.fixture(scope="module")
def tokens() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, tokens: dict[str, str]) -> Iterator[Served]:
    accounts = Accounts()
    grants = {
        "kim": Grant("engineer"),
        "lee": Grant("engineer"),
        "vera": Grant("viewer"),
        "pat": Grant("engineer", "line1/filler"),
    }
    for name, grant in grants.items():
        accounts.add_person(name, "a long sentence of a person 7", [grant])
        tokens[name] = accounts.make_token(name, "t", [grant], lasts_s=3600, by=name)
    with pytest.MonkeyPatch.context() as patch:
        install(tmp_path_factory.mktemp("models"), patch)
        with served(tmp_path_factory.mktemp("line"), accounts) as running:
            guard = GrantGuard(RoleGuard(), accounts, lambda _: ())
            running.mirror.guard = running.mirror.pipeline.guard = guard
            yield running


def asks(here: Served, token: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}

    def ask(method: str, path: str, body: Any = None, status: int = 200) -> Any:
        url = f"{here.url}/api{path}"
        answer = httpx.request(method, url, json=body, headers=headers, timeout=60)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    return ask


def hear(socket: Any, copy: Copy, until: str) -> None:
    """Hears the stream until it has told of everything up to a position."""
    sequence = int(until.partition(":")[2])
    while copy.position is None or int(copy.position.partition(":")[2]) < sequence:
        copy.hear(socket.recv(30))


def test_what_a_viewer_is_told_adds_up_to_the_branch(here: Served):
    """Law 1, while people change the branch and a model runs in it."""
    changes = here.ask("GET", "/changes", params={"limit": 100})["changes"]
    # From the past, so that values are not so old that their age is cut off in a frame.
    branch = here.branch("streamed", at=changes[9]["position"])
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"{here.url.replace('http', 'ws')}/api/branches/{branch}/stream"
    copies = [Copy(), Copy()]
    with connect(url, additional_headers=headers) as socket:
        socket.send(json.dumps({"@": "Hello", "rate_hz": 20}))
        here.ask(
            "POST",
            f"/branches/{branch}/values",
            json={"values": [{"point": "line1/filler.order", "value": "X"}]},
        )
        twin = {"@": "PutTwin", "twin": {"id": "line1/new", "type": "t:Machine"}}
        here.ask("POST", f"/branches/{branch}/edits", json={"edits": [twin]})
        here.ask("PUT", f"/branches/{branch}", json={"models": [{"name": "counter"}]})
        here.ask("POST", f"/branches/{branch}/run", json={"duration_s": 20.0, "speed": 20.0})
        while here.ask("GET", f"/branches/{branch}")["run"]["state"] != "ended":
            time.sleep(0.1)
        here.ask("POST", f"/branches/{branch}/undo")
        here.ask(
            "POST",
            f"/branches/{branch}/values",
            json={"values": [{"point": "line1/filler.speed", "value": 7.0}]},
        )
        end = here.ask("GET", f"/branches/{branch}")["position"]
        hear(socket, copies[0], end)
    with connect(url, additional_headers=headers) as socket:
        socket.send(json.dumps({"@": "Hello"}))
        hear(socket, copies[1], end)
    found = here.do(_world(here, branch))
    assert copies[0].seen() == copies[1].seen() == truth(found)


async def _world(here: Served, branch: str) -> Any:
    await asyncio.sleep(0)
    return (await room_of(here.mirror).book.opened(branch)).world


def test_a_branch_has_no_way_to_a_plant(here: Served):
    """Law 9, at each of its doors."""
    branch = here.branch("no way")
    world = here.do(_world(here, branch))
    command = Command("c", "line1/filler", "speed", value=1.0)
    with pytest.raises(ValueError, match="has no way to a plant"):
        world.apply(Change(command, Origin(OriginKind.DESIRED, "kim"), 1))
    inside = here.do(_inside(here, branch))
    with pytest.raises(PermissionError, match="has no way to a plant"):
        here.do(inside.mirror.command(principal("kim", OWNER), command))
    answer = here.client.post(f"/api/branches/{branch}/world/commands", json={})
    assert answer.status_code == 405
    assert not here.mirror.world.commands


async def _inside(here: Served, branch: str) -> Any:
    from mirrorworld.server.context import Context

    live = Context(here.mirror, "", None, None, [], Accounts())
    return await room_of(here.mirror).context(live, branch)


def test_a_branch_is_its_authors_until_it_is_shared(here: Served, tokens: dict[str, str]):
    kim, lee, vera, pat = (asks(here, tokens[name]) for name in ("kim", "lee", "vera", "pat"))
    vera("POST", "/branches", {"name": "x"}, 403)
    branch = kim("POST", "/branches", {"name": "kim's"}, 201)["id"]
    assert kim("GET", f"/branches/{branch}")["author"] == "kim"
    for other in (lee, vera, pat):
        other("GET", f"/branches/{branch}", status=404)
        assert branch not in [b["id"] for b in other("GET", "/branches")["branches"]]
    kim("PUT", f"/branches/{branch}", {"is_shared": True})
    assert lee("GET", f"/branches/{branch}")["may_change"] is False
    value = {"values": [{"point": "line1/capper.speed", "value": 1.0}]}
    for other in (lee, vera, pat):
        other("POST", f"/branches/{branch}/values", value, 403)
        other("DELETE", f"/branches/{branch}", status=403)
    mine = lee("POST", "/branches", {"name": "lee's", "parent": branch}, 201)["id"]
    lee("POST", f"/branches/{mine}/values", value)
    # Who has a part of the world changes that part, and is told of no other.
    own = pat("POST", "/branches", {"name": "pat's"}, 201)["id"]
    pat("POST", f"/branches/{own}/values", value, 404)
    part = {"values": [{"point": "line1/filler.speed", "value": 2.0}]}
    pat("POST", f"/branches/{own}/values", part)
    pat("POST", f"/branches/{own}/values", {"parameters": {"demand": 1}}, 403)
    pat("POST", f"/branches/{own}/run", {}, 403)
    kim("POST", f"/branches/{branch}/values", {"values": part["values"] + value["values"]})
    rows = pat("GET", f"/branches/{branch}/diff")["rows"]
    assert [r["about"] for r in rows] == ["line1/filler"]
    pat("GET", f"/branches/{branch}/changes", status=403)
    pat("GET", f"/branches/{branch}/world/twins/line1/capper", status=404)
    pat("GET", f"/branches/{branch}/export", status=403)


def test_too_many_branches_are_refused(here: Served):
    book = room_of(here.mirror).book
    book.branches_max = len(book.entries) + 1
    try:
        here.branch("the last")
        answer = here.client.post("/api/branches", json={"name": "one more"})
        assert answer.status_code == 422 and "discard some" in answer.json()["detail"]
    finally:
        book.branches_max = 2_000


def test_nothing_of_a_discarded_branch_stays(here: Served):
    branch = here.branch("gone")
    here.ask("POST", f"/branches/{branch}/values", json={"parameters": {"a": 1}})
    folder: Path = here.directory / "branches" / branch
    assert folder.is_dir()
    here.ask("DELETE", f"/branches/{branch}")
    assert not folder.exists()
    assert here.client.get(f"/api/branches/{branch}").status_code == 404
