"""Modbus against modbus-serial and pymodbus: contract, plan, values, writing, and bad devices."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mirrorworld.connectors.modbus import Modbus
from mirrorworld.testing.connectors import (
    ConnectorContract,
    WatchingSink,
    is_live,
    running,
    until,
)
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world.changes import Command, CommandState
from mirrorworld.world.model import Kind, Scalar
from mirrorworld.world.ports import LinkState, SourceConfig, SourceError
from mirrorworld.world.quality import UNCERTAIN_LAST_USABLE, severity
from tests.connectors.modbus_peer import ModbusSerial, device, device_of_bytes, registers, reply

pytestmark = pytest.mark.peer

BAD_CONFIGURATION, BAD_TIMEOUT = 0x8089_0000, 0x800A_0000

OVEN = """
defaults: {period_ms: 50}
twins:
  oven:
    name: Tunnel oven
    points:
      temperature: {address: 10, type: f32, unit: Cel, range: [0, 400]}
      setpoint: {address: 20, type: f32, unit: Cel, writable: true}
"""


@pytest.fixture(scope="module")
def server(node: str, peers_dir: Path) -> Iterator[ModbusSerial]:
    peer = ModbusSerial(node, peers_dir).start()
    yield peer
    peer.kill()


@pytest.fixture
def plant(server: ModbusSerial) -> ModbusSerial:
    if not server.is_running:
        server.start()
    server.ask("clear")
    return server


class ModbusRig:
    schemes = ("modbus", "modbus+rtu")
    is_live = True
    has_source_time = False
    bad_urls = (
        "modbus://",
        "modbus://host:notaport",
        "modbus://ho st:502",
        "modbus://host:502/300",
        "modbus://host:0",
        "http://host:502",
    )
    bad_options: Mapping[str, Scalar] = {
        "map": "/no/such/map.yaml",
        "period_ms": 1,
        "max_gap": -1,
        "max_registers": 126,
        "in_flight": 0,
        "timeout_s": "long",
    }

    def __init__(self, plant: ModbusSerial, path: Path, free_port: int) -> None:
        self.plant, self.path = plant, path
        path.write_text(OVEN)
        self.unreachable_url = f"modbus://127.0.0.1:{free_port}"

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Modbus:
        given = {"map": str(self.path), **(options or {})}
        return Modbus(SourceConfig(url or self.plant.url, name, given, username, password))

    def point(self, name: str) -> tuple[str, str]:
        return f"{name}/oven", "temperature"

    async def emit(self, value: float, source_ns: int) -> None:
        await asyncio.to_thread(self.plant.put_float, 10, value)

    async def vanish(self) -> None:
        self.plant.kill()

    async def come_back(self) -> None:
        await asyncio.to_thread(self.plant.start)

    async def received_writes(self) -> Sequence[object]:
        if not self.plant.is_running:
            return []
        return (await self.plant.asked("written"))["written"]

    def command(self, name: str) -> Command | None:
        return Command("c1", f"{name}/oven", "setpoint", value=180.0)


class TestModbus(ConnectorContract):
    @pytest.fixture
    def rig(self, plant: ModbusSerial, tmp_path: Path, free_port) -> ModbusRig:
        return ModbusRig(plant, tmp_path / "map.yaml", free_port())


# --- what a map says comes out


def modbus(url: str, path: Path, text: str, **options: Scalar) -> Modbus:
    path.write_text(text)
    return Modbus(SourceConfig(url, "plc", {"map": str(path), "period_ms": 50, **options}))


@asynccontextmanager
async def mirrored(connector: Modbus) -> AsyncIterator[WatchingSink]:
    sink = WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        yield sink


def now(sink: WatchingSink, twin: str, point: str) -> tuple[Any, int]:
    world = sink.inner.world
    handles = world.handles([(twin, point)])
    return world.value(int(handles[0])), int(world.read(handles).quality[0])


async def is_so(sink: WatchingSink, twin: str, point: str, value: Any, quality: int = 0) -> None:
    await until(
        lambda: now(sink, twin, point) == (value, quality),
        f"{twin}.{point} to be {value!r}, {quality:#x}; it is {now(sink, twin, point)}",
    )


TYPES = """
points:
  u16: {address: 0, type: u16}
  i16: {address: 1, type: i16, scale: 0.1, offset: -5, unit: Cel}
  u32: {address: 2, type: u32}
  i32_swapped: {address: 4, type: i32, word_order: little}
  f32_swapped: {address: 6, type: f32, word_order: little, byte_order: little}
  f64: {address: 8, type: f64, unit: kW.h}
  u64: {address: 12, type: u64}
  i64: {address: 16, type: i64}
  name: {address: 20, type: text, length: 4}
  low_bit: {address: 24, type: bool, bit: 0}
  high_bit: {address: 24, type: bool, bit: 15}
  mode: {address: 25, type: u16, labels: {0: stopped, 7: running}}
  by_number: {register: 40027, type: u16}
  other_table: {register: 300003, type: u16}
  coil_3: {table: coil, address: 3}
  coil_12: {table: coil, address: 12}
  door: {table: discrete, address: 9}
  huge: {address: 27, type: u64}
