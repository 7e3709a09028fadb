"""Times as they were observed, also those whose end or beginning nobody saw.

Knows no distribution and no record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

FEW: Final = 5
"""With fewer complete times no shape is chosen, only a mean with its interval."""
_SURE: Final = 0.01


def _none() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Times in seconds, in the order in which they were observed.

    Raises:
        ValueError: one is negative or no number.
    """

    complete: NDArray[np.float64]
    """Seen from beginning to end."""
    censored: NDArray[np.float64] = field(default_factory=_none)
    """Seen from their beginning, and not over when the observation ended."""
    residual: NDArray[np.float64] = field(default_factory=_none)
    """Seen to their end, but begun before the observation did."""

    def __post_init__(self) -> None:
        for name in ("complete", "censored", "residual"):
            values = getattr(self, name)
            if not np.all(np.isfinite(values)) or np.any(values < 0):
                raise ValueError(f"{name}: a time is negative or no number; leave it out")

    @classmethod
    def of(cls, complete: ArrayLike, censored: ArrayLike = (), residual: ArrayLike = ()) -> Samples:
        """From anything that numpy takes for a row of numbers."""
        return cls(
            np.asarray(complete, np.float64),
            np.asarray(censored, np.float64),
            np.asarray(residual, np.float64),
        )

    @property
    def events(self) -> int:
        """How many ends were seen."""
        return len(self.complete) + len(self.residual)

    @property
    def total_s(self) -> float:
        """Time under observation."""
        return float(self.complete.sum() + self.censored.sum() + self.residual.sum())


def mean_interval(samples: Samples, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the mean of exponential times from total time on test.

    Without an event only the lower end is known; the upper one is infinite. Source: Epstein and
    Sobel, "Life testing", JASA 48 (1953), for a test that ends at a time.
    """
    alpha, r, total = 1 - confidence, samples.events, samples.total_s
    if total <= 0:
        return 0.0, float("inf")
    if r == 0:
        return total / -np.log(alpha), float("inf")
    low = 2 * total / stats.chi2.ppf(1 - alpha / 2, 2 * r + 2)
    return float(low), float(2 * total / stats.chi2.ppf(alpha / 2, 2 * r))


def survival(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(times ascending, cumulative probability just after each) of complete times, censored ones
    counted while they were at risk: the product limit of Kaplan and Meier, JASA 53 (1958)."""
    times = np.concatenate([samples.complete, samples.censored])
    ended = np.concatenate([np.ones(len(samples.complete)), np.zeros(len(samples.censored))])
    order = np.lexsort((1 - ended, times))
    times, ended = times[order], ended[order]
    at_risk = len(times) - np.arange(len(times))
    alive = np.asarray(np.cumprod(1 - ended / at_risk), np.float64)
    return times[ended > 0], 1 - alive[ended > 0]


def dependence(values: NDArray[np.float64]) -> list[str]:
    """What speaks against independent times of one distribution, in words; [] if nothing does.

    Lag-one autocorrelation against its 99 % bound, and Kendall's tau against the order.
    """
    said: list[str] = []
    n = len(values)
    if n < 2 * FEW or np.ptp(values) == 0:
        return said
    centred = values - values.mean()
    lag_one = float(centred[1:] @ centred[:-1] / (centred @ centred))
    if abs(lag_one) > 2.576 / np.sqrt(n):
        said.append(f"neighbours are alike: autocorrelation {lag_one:+.2f} at lag 1")
    trend: Any = stats.kendalltau(np.arange(n), values)
    if trend.pvalue < _SURE:
        way = "longer" if trend.statistic > 0 else "shorter"
        said.append(f"they grow {way} over time: tau {trend.statistic:+.2f}")
    return said
