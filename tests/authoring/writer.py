"""Somebody who writes about twins over a real line: a CRDT of their own, as a page has one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pycrdt
from pycrdt import Doc, Map, Text
from websockets.asyncio.client import ClientConnection, connect

from mirrorworld.authoring import updates
from mirrorworld.protocol import authoring as shapes
from tests.server.stand_in import TOKEN

PATIENCE_S = 60.0


def note(author: str, text: str, **more: Any) -> Map[Any]:
    """A note as a page makes one."""
    parts = {part: Map({}) for part in ("strokes", "photos", "replies")}
    return Map(
        {
            "author": author,
            "created": 1e12,
            "at": [0.0, 0.0, 1.0],
            "text": Text(text),
            **parts,
            "is_done": False,
            **more,
        }
    )


class Writer:
    """One page: its documents, and what it was told."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.docs: dict[str, Doc[Any]] = {}
        self.heard: list[Any] = []
        self.me = ""
        self._next = 0
        self._news = asyncio.Event()
        self._hearing = asyncio.create_task(self._hear())

    def doc(self, twin: str) -> Doc[Any]:
        return self.docs.setdefault(twin, Doc())

    def notes(self, twin: str) -> Map[Any]:
        return self.doc(twin).get("notes", type=Map)

    def tasks(self, twin: str) -> Map[Any]:
        return self.doc(twin).get("tasks", type=Map)

    async def begin(self) -> None:
        states = {t: updates.to_base64(d.get_state()) for t, d in self.docs.items()}
        await self.socket.send(shapes.encode(shapes.Begin(states)))
        began = await self.until(lambda: self.of(shapes.Began))
        self.me = began[-1].me

    def of(self, kind: Any) -> list[Any]:
        return [message for message in self.heard if isinstance(message, kind)]

    async def change(self, twin: str, act: Callable[[], Any]) -> Any:
        """Changes the own document and sends what changed; the answer to that."""
        doc = self.doc(twin)
        state = doc.get_state()
        act()
        return await self.send(twin, doc.get_update(state))

    async def send(self, twin: str, update: bytes) -> Any:
        self._next += 1
        number = self._next
        await self.socket.send(shapes.encode(shapes.Write(number, twin, updates.to_base64(update))))
        answers = await self.until(
            lambda: [m for m in self.heard if getattr(m, "id", None) == number]
        )
        return answers[0]

    async def until(self, is_so: Callable[[], Any]) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := is_so()):
                self._news.clear()
                await self._news.wait()
        return found

    async def _hear(self) -> None:
        with contextlib.suppress(Exception):
            async for text in self.socket:
                message = shapes.read_server(text)
                self.heard.append(message)
                if isinstance(message, shapes.Document | shapes.Wrote):
                    self.doc(message.twin).apply_update(updates.of_base64(message.update))
                self._news.set()
        self.heard.append(None)
        self._news.set()

    async def close(self) -> None:
        await self.socket.close()
        await self._hearing


@contextlib.asynccontextmanager
async def writer(host: str, token: str = TOKEN, *, begins: bool = True) -> AsyncIterator[Writer]:
    """A line to a server, begun."""
    async with connect(
        f"ws://{host}{shapes.AUTHOR_PATH}",
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        max_size=None,
    ) as socket:
        one = Writer(socket)
        if begins:
            await one.begin()
        try:
            yield one
        finally:
            await one.close()


__all__ = ["Writer", "note", "pycrdt", "writer"]
