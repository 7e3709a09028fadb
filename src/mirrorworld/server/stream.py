"""One viewer's session on `/api/stream`.

Two tasks: one hears the viewer, one speaks. The speaker makes a delta only when the one before
has left this process, so a slow viewer gets fewer and newer ones, and what is kept for it is
one delta. A viewer that takes nothing for `STUCK_S` is let go; it may resume.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Final

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from mirrorworld.protocol import binary, messages
from mirrorworld.protocol.answers import point_values
from mirrorworld.protocol.messages import (
    PROTOCOL_VERSION,
    RATE_HZ_MAX,
    AskExact,
    ClientMessage,
    Exact,
    Hello,
    Ping,
    Pong,
    Refusal,
    Seek,
    ServerMessage,
    Sought,
    Watch,
    Welcome,
)
from mirrorworld.protocol.rest import Who
from mirrorworld.server.answers import first_ns
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.past import SPEED_MAX, Past, Playback
from mirrorworld.server.sight import Sight
from mirrorworld.server.views import Due, Selection, Views
from mirrorworld.world.changes import Position

HELLO_S: Final = 10.0
STUCK_S: Final = 60.0
INBOX: Final = 64
"""Messages of a viewer that wait; then its socket is not read."""
EXACT_MAX: Final = 1_000
REFUSALS_MAX: Final = 100
FLUSH_BYTES: Final = 1 << 15
"""After more than this, an empty delta follows: sending it waits until the buffer is empty."""

_NO_ROWS: Final = (
    np.empty(0, np.uint32),
    np.empty(0, np.float32),
    np.empty(0, np.uint8),
    np.empty(0, np.int32),
)

CLOSE_PROTOCOL: Final = 1008
CLOSE_FULL: Final = 1013


class Session:
    """A viewer: what it watches, and up to where it was told."""

    def __init__(
        self,
        socket: WebSocket,
        mirror: Mirrored,
        views: Views,
        past: Past,
        sight: Sight,
        features: list[str],
    ) -> None:
        self._socket = socket
        self._mirror = mirror
        self._views = views
        self._past = past
        self._sight = sight
        self._features = features
        self._inbox: asyncio.Queue[ClientMessage] = asyncio.Queue(INBOX)
        self._selection = Selection(None)
        self._period_s = 1 / messages.RATE_HZ_DEFAULT
        self._told = Position(0, 0)
        self._valued: Position | None = None
        self._playback: Playback | None = None
        self._sight_version = 0
        self._sources = ""
        self._refused = 0
        self._is_closed = False

    async def run(self) -> None:
        """Serves the viewer until it goes."""
        try:
            async with asyncio.timeout(HELLO_S):
                hello = await self._hear()
        except TimeoutError:
            await self._socket.close(CLOSE_PROTOCOL, "no Hello came")
            return
        if hello is None:
            return
        if not isinstance(hello, Hello):
            await self._socket.close(CLOSE_PROTOCOL, "the first message is Hello")
            return
        hearing = asyncio.create_task(self._listen())
        speaking = asyncio.create_task(self._speak(hello))
        try:
            await asyncio.wait((hearing, speaking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (hearing, speaking):
                task.cancel()
            results = await asyncio.gather(hearing, speaking, return_exceptions=True)
        for result in results:
            if isinstance(result, TimeoutError):
                await self._close(CLOSE_FULL, "nothing was taken for a minute")
            elif isinstance(result, Exception) and not self._is_farewell(result):
                raise result

    def _is_farewell(self, error: Exception) -> bool:
        """Whether an error only says that one of the two has hung up."""
        is_ours = self._is_closed and isinstance(error, RuntimeError)
        return is_ours or isinstance(error, WebSocketDisconnect)

    # --- hearing ---

    async def _listen(self) -> None:
        while True:
            message = await self._hear()
            if message is None:
                return
            await self._inbox.put(message)

    async def _hear(self) -> ClientMessage | None:
        """The next message that makes sense; None: there were too many that do not."""
        while True:
            text = await self._socket.receive()
            if text["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(text.get("code", 1005))
            try:
                return messages.read_client(text.get("text") or text.get("bytes") or b"")
            except ValueError as error:
                self._refused += 1
                if self._refused > REFUSALS_MAX:
                    await self._close(CLOSE_PROTOCOL, "too many messages that make no sense")
                    return None
                await self._say(Refusal(str(error), "message"))

    # --- speaking ---

    async def _speak(self, hello: Hello) -> None:
        await self._begin(hello)
        loop = asyncio.get_running_loop()
        while True:
            next_at = self._views.next_at(self._period_s, loop.time())
            for _ in range(INBOX):  # who never stops talking still gets its deltas
                try:
                    async with asyncio.timeout_at(next_at):
                        message = await self._inbox.get()
                except TimeoutError:
                    break
                await self._follow(message)
            self._views.note_telling(self._period_s)
            await self._tick()

    async def _begin(self, hello: Hello) -> None:
        if hello.rate_hz > 0:
            self._period_s = 1 / min(hello.rate_hz, RATE_HZ_MAX)
        if hello.watch is not None:
            self._selection = Selection(hello.watch)
        news = None
        if hello.resume is not None:
            try:
                news = self._views.news(self._sight, Position.parse(hello.resume))
            except ValueError as error:
                await self._say(Refusal(str(error), "Hello.resume", "say null to begin anew"))
        who = self._sight.who
        world = self._mirror.world
        welcome = Welcome(
            protocol=PROTOCOL_VERSION,
            world=world.id,
            position=str(world.position),
            now_ms=self._views.now_ms(),
            principal=Who(who.id, sorted(who.roles)),
            rate_hz=1 / self._period_s,
            is_resumed=news is not None,
            first_ms=first_ns(self._mirror) / 1e6,
            features=self._features,
        )
        await self._say(welcome)
        if news is None or hello.resume is None:
            await self._anew()
        else:
            self._sight_version = self._sight.version
            self._told = self._valued = Position.parse(hello.resume)
            await self._tick()

    async def _anew(self) -> None:
        """Everything from the start."""
        self._sight_version = self._sight.version
        whole = await self._views.whole(self._sight)
        self._told = whole.position
        await self._give(whole)
        for part in self._views.conditions(self._sight):
            await self._send(part)
        self._sources, self._valued = "", None
        await self._tick()

    async def _tick(self) -> None:
        self._sight.refresh()
        if self._sight.version != self._sight_version:
            await self._anew()
            return
        playback = self._playback
        if playback is not None and playback.is_over:
            await self._seek(Seek(None))
            playback = None
        news = self._views.news(self._sight, self._told)
        if news is None:
            await self._anew()
            return
        due = [news]
        if playback is None:
            values = self._views.values(self._sight, self._selection, self._valued)
            if values.position > news.position:
                # The news were made a moment earlier for someone else; without a pause in
                # between there is nothing later than these.
                later = self._views.news(self._sight, news.position)
                due += [later] if later else []
            due.append(values)
            self._valued = values.position
        self._told = due[-2 if playback is None else -1].position
        for part in due:
            await self._give(part)
        if playback is not None and playback.is_due:
            await self._look_back(playback)
        if self._sight.sees(""):
            sources = self._views.sources()
            if sources != self._sources:
                self._sources = sources
                await self._send(sources)

    async def _follow(self, message: ClientMessage) -> None:
        match message:
            case Ping(id=number):
                await self._say(Pong(number, self._views.now_ms()))
            case Watch(points=points):
                self._selection = Selection(points)
                self._valued = None
                if self._playback is not None:
                    at = self._playback.source_ms
                    self._playback = self._from(at, self._playback.speed)
                await self._tick()
            case Seek():
                await self._seek(message)
            case AskExact(id=number, points=points):
                await self._exact(number, points)
            case Hello():
                await self._say(Refusal("Hello was said already", "message"))

    async def _seek(self, seek: Seek) -> None:
        if seek.source_ms is None:
            if self._playback is not None:
                self._playback, self._valued = None, None
            await self._say(Sought(None, 0.0))
            return
        if not (math.isfinite(seek.source_ms) and abs(seek.source_ms) < 1e13):
            await self._say(Refusal("that is no time", "Seek.source_ms", "say Unix milliseconds"))
            return
        if not 0 <= seek.speed <= SPEED_MAX:
            mend = f"say 0 to {SPEED_MAX:g}"
            await self._say(Refusal(f"speed {seek.speed} is not offered", "Seek.speed", mend))
            return
        self._playback = self._from(seek.source_ms, seek.speed)
        await self._say(Sought(seek.source_ms, seek.speed))

    async def _look_back(self, playback: Playback) -> None:
        try:
            due = await playback.step(self._sight, self._selection)
        except (ValueError, OSError) as error:
            await self._say(Refusal(str(error), "Seek", "choose another time"))
            await self._seek(Seek(None))
            return
        await self._give(due)

    def _from(self, source_ms: float, speed: float) -> Playback:
        return Playback(self._mirror, self._past, source_ms, speed)

    async def _exact(self, number: int, points: list[int]) -> None:
        world = self._mirror.world
        if len(points) > EXACT_MAX:
            detail = f"{len(points)} points at once"
            await self._say(Refusal(detail, "AskExact.points", f"ask for {EXACT_MAX} at most"))
            return
        known = [handle for handle in points if 0 <= handle < world.n_points]
        handles = self._sight.handles(np.array(known, np.uint32))
        await self._say(Exact(number, point_values(world, handles)))

    # --- sending ---

    async def _say(self, message: ServerMessage) -> None:
        await self._send(messages.encode(message).decode())

    async def _give(self, due: Due) -> None:
        """Sends what is due, and returns when it has left."""
        size = 0
        for part in due.parts:
            await self._send(part)
            size += len(part)
        if size > FLUSH_BYTES:
            await self._send(self._nothing(due.position))

    def _nothing(self, position: Position) -> bytes:
        """A frame without rows."""
        is_past = self._playback is not None
        return binary.encode(
            binary.AS_OF if is_past else binary.DELTA,
            *_NO_ROWS,
            sequence=position.sequence,
            epoch=position.epoch,
            base_ms=self._playback.source_ms if self._playback else self._views.now_ms(),
        )

    async def _send(self, part: bytes | str) -> None:
        async with asyncio.timeout(STUCK_S):
            if isinstance(part, bytes):
                await self._socket.send_bytes(part)
            else:
                await self._socket.send_text(part)

    async def _close(self, code: int, reason: str) -> None:
        self._is_closed = True
        with contextlib.suppress(WebSocketDisconnect, OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self._socket.close(code, reason)
