"""The routes of a shift at work: which shifts there are, what the units did, why they stood."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from mirrorworld.operations.downtime import COMMENT_MAX, Said, Statements
from mirrorworld.operations.effectiveness import Stretch
from mirrorworld.operations.reasons import Reason, reasons_for
from mirrorworld.operations.shift_report import (
    Stop,
    UnitReport,
    pareto,
    plan_of,
    unit_reports,
)
from mirrorworld.operations.shifts import ShiftPlan, ShiftRun
from mirrorworld.operations.units_of_work import WorkUnit, work_units
from mirrorworld.protocol import operations as shapes
from mirrorworld.protocol.answers import near
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import answers
from mirrorworld.server.sight import Sight
from mirrorworld.world.structure import Structure

SHIFTS_MAX: Final = 100
STOPS_MAX: Final = 500
LOSSES_MAX: Final = 20
TIMELINE_PARTS: Final = 1_500
SAID_SPAN_MAX_NS: Final = 31 * 86_400_000_000_000

router = APIRouter(tags=["operations"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]
Plan = Annotated[str, Query(max_length=200, description="Name of the shift plan; else the first")]
Which = Annotated[
    str,
    Query(
        max_length=64,
        pattern=r"^(current|last|[0-9]{1,19})$",
        description="current, last, or the start_ns of a shift",
    ),
]
Language = Annotated[str, Query(max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]

_EXAMPLE = {
    "twin": "line1/filler",
    "start_ns": 1732262400000000000,
    "end_ns": None,
    "reason": "breakdown/mechanical",
    "comment": "star wheel",
}


class Room:
    """What the routes of one application remember, so that asking often costs little."""

    def __init__(self, mirror: Mirrored) -> None:
        self._mirror = mirror
        self._statements = Statements()
        self._structure: Structure | None = None
        self._units: list[WorkUnit] = []

    def structure(self) -> tuple[Structure, list[WorkUnit]]:
        """A copy of the structure that threads may read, and the work units in it. On the loop."""
        now = self._mirror.world.structure
        if self._structure is None or self._structure.version != now.version:
            self._structure = now.fork()
            self._units = work_units(self._structure)
        return self._structure, self._units

    def statements(self) -> list[Said]:
        """What people said of stops, up to what is durable. From a thread."""
        log = getattr(self._mirror.record, "log", None)
        if log is None:
            return []
        return self._statements.read(lambda after: log.changes(after, frames=False))


async def room(request: Request) -> Room:
    """That of the application that is asked."""
    state = request.app.state
    if not hasattr(state, "operations"):
        state.operations = Room(state.context.mirror)
    return state.operations


def run_of(plan: ShiftPlan, which: str, now_ns: int) -> ShiftRun:
    """The shift that a parameter names; 404 where there is none."""
    if which == "last":
        found = plan.latest(now_ns)
    elif which == "current":
        found = plan.current(now_ns)
    else:
        start_ns = int(which)
        if start_ns > now_ns:
            raise Refused(404, "this shift has not begun", "shift", "GET /api/shifts lists them")
        around = plan.runs(start_ns, start_ns + 3 * 86_400_000_000_000)
        found = next((run for run in around if run.span[0] == start_ns), None)
    if found is None:
        raise Refused(404, "no such shift is in the plan", "shift", "GET /api/shifts lists them")
    return found


Known = Annotated[Room, Depends(room)]


@router.get(
    "/api/shifts",
    summary="The shift that works now, and those before it",
    responses=answers(shapes.ShiftsPage, "Latest first"),
)
async def shifts(
    here: Here,
    view: Seen,
    plan: Plan = "",
    limit: Annotated[int, Query(ge=1, le=SHIFTS_MAX)] = 22,
) -> Response:
    """Of a plan. Where nobody planned: three shifts around the clock, in UTC."""
    structure, now_ns = here.mirror.world.structure, here.mirror.now_ns()
    planned = plan_of(structure, plan)
    plans = sorted(name for kind, name in structure.sheets if kind == "shift_plan")
    found: list[shapes.ShiftRow] = []
    current = planned.current(now_ns)
    if current is not None:
        found.append(_shift(current, is_current=True))
    day = 86_400_000_000_000
    past = list(planned.runs(now_ns - (limit + 8) * day, now_ns))
    found += [_shift(run) for run in reversed(past)]
    name = plan or (plans[0] if plans else "")
    return json_answer(shapes.ShiftsPage(name, plans, planned.zone.key, found[:limit]))


@router.get(
    "/api/effectiveness",
    summary="What the units did in a shift: OEE after ISO 22400-2",
    responses=answers(shapes.ShiftFigures, "Of each unit, and the losses of all together"),
)
async def effectiveness(
    here: Here,
    view: Seen,
    known: Known,
    plan: Plan = "",
    shift: Which = "current",
    language: Language = "en",
) -> Response:
    """Of a shift that is not over, what there is of it so far."""
    now_ns = here.mirror.now_ns()
    run = run_of(plan_of(here.mirror.world.structure, plan), shift, now_ns)
    units = await _units(here, view, known, run, language, now_ns)
    stops = [stop for unit in units for stop in unit.stops]
    return json_answer(
        shapes.ShiftFigures(
            _shift(run, is_current=run.span[1] > now_ns),
            min(run.span[1], now_ns),
            [_unit(unit, run) for unit in units],
            _losses(stops),
        )
    )


@router.get(
    "/api/stops",
    summary="Stops of a shift, and why",
    responses=answers(shapes.StopsPage, "Latest first"),
)
async def stops(
    here: Here,
    view: Seen,
    known: Known,
    plan: Plan = "",
    shift: Which = "current",
    twin: Annotated[str | None, Query(max_length=2_000, description="Of this unit")] = None,
    unexplained: Annotated[bool, Query(description="Only those that somebody should explain")] = (
        False
    ),
    language: Language = "en",
) -> Response:
    """Of a shift that is not over, with those that stand now."""
    now_ns = here.mirror.now_ns()
    run = run_of(plan_of(here.mirror.world.structure, plan), shift, now_ns)
    if twin is not None:
        asking.twin(here.mirror.world, view, twin)
    units = await _units(here, view, known, run, language, now_ns)
    found = [
        stop
        for unit in units
        for stop in unit.stops
        if (twin is None or unit.twin == twin) and (stop.is_unexplained or not unexplained)
    ]
    found.sort(key=lambda stop: -stop.start_ns)
    until = min(run.span[1], now_ns)
    is_current = run.span[1] > now_ns
    rows = [_stop(stop, is_open=is_current and stop.end_ns >= until) for stop in found[:STOPS_MAX]]
    return json_answer(
        shapes.StopsPage(_shift(run, is_current=is_current), rows, len(found) > STOPS_MAX)
    )


@router.get(
    "/api/downtime-reasons",
    summary="The reasons that a stop of a unit may have",
    responses=answers(shapes.ReasonsPage, "As a tree"),
)
async def reasons(
    here: Here,
    view: Seen,
    twin: Annotated[str, Query(max_length=2_000)],
    language: Language = "en",
) -> Response:
    """Of the sheet of kind `downtime_reasons` that is nearest to it; else the usual ones."""
    known = asking.twin(here.mirror.world, view, twin)
    tree = reasons_for(here.mirror.world.structure, known)
    return json_answer(
        shapes.ReasonsPage([_reason(r, language) for r in tree.top], tree.ask_from_s)
    )


@router.post(
    "/api/stops/reasons",
    summary="Say why a unit stood",
    responses=answers(shapes.SaidAnswer, "It is durable, and counts"),
)
async def say(
    here: Here,
    view: Seen,
    known: Known,
    request: Annotated[shapes.SayRequest, Body(examples=[_EXAMPLE])],
) -> Response:
    """Of a part of a stop too, which splits it. What is said later of the same time lies over it.
    Said twice in the same words, it is there once."""
    world, now_ns = here.mirror.world, here.mirror.now_ns()
    twin = asking.twin(world, view, request.twin)
    structure, units = known.structure()
    if all(unit.twin != twin for unit in units):
        raise Refused(422, f"{twin} is no work unit", "twin", "a sheet of kind oee makes it one")
    tree = reasons_for(structure, twin)
    if tree.get(request.reason) is None:
        codes = [reason.code for top in tree.top for reason in (top, *top.below)]
        mend = "GET /api/downtime-reasons lists them"
        raise Refused(
            422, f"no reason '{request.reason[:80]}'", "reason", near(request.reason, codes) or mend
        )
    if len(request.comment) > COMMENT_MAX:
        raise Refused(422, f"more than {COMMENT_MAX} characters", "comment", "shorten it")
    end_ns = request.end_ns or 0
    if not 0 < request.start_ns <= now_ns:
        raise Refused(422, "it has not begun", "start_ns", "give when the stop began, in UTC ns")
    if request.end_ns is not None and not (
        request.start_ns < request.end_ns <= request.start_ns + SAID_SPAN_MAX_NS
    ):
        raise Refused(422, "it ends before it begins, or lasts over 31 days", "end_ns", "")
    spoken = await here.past.do(known.statements)
    new = Said(
        f"downtime/{twin}/{secrets.token_hex(8)}",
        twin,
        request.start_ns,
        end_ns,
        request.reason,
        request.comment.strip(),
    )
    top = next((s for s in reversed(spoken) if s.twin == twin and _overlap(s, new)), None)
    if top is not None and top == replace(new, id=top.id, by=top.by, at_ns=top.at_ns):
        return json_answer(_said(top))
    await here.mirror.tell(view.who, new.event())
    return json_answer(_said(replace(new, by=view.who.id)))


@router.delete(
    "/api/stops/reasons/{id:path}",
    summary="Take back what was said of a stop",
    responses=answers(shapes.SaidAnswer, "What lay below it counts again"),
)
async def take_back(here: Here, view: Seen, known: Known, id: str) -> Response:
    """The log keeps both."""
    spoken = await here.past.do(known.statements)
    said = next((one for one in spoken if one.id == id), None)
    if said is None or not view.sees(said.twin):
        raise unknown("statement", id, (), "GET /api/stops has the said_id of each")
    await here.mirror.tell(view.who, replace(said, is_withdrawn=True).event())
    return json_answer(_said(said))


async def _units(
    here: Context, view: Sight, known: Room, run: ShiftRun, language: str, now_ns: int
) -> list[UnitReport]:
    structure, units = known.structure()
    shown = frozenset(view.twins(unit.twin for unit in units))

    def read() -> list[UnitReport]:
        said = known.statements()
        return unit_reports(
            structure,
            here.mirror.record,
            said,
            run,
            language=language,
            now_ns=now_ns,
            units=[unit for unit in units if unit.twin in shown],
        )

    return await here.past.do(read)


def _overlap(a: Said, b: Said) -> bool:
    return (not a.end_ns or a.end_ns > b.start_ns) and (not b.end_ns or b.end_ns > a.start_ns)


def _shift(run: ShiftRun, *, is_current: bool = False) -> shapes.ShiftRow:
    breaks = [list(span) for span in run.breaks]
    return shapes.ShiftRow(run.name, *run.span, breaks, is_current)


def _unit(unit: UnitReport, run: ShiftRun) -> shapes.UnitRow:
    f = unit.figures
    return shapes.UnitRow(
        unit.twin,
        unit.name,
        f.oee,
        f.availability,
        f.effectiveness,
        f.quality_ratio,
        f.pbt_s,
        f.apt_s,
        f.adet_s,
        f.adot_s,
        f.aust_s,
        f.pdot_s,
        f.unknown_s,
        f.gq,
        f.pq - f.gq,
        unit.is_rate_guessed,
        len(unit.unexplained),
        [shapes.StretchRow(s.start_ns, s.end_ns, s.condition) for s in _coarse(unit.did, run)],
        _losses(unit.stops),
    )


def _coarse(did: Sequence[Stretch], run: ShiftRun) -> list[Stretch]:
    """Neighbours of one condition as one, and what is too short to be seen with its neighbour."""
    least = (run.span[1] - run.span[0]) // TIMELINE_PARTS
    found: list[Stretch] = []
    for stretch in did:
        last = found[-1] if found else None
        if last is not None and last.end_ns == stretch.start_ns:
            is_short = stretch.end_ns - stretch.start_ns < least
            if is_short or last.condition == stretch.condition:
                found[-1] = replace(last, end_ns=stretch.end_ns)
                continue
        found.append(stretch)
    return found


def _losses(stops: Iterable[Stop]) -> list[shapes.LossRow]:
    return [shapes.LossRow(*row) for row in pareto(stops)[:LOSSES_MAX]]


def _stop(stop: Stop, *, is_open: bool) -> shapes.StopRow:
    said = stop.said
    row = shapes.StopRow(
        stop.twin,
        stop.name,
        stop.start_ns,
        stop.end_ns,
        is_open,
        stop.condition,
        stop.state,
        stop.cause,
        stop.is_unexplained,
    )
    if said is None:
        return row
    return replace(
        row,
        reason=said.reason,
        reason_name=stop.reason,
        comment=said.comment,
        by=said.by,
        said_ns=said.at_ns,
        said_id=said.id,
    )


def _reason(reason: Reason, language: str) -> shapes.ReasonRow:
    below: list[Any] = [_reason(one, language) for one in reason.below]
    return shapes.ReasonRow(reason.code, reason.name.best(language), reason.counts_as, below)


def _said(said: Said) -> shapes.SaidAnswer:
    return shapes.SaidAnswer(
        said.id, said.twin, said.start_ns, said.end_ns or None, said.reason, said.comment, said.by
    )
