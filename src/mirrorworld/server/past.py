"""The past for one viewer: values as they were true at a source time, standing or moving.

Served from the record, in threads, so that no one's looking back delays the present. Two look
at a time; the others wait their turn and see fewer steps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from mirrorworld.protocol import binary
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.sight import Sight
from mirrorworld.server.views import Due, Selection, frames_of, texts_of
from mirrorworld.world.model import Kind
from mirrorworld.world.state import Columns

T = TypeVar("T")

THREADS: Final = 2
STEP_S: Final = 0.1
"""Shortest time between two steps of a moving past."""
SPEED_MAX: Final = 3_600.0
TEXTS_A_STEP: Final = 200
"""Texts are looked up one by one; more than this many in one step are left out."""


class Past:
    """Reads the record without holding up the loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "mirrorworld-past")

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Runs work on the record in one of few threads."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        """Lets no further work begin."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Playback:
    """A viewer's own clock over the record."""

    def __init__(
        self,
        mirror: Mirrored,
        past: Past,
        source_ms: float,
        speed: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.speed = speed
        self._mirror = mirror
        self._past = past
        self._clock = clock
        self._start_ms = source_ms
        self._started = clock()
        self._before: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]] | None = None
        self._next_at = clock()

    @property
    def source_ms(self) -> float:
        """The source time that is looked at now."""
        return self._start_ms + (self._clock() - self._started) * 1000 * self.speed

    @property
    def is_over(self) -> bool:
        """Whether the past has caught up with the present."""
        return self.speed > 0 and self.source_ms >= self._mirror.now_ns() / 1e6

    @property
    def is_due(self) -> bool:
        """Whether a step should be taken: at once, and then only while the clock moves."""
        return self._before is None or (self.speed > 0 and self._clock() >= self._next_at)

    async def step(self, sight: Sight, selection: Selection) -> Due:
        """What there is to see now: all of it the first time, then what differs."""
        began = self._clock()
        source_ms = self.source_ms
        cell, source_ns, quality = await self._past.do(
            self._mirror.record.as_of_time, int(source_ms * 1e6)
        )
        world = self._mirror.world
        n = min(len(cell), world.n_points)
        now = (cell[:n], source_ns[:n], quality[:n])
        before, self._before = self._before, now
        differs = np.ones(n, np.bool_)
        if before is not None:
            m = min(n, len(before[0]))
            differs[:m] = np.logical_or.reduce(
                [new[:m] != old[:m] for new, old in zip(now, before, strict=True)]
            )
        handles = selection.rows(world, sight, np.flatnonzero(differs).astype(np.uint32))
        zeros = np.zeros(len(handles), np.int64)
        columns = Columns(
            now[0][handles],
            now[2][handles],
            now[1][handles],
            zeros,
            zeros,
            world.read(handles).origin,  # the record's columns do not say; sources seldom change
        )
        flags = binary.WHOLE if before is None else 0
        position = world.position
        frames = frames_of(world, handles, columns, binary.AS_OF, flags, position, source_ms)
        in_heap = np.flatnonzero((world.kinds[handles] >= Kind.TEXT) & (columns.source_ns > 0))
        chosen = in_heap[:TEXTS_A_STEP]
        wanted = [(int(handles[row]), int(columns.source_ns[row])) for row in chosen]
        payloads = await self._past.do(self._payloads, wanted) if wanted else {}
        shown = np.array(list(payloads), np.uint32)
        texts = texts_of(world, shown, position.sequence, payloads.__getitem__) if wanted else []
        # A step that was slow is followed by a rest as long, so that others get their turn.
        self._next_at = self._clock() + max(STEP_S, self._clock() - began)
        return Due(position, (*texts, *frames))

    def _payloads(self, wanted: list[tuple[int, int]]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for handle, source_ns in wanted:
            series = self._mirror.record.read(handle, source_ns, source_ns + 1)
            if len(series.cell):
                cell = int(series.cell[-1])
                found[handle] = series.heap[cell >> 32 : (cell >> 32) + (cell & 0xFFFF_FFFF)]
        return found
