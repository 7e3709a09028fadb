"""Programs that answer with JSON: the contract, what answers mean, and hostile programs."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping

import pytest

from mirrorworld.connectors.http_json import HttpJson, retry_after_s
from mirrorworld.connectors.json_records import at
from mirrorworld.testing.connectors import (
    ConnectorContract,
    WatchingSink,
    is_live,
    running,
    until,
)
from mirrorworld.world.changes import Command, CommandState
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import LinkState, SourceConfig, SourceError
from tests.connectors.http_program import Program, answer


class Rig:
    schemes = ("http", "https")
    is_live = True
    unreachable_url = "http://127.0.0.1:9/status"
    bad_urls = ("http://", "http://host:99999", "http://host:0/", "ftp://host/", "http://a b/")
    bad_options: Mapping[str, Scalar] = {
        "period_s": 0,
        "auth": "digest",
        "points": "no-pointer",
        "items": "machines",
        "write_path": "//elsewhere/{point}",
        "write_method": "DELETE",
        "zone": "Mars/Olympus",
        "tls_verify": "perhaps",
    }

    def __init__(self) -> None:
        self.document: dict[str, object] = {}
        self.writes: list[tuple[str, str, bytes]] = []
        self.program = Program(self.reply)

    def reply(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
        if method != "GET":
            self.writes.append((method, target, body))
            return answer(status="204 No Content")
        return answer(json.dumps(self.document).encode())

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> HttpJson:
        given = {"period_s": 0.02, "write_path": "/set/{point}", **(options or {})}
        where = url if url is not None else f"http://127.0.0.1:{self.program.port}/status"
        return HttpJson(SourceConfig(where, name, given, username, password))

    def point(self, name: str) -> tuple[str, str]:
        return name, "level_mm"

    async def emit(self, value: float, source_ns: int) -> None:
        self.document = {"level_mm": value, "timestamp": source_ns // 1_000_000}

    async def vanish(self) -> None:
        await self.program.stop()

    async def come_back(self) -> None:
        await self.program.start()

    async def received_writes(self) -> list[tuple[str, str, bytes]]:
        return self.writes

    def command(self, name: str) -> Command | None:
        return Command("c1", name, "level_mm", value=7.5)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    one = Rig()
    await one.program.start()
    yield one
    await one.program.stop()


class TestHttpJson(ConnectorContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        one = Rig()
        await one.program.start()
        yield one
        await one.program.stop()


async def mirrored(rig: Rig, n: int = 1, **options: Scalar) -> WatchingSink:
    """What is mirrored of the rig's document."""
    sink = WatchingSink()
    connector = rig.connector(options=options)
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await until(lambda: len(sink.samples()) >= n, f"{n} samples")
    return sink


# --- what answers mean ----------------------------------------------------------------------


async def test_list_of_things_by_pointers(rig: Rig) -> None:
    rig.document = {
        "meta": {"at": "2026-03-01T08:00:00.25Z"},
        "machines": [
            {"id": "M/1", "t": {"value": 20.5}, "state": "run", "other": 1},
            {"id": "M2", "t": {"value": 21.5}, "state": None},
            {"t": {}},
        ],
    }
    sink = await mirrored(
        rig, 3, items="/machines", key="id", points="temp_degC=/t/value,/state", time="/meta/at"
    )
    found = {(s.twin, s.point): (s.value, s.source_ns) for s in sink.samples()}
    at_ns = 1_772_352_000_250_000_000
    assert found == {
        ("source/M/1", "temp_degC"): (20.5, at_ns),
        ("source/M/1", "state"): ("run", at_ns),
        ("source/M2", "temp_degC"): (21.5, at_ns),
    }
    assert sink.counts["json_point_missing"] > 0
    twins = sink.inner.world.structure.twins
    assert str(twins["source/M/1"].property("key")).find("M/1") > 0
    points = [p for t in twins for p in sink.inner.world.structure.points_of(t)]
    units = {p.type.unit for p in points if "temp" in p.name}
    assert units == {"Cel"}


def test_pointers() -> None:
    value = {"a/b": [{"~": 5}], "": 7}
    assert at(value, "/a~1b/0/~0") == 5
    assert at(value, "/") == 7
    for missing in ("/x", "/a~1b/1", "/a~1b/-1", "/a~1b/99999999999999", "/a~1b/0/~0/0"):
        assert at(value, missing) is None


