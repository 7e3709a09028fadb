"""Finders against real peers: multicast-dns of Node, mosquitto, an OPC UA discovery server.

Everything stays on the loopback interface.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirrorworld.connectors.find_here import FindHere
from mirrorworld.connectors.find_mdns import FindMdns
from mirrorworld.connectors.find_mqtt import FindMqtt, branches, brokers, filters_of
from mirrorworld.connectors.find_opcua import FindOpcua
from mirrorworld.connectors.mqtt import Mqtt
from mirrorworld.world.ports import Finder, Reach, Sighting, SourceConfig
from tests.connectors.mqtt_publisher import Publisher

WITHIN_S = 40


class Around:
    """Surroundings that keep what they are told."""

    def __init__(self, *mirrored: SourceConfig, inbox: Path | None = None) -> None:
        self.reach = Reach.HERE
        self.inbox = inbox
        self.sources = list(mirrored)
        self.seen: dict[str, Sighting] = {}
        self.counts: Counter[str] = Counter()
        self.rounds = 0

    def mirrored(self) -> list[SourceConfig]:
        self.rounds += 1
        return self.sources

    def report(self, sighting: Sighting) -> None:
        self.seen[sighting.key] = sighting

    def withdraw(self, key: str) -> None:
        self.seen.pop(key, None)

    def count(self, what: str, n: int = 1) -> None:
        self.counts[what] += n

    def named(self, name: str) -> Sighting | None:
        return next((s for s in self.seen.values() if s.name == name), None)

    async def until(self, look: Callable[[], Any]) -> Any:
        async with asyncio.timeout(WITHIN_S):
            while not (found := look()):
                await asyncio.sleep(0.02)
        return found


@asynccontextmanager
async def looking(finder: Finder, around: Around) -> AsyncIterator[Around]:
    task = asyncio.create_task(finder.run(around))
    try:
        yield around
        assert not task.done() or task.exception() is None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def process(*command: str, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=cwd
    )
    try:
        assert child.stdout is not None and child.stdin is not None
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.communicate()


@pytest.fixture
def announce(node: str, peers_dir: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    from contextlib import ExitStack

    with ExitStack() as ending:

        def start(*services: dict[str, Any]) -> subprocess.Popen[str]:
            script = "mdns_announcer.js"
            return ending.enter_context(process(node, script, json.dumps(services), cwd=peers_dir))

        yield start


# --- mDNS ------------------------------------------------------------------------------------


@pytest.mark.peer
async def test_what_announces_itself_is_seen_and_its_goodbye_too(announce) -> None:
    markup = '<img src=x onerror="alert(1)">'
    child = announce(
        {
            "type": "_opcua-tcp._tcp",
            "name": "Press 7",
            "port": 4842,
            "host": "press7.local",
            "txt": {"path": "/UA/Press", "caps": "DA", "note": markup},
        },
        {"type": "_mqtt._tcp", "name": "Broker of Hall 3", "port": 11883},
        {"type": "_ipp._tcp", "name": "HP LaserJet", "port": 631},
        {"type": "_http._tcp", "name": "HP LaserJet web", "port": 80, "txt": {"ty": "printer"}},
        {"type": "_http._tcp", "name": "Energy meter 4", "port": 8080},
    )
    async with looking(FindMdns(), Around()) as around:
        press = await around.until(lambda: around.named("Press 7"))
        assert press.url == "opc.tcp://127.0.0.1:4842/UA/Press"
        assert press.what == "OPC UA server"
        assert "_opcua-tcp._tcp" in press.guessed
        assert press.detail.splitlines() == [
            "host=press7.local", "port=4842", "path=/UA/Press", "caps=DA", f"note={markup}",
        ]  # fmt: skip
        broker = await around.until(lambda: around.named("Broker of Hall 3"))
        assert broker.url == "mqtt://127.0.0.1:11883"
        meter = await around.until(lambda: around.named("Energy meter 4"))
        assert meter.url == ""  # only a person can say what it speaks
        assert not [s for s in around.seen.values() if "LaserJet" in s.name]
        assert child.stdin is not None
        child.stdin.write("Press 7\n")
        child.stdin.flush()
        await around.until(lambda: around.named("Press 7") is None)
        assert around.named("Broker of Hall 3")


@pytest.mark.peer
async def test_addresses_of_metadata_services_are_never_suggested(announce) -> None:
    announce(
        {
            "type": "_opcua-tcp._tcp",
            "name": "Lure",
            "port": 80,
            "host": "lure.local",
            "addresses": ["169.254.169.254"],
        },
        {
            "type": "_opcua-tcp._tcp",
            "name": "Two faces",
            "port": 4840,
            "host": "faces.local",
            "addresses": ["169.254.169.254", "127.0.0.1"],
        },
    )
    async with looking(FindMdns(), Around()) as around:
        faces = await around.until(lambda: around.named("Two faces"))
        assert faces.url == "opc.tcp://127.0.0.1:4840"
        await around.until(lambda: around.counts["mdns_no_address"])
        assert around.named("Lure") is None


@pytest.mark.peer
async def test_a_flood_of_names_is_bounded_counted_and_then_not_listened_to(announce) -> None:
    announce({"type": "_mqtt._tcp", "name": "Broker", "port": 1883, "count": 1200})
    async with looking(FindMdns(records_max=1000), Around()) as around:
        await around.until(lambda: around.counts["mdns_too_many"])
        await around.until(lambda: around.counts["mdns_flooded"])
        assert around.seen == {}  # nobody would hear when they go


# --- OPC UA ----------------------------------------------------------------------------------


def discovery_server(port: int, *named: str):
    script = Path(__file__).with_name("opcua_discovery_server.py")
    return process(sys.executable, str(script), str(port), *named)


@pytest.mark.peer
async def test_a_discovery_server_tells_of_others_and_only_private_ones_are_asked(
    node: str, peers_dir: Path, tmp_path: Path, free_port
) -> None:
    from tests.connectors.opcua_peer import NodeOpcua

    plant = NodeOpcua(node, peers_dir, tmp_path).start()
    port, silent = free_port(), free_port()
    try:
        with discovery_server(
            port,
            f"Plant={plant.url}",
            f"Gone=opc.tcp://127.0.0.1:{silent}",
            "Lure=opc.tcp://169.254.169.254:80",
            "Elsewhere=opc.tcp://192.0.2.1:4840",
            "Web=http://127.0.0.1:80",
        ):
            finder = FindOpcua(f"opc.tcp://127.0.0.1:{port}", every_s=600)
            async with looking(finder, Around()) as around:
                found = await around.until(lambda: around.named("Plant"))
                assert found.url == plant.url
                assert "FindServers" in found.guessed
                assert str(port) in found.guessed
                assert "security=" in found.detail
                await around.until(lambda: around.counts["opcua_address_not_asked"])
                assert around.counts["opcua_address_refused"] == 1
                urls = {s.url for s in around.seen.values()}
                assert urls <= {plant.url, f"opc.tcp://127.0.0.1:{port}"}
    finally:
        plant.kill()


@pytest.mark.peer
async def test_a_mirrored_server_is_asked_for_its_peers(
    node: str, peers_dir: Path, tmp_path: Path, free_port
) -> None:
    from tests.connectors.opcua_peer import NodeOpcua

    plant = NodeOpcua(node, peers_dir, tmp_path).start()
    try:
        # Nobody listens where a discovery server would be; the mirrored one names itself.
        finder = FindOpcua(f"opc.tcp://127.0.0.1:{free_port()}", every_s=600)
        async with looking(finder, Around(SourceConfig(plant.url, "plant"))) as around:
            found = await around.until(lambda: list(around.seen.values()))
            assert str(plant.port) in found[0].url
    finally:
        plant.kill()


# --- MQTT ------------------------------------------------------------------------------------


async def publish(broker, *messages: tuple[str, bytes]) -> None:
    """Publishes messages that the broker keeps."""
    client = Publisher(broker.host, broker.port)
    await client.open(filters=())
    for topic, payload in messages:
        await client.publish(topic, payload, is_retained=True)
    await client.publish("last", b"1")  # confirmed, and so all before it are there
    client.close()


@pytest.mark.peer
async def test_topics_that_nobody_mirrors_and_births_are_told(mosquitto) -> None:
    await publish(
        mosquitto,
        ("hall3/press/level", b"7"),
        ("office/coffee", b'{"cups": 3}'),
        ("office/lights", b"1"),
        ("spBv1.0/Paint/NBIRTH/Robot4", b"\x08\x01"),
    )
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    finder = FindMqtt(f"mqtt://localhost:{mosquitto.port}", every_s=600, listen_s=0.5)
    async with looking(finder, Around(SourceConfig(f"{url}/hall3", "hall"))) as around:
        office = await around.until(lambda: around.named("office"))
        assert office.url == f"mqtt://localhost:{mosquitto.port}/office"
        assert "topic=office/coffee" in office.detail
        births = await around.until(lambda: [s for s in around.seen.values() if "Paint" in s.name])
        assert births[0].url == f"sparkplug://localhost:{mosquitto.port}"
        assert births[0].what == "Sparkplug B"
        assert births[0].detail == "node=Paint/Robot4"
        assert around.named("hall3") is None
    # What it suggests is what a connector then mirrors.
    findings = await Mqtt(SourceConfig(office.url, "office", {"listen_s": 0.5})).discover()
    assert any("coffee" in finding.twin.id for finding in findings)
    assert not any("hall3" in finding.twin.id for finding in findings)


@pytest.mark.peer
async def test_a_broker_of_this_computer_that_wants_a_login_says_so(start_mosquitto) -> None:
    broker = start_mosquitto("allow_anonymous false")
    finder = FindMqtt(f"mqtt://localhost:{broker.port}", every_s=600, listen_s=0.2)
    async with looking(finder, Around()) as around:
        (seen,) = await around.until(lambda: list(around.seen.values()))
        assert seen.needs_login
        assert seen.url == f"mqtt://localhost:{broker.port}"


@pytest.mark.peer
async def test_a_broker_that_is_mirrored_whole_is_left_in_peace(mosquitto) -> None:
    await publish(mosquitto, ("office/coffee", b"3"))
    around = Around(SourceConfig(f"mqtt://localhost:{mosquitto.port}", "all"))
    finder = FindMqtt(f"mqtt://localhost:{mosquitto.port}", every_s=0.05, listen_s=0.2)
    async with looking(finder, around):
        await around.until(lambda: around.rounds >= 4)
    assert around.seen == {}


def test_branches_of_topics_that_no_filter_asks_for() -> None:
    topics = ["a/1", "a/2", "b/1", "$SYS/x", "c", "/lead"]
    assert branches(topics, ["b/#"]) == ["a", "", "c"]
    assert branches(topics, ["+/1"]) == []


def test_sources_of_one_broker_are_known_by_its_address() -> None:
    sources = [
        SourceConfig("mqtt://127.0.0.1/hall", "a"),
        SourceConfig("sparkplug://localhost:1883", "b"),
        SourceConfig("mqtts://user:pw@plant", "c"),
        SourceConfig("opc.tcp://plant", "d"),
    ]
    found = brokers(sources, "mqtt://localhost:1883")
    assert {k: [s.name for s in v] for k, v in found.items()} == {
        "mqtt://localhost:1883": ["a", "b"],
        "mqtts://plant:8883": ["c"],
    }
    assert filters_of(sources[0]) == ["hall/#"]
    assert filters_of(sources[1]) == ["spBv1.0/#"]
    assert filters_of(SourceConfig("mqtt://x", "e", {"topics": "p/#, q/#"})) == ["p/#", "q/#"]


# --- this computer ---------------------------------------------------------------------------


async def test_this_computer_and_what_is_dropped_into_the_inbox(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("root:x:0")
    (tmp_path / "link.csv").symlink_to(tmp_path / "secret")
    (tmp_path / "notes.txt").write_text("not a recording")
    async with looking(FindHere(every_s=0.02), Around(inbox=tmp_path)) as around:
        host = await around.until(lambda: around.seen.get("host://local"))
        assert host.what == "This computer"
        file = tmp_path / "line 1.csv"
        file.write_text("time,level\n2026-01-01T00:00:00Z,1\n")
        seen = await around.until(lambda: around.named("line 1.csv"))
        assert seen.url == str(file)
        assert {s.name for s in around.seen.values()} == {host.name, "line 1.csv"}
        file.unlink()
        await around.until(lambda: around.named("line 1.csv") is None)
