"""Serving: the socket, the token, and uvicorn in the loop that owns the world."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import socket
import stat
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import APIRouter

from mirrorworld.protocol.places import ADDRESS_FILE, TOKEN_FILE
from mirrorworld.server.app import STATIC_DIR, create_app
from mirrorworld.server.attached import Examine
from mirrorworld.server.corked import CorkedHttp
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.network import Network, PlainDoor, keep_fresh
from mirrorworld.trust.accounts import Accounts
from mirrorworld.trust.oidc import Provider

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
MESSAGE_BYTES_MAX: Final = 2 << 20
"""Longest message of a viewer: a Watch of about 200,000 handles."""
UNSENT_BYTES: Final = 128 << 10
"""What the system may hold of one connection unsent, so that a slow viewer is noticed here."""
FAREWELL_S: Final = 3
PLAIN_AT_ONCE: Final = 32
"""Connections to the plain door at a time; one more is told to come later."""


class PortInUse(OSError):
    """The port is taken; the message says what to do."""


def token_of(world_dir: Path) -> str:
    """The owner's token of a world: made at the first call, then kept in a file that only its
    owner can read.

    Raises:
        PermissionError: the file can be read by others, or not by us.
    """
    path = world_dir / TOKEN_FILE
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise PermissionError(f"{path}: others can read the owner's token; do `chmod 600 {path}`")
    token = path.read_text().strip()
    if len(token) < 16:
        raise PermissionError(f"{path}: this is no token; remove the file and start again")
    return token


@contextlib.contextmanager
def announced(world_dir: Path, address: str) -> Iterator[None]:
    """Says in a world's directory where it is served, for as long as it is."""
    path = world_dir / ADDRESS_FILE
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(address + "\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def listen(host: str, port: int, *, is_secured: bool = False) -> socket.socket:
    """A listening socket.

    Args:
        is_secured: whether accounts and TLS stand before it; without, only this machine is served.

    Raises:
        PermissionError: the host is not this machine, and nothing secures it.
        PortInUse: something listens there already.
    """
    if host not in LOOPBACK and not is_secured:
        raise PermissionError(
            f"host '{host}': other machines are served over TLS and with accounts only;"
            " `mirrorworld up --host` sets both up"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, since asyncio turns Nagle's algorithm off only for sockets that say
    # they are TCP: else an answer in two parts waits 40 ms for the other side's delayed ACK.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name == "posix":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    unsent: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", 25 if os.name == "posix" else None)
    if unsent is not None:
        with contextlib.suppress(OSError):
            listening.setsockopt(socket.IPPROTO_TCP, unsent, UNSENT_BYTES)
    try:
        listening.bind(("127.0.0.1" if host == "localhost" else host, port))
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                errno.EADDRINUSE,
                f"port {port} is in use; end what uses it, or add --port {port + 1}",
            ) from error
        if error.errno == errno.EACCES:
            raise PermissionError(f"port {port} needs more rights; use --port 8000") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise ValueError(
                f"host '{host}': is no address of this machine; 0.0.0.0 stands for all of them"
            ) from error
        raise
    except OverflowError:
        listening.close()
        raise ValueError(f"port {port}: a port is 0 to 65535") from None
    listening.listen(128)
    return listening


async def serve(
    mirror: Mirrored,
    *,
    token: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    accounts: Accounts | None = None,
    network: Network | None = None,
    providers: Sequence[Provider] = (),
    routers: Sequence[APIRouter] = (),
    assets: Path | None = None,
    examiners: Mapping[str, Examine] | None = None,
    static_dir: Path | None = STATIC_DIR,
    on_ready: Callable[[str], Any] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serves a world until it is cancelled, or `stop` is set.

    This machine is served over plain HTTP, as browsers take loopback for secure; others, where
    `network` says so, over TLS on a port of its own.

    Args:
        port: 0 takes a free one.
        on_ready: is called once with the address, `http://127.0.0.1:8000`, when all answers.
    """
    with contextlib.ExitStack() as open_:
        own = open_.enter_context(contextlib.closing(listen(host, port)))
        app = create_app(
            mirror,
            token=token,
            accounts=accounts,
            hosts=network.names if network else (),
            providers=providers,
            routers=routers,
            network=network,
            assets=assets,
            examiners=examiners,
            static_dir=static_dir,
        )
        servers: list[tuple[_Server, socket.socket]] = []
        keeping: list[Coroutine[Any, Any, None]] = []
        if network is not None:
            outer = listen(network.host, network.port, is_secured=True)
            open_.enter_context(contextlib.closing(outer))
            tls = {
                "ssl_certfile": network.certificate.certificate,
                "ssl_keyfile": network.certificate.key,
                "lifespan": "off",
            }
            secured = _config(app, **tls)
            secured.load()
            servers.append((_Server(secured, None, outer), outer))
            if network.plain_addresses and network.plain_port is not None:
                plain = listen(network.host, network.plain_port, is_secured=True)
                open_.enter_context(contextlib.closing(plain))
                door = PlainDoor(network.certificate, network.addresses)
                config = _config(door, lifespan="off", limit_concurrency=PLAIN_AT_ONCE)
                servers.append((_Server(config, None, plain), plain))
            keeping.append(keep_fresh(network, secured))
        servers.append((_Server(_config(app, lifespan="on"), on_ready, own), own))
        running = [asyncio.create_task(server.serve([sock])) for server, sock in servers]
        keeping.append(_stop_when([server for server, _ in servers], stop))
        beside = [asyncio.create_task(work) for work in keeping]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for server, _ in servers:
                server.should_exit = True
            await asyncio.gather(*running)
        finally:
            for task in (*beside, *running):
                task.cancel()
            await asyncio.gather(*beside, *running, return_exceptions=True)


def _config(app: Any, **more: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=CorkedHttp,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=MESSAGE_BYTES_MAX,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # who asks is who the socket says, not who a header says
        timeout_graceful_shutdown=FAREWELL_S,
        **more,
    )


async def _stop_when(servers: Sequence[uvicorn.Server], stop: asyncio.Event | None) -> None:
    await (stop or asyncio.Event()).wait()
    for server in servers:
        server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn, except that signals stay with whoever started the loop."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_ready: Callable[[str], Any] | None,
        listening: socket.socket,
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._listening = listening

    @contextlib.contextmanager
    def capture_signals(self):  # pyright: ignore[reportIncompatibleMethodOverride]
        """Leaves signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts, then says where."""
        await super().startup(sockets)
        if self.started and self._on_ready is not None:
            host, port = self._listening.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            self._on_ready(f"http://{shown}:{port}")
