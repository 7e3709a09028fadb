"""The page in an emulated headset: moving, pointing, reading, commanding, a model, bare hands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from mirrorworld.world.changes import CommandState, Severity
from tests.web.headset import VISIT, Worn, shot, wearing
from tests.web.panel_world import FILLER, PanelWorld

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.peer, pytest.mark.timeout(600)]

MIRROR = "window.__mirrorworld.mirror"
# The canvas is read in the same picture that it is drawn in: it keeps nothing beyond that.
TAKE_EYES = """() => new Promise((resolve) => requestAnimationFrame(() => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [128, 64];
  const pen = copy.getContext("2d");
  pen.drawImage(document.getElementById("scene"), 0, 0, 128, 64);
  const eye = (x) => [...pen.getImageData(x, 0, 64, 64).data];
  window.eyes = [eye(0), eye(64)];
  resolve(new Set(window.eyes[0]).size > 20);
}))"""

# Per eye, how many pixels are of the colour that what is selected is outlined with.
COUNT_ACCENT = """() => new Promise((resolve) => requestAnimationFrame(() => {
  const scene = document.getElementById("scene");
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [scene.width, scene.height];
  const pen = copy.getContext("2d");
  pen.drawImage(scene, 0, 0);
  const half = copy.width >> 1;
  resolve([0, half].map((x) => {
    const { data } = pen.getImageData(x, 0, half, copy.height);
    let n = 0;
    for (let i = 0; i < data.length; i += 4)
      n += data[i] < 140 && data[i + 1] > 140 && data[i + 2] > 180 && data[i + 2] - data[i] > 90;
    return n;
  }));
}))"""


@pytest.fixture
def worn(browser: Browser, peers_dir: Path, line: PanelWorld) -> Iterator[Worn]:
    """A function that opens the bottling line's page beside an emulated headset."""
    with wearing(browser, peers_dir, line) as open_:
        yield open_


def test_goes_in_moves_points_reads_and_commands(line: PanelWorld, worn: Worn) -> None:
    line.tick(Speed=17_321.0)
    line.raise_alarm(Severity.HIGH)
    wearer = worn()
    camera = wearer.ask("window.__mirrorworld.scene.camera()")
    wearer.enter()
    # Both eyes, and a body that others can see.
    assert wearer.ask(f"{VISIT}.scene.stage.renderer.xr.getCamera().cameras.length") == 2
    body = wearer.ask("window.__mirrorworld.scene.body()")
    assert body["left"] and body["right"]
    assert 1.4 < body["head"]["position"][1] < 1.8

    # --- set down elsewhere by the arc
    before = wearer.head()
    wearer.aim([0.25, 1.2, -3], at=[0.25, 1.4, -0.3])
    wearer.stick(0, -1)
    wearer.until(f"{VISIT}.arc.isSure")
    landing = wearer.ask(f"{VISIT}.arc.landing.toArray()")
    assert math.dist(before, landing) > 2
    wearer.stick(0, 0)
    wearer.until(
        "([x, z]) => { const [hx, , hz] = window.__mirrorworld.scene.body().head.position;"
        " return Math.hypot(hx - x, hz - z) < 0.2; }",
        [landing[0], landing[2]],
    )
    # --- turned by a step
    yaw = wearer.ask(f"{VISIT}.rig.yaw")
    wearer.stick(1, 0)
    wearer.stick(0, 0)
    assert wearer.ask(f"{VISIT}.rig.yaw") == pytest.approx(yaw - math.pi / 6)

    # --- what is pointed at says its name and values; the trigger chooses it
    wearer.point_at(FILLER)
    wearer.until_said("tag", "17\u202f321 1/h")
    assert wearer.said("tag").startswith("Filler")
    pointer = wearer.ask("window.__mirrorworld.scene.body().pointer")
    assert math.dist(pointer["from"], pointer["to"]) > 0.5
    wearer.click()
    wearer.until(f"id => {MIRROR}.selected === id", FILLER)
    wearer.until_said("inspect", "Jam at the infeed star")
    wearer.press("inspect", "Acknowledge")
    wearer.until(f"{MIRROR}.alarms().some((event) => event.is_acknowledged)")
    # --- what changes in the plant changes there
    for _ in range(3):
        if "17\u202f321 1/h" in wearer.said("inspect"):
            break
        wearer.press("inspect", "›")
    line.tick(Speed=16_004.0)
    wearer.until_said("inspect", "16\u202f004 1/h")
    shot(wearer, "inspect")

    # --- a command: chosen, held, on its way, confirmed by the plant
    line.mirror.is_slow = True
    wearer.press("inspect", "Ask for…")
    wearer.press("inspect", "SpeedSetpoint")
    wearer.until_said("inspect", "Asked for 18\u202f000 1/h")
    wearer.press("inspect", "−1000")
    wearer.until_said("inspect", "Asked for 17\u202f000 1/h")
    wearer.press("inspect", "Hold to send")  # A slip: a short press sends nothing.
    assert not line.mirror.world.commands
    wearer.hold("inspect", "Hold to send", f"{MIRROR}.commands.size > 0")
    (command,) = line.mirror.world.commands.values()
    assert (command.point, command.reason) == ("SpeedSetpoint", "from a headset")
    wearer.until_said("inspect", "Requested…")
    line.do(lambda _: line.mirror.move(command.id, CommandState.SENT))
    wearer.until_said("inspect", "Sent…")
    line.do(lambda _: line.mirror.move(command.id, CommandState.CONFIRMED, "the source reports it"))
    wearer.until_said("inspect", "Confirmed")
    wearer.until_said("inspect", "the source reports it")
    # Not carried out: the reason is shown.
    line.mirror.is_slow = False
    line.mirror.fate = CommandState.FAILED
    wearer.hold("inspect", "Hold to send", f"{MIRROR}.commands.size > 1")
    wearer.until_said("inspect", "BadNotWritable")
    wearer.press("inspect", "Close")

    # --- out again: the page is as it was
    wearer.open_menu()
    wearer.leave()
    after = wearer.ask("window.__mirrorworld.scene.camera()")
    assert after["position"] == pytest.approx(camera["position"], abs=0.05)
    assert after["target"] == pytest.approx(camera["target"], abs=0.05)
    assert wearer.ask("window.__mirrorworld.scene.body()")["left"] is None


