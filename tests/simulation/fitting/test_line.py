"""From a record to a line: stops, counters, gaps, scrap, power, and the model they make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from mirrorworld.simulation.fitting.calibrating import calibrate
from mirrorworld.simulation.fitting.checking import check
from mirrorworld.simulation.fitting.line import LineFit, fit_line
from mirrorworld.simulation.fitting.machine import Does
from mirrorworld.simulation.fitting.validation import validate
from mirrorworld.simulation.flow.from_world import from_world
from mirrorworld.simulation.flow.sheet import Checked
from mirrorworld.world.changes import (
    Change,
    Edits,
    Origin,
    OriginKind,
    PutRelation,
    PutSheet,
    PutTwin,
)
from mirrorworld.world.frames import cells
from mirrorworld.world.model import FEEDS, LOCATED_IN, POWERS, Kind, PointType, Relation, Twin
from mirrorworld.world.ports import Series
from mirrorworld.world.quality import BAD_NO_COMMUNICATION
from mirrorworld.world.world import World

SECOND = 1_000_000_000
STATES = ((4, "Idle"), (5, "Suspended"), (6, "Execute"), (9, "Aborted"), (15, "Resetting"))
MACHINE = (
    PointType("State", Kind.ENUM, labels=STATES),
    PointType("GoodCount", Kind.INT),
    PointType("Rejects", Kind.INT),
)


class Columns:
    """A record of columns, whose log has been dropped: points are read one by one."""

    epoch = 1

    def __init__(self, world: World) -> None:
        self.world = world
        self.of: dict[int, tuple[Any, Any, Any]] = {}

    def put(self, twin: str, point: str, time_s: Any, value: Any, quality: Any = 0) -> None:
        handle = self.world.structure.handle(twin, point)
        is_float = self.world.structure.kinds[handle] == Kind.FLOAT
        column = cells(np.asarray(value, np.float64 if is_float else np.int64))
        at_ns = (np.asarray(time_s, np.float64) * SECOND).astype(np.int64)
        self.of[handle] = (at_ns, column, np.broadcast_to(np.uint32(quality), len(column)))
        if np.ndim(quality):
            self.of[handle] = (at_ns, column, np.asarray(quality, np.uint32))

    def changes(self, after: object, limit: int = 0) -> Iterator[Change]:
        raise LookupError("no longer in the log")

    def read(self, point: int, start_ns: int, end_ns: int, max_rows: Any = None) -> Series:
        none = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint32))
        at_ns, cell, quality = self.of.get(point, none)
        some = (at_ns >= start_ns) & (at_ns < end_ns)
        return Series(at_ns[some], cell[some], quality[some], np.flatnonzero(some))

    def as_of_time(self, source_ns: int) -> Any:
        n = self.world.n_points
        cell, at, quality = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.uint32)
        for handle, (at_ns, values, codes) in self.of.items():
            row = int(np.searchsorted(at_ns, source_ns, "right")) - 1
            if row >= 0:
                cell[handle], at[handle], quality[handle] = values[row], at_ns[row], codes[row]
        return cell, at, quality


def works(*twins: Twin) -> World:
    world = World("works")
    edits = Edits(tuple(PutTwin(twin) for twin in twins))
    world.apply(Change(edits, Origin(OriginKind.AUTHORED, "test"), 1))
    return world


def relate(world: World, *relations: Relation) -> World:
    edits = Edits(tuple(PutRelation(relation) for relation in relations))
    world.apply(Change(edits, Origin(OriginKind.AUTHORED, "test"), 1))
    return world


def press_and_pack() -> tuple[World, Columns]:
    """Two machines over an hour, told by the second; the press works 10 s a part."""
    meter = PointType("ActivePower", unit="kW")
    world = works(
        Twin("press", points=MACHINE), Twin("pack", points=MACHINE), Twin("m", points=(meter,))
    )
    # What else is said of a meter does not make it somebody else's.
    relate(world, Relation(LOCATED_IN, "m", "pack"), Relation(POWERS, "m", "press"))
    relate(world, Relation(FEEDS, "press", "pack"))
    return world, Columns(world)


def fitted(world: World, record: Columns, end_s: float, **more: Any) -> LineFit:
    return fit_line(world, record, SECOND, int(end_s * SECOND), bootstraps=9, **more)  # pyright: ignore


def test_states_become_times_to_failure_and_repair() -> None:
    world, record = press_and_pack()
    begin, times, codes = 1.0, [], []
    for run_s, down_s in ((300, 40), (500, 60), (400, 50), (600, 45), (350, 55), (450, 50)):
        # A jam, its clearing, and the machine's own way back through reset and idle.
        times += [begin, begin + run_s, begin + run_s + down_s - 4, begin + run_s + down_s - 2]
        codes += [6, 9, 15, 4]
        begin += run_s + down_s
    times.append(begin)
    codes.append(6)
    end = begin + 200
    record.put("press", "State", times, codes)
    made = np.arange(1, int(end), 10)
    record.put("press", "GoodCount", made, np.arange(len(made)))
    record.put("press", "Rejects", [1.0, 900.0], [7, 9])
    record.put("m", "ActivePower", times, np.where(np.array(codes) == 6, 6.0, 1.0))
    press = fitted(world, record, end).machines["press"]
    (stop,) = press.stops
    assert stop.name == "aborted"
    assert stop.repair.complete.tolist() == [40, 60, 50, 45, 55, 50]
    works = press.busy * press.known_s / press.seconds[Does.RUNS]
    assert stop.between.residual == pytest.approx([300 * works])
    assert stop.between.complete == pytest.approx(np.array([500, 400, 600, 350, 450]) * works)
    assert stop.between.censored == pytest.approx([200 * works])
    assert press.seconds[Does.DOWN] == pytest.approx(300)
    assert press.scrap == pytest.approx(2 / (len(made) + 1), rel=0.01)
    assert press.watts[Does.RUNS] == pytest.approx(6000)
    assert press.watts[Does.DOWN] == pytest.approx(1000)


def test_counters_start_again_and_cycles_across_a_stop_do_not_count() -> None:
    world, record = press_and_pack()
    at = np.concatenate([np.arange(10, 301, 10), np.arange(410, 701, 10)]).astype(float)
    count = np.concatenate([np.arange(95, 125), np.arange(1, 31)])  # a reset in between
    record.put("press", "GoodCount", at, count)
    record.put("press", "State", [1, 300, 400], [6, 9, 6])
    press = fitted(world, record, 700).machines["press"]
    assert press.cycles is not None
    assert press.cycles.complete == pytest.approx(np.full(56, 10.0))
    assert press.made == 58


def test_time_without_a_record_is_unknown() -> None:
    world, record = press_and_pack()
    # Told every 10 s, but for half an hour in which nobody recorded.
    at = np.concatenate([np.arange(1, 1001, 10), np.arange(2800, 3601, 10)]).astype(float)
    record.put("press", "State", at, np.full(len(at), 6))
    record.put("press", "GoodCount", at, np.arange(len(at)))
    found = fitted(world, record, 3600)
    assert found.machines["press"].seconds[Does.UNKNOWN] == pytest.approx(2800 - 991, abs=1)
    assert found.machines["press"].known_s == pytest.approx(3599 - 1809, abs=1)
    assert any("unknown" in note for twin, note in found.notes if twin == "press")


def test_bad_quality_is_no_running() -> None:
    world, record = press_and_pack()
    record.put("press", "State", [1, 100, 200], [6, 6, 6], [0, BAD_NO_COMMUNICATION, 0])
    beat = np.arange(1, 301, 5)
    record.put("press", "GoodCount", beat, np.arange(len(beat)))
    press = fitted(world, record, 301).machines["press"]
    assert press.seconds[Does.RUNS] == pytest.approx(200, abs=1)
    assert press.seconds[Does.UNKNOWN] == pytest.approx(100, abs=1)


def test_a_machine_without_a_state_is_said_to_be_one() -> None:
    world = relate(works(Twin("a", points=MACHINE[1:2]), Twin("b")), Relation(FEEDS, "a", "b"))
    record = Columns(world)
    at = np.arange(1, 601, 4)
    record.put("a", "GoodCount", at, np.arange(len(at)))
    found = fitted(world, record, 600)
    assert ("a", "no state is measured: stops cannot be seen") in found.notes
    assert found.flow.twins["a"].cycle is not None


def line_record(seed: int, hours: float) -> tuple[World, Columns]:
    """A press with jams before a packer that is faster, as a simple simulation makes them."""
    world, record = press_and_pack()
    rng = np.random.default_rng(seed)
    now, states, parts = 1.0, [(1.0, 6)], []
    fails = now + rng.exponential(900)
    while now < hours * 3600:
        now += 8.0
        if now > fails:
            repair = rng.gamma(4.0, 30.0)
            states += [(fails, 9), (fails + repair, 6)]
            now += repair
            fails = now + rng.exponential(900)
        parts.append(now)
    record.put("press", "State", *zip(*states, strict=True))
    record.put("press", "GoodCount", parts, np.arange(len(parts)))
    packed = np.array(parts) + 5.0
    record.put("pack", "GoodCount", packed, np.arange(len(parts)))
    waits = [(at + 6.0, 5 if code == 9 else 6) for at, code in states]
    record.put("pack", "State", *zip(*waits, strict=True))
    return world, record


def test_a_fit_predicts_the_part_that_it_has_not_seen() -> None:
    world, record = line_record(seed=11, hours=20)
    cut = 12 * 3600
    found = fitted(world, record, cut)
    edits = Edits((PutSheet(found.sheet),))
    world.apply(Change(edits, Origin(OriginKind.AUTHORED, "fit"), 1))
    drawn = from_world(world)
    told = validate(
        world,
        record,
        found,
        drawn,
        cut * SECOND,
        20 * 3600 * SECOND,
        replications=20,  # pyright: ignore
    )
    first = told.rows[0]
    assert first.what == "throughput" and first.is_within
    assert abs(first.error) < 0.06
    assert "The model holds" in told.verdict
    with pytest.raises(ValueError, match="overlaps"):
        validate(world, record, found, drawn, SECOND, 20 * 3600 * SECOND)  # pyright: ignore


def test_a_sped_up_clock_is_taken_back() -> None:
    world, record = press_and_pack()
    at = np.arange(1, 61, 1.0)
    record.put("press", "GoodCount", at, np.arange(len(at)))
    record.put("press", "State", [1.0], [6])
    press = fitted(world, record, 60, clock_rate=10.0).machines["press"]
    assert press.cycle_s == pytest.approx(10.0)


def test_samples_are_not_lost_on_the_way() -> None:
    # What a fit writes is what a world reads back.
    world, record = line_record(seed=2, hours=8)
    found = fitted(world, record, 8 * 3600)
    world.apply(Change(Edits((PutSheet(found.sheet),)), Origin(OriginKind.AUTHORED, "fit"), 1))
    press = from_world(world).model.stations[0]
    between = next(one.fit for one in found.fits if one.what == "until aborted")
    assert press.breakdowns[0].between == between.distribution


def creeping_record(hours: int, share: float) -> tuple[World, Columns]:
    """Two machines with a speed and a counter in tens: for a share of each ten minutes they creep
    at 0.9 of 3,600 parts an hour, as line control lets them."""
    speed = PointType("Speed", unit="/h")
    types = (MACHINE[0], MACHINE[1], speed)
    world = relate(works(Twin("fill", points=types), Twin("cap", points=types)))
    relate(world, Relation(FEEDS, "fill", "cap"))
    record = Columns(world)
    begins = 1.0 + 600.0 * np.arange(6 * hours)
    times = np.sort(np.concatenate([begins, begins + 600.0 * share]))
    paces = np.tile([0.9, 1.0], len(begins)) * 3600.0
    ends = np.append(times[1:], 1.0 + 3600.0 * hours)
    made = np.concatenate([[0.0], np.cumsum(paces / 3600.0 * (ends - times))])
    beats = np.arange(1.0, 3600.0 * hours, 10.0)
    for twin in ("fill", "cap"):
        record.put(twin, "State", [1.0], [6])
        record.put(twin, "Speed", times, paces)
        count = np.interp(beats, np.append(times, ends[-1]), made).astype(np.int64)
        record.put(twin, "GoodCount", beats, count)
    return world, record


def test_what_a_line_loses_by_speed_is_found_and_taken_back() -> None:
    world, record = creeping_record(8, share=0.6)
    found = fitted(world, record, 8 * 3600)
    assert found.machines["fill"].rate_per_s == pytest.approx(1.0)  # when nothing holds it back
    calibrate(world, found)
    assert found.flow.pace == pytest.approx(0.94, abs=0.003)  # 0.6 × 0.9 + 0.4
    drawn = from_world(world, None, found.flow)
    assert drawn.model.stations[0].process.mean() == pytest.approx(1 / 0.94, rel=0.004)
    (cycle,) = (g for g in drawn.grounds if g.twin == "fill" and g.what == "cycle")
    assert "lost by the line" in cycle.by
    # A whole that lost nothing is left alone.
    world, record = creeping_record(8, share=0.001)
    found = fitted(world, record, 8 * 3600)
    calibrate(world, found)
    assert found.flow.pace is None


def test_a_fit_keeps_how_it_did_on_what_it_had_not_seen() -> None:
    world, record = line_record(seed=5, hours=20)
    told = check(world, record, SECOND, 20 * 3600 * SECOND, replications=10)  # pyright: ignore
    assert told.checked.verdict == told.validation.verdict
    assert told.checked.holds and told.checked.drifted == ()
    found = told.fitted
    assert (
        from_world(world, None, found.flow).doubts[0].endswith("compared the fit with other times")
    )
    found.flow.checked = told.checked
    assert from_world(world, None, found.flow).doubts == ()
    found.flow.checked = Checked(False, "The model does not hold.", ("press, jam: longer",))
    world.apply(Change(Edits((PutSheet(found.sheet),)), Origin(OriginKind.AUTHORED, "fit"), 1))
    assert [text.rpartition(": ")[2] for text in from_world(world).doubts] == [
        "The model does not hold.",
        "longer",
    ]
