"""Totals by relation, and how two quantities vary together."""

from __future__ import annotations

import math
from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Depends, Query, Response
from numpy.typing import NDArray

from mirrorworld import units
from mirrorworld.protocol import quantities as shape
from mirrorworld.server import asking, correlation
from mirrorworld.server import quantities as columns
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused, unknown
from mirrorworld.server.routes import answers
from mirrorworld.server.sight import Sight
from mirrorworld.world.model import PART_OF, point_id

SPAN_DAYS_MAX: Final = 31
HOUR_NS: Final = 3_600_000_000_000
STEPS: Final = 1_000
DOTS_MAX: Final = 5_000

router = APIRouter(tags=["quantities"])
Here = Annotated[Context, Depends(asking.context)]
Seen = Annotated[Sight, Depends(asking.sight)]
Unit = Annotated[
    str | None, Query(max_length=64, description="UCUM; absent: what most points have")
]


@router.get(
    "/api/units/conversion",
    summary="How values of one unit read in another",
    responses=answers(shape.Conversion, "value_in_to = value_in_from * scale + offset"),
)
async def conversion(
    here: Here,
    view: Seen,
    from_: Annotated[str, Query(alias="from", max_length=64, description="UCUM")],
    to: Annotated[str, Query(max_length=64, description="UCUM")],
) -> Response:
    """For whoever has many values to convert. Units that do not fit are refused by name."""
    scale, offset = await here.past.do(units.linear, from_, to)
    return json_answer(shape.Conversion(scale, offset))


@router.get(
    "/api/totals",
    summary="Quantities summed up over all that a twin has, feeds or powers",
    responses=answers(shape.Totals, "Count, mean, lowest, highest and sum of each quantity, now"),
)
async def totals(
    here: Here,
    view: Seen,
    twin: Annotated[str, Query(max_length=1_000)],
    point: Annotated[str | None, Query(max_length=1_000, description="Name; absent: all")] = None,
    relation: Annotated[
        str, Query(max_length=100, pattern=r"^[A-Za-z0-9_.:-]+$", description="part_of, feeds, …")
    ] = PART_OF,
    unit: Unit = None,
) -> Response:
    """Over everything that is part of the twin, or over everything that it feeds, powers, … with
    all parts of that; transitively, without the twin itself, and only what you may see. Units that
    fit are converted, others kept apart. A sum leaves out what is part of a twin that says the
    same itself, so that a floor's meter and its rooms' meters are not added."""
    world = here.mirror.world
    root = asking.twin(world, view, twin)
    if unit is not None and point is None:
        raise Refused(422, "a unit without a point", "unit", "name the point that it is of")
    inside = _seen(here, view, columns.members(world, root, relation))
    handles = here.quantities.handles(inside, point)
    if point is not None and not len(handles):
        names = {here.quantities.keys[c][0] for c in np.unique(here.quantities.code) if c >= 0}
        raise unknown(f"quantity below {root}", point, names, "GET /api/totals without point")
    gathered = here.quantities.gather(handles)
    position = str(world.position)
    try:
        found = await here.past.do(columns.rows, gathered, unit)
    except units.UnitError as error:
        raise Refused(422, str(error), "unit", "GET /api/totals without it") from error

    def named(row: int) -> str:
        if row < 0:
            return ""
        owner, kind = world.point(int(handles[row]))
        return point_id(owner, kind.name)

    rows: list[shape.Total] = []
    for row in found:
        t = row.total
        rows.append(
            shape.Total(
                t.name,
                t.unit,
                t.n,
                t.n_without,
                t.n_converted,
                t.mean,
                t.min,
                t.max,
                named(row.lowest),
                named(row.highest),
                t.sum,
                t.n_summed,
            )
        )
    return json_answer(shape.Totals(root, relation, position, int(inside.sum()), rows))


