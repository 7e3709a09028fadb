"""Links: what an address says, and that it leads whoever is sent it to the same view."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from tests.web.in_node import in_node
from tests.web.panel_world import FILLER, PAST_S, PanelWorld

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.web.conftest import OpenPage

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect
WAIT_MS = 120_000
expect.set_options(timeout=WAIT_MS)

SOURCES = Path(__file__).resolve().parents[2] / "web" / "src"
MIRROR = "window.__mirrorworld.mirror"
SCENE = "window.__mirrorworld.scene"
PLACE_M = 0.02
"""A link says metres to the centimetre."""


def test_what_is_written_is_read_and_nothing_else(node: str) -> None:
    run = in_node(node, SOURCES)
    found = run(
        """
        import { NO_LINK, read, within, written } from "./link.ts";
        const link = {
          ...NO_LINK, twin: "hall/line 1/füller&x=1#y", branch: "b-1", board: "Halle ä+1",
          isKiosk: true, speed: 10, open: "alarms", look: "hot pumps",
          camera: { position: [-9.456, 1e3, 0], target: [1 / 3, -2, 1e-9] }, mode: "walk",
          at_ms: Date.parse("2026-03-29T00:59:59.123Z"),
          tour: "first-round", step: 3, isEmbedded: true,
        };
        const base = "https://someone:secret@plant.example:8443/?token=abc&quality=low#stops";
        const sent = written(base, link);
        const kept = within(base, link);
        const odd = read(
          "http://h/?at=2026-03-29T01:00:00&speed=-1&cam=1,2,3&mode=fly&step=1.5&twin="
          + "x".repeat(1001),
        );
        const more = read("http://h/?cam=1,1,1,1,1,1&cam=NaN&at=9999-99-99T99:99:99Z&kiosk");
        console.log(JSON.stringify({
          sent, kept, back: read(sent).link, again: written(base, read(sent).link), odd,
          more: more.faults.map(({ name }) => name),
          bare: written("http://h/?twin=a&token=b", NO_LINK),
          offset: read("http://h/?at=2026-03-29T01:00:00%2B02:00").link.at_ms,
        }));
        """
    )
    assert found["again"] == found["sent"]
    assert found["back"] == {
        "twin": "hall/line 1/füller&x=1#y", "branch": "b-1", "board": "Halle ä+1", "isKiosk": True,
        "camera": {"position": [-9.46, 1000, 0], "target": [0.33, -2, 0]}, "mode": "walk",
        "at_ms": 1_774_745_999_123, "speed": 10, "open": "alarms", "look": "hot pumps",
        "tour": "first-round", "step": 3, "isEmbedded": True,
    }  # fmt: skip
    assert "secret" not in found["sent"] and "token" not in found["sent"]
    assert found["sent"].startswith("https://plant.example:8443/?branch=")
    assert "quality=low" in found["kept"] and found["kept"].endswith("#stops")
    names = {each["name"] for each in found["odd"]["faults"]}
    assert names == {"at", "speed", "cam", "mode", "step", "twin"}, (
        "what has no offset is no moment"
    )
    assert found["odd"]["link"]["twin"] is None and found["odd"]["link"]["at_ms"] is None
    assert found["more"] == ["cam", "at"]
    assert found["bare"] == "http://h/"
    assert found["offset"] == 1_774_738_800_000


def open_wide(open_page: OpenPage, world: PanelWorld, **options) -> Page:
    page = open_page(world, width=1440, height=900, with_scene=False, **options)
    page.set_default_timeout(WAIT_MS)
    return page


def open_show(page: Page) -> None:
    page.get_by_role("button", name="Show and tell").click()


def at_of(page: Page) -> float:
    return page.evaluate(f"{MIRROR}.time.atMs")


def camera_of(page: Page) -> np.ndarray:
    place = page.evaluate(f"{SCENE}.camera()")
    return np.array([*place["position"], *place["target"]])


def pixels(page: Page, png: str) -> np.ndarray:
    """Rows, columns and RGB of a picture in base64, as the browser reads it."""
    width, height, data = page.evaluate(
        """async (png) => {
          const bytes = Uint8Array.from(atob(png), (each) => each.charCodeAt(0));
          const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
          const pen = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
          pen.drawImage(bitmap, 0, 0);
          const { data } = pen.getImageData(0, 0, bitmap.width, bitmap.height);
          let text = "";
          for (const byte of data) text += String.fromCharCode(byte);
          return [bitmap.width, bitmap.height, btoa(text)];
        }""",
        png,
    )
    data = np.frombuffer(base64.b64decode(data), np.uint8)
    return data.reshape(height, width, 4)[:, :, :3]


def copied(page: Page) -> str:
    page.get_by_role("button", name="Copy the link to this view").click()
    page.locator(".toast", has_text="Link copied").wait_for()
    return page.evaluate("navigator.clipboard.readText()")


@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_a_link_leads_to_the_same_place_moment_and_selection(
    line: PanelWorld, open_page: OpenPage
) -> None:
    sender = open_wide(open_page, line, permissions=["clipboard-read", "clipboard-write"])
    line.tick(BowlLevel=77.7)
    sender.evaluate(f"{MIRROR}.select('{FILLER}')")
    sender.mouse.move(620, 430)
    sender.mouse.down()
    sender.mouse.move(820, 380, steps=4)
    sender.mouse.up()
    sender.mouse.wheel(0, -240)
    track = sender.get_by_role("slider", name="Time").bounding_box()
    assert track is not None
    # The line stood from 1000 s to 1180 s.
    sender.mouse.click(track["x"] + track["width"] * 1_090 / PAST_S, track["y"] + 8)
    state = f'[data-point="{FILLER}.State"] .figure'
    expect(sender.locator(state)).to_have_text("Aborted")
    # The address follows by itself: what stands in the browser's bar can be sent as well.
    sender.wait_for_function("new URL(location.href).searchParams.has('cam')", timeout=WAIT_MS)
    open_show(sender)
    link = copied(sender)
    said = parse_qs(urlsplit(link).query)
    assert set(said) == {"twin", "at", "cam"}, "no token, nothing else"
    assert len(said["cam"][0].split(",")) == 6

    reader = open_wide(open_page, line)
    reader.goto(link, wait_until="commit")
    expect(reader.locator(state)).to_have_text("Aborted", timeout=WAIT_MS)
    assert reader.evaluate(f"{MIRROR}.selected") == FILLER
    assert at_of(reader) == pytest.approx(at_of(sender), abs=1)
    assert np.abs(camera_of(reader) - camera_of(sender)).max() <= PLACE_M
    expect(reader.locator(".toast")).to_have_count(0)

    # On foot and playing: the mode, and the pace of time.
    sender.get_by_role("button", name="Walk").click()
    sender.get_by_role("button", name="10×").click()
    sender.keyboard.press("Space")
    sender.wait_for_function(f"{MIRROR}.time.speed === 10")
    open_show(sender)
    link = copied(sender)
    reader.goto(link, wait_until="commit")
    reader.wait_for_function("window.__mirrorworld?.mirror.time.speed === 10", timeout=WAIT_MS)
    assert reader.evaluate(f"{SCENE}.mode") == "walk"
    assert np.abs(camera_of(reader) - camera_of(sender)).max() <= 0.1, "6 m ahead, by an angle"
    assert at_of(reader) >= at_of(sender) - 1

    # Live, this very moment can be sent: who opens it looks back at it.
    sender.locator(".live-button").click()
    open_show(sender)
    sender.get_by_role("button", name="Copy the link to this very moment").click()
    sender.wait_for_function("async () => (await navigator.clipboard.readText()).includes('at=')")
    reader.goto(sender.evaluate("navigator.clipboard.readText()"), wait_until="commit")
    expect(reader.locator("html")).to_have_attribute("data-time", "past", timeout=WAIT_MS)


@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_what_a_link_cannot_lead_to_is_said_and_the_rest_followed(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    base = page.url.split("?")[0]
    page.goto(
        f"{base}?quality=low&twin=line1/gone&at=1999-01-01T00:00:00Z&cam=1,2&mode=map&open=cellar"
        "&board=&x=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    )
    toast = page.locator(".toast", has_text="Not all of this link could be followed")
    expect(toast).to_be_visible(timeout=WAIT_MS)
    for words in ("“cam=1,2” means nothing", "no twin “line1/gone”", "1999", "no panel “cellar”"):
        expect(toast).to_contain_text(words)
    assert page.evaluate(f"{MIRROR}.time.live")
    assert page.evaluate(f"{SCENE}.mode") == "map", "the rest is followed"
    # What was refused leaves the address, what is shown stays in it.
    page.wait_for_function("location.search.includes('mode=map')", timeout=WAIT_MS)
    page.wait_for_function("!location.search.includes('gone')", timeout=WAIT_MS)

    # The way back leads to where one was.
    page.goto(f"{base}?quality=low&twin={FILLER}&open=alarms")
    expect(page.locator("#panel-alarms")).to_be_visible(timeout=WAIT_MS)
    assert page.evaluate(f"{MIRROR}.selected") == FILLER
    page.goto(f"{base}?quality=low&twin={FILLER}&at=2999-01-01T00:00:00Z")
    expect(page.locator(".toast")).to_contain_text("has not come yet", timeout=WAIT_MS)


@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_a_refused_clipboard_leaves_the_text_to_be_copied_by_hand(
    line: PanelWorld, open_page: OpenPage
) -> None:
    page = open_wide(open_page, line)
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }"
    )
    open_show(page)
    page.get_by_role("button", name="Copy the link to this view").click()
    field = page.get_by_role("textbox", name="Copy the link")
    expect(field).to_be_focused()
    assert field.input_value().startswith("http://127.0.0.1")
    assert page.evaluate("document.getSelection().toString()") == field.input_value()


@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_a_picture_shows_the_scene_its_names_and_what_it_is_of(
    line: PanelWorld, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(
        line, width=1000, height=700, permissions=["clipboard-read", "clipboard-write"]
    )
    page.set_default_timeout(WAIT_MS)
    page.evaluate(f"{MIRROR}.select('{FILLER}')")
    page.wait_for_function("document.querySelectorAll('#labels .label.shown').length > 0")
    with page.expect_download() as coming:
        page.keyboard.press("i")
    download = coming.value
    assert download.suggested_filename.startswith("bottling_line-20")
    path = tmp_path / "picture.png"
    download.save_as(path)
    whole = pixels(page, base64.b64encode(path.read_bytes()).decode())
    assert whole.shape[1] >= 500
    strip = whole[-20:].reshape(-1, 3)
    assert len(np.unique(strip, axis=0)) > 10, "words stand on the strip"
    middle = whole[whole.shape[0] // 3 : whole.shape[0] // 2].reshape(-1, 3)
    assert len(np.unique(middle, axis=0)) > 200, "the scene is in it"
    if folder := os.environ.get("SHOTS"):
        Path(folder, "picture.png").write_bytes(path.read_bytes())

    open_show(page)
    page.get_by_label("with world, time and selection below").uncheck()
    page.get_by_role("button", name="Copy a picture").click()
    expect(page.locator(".toast", has_text="Picture copied")).to_be_visible(timeout=WAIT_MS)
    coded = page.evaluate(
        """async () => {
          const [item] = await navigator.clipboard.read();
          const bytes = new Uint8Array(await (await item.getType("image/png")).arrayBuffer());
          let text = "";
          for (const byte of bytes) text += String.fromCharCode(byte);
          return btoa(text);
        }"""
    )
    bare = pixels(page, coded)
    assert bare.shape[0] < whole.shape[0], "without the strip"
    assert bare.shape[1] == whole.shape[1]

    # Where the browser copies no pictures, it says so and what to do.
    page.evaluate("() => { delete window.ClipboardItem; }")
    open_show(page)
    page.get_by_role("button", name="Copy a picture").click()
    expect(page.locator(".toast", has_text="save it instead")).to_be_visible()
    assert json.loads(page.evaluate("localStorage['mirrorworld.picture.caption']")) is False
