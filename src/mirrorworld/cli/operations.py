"""Commands that read a world for a shift: report, sql, export-history."""

from __future__ import annotations

import enum
import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mirrorworld.cli.commands import app, err, fail, out
from mirrorworld.kept import directory_of

World = Annotated[str, typer.Argument(help="Name of the world; it may be running.")]
Directory = Annotated[
    Path | None, typer.Option("--dir", help="Where the world is kept; else by its name.")
]


class Form(enum.StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@app.command()
def sql(
    world: World,
    query: Annotated[str, typer.Argument(help="One SELECT; see the guide for the tables.")],
    form: Annotated[Form, typer.Option("--format", help="How rows are printed.")] = Form.TABLE,
    rows: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 1_000,
    time_s: Annotated[float, typer.Option("--time", min=0.1, help="Seconds it may take.")] = 30.0,
    directory: Directory = None,
) -> None:
    """Read twins, points, relations, alarms, commands and samples by SQL."""
    from mirrorworld.operations import sql as room

    record = (directory or directory_of(world)) / "record"
    try:
        found = room.query(record, query, limits=room.Limits(time_s=time_s, rows=rows))
    except room.SqlError as error:
        fail(str(error))
    names = found.table.column_names
    lines = list(zip(*room.plain_columns(found.table), strict=True))
    if form is Form.JSON:
        for row in lines:
            print(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False))
    elif form is Form.CSV:
        from pyarrow import csv

        csv.write_csv(found.table, sys.stdout.buffer)
    else:
        shown = Table(*map(escape, names))
        for row in lines:
            shown.add_row(*("" if v is None else escape(str(v)) for v in row))
        out.print(shown)
    if found.is_cut:
        err.print(f"only the first {rows} rows; --rows gives more")


@app.command(name="export-history")
def export_history(
    world: World,
    file: Annotated[Path, typer.Argument(help="Ends in .csv or .parquet.")],
    point: Annotated[
        list[str] | None, typer.Option(help="`twin.point`; may be given many times.")
    ] = None,
    twin: Annotated[
        list[str] | None, typer.Option(help="All points of a twin; may be given many times.")
    ] = None,
    start: Annotated[str, typer.Option(help="ISO 8601; else the first sample.")] = "",
    end: Annotated[str, typer.Option(help="ISO 8601; else now.")] = "",
    zone: Annotated[str, typer.Option(help="Time zone of the times in CSV.")] = "UTC",
    directory: Directory = None,
) -> None:
    """Write the history of points to a file: every sample a row. Without points: of all."""
    from mirrorworld.client.errors import InvalidError
    from mirrorworld.client.times import nanoseconds
    from mirrorworld.operations import history_files
    from mirrorworld.record import CorruptRecordError, UnknownWorldError, open_record

    place = (directory or directory_of(world)) / "record"
    try:
        with open_record(place, create=False, read_only=True) as record:
            structure = record.history.structure()
            twins = twin or (structure.twins if not point else ())
            points = history_files.chosen(structure, point or (), twins)
            span = (nanoseconds(start) if start else record.first_ns, nanoseconds(end or None))
            history_files.write(record, points, max(span[0], record.first_ns), span[1], file, zone)
    except (UnknownWorldError, CorruptRecordError, InvalidError, ValueError, OSError) as error:
        fail(str(error))
    except KeyError as error:
        fail(str(error.args[0]))
    out.print(escape(str(file)), highlight=False, soft_wrap=True)


@app.command()
def report(
    world: World,
    shift: Annotated[str, typer.Option(help="last, or current.")] = "last",
    plan: Annotated[str, typer.Option(help="Name of the shift plan; else the first.")] = "",
    pdf: Annotated[Path | None, typer.Option(help="Write a PDF to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write HTML to this file.")] = None,
    language: Annotated[str, typer.Option(help="en or de.")] = "en",
    directory: Directory = None,
) -> None:
    """Write the report of a shift: effectiveness, stops, alarms, commands."""
    from mirrorworld.operations.report_html import html as as_html
    from mirrorworld.operations.report_words import LANGUAGES
    from mirrorworld.operations.shift_report import make_report, plan_of
    from mirrorworld.record import CorruptRecordError, UnknownWorldError, open_record

    if language not in LANGUAGES or shift not in ("last", "current"):
        fail(f"--language is one of {', '.join(LANGUAGES)}; --shift is last or current")
    if pdf is None and html is None:
        fail("say where to: --pdf FILE or --html FILE")
    place = (directory or directory_of(world)) / "record"
    try:
        with open_record(place, create=False, read_only=True) as record:
            structure = record.history.structure()
            planned, now_ns = plan_of(structure, plan), time.time_ns()
            run = planned.latest(now_ns) if shift == "last" else planned.current(now_ns)
            if run is None:
                fail(f"{world}: no {shift} shift in the plan; look at its days")
            told = record.log.changes(0, frames=False)
            made = make_report(
                record.world, structure, record, told, run, planned.zone,
                language=language, now_ns=now_ns,
            )  # fmt: skip
    except (UnknownWorldError, CorruptRecordError, ValueError) as error:
        fail(str(error))
    if html is not None:
        html.write_text(as_html(made), encoding="utf-8")
        out.print(escape(str(html)), highlight=False, soft_wrap=True)
    if pdf is not None:
        try:
            from mirrorworld.operations.report_pdf import pdf as as_pdf

            pdf.write_bytes(as_pdf(made))
        except ImportError:
            fail("reportlab is not installed; pip install 'mirrorworld[reports]'")
        out.print(escape(str(pdf)), highlight=False, soft_wrap=True)
