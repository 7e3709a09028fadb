"""Exact chains: published answers, closed forms, balances, and the recurrence on long runs."""

from __future__ import annotations

import numpy as np
import pytest

from mirrorworld.simulation.flow.markov import (
    bernoulli_line,
    buzacott_line,
    exponential_line,
    m_m_c,
    splits,
)
from mirrorworld.simulation.flow.max_plus import departures, server_times
from mirrorworld.simulation.flow.model import FlowError


def rate(buffers: tuple[int, ...]) -> float:
    return exponential_line(np.ones(len(buffers) + 1), buffers).throughput_per_s


@pytest.mark.parametrize(
    ("buffers", "exact"),
    [
        ((0,), 0.666667),
        ((0, 0), 0.564103),
        ((0, 0, 0), 0.514775),
        ((1, 1), 0.670466),
        ((2, 2), 0.734017),
        ((3, 3), 0.776712),
        ((2, 2, 2), 0.700713),
    ],
)
def test_known_lines(buffers: tuple[int, ...], exact: float) -> None:
    assert rate(buffers) == pytest.approx(exact, abs=5e-7)


@pytest.mark.parametrize("places", [0, 1, 5, 40])
def test_two_stations(places: int) -> None:
    assert rate((places,)) == pytest.approx((places + 2) / (places + 3), abs=1e-12)


@pytest.mark.parametrize(("buffers", "best"), [(2, (3, 3)), (3, (2, 2, 2))])
def test_best_split_of_six_places(buffers: int, best: tuple[int, ...]) -> None:
    ways = splits(6, buffers)
    assert len(set(ways)) == {2: 7, 3: 28}[buffers]
    assert max(ways, key=rate) == best


def test_m_m_c() -> None:
    found = m_m_c(4, 1, 5)
    assert found.p_wait == pytest.approx(0.554113, abs=5e-7)
    assert found.queue == pytest.approx(2.216450, abs=5e-7)
    # The same as a line of one station before which hardly anyone is turned away.
    line = exponential_line([1.0], [], servers=[5], arrivals_per_s=4, queue=150)
    assert line.queue[0] == pytest.approx(found.queue, rel=1e-9)
    assert line.busy[0] == pytest.approx(found.busy, rel=1e-9)
    with pytest.raises(FlowError, match="grows without end"):
        m_m_c(5, 1, 5)


def test_arrivals_that_are_lost() -> None:
    # M/M/1 with three places in all: p(n) ∝ 0.5ⁿ.
    line = exponential_line([2.0], [], arrivals_per_s=1, queue=2)
    p = 0.5 ** np.arange(4)
    p /= p.sum()
    assert line.lost_per_s == pytest.approx(p[3])
    assert line.throughput_per_s == pytest.approx(1 - p[3])
    assert line.queue[0] == pytest.approx(p[2] + 2 * p[3])


@pytest.mark.parametrize(("places", "exact"), [(1, 0.818182), (2, 0.857143)])
def test_bernoulli(places: int, exact: float) -> None:
    assert bernoulli_line([0.9, 0.9], [places]) == pytest.approx(exact, abs=5e-7)


def test_a_longer_bernoulli_line_runs_backwards_as_fast() -> None:
    forward = bernoulli_line([0.9, 0.7, 0.8], [2, 3])
    assert forward == pytest.approx(bernoulli_line([0.8, 0.7, 0.9], [3, 2]), rel=1e-12)
    assert forward < 0.7


def test_buzacott() -> None:
    assert buzacott_line([0.01, 0.01], [0.1, 0.1], 4) == pytest.approx(0.840936, abs=5e-7)
    # A machine that never fails behind one that does: the efficiency of that alone.
    assert buzacott_line([0.01, 0], [0.1, 1], 4) == pytest.approx(0.1 / 0.11)


def test_breakdowns() -> None:
    alone = exponential_line([2.0], [], failures_per_s=[0.1], repairs_per_s=[0.4])
    assert alone.throughput_per_s == pytest.approx(2 * 0.8)
    assert alone.down[0] == pytest.approx(0.2)
    line = exponential_line(
        [1.0, 1.2, 1.1], [2, 1], failures_per_s=[0.05, 0, 0.1], repairs_per_s=[0.5, 1, 0.3]
    )
    whole = line.busy + line.blocked + line.starved + line.down
    np.testing.assert_allclose(whole, 1, rtol=1e-12)
    # What comes in goes out, at every station.
    np.testing.assert_allclose(line.busy * [1.0, 1.2, 1.1], line.throughput_per_s, rtol=1e-9)
    # As many failures as repairs.
    assert line.busy[0] * 0.05 == pytest.approx(line.down[0] * 0.5)


def test_the_recurrence_agrees() -> None:
    rates, buffers = np.array([1.0, 1.3, 0.9]), [1, 2]
    n = 300_000
    s = np.random.default_rng(1).exponential(1, (n, 3)) / rates
    exact = exponential_line(rates, buffers)
    assert n / departures(s, buffers)[-1, -1] == pytest.approx(exact.throughput_per_s, rel=0.01)
    servers = [2, 1, 3]
    exact = exponential_line(rates / servers, buffers, servers=servers)
    times = server_times(s * servers, buffers, servers)
    end_s = times.departure[-1, -1]
    assert n / end_s == pytest.approx(exact.throughput_per_s, rel=0.01)
    blocked = (times.departure.sum(axis=0) - times.finish.sum(axis=0)) / end_s / servers
    np.testing.assert_allclose(blocked, exact.blocked, atol=0.005)
    wip = (times.departure[:, -1].sum() - times.start[:, 0].sum()) / end_s
    assert wip == pytest.approx(exact.wip, rel=0.01)


def test_too_many_states_are_named_before_they_are_made() -> None:
    with pytest.raises(FlowError, match="states, more than 30000; simulate it"):
        exponential_line(np.ones(12), np.full(11, 20))
    with pytest.raises(FlowError, match="states, more than 30000; simulate it"):
        exponential_line(np.ones(4), np.full(3, 2**31 - 1))
    with pytest.raises(FlowError, match="the chain has 24 states"):
        exponential_line(np.ones(3), [2, 2], most_states=20)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: exponential_line([1.0, 0.0], [1]), "give numbers above 0"),
        (lambda: exponential_line([1.0, np.nan], [1]), "give numbers above 0"),
        (lambda: exponential_line([1.0, 1.0], []), "K - 1 buffers"),
        (lambda: exponential_line([1.0, 1.0], [-1]), "buffer below 0"),
        (
            lambda: exponential_line([1.0], [], servers=[2], failures_per_s=[1.0]),
            "has one server here",
        ),
        (lambda: bernoulli_line([0.9, 1.2], [1]), "chances"),
        (lambda: bernoulli_line([0.9, 0.9], [0]), "1 place or more"),
        (lambda: buzacott_line([0.1, 0.1], [0, 0.1], 4), "repair above 0"),
    ],
)
def test_bad_input_is_named(call, says: str) -> None:
    with pytest.raises(FlowError, match=says):
        call()
