"""OPC UA against node-opcua: the contract, and what is particular to it."""

from __future__ import annotations

import asyncio
import logging
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirrorworld.connectors.opcua import Opcua
from mirrorworld.connectors.opcua_subscription import Clock
from mirrorworld.testing.connectors import DEADLINE_S, ConnectorContract, is_live, running, until
from mirrorworld.testing.sink import MemorySink
from mirrorworld.world.changes import Command, CommandState, Edits, PutTwin
from mirrorworld.world.model import Kind, PointType, Scalar, Twin
from mirrorworld.world.ports import LinkState, SourceConfig, SourceError
from mirrorworld.world.quality import UNCERTAIN_LAST_USABLE
from tests.connectors.opcua_peer import NodeOpcua, line_to

pytestmark = pytest.mark.peer

NS = "urn:test-plant"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the peer keeps its certificates; made once, since making keys takes long."""
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(scope="module")
def server(node: str, peers_dir: Path, pki: Path) -> Iterator[NodeOpcua]:
    peer = NodeOpcua(node, peers_dir, pki, bulk=20).start()
    yield peer
    peer.kill()


@pytest.fixture
def plant(server: NodeOpcua) -> NodeOpcua:
    if not server.is_running:
        server.start(extra=False)
    server.ask("clear")
    return server


@pytest.fixture
def start_server(node: str, peers_dir: Path, pki: Path) -> Iterator[Callable[..., NodeOpcua]]:
    started: list[NodeOpcua] = []

    def start(**options: Any) -> NodeOpcua:
        peer = NodeOpcua(node, peers_dir, pki, **options)
        started.append(peer)
        return peer.start()

    yield start
    for peer in started:
        peer.kill()


def opcua(url: str, *, state_dir: Path | None = None, login: str = "", **options: Any) -> Opcua:
    user, _, password = login.partition(":")
    given = {"interval_ms": 50, **options}
    return Opcua(SourceConfig(url, "plc", given, user, password, state_dir))


@asynccontextmanager
async def mirrored(connector: Opcua, sink: MemorySink) -> AsyncIterator[asyncio.Task[None]]:
    """A connector that runs and has heard of every point."""
    async with running(connector, sink) as task:
        await is_live(connector, task)
        handles = sink.handles((i.twin, i.point) for i in connector._items.values())
        await sink.until(
            lambda: bool((sink.world.read(handles).source_ns > 0).all()), timeout_s=DEADLINE_S
        )
        yield task


def now(sink: MemorySink, twin: str, point: str) -> tuple[Any, int]:
    """(value, quality) of a point."""
    handles = sink.handles([(twin, point)])
    return sink.world.value(int(handles[0])), int(sink.world.read(handles).quality[0])


async def value_is(sink: MemorySink, twin: str, point: str, value: Any, quality: int = 0) -> None:
    wanted = (value, quality)
    await until(
        lambda: now(sink, twin, point) == wanted,
        f"{twin}.{point} to be {wanted}; it is {now(sink, twin, point)}",
    )


def all_samples(sink: MemorySink, twin: str, point: str) -> list[tuple[float, int]]:
    """(value, quality) of every accepted sample of a number, in order."""
    (handle,) = sink.handles([(twin, point)])
    found: list[tuple[float, int]] = []
    for frame in sink.frames:
        rows = frame.point == handle
        found += zip(
            frame.cell[rows].view(np.float64).tolist(), frame.quality[rows].tolist(), strict=True
        )
    return found


# --- the contract


class Rig:
    """The plant, seen through the contract's eyes."""

    schemes = ("opc.tcp",)
    is_live = True
    bad_urls = (
        "opc.tcp://",
        "opc.tcp://host:notaport",
        "opc.tcp://ho st:4840",
        "opc.tcp://host:99999",
        "http://host:4840",
    )
    bad_options: Mapping[str, Scalar] = {
        "security": "Rot13",
        "interval_ms": 0,
        "queue_size": "many",
        "max_nodes": 0,
        "history": "perhaps",
        "root": 5,
        "pause_ms": -1,
    }

    def __init__(self, plant: NodeOpcua, free_port: int) -> None:
        self.plant = plant
        self.unreachable_url = f"opc.tcp://127.0.0.1:{free_port}"
        self._written: Sequence[object] = ()

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Opcua:
        given = {"interval_ms": 50, **(options or {})}
        return Opcua(SourceConfig(url or self.plant.url, name, given, username, password))

    def point(self, name: str) -> tuple[str, str]:
        return f"{name}/Line1/Filler", "Status.Temp"

    async def emit(self, value: float, source_ns: int) -> None:
        await self.plant.asked(
            "set", name="Filler.Status.Temp", value=value, time_ms=source_ns // 1_000_000
        )

    async def vanish(self) -> None:
        await asyncio.to_thread(self.plant.kill)

    async def come_back(self) -> None:
        await asyncio.to_thread(self.plant.start)

    async def received_writes(self) -> Sequence[object]:
        if self.plant.is_running:
            self._written = (await self.plant.asked("writes"))["writes"]
        return self._written

    def command(self, name: str) -> Command:
        return Command("c", f"{name}/Line1/Filler", "Speed", value=33.0)


