"""How long people walk to their next job, as a planner reckons it from the layout and the crews.

Whoever minds a cell stays there while there are hands for every cell, and walks about among all
that the crew looks after as soon as cells outnumber hands. Whoever sets up machines comes from
wherever the last job was; of several who are free the nearest comes. Positions are those of the
machines' twins, the speed is what work studies allow; nothing here knows a plant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

SETUPS_A_LOT: Final = 0.3
"""Set-ups for a lot that an area works on, to weigh where a crew has its jobs."""
HANDS_WANTED: Final = 0.95
"""Share of the time for which a cell that is planned to be busy wants a hand."""
SPARE: Final = 0.3
"""Share of a crew of setters that is free when somebody is called."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """What an area asks of people.

    Attributes:
        at: [machines, 2] where its machines stand (x, z), in metres.
        lots: that it works on, for a lot that is ordered.
        skill, setup_skill: "": nobody.
    """

    area: str
    at: NDArray[np.float64]
    lots: float
    skill: str
    setup_skill: str


@dataclass(frozen=True, slots=True)
class Crew:
    """Whoever has the same skills, and how many of them are there."""

    present: float
    skills: frozenset[str]


@dataclass(frozen=True, slots=True)
class Walk:
    """Seconds to a lot's work, and to a set-up or to care."""

    work_s: float = 0.0
    setup_s: float = 0.0


def walks(areas: Sequence[Jobs], crews: Sequence[Crew], speed_m_s: float) -> dict[str, Walk]:
    """By area. Where several crews have a skill, their walks count by their heads."""
    out: dict[str, Walk] = {}
    for area in areas:
        work_s = _by_heads(area.skill, area, areas, crews, is_setup=False) / speed_m_s
        setup_s = (
            work_s
            if area.setup_skill == area.skill
            else _by_heads(area.setup_skill, area, areas, crews, is_setup=True) / speed_m_s
        )
        out[area.area] = Walk(work_s, setup_s)
    return out


def _by_heads(
    skill: str, area: Jobs, areas: Sequence[Jobs], crews: Sequence[Crew], *, is_setup: bool
) -> float:
    """Metres to a job."""
    able = [crew for crew in crews if skill and skill in crew.skills]
    heads = sum(crew.present for crew in able)
    return sum(crew.present / heads * _metres(crew, area, areas, is_setup) for crew in able)


def _metres(crew: Crew, area: Jobs, areas: Sequence[Jobs], is_setup: bool) -> float:
    places: list[NDArray[np.float64]] = []
    weights: list[NDArray[np.float64]] = []
    cells = 0
    for one in areas:
        n = len(one.at)
        jobs = 0.0
        if one.skill in crew.skills:
            jobs += one.lots
            cells += n
        if one.setup_skill in crew.skills and one.setup_skill != one.skill:
            jobs += one.lots * SETUPS_A_LOT
        if jobs > 0.0:
            places.append(one.at)
            weights.append(np.full(n, jobs / n))
    at, weight = np.concatenate(places), np.concatenate(weights)
    if is_setup:
        return nearest_m(area.at, at, weight, max(1, round(SPARE * crew.present)))
    # So often somebody else already waits for the hand that becomes free.
    short = stats.binom.sf(math.floor(crew.present) - 1, max(0, cells - 1), HANDS_WANTED)
    return float(short) * nearest_m(area.at, at, weight, 1)


def nearest_m(
    here: NDArray[np.float64], there: NDArray[np.float64], weight: NDArray[np.float64], free: int
) -> float:
    """Metres along the building and across it from the nearest of `free` people, who stand at
    places drawn by weight, on average over `here`."""
    away = np.abs(here[:, None, :] - there[None, :, :]).sum(axis=2)
    order = np.argsort(away, axis=1)
    beyond = 1.0 - np.cumsum(weight[order] / weight.sum(), axis=1)
    before = np.concatenate([np.ones((len(here), 1)), beyond[:, :-1]], axis=1)
    chance = np.clip(before, 0.0, 1.0) ** free - np.clip(beyond, 0.0, 1.0) ** free
    return float((np.take_along_axis(away, order, axis=1) * chance).sum(axis=1).mean())
