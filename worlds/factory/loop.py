"""The plant's own time: processes written as generators, on one heap of what is due.

The plant is the other side: this loop shares nothing with the mirror's simulation, whose kernel
schedules events of machines; here every machine, vehicle and clock tells its own story from top to
bottom. A process yields a number (seconds to wait), a `Signal` (to be woken by it), or nothing
else. Ties go in the order in which they were asked for.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Generator
from typing import Any

Process = Generator["float | Signal", Any, None]


class Signal:
    """Processes that wait to be woken, in order."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: deque[Process] = deque()


class Loop:
    """Runs processes in the order of time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.steps = 0
        self._due: list[tuple[float, int, Process, Any]] = []
        self._asked = 0

    def start(self, process: Process) -> None:
        """Begins a process, at this moment, after what is due already."""
        self.wake(process, None)

    def wake(self, process: Process, value: Any) -> None:
        """Goes on with a process that waited: its `yield` gives the value."""
        self._asked += 1
        heapq.heappush(self._due, (self.now, self._asked, process, value))

    def wake_first(self, signal: Signal, value: Any = None) -> bool:
        """Wakes whoever has waited longest; False if nobody waits."""
        if not signal.waiting:
            return False
        self.wake(signal.waiting.popleft(), value)
        return True

    def run(self, until_s: float) -> None:
        """Does all that is due until then, that moment included."""
        due = self._due
        while due and due[0][0] <= until_s:
            self.now, _, process, value = heapq.heappop(due)
            self.steps += 1
            try:
                wanted = process.send(value)
            except StopIteration:
                continue
            if isinstance(wanted, Signal):
                wanted.waiting.append(process)
            else:
                self._asked += 1
                # A wait may be zero, never negative: time does not run back.
                heapq.heappush(due, (self.now + max(0.0, wanted), self._asked, process, None))
        self.now = max(self.now, until_s)
