"""A Modbus TCP device for the bench, in a process of its own and fast: `python modbus_plant.py N`.

Every holding register of unit 1 holds a count of the requests served, so that each answer differs
from the last. It prints its port, and on a line `sums` how many registers it has given away.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from typing import Any

import numpy as np


class Device(asyncio.Protocol):
    """Answers reads of holding registers; all else is illegal function."""

    n_registers = 0
    n_requests = 0

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._buffer += data
        out: list[bytes] = []
        while len(self._buffer) >= 12:
            head, _, unit, function, _, count = struct.unpack_from(">IHBBHH", self._buffer)
            self._buffer = self._buffer[12:]
            if function != 3:
                out.append(struct.pack(">IHBBB", head, 3, unit, function | 0x80, 1))
                continue
            Device.n_requests += 1
            Device.n_registers += count
            words = np.full(count, Device.n_requests & 0x7FFF, ">u2").tobytes()
            out.append(struct.pack(">IHBBB", head, 3 + 2 * count, unit, 3, 2 * count) + words)
        self._transport.write(b"".join(out))


async def main() -> None:
    """Serves until its input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Device, "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip() == "sums":
            print(json.dumps({"given": Device.n_registers}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
