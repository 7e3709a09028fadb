"""The Sparkplug B payload: its protobuf messages, read and written without a protobuf library.

The messages are few and fixed (Eclipse Sparkplug 3.0.0 §6.4, `sparkplug_b.proto`), and a library
pinned by somebody else's package would cost more than these lines. This is the general codec:
births, commands, and whatever is nested. The fast reader of DATA messages is in
`sparkplug_decode.py` and is tested against this one.
"""

from __future__ import annotations

import dataclasses
import enum
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
DEPTH_LIMIT: Final = 16


class MalformedPayload(ValueError):
    """Bytes that are not a Sparkplug B payload."""


class DataType(enum.IntEnum):
    """Data types of metrics (§6.4.16)."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    PROPERTY_SET = 20
    PROPERTY_SET_LIST = 21
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


WHOLE_BITS: Final = {1: 8, 2: 16, 3: 32, 4: 64, 5: 8, 6: 16, 7: 32, 8: 64, 13: 64}
"""Width of each whole-number type. 1 to 4 are signed."""
ARRAY_DTYPES: Final = {
    22: "i1", 23: "<i2", 24: "<i4", 25: "<i8", 26: "u1", 27: "<u2", 28: "<u4", 29: "<u8",
    30: "<f4", 31: "<f8", 34: "<i8",
}  # fmt: skip
TEXTS: Final = frozenset({12, 14, 15})


@dataclass(slots=True)
class Metric:
    """One metric. `value` is as on the wire; `typed` makes it what its data type says."""

    name: str = ""
    alias: int | None = None
    timestamp_ms: int | None = None
    datatype: int = 0
    is_historical: bool = False
    is_transient: bool = False
    is_null: bool = False
    field: int = 0
    """Which of the value fields (10 to 19) carried the value; 0: none."""
    value: Any = None
    properties: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    has_properties: bool = False
    raw_text: bytes = b""
    """The bytes of a text, as they came."""


@dataclass(slots=True)
class Payload:
    """One message."""

    timestamp_ms: int | None = None
    metrics: list[Metric] = dataclasses.field(default_factory=list[Metric])
    seq: int | None = None


@dataclass(slots=True)
class DataSet:
    """A table."""

    columns: list[str] = dataclasses.field(default_factory=list[str])
    types: list[int] = dataclasses.field(default_factory=list[int])
    rows: list[list[Any]] = dataclasses.field(default_factory=list[list[Any]])


@dataclass(slots=True)
class Template:
    """A group of metrics under one name."""

    version: str = ""
    metrics: list[Metric] = dataclasses.field(default_factory=list[Metric])
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    template_ref: str = ""
    is_definition: bool = False


# --- reading --------------------------------------------------------------------------------


def fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, Any]]:
    """(field number, wire type, value) of a message; LENGTH values are (start, end)."""
    at = start
    while at < end:
        key, at = read_varint(data, at, end)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = read_varint(data, at, end)
            yield number, wire, value
        elif wire == LENGTH:
            size, at = read_varint(data, at, end)
            if size > end - at:
                raise MalformedPayload("a field longer than its message")
            yield number, wire, (at, at + size)
            at += size
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
            if size > end - at:
                raise MalformedPayload("a number beyond the end of its message")
            yield number, wire, data[at : at + size]
            at += size
        else:
            raise MalformedPayload(f"wire type {wire}")


def read_varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(value of 64 bits, where it ends)."""
    value = shift = 0
    while at < end:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
        if shift > 63:
            break
    raise MalformedPayload("a number of more than ten bytes, or cut off")


def decode(data: bytes) -> Payload:
    """The payload of a message.

    Raises:
        MalformedPayload: it is none.
    """
    payload = Payload()
    for number, wire, value in fields(data, 0, len(data)):
        if number == 1 and wire == VARINT:
            payload.timestamp_ms = value
        elif number == 2 and wire == LENGTH:
            payload.metrics.append(decode_metric(data, value[0], value[1]))
        elif number == 3 and wire == VARINT:
            payload.seq = value
    return payload


