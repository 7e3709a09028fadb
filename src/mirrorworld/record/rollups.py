"""Roll-ups: count, extremes, mean, first and last of numbers by step of time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mirrorworld.record.arrow import pa
from mirrorworld.record.parquet import rollup_schema
from mirrorworld.world.model import Kind
from mirrorworld.world.ports import Series
from mirrorworld.world.quality import BAD


def of_samples(part: dict[str, NDArray[Any]], step_ns: int) -> pa.Table:
    """A table of `rollup_schema` of sorted samples (point, time, cell, quality, kind). What is bad,
    not finite or no number does not count."""
    value = np.where(
        part["kind"] == Kind.FLOAT, part["cell"].view(np.float64), part["cell"].astype(np.float64)
    )
    counts = (part["kind"] < Kind.TEXT) & (part["quality"] < BAD) & np.isfinite(value)
    point, time, value = part["point"][counts], part["time"][counts], value[counts]
    step = time // step_ns * step_ns
    starts, ends = _spans(point, step)
    if not len(starts):
        return rollup_schema().empty_table()
    count = ends - starts + 1
    return _table(
        point[starts],
        step[starts],
        count,
        np.minimum.reduceat(value, starts),
        np.maximum.reduceat(value, starts),
        np.add.reduceat(value, starts) / count,
        value[starts],
        value[ends],
        time[starts],
        time[ends],
    )


def coarser(fine: pa.Table, step_ns: int) -> pa.Table:
    """Roll-ups by a longer step of roll-ups that are sorted by (point, time)."""
    column = {name: fine[name].to_numpy() for name in fine.column_names}
    point, count = column["point"], column["count"]
    time = column["time"].astype(np.int64)
    step = time // step_ns * step_ns
    starts, ends = _spans(point, step)
    if not len(starts):
        return fine
    total = np.add.reduceat(count, starts)
    return _table(
        point[starts],
        step[starts],
        total,
        np.minimum.reduceat(column["min"], starts),
        np.maximum.reduceat(column["max"], starts),
        np.add.reduceat(column["mean"] * count, starts) / total,
        column["first"][starts],
        column["last"][ends],
        column["first_time"].astype(np.int64)[starts],
        column["last_time"].astype(np.int64)[ends],
    )


def roll_up(point: int, kind: Kind, series: Series, step_ns: int) -> pa.Table:
    """Roll-ups of a series of one point."""
    n = len(series.source_ns)
    part = {
        "point": np.full(n, point, np.uint32),
        "time": series.source_ns,
        "cell": series.cell,
        "quality": series.quality,
        "kind": np.full(n, int(kind), np.uint8),
    }
    return of_samples(part, step_ns)


def _spans(
    point: NDArray[np.uint32], step: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First and last rows of the stretches of equal point and step."""
    if not len(point):
        nothing = np.empty(0, np.intp)
        return nothing, nothing
    is_new = (point[1:] != point[:-1]) | (step[1:] != step[:-1])
    starts = np.flatnonzero(np.append(True, is_new))
    return starts, np.append(starts[1:], len(point)) - 1


def _table(point: Any, step: Any, *columns: Any) -> pa.Table:
    stamp = pa.timestamp("ns")
    *values, first_ns, last_ns = columns
    return pa.table(
        [
            pa.array(point),
            pa.array(step).view(stamp),
            *(pa.array(column) for column in values),
            pa.array(first_ns).view(stamp),
            pa.array(last_ns).view(stamp),
        ],
        schema=rollup_schema(),
    )
