"""The scene in a real browser, on the real server: what it draws, costs and answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mirrorworld.world.changes import DropTwin, Edits, PutRelation, PutTwin, Severity
from mirrorworld.world.model import PointType, Pose, Relation, Text, Twin
from tests.web.conftest import NO_DRAWING, OpenPage
from tests.web.living_world import LivingWorld, many, waves, works

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

WAIT_MS = 120_000
SCENE = "window.__mirrorworld.scene"
MIRROR = "window.__mirrorworld.mirror"
LINE = "works/line0"
MIXER = f"{LINE}/mixer"


def wait(page: Page, condition: str, argument: object = None) -> None:
    """Until a condition holds in the page."""
    page.wait_for_function(condition, arg=argument, timeout=WAIT_MS)


def has_values(page: Page) -> None:
    """Until every point has a value."""
    wait(
        page,
        f"() => {{ const m = {MIRROR}; return m.nPoints > 0"
        " && m.timeMs.slice(0, m.nPoints).every((t) => t === t); }",
    )


@pytest.fixture(scope="module")
def plant(static_dir: Path) -> Iterator[LivingWorld]:
    """A works without geometry, but for a mast that has a place."""
    world = LivingWorld(static_dir, works())
    world.edit(PutTwin(Twin("mast", "Mast", Text.of("Mast"), pose=Pose(x_m=40, z_m=-7))))
    waves(world, 0.0)
    yield world
    world.close()


@pytest.fixture(scope="module")
def page(plant: LivingWorld, open_shared_page: OpenPage) -> Page:
    """The page of that works, which draws no pixels but does all else.

    Each test leaves it as it found it: live, nothing selected.
    """
    page = open_shared_page(plant, width=1100, height=640, with_scene=False)
    has_values(page)
    return page


PLACES = f"""() => Object.fromEntries([...{MIRROR}.twins.keys()].map((id) => {{
    const box = {SCENE}.boundsOf(id);
    return [id, {{ min: box.min.toArray(), max: box.max.toArray() }}];
}}))"""


def test_twins_without_a_place_are_laid_out_by_their_relations(page: Page) -> None:
    at = page.evaluate(PLACES)

    def middle(id_: str) -> float:
        return (at[id_]["min"][0] + at[id_]["max"][0]) / 2

    # What feeds stands to the left of what it feeds.
    flow = [f"{LINE}/raw0", f"{LINE}/pump0", MIXER, f"{LINE}/buffer", f"{LINE}/packer0"]
    assert all(middle(a) + 1 < middle(b) for a, b in itertools.pairwise(flow))
    # Parts lie on what they are part of, and none in another.
    parts = [id_ for id_ in at if id_.startswith(f"{LINE}/")]
    for id_, axis in itertools.product(parts, (0, 2)):
        assert at[LINE]["min"][axis] < at[id_]["min"][axis]
        assert at[id_]["max"][axis] < at[LINE]["max"][axis]
    for a, b in itertools.combinations(parts, 2):
        apart = [
            at[a]["max"][axis] <= at[b]["min"][axis] or at[b]["max"][axis] <= at[a]["min"][axis]
            for axis in (0, 2)
        ]
        assert any(apart), f"{a} stands in {b}"
    # What has a pose stays there.
    mast = at["mast"]
    assert (mast["min"][0] + mast["max"][0]) / 2 == pytest.approx(40, abs=1e-4)
    assert (mast["min"][2] + mast["max"][2]) / 2 == pytest.approx(-7, abs=1e-4)


def test_structure_that_comes_and_goes_is_followed(page: Page, plant: LivingWorld) -> None:
    before = page.evaluate(f"{SCENE}.stats().instances")
    places = page.evaluate(PLACES)
    plant.edit(
        PutTwin(Twin(f"{LINE}/new", "Tank", Text.of("New tank"))),
        PutRelation(Relation("part_of", f"{LINE}/new", LINE)),
    )
    wait(page, f"(n) => {SCENE}.stats().instances > n", before)
    assert page.evaluate(f"{SCENE}.boundsOf('{LINE}/new') !== undefined")
    plant.edit(DropTwin(f"{LINE}/new"))
    wait(page, f"(n) => {SCENE}.stats().instances === n", before)
    assert page.evaluate(PLACES) == places, "the same structure gives the same layout"


def test_a_click_selects_and_the_mirror_is_told_of_it(page: Page) -> None:
    # What lies behind a panel cannot be clicked: one in the free middle is taken.
    found = page.evaluate(
        f"""() => {{
            for (const id of {MIRROR}.twins.keys()) {{
                const at = {SCENE}.project(id);
                if ({MIRROR}.children(id).length > 0 || at === null) continue;
                const isFree = document.elementFromPoint(at.x, at.y)?.id === 'scene';
                if (isFree && {SCENE}.pickAt(at.x, at.y) === id) return {{ id, ...at }};
            }}
        }}"""
    )
    page.mouse.click(found["x"], found["y"])
    wait(page, f"(id) => {MIRROR}.selected === id", found["id"])
    # Its label shows its values with their units.
    wait(page, "() => document.querySelector('.label.selected .value') !== null")
    page.locator("#scene").focus()
    page.keyboard.press("Escape")
    wait(page, f"() => {MIRROR}.selected === null")


def test_keys_move_the_person(page: Page) -> None:
    page.locator("#scene").focus()
    page.keyboard.press("2")
    wait(page, f"() => {SCENE}.mode === 'walk'")
    assert page.evaluate(f"{SCENE}.rig.camera.position.y") == pytest.approx(1.7)
    start = page.evaluate(f"{SCENE}.rig.camera.position.toArray()")
    page.keyboard.down("w")
    wait(
        page,
        f"(p) => {{ const q = {SCENE}.rig.camera.position;"
        " return Math.hypot(q.x - p[0], q.z - p[2]) > 0.2; }",
        start,
    )
    page.keyboard.up("w")
    assert page.evaluate(f"{SCENE}.rig.camera.position.y") == pytest.approx(1.7)
    page.keyboard.press("1")
    wait(page, f"() => {SCENE}.mode === 'orbit'")
    page.keyboard.press("h")


def test_bars_and_state_follow_values(page: Page, plant: LivingWorld) -> None:
    handle = page.evaluate(f"{MIRROR}.handle('{MIXER}', 'Speed')")
    plant.write([(MIXER, "Speed")], [300.0])
    wait(page, f"(h) => {MIRROR}.value[h] === 300", handle)
    wait(page, f"(h) => {SCENE}.tagTexel(h)[1] === Math.floor(300 / 400 * 255)", handle)
    # All its points bad: the twin is shown as not known.
    points = [(MIXER, name) for name in ("Speed", "Torque", "Temperature")]
    handles = plant.mirror.world.handles(points)
    plant.write_columns(handles, np.zeros(3), 0x8031_0000)
    wait(page, f"() => {SCENE}.twinState('{MIXER}').stale === 255")
    plant.write_columns(handles, np.ones(3))
    wait(page, f"() => {SCENE}.twinState('{MIXER}').stale === 0")


def test_an_alarm_has_a_beacon_until_it_is_gone(page: Page, plant: LivingWorld) -> None:
    plant.alarm(MIXER, Severity.HIGH)
    wait(page, f"() => {SCENE}.twinState('{MIXER}').alarm === 255")
    assert page.evaluate(f"{SCENE}.twinState('{MIXER}').beacons") == 1
    plant.alarm(MIXER, active=False)
    wait(page, f"() => {SCENE}.twinState('{MIXER}').beacons === 0")


def test_a_lost_line_comes_back_by_itself_with_what_changed_meanwhile(
    page: Page, plant: LivingWorld
) -> None:
    seen = page.evaluate(
        f"""() => new Promise((resolve) => {{
            const states = [];
            const stop = {MIRROR}.on('link', ({{ state }}) => {{
                states.push([state, document.getElementById('scene').className]);
                if (state !== 'live') return;
                stop();
                resolve(states);
            }});
            {MIRROR}.dropLine();
        }})"""
    )
    assert seen[0][0] == "reconnecting"
    assert "lost" in seen[0][1]
    assert "lost" not in seen[-1][1]
    plant.write([(MIXER, "Torque")], [123.0])
    wait(page, f"() => {MIRROR}.value[{MIRROR}.handle('{MIXER}', 'Torque')] === 123")
    assert page.evaluate(f"{MIRROR}.nTwins") == len(plant.mirror.world.structure.twins)


def test_pictures_show_something_and_themes_differ(plant: LivingWorld, open_page: OpenPage) -> None:
    page = open_page(plant, quality="medium", width=360, height=240)
    has_values(page)
    brightness = {}
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        wait(page, "(mode) => document.documentElement.dataset.theme === mode", scheme)
        mean, spread = page.evaluate(
            f"""async () => {{
                const picture = await createImageBitmap(await {SCENE}.screenshot());
                const canvas = new OffscreenCanvas(picture.width, picture.height);
                const pen = canvas.getContext('2d');
                pen.drawImage(picture, 0, 0);
                const all = pen.getImageData(0, 0, picture.width, picture.height).data;
                const grey = all.filter((_, i) => i % 4 === 1);
                const mean = grey.reduce((a, b) => a + b, 0) / grey.length;
                const spread = grey.reduce((a, b) => a + (b - mean) ** 2, 0) / grey.length;
                return [mean, Math.sqrt(spread)];
            }}"""
        )
        assert spread > 8, "an even picture shows nothing"
        brightness[scheme] = mean
    assert brightness["light"] > brightness["dark"] + 50


def test_a_hundred_thousand_live_tags_cost_next_to_nothing(
    static_dir: Path, open_page: OpenPage
) -> None:
    world = LivingWorld(static_dir, many(2_000, 50))
    n = world.mirror.world.n_points
    rng = np.random.default_rng(1)
    world.write_columns(np.arange(n, dtype=np.uint32), np.full(n, 1.0))
    page = open_page(world, width=200, height=150, with_scene=False)
    wait(page, f"() => {SCENE}.stats().tags === 100_000")
    has_values(page)
    spent = []
    for step in range(5):
        some = np.sort(rng.choice(n, n // 10, replace=False)).astype(np.uint32)
        world.write_columns(some, np.full(len(some), 20.0 + step))
        wait(page, f"([h, v]) => {MIRROR}.value[h] === v", [int(some[-1]), 20.0 + step])
        shown = int((20.0 + step) / 100 * 255)
        wait(page, f"([h, v]) => {SCENE}.tagTexel(h)[1] === v", [int(some[-1]), shown])
        spent.append(page.evaluate(f"{SCENE}.valuesMs"))
    stats = page.evaluate(f"{SCENE}.stats()")
    world.close()
    assert stats["tags"] == 100_000
    assert stats["draw_calls"] <= 16, stats
    # Ten thousand changed tags at once, on a shared machine: the best of five is its real cost.
    assert min(spent) < 6, spent


def test_the_rooms_of_a_city_are_inside_of_its_buildings(
    static_dir: Path, open_page: OpenPage
) -> None:
    """In a large world what has no place of its own is not laid out before what has one."""
    edits: list[PutTwin | PutRelation] = []
    for i in range(40):
        building, pose = f"b{i}", Pose(x_m=60.0 * (i % 8), z_m=60.0 * (i // 8))
        edits.append(PutTwin(Twin(building, "Building", pose=pose, geometry="asset:none/such")))
        for k in range(40):
            room, power = f"{building}/r{k}", (PointType("Power"),)
            edits.append(PutTwin(Twin(room, "Room", points=power)))
            edits.append(PutRelation(Relation("part_of", room, building)))
    world = LivingWorld(static_dir, Edits(tuple(edits)))
    page = open_page(world, width=300, height=200, with_scene=False)
    wait(page, f"() => {SCENE}.stats().instances === 40")
    boxes = page.evaluate(
        f"() => ['b7', 'b7/r3', 'b7/r39'].map((id) => JSON.stringify({SCENE}.boundsOf(id)))"
    )
    world.close()
    assert boxes[0] == boxes[1] == boxes[2] != "undefined"


def test_page_keeps_to_its_policy(plant: LivingWorld, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 400, "height": 300}, reduced_motion="reduce")
    page = context.new_page()
    page.add_init_script(NO_DRAWING)
    complaints: list[str] = []

    def hear(message) -> None:
        if "Content Security" in message.text:
            complaints.append(message.text)

    page.on("console", hear)
    page.goto(plant.url, wait_until="commit")
    page.wait_for_selector("html[data-ready=true]", timeout=WAIT_MS)
    context.close()
    assert not complaints


def test_a_browser_without_3d_says_so_and_shows_the_rest(
    plant: LivingWorld, browser: Browser
) -> None:
    context = browser.new_context(viewport={"width": 900, "height": 600}, bypass_csp=True)
    page = context.new_page()
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind.startsWith('webgl') ? null : get.call(this, kind, ...rest); };"
    )
    page.goto(plant.url, wait_until="commit")
    page.wait_for_selector("html[data-ready=true]", timeout=WAIT_MS)
    notice = page.locator(".no-scene").inner_text()
    page.locator("#left").get_by_text("Riverside works").first.wait_for(timeout=WAIT_MS)
    context.close()
    assert "WebGL 2" in notice
