"""What a mouse can do a controller can: going together, tours, cuts and typing in a headset."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorworld.authoring.documents import Document
from mirrorworld.people import routes
from mirrorworld.world.changes import PutSheet
from mirrorworld.world.model import Sheet
from tests.web.headset import SHOTS, VISIT, Wearer, Worn, shot, wearing
from tests.web.panel_world import FILLER, PanelWorld
from tests.web.test_people import MEETING, OTHER, TOGETHER, join, stand_at, until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.web.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.peer, pytest.mark.timeout(600)]

MIRROR = "window.__mirrorworld.mirror"
SCENE = "window.__mirrorworld.scene"


@pytest.fixture
def plant(static_dir: Path) -> Iterator[PanelWorld]:
    """The bottling line, where people may meet."""
    world = PanelWorld(static_dir, routers=[routes.router])
    yield world
    world.close()


@pytest.fixture
def worn(browser: Browser, peers_dir: Path, plant: PanelWorld) -> Iterator[Worn]:
    """A function that opens its page beside an emulated headset."""
    with wearing(browser, peers_dir, plant) as open_:
        yield open_


# Where one stood in each picture, so that a view that is dragged along is seen to be.
WATCH_STEPS = f"""() => {{
  window.steps = [];
  let before = null;
  const look = () => {{
    if (!{VISIT}) return;
    const {{ x, z }} = {VISIT}.rig.head;
    if (before && Math.hypot(x - before[0], z - before[1]) > 0.05)
      window.steps.push([Math.hypot(x - before[0], z - before[1]), {VISIT}.veil.mesh.visible]);
    before = [x, z];
    requestAnimationFrame(look);
  }};
  look();
}}"""


def beside(x: float, z: float, within_m: float) -> str:
    """Whether the head of who wears the headset is near a place, and sees again."""
    return (
        f"(() => {{ const {{ x, z }} = {VISIT}.rig.head;"
        f" return !{VISIT}.veil.mesh.visible && Math.hypot(x - {x}, z - {z}) < {within_m}; }})()"
    )


def test_others_move_one_by_jumps_only(worn: Worn, plant: PanelWorld, open_page: OpenPage) -> None:
    ben = open_page(plant, with_scene=False, width=900)
    join(ben, "Ben")
    wearer = worn()
    wearer.enter()
    wearer.open_menu()
    wearer.press("menu", "People")
    wearer.press("menu", "Join the meeting")
    until(ben, f"{MEETING}.people().size === 2")
    stand_at(ben, 2.0, 9.0)
    wearer.until(f"Math.abs({OTHER}?.body?.head.position[0] - 2) < 0.02")
    wearer.ask(WATCH_STEPS)

    # --- asked to come: one goes by a press, and stands beside, looking along
    ben.click("text=Bring all here")
    wearer.until_said("menu", "Ben asks you to come")
    wearer.press("menu", "Go to Ben")
    wearer.until(beside(2, 9, 1.6))
    assert math.hypot(wearer.head()[0] - 2, wearer.head()[2] - 9) > 1
    assert abs(wearer.ask(f"Math.sin({VISIT}.rig.headYaw)")) < 0.05  # Ben looks along −z.

    # --- followed: near, nobody is moved; further away, by a jump; never by a drag
    wearer.press("menu", "Ben")
    wearer.press("menu", "Follow")
    until(ben, f"{OTHER}.follows === {MEETING}.me")
    stood = wearer.head()
    stand_at(ben, 4.0, 9.0)
    wearer.until(f"Math.abs({OTHER}.body.head.position[0] - 4) < 0.02")
    wearer.pictures(20)
    assert math.dist(wearer.head(), stood) < 0.05
    stand_at(ben, -6.0, 12.0)
    wearer.until(beside(-6, 12, 1.6))
    assert wearer.ask("window.__mirrorworld.people.avatars.hidden") == 0  # Ben is seen.
    # Who goes elsewhere by themselves follows no longer.
    wearer.aim([0.25, 1.2, -3], at=[0.25, 1.4, -0.3])
    wearer.stick(0, -1)
    wearer.until(f"{VISIT}.arc.isSure")
    wearer.stick(0, 0)
    wearer.until(f"{TOGETHER}.leader === 0")
    wearer.until(f"!{VISIT}.veil.mesh.visible")

    # --- led by who presents, and ended from the wrist
    ben.click("text=Present")
    wearer.until(f"{TOGETHER}.leader !== 0")
    stand_at(ben, 8.0, 8.0)
    wearer.until(beside(8, 8, 1.6))
    shot(wearer, "led")
    wearer.until_said("menu", "Ben presents; you look along")
    wearer.press("menu", "Look around")
    wearer.until(f"{TOGETHER}.leader === 0")
    stood = wearer.head()
    stand_at(ben, -8.0, 8.0)
    wearer.until(f"Math.abs({OTHER}.body.head.position[0] + 8) < 0.02")
    wearer.pictures(30)
    assert math.dist(wearer.head(), stood) < 0.05

    # --- and the other way round: Ben comes to who wears the headset
    ben.click("text=Stop presenting")
    wearer.until(f"{MEETING}.presenter === 0")
    wearer.press("menu", "Present")
    until(ben, f"{TOGETHER}.leader !== 0")
    wearer.press("menu", "Stop presenting")
    until(ben, f"{TOGETHER}.leader === 0")

    steps = wearer.ask("window.steps")
    assert len(steps) >= 4
    # Each of them went far, in the dark.
    assert all(far_m > 1 and is_dark for far_m, is_dark in steps), steps


def test_a_tour_is_played_in_the_headset(worn: Worn, plant: PanelWorld) -> None:
    steps = [
        # From eye level: one stands where the camera stood.
        {
            "id": "a",
            "title": "Where bottles are filled",
            "text": "Sixty heads, each with its own valve. " * 30,
            "camera": {"position": [3.0, 1.6, 8.0], "target": [3.0, 1.2, 0.0]},
            "twin": FILLER,
        },
        # From high above: one stands on the ground, and sees the same.
        {
            "id": "b",
            "title": "The line as a whole",
            "text": "From here to the palletizer.",
            "camera": {"position": [0.0, 30.0, 30.0], "target": [0.0, 0.0, 0.0]},
        },
    ]
    body = json.dumps({"version": 1, "steps": steps})
    plant.edit(PutSheet(Sheet("tour", "Round", body)))
    wearer = worn(is_drawn=True)
    wearer.enter()
    wearer.open_menu()
    wearer.press("menu", "Tours")
    wearer.press("menu", "Round")
    wearer.until_said("tour", "Where bottles are filled")
    wearer.until_said("tour", "Round · step 1 of 2")
    wearer.until(beside(3, 8, 0.2))
    wearer.until(f"{MIRROR}.selected === '{FILLER}'")
    assert abs(wearer.ask(f"Math.sin({VISIT}.rig.headYaw)")) < 0.05
    # A long text is read in parts.
    wearer.press("tour", wearer.button_like("tour", "Read on"))
    wearer.until_said("tour", "Read on (2 of")
    shot(wearer, "tour")
    # On, back, and the end.
    wearer.press("tour", "Next")
    wearer.until_said("tour", "From here to the palletizer.")
    wearer.until(f"!{VISIT}.veil.mesh.visible && {VISIT}.rig.head.z > 9")
    x, y, z = wearer.head()
    assert abs(x) < 3 and 1.4 < y < 1.8 and z < 16
    assert wearer.ask(f"{MIRROR}.selected") is None
    wearer.press("tour", "Back")
    wearer.until(beside(3, 8, 0.2))
    assert wearer.ask(f"{SCENE}.stats().draw_calls") <= 120
    wearer.press("tour", "End")
    wearer.until(f"!{VISIT}.desk.tour.isShown")
    assert wearer.ask("document.querySelector('.tour-card').hidden")


def test_the_plant_is_cut_open_by_hand(worn: Worn, plant: PanelWorld) -> None:
    plant.tick()
    wearer = worn(is_drawn=True)
    wearer.enter()
    section = f"{SCENE}.switches.section"
    wearer.open_menu()
    wearer.press("menu", "Cut")
    wearer.press("menu", "Cut here")
    wearer.until(f"{section}.cut('y') !== null")
    before = wearer.ask(f"{section}.cut('y').at")
    wearer.press("menu", "By hand")
    wearer.until(f"{VISIT}.cutting.isInHand")

    # A grip in the air takes the plane along: down with the hand, and no further than that.
    wearer.aim([0.4, 1.4, -3], at=[0.4, 1.4, -0.4])
    wearer.pictures(4)
    wearer.ask("device.controllers.right.updateButtonValue('squeeze', 1)")
    wearer.until(f"{VISIT}.input.right.isSqueezed")
    wearer.pictures(3)
    wearer.aim([0.4, 1.25, -3], at=[0.4, 1.25, -0.4])
    wearer.until(f"before => {section}.cut('y').at < before - 0.1", before)
    wearer.ask("device.controllers.right.updateButtonValue('squeeze', 0)")
    wearer.until(f"!{VISIT}.input.right.isSqueezed")
    gripped = wearer.ask(f"{section}.cut('y').at")
    wearer.aim([0.4, 1.6, -3], at=[0.4, 1.6, -0.4])
    wearer.pictures(4)
    assert wearer.ask(f"{section}.cut('y').at") == gripped
    shot(wearer, "cut")

    # The stick moves it too, and throws no arc meanwhile.
    stood = wearer.head()
    wearer.stick(0, -1)
    wearer.until(f"before => {section}.cut('y').at > before + 0.05", gripped)
    assert not wearer.ask(f"{VISIT}.arc.object.visible")
    wearer.stick(0, 0)
    assert math.dist(wearer.head(), stood) < 0.05
    # Off again, and the hands are what they were.
    wearer.press("menu", "Cut no longer")
    wearer.until(f"!{section}.isOn && !{VISIT}.cutting.isInHand")
    wearer.aim([0.25, 1.2, -3], at=[0.25, 1.4, -0.3])
    wearer.stick(0, -1)
    wearer.until(f"{VISIT}.arc.isSure")
    wearer.stick(0, 0)


def typed(wearer: Wearer, words: str) -> None:
    """Presses keys one by one."""
    for letter in words:
        wearer.press("keys", "Space" if letter == " " else letter)


def test_twins_are_found_and_notes_written_by_pointing_at_keys(
    worn: Worn, plant: PanelWorld
) -> None:
    # Drawn only for who wants to look: dozens of keys are aimed at, picture by picture.
    wearer = worn(is_drawn=bool(SHOTS))
    wearer.enter()
    wearer.open_menu()
    wearer.press("menu", "Search")
    wearer.until_said("keys", "Type some of a name")
    typed(wearer, "fil")
    wearer.until_said("keys", FILLER)
    shot(wearer, "keys")
    wearer.press("keys", "⌫")
    wearer.until_said("keys", "fi|")
    wearer.press("keys", FILLER)
    wearer.until(f"!{VISIT}.desk.keys.isShown && {MIRROR}.selected === '{FILLER}'")
    wearer.until(f"!{VISIT}.veil.mesh.visible")
    box = wearer.ask(
        f"(() => {{ const b = {SCENE}.boundsOf('{FILLER}');"
        " return [b.min.x, b.min.z, b.max.x, b.max.z]; })()"
    )
    x, _, z = wearer.head()
    away = math.hypot(max(box[0] - x, 0, x - box[2]), max(box[1] - z, 0, z - box[3]))
    assert 0 < away < 4

    # --- a note, by a bare hand, on the part that was pointed at
    wearer.press("inspect", "Close")
    wearer.ask(f"{VISIT}.mirror.select(null)")
    wearer.ask(f"{VISIT}.desk.isMenuOpen && {VISIT}.desk.toggleMenu()")
    wearer.ask("device.primaryInputMode = 'hand'")
    wearer.until(f"{VISIT}.input.right.hasJoints")
    wearer.ask("device.hands.right.position.set(0.25, 1.3, -0.3)")
    wearer.point_at(FILLER)
    wearer.click()
    wearer.until_said("inspect", "[Write a note]")
    wearer.press("inspect", "Write a note")
    typed(wearer, "V")  # Sentences begin with a capital.
    typed(wearer, "alve 3 drips")
    wearer.press("keys", "Write it")
    wearer.until(f"!{VISIT}.desk.keys.isShown")
    wearer.until_said("inspect", "[Notes (1)]")
    wearer.press("inspect", "Notes (1)")
    wearer.until_said("inspect", "Valve 3 drips")
    shot(wearer, "note")
    # The server has it, on the surface and not in the middle.
    room = "window.__mirrorworld.authoring.room"
    wearer.until(f"{room}.line.state === 'live' && {room}.line.open === 0")
    log = plant.do(lambda mirror: dict(mirror.world.writings))
    (note,) = Document(log[FILLER]).notes().values()
    assert note.text == "Valve 3 drips"
    assert math.hypot(*note.at) > 0.2
    assert wearer.ask(f"{SCENE}.stats().draw_calls") <= 120
