"""Voice of a meeting as the server sees it: who is in, whether they speak straight with each other
or by way of the forwarder, and that process.

No sound comes by here. Lives on the server's loop; refuses to know WebRTC.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import sys
from dataclasses import dataclass, field
from typing import Any, Final

from mirrorworld.people.hub import Hub, Refusing
from mirrorworld.people.room import Seat
from mirrorworld.protocol import voice as shapes
from mirrorworld.protocol.people import Signal
from mirrorworld.protocol.voice import MESH_MAX, VOICE

FORWARDED_MAX: Final = 256
BACK_TO_MESH: Final = MESH_MAX - 2
"""People speak straight again when so few are left; two fewer, so that a door does not swing."""
GATHER_S: Final = 0.1
"""Those who come together are told of together."""
PLACES_S: Final = 0.25
RESTART_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
STEADY_S: Final = 30.0
LINE_BYTES_MAX: Final = 1 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the owner of a world chose for voice."""

    host: str = "127.0.0.1"
    """Address on which the forwarder listens; that of the page."""
    port: int = 0
    """Its UDP port; 0: any that is free."""
    ice: tuple[shapes.IceServer, ...] = ()
    """Servers that help pages to find each other across networks. None by default: pages of one
    network need none, and nothing is asked elsewhere."""

    @staticmethod
    def of_environment(host: str) -> Settings:
        """As `MIRRORWORLD_VOICE_PORT` and `MIRRORWORLD_VOICE_ICE` say: a port, and addresses such
        as `turn:name:secret@turn.plant.example:3478`, separated by spaces.

        Raises:
            ValueError: they say it wrongly.
        """
        port = os.environ.get("MIRRORWORLD_VOICE_PORT", "0")
        if not port.isdecimal() or int(port) > 65_535:
            raise ValueError(f"MIRRORWORLD_VOICE_PORT={port!r:.40}: a port is 0 to 65535")
        named = os.environ.get("MIRRORWORLD_VOICE_ICE", "").split()
        return Settings(host, int(port), tuple(map(_ice, named)))


def _ice(url: str) -> shapes.IceServer:
    kind, _, rest = url.partition(":")
    if kind not in ("stun", "stuns", "turn", "turns") or not rest:
        raise ValueError(
            f"MIRRORWORLD_VOICE_ICE: {kind!r:.20} is no kind of server; give stun:host:port or"
            " turn:name:secret@host:port"
        )
    who, at, where = rest.rpartition("@")
    name, _, secret = who.partition(":")
    return shapes.IceServer(f"{kind}:{where}", name if at else "", secret if at else "")


def can_forward() -> bool:
    """Whether what the forwarder stands on is installed: `pip install 'mirrorworld[voice]'`."""
    return all(importlib.util.find_spec(name) for name in ("pylibsrtp", "OpenSSL"))


@dataclass(slots=True)
class _Talk:
    """Voice in one room."""

    number: int
    joins: dict[int, int] = field(default_factory=dict[int, int])
    pages: dict[int, str] = field(default_factory=dict[int, str])
    way: str = "straight"


