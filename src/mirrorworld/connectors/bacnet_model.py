"""From a BACnet device's objects to a twin: points with unit, range and labels; qualities.

The device is the twin. Each object with a present value is a point of it, called by its object
name, which is unique within a device (ASHRAE 135 §12); the objects that a structured view lists
are points of a twin of their own. Knows what was read; asks nothing of a device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from mirrorworld.connectors.guesses import iri_level
from mirrorworld.world.changes import Edit, PutRelation, PutTwin
from mirrorworld.world.model import (
    PART_OF,
    Kind,
    OperationType,
    PointType,
    Property,
    Relation,
    Text,
    Twin,
)

KINDS: Final = {
    "analog-input": Kind.FLOAT,
    "analog-output": Kind.FLOAT,
    "analog-value": Kind.FLOAT,
    "large-analog-value": Kind.FLOAT,
    "loop": Kind.FLOAT,
    "pulse-converter": Kind.FLOAT,
    "binary-input": Kind.BOOL,
    "binary-output": Kind.BOOL,
    "binary-value": Kind.BOOL,
    "multi-state-input": Kind.ENUM,
    "multi-state-output": Kind.ENUM,
    "multi-state-value": Kind.ENUM,
    "integer-value": Kind.INT,
    "positive-integer-value": Kind.INT,
    "accumulator": Kind.INT,
    "characterstring-value": Kind.TEXT,
}
"""Kind of the present value by object type."""

COMMANDABLE: Final = frozenset(
    {
        "analog-output", "analog-value", "large-analog-value", "binary-output", "binary-value",
        "multi-state-output", "multi-state-value", "integer-value", "positive-integer-value",
        "characterstring-value",
    }
)  # fmt: skip
"""Object types whose present value may be written; whether it can be, the device decides."""

LABELS_MAX: Final = 256
NAME_MAX: Final = 200

BAD_DEVICE_FAILURE: Final = 0x808B_0000
BAD_SENSOR_FAILURE: Final = 0x808C_0000
BAD_OUT_OF_SERVICE: Final = 0x808D_0000
GOOD_LOCAL_OVERRIDE: Final = 0x0096_0000

UNITS: Final = {
    "square-meters": "m2", "square-feet": "[sft_i]", "milliamperes": "mA", "amperes": "A",
    "ohms": "Ohm", "volts": "V", "kilovolts": "kV", "megavolts": "MV", "volt-amperes": "V.A",
    "kilovolt-amperes": "kV.A", "megavolt-amperes": "MV.A", "degrees-phase": "deg",
    "power-factor": "1", "joules": "J", "kilojoules": "kJ", "watt-hours": "W.h",
    "kilowatt-hours": "kW.h", "megawatt-hours": "MW.h", "btus": "[Btu]", "cycles-per-hour": "/h",
    "cycles-per-minute": "/min", "hertz": "Hz", "kilohertz": "kHz", "megahertz": "MHz",
    "grams-of-water-per-kilogram-dry-air": "g/kg", "percent-relative-humidity": "%",
    "millimeters": "mm", "centimeters": "cm", "meters": "m", "kilometers": "km",
    "micrometers": "um", "inches": "[in_i]", "feet": "[ft_i]", "watts-per-square-meter": "W/m2",
    "lumens": "lm", "luxes": "lx", "kilograms": "kg", "grams": "g", "milligrams": "mg",
    "pounds-mass": "[lb_av]", "tons": "t", "kilograms-per-second": "kg/s",
    "kilograms-per-minute": "kg/min", "kilograms-per-hour": "kg/h", "tons-per-hour": "t/h",
    "grams-per-second": "g/s", "grams-per-minute": "g/min", "pounds-mass-per-minute":
    "[lb_av]/min", "pounds-mass-per-hour": "[lb_av]/h", "watts": "W", "kilowatts": "kW",
    "megawatts": "MW", "milliwatts": "mW", "btus-per-hour": "[Btu]/h", "horsepower": "[HP]",
    "pascals": "Pa", "hectopascals": "hPa", "kilopascals": "kPa", "bars": "bar",
    "millibars": "mbar", "pounds-force-per-square-inch": "[psi]", "centimeters-of-water":
    "cm[H2O]", "millimeters-of-water": "mm[H2O]", "inches-of-water": "[in_i'H2O]",
    "millimeters-of-mercury": "mm[Hg]", "centimeters-of-mercury": "cm[Hg]", "inches-of-mercury":
    "[in_i'Hg]", "degrees-celsius": "Cel", "degrees-kelvin": "K", "degrees-fahrenheit": "[degF]",
    "delta-degrees-kelvin": "K", "years": "a", "months": "mo", "weeks": "wk", "days": "d",
    "hours": "h", "minutes": "min", "seconds": "s", "milliseconds": "ms", "meters-per-second":
    "m/s", "kilometers-per-hour": "km/h", "millimeters-per-second": "mm/s",
    "millimeters-per-minute": "mm/min", "meters-per-minute": "m/min", "meters-per-hour": "m/h",
    "feet-per-second": "[ft_i]/s", "feet-per-minute": "[ft_i]/min", "miles-per-hour": "[mi_i]/h",
    "cubic-feet": "[cft_i]", "cubic-meters": "m3", "liters": "L", "milliliters": "mL",
    "us-gallons": "[gal_us]", "imperial-gallons": "[gal_br]", "cubic-feet-per-second":
    "[cft_i]/s", "cubic-feet-per-minute": "[cft_i]/min", "cubic-feet-per-hour": "[cft_i]/h",
    "cubic-meters-per-second": "m3/s", "cubic-meters-per-minute": "m3/min",
    "cubic-meters-per-hour": "m3/h", "cubic-meters-per-day": "m3/d", "liters-per-second": "L/s",
    "liters-per-minute": "L/min", "liters-per-hour": "L/h", "milliliters-per-second": "mL/s",
    "us-gallons-per-minute": "[gal_us]/min", "us-gallons-per-hour": "[gal_us]/h",
    "imperial-gallons-per-minute": "[gal_br]/min", "degrees-angular": "deg", "radians": "rad",
    "radians-per-second": "rad/s", "degrees-celsius-per-hour": "K/h",
    "degrees-celsius-per-minute": "K/min", "degrees-kelvin-per-hour": "K/h",
    "degrees-kelvin-per-minute": "K/min", "no-units": "", "parts-per-million": "[ppm]",
    "parts-per-billion": "[ppb]", "percent": "%", "per-mille": "[ppth]", "percent-per-second":
    "%/s", "per-second": "/s", "per-minute": "/min", "per-hour": "/h", "revolutions-per-minute":
    "/min", "square-centimeters": "cm2", "square-inches": "[sin_i]", "kilohms": "kOhm", "megohms":
    "MOhm", "milliohms": "mOhm", "millivolts": "mV", "kilojoules-per-kilogram": "kJ/kg",
    "megajoules": "MJ", "joules-per-degree-kelvin": "J/K", "newton": "N", "newton-meters": "N.m",
    "newtons-per-meter": "N/m", "kilowatt-hours-per-square-meter": "kW.h/m2",
    "megajoules-per-square-meter": "MJ/m2", "watts-per-square-meter-degree-kelvin": "W/(m2.K)",
    "watts-per-meter-per-degree-kelvin": "W/(m.K)", "meters-per-second-per-second": "m/s2",
    "farads": "F", "henrys": "H", "siemens": "S", "millisiemens": "mS", "micro-siemens": "uS",
    "siemens-per-meter": "S/m", "teslas": "T", "webers": "Wb", "candelas": "cd",
    "candelas-per-square-meter": "cd/m2", "kilograms-per-cubic-meter": "kg/m3",
    "grams-per-cubic-meter": "g/m3", "milligrams-per-cubic-meter": "mg/m3",
    "micrograms-per-cubic-meter": "ug/m3", "grams-per-liter": "g/L", "milligrams-per-liter":
    "mg/L", "micrograms-per-liter": "ug/L", "grams-per-kilogram": "g/kg", "pascal-seconds": "Pa.s",
    "pH": "[pH]", "becquerels": "Bq", "gray": "Gy", "sieverts": "Sv",
}  # fmt: skip
"""UCUM by the standard's name of an engineering unit (ASHRAE 135 §21). What is not here (reactive
power, degree-days, currencies, tons of refrigeration, weighted decibels) has no UCUM code that
says the same, and goes without a unit."""


@dataclass(frozen=True, slots=True)
class Item:
    """A point and the object that it mirrors."""

    twin: str
    point: str
    object: Any
    """bacpypes3's ObjectIdentifier."""
    object_type: str
    kind: Kind
    is_commandable: bool


