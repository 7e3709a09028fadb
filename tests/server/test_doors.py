"""Who gets in: the owner, from this machine, from the page's own address; and nobody else."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import httpx
import pytest

from mirrorworld.server import PortInUse, serve, token_of
from mirrorworld.server.doors import BODY_BYTES_MAX, Doors
from tests.server.stand_in import TOKEN, Served, StandIn, line, served


@pytest.fixture
async def here(tmp_path: Path):
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html><title>page</title>")
    (static / "assets" / "main-abc123.js").write_text("export {};")
    assets = tmp_path / "world assets"
    (assets / "deep").mkdir(parents=True)
    (assets / "filler.glb").write_bytes(b"glTF")
    (assets / "deep" / "hall.hdr").write_bytes(b"#?RADIANCE")
    (tmp_path / "secret.glb").write_bytes(b"not for you")
    (assets / "link.glb").symlink_to(tmp_path / "secret.glb")
    async with served(line(), static_dir=static, assets=assets) as running:
        yield running


def stranger(here: Served, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=here.url, headers=headers)


async def test_the_token_becomes_a_cookie_and_leaves_the_address(here: Served):
    async with stranger(here) as page:
        arrived = await page.get("/", params={"token": TOKEN, "at": "line1/filler"})
        assert arrived.status_code == 303
        assert arrived.headers["location"] == "/?at=line1%2Ffiller"
        cookie = arrived.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert f"mirrorworld_{here.port}=" in cookie
        assert TOKEN not in cookie
        assert "page" in (await page.get("/")).text
        assert (await page.get("/api/world")).status_code == 200
        left = await page.delete("/api/session")
        assert left.status_code == 204
        assert (await page.get("/api/world")).status_code == 401


async def test_an_address_cannot_lead_elsewhere(here: Served):
    async with stranger(here) as page:
        arrived = await page.get(f"{here.url}//elsewhere.example/x", params={"token": TOKEN})
    assert arrived.headers["location"] == "/elsewhere.example/x"


async def test_without_the_token_a_person_is_told_what_to_do(here: Served):
    for params in ({}, {"token": "wrong"}):
        async with stranger(here, Accept="text/html") as page:
            answer = await page.get("/", params=params)
        assert answer.status_code == 401
        assert "mirrorworld up" in answer.text
        assert "<script" not in answer.text
        assert "set-cookie" not in answer.headers


async def test_login_by_form_and_by_json(here: Served):
    async with stranger(here) as page:
        wrong = await page.post("/api/session", data={"token": "wrong"})
        assert (wrong.status_code, "not the token" in wrong.text) == (401, True)
        right = await page.post("/api/session", data={"token": TOKEN})
        assert (right.status_code, right.headers["location"]) == (303, "/")
        assert (await page.get("/api/world")).status_code == 200
    async with stranger(here) as page:
        for body in ({"token": "wrong"}, {"token": 7}, ["token"], {}):
            assert (await page.post("/api/session", json=body)).status_code == 401
        assert (await page.post("/api/session", content=b"\xff{")).status_code == 401
        assert (await page.post("/api/session", json={"token": TOKEN})).status_code == 204
        assert (await page.get("/api/world")).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/api/world", "/api/openapi.json", "/metrics", "/assets/main-abc123.js", "/api/assets/filler"],
)
async def test_nothing_is_shown_to_strangers(here: Served, path: str):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": f"mirrorworld={TOKEN}"}):
        async with stranger(here, **headers) as client:
            answer = await client.get(path)
        assert answer.status_code == 401
        assert answer.json()["mend"]
    async with stranger(here) as client:
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("[::1]:9", 200),
        ("LOCALHOST:80", 200),
        ("plant.example", 403),
        ("127.0.0.1.nip.example", 403),
        ("localhost.evil.example:80", 403),
        ("", 403),
        ("[::1].evil.example", 403),
    ],
)
async def test_only_this_machines_names_are_answered_to(here: Served, host: str, status: int):
    async with here.client(Host=host) as client:
        assert (await client.get("/api/world")).status_code == status


async def test_another_page_cannot_act(here: Served):
    edit = {"edits": [{"@": "PutTwin", "twin": {"id": "evil"}}]}
    async with stranger(here) as page:
        await page.get("/", params={"token": TOKEN})
        for headers in (
            {},
            {"X-Mirrorworld": "1", "Origin": "http://evil.example"},
            {"X-Mirrorworld": "1", "Origin": "null"},
            {"X-Mirrorworld": "1", "Origin": f"http://127.0.0.1:{here.port + 1}"},
            {"X-Mirrorworld": "1", "Sec-Fetch-Site": "cross-site"},
            {"X-Mirrorworld": "1", "Sec-Fetch-Site": "same-site"},
        ):
            answer = await page.post("/api/edits", json=edit, headers=headers)
            assert answer.status_code == 403, headers
        assert "evil" not in here.mirror.world.structure.twins
        own = {"X-Mirrorworld": "1", "Origin": here.url, "Sec-Fetch-Site": "same-origin"}
        assert (await page.post("/api/edits", json=edit, headers=own)).status_code == 200
        answer = await page.options("/api/edits", headers={"Origin": "http://evil.example"})
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_every_answer_carries_the_security_headers(here: Served):
    async with here.client() as client, stranger(here, Accept="text/html") as other:
        answers = [
            await client.get("/"),
            await client.get("/api/world"),
            await client.get("/api/nothing"),
            await other.get("/"),
            await client.get("/api/assets/filler"),
        ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        scripts = next(p for p in policy.split("; ") if p.startswith("script-src"))
        assert scripts == "script-src 'self' 'wasm-unsafe-eval'"
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert "server" not in answer.headers


async def test_what_is_too_large_is_not_read(here: Served):
    async with here.client() as client:
        answer = await client.post("/api/edits", content=b"x" * (BODY_BYTES_MAX + 1))
        assert answer.status_code == 413

        async def endless():
            for _ in range(BODY_BYTES_MAX // (1 << 20) + 2):
                yield b" " * (1 << 20)

        answer = await client.post("/api/edits", content=endless())
        assert answer.status_code == 413
        assert (await client.get("/api/world")).status_code == 200


# --- files ----------------------------------------------------------------------------------


async def test_the_page_and_its_files(here: Served):
    async with here.client() as client:
        index = await client.get("/")
        script = await client.get("/assets/main-abc123.js")
        inner = await client.get("/twins/line1/filler")
        missing = await client.get("/assets/none.js")
    assert index.headers["cache-control"] == "no-cache"
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"].startswith("text/javascript")
    assert inner.text == index.text
    assert missing.status_code == 404


async def test_assets_and_no_path_out_of_their_folder(here: Served):
    async with here.client() as client:
        assert (await client.get("/api/assets/filler")).content == b"glTF"
        typed = await client.get("/api/assets/filler.glb")
        assert typed.headers["content-type"] == "model/gltf-binary"
        assert (await client.get("/api/assets/deep/hall.hdr")).status_code == 200
    for path in (
        "../secret.glb",
        "..%2fsecret.glb",
        "%2e%2e/secret.glb",
        "deep/../../secret.glb",
        "..\\secret.glb",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "link.glb",
        "filler.glb%00",
        "deep",
        "x" * 5000,
    ):
        # httpx would tidy the path, so it is sent as it stands.
        status, body = await raw(here, f"/api/assets/{path}")
        assert status in (400, 404), path
        assert b"not for you" not in body
        assert b"root:" not in body
        status, body = await raw(here, f"/assets/{path}")
        assert b"not for you" not in body
        assert b"root:" not in body


async def raw(here: Served, path: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    request = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Connection: close\r\n\r\n"
    )
    writer.write(request.encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return int(answer.split()[1]), answer


async def test_an_unbuilt_page_says_how_to_build_it(tmp_path: Path):
    async with served(line(), static_dir=tmp_path / "none") as here, here.client() as client:
        answer = await client.get("/")
    assert answer.status_code == 503
    assert "make setup" in answer.text


# --- serving --------------------------------------------------------------------------------


async def start(**more: object) -> None:
    await serve(StandIn(), token=TOKEN, static_dir=None, **more)  # pyright: ignore


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "plant.example"])
async def test_other_machines_are_not_served_yet(host: str):
    with pytest.raises(PermissionError, match="over TLS and with accounts only"):
        await start(host=host, port=0)


async def test_a_port_in_use_is_said_with_the_mend():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} is in use.*--port {port + 1}"):
            await start(port=port)


async def test_a_port_that_is_none_is_refused():
    with pytest.raises(ValueError, match="0 to 65535"):
        await start(port=70_000)


def test_the_token_is_made_once_and_is_its_owners_alone(tmp_path: Path):
    token = token_of(tmp_path)
    assert len(token) >= 32
    assert token_of(tmp_path) == token
    path = tmp_path / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(PermissionError, match="chmod 600"):
        token_of(tmp_path)
    path.chmod(0o600)
    path.write_text("")
    with pytest.raises(PermissionError, match="remove the file"):
        token_of(tmp_path)


def test_a_short_token_is_no_door():
    with pytest.raises(ValueError, match="16"):
        Doors(None, "short")
