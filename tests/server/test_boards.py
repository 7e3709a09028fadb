"""Boards at the door: what is none is refused by place, and nobody overwrites another's work."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from mirrorworld.protocol import boards
from mirrorworld.world.model import Sheet
from tests.server.stand_in import TOKEN, Served, line, served

VALUE = {
    "@": "ValueTile", "id": "a", "x": 0, "y": 0, "w": 3, "h": 3,
    "point": {"twin": "line1/filler", "point": "level"},
}  # fmt: skip
EVERY = [
    VALUE,
    {**VALUE, "@": "GaugeTile", "id": "b", "x": 3},
    {**VALUE, "@": "StateTile", "id": "c", "x": 6, "point": {"twin": "t", "point": "mode"}},
    {"@": "TrendTile", "id": "d", "x": 0, "y": 3, "w": 12, "h": 6, "points": [VALUE["point"]]},
    {"@": "TableTile", "id": "e", "x": 0, "y": 9, "w": 6, "h": 6, "points": ["level"],
     "type": "Filler", "sort": "level", "is_descending": True},
    {"@": "AlarmsTile", "id": "f", "x": 6, "y": 9, "w": 6, "h": 6, "subtree": "line1"},
    {"@": "SceneTile", "id": "g", "x": 0, "y": 15, "w": 6, "h": 6,
     "camera": {"position": [1, 2, 3], "target": [0, 0, 0]}},
    {"@": "TextTile", "id": "h", "x": 6, "y": 15, "w": 6, "h": 2, "text": "<b>plain</b>"},
]  # fmt: skip


def body(*tiles: Any, version: Any = 1) -> str:
    return json.dumps({"version": version, "tiles": list(tiles)})


def put(text: str, name: str = "Line 1") -> dict[str, Any]:
    return {"@": "PutSheet", "sheet": {"kind": "board", "name": name, "body": text}}


@pytest.fixture
async def here() -> AsyncIterator[Served]:
    async with served(line()) as running:
        yield running


async def edits(here: Served, *edits: dict[str, Any], **more: Any) -> tuple[int, dict[str, Any]]:
    async with here.client() as client:
        answer = await client.post("/api/edits", json={"edits": edits, "reason": "test", **more})
    return answer.status_code, answer.json()


def test_every_kind_of_tile_is_read() -> None:
    board = boards.read(Sheet("board", "All of it", body(*EVERY)))
    assert [type(tile).__name__ for tile in board.tiles] == [tile["@"] for tile in EVERY]
    trend = board.tiles[3]
    assert isinstance(trend, boards.TrendTile)
    assert trend.points == (boards.PointAt("line1/filler", "level"),)


WRONG = [
    ("nothing", "not JSON"),
    ("[]", "an object was expected"),
    ('{"version":1,"script":""}', "'script' is not known"),
    (body(version=2), "version: 2; this server reads version 1"),
    ('{"version":1,"tiles":{}}', "tiles: a list was expected"),
    (body({**VALUE, "@": "IframeTile"}), "tiles[0]: '@' is 'IframeTile'; it may be ValueTile"),
    (body(VALUE, "x"), "tiles[1]: '@' is None"),
    (body({**VALUE, "onclick": "x"}), "tiles[0]: ValueTile has no 'onclick'"),
    (body({**VALUE, "x": "0"}), "tiles[0].x: expected int, got '0'"),
    (body({**VALUE, "x": True}), "tiles[0].x: expected int"),
    (body({**VALUE, "x": 10}), "tiles[0].w: 3; 1 to 2 was expected"),
    (body({**VALUE, "y": -1}), "tiles[0].y: -1"),
    (body({**VALUE, "h": 41}), "tiles[0].h: 41; 1 to 40"),
    (body({**VALUE, "id": "a b"}), "tiles[0].id"),
    (body(VALUE, VALUE), "tiles[1].id: 'a' is taken"),
    (body({**VALUE, "title": "x" * 121}), "tiles[0].title: 121 characters; at most 120"),
    (body({k: v for k, v in VALUE.items() if k != "point"}), "tiles[0]: ValueTile needs point"),
    (body({**VALUE, "point": {"twin": "", "point": "x"}}), "tiles[0].point: the id of a twin"),
    (body({**EVERY[3], "points": []}), "tiles[0].points: 0; 1 to 8"),
    (body({**EVERY[3], "span_s": 1}), "tiles[0].span_s: 1; 60 to"),
    (body({**EVERY[4], "type": ""}), "say which twins"),
    (body({**EVERY[5], "severity": 4}), "tiles[0].severity: 4"),
    (body(EVERY[6], {**EVERY[6], "id": "z"}), "one SceneTile on a board"),
    (body(EVERY[6]).replace("[1, 2, 3]", "[1, 2, NaN]"), "camera: finite metres"),
    (body(*({**VALUE, "id": f"t{i}"} for i in range(10_000))), "a board has at most"),
    (body(*({**VALUE, "id": f"t{i}"} for i in range(201))), "tiles: 201; a board has at most 200"),
    ("[" * 100_000, "not JSON"),
]


@pytest.mark.parametrize(("text", "why"), WRONG, ids=[why for _, why in WRONG])
async def test_what_is_no_board_is_refused_by_place(here: Served, text: str, why: str) -> None:
    status, problem = await edits(here, put(text))
    assert status == 422
    assert problem["detail"].startswith("board Line 1")
    assert why in problem["detail"]
    assert ("board", "Line 1") not in here.mirror.world.structure.sheets


@pytest.mark.parametrize("name", ["x" * 81, " ends", "two\nlines"])
async def test_a_name_that_no_link_carries_is_refused(here: Served, name: str) -> None:
    status, problem = await edits(here, put(body(), name))
    assert (status, "printable characters" in problem["detail"]) == (422, True)


async def test_rules_and_routes_of_alarms_pass_the_same_door(here: Served) -> None:
    for kind, why in (("rule", "applies: say for which twins"), ("notify", "email or webhook")):
        sheet = {"kind": kind, "name": "x", "body": "{}"}
        status, problem = await edits(here, {"@": "PutSheet", "sheet": sheet})
        assert (status, why in problem["detail"]) == (422, True), problem
    sheet = {"kind": "wish", "name": "x", "body": "not ours to read"}
    assert (await edits(here, {"@": "PutSheet", "sheet": sheet}))[0] == 200


async def test_the_later_does_not_overwrite_what_it_has_not_seen(here: Served) -> None:
    name = {"kind": "board", "name": "Line 1"}
    first, second, third = body(), body(VALUE), body({**VALUE, "x": 4})
    assert (await edits(here, put(first), based_on=[name]))[0] == 200
    status, problem = await edits(here, put(second), based_on=[name])
    assert (status, "is there already" in problem["detail"]) == (409, True)
    assert (await edits(here, put(second), based_on=[{**name, "body": first}]))[0] == 200
    status, problem = await edits(here, put(third), based_on=[{**name, "body": first}])
    assert (status, "changed meanwhile" in problem["detail"]) == (409, True)
    sheets = here.mirror.world.structure.sheets
    assert sheets["board", "Line 1"].body == second
    gone = {"@": "DropSheet", **name}
    assert (await edits(here, gone, based_on=[{**name, "body": second}]))[0] == 200
    status, problem = await edits(here, put(third), based_on=[{**name, "body": second}])
    assert (status, "is gone meanwhile" in problem["detail"]) == (409, True)


async def test_one_takes_back_the_very_edit_that_one_means(here: Served) -> None:
    _, first = await edits(here, put(body()))
    _, second = await edits(here, put(body(), "Other"))
    async with here.client() as client:
        answer = await client.post("/api/undo", params={"position": first["position"]})
        assert answer.status_code == 200
        assert [name for _, name in here.mirror.world.structure.sheets] == ["Other"]
        again = await client.post("/api/undo", params={"position": first["position"]})
        assert again.status_code == 404
        answer = await client.post("/api/undo", params={"position": second["position"]})
        assert answer.status_code == 200
    assert not here.mirror.world.structure.sheets


@pytest.mark.parametrize(
    ("came_from", "leads_to"),
    [
        ("{here}/?board=Line+1&kiosk=", "/?board=Line+1&kiosk="),
        ("{here}/?board=Line+1&token=wrong", "/?board=Line+1"),
        ("{here}/", "/"),
        ("", "/"),
        ("{here}/api/session", "/"),
        ("https://evil.example/?board=Line+1", "/"),
        ("{here}//evil.example/?board=x", "/?board=x"),
        ("https://[no-address", "/"),
    ],
)
async def test_who_follows_a_link_signs_in_and_is_there(
    here: Served, came_from: str, leads_to: str
) -> None:
    headers = {"Referer": came_from.format(here=here.url), "Origin": here.url}
    async with httpx.AsyncClient(base_url=here.url, headers=headers) as client:
        answer = await client.post("/api/session", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, leads_to)
