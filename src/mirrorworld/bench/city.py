"""A city: 200,000 points that all change at once, from the plant to a viewer's decoded table.

Plants in processes of their own stamp each step and put it on the bus: columns over Zenoh, or
Sparkplug B through mosquitto. The twin is the real server (`mirrorworld up`) in a process of its
own, its record on disk; a viewer in a further process decodes the stream into its own table. A
latency is from the plant's stamp to the decoded row, wall; what is lost or doubled is counted in
the record afterwards, row by row. All processes share the machine, and CPU is said of each. With
`browser`, the page itself is opened, and a stamp is followed to a painted frame.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import psutil

from mirrorworld.bench import city_browser
from mirrorworld.bench.mosquitto import broker, free_port
from mirrorworld.bench.peer import Peer
from mirrorworld.bench.serving import Serving, serving
from mirrorworld.record import open_record
from mirrorworld.world.changes import Position
from mirrorworld.world.frames import Frame

BUSES: Final = ("zenoh", "sparkplug")
SETTLE_S: Final = 120.0
SOURCE: Final = "city"


def run(
    points: int = 200_000,
    rate_hz: float = 10.0,
    seconds: float = 20.0,
    bus: str = "zenoh",
    plants: int = 2,
    points_per_message: int = 1_000,
    viewer_hz: float = 60.0,
    warm_s: float = 8.0,
    browser: str = "",
) -> dict[str, Any]:
    """Figures: `points`, `rate_hz` (kept, not asked), `lost` and `doubled` (of the record),
    `latency_ms_p50`, `latency_ms_p99`, `twin_core_share`.

    Args:
        rate_hz: how often all points change.
        seconds, warm_s: how long, and how long before that nothing is counted: the record then
            writes down the structure that is new to it.
        bus: zenoh or sparkplug.
        points_per_message: of an edge node of Sparkplug.
        viewer_hz: how often the viewer asks to be told.
        browser: open the page too, in a Chromium without a screen, and time painted frames:
            `page` without the 3D scene, `scene` with it, which wants a graphics card.

    Raises:
        ValueError: there is no such bus, or no such way to open the page.
        RuntimeError: there is no mosquitto, or a process did not start.
    """
    if bus not in BUSES:
        raise ValueError(f"bus '{bus}' is none of {', '.join(BUSES)}")
    if browser and browser not in city_browser.ARGUMENTS:
        raise ValueError(f"browser '{browser}' is none of {', '.join(city_browser.ARGUMENTS)}")
    asked = {"bus": bus, "points_per_message": points_per_message, "rate_hz": rate_hz}
    with tempfile.TemporaryDirectory(prefix="mirrorworld-bench-") as name, ExitStack() as stack:
        directory = Path(name) / "world"
        with mirrored(directory, asked, points, plants, seconds + warm_s) as (served, sources):
            viewing = {"url": served.url, "token": served.token}
            viewer = stack.enter_context(
                Peer("city_viewer", {**viewing, "points": points, "rate_hz": viewer_hz})
            )
            viewer.until_ready()
            page: city_browser.Page | None = None
            if browser:
                page = stack.enter_context(city_browser.Page(served, points, browser))
            for plant in sources:
                plant.tell()
            time.sleep(warm_s)
            viewer.tell()
            cpu_s, start_s = served.cpu_s(), time.monotonic()
            rest_s = psutil.cpu_times()
            painted = page.paint_ages_ms(seconds) if page is not None else []
            time.sleep(max(0.0, start_s + seconds - time.monotonic()))
            wall_s, cpu_s = time.monotonic() - start_s, served.cpu_s() - cpu_s
            spare_s = psutil.cpu_times().idle - rest_s.idle
            sent = [plant.hear() for plant in sources]
            rows = sum(one["rows"] for one in sent)
            until(lambda: accepted(served) >= rows)
            viewer.tell()
            seen = viewer.hear()
            server_mb = psutil.Process(served.pid).memory_full_info().uss / 1e6
        lost, doubled = missing(
            directory / "record", points, sent[0]["steps"], min(one["first_ns"] for one in sent)
        )
    kept_hz = min(one["steps"] / max(one["seconds"], one["steps"] / rate_hz) for one in sent)
    return {
        "points": points,
        "rate_hz": round(kept_hz, 2),
        "rows_per_s": round(points * kept_hz),
        "lost": lost,
        "doubled": doubled,
        "latency_ms_p50": seen["latency_ms_p50"],
        "latency_ms_p99": seen["latency_ms_p99"],
        "twin_core_share": round(cpu_s / wall_s, 3),
        "viewer_core_share": seen["core_share"],
        "machine_idle_cores": round(spare_s / wall_s, 2),
        "viewer_frames": seen["frames"],
        "viewer_rows": seen["rows"],
        "viewer_mb_per_s": round(seen["bytes"] / 1e6 / wall_s, 1),
        "plants_late_s_max": round(max(one["late_s"] for one in sent), 3),
        **city_browser.figures(painted, browser),
        "bus": bus,
        "plants": plants,
        "seconds": seconds,
        "server_mb": round(server_mb),
        "load_1min": round(os.getloadavg()[0], 1),
    }


@contextmanager
def mirrored(
    directory: Path, asked: dict[str, Any], points: int, plants: int, seconds: float
) -> Iterator[tuple[Serving, list[Peer]]]:
    """A served world that knows all points of its plants, which wait for a line to go."""
    with ExitStack() as stack:
        if asked["bus"] == "zenoh":
            port = free_port()
            url, options = f"zenoh://127.0.0.1:{port}", {"listen": "true"}
        else:
            port, _ = stack.enter_context(broker())
            url, options = f"sparkplug://127.0.0.1:{port}", {"client_id": "bench"}
        options["max_points"] = str(points + 1_000)
        served = stack.enter_context(serving(directory, url, "--name", SOURCE, options=options))
        until(lambda: source(served).get("state") == "live")
        started: list[Peer] = []
        for number in range(plants):
            mine = points // plants + (number < points % plants)
            told = {**asked, "port": port, "number": number, "points": mine, "seconds": seconds}
            started.append(stack.enter_context(Peer("city_plant", told)))
        for plant in started:
            plant.until_ready()
        until(lambda: float(_counts(served).get("points", 0)) >= points)
        yield served, started


def source(served: Serving) -> dict[str, Any]:
    """How the bench's source stands; empty if it is not there yet."""
    answer = httpx.get(f"{served.url}/api/sources", headers=dict(served.headers), timeout=60)
    answer.raise_for_status()
    return next((s for s in answer.json() if s["name"] == SOURCE), {})


