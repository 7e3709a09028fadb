"""A value as people give it, made one that a point can take: its kind, its unit, its range."""

from __future__ import annotations

import math

from mirrorworld import units
from mirrorworld.world.model import Kind, PointType, Scalar


def typed(place: str, value: Scalar, kind: PointType, unit: str = "") -> bool | int | float | str:
    """The value in the point's own kind and unit.

    Args:
        place: the point, for messages.
        unit: UCUM unit of the value; "": the point's own.

    Raises:
        ValueError: the point cannot take it; the message says why.
    """
    match kind.kind:
        case Kind.FLOAT | Kind.INT:
            return _number(place, value, kind, unit)
        case Kind.BOOL:
            if not isinstance(value, bool):
                raise ValueError(f"{place}: {value!r} is not true or false")
            return value
        case Kind.ENUM:
            codes = {label: code for code, label in kind.labels}
            code = codes.get(value, value) if isinstance(value, str) else value
            if not isinstance(code, int) or (codes and code not in codes.values()):
                raise ValueError(f"{place}: {code!r} is none of {', '.join(codes)}")
            return code
        case Kind.TEXT:
            if not isinstance(value, str):
                raise ValueError(f"{place}: {value!r} is not a text")
            return value
        case _:
            raise ValueError(f"{place}: a {kind.kind.name.lower()} cannot be commanded")


def _number(place: str, value: Scalar, kind: PointType, unit: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{place}: {value!r} is not a number")
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{place}: that number does not fit 64 bits")
    if unit and unit != kind.unit:
        scale, offset = units.linear(unit, kind.unit, place)
        value = value * scale + offset
    if not math.isfinite(value):
        raise ValueError(f"{place}: {value} is not a finite number")
    if kind.kind is Kind.INT:
        if value != int(value):
            raise ValueError(f"{place}: {value} is not a whole number")
        value = int(value)
    else:
        value = float(value)
    if (kind.low is not None and value < kind.low) or (kind.high is not None and value > kind.high):
        raise ValueError(
            f"{place}: {value} {kind.unit} is outside its range {kind.low} to {kind.high}"
        )
    return value