@router.get(
    "/api/correlation",
    summary="How two points, or two quantities, vary together",
    responses=answers(shape.Correlation, "Coefficients, a line, and the dots"),
)
async def correlate(
    here: Here,
    view: Seen,
    x: Annotated[str, Query(max_length=2_000, description="By time `twin.point`, by twin a name")],
    y: Annotated[str, Query(max_length=2_000)],
    by: Annotated[str, Query(pattern="^(time|twin)$")] = "twin",
    start: Annotated[
        str | None, Query(max_length=64, description="ISO 8601 or ns; absent: an hour ago")
    ] = None,
    end: Annotated[str | None, Query(max_length=64, description="Absent: now")] = None,
    within: Annotated[
        str | None, Query(max_length=1_000, description="By twin: only what is part of this")
    ] = None,
    x_unit: Unit = None,
    y_unit: Unit = None,
    lag_s: Annotated[
        float, Query(ge=-1e7, le=1e7, description="By time: y is read so much later")
    ] = 0.0,
    steps: Annotated[
        int, Query(ge=8, le=correlation.STEPS_MAX, description="By time: dots asked for")
    ] = STEPS,
    instants: Annotated[
        int, Query(ge=1, le=96, description="By twin: times of which means are taken")
    ] = 12,
    max_dots: Annotated[int, Query(ge=3, le=DOTS_MAX)] = 2_000,
) -> Response:
    """From the record, beside the loop, one at a time. By time: two points on a common grid, each
    value held until the next, with the coefficient at other lags too. By twin: each twin is a dot
    of means; where one quantity is said by the rooms and the other by the building, the rooms of
    each building are averaged."""
    end_ns = here.mirror.now_ns() if end is None else asking.time_ns(end, "end")
    start_ns = end_ns - HOUR_NS if start is None else asking.time_ns(start, "start")
    if end_ns <= start_ns:
        raise Refused(422, "the end is not after the start", "end", "")
    if end_ns - start_ns > SPAN_DAYS_MAX * 24 * HOUR_NS:
        raise Refused(413, "that is a long time", "start", f"at most {SPAN_DAYS_MAX} days at once")
    if start_ns < (first_ns := getattr(here.mirror.record, "first_ns", 0)) < end_ns:
        start_ns = first_ns  # before that nothing was written down
    if by == "time":
        return await _by_time(
            here, view, (x, y), (x_unit, y_unit), start_ns, end_ns, lag_s, steps, max_dots
        )
    at = np.linspace(start_ns, end_ns, instants + 1)[1:].astype(np.int64)
    quantities = here.quantities
    world = here.mirror.world
    if within is None:
        inside = np.zeros(world.structure.n_ordinals, np.bool_)
        inside[[world.structure.ordinal(one) for one in world.structure.twins]] = True
    else:
        inside = columns.members(world, asking.twin(world, view, within), PART_OF)
    inside = _seen(here, view, inside)
    one, x_axis = await _quantity(here, inside, x, x_unit, "x")
    other, y_axis = await _quantity(here, inside, y, y_unit, "y")
    parent, kinds = quantities.parent, world.kinds.copy()
    async with quantities.turn:
        found = await here.past.do(
            correlation.by_twin, here.mirror.record, one, other, parent, kinds, at
        )
    fit = correlation.fit(found.x, found.y)
    shown = _evenly(len(found.x), max_dots)
    twins = [world.structure.declared_at(o).id for o in found.twin[shown].tolist()]
    return json_answer(
        shape.Correlation(
            by,
            x_axis,
            y_axis,
            start_ns,
            end_ns,
            fit.n,
            fit.pearson,
            fit.spearman,
            fit.slope,
            fit.intercept,
            (end_ns - start_ns) / instants / 1e9,
            0.0,
            None,
            [],
            [],
            found.is_reduced,
            found.x[shown].tolist(),
            found.y[shown].tolist(),
            twins,
            [],
        )
    )


