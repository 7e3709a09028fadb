"""Lines: how fast each engine is, and whether all give the same times.

A saturated serial line of exponential stations with two places between neighbours. SimPy and
salabim run the same samples in the same call, the event kernel the same streams. Rates are of
CPU time, medians over rounds, compiling not counted. The engines count events differently, so
there are part-operations (parts × stations) beside them.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorworld.bench.flow_peers import salabim_line, simpy_line
from mirrorworld.simulation.flow import kernel
from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.max_plus import departures, lanes
from mirrorworld.simulation.flow.model import FlowModel, Source, Station, line
from mirrorworld.simulation.flow.recurrence import line_samples

PLACES = 2
SEED = 1


def run(
    stations: int = 10,
    parts: int = 20_000,
    peer_parts: int = 2_000,
    lanes_parts: int = 2_000,
    designs: int = 1_600,
    kernel_parts: int = 20_000,
    rounds: int = 7,
) -> dict[str, Any]:
    """Part-operations and events per CPU second; whether the times are SimPy's, bit by bit."""
    names = [f"station {i}" for i in range(stations)]
    how = [Distribution.exponential(10.0)] * stations
    buffers = np.full(stations - 1, PLACES)
    samples = line_samples(names, how, parts, seed=SEED)
    operations = parts * stations
    repeats = max(1, 2_000_000 // operations)
    single = _rate(lambda: departures(samples, buffers), operations, rounds, repeats)
    drawn = _rate(
        lambda: departures(line_samples(names, how, parts, seed=SEED), buffers),
        operations,
        rounds,
        1,
    )
    rng = np.random.default_rng(SEED)
    scales = rng.uniform(0.8, 1.2, (designs, stations))
    places = rng.integers(0, 20, (designs, stations - 1))
    few = samples[:lanes_parts]
    many = _rate(lambda: lanes(few, scales, places), designs * few.size, rounds, 1)
    peers = _peers(samples[:peer_parts], buffers)
    return {
        "stations": stations,
        "parts": parts,
        "part_ops_per_cpu_s": round(single),
        "drawn_part_ops_per_cpu_s": round(drawn),
        "lanes_part_ops_per_cpu_s": round(many),
        "lanes_designs": designs,
        **peers,
        **_events(line_model(names, how, kernel_parts), kernel_parts * stations, rounds),
    }


def line_model(names: list[str], how: list[Distribution], parts: int) -> FlowModel:
    """The bench's line, of so many parts."""
    stations = tuple(Station(name, one) for name, one in zip(names, how, strict=True))
    model = line("bench", stations, (PLACES,) * (len(names) - 1))
    nodes = tuple(
        dataclasses.replace(node, limit=parts) if isinstance(node, Source) else node
        for node in model.nodes
    )
    return dataclasses.replace(model, nodes=nodes)


def _rate(call: Callable[[], Any], operations: int, rounds: int, repeats: int) -> float:
    call()
    rates: list[float] = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(repeats):
            call()
        rates.append(operations * repeats / (time.process_time() - began))
    return statistics.median(rates)


def _peers(samples: NDArray[np.float64], buffers: NDArray[np.int64]) -> dict[str, Any]:
    want = departures(samples, buffers)
    figures: dict[str, Any] = {"peer_parts": len(samples)}
    for name, peer in (("simpy", simpy_line), ("salabim", salabim_line)):
        got = peer(samples, PLACES)
        figures |= {
            f"{name}_events_per_cpu_s": round(got["events"] / got["cpu_s"]),
            f"{name}_part_ops_per_cpu_s": round(samples.size / got["cpu_s"]),
            f"{name}_bit_identical": bool(np.array_equal(got["left"], want)),
            f"{name}_max_abs_difference_s": float(np.abs(got["left"] - want).max()),
        }
    figures["bit_identical"] = figures["simpy_bit_identical"]
    return figures


def _events(model: FlowModel, operations: int, rounds: int) -> dict[str, Any]:
    kernel.run(model, seed=SEED)
    rates: list[float] = []
    events = 0
    for _ in range(rounds):
        began = time.process_time()
        events = int(kernel.run(model, seed=SEED).events.sum())
        rates.append(1 / (time.process_time() - began))
    rate = statistics.median(rates)
    return {
        "events_per_cpu_s": round(events * rate),
        "kernel_part_ops_per_cpu_s": round(operations * rate),
        "kernel_events": events,
    }
