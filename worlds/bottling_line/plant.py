"""The plant as a process: `python -m mirrorworld_worlds.bottling_line.plant`.

It advances the line in real time (or faster), serves its controllers over OPC UA and its
utilities over Sparkplug B, prints one JSON line when both are up, and ends on SIGTERM, SIGINT,
or when the process that started it is gone. Its inner truth stays in here.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import socket
import sys
import time
from collections.abc import Sequence

from .edge_node import EdgeNode
from .line import Line
from .opcua_server import ControllerServer

CYCLE_S = 0.1
MAX_CATCH_UP_S = 1.0
"""A process that was suspended does not make up for more than this."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the plant until it is told to stop; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        asyncio.run(run(options))
    except (OSError, ConnectionError, ValueError) as error:
        print(f"plant: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="plant", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--opcua-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--mqtt", default="", help="broker as host:port; without it no Sparkplug")
    parser.add_argument("--seed", type=int, default=7, help="of everything that chance decides")
    parser.add_argument("--time-scale", type=float, default=1.0, help="plant seconds a second")
    parser.add_argument("--shift-minutes", type=float, default=0.0, help="0: no rhythm")
    parser.add_argument("--crew-after", type=float, default=150.0, help="seconds; 0: never")
    parser.add_argument("--jam-rate", type=float, default=1.0, help="0: jams only when forced")
    parser.add_argument("--warm-up", type=float, default=300.0, help="seconds run before the start")
    parser.add_argument(
        "--jam-after", type=float, default=0.0, help="seconds; jams the filler once"
    )
    parser.add_argument(
        "--follow-stdin", action="store_true", help="end when standard input is closed"
    )
    return parser


async def run(options: argparse.Namespace) -> None:
    """Sets up, says so, and advances the line until a signal comes."""
    if not 0.0 < options.time_scale <= 100.0:
        raise ValueError(f"--time-scale {options.time_scale:g}: must be above 0 and at most 100")
    line = Line(options.seed, options.shift_minutes * 60.0, options.crew_after)
    line.site.jam_rate = options.jam_rate
    line.advance(options.warm_up)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # The loop itself holds tasks weakly.
    follower = loop.create_task(_end_with_stdin(stop)) if options.follow_stdin else None
    port = options.opcua_port or free_port(options.host)
    server = ControllerServer(line, options.host, port)
    await server.start()
    edge = EdgeNode(line, options.mqtt) if options.mqtt else None
    try:
        if edge is not None:
            await edge.start()
        ready = {"ready": True, "opcua": server.url, "mqtt": options.mqtt or None}
        print(json.dumps(ready), flush=True)
        await _live(line, server, edge, stop, options)
    finally:
        if follower is not None:
            follower.cancel()
        if edge is not None:
            await edge.stop()
        await server.stop()


async def _live(
    line: Line,
    server: ControllerServer,
    edge: EdgeNode | None,
    stop: asyncio.Event,
    options: argparse.Namespace,
) -> None:
    last = time.monotonic()
    owed_s = 0.0
    jam_at_s = line.elapsed_s + options.jam_after if options.jam_after > 0.0 else None
    while not stop.is_set():
        now = time.monotonic()
        owed_s += min(now - last, MAX_CATCH_UP_S) * options.time_scale
        last = now
        # Whole ticks only; the rest is owed to the next cycle.
        ticks_s = int(owed_s / 0.05) * 0.05
        line.advance(ticks_s)
        owed_s -= ticks_s
        if jam_at_s is not None and line.elapsed_s >= jam_at_s:
            jam_at_s = None
            line.filler.force_jam()
        await server.report()
        if edge is not None:
            await edge.report()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, last + CYCLE_S - time.monotonic()))


async def _end_with_stdin(stop: asyncio.Event) -> None:
    """Sets `stop` when standard input is closed, as it is when the parent process dies."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    stop.set()


def free_port(host: str) -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
