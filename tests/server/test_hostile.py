"""Kinds of bad input that no other test of the server is about: what opens another world, addresses
as assets, paths written in tricky ways by who is signed in, and people who ask without end."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from mirrorworld.protocol import messages
from mirrorworld.server import doors
from mirrorworld.trust.accounts import Accounts, Grant
from tests.server.stand_in import Served, line, served
from tests.server.test_accounts import PASSWORD, guarded

OWN = {"X-Mirrorworld": "1"}


def people(**grants: Grant) -> tuple[Accounts, dict[str, dict[str, str]]]:
    """Accounts, and for each a token as the header that carries it."""
    accounts = Accounts()
    headers: dict[str, dict[str, str]] = {}
    for name, grant in grants.items():
        accounts.add_person(name, PASSWORD, [grant])
        token = accounts.make_token(name, "t", [grant], lasts_s=3600, by=name)
        headers[name] = {"Authorization": f"Bearer {token}"}
    return accounts, headers


async def test_what_opens_one_world_opens_no_other():
    """Tokens and sessions of a tenant, at the server of another, on the same machine."""
    theirs, shown = people(ada=Grant("owner"))
    ours, _ = people(ada=Grant("owner"))
    async with served(line(), accounts=theirs) as there, served(line(), accounts=ours) as here:
        async with httpx.AsyncClient(headers=OWN) as ada:
            body = {"name": "ada", "password": PASSWORD}
            assert (await ada.post(f"{there.url}/api/session", json=body)).status_code == 204
            assert (await ada.get(f"{there.url}/api/world")).status_code == 200
            # A browser sends its cookies to every port of a host.
            assert (await ada.get(f"{here.url}/api/world")).status_code == 401
            (cookie,) = ada.cookies.jar
            stolen = f"{cookie.name.replace(str(there.port), str(here.port))}={cookie.value}"
        for headers in (shown["ada"], {"Cookie": stolen}):
            async with httpx.AsyncClient(base_url=here.url, headers=headers) as client:
                assert (await client.get("/api/world")).status_code == 401
                assert (await client.get("/api/people")).status_code == 401
        address = here.url.replace("http", "ws") + "/api/stream"
        async with connect(address, additional_headers=shown["ada"]) as socket:
            with contextlib.suppress(ConnectionClosed):
                await socket.send(messages.encode(messages.Hello()).decode())
                async with asyncio.timeout(10):
                    await socket.recv()
            assert socket.close_code == doors.CLOSE_NO_SESSION
        assert await _status(there, shown["ada"]) == 200


async def _status(world: Served, headers: dict[str, str]) -> int:
    async with httpx.AsyncClient(base_url=world.url, headers=headers) as client:
        return (await client.get("/api/world")).status_code


async def test_an_asset_that_is_an_address_is_not_fetched(tmp_path, free_port):
    """The server sends files of its own folder, and asks nobody for any (SSRF)."""
    asked: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.close()

    port = free_port()
    accounts, headers = people(ada=Grant("owner"))
    async with (
        await asyncio.start_server(hear, "127.0.0.1", port),
        served(line(), accounts=accounts, assets=tmp_path) as here,
        httpx.AsyncClient(base_url=here.url, headers=headers["ada"]) as client,
    ):
        for name in (
            f"http://127.0.0.1:{port}/a.glb",
            f"http:/127.0.0.1:{port}/a.glb",
            f"//127.0.0.1:{port}/a.glb",
            "file:///etc/passwd",
            "http://169.254.169.254/latest/meta-data",
        ):
            for path in (f"/api/assets/{name}", f"/api/assets/{name.replace(':', '%3a')}"):
                answer = await client.get(path)
                assert answer.status_code in (400, 404), path
                assert b"root:" not in answer.content
        twin = {"id": "pump", "geometry": {"uri": f"http://127.0.0.1:{port}/a.glb"}}
        edit = {"@": "PutTwin", "twin": twin}
        await client.post("/api/edits", json={"edits": [edit], "reason": ""})
        assert (await client.get("/api/twins")).status_code == 200
        await asyncio.sleep(0.2)
    assert asked == []


@pytest.mark.parametrize(
    "path",
    [
        "/api/twins/line1/capper",
        "/api/twins/line1/capper/",
        "/api/twins//line1/capper",
        "/api/twins/line1//capper",
        "/api/twins/line1/filler/../capper",
        "/api/twins/line1/filler/%2e%2e/capper",
        "/api/twins/line1%2fcapper",
        "/api/twins/line1%252fcapper",
        "/api/twins/%6cine1/capper",
        "/api/twins/LINE1/capper",
        "/api/twins/line1/capper%20",
        "/api/twins/line1/capper;x",
        "/api/twins/line1/filler%00/../capper",
        "/API/twins/line1/capper",
        "/api/people/",
        "/api//people",
        "/api/%70eople",
        "/api/twins/../people",
    ],
)
async def test_no_way_of_writing_a_path_grants_more(path: str):
    """Policy and routes mean the same thing by a path: who may see a part sees that part."""
    accounts, headers = people(sub=Grant("operator", "line1/filler"))
    async with served(guarded(accounts), accounts=accounts) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        bearer = headers["sub"]["Authorization"]
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {bearer}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    status = int(answer.split()[1])
    assert status in (307, 400, 403, 404) or b"<!doctype html>" in answer, answer[:200]
    assert b'"has_password"' not in answer
    assert b'"relations"' not in answer and b'"points"' not in answer


async def test_who_asks_without_end_is_told_to_wait_and_others_are_not(monkeypatch):
    monkeypatch.setattr(doors, "REQUESTS", (20.0, 0.001))
    accounts, headers = people(kim=Grant("viewer"), lee=Grant("viewer"))
    more = accounts.make_token("kim", "other", [Grant("viewer")], lasts_s=3600, by="kim")
    async with served(line(), accounts=accounts) as here:
        async with httpx.AsyncClient(base_url=here.url, headers=headers["kim"]) as kim:
            codes = [(await kim.get("/api/world")).status_code for _ in range(30)]
            assert codes[:20] == [200] * 20
            assert set(codes[20:]) == {429}
            answer = await kim.get("/api/world")
            assert int(answer.headers["retry-after"]) >= 1
            assert "wait" in answer.json()["mend"]
        assert await _status(here, headers["lee"]) == 200
        # Each token has a bucket of its own, and strangers share that of their address.
        assert await _status(here, {"Authorization": f"Bearer {more}"}) == 200
        guesses = [await _status(here, {"Authorization": f"Bearer mw_{i}"}) for i in range(25)]
        assert guesses == [401] * 20 + [429] * 5
