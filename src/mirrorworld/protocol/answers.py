"""Answers: what a world knows, in the shapes of `rest.py`.

Pure functions of a world, and of who sees what (`sees`, asked for each twin); no route, no
socket, no disk. The server answers with them, and the Python client does on a world that it
holds itself, so that both say the same.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.protocol import rest
from mirrorworld.world import quality
from mirrorworld.world.changes import Command, Event, OriginKind
from mirrorworld.world.frames import SampleValue, decode
from mirrorworld.world.model import (
    CONTROLS,
    DEPENDS_ON,
    FEEDS,
    PART_OF,
    POWERS,
    Kind,
    PointType,
    Relation,
    point_id,
)
from mirrorworld.world.plain import to_plain
from mirrorworld.world.state import Columns
from mirrorworld.world.world import World

EXACT_INTEGER: Final = 1 << 53
"""Up to here a JavaScript number holds every integer."""
DEPENDENTS_MAX: Final = 200
RECENT_MAX: Final = 50

Sees = Callable[[str], bool]


def everyone(_: str) -> bool:
    """Sees every twin."""
    return True


def plain_value(value: SampleValue | None) -> Any:
    """A sample's value as JSON has it: no NaN, no bytes, arrays as lists."""
    if isinstance(value, np.ndarray):
        numbers = value.astype(np.float64)
        if np.isfinite(numbers).all():
            return numbers.tolist()
        return [number if math.isfinite(number) else None for number in numbers.tolist()]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return None
    return value


def label(kind: PointType, value: Any) -> str:
    """What stands beside a value that a number alone does not tell."""
    if kind.kind is Kind.ENUM and isinstance(value, int):
        return dict(kind.labels).get(value, "")
    if kind.kind is Kind.INT and isinstance(value, int) and abs(value) > EXACT_INTEGER:
        return str(value)
    return ""


def point_values(
    world: World, handles: NDArray[np.uint32], columns: Columns | None = None
) -> list[rest.PointValue]:
    """The latest values of points, or those in `columns`, exactly."""
    columns = world.read(handles) if columns is None else columns
    found: list[rest.PointValue] = []
    rows = zip(handles.tolist(), *(column.tolist() for column in columns), strict=True)
    for handle, cell, code, source_ns, received_ns, sequence, origin in rows:
        twin, kind = world.point(handle)
        value = None
        if sequence >= 0:
            payload = world.heap(handle) if kind.kind.is_heap else cell
            value = plain_value(decode(kind.kind, payload))
        by = world.origins[origin] if sequence >= 0 else None
        found.append(
            point_value(twin, kind, handle, value, code, source_ns, received_ns, sequence, by)
        )
    return found


def point_value(
    twin: str,
    kind: PointType,
    handle: int,
    value: Any,
    code: int,
    source_ns: int,
    received_ns: int = 0,
    sequence: int = -1,
    origin: Any = None,
) -> rest.PointValue:
    """One value with all that is known of it."""
    return rest.PointValue(
        id=point_id(twin, kind.name),
        twin=twin,
        name=kind.name,
        handle=handle,
        kind=int(kind.kind),
        unit=kind.unit,
        value=value,
        label=label(kind, value),
        quality=code,
        quality_name=quality.name(code),
        severity=quality.severity(code),
        source_ns=max(source_ns, 0),
        received_ns=max(received_ns, 0),
        sequence=sequence,
        origin=OriginKind(origin.kind).name.lower() if origin else "",
        by=origin.by if origin else "",
    )


def handle(world: World, name: str) -> int:
    """The handle of `twin.point`. Both parts may have dots in them, so each is tried.

    Raises:
        KeyError: there is no such twin or point; the message says what is near.
    """
    at = len(name)
    while (at := name.rfind(".", 0, at)) >= 0:
        if name[:at] in world.structure.twins:
            return world.structure.handle(name[:at], name[at + 1 :])
    raise KeyError(f"{name}: no such point; one is written twin.point, as in line1/filler.level")


def near(name: str, known: Iterable[str]) -> str:
    """What a name may have been meant to be, as a question; empty if nothing is near."""
    found = difflib.get_close_matches(name[:200], list(known)[:5_000], n=3, cutoff=0.6)
    return "did you mean " + " or ".join(f"'{one}'" for one in found) + "?" if found else ""


