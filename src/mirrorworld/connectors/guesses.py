"""What names and values tell about themselves: times, units, and names that can be in an id.

Conservative: a wrong unit is worse than none. Shared by the connectors whose sources say little
of what they send.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from mirrorworld import units

TIME_NAMES: Final = frozenset(
    {
        "ts", "t", "time", "timestamp", "datetime", "date_time", "date", "epoch", "when",
        "timestampms", "timestampus", "timestampns", "timems", "tsms", "epochms", "epochs",
        "sourcetime", "sourcetimestamp", "timestamputc", "timeutc", "utc", "measuredat",
        "recordedat", "createdat", "eventtime", "observedat", "phenomenontime", "zeit",
        "zeitstempel", "unixtime", "lastseen", "resulttime", "sampletime",
    }
)  # fmt: skip
"""Names of a time, lower case, without `_`, `-`, blanks and `.`."""

UNIT_NAMES: Final = frozenset({"unit", "units", "uom", "engunit", "unitofmeasure", "einheit"})
VALUE_NAMES: Final = frozenset({"value", "val", "v", "wert", "reading", "measurement"})

EARLIEST_NS: Final = 315_532_800_000_000_000
"""1980: what is earlier is no time stamp of a plant, but a number."""
LATEST_NS: Final = 4_102_444_800_000_000_000
"""2100."""

NO_TIME: Final = np.iinfo(np.int64).min


def bare(name: str) -> str:
    """A name in lower case without separators: `Date_Time` → `datetime`."""
    return re.sub(r"[_\-\s.:]", "", name).lower()


def is_time_name(name: str) -> bool:
    """Whether a field of that name may hold its record's time."""
    return bare(name) in TIME_NAMES


# --- times ----------------------------------------------------------------------------------


def epoch_ns(values: NDArray[Any]) -> NDArray[np.int64]:
    """Nanoseconds since 1970 of numbers in s, ms, µs or ns, told apart by their size.

    From 1980 to 2100 the four ranges do not meet. Fractions are rounded to the microsecond,
    which is what a float64 of seconds can hold. What fits no range is `NO_TIME`.
    """
    out = np.full(len(values), NO_TIME, np.int64)
    if values.dtype.kind in "iu":
        for factor in (1_000_000_000, 1_000_000, 1_000, 1):
            fits = (values >= EARLIEST_NS // factor) & (values <= LATEST_NS // factor)
            out[fits] = values[fits].astype(np.int64) * factor
        return out
    numbers = values.astype(np.float64)
    for factor in (1e9, 1e6, 1e3, 1.0):
        fits = (numbers >= EARLIEST_NS / factor) & (numbers <= LATEST_NS / factor)
        out[fits] = np.rint(numbers[fits] * (factor / 1e3)).astype(np.int64) * 1000
    return out


_ISO: Final = re.compile(
    r"\s*(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?"
    r"\s*(Z|[+-]\d\d:?\d\d|[+-]\d\d)?\s*$",
    re.IGNORECASE,
)


def iso_ns(text: str, zone: ZoneInfo | None = None) -> int | None:
    """Nanoseconds since 1970 of an ISO 8601 date and time; None if it is not one.

    Without an offset it is in `zone` (None: UTC). All nine digits of a fraction count.
    """
    match = _ISO.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC
        )
    except ValueError:
        return None
    if offset is None:
        if zone is not None:
            moment = moment.replace(tzinfo=zone)
        shift_s = 0
    elif offset in "Zz":
        shift_s = 0
    else:
        digits = offset[1:].replace(":", "")
        shift_s = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
        shift_s = -shift_s if offset[0] == "-" else shift_s
    seconds = int(moment.timestamp()) - shift_s
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def is_time(value: object, zone: ZoneInfo | None = None) -> bool:
    """Whether a value can be a time stamp between 1980 and 2100."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int | float):
        if not abs(value) < 2**63:
            return False
        return bool(epoch_ns(np.array([value]))[0] != NO_TIME)
    if isinstance(value, str):
        ns = iso_ns(value, zone)
        return ns is not None and EARLIEST_NS <= ns <= LATEST_NS
    return False


# --- units ----------------------------------------------------------------------------------

_IN_BRACKETS: Final = re.compile(r"^(.*?)\s*[\[(]\s*([^\[\]()]+?)\s*[\])]\s*$")

_SUFFIXES: Final = {
    "kW": "kW", "MW": "MW", "kWh": "kW.h", "MWh": "MW.h", "Wh": "W.h", "kVA": "kV.A",
    "degC": "Cel", "degc": "Cel", "degF": "[degF]", "celsius": "Cel", "Celsius": "Cel",
    "bar": "bar", "mbar": "mbar", "kPa": "kPa", "MPa": "MPa", "hPa": "hPa", "psi": "[psi]",
    "Hz": "Hz", "hz": "Hz", "kHz": "kHz", "rpm": "/min", "RPM": "/min", "pct": "%",
    "percent": "%", "mm": "mm", "cm": "cm", "kg": "kg", "mA": "mA", "mV": "mV", "kV": "kV",
    "ms": "ms", "kw": "kW", "kwh": "kW.h", "ppm": "[ppm]", "lux": "lx", "l_min": "L/min",
    "m3_h": "m3/h", "m_s": "m/s", "mm_s": "mm/s", "km_h": "km/h",
}  # fmt: skip
"""What stands after an underscore and can hardly mean anything else."""


def unit_of_name(name: str) -> tuple[str, str]:
    """(name without the unit, UCUM) of `Temp [°C]`, `flow (l/min)`, `P_kW`; "" if not sure.

    A suffix stays part of the name, as people address the signal by it; brackets do not.
    """
    bracketed = _IN_BRACKETS.match(name)
    if bracketed and bracketed[1]:
        unit = units.guess(bracketed[2])
        return (bracketed[1], unit) if unit else (name, "")
    for length in (2, 1):
        parts = name.rsplit("_", length)
        if len(parts) == length + 1 and parts[0]:
            unit = _SUFFIXES.get("_".join(parts[1:]), "")
            if unit:
                return name, unit
    return name, ""


# --- names in ids ---------------------------------------------------------------------------

_NOT_IN_IRI: Final = re.compile(r'[\x00-\x20<>"{}|\\^`%?#\x7f]')


def iri_level(level: str) -> str:
    """One level of a path as part of an IRI (RFC 3987): what may not stand there is %-encoded.
    Letters of any script stay as they are, so that people can read them."""
    return _NOT_IN_IRI.sub(lambda m: "".join(f"%{b:02X}" for b in m[0].encode()), level)
