"""From the page to the plant and back: what a person asks for in a browser happens in the plant.

The plant's own server, asked by another OPC UA client, is the witness; the mirror's answers count
only for the mirror.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import Up
from tests.e2e.running import Running

if TYPE_CHECKING:
    from asyncua.sync import Client
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(300)]

FILLER = "plant/Line1/Filler"
WAIT_MS = 60_000
SHOTS = os.environ.get("MIRRORWORLD_SHOTS", "")
"""A folder that pictures of the page's states are put into; empty: none are taken."""


class Witness:
    """An OPC UA client of its own at the plant's server."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def read(self, machine: str, name: str) -> Any:
        index = self.client.get_namespace_index("urn:example:bottling-line")
        path = ["0:Objects", f"{index}:Line1", f"{index}:{machine}", f"{index}:{name}"]
        return self.client.nodes.root.get_child(path).read_value()


@contextmanager
def witness(world: Running) -> Iterator[Witness]:
    from asyncua.sync import Client

    with Client(world.source("plant")["url"]) as client:
        yield Witness(client)


class Visitor:
    """A person at the page, who also reads the browser's console."""

    def __init__(self, browser: Browser, world: Running, **options: Any) -> None:
        self.complaints: list[str] = []
        size = {"width": 1440, "height": 900} if SHOTS else {"width": 960, "height": 600}
        options = {"viewport": size, **options}
        # Scripts of the test are let past the page's policy; the page itself is not changed.
        self.context = browser.new_context(bypass_csp=True, reduced_motion="reduce", **options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(f"threw: {error}"))
        self.page.on("console", self._hear)
        self.page.on("response", self._answered)
        self.page.goto(f"{world.url}/?token={world.token}&quality=low")
        self.until("() => document.documentElement.dataset.ready === 'true'")

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status}: {response.url}")

    def until(self, condition: str, argument: Any = None) -> None:
        self.page.wait_for_function(condition, arg=argument, timeout=WAIT_MS)

    def value(self, point: str) -> float:
        """What the page itself has of a point of the filler."""
        return self.page.evaluate(
            "([twin, name]) => { const m = window.__mirrorworld.mirror;"
            " return m.value[m.handle(twin, name)]; }",
            [FILLER, point],
        )

    def shot(self, name: str) -> None:
        """A picture of the page, where pictures are asked for."""
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


@pytest.fixture
def visit(browser: Browser) -> Iterator[Any]:
    """A function that opens a world's page; no visit may end with an error in the console."""
    visitors: list[Visitor] = []

    def open_(world: Running, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, world, **options))
        return visitors[-1]

    yield open_
    for visitor in visitors:
        visitor.context.close()
    complaints = [each for visitor in visitors for each in visitor.complaints]
    assert not complaints, "\n".join(complaints)


def steps_in_log(world: Running, command: str) -> list[int]:
    """The states of a command as they stand in the log, in order."""
    changes = world.get("changes", after="1:0", limit=1000)["changes"]
    bodies = [change["body"] for change in changes if change["body"]]
    return [
        body.get("state", 0)
        for body in bodies
        if body.get("@") == "Command" and body["id"] == command
    ]


def test_operator_clears_a_jam_and_changes_speed(page_built: None, up: Up, visit: Any) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    # Jams at once; no crew comes to clear it.
    world = up("--option", "jam_after_s=1", "--option", "crew_after_s=0")
    world.until_source("plant", "live")
    visitor = visit(world)
    page: Page = visitor.page

    with witness(world) as plant:
        # --- the jam, seen in alarms and in the scene
        alarm = page.locator("#panel-alarms .alarm-row.active", has_text="Filler")
        page.locator("#tab-alarms").click()
        expect(alarm.first).to_be_visible(timeout=WAIT_MS)
        assert plant.read("Filler", "JamActive") is True
        visitor.shot("01-jam-alarms")
        alarm.first.locator("button").first.click()
        visitor.until("(id) => window.__mirrorworld.mirror.selected === id", FILLER)
        expect(page.locator(".label.selected")).to_have_attribute("data-alarm", "3")
        visitor.shot("02-filler-jammed")
        page.locator("#tab-alarms").click()  # the drawer closes: room for the details

        # --- cleared from the page
        clear = page.get_by_role("button", name="Clear jam")
        clear.click()
        road = page.locator("#right .control-road .road")
        expect(road.first).to_have_attribute("data-state", "confirmed")
        visitor.shot("03-jam-cleared")
        world.until("plant clears", lambda: plant.read("Filler", "JamActive") is False)
        expect(alarm).to_have_count(0)
        world.until("filler runs", lambda: plant.read("Filler", "Speed") > 1_000, 60)
        (command,) = world.get("commands", twin=FILLER)["commands"]
        assert command["operation"] == "ClearJam"
        # A call answers itself: that it was sent and that it was done come in one.
        assert steps_in_log(world, command["id"]) in ([0, 2], [0, 1, 2])

        # --- a slower speed, asked for in the page
        before = plant.read("Filler", "SpeedSetpoint")
        wanted = before - 4_000
        control = page.locator(f'[data-control="{FILLER}.SpeedSetpoint"]')
        control.scroll_into_view_if_needed()
        control.locator("input.num").fill(f"{wanted:.0f}")
        control.get_by_role("textbox", name="Reason").fill("neck finish of the new batch")
        control.get_by_role("button", name="Set", exact=True).click()
        road = control.locator(".road")
        expect(road).to_have_attribute("data-state", "confirmed")
        expect(road.locator("li.step-done .step-name")).to_have_text(
            ["Requested", "Sent", "Confirmed"]
        )
        visitor.shot("04-speed-confirmed")
        assert plant.read("Filler", "SpeedSetpoint") == wanted
        newest = world.get("commands", twin=FILLER)["commands"][0]
        assert newest["value"] == wanted and newest["reason"] == "neck finish of the new batch"
        assert steps_in_log(world, newest["id"]) == [0, 1, 2]

        # --- the machine follows, and the page shows it: value, trend, label in the scene
        row = page.locator(f'[data-point="{FILLER}.Speed"]')
        row.locator(".point-row").click()
        row.get_by_role("button", name="Add to trend").click()
        legend = page.locator("#panel-trends .legend [role=listitem]")
        expect(legend).to_have_count(1)
        world.until(
            "the filler runs slower",
            lambda: 0 < plant.read("Filler", "Speed") <= wanted * 1.02,
            60,
        )
        visitor.until(
            "([twin, most]) => { const m = window.__mirrorworld.mirror;"
            " const v = m.value[m.handle(twin, 'Speed')]; return v > 0 && v <= most; }",
            [FILLER, wanted * 1.02],
        )
        assert visitor.value("SpeedSetpoint") == wanted
        expect(legend.first).to_contain_text(re.compile(r"\d"))
        expect(page.locator(".label.selected .value").first).to_be_visible()
        visitor.shot("05-trend-follows")

        # --- what is out of bounds never reaches the plant
        control.locator("input.num").fill("60000")
        control.get_by_role("button", name="Set", exact=True).click()
        expect(control).to_contain_text("outside")
        visitor.shot("06-refused")
        assert plant.read("Filler", "SpeedSetpoint") == wanted
    assert world.get("world")["open_commands"] == 0
