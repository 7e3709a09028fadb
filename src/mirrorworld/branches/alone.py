"""Branches of a world that this process holds itself, without a server: the same routes, asked in
the process. They live on a loop in a thread of their own, and share nothing with the world's own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import httpx
from fastapi import FastAPI, Request

from mirrorworld.branches.room import FOLDER, Room, enter
from mirrorworld.branches.routes import router
from mirrorworld.live import door
from mirrorworld.live.guard import OWNER, RoleGuard, principal
from mirrorworld.server import problems
from mirrorworld.server.context import Context
from mirrorworld.trust.accounts import THE_OWNER, Accounts
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, Position
from mirrorworld.world.ports import ConnectorAbout, Principal, Record
from mirrorworld.world.world import World

ANSWER_S: Final = 600.0


class Held:
    """A world without sources, as the routes see it. See `server/mirrored.py`."""

    def __init__(self, world: World, record: Record) -> None:
        self.world, self.record = world, record
        self.guard = RoleGuard()
        self.around = self.blobs = None
        self.queues: Mapping[str, tuple[int, int]] = {}

    @property
    def durable(self) -> Position:
        """All of it is: edits are committed as they are made."""
        return self.world.position

    def connectors(self) -> Sequence[tuple[Sequence[str], ConnectorAbout]]:
        """None."""
        return []

    def now_ns(self) -> int:
        """The clock of this machine."""
        return time.time_ns()

    def sources(self) -> list[Any]:
        """None."""
        return []

    def hook(self, name: str) -> None:
        """None."""

    async def until_durable(self, position: Position) -> None:
        """It is."""
        self.record.commit()

    def take_edits(
        self, who: Principal, edits: Edits, based_on: Sequence[tuple[str, str, str | None]] = ()
    ) -> Position:
        """See Mirrored."""
        door.check(edits, self.world.structure, based_on)
        change = Change(edits, Origin(OriginKind.AUTHORED, who.id), self.now_ns())
        applied = self.world.apply(change).change
        if applied is not None:
            self.record.append(applied)
            self.record.commit()
        return self.world.position

    async def edit(
        self, who: Principal, edits: Edits, based_on: Sequence[tuple[str, str, str | None]] = ()
    ) -> Position:
        """See Mirrored."""
        return self.take_edits(who, edits, based_on)

    async def command(self, who: Principal, command: Any, **_: Any) -> NoReturn:
        """Refused: no source feeds this world here."""
        raise PermissionError("no plant is behind a world that is opened as files; connect to it")


class Alone:
    """Asks the routes of branches of a world that is open here for writing."""

    def __init__(self, world: World, record: Record, directory: Path) -> None:
        self._world, self._record, self._directory = world, record, directory
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._room: Room | None = None
        self._client: httpx.AsyncClient | None = None
        self._thread.start()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer to a request; the caller waits for it, so that nothing else changes the
        world meanwhile."""
        return self._do(self._ask(method, path, more))

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_S)

    async def _ask(self, method: str, path: str, more: dict[str, Any]) -> httpx.Response:
        if self._client is None:
            await self._start()
        assert self._client is not None
        return await self._client.request(method, path, **more)

    async def _start(self) -> None:
        mirror: Any = Held(self._world, self._record)
        # Pages are not shared with the world itself: that one is changed in another thread.
        self._room = Room(
            mirror,
            self._directory / FOLDER,
            fork=lambda _: _apart(self._world),
        )
        enter(mirror, self._room)
        await self._room.start()
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        problems.install(app)
        app.state.context = Context(mirror, "", None, None, ["history"], Accounts())

        @app.middleware("http")
        async def as_owner(request: Request, further: Any) -> Any:
            request.state.principal = principal(THE_OWNER, OWNER)
            return await further(request)

        app.include_router(router)
        transport = httpx.ASGITransport(app)
        self._client = httpx.AsyncClient(
            transport=transport, base_url="http://here", timeout=ANSWER_S
        )

    def close(self) -> None:
        """Stops what runs, and lets go of all files."""
        if self._thread.is_alive():
            self._do(self._end())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _end(self) -> None:
        if self._client is not None:
            await self._client.aclose()
        if self._room is not None:
            await self._room.close()


def _apart(world: World) -> World:
    """A world that starts equal, with pages of its own."""
    other = World.from_snapshot(world.snapshot())
    other.parent, other.id = (world.id, world.position), "fork"
    return other
