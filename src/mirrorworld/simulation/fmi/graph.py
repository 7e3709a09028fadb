"""Which output feeds which input: units checked, loops without delay found, columns laid out.

A coupling is a graph of units and connections. What does not fit is refused by name before any
unit is started.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mirrorworld.simulation.fmi import quantities
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.description import Sort
from mirrorworld.simulation.fmi.ports import CoupledUnit, Port, Row, columns, starts, width
from mirrorworld.units import UnitError


@dataclass(frozen=True, slots=True)
class Connection:
    """An output that feeds an input, both written `unit.variable`."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Place:
    """One port of one unit, found."""

    unit: int
    port: Port
    is_input: bool
    columns: slice
    """Of all inputs, or of all outputs."""


class Wiring:
    """The columns of all inputs and all outputs of some units, and how the first follow from the
    second: `inputs[targets] = outputs[sources] * scale + offset`.

    Raises:
        FmiError: a name is unknown or used twice, an input is fed twice, shapes or sorts differ.
        UnitError: units of measurement do not fit.
    """

    def __init__(self, units: Sequence[CoupledUnit], connections: Iterable[Connection]) -> None:
        self.units = list(units)
        self.connections = tuple(connections)
        self.names = [unit.name for unit in units]
        for name in self.names:
            if self.names.count(name) > 1 or not name:
                raise FmiError(f"two units are called '{name}'; give each a name of its own")
        self.inputs_of = _slices(unit.inputs for unit in units)
        self.outputs_of = _slices(unit.outputs for unit in units)
        self.n_inputs = self.inputs_of[-1].stop if units else 0
        self.n_outputs = self.outputs_of[-1].stop if units else 0
        self._ports = [
            tuple(
                {p.name: (p, at) for p, at in zip(ports, columns(ports).values(), strict=True)}
                for ports in (unit.outputs, unit.inputs)
            )
            for unit in units
        ]
        self.unchecked: list[str] = []
        """Connections of which one side says nothing of its unit."""
        self._wire()

    def start_inputs(self) -> Row:
        """Every input as its unit says that it starts."""
        return np.concatenate([starts(unit.inputs) for unit in self.units] or [np.empty(0)])

    def output_names(self) -> list[str]:
        """`unit.variable` of each output column; arrays count from 1: `unit.variable[2]`."""
        return [
            f"{unit.name}.{port.name}" + (f"[{k + 1}]" if port.size > 1 else "")
            for unit in self.units
            for port in unit.outputs
            for k in range(port.size)
        ]

    def find(self, name: str, *, is_input: bool | None = None) -> Place:
        """The port written `unit.variable`; inputs are looked for if outputs have none so called.

        Raises:
            FmiError: there is none; it names what is nearest.
        """
        for k, unit in enumerate(self.units):
            if not name.startswith(unit.name + "."):
                continue
            rest = name[len(unit.name) + 1 :]
            for of_inputs, at in ((False, self.outputs_of[k]), (True, self.inputs_of[k])):
                if is_input is not None and of_inputs != is_input:
                    continue
                found = self._ports[k][of_inputs].get(rest)
                if found is not None:
                    port, inside = found
                    where = slice(at.start + inside.start, at.start + inside.stop)
                    return Place(k, port, of_inputs, where)
        what = {True: "input", False: "output", None: "variable"}[is_input]
        known = [
            f"{unit.name}.{port.name}"
            for unit in self.units
            for port in (
                *(() if is_input is True else unit.outputs),
                *(() if is_input is False else unit.inputs),
            )
        ]
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean '{close[0]}'?" if close else f"there is {', '.join(known[:20])}"
        raise FmiError(f"no unit has the {what} '{name}'; {hint}")

    def apply(self, outputs: Row, inputs: Row) -> None:
        """Carries outputs to the inputs that they feed."""
        inputs[self.targets] = outputs[self.sources] * self.scale + self.offset

    def fed_by(self, unit: int) -> set[int]:
        """The units that take outputs of a unit."""
        return {b for a, b in self.unit_edges if a == unit}

    def _wire(self) -> None:
        sources: list[NDArray[np.intp]] = []
        targets: list[NDArray[np.intp]] = []
        factors: list[tuple[int, float, float]] = []
        fed: dict[tuple[int, str], str] = {}
        self.unit_edges: set[tuple[int, int]] = set()
        self.port_edges: list[tuple[tuple[int, str], tuple[int, str]]] = []
        for connection in self.connections:
            source = self.find(connection.source, is_input=False)
            target = self.find(connection.target, is_input=True)
            place = f"{connection.source} → {connection.target}"
            key = (target.unit, target.port.name)
            if key in fed:
                raise FmiError(f"{place}: {fed[key]} feeds it already; an input has one source")
            fed[key] = connection.source
            if source.port.size != target.port.size:
                raise FmiError(f"{place}: {source.port.size} numbers do not fit {target.port.size}")
            if source.port.sort is Sort.FLOAT and target.port.sort is not Sort.FLOAT:
                raise FmiError(
                    f"{place}: a real number does not fit a {target.port.sort.value}; put a unit"
                    " between that decides"
                )
            scale, offset = quantities.linear(source.port.quantity, target.port.quantity, place)
            if (source.port.quantity is None) != (target.port.quantity is None):
                self.unchecked.append(place)
            if (scale, offset) != (1.0, 0.0) and target.port.sort is not Sort.FLOAT:
                raise UnitError(f"{place}: whole numbers are not converted; make the input real")
            sources.append(np.arange(source.columns.start, source.columns.stop))
            targets.append(np.arange(target.columns.start, target.columns.stop))
            factors.append((source.port.size, scale, offset))
            self.unit_edges.add((source.unit, target.unit))
            self.port_edges.append(((source.unit, source.port.name), key))
        self.sources = np.concatenate(sources) if sources else np.empty(0, np.intp)
        self.targets = np.concatenate(targets) if targets else np.empty(0, np.intp)
        self.scale = np.array([scale for size, scale, _ in factors for _ in range(size)])
        self.offset = np.array([offset for size, _, offset in factors for _ in range(size)])

    # --- loops ---

    def loops(self) -> list[list[str]]:
        """Loops without delay: each a closed way of `unit.variable`, inputs and outputs in turn.

        Of a knot of several loops one way through it is told.
        """
        edges = self._direct_edges()
        found: list[list[str]] = []
        for knot in _knots(edges):
            way = _way_round(edges, knot)
            found.append([f"{self.names[unit]}.{name}" for unit, name in way if name != _ANY])
        return found

    def is_certain(self, loop: Sequence[str]) -> bool:
        """Whether every unit on the way says that its output depends on that input."""
        outputs = [self.find(name, is_input=False) for name in loop[1::2]]
        return all(
            self.units[place.unit].feedthrough.get(place.port.name) is not None for place in outputs
        )

    def loop_inputs(self) -> NDArray[np.intp]:
        """The columns of all inputs that lie on a loop without delay."""
        edges = self._direct_edges()
        on = {node for knot in _knots(edges) for node in knot}
        at = [
            np.arange(place.columns.start, place.columns.stop)
            for place in (
                self.find(f"{self.names[unit]}.{name}", is_input=True)
                for (unit, name), target in ((b, b) for _, b in self.port_edges)
                if target in on
            )
        ]
        return np.unique(np.concatenate(at)) if at else np.empty(0, np.intp)

    def _direct_edges(self) -> Mapping[tuple[int, str], list[tuple[int, str]]]:
        # Inputs and outputs of one name would be one node; FMI names are unique in a unit.
        edges: dict[tuple[int, str], list[tuple[int, str]]] = {}
        for source, target in self.port_edges:
            edges.setdefault(source, []).append(target)
        for k, unit in enumerate(self.units):
            for port in unit.outputs:
                on = unit.feedthrough.get(port.name, ())
                for name in (_ANY,) if on is None else on:
                    edges.setdefault((k, name), []).append((k, port.name))
            if (k, _ANY) in edges:
                for port in unit.inputs:
                    edges.setdefault((k, port.name), []).append((k, _ANY))
        return edges


