"""A better works, found by simulating: a baseline tuned and frozen first, then what may be built.

Both searches climb by the same score on the twin's model with the pilots' mean allowances: output
per labour-hour and per square metre. The baseline may change what a planner changes
without building: crews, campaigns, the limit, the rule, room to wait. The improvement may also
change machines and vehicles and train people for more than one skill. What each gains is measured
elsewhere (`gains.py`), on plants with seeds that no search has seen.

`python -m mirrorworld_worlds.factory.improve` searches anew and writes both designs.
"""

from __future__ import annotations

import dataclasses
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from mirrorworld.world.changes import Change, Edits, Origin, OriginKind
from mirrorworld.world.world import World

from .allowances import Allowances, OfArea, read
from .areas import AREAS, WEEK_S
from .authored import NAME, edits
from .design import DRAWN, Crew, Design, from_json
from .engine import run_model
from .forecast import figures_of
from .layout import GROSS_M2
from .measured import Figures
from .model import flow_model

HERE: Final = Path(__file__).parent
FROZEN: Final = HERE / "baseline.json"
IMPROVED: Final = HERE / "improved.json"
SEED: Final = 41
"""Of the streams of the search: the same for every design (common random numbers)."""
EVALUATIONS: Final = 1_000
LEAST_LOTS: Final = 0.97
"""Of what the works as drawn is to put out: nobody wins by making less."""

SHELVES: Final = frozenset(area.repair for area in AREAS if area.repair)
"""Before repair there is a shelf as it is drawn."""
AT_ONCE: Final = 250
"""Moves of several steps at once that are tried where no single step is better."""

Moves = Callable[[Design, random.Random], Iterator[Design]]


def mean_allowances(pilots: Sequence[Allowances]) -> dict[str, OfArea]:
    """The means of all pilots."""
    names = [field.name for field in dataclasses.fields(OfArea)]
    return {
        area.id: OfArea(
            **{n: statistics.fmean(getattr(one[area.id], n) for one in pilots) for n in names}
        )
        for area in AREAS
    }


def world_of(design: Design) -> World:
    """A world that holds the works as planned, in memory."""
    world = World(NAME)
    body = Edits(tuple(edits(design)), "a works to be tried")
    world.apply(Change(body, Origin(OriginKind.AUTHORED, NAME), 1))
    return world


def tried(
    design: Design, allowances: Allowances, *, seed: int, weeks: float = 1.0, warm_up: float = 0.5
) -> Figures:
    """What the twin's model foretells of a design; RuntimeError if the line locks up."""
    model = flow_model(world_of(design).structure, allowances)
    result = run_model(
        model, seed=seed, horizon_s=(warm_up + weeks) * WEEK_S, warm_up_s=warm_up * WEEK_S
    )
    if not result.is_complete:
        raise RuntimeError(f"{design.name}: {result.ending[0].value}: {result.detail[0]}")
    return figures_of(model, result, weeks, allowances)


def per_labour_h(design: Design, lots_per_week: float) -> float:
    """Lots in a paid hour."""
    return lots_per_week / design.labour_h_week


def per_m2(design: Design, lots_per_week: float) -> float:
    """Lots a week on a square metre that the design needs."""
    return lots_per_week / design.floor_m2(lots_per_week)


def score(design: Design, lots_per_week: float, least: float) -> float:
    """Output per labour-hour and per square metre, in logarithms: a percent of one is worth a
    percent of the other. Less output than wanted costs four times what it lacks, and what does
    not fit into the building ten times."""
    lots = max(lots_per_week, 1.0)
    lack = max(0.0, math.log(least / lots))
    over = max(0.0, math.log(design.floor_m2(lots) / GROSS_M2))
    gained = math.log(per_labour_h(design, lots)) + math.log(per_m2(design, lots))
    return gained - 4.0 * lack - 10.0 * over


# --- moves -----------------------------------------------------------------------------------


def planner_moves(design: Design, rng: random.Random) -> Iterator[Design]:
    """What may be changed without building anything."""
    moves: list[Design] = []
    for i, crew in enumerate(design.crew):
        for step in (-4, -2, -1, 1, 2):
            if crew.count + step >= 1:
                changed = (*design.crew[:i], replace(crew, count=crew.count + step))
                moves.append(replace(design, crew=(*changed, *design.crew[i + 1 :])))
    for campaign in (2, 3, 4, 5, 6, 8, 10, 12, 16, 20):
        if campaign != design.campaign:
            moves.append(replace(design, campaign=campaign))
    for step in (-120, -60, -30, 30, 60, 120):
        if design.limit + step > 0:
            moves.append(replace(design, limit=design.limit + step))
    for i, (area, room) in enumerate(design.room):
        if area in SHELVES:
            continue
        for factor in (0.5, 0.8, 1.25, 2.0):
            wanted = max(6, round(room * factor))
            if wanted != room:
                changed = (*design.room[:i], (area, wanted), *design.room[i + 1 :])
                moves.append(replace(design, room=changed))
    other = "fifo" if design.rule == "least_setup" else "least_setup"
    moves.append(replace(design, rule=other))
    rng.shuffle(moves)
    yield from moves


