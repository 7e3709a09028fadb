"""Who of many is heard by whom: the nearest few of those who speak.

Arrays in, arrays out; knows no sockets and no clock.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

STICKS: Final = 0.8
"""Who has a slot keeps it until somebody is nearer by this factor."""
LOUD_M_PER_DB: Final = 0.02
"""A voice that is louder by a decibel counts as nearer by this part of its distance."""
NOBODY: Final = -1


def choose(
    places_m: NDArray[np.float64],
    level_db: NDArray[np.float64],
    is_speaking: NDArray[np.bool_],
    slots: NDArray[np.intp],
) -> NDArray[np.intp]:
    """Fills the slots of all listeners.

    Args:
        places_m: where each of the n people is, n × 3, m.
        level_db: how loud each one spoke lately, dBov (0 is the loudest), n.
        is_speaking: whether each one speaks, n.
        slots: who was heard in each slot before, n × k rows of indices; `NOBODY` where none was.

    Returns:
        The slots from now on, of the same shape. Who stays stays in the same slot; who has fallen
        silent stays until somebody needs the slot.
    """
    n, k = slots.shape
    away = np.linalg.norm(places_m[:, None, :] - places_m[None, :, :], axis=2)
    cost = (1.0 + away) * (1.0 - LOUD_M_PER_DB * (level_db + 60.0))[None, :].clip(0.2)
    row = np.arange(n)
    was_in = np.zeros((n, n), bool)
    held = slots >= 0
    was_in[np.nonzero(held)[0], slots[held]] = True
    cost[was_in] *= STICKS
    # Silent ones come after all who speak, and only where they were heard before.
    cost[:, ~is_speaking] += 1e7
    cost[(~is_speaking)[None, :] & ~was_in] = np.inf
    cost[row, row] = np.inf
    chosen = np.full((n, k), NOBODY, np.intp)
    best = np.argsort(cost, axis=1, kind="stable")[:, :k]
    for listener in range(n):
        wanted = [j for j in best[listener].tolist() if np.isfinite(cost[listener, j])]
        stays = [j if j in wanted else NOBODY for j in slots[listener].tolist()]
        new = iter([j for j in wanted if j not in stays])
        chosen[listener] = [next(new, NOBODY) if j == NOBODY else j for j in stays]
    return chosen
