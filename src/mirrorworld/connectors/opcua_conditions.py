"""Alarms and conditions of an OPC UA server (OPC 10000-9), from event fields to events here.

Which fields are asked for, and what becomes of them:

| condition | here |
|---|---|
| ConditionId (and BranchId) | the event's id |
| SourceNode, else InputNode | the twin of that object or variable, else the server's |
| ActiveState, else Retain | is_active |
| AckedState | is_acknowledged |
| Severity 1 to 333, to 666, to 1000 | low, medium, high |
| the rest | properties |

Knows event fields; asks nothing of a server (`opcua_alarms.py` does).
"""

# asyncua's annotations describe the wire's types, not the Python values it takes and gives.
# pyright: reportArgumentType=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import variant_from_binary

from mirrorworld.connectors.opcua_decode import DecodeError
from mirrorworld.connectors.opcua_session import datetime_ns
from mirrorworld.world.changes import Event, Severity
from mirrorworld.world.model import Property, Scalar, Text

CONDITION_TYPE: Final = ua.ObjectIds.ConditionType
REFRESH_START: Final = ua.NodeId(ua.ObjectIds.RefreshStartEventType)
REFRESH_END: Final = ua.NodeId(ua.ObjectIds.RefreshEndEventType)
REFRESH_REQUIRED: Final = ua.NodeId(ua.ObjectIds.RefreshRequiredEventType)

_ids = ua.ObjectIds
FIELDS: Final[Mapping[str, tuple[int, str]]] = {
    "EventId": (_ids.BaseEventType, "EventId"),
    "EventType": (_ids.BaseEventType, "EventType"),
    "SourceNode": (_ids.BaseEventType, "SourceNode"),
    "SourceName": (_ids.BaseEventType, "SourceName"),
    "Time": (_ids.BaseEventType, "Time"),
    "Message": (_ids.BaseEventType, "Message"),
    "Severity": (_ids.BaseEventType, "Severity"),
    "ConditionId": (_ids.ConditionType, ""),
    "ConditionName": (_ids.ConditionType, "ConditionName"),
    "BranchId": (_ids.ConditionType, "BranchId"),
    "Retain": (_ids.ConditionType, "Retain"),
    "Enabled": (_ids.ConditionType, "EnabledState/Id"),
    "Comment": (_ids.ConditionType, "Comment"),
    "ClientUserId": (_ids.ConditionType, "ClientUserId"),
    "Acked": (_ids.AcknowledgeableConditionType, "AckedState/Id"),
    "Confirmed": (_ids.AcknowledgeableConditionType, "ConfirmedState/Id"),
    "Active": (_ids.AlarmConditionType, "ActiveState/Id"),
    "InputNode": (_ids.AlarmConditionType, "InputNode"),
    "Suppressed": (_ids.AlarmConditionType, "SuppressedState/Id"),
    "OutOfService": (_ids.AlarmConditionType, "OutOfServiceState/Id"),
    "Shelving": (_ids.AlarmConditionType, "ShelvingState/CurrentState"),
    "LimitState": (_ids.ExclusiveLimitAlarmType, "LimitState/CurrentState"),
}
"""Name here -> (type that defines it, path of browse names; "": the condition's own NodeId)."""

TEXT_MAX: Final = 2000
EVENTS_MAX: Final = 100_000
"""Events of one message; beyond, the message is not believed."""


def event_filter(*, only_conditions: bool) -> ua.EventFilter:
    """What is asked for of each event; servers that cannot filter by type are asked for all."""
    made = ua.EventFilter()
    made.SelectClauses = [
        ua.SimpleAttributeOperand(
            TypeDefinitionId=ua.NodeId(type_),
            BrowsePath=[ua.QualifiedName(name, 0) for name in path.split("/") if name],
            AttributeId=ua.AttributeIds.Value if path else ua.AttributeIds.NodeId,
        )
        for type_, path in FIELDS.values()
    ]
    if only_conditions:
        operand = ua.LiteralOperand(Value=ua.Variant(ua.NodeId(CONDITION_TYPE)))
        made.WhereClause = ua.ContentFilter(
            Elements=[
                ua.ContentFilterElement(
                    FilterOperator=ua.FilterOperator.OfType, FilterOperands=[operand]
                )
            ]
        )
    return made


