"""A plant of `bench city` and `bench soak`: a part of the points, all of them new at each step.

A process of its own that shares nothing with the twin but the bus: columns over Zenoh, or
Sparkplug B through a broker. Each step is stamped when it is made. Sits still until it is told to
go, and says at the end what it has sent. `python -m` it with one JSON object.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from mirrorworld.connectors import sparkplug_payload as codec
from mirrorworld.connectors.mqtt_packets import V311, ConnectOptions, connect_packet, varint
from mirrorworld.connectors.sparkplug_payload import DataType, Metric

STEPS_KEPT: Final = 64
"""Values are made beforehand and used again: neighbours differ, which is what counts."""
SENT_AT_ONCE: Final = 10_000

Send = Callable[[np.ndarray, int], None]
"""Takes the values of all points of this plant and their time in Unix nanoseconds."""


def main() -> None:
    """Says `ready`, waits for a line, sends its steps, says what it sent, waits for the end."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    points, rate_hz = asked["points"], asked["rate_hz"]
    random = np.random.default_rng(asked["number"])
    walk = random.normal(0, 0.05, (STEPS_KEPT, points)).cumsum(axis=0)
    values = (20 + walk).astype(np.float32)
    send = (_zenoh if asked["bus"] == "zenoh" else _sparkplug)(asked)
    print("ready", flush=True)
    sys.stdin.readline()
    steps = max(1, round(asked["seconds"] * rate_hz))
    start, late_s, times_ns = time.monotonic(), 0.0, []
    for step in range(steps):
        wait_s = start + step / rate_hz - time.monotonic()
        if wait_s > 0:
            time.sleep(wait_s)
        late_s = max(late_s, -wait_s)
        # Sparkplug's times are milliseconds; two steps of one would be told apart by nothing.
        now_ns = time.time_ns() // 1_000_000 * 1_000_000
        if times_ns and now_ns <= times_ns[-1]:
            now_ns = times_ns[-1] + 1_000_000
        times_ns.append(now_ns)
        send(values[step % STEPS_KEPT], now_ns)
    took_s = time.monotonic() - start
    said = {"steps": steps, "rows": steps * points, "seconds": took_s, "late_s": late_s}
    said["first_ns"] = times_ns[0]
    print(json.dumps(said), flush=True)
    sys.stdin.readline()


def _zenoh(asked: dict[str, Any]) -> Send:
    import zenoh

    config = zenoh.Config()
    config.insert_json5("mode", '"client"')
    config.insert_json5("connect/endpoints", json.dumps([f"tcp/127.0.0.1:{asked['port']}"]))
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("connect/timeout_ms", "60000")
    session = zenoh.open(config)
    block = zenoh.CongestionControl.BLOCK
    parts: list[tuple[str, slice, Any]] = []
    for part, start in enumerate(range(0, asked["points"], SENT_AT_ONCE)):
        end = min(start + SENT_AT_ONCE, asked["points"])
        key = f"city/plant{asked['number']}/part{part}"
        names = [f"b{i // 100:04}/p{i % 100:02}" for i in range(start, end)]
        told = struct.pack("<4sIQ", b"MWN1", 0, 1) + json.dumps({"names": names}).encode()
        queryable = session.declare_queryable(key, lambda q, k=key, t=told: q.reply(k, t))
        session.put(key, told, congestion_control=block)
        parts.append((key, slice(start, end), queryable))

    def send(values: np.ndarray, now_ns: int) -> None:
        for key, rows, _ in parts:
            column = values[rows]
            head = struct.pack("<4sIQqII", b"MWV1", len(column), 1, now_ns, 0, 0)
            session.put(key, head + column.tobytes(), congestion_control=block)

    return send


def _sparkplug(asked: dict[str, Any]) -> Send:
    sock = socket.create_connection(("127.0.0.1", asked["port"]))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = f"city-plant{asked['number']}"
    sock.sendall(connect_packet(ConnectOptions(name, version=V311, is_clean=True, keepalive_s=0)))
    if sock.recv(4)[3] != 0:
        raise SystemExit("the broker refuses the plant")
    nodes: list[_Node] = []
    for start in range(0, asked["points"], asked["points_per_message"]):
        n = min(asked["points_per_message"], asked["points"] - start)
        node = _Node(f"plant{asked['number']}-{len(nodes)}", n, slice(start, start + n))
        nodes.append(node)
        sock.sendall(node.birth())

    def send(values: np.ndarray, now_ns: int) -> None:
        for node in nodes:
            sock.sendall(node.data(values[node.rows], now_ns // 1_000_000))

    return send


class _Node:
    """An edge node: its DATA is one buffer in which time, sequence number and values are set."""

    def __init__(self, name: str, points: int, rows: slice) -> None:
        self.rows = rows
        self._name, self._points, self._sequence = name, points, 0
        metrics = [
            Metric("", i + 1, datatype=DataType.FLOAT, value=1.0) for i in range(points)
        ]  # every metric by its alias
        payload = codec.encode(metrics, 1_700_000_000_000) + b"\x18\x80\x00"
        packet = _packet(f"spBv1.0/city/NDATA/{name}", payload)
        self._time_at = len(packet) - len(payload) + 1
        self._buffer = np.frombuffer(packet, np.uint8).copy()
        pattern, places, at = struct.pack("<f", 1.0), [], 0
        for _ in range(points):
            at = packet.index(pattern, at)
            places.append(at)
            at += 4
        self._places = np.array(places)[:, None] + np.arange(4)

    def birth(self) -> bytes:
        """All metrics with names, aliases and types."""
        metrics = [Metric("bdSeq", datatype=DataType.INT64, value=0)]
        for i in range(self._points):
            named = f"b{i // 100:04}/p{i % 100:02}"
            metrics.append(Metric(named, i + 1, datatype=DataType.FLOAT, value=0.0))
        start_ms = time.time_ns() // 1_000_000
        return _packet(f"spBv1.0/city/NBIRTH/{self._name}", codec.encode(metrics, start_ms, 0))

    def data(self, values: np.ndarray, now_ms: int) -> memoryview:
        """The packet of one step."""
        self._sequence = (self._sequence + 1) % 256
        buffer = self._buffer
        buffer[-2], buffer[-1] = self._sequence & 0x7F | 0x80, self._sequence >> 7
        for i in range(6):  # the varint of a time of today takes six bytes
            more = 0x80 if i < 5 else 0
            buffer[self._time_at + i] = now_ms >> (7 * i) & 0x7F | more
        buffer[self._places] = values.astype("<f4").view(np.uint8).reshape(-1, 4)
        return buffer.data


def _packet(topic: str, payload: bytes) -> bytes:
    """PUBLISH of QoS 0."""
    body = struct.pack(">H", len(topic)) + topic.encode() + payload
    return bytes((0x30,)) + varint(len(body)) + body


if __name__ == "__main__":
    main()
