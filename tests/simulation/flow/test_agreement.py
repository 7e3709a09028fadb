"""The compiled kernel gives the bits of the plain loop, over the whole vocabulary."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mirrorworld.simulation.flow import kernel, reference
from mirrorworld.simulation.flow.distributions import Distribution as D
from mirrorworld.simulation.flow.model import (
    UNBOUNDED,
    Breakdown,
    Buffer,
    Drain,
    FlowError,
    FlowModel,
    Link,
    PartType,
    Source,
    Station,
    line,
)
from mirrorworld.simulation.flow.plan import capacity
from mirrorworld.simulation.flow.results import Doing, Ending, Result
from tests.simulation.flow.agreement import assert_same
from tests.simulation.flow.random_models import random_model

SHAPES = st.integers(0, 2**32).map(random.Random)
SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@pytest.fixture(autouse=True, scope="module")
def _few_steps() -> Iterator[None]:
    """Parts that go round in no time are stopped sooner than the plain loop takes for a million."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "MOST_STEPS", 2_000)
        patch.setattr(kernel, "MOST_STEPS", 2_000)
        yield


def any_model(rng: random.Random) -> FlowModel:
    """One that may be written: an assembly drawn behind an unfit loop is drawn again."""
    while True:
        try:
            return random_model(rng)
        except FlowError:
            continue


@settings(max_examples=30, **SLOW)
@given(SHAPES, st.integers(0, 2**63))
def test_any_line_runs_the_same(rng: random.Random, seed: int) -> None:
    model = any_model(rng)
    how = {
        "seed": seed,
        "horizon_s": 40.0,
        "warm_up_s": rng.choice((0.0, 5.0)),
        "trace_rows": rng.choice((0, 50, 400)),
        "max_events": 600,
        "critical": True,
    }
    plain = reference.run(model, **how)
    assert_same(kernel.run(model, **how), plain)
    # Every server does exactly one thing at any time.
    span = plain.shares[0, [isinstance(n, Station) for n in model.nodes]].sum(axis=1)
    # (A run that was stopped before its warm-up has no time to share.)
    assert span == pytest.approx(np.ones(len(span))) or not span.any()


def test_many_lines_run_the_same() -> None:
    """A fixed lot, so that every element is among them whatever is drawn above."""
    seen = set()
    for seed in range(40):
        model = any_model(random.Random(seed))
        plain = reference.run(model, seed=seed, horizon_s=30.0, max_events=600)
        assert_same(kernel.run(model, seed=seed, horizon_s=30.0, max_events=600), plain)
        seen |= {type(node).__name__ for node in model.nodes} | {plain.ending[0]}
        seen |= {name for name in ("pools", "fleets", "loops", "calendars") if getattr(model, name)}
    assert seen >= {"Source", "Drain", "Buffer", "Conveyor", "Station", Ending.HORIZON}
    assert seen >= {"pools", "fleets", "loops", "calendars"}


def plain_line(rng: random.Random) -> FlowModel:
    """Of those that the lean loop runs."""

    def time(mean: float) -> D:
        return rng.choice((D.exponential(mean), D.constant(mean), D.gamma(mean, 0.5)))

    count = rng.choice((1, 2, 3, 6))
    stations = tuple(
        Station(
            f"s{i}",
            time(1),
            breakdowns=tuple(
                Breakdown(f"b{j}", time(8), time(3)) for j in range(rng.choice((0, 0, 1, 2)))
            ),
        )
        for i in range(count)
    )
    model = line(
        "plain",
        stations,
        tuple(rng.choice((0, 1, 2, UNBOUNDED)) for _ in range(count - 1)),
        interarrival=rng.choice((None, time(1.2))),
    )
    nodes, links = list(model.nodes), list(model.links)
    types = (PartType("t", 1.5, 0.3, 0, 6.0),) if rng.random() < 0.3 else ()
    nodes[0] = dataclasses.replace(
        nodes[0],
        limit=rng.choice((UNBOUNDED, 0, 1, 30)),
        queue=rng.choice((UNBOUNDED, 1, 3)),
        mix=(("t", 1.0),) if types else nodes[0].mix,  # pyright: ignore
    )
    if rng.random() < 0.4:
        nodes.insert(1, Buffer("before", rng.choice((1, 3))))
        links = [Link("source", "before"), Link("before", "s0"), *links[1:]]
    return dataclasses.replace(model, nodes=tuple(nodes), links=tuple(links), part_types=types)


@settings(max_examples=30, **SLOW)
@given(SHAPES, st.integers(0, 2**63))
def test_the_lean_loop_is_the_same_run(rng: random.Random, seed: int) -> None:
    model = plain_line(rng)
    how = {
        "seed": seed,
        "replications": 2,
        "horizon_s": 100.0,
        "warm_up_s": rng.choice((0.0, 7.0, 20.0)),
        "max_events": rng.choice((10**6, 150)),
    }
    lean, plain = kernel.run(model, **how), reference.run(model, **how)
    assert_same(lean, plain)
    # With a trace the general loop runs: a third way to the same run.
    general = kernel.run(model, trace_rows=1, **how)
    assert_same(dataclasses.replace(general, trace=None), plain)