async def _by_time(
    here: Context,
    view: Sight,
    names: tuple[str, str],
    wanted: tuple[str | None, str | None],
    start_ns: int,
    end_ns: int,
    lag_s: float,
    steps: int,
    max_dots: int,
) -> Response:
    world = here.mirror.world
    handles = [asking.point(world, view, name) for name in names]
    axes: list[shape.Axis] = []
    linear: list[tuple[float, float]] = []
    for place, handle, unit in zip(("x", "y"), handles, wanted, strict=True):
        owner, kind = world.point(handle)
        if not correlation.is_number(int(kind.kind)):
            raise Refused(422, f"{kind.name} is no number", place, "name a point that is one")
        try:
            scale = await here.past.do(units.linear, kind.unit, unit or kind.unit)
        except units.UnitError as error:
            raise Refused(422, str(error), f"{place}_unit", "") from error
        axes.append(shape.Axis(point_id(owner, kind.name), unit or kind.unit))
        linear.append(scale)
    step_ns = max((end_ns - start_ns) // steps, 1_000_000)
    n = max((end_ns - start_ns) // step_ns, 8)
    lag = round(lag_s * 1e9 / step_ns)
    if abs(lag) > n - 3:
        raise Refused(422, f"a lag of {lag_s:g} s leaves no pairs", "lag_s", "give a longer time")
    async with here.quantities.turn:
        found = await here.past.do(
            correlation.by_time,
            here.mirror.record,
            (handles[0], handles[1]),
            world.kinds.copy(),
            start_ns,
            step_ns,
            int(n),
            lag,
        )
    x = found.x * linear[0][0] + linear[0][1]
    y = found.y * linear[1][0] + linear[1][1]
    fit = correlation.fit(x, y)
    step_s = step_ns / 1e9
    known = [(abs(r), -abs(k), k) for k, r in zip(found.lags, found.lag_pearson, strict=True) if r]
    best = max(known)[2] * step_s if known else None
    both = np.flatnonzero(~(np.isnan(x) | np.isnan(y)))
    shown = both[_evenly(len(both), max_dots)]
    return json_answer(
        shape.Correlation(
            "time",
            axes[0],
            axes[1],
            start_ns,
            end_ns,
            fit.n,
            fit.pearson,
            fit.spearman,
            fit.slope,
            fit.intercept,
            step_s,
            lag * step_s,
            best,
            [k * step_s for k in found.lags],
            found.lag_pearson,
            found.is_reduced,
            x[shown].tolist(),
            y[shown].tolist(),
            [],
            (found.time_ns[shown] / 1e6).tolist(),
        )
    )


async def _quantity(
    here: Context, inside: NDArray[np.bool_], name: str, unit: str | None, place: str
) -> tuple[correlation.Quantity, shape.Axis]:
    """The points of a name whose unit fits the one that is asked for, or the most common."""
    quantities = here.quantities
    handles = quantities.handles(inside, name)
    if not len(handles):
        known = {quantities.keys[c][0] for c in np.unique(quantities.code[quantities.code >= 0])}
        mend = "name a quantity as its points are named"
        raise unknown("quantity", name, known, mend)
    code, twin = quantities.code[handles], quantities.twin[handles]
    present, counts = np.unique(code, return_counts=True)
    own = quantities.keys[int(present[np.argmax(counts)])][1] if unit is None else unit
    scale, offset = np.full(len(handles), math.nan), np.zeros(len(handles))

    def convert() -> None:
        for one in present.tolist():
            of_points = quantities.keys[one][1]
            if units.fits(of_points, own):
                scale[code == one], offset[code == one] = units.linear(of_points, own)

    await here.past.do(convert)
    fits = ~np.isnan(scale)
    if not fits.any():
        have = ", ".join(repr(quantities.keys[c][1]) for c in present.tolist())
        mend = f"its units are {have}"
        raise Refused(422, f"unit '{own}' fits none of {name}", f"{place}_unit", mend)
    return (
        correlation.Quantity(handles[fits], twin[fits], scale[fits], offset[fits]),
        shape.Axis(name, own),
    )


def _seen(here: Context, view: Sight, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Only twins that are shown."""
    if view.is_whole:
        return inside
    structure = here.mirror.world.structure
    shown = inside.copy()
    for ordinal in np.flatnonzero(inside).tolist():
        shown[ordinal] = view.sees(structure.declared_at(ordinal).id)
    return shown


def _evenly(n: int, most: int) -> NDArray[np.int64]:
    """Up to `most` of the numbers below n, evenly taken."""
    if n <= most:
        return np.arange(n)
    return np.linspace(0, n - 1, most).astype(np.int64)
