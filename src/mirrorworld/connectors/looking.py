"""What `discover` reads into: a sink that gives handles, declares nothing and keeps nothing."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Sequence

import numpy as np

from mirrorworld.connectors.seen import SeenTwins
from mirrorworld.world import quality
from mirrorworld.world.changes import Edits, Event, OriginKind
from mirrorworld.world.frames import Frame, Handles, rows
from mirrorworld.world.model import Kind, Scalar
from mirrorworld.world.ports import Finding


class LookingSink:
    """What `discover` reads into: it gives handles and declares nothing."""

    def __init__(self) -> None:
        self.points: list[tuple[str, str]] = []
        self._handles: dict[tuple[str, str], int] = {}

    def now_ns(self) -> int:
        """The wall clock."""
        return time.time_ns()

    async def declare(self, edits: Edits) -> None:
        """Nothing is declared."""

    def handles(self, points: Iterable[tuple[str, str]]) -> Handles:
        """Handles that only this sink knows."""
        found: list[int] = []
        for point in points:
            if point not in self._handles:
                self._handles[point] = len(self.points)
                self.points.append(point)
            found.append(self._handles[point])
        return np.array(found, np.uint32)

    async def push(
        self,
        frame: Frame,
        *,
        incarnation: int = 0,
        source_seq: int = -1,
        origin: OriginKind = OriginKind.MEASURED,
    ) -> int:
        """Nothing is kept."""
        return 0

    async def durable(self, ticket: int) -> None:
        """Nothing is kept."""

    async def event(self, event: Event, *, incarnation: int = 0, source_seq: int = -1) -> None:
        """Nobody is told."""

    def count(self, what: str, n: int = 1) -> None:
        """Nobody is told."""


def findings(
    twins: SeenTwins, limit: int, sink: LookingSink, frames: Sequence[Frame]
) -> list[Finding]:
    """What was seen, as twins with all their points and a value of each."""
    kinds = np.array(
        [twins.kind(twin, point) or Kind.FLOAT for twin, point in sink.points], np.uint8
    )
    labels = {
        (twin, point.name): dict(point.labels)
        for twin, points in twins.points.items()
        for point in points.values()
        if point.labels
    }
    values: dict[tuple[str, str], Scalar] = {}
    for frame in frames:
        for handle, value, code, _ in rows(frame, kinds):
            if code < quality.BAD and isinstance(value, bool | int | float | str):
                place = sink.points[handle]
                words = labels.get(place)
                values[place] = words.get(int(value), value) if words else value
    types = {type_.id: type_ for type_ in twins.all_types}
    found: list[Finding] = []
    for twin in list(twins.twins.values())[:limit]:
        points = tuple(twins.points.get(twin.id, {}).values())
        shown = ((p.name, values.get((twin.id, p.name))) for p in points[:20])
        found.append(
            Finding(
                dataclasses.replace(twin, points=points),
                types.get(twin.type),
                twins.guesses.get(twin.id, "seen"),
                tuple((name, value) for name, value in shown if value is not None),
            )
        )
    return found
