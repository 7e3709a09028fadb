"""What is known exactly, met: by chains to the last digit given, by simulation within its interval.

Each figure is worked out by its Markov chain or formula, compared with the digits published, and
then estimated by the recurrence from fixed seeds: independent replications, their warm-up left
out, controlled by the sample means of what was drawn (their expectations are known), Student's
interval at 95 %. z is how many standard errors estimate and exact value are apart. Of lines the
mean time between two parts is estimated and compared, because a rate, being one over a mean,
would be biased by more than these intervals are wide.

Then small job shops: the solver must prove the published optimum. And, where the event kernel is
there, the lines by events as well.
"""

# pyright: basic

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow.distributions import Distribution
from mirrorworld.simulation.flow.markov import (
    bernoulli_line,
    buzacott_line,
    exponential_line,
    m_m_c,
    splits,
)
from mirrorworld.simulation.flow.max_plus import departures, server_times, slot_departures
from mirrorworld.simulation.flow.recurrence import line_samples
from mirrorworld.simulation.flow.streams import Purpose, stream_key, uniforms
from mirrorworld.simulation.student import t_quantile

LINES: Final[dict[tuple[int, ...], float]] = {
    (0,): 2 / 3,
    (0, 0): 0.564103,
    (0, 0, 0): 0.514775,
    (1,): 3 / 4,
    (4,): 6 / 7,
    (1, 1): 0.670466,
    (2, 2): 0.734017,
    (3, 3): 0.776712,
    (2, 2, 2): 0.700713,
}
"""Throughput of saturated lines of exponential stations of rate 1 with these buffers."""
SIZE: Final = 1_300_000
"""Arrivals in a replication of the queue, which settles slowest of all."""
SHOPS: Final = ("ft06", "ft10", "la01", "la05", "la16", "abz5")


@dataclass(frozen=True, slots=True)
class _Figure:
    name: str
    published: float
    exact: float
    sample: Callable[[int, int], tuple[list[float], list[float]]]
    """(replication, size) -> estimates (several figures may share a run), controls − expected."""
    at: int
    """Which of the estimates."""
    size: int
    """Parts in a replication."""
    replications: int
    is_inverse: bool = True
    """Whether one over the figure is what is estimated."""


def run(
    seed: int = 1,
    effort: float = 1.0,
    kernel_parts: int = 200_000,
    shops: str = ",".join(SHOPS),
    jobshop: str = "../shared/data/jobshop",
    limit_s: float = 60.0,
    workers: int = 8,
) -> dict[str, Any]:
    """worst_z and largest half-width over all figures, each with its own; optima proven.

    `effort` scales how many parts are simulated; `kernel_parts` 0 leaves the event kernel out.
    """
    began = time.process_time()
    figures = _figures(seed)
    rows: list[dict[str, Any]] = []
    done: dict[tuple[Any, int, int], tuple[NDArray[Any], NDArray[Any]]] = {}
    for one in figures:
        size = max(1_000, round(one.size * effort))
        key = (one.sample, size, one.replications)
        if key not in done:
            found = [one.sample(r, size) for r in range(one.replications)]
            done[key] = (np.array([f[0] for f in found]), np.array([f[1] for f in found]))
        estimates, controls = done[key]
        mean, error, half = _controlled(estimates[:, one.at], controls)
        exact = 1 / one.exact if one.is_inverse else one.exact
        rows.append(
            {
                "figure": one.name,
                "published": one.published,
                "exact": one.exact,
                "estimate": 1 / mean if one.is_inverse else mean,
                "half_width": half / exact,
                "z": abs(mean - exact) / error,
            }
        )
    spent_s = time.process_time() - began
    best = {f"{k} stations": _best_split(k) for k in (3, 4)}
    return {
        "figures": rows,
        "worst_z": max(row["z"] for row in rows),
        "max_half_width": max(row["half_width"] for row in rows),
        "published_digits_met": all(abs(r["exact"] - r["published"]) < 5.1e-7 for r in rows),
        "best_split_of_six": best,
        "cpu_s": round(spent_s, 1),
        **_by_events(seed, kernel_parts),
        **_job_shops(Path(jobshop), [s for s in shops.split(",") if s], limit_s, workers),
    }


