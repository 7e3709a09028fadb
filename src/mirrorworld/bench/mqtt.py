"""What a real broker can bring in, durable before it is acknowledged.

mosquitto over the loopback, publishers in processes of their own, this connector as a source of a
real pipeline with a record on disk: every message is acknowledged with PUBACK only after the
fsync that holds its samples. A rate is samples (or messages) over the wall time from the start of
publishing to the last acknowledgement; the CPU time of this process stands beside it, since the
broker and the publishers share the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from mirrorworld.bench.mosquitto import broker
from mirrorworld.connectors.mqtt import Mqtt
from mirrorworld.connectors.sparkplug_compiled import HAS_NUMBA
from mirrorworld.connectors.sparkplug_decode import warm
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.pipeline import Pipeline, SourceSink
from mirrorworld.record.store import open_record, restore
from mirrorworld.world.ports import LinkState, SourceConfig

DEADLINE_S: Final = 300.0


def run(
    publishers: int = 2,
    points_per_message: int = 300,
    sparkplug_messages: int = 8_000,
    json_messages: int = 100_000,
    json_topics: int = 50,
    repeats: int = 1,
) -> dict[str, Any]:
    """Figures: `sparkplug_points_per_s`, `json_messages_per_s`, `lost`, and what stands beside.

    Args:
        publishers: processes that publish at once.
        sparkplug_messages, json_messages: how many each of them publishes.
        repeats: how often each is measured; the best is reported, and all are listed.

    Raises:
        RuntimeError: there is no mosquitto here.
    """
    figures: dict[str, Any] = {}
    lost = repeated = 0
    warm()
    with broker() as (port, config):
        for what, messages, per_message in (
            ("sparkplug", sparkplug_messages, points_per_message),
            ("json", json_messages, 3),
        ):
            sent = publishers * messages
            asked = {"what": what, "messages": messages, "host": "127.0.0.1", "port": port}
            asked |= {"points": per_message, "topics": json_topics}
            asked["window"] = 200 if what == "sparkplug" else 4_000
            tries: list[dict[str, float]] = []
            for _ in range(max(1, repeats)):
                _measure({**asked, "messages": 2 * asked["window"]}, 1, 1)  # loads, compiles
                took = _measure(asked, publishers, per_message)
                lost += took.pop("lost")
                repeated += took.pop("repeated")
                tries.append(took)
            best = min(tries, key=lambda one: one["wall_s"])
            unit, n = ("points", sent * per_message) if what == "sparkplug" else ("messages", sent)
            figures[f"{what}_{unit}_per_s"] = round(n / best["wall_s"])
            figures[f"{what}_{unit}_per_cpu_s"] = round(n / best["cpu_s"])
            figures[f"{what}_{unit}"] = n
            figures[f"{what}_commits"] = best["commits"]
            if len(tries) > 1:
                figures[f"{what}_all_per_s"] = [round(n / one["wall_s"]) for one in tries]
    return {
        **figures,
        "lost": lost,
        "repeated_by_broker": repeated,
        "publishers": publishers,
        "points_per_message": points_per_message,
        "qos": 1,
        "acknowledged": "PUBACK after fsync of the record",
        "is_compiled": HAS_NUMBA,
        "mosquitto_config": config,
    }


def sparkplug(
    publishers: int, points_per_message: int, messages: int, repeats: int, qos: int
) -> dict[str, Any]:
    """Figures of Sparkplug alone: `points_per_s`, `points_per_cpu_s`, `lost`."""
    warm()
    tries: list[dict[str, Any]] = []
    with broker() as (port, config):
        asked = {"what": "sparkplug", "messages": messages, "host": "127.0.0.1", "port": port}
        asked |= {"points": points_per_message, "topics": 1, "window": 200, "qos": qos}
        for _ in range(max(1, repeats)):
            _measure({**asked, "messages": 400, "points": 1}, 1, 1)  # loads, compiles
            tries.append(_measure(asked, publishers, points_per_message))
    best = min(tries, key=lambda one: one["wall_s"])
    points = publishers * messages * points_per_message
    return {
        "points_per_s": round(points / best["wall_s"]),
        "points_per_cpu_s": round(points / max(best["cpu_s"], 1e-6)),
        "points": points,
        "lost": sum(one["lost"] for one in tries),
        "all_per_s": [round(points / one["wall_s"]) for one in tries],
        "commits": best["commits"],
        "qos": qos,
        "acknowledged": "PUBACK after fsync of the record" if qos else "not at all",
        "publishers": publishers,
        "points_per_message": points_per_message,
        "is_compiled": HAS_NUMBA,
        "mosquitto_config": config,
        "load_1min": round(os.getloadavg()[0], 1),
    }


def _measure(asked: dict[str, Any], publishers: int, per_message: int) -> dict[str, Any]:
    return asyncio.run(_measured(asked, publishers, per_message))


async def _measured(asked: dict[str, Any], publishers: int, per_message: int) -> dict[str, Any]:
    """Mirrors one run of the publishers into a fresh record."""
    with tempfile.TemporaryDirectory() as folder:
        record = open_record(Path(folder), "bench", compacts=False)
        pipeline = Pipeline(restore(record), record, RoleGuard())
        pipeline.start()
        sink = SourceSink(pipeline, "bench", has_live_clock=False)
        url = f"mqtt://127.0.0.1:{asked['port']}"
        topics = "spBv1.0/#" if asked["what"] == "sparkplug" else "site/#"
        connector = Mqtt(
            SourceConfig(
                url, "bench", {"topics": topics, "client_id": "bench", "qos": asked.get("qos", 1)}
            )
        )
        running = asyncio.create_task(connector.run(sink))
        plants: list[asyncio.subprocess.Process] = []
        try:
            await _until(lambda: connector.link.state is LinkState.LIVE or running.done())
            for number in range(publishers):
                plants.append(await _plant({**asked, "number": number}))
            expected = asked["messages"] * publishers * per_message
            if asked["what"] == "sparkplug":
                births = publishers * per_message
                await _until(lambda: sink.tally.accepted >= births or running.done())
                expected += births
            tally = sink.tally
            cpu_s, start_s = _cpu_s(), time.monotonic()
            for plant in plants:
                assert plant.stdin is not None
                plant.stdin.write(b"go\n")
            await _until(lambda: tally.accepted >= expected or running.done())
            await sink.durable(pipeline.world.position.sequence)
            wall_s, used_s = time.monotonic() - start_s, _cpu_s() - cpu_s
            if running.done():
                running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            for plant in plants:
                with contextlib.suppress(ProcessLookupError):
                    plant.kill()
                await plant.wait()
            await pipeline.stop()
        return {
            "wall_s": wall_s,
            "cpu_s": used_s,
            "commits": pipeline.commits,
            "lost": expected - tally.accepted,
            "repeated": tally.duplicate,
        }


def _cpu_s() -> float:
    return time.process_time()


async def _until(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(0.005)


async def _plant(asked: dict[str, Any]) -> asyncio.subprocess.Process:
    plant = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mirrorworld.bench.mqtt_publisher",
        json.dumps(asked),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert plant.stdout is not None
    said = await plant.stdout.readline()
    if said.strip() != b"ready":
        raise RuntimeError("a publisher did not start")
    return plant
