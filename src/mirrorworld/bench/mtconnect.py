"""What a machine tool's points cost: an adapter's lines over TCP, an agent's documents over HTTP.

Player and agent are processes of their own, and this connector is a source of a real pipeline
with a record on disk. `cpu_us_per_point` is the CPU time of this process (reading, decoding,
world, fsync) over the points on record; player and agent are not in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from mirrorworld.connectors.mtconnect import Mtconnect
from mirrorworld.connectors.shdr_compiled import HAS_NUMBA
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.pipeline import Pipeline, SourceSink
from mirrorworld.record.store import open_record, restore
from mirrorworld.world.model import Scalar
from mirrorworld.world.ports import SourceConfig

DEADLINE_S: Final = 300.0
AXES: Final = 20
PATHS_PER_LINE: Final = 3


def run(
    lines: int = 100_000, observations: int = 100_000, seed: int = 1, plain: bool = False
) -> dict[str, Any]:
    """Figures: `cpu_us_per_point` (adapter), `agent_cpu_us_per_point`, `lost`, and what stands
    beside.

    Args:
        lines: of the adapter, with six points each on average.
        observations: of the agent.
        plain: whether the compiled loop is left out, as on a machine without numba.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        devices, file = place / "Devices.xml", place / "lines.txt"
        devices.write_text(_devices())
        points = _write_lines(file, lines, random.Random(seed))
        warm = place / "warm.txt"
        n_warm = _write_lines(warm, 2_000, random.Random(seed + 1))
        options: dict[str, Scalar] = {"devices": str(devices)}
        asyncio.run(_adapter(warm, n_warm, options, plain))  # compiles, loads
        shdr = asyncio.run(_adapter(file, points, options, plain))
        agent = asyncio.run(_agent(devices, observations))
    return {
        "cpu_us_per_point": round(shdr["cpu_s"] / points * 1e6, 3),
        "points_per_s": round(points / shdr["wall_s"]),
        "agent_cpu_us_per_point": round(agent["cpu_s"] / observations * 1e6, 3),
        "agent_points_per_s": round(observations / agent["wall_s"]),
        "lost": shdr["lost"] + agent["lost"],
        "points": points,
        "lines": lines,
        "agent_points": observations,
        "is_compiled": HAS_NUMBA and not plain,
        "measured": "this process: TCP or HTTP, decoding, world, record with fsync",
    }


# --- what is sent ---------------------------------------------------------------------------


def _devices() -> str:
    axes = "".join(
        f'<Linear id="a{i}" name="A{i}"><DataItems>'
        f'<DataItem id="p{i}" name="pos{i}" category="SAMPLE" type="POSITION" units="MILLIMETER"/>'
        f'<DataItem id="l{i}" name="load{i}" category="SAMPLE" type="LOAD" units="PERCENT"/>'
        "</DataItems></Linear>"
        for i in range(AXES)
    )
    return (
        '<MTConnectDevices><Header instanceId="1" version="2.0"/><Devices>'
        '<Device id="d" name="mill" uuid="bench"><DataItems>'
        '<DataItem id="exec" name="exec" category="EVENT" type="EXECUTION"/>'
        '<DataItem id="block" name="block" category="EVENT" type="BLOCK"/></DataItems>'
        f'<Components><Axes id="ax" name="Axes"><Components>{axes}</Components></Axes>'
        "</Components></Device></Devices></MTConnectDevices>"
    )


def _write_lines(path: Path, lines: int, chance: random.Random) -> int:
    """Writes lines as an adapter sends them; how many points they have."""
    points = 0
    with path.open("w") as file:
        for i in range(lines):
            seconds, rest = divmod(i * 10_000, 1_000_000)
            hour, minute, second = seconds // 3600 % 24, seconds // 60 % 60, seconds % 60
            day = 1 + seconds // 86_400 % 28
            fields = [f"2026-03-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:06}0Z"]
            for axis in chance.sample(range(AXES), PATHS_PER_LINE):
                fields += [f"pos{axis}", f"{chance.uniform(-900, 900):.4f}"]
                fields += [f"load{axis}", str(chance.randrange(100))]
            if i % 10 == 0:
                fields += ["exec", chance.choice(("ACTIVE", "READY", "INTERRUPTED"))]
                fields += ["block", f"N{i} G01 X{chance.random():.3f}"]
            points += len(fields) // 2
            file.write("|".join(fields) + "\n")
    return points


# --- measuring ------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _process(
    module: str, asked: dict[str, Any]
) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        json.dumps(asked),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        yield int(await process.stdout.readline()), process
    finally:
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _adapter(
    file: Path, points: int, options: dict[str, Scalar], plain: bool
) -> dict[str, float]:
    """Mirrors a file that a player sends as fast as it is read."""
    player = "mirrorworld.testing.shdr_player"
    async with _process(player, {"file": str(file), "speed": 0}) as (port, _):
        connector = Mtconnect(SourceConfig(f"shdr://127.0.0.1:{port}", "bench", options))
        connector.is_compiled = False if plain else None
        return await _measured(connector, points, None)


async def _agent(devices: Path, observations: int) -> dict[str, float]:
    """Mirrors what an agent is given after the connector is up to date."""
    module = "mirrorworld.testing.mtconnect_agent"
    asked = {"devices": str(devices), "buffer": observations + 1_000}
    async with _process(module, asked) as (port, agent):
        connector = Mtconnect(
            SourceConfig(f"mtconnect://127.0.0.1:{port}", "bench", {"interval_ms": 10})
        )
        start = f"fill {observations}\n".encode()
        assert agent.stdin is not None
        return await _measured(connector, observations, partial(agent.stdin.write, start))


async def _measured(connector: Mtconnect, points: int, start: Any) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        record = open_record(Path(folder), "bench", compacts=False)
        pipeline = Pipeline(restore(record), record, RoleGuard())
        pipeline.start()
        sink = SourceSink(pipeline, "bench", has_live_clock=False)
        cpu_s, wall_s = _cpu_s(), time.monotonic()
        running = asyncio.create_task(connector.run(sink))
        before = 0
        try:
            if start is not None:
                # Up to date first: what an agent has already is not what is measured.
                await _until(lambda: sink.tally.accepted >= 2 * AXES + 2 or running.done())
                before = sink.tally.accepted
                cpu_s, wall_s = _cpu_s(), time.monotonic()
                start()
            await _until(lambda: sink.tally.accepted - before >= points or running.done())
            await sink.durable(pipeline.world.position.sequence)
            figures = {"cpu_s": _cpu_s() - cpu_s, "wall_s": time.monotonic() - wall_s}
            if running.done():
                running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await pipeline.stop()
        return {**figures, "lost": points - (sink.tally.accepted - before)}


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system


async def _until(condition: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(0.005)
