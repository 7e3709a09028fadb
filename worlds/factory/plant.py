"""The plant as a process: `python -m mirrorworld_worlds.factory.plant`.

It lives on its own engine and its own clock, mostly faster than the wall's, says what its
instruments see over Sparkplug B with stamps of its own time, prints one JSON line when it is up
and one when it has ended by itself. Without `--seed` it draws its own, and nobody is told.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import signal
import sys
import time
from collections.abc import Sequence

from .areas import WEEK_S
from .design import design_of
from .edge_nodes import EdgeNode
from .instruments import nodes, totals
from .shopfloor import Shopfloor


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the plant until its end or until it is told to stop; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.totals:
            _print_totals(options)
        else:
            asyncio.run(run(options))
    except (OSError, ConnectionError, ValueError) as error:
        print(f"plant: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="plant", description=__doc__)
    parser.add_argument("--mqtt", default="", help="broker as host:port")
    parser.add_argument("--design", default="drawn", help="drawn, pilot, or a file of JSON")
    parser.add_argument("--seed", type=int, default=None, help="else it draws its own")
    parser.add_argument("--weeks", type=float, default=0.0, help="then it ends; 0: never")
    parser.add_argument("--time-scale", type=float, default=60.0, help="plant seconds a second")
    parser.add_argument("--report-s", type=float, default=900.0, help="plant seconds")
    parser.add_argument("--first-ns", type=int, default=0, help="stamp of the beginning; 0: now")
    parser.add_argument(
        "--ran-s", type=float, default=0.0, help="how long it has run when it appears"
    )
    parser.add_argument(
        "--totals", action="store_true",
        help="serve nothing; print what the instruments say at the end of each week",
    )  # fmt: skip
    parser.add_argument("--follow-stdin", action="store_true", help="end when stdin is closed")
    return parser


def _floor(options: argparse.Namespace) -> Shopfloor:
    seed = secrets.randbits(48) if options.seed is None else options.seed
    return Shopfloor(design_of(options.design), seed)


def _print_totals(options: argparse.Namespace) -> None:
    floor = _floor(options)
    for week in range(1, max(1, int(options.weeks)) + 1):
        floor.advance(week * WEEK_S)
        print(json.dumps(totals(floor)), flush=True)


async def run(options: argparse.Namespace) -> None:
    """Sets up, says so, and lives until its end or until a signal comes."""
    if not 0.0 < options.time_scale <= 1e6:
        raise ValueError(f"--time-scale {options.time_scale:g}: must be above 0 and at most 1e6")
    if not 1.0 <= options.report_s <= WEEK_S:
        raise ValueError(f"--report-s {options.report_s:g}: must be from 1 s to a week")
    floor = _floor(options)
    floor.advance(options.ran_s)
    first_ns = options.first_ns or time.time_ns()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # The loop itself holds tasks weakly.
    follower = loop.create_task(_end_with_stdin(stop)) if options.follow_stdin else None
    edges = [EdgeNode(name, metrics, options.mqtt) for name, metrics in nodes(floor).items()]

    def stamp_ms() -> int:
        return (first_ns + int((floor.now_s - options.ran_s) * 1e9)) // 1_000_000

    try:
        for edge in edges:
            await edge.start(stamp_ms())
        print(json.dumps({"ready": True, "mqtt": options.mqtt}), flush=True)
        end_s = options.ran_s + options.weeks * WEEK_S if options.weeks > 0.0 else float("inf")
        due = time.monotonic()
        while not stop.is_set() and floor.now_s < end_s:
            step_s = min(options.report_s, end_s - floor.now_s)
            floor.advance(floor.now_s + step_s)
            for edge in edges:
                await edge.report(stamp_ms())
            # What cannot keep up runs late, and never stamps what is to come.
            ahead_s = stamp_ms() / 1e3 - time.time()
            due = max(due + step_s / options.time_scale, time.monotonic())
            wait_s = max(due - time.monotonic(), ahead_s)
            if wait_s > 0.0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), wait_s)
            else:
                await asyncio.sleep(0)
        sent = sum(edge.sent for edge in edges)
        print(json.dumps({"ended": True, "stamp_ms": stamp_ms(), "sent": sent}), flush=True)
    finally:
        if follower is not None:
            follower.cancel()
        for edge in edges:
            await edge.stop(stamp_ms())


async def _end_with_stdin(stop: asyncio.Event) -> None:
    """Sets `stop` when standard input is closed, as it is when the parent process dies."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(1024):
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
