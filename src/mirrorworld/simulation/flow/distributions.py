"""Distributions of times: what they are, their moments, and as arrays for compiled loops.

Times are seconds and never negative. `sampling.py` draws from what is packed here.

Knows no element of a line and fits nothing to data.
"""

# numba has no type stubs.
# pyright: basic

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow.sampling import draw as draw
from mirrorworld.simulation.flow.sampling import sample as sample


class Kind(enum.IntEnum):
    """What a distribution is. `Distribution.parameters` for each, times in seconds:"""

    CONSTANT = 0
    """(value)"""
    UNIFORM = 1
    """(low, high)"""
    TRIANGULAR = 2
    """(low, mode, high)"""
    EXPONENTIAL = 3
    """(mean)"""
    ERLANG = 4
    """(stages, mean of one stage)"""
    GAMMA = 5
    """(shape, scale)"""
    WEIBULL = 6
    """(shape, scale)"""
    LOGNORMAL = 7
    """(mean of the logarithm, its deviation)"""
    NORMAL = 8
    """(mean, deviation), both before what is below 0 is cut off"""
    BETA = 9
    """(low, high, first shape, second shape)"""
    EMPIRICAL = 10
    """(); `samples` ascending, straight lines between them"""
    MIXTURE = 11
    """weights of `parts`"""


_NAMES: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.CONSTANT: ("value",),
    Kind.UNIFORM: ("low", "high"),
    Kind.TRIANGULAR: ("low", "mode", "high"),
    Kind.EXPONENTIAL: ("mean",),
    Kind.ERLANG: ("stages", "stage mean"),
    Kind.GAMMA: ("shape", "scale"),
    Kind.WEIBULL: ("shape", "scale"),
    Kind.LOGNORMAL: ("log mean", "log deviation"),
    Kind.NORMAL: ("mean", "deviation"),
    Kind.BETA: ("low", "high", "first shape", "second shape"),
}
_POSITIVE: Final = {"mean", "stages", "stage mean", "shape", "scale", "first shape", "second shape"}
_ANY_SIGN: Final = {"log mean"}


@dataclass(frozen=True, slots=True)
class Distribution:
    """A time that differs from part to part. Make one by a class method.

    >>> Distribution.erlang(stages=4, mean=12).cv()
    0.5

    Raises:
        ValueError: a parameter is not a number, negative, or contradicts another.
    """

    kind: Kind
    parameters: tuple[float, ...]
    samples: tuple[float, ...] = ()
    """Of an empirical distribution, ascending."""
    parts: tuple[Distribution, ...] = ()
    """Of a mixture; none is a mixture itself."""

    def __post_init__(self) -> None:
        """Refuses what is no distribution of times."""
        _check(self)

    @classmethod
    def constant(cls, value: float) -> Distribution:
        """Always the same; 0 is allowed."""
        return cls(Kind.CONSTANT, (float(value),))

    @classmethod
    def uniform(cls, low: float, high: float) -> Distribution:
        """Anything from low to high."""
        return cls(Kind.UNIFORM, (float(low), float(high)))

    @classmethod
    def triangular(cls, low: float, mode: float, high: float) -> Distribution:
        """From low to high, most often near mode."""
        return cls(Kind.TRIANGULAR, (float(low), float(mode), float(high)))

    @classmethod
    def exponential(cls, mean: float) -> Distribution:
        """Without memory."""
        return cls(Kind.EXPONENTIAL, (float(mean),))

    @classmethod
    def erlang(cls, stages: int, mean: float) -> Distribution:
        """The sum of so many exponential stages; `mean` of the whole."""
        return cls(Kind.ERLANG, (float(stages), float(mean) / stages if stages else math.nan))

    @classmethod
    def gamma(cls, mean: float, cv: float) -> Distribution:
        """By mean and coefficient of variation (deviation / mean)."""
        _check_cv("gamma", mean, cv)
        return cls(Kind.GAMMA, (cv**-2, float(mean) * cv**2))

    @classmethod
    def weibull(cls, shape: float, scale: float) -> Distribution:
        """Shape below 1: early failures; above: wear."""
        return cls(Kind.WEIBULL, (float(shape), float(scale)))

    @classmethod
    def lognormal(cls, mean: float, cv: float) -> Distribution:
        """By mean and coefficient of variation of the time itself."""
        _check_cv("lognormal", mean, cv)
        spread = math.log1p(cv**2)
        return cls(Kind.LOGNORMAL, (math.log(mean) - spread / 2, math.sqrt(spread)))

    @classmethod
    def normal(cls, mean: float, deviation: float) -> Distribution:
        """Normal without its part below 0; mean and deviation are those before the cut."""
        return cls(Kind.NORMAL, (float(mean), float(deviation)))

    @classmethod
    def beta(cls, low: float, high: float, first: float, second: float) -> Distribution:
        """A beta distribution with these shapes, stretched from low to high."""
        return cls(Kind.BETA, (float(low), float(high), float(first), float(second)))

    @classmethod
    def pert(cls, low: float, mode: float, high: float) -> Distribution:
        """What planners estimate: least, most likely, greatest (beta with weight 4)."""
        span = high - low
        if not span > 0:
            raise ValueError(f"pert: low {low}, high {high}; give a high above the low")
        return cls.beta(low, high, 1 + 4 * (mode - low) / span, 1 + 4 * (high - mode) / span)

    @classmethod
    def empirical(cls, samples: Iterable[float]) -> Distribution:
        """What was measured; between neighbours in size every value is as likely."""
        values = [float(x) for x in samples]
        if any(math.isnan(x) for x in values):
            raise ValueError("empirical: a sample is NaN; leave it out")
        return cls(Kind.EMPIRICAL, (), tuple(sorted(values)))

    @classmethod
    def mixture(cls, parts: Sequence[tuple[float, Distribution]]) -> Distribution:
        """Each variate from one of the parts, chosen by weight."""
        total = math.fsum(weight for weight, _ in parts)
        weights = tuple(weight / total if total else math.nan for weight, _ in parts)
        return cls(Kind.MIXTURE, weights, (), tuple(part for _, part in parts))

    @classmethod
    def by_cv(cls, mean: float, cv: float) -> Distribution:
        """The usual choice when only mean and coefficient of variation are known: constant for
        0, exponential for 1, else gamma."""
        if cv == 0:
            return cls.constant(mean)
        return cls.exponential(mean) if cv == 1 else cls.gamma(mean, cv)

    def mean(self) -> float:
        """Of what is drawn, seconds."""
        return _moments(self)[0]

    def variance(self) -> float:
        """Of what is drawn, seconds²."""
        return _moments(self)[1]

    def cv(self) -> float:
        """Coefficient of variation: deviation / mean; 0 where the mean is 0."""
        mean, variance = _moments(self)
        return math.sqrt(variance) / mean if mean else 0.0

    def scaled(self, factor: float) -> Distribution:
        """Every variate times a factor above 0."""
        if not (math.isfinite(factor) and factor > 0):
            raise ValueError(f"{self.kind.name.lower()}: factor {factor}; give a number above 0")
        p = self.parameters
        match self.kind:
            case Kind.GAMMA | Kind.WEIBULL | Kind.ERLANG:
                p = (p[0], p[1] * factor)
            case Kind.LOGNORMAL:
                p = (p[0] + math.log(factor), p[1])
            case Kind.BETA:
                p = (p[0] * factor, p[1] * factor, p[2], p[3])
            case Kind.MIXTURE | Kind.EMPIRICAL:
                pass
            case _:
                p = tuple(x * factor for x in p)
        return Distribution(
            self.kind,
            p,
            tuple(x * factor for x in self.samples),
            tuple(part.scaled(factor) for part in self.parts),
        )

    def draw(self, key: int, n: int) -> float:
        """The n-th variate of a stream."""
        return draw(pack((self,)), 0, key, n)


