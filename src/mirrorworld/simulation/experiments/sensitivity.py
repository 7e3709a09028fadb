"""How much of a figure's variance comes from which factor, and by which it moves at all.

Sobol's indices by the designs of Saltelli (Computer Physics Communications 181, 2010): first
order by their estimator, total by Jansen's, intervals by bootstrap of the base designs. Elementary
effects by Morris (Technometrics 33, 1991) with the mean of moduli of Campolongo (2007).

Both take the factors as independent and uniform over their ranges; a space with constraints is
therefore refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.designs import Table, check_count
from mirrorworld.simulation.experiments.results import Results
from mirrorworld.simulation.experiments.space import Space, SpaceError


@dataclass(frozen=True, slots=True)
class Index:
    """How much of the variance comes from a factor, with intervals."""

    factor: str
    first: float
    """By itself alone."""
    first_low: float
    first_high: float
    total: float
    """With all of its interactions."""
    total_low: float
    total_high: float


@dataclass(frozen=True, slots=True)
class Indices:
    """Sobol's indices of a figure, greatest total first."""

    figure: str
    mean: float
    variance: float
    indices: tuple[Index, ...]
    confidence: float
    used: int
    """Base designs."""
    left_out: int
    """Base designs of which one in the group has no value."""


@dataclass(frozen=True, slots=True)
class Elementary:
    """The elementary effects of a factor over its whole range."""

    factor: str
    mean: float
    mean_modulus: float
    """How much it moves the figure, whichever way."""
    deviation: float
    """How much that depends on where: curvature or interaction."""
    low: float
    """Of the interval of `mean_modulus`, by bootstrap."""
    high: float
    used: int


def saltelli(space: Space, n: int, *, seed: int = 0) -> Table:
    """`n` base designs (a power of 2 is best), each in a group of 2 + factors: A, B, and A with
    one factor from B; `sobol_indices` reads them.

    Raises:
        SpaceError: there are constraints, or too many designs.
    """
    from scipy.stats import qmc

    k = len(space.factors)
    _independent(space)
    check_count(n * (k + 2))
    points = qmc.Sobol(2 * k, scramble=True, rng=np.random.default_rng(seed))
    both = points.random_base2(max(0, int(np.ceil(np.log2(max(n, 1))))))[:n]
    a, b = both[:, :k], both[:, k:]
    group = np.repeat(a[:, None, :], k + 2, axis=1)
    group[:, 1] = b
    for i in range(k):
        group[:, 2 + i, i] = b[:, i]
    return Table(space, space.from_shares(group.reshape(-1, k)))


def sobol_indices(
    results: Results,
    figure: str,
    *,
    confidence: float = 0.95,
    resamples: int = 1_000,
    seed: int = 0,
) -> Indices:
    """Sobol's indices from the rows of a `saltelli` table.

    Raises:
        ValueError: fewer than two groups are whole, or the figure never changes.
        KeyError: there is no such figure.
    """
    k = len(results.space.factors)
    y = _groups(results, figure, k + 2)
    whole = np.isfinite(y).all(axis=1)
    left_out = int((~whole).sum())
    y = y[whole]
    if len(y) < 2:
        raise ValueError(f"{figure}: {len(y)} groups of designs are whole; try more designs")
    first, total, variance = _estimate(y[None])
    if not variance[0] > 0:
        raise ValueError(f"{figure} is {y[0, 0]:g} whatever the design; there is no variance")
    random = np.random.default_rng(seed)
    firsts, totals = np.empty((resamples, k)), np.empty((resamples, k))
    for at in range(0, resamples, 50):
        rows = random.integers(0, len(y), (min(50, resamples - at), len(y)))
        firsts[at : at + 50], totals[at : at + 50], _ = _estimate(y[rows])
    ends = ((1 - confidence) / 2, (1 + confidence) / 2)
    first_ends, total_ends = (np.nanquantile(x, ends, axis=0) for x in (firsts, totals))
    found = [
        Index(
            name,
            float(first[0, i]),
            float(first_ends[0, i]),
            float(first_ends[1, i]),
            float(total[0, i]),
            float(total_ends[0, i]),
            float(total_ends[1, i]),
        )
        for i, name in enumerate(results.space.names)
    ]
    found.sort(key=lambda index: -index.total)
    mean = float(y[:, :2].mean())
    return Indices(figure, mean, float(variance[0]), tuple(found), confidence, len(y), left_out)


