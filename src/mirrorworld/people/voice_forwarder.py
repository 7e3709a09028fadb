"""The forwarder of voices: `python -m mirrorworld.people.voice_forwarder`, a process beside the
server.

It takes the sound of each page and sends it on to those who are near, as it is coded: nothing is
decoded, mixed or kept. The server tells it on its standard input who is where and what they offer,
and is told answers and slots on its standard output, one JSON object a line. It ends when its input
does. One UDP port serves all; a datagram belongs to who proved by a signed check to send from it.

Knows numbers of people; refuses to know names, accounts and the world.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import psutil

from mirrorworld.people import voice_wire as wire
from mirrorworld.people.voice_near import NOBODY, choose
from mirrorworld.people.voice_peer import Passport, Peer

PEOPLE_MAX: Final = 512
TICK_S: Final = 0.02
CHOOSE_EVERY_S: Final = 0.25
"""Who is near is looked at this often; at once where somebody begins to speak."""
SPEAKING_DB: Final = -55.0
"""What is louder is speech; the loudness that packets carry, dBov."""
HANGOVER_S: Final = 1.5
SILENCE_BYTES: Final = 12
"""Packets that carry no loudness are speech if they are longer than that of a coder at rest."""
GONE_S: Final = 30.0
"""Pages check their way every few seconds; one that is silent as long as this is gone."""
AGREE_S: Final = 20.0
ADDRESSES_MAX: Final = 4
REPORT_S: Final = 2.0
UNSENT_BYTES_MAX: Final = 2 << 20

log = logging.getLogger(__name__)
Address = tuple[str, int]
Tell = Callable[[dict[str, Any]], None]


class Voice:
    """One person at the forwarder."""

    def __init__(self, person: int, room: int, peer: Peer, now_s: float) -> None:
        self.person, self.room, self.peer = person, room, peer
        self.at: tuple[Any, Any] | None = None
        """By which socket and to which address they are reached."""
        self.addresses: list[Address] = []
        self.seen_s = self.made_s = now_s
        self.place: tuple[float, float, float] = (0.0, 0.0, 0.0)
        self.level_db = -127.0
        self.spoke_s = -1e9
        self.hearers: list[tuple[Voice, int]] = []
        """Who hears them, and in which slot."""


class Forwarder:
    """All rooms of one server."""

    def __init__(self, tell: Tell) -> None:
        self.voices: dict[int, Voice] = {}
        self.tally: Counter[str] = Counter()
        self.port = 0
        self.shown: list[str] = []
        self._tell = tell
        self._passport = Passport()
        self._by_ufrag: dict[str, Voice] = {}
        self._by_address: dict[Address, Voice] = {}
        self._due: set[int] = set()
        self._places: dict[int, tuple[float, float, float]] = {}

    # --- what the server says ---

    def take(self, said: dict[str, Any]) -> None:
        """Follows one line of the server."""
        match said.get("@"):
            case "offer":
                self._offer(int(said["person"]), int(said["room"]), str(said["sdp"]))
            case "leave":
                self.leave(int(said["person"]))
            case "places":
                for person, *place in said["of"]:
                    voice = self.voices.get(person)
                    if voice is not None:
                        voice.place = (place[0], place[1], place[2])
            case other:
                raise ValueError(f"the server says {other!r}")

    def _offer(self, person: int, room: int, sdp: str) -> None:
        self.leave(person)
        try:
            if len(self.voices) >= PEOPLE_MAX:
                raise ValueError(f"{PEOPLE_MAX} people are forwarded at most")
            offer = wire.read_offer(sdp)
        except ValueError as error:
            self.tally["offers_refused"] += 1
            self._tell({"@": "refused", "person": person, "why": str(error)})
            return
        peer = Peer(offer, self._passport, lambda data: self._send(voice, data))
        voice = Voice(person, room, peer, time.monotonic())
        self.voices[person] = self._by_ufrag[peer.ufrag] = voice
        answer = wire.write_answer(
            offer,
            ufrag=peer.ufrag,
            password=peer.password,
            fingerprint=self._passport.fingerprint,
            addresses=self.shown,
            port=self.port,
            ssrcs=[slot.ssrc for slot in peer.slots],
        )
        self._tell({"@": "answer", "person": person, "sdp": answer})
        self._due.add(room)

    def leave(self, person: int) -> None:
        """Somebody is gone."""
        voice = self.voices.pop(person, None)
        if voice is None:
            return
        voice.peer.close()
        self._by_ufrag.pop(voice.peer.ufrag, None)
        for address in voice.addresses:
            self._by_address.pop(address, None)
        self._due.add(voice.room)

    # --- datagrams ---

    def datagram(self, transport: asyncio.DatagramTransport, data: bytes, address: Any) -> None:
        """Takes what came on a socket."""
        voice = self._by_address.get(address[:2])
        if voice is None or wire.is_check(data):
            self._check(transport, data, address)
            return
        first = data[0] if data else 0
        if 127 < first < 192:
            now = time.monotonic()
            heard = voice.peer.hear(data, now)
            if heard is not None:
                self._forward(voice, now, *heard)
        elif 19 < first < 64:
            voice.at = (transport, address)
            try:
                voice.peer.agree(data)
            except ConnectionError as error:
                self.tally["hung_up"] += 1
                self._gone(voice, str(error))

    def _check(self, transport: asyncio.DatagramTransport, data: bytes, address: Any) -> None:
        try:
            if not wire.is_check(data):
                raise ValueError("from nobody known")
            check = wire.read_check(data)
            voice = self._by_ufrag.get(check.ufrag)
            if voice is None or not check.is_by(voice.peer.password):
                raise ValueError("signed by nobody known")
        except (ValueError, IndexError):
            self.tally["datagrams_refused"] += 1
            return
        known = address[:2]
        if self._by_address.get(known) is not voice:
            other = self._by_address.get(known)
            if other is not None:
                other.addresses.remove(known)
            self._by_address[known] = voice
            voice.addresses.append(known)
            if len(voice.addresses) > ADDRESSES_MAX:
                del self._by_address[voice.addresses.pop(0)]
        voice.seen_s = time.monotonic()
        if check.is_chosen or voice.at is None:
            voice.at = (transport, address)
        host = address[0].partition("%")[0]
        transport.sendto(wire.answer_check(check, voice.peer.password, host, address[1]), address)

    def _send(self, voice: Voice, data: bytes) -> None:
        if voice.at is None:
            return
        transport, address = voice.at
        if transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.tally["packets_dropped"] += 1  # the network takes no more: sound does not wait
            return
        transport.sendto(data, address)

    def _forward(
        self, voice: Voice, now: float, seq: int, when: int, sound: bytes, level: int | None
    ) -> None:
        self.tally["packets_in"] += 1
        level_db = (
            -float(level) if level is not None else -30.0 if len(sound) > SILENCE_BYTES else -127.0
        )
        if level_db > SPEAKING_DB:
            if now - voice.spoke_s > HANGOVER_S:
                self._due.add(voice.room)
            voice.spoke_s = now
            voice.level_db += 0.1 * (max(level_db, -60.0) - max(voice.level_db, -60.0))
        for hearer, slot in voice.hearers:
            hearer.peer.speak(slot, voice.person, seq, when, sound)
        self.tally["packets_out"] += len(voice.hearers)

    # --- who hears whom ---

    def tick(self, now: float, *, is_all_due: bool) -> None:
        """Chooses anew who hears whom where that is due, and lets go who is gone."""
        for voice in list(self.voices.values()):
            if not voice.peer.is_ready:
                voice.peer.again()
            late = GONE_S if voice.peer.is_ready else AGREE_S
            if now - voice.seen_s > late:
                self._gone(voice, "nothing is heard of them")
        rooms = {voice.room for voice in self.voices.values()} if is_all_due else set(self._due)
        self._due.clear()
        for room in rooms:
            self._choose([v for v in self.voices.values() if v.room == room], now)

    def _choose(self, voices: list[Voice], now: float) -> None:
        index = {voice.person: i for i, voice in enumerate(voices)}
        k = max((len(voice.peer.slots) for voice in voices), default=0)
        if k == 0:
            return
        before = np.full((len(voices), k), NOBODY, np.intp)
        for i, voice in enumerate(voices):
            for j, slot in enumerate(voice.peer.slots):
                before[i, j] = index.get(slot.source, NOBODY) if slot.source >= 0 else NOBODY
        held = before.copy()
        for voice in voices:
            for hearer, slot in voice.hearers:
                if hearer.person in index and slot < k:
                    held[index[hearer.person], slot] = index[voice.person]
        after = choose(
            np.array([voice.place for voice in voices]),
            np.array([max(voice.level_db, -60.0) for voice in voices]),
            np.array([now - voice.spoke_s < HANGOVER_S for voice in voices]),
            held,
        )
        for voice in voices:
            voice.hearers = []
        told: list[list[Any]] = []
        for i, voice in enumerate(voices):
            n = len(voice.peer.slots)
            for slot in range(n):
                if after[i, slot] != NOBODY:
                    voices[after[i, slot]].hearers.append((voice, slot))
            heard = [voices[j].person if j != NOBODY else 0 for j in after[i, :n]]
            if heard != getattr(voice.peer, "told", None):
                voice.peer.told = heard  # pyright: ignore[reportAttributeAccessIssue]
                told.append([voice.person, heard])
        if told:
            self._tell({"@": "slots", "of": told})

    def _gone(self, voice: Voice, why: str) -> None:
        self.leave(voice.person)
        self._tell({"@": "gone", "person": voice.person, "why": why})


class _Door(asyncio.DatagramProtocol):
    def __init__(self, forwarder: Forwarder) -> None:
        self._forwarder = forwarder

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._forwarder.datagram(self._transport, data, addr)

    def error_received(self, exc: Exception) -> None:
        self._forwarder.tally["unreachable"] += 1


async def open_door(forwarder: Forwarder, host: str, port: int) -> list[asyncio.BaseTransport]:
    """Listens for datagrams; on another port if that one is taken."""
    loop = asyncio.get_running_loop()
    hosts = {"0.0.0.0": ["0.0.0.0", "::"], "::": ["::", "0.0.0.0"]}.get(host, [host])
    doors: list[asyncio.BaseTransport] = []
    for each in hosts:
        family = socket.AF_INET6 if ":" in each else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_DGRAM)
        for size in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            listening.setsockopt(socket.SOL_SOCKET, size, 1 << 20)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.setblocking(False)
        try:
            listening.bind((each, forwarder.port or port))
        except OSError:
            if doors:  # no IPv6 here, or the port is taken there
                listening.close()
                continue
            listening.bind((each, 0))
        forwarder.port = listening.getsockname()[1]
        door, _ = await loop.create_datagram_endpoint(lambda: _Door(forwarder), sock=listening)
        doors.append(door)
    forwarder.shown = [host] if len(hosts) == 1 else own_addresses()
    return doors


def own_addresses() -> list[str]:
    """Addresses by which this machine is reached, IPv4 first; the loopback last."""
    found: list[tuple[int, str]] = []
    for each in psutil.net_if_addrs().values():
        for address in each:
            name = address.address.partition("%")[0]
            if address.family == socket.AF_INET:
                found.append((2 if name.startswith("127.") else 0, name))
            elif address.family == socket.AF_INET6 and not name.startswith(("fe80", "::1")):
                found.append((1, name))
    return [name for _, name in sorted(found)][:8]


async def run(host: str, port: int) -> None:
    """Forwards until standard input ends."""
    out = sys.stdout

    def tell(said: dict[str, Any]) -> None:
        out.write(json.dumps(said, separators=(",", ":")) + "\n")
        out.flush()

    forwarder = Forwarder(tell)
    await open_door(forwarder, host, port)
    tell({"@": "up", "port": forwarder.port})
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    ticking = asyncio.create_task(_tick(forwarder, tell))
    try:
        while line := await reader.readline():
            forwarder.take(json.loads(line))
    finally:
        ticking.cancel()
        for person in list(forwarder.voices):
            forwarder.leave(person)


async def _tick(forwarder: Forwarder, tell: Tell) -> None:
    chosen_s = told_s = time.monotonic()
    used_s = time.process_time()
    while True:
        await asyncio.sleep(TICK_S)
        now = time.monotonic()
        is_all_due = now - chosen_s >= CHOOSE_EVERY_S
        if is_all_due:
            chosen_s = now
        forwarder.tick(now, is_all_due=is_all_due)
        if now - told_s >= REPORT_S:
            cpu_s = time.process_time()
            share = (cpu_s - used_s) / (now - told_s)
            told_s, used_s = now, cpu_s
            dropped = sum(voice.peer.dropped for voice in forwarder.voices.values())
            counts = {
                **forwarder.tally,
                "people": len(forwarder.voices),
                "packets_refused": dropped,
            }
            tell({"@": "counts", "cpu_share": round(share, 4), "of": counts})


def main() -> None:
    """Reads where to listen."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    told = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(run(told.host, told.port))


if __name__ == "__main__":
    main()
