"""A mirror over a real record on disk, with a source that tests hold in their hands."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from mirrorworld.live.guard import OWNER, principal
from mirrorworld.live.mirror import Mirror
from mirrorworld.record.store import open_record, restore
from mirrorworld.world.changes import Arm, Command, CommandState, Edits, PutTwin
from mirrorworld.world.frames import FrameBuilder
from mirrorworld.world.model import Kind, OperationType, PointType, Twin
from mirrorworld.world.ports import Finding, Link, LinkState, Sink, SourceConfig

PUMP = Twin(
    "plant/pump",
    points=(
        PointType("speed", unit="1/min", low=0, high=3000, is_writable=True),
        PointType("mode", Kind.ENUM, labels=((0, "off"), (1, "on")), is_writable=True),
        PointType("guard_closed", Kind.BOOL),
    ),
    operations=(OperationType("purge"),),
)


class HandSource:
    """A connector whose source is the test: it declares a pump and takes what it is told."""

    schemes = ("hand",)

    def __init__(self, config: SourceConfig) -> None:
        self.config = config
        self.link = Link(LinkState.CONNECTING)
        self.sink: Sink | None = None
        self.written: list[Command] = []
        self.answer = CommandState.SENT
        self.answers = asyncio.Event()
        self.answers.set()
        self.is_running = asyncio.Event()
        self.was_asked = asyncio.Event()

    async def discover(self, limit: int = 10_000) -> Sequence[Finding]:
        return [Finding(PUMP, None, "it is in the test")]

    async def run(self, sink: Sink) -> None:
        await sink.declare(Edits((PutTwin(PUMP),)))
        self.sink = sink
        self.link = Link(LinkState.LIVE)
        self.is_running.set()
        await asyncio.Event().wait()

    async def write(self, command: Command) -> Command:
        self.written.append(command)
        self.was_asked.set()
        await self.answers.wait()
        return dataclasses.replace(command, state=self.answer, detail="")

    async def report(self, point: str, kind: Kind, value: float | bool, quality: int = 0) -> int:
        assert self.sink is not None
        builder = FrameBuilder()
        handle = int(self.sink.handles([(PUMP.id, point)])[0])
        builder.add(handle, kind, value, self.sink.now_ns(), quality)
        ticket = await self.sink.push(builder.build())
        await self.sink.durable(ticket)
        return ticket


async def open_mirror(folder: Path) -> Mirror:
    """A started mirror with the hand-held source, opened as `mirrorworld up` does."""
    record = open_record(folder / "record", "w")
    mirror = Mirror(restore(record), record, {"hand": HandSource})
    await mirror.start()
    source = mirror.feeds.add(SourceConfig("hand://", "plant"))
    assert isinstance(source.connector, HandSource)
    async with asyncio.timeout(10):
        await source.connector.is_running.wait()
    return mirror


@pytest.fixture
async def mirror(tmp_path: Path) -> AsyncIterator[Mirror]:
    made = await open_mirror(tmp_path)
    await made.edit(
        principal("kim", OWNER),
        Edits((Arm(PUMP.id, "speed"), Arm(PUMP.id, "mode"), Arm(PUMP.id, "purge"))),
    )
    yield made
    await made.stop()


@pytest.fixture
def source(mirror: Mirror) -> HandSource:
    connector = mirror.feeds.get("plant").connector
    assert isinstance(connector, HandSource)
    return connector
