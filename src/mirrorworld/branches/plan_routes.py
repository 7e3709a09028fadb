"""The routes of plans: made from a branch, approved, executed, their tasks done."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response
from fastapi import Path as PathParameter

from mirrorworld.branches.asked import Here, Id, Known, Seen, own
from mirrorworld.branches.plans import KeptPlan
from mirrorworld.branches.room import Room
from mirrorworld.protocol import branches as shapes
from mirrorworld.server.asking import json_answer
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import answers
from mirrorworld.server.sight import Sight

router = APIRouter(tags=["branches"])
PlanId = Annotated[str, PathParameter(max_length=64, description="Of the plan")]


@router.post(
    "/api/branches/{id}/plans",
    status_code=201,
    summary="Make a plan of what differs in a branch",
    responses=answers(shapes.Plan, "It is proposed, and that is durable", 201),
)
async def make(
    here: Here,
    known: Known,
    view: Seen,
    id: Id,
    asked: Annotated[shapes.PlanRequest, Body(examples=[{"reason": "as agreed on Monday"}])],
) -> Response:
    """Assumed values of writable, armed points become desired values; everything else that people
    changed becomes a task. Nothing is done before somebody approves it."""
    own(known, view, id)
    inside = await known.context(here, id)
    branch = await known.book.opened(id)
    sees = inside.sights.of(view.who).sees
    plan = await known.plans.make(
        view.who, branch, asked.reason, asked.calls, asked.timeout_s, sees
    )
    return json_answer(known.plans.told(view.who, plan), 201)


@router.get(
    "/api/plans",
    summary="The plans of this world",
    responses=answers(shapes.PlansPage, "Latest first"),
)
async def plans(known: Known, view: Seen) -> Response:
    """Those of whose twins you see all."""
    found = [plan for plan in known.plans if _shows(view, plan)]
    return json_answer(shapes.PlansPage([known.plans.told(view.who, plan) for plan in found]))


@router.get(
    "/api/plans/{id}",
    summary="A plan and how far it is",
    responses=answers(shapes.Plan, "The plan"),
)
async def plan(known: Known, view: Seen, id: PlanId) -> Response:
    """Each step says how it went."""
    return json_answer(known.plans.told(view.who, _seen(known, view, id)))


@router.post(
    "/api/plans/{id}",
    summary="Approve, reject or execute a plan, or say that a task is done",
    responses=answers(shapes.Plan, "As it stands then; executing goes on by itself"),
)
async def act(
    known: Known,
    view: Seen,
    id: PlanId,
    asked: Annotated[shapes.PlanAct, Body(examples=[{"act": "approve"}])],
) -> Response:
    """Approved by who may command what it commands; not by its author, where the world's
    `plan_rules` say so."""
    plan = _seen(known, view, id)
    if len(asked.comment) > 500:
        raise Refused(422, f"{len(asked.comment)} characters", "comment", "give 500 at most")
    match asked.act:
        case "approve" | "reject":
            await known.plans.decide(view.who, plan, asked.act, asked.comment)
        case "execute":
            await known.plans.execute(view.who, plan)
        case "done":
            await known.plans.done(view.who, plan, asked.step, asked.comment)
        case _:
            mend = "say approve, reject, execute or done"
            raise Refused(422, f"a plan cannot '{asked.act[:40]}'", "act", mend)
    return json_answer(known.plans.told(view.who, plan))


def _shows(view: Sight, plan: KeptPlan) -> bool:
    return view.is_whole or all(step.about and view.sees(step.about) for step in plan.steps)


def _seen(known: Room, view: Sight, plan_id: str) -> KeptPlan:
    plan = next((p for p in known.plans if p.id == plan_id), None)
    if plan is None or not _shows(view, plan):
        raise unknown("plan", plan_id, (), "GET /api/plans lists them")
    return plan
