"""Overall equipment effectiveness after ISO 22400-2:2014, from columns of state and counts.

The elements bear the standard's abbreviations. Time in which nobody knows what the unit did is
told as such and counts neither for nor against it: the availability is that of the known time.
Knows no record and no world.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.operations.shifts import Span
from mirrorworld.world.quality import BAD, UNCERTAIN_LAST_USABLE

RUNNING: Final = "running"
DELAYED: Final = "delayed"
DOWN: Final = "down"
SETUP: Final = "setup"
PLANNED: Final = "planned"
UNKNOWN: Final = "unknown"
CONDITIONS: Final = (RUNNING, DELAYED, DOWN, SETUP, PLANNED, UNKNOWN)
"""What a unit's time is; the first two and UNKNOWN a machine can tell, SETUP and PLANNED only a
person can."""

_LIMITS_DROPPED: Final = 0xFFFF_0000
"""The lower bits of a status code say how it came, not what it is."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A signal that holds its value until the next sample; ordered by time."""

    time_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint32]

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Which samples say something of the time that follows them."""
        stale = (self.quality & _LIMITS_DROPPED) == UNCERTAIN_LAST_USABLE
        return (self.quality < BAD) & ~stale & np.isfinite(self.value)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of planned time in one condition."""

    start_ns: int
    end_ns: int
    condition: str
    """One of CONDITIONS."""
    state: float
    """The code that the unit reported; NaN while it is unknown."""

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Effectiveness:
    """The elements and indices of one work unit; None where they cannot be had."""

    pbt_s: float
    """Planned busy time: the shift without its breaks and without planned down time."""
    apt_s: float
    """Actual production time: it was running."""
    adet_s: float
    """Actual unit delay time: it was ready, and waited for others."""
    adot_s: float
    """Actual unit down time."""
    aust_s: float
    """Actual unit set-up time."""
    pdot_s: float
    """Planned down time within the shift: no order, planned cleaning. No part of the PBT."""
    unknown_s: float
    pq: float
    """Produced quantity, good or not."""
    gq: float
    """Good quantity."""
    pri_s: float | None
    """Planned run time per item."""

    @property
    def availability(self) -> float | None:
        """APT / PBT, of the time that is known."""
        known_s = self.pbt_s - self.unknown_s
        return self.apt_s / known_s if known_s > 0 else None

    @property
    def effectiveness(self) -> float | None:
        """PRI · PQ / APT. Above 1 the planned run time per item is too long."""
        if self.pri_s is None or self.apt_s <= 0:
            return None
        return self.pri_s * self.pq / self.apt_s

    @property
    def quality_ratio(self) -> float | None:
        """GQ / PQ."""
        return self.gq / self.pq if self.pq > 0 else None

    @property
    def oee(self) -> float | None:
        """OEE index: availability · effectiveness · quality ratio."""
        factors = (self.availability, self.effectiveness, self.quality_ratio)
        if any(factor is None for factor in factors):
            return None
        return float(np.prod([factor for factor in factors if factor is not None]))


def stretches(
    state: Steps,
    planned: Sequence[Span],
    running: Collection[int],
    delayed: Collection[int] = (),
) -> list[Stretch]:
    """What a unit did in the planned time; neighbours of one condition and state are one.

    Args:
        state: with the last sample before the planned time, if there is one.
        running: codes of the state in which it produces.
        delayed: codes in which it is ready and waits: starved, blocked.
    """
    found: list[Stretch] = []
    times, known = state.time_ns, state.is_known
    for start, end in planned:
        first = int(np.searchsorted(times, start, "right")) - 1
        last = int(np.searchsorted(times, end, "left"))
        at = start
        for row in range(first, last):
            until = min(int(times[row + 1]) if row + 1 < len(times) else end, end)
            if until <= at:
                continue
            code, condition = float("nan"), UNKNOWN
            if row >= 0 and known[row]:
                code = float(state.value[row])
                condition = RUNNING if code in running else DELAYED if code in delayed else DOWN
            _add(found, Stretch(at, until, condition, code))
            at = until
        if at < end:
            _add(found, Stretch(at, end, UNKNOWN, float("nan")))
    return found


def counted(counter: Steps, span: Span) -> float:
    """How far a counter went in a span. A fall is a reset: it began again from zero.

    Samples that are bad do not count; what was counted while they were is in the next good one.
    """
    known = counter.is_known
    times, values = counter.time_ns[known], counter.value[known]
    start, end = span
    first = max(int(np.searchsorted(times, start, "right")) - 1, 0)
    values = values[first : int(np.searchsorted(times, end, "left"))]
    steps = np.diff(values)
    return float(np.where(steps >= 0, steps, values[1:]).sum())


def effectiveness(
    of: Iterable[Stretch], *, produced: float, good: float, rate_per_h: float | None
) -> Effectiveness:
    """The elements of what a unit did and made.

    Args:
        rate_per_h: items an hour that it is planned to make while it runs; None: not planned.
    """
    spent: dict[str, float] = dict.fromkeys(CONDITIONS, 0.0)
    for stretch in of:
        spent[stretch.condition] += stretch.seconds
    return Effectiveness(
        pbt_s=sum(spent.values()) - spent[PLANNED],
        apt_s=spent[RUNNING],
        adet_s=spent[DELAYED],
        adot_s=spent[DOWN],
        aust_s=spent[SETUP],
        pdot_s=spent[PLANNED],
        unknown_s=spent[UNKNOWN],
        pq=produced,
        gq=good,
        pri_s=3600.0 / rate_per_h if rate_per_h else None,
    )


def _add(found: list[Stretch], new: Stretch) -> None:
    if found:
        old = found[-1]
        same = old.state == new.state or (old.state != old.state and new.state != new.state)
        if same and old.condition == new.condition and old.end_ns == new.start_ns:
            found[-1] = Stretch(old.start_ns, new.end_ns, old.condition, old.state)
            return
    found.append(new)
