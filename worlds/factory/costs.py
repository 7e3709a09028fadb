"""What a lot costs in a design of the works, and how far its volume may go before that rises.

Prices are stated assumptions of a planner, in euros of 2024; both designs of a comparison use the
same ones. Knows no model: outputs are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .areas import AREAS, WEEK_S
from .design import Design

WAGE_H: Final = 38.0
"""Of an hour of anyone, with all that comes on top of wages."""
FLOOR_M2_WEEK: Final = 2.2
AGV_H: Final = 4.0
ENERGY_MWH: Final = 180.0
MARGIN: Final = 0.10
"""How much more a lot may cost while the volume still counts as within reach."""


def fixed_week(design: Design, lots_per_week: float) -> float:
    """What a week costs whoever is at work: machines, floor, vehicles."""
    hours = WEEK_S / 3600.0
    counts = dict(design.machines)
    machines = sum(area.machine_cost_h * counts[area.id] for area in AREAS) * hours
    floor = design.floor_m2(lots_per_week) * FLOOR_M2_WEEK
    return machines + floor + design.vehicles * AGV_H * hours


def unit_cost(
    design: Design, built: Design, lots_per_week: float, built_for: float, energy_mwh: float
) -> float:
    """Of a lot.

    Args:
        design: with the crew that is at work.
        built: what was built; it costs the same at any volume.
        lots_per_week: that leave.
        built_for: that it was built for, a week.
    """
    week = fixed_week(built, built_for) + design.labour_h_week * WAGE_H + energy_mwh * ENERGY_MWH
    return week / lots_per_week if lots_per_week > 0 else float("inf")


def reach(volumes: Sequence[float], costs: Sequence[float]) -> tuple[float, float]:
    """(lowest, highest) volume at which a lot costs at most the least cost and the margin;
    straight lines between the volumes that were tried.

    Raises:
        ValueError: there are none.
    """
    if not volumes:
        raise ValueError("no volumes were tried")
    tried = sorted(zip(volumes, costs, strict=True))
    limit = min(costs) * (1.0 + MARGIN)
    best = min(range(len(tried)), key=lambda i: tried[i][1])

    def edge(step: int) -> float:
        i = best
        while 0 <= i + step < len(tried) and tried[i + step][1] <= limit:
            i += step
        if not 0 <= i + step < len(tried):
            return tried[i][0]
        (v0, c0), (v1, c1) = tried[i], tried[i + step]
        return v0 + (v1 - v0) * (limit - c0) / (c1 - c0)

    return edge(-1), edge(1)
