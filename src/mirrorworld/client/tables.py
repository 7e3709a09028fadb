"""Tables: Arrow, and what pandas and polars make of it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from mirrorworld.client.errors import InvalidError
from mirrorworld.protocol.rest import PointValue, Problem

if TYPE_CHECKING:
    import pyarrow as pa


def as_frame(table: pa.Table, as_: str) -> Any:
    """The table as the library of that name has it.

    Raises:
        InvalidError: there is no such, or it is not installed; the message says how.
    """
    if as_ == "arrow":
        return table
    if as_ not in ("pandas", "polars"):
        raise InvalidError(Problem(f"'{as_}' is no kind of table", "as_", "arrow, pandas, polars"))
    try:
        library = importlib.import_module(as_)
    except ImportError as error:
        mend = f"pip install 'mirrorworld[{as_}]'"
        raise InvalidError(Problem(f"{as_} is not installed", "as_", mend)) from error
    return table.to_pandas() if as_ == "pandas" else library.from_arrow(table)


def values_table(values: Iterable[PointValue]) -> pa.Table:
    """Values as columns: numbers in `value`, everything else in `text`."""
    import pyarrow as pa

    rows = list(values)
    numbers = [float(v.value) if isinstance(v.value, bool | int | float) else None for v in rows]
    texts = [
        v.label or None if isinstance(v.value, bool | int | float) or v.value is None
        else str(v.value)
        for v in rows
    ]  # fmt: skip
    times = [v.source_ns or None for v in rows]
    return pa.table(
        {
            "point": pa.array([v.id for v in rows], pa.string()),
            "value": pa.array(numbers, pa.float64()),
            "text": pa.array(texts, pa.string()),
            "unit": pa.array([v.unit for v in rows], pa.string()),
            "quality": pa.array([v.quality_name for v in rows], pa.string()),
            "time": pa.array(times, pa.int64()).cast(pa.timestamp("ns", "UTC")),
            "origin": pa.array([v.origin for v in rows], pa.string()),
            "by": pa.array([v.by for v in rows], pa.string()),
        }
    )
