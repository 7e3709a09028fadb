"""Taking one's own latest edits back."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Response

from mirrorworld.protocol import rest
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import answers
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import Change, Edits, OriginKind, Position
from mirrorworld.world.structure import Structure
from mirrorworld.world.undoing import undone
from mirrorworld.world.world import World

UNDO: Final = "undo of "
_UNDONE: Final = re.compile(UNDO + r"(\d+:\d+)")

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
        match = _UNDONE.fullmatch(change.body.reason)
        if match is not None:
            gone.add(match[1])
        elif str(change.position) not in gone and position in (None, str(change.position)):
            return change
    return None


def _structure_at(here: Context, position: Position) -> Structure:
    return World.from_snapshot(here.mirror.record.as_of(position)).structure
