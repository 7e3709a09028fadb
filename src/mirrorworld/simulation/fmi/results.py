"""What a coupled run gives: times, values in columns, and everything that has to be told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.fmi.conservation import BondReport
from mirrorworld.simulation.fmi.ports import Row, UnitEnded


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """A coupled run, up to where it came."""

    times_s: NDArray[np.float64]
    """Shape (n,), never falling; at an event twice, with the values before and after it."""
    names: tuple[str, ...]
    """`unit.variable` of each column."""
    values: NDArray[np.float64]
    """Shape (n, columns). NaN after a unit's end."""
    ended: tuple[UnitEnded, ...] = ()
    """Units that came to an end that they should not have."""
    stopped: Mapping[str, str] = field(default_factory=dict[str, str])
    """Units that were stopped because of it -> why."""
    events: tuple[tuple[float, str], ...] = ()
    """(time in s, unit or watched variable)."""
    bonds: tuple[BondReport, ...] = ()
    notes: tuple[str, ...] = ()
    """What else is worth knowing, each once."""
    steps: int = 0
    """Communication steps that were accepted."""
    rejected: int = 0
    """Steps that were taken back: too coarse, or an event within."""

    def of(self, name: str) -> NDArray[np.float64]:
        """The column of `unit.variable`; KeyError."""
        try:
            return self.values[:, self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    @property
    def reached_s(self) -> float:
        """Time of the last row."""
        return float(self.times_s[-1]) if len(self.times_s) else float("nan")

    def findings(self) -> list[str]:
        """Everything that a person should be told, in sentences."""
        return told(self.ended, self.stopped, self.bonds, self.notes)


def told(
    ended: Sequence[UnitEnded], stopped: Mapping[str, str], bonds: Sequence[BondReport],
    notes: Sequence[str],
) -> list[str]:  # fmt: skip
    """Everything that a person should be told of a run, in sentences."""
    beyond = [str(bond) for bond in bonds if bond.beyond_s is not None]
    gone = [f"unit '{name}' was stopped: {why}" for name, why in stopped.items()]
    return [*map(str, ended), *gone, *beyond, *notes]


class Rows:
    """Rows that come one by one, in one growing array."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._n = 0
        self._times = np.empty(256)
        self._values = np.empty((256, len(names)))

    def add(self, time_s: float, row: Row) -> None:
        """Adds one."""
        if self._n == len(self._times):
            self._times = np.concatenate([self._times, np.empty(self._n)])
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._times[self._n] = time_s
        self._values[self._n] = row
        self._n += 1

    def add_all(self, times_s: Row, rows: Row) -> None:
        """Adds many."""
        lacks = self._n + len(rows) - len(self._times)
        if lacks > 0:
            more = max(lacks, len(self._times))
            self._times = np.concatenate([self._times, np.empty(more)])
            self._values = np.concatenate([self._values, np.empty((more, len(self.names)))])
        self._times[self._n : self._n + len(rows)] = times_s
        self._values[self._n : self._n + len(rows)] = rows
        self._n += len(rows)

    def __len__(self) -> int:
        return self._n

    def all(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(times, values); copies."""
        return self._times[: self._n].copy(), self._values[: self._n].copy()

    def clear(self) -> None:
        """Forgets them all."""
        self._n = 0
