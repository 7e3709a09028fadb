"""What goes over a connection: at once, in few pieces, and nothing more once it is cut."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, cast

import httpx
import pytest

from mirrorworld.server.corked import HELD_BYTES_MAX, Corked
from mirrorworld.server.doors import Line
from mirrorworld.server.serve import listen
from mirrorworld.trust.accounts import Identity
from tests.server.stand_in import Served, line, served


class Wire:
    """A transport that keeps what is handed to it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.pieces.append(data)

    def close(self) -> None:
        self.is_closed = True

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


def corked() -> tuple[Corked, Wire]:
    wire = Wire()
    return Corked(cast(asyncio.Transport, wire)), wire


async def test_what_is_written_in_one_turn_leaves_in_one_piece() -> None:
    transport, wire = corked()
    transport.write(b"head")
    transport.writelines([b"", b"body"])
    assert wire.pieces == []
    await asyncio.sleep(0)
    transport.write(b"next")
    await asyncio.sleep(0)
    assert wire.pieces == [b"headbody", b"next"]
    assert transport.get_extra_info("peername") == "the peername"


async def test_what_is_held_is_bounded_and_keeps_its_order() -> None:
    transport, wire = corked()
    transport.write(b"a")
    transport.write(b"b" * HELD_BYTES_MAX)
    assert [len(piece) for piece in wire.pieces] == [HELD_BYTES_MAX + 1], "handed on at once"
    transport.write(b"c")
    await asyncio.sleep(0)
    assert b"".join(wire.pieces) == b"a" + b"b" * HELD_BYTES_MAX + b"c"


async def test_what_was_written_goes_out_before_the_end() -> None:
    transport, wire = corked()
    transport.write(b"the last words")
    transport.close()
    assert wire.pieces == [b"the last words"]
    assert wire.is_closed
    await asyncio.sleep(0)
    assert wire.pieces == [b"the last words"]


def test_small_parts_do_not_wait_for_each_other() -> None:
    """asyncio turns Nagle's algorithm off where an accepted socket says that it is TCP."""
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP


async def test_a_line_that_is_cut_hears_and_says_nothing_more() -> None:
    coming: asyncio.Queue[Any] = asyncio.Queue()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    one = Line(Identity("ada", ()), send, coming.get)
    coming.put_nowait("first")
    assert await one.receive() == "first"
    waiting = asyncio.create_task(one.receive())
    await asyncio.sleep(0)
    one.cut(4401, "over")
    assert (await waiting)["type"] == "websocket.disconnect"
    coming.put_nowait("too late")
    assert (await one.receive())["type"] == "websocket.disconnect"
    await one.send("too late")
    assert sent == [{"type": "websocket.close", "code": 4401, "reason": "over"}]


async def test_a_line_whose_reader_was_cancelled_can_still_be_cut() -> None:
    one = Line(Identity("ada", ()), asyncio.Queue().put, asyncio.Queue().get)
    waiting = asyncio.create_task(one.receive())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    one.cut(4401, "over")
    assert (await one.receive())["type"] == "websocket.disconnect"


async def test_who_is_cancelled_while_the_line_is_cut_ends() -> None:
    one = Line(Identity("ada", ()), asyncio.Queue().put, asyncio.Queue().get)
    waiting = asyncio.create_task(one.receive())
    await asyncio.sleep(0)
    one.cut(4401, "over")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_edit_says_what_of_its_body_does_not_fit() -> None:
    async with served(line()) as here, here.client() as client:
        for body, kind, place in (
            (b"{}", "application/json", "edits"),
            (b'{"edits": [1]}', "application/json", "edits[0]"),
            (b'{"edits": []}', "text/plain", "Content-Type"),
            (b'{"edits": []}', "", "Content-Type"),
            (b"{", "application/json", "body"),
            (b"\xff", "application/json", "body"),
            (b"[" * 100_000, "application/json", "body"),
            (_nested(300), "application/json", "edits[0]"),
        ):
            await _refused(here, client, body, kind, place)


def _nested(depth: int) -> bytes:
    value: Any = 1
    for _ in range(depth):
        value = [{"@": "Property", "name": "p", "value": value}]
    return json.dumps({"edits": [{"@": "PutProperty", "twin": "x", "property": value[0]}]}).encode()


async def _refused(
    here: Served, client: httpx.AsyncClient, body: bytes, kind: str, place: str
) -> None:
    before = here.mirror.world.position
    answer = await client.post("/api/edits", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422, (body[:40], answer.text)
    problem = answer.json()
    assert place in problem["place"] + problem["detail"], problem
    assert here.mirror.world.position == before