def _figures(seed: int) -> list[_Figure]:
    figures: list[_Figure] = []
    for buffers, published in LINES.items():
        exact = exponential_line(np.ones(len(buffers) + 1), buffers).throughput_per_s
        name = f"throughput, {len(buffers) + 1} stations, buffers {buffers}"
        figures.append(_Figure(name, published, exact, _line(seed, buffers), 0, 200_000, 40))
    queue = m_m_c(4.0, 1.0, 5)
    sample = _queue(seed)
    figures += [
        _Figure("M/M/5 at load 4: P(wait)", 0.554113, queue.p_wait, sample, 0, SIZE, 500, False),
        _Figure("M/M/5 at load 4: queue", 2.216450, queue.queue, sample, 1, SIZE, 500, False),
    ]
    for places, published in ((1, 0.818182), (2, 0.857143)):
        exact = bernoulli_line([0.9, 0.9], [places])
        name = f"Bernoulli, two machines, {places} places"
        figures.append(_Figure(name, published, exact, _bernoulli(seed, places), 0, 100_000, 40))
    exact = buzacott_line([0.01, 0.01], [0.1, 0.1], 4)
    figures.append(
        _Figure("Buzacott, two machines", 0.840936, exact, _buzacott(seed), 0, 400_000, 60)
    )
    return figures


def _line(seed: int, buffers: tuple[int, ...]) -> Callable[[int, int], Any]:
    names = [f"exact {buffers} {i}" for i in range(len(buffers) + 1)]
    how = [Distribution.exponential(1.0)] * len(names)

    def sample(replication: int, size: int) -> tuple[list[float], list[float]]:
        warm_up = size // 50
        s = line_samples(names, how, size + warm_up, seed=seed, replication=replication)
        left = departures(s, buffers)[:, -1]
        between = float(left[-1] - left[warm_up - 1]) / size
        # All stations are worth about the same: their common mean is one control.
        return [between], [float(s[warm_up:].mean()) - 1.0]

    return sample


def _queue(seed: int) -> Callable[[int, int], Any]:
    def sample(replication: int, size: int) -> tuple[list[float], list[float]]:
        warm_up = 2_000
        n = size + warm_up
        gaps, work = (
            line_samples(
                ["exact queue"], [Distribution.exponential(mean)], n,
                seed=seed, replication=replication, purpose=purpose,
            )
            for mean, purpose in ((0.25, Purpose.ARRIVE), (1.0, Purpose.PROCESS))
        )  # fmt: skip
        arrivals = np.add.accumulate(gaps[:, 0])
        waits = server_times(work, [], [5], arrivals).start[warm_up:, 0] - arrivals[warm_up:]
        span = float(arrivals[-1] - arrivals[warm_up - 1])
        return (
            [float((waits > 0).mean()), 4.0 * float(waits.mean())],
            [span / size - 0.25, float(work[warm_up:].mean()) - 1.0],
        )

    return sample


def _bernoulli(seed: int, places: int) -> Callable[[int, int], Any]:
    def sample(replication: int, size: int) -> tuple[list[float], list[float]]:
        warm_up = size // 50
        slots = np.stack(
            [
                _geometric(seed, replication, f"Bernoulli {places} {i}", 0.9, size + warm_up)
                for i in range(2)
            ],
            axis=1,
        )
        left = slot_departures(slots, [places], is_refilled=True)[:, -1]
        between = float(left[-1] - left[warm_up - 1]) / size
        # With one place the mean of what was drawn would say all: nothing would be tested.
        return [between], []

    return sample


