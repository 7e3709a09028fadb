"""MQTT against a real broker: the contract, and what is particular to it."""

from __future__ import annotations

import asyncio
import csv
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime

import pytest

from mirrorworld.connectors.mqtt import Mqtt
from mirrorworld.connectors.mqtt_packets import V5, publish_packet
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
from tests.connectors.mqtt_publisher import Publisher

pytestmark = pytest.mark.peer


class MqttRig:
    """A mosquitto with one machine publishing."""

    schemes = ("mqtt", "mqtts")
    is_live = True
    bad_urls = ("mqtt://", "mqtt://host:notaport", "mqtt://ho st", "mqtt://host:0", "ftp://host")
    bad_options: Mapping[str, Scalar] = {
        "qos": 3,
        "version": "2",
        "keepalive_s": "often",
        "command_topic": "{nothing}/set",
        "zone": "Nowhere/Land",
        "topics": "a/#/b",
    }

    def __init__(self, broker, free_port: Callable[[], int]) -> None:
        self.broker = broker
        self.publisher = Publisher(broker.host, broker.port)
        self.unreachable_url = f"mqtt://127.0.0.1:{free_port()}"
        self.writes: list[object] = []

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Mqtt:
        given = {"listen_s": 0.5, "command_topic": "cmd/{topic}/{point}"} | dict(options or {})
        return Mqtt(SourceConfig(url or self.broker.url, name, given, username, password))

    def point(self, name: str) -> tuple[str, str]:
        return f"{name}/hall/oven", "temperature"

    async def emit(self, value: float, source_ns: int) -> None:
        payload = {"ts": source_ns // 1_000_000, "temperature": value}
        # Kept by the broker, so that who looks later sees it too.
        await self.publisher.publish("hall/oven", payload, is_retained=True)
        await self.publisher.publish("hall/oven/heartbeat", 1)

    async def vanish(self) -> None:
        self.publisher.close()
        self.broker.kill()

    async def come_back(self) -> None:
        await asyncio.to_thread(self.broker.start)
        await self.publisher.open()

    async def received_writes(self) -> Sequence[object]:
        return self.publisher.heard

    def command(self, name: str) -> Command | None:
        return Command("c1", f"{name}/hall/oven", "temperature", value=42.5)


class TestMqtt(ConnectorContract):
    pass


# --- acknowledging --------------------------------------------------------------------------


@pytest.fixture
async def rig(mosquitto, free_port) -> AsyncIterator[MqttRig]:
    rig = MqttRig(mosquitto, free_port)
    await rig.publisher.open()
    yield rig
    rig.publisher.close()


class SlowDisk(WatchingSink):
    """A sink whose disk waits to be told, or fails."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def durable(self, ticket: int) -> None:
        await self.gate.wait()
        await super().durable(ticket)


def values(sink: WatchingSink) -> list[object]:
    return [s.value for s in sink.samples()]


async def test_nothing_is_acknowledged_before_it_is_durable(rig: MqttRig, tmp_path) -> None:
    """What was received and not on disk comes again to a new process: the broker still has it."""
    options = {"client_id": "mw-durable"}
    connector, sink = rig.connector(options=options), SlowDisk()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for i in range(5):
            await rig.publisher.publish("a/x", {"ts": 1_700_000_000_000 + i, "v": i})
        await until(lambda: len(values(sink)) == 5, "five values")
    # Gone without a fsync. A fresh world, as after a power cut that lost all of it.
    connector, sink = rig.connector(options=options), WatchingSink()
    async with running(connector, sink) as task:
        await until(lambda: len(values(sink)) == 5, "the same five, from the broker")
        await until(lambda: "durable" in sink.log, "the fsync")
    # And now that they were acknowledged, no more.
    connector, sink = rig.connector(options=options), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.publisher.publish("a/x", {"ts": 1_700_000_000_100, "v": 99})
        await until(lambda: values(sink), "the new value")
    assert values(sink) == [99.0]


async def test_messages_while_down_are_delivered_once(rig: MqttRig) -> None:
    """Untimed values too, which nothing but the packet id could tell from a repetition."""
    connector, sink = rig.connector(options={"client_id": "mw-down"}), SlowDisk()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for i in range(5):
            await rig.publisher.publish("a/x", i)
        await until(lambda: len(values(sink)) == 5, "five values")
        # The connection breaks while all five wait for the disk.
        connector._session.connection.abort()
        await until(lambda: connector.link.state is LinkState.LOST, "the loss")
        for i in range(5, 8):
            await rig.publisher.publish("a/x", i)
        sink.gate.set()
        await until(lambda: len(values(sink)) >= 8, "three that waited at the broker")
        await rig.publisher.publish("a/x", 100)
        await until(lambda: 100.0 in values(sink), "one after that")
    assert values(sink) == [*(float(i) for i in range(8)), 100.0]
    assert sink.counts["mqtt_repeated_by_broker"] == 5


async def test_full_disk_acknowledges_nothing_and_says_so(rig: MqttRig) -> None:
    connector, sink = rig.connector(options={"client_id": "mw-full"}), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        sink.inner.fails_durable = True
        await rig.publisher.publish("a/x", {"ts": 1_700_000_000_000, "v": 1})
        await until(lambda: "no space" in connector.link.detail, "the reason in the link")
        assert connector.link.state is LinkState.LOST
        assert not task.done()
        sink.inner.fails_durable = False
        await until(lambda: connector.link.state is LinkState.LIVE, "another try")
        await until(lambda: "durable" in sink.log, "the same message, durable at last")
    assert set(values(sink)) == {1.0}
    assert sink.inner.tally.accepted == 1


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_every_message_once_in_order(rig: MqttRig, version: str, qos: int) -> None:
    connector, sink = rig.connector(options={"version": version, "qos": qos}), WatchingSink()
    publisher = Publisher(rig.broker.host, rig.broker.port)
    n = 300
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await publisher.open((), client_id="other")
        for i in range(n):
            packet = publish_packet("a/x", str(i).encode(), version=V5, qos=qos, packet_id=i + 1)
            publisher.connection._write(packet)
            if qos == 2:
                await publisher.released(i + 1)
        await until(lambda: len(values(sink)) >= n, f"{n} values")
    publisher.close()
    assert values(sink) == [float(i) for i in range(n)]


async def test_memory_is_bounded_while_the_disk_is_slow(rig: MqttRig) -> None:
    """Reading stops; the broker keeps the rest, and all of it arrives in the end."""
    connector, sink = rig.connector(options={"max_held_mib": 1}), SlowDisk()
    payload = "x" * 50_000
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for i in range(80):
            await rig.publisher.publish("a/x", {"ts": 1_700_000_000_000 + i, "text": payload})
        session = connector._session
        await until(lambda: session.connection.is_paused, "reading to stop")
        assert session._held_bytes < 2 << 20
        assert len(values(sink)) < 80
        sink.gate.set()
        await until(lambda: len(values(sink)) == 80, "all of it")


# --- being let in ---------------------------------------------------------------------------


async def test_login(start_mosquitto, free_port, tmp_path) -> None:
    users = tmp_path / "users"
    users.write_text("operator:secret\n")
    users.chmod(0o600)
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not here; apt-get install mosquitto")
    subprocess.run([tool, "-U", str(users)], check=True)
    broker = start_mosquitto("allow_anonymous false", f"password_file {users}")
    rig = MqttRig(broker, free_port)
    for username, password in (("", ""), ("operator", "wrong")):
        connector = rig.connector(username=username, password=password)
        async with running(connector, WatchingSink()):
            await until(lambda c=connector: c.link.state is LinkState.REFUSED, "the refusal")
        with pytest.raises(SourceError, match="user name"):
            await connector.discover()
    connector = rig.connector(username="operator", password="secret")
    async with running(connector, WatchingSink()) as task:
        await is_live(connector, task)
    in_url = rig.connector(url=f"mqtt://operator:secret@127.0.0.1:{broker.port}")
    async with running(in_url, WatchingSink()) as task:
        await is_live(in_url, task)
        assert "secret" not in repr(in_url.link) + repr(in_url)


async def test_tls_trusted_and_not(start_mosquitto, free_port, certificates) -> None:
    broker = start_mosquitto(
        f"certfile {certificates.certificate}",
        f"keyfile {certificates.key}",
    )
    rig = MqttRig(broker, free_port)
    url = f"mqtts://localhost:{broker.port}"
    connector = rig.connector(url=url)
    async with running(connector, WatchingSink()):
        await until(lambda: connector.link.state is LinkState.REFUSED, "the refusal")
    assert "tls_ca" in connector.link.detail
    for options in ({"tls_ca": str(certificates.authority)}, {"tls_verify": False}):
        connector = rig.connector(url=url, options=options)
        async with running(connector, WatchingSink()) as task:
            await is_live(connector, task)
    with pytest.raises(SourceError, match="tls_ca"):
        await rig.connector(url=url, options={"tls_ca": "/nowhere.pem"}).discover()
    plain = rig.connector(url=f"mqtt://localhost:{broker.port}")
    async with running(plain, WatchingSink()):
        await until(lambda: plain.link.state is not LinkState.CONNECTING, "no answer in plain", 40)


async def test_who_is_no_broker_is_told_so(free_port, rig: MqttRig) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connector = rig.connector(url=f"mqtt://127.0.0.1:{port}")
    async with running(connector, WatchingSink()):
        await until(lambda: connector.link.state is LinkState.LOST, "the loss")
    assert "MQTT" in connector.link.detail
    server.close()
    await server.wait_closed()


async def test_unknown_host_names_it(rig: MqttRig) -> None:
    connector = rig.connector(url="mqtt://no-such-host.invalid")
    async with running(connector, WatchingSink()):
        await until(lambda: connector.link.state is LinkState.LOST, "the answer of the name server")
    assert "no-such-host.invalid" in connector.link.detail


async def test_client_id_is_remembered(rig: MqttRig, tmp_path) -> None:
    """So that the broker's session is found again after a restart."""
    seen = set()
    for _ in range(2):
        config = SourceConfig(rig.broker.url, "source", {}, state_dir=tmp_path)
        connector = Mqtt(config)
        async with running(connector, WatchingSink()) as task:
            await is_live(connector, task)
            options = connector._session.options
            seen.add(options.client_id)
            assert not options.is_clean and options.session_expiry_s > 0
    assert len(seen) == 1


async def test_sparkplug_is_recognised_among_other_topics(rig: MqttRig) -> None:
    from mirrorworld.connectors import sparkplug_payload as codec

    metric = codec.Metric("Level", 1, datatype=codec.DataType.DOUBLE, value=1.5)
    connector, sink = rig.connector(), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        raw = codec.encode([metric], 1_700_000_000_000, 0)
        await rig.publisher.publish("spBv1.0/plant/NBIRTH/edge", raw)
        await rig.publisher.publish("hall/x", 2)
        await until(lambda: len(values(sink)) == 2, "both")
    got = {(s.twin, s.point, s.value) for s in sink.samples()}
    assert got == {("source/plant/edge", "Level", 1.5), ("source/hall", "x", 2.0)}


async def test_own_commands_are_not_heard_as_data(rig: MqttRig) -> None:
    connector, sink = rig.connector(), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await rig.publisher.publish("hall/x", 2)
        await until(lambda: len(values(sink)) == 1, "the value")
        answer = await connector.write(Command("c", "source/hall", "x", value=7.0))
        assert answer.state is CommandState.SENT
        await until(lambda: rig.publisher.heard, "the command")
        assert rig.publisher.heard == [("cmd/hall/x", b"7.0")]
        await rig.publisher.publish("hall/x", 3)
        await until(lambda: len(values(sink)) == 2, "the next value")
    assert values(sink) == [2.0, 3.0]


def utc_ns(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp()) * 10**9


@pytest.mark.shared_data("skab")
async def test_testbed_through_the_broker_row_for_row(rig: MqttRig, shared_data) -> None:
    path = shared_data / "skab" / "valve1" / "1.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    connector, sink = rig.connector(), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for row in rows:
            payload = {k: v if k == "datetime" else float(v) for k, v in row.items()}
            await rig.publisher.publish("skab/valve1", payload)
        await until(lambda: len(sink.samples()) >= len(rows) * (len(rows[0]) - 1), "all rows", 60)
    got: dict[str, list[tuple[int, object]]] = {}
    for s in sink.samples():
        got.setdefault(s.point, []).append((s.source_ns, s.value))
    for point in set(rows[0]) - {"datetime"}:
        expected = [(utc_ns(r["datetime"]), float(r[point])) for r in rows]
        assert got[point] == expected, point
    assert sink.inner.tally.accepted == len(rows) * (len(rows[0]) - 1)
