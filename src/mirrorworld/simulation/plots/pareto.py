"""Fronts: designs by two figures, and those among them that none beats in both."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mirrorworld.simulation.plots.axes import Scale, Sheet, colour, number, padded


def pareto(
    x: Sequence[float],
    y: Sequence[float],
    front: Sequence[int],
    *,
    x_label: str,
    y_label: str,
    title: str = "Designs",
    says: Sequence[str] = (),
) -> str:
    """All designs as dots, those in the front joined, as SVG.

    Args:
        front: which rows are in the front.
        says: of each design, what stands there when it is pointed at.

    Raises:
        ValueError: no design has both figures.
    """
    chosen = set(front)
    shown = [i for i in range(len(x)) if math.isfinite(x[i]) and math.isfinite(y[i])]
    sheet = Sheet(
        720, 480, title,
        f"{len(shown)} designs by {x_label} and {y_label}; {len(chosen)} of them are in the"
        " front: none is better in both.",
    )  # fmt: skip
    across = Scale(*padded([x[i] for i in shown]), 76, 700)
    up = Scale(*padded([y[i] for i in shown]), 424, 66)
    sheet.below(across, 66, 424, x_label)
    sheet.beside(up, 76, 700, y_label)
    for i in shown:
        if i not in chosen:
            sheet.dot(across(x[i]), up(y[i]), "#8a8a8a", _says(i, x, y, says), opacity=0.55)
    line = sorted((x[i], y[i], i) for i in shown if i in chosen)
    if len(line) > 1:
        sheet.path([(across(a), up(b)) for a, b, _ in line], colour(0), width=1.5)
    for a, b, i in line:
        sheet.dot(across(a), up(b), colour(0), _says(i, x, y, says), radius=5)
    sheet.legend(76, 48, [(colour(0), "in the front"), ("#8a8a8a", "other designs")])
    return sheet.svg()


def _says(i: int, x: Sequence[float], y: Sequence[float], says: Sequence[str]) -> str:
    what = says[i] if says else f"design {i}"
    return f"{what}: {number(x[i])}, {number(y[i])}"
