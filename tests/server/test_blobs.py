"""Files that people attach: over a real record, as a program, a person and an attacker ask."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mirrorworld.attachments import GLB, GLTF, documents_of
from mirrorworld.live.guard import OWNER, RoleGuard, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import Store, open_record, restore
from mirrorworld.server import attached
from mirrorworld.server.attached import Room
from mirrorworld.server.doors import LARGER
from mirrorworld.standards import gltf
from mirrorworld.testing.faults import FaultyDisk
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from mirrorworld.world.changes import Edits, PutTwin
from mirrorworld.world.model import Twin
from tests.server.stand_in import TOKEN, Served, served
from tests.standards.gltf_files import glb, png

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
GIF = b"GIF89a\x02\0\x02\0" + b"\0" * 20
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF" + b"\0" * 10 + b"\xff\xc0\0\x11\x08\0\x02\0\x03" + b"\0" * 20
WEBP = b"RIFF\x20\0\0\0WEBPVP8X" + b"\x0a\0\0\0" + b"\0" * 4 + b"\x01\0\0\x02\0\0" + b"\0" * 8
PASSWORD = "correct horse battery"
MODELS = {GLB: gltf.check, GLTF: gltf.check}


@dataclass
class Here:
    """A served world with two parts, and people who may edit or see one of them."""

    server: Served
    mirror: Mirror
    record: Store
    tokens: dict[str, str]

    def client(self, who: str = "") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self.tokens.get(who, TOKEN)}"}
        return httpx.AsyncClient(base_url=self.server.url, headers=headers, timeout=60)

    async def attach(
        self, content: Any, name: str = "file", status: int = 201, who: str = "", **more: str
    ) -> dict[str, Any]:
        async with self.client(who) as client:
            params = {"twin": "line1/filler", "name": name, **more}
            answer = await client.post("/api/blobs", params=params, content=content)
        assert answer.status_code == status, answer.text
        return answer.json()

    @property
    def left(self) -> list[str]:
        """What lies in the store, parts of files among it."""
        return [path.name for path in self.record.blobs.directory.rglob("*") if path.is_file()]


@contextlib.asynccontextmanager
async def world(folder: Path, **more: Any) -> AsyncIterator[Here]:
    record = open_record(folder / "record", "w")
    accounts = Accounts()
    tokens: dict[str, str] = {}
    for name, grant in {
        "viewer": Grant("viewer"),
        "engineer": Grant("engineer"),
        "filler-engineer": Grant("engineer", "line1/filler"),
        "capper-viewer": Grant("viewer", "line1/capper"),
        "filler-viewer": Grant("viewer", "line1/filler"),
    }.items():
        accounts.add_person(name, PASSWORD, [grant])
        tokens[name] = accounts.make_token(name, "t", [grant], lasts_s=3600, by=name)
    guard = GrantGuard(RoleGuard(), accounts, lambda _: ())
    mirror = Mirror(restore(record), record, {}, guard=guard, blobs=record.blobs)
    await mirror.start()
    parts = Edits((PutTwin(Twin("line1/filler")), PutTwin(Twin("line1/capper"))))
    await mirror.edit(principal("owner", OWNER), parts)
    try:
        async with served(mirror, accounts=accounts, examiners=MODELS, **more) as server:  # pyright: ignore
            yield Here(server, mirror, record, tokens)
    finally:
        await mirror.stop()
        record.close()


async def raw(
    here: Here, method: bytes, rest: bytes, length: bytes = b"0", body: bytes = b""
) -> bytes:
    """The beginning of the answer to a request that is written as it is."""
    host, port = here.server.host.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        method + b" /api/blobs" + rest + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
        + TOKEN.encode() + b"\r\nContent-Length: " + length + b"\r\n\r\n" + body
    )  # fmt: skip
    answer = await asyncio.wait_for(reader.read(1 << 16), 30)
    writer.close()
    return answer


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    async with world(tmp_path) as running:
        yield running


# --- what people do ---------------------------------------------------------------------------


async def test_a_document_is_attached_read_and_taken_back(here: Here) -> None:
    said = await here.attach(PDF, "Manual.pdf")
    sha256 = hashlib.sha256(PDF).hexdigest()
    assert said["blob"] == {
        "sha256": sha256,
        "media_type": "application/pdf",
        "size_bytes": len(PDF),
        "name": "Manual.pdf",
    }
    await here.attach(png(), "plate.PNG")
    twins = here.mirror.world.structure.twins
    assert [blob.name for blob in documents_of(twins["line1/filler"])] == [
        "Manual.pdf",
        "plate.PNG",
    ]
    async with here.client() as client:
        had = await client.get(f"/api/blobs/{sha256}", params={"name": "Manual.pdf"})
        assert had.content == PDF
        assert (await client.post("/api/undo")).status_code == 200
        assert [b.name for b in documents_of(twins["line1/filler"])] == ["Manual.pdf"]
        assert (await client.post("/api/undo")).status_code == 200
    assert documents_of(twins["line1/filler"]) == ()
    assert twins["line1/filler"].property("documents") is None


async def test_two_people_attach_at_once_and_nothing_is_lost(here: Here) -> None:
    names = [f"{i}.txt" for i in range(4)]
    await asyncio.gather(*(here.attach(name.encode(), name) for name in names))
    twin = here.mirror.world.structure.twins["line1/filler"]
    assert sorted(blob.name for blob in documents_of(twin)) == names


async def test_a_model_is_what_a_twin_looks_like(here: Here) -> None:
    content = glb()
    sha256 = hashlib.sha256(content).hexdigest()
    await here.attach(content, "filler.glb", scale="0.001", up="z", **{"as": "model"})
    twins = here.mirror.world.structure.twins
    assert twins["line1/filler"].geometry == f"blob:{sha256}?scale=0.001&up=z"
    async with here.client() as client:
        assert (await client.get(f"/api/blobs/{sha256}")).content == content
        assert (await client.post("/api/undo")).status_code == 200
    assert twins["line1/filler"].geometry == ""


async def test_what_was_attached_is_there_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path) as first:
        await first.attach(PDF, "Manual.pdf")
    async with world(tmp_path) as second, second.client() as client:
        (blob,) = documents_of(second.mirror.world.structure.twins["line1/filler"])
        assert (await client.get(f"/api/blobs/{blob.sha256}")).content == PDF


async def test_the_same_content_is_kept_once(here: Here) -> None:
    await here.attach(PDF, "a.pdf")
    await here.attach(PDF, "b.pdf")
    assert len(here.left) == 1
    (blob,) = documents_of(here.mirror.world.structure.twins["line1/filler"])
    assert blob.name == "b.pdf"


# --- how it is served -------------------------------------------------------------------------


async def test_parts_of_a_large_file_can_be_had_and_it_is_kept_by_browsers(here: Here) -> None:
    content = PDF + bytes(range(256)) * 4096
    sha256 = (await here.attach(content, "large.pdf"))["blob"]["sha256"]
    async with here.client() as client:
        path = f"/api/blobs/{sha256}"
        whole = await client.get(path)
        part = await client.get(path, headers={"range": "bytes=100-199"})
        tail = await client.get(path, headers={"range": "bytes=-50"})
        again = await client.get(path, headers={"if-none-match": whole.headers["etag"]})
    assert whole.headers["etag"] == f'"{sha256}"'
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "cookie" in whole.headers["vary"], "nobody else at this browser has it from its cache"
    assert (part.status_code, part.content) == (206, content[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    assert tail.content == content[-50:]
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("content", "media_type", "shown"),
    [
        (PDF, "application/pdf", "inline"),
        (png(3, 5), "image/png", "inline"),
        (JPEG, "image/jpeg", "inline"),
        (GIF, "image/gif", "inline"),
        (WEBP, "image/webp", "inline"),
        ("Größe: 5 µm\n".encode(), "text/plain; charset=utf-8", "inline"),
        (b"x" * 4095 + "ü".encode() * 2_000_000, "text/plain; charset=utf-8", "inline"),
        (glb(), GLB, "attachment"),
    ],
)
async def test_what_a_file_is_its_content_says(
    here: Here, content: bytes, media_type: str, shown: str
) -> None:
    said = await here.attach(content, "page.html")
    async with here.client() as client:
        got = await client.get(f"/api/blobs/{said['blob']['sha256']}", params={"name": "a.html"})
    assert got.headers["content-type"] == media_type
    assert got.headers["content-disposition"].startswith(f"{shown}; filename")
    assert ".html" not in got.headers["content-disposition"].replace(".html.", "."), (
        "what is saved does not end as what it is not"
    )
    assert got.headers["x-content-type-options"] == "nosniff"
    policy = got.headers["content-security-policy"]
    assert "sandbox" in policy or "script-src 'none'" in policy
    assert "'self'" not in policy


# --- bad input: markup and what is hidden in it ---------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"<!doctype html><script>alert(1)</script>",
        b"\xef\xbb\xbf \n<HTML><body onload=alert(1)>",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<?xml version='1.0'?><!DOCTYPE svg><svg/>",
        b"<!-- note --><svg/>",
        b"MZ\x90\0\x03",
        b"PK\x03\x04" + b"\0" * 30,
        b"\x7fELF\x02\x01\x01",
        b"text with \0 in it",
        b"\xff\xfet\0e\0x\0t\0",
        b"a" * (2 << 20) + b"\xff",
        b"a" * (2 << 20) + b"\x1b[2J\x00",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
        png(60_000, 60_000),
        b"",
    ],
    ids=lambda content: repr(content[:12]),
)
async def test_what_is_not_taken_leaves_nothing(here: Here, content: bytes) -> None:
    said = await here.attach(content, "harmless.pdf", 422)
    assert said["detail"]
    assert here.left == []
    assert documents_of(here.mirror.world.structure.twins["line1/filler"]) == ()


async def test_what_lies_in_the_store_by_other_ways_is_never_shown(here: Here) -> None:
    """HTML and SVG that got there past the check are saved by a browser, not shown."""
    for content in (b"<html><script>alert(1)</script>", b"<svg onload='alert(1)'/>"):
        sha256 = here.record.blobs.put(content)
        async with here.client() as client:
            got = await client.get(f"/api/blobs/{sha256}", params={"name": "a.svg"})
        assert got.headers["content-type"] == "application/octet-stream"
        assert got.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in got.headers["content-security-policy"]


# --- bad input: a 2 GB attachment ---------------------------------------------------------------


async def test_two_gigabytes_are_refused_before_they_come(here: Here) -> None:
    """Announced, they are refused unread; unannounced, as soon as it is too much."""
    answer = await raw(here, b"POST", b"?twin=line1%2Ffiller", b"2147483648", PDF)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"attach at most 256 MiB" in answer
    assert here.left == []


async def test_what_grows_beyond_is_cut_off(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LARGER, "/api/blobs", 3 << 20)
    host, port = here.server.host.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /api/blobs?twin=line1%2Ffiller HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
        + TOKEN.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n%PDF-1.7\r\n"
    )  # fmt: skip
    answer = asyncio.create_task(reader.read(1 << 16))
    sent, part = 0, b"10000\r\n" + b"\0" * (1 << 16) + b"\r\n"
    with contextlib.suppress(ConnectionError):
        while sent < 2 << 30:
            writer.write(part)
            await writer.drain()
            sent += 1 << 16
    assert (await answer).startswith(b"HTTP/1.1 413")
    assert sent < 64 << 20, "the line was cut long before"
    writer.close()
    assert here.left == []


async def test_room_is_left_on_the_disk(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attached, "ROOM", Room(free_bytes=1 << 60))
    said = await here.attach(PDF, "a.pdf", 507)
    assert "left" in said["detail"] and "free space" in said["mend"]
    monkeypatch.setattr(attached, "ROOM", Room(total_bytes=len(PDF) * 2 - 1, free_bytes=0))
    await here.attach(PDF, "a.pdf")
    said = await here.attach(PDF + b" ", "b.pdf", 507)
    assert "at most" in said["detail"]
    assert len(here.left) == 1


async def test_a_full_disk_is_said_and_the_world_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        disk = FaultyDisk(tmp_path / "record")
        here.record.blobs._files = disk  # pyright: ignore[reportAttributeAccessIssue]
        disk.room_bytes = 100_000
        said = await here.attach(PDF + b"\0" * (3 << 20), "a.pdf", 507)
        assert "disk is full" in said["detail"]
        assert here.left == []
        disk.room_bytes = None
        await here.attach(PDF, "a.pdf")


async def test_who_sends_nothing_more_is_not_waited_for(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attached, "SILENCE_S", 0.2)
    answer = await raw(here, b"POST", b"?twin=line1%2Ffiller", b"1000", PDF)
    assert answer.startswith(b"HTTP/1.1 408") and b"nothing came" in answer
    assert here.left == []


async def test_few_come_at_once(here: Here) -> None:
    stop, begun = asyncio.Event(), [asyncio.Event() for _ in range(attached.AT_ONCE)]

    async def slow(i: int) -> AsyncIterator[bytes]:
        yield PDF
        begun[i].set()
        await stop.wait()
        yield str(i).encode()

    sending = [
        asyncio.create_task(here.attach(slow(i), f"{i}.pdf")) for i in range(attached.AT_ONCE)
    ]
    await asyncio.gather(*(each.wait() for each in begun))
    params = {"twin": "line1/filler", "name": "one-more.pdf"}
    async with asyncio.timeout(60), here.client() as client:
        while True:
            said = await client.post("/api/blobs", params=params, content=PDF)
            if said.status_code != 201:
                break
    assert (said.status_code, "coming already" in said.text) == (429, True)
    stop.set()
    await asyncio.gather(*sending)
    await here.attach(PDF, "one-more.pdf")


# --- bad input: names and paths -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../../etc/cron.d/evil", "evil.pdf"),
        ("..\\..\\windows\\system32\\evil.exe", "evil.exe.pdf"),
        ("<img src=x onerror=alert(1)>.pdf", "<img src=x onerror=alert(1)>.pdf"),
        ("a\r\nSet-Cookie: x=1.pdf", "aSet-Cookie: x=1.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe.pdf"),
        ("x" * 900, "x" * 142 + ".pdf"),
        ("..", "file.pdf"),
        ("", "file.pdf"),
    ],
)
async def test_names_from_strangers_are_text_only(here: Here, name: str, kept: str) -> None:
    said = await here.attach(PDF, name)
    assert said["blob"]["name"] == kept
    sha256 = said["blob"]["sha256"]
    assert here.left == [sha256[2:]]
    async with here.client() as client:
        got = await client.get(f"/api/blobs/{sha256}", params={"name": name})
    assert got.status_code == 200
    assert "set-cookie" not in got.headers
    assert "\r" not in got.headers["content-disposition"]


@pytest.mark.parametrize(
    "path",
    [
        "..%2f..%2ftoken", "%2e%2e/%2e%2e/token", "....//token", "incoming", "A" * 64, "0" * 63,
        "incoming%2fx.part", "0" * 64 + "%00", "/etc/passwd",
    ],
)  # fmt: skip
async def test_no_path_leads_out_of_the_store(here: Here, path: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    answer = await raw(here, b"GET", b"/" + path.encode())
    assert answer.split()[1] in (b"400", b"404", b"422"), answer
    assert b"secret" not in answer.partition(b"\r\n\r\n")[2]


# --- bad input: assets that would fetch --------------------------------------------------------


async def test_a_model_that_would_fetch_is_refused(here: Here) -> None:
    """SSRF by asset: what lies outside of the file is named, and nobody is asked for it."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def bend(root: dict[str, Any]) -> None:
        root["images"] = [{"uri": f"http://127.0.0.1:{port}/x.png"}]

    for purpose in ("model", "document", "keep"):
        said = await here.attach(glb(bend), "a.glb", 422, **{"as": purpose})
        assert f"127.0.0.1:{port}" in said["detail"] and "nothing is fetched" in said["detail"]
    server.close()
    assert asked == []
    assert here.left == []


