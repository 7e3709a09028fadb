"""Values of OPC UA that are no numbers: as text, and as values of properties."""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import uuid
from typing import Any, Final

from asyncua import ua

from mirrorworld.world.model import Property, Scalar, Text, Value

TEXT_LIMIT: Final = 65_536
"""Longest text that a value of variable size becomes; what is longer is cut and counted."""


def plain(value: Any, depth: int = 0) -> Value:
    """A value of OPC UA as a property's value: scalars, texts, lists, nested properties."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, ua.LocalizedText):
        return Text.of(value.Text or "", value.Locale or "")
    if isinstance(value, list):
        items = [plain(v, depth + 1) for v in value[:1000]]
        if all(i is None or isinstance(i, bool | int | float | str) for i in items):
            return tuple(items)  # pyright: ignore[reportReturnType]
        return tuple(Property("", item) for item in items)
    if dataclasses.is_dataclass(value) and not isinstance(value, ua.NodeId) and depth < 6:
        return tuple(
            Property(f.name, plain(getattr(value, f.name), depth + 1))
            for f in dataclasses.fields(value)
            if f.name not in ("TypeId", "Encoding")
        )
    return as_text(value)


def as_text(value: Any) -> str:
    """A value of OPC UA as text: what a point of kind TEXT shows."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, ua.LocalizedText):
        return value.Text or ""
    if isinstance(value, ua.QualifiedName):
        return f"{value.NamespaceIndex}:{value.Name}" if value.NamespaceIndex else str(value.Name)
    if isinstance(value, ua.NodeId):
        return value.to_string()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return json.dumps(_jsonable(value), ensure_ascii=False)


def _jsonable(value: Any, depth: int = 0) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_jsonable(v, depth + 1) for v in value]
    if isinstance(value, ua.ExtensionObject):
        body = value.Body if isinstance(value.Body, bytes) else b""
        return {"TypeId": value.TypeId.to_string(), "Body": body.hex()}
    if dataclasses.is_dataclass(value) and depth < 6 and not isinstance(
        value, ua.NodeId | ua.LocalizedText | ua.QualifiedName
    ):  # fmt: skip
        return {
            f.name: _jsonable(getattr(value, f.name), depth + 1)
            for f in dataclasses.fields(value)
            if f.name not in ("TypeId", "Encoding")
        }
    if isinstance(value, ua.StatusCode):
        return value.value
    return as_text(value) if depth < 6 else str(value)


def scalar_result(value: Any) -> Scalar:
    """An output argument as a command carries it."""
    return value if isinstance(value, bool | int | float | str) or value is None else as_text(value)
