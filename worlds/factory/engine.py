"""Which engine of `mirrorworld.simulation.flow` runs the works."""

from __future__ import annotations

from mirrorworld.simulation.flow import kernel
from mirrorworld.simulation.flow.model import FlowModel
from mirrorworld.simulation.flow.results import Result


def run_model(
    model: FlowModel, *, seed: int, horizon_s: float, warm_up_s: float, replications: int = 1
) -> Result:
    """Runs a model on the compiled kernel; RuntimeError where numba is not installed."""
    return kernel.run(
        model, seed=seed, replications=replications, horizon_s=horizon_s, warm_up_s=warm_up_s
    )