def decode_metric(data: bytes, start: int, end: int, depth: int = 0) -> Metric:
    """The metric in a part of a message."""
    if depth > DEPTH_LIMIT:
        raise MalformedPayload("templates nested too deeply")
    metric = Metric()
    for number, wire, value in fields(data, start, end):
        match number, wire:
            case 1, 2:
                metric.name = _text(data, value)
            case 2, 0:
                metric.alias = value
            case 3, 0:
                metric.timestamp_ms = value
            case 4, 0:
                metric.datatype = value
            case 5, 0:
                metric.is_historical = bool(value)
            case 6, 0:
                metric.is_transient = bool(value)
            case 7, 0:
                metric.is_null = bool(value)
            case 9, 2:
                metric.properties = _properties(data[slice(*value)])
                metric.has_properties = True
            case ((10 | 11 | 14), 0):
                metric.field, metric.value = number, value
            case 12, 5:
                metric.field, metric.value = number, struct.unpack("<f", value)[0]
            case 13, 1:
                metric.field, metric.value = number, struct.unpack("<d", value)[0]
            case 15, 2:
                metric.raw_text = data[slice(*value)]
                metric.field, metric.value = number, metric.raw_text.decode(errors="replace")
            case ((16 | 19), 2):
                metric.field, metric.value = number, data[slice(*value)]
            case 17, 2:
                metric.field, metric.value = number, _dataset(data, value)
            case 18, 2:
                metric.field, metric.value = number, _template(data, value, depth + 1)
            case _:
                pass
    return metric


def _text(data: bytes, span: tuple[int, int]) -> str:
    return data[slice(*span)].decode(errors="replace")


_PROPERTY_VALUES: Final = {3: 10, 4: 11, 5: 12, 6: 13, 7: 14, 8: 15}
_DATASET_VALUES: Final = {1: 10, 2: 11, 3: 12, 4: 13, 5: 14, 6: 15}


def _scalar(data: bytes, place: tuple[int, int], numbers: dict[int, int], type_: int) -> Any:
    """A value whose message numbers its fields in its own way."""
    metric = Metric(datatype=type_)
    for number, wire, value in fields(data, *place):
        if number == 1 and wire == VARINT and 1 not in numbers:
            metric.datatype = value
        elif number == 2 and wire == VARINT and 2 not in numbers:
            metric.is_null = bool(value)
        elif number in numbers:
            metric.field = numbers[number]
            if wire == VARINT:
                metric.value = value
            elif wire == LENGTH:
                metric.value = _text(data, value)
            else:
                metric.value = struct.unpack("<f" if wire == FIXED32 else "<d", value)[0]
    if metric.is_null or metric.field == 0:
        return None
    try:
        return typed(metric, metric.datatype)
    except ValueError:
        return metric.value


@lru_cache(4096)
def _properties(data: bytes) -> dict[str, Any]:
    """A property set. Most metrics of a birth share theirs with others: nobody may change it."""
    keys: list[str] = []
    values: list[Any] = []
    for number, wire, span in fields(data, 0, len(data)):
        if wire != LENGTH:
            continue
        if number == 1:
            keys.append(_text(data, span))
        elif number == 2:
            values.append(_scalar(data, span, _PROPERTY_VALUES, 0))
    return dict(zip(keys, values, strict=False))


def _dataset(data: bytes, place: tuple[int, int]) -> DataSet:
    found = DataSet()
    for number, wire, value in fields(data, *place):
        if number == 2 and wire == LENGTH:
            found.columns.append(_text(data, value))
        elif number == 3 and wire == VARINT:
            found.types.append(value)
        elif number == 3 and wire == LENGTH:
            at, stop = value
            while at < stop:
                one, at = read_varint(data, at, stop)
                found.types.append(one)
        elif number == 4 and wire == LENGTH:
            row: list[Any] = []
            for part, part_wire, span in fields(data, value[0], value[1]):
                if part == 1 and part_wire == LENGTH:
                    type_ = found.types[len(row)] if len(row) < len(found.types) else 0
                    row.append(_scalar(data, span, _DATASET_VALUES, type_))
            found.rows.append(row)
    return found


