"""What a shift was: effectiveness, stops, alarms and commands, read from a world and its record.

The report is a value; `report_html.py` and `report_pdf.py` show the same one.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from mirrorworld.operations.downtime import (
    KIND as DOWNTIME,
)
from mirrorworld.operations.downtime import (
    Piece,
    Said,
    is_unexplained,
    pieces,
    statements,
    told_apart,
)
from mirrorworld.operations.effectiveness import (
    PLANNED,
    UNKNOWN,
    Effectiveness,
    Steps,
    Stretch,
    counted,
    effectiveness,
    stretches,
)
from mirrorworld.operations.reasons import Reasons, reasons_for
from mirrorworld.operations.shifts import ShiftPlan, ShiftRun, plan_around_the_clock, read_plan
from mirrorworld.operations.units_of_work import WorkUnit, work_units
from mirrorworld.protocol.series import EVER_NS
from mirrorworld.world.changes import Change, Command, Edits, Event
from mirrorworld.world.model import Kind, PointType
from mirrorworld.world.ports import Record
from mirrorworld.world.structure import Structure

STOPS_MAX: Final = 200
LOOK_BACK_NS: Final = 86_400_000_000_000
"""How long before a shift the sample lies, at most, that still holds when it begins."""
CAUSE_WITHIN_NS: Final = 2_000_000_000
"""States and causes come one by one: a cause belongs to a stop that began so shortly before."""
OPEN_DAYS_MAX: Final = 31
"""For how long a statement "until it runs again" is looked for beyond the shift's beginning."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stretch of time in which a unit did not run, and why."""

    twin: str
    name: str
    start_ns: int
    end_ns: int
    condition: str
    """As what it counts; see `effectiveness.CONDITIONS`."""
    state: str
    """What the machine was in, in its own word."""
    cause: str
    """What the machine said of it."""
    reason: str = ""
    """What a person said of it: `Breakdown › Mechanical`."""
    said: Said | None = None
    is_unexplained: bool = False
    """Somebody should say why."""

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def why(self) -> str:
        """What a person said, else what the machine said, else nothing."""
        return self.reason or self.cause


@dataclass(frozen=True, slots=True)
class UnitReport:
    """One work unit's shift."""

    twin: str
    name: str
    figures: Effectiveness
    is_rate_guessed: bool
    did: tuple[Stretch, ...] = ()
    """All its planned time, in order."""
    stops: tuple[Stop, ...] = ()
    """Where it did not run, in order."""

    @property
    def unexplained(self) -> list[Stop]:
        """Stops of which nobody has said why yet."""
        return [stop for stop in self.stops if stop.is_unexplained]


