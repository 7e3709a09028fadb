"""Pictures: whole XML, told in words too, within their sheet, and readable by day and by night."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from mirrorworld.simulation.plots.axes import Scale, number
from mirrorworld.simulation.plots.convergence import convergence
from mirrorworld.simulation.plots.effects import main_effects
from mirrorworld.simulation.plots.gantt import gantt
from mirrorworld.simulation.plots.pareto import pareto
from mirrorworld.simulation.plots.sankey import Stream, columns, sankey
from mirrorworld.simulation.plots.tornado import tornado

NAN = float("nan")
SVG = "{http://www.w3.org/2000/svg}"
STREAMS = (
    Stream("supply", "<Fill & cap>", 1000.0),
    Stream("<Fill & cap>", "", 40.0, "scrap"),
    Stream("<Fill & cap>", "test", 1060.0),
    Stream("test", "repair", 100.0, "rework"),
    Stream("repair", "<Fill & cap>", 100.0),
    Stream("test", "output", 930.0),
    Stream("test", "bin", 30.0, "scrap"),
    Stream("output", "never", 0.0),
)
PICTURES = {
    "sankey": sankey(STREAMS, unit="parts/h"),
    "gantt": gantt(
        {
            "job": [f"Auftrag {i}" for i in range(18)],
            "operation": [0] * 18,
            "machine": ["<Press & fold>", "M2"] * 9,
            "start": [10 * (i // 2) for i in range(18)],
            "end": [10 * (i // 2) + 9 for i in range(18)],
        },
        unit="min",
        closed={"M2": ((90, 95),), "M3": ((0, 50),)},
    ),
    "pareto": pareto(
        [1.0, 2.0, 3.0, NAN], [3.0, 1.0, 4.0, 2.0], [0, 1], x_label="cost in EUR", y_label="lead"
    ),
    "effects": main_effects(
        [("a factor whose name is very long indeed", 1e-9, NAN, NAN), ("b", -3.0, -4.0, -2.0)],
        figure="throughput",
    ),
    "tornado": tornado(
        [("x", (0.3, 0.2, 0.4), (0.6, 0.5, 0.7)), ("y", (-0.1, -0.2, 0.0), None)], figure="f"
    ),
    "convergence": convergence(
        [("best", [(0, 5.0), (3, 2.0), (9, NAN)]), ("bound", [(0, 1.0)])],
        x_label="s",
        y_label="makespan",
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_told_in_words(name: str) -> None:
    root = ElementTree.fromstring(PICTURES[name])
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert title is not None and title.text == root.get("aria-label")
    assert description is not None and description.text and len(description.text) > 30
    assert "nan" not in PICTURES[name]
    assert "http" not in PICTURES[name].replace("http://www.w3.org/2000/svg", "")


def test_a_sankey_goes_right_and_back_only_where_the_line_does() -> None:
    at = columns([one for one in STREAMS if one.amount])
    assert at == {"supply": 0, "<Fill & cap>": 1, "test": 2, "repair": 3, "output": 3, "bin": 3}
    # Two places that feed each other, and nothing before them.
    assert columns([Stream("a", "b", 1.0), Stream("b", "a", 1.0)]) == {"a": 0, "b": 1}
    root = ElementTree.fromstring(PICTURES["sankey"])
    ribbons = [x for x in root.iter(f"{SVG}path") if x.get("class") == "ribbon"]
    assert len(ribbons) == 7  # nothing is drawn for what nothing goes over
    said = [title.text for x in ribbons if (title := x.find(f"{SVG}title")) is not None]
    assert "thrown away at <Fill & cap>: 40 parts/h" in said
    assert "test → repair, rework: 100 parts/h" in said
    with pytest.raises(ValueError, match="nothing goes anywhere"):
        sankey([Stream("a", "b", 0.0)])


def test_what_is_drawn_is_where_it_belongs() -> None:
    root = ElementTree.fromstring(PICTURES["pareto"])
    dots = root.findall(f"{SVG}circle")
    said = {dot[0].text: (float(dot.get("cx", 0)), float(dot.get("cy", 0))) for dot in dots}
    assert set(said) == {"design 0: 1, 3", "design 1: 2, 1", "design 2: 3, 4"}
    (x0, y0), (x1, y1), (x2, y2) = (said[name] for name in sorted(said))
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert (y1 - y0) / (y0 - y2) == pytest.approx(2, abs=0.01)
    bars = ElementTree.fromstring(PICTURES["gantt"]).findall(f"{SVG}rect")
    assert sum("operation 1" in (bar[0].text or "") for bar in bars if len(bar)) == 18


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(ValueError, match="no rows"):
        gantt({"job": [], "operation": [], "machine": [], "start": [], "end": []})
    with pytest.raises(ValueError, match="no value is finite"):
        pareto([NAN], [1.0], [], x_label="x", y_label="y")
    with pytest.raises(ValueError, match="no factor"):
        tornado([], figure="f")
    with pytest.raises(ValueError, match="cannot be drawn"):
        Scale(0, NAN, 0, 1)


def test_ticks_are_round_and_within() -> None:
    assert Scale(0.3, 9.7, 0, 100).ticks(5) == [2, 4, 6, 8]
    assert Scale(5, 5, 0, 100).ticks(5)[0] >= 4.75
    assert [number(x) for x in (0, 1234.5, 0.25, 1e9, 3.0, 1e-7)] == [
        "0", "1,234.5", "0.25", "1e+09", "3", "1e-07",
    ]  # fmt: skip


@pytest.mark.browser
def test_pictures_are_readable_by_day_and_by_night(browser, tmp_path: Path) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        for name, svg in PICTURES.items():
            (tmp_path / f"{name}.svg").write_text(svg, encoding="utf-8")
            page.goto((tmp_path / f"{name}.svg").as_uri())
            beyond = page.evaluate(
                """() => [...document.querySelectorAll('text')].filter(text => {
                    const box = text.getBoundingClientRect()
                    const sheet = document.documentElement.getBoundingClientRect()
                    return box.left < sheet.left || box.right > sheet.right
                        || box.top < sheet.top || box.bottom > sheet.bottom
                }).map(text => text.textContent)"""
            )
            assert beyond == [], f"{name}: words beyond the sheet"
            colours = page.evaluate(
                """() => ['.ground', '.title'].map(
                    part => getComputedStyle(document.querySelector(part)).fill)"""
            )
            assert colours[0] != colours[1]
            grounds.setdefault(name, []).append(colours)
        context.close()
    assert all(day != night for day, night in grounds.values())
