"""Which distribution a row of samples has, and how well it fits.

Candidates are compared by BIC; the best one's goodness of fit is judged by a parametric bootstrap,
since the tables of Kolmogorov-Smirnov and Anderson-Darling hold for parameters that were not
fitted (Stute, González Manteiga and Presedo Quindimil, Metrika 40, 1993). If it is refused and
there are enough times, what was measured stands for itself.
"""

# pyright: basic

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.fitting.families import FAMILIES, MIXTURE, Family, Parameters
from mirrorworld.simulation.fitting.samples import (
    FEW,
    Samples,
    dependence,
    mean_interval,
    survival,
)
from mirrorworld.simulation.flow.distributions import Distribution

REFUSED: Final = 0.01
"""Below this p-value a fit is refused."""
ENOUGH: Final = 30
"""Complete times from which on what was measured may stand for itself."""
MOST: Final = 2_000
"""Times that goodness is judged by; of more, so many evenly in their order."""
_CONSTANT_CV: Final = 0.01


@dataclass(frozen=True, slots=True)
class Candidate:
    """A family at its best."""

    name: str
    distribution: Distribution
    parameters: Parameters
    log_likelihood: float
    aic: float
    bic: float


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What was chosen for some samples, and why. Times in seconds."""

    name: str
    """Of the family; "none": nothing ever happened."""
    distribution: Distribution | None
    samples: Samples
    mean_s: float
    interval_s: tuple[float, float]
    """95 %, of the mean."""
    candidates: tuple[Candidate, ...] = ()
    """By BIC, the best first."""
    ks: float = math.nan
    """Greatest distance between the two distribution functions."""
    ks_p: float = math.nan
    """By bootstrap."""
    ad: float = math.nan
    """Anderson and Darling's A²; NaN where times are incomplete."""
    ad_p: float = math.nan
    quantiles: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    """(fitted, measured), for a QQ plot."""
    notes: tuple[str, ...] = ()

    @property
    def is_sure(self) -> bool:
        """Whether there were samples enough to choose a shape by."""
        return self.samples.events >= FEW


def fit(samples: Samples, *, seed: int = 0, bootstraps: int = 99) -> Fit:
    """The distribution of some times.

    Args:
        seed: of the bootstrap.
        bootstraps: refits on samples drawn from the fit; the least p-value that can be told is
            1 / (bootstraps + 1).
    """
    if samples.events == 0:
        low, high = mean_interval(samples)
        note = f"never seen in {samples.total_s:.0f} s: on average {low:.0f} s or more (95 %)"
        return Fit("none", None, samples, math.inf, (low, high), notes=(note,))
    x = samples.complete
    notes = tuple(dependence(x))
    if len(x) >= 2 and x.std() <= _CONSTANT_CV * x.mean() and not len(samples.residual):
        mean = float(x.mean())
        half = 1.96 * float(x.std()) / math.sqrt(len(x))
        one = Distribution.constant(mean)
        return Fit("constant", one, samples, mean, (mean - half, mean + half), notes=notes)
    if samples.events < FEW:
        return _few(samples, notes)
    candidates = _candidates(samples)
    if not candidates:
        return _few(samples, (*notes, "no family fits"))
    best = candidates[0]
    family = next(f for f in (*FAMILIES, MIXTURE) if f.name == best.name)
    judged = _judge(samples, family, best, np.random.default_rng(seed), bootstraps)
    low, high = np.quantile(judged.means, [0.025, 0.975])
    p = judged.ks_p if math.isnan(judged.ad_p) else judged.ad_p
    name, chosen, mean = best.name, best.distribution, best.distribution.mean()
    if p <= REFUSED:
        notes = (*notes, f"{best.name} is the best and does not fit (p {p:.2f})")
        if len(x) >= ENOUGH and not len(samples.censored):
            # Quantiles, so that a long record does not make a long model.
            kept = x if len(x) <= 200 else np.quantile(x, np.linspace(0, 1, 201))
            name, chosen = "empirical", Distribution.empirical(kept)
            mean = float(x.mean())
            half = 1.96 * float(x.std()) / math.sqrt(len(x))
            low, high = mean - half, mean + half
    return Fit(
        name, chosen, samples, mean, (float(low), float(high)), candidates, judged.ks,
        judged.ks_p, judged.ad, judged.ad_p, judged.quantiles, notes,
    )  # fmt: skip


