"""The Modbus bench itself: it really polls, and what it calls lost would be seen."""

from __future__ import annotations

from mirrorworld.bench import run


def test_it_polls_and_loses_nothing() -> None:
    figures = run("modbus", {"points": 500, "seconds": 0.5, "period_ms": 50})
    assert figures["lost"] == 0
    assert figures["points_per_s"] > 0 and figures["cpu_us_per_point"] > 0
