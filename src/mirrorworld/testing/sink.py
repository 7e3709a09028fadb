"""A sink without a record: what a connector hands over goes into a world and is kept to look at.

For tests of connectors and for measuring them alone. The real one is `live.pipeline`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world.changes import Change, Edits, Event, Origin, OriginKind, Tally
from mirrorworld.world.frames import Frame, Handles
from mirrorworld.world.world import World


class MemorySink:
    """A `Sink` (world/ports.py) over a World in memory.

    Attributes:
        frames: what was accepted of each push, in order, unless `keeps_frames` is False.
        counts: what the connector counted.
        fails_durable: while True, `durable` raises OSError as a full disk would.
        pushed: set whenever something was pushed or declared, for tests to wait on.
    """

    def __init__(
        self,
        source: str,
        world: World | None = None,
        *,
        keeps_frames: bool = True,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.source = source
        self.world = world if world is not None else World("memory")
        self.keeps_frames = keeps_frames
        self.frames: list[Frame] = []
        self.events: list[Event] = []
        self.counts: Counter[str] = Counter()
        self.fails_durable = False
        self.pushed = asyncio.Event()
        self.now_ns = now_ns

    @property
    def tally(self) -> Tally:
        """What became of the source's samples so far."""
        return self.world.tallies.setdefault(self.source, Tally())

    def _apply(
        self,
        body: Frame | Edits | Event,
        origin: OriginKind,
        incarnation: int = 0,
        source_seq: int = -1,
    ) -> Change | None:
        origin_ = Origin(origin, self.source)
        change = Change(body, origin_, self.now_ns(), self.source, incarnation, source_seq)
        applied = self.world.apply(change).change
        self.pushed.set()
        return applied

    async def declare(self, edits: Edits) -> None:
        """See Sink."""
        self._apply(edits, OriginKind.MEASURED)

    def handles(self, points: Iterable[tuple[str, str]]) -> Handles:
        """See Sink."""
        return self.world.handles(points)

    def latest_ns(self, handles: Handles) -> NDArray[np.int64]:
        """See KnowsLatest."""
        return self.world.read(handles).source_ns

    def numbered(self) -> dict[int, int]:
        """See KnowsNumbers."""
        return self.world.numbered(self.source)

    async def push(
        self,
        frame: Frame,
        *,
        incarnation: int = 0,
        source_seq: int = -1,
        origin: OriginKind = OriginKind.MEASURED,
    ) -> int:
        """See Sink."""
        applied = self._apply(frame, origin, incarnation, source_seq)
        if applied is not None and self.keeps_frames and isinstance(applied.body, Frame):
            self.frames.append(applied.body)
        return self.world.position.sequence

    async def durable(self, ticket: int) -> None:
        """See Sink."""
        if self.fails_durable:
            raise OSError(28, "no space left on device (asked for by the test)")
        await asyncio.sleep(0)

    async def event(self, event: Event, *, incarnation: int = 0, source_seq: int = -1) -> None:
        """See Sink."""
        self.events.append(event)
        self._apply(event, OriginKind.MEASURED, incarnation, source_seq)

    def count(self, what: str, n: int = 1) -> None:
        """See Sink."""
        self.counts[what] += n

    async def until(self, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Waits until something pushed makes the condition true; TimeoutError if nothing does."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self.pushed.clear()
                await self.pushed.wait()
