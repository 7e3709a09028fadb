"""The publisher of `bench kill`: numbered samples at QoS 1, from a number on, until it is killed.

Sample n of each topic carries the time START_MS + n, so that a gap or a repetition shows. Ends by
itself after a line on its standard input, when all is acknowledged, and says its last number; and
at once if the broker goes. `python -m` it with one JSON object.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time
from typing import Any, Final

from mirrorworld.connectors.mqtt_packets import V311, ConnectOptions, connect_packet, varint

START_MS: Final = 1_700_000_000_000
WINDOW: Final = 256


def main() -> None:
    """Publishes until told, or broken off."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    topics, per_s, n = asked["topics"], asked["per_s"], asked["after"]
    sock = socket.create_connection(("127.0.0.1", asked["port"]), timeout=60)
    name = f"kill-plant-{asked['life']}"
    sock.sendall(connect_packet(ConnectOptions(name, version=V311, is_clean=True, keepalive_s=0)))
    if sock.recv(4)[3:] != b"\0":
        raise SystemExit("the broker refuses the publisher")
    print("ready", flush=True)
    start, first, open_, rest = time.monotonic(), n, 0, b""
    while not select.select([sys.stdin], [], [], 0)[0]:
        n += 1
        packets = b"".join(_packet(f"load/t{i}", n, n * topics + i) for i in range(topics))
        sock.sendall(packets)
        open_ += topics
        while open_ > WINDOW:
            open_, rest = _acknowledged(sock, open_, rest)
        time.sleep(max(0.0, start + (n - first) * topics / per_s - time.monotonic()))
    while open_:
        open_, rest = _acknowledged(sock, open_, rest)
    print(json.dumps({"n": n}), flush=True)


def _acknowledged(sock: socket.socket, open_: int, rest: bytes) -> tuple[int, bytes]:
    got = sock.recv(1 << 16)
    if not got:
        raise SystemExit("the broker has closed the connection")
    rest += got
    return open_ - len(rest) // 4, rest[len(rest) // 4 * 4 :]


def _packet(topic: str, n: int, packet_id: int) -> bytes:
    payload = b'{"timestamp":%d,"n":%d}' % (START_MS + n, n)
    body = struct.pack(">H", len(topic)) + topic.encode()
    body += struct.pack(">H", packet_id % 65_535 + 1) + payload
    return bytes((0x32,)) + varint(len(body)) + body


if __name__ == "__main__":
    try:
        main()
    except OSError:
        raise SystemExit(1) from None  # the broker was killed; the bench starts another plant
