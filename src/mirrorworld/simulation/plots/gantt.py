"""Gantt charts: who is busy with what, from when to when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mirrorworld.simulation.plots.axes import Scale, Sheet, colour, number, shortened

_ROW: Final = 30
_LEGEND_MAX: Final = 16
_LETTER: Final = 7.0


def gantt(
    rows: Mapping[str, Sequence[Any]],
    *,
    title: str = "Schedule",
    unit: str = "",
    closed: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> str:
    """A Gantt chart as SVG: a line for each machine, a colour for each job.

    Args:
        rows: columns job, operation, machine, start, end, as a schedule gives them.
        closed: machine -> when it does not work.

    Raises:
        ValueError: there are no rows.
    """
    if not rows["job"]:
        raise ValueError("there is nothing to draw: the schedule has no rows")
    names: list[str] = [*sorted(set(rows["machine"]), key=_natural), *(closed or {})]
    machines = list(dict.fromkeys(names))
    jobs = list(dict.fromkeys(sorted(set(rows["job"]), key=_natural)))
    last = max(rows["end"])
    left = 24 + _LETTER * min(18, max(len(shortened(m, 18)) for m in machines))
    named = min(len(jobs), _LEGEND_MAX)
    top = 62 + 18 * (named * (26 + 7.2 * max(map(len, jobs[:named]))) // 844)
    bottom = top + _ROW * len(machines)
    sheet = Sheet(
        860, bottom + 48, title,
        f"A Gantt chart of {len(rows['job'])} operations of {len(jobs)} jobs on"
        f" {len(machines)} machines; the last one ends at {number(last)} {unit}.",
    )  # fmt: skip
    x = Scale(0, last, left, 840)
    sheet.below(x, top, bottom, f"time in {unit}" if unit else "time")
    for i, machine in enumerate(machines):
        y = top + i * _ROW
        sheet.text(left - 8, y + 19, shortened(machine, 18), "end")
        for start, end in (closed or {}).get(machine, ()):
            if start < last:
                from_px, to_px = x(max(start, 0)), x(min(end, last))
                sheet.rect(from_px, y + 2, to_px - from_px, _ROW - 4, "#8a8a8a",
                           f"{machine} is closed {number(start)} … {number(end)}",
                           opacity=0.25)  # fmt: skip
    for job, operation, machine, start, end in zip(
        *(rows[name] for name in ("job", "operation", "machine", "start", "end")), strict=True
    ):
        y = top + machines.index(machine) * _ROW
        fill = colour(jobs.index(job))
        width = x(end) - x(start)
        says = f"{job}, operation {operation + 1}, on {machine}: {number(start)} … {number(end)}"
        sheet.rect(x(start), y + 4, width, _ROW - 8, fill, f"{says} {unit}".rstrip())
        if width > _LETTER * len(job) + 6:
            sheet.text(x(start) + width / 2, y + 19, job, "middle", fill=_on(fill))
    entries = [(colour(i), job) for i, job in enumerate(jobs[:_LEGEND_MAX])]
    if len(jobs) > _LEGEND_MAX:
        entries.append(("none", f"and {len(jobs) - _LEGEND_MAX} more"))
    sheet.legend(16, 48, entries)
    return sheet.svg()


def _natural(name: str) -> tuple[str, int]:
    digits = name[len(name.rstrip("0123456789")) :]
    return name.rstrip("0123456789"), int(digits or 0)


def _on(fill: str) -> str:
    """Black or white, whichever is read better on a colour (WCAG's relative luminance)."""
    parts = [int(fill[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000" if luminance > 0.179 else "#fff"
