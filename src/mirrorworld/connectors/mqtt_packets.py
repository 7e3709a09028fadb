"""Packets of MQTT 3.1.1 and 5: bytes and back, no sockets.

Clauses are those of OASIS MQTT 5.0 ("5 §") and 3.1.1 ("3 §").
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = 5, 6, 7, 8
SUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = 9, 12, 13, 14, 15

V311: Final = 4
V5: Final = 5

QOS2_BIT: Final = 1 << 16
"""Set on a packet id in `Publishes.ids` whose message came with QoS 2."""

SESSION_TAKEN_OVER: Final = 0x8E
NO_MATCHING_SUBSCRIBERS: Final = 0x10

_REASONS: Final = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "protocol version not supported",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorised",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep alive timeout",
    0x8E: "session taken over by another client with the same client id",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9F: "connection rate exceeded",
    0xA2: "wildcard subscriptions not supported",
}
REASONS_311: Final = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
"""Return codes of 3 §3.2.2.3 as reason codes of 5 §2.4."""


class MalformedPacket(Exception):
    """What the other side sent is not MQTT; the connection cannot go on."""


def reason(code: int) -> str:
    """A reason code in words (5 §2.4)."""
    return _REASONS.get(code, f"reason code 0x{code:02X}")


# --- packets --------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    """A variable byte integer (5 §1.5.5)."""
    if not 0 <= value < 1 << 28:
        raise ValueError(f"{value} does not fit a variable byte integer")
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """(value, where it ends)."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 21:
            raise MalformedPacket("a length of more than four bytes")


def _text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    if len(raw) > 0xFFFF:
        raise ValueError(f"{len(raw)} bytes are too long for an MQTT string; the limit is 65535")
    return struct.pack(">H", len(raw)) + raw


def packet(first: int, *parts: bytes) -> bytes:
    """A packet of a first byte and a body."""
    body = b"".join(parts)
    return bytes((first,)) + varint(len(body)) + body


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """What a client says of itself when it connects."""

    client_id: str
    version: int = V5
    username: str = ""
    password: str = field(default="", repr=False)
    keepalive_s: int = 30
    is_clean: bool = False
    """Forget the earlier session of this client id."""
    session_expiry_s: int = 0
    """How long the broker keeps the session after the connection ends. Version 5 only."""
    receive_maximum: int = 65535
    """How many QoS 1 and 2 messages the broker may have unacknowledged. Version 5 only."""
    maximum_packet_bytes: int = 16 << 20


def connect_packet(options: ConnectOptions) -> bytes:
    """CONNECT without a will: this client never makes a broker publish for it (5 §3.1)."""
    flags = 0x02 if options.is_clean else 0
    tail = [_text(options.client_id)]
    if options.username:
        flags |= 0x80
        tail.append(_text(options.username))
    if options.password and (options.username or options.version == V5):
        flags |= 0x40
        tail.append(_text(options.password))
    properties = b""
    if options.version == V5:
        properties = (
            struct.pack(">BI", 0x11, options.session_expiry_s)
            + struct.pack(">BH", 0x21, options.receive_maximum)
            + struct.pack(">BI", 0x27, options.maximum_packet_bytes)
        )
        properties = varint(len(properties)) + properties
    return packet(
        CONNECT << 4,
        _text("MQTT"),
        bytes((options.version, flags)),
        struct.pack(">H", options.keepalive_s),
        properties,
        *tail,
    )


def subscribe_packet(
    packet_id: int, filters: Sequence[tuple[str, int]], version: int, *, wants_retained: bool
) -> bytes:
    """SUBSCRIBE; in version 5 without messages of this client's own (5 §3.8.3.1 No Local)."""
    parts = [struct.pack(">H", packet_id)]
    if version == V5:
        parts.append(b"\0")
    for topic, qos in filters:
        option = qos
        if version == V5:
            option |= 0x04 | (0 if wants_retained else 0x20)
        parts += [_text(topic), bytes((option,))]
    return packet(SUBSCRIBE << 4 | 2, *parts)


def publish_packet(
    topic: str | bytes,
    payload: bytes,
    *,
    version: int,
    qos: int = 0,
    packet_id: int = 0,
    is_retained: bool = False,
    expiry_s: int | None = None,
) -> bytes:
    """PUBLISH; `expiry_s` lets a version 5 broker drop what nobody has fetched by then."""
    parts = [_text(topic)]
    if qos:
        parts.append(struct.pack(">H", packet_id))
    if version == V5:
        properties = b"" if expiry_s is None else struct.pack(">BI", 0x02, expiry_s)
        parts.append(varint(len(properties)) + properties)
    return packet(PUBLISH << 4 | qos << 1 | is_retained, *parts, payload)


_PROPERTY_SIZES: Final = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_PROPERTY_STRINGS: Final = {0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F}


def read_properties(data: bytes, at: int) -> tuple[dict[int, int | bytes], int]:
    """(properties by identifier, where they end) (5 §2.2.2). Of repeated ones the last stays."""
    length, at = read_varint(data, at)
    end = at + length
    found: dict[int, int | bytes] = {}
    while at < end:
        key = data[at]
        at += 1
        if key in _PROPERTY_SIZES:
            size = _PROPERTY_SIZES[key]
            found[key] = int.from_bytes(data[at : at + size], "big")
            at += size
        elif key in _PROPERTY_STRINGS:
            size = int.from_bytes(data[at : at + 2], "big")
            found[key] = data[at + 2 : at + 2 + size]
            at += 2 + size
        elif key == 0x26:
            for _ in range(2):
                at += 2 + int.from_bytes(data[at : at + 2], "big")
        elif key == 0x0B:
            found[key], at = read_varint(data, at)
        else:
            raise MalformedPacket(f"unknown property 0x{key:02X}")
    if at != end:
        raise MalformedPacket("properties longer than they say")
    return found, end


def acknowledgements(ids: Sequence[int]) -> bytes:
    """PUBACK for QoS 1 and PUBREC for QoS 2, in order; ids of 0 (QoS 0) are passed over."""
    numbers = np.fromiter(ids, np.uint32, len(ids))
    numbers = numbers[numbers > 0]
    out = np.empty((len(numbers), 4), np.uint8)
    out[:, 0] = np.where(numbers & QOS2_BIT, PUBREC << 4, PUBACK << 4)
    out[:, 1] = 2
    out[:, 2] = (numbers >> 8) & 0xFF
    out[:, 3] = numbers & 0xFF
    return out.tobytes()
