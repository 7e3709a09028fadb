"""A better works, found by simulating: a baseline tuned and frozen first, then what may be built.

Both searches climb by the same score, with the same number of evaluations: output per labour-hour
and per square metre, and how far the volume may go, on the twin's model under the allowances of
several pilots (each a works as it may turn out), less the risk: how much the gain differs from
one to another. Chance is common: the same streams for every design. What each design gains is
measured elsewhere (`gains.py`), on plants with seeds that no search has seen.

`python -m mirrorworld_worlds.factory.improve` searches anew and writes both designs.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from mirrorworld.simulation.flow.results import Result
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind
from mirrorworld.world.world import World

from .allowances import Allowances, read
from .areas import OPEN_S, WEEK_S
from .authored import NAME, edits
from .costs import reach, unit_cost
from .design import DRAWN, Crew, Design, from_json
from .engine import run_model
from .forecast import figures_of
from .layout import GROSS_M2
from .measured import Figures
from .model import busy_shares, flow_model
from .moves import Moves, builder_moves, planner_moves

HERE: Final = Path(__file__).parent
FROZEN: Final = HERE / "baseline.json"
IMPROVED: Final = HERE / "improved.json"
SEED: Final = 41
"""Of the streams of the search: the same for every design (common random numbers)."""
EVALUATIONS: Final = 220
PILOTS: Final = 4
"""Of the pilots' allowances that a search tries each design under."""
LEAST_LOTS: Final = 0.97
"""Of what the works as drawn is to put out: nobody wins by making less."""
RISK: Final = 0.5
"""What a standard deviation of the gain costs."""
REACH: Final = 0.5
"""What a percent of reach of volume is worth, in percents of the other two."""
PEAK: Final = 1.25
"""Of the crew, to see how far a works can go up."""
HOPELESS: Final = (0.02, 0.01)
"""So far behind after one pilot, and after two, that the others are not tried."""
WARM_UP_WEEKS: Final = 0.3
"""Of a run of the search, which ends when the works closes for the weekend."""


def world_of(design: Design) -> World:
    """A world that holds the works as planned, in memory."""
    world = World(NAME)
    body = Edits(tuple(edits(design)), "a works to be tried")
    world.apply(Change(body, Origin(OriginKind.AUTHORED, NAME), 1))
    return world


def tried(
    design: Design,
    allowances: Allowances,
    *,
    seed: int,
    weeks: float = 1.0,
    warm_up: float = 0.5,
    luck: float = 0.5,
) -> Figures:
    """What the twin's model foretells of a design; RuntimeError if the line locks up."""
    structure = world_of(design).structure
    model = flow_model(structure, allowances, luck)
    result = _whole(
        run_model(
            model, seed=seed, horizon_s=(warm_up + weeks) * WEEK_S, warm_up_s=warm_up * WEEK_S
        )
    )
    return figures_of(model, result, weeks, busy_shares(structure, allowances))


def _whole(result: Result) -> Result:
    if not result.is_complete:
        raise RuntimeError(f"{result.model}: {result.ending[0].value}: {result.detail[0]}")
    return result


def short_week(
    design: Design, allowances: Allowances, *, seed: int = SEED, luck: float = 0.5
) -> tuple[float, float]:
    """(lots, MWh) a week, from a short run that ends with the week's last shift.

    Raises:
        RuntimeError: the line locks up.
    """
    model = flow_model(world_of(design).structure, allowances, luck)
    warm_s = WARM_UP_WEEKS * WEEK_S
    result = _whole(run_model(model, seed=seed, horizon_s=OPEN_S, warm_up_s=warm_s))
    scale = OPEN_S / (OPEN_S - warm_s)
    return float(result.made[0].sum()) * scale, float(result.energy_j[0]) / 3.6e9 * scale


def _lots(design: Design, allowances: Allowances, luck: float) -> float:
    return short_week(design, allowances, luck=luck)[0]


def per_labour_h(design: Design, lots_per_week: float) -> float:
    """Lots in a paid hour."""
    return lots_per_week / design.labour_h_week


