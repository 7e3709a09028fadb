"""Sweeps: the same answers in any chunks, stopped and gone on with, and run again by events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirrorworld.simulation.flow.distributions import Distribution as D
from mirrorworld.simulation.flow.max_plus import departures
from mirrorworld.simulation.flow.model import FlowError
from mirrorworld.simulation.flow.recurrence import line_samples
from mirrorworld.simulation.flow.reference import run
from mirrorworld.simulation.flow.sweep import Sweep, at_random, sweep, verify

NAMES = ["cut", "drill", "mill", "wash"]
HOW = [D.exponential(10), D.gamma(9, 0.5), D.lognormal(11, 0.4), D.uniform(5, 14)]
SAMPLES = line_samples(NAMES, HOW, 200, seed=6)
DESIGNS = at_random((0.8, 1.2), (0, 6), 4, seed=1)


def test_each_design_is_as_it_is_alone() -> None:
    found = sweep(SAMPLES, DESIGNS, 100, warm_up=50, chunk=32)
    assert found.is_complete and found.designs_done == 100
    scales, buffers = DESIGNS(71, 1)
    d = departures(SAMPLES * scales[0], buffers[0])[:, -1]
    assert found.throughput_per_s[71] == 150 / (d[-1] - d[49])
    best = found.best(10)
    assert found.throughput_per_s[best[0]] == found.throughput_per_s.max()
    assert (np.diff(found.throughput_per_s[best]) <= 0).all()
    assert set(found.best(100)) == set(range(100))
    assert found.best(1, -found.lead_s)[0] == found.lead_s.argmin()


def test_designs_do_not_depend_on_the_chunk() -> None:
    scales, buffers = DESIGNS(0, 50)
    for first, count in ((0, 7), (7, 20), (49, 1)):
        a, b = DESIGNS(first, count)
        assert np.array_equal(a, np.asarray(scales)[first : first + count])
        assert np.array_equal(b, np.asarray(buffers)[first : first + count])
    assert np.asarray(buffers).min() >= 0 and np.asarray(buffers).max() <= 6


def test_it_stops_is_kept_and_goes_on(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    half = sweep(
        SAMPLES, DESIGNS, 150, chunk=20,
        progress=lambda done, count: seen.append((done, count)),
        is_cancelled=lambda: len(seen) >= 3,
    )  # fmt: skip
    assert seen == [(20, 150), (40, 150), (60, 150)]
    assert not half.is_complete and half.designs_done == 60
    assert len(half.best(100)) == 60
    half.save(tmp_path / "half.npz")
    kept = Sweep.load(tmp_path / "half.npz")
    whole = sweep(SAMPLES, DESIGNS, 150, resume=kept, workers=2)
    assert whole.is_complete and whole.designs_done == 150
    alone = sweep(SAMPLES, DESIGNS, 150)
    assert np.array_equal(whole.throughput_per_s, alone.throughput_per_s)
    assert np.array_equal(whole.lead_s, alone.lead_s)
    with pytest.raises(FlowError, match="other samples"):
        sweep(SAMPLES[:100], DESIGNS, 150, resume=kept)


def test_the_best_are_run_again_by_events() -> None:
    found = sweep(SAMPLES, DESIGNS, 64)
    best = found.best(5)
    again = verify(NAMES, HOW, DESIGNS, best, parts=200, seed=6, samples=SAMPLES, engine=run)
    assert again.designs.tolist() == best.tolist()
    assert again.largest_difference < 1e-12
    assert again.is_bit_identical
    # Other streams give other times: the comparison can fail.
    other = verify(NAMES, HOW, DESIGNS, best, parts=200, seed=7, samples=SAMPLES, engine=run)
    assert other.largest_difference > 1e-3


def test_what_is_too_much_or_wrong_is_named() -> None:
    with pytest.raises(FlowError, match=r"1e\+12 designs .* hours of one core; take at most"):
        sweep(SAMPLES, DESIGNS, 10**12)
    with pytest.raises(FlowError, match="designs 0 to 9: scales"):
        sweep(SAMPLES, lambda first, n: (np.ones((n, 3)), np.ones((n, 3), int)), 10)
    with pytest.raises(FlowError, match="designs 20 to 39: buffers"):
        sweep(
            SAMPLES,
            lambda first, n: (np.ones((n, 4)), np.full((n, 3), -(first // 20))),
            40,
            chunk=20,
        )
    with pytest.raises(FlowError, match="give 1 or more"):
        sweep(SAMPLES, DESIGNS, 0)
