"""`mirrorworld flow`: a world's line shown, fitted to its record, validated, run and varied."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from mirrorworld.cli.commands import app, fail, out
from mirrorworld.kept import directory_of

if TYPE_CHECKING:
    from mirrorworld.record.store import Store
    from mirrorworld.simulation.fitting.checking import Check
    from mirrorworld.simulation.fitting.line import LineFit
    from mirrorworld.simulation.flow.from_world import Drawn
    from mirrorworld.simulation.flow.results import Result
    from mirrorworld.simulation.flow.sheet import Flow
    from mirrorworld.world.world import World as Kernel

flow = typer.Typer(
    name="flow",
    help="The line of a world: show, fit, validate, run, whatif.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(flow)

World = Annotated[str, typer.Argument(help="Name of the world; it may be running.")]
Directory = Annotated[
    Path | None, typer.Option("--dir", help="Where the world is kept; else by its name.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Start = Annotated[str, typer.Option("--from", help="ISO 8601; else the first sample.")]
End = Annotated[str, typer.Option("--to", help="ISO 8601; else the last sample.")]
ClockRate = Annotated[
    float, typer.Option("--clock-rate", help="Seconds of the plant in each second of the record.")
]
FitFile = Annotated[
    Path | None, typer.Option("--fit", help="A fit kept by `fit --out`; else the world's own.")
]
Replications = Annotated[int, typer.Option("--replications", "-n", min=2, max=10_000)]
Hours = Annotated[float, typer.Option(min=0.01, help="Hours that each replication lasts.")]
Seed = Annotated[int, typer.Option(help="Of all chance.")]
Svg = Annotated[Path | None, typer.Option("--svg", help="Draw the fits into this folder.")]
WARM_UP_H = 0.5


@flow.command()
def show(
    world: World, fit: FitFile = None, as_json: AsJson = False, directory: Directory = None
) -> None:
    """Print the line that the world makes, and what each number stands on."""
    with _opened(world, directory) as (kernel, _):
        drawn = _drawn(kernel, _kept(fit))
    if as_json:
        nodes = [{"name": n.name, "kind": type(n).__name__.lower()} for n in drawn.model.nodes]
        links = [[link.source, link.target] for link in drawn.model.links]
        grounds = [_plain(ground) for ground in drawn.grounds]
        print(json.dumps({"nodes": nodes, "links": links, "grounds": grounds}))
        return
    _say(" → ".join(node.name for node in drawn.model.nodes))
    table, front = _table(
        (one.twin for one in drawn.grounds), "twin", "what", "value", "by", "mend"
    )
    for one in drawn.grounds:
        _row(table, one.twin[front:], one.what, one.value, one.by, one.mend)
    out.print(table)


@flow.command()
def fit(
    world: World,
    start: Start = "",
    end: End = "",
    clock_rate: ClockRate = 1.0,
    write: Annotated[
        bool, typer.Option("--write", help="Keep it in the world, as sheet flow 'fitted'.")
    ] = False,
    file: Annotated[Path | None, typer.Option("--out", help="Keep it in this file.")] = None,
    svg: Svg = None,
    is_checked: Annotated[
        bool,
        typer.Option(
            "--check/--no-check", help="Also fit to the first 60 % and compare with the rest."
        ),
    ] = True,
    as_json: AsJson = False,
    directory: Directory = None,
) -> None:
    """Fit cycle, failure and repair times to the record, with how well they fit."""
    with _opened(world, directory) as (kernel, record):
        span = _span(kernel, record, start, end)
        found = _fitted(kernel, record, span, clock_rate)
        if is_checked:
            found.flow.checked = _check(kernel, record, span, clock_rate).checked
    _tell_fit(found, as_json=as_json)
    if file is not None:
        file.write_text(found.sheet.body + "\n", encoding="utf-8")
    if svg is not None:
        _draw(found, svg)
    if write:
        _write(world, directory, found)


@flow.command()
def validate(
    world: World,
    start: Start = "",
    end: End = "",
    clock_rate: ClockRate = 1.0,
    split: Annotated[
        float, typer.Option(min=0.1, max=0.9, help="Share of the period that is fitted on.")
    ] = 0.6,
    replications: Replications = 40,
    seed: Seed = 1,
    as_json: AsJson = False,
    directory: Directory = None,
) -> None:
    """Fit to the first part of a period and compare with the rest, which the fit has not seen."""
    with _opened(world, directory) as (kernel, record):
        span = _span(kernel, record, start, end)
        found = _check(kernel, record, span, clock_rate, split, replications, seed)
    told = found.validation
    if as_json:
        rows = [{**_plain(row), "error": row.error, "inside": row.is_within} for row in told.rows]
        drifted = [{"twin": d.twin, "what": d.what, **_plain(d.drift)} for d in found.drifts]
        print(
            json.dumps(
                {
                    "verdict": told.verdict,
                    "length_s": told.length_s,
                    "replications": told.replications,
                    "rows": rows,
                    "drift": drifted,
                }
            )
        )
        return
    columns = ("figure", "twin", "measured", "predicted", "error", "95 % interval", "inside")
    table, front = _table((row.twin for row in told.rows), *columns)
    for row in told.rows:
        inside = "yes" if row.is_within else "no"
        span = f"{_number(row.low)} – {_number(row.high)}"
        error = f"{row.error:+.1%}" if row.error == row.error else ""
        _row(
            table, f"{row.what} [{row.unit}]", row.twin[front:], _number(row.measured),
            _number(row.predicted), error, span, inside,
        )  # fmt: skip
    out.print(table)
    for one in found.drifts:
        if one.drift.has_drifted:
            _say(f"drift: {one.text}")
    _say(told.verdict)


@flow.command()
def run(
    world: World,
    hours: Hours = 8.0,
    replications: Replications = 30,
    seed: Seed = 1,
    fit: FitFile = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Draw what goes where (Sankey) into this file.")
    ] = None,
    as_json: AsJson = False,
    directory: Directory = None,
) -> None:
    """Run the line and print its figures with 95 % intervals."""
    from mirrorworld.simulation.flow.evaluator import kpis
    from mirrorworld.simulation.flow.statistics import interval

    with _opened(world, directory) as (kernel, _):
        drawn = _drawn(kernel, _kept(fit))
    runs = _runs(drawn, hours, replications, seed)
    if svg is not None:
        _draw_passages(drawn, runs, svg)
    rows = [(kpi, interval(kpi.values)) for kpi in kpis(drawn.model, runs)]
    if as_json:
        print(
            json.dumps(
                [
                    {"name": k.name, "unit": k.unit, "mean": i.mean, "low": i.low, "high": i.high}
                    for k, i in rows
                ]
            )
        )
        return
    table = Table("figure", "unit", "mean", "95 % interval")
    for kpi, one in rows:
        span = f"{_number(one.low)} – {_number(one.high)}"
        _row(table, kpi.name, kpi.unit, _number(one.mean), span)
    out.print(table)
    _doubt(drawn)


@flow.command()
def whatif(
    world: World,
    change: Annotated[
        list[str],
        typer.Option(
            "--set",
            help="TWIN.FACTOR=VALUE, several with commas: one what-if. Factors: rate_factor,"
            " failure_factor, repair_factor, capacity_factor; demand_per_h alone.",
        ),
    ],
    hours: Hours = 8.0,
    replications: Replications = 30,
    seed: Seed = 1,
    fit: FitFile = None,
    as_json: AsJson = False,
    directory: Directory = None,
) -> None:
    """Compare changes of the line with the line as it is, pair by pair on the same chance."""
    from mirrorworld.simulation.flow.evaluator import critical
    from mirrorworld.simulation.flow.statistics import compare, interval

    told: list[dict[str, Any]] = []
    with _opened(world, directory) as (kernel, _):
        kept = _kept(fit)
        as_is = _drawn(kernel, kept)
        base = _runs(as_is, hours, replications, seed)
        first = [float(one.throughput_per_s[0]) * 3600 for one in base]
        for text in ("", *change):
            drawn = _drawn(kernel, kept, text)
            runs = base if not text else _runs(drawn, hours, replications, seed)
            made = [float(one.throughput_per_s[0]) * 3600 for one in runs]
            mean = interval(made)
            by = {name: float(v.mean()) for name, v in critical(drawn.model, runs).items()}
            row: dict[str, Any] = {
                "change": text or "as it is",
                "throughput_per_h": mean.mean,
                "low": mean.low,
                "high": mean.high,
                "wip": float(sum(one.wip[0] for one in runs)) / len(runs),
                "critical": dict(sorted(by.items(), key=lambda item: -item[1])),
            }
            if not text:
                row["doubts"] = as_is.doubts
            else:
                more = compare(made, first)
                row |= {
                    "gain_per_h": more.difference.mean,
                    "gain_low": more.difference.low,
                    "gain_high": more.difference.high,
                    "p_better": more.p_larger,
                }
            told.append(row)
    if as_json:
        print(json.dumps(told))
        return
    table = Table("what if", "throughput/h", "gain/h, 95 %", "P(better)", "WIP", "bottlenecks")
    for row in told:
        gain = p = ""
        if "gain_per_h" in row:
            gain = f"{row['gain_per_h']:+.0f} ({row['gain_low']:+.0f} … {row['gain_high']:+.0f})"
            p = f"{row['p_better']:.3f}"
        throughput = f"{row['throughput_per_h']:.0f} ± {row['high'] - row['throughput_per_h']:.0f}"
        worst = ", ".join(f"{n} {share:.0%}" for n, share in list(row["critical"].items())[:3])
        _row(table, row["change"], throughput, gain, p, f"{row['wip']:.0f}", worst)
    out.print(table)
    _doubt(as_is)


# --- what they share -------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(name: str, directory: Path | None) -> Iterator[tuple[Kernel, Store]]:
    from mirrorworld.record import CorruptRecordError, UnknownWorldError, open_record
    from mirrorworld.record.store import restore

    place = (directory or directory_of(name)) / "record"
    try:
        with open_record(place, create=False, read_only=True) as record:
            yield restore(record), record
    except (UnknownWorldError, CorruptRecordError, OSError) as error:
        fail(str(error))


def _span(world: Kernel, record: Store, start: str, end: str) -> tuple[int, int]:
    import numpy as np

    from mirrorworld.client.times import nanoseconds

    columns = world.read(np.arange(world.n_points, dtype=np.uint32))
    last_ns = int(columns.source_ns.max(initial=0))
    try:
        return (
            max(nanoseconds(start), record.first_ns) if start else record.first_ns,
            min(nanoseconds(end), last_ns) if end else last_ns,
        )
    except ValueError as error:
        fail(str(error))


def _fitted(world: Kernel, record: Store, span: tuple[int, int], clock_rate: float) -> LineFit:
    from mirrorworld.simulation.fitting.calibrating import calibrate
    from mirrorworld.simulation.fitting.line import fit_line

    try:
        found = fit_line(world, record, *span, clock_rate=clock_rate)
        calibrate(world, found)
        return found
    except ValueError as error:
        fail(str(error))


def _check(
    world: Kernel,
    record: Store,
    span: tuple[int, int],
    clock_rate: float,
    split: float = 0.6,
    replications: int = 40,
    seed: int = 1,
) -> Check:
    from mirrorworld.simulation.fitting.checking import check

    try:
        return check(
            world, record, *span,
            split=split, clock_rate=clock_rate, replications=replications, seed=seed,
        )  # fmt: skip
    except ValueError as error:
        fail(str(error))


def _kept(file: Path | None) -> Flow | None:
    from mirrorworld.simulation.flow import sheet
    from mirrorworld.world.model import Sheet

    if file is None:
        return None
    try:
        return sheet.read(Sheet(sheet.KIND, str(file), file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        fail(str(error))


def _drawn(world: Kernel, fitted: Flow | None, change: str = "") -> Drawn:
    """The line, with a fit below the world's own sheets and a change over everything."""
    from mirrorworld.simulation.flow.from_world import from_world
    from mirrorworld.simulation.flow.sheet import of_assignments

    try:
        over = of_assignments(change, world.structure) if change else None
        return from_world(world, over, fitted)
    except ValueError as error:
        fail(str(error))


