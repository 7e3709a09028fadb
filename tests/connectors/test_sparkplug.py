"""Sparkplug B over a real broker: the contract, births and deaths, gaps and rebirths."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import pytest

from mirrorworld.connectors import sparkplug_payload as codec
from mirrorworld.connectors.sparkplug import Sparkplug
from mirrorworld.connectors.sparkplug_payload import DataType, Metric
from mirrorworld.testing.connectors import (
    SOURCE_NS,
    ConnectorContract,
    WatchingSink,
    is_live,
    running,
    until,
)
from mirrorworld.world import quality
from mirrorworld.world.changes import Command, CommandState
from mirrorworld.world.model import Kind, Scalar
from mirrorworld.world.ports import SourceConfig
from tests.connectors.mqtt_publisher import Publisher

pytestmark = pytest.mark.peer


class EdgeNode:
    """An edge node with one device, as a plant would run it."""

    def __init__(self, publisher: Publisher, group: str = "plant", name: str = "edge1") -> None:
        self.publisher, self.group, self.name = publisher, group, name
        self.seq = -1
        self.bd_seq = 0

    def next_seq(self) -> int:
        self.seq = (self.seq + 1) % 256
        return self.seq

    async def send(self, type_: str, metrics: Sequence[Metric], ns: int, device: str = "") -> None:
        seq = None if type_ == "NDEATH" else self.next_seq()
        topic = f"spBv1.0/{self.group}/{type_}/{self.name}" + (f"/{device}" if device else "")
        raw = codec.encode(metrics, ns // 1_000_000, seq)
        await self.publisher.publish(topic, raw)

    async def birth(self, ns: int, metrics: Sequence[Metric] = ()) -> None:
        self.seq = -1
        self.bd_seq += 1
        control = Metric("Node Control/Rebirth", datatype=DataType.BOOLEAN, value=False)
        bd_seq = Metric("bdSeq", datatype=DataType.INT64, value=self.bd_seq)
        await self.send("NBIRTH", [bd_seq, control, *metrics], ns)

    async def device_birth(
        self, ns: int, metrics: Sequence[Metric], device: str = "filler"
    ) -> None:
        await self.send("DBIRTH", metrics, ns, device)

    async def data(self, ns: int, metrics: Sequence[Metric], device: str = "filler") -> None:
        await self.send("DDATA", metrics, ns, device)

    async def death(self, ns: int) -> None:
        bd_seq = Metric("bdSeq", datatype=DataType.INT64, value=self.bd_seq)
        await self.send("NDEATH", [bd_seq], ns)


LEVEL = Metric(
    "Tank/Level",
    alias=7,
    datatype=DataType.DOUBLE,
    value=1.0,
    properties={"engUnit": "mm", "engLow": 0.0, "engHigh": 5000.0},
)


def level(value: float | None, alias: int | None = 7) -> Metric:
    return Metric(
        "" if alias is not None else "Tank/Level", alias, None, DataType.DOUBLE, value=value
    )


class SparkplugRig:
    schemes = ("sparkplug", "sparkplugs")
    is_live = True
    bad_urls = ("sparkplug://", "sparkplug://host:notaport", "mqtt://host")
    bad_options: Mapping[str, Scalar] = {"rebirth": "perhaps", "rebirth_interval_s": -1}

    def __init__(self, broker, free_port: Callable[[], int]) -> None:
        self.broker = broker
        self.publisher = Publisher(broker.host, broker.port)
        self.node = EdgeNode(self.publisher)
        self.unreachable_url = f"sparkplug://127.0.0.1:{free_port()}"

    async def open(self) -> None:
        await self.publisher.open(("spBv1.0/+/NCMD/#", "spBv1.0/+/DCMD/#"))

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
        state_dir=None,
    ) -> Sparkplug:
        url = url or f"sparkplug://{self.broker.host}:{self.broker.port}"
        given = {"listen_s": 0.5} | dict(options or {})
        return Sparkplug(SourceConfig(url, name, given, username, password, state_dir))

    def point(self, name: str) -> tuple[str, str]:
        return f"{name}/plant/edge1/filler", "Tank/Level"

    async def emit(self, value: float, source_ns: int) -> None:
        raw_birth = codec.encode([LEVEL], source_ns // 1_000_000 - 1, 1)
        node = codec.encode(
            [Metric("bdSeq", datatype=DataType.INT64, value=1)], source_ns // 1_000_000 - 1, 0
        )
        data = codec.encode([level(value)], source_ns // 1_000_000, 2)
        publish = self.publisher.publish
        # No edge node keeps its births at the broker; here they are, for who looks later.
        await publish("spBv1.0/plant/NBIRTH/edge1", node, is_retained=True)
        await publish("spBv1.0/plant/DBIRTH/edge1/filler", raw_birth, is_retained=True)
        await publish("spBv1.0/plant/DDATA/edge1/filler", data)

    async def vanish(self) -> None:
        self.publisher.close()
        self.broker.kill()

    async def come_back(self) -> None:
        await asyncio.to_thread(self.broker.start)
        await self.open()

    async def received_writes(self) -> Sequence[object]:
        return self.publisher.heard

    def command(self, name: str) -> Command | None:
        return Command("c1", f"{name}/plant/edge1/filler", "Tank/Level", value=42.5)


@pytest.fixture
async def rig(mosquitto, free_port) -> AsyncIterator[SparkplugRig]:
    rig = SparkplugRig(mosquitto, free_port)
    await rig.open()
    yield rig
    rig.publisher.close()


class TestSparkplug(ConnectorContract):
    pass


async def test_births_make_twins_with_units_and_ranges(rig: SparkplugRig) -> None:
    connector, sink = rig.connector(), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        odd = Metric("Speed", datatype=DataType.INT32, value=-5, properties={"engUnit": "furlong!"})
        text = Metric("Order", datatype=DataType.STRING, value="A-17")
        await rig.node.birth(SOURCE_NS, [Metric("CPU", datatype=DataType.FLOAT, value=0.5)])
        await rig.node.device_birth(SOURCE_NS, [LEVEL, odd, text])
        await until(lambda: len(sink.samples()) == 4, "four values of two births")
    world = sink.inner.world
    twin = world.structure.twins["source/plant/edge1/filler"]
    assert twin.type == "sparkplug:Device"
    points = {p.name: p.type for p in world.structure.points_of(twin.id)}
    assert (points["Tank/Level"].unit, points["Tank/Level"].high) == ("mm", 5000.0)
    assert (points["Speed"].kind, points["Speed"].unit) == (Kind.INT, "")
    assert twin.property("unrecognised_units/Speed").value == "furlong!"
    assert sink.counts["unit_unknown"] == 1
    targets = {r.source: r.target for r in world.structure.relations.values()}
    assert targets[twin.id] == "source/plant/edge1"
    assert targets["source/plant/edge1"] == "source/plant"
    values = {s.point: s.value for s in sink.samples()}
    assert values == {"CPU": 0.5, "Tank/Level": 1.0, "Speed": -5, "Order": "A-17"}


async def test_aliases_belong_to_one_birth(rig: SparkplugRig) -> None:
    """A new birth may give the same alias to another metric."""
    connector, sink = rig.connector(), WatchingSink()
    other = Metric("Pressure", alias=7, datatype=DataType.DOUBLE, value=0.0)
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.node.birth(SOURCE_NS)
        await rig.node.device_birth(SOURCE_NS, [LEVEL])
        await rig.node.data(SOURCE_NS + 10**9, [level(2.0)])
        await rig.node.birth(SOURCE_NS + 2 * 10**9)
        await rig.node.device_birth(SOURCE_NS + 2 * 10**9, [other])
        await rig.node.data(SOURCE_NS + 3 * 10**9, [level(3.0)])
        await until(lambda: len(sink.samples()) == 4, "four samples")
    got = [(s.point, s.value) for s in sink.samples()]
    assert got == [("Tank/Level", 1.0), ("Tank/Level", 2.0), ("Pressure", 0.0), ("Pressure", 3.0)]
    assert not await rig.received_writes()


async def test_gap_makes_uncertain_until_the_rebirth_it_asks_for(rig: SparkplugRig) -> None:
    connector, sink = rig.connector(), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.node.birth(SOURCE_NS)
        await rig.node.device_birth(SOURCE_NS, [LEVEL])
        rig.node.next_seq()  # a message that never arrives
        for i in range(1, 4):
            await rig.node.data(SOURCE_NS + i * 10**9, [level(float(i + 1))])
        await until(lambda: len(sink.samples()) == 4, "the samples after the gap")
        await until(lambda: rig.publisher.heard, "the request for a rebirth")
        await rig.node.birth(SOURCE_NS + 5 * 10**9)
        await rig.node.device_birth(SOURCE_NS + 5 * 10**9, [LEVEL])
        await rig.node.data(SOURCE_NS + 6 * 10**9, [level(9.0)])
        await until(lambda: len(sink.samples()) == 6, "the samples after the rebirth")
    qualities = [quality.severity(s.quality) for s in sink.samples()]
    assert qualities == ["good", "uncertain", "uncertain", "uncertain", "good", "good"]
    assert sink.counts["sparkplug_sequence_gap"] == 1
    assert len(rig.publisher.heard) == 1, "asked more than once within the interval"
    topic, raw = rig.publisher.heard[0]
    (metric,) = codec.decode(raw).metrics
    assert (topic, metric.name, metric.value) == (
        "spBv1.0/plant/NCMD/edge1",
        "Node Control/Rebirth",
        1,
    )


async def test_data_before_birth_asks_unless_told_not_to(rig: SparkplugRig) -> None:
    for asks in (False, True):
        connector, sink = rig.connector(options={"rebirth": asks}), WatchingSink()
        async with running(connector, sink) as task:
            await is_live(connector, task)
            await rig.node.data(SOURCE_NS, [level(2.0)])
            await until(lambda s=sink: s.counts.get("sparkplug_data_before_birth"), "the count")
            if asks:
                await until(lambda: rig.publisher.heard, "the request for a rebirth")
            else:
                assert not rig.publisher.heard


async def test_death_of_this_birth_and_not_of_another(rig: SparkplugRig) -> None:
    connector, sink = rig.connector(), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.node.birth(SOURCE_NS)
        order = Metric("Order", datatype=DataType.STRING, value="A-17")
        await rig.node.device_birth(SOURCE_NS, [LEVEL, order])
        await rig.node.data(SOURCE_NS + 10**9, [level(2.0)])
        rig.node.bd_seq -= 1
        await rig.node.death(SOURCE_NS)
        rig.node.bd_seq += 1
        await until(lambda: sink.counts.get("sparkplug_death_of_an_earlier_birth"), "the count")
        await until(lambda: len(sink.samples()) == 3, "three samples")
        await rig.node.death(SOURCE_NS)
        await until(lambda: len(sink.samples()) == 5, "two bad samples")
        dead = {s.point: s for s in sink.samples()[3:]}
        assert dead["Tank/Level"].value == 2.0
        assert dead["Order"].value == "A-17"
        assert {s.quality for s in dead.values()} == {quality.BAD_NO_COMMUNICATION}
        answer = await connector.write(
            Command("c", "source/plant/edge1/filler", "Tank/Level", value=1.0)
        )
        assert answer.state is CommandState.REFUSED
        await rig.node.birth(SOURCE_NS + 2 * 10**9)
        await rig.node.device_birth(SOURCE_NS + 2 * 10**9, [LEVEL, order])
        await until(lambda: len(sink.samples()) == 7, "alive again")
    world = sink.inner.world
    (handle,) = world.handles([("source/plant/edge1/filler", "Tank/Level")])
    assert world.read(world.handles([("source/plant/edge1/filler", "Tank/Level")])).quality[0] == 0
    assert world.value(int(handle)) == 1.0


async def test_waiting_data_is_read_after_a_restart(rig: SparkplugRig, tmp_path) -> None:
    """The broker keeps what came while we were away; the births are not among it."""
    options = {"client_id": "mw-restart"}
    sink = WatchingSink()
    connector = rig.connector(options=options, state_dir=tmp_path)
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.node.birth(SOURCE_NS)
        await rig.node.device_birth(SOURCE_NS, [LEVEL])
        await until(lambda: len(sink.samples()) == 1, "the birth's value")
        await until(lambda: not connector._session._held, "the births to be acknowledged")
    for i in range(1, 11):
        await rig.node.data(SOURCE_NS + i * 10**9, [level(float(i))])
    connector = rig.connector(options=options, state_dir=tmp_path)
    async with running(connector, sink) as task:
        await until(lambda: len(sink.samples()) == 11, f"ten that waited; {sink.counts}")
    assert [s.value for s in sink.samples()[1:]] == [float(i) for i in range(1, 11)]
    assert all(quality.severity(s.quality) == "uncertain" for s in sink.samples()[1:])


async def test_templates_tables_arrays_and_states(rig: SparkplugRig) -> None:
    connector, sink = rig.connector(), WatchingSink()
    motor = codec.Template(
        metrics=[Metric("Speed", datatype=DataType.INT32, value=7)], template_ref="Motor"
    )
    table = codec.DataSet(["a", "b"], [int(DataType.INT32), int(DataType.STRING)], [[-1, "x"]])
    metrics = [
        Metric("M1", alias=1, datatype=DataType.TEMPLATE, value=motor),
        Metric("Table", alias=2, datatype=DataType.DATASET, value=table),
        Metric("Wave", alias=3, datatype=DataType.INT16_ARRAY, value=[1, -2, 3]),
        Metric("File", alias=4, datatype=DataType.BOOLEAN, value=True),
    ]
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.node.birth(SOURCE_NS)
        await rig.node.device_birth(SOURCE_NS, metrics)
        motor.metrics[0].value = 8
        again = [
            Metric("", 1, datatype=DataType.TEMPLATE, value=motor),
            Metric("", 3, datatype=DataType.INT16_ARRAY, value=[4]),
        ]
        await rig.node.data(SOURCE_NS + 10**9, again)
        state = b'{"online": true, "timestamp": 1700000000000}'
        await rig.publisher.publish("spBv1.0/STATE/scada", state)
        await until(lambda: len(sink.samples()) == 7, f"seven samples; {sink.counts}")
    got = {(s.point, str(s.value)) for s in sink.samples()}
    assert ("M1/Speed", "7") in got and ("M1/Speed", "8") in got
    assert ("Table", '{"columns": ["a", "b"], "rows": [[-1, "x"]]}') in got
    waves = [s.value for s in sink.samples() if s.point == "Wave"]
    assert waves == ["array([ 1, -2,  3], dtype=int16)", "array([4], dtype=int16)"]
    assert ("online", "True") in got


async def test_commands_to_devices_and_operations_of_nodes(rig: SparkplugRig) -> None:
    connector, sink = rig.connector(), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.node.birth(SOURCE_NS)
        speed = Metric("Speed", alias=3, datatype=DataType.UINT8, value=1)
        await rig.node.device_birth(SOURCE_NS, [speed])
        await until(sink.samples, "the birth")
        twin = "source/plant/edge1/filler"
        now = time.time_ns()
        answers = [
            await connector.write(Command("c1", twin, "Speed", value=200, requested_ns=now)),
            await connector.write(Command("c2", twin, "Speed", value=256, requested_ns=now)),
            await connector.write(Command("c3", twin, "Speed", value="fast", requested_ns=now)),
            await connector.write(Command("c4", twin, "Speed", value=1, requested_ns=1)),
            await connector.write(Command("c5", "source/plant/edge1", operation="Rebirth")),
        ]
        states = [a.state.name for a in answers]
        assert states == ["SENT", "REFUSED", "REFUSED", "REFUSED", "SENT"], answers
        await until(lambda: len(rig.publisher.heard) == 2, "two commands")
    (topic, raw), (node_topic, _) = rig.publisher.heard
    (metric,) = codec.decode(raw).metrics
    assert (topic, metric.alias, metric.value) == ("spBv1.0/plant/DCMD/edge1/filler", 3, 200)
    assert node_topic == "spBv1.0/plant/NCMD/edge1"


async def test_folders_of_metrics_become_twins_where_that_is_asked_for(rig: SparkplugRig) -> None:
    """§6.4.6: `/` in a metric's name makes a hierarchy. A command goes to the whole name."""
    connector, sink = rig.connector(options={"folders": True}), WatchingSink()
    meaning = {"engUnit": "Cel", "semanticId": "https://example.org/Zone_Air_Temperature"}
    warm = Metric("F1/R3/Temp", None, None, DataType.FLOAT, value=21.5, properties=meaning)
    light = Metric("F1/R3/Light", alias=9, datatype=DataType.DOUBLE, value=40.0)
    power = Metric("Power", alias=10, datatype=DataType.DOUBLE, value=7.0)
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.node.birth(SOURCE_NS)
        await rig.node.device_birth(SOURCE_NS, [warm, light, power])
        await until(lambda: len(sink.samples()) == 3, "the births")
        data = Metric(alias=9, datatype=DataType.DOUBLE, value=55.0)
        await rig.node.data(SOURCE_NS + 5_000_000, [data])
        await until(lambda: len(sink.samples()) == 4, "data by alias")
        room, now = "source/plant/edge1/filler/F1/R3", time.time_ns()
        answer = await connector.write(Command("c1", room, "Temp", value=23.0, requested_ns=now))
        assert answer.state is CommandState.SENT, answer
        await until(lambda: rig.publisher.heard, "the command")
    (_, raw), *_ = rig.publisher.heard
    assert [(m.name, m.value) for m in codec.decode(raw).metrics] == [("F1/R3/Temp", 23.0)]
    structure = sink.inner.world.structure
    points = {p.name: p.type for p in structure.points_of(room)}
    assert set(points) == {"Temp", "Light"}
    assert points["Temp"].semantic_ids == ("https://example.org/Zone_Air_Temperature",)
    assert [p.name for p in structure.points_of("source/plant/edge1/filler")] == ["Power"]
    above = {r.source: r.target for r in structure.relations.values()}
    assert above[room] == "source/plant/edge1/filler/F1"
    assert above["source/plant/edge1/filler/F1"] == "source/plant/edge1/filler"
    assert {s.point: s.value for s in sink.samples()}["Light"] == 55.0
