"""Foretell, hash, then run the plant and compare: `python -m mirrorworld_worlds.factory.validate`.

The order is what counts. The works is authored into a world of its own, the model made from its
twins, the forecast written to a file and its SHA-256 into the world's log; only then does a plant
start, as a process that draws its own departures, seen over Sparkplug alone. What is compared at
the end is read from the record.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mirrorworld.installed import connectors
from mirrorworld.live.guard import OWNER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.world.changes import Change, Edits, PutSheet
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Sheet
from mirrorworld.world.ports import LinkState

from ..broker import broker_command
from ..processes import Processes, free_port
from . import measured
from .allowances import Allowances, read
from .areas import WEEK_S
from .authored import NAME, PLANT, edits
from .design import design_of
from .forecast import Forecast, Foretold, foretell
from .world import source

WHO: Final = principal(f"world {NAME}", OWNER)
SETTLE_S: Final = 300.0
SHEET: Final = "forecast"


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure: foretold and measured."""

    name: str
    foretold: Foretold
    measured: float

    @property
    def error(self) -> float:
        """Relative to what was measured."""
        return self.foretold.mean / self.measured - 1.0 if self.measured else float("inf")

    @property
    def is_within(self) -> bool:
        """Whether it lies in the interval that was foretold."""
        return self.foretold.low <= self.measured <= self.foretold.high


@dataclass(frozen=True, slots=True)
class Validation:
    """What came of one plant."""

    sha256: str
    forecast_sequence: int
    """Where in the world's log the hash stands."""
    first_sample_sequence: int
    """Where the plant's first sample stands."""
    rows: int
    compared: tuple[Compared, ...]

    def error(self, name: str) -> float:
        """Of one figure; KeyError."""
        return {one.name: one.error for one in self.compared}[name]


async def validate(
    design: str,
    directory: Path,
    *,
    weeks: float,
    warm_up_weeks: float = 1.0,
    seed: int | None = None,
    time_scale: float = 30_000.0,
    report_s: float = 900.0,
    pilots: Sequence[Allowances] = (),
    runs: int = 0,
    say: Callable[[str], None] = print,
) -> Validation:
    """Foretells and validates one works.

    Args:
        design: `drawn`, `pilot` or a file of JSON.
        seed: handed to the plant's command line and to nothing else; None: it draws its own.
        time_scale: plant seconds a second; a slow machine takes longer and loses nothing.

    Raises:
        RuntimeError: the plant ended before its time, or what it said did not all come.
    """
    directory.mkdir(parents=True, exist_ok=True)
    planned = design_of(design)
    record = open_record(directory / "record", NAME)
    world = restore(record)
    mirror = Mirror(world, record, connectors())
    seen = _FirstSample()
    mirror.pipeline.listeners.append(seen)
    await mirror.start()
    processes = Processes()
    try:
        await mirror.edit(WHO, Edits(tuple(edits(planned)), "the works as planned"))
        forecast = await asyncio.to_thread(
            foretell, world.structure, pilots or read(), planned.sha256,
            weeks=weeks, warm_up_weeks=warm_up_weeks, runs=runs,
        )  # fmt: skip
        noted = await _note(mirror, directory, forecast)
        say(f"forecast {directory / 'forecast.json'}: SHA-256 {forecast.sha256}")
        port = free_port()
        broker, is_ready = broker_command(directory, port)
        await processes.start("broker", broker, is_ready)
        mirror.feeds.add(source(port))
        heard = mirror.feeds.get(PLANT)
        await _until(lambda: heard.link.state is LinkState.LIVE, "the broker is heard")
        span_ns = int((warm_up_weeks + weeks) * WEEK_S * 1e9)
        first_ns = time.time_ns() - span_ns - 3_600_000_000_000
        told = await _plant(
            design, port, seed, warm_up_weeks + weeks, time_scale, report_s, first_ns
        )
        last_ns = first_ns + span_ns
        await _until(lambda: heard.tally.accepted >= told["sent"], "all that was sent")
        await mirror.pipeline.until_durable(world.position.sequence)
        warm_ns = first_ns + int(warm_up_weeks * WEEK_S * 1e9)
        begin = measured.of_record(record, world.structure, warm_ns)
        end = measured.of_record(record, world.structure, last_ns)
        found = measured.figures(begin, end, weeks)
        found |= measured.waiting(record, world.structure, warm_ns, last_ns)
        rows = heard.tally.accepted
    finally:
        await mirror.stop()
        await processes.stop()
    return Validation(
        forecast.sha256, noted, seen.sequence, rows,
        tuple(Compared(n, f, found[n]) for n, f in sorted(forecast.figures.items()) if n in found),
    )  # fmt: skip


