"""Tours made and played in a page, and the world within the page of another site."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from mirrorworld.world.changes import PutSheet
from mirrorworld.world.model import Sheet
from tests.server.stand_in import TOKEN
from tests.web.in_node import in_node
from tests.web.panel_world import FILLER, PanelWorld

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.web.conftest import OpenPage

TOURS = Path(__file__).resolve().parents[2] / "web" / "src" / "tours"
WAIT_MS = 120_000
MIRROR = "window.__mirrorworld.mirror"
SCENE = "window.__mirrorworld.scene"
HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'


def kept(world: PanelWorld, name: str) -> list[dict]:
    sheet = world.do(lambda mirror: mirror.world.structure.sheets.get(("tour", name)))
    return json.loads(sheet.body)["steps"] if sheet else []


def test_tours_are_read_written_and_changed_without_overwriting(node: str) -> None:
    found = in_node(node, TOURS)(
        """
        import { adding, changing, durationOf, moving, NO_STEP, read, removing, written }
          from "./model.ts";
        const body = JSON.stringify({ version: 1, steps: [{ id: "a", title: "A" }, { id: "b" }] });
        const tour = read(body);
        const { id, act } = adding({ ...NO_STEP, title: "C" }, "a");
        const long = { ...NO_STEP, id: "x", text: "word ".repeat(90) };
        const why = (body) => { try { read(body); return ""; } catch (e) { return e.message; } };
        const giant = JSON.stringify({ version: 1, steps: Array(101).fill({ id: "a" }) });
        const refused = (act) => { try { act(tour); return false; } catch { return true; } };
        console.log(JSON.stringify({
          same: written(tour) === body,
          added: act(tour).steps.map((s) => s.title || s.id), isOwn: id !== "",
          // Done again on a tour that somebody else has changed meanwhile: what they said stays.
          both: changing("a", { text: "x" })(changing("a", { title: "Z" })(tour)).steps[0],
          moved: moving("a", 5)(tour).steps.map((s) => s.id),
          gone: [refused(changing("gone", {})), refused(moving("gone", 1)),
            removing("gone")(tour).steps.length],
          durations: [durationOf({ ...NO_STEP, id: "x" }), durationOf(long),
            durationOf({ ...long, duration_s: 7 })],
          why: [why("{"), why("[]"), why('{"version":2}'), why(giant)],
        }));
        """
    )
    assert found["same"] and found["isOwn"]
    assert found["added"] == ["A", "C", "b"]
    assert (found["both"]["title"], found["both"]["text"]) == ("Z", "x")
    assert found["moved"] == ["b", "a"]
    assert found["gone"] == [True, True, 2]
    assert found["durations"] == [4, 32.5, 7]
    assert all(found["why"]) and "at most 100" in found["why"][3]


@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_a_tour_is_made_in_the_page_and_played_by_its_link(
    line: PanelWorld, open_page: OpenPage
) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    page = open_page(line, width=1440, height=900, with_scene=False)
    page.set_default_timeout(WAIT_MS)
    line.tick()
    page.get_by_role("button", name="Show and tell").click()
    page.get_by_role("button", name="Record a tour").click()
    page.get_by_role("textbox", name="Name").fill("First round")
    page.get_by_role("button", name="Make it").click()
    editor = page.get_by_role("region", name="Edit the tour")
    record = editor.get_by_role("button", name="Record a step here")

    page.evaluate(f"{MIRROR}.select('{FILLER}')")
    page.evaluate(f"{SCENE}.setCamera({{position: [1, 4, 9], target: [-2, 1, 0]}})")
    record.click()
    editor.get_by_label("What is to be said").fill("Forty valves.")
    page.keyboard.press("Tab")
    editor.get_by_label("Title").fill("The filler")
    editor.get_by_role("button", name="Let it glow").click()
    page.evaluate(f"{MIRROR}.select('line1/packer')")
    # 1090 s after the start the line stood.
    at_ms = page.evaluate(f"{MIRROR}.firstMs") + 1_090_000
    page.evaluate(f"{MIRROR}.seek({at_ms}, 0)")
    page.evaluate(f"{SCENE}.setCamera({{position: [14, 3, 5], target: [10, 1, 0]}})")
    record.click()
    editor.get_by_label("What is to be said").fill(HOSTILE)
    page.keyboard.press("Tab")
    editor.get_by_label("Title").fill("A stop")
    page.keyboard.press("Tab")
    expect(editor.locator(".tour-step")).to_have_count(2)
    editor.get_by_role("button", name="Earlier").click()
    expect(editor.locator(".tour-step .clip").first).to_have_text("A stop")
    editor.get_by_role("button", name="Undo the last change of mine").click()
    expect(editor.locator(".tour-step .clip").first).to_have_text("The filler")
    steps = kept(line, "First round")
    assert [step["title"] for step in steps] == ["The filler", "A stop"]
    assert steps[0]["highlights"] == [FILLER] and "at_ms" not in steps[0]
    assert steps[0]["camera"] == {"position": [1, 4, 9], "target": [-2, 1, 0]}
    assert abs(steps[1]["at_ms"] - at_ms) < 2

    # Somebody else opens the link at its second step; the words are words, never markup.
    guest = open_page(line, width=1440, height=900, with_scene=False)
    guest.set_default_timeout(WAIT_MS)
    guest.goto(f"{guest.url.split('?')[0]}?quality=low&tour=First+round&step=2")
    card = guest.get_by_role("region", name="Tour", exact=True)
    expect(card.get_by_role("status")).to_contain_text("First round · step 2 of 2")
    expect(card).to_contain_text(HOSTILE)
    assert guest.evaluate("window.hit") is None
    assert guest.evaluate(f"{MIRROR}.selected") == "line1/packer"
    assert guest.evaluate(f"{MIRROR}.time.live") is False
    guest.keyboard.press("PageUp")
    expect(card).to_contain_text("Forty valves.")
    guest.wait_for_function(f"{MIRROR}.time.live", timeout=WAIT_MS)
    # Reduced motion: it stands there at once, flies nowhere.
    place = guest.evaluate(f"{SCENE}.camera()")
    assert place == {"position": [1, 4, 9], "target": [-2, 1, 0]}
    assert guest.evaluate(f"{SCENE}.twinState('{FILLER}').highlight") == 255
    guest.wait_for_function("!location.search.includes('step=')", timeout=WAIT_MS)
    # By itself: as long as it takes to read, then on; whoever takes hold of the scene stops it.
    card.get_by_role("button", name="Play by itself").click()
    expect(card).to_contain_text("step 2 of 2")
    expect(card.get_by_role("button", name="Play by itself")).to_be_visible()
    card.get_by_role("button", name="End the tour").click()
    expect(card).to_be_hidden()
    assert "tour=" not in guest.url
    assert guest.evaluate(f"{SCENE}.twinState('{FILLER}').highlight") == 0


@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_what_a_tour_cannot_show_is_said_and_the_rest_is_shown(
    line: PanelWorld, open_page: OpenPage
) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    steps = [
        {"id": "a", "title": "Gone", "twin": "line1/gone", "highlights": ["x"], "look": "nowhere",
         "at_ms": 1, "text": "still told"},
        {"id": "b", "title": "Branch", "branch": "none-such"},
    ]  # fmt: skip
    line.edit(
        PutSheet(Sheet("tour", "Stale", json.dumps({"version": 1, "steps": steps}))),
        PutSheet(Sheet("tour", "Old", '{"version": 9}')),
    )
    page = open_page(line, width=1440, height=900, with_scene=False)
    page.set_default_timeout(WAIT_MS)
    base = page.url.split("?")[0]
    page.goto(f"{base}?quality=low&tour=Stale&step=7")
    card = page.get_by_role("region", name="Tour", exact=True)
    expect(page.locator(".toast")).to_contain_text("The tour “Stale” has 2 steps.")
    page.keyboard.press("PageUp")
    expect(card).to_contain_text("still told")
    for words in ("line1/gone, x", "is not recorded here", "There is no look “nowhere”"):
        expect(card.locator(".tour-missing")).to_contain_text(words)
    for name, words in (("None", "There is no tour “None”"), ("Old", "this page reads version 1")):
        page.goto(f"{base}?quality=low&tour={name}")
        expect(page.locator(".toast")).to_contain_text(words)


# --- within another page -------------------------------------------------------------------------


@pytest.fixture
def other_site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A site of another name: its address, and the folder that it serves."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    # For a browser localhost is another site than 127.0.0.1: no cookie of the one goes along.
    yield f"http://localhost:{server.server_port}", tmp_path
    server.shutdown()
    server.server_close()
    thread.join(20)


@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_only_a_named_site_shows_the_world_and_only_to_look_at(
    line: PanelWorld, open_page: OpenPage, other_site: tuple[str, Path], browser
) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    site, folder = other_site
    address = line.url.partition("/?token=")[0]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=address, headers=headers, timeout=60) as owner:
        owner.put("/api/embed/sites", json={"sites": [site]}).raise_for_status()
        path = owner.post("/api/embed/keys", json={}).json()["path"]
    frame = f'<iframe src="{address}{path}&twin={FILLER}" width="700" height="400"></iframe>'
    (folder / "index.html").write_text(f"<!doctype html><title>intranet</title>{frame}")
    context = browser.new_context(reduced_motion="reduce")
    page: Page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto(site, wait_until="commit")
    inside = page.frame_locator("iframe")
    expect(inside.locator(".embed-foot strong")).to_have_text("bottling line")
    assert inside.locator("#top > *, #tools > *, #left > *").count() == 0
    (framed,) = [each for each in page.frames if each is not page.main_frame]
    framed.wait_for_function(f"{MIRROR}.selected === '{FILLER}'", timeout=WAIT_MS)
    assert framed.evaluate(f"{MIRROR}.principal.roles") == ["viewer"]
    assert "key=" not in framed.url and "embed=1" in framed.url
    whole = inside.get_by_role("link", name="Open the whole page")
    assert "embed" not in (whole.get_attribute("href") or "embed")
    assert framed.evaluate(
        "fetch('/api/edits', {method: 'POST', headers: {'X-Mirrorworld': '1',"
        " 'Content-Type': 'application/json'}, body: '{\"edits\":[],\"reason\":\"\"}'})"
        ".then((answer) => answer.status)"
    ) in (403, 422)

    # Named no longer, the same page shows nothing of it.
    with httpx.Client(base_url=address, headers=headers, timeout=60) as owner:
        owner.put("/api/embed/sites", json={"sites": ["https://other.example"]}).raise_for_status()
    refused = context.new_page()
    refused.set_default_timeout(WAIT_MS)
    complaints: list[str] = []
    refused.on("console", lambda message: complaints.append(message.text))
    refused.goto(site, wait_until="load")
    expect.set_options(timeout=WAIT_MS)
    refused.wait_for_function("true")
    for _ in range(600):
        if any("frame-ancestors" in each for each in complaints):
            break
        refused.wait_for_timeout(100)
    assert any("frame-ancestors" in each for each in complaints), complaints
    assert refused.frame_locator("iframe").locator(".embed-foot").count() == 0
    context.close()
