"""A small line, kept on a disk and served with its branches, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from mirrorworld.branches.room import room_of
from mirrorworld.branches.routes import router
from mirrorworld.live.mirror import Mirror
from mirrorworld.record import open_record, restore
from mirrorworld.server import serve
from mirrorworld.trust.accounts import Accounts
from mirrorworld.world.changes import (
    Arm,
    Change,
    Edits,
    Origin,
    OriginKind,
    PutRelation,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.model import Kind, PointType, Pose, Property, Relation, Text, Twin, TwinType
from mirrorworld.world.world import World
from tests.beside import beside

TOKEN = "a-token-of-the-owner-of-this-world-0123456789"
START = 1_780_000_000_000_000_000
SECOND = 1_000_000_000
MACHINE = TwinType(
    "t:Machine",
    Text.of("Machine"),
    points=(
        PointType("speed", Kind.FLOAT, "/min", 0.0, 400.0, is_writable=True),
        PointType("count", Kind.INT),
        PointType("state", Kind.ENUM, labels=((0, "off"), (1, "auto"))),
        PointType("order", Kind.TEXT),
        PointType("level", Kind.FLOAT, "%"),
    ),
)


def make(directory: Path) -> None:
    """Writes the world's record."""
    with open_record(directory / "record", "line", create=True) as record:
        world = World("line", epoch=record.epoch)

        def put(body: Any, at_s: float, kind: OriginKind = OriginKind.MEASURED) -> None:
            change = Change(body, Origin(kind, "plant"), START + int(at_s * SECOND), "plant")
            applied = world.apply(change).change
            assert applied is not None
            record.append(applied)

        twins = [
            Twin(f"line1/{name}", "t:Machine", Text.of(name), pose=Pose(x_m=float(i)))
            for i, name in enumerate(("rinser", "filler", "capper"))
        ]
        put(
            Edits(
                (
                    PutType(MACHINE),
                    PutTwin(Twin("line1", "t:Line", Text.of("Line 1"))),
                    *map(PutTwin, twins),
                    *(PutRelation(Relation("part_of", t.id, "line1")) for t in twins),
                    Arm("line1/filler", "speed", low=0.0, high=300.0),
                )
            ),
            0,
        )
        for minute in range(10):
            builder = FrameBuilder()
            at_ns = START + minute * 60 * SECOND
            for i, twin in enumerate(twins):
                for name, value in (
                    ("speed", 100.0 + minute),
                    ("count", minute * 100 + i),
                    ("state", 1),
                    ("order", f"A-{minute}"),
                    ("level", 50.0 + i),
                ):
                    handle = world.structure.handle(twin.id, name)
                    builder.add(handle, Kind(int(world.kinds[handle])), value, at_ns)
            put(builder.build(), minute * 60 + 1)
        record.commit()


@dataclass
class Served:
    """Where it is served."""

    url: str
    directory: Path
    mirror: Mirror
    loop: asyncio.AbstractEventLoop
    client: httpx.Client

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """What is answered; fails where that is a problem."""
        answer = self.client.request(method, f"/api{path}", **more)
        assert answer.status_code < 400, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs something on the loop that owns the world."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def branch(self, name: str = "b", **more: Any) -> str:
        """Makes a branch; returns its id."""
        return self.ask("POST", "/branches", json={"name": name, **more})["id"]

    def value(self, branch: str, point: str) -> Any:
        """A value in a branch (empty id: in the live world)."""
        path = f"/branches/{branch}/world/points" if branch else "/points"
        return self.ask("GET", path, params={"id": point})["points"][0]["value"]


@contextlib.contextmanager
def served(directory: Path, accounts: Accounts | None = None) -> Iterator[Served]:
    """Serves it for as long as the test needs it."""
    if not (directory / "record").exists():
        make(directory)

    async def main(stop: asyncio.Event, ready: Callable[[Served], None]) -> None:
        record = open_record(directory / "record")
        mirror = Mirror(restore(record), record, {})
        await mirror.start()
        room = room_of(mirror, directory / "branches")
        await room.start()

        def on_ready(address: str) -> None:
            client = httpx.Client(
                base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
            )
            ready(Served(address, directory, mirror, asyncio.get_running_loop(), client))

        await serve(
            mirror,
            token=TOKEN,
            accounts=accounts,
            port=0,
            routers=[router],
            on_ready=on_ready,
            stop=stop,
        )
        await room.close()
        await mirror.stop()

    with beside(main) as found:
        try:
            yield found
        finally:
            found.client.close()


__all__ = ["MACHINE", "SECOND", "START", "TOKEN", "Property", "Served", "make", "served"]
