"""A program that answers over HTTP as a test wants it to: bytes, since hostile ones count too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

Answer = Callable[[str, str, dict[str, str], bytes], bytes]


def answer(
    body: bytes = b"", status: str = "200 OK", headers: str = "", *, length: int | None = None
) -> bytes:
    """An HTTP answer; `headers` are lines that end in CRLF."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body


class Program:
    """Serves `reply(method, target, headers, body)` at the loopback."""

    def __init__(self, reply: Answer) -> None:
        self.reply = reply
        self.port = 0
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.endless = b""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()
        while self._writers:
            await asyncio.sleep(0.001)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, IndexError):
                while True:
                    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                    method, target, _ = lines[0].split(" ")
                    pairs = (line.partition(":") for line in lines[1:] if line)
                    headers = {name.lower(): value.strip() for name, _, value in pairs}
                    body = await reader.readexactly(int(headers.get("content-length", 0)))
                    self.requests.append((method, target, headers, body))
                    writer.write(self.reply(method, target, headers, body))
                    await writer.drain()
                    while self.endless:
                        writer.write(self.endless)
                        await writer.drain()
        finally:
            self._writers.discard(writer)
            writer.close()
