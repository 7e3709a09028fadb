"""The process in which one query of SQL runs, and that can be killed: reads a task as JSON from
stdin, writes an Arrow stream or an error in JSON to stdout.

DuckDB sees Arrow tables that are made here of the record, and nothing else: no file, no network,
no extension, no setting. Rows of twins that the asker may not see are left out before it starts.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from mirrorworld.protocol.answers import plain_value
from mirrorworld.record import open_record
from mirrorworld.record.blocks import Samples
from mirrorworld.record.parquet import sample_schema, sample_table
from mirrorworld.record.store import Store
from mirrorworld.record.tail import heap_rows, heap_starts, row_sequences
from mirrorworld.record.tail import samples as blocks_of
from mirrorworld.world.changes import Command, Event
from mirrorworld.world.model import Kind, Text
from mirrorworld.world.plain import to_plain
from mirrorworld.world.quality import name as quality_name
from mirrorworld.world.structure import Structure

PROCESS_BYTES_MAX: Final = 3 << 30
"""A backstop: what DuckDB itself may take is the task's `memory_mb`."""
_UTC: Final = pa.timestamp("ns")
"""Without a zone, in UTC: so comparisons with literals need no cast and reach the files."""

_VIEW: Final = """
CREATE VIEW samples AS
SELECT p.twin, p.point, s.time,
  coalesce(s.number, s.integer::DOUBLE) AS value,
  CASE WHEN p.kind = 'text' THEN decode(s.payload) END AS text,
  s.quality, s.sequence, s.point AS handle
FROM _samples s JOIN points p ON p.handle = s.point
"""


def main() -> None:
    """Answers one task."""
    task = json.loads(sys.stdin.read())
    resource.setrlimit(resource.RLIMIT_DATA, (PROCESS_BYTES_MAX, PROCESS_BYTES_MAX))
    # The answer has stdout alone, whatever libraries print.
    answer = sys.stdout.buffer
    sys.stdout = sys.stderr
    try:
        table = run(task)
    except (duckdb.Error, pa.ArrowException, ValueError, MemoryError, OSError) as error:
        text = str(error) or type(error).__name__
        answer.write(b"E" + json.dumps(text[:2000]).encode())
        return
    answer.write(b"A")
    with pa.ipc.new_stream(answer, table.schema) as writer:
        writer.write_table(table)


def run(task: dict[str, Any]) -> pa.Table:
    """The rows of a query, at most one more than asked for.

    Raises:
        ValueError: it is not one query that only reads.
        duckdb.Error: it cannot be run.
    """
    seen = None if task["twins"] is None else frozenset(task["twins"])
    parser = duckdb.connect(":memory:", config={"threads": "1"})
    statements = parser.extract_statements(task["sql"])
    if len(statements) != 1:
        raise ValueError(f"{len(statements)} statements; give one query")
    if statements[0].type != duckdb.StatementType.SELECT:
        kind = statements[0].type.name
        raise ValueError(f"{kind} is not possible here; only SELECT is: a world is read, not made")
    with open_record(Path(task["record"]), create=False, read_only=True) as record:
        connection = duckdb.connect(":memory:")
        connection.execute(f"SET memory_limit='{int(task['memory_mb'])}MB'")
        connection.execute("SET threads=2")
        connection.execute("SET temp_directory=''")
        connection.execute("SET TimeZone='UTC'")
        connection.execute("SET allow_persistent_secrets=false")
        connection.execute("SET home_directory='/'")  # errors name it
        connection.execute("SET autoinstall_known_extensions=false")
        connection.execute("SET autoload_known_extensions=false")
        for name, table in tables(record, seen).items():
            connection.register(name, table)
        connection.execute(_VIEW)
        connection.execute("SET python_enable_replacements=false")
        connection.execute("SET enable_external_access=false")
        connection.execute("SET lock_configuration=true")
        reader = connection.execute(statements[0].query).to_arrow_reader(1024)
        return _limited(reader, int(task["rows"]) + 1, int(task["answer_mb"]) << 20)


