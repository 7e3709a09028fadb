"""Structure: types, twins, points, relations and arms of one world, and how edits change them.

Twins have ordinals and points have handles: small integers given in the order of declaration and
never given again, so that the same log always leads to the same numbers. What a source declares
and what people say on top of it are kept apart and composed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mirrorworld.world.changes import (
    Arm,
    Disarm,
    DropProperty,
    DropRelation,
    DropSheet,
    DropTwin,
    Edit,
    Edits,
    PutGeometry,
    PutName,
    PutPointAbout,
    PutPoints,
    PutPose,
    PutProperty,
    PutRelation,
    PutSheet,
    PutTwin,
    PutType,
    PutTypeOf,
    Unsay,
)
from mirrorworld.world.frames import Handles
from mirrorworld.world.layers import layered
from mirrorworld.world.model import Kind, OperationType, PointType, Relation, Sheet, Twin, TwinType
from mirrorworld.world.naming import NONE, Layouts

MANY: Final = 1_000
"""Edits from which on it pays to keep the garbage collector away."""

SHEET_LENGTH_MAX: Final = 1_000_000

RelationKey = tuple[str, str, str, str]
Said = (
    PutName
    | PutPose
    | PutGeometry
    | PutTypeOf
    | PutProperty
    | DropProperty
    | PutPoints
    | PutPointAbout
)
Overlay = Said | DropRelation
OverlayKey = tuple[str, str]
SLOTS: Final = {
    "PutName": "PutName",
    "PutPose": "PutPose",
    "PutGeometry": "PutGeometry",
    "PutTypeOf": "PutTypeOf",
    "PutProperty": "property",
    "PutPoints": "point",
    "PutPointAbout": "about",
    "DropRelation": "relation",
}
"""Edit -> the first half of the key under which what it said of a twin is kept."""
_TABLES: Final = (
    *("types", "twins", "relations", "arms", "sheets", "_declared", "_ordinals", "_overlays"),
    *("_by_type", "_out", "_in", "_points", "_point_twin", "_point_type", "_described"),
)
"""What a fork shares with its origin until either writes to it."""
_NESTED: Final = ("_overlays", "_by_type", "_out", "_in")
"""Tables of tables: of these an inner one is copied when it is first written to."""
_COLUMNS: Final = ("kinds", "low", "high")
_FLAT: Final = frozenset({*_COLUMNS, "_declared", "_point_twin", "_point_type"})
"""Lists and arrays: these are copied whole."""
K = TypeVar("K")
V = TypeVar("V")
Undo = Callable[[], object]


class PointOf(NamedTuple):
    """A point of a twin: its name there, its handle and its type."""

    name: str
    handle: int
    type: PointType


class Structure:
    """All that a world is made of, apart from the values of its points."""

    def __init__(self) -> None:
        self.types: dict[str, TwinType] = {}
        self.twins: dict[str, Twin] = {}
        """Living twins by id, in order of declaration: as composed of all that was said."""
        self.relations: dict[RelationKey, Relation] = {}
        self.arms: dict[tuple[str, str], Arm] = {}
        self.sheets: dict[tuple[str, str], Sheet] = {}
        """By (kind, name)."""
        self.kinds: NDArray[np.uint8] = np.empty(0, np.uint8)
        """By handle; a view that grows."""
        self.low: NDArray[np.float64] = np.empty(0, np.float64)
        self.high: NDArray[np.float64] = np.empty(0, np.float64)
        """By handle; NaN where the range is open."""
        self.has_heap = False
        """Whether any point is of variable size."""
        self.version = 0
        """Grows with every edit that took effect."""
        self.touched: set[int] = set()
        """Ordinals of twins that edits may have changed since the reader last emptied it."""
        self._declared: list[Twin] = []
        self._ordinals: dict[str, int] = {}
        self._overlays: dict[int, dict[tuple[str, str], Overlay]] = {}
        self._by_type: dict[str, dict[int, bool]] = {}
        self._out: dict[str, dict[RelationKey, Relation]] = {}
        self._in: dict[str, dict[RelationKey, Relation]] = {}
        self._points: dict[int, Mapping[str, int]] = {}
        self._layouts = Layouts()
        self._point_twin: list[int] = []
        self._point_type: list[PointType] = []
        self._described: dict[int, PointType] = {}
        """What the source says of the points that people have said something about."""
        self._inherited: dict[str, tuple[PointType, ...]] = {}
        self._undo: list[Undo] = []
        self._is_restoring = False
        self._is_by_person = True
        self._shared: set[str] = set()
        """Names of tables and columns that others use too: copied before they are written to."""
        self._owned: dict[str, set[object]] | None = None
        """Of nested tables, the inner ones that nobody else uses; None: all of them."""
        self._is_fork = False

    # --- reading ---

    @property
    def n_points(self) -> int:
        """How many handles have been given."""
        return len(self._point_type)

    @property
    def n_ordinals(self) -> int:
        """How many ordinals have been given, those of dropped twins included."""
        return len(self._declared)

    def ordinal(self, twin: str) -> int:
        """The ordinal of a twin, dropped or not; KeyError if there never was one."""
        return self._ordinals[twin]

    def twin_at(self, ordinal: int) -> Twin | None:
        """The living twin of an ordinal."""
        return self.twins.get(self._declared[ordinal].id)

    def declared_at(self, ordinal: int) -> Twin:
        """What its source said of the twin of an ordinal, dropped or not."""
        return self._declared[ordinal]

    def point(self, handle: int) -> tuple[str, PointType]:
        """(twin id, type) of a handle."""
        return self._declared[self._point_twin[handle]].id, self._point_type[handle]

    def points_of(self, twin: str) -> list[PointOf]:
        """The points of a twin, in order of declaration."""
        points = self._points.get(self._ordinals[twin], NONE)
        return [PointOf(name, h, self._point_type[h]) for name, h in points.items()]

    def handle(self, twin: str, point: str) -> int:
        """The handle of a point; KeyError names what is unknown."""
        ordinal = self._ordinals.get(twin)
        if ordinal is None:
            raise KeyError(f"{twin}: no such twin")
        try:
            return self._points[ordinal][point]
        except KeyError:
            have = ", ".join(list(self._points.get(ordinal, NONE))[:8]) or "none"
            raise KeyError(f"{twin}.{point}: no such point; the twin has {have}") from None

    def handles(self, points: Iterable[tuple[str, str]]) -> Handles:
        """Handles of (twin, point name)."""
        return np.fromiter((self.handle(t, p) for t, p in points), np.uint32)

    def relations_from(self, twin: str) -> Iterator[Relation]:
        """Relations that start at a twin."""
        yield from self._out.get(twin, {}).values()

    def relations_to(self, twin: str) -> Iterator[Relation]:
        """Relations that end at a twin."""
        yield from self._in.get(twin, {}).values()

    def subtypes(self, type_id: str) -> set[str]:
        """The type and all that extend it, near or far."""
        found = {type_id}
        while True:
            more = {t.id for t in self.types.values() if t.id not in found and found & {*t.extends}}
            if not more:
                return found
            found |= more

    def supertypes(self, type_id: str) -> list[str]:
        """The type and those it extends, nearest first, each once."""
        found: list[str] = []
        queue = [type_id]
        while queue:
            name = queue.pop(0)
            if name not in found:
                found.append(name)
                known = self.types.get(name)
                queue.extend(known.extends if known else ())
        return found

    def of_type(self, type_id: str) -> list[int]:
        """Ordinals of the living twins of exactly this type, ascending."""
        return sorted(self._by_type.get(type_id, {}))

    def overlays(self) -> Iterator[Edit]:
        """What was said on top of the declarations, as edits that would say it again."""
        for of_twin in self._overlays.values():
            yield from of_twin.values()
        yield from map(PutSheet, self.sheets.values())

    def point_columns(self) -> tuple[NDArray[np.int32], list[PointType]]:
        """(twin ordinal, point type) by handle."""
        return np.array(self._point_twin, np.int32), self._point_type

    def described(self) -> list[PointType]:
        """Point types by handle, without what was said about them."""
        types = list(self._point_type)
        for handle, point in self._described.items():
            types[handle] = point
        return types

    def described_at(self, handle: int) -> PointType:
        """The type of a point, without what was said about it."""
        return self._described.get(handle, self._point_type[handle])

    def said(self, twin: str) -> dict[OverlayKey, Overlay]:
        """What people said of a living twin over its source, by (slot, name); see `SLOTS`."""
        return dict(self._overlays.get(self._ordinals[twin], {}))

    # --- changing ---

    def apply(self, edits: Edits, *, is_by_person: bool = True) -> tuple[Edit, ...]:
        """Makes the edits; returns those that changed anything.

        Args:
            is_by_person: whether a person says so, not a source: a relation that a person ended
                stays ended, however often its source declares it.

        Raises:
            ValueError: one was refused, and then none has taken effect.
        """
        self._is_by_person = is_by_person
        if len(edits.edits) < MANY:
            return self._apply_all(edits)
        with without_collecting():
            return self._apply_all(edits)

    def _apply_all(self, edits: Edits) -> tuple[Edit, ...]:
        self._undo = []
        n_points = self.n_points
        effective: list[Edit] = []
        try:
            for edit in edits.edits:
                if self._apply(edit):
                    effective.append(edit)
        except Exception:
            for undo in reversed(self._undo):
                undo()
            self._forget_points(n_points)
            self._inherited.clear()
            self.touched = {o for o in self.touched if o < len(self._declared)}
            raise
        finally:
            self._undo = []
        if effective:
            self.version += 1
        return tuple(effective)

    def restore(
        self,
        twins: Iterable[Twin],
        dropped: Iterable[int],
        relations: Iterable[Relation],
        point_twin: NDArray[np.int32],
        point_type: list[PointType],
    ) -> None:
        """Takes over ordinals, handles and relations as a snapshot has them, into an empty
        structure whose types are known already. `say_again` and arms follow."""
        gone = set(dropped)
        for ordinal, twin in enumerate(twins):
            self._ordinals[twin.id] = ordinal
            self._declared.append(twin)
            if ordinal not in gone:
                self.twins[twin.id] = twin
                self._by_type.setdefault(twin.type, {})[ordinal] = True
        self.touched.update(range(len(self._declared)))
        for relation in relations:
            key = relation.key
            self.relations[key] = relation
            self._out.setdefault(relation.source, {})[key] = relation
            self._in.setdefault(relation.target, {})[key] = relation
        self._point_twin = point_twin.tolist()
        self._point_type = point_type
        handle = 0
        for ordinal, together in itertools.groupby(self._point_twin):
            n = sum(1 for _ in together)
            names = [point.name for point in point_type[handle : handle + n]]
            have = self._points.get(ordinal, NONE)
            self._points[ordinal] = self._layouts.extended(have, names, handle)
            handle += n
        n = len(point_type)
        self.kinds = np.fromiter((t.kind for t in point_type), np.uint8, n)
        self.has_heap = any(t.kind.is_heap for t in set(point_type))
        nan = float("nan")
        self.low = np.fromiter((nan if t.low is None else t.low for t in point_type), float, n)
        self.high = np.fromiter((nan if t.high is None else t.high for t in point_type), float, n)
        self.version += 1

    def say_again(self, overlays: tuple[Edit, ...]) -> None:
        """Takes over what a snapshot has of what people said. It made sense when it was said,
        and holds even where what the source has declared since would now speak against it."""
        self._is_restoring = True
        try:
            self.apply(Edits(overlays))
        finally:
            self._is_restoring = False

    def fork(self) -> Structure:
        """A structure that starts equal and then goes its own way, at a cost that does not depend
        on the size: tables are shared until either of the two writes to one. Then the origin
        copies it, so that it stays as fast as it was, and the fork holds only what differs."""
        other = Structure()
        for name in (*_TABLES, *_COLUMNS):
            setattr(other, name, getattr(self, name))
        other.has_heap, other.version = self.has_heap, self.version
        other._layouts = self._layouts
        other._is_fork = True
        for one in (self, other):
            one._shared = {*_TABLES, *_COLUMNS}
            one._owned = {name: set() for name in _NESTED}
        return other

    def _own(self, name: str) -> Any:
        """A table, to be written to."""
        table = getattr(self, name)
        if name in self._shared:
            self._shared.discard(name)
            is_table = name not in _FLAT
            table = self._copied(table) if is_table else table.copy()
            setattr(self, name, table)
        return table

    def _inner(self, name: str, key: object) -> dict[Any, Any]:
        """The inner table of a nested one, to be written to; made where there is none."""
        outer: dict[object, dict[Any, Any]] = self._own(name)
        owned = None if self._owned is None else self._owned[name]
        inner = outer.get(key)
        if inner is None:
            inner = outer[key] = {}
        elif owned is not None and key not in owned:
            inner = outer[key] = self._copied(inner)
        if owned is not None:
            owned.add(key)
        return inner

    def _copied(self, table: dict[K, V]) -> dict[K, V]:
        return layered(table) if self._is_fork else dict(table)

    def _apply(self, edit: Edit) -> bool:
        match edit:
            case PutType(type=put):
                return self._put_type(put)
            case PutTwin(twin=twin):
                return self._put_twin(twin)
            case DropTwin(id=twin_id):
                return self._drop_twin(twin_id)
            case PutName() | PutPose() | PutGeometry() | PutTypeOf() | PutProperty():
                return self._say(edit)
            case DropProperty() | PutPoints() | PutPointAbout():
                return self._say(edit)
            case Unsay():
                return self._unsay(edit)
            case PutRelation(relation=relation):
                return self._put_relation(relation)
            case DropRelation(kind=kind, source=source, target=target, name=name):
                return self._drop_relation((kind, source, target, name))
            case Arm():
                return self._arm(edit)
            case Disarm(twin=twin_id, name=name):
                return self._set(self._own("arms"), (twin_id, name), None)
            case PutSheet(sheet=sheet):
                return self._put_sheet(sheet)
            case DropSheet(kind=kind, name=name):
                return self._set(self._own("sheets"), (kind, name), None)

    def _set(self, table: dict[K, V], key: K, value: V | None) -> bool:
        """Puts or (None) removes an entry; whether that changed anything."""
        old = table.get(key)
        if old == value:
            return False
        if value is None:
            del table[key]
        else:
            table[key] = value
        if old is None:
            self._undo.append(lambda: table.pop(key))
        else:
            self._undo.append(lambda: table.__setitem__(key, old))
        return True

    def _put_type(self, put: TwinType) -> bool:
        if not put.id:
            raise ValueError("a type needs an id")
        if put.id in put.extends:
            raise ValueError(f"{put.id}: a type cannot extend itself")
        _check_points(put.id, put.points)
        if not self._set(self._own("types"), put.id, put):
            return False
        self._inherited.clear()
        kinds = self.subtypes(put.id)
        of = {ordinal for type_id in kinds for ordinal in self.of_type(type_id)}
        of |= {o for o in self._retyped() if self._declared[o].type in kinds}
        for ordinal in sorted(of):
            self._give_points(ordinal)
            self.touched.add(ordinal)
        return True

    def _retyped(self) -> Iterator[int]:
        """Ordinals of the twins whose type people have said."""
        return (o for o, said in self._overlays.items() if ("PutTypeOf", "") in said)

    def _put_twin(self, twin: Twin) -> bool:
        if not twin.id or any(c in twin.id for c in "\n\r\t\0"):
            raise ValueError(
                f"{twin.id!r} is not an id of a twin: an IRI without control characters"
            )
        _check_points(twin.id, twin.points)
        ordinal = self._ordinals.get(twin.id)
        if ordinal is None:
            ordinal = len(self._declared)
            self._set(self._own("_ordinals"), twin.id, ordinal)
            declared: list[Twin] = self._own("_declared")
            declared.append(twin)
            self._undo.append(declared.pop)
        elif self._declared[ordinal] == twin and twin.id in self.twins:
            return False
        else:
            old, at = self._declared[ordinal], ordinal
            self._own("_declared")[ordinal] = twin
            self._undo.append(lambda: self._declared.__setitem__(at, old))
        self._compose(ordinal)
        self._give_points(ordinal)
        return True

    def _compose(self, ordinal: int) -> None:
        """Puts together what is declared and said of a twin."""
        declared = self._declared[ordinal]
        said = self._overlays.get(ordinal)
        twin = _composed(declared, said) if said else declared
        old = self.twins.get(twin.id)
        if old is None or old.type != twin.type:
            if old is not None:
                self._set(self._inner("_by_type", old.type), ordinal, None)
            self._set(self._inner("_by_type", twin.type), ordinal, True)
        self._set(self._own("twins"), twin.id, twin)
        self.touched.add(ordinal)

    def _drop_twin(self, twin_id: str) -> bool:
        twin = self.twins.get(twin_id)
        if twin is None:
            return False
        for relation in (*self.relations_from(twin_id), *self.relations_to(twin_id)):
            self._remove_relation(relation.key)
        for key in [key for key in self.arms if key[0] == twin_id]:
            self._set(self._own("arms"), key, None)
        ordinal = self._ordinals[twin_id]
        for handle in self._points.get(ordinal, NONE).values():
            self._say_about(handle, None)
        self._set(self._inner("_by_type", twin.type), ordinal, None)
        self._set(self._own("twins"), twin_id, None)
        self._set(self._own("_overlays"), ordinal, None)
        self.touched.add(ordinal)
        return True

    def _say(self, said: Said) -> bool:
        if said.twin not in self.twins:
            raise ValueError(f"{said.twin}: no such twin")
        ordinal = self._ordinals[said.twin]
        new = self._inner("_overlays", ordinal)
        match said:
            case PutProperty(property=prop):
                if not prop.name:
                    raise ValueError(f"{said.twin}: a property at the top needs a name")
                changed = self._set(new, ("property", prop.name), said)
            case DropProperty(name=name):
                known = self.twins[said.twin].property(name) is not None
                changed = (known or self._is_restoring) and self._set(new, ("property", name), said)
            case PutPoints(points=points):
                _check_points(said.twin, points)
                changed = False
                for point in points:
                    one = PutPoints(said.twin, (point,))
                    changed |= self._set(new, ("point", point.name), one)
            case PutPointAbout(point=point):
                handle = self.handle(said.twin, point) if self._has(ordinal, point) else None
                if handle is None:
                    raise ValueError(f"{said.twin}: no point '{point}' to say something about")
                changed = self._set(new, ("about", point), said)
                if changed:
                    self._say_about(handle, said)
                    if not self._is_restoring:
                        _check_points(said.twin, (self._point_type[handle],))
            case _:
                changed = self._set(new, (type(said).__name__, ""), said)
        if changed:
            self._compose(ordinal)
            if isinstance(said, PutPoints | PutTypeOf):
                self._give_points(ordinal)
        return changed

    def _has(self, ordinal: int, point: str) -> bool:
        return point in self._points.get(ordinal, NONE)

    def _unsay(self, edit: Unsay) -> bool:
        if edit.twin not in self.twins:
            raise ValueError(f"{edit.twin}: no such twin")
        slot = SLOTS.get(edit.what)
        if slot is None:
            raise ValueError(f"'{edit.what}' says nothing of a twin; {', '.join(SLOTS)} do")
        ordinal = self._ordinals[edit.twin]
        if (slot, edit.name) not in self._overlays.get(ordinal, {}):
            return False
        said = self._inner("_overlays", ordinal)
        before = dict(said)
        del said[(slot, edit.name)]

        def undo() -> None:  # in the order in which it was said, since that shows
            said.clear()
            said.update(before)

        self._undo.append(undo)
        if slot == "about":
            self._say_about(self.handle(edit.twin, edit.name), None)
        self._compose(ordinal)
        self._give_points(ordinal)
        return True

    def _put_relation(self, relation: Relation) -> bool:
        for end in (relation.source, relation.target):
            if end not in self.twins:
                raise ValueError(
                    f"{relation.source} -{relation.kind}-> {relation.target}: no twin '{end}'"
                )
        if not relation.kind:
            raise ValueError(f"{relation.source} -> {relation.target}: a relation needs a kind")
        ended = self._ended(relation.key)
        if ended is not None:
            if not self._is_by_person:
                return False
            self._set(ended, ended_key(relation.key), None)
        changed = self._set(self._own("relations"), relation.key, relation)
        if changed:
            self._set(self._inner("_out", relation.source), relation.key, relation)
            self._set(self._inner("_in", relation.target), relation.key, relation)
        return changed

    def _drop_relation(self, key: RelationKey) -> bool:
        is_ended = False
        if self._is_by_person and key[1] in self.twins:
            said = self._inner("_overlays", self._ordinals[key[1]])
            is_ended = self._set(said, ended_key(key), DropRelation(*key))
        if key not in self.relations:
            return is_ended
        self._remove_relation(key)
        return True

    def _remove_relation(self, key: RelationKey) -> None:
        relation = self.relations.get(key)
        if relation is None:
            return
        self._set(self._own("relations"), key, None)
        self._set(self._inner("_out", relation.source), key, None)
        self._set(self._inner("_in", relation.target), key, None)

    def _ended(self, key: RelationKey) -> dict[OverlayKey, Overlay] | None:
        """Where it is said that a person ended a relation; None: nobody did."""
        ordinal = self._ordinals[key[1]]
        said = self._overlays.get(ordinal)
        if said is None or ended_key(key) not in said:
            return None
        return self._inner("_overlays", ordinal)

    def _arm(self, arm: Arm) -> bool:
        twin = self.twins.get(arm.twin)
        if twin is None:
            raise ValueError(f"{arm.twin}: no such twin")
        is_point = arm.name in self._points.get(self._ordinals[arm.twin], NONE)
        if not is_point and arm.name not in {o.name for o in self.operations_of(arm.twin)}:
            raise ValueError(f"{arm.twin}: no point or operation '{arm.name}' to arm")
        return self._set(self._own("arms"), (arm.twin, arm.name), arm)

    def _put_sheet(self, sheet: Sheet) -> bool:
        if not sheet.kind or not sheet.name:
            raise ValueError("a sheet needs a kind and a name")
        if len(sheet.body) > SHEET_LENGTH_MAX:
            raise ValueError(
                f"{sheet.kind} '{sheet.name}': {len(sheet.body)} characters; a sheet has at most"
                f" {SHEET_LENGTH_MAX}"
            )
        return self._set(self._own("sheets"), (sheet.kind, sheet.name), sheet)

    def operations_of(self, twin_id: str) -> list[OperationType]:
        """The operations of a twin: its own, then those of its types."""
        twin = self.twins[twin_id]
        found = {operation.name: operation for operation in twin.operations}
        for type_id in self.supertypes(twin.type):
            known = self.types.get(type_id)
            for operation in known.operations if known else ():
                found.setdefault(operation.name, operation)
        return list(found.values())

    # --- points ---

    def _points_of_type(self, type_id: str, path: tuple[str, ...] = ()) -> tuple[PointType, ...]:
        """The points that a type gives to its twins: its own, inherited, and of components."""
        known = self._inherited.get(type_id)
        if known is None:
            found: dict[str, PointType] = {}
            for name in self.supertypes(type_id):
                declared = self.types.get(name)
                if declared is None:
                    continue
                for point in declared.points:
                    found.setdefault(point.name, point)
                for component, component_type in declared.components:
                    if component_type in (*path, type_id):
                        raise ValueError(f"{type_id}: component '{component}' contains itself")
                    for point in self._points_of_type(component_type, (*path, type_id)):
                        inner = f"{component}/{point.name}"
                        found.setdefault(inner, dataclasses.replace(point, name=inner))
            known = self._inherited[type_id] = tuple(found.values())
        return known

    def _give_points(self, ordinal: int) -> None:
        """Gives a twin the points of its types and its own. Its source's word on them holds over
        that of a type that people said it has, and people's word on a point over both."""
        declared, twin = self._declared[ordinal], self.twins[self._declared[ordinal].id]
        points = {point.name: point for point in self._points_of_type(declared.type)}
        points.update((point.name, point) for point in twin.points)
        if twin.type != declared.type:
            for point in self._points_of_type(twin.type):
                if point.name not in points and not self._has(ordinal, point.name):
                    points[point.name] = point
        self._add_points(ordinal, points.values())

    def _say_about(self, handle: int, said: PutPointAbout | None) -> None:
        """Puts what is said about a point over its description, or (None) takes it off."""
        shown = self._point_type[handle]
        bare = self._described.get(handle, shown)
        self._set(self._own("_described"), handle, None if said is None else bare)
        new = bare if said is None else _about(bare, said)
        if new != shown:
            self._describe(handle, new)
            self._undo.append(lambda: self._describe(handle, shown))

    def _add_points(self, ordinal: int, points: Iterable[PointType]) -> None:
        have = self._points.get(ordinal, NONE)
        twin_id = self._declared[ordinal].id
        first = len(self._point_type)
        names: list[str] = []
        for point in points:
            handle = have.get(point.name)
            if handle is None:
                names.append(point.name)
                self._own("_point_twin").append(ordinal)
                self._own("_point_type").append(point)
            elif self._described.get(handle, self._point_type[handle]) != point:
                old = self._point_type[handle]
                if old.kind != point.kind:
                    raise ValueError(
                        f"{twin_id}.{point.name}: is {old.kind.name}, cannot become"
                        f" {point.kind.name}; declare it under another name"
                    )
                if handle in self._described:
                    self._set(self._own("_described"), handle, point)
                    about = self._overlays[ordinal][("about", point.name)]
                    point = _about(point, about)
                self._describe(handle, point)
                self._undo.append(lambda handle=handle, old=old: self._describe(handle, old))
        if names:
            self._own("_points")[ordinal] = self._layouts.extended(have, names, first)
            self._undo.append(lambda: self._points.__setitem__(ordinal, have))
            self._grow(first)

    def _describe(self, handle: int, point: PointType) -> None:
        self._own("_point_type")[handle] = point
        if handle >= len(self.low):
            return  # added by the same edit; the columns follow when they grow
        nan = float("nan")
        self._own("low")[handle] = nan if point.low is None else point.low
        self._own("high")[handle] = nan if point.high is None else point.high

    def _grow(self, first: int) -> None:
        """Extends the columns by handle; capacity doubles so that many small additions stay
        linear."""
        n = len(self._point_type)
        for name, fill in (("kinds", 0), ("low", np.nan), ("high", np.nan)):
            column = self._own(name)
            room = column.base if column.base is not None else column
            if len(room) < n:
                room = np.full(max(n, 2 * len(room), 64), fill, column.dtype)
                room[:first] = column[:first]
            setattr(self, name, room[:n])
        for handle in range(first, n):
            kind = self._point_type[handle].kind
            self.kinds[handle] = kind
            self.has_heap = self.has_heap or kind.is_heap
            self._describe(handle, self._point_type[handle])

    def _forget_points(self, first: int) -> None:
        if first == self.n_points:
            return
        del self._point_twin[first:], self._point_type[first:]
        self.kinds, self.low, self.high = self.kinds[:first], self.low[:first], self.high[:first]


