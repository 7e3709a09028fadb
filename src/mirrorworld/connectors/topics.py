"""Which twins and points a broker's topics have become, and what is still to be declared.

    site/line1/filler        an object     → twin `source/site/line1/filler`, its fields are points
    site/line1/filler/level  one value     → point `level` of the same twin

Every level above is a twin too, and each is part of the one above it. Knows names and bounds;
refuses to know payloads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from mirrorworld.connectors.guesses import iri_level
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
    Property,
    Relation,
    Text,
    Twin,
    TwinType,
)
from mirrorworld.world.ports import Sink

NO_HANDLE: Final = 0xFFFF_FFFF

TOPIC_TYPE: Final = TwinType(
    "mqtt:Topic",
    Text((("en", "MQTT topic"),)),
    description=Text((("en", "One level of a broker's topics, or what is published there"),)),
)
BROKER_TYPE: Final = TwinType(
    "mqtt:Broker",
    Text((("en", "MQTT broker"),)),
    description=Text((("en", "A broker whose topics are mirrored"),)),
)


class TopicTwins:
    """The twins of one source."""

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
        self._of_topic: dict[str, str] = {}
        self.put_type(BROKER_TYPE)
        self.put_type(TOPIC_TYPE)
        self.put(Twin(source, BROKER_TYPE.id, Text.of(source)), "", "the broker itself")

    # --- topics to twins

    def of_object(self, topic: str) -> str:
        """The twin of a topic that carries objects."""
        return self._topic_twin(
            topic.split("/"), "its payloads are objects: their fields are points"
        )

    def of_scalar(self, topic: str) -> tuple[str, str]:
        """(twin, point) of a topic that carries one value: the point is the last level."""
        *levels, leaf = topic.split("/")
        return self._topic_twin(levels, "topics right below carry one value each: its points"), leaf

    def _topic_twin(self, levels: list[str], guess: str) -> str:
        topic = "/".join(levels)
        known = self._of_topic.get(topic)
        if known is None:
            known = self.source
            for i, level in enumerate(levels):
                parent, known = known, f"{known}/{iri_level(level)}"
                if known not in self.twins:
                    path = "/".join(levels[: i + 1])
                    twin = Twin(
                        known,
                        TOPIC_TYPE.id,
                        Text.of(level or "(empty level)"),
                        (Property("topic", path),),
                    )
                    self.put(twin, parent, f"level of topic '{path}'")
            self._of_topic[topic] = known
        if levels:
            self.guesses[known] = f"topic '{topic}': {guess}"
        return known

    # --- twins and points

    def put_type(self, type_: TwinType) -> None:
        """Adds or replaces a type."""
        self._types.append(type_)
        self.all_types = [*(t for t in self.all_types if t.id != type_.id), type_]

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
                    " others are left out; raise max_points or narrow topics",
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
        if id_ in self._told or len(self._told) >= 10_000:
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
