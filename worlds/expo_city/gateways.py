"""The buildings' gateways: one Sparkplug B edge node for each building, in its quarter's group.

Metrics are named as folders (`F01/R003/Temperature`, §6.4.6 of Eclipse Sparkplug 3.0.0). Births
say names, units, ranges and meanings, data go by alias and by exception, commands (NCMD) write
set-points. They know the buildings by their instruments alone, and add what instruments add.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..mqtt_publisher import Publisher
from ..sparkplug_payload import DataType, Metric, decode, encode
from . import readings, sparkplug_rows
from .buildings import Buildings
from .readings import Reading
from .site import Building, Site

log = logging.getLogger(__name__)

REBIRTH: Final = "Node Control/Rebirth"
RECONNECT_S: Final = 1.0
BIRTHS_A_TICK: Final = 8
"""Births are long; this many at once leave time for data between them."""
NOISE_DRAWN: Final = 1 << 20


@dataclass(slots=True)
class Node:
    """One edge node, and where its metrics lie among those of all."""

    building: Building
    group: str
    index: int
    first: int
    end: int
    floats: slice
    doubles: slice
    publisher: Publisher | None = None
    reconnect: asyncio.Task[None] | None = None
    seq: int = 0
    bd_seq: int = -1
    is_birth_due: bool = False

    @property
    def id(self) -> str:
        return self.building.id

    def topic(self, kind: str) -> str:
        return f"spBv1.0/{self.group}/{kind}/{self.id}"


@dataclass(slots=True)
class Counts:
    """What the gateways did since the start."""

    messages: int = 0
    samples: int = 0
    births: int = 0
    commands: int = 0
    refused: int = 0
    """Commands for what is not there, cannot be written, or out of range."""
    held: int = 0
    """Messages that had no room on their way to the broker: their values go with a later one."""


class Columns:
    """Where each reading of the plant lies in one long column: building by building, in it the
    building's own, its floors', its rooms'."""

    def __init__(self, site: Site) -> None:
        self.names: list[str] = []
        self.metrics: list[Reading] = []
        self.spans: list[tuple[int, int]] = []
        building_at: list[int] = []
        floor_at: list[int] = []
        room_at: list[int] = []
        for building in site.buildings:
            first = len(self.names)
            building_at.append(self._add("", readings.BUILDING))
            for floor, n in enumerate(building.rooms, 1):
                floor_at.append(self._add(f"F{floor:02d}/", readings.FLOOR))
                for room in range(1, n + 1):
                    prefix = f"F{floor:02d}/R{floor:02d}{room:02d}/"
                    room_at.append(self._add(prefix, readings.ROOM))
            self.spans.append((first, len(self.names)))
        self.building = np.array(building_at)
        self.floor = np.array(floor_at)
        self.room = np.array(room_at)
        n = len(self.names)
        self.noise = np.array([m.noise for m in self.metrics], np.float32)
        self.deadband = np.array([m.deadband for m in self.metrics], np.float32)
        self.low = np.array([m.low for m in self.metrics], np.float32)
        self.is_counter = np.array([m.is_counter for m in self.metrics])
        self.n = n

    def _add(self, prefix: str, kinds: tuple[Reading, ...]) -> int:
        first = len(self.names)
        self.names += [prefix + kind.name for kind in kinds]
        self.metrics += kinds
        return first

    def gather(self, plant: Buildings, out: np.ndarray) -> None:
        """Writes the plant's readings into the column, shape (n,)."""
        for at, table in (
            (self.building, plant.building),
            (self.floor, plant.floor),
            (self.room, plant.room),
        ):
            out[at[:, None] + np.arange(table.shape[1])] = table
        # Counters by the digits that a float has not.
        for at, kinds, name, column in (
            (self.room, readings.ROOM, "Energy", plant.room_kwh),
            (self.floor, readings.FLOOR, "Energy", plant.floor_kwh),
            (self.building, readings.BUILDING, "ElectricEnergy", plant.counters[:, 0]),
            (self.building, readings.BUILDING, "PvEnergy", plant.counters[:, 1]),
            (self.building, readings.BUILDING, "HeatEnergy", plant.counters[:, 2]),
            (self.building, readings.BUILDING, "ColdEnergy", plant.counters[:, 3]),
            (self.building, readings.BUILDING, "WaterVolume", plant.counters[:, 4]),
        ):
            out[at + [kind.name for kind in kinds].index(name)] = column


