"""A client for tests: publishes as a plant would, and hears what anyone sends to the plant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from mirrorworld.connectors.mqtt_packets import V5, ConnectOptions, publish_packet
from mirrorworld.connectors.mqtt_wire import Connection, Publishes


class Publisher:
    """A client of the test's own: publishes, and hears what anyone publishes as a command."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.heard: list[tuple[str, bytes]] = []
        self.connection: Connection | None = None

    async def open(
        self, filters: Sequence[str] = ("+/+/set", "cmd/#"), client_id: str = "test-publisher"
    ) -> None:
        def on_publishes(publishes: Publishes) -> None:
            for topic, payload in zip(publishes.topics, publishes.payloads, strict=True):
                self.heard.append((topic.decode(), payload))

        options = ConnectOptions(client_id, is_clean=True)
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(options, on_publishes, set()), self.host, self.port
        )
        accepted = await connection.accepted
        assert accepted.code == 0
        if filters:
            await connection.subscribe([(f, 1) for f in filters])
        self.connection = connection

    async def publish(
        self, topic: str, payload: object, qos: int = 1, *, is_retained: bool = False
    ) -> None:
        """Publishes and, for QoS 1, waits for the broker to have it."""
        assert self.connection is not None
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        if is_retained:  # the client itself never publishes so
            packet = publish_packet(topic, raw, version=V5, is_retained=True)
            self.connection._write(packet)
        else:
            await self.connection.publish(topic, raw, qos=qos)

    async def released(self, packet_id: int) -> None:
        """Goes through the rest of a QoS 2 handshake for a PUBLISH written before."""
        assert self.connection is not None
        for packet in (b"", bytes((0x62, 2)) + packet_id.to_bytes(2, "big")):
            self.connection._write(packet)
            answer = asyncio.get_running_loop().create_future()
            self.connection._waiting[packet_id] = answer
            await answer

    def close(self) -> None:
        if self.connection is not None:
            self.connection.disconnect()
