"""The routes of meetings: the line that people meet on, and what is asked about meetings."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from typing import Final

from fastapi import APIRouter, Request, Response, WebSocket
from starlette.websockets import WebSocketDisconnect

from mirrorworld.people.hub import Hub, Refusing
from mirrorworld.people.line import Line
from mirrorworld.people.room import Seat
from mirrorworld.protocol import people as shapes
from mirrorworld.protocol.people import CLOSE_PUT_OUT, MEET_PATH, MESSAGE_BYTES_MAX
from mirrorworld.server import asking
from mirrorworld.server.asking import json_answer
from mirrorworld.server.context import Context
from mirrorworld.server.doors import CLOSE_NO_SESSION
from mirrorworld.server.routes import answers
from mirrorworld.server.stream import CLOSE_PROTOCOL, HELLO_S

router = APIRouter(tags=["people"])

_INVALID_COST: Final = 3.0
_hubs: weakref.WeakKeyDictionary[object, Hub] = weakref.WeakKeyDictionary()


def hub_of(context: Context) -> Hub:
    """The meetings of what an application serves."""
    hub = _hubs.get(context.views)
    if hub is None:
        hub = _hubs[context.views] = Hub(context)
    return hub


@router.get(
    MEET_PATH, summary="How many people meet now", responses=answers(shapes.MeetingNow, "Numbers")
)
async def now(request: Request) -> Response:
    """Who they are is told to those who join, by WebSocket at the same address."""
    await asking.sight(request)
    hub = hub_of(await asking.context(request))
    return json_answer(shapes.MeetingNow(hub.people, len(hub.rooms), dict(hub.tally)))


@router.websocket(MEET_PATH)
async def meet(socket: WebSocket) -> None:
    """One person's line."""
    await socket.accept()
    context: Context = socket.app.state.context
    who = socket.state.principal
    if not context.sights.of(who).sees(""):
        await socket.close(4403, f"{who.id} may not see this world")
        return
    try:
        async with asyncio.timeout(HELLO_S):
            join = shapes.read_client(await _hear(socket))
    except (TimeoutError, ValueError):
        join = None
    except WebSocketDisconnect:
        return
    if not isinstance(join, shapes.Join):
        await socket.close(CLOSE_PROTOCOL, "the first message is Join")
        return
    hub, line = hub_of(context), Line(socket)
    try:
        seat = hub.join(line, who, "", join)
    except Refusing as error:
        await socket.close(CLOSE_PUT_OUT, f"{error}; {error.said.mend}")
        return
    speaking = asyncio.create_task(line.run())
    hearing = asyncio.create_task(_listen(hub, seat, line, socket))
    code = 1006
    try:
        await asyncio.wait((speaking, hearing), return_when=asyncio.FIRST_COMPLETED)
        if hearing.done() and not hearing.cancelled() and hearing.exception() is None:
            code = hearing.result()
    finally:
        hub.lost(seat, line, is_for_good=code in (1000, 1001, CLOSE_NO_SESSION))
        if hearing.done() and code == 1000:
            # What was said last, as why they have to go, is still sent.
            line.close(1000, "")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(speaking), 1.0)
        for task in (speaking, hearing):
            task.cancel()
        await asyncio.gather(speaking, hearing, return_exceptions=True)


async def _listen(hub: Hub, seat: Seat, line: Line, socket: WebSocket) -> int:
    """Hears a person until their line ends; the code that it ended with."""
    while seat.line is line:
        try:
            message = await _hear(socket)
        except WebSocketDisconnect as end:
            return end.code
        try:
            if isinstance(message, bytes):
                hub.pose(seat, message)
            else:
                hub.follow(seat, _read(message))
        except Refusing as error:
            if error.said.place == "message":
                hub.tally["invalid"] += 1
                hub.strike(seat, _INVALID_COST)
            hub.refuse(seat, error)
    return 1000


def _read(text: str) -> shapes.MeetClientMessage:
    if len(text) > MESSAGE_BYTES_MAX:
        raise Refusing(f"a message has {MESSAGE_BYTES_MAX} bytes at most", "message")
    try:
        return shapes.read_client(text)
    except (ValueError, RecursionError) as error:
        raise Refusing(str(error)[:300], "message") from error


async def _hear(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    return text if text is not None else message.get("bytes") or b""
