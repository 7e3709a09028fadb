"""Which factors matter, by a plane through the answers: main effects with intervals.

The effect of a factor is what changes in a figure from the lower end of its range to the upper,
all else equal; of words, from the mean of all to each of them. Ordinary least squares of an
additive model; intervals are Student's, so they are right where the rest is noise, and too wide
where it is curvature or interaction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.experiments.results import Results
from mirrorworld.simulation.experiments.space import Categorical


@dataclass(frozen=True, slots=True)
class Effect:
    """The main effect of a factor, or of one of its levels."""

    factor: str
    level: str
    """Of words; else ""."""
    effect: float
    low: float
    """Of the interval; NaN: nothing is left to estimate it by."""
    high: float


@dataclass(frozen=True, slots=True)
class Effects:
    """All main effects of a figure, greatest first."""

    figure: str
    mean: float
    effects: tuple[Effect, ...]
    confidence: float
    explained: float
    """Share of the variance that the additive model explains (R²)."""
    used: int
    left_out: int
    """Designs without a value."""


def main_effects(results: Results, figure: str, *, confidence: float = 0.95) -> Effects:
    """Main effects of a figure.

    Raises:
        ValueError: fewer designs have a value than there are effects, or factors never vary
            apart from each other.
        KeyError: there is no such figure.
    """
    from scipy.stats import t as student

    space, y = results.space, results.column(figure)
    good = np.isfinite(y)
    y = y[good]
    columns: list[NDArray[np.float64]] = [np.ones(len(y))]
    places: list[tuple[str, str, NDArray[np.float64]]] = []
    spans: list[tuple[int, int]] = []
    for factor in space.factors:
        values = results.column(factor.name)[good]
        first = len(columns)
        if isinstance(factor, Categorical):
            codes = factor.codes(values)
            for level in range(factor.size - 1):
                # Coded by sums: each level against the mean of all of them.
                columns.append(
                    (codes == level).astype(float) - (codes == factor.size - 1).astype(float)
                )
        else:
            columns.append(2 * factor.share(values) - 1)
        spans.append((first, len(columns)))
    x = np.column_stack(columns)
    n, k = x.shape
    if n < k:
        raise ValueError(f"{figure}: {n} designs have a value and there are {k} effects; try more")
    inverse = np.linalg.pinv(x.T @ x)
    if np.linalg.matrix_rank(x) < k:
        raise ValueError(f"{figure}: some factors never vary apart from each other; try others")
    beta = inverse @ (x.T @ y)
    left = y - x @ beta
    freedom = n - k
    variance = float(left @ left) / freedom if freedom else np.nan
    quantile = float(student.ppf((1 + confidence) / 2, freedom)) if freedom else np.nan
    for factor, (first, last) in zip(space.factors, spans, strict=True):
        if isinstance(factor, Categorical):
            for i, level in enumerate(factor.levels):
                weight = np.zeros(k)
                if i < factor.size - 1:
                    weight[first + i] = 1
                else:
                    weight[first:last] = -1
                places.append((factor.name, level, weight))
        else:
            weight = np.zeros(k)
            weight[first] = 2
            places.append((factor.name, "", weight))
    made = []
    for name, level, weight in places:
        effect = float(weight @ beta)
        half = quantile * float(np.sqrt(max(variance * (weight @ inverse @ weight), 0.0)))
        made.append(Effect(name, level, effect, effect - half, effect + half))
    made.sort(key=lambda e: -abs(e.effect))
    total = float(((y - y.mean()) ** 2).sum())
    explained = 1 - float(left @ left) / total if total > 0 else 1.0
    return Effects(
        figure, float(y.mean()), tuple(made), confidence, explained, n, int((~good).sum())
    )
