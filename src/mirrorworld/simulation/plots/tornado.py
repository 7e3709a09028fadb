"""Sensitivity: how much of a figure's variance comes from which factor, greatest first."""

from __future__ import annotations

from collections.abc import Sequence

from mirrorworld.simulation.plots.axes import Scale, Sheet, colour, number, shortened

Interval = tuple[float, float, float]
"""(value, low, high)"""


def tornado(
    rows: Sequence[tuple[str, Interval, Interval | None]],
    *,
    figure: str,
    title: str = "Sensitivity",
    label: str = "share of the variance",
    names: tuple[str, str] = ("by itself", "with its interactions"),
) -> str:
    """Two bars for each factor with their intervals, as SVG.

    Args:
        rows: (factor, first index, total index); a total of None: there is one bar.

    Raises:
        ValueError: there are none.
    """
    if not rows:
        raise ValueError("there is nothing to draw: no factor")
    has_two = any(second is not None for _, _, second in rows)
    step = 42 if has_two else 28
    bottom = 60 + step * len(rows)
    sheet = Sheet(
        720, bottom + 48, title,
        f"Sensitivity of {figure} to {len(rows)} factors, greatest first: "
        + ", ".join(f"{name} {number(round((b or a)[0], 3))}" for name, a, b in rows[:5]) + ".",
    )  # fmt: skip
    ends = [value for _, a, b in rows for value in (*a, *(b or ()))]
    x = Scale(min(0.0, *ends), max(*ends, 1e-9) * 1.03, 190, 640)
    sheet.below(x, 58, bottom, label)
    for i, (name, first, second) in enumerate(rows):
        y = 66 + step * i
        sheet.text(182, y + step / 2 - 4, shortened(name, 24), "end")
        for which, interval in enumerate((first, second)):
            if interval is not None:
                _bar(sheet, x, y + 15 * which, interval, colour(which), f"{name}, {names[which]}")
        value = (second or first)[0]
        sheet.text(708, y + step / 2 - 4, f"{value:.3g}".replace("-", "−"), "soft end")
    sheet.line(x(0), 58, x(0), bottom, "ink")
    if has_two:
        sheet.legend(190, 46, [(colour(0), names[0]), (colour(1), names[1])])
    return sheet.svg()


def _bar(sheet: Sheet, x: Scale, y: float, interval: Interval, fill: str, says: str) -> None:
    value, low, high = interval
    left, right = sorted((x(0), x(value)))
    sheet.rect(left, y, right - left, 13, fill, f"{says}: {number(value)}")
    if low == low and high > low:
        sheet.line(x(low), y + 6.5, x(high), y + 6.5, "ink")
        for end in (low, high):
            sheet.line(x(end), y + 3.5, x(end), y + 9.5, "ink")
