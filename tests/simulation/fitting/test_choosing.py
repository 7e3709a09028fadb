"""The right family is found from its own samples, also where ends and beginnings are missing."""

from __future__ import annotations

import numpy as np
import pytest

from mirrorworld.simulation.fitting.choosing import fit
from mirrorworld.simulation.fitting.samples import Samples, mean_interval, survival

RNG = np.random.default_rng(5)

DRAWS = {
    "exponential": lambda n: RNG.exponential(12.0, n),
    "lognormal": lambda n: RNG.lognormal(3.0, 0.8, n),
    "weibull": lambda n: 50 * RNG.weibull(3.0, n),
    "normal": lambda n: RNG.normal(80.0, 4.0, n),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_family_that_made_them_fits(name: str) -> None:
    drawn = DRAWS[name](800)
    found = fit(Samples.of(drawn), bootstraps=19)
    names = [one.name for one in found.candidates[:3]]
    assert name in names
    assert found.distribution is not None
    assert found.distribution.mean() == pytest.approx(float(drawn.mean()), rel=0.03)
    assert found.interval_s[0] < found.mean_s < found.interval_s[1]
    assert found.ad_p > 0.01


def test_two_humps_are_a_mixture() -> None:
    both = RNG.permutation(np.concatenate([RNG.lognormal(2, 0.1, 200), RNG.lognormal(4, 0.1, 100)]))
    found = fit(Samples.of(both), bootstraps=19)
    assert found.name == "mixture of two lognormals"
    assert found.distribution is not None
    assert found.distribution.parameters[0] == pytest.approx(2 / 3, abs=0.02)


def test_what_fits_nothing_stands_for_itself() -> None:
    odd = RNG.permutation(np.repeat([1.0, 2.0, 3.0, 10.0], 60) + RNG.uniform(0, 0.01, 240))
    found = fit(Samples.of(odd), bootstraps=99)
    assert found.name == "empirical"
    assert any("does not fit" in note for note in found.notes)


def test_a_failure_that_had_not_come_counts_its_time() -> None:
    lives = RNG.exponential(100.0, 400)
    seen = Samples.of(lives[lives < 80], np.full(int((lives >= 80).sum()), 80.0))
    found = fit(seen, bootstraps=19)
    assert found.distribution is not None
    # The mean of those that ended alone would be near 35.
    assert found.distribution.mean() == pytest.approx(100.0, rel=0.15)


def test_observation_that_begins_in_the_middle_does_not_shorten_a_regular_time() -> None:
    # Every 100 s, looked at from 30 s before the first end to 60 s after the last.
    lives = RNG.normal(100.0, 3.0, 12)
    found = fit(Samples.of(lives, [60.0], [30.0]), bootstraps=19)
    assert found.distribution is not None
    assert found.distribution.mean() == pytest.approx(100.0, rel=0.03)
    assert found.distribution.cv() < 0.1


def test_nothing_seen_is_said_with_a_bound() -> None:
    found = fit(Samples.of([], [3600.0]))
    assert found.distribution is None
    assert found.interval_s[0] == pytest.approx(3600 / -np.log(0.05))
    assert "never seen" in found.notes[0]


def test_too_few_is_said_and_the_interval_is_wide() -> None:
    found = fit(Samples.of([900.0], [300.0], [600.0]))
    assert found.name == "exponential"
    assert found.mean_s == pytest.approx(900.0)
    assert found.interval_s[0] < 500 and found.interval_s[1] > 3000
    assert "too few" in found.notes[-1]


def test_equal_times_are_constant() -> None:
    assert fit(Samples.of([157.0, 157.5, 156.8, 157.2])).name == "constant"


def test_trend_and_dependence_are_flagged() -> None:
    drift = np.linspace(10, 20, 60) + RNG.normal(0, 0.3, 60)
    found = fit(Samples.of(drift), bootstraps=9)
    assert any("longer over time" in note for note in found.notes)
    assert any("autocorrelation" in note for note in found.notes)


def test_the_exact_interval_covers() -> None:
    covered = 0
    for _ in range(400):
        drawn = RNG.exponential(50.0, 60).cumsum()
        seen = drawn[drawn < 300.0]
        samples = Samples.of(np.diff(seen, prepend=0.0), [300.0 - (seen[-1] if len(seen) else 0.0)])
        low, high = mean_interval(samples)
        covered += low <= 50.0 <= high
    assert covered >= 370  # 95 % of 400 is 380, less three deviations


def test_product_limit_of_a_textbook() -> None:
    times, probability = survival(Samples.of([1.0, 3.0, 4.0], [2.0]))
    assert times.tolist() == [1.0, 3.0, 4.0]
    assert probability == pytest.approx([0.25, 0.625, 1.0])


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="complete"):
        Samples.of([1.0, np.nan])
