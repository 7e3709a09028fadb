"""Sparkplug B payloads, as far as an edge node needs them.

Written from the published protocol buffer definition (Eclipse Sparkplug 3.0.0, §6.4), and apart
from the mirror's own decoder on purpose: the plant is the other side.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

Number = bool | int | float | str


class DataType(enum.IntEnum):
    """Sparkplug data types in use here (§6.4.16)."""

    INT32 = 3
    INT64 = 4
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric; births carry name, alias and properties, data the alias alone."""

    value: Number
    datatype: DataType
    name: str = ""
    alias: int | None = None
    properties: tuple[tuple[str, Number], ...] = ()


_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5


def encode(metrics: list[Metric], timestamp_ms: int, seq: int | None) -> bytes:
    """A payload; `seq` is None for a death certificate."""
    out = bytearray(_tag(1, _VARINT) + _varint(timestamp_ms))
    for metric in metrics:
        out += _field(2, _metric(metric, timestamp_ms))
    if seq is not None:
        out += _tag(3, _VARINT) + _varint(seq)
    return bytes(out)


def _metric(metric: Metric, timestamp_ms: int) -> bytes:
    out = bytearray()
    if metric.name:
        out += _field(1, metric.name.encode())
    if metric.alias is not None:
        out += _tag(2, _VARINT) + _varint(metric.alias)
    out += _tag(3, _VARINT) + _varint(timestamp_ms)
    out += _tag(4, _VARINT) + _varint(metric.datatype)
    if metric.properties:
        out += _field(9, _properties(metric.properties))
    out += _value(metric.value, metric.datatype, 10)
    return bytes(out)


def _properties(properties: tuple[tuple[str, Number], ...]) -> bytes:
    out = bytearray()
    for key, _ in properties:
        out += _field(1, key.encode())
    for _, value in properties:
        datatype = DataType.DOUBLE
        if isinstance(value, bool):
            datatype = DataType.BOOLEAN
        elif isinstance(value, str):
            datatype = DataType.STRING
        body = _tag(1, _VARINT) + _varint(datatype) + _value(value, datatype, 3)
        out += _field(2, body)
    return bytes(out)


def _value(value: Number, datatype: DataType, first: int) -> bytes:
    """The value, in the field that its type has after the one for 32-bit integers, `first`."""
    match datatype:
        case DataType.INT32:
            return _tag(first, _VARINT) + _varint(int(value) & 0xFFFF_FFFF)
        case DataType.INT64 | DataType.UINT64:
            return _tag(first + 1, _VARINT) + _varint(int(value) & 0xFFFF_FFFF_FFFF_FFFF)
        case DataType.FLOAT:
            return _tag(first + 2, _FIXED32) + struct.pack("<f", value)
        case DataType.DOUBLE:
            return _tag(first + 3, _FIXED64) + struct.pack("<d", value)
        case DataType.BOOLEAN:
            return _tag(first + 4, _VARINT) + _varint(int(value))
        case DataType.STRING:
            return _field(first + 5, str(value).encode())


def decode(payload: bytes) -> list[Metric]:
    """The metrics of a command.

    Raises:
        ValueError: it is not a payload.
    """
    metrics: list[Metric] = []
    for number, _, body in _fields(payload):
        if number == 2 and isinstance(body, bytes):
            metrics.append(_read_metric(body))
    return metrics


def _read_metric(data: bytes) -> Metric:
    name, alias, datatype = "", None, DataType.DOUBLE
    value: Number = 0
    for number, wire, body in _fields(data):
        if number == 1 and isinstance(body, bytes):
            name = body.decode(errors="replace")
        elif number == 2 and isinstance(body, int):
            alias = body
        elif number == 4 and isinstance(body, int):
            datatype = DataType(body)
        elif number in (10, 11) and isinstance(body, int):
            bits = 32 if number == 10 else 64
            is_negative = datatype in (DataType.INT32, DataType.INT64) and body >> (bits - 1)
            value = body - (1 << bits) if is_negative else body
        elif number in (12, 13) and isinstance(body, bytes):
            value = float(struct.unpack("<f" if wire == _FIXED32 else "<d", body)[0])
        elif number == 14:
            value = bool(body)
        elif number == 15 and isinstance(body, bytes):
            value = body.decode(errors="replace")
    return Metric(value, datatype, name, alias)


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _read_varint(data, at)
            yield key >> 3, wire, value
            continue
        if wire == _BYTES:
            length, at = _read_varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire} is not in use")
        if at + length > len(data):
            raise ValueError("the payload is cut short")
        yield key >> 3, wire, data[at : at + length]
        at += length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("the payload is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is longer than 64 bits")


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _field(number: int, body: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(body)) + body


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
