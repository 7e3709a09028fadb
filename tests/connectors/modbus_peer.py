"""The modbus-serial server of the tests, and devices that misbehave, as processes of their own."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.connectors.opcua_peer import NodeOpcua


class ModbusSerial(NodeOpcua):
    """A modbus-serial server (tests/peers/modbus_server.js)."""

    def __init__(self, node: str, peers: Path, **options: Any) -> None:
        super().__init__(node, peers, peers, **options)
        self.script = peers / "modbus_server.js"

    @property
    def url(self) -> str:
        return f"modbus://127.0.0.1:{self.port}"

    def put(self, address: int, words: list[int], table: str = "holding") -> None:
        self.ask("put", table=table, address=address, words=words)

    def put_float(self, address: int, value: float) -> None:
        self.put(address, list(struct.unpack(">HH", struct.pack(">f", value))))


Answer = Callable[[bytes], bytes]
"""A request's frame -> what is sent back."""


@asynccontextmanager
async def device(answer: Answer) -> AsyncIterator[int]:
    """A device on loopback that answers each MBAP request as told; its port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                head = await reader.readexactly(6)
                body = await reader.readexactly(int.from_bytes(head[4:6], "big"))
                writer.write(answer(head + body))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def reply(request: bytes, pdu: bytes, *, unit: int | None = None) -> bytes:
    """An answer's frame with the request's number."""
    own = request[6] if unit is None else unit
    return request[:4] + struct.pack(">HB", len(pdu) + 1, own) + pdu


def registers(request: bytes, fill: int = 7) -> bytes:
    """An honest answer to a read: every register holds `fill`."""
    count = int.from_bytes(request[10:12], "big")
    return reply(request, bytes([request[7], count * 2]) + struct.pack(">H", fill) * count)


@asynccontextmanager
async def device_of_bytes(answer: bytes) -> AsyncIterator[int]:
    """A device that sends these bytes, once a connection, whatever is asked of it; its port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.read(1)
            writer.write(answer)
            await reader.read()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
