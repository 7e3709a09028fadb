"""Figures that were worked out by hand, on a wall clock that changes."""

import datetime
import math

import numpy as np
import pytest

from mirrorworld.operations.effectiveness import (
    DELAYED,
    DOWN,
    RUNNING,
    UNKNOWN,
    Steps,
    counted,
    effectiveness,
    stretches,
)
from mirrorworld.operations.shifts import ShiftRun, plan_around_the_clock, read_plan
from mirrorworld.world.quality import BAD_NO_COMMUNICATION, GOOD, UNCERTAIN_LAST_USABLE

MINUTE = 60_000_000_000
PLAN = """{"time_zone": "Europe/Berlin", "shifts": [
 {"name": "day", "start": "06:00", "end": "14:00", "breaks": [["09:00", "09:30"]]},
 {"name": "night", "start": "22:00", "end": "06:00", "breaks": [["02:15", "02:45"]]}]}"""


def ns(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def steps(*rows: tuple[float, float] | tuple[float, float, int]) -> Steps:
    """Rows of (minute, value, quality)."""
    return Steps(
        np.array([int(row[0] * MINUTE) for row in rows], np.int64),
        np.array([row[1] for row in rows], np.float64),
        np.array([row[2] if len(row) > 2 else GOOD for row in rows], np.uint32),
    )


def test_a_shift_worked_out_by_hand():
    # 480 min with 30 min of break: PBT 450. Runs 0-180 and 210-390 less the break 240-270:
    # 180 + 30 + 120 = 330. Waits 180-200: 20. Down 200-210 and 390-480: 100.
    state = steps((-5, 6), (180, 5), (200, 9), (210, 6), (390, 2))
    planned = ((0, 240 * MINUTE), (270 * MINUTE, 480 * MINUTE))
    did = stretches(state, planned, running={6}, delayed={5})
    # 19,800 s at 3,600 an hour would be 19,800; 15,840 were made: 0.8. 792 of them were bad.
    found = effectiveness(did, produced=15_840, good=15_048, rate_per_h=3_600)
    assert (found.pbt_s, found.apt_s, found.adet_s, found.adot_s) == (27_000, 19_800, 1_200, 6_000)
    assert found.unknown_s == 0
    assert found.availability == pytest.approx(330 / 450)
    assert found.effectiveness == pytest.approx(0.8)
    assert found.quality_ratio == pytest.approx(0.95)
    assert found.oee == pytest.approx(330 / 450 * 0.8 * 0.95)


def test_what_is_not_known_is_told_and_does_not_count():
    state = steps(
        (10, 6), (20, 6, BAD_NO_COMMUNICATION), (30, 6), (50, 6, UNCERTAIN_LAST_USABLE), (60, 2)
    )
    did = stretches(state, ((0, 100 * MINUTE),), running={6})
    told = [(s.start_ns // MINUTE, s.end_ns // MINUTE, s.condition) for s in did]
    assert told == [
        (0, 10, UNKNOWN), (10, 20, RUNNING), (20, 30, UNKNOWN), (30, 50, RUNNING),
        (50, 60, UNKNOWN), (60, 100, DOWN),
    ]  # fmt: skip
    found = effectiveness(did, produced=0, good=0, rate_per_h=None)
    assert found.unknown_s == 30 * 60
    assert found.availability == pytest.approx(30 / 70)
    assert found.oee is None and found.quality_ratio is None


def test_no_sample_at_all_is_all_unknown():
    did = stretches(steps(), ((0, 10 * MINUTE),), running={6})
    assert [(s.condition, s.seconds) for s in did] == [(UNKNOWN, 600)]
    assert effectiveness(did, produced=0, good=0, rate_per_h=1).availability is None


def test_neighbours_in_one_state_are_one_stop():
    state = steps((0, 9), (1, 9), (2, 9), (3, 6), (4, 5))
    did = stretches(state, ((0, 5 * MINUTE),), running={6}, delayed={5})
    assert [(s.condition, s.seconds) for s in did] == [(DOWN, 180), (RUNNING, 60), (DELAYED, 60)]


def test_counters_that_begin_again():
    counter = steps((-1, 100), (5, 150), (6, 7), (8, 20), (9, math.nan), (12, 25), (40, 99))
    # 50 up to the reset, 7 since, then 13 and 5; what came at 40 is after the span.
    assert counted(counter, (0, 30 * MINUTE)) == 50 + 7 + 13 + 5


def test_a_counter_first_seen_in_the_span_counts_from_there():
    assert counted(steps((5, 1_000_000), (6, 1_000_012)), (0, 30 * MINUTE)) == 12
    assert counted(steps(), (0, MINUTE)) == 0


@pytest.mark.parametrize(
    ("end", "hours", "planned"),
    [
        ("2026-03-28T06:00+01:00", 8, 7.5),
        ("2026-03-29T06:00+02:00", 7, 6.5),  # 02:15 was not on the clock: the break is at 03:15
        ("2026-10-25T06:00+01:00", 9, 8.5),
    ],
)
def test_nights_in_which_the_clocks_change(end: str, hours: float, planned: float):
    at = ns(end)
    (night,) = [run for run in read_plan(PLAN).runs(at - 1, at) if run.name == "night"]
    assert (night.span[1] - night.span[0]) / 3.6e12 == hours
    assert sum(b - a for a, b in night.planned) / 3.6e12 == pytest.approx(planned)


def test_shifts_of_a_day_with_breaks():
    start = ns("2026-06-01T00:00+02:00")
    runs = list(read_plan(PLAN).runs(start, start + 24 * 60 * MINUTE))
    assert [run.name for run in runs] == ["night", "day"]
    assert runs[1].span == (ns("2026-06-01T06:00+02:00"), ns("2026-06-01T14:00+02:00"))
    assert [b - a for a, b in runs[1].planned] == [180 * MINUTE, 270 * MINUTE]
    assert runs[0].span[0] == ns("2026-05-31T22:00+02:00")


def test_now_and_last():
    plan = plan_around_the_clock("UTC")
    now = ns("2026-06-01T15:00+00:00")
    last, current = plan.latest(now), plan.current(now)
    assert last and last.name == "early" and current and current.name == "late"


def test_breaks_that_overlap_count_once():
    run = ShiftRun("x", (0, 100), ((10, 30), (20, 40), (90, 120)))
    assert run.planned == ((0, 10), (40, 90))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("[]", "time_zone"),
        ('{"time_zone": "Mars/Base", "shifts": [{"name":"a","start":"06:00","end":"07:00"}]}',
         "Europe/Berlin"),
        ('{"time_zone": "../../etc/passwd", "shifts": [{"name":"a","start":"6","end":"7"}]}',
         "no time zone"),
        ('{"time_zone": "UTC", "shifts": []}', "0 shifts"),
        ('{"time_zone": "UTC", "shifts": [{"name":"a","start":"25:00","end":"07:00"}]}', "06:00"),
    ],
)  # fmt: skip
def test_plans_that_are_none(body: str, says: str):
    with pytest.raises(ValueError, match=says):
        read_plan(body)
