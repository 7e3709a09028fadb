"""What samples of figures say: means with intervals, differences, and how likely one is better.

Student's t; of two branches with the same seed differences are taken replication by replication
(common random numbers: Law, Simulation Modeling and Analysis, 5th ed., §10.2.1), else by Welch.
What a figure without values says is said here; the arithmetic is that of all simulations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow.statistics import interval
from mirrorworld.simulation.student import t_cdf, t_quantile

LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its two-sided 95 % interval; None where there is none."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """How much one mean is above another."""

    mean: float | None
    low: float | None
    high: float | None
    is_paired: bool
    probability_above: float | None
    """That the difference of the true means is over 0, with a flat prior: t of the estimate."""


def estimate(values: NDArray[np.float64]) -> Estimate:
    """The mean of replications. NaN: a replication without a value, left out."""
    known = values[np.isfinite(values)]
    n = len(known)
    if n == 0:
        return Estimate(0, None, None, None)
    if n == 1:
        return Estimate(1, float(known[0]), None, None)
    found = interval(known, LEVEL)
    return Estimate(n, found.mean, found.low, found.high)


def difference(
    one: NDArray[np.float64], other: NDArray[np.float64], *, is_paired: bool
) -> Difference:
    """How much the mean of `one` is above that of `other`."""
    if is_paired and len(one) == len(other):
        gaps = one - other
        gaps = gaps[np.isfinite(gaps)]
        n = len(gaps)
        if n == 0:
            return Difference(None, None, None, True, None)
        error = float(gaps.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
        return _told(float(gaps.mean()), error, n - 1.0, True)
    one, other = one[np.isfinite(one)], other[np.isfinite(other)]
    if not (len(one) and len(other)):
        return Difference(None, None, None, False, None)
    mean = float(one.mean() - other.mean())
    if len(one) < 2 or len(other) < 2:
        return _told(mean, math.nan, 0.0, False)
    a, b = float(one.var(ddof=1)) / len(one), float(other.var(ddof=1)) / len(other)
    freedom = 1.0
    if a + b > 0:
        freedom = (a + b) ** 2 / (a * a / (len(one) - 1) + b * b / (len(other) - 1))
    return _told(mean, math.sqrt(a + b), freedom, False)


def _told(mean: float, error: float, freedom: float, is_paired: bool) -> Difference:
    if math.isnan(error):
        return Difference(mean, None, None, is_paired, None)
    if error == 0:
        above = 0.5 if mean == 0 else float(mean > 0)
        return Difference(mean, mean, mean, is_paired, above)
    half = t_quantile(0.5 + LEVEL / 2, freedom) * error
    return Difference(mean, mean - half, mean + half, is_paired, t_cdf(mean / error, freedom))
