"""What samples of figures say: means with intervals, differences, and how likely one is better.

Student's t; of two branches with the same seed differences are taken replication by replication
(common random numbers: Law, Simulation Modeling and Analysis, 5th ed., §10.2.1), else by Welch.
The distribution is worked out here, so that nothing but NumPy is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
    mean = float(known.mean())
    if n == 1:
        return Estimate(1, mean, None, None)
    half = t_quantile(0.5 + LEVEL / 2, n - 1) * float(known.std(ddof=1)) / math.sqrt(n)
    return Estimate(n, mean, mean - half, mean + half)


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


def t_cdf(t: float, freedom: float) -> float:
    """Student's distribution function, by the incomplete beta function (DLMF 8.17)."""
    if t == 0:
        return 0.5
    tail = 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))
    return 1 - tail if t > 0 else tail


def t_quantile(p: float, freedom: float) -> float:
    """Where Student's distribution function reaches p, 0.5 <= p < 1; by bisection."""
    low, high = 0.0, 2.0
    while t_cdf(high, freedom) < p:
        low, high = high, 2 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_cdf(middle, freedom) < p else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF
    8.17.22), evaluated by Lentz's method."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x)
        + b * math.log1p(-x)
    ) / a  # fmt: skip
    tiny = 1e-300
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1), tiny)
    total = d
    for m in range(1, 1_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away(1 + term * d, tiny)
            c = _away(1 + term / c, tiny)
            total *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * total


def _away(value: float, tiny: float) -> float:
    return tiny if abs(value) < tiny else value
