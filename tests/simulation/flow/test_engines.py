"""Which engine runs what, and that they tell the same."""

from __future__ import annotations

import dataclasses

import pytest

from mirrorworld.simulation.flow import engines
from mirrorworld.simulation.flow.distributions import Distribution as D
from mirrorworld.simulation.flow.model import Breakdown, FlowError, Source, Station, line

LINE = line("line", tuple(Station(f"s{i}", D.exponential(1)) for i in range(3)), (1, 1))
CONSTANT = line("line", (Station("a", D.constant(1)), Station("b", D.exponential(1))), (1,))
SCRAP = line("line", (Station("a", D.exponential(1), scrap=0.1),), ())


def test_the_smallest_engine_that_tells_it_is_taken() -> None:
    assert engines.why(LINE).engine == "markov"
    assert engines.why(LINE, horizon_s=100).engine == "recurrence"
    assert engines.why(LINE, horizon_s=100, trace_rows=10).engine == "kernel"
    assert engines.why(CONSTANT).engine == "recurrence"
    choice = engines.why(SCRAP, horizon_s=100)
    assert choice.engine == "kernel"
    assert "a" in choice.reason


def test_without_numba_the_plain_loop_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "HAS_NUMBA", False)
    assert engines.why(SCRAP, horizon_s=10).engine == "reference"
    assert engines.run(SCRAP, seed=1, horizon_s=10).engine == "reference"


def test_the_chain_tells_the_long_run_exactly() -> None:
    found = engines.run(LINE, seed=1)
    assert found.engine == "markov"
    assert found.throughput_per_s[0] == pytest.approx(0.670466, abs=1e-6)
    stations = [1, 3, 5]
    assert found.shares[0, stations].sum(axis=1) == pytest.approx([1, 1, 1])


def test_the_chain_knows_breakdowns_and_a_bounded_queue() -> None:
    failing = Station(
        "s", D.exponential(1), breakdowns=(Breakdown("b", D.exponential(20), D.exponential(5)),)
    )
    model = line(
        "line", (failing, Station("t", D.exponential(1))), (2,), interarrival=D.exponential(1.5)
    )
    nodes = tuple(
        dataclasses.replace(n, queue=3) if isinstance(n, Source) else n for n in model.nodes
    )
    model = dataclasses.replace(model, nodes=nodes)
    exact = engines.run(model, seed=1)
    assert exact.engine == "markov"
    runs = engines.run(model, seed=1, horizon_s=40_000, warm_up_s=1_000, replications=4)
    assert runs.engine != "markov"
    assert runs.throughput_per_s.mean() == pytest.approx(exact.throughput_per_s[0], rel=0.015)
    assert runs.shares.mean(axis=0)[1] == pytest.approx(exact.shares[0, 1], abs=0.01)


def test_each_engine_can_be_named() -> None:
    for engine in ("recurrence", "kernel", "reference"):
        found = engines.run(LINE, seed=3, horizon_s=200, engine=engine)
        assert found.engine == engine
        assert found.made.sum() == engines.run(LINE, seed=3, horizon_s=200).made.sum()
    with pytest.raises(FlowError, match="simulate it"):
        engines.run(CONSTANT, seed=1, engine="markov")
    with pytest.raises(FlowError, match="there is auto"):
        engines.run(CONSTANT, seed=1, engine="quick")


def test_a_run_too_long_for_the_recurrence_is_stopped_by_events() -> None:
    found = engines.run(CONSTANT, seed=1, max_events=500)
    assert found.engine == "kernel"
    assert found.ending[0].value == "events"


def test_what_never_ends_is_refused_by_name() -> None:
    with pytest.raises(FlowError, match="line/source: never ends"):
        engines.run(SCRAP, seed=1)
