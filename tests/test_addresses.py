"""The policy of addresses: what is called, what never, and that a name cannot change its mind."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from mirrorworld import addresses
from mirrorworld.addresses import AddressRefused, AddressUnknown, check, check_async

NEVER = (
    "http://169.254.169.254/latest/meta-data",
    "http://169.254.0.1/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://2852039166/",  # 169.254.169.254 as one number
    "http://0xa9fea9fe/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
)
PRIVATE = (
    "http://10.1.2.3/", "http://192.168.1.5:8080/x", "http://172.16.0.1/", "http://127.0.0.1/",
    "http://[::1]/", "http://[fd12::1]/", "http://[::ffff:10.0.0.1]/", "http://100.64.0.1/",
    "http://127.1/",
)  # fmt: skip
PUBLIC = ("https://93.184.216.34/", "https://[2606:2800:220:1::1]/")
MALFORMED = (
    "", "ftp://host/", "file:///etc/passwd", "http://", "http:///x", "http://host:0/",
    "http://host:99999/", "http://a b/", "http://ho\nst/", "http://[::1/", "gopher://x/",
    "http://evil\\@host/", "http://[fe80::1%25eth0]/", "http://" + "a" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("url", NEVER)
@pytest.mark.parametrize("allows_private", [True, False])
def test_never_called(url: str, allows_private: bool) -> None:
    with pytest.raises(AddressRefused) as refused:
        check(url, allows_private=allows_private)
    assert refused.value.mend and refused.value.place


@pytest.mark.parametrize("url", PRIVATE)
def test_private_is_the_callers_choice(url: str) -> None:
    assert check(url, allows_private=True).is_private
    with pytest.raises(AddressRefused):
        check(url, allows_private=False)


@pytest.mark.parametrize("url", PUBLIC)
def test_public_is_called(url: str) -> None:
    assert not check(url, allows_private=False).is_private


@pytest.mark.parametrize("url", MALFORMED)
def test_malformed_is_refused_with_the_mend(url: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        check(url, allows_private=True)
    assert len(str(refused.value)) > 20


def test_secrets_are_not_shown() -> None:
    with pytest.raises(AddressRefused) as refused:
        check("http://me:hunter2@169.254.169.254/x?key=hunter2", allows_private=True)
    assert "hunter2" not in str(refused.value)


async def test_a_name_that_does_not_resolve_is_no_refusal() -> None:
    with pytest.raises(AddressUnknown):
        await check_async("http://no-such-name.invalid/", allows_private=True)


async def test_rebinding_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is harmless when checked and this machine when called is called as checked."""
    hits = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hits
        hits += 1
        head = await reader.readuntil(b"\r\n\r\n")
        host = next(x for x in head.split(b"\r\n") if x.lower().startswith(b"host:"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(host), host))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answers = ["127.0.0.1", "169.254.169.254"]
    asked: list[str] = []

    async def resolve(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        ip = answers.pop(0) if host == "plant.example" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port))]

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    async with (
        server,
        httpx.AsyncClient(transport=addresses.Transport(allows_private=True)) as client,
    ):
        answer = await client.get(f"http://plant.example:{port}/")
        assert answer.text == f"Host: plant.example:{port}"
        assert asked.count("plant.example") == 1, "resolved again between check and call"
        with pytest.raises(AddressRefused):
            await client.get(f"http://plant.example:{port}/")
    assert hits == 1