@dataclass(frozen=True, slots=True)
class AlarmCount:
    """One condition's shift: how often it was raised, how long it was active."""

    name: str
    message: str
    severity: int
    raised: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it was asked for."""

    at_ns: int
    what: str
    by: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class ShiftReport:
    """All that is told of a shift."""

    world: str
    shift: ShiftRun
    zone: ZoneInfo
    language: str
    made_ns: int
    units: tuple[UnitReport, ...]
    stops: tuple[Stop, ...]
    pareto: tuple[tuple[str, float, int], ...]
    """(reason, seconds, how often), the longest first."""
    alarms: tuple[AlarmCount, ...]
    commands: tuple[Asked, ...]

    def clock(self, at_ns: int, form: str = "%H:%M:%S") -> str:
        """A time as the clock on the wall showed it."""
        return datetime.datetime.fromtimestamp(at_ns / 1e9, self.zone).strftime(form)


def plan_of(structure: Structure, name: str = "") -> ShiftPlan:
    """The plan of that name, else the first, else three shifts around the clock in UTC."""
    plans = {key[1]: s.body for key, s in structure.sheets.items() if key[0] == "shift_plan"}
    if name and name not in plans:
        raise ValueError(f"no shift plan '{name}'; there are {', '.join(sorted(plans)) or 'none'}")
    if not plans:
        return plan_around_the_clock()
    chosen = name or min(plans)
    return read_plan(plans[chosen], f"shift_plan '{chosen}'")


def make_report(
    world: str,
    structure: Structure,
    record: Record,
    told: Iterable[Change],
    shift: ShiftRun,
    zone: ZoneInfo,
    *,
    language: str = "en",
    now_ns: int,
    sees: Callable[[str], bool] = lambda twin: True,
) -> ShiftReport:
    """Reads a shift. Of a shift that is not over, what there was of it so far.

    Args:
        told: the log's events and commands, in order.
        sees: of which twins it tells.
    """
    end = min(shift.span[1], max(now_ns, shift.span[0]))
    changes = [change for change in told if not isinstance(change.body, Edits)]
    events: list[Event] = []
    commands: dict[str, Command] = {}
    for change in changes:
        if isinstance(change.body, Event) and sees(change.body.twin):
            events.append(change.body)
        elif isinstance(change.body, Command) and sees(change.body.twin):
            commands[change.body.id] = change.body
    said = statements(changes)
    seen = [unit for unit in work_units(structure) if sees(unit.twin)]
    units = unit_reports(
        structure, record, said, shift, language=language, now_ns=now_ns, units=seen
    )
    stops = sorted((s for unit in units for s in unit.stops), key=lambda stop: stop.start_ns)
    return ShiftReport(
        world,
        shift,
        zone,
        language,
        now_ns,
        tuple(units),
        tuple(sorted(stops, key=lambda stop: -stop.seconds)[:STOPS_MAX]),
        pareto(stops),
        _alarms(events, shift.span[0], end, structure, language),
        tuple(
            Asked(c.requested_ns, _asked(c), c.by, c.state.name.lower(), c.reason)
            for c in commands.values()
            if shift.span[0] <= c.requested_ns < end
        ),
    )


def unit_reports(
    structure: Structure,
    record: Record,
    said: Iterable[Said],
    shift: ShiftRun,
    *,
    language: str = "en",
    now_ns: int,
    units: Sequence[WorkUnit],
) -> list[UnitReport]:
    """What each work unit did in a shift; of one that is not over, so far.

    Args:
        said: what people said of stops, in the order in which they said it.
    """
    end = min(shift.span[1], max(now_ns, shift.span[0]))
    planned = tuple((a, min(b, end)) for a, b in shift.planned if a < end)
    reader = _Reader(structure, record, (shift.span[0], end)) if units else None
    by_unit: dict[str, list[Said]] = defaultdict(list)
    for one in said:
        by_unit[one.twin].append(one)
    found: list[UnitReport] = []
    for unit in units:
        assert reader is not None
        name = structure.twins[unit.twin].name.best(language) or unit.twin
        reasons = reasons_for(structure, unit.twin)
        state = reader.steps(unit.state)
        did = stretches(state, planned, unit.running, unit.delayed)
        runs_again = reader.runs_again(unit, state)
        stood = pieces(did, by_unit[unit.twin], reasons, runs_again)
        apart = told_apart(did, stood)
        good = reader.counted(unit.good)
        made = good + reader.counted(unit.rejected)
        figures = effectiveness(apart, produced=made, good=good, rate_per_h=unit.rate_per_h)
        labels = _labels(structure.point(unit.state)[1])
        causes = reader.causes(unit.cause)
        stops = tuple(
            _stop(unit, name, piece, labels, causes, reasons, language) for piece in stood
        )
        found.append(UnitReport(unit.twin, name, figures, unit.is_guessed, tuple(apart), stops))
    return found


class _Reader:
    """Signals over one span, with what held when it began."""

    def __init__(self, structure: Structure, record: Record, span: tuple[int, int]) -> None:
        self._structure = structure
        self._record = record
        self._span = span
        self._before = record.as_of_time(span[0])

    def steps(self, handle: int) -> Steps:
        kind = self._structure.point(handle)[1].kind
        series = self._record.read(handle, *self._span)
        times, cells, quality = series.source_ns, series.cell, series.quality
        if handle < len(self._before[0]) and 0 < self._before[1][handle] < self._span[0]:
            times = np.append(self._before[1][handle], times)
            cells = np.append(self._before[0][handle], cells)
            quality = np.append(self._before[2][handle], quality).astype(np.uint32)
        value = cells.view(np.float64) if kind is Kind.FLOAT else cells.astype(np.float64)
        return Steps(times, value, quality)

    def counted(self, handle: int | None) -> float:
        return 0.0 if handle is None else counted(self.steps(handle), self._span)

    def runs_again(self, unit: WorkUnit, state: Steps) -> Callable[[int], int]:
        """When the unit first ran after a time; far in the future if it has not."""
        codes = np.array(sorted(unit.running), np.float64)

        def first(of: Steps, at_ns: int) -> int:
            runs = of.is_known & np.isin(of.value, codes) & (of.time_ns > at_ns)
            return int(of.time_ns[int(np.argmax(runs))]) if runs.any() else EVER_NS

        def after(at_ns: int) -> int:
            start = self._span[0]
            if at_ns >= start:
                return first(state, at_ns)
            if start - at_ns > OPEN_DAYS_MAX * 86_400_000_000_000:
                return at_ns
            kind = self._structure.point(unit.state)[1].kind
            series = self._record.read(unit.state, at_ns, start)
            cells = series.cell
            value = cells.view(np.float64) if kind is Kind.FLOAT else cells.astype(np.float64)
            earlier = first(Steps(series.source_ns, value, series.quality), at_ns)
            return min(earlier, first(state, at_ns))

        return after

    def causes(self, handle: int | None) -> Callable[[int], str]:
        """The text of a point that held a moment after a time."""
        if handle is None:
            return lambda at_ns: ""
        start, end = self._span
        series = self._record.read(handle, start - LOOK_BACK_NS, end + CAUSE_WITHIN_NS)

        def text(at_ns: int) -> str:
            row = int(np.searchsorted(series.source_ns, at_ns + CAUSE_WITHIN_NS, "left")) - 1
            if row < 0:
                return ""
            cell = int(series.cell[row])
            payload = series.heap[cell >> 32 : (cell >> 32) + (cell & 0xFFFF_FFFF)]
            return payload.decode(errors="replace")

        return text


def _labels(state: PointType) -> dict[int, str]:
    """The machine's words for its states; yes and no say nothing that the condition does not."""
    return {0: "", 1: ""} if state.kind is Kind.BOOL else dict(state.labels)


