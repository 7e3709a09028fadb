"""Honest statistics of runs: how sure a figure is, when a run has warmed up, which design is best.

Figures come as one number for each replication, or as a series within one run. Replications are
independent; those of several designs with the same numbers share their chance (common random
numbers), so designs are compared pair by pair. Nothing here knows a line.
"""

# pyright: basic

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mirrorworld.simulation.student import t_cdf, t_quantile


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and how far it may be off, at a confidence."""

    mean: float
    half_width: float
    confidence: float
    count: int
    """Replications or batches that it rests on."""

    @property
    def low(self) -> float:
        """Its lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Its upper end."""
        return self.mean + self.half_width

    @property
    def relative(self) -> float:
        """Half-width over the mean's size."""
        return self.half_width / abs(self.mean) if self.mean else math.inf


@dataclass(frozen=True, slots=True)
class Batched:
    """An interval from batches of one run."""

    interval: Interval
    lag_1: float
    """Correlation of neighbouring batches."""
    is_independent: bool
    """Whether that may be chance. If not, the interval is too narrow: the run is too short."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Where a series settles."""

    cut: int
    """Values to leave out."""
    is_settled: bool
    """Whether the cut lies in the first half; if not, the run is too short to tell."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much larger the first of two designs is."""

    difference: Interval
    p_larger: float
    """Probability that the first one's true mean is the larger."""
    correlation: float
    """Of the two over replications: what common random numbers gave."""
    variance_ratio: float
    """Of the difference, to what independent runs would have had: small is good."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Which of D designs is best, given what was seen."""

    order: NDArray[np.int64]
    """[D] by mean, best first."""
    p_best: NDArray[np.float64]
    """[D] by design."""
    p_rank: NDArray[np.float64]
    """[D, D] that design i has place j, 0 the best."""


def interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean of independent values with Student's interval.

    Raises:
        ValueError: fewer than two values, or one is no number.
    """
    x = _values(values)
    spread = float(x.std(ddof=1)) / math.sqrt(len(x))
    return Interval(float(x.mean()), _t(confidence, len(x) - 1) * spread, confidence, len(x))


def batch_means(
    series: ArrayLike, batches: int = 64, confidence: float = 0.95, least: int = 16
) -> Batched:
    """The mean of a correlated series (after its warm-up) from means of batches.

    Neighbouring batches are joined, two and two, until their correlation may be chance or so few
    are left that joining would leave less than `least`.

    Raises:
        ValueError: fewer values than batches, or one is no number.
    """
    x = _values(series)
    if len(x) < batches or batches < 2:
        raise ValueError(f"{len(x)} values in {batches} batches; give more values or fewer batches")
    means = x[len(x) % batches :].reshape(batches, -1).mean(axis=1)
    while True:
        lag = _lag_1(means)
        # Under independence about normal with variance 1/n and mean -1/n; one-sided, 95 %.
        limit = 1.645 / math.sqrt(len(means)) - 1 / len(means)
        if lag <= limit or len(means) // 2 < least:
            return Batched(interval(means, confidence), lag, lag <= limit)
        means = means[len(means) % 2 :].reshape(-1, 2).mean(axis=1)


def mser_5(series: ArrayLike) -> WarmUp:
    """How much of a series to leave out: the cut that makes the standard error of the mean of the
    rest least, by means of five (White: An effective truncation heuristic, Simulation 69, 1997).

    Raises:
        ValueError: fewer than 20 values, or one is no number.
    """
    x = _values(series)
    if len(x) < 20:
        raise ValueError(f"{len(x)} values; a warm-up shows in 20 or more")
    z = x[: len(x) - len(x) % 5].reshape(-1, 5).mean(axis=1)
    z = z - z.mean()
    left = np.arange(len(z), 0, -1)
    sums = np.cumsum(z[::-1])[::-1]
    squares = np.cumsum((z * z)[::-1])[::-1]
    error = np.maximum(squares - sums * sums / left, 0.0) / left.astype(float) ** 2
    # With few values left the error is a matter of luck.
    error = error[: len(z) - 5]
    cut = int(error.argmin())
    return WarmUp(cut * 5, cut <= len(z) // 2)


def welch(series: ArrayLike, window: int) -> NDArray[np.float64]:
    """[N - window] the mean of replications [R, N], smoothed over 2·window + 1 neighbours (fewer
    at the beginning), to be looked at (Welch 1983).

    Raises:
        ValueError: the window is longer than half of the series.
    """
    x = np.atleast_2d(np.asarray(series, np.float64)).mean(axis=0)
    if not 0 <= window < len(x) / 2:
        raise ValueError(f"window {window} of {len(x)} values; give less than half")
    sums = np.concatenate(([0.0], np.cumsum(x)))
    at = np.arange(len(x) - window)
    width = np.minimum(at, window)
    return (sums[at + width + 1] - sums[at - width]) / (2 * width + 1)


def compare(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Comparison:
    """Two designs over the same replications, pair by pair.

    Raises:
        ValueError: not as many of each, fewer than two, or one is no number.
    """
    a, b = _values(first), _values(second)
    if len(a) != len(b):
        raise ValueError(f"{len(a)} replications of one and {len(b)} of the other; pair them")
    found = interval(a - b, confidence)
    apart = float(a.var(ddof=1) + b.var(ddof=1))
    together = float((a - b).var(ddof=1))
    product = float(a.std(ddof=1) * b.std(ddof=1))
    correlation = float(np.cov(a, b)[0, 1]) / product if product else 0.0
    return Comparison(found, p_above(a - b, 0.0), correlation, together / apart if apart else 1.0)


def p_above(values: ArrayLike, limit: float) -> float:
    """Probability that the true mean is above a limit (Student's distribution about the mean seen,
    from a flat prior)."""
    x = _values(values)
    spread = float(x.std(ddof=1)) / math.sqrt(len(x))
    gap = float(x.mean()) - limit
    if spread == 0:
        return 0.5 if gap == 0 else float(gap > 0)
    return t_cdf(gap / spread, len(x) - 1)


def rank(
    values: ArrayLike,
    *,
    is_larger_better: bool = True,
    is_paired: bool = True,
    draws: int = 20_000,
    seed: int = 1,
) -> Ranking:
    """How probable each design is the best, and has each place.

    Means are drawn as Student's distribution about those seen has them (flat prior), together for
    all designs if they shared their chance.

    Args:
        values: [R, D] a figure by replication and design.
        is_larger_better: whether more is better.
        is_paired: whether replication r of all designs shared its chance.
        draws: how many; the probabilities are that fine.
        seed: of the draws.

    Raises:
        ValueError: fewer than two replications, or one is no number.
    """
    x = np.asarray(values, np.float64)
    if x.ndim != 2 or len(x) < 2 or not x.shape[1]:
        raise ValueError(f"values of shape {x.shape}; give [replications ≥ 2, designs]")
    if not np.isfinite(x).all():
        raise ValueError("values: one is no finite number")
    r, d = x.shape
    x = x if is_larger_better else -x
    mean = x.mean(axis=0)
    centred = x - mean
    rng = np.random.Generator(np.random.Philox(key=seed))
    scale = 1 / math.sqrt(r * (r - 1))
    places = np.zeros((d, d))
    best = np.zeros(d)
    step = max(1, 4_000_000 // (r * d if not is_paired else max(r, d)))
    for begin in range(0, draws, step):
        n = min(step, draws - begin)
        shape = (n, r) if is_paired else (n, r, d)
        noise = rng.standard_normal(shape)
        stretch = rng.chisquare(r - 1, (n, 1 if is_paired else d)) / (r - 1)
        moved = noise @ centred if is_paired else np.einsum("nrd,rd->nd", noise, centred)
        drawn = mean + moved * scale / np.sqrt(stretch)
        order = np.argsort(-drawn, axis=1, kind="stable")
        for place in range(d):
            places[:, place] += np.bincount(order[:, place], minlength=d)
        best += np.bincount(order[:, 0], minlength=d)
    return Ranking(np.argsort(-mean, kind="stable"), best / draws, places / draws)


def replications_needed(
    values: ArrayLike,
    half_width: float,
    *,
    is_relative: bool = False,
    confidence: float = 0.95,
    most: int = 1_000_000,
) -> int:
    """How many replications would bring the interval down to a half-width, judged by those seen.

    Raises:
        ValueError: fewer than two values, a half-width that is not above 0, or more than `most`.
    """
    x = _values(values)
    goal = half_width * abs(float(x.mean())) if is_relative else half_width
    if not goal > 0:
        raise ValueError(f"half-width {goal}; give a number above 0")
    spread = float(x.std(ddof=1))

    def is_enough(n: int) -> bool:
        return _t(confidence, n - 1) * spread / math.sqrt(n) <= goal

    low, high = 1, 2
    while not is_enough(high):
        low, high = high, high * 2
        if low > most:
            raise ValueError(f"more than {most} replications; take a wider interval")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


def _values(values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, np.float64).reshape(-1)
    if len(x) < 2:
        raise ValueError(f"{len(x)} values; give two or more")
    if not np.isfinite(x).all():
        raise ValueError(f"value {int(np.argmin(np.isfinite(x)))} is no finite number")
    return x


def _t(confidence: float, freedom: int) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence}; give a number between 0 and 1")
    return t_quantile((1 + confidence) / 2, freedom)


def _lag_1(x: NDArray[np.float64]) -> float:
    centred = x - x.mean()
    total = float(centred @ centred)
    return float(centred[:-1] @ centred[1:]) / total if total else 0.0
