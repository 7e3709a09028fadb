"""Where people write together: the documents of a world's twins, and the line to those who write.

A document is what the log adds up to; here it is kept at hand while it is used. What comes in is
gathered for a moment, read, held against the guard, and is in the log before its author is told
that it was taken and before anybody else is told of it at all: so nobody ever holds what a crash
could take back.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
from collections.abc import AsyncIterator, Iterable
from typing import Final

import pycrdt
from starlette.websockets import WebSocket, WebSocketDisconnect

from mirrorworld import attachments
from mirrorworld.authoring import updates
from mirrorworld.authoring.documents import DOCUMENT_BYTES_MAX, Author, Document, LacksError
from mirrorworld.protocol import authoring as shapes
from mirrorworld.protocol.authoring import (
    AuthorAnswer,
    AuthorMessage,
    Begin,
    Moves,
    Moving,
    Write,
)
from mirrorworld.server import moving, problems
from mirrorworld.server.attached import Attached
from mirrorworld.server.mirrored import Mirrored
from mirrorworld.server.problems import Refused
from mirrorworld.server.sight import Sight
from mirrorworld.server.views import Views
from mirrorworld.world.changes import Position, Writing
from mirrorworld.world.ports import Action

PATH: Final = shapes.AUTHOR_PATH
AUTHORS_MAX: Final = 128
BATCH_S: Final = 0.05
"""What comes of one page within that time is one change."""
HEARD_MAX: Final = 256
"""Messages of one page that wait; then it is not read."""
UNTOLD_MAX: Final = 2_000
"""Answers that wait for one page; then it has to come again."""
REFUSALS_MAX: Final = 30
LOOK_S: Final = 2.0
HELLO_S: Final = 20.0
STUCK_S: Final = 60.0
CLOSE_FULL: Final = 4429
CLOSE_PROTOCOL: Final = 4400
CLOSE_SLOW: Final = 4408


class Desk:
    """The documents of one world, and who writes in them now."""

    def __init__(self, mirror: Mirrored, attached: Attached, views: Views) -> None:
        self.pages: set[Page] = set()
        self.numbers = itertools.count(1)
        self.counts = {"taken": 0, "refused": 0}
        self.latest = mirror.world.position
        """Of what was written here last."""
        self._mirror = mirror
        self._attached = attached
        self._views = views
        self._documents: dict[str, tuple[tuple[bytes, ...], Document]] = {}
        attached.holders.append(self.twins_with)

    def document(self, twin: str) -> Document:
        """The document of a twin, as it is now; an empty one where nobody wrote yet."""
        kept = self._mirror.world.writings.get(twin, ())
        known = self._documents.get(twin)
        if known is None or (known[0] is not kept and known[0] != kept):
            known = self._documents[twin] = (kept, Document(kept))
        return known[1]

    def sees(self, view: Sight, twin: str) -> bool:
        """Whether a twin is there and shown."""
        return twin in self._mirror.world.structure.twins and view.sees(twin)

    def twins(self, view: Sight) -> list[str]:
        """The twins about which something was written, of those that are shown."""
        return [twin for twin in self._mirror.world.writings if self.sees(view, twin)]

    async def documents(self, view: Sight) -> AsyncIterator[tuple[str, Document]]:
        """Documents of twins that are shown; others have their turn in between."""
        for twin in self.twins(view):
            if twin not in self._documents:
                await asyncio.sleep(0)
            if self.sees(view, twin):
                yield twin, self.document(twin)

    def twins_with(self, sha256: str) -> Iterable[str]:
        """Twins whose notes refer to a file."""
        for twin in self._mirror.world.writings:
            if sha256 in self.document(twin).photos():
                yield twin

    def may_write(self, view: Sight, twin: str) -> bool:
        """Whether the guard lets somebody write about a twin."""
        return self._ask(view, Action.WRITE, twin)

    def take(self, view: Sight, twin: str, update: bytes) -> Position:
        """Takes an update of a twin's document; returns where it stands, not durable yet.

        Raises:
            Refused: there is no such twin, or none that is shown.
            PermissionError, ValueError: as `Document.take`, and where the guard says no.
        """
        if not self.sees(view, twin):
            raise Refused(404, f"there is no twin '{twin[:200]}'", "twin", "it may be gone by now")
        if not self.may_write(view, twin):
            mend = "write as somebody who may: an operator, an engineer or the owner"
            raise Refused(403, f"{view.who.id} may not write about {twin}", "twin", mend)
        mirror, document = self._mirror, self.document(twin)
        author = Author(view.who.id, self._ask(view, Action.EDIT, twin))

        def check_photo(sha256: str) -> None:
            self._check_photo(view, sha256)

        try:
            is_new = document.take(update, author, mirror.now_ns() / 1e6, check_photo)
            if not is_new:
                return mirror.world.position
            position = mirror.take_writing(view.who, Writing(twin, update))
            gathered = document.gather()
            if gathered is not None:
                position = mirror.take_writing(None, Writing(twin, gathered, is_whole=True))
        except BaseException:
            self.counts["refused"] += 1
            if document.kept != mirror.world.writings.get(twin, ()):
                self._documents.pop(twin, None)
            raise
        self.counts["taken"] += 1
        self.latest = position
        self._documents[twin] = (mirror.world.writings[twin], document)
        return position

    def is_new(self, writing: Writing) -> bool:
        """Whether a document says something that is not here."""
        said = updates.read(writing.update, most=DOCUMENT_BYTES_MAX)
        if writing.twin not in self._mirror.world.structure.twins:
            return False
        return bool(said.is_new(self.document(writing.twin).known))

    def merge(self, view: Sight, writing: Writing) -> tuple[Position, bool]:
        """Takes a whole document in, as a file has it: notes keep the authors that it names. Where
        it stands, not durable yet, and whether it said anything new. The caller has asked the
        guard; pages hear of it when they look next."""
        document = self.document(writing.twin)
        now_ms = self._mirror.now_ns() / 1e6
        if not document.take(writing.update, None, now_ms, most=DOCUMENT_BYTES_MAX):
            return self._mirror.world.position, False
        self._documents.pop(writing.twin)
        self.latest = self._mirror.take_writing(view.who, writing)
        return self.latest, True

    def tell(self, twin: str, update: bytes, by: Page | None, who: str) -> None:
        """Tells all others who write of an update that is durable."""
        message = shapes.Wrote(twin, updates.to_base64(update), who)
        for page in self.pages:
            if page is not by:
                page.tell(message)

    def may_arrange(self, view: Sight, twin: str) -> bool:
        """Whether somebody sees a twin and the guard lets them edit it; "": all of the world."""
        return (not twin or self.sees(view, twin)) and self._ask(view, Action.EDIT, twin)

    def tell_moves(self, moves: Moves, by: Page) -> None:
        """Tells all others of what somebody holds, as far as they see it."""
        for page in self.pages:
            if page is not by:
                page.tell_moves(moves)

    def count_arranging(self) -> None:
        """Has all viewers know whether somebody arranges, so that their pages listen."""
        self._views.arranging = sum(page.is_arranging for page in self.pages)

    def _ask(self, view: Sight, action: Action, twin: str) -> bool:
        mirror = self._mirror
        return mirror.guard.may(view.who, action, twin, "write", mirror.now_ns()).allowed

    def _check_photo(self, view: Sight, sha256: str) -> None:
        try:
            with open(self._attached.store.path(sha256), "rb") as file:
                kind = attachments.shown_as(file.read(attachments.HEAD_BYTES))
        except FileNotFoundError:
            kind = ""
        if not kind or not self._attached.sees(view, sha256):
            raise ValueError(f"no file {sha256[:16]}… is kept here; POST it to /api/blobs first")
        if kind not in attachments.PHOTOS:
            raise ValueError(f"a photo is PNG, JPEG, WebP or GIF, not {kind}")


class Page:
    """One line on which somebody writes."""

    def __init__(self, socket: WebSocket, desk: Desk, mirror: Mirrored, view: Sight) -> None:
        self._socket, self._desk, self._mirror, self._view = socket, desk, mirror, view
        self.is_arranging = False
        self._number = next(desk.numbers)
        self._is_held = False
        self._held = moving.Held(self._tell_held)
        self._heard: asyncio.Queue[Write] = asyncio.Queue(HEARD_MAX)
        self._untold: asyncio.Queue[AuthorAnswer | None] = asyncio.Queue(UNTOLD_MAX)
        self._shown: dict[str, tuple[bytes, ...]] = {}
        """Documents that the page was sent, as they were when something else than this line
        changed them."""
        self._refused = 0
        self._close: tuple[int, str] = (1000, "")

    async def run(self) -> None:
        """Serves until the other side hangs up."""
        if len(self._desk.pages) >= AUTHORS_MAX:
            await self._socket.close(CLOSE_FULL, f"{AUTHORS_MAX} people write here already")
            return
        tasks: list[asyncio.Task[None]] = []
        try:
            async with asyncio.timeout(HELLO_S):
                begin = await self._hear()
            if not isinstance(begin, Begin):
                await self._socket.close(CLOSE_PROTOCOL, "say Begin first")
                return
            self._desk.pages.add(self)
            tasks.append(asyncio.create_task(self._speak()))
            await self._begin(begin)
            acts = (self._listen, self._write, self._look, self._held.run)
            tasks += [asyncio.create_task(act()) for act in acts]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            self._close = (CLOSE_PROTOCOL, "nothing was said")
        except WebSocketDisconnect:
            pass
        finally:
            self._desk.pages.discard(self)
            if self._is_held or self.is_arranging:
                self._tell_held(moving.OVER)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(RuntimeError, OSError, TimeoutError, WebSocketDisconnect):
                async with asyncio.timeout(1):
                    await self._socket.close(*self._close)
        for result in results:
            if isinstance(result, Exception) and not isinstance(
                result, WebSocketDisconnect | TimeoutError | RuntimeError
            ):
                raise result

    def tell(self, message: AuthorAnswer) -> None:
        """Says something to the page soon; who is too slow has to come again."""
        twin = getattr(message, "twin", None)
        if twin is not None and not self._desk.sees(self._view, twin):
            return
        if isinstance(message, shapes.Wrote):
            self._shown[message.twin] = self._kept(message.twin)
        try:
            self._untold.put_nowait(message)
        except asyncio.QueueFull:
            self._close = (CLOSE_SLOW, "too much waited to be said; come again")
            self._untold.get_nowait()
            self._untold.put_nowait(None)

    def tell_moves(self, moves: Moves) -> None:
        """Says what somebody holds; to who is slow only that they let go."""
        seen = [twin for twin in moves.twins if self._desk.sees(self._view, twin)]
        is_over = not moves.twins
        if is_over or (seen and self._untold.qsize() < UNTOLD_MAX // 8):
            self.tell(dataclasses.replace(moves, twins=seen))

    def _tell_held(self, held: Moving) -> None:
        """Tells others of what the person holds, of what they may arrange."""
        self._view.refresh()
        may = [twin for twin in held.twins if self._desk.may_arrange(self._view, twin)]
        moves = Moves(self._number, self._view.who.id, may, held.dx_m, held.dz_m)
        if may or self._is_held:
            self._is_held = bool(may)
            self._desk.tell_moves(moves, self)
        self.is_arranging = held.is_arranging and (
            bool(may) or self._desk.may_arrange(self._view, "")
        )
        self._desk.count_arranging()

    def _move(self, said: Moving) -> None:
        """Takes what the person holds now; told of when the time has come."""
        try:
            moving.check(said)
        except ValueError as error:
            self._refuse(shapes.NotTaken(-1, "", str(error)))
            return
        self._held.say(said)

    def _kept(self, twin: str) -> tuple[bytes, ...]:
        return self._mirror.world.writings.get(twin, ())

    async def _begin(self, begin: Begin) -> None:
        """Sends what the page lacks of each document, and says of which it holds too much."""
        for twin, state in begin.states.items():
            if not self._desk.sees(self._view, twin):
                await self._untold.put(shapes.Gone(twin))
                continue
            await self._send_document(twin, state)
        async for twin, _ in self._desk.documents(self._view):
            if twin not in begin.states:
                await self._send_document(twin, "")
        may = self._desk.may_write(self._view, "") or any(
            self._desk.may_write(self._view, twin) for twin in self._mirror.world.structure.twins
        )
        await self._untold.put(shapes.Began(self._view.who.id, may))

    async def _send_document(self, twin: str, state: str) -> None:
        await self._mirror.until_durable(self._desk.latest)
        document = self._desk.document(twin)
        try:
            update = document.since(updates.of_base64(state) or b"\0")
        except ValueError:
            update = document.whole()
        self._shown[twin] = self._kept(twin)
        await self._untold.put(
            shapes.Document(twin, updates.to_base64(update), updates.to_base64(document.state))
        )

    async def _hear(self) -> AuthorMessage | None:
        """The next message that makes sense; None: there were too many that do not."""
        while True:
            said = await self._socket.receive()
            if said["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(said.get("code", 1005))
            try:
                return shapes.read_client(said.get("text") or said.get("bytes") or b"")
            except ValueError as error:
                if not self._refuse(shapes.NotTaken(-1, "", str(error))):
                    return None

    def _refuse(self, answer: shapes.NotTaken) -> bool:
        """Says no; False: that was once too often."""
        self._refused += 1
        with contextlib.suppress(asyncio.QueueFull):
            self._untold.put_nowait(answer)
        if self._refused > REFUSALS_MAX:
            self._close = (CLOSE_PROTOCOL, "too much that makes no sense")
            return False
        return True

    async def _listen(self) -> None:
        while (message := await self._hear()) is not None:
            if isinstance(message, Write):
                await self._heard.put(message)
            elif isinstance(message, Moving):
                self._move(message)

    async def _speak(self) -> None:
        while (message := await self._untold.get()) is not None:
            async with asyncio.timeout(STUCK_S):
                await self._socket.send_text(shapes.encode(message))

    async def _write(self) -> None:
        """Takes what was gathered, makes it durable, then tells."""
        while self._refused <= REFUSALS_MAX:
            batch = [await self._heard.get()]
            await asyncio.sleep(BATCH_S)
            while not self._heard.empty():
                batch.append(self._heard.get_nowait())
            self._view.refresh()
            by_twin: dict[str, list[Write]] = {}
            for write in batch:
                by_twin.setdefault(write.twin, []).append(write)
            for twin, writes in by_twin.items():
                await self._take(twin, writes)

    async def _take(self, twin: str, writes: list[Write]) -> None:
        try:
            said = [updates.of_base64(write.update) for write in writes]
            for each in said:
                updates.read(each)
            update = pycrdt.merge_updates(*said) if len(said) > 1 else said[0]
            position = self._desk.take(self._view, twin, update)
            await self._mirror.until_durable(position)
        except (Refused, *problems.BY_KIND) as error:
            if len(writes) > 1:  # what is wrong of one is no fault of the others
                for write in writes:
                    await self._take(twin, [write])
                return
            problem = problems.of(error, "update")[1]
            lacks = isinstance(error, LacksError)
            self._refuse(shapes.NotTaken(writes[0].id, twin, problem.detail, problem.mend, lacks))
            return
        self._shown[twin] = self._kept(twin)
        for write in writes:
            await self._untold.put(shapes.Took(write.id, str(position)))
        self._desk.tell(twin, update, self, self._view.who.id)

    async def _look(self) -> None:
        """Now and then: what is shown no more, and what changed by another way than this line."""
        while True:
            await asyncio.sleep(LOOK_S)
            self._view.refresh()
            writings = self._mirror.world.writings
            for twin in [
                twin
                for twin, kept in self._shown.items()
                if not self._desk.sees(self._view, twin) or (kept and twin not in writings)
            ]:
                del self._shown[twin]
                await self._untold.put(shapes.Gone(twin))
            for twin in self._desk.twins(self._view):
                if self._shown.get(twin) is not self._kept(twin):
                    await self._send_document(twin, "")
