"""Connections on which what is written within one turn of the loop leaves together.

An answer is written as its head and then its body, news to a viewer as several frames; each write
of its own would be a call of the system, which costs more than most routes do, and a packet.
Knows transports; refuses to know what is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HELD_BYTES_MAX: Final = 64 << 10
"""More than this is never held: it is handed on at once, so that the transport's own bounds hold
back who writes."""


class Corked:
    """A transport that hands on what was written at the next turn of the loop; in all else the
    transport that it stands before."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: list[bytes] = []
        self._n_held = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """See asyncio.WriteTransport."""
        if not data:
            return
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._n_held += len(data)
        if self._n_held >= HELD_BYTES_MAX:
            self.flush()

    def writelines(self, parts: Iterable[bytes]) -> None:
        """See asyncio.WriteTransport."""
        for part in parts:
            self.write(part)

    def flush(self) -> None:
        """Hands on what is held."""
        if self._held:
            data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
            self._held.clear()
            self._n_held = 0
            self._transport.write(data)

    def close(self) -> None:
        """See asyncio.BaseTransport: what was written before goes out."""
        self.flush()
        self._transport.close()


class CorkedHttp(HttpToolsProtocol):
    """uvicorn's protocol, and the one of WebSockets that it may become, on such a transport."""

    def connection_made(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, transport: asyncio.Transport
    ) -> None:
        """See asyncio.Protocol."""
        super().connection_made(cast("asyncio.Transport", Corked(transport)))