def per_m2(design: Design, lots_per_week: float) -> float:
    """Lots a week on a square metre that the design needs."""
    return lots_per_week / design.floor_m2(lots_per_week)


def at_volume(design: Design, factor: float) -> Design:
    """The same works with another crew at work."""
    crew = tuple(replace(c, count=max(1, round(c.count * factor))) for c in design.crew)
    return replace(design, crew=crew)


def score(design: Design, lots_per_week: float, least: float) -> float:
    """Output per labour-hour and per square metre, in logarithms: a percent of one is worth a
    percent of the other. Less output than wanted costs four times what it lacks, and what does
    not fit into the building ten times."""
    lots = max(lots_per_week, 1.0)
    lack = max(0.0, math.log(least / lots))
    over = max(0.0, math.log(design.floor_m2(lots) / GROSS_M2))
    gained = math.log(per_labour_h(design, lots)) + math.log(per_m2(design, lots))
    return gained - 4.0 * lack - 10.0 * over


def reach_about(design: Design, lots: float, peak_lots: float) -> float:
    """The range of volume within a tenth of the least unit cost, as a share of the output, from
    two runs: below what a works makes its output goes with its crew."""
    # What a machine draws is about the same for a lot at any volume.
    energy_mwh = 0.04
    volumes, costs = [], []
    for factor in (0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0):
        crew = at_volume(design, factor)
        volumes.append(lots * crew.people / design.people)
        costs.append(unit_cost(crew, design, volumes[-1], lots, energy_mwh * volumes[-1]))
    if peak_lots > lots:
        crew = at_volume(design, PEAK)
        volumes.append(peak_lots)
        costs.append(unit_cost(crew, design, peak_lots, lots, energy_mwh * peak_lots))
    low, high = reach(volumes, costs)
    return (high - low) / lots


# --- under several pilots --------------------------------------------------------------------


class Evaluate(Protocol):
    """Says what a design is worth; -inf as soon as it is seen to be worth less than the best so
    far, which is given with what it was worth pilot by pilot."""

    def __call__(self, design: Design, best: Worth | None = None) -> Worth: ...


@dataclass(frozen=True, slots=True)
class Worth:
    """Of a design: pilot by pilot against the works as drawn, and all in all."""

    value: float
    each: tuple[float, ...]


class Trial:
    """Tries designs under the same pilots and the same chance."""

    def __init__(self, pilots: Sequence[Allowances], least: float = LEAST_LOTS) -> None:
        self._pilots = pilots
        self._least = [0.0] * len(pilots)
        self._reach = 0.0
        for k, allowances in enumerate(pilots):
            self._least[k] = least * _lots(DRAWN, allowances, self._luck(k))
        self._drawn = [self._of(DRAWN, k) for k in range(len(pilots))]

    def __call__(self, design: Design, best: Worth | None = None) -> Worth:
        """Mean gain less the risk; RuntimeError if the line locks up under a pilot."""
        each: list[float] = []
        for k in range(len(self._pilots)):
            each.append(self._of(design, k) - self._drawn[k])
            if best is not None and k < len(HOPELESS):
                behind = statistics.fmean(best.each[: k + 1]) - statistics.fmean(each)
                if behind > HOPELESS[k]:
                    return Worth(-math.inf, tuple(each))
        risk = statistics.stdev(each) if len(each) > 1 else 0.0
        return Worth(statistics.fmean(each) - RISK * risk, tuple(each))

    def _luck(self, k: int) -> float:
        return (k + 0.5) / len(self._pilots)

    def _of(self, design: Design, k: int) -> float:
        lots = _lots(design, self._pilots[k], self._luck(k))
        if k == 0:
            # How far it goes up is seen under the first pilot, to save runs.
            peak = _lots(at_volume(design, PEAK), self._pilots[k], self._luck(k))
            reached = reach_about(design, lots, peak)
            self._reach = REACH * math.log(max(reached, 1e-3))
        return score(design, lots, self._least[k]) + self._reach


# --- the climb -------------------------------------------------------------------------------


