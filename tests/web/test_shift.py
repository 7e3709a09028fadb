"""The shift on the page, over a real record: figures, stops explained by the thumb, files."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pyarrow.parquet as pq
import pytest

from tests.operations.kept_world import MINUTE, START
from tests.operations.serving import TOKEN, Kept, kept
from tests.web.conftest import OpenPage

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

WAIT_MS = 90_000


@pytest.fixture
def works(static_dir: Path, tmp_path: Path) -> Iterator[Kept]:
    with kept(tmp_path / "kept", lambda: START + 445 * MINUTE, static_dir) as running:
        yield running


def written_down(works: Kept, kind: str, name: str) -> dict:
    """What a sheet holds, as the server has it."""
    shown = {"Authorization": f"Bearer {TOKEN}"}
    page = httpx.get(f"{works.address}/api/sheets", params={"kind": kind}, headers=shown).json()
    (body,) = (sheet["body"] for sheet in page["sheets"] if sheet["name"] == name)
    return json.loads(body)


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")


def test_a_stop_is_explained_split_and_taken_back_by_the_thumb(
    works: Kept, open_page: OpenPage
) -> None:
    from playwright.sync_api import expect

    page = open_page(works, with_scene=False, width=390, height=844, has_touch=True)  # pyright: ignore
    page.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    page.locator(".phone-tabs button", has_text="Shift").click()
    shift = page.locator("dialog.shift")
    rows = shift.locator(".stop")
    expect(rows).to_have_count(6)
    expect(shift.locator(".segmented .badge")).to_have_text("6")
    # What a machine says is text and never markup; nothing is wider than the phone.
    expect(rows.first).to_contain_text('<jam> "ß" & Ölmangel')
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    rows.first.click()
    shift.locator('[data-reason="breakdown"]').click()
    shift.locator('[data-reason="breakdown/electrical"]').click()
    shift.get_by_text("Only a part of it").click()
    shift.get_by_role("slider", name="To").fill("40")  # steps of half a minute: 20 minutes
    expect(shift.get_by_role("slider", name="To")).to_have_attribute("aria-valuetext", "12:50")
    shot(page, "shift-part")
    for button in shift.locator(".reason, .choose-foot .button").all():
        box = button.bounding_box()
        assert box is not None and box["height"] >= 44
    shift.get_by_role("button", name="Save").click()
    expect(rows).to_have_count(7)
    said = shift.locator(".stop", has_text="Breakdown › Electrical")
    expect(said).to_contain_text("20 min")
    shot(page, "shift-said")
    shift.get_by_role("button", name="Undo").click()
    expect(said).to_have_count(0)
    expect(rows).to_have_count(6)
    page.keyboard.press("Escape")
    expect(shift).to_have_count(0)


def test_figures_reports_and_the_address_that_opens_them(works: Kept, open_page: OpenPage) -> None:
    from playwright.sync_api import expect

    page = open_page(works, with_scene=False, width=1280, height=800)  # pyright: ignore
    page.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    page.evaluate("location.hash = '#shift'")
    shift = page.locator("dialog.shift")
    shift.get_by_role("button", name="Units").click()
    unit = shift.locator('[data-unit="line/filler"]')
    expect(unit).to_contain_text("79.5%")  # 330 of 415 minutes
    expect(unit.locator(".gantt")).to_have_attribute(
        "aria-label", "running 5 h 30 min, down 1 h 5 min, waiting 20 min"
    )
    unit.get_by_role("button", name="3 stops without a reason").click()
    expect(shift.locator(".stop")).to_have_count(6)
    shift.get_by_role("combobox", name="Which shift").select_option(index=1)
    expect(shift.locator(".stop")).not_to_have_count(6)
    shift.get_by_role("button", name="Reports").click()
    for form, begins in (("html", b"<!doctype html>"), ("pdf", b"%PDF-")):
        href = shift.locator(f'a[data-form="{form}"]').first.evaluate("a => a.href")
        answer = page.context.request.get(href, timeout=WAIT_MS)
        assert answer.ok and answer.body().startswith(begins), href


def test_samples_leave_as_parquet_and_as_csv(
    works: Kept, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(works, with_scene=False, width=1280, height=800)  # pyright: ignore
    page.set_default_timeout(WAIT_MS)
    page.evaluate("window.__mirrorworld.mirror.select('line')")
    page.locator("#tab-trends").click()
    for form in ("Parquet", "CSV"):
        page.locator(".dock").get_by_role("button", name="Export…").click()
        dialog = page.locator("dialog[open]")
        dialog.get_by_role("combobox", name="Of what").select_option("below")
        dialog.get_by_label("From").fill("2026-06-01T00:00:00")
        dialog.get_by_label("To", exact=True).fill("2026-06-02T00:00:00")
        dialog.get_by_role("button", name=form).click()
        shot(page, f"export-{form}")
        with page.expect_download() as saved:
            dialog.get_by_role("button", name="Export", exact=True).click()
        saved.value.save_as(tmp_path / form)
    assert pq.read_table(tmp_path / "Parquet").num_rows > 150
    rows = list(csv.reader((tmp_path / "CSV").read_text().splitlines()))
    assert rows[0] == ["time", "point", "value", "unit", "quality"] and len(rows) > 150


def test_what_the_shift_stands_on_is_filled_in(works: Kept, open_page: OpenPage) -> None:
    from playwright.sync_api import expect

    page = open_page(works, with_scene=False, width=1280, height=900)  # pyright: ignore
    page.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    page.evaluate("location.hash = '#shift'")
    shift = page.locator("dialog.shift")
    shift.get_by_role("button", name="Set up").click()
    section = shift.locator("section", has_text="Reports after each shift")
    section.get_by_role("button", name="Add…").click()
    form = page.locator("dialog:not(.shift)")
    keep = form.get_by_role("button", name="Keep")
    keep.click()
    expect(form.get_by_role("alert")).to_have_text("Give it a name.")
    form.get_by_label("Name", exact=True).fill("daily")
    form.get_by_label("Wait for late data, minutes").fill("5000")
    form.get_by_role("group", name="Files").get_by_label("html").uncheck()
    form.get_by_role("button", name="Add an address").click()
    form.get_by_label("Mail it to").last.fill("shift@works.example")
    shot(page, "sheet-form")
    # What cannot be is refused by the room that reads it, and nothing that was filled in is lost.
    keep.click()
    expect(form.get_by_role("alert")).to_contain_text("give 0 to 1440 minutes")
    form.get_by_label("Wait for late data, minutes").fill("25")
    keep.click()
    expect(form).to_have_count(0)
    expect(section).to_contain_text("daily")
    assert written_down(works, "report_schedule", "daily") == {
        "after_min": 25,
        "forms": ["pdf"],
        "mail": ["shift@works.example"],
    }
    # A plan of shifts: parts within parts, changed and kept again; the text says the same.
    plans = shift.locator("section", has_text="Shift plan").first
    plans.get_by_role("button", name="Add…").click()
    form.get_by_label("Name", exact=True).first.fill("hall 2")
    form.get_by_label("Time zone").fill("Europe/Berlin")
    form.get_by_role("button", name="Add a shift").click()
    first = form.locator(".sheet-part").first
    first.get_by_label("Name", exact=True).fill("early")
    first.get_by_label("Ends").fill("14:30")
    first.get_by_role("button", name="Add a break").click()
    shot(page, "sheet-plan")
    form.get_by_role("button", name="Text").click()
    written = json.loads(form.get_by_label("Text of the sheet").input_value())
    assert written["shifts"][0]["breaks"] == [["06:00", "06:00"]]
    form.get_by_role("button", name="Fill in").click()
    form.get_by_role("button", name="Take it away").last.click()  # the break
    keep.click()
    expect(plans).to_contain_text("hall 2")
    assert written_down(works, "shift_plan", "hall 2") == {
        "time_zone": "Europe/Berlin",
        "shifts": [{"name": "early", "start": "06:00", "end": "14:30"}],
    }
