"""A network that drops, doubles, reorders, delays and parts, by chance drawn from a seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Weather:
    """How bad it is; shares are of messages."""

    drop: float = 0.0
    double: float = 0.0
    delay_s: float = 0.005
    jitter_s: float = 0.0
    """More than the messages' spacing: they overtake each other."""


class Wire:
    """Carries messages one way, to whoever listens when they arrive."""

    def __init__(self, chance: random.Random, weather: Weather) -> None:
        self.chance, self.weather = chance, weather
        self.listener: Callable[[Any], None] | None = None
        self.is_parted = False
        self.sent = self.dropped = self.doubled = 0

    def send(self, message: Any) -> None:
        """Sends; what becomes of it is not known to the sender."""
        self.sent += 1
        copies = 1
        if self.is_parted or self.chance.random() < self.weather.drop:
            self.dropped += 1
            copies = 0
        elif self.chance.random() < self.weather.double:
            self.doubled += 1
            copies = 2
        for _ in range(copies):
            delay_s = self.weather.delay_s + self.chance.expovariate(1) * self.weather.jitter_s
            asyncio.get_running_loop().call_later(delay_s, self._arrive, message)

    def _arrive(self, message: Any) -> None:
        if self.is_parted or self.listener is None:
            self.dropped += 1
            return
        self.listener(message)
