"""The recurrence as an engine: the same run as the plain event loop, and what it refuses."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from mirrorworld.simulation.flow import recurrence, reference
from mirrorworld.simulation.flow.distributions import Distribution as D
from mirrorworld.simulation.flow.model import (
    Basis,
    Breakdown,
    Buffer,
    Drain,
    Energy,
    FlowError,
    FlowModel,
    Link,
    Need,
    PartType,
    Pool,
    Source,
    Station,
    line,
)
from mirrorworld.simulation.flow.results import Ending
from mirrorworld.simulation.flow.streams import Purpose, stream_key

WORK = tuple(
    Station(f"s{i}", how, energy=Energy(busy_w=100, idle_w=10, down_w=5), cost_per_h=3)
    for i, how in enumerate((D.exponential(10), D.gamma(9, 0.5), D.uniform(5, 15), D.constant(9)))
)


def limited(model: FlowModel, parts: int) -> FlowModel:
    nodes = tuple(
        dataclasses.replace(n, limit=parts) if isinstance(n, Source) else n for n in model.nodes
    )
    return dataclasses.replace(model, nodes=nodes)


def fed(model: FlowModel, capacity: int, between: D) -> FlowModel:
    """With arrivals and a buffer before the first station."""
    first = model.links[0].target
    return dataclasses.replace(
        model,
        nodes=(Source("source", between), Buffer("front", capacity), *model.nodes[1:]),
        links=(Link("source", "front"), Link("front", first), *model.links[1:]),
    )


SERIAL = line("serial", WORK, (2, 0, 3))
SEVERAL = line(
    "several servers",
    tuple(
        dataclasses.replace(s, servers=c, process=s.process.scaled(c))
        for s, c in zip(WORK, (2, 1, 3, 1), strict=True)
    ),
    (1, 2, 0),
)
FAILING = line(
    "failing",
    tuple(
        dataclasses.replace(
            s,
            breakdowns=(
                Breakdown("jam", D.exponential(80), D.gamma(12, 0.7)),
                Breakdown("tool", D.weibull(2, 400), D.constant(60)),
            ),
        )
        if i != 2
        else s
        for i, s in enumerate(WORK)
    ),
    (3, 1, 4),
)
ASSEMBLY = FlowModel(
    "assembly",
    (
        Source("bodies"),
        Source("lids"),
        Station("body", D.exponential(10)),
        Station("lid", D.gamma(10, 0.5)),
        Buffer("lids in", 2),
        Station("join", D.uniform(6, 12), takes=(("body", 1), ("lids in", 1))),
        Buffer("joined", 1),
        Station("part", D.exponential(8), gives=(("box", 1, ""), ("bag", 1, ""))),
        Station("box", D.exponential(9)),
        Station("bag", D.exponential(7)),
        Drain("out"),
        Drain("away"),
    ),
    (
        Link("bodies", "body"),
        Link("lids", "lid"),
        Link("body", "join"),
        Link("lid", "lids in"),
        Link("lids in", "join"),
        Link("join", "joined"),
        Link("joined", "part"),
        Link("part", "box"),
        Link("part", "bag"),
        Link("box", "out"),
        Link("bag", "away"),
    ),
)
MODELS = {
    "serial": SERIAL,
    "serial, of so many parts": limited(SERIAL, 150),
    "arrivals": line("fed", WORK, (2, 0, 3), interarrival=D.exponential(13)),
    "arrivals into a buffer": fed(SERIAL, 2, D.exponential(13)),
    "arrivals into a large buffer": fed(SERIAL, 10**6, D.exponential(13)),
    "several servers": SEVERAL,
    "several servers, of so many parts": limited(SEVERAL, 150),
    "several servers fed": fed(SEVERAL, 3, D.exponential(14)),
    "failing": FAILING,
    "assembly": ASSEMBLY,
    "due and material": dataclasses.replace(
        SERIAL,
        nodes=(Source("source", mix=(("bottle", 1.0),)), *SERIAL.nodes[1:]),
        part_types=(PartType("bottle", 2.5, 0.4, due_s=95.0),),
    ),
}
# Repairs of jobs that the ends of the window cut are shared by time: a part in so many.
LOOSE = {"failing": ("shares", "energy_j", "cost", "carbon_kg")}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("warm_up_s", [0.0, 500.0])
def test_it_is_the_same_run_as_that_of_the_event_loop(name: str, warm_up_s: float) -> None:
    model = MODELS[name]
    horizon_s = math.inf if "so many" in name else 3_000.0
    options = {"seed": 3, "replications": 2, "horizon_s": horizon_s, "warm_up_s": warm_up_s}
    got = recurrence.run(model, **options)
    want = reference.run(model, **options)
    for field in dataclasses.fields(want):
        if field.name in ("engine", "events", "trace", "extra"):
            continue
        a, b = getattr(got, field.name), getattr(want, field.name)
        if isinstance(b, np.ndarray) and b.dtype == float:
            tolerance = 0.02 if field.name in LOOSE.get(name, ()) else 1e-9
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=field.name)
        else:
            assert np.array_equal(a, b), field.name
    assert got.engine == "recurrence" and got.made.sum() > 100
    assert (got.ending[0] is Ending.EXHAUSTED) == math.isinf(horizon_s)


def test_samples_are_those_of_the_streams() -> None:
    how = [
        D.exponential(1),
        D.gamma(2, 0.5),
        D.mixture([(1, D.constant(1)), (1, D.exponential(3))]),
    ]
    s = recurrence.line_samples(["a", "b", "c"], how, 50, seed=4)
    for i, (name, one) in enumerate(zip("abc", how, strict=True)):
        key = stream_key(4, 0, name, Purpose.PROCESS)
        assert [one.draw(key, n) for n in range(50)] == s[:, i].tolist()


def changed(**changes: object) -> FlowModel:
    stations = (dataclasses.replace(WORK[0], **changes), *WORK[1:])
    return dataclasses.replace(
        SERIAL,
        nodes=(SERIAL.nodes[0], stations[0], *SERIAL.nodes[2:]),
        pools=(Pool("people", ((1, ()),)),) if "needs" in changes else (),
    )


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (changed(scrap=0.1), "serial/s0: the recurrence does not cover scrap"),
        (changed(needs=(Need("people"),)), "people or tools"),
        (
            changed(breakdowns=(Breakdown("x", D.constant(9), D.constant(1), Basis.CALENDAR),)),
            "calendar time",
        ),
        (
            FlowModel(
                "two roads",
                (Source("in"), WORK[0], WORK[1], Drain("out")),
                (Link("in", "s0"), Link("in", "s1"), Link("s0", "out"), Link("s1", "out")),
            ),
            "a choice between links",
        ),
        (
            FlowModel(
                "buffers in a row",
                (Source("in"), Buffer("a", 1), Buffer("b", 1), WORK[0], Drain("out")),
                (Link("in", "a"), Link("a", "b"), Link("b", "s0"), Link("s0", "out")),
            ),
            "buffers in a row/a: the recurrence does not cover a buffer behind a buffer",
        ),
    ],
)
def test_what_it_does_not_cover_is_named(model: FlowModel, says: str) -> None:
    assert says in recurrence.why_not(model)
    with pytest.raises(FlowError, match="use the event kernel"):
        recurrence.run(model, seed=1, horizon_s=10)


def test_what_never_ends_is_named() -> None:
    assert recurrence.why_not(SERIAL) == ""
    with pytest.raises(FlowError, match="never ends"):
        recurrence.run(SERIAL, seed=1)
    with pytest.raises(FlowError, match="no time passes"):
        recurrence.run(line("x", (Station("a", D.constant(0)),), ()), seed=1, horizon_s=10)
    with pytest.raises(FlowError, match="parts in a run"):
        recurrence.run(SERIAL, seed=1, horizon_s=1e12)
    with pytest.raises(FlowError, match="warm-up"):
        recurrence.run(SERIAL, seed=1, horizon_s=10, warm_up_s=20)
