"""axe-core finds no serious or critical fault in any panel: dark and light, desktop and phone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorworld.world.changes import PutSheet
from mirrorworld.world.model import Sheet
from tests.web.panel_world import FILLER, PanelWorld

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.web.conftest import OpenPage

WAIT_MS = 120_000
MIRROR = "window.__mirrorworld.mirror"
TILES = [
    {"@": "ValueTile", "id": "a", "x": 0, "y": 0, "w": 3, "h": 4,
     "point": {"twin": FILLER, "point": "Speed"}},
    {"@": "TableTile", "id": "b", "x": 3, "y": 0, "w": 6, "h": 6, "points": ["Speed"],
     "type": "Machine"},
    {"@": "AlarmsTile", "id": "c", "x": 9, "y": 0, "w": 3, "h": 6},
]  # fmt: skip
SHEETS = (
    Sheet("board", "Line 1", json.dumps({"version": 1, "tiles": TILES})),
    Sheet("tour", "Round", json.dumps({"version": 1, "steps": [
        {"id": "a", "title": "Filler", "text": "Forty valves.", "twin": FILLER},
        {"id": "b", "title": "All", "text": "And the rest."}]})),
    Sheet("look", "Speed", json.dumps({"version": 1, "rules": [
        {"id": "a", "type": "Machine", "value": "Speed", "shows": ["colour", "badge"], "bands": [
            {"above": 0, "colour": "green", "mark": "✓", "word": "slow"},
            {"above": 9000, "colour": "vermilion", "mark": "▲", "word": "fast"}]},
        {"id": "b", "type": "Meter", "value": "Power", "low": 0, "high": 120}]})),
)  # fmt: skip

STILL = """const still = document.createElement("style");
still.textContent = "*, *::before, *::after { transition: none !important; "
  + "animation: none !important; }";
document.head.append(still);"""
"""Colours are judged as they stand, not on the way from one theme to the other."""

AXE = """async ([selector, isLight]) => {
  document.documentElement.dataset.theme = isLight ? "light" : "dark";
  const where = selector === "" ? document : document.querySelector(selector);
  // The scene is drawn by other means than elements, and says itself what it is.
  const found = await axe.run({ include: [where], exclude: [["#scene"]] }, {
    resultTypes: ["violations"],
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"],
  });
  return found.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.slice(0, 6).map((node) => {
      const why = (node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? node.failureSummary;
      return `${id}: ${node.target.join(" ")}: ${why} ${node.html.slice(0, 120)}`;
    }));
}"""

Act = Callable[["Page"], object]


def tool(name: str) -> Act:
    return lambda page: page.get_by_role("toolbar").get_by_role("button", name=name).click()


def top(name: str) -> Act:
    return lambda page: page.locator("#top").get_by_role("button", name=name).first.click()


def key(name: str) -> Act:
    return lambda page: page.keyboard.press(name)


def close(page: Page) -> None:
    page.keyboard.press("Escape")


def go(change: str) -> Act:
    """Follows a link within the page."""
    return lambda page: page.evaluate(
        "(search) => { history.pushState(null, '', location.pathname + search);"
        " dispatchEvent(new PopStateEvent('popstate')); }",
        f"?quality=low{change}",
    )


def both(*acts: Act) -> Act:
    return lambda page: [act(page) for act in acts]


def tab(name: str) -> Act:
    return lambda page: page.locator("#bottom").get_by_role("tab", name=name).click()


def press(within: str, name: str) -> Act:
    return lambda page: page.locator(within).get_by_role("button", name=name).first.click()


PANELS: dict[str, tuple[Act, str, Act]] = {
    "the whole page": (lambda page: None, "", lambda page: None),
    "tree by types": (press("#left", "Types"), "#left", press("#left", "Parts")),
    "inspector": (
        lambda page: page.evaluate(f"{MIRROR}.select('{FILLER}')"), "#right", lambda page: None,
    ),
    "trends": (tab("Trends"), "#bottom", lambda page: None),
    "alarms": (tab("Alarms"), "#bottom", lambda page: None),
    "commands": (tab("Commands"), "#bottom", press("#bottom", "Close the drawer")),
    "heat": (tool("Heat layer"), ".heat-panel", tool("Heat layer")),
    "looks": (tool("Visual rules"), ".look-panel", press(".look-panel", "Edit")),
    "look editor": (
        lambda page: None, ".look-panel",
        both(press(".look-panel", "Done"), press(".look-panel", "Close the visual rules")),
    ),
    "view": (tool("View: picture"), ".view-panel", tool("View: picture")),
    "correlation": (tool("Correlation"), "dialog[open]", close),
    "notes": (tool("Notes and tasks"), ".author-panel", tool("Notes and tasks")),
    "people": (top("People"), ".people-panel", top("People")),
    "sources": (press("#top", "sources"), ".popover:not([hidden])", close),
    "boards": (top("Boards"), ".popover:not([hidden])", close),
    "show and tell": (top("Show and tell"), ".popover:not([hidden])", close),
    "board": (go("&board=Line+1"), "#board", go("")),
    "tour": (go("&tour=Round"), ".tour-card", go("")),
    "tour editor": (
        both(top("Show and tell"), press(".show-list", "Edit “Round”")), ".tour-editor",
        press(".tour-editor", "Close the editor"),
    ),
    "embed": (
        both(top("Show and tell"), press(".show-list", "Show it within")), "dialog[open]", close,
    ),
    "branches": (key("y"), "#left", key("y")),
    "account": (top("Account"), "dialog[open]", close),
    "phone": (top("On a phone"), "dialog[open]", close),
    "shift": (top("Shift"), "dialog[open]", close),
    "world file": (top("The world as a file"), "dialog[open]", close),
    "help": (key("?"), "dialog[open]", close),
}  # fmt: skip
"""What is opened, where it then is, and how it is left."""

SHEETS_OF_PHONE = ("Twins", "Details", "Trends", "Alarms")


@pytest.fixture(scope="module")
def plain_line(static_dir: Path) -> Iterator[PanelWorld]:
    world = PanelWorld(static_dir)
    world.edit(*map(PutSheet, SHEETS))
    world.tick()
    world.raise_alarm()
    yield world
    world.close()


def faults(page: Page, where: str, selector: str) -> list[str]:
    if selector:
        page.locator(selector).first.wait_for(timeout=WAIT_MS)
    found = []
    for is_light in (False, True):
        theme = "light" if is_light else "dark"
        said = page.evaluate(AXE, [selector, is_light])
        found += [f"{where}, {theme}: {each}" for each in said]
    return found


@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_no_panel_has_a_serious_fault(
    plain_line: PanelWorld, open_page: OpenPage, peers_dir: Path
) -> None:
    axe = (peers_dir / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    found: list[str] = []
    page = open_page(plain_line, width=1440, height=900, with_scene=False)
    page.set_default_timeout(WAIT_MS)
    page.evaluate(axe)
    page.evaluate(STILL)
    for name, (open_, selector, leave) in PANELS.items():
        open_(page)
        found += faults(page, name, selector)
        leave(page)

    phone = open_page(plain_line, width=390, height=844, with_scene=False, has_touch=True)
    phone.set_default_timeout(WAIT_MS)
    phone.evaluate(axe)
    phone.evaluate(STILL)
    found += faults(phone, "phone", "")
    phone.evaluate(f"{MIRROR}.select('{FILLER}')")
    for name in SHEETS_OF_PHONE:
        phone.locator(".phone-tabs").get_by_role("button", name=name).click()
        found += faults(phone, f"phone, {name}", "")
    assert not found, "axe found:\n" + "\n".join(dict.fromkeys(found))
