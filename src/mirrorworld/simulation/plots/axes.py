"""A sheet of SVG with axes: scales, ticks, marks, a legend, and colours for light and dark.

Colours of marks are those of Okabe and Ito (2008), which people with any colour vision tell
apart; marks that differ by colour differ by their place or label too. Coordinates of marks are
those of the data, unless they say px.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

PALETTE: Final = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8a8a8a",
)  # fmt: skip
"""For categories in order; a ninth begins again."""

_STYLE: Final = """
.mw-plot{--ground:#fff;--ink:#1b2430;--soft:#5b6675;--line:#d5dbe3}
@media (prefers-color-scheme:dark){
.mw-plot{--ground:#14181f;--ink:#e6eaf0;--soft:#9aa5b4;--line:#343c48}}
.mw-plot text{font:12px Inter,system-ui,sans-serif;fill:var(--ink)}
.mw-plot .title{font-size:15px;font-weight:600}
.mw-plot .soft{fill:var(--soft)}
.mw-plot .end{text-anchor:end}.mw-plot .middle{text-anchor:middle}
.mw-plot .ground{fill:var(--ground)}
.mw-plot .grid{stroke:var(--line);stroke-width:1}
.mw-plot .axis{stroke:var(--soft);stroke-width:1}
.mw-plot .ink{stroke:var(--ink);stroke-width:1.5;fill:none}
.mw-plot{color:var(--ink)}
.mw-plot .ribbon{fill-opacity:.55}.mw-plot .ribbon:hover{fill-opacity:.8}
.mw-plot .over{paint-order:stroke;stroke:var(--ground);stroke-width:3px}
.mw-plot .edge{stroke:var(--ground);stroke-width:1}
"""


class Scale:
    """From data to px, linear. `to_px` may run backwards, as a vertical axis does."""

    def __init__(self, low: float, high: float, from_px: float, to_px: float) -> None:
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"an axis from {low} to {high} cannot be drawn")
        if high <= low:
            pad = abs(low) * 0.05 or 0.5
            low, high = low - pad, high + pad
        self.low, self.high, self.from_px, self.to_px = low, high, from_px, to_px

    def __call__(self, value: float) -> float:
        """Where a value is, in px."""
        share = (value - self.low) / (self.high - self.low)
        return self.from_px + share * (self.to_px - self.from_px)

    def ticks(self, about: int = 6) -> list[float]:
        """Round values within the range, about so many."""
        raw = (self.high - self.low) / max(about, 1)
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def padded(values: Sequence[float], share: float = 0.05) -> tuple[float, float]:
    """The range of values and a little more. NaN plays no part.

    Raises:
        ValueError: none of them is finite.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        raise ValueError("there is nothing to draw: no value is finite")
    low, high = min(finite), max(finite)
    pad = (high - low) * share
    return low - pad, high + pad


def number(value: float) -> str:
    """A number as a label: as few digits as say it."""
    if value and (abs(value) >= 1e7 or abs(value) < 1e-4):
        return f"{value:.3g}"
    text = f"{value:.4f}" if abs(value) < 1 else f"{value:,.3f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def colour(index: int) -> str:
    """Of a category."""
    return PALETTE[index % len(PALETTE)]


class Sheet:
    """One picture, written from the ground up.

    Args:
        title: stands over it, and is read aloud first.
        description: what it shows, in a sentence or two, for those who do not see it.
    """

    def __init__(self, width: float, height: float, title: str, description: str) -> None:
        self.width, self.height, self.title = width, height, title
        self._description = description
        self._parts: list[str] = []
        self.text(16, 26, title, "title")

    def line(
        self, x1: float, y1: float, x2: float, y2: float, kind: str = "grid", stroke: str = ""
    ) -> None:
        """A line, in px; `stroke` a colour of its own."""
        own = f' style="stroke:{stroke};stroke-width:2"' if stroke else ""
        self._parts.append(
            f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{own}/>'
        )

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str, says: str = "",
        *, kind: str = "edge", opacity: float = 1.0,
    ) -> None:  # fmt: skip
        """A box, in px; `says` stands there when it is pointed at."""
        thin = f' fill-opacity="{opacity:g}"' if opacity < 1 else ""
        self._parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}"'
            f' height="{height:.1f}" rx="2" fill="{fill}"{thin}>{_said(says)}</rect>'
        )

    def dot(
        self, x: float, y: float, fill: str, says: str = "", *, radius: float = 3.5,
        opacity: float = 1.0,
    ) -> None:  # fmt: skip
        """A disc, in px."""
        self._parts.append(
            f'<circle class="edge" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}"'
            f' fill-opacity="{opacity:g}">{_said(says)}</circle>'
        )

    def path(self, points: Sequence[tuple[float, float]], stroke: str, *, width: float = 2) -> None:
        """A line through points, in px."""
        d = " ".join(f"{'M' if i == 0 else 'L'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
        self._parts.append(
            f'<path d="{d}" fill="none" stroke="{stroke}" stroke-width="{width:g}"'
            ' stroke-linejoin="round"/>'
        )

    def ribbon(self, d: str, fill: str, says: str) -> None:
        """A band within an SVG path, in px; `says` stands there when it is pointed at."""
        self._parts.append(f'<path class="ribbon" d="{d}" fill="{fill}">{_said(says)}</path>')

    def text(
        self, x: float, y: float, words: str, kind: str = "", *, fill: str = "", turn: bool = False
    ) -> None:
        """Words, in px; `kind` of `title soft end middle over`."""
        own = f' style="fill:{fill}"' if fill else ""
        turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
        self._parts.append(
            f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{own}{turned}>{escape(words)}</text>'
        )

    def below(self, scale: Scale, top: float, bottom: float, label: str) -> None:
        """A horizontal axis at `bottom`, its grid up to `top`."""
        span = abs(scale.to_px - scale.from_px)
        for tick in scale.ticks(max(2, int(span / 90))):
            x = scale(tick)
            self.line(x, top, x, bottom)
            self.text(x, bottom + 17, number(tick), "soft middle")
        self.line(scale.from_px, bottom, scale.to_px, bottom, "axis")
        self.text((scale.from_px + scale.to_px) / 2, bottom + 36, label, "middle")

    def beside(self, scale: Scale, left: float, right: float, label: str) -> None:
        """A vertical axis at `left`, its grid up to `right`."""
        span = abs(scale.to_px - scale.from_px)
        for tick in scale.ticks(max(2, int(span / 50))):
            y = scale(tick)
            self.line(left, y, right, y)
            self.text(left - 8, y + 4, number(tick), "soft end")
        self.line(left, scale.from_px, left, scale.to_px, "axis")
        self.text(18, (scale.from_px + scale.to_px) / 2, label, "middle", turn=True)

    def legend(self, x: float, y: float, entries: Sequence[tuple[str, str]]) -> None:
        """(colour, words) in a row from x on, in px, and in further rows where they do not fit."""
        at = x
        for fill, words in entries:
            wide = 26 + 7.2 * len(words)
            if at > x and at + wide > self.width - 8:
                at, y = x, y + 18
            self._parts.append(
                f'<rect class="edge" x="{at:.1f}" y="{y - 10:.1f}" width="11" height="11" rx="2"'
                f' fill="{fill}"/>'
            )
            self.text(at + 16, y, words, "soft")
            at += wide

    def svg(self) -> str:
        """The picture as text."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="mw-plot" role="img"'
            f' viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}"'
            f' height="{self.height:g}" aria-label="{escape(self.title)}">'
            f"<title>{escape(self.title)}</title><desc>{escape(self._description)}</desc>"
            f"<style>{_STYLE}</style>"
            f'<rect class="ground" width="{self.width:g}" height="{self.height:g}"/>'
            f"{''.join(self._parts)}</svg>\n"
        )


def shortened(words: str, most: int) -> str:
    """Words that take no more room than so many characters."""
    return words if len(words) <= most else words[: most - 1] + "…"


def _said(says: str) -> str:
    return f"<title>{escape(says)}</title>" if says else ""
