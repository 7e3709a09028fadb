"""A coupled system as its owner writes it down: one JSON file beside the units that it names.

    {"units": {"pump": {"fmu": "pump.fmu", "parameters": {"k": 2.0}},
               "control": {"python": "plant.control:Governor"}},
     "connections": [["pump.pressure", "control.pressure"], ["control.speed", "pump.speed"]],
     "from_world": {"pump.demand": "line1/pump.demand"},
     "to_world": {"pump.pressure": "line1/pump.pressure"},
     "step_s": 0.1}

Further: `bonds`, `watches`, `constants`, `order`, `inputs`, `loops`, `limits`; they are what
`master.py` and `process.py` say. Paths are below the file's folder. What is unknown is refused.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import json
import math
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from mirrorworld.simulation.fmi.allowed import AllowList
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.conservation import Bond
from mirrorworld.simulation.fmi.graph import Connection
from mirrorworld.simulation.fmi.master import Master
from mirrorworld.simulation.fmi.methods import Inputs, Loops, Order
from mirrorworld.simulation.fmi.ports import CoupledUnit
from mirrorworld.simulation.fmi.process import FmuProcess, Limits
from mirrorworld.simulation.fmi.python_unit import PythonUnit

SIZE_BYTES_MAX: Final = 1 << 20
UNITS_MAX: Final = 200

E = TypeVar("E", Order, Inputs, Loops)


@dataclass(frozen=True, slots=True)
class UnitSpec:
    """One unit: an FMU by its file, or a Python model by `module:Class`."""

    fmu: str = ""
    python: str = ""
    parameters: Mapping[str, float | bool | str] = field(
        default_factory=dict[str, float | bool | str]
    )


@dataclass(frozen=True, slots=True)
class System:
    """Units, what joins them, and how they step."""

    units: Mapping[str, UnitSpec]
    connections: tuple[Connection, ...] = ()
    bonds: tuple[Bond, ...] = ()
    watches: tuple[str, ...] = ()
    constants: Mapping[str, float] = field(default_factory=dict[str, float])
    from_world: Mapping[str, str] = field(default_factory=dict[str, str])
    """Input `unit.variable` -> `twin.point`, or a number in a property as `twin.property/path`."""
    to_world: Mapping[str, str] = field(default_factory=dict[str, str])
    """Output `unit.variable` -> `twin.point`."""
    step_s: float = 0.1
    order: Order = Order.JACOBI
    inputs: Inputs = Inputs.HOLD
    loops: Loops = Loops.REFUSE
    limits: Limits = field(default_factory=Limits)

    def master(self, directory: Path, allowed: AllowList | None = None) -> Master:
        """The master of these units, nothing of which runs yet.

        Args:
            directory: where the files are.
            allowed: the owner's list; None: the one in that directory.

        Raises:
            FmiError, UnitError: something does not fit, or is not allowed to run.
        """
        made: list[CoupledUnit] = []
        try:
            for name, spec in self.units.items():
                made.append(self._unit(name, spec, directory, allowed or AllowList(directory)))
            return Master(
                made,
                self.connections,
                bonds=self.bonds,
                watches=self.watches,
                order=self.order,
                inputs=self.inputs,
                loops=self.loops,
                constants=self.constants,
            )
        except BaseException:
            for unit in made:
                unit.close()
            raise

    def _used(self, name: str) -> list[str]:
        """The inputs of a unit that something feeds or that a bond looks at; the others are left
        to the unit."""
        fed = [connection.target for connection in self.connections]
        fed += [*self.constants, *self.from_world]
        return list(dict.fromkeys(
            one[len(name) + 1 :] for one in fed if one.startswith(name + ".")
        ))  # fmt: skip

    def _unit(self, name: str, spec: UnitSpec, directory: Path, allowed: AllowList) -> CoupledUnit:
        if spec.fmu:
            path = below(directory, spec.fmu)
            return FmuProcess(
                path,
                allowed,
                name=name,
                inputs=self._used(name),
                parameters=spec.parameters,
                limits=self.limits,
            )
        numbers = {
            key: float(value)
            for key, value in spec.parameters.items()
            if not isinstance(value, str)
        }
        if len(numbers) < len(spec.parameters):
            raise FmiError(f"unit '{name}': a Python model's parameters are numbers")
        return PythonUnit(named_class(spec.python, f"unit '{name}'"), name, **numbers)


def below(directory: Path, name: str) -> Path:
    """The file of a name below a folder; FmiError if it leads out of it."""
    path = (directory / name).resolve()
    if not path.is_relative_to(directory.resolve()):
        raise FmiError(f"'{name}' leads out of {directory}; put the file below it")
    return path


def named_class(name: str, place: str) -> Any:
    """The class `module:Class`, imported; FmiError says what is wrong with it."""
    module, colon, attribute = name.partition(":")
    if not (colon and module and attribute):
        raise FmiError(f"{place}: '{name}' does not read like module:Class")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise FmiError(f"{place}: {name} cannot be imported ({error})") from None


def read_system(path: Path) -> System:
    """The system in a file.

    Raises:
        FmiError: it is none; the message names the key.
    """
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            data = stream.read(SIZE_BYTES_MAX + 1)
        if os.name == "posix" and mode & stat.S_IWOTH:
            raise FmiError(f"{path}: anybody may write it, and it names code; chmod o-w mends it")
        if len(data) > SIZE_BYTES_MAX:
            raise FmiError(f"{path}: larger than {SIZE_BYTES_MAX} bytes, which no system is")
        plain: Any = json.loads(data)
    except OSError as error:
        raise FmiError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise FmiError(f"{path}: not JSON: {error}") from None
    return system_of(plain, str(path))


def system_of(plain: Any, place: str) -> System:
    """The system that plain data is; see `read_system`."""
    rows = _table(plain, place)
    known = [f.name for f in dataclasses.fields(System)]
    _known(rows, known, place)
    units = {
        name: _unit_spec(row, f"{place}: units.{name}")
        for name, row in _table(rows.get("units", {}), f"{place}: units").items()
    }
    if not 1 <= len(units) <= UNITS_MAX:
        raise FmiError(f"{place}: {len(units)} units; give 1 to {UNITS_MAX}")
    return System(
        units,
        tuple(
            _connection(row, f"{place}: connections") for row in _list(rows, "connections", place)
        ),
        tuple(_made(Bond, row, f"{place}: bonds") for row in _list(rows, "bonds", place)),
        tuple(str(name) for name in _list(rows, "watches", place)),
        _numbers(rows.get("constants", {}), f"{place}: constants"),
        _texts(rows.get("from_world", {}), f"{place}: from_world"),
        _texts(rows.get("to_world", {}), f"{place}: to_world"),
        _positive(rows.get("step_s", 0.1), f"{place}: step_s"),
        _choice(Order, rows.get("order", Order.JACOBI.value), f"{place}: order"),
        _choice(Inputs, rows.get("inputs", Inputs.HOLD.value), f"{place}: inputs"),
        _choice(Loops, rows.get("loops", Loops.REFUSE.value), f"{place}: loops"),
        _made(Limits, rows.get("limits", {}), f"{place}: limits"),
    )


def _unit_spec(plain: Any, place: str) -> UnitSpec:
    spec = _made(UnitSpec, plain, place)
    if bool(spec.fmu) == bool(spec.python):
        raise FmiError(f"{place}: give its file as fmu, or its class as python")
    for key, value in _table(spec.parameters, f"{place}.parameters").items():
        if not isinstance(value, bool | int | float | str):
            raise FmiError(f"{place}.parameters.{key}: {value!r:.40} is no value")
    return spec


def _connection(plain: Any, place: str) -> Connection:
    if not (isinstance(plain, list) and len(plain) == 2 and all(isinstance(x, str) for x in plain)):
        raise FmiError(f'{place}: {plain!r:.80} is no pair like ["pump.p", "tank.p"]')
    return Connection(*plain)


def _made(shape: Callable[..., Any], plain: Any, place: str) -> Any:
    rows = _table(plain, place)
    fields = {f.name: f for f in dataclasses.fields(shape)}  # pyright: ignore[reportArgumentType]
    _known(rows, fields, place)
    for key, value in rows.items():
        kind = fields[key].type
        if kind == "str" and not isinstance(value, str):
            raise FmiError(f"{place}.{key}: {value!r:.40} is no text")
        if kind == "bool" and not isinstance(value, bool):
            raise FmiError(f"{place}.{key}: {value!r:.40} is not true or false")
        if kind in ("float", "int"):
            _positive(value, f"{place}.{key}")
    try:
        return shape(**rows)
    except TypeError as error:
        raise FmiError(f"{place}: {error}") from None


def _table(plain: Any, place: str) -> dict[str, Any]:
    if not isinstance(plain, Mapping) or not all(isinstance(key, str) for key in plain):
        raise FmiError(f"{place}: {plain!r:.60} is no table of names")
    return dict(plain)


def _known(rows: Iterable[str], known: Iterable[str], place: str) -> None:
    for key in rows:
        if key not in known:
            near = difflib.get_close_matches(key, list(known), 1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            raise FmiError(f"{place}: '{key[:60]}' is unknown; {hint}")


def _list(rows: Mapping[str, Any], key: str, place: str) -> list[Any]:
    found = rows.get(key, [])
    if not isinstance(found, list):
        raise FmiError(f"{place}: {key} is no list")
    return found


def _numbers(plain: Any, place: str) -> dict[str, float]:
    rows = _table(plain, place)
    for key, value in rows.items():
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise FmiError(f"{place}.{key}: {value!r:.40} is no number")
    return {key: float(value) for key, value in rows.items()}


def _texts(plain: Any, place: str) -> dict[str, str]:
    rows = _table(plain, place)
    for key, value in rows.items():
        if not isinstance(value, str):
            raise FmiError(f"{place}.{key}: {value!r:.40} is no text")
    return rows


def _positive(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise FmiError(f"{place}: {value!r:.40}; give a number above 0")
    return value


def _choice(kind: type[E], value: Any, place: str) -> E:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(one.value for one in kind)
        raise FmiError(f"{place}: {value!r:.40}; there are {known}") from None