@dataclass(slots=True)
class Mirror:
    """What a device becomes."""

    twins: dict[str, Twin] = field(default_factory=dict[str, Twin])
    items: list[Item] = field(default_factory=list[Item])
    odd_units: list[str] = field(default_factory=list[str])

    def edits(self, source: str) -> list[Edit]:
        """All of it, in an order in which nothing refers to what comes later."""
        relations = [Relation(PART_OF, twin, source) for twin in self.twins if twin != source]
        return [*map(PutTwin, self.twins.values()), *map(PutRelation, relations)]


Facts = Mapping[str, Any]
"""Property name of the standard -> value, of one object; absent where it could not be read."""


def mirror(source: str, device: Facts, objects: Sequence[tuple[Any, str, Facts]]) -> Mirror:
    """The twin of a device, and those of its structured views.

    Args:
        objects: (identifier, object type, facts) of each.
    """
    found = Mirror()
    view_of: dict[Any, str] = {}
    taken = {source}
    for identifier, object_type, facts in objects:
        if object_type != "structured-view":
            continue
        name = _name(facts, identifier)
        twin = f"{source}/{iri_level(name).replace('/', '%2F')}"
        twin = twin if twin not in taken else f"{twin}~{identifier[1]}"
        taken.add(twin)
        found.twins[twin] = Twin(twin, name=Text.of(name), properties=_properties(facts))
        for each in facts.get("subordinate-list") or ():
            view_of.setdefault(getattr(each, "objectIdentifier", None), twin)
    points: dict[str, dict[str, PointType]] = {source: {}}
    for identifier, object_type, facts in objects:
        kind = KINDS.get(object_type)
        if kind is None or "present-value" not in facts:
            continue
        twin = view_of.get(identifier, source)
        own = points.setdefault(twin, {})
        name = _name(facts, identifier)
        if name in own:
            name = f"{name}~{object_type},{identifier[1]}"
        can_write = object_type in COMMANDABLE
        own[name] = _point(name, kind, facts, can_write, found.odd_units)
        found.items.append(Item(twin, name, identifier, object_type, kind, can_write))
    name = str(device.get("object-name") or source)[:NAME_MAX]
    found.twins = {source: Twin(source, name=Text.of(name), properties=_of_device(device))} | {
        twin: made for twin, made in found.twins.items() if points.get(twin)
    }
    for twin, own in points.items():
        made = found.twins[twin]
        found.twins[twin] = Twin(
            twin, made.type, made.name, made.properties, tuple(own.values()),
            (RELINQUISH,) if any(p.is_writable for p in own.values()) else (),
        )  # fmt: skip
    return found


