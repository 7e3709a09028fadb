"""Sparkplug nodes, devices and metrics as this house sees them: types, kinds, descriptions.

Plain values and functions; what happens to them is in `sparkplug_namespace.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from mirrorworld import units
from mirrorworld.connectors import sparkplug_payload as codec
from mirrorworld.connectors.sparkplug_payload import DataType, Metric, Template
from mirrorworld.connectors.topics import NO_HANDLE
from mirrorworld.world import quality
from mirrorworld.world.model import Kind, OperationType, PointType, Text, TwinType

GROUP_TYPE: Final = TwinType("sparkplug:Group", Text((("en", "Sparkplug group"),)))
NODE_TYPE: Final = TwinType(
    "sparkplug:EdgeNode",
    Text((("en", "Sparkplug edge node"),)),
    operations=(
        OperationType(
            "Rebirth", description=Text((("en", "Say again what metrics there are (§6.4.22)"),))
        ),
    ),
)
DEVICE_TYPE: Final = TwinType("sparkplug:Device", Text((("en", "Sparkplug device"),)))
FOLDER_TYPE: Final = TwinType(
    "sparkplug:Folder",
    Text((("en", "Folder of Sparkplug metrics"),)),
    description=Text((("en", "What metrics have before a '/' in their names (§6.4.6)"),)),
)
HOST_TYPE: Final = TwinType("sparkplug:Host", Text((("en", "Sparkplug host application"),)))

CONTROL: Final = "Node Control/"
NOT_POINTS: Final = ("bdSeq", CONTROL, "Device Control/")
_UNIT_KEYS: Final = ("engUnit", "engUnits", "EngUnit", "Engineering Units", "unit", "units")
_LOW_KEYS: Final = ("engLow", "EngLow", "low")
_HIGH_KEYS: Final = ("engHigh", "EngHigh", "high")
_MEANING_KEYS: Final = ("semanticId", "semantic_id", "conceptId")
_TEXT_KEYS: Final = ("documentation", "Documentation", "description", "tooltip")


@dataclass(slots=True)
class Device:
    """A device, or (with the name "") the node's own metrics."""

    name: str
    twin: str
    name_scope: int
    slots: set[int] = field(default_factory=set)
    is_alive: bool = False


@dataclass(slots=True)
class Node:
    """An edge node."""

    group: str
    name: str
    twin: str
    alias_scope: int = -1
    """-1: no birth is known, so no alias either."""
    bd_seq: int | None = None
    seq: int = -1
    """Of the last message; -1: unknown."""
    is_sure: bool = False
    """Whether no message has been missed since the birth: another could have been one of them."""
    asked_s: float = -1e9
    wait_s: float = 0.0
    devices: dict[str, Device] = field(default_factory=dict)


@dataclass(slots=True)
class Slot:
    """Where the values of a metric go."""

    twin: str
    point: str
    handle: int = NO_HANDLE
    scale: float = 1.0
    offset: float = 0.0
    alias: int | None = None
    datatype: int = 0
    name: str = ""
    folder: str = ""
    """What the metric's name has before the point's, up to and with the last `/`."""
    is_part: bool = False
    """Of a template, and so not to be written alone."""


def kind_of(datatype: int) -> Kind | None:
    """The kind of point for a data type; None for what is not mirrored (Bytes, File)."""
    if datatype in codec.WHOLE_BITS:
        return Kind.INT
    if datatype in (DataType.FLOAT, DataType.DOUBLE):
        return Kind.FLOAT
    if datatype == DataType.BOOLEAN:
        return Kind.BOOL
    if datatype in codec.ARRAY_DTYPES or datatype == DataType.BOOLEAN_ARRAY:
        return Kind.ARRAY
    if datatype in codec.TEXTS or datatype in (DataType.DATASET, DataType.STRING_ARRAY):
        return Kind.TEXT
    return None


# --- metrics in parts -----------------------------------------------------------------------


def parts_of(metric: Metric, name: str, datatype: int) -> Iterator[tuple[Metric, str, int]]:
    """(metric, name, data type) of a metric and, if it is a template, of all that is in it."""
    yield metric, name, datatype
    if isinstance(metric.value, Template):
        for part in metric.value.metrics:
            if part.name:
                yield from parts_of(part, f"{name}/{part.name}", part.datatype)


def describe(metric: Metric, name: str, kind: Kind) -> tuple[PointType, str]:
    """(the point that a metric is, its unit as given if that is not UCUM)."""
    return _described(name, kind, metric.datatype, tuple(metric.properties.items()))


@lru_cache(8192)
def _described(
    name: str, kind: Kind, datatype: int, given_properties: tuple[tuple[str, Any], ...]
) -> tuple[PointType, str]:
    """One value for all metrics that say the same of themselves."""
    properties = dict(given_properties)
    given = next((str(properties[k]) for k in _UNIT_KEYS if properties.get(k)), "")
    unit = units.guess(given) if given and kind <= Kind.INT else ""
    if datatype == DataType.DATETIME:
        unit = "ms"
    said = next((str(properties[k]) for k in _TEXT_KEYS if properties.get(k)), "")
    meaning = next((str(properties[k]) for k in _MEANING_KEYS if properties.get(k)), "")
    point = PointType(
        name,
        kind,
        unit,
        _number(properties, _LOW_KEYS) if kind <= Kind.INT else None,
        _number(properties, _HIGH_KEYS) if kind <= Kind.INT else None,
        (meaning,) if meaning else (),
        is_writable=not properties.get("readOnly", False) and kind is not Kind.ARRAY,
        description=Text.of(said),
    )
    return point, given if given and not unit else ""


def _number(properties: dict[str, Any], keys: Sequence[str]) -> float | None:
    for key in keys:
        value = properties.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
            return float(value)
    return None


def quality_of(metric: Metric) -> int:
    """Quality from the metric's property (§6.4.18: 0 bad, 192 good, 500 stale)."""
    code = metric.properties.get("Quality")
    if code is None or code == 192:
        return quality.GOOD
    return quality.UNCERTAIN_LAST_USABLE if code == 500 else quality.BAD


def table_json(table: codec.DataSet) -> str:
    """A table as JSON text."""
    return json.dumps({"columns": table.columns, "rows": table.rows}, ensure_ascii=False)


def timestamp_of(raw: bytes) -> int | None:
    """The time of a message, in milliseconds."""
    for number, wire, value in codec.fields(raw, 0, len(raw)):
        if number == 1 and wire == codec.VARINT:
            return int(value)
    return None