def _runs(drawn: Drawn, hours: float, replications: int, seed: int) -> list[Result]:
    from mirrorworld.simulation.flow.evaluator import replicate

    try:
        return [
            replicate(drawn.model, seed, i, hours * 3600, WARM_UP_H * 3600)
            for i in range(replications)
        ]
    except (ValueError, RuntimeError) as error:
        fail(str(error))


def _doubt(drawn: Drawn) -> None:
    """Says what speaks against the fit that figures stand on."""
    for one in drawn.doubts:
        _say(f"Careful, {one}")


def _tell_fit(found: LineFit, *, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "twin": one.twin,
                "what": one.what,
                "family": one.fit.name,
                "mean_s": one.fit.mean_s,
                "low_s": one.fit.interval_s[0],
                "high_s": one.fit.interval_s[1],
                "seen": one.fit.samples.events,
                "ks_p": one.fit.ks_p,
                "ad_p": one.fit.ad_p,
                "candidates": [{"name": c.name, "bic": c.bic} for c in one.fit.candidates],
                "notes": list(one.fit.notes),
            }
            for one in found.fits
        ]
        sheet = json.loads(found.sheet.body)
        print(json.dumps({"fits": rows, "sheet": sheet, "notes": found.notes}))
        return
    columns = ("machine", "working", "runs", "waits", "down", "cycle s", "scrap", "W at work")
    table, front = _table(found.machines, *columns)
    from mirrorworld.simulation.fitting.machine import Does

    for twin, one in found.machines.items():
        watts = one.watts.get(Does.RUNS)
        shares = [f"{one.share(d):.1%}" for d in (Does.RUNS, Does.WAITS, Does.DOWN)]
        cycle = f"{one.cycle_s:.4g}" if one.cycle_s else ""
        scrap = f"{one.scrap:.2%}" if one.scrap is not None else ""
        power = f"{watts:.0f}" if watts is not None else ""
        _row(table, twin[front:], f"{one.busy:.1%}", *shares, cycle, scrap, power)
    out.print(table)
    columns = ("twin", "what", "family", "mean s", "95 % interval", "seen", "p", "notes")
    table, front = _table((one.twin for one in found.fits), *columns)
    for one in found.fits:
        fit_, p = one.fit, one.fit.ks_p if one.fit.ad_p != one.fit.ad_p else one.fit.ad_p
        low, high = fit_.interval_s
        _row(
            table, one.twin[front:], one.what, fit_.name, _number(fit_.mean_s),
            f"{_number(low)} – {_number(high)}", str(fit_.samples.events),
            f"{p:.2f}" if p == p else "", "; ".join(fit_.notes),
        )  # fmt: skip
    out.print(table)
    for twin, note in found.notes:
        _say(f"{twin}: {note}")
    if found.flow.checked is not None:
        for one in found.flow.checked.drifted:
            _say(f"drift: {one}")
        _say(f"Fitted to the first 60 % and compared with the rest: {found.flow.checked.verdict}")


