"""Serving: the socket, the token, and uvicorn in the loop that owns the world."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn

from mirrorworld.protocol.places import ADDRESS_FILE, TOKEN_FILE
from mirrorworld.server.app import STATIC_DIR, create_app
from mirrorworld.server.mirrored import Mirrored

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
MESSAGE_BYTES_MAX: Final = 2 << 20
"""Longest message of a viewer: a Watch of about 200,000 handles."""
UNSENT_BYTES: Final = 128 << 10
"""What the system may hold of one connection unsent, so that a slow viewer is noticed here."""
FAREWELL_S: Final = 3


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


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on this machine only.

    Raises:
        PermissionError: the host is not this machine.
        PortInUse: something listens there already.
    """
    if host not in LOOPBACK:
        raise PermissionError(
            f"host '{host}': only this machine is served, not before accounts exist;"
            " leave --host away, and reach it from elsewhere through an SSH tunnel"
        )
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
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
    assets: Path | None = None,
    static_dir: Path | None = STATIC_DIR,
    on_ready: Callable[[str], Any] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serves a world until it is cancelled, or `stop` is set.

    Args:
        port: 0 takes a free one.
        on_ready: is called once with the address, `http://127.0.0.1:8000`, when it answers.
    """
    listening = listen(host, port)
    app = create_app(mirror, token=token, assets=assets, static_dir=static_dir)
    config = uvicorn.Config(
        app,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=MESSAGE_BYTES_MAX,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=FAREWELL_S,
        lifespan="on",
    )
    server = _Server(config, on_ready, listening)
    stopping = asyncio.create_task(_stop_when(server, stop)) if stop is not None else None
    try:
        await server.serve([listening])
    finally:
        if stopping is not None:
            stopping.cancel()
        listening.close()


async def _stop_when(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
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
