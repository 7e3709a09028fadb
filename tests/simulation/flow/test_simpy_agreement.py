"""SimPy, an engine that others wrote, runs the same lines on the same samples: the same bits."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import simpy

from mirrorworld.simulation.flow import kernel, reference
from mirrorworld.simulation.flow.distributions import Distribution as D
from mirrorworld.simulation.flow.model import (
    Breakdown,
    FlowModel,
    Need,
    Pool,
    Source,
    Station,
    line,
)
from mirrorworld.simulation.flow.results import Doing
from mirrorworld.simulation.flow.streams import Purpose, stream_key

PARTS = 150
PLACES = 2
SEED = 11


def draws(how: D, name: str, purpose: Purpose) -> Iterator[float]:
    key = stream_key(SEED, 0, name, purpose)
    n = 0
    while True:
        yield how.draw(key, n)
        n += 1


def simpy_finishes(stations: list[Station], operators: int) -> list[list[float]]:
    """When each station finished its jobs. Buffers are stores, operators a resource."""
    env = simpy.Environment()
    people = simpy.Resource(env, operators) if operators else None
    supply = simpy.Store(env)
    supply.items = [True] * PARTS
    stores: list[Any] = [supply, *(simpy.Store(env, PLACES) for _ in stations[1:])]
    finished: list[list[float]] = [[] for _ in stations]

    def work(
        station: Station, ages: list[float], process: Iterator[float], chance: list[Any]
    ) -> Any:
        left = next(process)
        while True:
            stretch, mode = left, -1
            for i, age in enumerate(ages):
                if age < stretch:
                    stretch, mode = age, i
            yield env.timeout(stretch)
            left -= stretch
            for i in range(len(ages)):
                ages[i] -= stretch
            if mode == -1:
                return
            yield env.timeout(next(chance[mode][1]))
            ages[mode] = next(chance[mode][0])

    def serve(i: int, station: Station) -> Any:
        process = draws(station.process, station.name, Purpose.PROCESS)
        chance = [
            (
                draws(b.between, f"{station.name}/{b.name}", Purpose.FAIL),
                draws(b.repair, f"{station.name}/{b.name}", Purpose.REPAIR),
            )
            for b in station.breakdowns
        ]
        ages = [next(between) for between, _ in chance]
        for _ in range(PARTS):
            yield stores[i].get()
            if people is None:
                yield from work(station, ages, process, chance)
                finished[i].append(env.now)
            else:
                with people.request() as request:
                    yield request
                    yield from work(station, ages, process, chance)
                    finished[i].append(env.now)
            if i < len(stations) - 1:
                yield stores[i + 1].put(True)

    for i, station in enumerate(stations):
        env.process(serve(i, station))
    env.run()
    return finished


def model_of(stations: list[Station], operators: int) -> FlowModel:
    model = line("line", tuple(stations), (PLACES,) * (len(stations) - 1))
    nodes = tuple(
        dataclasses.replace(n, limit=PARTS)
        if isinstance(n, Source)
        else dataclasses.replace(n, needs=(Need("people"),))
        if operators and isinstance(n, Station)
        else n
        for n in model.nodes
    )
    pools = (Pool("people", ((operators, ()),)),) if operators else ()
    return dataclasses.replace(model, nodes=nodes, pools=pools)


FAILS = (
    Breakdown("tool", D.exponential(15), D.gamma(4, 0.5)),
    Breakdown("jam", D.weibull(2, 9), D.exponential(1)),
)


@pytest.mark.parametrize("operators", [0, 1, 2])
@pytest.mark.parametrize("breakdowns", [(), FAILS], ids=["sound", "failing"])
def test_finishes_are_those_of_simpy(operators: int, breakdowns: tuple[Breakdown, ...]) -> None:
    stations = [
        Station("saw", D.exponential(1.0), breakdowns=breakdowns),
        Station("drill", D.gamma(1.2, 0.5)),
        Station("mill", D.uniform(0.2, 1.8), breakdowns=breakdowns[:1]),
        Station("wash", D.lognormal(0.9, 0.8)),
    ]
    model = model_of(stations, operators)
    want = simpy_finishes(stations, operators)
    for engine in (reference, kernel):
        trace = engine.run(model, seed=SEED, trace_rows=20_000).trace
        assert trace is not None and not trace.is_cut
        for i, station in enumerate(stations):
            node = [n.name for n in model.nodes].index(station.name)
            is_finish = (trace.node == node) & (trace.doing == Doing.BLOCKED)
            assert np.array_equal(trace.time_s[is_finish], want[i])
