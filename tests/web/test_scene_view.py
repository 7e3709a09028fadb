"""How the scene is seen: cuts, tape, x-ray, quality; vehicles, a lost context, odd models."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mirrorworld.world.changes import Edits, PutPose, PutTwin
from mirrorworld.world.model import Kind, PointType, Pose, Text, Twin
from mirrorworld_worlds.bottling_line.geometry.glb import Node, write
from mirrorworld_worlds.bottling_line.geometry.materials import BLUE, STEEL
from mirrorworld_worlds.bottling_line.geometry.shapes import box
from mirrorworld_worlds.factory.geometry.machines import agv
from tests.standards.gltf_files import model, packed
from tests.web.conftest import ROOT, OpenPage
from tests.web.in_node import in_node
from tests.web.living_world import LivingWorld

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

WAIT_MS = 90_000
WEB = ROOT / "web"
SCENE = "window.__mirrorworld.scene"
MIRROR = "window.__mirrorworld.mirror"


def wait(page: Page, condition: str, argument: object = None) -> None:
    """Until a condition holds in the page."""
    page.wait_for_function(condition, arg=argument, timeout=WAIT_MS)


# A cube of two metres, its places quantised to 16 bits and packed as EXT_meshopt_compression is.
PACK = """
import { MeshoptEncoder } from "meshoptimizer";
await MeshoptEncoder.ready;
const places = new Int16Array(8 * 4);
for (let i = 0; i < 8; i++) places.set([1, 2, 4].map((bit) => (i & bit ? 32767 : -32767)), i * 4);
const faces = [[0, 2, 3, 1], [4, 5, 7, 6], [0, 1, 5, 4], [2, 6, 7, 3], [0, 4, 6, 2], [1, 3, 7, 5]];
const corners = new Uint16Array(faces.flatMap(([a, b, c, d]) => [a, b, c, a, c, d]));
const pack = (array, count, size, mode) =>
    MeshoptEncoder.encodeGltfBuffer(new Uint8Array(array.buffer), count, size, mode);
