"""Derivatives along the critical path: how exact they are, and what they cost beside a run.

Samples are multiples of 2^-18 s and steps are 2^-22, so that every product and sum of the run is
exact in double precision and a difference quotient has no rounding error; what is left is the
error of the derivative itself. Where two ways change places within the step there is a kink and
no derivative; such cases are counted and left out.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.gradient import gradient
from mirrorworld.simulation.flow.max_plus import departures
from mirrorworld.simulation.flow.recurrence import line_samples

TICK, STEP = 2.0**-18, 2.0**-22


def run(stations: int = 10, parts: int = 2_000, seeds: int = 20, rounds: int = 9) -> dict[str, Any]:
    """max_relative_error over all stations and seeds; share_of_run: CPU time of the derivatives
    of all stations over that of a run that draws its samples; share_of_recurrence: over that of
    the recurrence alone, on samples that are there."""
    names = [f"station {i}" for i in range(stations)]
    how = [Distribution.exponential(1.0)] * stations
    worst, kinks, checked = 0.0, 0, 0
    for seed in range(seeds):
        buffers = np.random.default_rng(seed).integers(0, 6, stations - 1)
        samples = np.ceil(line_samples(names, how, parts, seed=seed) / TICK) * TICK
        left = departures(samples, buffers)
        slopes = gradient(samples, buffers, left).makespan_by_scale_s
        for i in range(stations):
            quotients: list[float] = []
            for sign in (1, -1):
                scale = np.ones(stations)
                scale[i] += sign * STEP
                later = departures(samples * scale, buffers)[-1, -1]
                quotients.append(float(later - left[-1, -1]) / (sign * STEP))
            if quotients[0] != quotients[1]:
                kinks += 1
                continue
            checked += 1
            size = abs(quotients[0]) or 1.0
            worst = max(worst, abs(slopes[i] - quotients[0]) / size)
    buffers = np.full(stations - 1, 2)
    samples = line_samples(names, how, parts, seed=seeds)
    left = departures(samples, buffers)
    walk_s = _cpu_s(lambda: gradient(samples, buffers, left), rounds)
    recurrence_s = _cpu_s(lambda: departures(samples, buffers), rounds)
    draw_s = _cpu_s(lambda: line_samples(names, how, parts, seed=seeds), rounds)
    return {
        "stations": stations,
        "parts": parts,
        "max_relative_error": worst,
        "derivatives_checked": checked,
        "kinks_left_out": kinks,
        "share_of_run": round(walk_s / (draw_s + recurrence_s), 4),
        "share_of_recurrence": round(walk_s / recurrence_s, 4),
        "gradient_us": round(walk_s * 1e6, 2),
        "recurrence_us": round(recurrence_s * 1e6, 2),
        "draw_us": round(draw_s * 1e6, 2),
    }


def _cpu_s(call: Callable[[], Any], rounds: int, repeats: int = 200) -> float:
    call()
    spent: list[float] = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(repeats):
            call()
        spent.append((time.process_time() - began) / repeats)
    return statistics.median(spent)
