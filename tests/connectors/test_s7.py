"""S7 against python-snap7's server in a process of its own: contract, addresses, values, writes."""

from __future__ import annotations

import asyncio
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mirrorworld.connectors.register_map import Wrong
from mirrorworld.connectors.s7 import S7, read_field
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
from tests.conftest import unused_port
from tests.connectors.modbus_peer import device_of_bytes
from tests.connectors.opcua_peer import NodeOpcua

pytestmark = pytest.mark.peer

BAD_CONFIGURATION = 0x8089_0000


class Snap7Server(NodeOpcua):
    """The server of tests/connectors/s7_server.py."""

    def __init__(self) -> None:
        super().__init__(sys.executable, Path(__file__).parent, Path())
        self.script = Path(__file__).parent / "s7_server.py"
        self.port = unused_port()

    @property
    def url(self) -> str:
        return f"s7://127.0.0.1:{self.port}/0/1"

    def start(self, **more: Any) -> Snap7Server:
        self._process = subprocess.Popen(
            [self.node, str(self.script), str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._answer().get("ready"), "the S7 server did not start"
        return self

    def put(self, at: int, raw: bytes, db: int | str = 1) -> None:
        self.ask("put", db=db, at=at, hex=raw.hex())


@pytest.fixture(scope="module")
def server() -> Iterator[Snap7Server]:
    peer = Snap7Server().start()
    yield peer
    peer.kill()


@pytest.fixture
def plc(server: Snap7Server) -> Snap7Server:
    if not server.is_running:
        server.start()
    server.ask("clear")
    return server


class S7Rig:
    schemes = ("s7",)
    is_live = True
    has_source_time = False
    bad_urls = ("s7://", "s7://host:notaport", "s7://ho st/0/1", "s7://host/9", "http://host/0/1")
    bad_options: Mapping[str, Scalar] = {
        "map": "/no/such/map.yaml",
        "period_ms": 1,
        "connection": "wire",
        "timeout_s": "long",
    }

    def __init__(self, plc: Snap7Server, path: Path, free_port: int) -> None:
        self.plc, self.path = plc, path
        path.write_text(
            "defaults: {period_ms: 50}\n"
            "twins:\n"
            "  oven:\n"
            "    points:\n"
            "      temperature: {address: DB1.DBD4, type: REAL, unit: Cel}\n"
            "      setpoint: {address: DB1.DBD8, type: REAL, unit: Cel, writable: true}\n"
        )
        self.unreachable_url = f"s7://127.0.0.1:{free_port}/0/1"

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> S7:
        given = {"map": str(self.path), **(options or {})}
        return S7(SourceConfig(url or self.plc.url, name, given, username, password))

    def point(self, name: str) -> tuple[str, str]:
        return f"{name}/oven", "temperature"

    async def emit(self, value: float, source_ns: int) -> None:
        await asyncio.to_thread(self.plc.put, 4, struct.pack(">f", value))

    async def vanish(self) -> None:
        self.plc.kill()

    async def come_back(self) -> None:
        await asyncio.to_thread(self.plc.start)

    async def received_writes(self) -> Sequence[object]:
        if not self.plc.is_running:
            return []
        return (await self.plc.asked("written"))["written"]

    def command(self, name: str) -> Command | None:
        return Command("c1", f"{name}/oven", "setpoint", value=180.0)


class TestS7(ConnectorContract):
    @pytest.fixture
    def rig(self, plc: Snap7Server, tmp_path: Path, free_port) -> S7Rig:
        return S7Rig(plc, tmp_path / "map.yaml", free_port())


@asynccontextmanager
async def mirrored(plc: Snap7Server, path: Path, text: str) -> AsyncIterator[tuple[S7, Any]]:
    path.write_text(text)
    connector = S7(SourceConfig(plc.url, "plc", {"map": str(path), "period_ms": 50}))
    sink = WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        yield connector, sink


def now(sink: WatchingSink, point: str) -> tuple[Any, int]:
    world = sink.inner.world
    handles = world.handles([("plc", point)])
    return world.value(int(handles[0])), int(world.read(handles).quality[0])


async def is_so(sink: WatchingSink, point: str, value: Any, quality: int = 0) -> None:
    await until(
        lambda: now(sink, point) == (value, quality),
        f"{point} to be {value!r}; it is {now(sink, point)}",
    )


ALL = """
points:
  bool: {address: DB1.DBX0.3}
  byte: {address: DB1.DBB1}
  sint: {address: DB1.DBB2, type: SINT}
  word: {address: DB1.DBW4}
  int: {address: DB1.DBW6, type: INT, scale: 0.1, unit: bar}
  dword: {address: DB1.DBD8}
  dint: {address: DB1.DBD12, type: DINT}
  real: {address: DB1.DBD16, type: REAL}
  lreal: {address: DB1.DBX20.0, type: LREAL}
  lint: {address: DB1.DBB28, type: LINT}
  time: {address: DB1.DBD36, type: TIME, unit: ms}
  name: {address: DB1.DBB40, type: STRING, length: 20}
  letter: {address: DB1.DBB70, type: CHAR}
  flag: {address: M10.7}
  input: {address: EW2, type: INT}
"""


async def test_every_type_is_read_as_it_was_put(plc: Snap7Server, tmp_path: Path):
    plc.put(0, bytes([0b1000, 200, 0x100 - 5]))
    plc.put(4, struct.pack(">Hhli", 0xBEEF, -123, 70_000, -70_000))
    plc.put(16, struct.pack(">fdqi", -2.5, 12345.6789, -(2**62), 90_000))
    plc.put(40, bytes([20, 4]) + "Oven".encode("latin-1"))
    plc.put(70, b"K")
    plc.put(10, bytes([0x80]), "M")
    plc.put(2, struct.pack(">h", -7), "I")
    async with mirrored(plc, tmp_path / "map.yaml", ALL) as (_, sink):
        for point, value in {
            "bool": True, "byte": 200, "sint": -5, "word": 0xBEEF, "int": -12.3, "dword": 70_000,
            "dint": -70_000, "real": -2.5, "lreal": 12345.6789, "lint": -(2**62), "time": 90_000,
            "name": "Oven", "letter": "K", "flag": True, "input": -7,
        }.items():  # fmt: skip
            await is_so(sink, point, value)


async def test_what_is_not_in_a_block_is_bad_alone(plc: Snap7Server, tmp_path: Path):
    plc.put(0, bytes(range(64)), 2)
    text = """
points:
  first: {address: DB2.DBB1}
  last: {address: DB2.DBB63}
  beyond: {address: DB2.DBB70}
  nowhere: {address: DB77.DBB0}
"""
    async with mirrored(plc, tmp_path / "map.yaml", text) as (connector, sink):
        await is_so(sink, "first", 1)
        await is_so(sink, "last", 63)
        for point in ("beyond", "nowhere"):
            await until(lambda p=point: now(sink, p)[1] == BAD_CONFIGURATION, f"{point} to be bad")
        assert connector.link.state is LinkState.LIVE
        texts = [e.message.best() for e in sink.events if e.kind == "read_failed"]
    assert any("DB77" in text and "does not exist" in text for text in texts), texts


async def test_writes_leave_their_neighbours_alone(plc: Snap7Server, tmp_path: Path):
    plc.put(100, bytes([0xF0]))
    plc.put(110, bytes([8, 2]) + b"ab" + b"......" + b"next")
    text = """
defaults: {writable: true}
points:
  bit: {address: DB1.DBX100.1}
  speed: {address: DB1.DBW102, type: INT, scale: 0.5, unit: /min}
  name: {address: DB1.DBB110, type: STRING, length: 8}
  flag: {address: M3.0}
  sensed: {address: I0.0}
"""
    async with mirrored(plc, tmp_path / "map.yaml", text) as (connector, sink):
        for point, value in (("bit", True), ("speed", 90.5), ("name", "hello"), ("flag", True)):
            answer = await connector.write(Command("c", "plc", point, value=value))
            assert answer.state is CommandState.SENT, answer.detail
            await is_so(sink, point, value)
        for point, value in (("speed", 1e6), ("name", "much too long"), ("sensed", True)):
            answer = await connector.write(Command("c", "plc", point, value=value))
            assert answer.state is CommandState.REFUSED and answer.detail
    assert plc.ask("get", db=1, at=100, n=4)["hex"] == "f20000b5"
    raw = bytes.fromhex(plc.ask("get", db=1, at=110, n=14)["hex"])
    assert raw == bytes([8, 5]) + b"hello..." + b"next"


async def test_long_blocks_are_read_in_parts_that_the_controller_allows(
    plc: Snap7Server, tmp_path: Path
):
    plc.put(0, struct.pack(">500h", *range(500)))
    lines = [f"  p{n}: {{address: DB1.DBW{2 * n}, type: INT}}" for n in range(500)]
    async with mirrored(plc, tmp_path / "map.yaml", "points:\n" + "\n".join(lines)) as (_, sink):
        for n in range(0, 500, 7):
            await is_so(sink, f"p{n}", n)
        assert len(sink.frames[0]) == 500


async def test_without_a_map_it_says_what_the_controller_is(plc: Snap7Server):
    connector = S7(SourceConfig(plc.url, "plc"))
    (finding,) = await connector.discover()
    assert "map=FILE" in finding.guessed
    with pytest.raises(SourceError, match="map=FILE"):
        await connector.run(WatchingSink())


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"address": "DB1.W4"}, "none; they read like"),
        ({"address": "DB1.DBD4.1", "type": "REAL"}, "has no bit"),
        ({"address": "M3"}, "needs a bit"),
        ({"address": "DB1.DBW4", "type": "REAL"}, "REAL has 4 bytes"),
        ({"address": "DB1.DBW4", "type": "real"}, "did you mean"),
        ({"address": "DB1.DBW4", "type": "BOOL"}, "BOOL is one bit"),
        ({"address": "DB1.DBX0.0", "type": "INT"}, "is not at a bit"),
        ({"address": "DB1.DBB0", "length": "4"}, "STRING"),
        ({"address": "DB1.DBB0", "type": "STRING", "length": "255"}, "from 1 to 254"),
        ({"address": "DB1.DBD65534"}, "beyond byte 65535"),
        ({}, "address is missing"),
    ],
)
def test_addresses_that_mean_nothing_are_refused(fields: dict[str, str], wrong: str):
    from mirrorworld.connectors.register_map import Entry
    from mirrorworld.marked_yaml import Node

    entry = Entry([{name: Node(1, text=text) for name, text in fields.items()}], 1)
    with pytest.raises(Wrong, match=wrong):
        read_field(entry)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x03\x00\xff\xff" + bytes(100),
        b"\x03\x00\x00\x04",
        b"\x03\x00\x00\x0b\x06\xd0\x00\x01\x00\x01\x00" + b"\x03\x00\x00\x07\x02\xf0\x80",
        b"\x03\x00\x00\x0b\x06\xd0\x00\x01\x00\x01\x00" + b"\x03\x00\x00\x09\x02\xf0\x80\x32\x03",
        b"",
    ],
)
async def test_what_is_no_s7_is_told_and_tried_again(answer: bytes, tmp_path: Path):
    path = tmp_path / "map.yaml"
    path.write_text("points: {p: {address: M0.0}}")
    async with device_of_bytes(answer) as port:
        options: dict[str, Scalar] = {"map": str(path), "timeout_s": 0.2}
        connector = S7(SourceConfig(f"s7://127.0.0.1:{port}", "plc", options))
        async with running(connector, WatchingSink()) as task:
            await until(lambda: connector.link.state is LinkState.LOST, "the loss to be told")
            assert len(connector.link.detail) > 10
            assert not task.done()
