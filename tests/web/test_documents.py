"""Documents and a model given to a twin in the inspector: real server, real record, real scene."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from mirrorworld.attachments import GLB, GLTF
from mirrorworld.live.guard import OWNER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.standards import gltf
from mirrorworld.world.changes import Edits, PutGeometry
from mirrorworld.world.model import Twin
from tests.server.stand_in import TOKEN, served
from tests.standards import packed_gltf
from tests.standards.gltf_files import BOX, FACES, model, packed, png
from tests.web.conftest import OpenPage
from tests.web.living_world import works

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
expect.set_options(timeout=60_000)

MIXER = "works/line0/mixer"
LINE = "works/line0"
HOSTILE = "<img src=x onerror=document.title='owned'>.pdf"
PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
SCENE = "window.__mirrorworld.scene"


class KeptWorld:
    """A works with a record, served by the live mirror in a thread of its own."""

    def __init__(self, static_dir: Path, folder: Path) -> None:
        self.url = ""
        self.mirror: Mirror | None = None
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(static_dir, folder)), daemon=True
        )
        self._thread.start()
        assert self._ready.wait(30)

    async def _serve(self, static_dir: Path, folder: Path) -> None:
        self._loop = asyncio.get_running_loop()
        record = open_record(folder / "record", "test-world")
        self.mirror = Mirror(restore(record), record, {}, blobs=record.blobs)
        await self.mirror.start()
        await self.mirror.edit(principal("owner", OWNER), works())
        models = {GLB: gltf.check, GLTF: gltf.check}
        async with served(self.mirror, static_dir=static_dir, examiners=models) as running:  # pyright: ignore
            self.url = f"{running.url}/?token={TOKEN}"
            self._ready.set()
            await self._stop.wait()
        await self.mirror.stop()
        record.close()

    def edit(self, *edits: Any) -> None:
        assert self.mirror is not None and self._loop is not None
        body = Edits(tuple(edits))
        doing = self.mirror.edit(principal("owner", OWNER), body)
        asyncio.run_coroutine_threadsafe(doing, self._loop).result(20)

    def twin(self, twin_id: str) -> Twin:
        assert self.mirror is not None
        return self.mirror.world.structure.twins[twin_id]

    def close(self) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)


@pytest.fixture
def kept(static_dir: Path, tmp_path: Path) -> Iterator[KeptWorld]:
    world = KeptWorld(static_dir, tmp_path)
    yield world
    world.close()


def file(name: str, content: bytes, kind: str = "application/octet-stream") -> dict[str, Any]:
    return {"name": name, "mimeType": kind, "buffer": content}


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("SHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")


def chosen(page: Page, twin: str) -> None:
    page.evaluate("id => window.__mirrorworld.mirror.select(id)", twin)
    expect(page.locator("#right .insp-head")).to_contain_text(twin)


def section(page: Page):
    return page.locator("details.section:has(> summary:has-text('Documents'))")


def test_documents_are_added_shown_and_removed(kept: KeptWorld, open_page: OpenPage) -> None:
    page = open_page(kept, width=1280, height=800, with_scene=False)
    chosen(page, MIXER)
    chooser = section(page).locator("input[type=file]")
    chooser.set_input_files([file("Manual.pdf", PDF), file("Plate.png", png(40, 30))])
    docs = section(page).locator("li.doc")
    expect(docs).to_have_count(2)
    picture = section(page).locator("img.doc-thumb")
    page.wait_for_function(
        "img => img.complete && img.naturalWidth === 40", arg=picture.element_handle()
    )
    link = section(page).get_by_role("link", name="Manual.pdf")
    assert link.get_attribute("target") == "_blank"
    assert "noopener" in (link.get_attribute("rel") or "")
    section(page).scroll_into_view_if_needed()
    shot(page, "documents")
    section(page).get_by_role("button", name="Remove Manual.pdf").click()
    expect(docs).to_have_count(1)
    page.get_by_role("button", name="Undo", exact=True).last.click()
    expect(docs).to_have_count(2)


def test_what_the_server_refuses_is_said_and_names_stay_text(
    kept: KeptWorld, open_page: OpenPage
) -> None:
    page = open_page(kept, width=1280, height=800, with_scene=False)
    chosen(page, MIXER)
    title = page.title()
    chooser = section(page).locator("input[type=file]")
    chooser.set_input_files([file("page.pdf", b"<html><script>document.title='owned'</script>")])
    expect(page.get_by_text("can carry scripts")).to_be_visible()
    assert kept.twin(MIXER).property("documents") is None
    chooser.set_input_files([file(HOSTILE, PDF)])
    expect(section(page).locator("li.doc a")).to_have_text(HOSTILE)
    assert page.title() == title
    assert page.locator("img[src='x']").count() == 0


def test_a_file_is_dropped_onto_the_inspector(kept: KeptWorld, open_page: OpenPage) -> None:
    page = open_page(kept, width=1280, height=800, with_scene=False)
    chosen(page, MIXER)
    dropped = page.evaluate_handle(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["checked 2026-11-25\\n"], "Notes.txt"));
          return data;
        }"""
    )
    page.dispatch_event("#right .insp-head", "dragover", {"dataTransfer": dropped})
    expect(page.locator(".takes-files")).to_have_count(1)
    page.dispatch_event("#right .insp-head", "drop", {"dataTransfer": dropped})
    expect(section(page).locator("li.doc a")).to_have_text("Notes.txt")
    expect(page.locator(".takes-files")).to_have_count(0)


