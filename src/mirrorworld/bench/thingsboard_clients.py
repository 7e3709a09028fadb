"""The clients of `bench thingsboard`: thousands of MQTT connections in one process, over epoll.

Each is a TCP connection of its own with its own session, and publishes one JSON object a second at
QoS 1, spread evenly over the second. Encoded as it is sent, counted as it is acknowledged.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from typing import Any, Final

from mirrorworld.bench.mosquitto import allow_connections
from mirrorworld.connectors.mqtt_packets import V311, ConnectOptions, connect_packet, varint

AT_ONCE: Final = 50
"""Connections that are being made at a time."""
ACKNOWLEDGED_S: Final = 60.0
PUBACK: Final = 0x40


class Clients:
    """Connected devices."""

    def __init__(self, port: int, clients: int) -> None:
        self._epoll = select.epoll()
        self._by_fd: dict[int, socket.socket] = {}
        self._rest: dict[int, bytes] = {}
        self.acknowledged = 0
        self.sockets: list[socket.socket] = []
        for start in range(0, clients, AT_ONCE):
            some = [
                self._connect(port, f"device{i}")
                for i in range(start, min(start + AT_ONCE, clients))
            ]
            for one in some:
                answer = one.recv(4)
                if len(answer) < 4 or answer[3] != 0:
                    raise SystemExit(f"the broker refuses a device: {answer!r}")
                one.setblocking(False)
                self._by_fd[one.fileno()] = one
                self._epoll.register(one, select.EPOLLIN)
            self.sockets += some

    @staticmethod
    def _connect(port: int, name: str) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", port), timeout=60)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        options = ConnectOptions(name, version=V311, is_clean=True, keepalive_s=0)
        one.sendall(connect_packet(options))
        return one

    def hear(self, wait_s: float) -> None:
        """Counts what was acknowledged, waiting at most so long for the first of it."""
        for fd, _ in self._epoll.poll(wait_s):
            got = self._rest.pop(fd, b"") + self._by_fd[fd].recv(4096)
            if not got:
                raise SystemExit("the broker closed a device's connection")
            whole = len(got) // 4
            self.acknowledged += sum(got[4 * i] == PUBACK for i in range(whole))
            if len(got) % 4:
                self._rest[fd] = got[4 * whole :]


def telemetry(device: int, step: int, now_ms: int) -> bytes:
    """PUBLISH of one device's message: a time stamp and three values, as ThingsBoard takes them."""
    topic = f"v1/devices/device{device}/telemetry".encode()
    payload = b'{"ts":%d,"values":{"temperature":%.2f,"humidity":%.1f,"battery":%d}}' % (
        now_ms,
        20 + (device * 7 + step) % 100 / 10,
        40 + (device + step * 3) % 200 / 10,
        100 - (device + step) % 100,
    )
    body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", step % 65_535 + 1) + payload
    return bytes((0x32,)) + varint(len(body)) + body


def main() -> None:
    """Says `ready`, sends one round for the names, then goes when told, and says what it sent."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    clients, rounds = asked["clients"], asked["rounds"]
    allow_connections(clients)
    devices = Clients(asked["port"], clients)
    print("ready", flush=True)
    late_s, sent, first_ms = 0.0, 0, 0
    for first, n in ((0, asked["warm_rounds"]), (asked["warm_rounds"], rounds)):
        sys.stdin.readline()
        start = time.monotonic()
        first_ms = time.time_ns() // 1_000_000
        for i in range(n * clients):
            due_s = start + i / clients
            while (wait_s := due_s - time.monotonic()) > 0:
                devices.hear(wait_s)
            late_s = max(late_s, -wait_s)
            device = i % clients
            packet = telemetry(device, first + i // clients, time.time_ns() // 1_000_000)
            devices.sockets[device].send(packet)
            sent += 1
            if i % 64 == 0:
                devices.hear(0)
        took_s, until = time.monotonic() - start, time.monotonic() + ACKNOWLEDGED_S
        while devices.acknowledged < sent and time.monotonic() < until:
            devices.hear(0.1)
        said = {"sent": n * clients, "acknowledged": devices.acknowledged, "seconds": took_s}
        print(json.dumps({**said, "late_s": late_s, "first_ms": first_ms}), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
