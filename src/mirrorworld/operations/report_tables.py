"""The tables of a shift report, as texts: what the page of HTML and the PDF both show."""

from __future__ import annotations

from dataclasses import dataclass

from mirrorworld.operations.report_words import SEVERITIES, length, number, percent, say
from mirrorworld.operations.shift_report import ShiftReport, Stop

STOPS_SHOWN = 25
PARETO_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Table:
    """One table: title, heads, rows; columns from `numbers_from` on are figures."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers_from: int
    note: str = ""
    shares: tuple[float, ...] = ()
    """How wide the columns of texts are on paper, against each other; else all the same."""
    has_bars: bool = False
    """Whether the bars of the time lost stand below it."""


def title(report: ShiftReport) -> str:
    """`Shift report bottling_line, early`."""
    return f"{say(report.language, 'Shift report')} {report.world}, {report.shift.name}"


def subtitle(report: ShiftReport) -> str:
    """When the shift was, by its own clock, and when the report was made."""
    start, end = report.shift.span
    when = f"{report.clock(start, '%Y-%m-%d %H:%M')} – {report.clock(end, '%Y-%m-%d %H:%M %Z')}"
    made = say(report.language, "made")
    return f"{when} · {made} {report.clock(report.made_ns, '%Y-%m-%d %H:%M %Z')}"


def tables(report: ShiftReport) -> list[Table]:
    """All tables, in order."""
    lang = report.language

    def w(english: str) -> str:
        return say(lang, english)

    units, times = [], []
    for unit in report.units:
        f = unit.figures
        shares = (f.oee, f.availability, f.effectiveness, f.quality_ratio)
        counts = (number(lang, f.gq), number(lang, f.pq - f.gq))
        units.append((unit.name, *(percent(lang, s) for s in shares), *counts))
        spent = (f.pbt_s, f.apt_s, f.adet_s, f.adot_s, f.aust_s, f.pdot_s, f.unknown_s)
        times.append((unit.name, *map(length, spent)))
    guessed = any(unit.is_rate_guessed for unit in report.units)
    note = "Rates are guessed from the points' ranges; a sheet of kind oee sets them."
    conditions = {
        "down": w("down"), "delayed": w("waiting"), "setup": w("set-up"),
        "planned": w("planned stop"), "unknown": w("unknown"),
    }  # fmt: skip
    unexplained = [stop for unit in report.units for stop in unit.unexplained]
    asked = ""
    if unexplained:
        spent = length(sum(stop.seconds for stop in unexplained))
        asked = f"{w('Stops without a reason:')} {len(unexplained)} ({spent})"
    stops = [
        (
            s.name,
            report.clock(s.start_ns),
            s.state or conditions[s.condition],
            _why(s) or w("no reason given"),
            length(s.seconds),
        )
        for s in report.stops[:STOPS_SHOWN]
    ]
    pareto = [
        (reason or w("no reason given"), length(seconds), str(often))
        for reason, seconds, often in report.pareto[:PARETO_SHOWN]
    ]
    alarms = [
        (a.name, a.message, w(SEVERITIES[min(a.severity, 3)]), str(a.raised), length(a.seconds))
        for a in report.alarms
    ]
    commands = [
        (report.clock(c.at_ns), c.what, c.by, w(c.state), c.reason) for c in report.commands
    ]
    unit_heads = "Work unit", "OEE", "Availability", "Effectiveness", "Quality", "Good", "Rejected"
    time_heads = (
        "Work unit", "Planned busy (PBT)", "Production (APT)", "Delay (ADET)", "Down (ADOT)",
        "Set-up (AUST)", "Planned down (PDOT)", "Unknown",
    )  # fmt: skip
    sum_of_times = (
        "PBT = APT + ADET + ADOT + AUST + unknown; planned down time (PDOT) is no part of it."
    )
    return [
        Table(
            w("Effectiveness (ISO 22400-2)"),
            tuple(w(head) for head in unit_heads),
            tuple(units),
            1,
            w(note) if guessed else "",
        ),
        Table(
            w("Where the time went"),
            tuple(w(head) for head in time_heads),
            tuple(times),
            1,
            w(sum_of_times),
        ),
        Table(
            w("Time lost by reason"),
            (w("Reason"), w("Length"), w("Often")),
            tuple(pareto),
            1,
            asked,
            has_bars=bool(pareto),
        ),
        Table(
            w("Longest stops"),
            (w("Work unit"), w("Began"), w("State"), w("Reason"), w("Length")),
            tuple(stops),
            4,
            shares=(3, 1.6, 2, 6),
        ),
        Table(
            w("Alarms"),
            (w("Work unit"), w("Alarm"), w("Severity"), w("Raised"), w("Active")),
            tuple(alarms),
            3,
        ),
        Table(
            w("Commands"),
            (w("Time"), w("Asked"), w("By"), w("State"), w("Reason")),
            tuple(commands),
            5,
            shares=(1.2, 5, 1.5, 1.5, 3),
        ),
    ]


def _why(stop: Stop) -> str:
    """Reason, and in whose words."""
    if stop.said is None:
        return stop.why
    comment = f": {stop.said.comment}" if stop.said.comment else ""
    return f"{stop.reason}{comment} ({stop.said.by})"
