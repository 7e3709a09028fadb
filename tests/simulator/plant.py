"""Plants: they know what they have measured, send it until it is acknowledged, and obey.

A plant is outside the node: it survives the node's crashes, and its list of what was acknowledged
is what the node is held to.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.simulator.network import Weather, Wire

BATCH_MAX = 16
UNACKNOWLEDGED_MAX = 40
"""A plant measures on but sends no more than so many batches ahead."""


@dataclass(slots=True, eq=False)
class Batch:
    """Samples that were measured together. Times never repeat for a point of a plant."""

    incarnation: int
    seq: int
    point: NDArray[np.int64]
    cell: NDArray[np.int64]
    source_ns: NDArray[np.int64]
    sent: int = 0
    is_acknowledged: bool = False


@dataclass(slots=True)
class Plant:
    """One plant and its two wires.

    Attributes:
        is_numbered: its batches carry (incarnation, seq) and come in order; otherwise only the
            samples themselves tell a repetition.
        skew_ns: how far its clock is off.
        obeyed: the commands that reached it: (id, value).
    """

    name: str
    n_points: int
    is_numbered: bool
    chance: random.Random
    weather: Weather
    skew_ns: int = 0
    incarnation: int = 1
    setpoint: float = 0.0
    batches: list[Batch] = field(default_factory=list)
    obeyed: list[tuple[str, float]] = field(default_factory=list)
    waiting: deque[Batch] = field(default_factory=deque)
    up: Wire = field(init=False)
    down: Wire = field(init=False)
    _seq: int = 0
    _last_ns: int = 0
    _used: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.up = Wire(self.chance, self.weather)
        self.down = Wire(self.chance, self.weather)
        self.down.listener = self._told

    async def live(self, now_ns: Any, *, rate_s: float) -> None:
        """Measures, sends, and sends again what nobody has acknowledged."""
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / rate_s))
            if len(self.waiting) < UNACKNOWLEDGED_MAX:
                burst = 8 if self.chance.random() < 0.02 else 1
                for _ in range(burst):
                    self._measure(now_ns())
            self.resend()

    def resend(self) -> None:
        """Sends what is not acknowledged: all of it in order, or of unnumbered ones some."""
        for batch in list(self.waiting):
            if self.is_numbered or batch.sent == 0 or self.chance.random() < 0.3:
                batch.sent += 1
                self.up.send(("samples", batch))

    def restart(self) -> None:
        """A plant that restarts forgets what it had not handed over, and counts anew."""
        self.waiting.clear()
        self.incarnation += 1
        self._seq = 0

    def first_waiting(self) -> int:
        """The number from which on it will send."""
        return self.waiting[0].seq if self.waiting else self._seq + 1

    def _measure(self, now_ns: int) -> None:
        n = self.chance.randint(1, BATCH_MAX)
        point = np.array([self.chance.randrange(self.n_points) for _ in range(n)], np.int64)
        start = max(self._last_ns + 1, now_ns + self.skew_ns)
        late = self.chance.random() < 0.1
        times = start + np.arange(n, dtype=np.int64) * 1_000
        self._last_ns = int(times[-1])
        if late:
            # Measured long ago, handed over now.
            times = times - 30_000_000_000 * self.chance.randint(1, 5)
            while not self._used.isdisjoint(times.tolist()):
                times = times - 1
        self._used.update(times.tolist())
        value = np.array([self.chance.choice((0.0, 21.5, 1e9)) for _ in range(n)])
        value = np.where(point == 0, self.setpoint, value + np.arange(n) * 0.25)
        self._seq += 1
        batch = Batch(self.incarnation, self._seq, point, value.view(np.int64), times)
        self.batches.append(batch)
        self.waiting.append(batch)

    def _told(self, message: Any) -> None:
        what, content = message
        if what == "acknowledged":
            # One that was forgotten by a restart in between counts for nothing.
            if content in self.waiting:
                content.is_acknowledged = True
                self.waiting.remove(content)
        elif what == "set":
            command, value = content
            self.obeyed.append((command, value))
            self.setpoint = value
