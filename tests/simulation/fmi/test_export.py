"""A Python model as an FMU and back: valid to fmpy, and the same numbers as without."""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fmpy.validation import validate_fmu

from mirrorworld.simulation.fmi.allowed import AllowList
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.description import describe
from mirrorworld.simulation.fmi.export import export
from mirrorworld.simulation.fmi.graph import Connection
from mirrorworld.simulation.fmi.master import Master
from mirrorworld.simulation.fmi.process import FmuProcess
from mirrorworld.simulation.fmi.python_unit import PythonUnit
from mirrorworld.simulation.fmi.quantities import Quantity, quantity_of
from mirrorworld.units import UnitError

SOURCE = '''
import math


class Tank:
    """A tank that drains through a hole in its bottom."""

    inputs = {"inflow": (0.0, "L/min")}
    outputs = {"level": "mm", "temperature": "Cel"}
    parameters = {"area": (1.0, "m2"), "drain": (0.1, "/s"), "begin": (100.0, "mm")}

    def __init__(self, area, drain, begin):
        self.area, self.drain, self.level = area, drain, begin

    def start(self, time_s, inputs):
        return {"level": self.level, "temperature": 20.0 + inputs["inflow"]}

    def step(self, time_s, step_s, inputs):
        steady = inputs["inflow"] / 60 / self.area / self.drain
        self.level = steady + (self.level - steady) * math.exp(-self.drain * step_s)
        return {"level": self.level, "temperature": 20.0}
'''


@pytest.fixture(scope="module")
def tank(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The class, and the FMU that it was exported as."""
    folder = tmp_path_factory.mktemp("tank")
    made = module(folder, "tank_model", SOURCE).Tank
    return made, export(made, folder)


def module(folder: Path, name: str, source: str) -> Any:
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


def test_it_is_valid_and_says_its_units(tank: tuple[Any, Path]) -> None:
    path = tank[1]
    assert validate_fmu(str(path)) == []
    said = describe(path)
    units = {v.name: quantity_of(said, v) for v in said.variables}
    assert units["level"] == Quantity("mm")
    assert units["temperature"] == Quantity("Cel")
    assert units["inflow"] == Quantity("L/min")
    assert said.feedthrough == {"level": (), "temperature": ()}
    can = said.co_simulation
    assert can is not None and can.can_save and can.can_vary_step and can.needs_tool


def test_it_gives_the_same_numbers_here_and_in_fmpy(tank: tuple[Any, Path], tmp_path: Path) -> None:
    made, path = tank
    here = AllowList(tmp_path)
    here.allow(path, by="owner", at="2026-01-01T00:00:00Z")
    flow = {"tank.inflow": 30.0}
    fmu = FmuProcess(path, here, name="tank", parameters={"begin": 50.0})
    there = Master([fmu], constants=flow).run(5.0, 0.5)
    beside = Master([PythonUnit(made, "tank", begin=50.0)], constants=flow).run(5.0, 0.5)
    exact = 5 + 45 * np.exp(-0.1 * there.times_s)
    assert there.of("tank.level") == pytest.approx(exact, rel=1e-12)
    assert np.array_equal(there.values, beside.values)
    assert there.of("tank.temperature")[0] == 50.0
    assert simulated_by_fmpy(path) == pytest.approx(exact, rel=1e-12)


def simulated_by_fmpy(path: Path) -> list[float]:
    """Levels from fmpy alone, in a process of its own: a unit's library may harm what loads it."""
    code = (
        "import sys, json, fmpy; found = fmpy.simulate_fmu(sys.argv[1], stop_time=5.0,"
        " output_interval=0.5, start_values={'begin': 50.0, 'inflow': 30.0});"
        " print(json.dumps(list(found['level'])), flush=True)"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stdout.splitlines()[0])


def test_it_can_go_back_to_a_state(tank: tuple[Any, Path], tmp_path: Path) -> None:
    here = AllowList(tmp_path)
    here.allow(tank[1], by="owner", at="2026-01-01T00:00:00Z")
    fmu = FmuProcess(tank[1], here, name="tank")
    fine = Master([fmu], constants={"tank.inflow": 0.0}).run(2.0, 0.5, tolerance=1e-6)
    assert fine.of("tank.level")[-1] == pytest.approx(100 * math.exp(-0.2), rel=1e-12)
    assert fine.steps >= 2


def test_beside_a_python_model_units_are_converted(tank: tuple[Any, Path], tmp_path: Path) -> None:
    path = tank[1]
    here = AllowList(tmp_path)
    here.allow(path, by="owner", at="2026-01-01T00:00:00Z")
    text = SOURCE.replace('"L/min"', '"m3/h"').replace("Tank", "Pond").replace('"Cel"', '"K"')
    pond = PythonUnit(module(tmp_path, "pond_model", text).Pond, "pond")
    unit = FmuProcess(path, here, name="tank")
    with pytest.raises(UnitError, match=r"tank\.level → pond\.inflow: unit 'mm'"):
        Master([unit, pond], [Connection("tank.level", "pond.inflow")])
    link = [Connection("tank.level", "second.inflow")]
    named = SOURCE.replace('"L/min"', '"m"').replace("Tank", "Second")
    second = PythonUnit(module(tmp_path, "second_model", named).Second, "second")
    result = Master([unit, second], link).run(0.5, 0.5)
    # 100 mm of the first are 0.1 m to the second, which shows them in its temperature.
    assert result.of("second.temperature")[0] == pytest.approx(20.1)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class M:\n    inputs = {}\n    outputs = {}\n", "no parameters"),
        (
            "class M:\n    inputs = {'a b': (0, 'm')}\n    outputs = {}\n    parameters = {}\n"
            "    def step(self, *_): return {}\n",
            "has a name of its own",
        ),
        (
            "class M:\n    inputs = {'a': (0, 'metres')}\n    outputs = {}\n    parameters = {}\n"
            "    def step(self, *_): return {}\n",
            "unit 'metres' is not UCUM",
        ),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, source: str, message: str) -> None:
    made = module(tmp_path, "no_model", source).M
    with pytest.raises(ValueError, match=message):
        export(made, tmp_path)


def test_a_model_that_cannot_stand_alone_is_named(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("X = 1\n")
    sys.path.insert(0, str(tmp_path))
    try:
        made = module(tmp_path, "needs_beside", "import beside\n" + SOURCE).Tank
    finally:
        sys.path.remove(str(tmp_path))
    with pytest.raises(FmiError, match="No module named 'beside'"):
        export(made, tmp_path / "a.fmu")
    path = export(made, tmp_path / "b.fmu", takes_along=[tmp_path / "beside.py"])
    assert validate_fmu(str(path)) == []
