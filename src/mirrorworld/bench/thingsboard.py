"""ThingsBoard's published scenario: 5,000 MQTT devices, a message a second each, three points.

As many TCP connections to a real mosquitto, QoS 1, JSON with `ts` and `values`; the twin is the
real server in a process of its own and subscribes as it does to any broker, its record on disk.
Every message is acknowledged to the broker after the fsync that holds it. What is lost is counted
in the record. The core share is of the twin's process; broker and devices are beside it.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import psutil

from mirrorworld.bench.city import SOURCE, accepted, missing, source, until
from mirrorworld.bench.mosquitto import allow_connections, broker
from mirrorworld.bench.peer import Peer
from mirrorworld.bench.serving import serving

POINTS: Final = 3
WARM_ROUNDS: Final = 3


def run(clients: int = 5_000, seconds: int = 30) -> dict[str, Any]:
    """Figures: `core_share` (CPU of the twin over wall), `lost`, `doubled`, `messages`,
    `points_per_s`, `durable`.

    Raises:
        RuntimeError: there is no mosquitto, or so many files may not be open.
    """
    allow_connections(clients)
    with (
        tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name,
        broker() as (port, config),
    ):
        directory = Path(name) / "world"
        options: dict[str, str | int] = {"client_id": "bench", "max_points": 10 * clients + 100}
        url = f"mqtt://127.0.0.1:{port}"
        asked = {"port": port, "clients": clients, "rounds": seconds, "warm_rounds": WARM_ROUNDS}
        with serving(directory, url, "--name", SOURCE, options=options) as served:
            until(lambda: source(served).get("state") == "live")
            with Peer("thingsboard_clients", asked) as devices:
                devices.until_ready()
                devices.tell()  # the first rounds declare 5,000 twins, which is not measured
                warm = int(devices.hear()["sent"]) * POINTS
                until(lambda: accepted(served) >= warm)
                time.sleep(2)
                cpu_s, start_s = served.cpu_s(), time.monotonic()
                devices.tell()
                said = devices.hear()
                expected = warm + said["sent"] * POINTS
                until(lambda: accepted(served) >= expected)
                wall_s, cpu_s = time.monotonic() - start_s, served.cpu_s() - cpu_s
                server_mb = psutil.Process(served.pid).memory_full_info().uss / 1e6
        lost, doubled = missing(
            directory / "record", clients * POINTS, seconds, said["first_ms"] * 1_000_000
        )
    return {
        "clients": clients,
        "core_share": round(cpu_s / wall_s, 3),
        "lost": lost,
        "doubled": doubled,
        "messages": said["sent"],
        "messages_per_s": round(said["sent"] / wall_s),
        "points_per_s": round(said["sent"] * POINTS / wall_s),
        "acknowledged_to_devices": said["acknowledged"],
        "durable": "PUBACK to the broker after fsync of the record",
        "devices_late_s_max": round(said["late_s"], 3),
        "seconds": seconds,
        "server_mb": round(server_mb),
        "mosquitto_config": config,
        "load_1min": round(os.getloadavg()[0], 1),
    }
