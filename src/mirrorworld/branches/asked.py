"""What the routes of branches depend on: the room, who looks, and which branch may be whose."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi import Path as PathParameter

from mirrorworld.branches.book import Entry
from mirrorworld.branches.room import Room, room_of
from mirrorworld.server import asking
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.sight import Sight

Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]


async def room(here: Here) -> Room:
    """The branches of the world that is asked."""
    return room_of(here.mirror)


Known = Annotated[Room, Depends(room)]
Id = Annotated[str, PathParameter(max_length=64, description="Of the branch")]


def seen(known: Room, view: Sight, id: str) -> Entry:
    """The branch of an id, if it is shown; else 404, so that nobody learns what there is."""
    entry = known.book.entries.get(id)
    if entry is None or not known.sees(view.who, entry):
        raise unknown("branch", id, (), "GET /api/branches lists them")
    return entry


def own(known: Room, view: Sight, id: str) -> Entry:
    """As `seen`, for who may change it; 403 for others."""
    entry = seen(known, view, id)
    if not known.may_change(view.who, entry):
        raise Refused(
            403,
            f"'{entry.head.name}' is {entry.head.author}'s",
            "branch",
            "make a branch of it, or ask them",
        )
    return entry
