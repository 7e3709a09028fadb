"""The demo world: a bottling line with utilities, its plant a process of its own.

`plant.py` starts the plant, `world.py` says what the mirror makes of it, `geometry/` draws it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .world import BottlingLine


def make() -> BottlingLine:
    """The world, as `mirrorworld up` runs it."""
    # Late, so that the plant's process, which imports this package too, knows nothing of the
    # mirror.
    from .world import BottlingLine

    return BottlingLine()
