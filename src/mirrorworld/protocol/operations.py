"""What the routes of shifts, stops and reports take and give."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShiftRow:
    """A shift on a day. Its times are those of the plan's clock, as UTC nanoseconds."""

    name: str
    start_ns: int
    end_ns: int
    breaks: list[list[int]]
    """[start_ns, end_ns] of each."""
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class ShiftsPage:
    """The shift that works now, if one does, and those before it, latest first."""

    plan: str
    """Name of the plan; empty: nobody planned, and three shifts around the clock are taken."""
    plans: list[str]
    time_zone: str
    shifts: list[ShiftRow]


@dataclass(frozen=True, slots=True)
class StretchRow:
    """A stretch of a unit's planned time."""

    start_ns: int
    end_ns: int
    condition: str
    """running, delayed, down, setup, planned or unknown."""


@dataclass(frozen=True, slots=True)
class StopRow:
    """A stretch in which a unit did not run, and why."""

    twin: str
    name: str
    start_ns: int
    end_ns: int
    is_open: bool
    """It stands now."""
    condition: str
    """As what it counts: delayed, down, setup, planned or unknown."""
    state: str
    """What the machine was in, in its own word."""
    cause: str
    """What the machine said of it."""
    is_unexplained: bool
    """Somebody should say why."""
    reason: str = ""
    """Code of what a person said; empty: nobody has."""
    reason_name: str = ""
    comment: str = ""
    by: str = ""
    said_ns: int = 0
    said_id: str = ""
    """By this it is taken back."""


@dataclass(frozen=True, slots=True)
class LossRow:
    """Time lost for one reason."""

    reason: str
    """In words; empty: neither a person nor the machine gave one."""
    seconds: float
    times: int


@dataclass(frozen=True, slots=True)
class UnitRow:
    """One work unit's shift in the elements and indices of ISO 22400-2; null: cannot be had."""

    twin: str
    name: str
    oee: float | None
    availability: float | None
    effectiveness: float | None
    quality_ratio: float | None
    pbt_s: float
    apt_s: float
    adet_s: float
    adot_s: float
    aust_s: float
    pdot_s: float
    unknown_s: float
    good: float
    rejected: float
    is_rate_guessed: bool
    unexplained: int
    """How many stops somebody should explain."""
    timeline: list[StretchRow]
    """In order; what is too short to be seen is joined to its neighbour."""
    losses: list[LossRow]
    """The longest first."""


@dataclass(frozen=True, slots=True)
class ShiftFigures:
    """What the units did in a shift; of one that is not over, so far."""

    shift: ShiftRow
    until_ns: int
    units: list[UnitRow]
    losses: list[LossRow]
    """Of all units together."""


@dataclass(frozen=True, slots=True)
class StopsPage:
    """Stops of a shift, latest first."""

    shift: ShiftRow
    stops: list[StopRow]
    is_cut: bool
    """There are more; ask for one unit."""


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """A reason to choose."""

    code: str
    """With those above it: `breakdown/mechanical`."""
    name: str
    counts_as: str
    """down, delayed, setup or planned."""
    below: list[ReasonRow]


@dataclass(frozen=True, slots=True)
class ReasonsPage:
    """The reasons that there are for a unit."""

    reasons: list[ReasonRow]
    ask_from_s: float
    """Stops shorter than this are not asked about."""


@dataclass(frozen=True, slots=True)
class SayRequest:
    """Why a unit stood for a time. What is said later of the same time counts."""

    twin: str
    start_ns: int
    end_ns: int | None
    """Null: until it runs again."""
    reason: str
    """Code of a reason of the unit's tree."""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class SaidAnswer:
    """What was said, durable."""

    id: str
    twin: str
    start_ns: int
    end_ns: int | None
    reason: str
    comment: str
    by: str


@dataclass(frozen=True, slots=True)
class KeptReport:
    """A report that was written at the end of a shift."""

    id: str
    schedule: str
    shift: str
    start_ns: int
    end_ns: int
    made_ns: int
    forms: list[str]
    """html, pdf."""
    mailed: str
    """To how many it went, or why it did not; empty: nobody is to get it."""


@dataclass(frozen=True, slots=True)
class KeptReports:
    """The reports that are kept, latest first."""

    reports: list[KeptReport]


@dataclass(frozen=True, slots=True)
class SqlRequest:
    """One SELECT."""

    sql: str
    rows: int = 1_000
    """At most so many come back."""
    time_s: float = 30.0
    """After so long it is ended."""
