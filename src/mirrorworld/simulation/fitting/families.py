"""Families of distributions of times, each found by maximum likelihood.

The likelihood of a time that was not over is the survival; of one that had begun before the
observation, the density of a forward recurrence time, survival / mean (Cox, "Renewal Theory",
1962, §5.2), which for the exponential is the density itself. Knows no way to choose.
"""

# scipy has no type stubs.
# pyright: basic

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from mirrorworld.simulation.fitting.samples import Samples
from mirrorworld.simulation.flow.distributions import Distribution, Kind

Parameters = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """How one family is fitted, and what it is then."""

    name: str
    count: int
    """Of parameters that are fitted."""
    fit: Callable[[Samples], Parameters | None]
    """None: there is no fit."""
    frozen: Callable[..., Any]
    """scipy's distribution of parameters."""
    distribution: Callable[..., Distribution]

    def log_likelihood(self, samples: Samples, parameters: Parameters) -> float:
        """Of all that was seen."""
        return _log_likelihood(self.frozen(*parameters), samples)


def _log_likelihood(one: Any, samples: Samples) -> float:
    total = float(np.sum(one.logpdf(samples.complete)))
    if len(samples.censored):
        total += float(np.sum(one.logsf(samples.censored)))
    if len(samples.residual):
        mean = float(one.mean())
        total += float(np.sum(one.logsf(samples.residual))) - len(samples.residual) * math.log(mean)
    return total


def _exponential(samples: Samples) -> Parameters | None:
    return (samples.total_s / samples.events,) if samples.events and samples.total_s else None


def _search(
    samples: Samples, frozen: Callable[..., Any], start: Parameters | None
) -> Parameters | None:
    """From a start, over the logarithms of positive parameters; only what was not complete makes
    it necessary."""
    if start is None or not (len(samples.censored) or len(samples.residual)):
        return start

    def loss(logs: NDArray[np.float64]) -> float:
        with np.errstate(all="ignore"):
            value = -_log_likelihood(frozen(*np.exp(np.clip(logs, -30, 30))), samples)
        return value if math.isfinite(value) else 1e300

    found = optimize.minimize(
        loss, np.log(start), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-6}
    )
    return tuple(float(x) for x in np.exp(found.x))


def _spread(samples: Samples) -> NDArray[np.float64] | None:
    x = samples.complete
    return x if len(x) >= 2 and np.all(x > 0) and np.ptp(x) > 0 else None


def _gamma_start(samples: Samples) -> Parameters | None:
    x = _spread(samples)
    if x is None:
        return None
    # Minka, "Estimating a Gamma distribution" (2002): Newton on the shape.
    gap = math.log(x.mean()) - float(np.log(x).mean())
    if gap < 1e-12:
        return None
    shape = (3 - gap + math.sqrt((gap - 3) ** 2 + 24 * gap)) / (12 * gap)
    for _ in range(20):
        step = (math.log(shape) - special.digamma(shape) - gap) / (
            1 / shape - special.polygamma(1, shape)
        )
        shape = max(shape - step, shape / 2)
        if abs(step) < 1e-10 * shape:
            break
    return float(shape), float(x.mean() / shape)


class _Gamma:
    """What scipy's frozen gamma offers here, without its checks: refits ask thousands of times."""

    def __init__(self, shape: float, scale: float) -> None:
        self.shape, self.scale = shape, scale

    def logpdf(self, x: Any) -> Any:
        k, s = self.shape, self.scale
        return special.xlogy(k - 1, x) - x / s - special.gammaln(k) - k * math.log(s)

    def pdf(self, x: Any) -> Any:
        return np.exp(self.logpdf(x))

    def logsf(self, x: Any) -> Any:
        return np.log(special.gammaincc(self.shape, x / self.scale))

    def cdf(self, x: Any) -> Any:
        return special.gammainc(self.shape, x / self.scale)

    def ppf(self, q: Any) -> Any:
        return self.scale * special.gammaincinv(self.shape, q)

    def mean(self) -> float:
        return self.shape * self.scale

    def rvs(self, size: int, random_state: np.random.Generator) -> NDArray[np.float64]:
        return random_state.gamma(self.shape, self.scale, size)


