"""`mirrorworld branch`: other futures of a world, which runs here or is opened for it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from mirrorworld.at_rest import open_world
from mirrorworld.cli.commands import app, fail, out, read_options
from mirrorworld.client import Branch, ClientError, World, connect
from mirrorworld.installed import UsageError
from mirrorworld.kept import directory_of
from mirrorworld.protocol.branches import Comparison
from mirrorworld.protocol.places import address_of, read_token

branch = typer.Typer(no_args_is_help=True, help="Branch a world: change, run, compare, apply.")
app.add_typer(branch, name="branch")

WorldName = Annotated[str, typer.Argument(help="Name of the world; it may be running.")]
Which = Annotated[str, typer.Argument(help="The branch: its id, or its name.")]
Directory = Annotated[
    Path | None, typer.Option("--dir", help="Where the world is kept; else by its name.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Options = Annotated[
    list[str] | None, typer.Option("--option", "-o", help="KEY=VALUE for the model.")
]


@contextlib.contextmanager
def _opened(name: str, directory: Path | None) -> Iterator[World]:
    """The world where it runs, else opened here; what goes wrong is said, with exit status 1."""
    place = directory or directory_of(name)
    address = address_of(place)
    try:
        world = connect(address, read_token(place)) if address else open_world(place, writable=True)
        with world:
            yield world
    except (ClientError, UsageError) as error:
        fail(str(error))


def _found(world: World, which: str) -> Branch:
    named = [b for b in world.branches() if which in (b.id, b.last_name)]
    if not named:
        fail(f"there is no branch '{which}'; `mirrorworld branch list` shows them")
    if len(named) > 1:
        ids = ", ".join(b.id for b in named)
        fail(f"{len(named)} branches are called '{which}': {ids}; name one by its id")
    return named[0]


def _json(what: Any) -> None:
    print(msgspec.json.encode(what).decode())


@branch.command()
def new(
    world: WorldName,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    at: Annotated[
        str, typer.Option(help="A position, as 1:4711, or an ISO 8601 time; else now.")
    ] = "",
    parent: Annotated[str, typer.Option("--of", help="Another branch; else the world.")] = "",
    shared: Annotated[bool, typer.Option(help="Whether others see it.")] = False,
    directory: Directory = None,
) -> None:
    """Make a branch, from now or any past moment; prints its id."""
    with _opened(world, directory) as opened:
        above = _found(opened, parent) if parent else ""
        print(opened.branch(name, at=at or None, parent=above, shared=shared).id)


@branch.command(name="list")
def list_(world: WorldName, as_json: AsJson = False, directory: Directory = None) -> None:
    """The branches that there are, latest first."""
    with _opened(world, directory) as opened:
        rows = [b.about for b in opened.branches()]
    if as_json:
        _json(rows)
        return
    table = Table("id", "name", "of", "at", "by", "changes", "run")
    for row in rows:
        run = row.run.state + (f": {row.run.detail}" if row.run.detail else "")
        cells = (row.id, row.name, row.parent or world, row.at, row.author, str(row.changes), run)
        table.add_row(*map(escape, cells))
    out.print(table)


@branch.command()
def show(world: WorldName, which: Which, directory: Directory = None) -> None:
    """Everything about a branch, with what people changed in it, as JSON."""
    with _opened(world, directory) as opened:
        found = _found(opened, which)
        _json({"branch": found.about, "changes": found.changes()})


@branch.command(name="set")
def set_(
    world: WorldName,
    which: Which,
    values: Annotated[
        list[str], typer.Argument(help="twin.point=VALUE, or PARAMETER=VALUE such as demand=14000")
    ],
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    unit: Annotated[str, typer.Option(help="UCUM unit of the values; else each point's.")] = "",
    directory: Directory = None,
) -> None:
    """Assume values of points, and scenario parameters."""
    read = read_options(values)
    with _opened(world, directory) as opened:
        found = _found(opened, which)
        points = {k: v for k, v in read.items() if "." in k}
        if points:
            found.put(points, unit=unit, reason=reason)
        others = {k: v for k, v in read.items() if k not in points}
        if others:
            found.set(reason=reason, **others)


@branch.command()
def undo(world: WorldName, which: Which, directory: Directory = None) -> None:
    """Take the latest change in a branch back."""
    with _opened(world, directory) as opened:
        _found(opened, which).undo()


@branch.command()
def run(
    world: WorldName,
    which: Which,
    seconds: Annotated[float, typer.Option("--for", help="By its own clock.")],
    model: Annotated[str, typer.Option(help="Attach this model first.")] = "",
    option: Options = None,
    speed: Annotated[float, typer.Option(help="Its seconds for each of ours; 0: all it can.")] = 0,
    step: Annotated[float, typer.Option(help="Seconds by which models are stepped.")] = 1.0,
    directory: Directory = None,
) -> None:
    """Run a branch with its models, and wait until that is over."""
    with _opened(world, directory) as opened:
        found = _found(opened, which)
        if model:
            found.attach(model, **read_options(option))
        _json(found.run(seconds, speed=speed, step=step))


@branch.command()
def evaluate(
    world: WorldName,
    which: Which,
    evaluator: Annotated[str, typer.Argument(help="What finds the figures, such as flow.")],
    option: Options = None,
    replications: Annotated[int, typer.Option(min=1)] = 30,
    seed: Annotated[int, typer.Option(help="The same for branches that are compared.")] = 1,
    directory: Directory = None,
) -> None:
    """Find figures of a branch over replications, and print them as JSON."""
    with _opened(world, directory) as opened:
        found = _found(opened, which)
        _json(
            found.evaluate(
                evaluator, replications=replications, seed=seed, options=read_options(option)
            )
        )


@branch.command()
def compare(
    world: WorldName,
    which: Annotated[list[str], typer.Argument(help="Branches; the first is the baseline.")],
    evaluator: Annotated[str, typer.Option(help="Else the one used last.")] = "",
    as_json: AsJson = False,
    directory: Directory = None,
) -> None:
    """Branches beside each other by their latest evaluations."""
    with _opened(world, directory) as opened:
        found = [_found(opened, one) for one in which]
        told = opened.compare(*found, evaluator=evaluator)
        names = {b.id: b.last_name for b in found}
    if as_json:
        _json(told)
        return
    out.print(_compared(told, names))
    for missing in told.missing:
        out.print(f"{escape(names[missing])}: not evaluated yet")


def _compared(told: Comparison, names: dict[str, str]) -> Table:
    table = Table("figure", "unit", *(escape(names[b]) for b in told.branches))
    for row in told.rows:
        cells = {cell.branch: cell for cell in row.cells}
        shown: list[str] = []
        for branch_id in told.branches:
            cell = cells.get(branch_id)
            if cell is None or cell.mean is None:
                shown.append("")
                continue
            text = f"{cell.mean:.5g}"
            if cell.low is not None and cell.high is not None:
                text += f" ± {(cell.high - cell.low) / 2:.2g}"
            if cell.difference is not None:
                text += f"\n{cell.difference:+.4g}"
            if cell.difference_low is not None and cell.difference_high is not None:
                text += f" ({cell.difference_low:+.3g} to {cell.difference_high:+.3g})"
            if cell.probability_better is not None:
                text += f", better with {cell.probability_better:.1%}"
            shown.append(text)
        table.add_row(escape(row.name), escape(row.unit), *shown)
    return table


@branch.command()
def diff(
    world: WorldName,
    which: Which,
    against: Annotated[str, typer.Option(help="fork, live, or another branch.")] = "fork",
    as_json: AsJson = False,
    directory: Directory = None,
) -> None:
    """What differs in a branch."""
    with _opened(world, directory) as opened:
        other = against if against in ("fork", "live") else _found(opened, against)
        rows = _found(opened, which).diff(other)
    if as_json:
        _json(rows)
        return
    table = Table("what", "about", "name", "before", "after", "unit", "origin")
    for row in rows:
        cells = (row.what, row.about, row.name, row.before, row.after, row.unit, row.origin)
        table.add_row(*map(escape, cells))
    out.print(table)


@branch.command()
def apply(
    world: WorldName,
    which: Which,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Approve and execute it at once.")] = False,
    directory: Directory = None,
) -> None:
    """Make a plan of what differs, to be approved; with --yes do what you may at once."""
    with _opened(world, directory) as opened:
        plan = _found(opened, which).plan(reason)
        if yes:
            plan.approve().execute()
        for step in plan:
            print(f"{step.number} {step.state}: {step.words} {step.detail}".rstrip())
        print(f"plan {plan.id} is {plan.state}")


@branch.command()
def export(
    world: WorldName,
    which: Which,
    file: Annotated[Path, typer.Argument(help="Where to.")],
    directory: Directory = None,
) -> None:
    """Write a branch to one file."""
    with _opened(world, directory) as opened:
        _found(opened, which).export(file)


@branch.command(name="import")
def import_(
    world: WorldName,
    file: Annotated[Path, typer.Argument(help="That export wrote.")],
    directory: Directory = None,
) -> None:
    """Bring a branch in from a file; prints its id."""
    if not file.is_file():
        fail(f"{file}: there is no such file")
    with _opened(world, directory) as opened:
        print(opened.import_branch(file).id)


@branch.command()
def discard(world: WorldName, which: Which, directory: Directory = None) -> None:
    """End a branch; its parent stays as it is."""
    with _opened(world, directory) as opened:
        _found(opened, which).discard()
