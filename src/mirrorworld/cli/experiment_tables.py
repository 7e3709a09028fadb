"""What experiments came to, on the terminal or as JSON: rows, analyses, what did not come out."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from mirrorworld.cli.commands import err, fail, out
from mirrorworld.simulation.experiments.results import Results


def analyse(
    made: Results, folder: Path | None, figure: str, svg: Path | None, as_json: bool
) -> None:
    """What the designs were made to tell about a figure."""
    from mirrorworld.simulation.experiments import sensitivity as indices
    from mirrorworld.simulation.experiments.effects import main_effects
    from mirrorworld.simulation.plots import effects as effects_plot
    from mirrorworld.simulation.plots.tornado import tornado

    purpose = made.manifest.get("purpose")
    if not made.is_complete:
        err.print("not all designs are evaluated yet; this is of those that are")
    if purpose == "sobol":
        found = indices.sobol_indices(made, figure)
        heads = ("factor", "first", "low", "high", "total", "low", "high")
        lines = [
            (i.factor, i.first, i.first_low, i.first_high, i.total, i.total_low, i.total_high)
            for i in found.indices
        ]
        told: dict[str, Any] = {"mean": found.mean, "variance": found.variance,
                                "left_out": found.left_out}  # fmt: skip
        drawn = lambda: tornado([(x[0], x[1:4], x[4:7]) for x in lines], figure=figure)  # noqa: E731
    elif purpose == "morris":
        heads = ("factor", "mean modulus", "low", "high", "mean", "deviation")
        lines = [
            (e.factor, e.mean_modulus, e.low, e.high, e.mean, e.deviation)
            for e in indices.elementary_effects(made, figure)
        ]
        told = {}
        drawn = lambda: tornado(  # noqa: E731
            [(x[0], x[1:4], None) for x in lines], figure=figure,
            label="mean modulus of the elementary effects",
        )  # fmt: skip
    else:
        main = main_effects(made, figure)
        heads = ("factor", "effect", "low", "high")
        lines = [
            (f"{e.factor} = {e.level}" if e.level else e.factor, e.effect, e.low, e.high)
            for e in main.effects
        ]
        told = {"mean": main.mean, "explained": main.explained, "left_out": main.left_out}
        drawn = lambda: effects_plot.main_effects(lines, figure=figure)  # noqa: E731
    if svg is not None:
        svg.write_text(drawn(), encoding="utf-8")
    if as_json:
        keys = [head.replace(" ", "_") for head in heads]
        if purpose == "sobol":
            keys[2:4], keys[5:7] = ["first_low", "first_high"], ["total_low", "total_high"]
        entries = [dict(zip(keys, line, strict=True)) for line in lines]
        print_json({"figure": figure, **told, "factors": entries, "counts": made.counts(),
                "complete": made.is_complete, "folder": str(folder or "")})  # fmt: skip
        return
    shown = Table(*heads)
    for line in lines:
        shown.add_row(*map(cell, line))
    out.print(shown)
    out.print(", ".join(f"{k.replace('_', ' ')} {v:.6g}" for k, v in told.items()), highlight=False)
    standing(made)


def tell(made: Results, folder: Path | None, rows: int, sort: str, as_json: bool) -> None:
    """What an experiment of designs came to."""
    if as_json:
        shown = _sorted(made, sort).slice(0, rows)
        print_json({
            "folder": str(folder or ""), "complete": made.is_complete, "counts": made.counts(),
            "figures": list(made.figures), "rows": shown.to_pylist(),
            "bad": made.bad().slice(0, max(rows, 1)).to_pylist(),
        })  # fmt: skip
        return
    table_of(made, rows, sort)
    standing(made)
    if not made.is_complete and folder is not None:
        out.print(f"go on with: mirrorworld experiment resume {folder}", highlight=False)


def table_of(made: Results, rows: int, sort: str) -> None:
    """Rows as a table."""
    names = made.space.names
    figures = [name for name in made.figures if not name.startswith("d(")]
    shown = Table("design", *names, *figures, "status")
    table = _sorted(made, sort)
    for row in table.slice(0, rows).to_pylist():
        shown.add_row(*(cell(row.get(name)) for name in ("design", *names, *figures, "status")))
    out.print(shown)
    if len(table) > rows:
        out.print(f"{rows:,} of {len(table):,} rows", highlight=False)


def _sorted(made: Results, sort: str) -> Any:
    if not sort:
        return made.table
    name, order = (sort[1:], "descending") if sort.startswith("-") else (sort, "ascending")
    try:
        made.column(name)
    except KeyError as error:
        fail(str(error.args[0]))
    return made.table.sort_by([(name, order)])


def standing(made: Results) -> None:
    """How many designs ended how, and what the first bad ones say."""
    told = ", ".join(f"{n:,} {status}" for status, n in made.counts().items())
    out.print(f"{len(made.table):,} designs: {told or 'none'}", highlight=False)
    bad = made.bad()
    for row in bad.slice(0, 5).to_pylist():
        one = ", ".join(f"{name}={cell(row[name])}" for name in made.space.names)
        out.print(f"{row['status']}: {escape(one)}: {escape(row['detail'] or '')}", soft_wrap=True,
                  highlight=False)  # fmt: skip
    if len(bad) > 5:
        out.print(f"and {len(bad) - 5:,} more", highlight=False)


def cell(value: Any) -> str:
    """A value in a table."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else escape(str(value))


def print_json(told: Any) -> None:
    """Prints something as JSON, NaN as null."""
    print(json.dumps(_plain(told), ensure_ascii=False))


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
