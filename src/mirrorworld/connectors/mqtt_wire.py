"""One MQTT connection as an asyncio protocol. Its packets are in `mqtt_packets.py`.

Every read from the socket is parsed to its end in one go and handed on as one `Publishes`: no
task, no await and no object per message. Nothing received is acknowledged here; whoever
consumes a message says when (`acknowledge`). Knows no topics, no payloads and no reconnecting.

Clauses are those of OASIS MQTT 5.0 ("5 §") and 3.1.1 ("3 §").
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mirrorworld.connectors.mqtt_packets import (
    AUTH,
    CONNACK,
    DISCONNECT,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    QOS2_BIT,
    REASONS_311,
    SUBACK,
    V5,
    ConnectOptions,
    MalformedPacket,
    acknowledgements,
    connect_packet,
    packet,
    publish_packet,
    read_properties,
    read_varint,
    reason,
    subscribe_packet,
)

# --- a connection ---------------------------------------------------------------------------


class Publishes:
    """The messages of one read, as columns of equal length."""

    __slots__ = ("ids", "payloads", "repeated", "retained", "settled", "size_bytes", "topics")

    def __init__(self) -> None:
        self.topics: list[bytes] = []
        self.payloads: list[bytes] = []
        self.ids: list[int] = []
        """Packet ids; 0 for QoS 0, with `QOS2_BIT` for QoS 2."""
        self.retained: set[int] = set()
        """Rows that the broker had kept from before the subscription."""
        self.repeated: set[int] = set()
        """Rows that the broker says it may have sent before (DUP)."""
        self.settled: list[int] = []
        """Ids of messages that were taken out since they had come before."""
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self.topics)

    def extend(self, other: Publishes) -> None:
        """Appends the messages of another."""
        n = len(self.topics)
        self.topics += other.topics
        self.payloads += other.payloads
        self.ids += other.ids
        self.settled += other.settled
        self.retained.update(row + n for row in other.retained)
        self.repeated.update(row + n for row in other.repeated)
        self.size_bytes += other.size_bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """A broker's answer to CONNECT."""

    code: int
    """0, or a reason code of 5 §2.4 whatever the version."""
    has_session: bool = False
    properties: dict[int, int | bytes] = field(default_factory=dict)


