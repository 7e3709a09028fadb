"""`mirrorworld map`: many twins named, typed, described, joined and placed by a file."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer
import yaml
from rich.markup import escape
from rich.table import Table

from mirrorworld.at_rest import opened
from mirrorworld.cli.commands import app, fail, out
from mirrorworld.installed import UsageError
from mirrorworld.kept import directory_of
from mirrorworld.live import door
from mirrorworld.mapping.book import KIND, parse, read
from mirrorworld.mapping.plan import Plan
from mirrorworld.protocol.places import address_of, read_token
from mirrorworld.world.changes import Change, Edits, Origin, OriginKind, PutSheet
from mirrorworld.world.model import Sheet

SIZE_BYTES_MAX: Final = 1_000_000
TIMEOUT_S: Final = 120.0


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of JSON only, so that `off` and `0100` stay what they look like, and
    without aliases, so that no file grows while it is read."""

    yaml_implicit_resolvers: Final[dict[Any, Any]] = {}  # pyright: ignore[reportIncompatibleVariableOverride]

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"line {self.peek_event().start_mark.line + 1}: no aliases here")
        return super().compose_node(parent, index)


for _tag, _form, _first in (
    ("bool", "true|false", "tf"),
    ("null", "null|~|", ["n", "~", ""]),
    ("int", "-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", "-0123456789"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_form})$"), list(_first)
    )


@app.command(name="map")
def map_(
    world: Annotated[str, typer.Argument(help="Name of the world; it may be running.")],
    file: Annotated[Path, typer.Argument(help="The mapping, as YAML or JSON; see the guide.")],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; else it is only shown.")] = False,
    keep: Annotated[
        str, typer.Option(help="Keep it under this name, as the page does; with --apply.")
    ] = "",
    rows: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many rows.")] = 40,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where the world is kept; else by its name.")
    ] = None,
) -> None:
    """Show what a mapping would change in a world, and with --apply change it."""
    body = body_of(file)
    place = directory or directory_of(world)
    if not (place / "record").exists():
        fail(f"{place}: no such world; `mirrorworld worlds` lists them")
    try:
        parse(body, str(file))
        address = address_of(place)
        if address:
            _ask(address, read_token(place), body, keep, rows, apply=apply)
        else:
            _do(place, body, keep, rows, apply=apply)
    except (ValueError, UsageError) as error:
        fail(str(error))
    except httpx.HTTPError as error:
        fail(f"{address_of(place)}: {error}; is the world still running?")


def body_of(file: Path) -> str:
    """The JSON of a mapping's file."""
    try:
        if file.stat().st_size > SIZE_BYTES_MAX:
            fail(f"{file}: larger than {SIZE_BYTES_MAX} bytes, which no mapping is")
        plain: Any = yaml.load(file.read_text(encoding="utf-8"), _Loader)  # a SafeLoader
        return json.dumps(plain, ensure_ascii=False, default=str)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, TypeError) as error:
        fail(f"{file}: not YAML: {' '.join(str(error).split())}")
    except OSError as error:
        fail(f"{file}: {error.strerror}")


def _ask(address: str, token: str, body: str, keep: str, rows: int, *, apply: bool) -> None:
    """Lets the server of a running world do it."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT_S) as client:
        shown = _answer(client.post("/api/mapping/preview", json={"body": body, "limit": rows}))
        counts = (shown["twins"], shown["changes"], shown["left_out"])
        _print([tuple(row.values()) for row in shown["rows"]], *counts)
        if apply:
            done = _answer(client.post("/api/mapping", json={"body": body, "name": keep}))
            out.print(f"applied: {done['changes']} changes at {done['position']}", highlight=False)


def _answer(answer: httpx.Response) -> Any:
    if answer.is_error:
        fail(answer.json().get("detail", answer.text))
    return answer.json()


def _do(place: Path, body: str, keep: str, rows: int, *, apply: bool) -> None:
    """Does it to a world that is not running."""
    from mirrorworld.record import open_record, restore, world_in

    if not apply:
        with open_record(place / "record", create=False, read_only=True) as record:
            _show(Plan(restore(record).structure, parse(body)).worked(), rows)
        return
    with opened(place, world_in(place / "record")) as (world, record):
        plan = Plan(world.structure, parse(body)).worked()
        _show(plan, rows)
        kept = (PutSheet(Sheet(KIND, keep, body)),) if keep else ()
        for put in kept:
            read(put.sheet)
        edits = Edits((*kept, *plan.edits()), f"mapping {keep}".strip())
        door.check(edits, world.structure)
        change = Change(edits, Origin(OriginKind.AUTHORED, "owner"), time.time_ns())
        applied = world.apply(change).change if edits.edits else None
        if applied is not None:
            record.append(applied)
            record.commit()
        changes = sum(not row.is_left_out for row in plan.rows)
        out.print(f"applied: {changes} changes at {world.position}", highlight=False)


def _show(plan: Plan, rows: int) -> None:
    left_out = sum(row.is_left_out for row in plan.rows)
    shown = [(r[0], "", *r[1:7]) for r in plan.rows[:rows]]
    _print(shown, plan.matched, len(plan.rows) - left_out, left_out)


def _print(rows: list[tuple[Any, ...]], twins: int, changes: int, left_out: int) -> None:
    """Rows of (twin, name, what, of, before, after, note, is left out), and how many there are."""
    if rows:
        table = Table("twin", "what", "now", "then", "note")
        for twin, _, what, of, before, after, note, is_left_out in rows:
            note = f"left out: {note}" if is_left_out else note
            cells = (twin, f"{what} {of}".strip(), before, after, note)
            table.add_row(*map(escape, cells))
        out.print(table)
    if len(rows) < changes + left_out:
        out.print(f"and {changes + left_out - len(rows)} more; --rows shows them", highlight=False)
    out.print(f"{twins} twins fit: {changes} changes, {left_out} left out", highlight=False)