"""


async def test_every_type_and_order_is_read_as_it_was_put(plant: ModbusSerial, tmp_path: Path):
    def words(code: str, *values: Any) -> list[int]:
        raw = struct.pack(">" + code, *values)
        return list(struct.unpack(f">{len(raw) // 2}H", raw))

    plant.put(0, [65535, 0x10000 - 123])
    plant.put(2, words("I", 4_000_000_000))
    plant.put(4, words("i", -70_000)[::-1])
    raw = struct.pack("<f", -2.5)
    plant.put(6, list(struct.unpack(">HH", raw)))
    plant.put(8, words("d", 12345.6789))
    plant.put(12, words("Q", 2**53 + 1))
    plant.put(16, words("q", -(2**62)))
    plant.put(20, words("8s", b"Oven \xfc\0x"))
    plant.put(24, [0x8000, 7, 99])
    plant.put(27, words("Q", 2**63 + 5))
    plant.put(2, [321], "input")
    plant.ask("put", table="coil", address=3, bits=[1])
    plant.ask("put", table="discrete", address=9, bits=[1])
    connector = modbus(plant.url, tmp_path / "map.yaml", TYPES)
    async with mirrored(connector) as sink:
        for point, value in {
            "u16": 65535,
            "i16": -17.3,
            "u32": 4_000_000_000,
            "i32_swapped": -70_000,
            "f32_swapped": -2.5,
            "f64": 12345.6789,
            "u64": 2**53 + 1,
            "i64": -(2**62),
            "name": "Oven ü",
            "low_bit": False,
            "high_bit": True,
            "mode": 7,
            "by_number": 99,
            "other_table": 321,
            "coil_3": True,
            "coil_12": False,
            "door": True,
        }.items():
            await is_so(sink, "plc", point, value)
        assert severity(now(sink, "plc", "huge")[1]) == "bad"
        kinds = {p.name: p.kind for p in sink.inner.world.structure.twins["plc"].points}
        assert (kinds["u16"], kinds["i16"], kinds["mode"]) == (Kind.INT, Kind.FLOAT, Kind.ENUM)
        plant.put(20, words("8s", b"Kiln\0\0\0\0"))
        await is_so(sink, "plc", "name", "Kiln")


async def test_neighbours_and_small_gaps_are_one_request(plant: ModbusSerial, tmp_path: Path):
    lines = [f"  p{a}: {{address: {a}, type: u16}}" for a in (*range(125), 130, 300, 310, 400)]
    connector = modbus(plant.url, tmp_path / "map.yaml", "points:\n" + "\n".join(lines), max_gap=16)
    async with mirrored(connector) as sink:
        await until(lambda: len(sink.samples()) >= 129, "every point once")
    asked = {tuple(r[1:3]) for r in plant.ask("requests")["requests"]}
    assert asked == {(0, 125), (130, 1), (300, 11), (400, 1)}


async def test_what_is_not_there_is_bad_alone(plant: ModbusSerial, tmp_path: Path):
    plant.ask("refuse", table="holding", **{"from": 7, "to": 7})
    plant.put(0, list(range(100, 120)))
    lines = [f"  p{a}: {{address: {a}, type: u16}}" for a in range(20)]
    connector = modbus(plant.url, tmp_path / "map.yaml", "points:\n" + "\n".join(lines))
    async with mirrored(connector) as sink:
        for address in range(20):
            if address != 7:
                await is_so(sink, "plc", f"p{address}", 100 + address)
        await until(lambda: now(sink, "plc", "p7")[1] == BAD_CONFIGURATION, "p7 to be bad")
        event = next(e for e in sink.events if e.kind == "read_failed")
        assert "exception 2, illegal data address" in event.message.best()
        assert sink.counts["modbus_illegal_data_address"] >= 1
        plant.ask("refuse")
        await is_so(sink, "plc", "p7", 107)
        await until(
            lambda: [e.kind for e in sink.events if "/read/" in e.id][-1] == "read_restored",
            "the trouble to be over",
        )


async def test_unchanged_values_are_told_seldom_and_age_truly(plant: ModbusSerial, tmp_path: Path):
    text = "points:\n  still: {address: 0, type: u16}\n  moving: {address: 1, type: u16}"
    connector = modbus(plant.url, tmp_path / "map.yaml", text, unchanged_s=0.4, period_ms=20)
    async with mirrored(connector) as sink:
        for n in range(30):
            plant.put(1, [n])
            await asyncio.sleep(0.05)
        told = [s for s in sink.samples() if s.point == "still"]
        moved = [s for s in sink.samples() if s.point == "moving"]
    assert 2 <= len(told) < len(moved)
    apart = [b.source_ns - a.source_ns for a, b in itertools.pairwise(told)]
    assert min(apart) >= 0.4e9


async def test_periods_keep_to_their_grid_and_overruns_are_counted(
    plant: ModbusSerial, tmp_path: Path
):
    text = """