def _template(data: bytes, place: tuple[int, int], depth: int) -> Template:
    found = Template()
    for number, wire, value in fields(data, *place):
        if number == 1 and wire == LENGTH:
            found.version = _text(data, value)
        elif number == 2 and wire == LENGTH:
            found.metrics.append(decode_metric(data, value[0], value[1], depth))
        elif number == 4 and wire == LENGTH:
            found.template_ref = _text(data, value)
        elif number == 5 and wire == VARINT:
            found.is_definition = bool(value)
    return found


# --- values ---------------------------------------------------------------------------------


def typed(metric: Metric, datatype: int) -> Any:
    """The value as its data type means it.

    Raises:
        ValueError: the field that carried it does not fit the data type.
    """
    value, carrier = metric.value, metric.field
    if datatype in WHOLE_BITS and carrier in (10, 11):
        return whole(value, datatype, carrier)
    if datatype in (9, 10) and carrier in (12, 13):
        return float(value)
    if datatype == DataType.BOOLEAN and carrier == 14:
        return bool(value)
    if datatype in TEXTS and carrier == 15:
        return value
    if datatype in ARRAY_DTYPES and carrier == 16:
        dtype = np.dtype(ARRAY_DTYPES[datatype])
        if len(value) % dtype.itemsize:
            raise ValueError(f"{len(value)} bytes are no whole number of {dtype}")
        return np.frombuffer(value, dtype)
    if datatype == DataType.BOOLEAN_ARRAY and carrier == 16:
        return _booleans(value)
    if datatype == DataType.STRING_ARRAY and carrier == 16:
        return [part.decode(errors="replace") for part in value.split(b"\0")[:-1]]
    if datatype == DataType.DATASET and carrier == 17:
        return value
    if datatype == DataType.TEMPLATE and carrier == 18:
        return value
    if datatype in (17, 18) and carrier == 16:
        return value
    raise ValueError(f"a value in field {carrier} for data type {datatype}")


def whole(raw: int, datatype: int, carrier: int) -> int:
    """A whole number of its type's width. Signed ones come as two's complement of their own
    width, of 32 bits or of 64 bits, depending on who encoded them.

    Raises:
        ValueError: it does not fit its type, or not int64.
    """
    bits = WHOLE_BITS[datatype]
    if datatype > 4:
        if raw >> bits or raw >> 63:
            raise ValueError(f"{raw} does not fit {DataType(datatype).name}")
        return raw
    half = 1 << (bits - 1)
    if raw < 1 << bits:
        return raw - (1 << bits) if raw >= half else raw
    for wide in (32, 64) if carrier == 10 else (64,):
        if raw < 1 << wide and raw >= (1 << wide) - half:
            return raw - (1 << wide)
    raise ValueError(f"{raw} does not fit {DataType(datatype).name}")


def _booleans(raw: bytes) -> NDArray[np.uint8]:
    """BooleanArray: a count of four bytes, then bits, most significant first (§6.4.16.4)."""
    if len(raw) < 4:
        raise ValueError("a BooleanArray without its count")
    count = int.from_bytes(raw[:4], "little")
    bits = np.unpackbits(np.frombuffer(raw[4:], np.uint8))
    if count > len(bits):
        raise ValueError("a BooleanArray shorter than its count")
    return bits[:count]


# --- writing --------------------------------------------------------------------------------


def _varint(value: int) -> bytes:
    out = bytearray()
    value &= 0xFFFF_FFFF_FFFF_FFFF
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | VARINT) + _varint(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | LENGTH) + _varint(len(value)) + value