def fields_of(data: bytes, start: int, end: int) -> list[dict[str, Any]]:
    """The fields of each event of an EventNotificationList (OPC 10000-4 §7.25.3).

    Raises:
        DecodeError: the bytes are not what they claim to be.
    """
    try:
        buffer = Buffer(data, start, end - start)
        (n,) = struct.unpack("<i", buffer.read(4))
        if n > min((end - start) // 8, EVENTS_MAX):
            raise DecodeError("a list of events is longer than its message")
        found: list[dict[str, Any]] = []
        for _ in range(max(n, 0)):
            _handle, m = struct.unpack("<Ii", buffer.read(8))
            if m > len(FIELDS):
                raise DecodeError("an event has more fields than were asked for")
            values = [variant_from_binary(buffer).Value for _ in range(max(m, 0))]
            found.append(dict(zip(FIELDS, values, strict=False)))
        return found
    except DecodeError:
        raise
    except Exception as error:  # asyncua raises whatever the bytes provoke
        raise DecodeError("a list of events is malformed") from error


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as its latest event has it."""

    event: Event
    node: ua.NodeId
    event_id: bytes
    """What a method call has to name, so that it cannot be meant for an older state."""
    can_acknowledge: bool
    retain: bool


def condition_of(
    fields: Mapping[str, Any],
    source: str,
    namespaces: Sequence[str],
    places: Mapping[tuple[int, Any], str],
    now_ns: int,
) -> Condition | None:
    """The condition that an event reports; None if it reports none."""
    node = fields.get("ConditionId")
    if not isinstance(node, ua.NodeId) or node.is_null():
        return None
    event_id = fields.get("EventId")
    acked, active = _flag(fields, "Acked"), _flag(fields, "Active")
    retain = bool(fields.get("Retain"))
    is_enabled = _flag(fields, "Enabled") is not False
    severity = fields.get("Severity")
    severity = severity if isinstance(severity, int) and not isinstance(severity, bool) else 0
    twin = _twin(fields, places) or source
    at = fields.get("Time")
    name = _text(fields.get("ConditionName"))
    message = fields.get("Message")
    text = _text(message) or name or "a condition without a message"
    locale = str(getattr(message, "Locale", None) or "")[:20]
    event = Event(
        id_of(source, node, fields.get("BranchId"), namespaces),
        twin,
        "alarm",
        Text.of(text, locale),
        severity_of(severity),
        is_active=is_enabled and (retain if active is None else active),
        is_acknowledged=bool(acked),
        source_ns=datetime_ns(at) if hasattr(at, "year") else now_ns,
        properties=_properties(fields, name, severity, node),
    )
    return Condition(
        event, node, event_id if isinstance(event_id, bytes) else b"", acked is not None, retain
    )


def severity_of(severity: int) -> Severity:
    """The step of a severity: thirds of 1 to 1000 (OPC 10000-5 §6.4.2)."""
    if severity <= 0:
        return Severity.INFO
    if severity <= 333:
        return Severity.LOW
    return Severity.MEDIUM if severity <= 666 else Severity.HIGH


def prefix_of(source: str) -> str:
    """How the ids of all conditions of a source begin."""
    return f"{source}/condition/"


def id_of(source: str, node: ua.NodeId, branch: Any, namespaces: Sequence[str]) -> str:
    """The event's id: the condition's NodeId without its namespace index, which may change with a
    restart, and with a short form of the namespace's URI instead."""
    tail = _bare(node, namespaces)
    if isinstance(branch, ua.NodeId) and not branch.is_null():
        tail += f"/branch/{_bare(branch, namespaces)}"
    return prefix_of(source) + tail


def _bare(node: ua.NodeId, namespaces: Sequence[str]) -> str:
    text = node.to_string()
    tail = text.rpartition(";")[2] if node.NamespaceIndex else text
    if len(tail) > 200:
        tail = f"{tail[:100]}~{hashlib.sha256(tail.encode()).hexdigest()[:16]}"
    if not node.NamespaceIndex:
        return tail
    index = node.NamespaceIndex
    uri = namespaces[index] if index < len(namespaces) else f"urn:namespace:{index}"
    return f"{hashlib.sha256(uri.encode()).hexdigest()[:6]};{tail}"


def _twin(fields: Mapping[str, Any], places: Mapping[tuple[int, Any], str]) -> str:
    for name in ("SourceNode", "InputNode"):
        node = fields.get(name)
        if isinstance(node, ua.NodeId) and not node.is_null():
            found = places.get((node.NamespaceIndex, node.Identifier))
            if found:
                return found
    return ""


def _properties(
    fields: Mapping[str, Any], name: str, severity: int, node: ua.NodeId
) -> tuple[Property, ...]:
    """What else is said of a condition, where it is said."""
    event_type = fields.get("EventType")
    told: dict[str, Scalar] = {
        "condition": name,
        "severity": severity,
        "state": _text(fields.get("LimitState")),
        "source_name": _text(fields.get("SourceName")),
        "confirmed": _flag(fields, "Confirmed"),
        "shelving": _text(fields.get("Shelving")),
        "suppressed": _flag(fields, "Suppressed"),
        "out_of_service": _flag(fields, "OutOfService"),
        "comment": _text(fields.get("Comment")),
        "commented_by": _text(fields.get("ClientUserId")),
        "condition_id": node.to_string()[:TEXT_MAX],
        "event_type": event_type.to_string() if isinstance(event_type, ua.NodeId) else "",
    }
    return tuple(Property(n, v) for n, v in told.items() if v is not None and v != "")


def _flag(fields: Mapping[str, Any], name: str) -> bool | None:
    value = fields.get(name)
    return value if isinstance(value, bool) else None


def _text(value: Any) -> str:
    if isinstance(value, ua.LocalizedText):
        value = value.Text
    return value[:TEXT_MAX] if isinstance(value, str) else ""
