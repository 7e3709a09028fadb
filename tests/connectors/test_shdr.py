"""Adapters' lines: the contract over TCP, the loop against plain Python, and hostile adapters."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorworld.connectors import shdr_compiled
from mirrorworld.connectors.mtconnect import Mtconnect, MtconnectTwins, put_devices
from mirrorworld.connectors.mtconnect_devices import read_devices
from mirrorworld.connectors.shdr_lines import ADAPTER_TYPE, ShdrReader
from mirrorworld.connectors.shdr_session import Blocks
from mirrorworld.testing.connectors import (
    ConnectorContract,
    WatchingSink,
    is_live,
    running,
    until,
)
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world import quality
from mirrorworld.world.changes import Command, Severity
from mirrorworld.world.frames import rows
from mirrorworld.world.model import Scalar, Text, Twin
from mirrorworld.world.ports import LinkState, SourceConfig, SourceError

SAMPLE = Path(__file__).parent / "mtconnect"
DEVICES = SAMPLE / "Devices.xml"


def stamp(ns: int) -> str:
    whole = datetime.fromtimestamp(ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns % 1_000_000_000:09d}Z"


class Adapter:
    """A source under a test's control that speaks SHDR over TCP."""

    def __init__(self) -> None:
        self.port = 0
        self.latest = b""
        self.heard: list[bytes] = []
        self.answers_ping = True
        self._server: asyncio.Server | None = None
        self.writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        writer.write(self.latest)
        try:
            while line := await reader.readline():
                if line.startswith(b"* PING"):
                    if self.answers_ping:
                        writer.write(b"* PONG 10000\n")
                else:
                    self.heard.append(line)
        except OSError:
            pass
        finally:
            self.writers.remove(writer)
            writer.close()

    async def send(self, data: bytes) -> None:
        for writer in self.writers:
            writer.write(data)
            await writer.drain()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self.writers):
            writer.transport.abort()
        while self.writers:
            await asyncio.sleep(0.001)


class Rig:
    schemes = ("mtconnect", "mtconnects", "shdr")
    is_live = True
    unreachable_url = "shdr://127.0.0.1:9"
    bad_urls = ("shdr://", "shdr://host:99999", "shdr://host:0", "http://host", "shdr://[::1")
    bad_options: Mapping[str, Scalar] = {
        "zone": "Mars/Olympus",
        "max_points": 0,
        "max_line_kib": "big",
        "heartbeat_s": -1,
        "devices": "no/such/file.xml",
        "tls_verify": "perhaps",
    }

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Mtconnect:
        given = {"listen_s": 0.5, **(options or {})}
        where = url if url is not None else f"shdr://127.0.0.1:{self.adapter.port}"
        return Mtconnect(SourceConfig(where, name, given, username, password))

    def point(self, name: str) -> tuple[str, str]:
        return name, "Xact"

    async def emit(self, value: float, source_ns: int) -> None:
        line = f"{stamp(source_ns)}|Xact|{value}\n".encode()
        self.adapter.latest = line
        await self.adapter.send(line)

    async def vanish(self) -> None:
        await self.adapter.stop()

    async def come_back(self) -> None:
        self.adapter.latest = b""
        await self.adapter.start()

    async def received_writes(self) -> list[bytes]:
        return self.adapter.heard

    def command(self, name: str) -> Command | None:
        return None


@pytest.fixture
async def adapter() -> AsyncIterator[Adapter]:
    one = Adapter()
    await one.start()
    yield one
    await one.stop()


class TestShdr(ConnectorContract):
    @pytest.fixture
    async def rig(self, adapter: Adapter) -> Rig:
        return Rig(adapter)


# --- what lines mean ------------------------------------------------------------------------


def reader_of(
    *, devices: bool = True, is_compiled: bool = True, zone: str = "UTC"
) -> tuple[ShdrReader, MemorySink]:
    twins = MtconnectTwins("saw", 10_000)
    twins.put_type(ADAPTER_TYPE)
    twins.put(Twin("saw", ADAPTER_TYPE.id, Text.of("saw")), "", "itself")
    items = ()
    if devices:
        document = read_devices(DEVICES.read_bytes(), "saw")
        put_devices(twins, document)
        items = document.items
    reader = ShdrReader(twins, items, zone=ZoneInfo(zone), is_compiled=is_compiled)
    return reader, MemorySink("saw")


