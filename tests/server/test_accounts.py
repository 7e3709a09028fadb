"""People at the doors: what they get, what they do not, and how fast it is taken away again."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import websockets
from websockets.asyncio.client import connect

from mirrorworld.live.guard import RoleGuard
from mirrorworld.protocol import messages
from mirrorworld.server import Network
from mirrorworld.server import doors as doors_module
from mirrorworld.trust import authority
from mirrorworld.trust.accounts import Accounts, Grant
from mirrorworld.trust.policy import GrantGuard
from mirrorworld.world.changes import Edits, PutTwin
from mirrorworld.world.model import Twin
from tests.server.stand_in import TOKEN, Served, StandIn, line, served

PASSWORD = "correct horse battery"
OWN = {"X-Mirrorworld": "1"}
PEOPLE = {
    "ada": Grant("owner"),
    "eng": Grant("engineer"),
    "opa": Grant("operator"),
    "vic": Grant("viewer"),
    "sub": Grant("operator", "line1/filler"),
}


@dataclass
class World:
    served: Served
    accounts: Accounts

    @property
    def url(self) -> str:
        return self.served.url

    @contextlib.asynccontextmanager
    async def enter(self, name: str, password: str = PASSWORD) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=self.url, headers=OWN) as client:
            answer = await client.post("/api/session", json={"name": name, "password": password})
            assert answer.status_code == 204, answer.text
            yield client


def guarded(accounts: Accounts) -> StandIn:
    mirror = line()
    mirror.guard = GrantGuard(  # pyright: ignore[reportAttributeAccessIssue]
        RoleGuard(),
        accounts,
        lambda twin: [
            r.target for r in mirror.world.structure.relations_from(twin) if r.kind == "part_of"
        ],
    )
    return mirror


@pytest.fixture(scope="module")
def hashed() -> Accounts:
    """Hashing takes its time; once for all tests is enough."""
    accounts = Accounts()
    for name, grant in PEOPLE.items():
        accounts.add_person(name, PASSWORD, [grant])
    return accounts


@pytest.fixture
async def here(hashed: Accounts) -> AsyncIterator[World]:
    hashed.listeners.clear()
    async with served(guarded(hashed), accounts=hashed) as running:
        yield World(running, hashed)
    for name, grant in PEOPLE.items():
        hashed.set_grants(name, [grant], by="test") if name != "ada" else None


# --- entering -------------------------------------------------------------------------------


async def test_name_and_password(here: World):
    async with here.enter("vic") as vic:
        me = (await vic.get("/api/session")).json()
        assert (me["name"], me["grants"], me["is_owner"]) == (
            "vic",
            [{"role": "viewer", "subtree": ""}],
            False,
        )
        assert (await vic.get("/api/world")).json()["principal"]["id"] == "vic"


async def test_a_refusal_does_not_say_whether_there_is_such_an_account(here: World):
    async with httpx.AsyncClient(base_url=here.url, headers=OWN) as client:
        answers = [
            await client.post("/api/session", json={"name": name, "password": "wrong wrong"})
            for name in ("vic", "nobody")
        ]
    assert {a.status_code for a in answers} == {401}
    assert answers[0].content == answers[1].content


async def test_guessing_is_slowed(here: World, monkeypatch):
    async with httpx.AsyncClient(base_url=here.url, headers=OWN) as client:
        codes = []
        for _ in range(12):
            body = {"name": "vic", "password": "wrong wrong wrong"}
            answer = await client.post("/api/session", json=body)
            codes.append(answer.status_code)
        assert codes[:8] == [401] * 8
        assert set(codes[8:]) == {429}
        assert int(answer.headers["retry-after"]) >= 1
        right = await client.post("/api/session", json={"name": "vic", "password": PASSWORD})
        assert right.status_code == 429


async def test_an_invitation_becomes_an_account(here: World):
    async with here.enter("ada") as ada:
        made = await ada.post("/api/invitations", json={"grant": {"role": "operator"}})
        path = made.json()["path"]
    async with httpx.AsyncClient(base_url=here.url) as guest:
        page = await guest.get(path)
        assert "operator" in page.text
        secret = path.partition("=")[2]
        weak = await guest.post(
            "/welcome", data={"invitation": secret, "name": "gus", "password": "short"}
        )
        assert (weak.status_code, "12" in weak.text) == (422, True)
        entered = await guest.post(
            "/welcome", data={"invitation": secret, "name": "gus", "password": PASSWORD}
        )
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        assert (await guest.get("/api/session")).json()["name"] == "gus"
        again = await guest.get(path)
        assert again.status_code == 404
    here.accounts.remove_person("gus", by="test")


async def test_a_session_is_not_the_one_that_was_planted(here: World):
    """Session fixation: signing in gives a new secret and ends the one that was there."""
    async with here.enter("vic") as client:
        (planted,) = [c.value for c in client.cookies.jar]
        await client.post("/api/session", json={"token": TOKEN})
        (own,) = [c.value for c in client.cookies.jar]
        assert own != planted
    assert here.accounts.by_session(planted or "") is None


async def test_a_session_that_was_left_opens_nothing_again(here: World):
    async with here.enter("vic") as client:
        (cookie,) = [f"{c.name}={c.value}" for c in client.cookies.jar]
        assert (await client.delete("/api/session")).status_code == 204
    async with httpx.AsyncClient(base_url=here.url, headers={"Cookie": cookie}) as replay:
        assert (await replay.get("/api/world")).status_code == 401


async def test_the_owners_token_opens_from_this_machine_only(here: World, monkeypatch):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=here.url, headers=headers) as client:
        assert (await client.get("/api/world")).status_code == 200
        monkeypatch.setattr(doors_module, "_address", lambda scope: "192.168.7.20")
        assert (await client.get("/api/world")).status_code == 401
        assert (await client.get("/", params={"token": TOKEN})).status_code == 401
        answer = await client.post("/api/session", json={"token": TOKEN})
        assert answer.status_code == 401


# --- what a role may ------------------------------------------------------------------------

EDIT = {"edits": [{"@": "PutTwin", "twin": {"id": "line1/new"}}]}
COMMAND = {"twin": "line1/filler", "point": "speed_setpoint", "value": 1}
ACTS = {
    "look": ("GET", "/api/twins", None),
    "edit": ("POST", "/api/edits", EDIT),
    "source": ("POST", "/api/sources", {"url": "mqtt://plant"}),
    "invite": ("POST", "/api/invitations", {"grant": {"role": "owner"}}),
    "people": ("GET", "/api/people", None),
    "audit": ("GET", "/api/audit", None),
    "sessions of all": ("GET", "/api/sessions?all=true", None),
    "own sessions": ("GET", "/api/sessions", None),
    "password of another": ("PATCH", "/api/people/ada", {"password": "stolen by the viewer"}),
    "owner for oneself": ("PATCH", "/api/people/vic", {"grants": [{"role": "owner"}]}),
    "token above oneself": (
        "POST",
        "/api/tokens",
        {"label": "up", "grants": [{"role": "owner"}]},
    ),
}
MAY = {
    "vic": {"look", "own sessions"},
    "opa": {"look", "own sessions"},
    "eng": {"look", "own sessions", "edit"},
}


@pytest.mark.parametrize("name", sorted(MAY))
async def test_nobody_does_more_than_their_role(here: World, name: str):
    async with here.enter(name) as client:
        done = set()
        for what, (method, path, body) in ACTS.items():
            answer = await client.request(method, path, json=body)
            assert answer.status_code < 500, what
            if answer.status_code < 300:
                done.add(what)
            else:
                assert answer.status_code in (403, 422), (what, answer.text)
    assert done == MAY[name]


async def test_who_was_granted_a_part_sees_no_more(here: World):
    async with here.enter("sub") as sub:
        twins = [row["id"] for row in (await sub.get("/api/twins")).json()["twins"]]
        assert twins == ["line1/filler"]
        assert (await sub.get("/api/twins/line1/capper")).status_code == 404
        assert (await sub.get("/api/points", params={"twin": "line1/capper"})).status_code == 404
        exported = (await sub.get("/api/export")).json()
        assert [twin["id"] for twin in exported["twins"]] == ["line1/filler"]
        changes = (await sub.get("/api/changes")).text
        assert "capper" not in changes
        assert (await sub.post("/api/edits", json=EDIT)).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/api/people/",
        "//api/people",
        "/api//people",
        "/api/./people",
        "/api/x/../people",
        "/api/hooks/../people",
        "/api/enter/../people",
        "/api%2fpeople",
        "/%61pi/people",
        "/api/people%00",
        "/api/people;x",
        "/API/people",
        "/healthz/../api/people",
        "/api/hooks/%2e%2e/people",
    ],
)
async def test_no_way_of_writing_a_path_leads_past_the_doors(here: World, path: str):
    reader, writer = await asyncio.open_connection("127.0.0.1", here.served.port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert int(answer.split()[1]) in (307, 400, 401, 404), answer[:200]
    assert b'"has_password"' not in answer


# --- tokens and taking away -----------------------------------------------------------------


@contextlib.asynccontextmanager
async def watching(here: World, **headers: str) -> AsyncIterator[websockets.ClientConnection]:
    address = here.url.replace("http", "ws") + "/api/stream"
    async with connect(address, additional_headers=headers, origin=None) as socket:  # pyright: ignore
        await socket.send(messages.encode(messages.Hello()).decode())
        async with asyncio.timeout(10):
            while not isinstance(await socket.recv(), bytes):
                pass  # the first values: everything before them was told
        yield socket


async def ended(socket: websockets.ClientConnection) -> int | None:
    """Hears all that still comes, and gives the code of the farewell."""
    async with asyncio.timeout(10):
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code


async def test_a_token_is_shown_once_scoped_and_revoked_with_its_stream(here: World):
    async with here.enter("opa") as opa:
        request = {"label": "historian", "grants": [{"role": "viewer"}], "lasts_days": 1}
        made = await opa.post("/api/tokens", json=request)
        token = made.json()["token"]
        (row,) = (await opa.get("/api/tokens")).json()["tokens"]
        assert token not in str(row)
        bearer = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=here.url, headers=bearer) as program:
            assert (await program.get("/api/twins")).status_code == 200
            assert (await program.post("/api/edits", json=EDIT)).status_code == 403
            assert (await program.post("/api/tokens", json=request)).status_code == 403
            async with watching(here, **bearer) as socket:
                assert (await opa.delete(f"/api/tokens/{row['id']}")).status_code == 204
                assert await ended(socket) == 4401
            assert (await program.get("/api/twins")).status_code == 401


async def test_nothing_is_sent_after_a_session_was_revoked(here: World):
    async with here.enter("vic") as vic, here.enter("ada") as ada:
        (cookie,) = [f"{c.name}={c.value}" for c in vic.cookies.jar]
        async with watching(here, Cookie=cookie, Origin=here.url) as socket:
            rows = (await vic.get("/api/sessions")).json()["sessions"]
            (row,) = [row for row in rows if row["is_this"]]
            assert (await ada.delete(f"/api/sessions/{row['id']}")).status_code == 204
            here.served.mirror.apply(Edits((PutTwin(Twin("after/the/end")),)))
            heard = []
            async with asyncio.timeout(10):
                with contextlib.suppress(websockets.ConnectionClosed):
                    while True:
                        heard.append(await socket.recv())
            assert socket.close_code == 4401
            assert not [m for m in heard if "after/the/end" in str(m)]


async def test_a_withdrawn_grant_is_not_seen_any_more(here: World):
    async with here.enter("opa") as opa:
        (cookie,) = [f"{c.name}={c.value}" for c in opa.cookies.jar]
        async with watching(here, Cookie=cookie, Origin=here.url) as socket:
            here.accounts.set_grants("opa", [Grant("viewer", "line1/capper")], by="ada")
            assert await ended(socket) == 1012
        twins = [row["id"] for row in (await opa.get("/api/twins")).json()["twins"]]
        assert twins == ["line1/capper"]


async def test_what_was_done_with_accounts_is_in_the_audit_trail(here: World):
    async with here.enter("ada") as ada:
        await ada.post("/api/invitations", json={"grant": {"role": "viewer"}})
        page = (await ada.get("/api/audit", params={"limit": 5})).json()
    assert page["is_whole"] is True
    assert [line["what"] for line in page["lines"][:2]] == ["invited", "signed in"]
    assert page["lines"][1]["address"] == "127.0.0.1"
    assert PASSWORD not in str(page)


# --- others ---------------------------------------------------------------------------------


async def test_others_are_served_over_tls(hashed: Accounts, tmp_path: Path, free_port):
    certificate = authority.certificate_for(tmp_path, ["127.0.0.2", "127.0.0.1"])
    network = Network("127.0.0.2", free_port(), certificate, ("127.0.0.2",))
    trusting = ssl.create_default_context(cafile=str(certificate.authority))
    async with served(guarded(hashed), accounts=hashed, network=network):
        address = f"https://127.0.0.2:{network.port}"
        async with httpx.AsyncClient(base_url=address, verify=trusting, headers=OWN) as client:
            body = {"name": "vic", "password": PASSWORD}
            entered = await client.post("/api/session", json=body)
            cookie = entered.headers["set-cookie"]
            assert cookie.startswith(f"__Host-mirrorworld_{network.port}=")
            assert "Secure" in cookie
            assert (await client.get("/api/world")).status_code == 200
            root = await client.get("/api/authority.pem")
            assert root.content == certificate.authority.read_bytes()  # pyright: ignore
            plain = cookie.split(";")[0]
            async with connect(
                f"wss://127.0.0.2:{network.port}/api/stream",
                ssl=trusting,
                additional_headers={"Cookie": plain},
                origin=address,  # pyright: ignore[reportArgumentType]
            ) as socket:
                await socket.send(messages.encode(messages.Hello()).decode())
                assert "Welcome" in str(await socket.recv())
        async with httpx.AsyncClient(base_url=address) as doubting:
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await doubting.get("/healthz")


async def test_commands_are_in_the_audit_trail(here: World):
    async with here.enter("ada") as ada:
        request = {"twin": "line1/filler", "point": "speed", "value": 7}
        twin = (await ada.get("/api/twins/line1/filler")).json()
        request["point"] = twin["points"][0]["type"]["name"]
        assert (await ada.post("/api/commands", json=request)).status_code == 202
        line = (await ada.get("/api/audit", params={"limit": 1})).json()["lines"][0]
    assert (line["who"], line["what"]) == ("ada", "command")
    assert "line1/filler" in line["detail"]


async def test_arms_are_in_the_audit_trail_until_they_end(here: World):
    async with here.enter("ada") as ada:
        arm = {"twin": "line1/filler", "name": "speed", "low": 0, "high": 1}
        detail = (await ada.get("/api/twins/line1/filler")).json()
        arm["name"] = detail["points"][0]["type"]["name"]
        assert (await ada.post("/api/arms", json={"arm": arm, "reason": "r"})).status_code == 200
        query = {"twin": arm["twin"], "name": arm["name"]}
        assert (await ada.delete("/api/arms", params=query)).status_code == 200
        lines = (await ada.get("/api/audit", params={"limit": 2})).json()["lines"]
    assert [line["what"] for line in lines] == ["disarmed", "armed"]


async def test_an_invitation_is_listed_without_what_opens_and_taken_back(here: World):
    async with here.enter("ada") as ada, here.enter("vic") as vic:
        grant = {"role": "operator", "subtree": "line1"}
        path = (await ada.post("/api/invitations", json={"grant": grant})).json()["path"]
        listed = await ada.get("/api/invitations")
        (found,) = [i for i in listed.json()["invitations"] if i["grant"] == grant]
        secret = path.partition("=")[2]
        assert secret not in listed.text
        assert found["id"] not in path
        assert (await vic.get("/api/invitations")).status_code == 403
        assert (await vic.delete(f"/api/invitations/{found['id']}")).status_code == 403
        for wrong in ("a", "%25", "0" * 12):
            assert (await ada.delete(f"/api/invitations/{wrong}")).status_code == 404
        assert (await ada.delete(f"/api/invitations/{found['id']}")).status_code == 204
        assert (await ada.get(path)).status_code == 404


async def test_the_audit_trail_is_searched_paged_and_saved(here: World):
    for i in range(7):
        here.accounts.note("eve/=cmd", "sign-in refused", f'="{i}" of 100%\nof it', "10.9.9.9")
    async with here.enter("ada") as ada, here.enter("vic") as vic:
        seen: list[int] = []
        before = 0
        while True:
            query = {"limit": 3, "before": before, "text": "OF 100%"}
            page = (await ada.get("/api/audit", params=query)).json()
            seen += [line["number"] for line in page["lines"]]
            before = page["before"]
            if not before:
                break
        assert len(seen) == 7
        assert seen == sorted(seen, reverse=True)
        # What is looked for is text, not a pattern.
        none = await ada.get("/api/audit", params={"text": "of%it"})
        assert none.json()["lines"] == []
        hers = (await ada.get("/api/audit", params={"who": "eve"})).json()["lines"]
        assert len(hers) == 7
        table = await ada.get("/api/audit.csv", params={"who": "eve"})
        assert table.headers["content-type"].startswith("text/csv")
        assert "attachment" in table.headers["content-disposition"]
        rows = list(csv.reader(table.text.splitlines()))
        assert [row[0] for row in rows[1:]] == [str(n) for n in seen]
        # A spreadsheet must not take what a stranger typed for a formula.
        assert rows[1][4].startswith("'=")
        assert (await vic.get("/api/audit.csv")).status_code == 403


async def test_figures_of_the_world_are_for_who_sees_all_of_it(here: World):
    async with here.enter("sub") as sub, here.enter("vic") as vic:
        assert (await sub.get("/metrics")).status_code == 403
        assert (await vic.get("/metrics")).status_code == 200
