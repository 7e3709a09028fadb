"""Designs that no other beats in everything, and how much of the figures' space they reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


def pareto_front(losses: NDArray[np.float64]) -> Flags:
    """[designs] whether no other design is at least as good in all figures and better in one.

    Args:
        losses: [designs, figures], all to be small; designs with a NaN are in no front.
    """
    is_in: Flags = np.logical_and.reduce(np.isfinite(losses), axis=1)
    order = np.lexsort(losses.T[::-1])
    front = np.empty((0, losses.shape[1]))
    for row in order[is_in[order]].tolist():
        one = losses[row]
        # Sorted by the first figure, ties by the next: whoever beats it has come before it.
        if ((front <= one).all(axis=1) & (front < one).any(axis=1)).any():
            is_in[row] = False
        else:
            front = np.vstack([front, one])
    return is_in


def hypervolume(losses: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """What the designs dominate of the space below a reference point; exact.

    Slices of one figure after another (While et al.: IEEE Transactions on Evolutionary
    Computation 10, 2006); quick for two or three figures and a few hundred designs.
    """
    inside = losses[np.isfinite(losses).all(axis=1) & (losses < reference).all(axis=1)]
    return _volume(np.unique(inside, axis=0), reference)


def _volume(points: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    if not len(points):
        return 0.0
    points = points[pareto_front(points)]
    points = points[np.argsort(points[:, 0])]
    if points.shape[1] == 1:
        return float(reference[0] - points[0, 0])
    if points.shape[1] == 2:
        above = np.concatenate([[reference[1]], points[:-1, 1]])
        return float(((reference[0] - points[:, 0]) * (above - points[:, 1])).sum())
    ends = np.append(points[1:, 0], reference[0])
    return sum(
        float(ends[i] - points[i, 0]) * _volume(points[: i + 1, 1:], reference[1:])
        for i in range(len(points))
        if ends[i] > points[i, 0]
    )
