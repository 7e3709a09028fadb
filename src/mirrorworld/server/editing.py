"""Edits as they come in, by REST one at a time and over a socket many a second.

Both read them, look at what they refer to, and apply them in the same way.

A session on `/api/edits/stream` takes one request after the other without waiting for the answer
to the one before; each is a change of its own, in the order in which they came, and is answered
when it is durable. Many share a commit, which is what makes this fast.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final, get_args

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from mirrorworld.protocol import rest
from mirrorworld.server import asking, problems
from mirrorworld.server.context import Context
from mirrorworld.server.problems import Refused
from mirrorworld.server.sight import Sight
from mirrorworld.world.changes import Edit, Edits, Position
from mirrorworld.world.plain import from_tagged

EDITS_MAX: Final = 10_000
OPEN_MAX: Final = 2_000
"""Requests of one socket that are not durable yet; then it is not read."""
TURN: Final = 100
"""After so many requests of one socket others have their turn."""
PATH: Final = "/api/edits/stream"

_KINDS: Final = get_args(Edit)


def take(here: Context, view: Sight, request: rest.EditRequest | rest.EditMessage) -> Position:
    """Makes the edits of a request; returns where they stand, not durable yet.

    Raises:
        Refused: one of them cannot be read, or refers to a file that is not here.
        PermissionError, ValueError: as `Mirror.edit`.
    """
    if not 1 <= len(request.edits) <= EDITS_MAX:
        mend = f"send 1 to {EDITS_MAX}"
        raise Refused(422, f"{len(request.edits)} edits at once", "edits", mend)
    edits: list[Any] = []
    for i, plain in enumerate(request.edits):
        try:
            one = from_tagged(plain, f"edits[{i}]")
        except RecursionError:
            raise Refused(422, "this is nested too deeply", f"edits[{i}]") from None
        if not isinstance(one, _KINDS):
            names = ", ".join(kind.__name__ for kind in _KINDS)
            raise Refused(422, "this is no edit", f"edits[{i}]", f"'@' may be {names}")
        edits.append(one)
    here.attached.check(view, ((f"edits[{i}]", one) for i, one in enumerate(edits)))
    if len(request.based_on) > EDITS_MAX:
        raise Refused(422, f"{len(request.based_on)} sheets", "based_on", "name those you edit")
    based_on = [(known.kind, known.name, known.body) for known in request.based_on]
    return here.mirror.take_edits(view.who, Edits(tuple(edits), request.reason), based_on)


class EditSession:
    """One socket that edits. A request that is refused is answered, and the session goes on."""

    def __init__(self, socket: WebSocket, here: Context, view: Sight) -> None:
        self._socket, self._here, self._view = socket, here, view
        self._open: deque[tuple[int, Position | rest.Problem]] = deque()
        """(id, where it stands or why not), in order; none of them answered."""
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Serves until the other side hangs up; what was taken by then is made all the same."""
        hearing = asyncio.create_task(self._hear())
        answering = asyncio.create_task(self._answer())
        try:
            await asyncio.wait((hearing, answering), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (hearing, answering):
                task.cancel()
            results = await asyncio.gather(hearing, answering, return_exceptions=True)
        for result in results:
            # Whoever hangs up while an answer is on its way has done nothing wrong.
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
                raise result

    async def _hear(self) -> None:
        heard = 0
        while True:
            while len(self._open) >= OPEN_MAX:
                self._changed.clear()
                await self._changed.wait()
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            self._take(message.get("bytes") or (message.get("text") or "").encode())
            heard += 1
            if heard % TURN == 0:
                await asyncio.sleep(0)  # others have their turn too

    def _take(self, text: bytes) -> None:
        number = -1
        try:
            asked = asking.body(text, rest.EditMessage)
            number = asked.id
            self._view.refresh()
            said = take(self._here, self._view, asked)
        except (Refused, *problems.BY_KIND) as error:
            said = problems.of(error, "message")[1]
        self._open.append((number, said))
        self._changed.set()

    async def _answer(self) -> None:
        """Answers in the order of the requests, all at once that share a commit."""
        while True:
            while not self._open:
                self._changed.clear()
                await self._changed.wait()
            n = len(self._open)
            placed = [said for _, said in self._open if isinstance(said, Position)]
            failure = None
            if placed:
                try:
                    await self._here.mirror.until_durable(placed[-1])
                except OSError as error:
                    failure = problems.of(error, "record")[1]
            answers: list[rest.EditAnswer] = []
            for number, said in (self._open.popleft() for _ in range(n)):
                problem = failure if isinstance(said, Position) else said
                position = "" if problem is not None else str(said)
                answers.append(rest.EditAnswer(number, position, problem))
            self._changed.set()
            await self._socket.send_bytes(msgspec.json.encode(answers))
