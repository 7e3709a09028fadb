"""Whether new samples still come from what was fitted, at a declared rate of false alarms.

Two questions share that rate: do they come as often (times to failure: exact, conditional on the
number of both), and do they look alike (a CUSUM over the samples as the fit's own quantiles, Page,
Biometrika 41, 1954; its limit is found by simulation for so many samples). Knows no record.
"""

# scipy has no type stubs.
# pyright: basic

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mirrorworld.simulation.fitting.choosing import Fit
from mirrorworld.simulation.fitting.families import FAMILIES, MIXTURE
from mirrorworld.simulation.fitting.samples import Samples

SLACK: Final = 0.5
"""In deviations: a CUSUM gathers what goes beyond; tuned to shifts of one deviation."""
_SIMULATED: Final = 4_000


@dataclass(frozen=True, slots=True)
class Drift:
    """What new samples say of a fit."""

    has_drifted: bool
    false_alarm: float
    """Probability of an alarm where nothing has changed, as declared."""
    rate_ratio: float
    """Events in a time, new over old; NaN where that cannot be told."""
    rate_p: float
    at: int
    """The new sample at which the CUSUM went over its limit; -1: it did not."""
    way: str
    """longer, shorter or ""."""
    text: str


def drift(fit: Fit, new: Samples, *, false_alarm: float = 0.01, seed: int = 0) -> Drift:
    """Compares new samples with those of a fit.

    Args:
        false_alarm: of both questions together.
    """
    each = false_alarm / 2
    old = fit.samples
    ratio, rate_p = math.nan, 1.0
    if old.total_s > 0 and new.total_s > 0 and old.events + new.events:
        share = new.total_s / (old.total_s + new.total_s)
        rate_p = float(stats.binomtest(new.events, old.events + new.events, share).pvalue)
        ratio = (new.events / new.total_s) / (old.events / old.total_s) if old.events else math.inf
    is_regular = fit.distribution is not None and fit.distribution.cv() < 0.7
    if is_regular:  # more regular than chance: counts say less than the times themselves
        rate_p = 1.0
    at, way = _cusum(fit, new.complete, each if not is_regular else false_alarm, seed)
    said: list[str] = []
    if rate_p < each:
        said.append(f"{ratio:.2g} times as often as fitted (p {rate_p:.2g})")
    if at >= 0:
        said.append(f"{way} than fitted from sample {at + 1} of {len(new.complete)} on")
    text = "; ".join(said) or "as fitted"
    return Drift(bool(said), false_alarm, ratio, rate_p, at, way, text)


def _cusum(fit: Fit, x: NDArray[np.float64], false_alarm: float, seed: int) -> tuple[int, str]:
    scores = _scores(fit, x)
    if not len(scores):
        return -1, ""
    up, down = _sums(scores[None, :]), _sums(-scores[None, :])
    rng = np.random.default_rng(seed)
    chance = rng.standard_normal((_SIMULATED, len(scores)))
    most = np.maximum(_sums(chance).max(axis=1), _sums(-chance).max(axis=1))
    limit = float(np.quantile(most, 1 - false_alarm))
    over = np.flatnonzero(np.maximum(up, down)[0] > limit)
    if not len(over):
        return -1, ""
    return int(over[0]), "longer" if up[0, over[0]] > limit else "shorter"


def _sums(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """[rows, n] running sums of what goes beyond the slack, never below 0."""
    total = np.cumsum(scores - SLACK, axis=1)
    least = np.minimum.accumulate(np.minimum(total, 0.0), axis=1)
    return total - least


def _scores(fit: Fit, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Samples as standard normal scores under the fit."""
    if not len(x) or fit.distribution is None:
        return np.zeros(0)
    best = fit.candidates[0] if fit.candidates else None
    if best is not None and fit.name == best.name:
        family = next(f for f in (*FAMILIES, MIXTURE) if f.name == best.name)
        p = np.asarray(family.frozen(*best.parameters).cdf(x))
    else:
        old = np.sort(fit.samples.complete)
        if len(old) < 2:
            return np.zeros(0)
        low, high = np.searchsorted(old, x, "left"), np.searchsorted(old, x, "right")
        p = (low + high + 1) / (2 * len(old) + 2)
    return stats.norm.ppf(np.clip(p, 1e-6, 1 - 1e-6))
