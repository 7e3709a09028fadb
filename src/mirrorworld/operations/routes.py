"""The routes of this room: SQL, shift reports, history as files; and those of `stop_routes.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse

from mirrorworld.operations import sql, stop_routes
from mirrorworld.operations.history_files import FORMS, history_csv, history_parquet
from mirrorworld.operations.report_html import html
from mirrorworld.operations.schedule import FOLDER, Kept, Note
from mirrorworld.operations.shift_report import ShiftReport, make_report, plan_of
from mirrorworld.operations.shifts import zone_of
from mirrorworld.protocol import operations as shapes
from mirrorworld.protocol.series import ARROW
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import PROBLEMS, answers
from mirrorworld.server.sight import Sight

POINTS_MAX = 1_000
QUERIES_AT_ONCE = 2
KEPT_SHOWN = 1_000

router = APIRouter(tags=["operations"])
router.include_router(stop_routes.router)
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]
_running = asyncio.Semaphore(QUERIES_AT_ONCE)


def _files(description: str, *media: str) -> dict[int | str, dict[str, Any]]:
    """What a route that gives a file may answer, for OpenAPI."""
    content = {each: {"schema": {"type": "string", "format": "binary"}} for each in media}
    return {**PROBLEMS, 200: {"description": description, "content": content}}


def _record(here: Context) -> Path:
    directory = getattr(here.mirror.record, "directory", None)
    if directory is None:
        raise Refused(422, "this world has no record on a disk", "record", "")
    return directory


_ROWS = {
    **PROBLEMS,
    200: {
        "description": "Columns with name, type and values; an Arrow stream where it is asked for",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            ARROW: {"schema": {"type": "string", "format": "binary"}},
        },
    },
}


@router.get(
    "/api/sql",
    summary="Read-only SQL over twins, points, relations, alarms and samples",
    responses=_ROWS,
)
async def query(
    here: Here,
    view: Seen,
    request: Request,
    sql_text: Annotated[str, Query(alias="sql", max_length=sql.SQL_LENGTH_MAX)],
    rows: Annotated[int, Query(ge=1, le=sql.ROWS_MAX)] = 1_000,
) -> Response:
    """One SELECT of DuckDB's dialect, within 30 s and 256 MB, over what you may see."""
    return await _rows(here, view, request, shapes.SqlRequest(sql_text, rows))


@router.post(
    "/api/sql",
    summary="Read-only SQL, of any length",
    responses=_ROWS,
)
async def query_by_body(
    here: Here,
    view: Seen,
    request: Request,
    asked: Annotated[shapes.SqlRequest, Body(examples=[{"sql": "select count(*) from twins"}])],
) -> Response:
    """As by GET, for queries that do not fit into an address. It changes nothing."""
    if not 1 <= asked.rows <= sql.ROWS_MAX:
        raise Refused(422, f"{asked.rows} rows", "rows", f"ask for 1 to {sql.ROWS_MAX}")
    if not 0.1 <= asked.time_s <= sql.TIME_S:
        raise Refused(422, f"{asked.time_s} s", "time_s", f"give 0.1 to {sql.TIME_S:g}")
    return await _rows(here, view, request, asked)


async def _rows(here: Context, view: Sight, request: Request, asked: shapes.SqlRequest) -> Response:
    record = _record(here)
    twins = None if view.is_whole else view.twins(here.mirror.world.structure.twins)
    limits = sql.Limits(time_s=asked.time_s, rows=asked.rows)
    async with _running:
        try:
            found = await asyncio.to_thread(
                sql.query, record, asked.sql, twins=twins, limits=limits
            )
        except sql.SqlError as error:
            raise Refused(422, str(error), "sql", "see docs: Query by SQL") from error
    if ARROW in request.headers.get("accept", ""):
        cut = {"X-Is-Cut": "true" if found.is_cut else "false"}
        return Response(sql.arrow(found.table), media_type=ARROW, headers=cut)
    columns = [
        {"name": f.name, "type": str(f.type), "values": values}
        for f, values in zip(found.table.schema, sql.plain_columns(found.table), strict=True)
    ]
    return json_answer({"columns": columns, "is_cut": found.is_cut})


