"""An adapter's line, kept open: connected again whenever it is lost, with its heartbeat.

One connection is read in blocks as large as TCP has them; each block's whole lines go to a
`ShdrReader` together. A line without an end is bounded and skipped.

Knows sockets; refuses to know what the lines say.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from mirrorworld.connectors.shdr_lines import ShdrReader
from mirrorworld.world.ports import LinkState, Sink

READ_BYTES: Final = 1 << 18
CONNECT_S_MAX: Final = 10.0
RETRY_S_MAX: Final = 30.0
HEARTBEAT_MS: Final = (100, 600_000)
"""What an adapter may ask for, shortest and longest."""

OnState = Callable[[LinkState, str], Awaitable[None]]
OnTaken = Callable[[], Awaitable[None]]


class Blocks:
    """Bytes as they come, to blocks of whole lines; lines beyond the limit are left out."""

    def __init__(self, line_bytes_max: int) -> None:
        self.line_bytes_max = line_bytes_max
        self.too_long = 0
        self._rest = bytearray()
        self._skips = False

    def add(self, data: bytes) -> bytes:
        """The whole lines that are there now; b"" for none."""
        if self._skips:
            at = data.find(b"\n")
            if at < 0:
                return b""
            data, self._skips = data[at + 1 :], False
        at = data.rfind(b"\n")
        if at < 0:
            self._rest += data
            if len(self._rest) > self.line_bytes_max:
                self._rest.clear()
                self._skips = True
                self.too_long += 1
            return b""
        block = bytes(self._rest) + data[:at] if self._rest else data[:at]
        self._rest[:] = data[at + 1 :]
        return block


class ShdrSession:
    """Reads one adapter for as long as it is asked to.

    Args:
        heartbeat_s: how often to ask an adapter whether it is there; 0: never. An adapter that
            answers says itself how often.
    """

    def __init__(
        self,
        host: str,
        port: int,
        reader: ShdrReader,
        on_state: OnState,
        *,
        line_bytes_max: int,
        heartbeat_s: float = 10.0,
    ) -> None:
        self.host, self.port = host, port
        self._reader = reader
        self._on_state = on_state
        self._line_bytes_max = line_bytes_max
        self._heartbeat_s = heartbeat_s

    @property
    def place(self) -> str:
        """host:port."""
        return f"{self.host}:{self.port}"

    async def run(self, sink: Sink, on_block: OnTaken) -> None:
        """Connects, reads, and connects again, until cancelled."""
        wait_s = 0.5
        while True:
            try:
                async with asyncio.timeout(CONNECT_S_MAX):
                    reader, writer = await asyncio.open_connection(
                        self.host, self.port, limit=READ_BYTES
                    )
            except OSError as error:
                why = "no answer" if isinstance(error, TimeoutError) else str(error)
                await self._on_state(LinkState.LOST, f"no adapter at {self.place}: {why}")
            else:
                try:
                    await self._on_state(LinkState.LIVE, f"connected to {self.place}")
                    why = await self._read(reader, writer, sink, on_block)
                    wait_s = 0.5
                finally:
                    writer.close()
                    with contextlib.suppress(OSError, TimeoutError):
                        async with asyncio.timeout(1):
                            await writer.wait_closed()
                await self._on_state(LinkState.LOST, f"{self.place} {why}; trying again")
            await asyncio.sleep(wait_s * (0.5 + random.random()))
            wait_s = min(wait_s * 2, RETRY_S_MAX)

    async def _read(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        sink: Sink,
        on_block: OnTaken,
    ) -> str:
        """Reads one connection to its end; why it ended."""
        handle = writer.get_extra_info("socket")
        if handle is not None:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._reader.reconnected()
        self._reader.heartbeat_ms = None
        blocks = Blocks(self._line_bytes_max)
        loop = asyncio.get_running_loop()
        due = loop.time()
        heard = loop.time()
        while True:
            try:
                if self._heartbeat_s and loop.time() >= due:
                    writer.write(b"* PING\r\n")
                    due = loop.time() + self._beat_s()
                async with asyncio.timeout_at(due if self._heartbeat_s else None):
                    data = await reader.read(READ_BYTES)
            except TimeoutError:
                # Only an adapter that has answered once has promised to go on.
                beats = self._reader.heartbeat_ms is not None
                if beats and loop.time() - heard > 2 * self._beat_s():
                    return f"has been silent for {loop.time() - heard:.1f} s"
                continue
            except OSError as error:
                return f"broke off: {error}"
            if not data:
                return "ended the connection"
            heard = loop.time()
            block = blocks.add(data)
            if blocks.too_long:
                sink.count("shdr_line_too_long", blocks.too_long)
                blocks.too_long = 0
            if block:
                self._reader.feed(block, sink.now_ns())
                await on_block()

    def _beat_s(self) -> float:
        asked = self._reader.heartbeat_ms
        if asked is None:
            return self._heartbeat_s
        return min(max(asked, HEARTBEAT_MS[0]), HEARTBEAT_MS[1]) / 1_000