class TestOpcua(ConnectorContract):
    @pytest.fixture
    def rig(self, plant: NodeOpcua, free_port: Callable[[], int]) -> Rig:
        return Rig(plant, free_port())


# --- what a server becomes


async def test_types_twins_and_relations(plant: NodeOpcua) -> None:
    findings = {f.twin.id: f for f in await opcua(plant.url).discover()}
    filler = findings["plc/Line1/Filler"]
    assert filler.type is not None and filler.twin.type == f"{NS}#FillerType"
    assert filler.type.extends == (f"{NS}#MachineType",)
    assert {p.name for p in filler.type.points} == {"Level", "Mode"}
    machine = findings["plc/Line1/Capper"].type
    assert machine is not None and machine.id == f"{NS}#MachineType"
    speed = next(p for p in machine.points if p.name == "Speed")
    assert (speed.kind, speed.unit, speed.low, speed.high) == (Kind.FLOAT, "Hz", 0.0, 120.0)
    assert speed.description.best("en") == "Of the main drive"
    mode = next(p for p in filler.type.points if p.name == "Mode")
    assert mode.kind is Kind.ENUM
    assert mode.labels == ((0, "Off"), (1, "Manual"), (2, "Auto"))
    own = {p.name: p for p in filler.twin.points}
    assert own["Status"].labels == ((0, "Stopped"), (1, "Running"), (2, "Jammed"))
    assert (own["Status.Temp"].unit, own["Status.Temp"].low) == ("Cel", -40.0)
    assert "Nozzles" not in own and "Speed" not in own
    serial = filler.twin.property("SerialNumber")
    assert serial is not None and serial.value == "F-0042"
    recipe = next(o for o in machine.operations if o.name == "SetRecipe")
    assert [(a.name, a.kind) for a in recipe.inputs] == [
        ("Recipe", Kind.TEXT),
        ("Speed", Kind.FLOAT),
        ("Batches", Kind.INT),
    ]
    assert [a.name for a in recipe.outputs] == ["Accepted", "Before"]
    assert ("Level", 50.0) in filler.sample_values
    product = findings["plc"].twin.property("ProductName")
    assert product is not None and product.value == "Test plant"


async def test_relations_and_loops(plant: NodeOpcua) -> None:
    sink = MemorySink("plc")
    async with mirrored(opcua(plant.url), sink):
        found = {(r.kind, r.source, r.target) for r in sink.world.structure.relations.values()}
    line, filler, capper = "plc/Line1", "plc/Line1/Filler", "plc/Line1/Capper"
    assert {("part_of", filler, line), ("part_of", line, "plc")} <= found
    assert ("flows_to", filler, capper) in found
    assert ("part_of", line, capper) not in found, "a loop was taken for a part"


