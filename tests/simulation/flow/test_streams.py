"""Streams: the same bits on every road, inside (0, 1), independent by name."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mirrorworld.simulation.flow import streams
from mirrorworld.simulation.flow.streams import (
    Purpose,
    compiled,
    stream_key,
    substream,
    uniform,
    uniforms,
)

words = st.integers(0, 2**64 - 1)


@compiled
def _compiled_uniform(key, n):
    return uniform(key, n)


@compiled
def _compiled_substream(key, n):
    return substream(key, n)


@settings(deadline=None)
@given(words, st.integers(0, 2**62))
def test_the_three_roads_give_the_same_bits(key: int, n: int) -> None:
    plain = uniform(key, n)
    assert _compiled_uniform(np.uint64(key), n) == plain
    assert uniforms(key, n)[0] == plain
    assert int(_compiled_substream(np.uint64(key), n)) == substream(key, n)
    assert 0 < plain < 1


@settings(deadline=None)
@given(words, st.integers(0, 2**62))
def test_antithetic_is_exactly_the_complement(key: int, n: int) -> None:
    assert uniform(key | 1, n) == 1 - uniform(key & ~1, n)
    assert substream(key | 1, n) == substream(key & ~1, n) | 1


def test_the_ends_are_never_reached() -> None:
    # The greatest and the least 52 bits that there are.
    assert ((2**52 - 1) + 0.5) * streams._STEP < 1
    assert 0.5 * streams._STEP > 0


def test_streams_are_even_and_apart() -> None:
    n = np.arange(20_000)
    drawn = {
        (name, purpose, replication): uniforms(stream_key(1, replication, name, purpose), n)
        for name in ("filler", "capper")
        for purpose in (Purpose.PROCESS, Purpose.FAIL)
        for replication in (0, 1)
    }
    table = np.array(list(drawn.values()))
    for row in table:
        assert stats.kstest(row, "uniform").pvalue > 1e-4
        assert abs(np.corrcoef(row[:-1], row[1:])[0, 1]) < 0.03
    correlations = np.corrcoef(table) - np.eye(len(table))
    assert np.abs(correlations).max() < 0.03


def test_a_key_depends_on_all_that_names_it() -> None:
    one = stream_key(1, 2, "filler", Purpose.FAIL)
    assert one == stream_key(1, 2, "filler", Purpose.FAIL)
    others = {
        stream_key(2, 2, "filler", Purpose.FAIL),
        stream_key(1, 3, "filler", Purpose.FAIL),
        stream_key(1, 2, "Filler", Purpose.FAIL),
        stream_key(1, 2, "filler", Purpose.REPAIR),
        stream_key(2, 1, "filler", Purpose.FAIL),
    }
    assert len(others) == 5 and one not in others
    # As it was first written: results of kept runs stay reproducible.
    assert f"{one:016x}" == "1c6510030a166000"


def test_without_numba_the_plain_road_is_left() -> None:
    program = """
import sys
sys.modules["numba"] = None
from mirrorworld.simulation.flow import max_plus, recurrence, sweep
from mirrorworld.simulation.flow.streams import uniform
print(uniform(12345, 678).hex())
try:
    max_plus.departures([[1.0]], [])
except RuntimeError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.splitlines() == [
        uniform(12345, 678).hex(),
        "numba is not installed: pip install 'mirrorworld[simulation]'",
    ], ran.stderr
