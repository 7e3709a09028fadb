"""A person of the tests, on a real line to a real server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.people import Attendee, Entered, Joined, encode
from mirrorworld.protocol.poses import Body, Pose, decode_poses, encode_pose
from tests.server.stand_in import TOKEN

T = TypeVar("T")
PATIENCE_S = 60.0
_keys = itertools.count()


class Visitor:
    """Hears all that it is told, and knows who is here."""

    def __init__(self, socket: ClientConnection, name: str, key: str) -> None:
        self.socket, self.name, self.key = socket, name, key
        self.people: dict[int, Attendee] = {}
        self.bodies: dict[int, Body] = {}
        self.heard: list[Any] = []
        self.frames = 0
        self.id = 0
        self.close_code: int | None = None
        self._news = asyncio.Event()
        self._hearing = asyncio.create_task(self._hear())

    async def say(self, message: shapes.MeetClientMessage) -> None:
        await self.socket.send(encode(message))

    async def stand(self, **new: Any) -> None:
        await self.say(shapes.Stance(**new))

    async def move(self, x: float, y: float = 1.7, z: float = 0.0, **more: Any) -> None:
        await self.socket.send(encode_pose(Body(Pose((x, y, z)), **more)))

    async def until(self, is_so: Callable[[], T]) -> T:
        """Waits for something to become so by what is heard; who is not known yet is waited for."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(KeyError):
                    if found := is_so():
                        return found
                self._news.clear()
                await self._news.wait()

    async def told(self, kind: type[T], is_it: Callable[[T], bool] = lambda _: True) -> T:
        """The latest of a kind of message that is as it should be."""

        def find() -> T | None:
            return next((m for m in reversed(self.heard) if isinstance(m, kind) and is_it(m)), None)

        found = await self.until(find)
        assert found is not None
        return found

    async def sees(self, name: str) -> Attendee:
        """Somebody of that name who is here."""

        def find() -> Attendee | None:
            return next((p for p in self.people.values() if p.name == name), None)

        found = await self.until(find)
        assert found is not None
        return found

    async def closed(self) -> int | None:
        """The code that the line is ended with."""
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([self._hearing])
        return self.close_code

    async def _hear(self) -> None:
        try:
            async for data in self.socket:
                if isinstance(data, bytes):
                    self.bodies |= decode_poses(data).bodies
                    self.frames += 1
                else:
                    self._take(shapes.read_server(data))
                self._news.set()
        except ConnectionClosed:
            pass
        self.close_code = self.socket.close_code
        self._news.set()

    def _take(self, message: Any) -> None:
        self.heard.append(message)
        if isinstance(message, Joined):
            self.id = message.id
            self.people = {each.id: each for each in message.people}
        elif isinstance(message, shapes.Attendance):
            self.people |= {each.id: each for each in message.put}
            for gone in message.gone:
                self.people.pop(gone, None)
        elif isinstance(message, Entered):
            self.bodies = {}


@contextlib.asynccontextmanager
async def visiting(
    url: str,
    name: str,
    *,
    place: str = "",
    key: str = "",
    id: int = 0,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[Visitor]:
    """A person in the meeting, until they leave with the block."""
    key = key or f"key-of-{name}-{next(_keys):016}"[:64]
    given = headers if headers is not None else {"Authorization": f"Bearer {TOKEN}"}
    address = url.replace("http", "ws", 1) + shapes.MEET_PATH
    async with connect(address, additional_headers=given, proxy=None) as socket:
        visitor = Visitor(socket, name, key)
        await visitor.say(shapes.Join(name, key, place, id))
        await visitor.told(Entered)
        yield visitor
