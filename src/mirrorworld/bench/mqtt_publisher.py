"""The other side of the `mqtt` bench: a plant that publishes as fast as its broker takes it.

A process of its own. Everything it will publish is encoded before the clock starts; then it only
writes to a socket and counts the broker's acknowledgements. `python -m` it with one JSON object.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from typing import Any, Final

import numpy as np

from mirrorworld.connectors import sparkplug_payload as codec
from mirrorworld.connectors.mqtt_packets import V311, ConnectOptions, connect_packet, varint
from mirrorworld.connectors.sparkplug_payload import DataType, Metric

START_MS: Final = 1_700_000_000_000


def main() -> None:
    """Publishes what is asked for. Says `ready` when all is encoded, waits for a line, goes."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    number = asked["number"]
    if asked["what"] == "sparkplug":
        packets, births = _sparkplug(
            number, asked["messages"], asked["points"], asked.get("qos", 1)
        )
    else:
        packets, births = _json(number, asked["messages"], asked["topics"]), []
    sock = socket.create_connection((asked["host"], asked["port"]))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    options = ConnectOptions(f"bench-{asked['what']}-{number}", version=V311, is_clean=True)
    sock.sendall(connect_packet(options))
    if sock.recv(4)[3] != 0:
        raise SystemExit("the broker refuses the publisher")
    for birth in births:
        sock.sendall(birth)
    _acknowledged(sock, len(births))
    print("ready", flush=True)
    sys.stdin.readline()
    if asked.get("qos", 1):
        _publish(sock, packets, asked["window"])
    else:  # the broker's socket sets the pace
        for start in range(0, len(packets), 50):
            sock.sendall(b"".join(packets[start : start + 50]))
    print("done", flush=True)
    sys.stdin.readline()
    sock.close()


def _publish(sock: socket.socket, packets: list[bytes], window: int) -> None:
    """Writes packets, with at most `window` of them unacknowledged."""
    group = max(1, window // 4)
    open_ = 0
    for start in range(0, len(packets), group):
        part = packets[start : start + group]
        while open_ + len(part) > window:
            open_ -= _some(sock)
        sock.sendall(b"".join(part))
        open_ += len(part)
    _acknowledged(sock, open_)


def _acknowledged(sock: socket.socket, n: int) -> None:
    while n > 0:
        n -= _some(sock)


_rest = b""


def _some(sock: socket.socket) -> int:
    """How many acknowledgements came; they are four bytes each."""
    global _rest
    got = sock.recv(1 << 16)
    if not got:
        raise SystemExit("the broker closed the connection")
    got = _rest + got
    n = len(got) // 4
    _rest = got[4 * n :]
    return n


def _publish_packet(topic: str, payload: bytes, packet_id: int, qos: int = 1) -> bytes:
    if not qos:
        body = struct.pack(">H", len(topic)) + topic.encode() + payload
        return bytes((0x30,)) + varint(len(body)) + body
    body = struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">H", packet_id) + payload
    return bytes((0x32,)) + varint(len(body)) + body


def _sparkplug(
    number: int, messages: int, points: int, qos: int
) -> tuple[list[bytes], list[bytes]]:
    """An edge node's DATA messages: every metric by alias, a new double each time."""
    births = [
        Metric(f"Line/Signal{i:04}", i + 1, datatype=DataType.DOUBLE, value=0.0)
        for i in range(points)
    ]
    birth = [Metric("bdSeq", datatype=DataType.INT64, value=0), *births]
    node = f"node{number}"
    first = _publish_packet(
        f"spBv1.0/bench/NBIRTH/{node}", codec.encode(birth, START_MS - 1000, 0), 1
    )
    # One message is encoded; the others differ in time, sequence number and values, whose places
    # are found by encoding a second one.
    metrics = [Metric("", i + 1, datatype=0, value=None) for i in range(points)]
    for metric in metrics:
        metric.datatype, metric.value = DataType.DOUBLE, 1.0
    template = codec.encode(metrics, START_MS) + b"\x18\x80\x00"  # a sequence number of two bytes
    topic = f"spBv1.0/bench/NDATA/{node}"
    random = np.random.default_rng(number)
    data = np.tile(np.frombuffer(template, np.uint8), (messages, 1))
    sequence = np.arange(1, messages + 1) % 256
    data[:, -2] = sequence & 0x7F | 0x80
    data[:, -1] = sequence >> 7
    times_ms = START_MS + np.arange(messages)
    for i in range(6):  # the varint of a time of today takes six bytes
        data[:, 1 + i] = (times_ms >> (7 * i)) & 0x7F | (0x80 if i < 5 else 0)
    pattern = struct.pack("<d", 1.0)
    at = template.find(pattern)
    values = random.normal(size=(messages, points))
    for i in range(points):
        data[:, at : at + 8] = values[:, i : i + 1].copy().view(np.uint8)
        at = template.find(pattern, at + 8)
    packets = [
        _publish_packet(topic, data[i].tobytes(), i % 65_000 + 1, qos) for i in range(messages)
    ]
    return packets, [first]


def _json(number: int, messages: int, topics: int) -> list[bytes]:
    """Machines that publish an object each time something changes."""
    random = np.random.default_rng(number)
    values = random.normal(20.0, 5.0, size=(messages, 2)).round(3)
    return [
        _publish_packet(
            f"site/line{number}/machine{i % topics}",
            b'{"ts":%d,"temperature":%g,"pressure":%g,"running":true}'
            % (START_MS + i, values[i, 0], values[i, 1]),
            i % 65_000 + 1,
        )
        for i in range(messages)
    ]


if __name__ == "__main__":
    main()