def _few(samples: Samples, notes: tuple[str, ...]) -> Fit:
    """Only a mean, with its interval; the shape is assumed and that is said."""
    low, high = mean_interval(samples)
    n, x = samples.events, samples.complete
    if len(x) >= 2 and not len(samples.censored) and not len(samples.residual):
        cv = float(x.std(ddof=1) / x.mean())
        one = Distribution.gamma(float(x.mean()), max(cv, _CONSTANT_CV))
        name, shape = "gamma", "a gamma of their mean and deviation"
        half = float(x.std(ddof=1)) * _student(len(x)) / math.sqrt(len(x))
        low, high = max(0.0, float(x.mean()) - half), float(x.mean()) + half
    else:
        one = Distribution.exponential(samples.total_s / n)
        name, shape = "exponential", "exponential"
    note = f"only {n} seen: too few for a shape, {shape} is assumed"
    return Fit(name, one, samples, one.mean(), (low, high), notes=(*notes, note))


def _student(n: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.975, n - 1))


def _candidates(samples: Samples) -> tuple[Candidate, ...]:
    found: list[Candidate] = []
    n = samples.events
    for family in (*FAMILIES, MIXTURE):
        parameters = family.fit(samples)
        if parameters is None:
            continue
        try:
            made = family.distribution(*parameters)
        except ValueError:
            continue
        value = family.log_likelihood(samples, parameters)
        if not math.isfinite(value):
            continue
        k = family.count
        aic, bic = 2 * k - 2 * value, k * math.log(n) - 2 * value
        found.append(Candidate(family.name, made, parameters, value, aic, bic))
    return tuple(sorted(found, key=lambda one: one.bic))


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    ks: float
    ks_p: float
    ad: float
    ad_p: float
    means: NDArray[np.float64]
    quantiles: tuple[NDArray[np.float64], NDArray[np.float64]]


def _judge(
    samples: Samples, family: Family, best: Candidate, rng: np.random.Generator, bootstraps: int
) -> _Judged:
    every = max(1, -(-len(samples.complete) // MOST))
    some = Samples(samples.complete[::every], samples.censored, samples.residual)
    frozen = family.frozen(*best.parameters)
    ks, ad = _distances(some, frozen)
    n, c, r = len(some.complete), len(some.censored), len(some.residual)
    worse_ks = worse_ad = told = 0
    means = [best.distribution.mean()]
    for _ in range(bootstraps):
        drawn = np.asarray(frozen.rvs(n + c + r, random_state=rng), np.float64)
        # What was cut is cut at the same age again; what had begun before began anywhere in it.
        late = drawn[n : n + c]
        again = Samples(
            np.concatenate([drawn[:n], late[late <= some.censored]]),
            some.censored[late > some.censored],
            drawn[n + c :] * rng.random(r),
        )
        parameters = family.fit(again)
        if parameters is None:
            continue
        other = family.frozen(*parameters)
        ks_again, ad_again = _distances(again, other)
        told += 1
        worse_ks += ks_again >= ks
        worse_ad += bool(ad_again >= ad)
        means.append(float(other.mean()))
    times, probability = survival(some)
    steps = probability - np.diff(probability, prepend=0.0) / 2
    return _Judged(
        ks,
        (worse_ks + 1) / (told + 1),
        ad,
        math.nan if math.isnan(ad) else (worse_ad + 1) / (told + 1),
        np.array(means),
        (np.asarray(frozen.ppf(np.clip(steps, 1e-9, 1 - 1e-9))), times),
    )


def _distances(samples: Samples, frozen: Any) -> tuple[float, float]:
    """(Kolmogorov-Smirnov, Anderson-Darling); the latter only of complete times."""
    times, after = survival(samples)
    if not len(times):
        return 0.0, math.nan
    fitted = np.asarray(frozen.cdf(times))
    before = np.concatenate([[0.0], after[:-1]])
    ks = float(max(np.abs(after - fitted).max(), np.abs(before - fitted).max()))
    if len(samples.censored):
        return ks, math.nan
    n = len(times)
    inside = np.clip(fitted, 1e-12, 1 - 1e-12)
    i = np.arange(1, n + 1)
    ad = -n - float(np.sum((2 * i - 1) / n * (np.log(inside) + np.log1p(-inside[::-1]))))
    return ks, ad
