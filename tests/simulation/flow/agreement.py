"""What two results of the same run have in common: everything but the engine's name."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from mirrorworld.simulation.flow.results import Result


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Fields whose bits are not the same."""
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        return [
            found
            for f in dataclasses.fields(one)
            if f.name != "engine"
            for found in differences(
                getattr(one, f.name), getattr(other, f.name), f"{place}.{f.name}"
            )
        ]
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        is_same = one.dtype == other.dtype and one.shape == other.shape
        return [] if is_same and one.tobytes() == other.tobytes() else [place]
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [x for key in one for x in differences(one[key], other[key], f"{place}.{key}")]
    return [] if one == other else [f"{place}: {one!r} != {other!r}"]


def assert_same(one: Result, other: Result) -> None:
    """Fails with the fields that differ."""
    assert differences(one, other) == []
