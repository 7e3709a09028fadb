"""Taking edits back: which edits lead from how it is now to how it was before others.

Conservative: where somebody has changed the same thing since, nothing is taken back, and the
message names what.
"""

from __future__ import annotations

import re
from typing import Final

from mirrorworld.world.changes import (
    Arm,
    Disarm,
    DropProperty,
    DropRelation,
    DropSheet,
    DropTwin,
    Edit,
    Edits,
    PutPoints,
    PutProperty,
    PutRelation,
    PutSheet,
    PutTwin,
    PutType,
    Unsay,
)
from mirrorworld.world.structure import SLOTS, OverlayKey, Structure, ended_key

UNDO: Final = "undo of "
"""The reason of edits that take others back begins so; their position follows."""
_UNDONE: Final = re.compile(UNDO + r"(\d+:\d+)")


def undone(before: Structure, after: Structure, now: Structure, edits: Edits) -> tuple[Edit, ...]:
    """The edits that take `edits` back.

    Args:
        before, after: the structure as it was right before and right after them.
        now: as it is.

    Raises:
        ValueError: they cannot be taken back; the message says what stands in the way.
    """
    found: dict[tuple[str, ...], tuple[Edit, ...]] = {}
    for edit in reversed(edits.edits):
        for place, then, since, edit_back in _of(before, after, now, edit):
            if then != since:
                raise ValueError(f"{_words(place)} was changed again since; change it by hand")
            found.setdefault(place, edit_back)
    return tuple(edit for back in found.values() for edit in back)


_Row = tuple[tuple[str, ...], object, object, tuple[Edit, ...]]
"""(what it is about, how it was right after, how it is now, the edits that take it back)."""


def _of(before: Structure, after: Structure, now: Structure, edit: Edit) -> list[_Row]:
    match edit:
        case PutRelation() | DropRelation():
            key = (
                edit.relation.key
                if isinstance(edit, PutRelation)
                else (edit.kind, edit.source, edit.target, edit.name)
            )
            old = before.relations.get(key)
            back: tuple[Edit, ...] = (DropRelation(*key) if old is None else PutRelation(old),)
            slot = ended_key(key)
            if old is None and (key[1] not in before.twins or slot not in before.said(key[1])):
                # It was not there, which is not to say that it must never be.
                back = (*back, Unsay(key[1], "DropRelation", slot[1]))
            return [(key, after.relations.get(key), now.relations.get(key), back)]
        case PutSheet(sheet=sheet):
            return [_of_sheet(before, after, now, sheet.kind, sheet.name)]
        case DropSheet(kind=kind, name=name):
            return [_of_sheet(before, after, now, kind, name)]
        case PutType(type=put):
            known = before.types.get(put.id)
            if known is None:
                raise ValueError(f"{put.id}: a new type stays; give it another meaning instead")
            return [((put.id,), after.types[put.id], now.types.get(put.id), (PutType(known),))]
        case PutTwin(twin=twin):
            if twin.id in before.twins:
                raise ValueError(f"{twin.id}: was declared anew, which only its source takes back")
            joined = [
                sorted(r.key for r in (*s.relations_from(twin.id), *s.relations_to(twin.id)))
                for s in (after, now)
            ]
            then = (after.twins.get(twin.id), joined[0])
            return [((twin.id,), then, (now.twins.get(twin.id), joined[1]), (DropTwin(twin.id),))]
        case DropTwin(id=twin_id):
            if any(key[0] == twin_id for key in before.arms):
                raise ValueError(f"{twin_id}: had armed points; arming is never undone by itself")
            ends = (*before.relations_from(twin_id), *before.relations_to(twin_id))
            again: list[Edit] = [PutTwin(before.declared_at(before.ordinal(twin_id)))]
            again += before.said(twin_id).values()
            again += [PutRelation(r) for r in ends]
            return [((twin_id,), None, now.twins.get(twin_id), tuple(again))]
        case Arm() | Disarm():
            raise ValueError(f"{edit.twin}.{edit.name}: arming is never undone by itself")
        case _:
            return [_said(before, after, now, edit.twin, key) for key in keys_of(edit)]


def _of_sheet(before: Structure, after: Structure, now: Structure, kind: str, name: str) -> _Row:
    key = (kind, name)
    sheet = before.sheets.get(key)
    back = DropSheet(kind, name) if sheet is None else PutSheet(sheet)
    return (key, after.sheets.get(key), now.sheets.get(key), (back,))


def keys_of(edit: Edit) -> list[OverlayKey]:
    """Under which keys it is kept what an edit says of a twin."""
    match edit:
        case PutProperty(property=prop):
            return [("property", prop.name)]
        case DropProperty(name=name):
            return [("property", name)]
        case PutPoints(points=points):
            return [("point", point.name) for point in points]
        case Unsay(what=what, name=name):
            return [(SLOTS[what], name)]
        case _:
            return [(SLOTS.get(type(edit).__name__, ""), getattr(edit, "point", ""))]


def _said(before: Structure, after: Structure, now: Structure, twin: str, key: OverlayKey) -> _Row:
    then, since, old = (
        s.said(twin).get(key) if twin in s.twins else None for s in (after, now, before)
    )
    slot, name = key
    if twin not in now.twins:
        raise ValueError(f"{twin}: is no longer there")
    if slot == "point" and old is None and not _has_point(before, twin, name):
        raise ValueError(f"{twin}.{name}: a new point stays, since it may have a past")
    what = next(edit for edit, known in SLOTS.items() if known == slot)
    return ((twin, what, name), then, since, (old if old is not None else Unsay(twin, what, name),))


def _has_point(structure: Structure, twin: str, name: str) -> bool:
    return twin in structure.twins and any(p.name == name for p in structure.points_of(twin))


def _words(place: tuple[str, ...]) -> str:
    if len(place) == 3 and place[1] in _SAID:
        twin, what, name = place
        return f"{twin}: {_SAID[what]} {name}".rstrip()
    return " ".join(part for part in place if part) + ":"


_SAID: Final = {
    "PutName": "its name",
    "PutPose": "where it stands",
    "PutGeometry": "its look",
    "PutTypeOf": "its type",
    "PutProperty": "its property",
    "PutPoints": "its point",
    "PutPointAbout": "what is said of its point",
    "DropRelation": "its relation",
}


def undone_by(edits: Edits) -> str:
    """The position of the edits that these took back; "": they are no undo."""
    match = _UNDONE.fullmatch(edits.reason)
    return "" if match is None else match[1]
