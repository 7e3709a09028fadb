"""A served stand-in world in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from tests.server.stand_in import Served, StandIn, served

T = TypeVar("T")


@dataclass
class Elsewhere:
    """A server in another thread; `do` runs something in its loop."""

    here: Served
    loop: asyncio.AbstractEventLoop

    @property
    def mirror(self) -> StandIn:
        return self.here.mirror

    def do(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(20)


@contextlib.contextmanager
def elsewhere(mirror: StandIn, port: int = 0) -> Iterator[Elsewhere]:
    """Serves a mirror in a thread for as long as the test needs it."""
    started = threading.Event()
    found: list[Elsewhere] = []
    failures: list[BaseException] = []
    stops: list[asyncio.Event] = []

    async def main() -> None:
        stops.append(asyncio.Event())
        async with served(mirror, port=port) as running:
            found.append(Elsewhere(running, asyncio.get_running_loop()))
            started.set()
            await stops[0].wait()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failures.append(error)
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(20)
    if failures:
        raise failures[0]
    try:
        yield found[0]
    finally:
        found[0].loop.call_soon_threadsafe(stops[0].set)
        thread.join(20)
        assert not thread.is_alive()
