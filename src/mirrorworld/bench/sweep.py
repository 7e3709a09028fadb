"""A million designs of a line on common random numbers, and the best of them run by events.

Ten exponential stations whose service times are scaled by 0.8 to 1.2 and whose buffers have 0 to
19 places; 2,000 parts each, of which 200 warm up. The hundred best are run again by the event
kernel: once compared with the sweep, which scales what was drawn, and once, bit by bit, with the
recurrence on what the kernel draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.max_plus import lanes
from mirrorworld.simulation.flow.recurrence import line_samples
from mirrorworld.simulation.flow.results import Result
from mirrorworld.simulation.flow.sweep import at_random, sweep, verify

SEED = 1
ENGINE: Callable[..., Result] | None = None
"""What runs the best again; None: the compiled event kernel."""


def run(
    designs: int = 1_000_000,
    stations: int = 10,
    parts: int = 2_000,
    keep: int = 100,
    workers: int = 1,
) -> dict[str, Any]:
    """cpu_s of the sweep with making the designs; how many were run again and how far off."""
    names = [f"station {i}" for i in range(stations)]
    how = [Distribution.exponential(10.0)] * stations
    samples = line_samples(names, how, parts, seed=SEED)
    make = at_random((0.8, 1.2), (0, 19), stations, SEED)
    lanes(samples, *make(0, 1))
    began = time.process_time()
    found = sweep(samples, make, designs, warm_up=parts // 10, workers=workers)
    cpu_s = time.process_time() - began
    best = found.best(keep)
    options: dict[str, Any] = {
        "parts": parts,
        "seed": SEED,
        "samples": samples,
        "engine": ENGINE,
    }
    verify(names, how, make, best[:1], **options)
    began = time.process_time()
    again = verify(names, how, make, best, **options)
    return {
        "designs": found.designs_done,
        "stations": stations,
        "parts": parts,
        "cpu_s": round(cpu_s, 2),
        "part_ops_per_cpu_s": round(designs * samples.size / cpu_s),
        "reverified": len(again.designs),
        "reverified_by": again.engine,
        "reverified_max_relative_difference": again.largest_difference,
        "reverified_bit_identical": again.is_bit_identical,
        "reverify_cpu_s": round(time.process_time() - began, 2),
        "best_throughput_per_s": float(found.throughput_per_s[best[0]]),
        "median_throughput_per_s": float(np.median(found.throughput_per_s)),
    }
