"""The small kept world behind the real server, in a thread of its own, for callers that block."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mirrorworld.live import sheets
from mirrorworld.live.mirror import Mirror
from mirrorworld.operations import sheets as operations
from mirrorworld.operations.routes import router
from mirrorworld.server import serve
from tests.beside import beside
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

    # As the program itself does it.
    sheets.READERS.update(operations.READERS)
    sheets.FORMS.update(operations.FORMS)

    async def main(stop: asyncio.Event, ready: Callable[[Kept], None]) -> None:
        world, record = make(directory)
        mirror = Mirror(world, record, {}, now_ns=now_ns)
        await mirror.start()

        def on_ready(address: str) -> None:
            ready(Kept(address, directory, mirror))

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

    with beside(main) as found:
        yield found
