"""Real pages write, draw and arrange together: each sees the others' letters, undoes its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorworld.authoring.documents import Document
from mirrorworld.world.changes import Edits, PutPose, PutTwin, PutType
from mirrorworld.world.model import PointType, Pose, Text, Twin, TwinType
from tests.web.conftest import OpenPage
from tests.web.living_world import LivingWorld

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]

PATIENCE_MS = 60_000
PUMPS = [f"plant/pump{i}" for i in range(4)]
ROOM = "window.__mirrorworld.authoring.room"


@pytest.fixture
def world(living: Callable[[Edits], LivingWorld]) -> LivingWorld:
    pump = TwinType("pump", Text.of("Pump", "en"), points=(PointType("flow", unit="m3/h"),))
    edits: list[object] = [PutType(pump)]
    for i, id in enumerate(PUMPS):
        edits.append(PutTwin(Twin(id, "pump", Text.of(f"Pump {i}", "en"))))
        edits.append(PutPose(id, Pose(3.0 * i, 0.0, 0.0)))
    return living(Edits(tuple(edits)))  # pyright: ignore[reportArgumentType]


def until(page: Page, condition: str, argument: object = None) -> None:
    page.wait_for_function(condition, arg=argument, timeout=PATIENCE_MS)


def centre(page: Page, twin: str) -> tuple[float, float]:
    """Where a twin is in the window."""
    at = page.evaluate("id => window.__mirrorworld.scene.project(id)", twin)
    return at["x"], at["y"]


def write_on(page: Page, twin: str, text: str) -> None:
    """New note, a click on the part, and typing."""
    page.get_by_role("button", name="New note").click()
    page.mouse.click(*centre(page, twin))
    area = page.locator(".author-text")
    area.wait_for(timeout=PATIENCE_MS)
    area.press_sequentially(text)


def shot(page: Page, name: str) -> None:
    """Keeps a picture for who looks at it."""
    if folder := os.environ.get("MIRRORWORLD_SHOTS"):
        page.screenshot(path=str(Path(folder) / f"authoring-{name}.png"), timeout=PATIENCE_MS)


def role(page: Page, name: str) -> object:
    return page.get_by_role("button", name=name, exact=True)


def open_notes(page: Page) -> None:
    page.keyboard.press("n")
    page.locator(".author-panel").wait_for(timeout=PATIENCE_MS)
    until(page, f"{ROOM}?.line.mayWrite === true")


def note_text(page: Page) -> str:
    return page.evaluate(f"{ROOM}.book.notes()[0]?.note.text ?? ''")


def has_text(page: Page, text: str) -> None:
    until(page, f"text => {ROOM}?.book.notes()[0]?.note.text === text", text)


def test_two_pages_write_on_the_same_part(world: LivingWorld, open_page: OpenPage) -> None:
    one, two = (open_page(world, with_scene=False, width=1440, height=900) for _ in range(2))
    assert one.evaluate("window.__mirrorworld.authoring.room") is None, "nothing is opened unasked"
    open_notes(one)
    write_on(one, PUMPS[1], "Leaks at the <b onclick=alert(1)>seal</b>")
    # The other page has asked for nothing: it hears that there is something, and shows a pin.
    pin = two.locator(".author-pin:not([hidden])")
    pin.wait_for(timeout=PATIENCE_MS)
    pin.click()
    area = two.locator(".author-text")
    area.wait_for(timeout=PATIENCE_MS)
    assert two.evaluate("window.__mirrorworld.mirror.selected") == PUMPS[1]
    assert two.locator(".author-panel b[onclick]").count() == 0, "markup is text"
    has_text(two, "Leaks at the <b onclick=alert(1)>seal</b>")

    # Both type in it; what one types stays where they type it.
    area.press("Control+End")
    # As one act: a slow machine would make several of what was typed letter by letter.
    two.keyboard.insert_text(" since noon")
    has_text(one, "Leaks at the <b onclick=alert(1)>seal</b> since noon")
    one.locator(".author-text").press("Control+Home")
    one.keyboard.insert_text("PUMP ")
    both = "PUMP Leaks at the <b onclick=alert(1)>seal</b> since noon"
    has_text(two, both)
    until(two, "text => document.querySelector('.author-text').value === text", both)

    # Each takes back their own: the second's words go, the first's stay.
    two.locator(".author-panel").get_by_title("Take my last change back (Ctrl+Z)").click()
    has_text(one, "PUMP Leaks at the <b onclick=alert(1)>seal</b>")
    two.locator(".author-panel").get_by_title("Do it again (Ctrl+Shift+Z)").click()
    has_text(one, both)

    # A drawing on the part: the pointer draws, the camera stays.
    role(one, "Draw on it").click()
    before = one.evaluate("window.__mirrorworld.scene.camera().position.join()")
    x, y = centre(one, PUMPS[1])
    one.mouse.move(x - 4, y)
    one.mouse.down()
    for step in range(6):
        one.mouse.move(x - 4 + 4 * step, y + step)
    one.mouse.up()
    one.keyboard.press("Escape")
    strokes = f"Object.values({ROOM}.book.notes()[0].note.strokes)"
    until(two, f"{strokes}.length === 1 && {strokes}[0].points.length >= 6")
    assert one.evaluate("window.__mirrorworld.scene.camera().position.join()") == before
    reply = two.get_by_placeholder("Reply")
    reply.fill("On it <i>now</i>")
    reply.press("Enter")
    one.locator(".author-replies p").wait_for(timeout=PATIENCE_MS)
    assert one.locator(".author-replies p").inner_text() == "On it <i>now</i>"

    # Of the task that is made of it the other sees the state; a later page has all.
    role(one, "Make a task").click()
    role(one, "Tasks").click()
    one.locator(".author-card select").select_option("doing")
    until(two, f"{ROOM}.book.tasks()[0]?.task.state === 'doing'")
    until(one, f"{ROOM}.line.open === 0")
    log = world.do(lambda mirror: dict(mirror.world.writings))
    assert list(log) == [PUMPS[1]]
    kept = Document(log[PUMPS[1]])
    (note,) = kept.notes().values()
    assert note.text == both
    assert len(note.replies) == len(note.strokes) == len(kept.tasks()) == 1


def test_what_is_written_without_a_line_is_sent_later(
    world: LivingWorld, open_page: OpenPage
) -> None:
    page = open_page(world, with_scene=False, width=390, height=844, has_touch=True)
    open_notes(page)
    page.evaluate(f"{ROOM}.book.addNote('{PUMPS[0]}', [0, 1, 0], 'first')")
    until(page, f"{ROOM}.line.open === 0")
    page.context.set_offline(True)
    page.evaluate(f"{ROOM}.line.drop()")
    until(page, f"{ROOM}.line.state === 'lost'")
    page.evaluate(f"{ROOM}.book.addNote('{PUMPS[2]}', [0, 1, 0], 'offline')")
    page.get_by_text("kept here and sent later").wait_for(timeout=PATIENCE_MS)
    assert list(world.do(lambda mirror: dict(mirror.world.writings))) == [PUMPS[0]]
    # Even a page that is loaded anew has it still, and sends it once there is a line.
    until(page, "Object.keys(localStorage).some(key => key.startsWith('mirrorworld.unsent'))")
    # This page never gets it sent: it is the next that has to.
    page.evaluate("() => { window.WebSocket = class { close() {} }; }")
    page.context.set_offline(False)
    page.reload()
    until(page, f"{ROOM}?.line.state === 'live' && {ROOM}.line.open === 0")
    log = world.do(lambda mirror: dict(mirror.world.writings))
    assert sorted(log) == [PUMPS[0], PUMPS[2]]
    assert [n.text for n in Document(log[PUMPS[2]]).notes().values()] == ["offline"]


def test_the_plant_is_arranged_and_taken_back(world: LivingWorld, open_page: OpenPage) -> None:
    page = open_page(world, with_scene=False, width=1200, height=800)

    def pose(twin: str) -> Pose | None:
        found = world.do(lambda mirror: mirror.world.structure.twins.get(twin))
        return None if found is None else found.pose

    def at(twin: str, axis: str) -> str:
        return f"window.__mirrorworld.mirror.twins.get('{twin}')?.pose?.{axis} ?? 0"

    page.get_by_role("button", name="Arrange the plant (E)").click()
    page.locator(".arrange-bar").wait_for(timeout=PATIENCE_MS)
    page.evaluate(f"window.__mirrorworld.mirror.select('{PUMPS[1]}')")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    until(page, f"({at(PUMPS[1], 'z_m')}) === 1")
    page.keyboard.press("r")
    until(page, f"Math.abs(({at(PUMPS[1], 'qy')}) - Math.sin(Math.PI / 24)) < 1e-5")

    # By the pointer: what is selected follows it over the floor, and comes to rest on the grid.
    x, y = centre(page, PUMPS[1])
    before = page.evaluate(f"[{at(PUMPS[1], 'x_m')}, {at(PUMPS[1], 'z_m')}]")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 60, steps=4)
    page.mouse.up()
    until(page, f"before => Math.abs(({at(PUMPS[1], 'z_m')}) - before[1]) > 0.2", before)

    page.keyboard.press("Control+z")
    until(page, f"before => ({at(PUMPS[1], 'z_m')}) === before[1]", before)

    # A new one from the library, where one clicks; then it is ended, and that is taken back.
    role(page, "Place…").click()
    page.locator(".arrange-library button").first.click()
    x, y = centre(page, PUMPS[1])  # beside it, on the floor, where no panel is
    page.mouse.click(x, y + 80)
    until(page, "window.__mirrorworld.mirror.selected?.startsWith('pump-') === true")
    new = page.evaluate("window.__mirrorworld.mirror.selected")
    assert pose(new) is not None
    page.keyboard.press("Delete")
    until(page, "id => !window.__mirrorworld.mirror.twins.has(id)", new)
    page.keyboard.press("Control+z")
    until(page, "id => window.__mirrorworld.mirror.twins.has(id)", new)
    by = world.do(lambda mirror: mirror.world.recent()[-1])
    assert by.origin.by == "owner", "each step has its author"
    page.keyboard.press("Escape")
    page.locator(".arrange-bar").wait_for(state="hidden", timeout=PATIENCE_MS)
