"""A publisher that shares no code with the mirror: MQTT 3.1.1 at QoS 1 over one plain socket.

    python mqtt_plant.py '{"host": "127.0.0.1", "port": 1883, "window": 64}'

With `"topics": 8, "per_s": 4000` it numbers its own samples, topic by topic, until a line comes
on its standard input; otherwise it publishes what it is told, one `[topic, payload]` a line, to
the end of its input. At the end it prints, as JSON, how many messages of each topic the broker
has acknowledged. It waits for every acknowledgement before it ends (MQTT 3.1.1, 4.3.2).
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

START_MS = 1_700_000_000_000


class Publisher:
    """One clean session."""

    def __init__(self, host: str, port: int, window: int, name: str) -> None:
        self.acknowledged: Counter[str] = Counter()
        self._window = window
        self._open: dict[int, str] = {}
        self._last = 0
        self._got = b""
        self._out: list[bytes] = []
        self._socket = socket.create_connection((host, port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(_packet(0x10, _text("MQTT") + b"\x04\x02\x00\x00" + _text(name)))
        answer = self._socket.recv(4)
        assert answer == b"\x20\x02\x00\x00", f"the broker refuses: {answer!r}"

    def publish(self, topic: str, payload: bytes) -> None:
        """Publishes; waits while the window is full."""
        while len(self._open) >= self._window:
            self._listen()
        self._last = self._last % 65535 + 1
        self._open[self._last] = topic
        self._out.append(_packet(0x32, _text(topic) + self._last.to_bytes(2, "big") + payload))
        if len(self._out) >= self._window // 4:
            self.flush()

    def flush(self) -> None:
        if self._out:
            self._socket.sendall(b"".join(self._out))
            self._out.clear()

    def finish(self) -> None:
        """Waits for what is not acknowledged yet, and says goodbye."""
        while self._open:
            self._listen()
        self._socket.sendall(b"\xe0\x00")
        self._socket.close()

    def _listen(self) -> None:
        self.flush()
        got = self._socket.recv(65536)
        assert got, "the broker has closed the connection"
        self._got += got
        while len(self._got) >= 4:
            packet, self._got = self._got[:4], self._got[4:]
            assert packet[:2] == b"\x40\x02", f"expected PUBACK, got {packet!r}"
            self.acknowledged[self._open.pop(int.from_bytes(packet[2:], "big"))] += 1


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


def _packet(first: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while True:
        rest, digit = divmod(rest, 128)
        length.append(digit | (0x80 if rest else 0))
        if not rest:
            return bytes([first, *length]) + body


def numbered(topics: int, per_s: float) -> Iterator[tuple[str, bytes]]:
    """Samples n = 1, 2, 3 … of each topic, a millisecond of their own time apart, until told."""
    started = time.monotonic()
    n = 0
    while True:
        n += 1
        for i in range(topics):
            body = {"timestamp": START_MS + n, "n": n, "half": n / 2}
            yield f"load/t{i}", json.dumps(body).encode()
        if n % 8 == 0:
            ahead_s = n * topics / per_s - (time.monotonic() - started)
            if select.select([sys.stdin], [], [], max(0.0, ahead_s))[0]:
                return


def told() -> Iterator[tuple[str, bytes]]:
    """What stands in the standard input."""
    for line in sys.stdin:
        topic, payload = json.loads(line)
        yield topic, json.dumps(payload).encode()


def main() -> None:
    """Publishes what was asked for."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    publisher = Publisher(
        asked["host"], asked["port"], asked.get("window", 64), asked.get("name", "plant")
    )
    messages: Iterable[tuple[str, bytes]] = (
        numbered(asked["topics"], asked["per_s"]) if "topics" in asked else told()
    )
    for topic, payload in messages:
        publisher.publish(topic, payload)
    publisher.finish()
    print(json.dumps(publisher.acknowledged))


if __name__ == "__main__":
    main()
