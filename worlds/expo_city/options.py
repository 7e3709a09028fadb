"""What all processes of the plant are told on their command lines, and how they live.

Knows the clock and the end of the process that started them; no physics, no protocol.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from . import readings
from .clock import Clock
from .site import Site, plan


class Part(Protocol):
    """A part of the plant with its way out of the process."""

    async def start(self) -> dict[str, object]:
        """Sets up; what it returns is said when the process is ready."""
        ...

    async def tick(self, elapsed_s: float) -> None:
        """Advances to so many plant seconds since the beginning, and reports."""
        ...

    async def stop(self) -> None: ...


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options that all parts have."""
    out = argparse.ArgumentParser(description=description)
    out.add_argument("--host", default="127.0.0.1", help="address to listen on")
    out.add_argument("--seed", type=int, default=7, help="of everything that is hidden")
    out.add_argument("--buildings", type=int, default=131)
    out.add_argument("--points", type=int, default=200_000, help="at least so many, of gateways")
    out.add_argument("--zero-ns", type=int, default=0, help="wall time of the beginning; 0: now")
    out.add_argument("--first-ns", type=int, default=0, help="what is stamped then; 0: the same")
    out.add_argument("--speed", type=float, default=1.0, help="plant seconds a second")
    out.add_argument("--morning-h", type=float, default=11.0, help="time of day at the beginning")
    out.add_argument("--tick-s", type=float, default=1.0, help="wall seconds between reports")
    out.add_argument("--follow-stdin", action="store_true", help="end when stdin is closed")
    return out


def clock_of(options: argparse.Namespace) -> Clock:
    """The clock that was asked for; ValueError says what cannot be."""
    if not 0.0 < options.speed <= 3600.0:
        raise ValueError(f"--speed {options.speed:g}: must be above 0 and at most 3600")
    if not 0.01 <= options.tick_s <= 60.0:
        raise ValueError(f"--tick-s {options.tick_s:g}: must be from 0.01 to 60")
    zero_ns = options.zero_ns or time.time_ns()
    return Clock(zero_ns, options.first_ns or zero_ns, options.speed, options.morning_h * 3600.0)


def site_of(n_buildings: int, n_points: int) -> Site:
    """The site whose gateways have at least so many points.

    Raises:
        ValueError: that is too few for so many buildings, or too many.
    """
    drawn = plan(n_buildings, n_buildings * 64)
    n_floors = sum(b.floors for b in drawn.buildings)
    rest = n_points - readings.count(n_buildings, n_floors, 0)
    return plan(n_buildings, max(n_floors, -(-rest // len(readings.ROOM))))


def run(make: Callable[[], Part], options: argparse.Namespace, name: str) -> int:
    """Runs a part until it is told to stop; returns the exit status."""
    try:
        asyncio.run(_live(make, options))
    except (OSError, ValueError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


async def _live(make: Callable[[], Part], options: argparse.Namespace) -> None:
    clock = clock_of(options)
    part = make()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # The loop itself holds tasks weakly.
    follower = loop.create_task(_end_with_stdin(stop)) if options.follow_stdin else None
    try:
        print(json.dumps({"ready": True, **await part.start()}), flush=True)
        due = time.monotonic()
        while not stop.is_set():
            await part.tick(clock.elapsed_s())
            # What cannot keep up leaves ticks out: it does not run after them.
            due = max(due + options.tick_s, time.monotonic())
            await _until(stop.wait(), due - time.monotonic())
    finally:
        if follower is not None:
            follower.cancel()
        await part.stop()


async def _until(event: Awaitable[object], timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event, max(0.0, timeout_s))


async def _end_with_stdin(stop: asyncio.Event) -> None:
    """Sets `stop` when standard input is closed, as it is when the parent process dies."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    stop.set()
