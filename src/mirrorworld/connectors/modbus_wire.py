"""Modbus on a TCP line: requests out, answers in, each held to what was asked.

Two framings: MBAP (MODBUS Messaging on TCP/IP Implementation Guide V1.0b, §3.1.3) and RTU with its
CRC, as serial gateways pass it through (MODBUS over Serial Line V1.02, §2.5.1). Only what a client
needs; values are no matter here. An answer that does not fit its request is an error of that
request; a stream that cannot be framed any more is closed.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Final

READ_COILS: Final = 1
READ_DISCRETE: Final = 2
READ_HOLDING: Final = 3
READ_INPUT: Final = 4
WRITE_COIL: Final = 5
WRITE_REGISTER: Final = 6
WRITE_COILS: Final = 15
WRITE_REGISTERS: Final = 16
MASK_WRITE: Final = 22
DEVICE_IDENTIFICATION: Final = 43

PDU_BYTES_MAX: Final = 253
UNASKED_MAX: Final = 100
"""So many frames between two requests that answer none, and the line is closed."""

EXCEPTIONS: Final = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
"""MODBUS Application Protocol V1.1b3, §7."""


class WireError(Exception):
    """A request had no usable answer."""


class NoAnswer(WireError):
    """Nothing came in time."""


class Nonsense(WireError):
    """Something came that is no answer to the request."""


class ExceptionReply(WireError):
    """The device said no, and why."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code}, {EXCEPTIONS.get(code, 'of no known meaning')}")


def crc16(data: bytes) -> int:
    """CRC-16 of RTU frames (polynomial 0xA001, start 0xFFFF)."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRC: Final = tuple(_crc_of(byte) for byte in range(256))


class Wire(asyncio.Protocol):
    """One open line. `ask` sends requests and returns what became of each."""

    def __init__(self, *, is_rtu: bool, timeout_s: float) -> None:
        self.is_rtu, self.timeout_s = is_rtu, timeout_s
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done with the reason when the line is gone."""
        self.n_late = 0
        """Answers that came after their time was up."""
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._lock = asyncio.Lock()
        self._next = 0
        self._asked: dict[int, tuple[int, int, bytes]] = {}
        """Transaction -> (place in the batch, unit, request) of what has no answer yet."""
        self._answers: list[bytes | WireError] = []
        self._waiter: asyncio.Future[None] | None = None
        self._n_unasked = 0

    # --- asking

    async def ask(self, requests: Sequence[tuple[int, bytes]]) -> list[bytes | WireError]:
        """Sends (unit, PDU) all at once and returns their answers' PDUs, in that order.

        Raises:
            ConnectionError: the line is gone.
        """
        async with self._lock:
            transport = self._transport
            if transport is None or self.closed.done():
                why = self.closed.result() if self.closed.done() else "not connected"
                raise ConnectionResetError(why)
            loop = asyncio.get_running_loop()
            self._answers = [NoAnswer(f"no answer in {self.timeout_s:g} s")] * len(requests)
            self._waiter = loop.create_future()
            self._n_unasked = 0
            out = bytearray()
            for place, (unit, pdu) in enumerate(requests):
                self._next = (self._next + 1) & 0xFFFF
                self._asked[0 if self.is_rtu else self._next] = (place, unit, pdu)
                out += self._framed(unit, pdu)
            transport.write(out)
            timer = loop.call_later(self.timeout_s, self._time_is_up)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._asked.clear()
                self._waiter = None
            if self.closed.done():
                raise ConnectionResetError(self.closed.result())
            return self._answers

    def _framed(self, unit: int, pdu: bytes) -> bytes:
        if self.is_rtu:
            frame = bytes([unit]) + pdu
            return frame + struct.pack("<H", crc16(frame))
        return struct.pack(">HHHB", self._next, 0, len(pdu) + 1, unit) + pdu

    def _time_is_up(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def close(self, why: str = "closed here") -> None:
        """Ends the line."""
        if not self.closed.done():
            self.closed.set_result(why)
        if self._transport is not None:
            self._transport.abort()
        self._time_is_up()

    # --- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self.close(f"the device closed the connection{f': {exc}' if exc else ''}")

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._buffer += data
        if self.is_rtu:
            self._read_rtu()
        else:
            self._read_tcp()

    def _read_tcp(self) -> None:
        buffer = self._buffer
        while len(buffer) >= 7:
            transaction, protocol, length, unit = struct.unpack_from(">HHHB", buffer)
            if protocol or not 2 <= length <= PDU_BYTES_MAX + 1:
                self.close(
                    f"what comes is no Modbus TCP (protocol {protocol}, length {length}); for RTU"
                    " frames write modbus+rtu://"
                )
                return
            if len(buffer) < 6 + length:
                return
            pdu = bytes(buffer[7 : 6 + length])
            del buffer[: 6 + length]
            self._take(transaction, unit, pdu)
            if self.closed.done():
                return

    def _read_rtu(self) -> None:
        buffer = self._buffer
        if not self._asked:
            buffer.clear()
            self._count_unasked()
            return
        length = _rtu_length(buffer)
        if length is None or len(buffer) < length:
            if len(buffer) > PDU_BYTES_MAX + 3:
                self.close("what comes is no Modbus RTU; for Modbus TCP write modbus://")
            return
        frame = bytes(buffer[:length])
        buffer.clear()
        if crc16(frame[:-2]) != int.from_bytes(frame[-2:], "little"):
            self._put(0, Nonsense("an answer with a wrong CRC"))
            return
        self._take(0, frame[0], frame[1:-2])

    def _take(self, transaction: int, unit: int, pdu: bytes) -> None:
        asked = self._asked.get(transaction)
        if asked is None:
            self._count_unasked()
            return
        _, wanted, request = asked
        if unit != wanted:
            self._put(transaction, Nonsense(f"an answer of unit {unit}, unit {wanted} was asked"))
        elif pdu[0] == request[0] | 0x80 and len(pdu) == 2:
            self._put(transaction, ExceptionReply(pdu[1]))
        elif pdu[0] != request[0]:
            self._put(
                transaction,
                Nonsense(f"an answer of function {pdu[0]}, function {request[0]} was asked"),
            )
        else:
            self._put(transaction, pdu)

    def _count_unasked(self) -> None:
        self.n_late += 1
        self._n_unasked += 1
        if self._n_unasked > UNASKED_MAX:
            self.close("the device sends what nobody asked for")

    def _put(self, transaction: int, answer: bytes | WireError) -> None:
        asked = self._asked.pop(transaction, None)
        if asked is None:
            return
        self._answers[asked[0]] = answer
        if not self._asked:
            self._time_is_up()


def _rtu_length(buffer: bytearray) -> int | None:
    """How long the RTU frame at the beginning is; None while that is not known yet."""
    if len(buffer) < 2:
        return None
    function = buffer[1]
    if function & 0x80:
        return 5
    if function in (READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT):
        return 5 + buffer[2] if len(buffer) > 2 else None
    if function in (WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS):
        return 8
    if function == MASK_WRITE:
        return 10
    return PDU_BYTES_MAX + 4  # not a function that is asked for: more than that closes the line


async def connect(host: str, port: int, *, is_rtu: bool, timeout_s: float) -> Wire:
    """An open line.

    Raises:
        OSError: nobody is there.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        _, wire = await loop.create_connection(
            lambda: Wire(is_rtu=is_rtu, timeout_s=timeout_s), host, port
        )
    return wire
