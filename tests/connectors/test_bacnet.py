"""BACnet/IP against a device of another make (@bacnet-js/client): the contract, and its own."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mirrorworld import units
from mirrorworld.connectors.bacnet import Bacnet
from mirrorworld.connectors.bacnet_model import (
    BAD_DEVICE_FAILURE,
    BAD_OUT_OF_SERVICE,
    GOOD_LOCAL_OVERRIDE,
    UNITS,
)
from mirrorworld.testing.connectors import (
    ConnectorContract,
    WatchingSink,
    is_live,
    running,
    until,
)
from mirrorworld.world.changes import Command, CommandState
from mirrorworld.world.model import Kind, Scalar
from mirrorworld.world.ports import LinkState, SourceConfig
from mirrorworld.world.quality import UNCERTAIN_LAST_USABLE
from tests.connectors.opcua_peer import NodeOpcua

pytestmark = pytest.mark.peer

QUICK: Mapping[str, Scalar] = {
    "timeout_s": 0.5, "heartbeat_s": 0.3, "poll_s": 0.2, "refresh_s": 3600, "pause_ms": 0,
}  # fmt: skip


class NodeBacnet(NodeOpcua):
    """A device of @bacnet-js/client (tests/peers/bacnet_device.js)."""

    def __init__(self, node: str, peers: Path, **options: Any) -> None:
        super().__init__(node, peers, Path(), **options)
        self.script = peers / "bacnet_device.js"

    @property
    def url(self) -> str:
        return f"bacnet://127.0.0.1:{self.port}"


@pytest.fixture
def start_device(node: str, peers_dir: Path) -> Iterator[Callable[..., NodeBacnet]]:
    started: list[NodeBacnet] = []

    def start(**options: Any) -> NodeBacnet:
        peer = NodeBacnet(node, peers_dir, **options)
        started.append(peer)
        peer.start()
        return peer

    yield start
    for peer in started:
        peer.kill()


@pytest.fixture
def device(start_device: Callable[..., NodeBacnet]) -> NodeBacnet:
    return start_device()


def bacnet(peer: NodeBacnet, **options: Scalar) -> Bacnet:
    return Bacnet(SourceConfig(peer.url, "ahu", {**QUICK, **options}))


class BacnetRig:
    is_live = True
    has_source_time = False
    schemes = ("bacnet",)
    bad_urls: Sequence[str] = ("bacnet://", "bacnet://host:99999", "bacnet://[::1]", "http://host")
    bad_options: Mapping[str, Scalar] = {"cov": "perhaps", "priority": 17, "poll_s": "often"}
    unreachable_url = "bacnet://127.0.0.1:9"

    def __init__(self, peer: NodeBacnet) -> None:
        self.peer = peer

    def connector(
        self,
        *,
        url: str | None = None,
        name: str = "source",
        username: str = "",
        password: str = "",
        options: Mapping[str, Scalar] | None = None,
    ) -> Bacnet:
        given = {**QUICK, **(options or {})}
        return Bacnet(SourceConfig(url or self.peer.url, name, given, username, password))

    def point(self, name: str) -> tuple[str, str]:
        return name, "AHU1.SupplyTemp"

    async def emit(self, value: float, source_ns: int) -> None:
        await self.peer.asked("set", name="AHU1.SupplyTemp", value=value)

    async def vanish(self) -> None:
        await asyncio.to_thread(self.peer.kill)

    async def come_back(self) -> None:
        await asyncio.to_thread(self.peer.start)

    async def received_writes(self) -> Sequence[object]:
        return (await self.peer.asked("writes"))["writes"]

    def command(self, name: str) -> Command | None:
        return Command("c1", name, "AHU1.Setpoint", value=22.5)


class TestBacnet(ConnectorContract):
    @pytest.fixture
    def rig(self, device: NodeBacnet) -> BacnetRig:
        return BacnetRig(device)


def test_every_unit_is_ucum() -> None:
    from bacpypes3.basetypes import EngineeringUnits

    names = {str(EngineeringUnits(n)) for n in EngineeringUnits._asn1_map}
    assert set(UNITS) <= names, "a name that the standard does not know maps nothing"
    assert len(UNITS) > 130
    for name, ucum in UNITS.items():
        assert units.is_ucum(ucum), f"{name}: {ucum}"


async def test_objects_become_points(device: NodeBacnet) -> None:
    sink = WatchingSink()
    async with running(bacnet(device), sink):
        await until(lambda: len(sink.samples()) >= 7, "all first values")
    world = sink.inner.world
    named = {world.point(int(h))[1].name: world.point(int(h))[1] for h in range(world.n_points)}
    supply = named["AHU1.SupplyTemp"]
    assert (supply.kind, supply.unit, supply.low, supply.high) == (Kind.FLOAT, "Cel", -40, 120)
    assert supply.description.best() == "Supply air" and not supply.is_writable
    assert named["AHU1.Flow"].unit == "m3/h"
    assert named["AHU1.Setpoint"].is_writable
    assert named["Fan.Running"].labels == ((0, "stopped"), (1, "running"))
    assert named["Mode"].labels == ((1, "off"), (2, "day"), (3, "night"))
    values = {s.point: s.value for s in sink.samples()}
    assert values["Fan.Running"] is True and values["Mode"] == 2 and values["Message"] == "grüß"
    twin = world.structure.twins["ahu"]
    facts = {p.name: p.value for p in twin.properties}
    assert facts["vendor_name"] == "Test plant makers" and facts["device_instance"] == 1234
    assert device.ask("seen")["whoIs"] == 0, "nobody was asked who is there"


async def test_status_flags_become_quality_and_alarms(device: NodeBacnet) -> None:
    connector, sink = bacnet(device), WatchingSink()
    flags = {  # in alarm, fault, overridden, out of service
        (0, 1, 0, 0): BAD_DEVICE_FAILURE,
        (0, 0, 1, 0): GOOD_LOCAL_OVERRIDE,
        (0, 0, 0, 1): BAD_OUT_OF_SERVICE,
        (0, 0, 0, 0): 0,
    }
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for value, (bits, quality) in enumerate(flags.items(), 30):
            await device.asked("set", name="AHU1.SupplyTemp", value=value, bits=bits)
            await until(
                lambda v=value, q=quality: any(
                    s.value == v and s.quality == q for s in sink.samples()
                ),
                f"{value} with quality {quality:#x}",
            )
        await device.asked("set", name="AHU1.SupplyTemp", value=99, bits=[1, 0, 0, 0], state=3)
        await until(lambda: any(e.kind == "alarm" for e in sink.events), "the alarm")
        await device.asked("set", name="AHU1.SupplyTemp", value=20, bits=[0, 0, 0, 0], state=0)
        await until(lambda: len([e for e in sink.events if e.kind == "alarm"]) == 2, "its end")
    raised, gone = [e for e in sink.events if e.kind == "alarm"]
    assert (raised.id, raised.twin, raised.is_active) == ("ahu/alarm/AHU1.SupplyTemp", "ahu", True)
    assert raised.message.best("en") == "Supply air: high-limit"
    assert not gone.is_active and gone.message.best("en") == "Supply air: normal"


async def test_writes_by_priority_and_relinquishes(device: NodeBacnet) -> None:
    connector, sink = bacnet(device, priority=9), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        sent = await connector.write(Command("1", "ahu", "AHU1.Setpoint", value=23.5))
        assert sent.state is CommandState.SENT, sent.detail
        await until(lambda: any(s.value == 23.5 for s in sink.samples()), "the device's report")
        on = await connector.write(Command("2", "ahu", "Fan.Command", value=True))
        assert on.state is CommandState.SENT, on.detail
        back = await connector.write(
            Command("3", "ahu", operation="relinquish", arguments=(("point", "AHU1.Setpoint"),))
        )
        assert back.state is CommandState.CONFIRMED, back.detail
        await until(lambda: any(s.value == 20.0 for s in sink.samples()), "the default's return")
        for asked, word in (
            (Command("4", "ahu", "AHU1.Flow", value=1.0), "cannot be written"),
            (Command("5", "ahu", "AHU1.Setpoint", value="warm"), "not a number"),
            (Command("6", "ahu", "Mode", value=0), "counted from 1"),
            (Command("7", "ahu", "Mode", value=1), "write-access-denied"),
            (Command("8", "ahu", "Nothing", value=1), "no object"),
        ):
            answer = await connector.write(asked)
            assert answer.state is CommandState.REFUSED and word in answer.detail, answer
    assert device.ask("writes")["writes"] == [
        {"name": "AHU1.Setpoint", "value": 23.5, "priority": 9},
        {"name": "Fan.Command", "value": 1, "priority": 9},
        {"name": "AHU1.Setpoint", "value": None, "priority": 9},
    ]


@pytest.mark.parametrize(
    ("peer", "options"),
    [
        ({}, {"cov": "unconfirmed"}),
        ({}, {"cov": "off"}),
        ({"cov": False}, {}),
        ({"rpm": False}, {}),
        ({"wildcard": False}, {"device": 1234}),
        ({"bulk": 150}, {}),
    ],
    ids=["unconfirmed", "polled", "no-cov", "no-rpm", "by-instance", "long-list"],
)
async def test_devices_of_all_sorts(
    start_device: Callable[..., NodeBacnet], peer: dict[str, Any], options: dict[str, Scalar]
) -> None:
    device = start_device(**peer)
    connector, sink = bacnet(device, **options), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        for value in (31.5, 32.5):
            await device.asked("set", name="AHU1.Flow", value=value)
            await until(lambda v=value: any(s.value == v for s in sink.samples()), f"{value}")
        if "bulk" in peer:
            assert len({s.point for s in sink.samples()}) == 157
        flow = [s.value for s in sink.samples() if s.point == "AHU1.Flow"]
        await asyncio.sleep(0.5)
        again = [s.value for s in sink.samples() if s.point == "AHU1.Flow"]
        assert again == flow, "what has not changed is not reported again at each poll"


async def test_a_notification_that_was_lost_is_made_good(device: NodeBacnet) -> None:
    """The device has forgotten who wanted to be told (a restart that nobody noticed)."""
    connector, sink = bacnet(device, refresh_s=0.5), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await device.asked("forget")
        await device.asked("set", name="AHU1.SupplyTemp", value=77.5)
        await until(lambda: any(s.value == 77.5 for s in sink.samples()), "the change")


async def test_values_of_a_silent_device_are_no_longer_good(device: NodeBacnet) -> None:
    connector, sink = bacnet(device), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        await asyncio.to_thread(device.kill)
        await until(lambda: connector.link.state is LinkState.LOST, "the loss")
        await until(
            lambda: len([s for s in sink.samples() if s.quality == UNCERTAIN_LAST_USABLE]) == 7,
            "all points said to be uncertain",
        )
        assert any(e.id == "ahu/link" and e.is_active for e in sink.events)


async def test_it_lives_through_garbage(device: NodeBacnet) -> None:
    """Random datagrams, cut BACnet, and well-formed notifications from a stranger."""
    connector, sink = bacnet(device), WatchingSink()
    async with running(connector, sink) as task:
        await is_live(connector, task)
        assert connector._device is not None
        server: Any = connector._device._app.normal.server
        port = server.local_transport.get_extra_info("sockname")[1]
        before = len(sink.samples())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for i in range(2000):
                head = [b"", b"\x81", b"\x81\x0a\x00\x10\x01\x00", b"\x81\x0b\xff\xff", b"\x01"]
                stranger.sendto(head[i % 5] + os.urandom(i % 60), ("127.0.0.1", port))
                if i % 100 == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(0.3)
            # An UnconfirmedCOVNotification that analog-input 1 is 666.0, well formed.
            forged = bytes.fromhex(
                "0100 1002 0a1267 1c020004d2 2c00000001 3900"
                " 4e 0955 2e 4444268000 2f 096f 2e 820400 2f 4f"
            )
            forged = b"\x81\x0a" + (len(forged) + 4).to_bytes(2, "big") + forged

            def is_counted() -> bool:
                # Said again and again: a socket that is full of garbage drops some.
                stranger.sendto(forged, ("127.0.0.1", port))
                return sink.counts.get("foreign_datagrams", 0) >= 1

            await until(is_counted, "a stranger is counted")
        await device.asked("set", name="AHU1.SupplyTemp", value=55.5)
        await until(lambda: any(s.value == 55.5 for s in sink.samples()), "life after garbage")
        assert not any(s.value == 666.0 for s in sink.samples()), "a stranger was believed"
        assert len(sink.samples()) - before < 10
        assert connector.link.state is LinkState.LIVE


async def test_discover_shows_values_and_subscribes_to_nothing(device: NodeBacnet) -> None:
    (found,) = await bacnet(device).discover()
    assert dict(found.sample_values)["AHU1.SupplyTemp"] == 18.5
    assert "7 objects" in found.guessed
    assert device.ask("seen")["covs"] == 0
