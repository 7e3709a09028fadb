"""The routes of branches: making, changing, looking, comparing and letting go of them."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Body, FastAPI, Query, Request, Response, WebSocket
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from mirrorworld.branches import plan_routes, run_routes
from mirrorworld.branches.asked import Here, Id, Known, Seen, own, seen
from mirrorworld.branches.branch import VALUES_MAX, Made
from mirrorworld.branches.diff import differences
from mirrorworld.branches.files import SUFFIX
from mirrorworld.branches.room import changed_since_fork, room_of
from mirrorworld.branches.saying import lines, person
from mirrorworld.protocol import branches as shapes
from mirrorworld.protocol import rest
from mirrorworld.protocol.series import ARROW
from mirrorworld.server import asking, editing, problems
from mirrorworld.server.app import VIEWERS_MAX
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import PROBLEMS, answers, past, problem, world
from mirrorworld.server.stream import CLOSE_FULL, Session
from mirrorworld.world.ports import Action

ROWS_MAX: Final = 1_000
"""Of a difference, unless fewer are asked for."""

_ZIP: Final = "application/zip"
_BYTES: Final = "application/octet-stream"
_BINARY: Final = {"type": "string", "format": "binary"}

router = APIRouter(tags=["branches"])
router.include_router(run_routes.comparing)


@router.get(
    "/api/branches",
    summary="The branches of this world",
    responses=answers(shapes.BranchesPage, "Yours, and those that are shared; latest first"),
)
async def branches(known: Known, view: Seen) -> Response:
    """And the models and evaluators that are installed, with their options."""
    await known.look()
    rows = [known.row(view.who, entry) for entry in known.book if known.sees(view.who, entry)]
    return json_answer(
        shapes.BranchesPage(
            rows,
            list(known.models.values()),
            list(known.evaluators.values()),
            known.book.branches_max,
        )
    )


@router.post(
    "/api/branches",
    status_code=201,
    summary="Make a branch",
    responses=answers(shapes.Branch, "It is made, and that is durable", 201),
)
async def make(
    known: Known,
    view: Seen,
    asked: Annotated[shapes.BranchRequest, Body(examples=[{"name": "faster filler"}])],
) -> Response:
    """From now, or from any past moment: a position gives what was known then; a time gives what
    was true then, as it is known now, with the structure of now."""
    if not known.may_make(view.who):
        raise Refused(403, f"{view.who.id} may edit nothing here", "branch", "ask an engineer")
    if asked.parent:
        seen(known, view, asked.parent)
    at = time_ns = None
    if ":" in asked.at and asked.at.replace(":", "", 1).isdigit():
        at = asking.position(asked.at, "at")
    elif asked.at:
        time_ns = asking.time_ns(asked.at, "at")
    branch = await known.book.make(
        name=asked.name,
        author=person(view.who.id),
        parent=asked.parent,
        at=at,
        time_ns=time_ns,
        is_shared=asked.is_shared,
        note=asked.note,
    )
    return json_answer(known.row(view.who, known.book.entry(branch.head.id)), 201)


@router.get(
    "/api/branches/{id}",
    summary="A branch and how it stands",
    responses=answers(shapes.Branch, "The branch"),
)
async def branch(known: Known, view: Seen, id: Id) -> Response:
    """With its parameters, models and run."""
    entry = seen(known, view, id)
    if not entry.problem:
        await known.book.opened(id)
    return json_answer(known.row(view.who, entry))


@router.put(
    "/api/branches/{id}",
    summary="Rename, share or note a branch, or attach models to it",
    responses=answers(shapes.Branch, "It is so, and that is durable"),
)
async def change(
    known: Known,
    view: Seen,
    id: Id,
    asked: Annotated[shapes.BranchPatch, Body(examples=[{"is_shared": True}])],
) -> Response:
    """What is null stays as it is."""
    own(known, view, id)
    otherwise: dict[str, Any] = {
        name: getattr(asked, name)
        for name in ("name", "is_shared", "note", "models")
        if getattr(asked, name) is not None
    }
    await known.look()
    known.check_models(otherwise.get("models", ()))
    entry = await known.book.save(id, **otherwise)
    return json_answer(known.row(view.who, entry))


@router.delete(
    "/api/branches/{id}",
    status_code=204,
    summary="Discard a branch",
    responses={204: {"description": "It is gone, with its run and figures"}, **PROBLEMS},
)
async def discard(known: Known, view: Seen, id: Id) -> Response:
    """Its parent stays as it is. A branch that others came from stays too."""
    own(known, view, id)
    await known.discard(id)
    return Response(status_code=204)


@router.get(
    "/api/branches/{id}/export",
    summary="A branch as one file",
    responses={
        **PROBLEMS,
        200: {"description": "A ZIP file", "content": {_ZIP: {"schema": _BINARY}}},
    },
)
async def export(here: Here, known: Known, view: Seen, id: Id) -> Response:
    """With the world at its fork, its log and its figures; it needs nothing else."""
    seen(known, view, id)
    inside = await known.context(here, id)
    if not inside.sights.of(view.who).is_whole:
        raise Refused(403, "a branch's file has all of it", "branch", "ask who sees all of it")
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
    try:
        await known.book.export(id, folder / "branch")
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, True)
        raise
    return FileResponse(
        folder / "branch",
        media_type=_ZIP,
        filename=f"{id}{SUFFIX}",
        background=BackgroundTask(shutil.rmtree, folder, True),
    )


@router.post(
    "/api/branches/import",
    status_code=201,
    summary="A branch from a file",
    responses=answers(shapes.Branch, "It is yours, and that is durable", 201),
    openapi_extra={"requestBody": {"required": True, "content": {_BYTES: {"schema": _BINARY}}}},
)
async def import_(known: Known, view: Seen, request: Request) -> Response:
    """One that was exported from this world, here or on another machine."""
    if not known.may_make(view.who) or not view.is_whole:
        raise Refused(403, f"{view.who.id} may not bring branches in", "branch", "ask an engineer")
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
    try:
        with (folder / "branch").open("wb") as file:
            async for part in request.stream():
                await asyncio.to_thread(file.write, part)
        branch = await known.book.import_(folder / "branch", person(view.who.id))
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)
    return json_answer(known.row(view.who, known.book.entry(branch.head.id)), 201)


# --- changing ---


@router.post(
    "/api/branches/{id}/edits",
    summary="Edit the world of a branch",
    responses={
        **answers(rest.Edited, "The edits are durable"),
        409: problem("A sheet of `based_on` was changed meanwhile"),
    },
)
async def edit(
    here: Here,
    known: Known,
    view: Seen,
    id: Id,
    asked: Annotated[
        rest.EditRequest,
        Body(
            examples=[
                {
                    "edits": [
                        {
                            "@": "PutProperty",
                            "twin": "line1/filler",
                            "property": {"name": "cycle_time", "value": 1.1, "unit": "s"},
                        }
                    ],
                    "reason": "a faster filler",
                }
            ]
        ),
    ],
) -> Response:
    """As `/api/edits` edits the live world: together or not at all."""
    own(known, view, id)
    inside = await known.context(here, id)
    async with known.changing(id):
        position = editing.take(inside, inside.sights.of(view.who), asked)
    return json_answer(rest.Edited(str(position)))


@router.post(
    "/api/branches/{id}/values",
    summary="Assume values and scenario parameters",
    responses=answers(rest.Edited, "They hold in the branch, and that is durable"),
)
async def assume(
    here: Here,
    known: Known,
    view: Seen,
    id: Id,
    asked: Annotated[
        shapes.AssumeRequest,
        Body(
            examples=[
                {
                    "values": [{"point": "line1/filler.speed", "value": 240.0, "unit": "/min"}],
                    "parameters": {"demand_per_h": 14000},
                    "reason": "what the customer wants in spring",
                }
            ]
        ),
    ],
) -> Response:
    """Values are of origin authored. Parameters are read by models and evaluators; null takes one
    away."""
    own(known, view, id)
    inside = await known.context(here, id)
    if not (asked.values or asked.parameters):
        raise Refused(422, "nothing is assumed", "values", "give values or parameters")
    if len(asked.values) > VALUES_MAX:
        raise Refused(422, f"{len(asked.values)} values at once", "values", f"{VALUES_MAX} at most")
    mirror = inside.mirror
    looking = inside.sights.of(view.who)
    chosen: list[tuple[str, str, Any, str]] = []
    for one in asked.values:
        handle = asking.point(mirror.world, looking, one.point)
        twin, kind = mirror.world.point(handle)
        known.ask(view.who, Action.EDIT, twin)
        chosen.append((twin, kind.name, one.value, one.unit))
    if asked.parameters:
        known.ask(view.who, Action.EDIT, "")
    async with known.changing(id) as branch:
        position = branch.world.position
        if chosen:
            position = branch.assume(view.who.id, chosen, asked.reason)
        if asked.parameters:
            position = branch.set_parameters(view.who.id, asked.parameters, asked.reason)
    return json_answer(rest.Edited(str(position)))


@router.post(
    "/api/branches/{id}/undo",
    summary="Take a change back",
    responses=answers(rest.Edited, "It is taken back, and that is durable"),
)
async def undo(
    known: Known,
    view: Seen,
    id: Id,
    position: Annotated[
        str | None, Query(max_length=64, description="Of the change; absent: the latest")
    ] = None,
) -> Response:
    """Where the same thing was changed since, nothing is, and the answer says what."""
    own(known, view, id)
    async with known.changing(id) as branch:
        placed = branch.undo(view.who.id, position)
    return json_answer(rest.Edited(str(placed)))


@router.get(
    "/api/branches/{id}/changes",
    summary="What people changed in a branch",
    responses=answers(shapes.BranchChanges, "In order"),
)
async def changes(here: Here, known: Known, view: Seen, id: Id) -> Response:
    """Each with its author, why, and what it says."""
    seen(known, view, id)
    inside = await known.context(here, id)
    if not inside.sights.of(view.who).is_whole:
        raise Refused(403, "changes tell of the whole branch", "branch", "ask for what differs")
    branch = await known.book.opened(id)
    gone = branch.undone()

    def row(made: Made) -> shapes.BranchChange:
        said = lines(branch.world, made.change)
        at = str(made.position)
        return shapes.BranchChange(
            at, made.by, made.change.received_ns, made.reason, said, at in gone
        )

    return json_answer(shapes.BranchChanges([row(made) for made in branch.made]))


# --- looking ---


@router.get(
    "/api/branches/{id}/diff",
    summary="What differs in a branch",
    responses=answers(shapes.BranchDiff, "Structure, parameters, then values"),
)
async def diff(
    here: Here,
    known: Known,
    view: Seen,
    id: Id,
    against: Annotated[
        str, Query(max_length=64, description="`fork`, `live`, or the id of another branch")
    ] = "fork",
    rows: Annotated[int, Query(ge=1, le=ROWS_MAX)] = ROWS_MAX,
) -> Response:
    """From where it was forked, from the live world as it is now, or from another branch."""
    seen(known, view, id)
    inside = await known.context(here, id)
    looking = inside.sights.of(view.who)
    branch = await known.book.opened(id)
    handles = changed_since_fork(branch)
    if against == "fork":
        before = branch.base
    elif against == "live":
        before = here.mirror.world
    else:
        seen(known, view, against)
        other = await known.book.opened(against)
        before = other.world
        handles = _both(handles, changed_since_fork(other))
    found = list(differences(before, branch.world, handles, looking.sees))
    return json_answer(shapes.BranchDiff(id, against, len(found), found[:rows]))


def _both(one: Any, other: Any) -> Any:
    return np.union1d(one, other).astype(np.uint32)


@router.websocket("/api/branches/{id}/stream")
async def stream(socket: WebSocket, id: str) -> None:
    """As `/api/stream` of the live world: the same messages, of the branch."""
    live: Context = socket.app.state.context
    await socket.accept()
    view = live.sights.of(socket.state.principal)
    try:
        known = room_of(live.mirror)
        if not view.sees(""):
            raise PermissionError(f"{view.who.id} may not see this world")
        seen(known, view, id)
        inside = await known.context(live, id)
    except (Refused, *problems.BY_KIND) as error:
        status, said = problems.of(error, "branch")
        await socket.close(4000 + status, said.detail[:120])
        return
    if inside.views.viewers >= VIEWERS_MAX:
        await socket.close(CLOSE_FULL, f"{VIEWERS_MAX} viewers are here already")
        return
    inside.views.viewers += 1
    try:
        looking = inside.sights.of(socket.state.principal)
        await Session(
            socket, inside.mirror, inside.views, inside.past, looking, inside.features
        ).run()
    finally:
        inside.views.viewers -= 1


def _inside() -> FastAPI:
    """The reading routes of a world, to be asked of a branch."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    problems.install(app)
    app.include_router(world.router)
    app.include_router(past.router)
    return app


