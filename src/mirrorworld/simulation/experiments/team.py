"""Who evaluates: workers that are given tasks and tell of blocks as they are done.

Here: the caller's own thread, and processes of a pool. A process is spawned, has one task at a
time, and tells what it has every half second, so that little is lost when it is ended. Who takes
longer for one design than is allowed is killed; so is who outlives the process that spawned it.

Knows tasks and blocks; refuses to know what is kept of them.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Protocol

from mirrorworld.simulation.experiments.objective import (
    Block,
    Objective,
    ObjectiveError,
    Status,
    Task,
    evaluated,
)

TELL_S: Final = 0.5
START_S_MAX: Final = 120.0
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a task since the last time. It is over when `is_over` or `loss` says so."""

    task: int
    block: Block | None = None
    is_over: bool = False
    loss: Status | None = None
    """Why the rest of it will not come."""
    row: int = -1
    """Which row was under way then; -1: not known."""
    why: str = ""


class Team(Protocol):
    """Workers."""

    size: int
    """How many tasks it can have at a time."""

    def start(self, number: int, task: Task) -> None:
        """Gives a task to who is free."""
        ...

    def hear(self, wait_s: float) -> Sequence[Heard]:
        """What came in the meantime; waits for it at most so long."""
        ...

    def close(self) -> None:
        """Ends all workers at once."""
        ...


class Here:
    """The caller's own thread: nothing to start, and nothing that could end a design that hangs."""

    size = 1

    def __init__(self, objective: Objective) -> None:
        self._call, self._options = objective.load(), dict(objective.options)
        self._begun: deque[tuple[int, Any]] = deque()
        self._told_s = 0.0

    def start(self, number: int, task: Task) -> None:
        """Takes a task."""
        blocks = evaluated(self._call, self._options, task, has_enough=self._is_time)
        self._begun.append((number, blocks))

    def hear(self, wait_s: float) -> Sequence[Heard]:
        """Evaluates for half a second or so."""
        number, blocks = self._begun[0]
        self._told_s = time.monotonic()
        block = next(blocks, None)
        if block is not None:
            return (Heard(number, block),)
        self._begun.popleft()
        return (Heard(number, is_over=True),)

    def close(self) -> None:
        """Nothing is left."""
        self._begun.clear()

    def _is_time(self) -> bool:
        return time.monotonic() - self._told_s > TELL_S


class Processes:
    """A pool of spawned processes.

    Args:
        timeout_s: how long one design may take (a batch: all of its designs together).
    """

    def __init__(self, objective: Objective, workers: int, timeout_s: float) -> None:
        objective.check_it_travels()
        objective.load()
        self.size = workers
        self._objective, self._timeout_s = objective, timeout_s
        self._workers = [_Worker(objective) for _ in range(workers)]

    def start(self, number: int, task: Task) -> None:
        """Gives a task to who is free; who died is replaced."""
        for i, worker in enumerate(self._workers):
            if worker.task is None:
                if not worker.process.is_alive():
                    worker.end()
                    worker = self._workers[i] = _Worker(self._objective)
                worker.give(number, task)
                return
        raise RuntimeError("every worker has a task")

    def hear(self, wait_s: float) -> Sequence[Heard]:
        """What workers told, and whose time is over."""
        busy = {w.connection: w for w in self._workers if w.task is not None}
        heard: list[Heard] = []
        until = time.monotonic() + wait_s
        while busy and not heard:
            left = until - time.monotonic()
            for connection in wait(list(busy), max(0.0, min(left, _LOOK_S))):
                assert isinstance(connection, Connection)
                heard.append(busy[connection].hear())
            for i, worker in enumerate(self._workers):
                if worker.task is not None and worker.is_late(self._timeout_s):
                    heard.append(worker.given_up(self._timeout_s))
                    self._workers[i] = _Worker(self._objective)
            if left <= 0:
                break
        return [h for h in heard if h.block is not None or h.is_over or h.loss is not None]

    def close(self) -> None:
        """Kills all."""
        for worker in self._workers:
            worker.end()


class _Worker:
    """One process, as its parent sees it."""

    def __init__(self, objective: Objective) -> None:
        context = mp.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._marks = context.RawArray("q", 2)
        self.process = context.Process(
            target=_serve, args=(theirs, self._marks, objective), daemon=True, name="experiment"
        )
        self.process.start()
        theirs.close()
        self.task: int | None = None
        self._is_ready = False
        self._mark, self._since_s = -1, time.monotonic()

    def give(self, number: int, task: Task) -> None:
        self.task = number
        self._since_s = time.monotonic()
        self._marks[1] = -1
        with contextlib.suppress(OSError):  # that it is gone is heard next
            self.connection.send(task)

    def hear(self) -> Heard:
        assert self.task is not None
        number = self.task
        try:
            told = self.connection.recv()
        except (EOFError, OSError):
            row = int(self._marks[1])
            self.process.join(1)
            code = self.process.exitcode
            was_ready = self._is_ready
            self.end()
            self.task = None
            if not was_ready:
                raise ObjectiveError(f"a worker ended as it started (exit {code})") from None
            how = signal.Signals(-code).name if code and code < 0 else f"exit {code}"
            return Heard(number, loss=Status.ENDED, row=row, why=f"its process ended ({how})")
        self._since_s = time.monotonic()
        if isinstance(told, Block):
            return Heard(number, told)
        if isinstance(told, str):
            self.end()
            raise ObjectiveError(told)
        if told is False:
            self._is_ready = True
            return Heard(number)
        self.task = None
        return Heard(number, is_over=True)

    def is_late(self, timeout_s: float) -> bool:
        now_s = time.monotonic()
        mark = int(self._marks[0])
        if mark != self._mark:
            self._mark, self._since_s = mark, now_s
        if not self._is_ready:
            if now_s - self._since_s > START_S_MAX:
                self.end()
                raise ObjectiveError(f"a worker did not start within {START_S_MAX:g} s")
            return False
        return now_s - self._since_s > timeout_s

    def given_up(self, timeout_s: float) -> Heard:
        assert self.task is not None
        row = int(self._marks[1])
        self.end()
        return Heard(
            self.task, loss=Status.TIMEOUT, row=row, why=f"took longer than {timeout_s:g} s"
        )

    def end(self) -> None:
        with contextlib.suppress(ValueError):
            self.process.kill()
            self.process.join()
        self.connection.close()


def _serve(connection: Connection, marks: Any, objective: Objective) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent decides
    threading.Thread(target=_outlive_nobody, daemon=True).start()
    try:
        call = objective.load()
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}")
        return
    connection.send(False)

    def begins(row: int) -> None:
        marks[1] = row
        marks[0] += 1

    told_s = [0.0]
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        told_s[0] = time.monotonic()
        blocks = evaluated(
            call, objective.options, task,
            begins=begins, has_enough=lambda: time.monotonic() - told_s[0] > TELL_S,
        )  # fmt: skip
        for block in blocks:
            connection.send(block)
            told_s[0] = time.monotonic()
        connection.send(True)


def _outlive_nobody() -> None:
    parent = mp.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