async def read(reader: ShdrReader, sink: MemorySink, *blocks: bytes) -> list[tuple[Any, ...]]:
    """(twin, point, value, quality, time) of everything, in order."""
    found: list[tuple[Any, ...]] = []
    for block in blocks:
        reader.feed(block, 1_800_000_000_000_000_000)
        frame = await reader.take(sink)
        for event in reader.observations.events():
            await sink.event(event)
        for handle, value, code, ns in rows(frame, sink.world.kinds) if frame is not None else ():
            twin, point = sink.world.point(handle)
            if dict(point.labels):
                value = dict(point.labels)[int(value or 0)] if code == 0 else None  # type: ignore[arg-type]
            if isinstance(value, np.ndarray):
                value = value.tolist()
            found.append((twin, point.name, value, code, ns))
    return found


BOTH = pytest.mark.parametrize(
    "is_compiled",
    [
        False,
        pytest.param(
            True, marks=pytest.mark.skipif(not shdr_compiled.HAS_NUMBA, reason="numba is not here")
        ),
    ],
)


@BOTH
async def test_sample_file_by_its_devices_document(is_compiled: bool) -> None:
    reader, sink = reader_of(is_compiled=is_compiled)
    got = await read(reader, sink, (SAMPLE / "saw.txt").read_bytes())
    t0 = 1_772_352_000_000_000_000  # 2026-03-01T08:00:00Z
    path = "saw/saw/controller/path"
    by_point = {(twin, point): [] for twin, point, *_ in got}
    for twin, point, value, code, ns in got:
        by_point[twin, point].append((value, code, (ns - t0) // 1_000_000))
    assert by_point["saw/saw/Axes/X", "Xact"] == [
        (0.0, 0, 100), (1.25, 0, 300), (2.5, 0, 400), (3.75, 0, 500),
    ]  # fmt: skip
    load = by_point["saw/saw/Axes/X", "Xload"]
    assert [code for _, code, _ in load] == [0, 0, quality.BAD_NO_DATA, 0]
    assert by_point[path, "pos"][1] == ([1.25, 0.0, -0.5], 0, 300)
    assert by_point["saw/saw", "wave"] == [([0.1, 0.2, -0.3, 0.4], 0, 600)]
    assert by_point["saw/saw/controller", "note"] == [("Blade is dull (42)", 0, 700)]
    assert [v for v, *_ in by_point[path, "exec"]] == ["READY", "ACTIVE", "SAFE_STOP", "READY"]
    assert [v for v, *_ in by_point[path, "prog"]] == ["CUT-40", "CUT|40"]
    assert by_point[path, "vars"] == [("a=1 b=two", 0, 1300)]
    structure = sink.world.structure
    units = {p.name: p.type.unit for t in structure.twins for p in structure.points_of(t)}
    assert (units["Xact"], units["Xload"], units["Srpm"]) == ("mm", "%", "/min")
    facts = {fact.name: fact.value for fact in structure.twins["saw/saw"].properties}
    assert facts["serialNumber"] == "4711" and facts["shdrversion"] == "2.0"
    assert "<CuttingTool" in str(structure.twins["saw/saw/assets/B-7"].property("document"))
    assert not sink.counts


@BOTH
async def test_conditions_become_events_and_are_cleared(is_compiled: bool) -> None:
    reader, sink = reader_of(is_compiled=is_compiled)
    await read(reader, sink, (SAMPLE / "saw.txt").read_bytes())
    told = [
        (e.id.rpartition("/")[2], e.is_active, e.severity) for e in sink.events if "system" in e.id
    ]
    assert told == [
        ("system", False, Severity.INFO),
        ("TEMP", True, Severity.MEDIUM),
        ("STOP", True, Severity.HIGH),
        ("TEMP", False, Severity.INFO),
        ("STOP", False, Severity.HIGH),
    ]


async def test_without_a_document_values_say_what_they_are() -> None:
    reader, sink = reader_of(devices=False)
    got = await read(
        reader,
        sink,
        b"2026-03-01T08:00:00Z|a|UNAVAILABLE|b|UNAVAILABLE|c|007",
        b"2026-03-01T08:00:01Z|a|4.5|b|ON|line2:a|1",
        b"2026-03-01T08:00:02Z|a|broken|a|5|c|8",
        b"2026-03-01T08:00:03Z|sys|FAULT|7|1|HIGH|hot",
        b"2026-03-01T08:00:04Z|m|7|door open",
        b"2026-03-01T08:00:05Z|w|3|10|1 2 3",
    )
    assert [(t, p, v) for t, p, v, c, _ in got if c == 0] == [
        ("saw", "c", "007"), ("saw", "a", 4.5), ("saw", "b", "ON"), ("saw/line2", "a", 1.0),
        ("saw", "a_text", "broken"), ("saw", "a", 5.0), ("saw", "c", "8"),
        ("saw", "m", "door open (7)"), ("saw", "w", [1.0, 2.0, 3.0]),
    ]  # fmt: skip
    held = [(p, c, ns) for _, p, _, c, ns in got if c]
    bad = quality.BAD_NO_DATA
    assert held == [("a", bad, 1772352000 * 10**9), ("b", bad, 1772352000 * 10**9)]
    (event,) = [e for e in sink.events if e.severity is Severity.HIGH]
    assert event.is_active and "hot" in event.message.best()


async def test_times_in_all_their_forms() -> None:
    reader, sink = reader_of(devices=False, zone="Europe/Berlin")
    now = 1_800_000_000_000_000_000
    got = await read(
        reader,
        sink,
        b"2026-03-01T08:00:00.123456789Z|a|1",
        b"2026-03-01T09:00:00|a|2",
        b"2026-07-01T10:00:00|a|3",  # summer time
        b"2026-03-01T08:00:00Z@5.5|a|4",
        b"|a|5",
        b"1000|a|6\n1500.25|a|7",
        b"nonsense|a|8",
        b"9999-12-31T23:59:59Z|a|9",
    )
    assert [ns for *_, ns in got] == [
        1772352000123456789, 1772352000 * 10**9, 1782892800 * 10**9, 1772352000 * 10**9, now, now,
        now + 500_250_000, now, now,
    ]  # fmt: skip
    assert sink.counts["bad_time"] == 2


_VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=6).map(str),
    st.sampled_from(
        ["", "UNAVAILABLE", "unavailable", "ON", "OFF", "READY", "ACTIVE", "1 2 3", "-0", "+.5",
         "5.", ".", "-", "1e5", "0x10", "1_0", " 7", "NaN", "é", "²", "9" * 5000,
         "a\\|b", '"q"', "NORMAL"]
    ),
    st.text(st.characters(blacklist_characters="\n\r|", blacklist_categories=("Cs",)), max_size=12),
)  # fmt: skip
_STAMPS = st.one_of(
    st.integers(10**17, 69 * 10**17).map(stamp),
    st.sampled_from(
        ["", "12", "x", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00", "2024-02-29T23:59:59.1Z",
         "2026-01-01T24:00:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567891Z",
         "2026-01-01T00:00:00+02:00", "2026-01-01T00:00:00z", "2026-01-01 00:00:00Z",
         "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "999999999999999", "2116-02-01T00:00:00Z",
         "2115-12-31T23:59:59Z", "²"]
    ),
)  # fmt: skip
_KEYS = st.sampled_from(
    ["Xact", "xload", "exec", "prog", "pos", "system", "saw:Srpm", "other", "wave", "note", ""]
)
_LINES = st.tuples(_STAMPS, st.lists(st.tuples(_KEYS, _VALUES), max_size=4)).map(
    lambda line: "|".join([line[0], *(x for pair in line[1] for x in pair)])
)


