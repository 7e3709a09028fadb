"""Taking one's own latest edits back, and which edits of the layout there were."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response

from mirrorworld.authoring import layout
from mirrorworld.protocol import authoring as shapes
from mirrorworld.protocol import rest
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import answers
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import Change, Edits, OriginKind, Position
from mirrorworld.world.structure import Structure
from mirrorworld.world.undoing import UNDO, undone, undone_by
from mirrorworld.world.world import World

CHANGES_MAX: Final = 1_000_000

router = APIRouter(tags=["acts"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]


@router.post(
    "/api/undo",
    summary="Take your latest edits back",
    responses=answers(rest.Edited, "They are taken back, and that is durable"),
)
async def undo(
    here: Here,
    view: Seen,
    position: Annotated[
        str | None, Query(description="Of your edits to take back, as their answer gave it")
    ] = None,
) -> Response:
    """The author's latest edits that are not taken back yet, or those at `position`. Where somebody
    has changed the same thing since, nothing is, and the answer says what. Arming is never undone
    by itself."""
    mirror = here.mirror
    latest = _latest(mirror.world.recent(), view.who.id, position)
    if latest is None or latest.position is None or not isinstance(latest.body, Edits):
        raise Refused(404, "there is nothing of yours to undo", "undo", "edits are kept in the log")
    at = latest.position
    before = await here.past.do(_structure_at, here, Position(at.epoch, at.sequence - 1))
    after = await here.past.do(_structure_at, here, at)
    back = undone(before, after, mirror.world.structure, latest.body)
    placed = await mirror.edit(view.who, Edits(back, f"{UNDO}{at}"))
    return json_answer(rest.Edited(str(placed)))


@router.get(
    "/api/layout/history",
    summary="Who placed, moved, turned and deleted what, and when",
    responses=answers(shapes.LayoutPage, "The latest first"),
)
async def layout_history(
    here: Here,
    view: Seen,
    twin: Annotated[str | None, Query(description="Of this twin alone")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
) -> Response:
    """Edits of people, of the twins that one sees, as far back as the log is kept."""
    mirror = here.mirror
    recent = mirror.world.recent()
    seen = None if view.is_whole else frozenset(view.twins(mirror.world.structure.twins))

    def read() -> Response:
        def sees(id: str) -> bool:
            return twin in (None, id) and (seen is None or id in seen)

        start = Position(mirror.world.epoch, 0)
        try:
            found = layout.steps(mirror.record.changes(start, CHANGES_MAX, frames=False), sees)
        except LookupError:  # the log has let go of its beginning
            found = layout.steps(recent, sees)
        within = {str(change.position) for change in recent}

        def may_undo(row: shapes.LayoutStep) -> bool:
            is_open = not row.is_undone and row.said != layout.BACK
            return is_open and row.by == view.who.id and row.position in within

        rows = [replace(row, may_undo=may_undo(row)) for row in reversed(found[-limit:])]
        return json_answer(shapes.LayoutPage(rows))

    return await here.past.do(read)


def _latest(changes: tuple[Change, ...], author: str, position: str | None) -> Change | None:
    """The latest edits of a person (or those at a position) that are neither an undo nor undone."""
    gone: set[str] = set()
    for change in reversed(changes):
        if (
            not isinstance(change.body, Edits)
            or change.origin.kind != OriginKind.AUTHORED
            or change.origin.by != author
        ):
            continue
        if taken_back := undone_by(change.body):
            gone.add(taken_back)
        elif str(change.position) not in gone and position in (None, str(change.position)):
            return change
    return None


def _structure_at(here: Context, position: Position) -> Structure:
    return World.from_snapshot(here.mirror.record.as_of(position)).structure