class Connection(asyncio.Protocol):
    """One connection. Made by `loop.create_connection`; `accepted` and `closed` are futures."""

    def __init__(
        self,
        options: ConnectOptions,
        on_publishes: Callable[[Publishes], None],
        open_qos2: set[int],
        on_session: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """
        Args:
            on_publishes: called on the loop with the messages of each read.
            open_qos2: ids of QoS 2 messages that are not released yet; part of the session.
            on_session: told at once, before any message, whether the broker had kept the session.
        """
        loop = asyncio.get_running_loop()
        self.options = options
        self.accepted: asyncio.Future[Accepted] = loop.create_future()
        self.closed: asyncio.Future[str] = loop.create_future()
        """Why it ended, in words."""
        self.is_paused = False
        self.last_received_s = loop.time()
        self.skipped_too_large = 0
        """Messages over `maximum_packet_bytes` (a 3.1.1 broker cannot be told the limit)."""
        self.close_code = 0
        self._loop = loop
        self._on_publishes = on_publishes
        self._on_session = on_session
        self._open_qos2 = open_qos2
        self._transport: asyncio.Transport | None = None
        self._tail = bytearray()
        self._need = 2
        self._skip = 0
        self._next_id = 0
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._may_send = asyncio.Semaphore(65535)
        self._keepalive_s = options.keepalive_s
        self._timer: asyncio.TimerHandle | None = None

    # --- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says CONNECT."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(connect_packet(self.options))

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends everything that waits."""
        why = str(exc) if exc else "the broker closed the connection"
        if self.options.password and self.options.password in why:
            why = type(exc).__name__
        self._end(why)

    def data_received(self, data: bytes) -> None:
        """Parses all packets that are complete and hands on their messages together."""
        self.last_received_s = self._loop.time()
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return
            data = bytes(self._tail)
            self._tail.clear()
        publishes = Publishes()
        try:
            end = self._parse(data, publishes)
        except (MalformedPacket, IndexError, struct.error) as error:
            self._end(f"the broker sent what is not MQTT: {error}")
            self.abort()
            return
        if end < len(data):
            self._tail += data[end:]
        if publishes.topics:
            self._on_publishes(publishes)

    # --- reading

    def _parse(self, data: bytes, into: Publishes) -> int:
        """Reads packets; returns where the first incomplete one begins."""
        is_v5 = self.options.version == V5
        topics, payloads, ids = into.topics, into.payloads, into.ids
        at, size = 0, len(data)
        while size - at >= 2:
            first = data[at]
            length = data[at + 1]
            body = at + 2
            if length & 0x80:
                try:
                    length, body = read_varint(data, at + 1)
                except IndexError:
                    self._need = size - at + 1
                    return at
            end = body + length
            if end > size:
                self._need = end - at
                if length > self.options.maximum_packet_bytes:
                    return self._pass_over(data, at, body, end)
                return at
            if first >> 4 == PUBLISH:
                start = body + 2 + (data[body] << 8 | data[body + 1])
                topic = data[body + 2 : start]
                packet_id = 0
                if first & 0x0F:
                    if first & 0x06:
                        packet_id = data[start] << 8 | data[start + 1]
                        start += 2
                        if first & 0x04:
                            packet_id |= QOS2_BIT
                    if first & 0x09:
                        if first & 0x01:
                            into.retained.add(len(topics))
                        if first & 0x08:
                            into.repeated.add(len(topics))
                if is_v5:
                    if data[start]:
                        extra, start = read_varint(data, start)
                        start += extra
                    else:
                        start += 1
                if start > end:
                    raise MalformedPacket("a PUBLISH shorter than its parts")
                if packet_id & QOS2_BIT and not self._opens(packet_id & 0xFFFF):
                    at = end
                    continue
                topics.append(topic)
                payloads.append(data[start:end])
                ids.append(packet_id)
                into.size_bytes += end - at
            else:
                self._control(first, data[body:end])
            at = end
        self._need = 2
        return at

    def _opens(self, packet_id: int) -> bool:
        """Whether a QoS 2 message is new; one whose PUBREC is on its way is not (5 §4.3.3)."""
        if packet_id in self._open_qos2:
            return False
        self._open_qos2.add(packet_id)
        return True

    def _pass_over(self, data: bytes, at: int, body: int, end: int) -> int:
        """Lets a message pass that is too large to hold, and acknowledges it: it would come
        again for ever. Waits until at least its head is here; returns what has been read."""
        if data[at] >> 4 != PUBLISH:
            raise MalformedPacket(f"a control packet of {end - body} bytes")
        start = body + 2 + int.from_bytes(data[body : body + 2], "big")
        if len(data) < start + 2:
            self._need = start + 2 - at
            return at
        qos = data[at] >> 1 & 3
        packet_id = int.from_bytes(data[start : start + 2], "big") if qos else 0
        if qos == 2:
            self._open_qos2.add(packet_id)
            packet_id |= QOS2_BIT
        self.skipped_too_large += 1
        self._skip = end - len(data)
        self._need = 2
        self.acknowledge([packet_id])
        return len(data)

    def _control(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind in (PUBACK, PUBREC, PUBCOMP, SUBACK):
            packet_id = body[0] << 8 | body[1]
            waiting = self._waiting.pop(packet_id, None)
            if waiting and not waiting.done():
                waiting.set_result(body[2:])
        elif kind == PUBREL:
            packet_id = body[0] << 8 | body[1]
            self._open_qos2.discard(packet_id)
            self._write(packet(PUBCOMP << 4, body[:2]))
        elif kind == CONNACK:
            code = body[1]
            properties: dict[int, int | bytes] = {}
            if self.options.version == V5:
                if len(body) > 2:
                    properties, _ = read_properties(body, 2)
                elif code == 1:
                    code = 0x84  # a broker of version 3.1.1 says so in its own way
            elif code:
                code = REASONS_311.get(code, 0x80)
            if not code:
                self._start(properties)
                self._on_session(bool(body[0] & 1))
            if not self.accepted.done():
                self.accepted.set_result(Accepted(code, bool(body[0] & 1), properties))
        elif kind == DISCONNECT:
            self.close_code = body[0] if body else 0
            self._end(f"the broker ended the connection: {reason(self.close_code)}")
            self.abort()
        elif kind not in (PINGRESP, AUTH):
            raise MalformedPacket(f"packet type {kind} is not for a client")

    def _start(self, properties: dict[int, int | bytes]) -> None:
        granted = properties.get(0x13)
        if isinstance(granted, int) and granted:
            self._keepalive_s = min(self._keepalive_s, granted) or granted
        receive_maximum = properties.get(0x21)
        if isinstance(receive_maximum, int) and receive_maximum:
            self._may_send = asyncio.Semaphore(receive_maximum)
        if self._keepalive_s:
            self._timer = self._loop.call_later(self._keepalive_s / 2, self._keep_alive)

    def _keep_alive(self) -> None:
        """Pings, and gives up on a broker that has been silent for one and a half intervals."""
        silent_s = self._loop.time() - self.last_received_s
        if silent_s > 1.5 * self._keepalive_s and not self.is_paused:
            self._end(f"the broker has been silent for {silent_s:.0f} s")
            self.abort()
            return
        self._write(bytes((PINGREQ << 4, 0)))
        self._timer = self._loop.call_later(self._keepalive_s / 2, self._keep_alive)

    # --- doing

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def acknowledge(self, ids: Sequence[int]) -> None:
        """Tells the broker that these messages are ours now."""
        self._write(acknowledgements(ids))

    def pause(self) -> None:
        """Stops reading: the broker's own queue takes the load."""
        if not self.is_paused and self._transport is not None and not self.closed.done():
            self.is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads again."""
        if self.is_paused and self._transport is not None and not self.closed.done():
            self.is_paused = False
            self.last_received_s = self._loop.time()
            self._transport.resume_reading()

    def _new_id(self) -> tuple[int, asyncio.Future[bytes]]:
        while True:
            self._next_id = self._next_id % 0xFFFF + 1
            if self._next_id not in self._waiting:
                break
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting[self._next_id] = future
        return self._next_id, future

    async def subscribe(
        self, filters: Sequence[tuple[str, int]], *, wants_retained: bool = True
    ) -> list[int]:
        """Granted QoS for each (filter, QoS); 0x80 and above is a refusal's reason code."""
        packet_id, answer = self._new_id()
        version = self.options.version
        self._write(subscribe_packet(packet_id, filters, version, wants_retained=wants_retained))
        body = await answer
        if version == V5:
            _, start = read_properties(body, 0)
            body = body[start:]
        return list(body)

    async def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, expiry_s: int | None = None
    ) -> int:
        """Publishes, never retained; returns the broker's reason code, for QoS 1 after its
        PUBACK. QoS 2 is not offered: a command is told apart by its own report."""
        version = self.options.version
        if not qos:
            self._write(publish_packet(topic, payload, version=version, expiry_s=expiry_s))
            return 0
        async with self._may_send:
            packet_id, answer = self._new_id()
            self._write(
                publish_packet(
                    topic,
                    payload,
                    version=version,
                    qos=1,
                    packet_id=packet_id,
                    expiry_s=expiry_s,
                )
            )
            try:
                body = await answer
            finally:
                self._waiting.pop(packet_id, None)
        return body[0] if body else 0

    def disconnect(self, *, forgets_session: bool = False) -> None:
        """Ends in good order; a version 5 session can be ended with it (5 §3.14.2.2.2)."""
        if forgets_session and self.options.version == V5:
            self._write(bytes((DISCONNECT << 4, 7, 0, 5, 0x11, 0, 0, 0, 0)))
        else:
            self._write(bytes((DISCONNECT << 4, 0)))
        if self._transport is not None:
            self._transport.close()
        self._end("ended here")

    def abort(self) -> None:
        """Ends at once."""
        if self._transport is not None:
            self._transport.abort()

    def _end(self, why: str) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if not self.closed.done():
            self.closed.set_result(why)
        if not self.accepted.done():
            self.accepted.set_exception(ConnectionError(why))
            self.accepted.exception()  # seen: nobody needs to fetch it
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError(why))
                waiting.exception()
        self._waiting.clear()