def accepted(served: Serving) -> int:
    """Samples of the source that are in the world."""
    return int(source(served).get("tally", {}).get("accepted", 0))


def _counts(served: Serving) -> dict[str, Any]:
    answer = httpx.get(f"{served.url}/api/world", headers=dict(served.headers), timeout=60)
    answer.raise_for_status()
    return answer.json()


def missing(record: Path, points: int, steps: int, first_ns: int) -> tuple[int, int]:
    """(lost, doubled): samples that a record lacks, or has more than once, of the `steps` that
    each point made from a time on."""
    rows = np.zeros(0, np.int64)
    with open_record(record, read_only=True) as store:
        for change in store.changes(Position(1, 0), limit=1 << 62):
            if isinstance(change.body, Frame) and change.source == SOURCE:
                counted = np.bincount(change.body.point[change.body.source_ns >= first_ns])
                if len(counted) > len(rows):
                    rows = np.pad(rows, (0, len(counted) - len(rows)))
                rows[: len(counted)] += counted
    rows = np.sort(rows)[::-1]
    short = np.clip(steps - rows[:points], 0, None).sum() + steps * max(0, points - len(rows))
    return int(short), int(np.clip(rows - steps, 0, None).sum())


def until(look: Callable[[], object], timeout_s: float = SETTLE_S) -> bool:
    """Waits until it is so, or too long; whether it is."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if look():
            return True
        time.sleep(0.2)
    return False
