"""The derivative along the way of causes, against finite differences on common random numbers."""

from __future__ import annotations

import dataclasses
import math

import pytest

from mirrorworld.simulation.flow import kernel
from mirrorworld.simulation.flow.bottleneck import bottlenecks, throughput_by_scale
from mirrorworld.simulation.flow.distributions import Distribution as D
from mirrorworld.simulation.flow.model import (
    Breakdown,
    FlowError,
    FlowModel,
    Need,
    Pool,
    Source,
    Station,
    line,
)
from mirrorworld.simulation.flow.plan import plan


def limited(model: FlowModel, parts: int) -> FlowModel:
    nodes = tuple(
        dataclasses.replace(n, limit=parts) if isinstance(n, Source) else n for n in model.nodes
    )
    return dataclasses.replace(model, nodes=nodes)


def scaled(model: FlowModel, name: str, factor: float) -> FlowModel:
    nodes = tuple(
        dataclasses.replace(n, process=n.process.scaled(factor)) if n.name == name else n  # pyright: ignore
        for n in model.nodes
    )
    return dataclasses.replace(model, nodes=nodes)


MEANS = (1.0, 1.2, 0.9, 1.1)
SERIAL = limited(
    line(
        "serial", tuple(Station(f"s{i}", D.exponential(m)) for i, m in enumerate(MEANS)), (1, 0, 2)
    ),
    200,
)
FAILING = limited(
    line(
        "with people",
        tuple(
            Station(
                f"s{i}",
                D.gamma(m, 0.5),
                breakdowns=(Breakdown("b", D.exponential(30), D.exponential(3)),),
            )
            for i, m in enumerate(MEANS)
        ),
        (1, 1, 2),
    ),
    80,
)
NEEDS = dataclasses.replace(
    FAILING,
    nodes=tuple(
        dataclasses.replace(n, needs=(Need("people"),)) if isinstance(n, Station) else n
        for n in FAILING.nodes
    ),
    pools=(Pool("people", ((2, ()),)),),
)


@pytest.mark.parametrize("model", [SERIAL, NEEDS], ids=lambda m: m.name)
def test_it_is_the_slope_of_the_run(model: FlowModel) -> None:
    found = kernel.run(model, seed=4, critical=True)
    elements = plan(model).elements
    step = 1e-7
    for i in range(len(MEANS)):
        by_path = float(found.extra["critical_s"][0, elements.index(f"s{i}.process")])
        ends = [
            80 / r.throughput_per_s[0] if model is NEEDS else 200 / r.throughput_per_s[0]
            for r in (
                kernel.run(scaled(model, f"s{i}", 1 + h), seed=4, horizon_s=math.inf)
                for h in (-step, step)
            )
        ]
        assert (ends[1] - ends[0]) / (2 * step) == pytest.approx(by_path, rel=1e-5, abs=1e-4)


def test_causes_add_up_to_the_time_of_the_last_part() -> None:
    found = kernel.run(SERIAL, seed=4, critical=True)
    assert found.extra["critical_s"].sum() == pytest.approx(200 / found.throughput_per_s[0])


def test_the_slowest_station_is_named_first() -> None:
    slow = tuple(Station(f"s{i}", D.exponential(3 if i == 2 else 1)) for i in range(4))
    model = limited(line("slow", slow, (2, 2, 2)), 300)
    found = kernel.run(model, seed=1, replications=3, critical=True)
    ranked = bottlenecks(model, found)
    assert ranked[0].element == "s2.process"
    assert ranked[0].share > 0.8
    assert sum(one.share for one in ranked) == pytest.approx(1)
    assert ranked[0].throughput_by_scale == pytest.approx(
        throughput_by_scale(found)[:, plan(model).elements.index("s2.process")].mean()
    )
    assert ranked[0].half_width > 0


def test_without_causes_it_says_how_to_get_them() -> None:
    with pytest.raises(FlowError, match="critical=True"):
        bottlenecks(SERIAL, kernel.run(SERIAL, seed=1))
