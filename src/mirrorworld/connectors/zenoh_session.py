"""Zenoh sessions: where one is, how it is opened, and that a process has one for each place.

A port can be listened on once, so all who speak at the same place under the same certificate share
a session. Over TLS a session lets each certificate speak only under keys of its own; when somebody
new comes in, the session is opened anew with one more name on that list, and who used it is told
to come again. Knows Zenoh's configuration; refuses to know what travels.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import zenoh

DEFAULT_PORT: Final = 7447
CONNECT_MS: Final = 5_000
PATIENCE_US: Final = 20_000_000
"""A slow link is waited for so long with one message before Zenoh gives it up."""
MESSAGE_BYTES_MAX: Final = 64 << 20
"""Larger messages are not taken: what is put together of fragments is bounded by it."""

_ANYWHERE: Final = ("0.0.0.0", "::", "*")


class Unreachable(OSError):
    """Nobody answers at a place, or what is there does not take us; the message says which."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session is: an address to listen on, or one to connect to.

    With TLS both sides show a certificate of the same authority.
    """

    host: str
    port: int
    listens: bool = False
    is_tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def locator(self) -> str:
        """As Zenoh writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.is_tls else 'tcp'}/{host}:{self.port}"

    def __str__(self) -> str:
        return self.locator


def place_of(
    url: str, *, ca: str = "", certificate: str = "", key: str = "", listens: bool | None = None
) -> tuple[Place, str]:
    """(place, path) of a URL such as `zenoh+tls://centre:7447/north`.

    Args:
        ca, certificate, key: PEM files; over TLS all three are needed.
        listens: None: if the host is a wildcard as `0.0.0.0`.

    Raises:
        ValueError: it cannot be used; the message says what to write instead.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"{url}: {error}; one reads like zenoh://host:{DEFAULT_PORT}") from None
    is_tls = parts.scheme.endswith("+tls")
    if not host or any(c.isspace() or c in "/#?" for c in host):
        raise ValueError(
            f"{url}: names no host; one reads like {parts.scheme}://host:{DEFAULT_PORT}"
        )
    if port == 0:
        raise ValueError(f"{url}: port 0 is no port; Zenoh's is {DEFAULT_PORT}")
    if parts.query or parts.fragment:
        raise ValueError(f"{url}: takes no ? and no #; options are given as -o NAME=VALUE")
    files = {"tls_ca": ca, "tls_certificate": certificate, "tls_key": key}
    if is_tls:
        for name, file in files.items():
            if not file:
                raise ValueError(f"{name} is missing: over TLS both sides show a certificate")
            if not Path(file).is_file():
                raise ValueError(f"{name}='{file}' is not a file; give one in PEM")
    elif any(files.values()):
        name = next(name for name, file in files.items() if file)
        raise ValueError(f"{name} is given, but {parts.scheme}:// is without TLS; write +tls")
    listening = host in _ANYWHERE if listens is None else listens
    if host == "*":
        host = "0.0.0.0"
    files_used = (ca, certificate, key) if is_tls else ("", "", "")
    place = Place(host, port or DEFAULT_PORT, listening, is_tls, *files_used)
    return place, unquote(parts.path).strip("/")


def is_exposed(place: Place) -> bool:
    """Whether the place is reached beyond this machine without TLS."""
    if place.is_tls or place.host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(place.host).is_loopback
    except ValueError:
        return True


def check_expression(key: str) -> None:
    """Raises ValueError where Zenoh would not take a key expression."""
    try:
        zenoh.KeyExpr(key)
    except zenoh.ZError as error:
        raise ValueError(f"'{key}' is no key expression: {plainly(error)}") from None


def plainly(error: BaseException) -> str:
    """What an error of Zenoh says, without where in its source it was raised."""
    return re.sub(r"\s+at /\S+?:\d+\.?", "", str(error)).strip()


@dataclass(slots=True)
class Joined:
    """A part in a shared session. When `replaced` is set, leave it and join again."""

    session: zenoh.Session
    replaced: asyncio.Event

    @property
    def is_linked(self) -> bool:
        """Whether anyone is at the other end."""
        return bool(self.others())

    def others(self) -> frozenset[str]:
        """Who is at the other end, by the names of their sessions: one that is opened anew has
        another."""
        if self.session.is_closed():
            return frozenset()
        info = self.session.info
        linked = (transport.zid for transport in info.transports())
        return frozenset(map(str, (*info.routers_zid(), *info.peers_zid(), *linked)))


@dataclass(slots=True)
class _Shared:
    may: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Common name of a certificate -> the key expressions that it may use."""
    has: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Those that the open session knows."""
    session: zenoh.Session | None = None
    users: list[Joined] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    left: asyncio.Event = field(default_factory=asyncio.Event)


_OPEN: dict[tuple[int, Place], _Shared] = {}
"""By event loop and place: a process has one session there, since it can listen there once."""


@contextlib.asynccontextmanager
async def joined(
    place: Place, may: Mapping[str, Sequence[str]] | None = None
) -> AsyncIterator[Joined]:
    """A part in the session at a place, which is opened for the first and closed after the last.

    Args:
        may: over TLS, where we listen: which certificates, by common name ("*": any of the
            authority's), may use which keys. Nobody else may use any.

    Raises:
        Unreachable: it cannot be opened now.
    """
    loop_and_place = (id(asyncio.get_running_loop()), place)
    shared = _OPEN.setdefault(loop_and_place, _Shared())
    for name, keys in (may or {}).items():
        shared.may[name] = tuple(dict.fromkeys((*shared.may.get(name, ()), *keys)))
    await asyncio.sleep(0)  # who starts at the same time is on the list before it opens
    try:
        async with shared.turn:
            if shared.session is not None and shared.has != shared.may:
                for user in shared.users:
                    user.replaced.set()
                while shared.users:
                    shared.left.clear()
                    await shared.left.wait()
                await _close(shared)
            if shared.session is None:
                shared.has = dict(shared.may)
                shared.session = await asyncio.to_thread(_open, place, shared.has)
            part = Joined(shared.session, asyncio.Event())
            shared.users.append(part)
        try:
            yield part
        finally:
            shared.users.remove(part)
            shared.left.set()
            if not shared.users and not shared.turn.locked():
                async with shared.turn:
                    if not shared.users:
                        await _close(shared)
    finally:
        if not shared.users and shared.session is None and not shared.turn.locked():
            _OPEN.pop(loop_and_place, None)


async def _close(shared: _Shared) -> None:
    session, shared.session = shared.session, None
    if session is not None:
        await asyncio.shield(asyncio.to_thread(session.close))


def _open(place: Place, may: Mapping[str, Sequence[str]]) -> zenoh.Session:
    try:
        return zenoh.open(configuration(place, may))
    except zenoh.ZError as error:
        said = plainly(error)
        if place.listens:
            raise Unreachable(f"{place}: cannot be listened on: {said}") from None
        mend = " Is it running, and is the port right?"
        if place.is_tls:
            mend += " Over TLS it must know our certificate's authority, and we its."
        raise Unreachable(f"{place}: nobody answers there: {said}.{mend}") from None


def configuration(place: Place, may: Mapping[str, Sequence[str]]) -> zenoh.Config:
    """The session's configuration. Nothing is looked for by multicast; nobody is told of others."""
    config = zenoh.Config()

    def put(path: str, value: Any) -> None:
        config.insert_json5(path, json.dumps(value))

    put("mode", "router" if place.listens else "client")
    put("scouting/multicast/enabled", False)
    put("scouting/gossip/enabled", False)
    put("transport/shared_memory/enabled", False)  # 16 MB, and nobody here uses it
    if place.listens:
        put("listen/endpoints", [place.locator])
        put("connect/endpoints", [])
    else:
        put("connect/endpoints", [place.locator])
        put("connect/timeout_ms", CONNECT_MS)
        retry = {"period_init_ms": 250, "period_max_ms": 2_000, "period_increase_factor": 2}
        put("connect/retry", retry)
    put("transport/link/rx/max_message_size", MESSAGE_BYTES_MAX)
    put("transport/link/tx/queue/congestion_control/block/wait_before_close", PATIENCE_US)
    if place.is_tls:
        side = "listen" if place.listens else "connect"
        put("transport/link/protocols", ["tls"])
        put(
            "transport/link/tls",
            {
                "root_ca_certificate": place.ca,
                f"{side}_certificate": place.certificate,
                f"{side}_private_key": place.key,
                "enable_mtls": True,
                "verify_name_on_connect": True,
                "close_link_on_expiration": True,
            },
        )
        if place.listens:
            put("access_control", _access(may))
    return config


def _access(may: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Zenoh's access control: nothing, except each certificate under its own keys."""
    everything = [
        *("put", "delete", "declare_subscriber", "query", "declare_queryable", "reply"),
        *("liveliness_token", "liveliness_query", "declare_liveliness_subscriber"),
    ]
    return {
        "enabled": True,
        "default_permission": "deny",
        "rules": [
            {
                "id": f"keys of {name}",
                "permission": "allow",
                "flows": ["ingress", "egress"],
                "messages": everything,
                "key_exprs": list(keys),
            }
            for name, keys in may.items()
        ],
        "subjects": [
            {"id": name} if name == "*" else {"id": name, "cert_common_names": [name]}
            for name in may
        ],
        "policies": [{"rules": [f"keys of {name}"], "subjects": [name]} for name in may],
    }
