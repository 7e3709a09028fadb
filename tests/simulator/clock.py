"""An event loop whose time is simulated: it jumps to the next thing that happens.

What runs on it sees hours pass in seconds, and in the same order each time. Work that is given to
a thread runs on the loop instead, after a delay that is drawn: so a slow disk is a late answer, and
a crash comes before a commit, between its bytes, or before its answer.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class Standstill(AssertionError):
    """Nothing is due any more, and somebody still waits: a deadlock."""


class _Selector(selectors.SelectSelector):
    """Waits for nobody: time passes instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Standstill("nothing is due any more, and somebody still waits")
        self.now_s += max(0.0, timeout)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that lives in simulated seconds.

    Attributes:
        work_s: draws how long a piece of work takes before it is done, and before it is told.
        on_cut: called when a piece of work ended in a `PowerCut`.
    """

    def __init__(self, work_s: Callable[[], tuple[float, float]]) -> None:
        self._selector_of_time = _Selector()
        super().__init__(self._selector_of_time)
        self.work_s = work_s
        self.on_cut: Callable[[], None] = lambda: None
        self._work: set[asyncio.TimerHandle] = set()

    def time(self) -> float:
        """Simulated seconds since the start."""
        return self._selector_of_time.now_s

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Runs it on the loop, later; one after the other, as one thread would."""
        told: asyncio.Future[Any] = self.create_future()
        until_done_s, until_told_s = self.work_s()

        def do() -> None:
            self._work.discard(doing)
            try:
                answer = func(*args)
            except PowerCut:
                self.on_cut()
                return
            except Exception as error:
                self._later(until_told_s, lambda e=error: told.done() or told.set_exception(e))
                return
            self._later(until_told_s, lambda: told.done() or told.set_result(answer))

        doing = self._later(until_done_s, do)
        return told

    def drop_work(self) -> None:
        """Whatever a thread had to do is never done: its process is gone."""
        for handle in self._work:
            handle.cancel()
        self._work.clear()

    def _later(self, delay_s: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        handle: asyncio.TimerHandle

        def once() -> None:
            self._work.discard(handle)
            call()

        handle = self.call_later(delay_s, once)
        self._work.add(handle)
        return handle


class PowerCut(OSError):
    """The machine lost its power in the middle of a call of the disk."""
