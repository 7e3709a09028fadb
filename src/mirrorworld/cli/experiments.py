"""`mirrorworld experiment`: sweeps, screening, sensitivity, searches and schedules."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mirrorworld.cli.commands import app, err, fail, out
from mirrorworld.cli.experiment_tables import (
    analyse,
    cell,
    print_json,
    standing,
    table_of,
    tell,
)
from mirrorworld.cli.experiment_words import (
    limits_of,
    options_of,
    read_plain,
    space_of,
)
from mirrorworld.simulation.experiments.objective import Objective
from mirrorworld.simulation.experiments.results import Results, read
from mirrorworld.simulation.experiments.runner import TIMEOUT_S, Running, resume, run
from mirrorworld.simulation.experiments.store import read_manifest

experiment = typer.Typer(
    no_args_is_help=True, help="Try many designs: sweeps, screening, search, schedules."
)
app.add_typer(experiment, name="experiment")


class Where(enum.StrEnum):
    """Who evaluates."""

    PROCESSES = "processes"
    HERE = "here"
    RAY = "ray"


class Sample(enum.StrEnum):
    """How designs of a sweep are chosen."""

    GRID = "grid"
    LATIN_HYPERCUBE = "latin-hypercube"
    SOBOL = "sobol"
    RANDOM = "random"
    ONE_AT_A_TIME = "one-at-a-time"


class Screen(enum.StrEnum):
    """How designs of a screening are chosen."""

    PLACKETT_BURMAN = "plackett-burman"
    FRACTIONAL = "fractional"
    MORRIS = "morris"


class Method(enum.StrEnum):
    """How to search."""

    GRADIENT = "gradient"
    NSGA2 = "nsga2"
    TPE = "tpe"


class Aim(enum.StrEnum):
    """What is to be least in a schedule."""

    MAKESPAN = "makespan"
    TARDINESS = "tardiness"
    FLOW = "flow"


Call = Annotated[str, typer.Argument(help="module:function that evaluates a design.")]
Factors = Annotated[
    list[str] | None,
    typer.Option("--factor", "-f", help="buffer=1..8, 'speed=0.5..2/4 m/s', rule=fifo,edd."),
]
SpaceFile = Annotated[Path | None, typer.Option("--space", help="Factors as YAML or JSON.")]
Constraints = Annotated[
    list[str] | None, typer.Option("--constraint", help="What every design meets: 'a + b <= 12'.")
]
Options = Annotated[
    list[str] | None, typer.Option("--option", "-o", help="KEY=VALUE for the objective.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of all chance.")]
Replications = Annotated[int, typer.Option(min=1, help="Of every design.")]
Out = Annotated[Path | None, typer.Option("--out", help="Keep rows here; resume goes on with it.")]
WhereOption = Annotated[Where, typer.Option("--where", help="Who evaluates.")]
Workers = Annotated[int, typer.Option(min=0, help="How many; 0: as many as processors.")]
TimeOut = Annotated[float, typer.Option("--timeout", min=0.01, help="Seconds for one design.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Rows = Annotated[int, typer.Option(min=0, help="Print at most so many rows.")]
Svg = Annotated[Path | None, typer.Option("--svg", help="Draw into this file.")]
Figure = Annotated[str, typer.Option("--figure", help="Which figure it is about.")]


@experiment.command()
def sweep(
    objective: Call,
    factor: Factors = None,
    space: SpaceFile = None,
    constraint: Constraints = None,
    option: Options = None,
    sample: Annotated[Sample, typer.Option(help="How designs are chosen.")] = Sample.GRID,
    designs: Annotated[int, typer.Option("--designs", "-n", help="How many, of a sample.")] = 1000,
    seed: Seed = 0,
    replications: Replications = 1,
    own_seeds: Annotated[
        bool, typer.Option(help="A seed for each design, not one for all.")
    ] = False,
    where: WhereOption = Where.PROCESSES,
    workers: Workers = 0,
    timeout_s: TimeOut = TIMEOUT_S,
    folder: Out = None,
    rows: Rows = 20,
    sort: Annotated[str, typer.Option(help="By this figure; -FIGURE: greatest first.")] = "",
    as_json: Json = False,
) -> None:
    """Evaluate many designs: every combination, or a sample."""
    from mirrorworld.simulation.experiments import generators

    with named(folder), progress(where, workers, timeout_s) as running:
        what = space_of(space, factor or (), constraint or ())
        chosen = {
            Sample.GRID: lambda: generators.full_factorial(what),
            Sample.LATIN_HYPERCUBE: lambda: generators.latin_hypercube(what, designs, seed=seed),
            Sample.SOBOL: lambda: generators.sobol(what, designs, seed=seed),
            Sample.RANDOM: lambda: generators.at_random(what, designs, seed=seed),
            Sample.ONE_AT_A_TIME: lambda: generators.one_at_a_time(what),
        }[sample]()
        made = run(
            _objective(objective, option), chosen, folder=folder, seed=seed,
            replications=replications, has_common_numbers=not own_seeds, purpose=sample.value,
            running=running,
        )  # fmt: skip
    tell(made, folder, rows, sort, as_json)


@experiment.command()
def screen(
    objective: Call,
    figure: Figure,
    factor: Factors = None,
    space: SpaceFile = None,
    constraint: Constraints = None,
    option: Options = None,
    by: Annotated[Screen, typer.Option(help="Which designs.")] = Screen.PLACKETT_BURMAN,
    resolution: Annotated[int, typer.Option(min=3, max=5, help="Of a fraction.")] = 4,
    walks: Annotated[int, typer.Option(min=2, help="Of Morris.")] = 20,
    seed: Seed = 0,
    replications: Replications = 1,
    where: WhereOption = Where.PROCESSES,
    workers: Workers = 0,
    timeout_s: TimeOut = TIMEOUT_S,
    folder: Out = None,
    svg: Svg = None,
    as_json: Json = False,
) -> None:
    """Find out by few designs which factors matter."""
    from mirrorworld.simulation.experiments import sensitivity as indices
    from mirrorworld.simulation.experiments import two_levels

    with named(folder), progress(where, workers, timeout_s) as running:
        what = space_of(space, factor or (), constraint or ())
        chosen = {
            Screen.PLACKETT_BURMAN: lambda: two_levels.plackett_burman(what),
            Screen.FRACTIONAL: lambda: two_levels.fractional_factorial(what, resolution=resolution),
            Screen.MORRIS: lambda: indices.morris(what, walks, seed=seed),
        }[by]()
        made = run(
            _objective(objective, option), chosen, folder=folder, seed=seed,
            replications=replications, purpose=by.value, running=running,
        )  # fmt: skip
        analyse(made, folder, figure, svg, as_json)


@experiment.command()
def sensitivity(
    objective: Call,
    figure: Figure,
    factor: Factors = None,
    space: SpaceFile = None,
    option: Options = None,
    base: Annotated[int, typer.Option(min=2, help="Base designs; a power of 2 is best.")] = 256,
    seed: Seed = 0,
    replications: Replications = 1,
    where: WhereOption = Where.PROCESSES,
    workers: Workers = 0,
    timeout_s: TimeOut = TIMEOUT_S,
    folder: Out = None,
    svg: Svg = None,
    as_json: Json = False,
) -> None:
    """Split a figure's variance among factors: Sobol's indices with intervals."""
    from mirrorworld.simulation.experiments.sensitivity import saltelli

    with named(folder), progress(where, workers, timeout_s) as running:
        what = space_of(space, factor or (), ())
        made = run(
            _objective(objective, option), saltelli(what, base, seed=seed), folder=folder,
            seed=seed, replications=replications, purpose="sobol", running=running,
        )  # fmt: skip
        analyse(made, folder, figure, svg, as_json)


@experiment.command()
def optimise(
    objective: Call,
    maximise: Annotated[list[str] | None, typer.Option(help="A figure to be great.")] = None,
    minimise: Annotated[list[str] | None, typer.Option(help="A figure to be small.")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="'cost <= 100', for nsga2, tpe.")] = None,
    factor: Factors = None,
    space: SpaceFile = None,
    constraint: Constraints = None,
    option: Options = None,
    by: Annotated[Method, typer.Option(help="How to search.")] = Method.NSGA2,
    evaluations: Annotated[int, typer.Option(min=1, help="At most so many designs.")] = 400,
    starts: Annotated[int, typer.Option(min=1, help="Of the gradient.")] = 8,
    seed: Seed = 0,
    replications: Replications = 1,
    where: WhereOption = Where.PROCESSES,
    workers: Workers = 0,
    timeout_s: TimeOut = TIMEOUT_S,
    folder: Out = None,
    rows: Rows = 20,
    svg: Svg = None,
    as_json: Json = False,
) -> None:
    """Search for the best designs; with the same --out again it goes on where it was stopped."""
    with named(folder), progress(where, workers, timeout_s) as running:
        what = space_of(space, factor or (), constraint or ())
        aims: dict[str, Any] = dict.fromkeys(maximise or (), "max")
        aims |= dict.fromkeys(minimise or (), "min")
        if not aims:
            fail("say what is wanted: --maximise FIGURE or --minimise FIGURE")
        settings = {
            "evaluations": evaluations, "replications": replications, "seed": seed,
            "folder": folder, "running": running,
        }  # fmt: skip
        called = _objective(objective, option)
        if by is Method.GRADIENT:
            if len(aims) > 1 or limit:
                fail("a gradient leads to one figure without limits; use --by nsga2")
            (figure, way), *_ = aims.items()
            _climb(called, what, figure, way == "max", {"starts": starts, **settings}, svg, as_json)
        else:
            settings |= {"limits": limits_of(limit or ()), "method": by.value}
            _evolve(called, what, aims, settings, rows, svg, as_json)


@experiment.command()
def schedule(
    file: Annotated[Path, typer.Argument(help="A shop as YAML or JSON, or published instances.")],
    instance: Annotated[str, typer.Option(help="Which of the published instances.")] = "",
    aim: Annotated[Aim, typer.Option(help="What is to be least.")] = Aim.MAKESPAN,
    time_s: Annotated[float, typer.Option("--time", min=0.1, help="Seconds it may take.")] = 30.0,
    workers: Annotated[int, typer.Option(min=1, help="Threads of the solver.")] = 1,
    not_after: Annotated[int | None, typer.Option(help="All is over by then.")] = None,
    seed: Seed = 0,
    svg: Svg = None,
    as_json: Json = False,
) -> None:
    """Schedule a shop, with proof or bound; exit status 2 where no schedule is possible."""
    from mirrorworld.simulation.experiments.schedule import solve
    from mirrorworld.simulation.experiments.shop import closings, from_plain, instances
    from mirrorworld.simulation.plots.gantt import gantt

    with named(None):
        if instance:
            known = instances(file)
            if instance not in known:
                fail(f"{file}: there is no '{instance}'; there are {', '.join(known)}")
            shop = known[instance][0]
        else:
            shop = from_plain(read_plain(file))
        made = solve(
            shop, aim=aim.value, time_limit_s=time_s, workers=workers, seed=seed,
            not_after=not_after,
        )  # fmt: skip
    unit = made.unit if made.unit != "1" else ""
    if svg is not None and made.slots:
        closed = {
            machine.name: closings(machine, max(made.columns()["end"]))
            for machine in shop.machines
            if machine.open
        }
        title = f"Schedule, {made.status}: {made.aim} {made.value:g}"
        svg.write_text(
            gantt(made.columns(), unit=unit, title=title, closed=closed), encoding="utf-8"
        )
    if as_json:
        print_json({
            "status": made.status, "aim": made.aim, "value": made.value, "bound": made.bound,
            "gap": made.gap, "wall_s": made.wall_s, "time_limit_s": made.time_limit_s,
            "why": made.why, "unit": made.unit, "rows": made.columns(),
            "late": [{"job": x.job, "due": x.due, "end": x.end} for x in made.late],
        })  # fmt: skip
    else:
        if made.slots:
            shown = Table("machine", "job", "operation", "start", "end")
            for slot in made.slots:
                shown.add_row(escape(slot.machine), escape(slot.job),
                              str(slot.operation + 1), str(slot.start), str(slot.end))  # fmt: skip
            out.print(shown)
            out.print(
                f"{made.status}: {made.aim} {f'{made.value:g} {unit}'.rstrip()},"
                f" bound {made.bound:g}, gap {made.gap:.1%}, in {made.wall_s:.2f} s",
                highlight=False,
            )
        else:
            out.print(f"{made.status}: {escape(made.why) or 'the time was over'}", soft_wrap=True)
        for late in made.late:
            out.print(f"late: {escape(late.job)}, due {late.due}, ends {late.end}")
    if not made.slots:
        raise typer.Exit(2)


@experiment.command(name="resume")
def resume_(
    folder: Annotated[Path, typer.Argument(help="The --out of the experiment.")],
    where: WhereOption = Where.PROCESSES,
    workers: Workers = 0,
    timeout_s: TimeOut = TIMEOUT_S,
    rows: Rows = 20,
    svg: Svg = None,
    as_json: Json = False,
) -> None:
    """Go on with an experiment that was stopped, however it was."""
    with named(folder), progress(where, workers, timeout_s) as running:
        manifest = read_manifest(folder)
        kind = manifest.get("kind")
        if kind == "designs":
            tell(resume(folder, running=running), folder, rows, "", as_json)
            return
        if kind not in ("climb", "evolve"):
            fail(f"{folder} is of the kind '{kind}'; start it again as it was, from Python")
        from mirrorworld.simulation.experiments.space import Space

        called = Objective(manifest["objective"], manifest["options"])
        what = Space.from_plain(manifest["space"])
        settings = {
            name: manifest[name] for name in ("evaluations", "replications", "seed")
        } | {"folder": folder, "running": running}  # fmt: skip
        if kind == "climb":
            settings["starts"] = manifest["starts"]
            is_higher = manifest["is_higher_better"]
            _climb(called, what, manifest["figure"], is_higher, settings, svg, as_json)
        else:
            settings |= {name: manifest[name] for name in ("method", "batch")}
            settings["limits"] = {k: tuple(v) for k, v in manifest["limits"].items()}
            _evolve(called, what, manifest["aims"], settings, rows, svg, as_json)


@experiment.command()
def show(
    folder: Annotated[Path, typer.Argument(help="The --out of an experiment, or its Parquet.")],
    figure: Annotated[str, typer.Option(help="Analyse this one.")] = "",
    rows: Rows = 20,
    sort: Annotated[str, typer.Option(help="By this figure; -FIGURE: greatest first.")] = "",
    svg: Svg = None,
    as_json: Json = False,
) -> None:
    """Show what an experiment came to by now: rows, or what its designs were made to tell."""
    with named(folder):
        made = read(folder)
        if figure:
            analyse(made, folder, figure, svg, as_json)
        else:
            tell(made, folder, rows, sort, as_json)


# --- searches ---


def _climb(
    called: Objective, space: Any, figure: str, is_higher_better: bool, settings: dict[str, Any],
    svg: Path | None, as_json: bool,
) -> None:  # fmt: skip
    from mirrorworld.simulation.experiments.climb import climb
    from mirrorworld.simulation.plots.convergence import convergence

    found = climb(called, space, figure, is_higher_better=is_higher_better, **settings)
    if svg is not None:
        drawn = convergence([(figure, found.trace)], x_label="designs evaluated", y_label=figure)
        svg.write_text(drawn, encoding="utf-8")
    if as_json:
        print_json({
            "design": found.design, "value": found.value, "complete": found.is_complete,
            "evaluated": len(found.results.table), "trace": found.trace,
            "starts": [{"design": d, "value": v, "ended": e} for d, v, e in found.starts],
            "counts": found.results.counts(),
        })  # fmt: skip
        return
    shown = Table(*space.names, figure, "climbed to its end")
    for one, value, is_over in sorted(found.starts, key=lambda s: (s[1] < s[1], -s[1])):
        shown.add_row(*(cell(one[name]) for name in space.names), cell(value), str(is_over))
    out.print(shown)
    standing(found.results)


def _evolve(
    called: Objective, space: Any, aims: dict[str, Any], settings: dict[str, Any], rows: int,
    svg: Path | None, as_json: bool,
) -> None:  # fmt: skip
    from mirrorworld.simulation.experiments.evolve import evolve
    from mirrorworld.simulation.experiments.space import in_words
    from mirrorworld.simulation.plots.convergence import convergence
    from mirrorworld.simulation.plots.pareto import pareto

    found = evolve(called, space, aims, **settings)
    chosen = found.results.table.take(found.rows)
    if svg is not None and found.results.figures:
        if len(aims) == 2:
            x, y = aims
            columns = {name: found.results.column(name) for name in (*space.names, x, y)}
            says = [
                in_words({name: columns[name][i].item() for name in space.names})
                for i in range(len(found.results.table))
            ]
            drawn = pareto(columns[x].tolist(), columns[y].tolist(), found.rows.tolist(),
                           x_label=x, y_label=y, says=says)  # fmt: skip
        else:
            drawn = convergence(
                [("hypervolume", found.trace)], x_label="designs evaluated", y_label="hypervolume"
            )
        svg.write_text(drawn, encoding="utf-8")
    if as_json:
        names = ["design", *space.names, *aims]
        front = chosen.select(names).to_pylist() if len(found.rows) else []
        print_json({
            "front": front, "hypervolume": found.hypervolume,
            "reference": found.reference.tolist(), "complete": found.is_complete,
            "evaluated": len(found.results.table), "counts": found.results.counts(),
        })  # fmt: skip
        return
    front = Results(chosen, found.results.manifest, found.is_complete)
    if len(found.rows):
        (first, way), *_ = aims.items()
        table_of(front, rows, f"-{first}" if way == "max" else first)
    out.print(
        f"{len(found.rows)} designs in the front; hypervolume {found.hypervolume:.6g}",
        highlight=False,
    )
    standing(found.results)


# --- running ---


def _objective(name: str, option: list[str] | None) -> Objective:
    return Objective(name, options_of(option or ()))


@contextlib.contextmanager
def named(folder: Path | None) -> Iterator[None]:
    """What cannot be done is said in a line; Ctrl-C keeps what is done."""
    sys.path.insert(0, str(Path.cwd()))  # where people have their objectives
    try:
        yield
    except (ValueError, RuntimeError, OSError) as error:
        fail(str(error))
    except KeyError as error:
        fail(str(error.args[0]))
    except KeyboardInterrupt:
        kept = f"; go on with: mirrorworld experiment resume {folder}" if folder else ""
        err.print(f"stopped{kept}", highlight=False, soft_wrap=True)
        raise typer.Exit(130) from None


@contextlib.contextmanager
def progress(where: Where, workers: int, timeout_s: float) -> Iterator[Running]:
    """How to run, with a bar on the terminal."""
    bar = Progress(
        TextColumn("evaluating"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[bad]}"), TimeRemainingColumn(),
        console=err, transient=True, disable=not err.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=None, bad="")

        def heard(done: int, bad: int, count: int) -> None:
            said = f"{bad} not ok" if bad else ""
            bar.update(task, completed=done, total=count or None, bad=said)

        yield Running(where.value, workers, timeout_s=timeout_s, progress=heard)