_INSIDE: Final = _inside()


@router.get(
    "/api/branches/{id}/world/{path:path}",
    summary="Ask a branch what may be asked of the world",
    responses={
        **PROBLEMS,
        200: {
            "description": "As `/api/{path}` answers for the live world",
            "content": {
                "application/json": {"schema": {}},
                ARROW: {"schema": {"type": "string", "format": "binary"}},
            },
        },
    },
)
async def inside(here: Here, known: Known, view: Seen, request: Request, id: Id, path: str) -> Any:
    """`world`, `twins`, `points`, `types`, `relations`, `sheets`, `export`, `history`, `asof` and
    `changes`, with the same parameters."""
    seen(known, view, id)
    context = await known.context(here, id)
    return _Forward(context, f"/api/{path}")


class _Forward(Response):
    """Answers a request by the routes that read a world, of another world."""

    def __init__(self, context: Context, path: str) -> None:
        super().__init__()
        self._context, self._path = context, path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        inner = dict(scope)
        inner["path"], inner["raw_path"] = self._path, self._path.encode()
        inner["state"] = {**scope.get("state", {}), "context": self._context}
        for name in ("app", "router", "endpoint", "route", "path_params"):
            inner.pop(name, None)
        await _INSIDE(inner, receive, send)


router.include_router(run_routes.router)
router.include_router(plan_routes.router)
