"""Notes and tasks, for those who do not write in them live; `server/writing.py` is for those."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body, Depends, Query, Response

from mirrorworld.authoring import history, updates
from mirrorworld.protocol import authoring as shapes
from mirrorworld.protocol import rest
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import answers
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import Position

router = APIRouter(tags=["notes"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]
Of = Annotated[str | None, Query(description="Of this twin alone")]
Limit = Annotated[int, Query(ge=1, le=10_000)]

ROWS_MAX: Final = 1_000
STEPS_MAX: Final = 500
CHANGES_MAX: Final = 1_000_000


@router.get(
    "/api/notes",
    summary="What people wrote and drew about twins",
    responses=answers(shapes.NotesPage, "The latest first"),
)
async def notes(here: Here, view: Seen, twin: Of = None, limit: Limit = ROWS_MAX) -> Response:
    """Of the twins that one may see."""
    if twin is not None:
        asking.twin(here.mirror.world, view, twin)
    rows = [
        shapes.NoteRow(of, id, note)
        async for of, document in here.desk.documents(view)
        if twin in (None, of)
        for id, note in document.notes().items()
    ]
    rows.sort(key=lambda row: -row.note.created)
    return json_answer(shapes.NotesPage(rows[:limit], len(rows) > limit))


@router.get(
    "/api/tasks",
    summary="What is to be done about twins",
    responses=answers(shapes.TasksPage, "The latest first"),
)
async def tasks(
    here: Here,
    view: Seen,
    twin: Of = None,
    state: Annotated[str | None, Query(description="open, doing, done or dropped")] = None,
    owner: Annotated[str | None, Query(description="Whose tasks")] = None,
    limit: Limit = ROWS_MAX,
) -> Response:
    """Of the twins that one may see."""
    if twin is not None:
        asking.twin(here.mirror.world, view, twin)
    rows = [
        shapes.TaskRow(of, id, task)
        async for of, document in here.desk.documents(view)
        if twin in (None, of)
        for id, task in document.tasks().items()
        if state in (None, task.state) and owner in (None, task.owner)
    ]
    rows.sort(key=lambda row: -row.task.created)
    return json_answer(shapes.TasksPage(rows[:limit], len(rows) > limit))


@router.get(
    "/api/notes/document",
    summary="A twin's document, as an update of its CRDT",
    responses=answers(shapes.Document, "All of it, or what is lacking"),
)
async def document(
    here: Here,
    view: Seen,
    twin: Annotated[str, Query()],
    state: Annotated[str, Query(description="State vector of what is there already")] = "",
) -> Response:
    """For programs that write in it: they apply it, change it, and send what has changed."""
    known = here.desk.document(asking.twin(here.mirror.world, view, twin))
    await here.mirror.until_durable(here.desk.latest)
    try:
        update = known.since(updates.of_base64(state) or b"\0")
    except ValueError as error:
        raise Refused(422, str(error), "state", "give what `state` said") from None
    encoded = updates.to_base64(update), updates.to_base64(known.state)
    return json_answer(shapes.Document(twin, *encoded))


@router.get(
    "/api/notes/history",
    summary="Who wrote what about a twin, and when",
    responses=answers(shapes.WrittenPage, "The latest first"),
)
async def past(here: Here, view: Seen, twin: Annotated[str, Query()]) -> Response:
    """As far back as the log is kept."""
    known = asking.twin(here.mirror.world, view, twin)
    start = Position(here.mirror.world.epoch, 0)

    def read() -> Response:
        changes = here.mirror.record.changes(start, CHANGES_MAX, frames=False)
        rows = history.steps(changes, known)[-STEPS_MAX:]
        return json_answer(shapes.WrittenPage(rows[::-1]))

    return await here.past.do(read)


@router.post(
    "/api/notes",
    summary="Write about a twin",
    responses=answers(rest.Edited, "It is durable"),
)
async def write(
    here: Here,
    view: Seen,
    request: Annotated[
        shapes.WriteRequest, Body(examples=[{"twin": "line1/filler", "update": "AAA="}])
    ],
) -> Response:
    """An update of its document (Yjs, format v1, base64). Its author is who sends it: what it says
    in another's name is refused."""
    try:
        update = updates.of_base64(request.update)
    except ValueError as error:
        raise Refused(422, str(error), "update", "") from None
    position = here.desk.take(view, request.twin, update)
    await here.mirror.until_durable(position)
    here.desk.tell(request.twin, update, None, view.who.id)
    return json_answer(rest.Edited(str(position)))