def _limited(reader: pa.RecordBatchReader, rows: int, size_bytes: int) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    left = rows
    for batch in reader:
        batches.append(batch.slice(0, left))
        left -= batches[-1].num_rows
        size_bytes -= batch.nbytes
        if size_bytes < 0:
            raise ValueError("the answer is too large; select less, or aggregate")
        if left <= 0:
            break
    return pa.Table.from_batches(batches, reader.schema)


def tables(record: Store, seen: frozenset[str] | None) -> dict[str, Any]:
    """All that a query can see, by name; of the twins that the asker may see."""
    structure = record.history.structure()
    ids = [t for t in structure.twins if seen is None or t in seen]
    shown = frozenset(ids)
    points = _points(structure, ids)
    return {
        "twins": _twins(structure, ids),
        "points": points,
        "properties": _properties(structure, ids),
        "relations": pa.table(
            _columns(
                ("kind", "source", "target", "name"),
                (
                    (r.kind, r.source, r.target, r.name)
                    for r in structure.relations.values()
                    if r.source in shown and r.target in shown
                ),
            )
        ),
        "latest": _latest(record, structure, points),
        **_told(record, shown, sees_all=seen is None),
        "_samples": _samples(record, structure, None if seen is None else points["handle"]),
    }


def _columns(names: tuple[str, ...], rows: Any, types: dict[str, Any] | None = None) -> Any:
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    types = types or {}
    return {
        name: pa.array(column, types.get(name, pa.string()))
        for name, column in zip(names, columns, strict=True)
    }


def _twins(structure: Structure, ids: list[str]) -> pa.Table:
    names = ("id", "type", "name", "name_de", "x_m", "y_m", "z_m")
    rows = []
    for twin in map(structure.twins.__getitem__, ids):
        texts = dict(twin.name.by_language)
        pose = twin.pose
        place = (pose.x_m, pose.y_m, pose.z_m) if pose is not None else (None,) * 3
        rows.append((twin.id, twin.type, twin.name.best("en"), texts.get("de"), *place))
    return pa.table(_columns(names, rows, dict.fromkeys(names[4:], pa.float64())))


def _points(structure: Structure, ids: list[str]) -> pa.Table:
    rows = [
        (twin, p.name, p.handle, p.type.kind.name.lower(), p.type.unit, p.type.low, p.type.high)
        for twin in ids
        for p in structure.points_of(twin)
    ]
    names = ("twin", "point", "handle", "kind", "unit", "low", "high")
    types = {"handle": pa.uint32(), "low": pa.float64(), "high": pa.float64()}
    return pa.table(_columns(names, rows, types))


def _properties(structure: Structure, ids: list[str]) -> pa.Table:
    rows: list[tuple[str, str, str | None, float | None, str]] = []

    def walk(twin: str, path: str, properties: Any) -> None:
        for one in properties:
            here = f"{path}/{one.name}" if path else one.name
            children = list(one.children())
            if children:
                walk(twin, here, children)
                continue
            value = one.value
            number = None
            if isinstance(value, int | float) and not isinstance(value, bool):
                number = float(value)
            text = value.best("en") if isinstance(value, Text) else str(value)
            rows.append((twin, here, None if value is None else text, number, one.unit))

    for twin in ids:
        walk(twin, "", structure.twins[twin].properties)
    names = ("twin", "path", "value", "number", "unit")
    return pa.table(_columns(names, rows, {"number": pa.float64()}))


def _latest(record: Store, structure: Structure, points: pa.Table) -> pa.Table:
    """The last sample of each point, as the record has it. Texts and arrays have no value."""
    cell, source_ns, quality = record.as_of_time(time.time_ns())
    rows = points["handle"].to_numpy()
    rows = rows[rows < len(cell)]
    points = points.slice(0, len(rows))
    kinds = structure.kinds[rows]
    cells = np.ascontiguousarray(cell[rows])
    value = np.where(kinds == Kind.FLOAT, cells.view(np.float64), cells.astype(np.float64))
    never = source_ns[rows] <= 0
    return pa.table(
        {
            "twin": points["twin"],
            "point": points["point"],
            "time": pa.array(source_ns[rows], mask=never).cast(_UTC),
            "value": pa.array(value, mask=never | (kinds >= Kind.TEXT)),
            "quality": pa.array(quality[rows]),
            "quality_name": pa.array([quality_name(int(q)) for q in quality[rows]], pa.string()),
            "handle": points["handle"],
        }
    )