points:
  fast: {address: 0, type: u16, period_ms: 20}
  slow: {address: 1000, type: u16, period_ms: 200}
"""
    connector = modbus(plant.url, tmp_path / "map.yaml", text, unchanged_s=0)
    async with mirrored(connector) as sink:
        await until(lambda: sum(s.point == "slow" for s in sink.samples()) >= 6, "six slow rounds")
        samples = sink.samples()
    slow = [s.source_ns for s in samples if s.point == "slow"]
    fast = [s for s in samples if s.point == "fast"]
    # However late each round was on a busy machine, none drifts: n rounds take n periods or more.
    assert slow[-1] - slow[0] >= (len(slow) - 2) * 0.2e9
    assert len(fast) + sink.counts.get("poll_overrun", 0) > len(slow) * 5

    def slowly(request: bytes) -> bytes:
        time.sleep(0.08)
        return registers(request)

    async with device(slowly) as port:
        text = "points:\n  p: {address: 0, type: u16, period_ms: 20}"
        connector = modbus(f"modbus://127.0.0.1:{port}", tmp_path / "map.yaml", text)
        async with mirrored(connector) as sink:
            await until(lambda: sink.counts.get("poll_overrun", 0) > 3, "overruns to be counted")


# --- writing


async def test_writes_scale_back_and_are_read_at_once(plant: ModbusSerial, tmp_path: Path):
    text = """
defaults: {writable: true}
points:
  speed: {address: 5, type: u16, scale: 0.1, unit: /min, period_ms: 60000}
  count: {address: 6, type: u32, word_order: little, period_ms: 60000}
  lamp: {table: coil, address: 2, period_ms: 60000}
  fixed: {address: 9, type: u16, writable: false}
  sensed: {table: input, address: 0, type: u16}
"""
    connector = modbus(plant.url, tmp_path / "map.yaml", text)
    async with mirrored(connector) as sink:
        for point, value in (("speed", 1234.5), ("count", 70_000), ("lamp", True)):
            answer = await connector.write(Command("c", "plc", point, value=value))
            assert answer.state is CommandState.SENT, answer.detail
            await is_so(sink, "plc", point, value)
        for point, value, why in (
            ("speed", 7000.0, "u16|uint16"),
            ("speed", "fast", "not a number"),
            ("fixed", 1, "writable"),
            ("sensed", 1, "only be read"),
            ("absent", 1, "not in the map"),
        ):
            answer = await connector.write(Command("c", "plc", point, value=value))
            assert answer.state is CommandState.REFUSED
            assert any(part in answer.detail for part in why.split("|")), answer.detail
        plant.ask("refuse", table="holding", **{"from": 5, "to": 5})
        answer = await connector.write(Command("c", "plc", "speed", value=1.0))
        assert answer.state is CommandState.FAILED and "exception" in answer.detail
    written = plant.ask("written")["written"]
    assert written == [
        ["holding", 5, [12345], 1],
        ["holding", 6, [4464, 1], 1],
        ["coil", 2, [True], 1],
    ]


PYMODBUS = """
import asyncio, json, sys
from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

