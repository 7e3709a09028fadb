"""A unit in its own process: exact answers, and whatever it does wrong is named and survived."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mirrorworld.simulation.fmi.allowed import AllowList, NotAllowedError
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.ports import UnitEnded, starts
from mirrorworld.simulation.fmi.process import FmuProcess, Limits
from tests.simulation.fmi.built import allowed, build, needs_compiler

pytestmark = needs_compiler


def begun(unit: FmuProcess, start_s: float = 0.0) -> np.ndarray:
    """Initialises a unit and ends its initialisation; returns its first outputs."""
    unit.initialise(start_s, None, None, starts(unit.inputs))
    return unit.begin().outputs


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_steps_are_those_of_the_exact_solution(tmp_path: Path, version: str) -> None:
    path = build(tmp_path, "Dahlquist", version)
    with FmuProcess(path, allowed(tmp_path, path), parameters={"k": 2.0}) as unit:
        assert begun(unit) == pytest.approx([1.0])
        times = np.arange(1, 11) * 0.1
        stepped = [unit.step(t - 0.1, 0.1, np.empty(0)).outputs[0] for t in times]
        assert stepped == pytest.approx(np.exp(-2 * times), rel=1e-12)
        rows, last = unit.run(1.0, 0.1, 100_000)
        assert last.time_s == pytest.approx(10_001.0)
        assert rows[:20, 0] == pytest.approx(np.exp(-2 * (1 + np.arange(1, 21) * 0.1)), rel=1e-9)
        assert rows.shape == (100_000, 1)


def test_nothing_runs_that_is_not_allowed(tmp_path: Path) -> None:
    path = build(tmp_path, "Dahlquist")
    with pytest.raises(NotAllowedError, match=r"mirrorworld fmu allow .*Dahlquist2\.fmu --dir"):
        FmuProcess(path, AllowList(tmp_path))
    here = allowed(tmp_path, path)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(FmiError):
        FmuProcess(path, here)


@pytest.mark.parametrize(
    ("how", "why", "variable"),
    [
        (1, "SIGSEGV", ""),
        (2, "no answer within 0.5 s", ""),
        (3, "it gives nan", "y"),
        (4, "fmi2DoStep: error", ""),
        (5, "fmi2DoStep: discard, with nothing of the step computed", ""),
        (6, "SIGABRT", ""),
        (8, "status 7", ""),
    ],
)
def test_what_goes_wrong_is_named_and_the_rest_is_kept(
    tmp_path: Path, how: int, why: str, variable: str
) -> None:
    path = build(tmp_path, "Bad")
    limits = Limits(step_timeout_s=0.5, memory_bytes=256 << 20)
    here = allowed(tmp_path, path)
    with FmuProcess(path, here, parameters={"how": how, "at": 0.5}, limits=limits) as unit:
        begun(unit)
        with pytest.raises(UnitEnded) as caught:
            unit.run(0.0, 0.125, 1_000_000)
        ended = caught.value
        assert ended.unit == "Bad"
        assert why in ended.why
        assert ended.variable == variable
        assert ended.time_s == pytest.approx(0.375 if not variable else 0.5)
        assert ended.rows[:, 0] == pytest.approx([0.125, 0.25, 0.375])  # pyright: ignore
        with pytest.raises(UnitEnded):
            unit.step(0.375, 0.125, np.empty(0))


def test_what_a_unit_prints_is_no_answer(tmp_path: Path) -> None:
    path = build(tmp_path, "Bad")
    with FmuProcess(path, allowed(tmp_path, path), parameters={"how": 9, "at": 0.1}) as unit:
        begun(unit)
        for n in range(5):
            assert unit.step(n * 0.1, 0.1, np.empty(0)).outputs[0] == pytest.approx((n + 1) * 0.1)