def test_model_on_a_table_menu_and_bare_hands(line: PanelWorld, worn: Worn) -> None:
    line.tick()
    line.raise_alarm(Severity.HIGH)
    wearer = worn()
    wearer.enter()
    wearer.open_menu()
    wearer.press("menu", "On a table")
    wearer.until(f"{VISIT}.rig.scale > 5")
    scale = wearer.ask(f"{VISIT}.rig.scale")
    # The whole line lies before the chest, within reach.
    at = wearer.where(FILLER)
    assert 0.6 < at[1] < 1.0 and math.hypot(at[0], at[2]) < 1.6
    # Both grips: hands that part make it larger.
    for side, x in (("left", -0.2), ("right", 0.2)):
        wearer.aim([x, 0.9, -3], side, at=[x, 0.9, -0.5])
    wearer.pictures(4)
    for side in ("left", "right"):
        wearer.ask(f"device.controllers.{side}.updateButtonValue('squeeze', 1)")
    wearer.until(
        f"{VISIT}.table.isHeld && {VISIT}.input.left.isSqueezed && {VISIT}.input.right.isSqueezed"
    )
    wearer.pictures(2)
    for side, x in (("left", -0.4), ("right", 0.4)):
        wearer.aim([x, 0.9, -3], side, at=[x, 0.9, -0.5])
    wearer.until(f"scale => {VISIT}.rig.scale < scale * 0.6", scale)
    for side in ("left", "right"):
        wearer.ask(f"device.controllers.{side}.updateButtonValue('squeeze', 0)")
    wearer.until(f"!{VISIT}.table.isHeld")
    # Into it, where one points: life size again.
    wearer.point_at(FILLER)
    wearer.stick(0, -1)
    wearer.until(f"{VISIT}.arc.isSure")
    wearer.stick(0, 0)
    wearer.until(f"{VISIT}.rig.scale === 1")
    box = wearer.ask(
        "id => { const b = window.__mirrorworld.scene.boundsOf(id);"
        " return [b.min.x, b.min.z, b.max.x, b.max.z]; }",
        FILLER,
    )
    x, _, z = wearer.head()
    outside = math.hypot(max(box[0] - x, 0, x - box[2]), max(box[1] - z, 0, z - box[3]))
    assert 0 < outside < 4  # beside it, not in it

    # --- what a mouse reaches, the menu reaches
    wearer.open_menu()
    wearer.press("menu", "Time")
    wearer.press("menu", "−10 min")
    wearer.until(f"!{MIRROR}.time.live")
    wearer.until_said("menu", "Past")
    wearer.press("menu", "1×")
    wearer.until(f"{MIRROR}.time.speed === 1")
    wearer.press("menu", "Live")
    wearer.until(f"{MIRROR}.time.live")
    wearer.press("menu", "Menu")
    wearer.press("menu", "Twins")
    wearer.press("menu", wearer.ask(f"{MIRROR}.roots()[0]"))
    wearer.until_said("menu", "Line 1")
    wearer.press("menu", "Menu")
    wearer.press("menu", "Look")
    wearer.press("menu", "Heat layer")
    wearer.until("document.documentElement.hasAttribute('data-heat')")
    wearer.press("menu", "Heat layer")
    wearer.press("menu", "Menu")
    wearer.press("menu", "Comfort")
    wearer.press("menu", "Turn smoothly")
    assert "smooth" in wearer.ask("localStorage.getItem('mirrorworld.xr.comfort')")
    wearer.press("menu", "Menu")
    wearer.press("menu", wearer.button_like("menu", "Alarms"))
    wearer.until_said("menu", "Jam at the infeed star")
    wearer.press("menu", "Go there")
    wearer.until(f"id => {MIRROR}.selected === id", FILLER)
    wearer.press("menu", "Menu")

    # --- bare hands: a pinch is a trigger
    wearer.ask("device.primaryInputMode = 'hand'")
    wearer.until(f"{VISIT}.input.right.hasJoints && {VISIT}.input.left.hasJoints")
    wearer.ask(f"{VISIT}.mirror.select(null)")
    wearer.ask("device.hands.right.position.set(0.3, 1.5, -0.3)")
    wearer.point_at("line1/capper")
    wearer.click()
    wearer.until(f"{MIRROR}.selected === 'line1/capper'")
    wearer.until_said("inspect", "Capper")
    # A headset that is taken away: the page goes on.
    wearer.ask(f"void {VISIT}.session.end()")
    wearer.until(f"{VISIT} === null")
    expect(wearer.page.locator("#right .insp-head")).to_contain_text("capper")


