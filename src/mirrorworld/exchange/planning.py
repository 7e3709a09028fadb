"""What a world file would change in a world: only that, as one list of edits, each with its line.

- What people made and said in the file is made so. What sources declare (`declared`) is only filled
  in where it is missing, since a source's own word holds over an older copy of it.
- Twins that are there already are changed by the smaller edits, so that an import can be undone and
  undoes no source's work.
- Nothing is removed, unless the file that was brought in before is known: what has gone from the
  file since is then taken back, where nobody has changed it otherwise.
- What is said of twins that are not there yet waits for them.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mirrorworld.live import sheets
from mirrorworld.live.wording import words
from mirrorworld.standards import world_yaml
from mirrorworld.standards.world_yaml import ARMED, Placed, WorldText
from mirrorworld.standards.world_yaml.reading import Key, Place
from mirrorworld.world.changes import (
    Arm,
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
from mirrorworld.world.model import Pose, Sheet, Twin
from mirrorworld.world.ports import Carried
from mirrorworld.world.structure import Structure, ended_key
from mirrorworld.world.world import World

ORDER: Final = ("declared", "types", "twins", "said", "sheets", "arms")


@dataclass(frozen=True, slots=True)
class Step:
    """One edit that would change something."""

    edit: Edit
    line: int
    """In the file; 0: it is about what is no longer there."""
    is_new: bool
    """Whether it makes something that was not there."""


@dataclass(slots=True)
class Plan:
    """What a file would change, what waits for twins to come, and what is not carried."""

    steps: list[Step] = field(default_factory=list[Step])
    waiting: list[Placed] = field(default_factory=list[Placed])
    lost: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def edits(self, reason: str) -> Edits:
        """All of it as one change."""
        return Edits(tuple(step.edit for step in self.steps), reason)


def plan(
    text: WorldText,
    trial: Structure,
    name: str,
    *,
    before: WorldText | None = None,
    with_arms: bool = False,
) -> Plan:
    """What a file would change.

    Args:
        trial: a fork of the world's structure; it is used up.
        name: the file's, for messages.
        before: what was brought in from the file before.

    Raises:
        ValueError: it cannot be made so; the message names file, line and column.
    """
    planner = _Planner(trial, name)
    old = {} if before is None else before.entries
    known = {key: {one.edit for one in some} for key, some in old.items()}
    ordered = sorted(text.entries.items(), key=lambda entry: ORDER.index(entry[0][0]))
    relations: list[tuple[Key, Placed]] = []
    for key, some in ordered:
        for one in some:
            if one.edit in known.get(key, ()):
                continue
            if isinstance(one.edit, PutRelation):
                relations.append((key, one))
            elif not isinstance(one.edit, Arm):
                planner.take(key, one, _put_twin(old.get(key, ())))
    for key, one in relations:
        planner.take(key, one, None)
    arms = [one for one in text.placed("arms") if one.edit not in known.get(_arm_key(one), ())]
    if with_arms:
        for one in arms:
            planner.take(("arms",), one, None)
    elif arms:
        planner.plan.lost.append((f"{name}: arms", f"{len(arms)} points and operations: {ARMED}"))
    planner.take_back(old, text)
    return planner.plan


def taken(path: Path, world: World, *, with_arms: bool = False) -> tuple[Edits, Carried]:
    """What a file changes in a world that does not run, and the report of it.

    Raises:
        ValueError: the file cannot be read or made so; the message names line and column.
    """
    text = world_yaml.read_file(path)
    found = plan(text, world.structure.fork(), str(path), with_arms=with_arms)
    lost = [
        (f"{path}: line {one.at[0]}", f"{' '.join(words(one.edit)[1:])}: no such twin or point yet")
        for one in found.waiting
    ]
    lost += found.lost
    lost += [(f"{path}: source {name}", "mirrorworld up with the file adds it")
             for name in text.sources]  # fmt: skip
    edits = found.edits(f"import of {path.name}")
    return edits, world_yaml.counted(edits.edits, lost)


def still_waiting(waiting: Iterable[Placed], trial: Structure, name: str) -> Plan:
    """What of that which waits can be made so now."""
    planner = _Planner(trial, name)
    for one in waiting:
        planner.take(("said",), one, None)
    return planner.plan


def _arm_key(one: Placed) -> Key:
    assert isinstance(one.edit, Arm)
    return ("arms", one.edit.twin)


def _put_twin(some: Iterable[Placed]) -> Twin | None:
    return next((one.edit.twin for one in some if isinstance(one.edit, PutTwin)), None)


class _Planner:
    """Tries edit after edit on a copy of the structure, and keeps those that changed it."""

    def __init__(self, trial: Structure, name: str) -> None:
        self.trial, self.name = trial, name
        self.plan = Plan()

    def take(self, key: Key, one: Placed, old: Twin | None) -> None:
        """Makes one edit of the file."""
        trial, edit, is_declared = self.trial, one.edit, key[0] == "declared"
        match edit:
            case PutType(type=put):
                if not (is_declared and put.id in trial.types):
                    self._try(edit, one.at, put.id not in trial.types)
            case PutTwin(twin=twin):
                if twin.id not in trial.twins:
                    self._try(edit, one.at, True)
                elif not is_declared:
                    for each in self._difference(twin, old):
                        self._try(each, one.at, False)
            case PutRelation(relation=relation):
                is_there = relation.key in trial.relations
                if {relation.source, relation.target} - trial.twins.keys():
                    self.plan.waiting.append(one)
                elif not (is_declared and is_there):
                    self._try(edit, one.at, not is_there)
            case DropRelation(source=source):
                if source not in trial.twins:
                    self.plan.waiting.append(one)
                else:
                    self._try(edit, one.at, False)
            case PutSheet(sheet=sheet):
                there = trial.sheets.get((sheet.kind, sheet.name))
                if there is None or not _same(there, sheet):
                    self._try(edit, one.at, there is None)
            case PutPointAbout(twin=twin, point=point):
                if twin not in trial.twins or point not in _points(trial, twin):
                    self.plan.waiting.append(one)
                else:
                    self._try(edit, one.at, False)
            case _:
                twin = str(getattr(edit, "twin", ""))
                if twin not in trial.twins:
                    self.plan.waiting.append(one)
                else:
                    self._try(edit, one.at, isinstance(edit, Arm))

    def take_back(self, old: dict[Key, tuple[Placed, ...]], text: WorldText) -> None:
        """Takes back what stood in the file before and does no longer."""
        gone: list[Edit] = []
        for key, some in old.items():
            if key[0] in ("declared", "types", "arms"):
                continue
            kept = {_what(one.edit) for one in text.entries.get(key, ())}
            gone += [one.edit for one in some if _what(one.edit) not in kept]
        dropped = {edit.twin.id for edit in gone if isinstance(edit, PutTwin)}
        for edit in gone:
            back = _back(edit)
            if back is None or getattr(back, "twin", "") in dropped:
                continue
            twin = back.twin if isinstance(back, Unsay) else ""
            if twin and twin not in self.trial.twins:
                continue
            if self._is_as_filed(edit):
                self._try(back, (0, 0), False)
            else:
                place = " ".join(part for part in words(edit) if part)
                self.plan.lost.append((place, "has gone from the file, was changed here: it stays"))

    def _is_as_filed(self, edit: Edit) -> bool:
        """Whether something is (or is no longer there) as the file had it."""
        trial = self.trial
        match edit:
            case PutRelation(relation=relation):
                return trial.relations.get(relation.key, relation) == relation
            case PutSheet(sheet=sheet):
                return _same(trial.sheets.get((sheet.kind, sheet.name), sheet), sheet)
            case PutTwin(twin=twin):
                have = trial.twins.get(twin.id, twin)
                rest = dataclasses.replace(have, properties=twin.properties, points=twin.points)
                return rest == twin and set(have.properties) == set(twin.properties)
            case DropRelation(source=source):
                return edit in trial.said(source).values()
            case _:
                return edit in trial.said(str(getattr(edit, "twin", ""))).values()

    def _difference(self, wanted: Twin, old: Twin | None) -> Iterator[Edit]:
        """The edits that make a twin as the file has it; with what the file had before, only of
        what has changed in it."""
        have = self.trial.twins[wanted.id]
        before = old if old is not None else Twin(wanted.id)
        if wanted.type != before.type and wanted.type != have.type:
            yield PutTypeOf(wanted.id, wanted.type)
        if wanted.name != before.name and wanted.name != have.name:
            yield PutName(wanted.id, wanted.name)
        if wanted.pose != before.pose and wanted.pose not in (None, have.pose):
            yield PutPose(wanted.id, wanted.pose or Pose())
        if wanted.geometry != before.geometry and wanted.geometry != have.geometry:
            yield PutGeometry(wanted.id, wanted.geometry)
        has = {prop.name: prop for prop in have.properties}
        had = {prop.name: prop for prop in before.properties}
        for prop in wanted.properties:
            if prop != had.get(prop.name) and prop != has.get(prop.name):
                yield PutProperty(wanted.id, prop)
        wants = {prop.name for prop in wanted.properties}
        for name in had:
            if name not in wants:
                yield DropProperty(wanted.id, name)
        known = {point.name: point.type for point in self.trial.points_of(wanted.id)}
        for point in wanted.points:
            if point not in before.points and point != known.get(point.name):
                yield PutPoints(wanted.id, (point,))
        if wanted.operations not in (before.operations, have.operations):
            declared = self.trial.declared_at(self.trial.ordinal(wanted.id))
            yield PutTwin(dataclasses.replace(declared, operations=wanted.operations))

    def _try(self, edit: Edit, at: Place, is_new: bool) -> None:
        try:
            if isinstance(edit, PutSheet):
                sheets.check(Edits((edit,)), self.trial)
            effective = self.trial.apply(Edits((edit,)))
        except ValueError as error:
            place = f"line {at[0]}, column {at[1]}: " if at[0] else ""
            raise ValueError(f"{self.name}: {place}{error}") from error
        self.plan.steps += [Step(each, at[0], is_new) for each in effective]


def _points(structure: Structure, twin: str) -> set[str]:
    return {point.name for point in structure.points_of(twin)}


def _same(one: Sheet, other: Sheet) -> bool:
    """Whether two sheets say the same; spaces and such in their JSON do not count."""
    if one.body == other.body:
        return True
    try:
        return json.loads(one.body) == json.loads(other.body)
    except (ValueError, RecursionError):
        return False


def _what(edit: Edit) -> tuple[object, ...]:
    """What an edit is about, whatever it says of it."""
    match edit:
        case PutRelation(relation=relation):
            return ("relation", *relation.key)
        case DropRelation(kind=kind, source=source, target=target, name=name):
            return ("relation", kind, source, target, name)
        case PutProperty(twin=twin, property=prop):
            return ("property", twin, prop.name)
        case DropProperty(twin=twin, name=name):
            return ("property", twin, name)
        case PutPoints(twin=twin, points=points):
            return ("points", twin, *(point.name for point in points))
        case PutPointAbout(twin=twin, point=point):
            return ("about", twin, point)
        case PutSheet(sheet=sheet):
            return ("sheet", sheet.kind, sheet.name)
        case PutTwin(twin=twin):
            return ("twin", twin.id)
        case _:
            return (type(edit).__name__, getattr(edit, "twin", ""))


def _back(edit: Edit) -> Edit | None:
    """The edit that takes one back; None: that stays (a point may have a past)."""
    match edit:
        case PutRelation(relation=relation):
            return DropRelation(*relation.key)
        case DropRelation(kind=kind, source=source, target=target, name=name):
            return Unsay(source, "DropRelation", ended_key((kind, source, target, name))[1])
        case PutSheet(sheet=sheet):
            return DropSheet(sheet.kind, sheet.name)
        case PutTwin(twin=twin):
            return DropTwin(twin.id)
        case PutProperty(twin=twin, property=prop):
            return Unsay(twin, "PutProperty", prop.name)
        case DropProperty(twin=twin, name=name):
            return Unsay(twin, "PutProperty", name)
        case PutPointAbout(twin=twin, point=point):
            return Unsay(twin, "PutPointAbout", point)
        case (
            PutName(twin=twin) | PutPose(twin=twin) | PutGeometry(twin=twin) | PutTypeOf(twin=twin)
        ):
            return Unsay(twin, type(edit).__name__)
        case _:
            return None