class Gateways:
    """All gateways; call `report` at each tick.

    Args:
        all_change: every point says something new at every tick, whatever its dead-band.
    """

    def __init__(
        self, plant: Buildings, broker: str, seed: int, quarters: tuple[str, ...],
        *, all_change: bool = False,
    ) -> None:  # fmt: skip
        host, _, port = broker.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"--mqtt '{broker}': give it as host:port")
        self._host, self._port = host, int(port)
        self._plant, self._all_change = plant, all_change
        self.counts = Counts()
        self.columns = columns = Columns(plant.site)
        is_float = ~columns.is_counter
        self._float_at, self._double_at = np.flatnonzero(is_float), np.flatnonzero(~is_float)
        n_floats = np.concatenate([[0], np.cumsum(is_float)])
        self.nodes = [
            Node(
                building, quarters[building.quarter], i, first, end,
                slice(int(n_floats[first]), int(n_floats[end])),
                slice(first - int(n_floats[first]), end - int(n_floats[end])),
            )
            for i, (building, (first, end)) in enumerate(
                zip(plant.site.buildings, columns.spans, strict=True)
            )
        ]  # fmt: skip
        alias = np.concatenate([np.arange(n.end - n.first) for n in self.nodes])
        alias = alias + sparkplug_rows.ALIAS_FIRST
        self._floats = sparkplug_rows.rows(alias[self._float_at], "<f4")
        self._doubles = sparkplug_rows.rows(alias[self._double_at], "<f8")
        rng = np.random.default_rng([seed, 51])
        self._drawn = rng.standard_normal(columns.n + NOISE_DRAWN, np.float32)
        self._rng = rng
        self._true = np.zeros(columns.n)
        self._now = np.zeros(columns.n)
        self._last = np.full(columns.n, np.nan)
        columns.gather(plant, self._true)
        self._now[:] = self._true

    # --- life ---

    async def start(self) -> None:
        """Connects all; they are born at the next ticks.

        Raises:
            ConnectionError: the broker is not there.
        """
        for node in self.nodes:
            await self._connect(node)

    async def stop(self) -> None:
        """Each dies in order: its death certificate is sent, then its connection is closed."""
        for node in self.nodes:
            if node.reconnect is not None:
                node.reconnect.cancel()
            if node.publisher is not None:
                node.publisher.publish(node.topic("NDEATH"), self._death(node))
        closing = [n.publisher.close() for n in self.nodes if n.publisher is not None]
        await asyncio.gather(*closing, return_exceptions=True)

    async def _connect(self, node: Node) -> None:
        node.bd_seq = (node.bd_seq + 1) % 256
        publisher = Publisher(lambda topic, payload: self._on_message(node, topic, payload))
        await publisher.connect(
            self._host, self._port, f"expo-{node.id}", node.topic("NDEATH"), self._death(node)
        )
        publisher.subscribe(node.topic("NCMD"))
        node.publisher, node.is_birth_due = publisher, True

    async def _connect_again(self, node: Node) -> None:
        try:
            await self._connect(node)
        except ConnectionError:
            await asyncio.sleep(RECONNECT_S)

    def _death(self, node: Node) -> bytes:
        return encode([Metric(node.bd_seq, DataType.INT64, "bdSeq")], self._stamp_ms, None)

    _stamp_ms = 0

    # --- reporting ---

    def look(self) -> None:
        """Instruments look at the plant as it is now."""
        self.columns.gather(self._plant, self._true)

    def report(self, stamp_ns: int) -> None:
        """Sends what has changed, stamped by the plant's clock."""
        self._stamp_ms = stamp_ms = stamp_ns // 1_000_000
        columns = self.columns
        offset = int(self._rng.integers(NOISE_DRAWN))
        noise = self._drawn[offset : offset + columns.n] * columns.noise
        now = np.maximum(self._true + noise, columns.low)
        if self._all_change:
            # What would say the same again says its next neighbour: a last digit that flickers.
            same = np.flatnonzero(now.astype(np.float32) == self._last.astype(np.float32))
            now[same] = np.nextafter(now[same].astype(np.float32), np.float32(np.inf))
            changed = np.ones(columns.n, np.bool_)
        else:
            # Not <=: what is not a number yet has changed.
            changed = ~(np.abs(now - self._last) <= columns.deadband)
        self._now = now
        sparkplug_rows.fill(self._floats, now[self._float_at], stamp_ms)
        sparkplug_rows.fill(self._doubles, now[self._double_at], stamp_ms)
        float_changed, double_changed = changed[self._float_at], changed[self._double_at]
        births = 0
        for node in self.nodes:
            if node.publisher is None or node.publisher.closed.is_set():
                self._revive(node)
            elif node.is_birth_due:
                if births < BIRTHS_A_TICK:
                    births += 1
                    self._give_birth(node)
            else:
                self._send_changes(node, changed, float_changed, double_changed)

    def _revive(self, node: Node) -> None:
        if node.reconnect is None or node.reconnect.done():
            node.reconnect = asyncio.create_task(self._connect_again(node))

    def _send_changes(
        self, node: Node, changed: np.ndarray, floats: np.ndarray, doubles: np.ndarray
    ) -> None:
        span = slice(node.first, node.end)
        n = int(np.count_nonzero(changed[span]))
        if not n:
            return
        rows = self._floats[node.floats][floats[node.floats]].tobytes()
        rows += self._doubles[node.doubles][doubles[node.doubles]].tobytes()
        assert node.publisher is not None
        message = sparkplug_rows.payload(rows, self._stamp_ms, node.seq)
        if not node.publisher.publish(node.topic("NDATA"), message):
            self.counts.held += 1
            return
        node.seq = (node.seq + 1) % 256
        self.counts.messages += 1
        self.counts.samples += n
        last = self._last[span]
        np.copyto(last, self._now[span], where=changed[span])

    def _give_birth(self, node: Node) -> None:
        columns, now = self.columns, self._now
        metrics = [
            Metric(node.bd_seq, DataType.INT64, "bdSeq"),
            Metric(False, DataType.BOOLEAN, REBIRTH),
        ]
        for i in range(node.first, node.end):
            kind = columns.metrics[i]
            alias = i - node.first + sparkplug_rows.ALIAS_FIRST
            datatype = DataType.DOUBLE if kind.is_counter else DataType.FLOAT
            about = _about(kind)
            metrics.append(Metric(float(now[i]), datatype, columns.names[i], alias, about))
        assert node.publisher is not None
        if not node.publisher.publish(node.topic("NBIRTH"), encode(metrics, self._stamp_ms, 0)):
            self.counts.held += 1
            return
        node.is_birth_due, node.seq = False, 1
        self._last[node.first : node.end] = now[node.first : node.end]
        self.counts.births += 1

    # --- commands ---

    def _on_message(self, node: Node, topic: str, payload: bytes) -> None:
        del topic  # only this node's commands are subscribed to
        try:
            metrics = decode(payload)
        except ValueError:
            self.counts.refused += 1
            return
        for metric in metrics:
            if metric.name == REBIRTH:
                node.is_birth_due |= bool(metric.value)
            else:
                self._write(node, metric)

    def _write(self, node: Node, metric: Metric) -> None:
        """Takes a set-point over. Sparkplug has no negative answer: what is not taken over is
        reported as it was."""
        at = self._index(node, metric)
        value = metric.value
        if at < 0 or isinstance(value, str):
            self.counts.refused += 1
            return
        self._last[at] = np.nan  # what came of it is reported at the next tick
        kind, number = self.columns.metrics[at], float(value)
        if not kind.is_writable or not kind.low <= number <= kind.high:
            self.counts.refused += 1
            return
        if at < self.columns.building[node.index] + len(readings.BUILDING):
            target = {
                "LoadLimit": self._plant.load_limit,
                "SupplyTemperatureSetpoint": self._plant.supply_setpoint_c,
            }[kind.name]
            target[node.index] = number
        else:
            room = int(np.searchsorted(self.columns.room, at, "right")) - 1
            target = {
                "TemperatureSetpoint": self._plant.setpoint_c,
                "CO2Setpoint": self._plant.setpoint_ppm,
                "LightLevel": self._plant.light_percent,
            }[kind.name]
            target[room] = number
        self.counts.commands += 1

    def _index(self, node: Node, metric: Metric) -> int:
        if metric.alias is not None:
            at = node.first + metric.alias - sparkplug_rows.ALIAS_FIRST
            return at if node.first <= at < node.end else -1
        try:
            return self.columns.names.index(metric.name, node.first, node.end)
        except ValueError:
            return -1


def _about(kind: Reading) -> tuple[tuple[str, bool | int | float | str], ...]:
    about: list[tuple[str, bool | int | float | str]] = [
        ("engUnit", kind.unit),
        ("engLow", float(kind.low)),
        ("engHigh", float(kind.high)),
        ("readOnly", not kind.is_writable),
    ]
    if kind.brick:
        about.append(("semanticId", readings.BRICK + kind.brick))
    return tuple(about)