@contextlib.contextmanager
def without_collecting() -> Generator[None, None, None]:
    """Keeps Python's cyclic garbage collector away while very many lasting objects are made: it
    would look through all of them again and again, and find nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _check_points(where: str, points: tuple[PointType, ...]) -> None:
    seen: set[str] = set()
    for point in points:
        if not point.name:
            raise ValueError(f"{where}: a point needs a name")
        if point.name in seen:
            raise ValueError(f"{where}: two points are called '{point.name}'")
        if point.low is not None and point.high is not None and point.low > point.high:
            raise ValueError(
                f"{where}.{point.name}: range from {point.low} to {point.high} is empty"
            )
        if point.kind not in Kind:
            raise ValueError(f"{where}.{point.name}: unknown kind {point.kind}")
        seen.add(point.name)


def ended_key(key: RelationKey) -> OverlayKey:
    """Under which key of its source it is said that a person ended a relation."""
    kind, _, target, name = key
    return ("relation", f"{kind}\t{target}\t{name}")


def _about(point: PointType, said: Overlay) -> PointType:
    """The point with what people said about it."""
    assert isinstance(said, PutPointAbout)
    names = ("unit", "low", "high", "semantic_ids", "labels", "description")
    over = {name: value for name in names if (value := getattr(said, name)) is not None}
    return dataclasses.replace(point, **over)


def _composed(twin: Twin, overlays: Mapping[OverlayKey, Overlay]) -> Twin:
    """The twin with what was said on top, in the order in which it was said."""
    type_id, name, pose, geometry = twin.type, twin.name, twin.pose, twin.geometry
    properties, points = twin.properties, twin.points
    for said in overlays.values():
        match said:
            case PutProperty(property=put):
                properties = (*[p for p in properties if p.name != put.name], put)
            case DropProperty(name=gone):
                properties = tuple([p for p in properties if p.name != gone])
            case PutName():
                name = said.name
            case PutPose():
                pose, geometry = said.pose, said.geometry or geometry
            case PutTypeOf():
                type_id = said.type
            case PutPoints(points=put):
                names = {p.name for p in put}
                points = (*[p for p in points if p.name not in names], *put)
            case DropRelation() | PutGeometry():
                pass  # no part of the twin; and below
            case PutPointAbout():
                pass  # it shows in the point's own type, whether twin or type declared it
    look = overlays.get(("PutGeometry", ""))
    if isinstance(look, PutGeometry):  # over a place that brings a look, said before or after
        geometry = look.geometry
    return Twin(twin.id, type_id, name, properties, points, twin.operations, pose, geometry)
