"""What MTConnect's own words mean here: units, kinds of data items, controlled values.

From the MTConnect Standard Part 2.0, Devices Information Model: units §7.2.2.5, types §8, and
Part 3.0 for representations. Units and types that are not listed stay without unit, as text.

Knows words; refuses to know documents.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from mirrorworld import units
from mirrorworld.world.model import Kind

UNITS: Final = MappingProxyType(
    {
        "AMPERE": "A", "CELSIUS": "Cel", "COULOMB": "C", "COUNT": "", "COUNT/SECOND": "/s",
        "CUBIC_MILLIMETER": "mm3", "CUBIC_MILLIMETER/SECOND": "mm3/s",
        "CUBIC_MILLIMETER/SECOND^2": "mm3/s2", "DECIBEL": "dB", "DEGREE": "deg",
        "DEGREE/SECOND": "deg/s", "DEGREE/SECOND^2": "deg/s2", "DEGREE_3D": "deg", "GRAM": "g",
        "GRAM/CUBIC_METER": "g/m3", "HERTZ": "Hz", "JOULE": "J", "KILOGRAM": "kg",
        "KILOWATT_HOUR": "kW.h", "LITER": "L", "LITER/SECOND": "L/s", "MICRO_RADIAN": "urad",
        "MICROTORR": "", "MILLIGRAM": "mg", "MILLIGRAM/CUBIC_MILLIMETER": "mg/mm3",
        "MILLILITER": "mL", "MILLIMETER": "mm", "MILLIMETER/REVOLUTION": "mm",
        "MILLIMETER/SECOND": "mm/s", "MILLIMETER/SECOND^2": "mm/s2", "MILLIMETER_3D": "mm",
        "MILLIMETER_SQUARED": "mm2", "SQUARE_MILLIMETER": "mm2", "NEWTON": "N",
        "NEWTON_METER": "N.m", "OHM": "Ohm", "PASCAL": "Pa", "PASCAL/SECOND": "Pa/s",
        "PASCAL_SECOND": "Pa.s", "PERCENT": "%", "PH": "[pH]", "REVOLUTION/MINUTE": "/min",
        "REVOLUTION/SECOND": "/s", "REVOLUTION/SECOND^2": "/s2", "SECOND": "s",
        "SIEMENS/METER": "S/m", "UNIT_VECTOR_3D": "", "VOLT": "V", "VOLT_AMPERE": "V.A",
        "VOLT_AMPERE_REACTIVE": "V.A", "WATT": "W", "WATT_SECOND": "W.s",
        "GRAVITATIONAL_ACCELERATION": "[g]",
        # nativeUnits (§7.2.2.6) beside those above
        "CENTIPOISE": "cP", "FAHRENHEIT": "[degF]", "FOOT": "[ft_i]", "FOOT/MINUTE": "[ft_i]/min",
        "FOOT/SECOND": "[ft_i]/s", "FOOT/SECOND^2": "[ft_i]/s2", "FOOT_3D": "[ft_i]",
        "GALLON/MINUTE": "[gal_us]/min", "HOUR": "h", "INCH": "[in_i]", "INCH/MINUTE": "[in_i]/min",
        "INCH/SECOND": "[in_i]/s", "INCH/SECOND^2": "[in_i]/s2", "INCH_3D": "[in_i]",
        "INCH_POUND": "[in_i].[lbf_av]", "KELVIN": "K", "KILOWATT": "kW", "LITER/MINUTE": "L/min",
        "METER": "m", "MICROMETER": "um", "MILLIMETER/MINUTE": "mm/min", "MINUTE": "min",
        "POUND": "[lb_av]", "POUND/INCH^2": "[psi]", "RADIAN": "rad", "RADIAN/MINUTE": "rad/min",
        "RADIAN/SECOND": "rad/s", "RADIAN/SECOND^2": "rad/s2", "BAR": "bar", "TORR": "",
        "MILLIMETER_MERCURY": "mm[Hg]", "PASCAL/MINUTE": "Pa/min", "MILLIBAR": "mbar",
        "CUBIC_FOOT": "[cft_i]", "CUBIC_FOOT/HOUR": "[cft_i]/h", "CUBIC_FOOT/MINUTE": "[cft_i]/min",
        "CUBIC_METER": "m3", "KILOGRAM/CUBIC_METER": "kg/m3", "AMPERE_HOUR": "A.h",
        "DEGREE/MINUTE": "deg/min",
        "NEWTON_MILLIMETER": "N.mm", "MILLIMETER/SECOND/SECOND": "mm/s2", "MILLISECOND": "ms",
    }
)  # fmt: skip
"""MTConnect's units in UCUM; "" for pure numbers and for what UCUM cannot say."""