# --- drawing ----------------------------------------------------------------------------------


class Packed(NamedTuple):
    """Distributions in arrays, for compiled loops; row i is the i-th that was packed."""

    code: NDArray[np.int64]
    """[M] Kind."""
    p: NDArray[np.float64]
    """[M, 4] parameters as `pack` prepares them."""
    first: NDArray[np.int64]
    """[M] where its rows of `table` begin."""
    count: NDArray[np.int64]
    """[M] how many there are."""
    table: NDArray[np.float64]
    """Samples; for a mixture (cumulative weight, row) in turn."""


def pack(distributions: Sequence[Distribution]) -> Packed:
    """Arrays of distributions. Parts of mixtures follow behind the last row that was asked for."""
    rows = list(distributions)
    codes: list[int] = []
    parameters: list[tuple[float, ...]] = []
    firsts: list[int] = []
    counts: list[int] = []
    table: list[float] = []
    i = 0
    while i < len(rows):
        one = rows[i]
        firsts.append(len(table))
        counts.append(0)
        p = one.parameters
        if one.kind is Kind.NORMAL:
            p = (*p, _normal_cdf(-p[0] / p[1]))
        elif one.kind is Kind.WEIBULL:
            p = (*p, 1 / p[0])
        elif one.kind is Kind.EMPIRICAL:
            table.extend(one.samples)
            counts[i] = len(one.samples)
        elif one.kind is Kind.MIXTURE:
            sums = np.cumsum(p)
            for part, weight in zip(one.parts, sums, strict=True):
                table.extend((float(weight), float(len(rows))))
                rows.append(part)
            counts[i] = len(one.parts)
            p = ()
        codes.append(int(one.kind))
        parameters.append((*p, *(0.0,) * (4 - len(p))))
        i += 1
    return Packed(
        np.array(codes, np.int64),
        np.array(parameters, np.float64).reshape(-1, 4),
        np.array(firsts, np.int64),
        np.array(counts, np.int64),
        np.array(table, np.float64),
    )


# --- checking and moments ---------------------------------------------------------------------