async def main():
    block = [SimData(0, values=[0] * 100, datatype=DataType.REGISTERS)]
    server = ModbusTcpServer(SimDevice(9, simdata=block), framer=FramerType(sys.argv[1]),
                             address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    print(json.dumps(server.transport.sockets[0].getsockname()[1]), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def pymodbus_server(framer: str) -> AsyncIterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-c", PYMODBUS, framer], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        assert line, "the pymodbus server did not start"
        yield json.loads(line)
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize("framer", ["socket", "rtu"])
async def test_pymodbus_is_read_and_written_in_both_framings(framer: str, tmp_path: Path):
    text = """
defaults: {unit_id: 9, writable: true}
points:
  level: {address: 3, type: f32, unit: m}
  valve: {address: 7, type: bool, bit: 9}
  beside: {address: 7, type: u16}
"""
    scheme = "modbus" if framer == "socket" else "modbus+rtu"
    async with pymodbus_server(framer) as port:
        connector = modbus(f"{scheme}://127.0.0.1:{port}", tmp_path / "map.yaml", text)
        async with mirrored(connector) as sink:
            for point, value in (("level", 1.5), ("beside", 0x0101), ("valve", True)):
                answer = await connector.write(Command("c", "plc", point, value=value))
                assert answer.state is CommandState.SENT, answer.detail
                await is_so(sink, "plc", point, value)
            await is_so(sink, "plc", "beside", 0x0301)


# --- looking


async def test_without_a_map_it_says_how_to_make_one_and_scans_nothing(plant: ModbusSerial):
    connector = Modbus(SourceConfig(plant.url, "plc"))
    (finding,) = await connector.discover()
    assert "map=FILE" in finding.guessed and "Meter 7" in finding.guessed
    assert dict(finding.sample_values)["product"] == "Meter 7"
    assert plant.ask("requests")["requests"] == []
    with pytest.raises(SourceError, match="map=FILE"):
        await connector.run(WatchingSink())


# --- bad devices


ONE = "points:\n  p: {address: 0, type: u16}\n  q: {address: 500, type: u16}"


@pytest.mark.parametrize(
    ("name", "answer", "counted", "quality"),
    [
        ("too short", lambda r: reply(r, bytes([r[7], 2, 0])), "modbus_nonsense", 0x8005_0000),
        ("too long", lambda r: reply(r, bytes([r[7], 4]) + bytes(4)), "modbus_nonsense", None),
        ("a wrong count", lambda r: reply(r, bytes([r[7], 9, 0, 0])), "modbus_nonsense", None),
        ("another unit", lambda r: reply(r, registers(r)[7:], unit=77), "modbus_nonsense", None),
        ("another function", lambda r: reply(r, bytes([4, 2, 0, 0])), "modbus_nonsense", None),
        ("no known code", lambda r: reply(r, bytes([r[7] | 0x80, 99])), "modbus_code_99", None),
        ("failure", lambda r: reply(r, bytes([r[7] | 0x80, 4])), "modbus_server_device_failure",
         0x808B_0000),
    ],
)  # fmt: skip
async def test_an_answer_that_does_not_fit_is_bad_for_its_points_only(
    name: str, answer, counted: str, quality: int | None, tmp_path: Path
):
    def some(request: bytes) -> bytes:
        is_q = int.from_bytes(request[8:10], "big") == 500
        return answer(request) if is_q else registers(request)

    async with device(some) as port:
        connector = modbus(f"modbus://127.0.0.1:{port}", tmp_path / "map.yaml", ONE)
        async with mirrored(connector) as sink:
            await is_so(sink, "plc", "p", 7)
            await until(lambda: severity(now(sink, "plc", "q")[1]) == "bad", f"{name}: q to be bad")
            assert now(sink, "plc", "p") == (7, 0)
            assert sink.counts[counted] >= 1
            assert quality is None or now(sink, "plc", "q")[1] == quality
            assert connector.link.state is LinkState.LIVE


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda r: b"HTTP/1.1 400 Bad Request\r\n\r\n", "no Modbus TCP"),
        (lambda r: r[:4] + b"\xff\xff" + bytes(65535), "no Modbus TCP"),
        (lambda r: registers(r)[:-1], "no "),
        (lambda r: b"", "no answer"),
        (lambda r: b"".join(bytes([9, n]) + registers(r)[2:] for n in range(255)), "asked for"),
    ],
)
async def test_a_stream_that_makes_no_sense_is_closed_and_tried_again(
    answer, told: str, tmp_path: Path
):
    async with device(answer) as port:
        connector = modbus(f"modbus://127.0.0.1:{port}", tmp_path / "map.yaml", ONE, timeout_s=0.1)
        async with running(connector, WatchingSink()) as task:
            await until(lambda: connector.link.state is LinkState.LOST, "the loss to be told")
            assert told in connector.link.detail
            assert not task.done()


