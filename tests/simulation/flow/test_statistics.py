"""Statistics: intervals cover as often as they say, and what is unsure is said to be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal, stats

from mirrorworld.simulation.flow.statistics import (
    batch_means,
    compare,
    interval,
    mser_5,
    p_above,
    rank,
    replications_needed,
    welch,
)


def autoregressive(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    return np.asarray(signal.lfilter([1], [1, -phi], rng.normal(size=n + 500)))[500:]


def test_an_interval_is_that_of_scipy_and_covers() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(3, 2, 12)
    low, high = stats.t.interval(0.9, 11, x.mean(), stats.sem(x))
    found = interval(x, 0.9)
    assert (found.low, found.high) == pytest.approx((low, high))
    covered = [
        one.low <= 3 <= one.high for one in (interval(rng.normal(3, 2, 8)) for _ in range(1_000))
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.025)


def test_batches_cover_a_correlated_series_where_single_values_do_not() -> None:
    rng = np.random.default_rng(2)
    batched, naive, independent = [], [], []
    for _ in range(200):
        x = autoregressive(rng, 6_000, 0.9)
        found = batch_means(x)
        batched.append(found.interval.low <= 0 <= found.interval.high)
        independent.append(found.is_independent)
        naive.append(abs(interval(x).mean) <= interval(x).half_width)
    assert np.mean(batched) > 0.89
    assert np.mean(naive) < 0.6
    assert np.mean(independent) > 0.9


def test_a_run_that_is_too_short_is_said_to_be() -> None:
    rng = np.random.default_rng(3)
    said = [batch_means(autoregressive(rng, 300, 0.999)).is_independent for _ in range(40)]
    assert np.mean(said) < 0.5


def test_a_warm_up_is_found() -> None:
    rng = np.random.default_rng(4)
    n = np.arange(3_000)
    settling = 10 * np.exp(-n / 100) + rng.normal(size=3_000)
    found = mser_5(settling)
    assert found.is_settled and 150 <= found.cut <= 900
    rising = n / 100 + rng.normal(size=3_000)
    assert not mser_5(rising).is_settled
    curve = welch([settling, settling + 1], 50)
    assert len(curve) == 2_950
    assert curve[0] == settling[0] + 0.5
    assert curve[500] == pytest.approx(settling[450:551].mean() + 0.5)


def test_pairs_see_what_single_runs_do_not() -> None:
    rng = np.random.default_rng(5)
    chance = rng.normal(0, 1, 30)
    a, b = chance + 0.1 + rng.normal(0, 0.05, 30), chance + rng.normal(0, 0.05, 30)
    found = compare(a, b)
    assert found.difference.low > 0 and found.p_larger > 0.999
    assert found.correlation > 0.99 and found.variance_ratio < 0.02
    apart = compare(a, rng.permutation(b))
    assert apart.difference.low < 0 < apart.difference.high
    assert compare(a, a).p_larger == 0.5
    assert p_above([1.0, 2.0, 3.0], 2.0) == pytest.approx(0.5)


def test_the_best_is_known_when_it_stands_out_and_open_when_not() -> None:
    rng = np.random.default_rng(6)
    chance = rng.normal(0, 1, (20, 1))
    x = chance + np.array([0.0, 0.5, 0.52]) + rng.normal(0, 0.1, (20, 3))
    found = rank(x)
    assert found.p_best.sum() == pytest.approx(1)
    assert found.p_best[0] < 1e-3 and 0.02 < found.p_best[1] < 0.98
    assert found.order[2] == 0
    np.testing.assert_allclose(found.p_rank.sum(axis=0), 1)
    np.testing.assert_allclose(found.p_rank.sum(axis=1), 1)
    least = rank(x, is_larger_better=False)
    assert least.p_best[0] > 0.999
    # Without the pairs the same figures tell less.
    assert rank(x, is_paired=False).p_best[0] > 0.001
    # Of two designs: Student's distribution itself.
    two = rank(x[:, 1:], draws=200_000)
    assert two.p_best[0] == pytest.approx(compare(x[:, 1], x[:, 2]).p_larger, abs=0.005)


def test_how_many_replications() -> None:
    x = np.random.default_rng(7).normal(10, 1, 10)
    n = replications_needed(x, 0.1)
    s = x.std(ddof=1)
    assert stats.t.ppf(0.975, n - 1) * s / np.sqrt(n) <= 0.1
    assert stats.t.ppf(0.975, n - 2) * s / np.sqrt(n - 1) > 0.1
    assert replications_needed(x, 0.01, is_relative=True) == replications_needed(x, 0.01 * x.mean())
    with pytest.raises(ValueError, match="more than 1000000"):
        replications_needed(x, 1e-6)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: interval([1.0]), "give two or more"),
        (lambda: interval([1.0, np.nan]), "value 1 is no finite number"),
        (lambda: interval([1.0, 2.0], 1.5), "confidence 1.5"),
        (lambda: batch_means([1.0] * 10), "10 values in 64 batches"),
        (lambda: mser_5([1.0] * 10), "20 or more"),
        (lambda: welch([1.0] * 10, 5), "window 5"),
        (lambda: compare([1.0, 2.0], [1.0, 2.0, 3.0]), "pair them"),
        (lambda: rank([[1.0, 2.0]]), "replications ≥ 2"),
        (lambda: replications_needed([1.0, 2.0], 0), "half-width 0"),
    ],
)
def test_bad_input_is_named(call, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
