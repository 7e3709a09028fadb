"""Boards in a real browser on the real server: shown, composed, shared, and light on the page."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from mirrorworld.world.changes import Change, Edits, PutSheet, PutTwin
from mirrorworld.world.model import Sheet, Text, Twin
from mirrorworld.world.ports import Action, Decision, Principal
from tests.web.conftest import OpenPage
from tests.web.living_world import LivingWorld, many
from tests.web.panel_world import FILLER, PanelWorld
from tests.web.test_panels import MIRROR, WAIT_MS, open_wide, select

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

expect.set_options(timeout=WAIT_MS)
Tile = dict[str, Any]


def at(twin: str, point: str) -> dict[str, str]:
    return {"twin": twin, "point": point}


def tile(kind: str, id_: str, x: int, y: int, w: int, h: int, **more: Any) -> Tile:
    return {"@": kind, "id": id_, "x": x, "y": y, "w": w, "h": h, **more}


EVERY = [
    tile("StateTile", "state", 0, 0, 3, 4, point=at(FILLER, "State")),
    tile("ValueTile", "speed", 3, 0, 3, 4, point=at(FILLER, "Speed")),
    tile("GaugeTile", "level", 6, 0, 3, 4, point=at(FILLER, "BowlLevel")),
    tile("ValueTile", "air", 9, 0, 3, 4, point=at("line1/air", "Pressure")),
    tile("TrendTile", "trend", 0, 4, 6, 6, points=[at(FILLER, "Speed"), at("gone", "x")]),
    tile("AlarmsTile", "alarms", 6, 4, 6, 6, subtree="line1", severity=2),
    tile("TableTile", "table", 0, 10, 6, 6, type="Machine", points=["Temperature", "State"],
         sort="Temperature", is_descending=True),
    tile("SceneTile", "scene", 6, 10, 6, 6, focus="line1"),
    tile("TextTile", "words", 0, 16, 6, 3, text="<b>not bold</b>\nsecond line"),
    tile("ValueTile", "absent", 6, 16, 6, 3, point=at("nowhere", "Speed")),
]  # fmt: skip


def write(world: LivingWorld, *tiles: Tile, name: str = "Line 1") -> None:
    body = json.dumps({"version": 1, "tiles": tiles})
    world.edit(PutSheet(Sheet("board", name, body)))


def kept(world: LivingWorld, name: str = "Line 1") -> dict[str, Tile]:
    """The tiles as they are in the log now, by id."""
    sheet = world.do(lambda mirror: mirror.world.structure.sheets.get(("board", name)))
    return {} if sheet is None else {each["id"]: each for each in json.loads(sheet.body)["tiles"]}


def open_board(page: Page, name: str = "Line 1", more: str = "") -> None:
    """Follows the link to a board, as somebody who was sent it does."""
    page.goto(f"{page.url.split('?')[0]}?quality=low&board={name}{more}")
    expect(page.locator("#board .board-title")).to_have_text(name)


def of(page: Page, id_: str) -> Locator:
    return page.locator(f'[data-tile="{id_}"]')


def place(page: Page, id_: str) -> tuple[int, ...]:
    """Column, row, width and height, as the tile stands on the grid."""
    return tuple(
        page.evaluate(
            "([id]) => ['x', 'y', 'w', 'h'].map((name) => Number(document.querySelector("
            '`[data-tile="${id}"]`).style.getPropertyValue(`--${name}`)))',
            [id_],
        )
    )


def test_a_link_opens_a_board_with_every_kind_of_tile(
    line: PanelWorld, open_page: OpenPage
) -> None:
    limit = {"applies": {"twins": [FILLER]}, "alarm": {"when": "BowlLevel > 80 %", "severity": 3}}
    line.edit(PutSheet(Sheet("rule", "bowl", json.dumps(limit))))
    write(line, *EVERY)
    page = open_wide(open_page, line)
    open_board(page)
    line.tick(BowlLevel=91.5, Speed=12_345.0)
    line.raise_alarm()
    expect(of(page, "state").locator(".state-word")).to_have_text("Execute")
    expect(of(page, "speed").locator(".tile-value")).to_have_text("12\u202f3451/h")
    expect(of(page, "level").locator(".figure")).to_have_text("91.5")
    expect(of(page, "level").locator(".tile-value")).to_have_class(re.compile("beyond sev-3"))
    expect(of(page, "level").get_by_role("meter")).to_have_attribute("aria-valuemax", "100")
    expect(of(page, "level").locator(".gauge-limits i")).to_have_attribute(
        "title", "Alarm above 80 %"
    )
    expect(of(page, "trend").locator("canvas")).to_be_visible()
    expect(of(page, "trend")).to_contain_text("1 not shown to you")
    expect(of(page, "alarms").get_by_role("listitem")).to_have_count(1)  # the low one is left out
    expect(of(page, "alarms")).to_contain_text("Jam at the infeed star")
    rows = of(page, "table").locator("tbody tr")
    expect(rows).to_have_count(5)
    heat = [float(each) for each in of(page, "table").locator("td:nth-child(2)").all_inner_texts()]
    assert heat == sorted(heat, reverse=True)
    expect(of(page, "words")).to_contain_text("<b>not bold</b>")
    assert of(page, "words").locator("b").count() == 0
    expect(of(page, "absent")).to_contain_text("Not shown to you")
    assert page.locator(".tile-scene #scene").count() == 1

    line.lose()
    expect(of(page, "air").locator(".tile-value")).to_have_class(re.compile("uncertain"))
    expect(of(page, "air").locator(".quality")).to_have_text("last usable value")

    page.reload()
    expect(of(page, "speed").locator(".figure")).to_have_text("12\u202f345")
    expect(page).to_have_title(re.compile("Line 1"))
    page.get_by_role("button", name="Close the board").click()
    expect(page.locator("#board")).to_be_hidden()
    assert page.locator("body > #scene").count() == 1, "the scene is behind the page again"
    page.go_back()
    expect(of(page, "state")).to_be_visible()


def test_a_table_is_sorted_by_what_one_clicks(line: PanelWorld, open_page: OpenPage) -> None:
    write(line, EVERY[6])
    page = open_wide(open_page, line)
    open_board(page)
    line.tick()
    table = of(page, "table")
    head = table.get_by_role("columnheader", name=re.compile("Name"))
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    names = table.locator("tbody th")
    expect(names).to_have_text(["Capper", "Filler", "Labeller", "Packer", "Rinser"])
    head.get_by_role("button").click()
    expect(names.first).to_have_text("Rinser")


def test_a_board_shows_the_past_like_all_else(line: PanelWorld, open_page: OpenPage) -> None:
    write(line, *EVERY[:6])
    page = open_wide(open_page, line)
    open_board(page)
    line.tick(Speed=20_001.0)
    speed = of(page, "speed").locator(".figure")
    expect(speed).to_have_text("20\u202f001")
    then_ns = line.mirror.start_ns + 602 * 1_000_000_000  # between two samples
    page.evaluate(f"{MIRROR}.seek({then_ns / 1e6})")
    handle = line.mirror.world.structure.handle(FILLER, "Speed")
    series = line.do(lambda mirror: mirror.record.read(handle, 0, then_ns + 1))
    was = round(float(series.cell[-1:].view("f8")[0]))
    expect(speed).to_have_text(f"{was:,}".replace(",", "\u202f"))
    expect(of(page, "alarms")).to_contain_text("These are the conditions of now")
    page.evaluate(f"{MIRROR}.seek(null)")
    expect(speed).to_have_text("20\u202f001")


def test_a_board_is_composed_by_hand_and_saved_with_its_author(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    line.tick()
    page.get_by_role("button", name="Boards", exact=True).click()
    page.get_by_role("button", name="New board…").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Shift")
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#board .board-title")).to_have_text("Shift")
    page.locator("#board .board-bar").get_by_role("button", name="Add a tile").click()
    point = page.get_by_role("combobox", name="Point", exact=True)
    point.fill("filler speed")
    expect(page.get_by_role("option").first).to_contain_text("Speed")
    point.press("Enter")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".tile")).to_have_count(1)
    page.locator("#board .board-bar").get_by_role("button", name="Add a tile").click()
    page.get_by_role("button", name=re.compile("^Text")).click()
    page.get_by_role("textbox", name="Text").fill("hello")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".tile")).to_have_count(2)
    value, words = page.locator('[data-kind="ValueTile"]'), page.locator('[data-kind="TextTile"]')
    value_id = value.get_attribute("data-tile") or ""
    words_id = words.get_attribute("data-tile") or ""
    assert (place(page, value_id)[:2], place(page, words_id)[:2]) == ((0, 0), (3, 0))

    # By keys, said aloud.
    words.focus()
    for _ in range(4):
        words.press("ArrowRight")
    expect(page.locator("#board [aria-live=assertive]")).to_have_text(
        re.compile("^Column 8, row 1")
    )
    words.press("Shift+ArrowDown")
    page.wait_for_function(f"() => {MIRROR}.sheets('board')[0].body.includes('\"x\":7')")
    assert place(page, words_id) == (7, 0, 3, 4)

    # By mouse: its head carries it, its corner gives it another size.
    grid = page.locator(".board-grid").bounding_box()
    head = value.locator(".tile-head").bounding_box()
    assert grid and head
    page.mouse.move(head["x"] + 60, head["y"] + 10)
    page.mouse.down()
    page.mouse.move(head["x"] + 60 + grid["width"] * 3 / 12, head["y"] + 12, steps=4)
    page.mouse.up()
    assert place(page, value_id)[0] == 3
    grip = value.locator(".tile-grip").bounding_box()
    assert grip
    page.mouse.move(grip["x"] + 13, grip["y"] + 13)
    page.mouse.down()
    page.mouse.move(grip["x"] + 13 + grid["width"] / 12, grip["y"] + 13 + 88, steps=4)
    page.mouse.up()
    assert place(page, value_id) == (3, 0, 4, 6)
    page.wait_for_function(f'() => /"w":4,"h":6/.test({MIRROR}.sheets(\'board\')[0].body)')

    # Taken back, removed, brought back.
    page.get_by_role("button", name="Undo the last change of mine").click()
    page.wait_for_function(f'() => !/"w":4,"h":6/.test({MIRROR}.sheets(\'board\')[0].body)')
    expect(value).to_have_css("--h", "4")
    assert place(page, value_id) == (3, 0, 3, 4)
    words.focus()
    words.press("Delete")
    expect(page.locator(".tile")).to_have_count(1)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".tile")).to_have_count(2)
    page.get_by_role("button", name="Done").click()

    page.reload()
    expect(page.locator(".tile")).to_have_count(2)
    assert place(page, words_id) == (7, 0, 3, 4)
    log: list[Change] = line.do(lambda mirror: list(mirror.record.log))  # pyright: ignore
    written = [c for c in log if isinstance(c.body, Edits) and "tile" in c.body.reason]
    assert len(written) >= 5
    assert {c.origin.by for c in written} == {"owner"}


def test_points_come_onto_a_board_from_the_inspector(line: PanelWorld, open_page: OpenPage) -> None:
    write(line, EVERY[1])
    page = open_wide(open_page, line)
    open_board(page)
    line.tick()
    expect(of(page, "speed").locator(".figure")).to_have_text(re.compile(r"\d"))
    select(page, FILLER)
    level = page.locator(f'[data-point="{FILLER}.BowlLevel"]')
    level.drag_to(page.locator(".board-scroll"))
    expect(page.locator(".tile")).to_have_count(2)
    expect(page.locator(".tile", has_text="Bowl level")).to_be_visible()
    page.locator(f'[data-point="{FILLER}.State"] .point-row').click()
    page.get_by_role("button", name="Add to board…").click()
    expect(page.locator('[data-kind="StateTile"]')).to_have_count(1)
    page.wait_for_function(f"() => {MIRROR}.sheets('board')[0].body.includes('StateTile')")
    kinds = sorted(each["@"] for each in kept(line).values())
    assert kinds == ["StateTile", "ValueTile", "ValueTile"]


def test_two_people_on_one_board_lose_nothing(line: PanelWorld, open_page: OpenPage) -> None:
    words = tile("TextTile", "a", 0, 0, 3, 3, text="a"), tile("TextTile", "b", 3, 0, 3, 3, text="b")
    write(line, *words)
    ada, bob = open_wide(open_page, line), open_wide(open_page, line)
    for page in (ada, bob):
        open_board(page)
        page.get_by_role("button", name="Edit", exact=True).click()

    def bob_is_quicker(route: Route) -> None:
        write(line, words[0], {**words[1], "text": "b by Bob"})
        route.continue_()

    ada.route("**/api/edits", bob_is_quicker, times=1)
    answers: list[int] = []
    ada.on("response", lambda r: answers.append(r.status) if r.url.endswith("/edits") else None)
    of(ada, "a").focus()
    of(ada, "a").press("Enter")
    ada.get_by_role("textbox", name="Text").fill("a by Ada")
    ada.get_by_role("button", name="Save").click()
    for page in (ada, bob):
        expect(of(page, "a")).to_contain_text("a by Ada")
        expect(of(page, "b")).to_contain_text("b by Bob")
    assert answers == [409, 200]

    # Both in the settings of one tile: the later is told, and nothing is overwritten.
    of(ada, "a").focus()
    of(ada, "a").press("Enter")
    ada.get_by_role("textbox", name="Text").fill("later")
    of(bob, "a").focus()
    of(bob, "a").press("Enter")
    bob.get_by_role("textbox", name="Text").fill("sooner")
    bob.get_by_role("button", name="Save").click()
    expect(of(ada, "a")).to_contain_text("sooner")
    ada.get_by_role("button", name="Save").click()
    expect(ada.locator(".toast")).to_contain_text("Somebody has changed this meanwhile")
    assert kept(line)["a"]["text"] == "sooner"
    expect(of(ada, "a")).to_contain_text("sooner")


def test_what_one_may_not_see_is_said_and_the_rest_is_shown(
    line: PanelWorld, open_page: OpenPage
) -> None:
    class HidesAir:
        is_by_twin = True

        def may(
            self, who: Principal, action: Action, twin: str, purpose: str, now_ns: int
        ) -> Decision:
            return Decision(twin != "line1/air" and action is Action.READ, "not yours")

    write(line, EVERY[1], EVERY[3], {**EVERY[4], "points": [at("line1/air", "Flow")]})
    line.mirror.guard = HidesAir()  # pyright: ignore
    page = open_wide(open_page, line)
    open_board(page)
    line.tick()
    expect(of(page, "speed").locator(".figure")).to_have_text(re.compile(r"\d"))
    expect(of(page, "air")).to_contain_text("Not shown to you")
    expect(of(page, "trend")).to_contain_text("Not shown to you")


def test_boards_are_renamed_duplicated_deleted_and_brought_back(
    line: PanelWorld, open_page: OpenPage
) -> None:
    write(line, EVERY[8])
    write(line, name="Other")
    page = open_wide(open_page, line)
    open_board(page)
    more = page.get_by_role("button", name="More about this board")
    more.click()
    page.get_by_role("button", name="Rename…").click()
    page.get_by_role("dialog").get_by_label("Name").fill("Other")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("board 'Other' is there already")
    page.get_by_role("dialog").get_by_label("Name").fill("Linie & Halle")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.locator("#board .board-title")).to_have_text("Linie & Halle")
    assert "board=Linie" in page.url
    assert kept(line) == {} and "words" in kept(line, "Linie & Halle")
    page.reload()
    expect(of(page, "words")).to_be_visible()
    more.click()
    page.get_by_role("button", name="Duplicate…").click()
    page.get_by_role("button", name="Make it").click()
    expect(page.locator("#board .board-title")).to_have_text("Linie & Halle 2")
    page.get_by_role("button", name="Done").click()
    more.click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#board")).to_be_hidden()
    assert kept(line, "Linie & Halle 2") == {}
    page.locator(".toast", has_text="Board deleted").get_by_role("button", name="Undo").click()
    expect(page.locator("#board .board-title")).to_have_text("Linie & Halle 2")
    expect(of(page, "words")).to_be_visible()
    open_board(page, "Nothing")
    expect(page.locator("#board")).to_contain_text("There is no board “Nothing”")


def test_a_newcomer_is_suggested_a_board(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    line.tick()
    select(page, "line1")
    page.get_by_role("button", name="Boards", exact=True).click()
    page.get_by_role("button", name="Suggest one about Line 1").click()
    expect(page.locator("#board .board-title")).to_have_text("Line 1")
    page.wait_for_function(f"() => {MIRROR}.sheets('board').length === 1")
    made = list(kept(line).values())
    kinds = {each["@"] for each in made}
    assert {"TrendTile", "AlarmsTile", "SceneTile", "TableTile"} <= kinds
    (table,) = [each for each in made if each["@"] == "TableTile"]
    assert (table["type"], table["subtree"]) == ("Machine", "line1")
    expect(page.locator(".tile-table tbody tr")).to_have_count(5)
    page.get_by_role("button", name="Boards", exact=True).click()
    page.evaluate(f"{MIRROR}.select('{FILLER}')")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Boards", exact=True).click()
    page.get_by_role("button", name="Suggest one about every Filler").click()
    expect(page.locator("#board .board-title")).to_have_text("Filler")
    expect(page.locator(".tile-table tbody tr")).to_have_count(1)


def test_a_wall_screen_shows_the_board_alone(line: PanelWorld, open_page: OpenPage) -> None:
    write(line, *EVERY)
    page = open_wide(open_page, line)
    open_board(page, more="&kiosk")
    line.tick()
    expect(of(page, "state")).to_be_visible()
    for chrome in ("#top", "#left", "#right", "#bottom", "#tools"):
        expect(page.locator(chrome)).to_be_hidden()
    expect(page.locator(".board-clock")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    # All of it is on the screen.
    last = of(page, "absent").bounding_box()
    assert last and last["y"] + last["height"] <= 800
    page.keyboard.press("Escape")
    expect(page.locator("#top")).to_be_visible()
    assert "kiosk" not in page.url


def test_a_phone_has_the_tiles_in_one_column(line: PanelWorld, open_page: OpenPage) -> None:
    write(line, *EVERY)
    page = open_page(line, width=390, height=844, has_touch=True, is_mobile=True, with_scene=False)
    page.set_default_timeout(WAIT_MS)
    open_board(page)
    line.tick()
    expect(of(page, "speed").locator(".figure")).to_have_text(re.compile(r"\d"))
    boxes = page.evaluate(
        "[...document.querySelectorAll('.tile')].map((e) => {"
        " const b = e.getBoundingClientRect(); return [e.dataset.tile, b.left, b.right, b.top]; })"
    )
    assert [each[0] for each in boxes] == [each["id"] for each in EVERY]
    assert all(left >= 0 and right <= 390 for _, left, right, _ in boxes)
    assert [top for *_, top in boxes] == sorted(top for *_, top in boxes)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_everything_on_a_board_that_can_be_pressed_has_a_name(
    line: PanelWorld, open_page: OpenPage
) -> None:
    write(line, *EVERY)
    page = open_wide(open_page, line)
    open_board(page)
    line.tick()
    page.get_by_role("button", name="Edit", exact=True).click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("#board :is(button, a, input, [tabindex='0'])")]
            .filter((each) => each.checkVisibility() && !each.disabled)
            .filter((each) => !(each.ariaLabel || each.textContent.trim()))
            .map((each) => each.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    expect(of(page, "speed")).to_have_attribute(
        "aria-description", re.compile("^Column 4, row 1, 3 wide, 4 high")
    )
    page.keyboard.press("Tab")


WATCH = """() => {
    window.__touched = new Set();
    new MutationObserver((all) => {
        for (const { target } of all) {
            const element = target instanceof Element ? target : target.parentElement;
            if (element?.closest(".age, .board-clock")) continue;
            const tile = element?.closest("[data-tile]");
            window.__touched.add(tile ? tile.dataset.tile : element?.className);
        }
    }).observe(document.querySelector("#board .board-grid"),
        { subtree: true, childList: true, characterData: true, attributes: true });
}"""


def test_only_tiles_in_sight_whose_values_change_are_touched(
    living: Any, open_page: OpenPage
) -> None:
    world: LivingWorld = living(many(200, 5))
    tiles = [
        tile("ValueTile", f"t{i}", i % 4 * 3, i // 4 * 4, 3, 4,
             point=at(f"unit{i}", "Signal0"), spark=False)
        for i in range(100)
    ]  # fmt: skip
    world.write([(f"unit{i}", "Signal0") for i in range(200)], [50.0] * 200)
    write(world, *tiles, name="Many")
    page = open_page(world, width=1280, height=800, with_scene=False)
    page.set_default_timeout(WAIT_MS)
    open_board(page, "Many")
    expect(of(page, "t0").locator(".figure")).to_have_text("50.0")
    page.evaluate(WATCH)
    # What changes is on no tile, then on one in sight and one far below.
    for round_ in range(20):
        world.write([(f"unit{i}", "Signal3") for i in range(200)], [float(round_)] * 200)
    world.write([("unit150", "Signal0"), ("unit3", "Signal0"), ("unit99", "Signal0")], [7, 8, 9])
    expect(of(page, "t3").locator(".figure")).to_have_text("8.0")
    assert page.evaluate("[...window.__touched]") == ["t3"]
    assert of(page, "t99").locator(".figure").inner_text() == ""  # never seen, never painted
    of(page, "t99").scroll_into_view_if_needed()
    expect(of(page, "t99").locator(".figure")).to_have_text("9.0")


def test_what_people_write_down_does_not_build_the_scene_anew(
    line: PanelWorld, open_page: OpenPage
) -> None:
    write(line, EVERY[8])
    page = open_wide(open_page, line)
    page.evaluate(
        f"() => {{ window.__told = []; for (const what of ['structure', 'sheets'])"
        f" {MIRROR}.on(what, () => window.__told.push(what)); }}"
    )
    write(line, EVERY[8], EVERY[1])
    page.wait_for_function(f"() => {MIRROR}.sheets('board')[0].body.includes('ValueTile')")
    assert page.evaluate("window.__told") == ["sheets"]
    renamed = dataclasses.replace(Twin("line1/air", "Compressor"), name=Text.of("Air"))
    line.edit(PutTwin(renamed))
    page.wait_for_function("() => window.__told.includes('structure')")
    assert page.evaluate("window.__told") == ["sheets", "structure"]