def test_set_down_on_a_real_table(line: PanelWorld, worn: Worn) -> None:
    line.tick()
    wearer = worn()
    wearer.enter("AR")
    wearer.aim([0, 0.7, -1.1], at=[0.2, 1.3, -0.2])
    wearer.until(f"{VISIT}.placing.hasPlace && {VISIT}.placing.at.y > 0.6")
    wearer.click()
    wearer.until(f"!{VISIT}.placing.isOpen")
    at = wearer.ask(f"{VISIT}.placing.at.toArray()")
    assert at == pytest.approx([0, 0.7, -1.1], abs=0.05)
    assert wearer.ask(f"{VISIT}.rig.scale") > 5
    # No sky and no floor of our own in a real room.
    assert wearer.ask(f"{VISIT}.session.environmentBlendMode") == "alpha-blend"
    # Life size, about the same place.
    wearer.open_menu()
    wearer.press("menu", "Life size")
    wearer.until(f"{VISIT}.rig.scale === 1")
    wearer.press("menu", "Place again")
    wearer.until(f"{VISIT}.placing.isOpen")
    wearer.ask(f"void {VISIT}.session.end()")
    wearer.until(f"{VISIT} === null")


def test_without_a_headset_or_leave_it_says_so(line: PanelWorld, worn: Worn) -> None:
    wearer = worn(has_headset=False)
    expect(wearer.page.get_by_role("button", name="Enter VR…")).to_have_count(0)
    wearer.page.get_by_role(
        "button", name="Keys"
    ).first.click() if False else wearer.page.keyboard.press("?")
    expect(wearer.page.get_by_role("dialog")).to_contain_text("headset")
    refused = worn()
    refused.ask(
        "() => { navigator.xr.requestSession = () =>"
        " Promise.reject(new DOMException('no', 'NotAllowedError')); }"
    )
    refused.page.get_by_role("button", name="Enter VR…").click()
    dialog = refused.page.get_by_role("dialog", name="Headset")
    dialog.get_by_role("button", name="Enter VR", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("was not allowed")
    assert refused.ask(f"{VISIT}") is None


def test_both_eyes_see_it(line: PanelWorld, worn: Worn) -> None:
    line.tick()
    wearer = worn(is_drawn=True)
    wearer.enter()
    wearer.pictures(3)
    wearer.ask(f"{VISIT}.choose('{FILLER}')")
    wearer.pictures(3)
    shot(wearer, "both-eyes")
    # Left and right are two views of the same things: alike, and not the same.
    wearer.until(TAKE_EYES)
    left, right = wearer.ask("window.eyes")
    assert len(set(left)) > 20 and len(set(right)) > 20
    assert left != right


def test_what_is_selected_is_outlined_for_both_eyes(line: PanelWorld, worn: Worn) -> None:
    line.tick()
    wearer = worn(is_drawn=True)
    wearer.enter()
    # Before it, with no hand in the way and no panel.
    wearer.ask(f"{VISIT}.goTo('{FILLER}')")
    wearer.until(f"!{VISIT}.veil.mesh.visible && {MIRROR}.selected === '{FILLER}'")
    wearer.ask(f"{VISIT}.desk.closeInspect()")
    # Arcs to what it is related to have the same colour: the line alone is taken away and put back.
    line_of = f"{VISIT}.scene.stage.scene.children.find((each) => each.renderOrder === 25)"
    wearer.ask(f"{line_of}.layers.set(31)")
    wearer.pictures(3)
    without = wearer.ask(COUNT_ACCENT)
    wearer.ask(f"{line_of}.layers.set(0)")
    wearer.pictures(3)
    shot(wearer, "outline")
    outlined = wearer.ask(COUNT_ACCENT)
    assert all(now > before + 60 for now, before in zip(outlined, without, strict=True)), (
        outlined,
        without,
    )
    # The line costs calls, and a headset has few.
    assert wearer.ask("window.__mirrorworld.scene.stats().draw_calls") <= 120
