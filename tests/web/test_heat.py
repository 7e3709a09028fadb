"""Heat layer, map, totals, correlation and the inside of a building, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorworld.world.changes import Edits, PutRelation, PutTwin
from mirrorworld.world.model import PointType, Pose, Property, Relation, Text, Twin
from tests.web.conftest import OpenPage
from tests.web.living_world import LivingWorld

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

WAIT_MS = 60_000
SCENE = "window.__mirrorworld.scene"
MIRROR = "window.__mirrorworld.mirror"
N = 5


def site() -> Edits:
    """Houses of three rooms each in a row, and a zone that is a piece of a ring."""
    edits: list = [PutTwin(Twin("site", name=Text.of("Site")))]
    room = (PointType("Temperature", unit="Cel"), PointType("Power", unit="W"))
    for h in range(N):
        edits.append(PutTwin(Twin(f"h{h}", name=Text.of(f"House {h}"), pose=Pose(x_m=h * 20.0))))
        edits.append(PutRelation(Relation("part_of", f"h{h}", "site")))
        for r in range(3):
            name = Text.of(f"Room {h}{r}")
            edits.append(
                PutTwin(Twin(f"h{h}/r{r}", name=name, points=room, pose=Pose(h * 20, r, 4)))
            )
            edits.append(PutRelation(Relation("part_of", f"h{h}/r{r}", f"h{h}")))
    ring = ("inner_radius", "outer_radius", "from_bearing", "to_bearing")
    sector = tuple(Property(n, v) for n, v in zip(ring, (10.0, 60.0, 0.0, 45.0), strict=True))
    leak = (PointType("LeakProbability", unit="1", low=0.0, high=1.0),)
    edits.append(PutTwin(Twin("zone", properties=(Property("sector", sector),), points=leak)))
    return Edits(tuple(edits))


def say(world: LivingWorld, base: float) -> None:
    rooms = [(h, r) for h in range(N) for r in range(3)]
    world.write([(f"h{h}/r{r}", "Temperature") for h, r in rooms], [base + h for h, _ in rooms])
    world.write([(f"h{h}/r{r}", "Power") for h, r in rooms], [100.0 * (r + 1) for _, r in rooms])
    world.write([("zone", "LeakProbability")], [0.75])


@pytest.fixture(scope="module")
def world(static_dir: Path) -> Iterator[LivingWorld]:
    world = LivingWorld(static_dir, site())
    say(world, 20.0)
    yield world
    world.close()


@pytest.fixture(scope="module")
def page(world: LivingWorld, open_shared_page: OpenPage) -> Page:
    return open_shared_page(world, width=1100, height=640, with_scene=False)


def wait(page: Page, condition: str) -> None:
    page.wait_for_function(condition, timeout=WAIT_MS)


def heat(page: Page, twin: str) -> int:
    return page.evaluate(f"{SCENE}.heatOf('{twin}')")


def choose(page: Page, name: str) -> None:
    found = page.evaluate(
        "(n) => [...document.querySelector('.heat-choice').options]"
        ".find((o) => o.value.startsWith(n)).value",
        name,
    )
    page.select_option(".heat-choice", found)


def test_the_scene_is_coloured_by_a_quantity_and_follows_it(page: Page, world: LivingWorld) -> None:
    assert heat(page, "h0/r0") == 0
    page.get_by_role("button", name="Heat layer: colours by value").click()
    wait(page, f"{SCENE}.heatOf('h4/r0') === 255")
    assert heat(page, "h0/r0") == 1
    middle = heat(page, "h2/r0")
    assert 100 < middle < 156
    page.locator(".heat-bound").first.fill("0")
    page.locator(".heat-bound").first.press("Enter")
    wait(page, f"{SCENE}.heatOf('h0/r0') > 200")
    say(world, 10.0)
    wait(page, f"{SCENE}.heatOf('h0/r0') < 130 && {SCENE}.heatOf('h0/r0') > 90")
    label = page.locator(".heat-scale").get_attribute("aria-label")
    assert label and "Temperature" in label
    say(world, 20.0)


def test_a_zone_without_a_body_is_coloured_on_the_ground(page: Page) -> None:
    choose(page, "LeakProbability")
    wait(page, f"{SCENE}.heatOf('zone') > 0")
    assert heat(page, "h0/r0") == 0
    choose(page, "Temperature")
    page.get_by_role("button", name="Close the heat layer").click()
    assert heat(page, "h4/r0") == 0


def test_the_map_is_seen_from_straight_above(page: Page) -> None:
    button = page.get_by_role("button", name="Map: from above (3)")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    place = page.evaluate(f"{SCENE}.camera()")
    assert place["position"][0] == pytest.approx(place["target"][0], abs=0.1)
    assert place["position"][1] > 100
    button.click()
    wait(page, f"{SCENE}.mode === 'orbit'")


def test_totals_of_a_whole_follow_its_parts(page: Page, world: LivingWorld) -> None:
    page.evaluate(f"{MIRROR}.select('site')")
    totals = page.locator(".totals")
    row = totals.locator(".totals-row", has_text="Power")
    row.get_by_text("3000 W").wait_for(timeout=WAIT_MS)
    assert "⌀" in totals.locator(".totals-row", has_text="Temperature").inner_text()
    world.write([("h0/r0", "Power")], [1100.0])
    row.get_by_text("4000 W").wait_for(timeout=WAIT_MS)
    page.evaluate(f"{MIRROR}.select('h0/r0')")
    totals.wait_for(state="detached", timeout=WAIT_MS)


def test_two_quantities_are_set_against_each_other(page: Page, world: LivingWorld) -> None:
    page.get_by_role("button", name="Correlation of two quantities").click()
    dialog = page.get_by_role("dialog", name="Correlation")
    dialog.get_by_label("Quantity upwards").select_option(label="Power, W")
    dialog.locator(".corr-figures", has_text="15").wait_for(timeout=WAIT_MS)
    dialog.locator(".corr-said", has_text="Temperature").wait_for(timeout=WAIT_MS)
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached", timeout=WAIT_MS)