def _slices(of_units: Iterable[Sequence[Port]]) -> list[slice]:
    found: list[slice] = []
    at = 0
    for ports in of_units:
        n = width(ports)
        found.append(slice(at, at + n))
        at += n
    return found


_Node = tuple[int, str]
_ANY: Final = ""
"""Between all inputs and those outputs of a unit of which it does not say what they depend on."""


def _knots(edges: Mapping[_Node, list[_Node]]) -> list[list[_Node]]:
    """Strongly connected components of more than one node (Tarjan 1972, without recursion)."""
    index: dict[_Node, int] = {}
    low: dict[_Node, int] = {}
    stack: list[_Node] = []
    on_stack: set[_Node] = set()
    found: list[list[_Node]] = []
    for root in edges:
        if root in index:
            continue
        work = [(root, iter(edges.get(root, ())))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, following = work[-1]
            for after in following:
                if after not in index:
                    index[after] = low[after] = len(index)
                    stack.append(after)
                    on_stack.add(after)
                    work.append((after, iter(edges.get(after, ()))))
                    break
                if after in on_stack:
                    low[node] = min(low[node], index[after])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    knot: list[_Node] = []
                    while True:
                        one = stack.pop()
                        on_stack.discard(one)
                        knot.append(one)
                        if one == node:
                            break
                    if len(knot) > 1:
                        found.append(knot)
    return found


def _way_round(edges: Mapping[_Node, list[_Node]], knot: list[_Node]) -> list[_Node]:
    """The shortest closed way from an input in a knot, ending before it begins again."""
    inside = set(knot)
    fed = {after for node in knot for after in edges.get(node, ()) if after[0] != node[0]}
    first = min(fed & inside) if fed & inside else knot[0]
    before: dict[_Node, _Node] = {}
    front = [first]
    while front:
        here = front.pop(0)
        for after in edges.get(here, ()):
            if after == first:
                way = [here]
                while way[-1] != first:
                    way.append(before[way[-1]])
                return way[::-1]
            if after in inside and after not in before:
                before[after] = here
                front.append(after)
    return [first]
