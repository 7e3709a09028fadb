"""Rules: writing them, trying them before; and setting alarms aside."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response

from mirrorworld.protocol import rest
from mirrorworld.protocol import rules as shapes
from mirrorworld.rules.book import KIND, read
from mirrorworld.rules.engine import Engine, trial
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import answers
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import DropSheet, Edits, PutSheet
from mirrorworld.world.model import Sheet
from mirrorworld.world.plain import to_plain
from mirrorworld.world.ports import Action

ROWS_MAX = 100

router = APIRouter(tags=["rules"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]

_EXAMPLE = {
    "body": '{"applies": {"type": "Filler"}, "alarm": {"when": "level > 80 %", "severity": 2}}',
    "reason": "after the overflow of 3 May",
}
Asked = Annotated[shapes.RuleRequest, Body(examples=[_EXAMPLE])]


@router.get(
    "/api/rules", summary="All rules", responses=answers(shapes.RulesPage, "And how they do")
)
async def rules(here: Here, view: Seen) -> Response:
    """In the order of their making."""
    engine = next((m for m in getattr(here.mirror, "models", ()) if isinstance(m, Engine)), None)
    rows = []
    for (kind, name), sheet in here.mirror.world.structure.sheets.items():
        if kind != KIND:
            continue
        groups = [g for g in engine.groups if g.rule.name == name] if engine else []
        troubles = [_said(t) for t in engine.troubles if t.rule == name] if engine else []
        rows.append(shapes.RuleRow(name, sheet.body, sum(len(g.twins) for g in groups), troubles))
    return json_answer(shapes.RulesPage(rows))


@router.put(
    "/api/rules/{name}",
    summary="Write a rule",
    responses=answers(rest.Edited, "It is durable, and works from the next look on"),
)
async def put_rule(here: Here, view: Seen, name: str, request: Asked) -> Response:
    """Refused where it cannot be read, or works for no twin at all."""
    _may_edit(here, view)
    sheet = Sheet(KIND, name, request.body)
    rule = read(sheet)
    tried = trial(rule, here.mirror.world, here.mirror.now_ns())
    if tried.troubles and not tried.twins:
        raise Refused(422, tried.troubles[0].why, f"rule {name}", "try it by /api/rules/preview")
    edits = Edits((PutSheet(sheet),), request.reason)
    return json_answer(rest.Edited(str(await here.mirror.edit(view.who, edits))))


@router.delete(
    "/api/rules/{name}",
    summary="End a rule",
    responses=answers(rest.Edited, "Its alarms go with it; its points stay with their past"),
)
async def drop_rule(here: Here, view: Seen, name: str, reason: str = "") -> Response:
    """The log still has it."""
    _may_edit(here, view)
    names = [n for kind, n in here.mirror.world.structure.sheets if kind == KIND]
    if name not in names:
        raise unknown("rule", name, names, "GET /api/rules lists them")
    edits = Edits((DropSheet(KIND, name),), reason)
    return json_answer(rest.Edited(str(await here.mirror.edit(view.who, edits))))


@router.post(
    "/api/rules/preview",
    summary="Try a rule without keeping it",
    responses=answers(shapes.RulePreview, "What it would say now"),
)
async def preview(here: Here, view: Seen, request: Asked) -> Response:
    """With each twin that it would apply to and that you may see."""
    rule = read(Sheet(KIND, "preview", request.body))
    tried = trial(rule, here.mirror.world, here.mirror.now_ns())
    structure = here.mirror.world.structure
    rows = [
        shapes.PreviewRow(twin, structure.twins[twin].name.best("en"), value)
        for twin, value in tried.twins
        if view.sees(twin)
    ]
    return json_answer(
        shapes.RulePreview(
            instances=len(rows),
            active=sum(row.value is True for row in rows) if rule.alarm else 0,
            kind="alarm" if rule.alarm else "derived",
            unit=tried.unit,
            rows=rows[:ROWS_MAX],
            troubles=[_said(trouble) for trouble in tried.troubles],
        )
    )


# --- setting alarms aside ---


@router.post(
    "/api/events/{id:path}/shelve",
    summary="Shelve an alarm for a time",
    responses=answers(rest.Event, "It calls nobody until then"),
)
async def shelve(here: Here, view: Seen, id: str, request: shapes.ShelveRequest) -> Response:
    """Its life goes on; who shelved it, and why, stands in the log."""
    _known(here, view, id)
    if not 0 < request.duration_s <= 7 * 86_400:
        raise Refused(422, "an alarm is shelved for up to 7 days", "duration_s", "in seconds")
    until_ns = here.mirror.now_ns() + int(request.duration_s * 1e9)
    done = await here.mirror.set_aside(
        view.who, id, shelved_until_ns=until_ns, reason=request.reason
    )
    return json_answer(to_plain(done))


@router.post(
    "/api/events/{id:path}/unshelve",
    summary="Take an alarm off the shelf",
    responses=answers(rest.Event, "It calls again"),
)
async def unshelve(here: Here, view: Seen, id: str) -> Response:
    """If its cause is there it calls at once."""
    _known(here, view, id)
    return json_answer(to_plain(await here.mirror.set_aside(view.who, id, shelved_until_ns=0)))


@router.post(
    "/api/events/{id:path}/out-of-service",
    summary="Take an alarm out of service",
    responses=answers(rest.Event, "It calls nobody until it is put back"),
)
async def out_of_service(
    here: Here, view: Seen, id: str, request: shapes.ReasonRequest
) -> Response:
    """For maintenance; an engineer says so."""
    _known(here, view, id)
    done = await here.mirror.set_aside(view.who, id, is_out_of_service=True, reason=request.reason)
    return json_answer(to_plain(done))


@router.post(
    "/api/events/{id:path}/in-service",
    summary="Put an alarm back into service",
    responses=answers(rest.Event, "It is watched again"),
)
async def in_service(here: Here, view: Seen, id: str) -> Response:
    """An engineer says so."""
    _known(here, view, id)
    return json_answer(to_plain(await here.mirror.set_aside(view.who, id, is_out_of_service=False)))


def _known(here: Context, view: Sight, id: str) -> None:
    found = here.mirror.world.events.get(id)
    if found is None or not view.sees(found.twin):
        mend = "GET /api/events lists those that there are"
        raise unknown("event", id, here.mirror.world.events if view.is_whole else (), mend)


def _may_edit(here: Context, view: Sight) -> None:
    decision = here.mirror.guard.may(view.who, Action.EDIT, "", "rules", here.mirror.now_ns())
    if not decision.allowed:
        raise Refused(403, decision.reason or f"{view.who.id} may not do this", "rules", "")


def _said(trouble: Any) -> str:
    return f"{trouble.why} ({trouble.twins} twins)" if trouble.twins else str(trouble.why)