def _stop(
    unit: WorkUnit,
    name: str,
    piece: Piece,
    labels: dict[int, str],
    cause: Callable[[int], str],
    reasons: Reasons,
    language: str,
) -> Stop:
    is_known = piece.state == piece.state  # not NaN
    state = labels.get(int(piece.state), f"{piece.state:g}") if is_known else ""
    return Stop(
        unit.twin,
        name,
        piece.start_ns,
        piece.end_ns,
        piece.condition,
        state,
        cause(piece.start_ns) if is_known else "",
        reasons.words(piece.said.reason, language) if piece.said is not None else "",
        piece.said,
        is_unexplained(piece, reasons),
    )


def pareto(stops: Iterable[Stop]) -> tuple[tuple[str, float, int], ...]:
    """(reason, seconds, how often) of what was lost, the longest first. Planned down time is no
    loss, and of time that nobody knows of nothing is said."""
    spent: dict[str, list[float]] = defaultdict(list)
    for stop in stops:
        if stop.condition not in (UNKNOWN, PLANNED):
            spent[stop.why or stop.state].append(stop.seconds)
    rows = [(reason, sum(each), len(each)) for reason, each in spent.items()]
    return tuple(sorted(rows, key=lambda row: -row[1]))


def _alarms(
    events: Iterable[Event], start_ns: int, end_ns: int, structure: Structure, language: str
) -> tuple[AlarmCount, ...]:
    by_id: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event.kind != DOWNTIME:
            by_id[event.id].append(event)
    rows: list[AlarmCount] = []
    for reports in by_id.values():
        raised, active_ns, since = 0, 0, None
        for event in reports:
            if event.is_active and since is None:
                since = event.source_ns
                raised += start_ns <= since < end_ns
            elif not event.is_active and since is not None:
                active_ns += max(0, min(event.source_ns, end_ns) - max(since, start_ns))
                since = None
        if since is not None:
            active_ns += max(0, end_ns - max(since, start_ns))
        if raised or active_ns:
            last = reports[-1]
            twin = structure.twins.get(last.twin)
            name = twin.name.best(language) if twin else ""
            message = last.message.best(language)
            severity = max(int(e.severity) for e in reports)
            rows.append(AlarmCount(name or last.twin, message, severity, raised, active_ns / 1e9))
    return tuple(sorted(rows, key=lambda row: (-row.severity, -row.raised)))


def _asked(command: Command) -> str:
    if command.operation:
        return f"{command.twin}.{command.operation}()"
    return f"{command.twin}.{command.point} = {command.value}"
