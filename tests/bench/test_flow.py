"""The benches of lines, small: what they call equal is, and what they call exact was reached."""

from __future__ import annotations

import pytest

from mirrorworld.bench import exact, gradient, sweep
from mirrorworld.bench.flow_peers import salabim_line, simpy_line
from mirrorworld.simulation.flow import reference
from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.max_plus import departures
from mirrorworld.simulation.flow.recurrence import line_samples


@pytest.mark.parametrize("peer", [simpy_line, salabim_line])
def test_peers_run_the_same_line(peer) -> None:
    samples = line_samples(["a", "b", "c"], [Distribution.exponential(1)] * 3, 60, seed=2)
    got = peer(samples, 2)
    assert (got["left"] == departures(samples, [2, 2])).all()
    assert got["events"] >= samples.size and got["cpu_s"] > 0
    assert (got["left"] != departures(samples, [2, 1])).any()


def test_derivatives_are_exact() -> None:
    figures = gradient.run(stations=4, parts=200, seeds=3, rounds=1)
    assert figures["max_relative_error"] <= 1e-9
    assert figures["derivatives_checked"] + figures["kinks_left_out"] == 12
    assert figures["derivatives_checked"] > 6


def test_a_small_sweep_is_run_again_by_events(monkeypatch) -> None:
    # The plain loop instead of the kernel, which takes long to compile.
    monkeypatch.setattr(sweep, "ENGINE", reference.run)
    figures = sweep.run(designs=100, stations=3, parts=60, keep=3)
    assert (figures["designs"], figures["reverified"]) == (100, 3)
    assert figures["reverified_bit_identical"]
    assert figures["reverified_max_relative_difference"] < 1e-12


def test_exact_figures_are_met() -> None:
    figures = exact.run(effort=0.002, kernel_parts=0, jobshop="nowhere")
    assert figures["published_digits_met"]
    assert len(figures["figures"]) == 14
    # Normal: 14 figures are all within 4.5 standard errors but once in ten thousand seeds.
    assert 0 < figures["worst_z"] < 4.5
    assert figures["best_split_of_six"]["4 stations"]["buffers"] == [2, 2, 2]
    assert figures["job_shops"] == "no published job shops at nowhere"
