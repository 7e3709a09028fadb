"""Mappings as a page asks for them: tried, applied as one change, kept, dropped, undone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mirrorworld.live.guard import RoleGuard, principal
from mirrorworld.live.mapper import Mapper
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.server.app import create_app
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from mirrorworld.world.changes import (
    Change,
    Edits,
    Origin,
    OriginKind,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.model import Kind, PointType, Relation, Twin, TwinType
from mirrorworld.world.ports import Principal

TOKEN = "a-token-of-tests-long-enough"
PUMPS = {"where": {"id": "plant/**/P{n:int}"}, "set": {"name": "Pump {n:02}"}}


class Here:
    """A world on disk, and its owner."""

    def __init__(self, folder: Path, accounts: Accounts) -> None:
        self.folder, self.accounts = folder, accounts
        self.record = open_record(folder / "record", "w")
        world = restore(self.record)
        guard = GrantGuard(
            RoleGuard(),
            accounts,
            lambda twin: [r.target for r in world.structure.relations_from(twin)],
        )
        self.mirror = Mirror(world, self.record, {}, guard=guard)
        app = create_app(self.mirror, token=TOKEN, accounts=accounts)
        self._transport = httpx.ASGITransport(app)
        self.mapper = Mapper(self.mirror, self.author, folder / "mapping.json", settle_s=0.0)

    def author(self, by: str) -> Principal | None:
        return principal(by, "owner") if by == "owner" else None

    def client(self, token: str = TOKEN) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(
            transport=self._transport, base_url="http://127.0.0.1", headers=headers
        )

    def declare(self, *ids: str) -> None:
        """As a source does."""
        points = (PointType("temp", unit="K"), PointType("state", Kind.ENUM))
        edits = [PutTwin(Twin(each, "Thing")) for each in ids]
        body = Edits((PutType(TwinType("Thing", points=points)), *edits))
        self.mirror.pipeline.apply(Change(body, Origin(OriginKind.MEASURED, "plant"), 1, "plant"))

    def name(self, twin: str) -> str:
        return self.mirror.world.structure.twins[twin].name.best()

    async def post(self, path: str, token: str = TOKEN, **body: Any) -> httpx.Response:
        async with self.client(token) as client:
            return await client.post(f"/api/{path}", json=body)

    async def get(self, path: str, **query: str) -> Any:
        async with self.client() as client:
            return (await client.get(f"/api/{path}", params=query)).json()

    async def stop(self) -> None:
        await self.mapper.stop()
        await self.mirror.stop()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    found = Here(tmp_path, Accounts())
    await found.mirror.start()
    found.declare("plant", *(f"plant/h{i % 2}/P{i}" for i in range(12)))
    yield found
    await found.stop()


def body(plain: dict[str, Any] | None = None, **more: Any) -> str:
    return json.dumps({**(plain or PUMPS), **more})


async def test_a_preview_changes_nothing_and_is_paged(here: Here) -> None:
    at = here.mirror.world.position
    first = (await here.post("mapping/preview", body=body(), limit=5)).json()
    assert (first["twins"], first["changes"], first["left_out"], first["next"]) == (12, 12, 0, 5)
    assert first["rows"][0] == {
        "twin": "plant/h0/P0", "name": "", "what": "name", "of": "", "before": "",
        "after": "Pump 00", "note": "", "is_left_out": False,
    }  # fmt: skip
    last = (await here.post("mapping/preview", body=body(), limit=5, offset=10)).json()
    assert [row["after"] for row in last["rows"]] == ["Pump 10", "Pump 11"]
    assert last["next"] is None
    assert here.mirror.world.position == at


async def test_it_is_one_change_of_its_author_and_one_undo(here: Here) -> None:
    told = {"name": "Pump {n}", "points": [{"name": "temp", "unit": "Cel"}]}
    done = await here.post("mapping", body=body(PUMPS | {"set": told}), name="pumps")
    assert done.status_code == 200, done.text
    assert done.json()["changes"] == 24
    change = here.mirror.world.recent()[-1]
    assert (change.origin.by, str(change.position)) == ("owner", done.json()["position"])
    assert here.name("plant/h1/P11") == "Pump 11"
    said = await here.get("said", twin="plant/h1/P11")
    assert [(s["what"], s["by"], s["reason"]) for s in said["said"]] == [
        ("PutName", "owner", "mapping pumps"),
        ("PutPointAbout", "owner", "mapping pumps"),
    ]
    assert said["said"][1]["source"]["unit"] == "K"
    assert (await here.post("undo")).status_code == 200
    assert here.name("plant/h1/P11") == ""
    assert (await here.get("mapping"))["mappings"] == []


async def test_a_kept_mapping_is_seen_applied_again_and_dropped(here: Here) -> None:
    await here.post("mapping", body=body(), name="pumps")
    assert [m["name"] for m in (await here.get("mapping"))["mappings"]] == ["pumps"]
    here.declare("plant/h3/P77")
    assert (await here.post("mapping/pumps/apply")).json()["changes"] == 1
    assert here.name("plant/h3/P77") == "Pump 77"
    async with here.client() as client:
        assert (await client.delete("/api/mapping/pumps")).status_code == 200
        missing = await client.delete("/api/mapping/pumps")
    assert missing.status_code == 404
    assert here.name("plant/h3/P77") == "Pump 77"


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"body": "{"}, "not JSON"),
        ({"body": body({"where": {"id": "*{n}"}, "set": {"name": "x"}})}, "side by side"),
        ({"body": body(), "name": "no such/name"}, "letters, digits"),
        ({"body": body(new_twins=True)}, "has to be kept"),
        ({"body": body(), "limit": 0, "preview": True}, "rows"),
        ({"body": body(), "limit": 10**9, "preview": True}, "rows"),
        ({"body": body(), "offset": -1, "preview": True}, "rows"),
    ],
)
async def test_bad_requests_are_named(here: Here, request_: dict[str, Any], why: str) -> None:
    path = "mapping/preview" if request_.pop("preview", False) else "mapping"
    answer = await here.post(path, **request_)
    assert answer.status_code == 422
    assert why in answer.json()["detail"]
    assert here.name("plant/h1/P11") == ""


async def test_a_sheet_that_is_no_mapping_is_not_kept(here: Here) -> None:
    put = {"@": "PutSheet", "sheet": {"kind": "mapping", "name": "x", "body": "{}"}}
    assert (await here.post("edits", edits=[put])).status_code == 422


async def test_a_unit_that_is_none_and_a_ring_are_refused(here: Here) -> None:
    about = {"@": "PutPointAbout", "twin": "plant/h1/P1", "point": "temp", "unit": "mBar"}
    answer = await here.post("edits", edits=[about])
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        "plant/h1/P1.temp: unit 'mBar' is not UCUM; did you mean 'mbar'?"
    )
    parts = [
        {"@": "PutRelation", "relation": {"kind": "part_of", "source": a, "target": b}}
        for a, b in (("plant/h1/P1", "plant"), ("plant", "plant/h1/P1"))
    ]
    assert (await here.post("edits", edits=parts[:1])).status_code == 200
    answer = await here.post("edits", edits=parts[1:])
    assert answer.status_code == 422
    assert "plant part of plant/h1/P1 part of plant" in answer.json()["detail"]


async def test_roles_and_parts_bound_it(here: Here) -> None:
    here.accounts.add_person("vera", "a-long-enough-word-1", (Grant("viewer"),), by="t")
    here.accounts.add_person(
        "egon", "a-long-enough-word-2", (Grant("engineer", "plant/h1"),), by="t"
    )
    tokens = {
        name: here.accounts.make_token(name, "t", grants, lasts_s=600, by=name)
        for name, grants in (
            ("vera", (Grant("viewer"),)),
            ("egon", (Grant("engineer", "plant/h1"),)),
        )
    }
    tried = await here.post("mapping/preview", tokens["egon"], body=body())
    assert tried.json()["twins"] == 6, "those of h1"
    assert (await here.post("mapping", tokens["egon"], body=body())).json()["changes"] == 6
    assert (here.name("plant/h1/P1"), here.name("plant/h0/P0")) == ("Pump 01", "")
    kept = await here.post("mapping", tokens["egon"], body=body(), name="pumps")
    assert kept.status_code == 403, "what is kept is of the whole world"
    assert (await here.post("mapping", tokens["vera"], body=body())).json().get("changes", 0) == 0
    assert here.name("plant/h0/P0") == ""


# --- twins that come later ---


async def until(here: Here, twin: str, name: str) -> None:
    while here.name(twin) != name:
        await asyncio.sleep(0.01)


async def test_twins_that_come_later_are_mapped_by_themselves(here: Here) -> None:
    here.mapper.start()
    told = {**PUMPS["set"], "relations": [{"kind": "part_of", "to": "plant/h9"}]}
    await here.post("mapping", body=body(PUMPS | {"set": told}, new_twins=True), name="pumps")
    await here.post("mapping/preview", body=body())
    here.declare("plant/h3/P20", "plant/h3/Q1")
    await until(here, "plant/h3/P20", "Pump 20")
    assert here.name("plant/h3/Q1") == ""
    change = here.mirror.world.recent()[-1]
    assert (change.origin.by, change.body.reason) == ("owner", "mapping pumps")  # pyright: ignore
    here.declare("plant/h9", "plant/h3/P21")
    await until(here, "plant/h3/P21", "Pump 21")
    parts = {r.source for r in here.mirror.world.structure.relations_to("plant/h9")}
    assert parts >= {"plant/h3/P20", "plant/h3/P21"}, "what waited for its whole has it"


async def test_what_a_person_said_is_left_alone_later(here: Here) -> None:
    here.mapper.start()
    await here.post("mapping", body=body(new_twins=True), name="pumps")
    edit = {"@": "PutName", "twin": "plant/h0/P0", "name": {"": "Ada's"}}
    await here.post("edits", edits=[edit])
    here.declare("plant/h0/P0", "plant/h3/P20")
    await until(here, "plant/h3/P20", "Pump 20")
    assert here.name("plant/h0/P0") == "Ada's"


async def test_it_goes_on_after_a_restart_but_only_for_who_is_known(tmp_path: Path) -> None:
    first = Here(tmp_path, Accounts())
    await first.mirror.start()
    first.mapper.start()
    first.declare("plant", "plant/h1/P1")
    await first.post("mapping", body=body(new_twins=True), name="pumps")
    await first.mapper.stop()
    first.declare("plant/h1/P2")  # while nobody watched
    await first.stop()
    second = Here(tmp_path, Accounts())
    await second.mirror.start()
    second.mapper.start()
    await until(second, "plant/h1/P2", "Pump 02")
    await second.stop()
    (tmp_path / "mapping.json").unlink()
    third = Here(tmp_path, Accounts())
    await third.mirror.start()
    third.mapper.start()
    third.declare("plant/h1/P3")
    await third.mapper._look()
    assert third.name("plant/h1/P3") == "", "nobody knows in whose name"
    await third.stop()


async def test_an_ended_relation_is_seen_as_said(here: Here) -> None:
    relation = Relation("part_of", "plant/h1/P1", "plant")
    put = Edits((PutRelation(relation),))
    source = Origin(OriginKind.MEASURED, "plant")
    here.mirror.pipeline.apply(Change(put, source, 1, "plant"))
    drop = {"@": "DropRelation", "kind": "part_of", "source": "plant/h1/P1", "target": "plant"}
    await here.post("edits", edits=[drop], reason="moved")
    here.mirror.pipeline.apply(Change(put, source, 2, "plant"))
    assert not here.mirror.world.structure.relations
    (row,) = (await here.get("said", twin="plant/h1/P1"))["said"]
    assert (row["what"], row["by"], row["reason"]) == ("DropRelation", "owner", "moved")
