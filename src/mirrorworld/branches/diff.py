"""What differs between two worlds of one origin, in rows that people read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorworld.branches.branch import SCENARIO, parameters_of
from mirrorworld.protocol.branches import DiffRow
from mirrorworld.world.frames import SampleValue
from mirrorworld.world.model import PointType, Pose, Property, Twin
from mirrorworld.world.plain import to_plain
from mirrorworld.world.structure import Structure
from mirrorworld.world.world import World

WORDS_MAX = 200
Sees = Callable[[str], bool]


def differences(
    before: World, after: World, handles: NDArray[np.uint32], sees: Sees
) -> Iterator[DiffRow]:
    """What differs: structure, scenario parameters, then values.

    Args:
        handles: the points whose values are compared.
        sees: whether a twin is shown.
    """
    yield from structural(before.structure, after.structure, sees)
    yield from parameter_rows(before, after)
    yield from values(before, after, handles, sees)


def structural(before: Structure, after: Structure, sees: Sees) -> Iterator[DiffRow]:
    """Types, twins, points, relations, arms and sheets that differ."""
    for key, old, new in _changed(before.types, after.types):
        yield DiffRow("type", key, "", _said(old), _said(new))
    for key, old, new in _changed(before.twins, after.twins):
        if not sees(key):
            continue
        if old is None or new is None:
            yield DiffRow("twin", key, "", _twin(old), _twin(new))
        else:
            yield from _of_twin(old, new)
    yield from _points(before, after, sees)
    for (kind, source, target, name), old, new in _changed(before.relations, after.relations):
        if sees(source) and sees(target):
            there = f"{kind} → {target}" + (f" ({name})" if name else "")
            yield DiffRow(
                "relation", source, kind, there if old else "", there if new else ""
            )  # fmt: skip
    for (twin, name), old, new in _changed(before.arms, after.arms):
        if sees(twin):
            yield DiffRow("arm", twin, name, "armed" if old else "", "armed" if new else "")
    for key, old, new in _changed(before.sheets, after.sheets):
        if key != SCENARIO:
            bodies = (_cut(sheet.body) if sheet else "" for sheet in (old, new))
            yield DiffRow("sheet", *key, *bodies)


def _of_twin(old: Twin, new: Twin) -> Iterator[DiffRow]:
    if old.type != new.type:
        yield DiffRow("type of", new.id, "", old.type, new.type)
    if old.name != new.name:
        yield DiffRow("name", new.id, "", old.name.best(), new.name.best())
    if old.pose != new.pose:
        yield DiffRow("place", new.id, "", _pose(old.pose), _pose(new.pose), "m")
    if old.geometry != new.geometry:
        yield DiffRow("look", new.id, "", old.geometry, new.geometry)
    was = {p.name: p for p in old.properties}
    is_now = {p.name: p for p in new.properties}
    for name, one, other in _changed(was, is_now):
        unit = (other or one).unit
        yield DiffRow("property", new.id, name, _property(one), _property(other), unit)


def _points(before: Structure, after: Structure, sees: Sees) -> Iterator[DiffRow]:
    """Points whose description differs; new ones too. Handles are the same up to the fork."""
    if before.point_columns()[1] is after.point_columns()[1]:
        return
    old_types, new_types = before.point_columns()[1], after.point_columns()[1]
    n = min(len(old_types), len(new_types))
    for handle in range(n):
        if old_types[handle] is not new_types[handle] and old_types[handle] != new_types[handle]:
            twin, new = after.point(handle)
            if sees(twin):
                yield DiffRow("point", twin, new.name, _point(old_types[handle]), _point(new))
    for handle in range(n, len(new_types)):
        twin, new = after.point(handle)
        if sees(twin) and twin in before.twins:
            yield DiffRow("point", twin, new.name, "", _point(new))


def parameter_rows(before: World, after: World) -> Iterator[DiffRow]:
    """Scenario parameters that differ."""
    old, new = parameters_of(before), parameters_of(after)
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            yield DiffRow("parameter", "", name, shown(old.get(name)), shown(new.get(name)))


def values(
    before: World, after: World, handles: NDArray[np.uint32], sees: Sees
) -> Iterator[DiffRow]:
    """Values that differ, by handle."""
    handles = handles[handles < after.n_points]
    known = handles < before.n_points
    old = before.read(handles[known])
    new = after.read(handles)
    rows = np.cumsum(known) - 1
    differs = ~known
    at = rows[known]
    same = (old.cell[at] == new.cell[known]) & (old.quality[at] == new.quality[known])
    differs[known] = ~same
    for row in np.flatnonzero(differs).tolist():
        handle = int(handles[row])
        twin, kind = after.point(handle)
        if not sees(twin):
            continue
        origin = after.origins[int(new.origin[row])].kind if new.changed[row] >= 0 else None
        was = before.value(handle) if known[row] else None
        now = after.value(handle)
        yield DiffRow(
            "value", twin, kind.name, labelled(kind, was), labelled(kind, now), kind.unit,
            "" if origin is None else origin.name.lower(),
        )  # fmt: skip


def _changed(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """(key, old, new) of what differs; None where it is not there."""
    for key, value in new.items():
        was = old.get(key)
        if was is not value and was != value:
            yield key, was, value
    for key, was in old.items():
        if key not in new:
            yield key, was, None


def labelled(kind: PointType, value: SampleValue | None) -> str:
    """A value as people read it."""
    if isinstance(value, int) and not isinstance(value, bool):
        label = dict(kind.labels).get(value)
        if label:
            return label
    return shown(value)


def shown(value: Any) -> str:
    """Any value in one short line; empty for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, np.ndarray):
        return _cut(np.array2string(value, threshold=8, precision=4))
    return _cut(str(value))


def _said(value: Any) -> str:
    return "" if value is None else _cut(json.dumps(to_plain(value), ensure_ascii=False))


def _twin(twin: Twin | None) -> str:
    if twin is None:
        return ""
    return twin.name.best() or twin.type or twin.id


def _pose(pose: Pose | None) -> str:
    if pose is None:
        return ""
    return f"{pose.x_m:g}, {pose.y_m:g}, {pose.z_m:g}" + _turn(pose)


def _turn(pose: Pose) -> str:
    plain = {k: v for k, v in to_plain(pose).items() if k not in ("x_m", "y_m", "z_m")}
    return f" {json.dumps(plain)}" if plain else ""


def _property(prop: Property | None) -> str:
    if prop is None:
        return ""
    value = prop.value
    if value is None or isinstance(value, bool | int | float | str):
        return shown(value)
    return _cut(json.dumps(to_plain(value, tagged=True), ensure_ascii=False))


def _point(point: PointType) -> str:
    ends = "" if point.low is None and point.high is None else f" {point.low} to {point.high}"
    return f"{point.kind.name.lower()}{ends} {point.unit}".strip()


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= WORDS_MAX else f"{text[: WORDS_MAX - 1]}…"