def _check(one: Distribution) -> None:
    name = one.kind.name.lower()
    for value in (*one.parameters, *one.samples):
        if not math.isfinite(value):
            raise ValueError(f"{name}: {value} is no finite number")
    if one.kind is Kind.EMPIRICAL:
        if not one.samples:
            raise ValueError("empirical: no sample; give at least one")
        if any(b < a for a, b in zip(one.samples, one.samples[1:], strict=False)):
            raise ValueError("empirical: samples do not ascend; use Distribution.empirical")
        if one.samples[0] < 0:
            raise ValueError(f"empirical: sample {one.samples[0]} s; times are not negative")
        return
    if one.kind is Kind.MIXTURE:
        if not one.parts or len(one.parts) != len(one.parameters):
            raise ValueError(f"mixture: {len(one.parameters)} weights of {len(one.parts)} parts")
        if min(one.parameters) < 0 or abs(math.fsum(one.parameters) - 1) > 1e-9:
            raise ValueError(f"mixture: weights {one.parameters}; give shares that add up to 1")
        if any(part.kind is Kind.MIXTURE for part in one.parts):
            raise ValueError("mixture: a part is a mixture itself; give its parts instead")
        return
    names = _NAMES[one.kind]
    if len(one.parameters) != len(names):
        raise ValueError(f"{name}: {len(one.parameters)} parameters; give {', '.join(names)}")
    for label, value in zip(names, one.parameters, strict=True):
        if value < 0 and label not in _ANY_SIGN:
            raise ValueError(f"{name}: {label} {value}; times are not negative")
        if value == 0 and label in _POSITIVE:
            raise ValueError(f"{name}: {label} 0; give a number above 0, or a constant 0")
    p = one.parameters
    if one.kind is Kind.ERLANG and p[0] != int(p[0]):
        raise ValueError(f"erlang: {p[0]} stages; give a whole number, or use gamma")
    if one.kind is Kind.NORMAL and p[1] == 0:
        raise ValueError("normal: deviation 0; use a constant")
    if one.kind is Kind.TRIANGULAR and not (p[0] <= p[1] <= p[2] and p[0] < p[2]):
        raise ValueError(f"triangular: {p[0]}, {p[1]}, {p[2]}; give low ≤ mode ≤ high, low < high")
    if one.kind in (Kind.UNIFORM, Kind.BETA) and not p[0] < p[1]:
        raise ValueError(f"{name}: low {p[0]}, high {p[1]}; give a high above the low")


def _check_cv(name: str, mean: float, cv: float) -> None:
    for label, value in (("mean", mean), ("cv", cv)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name}: {label} {value}; give a number above 0, or use a constant")


def _normal_cdf(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def _moments(one: Distribution) -> tuple[float, float]:
    """Mean and variance."""
    p = one.parameters
    if one.kind is Kind.MIXTURE:
        inner = [_moments(part) for part in one.parts]
        mean = math.fsum(w * m for w, (m, _) in zip(p, inner, strict=True))
        second = math.fsum(w * (v + (m - mean) ** 2) for w, (m, v) in zip(p, inner, strict=True))
        return mean, second
    if one.kind is Kind.EMPIRICAL:
        return _of_samples(one.samples)
    return _FORMULAS[one.kind](*p)


def _of_samples(samples: tuple[float, ...]) -> tuple[float, float]:
    if len(samples) == 1:
        return samples[0], 0.0
    x = np.array(samples)
    low, high = x[:-1], x[1:]
    mean = float(((low + high) / 2).mean())
    inner = (high - low) ** 2 / 12 + ((low + high) / 2 - mean) ** 2
    return mean, float(inner.mean())


def _triangular(a: float, c: float, b: float) -> tuple[float, float]:
    return (a + b + c) / 3, (a * a + b * b + c * c - a * b - a * c - b * c) / 18


def _weibull(shape: float, scale: float) -> tuple[float, float]:
    one, two = math.gamma(1 + 1 / shape), math.gamma(1 + 2 / shape)
    return scale * one, scale**2 * (two - one**2)


def _lognormal(m: float, s: float) -> tuple[float, float]:
    mean = math.exp(m + s * s / 2)
    return mean, mean**2 * math.expm1(s * s)


def _normal(m: float, s: float) -> tuple[float, float]:
    a = -m / s
    ratio = math.exp(-a * a / 2) / math.sqrt(2 * math.pi) / (1 - _normal_cdf(a))
    return m + s * ratio, s * s * (1 + a * ratio - ratio**2)


def _beta(low: float, high: float, a: float, b: float) -> tuple[float, float]:
    span = high - low
    return low + span * a / (a + b), span**2 * a * b / ((a + b) ** 2 * (a + b + 1))


_FORMULAS: Final[dict[Kind, Callable[..., Any]]] = {
    Kind.CONSTANT: lambda value: (value, 0.0),
    Kind.UNIFORM: lambda a, b: ((a + b) / 2, (b - a) ** 2 / 12),
    Kind.TRIANGULAR: _triangular,
    Kind.EXPONENTIAL: lambda mean: (mean, mean**2),
    Kind.ERLANG: lambda k, m: (k * m, k * m**2),
    Kind.GAMMA: lambda k, m: (k * m, k * m**2),
    Kind.WEIBULL: _weibull,
    Kind.LOGNORMAL: _lognormal,
    Kind.NORMAL: _normal,
    Kind.BETA: _beta,
}
