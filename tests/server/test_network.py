"""Others get here: a certificate that is renewed while the server runs, a plain door with the
authority and nothing else, addresses and pictures of them, and pages before the page in the
language of who reads them."""

from __future__ import annotations

import asyncio
import plistlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mirrorworld.server import Network
from mirrorworld.server.entrance import STEPS
from mirrorworld.server.words import language_of, say
from mirrorworld.trust import authority
from mirrorworld.trust.accounts import Accounts, Grant
from tests.conftest import Postgres, unused_port
from tests.server.stand_in import TOKEN, Served, line, served
from tests.trust.test_accounts import address_of

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Reached:
    own: Served
    network: Network
    directory: Path

    @property
    def plain(self) -> str:
        return f"http://127.0.0.2:{self.network.plain_port}"

    async def serial(self) -> int:
        """Of the certificate that is served now."""
        trusting = ssl.create_default_context(cafile=str(self.network.certificate.authority))
        _, writer = await asyncio.open_connection("127.0.0.2", self.network.port, ssl=trusting)
        served_ = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(served_).serial_number


@pytest.fixture
async def reached(tmp_path: Path) -> AsyncIterator[Reached]:
    names = ("127.0.0.2", "plant.local", "10.1.2.3")
    certificate = authority.certificate_for(tmp_path, names)
    network = Network(
        "127.0.0.2",
        unused_port(),
        certificate,
        names,
        unused_port(),
        renewed=lambda: authority.certificate_for(tmp_path, names),
        look_s=0.05,
    )
    async with served(line(), network=network) as own:
        yield Reached(own, network, tmp_path)


async def test_a_certificate_that_nears_its_end_is_renewed_while_it_runs(
    reached: Reached, monkeypatch: pytest.MonkeyPatch
):
    first = await reached.serial()
    monkeypatch.setattr(authority, "RENEWED_BEFORE", authority.SERVER_LASTS * 2)
    async with asyncio.timeout(20):
        while await reached.serial() == first:
            await asyncio.sleep(0.05)
    monkeypatch.undo()
    # A page that was open goes on, and what cannot be read changes nothing.
    second = await reached.serial()
    (reached.directory / "server.pem").write_text("half of a certificate")
    monkeypatch.setattr(authority, "certificate_for", lambda *_: reached.network.certificate)
    await asyncio.sleep(0.3)
    assert await reached.serial() == second


async def test_the_plain_door_has_the_authority_and_nothing_else(reached: Reached):
    root = (reached.directory / "authority.pem").read_bytes()
    async with httpx.AsyncClient(base_url=reached.plain) as phone:
        page = await phone.get("/", headers={"Accept-Language": "de-AT,de;q=0.9"})
        assert page.status_code == 200
        assert reached.network.certificate.fingerprint in page.text
        assert 'lang="de"' in page.text and "Fingerabdruck vergleichen" in page.text
        assert "script" not in page.text
        certificate = await phone.get("/mirrorworld.crt")
        assert certificate.content == root
        assert certificate.headers["content-type"] == "application/x-x509-ca-cert"
        profile = plistlib.loads((await phone.get("/mirrorworld.mobileconfig")).content)
        (content,) = profile["PayloadContent"]
        assert content["PayloadType"] == "com.apple.security.root"
        der = x509.load_pem_x509_certificate(root).public_bytes(Encoding.DER)
        assert content["PayloadContent"] == der
        # Nothing of the world, with or without what opens it elsewhere.
        for path in ("/api/world", "/welcome", "/healthz", "/authority.key", "/..%2fauthority.key"):
            assert (await phone.get(path, headers=AUTHORIZED)).status_code == 404
        assert (await phone.post("/", content=b"x")).status_code == 405
        codes = {(await phone.get("/")).status_code for _ in range(80)}
    assert codes == {200, 429}


