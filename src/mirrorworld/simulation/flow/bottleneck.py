"""Which element of a line to make faster first: throughput by each element's times.

Takes a result that was run with `critical=True`, whose `critical_s` says how much later the last
sound part would have left per relative increase of an element's times, and turns it into parts a
second. Exact for the run at hand as long as no two events change places; ranks by the mean over
replications.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.flow.model import FlowError, FlowModel
from mirrorworld.simulation.flow.plan import plan
from mirrorworld.simulation.flow.results import Result


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """One element, and what a change of its times does."""

    element: str
    """`node.process`, `node/breakdown.repair`, `fleet.travel`, a conveyor or a fleet on tracks."""
    throughput_by_scale: float
    """Parts a second per relative increase of its times (1.0 = twice as slow); not above 0."""
    share: float
    """Of what all elements together would lose."""
    half_width: float
    """Of `throughput_by_scale`: 95 % interval over replications; 0 for one."""


def bottlenecks(model: FlowModel, result: Result) -> list[Bottleneck]:
    """Elements that hold the line up, the worst first; those without influence are left out.

    Raises:
        FlowError: the result was run without `critical=True`.
    """
    if "critical_s" not in result.extra:
        raise FlowError(f"{result.model}: no causes were noted; run it with critical=True")
    by_scale = throughput_by_scale(result)
    mean = by_scale.mean(axis=0)
    count = len(by_scale)
    half_width = np.zeros_like(mean)
    if count > 1:
        from scipy.stats import t

        half_width = by_scale.std(axis=0, ddof=1) / np.sqrt(count) * t.ppf(0.975, count - 1)
    total = float(mean.sum())
    return [
        Bottleneck(name, float(mean[i]), float(mean[i]) / total, float(half_width[i]))
        for i, name in sorted(enumerate(plan(model).elements), key=lambda item: mean[item[0]])
        if mean[i] < 0
    ]


def throughput_by_scale(result: Result) -> NDArray[np.float64]:
    """[R, elements] parts a second per relative increase of each element's times.

    Of a run that ends with its last part; one that is cut at a horizon has up to one interval
    between parts of error in the time that it divides by.
    """
    made = result.made.sum(axis=1)
    rate = result.throughput_per_s
    ended_s = result.warm_up_s + np.divide(made, rate, out=np.ones(len(rate)), where=rate > 0)
    return -(rate / ended_s)[:, None] * result.extra["critical_s"]
