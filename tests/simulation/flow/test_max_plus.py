"""Recurrences: the same bits as SimPy on the same samples, laws of lines, lanes as one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorworld.simulation.flow.max_plus import (
    departures,
    fork_join_times,
    lanes,
    serial_times,
    server_times,
    slot_departures,
)
from tests.simulation.flow.simpy_lines import simpy_fork_join, simpy_line

seeds = st.integers(0, 2**32 - 1)


def samples_of(seed: int, n: int, k: int) -> np.ndarray:
    return np.random.default_rng(seed).exponential(1, (n, k))


@given(seeds, st.lists(st.integers(0, 4), min_size=0, max_size=5))
@settings(max_examples=25, deadline=None)
def test_a_serial_line_is_bit_identical_to_simpy(seed: int, buffers: list[int]) -> None:
    s = samples_of(seed, 60, len(buffers) + 1)
    assert np.array_equal(departures(s, buffers), simpy_line(s, buffers))


def test_times_that_tie_too() -> None:
    s = np.random.default_rng(2).integers(0, 3, (200, 4)).astype(float)
    assert np.array_equal(departures(s, [0, 2, 1]), simpy_line(s, [0, 2, 1]))


@given(
    seeds,
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=1, max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_stations_of_several_servers_are_bit_identical_to_simpy(
    seed: int, line: list[tuple[int, int]]
) -> None:
    servers = [1, *(c for _, c in line)]
    servers[0] = line[0][1]
    buffers = [b for b, _ in line]
    s = samples_of(seed, 60, len(servers))
    times = server_times(s, buffers, servers)
    assert np.array_equal(times.departure, simpy_line(s, buffers, servers))


def test_of_single_servers_all_roads_agree() -> None:
    s = samples_of(4, 300, 5)
    buffers = [0, 3, 1, 2]
    release = np.cumsum(np.random.default_rng(5).exponential(1.1, 300))
    edges = [(i, i + 1, b) for i, b in enumerate(buffers)]
    for at in (None, release):
        one = serial_times(s, buffers, at)
        for other in (
            server_times(s, buffers, [1] * 5, at),
            fork_join_times(s, edges, at),
        ):
            assert np.array_equal(one.start, other.start)
            assert np.array_equal(one.finish, other.finish)
            assert np.array_equal(one.departure, other.departure)
        assert (one.departure[:, 0] >= one.finish[:, 0]).all()


# Two roads of stations that meet, one station that parts them again, one that joins all.
TREE = [(0, 2, 0), (1, 2, 2), (2, 3, 1), (2, 4, 0), (3, 5, 0), (4, 5, 3)]


@given(seeds, st.lists(st.integers(0, 3), min_size=6, max_size=6))
@settings(max_examples=25, deadline=None)
def test_fork_join_is_bit_identical_to_simpy(seed: int, capacities: list[int]) -> None:
    edges = [(a, b, c) for (a, b, _), c in zip(TREE, capacities, strict=True)]
    s = samples_of(seed, 50, 6)
    times = fork_join_times(s, edges)
    start, leave = simpy_fork_join(s, edges)
    assert np.array_equal(times.start, start)
    assert np.array_equal(times.departure, leave)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_laws(seed: int) -> None:
    rng = np.random.default_rng(seed)
    s = samples_of(seed, 80, 4)
    buffers = rng.integers(0, 4, 3)
    d = departures(s, buffers)
    # More room and shorter work never make any part later.
    assert (departures(s, buffers + rng.integers(0, 2, 3)) <= d).all()
    assert (departures(s * rng.uniform(0.5, 1, s.shape), buffers) <= d).all()
    # Twice the times, twice as late: doubling is exact.
    assert np.array_equal(departures(2 * s, buffers), 2 * d)
    # A line that runs backwards is as fast (Yamazaki, Sakasegawa 1975), up to rounding.
    back = departures(s[::-1, ::-1], buffers[::-1])
    assert back[-1, -1] == pytest.approx(d[-1, -1], rel=1e-12)
    # Never earlier than the work that one station must do.
    assert d[-1, -1] >= s.sum(axis=0).max() * (1 - 1e-12)


@pytest.mark.parametrize("designs", [1, 16, 37])
def test_lanes_are_what_each_design_is_alone(designs: int) -> None:
    rng = np.random.default_rng(designs)
    s = samples_of(9, 150, 5)
    scales = rng.uniform(0.7, 1.4, (designs, 5))
    buffers = rng.integers(0, 40, (designs, 4))
    got = lanes(s, scales, buffers, warm_up=30)
    for d in range(designs):
        times = serial_times(s * scales[d], buffers[d])
        assert got.begin_s[d] == times.departure[29, -1]
        assert got.end_s[d] == times.departure[-1, -1]
        lead = (times.departure[30:, -1] - times.start[30:, 0]).mean()
        assert got.lead_s[d] == pytest.approx(lead, rel=1e-12)


@pytest.mark.parametrize("is_refilled", [True, False])
def test_slots_are_those_of_a_line_gone_through_slot_by_slot(is_refilled: bool) -> None:
    n, buffers = 120, [1, 3]
    s = np.random.default_rng(3).geometric(0.7, (n, 3))
    held, done, left = [0, 0], [0, 0, 0], np.zeros((n, 3))
    tries = s.copy()
    for slot in range(1, 2_000):
        moves = [False] * 3
        for i in (2, 1, 0):
            has_part = done[i] < n if i == 0 else held[i - 1] > 0
            has_room = i == 2 or held[i] < buffers[i] or (is_refilled and moves[i + 1])
            if has_part and has_room:
                tries[done[i], i] -= 1
                moves[i] = bool(tries[done[i], i] == 0)
        for i in range(3):
            if moves[i]:
                left[done[i], i] = slot
                done[i] += 1
                if i:
                    held[i - 1] -= 1
                if i < 2:
                    held[i] += 1
    assert done == [n] * 3
    assert np.array_equal(slot_departures(s, buffers, is_refilled=is_refilled), left)


def test_one_station_and_no_part() -> None:
    s = samples_of(1, 10, 1)
    assert np.array_equal(departures(s, [])[:, 0], np.add.accumulate(s[:, 0]))
    assert lanes(s, [[1.0]], np.zeros((1, 0))).end_s[0] == departures(s, [])[-1, 0]
    assert departures(np.zeros((0, 3)), [1, 1]).shape == (0, 3)


def test_no_limit_is_allowed() -> None:
    s = samples_of(3, 40, 3)
    assert np.array_equal(departures(s, [2**31 - 1] * 2), departures(s, [40, 40]))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: departures([[1.0, -2.0]], [1]), "-2.0 for part 0 at station 1"),
        (lambda: departures([[1.0, np.nan]], [1]), "nan for part 0 at station 1"),
        (lambda: departures([[1.0, np.inf]], [1]), "inf for part 0"),
        (lambda: departures([[1.0, 2.0]], [1, 1]), "2 stations have 1"),
        (lambda: departures([[1.0, 2.0]], [-1]), "0 is the least"),
        (lambda: departures([1.0, 2.0], [1]), "give .parts, stations."),
        (lambda: departures([[1.0], [2.0]], [], [3.0, 2.0]), "ascending"),
        (lambda: lanes([[1.0, 2.0]], [[1.0]], [[1]]), "scales of shape"),
        (lambda: lanes([[1.0, 2.0]], [[1.0, np.nan]], [[1]]), "scales"),
        (lambda: lanes([[1.0, 2.0]], [[1.0, 1.0]], [[1]], warm_up=1), "warm_up 1"),
        (lambda: slot_departures([[1, 2]], [0], is_refilled=True), "1 or more"),
        (lambda: server_times([[1.0, 2.0]], [1], [1, 0]), "servers"),
        (lambda: fork_join_times([[1.0, 2.0]], [(1, 0, 1)]), "edges lead upwards"),
    ],
)
def test_bad_input_is_named(call, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