const packs = [pack(places, 8, 8, "ATTRIBUTES"), pack(corners, 36, 2, "TRIANGLES")];
const binary = new Uint8Array(packs[0].length + packs[1].length);
binary.set(packs[0]);
binary.set(packs[1], packs[0].length);
const meshopt = (byteOffset, byteLength, count, byteStride, mode) => ({
    EXT_meshopt_compression: { buffer: 0, byteOffset, byteLength, byteStride, count, mode },
});
const [a, b] = packs.map(({ length }) => length);
const root = {
    asset: { version: "2.0" },
    extensionsUsed: ["EXT_meshopt_compression", "KHR_mesh_quantization"],
    extensionsRequired: ["EXT_meshopt_compression", "KHR_mesh_quantization"],
    scene: 0, scenes: [{ nodes: [0] }], nodes: [{ mesh: 0, translation: [0, 3, 0] }],
    meshes: [{ primitives: [{ attributes: { POSITION: 0 }, indices: 1 }] }],
    accessors: [
        { bufferView: 0, componentType: 5122, normalized: true, count: 8, type: "VEC3",
            min: [-1, -1, -1], max: [1, 1, 1] },
        { bufferView: 1, componentType: 5123, count: 36, type: "SCALAR" },
    ],
    bufferViews: [
        { buffer: 1, byteLength: 64, byteStride: 8,
            extensions: meshopt(0, a, 8, 8, "ATTRIBUTES") },
        { buffer: 1, byteOffset: 64, byteLength: 72,
            extensions: meshopt(a, b, 36, 2, "TRIANGLES") },
    ],
    buffers: [
        { byteLength: binary.length },
        { byteLength: 136, extensions: { EXT_meshopt_compression: { fallback: true } } },
    ],
};
console.log(JSON.stringify({ root, binary: [...binary] }));
"""


def door() -> Node:
    """A gate that slides up by its opening, with a hand that turns with it."""
    root = Node("door")
    root.add(BLUE, box(2.4, 0.1, 0.1, 0.01).move(0.0, 2.4, 0.0))
    up = {"kind": "slide", "point": "Opening", "axis": "y", "per": 0.02, "low": 0, "high": 80}
    leaf = root.child("leaf", extras={"drives": up})
    leaf.add(STEEL, box(2.0, 2.0, 0.05, 0.01))
    turns = {"kind": "turn", "point": "Opening", "axis": "z", "per": -0.0314}
    hand = root.child("hand", (0.0, 2.7, 0.0), extras={"drives": turns})
    hand.add(STEEL, box(0.05, 0.6, 0.05, 0.01))
    return root


@pytest.fixture(scope="module")
def plant(
    static_dir: Path, tmp_path_factory: pytest.TempPathFactory, node: str
) -> Iterator[LivingWorld]:
    """Three tanks in a row, a vehicle, and twins whose models are none to be drawn."""
    assets = tmp_path_factory.mktemp("assets") / "works"
    assets.mkdir()
    write(assets / "agv.glb", agv())
    write(assets / "door.glb", door())
    cube = in_node(node, WEB)(PACK)
    (assets / "packed.glb").write_bytes(packed(cube["root"], bytes(cube["binary"])))
    root, binary = model()
    bomb: dict[str, Any] = copy.deepcopy(root)
    bomb["accessors"][0] = {"componentType": 5126, "count": 2**31, "type": "VEC3"}
    (assets / "bomb.glb").write_bytes(packed(bomb, binary))
    remote: dict[str, Any] = copy.deepcopy(root)
    remote["images"] = [{"uri": "http://127.0.0.1:9/texture.png"}]
    (assets / "remote.glb").write_bytes(packed(remote, binary))
    places = tuple(PointType(name, Kind.FLOAT, "m", 0, 1000) for name in ("X", "Z"))
    opening = (PointType("Opening", Kind.FLOAT, "%", 0, 100),)
    twins = [
        Twin(f"tank{i}", "Tank", Text.of(f"Tank {i}"), pose=Pose(x_m=4.0 * i)) for i in range(3)
    ]
    twins += [
        Twin("agv", "AGV", pose=Pose(x_m=10, z_m=6), geometry="asset:works/agv", points=places),
        Twin("door", "Door", pose=Pose(x_m=20), geometry="asset:works/door", points=opening),
        Twin("packed", "Box", pose=Pose(x_m=26), geometry="asset:works/packed"),
        Twin("bomb", "Mixer", pose=Pose(x_m=-6, z_m=6), geometry="asset:works/bomb"),
        Twin("remote", "Mixer", pose=Pose(x_m=-9, z_m=6), geometry="asset:works/remote"),
    ]
    world = LivingWorld(static_dir, Edits(tuple(map(PutTwin, twins))), assets=assets.parent)
    world.write([("agv", "X"), ("agv", "Z")], [10.0, 6.0])
    yield world
    world.close()


@pytest.fixture(scope="module")
def page(plant: LivingWorld, open_shared_page: OpenPage) -> Page:
    """Its page, which draws no pixels but does all else; people may have things move."""
    page = open_shared_page(
        plant, width=1200, height=800, with_scene=False, reduced_motion="no-preference"
    )
    wait(page, f"() => {SCENE}.boundsOf('tank2') !== undefined")
    page.evaluate(f"{SCENE}.setCamera({{ position: [4, 5, 14], target: [4, 0.6, 0] }})")
    return page


def at(page: Page, twin: str) -> tuple[float, float]:
    """Where a twin is in the window."""
    wait(page, f"(id) => {SCENE}.project(id) !== null", twin)
    found = page.evaluate(f"(id) => {SCENE}.project(id)", twin)
    return found["x"], found["y"]


def test_a_cut_hides_what_is_beyond_it_from_eye_and_pointer(page: Page) -> None:
    page.get_by_role("button", name="View: picture").click()
    panel = page.get_by_role("region", name="View")
    x, y = at(page, "tank2")
    assert page.evaluate(f"([x, y]) => {SCENE}.pickAt(x, y)", [x, y]) == "tank2"
    panel.get_by_role("checkbox", name="Across (x)").check()
    # The cut goes through between the second tank and the third.
    slider = panel.get_by_role("slider", name="Where it is cut, Across (x)")
    metres = f"() => {SCENE}.switches.section.metres('x')"
    ends = []
    for place in (0, 200):
        slider.fill(str(place))
        ends.append(page.evaluate(metres))
    slider.fill(str(round(200 * (6 - ends[0]) / (ends[1] - ends[0]))))
    assert page.evaluate(metres) == pytest.approx(6, abs=0.3)
    assert page.evaluate(f"([x, y]) => {SCENE}.pickAt(x, y)", [x, y]) != "tank2"
    panel.get_by_role("button", name="Other side").first.click()
    wait(page, f"([x, y]) => {SCENE}.pickAt(x, y) === 'tank2'", [x, y])
    panel.get_by_role("checkbox", name="Across (x)").uncheck()
    assert not page.evaluate(f"{SCENE}.switches.section.isOn")
    panel.get_by_role("button", name="Low").click()
    wait(page, f"() => {SCENE}.stats().quality === 'low'")
    assert page.evaluate("localStorage.getItem('mirrorworld.quality')") == "low"
    panel.get_by_role("button", name="Close").click()
    assert panel.is_hidden()


def test_a_cut_is_dragged_in_the_scene_and_moved_by_keys(page: Page) -> None:
    handle = page.get_by_role("slider", name="Move the cut, Across (x)")
    assert handle.count() == 0, "no cut, no handle"
    page.evaluate(f"{SCENE}.switches.setCut('x', {{ at: 0.5, isFlipped: false }})")
    handle.wait_for(timeout=WAIT_MS)
    metres = f"{SCENE}.switches.section.metres('x')"
    before = page.evaluate(metres)
    box = handle.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    # Along the axis as it is seen there; the handle stays under the pointer.
    way = page.evaluate(
        f"""([x, y]) => {{
            const camera = {SCENE}.rig.camera;
            const at = {SCENE}.boundsOf('tank1').getCenter(camera.position.clone());
            const [a, b] = [at.clone(), at.clone().setX(at.x + 1)].map((p) => p.project(camera));
            const {{ clientWidth, clientHeight }} = document.getElementById('scene');
            const d = [(b.x - a.x) * clientWidth, (a.y - b.y) * clientHeight];
            return d.map((each) => each / Math.hypot(...d));
        }}""",
        [x, y],
    )
    camera = page.evaluate(f"{SCENE}.camera().position.join()")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60 * way[0], y + 60 * way[1], steps=6)
    wait(page, f"(before) => {metres} > before + 0.2", before)
    wait(
        page,
        """([x, y]) => {
            const box = document.querySelector('.cut-handle.held').getBoundingClientRect();
            return Math.hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y) < 25;
        }""",
        [x + 60 * way[0], y + 60 * way[1]],
    )
    page.mouse.up()
    assert page.evaluate(f"{SCENE}.camera().position.join()") == camera, "the camera stays"
    assert page.locator(".cut-handle.held").count() == 0

    # By keys, to the end and no further; what it says is what is cut.
    dragged = page.evaluate(metres)
    handle.focus()
    page.keyboard.press("ArrowRight")
    wait(page, f"(dragged) => {metres} > dragged", dragged)
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    wait(page, f"() => {SCENE}.switches.section.cut('x').at === 1")
    wait(
        page,
        f"""() => {{
            const handle = document.querySelector('.cut-handle:not([hidden])');
            return Math.abs(Number(handle.getAttribute('aria-valuenow')) - {metres}) < 0.01;
        }}""",
    )
    text = f"{page.evaluate(metres):.2f} m"
    assert handle.get_attribute("aria-valuetext") == text
    page.keyboard.press("Delete")
    wait(page, f"() => !{SCENE}.switches.section.isOn")
    handle.wait_for(state="hidden", timeout=WAIT_MS)


def test_two_clicks_measure_from_corner_to_corner_and_escape_ends(page: Page) -> None:
    page.locator("#scene").focus()
    page.keyboard.press("m")
    wait(page, f"() => {SCENE}.switches.measure.isOn")
    corners = page.evaluate(
        f"""() => ['tank0', 'tank1'].map((id) => {{
            const {{ max }} = {SCENE}.boundsOf(id);
            const point = max.clone().project({SCENE}.rig.camera);
            const {{ clientWidth, clientHeight }} = document.getElementById('scene');
            return [(point.x / 2 + 0.5) * clientWidth, (0.5 - point.y / 2) * clientHeight];
        }})"""
    )
    for x, y in corners:
        # A little inside of the body: the corner is near enough to be meant.
        page.mouse.click(x - 5, y + 4)
    wait(page, f"() => {SCENE}.switches.measure.result !== null")
    result = page.evaluate(f"{SCENE}.switches.measure.result")
    assert result["distance_m"] == pytest.approx(4.0, abs=1e-3)
    assert abs(result["dy_m"]) < 1e-3
    assert "4.00 m" in page.locator(".measure-label").inner_text()
    assert page.evaluate(f"{MIRROR}.selected") is None, "a click that measures selects nothing"
    page.keyboard.press("Escape")
    wait(page, f"() => !{SCENE}.switches.measure.isOn")
    assert page.locator(".measure-label").is_hidden()


def test_an_xray_spares_what_is_selected(page: Page) -> None:
    page.evaluate(f"{MIRROR}.select('tank1')")
    page.locator("#scene").focus()
    page.keyboard.press("x")
    wait(page, f"() => {SCENE}.switches.xray.isOn")
    dims = f"() => ['tank0', 'tank1', 'tank2'].map((id) => {SCENE}.twinState(id).dim)"
    assert page.evaluate(dims) == [254, 0, 254]
    page.evaluate(f"{MIRROR}.select('tank2')")
    assert page.evaluate(dims) == [254, 254, 0]
    page.keyboard.press("x")
    assert page.evaluate(dims) == [0, 0, 0]
    page.evaluate(f"{MIRROR}.select(null)")


def test_a_vehicle_is_drawn_hit_and_named_where_it_says_it_is(
    page: Page, plant: LivingWorld
) -> None:
    x = f"() => {SCENE}.boundsOf('agv').getCenter({SCENE}.rig.orbit.target.clone()).x"
    start = page.evaluate(x)
    plant.write([("agv", "X"), ("agv", "Z")], [10.0, 30.0])
    plant.write([("agv", "X"), ("agv", "Z")], [40.0, 30.0])
    wait(page, f"(start) => ({x})() > start + 1", start)
    assert page.evaluate(x) < 40, "it drives there"
    wait(page, f"() => ({x})() > 38.5")
    box = page.evaluate(f"JSON.stringify({SCENE}.boundsOf('agv'))")
    page.evaluate(f"{SCENE}.focus('agv', {{ fast: true }})")
    found = page.evaluate(
        f"() => {{ const p = {SCENE}.project('agv'); return {SCENE}.pickAt(p.x, p.y); }}"
    )
    assert found == "agv", box
    # What is put elsewhere by its people stands there until it says otherwise.
    plant.edit(PutPose("tank0", Pose(x_m=0.5), ""))
    wait(page, f"() => Math.abs({SCENE}.boundsOf('tank0').min.x) < 0.3")


def test_parts_slide_and_turn_to_where_their_value_is(page: Page, plant: LivingWorld) -> None:
    lifts = f"""() => {{
        const found = [];
        {SCENE}.stage.scene.traverse((node) => {{
            const part = node.userData.part;
            if (part === undefined || part.joint < 0 || node.count !== 1) return;
            const {{ array }} = node.instanceMatrix;
            if (Math.abs(array[12] - 20) < 0.5) found.push([array[13], array[0]]);
        }});
        return found.sort((a, b) => a[0] - b[0]);
    }}"""
    plant.write([("door", "Opening")], [0.0])
    wait(page, f"() => ({lifts})().length === 2")
    plant.write([("door", "Opening")], [100.0])
    # The leaf stops where its range ends, at four fifths; the hand has turned by half a circle.
    wait(page, f"() => {{ const [leaf] = ({lifts})(); return Math.abs(leaf[0] - 1.6) < 0.01; }}")
    wait(page, f"() => {{ const [, hand] = ({lifts})(); return Math.abs(hand[1] + 1) < 0.02; }}")


def test_models_that_are_too_much_are_named_and_a_plain_body_stands_for_them(page: Page) -> None:
    wait(page, f"() => {SCENE}.brokenLook('bomb') !== '' && {SCENE}.brokenLook('remote') !== ''")
    assert "when unpacked" in page.evaluate(f"{SCENE}.brokenLook('bomb')")
    assert "127.0.0.1:9" in page.evaluate(f"{SCENE}.brokenLook('remote')")
    # What is packed and quantised is drawn as it was: a cube from two metres to four.
    wait(page, f"() => Math.abs({SCENE}.boundsOf('packed').max.y - 4) < 1e-3")
    assert page.evaluate(f"{SCENE}.boundsOf('packed').min.y") == pytest.approx(2, abs=1e-3)
    for twin in ("bomb", "remote"):
        height = page.evaluate(f"(id) => {SCENE}.boundsOf(id).max.y", twin)
        assert height > 0.3


def test_a_lost_context_comes_back_with_the_same_picture(page: Page) -> None:
    page.evaluate(
        f"""() => {{
            window.__lose = {SCENE}.stage.renderer.getContext().getExtension('WEBGL_lose_context');
            window.__lose.loseContext();
        }}"""
    )
    wait(page, f"() => {SCENE}.isLost")
    page.get_by_text("The 3D picture is lost").wait_for(timeout=WAIT_MS)
    frames = page.evaluate(f"{SCENE}.stats().frames")
    page.evaluate("window.__lose.restoreContext()")
    wait(page, f"() => !{SCENE}.isLost")
    wait(page, f"(n) => {SCENE}.stats().frames > n", frames)
    page.get_by_text("The 3D picture is lost").wait_for(state="detached", timeout=WAIT_MS)
