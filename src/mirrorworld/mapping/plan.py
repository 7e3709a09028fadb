"""What a mapping would change in a structure: rows that a person reads, and the edits that do it.

Works through twins in chunks, so that whoever asks on an event loop lets others in between.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from mirrorworld import units
from mirrorworld.mapping.book import Mapping, SetPlace, SetPoint, SetRelation
from mirrorworld.world.changes import (
    DropRelation,
    Edit,
    PutName,
    PutPointAbout,
    PutPose,
    PutProperty,
    PutRelation,
    PutTypeOf,
)
from mirrorworld.world.model import PART_OF, Kind, PointType, Pose, Property, Relation, Text, Twin
from mirrorworld.world.structure import Overlay, OverlayKey, Structure, without_collecting
from mirrorworld.world.wholes import KINDS, Wholes, ring_words

CHUNK: Final = 2_000
ROWS_MAX: Final = 500_000

BY_HAND: Final = "a person said otherwise before"
KEPT: Final = "kept as a person said it"
NOT_CONVERTED: Final = "values are not converted"


class Row(NamedTuple):
    """One thing that would be said of one twin."""

    twin: str
    what: str
    """name, type, serial_number, property, place, relation, unit, range, semantic_id, description
    or labels."""
    of: str
    """The name of the property or point, the kind of the relation; else empty."""
    before: str
    after: str
    note: str
    """What a person should know before: a conflict, or why it is left out."""
    is_left_out: bool
    edits: tuple[Edit, ...]


class Plan:
    """What a mapping would do.

    Args:
        sees: whether a twin is shown to the one who asks; others are as if they were not there.
        may_edit: whether they may edit a twin; others are passed over.
        only: ids of the twins that are asked for; None: all.

    Attributes:
        rows: what would be said, twin by twin.
        matched: how many twins fit the patterns.
        waiting: twins for which something is left out since another twin is not there yet.
    """

    def __init__(
        self,
        structure: Structure,
        mapping: Mapping,
        *,
        sees: Callable[[str], bool] = lambda _: True,
        may_edit: Callable[[str], bool] = lambda _: True,
        only: Iterable[str] | None = None,
    ) -> None:
        self.rows: list[Row] = []
        self.matched = 0
        self.waiting: list[str] = []
        self._structure, self._mapping, self._sees = structure, mapping, sees
        self._may_edit = may_edit
        self._only = None if only is None else frozenset(only)
        self._wholes = Wholes(structure)
        self._told: dict[str, SetPoint | None] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._version = structure.version

    @property
    def is_stale(self) -> bool:
        """Whether the structure has changed since it was begun."""
        return self._structure.version != self._version

    def work(self) -> Iterator[None]:
        """Works it out; pauses after each chunk of twins.

        Raises:
            ValueError: it would say more than `ROWS_MAX` things.
        """
        twins = list(self._structure.twins.values())
        for start in range(0, len(twins), CHUNK):
            with without_collecting():
                self._work(twins[start : start + CHUNK])
            if len(self.rows) > ROWS_MAX:
                raise ValueError(
                    f"this would say more than {ROWS_MAX} things at once; narrow the pattern"
                )
            yield

    def _work(self, twins: Iterable[Twin]) -> None:
        for twin in twins:
            values = self._match(twin)
            if values is None:
                continue
            index = self.matched  # counted whether or not only some are asked for
            self.matched += 1
            if self._only is None or twin.id in self._only:
                self._plan(twin, values, index)

    def worked(self) -> Plan:
        """Itself, worked out in one go."""
        for _ in self.work():
            pass
        return self

    def edits(self) -> tuple[Edit, ...]:
        """What does it, apart from what is left out."""
        return tuple(edit for row in self.rows for edit in row.edits)

    # --- one twin ---

    def _match(self, twin: Twin) -> dict[str, str] | None:
        mapping = self._mapping
        values: dict[str, str] = {}
        if mapping.id is not None:
            found = mapping.id.match(twin.id)
            if found is None:
                return None
            values = found
        if mapping.type is not None:
            found = mapping.type.match(twin.type)
            if found is None:
                return None
            values.update(found)
        name = twin.name.best("en") or twin.id
        if mapping.name is not None:
            found = mapping.name.match(name)
            if found is None:
                return None
            values.update(found)
        is_there = twin.id in self._structure.twins
        if not is_there or not self._sees(twin.id) or not self._may_edit(twin.id):
            return None
        values.update(id=twin.id, leaf=twin.id.rpartition("/")[2], name=name, type=twin.type)
        return values

    def _plan(self, twin: Twin, values: dict[str, str], index: int) -> None:
        mapping = self._mapping
        said = self._structure.said(twin.id)
        if mapping.set_name is not None:
            self._name(twin, said, self._filled(mapping.set_name.fill, values))
        if mapping.set_type is not None:
            self._type(twin, said, self._filled(mapping.set_type.fill, values))
        if mapping.serial_number is not None:
            after = self._filled(mapping.serial_number.fill, values)
            self._property(twin, said, "serial_number", after)
        for name, template in mapping.properties:
            self._property(twin, said, name, self._filled(template.fill, values))
        if mapping.place is not None:
            self._place(twin, said, mapping.place, values, index)
        for relation in mapping.relations:
            self._relation(twin, relation, self._filled(relation.other.fill, values))
        if mapping.points:
            self._points(twin, said, values)

    @staticmethod
    def _filled(fill: Callable[[dict[str, str]], str], values: dict[str, str]) -> str | ValueError:
        try:
            return fill(values)
        except ValueError as error:
            return error

    def _say(
        self,
        twin: str,
        what: str,
        of: str,
        before: str,
        after: str,
        edit: Edit,
        said: dict[OverlayKey, Overlay],
        key: OverlayKey,
        note: str = "",
    ) -> None:
        """A row of something that lies over a source's word."""
        old = said.get(key)
        is_kept = old is not None and self._mapping.keep_said
        if old is not None:
            note = KEPT if is_kept else f"{BY_HAND}; {note}" if note else BY_HAND
        self.rows.append(
            Row(twin, what, of, before, after, note, is_kept, () if is_kept else (edit,))
        )

    def _leave_out(
        self, twin: str, what: str, of: str, before: str, after: str, why: str | ValueError
    ) -> None:
        self.rows.append(Row(twin, what, of, before, after, str(why), True, ()))

    def _unique(self, what: str, after: str, twin: str) -> str:
        """A note where another twin is given the same."""
        first = self._names.setdefault((what, after), twin)
        return "" if first == twin else f"{first} is given the same"

    def _name(self, twin: Twin, said: dict[OverlayKey, Overlay], after: str | ValueError) -> None:
        before = twin.name.best("en")
        if isinstance(after, ValueError):
            self._leave_out(twin.id, "name", "", before, "", after)
        elif not after.strip():
            self._leave_out(twin.id, "name", "", before, "", "the name becomes empty")
        elif after != before:
            note = self._unique("name", after, twin.id)
            edit = PutName(twin.id, Text.of(after))
            self._say(twin.id, "name", "", before, after, edit, said, ("PutName", ""), note)

    def _type(self, twin: Twin, said: dict[OverlayKey, Overlay], after: str | ValueError) -> None:
        if isinstance(after, ValueError):
            self._leave_out(twin.id, "type", "", twin.type, "", after)
        elif after != twin.type:
            note = "" if after in self._structure.types else "no such type is described yet"
            edit, key = PutTypeOf(twin.id, after), ("PutTypeOf", "")
            self._say(twin.id, "type", "", twin.type, after, edit, said, key, note)

    def _property(
        self, twin: Twin, said: dict[OverlayKey, Overlay], name: str, after: str | ValueError
    ) -> None:
        is_serial = name == "serial_number"
        what, of = ("serial_number", "") if is_serial else ("property", name)
        old = next((p for p in twin.properties if p.name == name), None)
        before = "" if old is None or old.value is None else str(old.value)[:200]
        if isinstance(after, ValueError):
            self._leave_out(twin.id, what, of, before, "", after)
        elif old is None or old.value != after:
            note = self._unique(what, after, twin.id) if is_serial else ""
            put = Property(name, after) if old is None else dataclasses.replace(old, value=after)
            edit, key = PutProperty(twin.id, put), ("property", name)
            self._say(twin.id, what, of, before, after, edit, said, key, note)

    def _place(
        self,
        twin: Twin,
        said: dict[OverlayKey, Overlay],
        place: SetPlace,
        values: dict[str, str],
        index: int,
    ) -> None:
        before = _where(twin.pose)
        if place.by:
            text = values[place.by]
            if not (text.isascii() and text.isdigit() and len(text) <= 7):
                why = f"{{{place.by}}} is '{text[:40]}', which counts nothing"
                self._leave_out(twin.id, "place", "", before, "", why)
                return
            index = int(text)
        row, column = divmod(index, place.per_row) if place.per_row else (0, index)
        x_m, y_m, z_m = (
            start + step * column + row_step * row
            for start, step, row_step in zip(
                place.start_m, place.step_m, place.row_step_m, strict=True
            )
        )
        pose = dataclasses.replace(twin.pose or Pose(), x_m=x_m, y_m=y_m, z_m=z_m)
        if pose != twin.pose:
            after = _where(pose)
            note = self._unique("place", after, twin.id)
            edit, key = PutPose(twin.id, pose), ("PutPose", "")
            self._say(twin.id, "place", "", before, after, edit, said, key, note)

    def _relation(self, twin: Twin, relation: SetRelation, other: str | ValueError) -> None:
        kind, structure = relation.kind, self._structure
        if isinstance(other, ValueError):
            self._leave_out(twin.id, "relation", kind, "", "", other)
            return
        source, target = (other, twin.id) if relation.is_inward else (twin.id, other)
        shown = f"{source} → {target}" if relation.is_inward else other
        if other not in structure.twins or not self._sees(other):
            self.waiting.append(twin.id)
            self._leave_out(twin.id, "relation", kind, "", shown, f"there is no twin '{other}'")
            return
        if relation.is_inward and not self._may_edit(other):
            self._leave_out(twin.id, "relation", kind, "", shown, f"you may not edit {other}")
            return
        if any(
            r.kind == kind and r.target == target and not r.name
            for r in structure.relations_from(source)
        ):
            return
        drops: list[Edit] = []
        before = ""
        if kind == PART_OF:
            # A thing is part of one whole: what it was part of gives way.
            old = [r for r in structure.relations_from(source) if r.kind == kind]
            if old and self._mapping.keep_said:
                self._leave_out(twin.id, "relation", kind, old[0].target, shown, KEPT)
                return
            drops = [DropRelation(*r.key) for r in old]
            before = ", ".join(r.target for r in old)
        if kind in KINDS:
            way = self._wholes.way(kind, target, source)
            if way is not None:
                why = ring_words(kind, source, way)
                self._leave_out(twin.id, "relation", kind, before, shown, why)
                return
            for drop in drops:
                assert isinstance(drop, DropRelation)
                self._wholes.drop((drop.kind, drop.source, drop.target, drop.name))
            self._wholes.put(kind, source, target)
        edits = (*drops, PutRelation(Relation(kind, source, target)))
        self.rows.append(Row(twin.id, "relation", kind, before, shown, "", False, edits))

    # --- points ---

    def _points(self, twin: Twin, said: dict[OverlayKey, Overlay], values: dict[str, str]) -> None:
        for point in self._structure.points_of(twin.id):
            told = self._told.get(point.name)
            if point.name not in self._told:
                fitting = (p for p in self._mapping.points if p.match.match(point.name) is not None)
                told = self._told[point.name] = functools.reduce(_over, fitting, None)
            if told is not None:
                self._point(twin.id, point.type, told, said, values)

    def _point(
        self,
        twin: str,
        point: PointType,
        told: SetPoint,
        said: dict[OverlayKey, Overlay],
        values: dict[str, str],
    ) -> None:
        key = ("about", point.name)
        old = said.get(key)
        if old is not None and self._mapping.keep_said:
            self._leave_out(twin, "unit" if told.unit is not None else "range", point.name, "", "",
                            KEPT)  # fmt: skip
            return
        about = old if isinstance(old, PutPointAbout) else PutPointAbout(twin, point.name)
        note = BY_HAND if old is not None else ""
        rows: list[tuple[str, str, str, str]] = []  # what, before, after, note
        over: dict[str, object] = {}
        leave_out = functools.partial(self._leave_out, twin)
        if told.unit is not None and told.unit != point.unit:
            if point.kind > Kind.INT and point.kind != Kind.ARRAY:
                why = f"it is {point.kind.name.lower()}, which has no unit"
                leave_out("unit", point.name, point.unit, told.unit, why)
            else:
                over["unit"] = told.unit
                rows.append(("unit", point.unit, told.unit, _unit_note(point.unit, told.unit)))
        low = told.low if told.low is not None else point.low
        high = told.high if told.high is not None else point.high
        if (low, high) != (point.low, point.high):
            before, after = _range(point.low, point.high), _range(low, high)
            if low is not None and high is not None and low > high:
                leave_out("range", point.name, before, after, "the range is empty")
            elif point.kind > Kind.ENUM:
                why = f"it is {point.kind.name.lower()}, which has no range"
                leave_out("range", point.name, before, after, why)
            else:
                over |= {
                    side: v for side, v in (("low", told.low), ("high", told.high)) if v is not None
                }
                rows.append(("range", before, after, ""))
        try:
            if told.semantic_ids is not None:
                ids = tuple(filter(None, (each.fill(values) for each in told.semantic_ids)))
                if ids != point.semantic_ids:
                    over["semantic_ids"] = ids
                    before = ", ".join(point.semantic_ids)
                    rows.append(("semantic_id", before, ", ".join(ids), ""))
            if told.description is not None:
                text = Text.of(told.description.fill(values))
                if text != point.description:
                    over["description"] = text
                    rows.append(("description", point.description.best("en"), text.best("en"), ""))
        except ValueError as error:
            leave_out("description", point.name, "", "", error)
        if told.labels is not None and told.labels != point.labels:
            before, after = _labels(point.labels), _labels(told.labels)
            if point.kind not in (Kind.INT, Kind.ENUM, Kind.BOOL):
                why = f"it is {point.kind.name.lower()}, which has no states"
                leave_out("labels", point.name, before, after, why)
            else:
                over["labels"] = told.labels
                rows.append(("labels", before, after, ""))
        if not rows:
            return
        edit = dataclasses.replace(about, **over)  # pyright: ignore[reportArgumentType]
        edits: tuple[Edit, ...] = (edit,)
        for what, before, after, own in rows:
            shown = "; ".join(filter(None, (note, own)))
            self.rows.append(Row(twin, what, point.name, before, after, shown, False, edits))
            edits = ()


def _over(first: SetPoint | None, then: SetPoint) -> SetPoint:
    """What two patterns say of one point: of each thing, what the later one says."""
    if first is None:
        return then
    names = ("unit", "low", "high", "semantic_ids", "description", "labels")
    over = {name: value for name in names if (value := getattr(then, name)) is not None}
    return dataclasses.replace(first, **over)


@functools.lru_cache(maxsize=256)
def _unit_note(before: str, after: str) -> str:
    if not before:
        return ""
    return NOT_CONVERTED if units.fits(before, after) else f"{before} is of another kind"


def _where(pose: Pose | None) -> str:
    return "" if pose is None else f"{pose.x_m:g}, {pose.y_m:g}, {pose.z_m:g} m"


def _range(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    return f"{'…' if low is None else f'{low:g}'} – {'…' if high is None else f'{high:g}'}"


def _labels(labels: tuple[tuple[int, str], ...]) -> str:
    return ", ".join(f"{code} {label}" for code, label in labels[:8])