@pytest.mark.parametrize(
    ("raw", "counted", "told"),
    [
        (bytes([1, 3, 2, 0, 7, 0, 0]), "modbus_nonsense", "sense: an answer with a wrong CRC"),
        (bytes([1, 0x83, 2, 0xC0, 0xF1]), "modbus_illegal_data_address", ""),
        (bytes([1, 0x55] * 200), "modbus_nonsense", "makes no sense"),
        (bytes([1, 3, 2, 0]), "modbus_no_answer", "no answer"),
    ],
)
async def test_rtu_frames_that_are_broken(raw: bytes, counted: str, told: str, tmp_path: Path):
    text = "points:\n  p: {address: 0, type: u16}"
    async with device_of_bytes(raw) as port:
        url = f"modbus+rtu://127.0.0.1:{port}"
        connector = modbus(url, tmp_path / "map.yaml", text, timeout_s=0.1)
        sink = WatchingSink()
        async with running(connector, sink) as task:
            await until(
                lambda: counted in sink.counts and told in connector.link.detail,
                f"{counted} {told}; it is {sink.counts}, {connector.link}",
            )
            assert not task.done()
            assert all(severity(s.quality) == "bad" for s in sink.samples())


async def test_a_clock_that_is_set_back_does_not_silence_the_source(
    plant: ModbusSerial, tmp_path: Path
):
    path = tmp_path / "map.yaml"
    connector = modbus(plant.url, path, "points:\n  p: {address: 0, type: u16}")
    hour_ns, ahead = 3_600_000_000_000, [1]
    inner = MemorySink("plc", now_ns=lambda: time.time_ns() + ahead[0] * hour_ns)
    sink = WatchingSink(inner)
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await until(sink.samples, "a first sample")
        ahead[0] = 0
        plant.put(0, [77])
        await until(lambda: any(s.value == 77 for s in sink.samples()), "what came after")


async def test_a_silent_unit_does_not_stop_the_others(tmp_path: Path):
    def one_is_silent(request: bytes) -> bytes:
        return b"" if request[6] == 3 else registers(request)

    text = """
twins:
  alive: {unit_id: 2, points: {p: {address: 0, type: u16}}}
  dead: {unit_id: 3, points: {p: {address: 0, type: u16}, q: {address: 900, type: u16}}}
"""
    async with device(one_is_silent) as port:
        connector = modbus(
            f"modbus://127.0.0.1:{port}", tmp_path / "map.yaml", text, timeout_s=0.1, unchanged_s=0
        )
        async with mirrored(connector) as sink:
            for point in ("p", "q"):
                await until(
                    lambda point=point: now(sink, "plc/dead", point)[1] == BAD_TIMEOUT,
                    "the dead to be marked",
                )
            seen = len(sink.samples())
            await until(
                lambda: sum(s.twin == "plc/alive" for s in sink.samples()[seen:]) > 5,
                "the living to be read on",
            )
            assert connector.link.state is LinkState.LIVE


async def test_what_is_lost_is_the_last_usable_value(plant: ModbusSerial, tmp_path: Path):
    plant.put(0, [5])
    connector = modbus(plant.url, tmp_path / "map.yaml", "points: {p: {address: 0, type: u16}}")
    async with mirrored(connector) as sink:
        await is_so(sink, "plc", "p", 5)
        plant.kill()
        await is_so(sink, "plc", "p", 5, UNCERTAIN_LAST_USABLE)
        await asyncio.to_thread(plant.start)
        await is_so(sink, "plc", "p", 0)
    assert [e.kind for e in sink.events] == ["source_live", "source_lost", "source_live"]


async def test_several_requests_in_flight_find_their_own_answers(tmp_path: Path):
    def address_is_value(request: bytes) -> bytes:
        start = int.from_bytes(request[8:10], "big")
        count = int.from_bytes(request[10:12], "big")
        words = struct.pack(f">{count}H", *range(start, start + count))
        return reply(request, bytes([request[7], count * 2]) + words)

    lines = [f"  p{a}: {{address: {a}, type: u16}}" for a in range(0, 20_000, 200)]
    async with device(address_is_value) as port:
        connector = modbus(
            f"modbus://127.0.0.1:{port}",
            tmp_path / "map.yaml",
            "points:\n" + "\n".join(lines),
            in_flight=8,
        )
        async with mirrored(connector) as sink:
            for address in range(0, 20_000, 200):
                await is_so(sink, "plc", f"p{address}", address)
