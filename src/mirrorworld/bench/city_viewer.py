"""A viewer of `bench city`: a process of its own that keeps the table of all points, decoded.

Every frame of the stream is decoded into columns and put into the table, and each row's age is
taken then: from the plant's stamp to the decoded value, on one machine's clock. Says `ready` when
it knows all points, and at the end, told by a line, what it saw. `python -m` it with a JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any, Final

import msgspec
import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from mirrorworld.protocol import binary, messages

AGE_MS_MAX: Final = 60_000


class Table:
    """The latest value and time of each point, and how old values were when they came."""

    def __init__(self, points: int) -> None:
        self.value = np.full(points, np.nan, np.float32)
        self.source_ms = np.full(points, np.nan)
        self.ages_ms = np.zeros(AGE_MS_MAX + 1, np.int64)
        """How many rows came at each age in milliseconds; older than a minute: the last."""
        self.rows = self.frames = self.bytes = 0
        self.since_ms = float("inf")
        """Rows stamped from then on are counted."""

    def take(self, data: bytes) -> None:
        """Decodes a frame into the table."""
        frame = binary.decode(data)
        source_ms = frame.source_ms
        self.value[frame.handle], self.source_ms[frame.handle] = frame.value, source_ms
        # The stamp is whole milliseconds, and so is what the frame says of it.
        age_ms = time.time_ns() / 1e6 - source_ms[source_ms >= self.since_ms]
        if len(age_ms):
            binned = np.clip(np.ceil(age_ms), 0, AGE_MS_MAX).astype(np.intp)
            self.ages_ms += np.bincount(binned, minlength=AGE_MS_MAX + 1)
            self.rows += len(age_ms)
            self.frames += 1
            self.bytes += len(data)

    def percentile_ms(self, q: float) -> int | None:
        """Age below which a share q of the rows came, rounded up; None without any."""
        if not self.rows:
            return None
        return int(np.searchsorted(self.ages_ms.cumsum(), q * self.rows))


async def main() -> None:
    """Watches until it is told that it is enough."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    table = Table(asked["points"])
    url = asked["url"].replace("http", "ws", 1) + "/api/stream"
    headers = {"authorization": f"Bearer {asked['token']}"}
    loop = asyncio.get_running_loop()
    async with connect(url, additional_headers=headers, max_size=None, compression=None) as socket:
        await socket.send(messages.encode(messages.Hello(rate_hz=asked["rate_hz"])).decode())
        hearing = asyncio.create_task(_hear(socket, table))
        line = loop.run_in_executor(None, sys.stdin.readline)
        await asyncio.wait((hearing, line), return_when=asyncio.FIRST_COMPLETED)
        if hearing.done():
            hearing.result()
        cpu_s, start_s = sum(os.times()[:2]), time.monotonic()
        table.since_ms = time.time_ns() / 1e6
        enough = loop.run_in_executor(None, sys.stdin.readline)
        await asyncio.wait((hearing, enough), return_when=asyncio.FIRST_COMPLETED)
        if hearing.done():
            hearing.result()
        hearing.cancel()
        wall_s, cpu_s = time.monotonic() - start_s, sum(os.times()[:2]) - cpu_s
    said = {
        "rows": table.rows,
        "frames": table.frames,
        "bytes": table.bytes,
        "core_share": round(cpu_s / wall_s, 3),
        "latency_ms_p50": table.percentile_ms(0.5),
        "latency_ms_p99": table.percentile_ms(0.99),
        "latency_ms_max": table.percentile_ms(1.0),
        "points_valued": int(np.isfinite(table.value).sum()),
    }
    print(json.dumps(said), flush=True)


async def _hear(socket: ClientConnection, table: Table) -> None:
    points = 0
    async for data in socket:
        if isinstance(data, bytes):
            table.take(data)
        elif points < len(table.value) and data.startswith('{"@":"Structure"'):
            points += len(msgspec.json.decode(data)["points"]["handle"])
            if points >= len(table.value):
                print("ready", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
