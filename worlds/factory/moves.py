"""What may be changed in a works: by a planner, and by whoever builds it.

A planner moves people, campaigns, limits, rules and room to wait. A builder may also change
machines and vehicles, and train people for more than one skill.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from .areas import AREAS
from .design import Crew, Design

SHELVES: Final = frozenset(area.repair for area in AREAS if area.repair)
"""Before repair there is a shelf as it is drawn."""
AT_ONCE: Final = 250
"""Moves of several steps at once that are tried where no single step is better."""
SKILLS_AT_MOST: Final = 3
"""That one person is trained for."""

Moves = Callable[[Design, random.Random], Iterator[Design]]


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
            if len(one.skills) + len(other.skills) <= SKILLS_AT_MOST:
                skills = tuple(sorted({*one.skills, *other.skills}))
                rest = [c for j, c in enumerate(design.crew) if j not in (i, k)]
                for saved in (0, 1):
                    count = one.count + other.count - saved
                    if count >= 1:
                        moves.append(replace(design, crew=(*rest, Crew(count, skills))))
    rng.shuffle(moves)
    yield from moves