@pytest.mark.parametrize(
    ("content", "said"),
    [(PDF, "cannot be drawn"), (glb()[:-4], "cut off"), (b'{"asset": {"version": "1"}}', "glTF 2")],
)
async def test_what_cannot_be_drawn_is_no_model(here: Here, content: bytes, said: str) -> None:
    answer = await here.attach(content, "a.glb", 422, **{"as": "model"})
    assert said in answer["detail"]
    assert here.mirror.world.structure.twins["line1/filler"].geometry == ""


@pytest.mark.parametrize("options", [{"scale": "0"}, {"scale": "nan"}, {"up": "x"}, {"as": "hat"}])
async def test_options_that_make_no_sense_are_said_before_anything_comes(
    here: Here, options: dict[str, str]
) -> None:
    await here.attach(glb(), "a.glb", 422, **{"as": "model", **options})
    assert here.left == []


# --- who may ------------------------------------------------------------------------------------


async def test_who_may_attach_is_who_may_edit_the_twin(here: Here) -> None:
    for who in ("viewer", "filler-viewer"):
        said = await here.attach(PDF, "a.pdf", 403, who=who)
        assert "may not edit" in said["detail"]
    await here.attach(PDF, "a.pdf", 404, who="capper-viewer")
    assert here.left == []
    await here.attach(PDF, "a.pdf", who="filler-engineer")
    await here.attach(PDF, "b.pdf", 404, who="filler-engineer", twin="line1/capper")
    await here.attach(png(), "c.png", who="engineer", twin="line1/capper")