def test_memory_grows_while_it_runs() -> None:
    """Thousands of parts wait, leave and are logged: every region moves several times."""
    model = line("grows", (Station("slow", D.exponential(2)),), (), interarrival=D.exponential(1))
    bypass = dataclasses.replace(
        model,
        nodes=(model.nodes[0], Buffer("pile", stay=D.uniform(0, 500)), *model.nodes[1:]),
        links=(Link("source", "pile"), Link("pile", "slow"), *model.links[1:]),
    )
    for one in (model, bypass):
        how = {"seed": 5, "horizon_s": 3000.0, "critical": True}
        assert_same(kernel.run(one, **how), reference.run(one, **how))


def test_a_time_that_is_no_number_ends_both_alike() -> None:
    bad = D.weibull(0.001, 1e300)
    for stations in (
        (Station("a", bad),),
        (Station("a", D.constant(1), servers=2), Station("b", bad)),
    ):
        model = line("bad", stations, (0,) * (len(stations) - 1))
        endings = set()
        for seed in range(8):
            found = kernel.run(model, seed=seed, horizon_s=100)
            assert_same(found, reference.run(model, seed=seed, horizon_s=100))
            endings.add((found.ending[0], found.detail[0]))
        assert (Ending.NOT_A_NUMBER, f"{stations[-1].name}.process: inf s") in endings


@settings(max_examples=30, **SLOW)
@given(SHAPES, st.integers(0, 2**63))
def test_no_part_is_lost_or_made(rng: random.Random, seed: int) -> None:
    """In = out + scrap + in the line, for lines that neither join nor part; and Little's law."""
    model = any_model(rng)
    if any(isinstance(n, Station) and (n.takes or n.gives) for n in model.nodes):
        return
    nodes = tuple(
        dataclasses.replace(n, limit=15) if isinstance(n, Source) else n for n in model.nodes
    )
    model = dataclasses.replace(model, nodes=nodes)
    found = kernel.run(model, seed=seed, horizon_s=2000.0, max_events=20_000)
    sources = [i for i, n in enumerate(nodes) if isinstance(n, Source)]
    entered = int(found.jobs[0, sources].sum())
    assert_links_add_up(model, found)
    left = int(found.made.sum() + found.scrapped[0])
    assert left <= entered <= 15 * len(sources) - found.lost[0]
    if found.ending[0] is Ending.EXHAUSTED:
        assert left == entered == 15 * len(sources) - found.lost[0]
        # Where no work takes time the run is over at once, and has no rate.
        if found.scrapped[0] == 0 and found.throughput_per_s[0] > 0:
            end_s = left / found.throughput_per_s[0]
            assert found.wip[0] * end_s == pytest.approx(found.lead_time_s[0] * left)


def assert_links_add_up(model: FlowModel, found: Result) -> None:
    """What came over links and what left over them differ by what a node still holds."""
    names = [node.name for node in model.nodes]
    came, went = np.zeros(len(names)), np.zeros(len(names))
    for link, parts in zip(model.links, found.moved[0], strict=True):
        went[names.index(link.source)] += parts
        came[names.index(link.target)] += parts
    assert found.scrapped_at.sum() == found.scrapped[0]
    held = came - went - found.scrapped_at[0]
    for i, node in enumerate(model.nodes):
        if isinstance(node, Drain):
            assert came[i] == found.jobs[0, i]
        elif isinstance(node, Source):
            # What a vehicle carries has left and has not come.
            assert went[i] <= found.jobs[0, i] <= went[i] + sum(f.vehicles for f in model.fleets)
        elif not model.fleets:
            assert 0 <= held[i] <= capacity(node)


def test_more_room_never_makes_a_line_slower() -> None:
    """On common random numbers, part by part (monotone in buffers)."""
    made = [
        kernel.run(
            line(
                "line",
                tuple(Station(f"s{i}", D.exponential(1)) for i in range(5)),
                (room,) * 4,
            ),
            seed=9,
            horizon_s=3000.0,
        ).made.sum()
        for room in (0, 1, 2, 4, 8)
    ]
    assert made == sorted(made)
    assert made[0] < made[-1]


def test_a_trace_tells_the_shares() -> None:
    """Rows of the trace, put together, are the shares of the result."""
    model = line("line", tuple(Station(f"s{i}", D.exponential(1)) for i in range(3)), (1, 1))
    found = kernel.run(model, seed=2, horizon_s=50.0, trace_rows=10_000)
    trace = found.trace
    assert trace is not None and not trace.is_cut
    for node in (1, 3, 5):
        rows = np.flatnonzero(trace.node == node)
        spans = np.diff(np.append(trace.time_s[rows], 50.0))
        shares = np.bincount(trace.doing[rows], spans, len(Doing)) / 50.0
        assert shares == pytest.approx(found.shares[0, node])