def twin_row(world: World, twin_id: str) -> rest.TwinRow:
    """A twin in a list."""
    structure = world.structure
    twin = structure.twins[twin_id]
    whole = next((r.target for r in structure.relations_from(twin_id) if r.kind == PART_OF), "")
    return rest.TwinRow(
        id=twin_id,
        ordinal=structure.ordinal(twin_id),
        type=twin.type,
        name=to_plain(twin.name),
        points=len(structure.points_of(twin_id)),
        part_of=whole,
    )


def twin_detail(
    world: World, twin_id: str, *, sees: Sees = everyone, sources: Iterable[str] = ()
) -> rest.TwinDetail:
    """Everything known of a twin, as far as it is shown. `sources` are the names of all."""
    structure = world.structure
    twin = structure.twins[twin_id]
    points = structure.points_of(twin_id)
    handles = np.array([point.handle for point in points], np.uint32)
    arms = structure.arms
    commands = [c for c in world.commands.values() if c.twin == twin_id]
    events = [e for e in world.events.values() if e.twin == twin_id]
    names = [name for name in sources if twin_id == name or twin_id.startswith(name + "/")]
    declared = structure.types.get(twin.type)
    return rest.TwinDetail(
        twin=to_plain(twin),
        ordinal=structure.ordinal(twin_id),
        type=to_plain(declared) if declared else None,
        points=[
            rest.PointDetail(value, to_plain(point.type), _arm(arms.get((twin_id, point.name))))
            for value, point in zip(point_values(world, handles), points, strict=True)
        ],
        operations=[
            rest.OperationDetail(to_plain(operation), _arm(arms.get((twin_id, operation.name))))
            for operation in structure.operations_of(twin_id)
        ],
        relations_out=to_plain(_seen(structure.relations_from(twin_id), sees)),
        relations_in=to_plain(_seen(structure.relations_to(twin_id), sees)),
        path=[twin_row(world, whole) for whole in wholes(world, twin_id) if sees(whole)],
        dependents=dependents(world, twin_id, sees=sees),
        commands=commands_latest(commands)[:RECENT_MAX],
        events=events_latest(events)[:RECENT_MAX],
        source=max(names, key=len, default=""),
        position=str(world.position),
    )


def _seen(relations: Iterable[Relation], sees: Sees) -> list[Relation]:
    return [r for r in relations if sees(r.source) and sees(r.target)]


def _arm(arm: object) -> Any:
    return to_plain(arm) if arm is not None else None


def wholes(world: World, twin_id: str) -> list[str]:
    """What a twin is part of, outermost first. A circle is cut where it closes."""
    found: list[str] = []
    at = twin_id
    while True:
        whole = next(
            (r.target for r in world.structure.relations_from(at) if r.kind == PART_OF), None
        )
        if whole is None or whole in found or whole == twin_id:
            return found[::-1]
        found.append(whole)
        at = whole


def dependents(world: World, twin_id: str, *, sees: Sees = everyone) -> list[rest.Dependent]:
    """Twins that would feel it if this one failed, nearest first.

    Those that it feeds, powers or controls, those that say they depend on it, what it is a part
    of, and theirs in turn.
    """
    structure = world.structure
    reached = {twin_id}
    found: list[rest.Dependent] = []
    ring = [twin_id]
    steps = 0
    while ring and len(found) < DEPENDENTS_MAX:
        steps += 1
        following: list[str] = []
        for at in ring:
            onward = [
                (r.target, r.kind)
                for r in structure.relations_from(at)
                if r.kind in (FEEDS, POWERS, CONTROLS, PART_OF)
            ]
            onward += [
                (r.source, r.kind) for r in structure.relations_to(at) if r.kind == DEPENDS_ON
            ]
            for other, kind in onward:
                if other not in reached and sees(other):
                    reached.add(other)
                    following.append(other)
                    found.append(rest.Dependent(twin_row(world, other), kind, steps))
        ring = following
    return found[:DEPENDENTS_MAX]


def events_latest(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Events in plain form, latest first."""
    ordered = sorted(events, key=lambda event: event.source_ns, reverse=True)
    return [to_plain(event) for event in ordered]


def commands_latest(commands: Iterable[Command]) -> list[dict[str, Any]]:
    """Commands in plain form, latest first."""
    ordered = sorted(commands, key=lambda command: command.requested_ns, reverse=True)
    return [to_plain(command) for command in ordered]


def rows(world: World) -> int:
    """Samples accepted since the world was opened."""
    return sum(tally.accepted for tally in world.tallies.values())
