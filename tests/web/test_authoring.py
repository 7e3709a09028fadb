"""Two real pages write, draw and arrange together: each sees the other's letters, undoes its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorworld.world.changes import Edits, PutPose, PutTwin, PutType
from mirrorworld.world.model import PointType, Pose, Text, Twin, TwinType
from tests.web.conftest import OpenPage
from tests.web.living_world import LivingWorld

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PATIENCE_MS = 60_000
PUMPS = [f"plant/pump{i}" for i in range(4)]
ROOM = "window.__mirrorworld.authoring.room"


@pytest.fixture
def world(living: Callable[[Edits], LivingWorld]) -> LivingWorld:
    pump = TwinType("pump", Text.of("Pump", "en"), points=(PointType("flow", unit="m3/h"),))
    edits: list[object] = [PutType(pump)]
    for i, id in enumerate(PUMPS):
        edits.append(PutTwin(Twin(id, "pump", Text.of(f"Pump {i}", "en"))))
        edits.append(PutPose(id, Pose(3.0 * i, 0.0, 0.0)))
    return living(Edits(tuple(edits)))  # pyright: ignore[reportArgumentType]


def until(page: Page, condition: str, argument: object = None) -> None:
    page.wait_for_function(condition, arg=argument, timeout=PATIENCE_MS)


def centre(page: Page, twin: str) -> tuple[float, float]:
    """Where a twin is in the window."""
    at = page.evaluate("id => window.__mirrorworld.scene.project(id)", twin)
    return at["x"], at["y"]


def write_on(page: Page, twin: str, text: str) -> None:
    """New note, a click on the part, and typing."""
    page.get_by_role("button", name="New note").click()
    page.mouse.click(*centre(page, twin))
    area = page.locator(".author-text")
    area.wait_for(timeout=PATIENCE_MS)
    area.press_sequentially(text)


def shot(page: Page, name: str) -> None:
    """Keeps a picture for who looks at it."""
    if folder := os.environ.get("MIRRORWORLD_SHOTS"):
        page.screenshot(path=str(Path(folder) / f"authoring-{name}.png"), timeout=PATIENCE_MS)


def test_two_pages_write_on_the_same_part(world: LivingWorld, open_page: OpenPage) -> None:
    one, two = (open_page(world, with_scene=False) for _ in range(2))
    one.keyboard.press("n")
    one.locator(".author-panel").wait_for(timeout=PATIENCE_MS)
    until(one, f"{ROOM}.line.mayWrite")
    shot(one, "empty")
    write_on(one, PUMPS[1], "Leaks at the <b>seal</b>")
    until(two, "document.querySelector('.author-pin:not([hidden])') !== null")
    shot(one, "note")
    shot(two, "pin")
    log = world.do(lambda mirror: mirror.world.writings)
    assert list(log) == [PUMPS[1]]
