"""The small kept world behind the real server, in a thread of its own, for callers that block."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mirrorworld.live.mirror import Mirror
from mirrorworld.operations.routes import router
from mirrorworld.server import serve
from tests.operations.kept_world import make

TOKEN = "a-token-of-the-owner-of-this-world-0123456789"


@dataclass
class Kept:
    """Where it is served."""

    address: str
    directory: Path
    mirror: Mirror

    @property
    def url(self) -> str:
        """Address that logs in."""
        return f"{self.address}/?token={TOKEN}"


@contextlib.contextmanager
def kept(
    directory: Path, now_ns: Callable[[], int], static_dir: Path | None = None
) -> Iterator[Kept]:
    """Serves it for as long as the test needs it."""
    ready = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    found: list[Kept] = []
    failures: list[BaseException] = []

    async def main() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        world, record = make(directory)
        mirror = Mirror(world, record, {}, now_ns=now_ns)
        await mirror.start()

        def on_ready(address: str) -> None:
            found.append(Kept(address, directory, mirror))
            ready.set()

        await serve(
            mirror,
            token=TOKEN,
            port=0,
            routers=[router],
            static_dir=static_dir,
            on_ready=on_ready,
            stop=stop,
        )
        await mirror.stop()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait(60)
    if failures or not found:
        raise RuntimeError("the server did not start") from (failures or [None])[0]
    try:
        yield found[0]
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)
        assert not thread.is_alive() and not failures
