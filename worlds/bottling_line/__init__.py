"""The demo world: a bottling line with utilities, its plant a process of its own.

`plant.py` starts the plant, `world.py` says what the mirror makes of it, `geometry/` draws it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .world import BottlingLine


def make(
    *,
    seed: int = 7,
    shift_minutes: float = 60.0,
    crew_after_s: float = 150.0,
    jam_after_s: float = 0.0,
    time_scale: float = 1.0,
) -> BottlingLine:
    """The world, as `mirrorworld up` runs it.

    Args:
        seed: of everything that chance decides in the plant.
        shift_minutes: length of a shift; 0: no rhythm.
        crew_after_s: when the crew clears a jam that nobody has cleared; 0: never.
        jam_after_s: jams the filler once, so long after the start; 0: leaves jams to chance.
        time_scale: seconds of the plant in each second of the clock, up to 100; a record of such
            a plant is fitted with `--clock-rate`.
    """
    # Late, so that the plant's process, which imports this package too, knows nothing of the
    # mirror.
    from .world import BottlingLine

    return BottlingLine(
        seed=seed,
        shift_minutes=shift_minutes,
        crew_after_s=crew_after_s,
        jam_after_s=jam_after_s,
        time_scale=time_scale,
    )
