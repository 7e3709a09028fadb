"""History as columns that others read: JSON lists, and one long Arrow table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mirrorworld.protocol.answers import plain_value
from mirrorworld.world.frames import decode
from mirrorworld.world.model import Kind, PointType
from mirrorworld.world.ports import Series

if TYPE_CHECKING:
    import pyarrow as pa

EVER_NS: Final = 1 << 62
"""Later than any sample: a source's clock may be ahead, and its samples count too."""

ARROW: Final = "application/vnd.apache.arrow.stream"


def values_of(kind: Kind, series: Series) -> list[Any]:
    """The values of a series as JSON has them."""
    if kind is Kind.FLOAT:
        numbers = series.cell.view(np.float64)
        if np.isfinite(numbers).all():
            return numbers.tolist()
        return [plain_value(number) for number in numbers.tolist()]
    if kind is Kind.BOOL:
        return (series.cell != 0).tolist()
    if not kind.is_heap:
        return series.cell.tolist()
    return [plain_value(decode(kind, payload)) for payload in _payloads(series)]


def _payloads(series: Series) -> list[bytes]:
    return [
        series.heap[cell >> 32 : (cell >> 32) + (cell & 0xFFFF_FFFF)]
        for cell in series.cell.tolist()
    ]


def last_payload(series: Series) -> bytes:
    """The bytes of the last sample of a point of variable size; empty if there is none."""
    return _payloads(series)[-1] if len(series.cell) else b""


def table(points: Sequence[tuple[str, PointType]], series: Sequence[Series]) -> pa.Table:
    """History as one long Arrow table: point, time, value, quality, sequence.

    `value` is int64, bool, string, binary or list<double> where all points are of that kind, else
    float64; beside numbers, texts stand in a column of their own, `text`. The schema's metadata
    has the unit of each point, as `unit:NAME`.
    """
    import pyarrow as pa

    kinds = {kind.kind for _, kind in points}
    lengths = [len(one.cell) for one in series]
    column: dict[str, Any] = {}
    names = pa.array([name for name, _ in points], pa.string())
    codes = np.repeat(np.arange(len(points), dtype=np.int32), lengths)
    column["point"] = pa.DictionaryArray.from_arrays(pa.array(codes), names)
    times = _joined([one.source_ns for one in series], np.int64)
    column["time"] = pa.array(times).cast(pa.timestamp("ns", "UTC"))
    if len(kinds) == 1:
        column["value"] = _one_kind(next(iter(kinds)), series)
    else:
        column["value"] = pa.array(_numbers(points, series), from_pandas=True)
        if any(kind.is_heap for kind in kinds):
            column["text"] = pa.array(_texts(points, series), pa.string())
    column["quality"] = pa.array(_joined([one.quality for one in series], np.uint32))
    column["sequence"] = pa.array(_joined([one.sequence for one in series], np.int64))
    units = {f"unit:{name}": kind.unit for name, kind in points}
    return pa.table(column).replace_schema_metadata(units)


def arrow(points: Sequence[tuple[str, PointType]], series: Sequence[Series]) -> bytes:
    """`table` as an Arrow IPC stream."""
    import pyarrow as pa

    rows = table(points, series)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def _joined(columns: list[Any], dtype: Any) -> Any:
    return np.concatenate([np.empty(0, dtype), *columns]).astype(dtype, copy=False)


def _one_kind(kind: Kind, series: Sequence[Series]) -> Any:
    import pyarrow as pa

    cells = _joined([one.cell for one in series], np.int64)
    match kind:
        case Kind.FLOAT:
            return pa.array(cells.view(np.float64))
        case Kind.INT | Kind.ENUM:
            return pa.array(cells)
        case Kind.BOOL:
            return pa.array(cells != 0)
        case Kind.TEXT:
            values = [payload.decode(errors="replace") for s in series for payload in _payloads(s)]
            return pa.array(values, pa.string())
        case Kind.ARRAY:
            arrays = [decode(kind, payload) for s in series for payload in _payloads(s)]
            lists = [np.asarray(array, np.float64) for array in arrays]
            return pa.array(lists, pa.list_(pa.float64()))
        case Kind.BLOB:
            return pa.array([p for s in series for p in _payloads(s)], pa.binary())


def _numbers(points: Sequence[tuple[str, PointType]], series: Sequence[Series]) -> Any:
    parts: list[Any] = []
    for (_, kind), one in zip(points, series, strict=True):
        if kind.kind is Kind.FLOAT:
            parts.append(one.cell.view(np.float64))
        elif kind.kind.is_heap:
            parts.append(np.full(len(one.cell), np.nan))
        else:
            parts.append(one.cell.astype(np.float64))
    return _joined(parts, np.float64)


def _texts(points: Sequence[tuple[str, PointType]], series: Sequence[Series]) -> list[str | None]:
    texts: list[str | None] = []
    for (_, kind), one in zip(points, series, strict=True):
        if kind.kind is Kind.TEXT:
            texts += [payload.decode(errors="replace") for payload in _payloads(one)]
        else:
            texts += [None] * len(one.cell)
    return texts
