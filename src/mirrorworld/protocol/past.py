"""The past in the wire's shapes: as-of values, and rows of the log. Reads a record, and waits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorworld.protocol import rest
from mirrorworld.protocol.answers import Sees, everyone, plain_value, point_value, point_values
from mirrorworld.protocol.series import last_payload
from mirrorworld.world.changes import Change, Edits, OriginKind, Position
from mirrorworld.world.frames import Frame, decode, rows
from mirrorworld.world.model import point_id
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import Record
from mirrorworld.world.quality import BAD_WAITING
from mirrorworld.world.world import World


def as_of_time(
    world: World, record: Record, handles: NDArray[np.uint32], time_ns: int
) -> list[rest.PointValue]:
    """Values of points as they were true at a source time."""
    cell, source_ns, quality = record.as_of_time(time_ns)
    values: list[rest.PointValue] = []
    for handle in handles.tolist():
        twin, kind = world.point(handle)
        then = max(int(source_ns[handle]), 0) if handle < len(cell) else 0
        value = None
        if then:
            payload: int | bytes = int(cell[handle])
            if kind.kind.is_heap:
                payload = last_payload(record.read(handle, then, then + 1))
            value = plain_value(decode(kind.kind, payload))
        code = int(quality[handle]) if handle < len(cell) else BAD_WAITING
        values.append(point_value(twin, kind, handle, value, code, then))
    return values


def as_of_position(
    record: Record, handles: NDArray[np.uint32], at: Position
) -> list[rest.PointValue]:
    """Values of points as they were known at a position; points that came later are left out."""
    then = World.from_snapshot(record.as_of(at))
    return point_values(then, handles[handles < then.n_points])


def change_row(
    world: World, change: Change, *, sees: Sees = everyone, sees_all: bool = True
) -> rest.ChangeRow:
    """A change as others read it. Of samples only those that are seen; edits only to who sees
    all, since one edit may speak of many twins."""
    body: dict[str, Any] | None = None
    row = rest.ChangeRow(
        position=str(change.position),
        source=change.source,
        origin=OriginKind(change.origin.kind).name.lower(),
        by=change.origin.by,
        received_ns=change.received_ns,
        body=body,
    )
    if not isinstance(change.body, Frame):
        is_shown = sees_all or (not isinstance(change.body, Edits) and sees(change.body.twin))
        body = to_plain(change.body, tagged=True) if is_shown else None
        return rest.ChangeRow(row.position, row.source, row.origin, row.by, row.received_ns, body)
    for handle, value, code, when in rows(change.body, world.kinds):
        twin, kind = world.point(handle)
        if sees(twin):
            row.points.append(point_id(twin, kind.name))
            row.values.append(plain_value(value))
            row.quality.append(code)
            row.source_ns.append(when)
    return row