async def test_every_kind_of_value_arrives_and_follows(plant: NodeOpcua) -> None:
    sink = MemorySink("plc")
    async with mirrored(opcua(plant.url), sink):
        expected: dict[str, Any] = {
            "Boolean": True, "SByte": -8, "Byte": 200, "Int16": -3000, "UInt16": 60000,
            "Int32": -70000, "UInt32": 4_000_000_000, "Int64": -2, "UInt64": 77, "Float": 1.5,
            "Double": 3.141592653589793, "String": "grüß", "DateTime": 1_700_000_000_123_000_000,
            "Guid": "72962b91-fa75-4ae6-8d28-b404dc7daf63", "ByteString": "0102fe",
            "NodeId": "ns=1;s=abc", "LocalizedText": "läuft", "Texts": '["a", "b", "ü"]',
            "Range": '{"Low": 1.0, "High": 2.0}', "Any": 5.0,
        }  # fmt: skip
        for name, value in expected.items():
            assert now(sink, "plc/Kinds", name) == (value, 0), name
        for name, numbers in (
            ("Doubles", [1, 2.5, -3]),
            ("Words", [1, 65535]),
            ("Bits", [1, 0, 1]),
        ):
            assert now(sink, "plc/Kinds", name)[0].tolist() == numbers, name
        await plant.asked("set", name="Kinds.String", value="neu")
        await plant.asked("set", name="Kinds.Int64", value=[0, 5])
        await plant.asked("set", name="Kinds.Double", value=7.5, status="BadSensorFailure")
        await value_is(sink, "plc/Kinds", "String", "neu")
        await value_is(sink, "plc/Kinds", "Int64", 5)
        await until(lambda: now(sink, "plc/Kinds", "Double")[1] == 0x808C0000, "the bad quality")
        # A variable that may hold anything changes its type: counted, the old value stays.
        await plant.asked("set", name="Kinds.Any", value="text", type="String")
        await until(lambda: sink.counts["wrong_type"] == 1, "the wrong type to be counted")
        assert now(sink, "plc/Kinds", "Any")[0] == 5.0
        await plant.asked("set", name="Kinds.Any", value=5, type="Double")
        await plant.asked("set", name="Kinds.String", value="grüß")
        await plant.asked("set", name="Kinds.Int64", value=[4294967295, 4294967294])
        await plant.asked("set", name="Kinds.Double", value=3.141592653589793)


async def test_small_limits_are_kept(start_server: Callable[..., NodeOpcua]) -> None:
    peer = start_server(bulk=50, max_browse=3, max_read=7, max_items=4)
    sink = MemorySink("plc")
    async with mirrored(opcua(peer.url, pause_ms=0), sink):
        assert now(sink, "plc/Bulk", "V00049") == (49.0, 0)


async def test_only_what_is_below_the_root(plant: NodeOpcua) -> None:
    for root in ("Line1/Filler", "ns=1;s=Nothing", "Line1/Nobody"):
        connector = opcua(plant.url, root=root)
        if "No" in root:
            with pytest.raises(SourceError, match=r"No(thing|body)"):
                await connector.discover()
        else:
            assert {f.twin.id for f in await connector.discover()} == {"plc", "plc/Filler"}


async def test_an_address_space_that_is_too_large_is_cut_and_told(plant: NodeOpcua) -> None:
    sink, connector = MemorySink("plc"), opcua(plant.url, max_nodes=12)
    async with running(connector, sink) as task:
        await is_live(connector, task)
        assert sink.counts["address_space_cut"] == 1
        assert "max_nodes" in connector.link.detail


# --- commands


async def test_writes_are_typed_and_confirmed_by_the_server_itself(plant: NodeOpcua) -> None:
    sink = MemorySink("plc")
    connector = opcua(plant.url)
    async with mirrored(connector, sink):

        async def write(twin: str, point: str, value: Scalar) -> Command:
            return await connector.write(Command("c", twin, point, value=value))

        taken: list[tuple[str, Scalar]] = [
            ("Boolean", False), ("SByte", -9), ("Byte", 3), ("Int16", 12), ("UInt32", 1 << 31),
            ("Int64", -(1 << 40)), ("Float", 2.5), ("Double", 2), ("String", "ok"),
            ("LocalizedText", "geht"), ("DateTime", 1_600_000_000_000_000_000),
            ("Guid", "72962b91-fa75-4ae6-8d28-b404dc7daf64"), ("ByteString", "00ff"),
        ]  # fmt: skip
        for name, value in taken:
            answer = await write("plc/Kinds", name, value)
            assert answer.state is CommandState.SENT, f"{name}: {answer.detail}"
            await value_is(sink, "plc/Kinds", name, value)
        refused: list[tuple[str, Scalar, str]] = [
            ("Byte", 300, "beyond Byte"), ("Byte", 1.5, "whole number"), ("Double", "x", "number"),
            ("Boolean", 7, "true or false"), ("Guid", "x", "Guid"), ("Doubles", 1.0, "array"),
            ("Range", "x", "cannot be written"), ("Int32", True, "whole number"),
        ]  # fmt: skip
        for name, value, why in refused:
            answer = await write("plc/Kinds", name, value)
            assert answer.state is CommandState.REFUSED and why in answer.detail, answer.detail
            assert f"plc/Kinds.{name}" in answer.detail
        answer = await write("plc/Line1/Filler", "Level", 1.0)
        assert answer.state is CommandState.REFUSED and "BadNotWritable" in answer.detail
    answer = await connector.write(Command("c", "plc/Kinds", "Double", value=1.0))
    assert answer.state is CommandState.FAILED and "not connected" in answer.detail
    plant.kill()  # with all that was written to it


