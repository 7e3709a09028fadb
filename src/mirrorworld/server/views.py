"""Views: what viewers are sent of a world, encoded once for all who are due the same.

A viewer is due what came after its position. Viewers of the same points who keep up have the
same position, so the bytes are made for the first of them and kept until the next slot (a
sixtieth of a second). Law 1 holds for every view: whole + changes = fresh whole.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.protocol import binary, messages
from mirrorworld.protocol.answers import plain_value, rows
from mirrorworld.protocol.messages import (
    RATE_HZ_MAX,
    ArmKey,
    Commands,
    Events,
    PointTable,
    RelationKey,
    SheetKey,
    Sources,
    Structure,
    TextAt,
    Texts,
    TwinAt,
)
from mirrorworld.server import answers
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import (
    Arm,
    Change,
    Command,
    Disarm,
    DropRelation,
    DropSheet,
    DropTwin,
    Edits,
    Event,
    Position,
    PutRelation,
    PutSheet,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import decode
from mirrorworld.world.model import Kind, PointType, Relation
from mirrorworld.world.plain import to_plain
from mirrorworld.world.state import Columns
from mirrorworld.world.world import World

TWINS_A_PART: Final = 500
TWINS_AT_ONCE: Final = 2_000
"""Where more have changed at once, viewers start afresh, since only the whole is made in pauses."""
RELATIONS_A_PART: Final = 2_000
ARRAY_MAX: Final = 2_048
"""Longer arrays, and texts of as many bytes, are sent only to who asks for them."""
EVENTS_AT_START: Final = 2_000
WHOLES_KEPT: Final = 4
PACE_OVER: Final = 10
"""So many changes are looked at before the instants of telling move."""
PACES_KEPT: Final = 16


class Selection:
    """The points that a viewer watches and may see. `handles` None: all that it may see."""

    def __init__(self, handles: Iterable[int] | None) -> None:
        wanted = None if handles is None else np.unique(np.fromiter(handles, np.int64))
        self._wanted = wanted
        self.key: tuple[object, ...] = () if wanted is None else (wanted.tobytes(),)
        self._mask: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._made_for: object = None

    def rows(self, world: World, sight: Sight, handles: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Those of the handles that are selected and seen."""
        if self._wanted is None and sight.is_whole:
            return handles
        made_for = (world.n_points, sight.key)
        if made_for != self._made_for:
            self._made_for, self._mask = made_for, np.zeros(world.n_points, np.bool_)
            if self._wanted is None:
                known = np.arange(world.n_points, dtype=np.uint32)
            else:
                inside = (self._wanted >= 0) & (self._wanted < world.n_points)
                known = self._wanted[inside].astype(np.uint32)
            self._mask[sight.handles(known)] = True
        return handles[self._mask[handles]]


@dataclass(frozen=True, slots=True)
class Due:
    """Bytes and texts to be sent in this order, and the position up to which they tell."""

    position: Position
    parts: tuple[bytes | str, ...] = ()


@dataclass(slots=True)
class _Dirt:
    """What edits have touched, by name: what is told is how it is now."""

    types: dict[str, None] = field(default_factory=dict)
    twins: dict[str, None] = field(default_factory=dict)
    ended: dict[str, None] = field(default_factory=dict)
    relations: dict[tuple[str, str, str, str], None] = field(default_factory=dict)
    arms: dict[tuple[str, str], None] = field(default_factory=dict)
    sheets: dict[tuple[str, str], None] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)

    def note(self, world: World, changes: Sequence[Change]) -> None:
        for change in changes:
            match change.body:
                case Edits(edits=edits):
                    for edit in edits:
                        self._note_edit(world, edit)
                case Event() as event:
                    self.events.pop(event.id, None)
                    self.events[event.id] = event
                case Command() as command:
                    self.commands.pop(command.id, None)
                    self.commands[command.id] = command
                case _:
                    pass

    def _note_edit(self, world: World, edit: Any) -> None:
        structure = world.structure
        match edit:
            case PutType(type=put):
                self.types[put.id] = None
                for type_id in structure.subtypes(put.id):
                    for ordinal in structure.of_type(type_id):
                        self.twins[structure.declared_at(ordinal).id] = None
            case PutTwin(twin=twin):
                self.twins[twin.id] = None
            case DropTwin(id=twin_id):
                self.ended[twin_id] = None
            case PutRelation(relation=relation):
                self.relations[relation.key] = None
            case DropRelation(kind=kind, source=source, target=target, name=name):
                self.relations[(kind, source, target, name)] = None
            case Arm(twin=twin_id, name=name) | Disarm(twin=twin_id, name=name):
                self.arms[(twin_id, name)] = None
            case PutSheet(sheet=sheet):
                self.sheets[(sheet.kind, sheet.name)] = None
            case DropSheet(kind=kind, name=name):
                self.sheets[(kind, name)] = None
            case _:
                self.twins[edit.twin] = None