class Voices:
    """Voice in all rooms of a hub."""

    def __init__(self, hub: Hub, settings: Settings, *, can_forward: bool) -> None:
        self.settings = settings
        self.can_forward = can_forward
        self.epoch = 0
        self.port = 0
        """UDP port of the forwarder; 0: it does not run."""
        self.cpu_share = 0.0
        self._hub = hub
        self._talks: dict[str, _Talk] = {}
        self._joins = self._rooms = 0
        self._due: set[str] = set()
        self._telling: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        hub.on_forward = self.take
        hub.on_left.append(self.left)

    def take(self, seat: Seat, signal: Signal) -> None:
        """Follows what a page says about voice.

        Raises:
            Refusing: it is no message.
        """
        if signal.kind != VOICE:
            raise Refusing(f"{signal.kind!r:.20} is nothing for the server", "Signal.kind")
        try:
            message = shapes.read_client(signal.data)
        except (ValueError, RecursionError) as error:
            raise Refusing(str(error)[:300], "Signal.data") from error
        match message:
            case shapes.VoiceJoin(page):
                self._join(seat, page)
            case shapes.VoiceLeave():
                self.left(seat)
            case shapes.VoiceOffer(sdp, epoch):
                self._offer(seat, sdp, epoch)

    def people(self, place: str) -> dict[int, int]:
        """Who is in voice in a room, and by which joining."""
        talk = self._talks.get(place)
        return dict(talk.joins) if talk else {}

    @property
    def limit(self) -> int:
        """How many may be in voice in one room."""
        return FORWARDED_MAX if self.can_forward else MESH_MAX

    # --- who is in ---

    def _join(self, seat: Seat, page: str) -> None:
        talk = self._talks.get(seat.place)
        if talk is None:
            self._rooms += 1
            talk = self._talks[seat.place] = _Talk(self._rooms)
        if seat.id not in talk.joins and len(talk.joins) >= self.limit:
            self._say(seat.id, shapes.VoiceRefused("full"))
            return
        if seat.id not in talk.joins or talk.pages[seat.id] != page:
            self._joins += 1
            talk.joins[seat.id], talk.pages[seat.id] = self._joins, page[:64]
        if len(talk.joins) > MESH_MAX:
            talk.way = "forwarded"
            self._start()
        self._tell_soon(seat.place)

    def left(self, seat: Seat) -> None:
        """Somebody hears no more: they said so, have left or are in another room."""
        for place, talk in list(self._talks.items()):
            if talk.joins.pop(seat.id, None) is None:
                continue
            del talk.pages[seat.id]
            self._write({"@": "leave", "person": seat.id})
            if len(talk.joins) <= BACK_TO_MESH and talk.way == "forwarded":
                talk.way = "straight"
                for person in talk.joins:
                    self._write({"@": "leave", "person": person})
            if not talk.joins:
                del self._talks[place]
            else:
                self._tell_soon(place)

    def _offer(self, seat: Seat, sdp: str, epoch: int) -> None:
        talk = self._talks.get(seat.place)
        if talk is None or seat.id not in talk.joins or talk.way != "forwarded":
            return  # they have been told of another way already
        if epoch != self.epoch or not self.port:
            self._tell_soon(seat.place)
            return
        self._write({"@": "offer", "person": seat.id, "room": talk.number, "sdp": sdp})

    def _tell_soon(self, place: str) -> None:
        self._due.add(place)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(GATHER_S, self._tell)

    def _tell(self) -> None:
        self._telling = None
        for place in self._due:
            talk = self._talks.get(place)
            if talk is None or (talk.way == "forwarded" and not self.port):
                continue  # told when the forwarder is up
            people = [shapes.VoicePerson(id, join) for id, join in talk.joins.items()]
            roster = shapes.encode(
                shapes.VoiceRoster(
                    talk.way, self.epoch, people, self.limit, list(self.settings.ice)
                )
            )
            for person in talk.joins:
                self._hub.signal(person, VOICE, roster)
        self._due.clear()

    def _say(self, person: int, message: shapes.VoiceServerMessage) -> None:
        self._hub.signal(person, VOICE, shapes.encode(message))

    # --- the forwarder ---

    def _start(self) -> None:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._keep_running())

    async def _keep_running(self) -> None:
        """Runs the process for as long as a room needs it, and starts it anew when it fails."""
        failures = 0
        loop = asyncio.get_running_loop()
        while any(talk.way == "forwarded" for talk in self._talks.values()):
            started_s = loop.time()
            try:
                await self._run()
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("the forwarder of voices: %s", error)
            failures = 0 if loop.time() - started_s > STEADY_S else failures + 1
            forwarded = [talk for talk in self._talks.values() if talk.way == "forwarded"]
            if not forwarded:
                return
            self._hub.tally["voice_restarts"] += 1
            for talk in forwarded:
                for person in talk.joins:
                    self._say(person, shapes.VoiceRefused("forwarder"))
            await asyncio.sleep(RESTART_S[min(failures, len(RESTART_S)) - 1])

    async def _run(self) -> None:
        arguments = ["--host", self.settings.host, "--port", str(self.settings.port)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mirrorworld.people.voice_forwarder", *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES_MAX,
        )  # fmt: skip
        self._process = process
        self.epoch += 1
        telling = asyncio.create_task(self._tell_places())
        try:
            assert process.stdout is not None
            while line := await process.stdout.readline():
                self._hear(json.loads(line))
                if not any(talk.way == "forwarded" for talk in self._talks.values()):
                    break
        finally:
            telling.cancel()
            self.port, self.cpu_share = 0, 0.0
            self._process = None
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _hear(self, said: dict[str, Any]) -> None:
        match said["@"]:
            case "up":
                self.port = said["port"]
                for place, talk in self._talks.items():
                    if talk.way == "forwarded":
                        self._tell_soon(place)
            case "answer":
                self._say(said["person"], shapes.VoiceAnswer(said["sdp"], self.epoch))
            case "slots":
                for person, slots in said["of"]:
                    self._say(person, shapes.VoiceSlots(slots))
            case "refused" | "gone":
                self._say(said["person"], shapes.VoiceRefused("forwarder"))
            case "counts":
                self.cpu_share = said["cpu_share"]
                for name, count in said["of"].items():
                    self._hub.tally[f"voice_{name}"] = count
            case other:
                raise ValueError(f"it says {other!r}")

    async def _tell_places(self) -> None:
        """Where those are whose voices are forwarded."""
        while True:
            await asyncio.sleep(PLACES_S)
            for place, talk in self._talks.items():
                room = self._hub.rooms.get(place)
                if talk.way != "forwarded" or room is None:
                    continue
                ids, heads = room.floor.heads()
                rows = [
                    [id, *head]
                    for id, head in zip(ids.tolist(), (heads / 1e3).tolist(), strict=True)
                    if id in talk.joins
                ]
                self._write({"@": "places", "of": rows})

    def _write(self, said: dict[str, Any]) -> None:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            return
        if process.stdin.transport.get_write_buffer_size() > LINE_BYTES_MAX:
            self._hub.tally["voice_lines_dropped"] += 1
            return
        process.stdin.write(json.dumps(said, separators=(",", ":")).encode() + b"\n")
