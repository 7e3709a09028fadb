"""Documents and models from Python: the same calls on a directory and on a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mirrorworld
from mirrorworld.client.errors import InvalidError, NotAllowedError
from mirrorworld.client.world import World
from mirrorworld.installed import examiners
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.world.changes import PutTwin
from mirrorworld.world.model import Twin
from tests.server.stand_in import TOKEN, served
from tests.standards.gltf_files import glb

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 8_000


@pytest.fixture(params=["local", "remote"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "local":
        with mirrorworld.open(tmp_path / "w", create=True) as opened:
            opened.edit(PutTwin(Twin("press")))
            yield opened
        return
    ready, stop = threading.Event(), asyncio.Event()
    address: list[str] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        record = open_record(tmp_path / "record", "w")
        mirror = Mirror(restore(record), record, {}, blobs=record.blobs)
        await mirror.start()
        async with served(mirror, examiners=examiners()) as running:  # pyright: ignore
            address.append(running.url)
            ready.set()
            await stop.wait()
        await mirror.stop()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert ready.wait(30)
    with mirrorworld.connect(address[0], TOKEN) as connected:
        connected.edit(PutTwin(Twin("press")))
        yield connected
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(30)


def test_documents_are_attached_read_and_removed(world: World, tmp_path: Path) -> None:
    press = world.twin("press")
    (tmp_path / "Manual.pdf").write_bytes(PDF)
    (tmp_path / "notes.txt").write_text("geprüft")
    manual = press.attach(tmp_path / "Manual.pdf")
    press.attach(tmp_path / "notes.txt", name="Checked.txt")
    assert [(d.name, d.media_type, d.size_bytes) for d in press.documents] == [
        ("Manual.pdf", "application/pdf", len(PDF)),
        ("Checked.txt", "text/plain", 8),
    ]
    assert manual.read() == PDF
    saved = press.documents[0].save(tmp_path / "again.pdf")
    assert saved.read_bytes() == PDF
    with pytest.raises(FileExistsError):
        manual.save(saved)
    manual.remove()
    assert [d.name for d in press.documents] == ["Checked.txt"]
    press.documents[0].remove()
    assert press.documents == []


def test_a_model_is_set_and_removed(world: World, tmp_path: Path) -> None:
    press = world.twin("press")
    (tmp_path / "press.glb").write_bytes(glb())
    press.set_model(tmp_path / "press.glb", scale=0.001, up="z")
    assert press.model.geometry.startswith("blob:")
    assert press.model.geometry.endswith("?scale=0.001&up=z")
    press.remove_model()
    assert press.model.geometry == ""


def test_what_is_not_taken_is_said(world: World, tmp_path: Path) -> None:
    press = world.twin("press")
    bad = tmp_path / "page.pdf"
    bad.write_text("<html>")
    with pytest.raises(InvalidError, match="can carry scripts"):
        press.attach(bad)
    bad.write_bytes(glb()[:-4])
    with pytest.raises(InvalidError, match="cut off"):
        press.set_model(bad)
    bad.write_bytes(PDF)
    with pytest.raises(InvalidError, match="cannot be drawn"):
        press.set_model(bad)
    bad.write_bytes(glb())
    with pytest.raises(InvalidError, match="scale"):
        press.set_model(bad, scale=0)
    assert press.documents == []


def test_a_world_that_is_only_read_takes_no_files(tmp_path: Path) -> None:
    with mirrorworld.open(tmp_path / "w", create=True) as opened:
        opened.edit(PutTwin(Twin("press")))
    (tmp_path / "a.pdf").write_bytes(PDF)
    with (
        mirrorworld.open(tmp_path / "w") as opened,
        pytest.raises(NotAllowedError, match="not taken here"),
    ):
        opened.twin("press").attach(tmp_path / "a.pdf")