def value_field(datatype: int, value: Any) -> bytes:
    """A Python value in the field that its data type uses.

    Raises:
        ValueError: the value does not fit the data type.
    """
    if datatype in WHOLE_BITS:
        number = int(value)
        bits, is_signed = WHOLE_BITS[datatype], datatype <= 4
        low, high = (-(1 << bits - 1), 1 << bits - 1) if is_signed else (0, 1 << bits)
        if isinstance(value, bool) or number != value or not low <= number < high:
            raise ValueError(f"{value!r} does not fit {DataType(datatype).name}")
        if bits == 64:
            return _number(11, number & 0xFFFF_FFFF_FFFF_FFFF)
        return _number(10, number & 0xFFFF_FFFF)
    if datatype == DataType.FLOAT:
        return _varint(12 << 3 | FIXED32) + struct.pack("<f", value)
    if datatype == DataType.DOUBLE:
        return _varint(13 << 3 | FIXED64) + struct.pack("<d", value)
    if datatype == DataType.BOOLEAN:
        if value not in (0, 1):
            raise ValueError(f"{value!r} is not true or false")
        return _number(14, int(value))
    if datatype in TEXTS:
        return _bytes(15, str(value).encode())
    if datatype in ARRAY_DTYPES:
        return _bytes(16, np.asarray(value, np.dtype(ARRAY_DTYPES[datatype])).tobytes())
    if datatype == DataType.TEMPLATE and isinstance(value, Template):
        parts = [_bytes(2, encode_metric(m)) for m in value.metrics]
        if value.template_ref:
            parts.append(_bytes(4, value.template_ref.encode()))
        return _bytes(18, b"".join([*parts, _number(5, value.is_definition)]))
    if datatype == DataType.DATASET and isinstance(value, DataSet):
        return _bytes(17, _encode_dataset(value))
    raise ValueError(f"data type {datatype} cannot be written")


def _encode_dataset(table: DataSet) -> bytes:
    parts = [_number(1, len(table.columns))]
    parts += [_bytes(2, name.encode()) for name in table.columns]
    parts += [_number(3, type_) for type_ in table.types]
    for row in table.rows:
        elements = [
            _bytes(1, _renumbered(value_field(t, v), 9)) if v is not None else _bytes(1, b"")
            for t, v in zip(table.types, row, strict=True)
        ]
        parts.append(_bytes(4, b"".join(elements)))
    return b"".join(parts)


def _renumbered(field_: bytes, less: int) -> bytes:
    """A metric's value field under the number that another message gives it."""
    key, at = read_varint(field_, 0, len(field_))
    return _varint(key - (less << 3)) + field_[at:]


def encode_metric(metric: Metric) -> bytes:
    """A metric, its value given as Python value of its data type."""
    parts: list[bytes] = []
    if metric.name:
        parts.append(_bytes(1, metric.name.encode()))
    if metric.alias is not None:
        parts.append(_number(2, metric.alias))
    if metric.timestamp_ms is not None:
        parts.append(_number(3, metric.timestamp_ms))
    if metric.datatype:
        parts.append(_number(4, metric.datatype))
    if metric.is_historical:
        parts.append(_number(5, 1))
    if metric.is_null or metric.value is None:
        parts.append(_number(7, 1))
    if metric.properties:
        parts.append(_bytes(9, _encode_properties(metric.properties)))
    if not metric.is_null and metric.value is not None:
        parts.append(value_field(metric.datatype, metric.value))
    return b"".join(parts)


def _encode_properties(properties: dict[str, Any]) -> bytes:
    parts = [_bytes(1, key.encode()) for key in properties]
    for value in properties.values():
        if isinstance(value, bool):
            type_ = int(DataType.BOOLEAN)
        elif isinstance(value, int):
            type_ = int(DataType.INT64)
        elif isinstance(value, float):
            type_ = int(DataType.DOUBLE)
        else:
            type_ = int(DataType.STRING)
        parts.append(_bytes(2, _number(1, type_) + _renumbered(value_field(type_, value), 7)))
    return b"".join(parts)


def encode(metrics: Sequence[Metric], timestamp_ms: int, seq: int | None = None) -> bytes:
    """A message of metrics."""
    parts = [_number(1, timestamp_ms), *(_bytes(2, encode_metric(m)) for m in metrics)]
    if seq is not None:
        parts.append(_number(3, seq))
    return b"".join(parts)
