"""Worlds over real records that tests publish and mirror."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mirrorworld.connectors.zenoh_session import Place
from mirrorworld.live.guard import RoleGuard
from mirrorworld.live.pipeline import Pipeline, SourceSink
from mirrorworld.plane.publisher import Publisher
from mirrorworld.plane.site import Site
from mirrorworld.record.store import Store, open_record, restore
from mirrorworld.world.changes import Edits, PutRelation, PutTwin
from mirrorworld.world.frames import Frame, frame, rows
from mirrorworld.world.model import PART_OF, Kind, PointType, Relation, Text, Twin
from mirrorworld.world.ports import SourceConfig

SOURCE_NS = 1_700_000_000_000_000_000
Row = tuple[str, str, object, int, int]
"""(twin, point, value, quality, source time)."""


@dataclass
class Edge:
    """A world that a test writes, as its source `plant`."""

    record: Store
    pipeline: Pipeline
    sink: SourceSink
    handles: np.ndarray
    n: int = 0

    async def declare(self, n_points: int = 4) -> None:
        """A plant of a line with points and a machine with a text."""
        points = tuple(PointType(f"p{i}", unit="Cel") for i in range(n_points))
        await self.sink.declare(
            Edits(
                (
                    PutTwin(Twin("plant", name=Text.of("Plant"), points=points)),
                    PutTwin(Twin("plant/mill", points=(PointType("state", Kind.TEXT),))),
                    PutRelation(Relation(PART_OF, "plant/mill", "plant")),
                )
            )
        )
        self.handles = self.sink.handles([("plant", f"p{i}") for i in range(n_points)])

    async def emit(self, n: int = 1) -> None:
        """`n` changes, each with a sample of each point."""
        for _ in range(n):
            self.n += 1
            time = SOURCE_NS + self.n * 1_000_000
            value = self.n + np.arange(len(self.handles)) / 1000
            await self.sink.push(frame(self.handles, value, time))

    async def durable(self) -> None:
        """Waits until all of it is on disk."""
        await self.pipeline.until_durable(self.pipeline.world.position.sequence)

    def publisher(self, place: Place, site: str = "north") -> Publisher:
        """What publishes it, as it stands now."""
        return Publisher(self.pipeline, self.record, site, place)


@contextlib.asynccontextmanager
async def edge_world(directory: Path, **options: object) -> AsyncIterator[Edge]:
    """A world to write."""
    record = open_record(directory, "edge", compacts=False, **options)  # type: ignore[arg-type]
    pipeline = Pipeline(restore(record), record, RoleGuard())
    pipeline.start()
    sink = SourceSink(pipeline, "plant", has_live_clock=False)
    try:
        yield Edge(record, pipeline, sink, np.empty(0, np.uint32))
    finally:
        await pipeline.stop()


@dataclass
class Centre:
    """A world that mirrors a site."""

    record: Store
    pipeline: Pipeline
    sink: SourceSink
    connector: Site
    task: asyncio.Task[None]

    def rows(self) -> list[Row]:
        """All samples as they were applied."""
        return rows_of(self.record, self.pipeline)


@contextlib.asynccontextmanager
async def centre_world(
    directory: Path, url: str, name: str = "north", **options: str | bool | int
) -> AsyncIterator[Centre]:
    """A world that mirrors the site at a URL, for the length of a block."""
    record = open_record(directory, "centre", compacts=False)
    pipeline = Pipeline(restore(record), record, RoleGuard())
    pipeline.start()
    sink = SourceSink(pipeline, name, has_live_clock=False)
    connector = Site(SourceConfig(url, name, options))
    task = asyncio.create_task(connector.run(sink))
    try:
        yield Centre(record, pipeline, sink, connector, task)
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await pipeline.stop()


@contextlib.asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[Publisher]:
    """Publishes for the length of a block."""
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def rows_of(record: Store, pipeline: Pipeline) -> list[Row]:
    """All samples of a record in the order of its log, by name."""
    record.commit()
    world = pipeline.world
    found: list[Row] = []
    for change in record.log.changes(0):
        if isinstance(change.body, Frame):
            for handle, value, quality, source_ns in rows(change.body, world.kinds):
                twin, point = world.point(handle)
                found.append((twin, point.name, value, quality, source_ns))
    return found


def below(name: str, found: Sequence[Row]) -> list[Row]:
    """Rows as they are called at who mirrors them under a name."""
    return [(f"{name}/{twin}", *rest) for twin, *rest in found]  # type: ignore[misc]
