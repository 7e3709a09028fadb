"""Objectives that tests ask for: good ones, and some that misbehave."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.objective import batch, derivative

Design = Mapping[str, Any]


def bowl(design: Design, seed: int, replications: int) -> dict[str, Any]:
    """Best at x = 0.3, n = 4; the noise is the same for every design of one seed."""
    noise = np.random.default_rng(seed).normal(size=replications)
    miss = (design["x"] - 0.3) ** 2 + 0.01 * (design["n"] - 4) ** 2
    return {
        "yield": 10 - miss + 0.1 * noise,
        "cost": design["n"] + design["x"],
        derivative("yield", "x"): -2 * (design["x"] - 0.3),
        derivative("yield", "n"): -0.02 * (design["n"] - 4),
    }


def slow(design: Design, seed: int, replications: int, *, each_s: float = 0.02) -> dict[str, Any]:
    time.sleep(each_s)
    return {"value": np.random.default_rng(seed).random(replications) * design["n"]}


def trouble(design: Design, seed: int, replications: int) -> dict[str, Any]:
    """Each kind of trouble at its own n."""
    n = design["n"]
    if n == 2:
        raise RuntimeError("the model deadlocks")
    if n == 3:
        return {"value": 1 / (n - 3)}
    if n == 4:
        return {"value": float("nan")}
    if n == 5:
        time.sleep(3600)
    if n == 6:
        os._exit(7)
    if n == 7:
        return {"value": np.zeros(replications + 1)}
    return {"value": float(n)}


@batch
def many(
    columns: Mapping[str, NDArray[Any]], seed: int, replications: int
) -> dict[str, NDArray[Any]]:
    if (columns["n"] == 3).any():
        raise ValueError("n = 3 cannot be built")
    if (columns["n"] == 5).any():
        time.sleep(3600)
    return {"value": np.outer(columns["n"], np.ones(replications)), "square": columns["n"] ** 2}