@pytest.mark.skipif(not shdr_compiled.HAS_NUMBA, reason="numba is not here")
@settings(max_examples=150, deadline=None)
@given(blocks=st.lists(st.lists(_LINES, max_size=6), max_size=4), devices=st.booleans())
async def test_loop_and_plain_python_read_the_same(blocks: list[list[str]], devices: bool) -> None:
    """Whatever an adapter sends, with a document and without."""
    results: list[Any] = []
    for is_compiled in (False, True):
        reader, sink = reader_of(devices=devices, is_compiled=is_compiled)
        got = await read(reader, sink, *("\n".join(lines).encode() for lines in blocks))
        told = [dataclasses.replace(event, source_ns=0) for event in sink.events]
        results.append((repr(got), repr(told), dict(sink.counts)))
    assert results[0] == results[1]


# --- hostile adapters -----------------------------------------------------------------------


def test_lines_without_an_end_are_bounded_and_the_next_is_read() -> None:
    blocks = Blocks(1_000)
    for _ in range(100):
        assert blocks.add(b"x" * 400) == b""
        assert len(blocks._rest) <= 1_400
    assert blocks.too_long == 1
    assert blocks.add(b"tail\nline|a|1\nnext") == b"line|a|1"
    assert blocks.add(b"|b|2\n") == b"next|b|2"