def _buzacott(seed: int) -> Callable[[int, int], Any]:
    def sample(replication: int, size: int) -> tuple[list[float], list[float]]:
        warm_up = size // 50
        n = size + warm_up
        columns: list[NDArray[np.float64]] = []
        for i in range(2):
            key = stream_key(seed, replication, f"Buzacott {i}", Purpose.FAIL)
            fails = uniforms(key, np.arange(n)) < 0.01
            down = _geometric(seed, replication, f"Buzacott {i}", 0.1, n)
            columns.append(1.0 + fails * down)
        slots = np.stack(columns, axis=1)
        left = slot_departures(slots, [4], is_refilled=False)[:, -1]
        between = float(left[-1] - left[warm_up - 1]) / size
        return [between], [float(slots[warm_up:].mean()) - 1.1]

    return sample


def _geometric(
    seed: int, replication: int, name: str, chance: float, n: int
) -> NDArray[np.float64]:
    """[n] slots up to the first success, that one counted."""
    u = uniforms(stream_key(seed, replication, name, Purpose.REPAIR), np.arange(n))
    return np.maximum(np.ceil(np.log(u) / np.log1p(-chance)), 1.0)


def _controlled(
    y: NDArray[np.float64], controls: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Mean at controls of 0, its standard error, half of the 95 % interval, by least squares
    (Lavenberg, Welch: A perspective on the use of control variables, 1981)."""
    design = np.hstack([np.ones((len(y), 1)), controls / controls.std(axis=0)])
    inverse = np.linalg.inv(design.T @ design)
    fitted = inverse @ (design.T @ y)
    freedom = len(y) - design.shape[1]
    residual = y - design @ fitted
    error = float(np.sqrt(residual @ residual / freedom * inverse[0, 0]))
    return float(fitted[0]), error, t_quantile(0.975, freedom) * error


def _best_split(stations: int) -> dict[str, Any]:
    """Of six places among the buffers of a line, by its chains."""
    found = {
        buffers: exponential_line(np.ones(stations), buffers).throughput_per_s
        for buffers in splits(6, stations - 1)
    }
    best = max(found, key=lambda buffers: found[buffers])
    return {"buffers": list(best), "throughput": found[best]}


def _by_events(seed: int, parts: int) -> dict[str, Any]:
    """The lines once more by the event kernel: each replication has the recurrence's own time."""
    if not parts:
        return {}
    import dataclasses

    from mirrorworld.simulation.flow import kernel
    from mirrorworld.simulation.flow.model import Source, Station, line

    worst = 0.0
    for buffers in LINES:
        names = [f"exact {buffers} {i}" for i in range(len(buffers) + 1)]
        how = Distribution.exponential(1.0)
        model = line("exact", tuple(Station(name, how) for name in names), buffers)
        nodes = tuple(
            dataclasses.replace(node, limit=parts) if isinstance(node, Source) else node
            for node in model.nodes
        )
        result = kernel.run(dataclasses.replace(model, nodes=nodes), seed=seed)
        s = line_samples(names, [how] * len(names), parts, seed=seed)
        want = parts / float(departures(s, buffers)[-1, -1])
        worst = max(worst, abs(float(result.throughput_per_s[0]) - want) / want)
    return {"kernel_lines": len(LINES), "kernel_max_relative_difference": worst}


def _job_shops(folder: Path, names: list[str], limit_s: float, workers: int) -> dict[str, Any]:
    """Which published optima the solver proves."""
    path = folder / "benchmark_instances.json.gz"
    if not path.is_file():
        return {"job_shops": f"no published job shops at {folder}"}
    from mirrorworld.simulation.experiments.schedule import solve
    from mirrorworld.simulation.experiments.shop import instances

    published = instances(path)
    rows: dict[str, Any] = {}
    for name in names:
        shop, optimum, _ = published[name]
        began = time.process_time()
        found = solve(shop, time_limit_s=limit_s, workers=workers)
        rows[name] = {
            "optimum": optimum,
            "found": found.value,
            "is_proven": found.status == "optimal" and found.value == optimum,
            "cpu_s": round(time.process_time() - began, 2),
        }
    return {
        "job_shops": rows,
        "job_shops_proven": sum(row["is_proven"] for row in rows.values()),
    }
