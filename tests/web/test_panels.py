"""The panels in a real browser on the real server: tree, inspector, search, alarms, phone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from mirrorworld.world.changes import Edits, PutProperty, PutRelation, PutTwin, Severity
from mirrorworld.world.model import Property, Relation, Text, Twin
from tests.web.conftest import OpenPage
from tests.web.living_world import LivingWorld, many
from tests.web.panel_world import FILLER, PanelWorld

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

WAIT_MS = 30_000
MIRROR = "window.__mirrorworld.mirror"
expect.set_options(timeout=WAIT_MS)


def open_wide(open_page: OpenPage, world: LivingWorld, **options) -> Page:
    """The page as an engineer has it at the desk."""
    page = open_page(world, width=1280, height=800, with_scene=False, **options)
    page.set_default_timeout(WAIT_MS)
    return page


def select(page: Page, twin: str) -> None:
    """Selects a twin as the scene does."""
    page.evaluate(f"id => {MIRROR}.select(id)", twin)
    expect(page.locator("#right .insp-head")).to_contain_text(twin)


def fact(page: Page, name: str) -> str:
    """What the identification says under a name."""
    row = page.locator(".section", has_text="Identification").locator(
        "dt", has_text=re.compile(f"^{name}$")
    )
    return row.locator("xpath=following-sibling::dd[1]").inner_text()


def test_tree_goes_by_parts_or_types_and_says_how_each_subtree_stands(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    tree = page.get_by_role("tree")
    row = tree.get_by_role("treeitem")
    expect(row).to_have_count(10)
    levels = {
        each.inner_text().split("\n")[0]: each.get_attribute("aria-level") for each in row.all()
    }
    assert (levels["Hall 2"], levels["Line 1"], levels["Filler"]) == ("1", "2", "3")

    line.raise_alarm(Severity.HIGH)
    expect(tree.get_by_role("treeitem", name=re.compile(r"^Filler, high alarm"))).to_be_visible()
    expect(tree.get_by_role("treeitem", name=re.compile(r"^Hall 2, high alarm"))).to_be_visible()
    line.lose()
    expect(
        tree.get_by_role("treeitem", name=re.compile(r"^Compressed air, uncertain"))
    ).to_be_visible()
    expect(tree.get_by_role("treeitem", name=re.compile(r"^Energy meter, bad"))).to_be_visible()

    # The ARIA tree's keys: move, close, open, letters.
    tree.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#right .insp-title")).to_have_text("Line 1")
    page.keyboard.press("ArrowLeft")
    expect(row.filter(visible=True)).to_have_count(2)
    page.keyboard.press("ArrowRight")
    page.keyboard.type("pac")
    expect(page.locator("#right .insp-title")).to_have_text("Packer")
    assert page.evaluate(f"{MIRROR}.selected") == "line1/packer"
    # Selecting elsewhere moves the row.
    select(page, FILLER)
    expect(tree.locator("[aria-selected=true]")).to_contain_text("Filler")

    page.locator("#left").get_by_role("button", name="Types").click()
    expect(tree.get_by_role("treeitem", name=re.compile("^Machine"))).to_have_attribute(
        "aria-expanded", "false"
    )


def test_tree_of_many_draws_only_the_rows_in_sight(
    living: Callable[[Edits], LivingWorld], open_page: OpenPage
) -> None:
    page = open_wide(open_page, living(many(12_000, 1, per_area=400)))
    tree = page.get_by_role("tree")
    expect(tree.get_by_role("treeitem").first).to_be_visible()
    page.evaluate(f"{MIRROR}.select('unit11999')")
    expect(tree.locator("[aria-selected=true]")).to_be_in_viewport()
    expect(tree.locator("[aria-selected=true]")).to_contain_text("Unit 12000")
    tree.focus()
    page.keyboard.press("*")
    expect(page.locator("#left .tree-foot")).to_contain_text("12")
    assert page.locator(".tree-row").count() < 80


def test_inspector_answers_for_a_twin(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    line.tick(BowlLevel=55.5)
    select(page, FILLER)
    right = page.locator("#right")
    expect(right.locator(".insp-title")).to_have_text("Filler")
    expect(right.locator(".insp-function")).to_contain_text("Fills bottles by weight")
    assert fact(page, "Serial number") == "NF-40-2291-7"
    assert fact(page, "Manufacturer") == "Nordlicht Filling Systems"
    assert fact(page, "Id") == FILLER

    level = right.locator(f'[data-point="{FILLER}.BowlLevel"]')
    expect(level.locator(".figure")).to_have_text("55.5")
    expect(level.locator(".unit")).to_have_text("%")
    expect(level.locator(".age")).to_have_text(re.compile(r"^(now|\d+ s)$"))
    expect(level.locator(".point-origin")).to_have_class(re.compile("measured"))
    expect(right.locator(f'[data-point="{FILLER}.State"] .figure')).to_have_text("Execute")
    expect(right.locator(f'[data-point="{FILLER}.Efficiency"] .point-origin')).to_have_class(
        re.compile("inferred")
    )
    expect(right.locator(f'[data-point="{FILLER}.BowlLevelIn10Min"] .point-origin')).to_have_class(
        re.compile("simulated")
    )
    # A click says the rest: exact value, quality by name, by whom, when.
    level.locator(".point-row").click()
    more = level.locator(".point-more")
    expect(more).to_contain_text("55.5 %")
    expect(more).to_contain_text("Good · 0x00000000")
    expect(more).to_contain_text("measured by line1")

    joined = right.locator(".section", has_text="Connections")
    for words in (
        "Part of",
        "Line 1",
        "Feeds",
        "Capper",
        "Fed by",
        "Rinser",
        "Powered by",
        "Energy meter",
    ):
        expect(joined).to_contain_text(words)
    depends = right.locator(".section", has_text="What depends on it")
    for words in ("Capper", "Labeller", "Packer"):
        expect(depends).to_contain_text(words)
    expect(depends).not_to_contain_text("Rinser")

    properties = right.locator(".section", has_text="Properties").last
    properties.locator("summary").first.click()
    for words in ("Nordlicht Abfülltechnik", "180 L", "11.5 kW", "Measured at: 400 V"):
        expect(properties).to_contain_text(words)

    # Of a twin without a serial number it says so; edits of others show at once.
    select(page, "line1/packer")
    assert fact(page, "Serial number") == "not given"
    line.edit(PutProperty("line1/packer", Property("serial_number", "PK-9")))
    expect(right.locator(".section", has_text="Identification")).to_contain_text("PK-9")


def test_values_that_are_not_good_say_why(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    line.tick()
    line.lose()
    select(page, "line1/air")
    pressure = page.locator('[data-point="line1/air.Pressure"]')
    expect(pressure.locator(".point-value")).to_have_class(re.compile("uncertain"))
    expect(pressure.locator(".quality")).to_have_text("last usable value")
    select(page, "line1/meter")
    power = page.locator('[data-point="line1/meter.Power"]')
    expect(power.locator(".point-value")).to_have_class(re.compile("bad"))
    expect(power.locator(".quality")).to_have_text("no communication")
    expect(page.locator(".top-pill:not(.people-button)")).to_contain_text("1 of 2 lost")


def test_what_a_source_says_stays_text(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    evil = '<img src=x onerror="window.__evil = 1">'
    line.edit(
        PutTwin(
            Twin(
                "line1/evil",
                "",
                Text.of(evil),
                (Property("note", evil), Property("link", f"javascript:{evil}")),
            )
        ),
        PutRelation(Relation("part_of", "line1/evil", "line1")),
        PutRelation(Relation("feeds", "line1/evil", FILLER)),
    )
    expect(page.get_by_role("treeitem", name=re.compile("img"))).to_be_visible()
    select(page, "line1/evil")
    expect(page.locator("#right .insp-title")).to_have_text(evil)
    line.raise_alarm(words=evil)
    expect(page.locator("#toasts")).to_contain_text(evil)
    page.locator("#tab-alarms").click()
    expect(page.locator("#panel-alarms")).to_contain_text(evil)
    page.keyboard.press("/")
    page.keyboard.type("img")
    expect(page.locator("#search-results")).to_contain_text(evil)
    assert page.locator("#top img, #left img, #right img, #bottom img, #toasts img").count() == 0
    assert page.locator('a[href^="javascript:"]').count() == 0
    assert page.evaluate("window.__evil === undefined")


def test_search_finds_twins_types_and_points_as_one_types(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    page.keyboard.press("/")
    page.keyboard.type("label")
    results = page.get_by_role("option")
    expect(results.first).to_contain_text("Labeller")
    page.keyboard.press("Enter")
    expect(page.locator("#right .insp-title")).to_have_text("Labeller")
    page.keyboard.press("Control+k")
    page.keyboard.type("bowl level")
    expect(results.filter(has_text="Bowl level").first).to_be_visible()
    results.filter(has_text="Bowl level").first.click()
    expect(page.locator(".legend-row")).to_contain_text("Bowl level")
    page.keyboard.press("/")
    page.keyboard.type("no such thing")
    expect(page.locator("#search-results")).to_contain_text("Nothing is called")
    page.keyboard.press("Escape")
    expect(page.locator("#search-results")).to_be_hidden()


def test_alarm_is_told_listed_and_acknowledged(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    expect(page.locator("#top .count-button .badge")).to_have_text("1")
    line.raise_alarm(Severity.HIGH, "Jam at the infeed star")
    toast = page.locator(".toast")
    expect(toast).to_contain_text("Jam at the infeed star")
    expect(page.locator("#top .count-button .badge")).to_have_text("2")
    toast.get_by_role("button", name="Show").click()
    assert page.evaluate(f"{MIRROR}.selected") == FILLER
    expect(page.locator(".insp-alarm")).to_contain_text("Jam at the infeed star")
    page.locator("#tab-alarms").click()
    rows = page.locator(".alarm-row")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Jam")  # the more urgent one first
    rows.first.get_by_role("button", name="Acknowledge").click()
    expect(rows.first.locator(".chip")).to_have_text("acknowledged")
    expect(page.locator("#top .count-button .badge")).to_have_text("1")
    assert line.do(lambda mirror: mirror.world.events[f"{FILLER}:jam"].is_acknowledged)


def test_phone_has_one_sheet_at_a_time(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_page(line, width=390, height=844, has_touch=True, is_mobile=True, with_scene=False)
    page.set_default_timeout(WAIT_MS)
    tabs = page.locator(".phone-tabs")
    expect(tabs).to_be_visible()
    for name, place in (
        ("Twins", "#left"),
        ("Details", "#right"),
        ("Trends", ".dock"),
        ("Alarms", ".dock"),
    ):
        tabs.get_by_role("button", name=name).click()
        expect(page.locator(place)).to_be_visible()
        shown = [each for each in ("#left", "#right", ".dock") if page.locator(each).is_visible()]
        assert shown == [place]
        box = page.locator(place).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    tabs.get_by_role("button", name="Alarms").click()
    expect(page.locator(".dock")).to_be_hidden()
    page.evaluate(f"{MIRROR}.select('{FILLER}')")
    expect(page.locator("#right .insp-title")).to_have_text("Filler")


def test_everything_that_can_be_pressed_has_a_name_and_keys_work(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    select(page, FILLER)
    page.keyboard.press("b")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, select, [role=slider]")]
            .filter((each) => each.checkVisibility())
            .filter((each) => !(each.ariaLabel || each.hasAttribute("aria-labelledby")
                || each.textContent.trim() || each.labels?.length))
            .map((each) => each.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    for landmark in ("#top", "#left", "#right", "#bottom"):
        assert page.locator(landmark).count() == 1
    before = page.evaluate("document.documentElement.dataset.theme")
    page.keyboard.press("t")
    page.wait_for_function("t => document.documentElement.dataset.theme !== t", arg=before)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Search twins")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("[")
    expect(page.locator("#left")).to_be_hidden()
    page.keyboard.press("Escape")
    assert page.evaluate(f"{MIRROR}.selected") is None


def test_losing_the_server_is_said(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    expect(page.locator(".time-pill")).to_have_text("LIVE")
    line.close()
    expect(page.locator(".link-banner")).to_contain_text("No line to the server")
    expect(page.locator(".time-pill")).to_have_text("RECONNECTING")
