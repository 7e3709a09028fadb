"""Real pages write, draw and arrange together: each sees the others' letters, undoes its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mirrorworld.authoring.documents import Document
from mirrorworld.record.blobs import Blobs
from mirrorworld.record.files import Files
from mirrorworld.world.changes import Edits, OriginKind, PutPose, PutTwin, PutType
from mirrorworld.world.model import PointType, Pose, Text, Twin, TwinType
from tests.standards.gltf_files import png
from tests.web.conftest import OpenPage
from tests.web.living_world import LivingWorld

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

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


def role(page: Page, name: str) -> Locator:
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


def arrange(page: Page, twin: str) -> None:
    """Begins to arrange, with a twin selected."""
    page.get_by_role("button", name="Arrange the plant (E)").click()
    page.locator(".arrange-bar").wait_for(timeout=PATIENCE_MS)
    page.evaluate(f"window.__mirrorworld.mirror.select('{twin}')")
    until(page, f"{ROOM}.arranging.chosen[0] === '{twin}'")


def pose_at(twin: str, axis: str) -> str:
    return f"(window.__mirrorworld.mirror.twins.get('{twin}')?.pose?.{axis} ?? 0)"


def by_ada(world: LivingWorld, *edits: object) -> None:
    """Somebody else edits."""
    body = Edits(tuple(edits))  # pyright: ignore[reportArgumentType]
    world.do(lambda mirror: mirror.apply(body, by="ada", kind=OriginKind.AUTHORED))


def test_others_see_what_is_held_as_it_moves(world: LivingWorld, open_page: OpenPage) -> None:
    one = open_page(world, with_scene=False, width=1200, height=800)
    two = open_page(world, with_scene=False, width=1200, height=800)
    arrange(one, PUMPS[1])
    # The other page has opened nothing; it hears that somebody arranges.
    until(two, f"{ROOM}?.line.state === 'live'")
    before = world.do(lambda mirror: (mirror.world.position, mirror.world.state_hash()))
    x, y = centre(one, PUMPS[1])
    one.mouse.move(x, y)
    one.mouse.down()
    one.mouse.move(x + 30, y + 60, steps=5)
    held = f"{ROOM}.movers.held"
    until(two, f"{held}.length === 1 && Math.abs({held}[0].dz_m) > 0.2")
    assert two.evaluate(f"[{held}[0].by, {held}[0].twins]") == ["owner", [PUMPS[1]]]
    label = two.locator(".author-mover")
    assert label.inner_text() == "owner"
    at = label.bounding_box()
    assert at is not None
    held_z = two.evaluate(f"{held}[0].dz_m")
    one.mouse.move(x + 30, y + 120, steps=5)
    until(two, f"z => {held}[0].dz_m > z + 0.2", held_z)
    now = "document.querySelector('.author-mover').getBoundingClientRect().y"
    until(two, f"y => {now} > y", at["y"])
    assert world.do(lambda mirror: (mirror.world.position, mirror.world.state_hash())) == before
    assert one.evaluate(f"{held}.length") == 0
    one.mouse.up()
    # What is let go of is a change like any other, and the ghost is gone.
    until(two, f"{pose_at(PUMPS[1], 'z_m')} > 0.2 && {held}.length === 0")
    assert two.locator(".author-mover").count() == 0

    # Left alone with Escape nothing has happened; who goes while holding lets go.
    x, y = centre(one, PUMPS[1])
    one.mouse.move(x, y)
    one.mouse.down()
    one.mouse.move(x + 60, y, steps=5)
    until(two, f"{held}.length === 1")
    one.keyboard.press("Escape")
    until(two, f"{held}.length === 0")
    one.mouse.up()
    if one.locator(".arrange-bar").is_hidden():
        arrange(one, PUMPS[2])
    one.keyboard.press("ArrowRight")
    until(two, f"{held}.length === 1")
    one.context.close()
    until(two, f"{held}.length === 0")


def test_who_arranged_what_is_shown_and_taken_back(world: LivingWorld, open_page: OpenPage) -> None:
    page = open_page(world, with_scene=False, width=1200, height=800)
    arrange(page, PUMPS[0])
    page.keyboard.press("ArrowDown")
    until(page, f"{pose_at(PUMPS[0], 'z_m')} === 0.5")
    page.keyboard.press("r")
    until(page, f"{pose_at(PUMPS[0], 'qy')} > 0.1")
    page.evaluate(f"window.__mirrorworld.mirror.select('{PUMPS[2]}')")
    page.keyboard.press("ArrowDown")
    until(page, f"{pose_at(PUMPS[2], 'z_m')} === 0.5")
    by_ada(world, PutPose(PUMPS[2], Pose(6.0, 0.0, 3.0)))
    until(page, f"{pose_at(PUMPS[2], 'z_m')} === 3")

    # By the key: somebody has moved it since, so nothing is done, and it is said why.
    page.keyboard.press("Control+z")
    page.get_by_text("where it stands was changed again since").wait_for(timeout=PATIENCE_MS)
    assert page.evaluate(pose_at(PUMPS[2], "z_m")) == 3

    page.locator(".arrange-bar").get_by_role("button", name="History").click()
    dialog = page.get_by_role("dialog", name="Who arranged what")
    rows = dialog.locator("li")
    rows.nth(3).wait_for(timeout=PATIENCE_MS)
    said = [rows.nth(i).locator("p").first.inner_text() for i in range(4)]
    assert said == [
        "ada moved Pump 2",
        "owner moved Pump 2",
        "owner turned Pump 0",
        "owner moved Pump 0",
    ]
    back = dialog.get_by_role("button", name="Take back")
    assert back.count() == 3, "one's own alone"
    back.nth(0).click()
    message = dialog.get_by_role("status")
    message.wait_for(timeout=PATIENCE_MS)
    assert "Pump 2" not in message.inner_text()
    assert f"{PUMPS[2]}: where it stands was changed again since" in message.inner_text()
    # What was done before it can be taken back for all that.
    back.nth(1).click()
    until(page, f"{pose_at(PUMPS[0], 'qy')} === 0")
    dialog.get_by_text("owner took back what was done to Pump 0").wait_for(timeout=PATIENCE_MS)
    assert "taken back" in rows.nth(3).inner_text()
    shot(page, "layout-history")
    rows.nth(0).get_by_role("button", name="Show").click()
    until(page, f"window.__mirrorworld.mirror.selected === '{PUMPS[0]}'")
    assert dialog.count() == 0


def test_several_are_lined_up_and_taken_back_as_one(
    world: LivingWorld, open_page: OpenPage
) -> None:
    for i, id in enumerate(PUMPS):
        world.edit(PutPose(id, Pose(2.0 * i, 0.0, 0.3 * i)))
    for id, x_m in (("plant/west", -7.0), ("plant/east", 13.0)):  # no panel covers the pumps
        world.edit(PutTwin(Twin(id, "pump")), PutPose(id, Pose(x_m)))
    page = open_page(world, with_scene=False, width=1600, height=900)
    arrange(page, PUMPS[1])
    for id in (PUMPS[0], PUMPS[2]):
        x, y = centre(page, id)
        page.keyboard.down("Shift")
        page.mouse.click(x, y)
        page.keyboard.up("Shift")
    until(page, f"{ROOM}.arranging.chosen.length === 3")
    page.get_by_label("Line up").select_option("centre z")
    spread = f"""() => {{
        const boxes = {PUMPS[:3]}.map((id) => window.__mirrorworld.scene.boundsOf(id));
        const at = boxes.map((box) => (box.min.z + box.max.z) / 2);
        return Math.max(...at) - Math.min(...at);
    }}"""
    until(page, f"() => ({spread})() < 0.01")
    assert page.evaluate(pose_at(PUMPS[3], "z_m")) == pytest.approx(0.9)
    assert [page.evaluate(pose_at(id, "x_m")) for id in PUMPS[:3]] == [0, 2, 4]
    page.get_by_role("button", name="Undo").last.click()
    until(page, f"Math.abs({pose_at(PUMPS[1], 'z_m')} - 0.3) < 1e-6")
    until(page, f"{pose_at(PUMPS[0], 'z_m')} === 0")


def test_a_photo_is_put_on_a_note_and_the_log_says_by_whom(
    world: LivingWorld, open_page: OpenPage, tmp_path: Path
) -> None:
    blobs = Blobs(tmp_path / "blobs", Files())
    world.do(lambda mirror: setattr(mirror, "blobs", blobs))
    one, two = (open_page(world, with_scene=False, width=1440, height=900) for _ in range(2))
    open_notes(one)
    write_on(one, PUMPS[1], "Look at the seal")
    with one.expect_file_chooser(timeout=PATIENCE_MS) as asked:
        role(one, "Photo").click()
    asked.value.set_files({"name": "seal.png", "mimeType": "image/png", "buffer": png(640, 400)})
    photos = f"Object.values({ROOM}?.book.notes()[0]?.note.photos ?? {{}})"
    until(two, f"{photos}.length === 1")
    pin = two.locator(".author-pin:not([hidden])")
    pin.wait_for(timeout=PATIENCE_MS)
    pin.click()
    for page in (one, two):
        picture = page.locator(".author-photos img")
        picture.wait_for(timeout=PATIENCE_MS)
        until(page, "document.querySelector('.author-photos img').naturalWidth > 0")
        assert picture.get_attribute("alt") == "seal.png"
    [sha256] = blobs.names()
    assert two.evaluate(f"{photos}[0].sha256") == sha256
    shot(two, "photo")

    # What is no picture is refused, and nothing is put on the note.
    with one.expect_file_chooser(timeout=PATIENCE_MS) as asked:
        role(one, "Photo").click()
    asked.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": b"<html></html>"})
    one.locator(".toast.bad").wait_for(timeout=PATIENCE_MS)
    assert one.evaluate(f"{photos}.length") == 1

    one.locator(".author-acts").get_by_role("button", name="History").click()
    dialog = one.get_by_role("dialog", name="History of Pump 1")
    dialog.get_by_text("a photo: seal.png").wait_for(timeout=PATIENCE_MS)
    dialog.get_by_text("new note").wait_for(timeout=PATIENCE_MS)
    assert dialog.locator("b").first.inner_text() == "owner"
    shot(one, "note-history")
    one.keyboard.press("Escape")
    two.get_by_role("button", name="Take the photo off").click()
    until(one, f"{photos}.length === 0")
    assert one.locator(".author-photos img").count() == 0
