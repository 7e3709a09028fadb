"""The line's physics, without any protocol: what is counted, what ramps, what stays hidden."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirrorworld_worlds.bottling_line import edge_node, instruments
from mirrorworld_worlds.bottling_line.belts import Belt
from mirrorworld_worlds.bottling_line.line import Line
from mirrorworld_worlds.bottling_line.machine import Hidden, State
from mirrorworld_worlds.bottling_line.shift import RHYTHM, Shift
from mirrorworld_worlds.sparkplug_payload import DataType, Metric, decode, encode


def assert_conserved(line: Line) -> None:
    """What came in and did not go out is inside, for each machine, each belt and the line."""
    for name, machine in line.machines.items():
        inside = machine.count_in - machine.count_out - machine.rejects
        assert inside == machine.inside, name
        standing = sum(bottle is not None for bottle in machine.stations)
        assert standing + getattr(machine, "grid", 0) == machine.inside, name
    for name, belt in (*line.belts.items(), ("cartons", line.cartons)):
        assert belt.count_in - belt.count_out == belt.count, name
    packed = line.packer.count_out
    assert line.depalletiser.count_in - line.rejects - packed == line.bottles_in_line
    assert line.packer.cartons * 12 == packed


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    jams=st.lists(st.sampled_from(["Rinser", "Filler", "Labeller", "Packer"]), max_size=3),
    shift_s=st.sampled_from([0.0, 400.0]),
)
def test_no_bottle_is_lost_or_made(seed: int, jams: list[str], shift_s: float) -> None:
    line = Line(seed, shift_s, crew_after_s=20.0)
    for name in jams:
        line.advance(25.0)
        line.machines[name].force_jam()
        assert_conserved(line)
    line.advance(60.0)
    assert_conserved(line)


def test_the_same_seed_is_the_same_plant() -> None:
    def run(seed: int) -> list[float]:
        line = Line(seed)
        line.advance(90.0)
        return [
            *(m.temperature_c for m in line.machines.values()),
            *(m.energy_kwh for m in line.meters.values()),
            line.air.pressure_bar,
        ]

    assert run(11) == run(11)
    assert run(11) != run(12)


def test_reading_instruments_changes_nothing() -> None:
    read, unread = Line(5), Line(5)
    for _ in range(20):
        read.advance(2.0)
        unread.advance(2.0)
        for interface, owner in instruments.owners(read).values():
            for instrument in interface.instruments:
                instrument.read(owner)
    assert [m.count_out for m in read.machines.values()] == [
        m.count_out for m in unread.machines.values()
    ]
    assert read.meters["main"].energy_kwh == unread.meters["main"].energy_kwh


def test_a_set_point_is_followed_by_a_ramp() -> None:
    line = Line(3)
    line.advance(200.0)
    line.filler.setpoint_per_h = 9_000.0
    line.advance(0.1)
    assert line.filler.speed_per_h > 9_000.0, "a drive needs its time"
    line.advance(10.0)
    assert 0.8 * 9_000.0 <= line.filler.speed_per_h <= 9_000.0
    before = line.filler.count_out
    line.advance(60.0)
    assert line.filler.count_out - before == pytest.approx(9_000 / 60, rel=0.1)


def test_a_jam_stands_until_it_is_cleared() -> None:
    line = Line(3, crew_after_s=0.0)
    line.advance(200.0)
    line.filler.force_jam()
    line.advance(120.0)
    assert line.filler.state is State.ABORTED
    assert line.filler.speed_per_h == 0.0
    assert line.filler.start() != "", "a jammed machine must not start"
    assert line.rinser.cause == "blocked", "the queue backs up to the rinser"
    rejects = line.filler.rejects
    assert line.filler.clear_jam() == ""
    assert line.filler.clear_jam() != "", "there is nothing more to clear"
    line.advance(15.0)
    assert line.filler.state is State.EXECUTE
    assert line.filler.rejects > rejects, "what was crushed is counted"
    assert_conserved(line)


def test_the_crew_clears_what_nobody_else_does() -> None:
    line = Line(3, crew_after_s=30.0)
    line.advance(100.0)
    line.labeller.force_jam()
    line.advance(10.0)
    assert line.labeller.is_jammed
    line.advance(45.0)
    assert not line.labeller.is_jammed


def test_the_filler_waits_for_cleaning() -> None:
    line = Line(3, crew_after_s=0.0)
    line.advance(100.0)
    assert line.filler.start_cip() != "", "not while it runs"
    line.filler.hours_to_cip = 0.0
    line.advance(2.0)
    assert (line.filler.state, line.filler.cause) == (State.HELD, "cleaning due")
    assert line.filler.start_cip() == ""
    line.advance(60.0)
    assert line.filler.product_c > 60.0
    line.advance(60.0)
    assert line.filler.state is State.EXECUTE
    assert line.filler.hours_to_cip > 7.9


def test_lost_air_holds_the_line_and_comes_back() -> None:
    line = Line(3)
    line.advance(60.0)
    line.air.pressure_bar = 2.0
    line.advance(1.0)
    assert line.capper.cause == "low air pressure"
    line.advance(500.0)
    assert line.air.pressure_bar > 6.0
    assert line.capper.state is State.EXECUTE


def test_wear_shows_only_in_its_consequences() -> None:
    fresh, worn = Line(4), Line(4)
    for line, wear in ((fresh, 0.05), (worn, 1.2)):
        line.filler.hidden.wear = wear
        line.filler.hidden.wear_per_bottle = 0.0
        line.advance(500.0)
    assert worn.filler.temperature_c > fresh.filler.temperature_c + 5.0
    assert worn.filler.valve_ml.mean() < fresh.filler.valve_ml.mean() - 0.5
    quiet = sum(fresh.filler.vibration_mm_s() for _ in range(50))
    loud = sum(worn.filler.vibration_mm_s() for _ in range(50))
    assert loud > 1.5 * quiet


def test_hidden_parameters_are_read_by_no_instrument() -> None:
    line = Line(9)
    line.advance(30.0)
    hidden: set[float] = set(line.filler._drift_ml) | set(line.filler._offset_ml)
    hidden |= {line.air._leak_nl_s_bar, line.air._leak_growth_per_s}
    for machine in line.machines.values():
        hidden |= {getattr(machine.hidden, f.name) for f in dataclasses.fields(Hidden)}
    shown: list[Any] = []
    for interface, owner in (*instruments.owners(line).values(), (instruments.LINE, line)):
        lineage = [interface, *(i for i in instruments.INTERFACES if i.name == interface.base)]
        shown += [i.read(owner) for kind in lineage for i in kind.instruments]
    for readings in edge_node._devices(line).values():
        shown += [reading.read() for reading in readings]
    numbers = [v for v in shown if isinstance(v, float)]
    for value in shown:
        if hasattr(value, "tolist") and not isinstance(value, float):
            numbers += value.tolist()
    assert len(numbers) > 100
    assert not hidden & set(numbers)
    words = {i.name.lower() for kind in instruments.INTERFACES for i in kind.instruments}
    assert not [w for w in words if any(h in w for h in ("wear", "leak", "hazard", "drift"))]


def test_a_belt_keeps_order_and_distance() -> None:
    belt = Belt(4.0, 0.074, 0.6)
    for _ in range(600):
        belt.step(0.05)
        if belt.has_room:
            belt.push()
        places = belt._place[: belt.count]
        gaps = places[:-1] - places[1:]
        assert (gaps >= belt.pitch_m - 1e-9).all()
        assert places[0] <= belt.length_m + 1e-9
    assert belt.count == belt.capacity, "nobody takes: it fills"
    assert belt.backlog == belt.count
    belt.pop()
    assert not belt.is_waiting


def test_the_shift_goes_through_its_phases() -> None:
    shift = Shift(1000.0, start=0.0)
    seen = [shift.phase]
    for _ in range(999):
        phase = shift.step(1.0)
        if phase is not None:
            seen.append(phase)
    assert seen == list(RHYTHM)
    assert Shift(0.0).step(1e6) is None


def test_a_break_runs_the_line_empty_and_the_shift_fills_it_again() -> None:
    line = Line(7, shift_s=1200.0, crew_after_s=20.0)
    while line.shift.phase.name != "planned stop":
        line.advance(1.0)
    line.advance(5.0)
    assert line.depalletiser.state is State.STOPPED
    assert line.depalletiser.cause == "planned stop"
    came = line.depalletiser.count_in
    line.advance(15.0)
    assert line.depalletiser.count_in == came
    line.advance(30.0)
    assert line.shift.phase.name == "production"
    assert line.depalletiser.count_in > came
    assert line.setpoint_per_h == 16_000.0


@given(
    value=st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.text(max_size=20),
    alias=st.integers(0, 2**40) | st.none(),
)
def test_what_is_encoded_can_be_read(value: float | bool | str, alias: int | None) -> None:
    kind = DataType.DOUBLE
    if isinstance(value, bool):
        kind = DataType.BOOLEAN
    elif isinstance(value, str):
        kind = DataType.STRING
    (read,) = decode(encode([Metric(value, kind, "name", alias)], 1_700_000_000_000, 255))
    assert (read.name, read.alias, read.datatype, read.value) == ("name", alias, kind, value)


@given(st.binary(max_size=60))
def test_a_broken_command_is_refused_not_fatal(data: bytes) -> None:
    # Anything but ValueError would end the edge node's reading of its broker.
    with contextlib.suppress(ValueError):
        assert isinstance(decode(data), list)
