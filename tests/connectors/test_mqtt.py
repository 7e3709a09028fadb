"""MQTT against a real broker: the contract, and what is particular to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import pytest

from mirrorworld.connectors.mqtt import Mqtt
from mirrorworld.testing.connectors import ConnectorContract
from mirrorworld.world.changes import Command
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import SourceConfig
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
    @pytest.fixture
    async def rig(self, mosquitto, free_port) -> AsyncIterator[MqttRig]:
        rig = MqttRig(mosquitto, free_port)
        await rig.publisher.open()
        yield rig
        rig.publisher.close()