def climb(
    start: Design, moves: Moves, evaluate: Evaluate, evaluations: int, seed: int,
    note: Callable[[int, float], None] = lambda used, value: None,
) -> tuple[Design, Worth, int]:  # fmt: skip
    """Takes every move that is better, until none is or the evaluations are used up.

    Args:
        note: is told of each move that is taken: evaluations used, and what it is worth.

    Returns:
        (design, what it is worth, evaluations used).
    """
    rng = random.Random(seed)
    best, worth, used = start, evaluate(start), 1
    improved = True
    while improved and used < evaluations:
        improved = False
        for candidate in moves(best, rng):
            if used >= evaluations:
                break
            used += 1
            try:
                found = evaluate(candidate, worth)
            except (RuntimeError, ValueError):
                continue  # A line that locks up, or a design that cannot be, is no better one.
            if found.value > worth.value + 1e-4:
                best, worth, improved = candidate, found, True
                note(used, worth.value)
                break
    return best, worth, used


def search(
    starts: Sequence[Design], moves: Moves, name: str, evaluations: int = EVALUATIONS,
    seed: int = SEED, say: Callable[[str], None] = print,
) -> Design:  # fmt: skip
    """The best design that climbs find, each from one start with its part of the evaluations."""
    trial = Trial(read()[:PILOTS])
    began = time.process_time()
    found: list[tuple[float, Design]] = []
    for start in starts:
        part = evaluations // len(starts)
        design, worth, used = climb(
            start, moves, trial, part, seed,
            lambda used, value: say(f"  {used} evaluations: {value:+.4f}"),
        )  # fmt: skip
        found.append((worth.value, design))
        say(
            f"{name}: from {start.name} to {worth.value:+.4f} after {used} evaluations,"
            f" {time.process_time() - began:.0f} s of CPU; {design.people} people,"
            f" {design.sha256[:12]}"
        )
    return replace(max(found, key=lambda one: one[0])[1], name=name)


def proposal(baseline: Design) -> Design:
    """What engineers came to by trying variants under the same pilots, and the search climbs from:
    neighbours help each other (who sets up and mends; assembly and packing), cells and testers to
    spare where they are cheap, room to wait before what blocks others, fewer ovens."""
    heads = {crew.skills[0]: crew.count for crew in baseline.crew}
    crew = (
        Crew(heads["kitting"] + 1, ("kitting",)),
        Crew(heads["repair"], ("repair",)),
        Crew(heads["tht"], ("tht",)),
        Crew(heads["smt"] + heads["technician"] + heads["test"] - 3, ("smt", "technician", "test")),
        Crew(heads["assembly"] + heads["packing"] + 2, ("assembly", "packing")),
    )
    had, room = dict(baseline.machines), dict(baseline.room)
    room |= {"tht": 80, "assembly": 80, "ict": 40, "fct": 40, "burn_in": 30, "packing": 12}
    return replace(
        baseline, name="neighbours", crew=crew, limit=660, room=tuple(room.items())
    ).with_machines(
        tht=had["tht"] + 3, assembly=had["assembly"] + 7, packing=had["packing"] + 1,
        ict=had["ict"] + 1, fct=had["fct"] + 1, burn_in=had["burn_in"] - 3,
    )  # fmt: skip


def frozen() -> Design:
    """The tuned baseline as it was written down."""
    return from_json(FROZEN.read_text())


def improved() -> Design:
    """The improved works as it was written down."""
    return from_json(IMPROVED.read_text())


def main() -> int:
    """Tunes and freezes the baseline; then, and only then, looks for a better works."""
    # It goes on from the baseline that was frozen before: tuned once more, never less.
    baseline = search((frozen(),), planner_moves, "tuned baseline")
    FROZEN.write_text(baseline.to_json() + "\n")
    print(f"baseline frozen: SHA-256 {baseline.sha256}", flush=True)
    frozen_one = frozen()
    better = search((proposal(frozen_one),), builder_moves, "improved")
    IMPROVED.write_text(better.to_json() + "\n")
    print(f"improved: SHA-256 {better.sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