class _FirstSample:
    """Where in the log the first thing stands that a plant has said."""

    def __init__(self) -> None:
        self.sequence = 0

    def __call__(self, change: Change) -> None:
        if not self.sequence and isinstance(change.body, Frame) and change.source == PLANT:
            assert change.position is not None
            self.sequence = change.position.sequence


async def _note(mirror: Mirror, directory: Path, forecast: Forecast) -> int:
    """Writes the forecast down and its hash into the log, for good; where that stands."""
    (directory / "forecast.json").write_text(forecast.to_json())
    body = {"sha256": forecast.sha256, "design_sha256": forecast.design_sha256}
    sheet = Sheet(SHEET, "validation", json.dumps(body, sort_keys=True))
    position = await mirror.edit(WHO, Edits((PutSheet(sheet),), "foretold before there is a plant"))
    return position.sequence


async def _plant(
    design: str, port: int, seed: int | None, weeks: float, time_scale: float, report_s: float,
    first_ns: int,
) -> dict[str, Any]:  # fmt: skip
    """Runs a plant to its own end; what it says then: when that was and how much it has sent."""
    command = [
        *(sys.executable, "-m", f"{__package__}.plant", "--mqtt", f"127.0.0.1:{port}"),
        *("--design", design, "--weeks", str(weeks), "--time-scale", str(time_scale)),
        *("--report-s", str(report_s), "--first-ns", str(first_ns), "--follow-stdin"),
        *(() if seed is None else ("--seed", str(seed))),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said: dict[str, Any] = {}
    try:
        async for line in process.stdout:
            said |= json.loads(line)
        await process.wait()
    except BaseException:
        process.terminate()
        await process.wait()
        raise
    if not said.get("ended"):
        raise RuntimeError(f"the plant ended with {process.returncode}, before its time")
    return said


async def _until(is_so: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(SETTLE_S):
            while not is_so():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise RuntimeError(f"{what}: not within {SETTLE_S:g} s; this is no validation") from None


def table(validation: Validation) -> str:
    """What was compared, as lines of text."""
    lines = [f"{'figure':24}{'foretold':>12}{'low':>10}{'high':>10}{'measured':>12}{'error':>9}"]
    for one in validation.compared:
        f = one.foretold
        lines.append(
            f"{one.name:24}{f.mean:12.3f}{f.low:10.3f}{f.high:10.3f}{one.measured:12.3f}"
            f"{100.0 * one.error:8.1f}%{'' if one.is_within else '  outside'}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Validates one works and says what was reached."""
    parser = argparse.ArgumentParser(prog="validate", description=__doc__)
    parser.add_argument("--design", default="drawn", help="drawn, pilot, or a file of JSON")
    parser.add_argument("--weeks", type=float, default=4.0, help="after the warm-up")
    parser.add_argument(
        "--seed", type=int, default=None, help="of the plant; else it draws its own"
    )
    parser.add_argument("--runs", type=int, default=0, help="of the model; 0: one for each pilot")
    parser.add_argument("--dir", type=Path, default=None, help="else a temporary one")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mirrorworld-factory-") as name:
        directory = options.dir or Path(name)
        done = asyncio.run(
            validate(
                options.design, directory, weeks=options.weeks, seed=options.seed, runs=options.runs
            )
        )
    print(table(done))
    print(
        f"hash at {done.forecast_sequence} of the log, the plant's first sample at"
        f" {done.first_sample_sequence}; {done.rows} readings"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
