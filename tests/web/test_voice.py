"""Voice in the real page: two of them speak, and what arrives at the ears is measured.

The microphone is a file that Chromium plays; directions are told from recorded stereo alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api")

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from mirrorworld.bench.voice_ears import FAKE_DEVICES, Ears, microphone, write_speech
from mirrorworld.people import routes, voice
from tests.conftest import CHROMIUM_ARGUMENTS
from tests.web.conftest import NO_DRAWING
from tests.web.living_world import LivingWorld, works

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE_MS = 180_000
EYE_M = 60.0
"""Higher than all that stands there: nothing is between two who meet."""
VOICE = "__mirrorworld.people.voice"


@dataclass
class Person:
    """Somebody with a page of their own."""

    page: Page
    context: BrowserContext
    id: int

    def until(self, condition: str) -> None:
        self.page.wait_for_function(condition, timeout=PATIENCE_MS, polling=100)

    def get(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def stand(self, x: float, y: float, z: float, towards: tuple[float, float, float]) -> None:
        """Goes there, and looks at a place."""
        place = {"position": [x, y, z], "target": list(towards)}
        self.page.evaluate("(place) => __mirrorworld.scene.setCamera(place)", place)

    def level(self, other: Person) -> str:
        return f"{VOICE}.ears.heard.get({other.id})?.level.read()"

    def hears(self, other: Person) -> None:
        self.until(f"{self.level(other)} > 0.01")

    def hears_nothing_of(self, other: Person) -> None:
        """For a second and more, that is through all breaks between words."""
        self.page.evaluate("window.__quiet = 0")
        self.until(f"(__quiet = ({self.level(other)} ?? 0) < 1e-3 ? __quiet + 1 : 0) > 12")


@pytest.fixture(scope="module")
def speaking_browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium whose microphone is a file."""
    speech: Path = tmp_path_factory.mktemp("speech") / "speech.wav"
    write_speech(speech)
    arguments = [*CHROMIUM_ARGUMENTS, *FAKE_DEVICES, microphone(speech)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def world() -> Iterator[LivingWorld]:
    """A works, and people who may meet in it."""
    import hatch_build

    hatch_build.build_page()
    world = LivingWorld(hatch_build.STATIC, works(), routers=[routes.router])
    yield world
    world.close()


@pytest.fixture(scope="module")
def two(world: LivingWorld, speaking_browser: Browser) -> Iterator[tuple[Person, Person]]:
    """Ada and Ben in one meeting; both may use the microphone, and nobody has asked for it yet."""
    people: list[Person] = []
    errors: list[str] = []
    for name in ("Ada", "Ben"):
        context = speaking_browser.new_context(
            viewport={"width": 640, "height": 480}, bypass_csp=True, reduced_motion="reduce"
        )
        context.grant_permissions(["microphone"])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(NO_DRAWING)
        page.on("pageerror", lambda error: errors.append(str(error)))
        address, _, token = world.url.partition("/?token=")
        context.request.post(f"{address}/api/session", data={"token": token})
        page.goto(f"{address}/?quality=low")
        page.wait_for_function("document.documentElement.dataset.ready === 'true'")
        page.evaluate(f"__mirrorworld.people.meeting.join('{name}')")
        page.wait_for_function("__mirrorworld.people.meeting.isIn")
        people.append(Person(page, context, page.evaluate("__mirrorworld.people.meeting.me")))
    yield people[0], people[1]
    for person in people:
        person.context.close()
    assert not errors, "a page threw:\n" + "\n".join(errors)


def join(ada: Person, ben: Person) -> None:
    """Both are in voice and have a line, whatever was before."""
    for person in (ada, ben):
        if person.get(f"{VOICE}.state") == "out":
            person.page.evaluate("__mirrorworld.people.panel.open(true)")
            person.page.get_by_role("button", name="Join with voice").click()
    ada.until(f"{VOICE}.lineTo({ben.id}) === 'connected'")
    ben.until(f"{VOICE}.lineTo({ada.id}) === 'connected'")


def turn(listener: Person, speaker: Person, deg: float, height_m: float = EYE_M) -> None:
    """Lets the listener look so that the speaker is `deg` to the right, 4 m away, and waits until
    that is what is played."""
    a = math.radians(deg)
    listener.stand(0, height_m, 0, (-10 * math.sin(a), height_m, -10 * math.cos(a)))
    speaker.stand(0, height_m, -4, (0, height_m, -14))
    listener.until(
        f"(() => {{ const h = {VOICE}.heardAs({speaker.id}); if (!h?.seen) return false;"
        f" const at = Math.atan2(h.seen[0], -h.seen[2]) - ({a}); return h.treatment === 'hrtf' &&"
        " Math.abs(Math.atan2(Math.sin(at), Math.cos(at))) < 0.02 && Math.hypot(...h.seen) < 4.2"
        f" && h.walls === 0; }})()"
    )


def apart_deg(a: float, b: float) -> float:
    return abs((a - b + 180) % 360 - 180)


def test_no_microphone_and_no_line_before_somebody_asks(two: tuple[Person, Person]) -> None:
    for person in two:
        assert person.get(f"[{VOICE}.state, {VOICE}.ears, {VOICE}.microphone]") == [
            "out", None, "none",
        ]  # fmt: skip


def test_voices_come_from_where_people_stand(two: tuple[Person, Person]) -> None:
    ada, ben = two
    join(ada, ben)
    turn(ben, ada, 0)
    ben.hears(ada)
    ada.hears(ben)
    ears = Ears(ben.page)
    told: dict[float, float] = {}
    # Between 60 and 90 degrees the ears' levels hardly differ: 90 has been heard as 60.
    for deg in (-120.0, -65.0, -20.0, 35.0, 60.0, 160.0):
        turn(ben, ada, deg)
        ben.hears(ada)
        blocks = ears.record(ada.id, 2.5)
        side_db = ears.side_db(blocks)
        assert side_db > 2 if 20 < deg < 160 else side_db < -2 if -160 < deg < -19 else True
        told[deg] = ears.direction_deg(blocks)
    errors = {deg: apart_deg(deg, found) for deg, found in told.items()}
    assert max(errors.values()) <= 15, f"heard from {told}"


def test_walls_muffle(two: tuple[Person, Person]) -> None:
    ada, ben = two
    join(ada, ben)
    turn(ben, ada, 0)
    ben.hears(ada)
    ears = Ears(ben.page)
    open_ = ears.record(ada.id, 2)
    # A machine stands between them: the ray from one head to the other meets it.
    box = ben.get(
        "(() => { const b = __mirrorworld.scene.boundsOf('works/line0/mixer');"
        " return [b.min.toArray(), b.max.toArray()]; })()"
    )
    (x0, y0, z0), (x1, y1, z1) = box
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    ben.stand(x, y, z1 + 2, (x, y, z0))
    ada.stand(x, y, z0 - 2, (x, y, z0 - 9))
    ben.until(f"{VOICE}.heardAs({ada.id})?.walls >= 1")
    walled = ears.record(ada.id, 2)
    fall_db = ears.band_db(open_, 4_000, 9_000) - ears.band_db(walled, 4_000, 9_000)
    low_db = ears.band_db(open_, 200, 700) - ears.band_db(walled, 200, 700)
    assert fall_db > 15 and fall_db > low_db + 10, (fall_db, low_db)


def test_mute_and_push_to_talk(two: tuple[Person, Person]) -> None:
    ada, ben = two
    join(ada, ben)
    turn(ben, ada, 0)
    ben.hears(ada)
    ben.until(f"{VOICE}.isSpeaking({ada.id})")
    ada.page.get_by_role("button", name="Mute the microphone").first.click()
    ben.hears_nothing_of(ada)
    ben.until(f"__mirrorworld.people.meeting.people().get({ada.id}).is_muted")
    assert not ben.get(f"{VOICE}.isSpeaking({ada.id})")
    ada.page.get_by_role("button", name="Muted: open the microphone").first.click()
    ben.hears(ada)
    # Push to talk, by the key and by the button.
    ada.page.evaluate(f"{VOICE}.setPressToTalk(true)")
    ada.page.evaluate("__mirrorworld.people.panel.open(false)")
    ben.hears_nothing_of(ada)
    ada.page.keyboard.down("v")
    ben.hears(ada)
    ada.page.keyboard.up("v")
    ben.hears_nothing_of(ada)
    hold = ada.page.locator(".voice-pill .voice-hold")
    hold.dispatch_event("pointerdown")
    ben.hears(ada)
    hold.dispatch_event("pointerup")
    ben.hears_nothing_of(ada)
    ada.page.evaluate(f"{VOICE}.setPressToTalk(false)")
    # How loud one hears somebody is one's own affair.
    ben.hears(ada)
    ben.page.evaluate(f"{VOICE}.setVolume({ada.id}, 0)")
    ears = Ears(ben.page)
    quiet = ears.powers(ears.record(ada.id, 2))
    assert quiet[0].sum() < 1e-4 * quiet[2].sum()
    ben.page.evaluate(f"{VOICE}.setVolume({ada.id}, 1)")


def test_a_line_that_is_lost_comes_back(two: tuple[Person, Person]) -> None:
    ada, ben = two
    join(ada, ben)
    ben.hears(ada)
    # The server's line goes and comes: voice does not mind.
    ada.page.evaluate("__mirrorworld.people.meeting.dropLine()")
    ada.until("__mirrorworld.people.meeting.isIn")
    ben.hears(ada)
    join(ada, ben)
    # Another page of the same person: the old line is of no use, and another is made.
    ada.page.evaluate(f"{VOICE}.leave()")
    ben.until(f"{VOICE}.lineTo({ada.id}) === null")
    join(ada, ben)
    turn(ben, ada, 0)
    ben.hears(ada)


def test_without_permission_one_still_hears(two: tuple[Person, Person]) -> None:
    ada, ben = two
    join(ada, ben)
    ben.page.evaluate(f"{VOICE}.leave()")
    ben.context.clear_permissions()
    join(ada, ben)
    assert ben.get(f"[{VOICE}.state, {VOICE}.microphone, {VOICE}.trouble]") == [
        "in", "none", "refused",
    ]  # fmt: skip
    assert ben.page.get_by_text("The microphone is not allowed for this page").first.is_visible()
    turn(ben, ada, 0)
    ben.hears(ada)
    # Allowed after all: the same line carries it.
    ben.context.grant_permissions(["microphone"])
    ben.page.evaluate(f"{VOICE}.toggleMute()")
    ada.hears(ben)
    assert ben.get(f"{VOICE}.trouble") == ""


def test_by_the_forwarder_it_sounds_the_same(
    two: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben = two
    for person in two:
        person.page.evaluate(f"{VOICE}.leave()")
    # As if more than eight had come: the pages do not count, the server says which way.
    monkeypatch.setattr(voice, "MESH_MAX", 1)
    monkeypatch.setattr(voice, "BACK_TO_MESH", 0)
    join(ada, ben)
    assert ben.get(f"{VOICE}.way") == "forwarded"
    turn(ben, ada, 70)
    ben.hears(ada)
    ada.hears(ben)
    ears = Ears(ben.page)
    blocks = ears.record(ada.id, 2.5)
    assert apart_deg(70, ears.direction_deg(blocks)) <= 15
    ada.page.evaluate(f"{VOICE}.toggleMute()")
    ben.until(f"({ben.level(ada)} ?? 0) < 1e-3")
    ada.page.evaluate(f"{VOICE}.toggleMute()")
    ben.hears(ada)


def test_a_browser_without_webrtc_says_so(two: tuple[Person, Person]) -> None:
    ada, _ = two
    if ada.get(f"{VOICE}.state") != "out":
        ada.page.evaluate(f"{VOICE}.leave()")
    ada.page.evaluate("window.__rtc = RTCPeerConnection; void delete window.RTCPeerConnection")
    ada.page.evaluate("__mirrorworld.people.panel.open(true)")
    ada.page.get_by_role("button", name="Join with voice").click()
    assert ada.page.get_by_text("This browser has no WebRTC").first.is_visible()
    assert ada.get(f"{VOICE}.state") == "out"
    ada.page.evaluate("void (window.RTCPeerConnection = window.__rtc)")