@router.get(
    "/api/reports/shift.{form}",
    summary="The report of a shift",
    responses=_files("The report", "text/html", "application/pdf"),
)
async def shift_report(
    here: Here,
    view: Seen,
    form: Literal["html", "pdf"],
    shift: stop_routes.Which = "last",
    plan: Annotated[str, Query(max_length=200)] = "",
    language: Annotated[Literal["en", "de"], Query()] = "en",
) -> Response:
    """Effectiveness after ISO 22400-2, stops, alarms and commands of a shift of a plan."""
    world, record = here.mirror.world, here.mirror.record
    structure = world.structure.fork()
    log = getattr(record, "log", None)
    planned = plan_of(structure, plan)
    now_ns = here.mirror.now_ns()
    run = stop_routes.run_of(planned, shift, now_ns)
    shown = frozenset(view.twins(structure.twins))

    def make() -> ShiftReport:
        told = log.changes(0, frames=False) if log is not None else ()
        return make_report(
            world.id, structure, record, told, run, planned.zone,
            language=language, now_ns=now_ns, sees=shown.__contains__,
        )  # fmt: skip

    report = await here.past.do(make)
    if form == "html":
        return Response(html(report), media_type="text/html; charset=utf-8")
    try:
        from mirrorworld.operations.report_pdf import pdf

        made = await asyncio.to_thread(pdf, report)
    except ImportError as error:
        mend = "pip install 'mirrorworld[reports]', or ask for html"
        raise Refused(422, "reportlab is not installed here", "form", mend) from error
    return Response(made, media_type="application/pdf")


@router.get(
    "/api/reports",
    summary="Reports that were written at the end of shifts",
    responses=answers(shapes.KeptReports, "Latest first"),
)
async def kept_reports(here: Here, view: Seen) -> Response:
    """As sheets of kind `report_schedule` ask for; those of what you may see whole."""
    notes = await asyncio.to_thread(Kept(_record(here).parent / FOLDER).notes)
    rows = [
        shapes.KeptReport(
            n.id, n.schedule, n.shift, n.start_ns, n.end_ns, n.made_ns,
            [] if n.failed else list(n.forms), n.failed or n.mailed,
        )
        for n in notes
        if _shows(view, n)
    ]  # fmt: skip
    return json_answer(shapes.KeptReports(rows[:KEPT_SHOWN]))


@router.get(
    "/api/reports/kept/{id}.{form}",
    summary="A report that was written at the end of a shift",
    responses=_files("The report, as it was made", "text/html", "application/pdf"),
)
async def kept_report(
    here: Here,
    view: Seen,
    id: Annotated[str, PathParameter(max_length=200)],
    form: Literal["html", "pdf"],
) -> Response:
    """What was known then. `GET /api/reports/shift.pdf` tells of the shift as it is known now."""
    kept = Kept(_record(here).parent / FOLDER)
    note = await asyncio.to_thread(kept.note, id)
    path = None if note is None or not _shows(view, note) else kept.file(note, form)
    if path is None:
        raise unknown("report", f"{id}.{form}", (), "GET /api/reports lists them")
    media = "application/pdf" if form == "pdf" else "text/html; charset=utf-8"
    name = {"Content-Disposition": f'inline; filename="{path.name}"'}
    return Response(await asyncio.to_thread(path.read_bytes), media_type=media, headers=name)


def _shows(view: Sight, note: Note) -> bool:
    """A report tells of all below its part: who sees less is not shown it. A grant on a twin holds
    for all below it."""
    return view.is_whole or bool(note.subtree and view.sees(note.subtree))


@router.get(
    "/api/export/history.{form}",
    summary="The history of points as CSV or Parquet",
    responses=_files(
        "A row for each sample", *(media.partition(";")[0] for media in FORMS.values())
    ),
)
async def export_history(
    here: Here,
    view: Seen,
    form: Literal["csv", "parquet"],
    point: Annotated[list[str], Query(description="`twin.point`", max_length=POINTS_MAX)] = [],  # noqa: B006
    twin: Annotated[list[str], Query(max_length=POINTS_MAX)] = [],  # noqa: B006
    start: Annotated[str | None, Query(max_length=64)] = None,
    end: Annotated[str | None, Query(max_length=64)] = None,
    zone: Annotated[
        str, Query(max_length=64, description="IANA time zone of the times in CSV")
    ] = "UTC",
) -> Response:
    """Streamed, however long it is. Absent: the last day, until now."""
    world = here.mirror.world
    handles = asking.handles(world, view, point, twin).tolist()
    if not 1 <= len(handles) <= POINTS_MAX:
        raise Refused(422, f"{len(handles)} points", "point", f"name 1 to {POINTS_MAX}")
    end_ns = here.mirror.now_ns() if end is None else asking.time_ns(end, "end")
    first_ns = int(getattr(here.mirror.record, "first_ns", 0))
    start_ns = end_ns - 86_400 * 10**9 if start is None else asking.time_ns(start, "start")
    if end_ns < start_ns:
        raise Refused(422, "the end is before the start", "end", "")
    end_ns = min(end_ns, here.mirror.now_ns() + 86_400 * 10**9)
    named = [(handle, *world.point(handle)) for handle in handles]
    span = (max(start_ns, first_ns), end_ns)
    in_zone = zone_of(zone, "zone")
    pieces: Iterator[str] | Iterator[bytes] = (
        history_csv(here.mirror.record, named, *span, in_zone)
        if form == "csv"
        else history_parquet(here.mirror.record, named, *span)
    )
    name = {"Content-Disposition": f'attachment; filename="history.{form}"'}
    return StreamingResponse(pieces, media_type=FORMS[form], headers=name)
