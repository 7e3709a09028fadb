"""Branches on the page, over a real record and a real server: made, changed, shown beside, left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.branches.serving import make
from tests.web.branch_world import BranchWorld, served
from tests.web.conftest import OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

WAIT_MS = int(os.environ.get("WAIT_MS", 90_000))
FILLER, CAPPER = "line1/filler", "line1/capper"


@pytest.fixture(scope="module")
def works(static_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BranchWorld]:
    with served(tmp_path_factory.mktemp("branches"), make, static_dir) as running:
        yield running


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")


def opened(open_page: OpenPage, works: BranchWorld, **options) -> Page:
    from playwright.sync_api import expect

    page = open_page(works, **{"width": 1280, "height": 800, **options})
    page.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    return page


def made(page: Page, name: str) -> None:
    """A branch from now, and into it."""
    page.keyboard.press("y")
    page.locator(".branches").get_by_role("button", name="New").first.click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Name", exact=True).fill(name)
    dialog.get_by_role("button", name="Make it").click()
    page.locator(".branch-banner").wait_for()
    page.wait_for_function(
        "__mirrorworld.mirror.branch && __mirrorworld.mirror.link.state === 'live'"
    )


def select(page: Page, twin: str) -> None:
    page.wait_for_function(f"__mirrorworld.mirror.twins.has({twin!r})")
    page.evaluate(f"__mirrorworld.mirror.select({twin!r})")


def change(page: Page, twin: str) -> Locator:
    """The form that changes a twin, once it is there."""
    select(page, twin)
    form = page.get_by_role("form", name=f"Change {twin.rpartition('/')[2]}")
    form.wait_for()
    return form


def value(page: Page, twin: str, point: str) -> float:
    handle = page.evaluate(
        "([twin, point]) => __mirrorworld.mirror.handle(twin, point)", [twin, point]
    )
    return page.evaluate(f"__mirrorworld.mirror.value[{handle}]")


def live_value(works: BranchWorld, twin: str, point: str) -> object:
    def act() -> object:
        world = works.mirror.world
        return world.value(world.structure.handle(twin, point))

    return works.do(act)


def test_a_branch_is_changed_taken_back_and_left_and_the_plant_stays(
    works: BranchWorld, open_page: OpenPage
) -> None:
    from playwright.sync_api import expect

    page = opened(open_page, works, with_scene=False)
    made(page, "Faster <filler>")
    banner = page.locator(".branch-banner")
    expect(banner).to_contain_text("Faster <filler>")
    expect(banner).to_contain_text("not the plant")
    expect(page.locator(".time-pill")).to_have_text("BRANCH")
    assert "branch=" in page.url

    form = change(page, FILLER)
    form.get_by_label("x in metres").fill("7.5")
    form.get_by_label("Speed", exact=True).fill("321")
    form.get_by_role("button", name="Change in the branch").click()
    said = page.locator(".branch-change")
    expect(said).to_have_count(2)
    expect(said.first).to_contain_text("321")
    page.wait_for_function("__mirrorworld.mirror.twins.get('line1/filler').pose.x_m === 7.5")
    assert value(page, FILLER, "speed") == 321
    assert live_value(works, FILLER, "speed") == 109
    shot(page, "branch-changed")

    # No command can be given here, by no button and by no request of the page.
    expect(page.locator("#right")).to_contain_text("A branch has no way to the plant")
    refused = page.evaluate(
        """() => __mirrorworld.mirror.rest.post("commands", { twin: "line1/filler", point: "speed",
            value: 1 }).then(() => "taken", (error) => error.message)"""
    )
    assert "You are in a branch" in refused

    said.first.get_by_role("button", name="Undo").click()
    expect(page.locator(".branch-change.undone")).to_have_count(1)
    page.wait_for_function(
        "__mirrorworld.mirror.value[__mirrorworld.mirror.handle('line1/filler', 'speed')] === 109"
    )

    page.locator(".branch-tabs button", has_text="Apply").click()
    differs = page.locator(".diff li")
    expect(differs).to_have_count(1)
    expect(differs.first).to_have_attribute("data-what", "place")

    banner.get_by_role("button", name="Leave").click()
    expect(banner).to_be_hidden()
    page.wait_for_function("__mirrorworld.mirror.twins.get('line1/filler').pose.x_m === 1")
    assert "branch=" not in page.url


def test_branches_are_renamed_shared_and_discarded(works: BranchWorld, open_page: OpenPage) -> None:
    from playwright.sync_api import expect

    page = opened(open_page, works, with_scene=False, width=390, height=844, has_touch=True)
    made(page, "Night shift")
    page.locator(".branches").get_by_role("button", name="Leave").click()
    card = page.locator(".branch-card", has_text="Night shift")
    card.get_by_role("button", name="More about Night shift").click()
    card.get_by_role("button", name="Share", exact=True).click()
    expect(card).to_contain_text("shared")
    card.get_by_role("button", name="Rename…").click()
    page.locator("dialog[open]").get_by_label("Name", exact=True).fill("Day shift")
    page.locator("dialog[open]").get_by_role("button", name="Save").click()
    card = page.locator(".branch-card", has_text="Day shift")
    expect(card).to_have_count(1)
    shot(page, "branch-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    card.get_by_role("button", name="Discard…").click()
    dialog = page.locator("dialog[open]")
    expect(dialog).to_contain_text("gone for good")
    dialog.get_by_role("button", name="Discard", exact=True).click()
    expect(card).to_have_count(0)


def test_a_branch_stands_beside_the_plant_as_a_ghost(
    works: BranchWorld, open_page: OpenPage
) -> None:
    from playwright.sync_api import expect

    page = opened(open_page, works, with_scene=False)
    made(page, "Moved")
    form = change(page, CAPPER)
    form.get_by_label("z in metres").fill("4")
    form.get_by_role("button", name="Change in the branch").click()
    expect(page.locator(".branch-change")).to_have_count(1)
    form = change(page, FILLER)
    form.get_by_label("State", exact=True).select_option("0")
    form.get_by_role("button", name="Change in the branch").click()
    expect(page.locator(".branch-change")).to_have_count(2)
    assert page.evaluate("__mirrorworld.scene.others()") == {"drawn": 0, "noted": 0}
    page.locator(".branch-banner").get_by_role("button", name="Leave").click()

    card = page.locator(".branch-card", has_text="Moved")
    card.get_by_role("button", name="Ghost").click()
    legend = page.locator(".ghost-legend")
    expect(legend).to_contain_text("1 elsewhere · 1 in another state")
    # Two bodies and the way of the one that moved; one label with both states.
    found = page.evaluate("__mirrorworld.scene.others()")
    assert found["drawn"] >= 2 and found["noted"] == 1
    expect(page.locator(".label.noted .note")).to_have_text("State auto → off")
    shot(page, "branch-ghost")
    card.get_by_role("button", name="Hide ghost").click()
    expect(legend).to_be_hidden()
    assert page.evaluate("__mirrorworld.scene.others()") == {"drawn": 0, "noted": 0}
