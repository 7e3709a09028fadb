"""What a change that a person made says, a line for each thing, and who that person is."""

from __future__ import annotations

from typing import Final

from mirrorworld.branches.diff import shown
from mirrorworld.live.wording import words
from mirrorworld.world.changes import Change, Edit, Edits, PutProperty
from mirrorworld.world.frames import Frame, decode
from mirrorworld.world.model import Kind
from mirrorworld.world.world import World

LINES_MAX: Final = 50


def lines(world: World, change: Change) -> list[str]:
    """The first lines of what a change says; its world knows the names."""
    body = change.body
    if isinstance(body, Edits):
        said = [line(edit) for edit in body.edits[:LINES_MAX]]
        more = len(body.edits) - len(said)
    elif isinstance(body, Frame):
        rows = range(min(len(body), LINES_MAX))
        said = [_value(world, body, row) for row in rows if body.point[row] < world.n_points]
        more = len(body) - len(rows)
    else:
        return [type(body).__name__.lower()]
    return [*said, f"and {more} more"] if more > 0 else said


def _value(world: World, frame: Frame, row: int) -> str:
    handle = int(frame.point[row])
    twin, kind = world.point(handle)
    payload = frame.heap_at(row) if kind.kind >= Kind.TEXT else int(frame.cell[row])
    value = decode(kind.kind, payload)
    label = dict(kind.labels).get(value) if isinstance(value, int) else None
    return f"{twin}.{kind.name} = {label or shown(value)} {kind.unit}".rstrip()


def line(edit: Edit) -> str:
    """What one edit says."""
    kind, about, detail = words(edit)
    if isinstance(edit, PutProperty):
        prop = edit.property
        detail = f"{prop.name} = {shown(prop.value)} {prop.unit}".rstrip()
    if type(edit).__name__.startswith(("Drop", "Unsay", "Disarm")):
        detail += " (taken away)"
    return " ".join(part for part in (kind, about, detail) if part)[:300]


def person(principal: str) -> str:
    """Whose principal it is: a token is its person's."""
    return principal.partition("/")[0]
