"""A server that runs beside a test, on a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def beside(main: Callable[[asyncio.Event, Callable[[T], None]], Awaitable[None]]) -> Iterator[T]:
    """Runs `main(stop, ready)` for as long as the test needs it.

    `main` calls `ready` with what the test is given, and returns once `stop` is set. How it fails,
    at the start or later, the test fails too.
    """
    is_ready = threading.Event()
    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    found: list[T] = []
    failures: list[BaseException] = []

    def ready(what: T) -> None:
        found.append(what)
        is_ready.set()

    async def run_main() -> None:
        stop = asyncio.Event()
        stops.append((asyncio.get_running_loop(), stop))
        await main(stop, ready)

    def run() -> None:
        try:
            asyncio.run(run_main())
        except BaseException as error:
            failures.append(error)
        finally:
            is_ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    is_ready.wait(60)
    if failures or not found:
        raise RuntimeError("the server did not start") from (failures or [None])[0]
    try:
        yield found[0]
    finally:
        loop, stop = stops[0]
        with contextlib.suppress(RuntimeError):  # it has failed and its loop is closed
            loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        if failures:
            raise failures[0]
        assert not thread.is_alive()