def height_of(page: Page, twin: str) -> float:
    return page.evaluate(
        f"id => {{ const box = {SCENE}.boundsOf(id); return box.max.y - box.min.y; }}", twin
    )


def test_a_model_appears_where_the_twin_stands_and_goes_with_undo(
    kept: KeptWorld, open_page: OpenPage
) -> None:
    """A box of 3,000 units, in millimetres: three metres."""
    page = open_page(kept, width=1280, height=800, with_scene=False)
    chosen(page, MIXER)
    before = height_of(page, MIXER)
    section(page).get_by_role("button", name="Give it a model…").click()
    dialog = page.get_by_role("dialog")
    root, binary = model(BOX * np.float32(3000), FACES)
    dialog.get_by_label("File").set_input_files([file("mixer.glb", packed(root, binary))])
    dialog.get_by_label("Its unit").select_option("0.001")
    shot(page, "model-dialog")
    dialog.get_by_role("button", name="Show it so").click()
    page.wait_for_function(f"id => {SCENE}.boundsOf(id).max.y > 2.9", arg=MIXER, timeout=60_000)
    assert kept.twin(MIXER).geometry.endswith("?scale=0.001")
    page.evaluate(f"id => {SCENE}.focus(id, {{ fast: true }})", MIXER)
    page.wait_for_timeout(1500)
    shot(page, "model")
    page.get_by_role("button", name="Undo", exact=True).last.click()
    page.wait_for_function(f"id => {SCENE}.boundsOf(id).max.y < 2.9", arg=MIXER, timeout=60_000)
    assert height_of(page, MIXER) == pytest.approx(before, abs=0.01)


@pytest.mark.peer
def test_a_packed_model_is_taken_and_drawn(
    kept: KeptWorld, open_page: OpenPage, node: str, peers_dir: Path
) -> None:
    """Rings of two metres, three times as large, one after the other on the same twin."""
    page = open_page(kept, width=1280, height=800, with_scene=False)
    wide = f"id => {SCENE}.boundsOf(id).max.x - {SCENE}.boundsOf(id).min.x"
    assert page.evaluate(wide, MIXER) < 5.99
    for name, ring in (
        ("draco.glb", packed_gltf.draco(node, peers_dir)),
        ("meshopt.glb", packed_gltf.meshopt(node)),
    ):
        response = page.request.post(
            f"{kept.url.partition('/?')[0]}/api/blobs?twin={MIXER}&as=model&name={name}&scale=3",
            data=packed(*ring),
            headers={"X-Mirrorworld": "1"},
        )
        assert response.ok, response.text()
        page.wait_for_function(f"id => ({wide})(id) > 5.99", arg=MIXER, timeout=60_000)
        kept.edit(PutGeometry(MIXER, ""))
        page.wait_for_function(f"id => ({wide})(id) < 5.99", arg=MIXER, timeout=60_000)


def test_a_twin_with_parts_has_its_model_among_them(kept: KeptWorld, open_page: OpenPage) -> None:
    page = open_page(kept, width=1280, height=800, with_scene=False)
    chosen(page, LINE)
    wide = page.evaluate(f"id => {SCENE}.boundsOf(id).max.x - {SCENE}.boundsOf(id).min.x", LINE)
    section(page).get_by_role("button", name="Give it a model…").click()
    root, binary = model(BOX * np.float32(4), FACES)
    page.get_by_role("dialog").get_by_label("File").set_input_files(
        [file("line.glb", packed(root, binary))]
    )
    page.get_by_role("button", name="Show it so").click()
    page.wait_for_function(f"id => {SCENE}.boundsOf(id).max.y > 3.9", arg=LINE, timeout=60_000)
    now = page.evaluate(f"id => {SCENE}.boundsOf(id).max.x - {SCENE}.boundsOf(id).min.x", LINE)
    assert now >= wide, "the platform is still all of it"
    page.evaluate(f"id => {SCENE}.focus(id, {{ fast: true }})", LINE)
    page.wait_for_timeout(1500)
    shot(page, "model-of-line")


def test_a_broken_model_never_breaks_the_scene(kept: KeptWorld, open_page: OpenPage) -> None:
    """It came past the check: a plain body stands for it, it is said why, nothing is fetched."""
    root, binary = model()
    root["images"] = [{"uri": "http://127.0.0.1:9/x.png"}]
    assert kept.mirror is not None
    sha256 = kept.mirror.blobs.put(packed(root, binary))  # pyright: ignore
    rubbish = kept.mirror.blobs.put(b"glTF and then nothing of the kind")  # pyright: ignore
    page = open_page(kept, width=1280, height=800, with_scene=False)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    kept.edit(
        PutGeometry(MIXER, f"blob:{sha256}"),
        PutGeometry("works/line0/pump0", f"blob:{rubbish}"),
        PutGeometry("works/line0/pump1", f"blob:{'0' * 64}"),
        PutGeometry("works/line0/pump2", "http://127.0.0.1:9/model.glb"),
    )
    # An address elsewhere is none of a model: there is nothing to say of that one.
    expect(page.get_by_text("A model cannot be drawn")).to_have_count(3, timeout=60_000)
    assert height_of(page, MIXER) > 0.3
    chosen(page, "works/line0/pump0")
    expect(section(page).get_by_role("alert")).to_contain_text("cannot be drawn")
    section(page).scroll_into_view_if_needed()
    shot(page, "broken-model")
    assert not [url for url in asked if "127.0.0.1:9/" in url]
