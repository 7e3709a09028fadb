"""The factory: an electronics works of 73,000 m², validated before it exists.

`products.py`, `areas.py`, `layout.py` and `design.py` are its public engineering data; `plant.py`
is the plant as a process, on an engine of its own; `world.py` says what the mirror makes of it,
`model.py` reads a line model from the mirror's twins, `validate.py` compares what that foretold
with what was measured, `improve.py` looks for a better works.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .world import Factory


def make(
    *,
    design: str = "drawn",
    seed: int = 7,
    speed: float = 60.0,
    report_s: float = 30.0,
    ran_h: float = 30.0,
) -> Factory:
    """The world, as `mirrorworld up` runs it.

    Args:
        design: `drawn`, `pilot`, or a file of JSON as `improve.py` writes it.
        seed: of everything that is hidden and everything that chance decides in the plant.
        speed: plant seconds a second, until its clock has caught up with the wall's.
        report_s: plant seconds between two reports.
        ran_h: how long the works has run when it appears.
    """
    # Late, so that the plant's process, which imports this package too, knows nothing of the
    # mirror.
    from .world import Factory

    if not 0.0 < speed <= 100_000.0:
        raise ValueError(f"speed={speed:g}: give more than 0, at most 100000")
    if not 1.0 <= report_s <= 86_400.0:
        raise ValueError(f"report_s={report_s:g}: give 1 to 86400")
    return Factory(design=design, seed=seed, speed=speed, report_s=report_s, ran_h=ran_h)