RELINQUISH: Final = OperationType(
    "relinquish",
    (PointType("point", Kind.TEXT, description=Text.of("whose commanded value is withdrawn")),),
    description=Text.of("Withdraws what was written: the next lower priority has its say again"),
)


def _point(name: str, kind: Kind, facts: Facts, can_write: bool, odd_units: list[str]) -> PointType:
    unit = ""
    if kind in (Kind.FLOAT, Kind.INT) and facts.get("units") is not None:
        said = str(facts["units"])
        unit = UNITS.get(said, "")
        if said not in UNITS:
            odd_units.append(f"{name}: {said}")
    low, high = _range(facts) if kind in (Kind.FLOAT, Kind.INT) else (None, None)
    labels: tuple[tuple[int, str], ...] = ()
    if kind is Kind.BOOL:
        texts = [facts.get("inactive-text"), facts.get("active-text")]
        labels = tuple((i, str(t)[:NAME_MAX]) for i, t in enumerate(texts) if t)
    elif kind is Kind.ENUM:
        states = list(facts.get("state-text") or ())[:LABELS_MAX]
        labels = tuple((i, str(t)[:NAME_MAX]) for i, t in enumerate(states, 1))
    return PointType(
        name,
        kind,
        unit=unit,
        low=low,
        high=high,
        labels=labels,
        is_writable=can_write,
        description=Text.of(str(facts.get("description") or "")[:1000]),
    )


def _range(facts: Facts) -> tuple[float | None, float | None]:
    """The range that an object says it has; the largest numbers stand for none."""
    low, high = facts.get("min-pres-value"), facts.get("max-pres-value")
    if low is None or high is None:
        return None, None
    low, high = float(low), float(high)
    return (low, high) if low < high and max(abs(low), abs(high)) < 1e30 else (None, None)


def _name(facts: Facts, identifier: Any) -> str:
    """The object's name; without one, its type and number."""
    name = str(facts.get("object-name") or "").strip()[:NAME_MAX]
    return name or f"{identifier[0]},{identifier[1]}"


def _of_device(facts: Facts) -> tuple[Property, ...]:
    names = ("vendor-name", "model-name", "firmware-revision", "location", "serial-number")
    told = [Property(n.replace("-", "_"), str(facts[n])[:1000]) for n in names if facts.get(n)]
    if facts.get("object-identifier") is not None:
        told.append(Property("device_instance", int(facts["object-identifier"][1])))
    return tuple(told) + _properties(facts)


def _properties(facts: Facts) -> tuple[Property, ...]:
    text = str(facts.get("description") or "")[:1000]
    return (Property("description", text),) if text else ()


# --- samples --------------------------------------------------------------------------------


def quality(flags: Sequence[int] | None, reliability: str = "") -> int:
    """The quality that status flags (in alarm, fault, overridden, out of service) stand for.

    Out of service, the present value no longer follows the thing, whatever it says; a fault
    makes it untrustworthy; an override is a good value that a person has set at the device. An
    alarm says nothing of the value's quality.
    """
    if not flags or len(flags) < 4:
        return 0
    _, fault, overridden, out_of_service = flags[:4]
    if out_of_service:
        return BAD_OUT_OF_SERVICE
    if fault:
        is_sensor = reliability in ("no-sensor", "open-loop", "shorted-loop", "over-range",
                                    "under-range")  # fmt: skip
        return BAD_SENSOR_FAILURE if is_sensor else BAD_DEVICE_FAILURE
    return GOOD_LOCAL_OVERRIDE if overridden else 0


def sample_value(value: Any, kind: Kind) -> float | int | bool | str | None:
    """A present value as a sample of a kind.

    Raises:
        TypeError: it is none.
    """
    if value is None:
        return None
    match kind:
        case Kind.FLOAT:
            return float(value)
        case Kind.BOOL:
            return bool(int(value))
        case Kind.ENUM | Kind.INT:
            return int(value)
        case Kind.TEXT:
            return str(value)[:65_536]
        case _:
            raise TypeError(f"{value!r:.40} is no value of kind {kind.name}")
