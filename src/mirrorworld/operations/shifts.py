"""Plans of shifts: when which shift works, in a time zone, with its breaks.

A plan is a sheet of kind `shift_plan`. Its times are those of the clock on the wall: on the day
that the clocks change, a shift over that hour is an hour shorter or longer, as its people are.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

Span = tuple[int, int]
"""UTC nanoseconds, the end not included."""

_DAY: Final = datetime.timedelta(days=1)
_SHIFTS_MAX: Final = 48
_BREAKS_MAX: Final = 48


@dataclass(frozen=True, slots=True)
class Shift:
    """One shift as planned. An end that is not after the start is on the next day."""

    name: str
    start: datetime.time
    end: datetime.time
    breaks: tuple[tuple[datetime.time, datetime.time], ...] = ()
    days: frozenset[int] = frozenset(range(7))
    """On which days it begins; 0 is Monday."""


@dataclass(frozen=True, slots=True)
class ShiftRun:
    """A shift on a day."""

    name: str
    span: Span
    breaks: tuple[Span, ...] = ()

    @property
    def planned(self) -> tuple[Span, ...]:
        """The shift without its breaks, in order."""
        left: list[Span] = []
        at, end = self.span
        for start, stop in sorted(self.breaks):
            if start > at:
                left.append((at, min(start, end)))
            at = max(at, stop)
        if at < end:
            left.append((at, end))
        return tuple(left)


@dataclass(frozen=True, slots=True)
class ShiftPlan:
    """The shifts of a place."""

    zone: ZoneInfo
    shifts: tuple[Shift, ...]

    def runs(self, start_ns: int, end_ns: int) -> Iterator[ShiftRun]:
        """The shifts that end in a range (start < end of shift <= end), in order of their ends."""
        first = _local(start_ns, self.zone).date() - 2 * _DAY
        last = _local(end_ns, self.zone).date()
        found: list[ShiftRun] = []
        day = first
        while day <= last:
            found += [self._run(s, day) for s in self.shifts if day.weekday() in s.days]
            day += _DAY
        found = [run for run in found if start_ns < run.span[1] <= end_ns]
        yield from sorted(found, key=lambda run: (run.span[1], run.span[0]))

    def latest(self, now_ns: int) -> ShiftRun | None:
        """The shift that ended last; None if none did within eight days."""
        runs = list(self.runs(now_ns - 8 * 86_400_000_000_000, now_ns))
        return runs[-1] if runs else None

    def current(self, now_ns: int) -> ShiftRun | None:
        """The shift that works now."""
        for run in self.runs(now_ns, now_ns + 2 * 86_400_000_000_000):
            if run.span[0] <= now_ns < run.span[1]:
                return run
        return None

    def _run(self, shift: Shift, day: datetime.date) -> ShiftRun:
        end_day = day if shift.end > shift.start else day + _DAY
        breaks: list[Span] = []
        for start, end in shift.breaks:
            # A break before the shift's start on the clock is after midnight.
            start_day = day if start >= shift.start else day + _DAY
            stop_day = start_day if end > start else start_day + _DAY
            breaks.append((_ns(start_day, start, self.zone), _ns(stop_day, end, self.zone)))
        span = (_ns(day, shift.start, self.zone), _ns(end_day, shift.end, self.zone))
        return ShiftRun(shift.name, span, tuple(breaks))


_Time = Annotated[str, msgspec.Meta(extra_json_schema={"format": "time"})]
_Days = Annotated[tuple[int, ...], msgspec.Meta(extra_json_schema={"format": "weekdays"})]


class _ShiftBody(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    start: _Time
    end: _Time
    breaks: list[tuple[_Time, _Time]] = []
    days: _Days = (0, 1, 2, 3, 4, 5, 6)


class PlanBody(msgspec.Struct, forbid_unknown_fields=True):
    """A shift plan as it is written."""

    time_zone: Annotated[str, msgspec.Meta(extra_json_schema={"format": "time-zone"})]
    shifts: list[_ShiftBody]


def read_plan(body: str, place: str = "shift_plan") -> ShiftPlan:
    """The plan that a sheet spells.

    Raises:
        ValueError: it spells none; the message names the place and the mend.
    """
    try:
        read = msgspec.json.decode(body, type=PlanBody)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{place}: {error}; give time_zone and shifts") from error
    if not 1 <= len(read.shifts) <= _SHIFTS_MAX:
        raise ValueError(f"{place}: {len(read.shifts)} shifts; give 1 to {_SHIFTS_MAX}")
    return ShiftPlan(
        zone_of(read.time_zone, place),
        tuple(_shift(one, f"{place}.shifts[{i}]") for i, one in enumerate(read.shifts)),
    )


def zone_of(name: str, place: str) -> ZoneInfo:
    """The time zone of an IANA name; ValueError says what one looks like."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{place}: '{name[:60]}' is no time zone; write Europe/Berlin") from error


def plan_around_the_clock(zone: str = "UTC") -> ShiftPlan:
    """Three shifts of eight hours: what is taken where nobody planned."""
    clock = [datetime.time(hour) for hour in (6, 14, 22)]
    names = ("early", "late", "night")
    shifts = tuple(Shift(names[i], clock[i], clock[(i + 1) % 3]) for i in range(3))
    return ShiftPlan(zone_of(zone, "time zone"), shifts)


def _shift(body: _ShiftBody, place: str) -> Shift:
    if len(body.breaks) > _BREAKS_MAX:
        raise ValueError(f"{place}: more than {_BREAKS_MAX} breaks")
    if not set(body.days) <= set(range(7)):
        raise ValueError(f"{place}: days are 0 (Monday) to 6")
    breaks = tuple(
        (_time(a, f"{place}.breaks"), _time(b, f"{place}.breaks")) for a, b in body.breaks
    )
    return Shift(
        body.name,
        _time(body.start, f"{place}.start"),
        _time(body.end, f"{place}.end"),
        breaks,
        frozenset(body.days),
    )


def _time(text: str, place: str) -> datetime.time:
    try:
        return datetime.datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007
    except ValueError as error:
        raise ValueError(f"{place}: '{text[:20]}' is no time of day; write 06:00") from error


def _local(at_ns: int, zone: ZoneInfo) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(at_ns // 1_000_000_000, zone)


def _ns(day: datetime.date, at: datetime.time, zone: ZoneInfo) -> int:
    moment = datetime.datetime.combine(day, at, zone)
    return round(moment.timestamp()) * 1_000_000_000
