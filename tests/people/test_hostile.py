"""What a meeting does with who means it no good: it goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from mirrorworld.people import limits
from mirrorworld.people.line import WAITING_MAX, Line
from mirrorworld.people.names import plain_name, plain_text
from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.poses import Body, Pose, encode_pose
from tests.people.conftest import Meeting
from tests.people.visitor import PATIENCE_S, visiting
from tests.server.stand_in import TOKEN


@pytest.mark.parametrize("flood", ["poses", "chat", "words", "nonsense"])
async def test_who_floods_is_told_and_then_put_out_and_the_meeting_goes_on(
    here: Meeting, flood: str
):
    async with (
        visiting(here.url, "Ada") as ada,
        visiting(here.url, "Ben") as ben,
        visiting(here.url, "Mal") as mal,
    ):
        start_s = time.monotonic()
        with contextlib.suppress(ConnectionClosed):
            for i in range(20_000):
                if flood == "poses":
                    await mal.move(float(i))
                elif flood == "chat":
                    await mal.say(shapes.Say(f"buy {i}"))
                elif flood == "words":
                    await mal.stand(is_muted=bool(i % 2))
                else:
                    await mal.socket.send('{"@":"Join","nonsense":[[[[')
                if i % 50 == 0:
                    await asyncio.sleep(0)
        assert await mal.closed() == shapes.CLOSE_FLOOD
        assert any(isinstance(m, shapes.Refusal) for m in mal.heard)
        await ada.until(lambda: mal.id not in ada.people)
        # What came of it was bounded, and the others go on.
        burst, per_s = limits.ALLOWED["chat"]
        allowed = burst + per_s * (time.monotonic() - start_s) + 1
        assert sum(isinstance(m, shapes.Said) for m in ada.heard) <= allowed
        await ben.move(4.0)
        await ada.until(lambda: ada.bodies[ben.id].head.position[0] == 4.0)
        await ben.say(shapes.Say("still here"))
        await ada.told(shapes.Said, lambda m: m.text == "still here")
        counted = "invalid" if flood == "nonsense" else f"{flood}_limited"
        assert here.hub.tally[counted] > 0
        assert here.hub.tally["put_out"] == 1


async def test_bytes_that_are_no_pose_are_refused_and_change_nothing(here: Meeting):
    good = encode_pose(Body(Pose((1.0, 1.7, 0.0)), left=Pose((0, 1, 0))))
    far = struct.pack("<BBH3i4h", 1, 0, 0, 2_000_000_000, 0, 0, 0, 0, 0, 1)
    bad = [b"", b"\x01", good[:-1], good + b"\0", b"\x02" + good[1:], b"\x01\x08" + good[2:]]
    bad += [b"\x01\x00\x01\x00" + good[4:24], far, os.urandom(64), os.urandom(70_000)]
    async with visiting(here.url, "Ada") as ada, visiting(here.url, "Mal") as mal:
        await mal.socket.send(good)
        await ada.until(lambda: mal.id in ada.bodies)
        before = ada.bodies[mal.id]
        for each in bad:
            await mal.socket.send(each)
        refused = await mal.told(shapes.Refusal)
        assert "pose" in refused.detail
        await mal.stand(is_muted=True)
        await ada.until(lambda: ada.people[mal.id].is_muted)
        assert ada.bodies[mal.id] == before


async def test_messages_that_are_none_are_named(here: Meeting):
    async with visiting(here.url, "Ada") as ada:
        for text in (
            "", "null", "[]", "{}", '{"@":"Fly"}', '{"@":"Say"}', '{"@":"Say","text":7}',
            '{"@":"Signal","to":"me","kind":"","data":""}', '{"@":"Stance","follows":1e99}',
            '{"@":"Bring","to":[' + "[" * 5_000 + "]}", "\ud83d", '{"@":"Go","place":{}}',
        ):  # fmt: skip
            await ada.socket.send(text.encode("utf-8", "replace").decode())
        await ada.told(shapes.Refusal)
        await ada.say(shapes.Signal(2, "k" * 65, ""))
        await ada.say(shapes.Signal(2, "k", "x" * (shapes.SIGNAL_BYTES_MAX + 1)))
        await ada.say(shapes.Say("well"))
        assert (await ada.told(shapes.Said)).text == "well"
        assert here.hub.tally["invalid"] == 12


async def test_only_who_has_a_session_and_comes_from_this_page_gets_in(here: Meeting):
    address = here.url.replace("http", "ws", 1) + shapes.MEET_PATH
    for headers, code in (
        ({}, 4403),
        ({"Origin": here.url}, 4401),
        ({"Origin": "http://evil.example"}, 4403),
        ({"Authorization": "Bearer wrong-wrong-wrong-wrong"}, 4401),
        ({"Authorization": f"Bearer {TOKEN}", "Host": "evil.example"}, 4403),
    ):
        with contextlib.suppress(Exception):
            async with connect(address, additional_headers=headers, proxy=None) as socket:
                await socket.send(shapes.encode(shapes.Join("Mal", "m" * 16)))
                async with asyncio.timeout(PATIENCE_S):
                    await socket.wait_closed()
                assert socket.close_code == code
    assert not here.hubs


async def test_a_key_too_short_opens_nothing(here: Meeting):
    address = here.url.replace("http", "ws", 1) + shapes.MEET_PATH
    given = {"Authorization": f"Bearer {TOKEN}"}
    for first in (shapes.encode(shapes.Join("Mal", "short")), shapes.encode(shapes.Leave()), b"\1"):
        async with connect(address, additional_headers=given, proxy=None) as socket:
            await socket.send(first)
            async with asyncio.timeout(PATIENCE_S):
                await socket.wait_closed()
            assert socket.close_code in (1008, shapes.CLOSE_PUT_OUT)
    assert not here.hubs or here.hub.people == 0


def test_names_stay_names():
    assert plain_name("  Ada \n Lovelace\t", "x") == "Ada Lovelace"
    assert plain_name("\u202eevil\u2066\u200b", "x") == "evil"
    assert plain_name("\x00\x1b[31m", "x") == "[31m"
    assert plain_name("\u200e\u200b \u2028", "guest") == "guest"
    assert plain_name("Z" + "\u0335" * 50, "x") == "Z" + "\u0335" * 4
    assert plain_name("می‌روم 👩‍🔧", "x") == "می‌روم 👩‍🔧"
    assert len(plain_name("n" * 500, "x")) == shapes.NAME_MAX
    assert plain_name("<img src=x onerror=alert(1)>", "x") == "<img src=x onerror=alert(1)>"
    assert plain_text("a\nb\r\n\u202ec") == "a\nb \nc"


async def test_a_line_that_takes_nothing_is_let_go():
    closed: list[int] = []

    class Stuck:
        async def send_text(self, text: str) -> None:
            await asyncio.Event().wait()

        send_bytes = send_text

        async def close(self, code: int, reason: str) -> None:
            closed.append(code)

    line = Line(Stuck())  # pyright: ignore[reportArgumentType]
    assert line.show(b"1") and not line.show(b"2") and line.is_behind
    assert not line.show(b"whole", is_whole=True) and not line.is_behind
    for i in range(WAITING_MAX + 5):
        line.say(str(i))
    assert len(line._texts) == WAITING_MAX and line._farewell is not None
