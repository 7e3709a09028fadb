"""A unit in its own process: exact answers, and whatever it does wrong is named and survived."""

from __future__ import annotations

import dataclasses
import gc
import subprocess
import sys
import time
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import psutil
import pytest

from mirrorworld.simulation.fmi.allowed import AllowList, NotAllowedError
from mirrorworld.simulation.fmi.archive import FmiError, platform_folder
from mirrorworld.simulation.fmi.ports import UnitEnded, starts
from mirrorworld.simulation.fmi.process import FmuProcess, Limits
from tests.simulation.fmi.built import MODELS, allowed, build, description, needs_compiler

pytestmark = needs_compiler

HANGS = 2


@cache
def lacking() -> str:
    """What a process here cannot be kept from; asked of one that may be confined."""
    code = (
        "import sys; from pathlib import Path; from mirrorworld.simulation.fmi import confinement;"
        " print(*confinement.confine(Path(sys.argv[1])), sep=',')"
    )
    command = [sys.executable, "-c", code, "/tmp"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


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
        rows, last = unit.run(1.0, 0.1, 20_000)
        assert last.time_s == pytest.approx(2_001.0)
        assert rows[:20, 0] == pytest.approx(np.exp(-2 * (1 + np.arange(1, 21) * 0.1)), rel=1e-9)
        assert rows.shape == (20_000, 1)


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
        (HANGS, "no answer within 1 s", ""),
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
    limits = Limits(step_timeout_s=1.0 if how == HANGS else 60.0, memory_bytes=256 << 20)
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


def test_a_unit_that_writes_into_every_pipe_is_ended(tmp_path: Path) -> None:
    path = build(tmp_path, "Bad")
    with FmuProcess(path, allowed(tmp_path, path), parameters={"how": 10, "at": 0.5}) as unit:
        begun(unit)
        unit.step(0.0, 0.25, np.empty(0))
        with pytest.raises(UnitEnded, match=r"at t = 0\.25 s: what it answers is nonsense"):
            unit.step(0.25, 0.25, np.empty(0))


def test_what_a_unit_prints_is_no_answer(tmp_path: Path) -> None:
    path = build(tmp_path, "Bad")
    with FmuProcess(path, allowed(tmp_path, path), parameters={"how": 9, "at": 0.1}) as unit:
        begun(unit)
        for n in range(5):
            assert unit.step(n * 0.1, 0.1, np.empty(0)).outputs[0] == pytest.approx((n + 1) * 0.1)


needs_landlock = pytest.mark.skipif(
    "writing elsewhere" in lacking(), reason="this kernel has no Landlock (Linux 5.13)"
)


@needs_landlock
def test_a_unit_writes_nowhere_but_in_its_own_folder(tmp_path: Path) -> None:
    path = build(tmp_path, "Bad")
    here, outside = allowed(tmp_path, path), tmp_path / "outside"
    with FmuProcess(path, here, parameters={"how": 7, "at": 0.1, "path": str(outside)}) as unit:
        begun(unit)
        with pytest.raises(UnitEnded, match="fmi2DoStep: error"):
            unit.step(0.0, 0.1, np.empty(0))
    assert not outside.exists()
    with FmuProcess(path, here, parameters={"how": 7, "at": 0.1, "path": "inside"}) as unit:
        begun(unit)
        assert unit.step(0.0, 0.1, np.empty(0)).outputs == pytest.approx([0.1])
        assert "writing elsewhere" not in unit.lacks


@needs_landlock
def test_without_confinement_it_could(tmp_path: Path) -> None:
    """The test above would otherwise pass with a unit that never writes."""
    path, outside = build(tmp_path, "Bad"), tmp_path / "outside"
    parameters = {"how": 7, "at": 0.1, "path": str(outside)}
    limits = Limits(is_confined=False)
    with FmuProcess(path, allowed(tmp_path, path), parameters=parameters, limits=limits) as unit:
        begun(unit)
        unit.step(0.0, 0.1, np.empty(0))
    assert outside.read_text() == "outside"


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_states_are_kept_and_given_back(tmp_path: Path, version: str) -> None:
    path = build(tmp_path, "Mass", version)
    here, force = allowed(tmp_path, path), np.array([1.0])
    with FmuProcess(path, here) as unit:
        begun(unit)
        unit.step(0.0, 1.0, force)
        state = unit.save()
        after = unit.step(1.0, 1.0, force).outputs
        unit.restore(state)
        assert unit.step(1.0, 1.0, force).outputs == pytest.approx(after)
        unit.free(state)
        with pytest.raises(UnitEnded, match="state 1 is not kept here"):
            unit.restore(state)


def test_a_state_travels_as_bytes_to_another_instance(tmp_path: Path) -> None:
    path = build(tmp_path, "Mass", canSerializeFMUstate=True)
    here, force = allowed(tmp_path, path), np.array([1.0])
    with FmuProcess(path, here) as one, FmuProcess(path, here) as other:
        begun(one)
        begun(other)
        one.step(0.0, 1.0, force)
        data = one.serialise(one.save())
        other.restore(other.deserialise(data))
        assert other.step(1.0, 1.0, force).outputs == pytest.approx(
            one.step(1.0, 1.0, force).outputs
        )


ABANDONS = """
import os, sys
from pathlib import Path
import numpy as np
from mirrorworld.simulation.fmi.allowed import AllowList
from mirrorworld.simulation.fmi.process import FmuProcess
unit = FmuProcess(Path(sys.argv[1]), AllowList(Path(sys.argv[1]).parent), parameters={"how": 2})
unit.initialise(0.0, None, None, np.empty(0))
unit.begin()
unit.begin_step(0.0, 1.0, np.empty(0))  # it hangs
print(unit._child._process.pid, unit._folder, flush=True)
os._exit(1)
"""


def test_a_unit_that_hangs_does_not_outlive_its_owner(tmp_path: Path) -> None:
    path = build(tmp_path, "Bad")
    allowed(tmp_path, path)
    command = [sys.executable, "-c", ABANDONS, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    pid, folder = done.stdout.split()
    until = time.monotonic() + 30
    while psutil.pid_exists(int(pid)) and psutil.Process(int(pid)).status() != "zombie":
        assert time.monotonic() < until, "it still runs"
        time.sleep(0.05)
    # What it was unpacked to is gone; confined, it cannot remove the empty folder itself.
    left = Path(folder)
    assert not left.exists() or not list(left.iterdir())
    if left.exists():
        left.rmdir()


def test_a_worker_that_a_person_starts_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(bytes(4096))
    command = [sys.executable, "-m", "mirrorworld.simulation.fmi.worker"]
    subprocess.run(command, cwd=tmp_path, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert (tmp_path / "rows").exists()


def test_an_instance_runs_once(tmp_path: Path) -> None:
    path = build(tmp_path, "Dahlquist")
    unit = FmuProcess(path, allowed(tmp_path, path))
    with pytest.raises(FmiError, match="is not initialised"):
        unit.step(0.0, 0.1, np.empty(0))
    begun(unit)
    unit.close()
    with pytest.raises(FmiError, match="is not initialised, or closed"):
        begun(unit)
    with pytest.raises(FmiError, match="has run already"):
        unit.prepare()


def test_its_process_ends_with_it(tmp_path: Path) -> None:
    path = build(tmp_path, "Dahlquist")
    unit = FmuProcess(path, allowed(tmp_path, path))
    begun(unit)
    child = unit._child
    assert child is not None
    process, folder = child._process, unit._folder
    assert process.poll() is None and folder.is_dir()
    del unit, child
    gc.collect()
    assert process.poll() is not None
    assert not folder.exists()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kk": 1.0}, "has no variable 'kk'"),
        ({"x": 1.0}, "is output and cannot be set"),
        ({"k": float("nan")}, "nan is not within"),
        ({"k": "fast"}, "is a Real; 'fast' is none"),
    ],
)
def test_parameters_are_checked(
    tmp_path: Path, parameters: dict[str, float | bool | str], message: str
) -> None:
    path = build(tmp_path, "Dahlquist")
    with pytest.raises(FmiError, match=message):
        FmuProcess(path, allowed(tmp_path, path), parameters=parameters)


def test_a_unit_for_another_platform_and_one_without_its_library(tmp_path: Path) -> None:
    path = build(tmp_path, "Dahlquist", platform="amiga68k")
    with pytest.raises(FmiError, match=r"no binary for this platform .*; it has amiga68k"):
        FmuProcess(path, allowed(tmp_path, path))
    text = description("Dahlquist", "2.0", MODELS["Dahlquist"], {})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("modelDescription.xml", text)
        archive.writestr(f"binaries/{platform_folder('2.0')}/other.so", b"")
    with pytest.raises(FmiError, match=r"holds no Dahlquist\.so"):
        begun(FmuProcess(path, allowed(tmp_path, path)))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("modelDescription.xml", text)
        archive.writestr(f"binaries/{platform_folder('2.0')}/Dahlquist.so", b"no library")
    unit = FmuProcess(path, allowed(tmp_path, path))
    with pytest.raises(UnitEnded, match="loading: "):
        begun(unit)
    unit.close()


def test_a_unit_of_model_exchange_only_is_refused(tmp_path: Path) -> None:
    path = build(tmp_path, "Dahlquist")
    text = description("Dahlquist", "2.0", MODELS["Dahlquist"], {})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("modelDescription.xml", text.replace("CoSimulation", "ModelExchange"))
    with pytest.raises(FmiError, match="offers model exchange only"):
        FmuProcess(path, AllowList(tmp_path))


def test_arrays_of_fmi_3_are_rows(tmp_path: Path) -> None:
    variables = (
        dataclasses.replace(MODELS["Mass"][2], name="all", reference=0, size=4, unit=""),
        MODELS["Mass"][3],
    )
    path = build(tmp_path, "Mass", "3.0", variables=variables)
    with FmuProcess(path, allowed(tmp_path, path), parameters={"m": 3.0}) as unit:
        assert begun(unit) == pytest.approx([0.0, 0.0, 1.0, 3.0])
        assert unit.step(0.0, 0.5, np.empty(0)).outputs == pytest.approx([0.0, 0.5, 1.0, 3.0])
