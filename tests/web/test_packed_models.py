"""Packed models on the real page under its policy: drawn as they are, or named and stood for."""

from __future__ import annotations

import base64
import os
import re
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from mirrorworld.world.changes import Edits, PutTwin
from mirrorworld.world.model import Pose, Text, Twin
from tests.standards import packed_gltf
from tests.standards.gltf_files import packed
from tests.standards.packed_gltf import Model, bent
from tests.web.conftest import READY_MS
from tests.web.living_world import LivingWorld

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.peer, pytest.mark.timeout(300)]

WAIT_S = 90
SCENE = "window.__mirrorworld.scene"


def good_models(node: str, peers: Path) -> dict[str, Model]:
    """The ring in each way of packing."""
    draco = packed_gltf.draco(node, peers)
    uri = f"data:application/octet-stream;base64,{base64.b64encode(draco[1]).decode()}"
    return {
        "draco": draco,
        "draco-text": (bent(draco, "buffers", 0, "uri", to=uri)[0], b""),
        "draco-plain": packed_gltf.draco(node, peers, "MESH_SEQUENTIAL_ENCODING"),
        "meshopt": packed_gltf.meshopt(node),
        "meshopt-khr": packed_gltf.meshopt(node, "KHR_meshopt_compression"),
    }


def board_models(node: str, peers: Path) -> dict[str, Model]:
    """The board with its picture in each kind of KTX2."""
    return {
        "etc1s": packed_gltf.ktx2(node, peers),
        "uastc": packed_gltf.ktx2(node, peers, uastc=True, mipmaps=False),
        "zstandard": packed_gltf.ktx2(node, peers, uastc=True, zstandard=True),
    }


def picture_bent(model: Model, at: int, to: bytes) -> Model:
    """Other bytes at a place of its picture."""
    root, binary = model
    start = root["bufferViews"][4]["byteOffset"] + at
    return root, binary[:start] + to + binary[start + len(to) :]


