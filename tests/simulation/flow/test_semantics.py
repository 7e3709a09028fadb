"""What docs/guide/flow.md states, case by case, in lines that can be followed by hand."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mirrorworld.simulation.flow import kernel, reference
from mirrorworld.simulation.flow.distributions import Distribution as D
from mirrorworld.simulation.flow.model import (
    Basis,
    Breakdown,
    Buffer,
    Calendar,
    Conveyor,
    Drain,
    Fleet,
    FlowError,
    FlowModel,
    Link,
    Loop,
    Maintenance,
    Need,
    PartType,
    Pool,
    Segment,
    Setup,
    Source,
    Station,
)
from mirrorworld.simulation.flow.results import Doing, Ending

C = D.constant
ENGINES = pytest.mark.parametrize("run", [reference.run, kernel.run], ids=["reference", "kernel"])
Run = Callable[..., Any]


def chain(*nodes: Any, **around: Any) -> FlowModel:
    """Nodes one after the other."""
    links = tuple(Link(a.name, b.name) for a, b in itertools.pairwise(nodes))
    return FlowModel("m", nodes, around.pop("links", links), **around)


def source(limit: int = 3, between: float | None = None, **how: Any) -> Source:
    return Source("in", None if between is None else C(between), limit=limit, **how)


OUT = Drain("out")
SINGLE = Source("in", mix=(("x", 1.0),), limit=1)


def leads(run: Run, model: FlowModel, **how: Any) -> Any:
    return run(model, **{"seed": 1, "horizon_s": 1000.0, "trace_rows": 1000, **how})


def changes(found: Any, node: int, doing: Doing) -> list[float]:
    trace = found.trace
    return trace.time_s[(trace.node == node) & (trace.doing == doing)].tolist()


@ENGINES
def test_a_finished_part_keeps_its_server(run: Run) -> None:
    found = leads(run, chain(source(), Station("a", C(1)), Station("b", C(3)), OUT))
    assert changes(found, 1, Doing.BUSY) == [0, 1, 4]
    assert changes(found, 1, Doing.BLOCKED) == [1, 2, 5]
    assert changes(found, 2, Doing.BUSY) == [1, 4, 7]
    assert found.ending[0] is Ending.EXHAUSTED
    assert found.throughput_per_s[0] == pytest.approx(3 / 10)


@ENGINES
def test_a_breakdown_interrupts_and_the_end_of_a_job_goes_before_it(run: Run) -> None:
    failing = Station("a", C(4), breakdowns=(Breakdown("b", C(6), C(10)),))
    found = leads(run, chain(source(2), failing, OUT))
    assert changes(found, 1, Doing.DOWN) == [6]
    assert changes(found, 1, Doing.BLOCKED) == [4, 18]
    at_once = dataclasses.replace(failing, breakdowns=(Breakdown("b", C(4), C(10)),))
    assert changes(leads(run, chain(source(2), at_once, OUT)), 1, Doing.BLOCKED) == [4, 18]


@ENGINES
def test_calendar_time_ages_an_idle_machine(run: Run) -> None:
    idle = Station("a", C(1), breakdowns=(Breakdown("b", C(5), C(2), Basis.CALENDAR),))
    found = leads(run, chain(source(1, 20.0), idle, OUT))
    assert changes(found, 1, Doing.DOWN) == [5, 12, 19]
    assert changes(found, 1, Doing.BUSY) == [21]


@ENGINES
def test_work_stops_with_the_shift_and_goes_on_in_the_next(run: Run) -> None:
    shift = Calendar("shift", 10, ((0, 4),))
    found = leads(
        run, chain(source(2), Station("a", C(3), calendar="shift"), OUT, calendars=(shift,))
    )
    assert changes(found, 1, Doing.BLOCKED) == [3, 12]
    assert changes(found, 1, Doing.OFF)[0] == 4


@ENGINES
def test_maintenance_waits_for_the_job_to_end(run: Run) -> None:
    work = Maintenance("m", C(5), every_s=2.0)
    found = leads(run, chain(source(2), Station("a", C(3), maintenance=(work,)), OUT))
    assert changes(found, 1, Doing.MAINTENANCE)[:2] == [3, 11]
    assert changes(found, 1, Doing.BUSY) == [0, 8]


@ENGINES
def test_one_that_cannot_be_served_holds_up_none(run: Run) -> None:
    """Two of three operators are out; who needs two waits, who needs one goes before."""
    one = (Need("people", 1),)
    model = FlowModel(
        "m",
        (
            Source("i", C(1), limit=1), Source("j", C(2), limit=1), Source("k", C(3), limit=1),
            Station("long", C(10), needs=(Need("people", 2),)),
            Station("two", C(1), needs=(Need("people", 2),)), Station("one", C(1), needs=one), OUT,
        ),
        (
            Link("i", "long"), Link("j", "two"), Link("k", "one"),
            Link("long", "out"), Link("two", "out"), Link("one", "out"),
        ),
        pools=(Pool("people", ((3, ()),)),),
    )  # fmt: skip
    found = leads(run, model)
    assert changes(found, 5, Doing.BUSY) == [3]
    assert changes(found, 4, Doing.BUSY) == [11]
    assert found.pool_use[0, 0] == pytest.approx((2 * 10 + 2 + 1) / (3 * 12))


@ENGINES
def test_set_ups_come_with_another_type_only(run: Run) -> None:
    types = (PartType("x"), PartType("y"))
    model = chain(
        Source("in", C(1), (("x", 1.0), ("y", 1.0)), limit=60),
        Buffer("b"),
        Station("a", C(1), setup=Setup((("x", "y", C(2)), ("y", "x", C(5))))),
        OUT,
        part_types=types,
    )
    found = leads(run, model)
    trace = found.trace
    in_setup = changes(found, 2, Doing.SETUP)
    spans = [trace.time_s[trace.time_s > t].min() - t for t in in_setup]
    assert set(spans) <= {1.0, 2.0, 5.0} and len(in_setup) > 10
    least = dataclasses.replace(
        model,
        nodes=tuple(
            dataclasses.replace(n, rule=type(n.rule).LEAST_SETUP) if isinstance(n, Station) else n
            for n in model.nodes
        ),
    )
    fewer = leads(run, least)
    assert len(changes(fewer, 2, Doing.SETUP)) < len(in_setup)


@ENGINES
def test_an_assembly_takes_all_parts_at_once(run: Run) -> None:
    model = FlowModel(
        "m",
        (Source("i", C(1), limit=4), Source("j", C(5), limit=2), Buffer("p"), Buffer("q"),
         Station("a", C(1), takes=(("q", 1), ("p", 2))), OUT),
        (Link("i", "p"), Link("j", "q"), Link("p", "a"), Link("q", "a"), Link("a", "out")),
    )  # fmt: skip
    found = leads(run, model)
    assert changes(found, 4, Doing.BUSY) == [5, 10]
    assert found.made.sum() == 2
    assert found.lead_time_s[0] == 1.0


@ENGINES
def test_a_batch_starts_full_or_with_the_least(run: Run) -> None:
    oven = Station("oven", C(10), takes=(("b", 4),), is_batch=True, least_batch=2)
    found = leads(run, chain(source(6, 1.0), Buffer("b"), oven, OUT))
    assert changes(found, 2, Doing.BUSY) == [2, 12]
    assert found.jobs[0, 2] == 2 and found.made.sum() == 6


@ENGINES
def test_what_is_taken_apart_goes_where_it_is_given(run: Run) -> None:
    model = FlowModel(
        "m",
        (SINGLE, Station("a", C(1), gives=(("b", 1, "x"), ("c", 2, "y"))),
         Station("b", C(1)), Station("c", C(1)), OUT),
        (Link("in", "a"), Link("a", "b"), Link("a", "c"), Link("b", "out"), Link("c", "out")),
        part_types=(PartType("x", material_cost=3.0), PartType("y")),
    )  # fmt: skip
    found = leads(run, model)
    assert found.made.tolist() == [[1, 2]]
    assert found.cost[0] == pytest.approx(3.0)
    assert changes(found, 3, Doing.BUSY) == [1, 2]


@ENGINES
def test_a_conveyor_keeps_distance_and_accumulates(run: Run) -> None:
    belt = Conveyor("belt", length_m=4, speed_m_s=1, pitch_m=1)
    found = leads(run, chain(source(6), belt, Station("a", C(5)), OUT))
    rows = found.trace.node == 1
    steps = np.diff(found.trace.held[rows], prepend=0)
    # A pitch apart; the fifth enters when the first has left, the sixth when the second has.
    assert found.trace.time_s[rows][steps > 0].tolist() == [0, 1, 2, 3, 4, 9]
    assert changes(found, 2, Doing.BUSY) == [4, 9, 14, 19, 24, 29]


@ENGINES
def test_a_loop_lets_in_no_more_than_its_limit(run: Run) -> None:
    model = chain(
        source(5), Station("a", C(1)), Buffer("b"), Station("c", C(4)), OUT,
        loops=(Loop("conwip", ("a", "b", "c"), 2),),
    )  # fmt: skip
    found = leads(run, model)
    assert changes(found, 1, Doing.BUSY) == [0, 1, 5, 9, 13]


@ENGINES
def test_hot_parts_go_first(run: Run) -> None:
    types = (PartType("x", hot_share=0.3),)
    model = chain(
        Source("in", C(1), (("x", 1.0),), limit=200), Buffer("b"), Station("a", C(1.2)), OUT,
        part_types=types,
    )  # fmt: skip
    cold = dataclasses.replace(model, part_types=(PartType("x"),))
    assert leads(run, model).lead_time_p95_s[0] > leads(run, cold).lead_time_p95_s[0]
    assert leads(run, model).lead_time_s[0] == pytest.approx(leads(run, cold).lead_time_s[0])


@ENGINES
def test_vehicles_drive_empty_to_where_a_part_waits(run: Run) -> None:
    fleet = Fleet("cart", 1, travel=C(2), load=C(1), unload=C(1))
    model = chain(
        source(2), Station("a", C(1)), Station("b", C(1)), OUT,
        links=(Link("in", "a"), Link("a", "b", fleet="cart"), Link("b", "out")), fleets=(fleet,),
    )  # fmt: skip
    # Done at 1, cart there at 3, loaded at 4, there at 6, down at 7. At 8 b is free again and the
    # cart is called: there at 10, loaded at 11, back at 13, down at 14.
    assert changes(leads(run, model), 2, Doing.BUSY) == [7, 14]


@ENGINES
def test_vehicles_on_one_track_block_each_other(run: Run) -> None:
    """Two vehicles, one segment each way between two places, room for one."""
    fleet = Fleet(
        "agv", 2, speed_m_s=1, segments=(Segment("p", "q", 5), Segment("q", "p", 5)),
        places=(("a", "p"), ("b", "q")),
    )  # fmt: skip
    model = chain(
        source(2), Station("a", C(1)), Buffer("b"), OUT,
        links=(Link("in", "a"), Link("a", "b", fleet="agv"), Link("b", "out")), fleets=(fleet,),
    )  # fmt: skip
    found = leads(run, model)
    assert found.trace.time_s[found.trace.node == 2].tolist()[::2] == [6, 11]
    assert changes(found, 5, Doing.BLOCKED) == [2]


@ENGINES
def test_a_dead_end_names_the_circle(run: Run) -> None:
    """Rework comes back into the only place before its station, which waits for it to be free."""
    model = FlowModel(
        "m",
        (source(50), Buffer("b", 1), Station("a", C(1), rework=1.0), OUT),
        (Link("in", "b"), Link("b", "a"), Link("a", "out"), Link("a", "b", is_rework=True)),
    )
    found = leads(run, model)
    assert found.ending[0] is Ending.DEADLOCK
    assert found.detail[0] == "m: b waits for a waits for b"


@ENGINES
def test_parts_that_go_round_in_no_time_are_stopped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "MOST_STEPS", 500)
    monkeypatch.setattr(kernel, "MOST_STEPS", 500)
    model = FlowModel(
        "m",
        (SINGLE, Buffer("b"), Buffer("c"), OUT),
        (Link("in", "b"), Link("b", "c"), Link("c", "b"), Link("c", "out", types=("y",))),
        part_types=(PartType("x"), PartType("y")),
    )
    found = leads(run, model)
    assert found.ending[0] is Ending.EVENTS
    assert found.detail[0] == "m: parts go round in no time"


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (
            lambda: chain(source(), Buffer("b", 2), Station("a", C(1), takes=(("b", 3),)), OUT),
            "offers 2 at most",
        ),
        (
            lambda: chain(source(), Buffer("b"), OUT, loops=(Loop("l", ("in", "b"), 2),)),
            "leave it out",
        ),
    ],
)
def test_what_could_never_run_is_refused(model: Callable[[], FlowModel], says: str) -> None:
    with pytest.raises(FlowError, match=says):
        model()


def test_warm_up_must_lie_before_the_horizon() -> None:
    with pytest.raises(FlowError, match="warm-up < horizon"):
        reference.run(chain(source(), Buffer("b"), OUT), seed=1, horizon_s=5, warm_up_s=5)
