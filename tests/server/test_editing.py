"""Edits over a socket: in order, each answered when durable, and bad ones do not stop the rest."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from mirrorworld.server import editing
from tests.server.stand_in import TOKEN, Served, line, served


@pytest.fixture
async def here() -> AsyncIterator[Served]:
    async with served(line()) as running:
        yield running


def socket_of(here: Served, token: str = TOKEN) -> connect:
    return connect(
        f"ws://{here.host}{editing.PATH}",
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
    )


def put(number: int, twin: str, value: Any) -> str:
    edit = {"@": "PutProperty", "twin": twin, "property": {"name": "note", "value": value}}
    return json.dumps({"id": number, "edits": [edit], "reason": "test"})


async def answers(socket: ClientConnection, n: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < n:
        found += json.loads(await socket.recv())
    return found


async def test_many_are_made_in_order_without_waiting(here: Served) -> None:
    world = here.mirror.world
    twin = next(iter(world.structure.twins))
    before = world.position.sequence
    async with socket_of(here) as socket:
        for number in range(3_000):  # more than may be open at once
            await socket.send(put(number, twin, number))
        found = await answers(socket, 3_000)
    assert [one["id"] for one in found] == list(range(3_000))
    positions = [int(one["position"].split(":")[1]) for one in found]
    assert positions == list(range(before + 1, before + 3_001)), "each is a change of its own"
    known = world.structure.twins[twin].property("note")
    assert known is not None
    assert known.value == 2_999


async def test_what_is_refused_is_said_and_the_rest_goes_on(here: Served) -> None:
    world = here.mirror.world
    twin = next(iter(world.structure.twins))
    async with socket_of(here) as socket:
        for text in (
            put(1, "no/such/twin", 1),
            "no JSON",
            json.dumps({"id": 3, "edits": []}),
            json.dumps({"id": 4, "edits": [{"@": "PutNothing"}]}),
            put(5, twin, "kept"),
            b"\xff\xfe",
        ):
            await socket.send(text)
        found = await answers(socket, 6)
        here.mirror.is_disk_full = True
        await socket.send(put(7, twin, "not kept"))
        found += await answers(socket, 1)
    assert [one["id"] for one in found] == [1, -1, 3, 4, 5, -1, 7]
    assert [bool(one.get("problem")) for one in found] == [1, 1, 1, 1, 0, 1, 1]
    assert "no/such/twin" in found[0]["problem"]["detail"]
    assert found[2]["problem"]["mend"]
    assert "no space left" in found[6]["problem"]["detail"]
    known = world.structure.twins[twin].property("note")
    assert known is not None
    assert known.value == "kept"


async def test_strangers_edit_nothing(here: Served) -> None:
    async with socket_of(here, "wrong") as socket:
        with pytest.raises(Exception, match="4401"):
            await socket.recv()
