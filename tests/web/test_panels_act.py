"""Acting from the page: commands with their steps, arming, sources and their certificates."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from mirrorworld.world.changes import CommandState
from tests.web.conftest import OpenPage
from tests.web.panel_world import FILLER, FINGERPRINT, PanelWorld
from tests.web.test_panels import open_wide, select

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def control(page: Page) -> Locator:
    """The control of the filler's speed."""
    return page.locator(f'[data-control="{FILLER}.SpeedSetpoint"]')


def ask(page: Page, value: str) -> None:
    """Asks for a speed and says yes a second time."""
    control(page).get_by_role("spinbutton").fill(value)
    control(page).get_by_role("button", name="Set").click()
    control(page).get_by_role("button", name="Yes, send it").click()


def test_speed_is_asked_for_confirmed_and_seen(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    line.tick()
    select(page, FILLER)
    line.mirror.is_slow = True
    control(page).get_by_role("textbox", name="Reason").fill("rush order")
    control(page).get_by_role("spinbutton").fill("19500")
    control(page).get_by_role("button", name="Set").click()
    # A second yes is asked for; nothing is sent before.
    expect(control(page)).to_contain_text("19 500".replace(" ", "\u202f"))
    assert not line.mirror.world.commands
    control(page).get_by_role("button", name="Yes, send it").click()
    road = control(page).locator(".road")
    expect(road).to_have_attribute("data-state", "requested")
    (command,) = line.mirror.world.commands.values()
    assert (command.value, command.reason, command.by) == (19500, "rush order", "owner")
    line.do(lambda _: line.mirror.move(command.id, CommandState.SENT))
    expect(road).to_have_attribute("data-state", "sent")
    expect(road.locator("[aria-current=step]")).to_contain_text("Sent")
    line.do(lambda _: line.mirror.move(command.id, CommandState.CONFIRMED, "the source reports it"))
    expect(road).to_have_attribute("data-state", "confirmed")
    expect(road).to_contain_text("the source reports it")
    page.locator("#tab-commands").click()
    listed = page.locator("#panel-commands .command-row")
    expect(listed).to_have_count(1)
    expect(listed).to_contain_text("rush order")

    # Not carried out: the source's own reason is shown.
    line.mirror.is_slow = False
    line.mirror.fate = CommandState.FAILED
    ask(page, "20000")
    expect(road).to_have_attribute("data-state", "failed")
    expect(road).to_contain_text("BadNotWritable")
    # Beyond the limits: refused before anything is sent.
    ask(page, "23000")
    expect(road).to_have_attribute("data-state", "refused")
    expect(road).to_contain_text("above the limit of 22000")
    expect(road).not_to_contain_text("Sent")


def test_operations_take_arguments(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    line.tick()
    select(page, FILLER)
    page.get_by_role("button", name="Clear jam").click()
    expect(page.locator(".control-road .road")).to_have_attribute("data-state", "confirmed")
    page.get_by_role("button", name="Change format").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox", name="Bottle").select_option(label="1.0 l")
    dialog.get_by_role("spinbutton", name="Speed").fill("12000")
    dialog.get_by_role("button", name="Change format").click()
    expect(dialog).to_have_count(0)
    jam, change = line.mirror.world.commands.values()
    assert jam.operation == "ClearJam"
    assert dict(change.arguments) == {"bottle": 2, "speed": 12000}


def test_owner_arms_and_disarms(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    line.tick()
    select(page, FILLER)
    locked = page.locator(".control-locked", has_text="Bowl pressure")
    locked.get_by_role("button", name="Arm").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The source gives 0 to 6 bar")
    dialog.get_by_role("spinbutton", name="Highest value").fill("3.5")
    dialog.get_by_role("spinbutton", name="Largest step").fill("0.5")
    dialog.get_by_role("textbox", name="Reason").fill("commissioning")
    dialog.get_by_role("button", name="Arm", exact=True).click()
    armed = page.locator(f'[data-control="{FILLER}.BowlPressure"]')
    expect(armed).to_contain_text("0 to 3.5")
    arm = line.mirror.world.structure.arms[(FILLER, "BowlPressure")]
    assert (arm.low, arm.high, arm.max_step) == (0, 3.5, 0.5)
    armed.get_by_role("button", name="Limits").click()
    page.get_by_role("dialog").get_by_role("button", name="Disarm").click()
    expect(locked).to_be_visible()
    assert (FILLER, "BowlPressure") not in line.mirror.world.structure.arms


def test_source_is_looked_at_then_added(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    page.locator(".top-pill:not(.people-button)").click()
    sources = page.get_by_role("dialog", name="Sources")
    expect(sources).to_contain_text("opc.tcp://10.20.0.14:4840/line1")
    expect(sources).to_contain_text("17 late")
    sources.get_by_role("button", name="Add a source").click()
    dialog = page.get_by_role("dialog", name="Add a source")
    address = dialog.get_by_role("textbox", name="Address of the source")
    address.fill("opc.tcp://unknown:4840")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("no such host")
    # A refused login says what to do, and opens the fields for it.
    address.fill("opc.tcp://locked:4840")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("alert")).to_contain_text("refused the login")
    user = dialog.get_by_role("textbox", name="User name")
    expect(user).to_be_focused()
    user.fill("engineer")
    dialog.get_by_role("textbox", name="Password").fill("secret")
    dialog.get_by_role("button", name="Look").click()
    expect(dialog.locator(".discovery-sum")).to_have_text(
        re.compile(r"5 twins\s*2 types\s*9 points")
    )
    expect(dialog).to_contain_text("object of type PumpType")
    dialog.get_by_role("button", name="Mirror it").click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".toast")).to_contain_text("is being mirrored")
    expect(page.locator(".top-pill:not(.people-button)")).to_contain_text("3 sources")


def test_certificate_is_compared_and_trusted(line: PanelWorld, open_page: OpenPage) -> None:
    page = open_wide(open_page, line)
    line.ask_trust()
    pill = page.locator(".top-pill:not(.people-button)")
    expect(pill).to_contain_text("1 source needs you")
    pill.click()
    sources = page.get_by_role("dialog", name="Sources")
    expect(sources.locator(".fingerprint")).to_have_text(FINGERPRINT)
    expect(sources).to_contain_text("CN=Packer PLC")
    sources.get_by_role("button", name="trust it").click()
    expect(page.locator(".toast")).to_contain_text("is trusted")
    expect(pill).to_contain_text("3 sources")
    assert line.mirror.trusted == [FINGERPRINT]
    page.keyboard.press("Escape")
    expect(sources).to_be_hidden()