NUMERIC_EVENTS: Final = frozenset(
    {
        "AXIS_FEEDRATE_OVERRIDE", "BLOCK_COUNT", "CYCLE_COUNT", "HARDNESS", "LINE_NUMBER",
        "LOAD_COUNT", "NETWORK_PORT", "PART_COUNT", "PATH_FEEDRATE_OVERRIDE",
        "ROTARY_VELOCITY_OVERRIDE", "THICKNESS", "TOOL_OFFSET", "TRANSFER_COUNT", "UNLOAD_COUNT",
        "MATERIAL_LAYER", "ADAPTER_CONNECTION_COUNT",
    }
)  # fmt: skip
"""Events whose values are numbers by the standard."""

_ON_OFF: Final = ("ON", "OFF")
_ACTIVE: Final = ("ACTIVE", "INACTIVE")
_OPEN: Final = ("OPEN", "UNLATCHED", "CLOSED")
CONTROLLED: Final = MappingProxyType(
    {
        "ACTUATOR_STATE": _ACTIVE,
        "ALARM_STATE": ("ACTIVE", "CLEARED", "INSTANT"),
        "AVAILABILITY": ("AVAILABLE",),
        "AXIS_COUPLING": ("TANDEM", "SYNCHRONOUS", "MASTER", "SLAVE"),
        "AXIS_INTERLOCK": _ACTIVE,
        "AXIS_STATE": ("HOME", "TRAVEL", "PARKED", "STOPPED"),
        "CHUCK_INTERLOCK": _ACTIVE,
        "CHUCK_STATE": ("OPEN", "CLOSED", "UNLATCHED"),
        "COMPOSITION_STATE": ("ACTIVE", "INACTIVE", "OPEN", "CLOSED", "UNLATCHED", "ON", "OFF"),
        "CONNECTION_STATUS": ("CLOSED", "LISTEN", "ESTABLISHED"),
        "CONTROLLER_MODE": ("AUTOMATIC", "MANUAL", "MANUAL_DATA_INPUT", "SEMI_AUTOMATIC", "EDIT"),
        "CONTROLLER_MODE_OVERRIDE": _ON_OFF,
        "DIRECTION": ("CLOCKWISE", "COUNTER_CLOCKWISE", "POSITIVE", "NEGATIVE", "NONE"),
        "DOOR_STATE": _OPEN,
        "EMERGENCY_STOP": ("ARMED", "TRIGGERED"),
        "END_OF_BAR": ("YES", "NO"),
        "EQUIPMENT_MODE": _ON_OFF,
        "EXECUTION": (
            "READY", "ACTIVE", "INTERRUPTED", "FEED_HOLD", "STOPPED", "OPTIONAL_STOP",
            "PROGRAM_STOPPED", "PROGRAM_COMPLETED", "PROGRAM_OPTIONAL_STOP", "WAIT",
        ),
        "FUNCTIONAL_MODE": (
            "PRODUCTION", "SETUP", "TEARDOWN", "MAINTENANCE", "PROCESS_DEVELOPMENT",
        ),
        "INTERFACE_STATE": ("ENABLED", "DISABLED"),
        "PATH_MODE": ("INDEPENDENT", "MASTER", "SYNCHRONOUS", "MIRROR"),
        "POWER_STATE": _ON_OFF,
        "POWER_STATUS": _ON_OFF,
        "PROGRAM_EDIT": ("ACTIVE", "READY", "NOT_READY"),
        "ROTARY_MODE": ("SPINDLE", "INDEX", "CONTOUR"),
        "SPINDLE_INTERLOCK": _ACTIVE,
        "VALVE_STATE": ("OPEN", "OPENING", "CLOSED", "CLOSING"),
    }
)  # fmt: skip
"""Controlled vocabularies of events (Part 2.0 §8.2). A value beside them gets a code of its own."""

UNAVAILABLE: Final = "UNAVAILABLE"


def ucum(unit: str) -> str:
    """The UCUM code of an MTConnect unit, or "" where it is not known for sure."""
    if unit in UNITS:
        code = UNITS[unit]
        return code if not code or units.is_ucum(code) else ""
    # §7.2.2.5 allows units of one's own with a prefix: `x:FURLONG`.
    return units.guess(unit.rpartition(":")[2])


def kind_of(category: str, type_: str, unit: str, representation: str, values: int) -> Kind | None:
    """The kind of a data item; None for a condition, which is not a point.

    Args:
        values: how many values its constraints allow; 0: not said.
    """
    if category == "CONDITION":
        return None
    if representation in ("DATA_SET", "TABLE"):
        return Kind.TEXT
    if representation == "TIME_SERIES" or unit.endswith("_3D"):
        return Kind.ARRAY
    if category == "SAMPLE":
        return Kind.ARRAY if type_ in ("PATH_POSITION", "ORIENTATION") else Kind.FLOAT
    if type_ in NUMERIC_EVENTS or unit:
        return Kind.FLOAT
    if type_ in CONTROLLED or values > 1:
        return Kind.ENUM
    return Kind.TEXT
