"""Agents over HTTP: the contract, gaps, restarts without loss or doubles, and hostile agents.

The agent is our own (`testing/mtconnect_agent.py`): none of the package registries has one that
runs on a present Python or Node.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorworld.connectors import guesses
from mirrorworld.connectors.mtconnect import Mtconnect
from mirrorworld.connectors.mtconnect_agent import _times
from mirrorworld.connectors.mtconnect_multipart import BadMultipart, Multipart, boundary_of
from mirrorworld.connectors.mtconnect_streams import Observed, read_streams
from mirrorworld.connectors.mtconnect_xml import BadXml
from mirrorworld.testing.connectors import (
    ConnectorContract,
    WatchingSink,
    is_live,
    running,
    until,
)
from mirrorworld.testing.mtconnect_agent import TestAgent as Agent
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world import quality
from mirrorworld.world.changes import Command, Severity
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import LinkState, SourceConfig, SourceError

DEVICES = (Path(__file__).parent / "mtconnect" / "Devices.xml").read_bytes()
T0 = "2026-03-01T08:00:00.5Z"


def stamp(ns: int) -> str:
    whole = datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns % 1_000_000_000:09d}Z"


class Rig:
    schemes = ("mtconnect", "mtconnects", "shdr")
    is_live = True
    unreachable_url = "mtconnect://127.0.0.1:9"
    bad_urls = ("mtconnect://", "mtconnect://host:99999", "mtconnect://h:0", "ftp://host")
    bad_options: Mapping[str, Scalar] = {
        "interval_ms": -1,
        "count": 0,
        "timeout_s": "long",
        "max_document_mib": 0,
    }

    def __init__(self, agent: Agent, port: int) -> None:
        self.agent, self.port = agent, port

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
        state_dir: Path | None = None,
    ) -> Mtconnect:
        given = {"interval_ms": 10, **(options or {})}
        where = url if url is not None else f"mtconnect://127.0.0.1:{self.port}"
        return Mtconnect(SourceConfig(where, name, given, username, password, state_dir))

    def point(self, name: str) -> tuple[str, str]:
        return f"{name}/saw/Axes/X", "Xact"

    async def emit(self, value: float, source_ns: int) -> None:
        self.agent.observe("xpos", str(value), stamp(source_ns))

    async def vanish(self) -> None:
        await self.agent.stop()

    async def come_back(self) -> None:
        await self.agent.start(self.port)

    async def received_writes(self) -> list[str]:
        return [line for line in self.agent.requests if not line.startswith("GET ")]

    def command(self, name: str) -> Command | None:
        return None


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    agent = Agent(DEVICES, buffer=200)
    await agent.start()
    one = Rig(agent, agent.port)
    yield one
    await one.agent.stop()


class TestAgentContract(ConnectorContract):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[Rig]:
        agent = Agent(DEVICES)
        await agent.start()
        yield Rig(agent, agent.port)
        await agent.stop()


# --- what observations mean -----------------------------------------------------------------


async def test_every_category(rig: Rig) -> None:
    agent, sink = rig.agent, WatchingSink()
    connector = rig.connector(name="m")
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for item, value in (
            ("xpos", "1.25"), ("xload", "UNAVAILABLE"), ("exec", "ACTIVE"), ("exec", "SAFE_STOP"),
            ("prog", "<b>&amp;"), ("parts", "3"), ("pos", "1 2 -3.5"), ("wave", "0.5 0.25"),
            ("sys", "FAULT|STOP|Emergency <stop>"), ("sys", "NORMAL"), ("cs", "twelve"),
        ):  # fmt: skip
            agent.observe(item, value, T0)
        agent.observe("cs", "1", T0)
        await until(lambda: any(s.point == "Srpm" and s.value == 1.0 for s in sink.samples()), "1")
        await until(lambda: len(sink.events) >= 4, "both conditions")
    now = {(s.twin, s.point): s for s in sink.samples()}
    assert now["m/saw/Axes/X", "Xact"].value == 1.25
    assert now["m/saw/Axes/X", "Xload"].quality == quality.BAD_NO_DATA
    execution = sink.inner.world.structure.points_of("m/saw/controller/path")[0].type
    assert dict(execution.labels)[int(now["m/saw/controller/path", "exec"].value or 0)] == (
        "SAFE_STOP"
    )
    assert now["m/saw/controller/path", "prog"].value == "<b>&amp;"
    assert now["m/saw/controller/path", "parts"].value == 3.0
    assert "3.5" in str(now["m/saw/controller/path", "pos"].value)
    assert sink.counts["mtconnect_not_a_number"] == 1
    told = [(e.is_active, e.severity) for e in sink.events if "STOP" in e.id]
    assert told == [(True, Severity.HIGH), (False, Severity.HIGH)]
    types = sink.inner.world.structure.types
    assert {"mtconnect:Device", "mtconnect:Linear", "mtconnect:Path"} <= set(types)


async def test_only_one_device(rig: Rig) -> None:
    connector = rig.connector(options={"device": "saw"})
    async with running(connector, WatchingSink()) as task:
        await is_live(connector, task)
    assert all(" /saw/" in line for line in rig.agent.requests)


# --- nothing lost, nothing twice ------------------------------------------------------------


def values(sink: WatchingSink) -> list[object]:
    found = [s.value for s in sink.samples() if s.point == "Xact" and s.quality == 0]
    return found


async def test_connection_lost_in_between_loses_nothing(rig: Rig) -> None:
    sink = WatchingSink()
    connector = rig.connector()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for i in range(20):
            rig.agent.observe("xpos", str(i), T0)
        await until(lambda: 5.0 in values(sink), "some")
        await rig.vanish()
        await until(lambda: connector.link.state is LinkState.LOST, "the loss")
        for i in range(20, 60):
            rig.agent.observe("xpos", str(i), T0)
        await rig.come_back()
        await until(lambda: 59.0 in values(sink), "the rest")
    assert values(sink) == [float(i) for i in range(60)]
    assert "mtconnect_missed" not in sink.counts


class Killed(BaseException):
    """Stands for a kill at the worst moment."""


@pytest.mark.parametrize("when", ["before_push", "after_push", "after_durable"])
async def test_restart_at_the_worst_moment_doubles_nothing(
    rig: Rig, tmp_path: Path, when: str
) -> None:
    """The mirror ends at each step of handing over; the next one goes on where the record is."""
    inner = MemorySink("source")

    class Ending(WatchingSink):
        n = 0

        async def push(self, frame, **numbers):  # type: ignore[no-untyped-def]
            self.n += 1
            if self.n == 3 and when == "before_push":
                raise Killed
            return await super().push(frame, **numbers)

        async def durable(self, ticket: int) -> None:
            if self.n == 3 and when == "after_push":
                raise Killed
            await super().durable(ticket)
            if self.n == 3 and when == "after_durable":
                raise Killed

    first = rig.connector(state_dir=tmp_path)
    task = asyncio.create_task(first.run(sink := Ending(inner)))
    i = 0
    while not task.done():
        rig.agent.observe("xpos", str(i), stamp(1_772_352_000_000_000_000 + i * 10**7))
        i += 1
        await asyncio.sleep(0.005)
    with contextlib.suppress(Killed):
        task.result()
    for _ in range(10):
        rig.agent.observe("xpos", str(i), stamp(1_772_352_000_000_000_000 + i * 10**7))
        i += 1
    again = rig.connector(state_dir=tmp_path)
    async with running(again, sink := WatchingSink(inner)) as task:
        await is_live(again, task)
        await until(lambda: float(i - 1) in values(sink), "the rest")
    kept: list[float] = []
    handle = int(inner.world.handles([rig.point("source")])[0])
    for frame in inner.frames:
        mine = frame.take((frame.point == handle) & (frame.quality == 0))
        kept += mine.cell.view("f8").tolist()
    assert kept == sorted(set(kept)), "doubled or out of order"
    assert kept[-1] == i - 1 and len(kept) >= i - kept[0]


async def test_overrun_buffer_is_told(rig: Rig, tmp_path: Path) -> None:
    sink = WatchingSink()
    connector = rig.connector(state_dir=tmp_path)
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.vanish()
        await until(lambda: connector.link.state is LinkState.LOST, "the loss")
        for i in range(500):  # the buffer holds 200
            rig.agent.observe("xpos", str(i), T0)
        await rig.come_back()
        await until(lambda: 499.0 in values(sink), "the latest")
        await until(lambda: any(e.kind == "gap" for e in sink.events), "the gap")
    assert sink.counts["mtconnect_missed"] >= 290


async def test_agent_that_begins_anew_is_told(rig: Rig) -> None:
    sink = WatchingSink()
    connector = rig.connector()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.vanish()
        await until(lambda: connector.link.state is LinkState.LOST, "the loss")
        rig.agent = Agent(DEVICES, instance=99)
        await rig.come_back()
        rig.agent.observe("xpos", "77", T0)
        await until(lambda: 77.0 in values(sink), "the new agent's value")
    assert any(e.kind == "gap" and "anew" in e.message.best() for e in sink.events)


async def test_items_that_come_later_are_probed_again(rig: Rig) -> None:
    sink = WatchingSink()
    connector = rig.connector()
    more = DEVICES.replace(
        b'<DataItem id="xload"',
        b'<DataItem id="xt" name="Xtemp" category="SAMPLE" type="TEMPERATURE" units="CELSIUS"/>'
        b'<DataItem id="xload"',
    )
    async with running(connector, sink) as task:
        await is_live(connector, task)
        later = Agent(more)
        rig.agent.devices, rig.agent.items = later.devices, later.items
        rig.agent.observe("xt", "41.5", T0)
        await until(lambda: any(s.value == 41.5 for s in sink.samples()), "the new item")
        n = len(rig.agent.requests)
        rig.agent.items["ghost"] = rig.agent.items["xt"]  # never described
        for i in range(5):
            rig.agent.observe("ghost", "1", T0)
            rig.agent.observe("xpos", str(i), T0)
            await until(lambda i=i: float(i) in values(sink), "what is described")
    assert sum("probe" in line for line in rig.agent.requests[n:]) == 1
    assert sink.counts["mtconnect_unknown_item"] == 5


# --- hostile agents -------------------------------------------------------------------------

BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a "aaaaaaaaaa">'
    b'<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><MTConnectDevices>&b;</MTConnectDevices>'
)
FILE = b'<!DOCTYPE z [<!ENTITY f SYSTEM "file:///etc/passwd">]><MTConnectDevices>&f;</MTConnectDevices>'


class Hostile:
    """Answers every request with the same bytes."""

    def __init__(self, answer: bytes, *, endless: bytes = b"") -> None:
        self.answer, self.endless = answer, endless
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answer)
            await writer.drain()
            while self.endless:
                writer.write(self.endless)
                await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


def http(body: bytes, *, status: str = "200 OK", extra: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 %s\r\nContent-Length: %d\r\nContent-Type: text/xml\r\n%s\r\n%s"
        % (status.encode(), len(body), extra, body)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http(BOMB), "document type"),
        (http(FILE), "document type"),
        (http(b"<a>" * 100_000), "too deep"),
        (http(b"<html>hello</html>"), "not MTConnectDevices"),
        (http(b"x", status="500 Oops"), "500"),
        (
            http(b"", status="302 Found", extra=b"Location: http://169.254.169.254/\r\n"),
            "elsewhere",
        ),
        (http(b"\x1f\x8b", extra=b"Content-Encoding: gzip\r\n"), "compressed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n<a/>", ""),
        (b"nonsense\r\n\r\n", ""),
        (b"", ""),
    ],
)
async def test_bad_answers_are_said_and_tried_again(answer: bytes, said: str) -> None:
    async with Hostile(answer).listening() as port:
        connector = Mtconnect(SourceConfig(f"mtconnect://127.0.0.1:{port}", "m"))
        async with running(connector, WatchingSink()) as task:
            await until(lambda: connector.link.state is LinkState.LOST, "the fault")
            assert said in connector.link.detail
            assert not task.done()
        with pytest.raises(SourceError):
            await connector.discover()


async def test_endless_document_is_cut_off() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n<MTConnectDevices>"
    async with Hostile(head, endless=b" " * 65536).listening() as port:
        options = {"max_document_mib": 1}
        connector = Mtconnect(SourceConfig(f"mtconnect://127.0.0.1:{port}", "m", options))
        with pytest.raises(SourceError, match="max_document_mib"):
            await connector.discover()


async def test_link_local_agents_are_never_called() -> None:
    connector = Mtconnect(SourceConfig("mtconnect://169.254.169.254:80", "m"))
    with pytest.raises(SourceError, match="secrets"):
        await connector.discover()


def part(body: bytes, length: object) -> bytes:
    return b"--b\r\nContent-length: %s\r\n\r\n%s\r\n" % (str(length).encode(), body)


@pytest.mark.parametrize(
    "stream",
    [
        part(b"abc", 2) + part(b"abc", 3),
        part(b"abc", -1),
        part(b"abc", "9" * 30),
        part(b"abc", 10_000_000),
        b"--b\r\n" + b"X: y\r\n" * 5_000,
        b"x" * 20_000,
        b"--b\r\nContent-type: text/xml\r\n\r\n" + b"y" * 200_000,
    ],
)
def test_multipart_lies_end_the_stream(stream: bytes) -> None:
    parts = Multipart("b", 100_000)
    with pytest.raises(BadMultipart):
        for i in range(0, len(stream), 1_000):
            parts.feed(stream[i : i + 1_000])
        parts.feed(b"\r\n")


@given(
    bodies=st.lists(st.binary(max_size=60).filter(lambda b: b"--b" not in b), max_size=5),
    cuts=st.lists(st.integers(1, 40), max_size=60),
    says_length=st.booleans(),
)
def test_multipart_in_any_pieces(bodies: list[bytes], cuts: list[int], says_length: bool) -> None:
    stream = b"".join(
        part(body, len(body)) if says_length else b"--b\r\nContent-type: x\r\n\r\n" + body + b"\r\n"
        for body in bodies
    )
    stream += b"--b--\r\n"
    parts, found, at = Multipart("b", 1_000), [], 0
    for cut in [*cuts, len(stream)]:
        found += parts.feed(stream[at : at + cut])
        at += cut
    assert found == bodies
    assert boundary_of('multipart/x-mixed-replace; boundary="b"') == "b"


@pytest.mark.parametrize(
    "document",
    [b"", b"<a/>", b"<MTConnectStreams><Header nextSequence='x'/></MTConnectStreams>", BOMB],
)
def test_bad_streams_are_refused(document: bytes) -> None:
    with pytest.raises(BadXml):
        read_streams(document)


_STAMPS = st.one_of(
    st.integers(0, 4 * 10**18).map(stamp),
    st.sampled_from(
        [T0, "", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+02:00", "2026-01-01T23:59:60Z",
         "2026-01-01T00:00:00", "0000-01-01T00:00:00Z",
         "9999-01-01T00:00:00Z", "2190-01-01T00:00:00Z", "2026-01-01T00:00:00.1234567891Z"]
    ),
)  # fmt: skip


@given(st.lists(_STAMPS, max_size=5))
def test_times_at_once_are_those_one_by_one(stamps: list[str]) -> None:
    one_by_one = [guesses.iso_ns(text) for text in stamps]
    at_once = _times([Observed(i, "x", text, "") for i, text in enumerate(stamps)])
    far = 1 << 62
    assert at_once == [guesses.NO_TIME if ns is None or abs(ns) >= far else ns for ns in one_by_one]


async def test_times_beyond_all_clocks_are_counted(rig: Rig) -> None:
    sink = WatchingSink()
    connector = rig.connector()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for when in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "soon"):
            rig.agent.observe("xpos", "1", when)
        rig.agent.observe("xpos", "2", T0)
        await until(lambda: 2.0 in values(sink), "the next")
    assert sink.counts["bad_time"] == 3 and values(sink) == [2.0]