async def test_endless_line_and_flood_of_keys_over_tcp(adapter: Adapter) -> None:
    rig = Rig(adapter)
    connector = rig.connector(options={"max_line_kib": 16, "max_points": 50})
    sink = WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await until(lambda: adapter.writers, "the connection")
        for _ in range(20):
            await adapter.send(b"2026-03-01T08:00:00Z|a|" + b"9" * 40_000)
        await adapter.send(b"\n")
        flood = "".join(f"2026-03-01T08:00:01Z|k{i}|{i}\n" for i in range(500))
        await adapter.send(flood.encode())
        await adapter.send(b"\xff\xfe\x00|\xff|\xff\n||||\n|\n*\n* PONG 99999999999\n@|@|@\n")
        await adapter.send(b"2026-03-01T08:00:02Z|k1|7\n")
        await until(lambda: any(s.value == 7.0 for s in sink.samples()), "the last line")
        assert not task.done()
    assert sink.counts["shdr_line_too_long"] == 1
    assert sink.counts["over_max_points"] > 0
    assert sink.inner.world.n_points <= 50


async def test_facts_that_never_rest_do_not_fill_the_log() -> None:
    reader, sink = reader_of()
    flood = "".join(f"* description: {i}\n" for i in range(3_000))
    await read(reader, sink, flood.encode(), b"2026-03-01T08:00:00Z|Xact|1")
    assert sink.counts["shdr_facts_left_out"] == 2_000


async def test_document_without_an_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirrorworld.connectors.shdr_lines.DOCUMENT_BYTES_MAX", 10_000)
    reader, sink = reader_of(devices=False)
    head = b"2026-03-01T08:00:00Z|@ASSET@|t1|CuttingTool|--multiline--X\n"
    got = await read(reader, sink, head + b"<a>\n" * 50_000, b"--multiline--X\n|a|1\n")
    assert [v for _, _, v, _, _ in got] == [1.0]
    assert sink.counts["shdr_document_too_large"] == 1
    assert len(str(sink.world.structure.twins["saw/assets/t1"].property("document"))) < 20_000


async def test_silent_adapter_that_beat_before_is_given_up(adapter: Adapter) -> None:
    rig = Rig(adapter)
    connector = rig.connector(options={"heartbeat_s": 0.1})
    async with running(connector, WatchingSink()) as task:
        await is_live(connector, task)
        await until(lambda: adapter.writers, "the connection")
        await adapter.send(b"* PONG 100\n")
        adapter.answers_ping = False
        await adapter.send(b"* PONG 100\n")
        await until(
            lambda: connector.link.state is LinkState.LOST and "silent" in connector.link.detail,
            "the silence to be noticed",
        )


@pytest.mark.parametrize(
    "document",
    [
        b"<!DOCTYPE a [<!ENTITY x 'y'>]><MTConnectDevices>&x;</MTConnectDevices>",
        b"<html/>",
        b"<MTConnectDevices>",
        b"<a>" * 500,
        b"\x00\xff",
        b"<MTConnectDevices/>",
    ],
)
async def test_bad_devices_documents_are_refused_by_name(document: bytes, tmp_path: Path) -> None:
    path = tmp_path / "Devices.xml"
    path.write_bytes(document)
    connector = Mtconnect(SourceConfig("shdr://127.0.0.1:9", "saw", {"devices": str(path)}))
    with pytest.raises(SourceError, match="option devices"):
        await connector.run(WatchingSink())
