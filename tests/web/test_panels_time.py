"""Trends and the time bar: history continued by what comes, and the whole page in the past."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import OpenPage
from tests.web.panel_world import FILLER, PAST_S, PanelWorld
from tests.web.test_panels import MIRROR, WAIT_MS, open_wide, select

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def add_to_trend(page: Page, point: str) -> None:
    """Opens a point of the selected twin and adds it."""
    row = page.locator(f'[data-point="{FILLER}.{point}"]')
    row.locator(".point-row").click()
    row.get_by_role("button", name="Add to trend").click()
    row.locator(".point-row").click()


def inked(page: Page) -> int:
    """How many pixels of the chart's picture differ from nothing."""
    return page.evaluate(
        """() => { const c = document.querySelector(".chart canvas");
            const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
            let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i] > 0) n += 1; return n; }"""
    )


def test_trend_shows_the_past_follows_the_present_and_can_be_moved(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    select(page, FILLER)
    with page.expect_response(re.compile("/api/history")) as asked:
        add_to_trend(page, "BowlLevel")
    assert asked.value.ok
    add_to_trend(page, "State")
    rows = page.locator(".legend-row")
    expect(rows).to_have_count(2)
    page.locator(".dock").get_by_role("button", name="All", exact=True).click()
    page.wait_for_selector(".chart canvas")
    assert inked(page) > 500

    line.tick(BowlLevel=77.7)
    expect(rows.first.locator(".legend-value")).to_have_text("77.7")

    chart = page.locator(".chart .u-over").bounding_box()
    assert chart is not None
    middle = (chart["x"] + chart["width"] / 2, chart["y"] + chart["height"] / 2)
    # The cursor reads the value at its time, not the latest.
    page.mouse.move(*middle)
    expect(page.locator(".readout")).to_be_visible()
    expect(rows.first.locator(".legend-value")).not_to_have_text("77.7")
    back = page.locator(".dock").get_by_role("button", name="Back to live")
    expect(back).to_be_hidden()
    page.mouse.down()
    page.mouse.move(middle[0] + 200, middle[1], steps=3)
    page.mouse.up()
    expect(back).to_be_visible()
    back.click()
    expect(back).to_be_hidden()
    # Closer, by the wheel: the record is asked again, finer.
    page.mouse.move(*middle)
    with page.expect_response(re.compile("/api/history")):
        for _ in range(8):
            page.mouse.wheel(0, -120)

    page.locator(".dock").get_by_role("button", name="All", exact=True).click()
    # A page opened again has the same points.
    page.reload()
    page.wait_for_function(f"() => window.__mirrorworld && {MIRROR}.nPoints > 0", timeout=WAIT_MS)
    page.locator("#tab-trends").click()
    expect(page.locator(".legend-row")).to_have_count(2)


def test_time_bar_takes_the_whole_page_into_the_past_and_back(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    line.tick(BowlLevel=77.7)
    select(page, FILLER)
    figure = page.locator(f'[data-point="{FILLER}.State"] .figure')
    level = page.locator(f'[data-point="{FILLER}.BowlLevel"] .figure')
    expect(figure).to_have_text("Execute")
    track = page.get_by_role("slider", name="Time")
    expect(track).to_have_attribute("aria-valuetext", "live")
    box = track.bounding_box()
    assert box is not None
    # The line stood from 1000 s to 1180 s.
    page.mouse.click(box["x"] + box["width"] * 1_090 / PAST_S, box["y"] + box["height"] / 2)
    expect(page.locator("html")).to_have_attribute("data-time", "past")
    expect(figure).to_have_text("Aborted")
    expect(level).not_to_have_text("77.7")
    expect(page.locator(".time-pill")).to_contain_text("PAST")
    # Nothing can be asked of the plant from the past.
    expect(page.locator("[data-control]").get_by_role("button", name="Set")).to_be_disabled()
    # What happens now does not disturb what is shown.
    line.tick(BowlLevel=11.1)
    page.keyboard.press(".")
    expect(level).not_to_have_text("11.1")

    track.focus()
    page.keyboard.press("Home")
    first = line.mirror.start_ns / 1e6
    page.wait_for_function(
        f"t => Math.abs({MIRROR}.viewMs() - t) < 5000", arg=first, timeout=WAIT_MS
    )
    # Played, time goes on by itself.
    page.locator(".time-play").get_by_role("button", name="60×").click()
    page.wait_for_function(f"t => {MIRROR}.viewMs() > t + 20000", arg=first, timeout=WAIT_MS)
    page.keyboard.press("Escape")
    track.focus()
    page.keyboard.press("End")
    expect(page.locator("html")).to_have_attribute("data-time", "live")
    select(page, FILLER)
    expect(level).to_have_text("11.1")
    expect(page.locator("[data-control]").get_by_role("button", name="Set")).to_be_enabled()
