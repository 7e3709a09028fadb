"""Derivatives: as finite differences say, which are exact where all sums are."""

from __future__ import annotations

import numpy as np
import pytest

from mirrorworld.simulation.flow.gradient import buffer_benefits, critical_path, gradient
from mirrorworld.simulation.flow.max_plus import departures

# Samples are multiples of TICK and steps are STEP, so that every product and sum below 2^11 is
# exact in double precision and a difference quotient has no rounding error at all.
TICK, STEP = 2.0**-20, 2.0**-22
BUFFERS = [1, 0, 3, 2]


def samples_of(seed: int, n: int = 400, k: int = 5) -> np.ndarray:
    return np.ceil(np.random.default_rng(seed).exponential(1, (n, k)) / TICK) * TICK


@pytest.mark.parametrize("seed", range(5))
def test_makespan_by_scale_is_the_difference_quotient(seed: int) -> None:
    s = samples_of(seed)
    got = gradient(s, BUFFERS)
    base = departures(s, BUFFERS)[-1, -1]
    assert got.makespan_s == base
    for i in range(5):
        quotients = []
        for sign in (1, -1):
            scale = np.ones(5)
            scale[i] += sign * STEP
            quotients.append((departures(s * scale, BUFFERS)[-1, -1] - base) / (sign * STEP))
        assert got.makespan_by_scale_s[i] == pytest.approx(quotients[0], rel=1e-12)
        assert got.makespan_by_scale_s[i] == pytest.approx(quotients[1], rel=1e-12)


def test_each_operation_on_the_path_counts_and_no_other() -> None:
    s = samples_of(11, 30, 4)
    buffers = [1, 0, 2]
    base = departures(s, buffers)
    path = critical_path(s, buffers, base)
    on_path = set(zip(path.part.tolist(), path.station.tolist(), strict=True))
    assert s[path.part, path.station].sum() == path.time_s == base[-1, -1]
    for n in range(30):
        for i in range(4):
            later = s.copy()
            later[n, i] += STEP
            change = (departures(later, buffers)[-1, -1] - base[-1, -1]) / STEP
            assert change == ((n, i) in on_path)


def test_throughput_after_a_warm_up() -> None:
    s = samples_of(3)
    warm_up = 100
    got = gradient(s, BUFFERS, warm_up=warm_up)

    def rate(samples: np.ndarray) -> float:
        d = departures(samples, BUFFERS)[:, -1]
        return 300 / (d[-1] - d[warm_up - 1])

    assert got.throughput_per_s == rate(s)
    for i in range(5):
        up, down = np.ones(5), np.ones(5)
        up[i] += 1e-6
        down[i] -= 1e-6
        quotient = (rate(s * up) - rate(s * down)) / 2e-6
        assert got.throughput_by_scale[i] == pytest.approx(quotient, rel=1e-6, abs=1e-9)


def test_all_stations_together_make_up_the_whole() -> None:
    s = np.random.default_rng(8).exponential(1, (2_000, 6))
    got = gradient(s, [2] * 5)
    assert got.makespan_by_scale_s.sum() == pytest.approx(got.makespan_s, rel=1e-12)
    assert got.share.sum() == pytest.approx(1)


def test_the_slow_station_is_the_bottleneck_and_room_beside_it_helps_most() -> None:
    s = np.random.default_rng(8).exponential(1, (4_000, 5)) * [1, 1, 1, 1.4, 1]
    got = gradient(s, [2, 2, 2, 2], warm_up=500)
    assert got.bottlenecks[0] == 3
    assert got.share[3] > 0.5
    gain = buffer_benefits(s, [2, 2, 2, 2], warm_up=500)
    assert gain.argmax() in (2, 3) and (gain > 0).all()


def test_late_releases_end_the_path() -> None:
    s = samples_of(2, 20, 3)
    release = np.arange(20) * 50.0
    path = critical_path(s, [1, 1], release=release)
    assert path.part.tolist() == [19, 19, 19] and path.station.tolist() == [2, 1, 0]


def test_only_a_part_of_the_times_scales() -> None:
    s = samples_of(5)
    work = s / 2
    half = gradient(s, BUFFERS, weights=work).makespan_by_scale_s
    np.testing.assert_allclose(half * 2, gradient(s, BUFFERS).makespan_by_scale_s)


def test_bad_input_is_named() -> None:
    s = samples_of(1, 10, 3)
    with pytest.raises(ValueError, match="part 10; there are 10"):
        critical_path(s, [1, 1], part=10)
    with pytest.raises(ValueError, match="warm_up 10"):
        gradient(s, [1, 1], warm_up=10)
    with pytest.raises(ValueError, match="weights of shape"):
        gradient(s, [1, 1], weights=np.ones(3))
    with pytest.raises(ValueError, match="departures of shape"):
        gradient(s, [1, 1], np.ones((3, 3)))