async def test_methods_are_called_with_typed_arguments(plant: NodeOpcua) -> None:
    connector = opcua(plant.url)
    async with mirrored(connector, MemorySink("plc")):

        async def call(operation: str, **arguments: Scalar) -> Command:
            return await connector.write(
                Command(
                    "c",
                    "plc/Line1/Filler",
                    operation=operation,
                    arguments=tuple(arguments.items()),
                )
            )

        answer = await call("Reset")
        assert (answer.state, answer.results) == (CommandState.CONFIRMED, ())
        answer = await call("SetRecipe", Recipe="cola", Speed=2, Batches=5)
        assert answer.state is CommandState.CONFIRMED, answer.detail
        assert dict(answer.results) == {"Accepted": True, "Before": 0.0}
        for arguments, why in (
            ({"Recipe": "cola", "Speed": -1.0, "Batches": 5}, "BadOutOfRange"),
            ({"Recipe": "cola", "Speed": 1.0}, "'Batches' is missing"),
            ({"Recipe": "cola", "Speed": 1.0, "Batches": 70000}, "beyond Int16"),
            ({"Recipe": "c", "Speed": 1.0, "Batches": 1, "More": 1}, "no argument 'More'"),
        ):
            answer = await call("SetRecipe", **arguments)
            assert answer.state is CommandState.REFUSED and why in answer.detail, answer.detail
        assert (await call("Explode")).state is CommandState.REFUSED
    calls = (await plant.asked("calls"))["calls"]
    assert [c["inputs"] for c in calls] == [[], ["cola", 2, 5], ["cola", -1, 5]]


# --- loss and return


async def test_a_restart_with_a_changed_program(start_server: Callable[..., NodeOpcua]) -> None:
    peer = start_server(bulk=3)
    sink, connector = MemorySink("plc"), opcua(peer.url)
    async with mirrored(connector, sink) as task:
        peer.kill()
        await value_is(sink, "plc/Bulk", "V00001", 1.0, UNCERTAIN_LAST_USABLE)
        await value_is(sink, "plc/Kinds", "String", "grüß", UNCERTAIN_LAST_USABLE)
        assert connector.link.state is LinkState.LOST and connector.link.detail
        await until(lambda: sink.events, "an event")
        assert sink.events[-1].is_active
        await asyncio.to_thread(peer.start, extra=True, bulk=2)
        await is_live(connector, task)
        await value_is(sink, "plc/Extra", "Value", 9.0)
        await value_is(sink, "plc/Bulk", "V00001", 1.0)
        await value_is(sink, "plc/Kinds", "String", "grüß")
        assert not sink.events[-1].is_active and sink.events[-1].id == sink.events[0].id
        assert "V00002" in {p.name for p in sink.world.structure.points_of("plc/Bulk")}


async def test_a_cut_line_loses_nothing_when_the_subscription_lives_on(
    start_server: Callable[..., NodeOpcua], tmp_path: Path
) -> None:
    """TransferSubscriptions and Republish: what the server queued meanwhile comes over."""
    peer = start_server(bulk=2)
    sink = MemorySink("plc")
    async with line_to(peer.port) as line:
        connector = opcua(
            line.url,
            state_dir=tmp_path,
            security="Basic256Sha256",
            sampling_ms=0,  # every change, not only what a sampling sees
            queue_size=100,
            history=False,
        )
        async with running(connector, sink) as task:
            await until(connector.pending_certificate, "a certificate to trust")
            pending = connector.pending_certificate()
            assert pending is not None
            connector.trust(pending.fingerprint)
            await is_live(connector, task)
            await value_is(sink, "plc/Bulk", "V00001", 1.0)
            line.cut()
            await value_is(sink, "plc/Bulk", "V00001", 1.0, UNCERTAIN_LAST_USABLE)
            for _ in range(5):
                await peer.asked("round")
            line.mend()
            await is_live(connector, task)
            await value_is(sink, "plc/Bulk", "V00001", 5.00001)
            await value_is(sink, "plc/Kinds", "String", "grüß")
            assert sink.counts["subscription_transferred"] == 1
            assert sink.counts["lost_notifications"] == 0
            values = [v for v, q in all_samples(sink, "plc/Bulk", "V00001") if q == 0]
            assert values == [1.0, 1.00001, 2.00001, 3.00001, 4.00001, 5.00001]


