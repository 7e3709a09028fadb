"""Designs that are chosen: samples that fill a space, and one factor at a time.

Samples are scipy's (`scipy.stats.qmc`): Latin hypercubes (McKay, Beckman, Conover: Technometrics
21, 1979) and scrambled Sobol points (Owen: Journal of Complexity 14, 1998). Where constraints
forbid some of them, more are drawn until enough are allowed; what is left is then no longer a
whole hypercube, but still fills what is allowed evenly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.designs import DESIGNS_MAX, Grid, Table, check_count
from mirrorworld.simulation.experiments.space import Columns, Space, SpaceError, design

_ROUNDS: Final = 64
_LEAST: Final = 1_024


def full_factorial(space: Space, *, limit: int = DESIGNS_MAX) -> Grid:
    """Every combination of levels; see `Grid`."""
    return Grid(space, limit=limit)


def latin_hypercube(space: Space, n: int, *, seed: int = 0) -> Table:
    """`n` designs, in each n-th part of every range one.

    Raises:
        SpaceError: too many were asked for, or hardly any is allowed.
    """
    from scipy.stats import qmc

    random = np.random.default_rng(seed)
    return _filled(
        space, n, lambda more: qmc.LatinHypercube(len(space.factors), rng=random).random(more)
    )


def sobol(space: Space, n: int, *, seed: int = 0) -> Table:
    """`n` designs of a scrambled Sobol sequence; even coverage is best where n is a power of 2.

    Raises:
        SpaceError: as `latin_hypercube`.
    """
    from scipy.stats import qmc

    points = qmc.Sobol(len(space.factors), scramble=True, rng=np.random.default_rng(seed))

    def draw(more: int) -> NDArray[np.float64]:
        # Whole powers of two keep the sequence balanced, and scipy quiet.
        return points.random_base2(max(0, math.ceil(math.log2(more))))[:more]

    if not space.constraints:
        return _filled(space, n, draw)
    # A sequence can be gone on with only in one piece.
    at_once = 1 << max(10, math.ceil(math.log2(max(n, 1))))
    return _filled(space, n, lambda _: points.random(at_once))


def at_random(space: Space, n: int, *, seed: int = 0) -> Table:
    """`n` independent designs, uniform in every range."""
    random = np.random.default_rng(seed)
    return _filled(space, n, lambda more: random.random((more, len(space.factors))))


def one_at_a_time(
    space: Space, start: Mapping[str, float | int | str] | None = None, *, steps: int = 5
) -> Table:
    """A start, then every factor over its range while all others stay.

    Args:
        start: else the middle of every range, and the first level.
        steps: how many values of a factor that has not fewer.

    Raises:
        SpaceError: the start is not allowed.
    """
    middle = space.from_shares(np.full((1, len(space.factors)), 0.5))
    first = design(middle, 0)
    for factor in space.factors:
        if hasattr(factor, "levels"):
            first[factor.name] = factor.at(np.zeros(1, np.int64))[0].item()
    first |= dict(start or {})
    lists: dict[str, list[float | int | str]] = {name: [first[name]] for name in space.names}
    for factor in space.factors:
        n = min(factor.size or steps, steps) if not hasattr(factor, "levels") else factor.size
        values = factor.from_share(np.linspace(0, 1, n or steps)).tolist()
        for value in dict.fromkeys(values):
            if value != first[factor.name]:
                for name in space.names:
                    lists[name].append(value if name == factor.name else first[name])
    columns: Columns = {name: np.array(values) for name, values in lists.items()}
    keep = space.allows(columns)
    if not keep[0]:
        raise SpaceError("the start is not allowed by the constraints; give another one")
    return Table(space, {name: column[keep] for name, column in columns.items()})


def _filled(space: Space, n: int, draw: Callable[[int], NDArray[np.float64]]) -> Table:
    check_count(n)
    parts: list[Columns] = []
    have = tried = 0
    held = np.zeros(len(space.constraints), np.int64)
    for _ in range(_ROUNDS):
        columns = space.from_shares(draw(n if not tried else max(n, _LEAST)))
        keep = np.ones(len(next(iter(columns.values()))), bool)
        for i in range(len(held)):
            one = space.holds(i, columns)
            held[i] += one.sum()
            keep &= one
        tried += len(keep)
        have += int(keep.sum())
        parts.append({name: column[keep] for name, column in columns.items()})
        if have >= n:
            joined = {name: np.concatenate([p[name] for p in parts])[:n] for name in space.names}
            return Table(space, joined)
    if not have:
        raise SpaceError(space.nobody(held.tolist(), tried))
    raise SpaceError(
        f"the constraints allow only {have:,} of {tried:,} designs, fewer than the {n:,} asked"
        " for; narrow the ranges to where they hold"
    )