def _told(record: Store, shown: frozenset[str], *, sees_all: bool) -> dict[str, pa.Table]:
    """Alarms and commands: every report of each, as the log has them."""
    alarms: list[tuple[Any, ...]] = []
    commands: list[tuple[Any, ...]] = []
    for change in record.log.changes(0, frames=False):
        body = change.body
        if isinstance(body, Event) and (sees_all or body.twin in shown):
            facts = json.dumps([to_plain(p) for p in body.properties])
            message = body.message.best("en")
            time_ns = body.source_ns or change.received_ns
            alarms.append(
                (body.id, body.twin, body.kind, message, int(body.severity), body.is_active,
                 body.is_acknowledged, time_ns, change.origin.by, facts)
            )  # fmt: skip
        elif isinstance(body, Command) and (sees_all or body.twin in shown):
            value = None if body.value is None else str(plain_value(body.value))
            commands.append(
                (body.id, body.twin, body.point, body.operation, value, body.by, body.reason,
                 body.state.name.lower(), body.detail, body.requested_ns,
                 body.decided_ns or body.requested_ns)
            )  # fmt: skip
    alarm_names = (
        "id", "twin", "kind", "message", "severity", "is_active", "is_acknowledged", "time",
        "author", "properties",
    )  # fmt: skip
    command_names = (
        "id", "twin", "point", "operation", "value", "author", "reason", "state", "detail",
        "requested", "time",
    )  # fmt: skip
    alarm_types = {"severity": pa.int8(), "is_active": pa.bool_(), "is_acknowledged": pa.bool_()}
    return {
        "alarms": pa.table(_columns(alarm_names, alarms, {**alarm_types, "time": _UTC})),
        "commands": pa.table(_columns(command_names, commands, {"requested": _UTC, "time": _UTC})),
    }


def _samples(record: Store, structure: Structure, handles: Any) -> Any:
    """The samples: compacted files, read where a query needs them, and the tail of the log."""
    manifest = record.compacted.manifest()
    folder = record.compacted.directory
    paths = [str(folder / entry.path) for entry in manifest.samples()]
    segments = [s for s in record.history.segments() if s.number > manifest.through]
    tail = pa.Table.from_batches(
        [batch for table in _tail(structure, segments) for batch in table.to_batches()],
        sample_schema(),
    )
    parts: list[Any] = [ds.dataset(tail)]
    if paths:
        parts.append(ds.dataset(paths, schema=sample_schema(), format="parquet"))
    found = ds.dataset(parts) if len(parts) > 1 else parts[0]
    return found if handles is None else found.filter(pc.field("point").isin(handles))


def _tail(structure: Structure, segments: Any) -> Iterator[pa.Table]:
    kinds = structure.kinds
    for _, block in blocks_of(segments):
        known = block.point < len(kinds)
        kind = kinds[np.where(known, block.point, 0)]
        payloads = _payloads(block, kinds)
        table = sample_table(
            block.point, block.source_ns, block.cell, block.quality, row_sequences(block), kind,
            payloads,
        )  # fmt: skip
        yield table if known.all() else table.filter(pa.array(known))


def _payloads(block: Samples, kinds: Any) -> list[bytes]:
    starts = heap_starts(block)
    found: list[bytes] = []
    for row in heap_rows(block, kinds).tolist():
        start = int(block.cell[row] >> 32) + int(starts[row])
        found.append(block.heap[start : start + int(block.cell[row] & 0xFFFF_FFFF)])
    return found


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
