"""Read-only SQL over a world's record: each query in a process of its own, which is ended when
its time is over.

What a query can see is said in docs/guide/query-sql.md. The record may be open elsewhere; a query
sees what was durable when it began.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from mirrorworld.protocol.answers import plain_value

TIME_S: Final = 30.0
MEMORY_MB: Final = 256
ROWS: Final = 10_000
ROWS_MAX: Final = 1_000_000
ANSWER_MB: Final = 64
SQL_LENGTH_MAX: Final = 100_000


class SqlError(ValueError):
    """A query was refused, or failed; the message says why."""


class SqlTimeout(SqlError):
    """A query took too long and was ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may take."""

    time_s: float = TIME_S
    memory_mb: int = MEMORY_MB
    rows: int = ROWS


@dataclass(frozen=True, slots=True)
class Rows:
    """The answer to a query."""

    table: pa.Table
    is_cut: bool
    """There were more rows than the limit allows."""


def query(
    record: Path, sql: str, *, twins: Iterable[str] | None = None, limits: Limits | None = None
) -> Rows:
    """The rows of one SELECT. Blocks; call it from a thread where there is a loop.

    Args:
        record: the record's directory.
        twins: those that the asker may see; None: all.

    Raises:
        SqlError: it cannot be answered.
    """
    limits = limits or Limits()
    if importlib.util.find_spec("duckdb") is None:
        raise SqlError("DuckDB is not installed; pip install 'mirrorworld[duckdb]'")
    if len(sql) > SQL_LENGTH_MAX:
        raise SqlError(f"{len(sql)} characters of SQL; at most {SQL_LENGTH_MAX} are read")
    task = {
        "record": str(record),
        "sql": sql,
        "twins": None if twins is None else list(twins),
        "memory_mb": limits.memory_mb,
        "rows": min(limits.rows, ROWS_MAX),
        "answer_mb": ANSWER_MB,
    }
    command = [sys.executable, "-I", "-m", "mirrorworld.operations.sql_worker"]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(task).encode(),
            capture_output=True,
            timeout=limits.time_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        text = f"the query took more than {limits.time_s:g} s and was ended"
        raise SqlTimeout(f"{text}; select a shorter time, or fewer points") from error
    kind, answer = done.stdout[:1], done.stdout[1:]
    if kind == b"E":
        raise SqlError(json.loads(answer))
    if kind != b"A" or done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise SqlError(f"the query's process ended with {done.returncode}: {' '.join(last)[:300]}")
    table = pa.ipc.open_stream(answer).read_all()
    is_cut = table.num_rows > task["rows"]
    return Rows(table.slice(0, task["rows"]), is_cut)


def plain_columns(table: pa.Table) -> list[list[Any]]:
    """The values of each column as JSON has them: numbers, texts, yes and no, null; the rest in
    words; what there are none for, such as a date beyond the calendar within a list, says so."""
    return [_plain(table[name].combine_chunks()) for name in range(table.num_columns)]


def _plain(column: Any) -> list[Any]:
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_string(kind):
        return column.to_pylist()
    if pa.types.is_floating(kind):
        return [plain_value(value) for value in column.to_pylist()]
    try:
        return column.cast(pa.string()).to_pylist()
    except (pa.ArrowException, UnicodeDecodeError):
        return [_words(value) for value in column]


def _words(value: Any) -> str | None:
    if not value.is_valid:
        return None
    try:
        return str(value.as_py())
    except (OverflowError, ValueError, pa.ArrowException):
        return f"a {value.type} beyond what can be told"


def arrow(table: pa.Table) -> bytes:
    """A table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