class _Weibull:
    """As `_Gamma`."""

    def __init__(self, shape: float, scale: float) -> None:
        self.shape, self.scale = shape, scale

    def logpdf(self, x: Any) -> Any:
        k, z = self.shape, x / self.scale
        return math.log(k / self.scale) + special.xlogy(k - 1, z) - z**k

    def pdf(self, x: Any) -> Any:
        return np.exp(self.logpdf(x))

    def logsf(self, x: Any) -> Any:
        return -((x / self.scale) ** self.shape)

    def cdf(self, x: Any) -> Any:
        return -np.expm1(self.logsf(x))

    def ppf(self, q: Any) -> Any:
        return self.scale * (-np.log1p(-q)) ** (1 / self.shape)

    def mean(self) -> float:
        return self.scale * float(special.gamma(1 + 1 / self.shape))

    def rvs(self, size: int, random_state: np.random.Generator) -> NDArray[np.float64]:
        return self.scale * random_state.weibull(self.shape, size)


class _Lognormal:
    """As `_Gamma`; by median and deviation of the logarithm."""

    def __init__(self, median: float, deviation: float) -> None:
        self.m, self.s = math.log(median), deviation

    def _z(self, x: Any) -> Any:
        return (np.log(x) - self.m) / self.s

    def logpdf(self, x: Any) -> Any:
        return -(self._z(x) ** 2) / 2 - np.log(x) - math.log(self.s * math.sqrt(2 * math.pi))

    def pdf(self, x: Any) -> Any:
        return np.exp(self.logpdf(x))

    def logsf(self, x: Any) -> Any:
        return special.log_ndtr(-self._z(x))

    def sf(self, x: Any) -> Any:
        return special.ndtr(-self._z(x))

    def cdf(self, x: Any) -> Any:
        return special.ndtr(self._z(x))

    def ppf(self, q: Any) -> Any:
        return np.exp(self.m + self.s * special.ndtri(q))

    def mean(self) -> float:
        return math.exp(self.m + self.s**2 / 2)

    def rvs(self, size: int, random_state: np.random.Generator) -> NDArray[np.float64]:
        return random_state.lognormal(self.m, self.s, size)


def _gamma(samples: Samples) -> Parameters | None:
    return _search(samples, _Gamma, _gamma_start(samples))


def _erlang(samples: Samples) -> Parameters | None:
    free = _gamma(samples)
    if free is None:
        return None
    best: tuple[float, Parameters] | None = None
    for stages in {max(1, math.floor(free[0])), math.ceil(free[0])}:
        mean = _search(
            samples, lambda scale, k=stages: _Gamma(k, scale), (free[0] * free[1] / stages,)
        )
        if mean is None:
            continue
        value = _log_likelihood(_Gamma(stages, mean[0]), samples)
        if best is None or value > best[0]:
            best = (value, (float(stages), mean[0]))
    return None if best is None else best[1]


def _weibull(samples: Samples) -> Parameters | None:
    x = _spread(samples)
    if x is None:
        return None
    logs = np.log(x / x.max())

    def score(shape: float) -> float:
        powers = np.exp(shape * logs)
        return float((powers @ logs) / powers.sum() - 1 / shape - logs.mean())

    try:
        found: Any = optimize.brentq(score, 1e-2, 1e4)
    except ValueError:
        return None
    shape = float(found)
    scale = float(x.max() * np.exp(shape * logs).mean() ** (1 / shape))
    return _search(samples, _Weibull, (shape, scale))


def _lognormal(samples: Samples) -> Parameters | None:
    x = _spread(samples)
    if x is None:
        return None
    logs = np.log(x)
    return _search(samples, _Lognormal, (float(np.exp(logs.mean())), float(logs.std())))


def _normal_of(mean: float, deviation: float) -> Any:
    return stats.truncnorm(-mean / deviation, np.inf, loc=mean, scale=deviation)


def _normal(samples: Samples) -> Parameters | None:
    x = _spread(samples)
    # With more below 0 than this the cut decides, and the family is the wrong one.
    if x is None or x.mean() < 3 * x.std():
        return None
    return _search(samples, _normal_of, (float(x.mean()), float(x.std())))


def _triangular_of(low: float, mode: float, high: float) -> Any:
    return stats.triang((mode - low) / (high - low), loc=low, scale=high - low)


def _triangular(samples: Samples) -> Parameters | None:
    x = _spread(samples)
    if x is None or len(samples.censored) or len(samples.residual):
        return None
    least, most, span = float(x.min()), float(x.max()), float(np.ptp(x))

    def opened(q: NDArray[np.float64]) -> Parameters:
        low = max(0.0, least - span * math.exp(min(q[0], 3.0)))
        high = most + span * math.exp(min(q[2], 3.0))
        return low, low + (high - low) * float(special.expit(q[1])), high

    def loss(q: NDArray[np.float64]) -> float:
        with np.errstate(all="ignore"):
            value = -float(np.sum(_triangular_of(*opened(q)).logpdf(x)))
        return value if math.isfinite(value) else 1e300

    middle = float(special.logit(np.clip((np.median(x) - least) / span, 0.05, 0.95)))
    found = optimize.minimize(loss, [-2.0, middle, -2.0], method="Nelder-Mead")
    return opened(found.x) if found.fun < 1e299 else None


