"""Bots of `bench room`: many people in one process, each on a line of its own, walking about.

Each moves ten times a second and points at the moment that it moved: the end of its ray is the
time, so that whoever hears of it knows how long that took, on one machine's clock. Joins, says
`ready`, goes when told, and says at the end what it heard. `python -m` it with a JSON object.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from typing import Any, Final

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.poses import HEADER, Body, Pose, encode_pose

WRAP_MS: Final = 1_000_000
"""Times are told modulo this, as so many metres."""
HEAR_OF: Final = 4
"""Bots of a process that look at each frame; the others take it and let it go."""


class Bot:
    """One person."""

    def __init__(self, socket: ClientConnection, number: int, spread_m: float) -> None:
        self.socket, self.number = socket, number
        # A sunflower: evenly over a round of that size.
        self._at = math.sqrt(number + 0.5) * spread_m, number * 2.399963
        self.frames = self.bytes = self.sent = 0
        self.close_code: int | None = None

    async def move(self) -> None:
        """Says where it is now, and when."""
        radius, angle = self._at
        now = time.time()
        x = radius * math.cos(angle) + 2 * math.sin(now + self.number)
        z = radius * math.sin(angle) + 2 * math.cos(now + self.number)
        half = (now + self.number) / 2
        head = Pose((x, 1.7, z), (0.0, math.sin(half), 0.0, math.cos(half)))
        when = (now * 1e3) % WRAP_MS / 1e3
        body = Body(head, pointer=((x, 1.4, z), (when, 0.0, 0.0)))
        await self.socket.send(encode_pose(body))
        self.sent += 1

    async def hear(self, ages_ms: list[np.ndarray] | None) -> None:
        """Takes what comes until the line ends."""
        try:
            async for data in self.socket:
                if isinstance(data, bytes):
                    self.frames += 1
                    self.bytes += len(data)
                    if ages_ms is not None:
                        ages_ms.append(ages(data, time.time() * 1e3))
        except ConnectionClosed:
            pass
        self.close_code = self.socket.close_code


def ages(data: bytes, now_ms: float) -> np.ndarray:
    """How long ago the people of a frame moved, in ms: all have rays and no hands."""
    n = HEADER.unpack_from(data)[2]
    start = HEADER.size + 2 * (2 * n + 2 * (n & 1)) + n + -n % 4
    to = np.frombuffer(data, "<i4", 3 * n, start + 12 * n + 12 * n)[::3]
    return (now_ms - to) % WRAP_MS


async def main() -> None:
    """Joins with all bots, moves them, and says what came of it."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    url = asked["url"].replace("http", "ws", 1) + shapes.MEET_PATH
    headers = {"Authorization": f"Bearer {asked['token']}"}
    bots: list[Bot] = []
    heard_ms: list[np.ndarray] = []
    hearing: list[asyncio.Task[None]] = []
    for number in range(asked["first"], asked["first"] + asked["bots"]):
        socket = await connect(
            url, additional_headers=headers, proxy=None, compression=None, max_queue=64
        )
        join = shapes.Join(f"Bot {number}", f"bot-of-the-bench-{number:06}")
        await socket.send(shapes.encode(join))
        bots.append(Bot(socket, number, asked["spread_m"]))
        looks = len(bots) <= HEAR_OF
        hearing.append(asyncio.create_task(bots[-1].hear(heard_ms if looks else None)))
        await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    start = time.monotonic()
    counted_at = start + asked["warm_s"]
    period = 1 / asked["rate_hz"]
    warm = False
    late_s, step = 0.0, 0
    begun: list[tuple[int, int, int]] = [(0, 0, 0)] * len(bots)
    while time.monotonic() < counted_at + asked["seconds"]:
        if not warm and time.monotonic() >= counted_at:
            warm = True
            heard_ms.clear()
            begun = [(bot.frames, bot.bytes, bot.sent) for bot in bots]
        for k, bot in enumerate(bots):  # spread over the period, as people are
            due = start + (step + k / len(bots)) * period
            wait = due - time.monotonic()
            late_s = max(late_s, -wait) if warm else late_s
            if wait > 0:
                await asyncio.sleep(wait)
            if bot.close_code is None:
                try:
                    await bot.move()
                except ConnectionClosed:
                    bot.close_code = bot.socket.close_code
        step += 1
    age = np.concatenate(heard_ms) if heard_ms else np.array([np.nan])
    frames, size, sent = (
        sum(now - then[i] for now, then in zip(values, begun, strict=True))
        for i, values in enumerate(
            ([b.frames for b in bots], [b.bytes for b in bots], [b.sent for b in bots])
        )
    )
    said = {
        "frames": frames, "bytes": size, "sent": sent, "late_s": late_s,
        "lost": sum(bot.close_code is not None for bot in bots),
        "histogram_ms": np.bincount(np.clip(age, 0, 9_999).astype(np.intp)).tolist()
        if heard_ms else [],
    }  # fmt: skip
    print(json.dumps(said), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for task in hearing:
        task.cancel()
    await asyncio.gather(*hearing, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
