"""A kept line with its branches behind the page, for tests of the page."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mirrorworld.branches.room import Room, room_of
from mirrorworld.branches.routes import router
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.server import serve
from mirrorworld.world.changes import Command, CommandState
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Finding, Link, LinkState, Sink, SourceConfig
from tests.beside import beside

T = TypeVar("T")


class Echo:
    """A source that takes what it is told, and reports it as its own; but no more than 200."""

    schemes: tuple[str, ...] = ("echo",)

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self.link = Link(LinkState.CONNECTING)
        self._sink: Sink | None = None

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        """Nothing."""
        return []

    async def run(self, sink: Sink) -> None:
        """Is there, and says nothing by itself."""
        self._sink = sink
        self.link = Link(LinkState.LIVE)
        await asyncio.Event().wait()

    async def write(self, command: Command) -> Command:
        """See above."""
        assert self._sink is not None
        if isinstance(command.value, float) and command.value > 200:
            return dataclasses.replace(command, state=CommandState.FAILED, detail="too fast for me")
        builder = FrameBuilder()
        handle = int(self._sink.handles([(command.twin, command.point)])[0])
        builder.add(handle, Kind.FLOAT, command.value, self._sink.now_ns())
        await self._sink.push(builder.build())
        return dataclasses.replace(command, state=CommandState.SENT)


TOKEN = "a-token-of-the-owner-of-this-world-0123456789"


@dataclass
class BranchWorld:
    """Where it is served, and what is behind it."""

    address: str
    mirror: Mirror
    room: Room
    loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        """Address that logs in."""
        return f"{self.address}/?token={TOKEN}"

    def do(self, act: Callable[[], T]) -> T:
        """Runs something on the loop that owns the world."""

        async def in_loop() -> T:
            return act()

        return asyncio.run_coroutine_threadsafe(in_loop(), self.loop).result(60)


@contextlib.contextmanager
def served(
    directory: Path,
    make: Callable[[Path], None],
    static_dir: Path,
    source: str = "",
) -> Iterator[BranchWorld]:
    """Serves what `make` has written into the directory for as long as the test needs it; twins
    whose ids begin with `source` belong to an Echo of that name."""
    if not (directory / "record").exists():
        make(directory)
    async def main(stop: asyncio.Event, ready: Callable[[BranchWorld], None]) -> None:
        record = open_record(directory / "record")
        mirror = Mirror(restore(record), record, {"echo": Echo})
        await mirror.start()
        room = room_of(mirror, directory / "branches")
        await room.start()
        if source:
            mirror.feeds.add(SourceConfig("echo://", source))

        def on_ready(address: str) -> None:
            ready(BranchWorld(address, mirror, room, asyncio.get_running_loop()))

        await serve(
            mirror,
            token=TOKEN,
            port=0,
            routers=[router],
            static_dir=static_dir,
            on_ready=on_ready,
            stop=stop,
        )
        await room.close()
        await mirror.stop()

    with beside(main) as found:
        yield found
