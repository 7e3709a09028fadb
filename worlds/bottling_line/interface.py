"""How an instrument, a method and an object type of the controllers are described.

Only what is described so leaves the plant's process. It knows no protocol and no machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Read = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Instrument:
    """One signal. `kind` is float, int32, int64, bool, text, state or floats."""

    name: str
    kind: str
    read: Read
    description: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    noise: float = 0.0
    """Standard deviation of the instrument itself."""
    deadband: float = 0.0
    """Smallest change worth reporting."""
    is_fast: bool = False
    """Reported at every cycle, else about once a second."""
    write: Callable[[Any, float], None] | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """A method without arguments; `run` returns why it was refused, or ""."""

    name: str
    run: Callable[[Any], str]
    description: str


@dataclass(frozen=True, slots=True)
class Interface:
    """An object type of the controllers' address space."""

    name: str
    base: str
    description: str
    instruments: tuple[Instrument, ...] = ()
    actions: tuple[Action, ...] = ()


def assign(name: str) -> Callable[[Any, float], None]:
    """A writer that sets the owner's attribute `name`."""

    def write(owner: Any, value: float) -> None:
        setattr(owner, name, float(value))

    return write


def speed(name: str, read: Read, description: str) -> Instrument:
    """A machine's speed in bottles per hour."""
    return Instrument(
        name, "float", read, description, "1/h", 0.0, 30_000.0, deadband=60.0, is_fast=True
    )


def belt_speed(owner: Any, value: float) -> None:
    """Sets a belt's set-point, given in m/min."""
    owner.setpoint_m_s = value / 60.0


def count(name: str, read: Read, description: str, kind: str = "int64") -> Instrument:
    """A counter, reported at every cycle."""
    return Instrument(name, kind, read, description, is_fast=True)
