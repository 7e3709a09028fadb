"""Qualities of samples: OPC UA status codes, 32 bits, severity in the top two (IEC 62541-4 §7.39).

Knows the codes that the kernel itself sets and the names of those that sources commonly send.
"""

from __future__ import annotations

from typing import Final

GOOD: Final = 0x0000_0000
UNCERTAIN: Final = 0x4000_0000
BAD: Final = 0x8000_0000

UNCERTAIN_LAST_USABLE: Final = 0x4090_0000
"""The source is gone or silent; the value is the last one it gave."""
UNCERTAIN_RANGE: Final = 0x4094_0000
"""Outside the engineering range that the point's type declares."""
BAD_NO_COMMUNICATION: Final = 0x8031_0000
BAD_WAITING: Final = 0x8032_0000
"""No value has come yet."""
BAD_NO_DATA: Final = 0x809B_0000
"""A number was promised and NaN came."""
BAD_TYPE: Final = 0x8074_0000

_NAMES: Final = {
    GOOD: "Good",
    UNCERTAIN: "Uncertain",
    BAD: "Bad",
    UNCERTAIN_LAST_USABLE: "UncertainLastUsableValue",
    UNCERTAIN_RANGE: "UncertainEngineeringUnitsExceeded",
    0x4091_0000: "UncertainSubstituteValue",
    0x4093_0000: "UncertainSensorNotAccurate",
    BAD_NO_COMMUNICATION: "BadNoCommunication",
    BAD_WAITING: "BadWaitingForInitialData",
    BAD_NO_DATA: "BadNoData",
    BAD_TYPE: "BadTypeMismatch",
    0x8005_0000: "BadCommunicationError",
    0x808A_0000: "BadNotConnected",
    0x808B_0000: "BadDeviceFailure",
    0x808C_0000: "BadSensorFailure",
    0x808D_0000: "BadOutOfService",
}


def severity(code: int) -> str:
    """`"good"`, `"uncertain"` or `"bad"`."""
    return ("good", "uncertain", "bad", "bad")[(code >> 30) & 3]


def name(code: int) -> str:
    """The standard's symbolic name where it is known here, else severity and the code in hex."""
    known = _NAMES.get(code & 0xFFFF_0000)
    return known if known is not None else f"{severity(code).capitalize()}0x{code:08X}"
