"""The plant's edge nodes over Sparkplug B: one for each area, orders, crew and vehicles.

Births with names, aliases, units and ranges; data by alias and by exception, stamped with the
plant's own time; sequence numbers modulo 256, a death certificate as the will, rebirth on request
(Eclipse Sparkplug 3.0.0). They know the plant by its instruments alone.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final

from ..mqtt_publisher import Publisher
from ..sparkplug_payload import DataType, Metric, decode, encode
from . import instruments

GROUP: Final = "works"
REBIRTH: Final = "Node Control/Rebirth"
RETRY_S: Final = 0.02
RECONNECT_S: Final = 1.0


class EdgeNode:
    """One edge node; call `report` once a step."""

    def __init__(self, name: str, metrics: list[instruments.Metric], broker: str) -> None:
        host, _, port = broker.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"--mqtt '{broker}': give it as host:port")
        self.name, self._metrics = name, metrics
        self._host, self._port = host, int(port)
        self._last = [math.nan] * len(metrics)
        self._bd_seq = -1
        self._seq = 0
        self._is_birth_due = False
        self._publisher: Publisher | None = None
        self.sent = 0
        """Readings in all, those of births included."""

    async def start(self, time_ms: int) -> None:
        """Connects and is born; ConnectionError: the broker is not there."""
        self._bd_seq = (self._bd_seq + 1) % 256
        death = encode([self._bd_metric()], time_ms, None)
        publisher = Publisher(self._on_message)
        await publisher.connect(
            self._host, self._port, f"{GROUP}-{self.name}", self._topic("NDEATH"), death
        )
        publisher.subscribe(self._topic("NCMD"))
        self._publisher = publisher
        await self._give_birth(time_ms)

    async def stop(self, time_ms: int) -> None:
        """Dies in order."""
        if self._publisher is not None:
            await self._publish("NDEATH", encode([self._bd_metric()], time_ms, None))
            await self._publisher.close()

    async def report(self, time_ms: int) -> None:
        """Sends what has changed."""
        if self._publisher is None or self._publisher.closed.is_set():
            try:
                await self.start(time_ms)
            except ConnectionError:
                await asyncio.sleep(RECONNECT_S)
            return
        if self._is_birth_due:
            self._is_birth_due = False
            await self._give_birth(time_ms)
            return
        changed: list[Metric] = []
        last = self._last
        for alias, metric in enumerate(self._metrics):
            value = round(metric.read(), instruments.N_DIGITS)
            if value != last[alias]:
                last[alias] = value
                changed.append(Metric(value, metric.datatype, alias=alias + 1))
        if changed:
            self.sent += len(changed)
            await self._send("NDATA", changed, time_ms)

    async def _give_birth(self, time_ms: int) -> None:
        self._seq = 0
        born = [self._bd_metric(), Metric(False, DataType.BOOLEAN, REBIRTH)]
        for alias, metric in enumerate(self._metrics):
            value = round(metric.read(), instruments.N_DIGITS)
            self._last[alias] = value
            about: tuple[tuple[str, Any], ...] = (
                ("engUnit", metric.unit), ("engLow", 0.0), ("engHigh", float(metric.high)),
                ("readOnly", True),
            )  # fmt: skip
            born.append(Metric(value, metric.datatype, metric.name, alias + 1, about))
        self.sent += len(self._metrics)
        await self._send("NBIRTH", born, time_ms)

    async def _send(self, kind: str, metrics: list[Metric], time_ms: int) -> None:
        payload = encode(metrics, time_ms, self._seq)
        self._seq = (self._seq + 1) % 256
        await self._publish(kind, payload)

    async def _publish(self, kind: str, payload: bytes) -> None:
        """Waits while the way to the broker is full: a plant that runs fast must lose nothing."""
        publisher = self._publisher
        assert publisher is not None
        while not publisher.publish(self._topic(kind), payload):
            if publisher.closed.is_set():
                return
            await asyncio.sleep(RETRY_S)

    def _bd_metric(self) -> Metric:
        return Metric(self._bd_seq, DataType.INT64, "bdSeq")

    def _topic(self, kind: str) -> str:
        return f"spBv1.0/{GROUP}/{kind}/{self.name}"

    def _on_message(self, topic: str, payload: bytes) -> None:
        try:
            metrics = decode(payload)
        except ValueError:
            return
        self._is_birth_due |= any(m.name == REBIRTH and m.value for m in metrics)
