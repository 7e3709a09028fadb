"""Whether what one unit gives is what another takes: power bonds, watched over a coupled run.

A bond is an effort and a flow seen from both sides: force and speed, pressure and volume flow,
voltage and current. Coupled units use each other's values a step late, so the two sides' products
differ; the difference, integrated, is energy that the coupling makes or loses (Sadjina,
Kyllingstad, Skjong, Pedersen, "Energy conservation and power bonds in co-simulations",
Engineering with Computers 33, 2017). Without an effort the flow itself is what is conserved.

Over a step, an input counts as the unit got it (with its slope, the mean), an output as the mean
of before and after: exact to the second order of the step for smooth outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mirrorworld import units
from mirrorworld.simulation.fmi.archive import FmiError
from mirrorworld.simulation.fmi.graph import Place, Wiring
from mirrorworld.simulation.fmi.ports import Step
from mirrorworld.simulation.fmi.quantities import Quantity, linear


@dataclass(frozen=True, slots=True)
class Bond:
    """One exchange: what side `a` gives is what side `b` takes. Variables as `unit.variable`."""

    name: str
    a_flow: str
    b_flow: str
    a_effort: str = ""
    b_effort: str = ""
    tolerance: float = float("inf")
    """Largest integrated residual that passes unnamed, in the unit of the integral."""


@dataclass(frozen=True, slots=True, eq=False)
class BondReport:
    """What a bond kept and lost."""

    name: str
    unit: str
    """Of the integrals: J for power; else that of the flow times seconds, as UCUM."""
    residual: NDArray[np.float64]
    """Given by `a` less taken by `b`, integrated up to each time of the run."""
    exchanged: float
    """Integral of the absolute mean of both sides."""
    tolerance: float
    beyond_s: float | None
    """When the residual first passed the tolerance; None: never."""

    @property
    def worst(self) -> float:
        """Largest absolute residual."""
        return float(np.abs(self.residual).max(initial=0.0))

    def __str__(self) -> str:
        share = (
            f", {self.worst / self.exchanged:.3g} of what was exchanged" if self.exchanged else ""
        )
        beyond = (
            f"; beyond its tolerance of {self.tolerance:g} from t = {self.beyond_s:.9g} s"
            if self.beyond_s is not None
            else ""
        )
        return f"bond '{self.name}': residual up to {self.worst:.6g} {self.unit}{share}{beyond}"


class BondMeter:
    """Adds up one bond while a run goes on."""

    def __init__(self, bond: Bond, wiring: Wiring) -> None:
        self.bond = bond
        self._a, a_unit = self._side(bond.a_flow, bond.a_effort, wiring)
        self._b, b_unit = self._side(bond.b_flow, bond.b_effort, wiring)
        if bool(bond.a_effort) != bool(bond.b_effort):
            raise FmiError(f"bond '{bond.name}': give the effort of both sides, or of none")
        self.unit = "J" if bond.a_effort else a_unit
        sides = (Quantity(b_unit) if b_unit else None, Quantity(a_unit) if a_unit else None)
        self._b_scale = linear(*sides, f"bond '{bond.name}'")[0]
        self._residual = 0.0
        self._exchanged = 0.0
        self._rows: list[float] = [0.0]
        self._beyond_s: float | None = None

    def _side(
        self, flow: str, effort: str, wiring: Wiring
    ) -> tuple[tuple[list[Place], float], str]:
        place = f"bond '{self.bond.name}'"
        ports = [wiring.find(name) for name in (flow, effort) if name]
        for name, port in zip((flow, effort), ports, strict=False):
            if port.port.size != 1:
                raise FmiError(f"{place}: '{name}' is an array; a bond is one flow")
        factor, ucum = 1.0, []
        for port in ports:
            quantity = port.port.quantity
            if quantity is None:
                ucum.append("")
                continue
            factor *= quantity.scale
            ucum.append(quantity.ucum)
        if not effort:
            return (ports, factor), f"{ucum[0]}.s" if ucum[0] else ""
        if all(ucum):
            product = f"{ucum[0]}.{ucum[1]}"
            # a pressure times a volume flow is a power, whatever it is written in
            factor *= units.linear(product, "W", f"{place}, {flow} × {effort}")[0]
        return (ports, factor), "J"

    def step(self, step: Step) -> None:
        """Counts one step of all units."""
        given = self._power(self._a, step)
        taken = self._power(self._b, step) * self._b_scale
        lost = (given - taken) * step.length_s
        if step.length_s > 0 and math.isfinite(lost):  # else an event, or a side that has ended
            self._residual += lost
            self._exchanged += abs(given + taken) / 2 * step.length_s
        self._rows.append(self._residual)
        if self._beyond_s is None and abs(self._residual) > self.bond.tolerance:
            self._beyond_s = step.until_s

    @staticmethod
    def _power(side: tuple[Sequence[Place], float], step: Step) -> float:
        places, power = side
        for place in places:
            at = place.columns.start
            if place.is_input:
                slope = step.slopes[at] if step.slopes is not None else 0.0
                power *= step.inputs[at] + slope * step.length_s / 2
            else:
                power *= (step.before[at] + step.after[at]) / 2
        return float(power)

    def forget(self) -> None:
        """Keeps the sum, not the way to it."""
        self._rows = self._rows[-1:]

    def report(self) -> BondReport:
        """What was kept and lost so far."""
        return BondReport(
            self.bond.name,
            self.unit,
            np.array(self._rows),
            self._exchanged,
            self.bond.tolerance,
            self._beyond_s,
        )
