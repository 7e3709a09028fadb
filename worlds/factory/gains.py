"""What an improved works gains over a frozen one, on seeds that no search has seen.

Output per labour-hour and per square metre are measured on plants: one for each seed and design,
the same seed for both, so that both meet the same departures from their data sheets. How far the
volume may go before a lot costs a tenth more is found with the twin's model, since it takes many
crews: for each seed the allowances of a pilot in turn and streams of that seed. Bounds are
one-sided, 95 %, of the mean over all seeds, by Student's t on the gains seed by seed.
"""

from __future__ import annotations

import math
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scipy import stats

from .allowances import Allowances, read, run_totals
from .areas import WEEK_S
from .costs import reach, unit_cost
from .design import Design
from .improve import at_volume, per_labour_h, per_m2, short_week
from .measured import figures

SEEDS: Final = tuple(range(80_001, 80_031))
"""Of the plants that gains are reported on; no search and no allowance has used one."""
FACTORS: Final = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)
"""Of the crew, as volume is sought."""
CONFIDENCE: Final = 0.95
_HOURS: Final = WEEK_S / 3600.0


@dataclass(frozen=True, slots=True)
class Gain:
    """Of one figure: what both designs reached, and the relative gain."""

    name: str
    before: float
    after: float
    mean: float
    lower: float
    """95 % lower bound of the mean gain."""
    seeds: int


def gain(name: str, before: Sequence[float], after: Sequence[float]) -> Gain:
    """The gain seed by seed, against the mean before: a share of each seed's own would count a
    seed that began low for more than it gained.

    Raises:
        ValueError: there are fewer than two seeds, or not as many of one as of the other.
    """
    n = len(before)
    if n != len(after) or n < 2:
        raise ValueError(f"{name}: {n} and {len(after)} seeds; give the same two or more")
    usual = statistics.fmean(before)
    each = [(b - a) / usual for a, b in zip(before, after, strict=True)]
    mean = statistics.fmean(each)
    t = float(stats.t.ppf(CONFIDENCE, n - 1))
    lower = mean - t * statistics.stdev(each) / math.sqrt(n)
    return Gain(name, usual, statistics.fmean(after), mean, lower, n)


def output_of(design: Design, seed: int, weeks: int = 1) -> float:
    """Lots a week of a plant after its first week, as its instruments say."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(design.to_json())
        file.flush()
        told = run_totals(str(Path(file.name)), seed, 1 + weeks)
    return figures(told[0], told[-1], weeks)["output"]


def flexibility(design: Design, allowances: Allowances, seed: int, luck: float = 0.5) -> float:
    """The range of output within a tenth of the least unit cost, as a share of the output that
    the works is built for."""
    volumes: list[float] = []
    energies: list[float] = []
    crews = [at_volume(design, factor) for factor in FACTORS]
    for crew in crews:
        lots, energy_mwh = short_week(crew, allowances, seed=seed, luck=luck)
        volumes.append(lots)
        energies.append(energy_mwh)
    built_for = volumes[FACTORS.index(1.0)]
    costs = [
        unit_cost(crew, design, volume, built_for, energy)
        for crew, volume, energy in zip(crews, volumes, energies, strict=True)
    ]
    low, high = reach(volumes, costs)
    return (high - low) / built_for


def measure(
    before: Design,
    after: Design,
    seeds: Sequence[int] = SEEDS,
    workers: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Gain, ...]:
    """Gains of one design over another: per labour-hour, in reach of volume, per square metre.

    Args:
        workers: plants that run at once, each in a process of its own; 0: all processors but one.
        say: is told of each seed that is done.
    """
    pilots, both = read(), (before, after)
    with ThreadPoolExecutor(workers or max(1, (os.cpu_count() or 2) - 1)) as pool:
        running = [[pool.submit(output_of, design, seed) for design in both] for seed in seeds]
        ways: list[list[float]] = [[], []]
        out: list[list[float]] = []
        for k, seed in enumerate(seeds):
            luck = (k + 0.5) / len(seeds)
            for i, design in enumerate(both):
                ways[i].append(flexibility(design, pilots[k % len(pilots)], seed, luck))
            out.append([one.result() for one in running[k]])
            say(
                f"seed {seed} ({k + 1} of {len(seeds)}): {out[k][0]:.0f} and {out[k][1]:.0f} lots"
                f" a week, reach of volume {ways[0][k]:.3f} and {ways[1][k]:.3f}"
            )
    hour = [[per_labour_h(d, lots[i]) for lots in out] for i, d in enumerate(both)]
    room = [[per_m2(d, lots[i]) for lots in out] for i, d in enumerate(both)]
    return (
        gain("output per labour-hour", *hour),
        gain("volume flexibility", *ways),
        gain("output per m2", *room),
    )