def _draw(found: LineFit, folder: Path) -> None:
    from mirrorworld.simulation.plots.fits import picture

    folder.mkdir(parents=True, exist_ok=True)
    for one in found.fits:
        if one.fit.distribution is None or not len(one.fit.samples.complete):
            continue
        name = f"{one.twin.rpartition('/')[2]}-{one.what}".replace(" ", "-").replace(",", "")
        file = folder / f"{name}.svg"
        file.write_text(picture(one.fit, f"{one.twin}: {one.what}"), encoding="utf-8")
        _say(str(file))


def _draw_passages(drawn: Drawn, runs: list[Result], file: Path) -> None:
    from mirrorworld.simulation.flow.evaluator import passages
    from mirrorworld.simulation.plots.sankey import Stream, sankey

    streams = [
        Stream(one.source, one.target, float(one.per_h.mean()), one.kind)
        for one in passages(drawn.model, runs)
    ]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            sankey(streams, title=f"What goes where: {drawn.model.name}", unit="parts/h"),
            encoding="utf-8",
        )
    except (OSError, ValueError) as error:
        fail(str(error))
    # With --json nothing but JSON is printed.
    typer.echo(str(file), err=True)


def _write(name: str, directory: Path | None, found: LineFit) -> None:
    """Keeps the fit in the world, by its server if it is running."""
    from mirrorworld.at_rest import open_world
    from mirrorworld.client import connect
    from mirrorworld.client.errors import ClientError
    from mirrorworld.installed import UsageError
    from mirrorworld.protocol.places import address_of
    from mirrorworld.server import token_of
    from mirrorworld.world.changes import PutSheet

    place = directory or directory_of(name)
    address = address_of(place)
    try:
        opened = (
            connect(address, token=token_of(place)) if address else open_world(place, writable=True)
        )
        with opened as world:
            world.edit(PutSheet(found.sheet), reason="fitted to the record")
    except (ClientError, UsageError) as error:
        fail(str(error))
    _say("kept in the world as sheet flow 'fitted'")


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _table(twins: Iterable[str], *columns: str) -> tuple[Table, int]:
    """A table, and how much of the front of all twins' names its title says for all: what tells
    them apart then has room on a narrow screen."""
    named = [twin for twin in twins if twin]
    shared = os.path.commonprefix(named) if len(set(named)) > 1 else ""  # noqa: RUF071
    below = shared[: shared.rfind("/") + 1]
    return Table(*columns, title=f"twins below {below}" if below else None), len(below)


def _row(table: Table, *cells: str) -> None:
    table.add_row(*map(escape, cells))


def _say(text: str) -> None:
    out.print(escape(text), highlight=False, soft_wrap=True)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


__all__: Sequence[str] = ["flow"]
