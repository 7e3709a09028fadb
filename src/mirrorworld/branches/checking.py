"""What a model has to keep to in a branch: finite numbers, the world's units, its own time, and no
commands. What breaks it is named: the model, the point, the time."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np

from mirrorworld import units
from mirrorworld.simulation.ports import StatesUnits
from mirrorworld.world.changes import (
    Change,
    Command,
    Edits,
    OriginKind,
    PutPointAbout,
    PutPoints,
    PutTwin,
    PutType,
)
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind, PointType
from mirrorworld.world.ports import Model
from mirrorworld.world.quality import severity
from mirrorworld.world.world import World


class ModelFault(Exception):
    """A model did what none may; the run stops, and what it made before is kept."""

    def __init__(self, model: str, at_ns: int, why: str) -> None:
        when = ""
        if at_ns:
            time = datetime.datetime.fromtimestamp(at_ns / 1e9, datetime.UTC)
            when = f" at {time.isoformat(timespec='milliseconds')}"
        super().__init__(f"{model}{when}: {why}")
        self.model, self.at_ns = model, at_ns


def check_change(world: World, model: Model, change: Change, until_ns: int) -> None:
    """Lets a change pass that a model may make; ModelFault says why not."""
    name = model.name
    if change.origin.kind is not OriginKind.SIMULATED:
        what = change.origin.kind.name.lower()
        raise ModelFault(name, until_ns, f"made a change of origin {what}; say simulated")
    if change.received_ns > until_ns:
        raise ModelFault(name, until_ns, "made a change ahead of its time")
    body = change.body
    match body:
        case Frame():
            _check_frame(world, name, body, until_ns)
        case Command():
            why = f"wanted to command {body.twin}: a branch has no way to a plant"
            raise ModelFault(name, until_ns, why)
        case Edits():
            for edit in body.edits:
                _check_edit(world, name, edit, until_ns)
        case _:
            pass


def _check_frame(world: World, name: str, frame: Frame, until_ns: int) -> None:
    known = frame.point < world.n_points
    if not known.all():
        handle = int(frame.point[~known][0])
        raise ModelFault(name, until_ns, f"wrote to point {handle}, which is not there")
    kinds = world.kinds[frame.point]
    numbers = kinds == Kind.FLOAT
    bad = numbers & ~np.isfinite(frame.cell.view(np.float64))
    bad &= frame.quality & 0xC000_0000 == 0  # a bad value need not be a number
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        twin, kind = world.point(int(frame.point[row]))
        value = float(frame.cell[row : row + 1].view(np.float64)[0])
        quality = severity(int(frame.quality[row]))
        raise ModelFault(name, until_ns, f"says that {twin}.{kind.name} is {value} ({quality})")


def _check_edit(world: World, name: str, edit: Any, until_ns: int) -> None:
    match edit:
        case PutPointAbout() if edit.unit:
            _check_unit(world, name, edit.twin, edit.point, edit.unit, until_ns)
        case PutPoints():
            for point in edit.points:
                _check_unit(world, name, edit.twin, point.name, point.unit, until_ns)
        case PutTwin():
            for point in edit.twin.points:
                _check_unit(world, name, edit.twin.id, point.name, point.unit, until_ns)
        case PutType():
            known = world.structure.types.get(edit.type.id)
            was = {} if known is None else {p.name: p for p in known.points}
            for point in edit.type.points:
                if point.name in was:
                    _same(
                        name, f"{edit.type.id}.{point.name}", was[point.name], point.unit, until_ns
                    )
        case _:
            pass


def _check_unit(
    world: World, name: str, twin: str, point: str, unit: str, until_ns: int
) -> None:  # fmt: skip
    if twin not in world.structure.twins:
        return
    known = next((p.type for p in world.structure.points_of(twin) if p.name == point), None)
    if known is not None:
        _same(name, f"{twin}.{point}", known, unit, until_ns)


def _same(name: str, place: str, known: PointType, unit: str, at_ns: int) -> None:
    if unit != known.unit:
        why = f"says that {place} is in '{unit}'; in this world it is in '{known.unit}'"
        raise ModelFault(name, at_ns, why)


def check_units(world: World, name: str, model: object) -> None:
    """Lets a model pass that takes points to be in the units that they are in.

    Raises:
        ModelFault: one is in another; the message names it, both units and the factor.
    """
    if not isinstance(model, StatesUnits):
        return
    by_name: dict[str, str] = {}
    for place, unit in model.units.items():
        twin, dot, point = place.rpartition(".")
        if not dot:
            by_name[place] = unit
            continue
        if twin in world.structure.twins:
            for known in world.structure.points_of(twin):
                if known.name == point:
                    _agree(name, place, unit, known.type.unit)
    if not by_name:
        return
    for twin_id in world.structure.twins:
        for known in world.structure.points_of(twin_id):
            if known.name in by_name:
                _agree(name, f"{twin_id}.{known.name}", by_name[known.name], known.type.unit)


def _agree(name: str, place: str, said: str, has: str) -> None:
    if said == has:
        return
    try:
        scale, offset = units.linear(has, said, place)
    except ValueError as error:
        raise ModelFault(name, 0, f"takes {place} to be in '{said}': {error}") from None
    if scale != 1.0 or offset != 0.0:
        why = f"takes {place} to be in '{said}'; it is in '{has}', {scale:g} times that"
        raise ModelFault(name, 0, f"{why}. Give the model the unit that the world has")
