"""Between the columns of a coupled system and the points of a world: found, checked, converted.

Units of both sides are checked when a system is bound; a unit that contradicts the world's is
refused by name, never converted by guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.fmi import quantities
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.description import Sort
from mirrorworld.simulation.fmi.graph import Place, Wiring
from mirrorworld.simulation.fmi.quantities import Quantity
from mirrorworld.units import UnitError, check
from mirrorworld.world import quality
from mirrorworld.world.frames import Frame
from mirrorworld.world.model import Kind, Property
from mirrorworld.world.world import World

_TAKES: Final = {
    Sort.FLOAT: (Kind.FLOAT, Kind.INT, Kind.BOOL, Kind.ENUM),
    Sort.INT: (Kind.INT, Kind.BOOL, Kind.ENUM),
    Sort.BOOL: (Kind.BOOL,),
}
"""Kinds of points that an input of a sort can be fed by."""
_GIVES: Final = {
    Sort.FLOAT: (Kind.FLOAT,),
    Sort.INT: (Kind.INT, Kind.ENUM, Kind.FLOAT),
    Sort.BOOL: (Kind.BOOL, Kind.INT, Kind.FLOAT),
}
"""Kinds of points that an output of a sort can be shown by."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where an input's value comes from."""

    name: str
    place: Place
    twin: str
    handle: int | None
    """Of a point; None: a property."""
    path: str
    kind: Kind
    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class Target:
    """Where an output's value goes."""

    column: int
    unit: int
    handle: int
    kind: Kind
    twin: str
    scale: float
    offset: float


