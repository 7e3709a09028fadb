"""Units of FMI variables against UCUM, the units of a world.

An FMI unit is a name that its maker chose and, at best, a definition by SI base units (FMI 3.0.2
§2.4.3). The definition decides: where the name reads as UCUM and means the same, it is kept, else
the quantity is a factor of the base unit. A name alone is read as people write it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from mirrorworld import units
from mirrorworld.simulation.fmi.description import BaseUnit, UnitDescription, Variable

_ANGLE: Final = re.compile(r"(?<![A-Za-z\[])(m?rad|deg|gon|circ)(?![A-Za-z\]])")


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a number means: `value_in_ucum = value * scale + offset`."""

    ucum: str
    scale: float = 1.0
    offset: float = 0.0
    shown: str = ""
    """As the unit's maker wrote it, where that differs."""

    def __str__(self) -> str:
        return self.shown or self.ucum or "1"


def quantity_of(description: UnitDescription, variable: Variable) -> Quantity | None:
    """What the numbers of a variable mean; None if nothing is said, or nothing that is known."""
    if not variable.unit:
        return None
    return quantity(variable.unit, description.base_units.get(variable.unit))


def quantity(name: str, base: BaseUnit | None) -> Quantity | None:
    """What a unit's name and its definition, if it has one, mean together."""
    guessed = units.guess(name)
    if base is None:
        return Quantity(guessed, shown=name if name != guessed else "") if guessed else None
    ucum = (
        ".".join(f"{si}{exponent if exponent != 1 else ''}" for si, exponent in base.exponents)
        or "1"
    )
    if guessed and units.fits(guessed, ucum) and has_angle(guessed) == has_angle(ucum):
        scale, offset = units.linear(guessed, ucum)
        if math.isclose(scale, base.factor, rel_tol=1e-6) and math.isclose(
            offset, base.offset, rel_tol=1e-6, abs_tol=1e-9
        ):
            return Quantity(guessed, shown=name if name != guessed else "")
    return Quantity(ucum, base.factor, base.offset, shown=name)


def has_angle(ucum: str) -> bool:
    """Whether a unit counts angles. UCUM's rad is the pure number 1, so that `rad/s` would pass
    for `/s`, a turn a second: by a factor of 2π."""
    return _ANGLE.search(ucum) is not None


def linear(source: Quantity | None, target: Quantity | None, place: str) -> tuple[float, float]:
    """(scale, offset) that turn numbers of one meaning into those of another; (1, 0) if nothing
    is said of one side.

    Raises:
        UnitError: they do not fit; it names the place.
    """
    if source is None or target is None:
        return 1.0, 0.0
    if source == target:
        return 1.0, 0.0
    if has_angle(source.ucum) != has_angle(target.ucum):
        raise units.UnitError(
            f"{place}: unit '{source}' does not fit '{target}' (an angle against none: whether a"
            " turn is 1 or 2π is not said)"
        )
    scale, offset = units.linear(source.ucum, target.ucum, place)
    # through both quantities' own factors: source -> its UCUM -> target's UCUM -> target
    return (
        source.scale * scale / target.scale,
        (source.offset * scale + offset - target.offset) / target.scale,
    )