def builder_moves(design: Design, rng: random.Random) -> Iterator[Design]:
    """What may be changed before the works is built: all of it, one step or several at once (a
    balanced line gains nothing from one machine more)."""
    yield from _builder_steps(design, rng)
    for _ in range(AT_ONCE):
        changed = design
        for _ in range(rng.choice((2, 3, 4))):
            changed = rng.choice(list(_builder_steps(changed, rng)))
        yield changed


def _builder_steps(design: Design, rng: random.Random) -> Iterator[Design]:
    moves = list(planner_moves(design, rng))
    for area, n in design.machines:
        for step in (-3, -1, 1, 3):
            if n + step >= 1:
                moves.append(design.with_machines(**{area: n + step}))
    for step in (-6, -2, 2, 6):
        if design.vehicles + step > 0:
            moves.append(replace(design, vehicles=design.vehicles + step))
    for i, one in enumerate(design.crew):
        for k in range(i + 1, len(design.crew)):
            other = design.crew[k]
            if len(one.skills) + len(other.skills) <= 3:
                skills = tuple(sorted({*one.skills, *other.skills}))
                rest = [c for j, c in enumerate(design.crew) if j not in (i, k)]
                for saved in (0, 1):
                    count = one.count + other.count - saved
                    if count >= 1:
                        merged = (*rest, Crew(count, skills))
                        moves.append(replace(design, crew=merged))
    rng.shuffle(moves)
    yield from moves


def climb(
    start: Design, moves: Moves, evaluate: Callable[[Design], float], evaluations: int, seed: int
) -> tuple[Design, float, int]:
    """Takes every move that is better, until none is or the evaluations are used up.

    Returns:
        (design, its score, evaluations used).
    """
    rng = random.Random(seed)
    best, value, used = start, evaluate(start), 1
    improved = True
    while improved and used < evaluations:
        improved = False
        for candidate in moves(best, rng):
            if used >= evaluations:
                break
            used += 1
            try:
                found = evaluate(candidate)
            except (RuntimeError, ValueError):
                continue  # A line that locks up, or a design that cannot be, is no better one.
            if found > value + 1e-4:
                best, value, improved = candidate, found, True
                break
    return best, value, used


def search(
    start: Design, moves: Moves, name: str, evaluations: int = EVALUATIONS, seed: int = SEED
) -> Design:
    """The best design that a climb finds."""
    allowances = mean_allowances(read())
    least = LEAST_LOTS * tried(DRAWN, allowances, seed=seed)["output"]

    def evaluate(design: Design) -> float:
        return score(design, tried(design, allowances, seed=seed)["output"], least)

    began = time.process_time()
    first = evaluate(start)
    best, value, used = climb(start, moves, evaluate, evaluations, seed)
    print(
        f"{name}: score {first:.4f} -> {value:.4f} after {used} evaluations,"
        f" {time.process_time() - began:.0f} s of CPU; {best.people} people, {best.sha256[:12]}",
        flush=True,
    )
    return replace(best, name=name)


def proposal(baseline: Design) -> Design:
    """What engineers would try first, and the search climbs from: one crew for hand work, one for
    whoever looks after machines, two more lines and the cells that keep up, fewer ovens."""
    crew = (
        Crew(6, ("kitting",)), Crew(7, ("packing",)), Crew(3, ("repair",)),
        Crew(12, ("smt", "technician", "test")), Crew(66, ("tht", "assembly")),
    )  # fmt: skip
    return replace(baseline, crew=crew).with_machines(smt=22, assembly=40, tht=25, burn_in=26)


def frozen() -> Design:
    """The tuned baseline as it was written down."""
    return from_json(FROZEN.read_text())


def improved() -> Design:
    """The improved works as it was written down."""
    return from_json(IMPROVED.read_text())


def main() -> int:
    """Tunes and freezes the baseline; then, and only then, looks for a better works."""
    baseline = search(DRAWN, planner_moves, "tuned baseline")
    FROZEN.write_text(baseline.to_json() + "\n")
    print(f"baseline frozen: SHA-256 {baseline.sha256}", flush=True)
    better = search(proposal(frozen()), builder_moves, "improved")
    IMPROVED.write_text(better.to_json() + "\n")
    print(f"improved: SHA-256 {better.sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
