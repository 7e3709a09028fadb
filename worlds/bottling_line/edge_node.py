"""The plant's utilities as a Sparkplug B edge node: compressed air and energy meters.

Births with names, aliases and properties, data by alias and by exception, sequence numbers
modulo 256, a death certificate as the will, rebirth on request (Eclipse Sparkplug 3.0.0).
It knows the line only through the readings listed here.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ..mqtt_publisher import Publisher
from ..sparkplug_payload import DataType, Metric, decode, encode
from .line import Line
from .utilities import AirStation

GROUP: Final = "bottling"
NODE: Final = "utilities"
REBIRTH: Final = "Node Control/Rebirth"
RECONNECT_S: Final = 1.0


@dataclass(slots=True)
class _Reading:
    name: str
    unit: str
    low: float
    high: float
    read: Callable[[], float]
    noise: float = 0.0
    deadband: float = 0.0
    write: Callable[[float], None] | None = None
    alias: int = 0
    last: float = math.nan

    def now(self, rng: np.random.Generator) -> float:
        value = float(self.read())
        return value + self.noise * rng.standard_normal() if self.noise else value

    def birth(self, value: float) -> Metric:
        properties: tuple[tuple[str, Any], ...] = (
            ("engUnit", self.unit),
            ("engLow", self.low),
            ("engHigh", self.high),
            ("readOnly", self.write is None),
        )
        return Metric(value, DataType.DOUBLE, self.name, self.alias, properties)


class EdgeNode:
    """The edge node `utilities` in the group `bottling`; call `report` once a cycle."""

    def __init__(self, line: Line, broker: str) -> None:
        host, _, port = broker.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"--mqtt '{broker}': give it as host:port")
        self._host, self._port = host, int(port)
        self._devices = _devices(line)
        self._bd_seq = -1
        self._seq = 0
        self._cycle = 0
        self._is_rebirth_wanted = False
        self._publisher: Publisher | None = None
        self._reconnect: asyncio.Task[None] | None = None
        self._rng = np.random.default_rng([7, 8])
        for alias, reading in enumerate(r for d in self._devices.values() for r in d):
            reading.alias = alias + 1

    async def start(self) -> None:
        """Connects and is born.

        Raises:
            ConnectionError: the broker is not there.
        """
        self._bd_seq = (self._bd_seq + 1) % 256
        death = encode([self._bd_metric()], _now_ms(), None)
        publisher = Publisher(self._on_message)
        client_id = f"{GROUP}-{NODE}"
        await publisher.connect(self._host, self._port, client_id, self._topic("NDEATH"), death)
        publisher.subscribe(self._topic("NCMD"), f"{self._topic('DCMD')}/+")
        self._publisher = publisher
        self._give_birth()

    async def stop(self) -> None:
        """Dies in order: the death certificate is sent, then the connection is closed."""
        if self._reconnect is not None:
            self._reconnect.cancel()
        if self._publisher is not None:
            death = encode([self._bd_metric()], _now_ms(), None)
            self._publisher.publish(self._topic("NDEATH"), death)
            await self._publisher.close()

    async def report(self) -> None:
        """Sends what changed; each device is looked at once in ten cycles."""
        if self._publisher is None or self._publisher.closed.is_set():
            if self._reconnect is None or self._reconnect.done():
                self._reconnect = asyncio.create_task(self._connect_again())
            return
        if self._is_rebirth_wanted:
            self._is_rebirth_wanted = False
            self._give_birth()
        self._cycle += 1
        for i, (device, readings) in enumerate(self._devices.items()):
            if (self._cycle + i) % 10 == 0:
                self._send_changes(device, readings)

    def _send_changes(self, device: str, readings: list[_Reading]) -> None:
        metrics: list[Metric] = []
        for reading in readings:
            value = reading.now(self._rng)
            if not abs(value - reading.last) <= reading.deadband:
                reading.last = value
                metrics.append(Metric(value, DataType.DOUBLE, alias=reading.alias))
        if metrics:
            self._send("DDATA", metrics, device)

    async def _connect_again(self) -> None:
        try:
            await self.start()
        except ConnectionError:
            await asyncio.sleep(RECONNECT_S)

    def _give_birth(self) -> None:
        self._seq = 0
        rebirth = Metric(False, DataType.BOOLEAN, REBIRTH)
        self._send("NBIRTH", [self._bd_metric(), rebirth])
        for device, readings in self._devices.items():
            metrics: list[Metric] = []
            for reading in readings:
                reading.last = reading.now(self._rng)
                metrics.append(reading.birth(reading.last))
            self._send("DBIRTH", metrics, device)

    def _bd_metric(self) -> Metric:
        return Metric(self._bd_seq, DataType.INT64, "bdSeq")

    def _topic(self, kind: str, device: str = "") -> str:
        return f"spBv1.0/{GROUP}/{kind}/{NODE}" + (f"/{device}" if device else "")

    def _send(self, kind: str, metrics: list[Metric], device: str = "") -> None:
        assert self._publisher is not None
        payload = encode(metrics, _now_ms(), self._seq)
        # A number is used up whether or not the message gets through: the gap tells the host.
        self._seq = (self._seq + 1) % 256
        self._publisher.publish(self._topic(kind, device), payload)

    def _on_message(self, topic: str, payload: bytes) -> None:
        try:
            metrics = decode(payload)
        except ValueError:
            return
        parts = topic.split("/")
        if len(parts) == 4 and parts[2] == "NCMD":
            self._is_rebirth_wanted |= any(m.name == REBIRTH and m.value for m in metrics)
        elif len(parts) == 5 and parts[2] == "DCMD" and parts[4] in self._devices:
            for metric in metrics:
                self._write(self._devices[parts[4]], metric)

    def _write(self, readings: list[_Reading], metric: Metric) -> None:
        for reading in readings:
            named = metric.name == reading.name or metric.alias == reading.alias
            if not named or reading.write is None or isinstance(metric.value, str):
                continue
            value = float(metric.value)
            # Sparkplug has no negative answer: a value out of range is not taken over, and the
            # set-point that is reported back says so.
            if reading.low <= value <= reading.high:
                reading.write(value)
            reading.last = math.nan


def _devices(line: Line) -> dict[str, list[_Reading]]:
    air = line.air

    def set_pressure(value: float) -> None:
        air.setpoint_bar = value

    low, high = AirStation.setpoint_low_bar, AirStation.setpoint_high_bar
    devices = {
        "compressor": [
            _Reading("Pressure", "bar", 0.0, 10.0, lambda: air.pressure_bar, 0.004, 0.006),
            _Reading(
                "PressureSetpoint",
                "bar",
                low,
                high,
                lambda: air.setpoint_bar,
                write=set_pressure,
            ),
            _Reading("Flow", "m3/h", 0.0, 250.0, lambda: air.flow_nl_s * 3.6, 0.15, 0.3),
            _Reading("Load", "%", 0.0, 100.0, lambda: air.load * 100.0, deadband=0.4),
            _Reading("OilTemperature", "Cel", 0.0, 120.0, lambda: air.oil_c, 0.05, 0.1),
            _Reading("DewPoint", "Cel", -20.0, 30.0, lambda: air.dew_point_c, 0.02, 0.05),
            _Reading("RunningHours", "h", 0.0, 2e5, lambda: air.run_s / 3600.0, deadband=0.01),
        ]
    }
    for name, meter in line.meters.items():
        device = "main_meter" if name == "main" else f"meter_{name}"
        high_kw = 80.0 if name == "main" else 30.0
        devices[device] = [
            _Reading("ActivePower", "kW", 0.0, high_kw, lambda m=meter: m.power_kw, 0.01, 0.03),
            _Reading("Energy", "kWh", 0.0, 1e7, lambda m=meter: m.energy_kwh, deadband=0.01),
            _Reading("Current", "A", 0.0, 150.0, lambda m=meter: m.current_a, 0.02, 0.05),
        ]
    devices["main_meter"].append(
        _Reading("Voltage", "V", 0.0, 500.0, lambda: line.meters["main"].voltage_v, 0.6, 0.5)
    )
    return devices


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