async def test_a_file_is_seen_by_who_sees_a_twin_that_refers_to_it(here: Here) -> None:
    sha256 = (await here.attach(PDF, "a.pdf"))["blob"]["sha256"]

    async def status(who: str) -> int:
        async with here.client(who) as client:
            return (await client.get(f"/api/blobs/{sha256}")).status_code

    people = ("viewer", "filler-viewer", "filler-engineer", "capper-viewer")
    assert [await status(who) for who in people] == [200, 200, 200, 404]
    await here.attach(PDF, "a.pdf", twin="line1/capper")
    assert await status("capper-viewer") == 200
    for twin in ("line1/capper", "line1/filler"):
        gone = {"@": "DropProperty", "twin": twin, "name": "documents"}
        async with here.client() as client:
            assert (await client.post("/api/edits", json={"edits": [gone]})).status_code == 200
    assert [await status(who) for who in people] == [200, 404, 404, 404]


async def test_nobody_reaches_a_file_by_naming_it(here: Here) -> None:
    """Who may edit a part cannot put somebody else's file there, to see it."""
    said = await here.attach(PDF, "secret.pdf", twin="line1/capper")
    blob = {"@": "Blob", **said["blob"]}
    item = {"name": "", "value": blob}
    put = {
        "@": "PutProperty",
        "twin": "line1/filler",
        "property": {"name": "documents", "value": [{"@": "Property", **item}]},
    }
    look = {"@": "PutGeometry", "twin": "line1/filler", "geometry": f"blob:{blob['sha256']}"}
    async with here.client("filler-engineer") as client:
        for edit in (put, look):
            answer = await client.post("/api/edits", json={"edits": [edit]})
            assert answer.status_code == 422, answer.text
            assert "no file" in answer.text
        assert (await client.get(f"/api/blobs/{blob['sha256']}")).status_code == 404
    async with here.client() as client:
        assert (await client.post("/api/edits", json={"edits": [put]})).status_code == 200
        answer = await client.post("/api/edits", json={"edits": [look]})
        assert (answer.status_code, "cannot be drawn" in answer.text) == (422, True)


@pytest.mark.parametrize(
    "change",
    [{"sha256": "0" * 64}, {"sha256": "../token"}, {"size_bytes": 5}, {"media_type": "text/html"}],
)
async def test_an_edit_says_the_truth_about_a_file(here: Here, change: dict[str, Any]) -> None:
    said = await here.attach(PDF, "a.pdf", who="filler-engineer", **{"as": "keep"})
    assert "position" not in said or said["position"] is None
    blob = {"@": "Blob", **said["blob"]}

    async def put(value: dict[str, Any]) -> httpx.Response:
        property_ = {"name": "drawing", "value": value}
        edit = {"@": "PutProperty", "twin": "line1/filler", "property": property_}
        async with here.client("filler-engineer") as client:
            return await client.post("/api/edits", json={"edits": [edit]})

    wrong = await put({**blob, **change})
    assert wrong.status_code == 422, wrong.text
    assert "edits[0]" in wrong.text or "SHA-256" in wrong.text
    assert (await put(blob)).status_code == 200
