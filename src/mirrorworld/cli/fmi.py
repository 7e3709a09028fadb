"""`mirrorworld fmu`: functional mock-up units described, allowed, run and made."""

from __future__ import annotations

import csv
import datetime
import getpass
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from mirrorworld.cli.commands import app, err, fail, out
from mirrorworld.protocol.places import home

fmu = typer.Typer(
    name="fmu",
    help="Functional mock-up units (FMI 2 and 3): describe, allow, run, export.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(fmu)

File = Annotated[Path, typer.Argument(help="An FMU.")]
Directory = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder of the owner's list; else `fmi` beside the worlds."),
]


@fmu.command()
def describe(
    file: File,
    all_: Annotated[bool, typer.Option("--all", help="Local variables too.")] = False,
) -> None:
    """Say what a unit is and what goes in and out of it, without running any of it."""
    from mirrorworld.simulation.fmi import description
    from mirrorworld.simulation.fmi.archive import FmiError
    from mirrorworld.simulation.fmi.quantities import quantity_of

    try:
        said = description.describe(file)
    except FmiError as error:
        fail(str(error))
    _say(f"{said.name}: FMI {said.version}" + (f", by {said.tool}" if said.tool else ""))
    if said.about:
        _say(said.about)
    _say(f"SHA-256 {said.sha256}")
    _say(f"binaries for {', '.join(said.platforms) or 'no platform'}")
    can = said.co_simulation
    if can is None:
        _say("model exchange only: it cannot be run here")
    else:
        able = {
            "saves its state": can.can_save,
            "takes steps of any length": can.can_vary_step,
            "interpolates inputs": can.can_interpolate,
            "has events": can.has_event_mode,
            "needs its tool": can.needs_tool,
        }
        _say("co-simulation: " + (", ".join(k for k, is_so in able.items() if is_so) or "plain"))
    table = Table("variable", "causality", "type", "unit", "start", "range")
    shown = said.variables if all_ else said.of("input", "output", "parameter")
    for variable in shown:
        quantity = quantity_of(said, variable)
        known = "" if quantity is None or not variable.unit else f" = {quantity.ucum}"
        unit = variable.unit + (known if known != f" = {variable.unit}" else "")
        start = " ".join(f"{x:g}" for x in variable.start[:4]) or variable.start_text
        bounds = (variable.low, variable.high)
        range_ = "" if bounds == (None, None) else " … ".join(_bound(x) for x in bounds)
        size = f"[{variable.size}]" if variable.size > 1 else ""
        row = (variable.name, variable.causality, variable.type + size, unit, start, range_)
        table.add_row(*map(escape, row))
    out.print(table)


@fmu.command()
def allow(
    file: File,
    directory: Directory = None,
    take_back: Annotated[bool, typer.Option("--take-back", help="It may no longer run.")] = False,
) -> None:
    """Let a unit run here: it is native code, so only do so if you trust who made it."""
    from mirrorworld.simulation.fmi.allowed import AllowList
    from mirrorworld.simulation.fmi.archive import FmiError, sha256_of
    from mirrorworld.simulation.fmi.description import describe as described

    here = AllowList(_directory(directory))
    try:
        if take_back:
            was = here.forget(sha256_of(file))
            _say(f"{file}: may no longer run" if was else f"{file}: was not allowed")
            return
        described(file)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        sha256 = here.allow(file, by=getpass.getuser(), at=now)
    except (FmiError, OSError) as error:
        fail(str(error))
    _say(f"{file} may run, as it is now (SHA-256 {sha256}); said in {here.path}")


