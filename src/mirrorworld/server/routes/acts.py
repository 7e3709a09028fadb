"""Acting: commands, arms, and seeing events."""

from __future__ import annotations

import secrets
import time
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Response

from mirrorworld.protocol import answers as build
from mirrorworld.protocol import rest
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import answers, problem
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import Arm, Command, Disarm, Edits
from mirrorworld.world.plain import from_plain, to_plain
from mirrorworld.world.ports import SourceError

TIMEOUT_MS_MAX = 3_600_000

router = APIRouter(tags=["acts"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]

_COMMAND_EXAMPLE = {
    "twin": "line1/filler",
    "point": "speed_setpoint",
    "value": 18000,
    "unit": "/h",
    "reason": "shift start",
}


@router.post(
    "/api/arms",
    summary="Make a point or operation writable within interlocks",
    responses=answers(rest.Edited, "It is armed, and that is durable"),
)
async def arm(here: Here, view: Seen, request: rest.ArmRequest) -> Response:
    """Nothing of a source is ever written unless it was armed by name."""
    one = from_plain(Arm, request.arm, "arm")
    _check_target(here, view, one.twin, one.name)
    edits = Edits((one,), request.reason)
    position = await here.mirror.edit(view.who, edits)
    here.accounts.note(view.who.id, "armed", f"{one.twin}.{one.name}")
    return json_answer(rest.Edited(str(position)))


@router.delete(
    "/api/arms",
    summary="Make a point or operation read-only again",
    responses=answers(rest.Edited, "It is read-only, and that is durable"),
)
async def disarm(here: Here, view: Seen, twin: str, name: str, reason: str = "") -> Response:
    """Commands that are on their way are not called back."""
    _check_target(here, view, twin, name)
    edits = Edits((Disarm(twin, name),), reason)
    position = await here.mirror.edit(view.who, edits)
    here.accounts.note(view.who.id, "disarmed", f"{twin}.{name}")
    return json_answer(rest.Edited(str(position)))


def _check_target(here: Context, view: Sight, twin: str, name: str) -> None:
    structure = here.mirror.world.structure
    known = asking.twin(here.mirror.world, view, twin)
    points = [point.name for point in structure.points_of(known)]
    operations = [operation.name for operation in structure.operations_of(known)]
    if name not in points and name not in operations:
        mend = "it has " + ", ".join([*points, *operations][:12])
        raise unknown(f"point or operation of {twin}", name, [*points, *operations], mend)


@router.post(
    "/api/commands",
    status_code=202,
    summary="Ask the real thing for a value or an operation",
    responses=answers(rest.Command, "The command, requested or refused; see its state", 202),
)
async def command(
    here: Here,
    view: Seen,
    request: Annotated[rest.CommandRequest, Body(examples=[_COMMAND_EXAMPLE])],
) -> Response:
    """The answer comes when the request is durable. It is done when the source's own report
    confirms it: ask `/api/commands/{id}?wait_s=10`, or watch the stream."""
    if bool(request.point) == bool(request.operation):
        raise Refused(422, "give a point or an operation", "point", "exactly one of the two")
    if not 1 <= request.timeout_ms <= TIMEOUT_MS_MAX:
        mend = f"give 1 to {TIMEOUT_MS_MAX}"
        raise Refused(422, f"a time-out of {request.timeout_ms} ms", "timeout_ms", mend)
    _check_target(here, view, request.twin, request.point or request.operation)
    asked = Command(
        id=secrets.token_hex(8),
        twin=request.twin,
        point=request.point,
        operation=request.operation,
        value=request.value,
        arguments=tuple(request.arguments.items()),
        by=view.who.id,
        reason=request.reason,
        requested_ns=here.mirror.now_ns(),
        timeout_ms=request.timeout_ms,
    )
    placed = await here.mirror.command(
        view.who, asked, unit=request.unit, is_confirmed=request.is_confirmed
    )
    target = f"{asked.twin}.{asked.point or asked.operation}"
    detail = f"{target} = {asked.value!r}: {placed.state.name.lower()} {placed.detail}".strip()
    here.accounts.note(view.who.id, "command", detail)
    return json_answer(to_plain(placed), 202)


@router.get(
    "/api/commands",
    summary="Open and recent commands",
    responses=answers(rest.CommandsPage, "Latest first"),
)
async def commands(
    here: Here,
    view: Seen,
    twin: Annotated[str | None, Query(description="To this twin")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """With who asked, why, and how far each has come."""
    known = None if twin is None else asking.twin(here.mirror.world, view, twin)
    found = [
        c
        for c in here.mirror.world.commands.values()
        if (known is None or c.twin == known) and view.sees(c.twin)
    ]
    return json_answer(rest.CommandsPage(build.commands_latest(found)[:limit]))


@router.get(
    "/api/commands/{id}",
    summary="One command",
    responses=answers(rest.Command, "The command as it stands"),
)
async def command_of(
    here: Here,
    view: Seen,
    id: str,
    wait_s: Annotated[
        float, Query(ge=0, le=30, description="How long to wait for it to be decided")
    ] = 0,
) -> Response:
    """Its state is 0 requested, 1 sent, 2 confirmed, 3 refused, 4 expired or 5 failed."""
    until = time.monotonic() + wait_s
    while True:
        found = here.mirror.world.commands.get(id)
        if found is None or not view.sees(found.twin):
            raise unknown("command", id, (), "only open and recent commands are kept at hand")
        if found.state.is_final or time.monotonic() >= until:
            return json_answer(to_plain(found))
        await here.views.pause()


@router.get(
    "/api/events",
    summary="Alarms and other conditions",
    responses=answers(rest.EventsPage, "Latest first"),
)
async def events(
    here: Here,
    view: Seen,
    twin: Annotated[str | None, Query(description="Of this twin")] = None,
    active: Annotated[bool | None, Query(description="Only active ones, or only others")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 200,
) -> Response:
    """Each condition once, as it was last reported."""
    known = None if twin is None else asking.twin(here.mirror.world, view, twin)
    found = [
        e
        for e in here.mirror.world.events.values()
        if (known is None or e.twin == known)
        and (active is None or e.is_active == active)
        and view.sees(e.twin)
    ]
    return json_answer(rest.EventsPage(build.events_latest(found)[:limit], len(found)))


@router.post(
    "/api/events/{id:path}/acknowledge",
    summary="Say that an event was seen",
    responses={
        **answers(rest.Event, "The event, acknowledged; or asked for, where its source decides"),
        502: problem("The source that keeps it did not take it"),
    },
)
async def acknowledge(
    here: Here, view: Seen, id: str, request: rest.AcknowledgeRequest
) -> Response:
    """Who saw it and when stands in the log."""
    found = here.mirror.world.events.get(id)
    if found is None or not view.sees(found.twin):
        mend = "GET /api/events lists those that there are"
        raise unknown("event", id, here.mirror.world.events if view.is_whole else (), mend)
    try:
        seen = await here.mirror.acknowledge(view.who, id, request.comment)
    except SourceError as error:
        raise Refused(502, str(error), "", "") from error
    return json_answer(to_plain(seen))
