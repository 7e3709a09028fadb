"""A link that fails as links do: cut, silent, or slow to take. A TCP proxy in this process."""

from __future__ import annotations

import asyncio
import contextlib
import socket


class CutLink:
    """Passes a connection at `port` on to another port of the loopback, while it is whole.

    Attributes:
        port: where to connect.
        passed_bytes: towards the target, so far.
    """

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.passed_bytes = 0
        self._target = target_port
        self._is_whole = True
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> CutLink:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Ends what is open, and nobody comes through until `mend`."""
        self._is_whole = False
        for writer in list(self._open):
            writer.transport.abort()

    def mend(self) -> None:
        """Lets connections through again."""
        self._is_whole = True
        self._flows.set()

    def stall(self) -> None:
        """Takes nothing more, and says nothing of it, as a link does whose other end is gone."""
        self._flows.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not self._is_whole:
            writer.transport.abort()
            return
        try:
            other = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        for each in (writer, other[1]):
            self._open.add(each)
            connected = each.get_extra_info("socket")
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = [self._pass(reader, other[1], counts=True), self._pass(other[0], writer)]
        done = [asyncio.create_task(way) for way in ways]
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the link itself ends
                await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in done:
                way.cancel()
            for each in (writer, other[1]):
                self._open.discard(each)
                each.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                await self._flows.wait()
                if counts:
                    self.passed_bytes += len(data)
                writer.write(data)
                await writer.drain()
