"""Distributions: what is drawn has the moments said, and the same bits plain and compiled."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from mirrorworld.simulation.flow.distributions import (
    Distribution,
    Kind,
    draw,
    pack,
)
from mirrorworld.simulation.flow.sampling import normal_quantile
from mirrorworld.simulation.flow.streams import compiled, stream_key

D = Distribution
EVERY = {
    "constant": D.constant(3),
    "uniform": D.uniform(1, 4),
    "triangular": D.triangular(1, 2, 6),
    "triangular, mode at an end": D.triangular(1, 1, 6),
    "exponential": D.exponential(7),
    "erlang": D.erlang(3, 12),
    "gamma": D.gamma(5, 0.4),
    "gamma, shape below 1": D.gamma(5, 1.7),
    "weibull": D.weibull(1.7, 9),
    "lognormal": D.lognormal(4, 0.6),
    "normal": D.normal(10, 2),
    "normal, much cut off": D.normal(1, 2),
    "beta": D.beta(2, 5, 0.7, 2.5),
    "pert": D.pert(2, 3, 7),
    "empirical": D.empirical([5, 1, 2, 2, 8]),
    "empirical, one sample": D.empirical([5]),
    "mixture": D.mixture([(3, D.constant(1)), (1, D.exponential(6)), (1, D.gamma(3, 0.5))]),
}
PACKED = pack(list(EVERY.values()))


@compiled
def _many(packed, row, key, out):
    for n in range(len(out)):
        out[n] = draw(packed, row, key, n)


def test_every_kind_is_tried() -> None:
    assert {one.kind for one in EVERY.values()} == set(Kind)


@pytest.mark.parametrize("name", EVERY)
def test_compiled_and_plain_give_the_same_bits(name: str) -> None:
    key = stream_key(5, 0, name, 0)
    out = np.empty(4_000)
    _many(PACKED, list(EVERY).index(name), np.uint64(key), out)
    plain = np.array([draw(PACKED, list(EVERY).index(name), key, n) for n in range(len(out))])
    assert np.array_equal(out.view(np.int64), plain.view(np.int64))
    assert EVERY[name].draw(key, 17) == out[17]
    assert (out >= 0).all()


@pytest.mark.parametrize("name", EVERY)
def test_moments(name: str) -> None:
    out = np.empty(200_000)
    one = EVERY[name]
    _many(PACKED, list(EVERY).index(name), np.uint64(stream_key(6, 0, name, 0)), out)
    deviation = math.sqrt(one.variance())
    assert abs(out.mean() - one.mean()) <= 4.5 * deviation / math.sqrt(len(out)) + 1e-12
    fourth = ((out - out.mean()) ** 4).mean()
    assert abs(out.var() - one.variance()) <= 4.5 * math.sqrt(fourth / len(out)) + 1e-12
    assert one.scaled(2.5).mean() == pytest.approx(2.5 * one.mean())
    assert one.scaled(2.5).cv() == pytest.approx(one.cv())


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("exponential", stats.expon(scale=7)),
        ("erlang", stats.gamma(3, scale=4)),
        ("gamma, shape below 1", stats.gamma(1.7**-2, scale=5 * 1.7**2)),
        ("weibull", stats.weibull_min(1.7, scale=9)),
        ("triangular", stats.triang(0.2, 1, 5)),
        ("normal, much cut off", stats.truncnorm(-0.5, np.inf, 1, 2)),
        ("beta", stats.beta(0.7, 2.5, 2, 3)),
        ("lognormal", stats.lognorm(math.sqrt(math.log1p(0.36)), scale=4 / math.sqrt(1.36))),
    ],
)
def test_the_law_is_that_of_scipy(name: str, law) -> None:
    out = np.empty(50_000)
    _many(PACKED, list(EVERY).index(name), np.uint64(stream_key(7, 0, name, 0)), out)
    assert stats.kstest(out, law.cdf).pvalue > 1e-4


def test_normal_quantile() -> None:
    u = np.array([2.0**-53, 1e-12, 1e-6, 0.01, 0.075, 0.3, 0.5, 0.7, 0.99, 1 - 1e-9])
    got = np.array([normal_quantile(float(x)) for x in u])
    np.testing.assert_allclose(got, special.ndtri(u), rtol=2e-14, atol=1e-16)


def test_inverted_kinds_fall_with_an_antithetic_stream() -> None:
    one = D.lognormal(4, 0.6)
    key = stream_key(1, 0, "x", 0)
    a = np.array([one.draw(key, n) for n in range(500)])
    b = np.array([one.draw(key | 1, n) for n in range(500)])
    assert np.array_equal(np.argsort(a), np.argsort(-b))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: D.constant(math.nan), "constant: nan is no finite number"),
        (lambda: D.constant(-1), "constant: value -1.0; times are not negative"),
        (lambda: D.exponential(0), "exponential: mean 0; give a number above 0"),
        (lambda: D.gamma(1, 0), "gamma: cv 0"),
        (lambda: D.lognormal(math.inf, 1), "lognormal: mean inf"),
        (lambda: D.uniform(3, 2), "uniform: low 3.0, high 2.0"),
        (lambda: D.triangular(1, 9, 3), "low ≤ mode ≤ high"),
        (lambda: D.erlang(0, 3), "erlang"),
        (lambda: D.erlang(2.5, 3), "erlang: 2.5 stages"),  # pyright: ignore[reportArgumentType]
        (lambda: D.normal(3, 0), "normal: deviation 0"),
        (lambda: D.empirical([]), "empirical: no sample"),
        (lambda: D.empirical([1, -2]), "empirical: sample -2.0"),
        (lambda: D.empirical([1, math.nan]), "empirical: a sample is NaN"),
        (lambda: D.mixture([]), "mixture"),
        (lambda: D.mixture([(1, D.mixture([(1, D.constant(1))]))]), "a part is a mixture"),
        (lambda: D.exponential(1).scaled(0), "factor 0"),
        (lambda: D(Kind.UNIFORM, (1.0,)), "give low, high"),
    ],
)
def test_what_is_no_distribution_is_named(make, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
