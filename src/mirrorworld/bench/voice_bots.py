"""People who speak by way of the forwarder without a browser: the page's side of it, with sound
that was coded before."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import struct
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from mirrorworld.people.voice_peer import Passport, Peer
from mirrorworld.people.voice_wire import AUDIO_LEVEL, RTP, Offer, Section

OPUS: Final = 111
LEVEL: Final = 1
PACKET_S: Final = 0.02
SPEECH: Final = bytes(80)
"""As long as 20 ms of Opus at 32 kbit/s: what is in it is read by nobody on the way."""
_CHECK_S: Final = 2.5


def offer_of(fingerprint: str, n_slots: int) -> str:
    """The offer of a page that speaks, and hears `n_slots` voices."""
    lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]
    for mid in range(n_slots + 1):
        lines += [
            f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS} 0", "c=IN IP4 0.0.0.0", f"a=mid:{mid}",
            "a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv", "a=setup:actpass",
            f"a=fingerprint:sha-256 {fingerprint}", f"a=extmap:{LEVEL} {AUDIO_LEVEL}",
            f"a=rtpmap:{OPUS} opus/48000/2", "a=recvonly" if mid else "a=sendonly",
        ]  # fmt: skip
    return "\r\n".join(lines) + "\r\n"


@dataclass
class Bot(asyncio.DatagramProtocol):
    """One person. `heard` counts packets by the number of who is in the slot."""

    n_slots: int = 6
    heard: Counter[int] = field(default_factory=Counter[int])
    delays_s: list[float] = field(default_factory=list[float])
    slots: list[int] = field(default_factory=list[int])
    is_speaking: bool = False
    packet_s: float = PACKET_S
    """Sound in a packet. Opus has up to 0.06: a third of the packets, for who has little CPU."""

    def __post_init__(self) -> None:
        self._passport = Passport()
        self.offer = offer_of(self._passport.fingerprint, self.n_slots)
        self.ready = asyncio.Event()
        self._transport: Any = None
        self._tasks: list[asyncio.Task[None]] = []
        self._seq = 0

    async def answer(self, sdp: str) -> None:
        """Takes the forwarder's answer, and opens the line."""
        found = {
            key: re.findall(rf"^a={key}:(.*?)\r?$", sdp, re.MULTILINE)
            for key in ("ice-ufrag", "ice-pwd", "fingerprint", "candidate", "ssrc")
        }
        _, _, _, _, host, port, *_ = found["candidate"][0].split()
        self._ufrag, self._password = found["ice-ufrag"][0], found["ice-pwd"][0]
        self._ssrcs = [int(line.split()[0]) for line in found["ssrc"]]
        fingerprint = found["fingerprint"][0].split()[1]
        offer = Offer((Section("0", "sendonly"),), OPUS, LEVEL, fingerprint)
        self.peer = Peer(offer, self._passport, self._send, is_server=False)
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, remote_addr=(host, int(port)))
        self._tasks.append(asyncio.create_task(self._check()))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of DatagramProtocol."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Part of DatagramProtocol."""
        if data[0] < 4:
            if not self.peer.is_ready:
                self.peer.agree()
        elif data[0] < 64:
            self.peer.agree(data)
            if self.peer.is_ready and not self.ready.is_set():
                self.ready.set()
                self._tasks.append(asyncio.create_task(self._speak()))
        else:
            packet = self.peer.open_sound(data)
            _, _, _, _, ssrc = RTP.unpack_from(packet)
            slot = self._ssrcs.index(ssrc)
            if slot < len(self.slots):
                self.heard[self.slots[slot]] += 1
            (said_s,) = struct.unpack_from("!d", packet, RTP.size)
            self.delays_s.append(time.monotonic() - said_s)

    def close(self) -> None:
        """Goes."""
        for task in self._tasks:
            task.cancel()
        if self._transport is not None:
            self.peer.close()
            self._transport.close()

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data)

    async def _check(self) -> None:
        """Proves the way, and then that one is still there."""
        while True:
            self._send(check(self._ufrag, self._password))
            if not self.peer.is_ready:
                self.peer.again()
            await asyncio.sleep(_CHECK_S if self.peer.is_ready else 0.2)

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while True:
            level = 30 if self.is_speaking else 127
            self.send(level, struct.pack("!d", time.monotonic()) + SPEECH[8:])
            next_s += self.packet_s
            await asyncio.sleep(max(0.0, next_s - loop.time()))

    def send(self, level: int, sound: bytes) -> None:
        """One packet, this loud (−dBov)."""
        self._seq = self._seq + 1 & 0xFFFF
        extension = struct.pack("!HHBBH", 0xBEDE, 1, LEVEL << 4, level | 128, 0)
        head = RTP.pack(
            128 | 16, OPUS, self._seq, self._seq * round(48_000 * self.packet_s) & 0xFFFFFFFF, 4242
        )
        self.peer.send_sound(head + extension + sound)


def check(ufrag: str, password: str) -> bytes:
    """A binding request of RFC 8489 that is signed, and chooses the way."""
    name = f"{ufrag}:abcd".encode()
    body = struct.pack("!HH", 0x0006, len(name)) + name + bytes(-len(name) % 4)
    body += struct.pack("!HH", 0x0025, 0)
    transaction = secrets.token_bytes(12)

    def head(length: int) -> bytes:
        return struct.pack("!HHI12s", 1, length, 0x2112A442, transaction)

    digest = hmac.new(password.encode(), head(len(body) + 24) + body, hashlib.sha1).digest()
    body += struct.pack("!HH", 0x0008, 20) + digest
    whole = head(len(body) + 8) + body
    return whole + struct.pack("!HHI", 0x8028, 4, zlib.crc32(whole) ^ 0x5354554E)
