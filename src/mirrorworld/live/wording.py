"""Edits in words, for people who are to say yes to them or have made them."""

from __future__ import annotations

from typing import Final

from mirrorworld.world.changes import (
    Arm,
    DropProperty,
    DropRelation,
    DropSheet,
    DropTwin,
    Edit,
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
from mirrorworld.world.model import Text


def words(edit: Edit) -> tuple[str, str, str]:
    """(kind of change, what it is about, a detail), for people."""
    match edit:
        case PutType(type=put):
            return ("type", put.id, put.name.best())
        case PutTwin(twin=twin):
            return ("twin", twin.id, twin.name.best())
        case DropTwin(id=twin_id):
            return ("twin", twin_id, "")
        case PutName(twin=twin, name=Text() as name):
            return ("name", twin, name.best())
        case PutPose(twin=twin, pose=pose):
            return ("place", twin, f"{pose.x_m:g}, {pose.y_m:g}, {pose.z_m:g} m")
        case PutGeometry(twin=twin, geometry=looks):
            return ("look", twin, looks)
        case PutTypeOf(twin=twin, type=type_id):
            return ("type of", twin, type_id)
        case PutProperty(twin=twin, property=prop):
            return ("property", twin, prop.name)
        case DropProperty(twin=twin, name=name) | Arm(twin=twin, name=name):
            return ("arm" if isinstance(edit, Arm) else "property", twin, name)
        case PutPoints(twin=twin, points=points):
            return ("point", twin, ", ".join(point.name for point in points))
        case PutPointAbout(twin=twin, point=point):
            return ("point", twin, point)
        case Unsay(twin=twin, what=what, name=name):
            return (_UNSAID.get(what, "property"), twin, name)
        case PutRelation(relation=relation):
            return ("relation", relation.source, f"{relation.kind} → {relation.target}")
        case DropRelation(kind=kind, source=source, target=target):
            return ("relation", source, f"{kind} → {target}")
        case PutSheet(sheet=sheet):
            return ("sheet", sheet.kind, sheet.name)
        case DropSheet(kind=kind, name=name):
            return ("sheet", kind, name)
        case _:
            return (type(edit).__name__, "", "")


_UNSAID: Final = {
    "PutName": "name",
    "PutPose": "place",
    "PutGeometry": "look",
    "DropRelation": "relation",
    "PutTypeOf": "type of",
    "PutPointAbout": "point",
}
