"""The plant's AGVs: each goes its way stretch by stretch, slower where others are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from .hidden import Hidden
from .layout import DOCKS, HANDLING_S, SPEED_M_S, STRETCHES, WAYS
from .loop import Loop

IDLE, EMPTY, LOADED = 0, 1, 2
BUSY_W, IDLE_W = 900.0, 60.0


@dataclass(slots=True, eq=False)
class Vehicle:
    """One AGV."""

    number: int
    dock: str
    state: int = IDLE
    x_m: float = 0.0
    z_m: float = 0.0
    busy_s: float = 0.0
    trips: int = 0


class Vehicles:
    """The fleet and who waits for it."""

    def __init__(self, loop: Loop, hidden: Hidden, count: int) -> None:
        self.loop, self.hidden = loop, hidden
        self.all: list[Vehicle] = []
        docks = tuple(DOCKS)
        for i in range(count):
            x, z = DOCKS[docks[i % len(docks)]]
            self.all.append(Vehicle(i + 1, docks[i % len(docks)], x_m=x, z_m=z))
        self._waiting: deque[tuple[str, str, Callable[[], None]]] = deque()
        self._free = list(self.all)
        self._in = dict.fromkeys(STRETCHES, 0)

    def carry(self, source: str, target: str, arrived: Callable[[], None]) -> None:
        """Asks for a lot to be carried; `arrived` is called when it is put down."""
        self._waiting.append((source, target, arrived))
        self._send()

    def energy_j(self) -> float:
        """Since the beginning."""
        busy = sum(v.busy_s for v in self.all)
        return busy * BUSY_W + (self.loop.now * len(self.all) - busy) * IDLE_W

    def _send(self) -> None:
        while self._waiting and self._free:
            source, target, arrived = self._waiting.popleft()
            vehicle = min(self._free, key=lambda v: WAYS[v.dock, source].length_m)
            self._free.remove(vehicle)
            self.loop.start(self._trip(vehicle, source, target, arrived))

    def _trip(
        self, vehicle: Vehicle, source: str, target: str, arrived: Callable[[], None]
    ) -> Generator[Any, Any, None]:
        began = self.loop.now
        vehicle.state = EMPTY
        yield from self._drive(vehicle, source)
        yield HANDLING_S
        vehicle.state = LOADED
        yield from self._drive(vehicle, target)
        yield HANDLING_S
        vehicle.state = IDLE
        vehicle.trips += 1
        vehicle.busy_s += self.loop.now - began
        self._free.append(vehicle)
        arrived()
        self._send()

    def _drive(self, vehicle: Vehicle, target: str) -> Generator[Any, Any, None]:
        way = WAYS[vehicle.dock, target]
        for (stretch, metres), point in zip(way.legs, way.points[1:], strict=True):
            crowd = self._in[stretch]
            self._in[stretch] = crowd + 1
            pace = SPEED_M_S * self.hidden.agv_pace / (1.0 + self.hidden.agv_crowding * crowd)
            yield metres / pace
            self._in[stretch] -= 1
            vehicle.x_m, vehicle.z_m = point
        vehicle.dock = target
