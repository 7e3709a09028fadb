"""An adapter that plays lines from a file: a process of its own, so that what is mirrored really
went over TCP.

    python -m mirrorworld.testing.shdr_player '{"file": "okuma.txt.gz", "speed": 10}'

It prints its port, plays the file once to whoever connects first, at `speed` times the pace of
its time stamps (0: as fast as it is read), prints `played N`, and answers PING until its input
ends.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Final

BURST_BYTES: Final = 1 << 16
SESSION_S: Final = 60.0
PAUSE_S_MAX: Final = 1.0
"""Of the plant's own time: longer pauses, and those between sessions, are cut."""


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file, unpacked."""
    raw = path.read_bytes()
    data = gzip.decompress(raw) if path.suffix == ".gz" else raw
    return data.splitlines(keepends=True)


def pauses_of(lines: list[bytes]) -> list[float]:
    """Seconds before each line by the time stamps.

    Stamps of one session run a little back and forth, so the latest so far counts; one far back
    begins another session.
    """
    pauses: list[float] = []
    latest: float | None = None
    for line in lines:
        stamp, _, rest = line.partition(b"|")
        pauses.append(0.0)
        try:
            now = datetime.fromisoformat(stamp.decode()[:26].rstrip("Z")).timestamp()
        except ValueError:
            continue
        if rest.startswith(b"@"):
            continue  # a document has the time at which it was last changed
        if latest is None or now < latest - SESSION_S:
            latest = now
        elif now > latest:
            pauses[-1] = min(now - latest, PAUSE_S_MAX)
            latest = now
    return pauses


async def play(asked: dict[str, Any]) -> None:
    """Serves until the input ends."""
    lines = lines_of(Path(asked["file"])) * int(asked.get("rounds", 1))
    speed = float(asked.get("speed", 0))
    pauses = pauses_of(lines) if speed else [0.0] * len(lines)
    is_free = True
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal is_free
        writers.add(writer)
        answering = asyncio.create_task(answer(reader, writer))
        try:
            if is_free:
                is_free = False
                await send(writer)
            await answering
        except (OSError, asyncio.CancelledError):
            pass  # the mirror, or this process, has ended
        finally:
            answering.cancel()
            writers.discard(writer)
            writer.close()

    async def send(writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        due, held = loop.time(), bytearray()
        for line, pause_s in zip(lines, pauses, strict=True):
            due += pause_s / speed if speed else 0.0
            wait_s = due - loop.time()
            if held and (wait_s > 0.001 or len(held) > BURST_BYTES):
                writer.write(bytes(held))
                held.clear()
                await writer.drain()
            if speed and wait_s > 0.001:
                await asyncio.sleep(wait_s)
            held += line
        writer.write(bytes(held))
        await writer.drain()
        print(f"played {len(lines)}", flush=True)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.startswith(b"* PING"):
                writer.write(b"* PONG 10000\n")

    server = await asyncio.start_server(serve, "127.0.0.1", int(asked.get("port", 0)))
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for writer in writers:
        writer.close()


if __name__ == "__main__":
    asyncio.run(play(json.loads(sys.argv[1])))
