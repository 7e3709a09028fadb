"""World files over REST: the world as one, a preview, bringing one in and taking it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml

from mirrorworld.app import wholes_in
from mirrorworld.exchange.routes import router
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.mirror import Mirror
from mirrorworld.live.sources import ConnectorClass
from mirrorworld.server.app import create_app
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from tests.operations.kept_world import make

TOKEN = "a-token-of-the-owner-of-this-world-0123456789"
OWNER = {"Authorization": f"Bearer {TOKEN}"}
PASSWORD = "correct horse battery staple"
SCHEMES: dict[str, ConnectorClass] = {}
FILE = """mirrorworld: 1
sources:
  other: {url: "mqtt://broker", password: "${HOME}"}
twins:
  hall:
    name: <b>Hall</b>
said:
  line/filler: {name: Filler 7, relations: {located_in: hall}}
  line/none: {name: Nothing}
arms:
  line/filler: {SpeedSetpoint: {high: 5}}
"""


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Mirror]]:
    world, record = make(tmp_path)
    accounts = Accounts(tmp_path / "accounts.db")
    guard = GrantGuard(RoleGuard(), accounts, wholes_in(world))
    mirror = Mirror(world, record, SCHEMES, guard=guard)
    await mirror.start()
    for name, grant in {"vic": Grant("viewer"), "sub": Grant("engineer", "line/filler")}.items():
        accounts.add_person(name, PASSWORD, [grant])
    app = create_app(mirror, token=TOKEN, routers=[router], accounts=accounts)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers={"X-Mirrorworld": "1"}
    ) as client:
        yield client, mirror
    await mirror.stop()
    accounts.close()


async def test_the_world_as_a_file_reads_back_to_nothing_new(
    here: tuple[httpx.AsyncClient, Mirror],
) -> None:
    client, _ = here
    found = await client.get("/api/export/world.yaml", headers=OWNER)
    assert found.headers["content-type"] == "application/yaml"
    assert 'filename="world.yaml"' in found.headers["content-disposition"]
    assert "line/filler" in str(yaml.safe_load(found.text))
    same = await client.post("/api/import/preview", json={"text": found.text}, headers=OWNER)
    assert same.status_code == 200, same.text
    assert (same.json()["total"], same.json()["rows"]) == (0, [])


async def test_a_file_is_looked_at_then_brought_in_then_taken_back(
    here: tuple[httpx.AsyncClient, Mirror],
) -> None:
    client, mirror = here
    before = mirror.world.structure.twins["line/filler"]
    position = mirror.world.position
    looked = (await client.post("/api/import/preview", json={"text": FILE}, headers=OWNER)).json()
    assert mirror.world.position == position, "a preview changes nothing"
    assert looked["total"] == 3 and looked["counts"] == {"twin": 1, "name": 1, "relation": 1}
    assert looked["rows"][0] == {
        "what": "twin", "about": "hall", "detail": "<b>Hall</b>", "verb": "new", "line": 5,
    }  # fmt: skip
    assert [left["place"] for left in looked["left"]] == [
        "line/none Nothing", "source other", "world.yaml: arms",
    ]  # fmt: skip
    done = await client.post("/api/import", json={"text": FILE, "reason": "moved"}, headers=OWNER)
    assert done.status_code == 200, done.text
    assert done.json()["changed"] == 3 and done.json()["left"] == looked["left"]
    assert mirror.world.structure.twins["line/filler"].name.best() == "Filler 7"
    assert not mirror.world.structure.arms and not mirror.sources()
    again = await client.post("/api/import", json={"text": FILE}, headers=OWNER)
    assert again.json()["changed"] == 0
    assert again.json()["position"] == str(mirror.world.position)
    undone = await client.post(f"/api/undo?position={done.json()['position']}", headers=OWNER)
    assert undone.status_code == 200, undone.text
    assert mirror.world.structure.twins["line/filler"] == before
    assert "hall" not in mirror.world.structure.twins


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mirrorworld: 1\ntwins: {a: {at: here}}", "world.yaml: line 2, column 17: a place is"),
        ("a: {" * 100_000, "nested deeper"),
        ("mirrorworld: 1\nworld: &a [*a, *a]", "anchors and aliases"),
    ],
)
async def test_a_bad_file_is_told_by_its_place(
    here: tuple[httpx.AsyncClient, Mirror], text: str, message: str
) -> None:
    client, _ = here
    for path in ("/api/import/preview", "/api/import"):
        answer = await client.post(path, json={"text": text}, headers=OWNER)
        assert answer.status_code == 422 and message in answer.json()["detail"]


async def test_only_who_may_edit_all_of_the_world_brings_one_in(
    here: tuple[httpx.AsyncClient, Mirror],
) -> None:
    client, _ = here
    for name in ("vic", "sub"):
        client.cookies.clear()
        entered = await client.post("/api/session", json={"name": name, "password": PASSWORD})
        assert entered.status_code == 204, entered.text
        for path in ("/api/import/preview", "/api/import"):
            answer = await client.post(path, json={"text": "mirrorworld: 1\ntwins: {x: {}}"})
            assert answer.status_code == 403, (name, answer.text)
        plain = yaml.safe_load((await client.get("/api/export/world.yaml")).text)
        assert "sources" not in plain
    client.cookies.clear()
    assert (await client.get("/api/export/world.yaml")).status_code == 401
