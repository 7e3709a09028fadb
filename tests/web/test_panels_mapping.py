"""Mapping without code: points, relations, groups and patterns, said and taken back on the page."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from mirrorworld.world.changes import Edits, OriginKind, PutSheet
from mirrorworld.world.model import Sheet
from tests.web.conftest import OpenPage
from tests.web.panel_world import FILLER, PanelWorld
from tests.web.test_panels import MIRROR, open_wide, select

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

HOSTILE = "<img src=x onerror=document.title='owned'>"


def shot(page: Page, name: str) -> None:
    """A picture to look at, where the environment asks for them."""
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def name_of(world: PanelWorld, twin: str) -> str:
    return world.mirror.world.structure.twins[twin].name.best("en")


def wholes(world: PanelWorld, twin: str) -> list[str]:
    relations = world.mirror.world.structure.relations_from(twin)
    return [r.target for r in relations if r.kind == "part_of"]


def tree_row(page: Page, name: str):
    return page.locator(".tree-row", has=page.get_by_text(name, exact=True)).first


def part_of(page: Page, twin: str, whole: str) -> None:
    """Waits until the page has a twin as a part of another."""
    page.wait_for_function(f"([twin, whole]) => {MIRROR}.parent(twin) === whole", arg=[twin, whole])


def toast_undo(page: Page) -> None:
    page.locator(".toast").get_by_role("button", name="Undo", exact=True).last.click()
    page.get_by_text("Taken back", exact=True).wait_for()


def test_a_points_unit_is_checked_said_and_taken_back(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    select(page, FILLER)
    point = page.locator(f'[data-point="{FILLER}.BowlPressure"]')
    point.locator(".point-row").click()
    point.get_by_role("button", name="Edit…").click()
    unit = page.get_by_label("Unit (UCUM)")
    unit.fill("mBar")
    shot(page, "point")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("is not UCUM").wait_for()
    shot(page, "point-refused")
    page.get_by_role("button", name="Use mbar").click()
    page.get_by_label("Range to").fill("6000")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("dialog").wait_for(state="detached")
    point.get_by_text("mbar", exact=True).first.wait_for()
    points = {p.name: p.type for p in line.mirror.world.structure.points_of(FILLER)}
    assert points["BowlPressure"].high == 6000
    point = page.locator(f'[data-point="{FILLER}.BowlPressure"]')
    if not point.locator(".point-more").count():
        point.locator(".point-row").click()
    point.get_by_text("by owner").wait_for()
    point.get_by_role("button", name="Edit…").click()
    page.get_by_text("Said over its source by owner").wait_for()
    page.get_by_role("button", name="As the source says").click()
    point.get_by_text("bar", exact=True).first.wait_for()
    assert line.mirror.world.structure.said(FILLER) == {}


def test_a_relation_is_made_by_keyboard_and_ended(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    select(page, "line1/packer")
    page.get_by_role("button", name="Relate…").click()
    page.get_by_label("Relation", exact=True).select_option(label="Depends on")
    page.get_by_role("combobox", name="Twin", exact=True).focus()
    page.keyboard.type("compres")
    page.get_by_role("option", name="Compressed air").wait_for()
    shot(page, "relate")
    page.keyboard.press("Enter")
    # Also where the list of what is typed was not there yet, and Enter came before it.
    expect(page.get_by_role("combobox", name="Twin", exact=True)).to_have_value("Compressed air")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="End: Depends on Compressed air").wait_for(state="attached")
    key = ("depends_on", "line1/packer", "line1/air", "")
    assert key in line.mirror.world.structure.relations
    page.get_by_role("button", name="End: Depends on Compressed air").click()
    page.wait_for_function(
        "() => ![...document.querySelectorAll('[aria-label]')]"
        ".some(e => e.ariaLabel === 'End: Depends on Compressed air')"
    )
    assert key not in line.mirror.world.structure.relations
    toast_undo(page)
    assert key in line.mirror.world.structure.relations


def test_a_ring_is_refused_in_words(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    select(page, "hall")
    page.get_by_role("button", name="Relate…").click()
    page.get_by_label("Relation", exact=True).select_option(label="Part of")
    page.get_by_role("combobox", name="Twin", exact=True).fill("filler")
    page.get_by_role("option", name="Filler", exact=False).first.click()
    page.locator("dialog").get_by_role("button", name="Save").click()
    page.get_by_text("would be part of itself").wait_for()
    assert wholes(line, "hall") == []


def test_several_are_grouped_from_the_tree(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    tree_row(page, "Rinser").click()
    tree_row(page, "Capper").click(modifiers=["Control"])
    tree_row(page, "Labeller").click(modifiers=["Control"])
    page.get_by_text("3 chosen").wait_for()
    shot(page, "chosen")
    page.get_by_role("button", name="Group…").click()
    page.locator("dialog").get_by_label("Name", exact=True).fill(HOSTILE)
    page.locator("dialog").get_by_label("Id", exact=True).fill("wet-end")
    page.locator("dialog").get_by_label("Type", exact=True).fill("Line")
    shot(page, "group")
    page.locator("dialog").get_by_role("button", name="Group", exact=True).click()
    tree_row(page, HOSTILE).wait_for()
    assert page.title() != "owned"
    assert wholes(line, "line1/capper") == ["wet-end"]
    assert wholes(line, "wet-end") == ["line1"]
    toast_undo(page)
    assert wholes(line, "line1/capper") == ["line1"]
    assert "wet-end" not in line.mirror.world.structure.twins


def test_a_range_is_chosen_and_moved_by_keyboard(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    tree_row(page, "Rinser").click()
    page.locator("[role=tree]").focus()
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    page.get_by_text("3 chosen").wait_for()
    page.get_by_role("button", name="Part of…").click()
    page.keyboard.type("hall")
    page.get_by_role("option", name="Hall 2").wait_for()
    page.keyboard.press("Enter")
    page.locator("dialog").get_by_role("button", name="Save").click()
    shot(page, "range")
    part_of(page, "line1/capper", "hall")
    assert wholes(line, "line1/rinser") == wholes(line, "line1/filler") == ["hall"]


def test_a_twin_is_dragged_onto_its_whole(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    tree_row(page, "Packer").drag_to(tree_row(page, "Hall 2"))
    part_of(page, "line1/packer", "hall")
    assert wholes(line, "line1/packer") == ["hall"]


def test_many_are_mapped_at_once(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    page.get_by_role("button", name="Mapping: many twins at once").click()
    dialog = page.locator("dialog")
    dialog.get_by_label("Id", exact=False).first.fill("line1/{m}er")
    dialog.get_by_label("New name").fill("Machine {m}")
    dialog.get_by_text("6 twins fit · 6 changes").wait_for()
    dialog.get_by_text("Points", exact=True).click()
    dialog.get_by_role("button", name="Add points").click()
    dialog.get_by_label("Points named").fill("Temp*")
    dialog.get_by_label("Unit (UCUM)").fill("Kelvn")
    dialog.get_by_text("is not UCUM").wait_for()
    dialog.get_by_label("Unit (UCUM)").fill("K")
    dialog.get_by_text("values are not converted").first.wait_for()
    shot(page, "mapping")
    dialog.get_by_label("Keep as").fill("machines")
    dialog.get_by_role("button", name="Apply", exact=False).last.click()
    dialog.wait_for(state="detached")
    tree_row(page, "Machine fill").wait_for()
    assert name_of(line, "line1/capper") == "Machine capp"
    sheet = line.mirror.world.structure.sheets["mapping", "machines"]
    assert json.loads(sheet.body)["where"] == {"id": "line1/{m}er"}
    toast_undo(page)
    assert name_of(line, "line1/capper") == "Capper"
    assert not line.mirror.world.structure.sheets


def test_a_kept_mapping_is_opened_applied_again_and_dropped(
    line: PanelWorld, open_page: OpenPage
) -> None:
    body = {
        "where": {"id": "line1/*er"},
        "set": {"serial_number": "S", "properties": {"a": "{leaf}"}},
    }
    sheet = PutSheet(Sheet("mapping", "numbers", json.dumps(body)))
    line.do(lambda mirror: mirror.apply(Edits((sheet,)), "owner", OriginKind.AUTHORED))
    page = open_wide(open_page, line)
    page.get_by_role("button", name="Mapping: many twins at once").click()
    dialog = page.locator("dialog")
    dialog.get_by_role("button", name="Open", exact=True).click()
    dialog.get_by_text("6 twins fit · 12 changes").wait_for()
    dialog.get_by_text("is given the same").first.wait_for()
    shot(page, "mapping-kept")
    dialog.get_by_role("button", name="Apply again").click()
    page.get_by_text("numbers: 12 changes").wait_for()
    dialog.get_by_role("button", name="Keep numbers no longer").click()
    dialog.get_by_text("Kept", exact=True).wait_for(state="hidden")
    assert not line.mirror.world.structure.sheets


def test_the_pattern_is_guessed_from_what_is_chosen(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    tree_row(page, "Rinser").click()
    tree_row(page, "Labeller").click(modifiers=["Control"])
    page.get_by_role("button", name="Map…").click()
    page.get_by_text("Which twins").wait_for()
    assert page.locator("dialog input").first.input_value() == "line1/*er"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_it_fits_a_phone(line: PanelWorld, open_page: OpenPage, scheme: str) -> None:
    page = open_page(line, with_scene=False, width=390, height=800, color_scheme=scheme)
    page.get_by_role("button", name="Twins", exact=True).click()
    page.get_by_role("button", name="Mapping: many twins at once").click()
    dialog = page.locator("dialog")
    dialog.get_by_label("Id", exact=False).first.fill("line1/*er")
    dialog.get_by_label("New serial number").fill("{leaf}")
    dialog.get_by_text("6 twins fit").wait_for()
    shot(page, f"phone-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = dialog.bounding_box()
    assert box and box["width"] <= 390
    page.get_by_role("button", name="Apply", exact=False).last.scroll_into_view_if_needed()
    shot(page, f"phone-{scheme}-end")
