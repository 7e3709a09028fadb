"""From a headset to the plant and back; the plant's own server is the witness."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import Up
from tests.e2e.test_page_to_plant import FILLER, witness
from tests.web.conftest import NO_DRAWING
from tests.web.headset import VISIT, Wearer, put_on

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(600)]

WAIT_MS = 120_000


def test_a_jam_is_cleared_from_a_headset(
    page_built: None, up: Up, browser: Browser, peers_dir: Path
) -> None:
    # Jams at once; no crew comes to clear it.
    world = up("--option", "jam_after_s=1", "--option", "crew_after_s=0")
    world.until_source("plant", "live")
    context = browser.new_context(
        viewport={"width": 640, "height": 320}, bypass_csp=True, reduced_motion="reduce"
    )
    try:
        put_on(context, peers_dir)
        page = context.new_page()
        page.add_init_script(NO_DRAWING)
        page.goto(f"{world.url}/?token={world.token}&quality=low", timeout=WAIT_MS)
        wearer = Wearer(page)
        wearer.until("() => document.documentElement.dataset.ready === 'true'")
        wearer.until("id => window.__mirrorworld.mirror.alarmOf(id) === 3", FILLER)
        wearer.enter()
        with witness(world) as plant:
            world.until("the plant jams", lambda: plant.read("Filler", "JamActive") is True)
            # There by way of its alarm, and then by pointing.
            wearer.open_menu()
            wearer.press("menu", wearer.button_like("menu", "Alarms"))
            wearer.press("menu", "Go there")
            wearer.until(f"!{VISIT}.veil.isBlinking")
            wearer.button("y-button")
            wearer.press("inspect", "Close")
            wearer.point_at(FILLER)
            wearer.until_said("tag", "Filler")
            wearer.click()
            wearer.press("inspect", "Ask for…")
            wearer.press("inspect", "Clear jam")
            wearer.hold("inspect", "Hold to send", "window.__mirrorworld.mirror.commands.size > 0")
            wearer.until_said("inspect", "Confirmed")
            world.until("the plant clears", lambda: plant.read("Filler", "JamActive") is False, 60)
        (command,) = world.get("commands", twin=FILLER)["commands"]
        assert (command["operation"], command["reason"]) == ("ClearJam", "from a headset")
        wearer.ask(f"void {VISIT}.leave()")
        wearer.until(f"{VISIT} === null")
    finally:
        context.close()