@fmu.command()
def run(
    file: Annotated[Path, typer.Argument(help="An FMU, or a system of several as JSON.")],
    stop_s: Annotated[float | None, typer.Option("--stop", help="Seconds to simulate.")] = None,
    step_s: Annotated[float | None, typer.Option("--step", help="Seconds of one step.")] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", help="VARIABLE=VALUE; in a system UNIT.INPUT=VALUE; many times."),
    ] = None,
    tolerance: Annotated[
        float | None, typer.Option(help="Relative error of a step; steps get as short as needed.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--out", help="Write all rows as CSV here; - prints them.")
    ] = None,
    directory: Directory = None,
) -> None:
    """Run a unit, or a coupled system, each unit in a process of its own."""
    from mirrorworld.simulation.fmi import system as systems
    from mirrorworld.simulation.fmi.allowed import AllowList
    from mirrorworld.simulation.fmi.archive import FmiError

    values = dict(_setting(text) for text in given or [])
    place = _directory(directory)
    try:
        if file.suffix == ".json":
            system = systems.read_system(file)
            master = system.master(file.parent, AllowList(place))
            stop_s, step_s, start_s = stop_s or 1.0, step_s or system.step_s, 0.0
            for name, value in values.items():
                master.set_input(name, value)
        else:
            master, start_s, stop, step = _alone(file, place, values)
            stop_s, step_s = stop_s or stop, step_s or step
        result = master.run(start_s + stop_s, step_s, start_s=start_s, tolerance=tolerance)
    except (FmiError, ValueError) as error:
        fail(str(error))
    if output is not None:
        _write(output, result)
    table = Table("variable", "start", "end", "least", "most")
    for k, name in enumerate(result.names):
        column = result.values[:, k]
        there = column[column == column]
        last = there[-1] if len(there) else float("nan")
        extremes = (there.min(), there.max()) if len(there) else (last, last)
        table.add_row(escape(name), *(f"{x:.9g}" for x in (column[0], last, *extremes)))
    shown = err if str(output) == "-" else out
    shown.print(table)
    for bond in result.bonds:
        shown.print(escape(str(bond)), highlight=False, soft_wrap=True)
    for text in result.findings():
        err.print(escape(text), highlight=False, soft_wrap=True)
    text = f"{result.steps} steps to t = {result.reached_s:.9g} s, {len(result.events)} events"
    shown.print(text, highlight=False)
    raise typer.Exit(1 if result.ended else 0)


@fmu.command()
def export(
    model: Annotated[str, typer.Argument(help="The class, as MODULE:CLASS; from this folder too.")],
    into: Annotated[Path, typer.Option("--out", help="The FMU, or a folder for it.")] = Path("."),
    along: Annotated[
        list[Path] | None, typer.Option("--with", help="A file or folder that it needs too.")
    ] = None,
) -> None:
    """Make an FMU of a model in Python: a class with inputs, outputs, parameters and step."""
    from mirrorworld.simulation.fmi.archive import FmiError
    from mirrorworld.simulation.fmi.export import export as made
    from mirrorworld.simulation.fmi.system import named_class

    sys.path.insert(0, os.getcwd())
    try:
        path = made(named_class(model, "export"), into, takes_along=along or [])
    except (FmiError, ValueError, OSError) as error:
        fail(str(error))
    finally:
        sys.path.remove(os.getcwd())
    _say(f"{path}; before it runs here: mirrorworld fmu allow {path}")


def _alone(file: Path, place: Path, values: dict[str, float]) -> tuple[Any, float, float, float]:
    """A master of one unit: its inputs hold what they are set to."""
    from mirrorworld.simulation.fmi.allowed import AllowList
    from mirrorworld.simulation.fmi.description import describe as described
    from mirrorworld.simulation.fmi.master import Master
    from mirrorworld.simulation.fmi.process import FmuProcess

    said = described(file)
    inputs = {v.name for v in said.of("input")}
    held = {name: value for name, value in values.items() if name in inputs}
    parameters = {name: value for name, value in values.items() if name not in inputs}
    unit = FmuProcess(file, AllowList(place), name="unit", inputs=list(held), parameters=parameters)
    stop_s = (said.stop_s if said.stop_s is not None else said.start_s + 1.0) - said.start_s
    master = Master([unit], constants={f"unit.{name}": value for name, value in held.items()})
    return master, said.start_s, stop_s, said.step_s or stop_s / 100


def _setting(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float({"true": "1", "false": "0"}.get(value.strip(), value))
    except ValueError:
        fail(f"--set {text}: give VARIABLE=NUMBER")


def _write(path: Path, result: Any) -> None:
    stream = sys.stdout if str(path) == "-" else path.open("w", newline="", encoding="utf-8")
    try:
        rows = csv.writer(stream)
        rows.writerow(["time_s", *result.names])
        for time_s, row in zip(result.times_s, result.values, strict=True):
            rows.writerow([repr(float(time_s)), *(repr(float(x)) for x in row)])
    finally:
        if stream is not sys.stdout:
            stream.close()


def _directory(given: Path | None) -> Path:
    return given or home() / "fmi"


def _bound(x: float | None) -> str:
    return "" if x is None else f"{x:g}"


def _say(text: str) -> None:
    out.print(escape(text), highlight=False, soft_wrap=True)
