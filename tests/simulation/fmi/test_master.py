"""The master against exact solutions: order, events, loops, conservation, and units that end."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from mirrorworld.simulation.fmi import master as master_
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.conservation import Bond
from mirrorworld.simulation.fmi.graph import Connection
from mirrorworld.simulation.fmi.master import Master
from mirrorworld.simulation.fmi.methods import Inputs, Loops, Order
from mirrorworld.simulation.fmi.process import FmuProcess, Limits
from mirrorworld.simulation.fmi.python_unit import PythonUnit
from mirrorworld.simulation.fmi.results import RunResult
from mirrorworld.units import UnitError
from tests.simulation.fmi.built import allowed, build, needs_compiler

pytestmark = needs_compiler

SPRING = (
    Connection("mass.v", "spring.speed"),
    Connection("spring.force", "mass.force"),
)
BOND = Bond("spring", "spring.speed", "mass.v", "spring.force", "mass.force", tolerance=1e-3)


def two_masses(tmp_path: Path, version: str = "2.0", **capabilities: bool) -> list[Any]:
    """A mass of 1 kg at 1 m/s, and a spring of 1 N/m with another such mass at rest."""
    paths = [build(tmp_path, model, version, **capabilities) for model in ("Mass", "Spring")]
    here = allowed(tmp_path, *paths)
    return [FmuProcess(paths[0], here, name="mass"), FmuProcess(paths[1], here, name="spring")]


def exact_speed(times_s: np.ndarray) -> np.ndarray:
    """Of the first mass: both swing about their mean speed at sqrt(k (1/m + 1/m))."""
    return (1 + np.cos(math.sqrt(2) * times_s)) / 2


def error(result: RunResult) -> float:
    return float(np.abs(result.of("mass.v") - exact_speed(result.times_s)).max())


@pytest.mark.parametrize(
    ("order", "inputs", "least"),
    [
        (Order.JACOBI, Inputs.HOLD, 1),
        (Order.GAUSS_SEIDEL, Inputs.HOLD, 1),
        (Order.JACOBI, Inputs.LINEAR, 2),
        (Order.GAUSS_SEIDEL, Inputs.LINEAR, 2),
    ],
)
def test_two_masses_converge_in_the_order_of_the_method(
    tmp_path: Path, order: Order, inputs: Inputs, least: int
) -> None:
    errors: list[float] = []
    for step_s in (0.02, 0.01):
        units = two_masses(tmp_path, canInterpolateInputs=True)
        result = Master(units, SPRING, order=order, inputs=inputs).run(2.0, step_s)
        assert result.steps == round(2.0 / step_s)
        assert not result.findings()
        errors.append(error(result))
    assert errors[0] / errors[1] == pytest.approx(2**least, rel=0.15)


def test_the_residual_of_a_bond_is_the_energy_that_the_coupling_makes(tmp_path: Path) -> None:
    units = two_masses(tmp_path, "3.0")
    result = Master(units, SPRING, bonds=[BOND]).run(3.0, 0.01)
    kinetic = (result.of("mass.v") ** 2 + result.of("spring.v") ** 2) / 2
    energy = kinetic + result.of("spring.stretch") ** 2 / 2
    (bond,) = result.bonds
    made = energy - energy[0]
    assert np.abs(made).max() > 5e-3
    assert -bond.residual == pytest.approx(made, abs=np.abs(made).max() * 2e-3)
    assert bond.beyond_s is not None
    assert "beyond its tolerance of 0.001 from t = " in result.findings()[0]
    assert np.abs(bond.residual[result.times_s < bond.beyond_s - 1e-9]).max() <= 1e-3


def test_a_tolerance_makes_steps_as_short_as_needed(tmp_path: Path) -> None:
    coarse, fine = (
        Master(two_masses(tmp_path), SPRING).run(2.0, 0.1, tolerance=tolerance)
        for tolerance in (1e-3, 1e-5)
    )
    assert error(fine) < error(coarse) / 5
    assert fine.reached_s == coarse.reached_s == 2.0
    assert fine.steps > coarse.steps > 20


def test_who_cannot_go_back_is_told_so(tmp_path: Path) -> None:
    units = two_masses(tmp_path, canGetAndSetFMUstate=False)
    with pytest.raises(FmiError, match="unit 'mass' cannot be taken back"):
        Master(units, SPRING).run(1.0, 0.1, tolerance=1e-3)
    units = two_masses(tmp_path, canHandleVariableCommunicationStepSize=False)
    with pytest.raises(FmiError, match="unit 'mass' takes steps of one length only"):
        Master(units, SPRING).run(1.0, 0.3)


def impacts(n: int, g: float = 9.81, e: float = 0.7, height: float = 1.0) -> list[float]:
    """When a ball that falls from rest hits the ground: each flight is `e` times the last."""
    first = math.sqrt(2 * height / g)
    flights = (2 * first * e**k for k in range(1, n))
    return list(itertools.accumulate(flights, initial=first))


def test_events_of_fmi_3_are_met_when_they_happen(tmp_path: Path) -> None:
    path = build(tmp_path, "Ball", "3.0", hasEventMode=True)
    gain = build(tmp_path, "Gain")
    here = allowed(tmp_path, path, gain)
    ball = FmuProcess(path, here, name="ball")
    follower = FmuProcess(gain, here, name="gain")
    two = FmuProcess(path, here, name="two", parameters={"g": 1.62})
    master = Master([ball, two, follower], [Connection("ball.v", "gain.u")])
    result = master.run(2.0, 0.1)
    of = {name: [t for t, who in result.events if who == name] for name in ("ball", "two")}
    assert of["ball"] == pytest.approx([t for t in impacts(20) if t < 2], abs=1e-12)
    assert of["two"] == pytest.approx([t for t in impacts(9, 1.62) if t < 2], abs=1e-12)
    assert result.of("ball.bounces")[-1] == len(of["ball"])
    # Before and after an impact stand two rows of one time.
    at = int(np.flatnonzero(result.times_s == of["ball"][0])[0])
    assert result.times_s[at + 1] == result.times_s[at]
    speed = result.of("ball.v")[at : at + 2]
    assert speed == pytest.approx([-math.sqrt(2 * 9.81), 0.7 * math.sqrt(2 * 9.81)])
    assert all("says nothing" in note for note in result.notes)


def test_a_bond_has_a_residual_at_every_time_of_a_run_with_events(tmp_path: Path) -> None:
    path = build(tmp_path, "Ball", "3.0", hasEventMode=True)
    ball = FmuProcess(path, allowed(tmp_path, path), name="ball")
    same = Bond("same", "ball.v", "ball.v")
    result = Master([ball], bonds=[same]).run(1.0, 0.1)
    (bond,) = result.bonds
    assert len(bond.residual) == len(result.times_s) == 11 + 2 * len(result.events)
    assert bond.worst == 0.0
    assert bond.exchanged > 1.0
    assert bond.unit == "m/s.s"


def test_events_that_are_known_beforehand_bound_the_step(tmp_path: Path) -> None:
    path = build(tmp_path, "Clockwork", "3.0", hasEventMode=True)
    clock = FmuProcess(path, allowed(tmp_path, path), name="clock")
    result = Master([clock], signals={"clock.u": lambda t: 10 * t}).run(1.1, 0.3)
    assert [t for t, _ in result.events] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert result.of("clock.count")[-1] == 4


def test_events_without_end_are_the_end_of_who_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(master_, "EVENTS_PER_STEP_MAX", 100)
    paths = [build(tmp_path, "Ball", "3.0", hasEventMode=True), build(tmp_path, "Dahlquist")]
    here = allowed(tmp_path, *paths)
    units = [FmuProcess(path, here, name=path.stem) for path in paths]
    result = Master(units).run(4.0, 0.5)
    rest_s = math.sqrt(2 / 9.81) * (1 + 2 * 0.7 / 0.3)
    assert result.ended[0].unit == "Ball3"
    assert "more than 100 events" in result.ended[0].why
    assert result.ended[0].time_s == pytest.approx(rest_s, rel=1e-9)
    assert result.of("Dahlquist2.x")[-1] == pytest.approx(math.exp(-4))


def test_a_unit_of_one_step_length_waits_where_others_meet_events(tmp_path: Path) -> None:
    ball = build(tmp_path, "Ball", "3.0", hasEventMode=True)
    mass = build(tmp_path, "Mass", canHandleVariableCommunicationStepSize=False)
    here = allowed(tmp_path, ball, mass)
    units = [FmuProcess(ball, here, name="ball"), FmuProcess(mass, here, name="mass")]
    result = Master(units).run(1.0, 0.25)
    assert [t for t, _ in result.events] == pytest.approx(impacts(1))
    at = np.isclose(result.times_s % 0.25, 0)
    assert result.of("mass.x")[at] == pytest.approx(result.times_s[at])
    assert result.of("mass.x")[~at] == pytest.approx([0.25, 0.25])


def test_a_step_that_is_cut_short_is_gone_on_with(tmp_path: Path) -> None:
    path = build(tmp_path, "Bad")
    bad = FmuProcess(path, allowed(tmp_path, path), name="bad", parameters={"how": 11, "at": 0.0})
    result = Master([bad]).run(1.0, 0.5)
    assert result.of("bad.y") == pytest.approx([0.0, 0.5, 1.0], abs=1e-5)
    assert result.notes == ("unit 'bad' has cut steps short; it went on alone",)


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_unit_may_ask_for_the_end(tmp_path: Path, is_alone: bool) -> None:
    paths = [build(tmp_path, model) for model in ("Bad", "Dahlquist")]
    here = allowed(tmp_path, *paths)
    units = [FmuProcess(paths[0], here, name="bad", parameters={"how": 12, "at": 0.45})]
    if not is_alone:
        units.append(FmuProcess(paths[1], here, name="other"))
    result = Master(units).run(1.0, 0.1)
    assert result.notes == ("unit 'bad' asked for the end at t = 0.45 s",)
    assert not result.ended
    assert result.of("bad.y")[:5] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert result.reached_s <= 0.5 + 1e-12


@pytest.mark.parametrize("how", [0, 1, 3, 11])
def test_a_unit_alone_gives_the_same_as_one_that_is_asked_at_each_step(
    tmp_path: Path, how: int
) -> None:
    paths = [build(tmp_path, model) for model in ("Bad", "Dahlquist")]
    here = allowed(tmp_path, *paths)

    def bad() -> FmuProcess:
        return FmuProcess(paths[0], here, name="bad", parameters={"how": how, "at": 0.45})

    alone = Master([bad()]).run(1.05, 0.1)
    beside = Master([bad(), FmuProcess(paths[1], here, name="other")]).run(1.05, 0.1)
    n = len(alone.times_s)
    assert n == (12 if how in (0, 11) else 6)
    assert alone.times_s == pytest.approx(beside.times_s[:n])
    assert alone.of("bad.y") == pytest.approx(beside.of("bad.y")[:n], nan_ok=True)
    assert [str(one) for one in alone.ended] == [str(one) for one in beside.ended]
    assert alone.steps == (11 if how in (0, 11) else 5)


class Ramp:
    """Rises by `rate` a second from `start`."""

    inputs: ClassVar[Mapping[str, tuple[float, str]]] = {"rate": (1.0, "m/s")}
    outputs: ClassVar[Mapping[str, str]] = {"level": "m"}
    parameters: ClassVar[Mapping[str, tuple[float, str]]] = {"begin": (-0.7312, "m")}

    def __init__(self, begin: float) -> None:
        self.level = begin

    def start(self, time_s: float, inputs: Mapping[str, float]) -> Mapping[str, float]:
        return {"level": self.level}

    def step(
        self, time_s: float, step_s: float, inputs: Mapping[str, float]
    ) -> Mapping[str, float]:
        self.level += inputs["rate"] * step_s
        return {"level": self.level}


class Turn:
    """Turns the speed round while the level is above 0, seen at the end of a step."""

    inputs: ClassVar[Mapping[str, tuple[float, str]]] = {"level": (-1.0, "cm")}
    outputs: ClassVar[Mapping[str, str]] = {"speed": "m/s", "seen": "m"}
    parameters: ClassVar[Mapping[str, tuple[float, str]]] = {}

    def start(self, time_s: float, inputs: Mapping[str, float]) -> Mapping[str, float]:
        return self.step(time_s, 0.0, inputs)

    def step(
        self, time_s: float, step_s: float, inputs: Mapping[str, float]
    ) -> Mapping[str, float]:
        return {"speed": -1.0 if inputs["level"] >= 0 else 1.0, "seen": inputs["level"] / 100}


def test_a_watched_variable_splits_the_step_where_it_crosses(tmp_path: Path) -> None:
    path = build(tmp_path, "Mass")
    mass = FmuProcess(path, allowed(tmp_path, path), name="mass")
    ramp = PythonUnit(Ramp, "ramp")
    result = Master([ramp, mass], watches=["ramp.level"]).run(2.0, 0.5)
    assert [name for _, name in result.events] == ["ramp.level"]
    assert result.events[0][0] == pytest.approx(0.7312, abs=1e-8)
    at = int(np.argmin(np.abs(result.times_s - 0.7312)))
    # The FMU has been taken back with the rest: it is exactly where it is at that time.
    assert result.of("mass.x")[at] == pytest.approx(result.times_s[at], abs=1e-12)
    assert result.of("mass.x")[-1] == pytest.approx(2.0)


def test_python_beside_units_with_units_converted(tmp_path: Path) -> None:
    ramp, turn = PythonUnit(Ramp, "ramp"), PythonUnit(Turn, "turn")
    links = [Connection("ramp.level", "turn.level"), Connection("turn.speed", "ramp.rate")]
    result = Master([ramp, turn], links, order=Order.GAUSS_SEIDEL).run(1.0, 0.01)
    assert result.of("turn.seen")[50] == pytest.approx(result.of("ramp.level")[50])
    assert np.abs(result.of("ramp.level")[80:]).max() < 0.02


def gains(tmp_path: Path, g: float, c: float) -> list[Any]:
    path = build(tmp_path, "Gain")
    here = allowed(tmp_path, path)
    return [
        FmuProcess(path, here, name="a", parameters={"g": g, "c": c}),
        FmuProcess(path, here, name="b", parameters={"g": 1.0}),
    ]


LOOP = (Connection("a.y", "b.u"), Connection("b.y", "a.u"))


def test_a_loop_without_delay_is_named_and_solved_if_wanted(tmp_path: Path) -> None:
    with pytest.raises(FmiError, match=r"a\.u → a\.y → b\.u → b\.y → a\.u.*loops=iterate"):
        Master(gains(tmp_path, -3.0, 8.0), LOOP)
    # y = -3 y + 8, where repeating alone would diverge
    solved = Master(gains(tmp_path, -3.0, 8.0), LOOP, loops=Loops.ITERATE).run(0.5, 0.1)
    assert solved.of("a.y") == pytest.approx(np.full(6, 2.0), abs=1e-8)
    delayed = Master(gains(tmp_path, 0.5, 1.0), LOOP, loops=Loops.DELAY).run(4.0, 0.1)
    assert delayed.of("a.y")[-1] == pytest.approx(2.0, abs=1e-5)
    assert abs(delayed.of("a.y")[1] - 2.0) > 0.1
    with pytest.raises(
        FmiError, match=r"at the start the loop is not solved: .*no single solution"
    ):
        Master(gains(tmp_path, 1.0, 1.0), LOOP, loops=Loops.ITERATE).run(0.5, 0.1)


def test_iterated_steps_of_a_loop_with_memory_are_implicit(tmp_path: Path) -> None:
    """With both inputs taken at the end of the step, energy is lost, never made."""
    units = two_masses(tmp_path)
    for unit in units:
        unit.feedthrough = dict.fromkeys(unit.feedthrough)
    result = Master(units, SPRING, loops=Loops.ITERATE).run(2.0, 0.05)
    energy = (
        result.of("mass.v") ** 2 + result.of("spring.v") ** 2 + result.of("spring.stretch") ** 2
    )
    assert np.all(np.diff(energy) < 1e-9)
    assert error(result) < 0.1


def test_what_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    mass, spring = two_masses(tmp_path)
    with pytest.raises(UnitError, match=r"mass\.x → spring\.speed: unit 'm' does not fit 'm/s'"):
        Master([mass, spring], [Connection("mass.x", "spring.speed")])
    with pytest.raises(FmiError, match=r"no unit has the input 'spring\.sped'; did you mean"):
        Master([mass, spring], [Connection("mass.v", "spring.sped")])
    with pytest.raises(FmiError, match="feeds it already"):
        Master([mass, spring], [*SPRING, Connection("spring.v", "spring.speed")])
    with pytest.raises(FmiError, match="a connection feeds it already"):
        Master([mass, spring], SPRING, constants={"mass.force": 1.0})
    with pytest.raises(UnitError, match=r"bond 'x', mass\.v × mass\.x"):
        Master([mass, spring], SPRING, bonds=[Bond("x", "mass.v", "mass.v", "mass.x", "mass.x")])
    with pytest.raises(FmiError, match="two units are called 'mass'"):
        Master([mass, mass])
    for unit in (mass, spring):
        unit.close()


@pytest.mark.parametrize("how", [1, 2, 3, 4])
def test_a_unit_that_ends_takes_along_only_who_is_fed_by_it(tmp_path: Path, how: int) -> None:
    paths = [build(tmp_path, model) for model in ("Bad", "Gain", "Dahlquist")]
    here = allowed(tmp_path, *paths)
    limits = Limits(step_timeout_s=1.0 if how == 2 else 60.0)
    bad = FmuProcess(paths[0], here, name="bad", parameters={"how": how, "at": 0.5}, limits=limits)
    gain = FmuProcess(paths[1], here, name="gain", parameters={"g": 2.0})
    alone = FmuProcess(paths[2], here, name="alone")
    result = Master([bad, gain, alone], [Connection("bad.y", "gain.u")]).run(1.0, 0.1)
    (ended,) = result.ended
    assert ended.unit == "bad"
    assert ended.time_s == pytest.approx(0.5 if how == 3 else 0.4)
    assert result.stopped == {"gain": "unit 'bad', which feeds it, has ended"}
    assert result.of("alone.x")[-1] == pytest.approx(math.exp(-1))
    assert result.of("bad.y")[:5] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert np.isnan(result.of("bad.y")[5:]).all()
    assert len(result.findings()) == 2


def test_a_model_in_python_that_breaks_ends_alone() -> None:
    class Breaks(Ramp):
        def step(self, time_s: float, step_s: float, inputs: Mapping[str, float]) -> Any:
            return {"level": 1 / (0.3 - time_s) if time_s < 0.29 else 1 / 0}

    result = Master([PythonUnit(Breaks, "breaks"), PythonUnit(Ramp, "ramp")]).run(1.0, 0.1)
    assert "ZeroDivisionError" in str(result.ended[0])
    assert result.of("ramp.level")[-1] == pytest.approx(1 - 0.7312)