FAMILIES: Final = (
    Family(
        "exponential", 1, _exponential, lambda mean: stats.expon(scale=mean),
        Distribution.exponential,
    ),
    Family("gamma", 2, _gamma, _Gamma, lambda k, s: Distribution(Kind.GAMMA, (k, s))),
    Family("erlang", 2, _erlang, _Gamma, lambda k, s: Distribution.erlang(int(k), k * s)),
    Family("weibull", 2, _weibull, _Weibull, Distribution.weibull),
    Family(
        "lognormal", 2, _lognormal, _Lognormal,
        lambda median, deviation: Distribution(Kind.LOGNORMAL, (math.log(median), deviation)),
    ),
    Family("normal", 2, _normal, _normal_of, Distribution.normal),
    Family("triangular", 3, _triangular, _triangular_of, Distribution.triangular),
)  # fmt: skip


class _Two:
    """A mixture of two lognormals, with what scipy's frozen distributions offer here."""

    def __init__(self, w: float, m1: float, s1: float, m2: float, s2: float) -> None:
        self.w = w
        self.parts = (_Lognormal(m1, s1), _Lognormal(m2, s2))

    def _both(self, name: str, x: Any) -> Any:
        a, b = (getattr(part, name)(x) for part in self.parts)
        return self.w * a + (1 - self.w) * b

    def logpdf(self, x: Any) -> Any:
        return np.log(self._both("pdf", x))

    def pdf(self, x: Any) -> Any:
        return self._both("pdf", x)

    def cdf(self, x: Any) -> Any:
        return self._both("cdf", x)

    def logsf(self, x: Any) -> Any:
        return np.log(self._both("sf", x))

    def mean(self) -> float:
        a, b = (float(part.mean()) for part in self.parts)
        return self.w * a + (1 - self.w) * b

    def ppf(self, q: Any) -> Any:
        low = min(float(part.ppf(1e-9)) for part in self.parts)
        high = max(float(part.ppf(1 - 1e-9)) for part in self.parts)
        grid = np.geomspace(max(low, 1e-12), high, 4_000)
        return np.interp(q, self.cdf(grid), grid)

    def rvs(self, size: int, random_state: np.random.Generator) -> NDArray[np.float64]:
        a, b = (part.rvs(size, random_state=random_state) for part in self.parts)
        return np.where(random_state.random(size) < self.w, a, b)


def _mixture(samples: Samples) -> Parameters | None:
    x = _spread(samples)
    if x is None or len(samples.censored) or len(samples.residual) or len(x) < 30:
        return None
    logs = np.sort(np.log(x))
    cut = int(np.argmax(np.diff(logs)[2:-2])) + 3
    of_first = np.zeros(len(logs))
    of_first[:cut] = 1.0
    least = max(1e-3 * float(logs.std()), 1e-9)
    for _ in range(500):  # expectation and maximisation, until nobody changes sides
        w = float(of_first.mean())
        if not 0.02 < w < 0.98:
            return None
        m1, m2 = np.average(logs, weights=of_first), np.average(logs, weights=1 - of_first)
        s1 = max(math.sqrt(np.average((logs - m1) ** 2, weights=of_first)), least)
        s2 = max(math.sqrt(np.average((logs - m2) ** 2, weights=1 - of_first)), least)
        a = w * stats.norm.pdf(logs, m1, s1)
        b = (1 - w) * stats.norm.pdf(logs, m2, s2)
        before, of_first = of_first, a / np.maximum(a + b, 1e-300)
        if np.abs(of_first - before).max() < 1e-7:
            break
    return w, math.exp(m1), s1, math.exp(m2), s2


def _mixed(w: float, m1: float, s1: float, m2: float, s2: float) -> Distribution:
    first = Distribution(Kind.LOGNORMAL, (math.log(m1), s1))
    second = Distribution(Kind.LOGNORMAL, (math.log(m2), s2))
    return Distribution.mixture([(w, first), (1 - w, second)])


MIXTURE: Final = Family("mixture of two lognormals", 5, _mixture, _Two, _mixed)
