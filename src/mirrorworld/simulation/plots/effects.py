"""Main effects: what a figure does from the lower end of each factor's range to the upper."""

from __future__ import annotations

from collections.abc import Sequence

from mirrorworld.simulation.plots.axes import Scale, Sheet, colour, number, padded, shortened


def main_effects(
    effects: Sequence[tuple[str, float, float, float]],
    *,
    figure: str,
    title: str = "Main effects",
    confidence: float = 0.95,
) -> str:
    """A dot and its interval for each effect, as SVG; those whose interval holds 0 are grey.

    Args:
        effects: (name, effect, low, high); low and high NaN: no interval is known.

    Raises:
        ValueError: there are none.
    """
    ends = [value for effect in effects for value in effect[1:]]
    height = 84 + 26 * len(effects)
    clear = [name for name, _, low, high in effects if low > 0 or high < 0]
    sheet = Sheet(
        720, height + 30, title,
        f"Main effects of {len(effects)} factors on {figure} with {confidence:.0%} intervals."
        f" Clear of zero: {', '.join(clear) or 'none'}.",
    )  # fmt: skip
    x = Scale(*padded([*ends, 0.0]), 190, 640)
    bottom = height - 16
    sheet.below(x, 58, bottom, f"effect on {figure}")
    sheet.line(x(0), 58, x(0), bottom, "ink")
    for i, (name, effect, low, high) in enumerate(effects):
        y = 74 + 26 * i
        fill = colour(0) if low > 0 or high < 0 else "#8a8a8a"
        sheet.text(182, y + 4, shortened(name, 24), "end")
        if low == low:
            sheet.line(x(low), y, x(high), y, stroke=fill)
            for end in (low, high):
                sheet.line(x(end), y - 4, x(end), y + 4, stroke=fill)
        sheet.dot(x(effect), y, fill, f"{name}: {number(effect)}", radius=5)
        sheet.text(708, y + 4, _signed(effect), "soft end")
    sheet.legend(190, 46, [(colour(0), "clear of zero"), ("#8a8a8a", "not clear")])
    return sheet.svg()


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")