async def test_a_gap_is_filled_from_history(start_server: Callable[..., NodeOpcua]) -> None:
    """The subscription cannot be taken over (anonymous and unsigned): history knows more."""
    peer = start_server(bulk=1)
    sink = MemorySink("plc")
    async with line_to(peer.port) as line:
        connector = opcua(line.url)
        async with mirrored(connector, sink) as task:
            before = all_samples(sink, "plc/Line1/Filler", "Level")
            line.cut()
            await value_is(sink, "plc/Line1/Filler", "Level", 50.0, UNCERTAIN_LAST_USABLE)
            at_ms = time.time_ns() // 1_000_000
            for i, level in enumerate((51, 52, 53, 54)):
                await peer.asked("set", name="Filler.Level", value=level, time_ms=at_ms + i)
            line.mend()
            await is_live(connector, task)
            await until(lambda: sink.counts["history_samples"] == 3, "history of the gap")
            await value_is(sink, "plc/Line1/Filler", "Level", 54.0)
            values = [v for v, q in all_samples(sink, "plc/Line1/Filler", "Level") if q == 0]
            assert sorted(values) == [*(v for v, _ in before), 51.0, 52.0, 53.0, 54.0]
            assert sink.counts["subscription_transferred"] == 0


async def test_unchanged_values_become_good_again_without_being_doubled(
    start_server: Callable[..., NodeOpcua],
) -> None:
    peer = start_server(bulk=1)
    sink = MemorySink("plc")
    async with line_to(peer.port) as line:
        connector = opcua(line.url)
        async with mirrored(connector, sink) as task:
            line.cut()
            await value_is(sink, "plc/Bulk", "V00000", 0.0, UNCERTAIN_LAST_USABLE)
            line.mend()
            await is_live(connector, task)
            await value_is(sink, "plc/Bulk", "V00000", 0.0)
            samples = all_samples(sink, "plc/Bulk", "V00000")
            assert samples == [(0.0, 0), (0.0, UNCERTAIN_LAST_USABLE), (0.0, 0)]


async def test_a_loss_is_remembered_over_a_restart_of_ours(
    start_server: Callable[..., NodeOpcua], tmp_path: Path
) -> None:
    """Else a value that the server stamped long ago would stay uncertain for ever."""
    peer = start_server(bulk=1)
    sink = MemorySink("plc")
    async with line_to(peer.port) as line:
        first = opcua(line.url, state_dir=tmp_path)
        async with mirrored(first, sink):
            line.cut()
            await value_is(sink, "plc/Bulk", "V00000", 0.0, UNCERTAIN_LAST_USABLE)
        line.mend()
        second = opcua(line.url, state_dir=tmp_path)
        async with running(second, sink) as task:
            await is_live(second, task)
            await value_is(sink, "plc/Bulk", "V00000", 0.0)
            notes = tmp_path / "opcua" / "plc.json"
            await until(lambda: "lost_ns" not in notes.read_text(), "it forgotten")


class HoldingSink(MemorySink):
    """A sink whose disk is slow: nothing is durable until it is let go."""

    def __init__(self) -> None:
        super().__init__("plc")
        self.let_go = asyncio.Event()

    async def durable(self, ticket: int) -> None:
        await self.let_go.wait()
        await super().durable(ticket)


async def test_nothing_is_acknowledged_before_it_is_durable(
    start_server: Callable[..., NodeOpcua],
) -> None:
    peer = start_server(bulk=1)
    sink = HoldingSink()
    async with mirrored(opcua(peer.url), sink):
        for i in range(1, 4):
            await peer.asked("round")
            await value_is(sink, "plc/Bulk", "V00000", float(i))
        assert (await peer.asked("unacknowledged"))["count"] >= 4
        sink.let_go.set()
        while (await peer.asked("unacknowledged"))["count"] > 1:
            await peer.asked("round")


async def test_a_full_disk_ends_it_with_the_disks_own_error(plant: NodeOpcua) -> None:
    sink, connector = MemorySink("plc"), opcua(plant.url)
    sink.fails_durable = True
    with pytest.raises(OSError, match="no space"):
        await asyncio.wait_for(connector.run(sink), DEADLINE_S)


