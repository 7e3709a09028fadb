"""What somebody holds while they arrange the plant: shown to others while it moves, kept nowhere.

Only the latest of it counts, so nothing queues: however fast a page says where it holds something,
others are told a few times a second. What is let go of becomes an edit by the usual way; what is
held without a word for a while is taken for let go.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Final

from mirrorworld.protocol.authoring import Moving

TWINS_MAX: Final = 64
REACH_M: Final = 1e5
EVERY_S: Final = 0.1
"""Others are told no more often."""
LASTS_S: Final = 5.0
"""A page that holds something says so again before that."""

NOTHING: Final = Moving([])
OVER: Final = Moving([], is_arranging=False)


def check(moving: Moving) -> None:
    """ValueError where a page says what nobody can hold."""
    if len(moving.twins) > TWINS_MAX:
        raise ValueError(f"{len(moving.twins)} twins are held; {TWINS_MAX} are shown at once")
    if not all(math.isfinite(d) and abs(d) <= REACH_M for d in (moving.dx_m, moving.dz_m)):
        raise ValueError(f"something is moved by at most {REACH_M:g} m")


class Held:
    """What one page holds."""

    def __init__(self, tell: Callable[[Moving], None]) -> None:
        self.now = NOTHING
        self._tell = tell
        self._news = asyncio.Event()

    def say(self, moving: Moving) -> None:
        """The latest of it."""
        self.now = moving
        self._news.set()

    async def run(self) -> None:
        """Tells of it until it is cancelled."""
        while True:
            try:
                async with asyncio.timeout(LASTS_S if self.now.twins else None):
                    await self._news.wait()
            except TimeoutError:
                self.now = NOTHING
            self._news.clear()
            self._tell(self.now)
            await asyncio.sleep(EVERY_S)
