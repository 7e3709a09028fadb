"""Which addresses this server calls for people: one policy for all that fetches or posts.

An address that a person may write (a webhook's, an OIDC provider's, a polled machine's, a
model's) could make the server call what only the server can reach (SSRF, OWASP ASVS 5.2.6,
12.6.1). Private addresses are normal in a plant, so whether they are allowed is each caller's
choice. Never called, whoever asks: link-local addresses, where clouds and management controllers
keep their metadata, and what is no host at all (unspecified, multicast, reserved).

A name is resolved once, what it resolved to is checked, and that address is connected to. So a
name that answers differently the second time (DNS rebinding) gains nothing. `Transport` does so
for every request of an httpx client, redirects included.

Knows names and addresses; refuses to know what is sent.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

SCHEMES: Final = ("http", "https")
PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443, "ws": 80, "wss": 443}
URL_LENGTH_MAX: Final = 4_096
RESOLVE_S_MAX: Final = 10.0

_METADATA: Final = frozenset(
    ipaddress.ip_address(text)
    for text in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192")
)
"""Where clouds tell a machine its own secrets; some of these are in private ranges."""
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")
_HOSTS_OF_MANY: Final = 16
"""Hosts that one transport keeps connections for."""


class AddressRefused(Exception):
    """An address is not called. The message names it, why, and the mend.

    Attributes:
        place: the address, without user, password and query.
        mend: what to do.
    """

    def __init__(self, place: str, why: str, mend: str) -> None:
        super().__init__(f"{place}: {why}; {mend}")
        self.place = place
        self.why = why
        self.mend = mend


class AddressUnknown(OSError):
    """A name does not resolve now; it may later."""


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address: the name as it was written, and what is connected to."""

    scheme: str
    host: str
    """As in the URL, lower case, without brackets: what a certificate must be for."""
    port: int
    ip: str
    is_private: bool

    @property
    def origin(self) -> tuple[str, str, int]:
        """(scheme, host, port): RFC 6454."""
        return (self.scheme, self.host, self.port)


def check(url: str, *, allows_private: bool, schemes: Sequence[str] = SCHEMES) -> Address:
    """Resolves and checks an address; blocking, for as long as the resolver takes.

    Args:
        allows_private: whether private, loopback and other addresses that are not of the open
            internet may be called.
        schemes: what may be called at all.

    Raises:
        AddressRefused: it is malformed, or the policy forbids it.
        AddressUnknown: the name does not resolve.
    """
    scheme, host, port = parse(url, schemes)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressUnknown(f"the name '{host}' is not known here: {error}") from error
    return _choose(url, scheme, host, port, found, allows_private=allows_private)


async def check_async(
    url: str, *, allows_private: bool, schemes: Sequence[str] = SCHEMES
) -> Address:
    """`check`, without blocking the loop, and for `RESOLVE_S_MAX` at most."""
    scheme, host, port = parse(url, schemes)
    try:
        async with asyncio.timeout(RESOLVE_S_MAX):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except (OSError, UnicodeError) as error:
        raise AddressUnknown(f"the name '{host}' is not known here: {error}") from error
    return _choose(url, scheme, host, port, found, allows_private=allows_private)


def shown(url: str) -> str:
    """A URL for messages: without user, password, query and fragment, which may be secrets."""
    try:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "the address"
    text = f"{parts.scheme}://{place}{parts.path}" if parts.scheme else url.partition("?")[0]
    return "".join(c for c in text if c.isprintable())[:200]


