"""The expo: a site of 131 buildings with rooms, meters, water, air and visitors, 200,000 points.

`plant_*.py` are its plant's processes, `site.py` is what the drawings say, `world.py` what the
mirror makes of it, `leak.py` finds where water is lost, `geometry/` draws it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .world import ExpoCity

SIZES = {"small": (12, 4_000), "full": (131, 200_000)}
"""Name → buildings, and points of their gateways at least."""


def make(
    *,
    size: str = "full",
    buildings: int = 0,
    points: int = 0,
    rate_hz: float = 1.0,
    seed: int = 7,
    all_change: int = 0,
    speed: float = 1.0,
    morning_h: float = 11.0,
    leak_after_s: float = 0.0,
    leak_seed: int = 0,
) -> ExpoCity:
    """The world, as `mirrorworld up` runs it.

    Args:
        size: `small` or `full`; how many buildings and points there are unless they are given.
        buildings: how many; 0: by the size.
        points: how many the buildings' gateways have at least; 0: by the size.
        rate_hz: reports in a second.
        seed: of everything that is hidden and everything that chance decides in the plant.
        all_change: 1: every point of the gateways changes at every report; 0: by exception.
        speed: seconds of the plant in a second. Above 1 its clock begins a week ago, or it would
            stamp what is to come.
        morning_h: what time of day it is there at the beginning.
        leak_after_s: seconds of the plant after which a main breaks; 0: none does.
        leak_seed: draws which main, and how badly.
    """
    # Late, so that the plant's processes, which import this package too, know nothing of the
    # mirror.
    from .world import ExpoCity

    if size not in SIZES:
        raise ValueError(f"size={size}: give one of {', '.join(SIZES)}")
    if not 0.02 <= rate_hz <= 60.0:
        raise ValueError(f"rate_hz={rate_hz:g}: give 0.02 to 60")
    n_buildings, n_points = SIZES[size]
    return ExpoCity(
        n_buildings=buildings or n_buildings,
        n_points=points or n_points,
        rate_hz=rate_hz,
        seed=seed,
        all_change=bool(all_change),
        speed=speed,
        morning_h=morning_h,
        leak_after_s=leak_after_s,
        leak_seed=leak_seed,
    )
