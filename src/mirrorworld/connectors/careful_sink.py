"""A sink whose failures cannot be taken for the network's.

A full disk and a lost connection are both an OSError; one ends the connector, the other is
waited out. So what fails behind the sink comes out of it as `SinkFailed`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world.changes import Edits, Event, OriginKind
from mirrorworld.world.frames import Frame, Handles
from mirrorworld.world.ports import KnowsLatest, Sink

T = TypeVar("T")


class SinkFailed(Exception):
    """The world's side failed; `error` is what it raised."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class CarefulSink:
    """Passes everything on; OSErrors (a guard's refusal is one) come out as SinkFailed."""

    def __init__(self, inner: Sink) -> None:
        self._inner = inner

    def now_ns(self) -> int:
        """See Sink."""
        return self._inner.now_ns()

    def count(self, what: str, n: int = 1) -> None:
        """See Sink."""
        self._inner.count(what, n)

    async def declare(self, edits: Edits) -> None:
        """See Sink."""
        await _told_apart(self._inner.declare(edits))

    def handles(self, points: Iterable[tuple[str, str]]) -> Handles:
        """See Sink."""
        return self._inner.handles(points)

    def latest_ns(self, handles: Handles) -> NDArray[np.int64]:
        """See KnowsLatest; a sink that does not know says of no point that it is known."""
        if isinstance(self._inner, KnowsLatest):
            return self._inner.latest_ns(handles)
        return np.full(len(handles), -1, np.int64)

    async def push(
        self,
        frame: Frame,
        *,
        incarnation: int = 0,
        source_seq: int = -1,
        origin: OriginKind = OriginKind.MEASURED,
    ) -> int:
        """See Sink."""
        return await _told_apart(
            self._inner.push(frame, incarnation=incarnation, source_seq=source_seq, origin=origin)
        )

    async def durable(self, ticket: int) -> None:
        """See Sink."""
        await _told_apart(self._inner.durable(ticket))

    async def event(self, event: Event, *, incarnation: int = 0, source_seq: int = -1) -> None:
        """See Sink."""
        await _told_apart(self._inner.event(event, incarnation=incarnation, source_seq=source_seq))


async def _told_apart(call: Awaitable[T]) -> T:
    try:
        return await call
    except OSError as error:
        raise SinkFailed(error) from error
