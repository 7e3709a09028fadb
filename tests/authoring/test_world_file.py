"""Notes, tasks and photos travel with the world: its file has them, and brings them back."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pycrdt import Doc, Map
from typer.testing import CliRunner

from mirrorworld.at_rest import export_world, import_world, opened
from mirrorworld.authoring import updates
from mirrorworld.authoring.documents import Document
from mirrorworld.cli import app
from mirrorworld.exchange.routes import router
from mirrorworld.live.mirror import Mirror
from mirrorworld.standards import world_yaml
from mirrorworld.standards.world_yaml import reading
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutTwin, Writing
from mirrorworld.world.model import Twin
from mirrorworld.world.world import World
from tests.authoring.writer import note
from tests.server.stand_in import TOKEN, served
from tests.standards.gltf_files import png

KIM = Origin(OriginKind.AUTHORED, "kim")
PICTURE = png(2, 2)
SHA256 = hashlib.sha256(PICTURE).hexdigest()


def written(text: str = "leaks", author: str = "kim", photo: str = "") -> bytes:
    doc: Doc = Doc()
    doc.get("notes", type=Map)["n1"] = note(author, text)
    if photo:
        shown = {"author": author, "created": 1e12, "sha256": photo, "name": "seal.png"}
        doc.get("notes", type=Map)["n1"]["photos"]["p1"] = shown
    return doc.get_update()


def world() -> World:
    made = World("w", compiled=False)
    made.apply(Change(Edits((PutTwin(Twin("hall/pump")), PutTwin(Twin("hall/tank")))), KIM, 1))
    return made


def test_a_file_brings_notes_to_another_world(tmp_path: Path) -> None:
    one = world()
    one.apply(Change(Writing("hall/pump", written()), KIM, 2))
    file = tmp_path / "world.yaml"
    world_yaml.WorldYaml().export(one, file)
    assert "written:" in file.read_text()
    directory = tmp_path / "other"
    import_world(file, directory, "other")
    with opened(directory, "other") as (other, _):
        kept = other.writings["hall/pump"]
        assert Document(kept).notes()["n1"].text == "leaks"
        assert Document(kept).notes()["n1"].author == "kim"
    again = tmp_path / "again.yaml"
    export_world(directory, again)
    assert world_yaml.read_file(again).written == world_yaml.read_file(file).written
    before = file.read_text()
    world_yaml.WorldYaml().export(one, file)
    assert file.read_text() == before, "what has not changed stays as it stands"


def test_a_file_that_says_what_notes_cannot_say_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    for wrong, why in (("AAAA", "behind the update"), ("no base64!", "not base64")):
        file.write_text(f"mirrorworld: 1\ntwins:\n  a:\nwritten:\n  a: '{wrong}'\n")
        with pytest.raises(ValueError, match=why) as told:
            world_yaml.read_file(file)
        assert "line 5" in str(told.value)


# --- photos -----------------------------------------------------------------------------------


def with_photo(directory: Path) -> None:
    """A kept world in which somebody put a photo on a note."""
    with opened(directory, directory.name) as (made, record):
        assert record.blobs.put(PICTURE) == SHA256
        bodies = (
            Edits((PutTwin(Twin("hall/pump")),)),
            Writing("hall/pump", written(photo=SHA256)),
        )
        for i, body in enumerate(bodies):
            change = made.apply(Change(body, KIM, i + 1)).change
            assert change is not None
            record.append(change)
        record.commit()


@contextlib.asynccontextmanager
async def running(directory: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Mirror]]:
    """A kept world, served."""
    with opened(directory, directory.name) as (kept, record):
        mirror = Mirror(kept, record, {}, blobs=record.blobs)
        await mirror.start()
        try:
            async with (
                served(mirror, routers=[router]) as server,  # pyright: ignore[reportArgumentType]
                httpx.AsyncClient(
                    base_url=server.url,
                    headers={"authorization": f"Bearer {TOKEN}"},
                    timeout=60,
                ) as client,
            ):
                yield client, mirror
        finally:
            await mirror.stop()


async def shows_the_photo(client: httpx.AsyncClient) -> None:
    """What a page asks to show it."""
    [row] = (await client.get("/api/notes")).json()["notes"]
    [photo] = row["note"]["photos"].values()
    assert (photo["sha256"], photo["name"]) == (SHA256, "seal.png")
    got = await client.get(f"/api/blobs/{SHA256}")
    assert (got.status_code, got.headers["content-type"]) == (200, "image/png")
    assert got.content == PICTURE


def command(home: Path, *words: str) -> str:
    result = CliRunner().invoke(
        app, list(words), env={"COLUMNS": "200", "MIRRORWORLD_HOME": str(home)}
    )
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("way", ["command", "python"])
async def test_a_photo_comes_back_with_the_file(tmp_path: Path, way: str) -> None:
    worlds = tmp_path / "worlds"
    with_photo(worlds / "one")
    file = tmp_path / "world.yaml"
    if way == "command":
        assert "photo" not in command(tmp_path, "export", "one", str(file))
        command(tmp_path, "import", str(file), "--world", "two")
    else:
        assert not export_world(worlds / "one", file).lost
        assert not import_world(file, worlds / "two", "two").lost
    async with running(worlds / "two") as (client, _):
        await shows_the_photo(client)
    again = file.read_text()
    export_world(worlds / "one", file)
    assert file.read_text() == again, "what has not changed stays as it stands"


async def test_a_photo_comes_back_over_rest(tmp_path: Path) -> None:
    with_photo(tmp_path / "one")
    import_file = {"text": ""}
    async with running(tmp_path / "one") as (client, _):
        import_file["text"] = (await client.get("/api/export/world.yaml")).text
    async with running(tmp_path / "two") as (client, _):
        preview = (await client.post("/api/import/preview", json=import_file)).json()
        assert preview["left"] == []
        said = (await client.post("/api/import", json=import_file)).json()
        assert said["left"] == []
        await shows_the_photo(client)


def test_a_photo_that_is_not_at_hand_is_said(tmp_path: Path) -> None:
    with_photo(tmp_path / "one")
    with opened(tmp_path / "one", "one") as (_, record):
        record.blobs.path(SHA256).write_bytes(b"damaged")
    file = tmp_path / "world.yaml"
    [(what, why)] = export_world(tmp_path / "one", file).lost
    assert (what, why) == (f"notes of hall/pump: photo {SHA256[:12]}…", "its file is not here")
    assert "photos:" not in file.read_text()
    [(what, why)] = import_world(file, tmp_path / "two", "two").lost
    assert (what, why) == (
        f"notes of hall/pump: photo {SHA256[:12]}…",
        "it is neither in the file nor here",
    )


def test_a_file_with_a_wrong_photo_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "world.yaml"
    other = png(3, 3)
    page = b"<html><script>alert(1)</script></html>"
    huge = PICTURE[:16] + (60_000).to_bytes(4, "big") * 2 + PICTURE[24:]

    def refused(content: bytes, why: str, *, named: str = "", shown: str = "") -> None:
        sha256 = named or hashlib.sha256(content).hexdigest()
        notes = updates.to_base64(written(photo=shown or sha256))
        photo = base64.b64encode(content).decode()
        file.write_text(
            f"mirrorworld: 1\ntwins:\n  a:\nwritten:\n  a: '{notes}'\n"
            f"photos:\n  {sha256}: '{photo}'\n"
        )
        with pytest.raises(ValueError, match=why) as told:
            import_world(file, tmp_path / "w", "w")
        assert "line 7" in str(told.value)
        assert not (tmp_path / "w").exists(), "nothing was made of it"

    refused(other, "not what its name says", named=SHA256)
    refused(other, "no note in this file shows", shown=SHA256)
    refused(page, "a photo is PNG, JPEG, WebP or GIF")
    refused(b"%PDF-1.7", "not application/pdf")
    refused(huge, "million are shown")
    refused(PICTURE, "no note", named="../../../etc/passwd", shown=SHA256)
    monkeypatch.setattr(reading, "PHOTO_BYTES_MAX", 60)
    refused(PICTURE, "save it smaller")
    monkeypatch.setattr(reading, "PHOTO_BYTES_MAX", 1 << 20)
    monkeypatch.setattr(reading, "PHOTOS_BYTES_MAX", 60)
    refused(PICTURE, "together")
