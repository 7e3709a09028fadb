"""False alarms come as seldom as declared; what changed is found and told."""

from __future__ import annotations

import numpy as np

from mirrorworld.simulation.fitting.choosing import fit
from mirrorworld.simulation.fitting.drift import drift
from mirrorworld.simulation.fitting.samples import Samples


def test_false_alarms_are_as_rare_as_declared() -> None:
    rng = np.random.default_rng(3)
    known = fit(Samples.of(rng.gamma(4.0, 10.0, 3_000)), bootstraps=9)
    alarms = sum(
        drift(known, Samples.of(rng.gamma(4.0, 10.0, 40)), false_alarm=0.05).has_drifted
        for _ in range(60)
    )
    assert alarms <= 9  # 3 expected; three deviations and a half


def test_longer_repairs_are_found() -> None:
    rng = np.random.default_rng(4)
    known = fit(Samples.of(rng.gamma(4.0, 10.0, 400)), bootstraps=9)
    new = np.concatenate([rng.gamma(4.0, 10.0, 30), rng.gamma(4.0, 18.0, 60)])
    found = drift(known, Samples.of(new))
    assert found.has_drifted and found.way == "longer"
    assert found.at >= 30
    assert "longer than fitted" in found.text


def test_more_failures_are_found_by_their_number() -> None:
    rng = np.random.default_rng(5)
    known = fit(Samples.of(rng.exponential(1000.0, 50)), bootstraps=9)
    found = drift(known, Samples.of(rng.exponential(250.0, 25)))
    assert found.has_drifted and found.rate_p < 0.005
    assert found.rate_ratio > 2


def test_nothing_new_is_no_drift() -> None:
    known = fit(Samples.of(np.random.default_rng(6).exponential(10.0, 30)), bootstraps=9)
    assert not drift(known, Samples.of([])).has_drifted
