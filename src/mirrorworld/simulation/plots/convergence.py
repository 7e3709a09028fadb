"""Convergence: what a search or a solver had found after how much work."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mirrorworld.simulation.plots.axes import Scale, Sheet, colour, number, padded


def convergence(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    *,
    x_label: str,
    y_label: str,
    title: str = "Convergence",
) -> str:
    """Lines that keep a value until the next one, as SVG.

    Args:
        lines: (name, its points (work, value) in order); values that are not finite are left out.

    Raises:
        ValueError: no line has a point.
    """
    kept = [
        (name, [(a, b) for a, b in points if math.isfinite(a) and math.isfinite(b)])
        for name, points in lines
    ]
    points = [point for _, own in kept for point in own]
    low, high = padded([b for _, b in points], 0.08)
    ends = "; ".join(f"{name} ends at {number(own[-1][1])}" for name, own in kept if own)
    sheet = Sheet(720, 420, title, f"{y_label} over {x_label}: {ends}.")
    x = Scale(min(0.0, *(a for a, _ in points)), max(a for a, _ in points), 86, 690)
    y = Scale(low, high, 364, 66)
    sheet.below(x, 66, 364, x_label)
    sheet.beside(y, 86, 690, y_label)
    last = max(a for a, _ in points)
    for i, (_, own) in enumerate(kept):
        steps: list[tuple[float, float]] = []
        for a, b in own:
            if steps:
                steps.append((x(a), steps[-1][1]))
            steps.append((x(a), y(b)))
        if steps:
            steps.append((x(last), steps[-1][1]))
            sheet.path(steps, colour(i))
            for a, b in own if len(own) <= 40 else ():
                sheet.dot(x(a), y(b), colour(i), f"{number(a)}: {number(b)}", radius=3)
    if len(kept) > 1:
        sheet.legend(86, 48, [(colour(i), name) for i, (name, _) in enumerate(kept)])
    return sheet.svg()