def hostile_models(
    good: dict[str, Model], boards: dict[str, Model]
) -> dict[str, tuple[Model, str]]:
    """The same, broken or lying, and what is said of it."""
    draco, meshopt = good["draco"], good["meshopt"]
    root, binary = draco
    half = bent(draco, "bufferViews", 0, "byteLength", to=len(binary) // 2)
    few = bent(draco, "accessors", 3, "count", to=30)
    points = draco
    for i in range(3):
        points = bent(points, "accessors", i, "count", to=12)
    head = (root, b"DRAGO" + binary[5:])
    garbage = (root, binary[:40] + bytes(b ^ 0x5A for b in binary[40:]))
    away = bent(meshopt, "buffers", 0, "uri", to="http://127.0.0.1:9/away.bin")
    views = meshopt[0]["bufferViews"]
    corners = views[3]["extensions"]["EXT_meshopt_compression"]
    short = bent(
        meshopt, "bufferViews", 3, "extensions", "EXT_meshopt_compression", "byteLength",
        to=corners["byteLength"] // 2,
    )  # fmt: skip
    bomb = bent(
        meshopt, "bufferViews", 0, "extensions", "EXT_meshopt_compression", "count", to=2**28
    )
    astray = meshopt
    for i in range(3):
        astray = bent(astray, "accessors", i, "count", to=100)
    etc1s, zstandard = boards["etc1s"], boards["zstandard"]
    size = etc1s[0]["bufferViews"][4]["byteLength"]
    wide = picture_bent(etc1s, 20, struct.pack("<II", 60_000, 60_000))
    return {
        "ktx2-wide": (wide, "pixels of images"),
        "ktx2-half": (bent(etc1s, "bufferViews", 4, "byteLength", to=size // 2), "it is cut short"),
        "ktx2-head": (picture_bent(etc1s, 0, b"KTX 11"), "no PNG, JPEG, WebP or KTX2"),
        "ktx2-levels": (picture_bent(etc1s, 40, b"\x40"), "it has 64 levels"),
        "ktx2-larger": (picture_bent(zstandard, 96, b"\0\0\0\x7f"), "are right"),
        "ktx2-garbage": (picture_bent(etc1s, size - 500, b"\x5a" * 500), "it cannot be unpacked"),
        "draco-half": (half, "Draco stream of mesh 0: it cannot be unpacked"),
        "draco-few": (few, "holds 1,920 triangles and says 10"),
        "draco-points": (points, "unpacks to 960 vertices"),
        "draco-head": (head, "it is no Draco stream"),
        "draco-garbage": (garbage, "Draco stream of mesh 0"),
        "meshopt-away": (away, "127.0.0.1:9"),
        "meshopt-half": (short, ""),
        "meshopt-bomb": (bomb, "when unpacked"),
        "meshopt-astray": (astray, "a corner is at vertex"),
    }


@pytest.fixture(scope="module")
def good(node: str, peers_dir: Path) -> dict[str, Model]:
    return good_models(node, peers_dir)


@pytest.fixture(scope="module")
def boards(node: str, peers_dir: Path) -> dict[str, Model]:
    return board_models(node, peers_dir)


@pytest.fixture(scope="module")
def hostile(good: dict[str, Model], boards: dict[str, Model]) -> dict[str, tuple[Model, str]]:
    return hostile_models(good, boards)


@pytest.fixture(scope="module")
def plant(
    static_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
    good: dict[str, Model],
    boards: dict[str, Model],
    hostile: dict[str, tuple[Model, str]],
) -> Iterator[LivingWorld]:
    """The good ones in two rows, the hostile ones behind them."""
    assets = tmp_path_factory.mktemp("assets") / "works"
    assets.mkdir()
    twins = []
    broken = {name: model for name, (model, _) in hostile.items()}
    for row, models in enumerate((good, boards, broken)):
        for i, (name, (root, binary)) in enumerate(models.items()):
            (assets / f"{name}.glb").write_bytes(packed(root, binary))
            pose = Pose(x_m=3.0 * i, z_m=-4.0 * row)
            twins.append(
                Twin(name, "Ring", Text.of(name), pose=pose, geometry=f"asset:works/{name}")
            )
    world = LivingWorld(static_dir, Edits(tuple(map(PutTwin, twins))), assets=assets.parent)
    yield world
    world.close()


class Look:
    """A page under its policy, and what it asked for."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message: Any) -> None:
        if "Content Security" in message.text:
            self.complaints.append(message.text)

    def until(self, expression: str, argument: object = None) -> Any:
        """What an expression comes to; the policy lets no text wait in the page itself."""
        end = time.monotonic() + WAIT_S
        while True:
            found = self.page.evaluate(expression, argument)
            if found or time.monotonic() > end:
                return found
            self.page.wait_for_timeout(100)


@pytest.fixture(scope="module")
def look(plant: LivingWorld, browser: Browser) -> Iterator[Look]:
    context = browser.new_context(viewport={"width": 1200, "height": 700}, reduced_motion="reduce")
    address, _, token = plant.url.partition("/?token=")
    context.request.post(f"{address}/api/session", data={"token": token})
    look = Look(context.new_page(), address)
    look.page.goto(f"{address}/?quality=low", timeout=READY_MS)
    look.page.wait_for_selector("html[data-ready=true]", timeout=READY_MS)
    yield look
    context.close()


def test_packed_models_are_drawn_as_they_were(look: Look, good: dict[str, Model]) -> None:
    for name in good:
        box = f"""(id) => {{
            const box = {SCENE}.boundsOf(id);
            if (box === undefined || Math.abs(box.max.y - 0.6) > 1e-3) return null;
            return [box.min.y, box.max.x - box.min.x, box.max.z - box.min.z];
        }}"""
        found = look.until(box, name)
        why = look.page.evaluate(f"(id) => {SCENE}.brokenLook(id)", name)
        assert found == pytest.approx([0, 2, 2], abs=1e-3), (name, why)
    if folder := os.environ.get("SHOTS"):
        look.page.evaluate(f"{SCENE}.setCamera({{ position: [4.5, 5, 8], target: [4.5, 0.3, 0] }})")
        look.page.wait_for_timeout(3000)
        look.page.screenshot(path=f"{folder}/packed.png")


def test_pictures_in_ktx2_are_on_the_model_as_they_were(
    look: Look, boards: dict[str, Model]
) -> None:
    for i, name in enumerate(boards):
        found = look.until(f"(id) => Math.abs({SCENE}.boundsOf(id)?.max.y - 2) < 1e-3", name)
        assert found, (name, look.page.evaluate(f"(id) => {SCENE}.brokenLook(id)", name))
        frames = look.page.evaluate(f"{SCENE}.stats().frames")
        at = 3.0 * i
        # High in the picture: below it is said what cannot be drawn.
        view = f"{{ position: [{at}, 0.8, 1], target: [{at}, 0.2, -4] }}"
        look.page.evaluate(f"{SCENE}.setCamera({view})")
        assert look.until(f"(n) => {SCENE}.stats().frames > n", frames)
        middle = look.page.evaluate(f"(id) => {SCENE}.project(id)", name)
        seen = ""
        end = time.monotonic() + WAIT_S
        while seen != "rgbw" and time.monotonic() < end:
            seen = fields(look.page, middle["x"], middle["y"])
        if folder := os.environ.get("SHOTS"):
            look.page.screenshot(path=f"{folder}/{name}.png")
        assert seen == "rgbw", name


def fields(page: Page, x: float, y: float) -> str:
    """Which colours are above left, above right, below left and below right of a place."""
    picture = base64.b64encode(page.screenshot()).decode()
    return page.evaluate(
        """async ([picture, x, y]) => {
            const image = new Image();
            image.src = "data:image/png;base64," + picture;
            await image.decode();
            const pen = new OffscreenCanvas(image.width, image.height).getContext("2d");
            pen.drawImage(image, 0, 0);
            return [[-40, -40], [40, -40], [-40, 40], [40, 40]].map(([dx, dy]) => {
                const [r, g, b] = pen.getImageData(x + dx, y + dy, 1, 1).data;
                if (Math.min(r, g, b) > 0.8 * Math.max(r, g, b)) return "w";
                return "rgb"[[r, g, b].indexOf(Math.max(r, g, b))];
            }).join("");
        }""",
        [picture, x, y],
    )


def test_what_is_broken_or_lies_is_named_and_a_plain_body_stands_for_it(
    look: Look, hostile: dict[str, tuple[Model, str]]
) -> None:
    for name, (_, said) in hostile.items():
        reason = look.until(f"(id) => {SCENE}.brokenLook(id)", name)
        assert reason, name
        assert said in reason, (name, reason)
        assert look.page.evaluate(f"(id) => {SCENE}.boundsOf(id).max.y > 0.3", name), name
    # The page goes on.
    frames = look.page.evaluate(f"{SCENE}.stats().frames")
    look.page.evaluate(f"{SCENE}.setCamera({{ position: [9, 6, 9], target: [4, 0, 0] }})")
    assert look.until(f"(n) => {SCENE}.stats().frames > n", frames)


def test_decoders_come_from_here_and_their_workers_reach_nothing(look: Look) -> None:
    hosts = {urlsplit(url).netloc for url in look.asked if not url.startswith(("blob:", "data:"))}
    assert hosts == {urlsplit(look.address).netloc}
    assert not look.complaints
    workers = {url for url in look.asked if "_worker-" in url}
    assert len(workers) == 2, look.asked
    for url in workers:
        policy = look.page.request.get(url).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'")
        assert ("'unsafe-eval'" in policy) == ("ktx2_worker" in url)


def test_a_page_without_packed_models_loads_no_decoder(static_dir: Path, browser: Browser) -> None:
    world = LivingWorld(static_dir, Edits((PutTwin(Twin("tank", "Tank")),)))
    context = browser.new_context(reduced_motion="reduce")
    try:
        look = Look(context.new_page(), world.url)
        look.page.goto(world.url, timeout=READY_MS)
        look.page.wait_for_selector("html[data-ready=true]", timeout=READY_MS)
        assert not [url for url in look.asked if re.search("draco|meshopt|ktx2|basis", url)]
    finally:
        context.close()
        world.close()
