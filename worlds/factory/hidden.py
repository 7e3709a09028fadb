"""How the plant departs from its data sheets: drawn from a seed, told to nobody.

Nothing here is ever published. What the twin may know of such departures it learns from what
another plant, the pilot line, published (`allowances.py`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from .areas import AREAS
from .products import FAMILIES


@dataclass(frozen=True, slots=True)
class OfArea:
    """Of one area. Factors are on what the data sheet says."""

    pace: float
    """On process times."""
    spread: float
    """Coefficient of variation of a lot's process time."""
    microstops_per_h: float
    microstop_s: float
    between: float
    repair: float
    shape: float
    """Weibull shape of times between failures."""
    setup: float
    care: float
    rework: float
    scrap: float
    wear: float
    """Slow-down by the time care is due."""
    power: float


@dataclass(frozen=True, slots=True)
class Hidden:
    """Of the whole works."""

    areas: dict[str, OfArea]
    learning: dict[tuple[str, str], tuple[float, float]]
    """(family, area) → (excess at the start, lots after which it has visibly fallen)."""
    walk_m_s: float
    fatigue: float
    """Slow-down of hand work at the end of a shift."""
    night: float
    """The same in the night."""
    absent: tuple[float, ...]
    """Share of the crew that stays away, by weekday."""
    handover_s: float
    """At each change of shift, for all that is done by hand."""
    air_stops_per_h: float
    air_stop_s: float
    dips_per_h: float
    dip_s: float
    missing_kit: float
    """Share of kits that lack something, and how long that takes."""
    missing_s: float
    agv_pace: float
    agv_crowding: float
    """Slow-down for each further vehicle in the same stretch."""
    patience_s: float
    """How long an oven waits for its last lots."""


def draw(seed: int) -> Hidden:
    """The departures of one plant."""
    rng = random.Random(f"hidden {seed}")

    def around(middle: float, spread: float) -> float:
        return middle * rng.lognormvariate(0.0, spread)

    # What all areas share (the planners' optimism) varies less from works to works than by area.
    hand, machine = around(1.045, 0.012), around(1.018, 0.006)
    areas: dict[str, OfArea] = {}
    for area in AREAS:
        pace = hand if area.skill else machine
        areas[area.id] = OfArea(
            pace=around(pace, 0.012),
            spread=rng.uniform(0.10, 0.18) if area.skill else rng.uniform(0.02, 0.05),
            microstops_per_h=around(3.2, 0.25) if not area.skill and area.batch == 1 else 0.0,
            microstop_s=around(38.0, 0.15),
            between=around(0.92, 0.15),
            repair=around(1.15, 0.12),
            shape=rng.uniform(0.9, 1.4),
            setup=around(1.10, 0.06),
            care=around(1.05, 0.08),
            rework=around(1.08, 0.15),
            scrap=around(1.0, 0.25),
            wear=rng.uniform(0.0, 0.03),
            power=around(1.02, 0.02),
        )
    learning = {
        (family.id, area): (rng.uniform(0.02, 0.06), rng.uniform(300.0, 900.0))
        for family in FAMILIES
        for area in ("tht", "assembly", "packing")
    }
    usual = rng.uniform(0.03, 0.05)
    return Hidden(
        areas=areas,
        learning=learning,
        walk_m_s=rng.uniform(0.9, 1.3),
        fatigue=rng.uniform(0.02, 0.05),
        night=rng.uniform(0.01, 0.04),
        absent=tuple(usual * factor for factor in (1.5, 1.0, 0.9, 1.0, 1.4)),
        handover_s=rng.uniform(300.0, 540.0),
        air_stops_per_h=1.0 / rng.uniform(60.0, 120.0),
        air_stop_s=rng.uniform(500.0, 1_000.0),
        dips_per_h=1.0 / rng.uniform(120.0, 240.0),
        dip_s=rng.uniform(240.0, 700.0),
        missing_kit=rng.uniform(0.02, 0.05),
        missing_s=rng.uniform(900.0, 2_400.0),
        agv_pace=rng.uniform(0.9, 1.0),
        agv_crowding=rng.uniform(0.03, 0.09),
        patience_s=rng.uniform(1_800.0, 3_600.0),
    )