async def test_unchanged_answers_are_not_read_again() -> None:
    def reply(method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
        if headers.get("if-none-match") == '"v1"':
            return answer(status="304 Not Modified", headers='ETag: "v1"\r\n')
        return answer(b'{"a": 1}', headers='ETag: "v1"\r\n')

    program = Program(reply)
    await program.start()
    connector = HttpJson(SourceConfig(f"http://127.0.0.1:{program.port}/", "s", {"period_s": 0.02}))
    sink = WatchingSink()
    async with running(connector, sink):
        await until(lambda: len(program.requests) >= 5, "five requests")
        assert connector.link.state is LinkState.LIVE
    await program.stop()
    assert len(sink.samples()) == 1


@pytest.mark.parametrize(
    ("username", "password", "sent"),
    [
        ("", "tok", "Bearer tok"),
        ("me", "pw", "Basic " + base64.b64encode(b"me:pw").decode()),
        ("", "", None),
    ],
)
async def test_login(rig: Rig, username: str, password: str, sent: str | None) -> None:
    rig.document = {"a": 1}
    connector = rig.connector(username=username, password=password)
    async with running(connector, WatchingSink()) as task:
        await is_live(connector, task)
    assert rig.program.requests[0][2].get("authorization") == sent


async def test_write_says_what_the_program_said(rig: Rig) -> None:
    rig.document = {"a": 1, "timestamp": 1_772_352_000}
    connector = rig.connector(
        options={"write_payload": "object", "write_method": "POST", "write_path": "/w/{point}"}
    )
    async with running(connector, sink := WatchingSink()) as task:
        await is_live(connector, task)
        await until(sink.samples, "a sample")
        told = await connector.write(Command("c", "source", "a", value=5))
        assert told.state is CommandState.SENT
        rig.program.reply = lambda *_: answer(b"no", "409 Conflict")
        told = await connector.write(Command("c", "source", "a", value=5))
        assert told.state is CommandState.FAILED and "409" in told.detail
    assert rig.writes == [("POST", "/w/a", b'{"a":5}')]


def test_retry_after() -> None:
    assert retry_after_s("120", 0) == 120
    assert retry_after_s("999999", 0) == 3_600
    assert retry_after_s("Sun, 01 Mar 2026 08:01:00 GMT", 1_772_352_000) == 60
    for nonsense in ("", "soon", "-5", "²", "9" * 50, "Sun, 99 Xyz"):
        assert retry_after_s(nonsense, 0) == 0


# --- hostile programs -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("not followed", answer(status="302 Found", headers="Location: http://127.0.0.1:1/\r\n")),
        (
            "not followed",
            answer(status="302 Found", headers="Location: http://169.254.169.254/latest\r\n"),
        ),
        ("file", answer(status="302 Found", headers="Location: file:///etc/passwd\r\n")),
        ("circle", answer(status="302 Found", headers="Location: /status\r\n")),
        ("no JSON", answer(b"<html>")),
        ("no JSON", answer(b"")),
        ("", answer(b"[" * 200_000)),
        ("compressed", answer(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n")),
        ("401", answer(status="401 Unauthorized")),
        ("500", answer(status="500 Oops")),
        ("", answer(b"{}", length=99)),
        ("", b"HTTP/9.9 what\r\n\r\n"),
        ("", b""),
    ],
)
async def test_bad_answers_are_said_and_tried_again(said: str, reply: bytes) -> None:
    program = Program(lambda *_: reply)
    await program.start()
    config = SourceConfig(f"http://127.0.0.1:{program.port}/status", "s", {"timeout_s": 1})
    connector = HttpJson(config)
    try:
        async with running(connector, sink := WatchingSink()) as task:
            await until(
                lambda: connector.link.state in (LinkState.LOST, LinkState.REFUSED), "the fault"
            )
            assert said in connector.link.detail
            assert not task.done() and not sink.samples()
        with pytest.raises(SourceError):
            await HttpJson(config).discover()
    finally:
        await program.stop()


async def test_redirect_within_the_program_is_followed(rig: Rig) -> None:
    there = answer(status="302 Found", headers="Location: /there\r\n")
    rig.program.reply = lambda method, target, *_: (
        answer(b'{"a": 1}') if target == "/there" else there
    )
    sink = await mirrored(rig)
    assert sink.samples()[0].value == 1.0


async def test_endless_and_slow_answers_are_cut_off() -> None:
    program = Program(lambda *_: b"HTTP/1.1 200 OK\r\n\r\n[")
    program.endless = b" " * 65_536
    await program.start()
    url = f"http://127.0.0.1:{program.port}/"
    with pytest.raises(SourceError, match="max_body_mib"):
        await HttpJson(SourceConfig(url, "s", {"max_body_mib": 1})).discover()
    program.endless = b""
    program.reply = lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n["
    with pytest.raises(SourceError):
        await HttpJson(SourceConfig(url, "s", {"timeout_s": 0.2})).discover()
    await program.stop()


async def test_flood_of_members_is_bounded(rig: Rig) -> None:
    rig.document = {f"k{i}": i for i in range(3_000)}
    sink = await mirrored(rig, 10, max_points=10)
    assert sink.inner.world.n_points == 10
    assert sink.counts["over_max_points"] > 0


async def test_link_local_programs_are_never_called() -> None:
    connector = HttpJson(SourceConfig("http://169.254.169.254/latest/meta-data", "s"))
    with pytest.raises(SourceError, match="secrets"):
        await connector.discover()


async def test_busy_program_is_left_alone_as_long_as_it_asks(rig: Rig) -> None:
    rig.program.reply = lambda *_: answer(
        status="503 Service Unavailable", headers="Retry-After: 60\r\n"
    )
    connector = rig.connector()
    async with running(connector, WatchingSink()):
        await until(lambda: connector.link.state is LinkState.LOST, "the fault")
        n = len(rig.program.requests)
        for _ in range(30):
            await asyncio.sleep(0.01)
        assert len(rig.program.requests) == n == 1