async def test_leaving_leaves_no_session_behind(start_server: Callable[..., NodeOpcua]) -> None:
    peer = start_server(bulk=1)
    async with mirrored(opcua(peer.url), MemorySink("plc")):
        assert (await peer.asked("sessions"))["sessions"] == 1
    answer = await peer.asked("sessions")
    assert (answer["sessions"], answer["subscriptions"]) == (0, 0)


async def test_a_point_that_became_another_kind_stops_its_twin_only(plant: NodeOpcua) -> None:
    """The world keeps what a point once was; the message says so, and the rest is mirrored."""
    sink = MemorySink("plc")
    before = Twin("plc/Bulk", points=(PointType("V00000", Kind.TEXT),))
    await sink.declare(Edits((PutTwin(Twin("plc")), PutTwin(before))))
    connector = opcua(plant.url)
    async with mirrored(connector, sink):
        assert now(sink, "plc/Kinds", "String") == ("grüß", 0)
        assert ("plc/Bulk", "V00001") not in connector._items
    assert sink.counts["edit_refused"] >= 1
    told = [e.message.best("en") for e in sink.events]
    assert any(
        "plc/Bulk.V00000" in text and "declare it under another name" in text for text in told
    )


def test_a_clock_that_jumps_is_noticed_once() -> None:
    clock = Clock()
    second = 1_000_000_000
    for server, here, jump in ((100, 99, 0), (101, 100, 0), (3700, 101, 3598), (3701, 102, 0)):
        clock.note(server * second, here * second)
        assert clock.jumped_ns == jump * second
    assert clock.server_ns(103 * second) == 3702 * second


# --- who may


async def test_a_certificate_is_asked_for_trust_and_remembered(
    start_server: Callable[..., NodeOpcua], tmp_path: Path
) -> None:
    peer = start_server(bulk=1, secure=True)
    connector = opcua(peer.url, state_dir=tmp_path)
    async with running(connector, MemorySink("plc")) as task:
        await until(lambda: connector.link.state is LinkState.REFUSED, "the refusal")
        pending = connector.pending_certificate()
        assert pending is not None and "mirrorworld trust" in connector.link.detail
        assert pending.fingerprint[:8].upper() in connector.link.detail.replace(":", "")
        assert "NodeOPCUA" in pending.subject and pending.detail
        for wrong in ("", "00", "ab" * 32):
            with pytest.raises(ValueError, match="fingerprint"):
                connector.trust(wrong)
        # Another process finds the same question, and answers it.
        other = opcua(peer.url, state_dir=tmp_path)
        assert other.pending_certificate() == pending
        connector.trust(pending.fingerprint.upper())
        await is_live(connector, task)
        assert "Basic256Sha256,SignAndEncrypt" in connector.link.detail
    assert connector.pending_certificate() is None
    key = tmp_path / "opcua" / "own" / "key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    again = opcua(peer.url, state_dir=tmp_path)
    async with running(again, MemorySink("plc")) as task:
        await is_live(again, task)
    with pytest.raises(SourceError, match=r"security 'none'.*it offers Basic256Sha256"):
        await opcua(peer.url, security="none").discover()


async def test_logins(
    start_server: Callable[..., NodeOpcua], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peer = start_server(bulk=1, users={"ada": "s3cret-word"})
    with pytest.raises(SourceError, match="without a login; give a user name"):
        await opcua(peer.url).discover()
    right = opcua(peer.url, state_dir=tmp_path, login="ada:s3cret-word")
    assert await right.fetch_certificate() is not None
    pending = right.pending_certificate()
    assert pending is not None
    right.trust(pending.fingerprint)
    wrong = opcua(peer.url, state_dir=tmp_path, login="ada:other-word")
    with pytest.raises(SourceError, match="login was refused; check user name and password"):
        await wrong.discover()
    assert await right.discover()
    in_url = opcua(f"opc.tcp://ada:s3cret-word@127.0.0.1:{peer.port}", state_dir=tmp_path)
    assert await in_url.discover()
    for text in (caplog.text, repr(right), repr(in_url), repr(in_url.link)):
        assert "s3cret-word" not in text and "other-word" not in text


async def test_unknown_host_is_told() -> None:
    with pytest.raises(SourceError, match=r"no such host; check the name"):
        await opcua("opc.tcp://no-such-host.invalid:4840").discover()


async def test_too_many_sessions_are_told(start_server: Callable[..., NodeOpcua]) -> None:
    peer = start_server(bulk=1, max_sessions=1)
    async with mirrored(opcua(peer.url), MemorySink("plc")):
        with pytest.raises(SourceError, match="no session left"):
            await opcua(peer.url).discover()
