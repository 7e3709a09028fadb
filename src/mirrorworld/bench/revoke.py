"""Revocation: how long after a session was ended its open stream still delivers anything.

Real WebSockets over TLS, watching a world whose points change all the time. For each session the
last frame that was delivered is timed against the call that ended it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.mirror import Mirror
from mirrorworld.protocol import messages
from mirrorworld.record import open_record, restore
from mirrorworld.server import Network, serve
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.authority import certificate_for
from mirrorworld.trust.policy import GrantGuard
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import PointType, Twin

GOOD = 0
FRAMES_BEFORE = 20
"""So many frames every session has had when the first is ended."""


def run(sessions: int = 50, points: int = 2_000, rate_hz: float = 20.0) -> dict[str, Any]:
    """p99_ms from revocation to the last frame delivered; `late_frames` that began after it."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_measure(Path(directory), sessions, points, rate_hz))


async def _measure(directory: Path, sessions: int, points: int, rate_hz: float) -> dict[str, Any]:
    accounts = Accounts(directory / "accounts.db")
    accounts.add_person("vic", "correct horse battery", [Grant("viewer")])
    secrets = [
        accounts.open_session("vic", device=f"{i}", address="127.0.0.1", way="bench")
        for i in range(sessions)
    ]
    ids = [row["id"] for secret in secrets if (who := accounts.by_session(secret))
           for row in accounts.sessions("vic") if row["id"] == who.session]  # fmt: skip
    record = open_record(directory / "record", "bench", compacts=False)
    world = restore(record)
    mirror = Mirror(world, record, {}, guard=GrantGuard(RoleGuard(), accounts, lambda _: ()))
    await mirror.start()
    kinds = tuple(PointType(f"p{i}") for i in range(points))
    edits = Edits((PutTwin(Twin("plant", points=kinds)),))
    mirror.pipeline.apply(Change(edits, Origin(OriginKind.MEASURED, "bench"), time.time_ns()))
    certificate = certificate_for(directory / "authority", ["127.0.0.1"])
    outer = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    network = Network("127.0.0.1", _free_port(), certificate, ("127.0.0.1",))
    serving = asyncio.create_task(
        serve(
            mirror,
            token="x" * 32,
            port=0,
            accounts=accounts,
            network=network,
            static_dir=None,
            on_ready=outer.set_result,
            stop=stop,
        )
    )
    await outer
    changing = asyncio.create_task(_change(mirror, points, rate_hz))
    trusting = ssl.create_default_context(cafile=str(certificate.authority))
    try:
        begun = [asyncio.Event() for _ in secrets]
        watchers = [
            asyncio.create_task(_watch(network.port, trusting, secret, event))
            for secret, event in zip(secrets, begun, strict=True)
        ]
        await asyncio.wait_for(asyncio.gather(*(event.wait() for event in begun)), 120)
        revoked: list[float] = []
        for session in ids:
            revoked.append(time.perf_counter())
            accounts.end_session(session, by="bench")
            await asyncio.sleep(1 / rate_hz / 3)
        heard = await asyncio.wait_for(asyncio.gather(*watchers), 30)
    finally:
        changing.cancel()
        stop.set()
        await asyncio.gather(changing, serving, return_exceptions=True)
        await mirror.stop()
        accounts.close()
    after_ms = np.array(
        [max(0.0, (last - at) * 1000) for at, (last, _, _) in zip(revoked, heard, strict=True)]
    )
    closed_ms = np.array(
        [(end - at) * 1000 for at, (_, end, _) in zip(revoked, heard, strict=True)]
    )
    return {
        "p99_ms": round(float(np.percentile(after_ms, 99)), 3),
        "closed_p99_ms": round(float(np.percentile(closed_ms, 99)), 3),
        "sessions": sessions,
        "frames_before": int(np.median([n for _, _, n in heard])),
        "rate_hz": rate_hz,
        "points": points,
    }


async def _change(mirror: Mirror, points: int, rate_hz: float) -> None:
    """Changes all points at the rate."""
    handles = np.arange(points, dtype=np.uint32)
    for step in range(1_000_000):
        now_ns = time.time_ns()
        values = np.full(points, float(step)).view(np.int64)
        frame = Frame(
            handles, values, np.full(points, GOOD, np.uint32), np.full(points, now_ns, np.int64)
        )
        mirror.pipeline.apply(Change(frame, Origin(OriginKind.MEASURED, "bench"), now_ns, "bench"))
        await asyncio.sleep(1 / rate_hz)


async def _watch(
    port: int, trusting: ssl.SSLContext, secret: str, begun: asyncio.Event
) -> tuple[float, float, int]:
    """(when the last frame came, when it was closed, how many frames came)."""
    last, frames = time.perf_counter(), 0
    headers = {"Cookie": f"__Host-mirrorworld_{port}={secret}"}
    address = f"wss://127.0.0.1:{port}/api/stream"
    async with connect(
        address,
        ssl=trusting,
        additional_headers=headers,
        origin=f"https://127.0.0.1:{port}",  # pyright: ignore[reportArgumentType]
        max_size=None,
    ) as socket:
        await socket.send(messages.encode(messages.Hello()).decode())
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
                last, frames = time.perf_counter(), frames + 1
                if frames == FRAMES_BEFORE:
                    begun.set()
    return last, time.perf_counter(), frames


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
