"""Branches on the page, over a real record and a real server: made, changed, shown beside, left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.branches.models_for_tests import install
from tests.branches.serving import START, make
from tests.web.branch_world import BranchWorld, served
from tests.web.conftest import OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

WAIT_MS = 90_000
FILLER, CAPPER = "line1/filler", "line1/capper"


@pytest.fixture(scope="module")
def works(static_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BranchWorld]:
    with pytest.MonkeyPatch.context() as patch:
        install(tmp_path_factory.mktemp("models"), patch)
        with served(tmp_path_factory.mktemp("branches"), make, static_dir, "line1") as running:
            yield running


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")


def opened(open_page: OpenPage, works: BranchWorld, **options) -> Page:
    from playwright.sync_api import expect

    page = open_page(works, with_scene=False, **{"width": 1280, "height": 800, **options})
    page.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    return page


@pytest.fixture(scope="module")
def shared(works: BranchWorld, open_shared_page: OpenPage) -> Page:
    return opened(open_shared_page, works)


@pytest.fixture
def page(shared: Page) -> Page:
    """One page for most tests, at the plant and with nothing open: opening one costs seconds."""
    shared.evaluate("__mirrorworld.mirror.show(null)")
    shared.evaluate("__mirrorworld.mirror.select(null)")
    shared.evaluate("document.querySelector('dialog[open]')?.close()")
    return shared


def made(page: Page, name: str) -> None:
    """A branch from now, and into it."""
    if not page.locator(".branches").is_visible():
        page.keyboard.press("y")
    page.locator(".branches .panel-head").get_by_role("button", name="New…").click()
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
    page.locator(".branch-tabs button", has_text="Change").click()
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
    works: BranchWorld, page: Page
) -> None:
    from playwright.sync_api import expect

    made(page, "Faster <filler>")
    banner = page.locator(".branch-banner")
    expect(banner).to_contain_text("Faster <filler>")
    expect(banner).to_contain_text("not the plant")
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

    page = opened(open_page, works, width=390, height=844, has_touch=True)
    # From the moment that is shown in the time bar.
    at_ms = START // 1_000_000 + 6 * 60_000 + 5
    page.evaluate(f"__mirrorworld.mirror.seek({at_ms})")
    made(page, "Night shift")
    page.wait_for_function("__mirrorworld.mirror.twins.size > 0")
    speed = "__mirrorworld.mirror.value[__mirrorworld.mirror.handle('line1/filler', 'speed')]"
    page.wait_for_function(f"{speed} === 106")
    assert page.evaluate("__mirrorworld.mirror.nowMs()") == at_ms
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


def test_a_branch_stands_beside_the_plant_as_a_ghost(works: BranchWorld, page: Page) -> None:
    from playwright.sync_api import expect

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


def tab(page: Page, name: str) -> Locator:
    page.locator(".branch-tabs button", has_text=name).click()
    return page.locator(".branch-part:visible")


def assume(page: Page, twin: str, point: str, value: str) -> None:
    form = change(page, twin)
    form.get_by_label(point, exact=True).fill(value)
    form.get_by_role("button", name="Change in the branch").click()
    page.locator(".branch-change", has_text=f"{point.lower()} = {value}").wait_for()


def test_a_branch_runs_and_a_model_that_breaks_is_named(works: BranchWorld, page: Page) -> None:
    from playwright.sync_api import expect

    made(page, "Run")
    select(page, FILLER)
    part = tab(page, "Run")
    part.get_by_role("button", name="Fastest").click()
    part.get_by_label("How long, in hours of the branch").fill("0.01")
    part.get_by_role("checkbox", name="counter").check()
    part.get_by_role("button", name="Run", exact=True).click()
    expect(part.locator(".run-state")).to_contain_text("has run")
    expect(part.locator(".run-state")).to_contain_text("36 samples")
    level = "__mirrorworld.mirror.value[__mirrorworld.mirror.handle('line1/filler', 'level')]"
    page.wait_for_function(f"{level} === 36")
    assert live_value(works, FILLER, "level") == 51

    # Paused, stepped and stopped; what was obtained stays.
    part.get_by_label("until it is stopped").check()
    part.get_by_role("button", name="Start paused").click()
    part.get_by_role("button", name="Step", exact=True).click()
    expect(part.locator(".run-state")).to_contain_text("paused")
    page.wait_for_function(f"{level} === 1")
    part.get_by_role("button", name="Stop", exact=True).click()
    expect(part.get_by_role("button", name="Run", exact=True)).to_be_visible()

    part.get_by_role("checkbox", name="counter").uncheck()
    part.get_by_role("checkbox", name="broken").check()
    part.get_by_role("button", name="Run", exact=True).click()
    expect(part.locator(".run-state")).to_contain_text("failed")
    expect(part.locator(".run-problem")).to_contain_text("division by zero")
    shot(page, "branch-run")


def test_branches_are_evaluated_and_compared(page: Page) -> None:
    from playwright.sync_api import expect

    made(page, "As it is")
    page.locator(".branch-banner").get_by_role("button", name="Leave").click()
    expect(page.locator(".branch-card", has_text="As it is")).to_have_count(1)
    page.locator(".branches").get_by_role("button", name="New…").click()
    page.locator("dialog[open]").get_by_label("Name", exact=True).fill("Faster")
    page.locator("dialog[open]").get_by_role("button", name="Make it").click()
    page.locator(".branch-banner", has_text="Faster").wait_for()
    assume(page, FILLER, "Speed", "150")
    page.locator(".branch-banner").get_by_role("button", name="Leave").click()

    for name in ("As it is", "Faster"):
        page.get_by_role("checkbox", name=f"Compare {name}", exact=True).check()
    page.get_by_role("button", name="Compare 2 branches…").click()
    dialog = page.locator("dialog.compare")
    dialog.get_by_label("Evaluator").select_option("noisy")
    dialog.get_by_label("Replications").fill("12")
    dialog.get_by_role("button", name="Evaluate all").click()
    rows = dialog.locator(".compare-table tbody tr")
    expect(rows).to_have_count(2)
    throughput = rows.filter(has_text="Throughput").locator("td")
    expect(throughput).to_have_count(2)
    # 41 a minute more, and as the same seed was drawn from for both, that is certain.
    expect(throughput.nth(1)).to_contain_text("+41")
    expect(throughput.nth(1)).to_contain_text("better with")
    expect(throughput.nth(1).locator(".better")).to_have_count(1)
    plots = dialog.locator("svg.plot")
    expect(plots).to_have_count(2)
    said = plots.first.get_attribute("aria-label") or ""
    assert "Faster" in said and "95 % interval" in said and "12 runs" in said
    assert plots.first.locator(".plot-dot").count() == 24
    shot(page, "branch-compare")


def test_what_goes_where_is_drawn_and_told(works: BranchWorld, open_page: OpenPage) -> None:
    from playwright.sync_api import expect

    page = opened(open_page, works, width=390, height=844, has_touch=True)
    made(page, "Flowing")
    part = tab(page, "Figures")
    part.get_by_label("Evaluator").select_option("moving")
    part.get_by_role("button", name="Evaluate", exact=True).click()
    # Ways are no rows among the figures.
    expect(part.locator(".kpi-table tbody tr")).to_have_count(1)
    part.get_by_role("button", name="What goes where…").click()
    dialog = page.locator("dialog[open]")
    expect(dialog.locator("svg.sankey path")).to_have_count(10)
    for kind in ("scrap", "rework"):
        assert dialog.locator(f"svg.sankey .sankey-{kind}").count() >= 1
    rows = dialog.locator(".kpi-table tbody tr")
    expect(rows).to_have_count(10)
    expect(rows.filter(has_text="thrown away")).to_contain_text("filler")
    expect(dialog.get_by_role("region", name="What goes where")).to_be_visible()
    # What goes round lies below all else.
    boxes = page.evaluate(
        """() => [...document.querySelectorAll("svg.sankey path")].map((path) => {
            const { x, y, width, height } = path.getBBox();
            return { says: path.textContent, foot: y + height, width };
        })"""
    )
    lowest = max(boxes, key=lambda box: box["foot"])
    assert lowest["says"].startswith("repair → filler")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "branch-sankey-phone")
    page.set_viewport_size({"width": 1440, "height": 900})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        shot(page, f"branch-sankey-{scheme}")


def test_a_plan_is_approved_carried_out_and_rolled_back(works: BranchWorld, page: Page) -> None:
    from playwright.sync_api import expect

    made(page, "To be done")
    assume(page, FILLER, "Speed", "160")
    form = change(page, CAPPER)
    form.get_by_label("x in metres").fill("3")
    form.get_by_role("button", name="Change in the branch").click()
    part = tab(page, "Apply")
    expect(part.locator(".diff li")).to_have_count(2)
    part.get_by_label("Reason").fill("as tried")
    part.get_by_role("button", name="Make a plan").click()
    plan = part.locator(".plan", has_text="as tried")
    steps = plan.locator(".plan-step")
    expect(steps).to_have_count(2)
    expect(plan.locator(".chip").first).to_have_text("waits for approval")
    assert live_value(works, FILLER, "speed") == 109
    plan.get_by_role("button", name="Approve").click()
    plan.get_by_role("button", name="Carry out 1 command").click()
    expect(plan.locator(".chip").first).to_have_text("applied")
    assert live_value(works, FILLER, "speed") == 160
    plan.get_by_role("button", name="Done").click()
    expect(plan.locator(".is-done")).to_have_count(1)
    shot(page, "branch-plan")

    # What the plant does not take is said, and what was done before is taken back.
    tab(page, "Change")
    assume(page, FILLER, "Speed", "250")
    part = tab(page, "Apply")
    part.get_by_label("Reason").fill("too much")
    part.get_by_role("button", name="Make a plan").click()
    plan = part.locator(".plan", has_text="too much")
    plan.get_by_role("button", name="Approve").click()
    plan.get_by_role("button", name="Carry out 1 command").click()
    expect(plan).to_contain_text("too fast for me")
    expect(plan.locator(".chip").first).to_have_text("rolled back")
    assert live_value(works, FILLER, "speed") == 160
