"""A small MQTT 3.1.1 client for the plant: a will, publishing at QoS 0, subscribing.

Enough for a Sparkplug edge node and no more; apart from the mirror's own client on purpose.
One connection; whoever uses it opens a new one when `closed` is set.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

KEEP_ALIVE_S: Final = 15
CONNECT_TIMEOUT_S: Final = 5.0
BUFFER_LIMIT_BYTES: Final = 1 << 20

_CONNACK_REASONS: Final = {
    1: "the broker does not speak MQTT 3.1.1",
    2: "the client id was refused",
    3: "the broker is not available",
    4: "user name or password is wrong",
    5: "not authorised",
}


class Publisher:
    """One MQTT connection."""

    def __init__(self, on_message: Callable[[str, bytes], None]) -> None:
        self.closed = asyncio.Event()
        self._on_message = on_message
        self._tasks: list[asyncio.Task[None]] = []

    async def connect(
        self, host: str, port: int, client_id: str, will_topic: str, will: bytes
    ) -> None:
        """Connects with a clean session and a will at QoS 1.

        Raises:
            ConnectionError: the broker is not there or refuses, with its reason.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                self._reader, self._writer = await asyncio.open_connection(host, port)
                flags = 0x02 | 0x04 | 0x08  # clean session, will, will QoS 1
                body = _text("MQTT") + bytes([4, flags]) + KEEP_ALIVE_S.to_bytes(2, "big")
                body += _text(client_id) + _text(will_topic) + len(will).to_bytes(2, "big") + will
                self._writer.write(_packet(0x10, body))
                kind, answer = await self._read_packet()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise ConnectionError(f"broker {host}:{port}: {error or 'no answer'}") from error
        if kind != 0x20 or len(answer) != 2 or answer[1] != 0:
            code = answer[1] if len(answer) == 2 else -1
            reason = _CONNACK_REASONS.get(code, "its answer is not MQTT")
            raise ConnectionError(f"broker {host}:{port}: {reason}")
        self._tasks = [
            asyncio.create_task(self._read_on()),
            asyncio.create_task(self._keep_alive()),
        ]

    def publish(self, topic: str, payload: bytes) -> bool:
        """Publishes at QoS 0; False if the connection is closed or its buffer is full."""
        if (
            self.closed.is_set()
            or self._writer.transport.get_write_buffer_size() > BUFFER_LIMIT_BYTES
        ):
            return False
        self._writer.write(_packet(0x30, _text(topic) + payload))
        return True

    def subscribe(self, *topics: str) -> None:
        """Subscribes at QoS 1."""
        body = (1).to_bytes(2, "big") + b"".join(_text(topic) + b"\x01" for topic in topics)
        self._writer.write(_packet(0x82, body))

    async def close(self) -> None:
        """Says good-bye, so that the broker keeps the will to itself."""
        for task in self._tasks:
            task.cancel()
        if not self.closed.is_set():
            self.closed.set()
            self._writer.write(_packet(0xE0, b""))
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_S / 2)
            self._writer.write(_packet(0xC0, b""))

    async def _read_on(self) -> None:
        try:
            while True:
                async with asyncio.timeout(KEEP_ALIVE_S * 2):
                    kind, body = await self._read_packet()
                if kind & 0xF0 == 0x30:
                    self._receive(kind, body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self.closed.set()
            self._writer.close()

    def _receive(self, kind: int, body: bytes) -> None:
        length = int.from_bytes(body[:2], "big")
        topic = body[2 : 2 + length].decode(errors="replace")
        at = 2 + length
        if kind & 0x06:
            self._writer.write(_packet(0x40, body[at : at + 2]))
            at += 2
        self._on_message(topic, body[at:])

    async def _read_packet(self) -> tuple[int, bytes]:
        kind = (await self._reader.readexactly(1))[0]
        length = 0
        for shift in (0, 7, 14, 21):
            byte = (await self._reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        return kind, await self._reader.readexactly(length)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _packet(kind: int, body: bytes) -> bytes:
    length = len(body)
    head = bytearray([kind])
    while True:
        head.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes(head) + body