def parse(url: str, schemes: Sequence[str] = SCHEMES) -> tuple[str, str, int]:
    """(scheme, host, port) of a URL; asks nobody.

    Raises:
        AddressRefused: it is malformed or of another scheme.
    """
    like = f"one reads like {schemes[0]}://host:8080/path"
    if len(url) > URL_LENGTH_MAX or any(c <= " " or c == "\x7f" or c == "\\" for c in url):
        raise AddressRefused(shown(url), "blanks, control signs or too long", like)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressRefused(shown(url), f"cannot be read ({error})", like) from None
    if parts.scheme not in schemes:
        raise AddressRefused(
            shown(url),
            f"'{parts.scheme}' is not called",
            f"use {' or '.join(schemes)}",
        )
    if not host or port == 0 or "%" in host:
        raise AddressRefused(shown(url), "it names no host and port", like)
    return parts.scheme, host.rstrip("."), port or PORTS.get(parts.scheme, 0)


def refusal(ip: IPAddress, *, allows_private: bool) -> str:
    """Why an address is not called; "" if it is."""
    ip = _inner(ip)
    if ip in _METADATA:
        return "it is where clouds keep a machine's secrets"
    if ip.is_link_local:
        return "link-local addresses are never called"
    if ip.is_multicast or ip.is_unspecified or (ip.version == 4 and ip in _THIS_NETWORK):
        return "it is the address of no host"
    if ip.is_loopback:  # before `reserved`, which ::1 is too
        return "" if allows_private else "it is this machine itself"
    if ip.is_reserved:
        return "it is the address of no host"
    if not allows_private and not ip.is_global:
        return "private addresses may not be called from here"
    return ""


def _inner(ip: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 one only wraps (RFC 4291 §2.5.5, RFC 3056, RFC 6052)."""
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if wrapped is None and ip in _NAT64:
            wrapped = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        # ::a.b.c.d, deprecated; ::1 and :: are themselves.
        if wrapped is None and 1 < int(ip) <= 0xFFFF_FFFF:
            wrapped = ipaddress.IPv4Address(int(ip))
        if wrapped is not None:
            return wrapped
    return ip


def _choose(
    url: str, scheme: str, host: str, port: int, found: Sequence[Any], *, allows_private: bool
) -> Address:
    """The first address that may be called."""
    why = ""
    for *_, place in found:
        ip = ipaddress.ip_address(str(place[0]).partition("%")[0])
        refused = refusal(ip, allows_private=allows_private)
        if not refused:
            return Address(scheme, host, port, str(ip), not _inner(ip).is_global)
        why = why or f"{refused} ({ip})"
    mend = "give the address of a host that may be called"
    if not allows_private and "link-local" not in why:
        mend = "give a public address, or let the operator allow private ones"
    raise AddressRefused(shown(url), why or "the name has no address", mend)


class Transport(httpx.AsyncBaseTransport):
    """An httpx transport that checks each request's address and connects to what it checked.

    The certificate is still checked against the name, and `Host` is still the name. Connections
    are kept per host, so that no two names share one because they share an address.

    Args:
        allows_private: see `check`.
        **options: of `httpx.AsyncHTTPTransport`: `verify`, `cert`, `limits` …
    """

    def __init__(self, *, allows_private: bool, **options: Any) -> None:
        self.allows_private = allows_private
        self._options = options
        self._inner: dict[tuple[str, str, int], httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Checks, pins and sends; AddressRefused is not wrapped."""
        try:
            address = await check_async(str(request.url), allows_private=self.allows_private)
        except AddressUnknown as error:
            raise httpx.ConnectError(str(error), request=request) from error
        inner = self._inner.get(address.origin)
        if inner is None:
            while len(self._inner) >= _HOSTS_OF_MANY:
                await self._inner.pop(next(iter(self._inner))).aclose()
            inner = self._inner[address.origin] = httpx.AsyncHTTPTransport(**self._options)
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=address.ip),
            headers=request.headers,  # with the Host of the name
            stream=request.stream,  # pyright: ignore[reportArgumentType]
            extensions={**request.extensions, "sni_hostname": address.host},
        )
        return await inner.handle_async_request(pinned)

    async def aclose(self) -> None:
        """Closes all connections."""
        inner, self._inner = self._inner, {}
        for transport in inner.values():
            await transport.aclose()
