"""Two real pages in one meeting, and a third on a phone: they see each other, and go together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mirrorworld.people import routes
from tests.web.panel_world import FILLER, PanelWorld

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
PATIENCE_MS = 120_000
MEETING = "window.__mirrorworld.people.meeting"
TOGETHER = "window.__mirrorworld.people.together"
MIRROR = "window.__mirrorworld.mirror"
OTHER = f"[...{MEETING}.people().values()].find((each) => each.id !== {MEETING}.me)"


@pytest.fixture
def plant(static_dir: Path, tmp_path: Path) -> Iterator[PanelWorld]:
    """The bottling line, where people may meet, and agree to be recorded."""
    world = PanelWorld(static_dir, routers=[routes.router])
    world.mirror.record.directory = tmp_path / "record"  # pyright: ignore[reportAttributeAccessIssue]
    yield world
    world.close()


def until(page: Page, condition: str, argument: Any = None) -> None:
    page.wait_for_function(condition, arg=argument, timeout=PATIENCE_MS)


def join(page: Page, name: str) -> None:
    """As a person does it: the button, a name, and in."""
    page.click(".people-button", timeout=PATIENCE_MS)
    page.fill(".people-join input", name)
    page.click(".people-join button[type=submit]", timeout=PATIENCE_MS)
    until(page, f"{MEETING}.isIn")


def met(open_page, plant: PanelWorld) -> tuple[Page, Page]:
    """Ada and Ben, in the same meeting."""
    ada = open_page(plant, with_scene=False, width=1200, height=760)
    ben = open_page(plant, with_scene=False, width=900)
    assert ada.evaluate(f"{MEETING}.state") == "out"
    join(ada, "Ada")
    join(ben, "Ben <img src=x onerror=window.__evil=1>")
    for page in (ada, ben):
        until(page, f"{MEETING}.people().size === 2")
    return ada, ben


def stand_at(page: Page, x: float, z: float) -> None:
    page.evaluate(
        "([x, z]) => window.__mirrorworld.scene.setCamera("
        "{ position: [x, 2, z], target: [x, 1.5, z - 5] })",
        [x, z],
    )


def test_two_people_see_each_other_and_talk(open_page, plant: PanelWorld):
    ada, ben = met(open_page, plant)
    stand_at(ben, 3.0, 8.0)
    until(ada, f"Math.abs({OTHER}?.body?.head.position[0] - 3) < 0.02")
    until(ada, "window.__mirrorworld.people.avatars.count === 1")
    stand_at(ben, -4.0, 9.0)
    until(ada, f"Math.abs({OTHER}.body.head.position[0] + 4) < 0.02")

    # What a name says is said, and never done.
    row = ada.locator(".people-row", has_text="Ben")
    row.wait_for(timeout=PATIENCE_MS)
    assert "<img src=x onerror=" in row.inner_text()
    ben.fill(".people-write input", "<script>window.__evil=1</script> see the filler")
    ben.press(".people-write input", "Enter")
    said = ada.locator(".people-said-text")
    said.wait_for(timeout=PATIENCE_MS)
    assert said.inner_text() == "<script>window.__evil=1</script> see the filler"
    assert ada.evaluate("window.__evil") is None
    assert ada.evaluate("document.querySelector('.people-panel img, .people-panel script')") is None

    ben.click("text=Raise hand")
    ada.locator(".people-mark.hand", has_text="1").wait_for(timeout=PATIENCE_MS)
    ben.evaluate(f"{MIRROR}.select({FILLER!r})")
    until(ada, "window.__mirrorworld.people.selections.count === 1")
    until(ada, f"{OTHER}.selected === {FILLER!r}")

    # Whoever goes is gone at once; screen readers are told.
    ben.click(".people-do >> text=Leave")
    until(ada, f"{MEETING}.people().size === 1")
    until(ada, "document.querySelector('.people-spoken').textContent.includes('has left')")
    assert ada.evaluate("window.__mirrorworld.people.selections.count") == 0


def test_one_time_for_all_own_way_and_back(open_page, plant: PanelWorld):
    ada, ben = met(open_page, plant)
    past = ada.evaluate(f"{MIRROR}.nowMs() - 20 * 60_000")
    ada.evaluate(f"(at) => {MIRROR}.seek(at)", past)
    until(ben, f"(at) => {MIRROR}.time.atMs === at", past)
    same(ada, ben)

    # Ben goes his own way: his time is his, and Ada's does not move him.
    ben.click(".people-do >> text=Own way")
    until(ada, f"{OTHER}.is_own_way")
    ben.evaluate(f"{MIRROR}.seek(null)")
    other = past + 5 * 60_000
    ada.evaluate(f"(at) => {MIRROR}.seek(at)", other)
    until(ben, f"(at) => {MEETING}.moment.source_ms === at", other)
    assert ben.evaluate(f"{MIRROR}.time.live")
    assert ada.evaluate(f"{MIRROR}.time.atMs") == other
    # And back, to where the others are by now.
    ben.click(".people-banner >> text=Come back")
    until(ben, f"(at) => {MIRROR}.time.atMs === at", other)
    same(ada, ben)

    # It plays for both, and ends for both; then they see the same present.
    ben.evaluate(f"(at) => {MIRROR}.seek(at, 10)", past)
    until(ada, f"!{MIRROR}.time.live && {MIRROR}.time.speed === 10")
    until(ada, f"(at) => {MIRROR}.viewMs() > at + 2000", past)
    ada.evaluate(f"{MIRROR}.seek(null)")
    until(ben, f"{MIRROR}.time.live")
    plant.tick(BowlLevel=77.0)
    same(ada, ben)
    assert ada.evaluate(f"{MIRROR}.time.live && {MIRROR}.position") == ben.evaluate(
        f"{MIRROR}.position"
    )


def same(ada: Page, ben: Page) -> None:
    """Waits for quiet, and then both have the same of the world: an equal hash."""
    hashes = "window.__mirrorworld.people.hash()"
    deadline = 200
    for _ in range(deadline):
        first = ada.evaluate(hashes)
        if first == ben.evaluate(hashes):
            return
        ada.wait_for_timeout(250)
    raise AssertionError(f"{ada.evaluate(hashes)} is not {ben.evaluate(hashes)}")


def test_following_presenting_and_bringing(open_page, plant: PanelWorld):
    ada, ben = met(open_page, plant)
    stand_at(ben, 2.0, 9.0)
    until(ada, f"Math.abs({OTHER}?.body?.head.position[0] - 2) < 0.02")
    camera = "window.__mirrorworld.scene.camera().position"
    # Beside him.
    ada.click(".people-row:has-text('Ben') >> [title='Go to']")
    until(ada, f"Math.abs(Math.hypot({camera}[0] - 2, {camera}[2] - 9) - 1.3) < 0.1")
    # Through his eyes, until the hand is moved.
    ada.click(".people-row:has-text('Ben') >> [title='Follow']")
    until(ada, f"Math.abs({camera}[0] - 2) < 0.05 && Math.abs({camera}[2] - 9) < 0.05")
    stand_at(ben, 5.0, 7.0)
    until(ada, f"Math.abs({camera}[0] - 5) < 0.05")
    until(ben, f"{OTHER}.follows === {MEETING}.me")
    ada.locator(".people-banner", has_text="You follow Ben").wait_for(timeout=PATIENCE_MS)
    ada.keyboard.press("Escape")
    ada.mouse.move(600, 380)
    ada.mouse.down()
    ada.mouse.move(660, 400, steps=4)
    ada.mouse.up()
    until(ada, f"{TOGETHER}.leader === 0")

    # Who presents leads camera, selection and time of all who go no own way.
    ben.click(".people-do >> text=Present")
    until(ada, f"{TOGETHER}.leader === {MEETING}.presenter && {MEETING}.presenter !== 0")
    ben.evaluate(f"{MIRROR}.select({FILLER!r})")
    until(ada, f"{MIRROR}.selected === {FILLER!r}")
    stand_at(ben, 1.0, 8.0)
    until(ada, f"Math.abs({camera}[0] - 1) < 0.05")
    past = ben.evaluate(f"{MIRROR}.nowMs() - 10 * 60_000")
    ben.evaluate(f"(at) => {MIRROR}.seek(at)", past)
    until(ada, f"(at) => {MIRROR}.time.atMs === at", past)
    # Ada scrubs by hand: she goes her own way by it, and Ben stays where he is.
    ada.evaluate(f"(at) => {MIRROR}.seek(at)", past - 60_000)
    until(ada, f"{TOGETHER}.isOwnWay")
    assert ben.evaluate(f"{MIRROR}.time.atMs") == past
    ada.click(".people-banner >> text=Come back")
    until(ada, f"(at) => {MIRROR}.time.atMs === at && {TOGETHER}.leader !== 0", past)
    ben.click(".people-do >> text=Stop presenting")
    until(ada, f"{TOGETHER}.leader === 0")

    # Asked to come, one may; nobody is pulled.
    stand_at(ben, -6.0, 6.0)
    until(ada, f"Math.abs({MEETING}.latest({OTHER}.id).head.position[0] + 6) < 0.02")
    before = ada.evaluate(camera)
    ben.click(".people-do >> text=Bring all here")
    ada.locator(".toast", has_text="asks you to come").wait_for(timeout=PATIENCE_MS)
    assert ada.evaluate(camera) == before
    ada.click(".toast >> text=Go there")
    until(ada, f"Math.abs({camera}[0] + 6) < 1.5")


def test_a_lost_line_comes_back_and_a_phone_joins(open_page, plant: PanelWorld):
    ada, ben = met(open_page, plant)
    me = ada.evaluate(f"{MEETING}.me")
    # Nothing gets through for a while: the others are told, and so is one oneself.
    ada.context.set_offline(True)
    ada.evaluate(f"{MEETING}.dropLine()")
    ada.locator(".people-banner", has_text="lost").wait_for(timeout=PATIENCE_MS)
    until(ben, f"{OTHER}.is_away")
    ada.context.set_offline(False)
    until(ada, f"{MEETING}.isIn")
    assert ada.evaluate(f"{MEETING}.me") == me
    until(ben, f"!{OTHER}.is_away")
    # A page that is loaded again is in the meeting again.
    ada.reload(wait_until="commit")
    until(ada, f"window.__mirrorworld && {MEETING}.isIn && {MEETING}.people().size === 2")
    assert ada.evaluate(f"{MEETING}.self.name") == "Ada"

    phone = open_page(
        plant, with_scene=False, width=390, height=844, has_touch=True, is_mobile=True
    )
    join(phone, "Cid")
    until(ben, f"{MEETING}.people().size === 3")
    panel = phone.locator(".people-panel").bounding_box()
    assert panel is not None and panel["width"] == 390 and panel["y"] > 100
    for button in phone.locator(".people-panel button:visible").all():
        box = button.bounding_box()
        assert box is not None and box["height"] >= 43.5, button.inner_text()
    phone.fill(".people-write input", "from the phone")
    phone.press(".people-write input", "Enter")
    ben.locator(".people-said-text", has_text="from the phone").wait_for(timeout=PATIENCE_MS)
    # A moderator puts somebody out; their page says so, and the meeting goes on.
    ben.click(".people-row:has-text('Cid') >> [title='Put out of the meeting']")
    phone.locator(".people-join .error-line", has_text="put you out").wait_for(timeout=PATIENCE_MS)
    until(ben, f"{MEETING}.people().size === 2")


SPOKEN = "document.querySelector('.people-spoken').textContent"


def ask_to_record(page: Page, reason: str) -> None:
    page.click(".people-do >> text=Record")
    page.fill("dialog input", reason)
    page.click("dialog >> text=Ask all")


def test_a_meeting_is_recorded_only_where_all_agree_and_the_third_ends_it(
    open_page, plant: PanelWorld, tmp_path: Path
):
    ada, ben = met(open_page, plant)
    kept = tmp_path / "meetings"
    # A no: nothing is kept, and nobody is named for it.
    ask_to_record(ada, "to look at it again")
    question = ben.locator(".people-question")
    question.wait_for(timeout=PATIENCE_MS)
    said = question.inner_text()
    assert "Ada asks: to look at it again" in said
    assert "Voices are not recorded" in said and "After 30 days" in said
    assert ben.evaluate("document.activeElement.closest('.people-question')") is None
    until(ben, f"{SPOKEN}.includes('You are asked whether you agree')")
    assert ada.locator(".people-question").is_hidden()
    ada.locator(".people-banner", has_text="Nothing is kept yet").wait_for(timeout=PATIENCE_MS)
    ben.click(".people-question >> text=I do not agree")
    toast = ada.locator(".toast", has_text="Somebody does not agree")
    toast.wait_for(timeout=PATIENCE_MS)
    until(ben, "document.querySelector('.people-question').hidden")
    assert not kept.exists()
    plant.do(lambda _: forgive())

    # All agree: both see it in banner and panel, and hear it.
    ask_to_record(ada, "once more")
    ben.click(".people-question >> text=I agree", timeout=PATIENCE_MS)
    for page in (ada, ben):
        for place in (".people-banner", "p.people-recorded"):
            page.locator(place, has_text="is being recorded").wait_for(timeout=PATIENCE_MS)
        until(page, f"{SPOKEN}.includes('is being recorded')")
    ben.fill(".people-write input", "vermilion umbrella")
    ben.press(".people-write input", "Enter")
    ada.locator(".people-said-text", has_text="vermilion").wait_for(timeout=PATIENCE_MS)
    # A page that is loaded again has left and come: it is asked again.
    ben.reload(wait_until="commit")
    until(ben, f"window.__mirrorworld && {MEETING}.isIn && {MEETING}.recording !== null")
    ben.click(".people-question >> text=I agree", timeout=PATIENCE_MS)
    for page in (ada, ben):
        until(page, f"{MEETING}.recording?.state === 'on'")

    # A third comes, is asked at the door, and declines: it ends for all.
    cid = open_page(plant, with_scene=False, width=800)
    join(cid, "Cid")
    cid.locator(".people-question").wait_for(timeout=PATIENCE_MS)
    for page in (ada, ben):
        page.locator(".people-banner", has_text="The recording waits").wait_for(timeout=PATIENCE_MS)
    cid.click(".people-question >> text=I do not agree")
    for page in (ada, ben, cid):
        until(page, f"{MEETING}.recording === null")
        until(page, "document.querySelector('.people-banner').hidden")
    until(ada, f"{SPOKEN}.includes('Nothing is recorded any more')")

    # What was recorded is there, without the third; deleted by who was in it, it is gone.
    ada.click(".people-head >> [title='Recordings of meetings']")
    row = ada.locator("dialog .people-recordings li")
    row.wait_for(timeout=PATIENCE_MS)
    assert "once more" in row.inner_text() and "Cid" not in row.inner_text()
    with ada.expect_download(timeout=PATIENCE_MS) as saved:
        row.locator("text=What was said").click()
    text = saved.value.path().read_text()
    assert "vermilion umbrella" in text and "Cid" not in text
    row.locator("[title='Delete for all']").click()
    row.locator("text=Delete for all").click()
    none = ada.locator("dialog .hint:visible", has_text="There is no recording")
    none.wait_for(timeout=PATIENCE_MS)
    assert not list(kept.iterdir())


def forgive() -> None:
    """A no is not waited out: another question may be asked at once."""
    for recordings in routes._recordings.values():
        recordings.again_s = 0.0


def test_anybody_stops_it_and_a_page_that_cannot_answer_is_a_no(
    open_page, plant: PanelWorld, tmp_path: Path
):
    ada, ben = met(open_page, plant)
    ask_to_record(ada, "stopped at once")
    ben.click(".people-question >> text=I agree", timeout=PATIENCE_MS)
    until(ada, f"{MEETING}.recording?.state === 'on'")
    ben.click(".people-banner >> text=Stop recording")
    until(ada, f"{MEETING}.recording === null")
    # A page of before recordings knows no question.
    plant.do(lambda _: set_patience(0.5))
    ben.evaluate(f"{MEETING}.send = () => true")
    ask_to_record(ada, "to one that cannot answer")
    ada.locator(".toast", has_text="did not answer in time").wait_for(timeout=PATIENCE_MS)
    assert len(list((tmp_path / "meetings").iterdir())) == 1


def set_patience(answer_s: float) -> None:
    for recordings in routes._recordings.values():
        recordings.answer_s = answer_s


PLAYED = "window.__mirrorworld.people.playback"


def test_a_recorded_meeting_is_played_with_the_moments_that_it_looked_at(
    open_page, plant: PanelWorld
):
    ada, ben = met(open_page, plant)
    past = ada.evaluate(f"{MIRROR}.nowMs() - 20 * 60_000")
    ada.evaluate(f"(at) => {MIRROR}.seek(at)", past)
    until(ben, f"(at) => {MIRROR}.time.atMs === at", past)
    stand_at(ben, 3.0, 8.0)
    until(ada, f"Math.abs({OTHER}?.body?.head.position[0] - 3) < 0.02")
    ask_to_record(ada, "to see it again")
    ben.click(".people-question >> text=I agree", timeout=PATIENCE_MS)
    until(ada, f"{MEETING}.recording?.state === 'on'")
    stand_at(ben, -4.0, 9.0)
    until(ada, f"Math.abs({OTHER}.body.head.position[0] + 4) < 0.02")
    ben.fill(".people-write input", "look at the filler")
    ben.press(".people-write input", "Enter")
    ada.locator(".people-said-text", has_text="filler").wait_for(timeout=PATIENCE_MS)
    other = past + 5 * 60_000
    ben.evaluate(f"(at) => {MIRROR}.seek(at)", other)
    until(ada, f"(at) => {MEETING}.moment.source_ms === at", other)
    ada.click(".people-banner >> text=Stop recording")
    until(ben, f"{MEETING}.recording === null")

    # In a meeting it is not played: its time is that of all.
    ada.click(".people-head >> [title='Recordings of meetings']")
    play = ada.locator("dialog .people-recordings button", has_text="Play")
    play.wait_for(timeout=PATIENCE_MS)
    assert play.is_disabled()
    ada.keyboard.press("Escape")
    ada.click(".people-do >> text=Leave")
    ada.evaluate(f"{MIRROR}.seek(null)")
    ada.click(".people-button")
    ada.click(".people-head >> [title='Recordings of meetings']")
    ada.click("dialog .people-recordings button:has-text('Play')", timeout=PATIENCE_MS)

    # At its beginning Ben stands where he stood, and the world is at the past that all saw.
    until(ada, f"(at) => {PLAYED} !== null && {MIRROR}.time.atMs === at", past)
    ben_then = f"[...{PLAYED}.people().values()].find(({{ name }}) => name.startsWith('Ben'))"
    until(ada, f"Math.abs({ben_then}?.body.head.position[0] - 3) < 0.02")
    until(ada, f"{PLAYED}.avatars.count >= 1")
    assert ada.locator(".people-player .people-said").count() == 0
    ada.click(".people-player >> text=Play")
    until(ada, f"(at) => {MIRROR}.time.atMs === at", other)
    assert ada.locator(".people-player .people-said-text").inner_text() == "look at the filler"
    until(ada, f"!{PLAYED}.isPlaying")
    until(ada, f"Math.abs({ben_then}.body.head.position[0] + 4) < 0.02")
    # And back, by hand; closed, the world is live again.
    ada.locator(".people-player input").fill("0")
    until(ada, f"(at) => {MIRROR}.time.atMs === at", past)
    assert ada.locator(".people-player .people-said").count() == 0
    ada.click(".people-player [title=Close]")
    until(ada, f"{PLAYED} === null && {MIRROR}.time.live")