async def test_addresses_fingerprint_steps_and_pictures(reached: Reached):
    async with httpx.AsyncClient(base_url=reached.own.url, headers=AUTHORIZED) as here:
        told = (await here.get("/api/reach", headers={"Accept-Language": "de"})).json()
        network = reached.network
        assert told["addresses"] == [
            f"https://10.1.2.3:{network.port}",
            f"https://plant.local:{network.port}",
        ]
        assert told["plain"][0] == f"http://10.1.2.3:{network.plain_port}"
        assert told["fingerprint"] == network.certificate.fingerprint
        assert [each["system"] for each in told["steps"]] == [system for system, _ in STEPS]
        assert told["steps"][0]["lines"][0] == "Zertifikat herunterladen."
        for query in ("", "?path=/welcome%3Finvitation%3Dabc", "?plain=true"):
            picture = await here.get(f"/api/reach/qr.svg{query}")
            assert picture.headers["content-type"] == "image/svg+xml"
            assert ElementTree.fromstring(picture.content).tag.endswith("svg")
        assert (await here.get("/api/reach/qr.svg?address=9")).status_code == 404
        elsewhere = await here.get("/api/reach/qr.svg", params={"path": "@evil.example/"})
        assert elsewhere.status_code == 422
    async with httpx.AsyncClient(base_url=reached.own.url) as stranger:
        assert (await stranger.get("/api/reach")).status_code == 401


async def test_who_serves_this_machine_only_says_so():
    async with (
        served(line()) as own,
        httpx.AsyncClient(base_url=own.url, headers=AUTHORIZED) as here,
    ):
        told = (await here.get("/api/reach")).json()
        assert (told["addresses"], told["steps"]) == ([], [])
        assert (await here.get("/api/reach/qr.svg")).status_code == 404


async def test_the_way_in_is_in_the_readers_language():
    accounts = Accounts()
    accounts.add_person("ada", "correct horse battery", [Grant("owner")])
    async with served(line(), accounts=accounts) as own:
        german = {"Accept-Language": "de-DE,en;q=0.5", "Accept": "text/html"}
        async with httpx.AsyncClient(base_url=own.url, headers=german) as guest:
            page = (await guest.get("/")).text
            assert "Anmelden" in page and "Passwort" in page
            wrong = await guest.post("/api/session", data={"name": "ada", "password": "x"})
            assert "passen nicht zusammen" in wrong.text
            secret = accounts.invite(Grant("operator"), by="ada")
            welcome = (await guest.get(f"/welcome?invitation={secret}")).text
            assert "Bediener" in welcome and "Welt betreten" in welcome
            data = {"invitation": secret, "name": "gus", "password": "password1234"}
            weak = await guest.post("/welcome", data=data)
            assert weak.status_code == 422 and "leicht zu erraten" in weak.text


@pytest.mark.parametrize(
    ("said", "language"),
    [("", "en"), ("de", "de"), ("fr, de-CH;q=0.8, en", "de"), ("EN-gb", "en"), ("x" * 9_000, "en")],
)
def test_the_first_language_that_is_spoken_is_taken(said: str, language: str):
    assert language_of(said) == language


def test_every_step_has_its_german():
    for system, lines in STEPS:
        for each in lines:
            assert say("de", each) != each or each.startswith(system), each


@pytest.mark.peer
async def test_while_the_accounts_database_is_away_nobody_gets_in(
    postgres: Postgres, free_port: Callable[[], int]
):
    accounts = Accounts(address_of(postgres))
    accounts.add_person("ada", "correct horse battery", [Grant("owner")])
    async with (
        served(line(), accounts=accounts) as own,
        httpx.AsyncClient(base_url=own.url, headers={"X-Mirrorworld": "1"}) as here,
    ):
        body = {"name": "ada", "password": "correct horse battery"}
        postgres.crash()
        away = await here.post("/api/session", json=body)
        assert away.status_code == 503
        assert away.headers["retry-after"]
        assert "does not answer" in away.json()["detail"]
        # The owner's token on this machine needs no database.
        assert (await here.get("/api/world", headers=AUTHORIZED)).status_code == 200
        postgres.start()
        assert (await here.post("/api/session", json=body)).status_code == 204
    accounts.close()