class Pace:
    """The instants at which all viewers of one rate are told, so that they share what is encoded.

    They move to just after what comes in, where that comes at a rhythm of its own: a plant that
    speaks as often as its viewers listen would else wait for its turn, always equally long.
    """

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._offset_s = 0.0
        self._ages_s: list[float] = []
        self._position = Position(0, 0)

    def next_at(self, now_s: float) -> float:
        """The instant after this one, on the clock that is asked with."""
        period_s, offset_s = self._period_s, self._offset_s
        at_s = (math.floor((now_s - offset_s) / period_s) + 1) * period_s + offset_s
        return at_s if at_s > now_s else at_s + period_s

    def note(self, position: Position, age_s: float) -> None:
        """A viewer is about to be told up to a position, which came so long ago."""
        if position == self._position or not 0 <= age_s < self._period_s:
            return
        self._position = position
        self._ages_s.append(age_s)
        if len(self._ages_s) < PACE_OVER:
            return
        least_s, most_s = min(self._ages_s), max(self._ages_s)
        self._ages_s.clear()
        if least_s > 0.2 * self._period_s:
            self._offset_s -= least_s - 0.1 * self._period_s
        elif most_s > 0.9 * self._period_s:  # some come just after their turn, for once
            self._offset_s += 0.1 * self._period_s


