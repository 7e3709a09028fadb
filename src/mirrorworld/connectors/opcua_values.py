"""Values one by one, both ways: what the columns cannot carry, and what is written.

In: texts, arrays and everything else of variable size. Out: a desired value as a Variant of the
very type that the server declares, refused here if it does not fit.
"""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false

from __future__ import annotations

import datetime
import math
import struct
import uuid
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import variant_from_binary

from mirrorworld.connectors import opcua_decode as decode
from mirrorworld.connectors.opcua_text import TEXT_LIMIT, as_text
from mirrorworld.world.frames import FrameBuilder, SampleValue
from mirrorworld.world.model import Kind, Scalar
from mirrorworld.world.quality import BAD_NO_DATA

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

RANGES: Final = {
    2: (-(1 << 7), (1 << 7) - 1),
    3: (0, (1 << 8) - 1),
    4: (-(1 << 15), (1 << 15) - 1),
    5: (0, (1 << 16) - 1),
    6: (-(1 << 31), (1 << 31) - 1),
    7: (0, (1 << 32) - 1),
    8: (-(1 << 63), (1 << 63) - 1),
    9: (0, (1 << 64) - 1),
}
"""Smallest and largest value of the integer types (OPC 10000-6 §5.1.2)."""


class WrongType(Exception):
    """A value is not of its point's kind; `reason` is what to count it as."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def value_of(data: bytes, variant: int, kind: Kind) -> tuple[SampleValue | None, bool]:
    """(the value of the Variant at a place as a sample of `kind`, whether a text was cut).

    Raises:
        WrongType: it is of another kind.
        decode.DecodeError: the bytes are malformed.
    """
    if variant < 0 or data[variant] == 0:
        return None, False
    if kind is Kind.ARRAY:
        found = decode.numbers(data, variant)
        if found is None:
            raise WrongType("wrong_type")
        return found, False
    try:
        value: Any = variant_from_binary(Buffer(data, variant, len(data) - variant))
    except Exception as error:  # a structure that nobody here knows, or broken bytes
        raise WrongType("undecodable") from error
    wire, value = int(value.VariantType.value), value.Value
    if kind is Kind.TEXT:
        text = as_text(value)
        return text[:TEXT_LIMIT], len(text) > TEXT_LIMIT
    if value is None:
        return None, False
    if isinstance(value, list | tuple):
        raise WrongType("wrong_type")
    if kind is Kind.FLOAT and 2 <= wire <= 11:
        return float(value), False
    if kind is Kind.BOOL and wire == 1:
        return bool(value), False
    if kind in (Kind.INT, Kind.ENUM) and 2 <= wire <= 9:
        if int(value) >= 1 << 63:
            raise WrongType("beyond_int64")
        return int(value), False
    if kind is Kind.INT and wire == 13:
        (ticks,) = struct.unpack_from("<q", data, variant + 1)
        ns = decode.to_ns(ticks)
        return (0 if ns == decode.NO_TIME else ns), False
    if kind is Kind.INT and wire == 19:
        return int(value.value), False
    raise WrongType("wrong_type")


def add_sample(
    builder: FrameBuilder,
    handle: int,
    kind: Kind,
    data: bytes,
    at: int,
    now_ns: int,
) -> tuple[SampleValue | None, bool, int, int, int]:
    """Adds the DataValue at `at` to a frame.

    Returns:
        (value, whether a text was cut, quality, source time, the place after it).

    Raises:
        WrongType: it is not of the point's kind.
    """
    variant, status, source_ns, after = decode.data_value(data, at)
    value, is_cut = value_of(data, variant, kind)
    if value is None and status >> 30 == 0:
        status = BAD_NO_DATA
    if source_ns == decode.NO_TIME:
        source_ns = now_ns
    builder.add(handle, kind, value, source_ns, status)
    return value, is_cut, status, source_ns, after


def to_variant(value: Scalar, builtin: int, is_array: bool, place: str) -> ua.Variant:
    """A desired value as the server's own type.

    Raises:
        ValueError: it does not fit; the message names the place and what would.
    """
    if is_array:
        raise ValueError(f"{place}: is an array; only single values can be written")
    if builtin == 1:
        if isinstance(value, bool) or value in (0, 1):
            return ua.Variant(bool(value), ua.VariantType.Boolean)
        raise ValueError(f"{place}: {value!r} is not true or false")
    if builtin in RANGES:
        low, high = RANGES[builtin]
        if isinstance(value, bool | str) or value is None or not float(value).is_integer():
            raise ValueError(f"{place}: {value!r} is not a whole number")
        if not low <= int(value) <= high:
            name = ua.VariantType(builtin).name
            raise ValueError(f"{place}: {value} is beyond {name} ({low} to {high})")
        return ua.Variant(int(value), ua.VariantType(builtin))
    if builtin in (10, 11):
        if isinstance(value, bool | str) or value is None:
            raise ValueError(f"{place}: {value!r} is not a number")
        if builtin == 10 and math.isfinite(value) and abs(value) > 3.4028235e38:
            raise ValueError(f"{place}: {value} is beyond Float")
        return ua.Variant(float(value), ua.VariantType(builtin))
    if builtin == 13 and isinstance(value, int) and not isinstance(value, bool):
        at = _EPOCH + datetime.timedelta(microseconds=value // 1000)
        return ua.Variant(at, ua.VariantType.DateTime)
    if isinstance(value, str):
        try:
            match builtin:
                case 12 | 16:
                    return ua.Variant(value, ua.VariantType(builtin))
                case 14:
                    return ua.Variant(uuid.UUID(value), ua.VariantType.Guid)
                case 15:
                    return ua.Variant(bytes.fromhex(value), ua.VariantType.ByteString)
                case 17:
                    return ua.Variant(ua.NodeId.from_string(value), ua.VariantType.NodeId)
                case 21:
                    return ua.Variant(ua.LocalizedText(value), ua.VariantType.LocalizedText)
        except (ValueError, ua.UaError) as error:
            name = ua.VariantType(builtin).name
            raise ValueError(f"{place}: {value!r:.60} is not a {name}") from error
    if builtin in (24, 26, 27, 28):  # whatever the value itself is
        if isinstance(value, bool):
            return ua.Variant(value, ua.VariantType.Boolean)
        if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
            return ua.Variant(value, ua.VariantType.Int64)
        if isinstance(value, float):
            return ua.Variant(value, ua.VariantType.Double)
        if isinstance(value, str) and builtin == 24:
            return ua.Variant(value, ua.VariantType.String)
    name = ua.VariantType(builtin).name if builtin <= 25 else "a number"
    raise ValueError(f"{place}: {value!r:.60} cannot be written as {name}")