def _estimate(
    y: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """First and total indices [samples, factors] and variance from y [samples, groups, 2 + k]."""
    a, b, mixed = y[..., 0], y[..., 1], y[..., 2:]
    variance = y[..., :2].reshape(len(y), -1).var(axis=1)
    # Centred, or a figure far from zero would lose its variance in the difference.
    centre = y[..., :2].mean(axis=(1, 2))[:, None]
    with np.errstate(all="ignore"):
        first = ((b - centre)[..., None] * (mixed - a[..., None])).mean(axis=1)
        total = ((a[..., None] - mixed) ** 2).mean(axis=1) / 2
        return first / variance[:, None], total / variance[:, None], variance


def morris(space: Space, trajectories: int, *, levels: int = 4, seed: int = 0) -> Table:
    """Walks over a grid of the space, each of which moves every factor once, by half its range
    and a little more; `elementary_effects` reads them.

    Raises:
        SpaceError: there are constraints, levels are odd, or too many designs.
    """
    k = len(space.factors)
    _independent(space)
    if levels < 2 or levels % 2:
        raise SpaceError(f"{levels} levels; give an even number of them")
    check_count(trajectories * (k + 1))
    random = np.random.default_rng(seed)
    half = levels // 2
    walks = np.empty((trajectories, k + 1, k))
    for walk in walks:
        low = random.integers(0, half, k)
        is_up = random.random(k) < 0.5
        here = np.where(is_up, low, low + half)
        walk[0] = here
        for step, i in enumerate(random.permutation(k), 1):
            here[i] += half if is_up[i] else -half
            walk[step] = here
    return Table(space, space.from_shares((walks / (levels - 1)).reshape(-1, k)))


def elementary_effects(
    results: Results,
    figure: str,
    *,
    confidence: float = 0.95,
    resamples: int = 1_000,
    seed: int = 0,
) -> tuple[Elementary, ...]:
    """Elementary effects from the rows of a `morris` table, greatest modulus first.

    Raises:
        ValueError: a factor has no effect that both of its designs have values for.
        KeyError: there is no such figure.
    """
    space = results.space
    k = len(space.factors)
    y = _groups(results, figure, k + 1)
    shares = space.shares({name: results.column(name) for name in space.names})
    moves = np.diff(shares.reshape(-1, k + 1, k), axis=1)
    rises = np.diff(y, axis=1)
    random = np.random.default_rng(seed)
    ends = ((1 - confidence) / 2, (1 + confidence) / 2)
    found: list[Elementary] = []
    for i, name in enumerate(space.names):
        by = moves[:, :, i]
        has = (by != 0) & np.isfinite(rises)
        effects = rises[has] / by[has]
        if not len(effects):
            raise ValueError(f"{figure}: no effect of '{name}' is known; try more designs")
        moduli = np.abs(effects)
        drawn = moduli[random.integers(0, len(moduli), (resamples, len(moduli)))].mean(axis=1)
        low, high = np.quantile(drawn, ends)
        deviation = float(effects.std(ddof=1)) if len(effects) > 1 else float("nan")
        found.append(
            Elementary(
                name, float(effects.mean()), float(moduli.mean()), deviation,
                float(low), float(high), len(effects),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda e: -e.mean_modulus))


def _groups(results: Results, figure: str, width: int) -> NDArray[np.float64]:
    """[groups, width]; designs that are not there are NaN."""
    number = results.column("design")
    count = int(results.manifest["count"])
    y = np.full(count, np.nan)
    y[number] = results.column(figure)
    if count % width:
        raise ValueError(f"{count} designs are no groups of {width}; they were made for another")
    return y.reshape(-1, width)


def _independent(space: Space) -> None:
    if space.constraints:
        raise SpaceError(
            "factors that constraints bind are not independent, and the variance cannot be split"
            f" among them: leave out '{space.constraints[0]}' and narrow the ranges instead"
        )