class Views:
    """Encodes what viewers are due, and keeps it while it may be shared."""

    def __init__(self, mirror: Mirrored, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._mirror = mirror
        self._clock = clock
        self._slot = -1
        self._shared: dict[object, Due | None] = {}
        self._wholes: dict[object, tuple[int, tuple[str, ...]]] = {}
        self._paces: dict[float, Pace] = {}
        self._building = asyncio.Lock()
        self._sources: tuple[int, str] = (-1, "")
        self.viewers = 0
        self.people = 0
        """In a meeting."""
        self.arranging = 0
        """Pages on which somebody arranges the plant."""
        self.encoded = 0
        """How often something was encoded, and how often that could be shared."""
        self.shared = 0

    @property
    def world(self) -> World:
        """The world that is viewed."""
        return self._mirror.world

    def now_ms(self) -> float:
        """The server's clock in Unix milliseconds."""
        return self._mirror.now_ns() / 1e6

    def next_at(self, period_s: float, now_s: float) -> float:
        """When viewers that are told once in a period are told next, on the loop's clock."""
        pace = self._paces.get(period_s)
        if pace is None:
            if len(self._paces) >= PACES_KEPT:
                self._paces.clear()
            pace = self._paces[period_s] = Pace(period_s)
        return pace.next_at(now_s)

    def note_telling(self, period_s: float) -> None:
        """Viewers of a period are told now: how old is what they hear of?"""
        pace = self._paces.get(period_s)
        if pace is not None:
            age_s = (self._mirror.now_ns() - self.world.received_ns) / 1e9
            pace.note(self.world.position, age_s)

    async def pause(self) -> None:
        """Waits as long as a viewer waits for its next delta."""
        await asyncio.sleep(1 / messages.RATE_HZ_DEFAULT)

    def _kept(self, key: object, make: Callable[[], Due | None]) -> Due | None:
        slot = int(self._clock() * RATE_HZ_MAX)
        if slot != self._slot:
            self._slot = slot
            self._shared.clear()
        if key in self._shared:
            self.shared += 1
        else:
            self.encoded += 1
            self._shared[key] = make()
        return self._shared[key]

    # --- values ---

    def values(self, sight: Sight, selection: Selection, after: Position | None) -> Due:
        """Latest values that came after a position, or (None) all of them as a snapshot."""
        key = ("values", sight.key, selection.key, after)
        due = self._kept(key, lambda: self._values(sight, selection, after))
        assert due is not None
        return due

    def _values(self, sight: Sight, selection: Selection, after: Position | None) -> Due:
        world = self.world
        changed = world.state.changed_after(-1 if after is None else after.sequence)
        handles = selection.rows(world, sight, changed)
        position = world.position
        if after is not None and not len(handles):
            return Due(position)
        kind, flags = (binary.SNAPSHOT, binary.WHOLE) if after is None else (binary.DELTA, 0)
        columns = world.read(handles)
        frames = frames_of(world, handles, columns, kind, flags, position, self.now_ms())
        texts = texts_of(world, handles, position.sequence)
        return Due(position, (*texts, *frames))  # the frame ends the moment

    # --- everything else ---

    def news(self, sight: Sight, after: Position) -> Due | None:
        """Changes of structure, events and commands after a position; None: too long ago."""
        return self._kept(("news", sight.key, after), lambda: self._news(sight, after))

    def _news(self, sight: Sight, after: Position) -> Due | None:
        world = self.world
        changes, position = world.changes_after(after), world.position
        if not changes:
            return None if changes is None else Due(position)
        dirt = _Dirt()
        dirt.note(world, changes)
        if len(dirt.twins) > TWINS_AT_ONCE:
            return None
        parts = list(self._structure(sight, dirt, position))
        if events := [e for e in dirt.events.values() if sight.sees(e.twin)]:
            parts.append(_json(Events([to_plain(e) for e in events])))
        if commands := [c for c in dirt.commands.values() if sight.sees(c.twin)]:
            parts.append(_json(Commands([to_plain(c) for c in commands])))
        return Due(position, tuple(parts))

    def _structure(self, sight: Sight, dirt: _Dirt, position: Position) -> Iterable[str]:
        structure = self.world.structure
        alive = sight.twins(t for t in dirt.twins if t in structure.twins)
        ended = [TwinAt(structure.ordinal(twin), None) for twin in sight.twins(dirt.ended)]
        relations: dict[tuple[str, str, str, str], Relation] = {}
        dropped: list[RelationKey] = []
        for key in dirt.relations:
            relation = structure.relations.get(key)
            if relation is not None:
                relations[key] = relation
            elif sight.sees(key[1]) and sight.sees(key[2]):
                dropped.append(RelationKey(*key))
        arms = [arm for key in dirt.arms if (arm := structure.arms.get(key))]
        gone = [ArmKey(*key) for key in dirt.arms if key not in structure.arms]
        types = [to_plain(structure.types[t]) for t in dirt.types if t in structure.types]
        sheets = [to_plain(s) for key in dirt.sheets if (s := structure.sheets.get(key))]
        torn = [SheetKey(*key) for key in dirt.sheets if key not in structure.sheets]
        if not any((alive, ended, relations, dropped, arms, gone, types, sheets, torn)):
            return
        seen = sight.relations(relations.values())
        chunks = _chunks(alive, TWINS_A_PART)
        parts = max(1, len(chunks))
        for part in range(parts):
            message = self._part(position, chunks[part] if chunks else [])
            if part == 0:
                message = dataclasses.replace(
                    message,
                    types=types,
                    twins=[*ended, *message.twins],
                    relations_dropped=dropped,
                    arms_dropped=[key for key in gone if sight.sees(key.twin)],
                    sheets=sheets,
                    sheets_dropped=torn,
                )
            if part == parts - 1:
                message = dataclasses.replace(
                    message,
                    relations=[to_plain(r) for r in seen],
                    arms=[to_plain(arm) for arm in arms if sight.sees(arm.twin)],
                )
            yield _json(dataclasses.replace(message, part=part, parts=parts))

    def _part(self, position: Position, twins: Sequence[str]) -> Structure:
        """Twins with their points, as they are now."""
        structure = self.world.structure
        rows: list[TwinAt] = []
        types: dict[PointType, int] = {}
        table = PointTable()
        for twin_id in twins:
            twin = structure.twins.get(twin_id)
            if twin is None:  # it ended while parts were made; that follows as news
                continue
            ordinal = structure.ordinal(twin_id)
            rows.append(TwinAt(ordinal, to_plain(twin)))
            for point in structure.points_of(twin_id):
                table.handle.append(point.handle)
                table.twin.append(ordinal)
                table.type.append(types.setdefault(point.type, len(types)))
        return Structure(
            str(position), twins=rows, point_types=[to_plain(t) for t in types], points=table
        )

    async def whole(self, sight: Sight) -> Due:
        """All structure, in parts; made a part at a time so that the loop goes on meanwhile."""
        async with self._building:
            structure = self.world.structure
            known = self._wholes.get(sight.key)
            position = self.world.position
            if known is not None and known[0] == structure.version:
                return Due(position, known[1])
            version = structure.version
            parts = [part async for part in self._whole(sight, position)]
            if len(self._wholes) >= WHOLES_KEPT:
                self._wholes.pop(next(iter(self._wholes)))
            self._wholes[sight.key] = (version, tuple(parts))
            return Due(position, tuple(parts))

    async def _whole(self, sight: Sight, position: Position) -> AsyncIterator[str]:
        structure = self.world.structure
        types = [to_plain(t) for t in structure.types.values()]
        arms = [to_plain(a) for a in structure.arms.values() if sight.sees(a.twin)]
        sheets = [to_plain(sheet) for sheet in structure.sheets.values()]
        twins = _chunks(sight.twins(structure.twins), TWINS_A_PART) or [[]]
        relations = _chunks(sight.relations(structure.relations.values()), RELATIONS_A_PART)
        parts = len(twins) + max(1, len(relations))
        for part, chunk in enumerate(twins):
            message = self._part(position, chunk)
            first = {"reset": True, "types": types} if part == 0 else {}
            yield _json(dataclasses.replace(message, part=part, parts=parts, **first))
            await asyncio.sleep(0)
        for part, related in enumerate(relations or [[]], len(twins)):
            is_last = part == parts - 1
            message = Structure(
                str(position),
                part=part,
                parts=parts,
                relations=[to_plain(r) for r in related],
                arms=arms if is_last else [],
                sheets=sheets if is_last else [],
            )
            yield _json(message)
            await asyncio.sleep(0)

    def conditions(self, sight: Sight) -> list[str]:
        """Events and commands as they stand, for a viewer that begins."""
        world = self.world
        latest = list(itertools.islice(reversed(world.events.values()), EVENTS_AT_START))
        active = [e for e in world.events.values() if e.is_active]
        events = {e.id: e for e in (*active, *reversed(latest)) if sight.sees(e.twin)}
        commands = [c for c in world.commands.values() if sight.sees(c.twin)]
        return [
            _json(Events([to_plain(e) for e in events.values()], reset=True)),
            _json(Commands([to_plain(c) for c in commands], reset=True)),
        ]

    def sources(self) -> str:
        """The sources as they stand this second."""
        second = int(self._clock())
        if second != self._sources[0]:
            message = Sources(
                sources=[answers.source(status) for status in self._mirror.sources()],
                position=str(self.world.position),
                durable=str(self._mirror.durable),
                viewers=self.viewers,
                people=self.people,
                rows=rows(self.world),
                written=len(self.world.writings),
                arranging=self.arranging,
            )
            self._sources = (second, _json(message))
        return self._sources[1]


def frames_of(
    world: World,
    handles: NDArray[np.uint32],
    columns: Columns,
    kind: int,
    flags: int,
    position: Position,
    base_ms: float,
) -> list[bytes]:
    """Samples as binary frames; more than one only where there are very many rows."""
    origins = np.array([origin.kind for origin in world.origins] or [0], np.uint8)
    value = binary.numbers(columns.cell, world.kinds[handles])
    status = binary.status(columns.quality, origins[columns.origin])
    age_ms = binary.ages(columns.source_ns, base_ms)
    frames: list[bytes] = []
    for start in range(0, max(len(handles), 1), binary.ROWS_MAX):
        rows = slice(start, start + binary.ROWS_MAX)
        has_more = start + binary.ROWS_MAX < len(handles)
        frames.append(
            binary.encode(
                kind,
                handles[rows],
                value[rows],
                status[rows],
                age_ms[rows],
                sequence=position.sequence,
                epoch=position.epoch,
                base_ms=base_ms,
                flags=flags | (binary.MORE if has_more else 0),
            )
        )
    return frames


def texts_of(
    world: World,
    handles: NDArray[np.uint32],
    sequence: int,
    payload: Callable[[int], bytes] | None = None,
) -> list[str]:
    """The values among the handles that are no numbers, as one message, if there are any."""
    if not world.structure.has_heap:
        return []
    payload = payload or world.heap
    in_heap = handles[world.kinds[handles] >= Kind.TEXT]
    if not len(in_heap):
        return []
    values: list[TextAt] = []
    for handle in in_heap.tolist():
        kind, heap = Kind(int(world.kinds[handle])), payload(handle)
        if len(heap) > ARRAY_MAX * (8 if kind is Kind.ARRAY else 1) or kind is Kind.BLOB:
            values.append(TextAt(handle, None, is_left_out=True))
        else:
            value = plain_value(decode(kind, heap)) if heap else None
            values.append(TextAt(handle, value))
    return [_json(Texts(sequence, values))]


def _json(message: Any) -> str:
    return messages.encode(message).decode()


def _chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
