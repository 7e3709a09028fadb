"""The plant's clock: how its seconds follow those of the wall, and what time of day it is there.

All processes of the plant are given the same zero and the same speed, so they agree without
talking. Knows no calendar beyond days of 24 hours.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Clock:
    """Plant time from wall time.

    Attributes:
        zero_ns: wall time (UTC) at which the plant began.
        first_ns: what its instruments stamped then; earlier than `zero_ns` for a plant that
            runs fast, so that it does not stamp the future.
        speed: plant seconds in a second.
        morning_s: what time of day it was there then, in seconds after midnight.
    """

    zero_ns: int
    first_ns: int
    speed: float
    morning_s: float

    def elapsed_s(self, wall_ns: int | None = None) -> float:
        """Plant seconds since the beginning."""
        now_ns = time.time_ns() if wall_ns is None else wall_ns
        return (now_ns - self.zero_ns) / 1e9 * self.speed

    def stamp_ns(self, elapsed_s: float) -> int:
        """What an instrument stamps at a moment."""
        return self.first_ns + int(elapsed_s * 1e9)

    def day_s(self, elapsed_s: float) -> float:
        """Seconds since the midnight before the plant began: day and time of day in one."""
        return self.morning_s + elapsed_s
