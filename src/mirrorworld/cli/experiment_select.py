"""`mirrorworld experiment select`: which of the best designs that were found is the best."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.table import Table

from mirrorworld.cli.commands import fail, out
from mirrorworld.cli.experiment_tables import cell, print_json
from mirrorworld.cli.experiments import (
    Figure,
    Json,
    Seed,
    TimeOut,
    Where,
    WhereOption,
    Workers,
    experiment,
    named,
    progress,
)
from mirrorworld.simulation.experiments import designs
from mirrorworld.simulation.experiments.evolve import beyond_limits
from mirrorworld.simulation.experiments.objective import Objective
from mirrorworld.simulation.experiments.results import read
from mirrorworld.simulation.experiments.runner import TIMEOUT_S


@experiment.command()
def select(
    folder: Annotated[Path, typer.Argument(help="The --out of a sweep or search.")],
    figure: Figure,
    least_difference: Annotated[float, typer.Option(help="What is no difference worth finding.")],
    minimise: Annotated[bool, typer.Option(help="The figure is to be small.")] = False,
    best: Annotated[int, typer.Option(min=2, help="So many designs compete.")] = 5,
    confidence: Annotated[float, typer.Option(help="Probability of correct selection.")] = 0.95,
    most: Annotated[int, typer.Option(min=10, help="Replications of one design.")] = 1_000,
    seed: Seed = 1,
    where: WhereOption = Where.PROCESSES,
    workers: Workers = 0,
    timeout_s: TimeOut = TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Replicate the best designs found until one is the best with a stated probability.

    Its rows are kept in FOLDER/selection; the same command goes on where it was stopped.
    """
    from mirrorworld.simulation.experiments.selection import eliminate

    with named(folder), progress(where, workers, timeout_s) as running:
        found = read(folder)
        values = found.column(figure) * (1 if minimise else -1)
        values[found.column("status") != "ok"] = np.nan
        limits = found.manifest.get("limits") or {}
        values[(beyond_limits(found, limits) > 0).any(axis=1)] = np.nan
        columns = {name: found.column(name) for name in found.space.names}
        rows: list[int] = []
        seen: set[tuple[object, ...]] = set()
        for row in np.argsort(values, kind="stable")[: int(np.isfinite(values).sum())].tolist():
            one = tuple(column[row].item() for column in columns.values())
            if one not in seen and len(rows) < best:
                seen.add(one)
                rows.append(row)
        if len(rows) < 2:
            fail(f"{folder}: {len(rows)} designs have a '{figure}'; there is nothing to select")
        competing = {name: column[rows] for name, column in columns.items()}
        called = Objective(found.manifest["objective"], found.manifest["options"])
        made = eliminate(
            called, designs.Table(found.space, competing), figure,
            least_difference=least_difference, is_higher_better=not minimise,
            confidence=confidence, replications_max=most, seed=seed,
            folder=folder / "selection", running=running,
        )  # fmt: skip
    if as_json:
        print_json({
            "design": made.design, "probability": made.probability,
            "guaranteed": made.is_guaranteed, "why": made.why, "complete": made.is_complete,
            "designs": [
                {**{name: column[i].item() for name, column in competing.items()},
                 "mean": made.means[i].item(), "replications": made.replications[i].item()}
                for i in range(len(rows))
            ],
        })  # fmt: skip
        return
    shown = Table(*competing, figure, "replications", "")
    for i in np.argsort(made.means * (1 if minimise else -1)).tolist():
        mark = "best" if i == made.number else ""
        shown.add_row(
            *(cell(column[i].item()) for column in competing.values()),
            cell(made.means[i].item()), str(made.replications[i]), mark,
        )  # fmt: skip
    out.print(shown)
    if made.is_guaranteed:
        out.print(
            f"correct with probability {made.probability:g} at least, if the best is better by"
            f" {least_difference:g}",
            highlight=False,
        )
    else:
        out.print(f"not selected with confidence: {escape(made.why)}", highlight=False)
