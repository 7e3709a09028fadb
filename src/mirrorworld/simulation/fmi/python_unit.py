"""A model written in Python, coupled beside FMUs by the same port.

Such a model is any class with `inputs`, `outputs`, `parameters` and `step`; it needs to import
nothing of this package, so that it can be exported as an FMU that runs alone (`export.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mirrorworld import units
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.ports import Port, Row, StepEnd, UnitEnded, bad_port
from mirrorworld.simulation.fmi.quantities import Quantity


@runtime_checkable
class PythonModel(Protocol):
    """The shape of a model in Python.

    It may also have `start(time_s, inputs) -> outputs`; without it the outputs start at 0. It may
    have `feedthrough: {output: (inputs,)}` for outputs that depend on inputs without delay.
    """

    inputs: Mapping[str, tuple[float, str]]
    """Name -> (start, UCUM unit)."""
    outputs: Mapping[str, str]
    """Name -> UCUM unit."""
    parameters: Mapping[str, tuple[float, str]]
    """Name -> (default, UCUM unit); the constructor takes them by keyword."""

    def step(
        self, time_s: float, step_s: float, inputs: Mapping[str, float]
    ) -> Mapping[str, float]:
        """Goes on by `step_s` with inputs that hold; returns the outputs at the end of it."""
        ...


def checked(made: Any, place: str) -> None:
    """Whether a class has the shape of a model, and its units are UCUM; FmiError, UnitError."""
    for name in ("inputs", "outputs", "parameters", "step"):
        if not hasattr(made, name):
            raise FmiError(f"{place}: a model has inputs, outputs, parameters and step; no {name}")
    seen: set[str] = set()
    for kind in ("inputs", "parameters", "outputs"):
        for name, said in getattr(made, kind).items():
            where = f"{place}: {kind} '{name}'"
            if not str(name).isidentifier() or name in seen:
                raise FmiError(f"{where}: a variable has a name of its own, as in Python")
            seen.add(name)
            unit = said if kind == "outputs" else said[1]
            units.check(unit, where)


class PythonUnit:
    """A CoupledUnit around a model; see `ports.py` for the verbs.

    Raises:
        FmiError: the class has not the shape of a model, or takes no such parameter.
    """

    can_vary_step = True
    can_save = True
    can_interpolate = False
    has_events = False

    def __init__(
        self, make: Callable[..., PythonModel], name: str = "", **parameters: float
    ) -> None:
        self.name = name or getattr(make, "__name__", "model")
        checked(make, self.name)
        known: Mapping[str, tuple[float, str]] = make.parameters  # pyright: ignore[reportFunctionMemberAccess]
        for key in parameters:
            if key not in known:
                raise FmiError(
                    f"unit '{self.name}': no parameter '{key}'; it has {', '.join(known)}"
                )
        self._make = make
        self._parameters = {key: start for key, (start, _) in known.items()} | parameters
        said: Any = make
        self.inputs: Sequence[Port] = tuple(
            Port(key, Quantity(unit), start=(float(start),))
            for key, (start, unit) in said.inputs.items()
        )
        self.outputs: Sequence[Port] = tuple(
            Port(key, Quantity(unit)) for key, unit in said.outputs.items()
        )
        direct = getattr(make, "feedthrough", {})
        self.feedthrough: Mapping[str, Sequence[str] | None] = {
            port.name: tuple(direct.get(port.name, ())) for port in self.outputs
        }
        self._model: Any = None
        self._time_s = 0.0
        self._states: dict[int, Any] = {}
        self._last = 0
        self._end: StepEnd | None = None

    def prepare(self) -> None:
        """Nothing to get ready."""

    def initialise(
        self, start_s: float, stop_s: float | None, tolerance: float | None, inputs: Row
    ) -> Row:
        """Makes the model; returns the outputs that it starts with."""
        self._time_s = start_s
        self._model = self._guarded(lambda: self._make(**self._parameters))
        return self.settle(inputs)

    def settle(self, inputs: Row) -> Row:
        """Outputs at the start, for these inputs."""
        start = getattr(self._model, "start", None)
        row = np.zeros(len(self.outputs))
        if start is not None:
            row = self._row(self._guarded(lambda: start(self._time_s, self._named(inputs))))
        self._end = StepEnd(row, self._time_s)
        return row

    def begin(self) -> StepEnd:
        """Nothing more to do; the outputs are those of `settle`."""
        return self.finish_step()

    def begin_step(
        self,
        time_s: float,
        step_s: float,
        inputs: Row,
        slopes: Row | None = None,
        may_restore: bool = False,
    ) -> None:
        """Steps; here, at once."""
        self._time_s = time_s
        named = self._named(inputs)
        row = self._row(self._guarded(lambda: self._model.step(time_s, step_s, named)))
        self._time_s = time_s + step_s
        self._end = StepEnd(row, self._time_s)

    def finish_step(self) -> StepEnd:
        """The end of the step that was begun."""
        assert self._end is not None
        return self._end

    def event(self, time_s: float, inputs: Row) -> StepEnd:
        """A Python model has no events."""
        raise FmiError(f"unit '{self.name}' has no event mode")

    def save(self) -> int:
        """Keeps a copy of the model."""
        self._last += 1
        self._states[self._last] = copy.deepcopy(self._model)
        return self._last

    def restore(self, state: int) -> None:
        """Back to a copy."""
        self._model = copy.deepcopy(self._states[state])

    def free(self, state: int) -> None:
        """Lets a copy go."""
        del self._states[state]

    def close(self) -> None:
        """Lets the model go."""
        self._model = None
        self._states.clear()

    def _named(self, inputs: Row) -> dict[str, float]:
        return {port.name: float(x) for port, x in zip(self.inputs, inputs, strict=True)}

    def _row(self, outputs: Any) -> Row:
        try:
            row = np.array([outputs[port.name] for port in self.outputs], np.float64)
        except (KeyError, TypeError, ValueError) as error:
            why = f"its outputs are not the numbers that it declares ({error!r})"
            raise UnitEnded(self.name, self._time_s, why) from error
        bad = bad_port(self.outputs, row)
        if bad is not None:
            raise UnitEnded(self.name, self._time_s, f"it gives {bad[1]}", bad[0])
        return row

    def _guarded(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except Exception as error:  # a model is a stranger's code
            why = f"{type(error).__name__}: {error}"
            raise UnitEnded(self.name, self._time_s, why) from error
