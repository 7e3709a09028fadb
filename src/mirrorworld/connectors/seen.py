"""What a source has shown of itself: twins and points, and what is still to be declared.

For sources that say what they have only by and by. Everything is declared in one edit where that
goes, and what the world refuses is left out alone. Knows names and bounds; refuses to know any
protocol.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from mirrorworld.world.changes import (
    Edit,
    Edits,
    Event,
    PutPoints,
    PutRelation,
    PutTwin,
    PutType,
    Severity,
)
from mirrorworld.world.model import (
    PART_OF,
    Kind,
    PointType,
    Relation,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.ports import Sink

NO_HANDLE: Final = 0xFFFF_FFFF
TOLD_MAX: Final = 10_000


class SeenTwins:
    """The twins of one source.

    Attributes:
        narrower: how a person asks the source for less, for messages.
    """

    narrower = "narrow topics"

    def __init__(self, source: str, max_points: int) -> None:
        self.source = source
        self.max_points = max_points
        self.twins: dict[str, Twin] = {}
        self.guesses: dict[str, str] = {}
        """Twin → how it was guessed, for `discover`."""
        self.points: dict[str, dict[str, PointType]] = {}
        self.n_points = 0
        self._handles: dict[tuple[str, str], int] = {}
        self.all_types: list[TwinType] = []
        self._types: list[TwinType] = []
        self._new_twins: list[str] = []
        self._new_relations: list[Relation] = []
        self._new_points: dict[str, list[PointType]] = {}
        self._events: dict[str, Event] = {}
        self._told: set[str] = set()

    # --- twins and points

    def put_type(self, type_: TwinType) -> None:
        """Adds or replaces a type."""
        self._types.append(type_)
        self.all_types = [*(t for t in self.all_types if t.id != type_.id), type_]

    def put_type_once(self, type_: TwinType) -> None:
        """Adds a type if it is not there."""
        if type_ not in self.all_types:
            self.put_type(type_)

    def put(self, twin: Twin, parent: str, guess: str) -> None:
        """Adds or replaces a twin as a part of another ("" for none)."""
        if self.twins.get(twin.id) == twin:
            return
        is_new = twin.id not in self.twins
        self.twins[twin.id] = twin
        self.guesses[twin.id] = guess
        self._new_twins.append(twin.id)
        if is_new and parent:
            self._new_relations.append(Relation(PART_OF, twin.id, parent))

    def point(self, twin: str, name: str) -> PointType | None:
        """A point as it is known."""
        return self.points.get(twin, {}).get(name)

    def kind(self, twin: str, name: str) -> Kind | None:
        """Kind of a point, if it is known."""
        known = self.point(twin, name)
        return None if known is None else known.kind

    def add(self, twin: str, point: PointType, sink: Sink) -> bool:
        """Takes a point, or a better description of it; False if there are too many."""
        points = self.points.setdefault(twin, {})
        known = points.get(point.name)
        if known == point:
            return True
        if known is None:
            if self.n_points >= self.max_points:
                self.report(
                    self.source,
                    "",
                    "too_many_points",
                    f"more than max_points={self.max_points} names: '{twin}.{point.name}' and"
                    f" others are left out; raise max_points or {self.narrower}",
                    Severity.MEDIUM,
                )
                sink.count("over_max_points")
                return False
            self.n_points += 1
        points[point.name] = point
        self._new_points.setdefault(twin, []).append(point)
        return True

    def handle(self, twin: str, point: str) -> int:
        """Handle of a declared point; `NO_HANDLE` for one that was refused or never taken."""
        return self._handles.get((twin, point), NO_HANDLE)

    def report(self, twin: str, point: str, what: str, message: str, severity: Severity) -> None:
        """Has an event sent with the next declaration, once for each point and cause."""
        id_ = f"{self.source}/{what}/{twin}.{point}" if point else f"{self.source}/{what}"
        if id_ in self._told or len(self._told) >= TOLD_MAX:
            return
        self._told.add(id_)
        place = f"{twin}.{point}: " if point else ""
        text = Text((("en", place + message),))
        self._events[id_] = Event(id_, twin, what, text, severity, is_active=True)

    # --- declaring

    async def declare(self, sink: Sink) -> None:
        """Declares what is new. What the world refuses is counted, told, and left out."""
        if self._types or self._new_twins or self._new_relations or self._new_points:
            structure: list[Edit] = [PutType(type_) for type_ in self._types]
            structure += [PutTwin(self.twins[t]) for t in dict.fromkeys(self._new_twins)]
            structure += [PutRelation(relation) for relation in self._new_relations]
            points = [PutPoints(twin, tuple(new)) for twin, new in self._new_points.items()]
            self._types, self._new_twins, self._new_relations = [], [], []
            self._new_points = {}
            try:
                await sink.declare(Edits((*structure, *points), reason=f"seen at {self.source}"))
            except ValueError:
                await self._declare_one_by_one(structure, points, sink)
            self._learn(points, sink)
        events, self._events = self._events, {}
        for event in events.values():
            now = Event(
                event.id,
                event.twin,
                event.kind,
                event.message,
                event.severity,
                is_active=True,
                source_ns=sink.now_ns(),
            )
            await sink.event(now)

    async def _declare_one_by_one(
        self, structure: Iterable[Edit], points: Iterable[PutPoints], sink: Sink
    ) -> None:
        for edit in (*structure, *(PutPoints(p.twin, (q,)) for p in points for q in p.points)):
            try:
                await sink.declare(Edits((edit,), reason=f"seen at {self.source}"))
            except ValueError as error:
                sink.count("declaration_refused")
                if isinstance(edit, PutPoints):
                    name = edit.points[0].name
                    self._handles[edit.twin, name] = NO_HANDLE
                    self.report(edit.twin, name, "declaration_refused", str(error), Severity.MEDIUM)

    def _learn(self, points: Iterable[PutPoints], sink: Sink) -> None:
        """Looks up the handles of new points."""
        asked = [
            (put.twin, point.name)
            for put in points
            for point in put.points
            if (put.twin, point.name) not in self._handles
        ]
        try:
            found = sink.handles(asked)
        except KeyError:
            found = np.full(len(asked), NO_HANDLE, np.uint32)
            for i, one in enumerate(asked):
                try:
                    found[i] = sink.handles([one])[0]
                except KeyError:
                    sink.count("point_not_declared")
        self._handles.update(zip(asked, found.tolist(), strict=True))
