"""A fit beside what was measured: a histogram with the fitted density, and quantiles against
quantiles. Times seen only in part are not in the histogram, and are told in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.fitting.choosing import Fit
from mirrorworld.simulation.fitting.families import FAMILIES, MIXTURE
from mirrorworld.simulation.plots.axes import Scale, Sheet, colour, number, padded, shortened

_TOP, _BOTTOM = 84, 318


def picture(fit: Fit, title: str) -> str:
    """SVG of a fit.

    Raises:
        ValueError: nothing was fitted, or no time was seen from beginning to end.
    """
    x = fit.samples.complete
    if fit.distribution is None or not len(x):
        raise ValueError(f"{title}: no time was seen from beginning to end; nothing to draw")
    p = fit.ks_p if np.isnan(fit.ad_p) else fit.ad_p
    judged = "" if np.isnan(p) else f", p {p:.2f}"
    partly = len(fit.samples.censored) + len(fit.samples.residual)
    words = (
        f"{fit.name}, mean {number(fit.mean_s)} s ({number(fit.interval_s[0])} to "
        f"{number(fit.interval_s[1])}), {len(x)} times{f' and {partly} in part' if partly else ''}"
        f"{judged}"
    )
    sheet = Sheet(860, 372, shortened(title, 80), words)
    sheet.text(16, 48, words, "soft")
    _histogram(sheet, fit, x)
    _quantiles(sheet, fit)
    return sheet.svg()


def _histogram(sheet: Sheet, fit: Fit, x: NDArray[np.float64]) -> None:
    bins = int(np.clip(np.ceil(np.sqrt(len(x))), 5, 40))
    heights, edges = np.histogram(x, bins=bins, density=True)
    low, high = padded(x.tolist(), 0.08)
    grid = np.linspace(max(low, 1e-9), high, 200)
    density = _density(fit, grid)
    # A density that goes to infinity at 0 leaves the picture, not the bars.
    top = float(max(heights.max(), min(density.max(initial=0.0), 2 * heights.max()))) * 1.08
    density = np.minimum(density, top)
    along, up = Scale(max(low, 0.0), high, 86, 470), Scale(0.0, top, _BOTTOM, _TOP)
    sheet.below(along, _TOP, _BOTTOM, "time, s")
    sheet.beside(up, 86, 470, "density, 1/s")
    for height, a, b in zip(heights, edges[:-1], edges[1:], strict=True):
        count = round(height * (b - a) * len(x))
        box = (along(a), up(height), along(b) - along(a), _BOTTOM - up(height))
        sheet.rect(*box, colour(0), f"{number(a)} to {number(b)} s: {count}", opacity=0.5)
    if len(density):
        sheet.path([(along(a), up(b)) for a, b in zip(grid, density, strict=True)], colour(5))
    sheet.legend(96, 76, [(colour(0), "measured"), (colour(5), f"fitted: {fit.name}")])


def _density(fit: Fit, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the chosen family; none for what stands for itself or is constant."""
    best = fit.candidates[0] if fit.candidates else None
    if best is None or best.name != fit.name:
        return np.zeros(0)
    family = next(one for one in (*FAMILIES, MIXTURE) if one.name == best.name)
    return np.nan_to_num(np.asarray(family.frozen(*best.parameters).pdf(grid), np.float64))


def _quantiles(sheet: Sheet, fit: Fit) -> None:
    if fit.quantiles is None:
        sheet.text(690, 200, "too few times to judge a shape", "soft middle")
        return
    fitted, measured = fit.quantiles
    low, high = padded([*fitted.tolist(), *measured.tolist()], 0.05)
    along, up = Scale(low, high, 560, 836), Scale(low, high, _BOTTOM, _TOP)
    sheet.below(along, _TOP, _BOTTOM, "fitted quantile, s")
    sheet.beside(up, 560, 836, "")
    sheet.line(along(low), up(low), along(high), up(high), "ink")
    every = max(1, len(fitted) // 400)
    for a, b in zip(fitted[::every].tolist(), measured[::every].tolist(), strict=True):
        sheet.dot(along(a), up(b), colour(0), f"{number(a)}, {number(b)}", opacity=0.6)
    sheet.text(560, 76, "measured quantile, s", "soft")


__all__ = ["picture"]
