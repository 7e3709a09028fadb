"""Memory over time: a served world under a steady load, with a viewer that reads and one that does
not, for minutes or an hour.

The plant, the bus and the viewer are those of `bench city`. Memory is the anonymous memory of the
twin's process, looked at every second: pages of libraries are not in it, which come and go as other
processes share them. The slope is that of a straight line through the second half, when caches are
full. `make soak` is the other soak: the laws under faults.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil

from mirrorworld.bench.city import BUSES, accepted, mirrored, missing, until
from mirrorworld.bench.peer import Peer
from mirrorworld.bench.serving import Serving


def run(
    minutes: float = 3.0, points: int = 20_000, rate_hz: float = 2.0, bus: str = "zenoh"
) -> dict[str, Any]:
    """Figures: `memory_mb_start` (after a tenth), `memory_mb_end`, `memory_mb_max`,
    `slope_mb_per_hour`, `lost`.

    Args:
        minutes: how long; 60 for the hour's soak.
        bus: zenoh or sparkplug.

    Raises:
        ValueError: there is no such bus.
    """
    if bus not in BUSES:
        raise ValueError(f"bus '{bus}' is none of {', '.join(BUSES)}")
    seconds = minutes * 60
    asked = {"bus": bus, "points_per_message": 1_000, "rate_hz": rate_hz}
    looks: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name, ExitStack() as stack:
        directory = Path(name) / "world"
        with mirrored(directory, asked, points, 1, seconds) as (served, (plant,)):
            viewing = {"url": served.url, "token": served.token, "points": points, "rate_hz": 20}
            viewer = stack.enter_context(Peer("city_viewer", viewing))
            viewer.until_ready()
            stack.enter_context(deaf(served))
            plant.tell()
            viewer.tell()
            start = time.monotonic()
            while (at := time.monotonic() - start) < seconds:
                looks.append((at, anonymous_mb(served.pid)))
                time.sleep(1)
            sent = plant.hear()
            until(lambda: accepted(served) >= sent["rows"])
            viewer.tell()
            seen = viewer.hear()
        lost, doubled = missing(directory / "record", points, sent["steps"], sent["first_ns"])
    at_s, memory_mb = np.array(looks).T
    later = at_s >= seconds / 2
    slope = float(np.polyfit(at_s[later], memory_mb[later], 1)[0]) if later.sum() > 2 else 0.0
    return {
        "minutes": minutes,
        "memory_mb_start": round(float(memory_mb[len(memory_mb) // 10]), 1),
        "memory_mb_end": round(float(memory_mb[-1]), 1),
        "memory_mb_max": round(float(memory_mb.max()), 1),
        "slope_mb_per_hour": round(slope * 3_600, 1),
        "lost": lost,
        "doubled": doubled,
        "rows": sent["rows"],
        "viewer_frames": seen["frames"],
        "latency_ms_p99": seen["latency_ms_p99"],
        "points": points,
        "rate_hz": rate_hz,
        "bus": bus,
        "load_1min": round(os.getloadavg()[0], 1),
    }


def anonymous_mb(pid: int) -> float:
    """Memory of a process that is of no file, in MB; on systems that do not say it, what it has for
    itself."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.partition("RssAnon:")[2].split()[0]) * 1024 / 1e6
    except (OSError, IndexError):
        return psutil.Process(pid).memory_full_info().uss / 1e6


def deaf(served: Serving) -> socket.socket:
    """A viewer that asks for the stream and then reads nothing of it, ever."""
    place = urlsplit(served.url)
    one = socket.create_connection((place.hostname or "127.0.0.1", place.port or 80), timeout=30)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    key = b64encode(os.urandom(16)).decode()
    one.sendall(
        f"GET /api/stream HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        f"Authorization: Bearer {served.token}\r\n\r\n".encode()
    )
    if b" 101 " not in one.recv(256):
        raise RuntimeError("the world refuses a viewer")
    hello = b'{"@":"Hello"}'
    # A client's frames are masked (RFC 6455 5.3); with a mask of zeros they stay as they are.
    one.sendall(bytes((0x81, 0x80 | len(hello))) + bytes(4) + hello)
    return one