class Binding:
    """The ends of a system in a world.

    Raises:
        FmiError: a name is unknown, or kinds do not fit.
        UnitError: units of measurement contradict each other.
    """

    def __init__(
        self, wiring: Wiring, world: World, from_world: Mapping[str, str],
        to_world: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.sources = [self._source(wiring, world, *pair) for pair in from_world.items()]
        self.targets = [self._target(wiring, world, *pair) for pair in to_world.items()]
        self.beyond: dict[str, str] = {}
        """Inputs that have been outside the range that their unit declares -> a sentence."""
        taken = [target.handle for target in self.targets]
        for name, target in zip(to_world, self.targets, strict=True):
            if taken.count(target.handle) > 1:
                raise FmiError(f"{name} → {to_world[name]}: two outputs go to this point")
        self._columns = np.array([t.column for t in self.targets], np.intp)
        self._handles = np.array([t.handle for t in self.targets], np.uint32)
        self._scale = np.array([t.scale for t in self.targets])
        self._offset = np.array([t.offset for t in self.targets])
        self._is_float = np.array([t.kind is Kind.FLOAT for t in self.targets], np.bool_)

    @staticmethod
    def _source(wiring: Wiring, world: World, name: str, at: str) -> _Source:
        place = wiring.find(name, is_input=True)
        where = f"{at} → {name}"
        if place.port.size != 1:
            raise FmiError(f"{where}: an array is not fed by one value")
        twin, point = _split(world, at, where)
        if any(p.name == point for p in world.structure.points_of(twin)):
            handle = world.structure.handle(twin, point)
            described = world.point(handle)[1]
            kind, unit = described.kind, described.unit
        else:
            handle = None
            found = _property(world, twin, point)
            if found is None:
                have = ", ".join(p.name for p in world.structure.points_of(twin)[:8]) or "none"
                raise FmiError(
                    f"{where}: twin '{twin}' has neither a point nor a property '{point}'; its"
                    f" points: {have}"
                )
            kind, unit = _kind_of(found, where), found.unit
        if kind not in _TAKES[place.port.sort]:
            raise FmiError(
                f"{where}: {kind.name.lower()} does not feed a {place.port.sort.value} input"
            )
        scale, offset = _fit(Quantity(unit) if unit else None, place.port.quantity, where)
        if (scale, offset) != (1.0, 0.0) and place.port.sort is not Sort.FLOAT:
            raise UnitError(f"{where}: whole numbers are not converted")
        return _Source(name, place, twin, handle, point, kind, scale, offset)

    @staticmethod
    def _target(wiring: Wiring, world: World, name: str, at: str) -> Target:
        place = wiring.find(name, is_input=False)
        where = f"{name} → {at}"
        if place.port.size != 1:
            raise FmiError(f"{where}: an array is not shown by one point")
        twin, point = _split(world, at, where)
        try:
            handle = world.structure.handle(twin, point)
        except KeyError as error:
            raise FmiError(f"{where}: {error.args[0]}") from None
        described = world.point(handle)[1]
        if described.kind not in _GIVES[place.port.sort]:
            raise FmiError(
                f"{where}: a {place.port.sort.value} output is not shown by a point of kind"
                f" {described.kind.name.lower()}"
            )
        quantity = Quantity(described.unit) if described.unit else None
        scale, offset = _fit(place.port.quantity, quantity, where)
        if (scale, offset) != (1.0, 0.0) and described.kind is not Kind.FLOAT:
            raise UnitError(f"{where}: whole numbers are not converted; make the point real")
        return Target(place.columns.start, place.unit, handle, described.kind, twin, scale, offset)

    def inputs(self, world: World) -> dict[str, float]:
        """Values of the inputs as the world has them now; those without a good one are left out,
        so that they stay as they were."""
        found: dict[str, float] = {}
        for source in self.sources:
            value = self._value(world, source)
            if value is None or not np.isfinite(value):
                continue
            value = found[source.name] = value * source.scale + source.offset
            low, high = source.place.port.low, source.place.port.high
            if (low is not None and value < low) or (high is not None and value > high):
                self.beyond.setdefault(
                    source.name,
                    f"input '{source.name}' is beyond what its unit is made for: {value:g}, not"
                    f" within {low} … {high}",
                )
        return found

    @staticmethod
    def _value(world: World, source: _Source) -> float | None:
        if source.handle is None:
            found = _property(world, source.twin, source.path)
            value = None if found is None else found.value
            return float(value) if isinstance(value, bool | int | float) else None
        one = world.read(np.array([source.handle], np.uint32))
        if one.changed[0] < 0 or quality.severity(int(one.quality[0])) == "bad":
            return None
        cell = one.cell[0]
        return float(cell.view(np.float64)) if source.kind is Kind.FLOAT else float(cell)

    def frame(
        self, times_ns: NDArray[np.int64], values: NDArray[np.float64], code: int = quality.GOOD
    ) -> Frame:
        """Rows of all outputs as samples of the bound points; NaN is left out.

        Args:
            times_ns: shape (n,), ascending.
            values: shape (n, all output columns).
        """
        chosen = values[:, self._columns] * self._scale + self._offset
        is_there = np.isfinite(chosen)
        cells = np.ascontiguousarray(chosen).view(np.int64).copy()
        whole = ~self._is_float
        cells[:, whole] = np.where(is_there[:, whole], chosen[:, whole], 0).astype(np.int64)
        rows, ends = np.nonzero(is_there)
        return Frame(
            self._handles[ends],
            cells[rows, ends],
            np.full(len(rows), code, np.uint32),
            np.ascontiguousarray(times_ns[rows]),
        )


def _split(world: World, at: str, where: str) -> tuple[str, str]:
    """`twin.rest`: the longest twin id that fits, since ids may have dots."""
    end = len(at)
    while (end := at.rfind(".", 0, end)) > 0:
        if at[:end] in world.structure.twins:
            return at[:end], at[end + 1 :]
    raise FmiError(f"{where}: no twin has that id; it reads like twin.point")


def _property(world: World, twin: str, path: str) -> Property | None:
    found = world.structure.twins.get(twin)
    return None if found is None else found.property(path)


def _kind_of(found: Property, where: str) -> Kind:
    match found.value:
        case bool():
            return Kind.BOOL
        case int():
            return Kind.INT
        case float():
            return Kind.FLOAT
    raise FmiError(f"{where}: property '{found.name}' is no number")


def _fit(source: Quantity | None, target: Quantity | None, where: str) -> tuple[float, float]:
    for one in (source, target):
        if one is not None:
            check(one.ucum, where)
    return quantities.linear(source, target, where)
