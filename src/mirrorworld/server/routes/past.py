"""Reading the past: history, as-of, and the log itself. All of it in threads."""

from __future__ import annotations

import itertools
import time
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from numpy.typing import NDArray

from mirrorworld.protocol import past as shape
from mirrorworld.protocol import rest
from mirrorworld.protocol.series import ARROW, EVER_NS, arrow, values_of
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.routes import answers
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import Position
from mirrorworld.world.model import point_id
from mirrorworld.world.ports import Series

SERIES_MAX = 64
ROWS_MAX = 2_000_000
"""Of all series of one answer together."""
SAMPLES_MAX = 100_000
"""Of one page of changes."""

router = APIRouter(tags=["past"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]
Time = Annotated[str, Query(description="ISO 8601, or nanoseconds since 1970", max_length=64)]


@router.get(
    "/api/history",
    summary="What points were over time",
    responses={
        **answers(rest.History, "Columns of each point, ordered by source time"),
        200: {
            "model": rest.History,
            "description": "Columns of each point; as one long table where Arrow is asked for",
            "content": {ARROW: {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
async def history(
    here: Here,
    view: Seen,
    request: Request,
    point: Annotated[list[str], Query(description="`twin.point`", max_length=SERIES_MAX)] = [],  # noqa: B006
    handle: Annotated[list[int], Query(max_length=SERIES_MAX)] = [],  # noqa: B006
    start: Time = "0",
    end: Annotated[str | None, Query(description="Not included; absent: no end")] = None,
    max_rows: Annotated[
        int | None,
        Query(
            ge=rest.LEAST_ROWS, le=ROWS_MAX, description="Of each point; extremes stay. Absent: all"
        ),
    ] = None,
) -> Response:
    """Samples with start <= source time < end. Answers JSON columns, or an Arrow stream to
    `Accept: application/vnd.apache.arrow.stream`."""
    if not point and not handle:
        raise Refused(422, "no point is named", "point", "add point=twin.point")
    world = here.mirror.world
    handles = asking.handles(world, view, point, (), handle)
    if len(handles) > SERIES_MAX:
        mend = f"ask for {SERIES_MAX} at a time"
        raise Refused(422, f"{len(handles)} points at once", "point", mend)
    start_ns = asking.time_ns(start, "start")
    end_ns = EVER_NS if end is None else asking.time_ns(end, "end")
    if end_ns < start_ns:
        raise Refused(422, "the end is before the start", "end", "")
    wants_arrow = ARROW in request.headers.get("accept", "")
    points = [(*world.point(handle), handle) for handle in handles.tolist()]

    def read() -> Response:
        series: list[Series] = []
        left = ROWS_MAX
        for _, _, handle in points:
            one = here.mirror.record.read(handle, start_ns, end_ns, max_rows)
            left -= len(one.cell)
            if left < 0:
                mend = "give max_rows, or ask for a shorter time"
                raise Refused(413, f"more than {ROWS_MAX} rows", "history", mend)
            series.append(one)
        if wants_arrow:
            table = arrow([(point_id(twin, kind.name), kind) for twin, kind, _ in points], series)
            return Response(table, media_type=ARROW)
        columns = [
            rest.PointSeries(
                point_id(twin, kind.name),
                int(kind.kind),
                kind.unit,
                one.source_ns.tolist(),
                values_of(kind.kind, one),
                one.quality.tolist(),
                one.sequence.tolist(),
            )
            for (twin, kind, _), one in zip(points, series, strict=True)
        ]
        is_less = max_rows is not None and any(len(s.cell) >= max_rows for s in series)
        return json_answer(rest.History(start_ns, end_ns, is_less, columns))

    return await here.past.do(read)


@router.get(
    "/api/asof",
    summary="What was known at a position, or true at a time",
    responses=answers(rest.AsOf, "The values"),
)
async def asof(
    here: Here,
    view: Seen,
    position: Annotated[str | None, Query(description="`epoch:sequence`: what was known")] = None,
    time: Annotated[str | None, Query(description="Source time: what was true")] = None,
    point: Annotated[list[str], Query(description="`twin.point`", max_length=1_000)] = [],  # noqa: B006
    twin: Annotated[list[str], Query(max_length=1_000)] = [],  # noqa: B006
) -> Response:
    """One of `position` and `time`; of named points, or of all if they are at most 10,000."""
    if (position is None) == (time is None):
        raise Refused(422, "give a position or a time", "position", "exactly one of the two")
    world = here.mirror.world
    if point or twin:
        handles = asking.handles(world, view, point, twin)
    elif world.n_points <= 10_000:
        handles = view.handles(np.arange(world.n_points, dtype=np.uint32))
    else:
        raise Refused(413, f"{world.n_points} points at once", "point", "name points or twins")
    if time is not None:
        time_ns = asking.time_ns(time, "time")
        return await here.past.do(_as_of_time, here, handles, time_ns)
    at = asking.position(position or "", "position")
    if at.sequence > world.position.sequence:
        mend = f"the latest is {world.position}"
        raise Refused(422, f"{at} is not written yet", "position", mend)
    return await here.past.do(_as_of_position, here, handles, at)


def _as_of_time(here: Context, handles: NDArray[np.uint32], time_ns: int) -> Response:
    values = shape.as_of_time(here.mirror.world, here.mirror.record, handles, time_ns)
    return json_answer(rest.AsOf(None, time_ns, values))


def _as_of_position(here: Context, handles: NDArray[np.uint32], at: Position) -> Response:
    values = shape.as_of_position(here.mirror.record, handles, at)
    return json_answer(rest.AsOf(str(at), None, values))


@router.get(
    "/api/changes",
    summary="The log, for other programs",
    responses=answers(rest.ChangesPage, "Durable changes in order"),
)
async def changes(
    here: Here,
    view: Seen,
    after: Annotated[str, Query(description="`epoch:sequence`; `0:0` is the start")] = "0:0",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    wait_s: Annotated[
        float, Query(ge=0, le=30, description="How long to wait if there is nothing new yet")
    ] = 0,
) -> Response:
    """Every durable change after a position, none left out. Ask again with the `after` that came
    back; a program that does so misses nothing, however slow it is."""
    at = asking.position(after, "after")
    until = time.monotonic() + wait_s
    while here.mirror.durable.sequence <= at.sequence and time.monotonic() < until:
        await here.views.pause()
    return json_answer(await here.past.do(_changes, here, view, at, limit))


def _changes(here: Context, view: Sight, after: Position, limit: int) -> rest.ChangesPage:
    found: list[rest.ChangeRow] = []
    last, samples, n = after, 0, 0
    for change in itertools.islice(here.mirror.record.changes(after, limit), limit):
        n += 1
        row = shape.change_row(here.mirror.world, change, sees=view.sees, sees_all=view.is_whole)
        samples += len(row.points)
        found.append(row)
        last = change.position or last
        if samples >= SAMPLES_MAX:
            break
    is_end = n < limit and samples < SAMPLES_MAX
    return rest.ChangesPage(found, str(last), is_end)
