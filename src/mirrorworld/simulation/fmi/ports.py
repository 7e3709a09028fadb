"""What a master sees of anything that it can step: ports, and the verbs of a co-simulation unit.

An FMU in its process (`process.py`) and a Python model (`python_unit.py`) look the same from
here. Values are float64 rows, one column for every number of every port, in the ports' order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.fmi.description import Sort
from mirrorworld.simulation.fmi.quantities import Quantity

Row = NDArray[np.float64]


class UnitEnded(Exception):
    """A unit came to an end that it should not have: what, when, at which variable, and why."""

    def __init__(self, unit: str, time_s: float, why: str, variable: str = "") -> None:
        of = f", variable '{variable}'" if variable else ""
        super().__init__(f"unit '{unit}' ended at t = {time_s:.9g} s{of}: {why}")
        self.unit, self.time_s, self.variable, self.why = unit, time_s, variable, why
        self.rows: Row | None = None
        """Of a run through many steps: the outputs of those before."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output."""

    name: str
    quantity: Quantity | None = None
    sort: Sort = Sort.FLOAT
    size: int = 1
    start: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StepEnd:
    """Where a step ended, and with what outputs."""

    outputs: Row
    time_s: float
    has_event: bool = False
    """It wants event handling here."""
    has_ended: bool = False
    """It asks to end the simulation."""
    is_early: bool = False
    next_event_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step of all units, as it is recorded if it is accepted. Of no length: an event."""

    until_s: float
    after: Row
    length_s: float
    before: Row
    inputs: Row
    """As the units got them at its start."""
    slopes: Row | None


class CoupledUnit(Protocol):
    """What can be coupled. Every call may raise UnitEnded; after it only `close` may be called."""

    name: str
    inputs: Sequence[Port]
    outputs: Sequence[Port]
    can_save: bool
    can_vary_step: bool
    can_interpolate: bool
    """Takes slopes of inputs with a step."""
    has_events: bool
    """Has an event mode; `event` may be called."""
    feedthrough: Mapping[str, Sequence[str] | None]
    """Output -> inputs that it depends on without delay; None: on all."""

    def prepare(self) -> None:
        """Gets ready what does not depend on the other units; once, before `initialise`."""
        ...

    def initialise(
        self, start_s: float, stop_s: float | None, tolerance: float | None, inputs: Row
    ) -> Row:
        """Instantiates and initialises; returns the outputs for these inputs."""
        ...

    def settle(self, inputs: Row) -> Row:
        """Outputs for other inputs, while still initialising."""
        ...

    def begin(self) -> StepEnd:
        """Ends initialisation."""
        ...

    def begin_step(
        self, time_s: float, step_s: float, inputs: Row, slopes: Row | None, may_restore: bool
    ) -> None:
        """Starts a step and does not wait for it."""
        ...

    def finish_step(self) -> StepEnd:
        """Waits for the step that was started."""
        ...

    def event(self, time_s: float, inputs: Row) -> StepEnd:
        """Handles an event at a time, with these inputs."""
        ...

    def save(self) -> int:
        """Keeps the state; returns its number."""
        ...

    def restore(self, state: int) -> None:
        """Back to a kept state."""
        ...

    def free(self, state: int) -> None:
        """Lets a kept state go."""
        ...

    def close(self) -> None:
        """Ends the unit in good order if that is still possible, and in any case."""
        ...


@runtime_checkable
class RunsThrough(Protocol):
    """A unit may be this too: it goes through many steps without being asked at each."""

    def run(
        self, start_s: float, step_s: float, n: int, inputs: Row | None = None
    ) -> tuple[Row, StepEnd]:
        """Outputs, shape (steps done, columns), and how the last step ended: it stops after one
        that ended early or asks for the end. UnitEnded has the outputs of the steps before."""
        ...


def width(ports: Sequence[Port]) -> int:
    """How many numbers a row of these ports has."""
    return sum(port.size for port in ports)


def columns(ports: Sequence[Port]) -> dict[str, slice]:
    """Port name -> its columns."""
    found: dict[str, slice] = {}
    at = 0
    for port in ports:
        found[port.name] = slice(at, at + port.size)
        at += port.size
    return found


def starts(ports: Sequence[Port]) -> Row:
    """The row that the ports start with; zeros where nothing is said."""
    row = np.zeros(width(ports))
    for port, at in zip(ports, columns(ports).values(), strict=True):
        if port.start:
            row[at] = port.start
    return row


def bad_port(ports: Sequence[Port], row: Row) -> tuple[str, float] | None:
    """(name, value) of the first port whose value is no finite number."""
    if np.isfinite(row).all():
        return None
    at = int(np.flatnonzero(~np.isfinite(row))[0])
    for port, where in zip(ports, columns(ports).values(), strict=True):
        if where.start <= at < where.stop:
            return port.name, float(row[at])
    return None
