"""The branch bench itself: what it calls open is open, and what it calls changed is changed."""

from __future__ import annotations

from mirrorworld.bench import run


def test_all_branches_are_open_and_changed() -> None:
    figures = run("branch", {"points": 1_000, "open": 3})
    assert figures["points"] == 1_000 and figures["open"] == 3
    assert figures["create_ms"] > 0 and figures["on_disk_bytes"] > 0
