"""The routes of what goes on in branches: runs, evaluations, comparison."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Body, Query, Response
from fastapi import Path as PathParameter

from mirrorworld.branches import doors
from mirrorworld.branches.asked import Id, Known, Seen, own, seen
from mirrorworld.branches.room import Room
from mirrorworld.protocol import branches as shapes
from mirrorworld.server.asking import json_answer
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import PROBLEMS, answers
from mirrorworld.server.sight import Sight

COMPARED_MAX: Final = 50

router = APIRouter(tags=["branches"])
EvaluationId = Annotated[str, PathParameter(max_length=64, description="Of the evaluation")]


def _whole(view: Sight, what: str) -> None:
    """Models look at all of a world: what they tell is for who may see all of it."""
    if not view.is_whole:
        raise Refused(403, f"{what} tells of the whole world", "branch", "ask who sees all of it")


@router.post(
    "/api/branches/{id}/run",
    status_code=202,
    summary="Run a branch with its models",
    responses=answers(shapes.RunState, "It starts; GET the branch says how it stands", 202),
)
async def run(
    known: Known,
    view: Seen,
    id: Id,
    asked: Annotated[shapes.RunRequest, Body(examples=[{"duration_s": 3600.0, "speed": 60.0}])],
) -> Response:
    """In a process of its own, by the branch's own clock, from where that stands."""
    own(known, view, id)
    _whole(view, "a run")
    return json_answer(await known.runs.start(id, asked), 202)


@router.post(
    "/api/branches/{id}/control",
    summary="Pause, resume, step, speed up or stop a run",
    responses=answers(shapes.RunState, "It is told; of `stop`, it has ended"),
)
async def control(
    known: Known,
    view: Seen,
    id: Id,
    asked: Annotated[shapes.ControlRequest, Body(examples=[{"act": "pause"}])],
) -> Response:
    """A step goes on for a while of the branch's clock, or to the next change."""
    own(known, view, id)
    return json_answer(await known.runs.control(id, asked))


@router.post(
    "/api/branches/{id}/evaluations",
    status_code=202,
    summary="Evaluate a branch",
    responses=answers(shapes.Evaluation, "It waits for a process, or runs", 202),
)
async def evaluate(
    known: Known,
    view: Seen,
    id: Id,
    asked: Annotated[
        shapes.EvaluationRequest, Body(examples=[{"evaluator": "standing", "replications": 1}])
    ],
) -> Response:
    """Figures over replications of the branch as it is now, in a process of its own."""
    own(known, view, id)
    _whole(view, "an evaluation")
    await known.look()
    row = known.evaluators.get(asked.evaluator)
    if row is None:
        mend = f"installed are {', '.join(known.evaluators) or 'none'}"
        raise unknown("evaluator", asked.evaluator, known.evaluators, mend)
    doors.check(row, asked.options)
    figures = await known.evaluations.start(id, asked, view.who.id)
    return json_answer(known.evaluations.told(id, figures), 202)


@router.get(
    "/api/branches/{id}/evaluations",
    summary="The evaluations of a branch",
    responses=answers(shapes.EvaluationsPage, "Latest first"),
)
async def evaluations(known: Known, view: Seen, id: Id) -> Response:
    """With their figures as far as they are."""
    seen(known, view, id)
    _whole(view, "an evaluation")
    found = reversed(known.evaluations.of(id).values())
    return json_answer(shapes.EvaluationsPage([known.evaluations.told(id, f) for f in found]))


@router.get(
    "/api/branches/{id}/evaluations/{evaluation}",
    summary="One evaluation of a branch",
    responses=answers(shapes.Evaluation, "How far it is, and its figures"),
)
async def evaluation(known: Known, view: Seen, id: Id, evaluation: EvaluationId) -> Response:
    """What was found before it ended is kept."""
    seen(known, view, id)
    _whole(view, "an evaluation")
    figures = known.evaluations.figures(id, evaluation)
    return json_answer(known.evaluations.told(id, figures))


@router.post(
    "/api/branches/{id}/evaluations/{evaluation}/cancel",
    summary="Cancel an evaluation",
    responses=answers(shapes.Evaluation, "It is ended; what was found by then is kept"),
)
async def cancel(known: Known, view: Seen, id: Id, evaluation: EvaluationId) -> Response:
    """One that is over stays as it is."""
    own(known, view, id)
    figures = await known.evaluations.cancel(id, evaluation)
    return json_answer(known.evaluations.told(id, figures))


@router.delete(
    "/api/branches/{id}/evaluations/{evaluation}",
    status_code=204,
    summary="Forget an evaluation",
    responses={204: {"description": "It is gone"}, **PROBLEMS},
)
async def remove(known: Known, view: Seen, id: Id, evaluation: EvaluationId) -> Response:
    """Its figures go with it."""
    own(known, view, id)
    known.evaluations.figures(id, evaluation)
    await known.evaluations.remove(id, evaluation)
    return Response(status_code=204)


def compare(known: Room, view: Sight, branch: list[str], evaluator: str) -> shapes.Comparison:
    """See the route `/api/branches/compare`."""
    _whole(view, "a comparison")
    for one in branch:
        seen(known, view, one)
    return known.evaluations.compared(list(dict.fromkeys(branch)), evaluator)


# In `routes.py` this comes before `/api/branches/{id}`: routes are tried in order.
comparing = APIRouter(tags=["branches"])


@comparing.get(
    "/api/branches/compare",
    summary="Branches beside each other",
    responses=answers(shapes.Comparison, "A row for each figure, a cell for each branch"),
)
async def comparison(
    known: Known,
    view: Seen,
    branch: Annotated[list[str], Query(min_length=1, max_length=COMPARED_MAX)],
    evaluator: Annotated[str, Query(max_length=200, description="Absent: the latest used")] = "",
) -> Response:
    """By the latest evaluation of each; the first named is what the others are compared with.
    Means with 95 % intervals, differences with theirs, and the probability of being better."""
    return json_answer(compare(known, view, branch, evaluator))
